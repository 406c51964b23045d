/** Strides: accesses of an innermost loop through registers that every round moves by the same number of bytes. Where such a loop begins, each is
 *  looked up once, and how many rounds stay on its page is worked out. The least of these numbers becomes a limit for what is left of the slice,
 *  which the loop's header asks for in any case: so rounds have no look at any page, and where the limit is met, all strides are looked up again.
 *  Most loops are done after a few rounds, so it is first asked whether some rounds are there for all strides, which needs no number (stride_start).
 *
 *  ```
 *  loop                      ;; again
 *    if the loop begins, and all bytes of the next few rounds are on pages the TLB has
 *      addends; limit := left - instructions of these rounds
 *    else
 *      out if the slice is over
 *      look up each stride: its addend; limit := left - rounds * instructions of a round
 *    loop                    ;; the guest's
 *      to the outer loop if left <= limit
 *      host address of each stride := what moves + addend
 *  ```
 *  Addends and limit are what either of two ways gave, so the host's compiler cannot put off computing them to where they are used, in each round.
 *
 *  What holds for spans (spans.ts) holds for these, which are spans to the blocks of the loop: a stride that is not known to be memory makes the
 *  region leave at the header, where nothing has been done yet.
 *
 *  The loop is looked at block by block: JitOff.flow has what registers are where one begins, and in its last entry where a round ends, as
 *  distances from what they are where the round begins. */
import { JitBlock, JitBlockFlag, JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Flag, Gpr } from "../../abi/x86";
import { BlockOff } from "../code_cache";
import { Template } from "../opcodes.gen";
import { PCPU } from "../pcpu";
import { J, Wasm, WasmType, byte, hint, i32const, jget, jset, loadWord, localGet, localSet, localTee } from "./buffer";
import { emit32 } from "./values";
import { emitEffects } from "./codegen";
import { Control, enterControl, leaveControl } from "./control";
import { leaveAtEnd, leaveBefore } from "./leaving";
import { NONE, blockOf, headOf, ordered, rpo, succ } from "./graph";
import { hasInner, innerLoop } from "./loops";
import { Node, binary, constant } from "./node";
import { endOf, isTemplate, templateOf } from "./region";
import { limitOf, setLimit } from "./rounds";
import { Local, beginPiece, fresh, temp32 } from "./slots";
import { startStrides } from "./stride_start";
import { SummaryOff, summaryOf, worthwhile } from "./span_plan";
import { AccessOff, MAX_SPANS, Root, addSpan, baseOf, freeHost, indexOf, is64, isPair, openSpan, pairOf, rootNode, shiftOf } from "./spans";

/** Of one loop: each has two locals that are in use throughout it. */
const MAX_STRIDES: u32 = 5;
/** Bytes a round may move a register by: with more, pages are left too often. */
const FARTHEST: i32 = 256;
const PAGE: i32 = 4096;

/** Moving: registers of the root that are not the same in each round. */
export const enum Moving { base = 1, index = 2 }
export const enum StrideOff { root = 0, write = 1, len = 2, lo = 4, step = 8, addend = 12, host = 14, span = 16, moving = 17, run = 18, SIZE = 24 }
@inline export function strideAt(k: u32): usize { return J + JitOff.strides + <usize>k * StrideOff.SIZE; }

/** roots u8[16], distances i32[16], instructions u32 of the shortest way there, 1 if some way is known u32 */
const enum FlowOff { distances = 16, insns = 80, known = 84, SIZE = 96 }
const ROUND: u32 = JitBlock.DISPATCH;
@inline function flowOf(n: u32): usize { return J + JitOff.flow + <usize>n * FlowOff.SIZE; }

/** Finds the strides of the loop of header `n`, whose spans of other kinds are open; how many there are. */
export function findStrides(n: u32): u32 {
  jset(JitOff.strideCount, 0);
  const u = headOf(blockOf(n)) + RecOff.SIZE, loop = innerLoop(n), strings = templatesIn(loop, Template.movs, Template.lods);
  if (load<u8>(blockOf(n), JitBlock.extra) || hasInner(n, loop) || !worthwhile(u, u + RecOff.SIZE) || !follow(n, loop) || stepOf(Gpr.rsp) != 0) return 0;
  if (strings && templatesIn(loop, Template.flag, Template.flag)) return 0; // CLD and STD are among these
  for (let left = loop; left; left &= left - 1) noteAccesses(<u32>ctz(left));
  const count = jget(JitOff.strideCount);
  for (let k: u32 = 0; k < count; k++) {
    const s = strideAt(k);
    store<u16>(s, <u16>freeHost(), StrideOff.host);
    store<u8>(s, <u8>jget(JitOff.spanCount), StrideOff.span);
    store<u8>(s, movingOf(load<u8>(s)), StrideOff.moving);
    store<u16>(s, <u16>fresh(<u8>WasmType.i32), StrideOff.addend);
    addSpan(load<u8>(s), load<u8>(s, StrideOff.write), load<i32>(s, StrideOff.lo), load<u16>(s, StrideOff.len), load<u16>(s, StrideOff.host), true);
  }
  if (!count) return 0;
  if (strings) store<u64>(J, load<u64>(J, JitOff.steady) | loop, JitOff.steady);
  setLimit(n, fresh(<u8>WasmType.i32));
  fresh(<u8>WasmType.i32); // startOf(n)
  jset(JitOff.least, load<u32>(flowOf(ROUND), FlowOff.insns));
  return count;
}

/** Some instruction of the blocks of `loop` is of a template from `first` to `last`. */
function templatesIn(loop: u64, first: i32, last: i32): bool {
  for (; loop; loop &= loop - 1) {
    const b = blockOf(<u32>ctz(loop)), end = endOf(b);
    for (let u = headOf(b) + RecOff.SIZE; u < end; u += RecOff.SIZE) if (isTemplate(u) && templateOf(u) >= first && templateOf(u) <= last) return true;
  }
  return false;
}

/** Where registers come from in each block of the loop; false if that does not help. */
function follow(h: u32, loop: u64): bool {
  memory.fill(J + JitOff.flow, 0, <usize>(JitBlock.DISPATCH + 1) * FlowOff.SIZE);
  const first = flowOf(h), count = jget(JitOff.order);
  for (let slot: usize = 0; slot < <usize>Root.segBase; slot++) store<u8>(first + slot, <u8>slot);
  store<u32>(first, 1, FlowOff.known);
  for (let i = rpo(h); i < count; i++) {
    const n = ordered(i), b = blockOf(n), s = summaryOf(n), from = flowOf(n);
    if (!(loop >> n & 1) || !load<u32>(from, FlowOff.known)) continue;
    if (load<u8>(s, SummaryOff.stops)) return false;
    let insns = load<u32>(from, FlowOff.insns) + load<u16>(headOf(b), BlockOff.count);
    if (load<u8>(b, JitBlock.flags) & JitBlockFlag.short && succ(b, 0) != NONE) insns -= load<u16>(headOf(blockOf(succ(b, 0))), BlockOff.count);
    for (let k: u32 = 0; k < <u32>load<u8>(b, JitBlock.succCount); k++) {
      const to = <u32>succ(b, k);
      if (to == NONE || !(loop >> to & 1)) continue;
      bring(s, from, flowOf(to == h ? ROUND : to), insns);
    }
  }
  return load<u32>(flowOf(ROUND), FlowOff.insns) != 0;
}

/** Distances are kept in 32 bits, which is what addresses of 32-bit code are modulo. */
@inline function fits(distance: i64): bool { return !is64() || distance == <i64>(<i32>distance); }

/** The way through the block with summary `s`, which begins as `from` says, leads to what `to` is about. */
function bring(s: usize, from: usize, to: usize, insns: u32): void {
  const known = load<u32>(to, FlowOff.known);
  for (let slot: usize = 0; slot < <usize>Root.segBase; slot++) {
    const via = <usize>load<u8>(s + slot, SummaryOff.roots), at = slot << 2;
    let root = via < <usize>Root.segBase ? load<u8>(from + via) : <u8>Root.none;
    const sum = root == <u8>Root.none ? 0 : <i64>load<i32>(from + (via << 2), FlowOff.distances) + load<i32>(s + at, SummaryOff.distances);
    if (!fits(sum)) root = <u8>Root.none;
    const distance = root == <u8>Root.none ? 0 : <i32>sum;
    if (!known) {
      store<u8>(to + slot, root);
      store<i32>(to + at, distance, FlowOff.distances);
    } else if (load<u8>(to + slot) != root || load<i32>(to + at, FlowOff.distances) != distance) {
      store<u8>(to + slot, <u8>Root.none);
      store<i32>(to + at, 0, FlowOff.distances);
    }
  }
  store<u32>(to, known ? min(insns, load<u32>(to, FlowOff.insns)) : insns, FlowOff.insns);
  store<u32>(to, 1, FlowOff.known);
}

/** Register `slot` at the end of a round is itself, so far on. */
@inline function moves(slot: u32): bool { return load<u8>(flowOf(ROUND) + slot) == <u8>slot; }
@inline function stepOf(slot: u32): i32 { return load<i32>(flowOf(ROUND) + (<usize>slot << 2), FlowOff.distances); }
@inline function distanceIn(f: usize, slot: u32): i32 { return load<i32>(f + (<usize>slot << 2), FlowOff.distances); }

/** The accesses of block `n` that are strides. */
function noteAccesses(n: u32): void {
  const s = summaryOf(n), f = flowOf(n), accesses = <u32>load<u8>(s);
  if (!load<u32>(f, FlowOff.known)) return;
  for (let k: u32 = 0; k < accesses; k++) {
    const a = s + SummaryOff.accesses + <usize>k * AccessOff.SIZE, root = <u32>load<u8>(a, AccessOff.root);
    const off = load<i64>(a, AccessOff.off), w = <u32>load<u8>(a, AccessOff.w), write = load<u8>(a, AccessOff.write);
    if (off != <i64>(<i32>off)) continue;
    if (root < <u32>Root.segBase) {
      const from = <u32>load<u8>(f + root);
      if (from != Root.none && moves(from) && stepOf(from)) note(from, stepOf(from), off + distanceIn(f, root), w, write);
    } else if (isPair(root)) {
      const index = <u32>load<u8>(f + indexOf(root)), shift = shiftOf(root);
      if (index == Root.none || !moves(index)) continue;
      let first = baseOf(root), step = <i64>stepOf(index) << shift, at = off + (<i64>distanceIn(f, indexOf(root)) << shift);
      if (first != Root.constant) {
        at += distanceIn(f, first);
        first = load<u8>(f + first);
        if (first == Root.none || !moves(first)) continue;
        step += stepOf(first);
      }
      const pair = pairOf(first, index, shift);
      if (pair != Root.none) note(pair, step, at, w, write);
    }
  }
}

/** An access of `w` bytes, `distance` from `root`, which moves by `by`. Those that lie within one step of each other share a stride. */
function note(root: u32, by: i64, distance: i64, w: u32, write: u8): void {
  const step = <i32>by, at = <i32>distance, far = abs(step), count = jget(JitOff.strideCount);
  if (!fits(by) || !fits(distance) || <u32>far > <u32>FARTHEST) return; // the least number has no positive counterpart
  for (let k: u32 = 0; k < count; k++) {
    const s = strideAt(k), lo = load<i32>(s, StrideOff.lo), from = min(lo, at), to = max(lo + <i32>load<u16>(s, StrideOff.len), at + <i32>w);
    if (load<u8>(s) != <u8>root || <u32>(to - from) > <u32>max(far, <i32>w)) continue;
    store<i32>(s, from, StrideOff.lo);
    store<u16>(s, <u16>(to - from), StrideOff.len);
    store<u8>(s, load<u8>(s, StrideOff.write) | write, StrideOff.write);
    return;
  }
  if (count == MAX_STRIDES || jget(JitOff.spanCount) + count == MAX_SPANS) return;
  const s = strideAt(count);
  store<u32>(s, root | <u32>write << 8 | w << 16);
  store<i32>(s, at, StrideOff.lo);
  store<i32>(s, step, StrideOff.step);
  jset(JitOff.strideCount, count + 1);
}

/** Which registers of `root` move. */
function movingOf(root: u32): u8 {
  if (!isPair(root)) return <u8>Moving.base;
  const first = baseOf(root);
  let moving: u32 = stepOf(indexOf(root)) ? Moving.index : 0;
  if (first != Root.constant && stepOf(first)) moving |= Moving.base;
  return <u8>moving;
}

/** The scaled index of a root that is a sum. */
export function indexNode(root: u32): i32 { return binary(Node.shl, rootNode(indexOf(root)), constant(shiftOf(root))); }

/** What moves of a stride's root; 0 if nothing does. */
function movingNode(s: usize): i32 {
  const root = <u32>load<u8>(s), moving = load<u8>(s, StrideOff.moving);
  if (!moving) return 0;
  if (!isPair(root)) return rootNode(root);
  if (moving == Moving.index) return indexNode(root);
  return rootNode(moving == Moving.base ? baseOf(root) : root);
}

/** [] -> []: looks up all strides, and sets the limit. All state is in the locals; the loop of header `n` is next. */
export function openStrides(n: u32): void {
  const head = headOf(blockOf(n)), count = <i32>load<u16>(head, BlockOff.count);
  if (load<u64>(J, JitOff.steady) >> n & 1) {
    loadWord(PcpuOff.rflags);
    i32const(Flag.DF);
    byte(Wasm.i32and);
    i32const(load<u32>(PCPU, PcpuOff.rflags) & Flag.DF);
    byte(Wasm.i32ne);
    hint(false);
    byte(Wasm.if_);
    byte(WasmType.void_);
    leaveBefore(n, 1);
    byte(Wasm.end);
  }
  byte(Wasm.block);
  byte(WasmType.void_);
  enterControl(Control.if_);
  startStrides(n);
  leaveAtEnd(head, count);
  lookUp(n);
  leaveControl();
}

/** [] -> []: the same for as many rounds as there are. */
function lookUp(n: u32): void {
  const head = headOf(blockOf(n)), u = head + RecOff.SIZE, insns = load<u16>(head, BlockOff.count);
  const count = jget(JitOff.strideCount), rounds = fresh(<u8>WasmType.i32), limit = limitOf(n);
  beginPiece(0);
  for (let k: u32 = 0; k < count; k++) {
    const s = strideAt(k);
    openSpan(load<u8>(s, StrideOff.span), binary(Node.add, rootNode(load<u8>(s)), constant(load<i32>(s, StrideOff.lo))), u, n + 1);
  }
  emitEffects();
  beginPiece(0);
  let some = false;
  for (let k: u32 = 0; k < count; k++) {
    const s = strideAt(k), step = load<i32>(s, StrideOff.step), moving = movingNode(s);
    localGet(load<u16>(s, StrideOff.host));
    if (moving) {
      emit32(moving);
      byte(Wasm.i32sub);
    }
    localSet(load<u16>(s, StrideOff.addend));
    if (!step || hasStep(step, k)) continue;
    roundsOf(k, step);
    if (some) choose(rounds, Wasm.i32lt_u);
    else localSet(rounds);
    some = true;
  }
  if (!some) {
    i32const(PAGE);
    localSet(rounds);
  }
  // limit := max(left - rounds * least, insns - 1)
  i32const(insns - 1);
  localSet(limit);
  localGet(Local.left);
  localGet(rounds);
  i32const(jget(JitOff.least));
  byte(Wasm.i32mul);
  byte(Wasm.i32sub);
  choose(limit, Wasm.i32ge_s);
}

/** Some stride before number `end` moves by `step`. */
function hasStep(step: i32, end: u32): bool {
  for (let k: u32 = 0; k < end; k++) if (load<i32>(strideAt(k), StrideOff.step) == step) return true;
  return false;
}

/** [i32] -> []: local `to` becomes that if it is related to it so. */
function choose(to: u32, relation: i32): void {
  const t = temp32();
  localTee(t);
  localGet(to);
  localGet(t);
  localGet(to);
  byte(relation);
  byte(Wasm.select);
  localSet(to);
}

/** [] -> [i32]: rounds in which strides from number `first` on that move by `step` stay on their pages, the next one included. */
function roundsOf(first: u32, step: i32): void {
  const count = jget(JitOff.strideCount), farthest = temp32();
  for (let k = first; k < count; k++) {
    const s = strideAt(k);
    if (load<i32>(s, StrideOff.step) != step) continue;
    // frames begin where a page of the host's memory would, so both addresses have the same low bits
    localGet(load<u16>(s, StrideOff.host));
    i32const(PAGE - 1);
    byte(Wasm.i32and);
    if (step > 0) {
      i32const(load<u16>(s, StrideOff.len));
      byte(Wasm.i32add);
    }
    if (k == first) localSet(farthest);
    else choose(farthest, step > 0 ? Wasm.i32gt_u : Wasm.i32lt_u);
  }
  if (step > 0) {
    i32const(PAGE); // in a run it may already be beyond
    choose(farthest, Wasm.i32lt_u);
    i32const(PAGE);
  }
  localGet(farthest);
  if (step > 0) byte(Wasm.i32sub);
  i32const(step > 0 ? step : -step);
  byte(Wasm.i32div_u);
  i32const(1);
  byte(Wasm.i32add);
}

/** [] -> []: host addresses of the strides in this round. */
export function moveStrides(): void {
  const count = jget(JitOff.strideCount);
  beginPiece(0);
  for (let k: u32 = 0; k < count; k++) {
    const s = strideAt(k), moving = movingNode(s);
    localGet(load<u16>(s, StrideOff.addend));
    if (moving) {
      emit32(moving);
      byte(Wasm.i32add);
    }
    localSet(load<u16>(s, StrideOff.host));
  }
}
