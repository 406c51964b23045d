/** A bare processor with a few MiB of memory for instruction tests: state is written straight into the vCPU image, code runs
 *  until HLT, and every exception ends in a HLT of its own, so a test sees registers, flags, memory and faults. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Exit } from "../../assembly/abi/exit";
import { DomainOff, DomainType, FrameType, P2m, PcpuOff, Seg, SegAttr, VcpuOff } from "../../assembly/abi/layout";
import { createDomainBlock, vcpuAddr } from "../../src/hypervisor/domain_table";
import { Core, type CoreOptions } from "../../src/machine/core";
import { allocFrame, initMachine } from "../../src/machine/frames";
import { pcpuBase } from "../../src/machine/kick";
import { GuestMemory } from "../../src/machine/guest_memory";
import { MachineMemory } from "../../src/machine/memory";
import { p2mSet } from "../../src/machine/p2m";
import { relocate } from "../../src/machine/relocate";

declare const XENOLITH_ROOT: string;

export const GPRS = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const;
export type GprName = (typeof GPRS)[number];
export type Bits = 16 | 32 | 64;

export interface Start {
  readonly regs?: Partial<Record<GprName, bigint>>;
  readonly rflags?: bigint;
  readonly cpl?: 0 | 3;
  readonly memory?: ReadonlyArray<readonly [gpa: number, bytes: Uint8Array]>;
  readonly cr0?: bigint;
  readonly cr3?: bigint;
  readonly cr4?: bigint;
}

export interface Outcome {
  readonly exit: Exit;
  readonly regs: Record<GprName, bigint>;
  readonly rip: bigint;
  readonly rflags: bigint;
  /** The exception that ended the run. */
  readonly fault?: { readonly vector: number; readonly error?: number; readonly rip: bigint; readonly cr2: bigint };
}

/** Where things are. */
export const LAYOUT = { idt: 0x1000, gdt: 0x2000, tss: 0x3000, stubs: 0x4000, stack: 0x9000, kernelStack: 0xb000, pml4: 0x10000, code: 0x100000, data: 0x200000, size: 0x800000 } as const;

/** What tests run on unless they say: XENOLITH_JIT=eager translates all that ever loops, check does and compares it with the interpreter
 *  at every turn, off translates nothing. */
export const EAGER = { threshold: 1, slice: 40, check: process.env.XENOLITH_JIT === "check" };
const JIT = process.env.XENOLITH_JIT === "eager" || EAGER.check ? EAGER : process.env.XENOLITH_JIT !== "off";

const WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);

/** Machine code of NASM source, or null when nasm is not installed. */
export function assemble(source: string, bits: Bits, origin: number = LAYOUT.code): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "xenolith-"));
  try {
    writeFileSync(join(folder, "a.asm"), `bits ${bits}\norg ${origin}\n${source}\n`);
    const run = spawnSync("nasm", ["-f", "bin", "-o", join(folder, "a.bin"), join(folder, "a.asm")], { encoding: "utf8" });
    if (run.status !== 0) throw new Error(`nasm: ${run.error ?? run.stderr}`);
    return readFileSync(join(folder, "a.bin"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const nasmMissing = () => spawnSync("nasm", ["-v"]).status !== 0;

export class TestPc {
  readonly guest: GuestMemory;

  private constructor(
    readonly mem: MachineMemory,
    readonly core: Core,
    readonly vcpu: number,
    domain: number,
  ) {
    this.guest = new GuestMemory(mem, domain);
  }

  /** `pcpus`: of the machine, of which this is the first. `beside`: this is its second one, with a domain of its own. */
  static async create(options: { wasm?: string; jit?: CoreOptions["jit"]; ports?: (port: number, size: number, value?: number) => number; pcpus?: number; beside?: TestPc } = {}): Promise<TestPc> {
    const file = options.wasm ?? process.env.XENOLITH_WASM ?? join(XENOLITH_ROOT, "build/xenolith.wasm");
    if (!existsSync(file)) throw new Error(`${file} is missing: npm run build`);
    const shared = file.includes("shared");
    const pcpus = options.pcpus ?? 1, pcpu = options.beside ? 1 : 0;
    const pages = 0x1000 * 0.5 * pcpus;
    const mem = options.beside?.mem ?? new MachineMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared } as WebAssembly.MemoryDescriptor));
    if (!options.beside) initMachine(mem, { pcpus, tscKhz: 1_000_000 });
    const domain = createDomainBlock(mem, { type: DomainType.pvh, vcpus: 1, maxPages: LAYOUT.size >>> 12 });
    const domid = mem.get32(domain + DomainOff.domid);
    for (let gfn = 0; gfn < LAYOUT.size >>> 12; gfn++) {
      const error = p2mSet(mem, domain, gfn, allocFrame(mem, domid, FrameType.ram), P2m.ram_rw);
      if (error) throw new Error(`p2mSet: ${error}`);
    }
    let time = 0;
    const ports = options.ports ?? (() => 0xffffffff);
    const core = await Core.create(new WebAssembly.Module(relocate(readFileSync(file), pcpu).bytes), mem, pcpu, {
      clock: { nowNs: () => (time += 100), wallNs: () => 0 } as never,
      pioRead: (port, size) => ports(port, size),
      pioWrite: (port, size, value) => void ports(port, size, value),
      mmioRead: () => 0xffffffff,
      mmioWrite: () => {},
      notice: () => {},
      random: () => 4,
    }, { jit: options.jit ?? JIT });
    const pc = new TestPc(mem, core, vcpuAddr(mem, domain, 0), domain);
    pc.prepareTables();
    return pc;
  }

  /** GDT, IDTs, TSS, page tables (identity, 2 MiB pages, user-accessible), exception stubs. */
  private prepareTables(): void {
    const g = this.guest;
    const gdt = [0n, 0x00af9b000000ffffn, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00affb000000ffffn, 0x00cffb000000ffffn, 0x00cff3000000ffffn, 0x00009b000000ffffn, 0x000093000000ffffn];
    gdt.forEach((d, i) => g.set64(LAYOUT.gdt + i * 8, d));
    g.set64(LAYOUT.tss + 4, BigInt(LAYOUT.kernelStack)); // RSP0
    g.set64(LAYOUT.pml4, BigInt(LAYOUT.pml4 + 0x1000) | 7n);
    g.set64(LAYOUT.pml4 + 0x1000, BigInt(LAYOUT.pml4 + 0x2000) | 7n);
    for (let i = 0; i < LAYOUT.size >>> 21; i++) g.set64(LAYOUT.pml4 + 0x2000 + i * 8, BigInt(i << 21) | 0x87n);
    for (let v = 0; v < 256; v++) g.set32(LAYOUT.stubs + v * 16, 0xf4); // HLT
  }

  private prepareIdt(bits: Bits): void {
    const g = this.guest;
    for (let v = 0; v < 256; v++) {
      const at = BigInt(LAYOUT.stubs + v * 16);
      if (bits === 16) g.set32(LAYOUT.idt + v * 4, LAYOUT.stubs + v * 16);
      else if (bits === 32) g.set64(LAYOUT.idt + v * 8, (at & 0xffffn) | (0x10n << 16n) | (0xee00n << 32n) | ((at >> 16n) << 48n));
      else {
        g.set64(LAYOUT.idt + v * 16, (at & 0xffffn) | (0x08n << 16n) | (0xee00n << 32n) | ((at >> 16n) << 48n));
        g.set64(LAYOUT.idt + v * 16 + 8, 0n);
      }
    }
  }

  /** Runs `code` at LAYOUT.code (16-bit code at 0x7000) in real, protected or 64-bit mode until it halts or faults. */
  run(code: Uint8Array, bits: Bits, start: Start = {}, budget = 1_000_000): Outcome {
    const { mem, guest } = this;
    const origin = bits === 16 ? 0x7000 : LAYOUT.code;
    const page = new Uint8Array(Math.ceil((code.length + 64) / 16) * 16).fill(0xf4);
    page.set(code);
    guest.write(origin, page);
    this.core.exports.switchTo(0);
    (this.core.exports as unknown as { dropCode(): void }).dropCode();
    for (const [gpa, bytes] of start.memory ?? []) guest.write(gpa, bytes);
    this.prepareIdt(bits);

    const image = this.vcpu + VcpuOff.image;
    mem.u8.fill(0, image, image + PcpuOff.STATE_SIZE);
    const cpl = start.cpl ?? 0;
    GPRS.forEach((name, i) => mem.set64(image + PcpuOff.gpr + i * 8, BigInt.asUintN(64, start.regs?.[name] ?? (name === "rsp" ? BigInt(bits === 16 ? 0x6ff0 : LAYOUT.stack) : 0n))));
    mem.set64(image + PcpuOff.rip, BigInt(origin));
    mem.set64(image + PcpuOff.rflags, (start.rflags ?? 0n) | 2n);
    mem.set64(image + PcpuOff.cr0, start.cr0 ?? (bits === 16 ? 0x30n : bits === 32 ? 0x31n : 0x80000031n));
    mem.set64(image + PcpuOff.cr3, start.cr3 ?? BigInt(LAYOUT.pml4));
    mem.set64(image + PcpuOff.cr4, start.cr4 ?? (bits === 64 ? 0x620n : 0x600n));
    mem.set64(image + PcpuOff.efer, bits === 64 ? 0xd01n : 1n);
    mem.set64(image + PcpuOff.idtBase, BigInt(LAYOUT.idt));
    mem.set32(image + PcpuOff.idtLimit, 0xfff);
    mem.set64(image + PcpuOff.gdtBase, BigInt(LAYOUT.gdt));
    mem.set32(image + PcpuOff.gdtLimit, 0xff);
    mem.set64(image + PcpuOff.trBase, BigInt(LAYOUT.tss));
    mem.set32(image + PcpuOff.fcw, 0x37f);
    mem.set32(image + PcpuOff.mxcsr, 0x1f80);
    mem.set32(image + PcpuOff.cpl, cpl);
    mem.set64(image + PcpuOff.dr + 32, 0xffff0ff0n);
    mem.set64(image + PcpuOff.dr + 40, 0x400n);
    const segment = (seg: Seg, selector: number, limit: number, attr: number) => {
      mem.set32(image + PcpuOff.segSel + seg * 4, selector);
      mem.set32(image + PcpuOff.segLimit + seg * 4, limit >>> 0);
      mem.set32(image + PcpuOff.segAttr + seg * 4, attr);
    };
    const dpl = cpl << 5;
    const wide = bits === 16 ? 0 : SegAttr.G | SegAttr.DB;
    const limit = bits === 16 ? 0xffff : 0xffffffff;
    const cs = bits === 64 ? 0x9b | SegAttr.G | SegAttr.L : 0x9b | wide;
    segment(Seg.cs, bits === 16 ? 0 : bits === 32 ? (cpl ? 0x2b : 0x10) : cpl ? 0x23 : 0x08, limit, cs | dpl);
    for (const seg of [Seg.es, Seg.ss, Seg.ds, Seg.fs, Seg.gs]) segment(seg, bits === 16 ? 0 : cpl ? 0x33 : 0x18, limit, 0x93 | wide | dpl);
    segment(Seg.ldtr, 0, 0, SegAttr.NULL);
    segment(Seg.tr, 0x48, 0x67, 0x8b);
    this.core.exports.switchTo(this.vcpu);

    const exit = this.core.run(budget);
    this.core.exports.switchTo(0);
    const regs = Object.fromEntries(GPRS.map((name, i) => [name, mem.get64(image + PcpuOff.gpr + i * 8)])) as Record<GprName, bigint>;
    const rip = mem.get64(image + PcpuOff.rip);
    const at = Number(rip) - LAYOUT.stubs - 1;
    const rflags = this.status(image);
    if (exit === Exit.hlt && at >= 0 && at < 4096 && at % 16 === 0) {
      const vector = at / 16;
      const size = bits / 8;
      const sp = Number(bits === 16 ? regs.rsp & 0xffffn : regs.rsp); // a stack of 64 KiB
      const hasError = WITH_ERROR.has(vector) && bits !== 16;
      const word = (n: number) => {
        const bytes = guest.read(sp + n * size, size);
        return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
      };
      return { exit, regs, rip: word(hasError ? 1 : 0), rflags: word(hasError ? 3 : 2), fault: { vector, error: hasError ? Number(word(0)) : undefined, rip: word(hasError ? 1 : 0), cr2: mem.get64(image + PcpuOff.cr2) } };
    }
    return { exit, regs, rip, rflags };
  }

  /** Runs the code of the last run() once more, with these registers and all that the processor has cached. */
  again(regs: Start["regs"] = {}, budget = 1_000_000): Pick<Outcome, "exit" | "regs"> {
    const { mem } = this;
    const base = pcpuBase(this.core.pcpu);
    if (mem.get32(base + PcpuOff.vcpu) === 0) this.core.exports.switchTo(this.vcpu);
    GPRS.forEach((name, i) => regs[name] !== undefined && mem.set64(base + PcpuOff.gpr + i * 8, regs[name]));
    mem.set64(base + PcpuOff.rip, BigInt(LAYOUT.code));
    mem.set32(base + PcpuOff.halted, 0);
    const exit = this.core.run(budget);
    return { exit, regs: Object.fromEntries(GPRS.map((name, i) => [name, mem.get64(base + PcpuOff.gpr + i * 8)])) as Record<GprName, bigint> };
  }

  /** RFLAGS of the saved image; the core folds lazy flags in on request. */
  private status(image: number): bigint {
    const { mem } = this;
    const base = pcpuBase(this.core.pcpu);
    mem.u8.copyWithin(base, image, image + PcpuOff.STATE_SIZE);
    (this.core.exports as unknown as { materialize(): bigint }).materialize();
    return mem.get64(base + PcpuOff.rflags);
  }
}
