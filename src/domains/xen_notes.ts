/** What a kernel tells Xen about itself (public/elfnote.h): notes named "Xen" in PT_NOTE segments or SHT_NOTE sections,
 *  or, before 2006, a `__xen_guest` section with a list of KEY=value. */
import { cString, type Elf, Pt, sectionContents, Sht } from "./elf";

/** XEN_ELFNOTE_*, public/elfnote.h. */
export const enum ElfNote {
  INFO = 0,
  ENTRY = 1,
  HYPERCALL_PAGE = 2,
  VIRT_BASE = 3,
  PADDR_OFFSET = 4,
  XEN_VERSION = 5,
  GUEST_OS = 6,
  GUEST_VERSION = 7,
  LOADER = 8,
  PAE_MODE = 9,
  FEATURES = 10,
  BSD_SYMTAB = 11,
  HV_START_LOW = 12,
  L1_MFN_VALID = 13,
  SUSPEND_CANCEL = 14,
  INIT_P2M = 15,
  MOD_START_PFN = 16,
  SUPPORTED_FEATURES = 17,
  PHYS32_ENTRY = 18,
}

export interface XenNotes {
  /** How the notes were found; "none" for an image that says nothing of Xen. */
  source: "notes" | "__xen_guest" | "none";
  entry?: bigint;
  hypercallPage?: bigint;
  virtBase?: bigint;
  paddrOffset?: bigint;
  xenVersion?: string;
  guestOs?: string;
  guestVersion?: string;
  loader?: string;
  paeMode?: string;
  /** As written: names joined by "|", "!" before a required one. */
  features?: string;
  /** Bits XENFEAT_* (public/features.h) the kernel can do with. */
  supportedFeatures?: number;
  bsdSymtab?: string;
  hvStartLow?: bigint;
  l1MfnValid?: { mask: bigint; value: bigint };
  suspendCancel?: boolean;
  initP2m?: bigint;
  modStartPfn?: boolean;
  /** Physical address where a PVH guest starts, in 32-bit protected mode without paging. */
  physEntry?: number;
}

/** Notes looked at in all (libelf's ELF_MAX_TOTAL_NOTE_COUNT): many segments may have the same bytes. */
const MOST_NOTES = 65536;

export function xenNotes(elf: Elf): XenNotes {
  const notes: XenNotes = { source: "none" };
  let left = MOST_NOTES;
  const readNotes = (bytes: Uint8Array): void => void (left = readNotesOf(bytes, notes, left));
  for (const segment of elf.segments)
    if (segment.type === Pt.NOTE)
      readNotes(elf.bytes.subarray(segment.offset, segment.offset + segment.fileSize));
  if (notes.source === "none")
    for (const section of elf.sections) {
      const bytes = section.type === Sht.NOTE ? sectionContents(elf, section) : null;
      if (bytes) readNotes(bytes);
    }
  if (notes.source === "none") {
    const section = elf.sections.find(({ name }) => name === "__xen_guest");
    const bytes = section && sectionContents(elf, section);
    if (bytes) readGuestSection(cString(bytes), notes);
  }
  return notes;
}

/** Notes are `namesz, descsz, type`, then name and descriptor, each padded to a multiple of 4 whatever the alignment of
 *  their segment. Stops at the first note that does not fit, and after `most`; returns how many are left of those. */
function readNotesOf(bytes: Uint8Array, notes: XenNotes, most: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const padded = (size: number): number => Math.ceil(size / 4) * 4;
  let left = most;
  for (let at = 0; at + 12 <= bytes.length && left > 0; left--) {
    const nameSize = view.getUint32(at, true);
    const descSize = view.getUint32(at + 4, true);
    const name = at + 12;
    const desc = name + padded(nameSize);
    if (desc + descSize > bytes.length) break;
    if (nameSize === 4 && cString(bytes.subarray(name, name + 4)) === "Xen")
      readNote(view.getUint32(at + 8, true), bytes.subarray(desc, desc + descSize), notes);
    at = desc + padded(descSize);
  }
  return left;
}

function readNote(type: ElfNote, desc: Uint8Array, notes: XenNotes): void {
  const word = unsigned(desc);
  const text = cString(desc);
  notes.source = "notes";
  switch (type) {
    case ElfNote.ENTRY: notes.entry = word; break;
    case ElfNote.HYPERCALL_PAGE: notes.hypercallPage = word; break;
    case ElfNote.VIRT_BASE: notes.virtBase = word; break;
    case ElfNote.PADDR_OFFSET: notes.paddrOffset = word; break;
    case ElfNote.XEN_VERSION: notes.xenVersion = text; break;
    case ElfNote.GUEST_OS: notes.guestOs = text; break;
    case ElfNote.GUEST_VERSION: notes.guestVersion = text; break;
    case ElfNote.LOADER: notes.loader = text; break;
    case ElfNote.PAE_MODE: notes.paeMode = text; break;
    case ElfNote.FEATURES: notes.features = text; break;
    case ElfNote.BSD_SYMTAB: notes.bsdSymtab = text; break;
    case ElfNote.HV_START_LOW: notes.hvStartLow = word; break;
    case ElfNote.L1_MFN_VALID: {
      const half = desc.length >> 1; // mask and value, each of the kernel's PTE size
      notes.l1MfnValid = { mask: unsigned(desc.subarray(0, half)), value: unsigned(desc.subarray(half)) };
      break;
    }
    case ElfNote.SUSPEND_CANCEL: notes.suspendCancel = word !== 0n; break;
    case ElfNote.INIT_P2M: notes.initP2m = word; break;
    case ElfNote.MOD_START_PFN: notes.modStartPfn = word !== 0n; break;
    case ElfNote.SUPPORTED_FEATURES: notes.supportedFeatures = Number(BigInt.asUintN(32, word)); break;
    case ElfNote.PHYS32_ENTRY: notes.physEntry = Number(word); break;
  }
}

/** Little-endian number of up to 8 bytes. */
const unsigned = (desc: Uint8Array): bigint =>
  desc.subarray(0, 8).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);

/** "GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,PAE=yes,LOADER=generic": keys in the order of ElfNote. */
function readGuestSection(text: string, notes: XenNotes): void {
  const number = (value: string): bigint | undefined => (/^(0x[0-9a-f]+|\d+)$/i.test(value) ? BigInt(value) : undefined);
  notes.source = "__xen_guest";
  for (const item of text.split(",")) {
    const [key, value = ""] = item.split("=", 2);
    switch (key.trim()) {
      case "LOADER": notes.loader = value; break;
      case "GUEST_OS": notes.guestOs = value; break;
      case "GUEST_VER": notes.guestVersion = value; break;
      case "XEN_VER": notes.xenVersion = value; break;
      case "PAE": notes.paeMode = value; break;
      case "FEATURES": notes.features = value; break;
      case "BSD_SYMTAB": notes.bsdSymtab = "yes"; break;
      case "VIRT_BASE": notes.virtBase = number(value); break;
      case "VIRT_ENTRY": notes.entry = number(value); break;
      case "ELF_PADDR_OFFSET": notes.paddrOffset = number(value); break;
      case "HYPERCALL_PAGE": {
        // Given as a page number relative to VIRT_BASE, which precedes it.
        const page = number(`0x${value.replace(/^0x/i, "")}`);
        if (page !== undefined) notes.hypercallPage = (notes.virtBase ?? 0n) + (page << 12n);
        break;
      }
    }
  }
}
