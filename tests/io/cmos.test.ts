/** CMOS clock: formats, setting the time, the three interrupts, update in progress, memory size (MC146818A datasheet). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cmos } from "../../src/io/cmos";

const START = Date.UTC(2024, 1, 28, 23, 59, 50); // a Wednesday in a leap year
const MIB = 1 << 20;

class Rig {
  ms = 0;
  line = false;
  readonly cmos = new Cmos({ nowNs: () => this.ms * 1e6 }, { set: (asserted) => void (this.line = asserted) }, { epochMs: START, lowRam: 64 * MIB, highRam: 0 });

  get(index: number): number {
    this.cmos.write(0, 1, index);
    return this.cmos.read(1, 1);
  }
  set(index: number, value: number): this {
    this.cmos.write(0, 1, index);
    this.cmos.write(1, 1, value);
    return this;
  }
  /** century, year, month, day, weekday, hours, minutes, seconds */
  time(): number[] {
    return [0x32, 9, 8, 7, 6, 4, 2, 0].map((index) => this.get(index));
  }
  /** Runs as the scheduler would. */
  run(ms: number): this {
    const end = this.ms + ms;
    while (this.cmos.deadline <= end * 1e6) {
      this.ms = Math.max(this.ms, this.cmos.deadline / 1e6);
      this.cmos.tick();
      if (this.line) break;
    }
    if (!this.line) this.ms = end;
    return this;
  }
}

const test = suite("CMOS clock");

test("the date in BCD, 24 hours, over the end of a leap February", () => {
  const rig = new Rig();
  assert.equal(rig.time(), [0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x50]);
  rig.ms = 10_500;
  assert.equal(rig.time(), [0x20, 0x24, 0x02, 0x29, 5, 0x00, 0x00, 0x00]);
  rig.ms += 86_400_000;
  assert.equal(rig.time(), [0x20, 0x24, 0x03, 0x01, 6, 0x00, 0x00, 0x00]);
});

//  B      hours of 0:xx, 9:xx, 12:xx, 23:xx
const HOURS = [
  [0x02, [0x00, 0x09, 0x12, 0x23]], // BCD, 24
  [0x06, [0, 9, 12, 23]], // binary, 24
  [0x00, [0x12, 0x09, 0x92, 0x91]], // BCD, 12
  [0x04, [12, 9, 0x8c, 0x8b]], // binary, 12
] as const;
for (const [b, hours] of HOURS) {
  test(`hours with B = ${b}`, () => {
    const rig = new Rig().set(11, b);
    const seen = [0, 9, 12, 23].map((hour) => {
      rig.ms = (hour + 24) * 3_600_000 - (START % 86_400_000);
      return rig.get(4);
    });
    assert.equal(seen, [...hours]);
    // and back: setting each of them keeps it
    for (const value of hours) assert.is(rig.set(11, b | 0x80).set(4, value).set(11, b).get(4), value);
  });
}

test("setting the time under SET, and byte by byte", () => {
  const rig = new Rig().set(11, 0x82);
  [[0x32, 0x19], [9, 0x99], [8, 0x12], [7, 0x31], [4, 0x23], [2, 0x59], [0, 0x58]].forEach(([index, value]) => rig.set(index, value));
  rig.ms += 5000;
  assert.is(rig.get(0), 0x58, "time stands while SET is 1");
  rig.set(11, 0x02);
  assert.equal(rig.time(), [0x19, 0x99, 0x12, 0x31, 4, 0x23, 0x59, 0x58], "weekdays are counted, not computed");
  rig.ms += 2000;
  assert.equal(rig.time(), [0x20, 0x00, 0x01, 0x01, 5, 0x00, 0x00, 0x00]);
  assert.is(rig.set(2, 0x30).get(2), 0x30);
  assert.equal(rig.time(), [0x20, 0x00, 0x01, 0x01, 5, 0x00, 0x30, 0x00]);
});

test("update in progress shows before the second changes", () => {
  const rig = new Rig();
  const uip = (ms: number) => {
    rig.ms = ms;
    return rig.get(10) & 0x80;
  };
  assert.equal([uip(500), uip(997.7), uip(997.8), uip(1000.1)], [0, 0, 0x80, 0]);
  rig.set(11, 0x82);
  assert.is(uip(1999.9), 0, "not while SET is 1");
});

//  rate   interrupts a second
const RATES = [[3, 8192], [6, 1024], [15, 2], [1, 256], [2, 128]] as const;
for (const [rate, hertz] of RATES) {
  test(`periodic interrupt at rate ${rate}: ${hertz} Hz`, () => {
    const rig = new Rig().set(10, 0x20 | rate).set(11, 0x42);
    rig.get(12);
    let count = 0;
    while (rig.ms < 3000) {
      rig.run(3000 - rig.ms);
      if (!rig.line) break;
      assert.is(rig.get(12) & 0xc0, 0xc0);
      assert.not(rig.line, "reading C releases the line");
      count++;
    }
    assert.ok(Math.abs(count - 3 * hertz) <= 1, `${count} in 3 s`);
  });
}

test("no rate, no interrupts; flags rise without being enabled", () => {
  const rig = new Rig().set(10, 0x20).set(11, 0x42);
  rig.get(12);
  rig.run(2000);
  assert.not(rig.line);
  assert.is(rig.get(12), 0x10, "the second has changed");
  assert.is(rig.get(12), 0);
});

test("update-ended interrupt, each second", () => {
  const rig = new Rig().set(11, 0x12);
  rig.get(12);
  const at: number[] = [];
  for (let n = 0; n < 3; n++) {
    rig.run(5000);
    at.push(Math.round(rig.ms));
    assert.is(rig.get(12) & 0x90, 0x90);
  }
  assert.equal(at, [1000, 2000, 3000]);
});

//  alarm: hours, minutes, seconds    first interrupt, in seconds after 23:59:50
const ALARMS: [number[], number][] = [
  [[0x23, 0x59, 0x55], 5],
  [[0x00, 0x00, 0x00], 10],
  [[0x00, 0x01, 0x05], 75],
  [[0xff, 0xff, 0x10], 20], // each minute
  [[0xc0, 0x30, 0x00], 1810], // each hour
  [[0xff, 0xff, 0xff], 1], // each second
  [[0x23, 0x59, 0x50], 86_400],
];
for (const [[hours, minutes, seconds], after] of ALARMS) {
  test(`alarm at ${[hours, minutes, seconds].map((byte) => byte.toString(16))} comes after ${after} s`, () => {
    const rig = new Rig().set(5, hours).set(3, minutes).set(1, seconds).set(11, 0x22);
    rig.get(12);
    rig.run(100_000_000);
    assert.ok(rig.line);
    assert.is(Math.round(rig.ms), after * 1000);
    assert.is(rig.get(12) & 0xa0, 0xa0);
  });
}

//  B         SET or divider reset from   to     the seconds change after
const HOLDS = [
  ["SET", 11, 0x82, 0x02, 300, 600, 1000], // the divider runs on
  ["SET over an update", 11, 0x82, 0x02, 900, 1100, 2000],
  ["the divider in reset", 10, 0x66, 0x26, 300, 600, 1100], // the first update half a second later
  ["the divider in reset, other code", 10, 0x76, 0x26, 900, 5000, 5500],
] as const;
for (const [name, register, held, free, from, to, next] of HOLDS) {
  test(`${name} holds the time; it goes on`, () => {
    const rig = new Rig();
    rig.ms = from;
    rig.set(register, held);
    rig.ms = to;
    assert.is(rig.get(0), 0x50);
    rig.set(register, free);
    rig.ms = next - 1;
    assert.is(rig.get(0), 0x50);
    rig.ms = next + 1;
    assert.is(rig.get(0), 0x51);
  });
}

test("SET takes the update-ended interrupt away, and no flag but the periodic one rises while it holds", () => {
  const rig = new Rig().set(11, 0xf2);
  assert.is(rig.get(11), 0xe2);
  rig.get(12);
  rig.ms = 2500;
  assert.is(rig.get(12) & 0x70, 0x40);
});

test("a weekday of one's own is counted on", () => {
  const rig = new Rig().set(6, 7);
  assert.is(rig.get(6), 7);
  rig.ms = 10_000;
  assert.is(rig.get(6), 1);
});

test("memory size and plain bytes", () => {
  const rig = new Rig();
  const word = (at: number) => rig.get(at) | (rig.get(at + 1) << 8);
  assert.equal([word(0x15), word(0x17), word(0x30), word(0x34)], [640, 63 * 1024, 63 * 1024, (48 * MIB) / 65536]);
  assert.is(rig.set(0x40, 0xa5).get(0x40), 0xa5);
  assert.is(rig.get(13), 0x80, "the battery is good");
  assert.is(rig.set(13, 0).get(13), 0x80);
  assert.is(rig.get(0x80 | 0x40), 0xa5, "bit 7 of the index masks NMI");
});

test("an alarm at a time that no day has never comes, and is not waited for second by second", () => {
  for (const [hours, minutes, seconds] of [[0xff, 0xff, 0x99], [0xff, 0x60, 0x00], [0x24, 0x00, 0x00], [0xff, 0xff, 0x0a]]) {
    const rig = new Rig().set(5, hours).set(3, minutes).set(1, seconds).set(11, 0x22);
    const began = performance.now();
    for (let n = 0; n < 2000; n++) assert.is(rig.cmos.deadline, Number.POSITIVE_INFINITY);
    assert.ok(performance.now() - began < 1000, "the scheduler asks all the time");
  }
});

test.run();
