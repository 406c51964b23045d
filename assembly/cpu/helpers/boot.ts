/** Where a processor starts: architectural reset (SDM Vol.3A "Processor State After Reset"), a start-up IPI, and the PVH
 *  entry of public/arch-x86/hvm/start_info.h, which is also Multiboot's: flat 32-bit protected mode, paging off. */
import { ApicOff, Lvt, SystemOff } from "../../abi/apic";
import { PcpuOff, Seg, VcpuOff } from "../../abi/layout";
import { Cr0, Flag, Gpr } from "../../abi/x86";
import { flushTlbAll } from "../../mmu/tlb";
import { PCPU } from "../pcpu";
import { apicReset } from "./apic";
import { DR6_FIXED } from "./debug";
import { updateMode } from "./mode";
import { setReal, setSegment } from "./segment";

/** Model number in EDX after reset and in CPUID 1: family 0x19. */
export const CPU_SIGNATURE: u32 = 0x00a10f11;

/** State after RESET or INIT. What runs on other threads' behalf (VcpuOff) stays. */
export function resetVcpu(): void {
  const tscOffset = load<u64>(PCPU, PcpuOff.tscOffset), tscAdjust = load<u64>(PCPU, SystemOff.tscAdjust);
  memory.fill(PCPU, 0, PcpuOff.STATE_SIZE);
  store<u64>(PCPU, tscOffset, PcpuOff.tscOffset);
  store<u64>(PCPU, tscAdjust, SystemOff.tscAdjust);
  store<u64>(PCPU, <u64>CPU_SIGNATURE, Gpr.rdx * 8);
  store<u64>(PCPU, Flag.R1, PcpuOff.rflags);
  store<u64>(PCPU, <u64>(Cr0.ET | Cr0.CD | Cr0.NW), PcpuOff.cr0);
  store<u64>(PCPU, 1, PcpuOff.xcr0);
  store<u64>(PCPU, <u64>DR6_FIXED, PcpuOff.dr + 32);
  store<u64>(PCPU, 0x400, PcpuOff.dr + 40);
  store<u64>(PCPU, 0x0007040600070406, PcpuOff.pat);
  store<u64>(PCPU, 1, PcpuOff.miscEnable); // fast strings
  store<u64>(PCPU, 1 << 24, SystemOff.hwcr); // TscFreqSel: the TSC counts at P0's frequency
  store<u64>(PCPU, 2, SystemOff.deCfg); // LFENCE serializes
  store<u16>(PCPU, 0x37f, PcpuOff.fcw);
  store<u32>(PCPU, 0x1f80, PcpuOff.mxcsr);
  for (let seg: i32 = 0; seg < 6; seg++) setSegment(seg, 0, 0, 0xffff, 0x93);
  setSegment(Seg.cs, 0xf000, 0xffff0000, 0xffff, 0x9b);
  setSegment(Seg.ldtr, 0, 0, 0xffff, 0x82);
  setSegment(Seg.tr, 0, 0, 0xffff, 0x8b);
  store<u32>(PCPU, 0xffff, PcpuOff.gdtLimit);
  store<u32>(PCPU, 0xffff, PcpuOff.idtLimit);
  store<u64>(PCPU, 0xfff0, PcpuOff.rip);
  const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  const first = !vcpu || load<u32>(vcpu, VcpuOff.id) == 0;
  store<u64>(PCPU, <u64>0xfee00800 | (first ? 0x100 : 0), PcpuOff.apicBase);
  apicReset();
  store<i32>(PCPU, -1, PcpuOff.faultVector);
  store<u32>(PCPU, 0, PcpuOff.record);
  store<u32>(PCPU, 0, PcpuOff.delivering);
  store<i32>(PCPU, 0, PcpuOff.exit);
  store<u32>(PCPU, 0, PcpuOff.writeSize);
  flushTlbAll();
  updateMode();
}

/** After a start-up IPI with `vector`: real mode at vector:0000. */
export function startAt(vector: u32): void {
  setReal(Seg.cs, vector << 8);
  store<u64>(PCPU, 0, PcpuOff.rip);
  store<u32>(PCPU, 0, PcpuOff.halted);
  updateMode();
}

/** PVH: `entry` is the physical address of the kernel's PHYS32_ENTRY note, `startInfo` that of hvm_start_info. */
export function pvhStart(entry: u32, startInfo: u32): void {
  resetVcpu();
  store<u64>(PCPU, 0, Gpr.rdx * 8);
  store<u64>(PCPU, <u64>startInfo, Gpr.rbx * 8);
  store<u64>(PCPU, <u64>entry, PcpuOff.rip);
  store<u64>(PCPU, <u64>(Cr0.PE | Cr0.ET), PcpuOff.cr0);
  store<u64>(PCPU, 0x806, PcpuOff.mtrrDefType); // on, write-back: the domain builder's doing
  for (let seg: i32 = 0; seg < 6; seg++) setSegment(seg, 0, 0, 0xffffffff, 0xc093);
  setSegment(Seg.cs, 0, 0, 0xffffffff, 0xc09b);
  setSegment(Seg.tr, 0, 0, 0x67, 0x8b);
  updateMode();
}

/** Multiboot (Multiboot Specification "I386 machine state"): `magic` says which version; `info` is the physical address of
 *  the boot information. */
export function multibootStart(entry: u32, info: u32, magic: u32): void {
  pvhStart(entry, info);
  store<u64>(PCPU, <u64>magic, Gpr.rax * 8);
  virtualWire();
}

/** Linux (Documentation/arch/x86/boot.rst, "32-bit Boot Protocol"). */
export function linuxStart(entry: u32, bootParams: u32, gdt: u32): void {
  pvhStart(entry, 0);
  store<u64>(PCPU, <u64>bootParams, Gpr.rsi * 8);
  for (let seg: i32 = 0; seg < 6; seg++) setSegment(seg, 0x18, 0, 0xffffffff, 0xc093);
  setSegment(Seg.cs, 0x10, 0, 0xffffffff, 0xc09b);
  store<u64>(PCPU, <u64>gdt, PcpuOff.gdtBase);
  store<u32>(PCPU, 0x1f, PcpuOff.gdtLimit);
  virtualWire();
}

/** The local APIC as a PC's firmware leaves it (MultiProcessor Specification "Virtual Wire Mode"). */
function virtualWire(): void {
  store<u32>(PCPU + PcpuOff.apic, 0x1ff, ApicOff.svr);
  store<u32>(PCPU + PcpuOff.apic, 0x400, ApicOff.lvt + Lvt.lint1 * 4); // NMI
}
