/** The control thread's half of a machine: xenstore, backends and the domains. This is the package's `Machine`. */
import { ControlPort } from "../hypervisor/control";
import type { ExtraDevices } from "../io/pc";
import { freeFrameCount } from "../machine/frames";
import { type JitStatistics, jitStatistics, type JitTuning } from "../machine/jit";
import { Hardware, MachineError, machineBytes } from "../machine/machine";
import { PAGE_SIZE } from "../machine/memory";
import { Profile } from "../machine/profile";
import { type Asset, hostPlatform, type Platform } from "../machine/platform";
import { type KernelImage, loadKernel, restoreKernel } from "./bzimage";
import { type DomainConfig as CheckedConfig, configFromObject } from "./config";
import { ControlEvents } from "./control_events";
import { Domain, type HvmImage, type PvhImage } from "./domain";
import { ConfigError, ImageError } from "./errors";
import { extraDevices, loadFirmware, loadHvmKernel, type MmioHandler, type PortHandler } from "./hvm_image";
import { ImageFrames } from "./image_frames";
import type { KernelStore } from "./kernel_store";
import { makePcpu, makePcpuWith } from "./pcpu";
import { Scratch } from "./scratch";
import { Xenstore } from "./xenstore";

export interface MachineOptions {
  /** MiB of memory for guests. What the hypervisor keeps about them comes on top. Default 512. */
  readonly memory?: number;
  /** Processors, each a thread of its own. Default 4; threads start when they are first needed. */
  readonly pcpus?: number;
  /** Shared memory and threads, or everything on this event loop. Default: threads where the host allows it. */
  readonly threads?: boolean;
  /** Hot code is translated to WebAssembly. Default: true, and it goes without where the host forbids making code. `{ check: true }`
   *  compares it with the interpreter as it runs, on a machine without threads; a difference ends the domain. */
  readonly jit?: boolean | JitTuning;
  /** Notes where the processors' time goes, see `Machine.profile`. */
  readonly profile?: boolean;
  /** The core, where it is not beside this module: xenolith.shared.wasm with threads, xenolith.wasm without. */
  readonly wasm?: Asset | { readonly shared: Asset; readonly unshared: Asset };
  /** The module of the worker threads, where it is not beside this one. */
  readonly worker?: URL | string;
  /** Keeps unpacked kernels for the next run. Default: none are kept. */
  readonly kernels?: KernelStore;
  /** Takes lines of the hypervisor log: what domains print on port 0xE9 or by console_io, as "(d1) text", and remarks
   *  about them. Default: console.error. */
  readonly log?: (line: string) => void;
}

/** Bytes, a path or URL, or a function that brings the bytes. */
export type ImageSource = Asset;

export interface DomainConfig {
  /** Unique on the machine. Default: domain-N. */
  readonly name?: string;
  readonly type?: "pvh" | "hvm";
  /** PVH: bzImage or ELF with a PVH note. HVM: bzImage, or with a Multiboot header of version 1 or 2, or ELF with a PVH note; or
   *  there is `firmware`. */
  readonly kernel?: ImageSource;
  /** HVM: the first module. */
  readonly ramdisk?: ImageSource;
  readonly cmdline?: string;
  /** HVM: a ROM image of 64 KiB to 16 MiB that starts at the reset vector. */
  readonly firmware?: ImageSource;
  /** HVM: modules after the ramdisk. */
  readonly modules?: readonly { readonly image: ImageSource; readonly cmdline?: string }[];
  /** HVM: writing to port 0xF4 ends the domain with a status; fw_cfg and pc-testdev, as test kernels for QEMU expect. */
  readonly debugExit?: boolean;
  /** HVM on machines without threads: devices of your own, before those of the PC. */
  readonly ports?: readonly PortHandler[];
  readonly mmio?: readonly MmioHandler[];
  /** MiB. */
  readonly memory: number;
  readonly vcpus?: number;
  readonly uuid?: string;
  /** Destroys the domain when aborted. */
  readonly signal?: AbortSignal;
  /** Leave it paused until `unpause()`. */
  readonly paused?: boolean;
}

const MIB = 2 ** 20;
const DEFAULT_PCPUS = 4;
const DEFAULT_MEMORY = 512;

export class Machine {
  /** Whether processors have threads of their own. */
  readonly threads: boolean;
  readonly xenstore: Xenstore;
  /** Where the processors' time went, if that was asked for; complete for domains that have stopped. */
  readonly profile: Profile | null;
  private readonly live = new Map<number, Domain>();
  private readonly names = new Set(["Domain-0"]); // what domain 0 is called under Xen
  private readonly extra = new Map<number, ExtraDevices>();
  private readonly platform: Platform;
  private readonly kernels: KernelStore | undefined;
  private readonly log: (line: string) => void;
  private hardware!: Hardware;
  private pcpus = 1;
  private events!: ControlEvents;
  private destroyed = false;
  private building = 0;

  private constructor(options: MachineOptions) {
    this.platform = hostPlatform();
    this.kernels = options.kernels;
    this.log = guarded(options.log ?? ((line) => console.error(line)));
    if (options.threads && !this.platform.canShare) throw new MachineError(`threads: ${this.platform.whyNotShared}`);
    const check = typeof options.jit === "object" && options.jit.check === true;
    if (options.threads && check) throw new MachineError("jit: what is translated can be checked on a machine without threads only");
    this.threads = options.threads ?? (this.platform.canShare && !check);
    this.profile = options.profile ? new Profile() : null;
    this.xenstore = new Xenstore({ log: this.log });
  }

  static async create(options: MachineOptions = {}): Promise<Machine> {
    const memory = wholeNumber("memory", options.memory ?? DEFAULT_MEMORY, 1);
    const pcpus = options.threads === false ? 1 : wholeNumber("pcpus", options.pcpus ?? DEFAULT_PCPUS, 1, 32);
    const machine = new Machine(options);
    const { threads } = machine;
    machine.pcpus = threads ? pcpus : 1;
    machine.hardware = await Hardware.create({
      platform: machine.platform,
      bytes: machineBytes((memory + overhead(memory)) * MIB, threads ? pcpus : 1),
      threads,
      pcpus: threads ? pcpus : 1,
      wasm: coreOf(options, threads),
      worker: options.worker ?? new URL("./worker.js", import.meta.url),
      makePcpu: threads ? makePcpu : (parts) => makePcpuWith(parts, (domid) => machine.extra.get(domid)),
      jit: options.jit ?? true,
      onProfile: machine.profile ? (report) => machine.profile?.add(report) : undefined,
      onLog: (domid, line) => machine.log(`(d${domid}) ${line}`),
      onControl: () => machine.control(),
      onPcpuLost: (pcpu, error) => {
        machine.log(`pCPU ${pcpu} is lost: ${error.message}`);
        for (const domain of [...machine.live.values()]) domain.lost(pcpu);
      },
    });
    const control = new ControlPort(machine.hardware.memory);
    control.close(control.allocUnbound(0)); // its port table exists from now on, so that free memory is the guests' affair
    machine.events = new ControlEvents(control);
    return machine;
  }

  /** Bytes of guest memory nobody owns. */
  get freeMemory(): number {
    return freeFrameCount(this.hardware.memory) * PAGE_SIZE;
  }

  /** What the translators have done so far. */
  get jit(): JitStatistics {
    return jitStatistics(this.hardware.memory, this.pcpus);
  }

  /** Domains that exist now, oldest first. */
  get domains(): readonly Domain[] {
    return [...this.live.values()];
  }

  /** Builds a domain and starts it, unless it is to stay paused. */
  async createDomain(config: DomainConfig): Promise<Domain> {
    if (this.destroyed) throw new MachineError("the machine has been destroyed");
    const { signal } = config;
    signal?.throwIfAborted();
    const checked = checkConfig(config, this.freeName());
    if (this.names.has(checked.name)) throw new ConfigError("name", `there is a domain "${checked.name}" already.`);
    this.names.add(checked.name);
    this.building++;
    this.hardware.keepAlive(true);
    let domain: Domain | null = null;
    const scratch = new Scratch();
    try {
      const image = await (checked.type === "hvm" ? this.hvmImage(config, checked, scratch) : this.pvhImage(config, checked, scratch));
      signal?.throwIfAborted();
      if (this.destroyed) throw new MachineError("the machine has been destroyed");
      const { hardware, xenstore, events } = this;
      const { name, memory: memoryMiB, vcpus } = checked;
      domain = new Domain(
        { hardware, xenstore, events, onGone: (gone) => this.forget(gone) },
        { name, memoryMiB, vcpus, uuid: checked.uuid ?? crypto.randomUUID(), image },
      );
      this.live.set(domain.id, domain);
      await domain.place();
    } catch (error) {
      if (domain) await domain.destroy();
      else this.names.delete(checked.name);
      throw error;
    } finally {
      scratch.release();
      this.building--;
      if (this.live.size + this.building === 0) this.hardware.keepAlive(false);
    }
    if (signal) this.destroyOnAbort(domain, signal);
    if (!config.paused) domain.unpause();
    return domain;
  }

  private async pvhImage(config: DomainConfig, { cmdline }: CheckedConfig, scratch: Scratch): Promise<PvhImage> {
    const { kernel, ramdisk } = config;
    const load = async () => {
      const image = await this.pvhKernel(kernel!, scratch);
      if (image.frames) scratch.hold(image.frames);
      return image;
    };
    const [loaded, initrd] = await Promise.all([load(), ramdisk === undefined ? undefined : this.read("ramdisk", ramdisk, scratch)]);
    return { type: "pvh", kernel: loaded, ramdisk: initrd, cmdline };
  }

  private async pvhKernel(source: ImageSource, scratch: Scratch): Promise<KernelImage> {
    const { kernels } = this;
    const file = fileName("kernel", source);
    const claim = (size: number) => ImageFrames.claim(this.hardware.memory, size);
    const kept = await kernels?.find(source);
    const restored = kept && (await restoreKernel(kept, file, claim));
    if (restored) return restored;
    const bytes = await this.read("kernel", source, scratch);
    return loadKernel(bytes, file, { claim, keep: kernels && ((image, parts) => kernels.keep(bytes, image, parts)) });
  }

  private async hvmImage(config: DomainConfig, { cmdline, memory }: CheckedConfig, scratch: Scratch): Promise<HvmImage> {
    const { kernel, firmware, ramdisk, modules = [], ports = [], mmio = [], debugExit = false } = config;
    if ((ports.length > 0 || mmio.length > 0) && this.threads)
      throw new ConfigError(ports.length > 0 ? "ports" : "mmio", "handlers need a machine without threads (threads: false): devices run where the processor runs.");
    const rom = firmware === undefined ? undefined : await this.read("firmware", firmware, scratch);
    const extra = ports.length + mmio.length > 0 ? extraDevices(ports, mmio, memory, rom?.length ?? 0) : undefined;
    const onCreated = (domid: number) => void (extra && this.extra.set(domid, extra));
    if (rom) return { type: "hvm", boot: loadFirmware(rom, fileName("firmware", firmware!)), debugExit, extra, onCreated };
    const files = ramdisk === undefined ? modules : [{ image: ramdisk }, ...modules];
    const [bytes, ...loaded] = await Promise.all([
      this.read("kernel", kernel!, scratch),
      ...files.map(async ({ image, cmdline: text = "" }) => ({ bytes: await this.read("modules", image, scratch), cmdline: text })),
    ]);
    return { type: "hvm", boot: await loadHvmKernel(bytes, fileName("kernel", kernel!), loaded, cmdline), debugExit, extra, onCreated };
  }

  /** Destroys every domain and lets go of threads and memory. */
  async destroy(): Promise<void> {
    if (this.destroyed) return;
    this.destroyed = true;
    await Promise.all(this.domains.map((domain) => domain.destroy()));
    this.hardware.destroy();
  }

  /** The control doorbell has rung. */
  private control(): void {
    this.events?.dispatch();
    for (const domain of this.domains) domain.poll();
  }

  private forget(domain: Domain): void {
    this.live.delete(domain.id);
    this.extra.delete(domain.id);
    this.names.delete(domain.name);
    if (this.live.size + this.building === 0) this.hardware.keepAlive(false);
  }

  private freeName(): string {
    let n = 1;
    while (this.names.has(`domain-${n}`)) n++;
    return `domain-${n}`;
  }

  private destroyOnAbort(domain: Domain, signal: AbortSignal): void {
    const abort = () => void domain.destroy();
    signal.addEventListener("abort", abort, { once: true });
    void domain.stopped.then(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
  }

  private async read(key: string, source: ImageSource, scratch: Scratch): Promise<Uint8Array> {
    try {
      const bytes = await this.platform.read(source);
      if (typeof source === "string" || source instanceof URL) scratch.add(bytes); // others may be the program's own
      return bytes;
    } catch (error) {
      throw new ImageError(fileName(key, source), `it cannot be read: ${(error as Error).message}`);
    }
  }
}

/** The program's log is called from amid a domain's instructions: what it throws surfaces as an uncaught error and stops nobody. */
function guarded(log: (line: string) => void): (line: string) => void {
  return (line) => {
    try {
      log(line);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}

/** MiB on top of the guests': p2m (4 bytes a page and level), shared pages, port and grant tables. */
function overhead(memory: number): number {
  return 16 + Math.ceil(memory / 128);
}

function coreOf({ wasm }: MachineOptions, shared: boolean): Asset {
  if (wasm === undefined)
    return shared ? new URL("./xenolith.shared.wasm", import.meta.url) : new URL("./xenolith.wasm", import.meta.url);
  if (typeof wasm === "object" && "shared" in wasm && "unshared" in wasm) return shared ? wasm.shared : wasm.unshared;
  return wasm as Asset;
}

function checkConfig(config: DomainConfig, defaultName: string): CheckedConfig {
  const { name = defaultName, type = "pvh", cmdline, memory, vcpus, uuid } = config;
  if (type === "hvm") checkBoot(config);
  else if (config.kernel === undefined) throw new ConfigError("kernel", "a PVH domain needs a kernel.");
  if (memory === undefined) throw new ConfigError("memory", "how many MiB is the domain to have?");
  const checked = configFromObject({ name, type, cmdline, memory, vcpus, uuid });
  if (checked.type === "pv") throw new ConfigError("type", `${checked.type.toUpperCase()} domains are not supported yet.`);
  if (checked.vcpus !== 1) throw new ConfigError("vcpus", "domains have one vCPU so far.");
  return checked;
}

function checkBoot({ kernel, firmware, ramdisk, modules = [] }: DomainConfig): void {
  if (kernel === undefined && firmware === undefined) throw new ConfigError("kernel", "an HVM domain needs a kernel or firmware.");
  if (kernel !== undefined && firmware !== undefined) throw new ConfigError("firmware", "firmware starts instead of a kernel: give one of them.");
  if (kernel === undefined && (ramdisk !== undefined || modules.length > 0)) throw new ConfigError("modules", "only a kernel can have modules.");
}

function wholeNumber(option: string, value: number, least: number, most = 4096): number {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new ConfigError(option, `a whole number from ${least} to ${most} is expected, not ${value}.`);
  return value;
}

/** How messages call an image. */
function fileName(key: string, source: ImageSource): string {
  return typeof source === "string" || source instanceof URL ? String(source) : key;
}

