/** Test kernels of other people's, which are not part of this project: XENOLITH_TEST_KERNELS names files, with spaces between, such as
 *  kvm-unit-tests' `x86/*.flat` and the Xen Test Framework's `test-hvm*`. Each runs translated and interpreted. One with a PVH note runs as a PVH
 *  domain and says "Test result: SUCCESS" or "SKIP"; any other on the bare PC, and writes 0 to the debug exit, or 38 where it skips. */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseElf } from "../../src/domains/elf";
import { xenNotes } from "../../src/domains/xen_notes";
import { readText, testMachine, within } from "../support/machine";

const test = suite("other people's test kernels");
const files = (process.env.XENOLITH_TEST_KERNELS ?? "").split(/\s+/).filter(Boolean);
if (files.length === 0) console.log("skipped: XENOLITH_TEST_KERNELS names no test kernels");

const PATIENCE = 300_000;
const MEMORY = 256;
/** What the program's exit status becomes (src/io/debug_exit.ts). */
const [PASSED, SKIPPED] = [1, 77];

for (const file of files)
  for (const jit of [true, false])
    test(`${basename(file)}, ${jit ? "translated" : "interpreted"}`, async () => {
      const kernel = new Uint8Array(await readFile(file));
      const type = xenNotes(parseElf(kernel, file)).physEntry === undefined ? "hvm" : "pvh";
      const { machine } = await testMachine({ memory: MEMORY + 8, pcpus: 1, jit });
      try {
        const domain = await machine.createDomain({ type, kernel, memory: MEMORY, debugExit: type === "hvm" });
        const text = readText(domain.console.readable);
        const { status } = await within(PATIENCE, "the kernel's end", domain.stopped);
        const said = await text;
        if (type === "hvm" ? status === SKIPPED : /^Test result: SKIP\s*$/m.test(said)) console.log(`${basename(file)} skips itself`);
        else assert.ok(type === "hvm" ? status === PASSED : /^Test result: SUCCESS\s*$/m.test(said), said.slice(-4000));
      } finally {
        await machine.destroy();
      }
    });

test.run();
