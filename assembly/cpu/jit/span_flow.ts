/** Spans from block to block. Where a block ends, its open spans are those of registers that are still at a constant distance from what the
 *  span is of. A block begins with the spans that all ways to it have, in the same locals, of the same register and the same bytes. Of a loop
 *  the ways back are not written yet: it begins with those of registers that it leaves alone (span_loops).
 *
 *  A list: count u8, 1 if some way has brought it u8, at 8 items of ItemOff's form. */
import { JitBlock, JitOff } from "../../abi/jit";
import { J, jget, jset } from "./buffer";
import { cur } from "./slots";
import { Root, SpanOff, addSpan, baseOf, beginSpans, findRoot, indexOf, isPair, shiftOf, spanAt } from "./spans";

const enum ListOff { count = 0, brought = 1, entries = 8, SIZE = 128, MAX = 7 }
const enum ItemOff { root = 0, write = 1, host = 2, len = 4, lo = 8, SIZE = 16 } // root: a register's, or the constant one

@inline function outOf(n: u32): usize { return J + JitOff.spansOut + <usize>n * ListOff.SIZE; }
@inline function inOf(n: u32): usize { return J + JitOff.spansIn + <usize>n * ListOff.SIZE; }
@inline function itemAt(list: usize, i: u32): usize { return list + ListOff.entries + <usize>i * ItemOff.SIZE; }

/** A region begins. */
export function clearFlow(): void {
  store<u64>(J, 0, JitOff.pinned);
  jset(JitOff.pairCount, 0);
  memory.fill(J + JitOff.spansOut, 0, 2 * JitBlock.DISPATCH * ListOff.SIZE + 2 * ListOff.SIZE);
}

/** Block `n` begins. */
export function inheritSpans(n: u32): void {
  beginSpans();
  const list = inOf(n), count = <u32>load<u8>(list);
  for (let i: u32 = 0; i < count; i++) {
    const e = itemAt(list, i);
    addSpan(load<u8>(e), load<u8>(e, ItemOff.write), load<i64>(e, ItemOff.lo), load<u16>(e, ItemOff.len), load<u16>(e, ItemOff.host), true);
  }
}

/** Block `n` is about to end, its values not in the locals yet. */
export function leaveSpans(n: u32): void { listSpans(outOf(n)); }

/** The loop of header `n` begins with the spans that are open now. */
export function enterLoop(n: u32): void { listSpans(inOf(n)); }

function listSpans(list: usize): void {
  const spans = jget(JitOff.spanCount);
  store<u8>(list, 0);
  if (!spans) return;
  note(list, Root.constant, Root.constant, 0);
  for (let slot: u32 = 0; slot < <u32>Root.segBase; slot++) {
    const root = findRoot(cur(slot));
    if (root != Root.none && root != Root.constant) note(list, slot, root, load<i64>(J, JitOff.distance));
  }
  for (let k: u32 = 0; k < spans; k++) if (isPair(load<u8>(spanAt(k))) && isFirst(k)) notePair(list, load<u8>(spanAt(k)));
}

/** No span before the `k`th is of the same root. */
function isFirst(k: u32): bool {
  const root = load<u8>(spanAt(k));
  for (let i: u32 = 0; i < k; i++) if (load<u8>(spanAt(i)) == root) return false;
  return true;
}

/** Open spans of a sum of registers that are still at a constant distance from what they were. */
function notePair(list: usize, pair: u32): void {
  const first = baseOf(pair), index = indexOf(pair);
  if (findRoot(cur(index)) != index) return;
  let distance = load<i64>(J, JitOff.distance) << shiftOf(pair);
  if (first != Root.constant) {
    if (findRoot(cur(first)) != first) return;
    distance += load<i64>(J, JitOff.distance);
  }
  note(list, pair, pair, distance);
}

/** Open spans of `root`, from which `as` is so far now. */
function note(list: usize, as: u32, root: u32, distance: i64): void {
  const spans = jget(JitOff.spanCount);
  let count = <u32>load<u8>(list);
  for (let k: u32 = 0; k < spans && count < <u32>ListOff.MAX; k++) {
    const s = spanAt(k), e = itemAt(list, count);
    if (load<u8>(s, SpanOff.root) != <u8>root || !load<u8>(s, SpanOff.open)) continue;
    store<u64>(e, as | <u32>load<u8>(s, SpanOff.write) << 8 | <u32>load<u16>(s, SpanOff.host) << 16);
    store<u16>(e, load<u16>(s, SpanOff.len), ItemOff.len);
    store<i64>(e, load<i64>(s, SpanOff.lo) - distance, ItemOff.lo);
    count++;
  }
  store<u8>(list, <u8>count);
}

/** A way from block `from` to block `to`; from where it begins if `early`. */
export function bringSpans(from: u32, to: u32, early: bool): void {
  const source = early ? inOf(from) : outOf(from), target = inOf(to), most = <u32>load<u8>(source);
  if (!load<u8>(target, ListOff.brought)) {
    memory.copy(target, source, ListOff.SIZE);
    store<u8>(target, 1, ListOff.brought);
    return;
  }
  const count = <u32>load<u8>(target);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const e = itemAt(target, i);
    let found = false;
    for (let k: u32 = 0; k < most && !found; k++) found = memory.compare(e, itemAt(source, k), ItemOff.SIZE) == 0;
    if (!found) continue;
    memory.copy(itemAt(target, kept), e, ItemOff.SIZE);
    kept++;
  }
  store<u8>(target, <u8>kept);
}
