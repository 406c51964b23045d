/** Flags that only some of the ways out of a block take along: the others go where nobody looks at them (rounds.ts). */
import { JitOff } from "../../abi/jit";
import { J, localGet, localSet } from "./buffer";
import { emit32, emit64 } from "./values";
import { Slot, cur, isEntry, temp32, temp64 } from "./slots";

@inline function deferredAt(slot: u32): usize { return J + JitOff.deferred + (<usize>(slot - Slot.flagsRes) << 1); }

/** [] -> []: the flags of the piece go to locals of their own, for the ways out that take them along. */
export function deferFlags(): void {
  for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsKind; slot++) {
    store<u16>(deferredAt(slot), 0);
    if (isEntry(slot)) continue;
    const word = slot == Slot.flagsKind;
    if (word) emit32(cur(slot));
    else emit64(cur(slot));
    const t = word ? temp32() : temp64();
    localSet(t);
    store<u16>(deferredAt(slot), <u16>t);
  }
}

export function forgetDeferred(): void { for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsKind; slot++) store<u16>(deferredAt(slot), 0); }

/** Five locals as one number: code of other blocks is written between the ways out of one. */
export function deferredNow(): u64 { return load<u64>(deferredAt(Slot.flagsRes)); }
export function kindNow(): u32 { return load<u16>(deferredAt(Slot.flagsKind)); }
export function setDeferred(four: u64, kind: u32): void {
  store<u64>(deferredAt(Slot.flagsRes), four);
  store<u16>(deferredAt(Slot.flagsKind), <u16>kind);
}

/** [] -> []: deferred flags to where they belong; CF alone if `carry`. */
export function takeDeferred(carry: bool = false): void {
  for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsKind; slot++) {
    const t = <u32>load<u16>(deferredAt(slot));
    if (!t || (carry && slot != Slot.flagsCarry)) continue;
    localGet(t);
    localSet(slot);
  }
}
