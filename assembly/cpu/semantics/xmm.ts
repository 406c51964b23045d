/** Operands of SSE and MMX records. The W, Q and U, N operands are the rm field, V and P the reg field, as in the rows'
 *  notation (SDM Vol.2D "Codes for Operand Type"). */
import { Mode, PcpuOff, Seg } from "../../abi/layout";
import { RecFlag, RecOff } from "../../abi/record";
import { Vector } from "../../abi/x86";
import { failError } from "../../fault";
import { ld16, ld32, ld64, ld8, ldv, ldvAligned } from "../access";
import { ea, eaOffset, isMem, regField, rmField } from "../operand";
import { PCPU } from "../pcpu";

/** Address of XMM register `n` less PcpuOff.xmm, which loads and stores fold. */
@inline export function xmmAt(n: i32): usize { return PCPU + (<usize>n << 4); }
@inline export function xmm(n: i32): v128 { return load<v128>(xmmAt(n), PcpuOff.xmm); }
@inline export function setXmm(n: i32, x: v128): void { store<v128>(xmmAt(n), x, PcpuOff.xmm); }
@inline export function setXmmLow64(n: i32, x: u64): void { store<u64>(xmmAt(n), x, PcpuOff.xmm); }
@inline export function setXmmLow32(n: i32, x: u32): void { store<u32>(xmmAt(n), x, PcpuOff.xmm); }

/** The first operand, V. */
@inline export function vReg(u: usize): v128 { return xmm(regField(u)); }
@inline export function vReg64(u: usize): u64 { return load<u64>(xmmAt(regField(u)), PcpuOff.xmm); }
@inline export function vReg32(u: usize): u32 { return load<u32>(xmmAt(regField(u)), PcpuOff.xmm); }

/** Address of an operand that must be aligned: #GP(0) even where a limit of SS would be #SS(0), as recorded on hardware. */
export function alignedEa(u: usize, write: bool): u64 {
  if (load<u8>(u, RecOff.flags) & RecFlag.seg && load<u8>(u, RecOff.seg) == Seg.ss) {
    const long = (load<u32>(PCPU, PcpuOff.mode) & Mode.BITS) == Mode.bits64;
    if ((eaOffset(u) + (long ? 0 : load<u64>(PCPU, PcpuOff.segBase + Seg.ss * 8))) & 15) failError(Vector.GP, 0);
  }
  return ea(u, 16, write);
}

/** W, 16 bytes; in memory it must be aligned. */
export function w128(u: usize): v128 {
  if (isMem(u)) return ldvAligned(alignedEa(u, false));
  return xmm(rmField(u));
}
/** W, 16 bytes anywhere (MOVUPS, LDDQU, PCMPxSTRx). */
export function w128Unaligned(u: usize): v128 {
  if (isMem(u)) return ldv(ea(u, 16, false));
  return xmm(rmField(u));
}
export function w64(u: usize): u64 {
  if (isMem(u)) return ld64(ea(u, 8, false));
  return load<u64>(xmmAt(rmField(u)), PcpuOff.xmm);
}
export function w32(u: usize): u32 {
  if (isMem(u)) return <u32>ld32(ea(u, 4, false));
  return load<u32>(xmmAt(rmField(u)), PcpuOff.xmm);
}
export function w16(u: usize): u32 {
  if (isMem(u)) return <u32>ld16(ea(u, 2, false));
  return load<u16>(xmmAt(rmField(u)), PcpuOff.xmm);
}
@inline export function w64f(u: usize): f64 { return reinterpret<f64>(w64(u)); }
@inline export function w32f(u: usize): f32 { return reinterpret<f32>(w32(u)); }

/** E, general register or memory. */
export function e64(u: usize): u64 {
  if (isMem(u)) return ld64(ea(u, 8, false));
  return load<u64>(PCPU + (<usize>rmField(u) << 3));
}
export function e32(u: usize): u32 {
  if (isMem(u)) return <u32>ld32(ea(u, 4, false));
  return load<u32>(PCPU + (<usize>rmField(u) << 3));
}
/** Ew and Eb of PINSRx: the low part of a general register. */
export function e16(u: usize): u32 {
  if (isMem(u)) return <u32>ld16(ea(u, 2, false));
  return load<u16>(PCPU + (<usize>rmField(u) << 3));
}
export function e8(u: usize): u32 {
  if (isMem(u)) return <u32>ld8(ea(u, 1, false));
  return load<u8>(PCPU + (<usize>rmField(u) << 3));
}

/** Writes a general register; 32-bit results clear its upper half. */
@inline export function setGpr(n: i32, x: u64): void { store<u64>(PCPU + (<usize>n << 3), x); }

@inline export function mmAt(n: i32): usize { return PCPU + (<usize>(n & 7) << 4); }
@inline export function mm(n: i32): u64 { return load<u64>(mmAt(n), PcpuOff.fpr); }
/** A written MMX register reads as a NaN or infinity in x87: sign and exponent become ones (SDM Vol.1 "Effect of MMX, x87
 *  FPU, FXSAVE, and FXRSTOR Instructions on the x87 FPU Tag Word"). */
@inline export function setMm(n: i32, x: u64): void {
  store<u64>(mmAt(n), x, PcpuOff.fpr);
  store<u16>(mmAt(n), 0xffff, PcpuOff.fpr + 8);
}
/** Q, 8 bytes. */
export function q64(u: usize): u64 {
  if (isMem(u)) return ld64(ea(u, 8, false));
  return mm(rmField(u));
}

@inline export function next(u: usize): usize { return u + RecOff.SIZE; }
/** Writes V and goes on. */
@inline export function intoV(u: usize, x: v128): usize {
  setXmm(regField(u), x);
  return u + RecOff.SIZE;
}
