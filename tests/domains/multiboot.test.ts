/** Multiboot headers of both versions: where the image goes, where it starts, and what is refused (Multiboot Specification
 *  "OS image format"; Multiboot2 Specification "Multiboot2 header tags"). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseElf } from "../../src/domains/elf";
import { ImageError } from "../../src/domains/errors";
import { parseMultiboot } from "../../src/domains/multiboot";
import { multiboot1Info, multiboot2Info, placeSections } from "../../src/domains/multiboot_info";

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values, (value) => value >>> 0).buffer);

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A file with `header` at `at`, of `length` bytes, each elsewhere its position. */
function file(header: Uint8Array, at = 0x40, length = 0x400): Uint8Array {
  const bytes = Uint8Array.from({ length }, (_, n) => n & 0xff);
  bytes.set(header, at);
  return bytes;
}

const header1 = (flags: number, ...rest: number[]) => words(0x1badb002, flags, -(0x1badb002 + flags), ...rest);

/** Tags are given without their size: [type, flags, ...words of the body]. */
function header2(...tags: number[][]): Uint8Array {
  const body = join(
    ...[...tags, [0, 0]].map(([type, flags, ...rest]) => {
      const bytes = words(type | (flags << 16), 8 + 4 * rest.length, ...rest);
      return join(bytes, new Uint8Array(-bytes.length & 7));
    }),
  );
  const length = 16 + body.length;
  return join(words(0xe85250d6, 0, length, -(0xe85250d6 + length)), body);
}

/** An ELF file with one segment, linked high and loaded low, and sections: null, text, bss, symbols, names. */
function elf(bits: 32 | 64, header: Uint8Array): Uint8Array {
  const wide = bits === 64;
  const bytes = new Uint8Array(0x1400);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: number) => (wide ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true));
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, wide ? 62 : 3, true);
  word(24, 0xc010_0020); // entry: 0x20 into the segment
  const [phoff, shoff] = [0x80, 0x1200];
  word(wide ? 32 : 28, phoff);
  word(wide ? 40 : 32, shoff);
  const sizes = wide ? { at: 54, ph: 56, sh: 64 } : { at: 42, ph: 32, sh: 40 };
  [sizes.ph, 1, sizes.sh, 5, 4].forEach((value, n) => view.setUint16(sizes.at + 2 * n, value, true));
  view.setUint32(phoff, 1, true);
  const ph = wide ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20];
  [0x1000, 0xc010_0000, 0x0010_0000, 0x100, 0x800].forEach((value, n) => word(phoff + ph[n], value));
  bytes.set(header, 0x1000);
  //                  type, address, offset, size
  const SECTIONS = [[0, 0, 0, 0], [1, 0xc010_0000, 0x1000, 0x100], [8, 0xc010_0100, 0x1100, 0x700], [2, 0, 0x1100, 0x30], [3, 0, 0x1130, 0x11]];
  SECTIONS.forEach(([type, ...rest], n) => {
    const at = shoff + n * sizes.sh;
    view.setUint32(at + 4, type, true);
    const fields = wide ? [16, 24, 32] : [12, 16, 20];
    rest.forEach((value, field) => word(at + fields[field], value));
  });
  bytes.fill(0x53, 0x1100, 0x1130);
  bytes.fill(0x4e, 0x1130, 0x1141);
  return bytes;
}

const test = suite("Multiboot images");

test("version 1 with addresses: part of the file, and bss", () => {
  const image = parseMultiboot(file(header1(0x10003, 0x10_0040, 0x10_0020, 0x10_0120, 0x10_0800, 0x10_0100)), "k");
  assert.is(image?.version, 1);
  assert.is(image?.entry, 0x10_0100);
  const [{ paddr, bytes, memSize }] = image!.segments;
  assert.equal([paddr, bytes.length, bytes[0], memSize], [0x10_0020, 0x100, 0x20, 0x7e0]);
});

test("version 1 with addresses: zeros mean the whole file and no bss", () => {
  const [{ bytes, memSize }] = parseMultiboot(file(header1(0x10000, 0x10_0040, 0x10_0000, 0, 0, 0x10_0000)), "k")!.segments;
  assert.equal([bytes.length, memSize], [0x400, 0x400]);
});

test("version 2 with addresses and entry; -1 loads from the file's start", () => {
  const image = parseMultiboot(file(header2([2, 0, 0x10_0040, 0xffffffff, 0, 0x10_1000], [3, 0, 0x10_0200])), "k")!;
  assert.equal([image.version, image.entry], [2, 0x10_0200]);
  const [{ paddr, bytes, memSize }] = image.segments;
  assert.equal([paddr, bytes.length, memSize], [0x10_0000, 0x400, 0x1000]);
});

for (const bits of [32, 64] as const) {
  test(`ELF of ${bits} bits: physical addresses, and the entry point made physical`, () => {
    for (const header of [header1(3), header2()]) {
      const image = parseMultiboot(elf(bits, header), "k")!;
      assert.is(image.entry, 0x10_0020);
      const [{ paddr, bytes, memSize }] = image.segments;
      assert.equal([paddr, bytes.length, memSize], [0x10_0000, 0x100, 0x800]);
    }
    assert.is(parseMultiboot(elf(bits, header2([3, 0, 0x10_0044])), "k")!.entry, 0x10_0044);
  });

  test(`ELF of ${bits} bits: sections outside segments get a place`, () => {
    const bytes = Buffer.from(elf(bits, header1(3))); // as files are read
    const before = Uint8Array.from(bytes);
    const { sections, contents } = placeSections(parseElf(bytes, "k"), 0x20_0000, 0x10_0000)!;
    assert.equal([sections.count, sections.entrySize, sections.stringIndex], [5, bits === 64 ? 64 : 40, 4]);
    const view = new DataView(sections.table.buffer);
    const address = (n: number) => view.getUint32(n * sections.entrySize + (bits === 64 ? 16 : 12), true);
    assert.equal([1, 2, 3, 4].map(address), [0xc010_0000, 0xc010_0100, 0x20_0000, 0x20_0030]);
    assert.equal(Uint8Array.from(bytes), before, "the file is not touched");
    assert.equal([contents.length, contents[0], contents[0x30]], [0x41, 0x53, 0x4e]);
  });
}

test("headers are found where they may be, and only whole", () => {
  const one = header1(0x10000, 0x10_0000, 0x10_0000, 0, 0, 0x10_0000);
  assert.ok(parseMultiboot(file(one, 0x1000, 0x3000).fill(0, 0, 0x1000), "k"), "on a multiple of 4 below 8 KiB");
  assert.is(parseMultiboot(file(one, 0x42), "k"), null, "not aligned");
  assert.is(parseMultiboot(file(one, 0x2000, 0x3000), "k"), null, "beyond 8 KiB");
  assert.ok(parseMultiboot(file(header2([2, 0, 0x10_7000, 0x10_7000, 0, 0], [3, 0, 0x10_7000]), 0x7000, 0x8000), "k"), "version 2 has 32 KiB");
  one[8] ^= 1;
  assert.is(parseMultiboot(file(one), "k"), null, "a wrong checksum is no header");
});

test("a framebuffer is a recommendation, optional or not", () => {
  for (const flags of [0, 1]) assert.ok(parseMultiboot(file(header2([5, flags, 1024, 768, 32], [2, 0, 0x10_0040, 0x10_0040, 0, 0], [3, 0, 0x10_0040])), "k"));
});

//  refused                                                     says
const REFUSED: [string, Uint8Array, RegExp][] = [
  ["unknown required flags", file(header1(0x10008, 0, 0, 0, 0, 0)), /flags 0x8/],
  ["a linear graphics mode", file(header1(0x10004, 0x10_0040, 0x10_0040, 0, 0, 0x10_0040, 0, 1024, 768, 32)), /graphics mode.*no display/],
  ["load addresses outside the file", file(header1(0x10000, 0x10_0040, 0x0f_0000, 0, 0, 0x10_0040)), /outside the file/],
  ["a load end outside the file", file(header1(0x10000, 0x10_0040, 0x10_0040, 0x20_0000, 0, 0x10_0040)), /outside the file/],
  ["bss before the end", file(header1(0x10000, 0x10_0040, 0x10_0040, 0x10_0100, 0x10_0080, 0x10_0040)), /bss/],
  ["neither addresses nor ELF", file(header1(3)), /not an ELF/],
  ["another architecture", file(words(0xe85250d6, 4, 24, -(0xe85250d6 + 4 + 24), 0, 8)), /architecture 4/],
  ["a console", file(header2([4, 0, 1])), /text display/],
  ["framebuffer information", file(header2([1, 0, 1, 8])), /display/],
  ["unknown information", file(header2([1, 0, 99])), /information 99/],
  ["an unknown tag", file(header2([77, 0])), /tag 77/],
  ["a tag cut off", file(join(words(0xe85250d6, 0, 32, -(0xe85250d6 + 32)), words(3, 64, 0, 0))), /cut off/],
  ["addresses without entry", file(header2([2, 0, 0x10_0040, 0x10_0040, 0, 0])), /no entry/],
];
for (const [name, bytes, says] of REFUSED) {
  test(`refused: ${name}`, () => {
    try {
      parseMultiboot(bytes, "kernel.bin");
      assert.unreachable();
    } catch (error) {
      assert.instance(error, ImageError);
      assert.match((error as Error).message, says);
      assert.match((error as Error).message, /^kernel\.bin: /);
    }
  });
}

//  the same as options are accepted
const OPTIONAL = [[5, 1, 1024, 768, 32], [4, 1, 1], [4, 0, 2], [1, 1, 8, 99], [1, 0, 1, 3, 4, 6, 9, 14, 21], [6, 0], [7, 0], [10, 0, 0x10_0000, 0x20_0000, 4096, 0], [77, 1]];
for (const tag of OPTIONAL) {
  test(`accepted: tag ${tag}`, () => assert.ok(parseMultiboot(file(header2(tag, [2, 0, 0x10_0040, 0x10_0040, 0, 0], [3, 0, 0x10_0040])), "k")));
}

test("boot information points to itself at its base", () => {
  const info = { base: 0x20_0000, cmdline: "a b", modules: [{ start: 0x30_0000, end: 0x30_0010, cmdline: "m" }], memoryMap: [{ start: 0x1_0000_0000, size: 0x10_0000, type: 1 }], lowerKiB: 639, upperKiB: 7168 };
  const one = multiboot1Info(info);
  const view = new DataView(one.buffer);
  const at = (address: number) => address - info.base;
  const text = (address: number) => String.fromCharCode(...one.subarray(at(address), one.indexOf(0, at(address))));
  assert.is(view.getUint32(0, true), 0x24d);
  assert.is(text(view.getUint32(16, true)), "a b");
  assert.is(text(view.getUint32(64, true)), "xenolith");
  const module = at(view.getUint32(24, true));
  assert.equal([view.getUint32(module, true), view.getUint32(module + 4, true), text(view.getUint32(module + 8, true))], [0x30_0000, 0x30_0010, "m"]);
  const entry = at(view.getUint32(48, true));
  assert.equal([view.getUint32(entry, true), view.getBigUint64(entry + 4, true), view.getUint32(entry + 20, true)], [20, 0x1_0000_0000n, 1]);
  const two = multiboot2Info(info);
  const tags: number[] = [];
  const tagView = new DataView(two.buffer);
  for (let n = 8; n < two.length; n += (tagView.getUint32(n + 4, true) + 7) & ~7) tags.push(tagView.getUint32(n, true));
  assert.equal(tags, [1, 2, 3, 4, 6, 0]);
  assert.is(tagView.getUint32(0, true), two.length);
});

test.run();
