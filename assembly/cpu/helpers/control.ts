/** Control and debug registers, XCR0 (SDM Vol.3A "Control Registers", "Enabling Protection", AMD APM Vol.2 "System-Control
 *  Registers"). Writes check everything first, then change state, then the translations and the mode key that follow. */
import { PcpuOff, Seg, SegAttr } from "../../abi/layout";
import { Cr0, Cr4, Efer, Vector } from "../../abi/x86";
import { raise, raiseError } from "../../fault";
import { pdptesAreValid } from "../../mmu/guest_walk";
import { flushTlb, flushTlbAll } from "../../mmu/tlb";

import { PCPU } from "../pcpu";
import { apicSetTpr, apicTpr } from "./apic";
import { raiseGeneralDetect } from "./debug";
import { recheckInterrupts } from "./events";
import { cpl, cr0, cr4, longActive, mode64, resumeAfter, segAttr, updateMode } from "./mode";

const CR0_PG: u32 = 0x80000000;
const CR0_DEFINED: u32 = CR0_PG | Cr0.CD | Cr0.NW | Cr0.AM | Cr0.WP | Cr0.NE | Cr0.ET | Cr0.TS | Cr0.EM | Cr0.MP | Cr0.PE;
/** What CPUID reports. */
const CR4_DEFINED: u64 = Cr4.VME | Cr4.PVI | Cr4.TSD | Cr4.DE | Cr4.PSE | Cr4.PAE | Cr4.MCE | Cr4.PGE | Cr4.PCE | Cr4.OSFXSR | Cr4.OSXMMEXCPT | Cr4.UMIP
  | Cr4.FSGSBASE | Cr4.PCIDE | Cr4.OSXSAVE | Cr4.SMEP | Cr4.SMAP;
const PHYSICAL_MASK: u64 = 0xffffffffff; // MAXPHYADDR 40
/** In MOV to CR3 under CR4.PCIDE: translations of the new PCID may be kept. None are, which a processor is free to do: those of other PCIDs
 *  have been forgotten, because entries carry no number. */
const CR3_NO_FLUSH: u64 = 1 << 63;
const CR3_PCID: u32 = 0xfff;

@inline function gp0(): usize { return raiseError(Vector.GP, 0); }

/** Width of moves to and from control and debug registers. */
@inline export function nativeSize(): i32 { return mode64() ? 8 : 4; }

export function readCr(n: i32): u64 {
  switch (n) {
    case 0: return load<u64>(PCPU, PcpuOff.cr0);
    case 2: return load<u64>(PCPU, PcpuOff.cr2);
    case 3: return load<u64>(PCPU, PcpuOff.cr3);
    case 4: return load<u64>(PCPU, PcpuOff.cr4);
    default: return <u64>apicTpr() >> 4;
  }
}

/** MOV CRn, r64. */
export function writeCr(u: usize, n: i32, value: u64): usize {
  switch (n) {
    case 0: return writeCr0(u, value);
    case 2: store<u64>(PCPU, value, PcpuOff.cr2); return resumeAfter(u);
    case 3: return writeCr3(u, value);
    case 4: return writeCr4(u, value);
    default:
      if (value >> 4) return gp0();
      apicSetTpr(<u32>value << 4);
      recheckInterrupts();
      return resumeAfter(u);
  }
}

/** Are PAE page-directory pointers in use (not in long mode)? */
@inline function usesPdptes(cr0: u32, cr4: u64): bool { return (cr0 & CR0_PG) != 0 && (cr4 & Cr4.PAE) != 0 && !longActive(); }

export function writeCr0(u: usize, value: u64): usize {
  const old = cr0(), next = (<u32>value & CR0_DEFINED) | Cr0.ET, changed = old ^ next;
  if (value >> 32) return gp0();
  if ((next & CR0_PG) && !(next & Cr0.PE)) return gp0();
  if ((next & Cr0.NW) && !(next & Cr0.CD)) return gp0();
  const efer = load<u64>(PCPU, PcpuOff.efer);
  if (changed & CR0_PG) {
    if (next & CR0_PG) {
      if (efer & Efer.LME) {
        if (!(cr4() & Cr4.PAE) || segAttr(Seg.cs) & SegAttr.L) return gp0();
        store<u64>(PCPU, efer | Efer.LMA, PcpuOff.efer);
      } else if ((cr4() & Cr4.PAE) && !pdptesAreValid(load<u64>(PCPU, PcpuOff.cr3))) return gp0();
    } else {
      if (mode64() || (cr4() & Cr4.PCIDE)) return gp0();
      store<u64>(PCPU, efer & ~<u64>Efer.LMA, PcpuOff.efer);
    }
  } else if ((changed & (Cr0.CD | Cr0.NW)) && usesPdptes(next, cr4()) && !pdptesAreValid(load<u64>(PCPU, PcpuOff.cr3))) return gp0();
  store<u64>(PCPU, <u64>next, PcpuOff.cr0);
  if (changed & (CR0_PG | Cr0.PE | Cr0.WP)) flushTlbAll();
  if (changed & Cr0.PE) {
    // Leaving or entering protected mode: CPL is 0 at once, the hidden parts of the segments stay.
    store<u32>(PCPU, 0, PcpuOff.cpl);
  }
  updateMode();
  return resumeAfter(u);
}

function writeCr3(u: usize, value: u64): usize {
  if (cr4() & Cr4.PCIDE) value &= ~CR3_NO_FLUSH;
  if (longActive()) {
    if (value & ~PHYSICAL_MASK) return gp0();
  } else if (usesPdptes(cr0(), cr4()) && !pdptesAreValid(value)) return gp0();
  store<u64>(PCPU, value, PcpuOff.cr3);
  flushTlb();
  return resumeAfter(u);
}

function writeCr4(u: usize, value: u64): usize {
  const old = <u64>cr4(), changed = old ^ value;
  if (value & ~CR4_DEFINED) return gp0();
  if (longActive() && !(value & Cr4.PAE)) return gp0();
  if (changed & value & Cr4.PCIDE && (!longActive() || <u32>load<u64>(PCPU, PcpuOff.cr3) & CR3_PCID)) return gp0();
  const paging = Cr4.PAE | Cr4.PSE | Cr4.PGE | Cr4.SMEP | Cr4.SMAP;
  if ((changed & paging) && usesPdptes(cr0(), value) && !pdptesAreValid(load<u64>(PCPU, PcpuOff.cr3))) return gp0();
  store<u64>(PCPU, value, PcpuOff.cr4);
  if (changed & (paging | Cr4.PCIDE)) flushTlbAll();
  updateMode();
  return resumeAfter(u);
}

/** LMSW sets PE, MP, EM and TS; it cannot clear PE. */
export function lmsw(u: usize, value: u32): usize {
  const old = cr0();
  return writeCr0(u, <u64>((old & ~<u32>14) | (value & 15) | (old & Cr0.PE)));
}

/* Debug registers. */

/** Checks that MOV to or from DRn is possible: register number `n`, or -1 with the fault pending. DR4 and DR5 are DR6 and DR7
 *  unless CR4.DE. */
export function debugRegister(n: i32): i32 {
  if (n > 7 || ((n == 4 || n == 5) && (cr4() & Cr4.DE))) { raise(Vector.UD); return -1; }
  if (cpl() != 0) { gp0(); return -1; }
  if (load<u32>(PCPU, PcpuOff.dr + 40) & (1 << 13)) { raiseGeneralDetect(); return -1; }
  return n < 4 ? n : n & 1 ? 5 : 4;
}

export function readDr(slot: i32): u64 { return load<u64>(PCPU + (<usize>slot << 3), PcpuOff.dr); }

export function writeDr(u: usize, slot: i32, value: u64): usize {
  if (slot >= 4 && value >> 32) return gp0();
  if (slot == 4) value = (value & 0xe00f) | 0xffff0ff0;
  else if (slot == 5) value = (value & 0xffff23ff) | 0x400;
  store<u64>(PCPU + (<usize>slot << 3), value, PcpuOff.dr);
  updateMode();
  return resumeAfter(u);
}

/* Extended control register. */

/** XSETBV: only XCR0, and of it x87 (always) and SSE. */
export function xsetbv(u: usize): usize {
  const value = load<u64>(PCPU, 2 * 8) << 32 | <u64>load<u32>(PCPU, 0);
  if (!(cr4() & Cr4.OSXSAVE)) return raise(Vector.UD);
  if (cpl() != 0 || load<u32>(PCPU, 8) != 0 || (value & ~<u64>3) || !(value & 1)) return gp0();
  store<u64>(PCPU, value, PcpuOff.xcr0);
  return resumeAfter(u);
}

export function xgetbv(u: usize): usize {
  if (!(cr4() & Cr4.OSXSAVE)) return raise(Vector.UD);
  if (load<u32>(PCPU, 8) != 0) return gp0();
  const xcr0 = load<u64>(PCPU, PcpuOff.xcr0);
  store<u64>(PCPU, xcr0 & 0xffffffff, 0);
  store<u64>(PCPU, xcr0 >> 32, 2 * 8);
  return u + 32;
}
