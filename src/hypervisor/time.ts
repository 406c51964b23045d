/** Time as guests see it (public/xen.h, struct vcpu_time_info and the wallclock of shared_info): system time is
 *  system_time + scale(TSC - tsc_timestamp), wallclock is wc_sec/wc_nsec at system time 0 plus system time. Readers retry
 *  while `version` is odd or has changed. */
import { DomainOff, MachineOff, Region, VcpuOff } from "../../assembly/abi/layout";
import { VcpuInfoOff, VcpuTimeInfoOff, Xen } from "../../assembly/abi/xen";
import type { MachineMemory } from "../machine/memory";
import { tscAt } from "./caller";
import { has32BitInfo, wallclockAddr } from "./domain_table";

const NS_PER_S = 1_000_000_000;

export interface TimeScale {
  /** Shift the TSC difference left by this (right if negative), then multiply by mul / 2^32. */
  shift: number;
  mul: number;
}

/** The scale that turns ticks of a TSC of `khz` into ns with the most significant bits in `mul`. */
export function timeScale(khz: number): TimeScale {
  let shift = 0;
  let hz = khz * 1000;
  while (hz > 2 * NS_PER_S) {
    hz = Math.floor(hz / 2);
    shift--;
  }
  while (hz <= NS_PER_S) {
    hz *= 2;
    shift++;
  }
  return { shift, mul: Number((BigInt(NS_PER_S) << 32n) / BigInt(hz)) };
}

/** Writes the vCPU's time words. `state` is the block with its registers: of its pCPU, or its own. */
export function publishTime(mem: MachineMemory, vcpu: number, state: number, now: number): void {
  const info = mem.get32(vcpu + VcpuOff.infoMaddr);
  if (!info) return;
  const at = info + VcpuInfoOff.time;
  const { shift, mul } = timeScale(mem.get32(Region.MACHINE + MachineOff.tscKhz));
  const version = (mem.load(at + VcpuTimeInfoOff.version) + 1) | 1; // odd, even after a guest has scribbled on it
  mem.store(at + VcpuTimeInfoOff.version, version);
  mem.view.setBigUint64(at + VcpuTimeInfoOff.tsc_timestamp, tscAt(mem, state, now), true);
  mem.view.setBigUint64(at + VcpuTimeInfoOff.system_time, BigInt(Math.floor(now)), true);
  mem.view.setUint32(at + VcpuTimeInfoOff.tsc_to_system_mul, mul, true);
  mem.view.setInt8(at + VcpuTimeInfoOff.tsc_shift, shift);
  mem.view.setUint8(at + VcpuTimeInfoOff.flags, Xen.XEN_PVCLOCK_TSC_STABLE_BIT);
  mem.store(at + VcpuTimeInfoOff.version, version + 1);
}

/** Writes the domain's wallclock words in the form its ABI has them. */
export function publishWallclock(mem: MachineMemory, domain: number): void {
  const { words, high } = wallclockAddr(mem, domain);
  const seconds = mem.get64(Region.MACHINE + MachineOff.wallSec);
  const version = (mem.load(words) + 1) | 1;
  mem.store(words, version);
  mem.view.setUint32(words + 4, Number(seconds & 0xffff_ffffn), true);
  mem.view.setUint32(words + 8, mem.get32(Region.MACHINE + MachineOff.wallNsec), true);
  mem.view.setUint32(high, Number(seconds >> 32n), true);
  mem.store(words, version + 1);
}

/** Notes whether the guest's shared pages have the 32-bit layout. Xen takes it from the mode of the caller that registers
 *  the callback or maps shared_info; DEVIATION: any hypercall decides, so that a 64-bit kernel started by a 32-bit boot
 *  loader finds its wallclock in place at its first look. */
export function latchInfoSize(mem: MachineMemory, domain: number, is32: boolean): void {
  if (has32BitInfo(mem, domain) === is32) return;
  mem.set32(domain + DomainOff.ringSize32, is32 ? 1 : 0);
  publishWallclock(mem, domain);
}
