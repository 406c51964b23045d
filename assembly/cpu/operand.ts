/** Operands of cold instructions: registers by number, memory by linear address. */
import { PcpuOff, Seg } from "../abi/layout";
import { RecFlag, RecOff } from "../abi/record";
import { checkedEa } from "./helpers/segment";
import { PCPU } from "./pcpu";

/** Operand size of a cold record, bytes. */
@inline export function opSize(u: usize): i32 { return load<u16>(u, RecOff.desc) & 15; }
/** Address size of a cold record, bytes. */
@inline export function addressSize(u: usize): i32 { return (load<u16>(u, RecOff.desc) >> 4) & 15; }
@inline export function isMem(u: usize): bool { return (load<u8>(u, RecOff.flags) & RecFlag.mem) != 0; }
@inline export function regField(u: usize): i32 { return load<u8>(u, RecOff.reg); }
@inline export function rmField(u: usize): i32 { return load<u8>(u, RecOff.rm); }
@inline export function imm(u: usize): i32 { return load<i32>(u, RecOff.imm); }

/** Offset part of the memory operand, before the segment base. */
export function eaOffset(u: usize): u64 {
  const sum = load<u64>(PCPU + load<u8>(u, RecOff.base)) + (load<u64>(PCPU + load<u8>(u, RecOff.index)) << load<u8>(u, RecOff.scale))
    + <u64><i64>load<i32>(u, RecOff.disp);
  return sum & load<u64>(u, RecOff.mask);
}

/** Linear address of the memory operand. Where segmentation matters, checks type and limit for `size` bytes and unwinds
 *  with #GP(0) or #SS(0). */
export function ea(u: usize, size: i32, write: bool): u64 {
  const offset = eaOffset(u);
  if (!(load<u8>(u, RecOff.flags) & RecFlag.seg)) return offset;
  return checkedEa(load<u8>(u, RecOff.seg), offset, size, write);
}

/** Address of byte register `n`: AH..BH without REX, SPL..DIL with one. */
@inline export function byteRegister(u: usize, n: i32): usize {
  return PCPU + (n >= 4 && n < 8 && !(load<u8>(u, RecOff.flags) & RecFlag.rex) ? (n - 4) * 8 + 1 : n * 8);
}

/** General register `n` at `size` bytes (2, 4, 8), zero-extended. For byte registers see byteRegister. */
export function getReg(n: i32, size: i32): u64 {
  const at = PCPU + (<usize>n << 3);
  return size == 8 ? load<u64>(at) : size == 4 ? <u64>load<u32>(at) : <u64>load<u16>(at);
}

/** 32-bit writes clear the upper half; 16-bit ones keep the rest (SDM Vol.1 "General-Purpose Registers in 64-Bit Mode"). */
export function setReg(n: i32, size: i32, value: u64): void {
  const at = PCPU + (<usize>n << 3);
  if (size == 8) store<u64>(at, value);
  else if (size == 4) store<u64>(at, value & 0xffffffff);
  else store<u16>(at, <u16>value);
}

/** rip of the record (its first byte), truncated to the mode's width by whoever stores it. */
@inline export function ripOf(u: usize): u64 { return load<u64>(PCPU, PcpuOff.ripBase) + load<u16>(u, RecOff.off); }
@inline export function nextRipOf(u: usize): u64 { return ripOf(u) + load<u8>(u, RecOff.len); }
