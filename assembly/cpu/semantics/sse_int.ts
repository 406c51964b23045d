/** Integer instructions on XMM registers, except the packed operations MMX has too. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Flag } from "../../abi/x86";
import { setStatus } from "../flags";
import { Op } from "../opcodes.gen";
import { imm, isMem, opSize, regField, rmField } from "../operand";
import { PCPU } from "../pcpu";
import { packed, shiftArithmetic16, shiftArithmetic32, shiftLeft16, shiftLeft32, shiftLeft64, shiftRight16, shiftRight32, shiftRight64 } from "./packed";
import { performSseFloat } from "./sse_float";
import { intoE } from "./sse_move";
import { e16, e32, e64, e8, intoV, next, setGpr, setXmm, vReg, w128, w16, w32, w64, xmm, xmmAt } from "./xmm";

const FIRST_PACKED = Op.punpcklbw, LAST_PACKED = Op.pabsd;

@inline function iota(): v128 { return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

/** Bytes n.. of x, zeros behind them; n may be negative. */
@inline function bytesFrom(x: v128, n: i32): v128 { return i8x16.swizzle(x, i8x16.add(iota(), i8x16.splat(<i8>n))); }

/** PALIGNR: bytes n..n+15 of high:low. */
function align(high: v128, low: v128, n: i32): v128 {
  if (n >= 32) return i64x2.splat(0);
  return v128.or(bytesFrom(low, n), bytesFrom(high, n - 16));
}

/** A mask element of all ones for each set bit of `n`. */
@inline function wordMask(n: i32): v128 { return i16x8.ne(v128.and(i16x8.splat(<i16>n), i16x8(1, 2, 4, 8, 16, 32, 64, 128)), i16x8.splat(0)); }
@inline function dwordMask(n: i32): v128 { return i32x4.ne(v128.and(i32x4.splat(n), i32x4(1, 2, 4, 8)), i32x4.splat(0)); }
@inline function qwordMask(n: i32): v128 { return i64x2.ne(v128.and(i64x2.splat(n), i64x2(1, 2)), i64x2.splat(0)); }

/** PHMINPOSUW: the least word and its index. */
function minimumPosition(x: v128): v128 {
  store<v128>(PCPU, x, PcpuOff.sseScratch);
  let least: u32 = 0xffffffff; // word above index: the first of equal words wins
  for (let i: u32 = 0; i < 8; i++) {
    const candidate = (<u32>load<u16>(PCPU + (i << 1), PcpuOff.sseScratch) << 16) | i;
    if (candidate < least) least = candidate;
  }
  return i32x4.replace_lane(i32x4.splat(0), 0, (least >> 16) | (least << 16));
}

/** MPSADBW: sums of differences between one group of four bytes of b and eight overlapping ones of a. */
function slidingDifferences(a: v128, b: v128, n: i32): v128 {
  const window = bytesFrom(a, n & 4);
  const group = i32x4.splat(i32x4.extract_lane(i8x16.swizzle(b, i8x16.add(iota(), i8x16.splat(<i8>((n & 3) << 2)))), 0));
  const pairsOf = i8x16.shuffle(window, window, 0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6);
  const pairsOf2 = i8x16.shuffle(window, window, 4, 5, 6, 7, 5, 6, 7, 8, 6, 7, 8, 9, 7, 8, 9, 10);
  const low = i8x16.sub(i8x16.max_u(pairsOf, group), i8x16.min_u(pairsOf, group));
  const high = i8x16.sub(i8x16.max_u(pairsOf2, group), i8x16.min_u(pairsOf2, group));
  return i16x8.narrow_i32x4_u(
    i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(low)),
    i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(high)));
}

/** PCLMULQDQ: product of polynomials over GF(2). */
function carrylessProduct(a: u64, b: u64): v128 {
  let low: u64 = 0, high: u64 = 0;
  for (let i: u64 = 0; i < 64; i++) {
    const all = 0 - ((b >> i) & 1);
    low ^= (a << i) & all;
    high ^= (a >> 1 >> (63 - i)) & all;
  }
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}
@inline function half(x: v128, high: i32): u64 { return high ? i64x2.extract_lane(x, 1) : i64x2.extract_lane(x, 0); }

/** INSERTPS: source element bits 7..6, destination element 5..4, elements to clear 3..0. */
function insertElement(u: usize): v128 {
  const n = imm(u), source = isMem(u) ? w32(u) : load<u32>(xmmAt(rmField(u)) + (n >> 6 & 3) * 4, PcpuOff.xmm);
  return v128.andnot(v128.bitselect(i32x4.splat(source), vReg(u), dwordMask(1 << (n >> 4 & 3))), dwordMask(n));
}

/** Element of V chosen by the immediate. */
@inline function elementAt(u: usize, index: i32, size: i32): usize { return xmmAt(regField(u)) + index * size; }

@inline function low(x: u64): v128 { return i64x2.replace_lane(i64x2.splat(0), 0, x); }

function shiftByImmediate(u: usize, op: i32): usize {
  const rm = rmField(u), a = xmm(rm), n = imm(u) & 0xff;
  let r: v128;
  switch (op) {
    case Op.psrlw_imm: r = shiftRight16(a, n); break;
    case Op.psraw_imm: r = shiftArithmetic16(a, n); break;
    case Op.psllw_imm: r = shiftLeft16(a, n); break;
    case Op.psrld_imm: r = shiftRight32(a, n); break;
    case Op.psrad_imm: r = shiftArithmetic32(a, n); break;
    case Op.pslld_imm: r = shiftLeft32(a, n); break;
    case Op.psrlq_imm: r = shiftRight64(a, n); break;
    case Op.psllq_imm: r = shiftLeft64(a, n); break;
    case Op.psrldq_imm: r = bytesFrom(a, n > 15 ? 16 : n); break;
    default: r = bytesFrom(a, n > 15 ? -16 : -n);
  }
  setXmm(rm, r);
  return next(u);
}

/** The operations of PACKED (src/spec/mmx.ts). */
export function performPacked(u: usize, op: i32): usize { return intoV(u, packed(op, vReg(u), w128(u))); }

export function performSseInteger(u: usize): usize {
  const op = <i32>load<u16>(u, RecOff.op);
  if (op >= FIRST_PACKED && op <= LAST_PACKED) return performPacked(u, op);
  switch (op) {
    case Op.psrlw_imm: case Op.psraw_imm: case Op.psllw_imm: case Op.psrld_imm: case Op.psrad_imm: case Op.pslld_imm:
    case Op.psrlq_imm: case Op.psllq_imm: case Op.psrldq_imm: case Op.pslldq_imm:
      return shiftByImmediate(u, op);
    case Op.palignr: return intoV(u, align(vReg(u), w128(u), imm(u) & 0xff));
    case Op.pinsrb: return insert(u, e8(u), 1);
    case Op.pinsrw: return insert(u, e16(u), 2);
    case Op.pinsrd: return opSize(u) == 8 ? insert(u, e64(u), 8) : insert(u, e32(u), 4);
    case Op.pextrw:
      setGpr(regField(u), load<u16>(xmmAt(rmField(u)) + ((imm(u) & 7) << 1), PcpuOff.xmm));
      return next(u);
    case Op.pextrb: return intoE(u, load<u8>(elementAt(u, imm(u) & 15, 1), PcpuOff.xmm), 1);
    case Op.pextrw_store: return intoE(u, load<u16>(elementAt(u, imm(u) & 7, 2), PcpuOff.xmm), 2);
    case Op.pextrd:
      if (opSize(u) == 8) return intoE(u, load<u64>(elementAt(u, imm(u) & 1, 8), PcpuOff.xmm), 8);
      return intoE(u, load<u32>(elementAt(u, imm(u) & 3, 4), PcpuOff.xmm), 4);
    case Op.extractps: return intoE(u, load<u32>(elementAt(u, imm(u) & 3, 4), PcpuOff.xmm), 4);
    case Op.insertps: return intoV(u, insertElement(u));
    case Op.pblendvb: return intoV(u, v128.bitselect(w128(u), vReg(u), i8x16.shr_s(xmm(0), 7)));
    case Op.blendvps: return intoV(u, v128.bitselect(w128(u), vReg(u), i32x4.shr_s(xmm(0), 31)));
    case Op.blendvpd: return intoV(u, v128.bitselect(w128(u), vReg(u), i64x2.shr_s(xmm(0), 63)));
    case Op.pblendw: return intoV(u, v128.bitselect(w128(u), vReg(u), wordMask(imm(u))));
    case Op.blendps: return intoV(u, v128.bitselect(w128(u), vReg(u), dwordMask(imm(u))));
    case Op.blendpd: return intoV(u, v128.bitselect(w128(u), vReg(u), qwordMask(imm(u))));
    case Op.ptest: {
      const a = vReg(u), b = w128(u);
      setStatus((v128.any_true(v128.and(a, b)) ? 0 : Flag.ZF) | (v128.any_true(v128.andnot(b, a)) ? 0 : Flag.CF));
      return next(u);
    }
    case Op.pmovsxbw: return intoV(u, i16x8.extend_low_i8x16_s(low(w64(u))));
    case Op.pmovsxwd: return intoV(u, i32x4.extend_low_i16x8_s(low(w64(u))));
    case Op.pmovsxdq: return intoV(u, i64x2.extend_low_i32x4_s(low(w64(u))));
    case Op.pmovsxbd: return intoV(u, i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(low(w32(u)))));
    case Op.pmovsxwq: return intoV(u, i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(low(w32(u)))));
    case Op.pmovsxbq: return intoV(u, i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(low(w16(u))))));
    case Op.pmovzxbw: return intoV(u, i16x8.extend_low_i8x16_u(low(w64(u))));
    case Op.pmovzxwd: return intoV(u, i32x4.extend_low_i16x8_u(low(w64(u))));
    case Op.pmovzxdq: return intoV(u, i64x2.extend_low_i32x4_u(low(w64(u))));
    case Op.pmovzxbd: return intoV(u, i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(low(w32(u)))));
    case Op.pmovzxwq: return intoV(u, i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(low(w32(u)))));
    case Op.pmovzxbq: return intoV(u, i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(low(w16(u))))));
    case Op.pmuldq: {
      const a = vReg(u), b = w128(u);
      return intoV(u, i64x2.extmul_low_i32x4_s(v128.shuffle<i32>(a, a, 0, 2, 0, 2), v128.shuffle<i32>(b, b, 0, 2, 0, 2)));
    }
    case Op.pmulld: return intoV(u, i32x4.mul(vReg(u), w128(u)));
    case Op.pcmpeqq: return intoV(u, i64x2.eq(vReg(u), w128(u)));
    case Op.pcmpgtq: return intoV(u, i64x2.gt_s(vReg(u), w128(u)));
    case Op.packusdw: return intoV(u, i16x8.narrow_i32x4_u(vReg(u), w128(u)));
    case Op.pminsb: return intoV(u, i8x16.min_s(vReg(u), w128(u)));
    case Op.pminsd: return intoV(u, i32x4.min_s(vReg(u), w128(u)));
    case Op.pminuw: return intoV(u, i16x8.min_u(vReg(u), w128(u)));
    case Op.pminud: return intoV(u, i32x4.min_u(vReg(u), w128(u)));
    case Op.pmaxsb: return intoV(u, i8x16.max_s(vReg(u), w128(u)));
    case Op.pmaxsd: return intoV(u, i32x4.max_s(vReg(u), w128(u)));
    case Op.pmaxuw: return intoV(u, i16x8.max_u(vReg(u), w128(u)));
    case Op.pmaxud: return intoV(u, i32x4.max_u(vReg(u), w128(u)));
    case Op.phminposuw: return intoV(u, minimumPosition(w128(u)));
    case Op.mpsadbw: return intoV(u, slidingDifferences(vReg(u), w128(u), imm(u)));
    case Op.pclmulqdq: {
      const n = imm(u);
      return intoV(u, carrylessProduct(half(vReg(u), n & 1), half(w128(u), n & 16)));
    }
    default: return performSseFloat(u);
  }
}

/** PINSRx: `x` becomes the element the immediate chooses, modulo their number. */
function insert(u: usize, x: u64, size: i32): usize {
  const at = elementAt(u, imm(u) & (16 / size - 1), size);
  if (size == 8) store<u64>(at, x, PcpuOff.xmm);
  else if (size == 4) store<u32>(at, <u32>x, PcpuOff.xmm);
  else if (size == 2) store<u16>(at, <u16>x, PcpuOff.xmm);
  else store<u8>(at, <u8>x, PcpuOff.xmm);
  return next(u);
}
