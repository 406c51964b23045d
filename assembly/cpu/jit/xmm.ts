/** XMM registers in emitted code: v128 locals of their own, which effects change in order. So no node names them, and they are
 *  right wherever code leaves. A region loads those it uses and saves those it writes.
 *
 *  Beside them is a word that says whether SSE may be used at all (0 in its low half: CR0.EM and TS clear, CR4.OSFXSR set) and whether
 *  an inexact result needs no thought (0 in its high half: RC is nearest, PE is masked and set). Both change in cold instructions only. */
import { JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { Cr0, Cr4 } from "../../abi/x86";
import { PCPU } from "../pcpu";
import { Csr } from "../semantics/mxcsr";
import { J, Wasm, byte, giveUp, i32const, jget, jset, loadWord, localGet, localSet } from "./buffer";
import { Simd, VectorType, simdAccess } from "./simd";
import { fresh } from "./slots";

/** Locals for what does not outlive an instruction. */
export const enum Scratch { f64a = 17, f64b = 18, f64r = 19, f32a = 20, f32b = 21, f32r = 22, a = 23, b = 24, r = 25, m = 26, long = 27, f64v = 28, f32v = 29, END = 30 }
const READY: u32 = 16;

/** What is known while a block is written: bits of JitOff.sseKnown. */
export const enum Known { usable = 1, settled = 2 }

function localOf(n: u32): u32 { return load<u16>(J + (<usize>n << 1), JitOff.xmmLocals); }

/** The local of XMM register `n`. */
export function xmmLocal(n: u32): u32 {
  const at = localOf(n);
  if (!at) giveUp();
  return at;
}

export function scratch(n: u32): u32 {
  const at = localOf(n);
  if (at) return at;
  const type = n <= <u32>Scratch.f64r || n == Scratch.f64v ? VectorType.f64 : n <= <u32>Scratch.f32r || n == Scratch.f32v ? VectorType.f32 : n == Scratch.long ? 0x7e : VectorType.v128;
  const made = fresh(<u8>type);
  store<u16>(J + (<usize>n << 1), <u16>made, JitOff.xmmLocals);
  return made;
}

/** The function begins: the registers it uses get locals. */
export function beginXmm(): void {
  memory.fill(J + JitOff.xmmLocals, 0, Scratch.END << 1);
  memory.fill(J + JitOff.plainAtEnd, 0, 62 << 2);
  const used = jget(JitOff.xmmUsed);
  for (let n: u32 = 0; n < 16; n++) if (used >> n & 1) store<u16>(J + (<usize>n << 1), <u16>fresh(<u8>VectorType.v128), JitOff.xmmLocals);
  if (jget(JitOff.usesSse)) store<u16>(J + (READY << 1), <u16>fresh(0x7f), JitOff.xmmLocals);
}

/** Nothing is known: a block begins, or a cold instruction was performed. */
export function forgetSse(): void {
  jset(JitOff.sseKnown, 0);
  jset(JitOff.plain64, 0);
  jset(JitOff.plain32, 0);
}

/* Known of low elements where block `n` ends, for a block that only it leads to. */
export function rememberPlain(n: u32): void {
  let low: u32 = 0;
  for (let i: u32 = 0; i < 16; i++) low |= (jget(JitOff.plain64) >> (i << 1) & 1) << i;
  store<u32>(J + (<usize>n << 2), low | jget(JitOff.plain32) << 16, JitOff.plainAtEnd);
}
export function recallPlain(n: u32): void {
  const known = load<u32>(J + (<usize>n << 2), JitOff.plainAtEnd);
  let wide: u32 = 0;
  for (let i: u32 = 0; i < 16; i++) wide |= (known >> i & 1) << (i << 1);
  jset(JitOff.plain64, wide);
  jset(JitOff.plain32, known >> 16);
}

/** [] -> []: from the pCPU block. */
export function loadXmm(): void {
  if (!jget(JitOff.usesSse)) return;
  const used = jget(JitOff.xmmUsed);
  for (let n: u32 = 0; n < 16; n++) {
    if (!(used >> n & 1)) continue;
    i32const(0);
    simdAccess(Simd.load, <u32>PCPU + PcpuOff.xmm + n * 16);
    localSet(localOf(n));
  }
  loadWord(PcpuOff.cr0);
  i32const(Cr0.EM | Cr0.TS);
  byte(Wasm.i32and);
  loadWord(PcpuOff.cr4);
  i32const(-1);
  byte(Wasm.i32xor);
  i32const(Cr4.OSFXSR);
  byte(Wasm.i32and);
  byte(Wasm.i32or);
  loadWord(PcpuOff.mxcsr);
  i32const(Csr.RC | Csr.PE | Csr.PM);
  byte(Wasm.i32and);
  i32const(Csr.PE | Csr.PM);
  byte(Wasm.i32xor);
  i32const(16);
  byte(Wasm.i32shl);
  byte(Wasm.i32or);
  localSet(localOf(READY));
}

/** [] -> []: to the pCPU block. */
export function saveXmm(): void {
  const written = jget(JitOff.xmmWritten);
  for (let n: u32 = 0; n < 16; n++) {
    if (!(written >> n & 1)) continue;
    i32const(0);
    localGet(localOf(n));
    simdAccess(Simd.store, <u32>PCPU + PcpuOff.xmm + n * 16);
  }
}

/** [] -> [i32]: not 0 if an inexact result needs thought; and if it does although it is exact. */
export function notSettled(exact: bool): void {
  localGet(localOf(READY));
  if (!exact) return;
  i32const(~(Csr.PE << 16));
  byte(Wasm.i32and);
}

/** [] -> [i32]: not 0 if an instruction that wants what `known` says must not run. */
export function notReady(known: u32): void {
  localGet(localOf(READY));
  if (known & Known.settled) return;
  i32const(0xffff);
  byte(Wasm.i32and);
}
