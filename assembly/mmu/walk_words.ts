/** The page walker's words in the pCPU block. */
import { PcpuOff } from "../abi/layout";

/** Words at PcpuOff.walk. Up to `steps` they are results of the last walk; from `largeKinds` on they belong to mmu/tlb and
 *  mmu/access. */
export const enum WalkOff {
  gpa = PcpuOff.walk, // u64
  error = gpa + 8, // u32, page-fault error code of a refused access
  attributes = error + 4, // u32, of the page: effective RW, US, D, G (only under CR4.PGE), NO_EXECUTE
  shift = attributes + 4, // u32, 12 or, for large pages, 21, 22, 30
  steps = shift + 4, // u32
  entry = steps + 4, // u64[4] page-table entries used
  entryAt = entry + 32, // u32[4] where they are; 0: flags cannot be set there
  largeKinds = PcpuOff.walk + 72, // u32
  fetchGlobal = largeKinds + 4, // u32
  firstHost = fetchGlobal + 4, // u32, the two parts of a bounced write
  firstLen = firstHost + 4, // u32
  firstGpa = firstLen + 4, // u64
  secondHost = firstGpa + 8, // u32
  largeCount = secondHost + 4, // u32, large pages noted since the last full flush (mmu/tlb)
  secondGpa = secondHost + 8, // u64
  generation = PcpuOff.walk + 112, // u32, of the page-table cache
  upper = generation + 4, // u32, rights above the last level of the walk: RW, US, UPPER_NX
  pages = upper + 4, // u32, generation of non-global entries of the second-level TLB
  globalPages = pages + 4, // u32, and of global ones
}

/** In WalkOff.attributes, where page-table entries have a bit for software. */
export const NO_EXECUTE: u32 = 1 << 9;

/** No execution, in WalkOff.upper. */
export const UPPER_NX: u32 = 1 << 16;
