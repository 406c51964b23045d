/** Status flags in emitted code: like those of cpu/flags.ts, but the operands may still have anything above their width (RawKind.raw:
 *  bits 8 and 9 of the kind are its logarithm), so that code that nobody asks for flags does not extend them. ADD and SUB
 *  leave their operands only, INC and DEC their result. */
import { FlagsKind, PcpuOff } from "../../abi/layout";
import { Flag } from "../../abi/x86";
import { carry, condition, setCarry, setCarryOverflow, setStatus, setZero } from "../flags";
import { PCPU } from "../pcpu";
import { knownKind } from "./slots";

export const enum RawKind {
  memory = 64, // the flags are where the interpreter keeps them
  bits = 16, // a base kind: the result is the flags themselves, as in RFLAGS
  order = 17, // a base kind: of a comparison of floating point, the operands are its, as doubles
  raw = 0x1000,
  carry = 0x2000, // CF is bit 0 of flagsCarry, the others as the rest of the kind says
  zero = 0x4000, // ZF is bit 2 of flagsCarry, the others as the rest of the kind says
  named = 0x8000, // the bits from 16 on name operands
}

/** Where operands are that are in no locals of their own but are what general registers have, or a small number: a field of 0 if they are. */
export const enum Name {
  A = 16, // 5 bits, 1 + the register that is A, or the result of kinds without operands
  result = 0x200000, // it is the result of the addition or subtraction instead
  B = 22, // 10 bits, 1 + the register that is B, or NUMBER + a number from LEAST to MOST
  NUMBER = 288, LEAST = -256, MOST = 735,
}
export const WLOG_SHIFT: i32 = 8;
/** In flagsCarry, of INC and DEC: CF is still that of the flags in memory. */
export const CARRY_IN_MEMORY: i64 = 256;

@inline export function base(kind: i32): i32 { return kind & 31; }

/** Kind of the flags in force if it is known and they are not in memory, else -1. */
export function known(): i32 {
  const kind = knownKind();
  return kind && !(kind & RawKind.memory) ? kind : -1;
}

function sext(x: i64, wlog: u32): i64 {
  const shift = <i64>(64 - (8 << wlog));
  return (x << shift) >> shift;
}

/** Flags of UCOMISD (SDM Vol.2B). */
function orderOf(a: f64, b: f64): u32 {
  if (a > b) return 0;
  return a < b ? Flag.CF : a == b ? Flag.ZF : Flag.ZF | Flag.PF | Flag.CF;
}

@inline function register(n: u32): i64 { return load<i64>(PCPU + (<usize>n << 3)); }

/** Brings flags as emitted code has them into the form of the interpreter. Where operands are named, registers are in the pCPU block. */
export function keepFlags(kind: u32, r: i64, a: i64, b: i64, c: i64): void {
  if (kind & RawKind.named) {
    const first = kind >> Name.A & 31, second = kind >> Name.B;
    if (second >= <u32>(Name.NUMBER + Name.LEAST)) b = <i64>second - Name.NUMBER;
    else if (second) b = register(second - 1);
    if (first) {
      const x = register(first - 1);
      if (base(kind) > FlagsKind.sub) r = x;
      else a = !(kind & Name.result) ? x : base(kind) == FlagsKind.add ? x - b : x + b;
    }
    kind &= RawKind.named - 1;
  }
  if (c & CARRY_IN_MEMORY && (base(kind) > FlagsKind.logic || kind & (FlagsKind.overlay | RawKind.carry))) c = (c & ~(CARRY_IN_MEMORY | 1)) | <i64>carry();
  if (!(kind & RawKind.memory)) {
    const wlog = (kind >> WLOG_SHIFT) & 3;
    const k = <i32>(kind & 31);
    if (k == RawKind.bits || k == RawKind.order) {
      setStatus(k == RawKind.bits ? <u32>r : orderOf(reinterpret<f64>(a), reinterpret<f64>(b)));
      if (kind & FlagsKind.overlay) setCarryOverflow(<u32>c & 1, <u32>c >> 1 & 1);
      if (kind & RawKind.carry) setCarry(<u32>c & 1);
      if (kind & RawKind.zero) setZero((<u32>c >> 2) & 1);
      return;
    }
    a = sext(a, wlog);
    b = sext(b, wlog);
    r = sext(r, wlog);
    if (k == FlagsKind.add) r = sext(a + b, wlog);
    else if (k == FlagsKind.sub) r = sext(a - b, wlog);
    else if (k == FlagsKind.inc || k == FlagsKind.dec) {
      a = sext(k == FlagsKind.inc ? r - 1 : r + 1, wlog);
      b = 1;
    }
    store<i64>(PCPU, r, PcpuOff.flagsRes);
    store<i64>(PCPU, a, PcpuOff.flagsA);
    store<i64>(PCPU, b, PcpuOff.flagsB);
    store<u32>(PCPU, <u32>c, PcpuOff.flagsCarry);
    store<u32>(PCPU, k | (kind & FlagsKind.overlay), PcpuOff.flagsKind);
  } else if (kind & FlagsKind.overlay) {
    store<u32>(PCPU, <u32>c, PcpuOff.flagsCarry);
    store<u32>(PCPU, load<u32>(PCPU, PcpuOff.flagsKind) | FlagsKind.overlay, PcpuOff.flagsKind);
  }
  if (kind & RawKind.carry) setCarry(<u32>c & 1);
  if (kind & RawKind.zero) setZero((<u32>c >> 2) & 1);
}

/** Called by emitted code: a condition, or CF, of flags it cannot tell at compile time. */
export function jitCond(cc: i32, kind: u32, r: i64, a: i64, b: i64, c: i64): i32 {
  keepFlags(kind, r, a, b, c);
  return condition(cc);
}

export function jitCarry(kind: u32, r: i64, a: i64, b: i64, c: i64): i64 {
  keepFlags(kind, r, a, b, c);
  return carry();
}
