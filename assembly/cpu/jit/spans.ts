/** Spans: what the accesses of a straight piece of code reach through the same register, found at once. A function's prologue, its
 *  variables, the fields of a record are some bytes apart: one comparison says where all of them are, and each access is the
 *  load or store alone.
 *
 *  ```
 *  push rbx             -8 from RSP as it was
 *  push rbp            -16         } a span of root RSP: 24 bytes from -24, for writing
 *  mov  [rsp - 8], rax -24         }
 *  mov  rcx, [rdi + 8]   8 from RDI } a span of root RDI: 16 bytes from 8, for reading
 *  mov  rdx, [rdi + 16] 16         }
 *  ```
 *  A *root* is a value that addresses are constant distances from: 0, a general register or a segment's base as the stretch of code begins (a
 *  block, or what lies between two cold instructions of it), or what one of its loads gave. Which spans there are is known before the
 *  stretch is translated (span_plan). Those of registers are looked up before its first instruction, unless flags are not kept there, others at their first access.
 *  Blocks go on with the spans that all ways to them have open (span_flow).
 *
 *  The whole span has to be on one page that the TLB, or the second-level TLB, knows to be memory for what is done to it. If not, the region
 *  leaves with nothing changed, and the interpreter goes access by access. Where that happens often, the code is translated again
 *  without spans (span_runtime). Nothing is walked, nor marked as accessed, ahead of its time. */
import { JitOff } from "../../abi/jit";
import { Mode } from "../../abi/layout";
import { J, WasmType, giveUp, jget, jset } from "./buffer";
import { Effect, EffectOff, Host, effect } from "./effect";
import { Node, argA, argB, binary, constant, extend, imm, isConst, local, op, use, width } from "./node";
import { want } from "./residents";
import { rootRun } from "./runs";
import { Local, Slot, cur, fresh, unsettled } from "./slots";

export const enum Root {
  segBase = 16, // and on, as slots
  constant = 30, // an address without registers: its distance from 0
  loaded = 32, // and on: what the loads of the stretch gave
  MAX = 200,
  pair = 200, // and on: the sum of two registers, one of them shifted
  none = 0xff,
}

/** Sums of registers that are roots: base, Root.constant for none; index; how far that is shifted. The same number in all of the region. */
const MAX_PAIRS: u32 = 32;
@inline function pairAt(root: u32): usize { return J + JitOff.pairs + (<usize>(root - Root.pair) << 1); }
@inline export function isPair(root: u32): bool { return root >= <u32>Root.pair && root < <u32>Root.pair + MAX_PAIRS; }
@inline export function baseOf(pair: u32): u32 { return <u32>load<u16>(pairAt(pair)) & 31; }
@inline export function indexOf(pair: u32): u32 { return <u32>load<u16>(pairAt(pair)) >> 5 & 15; }
@inline export function shiftOf(pair: u32): u32 { return <u32>load<u16>(pairAt(pair)) >> 9; }

export function pairOf(first: u32, second: u32, shift: u32): u32 {
  const swap = !shift && first < <u32>Root.segBase && second < first;
  const key = (swap ? second : first) | (swap ? first : second) << 5 | shift << 9, count = jget(JitOff.pairCount);
  for (let n: u32 = 0; n < count; n++) if (load<u16>(pairAt(Root.pair + n)) == <u16>key) return Root.pair + n;
  if (count == MAX_PAIRS) return Root.none;
  store<u16>(pairAt(Root.pair + count), <u16>key);
  jset(JitOff.pairCount, count + 1);
  return Root.pair + count;
}

/** The value of a root that is one register or several. */
export function rootNode(root: u32): i32 {
  if (!isPair(root)) {
    want(root);
    return local(root);
  }
  const index = indexOf(root), first = baseOf(root);
  want(index);
  const shifted = binary(Node.shl, local(index), constant(shiftOf(root)));
  if (first == Root.constant) return shifted;
  want(first);
  return binary(Node.add, local(first), shifted);
}

/** One of JitOff.spans. */
export const enum SpanOff { root = 0, write = 1, open = 2, lo = 4, len = 12, host = 14, SIZE = 16 }
export const MAX_SPANS: u32 = 24;
const MAX_HOSTS: u32 = 48;
@inline export function spanAt(n: u32): usize { return J + JitOff.spans + <usize>n * SpanOff.SIZE; }

/** One of JitOff.accesses, while spans are planned. */
export const enum AccessOff { root = 0, write = 1, w = 2, taken = 3, ahead = 4, off = 8, SIZE = 16 } // ahead: of a later block
export const MAX_ACCESSES: u32 = 64;
@inline export function accessAt(n: u32): usize { return J + JitOff.accesses + <usize>n * AccessOff.SIZE; }

@inline function rootOf(slot: u32): u8 { return load<u8>(J + slot, JitOff.roots); }
@inline function distanceOf(slot: u32): i64 { return load<i64>(J + (<usize>slot << 3), JitOff.distances); }
function setRoot(slot: u32, root: u32, distance: i64): void {
  store<u8>(J + slot, <u8>root, JitOff.roots);
  store<i64>(J + (<usize>slot << 3), distance, JitOff.distances);
}

@inline export function is64(): bool { return (jget(JitOff.mode) & Mode.BITS) == Mode.bits64; }

/** Root of node `n`; its distance from that goes to JitOff.distance. Addresses of 32-bit code are sums modulo 4 GiB. */
export function findRoot(n: i32): u32 {
  let distance: i64 = 0, root: u32 = Root.none;
  for (let more = true; more; ) {
    const kind = op(n);
    more = false;
    if (kind == Node.const_) {
      distance += imm(n);
      root = Root.constant;
    } else if ((kind == Node.add || kind == Node.sub) && isConst(argB(n))) {
      distance += kind == Node.add ? imm(argB(n)) : -imm(argB(n));
      n = argA(n);
      more = true;
    } else if (kind == Node.add || kind == Node.shl) {
      root = sumRoot(n);
      distance += load<i64>(J, JitOff.distance);
    } else if (isNarrow(n)) {
      n = argA(n);
      more = true;
    } else if (kind == Node.local || kind == Node.local32) {
      const l = <u32>argA(n);
      if (l < <u32>Root.segBase) {
        root = rootOf(l);
        distance += distanceOf(l);
      } else if (l < <u32>Slot.flagsRes) root = l;
      else if (l >= <u32>Local.FIRST_TEMP && imm(n)) root = <u32>imm(n);
    }
  }
  store<i64>(J, is64() ? distance : <i64>(<i32>distance), JitOff.distance);
  return root;
}

/** An extension that changes nothing of an address modulo 4 GiB. */
@inline function isNarrow(n: i32): bool { return (op(n) == Node.zext || op(n) == Node.sext) && width(n) == 4 && !is64(); }

/** Root of a sum of two registers, or of a shifted one: `n`. */
function sumRoot(n: i32): u32 {
  let first: u32 = Root.constant, at: i64 = 0, shift: u32 = 0;
  if (op(n) == Node.add) {
    first = findRoot(argA(n));
    at = load<i64>(J, JitOff.distance);
    if (first >= <u32>Root.segBase && first != Root.constant) return Root.none;
    n = argB(n);
    if (isNarrow(n)) n = argA(n);
  }
  if (op(n) == Node.shl) {
    if (!isConst(argB(n)) || imm(argB(n)) > 3) return Root.none;
    shift = <u32>imm(argB(n));
    n = argA(n);
  }
  const second = findRoot(n);
  if (second >= <u32>Root.segBase) return Root.none;
  store<i64>(J, at + (load<i64>(J, JitOff.distance) << shift), JitOff.distance);
  return first == Root.constant && !shift ? second : pairOf(first, second, shift);
}

/** The stretch of code from here on has no spans yet; registers are their own roots. */
export function beginSpans(): void {
  jset(JitOff.spanCount, 0);
  jset(JitOff.loads, 0);
  for (let slot: u32 = 0; slot < <u32>Root.segBase; slot++) setRoot(slot, slot, 0);
}

/** The values of the piece are about to go to the locals: where they are from is kept. */
export function carryRoots(): void {
  if (!jget(JitOff.spanCount)) return;
  for (let slot: u32 = 0; slot < <u32>Root.segBase; slot++) {
    const root = findRoot(cur(slot));
    store<u8>(J + slot, <u8>root, JitOff.newRoots);
    store<i64>(J + (<usize>slot << 3), load<i64>(J, JitOff.distance), JitOff.newDistances);
  }
  memory.copy(J + JitOff.roots, J + JitOff.newRoots, 16);
  memory.copy(J + JitOff.distances, J + JitOff.newDistances, 128);
}

/** A span of the stretch: `len` bytes from `lo`. */
export function addSpan(root: u32, write: u32, lo: i64, len: u32, host: u32, isOpen: bool): void {
  const n = jget(JitOff.spanCount), s = spanAt(n);
  if (n == MAX_SPANS) return;
  store<u32>(s, root | write << 8 | u32(isOpen) << 16);
  store<i64>(s, lo, SpanOff.lo);
  store<u16>(s, <u16>len, SpanOff.len);
  store<u16>(s, <u16>host, SpanOff.host);
  jset(JitOff.spanCount, n + 1);
}

/** A local for a host address that no span of the stretch has, nor one of a loop. */
export function freeHost(): u32 {
  let k: u32 = 0;
  while (k < jget(JitOff.spanLocals) && (load<u64>(J, JitOff.pinned) >> k & 1 || taken(load<u16>(J + (<usize>k << 1), JitOff.spanHosts)))) k++;
  if (k == MAX_HOSTS) {
    giveUp();
    k--;
  }
  if (k == jget(JitOff.spanLocals)) {
    store<u16>(J + (<usize>k << 1), <u16>fresh(<u8>WasmType.i32), JitOff.spanHosts);
    jset(JitOff.spanLocals, k + 1);
  }
  return load<u16>(J + (<usize>k << 1), JitOff.spanHosts);
}

/** The host addresses of all open spans stay as they are wherever the region goes from here. */
export function pinHosts(): void {
  const count = jget(JitOff.spanLocals);
  for (let k: u32 = 0; k < count; k++) {
    if (taken(load<u16>(J + (<usize>k << 1), JitOff.spanHosts))) store<u64>(J, load<u64>(J, JitOff.pinned) | <u64>1 << k, JitOff.pinned);
  }
}

function taken(local: u32): bool {
  const count = jget(JitOff.spanCount);
  for (let n: u32 = 0; n < count; n++) if (load<u16>(spanAt(n), SpanOff.host) == local) return true;
  return false;
}

/** The next load of the stretch: the root its value is, 0 if there are too many. */
export function nextLoad(): u32 {
  const n = jget(JitOff.loads) + 1;
  jset(JitOff.loads, n);
  return n < <u32>(Root.MAX - Root.loaded) ? Root.loaded + n : 0;
}

/** While spans are planned: an access of `w` bytes at node `lin`. */
export function noteAccess(lin: i32, w: i32, write: bool): void {
  const n = jget(JitOff.accessCount), root = findRoot(lin), a = accessAt(n);
  if (root == Root.none || n == MAX_ACCESSES) return;
  store<u32>(a, root | u32(write) << 8 | <u32>w << 16);
  store<i64>(a, load<i64>(J, JitOff.distance), AccessOff.off);
  jset(JitOff.accessCount, n + 1);
}

@inline function hostLocal(n: u32): u32 { return load<u16>(spanAt(n), SpanOff.host); }

/** Something may leave here. In a block that was trusted not to, flags would be wrong: without stores in arms it would have them. */
export function noteWayOut(): void {
  if (load<u64>(J, JitOff.trusted) >> jget(JitOff.current) & 1) giveUpStores();
}

/** The region is to be written again, without stores in arms. */
export function giveUpStores(): void {
  jset(JitOff.storeArms, 0);
  giveUp();
}

/** Looks up span `n`, whose first byte is at node `first`; record `u` is the one to leave at. `loop`: see openSpans. */
export function openSpan(n: u32, first: i32, u: usize, loop: u32): void {
  const s = spanAt(n), h = hostLocal(n);
  noteWayOut();
  const a = is64() ? first : extend(Node.zext, first, 4);
  use(a);
  const e = effect(Effect.span, 0, a, h, load<u16>(s, SpanOff.len), u);
  const write = load<u8>(s, SpanOff.write);
  store<u8>(e, write, EffectOff.cc);
  store<u8>(e, <u8>rootRun(load<u8>(s, SpanOff.root), load<i64>(s, SpanOff.lo), write != 0, u), EffectOff.run);
  store<u32>(e, loop, EffectOff.flags);
  store<u8>(s, 1, SpanOff.open);
}

/** Opens the spans of registers, ahead of record `u`. All state is in the locals. `loop`: number of the block + 1 if that is a loop's header
 *  which is not entered yet. */
export function openSpans(u: usize, loop: u32 = 0): void {
  const count = jget(JitOff.spanCount);
  for (let n: u32 = 0; n < count; n++) {
    const s = spanAt(n), root = <u32>load<u8>(s, SpanOff.root);
    if (root >= <u32>Root.loaded || load<u8>(s, SpanOff.open)) continue;
    const lo = constant(load<i64>(s, SpanOff.lo));
    if (root == Root.constant) openSpan(n, lo, u, loop);
    else openSpan(n, binary(Node.add, rootNode(root), lo), u, loop);
  }
}

/** Host of the access of `w` bytes at node `lin`, 0 if no span has it. */
export function spanHost(lin: i32, w: i32, write: bool, u: usize): u32 {
  const count = jget(JitOff.spanCount);
  if (!count) return 0;
  const root = findRoot(lin), distance = load<i64>(J, JitOff.distance);
  for (let n: u32 = 0; n < count; n++) {
    const s = spanAt(n), at = distance - load<i64>(s, SpanOff.lo);
    if (load<u8>(s, SpanOff.root) != <u8>root || (write && !load<u8>(s, SpanOff.write)) || at < 0 || at + w > <i64>load<u16>(s, SpanOff.len)) continue;
    if (!load<u8>(s, SpanOff.open)) {
      if (unsettled()) {
        jset(JitOff.again, 1);
        return hostLocal(n) | Host.span;
      }
      openSpan(n, binary(Node.add, lin, constant(-at)), u, 0);
    }
    return hostLocal(n) | Host.span | <u32>at << Host.DISPLACEMENT;
  }
  return 0;
}
