/** What has to be asked of operands and results of floating-point SSE before WebAssembly's operation is the whole story, and what is known from
 *  asking before. */
import { Wasm, WasmType, access, byte, hint, i32const, i64const, localGet, localSet } from "./buffer";
import { Float, Simd, f32const, f64const, lane } from "./simd";
import { getV, leaveInDoubt, leaveToHelperIf, regOf, rmOf, setV } from "./sse_emit";
import { Doubt, isSettled } from "./sse_mode";
import { asked, markLow, plainBounds, plainLow, unknown } from "./sse_range";
import { Scratch, getXmm, lowOf, notSettled, scratch } from "./xmm";

/* Scalars: `wide` is f64. */

@inline export function slotA(wide: bool): u32 { return scratch(wide ? Scratch.f64a : Scratch.f32a); }
@inline export function slotB(wide: bool): u32 { return scratch(wide ? Scratch.f64b : Scratch.f32b); }
@inline export function slotV(wide: bool): u32 { return scratch(wide ? Scratch.f64v : Scratch.f32v); }
@inline export function slotR(wide: bool): u32 { return scratch(wide ? Scratch.f64r : Scratch.f32r); }

/** [] -> [float]: the low element of V, of W. */
export function lowV(u: usize, wide: bool): void { getLow(regOf(u), wide); }
export function lowW(u: usize, h: u32, wide: bool): void {
  if (h) { localGet(h); access(wide ? Float.f64load : Float.f32load, 0); }
  else getLow(rmOf(u), wide);
}
/** [] -> [float]: of register `n`. */
export function getLow(n: u32, wide: bool): void {
  const low = lowOf(n, wide);
  if (low) { localGet(low); return; }
  getXmm(n);
  lane(wide ? Simd.f64x2extract : Simd.f32x4extract, 0);
}
/** [] -> []: the low element of V becomes that local, which is within `x`. */
export function setLow(u: usize, r: u32, wide: bool, x: i64): void {
  const n = regOf(u), low = lowOf(n, wide);
  if (low) {
    localGet(r);
    localSet(low);
    unknown(n);
  } else {
    getV(u);
    localGet(r);
    lane(wide ? Simd.f64x2replace : Simd.f32x4replace, 0);
    setV(u);
  }
  markLow(n, wide, x);
}

/** [] -> [i32]: the sign, the exponent and the first digits. */
export function head(x: u32, wide: bool): void {
  localGet(x);
  if (!wide) { byte(Float.i32reinterpret); return; }
  byte(Float.i64reinterpret);
  i64const(32);
  byte(Wasm.i64shr_u);
  byte(Wasm.i32wrap);
}
/** [i32] -> [i32]: not from `from` to below `to`. */
export function outside(from: i32, to: i32): void {
  i32const(from);
  byte(Wasm.i32sub);
  i32const(to - from);
  byte(Wasm.i32ge_u);
}
/** [] -> [i32]: its exponent is not among those from `least` on that finite numbers have. */
export function exponentOutside(x: u32, least: i32, wide: bool): void {
  head(x, wide);
  i32const(1);
  byte(Wasm.i32shl);
  const unit = wide ? 1 << 21 : 1 << 24;
  outside(least * unit, (wide ? 0x7ff : 0xff) * unit);
}
/** [] -> [i32]: denormal or zero, infinite or NaN. */
export function notNormal(x: u32, wide: bool): void { exponentOutside(x, 1, wide); }

/** [] -> [i64 or i32]: the bits of a local without the sign, doubled. */
function doubled(x: u32, wide: bool): void {
  localGet(x);
  if (wide) {
    byte(Float.i64reinterpret);
    i64const(1);
    byte(Wasm.i64shl);
  } else {
    byte(Float.i32reinterpret);
    i32const(1);
    byte(Wasm.i32shl);
  }
}
/** [] -> [i32]: a denormal. */
export function denormal(x: u32, wide: bool): void {
  doubled(x, wide);
  if (wide) { i64const(1); byte(Wasm.i64sub); i64const(0x001fffffffffffff); byte(Wasm.i64lt_u); }
  else { i32const(1); byte(Wasm.i32sub); i32const(0x00ffffff); byte(Wasm.i32lt_u); }
}
/** [] -> [i32]: zero, tiny, the smallest normal, infinite or NaN. */
export function unsafe(x: u32, wide: bool): void {
  doubled(x, wide);
  if (wide) { i64const(0x0020000000000001); byte(Wasm.i64sub); i64const(<i64>0xffbfffffffffffff); byte(Wasm.i64ge_u); }
  else { i32const(0x01000001); byte(Wasm.i32sub); i32const(<i32>0xfdffffff); byte(Wasm.i32ge_u); }
}
/** [] -> [i32]: 0 if it is zero, else 1 (of a NaN too). */
export function notZero(x: u32, wide: bool): void {
  doubled(x, wide);
  if (wide) { i64const(0); byte(Wasm.i64ne); }
  else { i32const(0); byte(Wasm.i32ne); }
}
/** [] -> [i32]: a NaN. */
function isNan(x: u32, wide: bool): void { localGet(x); localGet(x); byte(wide ? Float.f64ne : Float.f32ne); }

/* What is frequent is told by the exponent alone; what it leaves open is looked at again, off the way. */

/** [] -> []: leaves if it is denormal. */
export function leaveIfDenormal(u: usize, x: u32, wide: bool): void {
  head(x, wide);
  i32const(wide ? 0x7ff00000 : 0x7f800000);
  byte(Wasm.i32and);
  byte(Wasm.i32eqz);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  notZero(x, wide);
  leaveToHelperIf(u, 1);
  byte(Wasm.end);
}
/** [] -> []: leaves if it is denormal or a NaN, of which only signaling ones count if `quiet`. */
export function leaveIfDisordered(u: usize, x: u32, wide: bool, quiet: bool): void {
  notNormal(x, wide);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  denormal(x, wide);
  isNan(x, wide);
  if (quiet) {
    head(x, wide);
    i32const(wide ? 0x00080000 : 0x00400000);
    byte(Wasm.i32and);
    byte(Wasm.i32eqz);
    byte(Wasm.i32and);
  }
  byte(Wasm.i32or);
  leaveToHelperIf(u, 1);
  byte(Wasm.end);
}

/** [] -> []: opens the arm for results that are not settled; false if there are none. */
export function beginExact(): bool {
  if (isSettled()) return false;
  notSettled(false);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  return true;
}
/** [i32] -> []: closes it; leaves if the result is not exact, or if that would not do. */
export function endExact(u: usize): void {
  notSettled(true);
  byte(Wasm.i32or);
  leaveToHelperIf(u, 1);
  byte(Wasm.end);
}

/** [] -> []: leaves if an operand in `a` or `b` is denormal or a NaN; of registers known to be plain nothing is asked. */
export function leaveUnlessOrdered(u: usize, h: u32, a: u32, b: u32, wide: bool): void {
  const n = regOf(u), m = rmOf(u);
  if (!plainLow(n, wide)) {
    leaveIfDisordered(u, a, wide, false);
    markLow(n, wide, plainBounds(wide));
  }
  if (h || !plainLow(m, wide)) leaveIfDisordered(u, b, wide, false);
  if (!h && !plainLow(m, wide)) markLow(m, wide, plainBounds(wide));
}

/** [] -> [i32]: it is zero, or not within askedBounds. */
function notNear(x: u32, wide: bool): void {
  const bias = wide ? 1023 : 127, unit = wide ? 1 << 21 : 1 << 24, far = asked(wide);
  head(x, wide);
  i32const(1);
  byte(Wasm.i32shl);
  outside((bias - far) * unit, (bias + far) * unit);
}
/** [] -> [i32]: it is not zero, or a NaN. Unlike notZero it needs no integer, which off the way would have to be kept for it. */
function differsFromZero(x: u32, wide: bool): void {
  localGet(x);
  if (wide) f64const(0);
  else f32const(0);
  byte(wide ? Float.f64ne : Float.f32ne);
}
/** [] -> []: opens two arms for what is not within askedBounds. */
export function ifFar(x: u32, wide: bool): void {
  for (let i = 0; i < 2; i++) {
    if (i) differsFromZero(x, wide);
    else notNear(x, wide);
    hint(false);
    byte(Wasm.if_);
    byte(WasmType.void_);
  }
}
/** [] -> []: leaves, for a reason that counts, unless it is zero or within askedBounds. `extra`: as of leave(). */
export function leaveUnlessNear(u: usize, x: u32, wide: bool, extra: u32 = 0): void {
  notNear(x, wide);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  differsFromZero(x, wide);
  leaveInDoubt(u, Doubt.range, extra + 1);
  byte(Wasm.end);
}
