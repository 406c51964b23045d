/** Debian from its first instruction to the shell and a few programs, all that is translated checked against the interpreter at
 *  every entry of a region: no difference. */
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { linuxOrSkip } from "../support/guests";
import { readText, testMachine, within } from "../support/machine";

const guest = await linuxOrSkip("debian");
const test = suite("Debian, translated and checked");
const WORK = "seq 1 3000 | gzip | gunzip | sha256sum; awk 'BEGIN { for (i = 0; i < 3000; i++) s = (s * 3 + i % 7) % 10007; print s }'; i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; find / -xdev | wc -l";

(guest ? test : test.skip)("boot, pipes, a script", async () => {
  const { machine, log } = await testMachine({ memory: 256, pcpus: 1, jit: { check: true } });
  try {
    const [kernel, ramdisk] = [guest?.kernel ?? "", guest?.ramdisk ?? ""].map((file) => readFileSync(file));
    const domain = await machine.createDomain({ kernel, ramdisk, memory: 256, cmdline: `console=hvc0 quiet rc="${WORK}; poweroff -f"` });
    const text = readText(domain.console.readable);
    const { reason } = await within(600_000, "power-off", domain.stopped);
    assert.is(reason, "poweroff", log.join("\n"));
    let sum = 0;
    for (let i = 0; i < 3000; i++) sum = (sum * 3 + (i % 7)) % 10007;
    assert.ok((await text).includes(`\n${sum}\r\n`), await text);
    const { checked, unchecked } = machine.jit;
    console.log(`${checked} entries checked, ${unchecked} not`);
    assert.ok(checked > 100_000);
    assert.ok(unchecked < checked / 1000);
  } finally {
    await machine.destroy();
  }
});

test.run();
