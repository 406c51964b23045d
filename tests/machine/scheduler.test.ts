/** A pCPU shares its time fairly, never sleeps through a doorbell or a deadline, and lets go of a vCPU when told. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../assembly/abi/exit";
import { DomainOff, MachineOff, Region, VcpuOff, VcpuRequest, VcpuStart } from "../../assembly/abi/layout";
import type { Clock } from "../../src/machine/clock";
import { kick } from "../../src/machine/kick";
import { MachineMemory } from "../../src/machine/memory";
import { dequeueVcpu, enqueueVcpu, queueLength, Scheduler } from "../../src/machine/scheduler";
import { FakeCore, FakeHypervisor, fakeDomain, type Script } from "../support/fake_pcpu";

const test = suite("pCPU scheduler");
const NEVER = Number.POSITIVE_INFINITY;

class ManualClock implements Clock {
  now = 1000;
  nowNs(): number {
    return this.now;
  }
}

const memory = new MachineMemory(new WebAssembly.Memory({ initial: 2048, maximum: 2048, shared: true }));

/** pCPU 0 with one domain per script. */
function machine(...scripts: ((clock: ManualClock, vcpu: number) => Script)[]) {
  memory.u8.fill(0, Region.MACHINE, Region.FRAME_TABLE);
  memory.u8.fill(0, Region.DOMAINS, Region.DOMAINS + 0x10000);
  memory.u8.fill(0, Region.VCPUS, Region.VCPUS + 0x40000);
  memory.u8.fill(0, Region.PCPUS, Region.PCPUS + Region.PCPU_STRIDE);
  const clock = new ManualClock();
  const core = new FakeCore(memory, 0, new Map());
  const hypervisor = new FakeHypervisor(memory);
  const domains = scripts.map((script, n) => {
    const blocks = fakeDomain(memory, n);
    core.scripts.set(blocks.vcpu, script(clock, blocks.vcpu));
    enqueueVcpu(memory, blocks.vcpu, 0);
    return blocks;
  });
  return { clock, core, hypervisor, domains, scheduler: new Scheduler(memory, core.asCore(), hypervisor, clock) };
}

/** Uses up what it gets. */
const busy = (clock: ManualClock, vcpu: number) => () => {
  clock.now += 1e5;
  ran.set(vcpu, (ran.get(vcpu) ?? 0) + 1e5);
  return Exit.budget;
};
/** Takes notice of every request and halts. */
const sleepy = (clock: ManualClock, vcpu: number) => () => {
  clock.now += 1000;
  memory.and(vcpu + VcpuOff.request, VcpuRequest.pause);
  ran.set(vcpu, (ran.get(vcpu) ?? 0) + 1);
  return Exit.hlt;
};
const ran = new Map<number, number>();
test.before.each(() => ran.clear());

test("busy vCPUs get equal shares", () => {
  const { scheduler, domains } = machine(busy, busy, busy);
  scheduler.run(300e6);
  for (const { vcpu } of domains) assert.ok(Math.abs(ran.get(vcpu)! - 100e6) < 6e6, `${ran.get(vcpu)} ns of 100e6`);
});

test("a sleeper runs as soon as it is kicked, beside a busy one", () => {
  const { scheduler, domains, clock } = machine(busy, sleepy);
  scheduler.run(20e6);
  assert.is(ran.get(domains[1].vcpu), 1);
  kick(memory, domains[1].vcpu, VcpuRequest.upcall);
  scheduler.run(clock.now + 6e6);
  assert.is(ran.get(domains[1].vcpu), 2);
});

test("who has the processor alone gives way to those that want it later, or are to leave it", () => {
  const late: (() => void)[] = [];
  const first = (clock: ManualClock, vcpu: number) => () => {
    if (clock.now > 20e6) late.shift()?.();
    return busy(clock, vcpu)();
  };
  const { scheduler, domains } = machine(first, sleepy, busy);
  const [, sleeper, third] = domains;
  const hold = ({ domain, vcpu }: (typeof domains)[0], by: number) => {
    memory.add(domain + DomainOff.pauseCount, by);
    kick(memory, vcpu, VcpuRequest.pause);
  };
  hold(third, 1);
  late.push(
    () => kick(memory, sleeper.vcpu, VcpuRequest.upcall),
    () => hold(sleeper, 1),
    () => hold(third, -1),
  );
  scheduler.run(60e6);
  assert.is(ran.get(sleeper.vcpu), 2);
  assert.is(memory.load(sleeper.vcpu + VcpuOff.pcpu), -1);
  assert.ok(Math.abs(ran.get(third.vcpu)! - 20e6) < 6e6, `${ran.get(third.vcpu)} ns of 20e6`);
});

test("with everybody asleep it says when to come back", () => {
  const { scheduler, domains, hypervisor, core } = machine(sleepy, sleepy);
  assert.is(scheduler.run(NEVER), NEVER);
  hypervisor.deadlines.set(domains[0].vcpu, 5e6);
  core.apic.set(domains[1].vcpu, 4e6); // loaded last, so the core can tell
  assert.is(scheduler.run(NEVER), 4e6);
});

test("timers fire at their deadline, the APIC's of an unloaded vCPU too", () => {
  const { scheduler, domains, hypervisor, core, clock } = machine(sleepy, sleepy);
  const ticks: number[] = [];
  core.onTick = (vcpu) => ticks.push(vcpu);
  core.apic.set(domains[0].vcpu, 5e6);
  hypervisor.deadlines.set(domains[1].vcpu, 6e6);
  assert.is(scheduler.run(NEVER), 5e6);
  clock.now = 5e6;
  assert.is(scheduler.run(NEVER), 6e6);
  assert.equal(ticks, [domains[0].vcpu]);
  assert.equal(hypervisor.fired, []);
  clock.now = 6e6;
  assert.is(scheduler.run(NEVER), NEVER);
  assert.equal(hypervisor.fired, [[domains[1].vcpu, 6e6]]);
});

test("a busy vCPU is interrupted for its own timer within half a millisecond", () => {
  const late = (clock: ManualClock) => (budget: number) => {
    clock.now += budget / 0.05; // at the assumed first rate
    return Exit.budget;
  };
  const { scheduler, domains, hypervisor } = machine(late);
  hypervisor.deadlines.set(domains[0].vcpu, 3.3e6);
  scheduler.run(10e6);
  assert.is(hypervisor.fired.length, 1);
  assert.ok(hypervisor.fired[0][1] - 3.3e6 < 0.5e6, `fired at ${hypervisor.fired[0][1]}`);
});

test("an event that comes while the vCPU is about to sleep is not lost", () => {
  const { scheduler, domains } = machine((_clock, vcpu) => () => {
    const count = (ran.get(vcpu) ?? 0) + 1;
    ran.set(vcpu, count);
    memory.store(vcpu + VcpuOff.request, 0);
    if (count < 3) kick(memory, vcpu, VcpuRequest.upcall); // after it looked, before it halts
    return Exit.hlt;
  });
  assert.is(scheduler.run(NEVER), NEVER);
  assert.is(ran.get(domains[0].vcpu), 3);
});

test("a paused domain leaves the processor, tells the control thread, and comes back", () => {
  const { scheduler, domains, core, clock, hypervisor } = machine(busy);
  const [{ domain, vcpu }] = domains;
  scheduler.run(2e6);
  assert.is(memory.load(vcpu + VcpuOff.pcpu), 0);
  const rung = memory.load(Region.MACHINE + MachineOff.control);
  memory.add(domain + DomainOff.pauseCount, 1);
  kick(memory, vcpu, VcpuRequest.pause);
  assert.is(scheduler.run(NEVER), NEVER);
  assert.is(core.loaded, 0);
  assert.is(memory.load(vcpu + VcpuOff.pcpu), -1);
  assert.is(memory.load(vcpu + VcpuOff.request), 0);
  assert.is.not(memory.load(Region.MACHINE + MachineOff.control), rung);
  assert.is(hypervisor.states.get(vcpu), "offline");
  memory.add(domain + DomainOff.pauseCount, -1);
  kick(memory, vcpu, VcpuRequest.pause);
  scheduler.run(clock.now + 1e6);
  assert.is(core.loaded, vcpu);
});

test("a vCPU starts once as its domain's type asks", () => {
  const { scheduler, domains, core } = machine(sleepy, sleepy);
  memory.store(domains[0].vcpu + VcpuOff.start, VcpuStart.pvh);
  memory.store(domains[0].vcpu + VcpuOff.startEntry, 0x100000);
  memory.store(domains[0].vcpu + VcpuOff.startInfo, 0x9000);
  scheduler.run(NEVER);
  for (const { vcpu } of domains) kick(memory, vcpu, VcpuRequest.upcall);
  scheduler.run(NEVER);
  assert.equal(core.log, [`pvh ${0x100000} ${0x9000}`]);
});

test("what goes wrong in one domain ends that domain only", () => {
  const trap = () => () => {
    throw new WebAssembly.RuntimeError("unreachable");
  };
  const { scheduler, hypervisor, domains } = machine(trap, busy, () => () => Exit.tripleFault, () => () => Exit.bug);
  scheduler.run(50e6);
  assert.is(hypervisor.crashes.length, 3);
  assert.match(hypervisor.crashes[0], /core failed.*unreachable/);
  assert.match(hypervisor.crashes[1], /triple fault/);
  assert.match(hypervisor.crashes[2], /internal error 7/);
  assert.ok(ran.get(domains[1].vcpu)! > 45e6);
});

test("blocking hypercalls sleep, yielding ones let others run first", () => {
  const hypercall = (clock: ManualClock, vcpu: number) => () => {
    clock.now += 1000;
    ran.set(vcpu, (ran.get(vcpu) ?? 0) + 1);
    return Exit.hypercall;
  };
  const blocked = machine(hypercall);
  blocked.hypervisor.outcome = "block";
  assert.is(blocked.scheduler.run(NEVER), NEVER);
  assert.is(ran.get(blocked.domains[0].vcpu), 1);
  ran.clear();
  const yielding = machine(hypercall, hypercall);
  yielding.hypervisor.outcome = "yield";
  yielding.scheduler.run(1e6);
  const [a, b] = yielding.domains.map(({ vcpu }) => ran.get(vcpu)!);
  assert.ok(Math.abs(a - b) <= 1 && a > 100, `${a} and ${b}`);
});

test("queue slots are reused", () => {
  const { domains } = machine(busy, busy, busy);
  dequeueVcpu(memory, domains[1].vcpu);
  assert.is(queueLength(memory, 0), 2);
  assert.is(memory.load(domains[1].vcpu + VcpuOff.home), -1);
  enqueueVcpu(memory, domains[1].vcpu, 0);
  assert.is(queueLength(memory, 0), 3);
});

test.run();
