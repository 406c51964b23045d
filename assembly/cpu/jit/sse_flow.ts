/** What blocks may expect of the low elements of XMM registers: that they are *near*, within askedBounds (sse_range.ts). A block expects what all ways to it
 *  bring. A loop expects more: what its ways back bring if it begins so, and what it would ask in each round is asked once before it. As the loop has to
 *  run anyhow, nothing leaves there: if something is not as expected the region is in *doubt* from then on, which is a local, and a block that relies on
 *  what only holds without doubt looks at that local before it does. In doubt it asks itself.
 *
 *  Bits: registers whose low f64 is near, from 16 on those whose low f32 is. */
import { JitBlock, JitBlockFlag, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { Handler } from "../handler";
import { Op } from "../opcodes.gen";
import { isMem, opSize } from "../operand";
import { Arith } from "../semantics/ieee";
import { J, Wasm, WasmType, byte, giveUp, hint, i32const, jget, jset, localGet, localSet } from "./buffer";
import { NONE, blockOf, edges, headOf, ordered, rpo, succ } from "./graph";
import { endOf, isTemplate } from "./region";
import { fresh } from "./slots";
import { sseProperties, writtenBy } from "./sse";
import { regOf, rmOf } from "./sse_emit";
import { isBounded } from "./sse_mode";
import { getLow, ifFar, leaveUnlessNear, slotV } from "./sse_plain";
import { Ask, askedBounds, boundsOf, forgetRanges, integerBounds, learn, markAsked, markLow, nearBits, plainLow, resultBounds, toAsk, unknown } from "./sse_range";

/** u32 each: what a block expects; what it has where it ends; what it would ask if it expected nothing, of the values registers begin with; the same of it and
 *  all that come behind. */
const enum NearOff { expects = 0, ends = 4, asks = 8, ahead = 12 }
@inline function nearOf(n: u32): usize { return J + JitOff.near + <usize>n * 512; }
function expects(n: u32): u32 { return load<u32>(nearOf(n), NearOff.expects); }
function ends(n: u32): u32 { return load<u32>(nearOf(n), NearOff.ends); }

/** Decides for the region, whose blocks are in order. */
export function followNear(): void {
  const count = jget(JitOff.order);
  jset(JitOff.doubtLocal, 0);
  jset(JitOff.doubtful, 0);
  for (let n: u32 = 0; n < 62; n++) {
    store<u64>(nearOf(n), 0);
    store<u64>(nearOf(n), 0, NearOff.asks);
  }
  if (!jget(JitOff.usesSse) || !isBounded()) return;
  for (let i: u32 = 0; i < count; i++) {
    const n = ordered(i);
    begin(0);
    const asks = walk(n);
    store<u32>(nearOf(n), asks, NearOff.asks);
    store<u32>(nearOf(n), asks, NearOff.ahead);
    store<u32>(nearOf(n), ~0, NearOff.expects);
    store<u32>(nearOf(n), ~0, NearOff.ends);
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = count; i > 0; i--) if (lookAhead(ordered(i - 1))) changed = true;
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (let i: u32 = 0; i < count; i++) {
      const n = ordered(i), before = expects(n), now = brought(n, count) & before;
      begin(now);
      walk(n);
      const end = n == JitBlock.DISPATCH ? 0 : nearBits();
      if (now == before && end == ends(n)) continue;
      store<u32>(nearOf(n), now, NearOff.expects);
      store<u32>(nearOf(n), end, NearOff.ends);
      changed = true;
    }
  }
  begin(0);
  let any: u32 = 0;
  for (let i: u32 = 0; i < count; i++) any |= expects(ordered(i));
  if (any) jset(JitOff.doubtLocal, fresh(<u8>WasmType.i32));
}

/** More is asked from block `n` on than it was known to be. */
function lookAhead(n: u32): bool {
  const b = blockOf(n), before = load<u32>(nearOf(n), NearOff.ahead);
  let behind: u32 = 0;
  for (let k: u32 = 0; k < <u32>load<u8>(b, JitBlock.succCount); k++) if (succ(b, k) != NONE) behind |= load<u32>(nearOf(succ(b, k)), NearOff.ahead);
  const now = before | (behind & ~overwrites(n));
  store<u32>(nearOf(n), now, NearOff.ahead);
  return now != before;
}

/** Registers that block `n` overwrites. */
function overwrites(n: u32): u32 {
  if (n == JitBlock.DISPATCH) return ~0;
  const b = blockOf(n), end = endOf(b);
  let all: u32 = 0;
  for (let u = headOf(b) + RecOff.SIZE; u < end; u += RecOff.SIZE) {
    const p = sseProperties(u);
    if (p) all |= writtenBy(u, p) * 0x10001;
    else if (isHelpers(u)) return ~0;
  }
  return all;
}

/** Some helper performs record `u`, and may write any register. */
function isHelpers(u: usize): bool { return !isTemplate(u) && load<u16>(u, RecOff.handler) != Handler.goto; }

/** What all ways into block `n` bring that begin at places from `first` up to `end` in the order. */
function broughtFrom(first: u32, end: u32, n: u32): u32 {
  let all: u32 = ~0;
  for (let i = first; i < end; i++) {
    const from = ordered(i), b = blockOf(from), usual = <u32>load<u8>(b, JitBlock.succCount);
    for (let k: u32 = 0; k < edges(b); k++) if (<u32>succ(b, k) == n) all &= k < usual ? ends(from) : expects(from);
  }
  return all;
}

/** What those bring that do not come from its own loop. */
function broughtForward(n: u32): u32 { return n == jget(JitOff.root) ? 0 : broughtFrom(0, rpo(n), n); }

/** What the ways into block `n` bring together, and of what its loop asks that which its ways back bring. */
function brought(n: u32, count: u32): u32 {
  const entry = broughtForward(n);
  if (!(load<u8>(blockOf(n), JitBlock.flags) & JitBlockFlag.loop)) return entry;
  return broughtFrom(rpo(n), count, n) & (entry | load<u32>(nearOf(n), NearOff.ahead));
}

/** A block begins with no more than `near`. */
function begin(near: u32): void {
  forgetRanges();
  for (let r: u32 = 0; r < 16; r++) {
    if (near >> r & 1) markLow(r, true, askedBounds(true));
    if (near >> (r + 16) & 1) markLow(r, false, askedBounds(false));
  }
}

/** Brings what is known to the end of block `n`; what it asks of the values registers begin with. */
function walk(n: u32): u32 {
  if (n == JitBlock.DISPATCH) return 0;
  const b = blockOf(n), end = endOf(b);
  let asks: u32 = 0, old: u32 = 0xffff;
  for (let u = headOf(b) + RecOff.SIZE; u < end; u += RecOff.SIZE) {
    const p = sseProperties(u);
    if (p) {
      asks |= perform(u, p, old);
      old &= ~writtenBy(u, p);
    } else if (isHelpers(u)) {
      old = 0;
      forgetRanges();
    }
  }
  return asks;
}

/** What is known behind record `u`, no more than its code will find; what it asks of registers `old`. */
function perform(u: usize, p: u32, old: u32): u32 {
  const op = <i32>load<u16>(u, RecOff.op), n = regOf(u);
  switch (op) {
    case Op.addsd: case Op.addss: return arithmetic(u, Arith.add, op == Op.addsd, old);
    case Op.subsd: case Op.subss: return arithmetic(u, Arith.sub, op == Op.subsd, old);
    case Op.mulsd: case Op.mulss: return arithmetic(u, Arith.mul, op == Op.mulsd, old);
    case Op.divsd: case Op.divss: return arithmetic(u, Arith.div, op == Op.divsd, old);
    case Op.movaps: case Op.movups:
      if (isMem(u)) unknown(n);
      else learn(n, rmOf(u), false);
      return 0;
    case Op.movsd: case Op.movq:
      if (isMem(u)) unknown(n);
      else if (n != rmOf(u)) learn(n, rmOf(u), true);
      return 0;
    case Op.xorps: case Op.pxor:
      unknown(n);
      if (isMem(u) || rmOf(u) != n) return 0;
      markLow(n, true, integerBounds(1));
      markLow(n, false, integerBounds(1));
      return 0;
    case Op.cvtsi2sd: case Op.cvtsi2ss:
      unknown(n);
      markLow(n, op == Op.cvtsi2sd, integerBounds(opSize(u) == 8 ? 63 : 31));
      return 0;
    default: break;
  }
  const written = writtenBy(u, p);
  if (written) unknown(<u32>ctz(written));
  return 0;
}

/** As boundsOfResult (sse_float.ts). */
function arithmetic(u: usize, op: i32, wide: bool, old: u32): u32 {
  const n = regOf(u), m = rmOf(u), memory = isMem(u), near = askedBounds(wide), one = !memory && m == n;
  let asks: u32 = 0, x = near, y = near;
  if (plainLow(n, wide)) x = boundsOf(n, wide);
  else {
    asks |= 1 << n;
    markAsked(n, wide);
  }
  if (one) y = x;
  else if (!memory && plainLow(m, wide)) y = boundsOf(m, wide);
  else if (!memory) {
    asks |= 1 << m;
    markAsked(m, wide);
  }
  const ask = toAsk(op, x, y, wide, one);
  if (ask & Ask.left) {
    x = near;
    if (one) y = x;
  }
  if (ask & Ask.right) {
    y = near;
    if (!memory) markAsked(m, wide);
  }
  unknown(n);
  markLow(n, wide, resultBounds(op, x, y, wide));
  return wide ? asks & old : (asks & old) << 16;
}

/** [] -> []: before the loop of header `n`: doubt if something is not near that is not known to be and that the loop expects. */
export function openDoubt(n: u32): void { raise(expects(n) & ~broughtForward(n)); }

/** [] -> []: doubt if some of the elements `open` are not near. By branches: what is computed the host's compiler computes where it is used, in each round. */
function raise(open: u32): void {
  if (!open || !jget(JitOff.doubtLocal)) return;
  for (let r: u32 = 0; r < 32; r++) {
    if (!(open >> r & 1)) continue;
    const wide = r < 16, v = slotV(wide);
    getLow(r & 15, wide);
    localSet(v);
    ifFar(v, wide);
    i32const(1);
    localSet(jget(JitOff.doubtLocal));
    byte(Wasm.end);
    byte(Wasm.end);
  }
}

/** What block `n` begins with, besides what is known from the only block before it. */
export function expectNear(n: u32): void { jset(JitOff.doubtful, expects(n) & ~nearBits()); }

/** [] -> []: what block `n` ends with. What it was thought to ask it may not have had to, as it knew more. */
export function endNear(n: u32): void {
  const b = blockOf(n), now = nearBits() | jget(JitOff.doubtful);
  let wanted: u32 = 0;
  for (let k: u32 = 0; k < <u32>load<u8>(b, JitBlock.succCount); k++) if (succ(b, k) != NONE) wanted |= expects(succ(b, k));
  raise(wanted & ends(n) & ~now);
  store<u32>(nearOf(n), now | ends(n), NearOff.ends);
}

/** The way from block `n` to `to` brings what that expects; of a loop that is entered openDoubt has asked. */
export function checkNear(n: u32, to: u32, early: bool): void {
  if (rpo(to) > rpo(n) && load<u8>(blockOf(to), JitBlock.flags) & JitBlockFlag.loop) return;
  if (expects(to) & ~(early ? expects(n) : ends(n))) giveUp();
}

/** Whether the low element of `n` is plain; what is so only without doubt is asked for first, all at once. */
export function findPlain(u: usize, n: u32, wide: bool): bool {
  if (plainLow(n, wide)) return true;
  const all = jget(JitOff.doubtful);
  if (!(all >> (wide ? n : n + 16) & 1)) return false;
  const now = all & (load<u32>(nearOf(jget(JitOff.current)), NearOff.asks) | 1 << (wide ? n : n + 16));
  localGet(jget(JitOff.doubtLocal));
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  for (let r: u32 = 0; r < 32; r++) {
    if (!(now >> r & 1)) continue;
    const first = r < 16, v = slotV(first);
    getLow(r & 15, first);
    localSet(v);
    leaveUnlessNear(u, v, first, 1);
  }
  byte(Wasm.end);
  for (let r: u32 = 0; r < 32; r++) if (now >> r & 1) markAsked(r & 15, r < 16);
  return true;
}
