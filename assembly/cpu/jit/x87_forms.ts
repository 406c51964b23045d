/** What the translated x87 instructions do, whichever way the region keeps its registers: one list for x87_insns, x87_extended and x87_calls. */
import { Op } from "../opcodes.gen";
import { Format, Kind } from "./x87_pieces";

/** The argument is in brackets. */
export const enum Act {
  none, // not in the list
  wait,
  memory, // ST(0) := ST(0) op operand (Kind, and from ARGUMENT_BITS on Format)
  from, // ST(0) := ST(0) op ST(i) (Kind)
  into, // ST(i) := ST(i) op ST(0) (Kind)
  root, integer, negate, absolute, // of ST(0)
  load, // (Format)
  loadExtended,
  loadConstant, // (0 or 1)
  loadRegister,
  store, // (Format | CHOP)
  storeExtended,
  storeRegister,
  exchange,
  compareZero,
  compare, // with ST(i) (QUIET)
  compareToFlags, // (QUIET)
  moveIf, // (condition)
  statusToAx,
  storeStatus, storeControl, loadControl,
}
export const ARGUMENT_BITS: i32 = 4;
/** Rounds toward zero. */
export const CHOP: i32 = 8;
/** NaNs but signalling ones raise nothing. */
export const QUIET: i32 = 1;

@inline export function actOf(form: i32): i32 { return form & 0xff; }
@inline export function argumentOf(form: i32): i32 { return form >> 8 & 0xff; }
@inline export function popsOf(form: i32): i32 { return form >> 16; }
@inline function form(act: i32, argument: i32 = 0, pops: i32 = 0): i32 { return act | argument << 8 | pops << 16; }

/** A form: what instruction `op` does, its argument, and how many registers it pops. */
export function formOf(op: i32): i32 {
  if (op >= Op.fadd_m32 && op <= Op.fdivr_st) {
    const n = op - Op.fadd_m32, kind = n / 5, pops = kind == Kind.comp ? 1 : 0;
    if (n % 5 < 4) return form(Act.memory, kind | (n % 5) << ARGUMENT_BITS, pops);
    return kind == Kind.com || kind == Kind.comp ? form(Act.compare, 0, pops) : form(Act.from, kind);
  }
  switch (op) {
    case Op.fwait: return form(Act.wait);
    case Op.fadd_sti: return form(Act.into, Kind.add);
    case Op.faddp_sti: return form(Act.into, Kind.add, 1);
    case Op.fmul_sti: return form(Act.into, Kind.mul);
    case Op.fmulp_sti: return form(Act.into, Kind.mul, 1);
    case Op.fsub_sti: return form(Act.into, Kind.sub);
    case Op.fsubp_sti: return form(Act.into, Kind.sub, 1);
    case Op.fsubr_sti: return form(Act.into, Kind.subr);
    case Op.fsubrp_sti: return form(Act.into, Kind.subr, 1);
    case Op.fdiv_sti: return form(Act.into, Kind.div);
    case Op.fdivp_sti: return form(Act.into, Kind.div, 1);
    case Op.fdivr_sti: return form(Act.into, Kind.divr);
    case Op.fdivrp_sti: return form(Act.into, Kind.divr, 1);
    case Op.fsqrt: return form(Act.root);
    case Op.frndint: return form(Act.integer);
    case Op.fchs: return form(Act.negate);
    case Op.fabs: return form(Act.absolute);
    case Op.fld_m32: return form(Act.load, Format.single);
    case Op.fld_m64: return form(Act.load, Format.double);
    case Op.fild_i16: return form(Act.load, Format.int16);
    case Op.fild_i32: return form(Act.load, Format.int32);
    case Op.fild_i64: return form(Act.load, Format.int64);
    case Op.fld_m80: return form(Act.loadExtended);
    case Op.fld1: return form(Act.loadConstant, 1);
    case Op.fldz: return form(Act.loadConstant, 0);
    case Op.fld_sti: return form(Act.loadRegister);
    case Op.fst_m32: return form(Act.store, Format.single);
    case Op.fstp_m32: return form(Act.store, Format.single, 1);
    case Op.fst_m64: return form(Act.store, Format.double);
    case Op.fstp_m64: return form(Act.store, Format.double, 1);
    case Op.fist_i16: return form(Act.store, Format.int16);
    case Op.fistp_i16: return form(Act.store, Format.int16, 1);
    case Op.fist_i32: return form(Act.store, Format.int32);
    case Op.fistp_i32: return form(Act.store, Format.int32, 1);
    case Op.fistp_i64: return form(Act.store, Format.int64, 1);
    case Op.fisttp_i16: return form(Act.store, Format.int16 | CHOP, 1);
    case Op.fisttp_i32: return form(Act.store, Format.int32 | CHOP, 1);
    case Op.fisttp_i64: return form(Act.store, Format.int64 | CHOP, 1);
    case Op.fstp_m80: return form(Act.storeExtended, 0, 1);
    case Op.fst_sti: return form(Act.storeRegister);
    case Op.fstp_sti: case Op.fstp1_sti: return form(Act.storeRegister, 0, 1);
    case Op.fxch: return form(Act.exchange);
    case Op.ftst: return form(Act.compareZero);
    case Op.fcompp: return form(Act.compare, 0, 2); // with ST(1), which its second byte says like that of any other
    case Op.fucom: return form(Act.compare, QUIET);
    case Op.fucomp: return form(Act.compare, QUIET, 1);
    case Op.fucompp: return form(Act.compare, QUIET, 2);
    case Op.fcomi: return form(Act.compareToFlags);
    case Op.fcomip: return form(Act.compareToFlags, 0, 1);
    case Op.fucomi: return form(Act.compareToFlags, QUIET);
    case Op.fucomip: return form(Act.compareToFlags, QUIET, 1);
    case Op.fcmovb: return form(Act.moveIf, 2);
    case Op.fcmovnb: return form(Act.moveIf, 3);
    case Op.fcmove: return form(Act.moveIf, 4);
    case Op.fcmovne: return form(Act.moveIf, 5);
    case Op.fcmovbe: return form(Act.moveIf, 6);
    case Op.fcmovnbe: return form(Act.moveIf, 7);
    case Op.fcmovu: return form(Act.moveIf, 10);
    case Op.fcmovnu: return form(Act.moveIf, 11);
    case Op.fnstsw_ax: return form(Act.statusToAx);
    case Op.fnstsw_m16: return form(Act.storeStatus);
    case Op.fnstcw: return form(Act.storeControl);
    case Op.fldcw: return form(Act.loadControl);
    default: return Act.none;
  }
}
