/** Where else a region may be entered than at its first block: behind calls that leave it, at functions it calls, at blocks that slices of the
 *  interpreter end at. The function then begins with a dispatching block. An entry in the middle of a loop is reached through the loop's
 *  header, where every round asks for it, so that the loop keeps its one way in. */
import { EntryOff, JitBlock, JitBlockFlag, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { BlockOff } from "../code_cache";
import { Handler } from "../handler";
import { J, jget, jset } from "./buffer";
import { NONE, blockOf, dominates, edges, headOf, ordered, rpo, setSucc, succ } from "./graph";
import { isStraddle } from "./region";

/** Chooses entries after the blocks were put in order; true if there are any, and the order has to be made anew. */
export function chooseEntries(): bool {
  addEntry(0);
  for (let n = best(); n != NONE && jget(JitOff.entryCount) < <u32>EntryOff.MAX; n = best()) {
    const via = loopAround(n);
    // the way from where the function begins has no look at pages
    if (via == NONE || isStraddle(headOf(blockOf(via))) || (via != n && !routed(via, n))) setWeight(n, 0); // too deep
    else addEntry(n);
  }
  const count = jget(JitOff.entryCount);
  if (count == 1) return false;
  const d = blockOf(JitBlock.DISPATCH);
  memory.fill(d, 0, JitBlock.SIZE);
  for (let k: u32 = 0; k < count; k++) {
    const n = entryAt(k), via = <u32>loopAround(n);
    setSucc(d, k, <u8>via);
    store<u8>(d + k, via == n ? 0 : <u8>k, JitBlock.keys);
  }
  store<u8>(d, <u8>count, JitBlock.succCount);
  jset(JitOff.root, JitBlock.DISPATCH);
  return true;
}

@inline export function entryAt(k: u32): u32 { return load<u8>(J + <usize>k, JitOff.entries); }

function addEntry(n: u32): void {
  const k = jget(JitOff.entryCount);
  store<u8>(J + <usize>k, <u8>n, JitOff.entries);
  jset(JitOff.entryCount, k + 1);
  setWeight(n, 0);
  if (!k) weigh();
}

/* The weights are kept where the kind of flags a block ends with will be. */
@inline function weightOf(n: u32): u32 { return load<u32>(blockOf(n), JitBlock.outKind); }
@inline function setWeight(n: u32, w: u32): void { store<u32>(blockOf(n), w, JitBlock.outKind); }

function weigh(): void {
  const count = jget(JitOff.order);
  for (let i: u32 = 1; i < count; i++) {
    const n = ordered(i), b = blockOf(n), h = headOf(b), flags = load<u8>(b, JitBlock.flags);
    let w: u32 = 0;
    if (load<u16>(h, RecOff.handler) == Handler.head && !(flags & JitBlockFlag.copied)) {
      w = load<u32>(h, BlockOff.samples);
      if (flags & JitBlockFlag.returned) w += 8;
      if (flags & JitBlockFlag.called) w += 4;
      // where nobody comes back to, a question in every round of a loop is not worth it
      if (!(flags & JitBlockFlag.returned) && loopAround(n) != n) w = 0;
    }
    setWeight(n, w);
  }
}

/** The heaviest block left, NONE if there is none. */
function best(): u32 {
  const count = jget(JitOff.order);
  let n: u32 = NONE, most: u32 = 0;
  for (let i: u32 = 1; i < count; i++) {
    const w = weightOf(ordered(i));
    if (w <= most) continue;
    most = w;
    n = ordered(i);
  }
  return n;
}

/** The edge from loop header `via` to entry `n`; false if the header has no room for it. */
function routed(via: u32, n: u32): bool {
  const b = blockOf(via), extra = load<u8>(b, JitBlock.extra), at = edges(b);
  if (at >= 16 || extra >= 7) return false;
  setSucc(b, at, <u8>n);
  store<u8>(b + extra, <u8>jget(JitOff.entryCount), JitBlock.keys);
  store<u8>(b, extra + 1, JitBlock.extra);
  return true;
}

/** `n` itself if no loop is around it, the header of the one loop that is, NONE if there are several. */
function loopAround(n: u32): u32 {
  const count = jget(JitOff.order);
  let found = n;
  for (let i: u32 = 0; i < count; i++) {
    const h = ordered(i);
    if (h == n || !(load<u8>(blockOf(h), JitBlock.flags) & JitBlockFlag.loop) || !dominates(h, n) || !returns(n, h)) continue;
    if (found != n) return NONE;
    found = h;
  }
  return found;
}

/** From `n` there is a way back to loop header `h` within what it dominates. */
function returns(n: u32, h: u32): bool {
  let seen: u64 = <u64>1 << n;
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = rpo(h); i < jget(JitOff.order); i++) {
      const from = ordered(i);
      if (!(seen >> from & 1)) continue;
      const b = blockOf(from);
      for (let k: u32 = 0; k < <u32>load<u8>(b, JitBlock.succCount); k++) {
        const to = <u32>succ(b, k);
        if (to == h) return true;
        if (to == NONE || seen >> to & 1 || !dominates(h, to)) continue;
        seen |= <u64>1 << to;
        changed = true;
      }
    }
  }
  return false;
}
