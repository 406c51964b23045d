/** Two-level event channels (public/xen.h, struct shared_info): a pending and a mask bit per port, and per vCPU a
 *  selector with a bit for each word of pending bits. The guest changes these words concurrently, so every step is one
 *  atomic operation, in the order the header asks for: pending, mask, selector, upcall.
 *
 *  x86 is little-endian, so ports are the same 32-bit words in both ABIs; only the mask's place and what a selector bit
 *  stands for (64 or 32 ports) differ. */
import { DomainOff, VcpuOff } from "../../assembly/abi/layout";
import { SharedInfo32Off, SharedInfoOff, VcpuInfo32Off, VcpuInfoOff } from "../../assembly/abi/xen";
import { type MachineMemory, PAGE_SHIFT } from "../machine/memory";
import { markUpcall } from "./upcall";

function pendingWord(mem: MachineMemory, domain: number, port: number): number {
  const info = (mem.get32(domain + DomainOff.sharedInfo) << PAGE_SHIFT) >>> 0;
  return info + SharedInfoOff.evtchn_pending + 4 * (port >>> 5);
}

function maskWord(mem: MachineMemory, domain: number, port: number): number {
  const info = (mem.get32(domain + DomainOff.sharedInfo) << PAGE_SHIFT) >>> 0;
  const mask = mem.get32(domain + DomainOff.ringSize32) ? SharedInfo32Off.evtchn_mask : SharedInfoOff.evtchn_mask;
  return info + mask + 4 * (port >>> 5);
}

/** True if the event was not pending before. */
export function setPending(mem: MachineMemory, domain: number, vcpu: number, port: number): boolean {
  const bit = 1 << (port & 31);
  if (mem.or(pendingWord(mem, domain, port), bit) & bit) return false;
  if ((mem.load(maskWord(mem, domain, port)) & bit) === 0) select(mem, domain, vcpu, port);
  return true;
}

function select(mem: MachineMemory, domain: number, vcpu: number, port: number): void {
  const info = mem.get32(vcpu + VcpuOff.infoMaddr);
  if (!info) return;
  const is32 = mem.get32(domain + DomainOff.ringSize32) !== 0;
  const n = is32 ? port >>> 5 : port >>> 6;
  const sel = info + (is32 ? VcpuInfo32Off.evtchn_pending_sel : VcpuInfoOff.evtchn_pending_sel) + 4 * (n >>> 5);
  const bit = 1 << (n & 31);
  if ((mem.or(sel, bit) & bit) === 0) markUpcall(mem, vcpu);
}

export function clearPending(mem: MachineMemory, domain: number, port: number): void {
  mem.and(pendingWord(mem, domain, port), ~(1 << (port & 31)));
}

export function isPending(mem: MachineMemory, domain: number, port: number): boolean {
  return (mem.load(pendingWord(mem, domain, port)) & (1 << (port & 31))) !== 0;
}

/** EVTCHNOP_unmask: a pending event is delivered if the mask was what held it back. */
export function unmask(mem: MachineMemory, domain: number, vcpu: number, port: number): void {
  const bit = 1 << (port & 31);
  const wasMasked = mem.and(maskWord(mem, domain, port), ~bit) & bit;
  if (wasMasked && mem.load(pendingWord(mem, domain, port)) & bit) select(mem, domain, vcpu, port);
}
