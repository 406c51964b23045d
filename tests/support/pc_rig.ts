/** The bare PC's devices as a program finds them: by IN, OUT and device memory, with a clock that stands still unless it is told. What the
 *  devices ask of processors is recorded. */
import type { ApicMessage } from "../../src/io/ioapic";
import { Pc, type PcConfig } from "../../src/io/pc";

const IOAPIC = 0xfec0_0000;

export class PcRig {
  /** Nanoseconds. */
  now = 0;
  /** INTR as it reaches LINT0, and as the I/O APIC passes it on. */
  intr = false;
  extInt = false;
  readonly messages: ApicMessage[] = [];
  resets = 0;
  a20 = true;
  /** COM1's other end. */
  sent = "";
  readonly incoming: number[] = [];
  room = true;
  readonly pc: Pc;

  constructor(config: Partial<PcConfig> = {}) {
    this.pc = new Pc(
      {
        clock: { nowNs: () => this.now } as never,
        console: {
          send: (byte) => {
            if (this.room) this.sent += String.fromCharCode(byte);
            return this.room;
          },
          receive: () => this.incoming.shift() ?? -1,
          waiting: false,
          room: true,
        },
        intr: (lint0, ioApic) => {
          this.intr = lint0;
          this.extInt = ioApic;
        },
        deliver: (message) => void this.messages.push(message),
        a20: (open) => void (this.a20 = open),
        reset: () => void this.resets++,
        powerOff: () => {},
        debugExit: () => {},
        log: () => {},
      },
      { epochMs: Date.UTC(2024, 1, 28, 23, 59, 50), lowRam: 64 << 20, highRam: 0, debugExit: false, ...config },
    );
  }

  in(port: number): number {
    return this.pc.ports.read(port, 1);
  }
  out(port: number, ...values: number[]): this {
    for (const value of values) this.pc.ports.write(port, 1, value);
    return this;
  }

  /** Runs the devices as the scheduler would. */
  run(ns: number): this {
    const end = this.now + ns;
    for (let due = this.pc.deadline; due <= end; due = this.pc.deadline) {
      this.now = Math.max(this.now, due);
      this.pc.tick();
    }
    this.now = end;
    return this;
  }

  readIoApic(register: number): number {
    this.pc.mmio.write(IOAPIC, 4, register);
    return this.pc.mmio.read(IOAPIC + 0x10, 4) >>> 0;
  }
  writeIoApic(register: number, value: number): this {
    this.pc.mmio.write(IOAPIC, 4, register);
    this.pc.mmio.write(IOAPIC + 0x10, 4, value);
    return this;
  }
  /** A local APIC's EOI message. */
  eoi(vector: number): void {
    this.pc.mmio.write(IOAPIC + 0x40, 4, vector);
  }
  /** Vectors sent since the last call. */
  vectors(): number[] {
    return this.messages.splice(0).map(({ vector }) => vector);
  }

  /** ICW1 to ICW4 of both 8259s, all lines open. */
  pics({ icw1 = 0x11, first = 0x20, second = 0x28, wiring = [4, 2] as readonly [number, number], icw4 = [1, 1] as readonly [number, number] } = {}): this {
    this.out(0x20, icw1).out(0x21, first, wiring[0]);
    if (icw1 & 1) this.out(0x21, icw4[0]);
    this.out(0xa0, icw1).out(0xa1, second, wiring[1]);
    if (icw1 & 1) this.out(0xa1, icw4[1]);
    return this.out(0x21, 0).out(0xa1, 0);
  }
  acknowledge(): number {
    return this.pc.acknowledge();
  }
  /** A register of an 8259, by OCW3. */
  irr(port: 0x20 | 0xa0 = 0x20): number {
    return this.out(port, 0x0a).in(port);
  }
  isr(port: 0x20 | 0xa0 = 0x20): number {
    return this.out(port, 0x0b).in(port);
  }

  /** Lines that a program can raise: 1 by the keyboard controller's output buffer, 4 by COM1's transmitter, 8 by the clock. */
  raise(irq: 1 | 4 | 8): this {
    if (irq === 1) return this.out(0x64, 0x60).out(0x60, 0x01).out(0x64, 0xd2).out(0x60, 0x55);
    if (irq === 4) return this.out(0x3fc, 0x0b).out(0x3f9, 0x00, 0x02);
    this.out(0x70, 0x0a).out(0x71, 0x26).out(0x70, 0x0b).out(0x71, 0x42).in(0x71);
    return this.run(1_000_000);
  }
  lower(irq: 1 | 4 | 8): this {
    if (irq === 1) this.in(0x60);
    else if (irq === 4) this.in(0x3fa);
    else this.out(0x70, 0x0b).out(0x71, 0x02).out(0x70, 0x0c).in(0x71);
    return this;
  }
}
