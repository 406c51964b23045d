/** The LZMA decoder (Igor Pavlov's "LZMA specification"): a range decoder over adaptive bit probabilities, sliding-window matches, 12
 *  states. The window is the output itself, so nothing is copied twice. It is zero to begin with, and what repeats zeros writes nothing: a
 *  host's first touch of a page costs more than unpacking it, and half of a kernel's pages hold nothing else.
 *
 *  A bit: p is the probability, in 1/2048, that it is 0; `range` is split in that ratio, `code` says where the encoder went, and p moves by
 *  1/32 of what is left. That is written out at each place, because range and code must stay in registers and a function has one
 *  result. Bits that decide what comes next are branches; those of trees, which no processor could foretell, select. */
import { Model, UnpackOff, Unpacked } from "../abi/unpack";

const TOP: u32 = 0x1000000;
const EVEN: u16 = 1024;
const END_MARKER: u32 = 0xffffffff;
/** Shorter matches are copied without a look at what. */
const LONG: u32 = 16;
/** Shorter runs of zeros are not worth a note: they have no page to themselves. */
const RUN: usize = 0x2000;
/** Bytes of a noted run's beginning that the branch filter may still change. */
const MARGIN: usize = 8;

/** Everything as at the start, for properties that are set. */
export function lzmaReset(work: usize): void {
  for (let at = work + UnpackOff.models; at < work + Model.END; at += 2) store<u16>(at, EVEN);
  memory.fill(work + UnpackOff.state, 0, UnpackOff.lc - UnpackOff.state);
}

/** How far p moves after a 0 and after a 1. */
@inline
function up(p: u32): u32 {
  return p + ((2048 - p) >>> 5);
}
@inline
function down(p: u32): u32 {
  return p - (p >>> 5);
}
/** Decodes until the output has `size` more bytes, and begins no symbol whose bytes start behind `stop`, in the window or at its end.
 *  Matches reach back to `base` at most. A symbol takes at most 48 bits and so reads less than that many bytes. */
export function lzmaDecode(work: usize, stop: usize, base: usize, size: u32): Unpacked {
  let range = load<u32>(work, UnpackOff.range);
  let code = load<u32>(work, UnpackOff.code);
  let input: usize = load<u32>(work, UnpackOff.input);
  let out: usize = load<u32>(work, UnpackOff.output);
  let state = load<u32>(work, UnpackOff.state);
  let rep0 = load<u32>(work, UnpackOff.reps);
  let rep1 = load<u32>(work, UnpackOff.reps + 4);
  let rep2 = load<u32>(work, UnpackOff.reps + 8);
  let rep3 = load<u32>(work, UnpackOff.reps + 12);
  let length = load<u32>(work, UnpackOff.pending);
  const lc = load<u32>(work, UnpackOff.lc);
  const lpMask = load<u32>(work, UnpackOff.lpMask);
  const pbMask = load<u32>(work, UnpackOff.pbMask);
  let zerosFrom: usize = 0, zerosEnd: usize = 0; // before here, if `zerosEnd` is `out`
  let why = Unpacked.all;
  let p: u32, bound: u32, node: u32, at: usize;
  let isZero: bool;

  for (;;) {
    const done = <u32>(out - base);
    if (length > 0) {
      if (rep0 >= done) {
        why = Unpacked.damaged;
        break;
      }
      const part = min(length, size);
      if (zerosEnd == out && zerosFrom + rep0 < out) zerosEnd = out + part;
      else if (part >= LONG && rep0 < LONG && areZeros(out - 1 - rep0, rep0 + 1)) {
        noteZeros(work, zerosFrom, zerosEnd);
        zerosFrom = out - 1 - rep0;
        zerosEnd = out + part;
      } else copyMatch(out, rep0 + 1, part);
      out += part;
      size -= part;
      length -= part;
      if (size > 0) continue;
    }
    if (size == 0) break;
    if (input > stop) {
      why = Unpacked.input;
      break;
    }

    const position = done & pbMask;
    at = work + (((state << 4) + position) << 1);
    if (range < TOP) {
      range <<= 8;
      code = (code << 8) | load<u8>(input++);
    }
    p = load<u16>(at, Model.isMatch);
    bound = (range >>> 11) * p;
    if (code < bound) {
      range = bound;
      store<u16>(at, up(p), Model.isMatch);
      const before: u32 = done > 0 ? load<u8>(out - 1) : 0;
      const literal = work + (((done & lpMask) << lc) + (before >>> (8 - lc))) * Model.LITERAL_SIZE;
      node = 1;
      if (state < 7) {
        do {
          at = literal + (node << 1);
          if (range < TOP) {
            range <<= 8;
            code = (code << 8) | load<u8>(input++);
          }
          p = load<u16>(at, Model.literal);
          bound = (range >>> 11) * p;
          isZero = code < bound;
          range = select(bound, range - bound, isZero);
          code = select(code, code - bound, isZero);
          store<u16>(at, select(up(p), down(p), isZero), Model.literal);
          node = (node << 1) + <u32>!isZero;
        } while (node < 0x100);
      } else {
        // A literal after a match: while it agrees with the byte the match would have given, that byte selects the model.
        if (rep0 >= done) {
          why = Unpacked.damaged;
          break;
        }
        let expected: u32 = load<u8>(out - 1 - rep0);
        let agree: u32 = 0x100;
        do {
          expected <<= 1;
          const wanted = expected & agree;
          at = literal + ((agree + wanted + node) << 1);
          if (range < TOP) {
            range <<= 8;
            code = (code << 8) | load<u8>(input++);
          }
          p = load<u16>(at, Model.literal);
          bound = (range >>> 11) * p;
          isZero = code < bound;
          range = select(bound, range - bound, isZero);
          code = select(code, code - bound, isZero);
          store<u16>(at, select(up(p), down(p), isZero), Model.literal);
          node = (node << 1) + <u32>!isZero;
          agree &= wanted ^ (0 - <u32>isZero);
        } while (node < 0x100);
      }
      store<u8>(out++, node);
      size--;
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    range -= bound;
    code -= bound;
    store<u16>(at, down(p), Model.isMatch);

    // A match: at a new distance, or at one of the last four.
    let lengths: usize;
    let isNew = false;
    at = work + (state << 1);
    if (range < TOP) {
      range <<= 8;
      code = (code << 8) | load<u8>(input++);
    }
    p = load<u16>(at, Model.isRep);
    bound = (range >>> 11) * p;
    if (code < bound) {
      range = bound;
      store<u16>(at, up(p), Model.isRep);
      rep3 = rep2;
      rep2 = rep1;
      rep1 = rep0;
      isNew = true;
      lengths = work + Model.length;
      state = state < 7 ? 7 : 10;
    } else {
      range -= bound;
      code -= bound;
      store<u16>(at, down(p), Model.isRep);
      if (range < TOP) {
        range <<= 8;
        code = (code << 8) | load<u8>(input++);
      }
      p = load<u16>(at, Model.isRepG0);
      bound = (range >>> 11) * p;
      if (code < bound) {
        range = bound;
        store<u16>(at, up(p), Model.isRepG0);
        at = work + (((state << 4) + position) << 1);
        if (range < TOP) {
          range <<= 8;
          code = (code << 8) | load<u8>(input++);
        }
        p = load<u16>(at, Model.isRep0Long);
        bound = (range >>> 11) * p;
        if (code < bound) {
          range = bound;
          store<u16>(at, up(p), Model.isRep0Long);
          length = 1;
          state = state < 7 ? 9 : 11;
          continue;
        }
        range -= bound;
        code -= bound;
        store<u16>(at, down(p), Model.isRep0Long);
      } else {
        range -= bound;
        code -= bound;
        store<u16>(at, down(p), Model.isRepG0);
        let distance = rep1;
        if (range < TOP) {
          range <<= 8;
          code = (code << 8) | load<u8>(input++);
        }
        p = load<u16>(at, Model.isRepG1);
        bound = (range >>> 11) * p;
        if (code < bound) {
          range = bound;
          store<u16>(at, up(p), Model.isRepG1);
        } else {
          range -= bound;
          code -= bound;
          store<u16>(at, down(p), Model.isRepG1);
          distance = rep2;
          if (range < TOP) {
            range <<= 8;
            code = (code << 8) | load<u8>(input++);
          }
          p = load<u16>(at, Model.isRepG2);
          bound = (range >>> 11) * p;
          if (code < bound) {
            range = bound;
            store<u16>(at, up(p), Model.isRepG2);
          } else {
            range -= bound;
            code -= bound;
            store<u16>(at, down(p), Model.isRepG2);
            distance = rep3;
            rep3 = rep2;
          }
          rep2 = rep1;
        }
        rep1 = rep0;
        rep0 = distance;
      }
      lengths = work + Model.repLength;
      state = state < 7 ? 8 : 11;
    }

    // Its length: 2 to 9, 10 to 17, or 18 to 273, each with a tree of its own.
    let leaves: u32;
    if (range < TOP) {
      range <<= 8;
      code = (code << 8) | load<u8>(input++);
    }
    p = load<u16>(lengths);
    bound = (range >>> 11) * p;
    if (code < bound) {
      range = bound;
      store<u16>(lengths, up(p));
      lengths += (2 + (position << 3)) << 1;
      leaves = 8;
      length = 2;
    } else {
      range -= bound;
      code -= bound;
      store<u16>(lengths, down(p));
      if (range < TOP) {
        range <<= 8;
        code = (code << 8) | load<u8>(input++);
      }
      p = load<u16>(lengths, 2);
      bound = (range >>> 11) * p;
      if (code < bound) {
        range = bound;
        store<u16>(lengths, up(p), 2);
        lengths += (2 + 16 * 8 + (position << 3)) << 1;
        leaves = 8;
        length = 10;
      } else {
        range -= bound;
        code -= bound;
        store<u16>(lengths, down(p), 2);
        lengths += (2 + 16 * 8 * 2) << 1;
        leaves = 256;
        length = 18;
      }
    }
    node = 1;
    do {
      at = lengths + (node << 1);
      if (range < TOP) {
        range <<= 8;
        code = (code << 8) | load<u8>(input++);
      }
      p = load<u16>(at);
      bound = (range >>> 11) * p;
      isZero = code < bound;
      range = select(bound, range - bound, isZero);
      code = select(code, code - bound, isZero);
      store<u16>(at, select(up(p), down(p), isZero));
      node = (node << 1) + <u32>!isZero;
    } while (node < leaves);
    length += node - leaves;
    if (!isNew) continue;

    // Its distance: a slot, which gives the two highest bits and how many follow.
    const slots = work + (<usize>min(length - 2, 3) << 7);
    node = 1;
    do {
      at = slots + (node << 1);
      if (range < TOP) {
        range <<= 8;
        code = (code << 8) | load<u8>(input++);
      }
      p = load<u16>(at, Model.slot);
      bound = (range >>> 11) * p;
      isZero = code < bound;
      range = select(bound, range - bound, isZero);
      code = select(code, code - bound, isZero);
      store<u16>(at, select(up(p), down(p), isZero), Model.slot);
      node = (node << 1) + <u32>!isZero;
    } while (node < 64);
    rep0 = node - 64;
    if (rep0 < 4) continue;
    let bits = (rep0 >>> 1) - 1;
    const slot = rep0;
    rep0 = 2 | (slot & 1);
    let tree: usize;
    if (slot < 14) {
      rep0 <<= bits;
      tree = work + Model.special + ((rep0 - slot) << 1);
    } else {
      // All but the lowest four have even odds and no model.
      for (bits -= 4; bits > 0; bits--) {
        if (range < TOP) {
          range <<= 8;
          code = (code << 8) | load<u8>(input++);
        }
        range >>>= 1;
        isZero = code < range;
        code = select(code, code - range, isZero);
        rep0 = (rep0 << 1) + <u32>!isZero;
      }
      rep0 <<= 4;
      bits = 4;
      tree = work + Model.align;
    }
    node = 1;
    for (let n: u32 = 0; n < bits; n++) {
      at = tree + (node << 1); // lowest bit first
      if (range < TOP) {
        range <<= 8;
        code = (code << 8) | load<u8>(input++);
      }
      p = load<u16>(at);
      bound = (range >>> 11) * p;
      isZero = code < bound;
      range = select(bound, range - bound, isZero);
      code = select(code, code - bound, isZero);
      store<u16>(at, select(up(p), down(p), isZero));
      node = (node << 1) + <u32>!isZero;
      rep0 += <u32>!isZero << n;
    }
    if (rep0 == END_MARKER) {
      why = Unpacked.marker;
      break;
    }
  }
  noteZeros(work, zerosFrom, zerosEnd);
  if (range < TOP) {
    range <<= 8;
    code = (code << 8) | load<u8>(input++);
  }
  store<u32>(work, range, UnpackOff.range);
  store<u32>(work, code, UnpackOff.code);
  store<u32>(work, <u32>input, UnpackOff.input);
  store<u32>(work, <u32>out, UnpackOff.output);
  store<u32>(work, state, UnpackOff.state);
  store<u32>(work, rep0, UnpackOff.reps);
  store<u32>(work, rep1, UnpackOff.reps + 4);
  store<u32>(work, rep2, UnpackOff.reps + 8);
  store<u32>(work, rep3, UnpackOff.reps + 12);
  store<u32>(work, length, UnpackOff.pending);
  return why;
}

/** Copies to `out` what lies `distance` before it, byte by byte as far as anybody can tell. */
@inline
function copyMatch(out: usize, distance: u32, length: u32): void {
  let from = out - distance;
  if (distance >= 16) {
    for (; length >= 16; length -= 16, out += 16, from += 16) v128.store(out, v128.load(from));
  }
  if (distance >= 8) {
    for (; length >= 8; length -= 8, out += 8, from += 8) store<u64>(out, load<u64>(from));
  }
  for (; length > 0; length--) store<u8>(out++, load<u8>(from++));
}

function areZeros(at: usize, length: u32): bool {
  for (; length > 0; length--) if (load<u8>(at++)) return false;
  return true;
}

/** Nothing has been written from `from` up to `end`: it goes on a run that ended where it begins, or is another one. */
function noteZeros(work: usize, from: usize, end: usize): void {
  const count = load<u32>(work, UnpackOff.runs), next = work + (<usize>count << 3), last = load<u32>(next, UnpackOff.zeroRuns - 4);
  if (count > 0 && last >= <u32>from) {
    store<u32>(next, max(<u32>end, last), UnpackOff.zeroRuns - 4);
  } else if (end - from >= RUN && count < <u32>UnpackOff.MOST_RUNS) {
    store<u32>(next, <u32>(from + MARGIN), UnpackOff.zeroRuns);
    store<u32>(next, <u32>end, UnpackOff.zeroRuns + 4);
    store<u32>(work, count + 1, UnpackOff.runs);
  }
}
