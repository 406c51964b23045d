/** Writes WebAssembly: bytes, LEB128 numbers, instructions, to a buffer of the translator (WebAssembly Core Specification,
 *  "Binary Format"). Stack effects stand beside each. */
import { JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { PCPU } from "../pcpu";
import { typeOf } from "./imports";

export const J: usize = PCPU + PcpuOff.JIT;

export const enum Wasm {
  unreachable = 0x00, block = 0x02, loop = 0x03, if_ = 0x04, else_ = 0x05, end = 0x0b, br = 0x0c, br_if = 0x0d, brTable = 0x0e, return_ = 0x0f, callIndirect = 0x11,
  drop = 0x1a, select = 0x1b, localGet = 0x20, localSet = 0x21, localTee = 0x22,
  i32load = 0x28, i64load = 0x29, i32load8s = 0x2c, i32load8u = 0x2d, i32load16s = 0x2e, i32load16u = 0x2f,
  i32store = 0x36, i64store = 0x37, i32store8 = 0x3a, i32store16 = 0x3b, i64store32 = 0x3e,
  i32const = 0x41, i64const = 0x42, i32eqz = 0x45, i32eq = 0x46, i32ne = 0x47, i32lt_s = 0x48, i32lt_u = 0x49, i32gt_s = 0x4a, i32gt_u = 0x4b,
  i32le_s = 0x4c, i32le_u = 0x4d, i32ge_s = 0x4e, i32ge_u = 0x4f, i64eqz = 0x50, i64eq = 0x51, i64ne = 0x52, i64lt_s = 0x53, i64lt_u = 0x54,
  i64gt_s = 0x55, i64gt_u = 0x56, i64le_s = 0x57, i64le_u = 0x58, i64ge_s = 0x59, i64ge_u = 0x5a,
  i32add = 0x6a, i32sub = 0x6b, i32mul = 0x6c, i32div_u = 0x6e, i32and = 0x71, i32or = 0x72, i32xor = 0x73, i32shl = 0x74, i32shr_s = 0x75, i32shr_u = 0x76,
  i32rotl = 0x77, i64clz = 0x79, i64ctz = 0x7a, i64popcnt = 0x7b, i64add = 0x7c, i64sub = 0x7d, i64mul = 0x7e, i64and = 0x83, i64or = 0x84, i64xor = 0x85, i64shl = 0x86, i64shr_s = 0x87, i64shr_u = 0x88,
  i64rotl = 0x89, i32wrap = 0xa7, i64extend_s = 0xac, i64extend_u = 0xad, i32extend8 = 0xc0, i32extend16 = 0xc1,
  i64extend8 = 0xc2, i64extend16 = 0xc3, i64extend32 = 0xc4,
  atomic = 0xfe, rmw = 0x1e, // i32.atomic.rmw.add, the first of seven widths of seven operations
}

export const enum WasmType { i32 = 0x7f, i64 = 0x7e, void_ = 0x40, func = 0x60, funcref = 0x70 }

@inline export function jget(off: usize): u32 { return load<u32>(J + off); }
@inline export function jset(off: usize, value: u32): void { store<u32>(J + off, value); }

/** Gives the region up: something does not fit or cannot be translated. */
export function giveUp(): void { jset(JitOff.bad, 1); }

/** What has no room is not written, and the region given up: how long code gets is the guest's choice. */
@inline function full(at: usize): bool {
  const end: usize = at < J + JitOff.bodyEnd ? JitOff.bodyEnd : JitOff.restless;
  if (at < J + end - LONGEST) return false;
  giveUp();
  return true;
}
/** Bytes of the longest number. */
const LONGEST: usize = 10;

export function byte(b: i32): void {
  const at = <usize>jget(JitOff.at);
  if (full(at)) return;
  store<u8>(at, <u8>b);
  jset(JitOff.at, <u32>at + 1);
}

export function unsigned(x: u32): void {
  let at = <usize>jget(JitOff.at);
  if (full(at)) return;
  while (x > 127) {
    store<u8>(at++, <u8>(x | 128));
    x >>= 7;
  }
  store<u8>(at++, <u8>x);
  jset(JitOff.at, <u32>at);
}

export function signed(x: i64): void {
  let at = <usize>jget(JitOff.at);
  if (full(at)) return;
  for (;;) {
    const low = <u8>x & 127;
    x >>= 7;
    if ((x == 0 && !(low & 64)) || (x == -1 && (low & 64) != 0)) {
      store<u8>(at++, low);
      break;
    }
    store<u8>(at++, low | 128);
  }
  jset(JitOff.at, <u32>at);
}

/** [] -> [i32] */
export function i32const(x: i32): void { byte(Wasm.i32const); signed(x); }
/** [] -> [i64] */
export function i64const(x: i64): void { byte(Wasm.i64const); signed(x); }
/** [] -> [t] */
export function localGet(n: u32): void { byte(Wasm.localGet); unsigned(n); }
/** [t] -> [] */
export function localSet(n: u32): void { byte(Wasm.localSet); unsigned(n); }
/** [t] -> [t] */
export function localTee(n: u32): void { byte(Wasm.localTee); unsigned(n); }
/** Function `n` of enum Import. */
export function call(n: i32): void {
  i32const(n);
  byte(Wasm.callIndirect);
  byte(typeOf(n));
  byte(0);
}
export function br(depth: u32): void { byte(Wasm.br); unsigned(depth); }

/** Tells the host's compiler that the branch written next usually goes one way (WebAssembly proposal "Branch Hinting"): it keeps the other
 *  out of the way of its register allocation. */
export function hint(taken: bool): void {
  const n = jget(JitOff.hintCount);
  if (n == 2048) return;
  jset(JitOff.hintCount, n + 1);
  store<u32>(J + (<usize>n << 2), ((jget(JitOff.at) - <u32>(J + JitOff.body)) << 1) | <u32>taken, JitOff.hints);
}

/** A load or store with `offset` folded in; alignment is never promised. */
export function access(op: i32, offset: u32): void { byte(op); byte(0); unsigned(offset); }

/** [] -> [i32]: a word of the pCPU block. */
export function loadWord(off: u32): void { i32const(0); access(Wasm.i32load, <u32>PCPU + off); }
/** [] -> [i64] */
export function loadLong(off: u32): void { i32const(0); access(Wasm.i64load, <u32>PCPU + off); }
/** [] -> []: a constant to a word of the pCPU block. */
export function storeWord(off: u32, x: i32): void { i32const(0); i32const(x); access(Wasm.i32store, <u32>PCPU + off); }
export function storeLong(off: u32, x: i64): void { i32const(0); i64const(x); access(Wasm.i64store, <u32>PCPU + off); }
/** [] -> []: a local to a word of the pCPU block. */
export function saveWord(off: u32, local: u32): void { i32const(0); localGet(local); access(Wasm.i32store, <u32>PCPU + off); }
export function saveLong(off: u32, local: u32): void { i32const(0); localGet(local); access(Wasm.i64store, <u32>PCPU + off); }
/** [] -> []: one more in the word at `at`. */
export function increment(at: u32): void {
  i32const(0);
  i32const(0);
  access(Wasm.i32load, at);
  i32const(1);
  byte(Wasm.i32add);
  access(Wasm.i32store, at);
}
