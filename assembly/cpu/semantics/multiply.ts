/** Products and quotients. CF and OF say that a product does not fit; SF, ZF, PF follow its low half, AF is clear, as AMD
 *  processors leave them (SDM Vol.2A declares the four undefined). Flags after a division are undefined and kept. */
import { FlagsKind } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { Arith, Machine } from "../machine";
import { fa, fb, Form, imm32 } from "./alu";

const RAX: usize = Gpr.rax * 8;
const RDX: usize = Gpr.rdx * 8;

@inline export function imulOp<M extends Machine<V>, V>(m: M, w: i32, a: V, b: V): V {
  const r = m.arith(Arith.mul, w, a, b);
  m.setFlags(FlagsKind.imul, r, a, b); // whether it fits is computed only if somebody asks
  return r;
}

/** Forms: rr, rm, rmb multiply into the register; ri (register) and mi, mib (memory) are the three-operand ones. */
@inline export function imul<M extends Machine<V>, V>(m: M, u: usize, w: i32, f: i32): usize {
  const a = fa(u);
  let x: V;
  if (f == Form.rr || f == Form.ri) x = m.regS(fb(u), w);
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const h = m.host(s, at);
    x = m.loadS(h, w);
  }
  const y = f == Form.rr || f == Form.rm || f == Form.rmb ? m.regS(a, w) : m.immediate(u, imm32(u));
  m.setReg(a, w, imulOp<M, V>(m, w, x, y));
  return u + RecOff.SIZE;
}

/** Upper 64 bits of a * b, unsigned: mulHigh (cpu/wide) in the primitives. */
function upperHalf<M extends Machine<V>, V>(m: M, a: V, b: V): V {
  const a0 = m.zext(a, 4), a1 = m.shrBy(a, 32), b0 = m.zext(b, 4), b1 = m.shrBy(b, 32);
  const middle = m.add(m.mul(a1, b0), m.shrBy(m.mul(a0, b0), 32));
  const low = m.add(m.zext(middle, 4), m.mul(a0, b1));
  return m.add(m.add(m.mul(a1, b1), m.shrBy(middle, 32)), m.shrBy(low, 32));
}

/** MUL (op 0) and IMUL (op 1) of A by a register or memory, into D:A. */
export function mulWide<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  const signed = op != 0;
  let x: V;
  if (f == Form.rr) x = signed ? m.regS(fa(u), w) : m.zext(m.reg(fa(u), w), w);
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const h = m.host(s, at);
    x = signed ? m.loadS(h, w) : m.load(h, w);
  }
  const a = signed ? m.regS(RAX, w) : m.zext(m.reg(RAX, w), w), product = m.mul(a, x), low = m.sext(product, w);
  let fits: V;
  if (w == 8) {
    let high = upperHalf<M, V>(m, a, x);
    if (signed) high = m.sub(m.sub(high, m.and(m.sarBy(a, 63), x)), m.and(m.sarBy(x, 63), a));
    fits = m.eq(high, signed ? m.sarBy(product, 63) : m.imm(0));
    m.setReg(RDX, 8, high);
    m.setReg(RAX, 8, product);
  } else {
    fits = signed ? m.eq(low, product) : m.eq(m.shrBy(product, w * 8), m.imm(0));
    if (w == 1) m.setReg(RAX, 2, product);
    else {
      m.setReg(RDX, w, m.shrBy(product, w * 8));
      m.setReg(RAX, w, product);
    }
  }
  m.setFlagsCarry(FlagsKind.shift, low, low, low, m.mul(m.xor(fits, m.imm(1)), m.imm(3)));
  return u + RecOff.SIZE;
}

/** The absolute value, as an unsigned number. */
@inline function magnitude<M extends Machine<V>, V>(m: M, x: V): V {
  const sign = m.sarBy(x, 63);
  return m.sub(m.xor(x, sign), sign);
}

/** DIV (op 0) and IDIV (op 1) of D:A. What may not fit, and dividends of 128 bits, are left to helpers/divide. */
export function divide<M extends Machine<V>, V>(m: M, u: usize, op: i32, w: i32, f: i32): usize {
  const signed = op != 0, bits = w * 8;
  let x: V;
  if (f == Form.rr) x = signed ? m.regS(fa(u), w) : m.zext(m.reg(fa(u), w), w);
  else {
    const at = m.ea(u, f >= Form.rmb), s = m.hostR(at, w, u);
    if (m.faulted(s, at, w, u)) return m.fault(u);
    const h = m.host(s, at);
    x = signed ? m.loadS(h, w) : m.load(h, w);
  }
  let n: V;
  if (w == 8) {
    n = m.reg(RAX, 8);
    const high = m.reg(RDX, 8);
    // a divisor of 0 or, signed, -1
    const hardest = signed ? m.compare(6, m.add(x, m.imm(1)), m.imm(1), x) : m.compare(4, x, m.imm(0), x);
    if (m.hard(hardest, u) || m.hard(m.compare(5, high, signed ? m.sarBy(n, 63) : m.imm(0), high), u)) return m.divideHard(u, w, signed, x);
  } else {
    n = w == 1 ? m.zext(m.reg(RAX, 2), 2) : m.or(m.shlBy(m.zext(m.reg(RDX, w), w), bits), m.zext(m.reg(RAX, w), w));
    if (signed) {
      n = m.sext(n, w * 2);
      const high = m.shrBy(magnitude<M, V>(m, n), bits - 1);
      if (m.hard(m.compare(3, high, magnitude<M, V>(m, x), high), u)) return m.divideHard(u, w, true, x);
    } else {
      const high = w == 1 ? m.shrBy(n, 8) : m.zext(m.reg(RDX, w), w);
      if (m.hard(m.compare(3, high, x, high), u)) return m.divideHard(u, w, false, x);
    }
  }
  const q = signed ? m.divS(n, x) : m.divU(n, x), r = m.sub(n, m.mul(q, x));
  if (w == 1) m.setReg(RAX, 2, m.or(m.zext(q, 1), m.shlBy(m.zext(r, 1), 8)));
  else {
    m.setReg(RAX, w, q);
    m.setReg(RDX, w, r);
  }
  return u + RecOff.SIZE;
}
