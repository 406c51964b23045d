/** What a region that leaves for an address needs to know of the region there, if there is one: 32 bytes for each, in one line of the host's cache,
 *  where the jump cache, the block's head, the region's entry and its pages are four. They hold while the page's number is in force (mmu/code_mappings), what
 *  they know of the region's other pages while nothing was flushed since; a region that goes takes its own along. There are none for code that is not
 *  flat. Check mode has none either, so that each region is left to the checker. */
import { EntryOff, HandoverOff, JitOff } from "../../abi/jit";
import { Mode, PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { codePage, codePageOf, flushesSoFar } from "../../mmu/code_mappings";
import { BlockOff, linkFall, linkTaken, mayFollowLink } from "../code_cache";
import { PCPU } from "../pcpu";
import { jget } from "./buffer";

/** In place of a record: a region goes on at PcpuOff.rip. */
export const ELSEWHERE: usize = 1;
/** Beside the address of a branch record, which is a multiple of 32: a region goes on where that links to. */
export const TAKEN: usize = 2;
export const FALL: usize = 4;

/** The record a region goes on at; not for ELSEWHERE. */
@inline export function followLink(result: usize): usize { return result & (TAKEN | FALL) ? link(result) : result; }

function link(result: usize): usize {
  const u = result & ~(TAKEN | FALL), taken = (result & TAKEN) != 0, next = <usize>load<u32>(u + (taken ? <usize>RecOff.taken : <usize>RecOff.fall));
  if (next && mayFollowLink(next, u, taken ? RecOff.taken : RecOff.fall)) return next;
  return taken ? linkTaken(u) : linkFall(u);
}

@inline function table(): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + HandoverOff.TABLE; }

@inline function placeOf(rip: u64): usize { return table() + (((<usize>rip ^ (<usize>rip >> 12)) & (HandoverOff.COUNT - 1)) << 5); }

/** How to go on at `rip`, with ripBase made that of the page there; 0 if that is not known, or the slice has no room for the block. */
@inline export function handover(rip: u64): usize {
  const to = placeOf(rip), mode = load<u32>(PCPU, PcpuOff.mode);
  if (!(mode & Mode.flat) || load<u64>(to, HandoverOff.rip) != rip || load<u32>(to, HandoverOff.key) != (codePage(rip) | mode)) return 0;
  if (load<i32>(PCPU, PcpuOff.left) < <i32>load<u16>(to, HandoverOff.count)) return 0;
  store<u64>(PCPU, rip & ~(<u64>0xfff), PcpuOff.ripBase);
  return to;
}

/** Pages of the region that need no look. */
@inline export function pagesOf(to: usize): u32 {
  return load<u32>(to, HandoverOff.flushes) == flushesSoFar() ? load<u32>(to, HandoverOff.pages) : <u32>1 << load<u8>(to, HandoverOff.page);
}

/** Entry `e` of a region, at the head `u` on `page`, is good under the mapping and mode in force; `pages` as pagesOf() will say. */
export function remember(u: usize, e: u32, page: u32, pages: u32): usize {
  const rip = load<u64>(PCPU, PcpuOff.ripBase) + load<u16>(u, BlockOff.off), to = placeOf(rip), n = e / EntryOff.MAX;
  store<u64>(to, rip, HandoverOff.rip);
  const mode = load<u32>(PCPU, PcpuOff.mode), number = codePageOf(rip, mode);
  store<u32>(to, number ? number | mode : 0, HandoverOff.key);
  store<u32>(to, flushesSoFar(), HandoverOff.flushes);
  store<u16>(to, load<u16>(u, BlockOff.count), HandoverOff.count);
  store<u8>(to, <u8>ctz<u32>(page), HandoverOff.page);
  store<u32>(to, pages, HandoverOff.pages);
  store<u32>(to, jget(JitOff.table) + n, HandoverOff.slot);
  store<u16>(to, <u16>n, HandoverOff.region);
  store<u16>(to, <u16>(e % EntryOff.MAX), HandoverOff.entry);
  return to;
}

/** The region that runs has seen `page` to be mapped as it was. */
export function learn(page: u32): void {
  const by = <usize>jget(JitOff.handover);
  if (!by) return;
  store<u32>(by, pagesOf(by) | page, HandoverOff.pages);
  store<u32>(by, flushesSoFar(), HandoverOff.flushes);
}

/** The region entered at `rip` is no more. */
export function forgetHandover(rip: u64): void {
  const at = placeOf(rip);
  if (load<u64>(at, HandoverOff.rip) == rip) store<u32>(at, 0, HandoverOff.key);
}

export function forgetHandovers(): void { memory.fill(table(), 0, HandoverOff.COUNT * HandoverOff.SIZE); }
