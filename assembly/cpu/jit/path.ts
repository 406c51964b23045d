/** Ways that code takes: the blocks it comes by from one place on, in turn.
 *
 *  A region that begins at a hot block has what can be reached from there, the near before the far. In large functions, as the loop of a bytecode
 *  interpreter is one, most of that is seldom executed, and what is executed is spread over many regions that hand over to one another
 *  every few dozen instructions. Where that is seen to happen, the interpreter goes on from the beginning of one of them, a block at a time,
 *  and what it comes by becomes a region. Where there is no room for more, the next one begins, until the way is back at its start or at
 *  a region that was made in this way (ways). */
import { JitOff, PathOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { BlockOff, decodedAt, recordsOf } from "../code_cache";
import { PCPU } from "../pcpu";
import { jget } from "./buffer";

/** Blocks come by for one region: several rounds of what is smaller. */
const MOST_STEPS: u32 = 512;
const MOST_REGIONS: u32 = 8;

export const enum Way {
  goesOn = 0,
  full = 1, // the block does not fit
  ends = 2,
}

@inline function get(off: usize): u32 { return load<u32>(PCPU + off); }
@inline function set(off: usize, value: u32): void { store<u32>(PCPU + off, value); }
@inline function entry(i: u32): usize { return PCPU + PcpuOff.path + <usize>i * PathOff.SIZE; }

/** The next time that the block at `head` is come to, its way is to be followed. */
export function awaitPath(head: usize): void {
  set(PcpuOff.pathHead, <u32>head);
  set(PcpuOff.pathStart, <u32>head);
  set(PcpuOff.pathSteps, 0);
  set(PcpuOff.pathRegions, MOST_REGIONS);
}

export function forgetPath(): void {
  set(PcpuOff.pathHead, 0);
  set(PcpuOff.pathSteps, 0);
}

@inline export function isAwaited(head: usize): bool { return get(PcpuOff.pathHead) == <u32>head && !isFollowing(); }
@inline export function isFollowing(): bool { return get(PcpuOff.pathSteps) != 0; }

/** A region is to begin with the block at `head`, which comes next. */
export function beginPath(head: usize): void {
  set(PcpuOff.pathHead, <u32>head);
  store<u64>(PCPU, load<u64>(PCPU, PcpuOff.ripBase), PcpuOff.pathBase);
  store<u64>(PCPU, load<u64>(PCPU, PcpuOff.cr3), PcpuOff.pathCr3);
  set(PcpuOff.pathVcpu, get(PcpuOff.vcpu));
  set(PcpuOff.pathSteps, MOST_STEPS);
  set(PcpuOff.pathCount, 0);
  set(PcpuOff.pathInsns, 0);
  set(PcpuOff.pathLast, 0);
}

/** The block at `head` comes next. The way ends before it if `isEnd`, and where it began. */
export function goBy(head: usize, isEnd: bool): Way {
  const steps = get(PcpuOff.pathSteps) - 1;
  set(PcpuOff.pathSteps, steps);
  if (!steps) return Way.ends;
  const last = <usize>get(PcpuOff.pathLast), first = <usize>get(PcpuOff.pathHead);
  set(PcpuOff.pathLast, 0);
  if (!isSameCode(first)) return Way.goesOn; // that of an interrupt, another privilege level, another process
  if (last && !load<u32>(last, PathOff.next)) {
    store<u32>(last, <u32>head, PathOff.next);
    store<u64>(last, load<u64>(PCPU, PcpuOff.ripBase), PathOff.nextBase);
  }
  if (head != first && (isEnd || <u32>head == get(PcpuOff.pathStart))) return Way.ends;
  let p = find(head);
  if (!p) {
    const count = get(PcpuOff.pathCount), insns = get(PcpuOff.pathInsns) + recordsOf(head);
    if (count == PathOff.MAX || insns > jget(JitOff.mostInsns)) return Way.full;
    p = entry(count);
    store<u32>(p, <u32>head);
    store<u32>(p, 0, PathOff.next);
    set(PcpuOff.pathCount, count + 1);
    set(PcpuOff.pathInsns, insns);
  }
  set(PcpuOff.pathLast, <u32>p);
  return Way.goesOn;
}

/** What goes on is of one kind with the block at `first`, which is still there. */
function isSameCode(first: usize): bool {
  const mode = load<u16>(first, BlockOff.mode);
  if (mode != get(PcpuOff.mode) || load<u64>(PCPU, PcpuOff.cr3) != load<u64>(PCPU, PcpuOff.pathCr3) || get(PcpuOff.vcpu) != get(PcpuOff.pathVcpu)) return false;
  return decodedAt(load<u32>(first, BlockOff.maddr), mode) == first;
}

/** A region may be made of what was come by, and now. */
export function isPathGood(): bool { return get(PcpuOff.pathCount) > 1 && isSameCode(<usize>get(PcpuOff.pathHead)); }

function find(head: usize): usize {
  const count = get(PcpuOff.pathCount);
  for (let i: u32 = 0; i < count; i++) if (load<u32>(entry(i)) == <u32>head) return entry(i);
  return 0;
}

/** The region that is looked for may have the block at `head`. */
export function isOnPath(head: usize): bool { return !get(PcpuOff.pathOnly) || find(head) != 0; }

/** Entry of the way for the block at `head`, if something came after it and the region that is looked for follows it; else 0. */
export function stepFrom(head: usize): usize {
  const p = get(PcpuOff.pathOnly) ? find(head) : 0;
  return p && load<u32>(p, PathOff.next) ? p : 0;
}
