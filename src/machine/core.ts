/** The processor core as one pCPU uses it: typed exports, the host functions it imports, and the loop that catches its
 *  unwinding. Everything else about a running vCPU is words of the pCPU block (assembly/abi/layout.ts). */
import type { Exit } from "../../assembly/abi/exit";
import { PcpuOff } from "../../assembly/abi/layout";
import { Flag } from "../../assembly/abi/x86";
import type { Clock } from "./clock";
import { Jit, type JitTuning } from "./jit";
import { pcpuBase } from "./kick";
import type { MachineMemory } from "./memory";

/** assembly/index.ts. Addresses of the guest are linear unless named otherwise; lengths are in bytes. */
export interface CoreExports {
  /** Prepares this instance's pCPU block: once per instance. */
  initPcpu(): void;
  /** Saves the vCPU on this pCPU into its block, if any, and loads the one whose block is at `vcpu`; 0 loads none. */
  switchTo(vcpu: number): void;
  /** Puts the loaded vCPU into the state a PVH guest starts in (docs/misc/pvh: 32-bit flat protected mode, no paging). */
  pvhStart(entry: number, startInfo: number): void;
  /** The same as at a processor's reset (SDM Vol.3A "Processor State After Reset"). */
  resetVcpu(): void;
  /** The same as a Multiboot kernel starts; `magic` tells the version. */
  multibootStart(entry: number, info: number, magic: number): void;
  /** The same as a Linux kernel starts by the 32-bit boot protocol; `gdt` has its selectors 0x10 and 0x18. */
  linuxStart(entry: number, bootParams: number, gdt: number): void;
  /** Runs the loaded vCPU. */
  run(): number;
  /** System time in ns at which the loaded vCPU's local APIC timer expires; 0 if it is off. */
  apicNextDeadline(): number;
  /** Lets the loaded vCPU's local APIC timer expire if it is due at `now`. */
  apicTick(now: number): void;
  /** Copies between the loaded vCPU's memory at a linear address (low and high half) and a machine address; returns how
   *  many bytes could NOT be copied. */
  copyFromGuest(to: number, linLow: number, linHigh: number, length: number): number;
  copyToGuest(linLow: number, linHigh: number, from: number, length: number): number;
  /** Tells the record caches that the host has written to a frame. */
  hostWroteFrame(mfn: number): void;
}

/** What a core asks of its host. Ports and device addresses are those of the domain on the pCPU. */
export interface CoreHost {
  readonly clock: Clock;
  pioRead(port: number, size: number): number;
  pioWrite(port: number, size: number, value: number): void;
  mmioRead(gpa: number, size: number): number;
  mmioWrite(gpa: number, size: number, value: number): void;
  /** Interrupt acknowledge cycle: the vector that the domain's 8259s give. Domains that raise no VcpuOff.intr need none. */
  intAck?(): number;
  /** A remark for the hypervisor log; called once per (code, a). */
  notice(code: number, a: number, b: number): void;
  /** 32 random bits. */
  random(): number;
}

export interface CoreOptions {
  /** Hot code is translated to WebAssembly (default); false interprets everything. */
  readonly jit?: boolean | JitTuning;
}

/** The one object a core throws through its host (`unwind` in assembly/env.ts): allocated once, compared by identity. */
const UNWIND = { toString: () => "the core unwinds to run()" };

export class Core {
  private readonly base: number;
  private readonly run0: () => number;

  private constructor(
    readonly memory: MachineMemory,
    readonly pcpu: number,
    readonly exports: CoreExports,
    private readonly jit: Jit,
  ) {
    this.base = pcpuBase(pcpu);
    this.run0 = exports.run;
  }

  /** `module` must have been relocated to `pcpu`. */
  static async create(module: WebAssembly.Module, memory: MachineMemory, pcpu: number, host: CoreHost, options: CoreOptions = {}): Promise<Core> {
    const noticed = new Set<string>();
    const { clock } = host;
    const env = {
      memory: memory.memory,
      unwind: () => {
        throw UNWIND;
      },
      pioRead: (port: number, size: number) => host.pioRead(port, size),
      pioWrite: (port: number, size: number, value: number) => host.pioWrite(port, size, value >>> 0),
      mmioRead: (low: number, high: number, size: number) => host.mmioRead((high >>> 0) * 2 ** 32 + (low >>> 0), size),
      mmioWrite: (low: number, high: number, size: number, value: number) =>
        host.mmioWrite((high >>> 0) * 2 ** 32 + (low >>> 0), size, value >>> 0),
      intAck: () => host.intAck?.() ?? 0xff,
      nowNs: () => clock.nowNs(),
      notice: (code: number, a: number, b: number) => {
        const key = `${code} ${a}`;
        if (noticed.has(key) || noticed.size > 1000) return; // a guest chooses `a`
        noticed.add(key);
        host.notice(code, a >>> 0, b >>> 0);
      },
      random: () => host.random(),
      jitDrop: (slot: number, count: number) => jit.drop(slot, count),
      jitInstall: (at: number, length: number, slot: number) => (jit.install(at >>> 0, length, slot) ? 1 : 0),
    };
    const jit = new Jit(memory, pcpu);
    const instance = await WebAssembly.instantiate(module, { env });
    const core = new Core(memory, pcpu, instance.exports as unknown as CoreExports, jit);
    core.exports.initPcpu();
    const { jit: wanted = true } = options;
    if (wanted) jit.enable(instance.exports, wanted === true ? {} : wanted);
    return core;
  }

  /** Runs the loaded vCPU for at most about `budget` instructions. A WebAssembly trap is a bug of ours and is passed on. */
  run(budget: number): Exit {
    this.memory.u64[(this.base + PcpuOff.budget) >>> 3] = BigInt(budget);
    for (;;) {
      try {
        return this.run0() as Exit;
      } catch (thrown) {
        if (thrown !== UNWIND) throw thrown;
      }
    }
  }

  /** Runs one other export that may unwind; true unless it did (the fault is then pending in the pCPU block). */
  attempt(body: () => void): boolean {
    try {
      body();
      return true;
    } catch (thrown) {
      if (thrown !== UNWIND) throw thrown;
      return false;
    }
  }

  /** What was translated since the last call of this. */
  translations(): { count: number; bytes: number; ns: number } {
    return this.jit.takeTranslations();
  }

  /** System time at which the loaded vCPU's local APIC timer expires, Infinity for never. */
  get apicDeadline(): number {
    return this.exports.apicNextDeadline() || Number.POSITIVE_INFINITY;
  }

  /** Address of the vCPU block loaded, 0 if none. */
  get loaded(): number {
    return this.memory.get32(this.base + PcpuOff.vcpu);
  }

  get retired(): number {
    const at = (this.base + PcpuOff.retired) >>> 2;
    return this.memory.u32[at] + this.memory.u32[at + 1] * 2 ** 32;
  }

  exitArg(n: number): number {
    return Number(this.memory.get64(this.base + PcpuOff.exitArg + 8 * n));
  }

  /** Interrupts can end a HLT: RFLAGS.IF, which unlike the status flags is always in place, or an NMI that waits. */
  get interruptible(): boolean {
    const { memory, base } = this;
    return (memory.get32(base + PcpuOff.rflags) & Flag.IF) !== 0 || memory.get32(base + PcpuOff.nmiPending) !== 0;
  }

  get rip(): bigint {
    return this.memory.get64(this.base + PcpuOff.rip);
  }
}
