/** Arithmetic as most programs do it: normal operands and a normal result, 64 bits, round to nearest, all exceptions masked. What is not so takes
 *  the exact way (`exactly`). Signs, the order of the operands and what is rounded up are chance: no branch depends on them. */
import { PcpuOff } from "../../abi/layout";
import { add80, div80, divide128, mul80, mulHigh, sqrt80 } from "./x87_soft80";
import { controlWord, Fsw, INTEGER_BIT, put, resultSe, seAt, settle, sigAt, statusWord, Work } from "./x87_state";
import { PCPU } from "../pcpu";

/** Operations on a register and a value; `r` forms have the operands reversed. */
export const enum Arith { add, mul, sub, subr, div, divr, sqrt }

/** Exceptions after which there is no result: the operands are left as they were. */
export const BEFORE: u32 = Fsw.IE | Fsw.DE | Fsw.ZE;

const HALF: u64 = 1 << 63;
const LOW: u64 = 0xffffffff;

/** Stores a register result unless an unmasked exception forbids it; true if stored. */
export function finish(at: usize, sig: u64): bool {
  if (settle() & BEFORE) return false;
  put(at, resultSe(), sig);
  return true;
}

/** The exact way. Exceptions of a memory operand are noted already. */
export function operate(kind: i32, sig: u64, at: usize, se: u32): bool {
  const aSe = seAt(at), a = sigAt(at);
  let result: u64;
  switch (kind) {
    case Arith.add: result = add80(aSe, a, se, sig, 0); break;
    case Arith.mul: result = mul80(aSe, a, se, sig); break;
    case Arith.sub: result = add80(aSe, a, se, sig, 0x8000); break;
    case Arith.subr: result = add80(se, sig, aSe, a, 0x8000); break;
    case Arith.div: result = div80(aSe, a, se, sig); break;
    case Arith.divr: result = div80(se, sig, aSe, a); break;
    default: result = sqrt80(aSe, a);
  }
  return finish(at, result);
}

function exactly(kind: i32, sig: u64, at: usize, se: u32): bool {
  store<u32>(PCPU, 0, Work.exc);
  return operate(kind, sig, at, se);
}

/** The control word has it so. */
@inline function isUsual(): bool { return (controlWord() & 0xf3f) == 0x33f; }

/** The exponent is 0 or the largest. */
@inline function isSpecial(se: u32): bool { return ((se + 1) & 0x7ffe) == 0; }

@inline function isOutside(exp: u32): bool { return exp - 1 >= 0x7ffd; }

/** Rounds sig:extra to the nearest. */
@inline function conclude(at: usize, sign: u32, exp: u32, sig: u64, extra: u64): bool {
  const up = u32(extra + (HALF - 1 + (sig & 1)) < extra), sum = sig + up;
  put(at, (sign & 0x8000) | (exp + u32(sum == 0)), sum | INTEGER_BIT);
  store<u16>(PCPU, <u16>((statusWord() & ~Fsw.C1) | (u32(extra != 0) << 5) | (up << 9)), PcpuOff.fsw);
  return true;
}

/** `flipA`, `flipB`: 8000h to subtract one from the other. */
@inline export function sum(kind: i32, sig: u64, at: usize, se: u32, flipA: u32, flipB: u32): bool {
  const aSe = seAt(at) ^ flipA, a = sigAt(at), bSe = se ^ flipB, aExp = aSe & 0x7fff, bExp = bSe & 0x7fff;
  if (!isUsual() || <i64>(a & sig) >= 0) return exactly(kind, sig, at, se);
  if (isSpecial(aSe)) return exactly(kind, sig, at, se);
  if (isSpecial(bSe)) return exactly(kind, sig, at, se);
  const first = <i32>(aExp - bExp), swap = (i32(first < 0) | (i32(first == 0) & i32(a < sig))) != 0;
  const d = <u64>select<i32>(-first, first, swap);
  if (d > 63) return exactly(kind, sig, at, se);
  const larger = select<u64>(sig, a, swap), smaller = select<u64>(a, sig, swap);
  // 128 bits, the highest for a carry; nothing is shifted out below; `minus` negates where the signs differ
  const minus = -(<u64>(((aSe ^ bSe) >> 15) & 1)), low = smaller << (63 - d), addend = (low ^ minus) - minus, extra = (larger << 63) + addend;
  const high = (larger >> 1) + ((smaller >> d >> 1) ^ minus) + (minus & u64(low == 0)) + u64(extra < addend);
  if (high == 0) return exactly(kind, sig, at, se);
  const n = clz(high), exp = select<u32>(bExp, aExp, swap) + 1 - <u32>n;
  if (isOutside(exp)) return exactly(kind, sig, at, se);
  return conclude(at, select<u32>(bSe, aSe, swap), exp, (high << n) | (extra >> 1 >> (63 - n)), extra << n);
}

@inline export function product(sig: u64, at: usize, se: u32): bool {
  const aSe = seAt(at), a = sigAt(at);
  if (!isUsual() || <i64>(a & sig) >= 0) return exactly(Arith.mul, sig, at, se);
  if (isSpecial(aSe)) return exactly(Arith.mul, sig, at, se);
  if (isSpecial(se)) return exactly(Arith.mul, sig, at, se);
  const high = mulHigh(a, sig), n = clz(high); // 0 or 1
  const exp = (aSe & 0x7fff) + (se & 0x7fff) - 0x3ffe - <u32>n;
  if (isOutside(exp)) return exactly(Arith.mul, sig, at, se);
  const low = a * sig;
  return conclude(at, aSe ^ se, exp, (high << n) | (low >> 1 >> (63 - n)), low << n);
}

@inline export function quotient(kind: i32, sig: u64, at: usize, se: u32): bool {
  const bSe = kind == Arith.div ? se : seAt(at), b = kind == Arith.div ? sig : sigAt(at);
  const aSe = kind == Arith.div ? seAt(at) : se, a = kind == Arith.div ? sigAt(at) : sig;
  if (!isUsual() || <i64>(a & b) >= 0) return exactly(kind, sig, at, se);
  if (isSpecial(aSe)) return exactly(kind, sig, at, se);
  if (isSpecial(bSe)) return exactly(kind, sig, at, se);
  const less = u64(a < b), exp = (aSe & 0x7fff) - (bSe & 0x7fff) + 0x3fff - <u32>less;
  if (isOutside(exp)) return exactly(kind, sig, at, se);
  const q = divide128(a >> (1 - less), (a << 63) & (less - 1), b), rest = load<u64>(PCPU, Work.lo), left = b - rest;
  return conclude(at, aSe ^ bSe, exp, q, rest == 0 ? 0 : rest > left ? HALF | 1 : rest == left ? HALF : 1);
}

/** The integer root of 128 bits: a root of doubles, one Newton step, and a correction by one. */
@inline export function root(at: usize): bool {
  const se = seAt(at), sig = sigAt(at);
  if (!isUsual() || <i64>sig >= 0) return exactly(Arith.sqrt, 0, at, 0);
  if (se - 1 >= 0x7ffe) return exactly(Arith.sqrt, 0, at, 0); // negative ones, too
  const odd = ~se & 1; // of the exponent without its bias
  const high = sig >> (1 - odd), low = (sig << 63) & (<u64>odd - 1);
  const near = sqrt(<f64><i64>(high >> 11) * 2048.0) * 2147483648.0; // half of it, below 2^63
  const first = <u64>(<i64>near << 1), square = first * first;
  // what is missing has less than 78 bits
  const restLow = low - square, restHigh = high - mulHigh(first, first) - u64(low < square);
  const step = <i64>(<f64><i64>((restHigh << 32) | (restLow >> 32)) * 1073741824.0 / near);
  let r = first + <u64>step;
  // (first + step)^2 - first^2 = 2 first step + step^2
  const above = <i64>(first >> 32) * step, part = (<i64>(first & LOW) * step << 1) + step * step;
  let l = restLow - <u64>(above << 33);
  let h = restHigh - <u64>(above >> 31) - u64(restLow < <u64>(above << 33));
  h -= <u64>(part >> 63) + u64(l < <u64>part);
  l -= <u64>part;
  while (<i64>h < 0) {
    r--;
    const back = (r << 1) | 1;
    l += back;
    h += (r >> 63) + u64(l < back);
  }
  while (h > r >> 63 || (h == r >> 63 && l > r << 1)) {
    const on = (r << 1) | 1;
    h -= (r >> 63) + u64(l < on);
    l -= on;
    r++;
  }
  return conclude(at, 0, (<i32>(se - 0x3fff - odd) >> 1) + 0x3fff, r, (l | h) == 0 ? 0 : h != 0 || l > r ? HALF | 1 : 1);
}
