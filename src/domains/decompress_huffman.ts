/** Zstandard's literals (RFC 8878, "Huffman Coding"): prefix codes of up to 11 bits, whose lengths are stored as weights. */
import { readFse, ReverseBits } from "./decompress_fse";
import { CorruptStream } from "./decompress_output";

const MAX_BITS = 11;
const MAX_WEIGHTS = 255; // the last symbol's follows from the others
const WEIGHTS_ACCURACY = 6;

const damaged = () => new CorruptStream("its literals are damaged");
const log2 = (value: number): number => 31 - Math.clz32(value);

export class Huffman {
  /** By the next `bits` bits: the symbol, and above it how many of them are its code. */
  private readonly codes: Uint16Array;

  constructor(
    weights: readonly number[],
    private readonly bits: number,
  ) {
    this.codes = new Uint16Array(1 << bits);
    let at = 0;
    for (let weight = 1; weight <= bits; weight++) {
      weights.forEach((each, symbol) => {
        if (each !== weight) return;
        this.codes.fill(symbol | ((bits + 1 - weight) << 8), at, at + 2 ** (weight - 1));
        at += 2 ** (weight - 1);
      });
    }
  }

  /** Decodes input[at, end), which has to be used up, to out[from, to). */
  decode(input: Uint8Array, at: number, end: number, out: Uint8Array, from: number, to: number): void {
    const { codes, bits } = this;
    const mask = (1 << bits) - 1;
    let { left } = new ReverseBits(input, at, end);
    for (let n = from; n < to; n++) {
      const low = left - bits;
      const byte = at + (low >> 3);
      // at the very end zeros take the place of bits that are not there
      const next = low >= 0 ? ((input[byte] | (input[byte + 1] << 8) | (input[byte + 2] << 16)) >> (low & 7)) & mask : (((input[at] | (input[at + 1] << 8)) & ((1 << left) - 1)) << -low) & mask;
      const code = codes[next];
      left -= code >> 8;
      if (left < 0) throw damaged();
      out[n] = code;
    }
    if (left !== 0) throw damaged();
  }
}

/** Reads a tree's description ("Huffman Tree Description") at input[at, end) and says where it ends. */
export function readHuffman(input: Uint8Array, at: number, end: number): { tree: Huffman; next: number } {
  if (at >= end) throw damaged();
  const header = input[at++];
  const next = at + (header < 128 ? header : (header - 126) >> 1);
  if (next > end) throw damaged();
  const weights = header < 128 ? packedWeights(input, at, next) : Array.from({ length: header - 127 }, (_, n) => (n & 1 ? input[at + (n >> 1)] & 15 : input[at + (n >> 1)] >> 4));
  const sum = weights.reduce((total, weight) => total + (weight > 0 ? 2 ** (weight - 1) : 0), 0);
  if (weights.length > MAX_WEIGHTS || sum === 0 || sum >= 1 << MAX_BITS) throw damaged();
  const bits = log2(sum) + 1;
  const rest = (1 << bits) - sum;
  if (rest & (rest - 1)) throw damaged();
  return { tree: new Huffman([...weights, log2(rest) + 1], bits), next };
}

/** Two states take turns until the bits are used up. */
function packedWeights(input: Uint8Array, at: number, end: number): number[] {
  const { table, next } = readFse(input, at, end, WEIGHTS_ACCURACY, MAX_BITS + 2);
  const bits = new ReverseBits(input, next, end);
  const weights: number[] = [];
  const states = [bits.take(table.accuracy), bits.take(table.accuracy)];
  for (let n = 0; weights.length < MAX_WEIGHTS; n ^= 1) {
    const state = states[n];
    weights.push(table.symbols[state]);
    if (bits.left < table.bits[state]) {
      weights.push(table.symbols[states[n ^ 1]]);
      return weights;
    }
    states[n] = table.bases[state] + bits.take(table.bits[state]);
  }
  throw damaged();
}
