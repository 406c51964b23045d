/** The second-level TLB of one pCPU: what page walks found, for whatever class, read, write or fetch asks next. The tables in
 *  mmu/tlb answer in line and hold what one class may do with a page; this one holds the page's rights, from which they are
 *  filled. 64 MiB of pages: 16384 entries of 16 bytes, direct-mapped by a hash, in front of the record cache.
 *
 *  ```
 *  +0   tag u64: linear address of the page
 *  +8   u32: machine address of the page; below bit 12 its attributes: effective RW, US, D and G as in WalkOff.attributes, and Known
 *  +12  generation u32
 *  ```
 *  An entry holds while its generation is the one in force, that of global pages or that of the others. So forgetting
 *  costs the same however much there is: a CR3 write changes the second, a full flush both. No entry is older than one of
 *  the tables' that was filled from it: whatever makes those forget makes this forget. Pages that are not memory are not here. */
import { RegionOff } from "../abi/jit";
import { P2m, PcpuOff } from "../abi/layout";
import { Pte } from "../abi/x86";
import { PCPU } from "../cpu/pcpu";
import { isWritable } from "./p2m";
import { NO_EXECUTE, WalkOff } from "./walk_words";

/** Attributes besides those of page-table entries. */
export const enum Known {
  writable = 1, // stores reach memory
}

const BITS: u32 = 14;
const ENTRY: usize = 16;
/** Bytes of the table, which is between that of the regions (cpu/jit/regions) and what they know of one another (cpu/jit/handover). */
const SECOND_SIZE: usize = ENTRY << BITS;
const OFFSET: usize = RegionOff.TABLES;
const LAST_GENERATION: u32 = 0xfffffff0;

@inline function table(): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + OFFSET; }

@inline function slotOf(lin: u64): usize {
  return table() + (<usize>((lin >> 12 ^ lin >> (12 + BITS)) & ((1 << BITS) - 1)) << 4);
}

/** What is known about the page of `lin`: machine address and attributes, 0 for nothing. */
@inline export function knownPage(lin: u64): u32 {
  const slot = slotOf(lin);
  if (load<u64>(slot) != (lin & ~(<u64>0xfff))) return 0;
  const generation = load<u32>(slot, 12);
  if (generation != load<u32>(PCPU, WalkOff.pages) && generation != load<u32>(PCPU, WalkOff.globalPages)) return 0;
  return load<u32>(slot, 8);
}

/** The walk that has just found `lin` led to p2m entry `found`: remembers and returns what knownPage() will say. */
export function rememberPage(lin: u64, found: u32): u32 {
  const attributes = load<u32>(PCPU, WalkOff.attributes);
  let page = (found & P2m.MFN_MASK) << 12 | (attributes & (Pte.RW | Pte.US | Pte.D | Pte.G | NO_EXECUTE));
  if (isWritable(found)) page |= Known.writable;
  const slot = slotOf(lin);
  store<u64>(slot, lin & ~(<u64>0xfff));
  store<u32>(slot, page, 8);
  store<u32>(slot, attributes & Pte.G ? load<u32>(PCPU, WalkOff.globalPages) : load<u32>(PCPU, WalkOff.pages), 12);
  return page;
}

/** INVLPG of a small page. */
export function forgetPage(lin: u64): void {
  const slot = slotOf(lin);
  if (load<u64>(slot) == (lin & ~(<u64>0xfff))) store<u32>(slot, 0, 12);
}

/** CR3 write. */
export function forgetPages(): void {
  let generation = load<u32>(PCPU, WalkOff.pages) + 1;
  if (generation > LAST_GENERATION) return forgetAllPages();
  store<u32>(PCPU, generation, WalkOff.pages);
}

/** Global ones too. Generation 0 is never in force, so zeroed memory matches nothing. */
export function forgetAllPages(): void {
  let generation = load<u32>(PCPU, WalkOff.pages);
  if (generation > LAST_GENERATION - 2) {
    memory.fill(table(), 0, SECOND_SIZE);
    generation = 0;
  }
  store<u32>(PCPU, generation + 1, WalkOff.globalPages);
  store<u32>(PCPU, generation + 2, WalkOff.pages);
}
