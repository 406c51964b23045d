/** One pCPU: which vCPU runs, for how long, and what happens when the core comes back.
 *
 *  Blocked vCPUs stay loaded until another one needs the pCPU, as an idle processor keeps its registers. A vCPU whose
 *  domain is paused or gone is unloaded at once: when its word `pcpu` reads -1, its block holds all of its state.
 *  Handshake with the thread that pauses: it raises the pause count, then rings; we publish `pcpu`, then read the pause
 *  count. Both are sequentially consistent, so one of the two sees the other. */
import { Exit } from "../../assembly/abi/exit";
import { DomainOff, DomainState, Region, SchedOff, VcpuOff, VcpuRequest, VcpuStart } from "../../assembly/abi/layout";
import type { Clock } from "./clock";
import type { Core } from "./core";
import { describeDifference } from "./jit_check";
import { pcpuBase, ringControl } from "./kick";
import { type MachineMemory, PAGE_SIZE } from "./memory";
import { type Profiler, SAMPLE_NS } from "./profile";

/** What a hypercall wants of its vCPU afterwards. */
export type Outcome = "continue" | "block" | "yield" | "shutdown" | "pause";

/** Why a vCPU left the processor or came to it (public/vcpu.h, RUNSTATE_*). */
export type Runstate = "running" | "runnable" | "blocked" | "offline";

/** The hypervisor as the scheduler sees it: it acts on the vCPU loaded on this pCPU unless told which. */
export interface Hypercalls {
  /** Performs the hypercall in the registers of the loaded vCPU. Never throws for a guest's doing. */
  hypercall(vcpu: number): Outcome;
  /** System time at which a timer of `vcpu` is due, Infinity if none is armed. */
  nextDeadline(vcpu: number): number;
  /** Lets timers expire that are due at `now`. */
  fireTimers(vcpu: number, now: number): void;
  runstate(vcpu: number, state: Runstate, now: number): void;
  /** The vCPU has halted with interrupts disabled. Xen takes that for the end of the vCPU, and when all have ended, for a
   *  power-off (arch/x86/hvm/hvm.c, hvm_hlt). */
  haltedForGood(vcpu: number): void;
  /** The processor has shut down on a triple fault. */
  tripleFault(vcpu: number, why: string): void;
  /** The guest has crashed or the core failed on it: SHUTDOWN_crash. */
  crash(vcpu: number, why: string): void;
}

const SLICE_NS = 5e6; // a vCPU gives way to others that want to run after this long
const LONGEST_RUN_NS = 5e5; // and looks at clock and timers this often
const LEAST_BUDGET = 1000;
const MOST_BUDGET = 1_000_000;
const FIRST_RATE = 0.05; // instructions per ns, until measured
const SPIN_NS = 20_000;
const MULTIBOOT_MAGIC = 0x2badb002; // what EAX says to a kernel (Multiboot Specification "I386 machine state")
const MULTIBOOT2_MAGIC = 0x36d76289;

export class Scheduler {
  private readonly words: number; // SchedOff base
  private next = 0; // queue slot to begin with
  private rate = FIRST_RATE;
  /** APIC deadlines of vCPUs that are not loaded, which only the core could tell. */
  private readonly apicDeadline = new Map<number, number>();
  /** Run between exits of the core, outside all locks: single-threaded hosts serve their control port here. */
  betweenExits: (() => void) | null = null;
  profiler: Profiler | null = null;

  constructor(
    private readonly memory: MachineMemory,
    private readonly core: Core,
    private readonly hypervisor: Hypercalls,
    private readonly clock: Clock,
  ) {
    this.words = pcpuBase(core.pcpu);
  }

  /** Runs vCPUs until `until`, or until none can run. System time at which to come back: `until` or earlier means there
   *  is more to do, Infinity that only the doorbell can bring work. */
  run(until: number): number {
    for (;;) {
      const now = this.clock.nowNs();
      if (now >= until || this.stopped) return now;
      const rung = this.doorbell;
      const { vcpu, wake, others } = this.pick(now);
      if (vcpu === 0) return wake;
      this.runVcpu(vcpu, Math.min(until, others ? now + SLICE_NS : until, wake), rung);
    }
  }

  /** The life of a worker: runs and waits until the stop word is set. Blocks its thread. */
  runForever(): void {
    const { memory, clock } = this;
    const doorbell = (this.words + SchedOff.doorbell) >>> 2;
    while (!this.stopped) {
      const rung = Atomics.load(memory.i32, doorbell);
      const wake = this.run(Number.POSITIVE_INFINITY);
      const idleSince = clock.nowNs();
      let now = idleSince;
      while (now < wake && now - idleSince < SPIN_NS && Atomics.load(memory.i32, doorbell) === rung) now = clock.nowNs();
      if (now < wake && Atomics.load(memory.i32, doorbell) === rung) {
        Atomics.wait(memory.i32, doorbell, rung, (wake - now) / 1e6);
        now = clock.nowNs();
      }
      const idle = this.words + SchedOff.idleNs;
      memory.setF64(idle, memory.getF64(idle) + (now - idleSince));
    }
    if (this.core.loaded) this.unload(this.core.loaded);
  }

  private get doorbell(): number {
    return this.memory.load(this.words + SchedOff.doorbell);
  }

  private get stopped(): boolean {
    return this.memory.load(this.words + SchedOff.stop) !== 0;
  }

  /** The next vCPU to run in round-robin order, 0 if none can; when to look again; whether others wait for their turn. */
  private pick(now: number): { vcpu: number; wake: number; others: boolean } {
    const { memory } = this;
    const slots = memory.load(this.words + SchedOff.slots);
    let vcpu = 0;
    let chosen = 0;
    let others = false;
    let wake = Number.POSITIVE_INFINITY;
    for (let n = 0; n < slots; n++) {
      const slot = (this.next + n) % slots;
      const each = memory.load(this.words + SchedOff.queue + 4 * slot);
      if (each === 0 || !this.mayRun(each)) continue;
      const deadline = this.deadline(each);
      if (memory.load(each + VcpuOff.runnable) !== 0 || memory.load(each + VcpuOff.request) !== 0 || deadline <= now) {
        if (vcpu === 0) {
          vcpu = each;
          chosen = slot;
        } else others = true;
      } else if (deadline < wake) wake = deadline;
    }
    if (vcpu !== 0) this.next = chosen + 1;
    const loaded = this.core.loaded;
    if (loaded !== 0 && memory.load(loaded + VcpuOff.home) !== this.core.pcpu) this.unload(loaded);
    return { vcpu, wake, others };
  }

  /** Whether the domain lets it run. If not, it leaves the processor. */
  private mayRun(vcpu: number): boolean {
    const { memory } = this;
    const domain = memory.get32(vcpu + VcpuOff.domain);
    const may =
      memory.load(vcpu + VcpuOff.online) !== 0 &&
      memory.load(domain + DomainOff.pauseCount) === 0 &&
      memory.load(domain + DomainOff.state) === DomainState.running &&
      memory.load(domain + DomainOff.shutdownReason) === -1;
    if (!may && memory.load(vcpu + VcpuOff.pcpu) === this.core.pcpu) this.unload(vcpu);
    return may;
  }

  private unload(vcpu: number): void {
    const { memory, core } = this;
    this.apicDeadline.delete(vcpu);
    this.profiler?.flush(this.clock.nowNs());
    this.hypervisor.runstate(vcpu, "offline", this.clock.nowNs());
    memory.and(vcpu + VcpuOff.request, ~VcpuRequest.pause);
    if (core.loaded === vcpu) core.exports.switchTo(0);
    memory.store(vcpu + VcpuOff.pcpu, -1); // from here on it is not ours
    ringControl(memory);
  }

  private load(vcpu: number): void {
    const { core } = this;
    const loaded = core.loaded;
    if (loaded === vcpu) return;
    if (loaded !== 0) this.apicDeadline.set(loaded, core.apicDeadline);
    core.exports.switchTo(vcpu);
    this.apicDeadline.delete(vcpu);
    this.begin(vcpu, this.memory.exchange(vcpu + VcpuOff.start, VcpuStart.image));
  }

  private begin(vcpu: number, start: VcpuStart): void {
    const { exports } = this.core;
    const entry = this.memory.get32(vcpu + VcpuOff.startEntry);
    const info = this.memory.get32(vcpu + VcpuOff.startInfo);
    if (start === VcpuStart.pvh) exports.pvhStart(entry, info);
    else if (start === VcpuStart.reset) exports.resetVcpu();
    else if (start === VcpuStart.multiboot) exports.multibootStart(entry, info, MULTIBOOT_MAGIC);
    else if (start === VcpuStart.linux) exports.linuxStart(entry, info, info + PAGE_SIZE);
    else if (start === VcpuStart.multiboot2) exports.multibootStart(entry, info, MULTIBOOT2_MAGIC);
  }

  private deadline(vcpu: number): number {
    const apic = this.core.loaded === vcpu ? this.core.apicDeadline : (this.apicDeadline.get(vcpu) ?? 0);
    return Math.min(apic, this.hypervisor.nextDeadline(vcpu)); // 0: not known before it is loaded, so load it
  }

  /** `rung`: the doorbell as it was before the queue was looked at. If it rings meanwhile that may be for another vCPU, so the turn ends as if others waited. */
  private runVcpu(vcpu: number, until: number, rung: number): void {
    const { memory, core, hypervisor, clock } = this;
    memory.store(vcpu + VcpuOff.pcpu, core.pcpu);
    if (!this.mayRun(vcpu)) return; // unloads
    this.load(vcpu);
    memory.store(vcpu + VcpuOff.runnable, 1);
    let now = clock.nowNs();
    const turn = now + SLICE_NS;
    hypervisor.runstate(vcpu, "running", now);
    try {
      do {
        memory.and(vcpu + VcpuOff.request, ~VcpuRequest.time); // deadlines are read anew below
        const timers = hypervisor.nextDeadline(vcpu);
        if (timers <= now) hypervisor.fireTimers(vcpu, now);
        const apic = core.apicDeadline;
        if (apic <= now) core.exports.apicTick(now);
        const due = Math.min(until, this.deadline(vcpu));
        const stays = this.runOnce(vcpu, Math.min(Math.max(due - now, 0), LONGEST_RUN_NS));
        this.betweenExits?.();
        now = clock.nowNs();
        if (!stays) break;
        if (memory.load(vcpu + VcpuOff.request) & VcpuRequest.pause && !this.mayRun(vcpu)) return;
        if (this.doorbell !== rung) until = Math.min(until, turn);
      } while (now < until);
    } catch (error) {
      hypervisor.crash(vcpu, `the core failed at rip 0x${core.rip.toString(16)}: ${error}`);
    }
    const blocked = memory.load(vcpu + VcpuOff.runnable) === 0;
    if (this.mayRun(vcpu)) hypervisor.runstate(vcpu, blocked ? "blocked" : "runnable", now);
  }

  /** One entry into the core, for about `ns`. False when the vCPU gives up the processor. */
  private runOnce(vcpu: number, ns: number): boolean {
    const { memory, core, hypervisor } = this;
    const started = this.clock.nowNs();
    const retired = core.retired;
    if (this.profiler) ns = Math.min(ns, SAMPLE_NS);
    const exit = core.run(Math.min(Math.max(Math.round(ns * this.rate), LEAST_BUDGET), MOST_BUDGET));
    if (this.profiler) {
      const now = this.clock.nowNs();
      this.profiler.note(exit, now - started, core.retired - retired, now);
    }
    switch (exit) {
      case Exit.budget: {
        const took = this.clock.nowNs() - started;
        const count = core.retired - retired;
        if (took > 10_000 && count > 0) this.rate += (count / took - this.rate) / 8;
        return true;
      }
      case Exit.hypercall:
        switch (hypervisor.hypercall(vcpu)) {
          case "continue":
            return true;
          case "block":
            return this.block(vcpu);
          default:
            return false;
        }
      case Exit.hlt:
        if (!core.interruptible) hypervisor.haltedForGood(vcpu);
        return this.block(vcpu);
      case Exit.request:
        // Somebody wants a look at the request word. Only the pause bit is ours; the core takes the others.
        memory.and(vcpu + VcpuOff.request, ~VcpuRequest.pause);
        return this.mayRun(vcpu);
      case Exit.tripleFault:
        hypervisor.tripleFault(vcpu, `triple fault at rip 0x${core.rip.toString(16)}`);
        return false;
      case Exit.difference:
        hypervisor.crash(vcpu, describeDifference(memory, core.pcpu).join("\n"));
        return false;
      case Exit.bug:
        hypervisor.crash(vcpu, `internal error ${core.exitArg(0)} at rip 0x${core.rip.toString(16)}`);
        return false;
      default:
        return true;
    }
  }

  /** Nothing to do until an event. The order matters: blocked first, then a last look at what came meanwhile. */
  private block(vcpu: number): boolean {
    const { memory } = this;
    memory.store(vcpu + VcpuOff.runnable, 0);
    if (memory.load(vcpu + VcpuOff.request) === 0 && this.deadline(vcpu) > this.clock.nowNs()) return false;
    memory.store(vcpu + VcpuOff.runnable, 1);
    return true;
  }
}

/* The control thread's side of the queues. */

/** Puts a vCPU on a pCPU's queue. It runs from the moment its domain may. */
export function enqueueVcpu(memory: MachineMemory, vcpu: number, pcpu: number): void {
  const words = pcpuBase(pcpu);
  const queue = words + SchedOff.queue;
  let slot = 0;
  while (memory.load(queue + 4 * slot) !== 0) if (++slot === Region.MAX_VCPUS) throw new Error("a pCPU's queue is full");
  memory.store(vcpu + VcpuOff.pcpu, -1);
  memory.store(vcpu + VcpuOff.home, pcpu);
  memory.store(queue + 4 * slot, vcpu);
  if (memory.load(words + SchedOff.slots) <= slot) memory.store(words + SchedOff.slots, slot + 1);
}

/** Takes a vCPU off its queue. Its domain must be paused and its `pcpu` -1. */
export function dequeueVcpu(memory: MachineMemory, vcpu: number): void {
  const pcpu = memory.load(vcpu + VcpuOff.home);
  if (pcpu < 0) return;
  const words = pcpuBase(pcpu);
  const slots = memory.load(words + SchedOff.slots);
  for (let slot = 0; slot < slots; slot++) {
    const at = words + SchedOff.queue + 4 * slot;
    if (memory.load(at) === vcpu) memory.store(at, 0);
  }
  memory.store(vcpu + VcpuOff.home, -1);
}

/** vCPUs on a pCPU's queue. */
export function queueLength(memory: MachineMemory, pcpu: number): number {
  const words = pcpuBase(pcpu);
  let count = 0;
  for (let slot = memory.load(words + SchedOff.slots) - 1; slot >= 0; slot--) {
    if (memory.load(words + SchedOff.queue + 4 * slot) !== 0) count++;
  }
  return count;
}
