/** What a piece of guest code does in order: memory accesses and calls. Between two effects there are only values. An instruction
 *  that may fault begins a piece, so what it leaves with is in the locals. After a store the instruction is complete: then a
 *  snapshot has the slots that it changed. */
import { JitOff } from "../../abi/jit";
import { J, giveUp, jget, jset } from "./buffer";
import { use } from "./node";
import { CURRENT_SLOTS, cur, isEntry } from "./slots";

export const enum Effect {
  hostR = 1, // host address of w readable bytes at node a, to local h; leaves with the fault of record u
  hostW = 2,
  load = 3, // w bytes at host h, zero-extended, to local t
  store = 4, // node a to w bytes at host h; may leave after record u
  cond = 5, // condition cc of the flags, to local t, if node a, which stands for it, is used
  carry = 6, // CF, to local t, likewise
  hard = 8, // leaves to the interpreter at record u if condition a holds
  direction = 9, // RFLAGS.DF := w
  atomic = 10, // Rmw cc on w bytes at host h with node a, what was there to local t; flags: what CMPXCHG expects; may leave as a store
  canonical = 7, // leaves with #GP(0) at record u unless node a is canonical
  nothing = 11, // it has become another one's part
  sse = 16, // SSE record u; memory operand at host h, general register as node a; general or flags result to local t; flags: Sse
  sseStore = 17, // the same, storing to host h; may leave after it
  span = 12, // host address of t bytes at node a, for writing if cc, to local h; leaves at record u, with `flags` instructions less left
  place = 13, // host address h to local t
  sseReady = 18, // leaves at record u unless SSE may be used, as cc (Known) says
  aligned = 19, // leaves at record u unless node a is a multiple of 16
  immediate = 20, // w bytes of code at address u, zero-extended, to local t
}

/** A host address as effects name it: a local, and how far from what that says. */
export const enum Host {
  local = 0x7fff,
  span = 0x8000, // of a span: plain memory, about which nothing is left to find out
  DISPLACEMENT = 16,
}

/** Where code goes on that leaves after a store. */
export const enum Leave { next = 0, taken = 1, indirect = 2 }

/** 32 bytes. `leave` is of those that store, `run` (cpu/jit/runs) of those that find addresses. */
export const enum EffectOff { op = 0, w = 1, cc = 2, leave = 3, run = 3, a = 4, h = 8, t = 12, u = 16, snap = 20, flags = 24 }
const SIZE: usize = 32;
const MAX_EFFECTS: u32 = 1023;
const MAX_SNAPS: u32 = 5730;

/** The local of effect `e`'s host address. */
@inline export function hostOf(e: usize): u32 { return load<u32>(e, EffectOff.h) & Host.local; }
@inline export function displacementOf(e: usize): u32 { return load<u32>(e, EffectOff.h) >> Host.DISPLACEMENT; }
@inline export function inSpan(e: usize): bool { return (load<u32>(e, EffectOff.h) & Host.span) != 0; }

@inline export function effectAt(n: u32): usize { return J + JitOff.effects + <usize>n * SIZE; }

export function effect(op: i32, w: i32, a: i32, h: u32, t: u32, u: usize): usize {
  let n = jget(JitOff.effectCount);
  if (n >= MAX_EFFECTS) {
    giveUp();
    n = MAX_EFFECTS - 1;
  } else jset(JitOff.effectCount, n + 1);
  const e = effectAt(n);
  store<u32>(e, <u32>op | (<u32>w << 8));
  store<i32>(e, a, EffectOff.a);
  store<u32>(e, h, EffectOff.h);
  store<u32>(e, t, EffectOff.t);
  store<u32>(e, <u32>u, EffectOff.u);
  store<u32>(e, 0, EffectOff.snap);
  return e;
}

/** The state now, as the number of a list {count, slot << 16 | node ...} of the slots whose values are not in their locals. */
export function snapshot(): u32 {
  const first = jget(JitOff.snapNext);
  if (first > MAX_SNAPS) {
    giveUp();
    return first;
  }
  let n = first + 1;
  for (let slot: u32 = 0; slot < CURRENT_SLOTS; slot++) {
    if (isEntry(slot)) continue;
    const node = cur(slot);
    use(node);
    store<u32>(J + (<usize>n << 2), (slot << 16) | <u32>node, JitOff.snaps);
    n++;
  }
  store<u32>(J + (<usize>first << 2), n - first - 1, JitOff.snaps);
  jset(JitOff.snapNext, n);
  return first;
}
