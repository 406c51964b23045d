/** Loops of the region, told from positions in the order of its blocks: what a header dominates, up to the last block that leads back to it. That may
 *  be some blocks more than a loop is usually said to have; who asks here wants to know what is probably repeated. */
import { JitBlock, JitBlockFlag, JitOff } from "../../abi/jit";
import { jget } from "./buffer";
import { blockOf, dominates, edges, ordered, rpo, succ } from "./graph";

/** The innermost loop around the block at `i` in the order: position of its header; -1 if there is none. */
export function loopAt(i: u32): i32 {
  const count = jget(JitOff.order), n = ordered(i);
  for (let at = <i32>i; at >= 0; at--) {
    const h = ordered(at);
    if (dominates(h, n) && lastOf(h, count) >= <i32>i) return at;
  }
  return -1;
}

/** Loops around the block at `i`. */
export function depthAt(i: u32): u32 {
  const count = jget(JitOff.order), n = ordered(i);
  let depth: u32 = 0;
  for (let at: u32 = 0; at <= i; at++) if (dominates(ordered(at), n) && lastOf(ordered(at), count) >= <i32>i) depth++;
  return depth;
}

/** Position of the last block of the loop of header `h`, or of a loop within it; -1 if `h` is no loop's header. What is within a loop may come behind
 *  its own way back: the body of a loop that is asked for first, in one that is asked for last. */
export function lastOf(h: u32, count: u32): i32 {
  let last = lastBack(h, count);
  for (let i = rpo(h) + 1; <i32>i <= last; i++) if (dominates(h, ordered(i))) last = max(last, lastBack(ordered(i), count));
  return last;
}

/** Position of the last block with an edge back to `h`; -1 if there is none. */
function lastBack(h: u32, count: u32): i32 {
  if (!(load<u8>(blockOf(h), JitBlock.flags) & JitBlockFlag.loop)) return -1;
  for (let i = count; i > rpo(h); i--) {
    const b = blockOf(ordered(i - 1));
    for (let k: u32 = 0; k < edges(b); k++) if (<u32>succ(b, k) == h) return <i32>i - 1;
  }
  return -1;
}

/** The blocks, as bits, of the innermost loop with header `h`: two loops, one in the other, may begin with the same block, and then a way back of the
 *  outer one is reached through all of the inner one. Where ways back only come from different arms there is one loop. */
export function innerLoop(h: u32): u64 {
  const count = jget(JitOff.order);
  let inner: u64 = 0, all: u64 = 0, nested = true;
  for (let i = rpo(h); i < count; i++) {
    if (!leadsTo(ordered(i), h)) continue;
    const body = bodyOf(h, ordered(i));
    if (!inner || (body & inner) == body) inner = body;
    all |= body;
  }
  for (let i = rpo(h); i < count; i++) if (leadsTo(ordered(i), h) && (bodyOf(h, ordered(i)) & inner) != inner) nested = false;
  return nested ? inner : all;
}

/** Some block of `loop` other than `h` is itself a loop's header. */
export function hasInner(h: u32, loop: u64): bool {
  for (let left = loop & ~(<u64>1 << h); left; left &= left - 1) if (load<u8>(blockOf(<u32>ctz(left)), JitBlock.flags) & JitBlockFlag.loop) return true;
  return false;
}

/** The blocks, as bits, from which code comes back to header `h` without leaving the loop. */
export function loopBody(h: u32): u64 {
  const count = jget(JitOff.order);
  let body: u64 = 0;
  for (let i = rpo(h); i < count; i++) if (leadsTo(ordered(i), h)) body |= bodyOf(h, ordered(i));
  return body;
}

function leadsTo(n: u32, to: u32): bool {
  const b = blockOf(n);
  for (let k: u32 = 0; k < edges(b); k++) if (<u32>succ(b, k) == to) return true;
  return false;
}

/** What is between header `h` and `way`, which leads back to it. */
function bodyOf(h: u32, way: u32): u64 {
  const count = jget(JitOff.order);
  let body: u64 = <u64>1 << h | <u64>1 << way;
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = count; i > rpo(h); i--) {
      const n = ordered(i - 1), b = blockOf(n);
      if (body >> n & 1 || !dominates(h, n)) continue;
      for (let k: u32 = 0; k < edges(b); k++) {
        const to = <u32>succ(b, k);
        if (to >= 64 || to == h || !(body >> to & 1)) continue;
        body |= <u64>1 << n;
        changed = true;
        break;
      }
    }
  }
  return body;
}
