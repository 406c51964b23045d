/** IRET in every mode (SDM Vol.2A IRET/IRETD/IRETQ). */
import { FlagsKind, Mode, PcpuOff, Seg } from "../../abi/layout";
import { Flag, Gpr, Vector } from "../../abi/x86";
import { failError } from "../../fault";
import { hostR, sysLd16 } from "../access";
import { resume } from "../code_cache";
import { PCPU } from "../pcpu";
import { recheckInterrupts } from "./events";
import { Sys, isPresent, isSegment, linear, markAccessed, readDescriptor, typeOf } from "./descriptor";
import { checkTarget, enterCode, loadReturnStack, returnStack, returnTarget, to64 } from "./far_transfer";
import { canonical, cpl, iopl, longActive, mode64, nextRip, realMode, rflags, segLimit, setRflags, updateMode, v86Mode } from "./mode";
import { dropInnerSegments, setReal, setV86 } from "./segment";
import { moveRsp, outerRsp, peek, stackFrame } from "./stack";
import { Switch, switchTask } from "./task";
import { trBase } from "./tss";
import { extended, returnVirtual } from "./vme";

/** Flags IRET and POPF may change: status, TF DF NT always; RF AC ID with a 32- or 64-bit image; IF if CPL <= IOPL;
 *  IOPL at CPL 0. */
export function flagsWritable(level: u32, size: i32): u32 {
  let mask: u32 = Flag.STATUS | Flag.TF | Flag.DF | Flag.NT;
  if (level <= iopl()) mask |= Flag.IF;
  if (level == 0) mask |= Flag.IOPL;
  if (size != 2) mask |= Flag.AC | Flag.ID;
  return mask;
}

/** RFLAGS with the bits of `mask`, all status flags among them, taken from `image`; the lazy flags are superseded. RF stays only if a breakpoint could
 *  see it. */
export function mergeFlags(image: u32, mask: u32): void {
  setRflags((rflags() & ~mask & ~Flag.RF) | (image & mask) | Flag.R1);
  store<u32>(PCPU, FlagsKind.none, PcpuOff.flagsKind);
}

/** What IRET may change beyond POPF: VIF and VIP at CPL 0, with a 32- or 64-bit image, and RF. */
function returnedFlags(size: i32): u32 {
  return flagsWritable(cpl(), size) | resumeFlag(size) | (cpl() == 0 && size != 2 ? Flag.VIF | Flag.VIP : 0);
}

/** RF of an IRET image matters to code breakpoints alone. */
function resumeFlag(size: i32): u32 {
  return size != 2 && load<u32>(PCPU, PcpuOff.dr + 40) & 0xff ? Flag.RF : 0;
}

@inline export function interruptReturn(u: usize, size: i32): usize {
  if (longActive()) return returnLong(size);
  if (realMode()) return returnReal(size, ~(<u32>0));
  if (v86Mode()) {
    if (iopl() != 3) {
      if (size != 2 || !extended()) failError(Vector.GP, 0);
      returnVirtual();
      return finish();
    }
    return returnReal(size, ~(<u32>(Flag.IOPL | Flag.VM | Flag.VIF | Flag.VIP)));
  }
  if (rflags() & Flag.NT) return returnTask(u);
  return returnProtected(size);
}

/** A new instruction stream: NMIs are open again, and IF may just have been set. */
@inline function finish(): usize {
  store<u32>(PCPU, 0, PcpuOff.nmiBlocked);
  const next = resume();
  recheckInterrupts();
  return next;
}

/** Real mode and, with IOPL 3, virtual-8086 mode. */
function returnReal(size: i32, allowed: u32): usize {
  const offset = peek(0, size), selector = <u32>peek(size, size) & 0xffff, image = <u32>peek(2 * size, size);
  if (offset > <u64>segLimit(Seg.cs)) failError(Vector.GP, 0);
  const all: u32 = size == 2 ? 0x7fd5 : 0x247fd5 | resumeFlag(size);
  moveRsp(3 * size);
  if (v86Mode()) setV86(Seg.cs, selector);
  else setReal(Seg.cs, selector);
  mergeFlags(image, all & allowed);
  store<u64>(PCPU, offset, PcpuOff.rip);
  updateMode();
  return finish();
}

/** NT is set: back to the task that called this one. */
function returnTask(u: usize): usize {
  const link = <u32>sysLd16(linear(trBase()));
  if (link & 4) failError(Vector.TS, link & 0xfffc);
  const d = readDescriptor(link, Vector.TS, 0);
  if (isSegment(d) || (typeOf(d) != Sys.tssBusy && typeOf(d) != Sys.tss16Busy)) failError(Vector.TS, link & 0xfffc);
  if (!isPresent(d)) failError(Vector.NP, link & 0xfffc);
  store<u32>(PCPU, 0, PcpuOff.nmiBlocked);
  const next = switchTask(link, Switch.iret, nextRip(u), 0);
  recheckInterrupts();
  return next;
}

function returnProtected(size: i32): usize {
  let offset: u64, selector: u32, image: u32;
  const host = size == 4 ? stackFrame(0, 12, false) : 0;
  if (host) {
    offset = <u64>load<u32>(host);
    selector = load<u32>(host, 4) & 0xffff;
    image = load<u32>(host, 8);
  } else {
    offset = peek(0, size);
    selector = <u32>peek(size, size) & 0xffff;
    image = <u32>peek(2 * size, size);
  }
  if (size == 4 && image & Flag.VM && cpl() == 0) return returnToV86(offset, selector, image);
  const d = returnTarget(selector), level = selector & 3;
  const mask = returnedFlags(size);
  if (level == cpl()) {
    checkTarget(d, offset);
    markAccessed(selector, d);
    moveRsp(3 * size);
    mergeFlags(image, mask);
    enterCode(selector, d, level, offset);
    return finish();
  }
  const top = peek(3 * size, size), ss = <u32>peek(4 * size, size) & 0xffff;
  const stack = returnStack(ss, d, level);
  checkTarget(d, offset);
  markAccessed(selector, d);
  loadReturnStack(ss, stack);
  store<u64>(PCPU, outerRsp(top, stack, false), Gpr.rsp * 8);
  mergeFlags(image, mask);
  dropInnerSegments(level);
  enterCode(selector, d, level, offset);
  return finish();
}

/** From CPL 0: nine doublewords. */
function returnToV86(offset: u64, selector: u32, image: u32): usize {
  const top = peek(12, 4), ss = <u32>peek(16, 4), es = <u32>peek(20, 4), ds = <u32>peek(24, 4);
  const fs = <u32>peek(28, 4), gs = <u32>peek(32, 4);
  if (offset > 0xffff) failError(Vector.GP, 0);
  mergeFlags(image, 0x267fd5 | Flag.VIF | Flag.VIP | resumeFlag(4));
  store<u32>(PCPU, 3, PcpuOff.cpl);
  setV86(Seg.cs, selector);
  setV86(Seg.ss, ss & 0xffff);
  setV86(Seg.es, es & 0xffff);
  setV86(Seg.ds, ds & 0xffff);
  setV86(Seg.fs, fs & 0xffff);
  setV86(Seg.gs, gs & 0xffff);
  store<u64>(PCPU, top, Gpr.rsp * 8);
  store<u64>(PCPU, offset, PcpuOff.rip);
  updateMode();
  return finish();
}

/** IA-32e mode. 64-bit code always pops SS:RSP, compatibility code only for an outer return. */
function returnLong(size: i32): usize {
  if (rflags() & Flag.NT) failError(Vector.GP, 0);
  let offset: u64, selector: u32, image: u32, top: u64 = 0, ss: u32 = 0;
  const from64 = mode64();
  const frame = load<u64>(PCPU, Gpr.rsp * 8);
  if (size == 8 && !(load<u32>(PCPU, PcpuOff.mode) & Mode.align)) { // the common case: one look at the stack for the whole frame
    if (!canonical(frame) || !canonical(frame + 39)) failError(Vector.SS, 0);
    const host = hostR(frame, 40);
    if (!host) return 0;
    offset = load<u64>(host);
    selector = load<u32>(host, 8) & 0xffff;
    image = load<u32>(host, 16);
    top = load<u64>(host, 24);
    ss = load<u32>(host, 32) & 0xffff;
  } else {
    offset = peek(0, size);
    selector = <u32>peek(size, size) & 0xffff;
    image = <u32>peek(2 * size, size);
    if (from64 || (selector & 3) > cpl()) {
      top = peek(3 * size, size);
      ss = <u32>peek(4 * size, size) & 0xffff;
    }
  }
  const d = returnTarget(selector), level = selector & 3, now = cpl();
  const mask = returnedFlags(size);
  if (!from64 && level == now) {
    checkTarget(d, offset);
    markAccessed(selector, d);
    moveRsp(3 * size);
    mergeFlags(image, mask);
    enterCode(selector, d, level, offset);
    return finish();
  }
  const stack = returnStack(ss, d, level), long = to64(d);
  checkTarget(d, offset);
  markAccessed(selector, d);
  loadReturnStack(ss, stack);
  store<u64>(PCPU, outerRsp(top, stack, long), Gpr.rsp * 8);
  mergeFlags(image, mask);
  if (level != now) dropInnerSegments(level);
  enterCode(selector, d, level, offset);
  return finish();
}
