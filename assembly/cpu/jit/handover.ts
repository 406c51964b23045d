/** What a region that leaves for an address needs to know of the region there, if there is one: 32 bytes for each, in one line of the host's cache,
 *  where the jump cache, the block's head, the region's entry and its pages are four. They hold while nothing was flushed since; a
 *  region that goes takes its own along. Check mode has none, so that each region is left to the checker. */
import { EntryOff, HandoverOff, JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { BlockOff, linkFall, linkTaken } from "../code_cache";
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
  return next ? next : taken ? linkTaken(u) : linkFall(u);
}

@inline function table(): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + HandoverOff.TABLE; }

@inline function placeOf(rip: u64): usize { return table() + (((<usize>rip ^ (<usize>rip >> 12)) & (HandoverOff.COUNT - 1)) << 5); }

/** How to go on at `rip`, with ripBase made that of the page there; 0 if that is not known, or the slice has no room for the block. */
@inline export function handover(rip: u64): usize {
  const to = placeOf(rip);
  if (load<u64>(to, HandoverOff.rip) != rip || load<u32>(to, HandoverOff.flushes) != jget(JitOff.flushes)) return 0;
  if (load<u32>(to, HandoverOff.mode) != load<u32>(PCPU, PcpuOff.mode) || load<i32>(PCPU, PcpuOff.left) < load<i32>(to, HandoverOff.count)) return 0;
  store<u64>(PCPU, rip & ~(<u64>0xfff), PcpuOff.ripBase);
  return to;
}

/** Entry `e` of a region, at the head `u`, is good under the mapping and mode in force. */
export function remember(u: usize, e: u32, pages: u32): usize {
  const rip = load<u64>(PCPU, PcpuOff.ripBase) + load<u16>(u, BlockOff.off), to = placeOf(rip), n = e / EntryOff.MAX;
  store<u64>(to, rip, HandoverOff.rip);
  store<u32>(to, load<u32>(PCPU, PcpuOff.mode), HandoverOff.mode);
  store<u32>(to, jget(JitOff.flushes), HandoverOff.flushes);
  store<u32>(to, load<u16>(u, BlockOff.count), HandoverOff.count);
  store<u32>(to, pages, HandoverOff.pages);
  store<u32>(to, jget(JitOff.table) + n, HandoverOff.slot);
  store<u16>(to, <u16>n, HandoverOff.region);
  store<u16>(to, <u16>(e % EntryOff.MAX), HandoverOff.entry);
  return to;
}

/** The region that runs has seen `page` to be mapped as it was. */
export function learn(page: u32): void {
  const by = <usize>jget(JitOff.handover);
  if (!by || load<u32>(by, HandoverOff.flushes) != jget(JitOff.flushes)) return;
  store<u32>(by, load<u32>(by, HandoverOff.pages) | page, HandoverOff.pages);
}

/** The region entered at `rip` is no more. */
export function forgetHandover(rip: u64): void {
  const at = placeOf(rip);
  if (load<u64>(at, HandoverOff.rip) == rip) store<u32>(at, 0, HandoverOff.mode); // real mode has no regions
}

export function forgetHandovers(): void { memory.fill(table(), 0, HandoverOff.COUNT * HandoverOff.SIZE); }
