/** What pCPUs tell one another about memory that one of them decodes code from and another stores to: two domains that share a frame by a grant.
 *  Records and TLBs belong to their pCPU, so each has two queues that others fill and it empties between two slices.
 *
 *  ```
 *  a store to what others decoded    its frame goes to PcpuOff.dropQueue of the decoders, and once more after the slice: one of them may have
 *                                    decoded it anew between the message and the store
 *  a store beside that               the same, but only after the slice, if it is code by then
 *  first code decoded in a frame     it goes to PcpuOff.evictQueue of those who may store to it in line; who empties that no longer does, and has
 *                                    the decoders drop what they decoded before the last such store
 *  code decoded in a shared frame    once it is marked it is decoded again, by which all stores from before the mark are seen (cpu/code_cache)
 *  ```
 *  Whoever runs the code looks between two slices, and so does an instruction that serializes: before that, processors do not promise to see new code,
 *  either (SDM Vol.3A "Handling Self- and Cross-Modifying Code"). */
import { FrameOff, MachineOff, PcpuOff, Region } from "../abi/layout";
import { PCPU } from "../cpu/pcpu";
import { frameOf } from "./p2m";

const DROP_MAX: u32 = PcpuOff.DROP_MAX;
const EVICT_MAX: u32 = PcpuOff.EVICT_MAX;
const OWED_MAX: u32 = PcpuOff.OWED_MAX;

@inline function pcpus(): u32 { return load<u32>(Region.MACHINE, MachineOff.pcpus); }
@inline function self(): u32 { return load<u32>(PCPU, PcpuOff.index); }
/** Block of pCPU `n`. */
@inline function pcpuAt(n: u32): usize { return PCPU + <usize>((n - self()) * <u32>Region.PCPU_STRIDE); }

/** Puts frame `mfn` into a queue of pCPU `n` that has room for `most`; a count of more means that there were too many to remember. */
function enqueue(n: u32, count: usize, queue: usize, most: u32, mfn: u32): void {
  const at = pcpuAt(n);
  while (atomic.cmpxchg<i32>(at, 0, 1, PcpuOff.dropLock) != 0) {}
  const length = load<u32>(at + count);
  let isNew = length <= most;
  for (let i: u32 = 0; isNew && i < length; i++) isNew = load<u32>(at + queue + (<usize>i << 2)) != mfn;
  if (isNew) {
    if (length < most) store<u32>(at + queue + (<usize>length << 2), mfn);
    atomic.store<u32>(at + count, length + 1);
  }
  atomic.store<i32>(at, 0, PcpuOff.dropLock);
}

/** Empties a queue of our own into `to`, so that no lock is held while its frames are seen to. Its count. */
function take(count: usize, queue: usize, most: u32, to: usize): u32 {
  while (atomic.cmpxchg<i32>(PCPU, 0, 1, PcpuOff.dropLock) != 0) {}
  const length = load<u32>(PCPU + count);
  memory.copy(PCPU + to, PCPU + queue, <usize>min(length, most) << 2);
  atomic.store<u32>(PCPU + count, 0);
  atomic.store<i32>(PCPU, 0, PcpuOff.dropLock);
  return length;
}

/** Takes the frames whose records are to go into PcpuOff.dropped. How many they are; more than DROP_MAX: any of all there are. */
export function takeDropped(): u32 { return take(PcpuOff.dropCount, PcpuOff.dropQueue, DROP_MAX, PcpuOff.dropped); }
/** The same of those that stores are not to reach in line any more, into PcpuOff.evicted; EVICT_MAX. */
export function takeEvictions(): u32 { return take(PcpuOff.evictCount, PcpuOff.evictQueue, EVICT_MAX, PcpuOff.evicted); }

/** Other pCPUs that may have records of frame `mfn`, a bit for each. */
@inline function decodersOf(mfn: u32): u32 { return atomic.load<u32>(frameOf(<usize>mfn << 12), FrameOff.decoders) & ~(<u32>1 << self()); }

/** Others than its owner may have the frame, too, and so another vCPU: domains have one each. */
@inline export function isShared(frame: usize): bool { return pcpus() > 1 && atomic.load<i32>(frame, FrameOff.count) > 1; }

/** Stores to frame `mfn` may be news for others: they may have it, or may have had it and still have records of it. */
@inline export function isForOthers(mfn: u32): bool { return isShared(frameOf(<usize>mfn << 12)) || decodersOf(mfn) != 0; }

/** Others are to drop their records of frame `mfn`. */
export function dropElsewhere(mfn: u32): void {
  for (let others = decodersOf(mfn); others; others &= others - 1) enqueue(<u32>ctz(others), PcpuOff.dropCount, PcpuOff.dropQueue, DROP_MAX, mfn);
}

/** Before a store to `blocks` (as in FrameOff.code) of frame `mfn`. */
export function tellDecoders(mfn: u32, blocks: u32): void {
  if (atomic.load<u32>(frameOf(<usize>mfn << 12), FrameOff.code) & blocks) dropElsewhere(mfn);
  const count = load<u32>(PCPU, PcpuOff.owedCount);
  for (let i: u32 = 0; i < min(count, OWED_MAX); i++) {
    const at = owedAt(i);
    if (load<u32>(at) != mfn) continue;
    // becomes the newest: a store to two pages is made when both have been told
    const newest = owedAt((count - 1) % OWED_MAX), all = load<u32>(at, 4) | blocks;
    store<u64>(at, load<u64>(newest));
    store<u32>(newest, mfn);
    store<u32>(newest, all, 4);
    return;
  }
  const at = owedAt(count % OWED_MAX);
  if (count >= OWED_MAX) tellAgain(at); // long ago: that store has been made
  store<u32>(at, mfn);
  store<u32>(at, blocks, 4);
  store<u32>(PCPU, count + 1, PcpuOff.owedCount);
}

/** Where the frame is, and after it the blocks of it that were stored to. */
@inline function owedAt(i: u32): usize { return PCPU + PcpuOff.owed + (<usize>i << 3); }

function tellAgain(at: usize): void {
  const mfn = load<u32>(at);
  if (atomic.load<u32>(frameOf(<usize>mfn << 12), FrameOff.code) & load<u32>(at, 4)) dropElsewhere(mfn);
}

/** The stores of a slice have been made. */
export function tellDecodersAgain(): void {
  // an exchange, which stores do not pass: they are there before it is asked what is code
  const count = min(atomic.xchg<u32>(PCPU, 0, PcpuOff.owedCount), OWED_MAX);
  for (let i: u32 = 0; i < count; i++) tellAgain(owedAt(i));
}

/** Code is decoded from frame `mfn`, which others may store to in line: pCPUs whose number modulo 4 has its bit in `groups`. */
export function tellWriters(mfn: u32, groups: u32): void {
  for (let n: u32 = 0; n < pcpus(); n++) if (n != self() && groups >> (n & 3) & 1) enqueue(n, PcpuOff.evictCount, PcpuOff.evictQueue, EVICT_MAX, mfn);
}

/** There are messages of either kind. */
@inline export function hasNews(): bool { return (atomic.load<u32>(PCPU, PcpuOff.dropCount) | atomic.load<u32>(PCPU, PcpuOff.evictCount)) != 0; }

/** Others have decoded code from frames that we may store to. */
@inline export function hasEvictions(): bool { return atomic.load<u32>(PCPU, PcpuOff.evictCount) != 0; }

@inline export function evictedAt(i: u32): u32 { return load<u32>(PCPU + (<usize>i << 2), PcpuOff.evicted); }

/** Others are to drop their records of all frames that stores of ours may have reached in line. */
export function confirmAll(): void {
  const frames = load<u32>(Region.MACHINE, MachineOff.frames);
  for (let mfn: u32 = 0; mfn < frames; mfn++) {
    const frame = frameOf(<usize>mfn << 12);
    if (load<u32>(frame, FrameOff.decoders) && (isShared(frame) || load<u16>(frame, FrameOff.owner) == <u16>load<u32>(PCPU, PcpuOff.domid))) dropElsewhere(mfn);
  }
}
