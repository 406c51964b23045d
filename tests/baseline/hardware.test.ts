/** The baseline does what a processor did in 32- and 16-bit code: the recorded cases of tests/cpu/integer. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { casesOf } from "../cpu/integer/cases";
import { ROWS } from "../cpu/integer/rows";
import { readVectors, unpackResult } from "../hardware/case_vectors";
import { describe, differences, ENVS } from "../hardware/native";
import { BaselineRunner } from "./runner";

declare const XENOLITH_ROOT: string;

const hardware = suite("baseline against recorded hardware");
const { header, results } = readVectors(join(XENOLITH_ROOT, "tests/hardware/integer.vectors.gz"));
const byKey = new Map<string, { at: number; cases: number }>();
let offset = 0;
for (const [env, key, cases, bytes] of header.rows) {
  byKey.set(`${env} ${key}`, { at: offset, cases });
  offset += bytes;
}

const runner = new BaselineRunner();
ENVS.forEach((environment, env) => {
  if (environment.bits === 64) return;
  hardware(`${environment.name} code`, () => {
    const wrong: string[] = [];
    for (const row of ROWS) {
      const recorded = byKey.get(`${env} ${row.key}`);
      if (!recorded) continue;
      let { at } = recorded;
      for (const c of casesOf(row, env, recorded.cases)) {
        const [want, next] = unpackResult(c, results, at);
        at = next;
        const found = differences(c, want, runner.run(c), c.defined);
        if (found.length) wrong.push(`${row.key}: ${describe(c)}: ${found.join("; ")}`);
      }
    }
    assert.is(wrong.length, 0, `${wrong.length} wrong:\n${wrong.filter((w, i) => i === 0 || w.split(":")[0] !== wrong[i - 1].split(":")[0]).join("\n")}`);
  });
});

hardware.run();
