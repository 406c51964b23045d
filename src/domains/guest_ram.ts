/** A domain's RAM while it is built. */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, FrameType, P2m } from "../../assembly/abi/layout";
import { allocFrames } from "../machine/frames";
import type { MachineMemory } from "../machine/memory";
import { p2mFill } from "../machine/p2m";
import { DomainError } from "./errors";

/** Gives the domain frames of zeros for `count` pages from `gfn` on, but where it has got frames already, and counts all of them. */
export function addRam(mem: MachineMemory, domid: number, domain: number, gfn: number, count: number, type = P2m.ram_rw): void {
  mapFrames(mem, domid, domain, gfn, count, type, (wanted) => allocFrames(mem, domid, FrameType.ram, wanted, true));
  mem.add(domain + DomainOff.totPages, count);
}

/** Maps gfns that are empty to frames that `take` brings. */
export function mapFrames(mem: MachineMemory, domid: number, domain: number, gfn: number, count: number, type: P2m, take: (wanted: number) => readonly number[]): void {
  const error = p2mFill(mem, domain, gfn, count, type, take);
  if (error === -Errno.ENOMEM) throw new DomainError(String(domid), "the machine's memory is used up before it has all of its pages.");
  if (error !== 0) throw new DomainError(String(domid), `its ${count} pages from ${gfn} on cannot be mapped (error ${error}).`);
}
