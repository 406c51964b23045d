/** CF where control flow meets. INC and DEC leave CF as it was, and what that is a block that is reached with different kinds of flags would have to
 *  ask the core for, in every round of a loop. So every way into a loop that has such instructions, and into a block that does not set CF before
 *  them, brings CF along in a local of its own. Where a function begins, that local says that CF is in memory with the other flags: enough for those
 *  who only pass it on. Code that adds with carry gets the bit itself. */
import { JitBlock, JitBlockFlag, JitCarry, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { recordsOf } from "../code_cache";
import { Template } from "../opcodes.gen";
import { Alu, Unary } from "../semantics/alu";
import { Shift } from "../semantics/shift";
import { jget } from "./buffer";
import { NONE, blockOf, dominates, headOf, ordered, succ } from "./graph";
import { lastOf } from "./loops";
import { endOf, flagsLive, hasAccess, isTemplate, templateOf } from "./region";

/** Decides for all blocks, which are in order. */
export function chooseCarries(): void {
  const count = jget(JitOff.order);
  for (let i = count; i > 0; i--) { // what a block leads to is looked at before it
    const n = ordered(i - 1), b = blockOf(n), loop = load<u8>(b, JitBlock.flags) & JitBlockFlag.loop;
    store<u8>(b, <u8>max(n == JitBlock.DISPATCH ? JitCarry.none : wantedAtStart(n), loop ? wantedIn(n, i - 1, lastOf(n, count)) : JitCarry.none), JitBlock.carry);
    store<u8>(b, n == JitBlock.DISPATCH ? JitCarry.kept : JitCarry.none, JitBlock.carryOut);
  }
  for (let i: u32 = 0; i < count; i++) {
    const b = blockOf(ordered(i)), wanted = load<u8>(b, JitBlock.carry);
    const brought = load<u8>(b, JitBlock.flags) & JitBlockFlag.loop || (wanted && load<u32>(b, JitBlock.predCount) > 1);
    store<u8>(b, brought ? wanted | JitCarry.brought : i ? JitCarry.here : JitCarry.kept, JitBlock.carry);
  }
}

/** What every way into block `n` has to bring. */
export function wantedCarry(n: u32): u32 {
  const carry = load<u8>(blockOf(n), JitBlock.carry);
  return carry & JitCarry.brought ? carry & JitCarry.LEVEL : JitCarry.none;
}

/** What block `n`, or what follows it, wants of CF before setting it. */
function wantedAtStart(n: u32): u32 {
  const b = blockOf(n), end = endOf(b);
  let level: u32 = JitCarry.none;
  for (let u = headOf(b) + RecOff.SIZE; u < end; u += RecOff.SIZE) {
    if (!isTemplate(u)) return level;
    if (level && hasAccess(u)) return level; // a fault would show the flags
    if (setsCarry(u)) return JitCarry.none;
    level = max(level, wantedBy(u));
    if (level == JitCarry.here) return level;
  }
  const successors = <u32>load<u8>(b, JitBlock.succCount);
  let after: u32 = JitCarry.none, seen = !successors;
  for (let k: u32 = 0; k < successors; k++) {
    const to = <u32>succ(b, k);
    if (to == NONE) seen = true;
    else {
      if (flagsLive(to)) seen = true;
      after = max(after, load<u8>(blockOf(to), JitBlock.carry));
    }
  }
  return level && seen ? max(level, after) : after;
}

/** Whatever CF was, it is not after record `u`. */
function setsCarry(u: usize): bool {
  const t = templateOf(u), op = (<i32>load<u16>(u, RecOff.desc) >> 5) & 15;
  if (t == Template.alu) return op != Alu.adc && op != Alu.sbb;
  if (t == Template.unary) return op == Unary.neg;
  if (t == Template.shift) return op > Shift.rcr;
  return t == Template.imul || t == Template.mulWide || t == Template.bitTest || t == Template.cmpj || t == Template.testj;
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
