/** What runs on a pCPU's thread: core, hypervisor and scheduler put together, and the few ports a PVH guest can reach. */
import { DomainOff, PcpuOff, SchedOff, VcpuOff } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { domainByDomid, vcpuAddr } from "../hypervisor/domain_table";
import { Hypervisor } from "../hypervisor/hypercalls";
import { enterRunstate, RUNSTATES } from "../hypervisor/runstate";
import { shutdownDomain } from "../hypervisor/shutdown";
import { publishTime } from "../hypervisor/time";
import { fireTimers, nextDeadline } from "../hypervisor/timer";
import { type AccessSize, PioBus } from "../io/bus";
import { DEBUG_PORT, DebugPort } from "../io/debug_port";
import { Core } from "../machine/core";
import { pcpuBase, ringControl } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";
import { type Hypercalls, Scheduler } from "../machine/scheduler";
import type { PcpuFactory, PcpuParts } from "../machine/vcpu_worker";

export const makePcpu: PcpuFactory = async (parts) => {
  const { memory, module, pcpu, clock, log } = parts;
  const base = pcpuBase(pcpu);
  const ports = new DomainPorts(memory, log);
  const domid = () => memory.get32(base + PcpuOff.domid);
  const core = await Core.create(module, memory, pcpu, {
    clock,
    pioRead: (port, size) => ports.of(domid()).bus.read(port, size as AccessSize),
    pioWrite: (port, size, value) => ports.of(domid()).bus.write(port, size as AccessSize, value),
    mmioRead: () => 0xffffffff, // no device of a PVH guest has memory; its local APIC is the core's
    mmioWrite: () => {},
    notice: (code, a, b) => log(domid(), `notice ${code}: 0x${a.toString(16)} 0x${b.toString(16)}`),
    random: () => crypto.getRandomValues(new Uint32Array(1))[0],
  });
  return new Scheduler(memory, core, new PcpuHypervisor(parts, core, ports), clock);
};

/** The hypervisor as this pCPU's scheduler sees it. */
class PcpuHypervisor implements Hypercalls {
  private readonly hypervisor: Hypervisor;
  private readonly base: number;

  constructor(
    private readonly parts: PcpuParts,
    core: Core,
    private readonly ports: DomainPorts,
  ) {
    const { memory, pcpu, clock, log } = parts;
    const { copyFromGuest, copyToGuest } = core.exports;
    this.base = pcpuBase(pcpu);
    this.hypervisor = new Hypervisor(memory, {
      copyFromGuest: (lin, at, length) => copyFromGuest(at, Number(lin & 0xffffffffn), Number(lin >> 32n), length) >>> 0,
      copyToGuest: (lin, at, length) => copyToGuest(Number(lin & 0xffffffffn), Number(lin >> 32n), at, length) >>> 0,
      scratch: this.base + SchedOff.scratch,
      nowNs: () => clock.nowNs(),
      log,
      vcpuUp: () => ringControl(memory), // the control thread finds it a pCPU
    });
  }

  hypercall(vcpu: number) {
    return this.hypervisor.hypercall(vcpu, this.base);
  }

  nextDeadline(vcpu: number): number {
    return nextDeadline(this.parts.memory, vcpu);
  }

  fireTimers(vcpu: number, now: number): void {
    fireTimers(this.parts.memory, vcpu, now);
  }

  runstate(vcpu: number, state: keyof typeof RUNSTATES, now: number): void {
    const { memory } = this.parts;
    enterRunstate(memory, vcpu, RUNSTATES[state], now);
    if (state === "running") {
      memory.store(vcpu + VcpuOff.down, 0);
      publishTime(memory, vcpu, this.base, now);
    }
    if (state === "offline") this.ports.ended(memory.get32(vcpu + VcpuOff.domain));
  }

  haltedForGood(vcpu: number): void {
    const { memory } = this.parts;
    memory.store(vcpu + VcpuOff.down, 1);
    const domain = memory.get32(vcpu + VcpuOff.domain);
    for (let id = 0; id < memory.get32(domain + DomainOff.vcpus); id++) {
      const each = vcpuAddr(memory, domain, id);
      if (memory.load(each + VcpuOff.online) !== 0 && memory.load(each + VcpuOff.down) === 0) return;
    }
    shutdownDomain(memory, domain, Xen.SHUTDOWN_poweroff);
  }

  crash(vcpu: number, why: string): void {
    const { memory, log } = this.parts;
    const domain = memory.get32(vcpu + VcpuOff.domain);
    log(memory.get32(domain + DomainOff.domid), `crashed: ${why}`);
    shutdownDomain(memory, domain, Xen.SHUTDOWN_crash);
  }
}

interface Ports {
  readonly bus: PioBus;
  readonly debug: DebugPort;
}

/** The port-I/O space of each domain that has used it here. */
class DomainPorts {
  private readonly spaces = new Map<number, Ports>();

  constructor(
    private readonly memory: MachineMemory,
    private readonly log: (domid: number, line: string) => void,
  ) {}

  of(domid: number): Ports {
    let ports = this.spaces.get(domid);
    if (!ports) {
      for (const other of this.spaces.keys()) if (domainByDomid(this.memory, other) === 0) this.spaces.delete(other);
      ports = { bus: new PioBus(), debug: new DebugPort((line) => this.log(domid, line)) };
      ports.bus.attach(DEBUG_PORT, ports.debug);
      this.spaces.set(domid, ports);
    }
    return ports;
  }

  /** A vCPU of the domain leaves: if it is for good, unfinished lines come out. */
  ended(domain: number): void {
    if (this.memory.load(domain + DomainOff.shutdownReason) === -1) return;
    this.spaces.get(this.memory.get32(domain + DomainOff.domid))?.debug.log.end();
  }
}

