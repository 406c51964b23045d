/** Domain and vCPU blocks: allocation, lookup by domid, and the small facts every hypercall asks for. A block's slot is
 *  domid modulo the table's size where that is free, so lookup seldom probes. Blocks stay readable memory for ever: a
 *  stale address is harmless, and whoever acts on another domain checks domid and state again under its lock. */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, DomainState, DomainType, FrameType, MachineOff, Region, VcpuOff } from "../../assembly/abi/layout";
import { SharedInfo32Off, SharedInfoOff, VcpuInfoOff, Xen } from "../../assembly/abi/xen";
import { allocFrame, freeFrame } from "../machine/frames";
import { type MachineMemory, PAGE_SHIFT } from "../machine/memory";
import { p2mCreate, p2mDestroy } from "../machine/p2m";
import { HvDomain, HvVcpu, NO_HANDLE, RunstateOff } from "./state";

/** How far from its slot a domain's block has been at most. */
const FARTHEST = Region.MACHINE + MachineOff.farthestDomain;

export const CONTROL_DOMID = 0;
export const MAX_VCPUS = 128;

export interface DomainShape {
  type: DomainType;
  vcpus: number;
  /** Limit of its memory in pages. */
  maxPages: number;
  /** Chosen by the table if absent. */
  domid?: number;
  handle?: Uint8Array;
}

/** A new domain in state `building` with its shared info page, or a negative error number. */
export function createDomainBlock(mem: MachineMemory, shape: DomainShape): number {
  if (shape.vcpus > MAX_VCPUS) return -Errno.EINVAL;
  const domain = mem.locked(Region.MACHINE + MachineOff.domainLock, () => claimBlocks(mem, shape));
  if (domain < 0) return domain;
  const domid = mem.get32(domain + DomainOff.domid);
  const sharedInfo = allocFrame(mem, domid, FrameType.xenheap);
  const evtDir = allocFrame(mem, domid, FrameType.hv);
  const grantDir = allocFrame(mem, domid, FrameType.hv);
  const maptrackDir = allocFrame(mem, domid, FrameType.hv);
  const root = shape.type === DomainType.control ? 0 : p2mCreate(mem, domain);
  if (!sharedInfo || !evtDir || !grantDir || !maptrackDir || root < 0) {
    for (const mfn of [sharedInfo, evtDir, grantDir, maptrackDir]) if (mfn) freeFrame(mem, mfn);
    if (root === 0 && shape.type !== DomainType.control) p2mDestroy(mem, domain);
    freeDomainBlock(mem, domain);
    return -Errno.ENOMEM;
  }
  mem.set32(domain + DomainOff.sharedInfo, sharedInfo);
  mem.set32(domain + HvDomain.evtDir, evtDir);
  mem.set32(domain + HvDomain.grantDir, grantDir);
  mem.set32(domain + HvDomain.maptrackDir, maptrackDir);
  for (let id = 0; id < shape.vcpus && id < Xen.XEN_LEGACY_MAX_VCPUS; id++) {
    const info = (sharedInfo << PAGE_SHIFT) + SharedInfoOff.vcpu_info + id * VcpuInfoOff.SIZE;
    mem.set32(vcpuAddr(mem, domain, id) + VcpuOff.infoMaddr, info >>> 0);
  }
  return domain;
}

function claimBlocks(mem: MachineMemory, shape: DomainShape): number {
  const domid = shape.domid ?? nextDomid(mem);
  if (domid < 0 || domid >= Xen.DOMID_FIRST_RESERVED || domainByDomid(mem, domid)) return -Errno.EEXIST;
  let domain = 0;
  let away = 0; // from its slot
  for (; away < Region.MAX_DOMAINS; away++) {
    const at = slotAddr(domid + away);
    if (mem.load(at + DomainOff.state) !== DomainState.free) continue;
    domain = at;
    break;
  }
  const first = domain && shape.vcpus ? claimVcpus(mem, shape.vcpus) : 0;
  if (!domain || (shape.vcpus && !first)) return -Errno.ENOMEM;
  mem.u8.fill(0, domain, domain + DomainOff.SIZE);
  mem.set32(domain + DomainOff.domid, domid);
  mem.set32(domain + DomainOff.type, shape.type);
  mem.set32(domain + DomainOff.maxPages, shape.maxPages);
  mem.set32(domain + DomainOff.vcpus, shape.vcpus);
  mem.set32(domain + DomainOff.firstVcpu, first);
  mem.store(domain + DomainOff.shutdownReason, -1);
  mem.store(domain + HvDomain.shutdownCode, -1);
  mem.set32(domain + HvDomain.grantMax, 64);
  mem.set32(domain + HvDomain.maptrackFree, NO_HANDLE);
  if (shape.handle) mem.u8.set(shape.handle.subarray(0, 16), domain + HvDomain.handle);
  for (let id = 0; id < shape.vcpus; id++) {
    const vcpu = first + id * VcpuOff.SIZE;
    mem.u8.fill(0, vcpu, vcpu + VcpuOff.SIZE);
    mem.set32(vcpu + VcpuOff.id, id);
    mem.store(vcpu + VcpuOff.pcpu, -1);
    mem.store(vcpu + VcpuOff.home, -1);
    mem.set32(vcpu + HvVcpu.initialised, id === 0 ? 1 : 0);
    mem.set32(vcpu + VcpuOff.runstate + RunstateOff.state, Xen.RUNSTATE_offline);
    mem.store(vcpu + VcpuOff.domain, domain);
  }
  if (away > mem.load(FARTHEST)) mem.store(FARTHEST, away); // before others can look for it
  mem.store(domain + DomainOff.state, DomainState.building);
  return domain;
}

function nextDomid(mem: MachineMemory): number {
  const at = Region.MACHINE + MachineOff.nextDomid;
  for (;;) {
    let domid = mem.get32(at);
    if (domid === 0 || domid >= Xen.DOMID_FIRST_RESERVED) domid = 1;
    mem.set32(at, domid + 1);
    if (!domainByDomid(mem, domid)) return domid;
  }
}

/** Address of `count` contiguous free vCPU blocks, 0 if there is no such run. */
function claimVcpus(mem: MachineMemory, count: number): number {
  let run = 0;
  for (let n = 0; n < Region.MAX_VCPUS; n++) {
    run = mem.load(Region.VCPUS + n * VcpuOff.SIZE + VcpuOff.domain) === 0 ? run + 1 : 0;
    if (run === count) return Region.VCPUS + (n + 1 - count) * VcpuOff.SIZE;
  }
  return 0;
}

/** Gives the blocks back. What they refer to must be gone (see `destroyDomainState`). */
export function freeDomainBlock(mem: MachineMemory, domain: number): void {
  mem.locked(Region.MACHINE + MachineOff.domainLock, () => {
    const vcpus = mem.get32(domain + DomainOff.vcpus);
    for (let id = 0; id < vcpus; id++) mem.store(vcpuAddr(mem, domain, id) + VcpuOff.domain, 0);
    mem.store(domain + DomainOff.state, DomainState.free);
  });
}

function slotAddr(n: number): number {
  return Region.DOMAINS + (n % Region.MAX_DOMAINS) * DomainOff.SIZE;
}

/** Address of the block of `domid`, 0 if there is no such domain. Blocks farther away than any has been are memory that nobody has touched. */
export function domainByDomid(mem: MachineMemory, domid: number): number {
  const farthest = mem.load(FARTHEST);
  for (let n = 0; n <= farthest; n++) {
    const at = slotAddr(domid + n);
    if (mem.get32(at + DomainOff.domid) === domid && mem.load(at + DomainOff.state) !== DomainState.free) return at;
  }
  return 0;
}

/** As above, with DOMID_SELF standing for the caller's own. */
export function domainByAnyId(mem: MachineMemory, caller: number, domid: number): number {
  return domid === Xen.DOMID_SELF ? caller : domainByDomid(mem, domid);
}

/** Whether `domain` may still be acted on by others. */
export function isAlive(mem: MachineMemory, domain: number, domid: number): boolean {
  const state = mem.load(domain + DomainOff.state);
  return mem.get32(domain + DomainOff.domid) === domid && state !== DomainState.free && state !== DomainState.dying;
}

/** Address of vCPU `id`, 0 if the domain has no such vCPU. */
export function vcpuAddr(mem: MachineMemory, domain: number, id: number): number {
  return id < mem.get32(domain + DomainOff.vcpus) ? mem.get32(domain + DomainOff.firstVcpu) + id * VcpuOff.SIZE : 0;
}

export function isControl(mem: MachineMemory, domain: number): boolean {
  return mem.get32(domain + DomainOff.type) === DomainType.control;
}

/** Whether the guest reads shared_info and vcpu_info in their 32-bit form. */
export function has32BitInfo(mem: MachineMemory, domain: number): boolean {
  return mem.get32(domain + DomainOff.ringSize32) !== 0;
}

/** Address of shared_info. */
export function sharedInfoAddr(mem: MachineMemory, domain: number): number {
  return (mem.get32(domain + DomainOff.sharedInfo) << PAGE_SHIFT) >>> 0;
}

/** Address of the wallclock words, wc_version first, and of wc_sec_hi, which 32-bit guests have elsewhere. */
export function wallclockAddr(mem: MachineMemory, domain: number): { words: number; high: number } {
  const info = sharedInfoAddr(mem, domain);
  return has32BitInfo(mem, domain)
    ? { words: info + SharedInfo32Off.wc_version, high: info + SharedInfo32Off.wc_sec_hi }
    : { words: info + SharedInfoOff.wc_version, high: info + SharedInfoOff.wc_sec_hi };
}

/** The control domain, created at first use. */
export function controlDomain(mem: MachineMemory): number {
  const found = domainByDomid(mem, CONTROL_DOMID);
  if (found) return found;
  return createDomainBlock(mem, { type: DomainType.control, vcpus: 0, maxPages: 0, domid: CONTROL_DOMID });
}
