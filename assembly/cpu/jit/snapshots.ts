/** What a piece of a block has computed goes to the locals: all of it where the piece ends, what had been by then where something leaves within. */
import { JitOff } from "../../abi/jit";
import { J, localSet } from "./buffer";
import { Node, argA, argB, imm, op, setT64, t32, t64, width } from "./node";
import { assign } from "./residents";
import { Slot, cur, isEntry, CURRENT_SLOTS, temp64 } from "./slots";
import { emit64, emit32 } from "./values";

/** [] -> []: the slots of a snapshot to their locals, all at once. */
export function restore(snap: u32): void {
  const list = J + JitOff.snaps + (<usize>snap << 2), count = load<u32>(list);
  for (let i: u32 = 1; i <= count; i++) {
    const item = load<u32>(list + (<usize>i << 2));
    if (item >> 16 == Slot.flagsKind) emit32(item & 0xffff);
    else emit64(item & 0xffff);
  }
  for (let i = count; i > 0; i--) assign(load<u32>(list + (<usize>i << 2)) >> 16);
}

/** Nodes a cold arm may compute for one slot. */
const HEAVY: i32 = 16;

/** What is left of `left` after the nodes that computing `n` anew takes. */
function weigh(n: i32, is64: bool, left: i32): i32 {
  left--;
  if (left <= 0 || t64(n) || (!is64 && t32(n))) return left;
  switch (op(n)) {
    case Node.const_: case Node.local: case Node.local32: case Node.word: case Node.flag: case Node.float: return left;
    case Node.sext: case Node.zext: return weigh(argA(n), false, left);
    case Node.ctz: case Node.clz: case Node.popcnt: return weigh(argA(n), true, left);
    case Node.fromCond: return weigh(argA(n), false, left);
    case Node.bit: return weigh(argA(n), false, left);
    case Node.shr: case Node.sar: return weigh(argA(n), true, left);
    case Node.ordered: return width(n) ? left : weigh(argB(n), true, weigh(argA(n), true, left));
    case Node.ltu: case Node.eq: case Node.compare: return weigh(argB(n), true, weigh(argA(n), true, left));
    case Node.select: left = weigh(<i32>imm(n), false, left);
    default: return weigh(argB(n), is64, weigh(argA(n), is64, left));
  }
}

/** [] -> []: computes on the main path what a snapshot has that is much: the arms of several accesses would compute it again, and what
 *  was used twice within, twice. */
export function ready(snap: u32): void {
  const list = J + JitOff.snaps + (<usize>snap << 2), count = load<u32>(list);
  for (let i: u32 = 1; i <= count; i++) {
    const n = <i32>(load<u32>(list + (<usize>i << 2)) & 0xffff);
    if (weigh(n, true, HEAVY) > 0) continue;
    emit64(n);
    const t = temp64();
    localSet(t);
    setT64(n, t);
  }
}

/** [] -> []: everything the piece computed goes to the locals. Flags only if somebody may look. */
export function settle(flags: bool): void {
  const last: u32 = flags ? CURRENT_SLOTS : Slot.flagsRes;
  for (let slot: u32 = 0; slot < last; slot++) {
    if (isEntry(slot)) continue;
    if (slot == Slot.flagsKind) emit32(cur(slot));
    else emit64(cur(slot));
  }
  for (let slot = last; slot > 0; slot--) if (!isEntry(slot - 1)) assign(slot - 1);
}
