/** What runs on a pCPU's thread: core, hypervisor and scheduler put together, and the devices a guest can reach: the few ports
 *  of a PVH domain, the bare PC of an HVM domain. */
import { DomainOff, DomainType, PcpuOff, SchedOff, VcpuOff } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { domainByDomid, vcpuAddr } from "../hypervisor/domain_table";
import { Hypervisor, type HypervisorHost } from "../hypervisor/hypercalls";
import { shutdownDomain } from "../hypervisor/shutdown";
import { type AccessSize, PioBus } from "../io/bus";
import { DEBUG_PORT, DebugPort } from "../io/debug_port";
import type { ExtraDevices, Pc } from "../io/pc";
import type { Clock } from "../machine/clock";
import { Core, type CoreHost } from "../machine/core";
import { pcpuBase, ringControl } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";
import { Profiler } from "../machine/profile";
import { type Hypercalls, type Runstate, Scheduler } from "../machine/scheduler";
import type { PcpuFactory, PcpuParts } from "../machine/vcpu_worker";
import { createPc } from "./pc_host";

/** What the core finds worth a line in the log (assembly/cpu/helpers/msr.ts). */
const NOTICES: Readonly<Record<number, string>> = { 1: "RDMSR of unknown", 2: "WRMSR to unknown" };

/** Devices the embedding program adds to domains, by domid. They run on the pCPU's thread, so only a machine without
 *  threads can have any. */
export type ExtraDevicesOf = (domid: number) => ExtraDevices | undefined;

export const makePcpu: PcpuFactory = (parts) => makePcpuWith(parts, () => undefined);

export async function makePcpuWith({ memory, module, pcpu, clock, jit, onProfile, log: unlimited }: PcpuParts, extra: ExtraDevicesOf): Promise<Scheduler> {
  const log = limited(unlimited, clock);
  const base = pcpuBase(pcpu);
  const ports = new DomainPorts(memory, clock, pcpu, log, extra);
  const domid = () => memory.get32(base + PcpuOff.domid);
  const host: CoreHost = {
    clock,
    pioRead: (port, size) => ports.of(domid()).bus.read(port, size as AccessSize),
    pioWrite: (port, size, value) => ports.of(domid()).bus.write(port, size as AccessSize, value),
    mmioRead: (gpa, size) => ports.of(domid()).pc?.mmio.read(gpa, size as AccessSize) ?? 0xffffffff, // a PVH guest's devices have no memory
    mmioWrite: (gpa, size, value) => ports.of(domid()).pc?.mmio.write(gpa, size as AccessSize, value),
    intAck: () => ports.of(domid()).pc?.acknowledge() ?? 0xff,
    notice: (code, a) => log(domid(), `${NOTICES[code] ?? `notice ${code}:`} 0x${a.toString(16)}`),
    random: () => crypto.getRandomValues(new Uint32Array(1))[0],
  };
  const core = await Core.create(module, memory, pcpu, host, { jit });
  const { copyFromGuest, copyToGuest } = core.exports;
  const hypervisor = new PcpuHypervisor(
    memory,
    {
      copyFromGuest: (lin, at, length) => copyFromGuest(at, Number(lin & LOW), Number(lin >> 32n), length) >>> 0,
      copyToGuest: (lin, at, length) => copyToGuest(Number(lin & LOW), Number(lin >> 32n), at, length) >>> 0,
      scratch: base + SchedOff.scratch,
      nowNs: () => clock.nowNs(),
      log,
      vcpuUp: () => ringControl(memory), // the control thread finds it a pCPU
    },
    ports,
    log,
  );
  const scheduler = new Scheduler(memory, core, hypervisor, clock);
  if (onProfile) scheduler.profiler = new Profiler(core, onProfile);
  return scheduler;
}

const LOW = 0xffffffffn;

const LOG_BURST = 5000; // lines
const LOG_RATE = 1000; // lines a second

/** A guest can print faster than anybody reads, and what is on its way to the control thread takes memory: beyond a rate
 *  lines are dropped, and the log says how many. */
export function limited(log: PcpuParts["log"], clock: Clock): PcpuParts["log"] {
  const spent = new Map<number, { lines: number; since: number; dropped: number }>();
  return (domid, line) => {
    const now = clock.nowNs();
    let budget = spent.get(domid);
    if (!budget) {
      if (spent.size > 256) spent.clear(); // domains come and go
      spent.set(domid, (budget = { lines: 0, since: now, dropped: 0 }));
    }
    budget.lines = Math.max(0, budget.lines - ((now - budget.since) * LOG_RATE) / 1e9);
    budget.since = now;
    if (budget.lines >= LOG_BURST) {
      budget.dropped++;
      return;
    }
    if (budget.dropped > 0) {
      log(domid, `(${budget.dropped} lines dropped)`);
      budget.dropped = 0;
      budget.lines++;
    }
    budget.lines++;
    log(domid, line);
  };
}

/** The hypervisor as this pCPU's scheduler sees it. */
class PcpuHypervisor extends Hypervisor implements Hypercalls {
  constructor(
    memory: MachineMemory,
    host: HypervisorHost,
    private readonly ports: DomainPorts,
    private readonly log: PcpuParts["log"],
  ) {
    super(memory, host);
  }

  override runstate(vcpu: number, state: Runstate, now: number): void {
    if (state === "running") this.mem.store(vcpu + VcpuOff.down, 0);
    if (state === "offline") this.ports.ended(this.mem.get32(vcpu + VcpuOff.domain));
    super.runstate(vcpu, state, now);
  }

  override nextDeadline(vcpu: number): number {
    const own = super.nextDeadline(vcpu);
    const pc = this.ports.pcOf(vcpu);
    return pc ? Math.min(own, pc.deadline) : own;
  }

  override fireTimers(vcpu: number, now: number): void {
    super.fireTimers(vcpu, now);
    this.ports.pcOf(vcpu)?.tick();
  }

  /** A PC resets itself; Xen takes other domains' for a crash, as libxl sets HVM_PARAM_TRIPLE_FAULT_REASON. */
  tripleFault(vcpu: number, why: string): void {
    const { mem } = this;
    const domain = mem.get32(vcpu + VcpuOff.domain);
    if (mem.get32(domain + DomainOff.type) !== DomainType.hvm) return this.crash(vcpu, why);
    this.log(mem.get32(domain + DomainOff.domid), `vCPU ${mem.get32(vcpu + VcpuOff.id)}: ${why}`);
    shutdownDomain(mem, domain, Xen.SHUTDOWN_reboot);
  }

  haltedForGood(vcpu: number): void {
    const { mem } = this;
    mem.store(vcpu + VcpuOff.down, 1);
    const domain = mem.get32(vcpu + VcpuOff.domain);
    for (let id = 0; id < mem.get32(domain + DomainOff.vcpus); id++) {
      const each = vcpuAddr(mem, domain, id);
      if (mem.load(each + VcpuOff.online) !== 0 && mem.load(each + VcpuOff.down) === 0) return;
    }
    shutdownDomain(mem, domain, Xen.SHUTDOWN_poweroff);
  }
}

interface Ports {
  readonly bus: PioBus;
  readonly debug: DebugPort;
  /** All of them, of an HVM domain. */
  readonly pc?: Pc;
}

/** The devices of each domain that has used them here. */
class DomainPorts {
  private readonly spaces = new Map<number, Ports>();

  constructor(
    private readonly memory: MachineMemory,
    private readonly clock: Clock,
    private readonly pcpu: number,
    private readonly log: (domid: number, line: string) => void,
    private readonly extra: ExtraDevicesOf,
  ) {}

  of(domid: number): Ports {
    let ports = this.spaces.get(domid);
    if (!ports) {
      for (const other of this.spaces.keys()) if (domainByDomid(this.memory, other) === 0) this.spaces.delete(other);
      ports = this.make(domid);
      this.spaces.set(domid, ports);
    }
    return ports;
  }

  private make(domid: number): Ports {
    const { memory, clock, pcpu } = this;
    const log = (line: string) => this.log(domid, line);
    const domain = domainByDomid(memory, domid);
    if (domain !== 0 && memory.get32(domain + DomainOff.type) === DomainType.hvm) {
      const pc = createPc({ memory, domain, pcpu, clock, log, extra: this.extra(domid) });
      return { bus: pc.ports, debug: pc.debug, pc };
    }
    const ports = { bus: new PioBus(), debug: new DebugPort(log) };
    ports.bus.attach(DEBUG_PORT, ports.debug);
    return ports;
  }

  /** The devices that `vcpu` looks after: an HVM domain's first one after all. */
  pcOf(vcpu: number): Pc | undefined {
    const { memory } = this;
    const domain = memory.get32(vcpu + VcpuOff.domain);
    if (memory.get32(domain + DomainOff.type) !== DomainType.hvm || memory.get32(vcpu + VcpuOff.id) !== 0) return undefined;
    return this.of(memory.get32(domain + DomainOff.domid)).pc;
  }

  /** A vCPU of the domain leaves: if it is for good, unfinished lines come out. */
  ended(domain: number): void {
    if (this.memory.load(domain + DomainOff.shutdownReason) === -1) return;
    this.spaces.get(this.memory.get32(domain + DomainOff.domid))?.debug.log.end();
  }
}

