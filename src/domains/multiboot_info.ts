/** What a Multiboot kernel is told (Multiboot Specification "Boot information format", in its two versions): command line,
 *  modules, memory map, ELF sections. One piece of memory, made for the address it will be at. */
import type { Elf } from "./elf";
import { Sht } from "./elf";
import type { MemoryRegion } from "./memory_map";

export interface LoadedModule {
  readonly start: number;
  readonly end: number;
  readonly cmdline: string;
}

export interface BootInformation {
  /** Where it will be. */
  readonly base: number;
  readonly cmdline: string;
  readonly modules: readonly LoadedModule[];
  readonly memoryMap: readonly MemoryRegion[];
  /** KiB from 0 and from 1 MiB on. */
  readonly lowerKiB: number;
  readonly upperKiB: number;
  readonly sections?: ElfSections;
  readonly rsdp?: { readonly gpa: number; readonly bytes: Uint8Array };
}

export const LOADER_NAME = "xenolith";

/** Section headers, with addresses for what is not part of a segment. */
export interface ElfSections {
  readonly count: number;
  readonly entrySize: number;
  readonly stringIndex: number;
  readonly table: Uint8Array;
}

/** The section headers of `elf` and the contents that segments do not bring along (symbols, strings, debugging), which
 *  will be at `base`; null if those take more than `most` bytes, as sections may that share theirs. */
export function placeSections(elf: Elf, base: number, most: number): { sections: ElfSections; contents: Uint8Array } | null | undefined {
  const { bytes, bits, sections } = elf;
  if (sections.length === 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = bits === 64;
  const offset = wide ? Number(view.getBigUint64(40, true)) : view.getUint32(32, true);
  const entrySize = view.getUint16(wide ? 58 : 46, true);
  const stringIndex = view.getUint16(wide ? 62 : 50, true);
  const table = new Uint8Array(bytes.subarray(offset, offset + sections.length * entrySize)); // a Buffer's slice() would share its memory
  const tableView = new DataView(table.buffer);
  const parts: { at: number; bytes: Uint8Array }[] = [];
  let end = 0;
  sections.forEach(({ type, addr, offset: from, size }, n) => {
    if (addr !== 0n || size === 0 || type === 0 || type === Sht.NOBITS || from + size > bytes.length) return;
    end = Math.ceil(end / 16) * 16;
    parts.push({ at: end, bytes: bytes.subarray(from, from + size) });
    if (wide) tableView.setBigUint64(n * entrySize + 16, BigInt(base + end), true);
    else tableView.setUint32(n * entrySize + 12, base + end, true);
    end += size;
  });
  if (end > most) return null;
  const contents = new Uint8Array(end);
  for (const part of parts) contents.set(part.bytes, part.at);
  return { sections: { count: sections.length, entrySize, stringIndex, table }, contents };
}

/** Appends pieces and knows the address of each. */
class Writer {
  readonly bytes: number[] = [];
  constructor(readonly base: number) {}

  align(to: number): number {
    while (this.bytes.length % to) this.bytes.push(0);
    return this.base + this.bytes.length;
  }
  raw(bytes: Iterable<number>): this {
    for (const byte of bytes) this.bytes.push(byte);
    return this;
  }
  word(value: number): this {
    return this.raw([value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff]);
  }
  long(value: number): this {
    return this.word(value % 2 ** 32).word(Math.floor(value / 2 ** 32));
  }
  text(text: string): this {
    return this.raw(new TextEncoder().encode(text)).raw([0]);
  }
}

/** Version 1: a structure of words that point to the rest. */
export function multiboot1Info(info: BootInformation): Uint8Array {
  const { base, cmdline, modules, memoryMap, sections } = info;
  const SIZE = 116;
  const rest = new Writer(base + SIZE);
  const cmdlineAt = rest.align(4);
  rest.text(cmdline);
  const loaderAt = rest.align(4);
  rest.text(LOADER_NAME);
  const strings = modules.map((module) => {
    const at = rest.align(4);
    rest.text(module.cmdline);
    return at;
  });
  const modulesAt = rest.align(16);
  modules.forEach(({ start, end }, n) => rest.word(start).word(end).word(strings[n]).word(0));
  const mapAt = rest.align(4);
  for (const { start, size, type } of memoryMap) rest.word(20).long(start).long(size).word(type);
  const mapLength = memoryMap.length * 24;
  const sectionsAt = rest.align(16);
  if (sections) rest.raw(sections.table);

  const flags = 0x001 | 0x004 | 0x008 | 0x040 | 0x200 | (sections ? 0x020 : 0); // memory, command line, modules, map, loader, ELF
  const head = new Writer(base);
  head.word(flags).word(info.lowerKiB).word(info.upperKiB).word(0); // no boot device
  head.word(cmdlineAt).word(modules.length).word(modulesAt);
  if (sections) head.word(sections.count).word(sections.entrySize).word(sectionsAt).word(sections.stringIndex);
  else head.raw(new Uint8Array(16));
  head.word(mapLength).word(mapAt).word(0).word(0).word(0).word(loaderAt); // no drives, no configuration table
  head.raw(new Uint8Array(SIZE - head.bytes.length));
  return Uint8Array.from([...head.bytes, ...rest.bytes]);
}

/** Version 2: tags one after the other. */
export function multiboot2Info(info: BootInformation): Uint8Array {
  const { base, cmdline, modules, memoryMap, sections } = info;
  const out = new Writer(base);
  out.word(0).word(0);
  const tag = (type: number, body: Writer): void => {
    out.align(8);
    out.word(type).word(8 + body.bytes.length).raw(body.bytes);
  };
  const body = () => new Writer(0);
  tag(1, body().text(cmdline));
  tag(2, body().text(LOADER_NAME));
  for (const { start, end, cmdline: text } of modules) tag(3, body().word(start).word(end).text(text));
  tag(4, body().word(info.lowerKiB).word(info.upperKiB));
  const map = body().word(24).word(0);
  for (const { start, size, type } of memoryMap) map.long(start).long(size).word(type).word(0);
  tag(6, map);
  if (sections) tag(9, body().word(sections.count).word(sections.entrySize).word(sections.stringIndex).raw(sections.table));
  if (info.rsdp) tag(15, body().raw(info.rsdp.bytes)); // the root pointer of ACPI 2.0 and later
  tag(0, body());
  const bytes = Uint8Array.from(out.bytes);
  new DataView(bytes.buffer).setUint32(0, bytes.length, true);
  return bytes;
}
