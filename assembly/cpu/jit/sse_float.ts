/** Code of floating-point SSE instructions. WebAssembly's operation is used where it is the whole story, as in semantics/fp.ts: then nothing
 *  is to be noted in MXCSR. The result alone shows most of what would be: a NaN, an infinity, a tiny or a zero result comes from such operands
 *  or raises something. What it does not show are denormal operands; elements known to be plain (zero or normal) are not looked at again.
 *  Zeros are the one such result that is frequent: they are looked at once more before code leaves. */
import { Op } from "../opcodes.gen";
import { imm as immediateOf } from "../operand";
import { Arith } from "../semantics/ieee";
import { Wasm, WasmType, byte, hint, i64const, localGet, localSet, localTee } from "./buffer";
import { EffectOff, hostOf } from "./effect";
import { Float } from "./simd";
import { emitConversion } from "./sse_convert";
import { leaveToHelperIf, regOf, rmOf } from "./sse_emit";
import { findPlain } from "./sse_flow";
import { isBounded } from "./sse_mode";
import {
  beginExact, endExact, exponentOutside, head, leaveIfDenormal, leaveIfDisordered, leaveUnlessNear, leaveUnlessOrdered, lowV, lowW, notZero, outside, setLow, slotA, slotB, slotR, unsafe,
} from "./sse_plain";
import { Ask, askedBounds, boundsOf, markAsked, markLow, plainBounds, plainLow, resultBounds, rootBounds, toAsk } from "./sse_range";
import { alternating, compare, extreme, horizontal, packedArithmetic, roots, roundAll, roundingOf } from "./sse_vector";
import { Scratch, scratch } from "./xmm";

/** [] -> []: while PE is not noted yet, leaves unless the sum, difference or product is exact. May leave when in doubt. */
function leaveUnlessExact(u: usize, op: i32, wide: bool): void {
  const a = slotA(wide), b = slotB(wide), r = slotR(wide), v = scratch(wide ? Scratch.f64v : Scratch.f32v), add = wide ? Float.f64add : Float.f32add;
  if (!beginExact()) return;
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
  if (isBounded()) {
    const x = boundsOfResult(u, h, op, a, b, wide);
    if (op != Arith.div) leaveUnlessExact(u, op, wide);
    setLow(u, r, wide, x);
    return;
  }
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
  setLow(u, r, wide, plainBounds(wide));
  if (!h && m != n && !knownB) markLow(m, wide, plainBounds(wide));
}

/** [] -> []: leaves unless the operands in `a` and `b` are such that their result is in range, as the bounds returned say. */
function boundsOfResult(u: usize, h: u32, op: i32, a: u32, b: u32, wide: bool): i64 {
  const n = regOf(u), m = rmOf(u), near = askedBounds(wide), one = !h && m == n;
  let x: i64 = 0, y: i64 = 0;
  if (findPlain(u, n, wide)) x = boundsOf(n, wide);
  else {
    leaveUnlessNear(u, a, wide);
    markAsked(n, wide);
    x = near;
  }
  if (one) y = x;
  else if (!h && findPlain(u, m, wide)) y = boundsOf(m, wide);
  else {
    leaveUnlessNear(u, b, wide);
    y = near;
    if (!h) markAsked(m, wide);
  }
  const ask = toAsk(op, x, y, wide, one);
  if (ask & Ask.left) {
    leaveUnlessNear(u, a, wide);
    x = near;
    if (one) y = x;
  }
  if (ask & Ask.right) {
    leaveUnlessNear(u, b, wide);
    y = near;
    if (!h) markAsked(m, wide);
  }
  if (op == Arith.div) {
    notZero(b, wide);
    byte(Wasm.i32eqz);
    leaveToHelperIf(u, 0);
  }
  return resultBounds(op, x, y, wide);
}

/** SQRT of the low element of W. */
function root(u: usize, h: u32, wide: bool): void {
  const a = slotA(wide), r = slotR(wide), x = !h && plainLow(rmOf(u), wide) ? boundsOf(rmOf(u), wide) : plainBounds(wide);
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
  setLow(u, r, wide, rootBounds(x, wide));
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

/** ROUND of the low element. */
function round(u: usize, h: u32, wide: bool): void {
  const a = slotA(wide), r = slotR(wide);
  lowW(u, h, wide);
  localTee(a);
  byte((wide ? Float.f64ceil : Float.f32ceil) + roundingOf(immediateOf(u)));
  localSet(r);
  if (h || !plainLow(rmOf(u), wide)) leaveIfDisordered(u, a, wide, false);
  setLow(u, r, wide, plainBounds(wide));
}

/** [] -> []: the instruction of effect `e`. */
export function emitSseFloat(u: usize, e: usize, op: i32): void {
  const h = hostOf(e), t = load<u32>(e, EffectOff.t);
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
