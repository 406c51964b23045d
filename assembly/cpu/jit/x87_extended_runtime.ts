/** What translated code of x87_extended.ts calls besides the arithmetic (helpers/x87_arith). Registers are named by address: TOP in the status
 *  word is not that of the moment. All exceptions are masked, so there is always a result. */
import { PcpuOff } from "../../abi/layout";
import { fromDouble, fromInteger, fromSingle, quieted, roundToInteger, toDouble, toInteger, toSingle } from "../helpers/x87_convert";
import { setControlWord } from "../helpers/x87_env";
import { rounding } from "../helpers/x87_forms";
import { operate } from "../helpers/x87_quick";
import { compare80, nanResult1, noteDenormal } from "../helpers/x87_soft80";
import { controlWord, flagged, Fsw, put, refreshSummary, resultSe, Round, seAt, settle, sigAt, statusWord, Work } from "../helpers/x87_state";
import { PCPU } from "../pcpu";

/** What `jitX87Odd` does with a value. */
export const enum Odd { arithSingle = 0, compareSingle = 8, loadSingle = 16, loadDouble = 17, loadInteger = 18 }
/** What `jitX87Give` makes, and how it rounds. */
export const enum Give { single = 0, int16 = 2, int32 = 4, int64 = 8, chop = 1 }
/** Beside sign and exponent of a comparison's second operand. */
export const enum Compare { quiet = 0x10000, toFlags = 0x20000 }

@inline function nothingYet(): void { store<u32>(PCPU, 0, Work.exc); }

@inline function isNormal(se: u32, sig: u64): bool { return <i64>sig < 0 && (se & 0x7fff) - 1 < 0x7ffe; }

/** The flags as FCOMI has them, CF PF ZF; where they are C0, C2, C3, the status word has them as well. */
export function jitX87Compare(sig: u64, at: usize, seAndHow: u32): u32 {
  const aSe = seAt(at), aSig = sigAt(at), bSe = seAndHow & 0xffff;
  let bits: u32, raised: u32 = 0;
  if (isNormal(aSe, aSig) && isNormal(bSe, sig)) {
    const aExp = aSe & 0x7fff, bExp = bSe & 0x7fff, negative = aSe >> 15;
    const equal = u32(aSe == bSe) & u32(aSig == sig), below = u32(aExp < bExp) | (u32(aExp == bExp) & u32(aSig < sig));
    const less = (aSe ^ bSe) & 0x8000 ? negative : (below ^ negative) & ~equal;
    bits = (equal << 14) | (less << 8);
  } else {
    nothingYet();
    bits = compare80(aSe, aSig, bSe, sig, (seAndHow & Compare.quiet) != 0);
    raised = flagged();
  }
  const fsw = statusWord();
  store<u16>(PCPU, <u16>(seAndHow & Compare.toFlags ? fsw | raised : (fsw & ~Fsw.CONDITION) | bits | raised), PcpuOff.fsw);
  return bits >> 8;
}

function compareDenormal(sig: u64, at: usize): u32 {
  const bits = compare80(seAt(at), sigAt(at), resultSe(), sig, false);
  store<u16>(PCPU, <u16>((statusWord() & ~Fsw.CONDITION) | bits | flagged()), PcpuOff.fsw);
  return bits >> 8;
}

export function jitX87CompareDouble(bits: u64, at: usize): u32 {
  nothingYet();
  const sig = fromDouble(bits);
  return flagged() ? compareDenormal(sig, at) : jitX87Compare(sig, at, resultSe());
}

/** Operands that are not ordinary numbers, and what is not asked for often. */
export function jitX87Odd(value: u64, at: usize, what: i32): u32 {
  nothingYet();
  if (what < Odd.loadSingle) {
    const sig = fromSingle(<u32>value);
    if (what == Odd.compareSingle) return compareDenormal(sig, at);
    return u32(operate(what, sig, at, resultSe()));
  }
  let sig = what == Odd.loadSingle ? fromSingle(<u32>value) : what == Odd.loadDouble ? fromDouble(value) : fromInteger(value);
  if (what != Odd.loadInteger) sig = quieted(resultSe(), sig);
  settle();
  put(at, resultSe(), sig);
  return 1;
}

/** FRNDINT. */
export function jitX87Integer(at: usize): u32 {
  const se = seAt(at), sig = sigAt(at);
  nothingYet();
  let result = nanResult1(se, sig);
  if (!result) {
    noteDenormal(se, sig);
    result = roundToInteger(se, sig);
  }
  settle();
  put(at, resultSe(), result);
  return 1;
}

/** The register as a double, once nothing can keep it from being stored any more. */
export function jitX87Double(at: usize): u64 {
  const se = seAt(at), sig = sigAt(at), exp = (se & 0x7fff) - (0x3fff - 1023);
  if (<i64>sig < 0 && exp - 1 < 0x7fd && rounding() == Round.nearest) {
    // the carry of the fraction into the exponent comes by itself, as the integer bit does
    const rest = <u32>sig & 0x7ff, m = sig >> 11, up = (rest + 0x3ff + (<u32>m & 1)) >> 11;
    store<u16>(PCPU, <u16>((statusWord() & ~Fsw.C1) | (u32(rest != 0) << 5) | (up << 9)), PcpuOff.fsw);
    return (<u64>(se & 0x8000) << 48) | ((<u64>(exp - 1) << 52) + m + up);
  }
  nothingYet();
  const value = toDouble(se, sig);
  settle();
  return value;
}

/** The same in the other formats. */
export function jitX87Give(atAndWhat: usize): u64 {
  const at = atAndWhat & ~15, what = <i32>atAndWhat & 15;
  nothingYet();
  const value = what == Give.single ? <u64>toSingle(seAt(at), sigAt(at))
    : <u64>toInteger(seAt(at), sigAt(at), (what & ~Give.chop) << 3, what & Give.chop ? Round.chop : rounding());
  settle();
  return value;
}

/** FLDCW. 0 if exceptions are not masked any more. */
export function jitX87Control(value: u32): u32 {
  setControlWord(value);
  refreshSummary();
  return u32((controlWord() & Fsw.EXCEPTIONS) == Fsw.EXCEPTIONS);
}
