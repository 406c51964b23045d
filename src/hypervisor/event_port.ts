/** Port tables and what delivering an event means. Every function here runs under the domain's evtLock.
 *
 *  A domain's ports live in frames of FrameType.hv, 256 to a frame, found through HvDomain.evtDir. The two delivery
 *  formats are in event_2l.ts and event_fifo.ts; the control domain, which runs no guest, has a bitmap of its own. */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, FrameType, VcpuOff } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { allocFrame } from "../machine/frames";
import { ringControl } from "../machine/kick";
import { type MachineMemory, PAGE_SHIFT } from "../machine/memory";
import { has32BitInfo, isControl, vcpuAddr } from "./domain_table";
import * as twoLevel from "./event_2l";
import * as fifo from "./event_fifo";
import { EvtchnAbi, HvDomain, HvVcpu, PORT_RESERVED, PORTS_PER_FRAME, PortOff } from "./state";
import { wakeVcpu } from "./upcall";

const CONTROL_PORTS = 32768; // bits of one frame
const PORTS_2L = 4096;
const PORTS_2L_32 = 1024;

export function maxPorts(mem: MachineMemory, domain: number): number {
  if (isControl(mem, domain)) return CONTROL_PORTS;
  if (usesFifo(mem, domain)) return Xen.EVTCHN_FIFO_NR_CHANNELS;
  return has32BitInfo(mem, domain) ? PORTS_2L_32 : PORTS_2L;
}

export function usesFifo(mem: MachineMemory, domain: number): boolean {
  return mem.get32(domain + HvDomain.evtAbi) === EvtchnAbi.fifo;
}

/** Address of the port's entry, 0 if the tables do not reach that far. */
export function portAddr(mem: MachineMemory, domain: number, port: number): number {
  if (!(port < mem.get32(domain + HvDomain.evtPorts))) return 0;
  const dir = (mem.get32(domain + HvDomain.evtDir) << PAGE_SHIFT) >>> 0;
  const table = (mem.get32(dir + 4 * Math.floor(port / PORTS_PER_FRAME)) << PAGE_SHIFT) >>> 0;
  return table + (port % PORTS_PER_FRAME) * PortOff.SIZE;
}

/** State of the port, EVTCHNSTAT_closed if there is no such port. */
export function portState(mem: MachineMemory, domain: number, port: number): number {
  const at = portAddr(mem, domain, port);
  return at ? mem.get8(at + PortOff.state) : Xen.EVTCHNSTAT_closed;
}

/** A free port, now reserved for the caller to fill in, or a negative error number. */
export function takePort(mem: MachineMemory, domain: number): number {
  const limit = maxPorts(mem, domain);
  let busy = 0; // first port passed over that will be free soon
  for (let port = Math.max(1, mem.get32(domain + HvDomain.evtHint)); port < limit; port++) {
    if (port >= mem.get32(domain + HvDomain.evtPorts) && !growPorts(mem, domain)) return -Errno.ENOMEM;
    const at = portAddr(mem, domain, port);
    if (mem.get8(at + PortOff.state) !== Xen.EVTCHNSTAT_closed) continue;
    if (usesFifo(mem, domain) && fifo.isBusy(mem, domain, port)) {
      busy ||= port;
      continue;
    }
    mem.u8.fill(0, at, at + PortOff.SIZE);
    mem.set8(at + PortOff.state, PORT_RESERVED);
    mem.set8(at + PortOff.priority, Xen.EVTCHN_FIFO_PRIORITY_DEFAULT);
    mem.set8(at + PortOff.lastPriority, Xen.EVTCHN_FIFO_PRIORITY_DEFAULT);
    mem.set32(domain + HvDomain.evtHint, busy || port + 1);
    return port;
  }
  return -Errno.ENOSPC;
}

function growPorts(mem: MachineMemory, domain: number): boolean {
  const mfn = allocFrame(mem, mem.get32(domain + DomainOff.domid), FrameType.hv);
  if (!mfn) return false;
  const ports = mem.get32(domain + HvDomain.evtPorts);
  const dir = (mem.get32(domain + HvDomain.evtDir) << PAGE_SHIFT) >>> 0;
  mem.set32(dir + 4 * (ports / PORTS_PER_FRAME), mfn);
  mem.set32(domain + HvDomain.evtPorts, ports + PORTS_PER_FRAME);
  return true;
}

/** Frees the port; a pending event must not surprise whoever gets it next. */
export function releasePort(mem: MachineMemory, domain: number, port: number): void {
  const at = portAddr(mem, domain, port);
  mem.set8(at + PortOff.state, Xen.EVTCHNSTAT_closed);
  mem.set16(at + PortOff.notifyVcpu, 0);
  mem.set8(at + PortOff.early, 0);
  if (port < mem.get32(domain + HvDomain.evtHint)) mem.set32(domain + HvDomain.evtHint, port);
  if (isControl(mem, domain)) clearControlBit(mem, domain, port);
  else if (usesFifo(mem, domain)) fifo.clearPending(mem, domain, port);
  else twoLevel.clearPending(mem, domain, port);
}

/** Makes an event pending at the port, which must be in use. */
export function setPending(mem: MachineMemory, domain: number, port: number): void {
  if (isControl(mem, domain)) {
    setControlBit(mem, domain, port);
    return;
  }
  const at = portAddr(mem, domain, port);
  const vcpu = vcpuAddr(mem, domain, mem.get16(at + PortOff.notifyVcpu));
  const isNew = usesFifo(mem, domain)
    ? fifo.setPending(mem, domain, vcpu, port, at)
    : twoLevel.setPending(mem, domain, vcpu, port);
  if (isNew) wakePollers(mem, domain, port);
}

export function isPending(mem: MachineMemory, domain: number, port: number): boolean {
  return usesFifo(mem, domain) ? fifo.isPending(mem, domain, port) : twoLevel.isPending(mem, domain, port);
}

export function unmask(mem: MachineMemory, domain: number, port: number): void {
  const at = portAddr(mem, domain, port);
  const vcpu = vcpuAddr(mem, domain, mem.get16(at + PortOff.notifyVcpu));
  if (usesFifo(mem, domain)) {
    if (fifo.unmask(mem, domain, port)) setPending(mem, domain, port);
  } else twoLevel.unmask(mem, domain, vcpu, port);
}

function wakePollers(mem: MachineMemory, domain: number, port: number): void {
  const vcpus = mem.get32(domain + DomainOff.vcpus);
  for (let id = 0; id < vcpus; id++) {
    const vcpu = vcpuAddr(mem, domain, id);
    if (mem.load(vcpu + VcpuOff.polled) === 0) continue;
    const only = mem.load(vcpu + HvVcpu.pollPort);
    if (only === 0 || only === port) wakeVcpu(mem, vcpu);
  }
}

/* The control domain's pending bits, and a selector word per 32 words of them. */

function setControlBit(mem: MachineMemory, domain: number, port: number): void {
  const bits = (mem.get32(domain + HvDomain.controlPending) << PAGE_SHIFT) >>> 0;
  if (!bits) return;
  const word = port >>> 5;
  const old = mem.or(bits + 4 * word, 1 << (port & 31));
  mem.or(domain + HvDomain.controlSelector + 4 * (word >>> 5), 1 << (word & 31));
  if ((old & (1 << (port & 31))) === 0) ringControl(mem);
}

function clearControlBit(mem: MachineMemory, domain: number, port: number): void {
  const bits = (mem.get32(domain + HvDomain.controlPending) << PAGE_SHIFT) >>> 0;
  if (bits) mem.and(bits + 4 * (port >>> 5), ~(1 << (port & 31)));
}
