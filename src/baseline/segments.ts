/** Segment registers and far transfers between code segments (SDM Vol.3A "Segment Descriptors", "Privilege Level Checking").
 *  DEVIATION: no call gates and no task switches; they are refused with #GP, and said once. */
import { Vector } from "../../assembly/abi/x86";
import type { BaselineCore } from "./core";
import { Attr, Seg } from "./cpu";
import { Stack } from "./stack";

export interface Descriptor {
  readonly base: number;
  readonly limit: number;
  readonly attr: number;
  readonly at: number;
}

const dplOf = (attr: number) => (attr >> Attr.DPL_SHIFT) & 3;

/** The descriptor behind a selector that is not null; null if it is outside its table. */
export function findDescriptor(m: BaselineCore, selector: number): Descriptor | null {
  const ldt = (selector & 4) !== 0;
  const base = ldt ? m.base[Seg.ldtr] : m.table[0];
  const limit = ldt ? (m.attr[Seg.ldtr] & Attr.P ? m.limit[Seg.ldtr] : -1) : m.table[1] & 0xffff;
  if ((selector | 7) > limit) return null;
  const at = (base + (selector & 0xfff8)) | 0;
  const low = m.readFor32(at, 0);
  const high = m.readFor32((at + 4) | 0, 0);
  const attr = (high >>> 8) & 0xf0ff;
  const raw = (low & 0xffff) | (high & 0xf0000);
  return { base: (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000), limit: (attr & Attr.G ? (raw << 12) | 0xfff : raw) >>> 0, attr, at };
}

export function needDescriptor(m: BaselineCore, selector: number, vector: Vector = Vector.GP): Descriptor {
  return findDescriptor(m, selector) ?? m.raise(vector, selector & 0xfffc);
}

function markAccessed(m: BaselineCore, d: Descriptor): void {
  if (!(d.attr & Attr.ACCESSED)) m.writeFor32((d.at + 4) | 0, m.readFor32((d.at + 4) | 0, 0) | 0x100, 0);
}

export function loadSegment(m: BaselineCore, seg: Seg, selector: number): void {
  const error = selector & 0xfffc;
  if (error === 0) {
    if (seg === Seg.ss) m.gp();
    m.setSegment(seg, selector, 0, 0, 0);
    return;
  }
  const d = needDescriptor(m, selector);
  const rpl = selector & 3;
  const dpl = dplOf(d.attr);
  const code = (d.attr & Attr.CODE) !== 0;
  if (seg === Seg.ss) {
    if (!(d.attr & Attr.S) || code || !(d.attr & Attr.WRITABLE) || rpl !== m.cpl || dpl !== m.cpl) m.gp(error);
  } else {
    if (!(d.attr & Attr.S) || (code && !(d.attr & Attr.WRITABLE))) m.gp(error);
    if (!(code && d.attr & Attr.DOWN) && (rpl > dpl || m.cpl > dpl)) m.gp(error);
  }
  if (!(d.attr & Attr.P)) m.raise(seg === Seg.ss ? Vector.SS : Vector.NP, error);
  markAccessed(m, d);
  m.setSegment(seg, selector, d.base, d.limit, d.attr | Attr.ACCESSED);
}

/** A stack for a more or less privileged level, checked for it. */
export function stackDescriptor(m: BaselineCore, selector: number, cpl: number, vector: Vector): Descriptor {
  const error = selector & 0xfffc;
  if (error === 0) m.raise(vector, vector === Vector.GP ? 0 : error);
  const d = needDescriptor(m, selector, vector);
  if ((selector & 3) !== cpl || !(d.attr & Attr.S) || d.attr & Attr.CODE || !(d.attr & Attr.WRITABLE) || dplOf(d.attr) !== cpl) m.raise(vector, error);
  if (!(d.attr & Attr.P)) m.raise(Vector.SS, error);
  return d;
}

export function useDescriptor(m: BaselineCore, seg: Seg, selector: number, d: Descriptor): void {
  markAccessed(m, d);
  m.setSegment(seg, selector, d.base, d.limit, d.attr | Attr.ACCESSED);
}

/** A code segment to transfer to at the current level, by JMP or CALL. */
function codeDescriptor(m: BaselineCore, selector: number): Descriptor {
  const error = selector & 0xfffc;
  if (error === 0) m.gp();
  const d = needDescriptor(m, selector);
  if (!(d.attr & Attr.S)) {
    m.log(`far transfer through a gate or task (selector 0x${selector.toString(16)}) is not implemented`);
    m.gp(error);
  }
  if (!(d.attr & Attr.CODE)) m.gp(error);
  const dpl = dplOf(d.attr);
  if (d.attr & Attr.DOWN ? dpl > m.cpl : (selector & 3) > m.cpl || dpl !== m.cpl) m.gp(error);
  if (!(d.attr & Attr.P)) m.raise(Vector.NP, error);
  return d;
}

/** CS:EIP of a transfer; the limit has been checked. */
export function enterCode(m: BaselineCore, selector: number, d: Descriptor, offset: number): false {
  useDescriptor(m, Seg.cs, selector, d);
  m.pc = (d.base + offset) | 0;
  return false;
}

export function jumpFar(m: BaselineCore, selector: number, offset: number): false {
  const d = codeDescriptor(m, selector);
  if (offset >>> 0 > d.limit) m.gp();
  return enterCode(m, (selector & ~3) | m.cpl, d, offset);
}

export function callFar(m: BaselineCore, selector: number, offset: number, width: number): false {
  const d = codeDescriptor(m, selector);
  const stack = new Stack(m, width);
  stack.push(m.selector[Seg.cs]);
  stack.push((m.next - m.base[Seg.cs]) | 0);
  if (offset >>> 0 > d.limit) m.gp();
  stack.commit();
  return enterCode(m, (selector & ~3) | m.cpl, d, offset);
}

/** Data segments that a lower level must not see become null. */
export function dropPrivileged(m: BaselineCore): void {
  for (const seg of [Seg.es, Seg.ds, Seg.fs, Seg.gs]) {
    const attr = m.attr[seg];
    const conforming = (attr & (Attr.CODE | Attr.DOWN)) === (Attr.CODE | Attr.DOWN);
    if (attr & Attr.P && !conforming && dplOf(attr) < m.cpl) m.setSegment(seg, 0, 0, 0, 0);
  }
}

/** The code segment a far RET or IRET returns to. */
export function returnDescriptor(m: BaselineCore, selector: number): Descriptor {
  const error = selector & 0xfffc;
  const rpl = selector & 3;
  if (error === 0) m.gp();
  const d = needDescriptor(m, selector);
  if (!(d.attr & Attr.S) || !(d.attr & Attr.CODE) || rpl < m.cpl) m.gp(error);
  if (d.attr & Attr.DOWN ? dplOf(d.attr) > rpl : dplOf(d.attr) !== rpl) m.gp(error);
  if (!(d.attr & Attr.P)) m.raise(Vector.NP, error);
  return d;
}

export function returnFar(m: BaselineCore, width: number, extra: number): false {
  const mask = width === 1 ? 0xffff : -1;
  const stack = new Stack(m, width);
  const offset = stack.pop() & mask;
  const selector = stack.pop() & 0xffff;
  const d = returnDescriptor(m, selector);
  if (offset >>> 0 > d.limit) m.gp();
  stack.skip(extra);
  if ((selector & 3) === m.cpl) {
    stack.commit();
    return enterCode(m, selector, d, offset);
  }
  const esp = stack.pop() & mask;
  const ss = stack.pop() & 0xffff;
  return returnOutward(m, selector, d, offset, ss, esp + extra);
}

/** Return to a less privileged level with its stack. */
export function returnOutward(m: BaselineCore, selector: number, d: Descriptor, offset: number, ss: number, esp: number): false {
  const cpl = selector & 3;
  const stack = stackDescriptor(m, ss, cpl, Vector.GP);
  m.setCpl(cpl);
  enterCode(m, selector, d, offset);
  useDescriptor(m, Seg.ss, ss, stack);
  if (stack.attr & Attr.DB) m.reg[4] = esp;
  else m.reg16[8] = esp;
  dropPrivileged(m);
  return false;
}
