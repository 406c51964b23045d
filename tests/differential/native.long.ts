/** The core against the processor the tests run on, with fresh random seeds: single instructions of every row, and whole programs.
 *  Skipped where the recorder cannot be built. XENOLITH_SEED repeats a run. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { casesOf } from "../cpu/integer/cases";
import { ROWS } from "../cpu/integer/rows";
import { buildNative, describe, differences, ENVS, runNative } from "../hardware/native";
import { BatchPc, type Under } from "../support/batch_pc";
import { compare, shrink } from "./native";
import { makeProgram, PROGRAM_WINDOWS } from "./programs";

const live = suite("core against this processor");
const native = buildNative();
const seed = process.env.XENOLITH_SEED ?? String(Date.now());
const test = native ? live : live.skip;

for (const under of ["compatibility", "legacy"] as readonly Under[])
  ENVS.forEach((environment, env) => {
    if (environment.bits === 64 && under === "legacy") return;
    test(`every row in ${environment.name} code, ${under} (seed ${seed})`, async () => {
      const pc = await BatchPc.create();
      const cases = ROWS.flatMap((row) => casesOf(row, env, 100, seed).map((c) => ({ row, c })));
      const results = runNative(native!, cases.map(({ c }) => c));
      const wrong: string[] = [];
      cases.forEach(({ row, c }, i) => {
        const found = differences(c, results[i], pc.run(c, under), c.defined);
        if (found.length) wrong.push(`${row.key}: ${describe(c)}: ${found.join("; ")}`);
      });
      assert.is(wrong.length, 0, `${wrong.length} wrong:\n${wrong.slice(0, 8).join("\n")}`);
    });
  });

for (const env of [0, 1])
  test(`programs of ${ENVS[env].name} code (seed ${seed})`, async () => {
    const pc = await BatchPc.create(PROGRAM_WINDOWS);
    for (let round = 0; round < 60; round++) {
      const programs = Array.from({ length: 300 }, (_, i) => makeProgram(env, `${seed} ${round} ${i}`));
      const found = compare(native!, pc, programs);
      const bad = found.findIndex((f) => f.length > 0);
      if (bad < 0) continue;
      const small = shrink(native!, pc, programs[bad]);
      assert.unreachable(`round ${round}, program ${bad}: ${found[bad].join("; ")}\nshrunk: ${describe(small)}`);
    }
  });

live.run();
