/** Where the blocks are that indirect branches, returns and branches to other pages have gone to: 16384 pairs of entries, the one used last in front.
 *
 *  ```
 *  entry u64   63..44 number of the page (mmu/code_mappings)  43..32 mode  31..20 offset in the page  19..0 block head, 32 bytes each from codeBase
 *  ```
 *  An entry holds as long as the records do, and is found while the number of its page is in force: one comparison asks for
 *  offset, mode and mapping, another whether that number is this page's. Only blocks decoded under a flat mode are here, so an empty entry is never found. */
import { PcpuOff } from "../abi/layout";
import { codePage, isCodePage } from "../mmu/code_mappings";
import { PCPU } from "./pcpu";

const PAIRS: usize = 16384;
const HEAD: u64 = 0xfffff;

/** The pair for `rip`: to be added to PCPU + PcpuOff.JC. */
@inline function pairOf(rip: u64): usize { return ((<usize>rip ^ (<usize>rip >> 12)) & (PAIRS - 1)) << 4; }

/** The entry that is looked at first. */
@inline export function firstFor(rip: u64): u64 { return load<u64>(pairOf(rip), PCPU + PcpuOff.JC); }

/** The entry for a head at codeBase, at `rip`. */
@inline function keyOf(rip: u64, mode: u32): u64 { return <u64>(codePage(rip) | mode) << 32 | <u64>(<u32>rip << 20); }

/** Whether `entry` is that for `rip`, or an empty one where there is no page, mode or offset. */
@inline export function isFor(entry: u64, rip: u64, mode: u32): bool { return (entry ^ keyOf(rip, mode)) <= HEAD && isCodePage(rip); }

@inline export function headIn(entry: u64): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + (<usize>(entry & HEAD) << 5); }

/** Block at `rip`, which may be dead, or 0. */
export function jumpHead(rip: u64, mode: u32): usize {
  const pair = PCPU + pairOf(rip), first = load<u64>(pair, PcpuOff.JC);
  if (isFor(first, rip, mode)) return first ? headIn(first) : 0;
  const second = load<u64>(pair, PcpuOff.JC + 8);
  if (!isFor(second, rip, mode) || !second) return 0;
  store<u64>(pair, second, PcpuOff.JC);
  store<u64>(pair, first, PcpuOff.JC + 8);
  return headIn(second);
}

/** `head` is the block at `rip`, whose page has just been mapped. */
export function rememberJump(rip: u64, mode: u32, head: usize): void {
  const pair = PCPU + pairOf(rip), first = load<u64>(pair, PcpuOff.JC);
  if (!isFor(first, rip, mode)) store<u64>(pair, first, PcpuOff.JC + 8);
  store<u64>(pair, keyOf(rip, mode) | <u64>((head - <usize>load<u32>(PCPU, PcpuOff.codeBase)) >> 5), PcpuOff.JC);
}

/** All records are dropped. */
export function forgetJumps(): void { memory.fill(PCPU + PcpuOff.JC, 0, PAIRS << 4); }
