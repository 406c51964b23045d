/** 128-bit arithmetic for the x87 transcendental functions, some 50 bits more than their results have.
 *
 *  Fixed: an unsigned fraction high:low of 2^128. Wide: fraction with its top bit set, times 2^exp. Functions return the
 *  high half, low half in Work.lo, exponent of a wide result in Work.exp. Errors are a few units of 2^-128. */
import { controlWord, Fcw, INTEGER_BIT, Work } from "./x87_state";
import { divide128, mulHigh, roundPackAs } from "./x87_soft80";
import { PCPU } from "../pcpu";

@inline export function low(): u64 { return load<u64>(PCPU, Work.lo); }
@inline export function setLow(value: u64): void { store<u64>(PCPU, value, Work.lo); }
@inline export function exponent(): i32 { return load<i32>(PCPU, Work.exp); }
@inline export function setExponent(value: i32): void { store<i32>(PCPU, value, Work.exp); }

/** Product of two fixed numbers. */
export function mulFixed(ah: u64, al: u64, bh: u64, bl: u64): u64 {
  const p = ah * bh, s = p + mulHigh(ah, bl), t = s + mulHigh(al, bh);
  setLow(t);
  return mulHigh(ah, bh) + u64(s < p) + u64(t < s);
}

/** (h:l) >> n, n >= 0. */
export function shiftRight(h: u64, l: u64, n: i32): u64 {
  if (n == 0) {
    setLow(l);
    return h;
  }
  if (n < 64) {
    setLow((l >> n) | (h << (64 - n)));
    return h >> n;
  }
  setLow(n < 128 ? h >> (n - 64) : 0);
  return 0;
}

/** (h:l) != 0 times 2^exp as a wide number. */
export function normalize(h: u64, l: u64, exp: i32): u64 {
  if (h == 0) {
    h = l;
    l = 0;
    exp -= 64;
  }
  const n = <i32>clz(h);
  if (n) {
    h = (h << n) | (l >> (64 - n));
    l <<= n;
    exp -= n;
  }
  setLow(l);
  setExponent(exp);
  return h;
}

/** a - b for fixed a >= b. */
@inline export function subFixed(ah: u64, al: u64, bh: u64, bl: u64): u64 {
  setLow(al - bl);
  return ah - bh - u64(al < bl);
}
@inline export function addFixed(ah: u64, al: u64, bh: u64, bl: u64): u64 {
  const l = al + bl;
  setLow(l);
  return ah + bh + u64(l < al);
}

/** x * (c0 -+ x * (c1 -+ x * ...)) for fixed x: `n` coefficients at `table`, signs alternating or all plus. */
export function series(table: usize, n: i32, xh: u64, xl: u64, alternating: bool): u64 {
  let at = table + (<usize>(n - 1) << 4);
  let h = load<u64>(at, 8), l = load<u64>(at);
  while (at > table) {
    at -= 16;
    const p = mulFixed(h, l, xh, xl);
    h = alternating ? subFixed(load<u64>(at, 8), load<u64>(at), p, low()) : addFixed(load<u64>(at, 8), load<u64>(at), p, low());
    l = low();
  }
  return mulFixed(h, l, xh, xl);
}

/** n / d for wide numbers whose exponents differ by `exp`. */
export function divideWide(nh: u64, nl: u64, dh: u64, dl: u64, exp: i32): u64 {
  // Half of n, so that the first digit fits; two digits of 64 bits, the first corrected for dl.
  nl = (nl >> 1) | (nh << 63);
  nh >>= 1;
  let q = divide128(nh, nl, dh);
  const rest = low(), ph = mulHigh(q, dl), pl = q * dl, take = ph + u64(pl != 0);
  let rl = -pl, rh = rest - take, negative = rest < take;
  while (negative) {
    q--;
    const l = rl + dl, h = rh + dh + u64(l < rl);
    negative = !(h < rh || (h == rh && l < rl));
    rl = l;
    rh = h;
  }
  const second = rh >= dh ? ~(<u64>0) : divide128(rh, rl, dh);
  return normalize(q, second, exp + 1);
}

/** 80-bit value of the fraction high:low times 2^exp, correctly rounded but for the precision, which is always 64 bits.
 *  The true value is irrational, hence the sticky bit. */
export function packWide(sign: u32, h: u64, l: u64, exp: i32): u64 {
  h = normalize(h, l, exp);
  return roundPackAs(sign, exponent() + 0x3ffe, h, low() | 1, controlWord() | Fcw.PC64);
}

export const ONE_127: u64 = INTEGER_BIT;
