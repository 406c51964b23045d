/** PUSH, POP, LEAVE (SDM Vol.2B). RSP is committed last: a fault leaves it unchanged. */
import { RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { Machine } from "../machine";
import { fa, Form, imm32 } from "./alu";

@inline export function push<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32): usize {
  let x: V;
  if (f == Form.rr) x = m.reg(fa(u), w);
  else if (f == Form.ri) x = m.immediate(u, imm32(u));
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const from = m.host(s, at);
    x = m.load(from, w);
  }
  const sp = m.stackAt(-w, w), s = m.stackHostW(sp, w, u);
  if (m.faultedW(s, sp, w, u)) return m.fault(u);
  const h = m.host(s, sp);
  m.store(h, w, x);
  m.setStack(sp, w);
  return u + RecOff.SIZE;
}

/** POP to a register. POP SP keeps the popped value: the increment comes first. */
@inline export function pop<M extends Machine<V>, V>(m: M, u: usize, w: i32): usize {
  const sp = m.stackAt(0, w), s = m.stackHostR(sp, w);
  if (m.faulted(s, sp, w, u)) return m.fault(u);
  const h = m.host(s, sp);
  const x = m.load(h, w);
  m.setStack(m.stackAt(w, w), w);
  m.setReg(fa(u), w, x);
  return u + RecOff.SIZE;
}

/** LEAVE: SP := BP at stack width, then POP BP. */
@inline export function leave<M extends Machine<V>, V>(m: M, u: usize, w: i32): usize {
  const bp = m.stackWrap(m.reg(Gpr.rbp * 8, 8), w), s = m.stackHostR(bp, w);
  if (m.faulted(s, bp, w, u)) return m.fault(u);
  const h = m.host(s, bp);
  const x = m.load(h, w);
  m.setStack(m.stackWrap(m.add(bp, m.imm(w)), w), w);
  m.setReg(Gpr.rbp * 8, w, x);
  return u + RecOff.SIZE;
}
