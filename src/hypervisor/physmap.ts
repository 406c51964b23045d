/** XENMEM_add_to_physmap and its batched form: pages of the hypervisor (shared_info, grant table) and pages the guest has
 *  elsewhere, put at a gfn of its choice. A page is at one gfn at a time: adding it moves it. */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, P2m } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { NO_GFN } from "../machine/frames";
import type { MachineMemory } from "../machine/memory";
import { P2M_FRAMES, p2mMfn, p2mSet, p2mType } from "../machine/p2m";
import { cStruct } from "./c_struct";
import { type Caller, CONTINUE, type Result } from "./caller";
import { domainByAnyId } from "./domain_table";
import { grantFrameMfn, grantFrames, growGrantTable } from "./grant_table";
import { gfnOfFrame, isOwn, p2mEntry, p2mLocked, vacate } from "./guest_frame";
import { settle } from "./settle";

export const ADD_TO_PHYSMAP = cStruct({ domid: "u16", size: "u16", space: "u32", idx: "long", gpfn: "long" });
export const ADD_TO_PHYSMAP_BATCH = cStruct({
  domid: "u16",
  space: "u16",
  size: "u16",
  u: "u16",
  idxs: "long",
  gpfns: "long",
  errs: "long",
});

/** The command of a continued memory_op carries the number of the next extent from this bit up. */
export const EXTENT_SHIFT = 6;
const BATCH = 64;
const MOST_START = 0xffff;

export function addToPhysmap(call: Caller, start: number): Result {
  if (start > MOST_START) return -Errno.EDOM;
  const o = call.layout(ADD_TO_PHYSMAP);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const space = call.getU32(o.space);
  if (space === Xen.XENMAPSPACE_gmfn_foreign) return -Errno.ENOSYS; // only in batches
  const refused = permission(call, call.getU16(o.domid));
  if (refused) return refused;
  const idx = Number(call.getLong(o.idx));
  const gpfn = Number(call.getLong(o.gpfn));
  if (space !== Xen.XENMAPSPACE_gmfn_range) {
    const result = addOne(call, space, idx, gpfn);
    settle(call);
    return result;
  }
  const size = call.getU16(o.size);
  if (size < start) return -Errno.EILSEQ;
  const end = Math.min(size, start + BATCH);
  let result = 0;
  for (let n = start; n < end && result === 0; n++) result = addOne(call, Xen.XENMAPSPACE_gmfn, idx + n, gpfn + n);
  settle(call);
  if (result !== 0 || end === size) return result;
  return continueAt(call, Xen.XENMEM_add_to_physmap, end);
}

function continueAt(call: Caller, op: number, next: number): Result {
  call.args[0] = BigInt(op) | (BigInt(next) << BigInt(EXTENT_SHIFT));
  return CONTINUE;
}

function permission(call: Caller, domid: number): number {
  const domain = domainByAnyId(call.mem, call.domain, domid);
  return !domain ? -Errno.ESRCH : domain !== call.domain ? -Errno.EPERM : 0;
}

export function addBatchToPhysmap(call: Caller, start: number): Result {
  if (start > MOST_START) return -Errno.EDOM;
  const o = call.layout(ADD_TO_PHYSMAP_BATCH);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const space = call.getU16(o.space);
  if (space === Xen.XENMAPSPACE_gmfn_range) return -Errno.EOPNOTSUPP;
  const refused = permission(call, call.getU16(o.domid));
  if (refused) return refused;
  const extra = call.getU16(o.u);
  if (space === Xen.XENMAPSPACE_gmfn_foreign) {
    const foreign = domainByAnyId(call.mem, call.domain, extra);
    return !foreign ? -Errno.ESRCH : foreign === call.domain ? -Errno.EINVAL : -Errno.EPERM;
  }
  if (extra !== 0 && space === Xen.XENMAPSPACE_dev_mmio) return -Errno.EOPNOTSUPP;
  const size = call.getU16(o.size);
  if (size < start) return -Errno.EILSEQ;
  if (size === start) return start ? -Errno.EILSEQ : 0;
  const idxs = call.getLong(o.idxs);
  const gpfns = call.getLong(o.gpfns);
  const errs = call.getLong(o.errs);
  const end = Math.min(size, start + BATCH);
  const word = call.longSize;
  const count = end - start;
  const atGpfns = BATCH * 8;
  const atErrs = 2 * BATCH * 8;
  if (
    !call.fetch(idxs + BigInt(start * word), count * word) ||
    !call.fetch(gpfns + BigInt(start * word), count * word, atGpfns)
  ) {
    return -Errno.EFAULT;
  }
  for (let n = 0; n < count; n++) {
    const error = addOne(call, space, Number(call.getLong(n * word)), Number(call.getLong(atGpfns + n * word)));
    call.setU32(atErrs + 4 * n, error);
  }
  settle(call);
  if (!call.put(errs + BigInt(4 * start), 4 * count, atErrs)) return -Errno.EFAULT;
  return end === size ? 0 : continueAt(call, Xen.XENMEM_add_to_physmap_batch, end);
}

function addOne(call: Caller, space: number, idx: number, gpfn: number): number {
  const { mem, domain } = call;
  if (space === Xen.XENMAPSPACE_grant_table && idx >= grantFrames(mem, domain)) growGrantTable(mem, domain, idx + 1);
  return p2mLocked(mem, domain, () => {
    const mfn = sourceFrame(call, space, idx);
    if (mfn < 0) return mfn;
    if (gpfn >= P2M_FRAMES) return -Errno.EINVAL;
    const old = gfnOfFrame(mem, mfn);
    if (old === gpfn) return 0;
    if (space === Xen.XENMAPSPACE_gmfn && old !== idx) return -Errno.EXDEV;
    if (!vacate(mem, domain, gpfn, call.removed)) return -Errno.EPERM;
    if (old !== NO_GFN && isAt(mem, domain, old, mfn)) p2mSet(mem, domain, old, 0, P2m.none);
    return p2mSet(mem, domain, gpfn, mfn, P2m.ram_rw);
  });
}

/** A closed A20 gate shows something else where the page was. */
function isAt(mem: MachineMemory, domain: number, gfn: number, mfn: number): boolean {
  const entry = p2mEntry(mem, domain, gfn);
  return p2mType(entry) === P2m.ram_rw && p2mMfn(entry) === mfn;
}

/** The page meant by `space` and `idx`, or a negative error number. */
function sourceFrame(call: Caller, space: number, idx: number): number {
  const { mem, domain } = call;
  switch (space) {
    case Xen.XENMAPSPACE_shared_info:
      return idx === 0 ? mem.get32(domain + DomainOff.sharedInfo) : -Errno.EINVAL;
    case Xen.XENMAPSPACE_grant_table:
      return idx < grantFrames(mem, domain) ? grantFrameMfn(mem, domain, idx) : -Errno.EINVAL;
    case Xen.XENMAPSPACE_gmfn: {
      const entry = p2mEntry(mem, domain, idx);
      const isRam = p2mType(entry) === P2m.ram_rw;
      return isRam && isOwn(mem, domain, p2mMfn(entry)) ? p2mMfn(entry) : -Errno.EINVAL;
    }
    case Xen.XENMAPSPACE_dev_mmio:
      return -Errno.EOPNOTSUPP;
    default:
      return -Errno.EINVAL;
  }
}
