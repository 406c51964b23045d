/** The .xz container ("The .xz File Format" 1.2.1): streams of blocks, each LZMA2 behind at most a branch filter, each with a
 *  check. Linux uses one block with the x86 filter and CRC32 (scripts/xz_wrap.sh). Only forward reading: the index
 *  is verified by its CRC32 only. SHA-256 checks are skipped, unknown filters are errors. */
import { LzmaDecoder } from "./decompress_lzma";
import { CorruptStream, type Output } from "./decompress_output";
import type { Unpacker } from "./unpacker";

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
export function decodeXz(input: Uint8Array, output: Output, unpacker: Unpacker): number {
  need(input, 0, STREAM_HEADER);
  if (!isXz(input)) throw new CorruptStream("it is not an .xz stream");
  if (input[6] !== 0 || input[7] > 15) throw new CorruptStream("its .xz flags are unknown");
  expectCrc(unpacker, input, 6, 2, 8);
  const check = input[7];
  let at = STREAM_HEADER;
  for (;;) {
    need(input, at, 1);
    if (input[at] === 0) break;
    at = decodeBlock(input, at, check, output, unpacker);
  }
  return skipIndex(input, at, unpacker);
}

function decodeBlock(input: Uint8Array, start: number, check: Check, output: Output, unpacker: Unpacker): number {
  const headerSize = (input[start] + 1) * 4;
  need(input, start, headerSize);
  expectCrc(unpacker, input, start, headerSize - 4, start + headerSize - 4);
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
    x86Start = properties.length === 4 ? viewOf(properties).getUint32(0, true) : 0;
  }

  if (size > 0) output.reserve(size);
  const first = output.length;
  let at = decodeLzma2(input, start + headerSize, output, unpacker);
  const { length } = output;
  if (x86Start >= 0) unpacker.unfilterX86(first, length, x86Start);
  if (size >= 0 && length - first !== size) throw new CorruptStream("an .xz block has another size than it says");

  for (; (at - start) & 3; at++) if (input[at] !== 0) throw new CorruptStream("the padding of an .xz block is not zero");
  need(input, at, CHECK_SIZES[check]);
  if (check === Check.CRC32 && unpacker.outputCrc32(first, length) !== viewOf(input).getUint32(at, true)) throw new CorruptStream("its CRC32 is wrong");
  if (check === Check.CRC64 && unpacker.outputCrc64(first, length) !== viewOf(input).getBigUint64(at, true)) throw new CorruptStream("its CRC64 is wrong");
  return at + CHECK_SIZES[check];
}

/** Index, then the 12-byte footer. */
function skipIndex(input: Uint8Array, start: number, unpacker: Unpacker): number {
  const index = new Varints(input, start + 1, input.length);
  for (let records = index.next(); records > 0; records--) {
    index.next();
    index.next();
  }
  let at = index.at;
  while ((at - start) & 3) at++;
  need(input, at, 4 + 12);
  expectCrc(unpacker, input, start, at - start, at);
  at += 4;
  expectCrc(unpacker, input, at + 4, 6, at);
  if (input[at + 10] !== 0x59 || input[at + 11] !== 0x5a) throw new CorruptStream("its .xz footer is missing");
  return at + 12;
}

/** LZMA2: chunks with a control byte. 0 ends; 1 and 2 are copied; from 0x80 on LZMA, bits 5 and 6 say what is reset. */
function decodeLzma2(input: Uint8Array, at: number, output: Output, unpacker: Unpacker): number {
  const lzma = new LzmaDecoder(unpacker);
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
      lzma.setProperties(input[at++]);
      mayDecode = true;
    } else if (!mayDecode) throw new CorruptStream("an LZMA2 chunk has no properties");
    if (control >= 0xa0) lzma.resetState();
    need(input, at, packed);
    if (lzma.decode(input, at, at + packed, output, size) !== at + packed)
      throw new CorruptStream("an LZMA2 chunk has another size than it says");
    at += packed;
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

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function need(input: Uint8Array, at: number, count: number): void {
  if (at + count > input.length) throw new CorruptStream("it is cut off");
}

function expectCrc(unpacker: Unpacker, input: Uint8Array, from: number, size: number, at: number): void {
  if (unpacker.crc32(input.subarray(from, from + size)) !== viewOf(input).getUint32(at, true)) throw new CorruptStream("an .xz header CRC is wrong");
}
