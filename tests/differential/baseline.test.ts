/** The baseline and the core, which share nothing but the table of encodings, agree on random 32-bit programs with loops, branches,
 *  subroutines and strings. XENOLITH_SEED repeats a run. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BaselineRunner } from "../baseline/runner";
import { casesOf } from "../cpu/integer/cases";
import { ROWS } from "../cpu/integer/rows";
import { describe, differences } from "../hardware/native";
import { BatchPc } from "../support/batch_pc";
import { makeProgram, PROGRAM_FLAGS, PROGRAM_WINDOWS, type Program, without } from "./programs";

const both = suite("baseline against core");
const seed = process.env.XENOLITH_SEED ?? String(Date.now());
const FLAT32 = 1;
const PROGRAMS = 300;
const BUDGET = 2_000_000;

function compare(pc: BatchPc, runner: BaselineRunner, program: Program): string[] {
  return differences(program, pc.run(program, "legacy", BUDGET), runner.run(program, BUDGET), PROGRAM_FLAGS, PROGRAM_WINDOWS);
}

/** Leaves out unit after unit as long as there is a difference. */
function shrink(pc: BatchPc, runner: BaselineRunner, program: Program): Program {
  const removed: number[] = [];
  for (let i = 0; i < program.units.length; i++) if (compare(pc, runner, without(program, [...removed, i])).length) removed.push(i);
  return without(program, removed);
}

both(`${PROGRAMS} programs (seed ${seed})`, async () => {
  const pc = await BatchPc.create(PROGRAM_WINDOWS);
  const runner = new BaselineRunner(PROGRAM_WINDOWS);
  for (let i = 0; i < PROGRAMS; i++) {
    const program = makeProgram(FLAT32, `${seed} baseline ${i}`);
    const found = compare(pc, runner, program);
    if (found.length) assert.unreachable(`seed ${seed}, program ${i}: ${found.join("; ")}\nshrunk: ${describe(shrink(pc, runner, program))}`);
  }
});

both(`every row, fresh operands (seed ${seed})`, async () => {
  const pc = await BatchPc.create();
  const runner = new BaselineRunner();
  const wrong: string[] = [];
  for (const row of ROWS)
    for (const c of casesOf(row, FLAT32, 8, seed)) {
      const found = differences(c, pc.run(c, "legacy"), runner.run(c), c.defined);
      if (found.length) wrong.push(`${row.key}: ${describe(c)}: ${found.join("; ")}`);
    }
  assert.is(wrong.length, 0, `seed ${seed}, ${wrong.length} wrong:\n${wrong.slice(0, 8).join("\n")}`);
});

both.run();
