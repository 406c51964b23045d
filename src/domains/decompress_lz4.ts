/** The legacy LZ4 frame Linux uses ("LZ4 Frame Format Description", legacy frame): magic, then blocks, each with its packed
 *  size in front and at most 8 MiB unpacked; matches do not cross blocks ("LZ4 Block Format Description"). */
import { CorruptStream, type Output } from "./decompress_output";

const MAGIC = 0x184c2102;
const MAX_BLOCK = 8 << 20;
/** LZ4's bound on the packed size of incompressible data. */
const MAX_PACKED = MAX_BLOCK + Math.ceil(MAX_BLOCK / 255) + 16;

export function decodeLz4(input: Uint8Array, output: Output): void {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let at = 4;
  while (at + 4 <= input.length) {
    const size = view.getUint32(at, true);
    if (size === MAGIC) {
      at += 4; // frames may follow one another
      continue;
    }
    // Anything else that cannot be a block ends the frame: Linux appends the unpacked size.
    if (size === 0 || size > MAX_PACKED || at + 4 + size > input.length) {
      if (input.length - at <= 4) return;
      throw new CorruptStream("a block is cut off");
    }
    at += 4;
    output.reserve(Math.min(MAX_BLOCK, output.limit - output.length));
    output.length = decodeBlock(input, at, at + size, output.bytes, output.length);
    at += size;
  }
}

/** Decodes input[at, end) to `out` from `start`; returns the end of the output. */
function decodeBlock(input: Uint8Array, at: number, end: number, out: Uint8Array, start: number): number {
  const limit = Math.min(out.length, start + MAX_BLOCK);
  let pos = start;
  while (at < end) {
    const token = input[at++];
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255 && at < end) literals += more = input[at++];
    }
    if (at + literals > end || pos + literals > limit) throw new CorruptStream("a block is damaged");
    if (literals > 32) {
      out.set(input.subarray(at, at + literals), pos);
      pos += literals;
      at += literals;
    } else for (const stop = at + literals; at < stop; ) out[pos++] = input[at++];
    if (at === end) return pos;

    if (at + 2 > end) throw new CorruptStream("a block is damaged");
    const distance = input[at] | (input[at + 1] << 8);
    at += 2;
    let length = (token & 15) + 4;
    if (length === 19) {
      let more = 255;
      while (more === 255 && at < end) length += more = input[at++];
    }
    if (distance === 0 || distance > pos - start || pos + length > limit) throw new CorruptStream("a block is damaged");
    if (length > 64 && distance >= length) {
      out.copyWithin(pos, pos - distance, pos - distance + length);
      pos += length;
    } else for (const stop = pos + length; pos < stop; pos++) out[pos] = out[pos - distance];
  }
  return pos;
}
