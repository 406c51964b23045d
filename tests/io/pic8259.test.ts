/** 8259A pair: initialization, priorities, the end-of-interrupt commands, modes, cascade, spurious interrupts, polling (Intel 8259A
 *  datasheet). Lines are numbered 0 to 15 as on a PC. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Pic8259 } from "../../src/io/pic8259";

class Rig {
  intr = false;
  readonly pic = new Pic8259({ set: (asserted) => void (this.intr = asserted) });

  constructor(icw4 = 1) {
    for (const [chip, base, wiring] of [
      [this.pic.first, 0x20, 4],
      [this.pic.second, 0x28, 2],
    ] as const) {
      chip.write(0, 1, 0x11);
      chip.write(1, 1, base);
      chip.write(1, 1, wiring);
      chip.write(1, 1, icw4);
    }
  }
  raise(...irqs: number[]): void {
    for (const irq of irqs) this.pic.line(irq).set(true);
  }
  lower(...irqs: number[]): void {
    for (const irq of irqs) this.pic.line(irq).set(false);
  }
  pulse(...irqs: number[]): void {
    for (const irq of irqs) {
      this.pic.line(irq).set(true);
      this.pic.line(irq).set(false);
    }
  }
  /** Vectors the processor gets until INTR falls, without any EOI. */
  vectors(): number[] {
    const got: number[] = [];
    while (this.intr && got.length < 20) got.push(this.pic.acknowledge());
    return got;
  }
  ocw2(value: number): void {
    this.pic.first.write(0, 1, value);
  }
  isr(chip: "first" | "second" = "first"): number {
    this.pic[chip].write(0, 1, 0x0b);
    return this.pic[chip].read(0, 1);
  }
  irr(chip: "first" | "second" = "first"): number {
    this.pic[chip].write(0, 1, 0x0a);
    return this.pic[chip].read(0, 1);
  }
}

const test = suite("8259A pair");

//  raised             vectors taken in order, without EOI: only higher priorities nest
const NESTING: [number[], number[]][] = [
  [[0], [0x20]],
  [[7, 3], [0x23]],
  [[8], [0x28]],
  [[15, 8], [0x28]],
  [[3, 12], [0x2c]],
  [[1, 12], [0x21]],
  [[2], []], // has no line of its own: see below
];
for (const [raised, expected] of NESTING.slice(0, -1)) {
  test(`lines ${raised} give ${expected.map((vector) => vector.toString(16))}`, () => {
    const rig = new Rig();
    rig.raise(...raised);
    assert.equal(rig.vectors(), expected);
  });
}

test("a higher priority interrupts a handler, a lower one waits for its EOI", () => {
  const rig = new Rig();
  rig.pulse(4);
  assert.is(rig.pic.acknowledge(), 0x24);
  rig.pulse(6);
  assert.not(rig.intr);
  rig.pulse(1);
  assert.is(rig.pic.acknowledge(), 0x21);
  assert.is(rig.isr(), 0x12);
  rig.ocw2(0x20); // the highest in service: 1
  assert.is(rig.isr(), 0x10);
  assert.not(rig.intr);
  rig.ocw2(0x64); // specific: 4
  assert.is(rig.pic.acknowledge(), 0x26);
});

test("the mask holds requests back and does not lose them", () => {
  const rig = new Rig();
  rig.pic.first.write(1, 1, 0xff);
  rig.pulse(5);
  assert.not(rig.intr);
  assert.is(rig.irr(), 0x20);
  assert.is(rig.pic.first.read(1, 1), 0xff);
  rig.pic.first.write(1, 1, 0xdf);
  assert.is(rig.pic.acknowledge(), 0x25);
});

test("an edge counts once, a level as long as it lasts", () => {
  const rig = new Rig();
  rig.raise(5);
  assert.equal(rig.vectors(), [0x25]);
  rig.ocw2(0x20);
  assert.not(rig.intr, "still high: no new edge");
  rig.lower(5);
  rig.raise(5);
  assert.ok(rig.intr);
  rig.vectors();
  rig.pic.elcr.write(0, 1, 0xff);
  assert.is(rig.pic.elcr.read(0, 1), 0xf8, "0 to 2 are edge-triggered on a PC");
  rig.ocw2(0x20);
  assert.ok(rig.intr, "the level asks again after each EOI");
  rig.lower(5);
  assert.not(rig.intr);
  rig.pic.elcr.write(1, 1, 0xff);
  assert.is(rig.pic.elcr.read(1, 1), 0xde, "so are 8 and 13");
});

test("a request that is masked before its acknowledgement gives the spurious vector, and nothing is in service", () => {
  const rig = new Rig();
  rig.pulse(3);
  rig.pic.first.write(1, 1, 0x08);
  assert.is(rig.pic.acknowledge(), 0x27);
  assert.is(rig.isr(), 0);
  rig.pic.first.write(1, 1, 0);
  rig.vectors();
  rig.ocw2(0x20);
  rig.pulse(10);
  rig.pic.second.write(1, 1, 0x04);
  assert.equal(rig.vectors(), [0x2f], "the first has passed it on before");
  assert.equal([rig.isr("first"), rig.isr("second")], [0x04, 0]);
});

test("the second controller's interrupts need two EOIs", () => {
  const rig = new Rig();
  rig.pulse(8, 9);
  assert.is(rig.pic.acknowledge(), 0x28);
  assert.equal([rig.isr("first"), rig.isr("second")], [0x04, 0x01]);
  rig.pic.second.write(0, 1, 0x20);
  assert.not(rig.intr, "the first controller still serves its IR2");
  rig.ocw2(0x20);
  assert.is(rig.pic.acknowledge(), 0x29);
});

test("special fully nested mode lets the second controller nest within IR2", () => {
  const rig = new Rig(0x11);
  rig.pulse(12);
  assert.is(rig.pic.acknowledge(), 0x2c);
  rig.pulse(9);
  assert.is(rig.pic.acknowledge(), 0x29);
  rig.pulse(10);
  assert.not(rig.intr, "within the second controller its own priorities hold");
  rig.pulse(5);
  assert.not(rig.intr, "and within the first one IR2 is above IR5");
  rig.pulse(1);
  assert.is(rig.pic.acknowledge(), 0x21);
});

test("automatic EOI leaves nothing in service", () => {
  const rig = new Rig(0x03);
  rig.pulse(6);
  assert.equal(rig.vectors(), [0x26]);
  assert.is(rig.isr(), 0);
  rig.ocw2(0x80); // rotate in automatic EOI mode
  rig.pulse(4);
  rig.vectors();
  rig.pulse(4, 5);
  assert.is(rig.pic.acknowledge(), 0x25, "4 has become the lowest");
});

//  commands                    priority order afterwards, highest first
const ROTATIONS: [string, number[], number[]][] = [
  ["set priority, lowest 2", [0xc2], [3, 4, 5, 6, 7, 0, 1]],
  ["set priority, lowest 7", [0xc3, 0xc7], [0, 1, 3, 4, 5, 6, 7]],
];
for (const [name, commands, order] of ROTATIONS) {
  test(name, () => {
    const rig = new Rig(0x03); // automatic EOI: each is served in turn
    for (const command of commands) rig.ocw2(command);
    rig.pulse(0, 1, 3, 4, 5, 6, 7);
    assert.equal(rig.vectors(), order.map((ir) => 0x20 + ir));
  });
}

/** "Fully nested mode", "Automatic rotation": priorities run from the one behind the lowest round to it, and a request gets through if nothing of
 *  its own or a better priority is in service. Every lowest level, pair of requests, and level in service. */
test("every order of priorities, one in service, two requests", () => {
  const lines = [0, 1, 3, 4, 5, 6, 7];
  for (const lowest of [0, 1, 2, 3, 4, 5, 6, 7]) {
    const rank = (ir: number) => (ir + 7 - lowest) % 8;
    for (const served of [-1, ...lines])
      for (const a of lines)
        for (const b of lines) {
          const rig = new Rig();
          if (served >= 0) {
            rig.pulse(served);
            rig.pic.acknowledge();
          }
          rig.ocw2(0xc0 | lowest);
          rig.pulse(a, b);
          const best = rank(a) < rank(b) ? a : b;
          const through = served < 0 || rank(best) < rank(served);
          assert.is(rig.intr, through, `lowest ${lowest}, ${served} in service, ${a} and ${b} ask`);
          if (through) assert.is(rig.pic.acknowledge(), 0x20 + best);
        }
  }
});

//  command   in service 1, 3, 6 with these lowest   afterwards in service, lowest
const EOIS: readonly [string, number, number, number, number][] = [
  ["non-specific", 0x20, 7, 0b1001000, 7],
  ["non-specific, priorities from 3 on", 0x20, 2, 0b1000010, 2],
  ["specific", 0x66, 7, 0b0001010, 7],
  ["specific, of one that is not in service", 0x65, 7, 0b1001010, 7],
  ["rotate on non-specific", 0xa0, 7, 0b1001000, 1],
  ["rotate on specific", 0xe3, 7, 0b1000010, 3],
  ["set priority", 0xc4, 7, 0b1001010, 4],
  ["no operation", 0x40, 7, 0b1001010, 7],
];
for (const [name, command, lowest, isr, after] of EOIS) {
  test(`end of interrupt, ${name}`, () => {
    const rig = new Rig();
    for (const ir of [6, 3, 1]) {
      rig.pulse(ir);
      assert.is(rig.pic.acknowledge(), 0x20 + ir);
    }
    rig.ocw2(0xc0 | lowest);
    rig.ocw2(command);
    assert.is(rig.isr(), isr);
    // what the priorities are now shows when everything asks with nothing in service
    for (const ir of [0, 1, 2, 3, 4, 5, 6, 7]) rig.ocw2(0x60 | ir);
    rig.pulse(0, 1, 3, 4, 5, 6, 7);
    const best = (after + 1) % 8 === 2 ? 3 : (after + 1) % 8;
    assert.is(rig.pic.acknowledge(), 0x20 + best);
  });
}

test("rotation on EOI sends the one just served to the end", () => {
  const rig = new Rig();
  rig.pulse(3);
  rig.vectors();
  rig.ocw2(0xa0); // rotate on non-specific EOI
  rig.pulse(3, 4);
  assert.is(rig.pic.acknowledge(), 0x24);
  rig.ocw2(0xe4); // rotate on specific EOI: 4 is the lowest
  rig.pulse(4, 5);
  assert.is(rig.pic.acknowledge(), 0x25);
});

test("special mask mode: what is masked while in service holds nothing back", () => {
  const rig = new Rig();
  rig.pulse(2 + 1);
  rig.vectors();
  rig.pulse(6);
  assert.not(rig.intr);
  rig.pic.first.write(1, 1, 0x08);
  assert.not(rig.intr);
  rig.ocw2(0x68);
  assert.is(rig.pic.acknowledge(), 0x26);
  rig.ocw2(0x20); // clears 6, leaves the masked 3
  assert.is(rig.isr(), 0x08);
  rig.ocw2(0x48);
  rig.pulse(7);
  assert.not(rig.intr);
});

test("polling acknowledges without a cycle", () => {
  const rig = new Rig();
  rig.ocw2(0x0c);
  assert.is(rig.pic.first.read(0, 1), 0, "nothing to report");
  rig.pulse(5);
  rig.ocw2(0x0c);
  assert.is(rig.pic.first.read(0, 1), 0x85);
  assert.is(rig.isr(), 0x20);
  assert.not(rig.intr);
});

test("ICW1 forgets masks, edges and what is in service", () => {
  const rig = new Rig();
  rig.pulse(1, 5);
  rig.pic.acknowledge();
  rig.pic.first.write(1, 1, 0xaa);
  rig.raise(6);
  rig.pic.first.write(0, 1, 0x11);
  assert.equal([rig.irr(), rig.isr()], [0, 0]);
  for (const word of [0x40, 4, 1]) rig.pic.first.write(1, 1, word);
  assert.is(rig.pic.first.read(1, 1), 0);
  rig.lower(6);
  rig.raise(6);
  assert.equal(rig.vectors(), [0x46]);
});

test.run();
