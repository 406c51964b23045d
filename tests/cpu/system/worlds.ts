/** Guests already in a mode, with tables as an operating system would have them. Every IDT entry leads to a HLT of its own,
 *  so a test sees the state right after delivery.
 *
 *  ```
 *  0x1000 GDT   0x2000 IDT   0x3000 TSS   0x4000 page tables   0x8000 code   0x9000 data
 *  0x20000 + 16 * vector     handlers
 *  0x30000 stack of CPL 0 in the TSS   0x38000 stack at the start   0x3a000 IST1
 *  ``` */
import { Exit } from "../../../assembly/abi/exit";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { type Guest, descriptor, gate } from "./guest";

export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x3000;
export const CODE = 0x8000;
export const DATA = 0x9000;
export const HANDLERS = 0x20000;
export const STACK0 = 0x30000;
export const STACK = 0x38000;
export const IST1 = 0x3a000;

/** Selectors of the GDT. */
export const KCODE = 0x08;
export const KDATA = 0x10;
export const UCODE32 = 0x1b;
export const UDATA = 0x23;
export const UCODE = 0x2b;
export const TR = 0x30; // and 0x38 in long mode
/** Free for tests from here. */
export const SPARE = 0x40;

export const handler = (vector: number) => HANDLERS + vector * 16;

/** The vector whose handler the guest halted in, or -1. */
export function haltedIn(guest: Guest): number {
  const at = guest.rip - 1 - HANDLERS;
  return at >= 0 && at % 16 === 0 && at < 256 * 16 ? at / 16 : -1;
}

function common(guest: Guest, level: number): void {
  guest.reset();
  for (let vector = 0; vector < 256; vector++) guest.hex(handler(vector), "f4");
  guest.setField(PcpuOff.gdtBase, BigInt(GDT));
  guest.setWord(PcpuOff.gdtLimit, 0xff);
  guest.setField(PcpuOff.idtBase, BigInt(IDT));
  guest.setWord(PcpuOff.idtLimit, 0xfff);
  guest.setWord(PcpuOff.cpl, level);
  guest.setField(PcpuOff.rflags, 0x202n);
  guest.setGpr("rsp", BigInt(STACK));
}

/** 64-bit mode at CPL `level`: 4 MiB mapped flat and user-accessible by 2 MiB pages. */
export function longMode(guest: Guest, level: number): void {
  common(guest, level);
  const dpl = level << 5;
  guest.set64(GDT + 0x08, descriptor(0, 0xfffff, 0xa09b));
  guest.set64(GDT + 0x10, descriptor(0, 0xfffff, 0xc093));
  guest.set64(GDT + 0x18, descriptor(0, 0xfffff, 0xc0fb));
  guest.set64(GDT + 0x20, descriptor(0, 0xfffff, 0xc0f3));
  guest.set64(GDT + 0x28, descriptor(0, 0xfffff, 0xa0fb));
  guest.set64(GDT + TR, descriptor(TSS, 0x67, 0x8b));
  for (let vector = 0; vector < 256; vector++) setGate64(guest, vector, 0x8e);
  guest.set64(TSS + 4, BigInt(STACK0));
  guest.set64(TSS + 36, BigInt(IST1));
  guest.set16(TSS + 102, 0x68);
  guest.set64(0x4000, 0x5007n);
  guest.set64(0x5000, 0x6007n);
  guest.set64(0x6000, 0x87n);
  guest.set64(0x6008, 0x200087n);
  guest.setField(PcpuOff.cr3, 0x4000n);
  guest.setField(PcpuOff.cr4, 0x20n);
  guest.setField(PcpuOff.efer, 0xd01n);
  guest.setField(PcpuOff.cr0, 0x80010033n);
  guest.segment(Seg.cs, level ? UCODE : KCODE, 0, 0xffffffff, 0xa09b | dpl);
  guest.segment(Seg.ss, level ? UDATA : KDATA, 0, 0xffffffff, 0xc093 | dpl);
  for (const seg of [Seg.ds, Seg.es, Seg.fs, Seg.gs]) guest.segment(seg, 0, 0, 0, 0x10000);
  guest.segment(Seg.tr, TR, TSS, 0x67, 0x8b);
  guest.segment(Seg.ldtr, 0, 0, 0, 0x10000);
}

export function setGate64(guest: Guest, vector: number, access: number, ist = 0, selector = KCODE): void {
  guest.set64(IDT + vector * 16, gate(selector, handler(vector), access, ist));
  guest.set64(IDT + vector * 16 + 8, 0n);
}

/** 32-bit protected mode without paging at CPL `level`, a 32-bit TSS with an I/O bitmap that ends at once. */
export function protectedMode(guest: Guest, level: number): void {
  common(guest, level);
  const dpl = level << 5;
  guest.set64(GDT + 0x08, descriptor(0, 0xfffff, 0xc09b));
  guest.set64(GDT + 0x10, descriptor(0, 0xfffff, 0xc093));
  guest.set64(GDT + 0x18, descriptor(0, 0xfffff, 0xc0fb));
  guest.set64(GDT + 0x20, descriptor(0, 0xfffff, 0xc0f3));
  guest.set64(GDT + TR, descriptor(TSS, 0x67, 0x8b));
  for (let vector = 0; vector < 256; vector++) setGate32(guest, vector, 0x8e);
  guest.set32(TSS + 4, STACK0);
  guest.set32(TSS + 8, KDATA);
  guest.set16(TSS + 102, 0x68);
  guest.setField(PcpuOff.cr0, 0x11n);
  guest.segment(Seg.cs, level ? UCODE32 : KCODE, 0, 0xffffffff, 0xc09b | dpl);
  for (const seg of [Seg.ss, Seg.ds, Seg.es, Seg.fs, Seg.gs]) guest.segment(seg, level ? UDATA : KDATA, 0, 0xffffffff, 0xc093 | dpl);
  guest.segment(Seg.tr, TR, TSS, 0x67, 0x8b);
  guest.segment(Seg.ldtr, 0, 0, 0, 0x10000);
}

export function setGate32(guest: Guest, vector: number, access: number, selector = KCODE): void {
  guest.set64(IDT + vector * 8, gate(selector, handler(vector), access));
}

/** Real mode at 0000:8000, stack at 0000:7000, IVT at 0. */
export function realMode(guest: Guest): void {
  common(guest, 0);
  guest.setField(PcpuOff.idtBase, 0n);
  guest.setWord(PcpuOff.idtLimit, 0x3ff);
  for (let vector = 0; vector < 256; vector++) guest.set32(vector * 4, ((HANDLERS >> 4) << 16) | (vector * 16));
  guest.setField(PcpuOff.cr0, 0x10n);
  for (const seg of [Seg.es, Seg.cs, Seg.ss, Seg.ds, Seg.fs, Seg.gs]) guest.segment(seg, 0, 0, 0xffff, 0x93);
  guest.setGpr("rsp", 0x7000n);
}

/** Virtual-8086 mode over the tables of protectedMode(), at 0000:8000 with IOPL `iopl`. */
export function v86Mode(guest: Guest, iopl: number): void {
  protectedMode(guest, 3);
  for (const seg of [Seg.es, Seg.cs, Seg.ss, Seg.ds, Seg.fs, Seg.gs]) guest.segment(seg, 0, 0, 0xffff, 0xf3);
  guest.setField(PcpuOff.rflags, BigInt(0x20202 | (iopl << 12)));
  guest.setGpr("rsp", 0x7000n);
}

/** Runs `code` at CODE; the vector whose handler it ended in (HLT in the code itself: -1), or the exit's name. */
export function runCode(guest: Guest, code: string): number | string {
  guest.hex(CODE, code);
  const exit = guest.run(CODE);
  if (exit === Exit.hlt) return haltedIn(guest);
  return exit === Exit.tripleFault ? "triple fault" : exit === Exit.hypercall ? "hypercall" : `exit ${exit}`;
}
