/** Floating-point arithmetic and comparison on XMM registers. Each computes, settles its exceptions, then writes. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { setStatus } from "../flags";
import { Op } from "../opcodes.gen";
import { imm, regField } from "../operand";
import { PCPU } from "../pcpu";
import {
  Compare, addsubPd, addsubPs, binary, binaryInline, binaryPd, binaryPs, comparePd, comparePs, orderFlags, reciprocal, reciprocalRoot, root, rootPd,
  rootPs, roundToIntegral,
} from "./fp";
import { Arith } from "./ieee";
import { settle } from "./mxcsr";
import { performSseConvert } from "./sse_convert";
import { intoV, next, setXmmLow32, setXmmLow64, vReg, vReg32, vReg64, w128, w32, w32f, w64, w64f } from "./xmm";

function vector(u: usize, r: v128): usize {
  if (!settle()) return 0;
  return intoV(u, r);
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
@inline function v64f(u: usize): f64 { return reinterpret<f64>(vReg64(u)); }
@inline function v32f(u: usize): f32 { return reinterpret<f32>(vReg32(u)); }

@inline function arithSd(u: usize, op: i32): usize { return scalar64(u, binaryInline<f64>(op, v64f(u), w64f(u))); }
@inline function arithSs(u: usize, op: i32): usize { return scalar32(u, binaryInline<f32>(op, v32f(u), w32f(u))); }
function arithPd(u: usize, op: i32): usize { return vector(u, binaryPd(op, vReg(u), w128(u))); }
function arithPs(u: usize, op: i32): usize { return vector(u, binaryPs(op, vReg(u), w128(u))); }

function compareSd(u: usize, op: i32): usize {
  const b = w64(u), r = comparePd(op, i64x2.splat(vReg64(u)), i64x2.splat(b), 1);
  if (!settle()) return 0;
  setXmmLow64(regField(u), i64x2.extract_lane(r, 0));
  return next(u);
}
function compareSs(u: usize, op: i32): usize {
  const b = w32(u), r = comparePs(op, i32x4.splat(vReg32(u)), i32x4.splat(b), 1);
  if (!settle()) return 0;
  setXmmLow32(regField(u), i32x4.extract_lane(r, 0));
  return next(u);
}
function comparePackedPd(u: usize, op: i32): usize { return vector(u, comparePd(op, vReg(u), w128(u), 2)); }
function comparePackedPs(u: usize, op: i32): usize { return vector(u, comparePs(op, vReg(u), w128(u), 4)); }

function order(u: usize, flags: u32): usize {
  if (!settle()) return 0;
  setStatus(flags);
  return next(u);
}

/** Sum or difference of neighbours: elements of the concatenation a, b. */
function horizontalPs(u: usize, op: i32): usize {
  const a = vReg(u), b = w128(u);
  return vector(u, binaryPs(op, v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7)));
}
function horizontalPd(u: usize, op: i32): usize {
  const a = vReg(u), b = w128(u);
  return vector(u, binaryPd(op, v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3)));
}

/** DPPS: products chosen by immediate bits 7..4, summed pairwise, to the elements chosen by bits 3..0. Each step may stop
 *  the instruction by itself. */
function dotPs(u: usize): usize {
  const n = imm(u), zero = i32x4.splat(0);
  const chosen = i32x4.ne(v128.and(i32x4.splat(n), i32x4(16, 32, 64, 128)), zero);
  const a = vReg(u), b = w128(u);
  const products = v128.and(binaryPs(Arith.mul, v128.and(a, chosen), v128.and(b, chosen)), chosen);
  if (!settle()) return 0;
  const low = binary<f32>(Arith.add, f32x4.extract_lane(products, 0), f32x4.extract_lane(products, 1));
  const high = binary<f32>(Arith.add, f32x4.extract_lane(products, 2), f32x4.extract_lane(products, 3));
  if (!settle()) return 0;
  const sum = f32x4.splat(binary<f32>(Arith.add, low, high));
  return vector(u, v128.and(sum, i32x4.ne(v128.and(i32x4.splat(n), i32x4(1, 2, 4, 8)), zero)));
}
function dotPd(u: usize): usize {
  const n = imm(u), zero = i64x2.splat(0);
  const chosen = i64x2.ne(v128.and(i64x2.splat(n), i64x2(16, 32)), zero);
  const a = vReg(u), b = w128(u);
  const products = v128.and(binaryPd(Arith.mul, v128.and(a, chosen), v128.and(b, chosen)), chosen);
  if (!settle()) return 0;
  const sum = f64x2.splat(binary<f64>(Arith.add, f64x2.extract_lane(products, 0), f64x2.extract_lane(products, 1)));
  return vector(u, v128.and(sum, i64x2.ne(v128.and(i64x2.splat(n), i64x2(1, 2)), zero)));
}

function roundVectorPs(x: v128, n: i32): v128 {
  let r = f32x4.splat(roundToIntegral<f32>(f32x4.extract_lane(x, 0), n));
  r = f32x4.replace_lane(r, 1, roundToIntegral<f32>(f32x4.extract_lane(x, 1), n));
  r = f32x4.replace_lane(r, 2, roundToIntegral<f32>(f32x4.extract_lane(x, 2), n));
  return f32x4.replace_lane(r, 3, roundToIntegral<f32>(f32x4.extract_lane(x, 3), n));
}
function roundVectorPd(x: v128, n: i32): v128 {
  return f64x2.replace_lane(f64x2.splat(roundToIntegral<f64>(f64x2.extract_lane(x, 0), n)), 1, roundToIntegral<f64>(f64x2.extract_lane(x, 1), n));
}

function approximate(u: usize, x: v128, ofRoot: bool): usize {
  store<v128>(PCPU, x, PcpuOff.sseScratch);
  for (let i: usize = 0; i < 16; i += 4) {
    const e = load<u32>(PCPU + i, PcpuOff.sseScratch);
    store<u32>(PCPU + i, ofRoot ? reciprocalRoot(e) : reciprocal(e), PcpuOff.sseScratch);
  }
  return intoV(u, load<v128>(PCPU, PcpuOff.sseScratch));
}

export function performSseFloat(u: usize): usize {
  switch (<i32>load<u16>(u, RecOff.op)) {
    case Op.addsd: return arithSd(u, Arith.add);
    case Op.subsd: return arithSd(u, Arith.sub);
    case Op.mulsd: return arithSd(u, Arith.mul);
    case Op.divsd: return arithSd(u, Arith.div);
    case Op.addss: return arithSs(u, Arith.add);
    case Op.subss: return arithSs(u, Arith.sub);
    case Op.mulss: return arithSs(u, Arith.mul);
    case Op.divss: return arithSs(u, Arith.div);
    case Op.addpd: return arithPd(u, Arith.add);
    case Op.subpd: return arithPd(u, Arith.sub);
    case Op.mulpd: return arithPd(u, Arith.mul);
    case Op.divpd: return arithPd(u, Arith.div);
    case Op.addps: return arithPs(u, Arith.add);
    case Op.subps: return arithPs(u, Arith.sub);
    case Op.mulps: return arithPs(u, Arith.mul);
    case Op.divps: return arithPs(u, Arith.div);
    case Op.ucomisd: return order(u, orderFlags(vReg64(u), w64(u), 8, false));
    case Op.comisd: return order(u, orderFlags(vReg64(u), w64(u), 8, true));
    case Op.ucomiss: return order(u, orderFlags(vReg32(u), w32(u), 4, false));
    case Op.comiss: return order(u, orderFlags(vReg32(u), w32(u), 4, true));
    case Op.minsd: return compareSd(u, Compare.min);
    case Op.maxsd: return compareSd(u, Compare.max);
    case Op.minss: return compareSs(u, Compare.min);
    case Op.maxss: return compareSs(u, Compare.max);
    case Op.minpd: return comparePackedPd(u, Compare.min);
    case Op.maxpd: return comparePackedPd(u, Compare.max);
    case Op.minps: return comparePackedPs(u, Compare.min);
    case Op.maxps: return comparePackedPs(u, Compare.max);
    case Op.cmpsd: return compareSd(u, imm(u) & 7);
    case Op.cmpss: return compareSs(u, imm(u) & 7);
    case Op.cmppd: return comparePackedPd(u, imm(u) & 7);
    case Op.cmpps: return comparePackedPs(u, imm(u) & 7);
    case Op.sqrtsd: return scalar64(u, root<f64>(w64f(u)));
    case Op.sqrtss: return scalar32(u, root<f32>(w32f(u)));
    case Op.sqrtpd: return vector(u, rootPd(w128(u)));
    case Op.sqrtps: return vector(u, rootPs(w128(u)));
    case Op.haddps: return horizontalPs(u, Arith.add);
    case Op.hsubps: return horizontalPs(u, Arith.sub);
    case Op.haddpd: return horizontalPd(u, Arith.add);
    case Op.hsubpd: return horizontalPd(u, Arith.sub);
    case Op.addsubps: return vector(u, addsubPs(vReg(u), w128(u)));
    case Op.addsubpd: return vector(u, addsubPd(vReg(u), w128(u)));
    case Op.dpps: return dotPs(u);
    case Op.dppd: return dotPd(u);
    case Op.roundsd: return scalar64(u, roundToIntegral<f64>(w64f(u), imm(u)));
    case Op.roundss: return scalar32(u, roundToIntegral<f32>(w32f(u), imm(u)));
    case Op.roundpd: return vector(u, roundVectorPd(w128(u), imm(u)));
    case Op.roundps: return vector(u, roundVectorPs(w128(u), imm(u)));
    case Op.rcpss:
      setXmmLow32(regField(u), reciprocal(w32(u)));
      return next(u);
    case Op.rsqrtss:
      setXmmLow32(regField(u), reciprocalRoot(w32(u)));
      return next(u);
    case Op.rcpps: return approximate(u, w128(u), false);
    case Op.rsqrtps: return approximate(u, w128(u), true);
    default: return performSseConvert(u);
  }
}
