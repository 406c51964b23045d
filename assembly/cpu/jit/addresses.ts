/** Where the memory of an access is in the host's: by a run, its window or the TLB, else by the page walker. */
import { TlbOff } from "../../abi/layout";
import { Wasm, WasmType, access, byte, call, giveUp, hint, i32const, i64const, increment, localGet, localSet, localTee } from "./buffer";
import { EffectOff, displacementOf, hostOf } from "./effect";
import { Import } from "./imports";
import { Node, op, width } from "./node";
import { compareRun, runAddend, runHost } from "./runs";
import { Doubt } from "./sse_mode";
import { countOf, hostLocal, tagLocal } from "./windows";
import { Local, temp32, temp64 } from "./slots";
import { fixedTable } from "./state";
import { emit64, emit32 } from "./values";
import { leave, leaveIf, leaveBefore } from "./leaving";

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
  const table = fixedTable();
  if (!table) {
    localGet(Local.tlb);
    byte(Wasm.i32add);
  }
  localTee(Local.entry);
  access(Wasm.i64load, table);
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

/** [] -> [i32]: 1 if the access is in `run` or, with none, hits the TLB, whose entry is then in Local.entry. Returns what address() does. */
export function probe(a: i32, w: i32, write: bool, run: u32): u32 {
  const lin = address(a);
  if (run) compareRun(lin, w, run);
  else compareEntry(lin, w, write);
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
  access(Wasm.i32load, fixedTable() + TlbOff.addend);
  localSet(hostLocal(window));
  increment(countOf(window));
}

/** [] -> [i32]: what hitPart() does for effect `e`, or the i32 local `within` if that is not 0 (compareRun), by its run, its window or the TLB; opens an arm for a miss, which has to give one too before it ends, or
 *  to leave. Returns what address() does. */
export function openAddress(e: usize, write: bool, within: u32 = 0): u32 {
  const w = <i32>load<u8>(e, EffectOff.w), window = windowOf(e), run = runOf(e), lin = address(load<i32>(e, EffectOff.a));
  if (window) {
    compareWindow(lin, w, window);
    hint(true);
    byte(Wasm.if_);
    byte(WasmType.i32);
    localGet(hostLocal(window));
    byte(Wasm.else_);
  }
  if (run) compareRun(lin, w, run, within);
  else compareEntry(lin, w, write);
  hint(true);
  byte(Wasm.if_);
  byte(WasmType.i32);
  if (within) localGet(within);
  else if (window) {
    moveWindow(lin, window);
    localGet(hostLocal(window));
  } else hitPart(run);
  byte(Wasm.else_);
  return lin;
}

/** What effect `e` goes through. */
@inline export function runOf(e: usize): u32 { return load<u8>(e, EffectOff.run); }
@inline function windowOf(e: usize): u32 { return runOf(e) ? 0 : <u32>load<u8>(e, EffectOff.cc); }

/** wasm blocks openAddress() has opened. */
@inline export function opened(e: usize): u32 { return windowOf(e) ? 2 : 1; }

/** The record that effect `e` is about, for a miss. */
@inline export function missing(e: usize): u32 { return missed(load<u32>(e, EffectOff.u), runOf(e)); }
/** Record `u`, for a miss of `run`. */
@inline export function missed(u: u32, run: u32): u32 { return run ? u | Doubt.run : u; }

/* A host address is the sum of two parts, which are added where the ways to it have met: of a sum the host's compiler knows that it has no upper half,
 * of what it was on either of two ways it does not. By the TLB the one part is the addend, and the linear address the other; in a run, whose addend is
 * the same for all ways, it is the other way round. */

/** [] -> [i32]: the part that depends on the way, after a hit of `run` or, with none, of the TLB. */
export function hitPart(run: u32): void {
  if (run) return localGet(Local.lin);
  localGet(Local.entry);
  access(Wasm.i32load, fixedTable() + TlbOff.addend);
}

/** [] -> [i32]: the same after a miss, of the host address `h`. */
export function missPart(h: u32, run: u32): void {
  localGet(h);
  otherPart(run);
  byte(Wasm.i32sub);
}

/** [i32] -> [i32]: host address of the part that depends on the way. */
export function wholeOf(run: u32): void {
  otherPart(run);
  byte(Wasm.i32add);
}

@inline function otherPart(run: u32): void {
  if (run) runAddend(run);
  else localGet(Local.lin);
}

/** [] -> [i32]: host address after a hit. */
export function hitHost(run: u32): void {
  hitPart(run);
  wholeOf(run);
}

/** [] -> []: host address after a miss to `h`; leaves with the fault of record `u` (missed()). `extra`: as of leave(). */
export function missHost(lin: u32, w: i32, write: bool, u: u32, h: u32, extra: u32 = 1): void {
  wholeAddress(lin);
  i32const(w);
  i32const(<i32>u);
  call(write ? Import.missW : Import.missR);
  localTee(h);
  byte(Wasm.i32eqz);
  leaveIf(extra);
}

export function translateAddress(e: usize, write: bool): void {
  const w = <i32>load<u8>(e, EffectOff.w), h = hostOf(e), extra = opened(e);
  const lin = openAddress(e, write);
  missHost(lin, w, write, missing(e), h, extra);
  missPart(h, runOf(e));
  for (let i: u32 = 0; i < extra; i++) byte(Wasm.end);
  wholeOf(runOf(e));
  localSet(h);
}

/** The operation that loads `w` bytes, zero-extended. */
export function loadOf(w: i32): i32 { return w == 8 ? Wasm.i64load : w == 4 ? Wasm.i32load : w == 2 ? Wasm.i32load16u : Wasm.i32load8u; }

/** [] -> []: effect `e`, which has a run, and the load `next` from there, which nothing else wants the address of: then the load in the run needs no sum. */
export function translateLoad(e: usize, next: usize): void {
  const w = <i32>load<u8>(e, EffectOff.w), h = hostOf(e), run = runOf(e), lin = address(load<i32>(e, EffectOff.a));
  const within = temp32();
  compareRun(lin, w, run, within);
  hint(true);
  byte(Wasm.if_);
  byte(w == 8 ? WasmType.i64 : WasmType.i32);
  localGet(within);
  access(loadOf(w), runHost(run));
  byte(Wasm.else_);
  missHost(lin, w, false, missing(e), h, 1);
  localGet(h);
  access(loadOf(w), 0);
  byte(Wasm.end);
  localSet(load<u32>(next, EffectOff.t));
}

/** [] -> [i32]: host address of effect `e`. */
export function hostAddress(e: usize): void {
  localGet(hostOf(e));
  if (!displacementOf(e)) return;
  i32const(displacementOf(e));
  byte(Wasm.i32add);
}

export function translateSpan(e: usize): void {
  const write = load<u8>(e, EffectOff.cc) != 0, len = load<i32>(e, EffectOff.t), u = load<i32>(e, EffectOff.u), run = runOf(e);
  const lin = probe(load<i32>(e, EffectOff.a), len, write, run);
  hint(true);
  byte(Wasm.if_);
  byte(WasmType.i32);
  hitPart(run);
  byte(Wasm.else_);
  wholeAddress(lin);
  i32const(len);
  i32const(<i32>missing(e));
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
  missPart(hostOf(e), run);
  byte(Wasm.end);
  wholeOf(run);
  localSet(hostOf(e));
}
