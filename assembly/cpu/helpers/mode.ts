/** The mode key and the privilege-dependent TLB class, recomputed after every change of what they derive from: CR0, EFER,
 *  RFLAGS (VM TF AC), CPL, CS, SS, DS, ES, FS, GS, debug registers. */
import { SystemOff } from "../../abi/apic";
import { Mode, PcpuOff, Seg, SegAttr } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Cr0, Cr4, Efer, Flag } from "../../abi/x86";
import { setTlbClass } from "../../mmu/tlb";
import { resume } from "../code_cache";
import { ripOf } from "../operand";
import { PCPU } from "../pcpu";

@inline export function cpl(): u32 { return load<u32>(PCPU, PcpuOff.cpl); }
@inline export function rflags(): u32 { return load<u32>(PCPU, PcpuOff.rflags); }
@inline export function setRflags(value: u32): void { store<u64>(PCPU, <u64>value, PcpuOff.rflags); }
@inline export function cr0(): u32 { return load<u32>(PCPU, PcpuOff.cr0); }
@inline export function cr4(): u32 { return load<u32>(PCPU, PcpuOff.cr4); }
/** EFER.LMA: paging is on and the processor is in 64-bit or compatibility mode. */
@inline export function longActive(): bool { return (load<u32>(PCPU, PcpuOff.efer) & Efer.LMA) != 0; }
@inline export function mode64(): bool { return (load<u32>(PCPU, PcpuOff.mode) & Mode.BITS) == Mode.bits64; }
@inline export function realMode(): bool { return !(cr0() & Cr0.PE); }
@inline export function v86Mode(): bool { return (rflags() & Flag.VM) != 0; }
@inline export function iopl(): u32 { return (rflags() >> 12) & 3; }

@inline export function segAttr(seg: i32): u32 { return load<u32>(PCPU + (<usize>seg << 2), PcpuOff.segAttr); }
@inline export function segLimit(seg: i32): u32 { return load<u32>(PCPU + (<usize>seg << 2), PcpuOff.segLimit); }
@inline export function segSel(seg: i32): u32 { return load<u32>(PCPU + (<usize>seg << 2), PcpuOff.segSel); }
@inline export function segBase(seg: i32): u64 { return load<u64>(PCPU + (<usize>seg << 3), PcpuOff.segBase); }

@inline export function canonical(lin: u64): bool { return (<i64>(lin << 16) >> 16) == <i64>lin; }

/** True if the segment is 4 GiB long and may be read and written, so only its base matters. */
function wholeAndWritable(seg: i32): bool {
  return segLimit(seg) == 0xffffffff && (segAttr(seg) & (SegAttr.NULL | 0xe)) == 2; // data, expand-up, writable
}

/** CS DS ES SS without base, limit or rights worth checking. */
function flat(): bool {
  const bases = segBase(Seg.es) | segBase(Seg.cs) | segBase(Seg.ss) | segBase(Seg.ds);
  return bases == 0 && segLimit(Seg.cs) == 0xffffffff && (segAttr(Seg.cs) & 2) != 0 && wholeAndWritable(Seg.ss)
    && wholeAndWritable(Seg.ds) && wholeAndWritable(Seg.es);
}

/** Segments that translated code accesses by their limits alone (PcpuOff.segEnd): data that may be written, not growing down. */
function noteEnds(): void {
  for (let seg: i32 = Seg.es; seg <= Seg.gs; seg++) {
    const limit = segLimit(seg), plain = (segAttr(seg) & (SegAttr.NULL | 0xe)) == 2;
    store<u32>(PCPU + (<usize>seg << 2), !plain ? 0 : limit == 0xffffffff ? limit : limit + 1, PcpuOff.segEnd);
  }
}

export function updateMode(): void {
  const flags = rflags(), dr7 = load<u32>(PCPU, PcpuOff.dr + 5 * 8) & 0xff;
  let mode: u32;
  if (longActive() && (segAttr(Seg.cs) & SegAttr.L)) mode = Mode.bits64 | Mode.flat | Mode.flatFs | Mode.flatGs;
  else {
    mode = segAttr(Seg.cs) & SegAttr.DB ? Mode.bits32 : Mode.bits16;
    if (segAttr(Seg.ss) & SegAttr.DB) mode |= Mode.ss32;
    if (flat()) mode |= Mode.flat;
    else noteEnds();
    if (wholeAndWritable(Seg.fs)) mode |= Mode.flatFs;
    if (wholeAndWritable(Seg.gs)) mode |= Mode.flatGs;
    if (realMode()) mode |= Mode.real;
    else if (flags & Flag.VM) mode |= Mode.v86;
  }
  if (cpl() == 3) {
    mode |= Mode.cpl3;
    if ((flags & Flag.AC) && (cr0() & Cr0.AM)) mode |= Mode.align;
  } else if (cr4() & Cr4.SMAP) mode |= Mode.smap;
  // what an instruction has armed is still to be reported when it has cleared TF itself
  if ((flags & Flag.TF) || dr7 || load<u32>(PCPU, SystemOff.stepArmed) || load<u32>(PCPU, PcpuOff.pendingDb)) mode |= Mode.step;
  if (dr7 && dataBreakpoints()) mode |= Mode.align; // every access is to be looked at
  store<u32>(PCPU, mode, PcpuOff.mode);
  setTlbClass();
}

/** The same after RFLAGS alone may have changed, with `level` for CPL. */
@inline export function updateModeFlags(level: u32): void {
  const mode = load<u32>(PCPU, PcpuOff.mode);
  const before = mode & (Mode.step | Mode.align | Mode.v86 | Mode.cpl3), now = level == 3 ? Mode.cpl3 : 0;
  const debug = load<u32>(PCPU, SystemOff.stepArmed) | load<u32>(PCPU, PcpuOff.pendingDb);
  if (before != now || debug || rflags() & (Flag.TF | Flag.AC | Flag.VM)) updateMode();
  else setTlbClass();
}

/** True if DR7 enables a breakpoint that is not on execution. */
function dataBreakpoints(): bool {
  const dr7 = load<u32>(PCPU, PcpuOff.dr + 5 * 8);
  for (let i: u32 = 0; i < 4; i++) if (((dr7 >> (2 * i)) & 3) && ((dr7 >> (16 + 4 * i)) & 3)) return true;
  return false;
}

@inline export function linear32(address: u64): u64 { return address & 0xffffffff; }

/** Truncates an instruction pointer to what the code segment in force can hold. */
@inline export function ripMask(rip: u64): u64 { return mode64() ? rip : rip & 0xffffffff; }

/** Address of the instruction after record `u`. */
@inline export function nextRip(u: usize): u64 { return ripMask(ripOf(u) + load<u8>(u, RecOff.len)); }

/** Continues after `u` with whatever mode, mapping or flags now hold. */
export function resumeAfter(u: usize): usize {
  store<u64>(PCPU, nextRip(u), PcpuOff.rip);
  return resume();
}
