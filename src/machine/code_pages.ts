/** Host writes to frames that hold decoded instructions. Record caches belong to pCPUs, so each gets the frame's number
 *  in a queue, which it empties before it runs guest code again (`drainDropped` in assembly/mmu/code_pages.ts). */
import { FrameOff, MachineOff, PcpuOff, Region, VcpuRequest } from "../../assembly/abi/layout";
import { kick, pcpuBase } from "./kick";
import { type MachineMemory, PAGE_SHIFT } from "./memory";

/** To be called after `length` bytes at `maddr`, within one page, have changed and before the guest is told. */
export function hostWrote(mem: MachineMemory, maddr: number, length: number): void {
  const mfn = maddr >>> PAGE_SHIFT;
  const mask = mem.load(Region.FRAME_TABLE + mfn * FrameOff.SIZE + FrameOff.code);
  if (mask === 0 || length <= 0) return;
  const first = (maddr & 0xfff) >>> 7;
  const last = ((maddr & 0xfff) + length - 1) >>> 7;
  if ((mask >>> first) << (31 - (last - first)) !== 0) dropCode(mem, mfn);
}

/** Has every pCPU drop its records of frame `mfn`. */
export function dropCode(mem: MachineMemory, mfn: number): void {
  const pcpus = mem.get32(Region.MACHINE + MachineOff.pcpus);
  for (let n = 0; n < pcpus; n++) {
    const pcpu = pcpuBase(n);
    mem.locked(pcpu + PcpuOff.dropLock, () => enqueue(mem, pcpu, mfn));
    const vcpu = mem.get32(pcpu + PcpuOff.vcpu);
    if (vcpu) kick(mem, vcpu, VcpuRequest.apic); // nothing is posted: just a look between two instructions
  }
}

function enqueue(mem: MachineMemory, pcpu: number, mfn: number): void {
  const count = mem.load(pcpu + PcpuOff.dropCount);
  if (count > PcpuOff.DROP_MAX) return;
  const queue = (pcpu + PcpuOff.dropQueue) >>> 2;
  if (mem.u32.subarray(queue, queue + count).includes(mfn)) return;
  if (count < PcpuOff.DROP_MAX) mem.u32[queue + count] = mfn;
  mem.store(pcpu + PcpuOff.dropCount, count + 1);
}
