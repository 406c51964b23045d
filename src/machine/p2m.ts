/** A domain's p2m: guest frame numbers to machine frames, three levels of 1024 u32 entries (abi/layout.ts, P2m). Changes
 *  are single atomic stores, so processors may walk it meanwhile; what they have cached goes with p2mChanged().
 *  Tables belong to DOMID_XEN; FrameOff.link says for which domain. */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, FrameOff, FrameType, MachineOff, P2m, Region, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { allocFrame, frameEntry, freeFrame, NO_GFN, noteAccess } from "./frames";
import { kick } from "./kick";
import { type MachineMemory, PAGE_SHIFT } from "./memory";

/** Guest frames a p2m can hold. */
export const P2M_FRAMES = 2 ** 30;
/** Entries of a table. */
const P2M_TABLE = 1024;
/** Pages that a domain's p2m may take, as libxl has it (libxl_get_required_shadow_memory): so many for each vCPU, and two for each MiB. A guest may
 *  put a page anywhere, and no table goes before the domain does. */
const TABLES_PER_VCPU = 256;
const PAGES_PER_TABLE = 128;

export interface P2mEntry {
  readonly gfn: number;
  readonly mfn: number;
  readonly type: P2m;
}

/** Gives the domain an empty p2m: 0 or a negative error number. */
export function p2mCreate(mem: MachineMemory, domain: number): number {
  const root = newTable(mem, domain);
  if (!root) return -Errno.ENOMEM;
  mem.store(domain + DomainOff.p2mRoot, root);
  changed(mem, domain);
  return 0;
}

/** What was found out of all of the domain's p2m no longer holds: to be called behind a change. */
function changed(mem: MachineMemory, domain: number): void {
  mem.store(domain + DomainOff.p2mVersion, mem.add(Region.MACHINE + MachineOff.p2mChanges, 1) + 1);
}

/** Entry of `gfn`: P2m.none (0), or mfn and type. All of the hypervisor finds guest memory by this. */
export function p2mGet(mem: MachineMemory, domain: number, gfn: number): number {
  const slot = leafSlot(mem, domain, gfn);
  const entry = slot ? mem.load(slot) >>> 0 : 0;
  if (entry) noteAccess(mem, p2mMfn(entry));
  return entry;
}

export function p2mMfn(entry: number): number {
  return entry & P2m.MFN_MASK;
}

export function p2mType(entry: number): P2m {
  return entry >>> P2m.TYPE_SHIFT;
}

/** Maps `gfn` to `mfn`, or unmaps it with type `none`: 0 or a negative error number. References are the caller's matter;
 *  so is p2mChanged() for a domain that has run. */
export function p2mSet(mem: MachineMemory, domain: number, gfn: number, mfn: number, type: P2m): number {
  if (!Number.isInteger(gfn) || gfn < 0 || gfn >= P2M_FRAMES) return -Errno.EINVAL;
  let slot = leafSlot(mem, domain, gfn);
  if (!slot) {
    if (type === P2m.none) return 0;
    slot = newLeafSlot(mem, domain, gfn);
    if (slot < 0) return slot;
  }
  const entry = type === P2m.none ? 0 : mfn | (type << P2m.TYPE_SHIFT);
  const before = mem.exchange(slot, entry);
  changed(mem, domain);
  if (isOwn(p2mType(before))) {
    const old = frameEntry(p2mMfn(before));
    if (mem.get32(old + FrameOff.gfn) === gfn) mem.set32(old + FrameOff.gfn, NO_GFN);
  }
  if (isOwn(type)) mem.set32(frameEntry(mfn) + FrameOff.gfn, gfn);
  if (type !== P2m.none && gfn > mem.get32(domain + DomainOff.maxGfn)) mem.set32(domain + DomainOff.maxGfn, gfn);
  return 0;
}

/** Maps the empty ones of `count` gfns from `gfn` on to frames that `take` brings: 0 or a negative error number. A table's worth at a time,
 *  since domains are built of tens of thousands. */
export function p2mFill(mem: MachineMemory, domain: number, gfn: number, count: number, type: P2m, take: (count: number) => readonly number[]): number {
  const end = gfn + count;
  if (!Number.isInteger(gfn) || gfn < 0 || end > P2M_FRAMES) return -Errno.EINVAL;
  const nextTable = (at: number) => Math.min(end, at - (at % P2M_TABLE) + P2M_TABLE);
  // the tables first, so that frames which follow one another in the guest's memory do so in the machine's
  for (let at = gfn; at < end; at = nextTable(at)) {
    const slot = leafSlot(mem, domain, at) || newLeafSlot(mem, domain, at);
    if (slot < 0) return slot;
  }
  for (let at = gfn; at < end; at = nextTable(at)) {
    const error = fillSlots(mem, leafSlot(mem, domain, at), at, nextTable(at) - at, type, take);
    changed(mem, domain);
    if (error !== 0) return error;
  }
  if (count > 0 && end - 1 > mem.get32(domain + DomainOff.maxGfn)) mem.set32(domain + DomainOff.maxGfn, end - 1);
  return 0;
}

function fillSlots(mem: MachineMemory, slot: number, gfn: number, count: number, type: P2m, take: (count: number) => readonly number[]): number {
  const { i32 } = mem;
  const first = slot >>> 2;
  let empty = 0;
  for (let n = first; n < first + count; n++) if (i32[n] === 0) empty++;
  const mfns = take(empty);
  if (mfns.length < empty) return -Errno.ENOMEM;
  const own = isOwn(type);
  for (let n = 0, taken = 0; n < count; n++) {
    if (i32[first + n] !== 0) continue;
    const mfn = mfns[taken++];
    if (own) i32[(Region.FRAME_TABLE + mfn * FrameOff.SIZE + FrameOff.gfn) >>> 2] = gfn + n;
    Atomics.store(i32, first + n, mfn | (type << P2m.TYPE_SHIFT));
  }
  return 0;
}

/** Shows `entry` at `gfn` for a while and gives what was there: for ranges that alias others, as behind a closed A20 gate.
 *  The frame table keeps the gfns of before. Where there is no table nothing changes. */
export function p2mShow(mem: MachineMemory, domain: number, gfn: number, entry: number): number {
  const slot = leafSlot(mem, domain, gfn);
  if (!slot) return 0;
  const before = mem.exchange(slot, entry) >>> 0;
  changed(mem, domain);
  return before;
}

/** The domain's own memory, for which the frame table keeps the way back. */
function isOwn(type: P2m): boolean {
  return type === P2m.ram_rw || type === P2m.ram_ro;
}

/** All mappings in order of gfn. The p2m may change between steps. */
export function* p2mEntries(mem: MachineMemory, domain: number): Generator<P2mEntry> {
  const root = mem.get32(domain + DomainOff.p2mRoot);
  if (!root) return;
  for (let high = 0; high < 1024; high++) {
    const middle = mem.load(slotAt(root, high));
    if (!middle) continue;
    for (let mid = 0; mid < 1024; mid++) {
      const leaf = mem.load(slotAt(middle, mid));
      if (!leaf) continue;
      for (let low = 0; low < 1024; low++) {
        const entry = mem.load(slotAt(leaf, low));
        if (entry) yield { gfn: ((high << 20) | (mid << 10) | low) >>> 0, mfn: p2mMfn(entry), type: p2mType(entry) };
      }
    }
  }
}

/** Frees the tables. What they mapped must have been released by the caller; no processor may use them any more. */
export function p2mFreeAll(mem: MachineMemory, domain: number): void {
  const root = mem.exchange(domain + DomainOff.p2mRoot, 0);
  mem.store(domain + DomainOff.p2mTables, 0);
  if (!root) return;
  for (const middle of tablesIn(mem, root)) {
    for (const leaf of tablesIn(mem, middle)) freeFrame(mem, leaf);
    freeFrame(mem, middle);
  }
  freeFrame(mem, root);
}

export { p2mFreeAll as p2mDestroy };

/** After changes to a domain that has run: its vCPUs forget cached translations before they execute anything further.
 *  Not a barrier: one that is running now does so at its next look at its requests. */
export function p2mChanged(mem: MachineMemory, domain: number): void {
  const count = mem.get32(domain + DomainOff.vcpus);
  const first = mem.get32(domain + DomainOff.firstVcpu);
  for (let n = 0; n < count; n++) kick(mem, first + n * VcpuOff.SIZE, VcpuRequest.flush);
}

function slotAt(table: number, index: number): number {
  return (table << PAGE_SHIFT >>> 0) + 4 * index;
}

/** Address of the leaf entry, 0 if its table does not exist. */
function leafSlot(mem: MachineMemory, domain: number, gfn: number): number {
  if (!(gfn >= 0 && gfn < P2M_FRAMES)) return 0;
  const root = mem.get32(domain + DomainOff.p2mRoot);
  if (!root) return 0;
  const middle = mem.load(slotAt(root, gfn >>> 20));
  if (!middle) return 0;
  const leaf = mem.load(slotAt(middle, (gfn >>> 10) & 1023));
  return leaf ? slotAt(leaf, gfn & 1023) : 0;
}

/** Address of the leaf entry of a gfn whose table may not exist yet, or a negative error number. */
function newLeafSlot(mem: MachineMemory, domain: number, gfn: number): number {
  const root = mem.get32(domain + DomainOff.p2mRoot);
  if (!root) return -Errno.EINVAL;
  const middle = inner(mem, domain, slotAt(root, gfn >>> 20));
  const leaf = middle && inner(mem, domain, slotAt(middle, (gfn >>> 10) & 1023));
  return leaf ? slotAt(leaf, gfn & 1023) : -Errno.ENOMEM;
}

/** The table `slot` refers to, made if there is none; 0: out of memory. */
function inner(mem: MachineMemory, domain: number, slot: number): number {
  const there = mem.load(slot);
  if (there) return there;
  const table = newTable(mem, domain);
  if (!table) return 0;
  const winner = mem.compareExchange(slot, 0, table);
  if (!winner) return table;
  freeFrame(mem, table);
  mem.add(domain + DomainOff.p2mTables, -1);
  return winner;
}

function newTable(mem: MachineMemory, domain: number): number {
  const most = TABLES_PER_VCPU * Math.max(mem.get32(domain + DomainOff.vcpus), 1) + Math.ceil(mem.get32(domain + DomainOff.maxPages) / PAGES_PER_TABLE);
  const before = mem.add(domain + DomainOff.p2mTables, 1);
  const mfn = before < most ? allocFrame(mem, Xen.DOMID_XEN, FrameType.p2m) : 0;
  if (mfn) mem.set32(frameEntry(mfn) + FrameOff.link, mem.get32(domain + DomainOff.domid));
  else mem.add(domain + DomainOff.p2mTables, -1);
  return mfn;
}

function tablesIn(mem: MachineMemory, table: number): number[] {
  const start = (table << PAGE_SHIFT >>> 0) >>> 2;
  return Array.from(mem.u32.subarray(start, start + 1024)).filter((mfn) => mfn !== 0);
}
