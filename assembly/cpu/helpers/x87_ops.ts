/** x87 instructions: operands and the register stack around the arithmetic of x87_soft80, x87_convert, x87_remainder and
 *  x87_trans (SDM Vol.2A, Vol.1 chapter "Programming with the x87 FPU").
 *
 *  Order within an instruction: memory operand (which may unwind), stack fault, operation, exceptions that forbid a result,
 *  result, pop. The instruction pointer of FNSTENV follows for all but control instructions. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Cr0, Flag, Gpr, Vector } from "../../abi/x86";
import { raise } from "../../fault";
import { ld16, ld32, ld64, st16, st32, st64, stBytes } from "../access";
import { carry, parity, setStatus, zero as zeroFlag } from "../flags";
import { Op } from "../opcodes.gen";
import { ea, eaOffset, isMem, ripOf, rmField, setReg } from "../operand";
import { PCPU } from "../pcpu";
import { fromBcd, fromDouble, fromInteger, fromSingle, quieted, roundToInteger, toBcd, toDouble, toInteger, toSingle } from "./x87_convert";
import { fldcw, fldenv, fnsave, fnstenv, frstor } from "./x87_env";
import { extract, remainder, scale } from "./x87_remainder";
import { add80, compare80, div80, isNan, isUnsupported, mul80, nanResult1, noteDenormal, sqrt80 } from "./x87_soft80";
import {
  controlWord, Fcw, flagged, fninit, Fsw, INDEFINITE_SE, INDEFINITE_SIG, INTEGER_BIT, inUse, pop, push, put, resultSe, Round,
  seAt, setEmpty, setInUse, setSe, settle, sigAt, stackFault, stAt, statusWord, turn, Work,
} from "./x87_state";
import { exp2m1, logarithm, logarithm1p } from "./x87_log";
import { arctangent, cosine, sine, sineAndCosine, tangent } from "./x87_trans";
import { performFxsave } from "./fxsave";

/** Two-operand arithmetic; `r` forms have the operands reversed. */
const enum Kind { add, mul, sub, subr, div, divr }

/** Exceptions after which there is no result: the operands are left as they were. */
const BEFORE: u32 = Fsw.IE | Fsw.DE | Fsw.ZE;
const UNORDERED: u32 = Fsw.C3 | Fsw.C2 | Fsw.C0;

export function performX87(u: usize): usize {
  const op = <i32>load<u16>(u, RecOff.op);
  if ((load<u32>(PCPU, PcpuOff.cr0) & (Cr0.EM | Cr0.TS)) != 0 || (statusWord() & Fsw.ES) != 0) return guarded(u, op);
  return execute(u, op);
}

function execute(u: usize, op: i32): usize {
  store<u32>(PCPU, 0, Work.exc);
  if (!perform(u, op)) return control(u, op);
  store<u64>(PCPU, ripOf(u), PcpuOff.fip);
  if (isMem(u)) store<u64>(PCPU, eaOffset(u), PcpuOff.fdp);
  return u + RecOff.SIZE;
}

/** With CR0.EM or CR0.TS set or an unmasked exception awaiting its handler: what each instruction makes of it. With CR0.NE
 *  = 0 the processor would assert FERR# on the latter; nothing listens. */
function guarded(u: usize, op: i32): usize {
  const cr0 = load<u32>(PCPU, PcpuOff.cr0);
  const pending = (statusWord() & Fsw.ES) != 0 && (cr0 & Cr0.NE) != 0;
  switch (op) {
    case Op.fxsave: case Op.fxrstor: case Op.ldmxcsr: case Op.stmxcsr:
    case Op.xsave: case Op.xrstor: case Op.xsaveopt: case Op.xsavec:
      return performFxsave(u, op);
    case Op.fwait:
      if ((cr0 & (Cr0.MP | Cr0.TS)) == (Cr0.MP | Cr0.TS)) return raise(Vector.NM);
      return pending ? raise(Vector.MF) : u + RecOff.SIZE;
    case Op.fnstcw: case Op.fnstsw_m16: case Op.fnstsw_ax: case Op.fnstenv: case Op.fnsave:
    case Op.fninit: case Op.fnclex: case Op.fnop_8087:
      return cr0 & (Cr0.EM | Cr0.TS) ? raise(Vector.NM) : control(u, op);
    default:
      if (cr0 & (Cr0.EM | Cr0.TS)) return raise(Vector.NM);
      return pending ? raise(Vector.MF) : execute(u, op);
  }
}

/** Instructions that leave FIP and FDP alone or load them. */
function control(u: usize, op: i32): usize {
  switch (op) {
    case Op.fnstcw: st16(ea(u, 2, true), controlWord()); break;
    case Op.fnstsw_m16: st16(ea(u, 2, true), statusWord()); break;
    case Op.fnstsw_ax: setReg(Gpr.rax, 2, statusWord()); break;
    case Op.fldcw: fldcw(u); break;
    case Op.fnstenv: fnstenv(u); break;
    case Op.fldenv: fldenv(u); break;
    case Op.fnsave: fnsave(u); break;
    case Op.frstor: frstor(u); break;
    case Op.fninit: fninit(); break;
    case Op.fnclex:
      store<u16>(PCPU, statusWord() & ~(Fsw.EXCEPTIONS | Fsw.SF | Fsw.ES | Fsw.B), PcpuOff.fsw);
      break;
    case Op.fwait: case Op.fnop_8087: break;
    default: return performFxsave(u, op);
  }
  return u + RecOff.SIZE;
}

/** All others. False: not one of these. */
function perform(u: usize, op: i32): bool {
  switch (op) {
    case Op.fadd_m32: withSingle(u, Kind.add); break;
    case Op.fmul_m32: withSingle(u, Kind.mul); break;
    case Op.fsub_m32: withSingle(u, Kind.sub); break;
    case Op.fsubr_m32: withSingle(u, Kind.subr); break;
    case Op.fdiv_m32: withSingle(u, Kind.div); break;
    case Op.fdivr_m32: withSingle(u, Kind.divr); break;
    case Op.fadd_m64: withDouble(u, Kind.add); break;
    case Op.fmul_m64: withDouble(u, Kind.mul); break;
    case Op.fsub_m64: withDouble(u, Kind.sub); break;
    case Op.fsubr_m64: withDouble(u, Kind.subr); break;
    case Op.fdiv_m64: withDouble(u, Kind.div); break;
    case Op.fdivr_m64: withDouble(u, Kind.divr); break;
    case Op.fadd_i32: withInteger(<i32>ld32(ea(u, 4, false)), Kind.add); break;
    case Op.fmul_i32: withInteger(<i32>ld32(ea(u, 4, false)), Kind.mul); break;
    case Op.fsub_i32: withInteger(<i32>ld32(ea(u, 4, false)), Kind.sub); break;
    case Op.fsubr_i32: withInteger(<i32>ld32(ea(u, 4, false)), Kind.subr); break;
    case Op.fdiv_i32: withInteger(<i32>ld32(ea(u, 4, false)), Kind.div); break;
    case Op.fdivr_i32: withInteger(<i32>ld32(ea(u, 4, false)), Kind.divr); break;
    case Op.fadd_i16: withInteger(<i16>ld16(ea(u, 2, false)), Kind.add); break;
    case Op.fmul_i16: withInteger(<i16>ld16(ea(u, 2, false)), Kind.mul); break;
    case Op.fsub_i16: withInteger(<i16>ld16(ea(u, 2, false)), Kind.sub); break;
    case Op.fsubr_i16: withInteger(<i16>ld16(ea(u, 2, false)), Kind.subr); break;
    case Op.fdiv_i16: withInteger(<i16>ld16(ea(u, 2, false)), Kind.div); break;
    case Op.fdivr_i16: withInteger(<i16>ld16(ea(u, 2, false)), Kind.divr); break;
    case Op.fadd_st: between(0, rmField(u) & 7, Kind.add, false); break;
    case Op.fmul_st: between(0, rmField(u) & 7, Kind.mul, false); break;
    case Op.fsub_st: between(0, rmField(u) & 7, Kind.sub, false); break;
    case Op.fsubr_st: between(0, rmField(u) & 7, Kind.subr, false); break;
    case Op.fdiv_st: between(0, rmField(u) & 7, Kind.div, false); break;
    case Op.fdivr_st: between(0, rmField(u) & 7, Kind.divr, false); break;
    case Op.fadd_sti: between(rmField(u) & 7, 0, Kind.add, false); break;
    case Op.fmul_sti: between(rmField(u) & 7, 0, Kind.mul, false); break;
    case Op.fsub_sti: between(rmField(u) & 7, 0, Kind.sub, false); break;
    case Op.fsubr_sti: between(rmField(u) & 7, 0, Kind.subr, false); break;
    case Op.fdiv_sti: between(rmField(u) & 7, 0, Kind.div, false); break;
    case Op.fdivr_sti: between(rmField(u) & 7, 0, Kind.divr, false); break;
    case Op.faddp_sti: between(rmField(u) & 7, 0, Kind.add, true); break;
    case Op.fmulp_sti: between(rmField(u) & 7, 0, Kind.mul, true); break;
    case Op.fsubp_sti: between(rmField(u) & 7, 0, Kind.sub, true); break;
    case Op.fsubrp_sti: between(rmField(u) & 7, 0, Kind.subr, true); break;
    case Op.fdivp_sti: between(rmField(u) & 7, 0, Kind.div, true); break;
    case Op.fdivrp_sti: between(rmField(u) & 7, 0, Kind.divr, true); break;

    case Op.fcom_m32: compareWith(fromSingle(<u32>ld32(ea(u, 4, false))), false, 0); break;
    case Op.fcomp_m32: compareWith(fromSingle(<u32>ld32(ea(u, 4, false))), false, 1); break;
    case Op.fcom_m64: compareWith(fromDouble(ld64(ea(u, 8, false))), false, 0); break;
    case Op.fcomp_m64: compareWith(fromDouble(ld64(ea(u, 8, false))), false, 1); break;
    case Op.fcom_i32: compareWith(fromInteger(<i64><i32>ld32(ea(u, 4, false))), false, 0); break;
    case Op.fcomp_i32: compareWith(fromInteger(<i64><i32>ld32(ea(u, 4, false))), false, 1); break;
    case Op.fcom_i16: compareWith(fromInteger(<i64><i16>ld16(ea(u, 2, false))), false, 0); break;
    case Op.fcomp_i16: compareWith(fromInteger(<i64><i16>ld16(ea(u, 2, false))), false, 1); break;
    case Op.fcom_st: compareSt(rmField(u) & 7, false, 0); break;
    case Op.fcomp_st: compareSt(rmField(u) & 7, false, 1); break;
    case Op.fcompp: compareSt(1, false, 2); break;
    case Op.fucom: compareSt(rmField(u) & 7, true, 0); break;
    case Op.fucomp: compareSt(rmField(u) & 7, true, 1); break;
    case Op.fucompp: compareSt(1, true, 2); break;
    case Op.fcomi: compareToFlags(rmField(u) & 7, false, false); break;
    case Op.fucomi: compareToFlags(rmField(u) & 7, true, false); break;
    case Op.fcomip: compareToFlags(rmField(u) & 7, false, true); break;
    case Op.fucomip: compareToFlags(rmField(u) & 7, true, true); break;
    case Op.ftst:
      setSe(0);
      compareWith(0, false, 0); break;
    case Op.fxam: examine(); break;

    case Op.fld_m32: {
      const sig = fromSingle(<u32>ld32(ea(u, 4, false)));
      loadValue(quieted(resultSe(), sig)); break;
    }
    case Op.fld_m64: {
      const sig = fromDouble(ld64(ea(u, 8, false)));
      loadValue(quieted(resultSe(), sig)); break;
    }
    case Op.fld_m80: {
      const lin = ea(u, 10, false), sig = ld64(lin);
      setSe(<u32>ld16(lin + 8));
      loadValue(sig); break;
    }
    case Op.fild_i16: loadValue(fromInteger(<i64><i16>ld16(ea(u, 2, false)))); break;
    case Op.fild_i32: loadValue(fromInteger(<i64><i32>ld32(ea(u, 4, false)))); break;
    case Op.fild_i64: loadValue(fromInteger(<i64>ld64(ea(u, 8, false)))); break;
    case Op.fbld: {
      const lin = ea(u, 10, false), low = ld64(lin);
      loadValue(fromBcd(low, <u32>ld16(lin + 8))); break;
    }
    case Op.fld1: loadConstant(0x3fff, INTEGER_BIT, 0); break;
    case Op.fldl2t: loadConstant(0x4000, 0xd49a784bcd1b8afe, Round.up); break;
    case Op.fldl2e: loadConstant(0x3fff, 0xb8aa3b295c17f0bc, Round.down); break;
    case Op.fldpi: loadConstant(0x4000, 0xc90fdaa22168c235, Round.down); break;
    case Op.fldlg2: loadConstant(0x3ffd, 0x9a209a84fbcff799, Round.down); break;
    case Op.fldln2: loadConstant(0x3ffe, 0xb17217f7d1cf79ac, Round.down); break;
    case Op.fldz: loadConstant(0, 0, 0); break;
    case Op.fld_sti: loadSt(rmField(u) & 7); break;

    case Op.fst_m32: storeSingle(u, false); break;
    case Op.fstp_m32: storeSingle(u, true); break;
    case Op.fst_m64: storeDouble(u, false); break;
    case Op.fstp_m64: storeDouble(u, true); break;
    case Op.fstp_m80: storeExtended(u); break;
    case Op.fist_i16: storeInteger(u, 2, rounding(), false); break;
    case Op.fistp_i16: storeInteger(u, 2, rounding(), true); break;
    case Op.fisttp_i16: storeInteger(u, 2, Round.chop, true); break;
    case Op.fist_i32: storeInteger(u, 4, rounding(), false); break;
    case Op.fistp_i32: storeInteger(u, 4, rounding(), true); break;
    case Op.fisttp_i32: storeInteger(u, 4, Round.chop, true); break;
    case Op.fistp_i64: storeInteger(u, 8, rounding(), true); break;
    case Op.fisttp_i64: storeInteger(u, 8, Round.chop, true); break;
    case Op.fbstp: storeBcd(u); break;
    case Op.fst_sti: storeSt(rmField(u) & 7, false); break;
    case Op.fstp_sti: storeSt(rmField(u) & 7, true); break;
    case Op.fstp1_sti: // no stack fault: an empty ST(0) is popped and leaves ST(i) alone
      if (inUse(0)) storeSt(rmField(u) & 7, true);
      else {
        clearC1();
        pop();
      }
      break;
    case Op.fxch: exchange(rmField(u) & 7); break;
    case Op.fcmovb: moveIf(u, carry() != 0); break;
    case Op.fcmovnb: moveIf(u, carry() == 0); break;
    case Op.fcmove: moveIf(u, zeroFlag() != 0); break;
    case Op.fcmovne: moveIf(u, zeroFlag() == 0); break;
    case Op.fcmovbe: moveIf(u, (carry() | zeroFlag()) != 0); break;
    case Op.fcmovnbe: moveIf(u, (carry() | zeroFlag()) == 0); break;
    case Op.fcmovu: moveIf(u, parity() != 0); break;
    case Op.fcmovnu: moveIf(u, parity() == 0); break;

    case Op.fchs: signed(0x8000, 0); break;
    case Op.fabs: signed(0, 0x8000); break;
    case Op.fsqrt: case Op.frndint: case Op.f2xm1: case Op.fsin: case Op.fcos: unary(op); break;
    case Op.fprem: case Op.fprem1: case Op.fscale: binary(op, false); break;
    case Op.fyl2x: case Op.fyl2xp1: case Op.fpatan: binary(op, true); break;
    case Op.fxtract: case Op.fptan: case Op.fsincos: unaryTwo(op); break;

    case Op.fincstp: turn(1); clearC1(); break;
    case Op.fdecstp: turn(-1); clearC1(); break;
    case Op.ffree: setEmpty(rmField(u) & 7); clearC1(); break;
    case Op.ffreep: setEmpty(rmField(u) & 7); clearC1(); pop(); break;
    case Op.fnop: break;
    default: return false;
  }
  return true;
}

@inline function rounding(): u32 { return (controlWord() >> Fcw.RC_SHIFT) & 3; }

function clearC1(): void {
  store<u16>(PCPU, statusWord() & ~Fsw.C1, PcpuOff.fsw);
}

function clearC2(): void {
  store<u16>(PCPU, statusWord() & ~Fsw.C2, PcpuOff.fsw);
}

function setCondition(bits: u32): void {
  store<u16>(PCPU, (statusWord() & ~Fsw.CONDITION) | bits, PcpuOff.fsw);
}

/* Arithmetic. */

function operate(kind: i32, aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 {
  switch (kind) {
    case Kind.add: return add80(aSe, aSig, bSe, bSig, 0);
    case Kind.mul: return mul80(aSe, aSig, bSe, bSig);
    case Kind.sub: return add80(aSe, aSig, bSe, bSig, 0x8000);
    case Kind.subr: return add80(bSe, bSig, aSe, aSig, 0x8000);
    case Kind.div: return div80(aSe, aSig, bSe, bSig);
    default: return div80(bSe, bSig, aSe, aSig);
  }
}

/** Stores a register result unless an unmasked exception forbids it; true if stored. */
@inline function finish(at: usize, sig: u64): bool {
  if (flagged()) {
    if (settle() & BEFORE) return false;
  } else clearC1();
  put(at, resultSe(), sig);
  return true;
}

function between(to: u32, from: u32, kind: i32, popping: bool): void {
  const at = stAt(to), b = stAt(from);
  if (!inUse(to) || !inUse(from)) {
    if (!stackFault(false)) return;
    put(at, INDEFINITE_SE, INDEFINITE_SIG);
    setInUse(to);
  } else if (!finish(at, operate(kind, seAt(at), sigAt(at), seAt(b), sigAt(b)))) return;
  if (popping) pop();
}

function withValue(kind: i32, sig: u64): void {
  const at = stAt(0);
  if (!inUse(0)) {
    if (!stackFault(false)) return;
    put(at, INDEFINITE_SE, INDEFINITE_SIG);
    setInUse(0);
    return;
  }
  finish(at, operate(kind, seAt(at), sigAt(at), resultSe(), sig));
}

function withSingle(u: usize, kind: i32): void { withValue(kind, fromSingle(<u32>ld32(ea(u, 4, false)))); }
function withDouble(u: usize, kind: i32): void { withValue(kind, fromDouble(ld64(ea(u, 8, false)))); }
function withInteger(value: i32, kind: i32): void { withValue(kind, fromInteger(<i64>value)); }

function signed(toggle: u32, clear: u32): void {
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

function unary(op: i32): void {
  const at = stAt(0), se = seAt(at), sig = sigAt(at);
  if (op == Op.fsin || op == Op.fcos) clearC2();
  if (!inUse(0)) {
    if (stackFault(false)) indefinite(0);
    return;
  }
  let result: u64;
  switch (op) {
    case Op.fsqrt: result = sqrt80(se, sig); break;
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

function binary(op: i32, popping: bool): void {
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
function unaryTwo(op: i32): void {
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

function compareWith(sig: u64, quiet: bool, pops: i32): void {
  const at = stAt(0);
  if (!inUse(0)) return compareFault(pops);
  compareEnd(compare80(seAt(at), sigAt(at), resultSe(), sig, quiet), pops);
}

function compareSt(i: u32, quiet: bool, pops: i32): void {
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
function compareToFlags(i: u32, quiet: bool, popping: bool): void {
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
function examine(): void {
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
function loadValue(sig: u64): void {
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
function loadConstant(se: u32, sig: u64, side: u32): void {
  const rc = rounding();
  if (side == Round.up && rc == Round.up) sig++;
  if (side == Round.down && (rc == Round.down || rc == Round.chop)) sig--;
  setSe(se);
  loadValue(sig);
}

function loadSt(i: u32): void {
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

/** Memory results come first and may unwind; then status and pop. */
@inline function storeAllowed(): bool { return (flagged() & ~controlWord() & (BEFORE | Fsw.OE | Fsw.UE)) == 0; }

/** ST(0) empty: true if the indefinite is to be stored. */
function emptyStore(): bool {
  store<u32>(PCPU, Fsw.IE | Fsw.SF, Work.exc);
  return (controlWord() & Fsw.IE) != 0;
}

function storeSingle(u: usize, popping: bool): void {
  const lin = ea(u, 4, true), at = stAt(0);
  let value: u32 = 0xffc00000;
  if (inUse(0)) value = toSingle(seAt(at), sigAt(at));
  else emptyStore();
  const allowed = storeAllowed();
  if (allowed) st32(lin, value);
  settle();
  if (allowed && popping) pop();
}

function storeDouble(u: usize, popping: bool): void {
  const lin = ea(u, 8, true), at = stAt(0);
  let value: u64 = 0xfff8000000000000;
  if (inUse(0)) value = toDouble(seAt(at), sigAt(at));
  else emptyStore();
  const allowed = storeAllowed();
  if (allowed) st64(lin, value);
  settle();
  if (allowed && popping) pop();
}

function storeExtended(u: usize): void {
  const lin = ea(u, 10, true), at = stAt(0);
  if (inUse(0)) stBytes(lin, at + PcpuOff.fpr, 10);
  else if (emptyStore()) storeTen(lin, INDEFINITE_SE, INDEFINITE_SIG);
  const allowed = storeAllowed();
  settle();
  if (allowed) pop();
}

function storeTen(lin: u64, se: u32, sig: u64): void {
  store<u64>(PCPU, sig, Work.area);
  store<u16>(PCPU, <u16>se, Work.area + 8);
  stBytes(lin, PCPU + Work.area, 10);
}

function storeInteger(u: usize, size: i32, rc: u32, popping: bool): void {
  const lin = ea(u, size, true), at = stAt(0);
  let value = <i64>(-1) << (size * 8 - 1);
  if (inUse(0)) value = toInteger(seAt(at), sigAt(at), size * 8, rc);
  else emptyStore();
  const allowed = storeAllowed();
  if (allowed) {
    if (size == 2) st16(lin, value);
    else if (size == 4) st32(lin, value);
    else st64(lin, value);
  }
  settle();
  if (allowed && popping) pop();
}

function storeBcd(u: usize): void {
  const lin = ea(u, 10, true), at = stAt(0);
  let low: u64 = 0xc000000000000000;
  if (inUse(0)) low = toBcd(seAt(at), sigAt(at));
  else {
    emptyStore();
    setSe(0xffff);
  }
  const allowed = storeAllowed();
  if (allowed) storeTen(lin, resultSe(), low);
  settle();
  if (allowed) pop();
}

function storeSt(i: u32, popping: bool): void {
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

function exchange(i: u32): void {
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

function moveIf(u: usize, wanted: bool): void {
  const i: u32 = rmField(u) & 7, from = stAt(i), to = stAt(0);
  if (!inUse(0) || !inUse(i)) {
    if (stackFault(false)) indefinite(0);
  } else if (wanted) put(to, seAt(from), sigAt(from));
}
