/** From guest frame numbers to frames, with the checks invariant 1 of the design asks for. */
import { DomainOff, FrameOff, FrameType, P2m, Region } from "../../assembly/abi/layout";
import type { MachineMemory } from "../machine/memory";
import { p2mGet } from "../machine/p2m";
import { NO_GFN } from "./state";

/** gfns a p2m can hold. */
export const GFN_LIMIT = 2 ** 30;

export function frameEntry(mfn: number): number {
  return Region.FRAME_TABLE + mfn * FrameOff.SIZE;
}

/** p2m entry of `gfn`, 0 for none and for numbers no p2m can hold. */
export function p2mEntry(mem: MachineMemory, domain: number, gfn: number): number {
  return gfn < GFN_LIMIT ? p2mGet(mem, domain, gfn) : 0;
}

/** mfn of the domain's own writable frame of type `type` at `gfn`, 0 if there is none. */
export function frameOfGfn(mem: MachineMemory, domain: number, gfn: number, type = FrameType.ram): number {
  const entry = p2mEntry(mem, domain, gfn);
  if (entry >>> P2m.TYPE_SHIFT !== P2m.ram_rw) return 0;
  const mfn = entry & P2m.MFN_MASK;
  return isOwn(mem, domain, mfn) && mem.get8(frameEntry(mfn) + FrameOff.type) === type ? mfn : 0;
}

export function isOwn(mem: MachineMemory, domain: number, mfn: number): boolean {
  return mem.get16(frameEntry(mfn) + FrameOff.owner) === mem.get32(domain + DomainOff.domid);
}

/** Machine-to-physical: where the owner sees the frame, NO_GFN nowhere. */
export function gfnOfFrame(mem: MachineMemory, mfn: number): number {
  return mem.get32(frameEntry(mfn) + FrameOff.gfn);
}

export function setGfnOfFrame(mem: MachineMemory, mfn: number, gfn: number): void {
  mem.set32(frameEntry(mfn) + FrameOff.gfn, gfn);
}

export { NO_GFN };
