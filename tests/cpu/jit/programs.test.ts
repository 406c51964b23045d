/** The programs of the benchmarks, translated and checked against the interpreter at every entry of a region (jit: { check: true });
 *  their checksums are what the interpreter alone computes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildImage, whyNoCompiler } from "../../../bench/build_programs";
import { coreEngine } from "../../../bench/engines/core";
import { type Bits, PROGRAMS } from "../../../bench/programs";

const programs = suite("programs, translated and checked");
const missing = whyNoCompiler();
if (missing) console.log(`skipped: ${missing}`);

const ROUNDS = 1000; // as many times fewer than for a measurement
const LIMIT = 30_000;
const interpreted = coreEngine("interpreted", { shared: false, jit: false });
const checked = coreEngine("checked", { shared: false, jit: { check: true, threshold: 4, slice: 1000, crossed: 20 } });

/** Lays out 16 MiB in random order first: the checker copies a page for nearly every store. */
const SPREAD = "chase";

for (const [i, program] of PROGRAMS.entries()) {
  if (program.name === SPREAD) continue;
  const bits: Bits = i % 2 ? 32 : 64;
  (missing ? programs.skip : programs)(`${program.title}, ${bits} bits`, async () => {
    const image = buildImage(program, bits);
    const count = Math.ceil(program.count / ROUNDS);
    const [left, right] = [await checked.load(image), await interpreted.load(image)];
    const { checksum } = await right.run(count, LIMIT);
    assert.is((await left.run(count, LIMIT)).checksum, checksum);
    left.close();
    right.close();
  });
}

programs.run();
