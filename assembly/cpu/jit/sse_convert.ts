/** Code of the conversions between floating-point formats and integers. */
import { Op } from "../opcodes.gen";
import { opSize } from "../operand";
import { Wasm, WasmType, access, byte, giveUp, hint, i64const, localGet, localSet, localTee } from "./buffer";
import { emit32, emit64 } from "./values";
import { Float, Simd, f64const, simd, vector } from "./simd";
import { getW, leaveToHelperIf, rmOf, setV } from "./sse_emit";
import { beginExact, endExact, lowW, notNormal, notZero, setLow, slotR, unsafe } from "./sse_plain";
import { boundsOf, convertedBounds, highOf, integerBounds, isSafe, plainBounds, plainLow } from "./sse_range";
import { magnitude, notAll, zeroes } from "./sse_vector";
import { Scratch, scratch } from "./xmm";

/** [] -> []: an integer to the low element of V. Inexact ones are rounded to nearest, as is wanted. */
function fromInteger(u: usize, h: u32, source: i32, wide: bool): void {
  const long = opSize(u) == 8, r = slotR(wide);
  const x = scratch(Scratch.long);
  if (h) { localGet(h); access(long ? Wasm.i64load : Wasm.i32load, 0); }
  else if (long) emit64(source);
  else emit32(source);
  if (!long) byte(Wasm.i64extend_s);
  localTee(x);
  byte((wide ? Float.f64convert_i32 : Float.f32convert_i32) + 2);
  localSet(r);
  if (beginExact()) {
    localGet(x);
    i64const((<i64>1) << (wide ? 53 : 24));
    byte(Wasm.i64add);
    i64const((<i64>2) << (wide ? 53 : 24));
    byte(Wasm.i64gt_u);
    endExact(u);
  }
  setLow(u, r, wide, integerBounds(long ? 63 : 31));
}

/** [] -> []: the low element of W, as an integer, to `t`; leaves if it does not fit. */
function toInteger(u: usize, h: u32, t: u32, wide: bool, truncate: bool): void {
  const long = opSize(u) == 8, x = scratch(Scratch.f64r);
  lowW(u, h, wide);
  if (!wide) byte(Float.f64promote);
  if (!truncate) byte(Float.f64nearest);
  localTee(x);
  f64const(long ? -9223372036854775808.0 : -2147483649.0);
  byte(long ? Float.f64ge : Float.f64gt);
  localGet(x);
  f64const(long ? 9223372036854775808.0 : 2147483648.0);
  byte(Float.f64lt);
  byte(Wasm.i32and);
  byte(Wasm.i32eqz);
  leaveToHelperIf(u, 0);
  localGet(x);
  byte(0xfc);
  byte(long ? 6 : 2); // saturating, which it does not
  localSet(t);
  if (!wide || !truncate || !beginExact()) return;
  localGet(t);
  byte(Float.f64convert_i32 + (long ? 2 : 0));
  localGet(x);
  byte(Float.f64ne);
  endExact(u);
}

/** [] -> []: V becomes W as integers; leaves unless all are below 2^31. */
function toIntegers(u: usize, h: u32, wide: bool, truncate: bool): void {
  const a = scratch(Scratch.a), limit: u64 = wide ? 0x41e0000000000000 : 0x4f0000004f000000;
  getW(u, h, 16);
  if (!truncate) simd(wide ? Simd.f64x2nearest : Simd.f32x4nearest);
  localSet(a);
  magnitude(a, wide);
  vector(limit, limit);
  simd(wide ? Simd.f64x2lt : Simd.f32x4lt);
  notAll(wide);
  leaveToHelperIf(u, 0);
  localGet(a);
  simd(wide ? Simd.i32x4trunc_f64x2_s : Simd.i32x4trunc_f32x4_s);
  setV(u);
}

/** CVTSD2SS: whatever is wrong with the operand shows in the result, except that it is zero. */
function demote(u: usize, h: u32): void {
  const x = scratch(Scratch.f64a), r = slotR(false), safe = !h && plainLow(rmOf(u), true) && isSafe(boundsOf(rmOf(u), true), false);
  lowW(u, h, true);
  localTee(x);
  byte(Float.f32demote);
  localSet(r);
  if (!safe) {
    unsafe(r, false);
    hint(false);
    byte(Wasm.if_);
    byte(WasmType.void_);
    notZero(x, true);
    leaveToHelperIf(u, 1);
    byte(Wasm.end);
  }
  if (beginExact()) {
    localGet(r);
    byte(Float.f64promote);
    localGet(x);
    byte(Float.f64ne);
    endExact(u);
  }
  setLow(u, r, false, safe ? convertedBounds(boundsOf(rmOf(u), true), false) : plainBounds(false));
}

/** CVTPD2PS: zeros, and what is above the smallest normal number of f32 and not rounded to infinity. */
function demoteTwo(u: usize, h: u32): void {
  const a = scratch(Scratch.a);
  getW(u, h, 16);
  localSet(a);
  magnitude(a, true);
  vector(0x3810000000000000, 0x3810000000000000);
  simd(Simd.f64x2gt);
  magnitude(a, true);
  vector(0x47effffff0000000, 0x47effffff0000000);
  simd(Simd.f64x2lt);
  simd(Simd.and);
  zeroes(a, true);
  simd(Simd.or);
  notAll(true);
  leaveToHelperIf(u, 0);
  localGet(a);
  simd(Simd.f32x4demote);
  setV(u);
}

/** CVTSS2SD: exact, unless the operand is none of the plain numbers. What is only known to be plain may be infinite, which no bounds of doubles would
 *  show any more. */
function promote(u: usize, h: u32): void {
  const x = scratch(Scratch.f32a), r = slotR(true), known = !h && plainLow(rmOf(u), false) && highOf(boundsOf(rmOf(u), false)) < highOf(plainBounds(false));
  lowW(u, h, false);
  localTee(x);
  byte(Float.f64promote);
  localSet(r);
  if (!known) {
    notNormal(x, false);
    hint(false);
    byte(Wasm.if_);
    byte(WasmType.void_);
    notZero(x, false);
    leaveToHelperIf(u, 1);
    byte(Wasm.end);
  }
  setLow(u, r, true, convertedBounds(known ? boundsOf(rmOf(u), false) : plainBounds(false), true));
}

/** CVTPS2PD: the same of two. */
function promoteTwo(u: usize, h: u32): void {
  const a = scratch(Scratch.a), r = scratch(Scratch.r);
  getW(u, h, 8);
  localTee(a);
  simd(Simd.f64x2promote);
  localTee(r);
  localGet(r);
  simd(Simd.f64x2ne);
  // a denormal of f32 is a normal number below 2^-126
  magnitude(r, true);
  vector(0x3810000000000000, 0x3810000000000000);
  simd(Simd.f64x2lt);
  zeroes(r, true);
  simd(Simd.andnot);
  simd(Simd.or);
  simd(Simd.anyTrue);
  leaveToHelperIf(u, 0);
  localGet(r);
  setV(u);
}

/** [] -> []: conversions, by operation. `source`: node of a general register. */
export function emitConversion(u: usize, op: i32, h: u32, t: u32, source: i32): void {
  switch (op) {
    case Op.cvtsi2sd: fromInteger(u, h, source, true); break;
    case Op.cvtsi2ss: fromInteger(u, h, source, false); break;
    case Op.cvttsd2si: toInteger(u, h, t, true, true); break;
    case Op.cvtsd2si: toInteger(u, h, t, true, false); break;
    case Op.cvttss2si: toInteger(u, h, t, false, true); break;
    case Op.cvtsd2ss: demote(u, h); break;
    case Op.cvtss2sd: promote(u, h); break;
    case Op.cvtps2pd: promoteTwo(u, h); break;
    case Op.cvtss2si: toInteger(u, h, t, false, false); break;
    case Op.cvttps2dq: toIntegers(u, h, false, true); break;
    case Op.cvttpd2dq: toIntegers(u, h, true, true); break;
    case Op.cvtps2dq: toIntegers(u, h, false, false); break;
    case Op.cvtpd2dq: toIntegers(u, h, true, false); break;
    case Op.cvtpd2ps: demoteTwo(u, h); break;
    case Op.cvtdq2ps: getW(u, h, 16); simd(Simd.f32x4convert_i32x4_s); setV(u); break;
    default: giveUp();
  }
}
