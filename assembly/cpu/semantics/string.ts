/** MOVS, STOS and LODS without REP, in flat segments, at the address size of the code (SDM Vol.2); the rest of the string
 *  instructions is helpers/string. The record's mask is that of the address size. */
import { RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { Machine } from "../machine";

@inline function mask<M extends Machine<V>, V>(m: M, u: usize): V { return m.imm(load<i64>(u, RecOff.mask)); }
@inline function address<M extends Machine<V>, V>(m: M, u: usize, r: usize): V { return m.and(m.reg(r, 8), mask<M, V>(m, u)); }

/** Moves address register `r`, at `x`, to its next element. */
@inline function advance<M extends Machine<V>, V>(m: M, u: usize, r: usize, x: V, w: i32): void {
  m.setReg(r, 8, m.and(m.stringStep(x, w), mask<M, V>(m, u)));
}

@inline export function movs<M extends Machine<V>, V>(m: M, u: usize, w: i32): usize {
  const from = address<M, V>(m, u, Gpr.rsi * 8), s = m.hostR(from, w, u);
  if (m.faulted(s, from, w, u)) return m.fault(u);
  const x = m.load(m.host(s, from), w);
  const to = address<M, V>(m, u, Gpr.rdi * 8), d = m.hostW(to, w, u);
  if (m.faultedW(d, to, w, u)) return m.fault(u);
  m.store(m.host(d, to), w, x);
  advance<M, V>(m, u, Gpr.rsi * 8, from, w);
  advance<M, V>(m, u, Gpr.rdi * 8, to, w);
  return u + RecOff.SIZE;
}

@inline export function stos<M extends Machine<V>, V>(m: M, u: usize, w: i32): usize {
  const to = address<M, V>(m, u, Gpr.rdi * 8), d = m.hostW(to, w, u);
  if (m.faultedW(d, to, w, u)) return m.fault(u);
  m.store(m.host(d, to), w, m.reg(0, w));
  advance<M, V>(m, u, Gpr.rdi * 8, to, w);
  return u + RecOff.SIZE;
}

@inline export function lods<M extends Machine<V>, V>(m: M, u: usize, w: i32): usize {
  const from = address<M, V>(m, u, Gpr.rsi * 8), s = m.hostR(from, w, u);
  if (m.faulted(s, from, w, u)) return m.fault(u);
  const x = m.load(m.host(s, from), w);
  m.setReg(0, w, x);
  advance<M, V>(m, u, Gpr.rsi * 8, from, w);
  return u + RecOff.SIZE;
}
