/** What is in locals from where a region is entered to where it is left: from the pCPU block and to it. */
import { FlagsKind, Mode, PcpuOff, TlbClass } from "../../abi/layout";
import { JitOff } from "../../abi/jit";
import { tableOf } from "../../mmu/tlb";
import { PCPU } from "../pcpu";
import { Wasm, WasmType, access, byte, call, i32const, i64const, jget, loadWord, localGet, localSet, saveWord, storeWord } from "./buffer";
import { Import } from "./imports";
import { seeFlags } from "./rounds";
import { Local, Slot } from "./slots";
import { CARRY_IN_MEMORY, RawKind, WLOG_SHIFT, base } from "./flags";
import { loadXmm, saveXmm } from "./xmm";
import { saveX87 } from "./x87";

/** [] -> []: from the pCPU block. */
export function loadState(): void {
  loadWord(PcpuOff.left);
  localSet(Local.left);
  if (!fixedTable()) {
    loadWord(PcpuOff.tlbBase);
    localSet(Local.tlb);
  }
  i32const(RawKind.memory);
  localSet(Slot.flagsKind);
  i64const(CARRY_IN_MEMORY);
  localSet(Slot.flagsCarry);
  loadPages();
  loadXmm();
}

/** The TLB's table that is in force wherever the region runs, 0 if that is not known. */
export function fixedTable(): u32 {
  const mode = jget(JitOff.mode);
  return mode & Mode.cpl3 ? <u32>tableOf(TlbClass.user) : mode & Mode.smap ? 0 : <u32>tableOf(TlbClass.supervisor);
}

/** [] -> []: which mappings need no look. */
export function loadPages(): void {
  if (jget(JitOff.pageCount) == 1) return;
  loadWord(PcpuOff.JIT + JitOff.pages);
  localSet(jget(JitOff.pagesLocal));
}

/** [] -> []: from now on the local says what is left of the slice; attention() must not take what it was for what it is. */
export function countHere(): void { storeWord(PcpuOff.left, 0); }

/** [] -> []: CF of the flags in memory goes to its local, too. */
export function carryFromMemory(): void {
  i32const(RawKind.memory);
  for (let i = 0; i < 4; i++) i64const(0);
  call(Import.carry);
  localSet(Slot.flagsCarry);
}

/** [] -> []: to it; at the function's `end`, or in the middle. */
export function saveState(end: bool): void {
  seeFlags();
  saveXmm();
  saveWord(PcpuOff.left, Local.left);
  localGet(Slot.flagsKind);
  i32const(RawKind.memory);
  byte(Wasm.i32ne);
  byte(Wasm.if_);
  byte(WasmType.void_);
  localGet(Slot.flagsKind);
  for (let slot: u32 = Slot.flagsRes; slot < <u32>Slot.flagsKind; slot++) localGet(slot);
  call(Import.keep);
  byte(Wasm.end);
  saveX87(end);
}

/** [] -> []: flags of which `kind` is known to where the interpreter keeps them, if that is a few stores. */
export function keepKind(kind: i32): void {
  const k = base(kind), wlog = (kind >> WLOG_SHIFT) & 3;
  if ((kind & ~(31 | 3 << WLOG_SHIFT)) != RawKind.raw || k > FlagsKind.logic || k == FlagsKind.none) return;
  if (k == FlagsKind.logic) keepExtended(PcpuOff.flagsRes, Slot.flagsRes, -1, 0, wlog);
  else {
    keepExtended(PcpuOff.flagsRes, Slot.flagsA, Slot.flagsB, k == FlagsKind.add ? Wasm.i64add : Wasm.i64sub, wlog);
    keepExtended(PcpuOff.flagsA, Slot.flagsA, -1, 0, wlog);
    keepExtended(PcpuOff.flagsB, Slot.flagsB, -1, 0, wlog);
  }
  storeWord(PcpuOff.flagsKind, k);
  i32const(RawKind.memory);
  localSet(Slot.flagsKind);
}

/** [] -> []: one slot, or two combined, sign-extended, to the pCPU block. */
function keepExtended(off: u32, a: u32, b: i32, how: i32, wlog: u32): void {
  i32const(0);
  localGet(a);
  if (b >= 0) {
    localGet(b);
    byte(how);
  }
  if (wlog < 3) byte(wlog == 0 ? Wasm.i64extend8 : wlog == 1 ? Wasm.i64extend16 : Wasm.i64extend32);
  access(Wasm.i64store, <u32>PCPU + off);
}
