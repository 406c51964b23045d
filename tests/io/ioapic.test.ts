/** I/O APIC: registers, and what each kind of pin sends (82093AA datasheet). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ApicMessage, IoApic } from "../../src/io/ioapic";

class Rig {
  readonly sent: ApicMessage[] = [];
  extInt = false;
  readonly chip = new IoApic({ deliver: (message) => void this.sent.push(message), extInt: (asserted) => void (this.extInt = asserted) });

  read(register: number): number {
    this.chip.write(0, 4, register);
    return this.chip.read(0x10, 4) >>> 0;
  }
  write(register: number, value: number): void {
    this.chip.write(0, 4, register);
    this.chip.write(0x10, 4, value);
  }
  entry(pin: number, low: number, high = 0): void {
    this.write(0x11 + 2 * pin, high);
    this.write(0x10 + 2 * pin, low);
  }
  set(pin: number, asserted: boolean): void {
    this.chip.pin(pin).set(asserted);
  }
  vectors(): number[] {
    return this.sent.splice(0).map(({ vector }) => vector);
  }
}

const test = suite("I/O APIC");

//  register     after reset   written       read back
const REGISTERS = [
  [0x00, 0x00000000, 0xffffffff, 0x0f000000], // id
  [0x01, 0x00170020, 0xffffffff, 0x00170020], // 24 pins, version 0x20
  [0x02, 0x00000000, 0xffffffff, 0x00000000], // arbitration id
  [0x10, 0x00010000, 0xfffeffff, 0x0000afff], // low half: delivery status and remote IRR are read-only
  [0x11, 0x00000000, 0xffffffff, 0xff000000],
  [0x3e, 0x00010000, 0xffffffff, 0x0001afff],
  [0x3f, 0x00000000, 0x12345678, 0x12000000],
  [0x40, 0x00000000, 0xffffffff, 0x00000000], // there are no more
] as const;
for (const [register, reset, written, back] of REGISTERS) {
  test(`register ${register.toString(16)} reads ${back.toString(16)} after ${written.toString(16)}`, () => {
    const rig = new Rig();
    assert.is(rig.read(register), reset);
    rig.write(register, written);
    assert.is(rig.read(register), back);
  });
}

test("the select register reads back; other addresses are empty", () => {
  const { chip } = new Rig();
  chip.write(0, 1, 0x21);
  assert.is(chip.read(0, 4), 0x21);
  assert.is(chip.read(0x20, 4), 0);
});

test("an entry's fields travel in the message", () => {
  const rig = new Rig();
  rig.entry(5, 0x0000_0931, 0xab00_0000);
  rig.set(5, true);
  assert.equal(rig.sent, [{ mode: 1, vector: 0x31, level: false, logical: true, destination: 0xab }]);
});

test("an edge is sent once; while masked it is lost", () => {
  const rig = new Rig();
  rig.entry(4, 0x34);
  rig.set(4, true);
  rig.set(4, true);
  assert.equal(rig.vectors(), [0x34]);
  rig.set(4, false);
  rig.set(4, true);
  assert.equal(rig.vectors(), [0x34]);
  rig.set(4, false);
  rig.entry(4, 0x1_0034);
  rig.set(4, true);
  rig.entry(4, 0x34);
  assert.equal(rig.vectors(), []);
});

test("a level is sent again only after the EOI of its vector, and waits while masked", () => {
  const rig = new Rig();
  rig.entry(9, 0x1_8039);
  rig.set(9, true);
  assert.equal(rig.vectors(), []);
  rig.entry(9, 0x8039);
  assert.ok(rig.sent[0].level);
  assert.equal(rig.vectors(), [0x39]);
  assert.is(rig.read(0x22), 0xc039, "remote IRR");
  rig.set(9, false);
  rig.set(9, true);
  assert.equal(rig.vectors(), []);
  rig.chip.write(0x40, 4, 0x38);
  assert.equal(rig.vectors(), [], "another vector's EOI");
  rig.chip.write(0x40, 4, 0x39);
  assert.equal(rig.vectors(), [0x39], "still asserted");
  rig.set(9, false);
  rig.chip.write(0x40, 4, 0x39);
  assert.equal(rig.vectors(), []);
  assert.is(rig.read(0x22), 0x8039);
});

test("an ExtINT pin is a wire, not a message", () => {
  const rig = new Rig();
  rig.set(0, true);
  assert.not(rig.extInt);
  rig.entry(0, 0x700);
  assert.ok(rig.extInt);
  rig.set(0, false);
  assert.not(rig.extInt);
  rig.set(0, true);
  rig.entry(0, 0x1_0700);
  assert.not(rig.extInt);
  assert.equal(rig.sent, []);
});

test.run();
