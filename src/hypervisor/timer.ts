/** Timers of vCPUs and domains: the one-shot and the periodic timer of public/vcpu.h, the time limit of SCHEDOP_poll and
 *  the watchdogs of SCHEDOP_watchdog. Times are system time in ns, kept as f64: exact for 104 days, and beyond that to a
 *  few ns. They are armed by their own vCPU and fired by the pCPU it is queued on. */
import { Errno } from "../../assembly/abi/errno";
import { VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { kick } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";
import { sendVirq } from "./event_channel";
import { shutdownDomain } from "./shutdown";
import { HvDomain, HvVcpu } from "./state";
import { wakeVcpu } from "./upcall";

export const WATCHDOGS = 2;
const LEAST_PERIOD = 1e6;
const MOST_PERIOD = 2 ** 62;
const TOO_FAR = 2 ** 50;
const WHEN_TOO_FAR = 1e8;

/** System time at which something is due, Infinity for nothing. */
export function nextDeadline(mem: MachineMemory, vcpu: number): number {
  let next = Number.POSITIVE_INFINITY;
  const singleshot = mem.getF64(vcpu + VcpuOff.singleshot);
  if (singleshot !== 0) next = singleshot;
  if (mem.getF64(vcpu + VcpuOff.periodic) !== 0) next = Math.min(next, mem.getF64(vcpu + VcpuOff.periodicNext));
  if (mem.load(vcpu + VcpuOff.polled) !== 0) {
    const poll = mem.getF64(vcpu + HvVcpu.pollDeadline);
    if (poll !== 0) next = Math.min(next, poll);
  }
  if (mem.get32(vcpu + VcpuOff.id) === 0) {
    const domain = mem.get32(vcpu + VcpuOff.domain);
    for (let n = 0; n < WATCHDOGS; n++) {
      const at = mem.getF64(domain + HvDomain.watchdog + 8 * n);
      if (at !== 0) next = Math.min(next, at);
    }
  }
  return next;
}

/** Lets what is due at `now` happen. Missed periods collapse into one. */
export function fireTimers(mem: MachineMemory, vcpu: number, now: number): void {
  let tick = false;
  const singleshot = mem.getF64(vcpu + VcpuOff.singleshot);
  if (singleshot !== 0 && singleshot <= now) {
    mem.setF64(vcpu + VcpuOff.singleshot, 0);
    tick = true;
  }
  const period = mem.getF64(vcpu + VcpuOff.periodic);
  const next = mem.getF64(vcpu + VcpuOff.periodicNext);
  if (period !== 0 && next <= now) {
    mem.setF64(vcpu + VcpuOff.periodicNext, next + period * (Math.floor((now - next) / period) + 1));
    tick = true;
  }
  if (tick) sendVirq(mem, vcpu, Xen.VIRQ_TIMER);
  if (mem.load(vcpu + VcpuOff.polled) !== 0) {
    const poll = mem.getF64(vcpu + HvVcpu.pollDeadline);
    if (poll !== 0 && poll <= now) wakeVcpu(mem, vcpu);
  }
  if (mem.get32(vcpu + VcpuOff.id) === 0) fireWatchdogs(mem, mem.get32(vcpu + VcpuOff.domain), now);
}

function fireWatchdogs(mem: MachineMemory, domain: number, now: number): void {
  for (let n = 0; n < WATCHDOGS; n++) {
    const at = mem.getF64(domain + HvDomain.watchdog + 8 * n);
    if (at === 0 || at > now) continue;
    mem.setF64(domain + HvDomain.watchdog + 8 * n, 0);
    shutdownDomain(mem, domain, Xen.SHUTDOWN_watchdog);
  }
}

/** HYPERVISOR_set_timer_op: 0 stops the timer. Times that are negative or more than 13 days off come from wrapped jiffies
 *  of old guests: they get a tick in 100 ms, as Xen does it. */
export function setTimer(mem: MachineMemory, vcpu: number, timeout: bigint, now: number): void {
  const at = Number(BigInt.asIntN(64, timeout));
  arm(mem, vcpu, at === 0 ? 0 : at < 0 || at - now >= TOO_FAR ? now + WHEN_TOO_FAR : at);
}

/** `at` 0 stops it. Only ever the vCPU that calls, whose scheduler reads its deadlines anew after each hypercall. */
export function arm(mem: MachineMemory, vcpu: number, at: number): void {
  mem.setF64(vcpu + VcpuOff.singleshot, at);
}

/** VCPUOP_set_periodic_timer; 0 stops it. */
export function setPeriodicTimer(mem: MachineMemory, vcpu: number, period: number, now: number): number {
  if (period !== 0 && (period < LEAST_PERIOD || period > MOST_PERIOD)) return -Errno.EINVAL;
  mem.setF64(vcpu + VcpuOff.periodicNext, now + period);
  mem.setF64(vcpu + VcpuOff.periodic, period);
  kick(mem, vcpu, VcpuRequest.time);
  return 0;
}

/** SCHEDOP_watchdog: with id 0 a new one's id, else 0; or a negative error number. */
export function setWatchdog(mem: MachineMemory, domain: number, id: number, seconds: number, now: number): number {
  if (id > WATCHDOGS) return -Errno.EINVAL;
  const slot = (n: number) => domain + HvDomain.watchdog + 8 * (n - 1);
  if (id === 0) {
    if (seconds === 0) return -Errno.EINVAL;
    for (let n = 1; n <= WATCHDOGS; n++) {
      if (mem.getF64(slot(n)) !== 0) continue;
      mem.setF64(slot(n), now + seconds * 1e9);
      return n;
    }
    return -Errno.ENOSPC;
  }
  if (mem.getF64(slot(id)) === 0) return -Errno.EINVAL;
  mem.setF64(slot(id), seconds === 0 ? 0 : now + seconds * 1e9);
  return 0;
}
