/** ACPI Machine Language, as much as the DSDT needs (ACPI 6.3, chapter 20 "ACPI Machine Language (AML) Specification"). Each function
 *  returns the bytes of one term. */

export type Aml = readonly number[];

const enum Opcode {
  ZERO = 0x00,
  ONE = 0x01,
  NAME = 0x08,
  BYTE = 0x0a,
  WORD = 0x0b,
  DWORD = 0x0c,
  STRING = 0x0d,
  SCOPE = 0x10,
  BUFFER = 0x11,
  PACKAGE = 0x12,
  EXT = 0x5b,
  DEVICE = 0x82, // after EXT
}

/** PkgLength counts itself: 6 bits in one byte, else 4 bits in the first and 8 in each of up to three more. */
function packaged(content: Aml): Aml {
  const size = content.length;
  if (size + 1 < 0x40) return [size + 1, ...content];
  const extra = size + 2 < 0x1000 ? 1 : size + 3 < 0x10_0000 ? 2 : 3;
  const total = size + 1 + extra;
  const length = [(extra << 6) | (total & 15)];
  for (let n = 0; n < extra; n++) length.push((total >>> (4 + 8 * n)) & 0xff);
  return [...length, ...content];
}

const ascii = (text: string): number[] => [...text].map((char) => char.charCodeAt(0));

/** A path of one segment, with or without a leading backslash, padded with "_" to four letters. */
function path(name: string): Aml {
  const root = name.startsWith("\\");
  const segment = root ? name.slice(1) : name;
  if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) throw new Error(`not an ACPI name: ${name}`);
  return [...(root ? [0x5c] : []), ...ascii(segment.padEnd(4, "_"))];
}

export function integer(value: number): Aml {
  if (value === 0) return [Opcode.ZERO];
  if (value === 1) return [Opcode.ONE];
  const bytes = [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  if (value <= 0xff) return [Opcode.BYTE, ...bytes.slice(0, 1)];
  if (value <= 0xffff) return [Opcode.WORD, ...bytes.slice(0, 2)];
  return [Opcode.DWORD, ...bytes];
}

export const string = (text: string): Aml => [Opcode.STRING, ...ascii(text), 0];

/** Name (path, value) */
export const name = (at: string, value: Aml): Aml => [Opcode.NAME, ...path(at), ...value];

/** Scope (path) { terms } */
export const scope = (at: string, ...terms: Aml[]): Aml => [Opcode.SCOPE, ...packaged([...path(at), ...terms.flat()])];

/** Device (path) { terms } */
export const device = (at: string, ...terms: Aml[]): Aml => [
  Opcode.EXT,
  Opcode.DEVICE,
  ...packaged([...path(at), ...terms.flat()]),
];

/** Buffer () { bytes } */
export const buffer = (bytes: Aml): Aml => [Opcode.BUFFER, ...packaged([...integer(bytes.length), ...bytes])];

/** ResourceTemplate () { IO (Decode16, base, base, 1, length) ..., IRQNoFlags () {irqs} } (ACPI 5.0, "Small Resource Data Type"). */
export function resources(ports: readonly { readonly base: number; readonly length: number }[], irqs: readonly number[]): Aml {
  const word = (value: number) => [value & 0xff, value >> 8];
  const io = ports.flatMap(({ base, length }) => [0x47, 1, ...word(base), ...word(base), 1, length]);
  const irq = irqs.flatMap((n) => [0x22, ...word(1 << n)]);
  return buffer([...io, ...irq, 0x79, 0]);
}

/** Package () { elements } */
export const pkg = (...elements: Aml[]): Aml => [Opcode.PACKAGE, ...packaged([elements.length, ...elements.flat()])];
