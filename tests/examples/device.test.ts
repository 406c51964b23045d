/** examples/device.mjs does what it says. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { multibootKernel, nasmMissing } from "../support/nasm";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const test = suite("examples");

(nasmMissing ? test.skip : test)("a device of one's own", () => {
  const folder = mkdtempSync(join(tmpdir(), "xenolith-"));
  try {
    const kernel = multibootKernel(`
      mov dx, 0x500
      mov al, 7
      out dx, al
      in al, dx
      movzx eax, al
      call hex
      mov eax, [0xd0000010]
      call hex
      cli
      hlt`);
    writeFileSync(join(folder, "kernel.elf"), kernel);
    const run = spawnSync(process.execPath, [join(root, "examples/device.mjs"), join(folder, "kernel.elf")], { cwd: root, encoding: "utf8", timeout: 60_000 });
    assert.is(run.stderr, "");
    assert.is(run.stdout.replaceAll("\n", "|"), "the guest bets 7|0000002A D0000014 the domain stopped: poweroff |");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();
