/** Stores. One off the fast path may have changed code, or made a device ask for attention: then the region is left behind its instruction. */
import { PcpuOff } from "../../abi/layout";
import { JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { PCPU } from "../pcpu";
import { J, Wasm, WasmType, access, br, byte, call, hint, i32const, jget, jset, localGet, localSet } from "./buffer";
import { EffectOff, Leave, hostOf } from "./effect";
import { ELSEWHERE, TAKEN } from "./handover";
import { Import } from "./imports";
import { Node, isConst, op } from "./node";
import { emitSseStoreValue } from "./sse_emit";
import { runHost } from "./runs";
import { Local, temp32, temp64 } from "./slots";
import { emit64, emit32, value } from "./values";
import { restore, ready } from "./snapshots";
import { leave } from "./leaving";
import { missed, missing, openAddress, opened, missHost, runOf, wholeOf } from "./addresses";

/** A write whose address is used by the next effect only. After a miss it is looked at whether code has changed, which a hit cannot have done. */
export function translateStore(e: usize, next: usize): void {
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
  const run = runOf(e), lin = openAddress(e, true, run ? temp32() : 0);
  missHost(lin, w, true, missing(e), h, extra + 1);
  localGet(h);
  storeValue(value, v, w);
  storedAfterMiss(next, h, extra + 1);
  br(extra);
  for (let i: u32 = 0; i < extra; i++) byte(Wasm.end);
  if (!run) wholeOf(0);
  storeValue(value, v, w, run ? runHost(run) : 0);
  byte(Wasm.end);
}

/** The same for an SSE store. */
export function translateSseStore(e: usize, next: usize): void {
  const w = <i32>load<u8>(e, EffectOff.w), h = hostOf(e), u = <usize>load<u32>(next, EffectOff.u), extra = opened(e);
  ready(load<u32>(next, EffectOff.snap));
  store<u32>(next, <u32>(u + RecOff.SIZE), EffectOff.u);
  byte(Wasm.block);
  byte(WasmType.void_);
  const lin = openAddress(e, true);
  missHost(lin, w, true, missed(<u32>u, runOf(e)), h, extra + 1);
  localGet(h);
  emitSseStoreValue(u);
  storedAfterMiss(next, h, extra + 1);
  br(extra);
  for (let i: u32 = 0; i < extra; i++) byte(Wasm.end);
  wholeOf(runOf(e));
  emitSseStoreValue(u);
  byte(Wasm.end);
}

/** [i32] -> [] */
export function storeValue(value: i32, v: u32, w: i32, displacement: u32 = 0): void {
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
    i32const(0);
    emit64(jget(JitOff.termNode));
    access(Wasm.i64store, <u32>PCPU + PcpuOff.rip);
    i32const(<i32>ELSEWHERE);
  } else i32const(load<i32>(e, EffectOff.u) | (how == Leave.taken ? <i32>TAKEN : 0));
  localSet(Local.result);
  const pending = jget(JitOff.pending), valid = jget(JitOff.valid);
  restore(snap);
  leave(extra + 1);
  jset(JitOff.pending, pending);
  jset(JitOff.valid, valid);
  jset(JitOff.cold, 0);
  byte(Wasm.end);
}

/** [] -> []: the same where missW said what `h` is. Beside code there is no doubt. */
function storedAfterMiss(e: usize, h: u32, extra: u32): void {
  i32const(0);
  access(Wasm.i32load, <u32>J + JitOff.doubt);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  stored(e, h, extra + 1);
  byte(Wasm.end);
}

/** [] -> []: after a store at `h`: it went to the write bounce buffer, or to plain memory that code was decoded from (missW said 1). */
export function afterStore(e: usize, h: u32): void {
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
