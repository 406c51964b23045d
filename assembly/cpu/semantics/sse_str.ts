/** PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM Vol.2 "Understanding PCMPxSTRx Immediates"). The immediate:
 *  ```
 *  1..0 elements: u8 u16 s8 s16     3..2 equal any, ranges, equal each, equal ordered
 *  4 negate   5 only valid ones     6 last index / element mask
 *  ```
 *  Sets of elements are bit masks; bit i of a set is element i of the second operand. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Flag, Gpr } from "../../abi/x86";
import { setStatus } from "../flags";
import { Op } from "../opcodes.gen";
import { imm, opSize } from "../operand";
import { PCPU } from "../pcpu";
import { performSseAes } from "./sse_aes";
import { next, setGpr, setXmm, vReg, w128Unaligned } from "./xmm";

const enum Str {
  WORDS = 1,
  SIGNED = 2,
  NEGATE = 16,
  VALID_ONLY = 32,
  LAST_OR_MASK = 64,
}

/** All ones in the lowest n bits. */
@inline function ones(n: i32): u32 { return (1 << n) - 1; }

@inline function splatElement(at: i32, words: bool): v128 {
  return words ? i16x8.splat(load<i16>(PCPU + (at << 1), PcpuOff.sseScratch)) : i8x16.splat(load<i8>(PCPU + at, PcpuOff.sseScratch));
}
@inline function equal(a: v128, b: v128, words: bool): v128 { return words ? i16x8.eq(a, b) : i8x16.eq(a, b); }
@inline function setOf(mask: v128, words: bool): u32 { return words ? i16x8.bitmask(mask) : i8x16.bitmask(mask); }
/** a >= b by element type. */
function atLeast(a: v128, b: v128, n: i32): v128 {
  switch (n & 3) {
    case 0: return i8x16.ge_u(a, b);
    case 1: return i16x8.ge_u(a, b);
    case 2: return i8x16.ge_s(a, b);
    default: return i16x8.ge_s(a, b);
  }
}

/** IntRes1: the comparison proper, for lengths la and lb. */
function aggregate(a: v128, b: v128, la: i32, lb: i32, n: i32): u32 {
  const words = (n & Str.WORDS) != 0, size = words ? 8 : 16, validA = ones(la), validB = ones(lb);
  store<v128>(PCPU, a, PcpuOff.sseScratch);
  switch (n >> 2 & 3) {
    case 0: { // any: a is a set of characters
      let found = i64x2.splat(0);
      for (let i = 0; i < la; i++) found = v128.or(found, equal(b, splatElement(i, words), words));
      return setOf(found, words) & validB;
    }
    case 1: { // ranges: a is pairs of bounds
      let found = i64x2.splat(0);
      for (let i = 0; i + 1 < la; i += 2)
        found = v128.or(found, v128.and(atLeast(b, splatElement(i, words), n), atLeast(splatElement(i + 1, words), b, n)));
      return setOf(found, words) & validB;
    }
    case 2: // each: both ended counts as equal
      return (setOf(equal(a, b, words), words) & validA & validB) | (ones(size) & ~validA & ~validB);
    default: { // ordered: a is a substring, which may run over the end of the register
      let r = ones(size);
      for (let i = 0; i < la; i++) r &= ((setOf(equal(b, splatElement(i, words), words), words) & validB) >> i) | ~(ones(size) >> i);
      return r;
    }
  }
}

/** Length of a string ending at its first zero. */
function implicitLength(x: v128, words: bool): i32 {
  const zeros = setOf(equal(x, i64x2.splat(0), words), words);
  return zeros ? <i32>ctz<u32>(zeros) : words ? 8 : 16;
}
/** |rAX| or |rDX|, at most the number of elements. */
function explicitLength(u: usize, register: i32, words: bool): i32 {
  const at = PCPU + (<usize>register << 3), size: u64 = words ? 8 : 16;
  const value = opSize(u) == 8 ? load<i64>(at) : <i64>load<i32>(at);
  const length = value < 0 ? 0 - <u64>value : <u64>value;
  return <i32>(length > size ? size : length);
}

/** The elements of a mask: one bit each, or whole elements of ones. */
function expand(r: u32, n: i32): v128 {
  if (!(n & Str.LAST_OR_MASK)) return i32x4.replace_lane(i32x4.splat(0), 0, r);
  if (n & Str.WORDS) return i16x8.ne(v128.and(i16x8.splat(<i16>r), i16x8(1, 2, 4, 8, 16, 32, 64, 128)), i64x2.splat(0));
  const bytes = i8x16.shuffle(i16x8.splat(<i16>r), i64x2.splat(0), 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  return i8x16.ne(v128.and(bytes, i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128)), i64x2.splat(0));
}

export function performSseString(u: usize): usize {
  const op = <i32>load<u16>(u, RecOff.op);
  if (op < Op.pcmpestrm || op > Op.pcmpistri) return performSseAes(u);
  const n = imm(u) & 0xff, words = (n & Str.WORDS) != 0, size = words ? 8 : 16;
  const a = vReg(u), b = w128Unaligned(u);
  const isExplicit = op <= Op.pcmpestri;
  const la = isExplicit ? explicitLength(u, Gpr.rax, words) : implicitLength(a, words);
  const lb = isExplicit ? explicitLength(u, Gpr.rdx, words) : implicitLength(b, words);
  let r = aggregate(a, b, la, lb, n);
  if (n & Str.NEGATE) r ^= n & Str.VALID_ONLY ? ones(lb) : ones(size);
  if (op == Op.pcmpestri || op == Op.pcmpistri)
    setGpr(Gpr.rcx, r ? (n & Str.LAST_OR_MASK ? 31 - clz<u32>(r) : ctz<u32>(r)) : size);
  else setXmm(0, expand(r, n));
  setStatus((r ? Flag.CF : 0) | (lb < size ? Flag.ZF : 0) | (la < size ? Flag.SF : 0) | (r & 1 ? Flag.OF : 0));
  return next(u);
}
