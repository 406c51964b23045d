/** Spans of loops: what is accessed through registers that a loop leaves alone is looked up once, before it. */
import { JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { Template } from "../opcodes.gen";
import { jget, jset } from "./buffer";
import { emitEffects } from "./codegen";
import { blockOf, headOf, ordered, rpo } from "./graph";
import { loopBody } from "./loops";
import { endOf, isTemplate, registersIn, templateOf } from "./region";
import { beginPiece } from "./slots";
import { enterLoop, inheritSpans } from "./span_flow";
import { SummaryOff, gatherAll, summaryOf, worthwhile } from "./span_plan";
import { AccessOff, MAX_ACCESSES, Root, SpanOff, accessAt, baseOf, indexOf, isPair, openSpans, pinHosts, spanAt } from "./spans";

/** [] -> []: opens the spans of the loop whose header is block `n`. All state is in the locals, general registers in the pCPU block. */
export function openLoopSpans(n: u32): void {
  const body = loopBody(n), kept = keptIn(body), u = headOf(blockOf(n)) + RecOff.SIZE;
  inheritSpans(n);
  dropOthers(kept);
  if (kept && worthwhile(u, u + RecOff.SIZE)) {
    noteAll(n, body, kept);
    gatherAll(jget(JitOff.accessCount), 1);
    beginPiece(0);
    openSpans(u, n + 1);
    emitEffects();
  }
  pinHosts();
  beginPiece(0);
  enterLoop(n);
}

/** Registers, as bits, that have at the end of each block of a loop what they had where it began; none if something in the loop may drop
 *  translations. Blocks it is left by do not count. */
function keptIn(body: u64): u32 {
  let kept: u32 = 0xffff | 1 << Root.constant;
  for (; body; body &= body - 1) {
    const n = <u32>ctz(body), s = summaryOf(n);
    if (load<u8>(s, SummaryOff.stops)) return 0;
    kept &= ~changedWithStrings(n);
    for (let slot: usize = 0; slot < <usize>Root.segBase; slot++) {
      if (load<u8>(s + slot, SummaryOff.roots) != <u8>slot || load<i32>(s + (slot << 2), SummaryOff.distances) != 0) kept &= ~(1 << <u32>slot);
    }
  }
  return kept;
}

/** Registers, as bits, that block `n` changes if it has string instructions: its summary takes DF for what it is now, so what it says of them is not certain. */
function changedWithStrings(n: u32): u32 {
  const head = headOf(blockOf(n)), first = head + RecOff.SIZE, end = endOf(blockOf(n));
  for (let u = first; u < end; u += RecOff.SIZE) if (isTemplate(u) && templateOf(u) >= Template.movs && templateOf(u) <= Template.lods) return <u32>(registersIn(first, end, head) >> 32);
  return 0;
}

/** Forgets inherited spans of registers that are not `kept`. */
function dropOthers(kept: u32): void {
  const count = jget(JitOff.spanCount);
  let left: u32 = 0;
  for (let k: u32 = 0; k < count; k++) {
    const s = spanAt(k);
    if (!isKept(load<u8>(s), kept)) continue;
    memory.copy(spanAt(left), s, SpanOff.SIZE);
    left++;
  }
  jset(JitOff.spanCount, left);
}

/** All registers that `root` is made of are `kept`. */
function isKept(root: u32, kept: u32): bool {
  if (isPair(root)) return (kept >> baseOf(root) & kept >> indexOf(root) & 1) != 0;
  return (kept >> root & 1) != 0;
}

/** Accesses of the loop of header `h` through registers that are `kept`. */
function noteAll(h: u32, body: u64, kept: u32): void {
  const blocks = jget(JitOff.order);
  let count: u32 = 0;
  for (let i = rpo(h); i < blocks; i++) {
    const n = ordered(i), s = summaryOf(n);
    if (!(body >> n & 1)) continue;
    const accesses = <u32>load<u8>(s);
    for (let k: u32 = 0; k < accesses && count < MAX_ACCESSES; k++) {
      const from = s + SummaryOff.accesses + <usize>k * AccessOff.SIZE, root = <u32>load<u8>(from);
      if (root > <u32>Root.constant || !(kept >> root & 1)) continue;
      memory.copy(accessAt(count), from, AccessOff.SIZE);
      if (i != rpo(h)) store<u8>(accessAt(count), 1, AccessOff.ahead);
      count++;
    }
  }
  jset(JitOff.accessCount, count);
}
