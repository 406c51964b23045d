/** HYPERVISOR_memory_op (public/memory.h) of translated guests: their reservation, and what else may appear in their
 *  physical address space. Long batches are continued: the command carries the number of the next extent from bit 6 up. */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, FrameType, MachineOff, P2m, Region } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { allocFrame } from "../machine/frames";
import { PAGE_SHIFT } from "../machine/memory";
import { P2M_FRAMES, p2mMfn, p2mSet, p2mType } from "../machine/p2m";
import { cStruct } from "./c_struct";
import { type Caller, CONTINUE, type Result } from "./caller";
import { E820_ENTRY_SIZE } from "./control";
import { domainByAnyId } from "./domain_table";
import { isOwn, p2mEntry, p2mLocked, releaseFrame, removeGuestPage, vacate } from "./guest_frame";
import { addBatchToPhysmap, addToPhysmap, EXTENT_SHIFT } from "./physmap";
import { settle } from "./settle";
import { HvDomain } from "./state";

export const RESERVATION = cStruct({
  extent_start: "long",
  nr_extents: "long",
  extent_order: "u32",
  mem_flags: "u32",
  domid: "u16",
});
export const MEMORY_DOMAIN = cStruct({ domid: "u16" });
export const REMOVE_FROM_PHYSMAP = cStruct({ domid: "u16", gpfn: "long" });
export const MEMORY_MAP = cStruct({ nr_entries: "u32", buffer: "long" });
export const RESERVED_DEVICE_MEMORY_MAP = cStruct({
  flags: "u32",
  nr_entries: "u32",
  buffer: "long",
  seg: "u16",
  bus: "u8",
  devfn: "u8",
});
export const VNUMA_TOPOLOGY_INFO = cStruct({
  domid: "u16",
  pad: "u16",
  nr_vnodes: "u32",
  nr_vcpus: "u32",
  nr_vmemranges: "u32",
  vdistance: "u64",
  vcpu_to_vnode: "u64",
  vmemrange: "u64",
});

const COMMAND_MASK = 0x3f;
const MOST_EXTENTS = 2 ** (32 - EXTENT_SHIFT) - 1;
const MAX_ORDER = 9; // of a domain without devices
const PAGES_AT_ONCE = 512;

/** (cmd, arg) */
export function memoryOp(call: Caller): Result {
  const cmd = call.u32(0);
  const start = cmd >>> EXTENT_SHIFT;
  const op = cmd & COMMAND_MASK;
  switch (op) {
    case Xen.XENMEM_increase_reservation:
    case Xen.XENMEM_decrease_reservation:
    case Xen.XENMEM_populate_physmap:
      return adjustReservation(call, op, start);
    case Xen.XENMEM_add_to_physmap:
      return addToPhysmap(call, start);
    case Xen.XENMEM_add_to_physmap_batch:
      return addBatchToPhysmap(call, start);
  }
  if (start !== 0) return -Errno.EINVAL; // these have nothing to continue
  switch (op) {
    case Xen.XENMEM_current_reservation:
    case Xen.XENMEM_maximum_reservation:
    case Xen.XENMEM_maximum_gpfn:
      return askDomain(call, op);
    case Xen.XENMEM_maximum_ram_page:
      return call.mem.get32(Region.MACHINE + MachineOff.frames) - 1;
    case Xen.XENMEM_memory_map:
      return memoryMap(call);
    case Xen.XENMEM_remove_from_physmap:
      return removeFromPhysmap(call);
    case Xen.XENMEM_reserved_device_memory_map:
      return reservedDeviceMemoryMap(call);
    case Xen.XENMEM_get_vnumainfo: {
      if (!call.fetch(call.args[1], call.layout(VNUMA_TOPOLOGY_INFO).sizeof)) return -Errno.EFAULT;
      const domain = domainByAnyId(call.mem, call.domain, call.getU16(0));
      return !domain ? -Errno.ESRCH : domain !== call.domain ? -Errno.EPERM : -Errno.EOPNOTSUPP; // no vNUMA
    }
    case Xen.XENMEM_exchange:
      return -Errno.EOPNOTSUPP; // only guests that see machine frames can ask for others
    case Xen.XENMEM_get_sharing_freed_pages:
    case Xen.XENMEM_get_sharing_shared_pages:
      return 0;
    case Xen.XENMEM_set_memory_map:
    case Xen.XENMEM_set_pod_target:
    case Xen.XENMEM_get_pod_target:
    case Xen.XENMEM_paging_op:
    case Xen.XENMEM_access_op:
    case Xen.XENMEM_sharing_op:
    case Xen.XENMEM_claim_pages:
    case Xen.XENMEM_acquire_resource:
      return -Errno.EPERM; // the toolstack's
    default:
      // machine_memory_map, machphys_*: what a translated guest has no business with
      return -Errno.ENOSYS;
  }
}

/** Returns the number of extents done: errors end the batch, they are not reported otherwise. */
function adjustReservation(call: Caller, op: number, start: number): Result {
  const { mem } = call;
  const o = call.layout(RESERVATION);
  if (!call.fetch(call.args[1], o.sizeof)) return start;
  const list = call.getLong(o.extent_start);
  const extents = Number(call.getLong(o.nr_extents));
  const order = call.getU32(o.extent_order);
  const domain = domainByAnyId(mem, call.domain, call.getU16(o.domid));
  if (extents > MOST_EXTENTS || start >= extents || domain !== call.domain || order > MAX_ORDER) return start;

  const count = Math.min(extents - start, Math.max(1, PAGES_AT_ONCE >> order));
  const withList = op !== Xen.XENMEM_increase_reservation;
  if (withList && !call.fetch(list + BigInt(start * call.longSize), count * call.longSize)) return start;
  let done = 0;
  for (; done < count; done++) {
    const gfn = withList ? Number(call.getLong(done * call.longSize)) : 0;
    const ok =
      op === Xen.XENMEM_populate_physmap
        ? populate(call, gfn, order)
        : op === Xen.XENMEM_decrease_reservation
          ? decrease(call, gfn, order)
          : newPages(call, 1 << order) !== null; // pages without a place, out of the guest's reach: as Xen does it
    if (!ok) break;
  }
  if (withList) settle(call);
  const next = start + done;
  if (done < count || next === extents) return next;
  call.args[0] = BigInt(op) | (BigInt(next) << BigInt(EXTENT_SHIFT));
  return CONTINUE;
}

/** Charges `count` pages to the domain if its limit allows. */
function charge(call: Caller, count: number): boolean {
  const at = call.domain + DomainOff.totPages;
  const total = call.mem.add(at, count) + count;
  if (total <= call.mem.get32(call.domain + DomainOff.maxPages)) return true;
  call.mem.add(at, -count);
  return false;
}

/** All pages of an extent or none. What was at these gfns goes back to the machine. */
function populate(call: Caller, gfn: number, order: number): boolean {
  const { mem, domain } = call;
  const pages = 1 << order;
  if (gfn + pages > P2M_FRAMES) return false;
  const mfns = newPages(call, pages);
  if (!mfns) return false;
  const placed = p2mLocked(mem, domain, () => {
    let n = 0;
    while (n < pages && vacate(mem, domain, gfn + n, call.removed) && p2mSet(mem, domain, gfn + n, mfns[n], P2m.ram_rw) === 0) n++;
    if (n < pages) for (let k = 0; k < n; k++) p2mSet(mem, domain, gfn + k, 0, P2m.none);
    return n;
  });
  if (placed === pages) return true;
  discard(call, mfns, pages);
  return false;
}

/** Frames charged to the domain, null if its limit or the machine does not allow so many. */
function newPages(call: Caller, count: number): number[] | null {
  if (!charge(call, count)) return null;
  const mfns: number[] = [];
  while (mfns.length < count) {
    const mfn = allocFrame(call.mem, call.domid, FrameType.ram);
    if (!mfn) {
      discard(call, mfns, count);
      return null;
    }
    mfns.push(mfn);
  }
  return mfns;
}

function discard(call: Caller, mfns: readonly number[], charged: number): void {
  for (const mfn of mfns) releaseFrame(call.mem, mfn, call.domain);
  call.mem.add(call.domain + DomainOff.totPages, mfns.length - charged);
}

function decrease(call: Caller, gfn: number, order: number): boolean {
  const { mem, domain } = call;
  return p2mLocked(mem, domain, () => {
    for (let n = 0; n < 1 << order; n++) if (!removeGuestPage(mem, domain, gfn + n, call.removed)) return false;
    return true;
  });
}

function askDomain(call: Caller, op: number): Result {
  const { mem } = call;
  if (!call.fetch(call.args[1], MEMORY_DOMAIN.lp64.sizeof)) return -Errno.EFAULT;
  const domain = domainByAnyId(mem, call.domain, call.getU16(0));
  if (!domain) return -Errno.ESRCH;
  if (domain !== call.domain) return -Errno.EPERM;
  if (op === Xen.XENMEM_current_reservation) return mem.load(domain + DomainOff.totPages);
  return mem.get32(domain + (op === Xen.XENMEM_maximum_reservation ? DomainOff.maxPages : DomainOff.maxGfn));
}

function memoryMap(call: Caller): Result {
  const { mem } = call;
  const o = call.layout(MEMORY_MAP);
  const mfn = mem.get32(call.domain + HvDomain.memoryMap);
  if (!mfn) return -Errno.ENOSYS;
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const entries = Math.min(call.getU32(o.nr_entries), mem.get32(call.domain + HvDomain.memoryMapCount));
  const buffer = call.getLong(o.buffer);
  const at = (mfn << PAGE_SHIFT) >>> 0;
  if (!call.putFrom(buffer, at, entries * E820_ENTRY_SIZE)) return -Errno.EFAULT;
  return call.putField(call.args[1] + BigInt(o.nr_entries), 4, entries) ? 0 : -Errno.EFAULT;
}

/** The page stays the domain's, without a place. */
function removeFromPhysmap(call: Caller): Result {
  const { mem } = call;
  const o = call.layout(REMOVE_FROM_PHYSMAP);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const domain = domainByAnyId(mem, call.domain, call.getU16(o.domid));
  if (!domain) return -Errno.ESRCH;
  if (domain !== call.domain) return -Errno.EPERM;
  const gfn = Number(call.getLong(o.gpfn));
  const removed = p2mLocked(mem, domain, () => {
    const entry = p2mEntry(mem, domain, gfn);
    const type = p2mType(entry);
    if ((type !== P2m.ram_rw && type !== P2m.ram_ro) || !isOwn(mem, domain, p2mMfn(entry))) return false;
    p2mSet(mem, domain, gfn, 0, P2m.none);
    return true;
  });
  if (removed) settle(call);
  return removed ? 0 : -Errno.ENOENT;
}

function reservedDeviceMemoryMap(call: Caller): Result {
  const o = call.layout(RESERVED_DEVICE_MEMORY_MAP);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  if (call.getU32(o.flags) & ~Xen.XENMEM_RDM_ALL) return -Errno.EINVAL;
  return call.putField(call.args[1] + BigInt(o.nr_entries), 4, 0) ? 0 : -Errno.EFAULT;
}
