/** Floating-point operations as SSE performs them. WebAssembly rounds to nearest and reports nothing, so its operation is
 *  used where that is the whole story: operands are zero or normal, the result is safely inside the normal range, RC is
 *  nearest, and inexactness is already noted or disproved. Everything else is decided by ieee.ts. NaNs never take the
 *  short way (their bits are not deterministic in WebAssembly). */
import { Arith, arith, flushed, fromInteger, isDenormal, isNan, isSignaling, narrow, quiet, squareRoot, widen } from "./ieee";
import { Csr, Rounding, denormalsAreZero, inexactIsSettled, mxcsr, note, rounding } from "./mxcsr";

/** Zero or normal: neither NaN, infinite nor denormal. */
@inline export function isPlain<T>(x: T): bool {
  if (sizeof<T>() == 8) {
    const m = reinterpret<u64>(<f64>x) << 1;
    return m - 0x0020000000000000 < 0xffc0000000000000 || !m;
  }
  const m = reinterpret<u32>(<f32>x) << 1;
  return m - 0x01000000 < 0xfe000000 || !m;
}

/** Normal and not the smallest such number, which a tiny result may have been rounded to. */
@inline function isSafe<T>(x: T): bool {
  if (sizeof<T>() == 8) return (reinterpret<u64>(<f64>x) << 1) - 0x0020000000000001 < 0xffbfffffffffffff;
  return (reinterpret<u32>(<f32>x) << 1) - 0x01000001 < 0xfdffffff;
}

@inline function bits<T>(x: T): u64 { return sizeof<T>() == 8 ? reinterpret<u64>(<f64>x) : <u64>reinterpret<u32>(<f32>x); }
@inline function fromBits<T>(x: u64): T { return sizeof<T>() == 8 ? <T>reinterpret<f64>(x) : <T>reinterpret<f32>(<u32>x); }

@inline function compute<T>(op: i32, a: T, b: T): T {
  switch (op) {
    case Arith.add: return <T>(a + b);
    case Arith.sub: return <T>(a - b);
    case Arith.mul: return <T>(a * b);
    default: return <T>(a / b);
  }
}

/** Low zero bits of the 53-bit significand of a nonzero f64. */
@inline function trailingZeros(x: f64): i32 { return <i32>ctz<u64>(reinterpret<u64>(x) | 0x0010000000000000); }

/** True if `r`, computed by rounding to nearest, is exactly a op b. May say no when in doubt. */
function isExact<T>(op: i32, a: T, b: T, r: T): bool {
  if (op <= Arith.sub) {
    const y = op == Arith.sub ? <T>-b : b;
    const virtual = <T>(r - a); // Knuth's TwoSum: the rounding error of a sum is itself a number
    return <T>((a - <T>(r - virtual)) + (y - virtual)) == 0;
  }
  if (sizeof<T>() == 4) { // products of f32 are exact in f64
    if (op == Arith.mul) return <f64>a * <f64>b == <f64>r;
    return <f64>r * <f64>b == <f64>a;
  }
  if (op == Arith.mul) return trailingZeros(<f64>a) + trailingZeros(<f64>b) >= 53;
  return trailingZeros(<f64>r) + trailingZeros(<f64>b) >= 53 && <f64>r * <f64>b == <f64>a;
}

/** a op b where r is the rounded result, the short way having failed on range or inexactness. */
function binarySlow<T>(op: i32, a: T, b: T, r: T, ranged: bool): T {
  if (ranged && rounding() == Rounding.nearest && isExact<T>(op, a, b, r)) return r;
  return fromBits<T>(arith(op, bits<T>(a), bits<T>(b), <i32>sizeof<T>()));
}

/** One element of ADD, SUB, MUL, DIV. */
@inline export function binaryInline<T>(op: i32, a: T, b: T): T {
  const r = compute<T>(op, a, b);
  // A zero is exact as a sum, as a product with zero, and as a quotient of zero.
  const ranged = isPlain<T>(a) && isPlain<T>(b)
    && (isSafe<T>(r) || (r == 0 && (op <= Arith.sub || a == 0 || (op == Arith.mul && b == 0))));
  return ranged && inexactIsSettled() ? r : binarySlow<T>(op, a, b, r, ranged);
}
export function binary<T>(op: i32, a: T, b: T): T { return binaryInline<T>(op, a, b); }

export function root<T>(x: T): T {
  const r = <T>(sizeof<T>() == 8 ? <T>sqrt<f64>(<f64>x) : <T>sqrt<f32>(<f32>x));
  if (isPlain<T>(x) && (x > 0 || x == 0)) {
    if (inexactIsSettled()) return r;
    if (rounding() == Rounding.nearest) {
      if (sizeof<T>() == 4 ? <f64>r * <f64>r == <f64>x : x == 0 || (trailingZeros(<f64>r) >= 27 && r * r == x)) return r;
    }
  }
  return fromBits<T>(squareRoot(bits<T>(x), <i32>sizeof<T>()));
}

@inline function magnitudePs(x: v128): v128 { return v128.and(x, i32x4.splat(0x7fffffff)); }
@inline function magnitudePd(x: v128): v128 { return v128.and(x, i64x2.splat(0x7fffffffffffffff)); }

/** Lanes that are not zero, denormal, infinite or NaN, or are as in isPlain when zero counts too. */
@inline function plainPs(x: v128): v128 {
  const m = magnitudePs(x);
  return v128.or(i32x4.lt_u(i32x4.sub(m, i32x4.splat(0x00800000)), i32x4.splat(0x7f000000)), i32x4.eq(m, i32x4.splat(0)));
}
@inline function plainPd(x: v128): v128 {
  const m = magnitudePd(x);
  return v128.or(
    v128.and(i64x2.gt_s(m, i64x2.splat(0x000fffffffffffff)), i64x2.lt_s(m, i64x2.splat(0x7ff0000000000000))),
    i64x2.eq(m, i64x2.splat(0)));
}
@inline function safePs(x: v128): v128 {
  return i32x4.lt_u(i32x4.sub(magnitudePs(x), i32x4.splat(0x00800001)), i32x4.splat(0x7effffff));
}
@inline function safePd(x: v128): v128 {
  const m = magnitudePd(x);
  return v128.and(i64x2.gt_s(m, i64x2.splat(0x0010000000000000)), i64x2.lt_s(m, i64x2.splat(0x7ff0000000000000)));
}

@inline function exactZeros<T>(op: i32, a: v128, b: v128, r: v128): v128 {
  if (sizeof<T>() == 4) {
    const zero = f32x4.splat(0), zeroA = f32x4.eq(a, zero), zeroB = f32x4.eq(b, zero);
    return op <= Arith.sub ? f32x4.eq(r, zero) : op == Arith.mul ? v128.or(zeroA, zeroB) : v128.andnot(zeroA, zeroB);
  }
  const zero = f64x2.splat(0), zeroA = f64x2.eq(a, zero), zeroB = f64x2.eq(b, zero);
  return op <= Arith.sub ? f64x2.eq(r, zero) : op == Arith.mul ? v128.or(zeroA, zeroB) : v128.andnot(zeroA, zeroB);
}

/** ADDPS, SUBPS, MULPS, DIVPS. */
export function binaryPs(op: i32, a: v128, b: v128): v128 {
  if (inexactIsSettled()) {
    let r: v128;
    switch (op) {
      case Arith.add: r = f32x4.add(a, b); break;
      case Arith.sub: r = f32x4.sub(a, b); break;
      case Arith.mul: r = f32x4.mul(a, b); break;
      default: r = f32x4.div(a, b);
    }
    if (i32x4.all_true(v128.and(v128.and(plainPs(a), plainPs(b)), v128.or(safePs(r), exactZeros<f32>(op, a, b, r))))) return r;
  }
  let r = f32x4.splat(binary<f32>(op, f32x4.extract_lane(a, 0), f32x4.extract_lane(b, 0)));
  r = f32x4.replace_lane(r, 1, binary<f32>(op, f32x4.extract_lane(a, 1), f32x4.extract_lane(b, 1)));
  r = f32x4.replace_lane(r, 2, binary<f32>(op, f32x4.extract_lane(a, 2), f32x4.extract_lane(b, 2)));
  return f32x4.replace_lane(r, 3, binary<f32>(op, f32x4.extract_lane(a, 3), f32x4.extract_lane(b, 3)));
}

/** ADDPD, SUBPD, MULPD, DIVPD. */
export function binaryPd(op: i32, a: v128, b: v128): v128 {
  if (inexactIsSettled()) {
    let r: v128;
    switch (op) {
      case Arith.add: r = f64x2.add(a, b); break;
      case Arith.sub: r = f64x2.sub(a, b); break;
      case Arith.mul: r = f64x2.mul(a, b); break;
      default: r = f64x2.div(a, b);
    }
    if (i64x2.all_true(v128.and(v128.and(plainPd(a), plainPd(b)), v128.or(safePd(r), exactZeros<f64>(op, a, b, r))))) return r;
  }
  const r = f64x2.splat(binary<f64>(op, f64x2.extract_lane(a, 0), f64x2.extract_lane(b, 0)));
  return f64x2.replace_lane(r, 1, binary<f64>(op, f64x2.extract_lane(a, 1), f64x2.extract_lane(b, 1)));
}

/** Even elements subtract, odd ones add (ADDSUBPS). */
export function addsubPs(a: v128, b: v128): v128 {
  let r = f32x4.splat(binary<f32>(Arith.sub, f32x4.extract_lane(a, 0), f32x4.extract_lane(b, 0)));
  r = f32x4.replace_lane(r, 1, binary<f32>(Arith.add, f32x4.extract_lane(a, 1), f32x4.extract_lane(b, 1)));
  r = f32x4.replace_lane(r, 2, binary<f32>(Arith.sub, f32x4.extract_lane(a, 2), f32x4.extract_lane(b, 2)));
  return f32x4.replace_lane(r, 3, binary<f32>(Arith.add, f32x4.extract_lane(a, 3), f32x4.extract_lane(b, 3)));
}
export function addsubPd(a: v128, b: v128): v128 {
  const r = f64x2.splat(binary<f64>(Arith.sub, f64x2.extract_lane(a, 0), f64x2.extract_lane(b, 0)));
  return f64x2.replace_lane(r, 1, binary<f64>(Arith.add, f64x2.extract_lane(a, 1), f64x2.extract_lane(b, 1)));
}

export function rootPs(x: v128): v128 {
  const r = f32x4.splat(root<f32>(f32x4.extract_lane(x, 0)));
  const s = f32x4.replace_lane(r, 1, root<f32>(f32x4.extract_lane(x, 1)));
  const t = f32x4.replace_lane(s, 2, root<f32>(f32x4.extract_lane(x, 2)));
  return f32x4.replace_lane(t, 3, root<f32>(f32x4.extract_lane(x, 3)));
}
export function rootPd(x: v128): v128 {
  return f64x2.replace_lane(f64x2.splat(root<f64>(f64x2.extract_lane(x, 0))), 1, root<f64>(f64x2.extract_lane(x, 1)));
}

/* Comparison, MIN and MAX: exact, so only NaNs and denormals matter. */

/** Notes what comparing x with y raises: IE for a signaling NaN, or for any if `quietToo`; DE for a denormal. */
function noteCompared(x: u64, y: u64, w: i32, quietToo: bool): void {
  if (isNan(x, w) || isNan(y, w)) {
    if (quietToo || isSignaling(x, w) || isSignaling(y, w)) note(Csr.IE);
  } else if (!denormalsAreZero() && (isDenormal(x, w) || isDenormal(y, w))) note(Csr.DE);
}

/** Bits of element `i` of a vector in two halves. */
function elementOf(low: u64, high: u64, i: i32, w: i32): u64 {
  if (w == 8) return i ? high : low;
  return (i & 2 ? high : low) >> <u64>((i & 1) << 5) & 0xffffffff;
}

function noteComparedVector(a: v128, b: v128, w: i32, elements: i32, quietToo: bool): void {
  const al = i64x2.extract_lane(a, 0), ah = i64x2.extract_lane(a, 1), bl = i64x2.extract_lane(b, 0), bh = i64x2.extract_lane(b, 1);
  for (let i = 0; i < elements; i++) noteCompared(elementOf(al, ah, i, w), elementOf(bl, bh, i, w), w, quietToo);
}

/** DAZ on all elements. */
export function flushedPs(x: v128): v128 {
  if (!denormalsAreZero()) return x;
  const m = magnitudePs(x), denormal = i32x4.lt_u(m, i32x4.splat(0x00800000));
  return v128.andnot(x, v128.and(denormal, i32x4.splat(0x7fffffff)));
}
export function flushedPd(x: v128): v128 {
  if (!denormalsAreZero()) return x;
  const denormal = i64x2.lt_s(magnitudePd(x), i64x2.splat(0x0010000000000000));
  return v128.andnot(x, v128.and(denormal, i64x2.splat(0x7fffffffffffffff)));
}

export const enum Compare {
  min = 8,
  max = 9,
}

/** CMPPS by predicate 0..7, MINPS, MAXPS. Of two zeros or with a NaN, MIN and MAX give the second operand. Only the
 *  lowest `elements` raise exceptions. */
export function comparePs(op: i32, first: v128, second: v128, elements: i32): v128 {
  if (!i32x4.all_true(v128.and(plainPs(first), plainPs(second)))) noteComparedVector(first, second, 4, elements, op >= Compare.min || ((op + 1) & 2) != 0);
  const a = flushedPs(first), b = flushedPs(second);
  switch (op) {
    case 0: return f32x4.eq(a, b);
    case 1: return f32x4.lt(a, b);
    case 2: return f32x4.le(a, b);
    case 3: return v128.or(f32x4.ne(a, a), f32x4.ne(b, b));
    case 4: return f32x4.ne(a, b);
    case 5: return v128.not(f32x4.lt(a, b));
    case 6: return v128.not(f32x4.le(a, b));
    case 7: return v128.and(f32x4.eq(a, a), f32x4.eq(b, b));
    case Compare.min: return f32x4.pmin(b, a);
    default: return f32x4.pmax(b, a);
  }
}
export function comparePd(op: i32, first: v128, second: v128, elements: i32): v128 {
  if (!i64x2.all_true(v128.and(plainPd(first), plainPd(second)))) noteComparedVector(first, second, 8, elements, op >= Compare.min || ((op + 1) & 2) != 0);
  const a = flushedPd(first), b = flushedPd(second);
  switch (op) {
    case 0: return f64x2.eq(a, b);
    case 1: return f64x2.lt(a, b);
    case 2: return f64x2.le(a, b);
    case 3: return v128.or(f64x2.ne(a, a), f64x2.ne(b, b));
    case 4: return f64x2.ne(a, b);
    case 5: return v128.not(f64x2.lt(a, b));
    case 6: return v128.not(f64x2.le(a, b));
    case 7: return v128.and(f64x2.eq(a, a), f64x2.eq(b, b));
    case Compare.min: return f64x2.pmin(b, a);
    default: return f64x2.pmax(b, a);
  }
}

/** ZF PF CF of COMIS and UCOMIS: unordered 111, less 001, equal 100, greater 000. */
export function orderFlags(first: u64, second: u64, w: i32, quietToo: bool): u32 {
  noteCompared(first, second, w, quietToo);
  const x = flushed(first, w), y = flushed(second, w);
  const a = w == 8 ? reinterpret<f64>(x) : <f64>reinterpret<f32>(<u32>x), b = w == 8 ? reinterpret<f64>(y) : <f64>reinterpret<f32>(<u32>y);
  if (a > b) return 0;
  if (a < b) return 0x01;
  return a == b ? 0x40 : 0x45;
}

/* Conversions. */

export function roundBy(rc: u32, x: f64): f64 {
  switch (<i32>rc) {
    case Rounding.nearest: return nearest<f64>(x);
    case Rounding.down: return floor<f64>(x);
    case Rounding.up: return ceil<f64>(x);
    default: return trunc<f64>(x);
  }
}

/** x rounded by `rc` to a signed integer of 32 or 64 bits; the integer indefinite 1000...0 if it does not fit. */
export function toInteger(x: f64, rc: u32, size: i32): i64 {
  const r = roundBy(rc, x);
  if (size == 8) {
    if (!(r >= -9223372036854775808.0 && r < 9223372036854775808.0)) {
      note(Csr.IE);
      return i64.MIN_VALUE;
    }
  } else if (!(r >= -2147483648.0 && r <= 2147483647.0)) {
    note(Csr.IE);
    return 0x80000000;
  }
  if (r != x) note(Csr.PE);
  return size == 8 ? <i64>r : <i64>r & 0xffffffff;
}
/** The operand of a conversion to integer, which reports no denormals. */
@inline export function integerSource64(x: u64): f64 { return reinterpret<f64>(flushed(x, 8)); }
@inline export function integerSource32(x: u32): f64 { return <f64>reinterpret<f32>(<u32>flushed(x, 4)); }

export function integerTo64(x: i64): f64 {
  const r = <f64>x;
  if (<u64>(x + 0x20000000000000) <= 0x40000000000000 || inexactIsSettled()) return r;
  return reinterpret<f64>(fromInteger(x, 8));
}
export function integerTo32(x: i64): f32 {
  const r = <f32>x;
  if (<u64>(x + 0x1000000) <= 0x2000000 || inexactIsSettled()) return r;
  return reinterpret<f32>(<u32>fromInteger(x, 4));
}

export function demote(x: f64): f32 {
  const r = <f32>x;
  if (isPlain<f64>(x) && (isSafe<f32>(r) || x == 0) && (inexactIsSettled() || <f64>r == x)) return r;
  return reinterpret<f32>(<u32>narrow(reinterpret<u64>(x)));
}
export function promote(x: f32): f64 {
  if (isPlain<f32>(x)) return <f64>x;
  return reinterpret<f64>(widen(reinterpret<u32>(x)));
}

/** ROUNDSS and ROUNDSD: immediate bit 2 takes RC from MXCSR, bit 3 keeps PE quiet. */
export function roundToIntegral<T>(operand: T, immediate: i32): T {
  const w = <i32>sizeof<T>();
  const x = flushed(bits<T>(operand), w);
  if (isNan(x, w)) {
    if (isSignaling(x, w)) note(Csr.IE);
    return fromBits<T>(quiet(x, w));
  }
  const value = fromBits<T>(x), rc = immediate & 4 ? rounding() : immediate & 3;
  const r = <T>roundBy(rc, <f64>value);
  if (r != value && !(immediate & 8)) note(Csr.PE);
  return r;
}

/* RCP and RSQRT: approximations of relative error at most 1.5 * 2^-12, without exceptions. The exact quotient, rounded to
 * 12 bits of fraction, is well inside that and the same everywhere. */

function approximation(x: f64): f32 {
  if (abs<f64>(x) < 1.1754943508222875e-38) return <f32>copysign<f64>(0, x); // underflow gives zero
  return <f32>reinterpret<f64>((reinterpret<u64>(x) + 0x8000000000) & 0xffffff0000000000);
}
@inline function flushedAlways(x: u32): u32 { return (x & 0x7fffffff) < 0x00800000 ? x & 0x80000000 : x; }

export function reciprocal(operand: u32): u32 {
  const x = flushedAlways(operand);
  if (isNan(x, 4)) return <u32>quiet(x, 4);
  return reinterpret<u32>(approximation(1.0 / <f64>reinterpret<f32>(x)));
}
export function reciprocalRoot(operand: u32): u32 {
  const x = flushedAlways(operand);
  if (isNan(x, 4)) return <u32>quiet(x, 4);
  if (x > 0x80000000) return 0xffc00000;
  if (!(x & 0x7fffffff)) return x | 0x7f800000;
  return reinterpret<u32>(approximation(1.0 / sqrt<f64>(<f64>reinterpret<f32>(x))));
}
