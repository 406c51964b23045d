/** The same shell script by the same busybox, in a guest and on the host. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { withGuest } from "./guest_console";
import { linuxOrSkip, guestOrSkip } from "./guests";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const script = join(root, "tests/guests/userland.sh");

export interface UserlandLoad {
  /** MB for the checksum of zeros. */
  readonly megabytes: number;
  readonly processes: number;
  readonly seconds: number;
}

/** What busybox `name` of guests/fetch.mjs prints on the host. Null where it cannot run. */
function onHost(busybox: string, { megabytes, processes }: UserlandLoad): string | null {
  const folder = mkdtempSync(join(tmpdir(), "xenolith-userland-"));
  try {
    const applets = spawnSync(busybox, ["--list"], { encoding: "utf8" });
    if (applets.status !== 0) return null;
    for (const part of ["bin", "work"]) mkdirSync(join(folder, part));
    for (const name of applets.stdout.trim().split("\n")) symlinkSync(busybox, join(folder, "bin", name));
    const args = [script, join(folder, "work"), busybox, String(megabytes), String(processes)];
    const run = spawnSync(join(folder, "bin/sh"), args, { encoding: "utf8", env: { PATH: join(folder, "bin") }, timeout: 60_000 });
    return run.status === 0 ? run.stdout : null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The output in parts, by title. */
function parts(output: string): Record<string, string[]> {
  const pieces = output.split(/^== (.*)\n/m).slice(1);
  return Object.fromEntries(pieces.flatMap((title, n) => (n % 2 ? [] : [[title, pieces[n + 1].split("\n")]])));
}

/** A test body: Linux guest `name` must print what the host prints, part by part. Null when there is no such guest or host. */
export async function userland(name: string, load: UserlandLoad): Promise<(() => Promise<void>) | null> {
  const files = [{ path: "userland.sh", data: readFileSync(script, "utf8") }];
  const folder = mkdtempSync(join(tmpdir(), "xenolith-userland-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const guest = await linuxOrSkip(name, { files, file: join(folder, "initramfs.cpio") });
  const busybox = guest && (await guestOrSkip(name.endsWith("-i386") ? "busybox-i386" : "busybox"))?.busybox;
  const expected = busybox ? onHost(busybox, load) : null;
  if (guest && expected === null) console.log("skipped: this host cannot run the guest's busybox");
  if (!guest || expected === null) return null;
  return async () => {
    const start = { kernel: guest.kernel ?? "", ramdisk: guest.ramdisk, cmdline: "console=hvc0 quiet" };
    await withGuest(start, async (guest) => {
      await guest.expect(/guest:\/root# /, 90);
      await guest.batch();
      const command = `mkdir /tmp/work; sh /userland.sh /tmp/work /bin/busybox ${load.megabytes} ${load.processes}`;
      const { text } = await guest.run(command, load.seconds);
      const [ours, theirs] = [parts(text), parts(expected)];
      assert.equal(Object.keys(ours), Object.keys(theirs));
      for (const [title, lines] of Object.entries(theirs)) assert.equal(ours[title], lines, title);
    });
  };
}
