/** The frame table: who owns each 4 KiB of the machine, what for, and how many hold on to it.
 *
 *  Free frames are on a stack under MachineOff.freeLock, handed out lowest first on a fresh machine. A frame returns there
 *  when its count reaches zero. It is zeroed when a domain gets it, so nobody sees what another domain left.
 *  Everything here may be called from any thread. */
import { DomainOff, FrameFlag, FrameOff, FrameType, MachineOff, PcpuOff, Region } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { dropCode } from "./code_pages";
import { pcpuBase } from "./kick";
import { type MachineMemory, PAGE_SHIFT, PAGE_SIZE } from "./memory";

export const MACHINE_MAGIC = 0x4c4e4558; // "XENL"
export const MACHINE_VERSION = 1;
/** FrameOff.gfn of a frame that is in no p2m. */
export const NO_GFN = 0xffffffff;

const LOCK = Region.MACHINE + MachineOff.freeLock;
const FREE_COUNT = Region.MACHINE + MachineOff.freeCount;

export interface MachineOptions {
  readonly pcpus: number;
  readonly tscKhz: number;
}

/** Address of a frame's entry. */
export function frameEntry(mfn: number): number {
  return Region.FRAME_TABLE + mfn * FrameOff.SIZE;
}

/** The first word of an entry: FrameOff.owner, type, flags. */
function headOf(owner: number, type: FrameType, flags: number): number {
  return owner | (type << (8 * FrameOff.type)) | (flags << (8 * FrameOff.flags));
}

/** Brings fresh (all zero) memory into the state the rest expects: header, frame table, free stack, record caches. */
export function initMachine(mem: MachineMemory, options: MachineOptions): void {
  const { pcpus, tscKhz } = options;
  if (!(pcpus >= 1 && pcpus <= Region.MAX_PCPUS)) throw new RangeError(`a machine has 1 to ${Region.MAX_PCPUS} pCPUs, not ${pcpus}`);
  const codeStart = Region.PCPUS + pcpus * Region.PCPU_STRIDE;
  const ramStart = codeStart + pcpus * Region.CODE_SIZE;
  const frames = Math.floor(mem.buffer.byteLength / PAGE_SIZE);
  const firstRam = ramStart >>> PAGE_SHIFT;
  if (firstRam >= frames) throw new RangeError(`${pcpus} pCPUs need more than ${ramStart >>> 20} MiB of machine memory`);

  const header = Region.MACHINE;
  mem.set32(header + MachineOff.magic, MACHINE_MAGIC);
  mem.set32(header + MachineOff.version, MACHINE_VERSION);
  mem.set32(header + MachineOff.frames, frames);
  mem.set32(header + MachineOff.firstRam, firstRam);
  mem.set32(header + MachineOff.pcpus, pcpus);
  mem.set32(header + MachineOff.nextDomid, 1);
  mem.set32(header + MachineOff.tscKhz, tscKhz);

  const { u32 } = mem;
  for (let mfn = 0; mfn < frames; mfn++) {
    const entry = frameEntry(mfn) >>> 2;
    const own = mfn < firstRam;
    u32[entry] = own ? headOf(Xen.DOMID_XEN, FrameType.hv, 0) : headOf(Xen.DOMID_INVALID, FrameType.none, 0);
    u32[entry + (FrameOff.count >>> 2)] = own ? 1 : 0;
    u32[entry + (FrameOff.gfn >>> 2)] = NO_GFN;
  }
  const stack = Region.FREE_STACK >>> 2;
  const free = frames - firstRam;
  for (let n = 0; n < free; n++) u32[stack + n] = frames - 1 - n;
  mem.store(FREE_COUNT, free);

  for (let n = 0; n < pcpus; n++) {
    const base = pcpuBase(n);
    const code = codeStart + n * Region.CODE_SIZE;
    mem.set32(base + PcpuOff.index, n);
    mem.set32(base + PcpuOff.codeBase, code);
    mem.set32(base + PcpuOff.codeNext, code);
    mem.set32(base + PcpuOff.codeEnd, code + Region.CODE_SIZE);
  }
}

/** Number of frames nobody owns. */
export function freeFrameCount(mem: MachineMemory): number {
  return mem.load(FREE_COUNT);
}

/** A zeroed frame for `domid` with one reference: its mfn, or 0 if there is none left. */
export function allocFrame(mem: MachineMemory, domid: number, type: FrameType): number {
  const mfn = mem.locked(LOCK, () => {
    const count = mem.get32(FREE_COUNT);
    if (count === 0) return 0;
    mem.store(FREE_COUNT, count - 1);
    return mem.get32(Region.FREE_STACK + 4 * (count - 1));
  });
  if (mfn) prepare(mem, mfn, domid, type);
  return mfn;
}

/** `count` zeroed frames, or none at all. `pristine`: whoever writes to them finds them through the p2m. */
export function allocFrames(mem: MachineMemory, domid: number, type: FrameType, count: number, pristine = false): number[] {
  const mfns: number[] = mem.locked(LOCK, () => {
    const free = mem.get32(FREE_COUNT);
    if (free < count) return [];
    mem.store(FREE_COUNT, free - count);
    const stack = (Region.FREE_STACK >>> 2) + free - count;
    return Array.from(mem.u32.subarray(stack, stack + count)).reverse();
  });
  for (const mfn of mfns) prepare(mem, mfn, domid, type, pristine ? FrameFlag.pristine : 0);
  return mfns;
}

/** `count` zeroed frames that follow one another, for the hypervisor: the first one's mfn, or 0 if there is no such run. */
export function allocRun(mem: MachineMemory, count: number): number {
  const first = mem.locked(LOCK, () => {
    const free = mem.get32(FREE_COUNT);
    if (free < count) return 0;
    const stack = mem.u32.subarray(Region.FREE_STACK >>> 2, (Region.FREE_STACK >>> 2) + free);
    const isFree = new Uint8Array(mem.frames);
    for (let n = 0; n < free; n++) isFree[stack[n]] = 1;
    let end = mem.get32(Region.MACHINE + MachineOff.firstRam);
    for (let length = 0; length < count; end++) {
      if (end === isFree.length) return 0;
      length = isFree[end] ? length + 1 : 0;
    }
    let kept = 0;
    for (let n = 0; n < free; n++) {
      const mfn = stack[n];
      if (mfn < end - count || mfn >= end) stack[kept++] = mfn;
    }
    mem.store(FREE_COUNT, kept);
    return end - count;
  });
  if (first) for (let n = 0; n < count; n++) prepare(mem, first + n, Xen.DOMID_XEN, FrameType.hv);
  return first;
}

/** Makes a frame of the hypervisor's, to which nobody else refers and in which every byte is for `domid` to see, its own. `pristine`: it has been
 *  zeroed and not written to. */
export function giveFrame(mem: MachineMemory, mfn: number, domid: number, type: FrameType, pristine = false): void {
  const entry = frameEntry(mfn);
  mem.set16(entry + FrameOff.owner, domid);
  mem.set8(entry + FrameOff.type, type);
  if (pristine) mem.set8(entry + FrameOff.flags, mem.u8[entry + FrameOff.flags] | FrameFlag.pristine);
}

/** Nobody has written to this frame of the hypervisor's, which was zeroed. */
export function markUnused(mem: MachineMemory, mfn: number): void {
  const flags = frameEntry(mfn) + FrameOff.flags;
  mem.set8(flags, mem.u8[flags] & ~FrameFlag.used);
}

/** The frame is off the free stack and nobody else's: no lock is needed. The count is stored last, because getPage()
 *  looks at it first. Records decoded from what was here before must go: the code mask is their owner's to clear. */
function prepare(mem: MachineMemory, mfn: number, domid: number, type: FrameType, flags = 0): void {
  const entry = frameEntry(mfn);
  const at = mfn * PAGE_SIZE;
  if (mem.u8[entry + FrameOff.flags] & FrameFlag.used) mem.u8.fill(0, at, at + PAGE_SIZE);
  const words = mem.i32;
  const first = entry >>> 2;
  if (words[first + (FrameOff.code >>> 2)] !== 0) dropCode(mem, mfn);
  words[first] = headOf(domid, type, FrameFlag.used | flags);
  words[first + (FrameOff.typeCount >>> 2)] = 0;
  words[first + (FrameOff.gfn >>> 2)] = NO_GFN;
  words[first + (FrameOff.link >>> 2)] = 0;
  words[first + (FrameOff.writable >>> 2)] = 0; // no TLB has it
  Atomics.store(words, first + (FrameOff.count >>> 2), 1);
}

/** Somebody is told where the frame is, and may write to it. */
export function noteAccess(mem: MachineMemory, mfn: number): void {
  const flags = frameEntry(mfn) + FrameOff.flags;
  if (mem.u8[flags] & FrameFlag.pristine) Atomics.and(mem.u8, flags, ~FrameFlag.pristine & 0xff);
}

/** Gives back a frame that only its allocation refers to. See putPage() for one that others may hold. */
export function freeFrame(mem: MachineMemory, mfn: number): void {
  if (!putPage(mem, mfn)) throw new Error(`frame ${mfn.toString(16)} is freed while ${mem.load(frameEntry(mfn) + FrameOff.count)} refer to it`);
}

/** One more reference to `mfn`, if it is memory that `domid` owns. Whoever found it there before has no hold on it yet: it may have become a table
 *  that the hypervisor keeps for the same domain. */
export function getPage(mem: MachineMemory, mfn: number, domid: number): boolean {
  if (!isGuestFrame(mem, mfn)) return false;
  const entry = frameEntry(mfn);
  for (;;) {
    const count = mem.load(entry + FrameOff.count);
    if (count <= 0 || count === 0x7fffffff) return false;
    if (mem.compareExchange(entry + FrameOff.count, count, count + 1) !== count) continue;
    const type: FrameType = mem.get8(entry + FrameOff.type);
    if (mem.get16(entry + FrameOff.owner) === domid && (type === FrameType.ram || type === FrameType.xenheap)) return true;
    putPage(mem, mfn); // it was something else, or became so between the two looks
    return false;
  }
}

/** One reference less; true if that was the last and the frame is free now. */
export function putPage(mem: MachineMemory, mfn: number): boolean {
  if (!letGo(mem, mfn)) return false;
  mem.locked(LOCK, () => {
    const count = mem.get32(FREE_COUNT);
    mem.set32(Region.FREE_STACK + 4 * count, mfn);
    mem.store(FREE_COUNT, count + 1);
  });
  return true;
}

/** Gives back frames that only their allocations refer to. The last one will be used first. */
export function freeFrames(mem: MachineMemory, mfns: readonly number[]): void {
  for (const mfn of mfns) if (!letGo(mem, mfn)) throw new Error(`frame ${mfn.toString(16)} is freed while others refer to it`);
  mem.locked(LOCK, () => {
    const count = mem.get32(FREE_COUNT);
    mem.u32.set(mfns, (Region.FREE_STACK >>> 2) + count);
    mem.store(FREE_COUNT, count + mfns.length);
  });
}

/** One reference less; true if that was the last: the frame is nobody's now, but not yet on the free stack. */
function letGo(mem: MachineMemory, mfn: number): boolean {
  if (!isGuestFrame(mem, mfn)) throw new RangeError(`frame ${mfn} is not guest memory`);
  const entry = frameEntry(mfn);
  const before = mem.add(entry + FrameOff.count, -1);
  if (before > 1) return false;
  if (before <= 0) {
    mem.add(entry + FrameOff.count, 1);
    throw new Error(`frame ${mfn.toString(16)} is put once too often`);
  }
  if (mem.get8(entry + FrameOff.type) === FrameType.ram) uncharge(mem, entry);
  mem.set16(entry + FrameOff.owner, Xen.DOMID_INVALID);
  mem.set8(entry + FrameOff.type, FrameType.none);
  mem.set32(entry + FrameOff.gfn, NO_GFN);
  return true;
}

/** The frame counts among the pages of the domain at block address `domain` until it is free. */
export function chargeUntilFree(mem: MachineMemory, mfn: number, domain: number): void {
  mem.store(frameEntry(mfn) + FrameOff.link, domain);
}

/** It does no longer: it is free, or its domain is no more. */
function uncharge(mem: MachineMemory, entry: number): void {
  const domain = mem.exchange(entry + FrameOff.link, 0);
  if (domain) mem.add(domain + DomainOff.totPages, -1);
}

export function forgetCharge(mem: MachineMemory, mfn: number): void {
  uncharge(mem, frameEntry(mfn));
}

/** Whether `mfn` is one of the frames that are handed out at all: to be asked about any number a guest supplies. */
export function isGuestFrame(mem: MachineMemory, mfn: number): boolean {
  return Number.isInteger(mfn) && mfn >= mem.get32(Region.MACHINE + MachineOff.firstRam) && mfn < mem.frames;
}

export function ownerOf(mem: MachineMemory, mfn: number): number {
  return mem.get16(frameEntry(mfn) + FrameOff.owner);
}

/** Every frame `domid` owns, for its last rites and for audits. */
export function* framesOf(mem: MachineMemory, domid: number): Generator<number> {
  for (let mfn = mem.get32(Region.MACHINE + MachineOff.firstRam); mfn < mem.frames; mfn++) {
    if (ownerOf(mem, mfn) === domid) yield mfn;
  }
}
