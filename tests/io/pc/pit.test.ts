/** 8254 at its ports: OUT of counter 2, seen at port 0x61 bit 5 and driven by its gate, bit 0, in every mode; null count; what reads give in
 *  every access mode (Intel 8254 datasheet, "Mode Definitions", "Read Operations", and its figures). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PIT_HZ } from "../../../src/io/pit8254";
import { PcRig } from "../../support/pc_rig";

const test = suite("8254 at its ports");

const at = (rig: PcRig, pulse: number): PcRig => {
  rig.now = ((pulse + 0.5) * 1e9) / PIT_HZ;
  return rig;
};
const out2 = (rig: PcRig): string => (rig.in(0x61) & 0x20 ? "H" : "_");

/** What happens before a pulse: a gate level, or a count as low and high byte. */
type Event = readonly [pulse: number, what: "gate" | "count" | "low" | "high" | "control", value: number];
function perform(rig: PcRig, what: Event[1], value: number): void {
  if (what === "gate") rig.out(0x61, value);
  else if (what === "count") rig.out(0x42, value & 0xff, value >> 8);
  else if (what === "control") rig.out(0x43, value);
  else rig.out(0x42, value);
}

/** OUT at pulses 0, 1, 2 ... of counter 2 with the gate open at first, after the control word and these events. */
const WAVES: readonly [string, number, readonly Event[], string][] = [
  ["mode 0", 0xb0, [[0, "count", 4]], "_____HHHHH"],
  ["mode 0, a new count at once and with OUT low", 0xb0, [[0, "count", 2], [5, "count", 3]], "___HH____HHH"],
  ["mode 0, a new count before the end", 0xb0, [[0, "count", 4], [3, "count", 4]], "________HHH"],
  ["mode 0, the first byte of two stops it and lowers OUT", 0xb0, [[0, "count", 2], [5, "low", 2], [8, "high", 0]], "___HH______HH"],
  ["mode 0, the gate stops it", 0xb0, [[0, "count", 4], [2, "gate", 0], [5, "gate", 1]], "________HHH"],
  ["mode 0, written with the gate closed: loaded, then N pulses", 0xb0, [[0, "gate", 0], [1, "count", 3], [6, "gate", 1]], "_________HHH"],
  ["mode 1", 0xb2, [[0, "gate", 0], [0, "count", 3], [2, "gate", 1]], "HHH___HHHHH"],
  ["mode 1, triggered again while low", 0xb2, [[0, "gate", 0], [0, "count", 3], [2, "gate", 1], [3, "gate", 0], [4, "gate", 1]], "HHH_____HHHH"],
  ["mode 1, a new count waits for the trigger", 0xb2, [[0, "gate", 0], [0, "count", 2], [1, "gate", 1], [2, "count", 4], [5, "gate", 0], [6, "gate", 1]], "HH__HHH____HHH"],
  ["mode 1, no count, no shot", 0xb2, [[0, "gate", 0], [1, "gate", 1]], "HHHHHHHH"],
  ["mode 2", 0xb4, [[0, "count", 3]], "HHH_HH_HH_HH_"],
  ["mode 2, a new count after the period", 0xb4, [[0, "count", 4], [2, "count", 2]], "HHHH_H_H_H_"],
  ["mode 2, the gate raises OUT and begins anew", 0xb4, [[0, "count", 3], [3, "gate", 0], [5, "gate", 1]], "HHHHHHHH_HH_"],
  ["mode 2, the first byte of two changes nothing", 0xb4, [[0, "count", 3], [2, "low", 5], [8, "high", 0]], "HHH_HH_HH_HHHH_HHHH_"],
  ["mode 3, even", 0xb6, [[0, "count", 4]], "HHH__HH__HH__"],
  ["mode 3, odd", 0xb6, [[0, "count", 5]], "HHHH__HHH__HHH__"],
  ["mode 3, a new count after the high half", 0xb6, [[0, "count", 6], [2, "count", 4]], "HHHH__HH__HH__"],
  ["mode 3, a new count after the low half", 0xb6, [[0, "count", 6], [4, "count", 4]], "HHHH___HH__HH__"],
  ["mode 3, a new odd count after the high half", 0xb6, [[0, "count", 4], [1, "count", 5]], "HHH__HHH__HHH__"],
  ["mode 3, the gate raises OUT and begins anew", 0xb6, [[0, "count", 4], [3, "gate", 0], [5, "gate", 1]], "HHHHHHHH__HH__"],
  ["mode 3, a count that waits is taken by the gate", 0xb6, [[0, "count", 6], [2, "count", 2], [2, "gate", 0], [3, "gate", 1]], "HHHHH_H_H_"],
  ["mode 4", 0xb8, [[0, "count", 3]], "HHHH_HHHH"],
  ["mode 4, a new count begins at once", 0xb8, [[0, "count", 3], [2, "count", 3]], "HHHHHH_HHH"],
  ["mode 4, the gate stops the count, not OUT", 0xb8, [[0, "count", 3], [2, "gate", 0], [4, "gate", 1]], "HHHHHH_HHH"],
  ["mode 5", 0xba, [[0, "gate", 0], [0, "count", 3], [2, "gate", 1]], "HHHHHH_HHHH"],
  ["mode 5, triggered again", 0xba, [[0, "gate", 0], [0, "count", 3], [1, "gate", 1], [3, "gate", 0], [4, "gate", 1]], "HHHHHHHH_HH"],
  ["mode 7 is mode 3", 0xbe, [[0, "count", 2]], "HH_H_H_"],
  ["mode 6 is mode 2", 0xbc, [[0, "count", 3]], "HHH_HH_"],
  ["a control word stops mode 2 and raises OUT", 0xb4, [[0, "count", 3], [3, "control", 0xb4]], "HHHHHHHH"],
  ["a control word of mode 0 lowers OUT", 0xb4, [[0, "count", 3], [2, "control", 0xb0]], "HH______"],
  ["least significant byte only", 0x90, [[0, "low", 3]], "____HHH"],
  ["most significant byte only", 0xa0, [[0, "high", 1]], "_".repeat(257) + "HH"],
];
for (const [name, control, events, wave] of WAVES)
  test(`${name}: ${wave.length > 40 ? "256 pulses" : wave}`, () => {
    const rig = at(new PcRig(), 0).out(0x61, 1).out(0x43, control);
    const seen = Array.from(wave, (_, pulse) => {
      at(rig, pulse);
      for (const [when, what, value] of events) if (when === pulse) perform(rig, what, value);
      return out2(rig);
    });
    assert.is(seen.join(""), wave);
  });

/** Null count ("Read-Back Command", figure of the status byte): set by a control word and by a count, cleared when that is loaded. */
//  name, control word, events, null count at pulses 0, 1, 2 ...
const NULLS: readonly [string, number, readonly Event[], string][] = [
  ["mode 0", 0xb0, [[1, "count", 9]], "11000"],
  ["mode 0, two bytes apart", 0xb0, [[0, "low", 9], [2, "high", 0]], "111000"],
  ["mode 1: until the trigger", 0xb2, [[0, "gate", 0], [0, "count", 9], [2, "gate", 1], [5, "count", 3], [7, "gate", 0], [8, "gate", 1]], "11100111100"],
  ["mode 2: until the period ends", 0xb4, [[0, "count", 3], [2, "count", 5]], "1011000"],
  ["mode 2: the first byte changes nothing", 0xb4, [[0, "count", 3], [2, "low", 5]], "100000"],
  ["mode 3: until the half ends", 0xb6, [[0, "count", 6], [2, "count", 4]], "10110000"],
  ["mode 4", 0xb8, [[0, "count", 3], [2, "count", 3]], "1010000"],
  ["a new control word", 0xb4, [[0, "count", 3], [2, "control", 0xb4]], "101111"],
];
for (const [name, control, events, nulls] of NULLS)
  test(`null count, ${name}: ${nulls}`, () => {
    const rig = at(new PcRig(), 0).out(0x61, 1).out(0x43, control);
    const seen = Array.from(nulls, (_, pulse) => {
      at(rig, pulse);
      for (const [when, what, value] of events) if (when === pulse) perform(rig, what, value);
      return rig.out(0x43, 0xe8).in(0x42) & 0x40 ? "1" : "0";
    });
    assert.is(seen.join(""), nulls);
  });

/** Bytes read one after the other at the pulse, counter 2 in mode 2 from 0x1234, loaded at pulse 1; commands first. */
//  name, control word, command words, pulse, bytes
const READS: readonly [string, number, readonly number[], number, readonly number[]][] = [
  ["both bytes, unlatched", 0xb4, [], 1, [0x34, 0x12, 0x34]],
  ["low byte only", 0x94, [], 1, [0x34, 0x34]],
  ["counter latch", 0xb4, [0x80], 1, [0x34, 0x12, 0x34, 0x12]],
  ["counter latch twice: the first holds", 0xb4, [0x80, 0x80], 1, [0x34, 0x12]],
  ["latch of another counter changes nothing", 0xb4, [0x40], 2, [0x33, 0x12]],
  ["read-back of the count", 0xb4, [0xd8], 3, [0x32, 0x12]],
  ["read-back of the status", 0xb4, [0xe8], 3, [0xb4, 0x32, 0x12]],
  ["read-back of both: the status first", 0xb4, [0xc8], 3, [0xb4, 0x32, 0x12]],
  ["read-back of nothing", 0xb4, [0xf8], 3, [0x32, 0x12]],
  ["read-back of other counters", 0xb4, [0xc6], 3, [0x32, 0x12]],
  ["status twice: the first holds", 0xb4, [0xe8, 0xe8], 3, [0xb4, 0x32]],
  ["status, then count", 0xb4, [0xe8, 0xd8], 3, [0xb4, 0x32, 0x12]],
  ["status in BCD and mode 2", 0xb5, [0xe8], 3, [0xb5, 0x32, 0x12]],
];
for (const [name, control, words, pulse, bytes] of READS)
  test(`reading: ${name}`, () => {
    const rig = at(new PcRig(), 0).out(0x61, 1).out(0x43, control).out(0x42, 0x34);
    if (control & 0x20) rig.out(0x42, 0x12);
    at(rig, pulse).out(0x43, ...words);
    assert.equal(bytes.map(() => rig.in(0x42)), [...bytes]);
  });

test("a latched count stays what it was, and is gone after a new control word", () => {
  const rig = at(new PcRig(), 0).out(0x61, 1).out(0x43, 0xb4).out(0x42, 0x00, 0x10);
  at(rig, 5).out(0x43, 0x80);
  at(rig, 100);
  assert.equal([rig.in(0x42), rig.in(0x42)], [0xfc, 0x0f]);
  rig.out(0x43, 0x80, 0xb0).out(0x42, 0x05, 0x00);
  assert.equal([at(rig, 101).in(0x42), rig.in(0x42)], [5, 0]);
});

test("BCD: 0 is 10,000, and below 0 is 9,999", () => {
  const rig = at(new PcRig(), 0).out(0x61, 1).out(0x43, 0xb1).out(0x42, 0x02, 0x00);
  const reads = [1, 2, 3, 4, 5].map((pulse) => {
    at(rig, pulse).out(0x43, 0x80);
    return rig.in(0x42) | (rig.in(0x42) << 8);
  });
  assert.equal(reads, [2, 1, 0, 0x9999, 0x9998]);
});

test("the control word register cannot be read; counter 0 drives line 0 whatever port 0x61 says", () => {
  const rig = at(new PcRig(), 0).pics().out(0x61, 0);
  assert.is(rig.in(0x43), 0xff);
  rig.out(0x43, 0x34).out(0x40, 100, 0);
  rig.run((150 * 1e9) / PIT_HZ);
  assert.is(rig.acknowledge(), 0x20);
});
test.run();
