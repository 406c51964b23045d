/** The core against the processor the tests run on, with fresh random seeds: single instructions of every row, and whole programs
 *  until XENOLITH_INSTRUCTIONS (ten million) generated instructions have been compared, and a fifth as many with everything translated.
 *  Skipped where the recorder cannot be built, and what this machine cannot run (tests/hardware/host.ts), which is said. XENOLITH_SEED
 *  repeats a run. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fpuCasesOf } from "../cpu/fpu/cases";
import { FPU_ROWS } from "../cpu/fpu/rows";
import { casesOf } from "../cpu/integer/cases";
import { ROWS, type Row } from "../cpu/integer/rows";
import { hostOf } from "../hardware/host";
import { Vector } from "../../assembly/abi/x86";
import { buildNative, type Case, describe, differences, DONE, ENVS, type Result, runNative } from "../hardware/native";
import { isOtherFault } from "../hardware/two_faults";
import { BatchPc, type Under } from "../support/batch_pc";
import { EAGER } from "../support/test_pc";
import { compare, shrink } from "./native";
import { makeProgram, PROGRAM_WINDOWS } from "./programs";

const live = suite("core against this processor");
const native = buildNative();
const seed = process.env.XENOLITH_SEED ?? String(Date.now());
const INSTRUCTIONS = Number(process.env.XENOLITH_INSTRUCTIONS ?? 10_000_000);
const host = native ? hostOf(native) : null;
if (host?.without) console.log(`this machine does not run ${host.without}`);
const testIn = (env: number) => (host?.envs[env] ? live : live.skip);

/** AMD processors have a bit in MXCSR that is reserved on others and here: MM, for operands that are not aligned (APM Vol.1 "MXCSR Register"). */
const MM = 1 << 17;
function setsMisalignedMode(native: Result, core: Result): boolean {
  if (native.trap !== DONE || core.trap !== Vector.GP || !native.fpu) return false;
  return (new DataView(native.fpu.buffer, native.fpu.byteOffset).getUint32(24, true) & MM) !== 0;
}

function everyRow(title: string, rows: readonly Row[], count: number, make: (row: Row, env: number, count: number, seed: string) => readonly (Case & { defined: number })[]): void {
  for (const under of ["compatibility", "legacy"] as readonly Under[])
    ENVS.forEach((environment, env) => {
      if (environment.bits === 64 && under === "legacy") return;
      testIn(env)(`every ${title} row in ${environment.name} code, ${under} (seed ${seed})`, async () => {
        const pc = await BatchPc.create();
        const cases = rows.flatMap((row) => make(row, env, count, seed).filter((c) => host!.runs(c)).map((c) => ({ row, c })));
        const results = runNative(native!, cases.map(({ c }) => c));
        const wrong: string[] = [];
        cases.forEach(({ row, c }, i) => {
          const got = pc.run(c, under);
          const found = differences(c, results[i], got, c.defined);
          const known = row.name === "cmps" ? isOtherFault(native!, c, results[i], got) : row.name === "ldmxcsr" && setsMisalignedMode(results[i], got);
          if (found.length && !known) wrong.push(`${row.key}: ${describe(c)}: ${found.join("; ")}`);
        });
        console.log(`${title} rows in ${environment.name} code, ${under}: cases: ${cases.length}, mismatches: ${wrong.length}`);
        assert.is(wrong.length, 0, `${wrong.length} wrong:\n${wrong.slice(0, 8).join("\n")}`);
      });
    });
}
everyRow("integer", ROWS, 100, casesOf);
everyRow("FPU", FPU_ROWS, 50, fpuCasesOf);

const BATCH = 400;
const MIXES: readonly (readonly [env: number, fpu: boolean, under: Under])[] = [
  [0, true, "compatibility"],
  [0, false, "compatibility"],
  [1, true, "compatibility"],
  [1, false, "legacy"],
  [1, true, "legacy"],
];
const runnable = MIXES.filter(([env]) => host?.envs[env]);

/** Translating every loop takes five times as long as running it. Half of those programs have to ask for their pages again and again. */
const KINDS = [["interpreted", false, INSTRUCTIONS], ["translated", EAGER, INSTRUCTIONS / 5]] as const;
for (const [kind, jit, wanted] of KINDS)
testIn(0)(`programs of integer, x87, MMX and SSE instructions, ${kind} (seed ${seed})`, async () => {
  const pcs = await Promise.all(runnable.map(() => BatchPc.create(PROGRAM_WINDOWS, undefined, jit)));
  let generated = 0;
  let programs = 0;
  const executed = () => pcs.reduce((n, pc) => n + pc.executed, 0);
  for (let round = 0; generated < wanted; round++) {
    const mix = round % runnable.length;
    const [env, fpu, under] = runnable[mix];
    pcs[mix].forgetful = jit && round % 2 ? 400 : 0;
    const batch = Array.from({ length: BATCH }, (_, i) => makeProgram(env, `${seed} ${round} ${i}`, fpu));
    const found = compare(native!, pcs[mix], batch, under);
    const bad = found.findIndex((f) => f.length > 0);
    if (bad >= 0) {
      const small = shrink(native!, pcs[mix], batch[bad], under);
      const units = small.units.map(([at, length]) => small.code.slice(at, at + length)).filter((code) => code.some((byte) => byte !== 0x90));
      const listing = units.map((code) => [...code].map((b) => b.toString(16).padStart(2, "0")).join(" ")).join("\n");
      assert.unreachable(`round ${round}, program ${bad} of ${ENVS[env].name} code, ${under}: ${found[bad].join("; ")}\nshrunk: ${describe(small)}\n${listing}`);
    }
    generated += batch.reduce((n, program) => n + program.units.length, 0);
    programs += BATCH;
  }
  console.log(`${kind}: programs: ${programs}, instructions generated: ${generated}, executed: ${executed()}, mismatches: 0`);
});

live.run();
