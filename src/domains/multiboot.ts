/** Kernels for the Multiboot boot loaders (Multiboot Specification 0.6.96, and Multiboot2 Specification 2.0): finding and checking
 *  the header, where the image goes. What the kernel is told about itself is in multiboot_info.ts.
 *
 *  There is no display: a kernel that insists on one is refused, as both specifications want it. */
import { type Elf, type ElfSegment, isElf, loadSegments, parseElf } from "./elf";
import { ImageError } from "./errors";

export interface MultibootSegment {
  readonly paddr: number;
  readonly bytes: Uint8Array;
  /** At least the number of bytes; the rest is zero. */
  readonly memSize: number;
}

export interface MultibootImage {
  readonly version: 1 | 2;
  /** Name for messages. */
  readonly file: string;
  readonly segments: readonly MultibootSegment[];
  /** Physical address. */
  readonly entry: number;
  /** The image, if it is loaded by its ELF headers: its sections are passed on. */
  readonly elf?: Elf;
}

const MAGIC1 = 0x1badb002;
const SEARCH1 = 8192;
const enum Flag1 {
  VIDEO = 1 << 2,
  KNOWN = 0x7, // page-aligned modules, memory map and video mode
  REQUIRED = 0xffff,
  ADDRESSES = 1 << 16,
}
const LINEAR_GRAPHICS = 0; // mode_type

const MAGIC2 = 0xe85250d6;
const SEARCH2 = 32768;
const ARCHITECTURE_I386 = 0;
const enum Tag {
  end = 0,
  informationRequest = 1,
  address = 2,
  entry = 3,
  consoleFlags = 4,
  framebuffer = 5,
  moduleAlignment = 6,
  efiBootServices = 7,
  efi32Entry = 8,
  efi64Entry = 9,
  relocatable = 10,
}
const OPTIONAL = 1;
const CONSOLE_REQUIRED = 1;
/** Information a kernel can ask for: what the specification knows, a display's excepted. */
const LAST_INFORMATION = 21;
const VBE_INFORMATION = 7;
const FRAMEBUFFER_INFORMATION = 8;

/** The kernel in `bytes`, null if it has no Multiboot header of either version. */
export function parseMultiboot(bytes: Uint8Array, file: string): MultibootImage | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header2 = findHeader2(view);
  if (header2 >= 0) return new Header2(bytes, view, header2, file).load();
  const header1 = findHeader1(view);
  return header1 >= 0 ? loadVersion1(bytes, view, header1, file) : null;
}

export function hasMultibootHeader(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return findHeader2(view) >= 0 || findHeader1(view) >= 0;
}

function findHeader1(view: DataView): number {
  for (let at = 0; at + 12 <= Math.min(view.byteLength, SEARCH1); at += 4) {
    if (view.getUint32(at, true) !== MAGIC1) continue;
    if ((view.getUint32(at, true) + view.getUint32(at + 4, true) + view.getUint32(at + 8, true)) >>> 0 === 0) return at;
  }
  return -1;
}

function findHeader2(view: DataView): number {
  for (let at = 0; at + 16 <= Math.min(view.byteLength, SEARCH2); at += 8) {
    if (view.getUint32(at, true) !== MAGIC2) continue;
    let sum = 0;
    for (let word = 0; word < 4; word++) sum += view.getUint32(at + 4 * word, true);
    if (sum % 2 ** 32 === 0) return at;
  }
  return -1;
}

function loadVersion1(bytes: Uint8Array, view: DataView, header: number, file: string): MultibootImage {
  const flags = view.getUint32(header + 4, true);
  const unknown = flags & Flag1.REQUIRED & ~Flag1.KNOWN;
  if (unknown !== 0) throw new ImageError(file, `its Multiboot header requires features (flags 0x${unknown.toString(16)}) that nobody knows.`);
  const length = 12 + (flags & Flag1.ADDRESSES ? 20 : 0);
  if (header + (flags & Flag1.VIDEO ? 48 : length) > bytes.length) throw new ImageError(file, "its Multiboot header is cut off.");
  if (flags & Flag1.VIDEO && view.getUint32(header + 32, true) === LINEAR_GRAPHICS)
    throw new ImageError(file, "its Multiboot header asks for a graphics mode, but the domain has no display.");
  if (!(flags & Flag1.ADDRESSES)) return { version: 1, file, ...loadElf(bytes, file) };
  const [headerAddress, start, end, bssEnd, entry] = [12, 16, 20, 24, 28].map((at) => view.getUint32(header + at, true));
  return { version: 1, file, entry, segments: [flatSegment(bytes, file, { header, headerAddress, start, end, bssEnd })] };
}

interface FlatAddresses {
  /** Position of the header in the file, and its address. */
  readonly header: number;
  readonly headerAddress: number;
  readonly start: number;
  /** 0: to the end of the file, no bss. */
  readonly end: number;
  readonly bssEnd: number;
}

/** "The address fields of Multiboot header": one piece of the file goes to one place. */
function flatSegment(bytes: Uint8Array, file: string, { header, headerAddress, start, end, bssEnd }: FlatAddresses): MultibootSegment {
  const from = header - (headerAddress - start);
  const length = end === 0 ? bytes.length - from : end - start;
  if (from < 0 || length < 0 || headerAddress < start || from + length > bytes.length)
    throw new ImageError(file, "the load addresses in its Multiboot header lie outside the file.");
  const memSize = bssEnd === 0 ? length : bssEnd - start;
  if (memSize < length) throw new ImageError(file, "its bss ends before its contents.");
  return { paddr: start, bytes: bytes.subarray(from, from + length), memSize };
}

function loadElf(bytes: Uint8Array, file: string): { segments: MultibootSegment[]; entry: number; elf: Elf } {
  if (!isElf(bytes)) throw new ImageError(file, "its Multiboot header gives no addresses, and it is not an ELF file.");
  const elf = parseElf(bytes, file);
  const loaded = loadSegments(elf, file);
  const segments = loaded.map(({ paddr, offset, fileSize, memSize }) => ({
    paddr,
    bytes: bytes.subarray(offset, offset + fileSize),
    memSize,
  }));
  return { segments, entry: physicalEntry(elf.entry, loaded), elf };
}

/** The entry point of an ELF file is a virtual address; Multiboot kernels start without paging. */
function physicalEntry(entry: bigint, segments: readonly ElfSegment[]): number {
  for (const { vaddr, paddr, memSize } of segments)
    if (entry >= vaddr && entry < vaddr + BigInt(memSize)) return paddr + Number(entry - vaddr);
  return Number(entry & 0xffffffffn);
}

class Header2 {
  private addresses: FlatAddresses | undefined;
  private entry: number | undefined;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly view: DataView,
    private readonly header: number,
    private readonly file: string,
  ) {}

  load(): MultibootImage {
    const { bytes, file } = this;
    if (this.word(4) !== ARCHITECTURE_I386) throw new ImageError(file, `its Multiboot2 header is for architecture ${this.word(4)}, not i386.`);
    const length = this.word(8);
    if (length < 16 || this.header + length > bytes.length) throw new ImageError(file, "its Multiboot2 header is cut off.");
    for (let at = 16; at + 8 <= length; ) {
      const type = this.view.getUint16(this.header + at, true);
      const size = this.word(at + 4);
      if (type === Tag.end) break;
      if (size < 8 || at + size > length) throw new ImageError(file, `tag ${type} of its Multiboot2 header is cut off.`);
      this.readTag(type, at, size, (this.view.getUint16(this.header + at + 2, true) & OPTIONAL) !== 0);
      at += Math.ceil(size / 8) * 8;
    }
    if (!this.addresses) {
      const loaded = loadElf(bytes, file);
      return { version: 2, file, ...loaded, entry: this.entry ?? loaded.entry };
    }
    if (this.entry === undefined) throw new ImageError(file, "its Multiboot2 header gives load addresses but no entry point.");
    return { version: 2, file, entry: this.entry, segments: [flatSegment(bytes, file, this.addresses)] };
  }

  private word(at: number): number {
    return this.view.getUint32(this.header + at, true);
  }

  private readTag(type: Tag, at: number, size: number, optional: boolean): void {
    const { file } = this;
    const need = (least: number) => {
      if (size < least) throw new ImageError(file, `tag ${type} of its Multiboot2 header is too short.`);
    };
    switch (type) {
      case Tag.informationRequest:
        for (let n = at + 8; !optional && n + 4 <= at + size; n += 4) this.checkRequest(this.word(n));
        return;
      case Tag.address:
        need(24);
        this.addresses = {
          header: this.header,
          headerAddress: this.word(at + 8),
          start: this.word(at + 12) === 0xffffffff ? this.word(at + 8) - this.header : this.word(at + 12),
          end: this.word(at + 16),
          bssEnd: this.word(at + 20),
        };
        return;
      case Tag.entry:
        need(12);
        this.entry = this.word(at + 8);
        return;
      case Tag.consoleFlags:
        need(12);
        if (!optional && this.word(at + 8) & CONSOLE_REQUIRED)
          throw new ImageError(file, "its Multiboot2 header asks for a text display, but the domain has none.");
        return;
      case Tag.framebuffer: // a recommendation; whoever needs a display says so by the console's flags or asks for its information
      case Tag.moduleAlignment: // modules are always aligned
      case Tag.efiBootServices: // for EFI's loaders
      case Tag.efi32Entry:
      case Tag.efi64Entry:
      case Tag.relocatable: // it gets the place it was linked for
        return;
      default:
        if (!optional) throw new ImageError(file, `its Multiboot2 header has the tag ${type}, which nobody knows.`);
    }
  }

  private checkRequest(type: number): void {
    if (type === VBE_INFORMATION || type === FRAMEBUFFER_INFORMATION)
      throw new ImageError(this.file, "its Multiboot2 header asks for information about a display, but the domain has none.");
    if (type > LAST_INFORMATION) throw new ImageError(this.file, `its Multiboot2 header asks for information ${type}, which nobody knows.`);
  }
}
