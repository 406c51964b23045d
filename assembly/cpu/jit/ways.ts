/** Where region upon region hands over to the next, the way that code takes is followed (path), and what it comes by becomes a few regions. */
import { EntryOff, JitMemory, JitOff, RegionOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { BlockOff } from "../code_cache";
import { Handler } from "../handler";
import { PCPU } from "../pcpu";
import { jget, jset } from "./buffer";
import { forgetHandover } from "./handover";
import { Way, awaitPath, beginPath, forgetPath, goBy, isPathGood } from "./path";
import { isHead, isStraddle } from "./region";
import { drop, entryOff, isEnteredBy, regionAt, translate } from "./regions";

/** Instructions from one transition to the next where code is spread over too many regions. */
const CROSSING: u32 = 500;
/** Regions that are made of ways from one place, each time after twice as many slices. */
const MOST_WAYS: u8 = 4;
/** Blocks of one that a way may end at: where other ways come by smaller ones they have their blocks, too. */
const LARGE: u32 = 24;
const NONE: u32 = RegionOff.MAX;

/** A slice ended in region `n`, or behind it. Where region upon region hands over to the next after a few hundred instructions, for long, the way that
 *  code takes from where this one was entered is worth regions of its own. */
export function lookAtCrossings(n: u32): void {
  const insns = jget(JitOff.slice), crossings = jget(JitOff.entered) - jget(JitOff.enteredBefore) - 1, r = regionAt(n); // a slice begins with one
  jset(JitOff.enteredBefore, jget(JitOff.entered));
  if (<i32>crossings <= 0 || crossings * CROSSING < insns) return;
  const k = jget(JitOff.entry), ways = load<u8>(r, RegionOff.ways);
  if (k >= load<u32>(r, RegionOff.entries) || ways >= MOST_WAYS) return;
  const times = load<u16>(r, RegionOff.crossings) + 1;
  store<u16>(r, times, RegionOff.crossings);
  if (times < load<u32>(PCPU, PcpuOff.crossed) << ways) return;
  store<u16>(r, 0, RegionOff.crossings);
  const e = n * EntryOff.MAX + k, head = <usize>load<u32>(entryOff(e), EntryOff.head);
  if (!isEnteredBy(head, e)) return;
  awaitPath(head);
  forgetHandover(load<u64>(entryOff(e)) + load<u16>(head, BlockOff.off)); // so that enterRegion() sees it come
}

/** A slice of one block ended before the one at `head`, which comes next on the way that is followed. */
export function followOn(head: usize): void {
  if (jget(JitOff.memory) == JitMemory.off || !(isHead(head) || isStraddle(head))) return forgetPath();
  const way = goBy(head, load<u16>(head, RecOff.handler) == Handler.region && isLargeWay(load<u32>(head, BlockOff.samples)));
  if (way == Way.goesOn) return;
  const left = load<u32>(PCPU, PcpuOff.pathRegions) - 1;
  if (!isPathGood()) return forgetPath();
  translatePath();
  if (way == Way.ends || !left || isStraddle(head)) return forgetPath();
  store<u32>(PCPU, left, PcpuOff.pathRegions);
  beginPath(head);
  goBy(head, false);
}

/** Entry `e` is where a large region begins that was made of a way. */
function isLargeWay(e: u32): bool {
  const r = regionAt(e / EntryOff.MAX);
  return e % EntryOff.MAX == 0 && load<u8>(r, RegionOff.ways) != 0 && load<u32>(r, RegionOff.blocks) >= LARGE;
}

/** Makes a region of the way. Another one that is entered at its first block stays for the places it is entered at elsewhere, if there are any. */
function translatePath(): void {
  const head = <usize>load<u32>(PCPU, PcpuOff.pathHead), base = load<u64>(PCPU, PcpuOff.pathBase), old = regionOf(head), ways = old != NONE ? load<u8>(regionAt(old), RegionOff.ways) : 0;
  store<u32>(PCPU, 1, PcpuOff.pathOnly);
  translate(head, base);
  store<u32>(PCPU, 0, PcpuOff.pathOnly);
  const made = regionOf(head);
  if (made == NONE) return;
  if (ways < 255) store<u8>(regionAt(made), ways + 1, RegionOff.ways); // also if it is still the old one
  forgetHandover(base + load<u16>(head, BlockOff.off));
  if (old != made && isSuperseded(old)) drop(old);
}

/** Number of the region that the block at `head` leads to, NONE if to none. */
function regionOf(head: usize): u32 { return load<u16>(head, RecOff.handler) == Handler.region ? load<u32>(head, BlockOff.samples) / EntryOff.MAX : NONE; }

/** Whether there is a region `n` that no block leads to, since all it could be entered at lead to later ones. */
function isSuperseded(n: u32): bool {
  if (n == NONE || !load<u32>(regionAt(n), RegionOff.entries)) return false;
  for (let e = n * EntryOff.MAX, end = e + load<u32>(regionAt(n), RegionOff.entries); e < end; e++) if (isEnteredBy(<usize>load<u32>(entryOff(e), EntryOff.head), e)) return false;
  return true;
}
