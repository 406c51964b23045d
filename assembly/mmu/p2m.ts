/** Second stage of translation: guest frames (gfn) to machine frames (mfn) through the domain's p2m, and the frame
 *  table's word on it. A p2m is a radix tree of three levels with 1024 u32 entries each (abi/layout.ts, P2m). */
import { FrameFlag, FrameOff, FrameType, P2m, PcpuOff, Region } from "../abi/layout";
import { PCPU } from "../cpu/pcpu";

/** Width of guest-physical addresses we report in CPUID 0x80000008. */
export const MAXPHYADDR: i32 = 40;

/* Leaf tables stay where they are as long as their domain lives, and so is known from one full flush to the next where the last ones
 * used are. Entry, 8 B: number of the table + 1 u32, its address u32. */

const LEAVES: usize = PCPU + PcpuOff.p2mLeaves;
const LEAVES_MASK: u32 = 63;

export function forgetLeaves(): void { memory.fill(LEAVES, 0, (LEAVES_MASK + 1) << 3); }

/** p2m entry of `gfn`, 0 (P2m.none) if there is none. Absent tables read as zeros: mfn 0 is a page of zeros. */
@inline export function p2mLookup(gfn: u32): u32 {
  const number = gfn >>> 10, at = LEAVES + <usize>((number & LEAVES_MASK) << 3);
  if (load<u32>(at) == number + 1) return load<u32>(load<u32>(at, 4) + ((gfn & 1023) << 2));
  return p2mWalk(gfn, at);
}

function p2mWalk(gfn: u32, at: usize): u32 {
  if (gfn >>> 30) return 0;
  const root = load<u32>(PCPU, PcpuOff.p2mRoot);
  if (!root) return 0;
  const middle = load<u32>(root + ((gfn >>> 20) << 2));
  if (!middle) return 0;
  const leaf = load<u32>((middle << 12) + (((gfn >>> 10) & 1023) << 2));
  if (!leaf) return 0;
  store<u32>(at, (gfn >>> 10) + 1);
  store<u32>(at, leaf << 12, 4);
  return load<u32>((leaf << 12) + ((gfn & 1023) << 2));
}

/** Entry of the frame table that covers machine address `maddr`. */
@inline export function frameOf(maddr: usize): usize {
  return <usize>Region.FRAME_TABLE + (maddr >>> 12) * <usize>FrameOff.SIZE;
}

@inline export function p2mType(entry: u32): u32 { return entry >>> P2m.TYPE_SHIFT; }

/** p2m entry of `gpa` if plain memory is behind it, else 0. The frame table has the last word: what the domain calls its
 *  RAM must be its own frame (or one Xen shares with it), what it maps from others must still belong to somebody. */
export function ramEntry(gpa: u64): u32 { return lookUpRam(gpa); }

/** The same, for the few who ask most. */
@inline export function lookUpRam(gpa: u64): u32 {
  if (gpa >> 42) return 0;
  const entry = p2mLookup(<u32>(gpa >> 12));
  const type = p2mType(entry);
  if (type == P2m.none || type == P2m.mmio) return 0;
  const frame = <usize>Region.FRAME_TABLE + <usize>(entry & P2m.MFN_MASK) * <usize>FrameOff.SIZE;
  const kind = <u32>load<u8>(frame, FrameOff.type);
  if (type == P2m.ram_rw || type == P2m.ram_ro) {
    if (<u32>load<u16>(frame, FrameOff.owner) != load<u32>(PCPU, PcpuOff.domid) && kind != FrameType.xenheap) return 0;
  } else if (kind != FrameType.ram && kind != FrameType.xenheap) return 0;
  return entry;
}

/** Whether stores through `entry` reach memory. Those through the other types are discarded, as Xen does with its
 *  write-discard types (ROM and read-only grant mappings). */
@inline export function isWritable(entry: u32): bool { return (WRITABLE >> p2mType(entry) & 1) != 0; }

const WRITABLE: u32 = 1 << P2m.ram_rw | 1 << P2m.grant_rw | 1 << P2m.foreign | 1 << P2m.alias_rw;

/** Somebody is told where the memory at `host` is, and may write to it. */
@inline export function noteAccess(host: usize): void {
  const frame = frameOf(host);
  if (load<u8>(frame, FrameOff.flags) & FrameFlag.pristine) atomic.and<u8>(frame, ~FrameFlag.pristine, FrameOff.flags);
}

/** Address of the memory behind `gpa`, 0 if there is none. */
export function physical(gpa: u64): usize {
  const entry = ramEntry(gpa);
  if (!entry) return 0;
  const page = <usize>(entry & P2m.MFN_MASK) << 12;
  noteAccess(page);
  return page | (<usize>gpa & 0xfff);
}
