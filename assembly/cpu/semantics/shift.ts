/** Shifts, rotates and double shifts (SDM Vol.2B). Counts are masked to 5 bits, 6 for 64-bit operands; a count of 0 changes nothing. The
 *  decoder leaves rotates through carry by more than 1, and immediate counts of 0, to helpers/shift. AF after shifts is undefined and
 *  cleared; OF is defined for a count of 1 and follows that rule always. */
import { FlagsKind } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { Machine } from "../machine";
import { fa, fb, Form, imm32 } from "./alu";

export const enum Shift { rol, ror, rcl, rcr, shl, shr, sal, sar }

/** `n` is masked, and not 0 as far as the flags are concerned. */
@inline export function shiftOp<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V, n: V): V {
  const top = w * 8 - 1;
  if (op == Shift.shr) {
    const x = m.zext(a, w), r = m.sext(m.shr(x, n), w);
    const c = m.and(m.shr(x, m.sub(n, m.imm(1))), m.imm(1));
    // OF is the operand's sign
    m.setFlagsCarry(FlagsKind.shift, r, a, a, m.or(c, m.shlBy(m.and(m.shrBy(x, top), m.imm(1)), 1)));
    return r;
  }
  if (op == Shift.sar) {
    const x = m.sext(a, w), r = m.sar(x, n);
    m.setFlagsCarry(FlagsKind.shift, r, a, a, m.and(m.sar(x, m.sub(n, m.imm(1))), m.imm(1)));
    return r;
  }
  const x = m.zext(a, w), r = m.sext(m.shl(x, n), w);
  // the last bit shifted out is at the top of a << (n - 1)
  const c = m.and(m.shrBy(m.shl(x, m.sub(n, m.imm(1))), top), m.imm(1));
  m.setFlagsCarry(FlagsKind.shift, r, a, a, m.or(c, m.shlBy(m.xor(c, m.and(m.shrBy(r, 63), m.imm(1))), 1)));
  return r;
}

/** Of bytes and words, by any count. */
@inline function rotateNarrow<M extends Machine<V>, V>(m: M, right: bool, bits: i32, x: V, n: V): V {
  const k = m.and(n, m.imm(bits - 1)), other = m.sub(m.imm(bits), k);
  return right ? m.or(m.shr(x, k), m.shl(x, other)) : m.or(m.shl(x, k), m.shr(x, other));
}

/** ROL, ROR: CF and OF change, the other flags stay. */
@inline export function rotateOp<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V, n: V): V {
  const x = m.zext(a, w), bits = w * 8, right = op == Shift.ror, r = w < 4 ? rotateNarrow<M, V>(m, right, bits, x, n) : m.rotate(right, x, n, w);
  m.rotateFlags(right, m.zext(r, w), bits);
  return r;
}

/** RCL, RCR by 1. */
@inline function rotateCarryOp<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V): V {
  const x = m.zext(a, w), top = w * 8 - 1, one = m.imm(1), old = m.carry();
  if (op == Shift.rcl) {
    const r = m.or(m.shlBy(x, 1), old), c = m.shrBy(x, top);
    m.setCarryOverflow(c, m.xor(c, m.and(m.shrBy(r, top), one)));
    return r;
  }
  m.setCarryOverflow(m.and(x, one), m.xor(old, m.shrBy(x, top)));
  return m.or(m.shrBy(x, 1), m.shlBy(old, top));
}

@inline function shifted<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V, n: V): V {
  if (op < Shift.rcl) return rotateOp<M, V>(m, op, w, a, n);
  return op < Shift.shl ? rotateCarryOp<M, V>(m, op, w, a) : shiftOp<M, V>(m, op, w, a, n);
}

/** By an immediate that is not 0. */
@inline export function shift<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  const n = m.imm(imm32(u));
  if (f == Form.ri) {
    const a = fa(u);
    m.setReg(a, w, shifted<M, V>(m, op, w, m.reg(a, w), n));
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, f >= Form.rmb), s = m.hostW(at, w, u);
  if (m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at);
  m.store(h, w, shifted<M, V>(m, op, w, m.load(h, w), n));
  return u + RecOff.SIZE;
}

@inline function countMask(w: i32): i64 { return w == 8 ? 63 : 31; }
@inline function countInCl<M extends Machine<V>, V>(m: M, w: i32): V { return m.and(m.reg(Gpr.rcx * 8, 1), m.imm(countMask(w))); }

/** `a` shifted or rotated by CL: flags only change if the count is not 0. */
function byCl<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V): V {
  const n = countInCl<M, V>(m, w), none = m.compare(4, n, m.imm(0), n);
  if (m.flagsKept(none)) return a;
  const r = op < Shift.rcl ? rotateOp<M, V>(m, op, w, a, n) : shiftOp<M, V>(m, op, w, a, n);
  m.flagsChanged(none);
  return r;
}

export function shiftCl<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  if (f == Form.rr) {
    const a = fa(u);
    m.setReg(a, w, byCl<M, V>(m, op, w, m.reg(a, w)));
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, f >= Form.rmb), s = m.hostW(at, w, u);
  if (m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at);
  m.store(h, w, byCl<M, V>(m, op, w, m.load(h, w)));
  return u + RecOff.SIZE;
}

/** SHLD, SHRD of `a`, filled from `b`; `n` as in shiftOp. For words and counts above 16 the result is undefined; it is what a 32-bit rotation of
 *  a:b:a gives, as processors do. */
function doubleOp<M extends Machine<V>, V>(m: M, right: bool, w: i32, a: V, b: V, n: V): V {
  const x = m.zext(a, w), y = m.zext(b, w), bits = w * 8, one = m.imm(1), before = m.sub(n, one);
  let r: V, c: V;
  if (w == 2) {
    const wide = m.or(m.or(m.shlBy(x, 32), m.shlBy(y, 16)), x);
    r = right ? m.shr(wide, n) : m.shrBy(m.shl(wide, n), 32);
    c = right ? m.shr(wide, before) : m.shrBy(m.shl(wide, before), 47);
  } else if (right) {
    // b moves in two steps: 64 bits at once would be none
    r = m.or(m.shr(x, n), m.shl(m.shlBy(y, 1), m.sub(m.imm(bits - 1), n)));
    c = m.shr(x, before);
  } else {
    r = m.or(m.shl(x, n), m.shr(m.shrBy(y, 1), m.sub(m.imm(bits - 1), n)));
    c = m.shrBy(m.shl(x, before), bits - 1);
  }
  r = m.sext(r, w);
  c = m.and(c, one);
  const changed = m.and(m.xor(m.shrBy(r, 63), m.shrBy(x, bits - 1)), one);
  m.setFlagsCarry(FlagsKind.shift, r, r, r, m.or(c, m.shlBy(changed, 1)));
  return r;
}

/** `op`: 1 right, 2 by CL. */
function doubleShifted<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, a: V, b: V): V {
  const right = (op & 1) != 0;
  if (!(op & 2)) return doubleOp<M, V>(m, right, w, a, b, m.imm(imm32(u) & countMask(w)));
  const n = countInCl<M, V>(m, w), none = m.compare(4, n, m.imm(0), n);
  if (m.flagsKept(none)) return a;
  const r = doubleOp<M, V>(m, right, w, a, b, n);
  m.flagsChanged(none);
  return r;
}

export function doubleShift<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  if (f == Form.rr) {
    const a = fa(u);
    m.setReg(a, w, doubleShifted<M, V>(m, u, op, w, m.reg(a, w), m.reg(fb(u), w)));
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, f >= Form.rmb), s = m.hostW(at, w, u);
  if (m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at);
  m.store(h, w, doubleShifted<M, V>(m, u, op, w, m.load(h, w), m.reg(fa(u), w)));
  return u + RecOff.SIZE;
}
