/** The pCPU block this instance of the core works on. A constant, so that every register is a load or store with a
 *  folded address; for pCPU n the loader relocates the constant in the module (src/machine/relocate.ts). */
import { PcpuOff, Region } from "../abi/layout";

export const PCPU: usize = Region.PCPUS;

/** From a cold helper: the run loop is to look at requests and interrupts at the next block. */
export function attention(): void {
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.sliceLength) - load<u32>(PCPU, PcpuOff.left), PcpuOff.sliceLength);
  store<i32>(PCPU, 0, PcpuOff.left);
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
