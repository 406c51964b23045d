/** One guest domain, from its first frame to its last: built, started, paused, stopped, and taken apart so that nothing of it
 *  is left in the machine.
 *
 *  ```
 *  building -> running <-> paused -> stopping -> gone
 *  ```
 *  Whatever ends it (its own SCHEDOP_shutdown, a crash, `destroy`, an aborted signal) goes the same way through
 *  `stop`: the processors let go, backends take its last words, then frames, ports and xenstore nodes are returned. */
import { DomainOff, DomainState, DomainType, VcpuOff, VcpuRequest, VcpuStart } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { seedGrant, setHvmParam, setMemoryMap } from "../hypervisor/control";
import { createDomainBlock, vcpuAddr } from "../hypervisor/domain_table";
import { destroyDomainState } from "../hypervisor/teardown";
import type { EventPort } from "../io/bus";
import { ConsoleBackend } from "../io/console";
import type { ExtraDevices } from "../io/pc";
import { getPage, putPage } from "../machine/frames";
import { GuestMemory } from "../machine/guest_memory";
import { kick } from "../machine/kick";
import type { Hardware } from "../machine/machine";
import { PAGE_SIZE } from "../machine/memory";
import { dequeueVcpu } from "../machine/scheduler";
import { buildHvm, firmwarePages, type HvmBoot } from "./build_hvm";
import { buildPvh } from "./build_pvh";
import type { KernelImage } from "./bzimage";
import type { ControlEvents } from "./control_events";
import { DomainError } from "./errors";
import type { MemoryRegion } from "./memory_map";
import { SerialPort } from "./serial_port";
import type { Xenstore } from "./xenstore";
import { introduceDomain, releaseDomain } from "./xs_domain";
import { XenstoreRing } from "./xs_ring";

/** Why a domain stopped: what it asked for (public/sched.h, SHUTDOWN_*), or "destroyed" from outside. */
export type StopReason = "poweroff" | "reboot" | "suspend" | "crash" | "watchdog" | "soft_reset" | "destroyed";

export interface DomainStop {
  readonly reason: StopReason;
  /** What an HVM guest wrote to the debug-exit port, as a program's status: (code << 1) | 1. */
  readonly status?: number;
  /** What a port or memory handler of the program's own threw: that is a crash. */
  readonly error?: Error;
}

const REASONS: Readonly<Record<number, StopReason>> = {
  [Xen.SHUTDOWN_poweroff]: "poweroff",
  [Xen.SHUTDOWN_reboot]: "reboot",
  [Xen.SHUTDOWN_suspend]: "suspend",
  [Xen.SHUTDOWN_crash]: "crash",
  [Xen.SHUTDOWN_watchdog]: "watchdog",
  [Xen.SHUTDOWN_soft_reset]: "soft_reset",
};

/** What a guest can be asked through control/shutdown (docs/misc/xenstore-paths). */
const SHUTDOWN_REQUESTS = ["poweroff", "reboot", "suspend", "halt"] as const;
export type ShutdownRequest = (typeof SHUTDOWN_REQUESTS)[number];

/** What a domain is built into. */
export interface DomainHost {
  readonly hardware: Hardware;
  readonly xenstore: Xenstore;
  readonly events: ControlEvents;
  /** The domain has gone. */
  onGone(domain: Domain): void;
}

/** A configuration whose files have been read and checked. */
export interface DomainPlan {
  readonly name: string;
  readonly uuid: string;
  readonly memoryMiB: number;
  readonly vcpus: number;
  readonly image: PvhImage | HvmImage;
}

export interface PvhImage {
  readonly type: "pvh";
  readonly kernel: KernelImage;
  readonly ramdisk?: Uint8Array;
  readonly cmdline: string;
}

export interface HvmImage {
  readonly type: "hvm";
  readonly boot: HvmBoot;
  readonly debugExit: boolean;
  /** Devices of the embedding program's. */
  readonly extra?: ExtraDevices;
  /** Called with the domain's number before its vCPU can run. */
  readonly onCreated?: (domid: number) => void;
}

/** What both kinds of domain have after they are built. */
interface Built {
  readonly start: VcpuStart;
  readonly entry: number;
  readonly startInfoGpa: number;
  readonly xenstorePfn: number;
  readonly memoryMap: readonly MemoryRegion[];
}

export interface DomainConsole {
  /** What the guest prints. Ends with the domain. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Keystrokes. A write settles when the guest has taken its bytes. */
  readonly writable: WritableStream<Uint8Array>;
}

export class Domain {
  readonly id: number;
  readonly name: string;
  readonly uuid: string;
  readonly console: DomainConsole;
  /** How it ended. Never rejects. */
  readonly stopped: Promise<DomainStop>;

  private readonly host: DomainHost;
  private readonly block: number;
  private readonly vcpus: readonly number[];
  private readonly backend: ConsoleBackend;
  private readonly store: XenstoreRing;
  /** COM1, of an HVM domain. */
  private readonly serial: SerialPort | null = null;
  private readonly extra: ExtraDevices | undefined;
  private readonly pinned: number[] = [];
  private resolveStopped!: (stop: DomainStop) => void;
  private stopping: Promise<void> | null = null;
  private userPaused = false;
  private placed = false;
  private homecomings: (() => void)[] = [];

  /** @internal */
  constructor(host: DomainHost, plan: DomainPlan) {
    const { hardware, xenstore, events } = host;
    const { memory } = hardware;
    this.host = host;
    this.name = plan.name;
    this.uuid = plan.uuid;
    this.stopped = new Promise((resolve) => (this.resolveStopped = resolve));

    const { image } = plan;
    this.extra = image.type === "hvm" ? image.extra : undefined;
    const firmware = image.type === "hvm" && image.boot.kind === "firmware" ? firmwarePages(image.boot.rom.length) : 0;
    const maxPages = plan.memoryMiB * 256 + 1024 + firmware; // as libxl allows: RAM, special pages, a little slack
    const handle = Uint8Array.from(plan.uuid.replaceAll("-", "").match(/../g) ?? [], (hex) => Number.parseInt(hex, 16));
    this.block = createDomainBlock(memory, { type: image.type === "hvm" ? DomainType.hvm : DomainType.pvh, vcpus: plan.vcpus, maxPages, handle });
    if (this.block < 0) throw new DomainError(plan.name, `no room for another domain (error ${this.block})`);
    this.id = memory.get32(this.block + DomainOff.domid);
    this.vcpus = Array.from({ length: plan.vcpus }, (_, n) => vcpuAddr(memory, this.block, n));
    const undo = [() => this.release(), () => this.unpin()];
    try {
      const pvh = image.type === "pvh" ? buildPvh(memory, this.id, this.block, { ...plan, ...image }) : null;
      const hvm = image.type === "hvm" ? buildHvm(memory, this.id, this.block, { ...plan, ...image }) : null;
      const built: Built = pvh ? { ...pvh, start: VcpuStart.pvh } : hvm!;
      setMemoryMap(
        memory,
        this.id,
        built.memoryMap.map(({ start, size, type }) => ({ addr: start, size, type })),
      );
      const guest = new GuestMemory(memory, this.block);
      const page = (gfn: number) => this.pin(guest.maddr(gfn * 4096));
      const store = events.connect(this.id);
      undo.push(() => store.port.close());
      this.setParams({ [Xen.HVM_PARAM_STORE_PFN]: built.xenstorePfn, [Xen.HVM_PARAM_STORE_EVTCHN]: store.guestPort });
      seedGrant(memory, this.id, Xen.GNTTAB_RESERVED_XENSTORE, built.xenstorePfn);
      let console: { readonly port: EventPort; readonly page: number };
      let consoleNode: { readonly port: number; readonly ringRef: number } | undefined;
      if (pvh) {
        const { guestPort, port } = events.connect(this.id);
        undo.push(() => port.close());
        this.setParams({ [Xen.HVM_PARAM_CONSOLE_PFN]: pvh.consolePfn, [Xen.HVM_PARAM_CONSOLE_EVTCHN]: guestPort });
        seedGrant(memory, this.id, Xen.GNTTAB_RESERVED_CONSOLE, pvh.consolePfn);
        consoleNode = { port: guestPort, ringRef: pvh.consolePfn };
        console = { port, page: page(pvh.consolePfn) };
      } else {
        this.serial = new SerialPort(memory, this.vcpus[0], hvm!.pcPage);
        console = { port: this.serial, page: hvm!.pcPage };
      }
      introduceDomain(xenstore, {
        domid: this.id,
        name: plan.name,
        uuid: plan.uuid,
        vcpus: plan.vcpus,
        memory: plan.memoryMiB * 1024,
        store: { port: store.guestPort, ringRef: built.xenstorePfn },
        console: consoleNode,
        startTime: Date.now() / 1000,
      });
      undo.push(() => releaseDomain(xenstore, this.id));
      this.store = new XenstoreRing({ store: xenstore, domid: this.id, memory, page: page(built.xenstorePfn), port: store.port });
      this.backend = new ConsoleBackend({ memory, ...console });
      this.console = { readable: this.backend.readable, writable: this.backend.writable };

      const [boot] = this.vcpus;
      memory.store(boot + VcpuOff.startEntry, built.entry);
      memory.store(boot + VcpuOff.startInfo, built.startInfoGpa);
      memory.store(boot + VcpuOff.start, built.start);
      memory.store(boot + VcpuOff.runnable, 1);
      memory.store(boot + VcpuOff.online, 1);
      if (image.type === "hvm") image.onCreated?.(this.id);
      void this.pause();
      memory.store(this.block + DomainOff.state, DomainState.running);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  /** @internal Gives each vCPU a processor. The domain is paused until `unpause`. */
  async place(): Promise<void> {
    const { memory } = this.host.hardware;
    for (const vcpu of this.vcpus) if (memory.load(vcpu + VcpuOff.online) !== 0) await this.host.hardware.place(vcpu);
    this.placed = true;
  }

  get paused(): boolean {
    return this.userPaused;
  }

  /** Lets no instruction of the guest execute until `unpause`. Settles when its processors have stopped. */
  async pause(): Promise<void> {
    if (this.stopping) return;
    if (!this.userPaused) {
      this.userPaused = true;
      this.hold();
    }
    await this.home();
  }

  unpause(): void {
    if (!this.userPaused || this.stopping) return;
    this.userPaused = false;
    const { memory } = this.host.hardware;
    memory.add(this.block + DomainOff.pauseCount, -1);
    for (const vcpu of this.vcpus) kick(memory, vcpu, VcpuRequest.pause);
    for (const resolve of this.homecomings.splice(0)) resolve(); // who waits for the pause waits in vain from now on
  }

  /** Asks the guest to stop and settles when it has. A guest need not obey: `destroy` always works. */
  async shutdown(request: ShutdownRequest = "poweroff"): Promise<DomainStop> {
    if (!SHUTDOWN_REQUESTS.includes(request))
      throw new DomainError(this.name, `"${request}" is none of the requests ${SHUTDOWN_REQUESTS.join(", ")}.`);
    if (!this.stopping) this.host.xenstore.write(`/local/domain/${this.id}/control/shutdown`, request);
    return this.stopped;
  }

  /** Ends the domain at once and settles when all it had has been returned. */
  async destroy(): Promise<void> {
    await this.stop("destroyed");
  }

  /** @internal The control doorbell has rung: something may have changed. */
  poll(): void {
    const { memory } = this.host.hardware;
    if (!this.stopping) this.serial?.poll();
    const code = memory.load(this.block + DomainOff.shutdownReason);
    if (code !== -1 && !this.stopping) void this.stop(REASONS[code] ?? "crash");
    for (const vcpu of this.vcpus) {
      if (this.stopping || memory.load(vcpu + VcpuOff.online) === 0 || memory.load(vcpu + VcpuOff.home) !== -1) continue;
      if (this.placed) void this.host.hardware.place(vcpu); // brought online by another vCPU
    }
    if (this.homecomings.length > 0 && this.isHome()) for (const resolve of this.homecomings.splice(0)) resolve();
  }

  /** @internal The processor it ran on is lost with its registers. */
  lost(pcpu: number): void {
    const { memory } = this.host.hardware;
    for (const vcpu of this.vcpus) {
      if (memory.load(vcpu + VcpuOff.home) !== pcpu) continue;
      memory.store(vcpu + VcpuOff.pcpu, -1);
      memory.compareExchange(this.block + DomainOff.shutdownReason, -1, Xen.SHUTDOWN_crash);
    }
    this.poll();
  }

  private stop(reason: StopReason): Promise<void> {
    this.stopping ??= this.takeApart(reason);
    return this.stopping;
  }

  private async takeApart(reason: StopReason): Promise<void> {
    const { hardware, xenstore } = this.host;
    this.hold();
    await this.home();
    for (const vcpu of this.vcpus) dequeueVcpu(hardware.memory, vcpu);
    await hardware.settle(); // log lines that are on their way
    xenstore.domainShutdown(this.id);
    this.backend.close();
    this.store.close();
    releaseDomain(xenstore, this.id);
    const status = this.serial?.exitStatus;
    this.unpin();
    this.release();
    this.host.onGone(this);
    const error = this.extra?.failure;
    this.resolveStopped({
      reason,
      ...(status !== undefined && reason !== "destroyed" && { status }),
      ...(error && reason === "crash" && { error }),
    });
  }

  /** One more reason not to run. */
  private hold(): void {
    const { memory } = this.host.hardware;
    memory.add(this.block + DomainOff.pauseCount, 1);
    for (const vcpu of this.vcpus) kick(memory, vcpu, VcpuRequest.pause);
  }

  /** Settles when no processor holds a vCPU's registers. */
  private home(): Promise<void> {
    return this.isHome() ? Promise.resolve() : new Promise((resolve) => this.homecomings.push(resolve));
  }

  private isHome(): boolean {
    const { memory } = this.host.hardware;
    return this.vcpus.every((vcpu) => memory.load(vcpu + VcpuOff.pcpu) === -1);
  }

  /** Keeps the frame at `maddr` for a backend, whatever the guest does with its page: given back, it would soon be somebody
   *  else's. */
  private pin(maddr: number): number {
    const mfn = maddr / PAGE_SIZE;
    if (!getPage(this.host.hardware.memory, mfn, this.id)) throw new DomainError(this.name, `page ${mfn.toString(16)} cannot be shared`);
    this.pinned.push(mfn);
    return maddr;
  }

  private unpin(): void {
    for (const mfn of this.pinned.splice(0)) putPage(this.host.hardware.memory, mfn);
  }

  private release(): void {
    const { memory } = this.host.hardware;
    memory.store(this.block + DomainOff.state, DomainState.dying);
    destroyDomainState(memory, this.block);
  }

  private setParams(params: Readonly<Record<number, number>>): void {
    for (const [index, value] of Object.entries(params)) {
      setHvmParam(this.host.hardware.memory, this.id, Number(index), BigInt(value));
    }
  }
}
