/** The x87 register stack, status word and the per-instruction work area (SDM Vol.1 "x87 FPU Execution Environment").
 *
 *  A value is held as `se` (sign bit 15, biased exponent 14..0) and `sig` (64-bit significand, integer bit explicit).
 *  Functions that produce one return the significand and leave `se` in Work.se; exceptions gather in Work.exc with the bit
 *  positions of FSW, C1 included, and reach FSW once, in `settle`. */
import { PcpuOff } from "../../abi/layout";
import { PCPU } from "../pcpu";

/** Temporaries of the instruction in progress, offsets from PCPU. */
export const enum Work {
  exc = PcpuOff.x87, // u32, Fsw bits raised so far
  se = PcpuOff.x87 + 4, // u32, sign and exponent of the value just returned
  rounding = PcpuOff.x87 + 8, // u32, PE and C1 of the latest roundAt
  lo = PcpuOff.x87 + 16, // u64, low half of a 128-bit result whose high half is returned
  second = PcpuOff.x87 + 24, // u64, significand of a second result
  secondSe = PcpuOff.x87 + 32, // u32
  exp = PcpuOff.x87 + 36, // i32, exponent of a wide result (x87_wide)
  quadrant = PcpuOff.x87 + 40, // u32, of a reduced angle; bit 2: the remainder is negative
  host = PcpuOff.x87 + 44, // u32, where the memory operand is, 0: at its address
  pointer = PcpuOff.x87 + 48, // u64, that address, with a host's
  area = PcpuOff.x87 + 256, // 576 B + alignment: images being assembled
}

/** Status word. The six exceptions have the same positions in the control word's masks. */
export const enum Fsw {
  IE = 1,
  DE = 2,
  ZE = 4,
  OE = 8,
  UE = 0x10,
  PE = 0x20,
  SF = 0x40,
  ES = 0x80,
  C0 = 0x100,
  C1 = 0x200,
  C2 = 0x400,
  TOP = 0x3800,
  C3 = 0x4000,
  B = 0x8000,
  EXCEPTIONS = 0x3f,
  CONDITION = 0x4700,
}

/** Control word fields. */
export const enum Fcw {
  PC_SHIFT = 8,
  PC64 = 0x300,
  RC_SHIFT = 10,
  INIT = 0x37f,
}

/** RC values. */
export const enum Round {
  nearest = 0,
  down = 1,
  up = 2,
  chop = 3,
}

export const INTEGER_BIT: u64 = 1 << 63;
export const QUIET_BIT: u64 = 1 << 62;
/** QNaN floating-point indefinite: sign set, significand 1.1000... */
export const INDEFINITE_SE: u32 = 0xffff;
export const INDEFINITE_SIG: u64 = INTEGER_BIT | QUIET_BIT;

@inline export function controlWord(): u32 { return load<u16>(PCPU, PcpuOff.fcw); }
@inline export function statusWord(): u32 { return load<u16>(PCPU, PcpuOff.fsw); }
@inline export function flag(bits: u32): void { store<u32>(PCPU, load<u32>(PCPU, Work.exc) | bits, Work.exc); }
@inline export function flagged(): u32 { return load<u32>(PCPU, Work.exc); }
@inline export function setSe(se: u32): void { store<u32>(PCPU, se, Work.se); }
@inline export function resultSe(): u32 { return load<u32>(PCPU, Work.se); }

/** Number of the physical register that ST(i) names. */
@inline export function physical(i: u32): u32 { return ((statusWord() >> 11) + i) & 7; }
/** Address of a physical register, for loads and stores at PcpuOff.fpr and PcpuOff.fpr + 8. */
@inline export function registerAt(n: u32): usize { return PCPU + (<usize>n << 4); }
@inline export function stAt(i: u32): usize { return registerAt(physical(i)); }
@inline export function sigAt(at: usize): u64 { return load<u64>(at, PcpuOff.fpr); }
@inline export function seAt(at: usize): u32 { return load<u16>(at, PcpuOff.fpr + 8); }
@inline export function put(at: usize, se: u32, sig: u64): void {
  store<u64>(at, sig, PcpuOff.fpr);
  store<u16>(at, <u16>se, PcpuOff.fpr + 8);
}
@inline export function inUse(i: u32): bool { return ((<u32>load<u8>(PCPU, PcpuOff.ftag) >> physical(i)) & 1) != 0; }
@inline export function setInUse(i: u32): void { store<u8>(PCPU, <u8>(<u32>load<u8>(PCPU, PcpuOff.ftag) | (1 << physical(i))), PcpuOff.ftag); }
@inline export function setEmpty(i: u32): void { store<u8>(PCPU, <u8>(<u32>load<u8>(PCPU, PcpuOff.ftag) & ~(1 << physical(i))), PcpuOff.ftag); }

/** Adds `by` to TOP, modulo 8. */
@inline export function turn(by: i32): void {
  const fsw = statusWord();
  store<u16>(PCPU, (fsw & ~Fsw.TOP) | ((fsw + (by << 11)) & Fsw.TOP), PcpuOff.fsw);
}

export function pop(): void {
  setEmpty(0);
  turn(1);
}

/** Moves TOP down and marks the new ST(0) in use; the caller has checked that it was free. */
export function push(se: u32, sig: u64): void {
  turn(-1);
  setInUse(0);
  put(stAt(0), se, sig);
}

/** Folds the gathered exceptions and C1 into FSW; returns those that are unmasked (SDM Vol.1 "x87 FPU Exception
 *  Handling"). An unmasked one is reported by the next waiting instruction. */
export function settle(): u32 {
  let exc = flagged();
  const unmasked = exc & ~controlWord() & Fsw.EXCEPTIONS;
  // Unmasked IE, DE and ZE stop the operation: it does not get as far as rounding.
  if (unmasked & (Fsw.IE | Fsw.DE | Fsw.ZE)) exc &= exc & Fsw.SF ? ~0 : ~(Fsw.OE | Fsw.UE | Fsw.PE | Fsw.CONDITION);
  let fsw = (statusWord() & ~Fsw.C1) | exc;
  if (unmasked) fsw |= Fsw.ES | Fsw.B;
  store<u16>(PCPU, fsw, PcpuOff.fsw);
  return unmasked;
}

/** Recomputes ES and B after FCW or FSW changed as a whole. */
export function refreshSummary(): void {
  const fsw = statusWord() & ~(Fsw.ES | Fsw.B);
  const unmasked = fsw & ~controlWord() & Fsw.EXCEPTIONS;
  store<u16>(PCPU, unmasked ? fsw | Fsw.ES | Fsw.B : fsw, PcpuOff.fsw);
}

/** Stack fault: IE and SF, C1 = 1 for overflow and 0 for underflow. True if the masked response (the indefinite QNaN as
 *  result) is due. */
export function stackFault(overflow: bool): bool {
  store<u32>(PCPU, overflow ? Fsw.IE | Fsw.SF | Fsw.C1 : Fsw.IE | Fsw.SF, Work.exc);
  return settle() == 0;
}

/** State after FNINIT, which leaves the registers' contents alone (SDM Vol.2A FINIT). */
export function fninit(): void {
  store<u16>(PCPU, Fcw.INIT, PcpuOff.fcw);
  store<u16>(PCPU, 0, PcpuOff.fsw);
  store<u8>(PCPU, 0, PcpuOff.ftag);
  store<u16>(PCPU, 0, PcpuOff.fop);
  store<u64>(PCPU, 0, PcpuOff.fip);
  store<u64>(PCPU, 0, PcpuOff.fdp);
  store<u16>(PCPU, 0, PcpuOff.fcs);
  store<u16>(PCPU, 0, PcpuOff.fds);
}

/** x87 and SSE state of a vCPU that starts: FNINIT, registers zero, MXCSR 1F80h. */
export function initFpu(): void {
  fninit();
  memory.fill(PCPU + PcpuOff.fpr, 0, 128);
  memory.fill(PCPU + PcpuOff.xmm, 0, 256);
  store<u32>(PCPU, 0x1f80, PcpuOff.mxcsr);
}

/** What every MMX instruction but EMMS does to the x87 state: TOP = 0, all registers in use (SDM Vol.1 "The MMX State
 *  and MMX Instructions"). */
export function mmxTransition(): void {
  store<u16>(PCPU, load<u16>(PCPU, PcpuOff.fsw) & ~Fsw.TOP, PcpuOff.fsw);
  store<u8>(PCPU, 0xff, PcpuOff.ftag);
}

/** Writes MMn: bits 79..64 of the register become all ones. */
export function writeMmx(n: u32, value: u64): void {
  put(registerAt(n), 0xffff, value);
}

export function emms(): void {
  store<u8>(PCPU, 0, PcpuOff.ftag);
}
