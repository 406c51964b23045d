/** The pCPU block this instance of the core works on. A constant, so that every register is a load or store with a
 *  folded address; for pCPU n the loader relocates the constant in the module (src/machine/relocate.ts). */
import { Region } from "../abi/layout";

export const PCPU: usize = Region.PCPUS;
