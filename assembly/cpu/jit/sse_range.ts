/** How large floating-point elements of XMM registers can be, as far as that is known while their code is written. An operand that nothing is known of
 *  is asked once whether it is zero or from 2^-B to 2^B; what a few operations make of such numbers can neither overflow nor be tiny, so none of
 *  their results is looked at. Bounds that have become too far apart are asked for again.
 *
 *  A zero lies within all bounds. Of all other numbers x
 *
 *  ```
 *   2^low <= |x| <= 2^high, and x is a multiple of 2^unit
 *  ```
 *  Results rounded to nearest keep that: powers of 2 are representable, and what is rounded is a multiple of its last digit, which is at least 2^unit. A sum
 *  that is not zero is as small as its unit, and no smaller, however many are added up.
 *
 *  Only what JitOff.plain64 or plain32 says to be no denormal and no NaN has bounds, in both or all elements if all are plain. */
import { JitOff } from "../../abi/jit";
import { Arith } from "../semantics/ieee";
import { J, jget, jset } from "./buffer";

/** Bounds: low, unit and high, 16 bits each, as an i64. */
const enum Far {
  ASKED64 = 300, // B: products of three, and sums of these, are in range
  ASKED32 = 40, // products of two and their sums, of three
}

export function makeBounds(low: i32, unit: i32, high: i32): i64 { return <i64>(low & 0xffff) | <i64>(unit & 0xffff) << 16 | <i64>(high & 0xffff) << 32; }
@inline export function lowOf(x: i64): i32 { return <i32>(<i16>x); }
@inline export function unitOf(x: i64): i32 { return <i32>(<i16>(x >> 16)); }
@inline export function highOf(x: i64): i32 { return <i32>(<i16>(x >> 32)); }

@inline function digits(wide: bool): i32 { return wide ? 52 : 23; }
export function asked(wide: bool): i32 { return wide ? Far.ASKED64 : Far.ASKED32; }
/** Of an operand that was asked. */
export function askedBounds(wide: bool): i64 {
  const far = asked(wide);
  return makeBounds(-far, -far - digits(wide), far);
}
/** Of any normal number, and of infinities, which comparisons and roundings let pass: no result of an operand that may be one is in range. */
export function plainBounds(wide: bool): i64 { return wide ? makeBounds(-1022, -1074, 1024) : makeBounds(-126, -149, 128); }
/** Of an integer below 2^size. */
export function integerBounds(size: i32): i64 { return makeBounds(0, 0, size); }

@inline function at(n: u32, wide: bool): usize { return J + JitOff.ranges + <usize>n * 12 + (wide ? 0 : 6); }
/** Of the elements of register `n` that are known to be plain. */
export function boundsOf(n: u32, wide: bool): i64 { return <i64>load<u32>(at(n, wide)) | <i64>load<u16>(at(n, wide), 4) << 32; }
export function setBounds(n: u32, wide: bool, x: i64): void {
  store<u32>(at(n, wide), <u32>x);
  store<u16>(at(n, wide), <u16>(x >> 32), 4);
}

/** No number within the bounds is tiny, the smallest normal one (which a tiny one may have been rounded to), or rounded to infinity. */
export function isSafe(x: i64, wide: bool): bool { return wide ? lowOf(x) >= -1021 && highOf(x) <= 1023 : lowOf(x) >= -125 && highOf(x) <= 127; }

/** Bounds of both `x` and `y`. */
export function union(x: i64, y: i64): i64 { return makeBounds(min(lowOf(x), lowOf(y)), min(unitOf(x), unitOf(y)), max(highOf(x), highOf(y))); }

/** Of results, rounded to nearest; a divisor is not zero. */
export function resultBounds(op: i32, x: i64, y: i64, wide: bool): i64 {
  if (op <= Arith.sub) {
    const unit = min(unitOf(x), unitOf(y));
    return makeBounds(unit, unit, max(highOf(x), highOf(y)) + 1);
  }
  if (op == Arith.mul) {
    const low = lowOf(x) + lowOf(y);
    return makeBounds(low, max(low - digits(wide), unitOf(x) + unitOf(y)), highOf(x) + highOf(y));
  }
  const low = lowOf(x) - highOf(y);
  return makeBounds(low, low - digits(wide), highOf(x) - lowOf(y));
}
export function rootBounds(x: i64, wide: bool): i64 {
  const low = lowOf(x) >> 1;
  return makeBounds(low, low - digits(wide), (highOf(x) + 1) >> 1);
}
/** The same numbers in the other format; rounded to f32 only if isSafe says that these are normal there. */
export function convertedBounds(x: i64, wide: bool): i64 {
  return makeBounds(lowOf(x), wide ? unitOf(x) : max(unitOf(x), lowOf(x) - 23), highOf(x));
}

/** Operands that are asked. */
export const enum Ask { left = 1, right = 2 }

/** Which operands of an operation, within `x` and `y`, have to be asked so that its result is in range. `one`: both are the same, and that is the left one. */
export function toAsk(op: i32, x: i64, y: i64, wide: bool, one: bool): u32 {
  const near = askedBounds(wide);
  let ask: u32 = 0;
  for (let i = 0; i < 2 && !isSafe(resultBounds(op, x, y, wide), wide); i++) {
    if (!one && worse(op, x, y, wide)) { y = near; ask |= Ask.right; }
    else {
      x = near;
      if (one) y = near;
      ask |= Ask.left;
    }
  }
  return ask;
}

/** Less is known of the right operand than of the left one. */
function worse(op: i32, x: i64, y: i64, wide: bool): bool {
  const best = askedBounds(wide);
  if (x == best) return true;
  if (y == best) return false;
  return isSafe(resultBounds(op, x, best, wide), wide) && !isSafe(resultBounds(op, best, y, wide), wide);
}

/* What is known of registers: JitOff.plain64 has a bit for each f64 element, the low one first; plain32 one for the low f32, one for all. */

@inline export function plainLow(n: u32, wide: bool): bool { return (wide ? jget(JitOff.plain64) >> (n << 1) & 1 : jget(JitOff.plain32) >> n & 1) != 0; }
@inline export function plainAll(n: u32, wide: bool): bool { return wide ? (jget(JitOff.plain64) >> (n << 1) & 3) == 3 : (jget(JitOff.plain32) >> n & 0x10000) != 0; }
/** The low element of `n` is within `x`, of the others nothing is known any more. */
export function markLow(n: u32, wide: bool, x: i64): void {
  jset(JitOff.doubtful, jget(JitOff.doubtful) & ~(wide ? 1 << n : 0x10000 << n));
  if (wide) jset(JitOff.plain64, (jget(JitOff.plain64) & ~(3 << (n << 1))) | 1 << (n << 1));
  else jset(JitOff.plain32, (jget(JitOff.plain32) & ~(0x10001 << n)) | 1 << n);
  setBounds(n, wide, x);
}
export function markAll(n: u32, wide: bool, x: i64): void {
  jset(JitOff.doubtful, jget(JitOff.doubtful) & ~(wide ? 1 << n : 0x10000 << n));
  if (wide) jset(JitOff.plain64, jget(JitOff.plain64) | 3 << (n << 1));
  else jset(JitOff.plain32, jget(JitOff.plain32) | 0x10001 << n);
  setBounds(n, wide, x);
}
/** Nothing is known of register `n`'s elements any more. */
export function unknown(n: u32): void {
  const number = jget(JitOff.copyCount) + 1;
  jset(JitOff.copyCount, number);
  setNumber(n, number);
  jset(JitOff.doubtful, jget(JitOff.doubtful) & ~(0x10001 << n));
  jset(JitOff.plain64, jget(JitOff.plain64) & ~(3 << (n << 1)));
  jset(JitOff.plain32, jget(JitOff.plain32) & ~(0x10001 << n));
}
@inline function numberOf(n: u32): u32 { return load<u16>(J + (<usize>n << 1), JitOff.copies); }
@inline function setNumber(n: u32, number: u32): void { store<u16>(J + (<usize>n << 1), <u16>number, JitOff.copies); }
/** A block begins, and nothing is known. */
export function forgetRanges(): void {
  jset(JitOff.plain64, 0);
  jset(JitOff.plain32, 0);
  jset(JitOff.doubtful, 0);
  jset(JitOff.copyCount, 0);
  for (let n: u32 = 0; n < 16; n++) unknown(n);
}
/** Register `n` was asked, and so all that are copies of it. */
export function markAsked(n: u32, wide: bool): void {
  for (let r: u32 = 0; r < 16; r++) if (numberOf(r) == numberOf(n)) markLow(r, wide, askedBounds(wide));
}

/** What is known of `from` is known of `to`; of its low f64 only if `low`. */
export function learn(to: u32, from: u32, low: bool): void {
  const wide = jget(JitOff.plain64) >> (from << 1) & (low ? 1 : 3), narrow = low ? 0 : jget(JitOff.plain32) >> from & 0x10001;
  const doubtful = jget(JitOff.doubtful) >> from & (low ? 1 : 0x10001);
  unknown(to);
  jset(JitOff.plain64, jget(JitOff.plain64) | wide << (to << 1));
  jset(JitOff.plain32, jget(JitOff.plain32) | narrow << to);
  setNumber(to, numberOf(from));
  jset(JitOff.doubtful, jget(JitOff.doubtful) | doubtful << to);
  setBounds(to, true, boundsOf(from, true));
  setBounds(to, false, boundsOf(from, false));
}

/* Known of low elements where block `n` ends, for a block that only it leads to: u16 each of f64, of those of them within askedBounds, of f32, of those
 * within askedBounds, of f64 and f32 within productBounds. */
@inline function endOf(n: u32): usize { return J + JitOff.plainAtEnd + <usize>n * 512; }

/** Of a product of two operands that were asked, or of a sum. */
export function productBounds(wide: bool): i64 {
  const far = asked(wide) << 1;
  return makeBounds(-far, -far - digits(wide), far + 1);
}

export function within(x: i64, limit: i64): bool { return union(x, limit) == limit; }

/** Registers whose low elements are known to be within askedBounds: f64, from bit 16 on f32. */
export function nearBits(): u32 {
  let near: u32 = 0;
  for (let i: u32 = 0; i < 16; i++) {
    if (plainLow(i, true) && within(boundsOf(i, true), askedBounds(true))) near |= 1 << i;
    if (plainLow(i, false) && within(boundsOf(i, false), askedBounds(false))) near |= 0x10000 << i;
  }
  return near;
}

export function clearPlain(): void { for (let n: u32 = 0; n < 62; n++) store<u64>(endOf(n), 0); }
export function rememberPlain(n: u32): void {
  const near = nearBits();
  let low: u32 = 0;
  let products: u32 = 0;
  for (let i: u32 = 0; i < 16; i++) {
    if (plainLow(i, true)) low |= 1 << i;
    if (plainLow(i, true) && within(boundsOf(i, true), productBounds(true))) products |= 1 << i;
    if (plainLow(i, false) && within(boundsOf(i, false), productBounds(false))) products |= 0x10000 << i;
  }
  store<u32>(endOf(n), products, 8);
  store<u64>(endOf(n), <u64>low | <u64>(near & 0xffff) << 16 | <u64>(jget(JitOff.plain32) & 0xffff) << 32 | <u64>(near >> 16) << 48);
}
export function recallPlain(n: u32): void {
  const known = load<u64>(endOf(n)), products = load<u32>(endOf(n), 8);
  jset(JitOff.plain64, 0);
  jset(JitOff.plain32, 0);
  for (let i: u32 = 0; i < 16; i++) {
    if (known >> i & 1) markLow(i, true, known >> (i + 16) & 1 ? askedBounds(true) : products >> i & 1 ? productBounds(true) : plainBounds(true));
    if (known >> (i + 32) & 1) markLow(i, false, known >> (i + 48) & 1 ? askedBounds(false) : products >> (i + 16) & 1 ? productBounds(false) : plainBounds(false));
  }
}
