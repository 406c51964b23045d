/** Code of SSE instructions that only move and rearrange bits, and the checks before all of them. */
import { RecOff } from "../../abi/record";
import { Op } from "../opcodes.gen";
import { imm as immediateOf, opSize } from "../operand";
import { Wasm, WasmType, access, byte, call, hint, i32const, localGet, localSet, localTee } from "./buffer";
import { emit32, emit64 } from "./values";
import { leave } from "./leaving";
import { EffectOff, hostOf } from "./effect";
import { Import } from "./imports";
import { packedOperation } from "./sse_packed";
import { Float, Simd, lane, shuffle, simd, simdAccess, simdLane, vector } from "./simd";
import { Local } from "./slots";
import { Sse } from "./sse";
import { emitSseFloat } from "./sse_float";
import { Doubt, isSettled } from "./sse_mode";
import { integerBounds, learn, markAll, markLow, unknown } from "./sse_range";
import { Known, Scratch, copyXmm, getXmm, lowOf, notReady, scratch, setLowAlone, setXmm } from "./xmm";

@inline export function regOf(u: usize): u32 { return load<u8>(u, RecOff.reg); }
@inline export function rmOf(u: usize): u32 { return load<u8>(u, RecOff.rm); }

/** [i32] -> []: not 0 leaves to the interpreter, at record `u` itself. `extra`: as of leave(). */
export function leaveToHelperIf(u: usize, extra: u32): void {
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  i32const(<i32>u);
  localSet(Local.result);
  leave(extra + 1);
  byte(Wasm.end);
}

/** [i32] -> []: the same for a reason that counts. */
export function leaveInDoubt(u: usize, what: u32, extra: u32): void {
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
  i32const(<i32>(u + what));
  call(Import.doubt);
  localSet(Local.result);
  leave(extra + 1);
  byte(Wasm.end);
}

/** [] -> []: leaves unless SSE can be used as Known `want` says. */
export function emitReady(u: usize, want: u32): void {
  notReady(want);
  if (want & Known.settled && isSettled()) leaveInDoubt(u, Doubt.exact, 0);
  else leaveToHelperIf(u, 0);
}

/** [] -> []: leaves unless node `lin` is a multiple of 16. */
export function emitAligned(u: usize, lin: i32): void {
  emit32(lin);
  i32const(15);
  byte(Wasm.i32and);
  leaveToHelperIf(u, 0);
}

/** [] -> [v128]: V. */
export function getV(u: usize): void { getXmm(regOf(u)); }
/** [v128] -> []: V. */
export function setV(u: usize): void {
  const n = regOf(u);
  setXmm(n);
  unknown(n);
}

/** [] -> [v128]: W; of a memory operand of fewer than 16 bytes the rest is 0. */
export function getW(u: usize, h: u32, size: u32): void {
  if (!h) { getXmm(rmOf(u)); return; }
  localGet(h);
  simdAccess(size == 16 ? Simd.load : size == 8 ? Simd.load64zero : Simd.load32zero, 0);
}

/** [i32] -> []: stores what record `u` stores at that address. */
export function emitSseStoreValue(u: usize): void {
  if (storeLow(u)) return;
  getV(u);
  switch (<i32>load<u16>(u, RecOff.op)) {
    case Op.movss_store: simdLane(Simd.store32lane, 0); break;
    case Op.movsd_store: case Op.movlps_store: case Op.movq_store: simdLane(Simd.store64lane, 0); break;
    case Op.movhps_store: simdLane(Simd.store64lane, 1); break;
    case Op.movd_store:
      if (opSize(u) == 8) simdLane(Simd.store64lane, 0);
      else simdLane(Simd.store32lane, 0);
      break;
    case Op.pextrd:
      if (opSize(u) == 8) simdLane(Simd.store64lane, immediateOf(u) & 1);
      else simdLane(Simd.store32lane, immediateOf(u) & 3);
      break;
    case Op.pextrb: simdLane(Simd.store8lane, immediateOf(u) & 15); break;
    default: simdAccess(Simd.store, 0);
  }
}

/** [i32] -> []: the same of a low element that is kept apart; false, and nothing is written, if it is none. */
function storeLow(u: usize): bool {
  const op = <i32>load<u16>(u, RecOff.op), wide = op == Op.movsd_store || op == Op.movlps_store || op == Op.movq_store;
  const low = wide || op == Op.movss_store ? lowOf(regOf(u), wide) : 0;
  if (!low) return false;
  localGet(low);
  access(wide ? Float.f64store : Float.f32store, 0);
  return true;
}

/** [] -> []: the instruction of effect `e`. */
export function emitSse(e: usize): void {
  const u = <usize>load<u32>(e, EffectOff.u), h = hostOf(e), p = load<u32>(e, EffectOff.flags);
  const op = <i32>load<u16>(u, RecOff.op);
  if (p & (Sse.CHECKED | Sse.SETTLED)) { emitSseFloat(u, e, op); return; }
  if (p & Sse.IMM_RM) { shiftByImmediate(u, op); return; }
  if (p & Sse.FLAGS) { test(u, h, load<u32>(e, EffectOff.t)); return; }
  if (p & Sse.REG_GPR) { toGeneral(u, op); localSet(load<u32>(e, EffectOff.t)); return; }
  if (p & Sse.RM_GPR) { general(u, op, e); return; }
  if (p & Sse.STORE) { moveToRegister(u, op); return; }
  move(u, op, h);
}

/** [] -> []: store forms whose rm is an XMM register. */
function moveToRegister(u: usize, op: i32): void {
  const to = rmOf(u);
  if (op == Op.movups_store || op == Op.movaps_store) {
    copyXmm(to, regOf(u));
    learn(to, regOf(u), false);
    return;
  }
  if (moveLow(to, regOf(u), op == Op.movq_store, op != Op.movss_store)) return;
  switch (op) {
    case Op.movss_store:
      getXmm(to);
      getV(u);
      shuffle(0x0706050413121110, 0x0f0e0d0c0b0a0908);
      break;
    case Op.movsd_store:
      getXmm(to);
      getV(u);
      shuffle(0x1716151413121110, 0x0f0e0d0c0b0a0908);
      break;
    case Op.movq_store:
      getV(u);
      vector(~(<u64>0), 0);
      simd(Simd.and);
      break;
    default: getV(u);
  }
  setXmm(to);
  if (op == Op.movss_store) unknown(to);
  else learn(to, regOf(u), true);
}

/** Byte indices of 8 bytes from elements of `size` bytes: element numbers are the bytes of `elements`. */
function indices(elements: u64, size: i32): u64 {
  let r: u64 = 0;
  for (let i = 0; i < 8; i++) r |= ((elements >> <u64>((i / size) << 3) & 0xff) * <u64>size + <u64>(i % size)) << <u64>(i << 3);
  return r;
}
/** [v128, v128] -> [v128]: dwords a, b, c, d of both. */
function shuffleDwords(a: i32, b: i32, c: i32, d: i32): void {
  shuffle(indices(<u64>(a | (b << 8)), 4), indices(<u64>(c | (d << 8)), 4));
}
/** [v128, v128] -> [v128]: PUNPCKL, PUNPCKH. */
function unpack(size: i32, high: bool): void {
  let low: u64 = 0, top: u64 = 0;
  for (let i = 0; i < 16; i++) {
    const element = i / size, from = (element >> 1) * size + i % size + (high ? 8 : 0) + (element & 1 ? 16 : 0);
    if (i < 8) low |= <u64>from << <u64>(i << 3);
    else top |= <u64>from << <u64>((i - 8) << 3);
  }
  shuffle(low, top);
}
/** [v128, v128] -> [v128]: bytes n.. of second:first, of which there are 32. */
function bytesFrom(n: i32): void {
  const low = 0x0706050403020100 + <u64>n * 0x0101010101010101;
  shuffle(low, low + 0x0808080808080808);
}
/** [v128, v128] -> [v128]: elements of `size` bytes of the second where a bit of `n` is set. */
function blend(n: i32, size: i32): void {
  let low: u64 = 0, high: u64 = 0;
  for (let i = 0; i < 16; i++) {
    const from = <u64>(n >> (i / size) & 1 ? i + 16 : i);
    if (i < 8) low |= from << <u64>(i << 3);
    else high |= from << <u64>((i - 8) << 3);
  }
  shuffle(low, high);
}
function zeros(): void { vector(0, 0); }
/** [] -> [v128, v128]: W, and W. */
function twice(u: usize, h: u32): void {
  const w = scratch(Scratch.b);
  getW(u, h, 16);
  localTee(w);
  localGet(w);
}
/** [] -> [v128]: dwords of W. */
function doubled(u: usize, h: u32, a: i32, b: i32, c: i32, d: i32): void {
  twice(u, h);
  shuffleDwords(a, b, c, d);
}

/** [] -> []: V becomes something of V and W. */
function move(u: usize, op: i32, h: u32): void {
  const n = immediateOf(u);
  switch (op) {
    case Op.movups: case Op.movaps: {
      if (h) { getW(u, h, 16); break; }
      copyXmm(regOf(u), rmOf(u));
      learn(regOf(u), rmOf(u), false);
      return;
    }
    case Op.movss:
      if (h ? loadLow(u, h, false) : moveLow(regOf(u), rmOf(u), false, false)) return;
      if (h) getW(u, h, 4);
      else { getV(u); getW(u, 0, 16); shuffle(0x0706050413121110, 0x0f0e0d0c0b0a0908); }
      break;
    case Op.movsd:
      if (h ? loadLow(u, h, true) : moveLow(regOf(u), rmOf(u), false, true)) return;
      if (h) getW(u, h, 8);
      else { getV(u); getW(u, 0, 16); shuffle(0x1716151413121110, 0x0f0e0d0c0b0a0908); }
      break;
    case Op.movq:
      if (h ? loadLow(u, h, true) : moveLow(regOf(u), rmOf(u), true, true)) return;
      getW(u, h, 8);
      if (!h) { vector(~(<u64>0), 0); simd(Simd.and); }
      break;
    case Op.movlps: localGet(h); getV(u); simdLane(Simd.load64lane, 0); break;
    case Op.movhps: localGet(h); getV(u); simdLane(Simd.load64lane, 1); break;
    case Op.movhlps: getV(u); getW(u, 0, 16); shuffle(0x1f1e1d1c1b1a1918, 0x0f0e0d0c0b0a0908); break;
    case Op.movlhps: getV(u); getW(u, 0, 16); unpack(8, false); break;
    case Op.movddup:
      if (h) { localGet(h); simdAccess(Simd.load64splat, 0); }
      else { getW(u, 0, 16); getW(u, 0, 16); unpack(8, false); }
      break;
    case Op.movsldup: doubled(u, h, 0, 0, 2, 2); break;
    case Op.movshdup: doubled(u, h, 1, 1, 3, 3); break;
    case Op.pshufd: doubled(u, h, n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3); break;
    case Op.pshuflw: twice(u, h); shuffle(words(n, 0), 0x0f0e0d0c0b0a0908); break;
    case Op.pshufhw: twice(u, h); shuffle(0x0706050403020100, words(n, 4)); break;
    case Op.shufps: getV(u); getW(u, h, 16); shuffleDwords(n & 3, n >> 2 & 3, 4 + (n >> 4 & 3), 4 + (n >> 6 & 3)); break;
    case Op.shufpd: getV(u); getW(u, h, 16); shuffle(indices(n & 1, 8), indices(2 + (n >> 1 & 1), 8)); break;
    case Op.unpcklps: case Op.punpckldq: getV(u); getW(u, h, 16); unpack(4, false); break;
    case Op.unpckhps: case Op.punpckhdq: getV(u); getW(u, h, 16); unpack(4, true); break;
    case Op.punpcklqdq: getV(u); getW(u, h, 16); unpack(8, false); break;
    case Op.punpckhqdq: getV(u); getW(u, h, 16); unpack(8, true); break;
    case Op.punpcklbw: getV(u); getW(u, h, 16); unpack(1, false); break;
    case Op.punpckhbw: getV(u); getW(u, h, 16); unpack(1, true); break;
    case Op.punpcklwd: getV(u); getW(u, h, 16); unpack(2, false); break;
    case Op.punpckhwd: getV(u); getW(u, h, 16); unpack(2, true); break;
    case Op.palignr: {
      const count = n & 0xff;
      if (count <= 16) { getW(u, h, 16); getV(u); bytesFrom(count); }
      else if (count < 32) { getV(u); zeros(); bytesFrom(count - 16); }
      else zeros();
      break;
    }
    case Op.pmovzxbw: getW(u, h, 8); simd(Simd.i16x8extend_low_u); break;
    case Op.pmovzxwd: getW(u, h, 8); simd(Simd.i32x4extend_low_u); break;
    case Op.pmovzxdq: getW(u, h, 8); simd(Simd.i64x2extend_low_u); break;
    case Op.pmovsxbw: getW(u, h, 8); simd(Simd.i16x8extend_low_s); break;
    case Op.pmovsxwd: getW(u, h, 8); simd(Simd.i32x4extend_low_s); break;
    case Op.pmovsxdq: getW(u, h, 8); simd(Simd.i64x2extend_low_s); break;
    case Op.pmovzxbd: getW(u, h, 4); simd(Simd.i16x8extend_low_u); simd(Simd.i32x4extend_low_u); break;
    case Op.pmovzxwq: getW(u, h, 4); simd(Simd.i32x4extend_low_u); simd(Simd.i64x2extend_low_u); break;
    case Op.pmovsxbd: getW(u, h, 4); simd(Simd.i16x8extend_low_s); simd(Simd.i32x4extend_low_s); break;
    case Op.pmovsxwq: getW(u, h, 4); simd(Simd.i32x4extend_low_s); simd(Simd.i64x2extend_low_s); break;
    case Op.pblendw: getV(u); getW(u, h, 16); blend(n, 2); break;
    case Op.blendps: getV(u); getW(u, h, 16); blend(n, 4); break;
    case Op.blendpd: getV(u); getW(u, h, 16); blend(n, 8); break;
    case Op.cvtdq2pd:
      getW(u, h, 8);
      simd(Simd.f64x2convert_i32x4_s);
      setV(u);
      markAll(regOf(u), true, integerBounds(31));
      return;
    case Op.xorps: case Op.pxor:
      if (!h && regOf(u) == rmOf(u)) { // the idiom for zero
        zeros();
        setV(u);
        markAll(regOf(u), true, integerBounds(1));
        markAll(regOf(u), false, integerBounds(1));
        return;
      }
      packedOperation(u, op, h);
      break;
    default: packedOperation(u, op, h);
  }
  setV(u);
}

/** [] -> []: the low element of register `from` to `to`, if both are kept apart, the rest of which becomes zero if `alone`; else false, and nothing is written. */
function moveLow(to: u32, from: u32, alone: bool, wide: bool): bool {
  const low = lowOf(to, wide), source = lowOf(from, wide);
  if (!low || !source) return false;
  localGet(source);
  if (alone) setLowAlone(to, wide);
  else localSet(low);
  if (wide) learn(to, from, true);
  else unknown(to);
  return true;
}

/** [] -> []: the same from memory at `h`. */
function loadLow(u: usize, h: u32, wide: bool): bool {
  const n = regOf(u);
  if (!lowOf(n, wide)) return false;
  localGet(h);
  access(wide ? Float.f64load : Float.f32load, 0);
  setLowAlone(n, wide);
  unknown(n);
  return true;
}

/** Byte indices of four words chosen by an immediate from word `first`. */
function words(n: i32, first: i32): u64 {
  return indices(<u64>(first + (n & 3)) | <u64>(first + (n >> 2 & 3)) << 8 | <u64>(first + (n >> 4 & 3)) << 16 | <u64>(first + (n >> 6 & 3)) << 24, 2);
}

/** [] -> []: PSLLW and the like by an immediate. */
function shiftByImmediate(u: usize, op: i32): void {
  const rm = rmOf(u), n = immediateOf(u) & 0xff, x = scratch(Scratch.b);
  getXmm(rm);
  localSet(x);
  switch (op) {
    case Op.psrlw_imm: shiftOrZero(x, n, 15, Simd.i16x8shr_u); break;
    case Op.psllw_imm: shiftOrZero(x, n, 15, Simd.i16x8shl); break;
    case Op.psrld_imm: shiftOrZero(x, n, 31, Simd.i32x4shr_u); break;
    case Op.pslld_imm: shiftOrZero(x, n, 31, Simd.i32x4shl); break;
    case Op.psrlq_imm: shiftOrZero(x, n, 63, Simd.i64x2shr_u); break;
    case Op.psllq_imm: shiftOrZero(x, n, 63, Simd.i64x2shl); break;
    case Op.psraw_imm: shiftOrZero(x, min(n, 15), 15, Simd.i16x8shr_s); break;
    case Op.psrad_imm: shiftOrZero(x, min(n, 31), 31, Simd.i32x4shr_s); break;
    case Op.psrldq_imm: localGet(x); zeros(); bytesFrom(min(n, 16)); break;
    default: zeros(); localGet(x); bytesFrom(16 - min(n, 16));
  }
  setXmm(rm);
  unknown(rm);
}

function shiftOrZero(x: u32, n: i32, most: i32, code: i32): void {
  if (n > most) { zeros(); return; }
  localGet(x);
  i32const(n);
  simd(code);
}

/** [] -> [i32]: masks and elements to a general register. */
function toGeneral(u: usize, op: i32): void {
  getXmm(rmOf(u));
  switch (op) {
    case Op.movmskps: simd(Simd.i32x4bitmask); break;
    case Op.movmskpd: simd(Simd.i64x2bitmask); break;
    case Op.pmovmskb: simd(Simd.i8x16bitmask); break;
    default: lane(Simd.i16x8extract_u, immediateOf(u) & 7);
  }
}

/** [] -> []: between general and XMM registers, or from memory like that. */
function general(u: usize, op: i32, e: usize): void {
  const long = opSize(u) == 8, n = immediateOf(u), source = load<i32>(e, EffectOff.a), h = hostOf(e);
  switch (op) {
    case Op.movd_store:
    case Op.pextrd:
      getV(u);
      if (long) lane(Simd.i64x2extract, op == Op.pextrd ? n & 1 : 0);
      else lane(Simd.i32x4extract, op == Op.pextrd ? n & 3 : 0);
      localSet(load<u32>(e, EffectOff.t));
      return;
    case Op.pextrb:
      getV(u);
      lane(Simd.i8x16extract_u, n & 15);
      localSet(load<u32>(e, EffectOff.t));
      return;
    case Op.pinsrb:
      if (h) { localGet(h); getV(u); simdLane(Simd.load8lane, n & 15); }
      else { getV(u); emit32(source); lane(Simd.i8x16replace, n & 15); }
      break;
    case Op.movd:
      if (h) getW(u, h, long ? 8 : 4);
      else {
        zeros();
        if (long) { emit64(source); lane(Simd.i64x2replace, 0); }
        else { emit32(source); lane(Simd.i32x4replace, 0); }
      }
      break;
    case Op.pinsrd:
      if (h) { localGet(h); getV(u); simdLane(long ? Simd.load64lane : Simd.load32lane, n & (long ? 1 : 3)); }
      else {
        getV(u);
        if (long) { emit64(source); lane(Simd.i64x2replace, n & 1); }
        else { emit32(source); lane(Simd.i32x4replace, n & 3); }
      }
      break;
    case Op.pinsrw:
      if (h) { localGet(h); getV(u); simdLane(Simd.load16lane, n & 7); }
      else { getV(u); emit32(source); lane(Simd.i16x8replace, n & 7); }
      break;
    default: { // CVTSI2SD of 32 bits, which is exact
      const low = lowOf(regOf(u), true);
      if (!low) getV(u);
      if (h) { localGet(h); access(Wasm.i32load, 0); }
      else emit32(source);
      byte(0xb7);
      if (low) localSet(low);
      else {
        lane(Simd.f64x2replace, 0);
        setV(u);
      }
      unknown(regOf(u));
      markLow(regOf(u), true, integerBounds(31));
      return;
    }
  }
  setV(u);
}

/** [] -> []: W to the local returned, for what needs it more than once: memory is read once. */
export function keepW(u: usize, h: u32): u32 {
  const w = scratch(Scratch.b);
  getW(u, h, 16);
  localSet(w);
  return w;
}

/** [] -> []: PTEST; `t` gets ZF and CF. */
function test(u: usize, h: u32, t: u32): void {
  const w = keepW(u, h);
  getV(u);
  localGet(w);
  simd(Simd.and);
  simd(Simd.anyTrue);
  byte(Wasm.i32eqz);
  i32const(6);
  byte(Wasm.i32shl);
  localGet(w);
  getV(u);
  simd(Simd.andnot);
  simd(Simd.anyTrue);
  byte(Wasm.i32eqz);
  byte(Wasm.i32or);
  byte(Wasm.i64extend_u);
  localSet(t);
}
