/** The blocks of a region as a graph, and the order to write them in: reverse postorder, dominators (Cooper, Harvey, Kennedy, "A Simple,
 *  Fast Dominance Algorithm"). An edge into the middle of a loop is cut, which makes it a way out. */
import { JitBlock, JitBlockFlag, JitOff } from "../../abi/jit";
import { BlockOff } from "../code_cache";
import { J, jget, jset } from "./buffer";

export const NONE: u8 = 0xff;

@inline export function blockOf(n: u32): usize { return J + JitOff.blocks + <usize>n * JitBlock.SIZE; }
@inline export function headOf(b: usize): usize { return <usize>load<u32>(b, JitBlock.head); }
@inline export function succ(b: usize, i: u32): u8 { return load<u8>(b + i, JitBlock.succ); }
@inline export function setSucc(b: usize, i: u32, to: u8): void { store<u8>(b + i, to, JitBlock.succ); }
/** Edges of the block, with those that only an entry takes. */
@inline export function edges(b: usize): u32 { return <u32>load<u8>(b, JitBlock.succCount) + load<u8>(b, JitBlock.extra); }
@inline export function ordered(i: u32): u32 { return load<u8>(J + <usize>i, JitOff.orderList); }
export function ripOf(b: usize): u64 { return load<u64>(b, JitBlock.ripBase) + load<u16>(headOf(b), BlockOff.off); }

/** Reverse postorder and dominators, repeated until every edge that goes back goes to a dominator. */
export function order(): void {
  const blocks = jget(JitOff.blockCount);
  for (;;) {
    for (let i: u32 = 0; i < blocks; i++) store<u8>(blockOf(i), NONE, JitBlock.rpo);
    const root = jget(JitOff.root), all = root ? blocks + 1 : blocks;
    jset(JitOff.order, all);
    visit(root);
    // postorder was written from the back: close the gap of the blocks that cannot be reached
    const gap = jget(JitOff.order), count = all - gap;
    memory.copy(J + JitOff.orderList, J + JitOff.orderList + <usize>gap, <usize>count);
    jset(JitOff.order, count);
    for (let i: u32 = 0; i < count; i++) store<u8>(blockOf(ordered(i)), <u8>i, JitBlock.rpo);
    dominators(count);
    if (!cutIrreducible(count)) break;
  }
  count();
}

const VISITING: u8 = 0xfe;

function visit(n: u32): void {
  const b = blockOf(n);
  store<u8>(b, VISITING, JitBlock.rpo);
  for (let i: i32 = <i32>edges(b) - 1; i >= 0; i--) {
    const s = succ(b, i);
    if (s != NONE && load<u8>(blockOf(s), JitBlock.rpo) == NONE) visit(s);
  }
  const at = jget(JitOff.order) - 1;
  store<u8>(J + <usize>at, <u8>n, JitOff.orderList);
  jset(JitOff.order, at);
}

@inline export function rpo(n: u32): u32 { return load<u8>(blockOf(n), JitBlock.rpo); }
@inline function idom(n: u32): u32 { return load<u8>(blockOf(n), JitBlock.idom); }

function dominators(count: u32): void {
  for (let i: u32 = 0; i < count; i++) store<u8>(blockOf(ordered(i)), NONE, JitBlock.idom);
  const root = jget(JitOff.root);
  store<u8>(blockOf(root), <u8>root, JitBlock.idom);
  for (let changed = true; changed; ) {
    changed = false;
    for (let i: u32 = 0; i < count; i++) {
      const from = ordered(i), b = blockOf(from);
      if (idom(from) == NONE) continue;
      for (let k: u32 = 0; k < edges(b); k++) {
        const to = <u32>succ(b, k);
        if (to == NONE || to == root) continue;
        const old = idom(to), now = old == NONE ? from : intersect(from, old);
        if (now == old) continue;
        store<u8>(blockOf(to), <u8>now, JitBlock.idom);
        changed = true;
      }
    }
  }
}

function intersect(x: u32, y: u32): u32 {
  while (x != y) {
    while (rpo(x) > rpo(y)) x = idom(x);
    while (rpo(y) > rpo(x)) y = idom(y);
  }
  return x;
}

export function dominates(a: u32, b: u32): bool {
  while (rpo(b) > rpo(a)) b = idom(b);
  return a == b;
}

function cutIrreducible(count: u32): bool {
  let cut = false;
  for (let i: u32 = 0; i < count; i++) {
    const from = ordered(i), b = blockOf(from);
    for (let k: u32 = 0; k < edges(b); k++) {
      const to = <u32>succ(b, k);
      if (to == NONE || rpo(to) > i || dominates(to, from)) continue;
      setSucc(b, k, NONE);
      cut = true;
    }
  }
  return cut;
}

/** Loop headers and forward edges. */
function count(): void {
  const n = jget(JitOff.order);
  for (let i: u32 = 0; i < n; i++) {
    const b = blockOf(ordered(i));
    store<u32>(b, 0, JitBlock.outKind);
    store<u32>(b, 0, JitBlock.predCount);
    store<u16>(b, 0, JitBlock.allPreds);
    store<u16>(b, 0, JitBlock.shown);
    store<u8>(b, load<u8>(b, JitBlock.flags) & ~JitBlockFlag.loop, JitBlock.flags);
  }
  for (let i: u32 = 0; i < n; i++) {
    const b = blockOf(ordered(i));
    for (let k: u32 = 0; k < edges(b); k++) {
      const to = succ(b, k);
      if (to == NONE) continue;
      const s = blockOf(to);
      store<u16>(s, load<u16>(s, JitBlock.allPreds) + 1, JitBlock.allPreds);
      store<u8>(s, <u8>ordered(i), JitBlock.pred);
      if (load<u8>(s, JitBlock.rpo) <= <u8>i) store<u8>(s, load<u8>(s, JitBlock.flags) | JitBlockFlag.loop, JitBlock.flags);
      else store<u32>(s, load<u32>(s, JitBlock.predCount) + 1, JitBlock.predCount);
    }
  }
}
