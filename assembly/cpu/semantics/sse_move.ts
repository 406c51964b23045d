/** Moves and rearrangements of XMM registers, and the bitwise operations. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Vector } from "../../abi/x86";
import { raise } from "../../fault";
import { st16, st32, st64, st8, stv, stvAligned } from "../access";
import { mmxTransition } from "../helpers/x87_state";
import { Op } from "../opcodes.gen";
import { ea, imm, isMem, opSize, regField, rmField } from "../operand";
import { mmxRefused, storeSelected } from "./mmx";
import { performSseInteger } from "./sse_int";
import {
  alignedEa, e32, e64, intoV, mm, next, setGpr, setMm, setXmm, setXmmLow32, setXmmLow64, vReg, vReg32, vReg64, w128, w128Unaligned, w32, w64,
  xmm, xmmAt,
} from "./xmm";

/** Stores the low bytes of V at E: memory, or a general register with zeros above. */
export function intoE(u: usize, x: u64, size: i32): usize {
  if (!isMem(u)) setGpr(rmField(u), x);
  else {
    const at = ea(u, size, true);
    if (size == 8) st64(at, x);
    else if (size == 4) st32(at, x);
    else if (size == 2) st16(at, x);
    else st8(at, x);
  }
  return next(u);
}

@inline function low64(x: v128): u64 { return i64x2.extract_lane(x, 0); }
@inline function high64(x: v128): u64 { return i64x2.extract_lane(x, 1); }
@inline function zeroExtended64(x: u64): v128 { return i64x2.replace_lane(i64x2.splat(0), 0, x); }
@inline function zeroExtended32(x: u32): v128 { return i32x4.replace_lane(i32x4.splat(0), 0, x); }

/** Byte indices selecting dword (imm >> 2i) & 3 into dword i. */
function dwordSelector(n: i32): v128 {
  const low = <u64>(n & 3) | (<u64>(n >> 2 & 3) << 32), high = <u64>(n >> 4 & 3) | (<u64>(n >> 6 & 3) << 32);
  return i64x2.replace_lane(i64x2.splat(low * 0x04040404 + 0x0302010003020100), 1, high * 0x04040404 + 0x0302010003020100);
}

/** Words of `x` selected as PSHUFW does. */
function selectWords(x: u64, n: u64): u64 {
  return ((x >> ((n & 3) << 4)) & 0xffff) | (((x >> ((n >> 2 & 3) << 4)) & 0xffff) << 16)
    | (((x >> ((n >> 4 & 3) << 4)) & 0xffff) << 32) | (((x >> ((n >> 6 & 3) << 4)) & 0xffff) << 48);
}

export function performSseMove(u: usize): usize {
  switch (<i32>load<u16>(u, RecOff.op)) {
    case Op.movups: return intoV(u, w128Unaligned(u));
    case Op.movaps: return intoV(u, w128(u));
    case Op.movups_store:
      if (isMem(u)) stv(ea(u, 16, true), vReg(u));
      else setXmm(rmField(u), vReg(u));
      return next(u);
    case Op.movaps_store:
      if (isMem(u)) stvAligned(alignedEa(u, true), vReg(u));
      else setXmm(rmField(u), vReg(u));
      return next(u);
    case Op.movntps:
      stvAligned(alignedEa(u, true), vReg(u));
      return next(u);
    case Op.movss:
      if (isMem(u)) return intoV(u, zeroExtended32(w32(u)));
      setXmmLow32(regField(u), w32(u));
      return next(u);
    case Op.movss_store:
      if (isMem(u)) st32(ea(u, 4, true), vReg32(u));
      else setXmmLow32(rmField(u), vReg32(u));
      return next(u);
    case Op.movsd:
      if (isMem(u)) return intoV(u, zeroExtended64(w64(u)));
      setXmmLow64(regField(u), w64(u));
      return next(u);
    case Op.movsd_store:
      if (isMem(u)) st64(ea(u, 8, true), vReg64(u));
      else setXmmLow64(rmField(u), vReg64(u));
      return next(u);
    case Op.movd: return intoV(u, zeroExtended64(opSize(u) == 8 ? e64(u) : <u64>e32(u)));
    case Op.movd_store: return opSize(u) == 8 ? intoE(u, vReg64(u), 8) : intoE(u, <u64>vReg32(u), 4);
    case Op.movq: return intoV(u, zeroExtended64(w64(u)));
    case Op.movq_store:
      if (isMem(u)) st64(ea(u, 8, true), vReg64(u));
      else setXmm(rmField(u), zeroExtended64(vReg64(u)));
      return next(u);
    case Op.xorps:
    case Op.pxor: return intoV(u, v128.xor(vReg(u), w128(u)));
    case Op.andps:
    case Op.pand: return intoV(u, v128.and(vReg(u), w128(u)));
    case Op.orps:
    case Op.por: return intoV(u, v128.or(vReg(u), w128(u)));
    case Op.andnps:
    case Op.pandn: return intoV(u, v128.andnot(w128(u), vReg(u)));
    case Op.movlps:
      setXmmLow64(regField(u), w64(u));
      return next(u);
    case Op.movhlps:
      setXmmLow64(regField(u), high64(xmm(rmField(u))));
      return next(u);
    case Op.movhps: return intoV(u, i64x2.replace_lane(vReg(u), 1, w64(u)));
    case Op.movlhps: return intoV(u, i64x2.replace_lane(vReg(u), 1, low64(xmm(rmField(u)))));
    case Op.movlps_store:
      st64(ea(u, 8, true), vReg64(u));
      return next(u);
    case Op.movhps_store:
      st64(ea(u, 8, true), high64(vReg(u)));
      return next(u);
    case Op.movddup: return intoV(u, i64x2.splat(w64(u)));
    case Op.movsldup: {
      const x = w128(u);
      return intoV(u, v128.shuffle<i32>(x, x, 0, 0, 2, 2));
    }
    case Op.movshdup: {
      const x = w128(u);
      return intoV(u, v128.shuffle<i32>(x, x, 1, 1, 3, 3));
    }
    case Op.movmskps:
      setGpr(regField(u), <u64>i32x4.bitmask(xmm(rmField(u))));
      return next(u);
    case Op.movmskpd:
      setGpr(regField(u), <u64>i64x2.bitmask(xmm(rmField(u))));
      return next(u);
    case Op.pmovmskb:
      setGpr(regField(u), <u64>i8x16.bitmask(xmm(rmField(u))));
      return next(u);
    case Op.unpcklps: return intoV(u, v128.shuffle<i32>(vReg(u), w128(u), 0, 4, 1, 5));
    case Op.unpckhps: return intoV(u, v128.shuffle<i32>(vReg(u), w128(u), 2, 6, 3, 7));
    case Op.punpcklqdq: return intoV(u, v128.shuffle<i64>(vReg(u), w128(u), 0, 2));
    case Op.punpckhqdq: return intoV(u, v128.shuffle<i64>(vReg(u), w128(u), 1, 3));
    case Op.pshufd: return intoV(u, i8x16.swizzle(w128(u), dwordSelector(imm(u))));
    case Op.pshuflw: {
      const x = w128(u);
      return intoV(u, i64x2.replace_lane(x, 0, selectWords(low64(x), <u64>imm(u))));
    }
    case Op.pshufhw: {
      const x = w128(u);
      return intoV(u, i64x2.replace_lane(x, 1, selectWords(high64(x), <u64>imm(u))));
    }
    case Op.shufps: {
      const selector = dwordSelector(imm(u)), b = i8x16.swizzle(w128(u), selector);
      return intoV(u, v128.shuffle<i64>(i8x16.swizzle(vReg(u), selector), b, 0, 3));
    }
    case Op.shufpd: {
      const a = vReg(u), b = w128(u), n = imm(u);
      return intoV(u, i64x2.replace_lane(i64x2.splat(n & 1 ? high64(a) : low64(a)), 1, n & 2 ? high64(b) : low64(b)));
    }
    case Op.movq2dq:
    case Op.movdq2q: {
      const refused = mmxRefused();
      if (refused >= 0) return raise(refused);
      mmxTransition();
      if (<i32>load<u16>(u, RecOff.op) == Op.movdq2q) setMm(regField(u), load<u64>(xmmAt(rmField(u)), PcpuOff.xmm));
      else setXmm(regField(u), zeroExtended64(mm(rmField(u))));
      return next(u);
    }
    case Op.maskmovdqu: {
      const value = vReg(u), mask = xmm(rmField(u));
      storeSelected(u, low64(value), low64(mask), 0);
      storeSelected(u, high64(value), high64(mask), 8);
      return next(u);
    }
    default: return performSseInteger(u);
  }
}
