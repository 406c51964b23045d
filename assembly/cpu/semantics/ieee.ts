/** IEEE 754 arithmetic from integers, for f32 and f64 alike, under every rounding mode and with every exception flag: what
 *  WebAssembly's operations do not give (SDM Vol.1 "SSE, SSE2, SSE3 SIMD Floating-Point Exceptions"). A number is passed
 *  as its bits in a u64; `w` is its width in bytes, 4 or 8. A finite one is sign, exponent e and significand s, with the
 *  leading bit of s at bit 63: value = s / 2^63 * 2^e. Bit 0 of s also stands for everything lost below it (sticky). */
import { Csr, Rounding, denormalsAreZero, mxcsr, note, rounding } from "./mxcsr";

export const enum Arith {
  add = 0,
  sub = 1,
  mul = 2,
  div = 3,
}

/** Width of the stored fraction. */
@inline function fractionBits(w: i32): i32 { return w == 8 ? 52 : 23; }
@inline function exponentMask(w: i32): i32 { return w == 8 ? 0x7ff : 0xff; }
@inline function bias(w: i32): i32 { return w == 8 ? 1023 : 127; }
@inline export function signBit(w: i32): u64 { return w == 8 ? 0x8000000000000000 : 0x80000000; }
@inline export function infinity(w: i32): u64 { return w == 8 ? 0x7ff0000000000000 : 0x7f800000; }
@inline function largest(w: i32): u64 { return infinity(w) - 1; }
@inline function quietBit(w: i32): u64 { return w == 8 ? 0x0008000000000000 : 0x00400000; }
/** "QNaN floating-point indefinite". */
@inline export function indefinite(w: i32): u64 { return w == 8 ? 0xfff8000000000000 : 0xffc00000; }
@inline function magnitude(x: u64, w: i32): u64 { return x & (signBit(w) - 1); }

@inline export function isNan(x: u64, w: i32): bool { return magnitude(x, w) > infinity(w); }
@inline export function isSignaling(x: u64, w: i32): bool { return isNan(x, w) && !(x & quietBit(w)); }
@inline export function quiet(x: u64, w: i32): u64 { return x | quietBit(w); }
@inline export function isDenormal(x: u64, w: i32): bool { return magnitude(x, w) - 1 < infinity(w) / <u64>exponentMask(w) - 1; }
@inline function isNegative(x: u64, w: i32): bool { return (x & signBit(w)) != 0; }

/** The operand an instruction sees: under DAZ a denormal is a zero of its sign. */
@inline export function flushed(x: u64, w: i32): u64 {
  return denormalsAreZero() && isDenormal(x, w) ? x & signBit(w) : x;
}

function exponentOf(x: u64, w: i32): i32 {
  const field = <i32>(x >> <u64>fractionBits(w)) & exponentMask(w);
  if (field) return field - bias(w);
  return 1 - bias(w) - (<i32>clz<u64>(magnitude(x, w)) - (63 - fractionBits(w)));
}

function significandOf(x: u64, w: i32): u64 {
  const field = <i32>(x >> <u64>fractionBits(w)) & exponentMask(w);
  const fraction = x & (((<u64>1) << <u64>fractionBits(w)) - 1);
  if (field) return (fraction << <u64>(63 - fractionBits(w))) | ((<u64>1) << 63);
  return fraction << clz<u64>(fraction);
}

/** s >> n, what falls out kept sticky. */
function shiftSticky(s: u64, n: i32): u64 {
  if (n == 0) return s;
  if (n > 63) return u64(s != 0);
  return (s >> <u64>n) | u64((s << <u64>(64 - n)) != 0);
}

/** s without its low `drop` bits, rounded as RC demands for a number of that sign. */
function roundOff(s: u64, drop: i32, negative: bool): u64 {
  const kept = s >> <u64>drop, lost = s & (((<u64>1) << <u64>drop) - 1), half = (<u64>1) << <u64>(drop - 1);
  switch (<i32>rounding()) {
    case Rounding.nearest: return kept + u64(lost > half || (lost == half && (kept & 1) != 0));
    case Rounding.down: return kept + u64(negative && lost != 0);
    case Rounding.up: return kept + u64(!negative && lost != 0);
    default: return kept;
  }
}

/** The result of an operation whose exact value is sign, e, s: rounds once, notes overflow, underflow and inexactness. */
function round(negative: bool, e: i32, s: u64, w: i32): u64 {
  const f = fractionBits(w), drop = 63 - f, least = 1 - bias(w);
  const sign = negative ? signBit(w) : 0;
  const loses = (s & (((<u64>1) << <u64>drop) - 1)) != 0;
  if (e < least) {
    // Tininess is detected after rounding as if the exponent had no bound (SDM Vol.1 "Numeric Underflow Exception (#U)").
    const tiny = e < least - 1 || !(roundOff(s, drop, negative) >> <u64>(f + 1));
    if (tiny) {
      if (!(mxcsr() & Csr.UM)) {
        note(loses ? Csr.UE | Csr.PE : Csr.UE); // precision of the result with unbounded exponent: nothing is delivered
        return sign;
      }
      if (mxcsr() & Csr.FTZ) {
        note(Csr.UE | Csr.PE);
        return sign;
      }
    }
    const low = shiftSticky(s, least - e);
    if (low & (((<u64>1) << <u64>drop) - 1)) note(tiny ? Csr.UE | Csr.PE : Csr.PE);
    return sign | roundOff(low, drop, negative); // 2^f is the smallest normal number: the carry is the exponent
  }
  const r = roundOff(s, drop, negative);
  const field = e + bias(w) + <i32>(r >> <u64>(f + 1));
  if (field >= exponentMask(w)) {
    note(loses || (mxcsr() & Csr.OM) != 0 ? Csr.OE | Csr.PE : Csr.OE);
    const rc = rounding();
    const toInfinity = rc == Rounding.nearest || (rc == Rounding.up && !negative) || (rc == Rounding.down && negative);
    return sign | (toInfinity ? infinity(w) : largest(w));
  }
  if (loses) note(Csr.PE);
  const fraction = r >> (r >> <u64>(f + 1)) & (((<u64>1) << <u64>f) - 1);
  return sign | (<u64>field << <u64>f) | fraction;
}

/** x + y for finite operands, y's sign as given. */
function addFinite(x: u64, y: u64, w: i32): u64 {
  if (!magnitude(y, w) || !magnitude(x, w)) {
    if (magnitude(x, w)) return round(isNegative(x, w), exponentOf(x, w), significandOf(x, w), w);
    if (magnitude(y, w)) return round(isNegative(y, w), exponentOf(y, w), significandOf(y, w), w);
    return x == y ? x : rounding() == Rounding.down ? signBit(w) : 0;
  }
  const larger = magnitude(x, w) >= magnitude(y, w) ? x : y, smaller = x ^ y ^ larger;
  const e = exponentOf(larger, w), negative = isNegative(larger, w);
  const a = significandOf(larger, w) >> 1, b = shiftSticky(significandOf(smaller, w) >> 1, e - exponentOf(smaller, w));
  const s = (x ^ y) & signBit(w) ? a - b : a + b;
  if (!s) return rounding() == Rounding.down ? signBit(w) : 0;
  const shift = <i32>clz<u64>(s);
  return round(negative, e + 1 - shift, s << <u64>shift, w);
}

function mulFinite(x: u64, y: u64, w: i32): u64 {
  const negative = isNegative(x ^ y, w);
  if (!magnitude(x, w) || !magnitude(y, w)) return negative ? signBit(w) : 0;
  const a = significandOf(x, w), b = significandOf(y, w);
  const al = a & 0xffffffff, ah = a >> 32, bl = b & 0xffffffff, bh = b >> 32;
  const low = al * bl, middle = ah * bl + (low >> 32), middle2 = al * bh + (middle & 0xffffffff);
  let high = ah * bh + (middle >> 32) + (middle2 >> 32);
  let rest = (middle2 << 32) | (low & 0xffffffff);
  let e = exponentOf(x, w) + exponentOf(y, w) + 1;
  if (!(high >> 63)) {
    high = (high << 1) | (rest >> 63);
    rest <<= 1;
    e--;
  }
  return round(negative, e, high | u64(rest != 0), w);
}

function divFinite(x: u64, y: u64, w: i32): u64 {
  const negative = isNegative(x ^ y, w);
  if (!magnitude(x, w)) return negative ? signBit(w) : 0;
  const b = significandOf(y, w);
  let rest = significandOf(x, w), e = exponentOf(x, w) - exponentOf(y, w), q: u64 = 0, bits = 64;
  if (rest >= b) {
    rest -= b;
    q = 1;
    bits = 63;
  } else e--;
  for (; bits; bits--) {
    const carry = rest >> 63;
    rest <<= 1;
    q <<= 1;
    if (carry || rest >= b) {
      rest -= b;
      q |= 1;
    }
  }
  return round(negative, e, q | u64(rest != 0), w);
}

/** One element of ADD, SUB, MUL or DIV. An operand's NaN comes first, then invalid operations, division by zero, and
 *  denormal operands (SDM Vol.1 "Priority of SIMD Floating-Point Exceptions"). */
export function arith(op: i32, first: u64, second: u64, w: i32): u64 {
  const x = flushed(first, w);
  let y = flushed(second, w);
  if (isNan(x, w) || isNan(y, w)) {
    if (isSignaling(x, w) || isSignaling(y, w)) note(Csr.IE);
    return quiet(isNan(x, w) ? x : y, w);
  }
  if (op == Arith.sub) y ^= signBit(w);
  const infiniteX = magnitude(x, w) == infinity(w), infiniteY = magnitude(y, w) == infinity(w);
  const zeroX = !magnitude(x, w), zeroY = !magnitude(y, w), sign = (x ^ y) & signBit(w);
  const invalid = op <= Arith.sub ? infiniteX && infiniteY && sign != 0
    : op == Arith.mul ? (infiniteX && zeroY) || (zeroX && infiniteY)
    : (infiniteX && infiniteY) || (zeroX && zeroY);
  if (invalid) {
    note(Csr.IE);
    return indefinite(w);
  }
  if (op == Arith.div && zeroY && !infiniteX) {
    note(Csr.ZE);
    return sign | infinity(w);
  }
  if (isDenormal(x, w) || isDenormal(y, w)) note(Csr.DE);
  if (op <= Arith.sub) {
    if (infiniteX) return x;
    if (infiniteY) return y;
    return addFinite(x, y, w);
  }
  if (op == Arith.mul) {
    if (infiniteX || infiniteY) return sign | infinity(w);
    return mulFinite(x, y, w);
  }
  if (infiniteX) return sign | infinity(w);
  if (infiniteY) return sign;
  return divFinite(x, y, w);
}

/** One element of SQRT. */
export function squareRoot(operand: u64, w: i32): u64 {
  const x = flushed(operand, w);
  if (isNan(x, w)) {
    if (isSignaling(x, w)) note(Csr.IE);
    return quiet(x, w);
  }
  if (!magnitude(x, w)) return x;
  if (isNegative(x, w)) {
    note(Csr.IE);
    return indefinite(w);
  }
  if (x == infinity(w)) return x;
  if (isDenormal(x, w)) note(Csr.DE);
  // With an even exponent the root is 2^(e/2) times a root in [1, 2): 56 digits of it, one bit of the answer per two of `s`.
  const e = exponentOf(x, w), odd = e & 1;
  let s = significandOf(x, w) >> <u64>(1 - odd), root: u64 = 0, rest: u64 = 0;
  for (let i = 0; i < 56; i++) {
    rest = (rest << 2) | (s >> 62);
    s <<= 2;
    const trial = (root << 2) | 1;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1;
    }
  }
  return round(false, (e - odd) >> 1, (root << 8) | u64(rest != 0), w);
}

/** f64 bits to f32 bits (CVTSD2SS). */
export function narrow(operand: u64): u64 {
  const x = flushed(operand, 8);
  const sign = (x >> 32) & 0x80000000;
  if (isNan(x, 8)) {
    if (isSignaling(x, 8)) note(Csr.IE);
    return sign | 0x7fc00000 | ((x >> 29) & 0x3fffff);
  }
  if (isDenormal(x, 8)) note(Csr.DE);
  if (magnitude(x, 8) == infinity(8)) return sign | infinity(4);
  if (!magnitude(x, 8)) return sign;
  return round(sign != 0, exponentOf(x, 8), significandOf(x, 8), 4);
}

/** f32 bits to f64 bits (CVTSS2SD): always exact. */
export function widen(operand: u64): u64 {
  const x = flushed(operand, 4);
  if (isNan(x, 4)) {
    if (isSignaling(x, 4)) note(Csr.IE);
    return ((x & 0x80000000) << 32) | 0x7ff8000000000000 | ((x & 0x3fffff) << 29);
  }
  if (isDenormal(x, 4)) note(Csr.DE);
  return reinterpret<u64>(<f64>reinterpret<f32>(<u32>x));
}

/** A signed integer to a number of width `w`. */
export function fromInteger(x: i64, w: i32): u64 {
  if (!x) return 0;
  const size = x < 0 ? 0 - <u64>x : <u64>x, shift = clz<u64>(size);
  return round(x < 0, 63 - <i32>shift, size << shift, w);
}
