/** The .xz container ("The .xz File Format" 1.2.1): streams of blocks, each LZMA2 behind at most a branch filter, each with a
 *  check. Linux uses one block with the x86 filter and CRC32 (scripts/xz_wrap.sh). Only forward reading: the index
 *  is verified by its CRC32 only. SHA-256 checks are skipped, unknown filters are errors. */
import { CorruptStream, LzmaDecoder, type Output } from "./decompress_lzma";

const MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
export const isXz = (bytes: Uint8Array): boolean => MAGIC.every((byte, n) => bytes[n] === byte);

const enum Filter {
  X86 = 4,
  LZMA2 = 0x21,
}
const enum Check {
  NONE = 0,
  CRC32 = 1,
  CRC64 = 4,
}
/** Bytes a check takes, by its id. */
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const STREAM_HEADER = 12;

/** Appends the contents of the .xz stream at the start of `input`; returns the stream's length. */
export function decodeXz(input: Uint8Array, output: Output): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  need(input, 0, STREAM_HEADER);
  if (!isXz(input)) throw new CorruptStream("it is not an .xz stream");
  if (input[6] !== 0 || input[7] > 15) throw new CorruptStream("its .xz flags are unknown");
  expectCrc(view, input, 6, 2, 8);
  const check = input[7];
  let at = STREAM_HEADER;
  for (;;) {
    need(input, at, 1);
    if (input[at] === 0) break;
    at = decodeBlock(input, view, at, check, output);
  }
  return skipIndex(input, view, at);
}

function decodeBlock(input: Uint8Array, view: DataView, start: number, check: Check, output: Output): number {
  const headerSize = (input[start] + 1) * 4;
  need(input, start, headerSize);
  expectCrc(view, input, start, headerSize - 4, start + headerSize - 4);
  const flags = input[start + 1];
  if (flags & 0x3c) throw new CorruptStream("an .xz block has unknown flags");
  const header = new Varints(input, start + 2, start + headerSize - 4);
  if (flags & 0x40) header.next(); // compressed size
  const size = flags & 0x80 ? header.next() : -1;
  let x86Start = -1;
  for (let left = (flags & 3) + 1; left > 0; left--) {
    const id = header.next();
    const properties = header.bytes(header.next());
    const isLast = left === 1;
    if (id === Filter.LZMA2 && isLast && properties.length === 1) continue;
    if (id !== Filter.X86 || isLast) throw new CorruptStream(`its .xz filter 0x${id.toString(16)} is not supported`);
    if (x86Start >= 0) throw new CorruptStream("it has the x86 filter twice");
    x86Start = properties.length === 4 ? new DataView(properties.buffer, properties.byteOffset, 4).getUint32(0, true) : 0;
  }

  if (size > 0) output.reserve(size);
  const first = output.length;
  let at = decodeLzma2(input, start + headerSize, output);
  const block = output.bytes.subarray(first, output.length);
  if (x86Start >= 0) unfilterX86(block, x86Start);
  if (size >= 0 && block.length !== size) throw new CorruptStream("an .xz block has another size than it says");

  for (; (at - start) & 3; at++) if (input[at] !== 0) throw new CorruptStream("the padding of an .xz block is not zero");
  need(input, at, CHECK_SIZES[check]);
  if (check === Check.CRC32 && crc32(block) !== view.getUint32(at, true)) throw new CorruptStream("its CRC32 is wrong");
  if (check === Check.CRC64 && crc64(block) !== view.getBigUint64(at, true)) throw new CorruptStream("its CRC64 is wrong");
  return at + CHECK_SIZES[check];
}

/** Index, then the 12-byte footer. */
function skipIndex(input: Uint8Array, view: DataView, start: number): number {
  const index = new Varints(input, start + 1, input.length);
  for (let records = index.next(); records > 0; records--) {
    index.next();
    index.next();
  }
  let at = index.at;
  while ((at - start) & 3) at++;
  need(input, at, 4 + 12);
  expectCrc(view, input, start, at - start, at);
  at += 4;
  expectCrc(view, input, at + 4, 6, at);
  if (input[at + 10] !== 0x59 || input[at + 11] !== 0x5a) throw new CorruptStream("its .xz footer is missing");
  return at + 12;
}

/** LZMA2: chunks with a control byte. 0 ends; 1 and 2 are copied; from 0x80 on LZMA, bits 5 and 6 say what is reset. */
function decodeLzma2(input: Uint8Array, at: number, output: Output): number {
  const lzma = new LzmaDecoder();
  let mayCopy = false;
  let mayDecode = false;
  for (;;) {
    need(input, at, 6);
    const control = input[at];
    if (control === 0) return at + 1;
    if (control === 1 || control >= 0xe0) {
      lzma.resetDictionary(output.length);
      mayCopy = true;
    } else if (!mayCopy) throw new CorruptStream("its first LZMA2 chunk has no dictionary");
    const low = (input[at + 1] << 8) | input[at + 2];
    if (control < 0x80) {
      if (control > 2) throw new CorruptStream("an LZMA2 chunk has an unknown kind");
      need(input, at + 3, low + 1);
      output.append(input.subarray(at + 3, at + 4 + low));
      at += 4 + low;
      continue;
    }
    const size = (((control & 0x1f) << 16) | low) + 1;
    const packed = ((input[at + 3] << 8) | input[at + 4]) + 1;
    at += 5;
    if (control >= 0xc0) {
      lzma.setProperties(input[at++], true);
      mayDecode = true;
    } else if (!mayDecode) throw new CorruptStream("an LZMA2 chunk has no properties");
    if (control >= 0xa0) lzma.resetState();
    need(input, at, packed);
    if (lzma.decode(input, at, at + packed, output, size) !== at + packed)
      throw new CorruptStream("an LZMA2 chunk has another size than it says");
    at += packed;
  }
}

/** Undoes the x86 branch filter: the encoder turned the relative targets of CALL and JMP (E8, E9) into absolute ones where the
 *  top byte of the 32-bit operand was 00 or FF. `mask` has a bit for each of the last three bytes that looked like an opcode
 *  too: it decides, as in the encoder, whether this one was converted, and which operand bytes it shares. */
export function unfilterX86(code: Uint8Array, position: number): void {
  const last = code.length - 5;
  let mask = 0;
  let previous = -1;
  const isSign = (byte: number): boolean => byte === 0 || byte === 0xff;
  for (let at = 0; at <= last; at++) {
    if ((code[at] & 0xfe) !== 0xe8) continue;
    const gap = at - previous;
    previous = at;
    mask = gap > 3 ? 0 : (mask << (gap - 1)) & 7;
    // Operand bytes that an earlier candidate overlaps: 0, 1, 2 or 3 counted from the top.
    const shared = mask === 0 ? 0 : mask === 1 ? 1 : mask < 4 ? 2 : 3;
    const mayConvert = mask !== 3 && mask < 5 && (mask === 0 || !isSign(code[at + 4 - shared]));
    if (!mayConvert || !isSign(code[at + 4])) {
      mask = (mask << 1) | 1;
      continue;
    }
    const here = position + at + 5;
    let target = code[at + 1] | (code[at + 2] << 8) | (code[at + 3] << 16) | (code[at + 4] << 24);
    let relative = (target - here) | 0;
    while (mask !== 0 && isSign((relative >>> (24 - shared * 8)) & 0xff)) {
      target = relative ^ (2 ** (32 - shared * 8) - 1);
      relative = (target - here) | 0;
    }
    code[at + 1] = relative;
    code[at + 2] = relative >>> 8;
    code[at + 3] = relative >>> 16;
    code[at + 4] = relative & 0x1000000 ? 0xff : 0;
    at += 4;
    // `previous` stays at the opcode: a candidate right after the operand is 5 away, so the mask starts anew.
    mask = 0;
  }
}

/** Variable-length integers: 7 bits a byte, lowest first, at most 9 bytes. Sizes above 2^53 fail later as too large. */
class Varints {
  constructor(
    private readonly input: Uint8Array,
    public at: number,
    private readonly end: number,
  ) {}
  next(): number {
    let value = 0;
    for (let n = 0; n < 9; n++) {
      if (this.at >= this.end) throw new CorruptStream("it is cut off");
      const byte = this.input[this.at++];
      value += (byte & 0x7f) * 2 ** (7 * n);
      if (byte < 0x80) return value;
    }
    throw new CorruptStream("an .xz number is too long");
  }
  bytes(count: number): Uint8Array {
    if (this.at + count > this.end) throw new CorruptStream("it is cut off");
    this.at += count;
    return this.input.subarray(this.at - count, this.at);
  }
}

function need(input: Uint8Array, at: number, count: number): void {
  if (at + count > input.length) throw new CorruptStream("it is cut off");
}

function expectCrc(view: DataView, input: Uint8Array, from: number, size: number, at: number): void {
  if (crc32(input.subarray(from, from + size)) !== view.getUint32(at, true)) throw new CorruptStream("an .xz header CRC is wrong");
}

/** Tables for the reflected polynomial 0xedb88320: CRC32 takes four bytes a step. */
let crcTables: Int32Array | null = null;
function makeCrcTables(): Int32Array {
  const tables = new Int32Array(4 * 256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    tables[n] = crc;
  }
  for (let n = 256; n < 1024; n++) tables[n] = (tables[n - 256] >>> 8) ^ tables[tables[n - 256] & 0xff];
  return tables;
}

export function crc32(bytes: Uint8Array): number {
  crcTables ??= makeCrcTables();
  const table = crcTables;
  let crc = -1;
  let at = 0;
  for (const whole = bytes.length & ~3; at < whole; at += 4) {
    const word = crc ^ (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24));
    crc = table[768 + (word & 0xff)] ^ table[512 + ((word >>> 8) & 0xff)] ^ table[256 + ((word >>> 16) & 0xff)] ^ table[word >>> 24];
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ table[(crc ^ bytes[at]) & 0xff];
  return ~crc >>> 0;
}

/** CRC-64/XZ (ECMA-182 reflected, 0xc96c5795d7870f42), in two halves. */
export function crc64(bytes: Uint8Array): bigint {
  const lows = new Int32Array(256);
  const highs = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let low = n;
    let high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry) {
        low ^= 0xd7870f42;
        high ^= 0xc96c5795;
      }
    }
    lows[n] = low;
    highs[n] = high;
  }
  let low = -1;
  let high = -1;
  for (let at = 0; at < bytes.length; at++) {
    const n = (low ^ bytes[at]) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ lows[n];
    high = (high >>> 8) ^ highs[n];
  }
  return (BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0);
}
