/** Frames that stores reach in line. A frame with decoded code must not be one, so when the first block is decoded from it its writable TLB
 *  entries are found and marked. Most frames have one: which, is in the frame table.
 *
 *  ```
 *  FrameOff.writable   0: none; else bit 31; bit 30: there may be other entries; bits 25..28: pCPUs that may have them, by number modulo 4;
 *                      pCPU << 20 | number of the entry
 *  ```
 *  Whoever fills an entry notes it before it looks for code once more, and whoever decodes marks the code before it looks for entries: one of the
 *  two sees the other. The decoder takes the word away; other pCPUs are told by a message (code_news). */
import { FrameOff, PcpuOff, Region } from "../abi/layout";
import { PCPU } from "../cpu/pcpu";
import { confirmAll, dropElsewhere, evictedAt, takeEvictions, tellWriters } from "./code_news";
import { frameOf } from "./p2m";
import { breakRuns } from "./runs";
import { entryOf, flushTlbAll, isWritableFor, markCode, markCodeEverywhere, numberOf } from "./tlb";

const KNOWN: u32 = 0x80000000;
const SEVERAL: u32 = 0x40000000;
const OTHERS_SHIFT: u32 = 25;
const OTHERS: u32 = 15 << OTHERS_SHIFT;
const PCPU_SHIFT: u32 = 20;
const NUMBER: u32 = 0xfffff;
/** Evictions that are seen to one by one, each with a look at all of the TLB. */
const FEW: u32 = 4;

@inline function self(): u32 { return load<u32>(PCPU, PcpuOff.index); }
@inline function mine(): u32 { return KNOWN | self() << PCPU_SHIFT; }
@inline function pcpuOf(word: u32): u32 { return word >> PCPU_SHIFT & 31; }
@inline function groupOf(pcpu: u32): u32 { return <u32>1 << OTHERS_SHIFT + (pcpu & 3); }

/** Stores may reach the frame of `host` by way of `entry`; false if code was decoded from it just now. */
@inline export function markWritten(host: usize, entry: usize): bool {
  const frame = frameOf(host), word = mine() | numberOf(entry);
  return load<u32>(frame, FrameOff.writable) == word || noteWay(frame, word);
}

function noteWay(frame: usize, word: u32): bool {
  for (;;) {
    const old = atomic.load<u32>(frame, FrameOff.writable), next = old ? joined(frame, old, word) : word;
    if (next == old || atomic.cmpxchg<u32>(frame, old, next, FrameOff.writable) == old) break;
  }
  return !atomic.load<u32>(frame, FrameOff.code);
}

/** Both ways, where `old` is known to be one. */
function joined(frame: usize, old: u32, word: u32): u32 {
  if (pcpuOf(old) != self()) return word | SEVERAL | old & OTHERS | groupOf(pcpuOf(old));
  if (old & SEVERAL) return old;
  return isWritableFor(entryOf(old & NUMBER), <u32>(frame - Region.FRAME_TABLE) / FrameOff.SIZE) ? word | SEVERAL : word; // or it has moved
}

/** Stores may reach the page at `host` by way of a run (mmu/runs); false if code was decoded from it just now. */
export function markReachable(host: usize): bool {
  const frame = frameOf(host), word = load<u32>(frame, FrameOff.writable);
  if (word && pcpuOf(word) == self()) return true;
  return noteWay(frame, mine()); // some entry, which is another page's
}

/** The frame gets its first decoded code: no store may reach it without a look at its code mask any more. */
export function evictWritable(mfn: u32): void {
  const frame = frameOf(<usize>mfn << 12);
  if (!atomic.load<u32>(frame, FrameOff.writable)) return;
  const word = atomic.xchg<u32>(frame, 0, FrameOff.writable);
  evict(mfn, word & SEVERAL || pcpuOf(word) != self() ? 0 : entryOf(word & NUMBER));
  const others = word & OTHERS | (pcpuOf(word) == self() ? 0 : groupOf(pcpuOf(word)));
  if (others) tellWriters(mfn, others >> OTHERS_SHIFT);
}

/** `entry`: the only one there is, 0 if that is not known. */
function evict(mfn: u32, entry: usize): void {
  breakRuns(mfn);
  if (entry) markCode(entry, mfn);
  else markCodeEverywhere(mfn);
}

/** Code is decoded from a frame that others have code in: what we could store to it by may still be there, if their message is. */
export function evictOwn(mfn: u32): void { evict(mfn, 0); }

/** Others have decoded code from frames that we may store to in line. */
export function obeyEvictions(): void {
  const count = takeEvictions();
  if (count > FEW) flushTlbAll(); // which has runs for writing looked at, too
  if (count > <u32>PcpuOff.EVICT_MAX) return confirmAll();
  for (let i: u32 = 0; i < count; i++) {
    if (count <= FEW) evict(evictedAt(i), 0);
    dropElsewhere(evictedAt(i)); // what they decoded so far may lack a store of ours
  }
}
