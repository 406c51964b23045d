/** CF within loops. INC and DEC leave CF as it was, and what that is a block that is reached with different kinds of flags would have to ask the core
 *  for, in every round. So every way into a loop with such instructions brings CF along in a local of its own. Where a function begins, that local
 *  says that CF is in memory with the other flags: enough for those who only pass it on. Loops that add with carry get the bit itself. */
import { JitBlock, JitBlockFlag, JitCarry, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { recordsOf } from "../code_cache";
import { Template } from "../opcodes.gen";
import { Alu, Unary } from "../semantics/alu";
import { Shift } from "../semantics/shift";
import { jget } from "./buffer";
import { blockOf, dominates, headOf, ordered } from "./graph";
import { lastOf } from "./loops";
import { isTemplate, templateOf } from "./region";

/** Decides for all blocks, which are in order. */
export function chooseCarries(): void {
  const count = jget(JitOff.order);
  for (let i: u32 = 0; i < count; i++) {
    const n = ordered(i), b = blockOf(n), loop = load<u8>(b, JitBlock.flags) & JitBlockFlag.loop;
    store<u8>(b, loop ? <u8>wantedIn(n, i, lastOf(n, count)) : i ? JitCarry.here : JitCarry.kept, JitBlock.carry);
    store<u8>(b, n == JitBlock.DISPATCH ? JitCarry.kept : JitCarry.none, JitBlock.carryOut);
  }
}

/** What the loop of `header`, at `first` in the order, wants. */
function wantedIn(header: u32, first: u32, last: i32): u32 {
  let level: u32 = JitCarry.none;
  for (let i = first; <i32>i <= last; i++) {
    const n = ordered(i);
    if (!dominates(header, n)) continue;
    const head = headOf(blockOf(n)), records = <u32>recordsOf(head);
    for (let k: u32 = 1; k <= records; k++) level = max(level, wantedBy(head + <usize>k * RecOff.SIZE));
  }
  return level;
}

function wantedBy(u: usize): u32 {
  if (!isTemplate(u)) return JitCarry.none;
  const t = templateOf(u), op = (<i32>load<u16>(u, RecOff.desc) >> 5) & 15;
  if (t == Template.unary) return op <= Unary.dec ? JitCarry.kept : JitCarry.none;
  if (t == Template.alu) return op == Alu.adc || op == Alu.sbb ? JitCarry.here : JitCarry.none;
  return t == Template.shift && (op == Shift.rcl || op == Shift.rcr) ? JitCarry.here : JitCarry.none;
}
