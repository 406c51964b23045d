/** Code of floating-point SSE instructions on all elements, and of those that choose between elements. */
import { imm as immediateOf } from "../operand";
import { Arith } from "../semantics/ieee";
import { Wasm, WasmType, byte, hint, i32const, localGet, localSet, localTee } from "./buffer";
import { Simd, lane, shuffle, simd, vector } from "./simd";
import { getV, getW, leaveInDoubt, leaveToHelperIf, regOf, rmOf, setV } from "./sse_emit";
import { Doubt, isBounded } from "./sse_mode";
import { leaveUnlessOrdered, slotA, slotB } from "./sse_plain";
import { Ask, asked, askedBounds, boundsOf, markAll, markLow, plainAll, plainBounds, resultBounds, rootBounds, toAsk, union } from "./sse_range";
import { Scratch, scratch } from "./xmm";

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
function denormals(x: u32, wide: bool): void {
  magnitude(x, wide);
  least(wide);
  simd(wide ? Simd.f64x2lt : Simd.f32x4lt);
  localGet(x);
  vector(0, 0);
  simd(wide ? Simd.f64x2ne : Simd.f32x4ne);
  simd(Simd.and);
}
/** [] -> [v128]: elements that are normal and not the smallest such number. */
function safes(x: u32, wide: bool): void {
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

/** [] -> [v128]: 2^n in all elements, or the number after the largest. */
function power(n: i32, wide: bool): void {
  const x: u64 = wide ? <u64>(n + 1023) << 52 : <u64>(n + 127) << 23 | <u64>(n + 127) << 55;
  vector(x, x);
}

/** [] -> []: leaves, for a reason that counts, unless all elements are zero or within askedBounds. */
function leaveUnlessAllNear(u: usize, x: u32, wide: bool): void {
  const far = asked(wide);
  for (let again = false; ; again = true) {
    magnitude(x, wide);
    power(-far, wide);
    simd(wide ? Simd.f64x2ge : Simd.f32x4ge);
    magnitude(x, wide);
    power(far, wide);
    simd(wide ? Simd.f64x2lt : Simd.f32x4lt);
    simd(Simd.and);
    if (again) break;
    notAll(wide);
    hint(false);
    byte(Wasm.if_);
    byte(WasmType.void_);
  }
  zeroes(x, wide);
  simd(Simd.or);
  notAll(wide);
  leaveInDoubt(u, Doubt.range, 1);
  byte(Wasm.end);
}

/** [] -> []: leaves unless the operands in scratch a and b, of which `x` and `y` say the bounds, 0 if nothing is known, are such that the results are in
 *  range, as the bounds returned say; of a divisor, that it has no zeros. */
function boundsOfResults(u: usize, op: i32, wide: bool, x: i64, y: i64): i64 {
  const near = askedBounds(wide);
  let ask: u32 = (x ? 0 : Ask.left) | (y ? 0 : Ask.right);
  if (!x) x = near;
  if (!y) y = near;
  ask |= toAsk(op, x, y, wide, false);
  if (ask & Ask.left) { leaveUnlessAllNear(u, scratch(Scratch.a), wide); x = near; }
  if (ask & Ask.right) { leaveUnlessAllNear(u, scratch(Scratch.b), wide); y = near; }
  if (op == Arith.div) {
    zeroes(scratch(Scratch.b), wide);
    simd(Simd.anyTrue);
    leaveToHelperIf(u, 0);
  }
  return resultBounds(op, x, y, wide);
}

/** [] -> []: V becomes the operation's result of scratch a and b, whose bounds are `x` and `y`, 0 if nothing is known of them. */
function packedResult(u: usize, op: i32, wide: bool, x: i64, y: i64): void {
  const a = scratch(Scratch.a), b = scratch(Scratch.b), r = scratch(Scratch.r);
  localGet(a);
  localGet(b);
  simd((wide ? Simd.f64x2add : Simd.f32x4add) + op);
  localSet(r);
  if (isBounded()) {
    const z = boundsOfResults(u, op, wide, x, y);
    localGet(r);
    setV(u);
    markAll(regOf(u), wide, z);
    return;
  }
  leaveIfDenormals(u, a, b, x != 0, y != 0, wide);
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
  markAll(regOf(u), wide, plainBounds(wide));
}

export function packedArithmetic(u: usize, h: u32, op: i32, wide: bool): void {
  const n = regOf(u), m = rmOf(u);
  const x: i64 = plainAll(n, wide) ? boundsOf(n, wide) : 0, y: i64 = !h && plainAll(m, wide) ? boundsOf(m, wide) : 0;
  getV(u);
  localSet(scratch(Scratch.a));
  getW(u, h, 16);
  localSet(scratch(Scratch.b));
  packedResult(u, op, wide, x, y);
  if (!h && m != n && !y) markAll(m, wide, isBounded() ? askedBounds(wide) : plainBounds(wide));
}

/** HADD, HSUB: neighbours of the concatenation of V and W. */
export function horizontal(u: usize, h: u32, op: i32, wide: bool): void {
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
  packedResult(u, op, wide, 0, 0);
}

/** ADDSUB: a sum whose even second operands have the other sign. */
export function alternating(u: usize, h: u32, wide: bool): void {
  getV(u);
  localSet(scratch(Scratch.a));
  getW(u, h, 16);
  if (wide) vector(0x8000000000000000, 0);
  else vector(0x80000000, 0x80000000);
  simd(Simd.xor);
  localSet(scratch(Scratch.b));
  packedResult(u, Arith.add, wide, 0, 0);
}

/** SQRT of all elements, which are normal and positive, or zeros. */
export function roots(u: usize, h: u32, wide: bool): void {
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
  markAll(regOf(u), wide, rootBounds(plainBounds(wide), wide));
}

/** What ROUND does by its immediate, RC being nearest: 0 up, 1 down, 2 to zero, 3 to nearest, as WebAssembly's scalar operations follow each other. */
@inline export function roundingOf(n: i32): i32 {
  return n & 4 ? 3 : (n & 3) == 0 ? 3 : (n & 3) == 1 ? 1 : (n & 3) == 2 ? 0 : 2;
}

/** ROUND of all. */
export function roundAll(u: usize, h: u32, wide: bool): void {
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
export function extreme(u: usize, h: u32, greatest: bool, scalar: bool, wide: bool): void {
  comparable(u, h, scalar, wide);
  localGet(scratch(Scratch.b));
  localGet(scratch(Scratch.a));
  simd((wide ? Simd.f64x2pmin : Simd.f32x4pmin) + (greatest ? 1 : 0));
  const n = regOf(u), x = !scalar ? 0 : h ? plainBounds(wide) : union(boundsOf(n, wide), boundsOf(rmOf(u), wide));
  setElements(u, scalar, wide);
  if (scalar) markLow(n, wide, x);
}

/** CMPxx by an immediate predicate, of elements that are no NaNs. */
export function compare(u: usize, h: u32, scalar: bool, wide: bool): void {
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
