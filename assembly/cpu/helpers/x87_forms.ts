/** Operands and the register stack around the arithmetic of x87_soft80, x87_convert, x87_remainder, x87_trans and x87_log
 *  (SDM Vol.1 "Programming with the x87 FPU").
 *
 *  Order within an instruction: memory operand (which may unwind), stack fault, operation, exceptions that forbid a result,
 *  result, pop. */
import { PcpuOff } from "../../abi/layout";
import { Flag } from "../../abi/x86";
import { probeW, st16, st32, st64, stBytes } from "../access";
import { setStatus } from "../flags";
import { Op } from "../opcodes.gen";
import { ea, rmField } from "../operand";
import { PCPU } from "../pcpu";
import { roundToInteger, toBcd, toDouble, toInteger, toSingle } from "./x87_convert";
import { extract, remainder, scale } from "./x87_remainder";
import { addValue, divrValue, divValue, mulValue, sqrtRegister, subrValue, subValue } from "./x87_arith";
import { Arith, BEFORE, finish, operate } from "./x87_quick";
import { compare80, isNan, isUnsupported, nanResult1, noteDenormal } from "./x87_soft80";
import {
  controlWord, Fcw, flagged, Fsw, INDEFINITE_SE, INDEFINITE_SIG, inUse, pop, push, put, registerAt, resultSe, Round, seAt,
  setInUse, setSe, settle, sigAt, stackFault, stAt, statusWord, turn, Work,
} from "./x87_state";
import { exp2m1, logarithm, logarithm1p } from "./x87_log";
import { arctangent, cosine, sine, sineAndCosine, tangent } from "./x87_trans";

const UNORDERED: u32 = Fsw.C3 | Fsw.C2 | Fsw.C0;

@inline export function rounding(): u32 { return (controlWord() >> Fcw.RC_SHIFT) & 3; }

@inline export function clearC1(): void {
  const fsw = statusWord();
  if (fsw & Fsw.C1) store<u16>(PCPU, fsw & ~Fsw.C1, PcpuOff.fsw);
}

function clearC2(): void {
  store<u16>(PCPU, statusWord() & ~Fsw.C2, PcpuOff.fsw);
}

function setCondition(bits: u32): void {
  store<u16>(PCPU, (statusWord() & ~Fsw.CONDITION) | bits, PcpuOff.fsw);
}

/* Arithmetic. */

@inline function withValue(kind: i32, sig: u64, at: usize, se: u32): bool {
  switch (kind) {
    case Arith.add: return addValue(sig, at, se);
    case Arith.mul: return mulValue(sig, at, se);
    case Arith.sub: return subValue(sig, at, se);
    case Arith.subr: return subrValue(sig, at, se);
    case Arith.div: return divValue(sig, at, se);
    default: return divrValue(sig, at, se);
  }
}

@inline function between(to: u32, from: u32, kind: i32, popping: bool): void {
  const top = statusWord() >> 11, p = (top + to) & 7, q = (top + from) & 7, tags = <u32>load<u8>(PCPU, PcpuOff.ftag);
  const at = registerAt(p), b = registerAt(q);
  if (((tags >> p) & (tags >> q) & 1) != 0) {
    if (!withValue(kind, sigAt(b), at, seAt(b))) return;
  } else {
    if (!stackFault(false)) return;
    put(at, INDEFINITE_SE, INDEFINITE_SIG);
    setInUse(to);
  }
  if (popping) pop();
}

/** The value is `sig`, Work.se after its conversion, whose exceptions are noted. */
@inline function withOperand(kind: i32, sig: u64): void {
  const at = stAt(0);
  if (!inUse(0)) {
    if (!stackFault(false)) return;
    put(at, INDEFINITE_SE, INDEFINITE_SIG);
    setInUse(0);
  } else if (flagged()) operate(kind, sig, at, resultSe());
  else withValue(kind, sig, at, resultSe());
}

/* One function for each operation, so that each is straight-line code. */
export function addBetween(to: u32, from: u32, popping: bool): void { between(to, from, Arith.add, popping); }
export function mulBetween(to: u32, from: u32, popping: bool): void { between(to, from, Arith.mul, popping); }
export function subBetween(to: u32, from: u32, popping: bool): void { between(to, from, Arith.sub, popping); }
export function subrBetween(to: u32, from: u32, popping: bool): void { between(to, from, Arith.subr, popping); }
export function divBetween(to: u32, from: u32, popping: bool): void { between(to, from, Arith.div, popping); }
export function divrBetween(to: u32, from: u32, popping: bool): void { between(to, from, Arith.divr, popping); }
export function addOperand(sig: u64): void { withOperand(Arith.add, sig); }
export function mulOperand(sig: u64): void { withOperand(Arith.mul, sig); }
export function subOperand(sig: u64): void { withOperand(Arith.sub, sig); }
export function subrOperand(sig: u64): void { withOperand(Arith.subr, sig); }
export function divOperand(sig: u64): void { withOperand(Arith.div, sig); }
export function divrOperand(sig: u64): void { withOperand(Arith.divr, sig); }

export function signed(toggle: u32, clear: u32): void {
  const at = stAt(0);
  if (inUse(0)) {
    clearC1();
    put(at, (seAt(at) & ~clear) ^ toggle, sigAt(at));
  } else if (stackFault(false)) indefinite(0);
}

function indefinite(i: u32): void {
  setInUse(i);
  put(stAt(i), INDEFINITE_SE, INDEFINITE_SIG);
}

export function unary(op: i32): void {
  const at = stAt(0), se = seAt(at), sig = sigAt(at);
  if (op == Op.fsin || op == Op.fcos) clearC2();
  if (!inUse(0)) {
    if (stackFault(false)) indefinite(0);
    return;
  }
  let result: u64;
  switch (op) {
    case Op.fsqrt: sqrtRegister(at); return;
    case Op.frndint:
      result = nanResult1(se, sig);
      if (!result) {
        noteDenormal(se, sig);
        result = roundToInteger(se, sig);
      }
      break;
    case Op.f2xm1: result = exp2m1(se, sig); break;
    case Op.fsin: result = sine(se, sig); break;
    default: result = cosine(se, sig);
  }
  finish(at, result);
}

export function binary(op: i32, popping: bool): void {
  const a = stAt(0), b = stAt(1);
  if (op == Op.fprem || op == Op.fprem1) clearC2();
  if (!inUse(0) || !inUse(1)) {
    if (!stackFault(false)) return;
    indefinite(popping ? 1 : 0);
    if (popping) pop();
    return;
  }
  const aSe = seAt(a), aSig = sigAt(a), bSe = seAt(b), bSig = sigAt(b);
  let result: u64;
  switch (op) {
    case Op.fprem: result = remainder(aSe, aSig, bSe, bSig, false); break;
    case Op.fprem1: result = remainder(aSe, aSig, bSe, bSig, true); break;
    case Op.fscale: result = scale(aSe, aSig, bSe, bSig); break;
    case Op.fyl2x: result = logarithm(aSe, aSig, bSe, bSig); break;
    case Op.fyl2xp1: result = logarithm1p(aSe, aSig, bSe, bSig); break;
    default: result = arctangent(aSe, aSig, bSe, bSig);
  }
  if (finish(popping ? b : a, result) && popping) pop();
}

/** FXTRACT, FPTAN, FSINCOS: the second result replaces ST(0), the first is pushed. */
export function unaryTwo(op: i32): void {
  const at = stAt(0), used = inUse(0), full = inUse(7);
  if (op != Op.fxtract) clearC2();
  if (!used || full) {
    if (!stackFault(used)) return;
    indefinite(0);
    turn(-1);
    indefinite(0);
    return;
  }
  let result: u64;
  if (op == Op.fxtract) result = extract(seAt(at), sigAt(at));
  else result = op == Op.fptan ? tangent(seAt(at), sigAt(at)) : sineAndCosine(seAt(at), sigAt(at));
  const se = resultSe();
  if (flagged() & Fsw.C2) { // out of range: nothing changes
    settle();
    return;
  }
  if (flagged()) {
    if (settle() & BEFORE) return;
  } else clearC1();
  put(at, load<u32>(PCPU, Work.secondSe), load<u64>(PCPU, Work.second));
  push(se, result);
}

/* Comparison. */

export function compareWith(sig: u64, quiet: bool, pops: i32): void {
  const at = stAt(0);
  if (!inUse(0)) return compareFault(pops);
  compareEnd(compare80(seAt(at), sigAt(at), resultSe(), sig, quiet), pops);
}

export function compareSt(i: u32, quiet: bool, pops: i32): void {
  if (!inUse(0) || !inUse(i)) return compareFault(pops);
  const a = stAt(0), b = stAt(i);
  compareEnd(compare80(seAt(a), sigAt(a), seAt(b), sigAt(b), quiet), pops);
}

function compareFault(pops: i32): void {
  setCondition(UNORDERED);
  if (!stackFault(false)) return;
  popTimes(pops);
}

function compareEnd(bits: u32, pops: i32): void {
  setCondition(bits);
  if (flagged() && settle() & BEFORE) return;
  popTimes(pops);
}

function popTimes(n: i32): void {
  while (n-- > 0) pop();
}

/** FCOMI and its kin: ZF PF CF from the comparison, OF SF AF cleared, also where an unmasked exception forbids the pop.
 *  C1 changes in a stack fault only (both as AMD processors do it; the manuals leave it open). */
export function compareToFlags(i: u32, quiet: bool, popping: bool): void {
  let bits = UNORDERED, keep = true;
  const a = stAt(0), b = stAt(i);
  if (!inUse(0) || !inUse(i)) keep = stackFault(false);
  else {
    bits = compare80(seAt(a), sigAt(a), seAt(b), sigAt(b), quiet);
    if (flagged()) {
      const c1 = statusWord() & Fsw.C1;
      keep = (settle() & BEFORE) == 0;
      store<u16>(PCPU, statusWord() | c1, PcpuOff.fsw);
    }
  }
  setStatus((bits & Fsw.C3 ? Flag.ZF : 0) | (bits & Fsw.C2 ? Flag.PF : 0) | (bits & Fsw.C0 ? Flag.CF : 0));
  if (popping && keep) pop();
}

/** FXAM: C1 = sign; C3 C2 C0 class: unsupported 000, NaN 001, normal 010, infinity 011, zero 100, empty 101, denormal 110. */
export function examine(): void {
  const at = stAt(0), se = seAt(at), sig = sigAt(at), exp = se & 0x7fff;
  let bits: u32 = se & 0x8000 ? Fsw.C1 : 0;
  if (!inUse(0)) bits |= Fsw.C3 | Fsw.C0;
  else if (isUnsupported(se, sig)) bits |= 0;
  else if (exp == 0x7fff) bits |= isNan(se, sig) ? Fsw.C0 : Fsw.C2 | Fsw.C0;
  else if (sig == 0) bits |= Fsw.C3;
  else bits |= exp == 0 ? Fsw.C3 | Fsw.C2 : Fsw.C2;
  setCondition(bits);
}

/* Loads and stores. */

/** Pushes the value `sig`, Work.se after its conversion. */
export function loadValue(sig: u64): void {
  const fsw = statusWord(), top = ((fsw >> 11) - 1) & 7, tags = <u32>load<u8>(PCPU, PcpuOff.ftag);
  if ((tags >> top & 1) == 0 && !flagged()) {
    store<u8>(PCPU, <u8>(tags | (1 << top)), PcpuOff.ftag);
    store<u16>(PCPU, <u16>((fsw & ~(Fsw.TOP | Fsw.C1)) | (top << 11)), PcpuOff.fsw);
    put(registerAt(top), resultSe(), sig);
    return;
  }
  if (inUse(7)) {
    if (stackFault(true)) push(INDEFINITE_SE, INDEFINITE_SIG);
    return;
  }
  if (flagged()) {
    if (settle() & Fsw.IE) return; // a denormal is loaded even if that is an unmasked exception
  } else clearC1();
  push(resultSe(), sig);
}

/** A constant stored rounded to nearest, which lies `side` of the exact value: modes that go the other way differ by one
 *  unit. `side` 0: exact. */
export function loadConstant(se: u32, sig: u64, side: u32): void {
  const rc = rounding();
  if (side == Round.up && rc == Round.up) sig++;
  if (side == Round.down && (rc == Round.down || rc == Round.chop)) sig--;
  setSe(se);
  loadValue(sig);
}

export function loadSt(i: u32): void {
  const at = stAt(i);
  if (!inUse(i)) {
    if (stackFault(false)) push(INDEFINITE_SE, INDEFINITE_SIG);
  } else if (inUse(7)) {
    if (stackFault(true)) push(INDEFINITE_SE, INDEFINITE_SIG);
  } else {
    clearC1();
    push(seAt(at), sigAt(at));
  }
}

/** Memory results come first and may unwind, also where an unmasked exception forbids the store; then status and pop. */
@inline function storeAllowed(): bool { return (flagged() & ~controlWord() & (BEFORE | Fsw.OE | Fsw.UE)) == 0; }

/** ST(0) empty: true if the indefinite is to be stored. */
function emptyStore(): bool {
  store<u32>(PCPU, Fsw.IE | Fsw.SF, Work.exc);
  return (controlWord() & Fsw.IE) != 0;
}

/* The memory operand: its linear address, 0 where translated code has looked up the host's already (Work.host). */
@inline function given(): usize { return <usize>load<u32>(PCPU, Work.host); }
function target(u: usize, size: i32): u64 { return given() ? 0 : ea(u, size, true); }
function put16(lin: u64, value: u64): void {
  if (given()) store<u16>(given(), <u16>value);
  else st16(lin, value);
}
function put32(lin: u64, value: u64): void {
  if (given()) store<u32>(given(), <u32>value);
  else st32(lin, value);
}
function put64(lin: u64, value: u64): void {
  if (given()) store<u64>(given(), value);
  else st64(lin, value);
}
function probe(lin: u64, size: u32): void { if (!given()) probeW(lin, size); }

export function storeSingle(u: usize, popping: bool): void {
  const lin = target(u, 4), at = stAt(0);
  let value: u32 = 0xffc00000;
  if (inUse(0)) value = toSingle(seAt(at), sigAt(at));
  else emptyStore();
  const allowed = storeAllowed();
  if (allowed) put32(lin, value);
  else probe(lin, 4);
  settle();
  if (allowed && popping) pop();
}

export function storeDouble(u: usize, popping: bool): void {
  const lin = target(u, 8), at = stAt(0);
  const se = seAt(at), sig = sigAt(at), exp = (se & 0x7fff) - (0x3fff - 1023);
  if (inUse(0) && (controlWord() & 0xc3f) == 0x3f && <i64>sig < 0 && exp - 1 < 0x7fd) {
    // the carry of the fraction into the exponent comes by itself, as the integer bit does
    const rest = <u32>sig & 0x7ff;
    let m = sig >> 11, flags: u32 = 0;
    if (rest) {
      flags = Fsw.PE;
      if (rest > 0x400 || (rest == 0x400 && (m & 1) != 0)) {
        m++;
        flags = Fsw.PE | Fsw.C1;
      }
    }
    put64(lin, (<u64>(se & 0x8000) << 48) | ((<u64>(exp - 1) << 52) + m));
    store<u16>(PCPU, <u16>((statusWord() & ~Fsw.C1) | flags), PcpuOff.fsw);
    if (popping) pop();
    return;
  }
  let value: u64 = 0xfff8000000000000;
  if (inUse(0)) value = toDouble(seAt(at), sigAt(at));
  else emptyStore();
  const allowed = storeAllowed();
  if (allowed) put64(lin, value);
  else probe(lin, 8);
  settle();
  if (allowed && popping) pop();
}

export function storeExtended(u: usize): void {
  const lin = ea(u, 10, true), at = stAt(0);
  if (inUse(0)) stBytes(lin, at + PcpuOff.fpr, 10);
  else if (emptyStore()) storeTen(lin, INDEFINITE_SE, INDEFINITE_SIG);
  else probeW(lin, 10);
  const allowed = storeAllowed();
  settle();
  if (allowed) pop();
}

function storeTen(lin: u64, se: u32, sig: u64): void {
  store<u64>(PCPU, sig, Work.area);
  store<u16>(PCPU, <u16>se, Work.area + 8);
  stBytes(lin, PCPU + Work.area, 10);
}

export function storeInteger(u: usize, size: i32, rc: u32, popping: bool): void {
  const lin = target(u, size), at = stAt(0);
  let value = <i64>(-1) << (size * 8 - 1);
  if (inUse(0)) value = toInteger(seAt(at), sigAt(at), size * 8, rc);
  else emptyStore();
  const allowed = storeAllowed();
  if (allowed) {
    if (size == 2) put16(lin, value);
    else if (size == 4) put32(lin, value);
    else put64(lin, value);
  } else probe(lin, size);
  settle();
  if (allowed && popping) pop();
}

export function storeBcd(u: usize): void {
  const lin = ea(u, 10, true), at = stAt(0);
  let low: u64 = 0xc000000000000000;
  if (inUse(0)) low = toBcd(seAt(at), sigAt(at));
  else {
    emptyStore();
    setSe(0xffff);
  }
  const allowed = storeAllowed();
  if (allowed) storeTen(lin, resultSe(), low);
  else probeW(lin, 10);
  settle();
  if (allowed) pop();
}

export function storeSt(i: u32, popping: bool): void {
  const from = stAt(0), to = stAt(i);
  if (inUse(0)) {
    clearC1();
    put(to, seAt(from), sigAt(from));
  } else {
    if (!stackFault(false)) return;
    put(to, INDEFINITE_SE, INDEFINITE_SIG);
  }
  setInUse(i);
  if (popping) pop();
}

export function exchange(i: u32): void {
  const a = stAt(0), b = stAt(i);
  if (!inUse(0) || !inUse(i)) {
    if (!stackFault(false)) return;
    if (!inUse(0)) indefinite(0);
    if (!inUse(i)) indefinite(i);
  } else clearC1();
  const se = seAt(a), sig = sigAt(a);
  put(a, seAt(b), sigAt(b));
  put(b, se, sig);
}

export function moveIf(u: usize, wanted: bool): void {
  const i: u32 = rmField(u) & 7, from = stAt(i), to = stAt(0);
  if (!inUse(0) || !inUse(i)) {
    if (stackFault(false)) indefinite(0);
  } else if (wanted) put(to, seAt(from), sigAt(from));
}
