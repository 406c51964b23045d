/** Zstandard frames (RFC 8878). The output is the window: literals and matches go where they belong, and a block that would become longer than blocks
 *  may be is damaged, however few bytes say so. */
import { CorruptStream, type Output } from "./decompress_output";
import { type Fse, fseTable, readFse, ReverseBits, rleTable } from "./decompress_fse";
import { type Huffman, readHuffman } from "./decompress_huffman";

/** No block holds more ("Blocks"). */
const MAX_BLOCK = 1 << 17;
const enum BlockType {
  raw = 0,
  rle = 1,
  compressed = 2,
}
/** Of literals; the last has the tree of a block before. */
const enum LiteralsType {
  raw = 0,
  rle = 1,
  compressed = 2,
  treeless = 3,
}
/** How the codes of a field are compressed. */
const enum Mode {
  predefined = 0,
  rle = 1,
  fse = 2,
  repeat = 3,
}
/** More extra bits of an offset lead beyond any output. */
const MAX_OFFSET_CODE = 29;

/** A field of sequences: which codes there are, what they begin with and how many extra bits follow ("Sequence Codes for Lengths and Offsets"). */
interface Field {
  readonly accuracy: number;
  readonly codes: number;
  readonly usual: Fse;
}
const field = (accuracy: number, codes: number, usualAccuracy: number, usual: readonly number[]): Field => ({ accuracy, codes, usual: fseTable(usual, usualAccuracy) });
const LITERALS_LENGTH = field(9, 36, 6, [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1]);
const MATCH_LENGTH = field(9, 53, 6, [
  1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
]);
const OFFSET = field(8, 32, 5, [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1]);
const LITERALS_BITS = [...new Array(16).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_BITS = [...new Array(32).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const LITERALS_BASE = bases(LITERALS_BITS, 0);
const MATCH_BASE = bases(MATCH_BITS, 3);

/** Each code begins where the one before ends. */
function bases(bits: readonly number[], first: number): Uint32Array {
  const base = new Uint32Array(bits.length);
  bits.forEach((count, code) => {
    base[code] = first;
    first += 2 ** count;
  });
  return base;
}

/** Unpacks the frame that `bytes` begin with. What is behind it is ignored: Linux' payload has its size there. A checksum has to be there, but is not
 *  looked at. */
export function decodeZstd(bytes: Uint8Array, output: Output): void {
  const descriptor = bytes[4];
  const isSingle = (descriptor & 0x20) !== 0;
  if (descriptor & 8) throw new CorruptStream("its frame header is unknown");
  let at = 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3] + [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6];
  const frame = new Frame(bytes, output);
  for (let last = false; !last; ) {
    if (at + 3 > bytes.length) throw cutOff();
    const header = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
    const type = (header >> 1) & 3;
    const size = header >> 3;
    const end = at + 3 + (type === BlockType.rle ? 1 : size);
    last = (header & 1) !== 0;
    if (end > bytes.length) throw cutOff();
    if (type === BlockType.raw) output.append(bytes.subarray(at + 3, end));
    else if (type === BlockType.rle) {
      output.reserve(size);
      output.bytes.fill(bytes[at + 3], output.length, output.length + size);
      output.length += size;
    } else if (type === BlockType.compressed && size <= MAX_BLOCK) frame.block(at + 3, end);
    else throw damaged();
    at = end;
  }
  if (descriptor & 4 && at + 4 > bytes.length) throw cutOff();
}

const cutOff = () => new CorruptStream("it is cut off");
const damaged = () => new CorruptStream("its blocks are damaged");

/** What one block leaves for the next. */
class Frame {
  private readonly start: number;
  private readonly repeated = [1, 4, 8];
  private tree: Huffman | null = null;
  private lengths: Fse | null = null;
  private offsets: Fse | null = null;
  private matches: Fse | null = null;
  private readonly buffer = new Uint8Array(MAX_BLOCK);
  /** Where the part of the block that is read next begins. */
  private at = 0;

  constructor(
    private readonly input: Uint8Array,
    private readonly output: Output,
  ) {
    this.start = output.length;
  }

  block(from: number, end: number): void {
    this.at = from;
    const literals = this.literals(end);
    this.sequences(end, literals);
  }

  private literals(end: number): Uint8Array {
    const { input, at } = this;
    const type: LiteralsType = input[at] & 3;
    const format = (input[at] >> 2) & 3;
    const isPlain = type === LiteralsType.raw || type === LiteralsType.rle;
    const headerSize = isPlain ? [1, 2, 1, 3][format] : [3, 3, 4, 5][format];
    if (at + headerSize > end) throw damaged();
    const [b0, b1, b2, b3, b4] = input.subarray(at, at + 5);
    this.at = at + headerSize;
    if (isPlain) {
      const size = [b0 >> 3, (b0 >> 4) | (b1 << 4), b0 >> 3, (b0 >> 4) | (b1 << 4) | (b2 << 12)][format];
      const stored = type === LiteralsType.raw ? size : 1;
      if (size > MAX_BLOCK || this.at + stored > end) throw damaged();
      this.at += stored;
      return type === LiteralsType.raw ? input.subarray(this.at - size, this.at) : this.buffer.subarray(0, size).fill(input[this.at - 1]);
    }
    const low = (b0 >> 4) | (b1 << 4) | (b2 << 12);
    const [size, packed] = [
      [low & 0x3ff, (low >> 10) & 0x3ff],
      [low & 0x3ff, (low >> 10) & 0x3ff],
      [low & 0x3fff, (b2 >> 2) | (b3 << 6)],
      [low & 0x3ffff, (b2 >> 6) | (b3 << 2) | (b4 << 10)],
    ][format];
    const stop = this.at + packed;
    if (size > MAX_BLOCK || stop > end) throw damaged();
    if (type === LiteralsType.compressed) {
      const { tree, next } = readHuffman(input, this.at, stop);
      this.tree = tree;
      this.at = next;
    }
    const { tree, buffer } = this;
    if (!tree) throw damaged();
    if (format === 0) tree.decode(input, this.at, stop, buffer, 0, size);
    else {
      if (this.at + 6 > stop) throw damaged();
      const each = (size + 3) >> 2;
      let from = this.at + 6;
      for (let n = 0; n < 4; n++) {
        const to = n < 3 ? from + (input[this.at + 2 * n] | (input[this.at + 2 * n + 1] << 8)) : stop;
        if (to > stop || 3 * each > size) throw damaged();
        tree.decode(input, from, to, buffer, n * each, n < 3 ? (n + 1) * each : size);
        from = to;
      }
    }
    this.at = stop;
    return buffer.subarray(0, size);
  }

  private table(mode: Mode, { accuracy, codes, usual }: Field, before: Fse | null, end: number): Fse {
    if (mode === Mode.predefined) return usual;
    if (mode === Mode.repeat) {
      if (!before) throw damaged();
      return before;
    }
    if (mode === Mode.rle) {
      if (this.at >= end || this.input[this.at] >= codes) throw damaged();
      return rleTable(this.input[this.at++]);
    }
    const { table, next } = readFse(this.input, this.at, end, accuracy, codes);
    this.at = next;
    return table;
  }

  private sequences(end: number, literals: Uint8Array): void {
    const { input, output, repeated } = this;
    if (this.at >= end) throw damaged();
    let count = input[this.at++];
    if (count >= 128) {
      const long = count === 255;
      if (this.at + (long ? 2 : 1) > end) throw damaged();
      count = long ? 0x7f00 + input[this.at] + (input[this.at + 1] << 8) : ((count - 128) << 8) | input[this.at];
      this.at += long ? 2 : 1;
    }
    output.reserve(Math.min(MAX_BLOCK, output.limit - output.length));
    const out = output.bytes;
    const most = Math.min(output.length + MAX_BLOCK, out.length);
    const tooLong = () => (most < output.length + MAX_BLOCK && most === output.limit ? output.tooMuch() : damaged());
    let pos = output.length;
    let taken = 0;
    if (count > 0) {
      if (this.at >= end || input[this.at] & 3) throw damaged();
      const modes = input[this.at++];
      const lengths = (this.lengths = this.table(modes >> 6, LITERALS_LENGTH, this.lengths, end));
      const offsets = (this.offsets = this.table((modes >> 4) & 3, OFFSET, this.offsets, end));
      const matches = (this.matches = this.table((modes >> 2) & 3, MATCH_LENGTH, this.matches, end));
      const bits = new ReverseBits(input, this.at, end);
      let length = bits.take(lengths.accuracy);
      let offset = bits.take(offsets.accuracy);
      let match = bits.take(matches.accuracy);
      for (;;) {
        const offsetCode = offsets.symbols[offset];
        if (offsetCode > MAX_OFFSET_CODE) throw damaged();
        const value = 2 ** offsetCode + (offsetCode > 16 ? bits.take(offsetCode - 16) * 65536 + bits.take(16) : bits.take(offsetCode));
        const matchCode = matches.symbols[match];
        const copied = MATCH_BASE[matchCode] + bits.take(MATCH_BITS[matchCode]);
        const lengthCode = lengths.symbols[length];
        const plain = LITERALS_BASE[lengthCode] + bits.take(LITERALS_BITS[lengthCode]);
        const distance = distanceOf(value, plain === 0, repeated);
        if (taken + plain > literals.length) throw damaged();
        if (pos + plain + copied > most) throw tooLong();
        if (plain > 32) out.set(literals.subarray(taken, taken + plain), pos);
        else for (let n = 0; n < plain; n++) out[pos + n] = literals[taken + n];
        pos += plain;
        taken += plain;
        if (distance === 0 || distance > pos - this.start) throw damaged();
        if (copied > 32 && distance >= copied) out.copyWithin(pos, pos - distance, pos - distance + copied);
        else for (let n = 0; n < copied; n++) out[pos + n] = out[pos + n - distance];
        pos += copied;
        if (--count === 0) break;
        length = lengths.bases[length] + bits.take(lengths.bits[length]);
        match = matches.bases[match] + bits.take(matches.bits[match]);
        offset = offsets.bases[offset] + bits.take(offsets.bits[offset]);
      }
      if (bits.left !== 0) throw damaged();
    } else if (this.at !== end) throw damaged();
    const rest = literals.length - taken;
    if (pos + rest > most) throw tooLong();
    out.set(literals.subarray(taken), pos);
    output.length = pos + rest;
  }
}

/** "Repeat Offsets": the last three, in the order of their use. */
function distanceOf(value: number, noLiterals: boolean, repeated: number[]): number {
  const which = value > 3 ? 3 : value - 1 + (noLiterals ? 1 : 0);
  if (which === 0) return repeated[0];
  const distance = value > 3 ? value - 3 : which < 3 ? repeated[which] : repeated[0] - 1;
  if (which > 1) repeated[2] = repeated[1];
  repeated[1] = repeated[0];
  repeated[0] = distance;
  return distance;
}
