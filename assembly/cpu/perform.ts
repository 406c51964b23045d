/** A template record performed with operation, width and form read at run time: the interpreter's second level (every
 *  combination that has no handler of its own in run.gen.ts) and, with an emitting machine, the translator. */
import { RecOff } from "../abi/record";
import { Interp } from "./interp";
import { Machine } from "./machine";
import { Template } from "./opcodes.gen";
import { PCPU } from "./pcpu";
import { Form, alu, cmov, lea, mov, movx, setcc, unary, widen, xchg } from "./semantics/alu";
import { bitTest, flag, scan, swapBytes } from "./semantics/bits";
import { call, callInd, cmpj, jcc, jmp, jmpInd, ret, testj } from "./semantics/flow";
import { cmpxchg, locked, lockedBit, xadd } from "./semantics/locked";
import { divide, imul, mulWide } from "./semantics/multiply";
import { doubleShift, shift, shiftCl } from "./semantics/shift";
import { leave, pop, push } from "./semantics/stack";
import { lods, movs, stos } from "./semantics/string";

export function performAny<M extends Machine<V>, V>(m: M, u: usize): usize {
  const d = <i32>load<u16>(u, RecOff.desc), op = (d >> 5) & 15, w = 1 << ((d >> 3) & 3), f = d & 7;
  switch (d >> 9) {
    case Template.alu: return alu<M, V>(m, u, op, w, f);
    case Template.mov: return mov<M, V>(m, u, w, f);
    case Template.movx: return movx<M, V>(m, u, op, w, f);
    case Template.lea: return lea<M, V>(m, u, w, f);
    case Template.unary: return unary<M, V>(m, u, op, w, f);
    case Template.shift: return shift<M, V>(m, u, op, w, f);
    case Template.push: return push<M, V>(m, u, w, f);
    case Template.pop: return pop<M, V>(m, u, w);
    case Template.jcc: return jcc<M, V>(m, u, op);
    case Template.jmp: return jmp<M, V>(m, u);
    case Template.jmpInd: return jmpInd<M, V>(m, u, w, f);
    case Template.call: return call<M, V>(m, u, w);
    case Template.callInd: return callInd<M, V>(m, u, w, f);
    case Template.ret: return ret<M, V>(m, u, w);
    case Template.cmpj: return cmpj<M, V>(m, u, op, w, f);
    case Template.testj: return testj<M, V>(m, u, op, w, f);
    case Template.setcc: return setcc<M, V>(m, u, op, f);
    case Template.cmov: return cmov<M, V>(m, u, op, w, f);
    case Template.imul: return imul<M, V>(m, u, w, f);
    case Template.xchg: return xchg<M, V>(m, u, w);
    case Template.leave: return leave<M, V>(m, u, w);
    case Template.bitTest: return bitTest<M, V>(m, u, op, w, f);
    case Template.widen: return widen<M, V>(m, u, op, w);
    case Template.movs: return movs<M, V>(m, u, w);
    case Template.stos: return stos<M, V>(m, u, w);
    case Template.lods: return lods<M, V>(m, u, w);
    case Template.shiftCl: return shiftCl<M, V>(m, u, op, w, f);
    case Template.doubleShift: return doubleShift<M, V>(m, u, op, w, f);
    case Template.mulWide: return mulWide<M, V>(m, u, op, w, f);
    case Template.divide: return divide<M, V>(m, u, op, w, f);
    case Template.scan: return scan<M, V>(m, u, op, w, f);
    case Template.swapBytes: return swapBytes<M, V>(m, u, w, f);
    case Template.locked: return locked<M, V>(m, u, op, w, f);
    case Template.lockedBit: return lockedBit<M, V>(m, u, op, w, f);
    case Template.cmpxchg: return cmpxchg<M, V>(m, u, w, f);
    case Template.xadd: return xadd<M, V>(m, u, w, f);
    case Template.flag: return flag<M, V>(m, u, op);
    default: return u + RecOff.SIZE; // NOP
  }
}

/** Flat addressing, any memory. */
export function performFlat(u: usize): usize {
  return performAny<Interp<u32>, u64>(changetype<Interp<u32>>(PCPU), u);
}
