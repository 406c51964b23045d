/** The core by itself: one vCPU on the calling thread, no scheduler, no hypervisor, over shared or unshared memory. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Exit } from "../../assembly/abi/exit";
import { DomainOff, DomainType, FrameType, P2m, PcpuOff, Region, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { parseElf, Pt } from "../../src/domains/elf";
import { createDomainBlock, vcpuAddr } from "../../src/hypervisor/domain_table";
import { HostClock, startClock } from "../../src/machine/clock";
import { Core } from "../../src/machine/core";
import { allocFrames, initMachine } from "../../src/machine/frames";
import { GuestMemory } from "../../src/machine/guest_memory";
import { machineBytes } from "../../src/machine/machine";
import type { JitTuning } from "../../src/machine/jit";
import { MachineMemory } from "../../src/machine/memory";
import { hostPlatform } from "../../src/machine/platform";
import { p2mFill } from "../../src/machine/p2m";
import type { Image } from "../build_programs";
import { COUNT_PORT, Deadline, type Engine, type Loaded, RESULT_PORT, type Sample, stopwatch } from "./engine";

declare const XENOLITH_ROOT: string;

const RAM_MIB = 64;
const BUDGET = 5_000_000; // instructions between two looks at the clock
const NOTHING = 0xffffffff;

export interface CoreKind {
  readonly shared: boolean;
  /** With its compiler on, as machines run it; else it interprets only. */
  readonly jit: boolean | JitTuning;
}

export function coreEngine(name: string, { shared, jit }: CoreKind): Engine {
  const file = join(XENOLITH_ROOT, shared ? "build/xenolith.shared.wasm" : "build/xenolith.wasm");
  let module: WebAssembly.Module | undefined; // with what the engine has compiled of it so far
  return {
    name,
    runs: () => true,
    missing: () => (existsSync(file) ? null : `${file} is missing: npm run build`),
    load: async (image) => {
      if (jit) await hostPlatform().heedHints();
      module ??= new WebAssembly.Module(readFileSync(file));
      return BarePc.load(module, shared, image, jit);
    },
  };
}

class BarePc implements Loaded {
  private core!: Core;
  private count = 0;
  private checksum: number | null = null;
  private watch = stopwatch();
  private took = { wallMs: 0, cpuMs: 0 };

  private constructor(
    private readonly mem: MachineMemory,
    private readonly vcpu: number,
  ) {}

  static async load(module: WebAssembly.Module, shared: boolean, image: Image, jit: CoreKind["jit"]): Promise<BarePc> {
    const pages = machineBytes((RAM_MIB + 4) << 20, 1) >>> 16;
    const mem = new MachineMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared }));
    initMachine(mem, { pcpus: 1, tscKhz: 1_000_000 });
    const frames = RAM_MIB << 8;
    const domain = createDomainBlock(mem, { type: DomainType.pvh, vcpus: 1, maxPages: frames });
    const error = p2mFill(mem, domain, 0, frames, P2m.ram_rw, (count) => allocFrames(mem, mem.get32(domain + DomainOff.domid), FrameType.ram, count));
    if (error) throw new Error(`p2mFill: ${error}`);
    const elf = parseElf(readFileSync(image.kernel), image.kernel);
    const guest = new GuestMemory(mem, domain);
    for (const { type, offset, fileSize, paddr } of elf.segments) {
      if (type === Pt.LOAD) guest.write(paddr, elf.bytes.subarray(offset, offset + fileSize));
    }
    const pc = new BarePc(mem, vcpuAddr(mem, domain, 0));
    pc.core = await Core.create(module, mem, 0, {
      clock: new HostClock(startClock()),
      pioRead: (port) => (port === COUNT_PORT ? pc.giveCount() : NOTHING),
      pioWrite: (port, _size, value) => {
        if (port === RESULT_PORT) pc.takeResult(value);
      },
      mmioRead: () => NOTHING,
      mmioWrite: () => {},
      notice: () => {},
      random: () => 4,
    }, { jit });
    pc.core.exports.switchTo(pc.vcpu);
    pc.core.exports.pvhStart(Number(elf.entry), 0);
    return pc;
  }

  private giveCount(): number {
    const { count } = this;
    if (count === 0) this.stop();
    this.count = 0;
    this.watch = stopwatch();
    return count;
  }

  private takeResult(value: number): void {
    this.took = this.watch.end();
    this.checksum = value >>> 0;
    this.stop();
  }

  /** Makes run() return after this instruction, or at least soon. */
  private stop(): void {
    const { mem } = this;
    const at = Region.PCPUS;
    mem.or(this.vcpu + VcpuOff.request, VcpuRequest.pause);
    mem.set32(at + PcpuOff.sliceLength, mem.get32(at + PcpuOff.sliceLength) - mem.get32(at + PcpuOff.left));
    mem.set32(at + PcpuOff.left, 0);
  }

  async run(count: number, deadlineMs: number): Promise<Sample> {
    const { core, mem, vcpu } = this;
    this.count = count;
    this.checksum = null;
    const until = performance.now() + deadlineMs;
    const retired = core.retired;
    while (this.checksum === null) {
      mem.and(vcpu + VcpuOff.request, ~VcpuRequest.pause);
      const exit = core.run(BUDGET);
      if (exit !== Exit.budget && exit !== Exit.request) throw new Error(`exit ${exit} at rip 0x${core.rip.toString(16)}`);
      if (performance.now() > until) throw new Deadline(`no result within ${Math.round(deadlineMs / 1000)} s`);
    }
    return { checksum: this.checksum, ...this.took, instructions: core.retired - retired };
  }

  close(): void {
    this.core.exports.switchTo(0);
  }
}
