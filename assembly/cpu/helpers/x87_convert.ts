/** Conversions between the 80-bit format and memory formats: single, double, 16/32/64-bit integers, 18-digit BCD (SDM
 *  Vol.1 "x87 FPU Data Types", "Masked Responses to Invalid Arithmetic Operations"). */
import {
  controlWord, Fcw, flag, Fsw, INTEGER_BIT, QUIET_BIT, Round, setSe, Work,
} from "./x87_state";
import { isNan, isSignaling, isUnsupported, roundAt } from "./x87_soft80";
import { PCPU } from "../pcpu";

const TEN_18: u64 = 1000000000000000000;

/** Single to extended, exact. A signaling NaN stays one: the operation that uses it decides. */
export function fromSingle(bits: u32): u64 {
  const sign = (bits >> 16) & 0x8000, exp = (bits >> 23) & 0xff, fraction = <u64>(bits & 0x7fffff) << 40;
  if (exp - 1 < 0xfe) {
    setSe(sign | (exp + (0x3fff - 127)));
    return INTEGER_BIT | fraction;
  }
  if (exp) {
    setSe(sign | 0x7fff);
    return INTEGER_BIT | fraction;
  }
  if (fraction == 0) {
    setSe(sign);
    return 0;
  }
  flag(Fsw.DE);
  const n = <u32>clz(fraction);
  setSe(sign | (0x3fff - 126 - n));
  return fraction << n;
}

export function fromDouble(bits: u64): u64 {
  const sign = <u32>(bits >> 48) & 0x8000, exp = <u32>(bits >> 52) & 0x7ff, fraction = (bits << 12) >> 1;
  if (exp - 1 < 0x7fe) {
    setSe(sign | (exp + (0x3fff - 1023)));
    return INTEGER_BIT | fraction;
  }
  if (exp) {
    setSe(sign | 0x7fff);
    return INTEGER_BIT | fraction;
  }
  if (fraction == 0) {
    setSe(sign);
    return 0;
  }
  flag(Fsw.DE);
  const n = <u32>clz(fraction);
  setSe(sign | (0x3fff - 1022 - n));
  return fraction << n;
}

export function fromInteger(value: i64): u64 {
  if (value == 0) {
    setSe(0);
    return 0;
  }
  const sign: u32 = value < 0 ? 0x8000 : 0, magnitude = <u64>(value < 0 ? -value : value), n = <u32>clz(magnitude);
  setSe(sign | (0x403e - n));
  return magnitude << n;
}

/** Packed BCD: 18 digits in the low 9 bytes, sign in bit 15 of `top`. */
export function fromBcd(low: u64, top: u32): u64 {
  let value: u64 = 0;
  for (let i = 4; i >= 0; i -= 4) value = value * 10 + ((top >> i) & 15);
  for (let i = 60; i >= 0; i -= 4) value = value * 10 + ((low >> i) & 15);
  fromInteger(<i64>value);
  if (value == 0) {
    setSe(top & 0x8000);
    return 0;
  }
  const n = <u32>clz(value);
  setSe((top & 0x8000) | (0x403e - n));
  return value << n;
}

/** Extended to a binary format of `width` significant bits, maximum exponent and bias `bias`, rounded. For single and
 *  double. Where an unmasked overflow or underflow was flagged nothing may be stored. */
function toBinary(se: u32, sig: u64, width: u32, bias: i32): u64 {
  const fractionBits = width - 1, sign = se & 0x8000, top = <u64>(bias << 1 | 1) << fractionBits;
  const signBit = <u64>(sign >> 15) << (bias == 127 ? 31 : 63), fractionMask = ((<u64>1) << fractionBits) - 1;
  if (isUnsupported(se, sig)) {
    flag(Fsw.IE);
    return ((<u64>1) << (bias == 127 ? 31 : 63)) | top | ((<u64>1) << (fractionBits - 1));
  }
  if ((se & 0x7fff) == 0x7fff) {
    if (sig << 1 == 0) return signBit | top;
    if (isSignaling(sig)) flag(Fsw.IE);
    return signBit | top | (((sig | QUIET_BIT) >> (64 - width)) & fractionMask);
  }
  if (sig == 0) return signBit;
  const cw = controlWord(), rc = (cw >> Fcw.RC_SHIFT) & 3, drop = 64 - width;
  const n = <i32>clz(sig);
  sig <<= n;
  const exp = <i32>max<u32>(se & 0x7fff, 1) - n - 0x3fff + bias;
  let r = roundAt(sign, sig, 0, drop, rc), e = exp;
  if (r == 0) {
    r = INTEGER_BIT;
    e++;
  }
  if (e > bias << 1) {
    if (!(cw & Fsw.OE)) {
      flag(Fsw.OE);
      return 0;
    }
    flag(Fsw.OE | Fsw.PE);
    if (rc != Round.nearest && rc != (sign ? Round.down : Round.up)) return signBit | (top - 1);
    flag(Fsw.C1);
    return signBit | top;
  }
  if (e >= 1) {
    flag(load<u32>(PCPU, Work.rounding));
    return signBit | (<u64>e << fractionBits) | ((r >> drop) & fractionMask);
  }
  if (!(cw & Fsw.UE)) {
    flag(Fsw.UE);
    return 0;
  }
  const shift = 1 - exp;
  let extra: u64 = 1;
  if (shift < 64) {
    extra = sig << (64 - shift);
    sig >>= shift;
  } else {
    extra = shift == 64 ? sig : 1;
    sig = 0;
  }
  r = roundAt(sign, sig, extra, drop, rc);
  const inexact = load<u32>(PCPU, Work.rounding);
  if (inexact) flag(Fsw.UE | inexact);
  return signBit | (r >> drop); // a carry into bit 63 becomes exponent 1 by itself
}

/** Both have a short way: a normal value and result, rounded to nearest. The carry of the fraction into the exponent
 *  comes by itself, as the integer bit does. */
export function toSingle(se: u32, sig: u64): u32 {
  const exp = (se & 0x7fff) - (0x3fff - 127);
  if (<i64>sig >= 0 || exp - 1 >= 0xfd || !nearest()) return <u32>toBinary(se, sig, 24, 127);
  return ((se & 0x8000) << 16) | (((exp - 1) << 23) + <u32>toNearest(sig, 40));
}

export function toDouble(se: u32, sig: u64): u64 {
  const exp = (se & 0x7fff) - (0x3fff - 1023);
  if (<i64>sig >= 0 || exp - 1 >= 0x7fd || !nearest()) return toBinary(se, sig, 53, 1023);
  return (<u64>(se & 0x8000) << 48) | ((<u64>(exp - 1) << 52) + toNearest(sig, 11));
}

@inline function nearest(): bool { return (controlWord() & (3 << Fcw.RC_SHIFT)) == 0; }

@inline function toNearest(sig: u64, drop: u32): u64 {
  const unit: u64 = (<u64>1) << drop, rest = sig & (unit - 1), half = unit >> 1;
  if (rest == 0) return sig >> drop;
  if (rest > half || (rest == half && (sig & unit) != 0)) {
    flag(Fsw.PE | Fsw.C1);
    return (sig >> drop) + 1;
  }
  flag(Fsw.PE);
  return sig >> drop;
}

/** Magnitude below 2^64 rounded to an integer in mode `rc`, PE and C1 in Work.rounding. No carry gets lost: where bit 63
 *  is in use there is no fraction. */
function roundMagnitude(se: u32, sig: u64, rc: u32): u64 {
  const shift = 0x403e - <i32>(se & 0x7fff), sign = se & 0x8000;
  if (shift <= 0) {
    store<u32>(PCPU, 0, Work.rounding);
    return sig;
  }
  const extra: u64 = shift < 64 ? sig << (64 - shift) : shift == 64 ? sig : u64(sig != 0);
  return roundAt(sign, shift < 64 ? sig >> shift : 0, extra, 0, rc);
}

@inline function tooLarge(se: u32): bool { return (se & 0x7fff) > 0x403e; }

/** Signed integer of `bits` bits in rounding mode `rc`; the integer indefinite with IE where it does not fit. */
export function toInteger(se: u32, sig: u64, bits: u32, rc: u32): i64 {
  const sign = se & 0x8000, indefinite = <i64>(-1) << (bits - 1);
  if (tooLarge(se) || isUnsupported(se, sig)) {
    flag(Fsw.IE);
    return indefinite;
  }
  const magnitude = roundMagnitude(se, sig, rc), limit: u64 = (<u64>1) << (bits - 1);
  if (magnitude > limit || (magnitude == limit && sign == 0)) {
    flag(Fsw.IE);
    return indefinite;
  }
  flag(load<u32>(PCPU, Work.rounding));
  return sign ? -(<i64>magnitude) : <i64>magnitude;
}

/** Packed BCD: low 8 bytes returned, top 2 in Work.se. */
export function toBcd(se: u32, sig: u64): u64 {
  const sign = se & 0x8000;
  let magnitude: u64 = TEN_18;
  if (!tooLarge(se) && !isUnsupported(se, sig)) magnitude = roundMagnitude(se, sig, (controlWord() >> Fcw.RC_SHIFT) & 3);
  if (magnitude >= TEN_18) {
    flag(Fsw.IE);
    setSe(0xffff);
    return 0xc000000000000000;
  }
  flag(load<u32>(PCPU, Work.rounding));
  let low: u64 = 0, top: u32 = 0;
  for (let i: u64 = 0; i < 64; i += 4) {
    low |= (magnitude % 10) << i;
    magnitude /= 10;
  }
  for (let i: u32 = 0; i < 8; i += 4) {
    top |= <u32>(magnitude % 10) << i;
    magnitude /= 10;
  }
  setSe(sign | top);
  return low;
}

/** FRNDINT of a value already known not to be a NaN or unsupported. */
export function roundToInteger(se: u32, sig: u64): u64 {
  const exp = <i32>(se & 0x7fff), sign = se & 0x8000;
  if (exp >= 0x403e || sig == 0) {
    setSe(se);
    return sig;
  }
  const magnitude = roundMagnitude(se, sig, (controlWord() >> Fcw.RC_SHIFT) & 3);
  flag(load<u32>(PCPU, Work.rounding));
  if (magnitude == 0) {
    setSe(sign);
    return 0;
  }
  const n = <u32>clz(magnitude);
  setSe(sign | (0x403e - n));
  return magnitude << n;
}

/** Value loaded by FLD m32 and m64, `sig` with its `se` in Work.se: a signaling NaN becomes quiet with IE. */
export function quieted(se: u32, sig: u64): u64 {
  if (!isNan(se, sig) || !isSignaling(sig)) return sig;
  flag(Fsw.IE);
  return sig | QUIET_BIT;
}
