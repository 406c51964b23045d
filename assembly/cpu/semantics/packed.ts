/** Integer operations on packed elements: result of V op W for the ops of PACKED (src/spec/mmx.ts). MMX has the same
 *  elements in its lower half. */
import { Op } from "../opcodes.gen";

/* Elements of the concatenation a, b (a lower). */
@inline function evenWords(a: v128, b: v128): v128 { return v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14); }
@inline function oddWords(a: v128, b: v128): v128 { return v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15); }
@inline function evenDwords(a: v128, b: v128): v128 { return v128.shuffle<i32>(a, b, 0, 2, 4, 6); }
@inline function oddDwords(a: v128, b: v128): v128 { return v128.shuffle<i32>(a, b, 1, 3, 5, 7); }

/** Shift count: the low quadword, at most 255 (more makes no difference). */
@inline function count(b: v128): i32 {
  const n = <u64>i64x2.extract_lane(b, 0);
  return n > 255 ? 255 : <i32>n;
}

/* Counts at or beyond the element's width give zeros, or copies of the sign; WebAssembly takes them modulo the width. */
@inline export function shiftRight16(a: v128, n: i32): v128 { return n > 15 ? i64x2.splat(0) : i16x8.shr_u(a, n); }
@inline export function shiftRight32(a: v128, n: i32): v128 { return n > 31 ? i64x2.splat(0) : i32x4.shr_u(a, n); }
@inline export function shiftRight64(a: v128, n: i32): v128 { return n > 63 ? i64x2.splat(0) : i64x2.shr_u(a, n); }
@inline export function shiftLeft16(a: v128, n: i32): v128 { return n > 15 ? i64x2.splat(0) : i16x8.shl(a, n); }
@inline export function shiftLeft32(a: v128, n: i32): v128 { return n > 31 ? i64x2.splat(0) : i32x4.shl(a, n); }
@inline export function shiftLeft64(a: v128, n: i32): v128 { return n > 63 ? i64x2.splat(0) : i64x2.shl(a, n); }
@inline export function shiftArithmetic16(a: v128, n: i32): v128 { return i16x8.shr_s(a, n > 15 ? 15 : n); }
@inline export function shiftArithmetic32(a: v128, n: i32): v128 { return i32x4.shr_s(a, n > 31 ? 31 : n); }

/** PSADBW. */
@inline function sumOfDifferences(a: v128, b: v128): v128 {
  const differences = i8x16.sub(i8x16.max_u(a, b), i8x16.min_u(a, b));
  const quads = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(differences));
  return i64x2.add(v128.and(quads, i64x2.splat(0xffffffff)), i64x2.shr_u(quads, 32));
}

/** PMULHRSW: as WebAssembly's Q15 product, except that -1 * -1 wraps instead of saturating. */
@inline function roundedHighProduct(a: v128, b: v128): v128 {
  const least = i16x8.splat(-0x8000);
  return v128.xor(i16x8.q15mulr_sat_s(a, b), v128.and(i16x8.eq(a, least), i16x8.eq(b, least)));
}

export function packed(op: i32, a: v128, b: v128): v128 {
  switch (op) {
    case Op.punpcklbw: return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    case Op.punpcklwd: return i8x16.shuffle(a, b, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
    case Op.punpckldq: return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    case Op.punpckhbw: return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    case Op.punpckhwd: return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    case Op.punpckhdq: return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    case Op.packsswb: return i8x16.narrow_i16x8_s(a, b);
    case Op.packuswb: return i8x16.narrow_i16x8_u(a, b);
    case Op.packssdw: return i16x8.narrow_i32x4_s(a, b);
    case Op.phaddw: return i16x8.add(evenWords(a, b), oddWords(a, b));
    case Op.phaddd: return i32x4.add(evenDwords(a, b), oddDwords(a, b));
    case Op.phaddsw: return i16x8.add_sat_s(evenWords(a, b), oddWords(a, b));
    case Op.phsubw: return i16x8.sub(evenWords(a, b), oddWords(a, b));
    case Op.phsubd: return i32x4.sub(evenDwords(a, b), oddDwords(a, b));
    case Op.phsubsw: return i16x8.sub_sat_s(evenWords(a, b), oddWords(a, b));
    case Op.pshufb: return i8x16.swizzle(a, v128.and(b, i8x16.splat(<i8>0x8f)));
    case Op.pcmpgtb: return i8x16.gt_s(a, b);
    case Op.pcmpgtw: return i16x8.gt_s(a, b);
    case Op.pcmpgtd: return i32x4.gt_s(a, b);
    case Op.pcmpeqb: return i8x16.eq(a, b);
    case Op.pcmpeqw: return i16x8.eq(a, b);
    case Op.pcmpeqd: return i32x4.eq(a, b);
    case Op.psrlw: return shiftRight16(a, count(b));
    case Op.psrld: return shiftRight32(a, count(b));
    case Op.psrlq: return shiftRight64(a, count(b));
    case Op.psraw: return shiftArithmetic16(a, count(b));
    case Op.psrad: return shiftArithmetic32(a, count(b));
    case Op.psllw: return shiftLeft16(a, count(b));
    case Op.pslld: return shiftLeft32(a, count(b));
    case Op.psllq: return shiftLeft64(a, count(b));
    case Op.paddq: return i64x2.add(a, b);
    case Op.pmullw: return i16x8.mul(a, b);
    case Op.psubusb: return i8x16.sub_sat_u(a, b);
    case Op.psubusw: return i16x8.sub_sat_u(a, b);
    case Op.pminub: return i8x16.min_u(a, b);
    case Op.pand: return v128.and(a, b);
    case Op.paddusb: return i8x16.add_sat_u(a, b);
    case Op.paddusw: return i16x8.add_sat_u(a, b);
    case Op.pmaxub: return i8x16.max_u(a, b);
    case Op.pandn: return v128.andnot(b, a);
    case Op.pavgb: return i8x16.avgr_u(a, b);
    case Op.pavgw: return i16x8.avgr_u(a, b);
    case Op.pmulhuw: return v128.shuffle<i16>(i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b), 1, 3, 5, 7, 9, 11, 13, 15);
    case Op.pmulhw: return v128.shuffle<i16>(i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b), 1, 3, 5, 7, 9, 11, 13, 15);
    case Op.psubsb: return i8x16.sub_sat_s(a, b);
    case Op.psubsw: return i16x8.sub_sat_s(a, b);
    case Op.pminsw: return i16x8.min_s(a, b);
    case Op.por: return v128.or(a, b);
    case Op.paddsb: return i8x16.add_sat_s(a, b);
    case Op.paddsw: return i16x8.add_sat_s(a, b);
    case Op.pmaxsw: return i16x8.max_s(a, b);
    case Op.pxor: return v128.xor(a, b);
    case Op.pmuludq: return i64x2.mul(v128.and(a, i64x2.splat(0xffffffff)), v128.and(b, i64x2.splat(0xffffffff)));
    case Op.pmaddwd: return i32x4.dot_i16x8_s(a, b);
    case Op.psadbw: return sumOfDifferences(a, b);
    case Op.psubb: return i8x16.sub(a, b);
    case Op.psubw: return i16x8.sub(a, b);
    case Op.psubd: return i32x4.sub(a, b);
    case Op.psubq: return i64x2.sub(a, b);
    case Op.paddb: return i8x16.add(a, b);
    case Op.paddw: return i16x8.add(a, b);
    case Op.paddd: return i32x4.add(a, b);
    case Op.pmaddubsw: return i16x8.add_sat_s(
      i16x8.mul(v128.and(a, i16x8.splat(0xff)), i16x8.shr_s(i16x8.shl(b, 8), 8)),
      i16x8.mul(i16x8.shr_u(a, 8), i16x8.shr_s(b, 8)));
    case Op.psignb: return v128.andnot(i8x16.sub(v128.xor(a, i8x16.shr_s(b, 7)), i8x16.shr_s(b, 7)), i8x16.eq(b, i8x16.splat(0)));
    case Op.psignw: return v128.andnot(i16x8.sub(v128.xor(a, i16x8.shr_s(b, 15)), i16x8.shr_s(b, 15)), i16x8.eq(b, i16x8.splat(0)));
    case Op.psignd: return v128.andnot(i32x4.sub(v128.xor(a, i32x4.shr_s(b, 31)), i32x4.shr_s(b, 31)), i32x4.eq(b, i32x4.splat(0)));
    case Op.pmulhrsw: return roundedHighProduct(a, b);
    case Op.pabsb: return i8x16.abs(b);
    case Op.pabsw: return i16x8.abs(b);
    case Op.pabsd: return i32x4.abs(b);
    default: return a;
  }
}
