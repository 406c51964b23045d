/** Finite State Entropy, Zstandard's way of storing codes (RFC 8878, "FSE"): each state gives a symbol, and how many bits lead to which next one. */
import { CorruptStream } from "./decompress_output";

export interface Fse {
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

const damaged = () => new CorruptStream("its tables are damaged");

/** A bitstream that is read from its end: its last byte has a 1 above the first bit. */
export class ReverseBits {
  /** Bits that have not been taken. */
  left: number;

  constructor(
    private readonly input: Uint8Array,
    private readonly start: number,
    end: number,
  ) {
    const last = end > start ? input[end - 1] : 0;
    if (last === 0) throw damaged();
    this.left = 8 * (end - start) - Math.clz32(last << 24) - 1;
  }

  /** Up to 24 bits. */
  take(count: number): number {
    this.left -= count;
    if (this.left < 0) throw damaged();
    const { input, left } = this;
    const at = this.start + (left >> 3);
    return ((input[at] | (input[at + 1] << 8) | (input[at + 2] << 16) | (input[at + 3] << 24)) >>> (left & 7)) & ((1 << count) - 1);
  }
}

const log2 = (value: number): number => 31 - Math.clz32(value);

/** The table of these probabilities; -1 is "less than 1". */
export function fseTable(probabilities: readonly number[], accuracy: number): Fse {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size);
  const next = new Uint16Array(probabilities.length);
  let high = size;
  probabilities.forEach((probability, symbol) => {
    next[symbol] = Math.abs(probability);
    if (probability < 0) symbols[--high] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  probabilities.forEach((probability, symbol) => {
    for (let n = 0; n < probability; n++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  });
  if (at !== 0) throw damaged();
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const n = next[symbols[state]]++;
    bits[state] = accuracy - log2(n);
    bases[state] = (n << bits[state]) - size;
  }
  return { accuracy, symbols, bits, bases };
}

/** One symbol, always. */
export function rleTable(symbol: number): Fse {
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), bases: new Uint16Array(1) };
}

/** Reads a table's description ("FSE Table Description") at input[at, end) and says where it ends. */
export function readFse(input: Uint8Array, at: number, end: number, most: number, symbols: number): { table: Fse; next: number } {
  let bit = 8 * at;
  const peek = (count: number): number => {
    const byte = bit >> 3;
    return ((input[byte] | (input[byte + 1] << 8) | (input[byte + 2] << 16)) >> (bit & 7)) & ((1 << count) - 1);
  };
  const take = (count: number): number => {
    const value = peek(count);
    bit += count;
    if (bit > 8 * end) throw damaged();
    return value;
  };
  const accuracy = take(4) + 5;
  if (accuracy > most) throw damaged();
  const probabilities: number[] = [];
  for (let left = 1 << accuracy; left > 0; ) {
    if (probabilities.length >= symbols) throw damaged();
    const width = log2(left + 1) + 1;
    const small = (1 << (width - 1)) - 1;
    const threshold = (1 << width) - 1 - (left + 1); // below it one bit less is enough
    let value = peek(width);
    if ((value & small) < threshold) value = take(width - 1);
    else {
      take(width);
      if (value > small) value -= threshold;
    }
    const probability = value - 1;
    left -= Math.abs(probability);
    probabilities.push(probability);
    if (probability !== 0) continue;
    for (let zeros = 3; zeros === 3; ) {
      zeros = take(2);
      for (let n = 0; n < zeros; n++) probabilities.push(0);
      if (probabilities.length > symbols) throw damaged();
    }
  }
  return { table: fseTable(probabilities, accuracy), next: Math.ceil(bit / 8) };
}
