/** Instructions that their helpers perform. */
import { PcpuOff } from "../../abi/layout";
import { JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { Wasm, WasmType, br, byte, call, hint, i32const, jget, jset, loadWord, localGet, localSet, localTee } from "./buffer";
import { Import } from "./imports";
import { changing, fill, flushPending, residents, save } from "./residents";
import { emptyWindows } from "./windows";
import { Local } from "./slots";
import { afterColdX87 } from "./x87";
import { loadState, countHere, saveState, keepKind } from "./state";

/** An instruction that its helper performs: everything in its place, call, everything anew. `kind`: of the flags before it. */
export function emitCold(n: u32, u: usize, kind: i32): void {
  flushPending();
  save(changing(n));
  keepKind(kind);
  saveState(false);
  i32const(<i32>u);
  call(Import.cold);
  localTee(Local.next);
  loadState();
  jset(JitOff.valid, 0);
  fill(residents(n));
  emptyWindows();
  afterColdX87(u);
  i32const(<i32>(u + RecOff.SIZE));
  byte(Wasm.i32ne);
  loadWord(PcpuOff.JIT + JitOff.leave);
  byte(Wasm.i32or);
  localGet(Local.left);
  i32const(0);
  byte(Wasm.i32le_s);
  byte(Wasm.i32or);
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  localGet(Local.next);
  localSet(Local.result);
  br(jget(JitOff.depth) + 2); // raw
  byte(Wasm.end);
  countHere();
}
