/** Faults without exceptions: a faulting instruction writes the pending-fault words and returns record 0, whose handler
 *  delivers the fault. Helpers that are too deep to return unwind through the host instead; the words are the same.
 *  State is committed last in every instruction, so delivery only needs the rip of the record (SDM Vol.3A
 *  "Exception Classifications"). */
import { FaultKind, PcpuOff } from "./abi/layout";
import { Vector } from "./abi/x86";
import { PCPU } from "./cpu/pcpu";
import { unwind } from "./env";

/** Pends exception `vector` without error code; returns 0 for `return raise(...)`. */
export function raise(vector: i32): usize {
  pend(vector, 0, 0);
  return 0;
}

export function raiseError(vector: i32, errorCode: u32): usize {
  pend(vector, errorCode, 1);
  return 0;
}

/** #GP(0) for an address that is not canonical, which stackFault (cpu/checked) turns into #SS(0) if it is a stack address. */
export const NON_CANONICAL: u32 = 3;
export function raiseNonCanonical(lin: u64): usize {
  raiseError(Vector.GP, 0);
  store<u64>(PCPU, lin, PcpuOff.faultLin);
  store<u32>(PCPU, NON_CANONICAL, PcpuOff.faultHasError);
  return 0;
}

/** Page fault at `lin`; CR2 itself is written at delivery. */
export function raisePageFault(lin: u64, errorCode: u32): usize {
  raiseError(Vector.PF, errorCode);
  store<u64>(PCPU, lin, PcpuOff.faultLin);
  return 0;
}

/** An exception that reports after the instruction (INT3, INTO, single-step): rip is already the next one. */
export function raiseTrap(vector: i32): usize {
  raise(vector);
  store<u32>(PCPU, FaultKind.trap, PcpuOff.faultKind);
  return 0;
}

/** Pends the fault and leaves run() through the host; does not return. */
@inline export function fail(vector: i32): void {
  leaveWith(vector, 0, 0);
  unreachable();
}

@inline export function failError(vector: i32, errorCode: u32): void {
  leaveWith(vector, errorCode, 1);
  unreachable();
}

function leaveWith(vector: i32, errorCode: u32, hasError: u32): void {
  pend(vector, errorCode, hasError);
  unwind();
}

@inline function pend(vector: i32, errorCode: u32, hasError: u32): void {
  store<i32>(PCPU, vector, PcpuOff.faultVector);
  store<u32>(PCPU, errorCode, PcpuOff.faultError);
  store<u32>(PCPU, hasError, PcpuOff.faultHasError);
  store<u32>(PCPU, FaultKind.fault, PcpuOff.faultKind);
}
