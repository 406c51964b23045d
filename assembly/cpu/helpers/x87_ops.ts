/** x87 instructions by Op: which of them run, and what each is in terms of x87_forms (SDM Vol.2A; Vol.3A "Emulating
 *  Floating-Point", "Device Not Available Exception"). */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Cr0, Gpr, Vector } from "../../abi/x86";
import { raise } from "../../fault";
import { ld16, ld32, ld64, st16 } from "../access";
import { carry, parity, zero as zeroFlag } from "../flags";
import { Op } from "../opcodes.gen";
import { ea, eaOffset, isMem, ripOf, rmField, setReg } from "../operand";
import { PCPU } from "../pcpu";
import { fromBcd, fromDouble, fromInteger, fromSingle, quieted } from "./x87_convert";
import { fldcw, fldenv, fnsave, fnstenv, frstor } from "./x87_env";
import {
  controlWord, fninit, Fsw, INTEGER_BIT, inUse, pop, resultSe, Round, setEmpty, setSe, statusWord, turn, Work,
} from "./x87_state";
import { performFxsave } from "./fxsave";
import {
  addBetween, addOperand, binary, clearC1, compareSt, compareToFlags, compareWith, divBetween, divOperand, divrBetween,
  divrOperand, examine, exchange, loadConstant, loadSt, loadValue, moveIf, mulBetween, mulOperand, rounding, signed,
  storeBcd, storeDouble, storeExtended, storeInteger, storeSingle, storeSt, subBetween, subOperand, subrBetween,
  subrOperand, unary, unaryTwo,
} from "./x87_forms";

/** What `guarded` returns for "go ahead": no record has this address. */
const GO: usize = 1;

export function performX87(u: usize): usize {
  const op = <i32>load<u16>(u, RecOff.op);
  if ((load<u32>(PCPU, PcpuOff.cr0) & (Cr0.EM | Cr0.TS)) != 0 || (statusWord() & Fsw.ES) != 0) {
    const next = guarded(u, op);
    if (next != GO) return next;
  }
  store<u32>(PCPU, 0, Work.exc);
  if (!perform(u, op)) return control(u, op);
  store<u64>(PCPU, ripOf(u), PcpuOff.fip);
  store<u16>(PCPU, load<u16>(u, RecOff.imm), PcpuOff.fop);
  if (isMem(u)) store<u64>(PCPU, load<u32>(PCPU, Work.host) ? load<u64>(PCPU, Work.pointer) : eaOffset(u), PcpuOff.fdp);
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
      return pending ? raise(Vector.MF) : GO;
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

/* Memory operands; translated code has the host's address already. */
function m16(u: usize): u64 {
  const host = <usize>load<u32>(PCPU, Work.host);
  return host ? <u64>load<u16>(host) : ld16(ea(u, 2, false));
}
function m32(u: usize): u64 {
  const host = <usize>load<u32>(PCPU, Work.host);
  return host ? <u64>load<u32>(host) : ld32(ea(u, 4, false));
}
function m64(u: usize): u64 {
  const host = <usize>load<u32>(PCPU, Work.host);
  return host ? load<u64>(host) : ld64(ea(u, 8, false));
}

/** All others. False: not one of these. */
function perform(u: usize, op: i32): bool {
  switch (op) {
    case Op.fadd_m32: addOperand(fromSingle(<u32>m32(u))); break;
    case Op.fmul_m32: mulOperand(fromSingle(<u32>m32(u))); break;
    case Op.fsub_m32: subOperand(fromSingle(<u32>m32(u))); break;
    case Op.fsubr_m32: subrOperand(fromSingle(<u32>m32(u))); break;
    case Op.fdiv_m32: divOperand(fromSingle(<u32>m32(u))); break;
    case Op.fdivr_m32: divrOperand(fromSingle(<u32>m32(u))); break;
    case Op.fadd_m64: addOperand(fromDouble(m64(u))); break;
    case Op.fmul_m64: mulOperand(fromDouble(m64(u))); break;
    case Op.fsub_m64: subOperand(fromDouble(m64(u))); break;
    case Op.fsubr_m64: subrOperand(fromDouble(m64(u))); break;
    case Op.fdiv_m64: divOperand(fromDouble(m64(u))); break;
    case Op.fdivr_m64: divrOperand(fromDouble(m64(u))); break;
    case Op.fadd_i32: addOperand(fromInteger(<i64><i32>m32(u))); break;
    case Op.fmul_i32: mulOperand(fromInteger(<i64><i32>m32(u))); break;
    case Op.fsub_i32: subOperand(fromInteger(<i64><i32>m32(u))); break;
    case Op.fsubr_i32: subrOperand(fromInteger(<i64><i32>m32(u))); break;
    case Op.fdiv_i32: divOperand(fromInteger(<i64><i32>m32(u))); break;
    case Op.fdivr_i32: divrOperand(fromInteger(<i64><i32>m32(u))); break;
    case Op.fadd_i16: addOperand(fromInteger(<i64><i16>m16(u))); break;
    case Op.fmul_i16: mulOperand(fromInteger(<i64><i16>m16(u))); break;
    case Op.fsub_i16: subOperand(fromInteger(<i64><i16>m16(u))); break;
    case Op.fsubr_i16: subrOperand(fromInteger(<i64><i16>m16(u))); break;
    case Op.fdiv_i16: divOperand(fromInteger(<i64><i16>m16(u))); break;
    case Op.fdivr_i16: divrOperand(fromInteger(<i64><i16>m16(u))); break;
    case Op.fadd_st: addBetween(0, rmField(u) & 7, false); break;
    case Op.fmul_st: mulBetween(0, rmField(u) & 7, false); break;
    case Op.fsub_st: subBetween(0, rmField(u) & 7, false); break;
    case Op.fsubr_st: subrBetween(0, rmField(u) & 7, false); break;
    case Op.fdiv_st: divBetween(0, rmField(u) & 7, false); break;
    case Op.fdivr_st: divrBetween(0, rmField(u) & 7, false); break;
    case Op.fadd_sti: addBetween(rmField(u) & 7, 0, false); break;
    case Op.fmul_sti: mulBetween(rmField(u) & 7, 0, false); break;
    case Op.fsub_sti: subBetween(rmField(u) & 7, 0, false); break;
    case Op.fsubr_sti: subrBetween(rmField(u) & 7, 0, false); break;
    case Op.fdiv_sti: divBetween(rmField(u) & 7, 0, false); break;
    case Op.fdivr_sti: divrBetween(rmField(u) & 7, 0, false); break;
    case Op.faddp_sti: addBetween(rmField(u) & 7, 0, true); break;
    case Op.fmulp_sti: mulBetween(rmField(u) & 7, 0, true); break;
    case Op.fsubp_sti: subBetween(rmField(u) & 7, 0, true); break;
    case Op.fsubrp_sti: subrBetween(rmField(u) & 7, 0, true); break;
    case Op.fdivp_sti: divBetween(rmField(u) & 7, 0, true); break;
    case Op.fdivrp_sti: divrBetween(rmField(u) & 7, 0, true); break;

    case Op.fcom_m32: compareWith(fromSingle(<u32>m32(u)), false, 0); break;
    case Op.fcomp_m32: compareWith(fromSingle(<u32>m32(u)), false, 1); break;
    case Op.fcom_m64: compareWith(fromDouble(m64(u)), false, 0); break;
    case Op.fcomp_m64: compareWith(fromDouble(m64(u)), false, 1); break;
    case Op.fcom_i32: compareWith(fromInteger(<i64><i32>m32(u)), false, 0); break;
    case Op.fcomp_i32: compareWith(fromInteger(<i64><i32>m32(u)), false, 1); break;
    case Op.fcom_i16: compareWith(fromInteger(<i64><i16>m16(u)), false, 0); break;
    case Op.fcomp_i16: compareWith(fromInteger(<i64><i16>m16(u)), false, 1); break;
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
      const sig = fromSingle(<u32>m32(u));
      loadValue(quieted(resultSe(), sig)); break;
    }
    case Op.fld_m64: {
      const sig = fromDouble(m64(u));
      loadValue(quieted(resultSe(), sig)); break;
    }
    case Op.fld_m80: {
      const lin = ea(u, 10, false), sig = ld64(lin);
      setSe(<u32>ld16(lin + 8));
      loadValue(sig); break;
    }
    case Op.fild_i16: loadValue(fromInteger(<i64><i16>m16(u))); break;
    case Op.fild_i32: loadValue(fromInteger(<i64><i32>m32(u))); break;
    case Op.fild_i64: loadValue(fromInteger(<i64>m64(u))); break;
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

