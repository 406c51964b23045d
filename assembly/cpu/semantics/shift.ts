/** Shifts by a constant on the hot path (SHL, SHR, SAR of registers and memory); rotates and variable counts go to
 *  helpers/shift, which both tiers call. */
import { FlagsKind } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Machine } from "../machine";
import { fa, Form, imm32 } from "./alu";

export const enum Shift { rol, ror, rcl, rcr, shl, shr, sal, sar }

/** `n` is 1..31, or 1..63 when w is 8. OF is defined for n = 1 only and follows that rule for all n. */
@inline export function shiftOp<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V, n: i32): V {
  const top = w * 8 - 1;
  if (op == Shift.shr) {
    const x = m.zext(a, w), r = m.sext(m.shrBy(x, n), w);
    const c = m.and(m.shrBy(x, n - 1), m.imm(1));
    // OF is the operand's sign
    m.setFlagsCarry(FlagsKind.shift, r, a, a, m.or(c, m.shlBy(m.and(m.shrBy(x, top), m.imm(1)), 1)));
    return r;
  }
  if (op == Shift.sar) {
    const x = m.sext(a, w), r = m.sarBy(x, n);
    m.setFlagsCarry(FlagsKind.shift, r, a, a, m.and(m.sarBy(x, n - 1), m.imm(1)));
    return r;
  }
  const x = m.zext(a, w), r = m.sext(m.shlBy(x, n), w);
  // the last bit shifted out is at the top of a << (n - 1)
  const c = m.and(m.shrBy(m.shlBy(x, n - 1), top), m.imm(1));
  m.setFlagsCarry(FlagsKind.shift, r, a, a, m.or(c, m.shlBy(m.xor(c, m.and(m.shrBy(r, 63), m.imm(1))), 1)));
  return r;
}

/** ROL, ROR of 32 and 64 bits: CF and OF change, the other flags stay. */
@inline export function rotateOp<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V, n: i32): V {
  const x = m.zext(a, w), bits = w * 8, k = op == Shift.rol ? n : bits - n;
  const r = m.or(m.shlBy(x, k), m.shrBy(x, bits - k));
  m.rotateFlags(op == Shift.ror, m.zext(r, w), bits);
  return r;
}

@inline export function shift<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  const n = <i32>imm32(u);
  if (f == Form.ri) {
    const a = fa(u);
    m.setReg(a, w, op < Shift.rcl ? rotateOp<M, V>(m, op, w, m.reg(a, w), n) : shiftOp<M, V>(m, op, w, m.reg(a, w), n));
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, f >= Form.rmb), s = m.hostW(at, w, u);
  if (m.faulted(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at);
  m.store(h, w, op < Shift.rcl ? rotateOp<M, V>(m, op, w, m.load(h, w), n) : shiftOp<M, V>(m, op, w, m.load(h, w), n));
  return u + RecOff.SIZE;
}
