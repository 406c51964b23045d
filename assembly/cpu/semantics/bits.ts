/** Bit tests, scans, counts and byte swaps (SDM Vol.2). */
import { FlagsKind } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Machine } from "../machine";
import { fa, fb, Form, imm32 } from "./alu";

export const enum BitTest { bt, bts, btr, btc }
export const enum Scan { bsf, bsr, tzcnt, lzcnt, popcnt }

/** Bit `n` of `x` as it was goes to CF, the other flags (undefined but ZF, which is kept) stay; the new value of `x`. */
@inline function bitOp<M extends Machine<V>, V>(m: M, op: i32, x: V, n: V): V {
  m.setCarry(m.and(m.shr(x, n), m.imm(1)));
  if (op == BitTest.bt) return x;
  const bit = m.shl(m.imm(1), n);
  if (op == BitTest.bts) return m.or(x, bit);
  return op == BitTest.btr ? m.and(x, m.xor(bit, m.imm(-1))) : m.xor(x, bit);
}

/** BT, BTS, BTR, BTC without LOCK: forms ri and mi, mib by an immediate, rr and mr, mrb by a register. A register is a signed bit
 *  offset into memory, in units of the operand size. */
@inline export function bitTest<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  const last = w * 8 - 1;
  if (f == Form.rr || f == Form.ri) {
    const a = fa(u), n = f == Form.ri ? m.imm(imm32(u) & <i64>last) : m.and(m.reg(fb(u), w), m.imm(last));
    const r = bitOp<M, V>(m, op, m.reg(a, w), n);
    if (op != BitTest.bt) m.setReg(a, w, r);
    return u + RecOff.SIZE;
  }
  const simple = f >= Form.rmb;
  let at: V, n: V;
  if (f == Form.mi || f == Form.mib) {
    at = m.ea(u, simple);
    n = m.imm(imm32(u) & <i64>last);
  } else {
    const index = m.regS(fa(u), w);
    at = m.eaBy(u, simple, m.and(m.sarBy(index, 3), m.imm(-w)));
    n = m.and(index, m.imm(last));
  }
  const s = op == BitTest.bt ? m.hostR(at, w, u) : m.hostW(at, w, u);
  if (op == BitTest.bt ? m.faulted(s, at, w, u) : m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at), r = bitOp<M, V>(m, op, m.load(h, w), n);
  if (op != BitTest.bt) m.store(h, w, r);
  return u + RecOff.SIZE;
}

/** BSF, BSR: a zero source leaves the destination as it was (AMD APM; SDM calls it undefined); but ZF no flag changes. TZCNT and LZCNT
 *  set CF and ZF, POPCNT all. */
export function scan<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  const a = fa(u), bits = w * 8;
  let x: V;
  if (f == Form.rr) x = m.zext(m.reg(fb(u), w), w);
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    x = m.load(m.host(s, at), w);
  }
  const zero = m.eq(x, m.imm(0));
  if (op == Scan.bsf || op == Scan.bsr) {
    const whole = w == 2 ? 2 : 8; // of a doubleword register not even the upper half changes
    const r = op == Scan.bsf ? m.ctz(x) : m.sub(m.imm(63), m.clz(x));
    m.setReg(a, whole, m.select(m.compare(4, x, m.imm(0), x), m.reg(a, whole), r));
    m.setZero(zero);
  } else if (op == Scan.popcnt) {
    m.setReg(a, w, m.popcnt(x));
    m.setFlags(FlagsKind.logic, m.imm(1), m.imm(1), m.imm(1)); // none: 1 is positive and of odd parity
    m.setZero(zero);
  } else {
    const r = op == Scan.lzcnt ? m.sub(m.clz(x), m.imm(64 - bits)) : m.ctz(w == 8 ? x : m.or(x, m.imm(<i64>1 << bits)));
    m.setReg(a, w, r);
    m.setCarry(zero);
    m.setZero(m.eq(r, m.imm(0)));
  }
  return u + RecOff.SIZE;
}

/** `x` with its `w` bytes in the opposite order; bits above them are unspecified. */
@inline function swapped<M extends Machine<V>, V>(m: M, x: V, w: i32): V {
  if (w == 2) return m.or(m.shlBy(x, 8), m.shrBy(m.zext(x, 2), 8));
  if (w == 4) {
    const y = m.zext(x, 4), even = m.and(m.rotate(true, y, m.imm(8), 4), m.imm(~0x00ff00ff));
    return m.or(m.and(m.rotate(false, y, m.imm(8), 4), m.imm(0x00ff00ff)), even);
  }
  const odd = m.imm(0x00ff00ff00ff00ff), words = m.imm(0x0000ffff0000ffff);
  const pairs = m.or(m.shlBy(m.and(x, odd), 8), m.and(m.shrBy(x, 8), odd));
  const quads = m.or(m.shlBy(m.and(pairs, words), 16), m.and(m.shrBy(pairs, 16), words));
  return m.or(m.shlBy(quads, 32), m.shrBy(quads, 32));
}

/** BSWAP (rr) and MOVBE. A word by BSWAP is undefined; processors give zero. */
@inline export function swapBytes<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32): usize {
  const a = fa(u);
  if (f == Form.rr) {
    m.setReg(a, w, w == 2 ? m.imm(0) : swapped<M, V>(m, m.reg(a, w), w));
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, f >= Form.rmb), reads = f == Form.rm || f == Form.rmb, s = reads ? m.hostR(at, w, u) : m.hostW(at, w, u);
  if (reads ? m.faulted(s, at, w, u) : m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at);
  if (reads) m.setReg(a, w, swapped<M, V>(m, m.load(h, w), w));
  else m.store(h, w, swapped<M, V>(m, m.reg(a, w), w));
  return u + RecOff.SIZE;
}

export const enum FlagOp { clc, stc, cmc, cld, std }

/** CLC, STC, CMC, CLD, STD. */
export function flag<M extends Machine<V>, V>(m: M, u: usize, op: i32): usize {
  if (op == FlagOp.cld || op == FlagOp.std) m.setDirection(op == FlagOp.std);
  else m.setCarry(op == FlagOp.cmc ? m.xor(m.carry(), m.imm(1)) : m.imm(op == FlagOp.stc ? 1 : 0));
  return u + RecOff.SIZE;
}
