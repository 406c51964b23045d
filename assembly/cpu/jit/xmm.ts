/** XMM registers in emitted code: v128 locals of their own, which effects change in order. So no node names them, and they are
 *  right wherever code leaves. A region loads those it uses and saves those it writes. The low elements of some are kept apart (sse_apart.ts).
 *
 *  Beside them is a word that says whether SSE may be used at all (0 in its low half: CR0.EM and TS clear, CR4.OSFXSR set) and whether
 *  an inexact result needs no thought (0 in its high half: RC is nearest, PE is masked and set). Both change in cold instructions only. */
import { JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { Cr0, Cr4 } from "../../abi/x86";
import { PCPU } from "../pcpu";
import { Csr } from "../semantics/mxcsr";
import { J, Wasm, access, byte, giveUp, i32const, jget, jset, loadWord, localGet, localSet, localTee } from "./buffer";
import { Float, Simd, VectorType, lane, simdAccess, vector } from "./simd";
import { fresh } from "./slots";
import { chooseApart } from "./sse_apart";
import { followNear } from "./sse_flow";
import { chooseSseMode } from "./sse_mode";
import { clearPlain, forgetRanges } from "./sse_range";

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

/** The local of the low element of register `n`, f64 if `wide`, if it is kept apart; else 0. Then the v128 only has the rest. */
export function lowOf(n: u32, wide: bool): u32 { return jget(wide ? JitOff.lows64 : JitOff.lows32) >> n & 1 ? load<u16>(J + (<usize>n << 1), JitOff.lows) : 0; }

@inline function isWide(n: u32): bool { return (jget(JitOff.lows64) >> n & 1) != 0; }
/** The same, whatever its width. */
@inline function anyLowOf(n: u32): u32 { return lowOf(n, isWide(n)); }

/** [] -> [v128]: register `n`. */
export function getXmm(n: u32): void {
  localGet(xmmLocal(n));
  if (!anyLowOf(n)) return;
  localGet(anyLowOf(n));
  lane(isWide(n) ? Simd.f64x2replace : Simd.f32x4replace, 0);
}
/** [v128] -> []: becomes register `n`. */
export function setXmm(n: u32): void {
  if (!anyLowOf(n)) {
    localSet(xmmLocal(n));
    return;
  }
  localTee(xmmLocal(n));
  lane(isWide(n) ? Simd.f64x2extract : Simd.f32x4extract, 0);
  localSet(anyLowOf(n));
}
/** [] -> []: register `to` becomes what `from` is. */
export function copyXmm(to: u32, from: u32): void {
  const wide = isWide(to), low = lowOf(to, wide);
  if (low && lowOf(from, wide)) {
    localGet(xmmLocal(from));
    localSet(xmmLocal(to));
    localGet(lowOf(from, wide));
    localSet(low);
    return;
  }
  getXmm(from);
  setXmm(to);
}
/** [f64 or f32] -> []: becomes register `n`, whose low element of that width is kept apart; the rest is zero. */
export function setLowAlone(n: u32, wide: bool): void {
  localSet(lowOf(n, wide));
  vector(0, 0);
  localSet(xmmLocal(n));
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
  clearPlain();
  chooseSseMode();
  chooseApart();
  followNear();
  const used = jget(JitOff.xmmUsed);
  for (let n: u32 = 0; n < 16; n++) {
    if (used >> n & 1) store<u16>(J + (<usize>n << 1), <u16>fresh(<u8>VectorType.v128), JitOff.xmmLocals);
    if ((jget(JitOff.lows64) | jget(JitOff.lows32)) >> n & 1) store<u16>(J + (<usize>n << 1), <u16>fresh(<u8>(isWide(n) ? VectorType.f64 : VectorType.f32)), JitOff.lows);
  }
  if (jget(JitOff.usesSse)) store<u16>(J + (READY << 1), <u16>fresh(0x7f), JitOff.xmmLocals);
}

/** Nothing is known: a block begins, or a cold instruction was performed. */
export function forgetSse(): void {
  jset(JitOff.sseKnown, 0);
  forgetRanges();
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
    if (!anyLowOf(n)) continue;
    i32const(0);
    access(isWide(n) ? Float.f64load : Float.f32load, <u32>PCPU + PcpuOff.xmm + n * 16);
    localSet(anyLowOf(n));
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
    if (!anyLowOf(n)) continue;
    i32const(0);
    localGet(anyLowOf(n));
    access(isWide(n) ? Float.f64store : Float.f32store, <u32>PCPU + PcpuOff.xmm + n * 16);
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
