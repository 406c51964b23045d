/** F2XM1, FYL2X, FYL2XP1 (SDM Vol.2A), correctly rounded in all but a vanishing part of the cases. Arguments outside the
 *  documented ranges give what AMD processors give. */
import { controlWord, Fcw, flag, Fsw, INTEGER_BIT, resultSe, setSe } from "./x87_state";
import { exponentOf, infinity, invalid, nanResult, nanResult1, noteDenormal, roundPackAs, zero } from "./x87_soft80";
import { EXPONENTIAL, LOGARITHM, ODD, POWER } from "./x87_tables";
import { addFixed, divideWide, exponent, low, mulFixed, normalize, ONE_127, packWide, series, setExponent, setLow, shiftRight, subFixed } from "./x87_wide";

/* ln 2 with 128 fraction bits, log2 e with 127. */
const LN2_HIGH: u64 = 0xb17217f7d1cf79ab;
const LN2_LOW: u64 = 0xc9e3b39803f2f6af;
const LOG2E_HIGH: u64 = 0xb8aa3b295c17f0bb;
const LOG2E_LOW: u64 = 0xbe87fed0691d3e89;
/** sqrt 2 as a significand. */
const SQRT2: u64 = 0xb504f333f9de6484;

/** 2^x - 1 for -1 <= x <= 1. */
export function exp2m1(se: u32, sig: u64): u64 {
  const nan = nanResult1(se, sig);
  if (nan) return nan;
  const exp = se & 0x7fff, sign = se & 0x8000;
  if (exp == 0x7fff) {
    if (!sign) return infinity(0);
    setSe(0xbfff);
    return INTEGER_BIT;
  }
  if (sig == 0) return zero(sign);
  noteDenormal(se, sig);
  if (exp >= 0x3fff) {
    flag(Fsw.PE);
    setSe(se == 0xbfff && sig == INTEGER_BIT ? 0xbffe : se);
    return sig;
  }
  return exp2m1Finite(sign, exponentOf(se, sig) - 0x3fff, sig << clz(sig));
}

/** |x| = sig * 2^(e - 63) < 1. Above 1/64, 2^x = 2^(k/32) * 2^f with |f| <= 1/64. */
function exp2m1Finite(sign: u32, e: i32, sig: u64): u64 {
  if (e < -6) {
    const p = mulFixed(sig, 0, LN2_HIGH, LN2_LOW), y = normalize(p, low(), e + 1);
    const w = expm1(y, low(), exponent(), sign != 0);
    return packWide(sign, w, low(), exponent());
  }
  const x = shiftRight(sig, 0, -e - 1), xl = low();
  const k = x >= ((<u64>63) << 58) ? 32 : <i32>((x + ((<u64>1) << 58)) >> 59);
  const c = <u64>k << 59; // 0 for k = 32: the difference is right modulo 2^128
  let f = x - c, fl = xl;
  const below = k == 32 || x < c;
  if (below) {
    fl = -fl;
    f = -f - u64(fl != 0);
  }
  // 2^(+-k/32) with 126 fraction bits
  const entry = POWER + (<usize>(sign ? (32 - k) & 31 : k & 31) << 4);
  const shift = sign ? (k == 0 ? 1 : 2) : k == 32 ? 0 : 1;
  let v = shiftRight(load<u64>(entry, 8), load<u64>(entry), shift), vl = low();
  if ((f | fl) != 0) {
    const p = mulFixed(f, fl, LN2_HIGH, LN2_LOW), y = normalize(p, low(), 0), yl = low();
    const negative = below != (sign != 0);
    const w = expm1(y, yl, exponent(), negative), wf = shiftRight(w, low(), -exponent());
    const d = mulFixed(v, vl, wf, low()), dl = low();
    v = negative ? subFixed(v, vl, d, dl) : addFixed(v, vl, d, dl);
    vl = low();
  }
  const unit: u64 = (<u64>1) << 62;
  const r = sign ? subFixed(unit, 0, v, vl) : subFixed(v, vl, unit, 0);
  return packWide(sign, r, low(), 2);
}

/** |e^(+-y) - 1| for a wide y <= ln 2 / 64: y * (1 +- (y/2! +- y^2/3! + ...)). */
function expm1(y: u64, yl: u64, exp: i32, negative: bool): u64 {
  const x = shiftRight(y, yl, -exp), s = series(EXPONENTIAL, 11, x, low(), negative);
  const p = mulFixed(y, yl, s, low()), pl = low();
  if (negative) return normalize(subFixed(y, yl, p, pl), low(), exp);
  return grown(y, yl, p, pl, exp);
}

/** a + p where a is wide and p smaller: the sum may carry. */
function grown(a: u64, al: u64, p: u64, pl: u64, exp: i32): u64 {
  const r = addFixed(a, al, p, pl);
  if (r >= a) {
    setExponent(exp);
    return r;
  }
  setLow((low() >> 1) | (r << 63));
  setExponent(exp + 1);
  return (r >> 1) | INTEGER_BIT;
}

/** log2((c + n) / c) where the wide n is the numerator and d, with 127 fraction bits, is half of (c + n) + c: with s =
 *  n / 2d it is 2 atanh(s) * log2 e. Wide, |s| < 1/60. */
function logarithmNear(n: u64, nl: u64, nExp: i32, d: u64, dl: u64): u64 {
  const dw = normalize(d, dl, 1), dwl = low(), dExp = exponent();
  const s = divideWide(n, nl, dw, dwl, nExp - dExp - 1), sl = low(), sExp = exponent();
  const q = mulFixed(s, sl, s, sl), x = shiftRight(q, low(), -2 * sExp);
  const a = series(ODD, 8, x, low(), false), p = mulFixed(s, sl, a, low());
  const w = grown(s, sl, p, low(), sExp), wl = low(), wExp = exponent();
  const r = mulFixed(w, wl, LOG2E_HIGH, LOG2E_LOW);
  return normalize(r, low(), wExp + 2);
}

/** y times log2 of m * 2^e, where m:ml has 127 fraction bits and lies in [sqrt(1/2), sqrt 2). */
function scaledLogarithm(e: i32, m: u64, ml: u64, ySign: u32, yExp: i32, ySig: u64): u64 {
  const k = <i32>((m + ((<u64>1) << 57)) >> 58), c = <u64>k << 58, below = m < c;
  const n = below ? subFixed(c, 0, m, ml) : subFixed(m, ml, c, 0), nl = low();
  const none = (n | nl) == 0;
  if (none && k == 32) { // a power of two: an integer, or 0
    if (e == 0) return zero(ySign);
    flag(Fsw.PE);
    return timesInteger(e, ySign, yExp, ySig);
  }
  let h: u64 = 0, l: u64 = 0, exp: i32 = 0;
  if (!none) {
    const nw = normalize(n, nl, 1), nwl = low(), nExp = exponent();
    const dl = (ml >> 1) | ((m + c) << 63), d = (m >> 1) + (c >> 1) + (m & c & 1);
    h = logarithmNear(nw, nwl, nExp, d, dl);
    l = low();
    exp = exponent();
    if (e == 0 && k == 32) return times(h, l, exp, below, ySign, yExp, ySig);
  }
  // e + log2(k/32) + part, two's complement with 112 fraction bits
  const entry = LOGARITHM + (<usize>(k - 22) << 4);
  let sum = <u64>(<i64>e << 48), sumLow: u64 = 0;
  const t = shiftRight(load<u64>(entry, 8), load<u64>(entry), 16), tl = low();
  sum = k < 32 ? subFixed(sum, sumLow, t, tl) : addFixed(sum, sumLow, t, tl);
  sumLow = low();
  if (!none) {
    const p = shiftRight(h, l, 16 - exp), pl = low();
    sum = below ? subFixed(sum, sumLow, p, pl) : addFixed(sum, sumLow, p, pl);
    sumLow = low();
  }
  const negative = <i64>sum < 0;
  if (negative) {
    sumLow = -sumLow;
    sum = -sum - u64(sumLow != 0);
  }
  const r = normalize(sum, sumLow, 16);
  return times(r, low(), exponent(), negative, ySign, yExp, ySig);
}

/** The wide h:l, negated if so, times y. */
function times(h: u64, l: u64, exp: i32, negative: bool, ySign: u32, yExp: i32, ySig: u64): u64 {
  const p = mulFixed(h, l, ySig, 0);
  return packWide(negative ? ySign ^ 0x8000 : ySign, p, low(), exp + yExp - 0x3ffe);
}

/** y times an integer, rounded once. Processors report even an exact logarithm as inexact, so a tiny one underflows. */
function timesInteger(e: i32, ySign: u32, yExp: i32, ySig: u64): u64 {
  const magnitude = <u64>abs(e), n = <i32>clz(magnitude);
  const p = mulFixed(magnitude << n, 0, ySig, 0), h = normalize(p, low(), 64 - n + yExp);
  const result = roundPackAs(e < 0 ? ySign ^ 0x8000 : ySign, exponent(), h, low(), controlWord() | Fcw.PC64);
  if ((resultSe() & 0x7fff) == 0) flag(Fsw.UE);
  return result;
}

/** ST(1) * log2 ST(0): x is ST(0), y is ST(1). */
export function logarithm(xSe: u32, xSig: u64, ySe: u32, ySig: u64): u64 {
  const nan = nanResult(xSe, xSig, ySe, ySig);
  if (nan) return nan;
  const ySign = ySe & 0x8000, yInf = (ySe & 0x7fff) == 0x7fff;
  if (xSig == 0) {
    if (ySig == 0) return invalid();
    if (!yInf) flag(Fsw.ZE);
    else noteDenormal(ySe, ySig);
    return infinity(ySign ^ 0x8000);
  }
  if (xSe & 0x8000) return invalid();
  const isOne = xSe == 0x3fff && xSig == INTEGER_BIT;
  if ((xSe == 0x7fff && ySig == 0) || (isOne && yInf)) return invalid();
  noteDenormal(xSe, xSig);
  noteDenormal(ySe, ySig);
  const negative: u32 = xSe < 0x3fff ? 0x8000 : 0;
  if (xSe == 0x7fff || yInf) return infinity(ySign ^ negative);
  if (ySig == 0 || isOne) return zero(ySign ^ negative);
  return logarithmOf(exponentOf(xSe, xSig) - 0x3fff, xSig << clz(xSig), 0, ySign, exponentOf(ySe, ySig), ySig << clz(ySig));
}

/** The argument is the normalized h:l with 127 fraction bits, times 2^e. */
function logarithmOf(e: i32, h: u64, l: u64, ySign: u32, yExp: i32, ySig: u64): u64 {
  if (h < SQRT2) return scaledLogarithm(e, h, l, ySign, yExp, ySig);
  return scaledLogarithm(e + 1, h >> 1, (l >> 1) | (h << 63), ySign, yExp, ySig);
}

/** ST(1) * log2(ST(0) + 1). */
export function logarithm1p(xSe: u32, xSig: u64, ySe: u32, ySig: u64): u64 {
  const nan = nanResult(xSe, xSig, ySe, ySig);
  if (nan) return nan;
  const xSign = xSe & 0x8000, sign = xSign ^ (ySe & 0x8000), yInf = (ySe & 0x7fff) == 0x7fff;
  if (xSe == 0xffff || (xSe == 0x7fff && ySig == 0) || (xSig == 0 && yInf)) return invalid();
  noteDenormal(xSe, xSig);
  noteDenormal(ySe, ySig);
  if (xSe == 0x7fff || yInf) return infinity(sign);
  if (xSig == 0 || ySig == 0) return zero(sign);
  const e = exponentOf(xSe, xSig) - 0x3fff, x = xSig << clz(xSig), yExp = exponentOf(ySe, ySig), y = ySig << clz(ySig);
  if (xSign && e >= 0) { // x <= -1: undefined, and comes back
    flag(Fsw.PE);
    setSe(xSe);
    return xSig;
  }
  if (e < -5) { // near 1: numerator x, half the denominator 1 + x/2
    const half = shiftRight(x, 0, 1 - e), halfLow = low();
    const d = xSign ? subFixed(ONE_127, 0, half, halfLow) : addFixed(ONE_127, 0, half, halfLow);
    const h = logarithmNear(x, 0, e + 1, d, low());
    return times(h, low(), exponent(), false, sign, yExp, y);
  }
  if (e < 0) {
    const part = shiftRight(x, 0, -e), partLow = low();
    const m = xSign ? subFixed(ONE_127, 0, part, partLow) : addFixed(ONE_127, 0, part, partLow);
    const h = normalize(m, low(), 0);
    return logarithmOf(exponent(), h, low(), ySe & 0x8000, yExp, y);
  }
  const unit = shiftRight(ONE_127, 0, e), unitLow = low(), h = grown(x, 0, unit, unitLow, e);
  return logarithmOf(exponent(), h, low(), ySe & 0x8000, yExp, y);
}
