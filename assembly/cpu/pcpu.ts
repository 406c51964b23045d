/** The pCPU block this instance of the core works on. A constant, so that every register is a load or store with a
 *  folded address; for pCPU n the loader relocates the constant in the module (src/machine/relocate.ts). */
import { PcpuOff, Region } from "../abi/layout";

export const PCPU: usize = Region.PCPUS;

/** From a cold helper: the run loop is to look at requests and interrupts at the next block. */
export function attention(): void {
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.sliceLength) - load<u32>(PCPU, PcpuOff.left), PcpuOff.sliceLength);
  store<i32>(PCPU, 0, PcpuOff.left);
}
