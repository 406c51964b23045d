/** ELF files for x86 (System V ABI, "Object Files", and the AMD64 supplement): headers, program headers, sections.
 *  Every offset in a file is a guest-supplied number: all are checked here, so that users slice without checking. */
import { ImageError } from "./errors";

export const enum Pt {
  LOAD = 1,
  NOTE = 4,
}
export const enum Sht {
  SYMTAB = 2,
  NOTE = 7,
  NOBITS = 8,
}
export const enum Em {
  I386 = 3,
  X86_64 = 62,
}

export interface ElfSegment {
  type: number;
  flags: number;
  /** Position and length in the file; inside it for PT_LOAD and PT_NOTE. */
  offset: number;
  fileSize: number;
  vaddr: bigint;
  paddr: number;
  /** At least fileSize for PT_LOAD; the rest is zero. */
  memSize: number;
  align: number;
}

export interface ElfSection {
  name: string;
  type: number;
  addr: bigint;
  offset: number;
  size: number;
  align: number;
}

export interface Elf {
  bytes: Uint8Array;
  bits: 32 | 64;
  machine: Em;
  entry: bigint;
  segments: ElfSegment[];
  sections: ElfSection[];
}

const MAGIC = 0x464c457f; // 7f 'E' 'L' 'F'
const MAX_HEADERS = 4096;
/** Bytes of a header in a table: headers may be longer than this class knows, but nobody's are so long. */
const MAX_HEADER_SIZE = 1024;
const LONGEST_STRING = 1024;

export const isElf = (bytes: Uint8Array): boolean =>
  bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;

/** Field offsets of the two classes: same names, different places. */
const LAYOUT = {
  32: {
    header: 52,
    word: 4,
    e: { entry: 24, phoff: 28, shoff: 32, phentsize: 42, phnum: 44, shentsize: 46, shnum: 48, shstrndx: 50 },
    phdr: { size: 32, flags: 24, offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20, align: 28 },
    shdr: { size: 40, addr: 12, offset: 16, length: 20, align: 32 },
  },
  64: {
    header: 64,
    word: 8,
    e: { entry: 24, phoff: 32, shoff: 40, phentsize: 54, phnum: 56, shentsize: 58, shnum: 60, shstrndx: 62 },
    phdr: { size: 56, flags: 4, offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40, align: 48 },
    shdr: { size: 64, addr: 16, offset: 24, length: 32, align: 48 },
  },
} as const;

export function parseElf(bytes: Uint8Array, file: string): Elf {
  const fail = (message: string): never => {
    throw new ImageError(file, message);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 20 || view.getUint32(0, true) !== MAGIC) fail("this is not an ELF file.");
  if (bytes[5] !== 1) fail("the ELF file is not little-endian.");
  const bits = bytes[4] === 1 ? 32 : bytes[4] === 2 ? 64 : fail(`the ELF file has the unknown class ${bytes[4]}.`);
  const machine = view.getUint16(18, true);
  if (machine !== Em.I386 && machine !== Em.X86_64) fail(`the ELF file is for machine ${machine}, not x86.`);
  const { header, word, e, phdr, shdr } = LAYOUT[bits];
  if (bytes.length < header) fail("the ELF header is cut off.");

  const half = (at: number): number => view.getUint16(at, true);
  const wide = (at: number): bigint => (word === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)));
  const number = (at: number): number => Number(wide(at));
  /** Entries of a header table, or an error if the table is not wholly in the file. */
  const table = (what: string, offset: number, entry: number, count: number, least: number): number[] => {
    if (count === 0) return [];
    if (count > MAX_HEADERS) fail(`the ELF file claims ${count} ${what} headers.`);
    if (entry < least) fail(`ELF ${what} headers of ${entry} bytes are too small.`);
    if (entry > MAX_HEADER_SIZE) fail(`ELF ${what} headers of ${entry} bytes are too large.`);
    if (!inside(bytes, offset, entry * count)) fail(`the ELF ${what} headers lie outside the file.`);
    return Array.from({ length: count }, (_, n) => offset + n * entry);
  };

  const segments = table("program", number(e.phoff), half(e.phentsize), half(e.phnum), phdr.size).map((at, n) => {
    const segment: ElfSegment = {
      type: view.getUint32(at, true),
      flags: view.getUint32(at + phdr.flags, true),
      offset: number(at + phdr.offset),
      fileSize: number(at + phdr.filesz),
      vaddr: wide(at + phdr.vaddr),
      paddr: number(at + phdr.paddr),
      memSize: number(at + phdr.memsz),
      align: number(at + phdr.align),
    };
    if (segment.type === Pt.LOAD || segment.type === Pt.NOTE) {
      if (!inside(bytes, segment.offset, segment.fileSize)) fail(`ELF segment ${n} lies outside the file.`);
    }
    if (segment.type === Pt.LOAD && segment.memSize < segment.fileSize)
      fail(`ELF segment ${n} is larger in the file than in memory.`);
    return segment;
  });

  const headers = number(e.shoff) === 0 ? [] : table("section", number(e.shoff), half(e.shentsize), half(e.shnum), shdr.size);
  const names = headers[half(e.shstrndx)];
  const nameTable = names === undefined ? null : contents(bytes, number(names + shdr.offset), number(names + shdr.length));
  const sections = headers.map((at) => ({
    name: nameTable ? cString(nameTable, view.getUint32(at, true)) : "",
    type: view.getUint32(at + 4, true),
    addr: wide(at + shdr.addr),
    offset: number(at + shdr.offset),
    size: number(at + shdr.length),
    align: number(at + shdr.align),
  }));
  return { bytes, bits, machine, entry: wide(e.entry), segments, sections };
}

/** The bytes of a section, null if it has none in the file. */
export const sectionContents = (elf: Elf, section: ElfSection): Uint8Array | null =>
  section.type === Sht.NOBITS ? null : contents(elf.bytes, section.offset, section.size);

const contents = (bytes: Uint8Array, offset: number, size: number): Uint8Array | null =>
  inside(bytes, offset, size) ? bytes.subarray(offset, offset + size) : null;

/** Sums of two numbers below 2^64 compare rightly here: rounding cannot bring them below a file's length. */
const inside = (bytes: Uint8Array, offset: number, size: number): boolean => offset + size <= bytes.length;

/** The zero-terminated Latin-1 string at `at`, or its beginning; "" if outside. */
export function cString(bytes: Uint8Array, at = 0): string {
  const most = Math.min(bytes.length, at + LONGEST_STRING);
  let end = at;
  while (end < most && bytes[end] !== 0) end++;
  return String.fromCharCode(...bytes.subarray(at, end));
}

/** The segments to load, at least one, all at addresses that numbers can tell; whether they fit the domain is checked later. As in libelf they may
 *  write the place they have together up to twice: strange ELF files do, but none may make loading it endless. */
export function loadSegments({ segments }: Elf, file: string): ElfSegment[] {
  const loaded = segments.filter(({ type, memSize }) => type === Pt.LOAD && memSize > 0);
  if (loaded.length === 0) throw new ImageError(file, "the kernel has no segment to load.");
  for (const { paddr, memSize } of loaded)
    if (!Number.isSafeInteger(paddr + memSize)) throw new ImageError(file, `it wants to be loaded at 0x${paddr.toString(16)}, where no memory is.`);
  const start = loaded.reduce((least, { paddr }) => Math.min(least, paddr), Number.POSITIVE_INFINITY);
  const end = loaded.reduce((most, { paddr, memSize }) => Math.max(most, paddr + memSize), 0);
  if (loaded.reduce((sum, { memSize }) => sum + memSize, 0) > 2 * (end - start)) throw new ImageError(file, "its segments lie on top of one another.");
  return loaded;
}
