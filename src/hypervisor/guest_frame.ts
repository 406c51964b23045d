/** From guest frame numbers to frames, with the checks invariant 1 of the design asks for. */
import { DomainOff, FrameFlag, FrameOff, FrameType, P2m } from "../../assembly/abi/layout";
import { chargeUntilFree, frameEntry, ownerOf, putPage } from "../machine/frames";
import type { MachineMemory } from "../machine/memory";
import { P2M_FRAMES, p2mGet, p2mMfn, p2mSet, p2mType } from "../machine/p2m";

/** p2m entry of `gfn`, 0 for none and for numbers no p2m can hold. */
export function p2mEntry(mem: MachineMemory, domain: number, gfn: number): number {
  return gfn < P2M_FRAMES ? p2mGet(mem, domain, gfn) : 0;
}

/** mfn of the domain's own writable frame of type `type` at `gfn`, 0 if there is none. */
export function frameOfGfn(mem: MachineMemory, domain: number, gfn: number, type = FrameType.ram): number {
  const entry = p2mEntry(mem, domain, gfn);
  if (p2mType(entry) !== P2m.ram_rw) return 0;
  const mfn = p2mMfn(entry);
  return isOwn(mem, domain, mfn) && mem.get8(frameEntry(mfn) + FrameOff.type) === type ? mfn : 0;
}

export function isOwn(mem: MachineMemory, domain: number, mfn: number): boolean {
  return ownerOf(mem, mfn) === mem.get32(domain + DomainOff.domid);
}

export function frameType(mem: MachineMemory, mfn: number): FrameType {
  return mem.get8(frameEntry(mfn) + FrameOff.type);
}

/** Machine-to-physical: where the owner sees the frame, NO_GFN nowhere. */
export function gfnOfFrame(mem: MachineMemory, mfn: number): number {
  return mem.get32(frameEntry(mfn) + FrameOff.gfn);
}

/** Changes to a p2m that depend on what is there happen under the domain's lock. */
export function p2mLocked<T>(mem: MachineMemory, domain: number, body: () => T): T {
  return mem.locked(domain + DomainOff.lock, body);
}

/** Under the domain's lock: takes the domain's own page off `gfn`. Memory is added to `removed`, to be given back to the
 *  machine by settle(); pages of the hypervisor are only unhooked. False if there is no page of the domain's own. */
export function removeGuestPage(mem: MachineMemory, domain: number, gfn: number, removed: number[]): boolean {
  const entry = p2mEntry(mem, domain, gfn);
  const type = p2mType(entry);
  const mfn = p2mMfn(entry);
  if ((type !== P2m.ram_rw && type !== P2m.ram_ro) || !isOwn(mem, domain, mfn)) return false;
  p2mSet(mem, domain, gfn, 0, P2m.none);
  if (frameType(mem, mfn) === FrameType.ram) removed.push(mfn);
  return true;
}

/** Under the domain's lock: makes room at `gfn`. False if what is there may not go that way (grants, devices). */
export function vacate(mem: MachineMemory, domain: number, gfn: number, removed: number[]): boolean {
  return p2mType(p2mEntry(mem, domain, gfn)) === P2m.none || removeGuestPage(mem, domain, gfn, removed);
}

/** Drops the reference a frame of guest memory has from its allocation. It is free when nobody else holds it; until then
 *  it still bears its owner's domid, which may be gone, and counts among the pages of the domain at block address
 *  `domain`: a domain whose pages somebody holds cannot have others in their place. 0: it counts no longer. */
export function releaseFrame(mem: MachineMemory, mfn: number, domain: number): void {
  chargeUntilFree(mem, mfn, domain);
  Atomics.or(mem.u8, frameEntry(mfn) + FrameOff.flags, FrameFlag.released);
  putPage(mem, mfn);
}

export function isReleased(mem: MachineMemory, mfn: number): boolean {
  return (mem.get8(frameEntry(mfn) + FrameOff.flags) & FrameFlag.released) !== 0;
}
