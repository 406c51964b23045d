/** Every x87 instruction form gives what an x86 processor gave (tests/hardware/x87.c, AMD EPYC family 19h model 11h), bit for
 *  bit: registers, tags, status word, memory operand, flags. Transcendentals may differ by one unit in the last place,
 *  the bound the manual states (SDM Vol.1 "Transcendental Instruction Accuracy"). */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff } from "../../../assembly/abi/layout";
import { type Case, type Group, readVectors } from "./vectors";
import { X87Machine } from "./machine";

const root = (globalThis as { XENOLITH_ROOT?: string }).XENOLITH_ROOT ?? process.cwd();
const { groups, rest } = readVectors(join(root, "tests/cpu/x87/epyc-zen4.bin.gz"));
const machine = await X87Machine.create();

/** Allowed to transcendentals; 0 lists where we round and the processor does not quite. */
const ULPS = BigInt(process.env.ULPS ?? 1);

const hex = (bytes: Uint8Array) => [...bytes].reverse().map((byte) => byte.toString(16).padStart(2, "0")).join("");
const hex4 = (value: number) => value.toString(16).padStart(4, "0");

/** D9 F0..F3, F9, FB, FE, FF. */
const isTranscendental = ([b0, b1]: readonly number[]) => b0 === 0xd9 && [0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff].includes(b1);

/** Value of a register as a number of units in the last place from zero; consecutive values differ by one. */
function ordinal(bytes: Uint8Array): bigint {
  const magnitude = BigInt(`0x${hex(bytes)}`) & ((1n << 79n) - 1n);
  const exponent = magnitude >> 64n, significand = magnitude & ((1n << 64n) - 1n);
  const units = (exponent << 63n) + (significand & ((1n << 63n) - 1n));
  return bytes[9] & 0x80 ? -units : units;
}

function differs(want: Uint8Array, got: Uint8Array, ulps: bigint): boolean {
  if (hex(want) === hex(got)) return false;
  const d = ordinal(want) - ordinal(got);
  return d > ulps || -d > ulps;
}

/** What the machine does with one case, as a list of differences. */
function replay(group: Group, one: Case): string[] {
  const top = (one.fsw >> 11) & 7, wrong: string[] = [];
  machine.set16(PcpuOff.fcw, one.fcw);
  machine.set16(PcpuOff.fsw, one.fsw);
  machine.set16(PcpuOff.ftag, one.used);
  machine.set64(PcpuOff.rflags, BigInt(one.eflags | 0x892));
  machine.set32(PcpuOff.flagsKind, 0);
  machine.set64(PcpuOff.gpr, 0n);
  const before = Array.from({ length: 8 }, (_, n) => [one.a, one.b, ...rest][(n - top) & 7]);
  for (let n = 0; n < 8; n++) machine.register(n).set(before[n]);
  machine.operand(16).fill(0xa5);
  if (!group.writes) machine.operand(10).set(one.b);
  const fault = machine.run(group.bytes);
  if (fault >= 0) wrong.push(`fault ${fault}`);

  const loose = isTranscendental(group.bytes), { after } = one;
  const mask = loose ? 0x200 : 0; // C1, the direction of a rounding that may itself differ
  const fsw = machine.get16(PcpuOff.fsw);
  if ((fsw ^ after.fsw) & ~mask) wrong.push(`fsw ${hex4(fsw)} not ${hex4(after.fsw)}`);
  for (let n = 0; n < 8; n++) {
    const got = machine.register(n), want = after.registers.get(n) ?? before[n];
    if (differs(want, got, loose ? ULPS : 0n)) wrong.push(`r${n} ${hex(got)} not ${hex(want)}`);
  }
  if (after.memory) {
    const got = machine.operand(group.memorySize);
    if (hex(got) !== hex(after.memory)) wrong.push(`memory ${hex(got)} not ${hex(after.memory)}`);
  }
  if (after.eflags !== undefined) {
    const got = machine.exports.status(), want = (after.eflags & 0xff) | ((after.eflags >> 8) << 8);
    if (got !== want) wrong.push(`flags ${hex4(got)} not ${hex4(want)}`);
    const ax = machine.get16(PcpuOff.gpr);
    if (group.bytes[0] === 0xdf && group.bytes[1] === 0xe0 && ax !== after.ax) wrong.push(`ax ${hex4(ax)} not ${hex4(after.ax ?? 0)}`);
  }
  machine.run([0xd9, 0x36]); // FNSTENV: what the tag word says about the contents
  const tags = machine.view.getUint16(X87Machine.OPERAND + 8, true);
  if (tags !== after.tags) wrong.push(`tags ${hex4(tags)} not ${hex4(after.tags)}`);
  return wrong;
}

const x87 = suite("x87 as on hardware");
let mismatches = 0;
for (const group of groups) {
  const name = group.bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
  x87(`${name}: ${group.cases.length} cases`, () => {
    const failures: string[] = [];
    for (const one of group.cases) {
      const wrong = replay(group, one);
      if (wrong.length)
        failures.push(
          `fcw ${hex4(one.fcw)} fsw ${hex4(one.fsw)} used ${one.used.toString(2)} a ${hex(one.a)} b ${hex(one.b)}: ${wrong.join("; ")}`,
        );
    }
    mismatches += failures.length;
    assert.is(failures.length, 0, `${failures.length} of ${group.cases.length}:\n${failures.slice(0, Number(process.env.SHOW ?? 4)).join("\n")}`);
  });
}
x87("enough was compared", () => {
  const cases = groups.reduce((n, group) => n + group.cases.length, 0);
  console.log(`x87 results: ${groups.length} encodings, ${cases} cases, ${mismatches} mismatches`);
  assert.is(mismatches, 0);
});
x87.run();
