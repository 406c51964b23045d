/** What the processor reads from the current task-state segment: inner stacks and the I/O permission bitmap
 *  (SDM Vol.3A "Task-State Segment (TSS)", "TSS in 64-bit Mode"; Vol.1 "I/O Permission Bit Map"). */
import { PcpuOff, Seg } from "../../abi/layout";
import { Vector } from "../../abi/x86";
import { failError } from "../../fault";
import { sysLd16, sysLd32, sysLd64 } from "../access";
import { PCPU } from "../pcpu";
import { Sys, linear } from "./descriptor";
import { canonical, cpl, iopl, realMode, segAttr, segLimit, segSel, v86Mode } from "./mode";

@inline export function trBase(): u64 { return load<u64>(PCPU, PcpuOff.trBase); }
/** The current TSS is a 16-bit one. */
@inline export function tssIs16(): bool { return (segAttr(Seg.tr) & 15 & ~2) == Sys.tss16; }

@inline function needTss(last: u32, ext: u32): void {
  if (last > segLimit(Seg.tr)) failError(Vector.TS, (segSel(Seg.tr) & 0xfffc) | ext);
}

/** Stack pointer for privilege `level` in a legacy TSS. */
export function tssStackPointer(level: u32, ext: u32): u32 {
  if (tssIs16()) {
    needTss(level * 4 + 5, ext);
    return <u32>sysLd16(linear(trBase() + level * 4 + 2));
  }
  needTss(level * 8 + 9, ext);
  return <u32>sysLd32(linear(trBase() + level * 8 + 4));
}

export function tssStackSelector(level: u32): u32 {
  return <u32>sysLd16(linear(trBase() + (tssIs16() ? level * 4 + 4 : level * 8 + 8)));
}

/** 64-bit TSS: RSP0..RSP2, or IST1..IST7 when `ist` is not 0. */
export function tssStack64(level: u32, ist: u32, ext: u32): u64 {
  const at = ist ? 28 + ist * 8 : 4 + level * 8;
  needTss(at + 7, ext);
  const top = <u64>sysLd64(trBase() + at);
  if (!canonical(top)) failError(Vector.SS, ext);
  return top;
}

/** Unwinds with #GP(0) unless `size` ports from `port` may be accessed. */
export function checkIo(port: u32, size: i32): void {
  if (realMode() || (!v86Mode() && cpl() <= iopl())) return;
  const limit = segLimit(Seg.tr);
  if (tssIs16() || limit < 103) failError(Vector.GP, 0);
  const at = <u32>sysLd16(linear(trBase() + 102)) + (port >> 3);
  if (at + 1 > limit) failError(Vector.GP, 0); // two bytes are read whatever the port
  if ((<u32>sysLd16(linear(trBase() + at)) >> (port & 7)) & ((1 << size) - 1)) failError(Vector.GP, 0);
}
