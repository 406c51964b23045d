/** How a vCPU learns of events. */
import { VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { kick } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";

/** Raises evtchn_upcall_pending and, if that is news, brings the vCPU to look at it. */
export function markUpcall(mem: MachineMemory, vcpu: number): void {
  const info = mem.get32(vcpu + VcpuOff.infoMaddr);
  if (info && (mem.or(info, 1) & 0xff) === 0) wakeVcpu(mem, vcpu);
}

/** Ends any wait of the vCPU: HLT, SCHEDOP_block or SCHEDOP_poll. */
export function wakeVcpu(mem: MachineMemory, vcpu: number): void {
  mem.store(vcpu + VcpuOff.polled, 0);
  mem.store(vcpu + VcpuOff.runnable, 1);
  kick(mem, vcpu, VcpuRequest.upcall);
}
