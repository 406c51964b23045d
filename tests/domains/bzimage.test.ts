/** Kernels come as plain ELF, compressed ELF or Linux bzImage with a payload in one of several formats. Whatever is wrong with one is an
 *  ImageError that names the file; nothing unpacks to more than the stated bound. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isBzImage, loadKernel, pvhEntry } from "../../src/domains/bzimage";
import { compressionOf, decompress } from "../../src/domains/decompress";
import { ImageError } from "../../src/domains/errors";
import { OwnRoom, Unpacker } from "../../src/domains/unpacker";
import { guestOrSkip } from "../support/guests";
import { FIXTURES, SAMPLE_SIZE, sample } from "./bzimage_fixtures";
import { join, makeElf, makePvhKernel } from "./elf_image";

const test = suite("kernel images");
const original = sample(SAMPLE_SIZE);
const refuses = async (made: Promise<unknown>, message: string): Promise<void> => {
  const error = await made.then(
    () => null,
    (reason) => reason,
  );
  assert.instance(error, ImageError, `an ImageError with "${message}" is expected, not ${error}`);
  assert.ok(error.message.startsWith("k: ") && error.message.includes(message), error.message);
};

for (const [name, packed] of FIXTURES) {
  test(`${name} unpacks to the original, with and without the size Linux appends`, async () => {
    assert.equal(await decompress(packed, "k"), original);
    if (name === "lzma") return;
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, SAMPLE_SIZE, true);
    assert.equal(await decompress(join(packed, size), "k"), original);
  });

  test(`${name} cut off anywhere is an error, and so is output beyond the limit`, async () => {
    for (let length = 14; length < packed.length - 4; length += 37)
      if (!(name === "lz4" && length < 12)) await refuses(decompress(packed.slice(0, length), "k"), "cannot be unpacked");
    await refuses(decompress(packed, "k", { limit: SAMPLE_SIZE - 1 }), "cannot be unpacked");
  });
}

test("a wrong byte in an .xz file with a check never passes", async () => {
  for (const [, packed] of FIXTURES.slice(0, 2))
    for (let at = 0; at < packed.length; at += 11) {
      const damaged = packed.slice();
      damaged[at] ^= 0x10;
      const result = await decompress(damaged, "k").catch((error) => error);
      assert.instance(result, ImageError, `byte ${at}`);
    }
});

/** An unpacker whose output is `bytes`. */
async function unpackerWith(bytes: Uint8Array): Promise<{ unpacker: Unpacker; output: Uint8Array }> {
  const room = new OwnRoom(bytes.length, bytes.length);
  const output = new Uint8Array(room.memory.buffer, room.start, bytes.length);
  output.set(bytes);
  return { unpacker: await Unpacker.create(room), output };
}

/** CRCs by their definition, a bit at a time. */
function crcByBits(bytes: Uint8Array, polynomial: bigint, bits: number): bigint {
  const ones = (1n << BigInt(bits)) - 1n;
  let crc = ones;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ polynomial : crc >> 1n;
  }
  return crc ^ ones;
}

test("CRC32 and CRC64 of the check string are those of the catalogues, and of any length those of the definition", async () => {
  const digits = new TextEncoder().encode("123456789");
  const { unpacker } = await unpackerWith(digits);
  assert.is(unpacker.crc32(digits), 0xcbf43926);
  assert.is(unpacker.outputCrc32(0, 9), 0xcbf43926);
  assert.is(unpacker.outputCrc64(0, 9), 0x995dc9bbdf1939fan);
  const { unpacker: other } = await unpackerWith(original);
  for (let length = 0; length < 40; length++) {
    const part = original.subarray(length, 3 * length);
    assert.is(BigInt(other.outputCrc32(length, 3 * length)), crcByBits(part, 0xedb88320n, 32));
    assert.is(other.outputCrc64(length, 3 * length), crcByBits(part, 0xc96c5795d7870f42n, 64));
  }
  const long = new Uint8Array(70_000).map((_, n) => n * n); // more than the unpacker sees at a time
  assert.is(BigInt(other.crc32(long)), crcByBits(long, 0xedb88320n, 32));
});

test("the x86 filter turns absolute call targets back into relative ones, but not those with other top bytes", async () => {
  const code = Uint8Array.of(0x90, 0xe8, 0x10, 0x20, 0x00, 0x00, 0xe9, 1, 2, 3, 0x80, 0x90, 0xe8, 0, 0);
  const { unpacker, output } = await unpackerWith(code);
  unpacker.unfilterX86(0, output.length, 0);
  assert.equal([...output], [0x90, 0xe8, 0x0a, 0x20, 0x00, 0x00, 0xe9, 1, 2, 3, 0x80, 0x90, 0xe8, 0, 0]); // 0x2010 - 6
});

test("a bomb is refused before it takes the host's memory", async () => {
  await refuses(decompress(new Uint8Array(gzipSync(new Uint8Array(4 << 20))), "k", { limit: 1 << 20 }), "more than 1 MiB");
});

for (const [name, magic] of [["bzip2", [0x42, 0x5a, 0x68, 0x39]], ["lzo", [0x89, 0x4c, 0x5a, 0x4f, 0]]] as const)
  test(`${name} is refused by name`, () => refuses(loadKernel(makeBzImage(Uint8Array.from(magic)), "k"), name));

/** Boot sector and one sector of setup code, then the payload 0x20 into the protected-mode part. */
function makeBzImage(payload: Uint8Array, change: (view: DataView) => void = () => {}): Uint8Array {
  const image = new Uint8Array(1024 + 0x20 + payload.length);
  const view = new DataView(image.buffer);
  image[0x1f1] = 1;
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x20f, true);
  view.setUint32(0x248, 0x20, true);
  view.setUint32(0x24c, payload.length, true);
  image.set(payload, 1024 + 0x20);
  change(view);
  return image;
}

test("a plain ELF, a gzipped one and a bzImage with it give the same kernel", async () => {
  const elf = makePvhKernel();
  const gzipped = new Uint8Array(gzipSync(elf));
  for (const image of [elf, gzipped, makeBzImage(gzipped), makeBzImage(elf)]) {
    const kernel = await loadKernel(image, "k");
    assert.is(pvhEntry(kernel), 0x100000);
    assert.equal(kernel.elf.bytes, elf);
  }
});

const BAD_HEADERS = [
  ["payload_offset behind the end", (view: DataView) => view.setUint32(0x248, 0xffff_fff0, true), "payload lies outside"],
  ["payload_length behind the end", (view: DataView) => view.setUint32(0x24c, 0xffff_ffff, true), "payload lies outside"],
  ["no payload", (view: DataView) => view.setUint32(0x24c, 0, true), "payload lies outside"],
  ["setup code behind the end", (view: DataView) => view.setUint8(0x1f1, 200), "payload lies outside"],
  ["an old protocol", (view: DataView) => view.setUint16(0x206, 0x207, true), "2.7 is older than 2.8"],
] as const;
for (const [what, change, message] of BAD_HEADERS)
  test(`a bzImage with ${what} is refused`, () => refuses(loadKernel(makeBzImage(makePvhKernel(), change), "k"), message));

test("what is neither kernel nor compressed kernel is refused", async () => {
  await refuses(loadKernel(new Uint8Array(0), "k"), "neither an ELF file nor a bzImage");
  await refuses(loadKernel(new TextEncoder().encode("#!/bin/sh\n".repeat(200)), "k"), "neither an ELF file nor a bzImage");
  await refuses(loadKernel(new Uint8Array(gzipSync("text")), "k"), "not an ELF file");
});

test("a kernel without PVH entry loads, but its entry is an error that names the missing note", async () => {
  const kernel = await loadKernel(makeElf(64, [{ bytes: Uint8Array.of(1) }]), "k");
  assert.is(kernel.entry, undefined);
  assert.throws(() => pvhEntry(kernel), /^k: .*XEN_ELFNOTE_PHYS32_ENTRY/);
});

//  guest          payload  class  features of the notes
const KERNELS = [
  ["debian", "xz", 64, "!writable_page_tables|pae_pgdir_above_4gb"],
  ["cloud", "lz4", 64, "!writable_page_tables|pae_pgdir_above_4gb"],
] as const;
for (const [name, payload, bits, features] of KERNELS) {
  const guest = await guestOrSkip(name);
  (guest ? test : test.skip)(`Debian's ${name} kernel (${payload}) has a PVH entry inside a segment`, async () => {
    const image = new Uint8Array(readFileSync(guest!.kernel!));
    assert.ok(isBzImage(image));
    const start = performance.now();
    const kernel = await loadKernel(image, "vmlinuz");
    console.log(`${name}: ${kernel.elf.bytes.length >> 20} MiB unpacked in ${Math.round(performance.now() - start)} ms`);
    assert.is(kernel.elf.bits, bits);
    assert.is(kernel.notes.guestOs, "linux");
    assert.is(kernel.notes.features, features);
    assert.is(kernel.notes.supportedFeatures, 0x8801);
    const entry = pvhEntry(kernel);
    assert.ok(kernel.elf.segments.some(({ type, paddr, memSize }) => type === 1 && entry >= paddr && entry < paddr + memSize));
    // The last section's end is the file's: what the decoder gave is complete.
    const end = Math.max(...kernel.elf.sections.filter(({ type }) => type !== 8).map(({ offset, size }) => offset + size));
    assert.ok(end <= kernel.elf.bytes.length);
    assert.ok(kernel.elf.sections.some(({ name: section }) => section === ".text"));
  });
}

const grub = await guestOrSkip("grub");
(grub ? test : test.skip)("GRUB's PVH image starts at 1 MiB, and its PV images are not for PVH", async () => {
  const load = (file: string) => loadKernel(new Uint8Array(readFileSync(file)), "grub");
  assert.is(pvhEntry(await load(grub!.kernel!)), 0x100000);
  const pv = await load(grub!.pv64!);
  assert.is(pv.notes.guestOs, "GRUB");
  assert.throws(() => pvhEntry(pv), /XEN_ELFNOTE_PHYS32_ENTRY/);
});

test("compressionOf knows the magic numbers", () => {
  for (const [name, packed] of FIXTURES) assert.is(compressionOf(packed), name.split(",")[0]);
  assert.is(compressionOf(new Uint8Array(gzipSync("x"))), "gzip");
  assert.is(compressionOf(new Uint8Array(8)), null);
});

test.run();
