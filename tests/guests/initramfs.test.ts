/** The archive format is Linux's (buffer-format.rst); GNU cpio, where it is installed, reads it as an independent judge. */
import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { guestOrSkip, guestScript } from "../support/guests";

const test = suite("initramfs");
type Cpio = (entries: object[]) => Uint8Array;
const cpio = (await guestScript("cpio")).cpio as unknown as Cpio;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

test("a header has 13 fields of 8 hexadecimal digits and everything is aligned to 4", () => {
  const archive = cpio([{ path: "init", data: "hi", mode: 0o755 }]);
  //             magic   ino     mode    uid     gid     nlink   mtime   size    dev        rdev       name    check
  assert.is(
    text(archive.subarray(0, 110)),
    `070701${"00000001 000081ED 00000000 00000000 00000001 00000000 00000002 00000000 00000000 00000000 00000000 00000005 00000000".replaceAll(" ", "")}`,
  );
  assert.is(text(archive.subarray(110, 120)), "init\0\0hi\0\0"); // the name ends at 115, its data starts at 116
  assert.is(archive.length % 4, 0);
  assert.match(text(archive), /TRAILER!!!/);
});

test("paths that leave the root, repeat or say nothing are refused", () => {
  for (const entries of [[{ path: "../x", data: "" }], [{ path: "/", data: "" }], [{ path: "a", data: "" }, { path: "/a/", data: "" }], [{ path: "a" }]])
    assert.throws(() => cpio(entries));
});

const hasCpio = spawnSync("cpio", ["--version"]).status === 0;
if (!hasCpio) console.log("skipped: cpio is not installed");
const list = (archive: Uint8Array): string[] => {
  const { stdout, status } = spawnSync("cpio", ["-tv", "--quiet"], { input: archive, encoding: "utf8" });
  assert.is(status, 0);
  return stdout.trim().split("\n");
};

(hasCpio ? test : test.skip)("cpio lists parents, files, links and devices", () => {
  const lines = list(
    cpio([
      { path: "a/b/file", data: new Uint8Array(1000), mode: 0o600 },
      { path: "a/link", symlink: "b/file" },
      { path: "dev/console", device: [5, 1] },
      { path: "empty", directory: true },
    ]),
  );
  const shapes = lines.map((line) => line.replace(/\s+/g, " ").replace(/ \w{3} +\d+ \d{4} /, " "));
  assert.equal(shapes, [
    "drwxr-xr-x 1 root root 0 a",
    "drwxr-xr-x 1 root root 0 a/b",
    "-rw------- 1 root root 1000 a/b/file",
    "lrwxrwxrwx 1 root root 6 a/link -> b/file",
    "drwxr-xr-x 1 root root 0 dev",
    "crw------- 1 root root 5, 1 dev/console",
    "drwxr-xr-x 1 root root 0 empty",
  ]);
});

const debian = await guestOrSkip("debian");
const busybox = await guestOrSkip("busybox");
(debian && busybox ? test : test.skip)("Debian's gets busybox, the Xen modules and what they depend on, in order", async () => {
  const { initramfs } = (await guestScript("initramfs")) as unknown as { initramfs: (options: object) => Uint8Array };
  const archive = initramfs({ busybox: busybox!.busybox, modules: debian!.modules, extraModules: ["ext4"], rc: "echo ready" });
  const whole = text(archive);
  const home = `lib/modules/${debian!.release}`;
  for (const path of ["init", "bin/sh", "sbin/modprobe", "etc/rc", `${home}/kernel/drivers/block/xen-blkfront.ko`, `${home}/kernel/fs/ext4/ext4.ko`])
    assert.ok(whole.includes(`${path}\0`), path);
  assert.match(whole, "alias xen:vbd xen_blkfront\n");
  // modprobe loads from the last to the first: what 9p needs, before what needs it.
  const line = /kernel\/fs\/9p\/9p\.ko: (.*)\n/.exec(whole)![1].split(" ");
  const place = (name: string): number => line.findIndex((path) => path.endsWith(`/${name}.ko`));
  assert.ok(place("fscache") >= 0 && place("fscache") < place("netfs") && place("9pnet") >= 0, line.join(" "));
  if (hasCpio) assert.ok(list(archive).length > 280);
});

test.run();
