/** Two- and three-operand IMUL: CF and OF say that the signed product does not fit; SF, ZF, PF follow the result, AF is
 *  clear, as AMD processors leave them (SDM Vol.2A declares the four undefined). */
import { FlagsKind } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Machine } from "../machine";
import { fa, fb, Form, imm32 } from "./alu";

@inline export function imulOp<M extends Machine<V>, V>(m: M, w: i32, a: V, b: V): V {
  const product = m.mul(a, b), r = m.sext(product, w);
  if (w == 8) {
    m.setFlags(FlagsKind.imul, r, a, b); // the upper half is computed only if somebody asks
    return r;
  }
  const fits = m.eq(r, product);
  m.setFlagsCarry(FlagsKind.shift, r, r, r, m.mul(m.xor(fits, m.imm(1)), m.imm(3)));
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
  const y = f == Form.rr || f == Form.rm || f == Form.rmb ? m.regS(a, w) : m.imm(imm32(u));
  m.setReg(a, w, imulOp<M, V>(m, w, x, y));
  return u + RecOff.SIZE;
}
