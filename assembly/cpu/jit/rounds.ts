/** From one round of a loop to the next. Where a loop begins again an interrupt may be taken, so the slice is asked for there, and whoever leaves shows
 *  the flags. Few others do: most loops set flags before anything looks at them. So a loop with few ways back has that question on each of these
 *  instead of where it begins, and as the block it begins with is written before them, it is known by then whether that block has any use
 *  for the flags it is entered with. If not, only the arm that leaves has them; the host's compiler need not keep them from round to round. If
 *  it shows them only where it leaves, as an access does that may fault, ways back name them (defer.ts). */
import { JitBlock, JitOff } from "../../abi/jit";
import { J, jget, jset } from "./buffer";
import { NONE, blockOf, ordered, rpo, succ } from "./graph";
import { innerLoop } from "./loops";
import { Slot, isEntry } from "./slots";

/** More ways back would make more code than the question is worth. */
const MAX_WAYS: u32 = 16;

const enum Old { flags = 1, carry = 2 }

@inline function has(mask: usize, n: u32): bool { return (load<u64>(J + mask) >> n & 1) != 0; }
@inline function add(mask: usize, n: u32): void { store<u64>(J + mask, load<u64>(J + mask) | <u64>1 << n); }

/** A region begins. */
export function clearRounds(): void {
  store<u64>(J, 0, JitOff.flagsSeen);
  store<u64>(J, 0, JitOff.flagsShown);
  store<u64>(J, 0, JitOff.carrySeen);
  store<u64>(J, 0, JitOff.checked);
  store<u64>(J, 0, JitOff.steady);
  memory.fill(J + JitOff.limits, 0, 62 * 2);
  jset(JitOff.flagsOld, 0);
}

/** Decides for the loop of header `n`. */
export function checkOnWaysBack(n: u32): bool {
  const count = jget(JitOff.order), loop = limitOf(n) ? innerLoop(n) : ~(<u64>0);
  let ways: u32 = 0;
  if (load<u8>(blockOf(n), JitBlock.extra)) return false;
  for (let i = rpo(n); i < count; i++) {
    const b = blockOf(ordered(i));
    for (let k: u32 = 0; k < <u32>load<u8>(b, JitBlock.succCount); k++) if (<u32>succ(b, k) == n && loop >> ordered(i) & 1) ways++;
  }
  if (ways > MAX_WAYS) return false;
  add(JitOff.checked, n);
  return true;
}

@inline export function isChecked(n: u32): bool { return has(JitOff.checked, n); }
/** The local with the limit of a loop's strides, 0 if it has none. */
@inline export function limitOf(n: u32): u32 { return load<u16>(J + (<usize>n << 1), JitOff.limits); }
/** The local that is 1 if that loop begins, 0 where it looks up its strides again. */
@inline export function startOf(n: u32): u32 { return limitOf(n) + 1; }
export function setLimit(n: u32, local: u32): void { store<u16>(J + (<usize>n << 1), <u16>local, JitOff.limits); }

/** Block `n` begins to be written. */
export function beginFlags(n: u32): void {
  jset(JitOff.current, n);
  jset(JitOff.flagsOld, Old.flags | Old.carry);
  jset(JitOff.moved, 0);
}

/** Which of the flags in the locals will be those the block began with, once the piece is settled. */
export function ageFlags(): void {
  let old = jget(JitOff.flagsOld);
  if (!isEntry(Slot.flagsKind)) old &= ~Old.flags;
  if (!isEntry(Slot.flagsKind) && !(jget(JitOff.carryLevel) && isEntry(Slot.flagsCarry))) old &= ~Old.carry;
  jset(JitOff.flagsOld, old);
}

/** The block ends: what it leaves as it was is seen by those behind it. */
export function endFlags(): void {
  ageFlags();
  seeFlags();
  jset(JitOff.flagsOld, 0);
}

/** The code being written leaves. */
export function showFlags(): void {
  const n = jget(JitOff.current), b = blockOf(n);
  if (!(jget(JitOff.flagsOld) & Old.flags) || !isChecked(n)) {
    seeFlags();
    return;
  }
  add(JitOff.flagsShown, n);
  store<u16>(b, load<u16>(b, JitBlock.shown) | <u16>jget(JitOff.moved), JitBlock.shown);
}

/** The code being written asks the core about flags. */
export function seeFlags(): void {
  const old = jget(JitOff.flagsOld), n = jget(JitOff.current);
  if (old & Old.flags) add(JitOff.flagsSeen, n);
  if (old & Old.carry) add(JitOff.carrySeen, n);
}

/** The code being written reads local `slot`. */
export function seeSlot(slot: u32): void {
  const old = jget(JitOff.flagsOld), n = jget(JitOff.current);
  if (!old || slot < <u32>Slot.flagsRes || slot > <u32>Slot.flagsKind) return;
  if (slot == Slot.flagsCarry) {
    if (old & Old.carry) add(JitOff.carrySeen, n);
  } else if (old & Old.flags) add(JitOff.flagsSeen, n);
}

/** The way from block `n` to block `to` is one back to a loop that has no use for flags. */
export function dropsFlags(n: u32, to: u32): bool {
  return to != NONE && rpo(to) <= rpo(n) && isChecked(to) && !has(JitOff.flagsSeen, to) && !beginsAnew(n, to);
}

/** The way from block `n` back to `to` is one of a loop around that whose strides are looked up. */
export function beginsAnew(n: u32, to: u32): bool { return limitOf(to) && !(innerLoop(to) >> n & 1); }

/** The same, but ways out of the block there would have them. */
export function showsFlags(to: u32): bool { return has(JitOff.flagsShown, to); }

export function dropsCarry(n: u32, to: u32): bool { return dropsFlags(n, to) && !has(JitOff.carrySeen, to); }
