/** The end of a domain: everything it holds goes back, in an order in which nothing refers to what is gone already. Its
 *  vCPUs must be on no pCPU. Frames whose grants others still have mapped stay theirs until they let go. */
import { DomainOff, DomainState, FrameType, P2m, VcpuOff } from "../../assembly/abi/layout";
import { forgetCharge, freeFrame, framesOf, putPage } from "../machine/frames";
import type { MachineMemory } from "../machine/memory";
import { p2mDestroy, p2mEntries } from "../machine/p2m";
import { freeDomainBlock, vcpuAddr } from "./domain_table";
import { destroyPorts } from "./event_channel";
import { destroyGrantTable, releaseAllMappings } from "./grant_table";
import { frameType, isReleased, releaseFrame } from "./guest_frame";
import { HvDomain, HvVcpu } from "./state";

/** Frees all of the domain at block address `domain`, and the block. */
export function destroyDomainState(mem: MachineMemory, domain: number): void {
  mem.store(domain + DomainOff.state, DomainState.dying);
  const domid = mem.get32(domain + DomainOff.domid);
  destroyPorts(mem, domain);
  releaseAllMappings(mem, domain);
  releaseVcpuInfo(mem, domain);
  for (const { mfn, type } of p2mEntries(mem, domain)) if (type === P2m.foreign || type === P2m.alias_rw || type === P2m.alias_ro) putPage(mem, mfn);
  p2mDestroy(mem, domain);
  destroyGrantTable(mem, domain);
  for (const field of [HvDomain.evtDir, HvDomain.grantDir, HvDomain.maptrackDir, HvDomain.memoryMap, HvDomain.platform]) {
    const mfn = mem.exchange(domain + field, 0);
    if (mfn) freeFrame(mem, mfn);
  }
  const sharedInfo = mem.exchange(domain + DomainOff.sharedInfo, 0);
  if (sharedInfo) putPage(mem, sharedInfo);
  // What is left is the guest's memory, in its p2m or (after remove_from_physmap) nowhere.
  for (const mfn of [...framesOf(mem, domid)]) {
    if (frameType(mem, mfn) !== FrameType.ram) continue;
    if (isReleased(mem, mfn)) forgetCharge(mem, mfn);
    else releaseFrame(mem, mfn, 0);
  }
  mem.store(domain + DomainOff.totPages, 0);
  freeDomainBlock(mem, domain);
}

function releaseVcpuInfo(mem: MachineMemory, domain: number): void {
  const vcpus = mem.get32(domain + DomainOff.vcpus);
  for (let id = 0; id < vcpus; id++) {
    const vcpu = vcpuAddr(mem, domain, id);
    mem.set32(vcpu + VcpuOff.infoMaddr, 0);
    const mfn = mem.exchange(vcpu + HvVcpu.infoMfn, 0);
    if (mfn) putPage(mem, mfn);
  }
}
