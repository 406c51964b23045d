/** Two-operand arithmetic and logic, INC/DEC/NOT/NEG, SETcc, CMOVcc, MOV and its extensions, LEA (SDM Vol.2). */
import { FlagsKind } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Arith, Machine } from "../machine";

export const enum Alu { add, or, adc, sbb, and, sub, xor, cmp, test }
export const enum Unary { inc, dec, not, neg }

/** Where a hot record's operands are. `b` forms address memory by base and displacement alone. */
export const enum Form { rr, ri, rm, mr, mi, rmb, mrb, mib }

@inline export function fa(u: usize): usize { return <usize>load<u8>(u, RecOff.reg); }
@inline export function fb(u: usize): usize { return <usize>load<u8>(u, RecOff.rm); }
@inline export function imm32(u: usize): i64 { return <i64>load<i32>(u, RecOff.imm); }

/** ADC and SBB with carry `c`. */
@inline export function carryOp<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V, b: V, c: V): V {
  if (op == Alu.adc) {
    const r = m.sext(m.add(m.add(a, b), c), w);
    // carry out: r < a, or r == a with a carry in and b all ones
    m.setFlagsCarry(FlagsKind.adc, r, a, b, m.or(m.ltu(r, a), m.and(c, m.eq(r, a))));
    return r;
  }
  const r = m.sext(m.sub(m.sub(a, b), c), w);
  m.setFlagsCarry(FlagsKind.sbb, r, a, b, m.or(m.ltu(a, b), m.and(c, m.eq(a, b))));
  return r;
}

/** Result, sign-extended, with flags set; CMP and TEST give it too, and the caller drops it. */
@inline export function aluOp<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V, b: V): V {
  if (op == Alu.add) {
    const r = m.arith(Arith.add, w, a, b);
    m.setFlags(FlagsKind.add, r, a, b);
    return r;
  }
  if (op == Alu.sub || op == Alu.cmp) {
    const r = m.arith(Arith.sub, w, a, b);
    m.setFlags(FlagsKind.sub, r, a, b);
    return r;
  }
  if (op == Alu.adc || op == Alu.sbb) return carryOp<M, V>(m, op, w, a, b, m.carry());
  const r = m.arith(op == Alu.or ? Arith.or : op == Alu.xor ? Arith.xor : Arith.and, w, a, b); // TEST is an AND
  m.setFlags(FlagsKind.logic, r, a, b);
  return r;
}

@inline export function alu<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  const writes = op < Alu.cmp;
  const simple = f >= Form.rmb;
  if (f == Form.rr || f == Form.ri) {
    const a = fa(u);
    const b = f == Form.ri ? m.immediate(u, imm32(u)) : m.regS(fb(u), w);
    const r = aluOp<M, V>(m, op, w, m.regS(a, w), b);
    if (writes) m.setReg(a, w, r);
    return u + RecOff.SIZE;
  }
  if (f == Form.rm || f == Form.rmb) {
    const at = m.ea(u, simple), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const h = m.host(s, at);
    const a = fa(u), r = aluOp<M, V>(m, op, w, m.regS(a, w), m.loadS(h, w));
    if (writes) m.setReg(a, w, r);
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, simple), s = writes ? m.hostW(at, w, u) : m.hostR(at, w, u);
  if (writes ? m.faultedW(s, at, w, u) : m.faulted(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at);
  const b = f == Form.mi || f == Form.mib ? m.immediate(u, imm32(u)) : m.regS(fa(u), w);
  const r = aluOp<M, V>(m, op, w, m.loadS(h, w), b);
  if (writes) m.store(h, w, r);
  return u + RecOff.SIZE;
}

@inline export function unaryOp<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V): V {
  if (op == Unary.not) return m.arith(Arith.xor, w, a, m.imm(-1));
  if (op == Unary.neg) {
    const r = m.arith(Arith.sub, w, m.imm(0), a);
    m.setFlags(FlagsKind.sub, r, m.imm(0), a);
    return r;
  }
  return countOp<M, V>(m, op, w, a, m.carryBit());
}

/** INC and DEC, which keep carry `c`. */
@inline export function countOp<M extends Machine<V>, V>(m: M, op: i32, w: i32, a: V, c: V): V {
  const r = m.arith(op == Unary.inc ? Arith.add : Arith.sub, w, a, m.imm(1));
  m.setFlagsCarry(op == Unary.inc ? FlagsKind.inc : FlagsKind.dec, r, a, m.imm(1), c);
  return r;
}

@inline export function unary<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  if (f == Form.rr) {
    const a = fa(u);
    m.setReg(a, w, unaryOp<M, V>(m, op, w, m.regS(a, w)));
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, f >= Form.rmb), s = m.hostW(at, w, u);
  if (m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at);
  m.store(h, w, unaryOp<M, V>(m, op, w, m.loadS(h, w)));
  return u + RecOff.SIZE;
}

@inline export function mov<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32): usize {
  if (f == Form.rr) {
    m.setReg(fa(u), w, m.reg(fb(u), w));
    return u + RecOff.SIZE;
  }
  if (f == Form.ri) {
    m.setReg(fa(u), w, m.immediate(u, w == 8 ? load<i64>(u, RecOff.imm) : imm32(u)));
    return u + RecOff.SIZE;
  }
  const simple = f >= Form.rmb;
  if (f == Form.rm || f == Form.rmb) {
    const at = m.ea(u, simple), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const h = m.host(s, at);
    m.setReg(fa(u), w, m.load(h, w));
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, simple), s = m.hostW(at, w, u);
  if (m.faultedW(s, at, w, u)) return m.fault(u);
  const h = m.host(s, at);
  m.store(h, w, f == Form.mi || f == Form.mib ? m.immediate(u, imm32(u)) : m.reg(fa(u), w));
  return u + RecOff.SIZE;
}

/** MOVZX, MOVSX, MOVSXD: `op` = source width (0 byte, 1 word, 2 doubleword) | 4 if signed; `w` is the destination's. */
@inline export function movx<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  const from = 1 << (op & 3);
  let x: V;
  if (f == Form.rr) x = op & 4 ? m.regS(fb(u), from) : m.zext(m.reg(fb(u), from), from);
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, from, u);
    if (m.faulted(s, at, from, u)) return m.fault(u);
    const h = m.host(s, at);
    x = op & 4 ? m.loadS(h, from) : m.load(h, from);
  }
  m.setReg(fa(u), w, x);
  return u + RecOff.SIZE;
}

@inline export function lea<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32): usize {
  m.setReg(fa(u), w, m.ea(u, f >= Form.rmb));
  return u + RecOff.SIZE;
}

@inline export function setcc<M extends Machine<V>, V>(m: M, u: usize, cc: i32, f: i32): usize {
  if (f == Form.rr) {
    m.setReg(fa(u), 1, m.fromCond(m.cond(cc)));
    return u + RecOff.SIZE;
  }
  const at = m.ea(u, f >= Form.rmb), s = m.hostW(at, 1, u);
  if (m.faultedW(s, at, 1, u)) return m.fault(u);
  const h = m.host(s, at);
  m.store(h, 1, m.fromCond(m.cond(cc)));
  return u + RecOff.SIZE;
}

/** The source is read, and may fault, whatever the condition; a 32-bit destination is zero-extended either way. */
@inline export function cmov<M extends Machine<V>, V>(m: M, u: usize, cc: i32, w: i32, f: i32): usize {
  let x: V;
  if (f == Form.rr) x = m.reg(fb(u), w);
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const h = m.host(s, at);
    x = m.load(h, w);
  }
  const a = fa(u), old = m.reg(a, w);
  m.setReg(a, w, m.select(m.cond(cc), x, old));
  return u + RecOff.SIZE;
}

/** XCHG between registers; the memory form is always locked and lives in helpers/locked. */
@inline export function xchg<M extends Machine<V>, V>(m: M, u: usize, w: i32): usize {
  const a = fa(u), b = fb(u), x = m.reg(a, w), y = m.reg(b, w);
  m.setReg(a, w, y);
  m.setReg(b, w, x);
  return u + RecOff.SIZE;
}

/** CBW/CWDE/CDQE (op 0) and CWD/CDQ/CQO (op 1). */
@inline export function widen<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32): usize {
  if (op == 0) m.setReg(0, w, m.regS(0, w >> 1));
  else m.setReg(16, w, m.sarBy(m.regS(0, w), 63));
  return u + RecOff.SIZE;
}
