/** Writes vector and floating-point instructions (WebAssembly Core Specification, "Vector Instructions"). Stack effects stand beside each. */
import { byte, unsigned } from "./buffer";

export const enum Simd {
  load = 0, load64splat = 10, store = 11, const_ = 12, shuffle = 13, swizzle = 14,
  i32x4splat = 17, i64x2splat = 18, i8x16extract_u = 22, i8x16replace = 23, i16x8extract_u = 25, i16x8replace = 26, i32x4extract = 27, i32x4replace = 28,
  i64x2extract = 29, i64x2replace = 30, f32x4extract = 31, f32x4replace = 32, f64x2extract = 33, f64x2replace = 34,
  i8x16eq = 35, i8x16gt_s = 39, i16x8eq = 45, i16x8gt_s = 49, i32x4eq = 55, i32x4gt_s = 59,
  f32x4eq = 65, f32x4ne = 66, f32x4lt = 67, f32x4gt = 68, f32x4le = 69, f32x4ge = 70, f64x2eq = 71, f64x2ne = 72, f64x2lt = 73, f64x2gt = 74,
  f64x2le = 75, f64x2ge = 76,
  not = 77, and = 78, andnot = 79, or = 80, xor = 81, bitselect = 82, anyTrue = 83,
  load8lane = 84, load16lane = 85, load32lane = 86, load64lane = 87, store8lane = 88, store16lane = 89, store32lane = 90, store64lane = 91, load32zero = 92, load64zero = 93,
  f32x4demote = 94, f64x2promote = 95,
  i8x16abs = 96, i8x16bitmask = 100, i8x16narrow_s = 101, i8x16narrow_u = 102, f32x4ceil = 103, f32x4nearest = 106, i8x16shr_s = 108, i8x16add = 110, i8x16add_sat_s = 111,
  i8x16add_sat_u = 112, i8x16sub = 113, i8x16sub_sat_s = 114, i8x16sub_sat_u = 115, i8x16min_s = 118, i8x16min_u = 119, i8x16max_s = 120,
  i8x16max_u = 121, i8x16avgr_u = 123, i16x8extadd_u = 125, i32x4extadd_u = 127,
  i16x8abs = 128, i16x8narrow_s = 133, i16x8narrow_u = 134, i16x8extend_low_s = 135, i16x8extend_low_u = 137, i16x8shl = 139,
  i16x8shr_s = 140, i16x8shr_u = 141, i16x8add = 142, i16x8add_sat_s = 143, i16x8add_sat_u = 144, i16x8sub = 145, i16x8sub_sat_s = 146,
  i16x8sub_sat_u = 147, f64x2ceil = 116, f64x2floor = 117, f64x2trunc = 122, f64x2nearest = 148, i16x8mul = 149, i16x8min_s = 150, i16x8min_u = 151, i16x8max_s = 152, i16x8max_u = 153, i16x8avgr_u = 155,
  i32x4abs = 160, i32x4allTrue = 163, i32x4bitmask = 164, i32x4extend_low_s = 167, i32x4extend_low_u = 169, i32x4shl = 171, i32x4shr_s = 172,
  i32x4shr_u = 173, i32x4add = 174, i32x4sub = 177, i32x4mul = 181, i32x4min_s = 182, i32x4min_u = 183, i32x4max_s = 184, i32x4max_u = 185, i32x4dot = 186,
  i32x4extmul_low_s = 188, i32x4extmul_high_s = 189, i32x4extmul_low_u = 190, i32x4extmul_high_u = 191,
  i64x2allTrue = 195, i64x2bitmask = 196, i64x2extend_low_s = 199, i64x2extend_low_u = 201, i64x2shl = 203, i64x2shr_s = 204, i64x2shr_u = 205,
  i64x2extmul_low_s = 220, i64x2extmul_low_u = 222, i64x2add = 206, i64x2sub = 209, i64x2mul = 213, i64x2eq = 214, i64x2gt_s = 217,
  f32x4abs = 224, f32x4sqrt = 227, f32x4add = 228, f32x4pmin = 234, f32x4pmax = 235, f64x2abs = 236, f64x2sqrt = 239, f64x2add = 240,
  f64x2pmin = 246, f64x2pmax = 247, i32x4trunc_f32x4_s = 248, f32x4convert_i32x4_s = 250, i32x4trunc_f64x2_s = 252, f64x2convert_i32x4_s = 254,
}

/** Scalar floating point. Of f32 and f64 the operations +, -, *, / follow each other. */
export const enum Float {
  f32load = 0x2a, f64load = 0x2b, f32store = 0x38, f64store = 0x39, f32eq = 0x5b, f32ne = 0x5c, f32lt = 0x5d, f64eq = 0x61, f64ne = 0x62, f64lt = 0x63, f64gt = 0x64, f64ge = 0x66,
  f32sqrt = 0x91, f32add = 0x92, f32ceil = 0x8d, f64abs = 0x99, f64ceil = 0x9b, f64nearest = 0x9e, f64sqrt = 0x9f, f64add = 0xa0, f32convert_i32 = 0xb2, f32convert_i64 = 0xb4, f32demote = 0xb6,
  f64neg = 0x9a, f32neg = 0x8c, f64convert_i32 = 0xb7, f64convert_i64 = 0xb9, f64promote = 0xbb, i32reinterpret = 0xbc, i64reinterpret = 0xbd, f64reinterpret = 0xbf, f32const = 0x43, f64const = 0x44,
}

export const enum VectorType { f64 = 0x7c, f32 = 0x7d, v128 = 0x7b }

export function simd(op: i32): void { byte(0xfd); unsigned(op); }
/** A load or store with `offset` folded in. */
export function simdAccess(op: i32, offset: u32): void { simd(op); byte(0); unsigned(offset); }
/** The same of one lane: [i32, v128] -> [v128] or []. */
export function simdLane(op: i32, lane: i32): void { simdAccess(op, 0); byte(lane); }
/** An instruction with a lane: extract [v128] -> [t], replace [v128, t] -> [v128]. */
export function lane(op: i32, n: i32): void { simd(op); byte(n); }

export function bytes8(x: u64): void { for (let i = 0; i < 8; i++) byte(<i32>(x >> (i << 3)) & 0xff); }
/** [] -> [v128] */
export function vector(low: u64, high: u64): void { simd(Simd.const_); bytes8(low); bytes8(high); }
/** [] -> [f64] */
export function f64const(x: f64): void { byte(Float.f64const); bytes8(reinterpret<u64>(x)); }
/** [] -> [f32] */
export function f32const(x: f32): void {
  byte(Float.f32const);
  const bits = reinterpret<u32>(x);
  for (let i = 0; i < 4; i++) byte(<i32>(bits >> (i << 3)) & 0xff);
}
/** [v128, v128] -> [v128]: bytes chosen by the indices in `low`, `high`. */
export function shuffle(low: u64, high: u64): void { simd(Simd.shuffle); bytes8(low); bytes8(high); }
