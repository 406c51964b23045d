/** Hardware task switching (SDM Vol.3A "Task Management"). Faults before the commit point belong to the old task; those
 *  found while loading the new task's segments are delivered in the new one, at its first instruction. */
import { FaultKind, PcpuOff, Seg, SegAttr } from "../../abi/layout";

import { Cr0, Flag, Vector } from "../../abi/x86";
import { failError, raiseError, raiseTrap } from "../../fault";

import { sysLd16, sysLd32, sysSt16, sysSt32 } from "../access";
import { resume } from "../code_cache";
import { materialize, setStatus } from "../flags";
import { flushTlb } from "../../mmu/tlb";
import { PCPU } from "../pcpu";
import { DR6_BT } from "./debug";
import {
  NO_DESCRIPTOR, Sys, baseOf, descriptorAt, dplOf, isCode, isConforming, isData, isNull, isPresent, isSegment, isWritable, limitOf,
  linear, markAccessed, markBusy, readDescriptor, typeOf,
} from "./descriptor";
import { cr0, segLimit, segSel, updateMode } from "./mode";
import { setFromDescriptor, setNull, setSegment, setV86 } from "./segment";
import { hasRoom, poke, rsp, setRsp, stackMask } from "./stack";
import { tssIs16, trBase } from "./tss";


export const enum Switch {
  jump = 0,
  call = 1,
  interrupt = 2,
  iret = 3,
}

/** Offsets in a 32-bit TSS. */
const enum Tss {
  link = 0,
  cr3 = 28,
  eip = 32,
  eflags = 36,
  eax = 40,
  es = 72, // es cs ss ds fs gs, 4 bytes apart
  ldt = 96,
  trap = 100,
}

/** Offsets in a 16-bit TSS. */
const enum Tss16 {
  ip = 14,
  flags = 16,
  ax = 18,
  es = 34, // es cs ss ds, 2 bytes apart
  ldt = 42,
}

function register16(base: u64, at: u32): u32 { return <u32>sysLd16(linear(base + at)); }
function register32(base: u64, at: u32): u32 { return <u32>sysLd32(linear(base + at)); }

/** Switches to the task of TSS `selector`, whose descriptor the caller has found present and of TSS type. `rip` is what the
 *  old task continues at, `ext` the EXT bit of error codes. Unwinds on a fault of the old task. */
export function switchTask(selector: u32, how: Switch, rip: u64, ext: u32): usize {
  commitSwitch(selector, how, rip, <u32>materialize(), ext, -1);
  return load<i32>(PCPU, PcpuOff.faultVector) >= 0 ? 0 : resume();
}

/** The switch without going on, `saved` being the old task's RFLAGS and `error` an error code to push on the new stack, unless negative; on
 *  a fault of the new task it is pending at the new rip. */
export function commitSwitch(selector: u32, how: Switch, rip: u64, saved: u32, ext: u32, error: i64): void {
  const tss = readDescriptor(selector, Vector.TS, ext);
  const is16 = (typeOf(tss) & ~2) == Sys.tss16, newBase = baseOf(tss), limit = limitOf(tss);
  const least: u32 = is16 ? 43 : 103;
  if (limit < least) failError(Vector.TS, (selector & 0xfffc) | ext);
  const old16 = tssIs16(), oldBase = trBase(), oldSelector = segSel(Seg.tr);

  // Read everything of the new task first, so that its TSS faults in the old one.
  let flags: u32, eip: u32, cr3: u32 = 0, ldt: u32;
  if (is16) {
    eip = register16(newBase, Tss16.ip);
    flags = register16(newBase, Tss16.flags) | Flag.R1;
    ldt = register16(newBase, Tss16.ldt);
  } else {
    eip = register32(newBase, Tss.eip);
    flags = register32(newBase, Tss.eflags) | Flag.R1;
    cr3 = register32(newBase, Tss.cr3);
    ldt = register16(newBase, Tss.ldt);
    register32(newBase, Tss.trap);
  }
  const trap = is16 ? 0 : register16(newBase, Tss.trap) & 1;

  // Save the old task.
  const oldFlags = how == Switch.iret ? saved & ~Flag.NT : saved;
  if (old16) {
    sysSt16(linear(oldBase + Tss16.ip), rip);
    sysSt16(linear(oldBase + Tss16.flags), oldFlags);
    for (let i: u32 = 0; i < 8; i++) sysSt16(linear(oldBase + Tss16.ax + i * 2), load<u64>(PCPU + (<usize>i << 3)));
    for (let i: u32 = 0; i < 4; i++) sysSt16(linear(oldBase + Tss16.es + i * 2), segSel(i));
  } else {
    sysSt32(linear(oldBase + Tss.eip), rip);
    sysSt32(linear(oldBase + Tss.eflags), oldFlags);
    for (let i: u32 = 0; i < 8; i++) sysSt32(linear(oldBase + Tss.eax + i * 4), load<u64>(PCPU + (<usize>i << 3)));
    for (let i: u32 = 0; i < 6; i++) sysSt16(linear(oldBase + Tss.es + i * 4), segSel(i));
  }
  if (how == Switch.call || how == Switch.interrupt) {
    sysSt16(linear(newBase + Tss.link), oldSelector);
    flags |= Flag.NT;
  }
  if (how == Switch.jump || how == Switch.iret) markBusy(oldSelector, false);
  if (how != Switch.iret) markBusy(selector, true);

  // The new task's registers: still through the old address space, as the TSS is mapped in both.
  for (let i: u32 = 0; i < 8; i++) {
    const value = is16 ? <u64>register16(newBase, Tss16.ax + i * 2) | 0xffff0000 : <u64>register32(newBase, Tss.eax + i * 4);
    store<u64>(PCPU + (<usize>i << 3), value);
  }
  for (let i: i32 = 0; i < 6; i++) {
    const segment = is16 ? (i < 4 ? register16(newBase, Tss16.es + i * 2) : 0) : register16(newBase, Tss.es + i * 4);
    setSegment(i, segment, 0, 0, SegAttr.NULL); // selectors at once, descriptors below
  }
  setFromDescriptor(Seg.tr, selector, tss);
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.segAttr + Seg.tr * 4) | 2, PcpuOff.segAttr + Seg.tr * 4);
  store<u64>(PCPU, <u64>(load<u32>(PCPU, PcpuOff.cr0) | Cr0.TS), PcpuOff.cr0);
  store<u64>(PCPU, load<u64>(PCPU, PcpuOff.dr + 40) & ~<u64>0x155, PcpuOff.dr + 40); // local breakpoint enables
  if (!is16 && (cr0() >>> Cr0.PG_BIT) && load<u32>(PCPU, PcpuOff.cr3) != cr3) {
    store<u64>(PCPU, <u64>cr3, PcpuOff.cr3);
    flushTlb();
  }
  store<u64>(PCPU, <u64>(flags & 0x3f7fd7 | Flag.R1), PcpuOff.rflags);
  setStatus(flags);
  store<u64>(PCPU, <u64>eip, PcpuOff.rip);
  store<u32>(PCPU, 0, PcpuOff.record); // faults from here on are the new task's, and no longer those of a delivery
  store<u32>(PCPU, 0, PcpuOff.delivering);
  const cs = segSel(Seg.cs);
  store<u32>(PCPU, flags & Flag.VM ? 3 : cs & 3, PcpuOff.cpl);
  setNull(Seg.ldtr, ldt);
  updateMode();
  loadNewTask(ldt, (flags & Flag.VM) != 0, ext);
  if (error >= 0 && load<i32>(PCPU, PcpuOff.faultVector) < 0) pushError(<u32>error, ext);
  if (load<i32>(PCPU, PcpuOff.faultVector) < 0 && <u64>eip > <u64>segLimit(Seg.cs)) failNew(Vector.GP, ext);
  if (trap && load<i32>(PCPU, PcpuOff.faultVector) < 0) {
    store<u32>(PCPU, load<u32>(PCPU, PcpuOff.pendingDb) | DR6_BT, PcpuOff.pendingDb);
    raiseTrap(Vector.DB);
  }
}

/** LDT, then segments: SS at CPL, CS, the data segments (SDM Vol.3A "Task Switching", table of exceptions). */
function loadNewTask(ldt: u32, v86: bool, ext: u32): void {
  if (!isNull(ldt)) {
    const code = (ldt & 0xfffc) | ext;
    if (ldt & 4) return failNew(Vector.TS, code);
    const d = newDescriptor(ldt, ext);
    if (d == NO_DESCRIPTOR) return;
    if (isSegment(d) || typeOf(d) != Sys.ldt || !isPresent(d)) return failNew(Vector.TS, code);
    setFromDescriptor(Seg.ldtr, ldt, d);
    store<u32>(PCPU, load<u32>(PCPU, PcpuOff.segAttr + Seg.ldtr * 4) & ~1, PcpuOff.segAttr + Seg.ldtr * 4); // type 2
  }
  if (v86) {
    for (let i: i32 = 0; i < 6; i++) setV86(i, segSel(i));
    updateMode();
    return;
  }
  const cs = segSel(Seg.cs), ss = segSel(Seg.ss), level = cs & 3;
  if (isNull(cs)) return failNew(Vector.TS, ext);
  const code = newDescriptor(cs, ext);
  if (code == NO_DESCRIPTOR) return;
  if (!isCode(code) || (isConforming(code) ? dplOf(code) > level : dplOf(code) != level)) return failNew(Vector.TS, (cs & 0xfffc) | ext);
  if (!isPresent(code)) return failNew(Vector.NP, (cs & 0xfffc) | ext);
  if (isNull(ss)) return failNew(Vector.TS, ext);
  const stack = newDescriptor(ss, ext);
  if (stack == NO_DESCRIPTOR) return;
  if (!isData(stack) || !isWritable(stack) || dplOf(stack) != level || (ss & 3) != level) return failNew(Vector.TS, (ss & 0xfffc) | ext);
  if (!isPresent(stack)) return failNew(Vector.SS, (ss & 0xfffc) | ext);
  markAccessed(cs, code);
  setFromDescriptor(Seg.cs, cs, code);
  markAccessed(ss, stack);
  setFromDescriptor(Seg.ss, ss, stack);
  updateMode();
  for (let i: i32 = 0; i < 4; i++) {
    const seg = i == 0 ? Seg.es : i == 1 ? Seg.ds : i == 2 ? Seg.fs : Seg.gs, selector = segSel(seg);
    if (isNull(selector)) continue;
    const d = newDescriptor(selector, ext), dpl = dplOf(d);
    if (d == NO_DESCRIPTOR) return;
    if (!isSegment(d) || (isCode(d) && !isWritable(d)) || (!(isCode(d) && isConforming(d)) && (dpl < level || dpl < (selector & 3)))) {
      return failNew(Vector.TS, (selector & 0xfffc) | ext);
    }
    if (!isPresent(d)) return failNew(Vector.NP, (selector & 0xfffc) | ext);
    markAccessed(selector, d);
    setFromDescriptor(seg, selector, d);
  }
  updateMode();
}

/** Descriptor `selector` of the new task, NO_DESCRIPTOR with #TS(selector) pending if there is none. */
function newDescriptor(selector: u32, ext: u32): u64 {
  if (descriptorAt(selector, 8) != NO_DESCRIPTOR) return readDescriptor(selector, Vector.TS, ext);
  failNew(Vector.TS, (selector & 0xfffc) | ext);
  return NO_DESCRIPTOR;
}

/** A fault in the new task's context, at its first instruction. */
function failNew(vector: i32, code: u32): void {
  raiseError(vector, code);
  store<u32>(PCPU, FaultKind.trap, PcpuOff.faultKind);
}

/** Pushes an exception's error code on the new task's stack, as an item of its TSS's width. */
function pushError(error: u32, ext: u32): void {
  const size = tssIs16() ? 2 : 4;
  if (!hasRoom(size, size)) return failNew(Vector.SS, ext);
  poke(size, size, error);
  setRsp(rsp() - size, stackMask());
}
