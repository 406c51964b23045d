/** Nodes and effects to WebAssembly. A value is written where it is needed, at the width it is needed; one that is needed again
 *  stays in a temporary. Code off the main path (`cold`) computes what it needs anew. */
import { FlagsKind, PcpuOff, TlbOff } from "../../abi/layout";
import { JitBlock, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { Flag } from "../../abi/x86";
import { BlockOff } from "../code_cache";
import { Rmw } from "../machine";
import { PCPU } from "../pcpu";
import { J, Wasm, WasmType, access, br, byte, call, giveUp, hint, i32const, i64const, jget, jset, loadWord, localGet, localSet, localTee, unsigned } from "./buffer";
import { blockOf, headOf, succ } from "./graph";
import { Effect, EffectOff, Leave, displacementOf, effectAt, hostOf, inSpan } from "./effect";
import { Import } from "./imports";
import { Node, argA, argB, imm, isConst, op, setT32, setT64, t32, t64, uses, width } from "./node";
import { emitOrder, emitOrdered } from "./sse_order";
import { emitAligned, emitReady, emitSse, emitSseStoreValue } from "./sse_emit";
import { assign, loadMissing, savePending } from "./residents";
import { seeFlags, seeSlot } from "./rounds";
import { hostLocal, tagLocal } from "./windows";
import { Local, Slot, cur, isEntry, CURRENT_SLOTS, temp32, temp64 } from "./slots";

@inline function caches(n: i32): bool { return uses(n) > 1 && !jget(JitOff.cold); }

function keep64(n: i32): void {
  if (!caches(n)) return;
  const t = temp64();
  localTee(t);
  setT64(n, t);
}

function keep32(n: i32): void {
  if (!caches(n)) return;
  const t = temp32();
  localTee(t);
  setT32(n, t);
}

/** [] -> [i32 or i64] */
function getLocal(n: i32): void {
  seeSlot(argA(n));
  localGet(argA(n));
}

/** [] -> [i64]: node `n`. */
export function emit64(n: i32): void {
  if (t64(n)) { localGet(t64(n)); return; }
  if (jget(JitOff.bad)) return;
  const kind = op(n);
  switch (kind) {
    case Node.const_: i64const(imm(n)); return;
    case Node.local: getLocal(n); return;
    case Node.local32: getLocal(n); byte(Wasm.i64extend_u); return;
    case Node.sext:
      if (width(n) == 4) { emit32(argA(n)); byte(Wasm.i64extend_s); }
      else { emit32(n); byte(Wasm.i64extend_s); return; }
      break;
    case Node.zext: emit32(n); byte(Wasm.i64extend_u); return;
    case Node.word: emit32(n); byte(Wasm.i64extend_u); return;
    case Node.order: emitOrder(n); byte(Wasm.i64extend_u); break;
    case Node.ltu:
    case Node.eq: emitTruth(n); byte(Wasm.i64extend_u); break;
    case Node.fromCond: emitCond(argA(n)); byte(Wasm.i64extend_u); break;
    case Node.select:
      emit64(argA(n));
      emit64(argB(n));
      emitCond(<i32>imm(n));
      byte(Wasm.select);
      break;
    case Node.ctz: emit64(argA(n)); byte(Wasm.i64ctz); break;
    case Node.clz: emit64(argA(n)); byte(Wasm.i64clz); break;
    case Node.popcnt: emit64(argA(n)); byte(Wasm.i64popcnt); break;
    default:
      emit64(argA(n));
      emit64(argB(n));
      byte(Wasm.i64add + wide(kind));
  }
  keep64(n);
}

/** Distance of an operation's 64-bit opcode from i64.add; from i32.add the 32-bit one is as far. */
function wide(kind: i32): i32 {
  switch (kind) {
    case Node.add: return 0;
    case Node.sub: return 1;
    case Node.mul: return 2;
    case Node.and: return 7;
    case Node.or: return 8;
    case Node.xor: return 9;
    case Node.shl: return 10;
    case Node.shr: return 12;
    case Node.sar: return 11;
    case Node.divS: return 3;
    case Node.divU: return 4;
    default: giveUp(); return 0;
  }
}

/** [] -> [i32]: the low 32 bits of node `n`. */
export function emit32(n: i32): void {
  if (t32(n)) { localGet(t32(n)); return; }
  if (t64(n)) { localGet(t64(n)); byte(Wasm.i32wrap); return; }
  if (jget(JitOff.bad)) return;
  const kind = op(n);
  switch (kind) {
    case Node.const_: i32const(<i32>imm(n)); return;
    case Node.local: getLocal(n); byte(Wasm.i32wrap); return;
    case Node.local32: getLocal(n); return;
    case Node.sext:
      emit32(argA(n));
      if (width(n) == 1) byte(Wasm.i32extend8);
      else if (width(n) == 2) byte(Wasm.i32extend16);
      break;
    case Node.zext:
      emit32(argA(n));
      if (width(n) < 4) { i32const(width(n) == 1 ? 0xff : 0xffff); byte(Wasm.i32and); }
      break;
    case Node.add: case Node.sub: case Node.mul: case Node.and: case Node.or: case Node.xor:
      emit32(argA(n));
      emit32(argB(n));
      byte(Wasm.i32add + wide(kind));
      break;
    case Node.word: loadWord(<u32>imm(n)); break;
    case Node.shl:
      if (isConst(argB(n)) && imm(argB(n)) > 31) { i32const(0); return; }
      if (!isShort(argB(n))) { emit64(n); byte(Wasm.i32wrap); return; }
      emit32(argA(n));
      emit32(argB(n));
      byte(Wasm.i32shl);
      break;
    case Node.shr:
    case Node.sar: {
      // the bits from above matter unless the operand is an extension of at most 32 bits
      const a = argA(n), kindA = op(a);
      const narrow = (kindA == (kind == Node.shr ? Node.zext : Node.sext) || (kind == Node.shr && kindA == Node.local32)) && width(a) <= 4;
      const far = isConst(argB(n)) && imm(argB(n)) > 31;
      if (!narrow || (!far && !isShort(argB(n)))) { emit64(n); byte(Wasm.i32wrap); return; }
      if (far && kind == Node.shr) { i32const(0); return; }
      emit32(a);
      if (far) i32const(31);
      else emit32(argB(n));
      byte(kind == Node.shr ? Wasm.i32shr_u : Wasm.i32shr_s);
      break;
    }
    case Node.ltu:
    case Node.eq: emitTruth(n); break;
    case Node.fromCond: emitCond(argA(n)); break;
    case Node.select:
      emit32(argA(n));
      emit32(argB(n));
      emitCond(<i32>imm(n));
      byte(Wasm.select);
      break;
    default: emit64(n); byte(Wasm.i32wrap); return;
  }
  keep32(n);
}

/** A count below 32. */
function isShort(n: i32): bool {
  return isConst(n) ? <u64>imm(n) < 32 : op(n) == Node.and && isConst(argB(n)) && <u64>imm(argB(n)) < 32;
}

/** Both operands are extensions of the same kind from at most 32 bits. */
function narrowPair(a: i32, b: i32): bool {
  const x = op(a), y = op(b);
  if (isConst(b)) return x == Node.sext && width(a) <= 4 && imm(b) == <i64>(<i32>imm(b));
  return x == y && (x == Node.sext || x == Node.zext) && width(a) <= 4 && width(b) <= 4;
}

/** [] -> [i32]: LTU or EQ. */
function emitTruth(n: i32): void {
  const a = argA(n), b = argB(n), less = op(n) == Node.ltu;
  if (narrowPair(a, b)) {
    emit32(a);
    emit32(b);
    byte(less ? Wasm.i32lt_u : Wasm.i32eq);
  } else {
    emit64(a);
    emit64(b);
    byte(less ? Wasm.i64lt_u : Wasm.i64eq);
  }
}

/** [] -> [i32]: condition `n`, 0 or 1. */
export function emitCond(n: i32): void {
  if (t32(n)) { localGet(t32(n)); return; }
  switch (op(n)) {
    case Node.compare: emitCompare(n); break;
    case Node.ordered: emitOrdered(n); break;
    case Node.bit:
      emit32(argA(n));
      i32const(1);
      byte(Wasm.i32and);
      if (imm(n)) byte(Wasm.i32eqz);
      break;
    default: localGet(argA(n)); if (imm(n)) byte(Wasm.i32eqz); return;
  }
  keep32(n);
}

function emitCompare(n: i32): void {
  const w = width(n), a = argA(n), b = argB(n), cc = <i32>imm(n), is64 = w == 8;
  if (cc >> 1 == 4) { // sign of a
    if (is64) {
      emit64(a);
      i64const(0);
      byte(cc & 1 ? Wasm.i64ge_s : Wasm.i64lt_s);
    } else {
      emit32(a);
      if (w == 1) byte(Wasm.i32extend8);
      else if (w == 2) byte(Wasm.i32extend16);
      i32const(0);
      byte(cc & 1 ? Wasm.i32ge_s : Wasm.i32lt_s);
    }
    return;
  }
  operand(a, w);
  if (isConst(b) && imm(b) == 0 && cc >> 1 == 2) {
    if (cc == 4) byte(is64 ? Wasm.i64eqz : Wasm.i32eqz);
    else if (is64) { i64const(0); byte(Wasm.i64ne); }
    else { i32const(0); byte(Wasm.i32ne); }
    return;
  }
  operand(b, w);
  let code: i32;
  switch (cc) {
    case 2: code = Wasm.i32lt_u; break;
    case 3: code = Wasm.i32ge_u; break;
    case 4: code = Wasm.i32eq; break;
    case 5: code = Wasm.i32ne; break;
    case 6: code = Wasm.i32le_u; break;
    case 7: code = Wasm.i32gt_u; break;
    case 12: code = Wasm.i32lt_s; break;
    case 13: code = Wasm.i32ge_s; break;
    case 14: code = Wasm.i32le_s; break;
    default: code = Wasm.i32gt_s;
  }
  byte(is64 ? code + (Wasm.i64eq - Wasm.i32eq) : code);
}

/** [] -> [i32 or i64]: `n` sign-extended from w bytes, in the smallest type that does. */
function operand(n: i32, w: i32): void {
  if (w == 8) { emit64(n); return; }
  emit32(n);
  if (isConst(n) || w == 4) return;
  byte(w == 1 ? Wasm.i32extend8 : Wasm.i32extend16);
}

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
    case Node.const_: case Node.local: case Node.local32: case Node.word: case Node.flag: case Node.order: case Node.ordered: return left;
    case Node.sext: case Node.zext: return weigh(argA(n), false, left);
    case Node.ctz: case Node.clz: case Node.popcnt: return weigh(argA(n), true, left);
    case Node.fromCond: return weigh(argA(n), false, left);
    case Node.bit: return weigh(argA(n), false, left);
    case Node.shr: case Node.sar: return weigh(argA(n), true, left);
    case Node.ltu: case Node.eq: case Node.compare: return weigh(argB(n), true, weigh(argA(n), true, left));
    case Node.select: left = weigh(<i32>imm(n), false, left);
    default: return weigh(argB(n), is64, weigh(argA(n), is64, left));
  }
}

/** [] -> []: computes on the main path what a snapshot has that is much: the arms of several accesses would compute it again, and what
 *  was used twice within, twice. */
function ready(snap: u32): void {
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

/** Leaves by the common exit, which saves all locals. `extra`: wasm blocks opened since the control stack last knew. */
export function leave(extra: u32): void {
  savePending();
  br(wayOut() + extra);
}

/** Where leave() goes: within a loop that has residents, to where those are saved. */
function wayOut(): u32 {
  seeFlags();
  return jget(JitOff.depth) - jget(JitOff.spill);
}

/** [i32] -> []: out if it is not 0. The state is in the locals, and Local.result is 0: a fault is pending. */
function leaveIf(extra: u32): void {
  hint(false);
  if (jget(JitOff.pending)) {
    byte(Wasm.if_);
    byte(WasmType.void_);
    leave(extra + 1);
    byte(Wasm.end);
    return;
  }
  byte(Wasm.br_if);
  unsigned(wayOut() + extra);
}

/** [] -> []: linear address `a` to Local.lin, its low half, and to the i64 local returned; 0: it is no more than that half. */
function address(a: i32): u32 {
  if ((op(a) == Node.zext && width(a) <= 4) || op(a) == Node.local32) {
    emit32(a);
    localSet(Local.lin);
    return 0;
  }
  const lin = temp64();
  emit64(a);
  localTee(lin);
  byte(Wasm.i32wrap);
  localSet(Local.lin);
  return lin;
}

/** [] -> [i64]: what address() found. */
function wholeAddress(lin: u32): void {
  if (lin) localGet(lin);
  else { localGet(Local.lin); byte(Wasm.i64extend_u); }
}

/** [] -> [i64]: address of the last byte of an access of `w` bytes. One that wraps at 4 GiB does not wrap here: it is on no page of its first. */
function lastByte(lin: u32, w: i32): void {
  wholeAddress(lin);
  if (w > 1) { i64const(w - 1); byte(Wasm.i64add); }
}

/** [] -> [i32]: 1 if the access at address() hits the TLB, whose entry is then in Local.entry. */
function compareEntry(lin: u32, w: i32, write: bool): void {
  localGet(Local.lin);
  i32const(8);
  byte(Wasm.i32shr_u);
  i32const(TlbOff.INDEX);
  byte(Wasm.i32and);
  localGet(Local.tlb);
  byte(Wasm.i32add);
  localTee(Local.entry);
  access(Wasm.i64load, 0);
  lastByte(lin, w);
  if (write) {
    i64const(~0xfff);
    byte(Wasm.i64and);
    byte(Wasm.i64eq);
  } else {
    byte(Wasm.i64xor);
    i64const(4096);
    byte(Wasm.i64lt_u);
  }
}

/** [] -> [i32]: 1 if the access hits the TLB, whose entry is then in Local.entry. Returns what address() does. */
export function probe(a: i32, w: i32, write: bool): u32 {
  const lin = address(a);
  compareEntry(lin, w, write);
  return lin;
}

/** [] -> [i32]: 1 if the access at address() stays on the page of `window`. One that is not aligned might reach into the next page, and
 *  is not on any window's. */
function compareWindow(lin: u32, w: i32, window: u32): void {
  if (w & (w - 1)) giveUp();
  wholeAddress(lin);
  i64const(~0xfff | (w - 1));
  byte(Wasm.i64and);
  localGet(tagLocal(window));
  byte(Wasm.i64eq);
}

/** [] -> []: moves `window` to the page of a TLB entry that was hit. */
function moveWindow(lin: u32, window: u32): void {
  wholeAddress(lin);
  i64const(~0xfff);
  byte(Wasm.i64and);
  localSet(tagLocal(window));
  localGet(Local.entry);
  access(Wasm.i32load, TlbOff.addend);
  localSet(hostLocal(window));
}

/** [] -> [i32]: host address on the page of `window`. */
function windowHost(window: u32): void {
  localGet(Local.lin);
  localGet(hostLocal(window));
  byte(Wasm.i32add);
}

/** [] -> [i32]: host address of effect `e`, by its window or the TLB; opens an arm for a miss, which has to give one too before it ends, or
 *  to leave. Returns what address() does. */
function openAddress(e: usize, write: bool): u32 {
  const w = <i32>load<u8>(e, EffectOff.w), window = <u32>load<u8>(e, EffectOff.cc), lin = address(load<i32>(e, EffectOff.a));
  if (window) {
    compareWindow(lin, w, window);
    hint(true);
    byte(Wasm.if_);
    byte(WasmType.i32);
    windowHost(window);
    byte(Wasm.else_);
  }
  compareEntry(lin, w, write);
  hint(true);
  byte(Wasm.if_);
  byte(WasmType.i32);
  if (window) {
    moveWindow(lin, window);
    windowHost(window);
  } else hitHost();
  byte(Wasm.else_);
  return lin;
}

/** wasm blocks openAddress() has opened. */
@inline function opened(e: usize): u32 { return load<u8>(e, EffectOff.cc) ? 2 : 1; }

/** [] -> [i32]: host address after a hit. */
export function hitHost(): void {
  localGet(Local.lin);
  localGet(Local.entry);
  access(Wasm.i32load, TlbOff.addend);
  byte(Wasm.i32add);
}

/** [] -> []: host address after a miss to `h`; leaves with the fault of record `u`. `extra`: as of leave(). */
export function missHost(lin: u32, w: i32, write: bool, u: u32, h: u32, extra: u32 = 1): void {
  wholeAddress(lin);
  i32const(w);
  i32const(<i32>u);
  call(write ? Import.missW : Import.missR);
  localTee(h);
  byte(Wasm.i32eqz);
  leaveIf(extra);
}

function translateAddress(e: usize, write: bool): void {
  const w = <i32>load<u8>(e, EffectOff.w), h = hostOf(e), extra = opened(e);
  const lin = openAddress(e, write);
  missHost(lin, w, write, load<u32>(e, EffectOff.u), h, extra);
  localGet(h);
  for (let i: u32 = 0; i < extra; i++) byte(Wasm.end);
  localSet(h);
}

/** [] -> [i32]: host address of effect `e`. */
function hostAddress(e: usize): void {
  localGet(hostOf(e));
  if (!displacementOf(e)) return;
  i32const(displacementOf(e));
  byte(Wasm.i32add);
}

function translateSpan(e: usize): void {
  const write = load<u8>(e, EffectOff.cc) != 0, len = load<i32>(e, EffectOff.t), u = load<i32>(e, EffectOff.u);
  const lin = probe(load<i32>(e, EffectOff.a), len, write);
  hint(true);
  byte(Wasm.if_);
  byte(WasmType.i32);
  hitHost();
  byte(Wasm.else_);
  wholeAddress(lin);
  i32const(len);
  i32const(u);
  call(write ? Import.spanW : Import.spanR);
  localTee(hostOf(e));
  byte(Wasm.i32eqz);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  const loop = load<u32>(e, EffectOff.flags);
  if (loop) leaveBefore(loop - 1, 2);
  else {
    i32const(u);
    localSet(Local.result);
    leave(2);
  }
  byte(Wasm.end);
  localGet(hostOf(e));
  byte(Wasm.end);
  localSet(hostOf(e));
}

/** Leaves before the loop with header `n`, to the block that comes next: one in the loop's middle if that entry is meant. */
export function leaveBefore(n: u32, extra: u32): void {
  const b = blockOf(n), first = <u32>load<u8>(b, JitBlock.succCount), routes = <u32>load<u8>(b, JitBlock.extra);
  for (let i: u32 = 0; i < routes; i++) {
    localGet(Local.route);
    i32const(load<u8>(b + i, JitBlock.keys));
    byte(Wasm.i32eq);
    byte(Wasm.if_);
    byte(WasmType.void_);
    leaveInto(headOf(blockOf(succ(b, first + i))), extra + 1);
    byte(Wasm.end);
  }
  leaveInto(headOf(b), extra);
}

/** Leaves to the first record of a block that is not counted yet. */
function leaveInto(head: usize, extra: u32): void {
  i32const(<i32>(head + RecOff.SIZE));
  localSet(Local.result);
  localGet(Local.left);
  i32const(load<u16>(head, BlockOff.count));
  byte(Wasm.i32sub);
  localSet(Local.left);
  leave(extra);
}

/** A write whose address is used by the next effect only. After a miss it is looked at whether code has changed, which a hit cannot have done. */
function translateStore(e: usize, next: usize): void {
  ready(load<u32>(next, EffectOff.snap));
  const w = <i32>load<u8>(e, EffectOff.w), h = hostOf(e), value = load<i32>(next, EffectOff.a), extra = opened(e);
  // the value is computed once, before the arms part
  let v: u32 = 0;
  const plain = isConst(value) || op(value) == Node.local || op(value) == Node.local32;
  if (!plain) {
    if (w == 8) { emit64(value); v = temp64(); }
    else { emit32(value); v = temp32(); }
    localSet(v);
  }
  byte(Wasm.block);
  byte(WasmType.void_);
  const lin = openAddress(e, true);
  missHost(lin, w, true, load<u32>(e, EffectOff.u), h, extra + 1);
  localGet(h);
  storeValue(value, v, w);
  stored(next, h, extra + 1);
  br(extra);
  for (let i: u32 = 0; i < extra; i++) byte(Wasm.end);
  storeValue(value, v, w);
  byte(Wasm.end);
}

/** The same for an SSE store. */
function translateSseStore(e: usize, next: usize): void {
  const w = <i32>load<u8>(e, EffectOff.w), h = hostOf(e), u = <usize>load<u32>(next, EffectOff.u), extra = opened(e);
  ready(load<u32>(next, EffectOff.snap));
  store<u32>(next, <u32>(u + RecOff.SIZE), EffectOff.u);
  byte(Wasm.block);
  byte(WasmType.void_);
  const lin = openAddress(e, true);
  missHost(lin, w, true, <u32>u, h, extra + 1);
  localGet(h);
  emitSseStoreValue(u);
  stored(next, h, extra + 1);
  br(extra);
  for (let i: u32 = 0; i < extra; i++) byte(Wasm.end);
  emitSseStoreValue(u);
  byte(Wasm.end);
}

/** [i32] -> [] */
function storeValue(value: i32, v: u32, w: i32, displacement: u32 = 0): void {
  if (v) localGet(v);
  else if (w == 8) emit64(value);
  else emit32(value);
  access(w == 8 ? Wasm.i64store : w == 4 ? Wasm.i32store : w == 2 ? Wasm.i32store16 : Wasm.i32store8, displacement);
}

/** [] -> []: after a store off the fast path: out, with the instruction complete, if the code may have changed. */
function stored(e: usize, h: u32, extra: u32): void {
  const snap = load<u32>(e, EffectOff.snap), how = <i32>load<u8>(e, EffectOff.leave);
  localGet(h);
  call(Import.stored);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  jset(JitOff.cold, 1);
  // a call instruction has no next record: its target is looked up
  if (how == Leave.indirect) {
    emit64(jget(JitOff.termNode));
    call(Import.jump);
  } else {
    i32const(load<i32>(e, EffectOff.u));
    if (how == Leave.taken) call(Import.linkTaken);
  }
  localSet(Local.result);
  const pending = jget(JitOff.pending), valid = jget(JitOff.valid);
  restore(snap);
  leave(extra + 1);
  jset(JitOff.pending, pending);
  jset(JitOff.valid, valid);
  jset(JitOff.cold, 0);
  byte(Wasm.end);
}

/** [] -> [i32, i64 x 4]: flag operands of an effect. */
function flagOperands(e: usize): void {
  emit32(load<u16>(e, EffectOff.snap + 8));
  for (let i: usize = 0; i < 4; i++) emit64(load<u16>(e + (i << 1), EffectOff.snap));
}

/** [] -> [i32 or i64]: `n` as an operand of `w` bytes. */
function value(n: i32, w: i32): void {
  if (w == 8) emit64(n);
  else emit32(n);
}

/** [] -> []: after a store at `h`: it went to the write bounce buffer, or to plain memory that code was decoded from (missW said 1). */
function afterStore(e: usize, h: u32): void {
  localGet(h);
  i32const(<i32>(PCPU + PcpuOff.scratchW));
  byte(Wasm.i32eq);
  i32const(0);
  access(Wasm.i32load, <u32>J + JitOff.leave);
  byte(Wasm.i32or);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  stored(e, h, 1);
  byte(Wasm.end);
}

/** [] -> []: the piece's effects. */
export function emitEffects(): void {
  loadMissing();
  const count = jget(JitOff.effectCount);
  for (let i: u32 = 0; i < count; i++) {
    const e = effectAt(i), w = <i32>load<u8>(e, EffectOff.w), h = hostOf(e), t = load<u32>(e, EffectOff.t);
    switch (<i32>load<u8>(e, EffectOff.op)) {
      case Effect.hostR: translateAddress(e, false); break;
      case Effect.hostW: {
        const next = effectAt(i + 1);
        if (i + 1 < count && load<u8>(next, EffectOff.op) == Effect.store && hostOf(next) == h) {
          translateStore(e, next);
          i++;
        } else if (i + 1 < count && load<u8>(next, EffectOff.op) == Effect.sseStore) {
          translateSseStore(e, next);
          i++;
        } else translateAddress(e, true);
        break;
      }
      case Effect.load:
        localGet(h);
        access(w == 8 ? Wasm.i64load : w == 4 ? Wasm.i32load : w == 2 ? Wasm.i32load16u : Wasm.i32load8u, displacementOf(e));
        localSet(t);
        break;
      case Effect.store: {
        if (!inSpan(e)) ready(load<u32>(e, EffectOff.snap));
        localGet(h);
        storeValue(load<i32>(e, EffectOff.a), 0, w, displacementOf(e));
        if (!inSpan(e)) afterStore(e, h);
        break;
      }
      case Effect.sseStore:
        hostAddress(e);
        emitSseStoreValue(<usize>load<u32>(e, EffectOff.u));
        break;
      case Effect.span: translateSpan(e); break;
      case Effect.place:
        hostAddress(e);
        localSet(t);
        break;
      case Effect.atomic: {
        const kind = <i32>load<u8>(e, EffectOff.cc);
        localGet(h);
        if (kind == Rmw.cmpxchg) value(load<i32>(e, EffectOff.flags), w);
        value(load<i32>(e, EffectOff.a), w);
        byte(Wasm.atomic);
        byte(Wasm.rmw + kind * 7 + (w == 4 ? 0 : w == 8 ? 1 : w == 1 ? 2 : 3));
        byte(w == 8 ? 3 : w >> 1); // its alignment is checked
        unsigned(displacementOf(e));
        localSet(t);
        if (inSpan(e)) break;
        ready(load<u32>(e, EffectOff.snap));
        afterStore(e, h);
        break;
      }
      case Effect.cond:
        if (!uses(load<i32>(e, EffectOff.a))) break;
        i32const(load<u8>(e, EffectOff.cc));
        flagOperands(e);
        call(Import.cond);
        localSet(t);
        break;
      case Effect.carry:
        if (!uses(load<i32>(e, EffectOff.a))) break;
        flagOperands(e);
        call(Import.carry);
        localSet(t);
        break;
      case Effect.hard:
        emitCond(load<i32>(e, EffectOff.a));
        hint(false);
        byte(Wasm.if_);
        byte(WasmType.void_);
        i32const(load<i32>(e, EffectOff.u));
        localSet(Local.result);
        leave(1);
        byte(Wasm.end);
        break;
      case Effect.direction:
        i32const(0);
        loadWord(PcpuOff.rflags);
        i32const(w ? Flag.DF : ~Flag.DF);
        byte(w ? Wasm.i32or : Wasm.i32and);
        access(Wasm.i32store, <u32>PCPU + PcpuOff.rflags);
        break;
      case Effect.canonical: {
        const a = load<i32>(e, EffectOff.a);
        emit64(a);
        i64const(16);
        byte(Wasm.i64shl);
        i64const(16);
        byte(Wasm.i64shr_s);
        emit64(a);
        byte(Wasm.i64ne);
        hint(false);
        byte(Wasm.if_);
        byte(WasmType.void_);
        i32const(load<i32>(e, EffectOff.u));
        call(Import.badTarget);
        byte(Wasm.drop);
        leave(1);
        byte(Wasm.end);
        break;
      }
      case Effect.sse: emitSse(e); break;
      case Effect.sseReady: emitReady(<usize>load<u32>(e, EffectOff.u), load<u8>(e, EffectOff.cc)); break;
      case Effect.aligned: emitAligned(<usize>load<u32>(e, EffectOff.u), load<i32>(e, EffectOff.a)); break;
      default: giveUp();
    }
  }
  jset(JitOff.effectCount, 0);
}
