/** Accesses to memory at a width known only at run time, and the stack of slow paths. */
import { Mode, PcpuOff, Seg, SegAttr } from "../../abi/layout";
import { Gpr, Vector } from "../../abi/x86";
import { failError } from "../../fault";
import { knownR, knownW, ld16, ld32, ld64, ld8, st16, st32, st64, st8, sysLd16, sysLd32, sysLd64, sysSt16, sysSt32, sysSt64 } from "../access";
import { PCPU } from "../pcpu";
import { attrOf, baseOf, limitOf } from "./descriptor";
import { canonical, longActive, segAttr, segLimit } from "./mode";
import { checkedEa, withinLimit } from "./segment";

export function ldN(lin: u64, size: i32): u64 {
  return size == 8 ? <u64>ld64(lin) : size == 4 ? <u64>ld32(lin) : size == 2 ? <u64>ld16(lin) : <u64>ld8(lin);
}

export function stN(lin: u64, size: i32, value: u64): void {
  if (size == 8) st64(lin, value);
  else if (size == 4) st32(lin, <u32>value);
  else if (size == 2) st16(lin, <u32>value);
  else st8(lin, <u32>value);
}

export function sysLdN(lin: u64, size: i32): u64 {
  return size == 8 ? <u64>sysLd64(lin) : size == 4 ? <u64>sysLd32(lin) : <u64>sysLd16(lin);
}

export function sysStN(lin: u64, size: i32, value: u64): void {
  if (size == 8) sysSt64(lin, value);
  else if (size == 4) sysSt32(lin, <u32>value);
  else sysSt16(lin, <u32>value);
}

/** Mask of the stack pointer in force. */
@inline export function stackMask(): u64 {
  const mode = load<u32>(PCPU, PcpuOff.mode);
  return (mode & Mode.BITS) == Mode.bits64 ? 0xffffffffffffffff : mode & Mode.ss32 ? 0xffffffff : 0xffff;
}

@inline export function rsp(): u64 { return load<u64>(PCPU, Gpr.rsp * 8); }

/** A 16-bit stack leaves the upper bits of ESP alone. */
export function setRsp(value: u64, mask: u64): void {
  if (mask == 0xffff) store<u16>(PCPU, <u16>value, Gpr.rsp * 8);
  else store<u64>(PCPU, value & mask, Gpr.rsp * 8);
}

/** The item `size` bytes wide at `depth` bytes above the top of the stack. */
export function peek(depth: u32, size: i32): u64 {
  const host = stackFrame(depth, size, false);
  if (host) return size == 4 ? <u64>load<u32>(host) : size == 2 ? <u64>load<u16>(host) : load<u64>(host);
  return ldN(checkedEa(Seg.ss, (rsp() + depth) & stackMask(), size, false), size);
}

/** Writes an item whose end is `depth` bytes below the top of the stack, so the first push has depth `size`. RSP stays. */
export function poke(depth: u32, size: i32, value: u64): void {
  const host = stackFrame(-<i64>depth, size, true);
  if (!host) pokeChecked(depth, size, value);
  else if (size == 4) store<u32>(host, <u32>value);
  else if (size == 2) store<u16>(host, <u16>value);
  else store<u64>(host, value);
}

function pokeChecked(depth: u32, size: i32, value: u64): void {
  stN(checkedEa(Seg.ss, (rsp() - depth) & stackMask(), size, true), size, value);
}

/** May items of `size` bytes, `bytes` in all, be pushed, as far as the segment goes? */
@inline export function hasRoom(bytes: i32, size: i32): bool {
  const mode = load<u32>(PCPU, PcpuOff.mode);
  if ((mode & Mode.BITS) == Mode.bits64) return canonical(rsp() - bytes) && canonical(rsp() - 1);
  return mode & Mode.flat ? true : isWithin(bytes, size);
}

function isWithin(bytes: i32, size: i32): bool {
  const attr = segAttr(Seg.ss), limit = segLimit(Seg.ss), mask = stackMask();
  if (attr & SegAttr.NULL) return false;
  for (let depth = size; depth <= bytes; depth += size) if (!withinLimit(attr, limit, (rsp() - depth) & mask, size)) return false;
  return true;
}

/** Unwinds with #SS(`code`) if not. */
@inline export function needRoom(bytes: i32, size: i32, code: u32): void {
  if (!hasRoom(bytes, size)) failError(Vector.SS, code);
}

/** Host address of `bytes` bytes `delta` from the top of a flat 32-bit stack, to be read or written as items of a frame, if the
 *  TLB has them; else 0, and peek or poke finds out item by item. */
@inline export function stackFrame(delta: i64, bytes: i32, write: bool): usize {
  if ((load<u32>(PCPU, PcpuOff.mode) & (Mode.flat | Mode.ss32 | Mode.align)) != (Mode.flat | Mode.ss32)) return 0;
  const lin = (rsp() + <u64>delta) & 0xffffffff, base = <usize>load<u32>(PCPU, PcpuOff.tlbBase);
  return write ? knownW(base, lin, bytes) : knownR(base, lin, bytes);
}

/** Moves the stack pointer by `delta` bytes. */
export function moveRsp(delta: i64): void {
  setRsp(rsp() + delta, stackMask());
}

/** Mask of a stack pointer for the stack segment `d`. */
export function maskOf(d: u64): u64 { return (d >> 54) & 1 ? 0xffffffff : 0xffff; }

/** Linear address of `bytes` bytes below `top` on a stack that is not in force yet, limits and type checked:
 *  `vector`(`code`) otherwise. In long mode `d` is not looked at. */
export function newStack(d: u64, top: u64, bytes: u32, vector: i32, code: u32): u64 {
  if (longActive()) {
    const lin = top - bytes;
    if (!canonical(lin) || !canonical(top - 1)) failError(vector, code);
    return lin;
  }
  const offset = (top - bytes) & maskOf(d);
  if (!withinLimit(attrOf(d), limitOf(d), offset, bytes)) failError(vector, code);
  return (baseOf(d) + offset) & 0xffffffff;
}

/** Truncation of a stack pointer popped for the outer stack: a 16-bit stack keeps the upper half. */
export function outerRsp(value: u64, d: u64, to64: bool): u64 {
  if (to64) return value;
  return (d >> 54) & 1 ? value & 0xffffffff : (rsp() & 0xffff0000) | (value & 0xffff);
}

