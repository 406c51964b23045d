/** Guest state in wasm locals. Slot n lives in local n; within a piece `cur` names the node that holds its present value. */
import { JitOff } from "../../abi/jit";
import { J, jget, jset } from "./buffer";
import { Node, argA, imm, local, make, op } from "./node";

export const enum Slot {
  gpr = 0, // 16 general registers
  segBase = 16, // 6 segment bases, never written
  flagsRes = 22, flagsA = 23, flagsB = 24, flagsCarry = 25, // operands at any extension, see flags.ts
  flagsKind = 26, // i32
}

/** Locals that are no slots. */
export const enum Local { left = 27, tlb = 28, result = 29, entry = 30, lin = 31, next = 32, route = 33, FIRST_TEMP = 34 }

export const CURRENT_SLOTS: u32 = 27;

@inline export function cur(slot: u32): i32 { return <i32>load<u32>(J + (<usize>slot << 2), JitOff.cur); }
@inline export function setCur(slot: u32, node: i32): void { store<u32>(J + (<usize>slot << 2), <u32>node, JitOff.cur); }

/** The slot still has the value of its local. */
export function isEntry(slot: u32): bool {
  const n = cur(slot), kind = op(n);
  return (kind == Node.local || (kind == Node.local32 && slot == Slot.flagsKind)) && argA(n) == <i32>slot;
}

/** Some slot's value is not in its local. */
export function unsettled(): bool {
  for (let slot: u32 = 0; slot < CURRENT_SLOTS; slot++) if (!isEntry(slot)) return true;
  return false;
}

/** What the flags' kind is known to be, 0 if it is not. */
export function knownKind(): i32 {
  const n = cur(Slot.flagsKind);
  return op(n) == Node.const_ || op(n) == Node.local32 ? <i32>imm(n) : 0;
}

/** A new piece begins: all values are in their locals, no temporary is in use. `kind`: what the flags' local has, 0 unknown. */
export function beginPiece(kind: i32): void {
  jset(JitOff.nodeCount, 1);
  jset(JitOff.effectCount, 0);
  jset(JitOff.snapNext, 0);
  jset(JitOff.free64, 0);
  jset(JitOff.free32, 0);
  for (let slot: u32 = 0; slot < CURRENT_SLOTS; slot++) setCur(slot, slot == Slot.flagsKind ? make(Node.local32, 4, slot, 0, kind) : local(slot));
}

const I32: u8 = 0x7f, I64: u8 = 0x7e;

/** A local of its own. */
export function fresh(type: u8): u32 {
  const n = jget(JitOff.tempCount);
  if (n >= 1000) {
    jset(JitOff.bad, 1);
    return Local.FIRST_TEMP;
  }
  jset(JitOff.tempCount, n + 1);
  store<u8>(J + <usize>n, type, JitOff.types);
  return Local.FIRST_TEMP + n;
}

/** A temporary for the rest of the piece. */
export function temp64(): u32 {
  const n = jget(JitOff.free64);
  jset(JitOff.free64, n + 1);
  if (n >= jget(JitOff.count64)) {
    if (n >= 500) { jset(JitOff.bad, 1); return Local.FIRST_TEMP; }
    store<u16>(J + (<usize>n << 1), <u16>fresh(I64), JitOff.list64);
    jset(JitOff.count64, n + 1);
  }
  return load<u16>(J + (<usize>n << 1), JitOff.list64);
}

export function temp32(): u32 {
  const n = jget(JitOff.free32);
  jset(JitOff.free32, n + 1);
  if (n >= jget(JitOff.count32)) {
    if (n >= 500) { jset(JitOff.bad, 1); return Local.FIRST_TEMP; }
    store<u16>(J + (<usize>n << 1), <u16>fresh(I32), JitOff.list32);
    jset(JitOff.count32, n + 1);
  }
  return load<u16>(J + (<usize>n << 1), JitOff.list32);
}
