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

/** No loop begins within that of header `h`. */
export function isInnermost(h: u32): bool {
  const count = jget(JitOff.order), last = lastOf(h, count);
  for (let i = rpo(h) + 1; <i32>i <= last; i++) if (dominates(h, ordered(i)) && lastOf(ordered(i), count) >= 0) return false;
  return true;
}
