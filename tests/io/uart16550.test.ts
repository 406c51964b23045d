/** 16550A: registers, FIFOs, interrupt priorities, loopback, a line without room (PC16550D datasheet). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Uart16550 } from "../../src/io/uart16550";

const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7];

class Rig {
  irq = false;
  rises = 0;
  room = true;
  sent = "";
  incoming: number[] = [];
  readonly uart = new Uart16550(
    {
      set: (asserted) => {
        if (asserted && !this.irq) this.rises++;
        this.irq = asserted;
      },
    },
    {
      send: (byte) => {
        if (this.room) this.sent += String.fromCharCode(byte);
        return this.room;
      },
      receive: () => this.incoming.shift() ?? -1,
    },
  );
  constructor(ier = 0, fcr = 0) {
    this.set(MCR, 0x0b).set(IIR, fcr).set(IER, ier);
  }
  get(register: number): number {
    return this.uart.read(register, 1);
  }
  set(register: number, value: number): this {
    this.uart.write(register, 1, value);
    return this;
  }
  type(text: string): this {
    this.incoming.push(...Buffer.from(text));
    this.uart.poll();
    return this;
  }
}

const test = suite("16550A");

//  register  written  read back
const REGISTERS = [
  [IER, 0xff, 0x0f],
  [LCR, 0x1b, 0x1b],
  [MCR, 0xff, 0x1f],
  [SCR, 0x5a, 0x5a],
] as const;
for (const [register, written, back] of REGISTERS) {
  test(`register ${register} keeps ${back.toString(16)} of ${written.toString(16)}`, () => assert.is(new Rig().set(register, written).get(register), back));
}

test("DLAB shows the divisor in place of data and IER", () => {
  const rig = new Rig(0x05).set(LCR, 0x83).set(RBR, 0x01).set(IER, 0x02);
  assert.equal([rig.get(RBR), rig.get(IER)], [1, 2]);
  assert.is(rig.set(LCR, 3).get(IER), 5);
  assert.is(rig.sent, "");
});

test("bytes leave at once, and the line is ready", () => {
  const rig = new Rig().set(RBR, 65).set(RBR, 66);
  assert.is(rig.sent, "AB");
  assert.is(rig.get(LSR), 0x60);
  assert.is(rig.get(MSR) & 0xf0, 0xb0);
});

test("IIR tells a 16550A from its forebears", () => {
  assert.is(new Rig().get(IIR), 0x01);
  assert.is(new Rig(0, 0x01).get(IIR), 0xc1);
});

test("without FIFO one byte is held, the others stay outside", () => {
  const rig = new Rig(0x01).type("abc");
  assert.equal([rig.incoming.length, rig.irq, rig.get(IIR), rig.get(LSR) & 1], [2, true, 0x04, 1]);
  assert.equal([rig.get(RBR), rig.get(RBR), rig.get(RBR)], [97, 98, 99]);
  assert.equal([rig.irq, rig.get(LSR) & 1, rig.get(RBR)], [false, 0, 0]);
});

//  FCR   bytes waiting   IIR
const TRIGGERS = [
  [0x01, 1, 0xc4],
  [0x41, 3, 0xcc], // below the trigger level: the timeout
  [0x41, 4, 0xc4],
  [0x81, 7, 0xcc],
  [0x81, 8, 0xc4],
  [0xc1, 13, 0xcc],
  [0xc1, 14, 0xc4],
] as const;
for (const [fcr, bytes, iir] of TRIGGERS) {
  test(`${bytes} bytes under FCR ${fcr.toString(16)} give IIR ${iir.toString(16)}`, () => assert.is(new Rig(0x01, fcr).type("x".repeat(bytes)).get(IIR), iir));
}

test("the FIFO takes 16 bytes, and clearing it empties it", () => {
  const rig = new Rig(0x01, 0x01).type("y".repeat(20));
  assert.is(rig.incoming.length, 4);
  rig.incoming = [];
  rig.set(IIR, 0x03);
  assert.equal([rig.get(LSR) & 1, rig.irq], [0, false]);
});

test("the transmitter's interrupt: on enabling, cleared by reading IIR, again after each byte", () => {
  const rig = new Rig(0x02);
  assert.ok(rig.irq);
  assert.is(rig.get(IIR), 0x02);
  assert.not(rig.irq);
  assert.is(rig.get(IIR), 0x01);
  rig.set(RBR, 65);
  assert.equal([rig.irq, rig.rises], [true, 2]);
  rig.set(RBR, 66);
  assert.is(rig.rises, 3, "an edge for each byte, though nobody read IIR");
  rig.set(IER, 0).set(IER, 2);
  assert.ok(rig.irq);
});

test("received data comes before the empty transmitter, line errors before both", () => {
  const rig = new Rig(0x0f).type("a");
  assert.is(rig.get(IIR), 0x04);
  assert.is(rig.get(RBR), 97);
  assert.is(rig.get(IIR), 0x02);
});

test("a line without room keeps the byte, and THRE says so", () => {
  const rig = new Rig(0x02, 0x01);
  rig.get(IIR);
  rig.room = false;
  rig.set(RBR, 65).set(RBR, 66);
  assert.equal([rig.get(LSR) & 0x60, rig.irq, rig.uart.sending], [0, false, true]);
  rig.room = true;
  rig.uart.poll();
  assert.equal([rig.sent, rig.get(LSR) & 0x60, rig.irq], ["AB", 0x60, true]);
});

test("OUT2 is the gate of the interrupt line", () => {
  const rig = new Rig(0x02);
  assert.not(rig.set(MCR, 0x03).irq);
  assert.ok(rig.set(MCR, 0x08).irq);
});

test("loopback returns bytes and modem lines, and sends nothing", () => {
  const rig = new Rig().set(MCR, 0x1a);
  assert.is(rig.get(MSR) & 0xf0, 0x90, "RTS to CTS, OUT2 to DCD");
  assert.is(rig.set(MCR, 0x15).get(MSR) & 0xf0, 0x60, "DTR to DSR, OUT1 to RI");
  rig.set(RBR, 0x5a);
  assert.equal([rig.get(LSR) & 1, rig.get(RBR), rig.sent], [1, 0x5a, ""]);
  rig.set(RBR, 1).set(RBR, 2);
  assert.is(rig.get(LSR) & 0x02, 0x02, "overrun");
  assert.is(rig.get(LSR) & 0x02, 0, "reading clears it");
  assert.is(rig.get(RBR), 2);
});

test("changes of modem lines are shown once", () => {
  const rig = new Rig().set(MCR, 0x10);
  assert.is(rig.get(MSR), 0x0b, "CTS, DSR and DCD have fallen");
  assert.is(rig.get(MSR), 0x00);
  rig.set(MCR, 0x14);
  assert.is(rig.get(MSR), 0x40);
  assert.is(rig.set(MCR, 0x10).get(MSR), 0x04, "the trailing edge of RI");
});

test.run();
