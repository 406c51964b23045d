/** Lazy status flags. An arithmetic instruction leaves operands and result, sign-extended to 64 bits, and a kind; the six
 *  flags are computed when somebody looks. Sign extension keeps both signed and unsigned order, so one formula serves
 *  all widths (SDM Vol.1 "Status Flags"). */
import { FlagsKind, PcpuOff } from "../abi/layout";
import { Flag } from "../abi/x86";
import { PCPU } from "./pcpu";
import { mulHighSigned } from "./wide";

/** 1 if the signed 128-bit product of the operands differs from the sign-extended result. */
function wideProduct(): u32 {
  const a = load<u64>(PCPU, PcpuOff.flagsA), b = load<u64>(PCPU, PcpuOff.flagsB), r = load<u64>(PCPU, PcpuOff.flagsRes);
  return u32(a * b != r || mulHighSigned(a, b) != <u64>(<i64>r >> 63));
}

@inline function baseKind(): u32 { return load<u32>(PCPU, PcpuOff.flagsKind) & (FlagsKind.overlay - 1); }

/** CF as 0 or 1. */
export function carry(): u32 { return carryNow(); }

@inline function carryNow(): u32 {
  const r = load<i64>(PCPU, PcpuOff.flagsRes);
  switch (<i32>load<u32>(PCPU, PcpuOff.flagsKind)) {
    case FlagsKind.add: return u32(<u64>r < load<u64>(PCPU, PcpuOff.flagsA));
    case FlagsKind.sub: return u32(load<u64>(PCPU, PcpuOff.flagsA) < load<u64>(PCPU, PcpuOff.flagsB));
    case FlagsKind.logic: return 0;
    case FlagsKind.none: return load<u32>(PCPU, PcpuOff.rflags) & Flag.CF;
    case FlagsKind.imul: return wideProduct();
    default: return load<u32>(PCPU, PcpuOff.flagsCarry) & 1;
  }
}

/** OF as 0 or 1. */
export function overflow(): u32 { return overflowNow(); }

@inline function overflowNow(): u32 {
  const r = load<i64>(PCPU, PcpuOff.flagsRes), a = load<i64>(PCPU, PcpuOff.flagsA), b = load<i64>(PCPU, PcpuOff.flagsB);
  const kind = <i32>load<u32>(PCPU, PcpuOff.flagsKind);
  if (kind & FlagsKind.overlay) return (load<u32>(PCPU, PcpuOff.flagsCarry) >> 1) & 1;
  switch (kind) {
    case FlagsKind.none: return (load<u32>(PCPU, PcpuOff.rflags) >> 11) & 1;
    case FlagsKind.logic: return 0;
    case FlagsKind.shift: return (load<u32>(PCPU, PcpuOff.flagsCarry) >> 1) & 1;
    case FlagsKind.imul: return wideProduct();
    case FlagsKind.add:
    case FlagsKind.inc:
    case FlagsKind.adc: return <u32>(((a ^ r) & (b ^ r)) >>> 63);
    default: return <u32>(((a ^ b) & (a ^ r)) >>> 63);
  }
}

export function auxiliary(): u32 {
  switch (<i32>baseKind()) {
    case FlagsKind.none: return (load<u32>(PCPU, PcpuOff.rflags) >> 4) & 1;
    case FlagsKind.logic:
    case FlagsKind.imul:
    case FlagsKind.shift: return 0;
    default:
      return <u32>((load<u64>(PCPU, PcpuOff.flagsRes) ^ load<u64>(PCPU, PcpuOff.flagsA) ^ load<u64>(PCPU, PcpuOff.flagsB)) >> 4) & 1;
  }
}

export function zero(): u32 {
  if (baseKind() == FlagsKind.none) return (load<u32>(PCPU, PcpuOff.rflags) >> 6) & 1;
  return u32(load<i64>(PCPU, PcpuOff.flagsRes) == 0);
}

export function sign(): u32 {
  if (baseKind() == FlagsKind.none) return (load<u32>(PCPU, PcpuOff.rflags) >> 7) & 1;
  return u32(load<i64>(PCPU, PcpuOff.flagsRes) < 0);
}

export function parity(): u32 {
  if (baseKind() == FlagsKind.none) return (load<u32>(PCPU, PcpuOff.rflags) >> 2) & 1;
  return ~popcnt<u32>(load<u8>(PCPU, PcpuOff.flagsRes)) & 1;
}

/** OSZAPC in their RFLAGS positions. */
export function status(): u32 { return statusNow(); }

@inline function statusNow(): u32 {
  if (load<u32>(PCPU, PcpuOff.flagsKind) == FlagsKind.none) return load<u32>(PCPU, PcpuOff.rflags) & Flag.STATUS;
  return carryNow() | (parity() << 2) | (auxiliary() << 4) | (zero() << 6) | (sign() << 7) | (overflowNow() << 11);
}

/** Folds the lazy flags into RFLAGS and returns all of it. */
export function materialize(): u64 {
  const all = (load<u64>(PCPU, PcpuOff.rflags) & ~(<u64>Flag.STATUS)) | <u64>statusNow();
  store<u64>(PCPU, all, PcpuOff.rflags);
  store<u32>(PCPU, FlagsKind.none, PcpuOff.flagsKind);
  return all;
}

/** Replaces OSZAPC by the bits of `bits` (RFLAGS positions). */
export function setStatus(bits: u32): void {
  store<u64>(PCPU, (load<u64>(PCPU, PcpuOff.rflags) & ~(<u64>Flag.STATUS)) | <u64>(bits & Flag.STATUS), PcpuOff.rflags);
  store<u32>(PCPU, FlagsKind.none, PcpuOff.flagsKind);
}

/** CF := `c`, OF := `o`; the others keep their values, unlooked at. */
@inline export function setCarryOverflow(c: u32, o: u32): void {
  store<u32>(PCPU, c | (o << 1), PcpuOff.flagsCarry);
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.flagsKind) | FlagsKind.overlay, PcpuOff.flagsKind);
}

/** CF := `c`; the other five keep their values. */
export function setCarry(c: u32): void {
  setCarryOverflow(c, overflow());
}

/** ZF := `z`; the other five keep their values. */
export function setZero(z: u32): void {
  setStatus((status() & ~(<u32>Flag.ZF)) | (z << 6));
}

/** CF and OF after ROL or ROR with zero-extended result `r` of `bits` bits. */
export function rotateFlags(right: bool, r: u64, bits: i32): void {
  const top = <u32>(r >> (bits - 1)) & 1;
  const c = right ? top : <u32>r & 1, o = right ? top ^ (<u32>(r >> (bits - 2)) & 1) : c ^ top;
  setCarryOverflow(c, o);
}

/** Condition code `cc` (SDM Vol.1 "EFLAGS Condition Codes") as 0 or 1, from the lazy operands where that is direct. */
export function condition(cc: i32): i32 {
  const kind = load<u32>(PCPU, PcpuOff.flagsKind);
  let yes: u32 = 0;
  if (kind == FlagsKind.sub) {
    const a = load<i64>(PCPU, PcpuOff.flagsA), b = load<i64>(PCPU, PcpuOff.flagsB);
    switch (cc >> 1) {
      case 0: yes = overflow(); break;
      case 1: yes = u32(<u64>a < <u64>b); break;
      case 2: yes = u32(load<i64>(PCPU, PcpuOff.flagsRes) == 0); break;
      case 3: yes = u32(<u64>a <= <u64>b); break;
      case 4: yes = u32(load<i64>(PCPU, PcpuOff.flagsRes) < 0); break;
      case 5: yes = parity(); break;
      case 6: yes = u32(a < b); break;
      default: yes = u32(a <= b);
    }
  } else {
    switch (cc >> 1) {
      case 0: yes = overflow(); break;
      case 1: yes = carry(); break;
      case 2: yes = zero(); break;
      case 3: yes = carry() | zero(); break;
      case 4: yes = sign(); break;
      case 5: yes = parity(); break;
      case 6: yes = sign() ^ overflow(); break;
      default: yes = (sign() ^ overflow()) | zero();
    }
  }
  return <i32>yes ^ (cc & 1);
}

/* What a handler of run() can tell in line; where one of these says late, it leaves the instruction to performFlat. */

/** CF: all but rflags itself and wide products. (Overlays of those are taken along.) */
@inline export function lateCarry(): bool {
  return ((1 << FlagsKind.none | 1 << FlagsKind.imul) >> load<u32>(PCPU, PcpuOff.flagsKind) & 1) != 0;
}

/** ZF, SF. */
@inline export function lateResult(): bool { return baseKind() == FlagsKind.none; }

/** Conditions on several flags, and OF: after CMP, SUB, NEG, TEST, AND, OR, XOR. */
@inline export function lateOrder(): bool { return (load<u32>(PCPU, PcpuOff.flagsKind) | 1) != (FlagsKind.sub | 1); }

/** OF unless lateOrder(). */
@inline export function overflowOrdered(): u32 {
  if (load<u32>(PCPU, PcpuOff.flagsKind) == FlagsKind.logic) return 0;
  const a = load<u64>(PCPU, PcpuOff.flagsA);
  return <u32>(((a ^ load<u64>(PCPU, PcpuOff.flagsB)) & (a ^ load<u64>(PCPU, PcpuOff.flagsRes))) >> 63);
}
