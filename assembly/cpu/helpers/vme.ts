/** Virtual-8086 mode extensions and protected-mode virtual interrupts (SDM Vol.3B "Interrupt and Exception Handling in Virtual-8086 Mode",
 *  "Protected-Mode Virtual Interrupts"): with CR4.VME or CR4.PVI, code whose IOPL does not let it touch IF has VIF instead, and INT n of
 *  virtual-8086 mode may go straight to the 8086 program's own handler. */
import { PcpuOff, Seg } from "../../abi/layout";
import { Cr4, Flag, Vector } from "../../abi/x86";
import { failError } from "../../fault";
import { sysLd16, sysLd8 } from "../access";
import { materialize } from "../flags";
import { PCPU } from "../pcpu";
import { linear } from "./descriptor";
import { mergeFlags } from "./iret";
import { cpl, cr4, iopl, rflags, segLimit, segSel, setRflags, updateMode, v86Mode } from "./mode";
import { setV86 } from "./segment";
import { moveRsp, peek, poke } from "./stack";
import { trBase, tssIs16 } from "./tss";

/** CR4.VME is on: asked only in virtual-8086 mode. */
@inline export function extended(): bool { return (cr4() & Cr4.VME) != 0; }

/** CLI and STI at an IOPL that forbids them: VIF is written instead of IF, or #GP(0). */
export function setVirtualInterruptFlag(on: bool): void {
  const flags = rflags(), allowed = v86Mode() ? (cr4() & Cr4.VME) != 0 : cpl() == 3 && (cr4() & Cr4.PVI) != 0;
  if (!allowed || (on && flags & Flag.VIP)) failError(Vector.GP, 0);
  setRflags(on ? flags | Flag.VIF : flags & ~Flag.VIF);
}

/** The 16-bit image of FLAGS a program of IOPL below 3 is shown: IOPL is 3, and IF is VIF. */
export function virtualImage(): u32 {
  const flags = <u32>materialize();
  return (flags & ~Flag.IF & 0xffff) | Flag.IOPL | (flags & Flag.VIF ? Flag.IF : 0);
}

/** POPF and IRET take such an image back: #GP(0) if it sets TF, or enables interrupts while one is pending. */
export function checkVirtualImage(image: u32): void {
  if (image & Flag.TF || (image & Flag.IF && rflags() & Flag.VIP)) failError(Vector.GP, 0);
}
export function adoptVirtualImage(image: u32): void {
  mergeFlags((image & 0xffff) | (image & Flag.IF ? Flag.VIF : 0), Flag.STATUS | Flag.TF | Flag.DF | Flag.NT | Flag.VIF);
}

/** INT `vector` in virtual-8086 mode with CR4.VME, `next` being where it returns to: true if the interrupt redirection bitmap, the 32 bytes
 *  below the I/O permission bitmap, gave it to the 8086 program. */
export function redirectInterrupt(vector: u32, next: u64): bool {
  const limit = segLimit(Seg.tr);
  if (tssIs16() || limit < 103) failError(Vector.GP, 0);
  const at = <u32>sysLd16(linear(trBase() + 102)) - 32 + (vector >> 3);
  if (at > limit) failError(Vector.GP, 0);
  if ((<u32>sysLd8(linear(trBase() + at)) >> (vector & 7)) & 1) return false;
  const offset = <u64>sysLd16(vector * 4), selector = <u32>sysLd16(vector * 4 + 2), virtual = iopl() < 3;
  const image = virtual ? virtualImage() : <u32>materialize();
  poke(2, 2, image);
  poke(4, 2, segSel(Seg.cs));
  poke(6, 2, next & 0xffff);
  moveRsp(-6);
  setRflags(rflags() & ~(Flag.TF | Flag.RF | (virtual ? Flag.VIF : Flag.IF)));
  setV86(Seg.cs, selector);
  store<u64>(PCPU, offset, PcpuOff.rip);
  updateMode();
  return true;
}

/** IRET with a 16-bit operand in virtual-8086 mode at an IOPL below 3: to `selector`:`offset`. */
export function returnVirtual(): void {
  const offset = peek(0, 2), selector = <u32>peek(2, 2), image = <u32>peek(4, 2);
  checkVirtualImage(image);
  moveRsp(6);
  setV86(Seg.cs, selector);
  adoptVirtualImage(image);
  store<u64>(PCPU, offset, PcpuOff.rip);
  updateMode();
}
