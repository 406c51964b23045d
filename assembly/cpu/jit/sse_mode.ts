/** How a region's SSE instructions are translated, and what is learned from leaving it. Both ways are right for all operands; each is quick for most. */
import { JitBlock, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { jget, jset } from "./buffer";
import { blockOf, headOf, ordered } from "./graph";
import { endOf } from "./region";
import { isDoubtful } from "./span_runtime";
import { sseProperties } from "./sse";

export const enum SseMode {
  bounded = 1, // operands that are far from 1 leave (sse_range.ts): results need no look
  settled = 2, // code leaves while PE is not noted yet: results need not be exact
}

/** What was found to leave too often, in the low bits of a record's address. */
export const enum Doubt { range = 1, exact = 2, run = 8 }

@inline export function isBounded(): bool { return (jget(JitOff.sseMode) & SseMode.bounded) != 0; }
@inline export function isSettled(): bool { return (jget(JitOff.sseMode) & SseMode.settled) != 0; }

/** Decides for the region, whose blocks are in order. */
export function chooseSseMode(): void {
  let mode: u32 = SseMode.bounded | SseMode.settled;
  const count = jget(JitOff.order);
  for (let i: u32 = 0; i < count && jget(JitOff.usesSse); i++) {
    const n = ordered(i);
    if (n == JitBlock.DISPATCH) continue;
    const b = blockOf(n), end = endOf(b);
    for (let u = headOf(b) + RecOff.SIZE; u < end; u += RecOff.SIZE) {
      if (!sseProperties(u)) continue;
      if (isDoubtful(u + Doubt.range)) mode &= ~SseMode.bounded;
      if (isDoubtful(u + Doubt.exact)) mode &= ~SseMode.settled;
    }
  }
  jset(JitOff.sseMode, mode);
}
