/** Exchanges, and what LOCK is for: read-modify-writes that other processors, and event channels and grant words on other threads, see whole
 *  (SDM Vol.3A "Locked Atomic Operations").
 *  DEVIATION: an operand that is split over pages or not aligned, and device memory, is updated without atomicity. */
import { RecOff } from "../../abi/record";
import { Machine, Rmw } from "../machine";
import { Alu, Unary, aluOp, carryOp, countOp, fa, fb, Form, imm32, unaryOp } from "./alu";
import { BitTest } from "./bits";

/** Operations of Template.locked: those of Alu up to XOR, then these. */
export const enum Locked { xchg = 7, xadd, cmpxchg, inc, dec, not, neg }

function rmwOf(op: i32): Rmw {
  switch (op) {
    case Alu.add:
    case Alu.adc:
    case Locked.inc:
    case Locked.xadd: return Rmw.add;
    case Alu.sub:
    case Alu.sbb:
    case Locked.dec: return Rmw.sub;
    case Alu.or: return Rmw.or;
    case Alu.and: return Rmw.and;
    case Alu.xor:
    case Locked.not: return Rmw.xor;
    case Locked.neg: return Rmw.neg;
    default: return Rmw.xchg;
  }
}

/** Forms: mr, mrb (also those with one operand), mi, mib. XCHG with memory comes here with LOCK and without. An emitter may leave behind the
 *  exchange, with the instruction complete: what is asked of the old flags is asked before. */
export function locked<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  if (op == Locked.cmpxchg) return cmpxchgMemory<M, V>(m, u, w, f, true);
  const at = m.ea(u, f >= Form.rmb);
  m.wantAligned(at, w, u);
  const s = m.hostW(at, w, u);
  if (m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at), a = fa(u), rmw = rmwOf(op);
  if (op == Locked.inc || op == Locked.dec) {
    const c = m.carry(), old = m.sext(m.exchange(rmw, h, w, m.imm(1), m.imm(1)), w);
    countOp<M, V>(m, op - Locked.inc, w, old, c);
    return u + RecOff.SIZE;
  }
  const b = op >= Locked.inc ? m.imm(-1) : f == Form.mi || f == Form.mib ? m.imm(imm32(u)) : m.regS(a, w);
  if (op == Alu.adc || op == Alu.sbb) {
    const c = m.carry(), x = m.add(b, c);
    carryOp<M, V>(m, op, w, m.sext(m.exchange(rmw, h, w, x, x), w), b, c);
    return u + RecOff.SIZE;
  }
  const old = m.sext(m.exchange(rmw, h, w, b, b), w);
  if (op == Locked.neg) unaryOp<M, V>(m, Unary.neg, w, old);
  else if (op != Locked.xchg && op != Locked.not) aluOp<M, V>(m, op == Locked.xadd ? Alu.add : op, w, old, b);
  if (op == Locked.xchg || op == Locked.xadd) m.setReg(a, w, old);
  return u + RecOff.SIZE;
}

/** BTS, BTR, BTC; forms as in bitTest. */
export function lockedBit<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  const simple = f >= Form.rmb, last = w * 8 - 1;
  let at: V, n: V;
  if (f == Form.mi || f == Form.mib) {
    at = m.ea(u, simple);
    n = m.imm(imm32(u) & <i64>last);
  } else {
    const index = m.regS(fa(u), w);
    at = m.eaBy(u, simple, m.and(m.sarBy(index, 3), m.imm(-w)));
    n = m.and(index, m.imm(last));
  }
  m.wantAligned(at, w, u);
  const s = m.hostW(at, w, u);
  if (m.faultedW(s, at, w, u)) return m.fault(u);
  const bit = m.shl(m.imm(1), n), x = op == BitTest.btr ? m.xor(bit, m.imm(-1)) : bit;
  const old = m.exchange(op == BitTest.bts ? Rmw.or : op == BitTest.btr ? Rmw.and : Rmw.xor, m.host(s, at), w, x, x);
  m.setCarry(m.and(m.shr(old, n), m.imm(1)));
  return u + RecOff.SIZE;
}

/** What CMPXCHG leaves in register `r`: `x` if `c` holds, else nothing changes, not even the upper half. */
@inline function setRegIf<M extends Machine<V>, V>(m: M, r: usize, w: i32, other: bool, equal: i32, x: V): void {
  const whole = w < 4 ? w : 8, old = m.reg(r, whole), now = m.zext(x, w);
  m.setReg(r, whole, other ? m.select(equal, old, now) : m.select(equal, now, old));
}

function cmpxchgMemory<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32, lock: bool): usize {
  const at = m.ea(u, f >= Form.rmb);
  if (lock) m.wantAligned(at, w, u);
  const s = m.hostW(at, w, u);
  if (m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at), a = m.regS(0, w), x = m.reg(fa(u), w);
  const old = m.sext(lock ? m.exchange(Rmw.cmpxchg, h, w, x, m.zext(a, w)) : m.load(h, w), w), equal = m.compare(4, a, old, a);
  if (!lock) m.store(h, w, m.select(equal, x, old));
  aluOp<M, V>(m, Alu.cmp, w, a, old);
  setRegIf<M, V>(m, 0, w, true, equal, old);
  return u + RecOff.SIZE;
}

/** CMPXCHG without LOCK. */
export function cmpxchg<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32): usize {
  if (f != Form.rr) return cmpxchgMemory<M, V>(m, u, w, f, false);
  const to = fa(u), a = m.regS(0, w), old = m.regS(to, w), x = m.reg(fb(u), w), equal = m.compare(4, a, old, a);
  aluOp<M, V>(m, Alu.cmp, w, a, old);
  setRegIf<M, V>(m, 0, w, true, equal, old);
  setRegIf<M, V>(m, to, w, false, equal, x);
  return u + RecOff.SIZE;
}

/** XADD without LOCK. */
export function xadd<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32): usize {
  const a = fa(u);
  if (f == Form.rr) {
    const old = m.regS(a, w), sum = aluOp<M, V>(m, Alu.add, w, old, m.regS(fb(u), w));
    m.setReg(fb(u), w, old);
    m.setReg(a, w, sum);
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, f >= Form.rmb), s = m.hostW(at, w, u);
  if (m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at), old = m.loadS(h, w);
  m.store(h, w, aluOp<M, V>(m, Alu.add, w, old, m.regS(a, w)));
  m.setReg(a, w, old);
  return u + RecOff.SIZE;
}
