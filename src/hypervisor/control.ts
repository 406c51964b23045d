/** What the toolstack, xenstore and the backends see of the hypervisor: the control domain's event ports, its direct
 *  view of granted frames, and the few words of a guest it fills in before the guest starts. Every call works from any
 *  thread; numbers below 0 are negated error numbers (GNTST_* for grants). */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, FrameType } from "../../assembly/abi/layout";
import { GrantEntryV1Off, Xen } from "../../assembly/abi/xen";
import { allocFrame, NO_GFN } from "../machine/frames";
import { type MachineMemory, PAGE_SHIFT } from "../machine/memory";
import { controlDomain, domainByDomid } from "./domain_table";
import {
  allocUnbound,
  bindInterdomain,
  closePort,
  prepareControlEvents,
  sendEvent,
  takeControlEvents,
} from "./event_channel";
import { growGrantTable, mapGrant, releaseMapping, sharedEntryAddr } from "./grant_table";
import { HvDomain } from "./state";

/** The control domain's event channels. */
export class ControlPort {
  private readonly domain: number;

  constructor(private readonly mem: MachineMemory) {
    this.domain = controlDomain(mem);
    prepareControlEvents(mem, this.domain);
  }

  /** A port of the control domain that `remoteDomid` may bind to. */
  allocUnbound(remoteDomid: number): number {
    return allocUnbound(this.mem, this.domain, remoteDomid);
  }

  /** A port of domain `domid` that `remoteDomid` (the control domain if absent) may bind to: what the toolstack makes
   *  for a guest's xenstore and console before it starts. */
  allocUnboundIn(domid: number, remoteDomid = 0): number {
    const domain = domainByDomid(this.mem, domid);
    return domain ? allocUnbound(this.mem, domain, remoteDomid) : -Errno.ESRCH;
  }

  /** Connects a new port to the unbound port of another domain. The new port is pending once, to be safe. */
  bindInterdomain(remoteDomid: number, remotePort: number): number {
    const remote = domainByDomid(this.mem, remoteDomid);
    return remote ? bindInterdomain(this.mem, this.domain, remote, remotePort) : -Errno.ESRCH;
  }

  notify(port: number): number {
    return sendEvent(this.mem, this.domain, port);
  }

  close(port: number): number {
    return closePort(this.mem, this.domain, port);
  }

  /** Ports with events since the last call. The doorbell is MachineOff.control: read it, take the events, then wait. */
  takeControlEvents(): number[] {
    return takeControlEvents(this.mem, this.domain);
  }
}

export interface ControlMapping {
  mfn: number;
  handle: number;
}

/** Pins a frame another domain has granted to the control domain; it may be used as memory until unmapped.
 *  A number is a negative GNTST_* status. */
export function mapForControl(
  mem: MachineMemory,
  domid: number,
  gref: number,
  readonly: boolean,
): ControlMapping | number {
  return mapGrant(mem, controlDomain(mem), domid, gref, readonly, NO_GFN);
}

/** Ends a mapping of `mapForControl`: 0 or a negative GNTST_* status. */
export function unmapForControl(mem: MachineMemory, handle: number): number {
  return releaseMapping(mem, controlDomain(mem), handle);
}

/** Grants `gfn` of domain `domid` to `granteeDomid` by reserved entry `gref`, as libxl seeds xenstore's and the
 *  console's pages (GNTTAB_RESERVED_*). */
export function seedGrant(mem: MachineMemory, domid: number, gref: number, gfn: number, granteeDomid = 0): number {
  const domain = domainByDomid(mem, domid);
  if (!domain) return -Errno.ESRCH;
  if (gref >= Xen.GNTTAB_NR_RESERVED_ENTRIES) return -Errno.EINVAL;
  if (!growGrantTable(mem, domain, 1)) return -Errno.ENOMEM;
  const at = sharedEntryAddr(mem, domain, gref);
  mem.set32(at + GrantEntryV1Off.frame, gfn);
  mem.store(at, Xen.GTF_permit_access | (granteeDomid << 16));
  return 0;
}

/** HVMOP_set_param as the toolstack may use it: no rules. */
export function setHvmParam(mem: MachineMemory, domid: number, index: number, value: bigint): number {
  const domain = domainByDomid(mem, domid);
  if (!domain) return -Errno.ESRCH;
  if (!(index < Xen.HVM_NR_PARAMS)) return -Errno.EINVAL;
  mem.set64(domain + HvDomain.hvmParams + 8 * index, value);
  return 0;
}

export function getHvmParam(mem: MachineMemory, domid: number, index: number): bigint {
  const domain = domainByDomid(mem, domid);
  return domain && index < Xen.HVM_NR_PARAMS ? mem.get64(domain + HvDomain.hvmParams + 8 * index) : 0n;
}

export interface MemoryMapEntry {
  addr: number;
  size: number;
  /** E820 type: 1 RAM, 2 reserved, 3 ACPI, 4 NVS. */
  type: number;
}

export const E820_ENTRY_SIZE = 20;
export const E820_MAX = 128;

/** XENMEM_set_memory_map: what XENMEM_memory_map tells the guest. */
export function setMemoryMap(mem: MachineMemory, domid: number, entries: readonly MemoryMapEntry[]): number {
  const domain = domainByDomid(mem, domid);
  if (!domain) return -Errno.ESRCH;
  if (entries.length > E820_MAX) return -Errno.EINVAL;
  let mfn = mem.get32(domain + HvDomain.memoryMap);
  if (!mfn) mfn = allocFrame(mem, domid, FrameType.hv);
  if (!mfn) return -Errno.ENOMEM;
  mem.set32(domain + HvDomain.memoryMap, mfn);
  mem.set32(domain + HvDomain.memoryMapCount, entries.length);
  let at = (mfn << PAGE_SHIFT) >>> 0;
  for (const { addr, size, type } of entries) {
    mem.view.setBigUint64(at, BigInt(addr), true);
    mem.view.setBigUint64(at + 8, BigInt(size), true);
    mem.view.setUint32(at + 16, type, true);
    at += E820_ENTRY_SIZE;
  }
  return 0;
}

/** SHUTDOWN_* reason of the domain, -1 while it runs. */
export function shutdownReason(mem: MachineMemory, domid: number): number {
  const domain = domainByDomid(mem, domid);
  return domain ? mem.load(domain + DomainOff.shutdownReason) : -1;
}

