/** Flags that only some of the ways out of a block take along: the others go where nobody looks at them, or where only ways out would have them
 *  (rounds.ts). These would cost each round of a loop several locals, of which the host's compiler can leave out none. But mostly they are what
 *  general registers have and small numbers, and registers are in their place wherever a region is left. So such a way back says in the flags'
 *  kind alone which they are: *named* flags. */
import { JitBlock, JitOff } from "../../abi/jit";
import { FlagsKind } from "../../abi/layout";
import { J, WasmType, i32const, jget, jset, localGet, localSet } from "./buffer";
import { blockOf } from "./graph";
import { Name, RawKind, WLOG_SHIFT, base } from "./flags";
import { Node, argA, argB, extend, imm, isConst, op, raw } from "./node";
import { emit32, emit64 } from "./values";
import { Slot, cur, isEntry, fresh, knownKind, temp32, temp64 } from "./slots";

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
  jset(JitOff.named, jget(JitOff.names));
}

@inline function hasOperands(kind: i32): bool { return base(kind) <= FlagsKind.sub; }

/** A piece is about to end: names of the flags in force as registers will be then. */
export function ageNames(): void {
  const old = jget(JitOff.names);
  if (!isEntry(Slot.flagsKind)) jset(JitOff.names, names());
  else if (old) {
    let changed: u32 = 0;
    for (let slot: u32 = 0; slot < 16; slot++) if (!isEntry(slot)) changed |= 1 << slot;
    jset(JitOff.names, <i32>(old & (RawKind.named - 1)) == knownKind() ? without(old, changed) : 0);
  }
}

/** `kind` without the names of registers that are `changed`. */
function without(kind: u32, changed: u32): u32 {
  const first = kind >> Name.A & 31, second = kind >> Name.B;
  if (first && changed >> (first - 1) & 1) kind &= ~(31 << Name.A | Name.result);
  if (second && second <= 16 && changed >> (second - 1) & 1) kind &= (1 << Name.B) - 1;
  return kind;
}

/** The kind of the flags with the names of their operands, 0 if it is not known or has none. */
function names(): u32 {
  const kind = knownKind(), k = base(kind), w = 1 << (kind >> WLOG_SHIFT & 3);
  if (!(kind & RawKind.raw) || kind & RawKind.memory || k == FlagsKind.none || k > FlagsKind.dec) return 0;
  if (!hasOperands(k)) return <u32>kind | RawKind.named | registerOf(cur(Slot.flagsRes), w) << Name.A;
  const a = cur(Slot.flagsA), b = cur(Slot.flagsB);
  let first = registerOf(a, w) << Name.A;
  if (!first && isConst(b)) {
    first = resultOf(a, k == FlagsKind.add ? imm(b) : -imm(b), w) << Name.A;
    if (first) first |= Name.result;
  }
  let second = registerOf(b, w);
  if (isConst(b)) {
    const x = imm(extend(Node.sext, b, w));
    if (x >= Name.LEAST && x <= Name.MOST) second = <u32>(x + Name.NUMBER);
  }
  return <u32>kind | RawKind.named | first | second << Name.B;
}

/** 1 + a register that has the low `w` bytes of `n` where the block ends, 0 if none has. */
function registerOf(n: i32, w: i32): u32 {
  if (isConst(n)) return 0;
  const x = plain(n, w);
  for (let slot: u32 = 0; slot < 16; slot++) if (isSame(x, plain(cur(slot), w))) return slot + 1;
  return 0;
}

/** The same of `n` + `by`. */
function resultOf(n: i32, by: i64, w: i32): u32 {
  const x = plain(n, w), shift = 64 - w * 8;
  for (let slot: u32 = 0; slot < 16; slot++) {
    const sum = plain(cur(slot), w), kind = op(sum);
    if ((kind != Node.add && kind != Node.sub) || !isConst(argB(sum)) || !isSame(x, plain(argA(sum), w))) continue;
    if (((kind == Node.add ? imm(argB(sum)) : -imm(argB(sum))) - by) << shift == 0) return slot + 1;
  }
  return 0;
}

/** `n` without what only matters above `w` bytes. */
function plain(n: i32, w: i32): i32 {
  let x = raw(n, w);
  while (x != n) {
    n = x;
    x = raw(n, w);
  }
  return n;
}

function isSame(x: i32, y: i32): bool { return x == y || (op(x) == Node.local && op(y) == Node.local && argA(x) == argA(y)); }

export function forgetDeferred(): void { for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsKind; slot++) store<u16>(deferredAt(slot), 0); }

/** The flags where block `n` ends are all in their locals. */
export function recallNames(n: u32): void { jset(JitOff.named, load<u32>(blockOf(n), JitBlock.outKind)); }

/** Five locals and names as two numbers: code of other blocks is written between the ways out of one. */
export function deferredNow(): u64 { return load<u64>(deferredAt(Slot.flagsRes)); }
export function kindNow(): u64 { return <u64>load<u16>(deferredAt(Slot.flagsKind)) | <u64>jget(JitOff.named) << 32; }
export function setDeferred(four: u64, kind: u64): void {
  store<u64>(deferredAt(Slot.flagsRes), four);
  store<u16>(deferredAt(Slot.flagsKind), <u16>kind);
  jset(JitOff.named, <u32>(kind >> 32));
}

/** The loop of header `n` begins a round. */
export function noteBefore(n: u32): void {
  for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsKind; slot++) {
    const t = fresh(<u8>(slot == Slot.flagsKind ? WasmType.i32 : WasmType.i64));
    if (slot == Slot.flagsRes) store<u16>(blockOf(n), <u16>t, JitBlock.before);
    localGet(slot);
    localSet(t);
  }
}

/** [] -> []: flags are left behind on a way back to the loop of header `to`: their locals are what they were where the round began, which costs the
 *  host's compiler nothing. If they are `shown` there, their kind goes on, with names. `carry`: CF is wanted in its local in any case. */
export function dropDeferred(to: u32, shown: bool, carry: bool): void {
  const before = <u32>load<u16>(blockOf(to), JitBlock.before), known = jget(JitOff.named);
  if (shown && !(known & RawKind.named)) {
    takeDeferred();
    return;
  }
  const kind = without(known, load<u16>(blockOf(to), JitBlock.shown)), operands = hasOperands(kind);
  const hasFirst = (kind >> Name.A & 31) != 0, hasSecond = kind >> Name.B != 0;
  for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsCarry; slot++) {
    let wanted = shown;
    if (slot == Slot.flagsCarry) wanted = carry || (shown && !operandsSayAll(kind));
    else if (slot == Slot.flagsB) wanted = shown && operands && !hasSecond;
    else wanted = shown && (slot == Slot.flagsA) == operands && !hasFirst;
    const t = wanted ? <u32>load<u16>(deferredAt(slot)) : before + (slot - Slot.flagsRes);
    if (!t) continue;
    localGet(t);
    localSet(slot);
  }
  if (shown) i32const(hasFirst || hasSecond ? <i32>kind : <i32>kind & (RawKind.named - 1));
  else localGet(before + (Slot.flagsKind - Slot.flagsRes));
  localSet(Slot.flagsKind);
}

/** All flags follow from the operands: CF, and ZF where a scan has set it alone, are not in their local. */
function operandsSayAll(kind: u32): bool { return base(kind) <= FlagsKind.logic && !(kind & (FlagsKind.overlay | RawKind.carry | RawKind.zero)); }

/** [] -> []: deferred flags to where they belong. */
export function takeDeferred(): void {
  for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsKind; slot++) {
    const t = <u32>load<u16>(deferredAt(slot));
    if (!t) continue;
    localGet(t);
    localSet(slot);
  }
}
