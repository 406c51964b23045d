/** Which spans a stretch of code has: it is performed by the emitting machine, which notes accesses instead of emitting them, and what that
 *  left is taken back. */
import { JitOff } from "../../abi/jit";
import { RecFlag, RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { performAny } from "../perform";
import { J, jget, jset } from "./buffer";
import { Emit, Term, carryLevel, setCarryLevel } from "./emit";
import { local } from "./node";
import { isTemplate } from "./region";
import { CURRENT_SLOTS, setCur, temp64 } from "./slots";
import { mayHaveSpans } from "./span_runtime";
import { AccessOff, MAX_SPANS, SpanOff, accessAt, beginSpans, noteAccess, openSpans, spanAt } from "./spans";
import { Sse, sseProperties } from "./sse";
import { isX87 } from "./x87_pieces";

/** Bytes between two accesses of a span at most, and from its first to its last: the longer a span, the more often it does not fit a page. */
const GAP: i64 = 32;
const LONGEST: i64 = 1024;

/** Plans and opens the spans of the code from record `u` on, up to `end` or to what no emitted code does. All state is in the locals. */
export function planSpans(u: usize, end: usize): void {
  beginSpans();
  if (!worthwhile(u, end)) return;
  perform(u, end);
  const count = jget(JitOff.accessCount);
  for (let n: u32 = 0; n < count; n++) if (!load<u8>(accessAt(n), AccessOff.taken)) gather(n, count);
  openSpans(u);
}

/** Some of it accesses memory, and none of it left too often. */
function worthwhile(u: usize, end: usize): bool {
  for (; u < end; u += RecOff.SIZE) if (!mayHaveSpans(u)) return false;
  return true;
}

function perform(u: usize, end: usize): void {
  const nodes = jget(JitOff.nodeCount), effects = jget(JitOff.effectCount), level = carryLevel(), free64 = jget(JitOff.free64), free32 = jget(JitOff.free32), missing = jget(JitOff.missing);
  memory.copy(J + JitOff.planned, J + JitOff.cur, CURRENT_SLOTS * 4);
  jset(JitOff.planning, 1);
  jset(JitOff.accessCount, 0);
  for (; u < end && !jget(JitOff.term) && jget(JitOff.nodeCount) < 1400 && jget(JitOff.effectCount) < 800; u += RecOff.SIZE) {
    jset(JitOff.insnStart, <u32>u);
    const sse = sseProperties(u);
    if (sse) performSse(u, sse);
    else if (isTemplate(u)) performAny<Emit, i32>(changetype<Emit>(J), u);
    else if (isX87(u)) unknown(Gpr.rax); // FNSTSW
    else break;
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
}

function unknown(slot: u32): void { setCur(slot, local(temp64())); }

function performSse(u: usize, p: u32): void {
  if (load<u8>(u, RecOff.flags) & RecFlag.mem) noteAccess(changetype<Emit>(J).ea(u, false), <i32>(p & Sse.SIZE), (p & Sse.STORE) != 0);
  else if ((p & (Sse.STORE | Sse.RM_GPR)) == (Sse.STORE | Sse.RM_GPR)) unknown(load<u8>(u, RecOff.rm));
  if (p & Sse.REG_GPR) unknown(load<u8>(u, RecOff.reg));
}

/** The span of access `n` and of all that lie near, if there are any. */
function gather(n: u32, count: u32): void {
  const first = accessAt(n), root = load<u8>(first, AccessOff.root);
  let lo = load<i64>(first, AccessOff.off), hi = lo + load<u8>(first, AccessOff.w), members: u32 = 1, write = load<u8>(first, AccessOff.write);
  for (let grown = true; grown; ) {
    grown = false;
    for (let k = n + 1; k < count; k++) {
      const a = accessAt(k), from = load<i64>(a, AccessOff.off), to = from + load<u8>(a, AccessOff.w);
      if (load<u8>(a, AccessOff.root) != root || load<u8>(a, AccessOff.taken) || from > hi + GAP || to < lo - GAP || max(hi, to) - min(lo, from) > LONGEST) continue;
      store<u8>(a, 1, AccessOff.taken);
      lo = min(lo, from);
      hi = max(hi, to);
      write |= load<u8>(a, AccessOff.write);
      members++;
      grown = true;
    }
  }
  const spans = jget(JitOff.spanCount);
  if (members < 2 || spans == MAX_SPANS) return;
  const s = spanAt(spans);
  store<u32>(s, <u32>root | <u32>write << 8 | members << 24);
  store<i64>(s, lo, SpanOff.lo);
  store<u16>(s, <u16>(hi - lo), SpanOff.len);
  jset(JitOff.spanCount, spans + 1);
}
