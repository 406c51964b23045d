/** How large x87 registers that are held as doubles can be: the bounds of sse_range, of physical registers while a block is written. Of a register about
 *  which nothing is known it holds that it is zero or normal. */
import { JitBlock, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { J, jget, jset } from "./buffer";
import { blockOf, headOf, ordered } from "./graph";
import { endOf } from "./region";
import { isDoubtful } from "./span_runtime";
import { Doubt } from "./sse_mode";
import { highOf, lowOf, makeBounds, unitOf } from "./sse_range";
import { X, isX87 } from "./x87_pieces";

/** i16 distance of the exponents from 0, i16 unit. */
@inline function at(k: u32): usize { return J + X.bounds + (<usize>k << 2); }

export function registerBounds(k: u32): i64 {
  const far = <i32>load<i16>(at(k));
  return makeBounds(-far, load<i16>(at(k), 2), far);
}
export function setRegisterBounds(k: u32, x: i64): void {
  store<i16>(at(k), <i16>max(-lowOf(x), highOf(x)));
  store<i16>(at(k), <i16>unitOf(x), 2);
}

/** A block begins, or something else may have put anything there. */
export function forgetBounds(): void {
  for (let k: u32 = 0; k < 8; k++) setRegisterBounds(k, makeBounds(-1022, -1074, 1024));
}

/** Decides for the region whether operands that are far from 1 leave, so that results need no look. */
export function chooseX87Bounds(): void {
  let bounded: u32 = 1;
  const count = jget(JitOff.order);
  for (let i: u32 = 0; i < count; i++) {
    const n = ordered(i);
    if (n == JitBlock.DISPATCH) continue;
    const b = blockOf(n), end = endOf(b);
    for (let u = headOf(b) + RecOff.SIZE; u < end; u += RecOff.SIZE) if (isX87(u) && isDoubtful(u + Doubt.range)) bounded = 0;
  }
  jset(JitOff.x87Bounded, bounded);
}
