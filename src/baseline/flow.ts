/** Stack, branches, and the instructions that end in interrupts, in all operand sizes. */
import { Flag, Vector } from "../../assembly/abi/x86";
import type { BaselineCore } from "./core";
import { Seg } from "./cpu";
import { readE, writeE } from "./exec";
import { interruptReturn, softwareInterrupt } from "./interrupts";
import { Cold } from "./ops";
import { callFar, jumpFar, returnFar } from "./segments";
import { peek, push, Stack, setStackPointer, stackMask } from "./stack";
import { sysenter, sysexit } from "./system";

/** Goes on at an offset in CS, which must be within its limit. */
export function jumpTo(m: BaselineCore, eip: number): false {
  if (eip >>> 0 > m.limit[Seg.cs]) m.gp();
  m.pc = (m.base[Seg.cs] + eip) | 0;
  return false;
}

const nextOffset = (m: BaselineCore) => (m.next - m.base[Seg.cs]) | 0;

function branch(m: BaselineCore, u: number, width: number): false {
  const eip = nextOffset(m) + m.ops[u + 2];
  return jumpTo(m, width === 1 ? eip & 0xffff : eip | 0);
}

/** The stack is checked first, the target second, and only then is the return address written. */
function call(m: BaselineCore, width: number, to: number): false {
  const pointer = (m.reg[4] - (1 << width)) & stackMask(m);
  const lin = m.linear(Seg.ss, pointer, 1 << width, true);
  m.checkWrite(lin, 1 << width);
  const back = nextOffset(m);
  jumpTo(m, to);
  m.store(lin, width, back);
  setStackPointer(m, pointer);
  return false;
}

function loop(m: BaselineCore, u: number, width: number, address16: boolean, wanted: boolean): boolean {
  const count = (m.reg[1] - 1) & (address16 ? 0xffff : -1);
  const taken = count !== 0 && wanted;
  if (taken) branch(m, u, width);
  if (address16) m.reg16[2] = count;
  else m.reg[1] = count;
  return !taken;
}

function enter(m: BaselineCore, width: number, size: number, nesting: number): void {
  const { reg } = m;
  const stack = new Stack(m, width);
  const mask = stackMask(m);
  stack.push(m.getReg(5, width));
  let pointer = (reg[4] - (1 << width)) & mask;
  const frame = mask === -1 ? pointer : (reg[4] & 0xffff0000) | pointer;
  for (let i = 1; i < nesting; i++) {
    const at = (reg[5] - (i << width)) & mask;
    stack.push(m.load(m.linear(Seg.ss, at, 1 << width, false), width));
    pointer -= 1 << width;
  }
  if (nesting > 0) {
    stack.push(frame);
    pointer -= 1 << width;
  }
  pointer = (pointer - size) & mask;
  // the new top must be writable, though nothing is written there
  m.checkWrite(m.linear(Seg.ss, pointer, 1 << width, true), 1 << width);
  m.setReg(5, width, frame);
  setStackPointer(m, pointer);
}

function pushAll(m: BaselineCore, width: number): void {
  const stack = new Stack(m, width);
  for (let i = 0; i < 8; i++) stack.push(m.getReg(i, width));
  stack.commit();
}

function popAll(m: BaselineCore, width: number): void {
  const stack = new Stack(m, width);
  for (let i = 7; i >= 0; i--) {
    // what was read before a fault stays, as in processors; ESP does not
    const value = stack.pop();
    if (i !== 4) m.setReg(i, width, value);
  }
  stack.commit();
}

/** POPF: IOPL changes at level 0 only, IF only where IOPL allows. */
export function setFlagsBy(m: BaselineCore, value: number, width: number): void {
  let changes = Flag.TF | Flag.DF | Flag.NT;
  if (width === 2) changes |= Flag.AC | Flag.ID;
  if (m.cpl === 0) changes |= Flag.IOPL;
  if (m.cpl <= m.iopl) changes |= Flag.IF;
  m.setStatus(value);
  const before = m.control;
  m.control = ((before & ~changes) | (value & changes)) & ~Flag.RF;
  // an interrupt or a trap may be due now
  if (m.control & (Flag.TF | (Flag.IF & ~before))) m.leave = true;
}

export function performFlow(m: BaselineCore, u: number, cold: Cold): boolean {
  const { ops } = m;
  const w0 = ops[u];
  const width = (ops[u + 3] >>> 26) & 3;
  const sub = ops[u + 3] >>> 28;
  const imm = ops[u + 1];
  const address16 = ((w0 >>> 27) & 1) !== 0;
  const mask = width === 1 ? 0xffff : -1;
  switch (cold) {
    case Cold.push:
      push(m, width, readE(m, u, width));
      return true;
    case Cold.pushImm:
      push(m, width, imm);
      return true;
    case Cold.pop: {
      const value = peek(m, width);
      const old = m.reg[4];
      setStackPointer(m, (old + (1 << width)) & stackMask(m));
      if ((w0 >> 30) & 1) {
        // an address with ESP in it is computed after the pop
        const at = m.offsetOf(u);
        m.reg[4] = old;
        m.store(m.linear((w0 >>> 24) & 7, at, 1 << width, true), width, value);
        setStackPointer(m, (old + (1 << width)) & stackMask(m));
      } else writeE(m, u, width, value);
      return true;
    }
    case Cold.pusha:
      pushAll(m, width);
      return true;
    case Cold.popa:
      popAll(m, width);
      return true;
    case Cold.enter:
      enter(m, width, imm, ops[u + 2] & 31);
      return true;
    case Cold.leave: {
      const pointer = m.reg[5] & stackMask(m);
      const value = m.load(m.linear(Seg.ss, pointer, 1 << width, false), width);
      m.setReg(5, width, value);
      setStackPointer(m, (pointer + (1 << width)) & stackMask(m));
      return true;
    }
    case Cold.jcc:
      return m.is(sub) ? branch(m, u, width) : true;
    case Cold.jmp:
      return branch(m, u, width);
    case Cold.jmpE:
      return jumpTo(m, readE(m, u, width) & mask);
    case Cold.call:
      return call(m, width, (nextOffset(m) + ops[u + 2]) & mask);
    case Cold.callE:
      return call(m, width, readE(m, u, width) & mask);
    case Cold.ret:
    case Cold.retImm: {
      const stack = new Stack(m, width);
      jumpTo(m, stack.pop() & mask);
      if (cold === Cold.retImm) stack.skip(imm);
      stack.commit();
      return false;
    }
    case Cold.loop:
      return loop(m, u, width, address16, true);
    case Cold.loope:
      return loop(m, u, width, address16, m.is(4));
    case Cold.loopne:
      return loop(m, u, width, address16, m.is(5));
    case Cold.jcxz:
      return (m.reg[1] & (address16 ? 0xffff : -1)) === 0 ? branch(m, u, width) : true;
    case Cold.callFar:
      return callFar(m, ops[u + 2], imm & mask, width);
    case Cold.jmpFar:
      return jumpFar(m, ops[u + 2], imm & mask);
    case Cold.callFarM:
    case Cold.jmpFarM: {
      const lin = m.address(u, (1 << width) + 2, false);
      const offset = m.load(lin, width) & mask;
      const selector = m.read16((lin + (1 << width)) | 0);
      return cold === Cold.callFarM ? callFar(m, selector, offset, width) : jumpFar(m, selector, offset);
    }
    case Cold.retFar:
    case Cold.retFarImm:
      return returnFar(m, width, cold === Cold.retFarImm ? imm : 0);
    case Cold.int3:
      return softwareInterrupt(m, Vector.BP);
    case Cold.intN:
      return softwareInterrupt(m, imm & 0xff);
    case Cold.into:
      return m.is(0) ? softwareInterrupt(m, Vector.OF) : true;
    case Cold.int1:
      return softwareInterrupt(m, Vector.DB, true);
    case Cold.iret:
      return interruptReturn(m, width);
    case Cold.bound: {
      const lin = m.address(u, 2 << width, false);
      const index = m.getReg((w0 >>> 10) & 15, width);
      if (index < m.load(lin, width) || index > m.load((lin + (1 << width)) | 0, width)) m.raise(Vector.BR);
      return true;
    }
    case Cold.sysenter:
      return sysenter(m);
    case Cold.sysexit:
      return sysexit(m);
    case Cold.pushf:
      push(m, width, m.eflags & ~(Flag.RF | Flag.VM));
      return true;
    case Cold.popf: {
      const value = peek(m, width);
      setStackPointer(m, (m.reg[4] + (1 << width)) & stackMask(m));
      setFlagsBy(m, value, width);
      m.pc = m.next;
      return false;
    }
    case Cold.cli:
    case Cold.sti:
      if (m.cpl > m.iopl) m.gp();
      if (cold === Cold.cli) {
        m.control &= ~Flag.IF;
        return true;
      }
      // the next instruction runs before any interrupt
      m.interruptShadow = !(m.control & Flag.IF);
      m.control |= Flag.IF;
      m.leave = true;
      m.pc = m.next;
      return false;
    default: // HLT
      if (m.cpl !== 0) m.gp();
      m.halted = true;
      m.leave = true;
      m.pc = m.next;
      return false;
  }
}
