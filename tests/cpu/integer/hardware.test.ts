/** Every general-purpose and string instruction does what a processor did: registers, flags the manual defines, memory, and
 *  faults with error code and CR2, in 64-bit, 32-bit and 16-bit code with flat and odd segments (tests/hardware/integer.c). */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readVectors, unpackResult } from "../../hardware/integer_vectors";
import { describe, differences, ENVS } from "../../hardware/native";
import { BatchPc, type Under } from "../../support/batch_pc";
import { casesOf, exists } from "./cases";
import { ROWS } from "./rows";

declare const XENOLITH_ROOT: string;

const hardware = suite("integer instructions against recorded hardware");
const { header, results } = readVectors(join(XENOLITH_ROOT, "tests/hardware/integer.vectors.gz"));
const byKey = new Map<string, { at: number; cases: number }>();
let offset = 0;
for (const [env, key, cases, bytes] of header.rows) {
  byKey.set(`${env} ${key}`, { at: offset, cases });
  offset += bytes;
}

hardware("every row has recorded cases in every mode it exists in", () => {
  for (const row of ROWS) ENVS.forEach((_, env) => exists(row, env) && assert.ok(byKey.has(`${env} ${row.key}`), `${row.key}: record again (tests/hardware/integer_record.ts)`));
});

let pc: BatchPc;
hardware.before(async () => {
  pc = await BatchPc.create();
});

for (const under of ["compatibility", "legacy"] as readonly Under[])
  ENVS.forEach((environment, env) => {
    if (environment.bits === 64 && under === "legacy") return;
    hardware(`${environment.name} code${environment.bits === 64 ? "" : under === "legacy" ? " without long mode" : " under long mode"}`, () => {
      const wrong: string[] = [];
      for (const row of ROWS) {
        const recorded = byKey.get(`${env} ${row.key}`);
        if (!recorded) continue;
        let { at } = recorded;
        for (const c of casesOf(row, env, recorded.cases)) {
          const [want, next] = unpackResult(c, results, at);
          at = next;
          const found = differences(c, want, pc.run(c, under), c.defined);
          if (found.length) wrong.push(`${row.key}: ${describe(c)}: ${found.join("; ")}`);
        }
      }
      assert.is(wrong.length, 0, `${wrong.length} wrong:\n${wrong.slice(0, 8).join("\n")}`);
    });
  });

hardware.run();
