/** What an image or a configuration can contain without its author meaning well: refused in one line that names it, within
 *  moderate time and memory, and nothing half-made is left. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ConfigError, type DomainConfig, DomainError, ImageError } from "../../src/index";
import { makeElf, xenNote } from "../domains/elf_image";
import { testMachine, within } from "../support/machine";
import { Random } from "../support/random";
import { tinyKernel } from "../support/tiny_kernel";

const kernel = tinyKernel();
const MIB = 2 ** 20;
const PHDR = 52;
const NOTE = PHDR + 32;

/** The tiny kernel with 32-bit words changed: [offset, value]. */
function changed(...words: (readonly [at: number, value: number])[]): Uint8Array<ArrayBuffer> {
  const copy = kernel.slice();
  for (const [at, value] of words) new DataView(copy.buffer).setUint32(at, value, true);
  return copy;
}

/** A bzImage whose payload is `payload` (Documentation/x86/boot.rst). */
function bzImage(payload: Uint8Array, setup: readonly (readonly [at: number, value: number])[] = []): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(0x400 + payload.length);
  const view = new DataView(file.buffer);
  file[0x1f1] = 1; // setup_sects
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x20f, true);
  view.setUint32(0x248, 0, true); // payload_offset
  view.setUint32(0x24c, payload.length, true);
  file.set(payload, 0x400);
  for (const [at, value] of setup) view.setUint32(at, value, true);
  return file;
}

const api = suite("hostile images");
const { machine } = await testMachine({ memory: 64 });
api.after(() => machine.destroy());
const free = machine.freeMemory;

/** Creates and destroys; the error, if it was refused. */
async function offer(config: Partial<DomainConfig>): Promise<Error | null> {
  try {
    const domain = await within(20_000, "createDomain", machine.createDomain({ kernel, cmdline: "p", memory: 4, paused: true, ...config }));
    await domain.destroy();
    return null;
  } catch (error) {
    return error as Error;
  } finally {
    assert.is(machine.freeMemory, free, "memory");
    assert.equal(machine.domains, [], "domains");
    assert.equal(machine.xenstore.ls("/local/domain"), ["0"], "xenstore");
  }
}

function assertRefused(error: Error | null, what: string): void {
  assert.ok(error, `${what}: accepted`);
  assert.ok(error instanceof ConfigError || error instanceof ImageError || error instanceof DomainError, `${what}: ${error?.stack}`);
  assert.ok(!error.message.includes("\n") && error.message.length < 500, `${what}: ${error.message}`);
}

const zeros = new Uint8Array(64 * MIB);

/** An ELF file whose `count` segments (type 1: to load, 4: notes) are all of the same `bytes`. */
function piled(count: number, bytes: Uint8Array, type: number): Uint8Array<ArrayBuffer> {
  const image = makeElf(32, [...Array.from({ length: count - 1 }, () => ({ bytes: zeros.subarray(0, 0) })), { bytes }]);
  const view = new DataView(image.buffer);
  for (let n = 0; n < count; n++) {
    const at = PHDR + 32 * n;
    [type, image.length - bytes.length, 0x100000, 0x100000, bytes.length, bytes.length].forEach((word, k) => view.setUint32(at + 4 * k, word, true));
  }
  return image as Uint8Array<ArrayBuffer>;
}

/** An ELF file with a Multiboot header and `count` sections that are all of the file. */
function sectioned(count: number, size: number, fill: number): Uint8Array<ArrayBuffer> {
  const image = makeElf(32, [{ paddr: 0x100000, bytes: new Uint8Array(Uint32Array.of(0x1badb002, 0, -0x1badb002).buffer) }]);
  const whole = new Uint8Array(size + 40 * count).fill(fill);
  whole.set(image);
  const view = new DataView(whole.buffer);
  view.setUint32(24, 0x100000, true);
  view.setUint32(32, size, true);
  [40, count, 0].forEach((half, k) => view.setUint16(46 + 2 * k, half, true));
  for (let n = 0; n < count; n++) [1, 1, 0, 0, 0x1000, size - 0x1000, 0, 0, 1, 0].forEach((word, k) => view.setUint32(size + 40 * n + 4 * k, word, true));
  return whole;
}
//   what                              configuration
const REFUSED: [string, Partial<DomainConfig>][] = [
  ["no file at all", { kernel: new Uint8Array(0) }],
  ["only a magic number", { kernel: kernel.subarray(0, 4) }],
  ["headers beyond the file", { kernel: changed([28, 0xfffffff0]) }],
  ["65535 headers", { kernel: changed([44, 0xffff]) }],
  ["segment beyond the file", { kernel: changed([PHDR + 4, 0x7ffffff0]) }],
  ["segment larger than the file", { kernel: changed([PHDR + 16, 0x7fffffff]) }],
  ["segment of 4 GiB", { kernel: changed([PHDR + 20, 0xffffffff]) }],
  ["segment at the local APIC", { kernel: changed([PHDR + 8, 0xfee00000], [PHDR + 12, 0xfee00000]) }],
  ["segment past the end of memory", { kernel: changed([PHDR + 12, 0x3ff000], [PHDR + 20, 0x10000]) }],
  ["segment that wraps", { kernel: changed([PHDR + 12, 0xfffff000], [PHDR + 20, 0x2000]) }],
  ["note longer than its segment", { kernel: changed([52 + 64, 0xffffffff]) }],
  ["descriptor longer than its note", { kernel: changed([52 + 64 + 4, 0xfffffffc]) }],
  ["notes beyond the file", { kernel: changed([NOTE + 4, 0xffffff00]) }],
  ["no PVH note", { kernel: changed([52 + 64 + 8, 17]) }],
  ["entry outside of memory", { kernel: changed([52 + 64 + 16, 0xfffffff0]) }],
  ["4000 segments in one place", { kernel: piled(4000, zeros.subarray(0, 3 * MIB), 1) }],
  ["4000 segments of the same notes", { kernel: piled(4000, Uint8Array.from({ length: 4 * MIB }, (_, n) => xenNote(5, "xen-3.0")[n % 24]), 4) }],
  ["4000 names without an end", { type: "hvm", kernel: sectioned(4000, 8 * MIB, 0x41) }],
  ["4000 sections of the whole file", { type: "hvm", kernel: sectioned(4000, 8 * MIB, 0) }],
  ["section headers of 64 KiB", { type: "hvm", kernel: (() => {
    const image = sectioned(100, 8 * MIB, 0);
    new DataView(image.buffer).setUint16(46, 0xffff, true);
    return image;
  })() }],
  ["bzImage without payload", { kernel: bzImage(new Uint8Array(0)) }],
  ["bzImage whose payload is elsewhere", { kernel: bzImage(gzipSync(kernel), [[0x248, 0xfffffff0]]) }],
  ["bzImage whose payload is too long", { kernel: bzImage(gzipSync(kernel), [[0x24c, 0xffffffff]]) }],
  ["payload that is cut off", { kernel: bzImage(gzipSync(kernel).subarray(0, 300)) }],
  ["payload of zeros", { kernel: bzImage(gzipSync(zeros)) }],
  ["xz header and noise", { kernel: bzImage(Uint8Array.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, ...zeros.subarray(0, 500).fill(0xa5)])) }],
  ["lz4 that promises 4 GiB", { kernel: bzImage(Uint8Array.from([0x02, 0x21, 0x4c, 0x18, 0xff, 0xff, 0xff, 0x7f, ...zeros.subarray(0, 500)])) }],
  ["ramdisk larger than memory", { ramdisk: zeros }],
  ["ramdisk that leaves no room", { ramdisk: zeros.subarray(0, 4 * MIB - 4096) }],
  ["command line of 4 MiB", { cmdline: "x".repeat(4 * MIB) }],
  ["command line with a NUL", { cmdline: "a\0b" }],
  ["no memory", { memory: 0 }],
  ["more memory than the machine has", { memory: 3073 }],
  ["memory beyond all numbers", { memory: Number.MAX_SAFE_INTEGER }],
  ["memory that is none", { memory: Number.NaN }],
];
for (const [what, config] of REFUSED) api(`refuses ${what}`, async () => assertRefused(await offer(config), what));

api("images with random damage are refused or run, and leave nothing", async () => {
  const random = new Random(7);
  const compressed = bzImage(gzipSync(kernel));
  for (let n = 0; n < 300; n++) {
    const image = (n % 3 === 2 ? compressed : kernel).slice();
    const headers = n % 3 === 2 ? 0x500 : 0x90;
    for (let changes = random.between(1, 4); changes > 0; changes--) {
      const at = random.chance(0.9) ? random.below(headers) : random.below(image.length);
      image[at] = random.pick([0, 0xff, 0x7f, 0x80, 1, random.below(256)]);
    }
    const error = await offer({ kernel: image });
    if (error) assertRefused(error, `damage ${n}`);
  }
});

api.run();

const limits = suite("memory at the limits");
for (const memory of [32, 3072, 3073])
  limits(`${memory} MiB`, async () => {
    const { machine } = await testMachine({ memory, pcpus: 1 });
    try {
      const domain = await machine.createDomain({ kernel, cmdline: "p", memory });
      assert.equal(await within(20_000, `${memory} MiB`, domain.stopped), { reason: "poweroff" });
    } finally {
      await machine.destroy();
    }
  });
limits.run();

const cli = suite("hostile configurations");
const folder = mkdtempSync(join(tmpdir(), "xenolith-"));
cli.after(() => rmSync(folder, { recursive: true }));
const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const file = (name: string, contents: string | Uint8Array) => {
  writeFileSync(join(folder, name), contents);
  return name;
};
file("tiny", kernel);
file("zeros", zeros.subarray(0, 8 * MIB));

//   what                     file                                                         settings          the line names
const BAD: [string, string | Uint8Array, string[], RegExp][] = [
  ["an empty file", "", [], /bad\.cfg/],
  ["no kernel", 'name = "bad"\ntype = "pvh"\nmemory = 8\n', [], /bad\.cfg: (line \d+: )?kernel: /],
  ["an unclosed string", 'name = "bad"\ntype = "pvh"\nkernel = "tiny\nmemory = 8\n', [], /bad\.cfg: line 3: /],
  ["an unclosed list", 'name = "bad"\ntype = "pvh"\nkernel = "tiny"\ndisk = [ "a",\n', [], /bad\.cfg/],
  ["lists in lists, deeply", `name = "bad"\ntype = "pvh"\nkernel = "tiny"\nx = ${"[".repeat(20000)}\n`, [], /bad\.cfg/],
  ["a very long line", `kernel = "tiny"\nname = "${"n".repeat(2e6)}"\n`, [], /bad\.cfg: (line \d+: )?name: /],
  ["memory that no machine has", 'name = "bad"\ntype = "pvh"\nkernel = "tiny"\nmemory = 4090\n', [], /^xenolith: memory: /],
  ["memory as text", 'name = "bad"\ntype = "pvh"\nkernel = "tiny"\nmemory = "much"\n', [], /bad\.cfg: (line \d+: )?memory: /],
  ["memory below 0", 'name = "bad"\ntype = "pvh"\nkernel = "tiny"\nmemory = -5\n', [], /bad\.cfg: (line \d+: )?memory: /],
  ["memory by setting", 'name = "bad"\ntype = "pvh"\nkernel = "tiny"\n', ["memory=99999999999999999999"], /memory/],
  ["vcpus", 'name = "bad"\ntype = "pvh"\nkernel = "tiny"\nmemory = 8\nvcpus = 100000\n', [], /bad\.cfg: (line \d+: )?vcpus: /],
  ["a kernel that is a directory", 'name = "bad"\ntype = "pvh"\nkernel = "/"\nmemory = 8\n', [], /^xenolith: \/: /],
  ["a ramdisk too large", 'name = "bad"\ntype = "pvh"\nkernel = "tiny"\nramdisk = "zeros"\nmemory = 8\n', [], /ramdisk|memory|zeros/],
  ["noise", Uint8Array.from({ length: 5000 }, (_, n) => (n * 73 + (n >> 3)) & 255), [], /bad\.cfg/],
];
for (const [what, contents, settings, names] of BAD)
  cli(`status 1 and one line for ${what}`, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "dist/cli.mjs"), "run", file("bad.cfg", contents), ...settings], { cwd: folder, encoding: "utf8", timeout: 20_000 });
    assert.is(status, 1, stderr.slice(0, 500));
    assert.is(stdout, "");
    assert.match(stderr, /^xenolith: [^\n]*\n$/, stderr.slice(0, 300));
    assert.ok(stderr.length < 600, `${stderr.length} characters`);
    assert.match(stderr, names);
  });
cli.run();
