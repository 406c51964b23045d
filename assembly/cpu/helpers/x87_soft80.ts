/** Arithmetic on 80-bit extended values, exact to the bit: add, multiply, divide, square root, compare (SDM Vol.1
 *  "Programming with the x87 FPU", "Floating-Point Exceptions"; IEEE 754). Written from the definitions.
 *
 *  An intermediate result is sign, exponent, normalized significand `sig` and `extra`: the 64 bits below it, of which the
 *  lowest may be a sticky OR of everything further down. */
import {
  controlWord, Fcw, flag, Fsw, INDEFINITE_SE, INDEFINITE_SIG, INTEGER_BIT, QUIET_BIT, Round, setSe, Work,
} from "./x87_state";
import { PCPU } from "../pcpu";

const LOW: u64 = 0xffffffff;
const HALF: u64 = 1 << 63;
/** Exponent adjustment of results delivered to an unmasked overflow or underflow handler: 3 * 2^13. */
const WRAP: i32 = 0x6000;

/** High half of the 128-bit product; the low half is a * b. */
@inline export function mulHigh(a: u64, b: u64): u64 {
  const al = a & LOW, ah = a >> 32, bl = b & LOW, bh = b >> 32;
  const mid = ah * bl + ((al * bl) >> 32);
  const low = al * bh + (mid & LOW);
  return ah * bh + (mid >> 32) + (low >> 32);
}

/** Quotient of the 128-bit (high:low) by d, which is normalized and greater than high; remainder in Work.lo. Two digits
 *  of 32 bits, each estimated from the top half of d (Knuth, algorithm D). */
export function divide128(high: u64, low: u64, d: u64): u64 {
  const dh = d >> 32, dl = d & LOW;
  let q1 = high / dh, rest = high - q1 * dh;
  while (q1 >> 32 || q1 * dl > ((rest << 32) | (low >> 32))) {
    q1--;
    rest += dh;
    if (rest >> 32) break;
  }
  const middle = ((high << 32) | (low >> 32)) - q1 * d;
  let q0 = middle / dh;
  rest = middle - q0 * dh;
  while (q0 >> 32 || q0 * dl > ((rest << 32) | (low & LOW))) {
    q0--;
    rest += dh;
    if (rest >> 32) break;
  }
  store<u64>(PCPU, ((middle << 32) | (low & LOW)) - q0 * d, Work.lo);
  return (q1 << 32) + q0;
}

/** Low bits that precision control takes away from a 64-bit significand. The reserved encoding 01 means 64 bits. */
@inline export function droppedBits(cw: u32): u32 {
  const pc = cw & Fcw.PC64;
  return pc == 0 ? 40 : pc == 0x200 ? 11 : 0;
}

/** Rounds sig:extra to a multiple of 1 << drop. Returns 0 on carry out of bit 63 (or for a result of zero); PE and C1 of
 *  this rounding in Work.rounding. */
export function roundAt(sign: u32, sig: u64, extra: u64, drop: u32, rc: u32): u64 {
  const unit: u64 = (<u64>1) << drop, rest = sig & (unit - 1);
  if ((rest | extra) == 0) {
    store<u32>(PCPU, 0, Work.rounding);
    return sig;
  }
  let up: bool;
  if (rc == Round.nearest) {
    const odd = (sig & unit) != 0;
    if (drop) up = rest > unit >> 1 || (rest == unit >> 1 && (extra != 0 || odd));
    else up = extra > HALF || (extra == HALF && odd);
  } else up = rc == (sign ? Round.down : Round.up);
  store<u32>(PCPU, up ? Fsw.PE | Fsw.C1 : Fsw.PE, Work.rounding);
  return (sig - rest) + (up ? unit : 0);
}

/** Rounds to the precision and mode in force and packs. The short way is what nearly every program runs with. */
export function roundPack(sign: u32, exp: i32, sig: u64, extra: u64): u64 {
  const cw = controlWord();
  if ((cw & 0xf00) != Fcw.PC64 || <u32>(exp - 1) >= 0x7ffd) return roundPackAs(sign, exp, sig, extra, cw);
  if (extra != 0) {
    if (extra > HALF || (extra == HALF && (sig & 1) != 0)) {
      flag(Fsw.PE | Fsw.C1);
      sig++;
      if (sig == 0) {
        sig = INTEGER_BIT;
        exp++;
      }
    } else flag(Fsw.PE);
  }
  setSe(sign | exp);
  return sig;
}

/** The same under control word `cw`, with overflow and underflow (SDM Vol.1 "Numeric Overflow Exception", "Numeric
 *  Underflow Exception"). Tininess is detected after rounding; a masked underflow needs inexactness as well. */
export function roundPackAs(sign: u32, exp: i32, sig: u64, extra: u64, cw: u32): u64 {
  const drop = droppedBits(cw), rc = (cw >> Fcw.RC_SHIFT) & 3;
  let r = roundAt(sign, sig, extra, drop, rc), e = exp;
  if (r == 0) {
    r = INTEGER_BIT;
    e++;
  }
  if (<u32>(e - 1) < 0x7ffe) {
    flag(load<u32>(PCPU, Work.rounding));
    setSe(sign | e);
    return r;
  }
  if (e > 0) {
    if (!(cw & Fsw.OE)) {
      flag(Fsw.OE | load<u32>(PCPU, Work.rounding));
      e -= WRAP;
      if (e > 0x7ffe) { // only FSCALE gets this far
        flag(Fsw.PE | Fsw.C1);
        return infinity(sign);
      }
      setSe(sign | e);
      return r;
    }
    flag(Fsw.OE | Fsw.PE);
    if (rc != Round.nearest && rc != (sign ? Round.down : Round.up)) {
      setSe(sign | 0x7ffe);
      return ~(<u64>0) << drop;
    }
    flag(Fsw.C1);
    return infinity(sign);
  }
  if (!(cw & Fsw.UE)) {
    flag(Fsw.UE | load<u32>(PCPU, Work.rounding));
    e += WRAP;
    if (e < 1) {
      flag(Fsw.PE);
      return zero(sign);
    }
    setSe(sign | e);
    return r;
  }
  const shift = 1 - exp;
  if (shift < 64) {
    extra = (sig << (64 - shift)) | u64(extra != 0);
    sig >>= shift;
  } else {
    extra = shift == 64 ? sig | u64(extra != 0) : 1;
    sig = 0;
  }
  r = roundAt(sign, sig, extra, drop, rc);
  const inexact = load<u32>(PCPU, Work.rounding);
  if (inexact) flag(Fsw.UE | inexact);
  setSe(sign | <u32>(r >> 63));
  return r;
}

@inline export function infinity(sign: u32): u64 {
  setSe(sign | 0x7fff);
  return INTEGER_BIT;
}
@inline export function zero(sign: u32): u64 {
  setSe(sign);
  return 0;
}
/** Masked response to an invalid operation. */
export function invalid(): u64 {
  flag(Fsw.IE);
  setSe(INDEFINITE_SE);
  return INDEFINITE_SIG;
}

@inline export function isNan(se: u32, sig: u64): bool { return (se & 0x7fff) == 0x7fff && sig << 1 != 0; }
/** Pseudo-NaN, pseudo-infinity or unnormal: the integer bit is 0 though the exponent is not. */
@inline export function isUnsupported(se: u32, sig: u64): bool { return (se & 0x7fff) != 0 && <i64>sig >= 0; }
@inline export function isSignaling(sig: u64): bool { return (sig & QUIET_BIT) == 0; }

/** Result where an operand is a NaN or unsupported, 0 where neither is: the larger significand of two NaNs of a kind, a
 *  QNaN before an SNaN (SDM Vol.1 "Rules for Handling NaNs"). A denormal operand is not reported then. */
export function nanResult(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 {
  if (isUnsupported(aSe, aSig) || isUnsupported(bSe, bSig)) {
    clearDenormal();
    return invalid();
  }
  const aNan = isNan(aSe, aSig), bNan = isNan(bSe, bSig);
  if (!aNan && !bNan) return 0;
  clearDenormal();
  const aSnan = aNan && isSignaling(aSig), bSnan = bNan && isSignaling(bSig);
  if (aSnan || bSnan) flag(Fsw.IE);
  let first = aNan;
  if (aNan && bNan) {
    if (aSnan != bSnan) first = bSnan;
    else first = aSig > bSig || (aSig == bSig && aSe <= bSe);
  }
  setSe(first ? aSe : bSe);
  return (first ? aSig : bSig) | QUIET_BIT;
}

export function nanResult1(se: u32, sig: u64): u64 {
  return nanResult(se, sig, 0, 0);
}

function clearDenormal(): void {
  store<u32>(PCPU, load<u32>(PCPU, Work.exc) & ~Fsw.DE, Work.exc);
}

/** Notes denormal operands (zero is not one). */
@inline export function noteDenormal(se: u32, sig: u64): void {
  if ((se & 0x7fff) == 0 && sig != 0) flag(Fsw.DE);
}
/** Exponent of a finite non-zero value as if normalized; shift its significand by clz. */
@inline export function exponentOf(se: u32, sig: u64): i32 {
  const exp = <i32>(se & 0x7fff);
  return exp ? exp : 1 - <i32>clz(sig);
}

/** a + b, or a - b with flip = 8000h. */
export function add80(aSe: u32, aSig: u64, bSe: u32, bSig: u64, flip: u32): u64 {
  const aExp = <i32>(aSe & 0x7fff), bExp = <i32>(bSe & 0x7fff);
  if (<i64>(aSig & bSig) < 0 && <u32>(aExp - 1) < 0x7ffe && <u32>(bExp - 1) < 0x7ffe)
    return addFinite(aSe & 0x8000, aExp, aSig, (bSe ^ flip) & 0x8000, bExp, bSig);
  return addSpecial(aSe, aSig, bSe, bSig, flip);
}

function addSpecial(aSe: u32, aSig: u64, bSe: u32, bSig: u64, flip: u32): u64 {
  const nan = nanResult(aSe, aSig, bSe, bSig);
  if (nan) return nan;
  const aSign = aSe & 0x8000, bSign = (bSe ^ flip) & 0x8000;
  const aInf = (aSe & 0x7fff) == 0x7fff, bInf = (bSe & 0x7fff) == 0x7fff;
  if (aInf && bInf && aSign != bSign) return invalid();
  noteDenormal(aSe, aSig);
  noteDenormal(bSe, bSig);
  if (aInf) return infinity(aSign);
  if (bInf) return infinity(bSign);
  if (aSig == 0 && bSig == 0) return zero(aSign == bSign ? aSign : zeroSign());
  if (aSig == 0) return roundPack(bSign, exponentOf(bSe, bSig), bSig << clz(bSig), 0);
  if (bSig == 0) return roundPack(aSign, exponentOf(aSe, aSig), aSig << clz(aSig), 0);
  return addFinite(aSign, exponentOf(aSe, aSig), aSig << clz(aSig), bSign, exponentOf(bSe, bSig), bSig << clz(bSig));
}

/** Sign of an exact zero difference: negative only when rounding down. */
@inline function zeroSign(): u32 {
  return ((controlWord() >> Fcw.RC_SHIFT) & 3) == Round.down ? 0x8000 : 0;
}

function addFinite(aSign: u32, aExp: i32, aSig: u64, bSign: u32, bExp: i32, bSig: u64): u64 {
  let d = aExp - bExp;
  if (d < 0 || (d == 0 && aSig < bSig)) {
    d = -d;
    const exp = aExp, sig = aSig, sign = aSign;
    aExp = bExp; aSig = bSig; aSign = bSign;
    bExp = exp; bSig = sig; bSign = sign;
  }
  let extra: u64 = 0;
  if (d) {
    if (d < 64) {
      extra = bSig << (64 - d);
      bSig >>= d;
    } else {
      extra = d == 64 ? bSig : d < 128 ? (bSig >> (d - 64)) | u64(bSig << (128 - d) != 0) : 1;
      bSig = 0;
    }
  }
  if (aSign == bSign) {
    let sum = aSig + bSig;
    if (sum < aSig) {
      extra = (sum << 63) | (extra >> 1) | (extra & 1);
      sum = (sum >> 1) | INTEGER_BIT;
      aExp++;
    }
    return roundPack(aSign, aExp, sum, extra);
  }
  let difference = aSig - bSig - u64(extra != 0);
  extra = -extra;
  if (difference == 0) {
    if (extra == 0) return zero(zeroSign());
    const n = <i32>clz(extra);
    return roundPack(aSign, aExp - 64 - n, extra << n, 0);
  }
  const n = <i32>clz(difference);
  if (n) {
    difference = (difference << n) | (extra >> (64 - n));
    extra <<= n;
  }
  return roundPack(aSign, aExp - n, difference, extra);
}

export function mul80(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 {
  const aExp = <i32>(aSe & 0x7fff), bExp = <i32>(bSe & 0x7fff), sign = (aSe ^ bSe) & 0x8000;
  if (<i64>(aSig & bSig) < 0 && <u32>(aExp - 1) < 0x7ffe && <u32>(bExp - 1) < 0x7ffe)
    return mulFinite(sign, aExp + bExp, aSig, bSig);
  const nan = nanResult(aSe, aSig, bSe, bSig);
  if (nan) return nan;
  const aInf = aExp == 0x7fff, bInf = bExp == 0x7fff;
  if ((aInf && bSig == 0) || (bInf && aSig == 0)) return invalid();
  noteDenormal(aSe, aSig);
  noteDenormal(bSe, bSig);
  if (aInf || bInf) return infinity(sign);
  if (aSig == 0 || bSig == 0) return zero(sign);
  return mulFinite(sign, exponentOf(aSe, aSig) + exponentOf(bSe, bSig), aSig << clz(aSig), bSig << clz(bSig));
}

@inline function mulFinite(sign: u32, expSum: i32, aSig: u64, bSig: u64): u64 {
  const high = mulHigh(aSig, bSig), low = aSig * bSig;
  if (<i64>high < 0) return roundPack(sign, expSum - 0x3ffe, high, low);
  return roundPack(sign, expSum - 0x3fff, (high << 1) | (low >> 63), low << 1);
}

export function div80(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 {
  const aExp = <i32>(aSe & 0x7fff), bExp = <i32>(bSe & 0x7fff), sign = (aSe ^ bSe) & 0x8000;
  if (<i64>(aSig & bSig) < 0 && <u32>(aExp - 1) < 0x7ffe && <u32>(bExp - 1) < 0x7ffe)
    return divFinite(sign, aExp - bExp, aSig, bSig);
  const nan = nanResult(aSe, aSig, bSe, bSig);
  if (nan) return nan;
  const aInf = aExp == 0x7fff, bInf = bExp == 0x7fff;
  if ((aInf && bInf) || (aSig == 0 && bSig == 0)) return invalid();
  if (bSig == 0 && !aInf) {
    clearDenormal(); // of a memory operand: a zero divisor comes before it
    flag(Fsw.ZE);
    return infinity(sign);
  }
  noteDenormal(aSe, aSig);
  noteDenormal(bSe, bSig);
  if (aInf) return infinity(sign);
  if (bInf || aSig == 0) return zero(sign);
  return divFinite(sign, exponentOf(aSe, aSig) - exponentOf(bSe, bSig), aSig << clz(aSig), bSig << clz(bSig));
}

function divFinite(sign: u32, expDifference: i32, aSig: u64, bSig: u64): u64 {
  let high = aSig, low: u64 = 0, exp = expDifference + 0x3ffe;
  if (aSig >= bSig) {
    high = aSig >> 1;
    low = aSig << 63;
    exp++;
  }
  const q = divide128(high, low, bSig), rest = load<u64>(PCPU, Work.lo);
  // extra need only tell zero, below half, half and above half; exactly half cannot happen with a remainder of b / 2 < b
  const left = bSig - rest;
  const extra: u64 = rest == 0 ? 0 : rest > left ? HALF | 1 : rest == left ? HALF : 1;
  return roundPack(sign, exp, q, extra);
}

export function sqrt80(se: u32, sig: u64): u64 {
  const nan = nanResult1(se, sig);
  if (nan) return nan;
  if (sig == 0) return zero(se & 0x8000);
  if (se & 0x8000) return invalid();
  if (se == 0x7fff) return infinity(0);
  noteDenormal(se, sig);
  const exp = exponentOf(se, sig) - 0x3fff, n = sig << clz(sig);
  // value = n * 2^(exp - 63); radicand n:0 (odd exponent) or n:0 >> 1, a 128-bit number in [2^126, 2^128)
  const odd = exp & 1;
  const high = odd ? n : n >> 1, low: u64 = odd ? 0 : n << 63;
  const root = root128(high, low), square = root * root;
  const rest = low - square; // the true remainder is below 2^65: bit 64 follows
  const over = high - mulHigh(root, root) - u64(low < square);
  const extra: u64 = (rest | over) == 0 ? 0 : over != 0 || rest > root ? HALF | 1 : 1;
  return roundPack(0, ((exp - odd) >> 1) + 0x3fff, root, extra);
}

/** Integer square root of the 128-bit (high:low), high >= 2^62: a double-precision root, one Newton step in which the
 *  remainder is exact, and a correction by one. */
function root128(high: u64, low: u64): u64 {
  const estimate = sqrt(<f64>high) * 4294967296.0;
  let r: u64 = estimate >= 18446744073709551615.0 ? ~(<u64>0) : <u64>estimate;
  const square = r * r;
  const restHigh = <i64>(high - mulHigh(r, r) - u64(low < square)), restLow = low - square;
  const rest = <f64>restHigh * 18446744073709551616.0 + <f64>restLow;
  const step = <i64>floor(rest / (2.0 * <f64>r));
  const next = r + <u64>step;
  r = step > 0 && next < r ? ~(<u64>0) : next; // the root may be just below 2^64
  for (;;) {
    const sq = r * r, sqHigh = mulHigh(r, r);
    if (sqHigh > high || (sqHigh == high && sq > low)) {
      r--;
      continue;
    }
    // the next root fits when n - r^2 > 2r, a 65-bit comparison
    const over = high - sqHigh - u64(low < sq), rest2 = low - sq, carry = r >> 63;
    if (over > carry || (over == carry && rest2 > r << 1)) {
      r++;
      continue;
    }
    return r;
  }
}

/** Condition codes of a comparison: C3 equal, C0 below, all of C3 C2 C0 unordered. `quiet`: a QNaN is no exception. */
export function compare80(aSe: u32, aSig: u64, bSe: u32, bSig: u64, quiet: bool): u32 {
  if (isUnsupported(aSe, aSig) || isUnsupported(bSe, bSig)) {
    clearDenormal();
    flag(Fsw.IE);
    return Fsw.C3 | Fsw.C2 | Fsw.C0;
  }
  const aNan = isNan(aSe, aSig), bNan = isNan(bSe, bSig);
  if (aNan || bNan) {
    clearDenormal();
    if (!quiet || (aNan && isSignaling(aSig)) || (bNan && isSignaling(bSig))) flag(Fsw.IE);
    return Fsw.C3 | Fsw.C2 | Fsw.C0;
  }
  noteDenormal(aSe, aSig);
  noteDenormal(bSe, bSig);
  const aSign = aSe & 0x8000, bSign = bSe & 0x8000;
  if ((aSig | bSig) == 0) return Fsw.C3;
  if (aSign != bSign) return aSign ? Fsw.C0 : 0;
  // A pseudo-denormal counts as exponent 1, which is what its integer bit says.
  const aExp = aSe & 0x7fff ? aSe & 0x7fff : <u32>(aSig >> 63), bExp = bSe & 0x7fff ? bSe & 0x7fff : <u32>(bSig >> 63);
  if (aExp == bExp && aSig == bSig) return Fsw.C3;
  const less = aExp < bExp || (aExp == bExp && aSig < bSig);
  return less == (aSign == 0) ? Fsw.C0 : 0;
}
