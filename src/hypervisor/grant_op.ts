/** HYPERVISOR_grant_table_op (public/grant_table.h): argument batches of translated guests. Each element has its own
 *  GNTST_* status; the call fails as a whole only where the arrays cannot be reached. */
import { Errno } from "../../assembly/abi/errno";
import { P2m } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { hostWrote } from "../machine/code_pages";
import { getPage, NO_GFN, putPage } from "../machine/frames";
import { PAGE_SHIFT, PAGE_SIZE } from "../machine/memory";
import { P2M_FRAMES, p2mMfn, p2mSet, p2mType } from "../machine/p2m";
import { type CStruct, cStruct, type Layout } from "./c_struct";
import { type Caller, CONTINUE, type Result, SCRATCH_SIZE } from "./caller";
import { domainByAnyId, domainByDomid } from "./domain_table";
import {
  beginRelease,
  cancelRelease,
  grantFrameMfn,
  grantFrames,
  growGrantTable,
  mapGrant,
  pinGrant,
  readMapping,
  releaseMapping,
  swapGrants,
  unpinGrant,
} from "./grant_table";
import { gfnOfFrame, isOwn, p2mEntry, p2mLocked, vacate } from "./guest_frame";
import { settle } from "./settle";
import { HvDomain } from "./state";

export const MAP_GRANT_REF = cStruct({
  host_addr: "u64",
  flags: "u32",
  ref: "u32",
  dom: "u16",
  status: "i16",
  handle: "u32",
  dev_bus_addr: "u64",
});
export const UNMAP_GRANT_REF = cStruct({ host_addr: "u64", dev_bus_addr: "u64", handle: "u32", status: "i16" });
export const SETUP_TABLE = cStruct({ dom: "u16", nr_frames: "u32", status: "i16", frame_list: "long" });
export const QUERY_SIZE = cStruct({ dom: "u16", nr_frames: "u32", max_nr_frames: "u32", status: "i16" });
export const COPY = cStruct({
  source_u: "long",
  source_domid: "u16",
  source_offset: "u16",
  dest_u: "long",
  dest_domid: "u16",
  dest_offset: "u16",
  dest_end: "end",
  len: "u16",
  flags: "u16",
  status: "i16",
});
export const SET_VERSION = cStruct({ version: "u32" });
export const GET_VERSION = cStruct({ dom: "u16", pad: "u16", version: "u32" });
export const SWAP_GRANT_REF = cStruct({ ref_a: "u32", ref_b: "u32", status: "i16" });

const BATCH = 64;

/** (cmd, args, count) */
export function grantTableOp(call: Caller): Result {
  const count = call.u32(2) | 0;
  if (count < 0) return -Errno.EINVAL;
  switch (call.u32(0)) {
    case Xen.GNTTABOP_map_grant_ref:
      return batch(call, MAP_GRANT_REF, mapOne);
    case Xen.GNTTABOP_unmap_grant_ref:
      return batch(call, UNMAP_GRANT_REF, unmapOne);
    case Xen.GNTTABOP_copy:
      return batch(call, COPY, copyOne);
    case Xen.GNTTABOP_swap_grant_ref:
      return batch(call, SWAP_GRANT_REF, swapOne);
    case Xen.GNTTABOP_setup_table:
      return count === 1 ? setupTable(call) : -Errno.EINVAL;
    case Xen.GNTTABOP_query_size:
      return count === 1 ? querySize(call) : -Errno.EINVAL;
    case Xen.GNTTABOP_set_version:
      return setVersion(call);
    case Xen.GNTTABOP_get_version:
      return getVersion(call);
    default:
      // dump_table, transfer, unmap_and_replace, get_status_frames, cache_flush: not for translated guests
      return -Errno.ENOSYS;
  }
}

/** Performs up to BATCH elements and continues with the rest. `one` works on the element at its scratch offset. */
function batch<F>(call: Caller, struct: CStruct<F>, one: (call: Caller, at: number, o: Layout<F>) => boolean): Result {
  const o = call.layout(struct);
  const count = call.u32(2);
  const n = Math.min(count, BATCH, Math.floor(SCRATCH_SIZE / o.sizeof));
  if (n === 0) return 0;
  if (!call.fetch(call.args[1], n * o.sizeof)) return -Errno.EFAULT;
  let changed = false;
  for (let k = 0; k < n; k++) changed = one(call, k * o.sizeof, o) || changed;
  if (changed || call.removed.length > 0) settle(call);
  if (!call.put(call.args[1], n * o.sizeof)) return -Errno.EFAULT;
  if (n === count) return 0;
  call.args[1] += BigInt(n * o.sizeof);
  call.args[2] = BigInt(count - n);
  return CONTINUE;
}

type Of<S> = S extends CStruct<infer F> ? Layout<F> : never;

/** Each of these stores the status; true if the p2m has changed. */
function mapOne(call: Caller, at: number, o: Of<typeof MAP_GRANT_REF>): boolean {
  const status = mapInto(call, at, o);
  call.setU16(at + o.status, status);
  return status === Xen.GNTST_okay;
}

function mapInto(call: Caller, at: number, o: Of<typeof MAP_GRANT_REF>): number {
  const { mem, domain } = call;
  const flags = call.getU32(at + o.flags);
  if ((flags & (Xen.GNTMAP_host_map | Xen.GNTMAP_device_map)) === 0) return Xen.GNTST_bad_gntref;
  if (flags & ~(Xen.GNTMAP_host_map | Xen.GNTMAP_readonly)) return Xen.GNTST_general_error;
  const granter = domainByDomid(mem, call.getU16(at + o.dom));
  if (!granter) return Xen.GNTST_bad_domain;
  const hostAddr = call.getU64(at + o.host_addr);
  const gfn = Number(hostAddr >> BigInt(PAGE_SHIFT));
  if (gfn >= P2M_FRAMES) return Xen.GNTST_general_error;
  const readonly = (flags & Xen.GNTMAP_readonly) !== 0;
  const map = mapGrant(mem, domain, call.getU16(at + o.dom), call.getU32(at + o.ref), readonly, gfn);
  if (typeof map === "number") return map;
  const type = readonly ? P2m.grant_ro : P2m.grant_rw;
  const placed = p2mLocked(mem, domain, () => vacate(mem, domain, gfn, call.removed) && p2mSet(mem, domain, gfn, map.mfn, type) === 0);
  if (!placed) {
    releaseMapping(mem, domain, map.handle);
    return Xen.GNTST_general_error;
  }
  call.setU32(at + o.handle, map.handle);
  call.setU64(at + o.dev_bus_addr, BigInt(map.mfn) << BigInt(PAGE_SHIFT));
  return Xen.GNTST_okay;
}

function unmapOne(call: Caller, at: number, o: Of<typeof UNMAP_GRANT_REF>): boolean {
  const status = unmap(call, call.getU32(at + o.handle), call.getU64(at + o.host_addr));
  call.setU16(at + o.status, status);
  return status === Xen.GNTST_okay;
}

function unmap(call: Caller, handle: number, hostAddr: bigint): number {
  const { mem, domain } = call;
  const map = readMapping(mem, domain, handle);
  if (!map) return Xen.GNTST_bad_handle;
  if (hostAddr === 0n) return Xen.GNTST_okay; // nothing to unmap is named
  const gfn = Number(hostAddr >> BigInt(PAGE_SHIFT));
  if (gfn !== map.gfn) return Xen.GNTST_general_error;
  if (!beginRelease(mem, domain, handle)) return Xen.GNTST_bad_handle;
  const mapped = map.mfn | ((map.readonly ? P2m.grant_ro : P2m.grant_rw) << P2m.TYPE_SHIFT);
  const done = p2mLocked(mem, domain, () => {
    return p2mEntry(mem, domain, gfn) === mapped && p2mSet(mem, domain, gfn, 0, P2m.none) === 0;
  });
  if (done) call.unmapped.push(handle);
  else cancelRelease(mem, domain, handle);
  return done ? Xen.GNTST_okay : Xen.GNTST_general_error;
}

function swapOne(call: Caller, at: number, o: Of<typeof SWAP_GRANT_REF>): boolean {
  call.setU16(at + o.status, swapGrants(call.mem, call.domain, call.getU32(at + o.ref_a), call.getU32(at + o.ref_b)));
  return false;
}

/** One side of a GNTTABOP_copy: the mfn, pinned or referenced, and how to let go of it. */
interface CopySide {
  mfn: number;
  release(): void;
}

function copyOne(call: Caller, at: number, o: Of<typeof COPY>): boolean {
  call.setU16(at + o.status, copyPages(call, at, o));
  return false;
}

function copyPages(call: Caller, at: number, o: Of<typeof COPY>): number {
  const flags = call.getU16(at + o.flags);
  const length = call.getU16(at + o.len);
  const from = call.getU16(at + o.source_offset);
  const to = call.getU16(at + o.dest_offset);
  const sourceByRef = (flags & Xen.GNTCOPY_source_gref) !== 0;
  const destByRef = (flags & Xen.GNTCOPY_dest_gref) !== 0;
  const sourceDomid = call.getU16(at + o.source_domid);
  const destDomid = call.getU16(at + o.dest_domid);
  if ((!sourceByRef && sourceDomid !== Xen.DOMID_SELF) || (!destByRef && destDomid !== Xen.DOMID_SELF)) {
    return Xen.GNTST_permission_denied;
  }
  if (from + length > PAGE_SIZE || to + length > PAGE_SIZE) return Xen.GNTST_bad_copy_arg;
  const source = copySide(call, sourceByRef, sourceDomid, at + o.source_u, true);
  if (typeof source === "number") return source;
  const dest = copySide(call, destByRef, destDomid, at + o.dest_u, false);
  if (typeof dest === "number") {
    source.release();
    return dest;
  }
  const { mem } = call;
  const target = dest.mfn * PAGE_SIZE + to;
  mem.u8.copyWithin(target, source.mfn * PAGE_SIZE + from, source.mfn * PAGE_SIZE + from + length);
  hostWrote(mem, target, length);
  dest.release();
  source.release();
  return Xen.GNTST_okay;
}

function copySide(call: Caller, byRef: boolean, domid: number, u: number, readonly: boolean): CopySide | number {
  const { mem, domain } = call;
  if (byRef) {
    const gref = call.getU32(u);
    const granter = domid === Xen.DOMID_SELF ? call.domid : domid;
    const mfn = pinGrant(mem, granter, gref, call.domid, readonly);
    return mfn < 0 ? mfn : { mfn, release: () => unpinGrant(mem, granter, gref, mfn, readonly) };
  }
  const entry = p2mEntry(mem, domain, Number(call.getLong(u)));
  const type = p2mType(entry);
  const mfn = p2mMfn(entry);
  if (type !== P2m.ram_rw && !(readonly && type === P2m.ram_ro)) return Xen.GNTST_bad_page;
  if (!isOwn(mem, domain, mfn) || !getPage(mem, mfn, call.domid)) return Xen.GNTST_bad_page;
  return { mfn, release: () => void putPage(mem, mfn) };
}

function setupTable(call: Caller): Result {
  const { mem } = call;
  const o = call.layout(SETUP_TABLE);
  const ptr = call.args[1];
  if (!call.fetch(ptr, o.sizeof)) return -Errno.EFAULT;
  const frames = call.getU32(o.nr_frames);
  const list = call.getLong(o.frame_list);
  const domain = domainByAnyId(mem, call.domain, call.getU16(o.dom));
  let status: number = Xen.GNTST_okay;
  if (!domain) status = Xen.GNTST_bad_domain;
  else if (domain !== call.domain) status = Xen.GNTST_permission_denied;
  else if (!growGrantTable(mem, domain, frames)) status = Xen.GNTST_general_error;
  else {
    for (let n = 0; n < frames; n++) {
      const gfn = gfnOfFrame(mem, grantFrameMfn(mem, domain, n));
      const value = gfn === NO_GFN ? BigInt.asUintN(64, -1n) : BigInt(gfn);
      call.setLong(o.sizeof + n * call.longSize, value);
    }
    if (!call.put(list, frames * call.longSize, o.sizeof)) status = Xen.GNTST_bad_virt_addr;
  }
  return call.putField(ptr + BigInt(o.status), 2, status) ? 0 : -Errno.EFAULT;
}

function querySize(call: Caller): Result {
  const { mem } = call;
  const o = call.layout(QUERY_SIZE);
  const ptr = call.args[1];
  if (!call.fetch(ptr, o.sizeof)) return -Errno.EFAULT;
  const domain = domainByAnyId(mem, call.domain, call.getU16(o.dom));
  if (!domain) call.setU16(o.status, Xen.GNTST_bad_domain);
  else if (domain !== call.domain) call.setU16(o.status, Xen.GNTST_permission_denied);
  else {
    call.setU32(o.nr_frames, grantFrames(mem, domain));
    call.setU32(o.max_nr_frames, mem.get32(domain + HvDomain.grantMax));
    call.setU16(o.status, Xen.GNTST_okay);
  }
  return call.put(ptr, o.sizeof) ? 0 : -Errno.EFAULT;
}

/** Version 1 only, as Xen with gnttab=max-ver:1. The version in force is reported either way. */
function setVersion(call: Caller): Result {
  if (!call.fetch(call.args[1], SET_VERSION.lp64.sizeof)) return -Errno.EFAULT;
  const version = call.getU32(0);
  const result = version === 1 ? 0 : version === 2 ? -Errno.ENOSYS : -Errno.EINVAL;
  return call.putField(call.args[1], 4, 1) ? result : -Errno.EFAULT;
}

function getVersion(call: Caller): Result {
  const o = call.layout(GET_VERSION);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const domain = domainByAnyId(call.mem, call.domain, call.getU16(o.dom));
  if (!domain) return -Errno.ESRCH;
  if (domain !== call.domain) return -Errno.EPERM;
  return call.putField(call.args[1] + BigInt(o.version), 4, 1) ? 0 : -Errno.EFAULT;
}
