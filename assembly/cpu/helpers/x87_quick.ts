/** Arithmetic as most programs do it: normal operands and a normal result, 64 bits, round to nearest, all exceptions masked. The result goes to
 *  the register at `at`. Returns PE and C1 of the rounding, or -1, with nothing changed, where x87_soft80 has to look closer. */
import { controlWord, Fsw, INTEGER_BIT, put, Work } from "./x87_state";
import { divide128, mulHigh } from "./x87_soft80";
import { PCPU } from "../pcpu";

const HALF: u64 = 1 << 63;

/** The control word has it so. */
@inline export function isUsual(): bool { return (controlWord() & 0xf3f) == 0x33f; }

@inline function areNormal(aExp: u32, aSig: u64, bExp: u32, bSig: u64): bool {
  return <i64>(aSig & bSig) < 0 && aExp - 1 < 0x7ffe && bExp - 1 < 0x7ffe;
}

@inline function rounded(at: usize, sign: u32, exp: u32, sig: u64, extra: u64): i32 {
  if (exp - 1 >= 0x7ffd) return -1;
  let flags = 0;
  if (extra) {
    flags = Fsw.PE;
    if (extra > HALF || (extra == HALF && (sig & 1) != 0)) {
      flags = Fsw.PE | Fsw.C1;
      sig++;
      if (sig == 0) {
        sig = INTEGER_BIT;
        exp++;
      }
    }
  }
  put(at, sign | exp, sig);
  return flags;
}

/** a + b. */
export function addQuick(at: usize, aSe: u32, aSig: u64, bSe: u32, bSig: u64): i32 {
  let exp = aSe & 0x7fff, other = bSe & 0x7fff, sign = aSe & 0x8000;
  if (!areNormal(exp, aSig, other, bSig)) return -1;
  const same = ((aSe ^ bSe) & 0x8000) == 0;
  if (exp < other || (exp == other && aSig < bSig)) {
    const e = exp, s = aSig;
    exp = other; aSig = bSig; sign = bSe & 0x8000;
    other = e; bSig = s;
  }
  const d = exp - other;
  let extra: u64 = 0;
  if (d) {
    if (d > 63) return -1;
    extra = bSig << (64 - d);
    bSig >>= d;
  }
  if (same) {
    let sum = aSig + bSig;
    if (sum < aSig) {
      extra = (sum << 63) | (extra >> 1) | (extra & 1);
      sum = (sum >> 1) | INTEGER_BIT;
      exp++;
    }
    return rounded(at, sign, exp, sum, extra);
  }
  let difference = aSig - bSig - u64(extra != 0);
  if (difference == 0) return -1;
  extra = -extra;
  const n = <u32>clz(difference);
  if (n) {
    difference = (difference << n) | (extra >> (64 - n));
    extra <<= n;
  }
  return rounded(at, sign, exp - n, difference, extra);
}

export function mulQuick(at: usize, aSe: u32, aSig: u64, bSe: u32, bSig: u64): i32 {
  const aExp = aSe & 0x7fff, bExp = bSe & 0x7fff, sign = (aSe ^ bSe) & 0x8000;
  if (!areNormal(aExp, aSig, bExp, bSig)) return -1;
  const high = mulHigh(aSig, bSig), low = aSig * bSig, carry = <u32>(high >> 63);
  if (carry) return rounded(at, sign, aExp + bExp - 0x3ffe, high, low);
  return rounded(at, sign, aExp + bExp - 0x3fff, (high << 1) | (low >> 63), low << 1);
}

export function divQuick(at: usize, aSe: u32, aSig: u64, bSe: u32, bSig: u64): i32 {
  const aExp = aSe & 0x7fff, bExp = bSe & 0x7fff, sign = (aSe ^ bSe) & 0x8000;
  if (!areNormal(aExp, aSig, bExp, bSig)) return -1;
  const larger = u32(aSig >= bSig);
  const q = larger ? divide128(aSig >> 1, aSig << 63, bSig) : divide128(aSig, 0, bSig), rest = load<u64>(PCPU, Work.lo), left = bSig - rest;
  return rounded(at, sign, aExp - bExp + 0x3ffe + larger, q, rest == 0 ? 0 : rest > left ? HALF | 1 : rest == left ? HALF : 1);
}
