/** What maps recently walked 2 MiB regions: where their last-level page tables are, and the rights above them, which the SDM calls
 *  paging-structure caches; or the large page they are (part of). INVLPG and MOV to CR3 drop all of it (SDM Vol.3A "Operations that Invalidate TLBs and
 *  Paging-Structure Caches"), by changing the generation that is part of each tag.
 *
 *  Entry, 16 B: +0 tag u64: linear bits 63..21 | generation; +8 host address of the table u32, or number of the first guest frame;
 *  +12 rights (WalkOff.upper), or attributes (WalkOff.attributes) and in bits 31..24 the large page's shift.
 *  Only tables in writable memory are here, so that flags can be set in them. */
import { PcpuOff } from "../abi/layout";
import { PCPU } from "../cpu/pcpu";
import { ramEntry } from "./p2m";
import { WalkOff } from "./walk_words";

const CACHE: usize = PCPU + PcpuOff.tableCache;
const SIZE: usize = 64 * 16;
const REGION: u64 = ~(<u64>0x1fffff);
const LAST_GENERATION: u32 = 0x1fffff;

@inline function slotOf(lin: u64): usize { return CACHE + ((<usize>(lin >> 21) & 63) << 4); }

@inline function tagOf(lin: u64): u64 { return (lin & REGION) | <u64>load<u32>(PCPU, WalkOff.generation); }

/** Whether what maps `lin` is known. */
@inline export function isCached(lin: u64): bool { return load<u64>(slotOf(lin)) == tagOf(lin); }

/** Of a region that is: host address of its page table, or number of its first frame. */
@inline export function cachedTable(lin: u64): usize { return <usize>load<u32>(slotOf(lin), 8); }

/** Rights above the table, or attributes and shift. */
@inline export function tableRights(lin: u64): u32 { return load<u32>(slotOf(lin), 12); }

export function cacheTable(lin: u64, table: usize, rights: u32): void {
  const slot = slotOf(lin);
  store<u64>(slot, tagOf(lin));
  store<u32>(slot, table, 8);
  store<u32>(slot, rights, 12);
}

@inline export function forgetTable(lin: u64): void { store<u64>(slotOf(lin), 0); }

/** Drops everything. Generation 0 is never in force, so zeroed memory matches nothing. */
export function forgetTables(): void {
  let generation = load<u32>(PCPU, WalkOff.generation) + 1;
  if (generation > LAST_GENERATION) {
    memory.fill(CACHE, 0, SIZE);
    generation = 1;
  }
  store<u32>(PCPU, generation, WalkOff.generation);
}

/* Where the guest's page tables are. That is the domain's p2m alone, which INVLPG and CR3 writes have nothing to do with: it holds until
 * a full flush. Entry, 8 B: number of the guest frame + 1 u32, its p2m entry u32. */

const FRAMES: usize = PCPU + PcpuOff.tableFrames;
const FRAMES_SIZE: usize = 32 * 8;

/** ramEntry() for page-table entries. */
@inline export function tableEntry(gpa: u64): u32 {
  const gfn = <u32>(gpa >> 12), at = FRAMES + (<usize>(gfn & 31) << 3);
  return gpa >> 42 == 0 && load<u32>(at) == gfn + 1 ? load<u32>(at, 4) : findTable(gpa, gfn, at);
}

function findTable(gpa: u64, gfn: u32, at: usize): u32 {
  const found = ramEntry(gpa);
  if (found) {
    store<u32>(at, gfn + 1);
    store<u32>(at, found, 4);
  }
  return found;
}

export function forgetFrames(): void { memory.fill(FRAMES, 0, FRAMES_SIZE); }
