/** A domain's RAM while it is built. */
import { DomainOff, FrameType, P2m } from "../../assembly/abi/layout";
import { allocFrames } from "../machine/frames";
import type { MachineMemory } from "../machine/memory";
import { p2mGet, p2mSet } from "../machine/p2m";
import { DomainError } from "./errors";

const BATCH = 1024;

/** Gives the domain frames of zeros for `count` pages from `gfn` on, but where it has got frames already, and counts all of them. */
export function addRam(mem: MachineMemory, domid: number, domain: number, gfn: number, count: number, type = P2m.ram_rw): void {
  const fail = (message: string): never => {
    throw new DomainError(String(domid), message);
  };
  for (let done = 0; done < count; done += BATCH) {
    const batch = Math.min(count - done, BATCH);
    const wanted: number[] = [];
    for (let n = gfn + done; n < gfn + done + batch; n++) if (p2mGet(mem, domain, n) === 0) wanted.push(n);
    const mfns = allocFrames(mem, domid, FrameType.ram, wanted.length);
    if (mfns.length < wanted.length) fail(`the machine's memory is used up after ${mem.load(domain + DomainOff.totPages)} of its pages.`);
    wanted.forEach((page, n) => {
      const error = p2mSet(mem, domain, page, mfns[n], type);
      if (error !== 0) fail(`its page ${page} cannot be mapped (error ${error}).`);
    });
    mem.add(domain + DomainOff.totPages, batch);
  }
}
