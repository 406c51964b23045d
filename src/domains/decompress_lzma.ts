/** LZMA streams, for LZMA2 (.xz) and .lzma: properties, and input in pieces that the unpacker can see. The decoder itself is
 *  assembly/unpack/lzma.ts. */
import { UnpackOff, Unpacked } from "../../assembly/abi/unpack";
import { CorruptStream, type Output } from "./decompress_output";
import { PIECE, type Unpacker } from "./unpacker";

/** More than one symbol takes: where another piece follows, the decoder stops so far before the end of this one. */
const SYMBOL = 64;

export class LzmaDecoder {
  /** Output position of the last dictionary reset: matches reach back to it at most. */
  private base = 0;

  constructor(private readonly unpacker: Unpacker) {}

  /** Takes the property byte `(pb * 5 + lp) * 9 + lc`. As in liblzma lc + lp may be 4 at most, which .lzma files could exceed. */
  setProperties(byte: number): void {
    const lc = byte % 9;
    const lp = Math.floor(byte / 9) % 5;
    const pb = Math.floor(byte / 45);
    if (pb > 4 || lc + lp > 4) throw new CorruptStream("its LZMA properties are impossible");
    this.unpacker.set(UnpackOff.lc, lc);
    this.unpacker.set(UnpackOff.lpMask, (1 << lp) - 1);
    this.unpacker.set(UnpackOff.pbMask, (1 << pb) - 1);
  }
  resetState(): void {
    this.unpacker.exports.lzmaReset(this.unpacker.room.work);
  }
  resetDictionary(position: number): void {
    this.base = position;
  }

  /** Decodes `size` bytes (or up to an end marker if `size` is -1) from input[from, to); returns the end of what was read. */
  decode(input: Uint8Array, from: number, to: number, output: Output, size: number): number {
    const { unpacker } = this;
    const { work, start } = unpacker.room;
    const window = work + UnpackOff.window;
    if (to - from < 5 || input[from] !== 0) throw new CorruptStream("an LZMA chunk is cut off");
    unpacker.set(UnpackOff.range, 0xffffffff);
    unpacker.set(UnpackOff.code, (input[from + 1] << 24) | (input[from + 2] << 16) | (input[from + 3] << 8) | input[from + 4]);
    if (size >= 0) output.reserve(size);
    const end = size >= 0 ? output.length + size : -1;
    let shown = from + 5; // what the unpacker sees of the input begins there
    let piece = this.show(input, shown, to);
    for (;;) {
      const isLast = shown + piece === to;
      const wanted = Math.min(PIECE, (size >= 0 ? end : output.bytes.length) - output.length);
      unpacker.set(UnpackOff.output, start + output.length);
      const why = unpacker.exports.lzmaDecode(work, window + piece - (isLast ? 0 : SYMBOL), start + this.base, wanted);
      const at = shown + unpacker.get(UnpackOff.input) - window;
      output.length = unpacker.get(UnpackOff.output) - start;
      if (why === Unpacked.damaged) throw new CorruptStream("a match reaches back before the start");
      if (at > to || (why === Unpacked.input && isLast)) throw new CorruptStream("an LZMA chunk is cut off");
      if (why === Unpacked.marker) {
        if (size >= 0) throw new CorruptStream("an end marker comes before the end");
        return at;
      }
      if (why === Unpacked.input) {
        shown = at;
        piece = this.show(input, shown, to);
      } else if (output.length === end) return at;
      else if (output.length === output.bytes.length) output.reserve(1 << 20);
    }
  }

  /** Lets the unpacker see as much of input[from, to) as it can; returns how much that is. */
  private show(input: Uint8Array, from: number, to: number): number {
    const piece = input.subarray(from, Math.min(to, from + UnpackOff.WINDOW_SIZE));
    this.unpacker.set(UnpackOff.input, this.unpacker.show(piece));
    return piece.length;
  }
}
