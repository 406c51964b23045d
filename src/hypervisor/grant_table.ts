/** Grant tables, version 1 (public/grant_table.h). A guest shares a frame by writing an entry of its table; whoever uses
 *  the grant pins it, which is counted in an active entry of ours and shown to the guest as GTF_reading and GTF_writing.
 *  The mfn is looked up at the first pin and kept, with a reference to the frame per pin, so that neither the guest's
 *  table nor its p2m can move the frame under a user; a frame outlives its domain until the last pin goes.
 *
 *  grantLock of the granting domain covers its active entries, that of the holder its maptrack; never both at once. */
import { DomainOff, FrameType, P2m } from "../../assembly/abi/layout";
import { GrantEntryV1Off, Xen } from "../../assembly/abi/xen";
import { allocFrame, freeFrame, getPage, putPage } from "../machine/frames";
import { type MachineMemory, PAGE_SHIFT, PAGE_SIZE } from "../machine/memory";
import { p2mMfn, p2mType } from "../machine/p2m";
import { domainByDomid, isAlive } from "./domain_table";
import { frameType, isOwn, p2mEntry } from "./guest_frame";
import { ActiveOff, HvDomain, MapOff, NO_HANDLE } from "./state";

const GRANTS_PER_FRAME = PAGE_SIZE / GrantEntryV1Off.SIZE;
const ACTIVE_PER_FRAME = PAGE_SIZE / ActiveOff.SIZE;
const ACTIVE_DIR = 256; // offset in the directory frame, after 64 shared frames
const MAPS_PER_FRAME = PAGE_SIZE / MapOff.SIZE;
const MAPTRACK_FRAMES = 1024;
const MOST_PINS = 0xffff;
const RELEASING = 0x8000; // in MapOff.flags

function grantLocked<T>(mem: MachineMemory, domain: number, body: () => T): T {
  return mem.locked(domain + HvDomain.grantLock, body);
}

function dirAddr(mem: MachineMemory, field: number): number {
  return (mem.get32(field) << PAGE_SHIFT) >>> 0;
}

/* The shared table. */

export function grantFrames(mem: MachineMemory, domain: number): number {
  return mem.get32(domain + HvDomain.grantFrames);
}

/** mfn of shared frame `n`, which must exist. */
export function grantFrameMfn(mem: MachineMemory, domain: number, n: number): number {
  return mem.get32(dirAddr(mem, domain + HvDomain.grantDir) + 4 * n);
}

/** Makes the table at least `frames` long; false if that is beyond its limit or memory. */
export function growGrantTable(mem: MachineMemory, domain: number, frames: number): boolean {
  if (frames > mem.get32(domain + HvDomain.grantMax)) return false;
  return grantLocked(mem, domain, () => {
    const domid = mem.get32(domain + DomainOff.domid);
    const dir = dirAddr(mem, domain + HvDomain.grantDir);
    for (let n = grantFrames(mem, domain); n < frames; n++) {
      const shared = allocFrame(mem, domid, FrameType.xenheap);
      const active = [allocFrame(mem, domid, FrameType.hv), allocFrame(mem, domid, FrameType.hv)];
      if (!shared || !active[0] || !active[1]) {
        for (const mfn of [shared, ...active]) if (mfn) freeFrame(mem, mfn);
        return false;
      }
      mem.set32(dir + 4 * n, shared);
      mem.set32(dir + ACTIVE_DIR + 8 * n, active[0]);
      mem.set32(dir + ACTIVE_DIR + 8 * n + 4, active[1]);
      mem.set32(domain + HvDomain.grantFrames, n + 1);
    }
    return true;
  });
}

/** Address of the guest-visible entry; `gref` must be within the table. */
export function sharedEntryAddr(mem: MachineMemory, domain: number, gref: number): number {
  const mfn = grantFrameMfn(mem, domain, Math.floor(gref / GRANTS_PER_FRAME));
  return ((mfn << PAGE_SHIFT) >>> 0) + (gref % GRANTS_PER_FRAME) * GrantEntryV1Off.SIZE;
}

export function isGref(mem: MachineMemory, domain: number, gref: number): boolean {
  return gref < grantFrames(mem, domain) * GRANTS_PER_FRAME;
}

function activeAddr(mem: MachineMemory, domain: number, gref: number): number {
  const dir = dirAddr(mem, domain + HvDomain.grantDir);
  const mfn = mem.get32(dir + ACTIVE_DIR + 4 * Math.floor(gref / ACTIVE_PER_FRAME));
  return ((mfn << PAGE_SHIFT) >>> 0) + (gref % ACTIVE_PER_FRAME) * ActiveOff.SIZE;
}

/* Pins. */

/** Pins grant `gref` of domain `granterDomid` for use by `userDomid`: the mfn, or a negative GNTST_*. */
export function pinGrant(
  mem: MachineMemory,
  granterDomid: number,
  gref: number,
  userDomid: number,
  readonly: boolean,
): number {
  const granter = domainByDomid(mem, granterDomid);
  if (!granter) return Xen.GNTST_bad_domain;
  return grantLocked(mem, granter, () => {
    if (!isAlive(mem, granter, granterDomid)) return Xen.GNTST_bad_domain;
    if (!isGref(mem, granter, gref)) return Xen.GNTST_bad_gntref;
    const active = activeAddr(mem, granter, gref);
    const readers = mem.get16(active + ActiveOff.readers);
    const writers = mem.get16(active + ActiveOff.writers);
    const pinned = readers + writers > 0;
    if (pinned && mem.get16(active + ActiveOff.domid) !== userDomid) return Xen.GNTST_general_error;
    if (readers === MOST_PINS || writers === MOST_PINS) return Xen.GNTST_general_error;

    const shared = sharedEntryAddr(mem, granter, gref);
    if (!showUse(mem, shared, userDomid, readonly, pinned)) return Xen.GNTST_general_error;
    if (!pinned) {
      const gfn = mem.get32(shared + GrantEntryV1Off.frame);
      const mfn = grantableFrame(mem, granter, gfn, readonly);
      if (!mfn) {
        hideUse(mem, shared, readers, writers);
        return Xen.GNTST_bad_page;
      }
      mem.set32(active + ActiveOff.mfn, mfn);
      mem.set32(active + ActiveOff.gfn, gfn);
      mem.set16(active + ActiveOff.domid, userDomid);
    }
    const mfn = mem.get32(active + ActiveOff.mfn);
    const writable = readonly || mayWrite(mem, granter, mem.get32(active + ActiveOff.gfn), mfn);
    if (!writable || !holdFrame(mem, granter, active, pinned, readonly)) {
      hideUse(mem, shared, readers, writers);
      return Xen.GNTST_bad_page;
    }
    mem.set16(active + (readonly ? ActiveOff.readers : ActiveOff.writers), (readonly ? readers : writers) + 1);
    return mfn;
  });
}

/** Sets GTF_reading, and GTF_writing unless `readonly`, if the entry still grants what is asked for. The entry's first
 *  word (flags and domid) is the guest's to change until the exchange succeeds; we try as often as Xen does. */
function showUse(mem: MachineMemory, shared: number, userDomid: number, readonly: boolean, pinned: boolean): boolean {
  for (let tries = 0; tries < 5; tries++) {
    const word = mem.load(shared);
    if (!pinned && ((word & Xen.GTF_type_mask) !== Xen.GTF_permit_access || word >>> 16 !== userDomid)) return false;
    if (!readonly && word & Xen.GTF_readonly) return false;
    const used = word | Xen.GTF_reading | (readonly ? 0 : Xen.GTF_writing);
    if (mem.compareExchange(shared, word, used) === word) return true;
  }
  return false;
}

function hideUse(mem: MachineMemory, shared: number, readers: number, writers: number): void {
  if (writers === 0) mem.and(shared, ~Xen.GTF_writing);
  if (readers + writers === 0) mem.and(shared, ~Xen.GTF_reading);
}

function grantableFrame(mem: MachineMemory, granter: number, gfn: number, readonly: boolean): number {
  const entry = p2mEntry(mem, granter, gfn);
  const type = p2mType(entry);
  if (type !== P2m.ram_rw && !(readonly && type === P2m.ram_ro)) return 0;
  const mfn = p2mMfn(entry);
  return isOwn(mem, granter, mfn) && frameType(mem, mfn) === FrameType.ram ? mfn : 0;
}

/** One more reference to the frame of an active entry. What the first pin has found the granting domain may have given back meanwhile: once held, it
 *  has to be there still. */
function holdFrame(mem: MachineMemory, granter: number, active: number, pinned: boolean, readonly: boolean): boolean {
  const mfn = mem.get32(active + ActiveOff.mfn);
  if (!getPage(mem, mfn, mem.get32(granter + DomainOff.domid))) return false;
  if (pinned || grantableFrame(mem, granter, mem.get32(active + ActiveOff.gfn), readonly) === mfn) return true;
  putPage(mem, mfn);
  return false;
}

/** Whether a frame that is pinned already may also be pinned for writing. */
function mayWrite(mem: MachineMemory, granter: number, gfn: number, mfn: number): boolean {
  const entry = p2mEntry(mem, granter, gfn);
  return p2mMfn(entry) !== mfn || p2mType(entry) === P2m.ram_rw;
}

/** Undoes one pin. The granting domain may be gone; the frame is let go of in any case. */
export function unpinGrant(
  mem: MachineMemory,
  granterDomid: number,
  gref: number,
  mfn: number,
  readonly: boolean,
): void {
  const granter = domainByDomid(mem, granterDomid);
  if (granter) {
    grantLocked(mem, granter, () => {
      if (mem.get32(granter + DomainOff.domid) !== granterDomid || !isGref(mem, granter, gref)) return;
      const active = activeAddr(mem, granter, gref);
      const count = active + (readonly ? ActiveOff.readers : ActiveOff.writers);
      if (mem.get32(active + ActiveOff.mfn) !== mfn || mem.get16(count) === 0) return;
      mem.set16(count, mem.get16(count) - 1);
      const readers = mem.get16(active + ActiveOff.readers);
      hideUse(mem, sharedEntryAddr(mem, granter, gref), readers, mem.get16(active + ActiveOff.writers));
    });
  }
  putPage(mem, mfn);
}

/* Mappings. */

export interface GrantMapping {
  mfn: number;
  handle: number;
}

/** Pins a grant for `holder` and notes it under a handle. `gfn` is where the caller will map it, NO_GFN nowhere. */
export function mapGrant(
  mem: MachineMemory,
  holder: number,
  granterDomid: number,
  gref: number,
  readonly: boolean,
  gfn: number,
): GrantMapping | number {
  const mfn = pinGrant(mem, granterDomid, gref, mem.get32(holder + DomainOff.domid), readonly);
  if (mfn < 0) return mfn;
  const handle = grantLocked(mem, holder, () => {
    const free = takeHandle(mem, holder);
    if (free === NO_HANDLE) return NO_HANDLE;
    const at = mapAddr(mem, holder, free);
    mem.set32(at + MapOff.gref, gref);
    mem.set16(at + MapOff.domid, granterDomid);
    mem.set32(at + MapOff.gfn, gfn);
    mem.set32(at + MapOff.mfn, mfn);
    mem.set16(at + MapOff.flags, Xen.GNTMAP_host_map | (readonly ? Xen.GNTMAP_readonly : 0));
    return free;
  });
  if (handle !== NO_HANDLE) return { mfn, handle };
  unpinGrant(mem, granterDomid, gref, mfn, readonly);
  return Xen.GNTST_no_space;
}

/** Forgets the mapping `handle` of `holder` and unpins its grant: 0 or a negative GNTST_*. */
export function releaseMapping(mem: MachineMemory, holder: number, handle: number): number {
  if (!beginRelease(mem, holder, handle)) return Xen.GNTST_bad_handle;
  finishRelease(mem, holder, handle);
  return Xen.GNTST_okay;
}

/** Whoever gets true here, and nobody else, goes on to unmap the frame and finish, or calls it off. */
export function beginRelease(mem: MachineMemory, holder: number, handle: number): boolean {
  return grantLocked(mem, holder, () => {
    if (!readMapping(mem, holder, handle)) return false;
    const at = mapAddr(mem, holder, handle) + MapOff.flags;
    mem.set16(at, mem.get16(at) | RELEASING);
    return true;
  });
}

export function cancelRelease(mem: MachineMemory, holder: number, handle: number): void {
  grantLocked(mem, holder, () => {
    const at = mapAddr(mem, holder, handle) + MapOff.flags;
    mem.set16(at, mem.get16(at) & ~RELEASING);
  });
}

/** After `beginRelease`, when no processor can reach the frame through the mapping any more. */
export function finishRelease(mem: MachineMemory, holder: number, handle: number): void {
  const map = grantLocked(mem, holder, () => {
    const found = noteAt(mem, mapAddr(mem, holder, handle));
    giveHandle(mem, holder, handle);
    return found;
  });
  unpinGrant(mem, map.domid, map.gref, map.mfn, map.readonly);
}

export interface MappingNote {
  domid: number;
  gref: number;
  gfn: number;
  mfn: number;
  readonly: boolean;
}

/** What is noted under `handle`, null if it is not in use or being released. */
export function readMapping(mem: MachineMemory, holder: number, handle: number): MappingNote | null {
  const at = mapAddr(mem, holder, handle);
  const flags = at ? mem.get16(at + MapOff.flags) : 0;
  return flags === 0 || flags & RELEASING ? null : noteAt(mem, at);
}

function noteAt(mem: MachineMemory, at: number): MappingNote {
  return {
    domid: mem.get16(at + MapOff.domid),
    gref: mem.get32(at + MapOff.gref),
    gfn: mem.get32(at + MapOff.gfn),
    mfn: mem.get32(at + MapOff.mfn),
    readonly: (mem.get16(at + MapOff.flags) & Xen.GNTMAP_readonly) !== 0,
  };
}

function mapAddr(mem: MachineMemory, holder: number, handle: number): number {
  if (!(handle < mem.get32(holder + HvDomain.maptrackCount))) return 0;
  const dir = dirAddr(mem, holder + HvDomain.maptrackDir);
  const mfn = mem.get32(dir + 4 * Math.floor(handle / MAPS_PER_FRAME));
  return ((mfn << PAGE_SHIFT) >>> 0) + (handle % MAPS_PER_FRAME) * MapOff.SIZE;
}

function takeHandle(mem: MachineMemory, holder: number): number {
  if (mem.get32(holder + HvDomain.maptrackFree) === NO_HANDLE && !growMaptrack(mem, holder)) return NO_HANDLE;
  const handle = mem.get32(holder + HvDomain.maptrackFree);
  mem.set32(holder + HvDomain.maptrackFree, mem.get32(mapAddr(mem, holder, handle) + MapOff.mfn));
  return handle;
}

function giveHandle(mem: MachineMemory, holder: number, handle: number): void {
  const at = mapAddr(mem, holder, handle);
  mem.set16(at + MapOff.flags, 0);
  mem.set32(at + MapOff.mfn, mem.get32(holder + HvDomain.maptrackFree));
  mem.set32(holder + HvDomain.maptrackFree, handle);
}

function growMaptrack(mem: MachineMemory, holder: number): boolean {
  const count = mem.get32(holder + HvDomain.maptrackCount);
  if (count === MAPTRACK_FRAMES * MAPS_PER_FRAME) return false;
  const mfn = allocFrame(mem, mem.get32(holder + DomainOff.domid), FrameType.hv);
  if (!mfn) return false;
  mem.set32(dirAddr(mem, holder + HvDomain.maptrackDir) + 4 * (count / MAPS_PER_FRAME), mfn);
  mem.set32(holder + HvDomain.maptrackCount, count + MAPS_PER_FRAME);
  for (let handle = count + MAPS_PER_FRAME - 1; handle >= count; handle--) giveHandle(mem, holder, handle);
  return true;
}

/** GNTTABOP_swap_grant_ref. */
export function swapGrants(mem: MachineMemory, domain: number, a: number, b: number): number {
  return grantLocked(mem, domain, () => {
    if (!isGref(mem, domain, a) || !isGref(mem, domain, b)) return Xen.GNTST_bad_gntref;
    if (a === b) return Xen.GNTST_okay;
    for (const gref of [a, b]) {
      const active = activeAddr(mem, domain, gref);
      if (mem.get16(active + ActiveOff.readers) + mem.get16(active + ActiveOff.writers) > 0) return Xen.GNTST_eagain;
    }
    const at = sharedEntryAddr(mem, domain, a);
    const bt = sharedEntryAddr(mem, domain, b);
    const entry = mem.get64(at);
    mem.set64(at, mem.get64(bt));
    mem.set64(bt, entry);
    return Xen.GNTST_okay;
  });
}

/* Teardown. */

/** Lets go of every grant the domain has mapped; its p2m goes as a whole. None of its vCPUs is on a processor. */
export function releaseAllMappings(mem: MachineMemory, holder: number): void {
  for (let handle = 0; handle < mem.get32(holder + HvDomain.maptrackCount); handle++) {
    if (mem.get16(mapAddr(mem, holder, handle) + MapOff.flags) !== 0) finishRelease(mem, holder, handle);
  }
}

/** Frees the tables of a domain that is dying: nobody can pin its grants any more. */
export function destroyGrantTable(mem: MachineMemory, domain: number): void {
  grantLocked(mem, domain, () => {
    const dir = dirAddr(mem, domain + HvDomain.grantDir);
    const frames = grantFrames(mem, domain);
    mem.set32(domain + HvDomain.grantFrames, 0);
    for (let n = 0; n < frames; n++) {
      putPage(mem, mem.get32(dir + 4 * n));
      freeFrame(mem, mem.get32(dir + ACTIVE_DIR + 8 * n));
      freeFrame(mem, mem.get32(dir + ACTIVE_DIR + 8 * n + 4));
    }
    const maps = dirAddr(mem, domain + HvDomain.maptrackDir);
    const count = mem.get32(domain + HvDomain.maptrackCount) / MAPS_PER_FRAME;
    mem.set32(domain + HvDomain.maptrackCount, 0);
    mem.set32(domain + HvDomain.maptrackFree, NO_HANDLE);
    for (let n = 0; n < count; n++) freeFrame(mem, mem.get32(maps + 4 * n));
  });
}
