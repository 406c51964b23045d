/** One vCPU on the real core with 4 MiB of memory, and the tables x86 system tests need: GDT, IDT, TSS, page tables. Code
 *  is bytes, run until HLT or another exit. */
import { SystemOff } from "../../../assembly/abi/apic";
import type { Exit } from "../../../assembly/abi/exit";
import { DomainOff, FrameOff, FrameType, MachineOff, P2m, PcpuOff, Region, Seg, VcpuOff } from "../../../assembly/abi/layout";
import { Jit } from "../../../src/machine/jit";
import { MachineMemory } from "../../../src/machine/memory";
import { buildFixture, env, fixtureMemory, Unwound } from "../../support/asc_fixture";

interface Exports {
  initPcpu(): void;
  switchTo(vcpu: number): void;
  setBudget(instructions: number): void;
  run(): number;
  dropCode(): void;
  resetVcpu(): void;
  pvhStart(entry: number, startInfo: number): void;
  updateMode(): void;
  flushTlbAll(): void;
  materialize(): bigint;
  apicPost(vector: number): void;
  apicPending(): number;
  apicAck(vector: number): void;
  apicRead(offset: number): number;
  apicWrite(offset: number, value: number): void;
  apicNextDeadline(): number;
  apicTick(): void;
}

export const FRAMES = 1024;
/** The vector the 8259s answer an acknowledge cycle with. */
export const EXTERNAL = 0x30;
const RAM_MFN = 0x8000;
const TABLES_MFN = 0x7ff0;
const VCPU = Region.VCPUS + VcpuOff.SIZE;
const SECOND_VCPU = VCPU + VcpuOff.SIZE;
const DOMAIN = Region.DOMAINS + DomainOff.SIZE;
const P = Region.PCPUS;

export const GPR = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const;
export type GprName = (typeof GPR)[number];

/** Segment descriptor words: `attr` is bits 40..47 and, above 8, 52..55. */
export function descriptor(base: number, limit: number, attr: number): bigint {
  const low = BigInt(limit & 0xffff) | (BigInt(base & 0xffffff) << 16n) | (BigInt(attr & 0xff) << 40n);
  return low | (BigInt((limit >>> 16) & 15) << 48n) | (BigInt((attr >>> 12) & 15) << 52n) | (BigInt(base >>> 24) << 56n);
}

/** Gate of the IDT or a call gate; `type` with DPL and P as the access byte. */
export function gate(selector: number, offset: number, access: number, low = 0): bigint {
  return BigInt(offset & 0xffff) | (BigInt(selector) << 16n) | (BigInt(low) << 32n) | (BigInt(access) << 40n) | (BigInt(offset >>> 16) << 48n);
}

export class Guest {
  readonly view: DataView;
  now = 0;
  readonly out: [port: number, size: number, value: number][] = [];
  /** Accesses to device memory, in order: "r4 fed00000", "w4 fed00000 12345678". */
  readonly device: string[] = [];
  /** What a device does when it is written to, by port or address. */
  onWrite: ((at: number) => void) | undefined;
  readonly notices: number[] = [];

  private constructor(
    readonly memory: WebAssembly.Memory,
    readonly core: Exports,
  ) {
    this.view = new DataView(memory.buffer);
  }

  static async create(): Promise<Guest> {
    const module = await buildFixture("tests/cpu/system/fixture/system.ts");
    const memory = fixtureMemory(140);
    let guest: Guest;
    const jit = new Jit(new MachineMemory(memory), 0);
    const imports = env(memory, {
      jitDrop: (slot: number, count: number) => jit.drop(slot, count),
      jitInstall: (at: number, length: number, slot: number) => (jit.install(at >>> 0, length, slot) ? 1 : 0),
      nowNs: () => guest.now,
      intAck: () => {
        guest.setVcpuWord(VcpuOff.intr, 0); // the 8259s have no second request
        return EXTERNAL;
      },
      random: () => 0x12345678,
      pioRead: (port: number, size: number) => (port << 16) | size,
      pioWrite: (port: number, size: number, value: number) => {
        guest.out.push([port, size, value >>> 0]);
        guest.onWrite?.(port);
      },
      mmioRead: (low: number, _high: number, size: number) => {
        guest.device.push(`r${size} ${(low >>> 0).toString(16)}`);
        return 0x01020304;
      },
      mmioWrite: (low: number, _high: number, size: number, value: number) => {
        guest.device.push(`w${size} ${(low >>> 0).toString(16)} ${(value >>> 0).toString(16)}`);
        guest.onWrite?.(low >>> 0);
      },
      notice: (code: number, a: number) => void guest.notices.push(code, a >>> 0),
    });
    const instance = await WebAssembly.instantiate(module, imports);
    guest = new Guest(memory, instance.exports as unknown as Exports);
    guest.boot();
    // as in tests/support/test_pc.ts; otherwise translation is off: few of these tests run anything twice
    if (process.env.XENOLITH_JIT === "eager") jit.enable(instance.exports, { threshold: 1, slice: 40 });
    return guest;
  }

  private boot(): void {
    const set = (at: number, value: number) => this.view.setUint32(at, value, true);
    set(Region.MACHINE + MachineOff.frames, RAM_MFN + FRAMES);
    set(Region.MACHINE + MachineOff.pcpus, 1);
    set(Region.MACHINE + MachineOff.tscKhz, 2_000_000);
    for (let i = 0; i < FRAMES; i++) {
      const frame = Region.FRAME_TABLE + (RAM_MFN + i) * FrameOff.SIZE;
      this.view.setUint16(frame + FrameOff.owner, 1, true);
      this.view.setUint8(frame + FrameOff.type, FrameType.ram);
    }
    const leaf = TABLES_MFN + 2;
    set(TABLES_MFN << 12, TABLES_MFN + 1);
    set((TABLES_MFN + 1) << 12, leaf);
    for (let i = 0; i < FRAMES; i++) set((leaf << 12) + i * 4, (RAM_MFN + i) | (P2m.ram_rw << P2m.TYPE_SHIFT));
    set(DOMAIN + DomainOff.domid, 1);
    set(DOMAIN + DomainOff.p2mRoot, TABLES_MFN);
    set(DOMAIN + DomainOff.vcpus, 2); // the second never runs: a target for IPIs
    set(SECOND_VCPU + VcpuOff.id, 1);
    set(SECOND_VCPU + VcpuOff.domain, DOMAIN);
    this.view.setInt32(SECOND_VCPU + VcpuOff.home, -1, true);
    this.view.setInt32(SECOND_VCPU + VcpuOff.pcpu, -1, true);
    set(DOMAIN + DomainOff.firstVcpu, VCPU);
    set(VCPU + VcpuOff.domain, DOMAIN);
    this.view.setInt32(VCPU + VcpuOff.home, -1, true);
    this.core.initPcpu();
    this.core.switchTo(VCPU);
    this.reset();
  }

  reset(): void {
    this.setField(PcpuOff.tscOffset, 0n); // survives INIT
    this.setField(SystemOff.tscAdjust, 0n);
    this.core.resetVcpu();
    this.now = 0;
    this.out.length = 0;
    this.notices.length = 0;
    this.device.length = 0;
    this.onWrite = undefined;
    new Uint8Array(this.memory.buffer, VCPU + VcpuOff.request, 4).fill(0);
    new Uint8Array(this.memory.buffer, VCPU + VcpuOff.apicPosted, 40).fill(0);
    this.view.setUint32(DOMAIN + DomainOff.callbackVector, 0, true);
    this.view.setUint32(VCPU + VcpuOff.callbackVector, 0, true);
    this.view.setUint32(VCPU + VcpuOff.infoMaddr, 0, true);
    new Uint8Array(this.memory.buffer, RAM_MFN << 12, FRAMES << 12).fill(0);
  }

  /* Guest memory, by guest-physical address. */
  private at(gpa: number): number {
    return (RAM_MFN << 12) + gpa;
  }
  bytes(gpa: number, ...code: readonly number[]): void {
    new Uint8Array(this.memory.buffer, this.at(gpa), code.length).set(code);
  }
  hex(gpa: number, code: string): void {
    this.bytes(gpa, ...code.trim().split(/\s+/).map((byte) => Number.parseInt(byte, 16)));
  }
  u16(gpa: number): number {
    return this.view.getUint16(this.at(gpa), true);
  }
  u32(gpa: number): number {
    return this.view.getUint32(this.at(gpa), true);
  }
  u64(gpa: number): bigint {
    return this.view.getBigUint64(this.at(gpa), true);
  }
  set16(gpa: number, value: number): void {
    this.view.setUint16(this.at(gpa), value, true);
  }
  set32(gpa: number, value: number): void {
    this.view.setUint32(this.at(gpa), value, true);
  }
  set64(gpa: number, value: bigint): void {
    this.view.setBigUint64(this.at(gpa), value, true);
  }

  /** All of guest memory. */
  get ram(): Uint8Array {
    return new Uint8Array(this.memory.buffer, RAM_MFN << 12, FRAMES << 12);
  }

  /* Processor state. */
  gpr(name: GprName): bigint {
    return this.view.getBigUint64(P + PcpuOff.gpr + GPR.indexOf(name) * 8, true);
  }
  setGpr(name: GprName, value: bigint): void {
    this.view.setBigUint64(P + PcpuOff.gpr + GPR.indexOf(name) * 8, value, true);
  }
  field(offset: number): bigint {
    return this.view.getBigUint64(P + offset, true);
  }
  setField(offset: number, value: bigint): void {
    this.view.setBigUint64(P + offset, value, true);
  }
  word(offset: number): number {
    return this.view.getUint32(P + offset, true);
  }
  setWord(offset: number, value: number): void {
    this.view.setUint32(P + offset, value, true);
  }
  vcpuWord(offset: number): number {
    return this.view.getUint32(VCPU + offset, true);
  }
  /** Word of the second vCPU's block, cleared by reading. */
  takeSecond(offset: number): number {
    const value = this.view.getUint32(SECOND_VCPU + offset, true);
    this.view.setUint32(SECOND_VCPU + offset, 0, true);
    return value;
  }
  setVcpuWord(offset: number, value: number): void {
    this.view.setUint32(VCPU + offset, value, true);
  }
  setDomainWord(offset: number, value: number): void {
    this.view.setUint32(DOMAIN + offset, value, true);
  }
  infoAt(gpa: number): void {
    this.setVcpuWord(VcpuOff.infoMaddr, this.at(gpa));
  }
  selector(seg: Seg): number {
    return this.word(PcpuOff.segSel + seg * 4);
  }
  get rip(): number {
    return Number(this.field(PcpuOff.rip));
  }
  get flags(): number {
    return Number(this.core.materialize());
  }
  get cpl(): number {
    return this.word(PcpuOff.cpl);
  }

  segment(seg: Seg, selector: number, base: number, limit: number, attr: number): void {
    this.setWord(PcpuOff.segSel + seg * 4, selector);
    this.setWord(PcpuOff.segLimit + seg * 4, limit);
    this.setWord(PcpuOff.segAttr + seg * 4, attr);
    if (seg < Seg.ldtr) this.setField(PcpuOff.segBase + seg * 8, BigInt(base));
    else this.setField(PcpuOff.ldtBase + (seg - Seg.ldtr) * 8, BigInt(base));
  }

  /** Runs until an exit: from `rip`, awake, or where it is, halted if it was. */
  run(rip?: number, budget = 100_000): Exit {
    if (rip !== undefined) {
      this.setField(PcpuOff.rip, BigInt(rip));
      this.setWord(PcpuOff.halted, 0);
    }
    this.core.dropCode(); // the test may have written other code there
    this.core.updateMode();
    this.core.setBudget(budget);
    for (let entries = 0; entries < 10_000; entries++) {
      try {
        return this.core.run();
      } catch (error) {
        if (!(error instanceof Unwound)) throw error;
      }
    }
    throw new Error("unwinds without end");
  }
}
