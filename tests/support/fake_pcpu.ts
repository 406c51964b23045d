/** A pCPU without a processor: vCPUs run scripts instead of instructions. For tests of scheduling and of threads. */
import type { Exit } from "../../assembly/abi/exit";
import { DomainOff, DomainState, Region, VcpuOff } from "../../assembly/abi/layout";
import type { Core } from "../../src/machine/core";
import type { MachineMemory } from "../../src/machine/memory";
import type { Hypercalls, Outcome, Runstate } from "../../src/machine/scheduler";

/** What a vCPU does each time it is entered. */
export type Script = (budget: number) => Exit;

export class FakeCore {
  loaded = 0;
  retired = 0;
  readonly rip = 0n;
  interruptible = true;
  readonly log: string[] = [];
  readonly apic = new Map<number, number>(); // deadlines
  onTick: (vcpu: number) => void = () => {};

  constructor(
    readonly memory: MachineMemory,
    readonly pcpu: number,
    readonly scripts: Map<number, Script>,
  ) {}

  readonly exports = {
    switchTo: (vcpu: number) => void (this.loaded = vcpu),
    apicTick: () => {
      this.apic.delete(this.loaded);
      this.onTick(this.loaded);
    },
    pvhStart: (entry: number, info: number) => void this.log.push(`pvh ${entry} ${info}`),
  };

  get apicDeadline(): number {
    return this.apic.get(this.loaded) ?? Number.POSITIVE_INFINITY;
  }
  run(budget: number): Exit {
    return this.scripts.get(this.loaded)!(budget);
  }
  exitArg(): number {
    return 7;
  }
  asCore(): Core {
    return this as unknown as Core;
  }
}

export class FakeHypervisor implements Hypercalls {
  readonly deadlines = new Map<number, number>();
  readonly fired: [number, number][] = [];
  readonly crashes: string[] = [];
  readonly states = new Map<number, Runstate>();
  outcome: Outcome = "continue";

  constructor(private readonly memory: MachineMemory) {}

  hypercall(): Outcome {
    return this.outcome;
  }
  nextDeadline(vcpu: number): number {
    return this.deadlines.get(vcpu) ?? Number.POSITIVE_INFINITY;
  }
  fireTimers(vcpu: number, now: number): void {
    this.deadlines.delete(vcpu);
    this.fired.push([vcpu, now]);
  }
  runstate(vcpu: number, state: Runstate): void {
    this.states.set(vcpu, state);
  }
  haltedForGood(vcpu: number): void {
    this.crash(vcpu, "halted for good");
  }
  tripleFault(vcpu: number, why: string): void {
    this.crash(vcpu, why);
  }
  crash(vcpu: number, why: string): void {
    this.crashes.push(why);
    this.memory.store(this.memory.get32(vcpu + VcpuOff.domain) + DomainOff.shutdownReason, 3);
  }
}

/** A running domain with one vCPU that wants to run: addresses of their blocks. */
export function fakeDomain(memory: MachineMemory, n: number): { domain: number; vcpu: number } {
  const domain = Region.DOMAINS + n * DomainOff.SIZE;
  const vcpu = Region.VCPUS + n * VcpuOff.SIZE;
  memory.store(domain + DomainOff.state, DomainState.running);
  memory.store(domain + DomainOff.shutdownReason, -1);
  memory.store(vcpu + VcpuOff.domain, domain);
  memory.store(vcpu + VcpuOff.online, 1);
  memory.store(vcpu + VcpuOff.runnable, 1);
  memory.store(vcpu + VcpuOff.home, -1);
  memory.store(vcpu + VcpuOff.pcpu, -1);
  return { domain, vcpu };
}
