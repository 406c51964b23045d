/** The LZMA decoder (Igor Pavlov's "LZMA specification"): a range decoder over adaptive bit probabilities, sliding-window
 *  matches, 12 states. The window is the output itself, so nothing is copied twice. Used for LZMA2 (.xz) and .lzma.
 *
 *  Speed matters (a distribution kernel unpacks to 66 MB): all state lives in typed arrays, the loops over the bits of a
 *  literal and of a tree keep range and code in locals, and nothing is allocated per symbol. */

/** A damaged stream; callers turn it into an ImageError naming the file. */
export class CorruptStream extends Error {
  override readonly name = "CorruptStream";
}

/** Output that grows on demand up to a bound, so that a small file cannot claim the host's memory. */
export class Output {
  bytes: Uint8Array;
  length = 0;
  constructor(
    readonly limit: number,
    expected = 0,
  ) {
    this.bytes = new Uint8Array(Math.min(limit, Math.max(expected, 1 << 16)));
  }
  /** Makes room for `more` bytes after `length`. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    if (needed > this.limit) throw new CorruptStream(`it unpacks to more than ${this.limit >> 20} MiB`);
    const grown = new Uint8Array(Math.min(this.limit, Math.max(needed, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
  append(more: Uint8Array): void {
    this.reserve(more.length);
    this.bytes.set(more, this.length);
    this.length += more.length;
  }
  result(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/* Places of the probability models in one array. */
const STATES = 12;
const IS_MATCH = 0; // [state][posState]
const IS_REP = IS_MATCH + STATES * 16;
const IS_REP_G0 = IS_REP + STATES;
const IS_REP_G1 = IS_REP_G0 + STATES;
const IS_REP_G2 = IS_REP_G1 + STATES;
const IS_REP0_LONG = IS_REP_G2 + STATES; // [state][posState]
const POS_SLOT = IS_REP0_LONG + STATES * 16; // [4 lengths][64]
const POS_SPECIAL = POS_SLOT + 4 * 64; // trees for slots 4..13
const ALIGN = POS_SPECIAL + 128;
const LENGTH = ALIGN + 16; // choice, choice2, low[16][8], mid[16][8], high[256]
const REP_LENGTH = LENGTH + 2 + 16 * 8 * 2 + 256;
const LITERAL = REP_LENGTH + 2 + 16 * 8 * 2 + 256;
const LITERAL_SIZE = 0x300;

const PROB_INIT = 1024; // one half, of 2048
const TOP = 0x1000000;
const END_MARKER = 0xffffffff;

export class LzmaDecoder {
  private probs = new Uint16Array(LITERAL);
  /** Range decoder: [0] range, [1] code. An array, since fields above 2^31 would be boxed. */
  private readonly rc = new Uint32Array(2);
  private input: Uint8Array = new Uint8Array(0);
  private at = 0;
  private lc = 0;
  private lpMask = 0;
  private pbMask = 0;
  private state = 0;
  private readonly reps = new Uint32Array(4);
  /** Output position of the last dictionary reset: matches reach back to it at most. */
  private base = 0;
  /** What is left of a match cut by the end of an LZMA2 chunk. */
  private pending = 0;

  /** Takes the property byte `(pb * 5 + lp) * 9 + lc`. */
  setProperties(byte: number, lzma2: boolean): void {
    const lc = byte % 9;
    const lp = Math.floor(byte / 9) % 5;
    const pb = Math.floor(byte / 45);
    if (pb > 4 || (lzma2 && lc + lp > 4)) throw new CorruptStream("its LZMA properties are impossible");
    this.lc = lc;
    this.lpMask = (1 << lp) - 1;
    this.pbMask = (1 << pb) - 1;
    const size = LITERAL + (LITERAL_SIZE << (lc + lp));
    if (this.probs.length !== size) this.probs = new Uint16Array(size);
  }
  resetState(): void {
    this.probs.fill(PROB_INIT);
    this.reps.fill(0);
    this.state = 0;
    this.pending = 0;
  }
  resetDictionary(position: number): void {
    this.base = position;
  }

  /** Decodes `size` bytes (or up to an end marker if `size` is -1) from input[from, to); returns the end of what was read. */
  decode(input: Uint8Array, from: number, to: number, output: Output, size: number): number {
    if (to - from < 5 || input[from] !== 0) throw new CorruptStream("an LZMA chunk is cut off");
    this.input = input;
    this.rc[0] = 0xffffffff;
    this.rc[1] = ((input[from + 1] << 24) | (input[from + 2] << 16) | (input[from + 3] << 8) | input[from + 4]) >>> 0;
    this.at = from + 5;
    if (size >= 0) {
      output.reserve(size);
      this.symbols(output, output.length + size, to, false);
    } else {
      while (!this.symbols(output, output.bytes.length, to, true)) output.reserve(1 << 20);
    }
    if (this.at > to) throw new CorruptStream("an LZMA chunk is cut off");
    return this.at;
  }

  /** Decodes symbols until output position `end`; true if an end marker came first. */
  private symbols(output: Output, end: number, to: number, marker: boolean): boolean {
    const { reps, base, pbMask, lpMask, lc } = this;
    const out = output.bytes;
    let pos = output.length;
    let state = this.state;
    let length = this.pending; // of the match being copied
    for (;;) {
      if (length > 0) {
        const distance = reps[0] + 1;
        if (distance > pos - base) throw new CorruptStream("a match reaches back before the start");
        const stop = Math.min(end, pos + length);
        length -= stop - pos;
        if (distance >= 16 && stop - pos <= distance && stop - pos >= 24) {
          out.copyWithin(pos, pos - distance, stop - distance);
          pos = stop;
        } else for (; pos < stop; pos++) out[pos] = out[pos - distance];
      }
      if (pos >= end) break;
      if (this.at > to) throw new CorruptStream("an LZMA chunk is cut off");
      const posState = (pos - base) & pbMask;
      if (this.bit(IS_MATCH + (state << 4) + posState) === 0) {
        const before = pos > base ? out[pos - 1] : 0;
        const context = (((pos - base) & lpMask) << lc) + (before >> (8 - lc));
        const model = LITERAL + LITERAL_SIZE * context;
        if (state < 7) out[pos] = this.tree(model, 8);
        else {
          const distance = reps[0] + 1;
          if (distance > pos - base) throw new CorruptStream("a match reaches back before the start");
          out[pos] = this.matchedLiteral(model, out[pos - distance]);
        }
        pos++;
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      } else if (this.bit(IS_REP + state) === 0) {
        reps[3] = reps[2];
        reps[2] = reps[1];
        reps[1] = reps[0];
        length = this.matchLength(LENGTH, posState);
        reps[0] = this.distance(Math.min(length - 2, 3));
        state = state < 7 ? 7 : 10;
        if (reps[0] === END_MARKER) {
          if (!marker) throw new CorruptStream("an end marker comes before the end");
          output.length = pos;
          return true;
        }
      } else {
        if (this.bit(IS_REP_G0 + state) !== 0) this.rotateReps(state);
        else if (this.bit(IS_REP0_LONG + (state << 4) + posState) === 0) {
          length = 1;
          state = state < 7 ? 9 : 11;
          continue;
        }
        length = this.matchLength(REP_LENGTH, posState);
        state = state < 7 ? 8 : 11;
      }
    }
    this.state = state;
    this.pending = length;
    output.length = pos;
    return false;
  }

  /** Brings the second, third or fourth last distance to the front. */
  private rotateReps(state: number): void {
    const { reps } = this;
    let distance = reps[1];
    if (this.bit(IS_REP_G1 + state) !== 0) {
      distance = reps[2];
      if (this.bit(IS_REP_G2 + state) !== 0) {
        distance = reps[3];
        reps[3] = reps[2];
      }
      reps[2] = reps[1];
    }
    reps[1] = reps[0];
    reps[0] = distance;
  }

  private matchLength(model: number, posState: number): number {
    if (this.bit(model) === 0) return 2 + this.tree(model + 2 + (posState << 3), 3);
    if (this.bit(model + 1) === 0) return 10 + this.tree(model + 2 + 128 + (posState << 3), 3);
    return 18 + this.tree(model + 2 + 256, 8);
  }

  private distance(lengthClass: number): number {
    const slot = this.tree(POS_SLOT + (lengthClass << 6), 6);
    if (slot < 4) return slot;
    const extra = (slot >> 1) - 1;
    const high = (2 | (slot & 1)) << extra;
    if (slot < 14) return high + this.reverseTree(POS_SPECIAL + high - slot, extra);
    return (high + (this.directBits(extra - 4) << 4) + this.reverseTree(ALIGN, 4)) >>> 0;
  }

  /** One adaptive bit. Probabilities are of a 0, in 1/2048; both move by 1/32 of the rest. */
  private bit(model: number): number {
    const { probs, rc } = this;
    const range = rc[0];
    const code = rc[1];
    const p = probs[model];
    const bound = Math.imul(range >>> 11, p) >>> 0;
    let bit = 0;
    let left = bound;
    let rest = code;
    if (code < bound) probs[model] = p + ((2048 - p) >> 5);
    else {
      bit = 1;
      left = (range - bound) >>> 0;
      rest = (code - bound) >>> 0;
      probs[model] = p - (p >> 5);
    }
    if (left < TOP) {
      left = (left << 8) >>> 0;
      rest = ((rest << 8) | this.input[this.at++]) >>> 0;
    }
    rc[0] = left;
    rc[1] = rest;
    return bit;
  }

  /** A number of `bits` bits, highest first, each with a model for every prefix before it. */
  private tree(model: number, bits: number): number {
    const { probs, rc, input } = this;
    let at = this.at;
    let range = rc[0];
    let code = rc[1];
    let node = 1;
    const leaf = 1 << bits;
    while (node < leaf) {
      const p = probs[model + node];
      const bound = Math.imul(range >>> 11, p) >>> 0;
      if (code < bound) {
        range = bound;
        probs[model + node] = p + ((2048 - p) >> 5);
        node <<= 1;
      } else {
        range = (range - bound) >>> 0;
        code = (code - bound) >>> 0;
        probs[model + node] = p - (p >> 5);
        node = (node << 1) | 1;
      }
      if (range < TOP) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | input[at++]) >>> 0;
      }
    }
    this.at = at;
    rc[0] = range;
    rc[1] = code;
    return node - leaf;
  }

  /** A literal after a match: while it agrees with the byte the match would have given, that byte selects the model. */
  private matchedLiteral(model: number, expected: number): number {
    let node = 1;
    let agree = 0x100;
    while (node < 0x100) {
      expected <<= 1;
      const wanted = expected & agree;
      const bit = this.bit(model + agree + wanted + node);
      node = (node << 1) | bit;
      agree &= bit ? wanted : ~wanted;
    }
    return node & 0xff;
  }

  /** As `tree`, lowest bit first. */
  private reverseTree(model: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let n = 0; n < bits; n++) {
      const bit = this.bit(model + node);
      node = (node << 1) | bit;
      value |= bit << n;
    }
    return value;
  }

  /** Bits without a model, each with even odds. */
  private directBits(bits: number): number {
    const { rc } = this;
    let value = 0;
    for (; bits > 0; bits--) {
      let range = rc[0] >>> 1;
      let code = rc[1];
      value <<= 1;
      if (code >= range) {
        code -= range;
        value |= 1;
      }
      if (range < TOP) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | this.input[this.at++]) >>> 0;
      }
      rc[0] = range;
      rc[1] = code;
    }
    return value;
  }
}
