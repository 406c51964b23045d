/** What the real zstd packs, and frames made by hand from RFC 8878, unpack to what they hold: whatever the window, with blocks of all kinds. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decompress } from "../../src/domains/decompress";
import { ImageError } from "../../src/domains/errors";
import { OwnRoom } from "../../src/domains/unpacker";
import { join } from "./elf_image";
import { DATA, mixture, noise, packer } from "./unpack_data";

const test = suite("what zstd packs");
const pack = packer("zstd", "-q", "-c");
const check = pack ? test : test.skip;
const zstd: NonNullable<typeof pack> = pack!; // not called where it is skipped

const OPTIONS: readonly string[][] = [
  [], // from a pipe: neither size nor single segment
  ["-1", "--no-check"],
  ["-3", "--long=27"], // a window of 128 MiB, as Linux packs itself
  ["-16"],
];
for (const [what, bytes] of DATA)
  check(`${what}, with many sets of options, and with and without the size Linux appends`, async () => {
    for (const options of [...OPTIONS, [`--stream-size=${bytes.length}`]]) assert.ok(Buffer.compare(await decompress(zstd(bytes, ...options), "k"), bytes) === 0, options.join(" "));
    const size = Uint8Array.of(bytes.length, bytes.length >> 8, bytes.length >> 16, 0);
    assert.ok(Buffer.compare(await decompress(join(zstd(bytes), size), "k"), bytes) === 0);
  });

check("many damaged frames end in an error, or at worst in other bytes", async () => {
  const packed = zstd(mixture(50_000), "-16");
  for (let at = 4; at < packed.length; at += 1 + (at >> 6)) {
    const damaged = packed.slice();
    damaged[at] ^= 1 << at % 8;
    const result = await decompress(damaged, "k", { limit: 1 << 17 }).catch((reason) => reason);
    if (!(result instanceof ImageError)) assert.ok(result instanceof Uint8Array && result.length <= 1 << 17, String(result));
  }
});

const raw = (bytes: Uint8Array) => [0, bytes.length, bytes] as const;
const rle = (byte: number, size: number) => [1, size, Uint8Array.of(byte)] as const;
/** A frame without size and checksum and with a window of 128 MiB. */
function frame(...blocks: (readonly [type: number, size: number, bytes: Uint8Array])[]): Uint8Array {
  const parts = blocks.map(([type, size, bytes], n) => {
    const header = (size << 3) | (type << 1) | (n === blocks.length - 1 ? 1 : 0);
    return join(Uint8Array.of(header, header >> 8, header >> 16), bytes);
  });
  return join(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0x88), ...parts);
}
/** A compressed block: 5 bits of 0 as literals, then `count` sequences of the same codes, whose bits are zeros. */
const matches = (count: number, offsetCode: number, matchCode: number, bits: number[]) => {
  const bytes = Uint8Array.from([0, 255, (count - 0x7f00) & 255, (count - 0x7f00) >> 8, 0x54, 0, offsetCode, matchCode, ...bits]);
  return [2, bytes.length, bytes] as const;
};
const some = noise(1000);
const FRAMES: readonly (readonly [string, Uint8Array, Uint8Array])[] = [
  ["a raw block", frame(raw(some)), some],
  ["an empty block", frame(raw(some.subarray(0, 0))), some.subarray(0, 0)],
  ["a run", frame(rle(0xa5, 131072)), new Uint8Array(131072).fill(0xa5)],
  ["runs and raw blocks, an empty one last", frame(rle(0, 5), raw(some), rle(7, 1), raw(some), raw(some.subarray(0, 0))), join(new Uint8Array(5), some, Uint8Array.of(7), some)],
];
for (const [what, packed, bytes] of FRAMES)
  test(`${what}, by hand`, async () => {
    assert.equal(await decompress(packed, "k"), bytes);
    assert.equal(await decompress(join(packed, Uint8Array.of(1, 2, 3, 4, 5)), "k"), bytes);
  });

test("a checksum that is promised has to be there", async () => {
  const packed = frame(raw(some));
  packed[4] |= 4;
  const checked = join(packed, Uint8Array.of(1, 2, 3, 4));
  assert.equal(await decompress(checked, "k"), some);
  for (let length = packed.length; length < checked.length; length++) {
    const error = await decompress(checked.subarray(0, length), "k").catch((reason) => reason);
    assert.instance(error, ImageError);
    assert.match(error.message, /cut off/);
  }
});

test("what is larger than the limit is refused, before and at its last byte", async () => {
  for (const packed of [frame(rle(1, 131072), rle(1, 131072)), frame(rle(1, 131072), raw(some)), frame(...Array.from({ length: 10_000 }, () => rle(1, 131072)))]) {
    const error = await decompress(packed, "k", { limit: 131072 + 999 }).catch((reason) => reason);
    assert.instance(error, ImageError);
    assert.match(error.message, /^k: .*it unpacks to more than 0 MiB/);
  }
  assert.is((await decompress(frame(rle(1, 131072), raw(some)), "k", { limit: 131072 + 1000 })).length, 131072 + 1000);
});

test("a few bytes that promise gigabytes are refused at once", async () => {
  for (const block of [matches(0x7f00 + 0xffff, 0, 52, [1]), matches(0x7f00, 2, 52, [0, 0, 0, 0, 1]), matches(0x7f00, 1, 0, new Array(9000).fill(0xff))]) {
    const packed = frame(raw(some), ...Array.from({ length: 100 }, () => block));
    const began = performance.now();
    const error = await decompress(packed, "k").catch((reason) => reason);
    assert.instance(error, ImageError);
    assert.match(error.message, /damaged/);
    assert.ok(performance.now() - began < 1000, "at once");
  }
});

test("what has been there before does not count", async () => {
  const room = new OwnRoom(4096, 4096);
  assert.equal(await decompress(frame(raw(some)), "k", { room }), some);
  assert.equal(await decompress(frame(raw(some.subarray(1))), "k", { room }), some.subarray(1));
});

test.run();
