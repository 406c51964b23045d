/** Event channels between domains (public/event_channel.h): binding, closing, sending. Callers name domains by block
 *  address; results are a port, 0, or a negative error number.
 *
 *  A connection is two port entries that name each other. Making and breaking it takes both domains' evtLocks, lower
 *  domid first. Sending takes one at a time: it reads the local entry, then checks under the remote lock that the remote
 *  entry still names the local one. */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, FrameType, VcpuOff } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { allocFrame, freeFrame } from "../machine/frames";
import { type MachineMemory, PAGE_SHIFT } from "../machine/memory";
import { domainByDomid, isAlive, isControl, vcpuAddr } from "./domain_table";
import { destroyFifo } from "./event_fifo";
import { portAddr, portState, releasePort, setPending, takePort } from "./event_port";
import { EvtchnAbi, HvDomain, HvVcpu, PORT_RESERVED, PORTS_PER_FRAME, PortOff } from "./state";

const GLOBAL_VIRQ = ~(
  (1 << Xen.VIRQ_TIMER) |
  (1 << Xen.VIRQ_DEBUG) |
  (1 << Xen.VIRQ_XENOPROF) |
  (1 << Xen.VIRQ_XENPMU)
);

export interface PortStatus {
  state: number;
  vcpu: number;
  remoteDomid: number;
  /** Remote port, virq. */
  remotePort: number;
}

function domidOf(mem: MachineMemory, domain: number): number {
  return mem.get32(domain + DomainOff.domid);
}

function evtLocked<T>(mem: MachineMemory, domain: number, body: () => T): T {
  return mem.locked(domain + HvDomain.evtLock, body);
}

function bothLocked<T>(mem: MachineMemory, a: number, b: number, body: () => T): T {
  if (a === b) return evtLocked(mem, a, body);
  const [first, second] = domidOf(mem, a) < domidOf(mem, b) ? [a, b] : [b, a];
  return evtLocked(mem, first, () => evtLocked(mem, second, body));
}

/** EVTCHNOP_alloc_unbound: a port in `domain` that `remoteDomid` may connect to. */
export function allocUnbound(mem: MachineMemory, domain: number, remoteDomid: number): number {
  return evtLocked(mem, domain, () => {
    const port = takeFilled(mem, domain, Xen.EVTCHNSTAT_unbound, 0);
    if (port > 0) mem.set16(portAddr(mem, domain, port) + PortOff.remoteDomid, remoteDomid);
    return port;
  });
}

function takeFilled(mem: MachineMemory, domain: number, state: number, vcpu: number): number {
  if (!isAlive(mem, domain, domidOf(mem, domain))) return -Errno.ESRCH;
  const port = takePort(mem, domain);
  if (port < 0) return port;
  const at = portAddr(mem, domain, port);
  mem.set16(at + PortOff.notifyVcpu, vcpu);
  mem.set8(at + PortOff.state, state);
  return port;
}

/** EVTCHNOP_bind_interdomain: connects a new port of `domain` to the unbound `remotePort` of `remote`. */
export function bindInterdomain(mem: MachineMemory, domain: number, remote: number, remotePort: number): number {
  return bothLocked(mem, domain, remote, () => {
    const there = portAddr(mem, remote, remotePort);
    if (
      portState(mem, remote, remotePort) !== Xen.EVTCHNSTAT_unbound ||
      mem.get16(there + PortOff.remoteDomid) !== domidOf(mem, domain)
    ) {
      return -Errno.EINVAL;
    }
    const port = takeFilled(mem, domain, Xen.EVTCHNSTAT_interdomain, 0);
    if (port < 0) return port;
    const here = portAddr(mem, domain, port);
    mem.set16(here + PortOff.remoteDomid, domidOf(mem, remote));
    mem.set32(here + PortOff.remotePort, remotePort);
    mem.set8(there + PortOff.state, Xen.EVTCHNSTAT_interdomain);
    mem.set32(there + PortOff.remotePort, port);
    setPending(mem, domain, port); // the remote side may have sent while it was unbound
    return port;
  });
}

/** EVTCHNOP_bind_virq. */
export function bindVirq(mem: MachineMemory, domain: number, virq: number, vcpuId: number): number {
  if (virq >= Xen.NR_VIRQS) return -Errno.EINVAL;
  if (isGlobalVirq(virq) && vcpuId !== 0) return -Errno.EINVAL;
  const vcpu = vcpuAddr(mem, domain, vcpuId);
  if (!vcpu) return -Errno.ENOENT;
  return evtLocked(mem, domain, () => {
    const bound = vcpu + HvVcpu.virq + 4 * virq;
    if (mem.get32(bound) !== 0) return -Errno.EEXIST;
    const port = takeFilled(mem, domain, Xen.EVTCHNSTAT_virq, vcpuId);
    if (port < 0) return port;
    mem.set32(portAddr(mem, domain, port) + PortOff.remotePort, virq);
    mem.set32(bound, port);
    return port;
  });
}

export function isGlobalVirq(virq: number): boolean {
  return (GLOBAL_VIRQ & (1 << virq)) !== 0;
}

/** EVTCHNOP_bind_ipi. */
export function bindIpi(mem: MachineMemory, domain: number, vcpuId: number): number {
  if (!vcpuAddr(mem, domain, vcpuId)) return -Errno.ENOENT;
  return evtLocked(mem, domain, () => takeFilled(mem, domain, Xen.EVTCHNSTAT_ipi, vcpuId));
}

/** EVTCHNOP_close. The other end of a connection becomes unbound again. */
export function closePort(mem: MachineMemory, domain: number, port: number): number {
  for (;;) {
    let remoteDomid = -1;
    const result = evtLocked(mem, domain, () => {
      const state = portState(mem, domain, port);
      if (state !== Xen.EVTCHNSTAT_interdomain) return closeLocal(mem, domain, port, state);
      remoteDomid = mem.get16(portAddr(mem, domain, port) + PortOff.remoteDomid);
      return 0;
    });
    if (remoteDomid < 0) return result;
    const remote = domainByDomid(mem, remoteDomid) || domain; // gone: then its end is too
    if (bothLocked(mem, domain, remote, () => closeConnection(mem, domain, port, remoteDomid))) return 0;
  }
}

function isConnected(mem: MachineMemory, domain: number, port: number): boolean {
  return portState(mem, domain, port) === Xen.EVTCHNSTAT_interdomain;
}

function closeLocal(mem: MachineMemory, domain: number, port: number, state: number): number {
  if (state === Xen.EVTCHNSTAT_closed || state === PORT_RESERVED) return -Errno.EINVAL;
  if (state === Xen.EVTCHNSTAT_virq) {
    const at = portAddr(mem, domain, port);
    const virq = mem.get32(at + PortOff.remotePort);
    const vcpus = mem.get32(domain + DomainOff.vcpus);
    for (let id = 0; id < vcpus; id++) {
      const bound = vcpuAddr(mem, domain, id) + HvVcpu.virq + 4 * virq;
      if (mem.get32(bound) === port) mem.set32(bound, 0);
    }
  }
  releasePort(mem, domain, port);
  return 0;
}

/** Under both locks. False if the port is no longer what it was when they were chosen. */
function closeConnection(mem: MachineMemory, domain: number, port: number, remoteDomid: number): boolean {
  const at = portAddr(mem, domain, port);
  if (!isConnected(mem, domain, port) || mem.get16(at + PortOff.remoteDomid) !== remoteDomid) return false;
  const remote = domainByDomid(mem, remoteDomid);
  const remotePort = mem.get32(at + PortOff.remotePort);
  if (remote && namesEachOther(mem, remote, remotePort, domidOf(mem, domain), port)) {
    mem.set8(portAddr(mem, remote, remotePort) + PortOff.state, Xen.EVTCHNSTAT_unbound);
  }
  releasePort(mem, domain, port);
  return true;
}

function namesEachOther(mem: MachineMemory, domain: number, port: number, remoteDomid: number, remotePort: number) {
  const at = portAddr(mem, domain, port);
  return (
    isConnected(mem, domain, port) &&
    mem.get16(at + PortOff.remoteDomid) === remoteDomid &&
    mem.get32(at + PortOff.remotePort) === remotePort
  );
}

/** EVTCHNOP_send on a port of `domain`. */
export function sendEvent(mem: MachineMemory, domain: number, port: number): number {
  let remoteDomid = -1;
  let remotePort = 0;
  const result = evtLocked(mem, domain, () => {
    switch (portState(mem, domain, port)) {
      case Xen.EVTCHNSTAT_ipi:
        setPending(mem, domain, port);
        return 0;
      case Xen.EVTCHNSTAT_unbound:
        return 0; // nobody listens yet: whoever binds gets a first event anyway
      case Xen.EVTCHNSTAT_interdomain: {
        const at = portAddr(mem, domain, port);
        remoteDomid = mem.get16(at + PortOff.remoteDomid);
        remotePort = mem.get32(at + PortOff.remotePort);
        return 0;
      }
      default:
        return -Errno.EINVAL;
    }
  });
  const remote = remoteDomid >= 0 ? domainByDomid(mem, remoteDomid) : 0;
  if (!remote) return result;
  const domid = domidOf(mem, domain);
  evtLocked(mem, remote, () => {
    if (isAlive(mem, remote, remoteDomid) && namesEachOther(mem, remote, remotePort, domid, port)) {
      setPending(mem, remote, remotePort);
    }
  });
  return result;
}

/** Raises a virtual interrupt of a vCPU; a global one is raised on vCPU 0's binding. */
export function sendVirq(mem: MachineMemory, vcpu: number, virq: number): void {
  const domain = mem.get32(vcpu + VcpuOff.domain);
  if (!domain) return;
  evtLocked(mem, domain, () => {
    const port = mem.get32(vcpu + HvVcpu.virq + 4 * virq);
    if (port !== 0) setPending(mem, domain, port);
  });
}

/** EVTCHNOP_status. */
export function portStatus(mem: MachineMemory, domain: number, port: number): PortStatus | null {
  return evtLocked(mem, domain, () => {
    const at = portAddr(mem, domain, port);
    if (!at) return null;
    const state = mem.get8(at + PortOff.state);
    return {
      state: state === PORT_RESERVED ? Xen.EVTCHNSTAT_closed : state,
      vcpu: mem.get16(at + PortOff.notifyVcpu),
      remoteDomid: mem.get16(at + PortOff.remoteDomid),
      remotePort: mem.get32(at + PortOff.remotePort),
    };
  });
}

/** EVTCHNOP_bind_vcpu. */
export function bindVcpu(mem: MachineMemory, domain: number, port: number, vcpuId: number): number {
  if (!vcpuAddr(mem, domain, vcpuId)) return -Errno.ENOENT;
  return evtLocked(mem, domain, () => {
    const at = portAddr(mem, domain, port);
    switch (portState(mem, domain, port)) {
      case Xen.EVTCHNSTAT_virq:
        if (!isGlobalVirq(mem.get32(at + PortOff.remotePort))) return -Errno.EINVAL;
        break;
      case Xen.EVTCHNSTAT_unbound:
      case Xen.EVTCHNSTAT_interdomain:
        break;
      default:
        return -Errno.EINVAL;
    }
    mem.set16(at + PortOff.notifyVcpu, vcpuId);
    return 0;
  });
}

/** EVTCHNOP_reset: closes everything from port `from` on and goes back to the two-level format. Looks at `most` ports; the next one if there are
 *  more, else 0. */
export function resetPorts(mem: MachineMemory, domain: number, from: number, most: number): number {
  const ports = mem.get32(domain + HvDomain.evtPorts);
  const end = Math.min(ports, from + most);
  for (let port = from; port < end; port++) closePort(mem, domain, port);
  if (end < ports) return end;
  evtLocked(mem, domain, () => {
    if (mem.get32(domain + HvDomain.evtAbi) === EvtchnAbi.fifo) destroyFifo(mem, domain);
    mem.set32(domain + HvDomain.evtAbi, EvtchnAbi.twoLevel);
  });
  return 0;
}

/** Domain teardown: the port tables too. */
export function destroyPorts(mem: MachineMemory, domain: number): void {
  resetPorts(mem, domain, 1, Number.POSITIVE_INFINITY);
  evtLocked(mem, domain, () => {
    const tables = mem.get32(domain + HvDomain.evtPorts) / PORTS_PER_FRAME;
    const dir = (mem.get32(domain + HvDomain.evtDir) << PAGE_SHIFT) >>> 0;
    mem.set32(domain + HvDomain.evtPorts, 0);
    for (let n = 0; n < tables; n++) freeFrame(mem, mem.get32(dir + 4 * n));
    const pending = mem.get32(domain + HvDomain.controlPending);
    mem.set32(domain + HvDomain.controlPending, 0);
    if (pending) freeFrame(mem, pending);
  });
}

/** Events pending for the control domain, which stop being pending. */
export function takeControlEvents(mem: MachineMemory, domain: number): number[] {
  const ports: number[] = [];
  const bits = (mem.get32(domain + HvDomain.controlPending) << PAGE_SHIFT) >>> 0;
  for (let sel = 0; bits && sel < 32; sel++) {
    let words = mem.load(domain + HvDomain.controlSelector + 4 * sel);
    if (words !== 0) words = mem.exchange(domain + HvDomain.controlSelector + 4 * sel, 0);
    for (; words !== 0; words &= words - 1) {
      const word = 32 * sel + 31 - Math.clz32(words & -words);
      let pending = mem.exchange(bits + 4 * word, 0);
      for (; pending !== 0; pending &= pending - 1) ports.push(32 * word + 31 - Math.clz32(pending & -pending));
    }
  }
  return ports;
}

/** Gives the control domain its pending bits. */
export function prepareControlEvents(mem: MachineMemory, domain: number): boolean {
  if (!isControl(mem, domain) || mem.get32(domain + HvDomain.controlPending)) return true;
  const mfn = allocFrame(mem, domidOf(mem, domain), FrameType.hv);
  mem.set32(domain + HvDomain.controlPending, mfn);
  return mfn !== 0;
}
