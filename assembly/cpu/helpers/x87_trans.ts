/** FSIN, FCOS, FSINCOS, FPTAN, FPATAN (SDM Vol.2A; Vol.1 "Approximation of Pi": arguments are reduced with a pi of 66
 *  significant bits, which is what real processors do and programs know). Results are those of the reduced argument,
 *  correctly rounded in all but a vanishing part of the cases. */
import { flag, Fsw, INTEGER_BIT, setSe, Work } from "./x87_state";
import { exponentOf, invalid, mulHigh, nanResult, nanResult1, noteDenormal, zero } from "./x87_soft80";
import { ARCTANGENT, COSINE, ODD, SINE } from "./x87_tables";
import { both, second } from "./x87_remainder";
import { addFixed, divideWide, exponent, low, mulFixed, normalize, ONE_127, packWide, series, setExponent, setLow, shiftRight, subFixed } from "./x87_wide";
import { PCPU } from "../pcpu";

/** pi / 2 is PI_HIGH:PI_LOW times 2^-65. */
const PI_HIGH: u64 = 3;
const PI_LOW: u64 = 0x243f6a8885a308d3;
/** 2^128 / (PI_HIGH:PI_LOW), truncated. */
const PI_INVERSE: u64 = 0x517cc1b727220a95;

const NEGATIVE: u32 = 4;

/** |x| < 2^63 as quadrant and wide remainder in [0, pi/4]: |x| = quadrant * pi/2 +- remainder. */
function reduceAngle(exp: i32, sig: u64): u64 {
  const e = exp - 0x3fff;
  if (e < -1) {
    store<u32>(PCPU, 0, Work.quadrant);
    setLow(0);
    setExponent(e + 1);
    return sig;
  }
  // n = x * 2^65, an integer of at most 128 bits; q = n / (pi/2 * 2^65), estimated low by at most 2
  const shift = e + 2; // 1..64
  const nh = shift == 64 ? sig : sig >> (64 - shift), nl: u64 = shift == 64 ? 0 : sig << shift;
  const carried = nh * PI_INVERSE, sum = carried + mulHigh(nl, PI_INVERSE);
  let q = mulHigh(nh, PI_INVERSE) + u64(sum < carried);
  const p = q * PI_LOW;
  let rl = nl - p, rh = nh - mulHigh(q, PI_LOW) - q * PI_HIGH - u64(nl < p);
  while (rh > PI_HIGH || (rh == PI_HIGH && rl >= PI_LOW)) {
    rh = subFixed(rh, rl, PI_HIGH, PI_LOW);
    rl = low();
    q++;
  }
  let quadrant = <u32>q & 3;
  if (rh > 1 || (rh == 1 && rl > (PI_HIGH << 63 | PI_LOW >> 1))) { // above pi/4
    rh = subFixed(PI_HIGH, PI_LOW, rh, rl);
    rl = low();
    quadrant = ((quadrant + 1) & 3) | NEGATIVE;
  }
  store<u32>(PCPU, quadrant, Work.quadrant);
  return normalize(rh, rl, 63);
}

/** Square of a wide number below 1 as a fixed one. */
function square(h: u64, l: u64, exp: i32): u64 {
  const p = mulFixed(h, l, h, l);
  return shiftRight(p, low(), -2 * exp);
}

/** m * (1 - s) for wide m, fixed s, never equal to m. */
function lessened(h: u64, l: u64, exp: i32, sh: u64, sl: u64): u64 {
  const p = mulFixed(h, l, sh, sl);
  const r = subFixed(h, l, p, low());
  const rl = low();
  return normalize(rl == 0 ? r - 1 : r, rl - 1, exp);
}

/** sin of a wide angle in [0, pi/4], wide: r - r * (r^2/3! - r^4/5! + ...). */
function sineOf(h: u64, l: u64, exp: i32): u64 {
  const x = square(h, l, exp), s = series(SINE, 12, x, low(), true);
  return lessened(h, l, exp, s, low());
}

/** cos of a wide angle in [0, pi/4], fixed and never quite 1. */
function cosineOf(h: u64, l: u64, exp: i32): u64 {
  const x = square(h, l, exp), c = series(COSINE, 13, x, low(), true);
  setLow(~low());
  return ~c;
}

/** sin (odd = 0) or cos (odd = 1) in the quadrant, packed, with the sign of `sign` and of quadrant and remainder. */
function component(odd: u32, sign: u32, h: u64, l: u64, exp: i32): u64 {
  const quadrant = load<u32>(PCPU, Work.quadrant);
  if ((quadrant + odd) & 1) {
    if (((quadrant & 3) + odd) & 2) sign ^= 0x8000;
    const c = cosineOf(h, l, exp);
    return packWide(sign, c, low(), 0);
  }
  if (((quadrant & 3) + odd) & 2) sign ^= 0x8000;
  if (quadrant & NEGATIVE) sign ^= 0x8000;
  const s = sineOf(h, l, exp);
  return packWide(sign, s, low(), exponent());
}

/** NaNs, infinities and arguments of 2^63 and above (C2 = 1, nothing changes). 0: an ordinary finite value or zero. */
function angleResult(se: u32, sig: u64): u64 {
  const nan = nanResult1(se, sig);
  if (nan) return nan;
  if ((se & 0x7fff) == 0x7fff) return invalid();
  if ((se & 0x7fff) < 0x3fff + 63) return 0;
  flag(Fsw.C2);
  setSe(se);
  return sig;
}

export function sine(se: u32, sig: u64): u64 {
  const special = angleResult(se, sig);
  if (special) return special;
  if (sig == 0) return zero(se);
  noteDenormal(se, sig);
  const h = reduceAngle(exponentOf(se, sig), sig << clz(sig));
  return component(0, se & 0x8000, h, low(), exponent());
}

export function cosine(se: u32, sig: u64): u64 {
  const special = angleResult(se, sig);
  if (special) return special;
  if (sig == 0) return one();
  noteDenormal(se, sig);
  const h = reduceAngle(exponentOf(se, sig), sig << clz(sig));
  return component(1, 0, h, low(), exponent());
}

function one(): u64 {
  setSe(0x3fff);
  return INTEGER_BIT;
}

/** cos as the result, sin as the second. */
export function sineAndCosine(se: u32, sig: u64): u64 {
  const special = angleResult(se, sig);
  if (special) return both(special);
  if (sig == 0) {
    second(se, 0);
    return one();
  }
  noteDenormal(se, sig);
  const h = reduceAngle(exponentOf(se, sig), sig << clz(sig)), l = low(), exp = exponent();
  const s = component(0, se & 0x8000, h, l, exp);
  second(load<u32>(PCPU, Work.se), s);
  return component(1, 0, h, l, exp);
}

/** 1 as the result, tan as the second. */
export function tangent(se: u32, sig: u64): u64 {
  const special = angleResult(se, sig);
  if (special) return both(special);
  if (sig == 0) {
    second(se, 0);
    return one();
  }
  noteDenormal(se, sig);
  const h = reduceAngle(exponentOf(se, sig), sig << clz(sig)), l = low(), exp = exponent();
  const quadrant = load<u32>(PCPU, Work.quadrant);
  let sign = se & 0x8000;
  if (quadrant & 1) sign ^= 0x8000;
  if (quadrant & NEGATIVE) sign ^= 0x8000;
  if (exp < -40 && !(quadrant & 1)) return tangentOf(sign, h, l, exp); // x + x^3/3: just above x
  const s = sineOf(h, l, exp), sl = low(), sExp = exponent();
  const c = cosineOf(h, l, exp), cl = low();
  const t = quadrant & 1 ? divideWide(c, cl, s, sl, -sExp) : divideWide(s, sl, c, cl, sExp);
  return tangentOf(sign, t, low(), exponent());
}

function tangentOf(sign: u32, h: u64, l: u64, exp: i32): u64 {
  const sig = packWide(sign, h, l, exp);
  second(load<u32>(PCPU, Work.se), sig);
  return one();
}

/** atan of a wide t in (0, 1), wide. Above 1/64: atan(k/32) + atan((t - k/32) / (1 + t * k/32)). */
function arctangentOf(h: u64, l: u64, exp: i32): u64 {
  if (exp <= -6) {
    const x = square(h, l, exp), s = series(ODD, 9, x, low(), true);
    return lessened(h, l, exp, s, low());
  }
  const t = shiftRight(h, l, -exp), tl = low();
  let k = <i32>((t + ((<u64>1) << 58)) >> 59);
  if (k > 31 || k == 0) k = 31; // 0: the sum wrapped
  const c = <u64>k << 59, below = t < c, entry = ARCTANGENT + (<usize>k << 4);
  const n = below ? subFixed(c, 0, t, tl) : subFixed(t, tl, c, 0), nl = low();
  if ((n | nl) == 0) return normalize(load<u64>(entry, 8), load<u64>(entry), 0);
  const p = mulFixed(t, tl, c, 0), pl = low();
  const d = ONE_127 + (p >> 1), dl = (pl >> 1) | (p << 63); // 127 fraction bits, in [1, 2)
  const nw = normalize(n, nl, 0), nwl = low(), nExp = exponent();
  const u = divideWide(nw, nwl, d, dl, nExp - 1), ul = low(), uExp = exponent();
  const x = square(u, ul, uExp), s = series(ODD, 9, x, low(), true);
  const r = lessened(u, ul, uExp, s, low()), part = shiftRight(r, low(), -exponent()), partLow = low();
  const sum = below
    ? subFixed(load<u64>(entry, 8), load<u64>(entry), part, partLow)
    : addFixed(load<u64>(entry, 8), load<u64>(entry), part, partLow);
  return normalize(sum, low(), 0);
}

/* pi with 126 fraction bits. */
const PI126_HIGH: u64 = 0xc90fdaa22168c234;
const PI126_LOW: u64 = 0xc4c6628b80dc1cd1;

/** n * pi / 4 for n = 1..4. */
function quarters(sign: u32, n: u64): u64 {
  const h = n * (PI126_HIGH >> 2), l = n * ((PI126_LOW >> 2) | (PI126_HIGH << 62));
  return packWide(sign, h + mulHigh(n, (PI126_LOW >> 2) | (PI126_HIGH << 62)), l, 2);
}

/** Angle of the point (x, y) = (ST(0), ST(1)). */
export function arctangent(xSe: u32, xSig: u64, ySe: u32, ySig: u64): u64 {
  const nan = nanResult(xSe, xSig, ySe, ySig);
  if (nan) return nan;
  const sign = ySe & 0x8000, left = (xSe & 0x8000) != 0;
  const xInf = (xSe & 0x7fff) == 0x7fff, yInf = (ySe & 0x7fff) == 0x7fff;
  noteDenormal(xSe, xSig);
  noteDenormal(ySe, ySig);
  if (yInf) return quarters(sign, xInf ? (left ? 3 : 1) : 2);
  if (xInf || ySig == 0) return left ? quarters(sign, 4) : zero(sign);
  if (xSig == 0) return quarters(sign, 2);
  const xExp = exponentOf(xSe, xSig), yExp = exponentOf(ySe, ySig);
  xSig <<= clz(xSig);
  ySig <<= clz(ySig);
  if (xExp == yExp && xSig == ySig) return quarters(sign, left ? 3 : 1);
  const steep = yExp > xExp || (yExp == xExp && ySig > xSig);
  const t = steep ? divideWide(xSig, 0, ySig, 0, xExp - yExp) : divideWide(ySig, 0, xSig, 0, yExp - xExp);
  const r = arctangentOf(t, low(), exponent()), rl = low();
  if (!steep && !left) return packWide(sign, r, rl, exponent());
  const fixed = shiftRight(r, rl, 2 - exponent()), fixedLow = low(); // 126 fraction bits
  const baseHigh = steep ? PI126_HIGH >> 1 : PI126_HIGH, baseLow = steep ? (PI126_LOW >> 1) | (PI126_HIGH << 63) : PI126_LOW;
  const angle = steep && left ? addFixed(baseHigh, baseLow, fixed, fixedLow) : subFixed(baseHigh, baseLow, fixed, fixedLow);
  return packWide(sign, angle, low(), 2);
}
