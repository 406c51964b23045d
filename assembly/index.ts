/** What the core offers to TypeScript (src/machine/core.ts). One instance per pCPU; the pCPU block is a constant address. */
import { JitOff } from "./abi/jit";
import { MachineOff, PcpuOff, Region, VcpuOff, DomainOff } from "./abi/layout";
import { initCode, dropAllCode } from "./cpu/code_cache";
import { PCPU } from "./cpu/pcpu";
import { updateMode } from "./cpu/helpers/mode";
import { flushTlbAll } from "./mmu/tlb";

export { run } from "./cpu/run.gen";
export { linuxStart, multibootStart, pvhStart, resetVcpu } from "./cpu/helpers/boot";
export { apicNextDeadline, apicTick } from "./cpu/helpers/apic";
export { interruptReady } from "./cpu/helpers/events";
export { materialize } from "./cpu/flags";
export { jitCarry, jitCond, keepFlags } from "./cpu/jit/flags";
export { enterRegion, jitBadTarget, jitCold, jitMissR, jitMissW, jitPage, jitStored, jitStraddle } from "./cpu/jit/regions";
export {
  addDouble, addValue, divDouble, divrDouble, divrValue, divValue, mulDouble, mulValue, sqrtRegister, subDouble, subrDouble, subrValue, subValue,
} from "./cpu/helpers/x87_arith";
export {
  jitX87Compare, jitX87CompareDouble, jitX87Control, jitX87Double, jitX87Give, jitX87Integer, jitX87Odd,
} from "./cpu/jit/x87_extended_runtime";
export { jitX87, jitX87Enter, jitX87Leave, jitX87Memory } from "./cpu/jit/x87_runtime";
export { jitDoubt, jitSpanR, jitSpanW } from "./cpu/jit/span_runtime";
export { missR } from "./mmu/access";
export { missAt } from "./cpu/access";
export { copyFromGuest, copyToGuest, translate } from "./mmu/guest_copy";
export { hostWroteFrame } from "./mmu/code_pages";

/** Instructions between two looks at requests and interrupts. */
const SLICE: i32 = 8000;

/** Brings a zeroed pCPU block into its first state: no vCPU, empty caches. */
export function initPcpu(): void {
  store<i32>(PCPU, -1, PcpuOff.faultVector);
  // Index and record cache are initMachine's (src/machine/frames.ts): computed here they would be made of constants that
  // relocation changes. A bare memory, as in tests, gets those of pCPU 0.
  if (!load<u32>(PCPU, PcpuOff.codeBase)) {
    store<u32>(PCPU, <u32>PCPU + max<u32>(1, load<u32>(Region.MACHINE, MachineOff.pcpus)) * Region.PCPU_STRIDE, PcpuOff.codeBase);
  }
  store<i32>(PCPU + PcpuOff.JIT, SLICE, JitOff.slice);
  initCode();
  flushTlbAll();
}

/** Context switch: saves the vCPU that is on this pCPU into its block and loads the one at `vcpu`; 0 loads none. */
export function switchTo(vcpu: u32): void {
  const old = load<u32>(PCPU, PcpuOff.vcpu);
  if (old) {
    memory.copy(<usize>old + VcpuOff.image, PCPU, PcpuOff.STATE_SIZE);
    atomic.store<i32>(<usize>old, -1, VcpuOff.pcpu);
  }
  store<u32>(PCPU, vcpu, PcpuOff.vcpu);
  if (vcpu) {
    memory.copy(PCPU, <usize>vcpu + VcpuOff.image, PcpuOff.STATE_SIZE);
    const domain = load<u32>(<usize>vcpu, VcpuOff.domain);
    atomic.store<i32>(<usize>vcpu, load<u32>(PCPU, PcpuOff.index), VcpuOff.pcpu);
    store<u32>(PCPU, domain, PcpuOff.domain);
    store<u32>(PCPU, load<u32>(<usize>domain, DomainOff.domid), PcpuOff.domid);
    store<u32>(PCPU, load<u32>(<usize>domain, DomainOff.p2mRoot) << 12, PcpuOff.p2mRoot);
  }
  store<i32>(PCPU, -1, PcpuOff.faultVector);
  store<i32>(PCPU, 0, PcpuOff.exit);
  store<u32>(PCPU, 0, PcpuOff.record);
  // set still if the vCPU before was taken off in the middle of an instruction, after a trap
  store<u32>(PCPU, 0, PcpuOff.delivering);
  store<u32>(PCPU, 0, PcpuOff.writeSize);
  flushTlbAll();
  if (vcpu) updateMode();
}

/** Drops all records: another domain's frames may be reused. */
export function dropCode(): void { dropAllCode(); }

/** Instructions one run() may take. */
export function setBudget(instructions: f64): void { store<i64>(PCPU, <i64>instructions, PcpuOff.budget); }
