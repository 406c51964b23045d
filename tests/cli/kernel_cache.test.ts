/** The folder with unpacked kernels: what was kept comes back, whatever is wrong with a file means that there is none, and the folder does not grow. */
import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KernelCache } from "../../src/cli/kernel_cache";
import { Random } from "../support/random";

const PAGE = 4096;
/** Pages 1, 2 and the last, which is not whole. */
const PARTS = [
  { from: PAGE, to: 3 * PAGE },
  { from: 300 * PAGE, to: 300 * PAGE + 100 },
];
const SIZE = 300 * PAGE + 100;
const packed = Uint8Array.of(1, 2, 3);
const image = new Uint8Array(SIZE);
const random = new Random(3);
for (const { from, to } of PARTS) for (let at = from; at < to; at++) image[at] = 1 + random.below(255);

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "xenolith-"));
  folders.push(path);
  return join(path, "a", "b");
}
const test = suite("the kernel cache");
test.after(() => folders.forEach((path) => rmSync(path, { recursive: true })));

/** What comes back, into memory that threads share, as a machine's is. */
async function restored(cache: KernelCache, of = packed, size = SIZE) {
  const into = new Uint8Array(new SharedArrayBuffer(size));
  const kept = await cache.find(of);
  const parts = (await kept?.restore(into)) ?? null;
  if (parts) assert.is(kept!.size, size);
  return { parts, bytes: Buffer.from(into) };
}
/** Nothing comes back. */
async function nothing(cache: KernelCache, what: string): Promise<void> {
  const { parts, bytes } = await restored(cache);
  assert.is(parts, null, what);
  assert.ok(bytes.every((byte) => byte === 0), what);
}

test("what was kept comes back, for what it was unpacked from and at its size alone", async () => {
  const path = folder();
  const cache = new KernelCache(path);
  await nothing(cache, "before");
  await cache.keep(packed, image, PARTS);
  const { parts, bytes } = await restored(new KernelCache(path));
  assert.equal(parts, PARTS);
  assert.is(Buffer.compare(bytes, image), 0);
  assert.is((await restored(cache, Uint8Array.of(1, 2, 4))).parts, null);
  assert.is((await restored(cache, packed, SIZE + 1)).parts, null);
  assert.is(statSync(path).mode & 0o777, 0o700);
});

test("a kernel is known by what is in its file, wherever that is", async () => {
  const path = folder();
  const cache = new KernelCache(path);
  const large = Uint8Array.from({ length: 1_000_000 }, (_, n) => n * n);
  await cache.keep(large, image, PARTS);
  const file = join(path, "../..", "vmlinuz");
  writeFileSync(file, large);
  for (const source of [large, large.slice().buffer, file, pathToFileURL(file), String(pathToFileURL(file))]) assert.is((await cache.find(source))?.size, SIZE);
  assert.is(await cache.find(async () => large), null); // whoever made the function may not want it called twice
  assert.is(await cache.find(`${file}-gone`), null);
  assert.is(await cache.find(path), null);
  assert.is(await cache.find("https://example.org/vmlinuz"), null);
  writeFileSync(file, large.subarray(1));
  assert.is(await cache.find(file), null);
});

test("a file that goes or changes between two looks at it", async () => {
  const path = folder();
  const cache = new KernelCache(path);
  await cache.keep(packed, image, PARTS);
  const file = join(path, readdirSync(path)[0]);
  const kept = await cache.find(packed);
  for (const change of [() => writeFileSync(file, readFileSync(file).fill(1, 100)), () => truncateSync(file, 6000), () => rmSync(file)]) {
    change();
    const into = new Uint8Array(SIZE);
    assert.is(await kept!.restore(into), null);
    assert.ok(into.every((byte) => byte === 0));
  }
  assert.is(await kept!.restore(new Uint8Array(SIZE - 1)), null);
});

test("an image larger than what is read at once, and one of zeros", async () => {
  const cache = new KernelCache(folder());
  const large = Uint8Array.from({ length: 3_000_000 }, (_, n) => 1 + (n % 251));
  await cache.keep(packed, large, [{ from: 0, to: large.length }]);
  assert.is(Buffer.compare((await restored(cache, packed, large.length)).bytes, large), 0);
  await cache.keep(packed, new Uint8Array(SIZE), []);
  assert.equal((await restored(cache)).parts, []);
});

test("a file that is damaged anywhere is none", async () => {
  const path = folder();
  const cache = new KernelCache(path);
  await cache.keep(packed, image, PARTS);
  const file = join(path, readdirSync(path)[0]);
  const whole = readFileSync(file);
  for (const at of [0, 15, 16, 17, 20, 23, 24, 28, 30, 39, 40, 71, 72, 5000, whole.length - 1]) {
    const damaged = Buffer.from(whole);
    damaged[at] ^= 0x40;
    writeFileSync(file, damaged);
    await nothing(cache, `byte ${at}`);
  }
  for (const size of [0, 15, 16, 24, 30, 71, 72, 73, whole.length - 1]) {
    writeFileSync(file, whole);
    truncateSync(file, size);
    await nothing(cache, `${size} bytes`);
  }
  writeFileSync(file, whole);
  assert.equal((await restored(cache)).parts, PARTS);
});

test("so is one whose places are none, though its hash says that it is whole", async () => {
  const path = folder();
  const cache = new KernelCache(path);
  await cache.keep(packed, image, PARTS);
  const file = join(path, readdirSync(path)[0]);
  const BAD: [number, number][][] = [
    [[PAGE, PAGE]],
    [[2 * PAGE, PAGE]],
    [[0, 2 * PAGE], [PAGE, 3 * PAGE]],
    [[PAGE, 2 * PAGE], [0, PAGE]],
    [[PAGE + 8, 2 * PAGE]],
    [[0, 100]],
    [[300 * PAGE, 301 * PAGE]],
    [[0, 0xfffff000]],
  ];
  for (const parts of BAD) {
    const words = Buffer.alloc(8 + 8 * parts.length);
    [SIZE, parts.length, ...parts.flat()].forEach((value, n) => words.writeUInt32LE(value, 4 * n));
    const header = Buffer.concat([Buffer.from("XENOLITH KERNEL1"), words]);
    const contents = Buffer.alloc(Math.min(1 << 20, parts.reduce((sum, [from, to]) => sum + Math.max(0, to - from), 0)), 0x77);
    writeFileSync(file, Buffer.concat([header, createHash("sha256").update(header).update(contents).digest(), contents]));
    await nothing(cache, JSON.stringify(parts));
  }
});

test("four are kept, those used last", async () => {
  const path = folder();
  const cache = new KernelCache(path);
  for (let n = 0; n < 4; n++) {
    await cache.keep(Uint8Array.of(n), image, PARTS);
    for (const name of readdirSync(path)) utimesSync(join(path, name), new Date(), new Date(statSync(join(path, name)).mtimeMs - 60_000));
  }
  assert.equal((await restored(cache, Uint8Array.of(0))).parts, PARTS);
  await cache.keep(Uint8Array.of(4), image, PARTS);
  const kept = await Promise.all([0, 1, 2, 3, 4].map(async (n) => (await restored(cache, Uint8Array.of(n))).parts !== null));
  assert.equal(kept, [true, false, true, true, true]);
  assert.is(readdirSync(path).length, 4);
});

test("where nothing can be kept, nothing is, and nobody hears of it", async () => {
  const path = folder();
  const file = join(path, "../..", "file");
  writeFileSync(file, "");
  const cache = new KernelCache(join(file, "kernels"));
  await cache.keep(packed, image, PARTS);
  await nothing(cache, "below a file");
  const other = new KernelCache(path);
  await other.keep(packed, image, PARTS);
  chmodSync(path, 0o755); // its mode is its owner's affair
  assert.equal((await restored(other)).parts, PARTS);
});

test.run();
