/** FPREM, FPREM1, FSCALE, FXTRACT (SDM Vol.2A): exact operations, which precision control does not touch. */
import { controlWord, Fcw, flag, flagged, Fsw, INTEGER_BIT, setSe, Work } from "./x87_state";
import {
  divide128, exponentOf, infinity, invalid, nanResult, nanResult1, noteDenormal, roundPackAs, zero,
} from "./x87_soft80";
import { PcpuOff } from "../../abi/layout";
import { PCPU } from "../pcpu";

@inline function exactPack(sign: u32, exp: i32, sig: u64): u64 {
  return roundPackAs(sign, exp, sig, 0, controlWord() | Fcw.PC64);
}

/** ST(0) reduced by ST(1). C2 = 1: the exponents differ by 64 or more and the reduction is partial. Otherwise C0 C3 C1 are
 *  bits 2, 1, 0 of the quotient. `nearest`: FPREM1, quotient rounded to even instead of truncated. */
export function remainder(aSe: u32, aSig: u64, bSe: u32, bSig: u64, nearest: bool): u64 {
  const nan = nanResult(aSe, aSig, bSe, bSig);
  if (nan) return nan;
  if ((aSe & 0x7fff) == 0x7fff || bSig == 0) return invalid();
  noteDenormal(aSe, aSig);
  noteDenormal(bSe, bSig);
  if (flagged() & ~controlWord() & Fsw.DE) return aSig; // will not be stored
  store<u16>(PCPU, load<u16>(PCPU, PcpuOff.fsw) & ~(Fsw.C0 | Fsw.C3), PcpuOff.fsw);
  let sign = aSe & 0x8000;
  if (aSig == 0) {
    setSe(aSe);
    return aSig;
  }
  const aExp = exponentOf(aSe, aSig), bExp = exponentOf(bSe, bSig), d = aExp - bExp;
  aSig <<= clz(aSig);
  if ((bSe & 0x7fff) == 0x7fff) return exactPack(sign, aExp, aSig);
  bSig <<= clz(bSig);
  if (d >= 64) {
    const n = (d & 31) | 32, rest = reduce(aSig, n, bSig); // quotient bits of the top n + 1; rest * 2^(d - n)
    flag(Fsw.C2);
    if (rest == 0) return zero(sign);
    const shift = <i32>clz(rest);
    return exactPack(sign, bExp + d - n - shift, rest << shift);
  }
  if (d < -1 || (d < 0 && !nearest)) return exactPack(sign, aExp, aSig);
  let rest: u64, q: u64, exp = bExp;
  if (d < 0) { // FPREM1, a in (b/4, b): nearer to b than to 0 above b/2
    if (aSig <= bSig) return exactPack(sign, aExp, aSig);
    rest = (bSig - aSig) + bSig;
    q = 1;
    exp = aExp;
    sign ^= 0x8000;
  } else {
    rest = reduce(aSig, d, bSig);
    q = load<u64>(PCPU, Work.second);
    if (nearest && (rest > bSig - rest || (rest == bSig - rest && (q & 1) != 0))) {
      rest = bSig - rest;
      sign ^= 0x8000;
      q++;
    }
  }
  flag((q & 4 ? Fsw.C0 : 0) | (q & 2 ? Fsw.C3 : 0) | (q & 1 ? Fsw.C1 : 0));
  if (rest == 0) return zero(aSe & 0x8000);
  const shift = <i32>clz(rest);
  return exactPack(sign, exp - shift, rest << shift);
}

/** (a * 2^n) mod b for normalized a and b, 0 <= n <= 63; quotient in Work.second (its low 64 bits). */
function reduce(a: u64, n: i32, b: u64): u64 {
  let top: u64 = 0;
  if (a >= b && n == 0) {
    store<u64>(PCPU, 1, Work.second);
    return a - b;
  }
  if (n) top = a >> (64 - n);
  const q = divide128(top, a << n, b);
  store<u64>(PCPU, q, Work.second);
  return load<u64>(PCPU, Work.lo);
}

/** ST(0) * 2^trunc(ST(1)). */
export function scale(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 {
  const nan = nanResult(aSe, aSig, bSe, bSig);
  if (nan) return nan;
  const sign = aSe & 0x8000, aInf = (aSe & 0x7fff) == 0x7fff;
  if ((bSe & 0x7fff) == 0x7fff) {
    if (bSe & 0x8000) {
      if (aInf) return invalid();
      noteDenormal(aSe, aSig);
      return zero(sign);
    }
    if (aSig == 0) return invalid();
    noteDenormal(aSe, aSig);
    return infinity(sign);
  }
  noteDenormal(aSe, aSig);
  noteDenormal(bSe, bSig);
  if (aInf || aSig == 0) {
    setSe(aSe);
    return aSig;
  }
  const bExp = <i32>(bSe & 0x7fff) - 0x3fff;
  let n: i32 = 0;
  if (bExp >= 0) n = bExp > 16 ? 0x1ffff : <i32>(bSig >> (63 - bExp));
  if (bSe & 0x8000) n = -n;
  const exp = exponentOf(aSe, aSig);
  return exactPack(sign, exp + n, aSig << clz(aSig));
}

/** Significand as the returned value, exponent in Work.second and Work.secondSe. */
export function extract(se: u32, sig: u64): u64 {
  const sign = se & 0x8000;
  const nan = nanResult1(se, sig);
  if (nan) return both(nan);
  if (se == 0x7fff || se == 0xffff) {
    second(0x7fff, INTEGER_BIT);
    setSe(se);
    return sig;
  }
  if (sig == 0) {
    flag(Fsw.ZE);
    second(0xffff, INTEGER_BIT);
    return zero(sign);
  }
  noteDenormal(se, sig);
  const exp = exponentOf(se, sig) - 0x3fff, magnitude = <u64>(exp < 0 ? -exp : exp), shift = <u32>clz(magnitude);
  if (exp == 0) second(0, 0);
  else second((exp < 0 ? 0x8000 : 0) | (0x403e - shift), magnitude << shift);
  setSe(sign | 0x3fff);
  return sig << clz(sig);
}

export function second(se: u32, sig: u64): void {
  store<u64>(PCPU, sig, Work.second);
  store<u32>(PCPU, se, Work.secondSe);
}

/** The same value in both results. */
export function both(sig: u64): u64 {
  second(load<u32>(PCPU, Work.se), sig);
  return sig;
}
