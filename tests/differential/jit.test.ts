/** Translated code and the interpreter agree on random programs with loops, branches, subroutines, strings and faults, and on the
 *  benchmark-like loops below. XENOLITH_SEED repeats a run. Against the processor itself: native.long.ts. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../assembly/abi/jit";
import { PcpuOff, Region } from "../../assembly/abi/layout";
import { describe, differences, ENVS } from "../hardware/native";
import { BatchPc } from "../support/batch_pc";
import { EAGER } from "../support/test_pc";
import { waysOf } from "../support/ways";
import { makeProgram, PROGRAM_FLAGS, PROGRAM_WINDOWS, type Program, without } from "./programs";

const both = suite("translated against interpreted");
const seed = process.env.XENOLITH_SEED ?? String(Date.now());
/** How the translating processor runs: as it is meant to, with loops that are in pieces, with pages it has to ask for again and again, compared at each exit of a region. */
const WAYS = [
  { name: "", programs: 250, jit: EAGER, forgetful: 0 },
  { name: ", short regions", programs: 500, jit: { ...EAGER, insns: 20 }, forgetful: 0 },
  { name: ", ways followed", programs: 250, jit: { ...EAGER, insns: 20, crossed: 2 }, forgetful: 0 },
  { name: ", ways followed, each region checked", programs: 120, jit: { ...EAGER, insns: 20, crossed: 2, check: true }, forgetful: 50 },
  { name: ", pages forgotten", programs: 120, jit: EAGER, forgetful: 600 },
  { name: ", each region checked", programs: 120, jit: { ...EAGER, check: true }, forgetful: 0 },
  { name: ", each region checked, pages forgotten", programs: 120, jit: { ...EAGER, check: true }, forgetful: 50 },
] as const;
const BUDGET = 2_000_000;

function compare(translated: BatchPc, interpreted: BatchPc, program: Program): string[] {
  return differences(program, interpreted.run(program, "legacy", BUDGET), translated.run(program, "legacy", BUDGET), PROGRAM_FLAGS, PROGRAM_WINDOWS);
}

/** Leaves out unit after unit as long as there is a difference. */
function shrink(translated: BatchPc, interpreted: BatchPc, program: Program): Program {
  const removed: number[] = [];
  for (let i = 0; i < program.units.length; i++) if (compare(translated, interpreted, without(program, [...removed, i])).length) removed.push(i);
  return without(program, removed);
}

const CODE = [["64-bit", 0], ["32-bit", 1]] as const;
for (const [{ name, programs, jit, forgetful }, [bits, env]] of WAYS.flatMap((way) => CODE.map((code) => [way, code] as const)))
  both(`${programs} programs of ${bits} code${name} (seed ${seed})`, async () => {
    assert.is(ENVS[env].bits, env === 0 ? 64 : 32);
    const translated = await BatchPc.create(PROGRAM_WINDOWS, undefined, jit);
    translated.forgetful = forgetful;
    const interpreted = await BatchPc.create(PROGRAM_WINDOWS, undefined, false);
    let withWays = 0; // programs: the next one's code takes the place of their regions
    for (let i = 0; i < programs; i++) {
      const program = makeProgram(env, `${seed} jit${name} ${i}`, i % 3 === 0);
      const found = compare(translated, interpreted, program);
      if (waysOf(translated.memory)) withWays++;
      if (found.length) {
        const small = shrink(translated, interpreted, program);
        const units = small.units.map(([at, length]) => [...small.code.slice(at, at + length)].map((b) => b.toString(16).padStart(2, "0")).join(" "));
        assert.unreachable(`seed ${seed}, program ${i}: ${found.join("; ")}\nshrunk: ${describe(small)}\n${units.filter((code) => !/^(90 ?)+$/.test(code)).join("\n")}`);
      }
    }
    const words = (pc: BatchPc, word: number) => pc.memory.get32(Region.PCPUS + PcpuOff.JIT + word);
    assert.ok(words(translated, JitOff.translated) > programs, "programs were translated");
    assert.is(words(translated, JitOff.failures), 0, "modules the host refused");
    assert.is(words(interpreted, JitOff.translated), 0);
    if ("crossed" in jit) assert.ok(withWays > programs / 10, `${withWays} programs had regions of ways`);
  });

both.run();
