/** Zstandard by the fzstd package, whose streams move their whole window, up to 128 MiB in kernels, behind each block of 128 KiB. Into one
 *  piece of memory it unpacks without that, but does not say how much it was; so the frame is given a last block that can be found again. */
import { decompress } from "fzstd";
import { CorruptStream, type Output } from "./decompress_output";

/** No block holds more (RFC 8878, "Blocks"). */
const MAX_BLOCK = 1 << 17;
const enum BlockType {
  raw = 0,
  rle = 1,
}
/** Header of a raw block of 16 bytes, the last one (RFC 8878, "Block_Header"), and the bytes. */
const END = Uint8Array.of(0x81, 0, 0, 0x6b, 0xd1, 0x3f, 0xa6, 0x94, 0x0e, 0xc8, 0x57, 0x2d, 0xb3, 0x79, 0xe2, 0x18, 0x45, 0xfc, 0x9a);
const MARK = END.subarray(3);

interface Frame {
  /** Where the header of the last block is, and where that block ends. */
  readonly last: number;
  readonly end: number;
  /** Bytes it can unpack to at most. */
  readonly most: number;
}

/** Unpacks the frame that `bytes` begin with. What is behind it is ignored: Linux' payload has its size there. */
export function decodeZstd(bytes: Uint8Array, output: Output): void {
  const { last, end, most } = measure(bytes);
  const marked = new Uint8Array(end + END.length);
  marked.set(bytes.subarray(0, end));
  marked[last] &= ~1;
  marked.set(END, end);

  const limit = output.limit - output.length;
  const room = new Uint8Array(Math.min(most, limit) + MAX_BLOCK + MARK.length);
  try {
    decompress(marked, room);
  } catch (error) {
    if (error instanceof RangeError && most > limit) throw output.tooMuch();
    throw error;
  }
  const length = lastIndexOf(room, MARK);
  if (length > limit || (length < 0 && most > limit)) throw output.tooMuch();
  if (length < 0) throw new CorruptStream("its blocks are damaged");
  output.append(room.subarray(0, length));
}

/** RFC 8878, "Zstandard Frames": header, then blocks with a header of three bytes each. A checksum behind them has to be there, but fzstd does not look at it. */
function measure(bytes: Uint8Array): Frame {
  const descriptor = bytes[4];
  const isSingle = (descriptor & 0x20) !== 0;
  let at = 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3] + [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6];
  for (let most = 0; ; ) {
    if (at + 3 > bytes.length) throw new CorruptStream("it is cut off");
    const last = at;
    const header = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
    const type = (header >> 1) & 3;
    const size = header >> 3;
    at += 3 + (type === BlockType.rle ? 1 : size);
    most += type === BlockType.raw || type === BlockType.rle ? size : MAX_BLOCK;
    if (at > bytes.length) throw new CorruptStream("it is cut off");
    if (!(header & 1)) continue;
    if (descriptor & 4 && at + 4 > bytes.length) throw new CorruptStream("it is cut off");
    return { last, end: at, most };
  }
}

function lastIndexOf(bytes: Uint8Array, what: Uint8Array): number {
  for (let at = bytes.length - what.length; at >= 0; at--) if (bytes[at] === what[0] && what.every((byte, n) => bytes[at + n] === byte)) return at;
  return -1;
}
