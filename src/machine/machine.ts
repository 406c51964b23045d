/** The hardware: one memory, its pCPUs and the clock, on threads or on the host's event loop. Knows vCPU queues and
 *  doorbells, nothing of domains or hypercalls. */
import { MachineOff, Region, SchedOff } from "../../assembly/abi/layout";
import { type ClockOrigin, HostClock, startClock } from "./clock";
import { initMachine } from "./frames";
import type { JitTuning } from "./jit";
import { kick, pcpuBase, ringPcpu } from "./kick";
import { MachineMemory } from "./memory";
import type { Asset, PcpuThread, Platform } from "./platform";
import type { ProfileReport } from "./profile";
import { relocate } from "./relocate";
import { enqueueVcpu, queueLength, type Scheduler } from "./scheduler";
import type { PcpuFactory, WorkerMessage, WorkerStart } from "./vcpu_worker";

export class MachineError extends Error {
  override name = "MachineError";
}

export interface HardwareOptions {
  readonly platform: Platform;
  /** Bytes of the memory in all, see machineBytes(). */
  readonly bytes: number;
  /** Shared memory and a thread per pCPU, or everything on this event loop. */
  readonly threads: boolean;
  readonly pcpus: number;
  readonly wasm: Asset;
  readonly worker: URL | string;
  readonly makePcpu: PcpuFactory;
  /** Whether, and how eagerly, hot code is translated. */
  readonly jit?: boolean | JitTuning;
  /** Takes reports of where the pCPUs' time goes. */
  readonly onProfile?: (report: ProfileReport) => void;
  /** A line a pCPU has for the hypervisor log. */
  readonly onLog: (domid: number, line: string) => void;
  /** The control doorbell has rung. Called outside hypercalls and locks, never re-entered. */
  readonly onControl: () => void;
  /** A pCPU died of an internal error; its vCPUs will not run again. */
  readonly onPcpuLost: (pcpu: number, error: Error) => void;
}

const TSC_KHZ = 1_000_000; // guests' TSC counts nanoseconds
const SLICE_NS = 8e6; // single-threaded: the event loop waits at most about this long
const POLL_NS = 1e6; // shorter waits than timers can measure are polled for
const CONTROL = Region.MACHINE + MachineOff.control;

interface Pcpu {
  thread?: PcpuThread;
  scheduler?: Scheduler;
}

export class Hardware {
  readonly clock: HostClock;
  readonly memory: MachineMemory;
  private readonly origin: ClockOrigin;
  private readonly pcpus: (Promise<Pcpu> | undefined)[];
  private readonly lost = new Set<number>();
  private wasm!: Uint8Array;
  private destroyed = false;
  private alive = false;

  /* Single-threaded mode. */
  private running = false;
  private again = false; // a doorbell rang while running
  private controlDue = false;
  private cancelWait: (() => void) | null = null;
  private sliceDue = false;
  private releaseLoop: (() => void) | null = null;

  private constructor(private readonly options: HardwareOptions) {
    this.origin = startClock();
    this.clock = new HostClock(this.origin);
    this.memory = new MachineMemory(allocate(options.bytes, options.threads));
    initMachine(this.memory, { pcpus: options.pcpus, tscKhz: TSC_KHZ });
    const wallNs = BigInt(Math.round(Date.now() * 1e6 - this.clock.nowNs()));
    this.memory.set64(Region.MACHINE + MachineOff.wallSec, wallNs / 1_000_000_000n);
    this.memory.set32(Region.MACHINE + MachineOff.wallNsec, Number(wallNs % 1_000_000_000n));
    this.pcpus = new Array(options.pcpus).fill(undefined);
  }

  static async create(options: HardwareOptions): Promise<Hardware> {
    const hardware = new Hardware(options);
    hardware.wasm = await readCore(options);
    if (options.threads && "waitAsync" in Atomics) hardware.listen();
    else hardware.memory.onNotify = (at) => hardware.rung(at);
    return hardware;
  }

  /** Gives a vCPU a pCPU to run on: the one with the fewest. */
  async place(vcpu: number): Promise<void> {
    let best = -1;
    for (let n = 0; n < this.options.pcpus; n++) {
      if (!this.lost.has(n) && (best < 0 || queueLength(this.memory, n) < queueLength(this.memory, best))) best = n;
    }
    if (best < 0) throw new MachineError("all of the machine's processors are lost");
    enqueueVcpu(this.memory, vcpu, best);
    this.pcpus[best] ??= this.startPcpu(best);
    await this.pcpus[best];
    ringPcpu(this.memory, best);
  }

  kick(vcpu: number, bits: number): void {
    kick(this.memory, vcpu, bits);
  }

  /** Settles when what the pCPUs have said so far has been heard. */
  async settle(): Promise<void> {
    for (let n = 0; n < 2; n++) await new Promise<void>((resolve) => this.options.platform.defer(resolve));
  }

  /** Whether the host's event loop has to stay alive for what runs here. */
  keepAlive(yes: boolean): void {
    this.alive = yes;
    for (const pcpu of this.pcpus) void pcpu?.then(({ thread }) => thread?.keepAlive(this.alive), () => {});
    if (yes) this.releaseLoop ??= this.options.platform.hold();
    else {
      this.releaseLoop?.();
      this.releaseLoop = null;
    }
  }

  /** Lets go of threads and memory. No vCPU may be queued any more. */
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.keepAlive(false);
    this.cancelWait?.();
    for (let n = 0; n < this.options.pcpus; n++) {
      this.memory.store(pcpuBase(n) + SchedOff.stop, 1);
      ringPcpu(this.memory, n);
      void this.pcpus[n]?.then(({ thread }) => thread?.terminate(), () => {});
    }
    this.memory.add(CONTROL, 1);
    this.memory.notify(CONTROL); // ends listen()
  }

  /** The core for one pCPU. */
  private async compile(pcpu: number): Promise<WebAssembly.Module> {
    try {
      // as built, the core is that of pCPU 0
      return await WebAssembly.compile(pcpu === 0 ? (this.wasm as Uint8Array<ArrayBuffer>) : relocate(this.wasm, pcpu).bytes);
    } catch (error) {
      throw new MachineError(`wasm: this is not the core, or this host cannot run it: ${(error as Error).message}`);
    }
  }

  private async startPcpu(pcpu: number): Promise<Pcpu> {
    const { platform, threads, makePcpu, onLog, onProfile, jit = true } = this.options;
    if (jit) await platform.heedHints();
    const module = await this.compile(pcpu);
    if (!threads) {
      const { memory, clock } = this;
      const scheduler = await makePcpu({ memory, module, pcpu, clock, jit, onProfile, log: onLog });
      scheduler.betweenExits = () => this.serveControl();
      this.schedulers.set(pcpu, scheduler);
      return { scheduler };
    }
    const thread = await platform.startThread(this.options.worker);
    thread.keepAlive(this.alive);
    await new Promise<void>((resolve, reject) => {
      let ready = false;
      const lost = (error: Error) => (ready ? this.lose(pcpu, error) : reject(new MachineError(`pCPU ${pcpu}: ${error.message}`)));
      thread.onError(lost);
      thread.onMessage((data) => {
        const message = data as WorkerMessage;
        if (message.type === "ready") {
          ready = true;
          resolve();
        } else if (message.type === "log") onLog(message.domid, message.line);
        else if (message.type === "profile") onProfile?.(message.report);
        else if (message.type === "ring") this.options.onControl();
        else lost(new Error(message.message));
      });
      const start: WorkerStart = {
        memory: this.memory.memory,
        module,
        pcpu,
        clock: this.origin,
        jit,
        profile: onProfile !== undefined,
        ringByMessage: "waitAsync" in Atomics ? 0 : CONTROL,
      };
      thread.post(start);
    });
    return { thread };
  }

  private lose(pcpu: number, error: Error): void {
    this.lost.add(pcpu);
    this.options.onPcpuLost(pcpu, error);
  }

  /** Threads: waits for the control doorbell. */
  private async listen(): Promise<void> {
    const { memory } = this;
    while (!this.destroyed) {
      const rung = memory.load(CONTROL);
      this.options.onControl();
      const wait = Atomics.waitAsync(memory.i32, CONTROL >>> 2, rung);
      if (wait.async) await wait.value;
      else await new Promise<void>((resolve) => this.options.platform.defer(resolve)); // a noisy guest must not starve the host
    }
  }

  /* Single-threaded, or without Atomics.waitAsync: every doorbell rung by this thread comes here. */

  private readonly schedulers = new Map<number, Scheduler>();

  private rung(at: number): void {
    if (this.destroyed) return;
    if (at === CONTROL) {
      if (this.controlDue) return;
      this.controlDue = true;
      if (!this.running) this.options.platform.defer(() => this.serveControl());
    } else if (!this.options.threads) {
      if (this.running) this.again = true;
      else this.scheduleSlice(0);
    }
  }

  private serveControl(): void {
    if (!this.controlDue || this.destroyed) return;
    this.controlDue = false;
    this.options.onControl();
  }

  private scheduleSlice(waitNs: number): void {
    if (this.destroyed || this.sliceDue) return;
    this.cancelWait?.();
    this.cancelWait = null;
    if (waitNs === Number.POSITIVE_INFINITY) return;
    if (waitNs < POLL_NS) {
      this.sliceDue = true;
      this.options.platform.defer(() => this.slice());
    } else {
      const ms = Math.min(Math.floor(waitNs / 1e6), 0x7fffffff);
      this.cancelWait = this.options.platform.later(ms, () => {
        this.cancelWait = null;
        this.slice();
      });
    }
  }

  private slice(): void {
    this.sliceDue = false;
    if (this.destroyed) return;
    this.running = true;
    this.again = false;
    let wake = Number.POSITIVE_INFINITY;
    const each = SLICE_NS / Math.max(this.schedulers.size, 1);
    for (const [pcpu, scheduler] of this.schedulers) {
      try {
        wake = Math.min(wake, scheduler.run(this.clock.nowNs() + each));
      } catch (error) {
        this.schedulers.delete(pcpu);
        this.lose(pcpu, error as Error);
      }
    }
    this.running = false;
    this.serveControl();
    this.scheduleSlice(this.again ? 0 : wake - this.clock.nowNs());
  }
}

/** Bytes of a machine with `ramBytes` of frames to hand out. */
export function machineBytes(ramBytes: number, pcpus: number): number {
  return Region.PCPUS + pcpus * (Region.PCPU_STRIDE + Region.CODE_SIZE) + ramBytes;
}

/** The core's module. Bundlers that do not know `new URL(..., import.meta.url)` leave it behind: then the option has to say where it is. */
async function readCore({ platform, wasm }: HardwareOptions): Promise<Uint8Array> {
  try {
    return await platform.read(wasm);
  } catch (error) {
    throw new MachineError(`wasm: the core cannot be read: ${(error as Error).message}`);
  }
}

/** The pages are the host's until first touched. It cannot grow: modules that say so need not look where it is behind each of their calls. */
function allocate(bytes: number, shared: boolean): WebAssembly.Memory {
  const pages = Math.ceil(bytes / 65536);
  if (pages > 65536) throw new MachineError("memory: a machine has at most 4 GiB, 120 MiB and more of them for the hypervisor");
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (error) {
    throw new MachineError(`the host cannot provide ${Math.ceil(bytes / 2 ** 20)} MiB for the machine: ${(error as Error).message}`);
  }
}
