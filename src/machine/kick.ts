/** Doorbells. A pCPU waits on one word, whichever of its vCPUs the news is for; the control thread waits on another.
 *  Order for the caller: publish the state first (atomically), then ring; the waiter reads the doorbell, looks at the
 *  state, and sleeps only if the doorbell still has the value read. */
import { MachineOff, Region, SchedOff, VcpuOff } from "../../assembly/abi/layout";
import type { MachineMemory } from "./memory";

export function pcpuBase(pcpu: number): number {
  return Region.PCPUS + pcpu * Region.PCPU_STRIDE;
}

/** Asks the vCPU block at `vcpu` to look at `bits` (VcpuRequest) and wakes the pCPU it runs on. */
export function kick(memory: MachineMemory, vcpu: number, bits: number): void {
  memory.or(vcpu + VcpuOff.request, bits);
  ringPcpu(memory, memory.load(vcpu + VcpuOff.home));
}

export function ringPcpu(memory: MachineMemory, pcpu: number): void {
  if (pcpu < 0) return; // not scheduled anywhere yet: the request word waits for it
  const doorbell = pcpuBase(pcpu) + SchedOff.doorbell;
  memory.add(doorbell, 1);
  memory.notify(doorbell);
}

/** Tells the control thread that one of its event channels, or a domain's state, has changed. */
export function ringControl(memory: MachineMemory): void {
  memory.add(Region.MACHINE + MachineOff.control, 1);
  memory.notify(Region.MACHINE + MachineOff.control);
}
