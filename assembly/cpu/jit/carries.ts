/** Loops that keep CF in its local. INC and DEC leave CF as it was, and what that is a block that is reached with different kinds of flags would have to ask
 *  the core for, in every round. So every way into a loop with such instructions brings CF along. */
import { JitBlock, JitBlockFlag, JitCarry, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { recordsOf } from "../code_cache";
import { Template } from "../opcodes.gen";
import { Unary } from "../semantics/alu";
import { jget } from "./buffer";
import { blockOf, dominates, headOf, ordered } from "./graph";
import { lastOf } from "./loops";
import { isTemplate, templateOf } from "./region";

/** Decides for all blocks, which are in order. */
export function chooseCarries(): void {
  const count = jget(JitOff.order);
  for (let i: u32 = 0; i < count; i++) {
    const n = ordered(i), b = blockOf(n), loop = load<u8>(b, JitBlock.flags) & JitBlockFlag.loop;
    store<u8>(b, loop ? (countsIn(n, i, lastOf(n, count)) ? JitCarry.wanted : 0) : i ? JitCarry.kept : 0, JitBlock.carry);
    store<u8>(b, 0, JitBlock.carryOut);
  }
}

/** The loop of `header` has an INC or DEC. */
function countsIn(header: u32, first: u32, last: i32): bool {
  for (let i = first; <i32>i <= last; i++) {
    const n = ordered(i);
    if (!dominates(header, n)) continue;
    const head = headOf(blockOf(n)), records = <u32>recordsOf(head);
    for (let k: u32 = 1; k <= records; k++) {
      const u = head + <usize>k * RecOff.SIZE;
      if (isTemplate(u) && templateOf(u) == Template.unary && ((<i32>load<u16>(u, RecOff.desc) >> 5) & 15) <= Unary.dec) return true;
    }
  }
  return false;
}
