/** Ways out of a region, by the common exit. */
import { JitBlock, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { BlockOff } from "../code_cache";
import { J, Wasm, WasmType, br, byte, call, hint, i32const, jget, jset, localGet, localSet, unsigned } from "./buffer";
import { blockOf, headOf, succ } from "./graph";
import { Import } from "./imports";
import { savePending, loopOf } from "./residents";
import { showFlags } from "./rounds";
import { Local } from "./slots";
import { Control } from "./control";

/** Leaves by the common exit, which saves all locals. `extra`: wasm blocks opened since the control stack last knew. */
export function leave(extra: u32): void {
  savePending();
  br(wayOut() + extra);
}

/** Where leave() goes: within a loop that has residents, to where those are saved. */
function wayOut(): u32 {
  showFlags();
  return jget(JitOff.depth) - jget(JitOff.spill);
}

/** [i32] -> []: out if it is not 0. The state is in the locals, and Local.result is 0: a fault is pending. */
export function leaveIf(extra: u32): void {
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

/** [] -> []: out to record `u` if the slice has no room for `count` instructions. */
export function leaveAtEnd(u: usize, count: i32): void {
  localGet(Local.left);
  i32const(count);
  byte(Wasm.i32lt_s);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  i32const(<i32>u);
  localSet(Local.result);
  leave(1);
  byte(Wasm.end);
}

/** Out, with the fault of a branch `u` whose target is not canonical; one wasm block deep. */
export function leaveToBadTarget(u: usize): void {
  i32const(<i32>u);
  call(Import.badTarget);
  byte(Wasm.drop);
  leave(1);
}

/** Out to record `u`. */
export function out(u: usize): void {
  i32const(<i32>u);
  localSet(Local.result);
  leave(0);
}

/** Where code of block `n` leaves to. */
export function chooseWayOut(n: u32): void {
  const loop = loopOf(n);
  let at = loop ? jget(JitOff.depth) : 0;
  while (at > 0 && load<u32>(J + (<usize>(at - 1) << 2), JitOff.control) != <u32>(Control.spill | (loop - 1))) at--;
  jset(JitOff.spill, at);
  jset(JitOff.pending, 0);
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
