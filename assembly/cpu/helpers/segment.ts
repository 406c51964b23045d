/** Segment registers: loading, limit and type checks (SDM Vol.3A "Protection", Vol.1 "Segmentation in 64-Bit Mode").
 *  Base and rights of FS and GS count in 64-bit mode too; of the others only in legacy and compatibility mode. */
import { Mode, PcpuOff, Seg, SegAttr } from "../../abi/layout";
import { Cr0, Flag, Vector } from "../../abi/x86";
import { fail, failError } from "../../fault";
import { PCPU } from "../pcpu";
import { breakpointHit } from "./debug";
import {
  attrOf, baseOf, dplOf, isCode, isConforming, isData, isNull, isPresent, isSegment, isWritable, limitOf, markAccessed, readDescriptor,
} from "./descriptor";
import { canonical, cpl, cr0, mode64, realMode, rflags, segAttr, segBase, segLimit, segSel, updateMode, v86Mode } from "./mode";

@inline export function setSegment(seg: i32, selector: u32, base: u64, limit: u32, attr: u32): void {
  const at = PCPU + (<usize>seg << 2);
  if (seg < Seg.ldtr && (load<u32>(at, PcpuOff.segLimit) != limit || (load<u32>(at, PcpuOff.segAttr) ^ attr) & MODE_RIGHTS)) store<u32>(at, 0, PcpuOff.segEnd); // until updateMode
  store<u32>(at, selector, PcpuOff.segSel);
  store<u32>(at, limit, PcpuOff.segLimit);
  store<u32>(at, attr, PcpuOff.segAttr);
  if (seg < Seg.ldtr) store<u64>(PCPU + (<usize>seg << 3), base, PcpuOff.segBase);
  else store<u64>(PCPU + (<usize>(seg - Seg.ldtr) << 3), base, PcpuOff.ldtBase);
}

@inline export function setFromDescriptor(seg: i32, selector: u32, d: u64): void {
  setSegment(seg, selector, baseOf(d), limitOf(d), attrOf(d) | 1);
}

/** A null selector: any access outside 64-bit mode faults. Bases are cleared, as CPUID reports (NullSelectorClearsBase). */
export function setNull(seg: i32, selector: u32): void {
  setSegment(seg, selector, 0, 0, SegAttr.NULL);
}

/** Real mode: base follows the selector, limit and D/B stay as they are ("unreal" mode). */
export function setReal(seg: i32, selector: u32): void {
  setSegment(seg, selector, <u64>selector << 4, segLimit(seg), (segAttr(seg) & (SegAttr.DB | SegAttr.G)) | 0x93);
}

export function setV86(seg: i32, selector: u32): void {
  setSegment(seg, selector, <u64>selector << 4, 0xffff, 0xf3);
}

/** Descriptor for SS at privilege `level`; `vector` is #GP for loads and returns, #TS for stacks out of a TSS. */
export function stackDescriptor(selector: u32, level: u32, vector: i32, ext: u32): u64 {
  const code = (selector & 0xfffc) | ext;
  if (isNull(selector)) failError(vector, ext);
  const d = readDescriptor(selector, vector, ext);
  if ((selector & 3) != level || !isData(d) || !isWritable(d) || dplOf(d) != level) failError(vector, code);
  if (!isPresent(d)) failError(Vector.SS, code);
  return d;
}

/** Descriptor for DS, ES, FS or GS at privilege `level`. */
export function dataDescriptor(selector: u32, level: u32, vector: i32, ext: u32): u64 {
  const code = (selector & 0xfffc) | ext, rpl = selector & 3;
  const d = readDescriptor(selector, vector, ext);
  if (!isSegment(d) || (isCode(d) && !isWritable(d))) failError(vector, code);
  if (!(isCode(d) && isConforming(d)) && (dplOf(d) < rpl || dplOf(d) < level)) failError(vector, code);
  if (!isPresent(d)) failError(Vector.NP, code);
  return d;
}

/** What the mode key follows from in the rights of data segments and SS: usable, writable, expand-down, size. */
const MODE_RIGHTS: u32 = SegAttr.NULL | 0xe | SegAttr.DB;

/** Loads any data segment register or SS as MOV, POP and LxS do. Unwinds on a fault; the mode key follows. False if for code and addresses
 *  nothing has changed: most loads exchange one flat segment for another. */
export function loadSegment(seg: i32, selector: u32): bool {
  const base = segBase(seg), limit = segLimit(seg), rights = segAttr(seg);
  if (realMode()) setReal(seg, selector);
  else if (v86Mode()) setV86(seg, selector);
  else if (isNull(selector)) {
    if (seg == Seg.ss && (!mode64() || cpl() == 3 || (selector & 3) != cpl())) failError(Vector.GP, 0);
    setNull(seg, selector);
  } else {
    const d = seg == Seg.ss ? stackDescriptor(selector, cpl(), Vector.GP, 0) : dataDescriptor(selector, cpl(), Vector.GP, 0);
    markAccessed(selector, d);
    setFromDescriptor(seg, selector, d);
  }
  if (mode64()) return segBase(seg) != base;
  if (segBase(seg) == base && segLimit(seg) == limit && ((segAttr(seg) ^ rights) & MODE_RIGHTS) == 0) return false;
  updateMode();
  return true;
}

/** After a return to privilege `level`: data segments it may not use become null (SDM Vol.2B RET, IRET). Only the selector is written: FS and GS
 *  keep their bases, which 64-bit mode goes on using. */
export function dropInnerSegments(level: u32): void {
  dropInner(Seg.es, level);
  dropInner(Seg.ds, level);
  dropInner(Seg.fs, level);
  dropInner(Seg.gs, level);
}

function dropInner(seg: i32, level: u32): void {
  const attr = segAttr(seg);
  if (attr & SegAttr.NULL) return;
  const conforming = (attr & 0xc) == 0xc;
  if (conforming || ((attr >> SegAttr.DPL_SHIFT) & 3) >= level) return;
  setSegment(seg, 0, segBase(seg), segLimit(seg), SegAttr.NULL);
}

/** True if [offset, offset + size) is inside the segment. */
export function withinLimit(attr: u32, limit: u32, offset: u64, size: u32): bool {
  const last = offset + size - 1;
  if ((attr & 0xc) == 4) return offset > limit && last <= (attr & SegAttr.DB ? <u64>0xffffffff : <u64>0xffff); // expand-down
  return last <= limit;
}

/** Linear address of a `size`-byte operand at `offset` of `seg`, all checks made; unwinds with #SS(0), #GP(0) or #AC(0). */
export function checkedEa(seg: i32, offset: u64, size: i32, write: bool): u64 {
  const vector = seg == Seg.ss ? Vector.SS : Vector.GP;
  let lin: u64;
  if (mode64()) {
    lin = seg >= Seg.fs ? segBase(seg) + offset : offset;
    if (!canonical(lin) || !canonical(lin + size - 1)) failError(vector, 0);
  } else {
    const attr = segAttr(seg);
    if (attr & SegAttr.NULL) failError(vector, 0);
    if (attr & 8 ? write || !(attr & 2) : write && !(attr & 2)) failError(vector, 0);
    if (!withinLimit(attr, segLimit(seg), offset, size)) failError(vector, 0);
    lin = (segBase(seg) + offset) & 0xffffffff;
  }
  if (load<u32>(PCPU, PcpuOff.mode) & Mode.align) watched(lin, size, write);
  return lin;
}

/** Alignment check and data breakpoints. */
function watched(lin: u64, size: i32, write: bool): void {
  if (cpl() == 3 && (rflags() & Flag.AC) && (cr0() & Cr0.AM) && (<u32>lin & alignment(size))) failError(Vector.AC, 0);
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.pendingDb) | breakpointHit(lin, size, write ? 1 : 3), PcpuOff.pendingDb);
}

/** SDM Vol.3A "Alignment-Check Exception": required alignment by operand size, minus one. */
function alignment(size: i32): u32 {
  switch (size) {
    case 2: return 1;
    case 4:
    case 6: return 3;
    case 8:
    case 10: return 7;
    default: return 0;
  }
}

/** Selector as MOV and PUSH read it. */
export function selectorOf(seg: i32): u32 {
  if (seg > Seg.gs) fail(Vector.UD);
  return segSel(seg);
}
