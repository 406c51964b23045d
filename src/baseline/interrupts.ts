/** Interrupts and exceptions through 32- and 16-bit gates (SDM Vol.3A "Exception and Interrupt Handling"), and IRET.
 *  DEVIATION: no task gates and no virtual-8086 mode. */
import { Flag, Vector } from "../../assembly/abi/x86";
import type { BaselineCore } from "./core";
import { Attr, Seg } from "./cpu";
import { setFlagsBy } from "./flow";
import { FAULT } from "./paging";
import { enterCode, needDescriptor, returnDescriptor, returnOutward, stackDescriptor, useDescriptor } from "./segments";
import { Stack } from "./stack";

const PUSHES_ERROR = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);
/** Exceptions that make a double fault of a contributory one (SDM Vol.3A Table 6-5). */
const CONTRIBUTORY = (1 << 0) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13);

/** Through the gate of `vector` to its handler; `eip` is what the handler returns to. */
function enterHandler(m: BaselineCore, vector: number, software: boolean, external: number, error: number): void {
  const code = (vector << 3) | 2 | external;
  if (vector * 8 + 7 > (m.table[3] & 0xffff)) m.gp(code);
  const at = (m.table[2] + vector * 8) | 0;
  const low = m.readFor32(at, 0);
  const high = m.readFor32((at + 4) | 0, 0);
  const type = (high >>> 8) & 31;
  if (type !== 14 && type !== 15 && type !== 6 && type !== 7) {
    if (type === 5) m.log("a task gate in the IDT is not implemented");
    m.gp(code);
  }
  if (software && ((high >>> 13) & 3) < m.cpl) m.gp(code);
  if (!(high & 0x8000)) m.raise(Vector.NP, code);
  const width = type >= 14 ? 2 : 1;
  const selector = low >>> 16;
  const offset = width === 2 ? (low & 0xffff) | (high & 0xffff0000) : low & 0xffff;
  if ((selector & 0xfffc) === 0) m.gp(external);
  const d = needDescriptor(m, selector);
  const dpl = (d.attr >> Attr.DPL_SHIFT) & 3;
  if (!(d.attr & Attr.S) || !(d.attr & Attr.CODE) || dpl > m.cpl) m.gp((selector & 0xfffc) | external);
  if (!(d.attr & Attr.P)) m.raise(Vector.NP, (selector & 0xfffc) | external);
  const inner = !(d.attr & Attr.DOWN) && dpl < m.cpl;
  const flags = m.eflags;
  const eip = m.eip;
  const cs = m.selector[Seg.cs];
  if (inner) {
    const { ss, esp } = innerStack(m, dpl);
    const stack = stackDescriptor(m, ss, dpl, Vector.TS);
    const oldSs = m.selector[Seg.ss];
    const oldEsp = m.reg[4];
    pushOn(m, stack.base, stack.attr & Attr.DB ? -1 : 0xffff, esp, width, [oldSs, oldEsp, flags, cs, eip, ...(error >= 0 ? [error] : [])], (pointer) => {
      m.setCpl(dpl);
      useDescriptor(m, Seg.ss, ss, stack);
      if (stack.attr & Attr.DB) m.reg[4] = pointer;
      else m.reg16[8] = pointer;
    });
  } else {
    const stack = new Stack(m, width);
    for (const value of [flags, cs, eip]) stack.push(value);
    if (error >= 0) stack.push(error);
    if (offset >>> 0 > d.limit) m.gp(external);
    stack.commit();
  }
  enterCode(m, (selector & ~3) | m.cpl, d, offset);
  m.control &= ~(Flag.TF | Flag.NT | Flag.RF | Flag.VM | (type & 1 ? 0 : Flag.IF));
}

/** SS:ESP for a level from the task-state segment. */
function innerStack(m: BaselineCore, cpl: number): { ss: number; esp: number } {
  const base = m.base[Seg.tr];
  if (m.attr[Seg.tr] & 8) return { esp: m.readFor32((base + 4 + cpl * 8) | 0, 0), ss: m.readFor32((base + 8 + cpl * 8) | 0, 0) & 0xffff };
  const words = m.readFor32((base + 2 + cpl * 4) | 0, 0);
  return { esp: words & 0xffff, ss: words >>> 16 };
}

/** Pushes as the level that is being entered, and commits if nothing faulted. */
function pushOn(m: BaselineCore, base: number, mask: number, esp: number, width: number, values: readonly number[], commit: (pointer: number) => void): void {
  const { user } = m;
  m.user = 0;
  try {
    let pointer = esp & mask;
    for (const value of values) {
      pointer = (pointer - (1 << width)) & mask;
      m.store((base + pointer) | 0, width, value);
    }
    commit(mask === -1 ? pointer : pointer);
  } catch (e) {
    m.user = user;
    throw e;
  }
}

/** INT n and its relatives; what follows the instruction is returned to. */
export function softwareInterrupt(m: BaselineCore, vector: number, privileged = false): false {
  const at = m.pc;
  m.pc = m.next;
  try {
    enterHandler(m, vector, !privileged, 0, -1);
  } catch (e) {
    m.pc = at;
    throw e;
  }
  return false;
}

/** An interrupt from outside. */
export function externalInterrupt(m: BaselineCore, vector: number): void {
  m.halted = false;
  try {
    enterHandler(m, vector, false, 1, -1);
  } catch (e) {
    if (e !== FAULT) throw e;
    deliverFault(m);
  }
}

/** Delivers the pending fault at `pc`; another one on the way makes a double fault, a third one shuts the processor down. */
export function deliverFault(m: BaselineCore): void {
  let vector = m.faultVector;
  let error = m.faultError;
  for (;;) {
    try {
      // RF is set in the image of faults, so that an instruction breakpoint does not hit again
      enterHandler(m, vector, false, 0, (PUSHES_ERROR >> vector) & 1 ? Math.max(error, 0) : -1);
      return;
    } catch (e) {
      if (e !== FAULT) throw e;
      const second = m.faultVector;
      if (vector === Vector.DF) {
        m.shutdown = true;
        return;
      }
      const both = (CONTRIBUTORY >> vector) & 1 ? (CONTRIBUTORY >> second) & 1 : vector === Vector.PF && (second === Vector.PF || (CONTRIBUTORY >> second) & 1);
      if (both) {
        vector = Vector.DF;
        error = 0;
      } else {
        vector = second;
        error = m.faultError;
      }
    }
  }
}

export function interruptReturn(m: BaselineCore, width: number): false {
  if (m.control & Flag.NT) {
    m.log("IRET to another task is not implemented");
    m.gp();
  }
  const mask = width === 1 ? 0xffff : -1;
  const stack = new Stack(m, width);
  const offset = stack.pop() & mask;
  const selector = stack.pop() & 0xffff;
  const flags = stack.pop();
  if (width === 2 && flags & Flag.VM && m.cpl === 0) {
    m.log("IRET to virtual-8086 mode is not implemented");
    m.gp();
  }
  const d = returnDescriptor(m, selector);
  if (offset >>> 0 > d.limit) m.gp();
  const outward = (selector & 3) > m.cpl;
  const esp = outward ? stack.pop() & mask : 0;
  const ss = outward ? stack.pop() & 0xffff : 0;
  if (outward) stackDescriptor(m, ss, selector & 3, Vector.GP);
  else stack.commit();
  setFlagsBy(m, flags, width);
  if (outward) returnOutward(m, selector, d, offset, ss, esp);
  else enterCode(m, selector, d, offset);
  return false;
}
