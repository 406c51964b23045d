/** A domain ends itself (public/sched.h, SCHEDOP_shutdown): the first reason counts, unless one was latched before. The
 *  scheduler lets no vCPU of it run from then on; the control domain decides what follows. */
import { DomainOff, VcpuRequest } from "../../assembly/abi/layout";
import { kick, ringControl } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";
import { vcpuAddr } from "./domain_table";
import { HvDomain } from "./state";

/** The reason now in force. */
export function shutdownDomain(mem: MachineMemory, domain: number, reason: number): number {
  const latched = mem.load(domain + HvDomain.shutdownCode);
  const code = latched >= 0 ? latched : reason;
  const before = mem.compareExchange(domain + DomainOff.shutdownReason, -1, code);
  if (before !== -1) return before;
  const vcpus = mem.get32(domain + DomainOff.vcpus);
  for (let id = 0; id < vcpus; id++) kick(mem, vcpuAddr(mem, domain, id), VcpuRequest.pause);
  ringControl(mem);
  return code;
}
