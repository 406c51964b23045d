/** 8254: each mode's output and counter over time, latches, read-back, BCD, gates (Intel 8254 datasheet, "Mode Definitions").
 *  Time is given in clock pulses; a count written at pulse 0 is loaded by pulse 1. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Pit8254, PIT_HZ } from "../../src/io/pit8254";
import { Port61 } from "../../src/io/port61";

class Rig {
  private pulse = 0;
  readonly edges: number[] = []; // pulses at which the line rose
  level = false;
  readonly clock = { nowNs: () => ((this.pulse + 0.5) * 1e9) / PIT_HZ };
  readonly pit = new Pit8254(this.clock, {
    set: (asserted) => {
      if (asserted && !this.level) this.edges.push(this.pulse);
      this.level = asserted;
    },
  });
  readonly port61 = new Port61(this.pit, this.clock);

  to(pulse: number): this {
    this.pulse = pulse;
    return this;
  }
  control(value: number): this {
    this.pit.write(3, 1, value);
    return this;
  }
  count(counter: number, value: number): this {
    this.pit.write(counter, 1, value & 0xff);
    this.pit.write(counter, 1, value >> 8);
    return this;
  }
  /** The current count, latched. */
  read(counter: number): number {
    this.control(counter << 6);
    return this.pit.read(counter, 1) | (this.pit.read(counter, 1) << 8);
  }
  status(counter: number): number {
    this.control(0xe0 | (2 << counter));
    return this.pit.read(counter, 1);
  }
  out(counter: number): boolean {
    return (this.status(counter) & 0x80) !== 0;
  }
  /** Runs the timer as the scheduler would, up to a pulse. */
  run(until: number): this {
    for (;;) {
      const due = this.pit.deadline;
      if (due > (until * 1e9) / PIT_HZ) return this.to(until);
      this.to(Math.round((due * PIT_HZ) / 1e9));
      this.pit.tick();
    }
  }
}

const test = suite("8254");

/** Output levels of counter 0 from pulse 1 on. */
//  control  count  output
const WAVES = [
  [0x30, 4, "____HHHHHHHH"], // mode 0: low until the count is through
  [0x34, 3, "HH_HH_HH_HH_"], // mode 2: low in the last pulse of the period
  [0x36, 4, "HH__HH__HH__"], // mode 3: half and half
  [0x36, 5, "HHH__HHH__HH"], // mode 3, odd: the longer half is high
  [0x38, 4, "HHHH_HHHHHHH"], // mode 4: one low pulse
  [0x3e, 4, "HH__HH__HH__"], // mode 7 is mode 3
] as const;
for (const [control, count, wave] of WAVES) {
  test(`control ${control.toString(16)}, count ${count} gives ${wave}`, () => {
    const rig = new Rig().control(control).count(0, count);
    const seen = Array.from(wave, (_, n) => (rig.to(n + 1).out(0) ? "H" : "_")).join("");
    assert.is(seen, wave);
  });
}

/** What is read of the counter at pulses 1, 2, ... */
const COUNTS = [
  [0x30, 3, [3, 2, 1, 0, 0xffff, 0xfffe]], // mode 0 counts on
  [0x34, 3, [3, 2, 1, 3, 2, 1]],
  [0x36, 6, [6, 4, 2, 6, 4, 2]],
  [0x36, 5, [4, 2, 0, 4, 2, 4, 2, 0]], // odd: from one less; the high half is one pulse longer
  [0x38, 2, [2, 1, 0, 0xffff]],
  [0x31, 0x20, [0x20, 0x19, 0x18]], // BCD
  [0x31, 0x00, [0x0000, 0x9999, 0x9998]], // 10,000
  [0x30, 0x00, [0x0000, 0xffff, 0xfffe]], // 65,536
] as const;
for (const [control, count, values] of COUNTS) {
  test(`control ${control.toString(16)}, count ${count.toString(16)} reads ${values.map((value) => value.toString(16))}`, () => {
    const rig = new Rig().control(control).count(0, count);
    assert.equal(values.map((_, n) => rig.to(n + 1).read(0)), [...values]);
  });
}

test("the line rises once a period, when the scheduler comes late too", () => {
  const rig = new Rig().control(0x34).count(0, 1000);
  rig.run(3500);
  assert.equal(rig.edges.slice(-3), [1001, 2001, 3001]);
  const before = rig.edges.length;
  rig.to(9_900);
  rig.pit.tick();
  assert.is(rig.edges.length, before + 1);
  assert.is(Math.round((rig.pit.deadline * PIT_HZ) / 1e9), 10_001);
});

test("mode 0 interrupts once", () => {
  const rig = new Rig().control(0x30).count(0, 500);
  rig.run(100_000);
  assert.equal(rig.edges, [501]);
  rig.count(0, 100).run(200_000);
  assert.equal(rig.edges, [501, 100_101]);
});

test("a new count in mode 2 begins with the next period", () => {
  const rig = new Rig().control(0x34).count(0, 1000);
  rig.run(1200).count(0, 300);
  assert.is(rig.status(0) & 0x40, 0x40, "null count: not loaded yet");
  rig.run(2900);
  assert.equal(rig.edges.slice(-4), [1001, 2001, 2301, 2601]);
  assert.is(rig.status(0) & 0x40, 0);
});

test("single-byte access, and the byte order of both", () => {
  const rig = new Rig();
  rig.control(0x10).pit.write(0, 1, 200); // low byte only
  assert.is(rig.to(11).pit.read(0, 1), 190);
  rig.to(20).control(0x20).pit.write(0, 1, 2); // high byte only: 512
  assert.is(rig.to(22).pit.read(0, 1), 1);
  rig.to(30).control(0x30).count(0, 0x1234);
  assert.equal([rig.to(31).pit.read(0, 1), rig.pit.read(0, 1)], [0x34, 0x12]);
});

test("a latch holds its value until it is read, and later latches are ignored", () => {
  const rig = new Rig().control(0x34).count(0, 1000);
  rig.to(11).control(0x00);
  rig.to(500).control(0x00);
  assert.equal([rig.pit.read(0, 1), rig.pit.read(0, 1)], [990 & 0xff, 990 >> 8]);
  assert.is(rig.to(501).read(0), 500);
});

test("read-back latches counts and status of several counters; the status comes first", () => {
  const rig = new Rig().control(0x34).count(0, 100).control(0x76).count(1, 200);
  rig.to(11).control(0xc6); // both, counters 0 and 1
  rig.to(50);
  assert.equal([rig.pit.read(0, 1), rig.pit.read(0, 1), rig.pit.read(0, 1)], [0x80 | 0x34, 90, 0]);
  assert.equal([rig.pit.read(1, 1), rig.pit.read(1, 1), rig.pit.read(1, 1)], [0x80 | 0x36, 180, 0]);
});

test("status before a count is written says null count", () => {
  const rig = new Rig().control(0xb6);
  assert.is(rig.status(2), 0x80 | 0x40 | 0x36);
});

test("port 0x61 gates counter 2 and shows its output", () => {
  const rig = new Rig();
  rig.port61.write(0, 1, 0);
  rig.control(0xb0).count(2, 1000); // mode 0
  rig.to(5000);
  assert.is(rig.port61.read(0, 1) & 0x21, 0, "gate closed: nothing counts");
  rig.port61.write(0, 1, 1);
  rig.to(5900);
  assert.is(rig.port61.read(0, 1) & 0x21, 0x01);
  rig.port61.write(0, 1, 0);
  rig.to(8000).port61.write(0, 1, 1);
  assert.is(rig.port61.read(0, 1) & 0x20, 0, "it goes on where it stopped");
  rig.to(8200);
  assert.is(rig.port61.read(0, 1) & 0x21, 0x21);
});

test("mode 1: counter 2 is a one-shot that its gate triggers", () => {
  const rig = new Rig();
  rig.control(0xb2).count(2, 50);
  assert.ok(rig.to(100).out(2));
  rig.port61.write(0, 1, 1);
  assert.not(rig.to(110).out(2));
  rig.port61.write(0, 1, 0);
  rig.to(140).port61.write(0, 1, 1); // again
  assert.not(rig.to(180).out(2));
  assert.ok(rig.to(191).out(2));
});

test("the refresh bit of port 0x61 toggles every 15 us; speaker and check bits are kept", () => {
  const rig = new Rig();
  rig.port61.write(0, 1, 0xff);
  assert.is(rig.port61.read(0, 1) & 0xcf, 0x0f);
  const toggles = [0, 18, 36, 54].map((pulse) => rig.to(pulse + 1).port61.read(0, 1) & 0x10);
  assert.equal(toggles, [0, 0x10, 0, 0x10]);
});

test.run();
