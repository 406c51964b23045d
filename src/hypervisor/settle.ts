/** After changes to the caller's p2m. What was taken out of it may still be in the TLB of any of its vCPUs; it must not be
 *  given to anybody else before they have forgotten it. */
import { DomainOff, PcpuOff, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { pcpuBase } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";
import { p2mChanged } from "../machine/p2m";
import type { Caller } from "./caller";
import { vcpuAddr } from "./domain_table";
import { finishRelease } from "./grant_table";
import { releaseFrame } from "./guest_frame";
import { HvVcpu, Inside } from "./state";

const PATIENCE_NS = 1e9;

/** To be called outside all locks. */
export function settle(call: Caller): void {
  const { mem, domain } = call;
  p2mChanged(mem, domain);
  const removed = call.removed.splice(0);
  const unmapped = call.unmapped.splice(0);
  if (removed.length + unmapped.length === 0) return;
  // On one thread no other vCPU is between two instructions now. On many, one whose thread has died is waited for in
  // vain: then all stays with the domain until its end.
  if (mem.shared && !waitForFlush(call)) return;
  for (const mfn of removed) releaseFrame(mem, mfn, domain);
  for (const handle of unmapped) finishRelease(mem, domain, handle);
}

/** Waits until no vCPU can use what it cached before. Each has been told to flush, and does so before its next access to
 *  guest memory once it is off the processor, blocked, or in a hypercall: those need not be waited for, so two vCPUs that
 *  wait for each other here do not. */
function waitForFlush(call: Caller): boolean {
  const { mem, domain } = call;
  const vcpus = mem.get32(domain + DomainOff.vcpus);
  const end = call.host.nowNs() + PATIENCE_NS;
  for (let id = 0; id < vcpus; id++) {
    const vcpu = vcpuAddr(mem, domain, id);
    if (vcpu === call.vcpu) continue; // flushes at its next access, be it ours for it
    while (!hasForgotten(mem, vcpu)) if (call.host.nowNs() > end) return false;
  }
  return true;
}

function hasForgotten(mem: MachineMemory, vcpu: number): boolean {
  const inside = mem.load(vcpu + HvVcpu.inside);
  if (inside !== Inside.guest) return inside === Inside.hypervisor;
  if ((mem.load(vcpu + VcpuOff.request) & VcpuRequest.flush) === 0) return true;
  const pcpu = mem.load(vcpu + VcpuOff.pcpu);
  return pcpu < 0 || mem.get32(pcpuBase(pcpu) + PcpuOff.vcpu) !== vcpu || mem.load(vcpu + VcpuOff.runnable) === 0;
}
