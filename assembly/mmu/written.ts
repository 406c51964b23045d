/** Frames that stores reach in line. A frame with decoded code must not be one, so when the first block is decoded from it its writable TLB
 *  entries are found and marked. Most frames have one: which, is in the frame table.
 *
 *  ```
 *  FrameOff.writable   0, or bit 31, pCPU << 20 | number of the entry; bit 30: there may be others
 *  ```
 *  A word about another pCPU's entry says nothing about our own, and two pCPUs may write it at once. Each looks at it whenever it fills an
 *  entry, so the last of them that wrote has either the only entry of its own there or has noted that there are several; to whoever finds
 *  another's number there may be any number. */
import { FrameFlag, FrameOff, MachineOff, PcpuOff, Region } from "../abi/layout";
import { PCPU } from "../cpu/pcpu";
import { frameOf } from "./p2m";
import { breakRuns } from "./runs";
import { entryOf, isWritableFor, markCode, markCodeEverywhere, numberOf } from "./tlb";

const KNOWN: u32 = 0x80000000;
const SEVERAL: u32 = 0x40000000;
const NUMBER: u32 = 0xfffff;

@inline function mine(): u32 { return KNOWN | load<u32>(PCPU, PcpuOff.index) << 20; }

/** Stores may reach the frame of `host` by way of `entry`. */
@inline export function markWritten(host: usize, entry: usize): void {
  const frame = frameOf(host), word = mine() | numberOf(entry);
  if (load<u32>(frame, FrameOff.writable) != word || !(load<u8>(frame, FrameOff.flags) & FrameFlag.written)) noteWay(frame, word);
}

function noteWay(frame: usize, word: u32): void {
  const old = load<u32>(frame, FrameOff.writable);
  if (!(load<u8>(frame, FrameOff.flags) & FrameFlag.written)) {
    store<u32>(frame, word, FrameOff.writable);
    atomic.or<u8>(frame, FrameFlag.written, FrameOff.flags);
  } else if (!(old & SEVERAL)) {
    const mfn = <u32>(frame - Region.FRAME_TABLE) / FrameOff.SIZE;
    const moved = (old & ~NUMBER) == mine() && !isWritableFor(entryOf(old & NUMBER), mfn);
    store<u32>(frame, moved ? word : word | SEVERAL, FrameOff.writable);
  }
}

/** Stores may reach the page at `host` by way of a run (mmu/runs). */
export function markReachable(host: usize): void {
  const frame = frameOf(host);
  if (load<u8>(frame, FrameOff.flags) & FrameFlag.written) return;
  store<u32>(frame, mine(), FrameOff.writable); // some entry, which is another page's
  atomic.or<u8>(frame, FrameFlag.written, FrameOff.flags);
}

/** The frame gets its first decoded code: no store may reach it without a look at its code mask any more. */
export function evictWritable(mfn: u32): void {
  const frame = frameOf(<usize>mfn << 12);
  if (!(load<u8>(frame, FrameOff.flags) & FrameFlag.written)) return;
  breakRuns(mfn);
  const word = load<u32>(frame, FrameOff.writable);
  if ((word & ~NUMBER) == mine()) markCode(entryOf(word & NUMBER), mfn);
  else markCodeEverywhere(mfn);
  // With several pCPUs the flag stays for the others to see; they get VcpuRequest.flush from whoever decodes.
  if (load<u32>(Region.MACHINE, MachineOff.pcpus) <= 1) atomic.and<u8>(frame, ~FrameFlag.written, FrameOff.flags);
}
