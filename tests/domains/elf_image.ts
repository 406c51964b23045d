/** Makes small ELF files and Xen notes for tests, by the tables of the System V ABI, not with the code under test. */

export interface TestSegment {
  type?: number;
  paddr?: number;
  vaddr?: bigint;
  bytes: Uint8Array;
  memSize?: number;
}
export interface TestSection {
  name: string;
  type: number;
  bytes: Uint8Array;
}

export function makeElf(bits: 32 | 64, segments: TestSegment[], sections: TestSection[] = []): Uint8Array {
  const wide = bits === 64;
  const [headerSize, phdrSize, shdrSize] = wide ? [64, 56, 64] : [52, 32, 40];
  const names = `\0.shstrtab\0${sections.map(({ name }) => `${name}\0`).join("")}`;
  const all = sections.length ? [...sections, { name: ".shstrtab", type: 3, bytes: new TextEncoder().encode(names) }] : [];
  let end = headerSize + segments.length * phdrSize;
  const segmentAt = segments.map(({ bytes }) => (end += bytes.length) - bytes.length);
  const sectionAt = all.map(({ bytes }) => (end += bytes.length) - bytes.length);
  const shoff = end;
  const image = new Uint8Array(shoff + (all.length ? all.length + 1 : 0) * shdrSize);
  const view = new DataView(image.buffer);
  const word = (at: number, value: bigint | number): void =>
    wide ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, Number(value), true);

  image.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, wide ? 62 : 3, true);
  view.setUint32(20, 1, true);
  word(wide ? 32 : 28, headerSize);
  word(wide ? 40 : 32, all.length ? shoff : 0);
  const tail = wide ? 52 : 40;
  [headerSize, phdrSize, segments.length, shdrSize, all.length ? all.length + 1 : 0, all.length].forEach((value, n) => {
    view.setUint16(tail + n * 2, value, true);
  });

  segments.forEach(({ type = 1, paddr = 0, vaddr = BigInt(paddr), bytes, memSize = bytes.length }, n) => {
    const at = headerSize + n * phdrSize;
    view.setUint32(at, type, true);
    if (wide) {
      view.setUint32(at + 4, 7, true);
      [segmentAt[n], vaddr, paddr, bytes.length, memSize, 4096].forEach((value, field) => { word(at + 8 + field * 8, value); });
    } else {
      [segmentAt[n], vaddr, paddr, bytes.length, memSize, 7, 4096].forEach((value, field) => { word(at + 4 + field * 4, value); });
    }
    image.set(bytes, segmentAt[n]);
  });
  all.forEach(({ name, type, bytes }, n) => {
    const at = shoff + (n + 1) * shdrSize;
    view.setUint32(at, names.indexOf(`\0${name}\0`) + 1, true);
    view.setUint32(at + 4, type, true);
    word(at + (wide ? 24 : 16), sectionAt[n]);
    word(at + (wide ? 32 : 20), bytes.length);
    image.set(bytes, sectionAt[n]);
  });
  return image;
}

/** One note named "Xen" with a number of `size` bytes or a string. */
export function xenNote(type: number, value: bigint | string, size = 4): Uint8Array {
  const desc = typeof value === "string" ? new TextEncoder().encode(`${value}\0`) : new Uint8Array(size);
  if (typeof value === "bigint") for (let n = 0; n < size; n++) desc[n] = Number((value >> BigInt(8 * n)) & 0xffn);
  const note = new Uint8Array(16 + Math.ceil(desc.length / 4) * 4);
  const view = new DataView(note.buffer);
  view.setUint32(0, 4, true);
  view.setUint32(4, desc.length, true);
  view.setUint32(8, type, true);
  note.set([0x58, 0x65, 0x6e, 0], 12);
  note.set(desc, 16);
  return note;
}

export function join(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A kernel that starts at its first byte, 1 MiB, with 8 KiB of zeros behind it. */
export function makePvhKernel(code: Uint8Array = Uint8Array.of(0xf4), notes = xenNote(18, 0x100000n)): Uint8Array {
  return makeElf(32, [
    { paddr: 0x100000, bytes: code, memSize: code.length + 8192 },
    { type: 4, bytes: notes },
  ]);
}
