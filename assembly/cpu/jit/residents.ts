/** Where the guest's registers are while a region runs: between its blocks always in the pCPU block, where the interpreter has them, and as far
 *  as somebody asks in locals too. So no way in has to load any, and a way out saves those that its own block has changed so far: *pending*.
 *
 *  A local is filled when a piece of code first asks for it, and good until control flow meets or something outside may have changed the
 *  register. What is read without having been asked for comes from the pCPU block. Loops are different: the locals of the registers that a loop and those within it name are filled before the outermost begins and
 *  saved when it is left, so these are *resident* in all of its blocks. */
import { JitBlock, JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { recordsOf } from "../code_cache";
import { J, jget, jset, loadLong, localGet, localSet, saveLong } from "./buffer";
import { blockOf, dominates, headOf, ordered } from "./graph";
import { lastOf } from "./loops";
import { registersOfArm } from "./arms";
import { registersIn } from "./region";
import { Slot, isEntry } from "./slots";

const MAX_PENDING: u32 = 6;

@inline export function residents(n: u32): u32 { return load<u32>(J + (<usize>n << 2), JitOff.residents); }

@inline export function changing(n: u32): u32 { return load<u32>(J + (<usize>n << 2), JitOff.changing); }
/** 1 + the header of the loop whose residents block `n` has in locals, 0 if there is none. */
@inline export function loopOf(n: u32): u32 { return load<u8>(J + <usize>n, JitOff.innermost); }

/** Slots whose locals are right where block `n` ends. */
@inline export function validAtEnd(n: u32): u32 { return load<u32>(J + (<usize>n << 2), JitOff.validAtEnd); }
@inline export function rememberValid(n: u32): void { store<u32>(J + (<usize>n << 2), jget(JitOff.valid), JitOff.validAtEnd); }

/** Decides for all blocks, which are in order. */
export function chooseResidents(): void {
  const count = jget(JitOff.order);
  memory.fill(J + JitOff.residents, 0, 64 * 4);
  memory.fill(J + JitOff.validAtEnd, 0, 64 * 4);
  memory.fill(J + JitOff.changing, 0, 64 * 4);
  memory.fill(J + JitOff.innermost, 0, 64);
  jset(JitOff.spill, 0);
  jset(JitOff.valid, 0);
  jset(JitOff.missing, 0);
  jset(JitOff.pending, 0);
  for (let i: u32 = 0; i < count; i++) {
    const last = lastOf(ordered(i), count);
    const header = ordered(i);
    if (last < 0 || loopOf(header)) continue;
    let slots: u64 = 0;
    for (let k = i; <i32>k <= last; k++) if (dominates(header, ordered(k))) slots |= slotsOf(ordered(k));
    for (let k = i; <i32>k <= last; k++) {
      const n = ordered(k);
      if (!dominates(header, n)) continue;
      store<u32>(J + (<usize>n << 2), <u32>slots, JitOff.residents);
      store<u32>(J + (<usize>n << 2), <u32>(slots >> 32), JitOff.changing);
      store<u8>(J + <usize>n, <u8>(header + 1), JitOff.innermost);
    }
  }
}

/** Registers the instructions of block `n` name, and those that they change in the upper half. */
function slotsOf(n: u32): u64 {
  if (n == JitBlock.DISPATCH) return 0;
  const head = headOf(blockOf(n)), first = head + RecOff.SIZE;
  return registersOfArm(n) | registersIn(first, first + <usize>recordsOf(head) * RecOff.SIZE, head);
}

/** The piece being translated asks for the value a slot begins with. */
export function want(slot: u32): void {
  const bit = <u32>1 << slot;
  if (slot < <u32>Slot.flagsRes && !(jget(JitOff.valid) & bit) && isEntry(slot)) jset(JitOff.missing, jget(JitOff.missing) | bit);
}

/** [] -> []: before the code of a piece: the locals it asks for. */
export function loadMissing(): void {
  fill(jget(JitOff.missing));
  jset(JitOff.missing, 0);
}

/** [] -> []: of `slots`, those whose locals are not right. */
export function fill(slots: u32): void {
  const valid = jget(JitOff.valid);
  slots &= ~valid;
  for (let slot: u32 = 0; slot < <u32>Slot.flagsRes; slot++) {
    if (!(slots >> slot & 1)) continue;
    loadSlot(slot);
    localSet(slot);
  }
  jset(JitOff.valid, valid | slots);
}

/** [] -> [i32 or i64]: the value slot `slot`, or any other local, begins with; from the pCPU block where nobody wanted it in its local. */
export function bring(slot: u32): void {
  if (slot < <u32>Slot.flagsRes && !(jget(JitOff.valid) >> slot & 1)) loadSlot(slot);
  else localGet(slot);
}

/** [] -> [i64]: the register of a slot, as it is between blocks. */
function loadSlot(slot: u32): void { loadLong(slot < <u32>Slot.segBase ? slot * 8 : PcpuOff.segBase + (slot - Slot.segBase) * 8); }

/** [i32 or i64] -> []: the new value of a slot. */
export function assign(slot: u32): void {
  localSet(slot);
  if (slot >= 16) return;
  jset(JitOff.moved, jget(JitOff.moved) | 1 << slot);
  jset(JitOff.valid, jget(JitOff.valid) | 1 << slot);
  if (!jget(JitOff.spill)) jset(JitOff.pending, jget(JitOff.pending) | 1 << slot);
}

/** [] -> []: to the pCPU block. */
export function save(slots: u32): void { for (let slot: u32 = 0; slot < 16; slot++) if (slots >> slot & 1) saveLong(slot * 8, slot); }

/** [] -> []: the pCPU block has what the locals have, as far as it had not. */
export function savePending(): void { save(jget(JitOff.pending)); }

/** [] -> []: the same where control flow goes on. */
export function flushPending(): void {
  savePending();
  jset(JitOff.pending, 0);
}

/** [] -> []: a piece ends within a block: what is pending should not become so much that all arms that leave have to save it. */
export function limitPending(): void { if (popcnt(jget(JitOff.pending)) > MAX_PENDING) flushPending(); }
