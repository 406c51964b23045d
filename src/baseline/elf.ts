/** 32-bit ELF executables (System V ABI, Intel386 supplement) and Xen's note with the PVH entry (public/elfnote.h). */
const PT_LOAD = 1;
const PT_NOTE = 4;
const EM_386 = 3;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

export interface Loaded {
  readonly entry: number;
  readonly pvhEntry: number | null;
  /** Behind the last byte loaded. */
  readonly end: number;
}

export function loadElf32(bytes: Uint8Array, place: (address: number, part: Uint8Array, length: number) => void): Loaded {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 52 || view.getUint32(0, false) !== 0x7f454c46) throw new Error("not an ELF file");
  if (bytes[4] !== 1 || view.getUint16(18, true) !== EM_386) throw new Error("not a 32-bit x86 ELF file");
  const entry = view.getUint32(24, true);
  const headers = view.getUint32(28, true);
  const size = view.getUint16(42, true);
  let pvhEntry: number | null = null;
  let end = 0;
  for (let i = 0; i < view.getUint16(44, true); i++) {
    const at = headers + i * size;
    const [type, offset, , address, inFile, inMemory] = [0, 4, 8, 12, 16, 20].map((field) => view.getUint32(at + field, true));
    if (type === PT_LOAD) {
      if (offset + inFile > bytes.length || inFile > inMemory) throw new Error("an ELF segment lies outside the file");
      place(address, bytes.subarray(offset, offset + inFile), inMemory);
      end = Math.max(end, address + inMemory);
    } else if (type === PT_NOTE) pvhEntry = findNote(view, offset, offset + inFile) ?? pvhEntry;
  }
  return { entry, pvhEntry, end };
}

function findNote(view: DataView, from: number, to: number): number | null {
  const align = (n: number) => (n + 3) & ~3;
  for (let at = from; at + 12 <= to; ) {
    const [nameSize, valueSize, type] = [0, 4, 8].map((field) => view.getUint32(at + field, true));
    const value = at + 12 + align(nameSize);
    const xen = nameSize === 4 && view.getUint32(at + 12, false) === 0x58656e00;
    if (xen && type === XEN_ELFNOTE_PHYS32_ENTRY && value + 4 <= to) return view.getUint32(value, true);
    at = value + align(valueSize);
  }
  return null;
}
