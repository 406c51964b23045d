/** What the real xz packs, the unpacker gives back: whatever is in it, with any properties, filters, checks and block sizes that are
 *  understood, as .xz and as .lzma, in a memory of its own and in frames of a machine. Damage of any kind is an error. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FrameFlag, FrameOff, Region } from "../../assembly/abi/layout";
import { decompress } from "../../src/domains/decompress";
import { ImageError } from "../../src/domains/errors";
import { ImageFrames } from "../../src/domains/image_frames";
import { frameEntry, freeFrameCount, initMachine } from "../../src/machine/frames";
import { MachineMemory } from "../../src/machine/memory";
import { Random } from "../support/random";
import { FIXTURES, SAMPLE_SIZE, sample } from "./bzimage_fixtures";
import { DATA, islands, mixture, packer } from "./unpack_data";

const test = suite("what xz packs");
const pack = packer("xz", "-c", "-T1");
const check = pack ? test : test.skip;
const xz: NonNullable<typeof pack> = pack!; // not called where it is skipped

const XZ_OPTIONS: readonly string[][] = [
  [],
  ["-0"],
  ["-9e", "--check=crc32"],
  ["--check=none"],
  ["--check=sha256"],
  ["--check=crc32", "--x86", "--lzma2=dict=1MiB"],
  ["--x86=start=4096", "--lzma2=preset=3"],
  ["--lzma2=lc=0,lp=4,pb=4"],
  ["--lzma2=lc=4,lp=0,pb=0,nice=273"],
  ["--lzma2=lc=1,lp=2,pb=3,mode=fast"],
  ["--block-size=65536", "--check=crc64"],
  ["--block-size=100001", "--x86", "--lzma2=preset=1"],
];
const LZMA_OPTIONS: readonly string[][] = [[], ["-0"], ["--lzma1=preset=6,nice=10"]]; // the kind is told by the usual properties;

for (const [what, bytes] of DATA) {
  check(`${what}, as .xz with many sets of options`, async () => {
    for (const options of XZ_OPTIONS.slice(bytes.length > 1_000_000 ? -8 : 0)) {
      const got = await decompress(xz(bytes, ...options), "k");
      assert.ok(Buffer.compare(got, bytes) === 0, options.join(" "));
    }
  });
  check(`${what}, as .lzma with an end marker`, async () => {
    for (const options of LZMA_OPTIONS) {
      const got = await decompress(xz(bytes, "--format=lzma", ...options), "k");
      assert.ok(Buffer.compare(got, bytes) === 0, options.join(" "));
    }
  });
}

check("a block that begins with zeros, filtered as if there was none before it", async () => {
  const size = 65536;
  const bytes = new Uint8Array(2 * size);
  bytes.set([0xe8, 1, 2, 3, 4], 20_000); // the last candidate of the first block, which is none
  for (const gap of [1, 2, 3]) {
    for (let at = size + 20_000; at < size + 20_010; at++) bytes[at] = 0;
    bytes.set([0xe8, 1, 0, 0, 0], size + 20_000 + gap);
    assert.ok(Buffer.compare(await decompress(xz(bytes, `--block-size=${size}`, "--check=crc32", "--x86", "--lzma2"), "k"), bytes) === 0, `${gap}`);
  }
});

check(".lzma that says its size needs no end marker", async () => {
  const bytes = mixture(200_000);
  const packed = xz(bytes, "--format=lzma");
  new DataView(packed.buffer).setBigUint64(5, 150_000n, true);
  assert.ok(Buffer.compare(await decompress(packed, "k"), bytes.subarray(0, 150_000)) === 0);
});

function machine(): MachineMemory {
  const pages = (Region.PCPUS + Region.PCPU_STRIDE + Region.CODE_SIZE) / 65536 + 16 * 16;
  const mem = new MachineMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
  initMachine(mem, { pcpus: 1, tscKhz: 1_000_000 });
  return mem;
}

check("into frames of a machine, where nothing outside them changes", async () => {
  const mem = machine();
  const free = freeFrameCount(mem);
  const some = mixture(5_000_000);
  const many = islands(5_000_000);
  const PACKED = [some, many].flatMap((bytes) => [["--check=crc32", "--x86", "--lzma2"], ["--format=lzma"]].map((options) => [bytes, xz(bytes, ...options)] as const));
  for (const [bytes, packed] of PACKED) {
    const room = ImageFrames.claim(mem, bytes.length)!;
    mem.u8.fill(0x5a, room.start - 4096, room.start);
    const end = room.work + 0x1d000;
    mem.u8.fill(0x5a, end, end + 4096);
    assert.ok(Buffer.compare(await decompress(packed, "k", { room }), bytes) === 0);
    for (const at of [room.start - 4096, end]) assert.ok(mem.u8.subarray(at, at + 4096).every((byte) => byte === 0x5a));
    room.release();
    assert.is(freeFrameCount(mem), free);
    // what is not known to be in use is not cleared for the next owner
    const unused = Array.from({ length: room.size >>> 12 }, (_, n) => (room.start >>> 12) + n).filter((mfn) => !(mem.u8[frameEntry(mfn) + FrameOff.flags] & FrameFlag.used));
    for (const mfn of unused) assert.ok(mem.u8.subarray(mfn << 12, (mfn + 1) << 12).every((byte) => byte === 0));
    assert.ok(bytes === some || unused.length > 50, `${unused.length} pages`);
  }
});

for (const [name, packed] of FIXTURES)
  test(`${name}: into frames of a machine, and not one byte more`, async () => {
    const mem = machine();
    const room = ImageFrames.claim(mem, SAMPLE_SIZE)!;
    assert.ok(Buffer.compare(await decompress(packed, "k", { room }), sample(SAMPLE_SIZE)) === 0);
    room.release();
    const { memory, work, start } = room;
    const error = await decompress(packed, "k", { room: { memory, work, start, size: SAMPLE_SIZE - 1 } }).catch((reason) => reason);
    assert.instance(error, ImageError);
  });

check("more than it says is an error where the room is for that", async () => {
  const mem = machine();
  const room = ImageFrames.claim(mem, 10_000)!;
  for (const format of ["xz", "lzma"]) {
    const error = await decompress(xz(mixture(20_000), `--format=${format}`), "k", { room }).catch((reason) => reason);
    assert.instance(error, ImageError);
    assert.match(error.message, /unpacks to more than it says/);
  }
});

check("a thousand damaged streams end in an error, or at worst in other bytes where there is no check, and read and write nothing else", async () => {
  const random = new Random(3);
  const bytes = mixture(30_000);
  const mem = machine();
  for (const [options, hasCheck] of [[["--check=crc32"], true], [["--x86", "--lzma2=preset=0"], true], [["--check=none"], false], [["--format=lzma"], false]] as const) {
    const packed = xz(bytes, ...options);
    for (let n = 0; n < 250; n++) {
      const damaged = packed.slice(0, n % 5 === 0 ? random.below(packed.length) : packed.length);
      for (let changes = n % 5 === 0 ? 0 : 1 + random.below(3); changes > 0; changes--) damaged[13 + random.below(damaged.length - 13)] ^= 1 << random.below(8);
      const room = ImageFrames.claim(mem, bytes.length)!;
      mem.u8.fill(0x5a, room.start - 4096, room.start);
      const result = await decompress(damaged, "k", { room }).catch((reason) => reason);
      if (hasCheck && !(result instanceof ImageError)) assert.ok(Buffer.compare(result, bytes) === 0, `${options}, round ${n}`); // a change was undone by another
      else if (!(result instanceof ImageError)) assert.instance(result, Uint8Array, String(result));
      assert.ok(mem.u8.subarray(room.start - 4096, room.start).every((byte) => byte === 0x5a));
      room.release();
    }
  }
});

test.run();
