/** A kernel image is input from a stranger: every header field can hold anything. The parser returns what is inside the file or throws an
 *  ImageError with the file's name; it never reads outside and never throws anything else. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Elf, parseElf } from "../../src/domains/elf";
import { ImageError } from "../../src/domains/errors";
import { xenNotes } from "../../src/domains/xen_notes";
import { join, makeElf, xenNote } from "./elf_image";

const test = suite("ELF and Xen notes");
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

for (const bits of [32, 64] as const)
  test(`program headers of ELF${bits} give file and memory places`, () => {
    const elf = parseElf(makeElf(bits, [{ paddr: 0x200000, vaddr: 0xc0200000n, bytes: bytes(1, 2, 3), memSize: 10 }]), "k");
    const [segment] = elf.segments;
    assert.is(elf.bits, bits);
    assert.is(segment.type, 1);
    assert.is(segment.paddr, 0x200000);
    assert.is(segment.vaddr, 0xc0200000n);
    assert.is(segment.memSize, 10);
    assert.equal([...elf.bytes.subarray(segment.offset, segment.offset + segment.fileSize)], [1, 2, 3]);
  });

//  field of ELF64, offset, size, value                                     message
const MALFORMED = [
  ["class", 4, 1, 3n, "unknown class"],
  ["byte order", 5, 1, 2n, "little-endian"],
  ["machine", 18, 2, 40n, "machine 40"],
  ["e_phoff behind the end", 32, 8, 0x10000n, "program headers lie outside"],
  ["e_phoff that wraps", 32, 8, 0xffff_ffff_ffff_fff0n, "program headers lie outside"],
  ["e_phentsize too small", 54, 2, 8n, "too small"],
  ["e_phnum too large", 56, 2, 0xffffn, "claims 65535"],
  ["p_offset behind the end", 64 + 8, 8, 0x10000n, "segment 0 lies outside"],
  ["p_offset that wraps", 64 + 8, 8, 0xffff_ffff_ffff_ffffn, "segment 0 lies outside"],
  ["p_filesz too large", 64 + 32, 8, 0x7fff_ffff_ffff_ffffn, "segment 0 lies outside"],
  ["p_memsz below p_filesz", 64 + 40, 8, 1n, "larger in the file"],
  ["e_shoff behind the end", 40, 8, 0x10000n, "section headers lie outside"],
] as const;
for (const [what, offset, size, value, message] of MALFORMED)
  test(`${what} is an error that names the file`, () => {
    const image = makeElf(64, [{ bytes: bytes(1, 2, 3) }], [{ name: "a", type: 1, bytes: bytes(4) }]);
    for (let n = 0; n < size; n++) image[offset + n] = Number((value >> BigInt(8 * n)) & 0xffn);
    assert.throws(
      () => parseElf(image, "kernel.elf"),
      (error: unknown) => error instanceof ImageError && error.file === "kernel.elf" && error.message.includes(message),
    );
  });

test("whatever the length a file is cut to and whichever byte is wrong, only ImageErrors come out", () => {
  const whole = makeElf(64, [{ bytes: bytes(1, 2) }, { type: 4, bytes: xenNote(18, 1n) }], [{ name: "n", type: 7, bytes: xenNote(6, "x") }]);
  const attempt = (image: Uint8Array): void => {
    try {
      xenNotes(parseElf(image, "k"));
    } catch (error) {
      assert.instance(error, ImageError);
    }
  };
  for (let length = 0; length < whole.length; length++) attempt(whole.slice(0, length));
  for (let at = 0; at < whole.length; at++)
    for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
      const image = whole.slice();
      image[at] = value;
      attempt(image);
    }
});

const notesOf = (...parts: Uint8Array[]): ReturnType<typeof xenNotes> =>
  xenNotes(parseElf(makeElf(64, [{ type: 4, bytes: join(...parts) }]), "k"));

test("notes have 4- and 8-byte numbers and strings; those of other names are passed over", () => {
  const other = xenNote(18, 0x666n);
  other[12] = 0x59;
  const notes = notesOf(other, xenNote(6, "linux"), xenNote(3, 0xffff_ffff_8000_0000n, 8), xenNote(10, "!a|b"), xenNote(18, 0x1000850n));
  assert.is(notes.guestOs, "linux");
  assert.is(notes.virtBase, 0xffff_ffff_8000_0000n);
  assert.is(notes.features, "!a|b");
  assert.is(notes.physEntry, 0x1000850);
  assert.is(notes.source, "notes");
});

test("a note with a descriptor longer than its segment ends the search", () => {
  const cut = xenNote(18, 5n);
  cut[4] = 200;
  const notes = notesOf(xenNote(6, "linux"), cut);
  assert.is(notes.guestOs, "linux");
  assert.is(notes.physEntry, undefined);
});

test("notes are found in SHT_NOTE sections when no segment has them, and __xen_guest when no note is there", () => {
  const parse = (elf: Uint8Array): Elf => parseElf(elf, "k");
  const bySection = xenNotes(parse(makeElf(32, [], [{ name: ".notes", type: 7, bytes: xenNote(18, 0x100000n) }])));
  assert.is(bySection.physEntry, 0x100000);
  const legacy = text("GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,HYPERCALL_PAGE=0x104,PAE=yes,LOADER=generic");
  const notes = xenNotes(parse(makeElf(32, [], [{ name: "__xen_guest", type: 1, bytes: legacy }])));
  assert.is(notes.source, "__xen_guest");
  assert.is(notes.virtBase, 0xc0000000n);
  assert.is(notes.hypercallPage, 0xc0104000n);
  assert.is(notes.paeMode, "yes");
  assert.is(notes.xenVersion, "xen-3.0");
});

test.run();
