/** Which spans a stretch of code has. The emitting machine performs it once beforehand: it notes accesses instead of emitting them, and what
 *  that left is taken back. Of each block this is done as the region begins, so that a span is made long enough for the blocks
 *  that come next, too.
 *
 *  A summary: accesses u8, 1 if blocks behind do not count u8, at 16 root of each register where the block ends u8[16], at 32 its
 *  distance i32[16], at 96 accesses of AccessOff's form; the rest is about XMM and x87 registers (JitOff.x87AtEnd, plainAtEnd, near). */
import { JitBlock, JitBlockFlag, JitOff } from "../../abi/jit";
import { RecFlag, RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { performAny } from "../perform";
import { J, jget, jset } from "./buffer";
import { Op } from "../opcodes.gen";
import { registersOfArm } from "./arms";
import { Emit, Term, carryLevel, setCarryLevel } from "./emit";
import { NONE, blockOf, headOf, ordered, rpo, succ } from "./graph";
import { local } from "./node";
import { endOf, flagsLive, isTemplate } from "./region";
import { CURRENT_SLOTS, beginPiece, cur, setCur, temp64 } from "./slots";
import { mayHaveSpans } from "./span_runtime";
import { AccessOff, MAX_ACCESSES, MAX_SPANS, Root, accessAt, addSpan, beginSpans, findRoot, freeHost, noteAccess, openSpans, spanAt, SpanOff } from "./spans";
import { Sse, sseProperties } from "./sse";
import { STORED, x87Operand } from "./x87";
import { isX87, opOf } from "./x87_pieces";

/** Bytes between two accesses of a span at most, and from its first to its last: the longer a span, the more often it does not fit a page. */
const GAP: i64 = 32;
const LONGEST: i64 = 512;
/** Blocks behind a block that are looked at for what its spans will be wanted for. */
const AHEAD: u32 = 3;

export const enum SummaryOff { count = 0, stops = 1, roots = 16, distances = 32, accesses = 96, MAX = 25, SIZE = 512 }
@inline export function summaryOf(n: u32): usize { return J + JitOff.summaries + <usize>n * SummaryOff.SIZE; }

/** What all blocks of the region access. */
export function summarize(): void {
  const count = jget(JitOff.order);
  for (let i: u32 = 0; i < count; i++) {
    const n = ordered(i);
    if (n == JitBlock.DISPATCH) continue;
    const b = blockOf(n), s = summaryOf(n);
    store<u64>(J, load<u64>(b, JitBlock.ripBase), JitOff.ripBase);
    beginPiece(0);
    beginSpans();
    const stopped = perform(headOf(b) + RecOff.SIZE, endOf(b), s);
    const accesses = min(jget(JitOff.accessCount), <u32>SummaryOff.MAX);
    store<u8>(s, <u8>accesses);
    forget(s, <u32>(registersOfArm(n) >> 32));
    store<u8>(s, u8(stopped), SummaryOff.stops);
    memory.copy(s + SummaryOff.accesses, J + JitOff.accesses, <usize>accesses * AccessOff.SIZE);
  }
}

/** Where `registers`, as bits, come from is not known at the end of the block with summary `s`. */
function forget(s: usize, registers: u32): void {
  for (; registers; registers &= registers - 1) {
    const slot = <usize>ctz(registers);
    store<u8>(s + slot, <u8>Root.none, SummaryOff.roots);
    store<i32>(s + (slot << 2), 0, SummaryOff.distances);
  }
}

/** Plans the spans of block `n`, from its first record `u` on to `end`, and opens them if all state is in the locals: flags that nobody could
 *  have seen are not. */
export function planBlock(n: u32, u: usize, end: usize): void {
  if (!worthwhile(u, end)) return;
  const s = summaryOf(n), count = <u32>load<u8>(s);
  if (!count) return;
  memory.copy(J + JitOff.accesses, s + SummaryOff.accesses, <usize>count * AccessOff.SIZE);
  jset(JitOff.accessCount, count);
  if (!load<u8>(s, SummaryOff.stops)) lookAhead(n, AHEAD, <u64>1 << n);
  gatherAll(count);
  if (flagsLive(n)) openSpans(u);
}

/** The same of what follows a cold instruction, which has left the flags in memory. */
export function planRest(u: usize, end: usize): void {
  beginSpans();
  if (!worthwhile(u, end)) return;
  perform(u, end, 0);
  gatherAll(jget(JitOff.accessCount));
  openSpans(u);
}

/** None of it left too often. */
export function worthwhile(u: usize, end: usize): bool {
  for (; u < end; u += RecOff.SIZE) if (!mayHaveSpans(u)) return false;
  return true;
}

/** Notes the accesses from record `u` on, up to `end` or to what no emitted code does; where its registers come from goes to `summary`, if
 *  there is one. True if it did not reach the end. */
function perform(u: usize, end: usize, summary: usize): bool {
  const nodes = jget(JitOff.nodeCount), effects = jget(JitOff.effectCount), level = carryLevel(), free64 = jget(JitOff.free64), free32 = jget(JitOff.free32), missing = jget(JitOff.missing);
  let stopped = false;
  memory.copy(J + JitOff.planned, J + JitOff.cur, CURRENT_SLOTS * 4);
  jset(JitOff.planning, 1);
  jset(JitOff.accessCount, 0);
  jset(JitOff.term, Term.none);
  for (; u < end && !jget(JitOff.term) && !stopped; u += RecOff.SIZE) {
    jset(JitOff.insnStart, <u32>u);
    const sse = sseProperties(u);
    if (jget(JitOff.nodeCount) > 1400 || jget(JitOff.effectCount) > 800) stopped = true;
    else if (sse) performSse(u, sse);
    else if (isTemplate(u)) performAny<Emit, i32>(changetype<Emit>(J), u);
    else if (isX87(u)) performX87(u);
    else stopped = true;
  }
  if (summary) for (let slot: u32 = 0; slot < <u32>Root.segBase; slot++) {
    const root = findRoot(cur(slot)), distance = load<i64>(J, JitOff.distance);
    store<u8>(summary + slot, distance == <i64>(<i32>distance) ? <u8>root : <u8>Root.none, SummaryOff.roots);
    store<i32>(summary + (<usize>slot << 2), <i32>distance, SummaryOff.distances);
  }
  jset(JitOff.planning, 0);
  jset(JitOff.loads, 0);
  jset(JitOff.nodeCount, nodes);
  jset(JitOff.effectCount, effects);
  jset(JitOff.free64, free64);
  jset(JitOff.free32, free32);
  jset(JitOff.missing, missing);
  jset(JitOff.term, Term.none);
  setCarryLevel(level);
  memory.copy(J + JitOff.cur, J + JitOff.planned, CURRENT_SLOTS * 4);
  return stopped;
}

function unknown(slot: u32): void { setCur(slot, local(temp64())); }

function performX87(u: usize): void {
  const operand = x87Operand(u);
  if (operand) noteAccess(changetype<Emit>(J).ea(u, false), operand & ~STORED, (operand & STORED) != 0);
  if (opOf(u) == Op.fnstsw_ax) unknown(Gpr.rax);
}

function performSse(u: usize, p: u32): void {
  if (load<u8>(u, RecOff.flags) & RecFlag.mem) noteAccess(changetype<Emit>(J).ea(u, false), <i32>(p & Sse.SIZE), (p & Sse.STORE) != 0);
  else if ((p & (Sse.STORE | Sse.RM_GPR)) == (Sse.STORE | Sse.RM_GPR)) unknown(load<u8>(u, RecOff.rm));
  if (p & Sse.REG_GPR) unknown(load<u8>(u, RecOff.reg));
}

/** Adds the accesses of blocks behind block `n`, as far as they are made through what its registers hold at its end. `seen`: blocks there
 *  already. */
function lookAhead(n: u32, depth: u32, seen: u64): void {
  const own = summaryOf(n);
  let from: u32 = n, roots = own + SummaryOff.roots, distances = own + SummaryOff.distances;
  const b = blockOf(n);
  for (let k: u32 = 0; k < <u32>load<u8>(b, JitBlock.succCount); k++) add(succ(b, k), roots, distances);
  // of the blocks behind those, the ones on the way straight on
  for (; depth > 1; depth--) {
    const next = straight(from);
    if (next == NONE || seen >> next & 1) return;
    seen |= <u64>1 << next;
    const s = summaryOf(next);
    if (load<u8>(s, SummaryOff.stops)) return;
    const scratch = J + (depth & 1 ? JitOff.newDistances : JitOff.planned);
    compose(s, roots, distances, scratch);
    roots = scratch;
    distances = scratch + 16;
    from = next;
    const d = blockOf(next);
    for (let k: u32 = 0; k < <u32>load<u8>(d, JitBlock.succCount); k++) if (!(seen >> succ(d, k) & 1)) add(succ(d, k), roots, distances);
  }
}

/** The one successor, or the one next in order: the others are left soon, or meet it. */
function straight(n: u32): u32 {
  const b = blockOf(n);
  let best: u32 = NONE;
  for (let k: u32 = 0; k < <u32>load<u8>(b, JitBlock.succCount); k++) {
    const to = <u32>succ(b, k);
    if (!countsBehind(n, to)) continue;
    if (best == NONE || rpo(to) < rpo(best)) best = to;
  }
  return best;
}

function countsBehind(n: u32, to: u32): bool { return to != NONE && rpo(to) > rpo(n) && !(load<u8>(blockOf(to), JitBlock.flags) & JitBlockFlag.loop); }

/** Where registers at the end of the block with summary `s` come from, given where those at its beginning do: roots u8[16] and distances
 *  i32[16] at `to`. */
function compose(s: usize, roots: usize, distances: usize, to: usize): void {
  for (let slot: usize = 0; slot < <usize>Root.segBase; slot++) {
    const via = <usize>load<u8>(s + slot, SummaryOff.roots), known = via < <usize>Root.segBase;
    store<u8>(to + slot, known ? load<u8>(roots + via) : <u8>Root.none);
    store<i32>(to + (slot << 2), known ? load<i32>(distances + (via << 2)) + load<i32>(s + (slot << 2), SummaryOff.distances) : 0, 16);
  }
}

/** Accesses of block `n`, whose registers come from `roots`. */
function add(n: u32, roots: usize, distances: usize): void {
  if (n == NONE || load<u8>(blockOf(n), JitBlock.flags) & JitBlockFlag.loop) return;
  const s = summaryOf(n), count = <u32>load<u8>(s);
  for (let i: u32 = 0; i < count; i++) {
    const from = s + SummaryOff.accesses + <usize>i * AccessOff.SIZE, slot = <usize>load<u8>(from, AccessOff.root), to = jget(JitOff.accessCount), a = accessAt(to);
    const known = slot < <usize>Root.segBase;
    if ((!known && slot != Root.constant) || to == MAX_ACCESSES) continue;
    const root = known ? load<u8>(roots + slot) : <u8>Root.constant;
    if (root == <u8>Root.none) continue;
    store<u32>(a, <u32>root | <u32>load<u8>(from, AccessOff.write) << 8 | <u32>load<u8>(from, AccessOff.w) << 16);
    store<u8>(a, 1, AccessOff.ahead);
    store<i64>(a, load<i64>(from, AccessOff.off) + (known ? <i64>load<i32>(distances + (slot << 2)) : 0), AccessOff.off);
    jset(JitOff.accessCount, to + 1);
  }
}

/** Spans of the first `own` accesses, with those of later blocks, of at least `least` accesses. */
export function gatherAll(own: u32, least: u32 = 2): void {
  const count = jget(JitOff.accessCount);
  for (let n: u32 = 0; n < own; n++) if (!load<u8>(accessAt(n), AccessOff.taken) && !inherited(accessAt(n))) gather(n, count, least);
}

/** Access `a` lies in a span the block begins with. */
function inherited(a: usize): bool {
  const spans = jget(JitOff.spanCount), w = <i64>load<u8>(a, AccessOff.w);
  for (let n: u32 = 0; n < spans; n++) {
    const s = spanAt(n), at = load<i64>(a, AccessOff.off) - load<i64>(s, SpanOff.lo);
    if (load<u8>(s, SpanOff.open) && load<u8>(s) == load<u8>(a) && load<u8>(s, SpanOff.write) >= load<u8>(a, AccessOff.write) && at >= 0 && at + w <= <i64>load<u16>(s, SpanOff.len)) return true;
  }
  return false;
}

/** The span of access `n` and of all that lie near, if there are any. What is only read here is not looked up for writing because of later
 *  blocks, which might not be reached, unless it is the stack. */
function gather(n: u32, count: u32, least: u32): void {
  const first = accessAt(n), root = load<u8>(first, AccessOff.root), stack = root == Gpr.rsp || root == Gpr.rbp;
  let lo = load<i64>(first, AccessOff.off), hi = lo + load<u8>(first, AccessOff.w), members: u32 = 1, write = load<u8>(first, AccessOff.write);
  for (let grown = true; grown; ) {
    grown = false;
    for (let k = n + 1; k < count; k++) {
      const a = accessAt(k), from = load<i64>(a, AccessOff.off), to = from + load<u8>(a, AccessOff.w);
      if (load<u8>(a, AccessOff.root) != root || load<u8>(a, AccessOff.taken) || from > hi + GAP || to < lo - GAP || max(hi, to) - min(lo, from) > LONGEST) continue;
      if (load<u8>(a, AccessOff.ahead) && load<u8>(a, AccessOff.write) && !write && !stack) continue;
      store<u8>(a, 1, AccessOff.taken);
      lo = min(lo, from);
      hi = max(hi, to);
      write |= load<u8>(a, AccessOff.write);
      members++;
      grown = true;
    }
  }
  if (members >= least && jget(JitOff.spanCount) < MAX_SPANS) addSpan(root, write, lo, <u32>(hi - lo), freeHost(), false);
}
