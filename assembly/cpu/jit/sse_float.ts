/** Code of floating-point SSE instructions. WebAssembly's operation is used where it is the whole story, as in semantics/fp.ts: then nothing
 *  is to be noted in MXCSR. The result alone shows most of what would be: a NaN, an infinity, a tiny or a zero result comes from such operands
 *  or raises something. What it does not show are denormal operands; elements known to be plain (zero or normal) are not looked at again.
 *  Zeros are the one such result that is frequent: they are looked at once more before code leaves. */
import { JitOff } from "../../abi/jit";
import { Op } from "../opcodes.gen";
import { imm as immediateOf } from "../operand";
import { Arith } from "../semantics/ieee";
import { Wasm, WasmType, access, byte, hint, i32const, i64const, jget, jset, localGet, localSet, localTee } from "./buffer";
import { EffectOff } from "./effect";
import { Float, Simd, lane, shuffle, simd, vector } from "./simd";
import { getV, getW, leaveToHelperIf, regOf, rmOf, setV } from "./sse_emit";
import { emitConversion } from "./sse_convert";
import { Scratch, notSettled, scratch, xmmLocal } from "./xmm";

/* What is known of registers: JitOff.plain64 has a bit for each f64 element, the low one first; plain32 one for the low f32. */

@inline export function plainLow(n: u32, wide: bool): bool { return (wide ? jget(JitOff.plain64) >> (n << 1) & 1 : jget(JitOff.plain32) >> n & 1) != 0; }
@inline function plainBoth(n: u32): bool { return (jget(JitOff.plain64) >> (n << 1) & 3) == 3; }
export function markLow(n: u32, wide: bool): void {
  if (wide) jset(JitOff.plain64, jget(JitOff.plain64) | 1 << (n << 1));
  else jset(JitOff.plain32, jget(JitOff.plain32) | 1 << n);
}
function markBoth(n: u32): void { jset(JitOff.plain64, jget(JitOff.plain64) | 3 << (n << 1)); }

/* Scalars: `wide` is f64. */

@inline function slotA(wide: bool): u32 { return scratch(wide ? Scratch.f64a : Scratch.f32a); }
@inline function slotB(wide: bool): u32 { return scratch(wide ? Scratch.f64b : Scratch.f32b); }
@inline export function slotR(wide: bool): u32 { return scratch(wide ? Scratch.f64r : Scratch.f32r); }

/** [] -> [float]: the low element of V, of W. */
function lowV(u: usize, wide: bool): void { getV(u); lane(wide ? Simd.f64x2extract : Simd.f32x4extract, 0); }
export function lowW(u: usize, h: u32, wide: bool): void {
  if (h) { localGet(h); access(wide ? Float.f64load : Float.f32load, 0); }
  else { localGet(xmmLocal(rmOf(u))); lane(wide ? Simd.f64x2extract : Simd.f32x4extract, 0); }
}
/** [] -> []: the low element of V becomes that local, which is plain. */
export function setLow(u: usize, r: u32, wide: bool): void {
  const n = regOf(u), upper = jget(JitOff.plain64) & 2 << (n << 1);
  getV(u);
  localGet(r);
  lane(wide ? Simd.f64x2replace : Simd.f32x4replace, 0);
  setV(u);
  if (wide) jset(JitOff.plain64, jget(JitOff.plain64) | upper);
  markLow(n, wide);
}

/** [] -> [i32]: the sign, the exponent and the first digits. */
function head(x: u32, wide: bool): void {
  localGet(x);
  if (!wide) { byte(Float.i32reinterpret); return; }
  byte(Float.i64reinterpret);
  i64const(32);
  byte(Wasm.i64shr_u);
  byte(Wasm.i32wrap);
}
/** [i32] -> [i32]: not from `from` to below `to`. */
function outside(from: i32, to: i32): void {
  i32const(from);
  byte(Wasm.i32sub);
  i32const(to - from);
  byte(Wasm.i32ge_u);
}
/** [] -> [i32]: its exponent is not among those from `least` on that finite numbers have. */
function exponentOutside(x: u32, least: i32, wide: bool): void {
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
function denormal(x: u32, wide: bool): void {
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
function leaveIfDenormal(u: usize, x: u32, wide: bool): void {
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
function leaveIfDisordered(u: usize, x: u32, wide: bool, quiet: bool): void {
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

/** [] -> []: while PE is not noted yet, leaves unless the sum, difference or product is exact. May leave when in doubt. */
function leaveUnlessExact(u: usize, op: i32, wide: bool): void {
  const a = slotA(wide), b = slotB(wide), r = slotR(wide), v = scratch(wide ? Scratch.f64v : Scratch.f32v), add = wide ? Float.f64add : Float.f32add;
  beginExact();
  if (op != Arith.mul) {
    // Knuth's TwoSum: the rounding error of a sum is itself a number
    localGet(r);
    localGet(a);
    byte(add + Arith.sub);
    localSet(v);
    localGet(a);
    localGet(r);
    localGet(v);
    byte(add + Arith.sub);
    byte(add + Arith.sub);
    localGet(b);
    if (op == Arith.sub) byte(wide ? Float.f64neg : Float.f32neg);
    localGet(v);
    byte(add + Arith.sub);
    byte(add);
    localSet(v);
    notZero(v, wide);
  } else if (wide) {
    for (let i = 0; i < 2; i++) {
      localGet(i ? b : a);
      byte(Float.i64reinterpret);
      i64const((<i64>1) << 52);
      byte(Wasm.i64or);
      byte(Wasm.i64ctz);
    }
    byte(Wasm.i64add);
    i64const(53);
    byte(Wasm.i64lt_u);
    notZero(r, true);
    byte(Wasm.i32and);
  } else {
    localGet(a);
    byte(Float.f64promote);
    localGet(b);
    byte(Float.f64promote);
    byte(Float.f64add + Arith.mul);
    localGet(r);
    byte(Float.f64promote);
    byte(Float.f64ne);
  }
  endExact(u);
}

/** [] -> []: opens the arm for results that are not settled. */
export function beginExact(): void {
  notSettled(false);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
}
/** [i32] -> []: closes it; leaves if the result is not exact, or if that would not do. */
export function endExact(u: usize): void {
  notSettled(true);
  byte(Wasm.i32or);
  leaveToHelperIf(u, 1);
  byte(Wasm.end);
}

/** ADD, SUB, MUL, DIV of the low elements. */
function arithmetic(u: usize, h: u32, op: i32, wide: bool): void {
  const a = slotA(wide), b = slotB(wide), r = slotR(wide), n = regOf(u), m = rmOf(u);
  const knownA = plainLow(n, wide), knownB = !h && plainLow(m, wide);
  lowV(u, wide);
  localTee(a);
  lowW(u, h, wide);
  localTee(b);
  byte((wide ? Float.f64add : Float.f32add) + op);
  localSet(r);
  if (!knownA) leaveIfDenormal(u, a, wide);
  if (!knownB && (h || m != n)) leaveIfDenormal(u, b, wide);
  exponentOutside(r, 2, wide);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  unsafe(r, wide);
  // a zero is exact as a sum, as a product with zero, and as a quotient of zero
  notZero(r, wide);
  if (op >= Arith.mul) {
    notZero(a, wide);
    if (op == Arith.mul) { notZero(b, wide); byte(Wasm.i32and); }
    byte(Wasm.i32or);
  }
  byte(Wasm.i32and);
  leaveToHelperIf(u, 1);
  byte(Wasm.end);
  if (op != Arith.div) leaveUnlessExact(u, op, wide);
  setLow(u, r, wide);
  if (!h) markLow(m, wide);
}
/** SQRT of the low element of W. */
function root(u: usize, h: u32, wide: bool): void {
  const a = slotA(wide), r = slotR(wide);
  lowW(u, h, wide);
  localTee(a);
  byte(wide ? Float.f64sqrt : Float.f32sqrt);
  localSet(r);
  // normal and positive, or a zero
  head(a, wide);
  outside(wide ? 0x00100000 : 0x00800000, wide ? 0x7ff00000 : 0x7f800000);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  notZero(a, wide);
  leaveToHelperIf(u, 1);
  byte(Wasm.end);
  setLow(u, r, wide);
}

/** [] -> []: leaves if an operand in `a` or `b` is denormal or a NaN; of registers known to be plain nothing is asked. */
function leaveUnlessOrdered(u: usize, h: u32, a: u32, b: u32, wide: bool): void {
  if (!plainLow(regOf(u), wide)) leaveIfDisordered(u, a, wide, false);
  if (h || !plainLow(rmOf(u), wide)) leaveIfDisordered(u, b, wide, false);
  markLow(regOf(u), wide);
  if (!h) markLow(rmOf(u), wide);
}

/** UCOMIS, COMIS: what is compared goes to `a` and `b`. */
function order(u: usize, h: u32, a: u32, b: u32, wide: bool, quiet: bool): void {
  lowV(u, wide);
  localSet(a);
  lowW(u, h, wide);
  localSet(b);
  if (!quiet) {
    leaveUnlessOrdered(u, h, a, b, wide);
    return;
  }
  if (!plainLow(regOf(u), wide)) leaveIfDisordered(u, a, wide, true);
  if (h || !plainLow(rmOf(u), wide)) leaveIfDisordered(u, b, wide, true);
}

/* Vectors. */

/** [] -> [v128]: a local without the signs. */
export function magnitude(x: u32, wide: bool): void { localGet(x); simd(wide ? Simd.f64x2abs : Simd.f32x4abs); }
/** [] -> [v128]: in all elements the smallest normal number, infinity. */
function least(wide: bool): void { const x: u64 = wide ? 0x0010000000000000 : 0x0080000000800000; vector(x, x); }
function infinite(wide: bool): void { const x: u64 = wide ? 0x7ff0000000000000 : 0x7f8000007f800000; vector(x, x); }
/** [v128] -> [i32]: not every element is. */
export function notAll(wide: bool): void {
  simd(wide ? Simd.i64x2bitmask : Simd.i32x4bitmask);
  i32const(wide ? 3 : 15);
  byte(Wasm.i32ne);
}
/** [] -> [v128]: elements that are denormal. */
export function denormals(x: u32, wide: bool): void {
  magnitude(x, wide);
  least(wide);
  simd(wide ? Simd.f64x2lt : Simd.f32x4lt);
  localGet(x);
  vector(0, 0);
  simd(wide ? Simd.f64x2ne : Simd.f32x4ne);
  simd(Simd.and);
}
/** [] -> [v128]: elements that are normal and not the smallest such number. */
export function safes(x: u32, wide: bool): void {
  magnitude(x, wide);
  least(wide);
  simd(wide ? Simd.f64x2gt : Simd.f32x4gt);
  magnitude(x, wide);
  infinite(wide);
  simd(wide ? Simd.f64x2lt : Simd.f32x4lt);
  simd(Simd.and);
}
/** [] -> [v128]: elements that are zero. */
export function zeroes(x: u32, wide: bool): void { localGet(x); vector(0, 0); simd(wide ? Simd.f64x2eq : Simd.f32x4eq); }

/** [] -> []: leaves if some element of `a` or `b` is denormal. */
function leaveIfDenormals(u: usize, a: u32, b: u32, knownA: bool, knownB: bool, wide: bool): void {
  if (knownA && knownB) return;
  if (!knownA) denormals(a, wide);
  if (!knownB) denormals(b, wide);
  if (!knownA && !knownB) simd(Simd.or);
  simd(Simd.anyTrue);
  leaveToHelperIf(u, 0);
}

/** [] -> []: V becomes the operation's result of scratch a and b. */
function packedResult(u: usize, op: i32, wide: bool, knownA: bool, knownB: bool): void {
  const a = scratch(Scratch.a), b = scratch(Scratch.b), r = scratch(Scratch.r);
  localGet(a);
  localGet(b);
  simd((wide ? Simd.f64x2add : Simd.f32x4add) + op);
  localSet(r);
  leaveIfDenormals(u, a, b, knownA, knownB, wide);
  safes(r, wide);
  notAll(wide);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  safes(r, wide);
  zeroes(r, wide);
  if (op >= Arith.mul) {
    zeroes(a, wide);
    if (op == Arith.mul) { zeroes(b, wide); simd(Simd.or); }
    simd(Simd.and);
  }
  simd(Simd.or);
  notAll(wide);
  leaveToHelperIf(u, 1);
  byte(Wasm.end);
  localGet(r);
  setV(u);
  if (wide) markBoth(regOf(u));
}

function packedArithmetic(u: usize, h: u32, op: i32, wide: bool): void {
  const n = regOf(u), m = rmOf(u);
  const knownA = wide && plainBoth(n), knownB = wide && !h && plainBoth(m);
  getV(u);
  localSet(scratch(Scratch.a));
  getW(u, h, 16);
  localSet(scratch(Scratch.b));
  packedResult(u, op, wide, knownA, knownB);
  if (wide && !h) markBoth(m);
}

/** HADD, HSUB: neighbours of the concatenation of V and W. */
function horizontal(u: usize, h: u32, op: i32, wide: bool): void {
  const w = scratch(Scratch.m);
  getW(u, h, 16);
  localSet(w);
  for (let odd = 0; odd < 2; odd++) {
    getV(u);
    localGet(w);
    if (wide) shuffle(odd ? 0x0f0e0d0c0b0a0908 : 0x0706050403020100, odd ? 0x1f1e1d1c1b1a1918 : 0x1716151413121110);
    else shuffle(odd ? 0x0f0e0d0c07060504 : 0x0b0a090803020100, odd ? 0x1f1e1d1c17161514 : 0x1b1a191813121110);
    localSet(scratch(odd ? Scratch.b : Scratch.a));
  }
  packedResult(u, op, wide, false, false);
}

/** ADDSUB: a sum whose even second operands have the other sign. */
function alternating(u: usize, h: u32, wide: bool): void {
  getV(u);
  localSet(scratch(Scratch.a));
  getW(u, h, 16);
  if (wide) vector(0x8000000000000000, 0);
  else vector(0x80000000, 0x80000000);
  simd(Simd.xor);
  localSet(scratch(Scratch.b));
  packedResult(u, Arith.add, wide, false, false);
}

/** SQRT of all elements, which are normal and positive, or zeros. */
function roots(u: usize, h: u32, wide: bool): void {
  const a = scratch(Scratch.a);
  getW(u, h, 16);
  localTee(a);
  least(wide);
  simd(wide ? Simd.f64x2ge : Simd.f32x4ge);
  localGet(a);
  infinite(wide);
  simd(wide ? Simd.f64x2lt : Simd.f32x4lt);
  simd(Simd.and);
  zeroes(a, wide);
  simd(Simd.or);
  notAll(wide);
  leaveToHelperIf(u, 0);
  localGet(a);
  simd(wide ? Simd.f64x2sqrt : Simd.f32x4sqrt);
  setV(u);
  if (wide) markBoth(regOf(u));
}

/** What ROUND does by its immediate, RC being nearest: 0 up, 1 down, 2 to zero, 3 to nearest, as WebAssembly's scalar operations follow each other. */
@inline function roundingOf(n: i32): i32 {
  return n & 4 ? 3 : (n & 3) == 0 ? 3 : (n & 3) == 1 ? 1 : (n & 3) == 2 ? 0 : 2;
}

/** ROUND of the low element. */
function round(u: usize, h: u32, wide: bool): void {
  const a = slotA(wide), r = slotR(wide);
  lowW(u, h, wide);
  localTee(a);
  byte((wide ? Float.f64ceil : Float.f32ceil) + roundingOf(immediateOf(u)));
  localSet(r);
  if (h || !plainLow(rmOf(u), wide)) leaveIfDisordered(u, a, wide, false);
  setLow(u, r, wide);
}

/** ROUND of all. */
function roundAll(u: usize, h: u32, wide: bool): void {
  const a = scratch(Scratch.a), how = roundingOf(immediateOf(u));
  getW(u, h, 16);
  localSet(a);
  denormals(a, wide);
  localGet(a);
  localGet(a);
  simd(wide ? Simd.f64x2ne : Simd.f32x4ne);
  simd(Simd.or);
  simd(Simd.anyTrue);
  leaveToHelperIf(u, 0);
  localGet(a);
  if (!wide) simd(Simd.f32x4ceil + how);
  else simd(how == 0 ? Simd.f64x2ceil : how == 1 ? Simd.f64x2floor : how == 2 ? Simd.f64x2trunc : Simd.f64x2nearest);
  setV(u);
}

/** [v128] -> []: V, or only its low element. */
function setElements(u: usize, scalar: bool, wide: bool): void {
  if (scalar) {
    const m = scratch(Scratch.m);
    localSet(m);
    getV(u);
    localGet(m);
    if (wide) shuffle(0x1716151413121110, 0x0f0e0d0c0b0a0908);
    else shuffle(0x0706050413121110, 0x0f0e0d0c0b0a0908);
  }
  setV(u);
}

/** [] -> []: V and W to scratch locals; leaves if an element that counts is denormal or a NaN. */
function comparable(u: usize, h: u32, scalar: bool, wide: bool): void {
  const va = scratch(Scratch.a), vb = scratch(Scratch.b);
  getV(u);
  localSet(va);
  getW(u, h, scalar ? (wide ? 8 : 4) : 16);
  localSet(vb);
  if (scalar) {
    const a = slotA(wide), b = slotB(wide);
    localGet(va);
    lane(wide ? Simd.f64x2extract : Simd.f32x4extract, 0);
    localSet(a);
    localGet(vb);
    lane(wide ? Simd.f64x2extract : Simd.f32x4extract, 0);
    localSet(b);
    leaveUnlessOrdered(u, h, a, b, wide);
    return;
  }
  denormals(va, wide);
  denormals(vb, wide);
  simd(Simd.or);
  for (let i = 0; i < 2; i++) {
    const x = i ? vb : va;
    localGet(x);
    localGet(x);
    simd(wide ? Simd.f64x2ne : Simd.f32x4ne);
    simd(Simd.or);
  }
  simd(Simd.anyTrue);
  leaveToHelperIf(u, 0);
}

/** MIN, MAX: of two zeros the second operand. */
function extreme(u: usize, h: u32, greatest: bool, scalar: bool, wide: bool): void {
  comparable(u, h, scalar, wide);
  localGet(scratch(Scratch.b));
  localGet(scratch(Scratch.a));
  simd((wide ? Simd.f64x2pmin : Simd.f32x4pmin) + (greatest ? 1 : 0));
  const upper = jget(JitOff.plain64) & 2 << (regOf(u) << 1);
  setElements(u, scalar, wide);
  if (scalar && wide) jset(JitOff.plain64, jget(JitOff.plain64) | upper);
  if (scalar) markLow(regOf(u), wide);
}

/** CMPxx by an immediate predicate, of elements that are no NaNs. */
function compare(u: usize, h: u32, scalar: bool, wide: bool): void {
  const eq = wide ? Simd.f64x2eq : Simd.f32x4eq, predicate = immediateOf(u) & 7;
  comparable(u, h, scalar, wide);
  if ((predicate & 3) == 3) {
    if (predicate == 3) vector(0, 0);
    else vector(~(<u64>0), ~(<u64>0));
  } else {
    localGet(scratch(Scratch.a));
    localGet(scratch(Scratch.b));
    switch (predicate) {
      case 0: simd(eq); break;
      case 1: simd(eq + 2); break;
      case 2: simd(eq + 4); break;
      case 4: simd(eq + 1); break;
      case 5: simd(eq + 5); break;
      default: simd(eq + 3);
    }
  }
  setElements(u, scalar, wide);
}

/** [] -> []: the instruction of effect `e`. */
export function emitSseFloat(u: usize, e: usize, op: i32): void {
  const h = load<u32>(e, EffectOff.h), t = load<u32>(e, EffectOff.t);
  switch (op) {
    case Op.addsd: arithmetic(u, h, Arith.add, true); break;
    case Op.subsd: arithmetic(u, h, Arith.sub, true); break;
    case Op.mulsd: arithmetic(u, h, Arith.mul, true); break;
    case Op.divsd: arithmetic(u, h, Arith.div, true); break;
    case Op.addss: arithmetic(u, h, Arith.add, false); break;
    case Op.subss: arithmetic(u, h, Arith.sub, false); break;
    case Op.mulss: arithmetic(u, h, Arith.mul, false); break;
    case Op.divss: arithmetic(u, h, Arith.div, false); break;
    case Op.sqrtsd: root(u, h, true); break;
    case Op.sqrtss: root(u, h, false); break;
    case Op.addpd: packedArithmetic(u, h, Arith.add, true); break;
    case Op.subpd: packedArithmetic(u, h, Arith.sub, true); break;
    case Op.mulpd: packedArithmetic(u, h, Arith.mul, true); break;
    case Op.divpd: packedArithmetic(u, h, Arith.div, true); break;
    case Op.addps: packedArithmetic(u, h, Arith.add, false); break;
    case Op.subps: packedArithmetic(u, h, Arith.sub, false); break;
    case Op.mulps: packedArithmetic(u, h, Arith.mul, false); break;
    case Op.divps: packedArithmetic(u, h, Arith.div, false); break;
    case Op.ucomisd: order(u, h, t, load<i32>(e, EffectOff.a), true, true); break;
    case Op.ucomiss: order(u, h, t, load<i32>(e, EffectOff.a), false, true); break;
    case Op.comisd: order(u, h, t, load<i32>(e, EffectOff.a), true, false); break;
    case Op.comiss: order(u, h, t, load<i32>(e, EffectOff.a), false, false); break;
    case Op.minsd: extreme(u, h, false, true, true); break;
    case Op.maxsd: extreme(u, h, true, true, true); break;
    case Op.minss: extreme(u, h, false, true, false); break;
    case Op.maxss: extreme(u, h, true, true, false); break;
    case Op.minpd: extreme(u, h, false, false, true); break;
    case Op.maxpd: extreme(u, h, true, false, true); break;
    case Op.minps: extreme(u, h, false, false, false); break;
    case Op.maxps: extreme(u, h, true, false, false); break;
    case Op.haddpd: horizontal(u, h, Arith.add, true); break;
    case Op.haddps: horizontal(u, h, Arith.add, false); break;
    case Op.hsubpd: horizontal(u, h, Arith.sub, true); break;
    case Op.hsubps: horizontal(u, h, Arith.sub, false); break;
    case Op.addsubpd: alternating(u, h, true); break;
    case Op.addsubps: alternating(u, h, false); break;
    case Op.sqrtpd: roots(u, h, true); break;
    case Op.sqrtps: roots(u, h, false); break;
    case Op.roundsd: round(u, h, true); break;
    case Op.roundss: round(u, h, false); break;
    case Op.roundpd: roundAll(u, h, true); break;
    case Op.roundps: roundAll(u, h, false); break;
    case Op.cmpsd: compare(u, h, true, true); break;
    case Op.cmpss: compare(u, h, true, false); break;
    case Op.cmppd: compare(u, h, false, true); break;
    case Op.cmpps: compare(u, h, false, false); break;
    default: emitConversion(u, op, h, t, load<i32>(e, EffectOff.a));
  }
}
