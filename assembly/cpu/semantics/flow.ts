/** Near jumps, calls and returns, and compare-and-branch pairs run as one (SDM Vol.2). A fused pair keeps both records: only
 *  the first one's handler differs, so the second still stands for itself after a resync. */
import { FlagsKind } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Machine } from "../machine";
import { fa, fb, Form, imm32 } from "./alu";

@inline export function jcc<M extends Machine<V>, V>(m: M, u: usize, cc: i32): usize {
  return m.branch(u, m.cond(cc));
}

/** CMP + Jcc; the branch is the next record. */
@inline export function cmpj<M extends Machine<V>, V>(m: M, u: usize, cc: i32, w: i32, f: i32): usize {
  let a: V, b: V;
  if (f == Form.rr || f == Form.ri) {
    a = m.regS(fa(u), w);
    b = f == Form.ri ? m.imm(imm32(u)) : m.regS(fb(u), w);
  } else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const h = m.host(s, at);
    const x = m.loadS(h, w);
    if (f == Form.rm || f == Form.rmb) {
      a = m.regS(fa(u), w);
      b = x;
    } else {
      a = x;
      b = f == Form.mi || f == Form.mib ? m.imm(imm32(u)) : m.regS(fa(u), w);
    }
  }
  const r = m.sext(m.sub(a, b), w);
  m.setFlags(FlagsKind.sub, r, a, b);
  return m.branch(u + RecOff.SIZE, m.compare(cc, a, b, r));
}

/** TEST + Jcc for the conditions on ZF and SF. */
@inline export function testj<M extends Machine<V>, V>(m: M, u: usize, cc: i32, w: i32, f: i32): usize {
  let r: V;
  if (f == Form.rr || f == Form.ri) r = m.and(m.regS(fa(u), w), f == Form.ri ? m.imm(imm32(u)) : m.regS(fb(u), w));
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const h = m.host(s, at);
    r = m.and(m.loadS(h, w), f == Form.mi || f == Form.mib ? m.imm(imm32(u)) : m.regS(fa(u), w));
  }
  m.setFlags(FlagsKind.logic, r, r, r);
  return m.branch(u + RecOff.SIZE, m.compare(cc, r, m.imm(0), r));
}

@inline export function jmp<M extends Machine<V>, V>(m: M, u: usize): usize {
  return m.goto(u);
}

@inline export function call<M extends Machine<V>, V>(m: M, u: usize, w: i32): usize {
  const sp = m.stackAt(-w, w), s = m.stackHostW(sp, w, u);
  if (m.faultedW(s, sp, w, u)) return m.fault(u);
  const h = m.host(s, sp);
  if (m.badDirect(w, u)) return 0;
  m.store(h, w, m.nextRip(u));
  m.setStack(sp, w);
  return m.goto(u);
}

/** Indirect CALL and JMP through a register or memory. */
@inline export function jmpInd<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32): usize {
  let to: V;
  if (f == Form.rr) to = m.reg(fa(u), w);
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const h = m.host(s, at);
    to = m.load(h, w);
  }
  const found = m.lookUp(to, w);
  if (m.unknown(found, to, w)) return m.fault(u);
  if (m.badTarget(to, w, u)) return 0;
  return m.jumpFrom(u, to, found, w);
}

@inline export function callInd<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32): usize {
  let to: V;
  if (f == Form.rr) to = m.reg(fa(u), w);
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const from = m.host(s, at);
    to = m.load(from, w);
  }
  const sp = m.stackAt(-w, w), s = m.stackHostW(sp, w, u);
  if (m.faultedW(s, sp, w, u)) return m.fault(u);
  const h = m.host(s, sp);
  const found = m.lookUp(to, w);
  if (m.unknown(found, to, w)) return m.fault(u);
  if (m.badTarget(to, w, u)) return 0;
  m.store(h, w, m.nextRip(u));
  m.setStack(sp, w);
  return m.jumpFrom(u, to, found, w);
}

/** RET and RET Iw: the immediate is added after the pop. */
@inline export function ret<M extends Machine<V>, V>(m: M, u: usize, w: i32): usize {
  const sp = m.stackAt(0, w), s = m.stackHostR(sp, w);
  if (m.faulted(s, sp, w, u)) return m.fault(u);
  const h = m.host(s, sp);
  const to = m.load(h, w);
  const found = m.lookUp(to, w);
  if (m.unknown(found, to, w)) return m.fault(u);
  if (m.badTarget(to, w, u)) return 0;
  m.setStack(m.stackAt(<i64>w + imm32(u), w), w);
  return m.jumpTo(to, found, w);
}
