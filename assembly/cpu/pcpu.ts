/** The pCPU block this instance of the core works on. A constant, so that every register is a load or store with a
 *  folded address; for pCPU n the loader relocates the constant in the module (src/machine/relocate.ts). */
import { PcpuOff, Region } from "../abi/layout";
import { RecOff } from "../abi/record";
import { Handler } from "./handler";

export const PCPU: usize = Region.PCPUS;

/** From a cold helper: the run loop is to look at requests and interrupts at the next block. */
export function attention(): void {
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.sliceLength) - load<u32>(PCPU, PcpuOff.left), PcpuOff.sliceLength);
  store<i32>(PCPU, 0, PcpuOff.left);
}

/** The run loop is to look at interrupts and exits right after the instruction of record `u`, not at the end of its block: the record
 *  behind it gets another handler, for once, so that nobody pays who does not ask. */
export function lookAfter(u: usize): void {
  if (!u) return;
  endLook();
  u += RecOff.SIZE;
  store<u32>(PCPU, <u32>u, PcpuOff.lookAt);
  store<u32>(PCPU, <u32>load<u16>(u), PcpuOff.lookHandler);
  store<u16>(u, Handler.look);
}

/** Gives the record lookAfter() chose its handler back, unless it has become another record meanwhile. Returns the handler. */
export function endLook(): u32 {
  const at = <usize>load<u32>(PCPU, PcpuOff.lookAt), handler = load<u32>(PCPU, PcpuOff.lookHandler);
  if (at && load<u16>(at) == Handler.look) store<u16>(at, <u16>handler);
  store<u32>(PCPU, 0, PcpuOff.lookAt);
  return handler;
}

/** From a cold helper: its instruction does the work of `n` others, so that a budget of instructions bounds the time too.
 *  True: the budget is used up, and what can be interrupted should be. */
export function charge(n: i64): bool {
  const budget = load<i64>(PCPU, PcpuOff.budget) - n;
  store<i64>(PCPU, budget, PcpuOff.budget);
  if (budget > <i64>load<u32>(PCPU, PcpuOff.sliceLength) - <i64>load<i32>(PCPU, PcpuOff.left)) return false;
  attention();
  return true;
}
