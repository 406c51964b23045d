/** Fast system calls: SYSCALL and SYSRET as AMD defines them (APM Vol.3), which 64-bit Intel code can use too; SYSENTER
 *  and SYSEXIT (SDM Vol.2B). Segments are set to fixed flat values without a look at any descriptor. */
import { SystemOff } from "../../abi/apic";
import { PcpuOff, Seg } from "../../abi/layout";
import { Efer, Flag, Gpr, Vector } from "../../abi/x86";
import { raise, raiseError } from "../../fault";
import { resume } from "../code_cache";
import { materialize } from "../flags";
import { PCPU } from "../pcpu";
import { recheckInterrupts } from "./events";
import { mergeFlags } from "./iret";
import { canonical, cpl, longActive, mode64, nextRip, realMode, rflags, setRflags, updateMode } from "./mode";
import { setSegment } from "./segment";

const CODE64: u32 = 0xa09b; // G L P S code, readable, accessed
const CODE32: u32 = 0xc09b; // G D P S
const DATA32: u32 = 0xc093; // G B P S data, writable
const DPL3: u32 = 0x60;

/** `selector` may be the sum of a register's and a constant: those wrap at 16 bits. */
@inline function flatSegment(seg: i32, selector: u32, attr: u32): void { setSegment(seg, selector & 0xffff, 0, 0xffffffff, attr); }

function setLevel(level: u32): void { store<u32>(PCPU, level, PcpuOff.cpl); }

export function syscall(u: usize): usize {
  if (!(load<u32>(PCPU, PcpuOff.efer) & Efer.SCE)) return raise(Vector.UD);
  const flags = <u32>materialize(), selector = <u32>(load<u64>(PCPU, PcpuOff.star) >> 32) & 0xfffc, next = nextRip(u);
  if (longActive()) {
    store<u64>(PCPU, next, Gpr.rcx * 8);
    store<u64>(PCPU, <u64>(flags & ~Flag.RF), Gpr.r11 * 8);
    store<u64>(PCPU, mode64() ? load<u64>(PCPU, PcpuOff.lstar) : load<u64>(PCPU, PcpuOff.cstar), PcpuOff.rip);
    setRflags((flags & ~load<u32>(PCPU, PcpuOff.sfmask) & ~Flag.RF) | Flag.R1);
    flatSegment(Seg.cs, selector, CODE64);
  } else {
    store<u64>(PCPU, next, Gpr.rcx * 8);
    store<u64>(PCPU, <u64>load<u32>(PCPU, PcpuOff.star), PcpuOff.rip);
    setRflags(flags & ~(Flag.VM | Flag.IF | Flag.RF));
    flatSegment(Seg.cs, selector, CODE32);
  }
  flatSegment(Seg.ss, selector + 8, DATA32);
  setLevel(0);
  if (!(rflags() & Flag.TF)) store<u32>(PCPU, 0, SystemOff.stepArmed); // the mask counts for SYSCALL itself
  updateMode();
  return resume();
}

export function sysret(size: i32): usize {
  if (!(load<u32>(PCPU, PcpuOff.efer) & Efer.SCE)) return raise(Vector.UD);
  if (realMode() || cpl() != 0) return raiseError(Vector.GP, 0);
  const base = <u32>(load<u64>(PCPU, PcpuOff.star) >> 48) & 0xffff, rcx = load<u64>(PCPU, Gpr.rcx * 8);
  if (size == 8) {
    // AMD checks the target at CPL 3, by the fetch that follows; so does this.
    flatSegment(Seg.cs, (base + 16) | 3, CODE64 | DPL3);
    store<u64>(PCPU, rcx, PcpuOff.rip);
  } else {
    flatSegment(Seg.cs, base | 3, CODE32 | DPL3);
    store<u64>(PCPU, rcx & 0xffffffff, PcpuOff.rip);
  }
  flatSegment(Seg.ss, (base + 8) | 3, DATA32 | DPL3);
  if (longActive()) {
    mergeFlags(load<u32>(PCPU, Gpr.r11 * 8), 0x3c7fd7 & ~Flag.VM);
  } else setRflags(<u32>materialize() | Flag.IF);
  setLevel(3);
  // As for SYSCALL, TF counts as the instruction leaves it: the trap comes as if SYSCALL had just completed.
  store<u32>(PCPU, rflags() & Flag.TF ? 1 : 0, SystemOff.stepArmed);
  updateMode();
  const next = resume();
  recheckInterrupts();
  return next;
}

export function sysenter(): usize {
  const selector = load<u32>(PCPU, PcpuOff.sysenterCs) & 0xfffc;
  if (realMode() || !selector) return raiseError(Vector.GP, 0);
  // DEVIATION: AMD raises #UD in long mode; Intel's definition, a superset, is kept.
  setRflags(<u32>materialize() & ~(Flag.VM | Flag.IF | Flag.RF));
  const long = longActive();
  store<u64>(PCPU, long ? load<u64>(PCPU, PcpuOff.sysenterEsp) : <u64>load<u32>(PCPU, PcpuOff.sysenterEsp), Gpr.rsp * 8);
  store<u64>(PCPU, long ? load<u64>(PCPU, PcpuOff.sysenterEip) : <u64>load<u32>(PCPU, PcpuOff.sysenterEip), PcpuOff.rip);
  flatSegment(Seg.cs, selector, long ? CODE64 : CODE32);
  flatSegment(Seg.ss, selector + 8, DATA32);
  setLevel(0);
  updateMode();
  return resume();
}

export function sysexit(size: i32): usize {
  const selector = load<u32>(PCPU, PcpuOff.sysenterCs) & 0xfffc;
  if (realMode() || !selector || cpl() != 0) return raiseError(Vector.GP, 0);
  const rcx = load<u64>(PCPU, Gpr.rcx * 8), rdx = load<u64>(PCPU, Gpr.rdx * 8);
  if (size == 8) {
    if (!canonical(rcx) || !canonical(rdx)) return raiseError(Vector.GP, 0);
    flatSegment(Seg.cs, (selector + 32) | 3, CODE64 | DPL3);
    flatSegment(Seg.ss, (selector + 40) | 3, DATA32 | DPL3);
    store<u64>(PCPU, rcx, Gpr.rsp * 8);
    store<u64>(PCPU, rdx, PcpuOff.rip);
  } else {
    flatSegment(Seg.cs, (selector + 16) | 3, CODE32 | DPL3);
    flatSegment(Seg.ss, (selector + 24) | 3, DATA32 | DPL3);
    store<u64>(PCPU, rcx & 0xffffffff, Gpr.rsp * 8);
    store<u64>(PCPU, rdx & 0xffffffff, PcpuOff.rip);
  }
  setLevel(3);
  updateMode();
  return resume();
}
