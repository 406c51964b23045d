import { RegionOff } from "../../assembly/abi/jit";
import { PcpuOff, Region } from "../../assembly/abi/layout";
import type { MachineMemory } from "../../src/machine/memory";

/** Regions made of ways (cpu/jit/path) that pCPU 0 has now. */
export function waysOf(memory: MachineMemory): number {
  const table = memory.get32(Region.PCPUS + PcpuOff.codeBase) >>> 0;
  let count = 0;
  for (let r = table; r < table + RegionOff.MAX * RegionOff.SIZE; r += RegionOff.SIZE) if (memory.get32(r + RegionOff.entries) && memory.u8[r + RegionOff.ways]) count++;
  return count;
}
