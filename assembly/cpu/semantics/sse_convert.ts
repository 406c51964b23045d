/** Conversions between floating-point formats and integers. */
import { RecOff } from "../../abi/record";
import { Vector } from "../../abi/x86";
import { raise } from "../../fault";
import { mmxTransition } from "../helpers/x87_state";
import { Op } from "../opcodes.gen";
import { isMem, opSize, regField } from "../operand";
import { demote, integerSource32, integerSource64, integerTo32, integerTo64, promote, toInteger } from "./fp";
import { mmxRefused } from "./mmx";
import { Rounding, rounding, settle } from "./mxcsr";
import { performSseString } from "./sse_str";
import { e32, e64, intoV, next, q64, setGpr, setMm, setXmmLow32, setXmmLow64, w128, w32, w64 } from "./xmm";

@inline function low(x: u64): v128 { return i64x2.replace_lane(i64x2.splat(0), 0, x); }

/** Two f32 as two i32 in a u64. */
function pairFrom32(x: u64, rc: u32): u64 {
  return <u64>toInteger(integerSource32(<u32>x), rc, 4) | ((<u64>toInteger(integerSource32(<u32>(x >> 32)), rc, 4)) << 32);
}
/** Two f64 as two i32. */
function pairFrom64(x: v128, rc: u32): u64 {
  return <u64>toInteger(integerSource64(i64x2.extract_lane(x, 0)), rc, 4)
    | ((<u64>toInteger(integerSource64(i64x2.extract_lane(x, 1)), rc, 4)) << 32);
}
/** Two i32 as two f32. */
function pairTo32(x: u64): u64 {
  return <u64>reinterpret<u32>(integerTo32(<i64><i32>x)) | (<u64>reinterpret<u32>(integerTo32(<i64><i32>(x >> 32))) << 32);
}

function vector(u: usize, r: v128): usize {
  if (!settle()) return 0;
  return intoV(u, r);
}
function gpr(u: usize, r: i64): usize {
  if (!settle()) return 0;
  setGpr(regField(u), <u64>r);
  return next(u);
}
function scalar64(u: usize, r: f64): usize {
  if (!settle()) return 0;
  setXmmLow64(regField(u), reinterpret<u64>(r));
  return next(u);
}
function scalar32(u: usize, r: f32): usize {
  if (!settle()) return 0;
  setXmmLow32(regField(u), reinterpret<u32>(r));
  return next(u);
}
@inline function eInteger(u: usize): i64 { return opSize(u) == 8 ? <i64>e64(u) : <i64><i32>e32(u); }
@inline function gprSize(u: usize): i32 { return opSize(u) == 8 ? 8 : 4; }

/** The transition comes even if an unmasked exception keeps the result back (as recorded on hardware). */
function intoMm(u: usize, r: u64): usize {
  mmxTransition();
  if (!settle()) return 0;
  setMm(regField(u), r);
  return next(u);
}

/** The conversions with an MMX operand. */
function performMmxConvert(u: usize, op: i32): usize {
  // From memory nothing touches MMX state (SDM Vol.2A "CVTPI2PD"; AMD processors do the same with CVTPI2PS, Intel's do not).
  const touches = (op != Op.cvtpi2pd && op != Op.cvtpi2ps) || !isMem(u);
  if (touches) {
    const refused = mmxRefused();
    if (refused >= 0) return raise(refused);
  }
  switch (op) {
    case Op.cvtpi2ps: {
      const r = pairTo32(q64(u));
      if (touches) mmxTransition();
      if (!settle()) return 0;
      setXmmLow64(regField(u), r);
      return next(u);
    }
    case Op.cvtpi2pd: {
      const r = f64x2.convert_low_i32x4_s(low(q64(u)));
      if (touches) mmxTransition();
      return intoV(u, r);
    }
    case Op.cvtps2pi: return intoMm(u, pairFrom32(w64(u), rounding()));
    case Op.cvttps2pi: return intoMm(u, pairFrom32(w64(u), Rounding.zero));
    case Op.cvtpd2pi: return intoMm(u, pairFrom64(w128(u), rounding()));
    default: return intoMm(u, pairFrom64(w128(u), Rounding.zero));
  }
}

function quadFrom32(x: v128, rc: u32): v128 {
  return i64x2.replace_lane(i64x2.splat(pairFrom32(i64x2.extract_lane(x, 0), rc)), 1, pairFrom32(i64x2.extract_lane(x, 1), rc));
}

export function performSseConvert(u: usize): usize {
  const op = <i32>load<u16>(u, RecOff.op);
  switch (op) {
    case Op.cvtsi2sd: return scalar64(u, integerTo64(eInteger(u)));
    case Op.cvtsi2ss: return scalar32(u, integerTo32(eInteger(u)));
    case Op.cvttsd2si: return gpr(u, toInteger(integerSource64(w64(u)), Rounding.zero, gprSize(u)));
    case Op.cvtsd2si: return gpr(u, toInteger(integerSource64(w64(u)), rounding(), gprSize(u)));
    case Op.cvttss2si: return gpr(u, toInteger(integerSource32(w32(u)), Rounding.zero, gprSize(u)));
    case Op.cvtss2si: return gpr(u, toInteger(integerSource32(w32(u)), rounding(), gprSize(u)));
    case Op.cvtss2sd: return scalar64(u, promote(reinterpret<f32>(w32(u))));
    case Op.cvtsd2ss: return scalar32(u, demote(reinterpret<f64>(w64(u))));
    case Op.cvtps2pd: {
      const x = w64(u);
      return vector(u, f64x2.replace_lane(f64x2.splat(promote(reinterpret<f32>(<u32>x))), 1, promote(reinterpret<f32>(<u32>(x >> 32)))));
    }
    case Op.cvtpd2ps: {
      const x = w128(u);
      return vector(u, f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(0), 0, demote(f64x2.extract_lane(x, 0))), 1, demote(f64x2.extract_lane(x, 1))));
    }
    case Op.cvtdq2pd: return intoV(u, f64x2.convert_low_i32x4_s(low(w64(u))));
    case Op.cvtdq2ps: {
      const x = w128(u);
      return vector(u, i64x2.replace_lane(i64x2.splat(pairTo32(i64x2.extract_lane(x, 0))), 1, pairTo32(i64x2.extract_lane(x, 1))));
    }
    case Op.cvtps2dq: return vector(u, quadFrom32(w128(u), rounding()));
    case Op.cvttps2dq: return vector(u, quadFrom32(w128(u), Rounding.zero));
    case Op.cvtpd2dq: return vector(u, low(pairFrom64(w128(u), rounding())));
    case Op.cvttpd2dq: return vector(u, low(pairFrom64(w128(u), Rounding.zero)));
    case Op.cvtpi2ps: case Op.cvtpi2pd: case Op.cvtps2pi: case Op.cvttps2pi: case Op.cvtpd2pi: case Op.cvttpd2pi:
      return performMmxConvert(u, op);
    default: return performSseString(u);
  }
}
