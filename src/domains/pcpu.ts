/** What runs on a pCPU's thread: core, hypervisor and scheduler put together, and the few ports a PVH guest can reach. */
import { DomainOff, DomainType, PcpuOff, SchedOff, VcpuOff } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { domainByDomid, vcpuAddr } from "../hypervisor/domain_table";
import { Hypervisor, type HypervisorHost } from "../hypervisor/hypercalls";
import { shutdownDomain } from "../hypervisor/shutdown";
import { type AccessSize, PioBus } from "../io/bus";
import { DEBUG_PORT, DebugPort } from "../io/debug_port";
import type { Clock } from "../machine/clock";
import { Core } from "../machine/core";
import { pcpuBase, ringControl } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";
import { type Hypercalls, type Runstate, Scheduler } from "../machine/scheduler";
import type { PcpuFactory, PcpuParts } from "../machine/vcpu_worker";

/** What the core finds worth a line in the log (assembly/cpu/helpers/msr.ts). */
const NOTICES: Readonly<Record<number, string>> = { 1: "RDMSR of unknown", 2: "WRMSR to unknown" };

export const makePcpu: PcpuFactory = async ({ memory, module, pcpu, clock, log: unlimited }) => {
  const log = limited(unlimited, clock);
  const base = pcpuBase(pcpu);
  const ports = new DomainPorts(memory, log);
  const domid = () => memory.get32(base + PcpuOff.domid);
  const core = await Core.create(module, memory, pcpu, {
    clock,
    pioRead: (port, size) => ports.of(domid()).bus.read(port, size as AccessSize),
    pioWrite: (port, size, value) => ports.of(domid()).bus.write(port, size as AccessSize, value),
    mmioRead: () => 0xffffffff, // no device of a PVH guest has memory; its local APIC is the core's
    mmioWrite: () => {},
    notice: (code, a) => log(domid(), `${NOTICES[code] ?? `notice ${code}:`} 0x${a.toString(16)}`),
    random: () => crypto.getRandomValues(new Uint32Array(1))[0],
  });
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
  return new Scheduler(memory, core, hypervisor, clock);
};

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

