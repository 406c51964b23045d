/** The core as a runner of tests/hardware/native.ts cases: thousands a second. Code runs at CPL 3 with exceptions on a stack
 *  of their own, and the HLT behind each case ends it with #GP; so the case owns every register, as it does natively. */
import { describeDifference } from "../../src/machine/jit_check";
import type { MachineMemory } from "../../src/machine/memory";
import type { CoreOptions } from "../../src/machine/core";
import { Exit } from "../../assembly/abi/exit";
import { Mode, PcpuOff, Region, Seg, SegAttr, VcpuOff } from "../../assembly/abi/layout";
import { KindOff, RecOff } from "../../assembly/abi/record";
import { Handler } from "../../assembly/cpu/handler";
import { CODE, CODE_SIZE, type Case, DONE, ENVS, FPU, FS_BASE, GS_BASE, PAGES, type Result, STATUS, type Segment, WINDOWS, type Windows } from "../hardware/native";
import { LAYOUT, TestPc } from "./test_pc";

const PML4 = 0x20000;
const NX = 1n << 63n;
const LEGACY_IDT = 0x1800;
/** In front of the cases' code: eight instructions, a slice of TRANSLATING, that end with a jump to the case through TARGET. */
const LEAD_IN = CODE - 0x1000;
const TARGET = LEAD_IN + 64;
/** The block behind the lead-in is translated and entered at once. */
export const TRANSLATING = { threshold: 1, slice: 8 };

interface Exports {
  switchTo(vcpu: number): void;
  dropCode(): void;
  materialize(): bigint;
}

/** Where 16- and 32-bit code runs: under long mode as the native runner's, or in a processor that never entered it. */
export type Under = "compatibility" | "legacy";

export class BatchPc {
  private readonly image: number;
  private env = -1;
  private under: Under = "compatibility";
  private snapshot = new Uint8Array(0);
  private readonly pieces: [at: number, length: number][];
  private readonly code: number[] = [];
  private used: [at: number, length: number][] = [];
  private readonly taken = new Uint8Array(CODE_SIZE / 16);
  /** Instructions performed so far. */
  executed = 0;
  /** Every so many instructions, or fewer, the data pages lose their accessed and dirty flags, and the processor all it knows of them; 0: never. */
  forgetful = 0;
  private turns = 0;
  /** Cases begin with the lead-in (TRANSLATING). */
  leadIn = false;
  private leadAt = 0;

  private constructor(
    private readonly pc: TestPc,
    readonly windows: Windows,
  ) {
    this.image = pc.vcpu + VcpuOff.image;
    this.pieces = [];
    for (const [address, length] of windows)
      for (let done = 0; done < length; ) {
        const part = Math.min(length - done, 4096 - ((address + done) & 4095));
        this.pieces.push([pc.guest.maddr(address + done), part]);
        done += part;
      }
    this.prepare();
  }

  static async create(windows: Windows = WINDOWS, wasm?: string, jit?: CoreOptions["jit"]): Promise<BatchPc> {
    return new BatchPc(await TestPc.create({ wasm, jit }), windows);
  }

  get memory(): MachineMemory {
    return this.pc.mem;
  }

  private prepare(): void {
    const { guest } = this.pc;
    for (let at = CODE; at < CODE + CODE_SIZE; at += 4096) {
      guest.fill(at, 4096, 0xf4);
      this.code.push(guest.maddr(at));
    }
    // four levels: one table of 4 KiB pages for 4..6 MiB and 6..8 MiB each, supervisor 2 MiB pages below
    const [pdpt, pd, pt] = [PML4 + 0x1000, PML4 + 0x2000, PML4 + 0x3000];
    guest.set64(PML4, BigInt(pdpt) | 7n);
    guest.set64(pdpt, BigInt(pd) | 7n);
    guest.set64(PML4 + 0x5000, BigInt(pd) | 1n); // PDPT of legacy PAE paging
    for (let i = 0; i < 4; i++) guest.set64(pd + i * 8, i < 2 ? BigInt(i << 21) | 0x83n : BigInt(pt + (i - 2) * 0x1000) | 7n);
    guest.set64(pt + ((LEAD_IN >> 12) & 511) * 8, BigInt(LEAD_IN) | 5n);
    for (let at = CODE; at < CODE + CODE_SIZE; at += 4096) guest.set64(pt + ((at >> 12) & 511) * 8, BigInt(at) | 5n);
    for (const [address, writable] of PAGES) guest.set64(pt + 0x1000 + ((address >> 12) & 511) * 8, BigInt(address) | (writable ? 7n : 5n) | NX);
    for (let v = 0; v < 32; v++) {
      const stub = BigInt(LAYOUT.stubs + v * 16);
      const gate = (selector: bigint) => (stub & 0xffffn) | (selector << 16n) | (0xee00n << 32n) | ((stub >> 16n) << 48n);
      guest.set64(LAYOUT.idt + v * 16, gate(0x08n));
      guest.set64(LAYOUT.idt + v * 16 + 8, 0n);
      guest.set64(LEGACY_IDT + v * 8, gate(0x10n));
    }
    guest.set64(LAYOUT.tss + 4, BigInt(LAYOUT.kernelStack));
    guest.set16(LAYOUT.tss + 0x66, 0xffff); // no I/O permissions
    guest.set32(LAYOUT.tss + 8, 0x18); // SS0 of a 32-bit TSS; in a 64-bit one the upper half of RSP0: set per environment
  }

  /** Data pages as the native runner finds them when it starts. */
  private fillPages(): void {
    const page = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7 + 1) & 255);
    for (const [address] of PAGES) this.pc.guest.write(address, page);
  }

  private enterEnv(env: number, under: Under): void {
    const { mem, guest, core } = this.pc;
    const exports = core.exports as unknown as Exports;
    const { image } = this;
    const { bits, seg } = ENVS[env];
    const legacy = under === "legacy" && bits !== 64;
    exports.switchTo(0);
    this.fillPages();
    guest.set32(LAYOUT.tss + 8, legacy ? 0x18 : 0);
    mem.u8.fill(0, image, image + PcpuOff.STATE_SIZE);
    mem.set64(image + PcpuOff.cr0, 0x80000031n);
    mem.set64(image + PcpuOff.cr3, BigInt(legacy ? PML4 + 0x5000 : PML4));
    mem.set64(image + PcpuOff.cr4, 0x620n);
    mem.set64(image + PcpuOff.efer, legacy ? 0x800n : 0xd01n);
    mem.set64(image + PcpuOff.idtBase, BigInt(legacy ? LEGACY_IDT : LAYOUT.idt));
    mem.set32(image + PcpuOff.idtLimit, 0x1ff);
    mem.set64(image + PcpuOff.gdtBase, BigInt(LAYOUT.gdt));
    mem.set32(image + PcpuOff.gdtLimit, 0xff);
    mem.set64(image + PcpuOff.trBase, BigInt(LAYOUT.tss));
    mem.set32(image + PcpuOff.cpl, 3);
    mem.set64(image + PcpuOff.dr + 32, 0xffff0ff0n);
    mem.set64(image + PcpuOff.dr + 40, 0x400n);
    mem.set64(image + PcpuOff.xcr0, 1n);
    const put = (n: Seg, selector: number, base: number, limit: number, attr: number) => {
      mem.set32(image + PcpuOff.segSel + n * 4, selector);
      mem.set32(image + PcpuOff.segLimit + n * 4, limit >>> 0);
      mem.set32(image + PcpuOff.segAttr + n * 4, attr);
      if (n < 6) mem.set64(image + PcpuOff.segBase + n * 8, BigInt(base));
    };
    seg.forEach((s: Segment, n) => {
      if (bits !== 64) {
        const type = s.code ? 0xb : 1 | (s.readOnly ? 0 : 2) | (s.down ? 4 : 0);
        const attr = 0xf0 | type | (s.big ? SegAttr.DB : 0) | (s.pages ? SegAttr.G : 0);
        put(n, n === Seg.cs ? 0x2b : 0x33, s.base, s.pages ? s.limit * 4096 + 4095 : s.limit, attr);
      } else if (n === Seg.cs) put(n, 0x23, 0, 0xffffffff, 0xfb | SegAttr.G | SegAttr.L);
      else if (n === Seg.ss) put(n, 0x33, 0, 0xffffffff, 0xf3 | SegAttr.G | SegAttr.DB);
      else put(n, 0, n === Seg.fs ? FS_BASE : n === Seg.gs ? GS_BASE : 0, 0, SegAttr.NULL);
    });
    put(Seg.ldtr, 0, 0, 0, SegAttr.NULL);
    put(Seg.tr, 0x48, 0, 0x67, 0x8b);
    exports.switchTo(this.pc.vcpu);
    this.snapshot = mem.u8.slice(Region.PCPUS, Region.PCPUS + PcpuOff.STATE_SIZE);
    this.env = env;
    this.under = under;
  }

  /** Lays the code of a case out; where another one of the current batch is in its way, the batch ends. */
  private placeCode(c: Case): void {
    const { mem } = this.pc;
    const { bits, seg } = ENVS[c.env];
    const from = (bits === 64 ? 0 : seg[Seg.cs].base) + c.rip - CODE;
    // a margin of 80 bytes is where short branches may land
    const first = Math.max(from - 80, 0) >> 4;
    const last = Math.min(from + c.code.length + 80, CODE_SIZE - 1) >> 4;
    if (this.taken.subarray(first, last + 1).includes(1)) this.dropCode();
    this.taken.fill(1, first, last + 1);
    for (let i = 0; i < c.code.length; ) {
      const part = Math.min(c.code.length - i, 4096 - ((from + i) & 4095));
      const at = this.code[(from + i) >> 12] + ((from + i) & 4095);
      mem.u8.set(c.code.subarray(i, i + part), at);
      this.used.push([at, part]);
      i += part;
    }
  }

  private dropCode(): void {
    for (const [at, length] of this.used) this.pc.mem.u8.fill(0xf4, at, at + length);
    this.used = [];
    this.taken.fill(0);
    (this.pc.core.exports as unknown as Exports).dropCode();
  }

  run(c: Case, under: Under = "compatibility", budget = 10_000): Result {
    if (c.env !== this.env || under !== this.under) this.enterEnv(c.env, under);
    this.placeCode(c);
    return this.runPlaced(c, under, budget);
  }

  private runPlaced(c: Case, under: Under, budget: number, mode = 0): Result {
    const { mem, core } = this.pc;
    const base = Region.PCPUS;
    mem.u8.set(this.snapshot.subarray(0, 1024), base);
    for (let i = 0; i < 16; i++) mem.set64(base + i * 8, c.gpr[i]);
    mem.set32(base + PcpuOff.mode, mem.get32(base + PcpuOff.mode) | mode);
    mem.set64(base + PcpuOff.rip, BigInt(this.leadIn ? this.jumpTo(c) : c.rip));
    mem.set64(base + PcpuOff.rflags, BigInt((c.rflags & STATUS) | 2));
    let at = 0;
    for (const [to, length] of this.pieces) {
      mem.u8.set(c.memory.subarray(at, at + length), to);
      at += length;
    }
    if (c.fpu) this.loadFpu(c.fpu);
    const exit = this.forgetful ? this.runForgetting(budget) : core.run(budget);
    if (this.leadAt) this.pc.guest.fill(this.leadAt, 12, 0xf4);
    this.leadAt = 0;
    if (exit === Exit.difference) throw new Error(describeDifference(mem, 0).join("\n"));
    this.executed += budget - Number(mem.get64(base + PcpuOff.budget));

    // the frame of the exception that ended the case
    const legacy = under === "legacy" && ENVS[c.env].bits !== 64;
    const stub = Number(mem.get64(base + PcpuOff.rip)) - LAYOUT.stubs - 1;
    const gpr = new BigUint64Array(16);
    for (let i = 0; i < 16; i++) gpr[i] = mem.get64(base + i * 8);
    const memory = new Uint8Array(c.memory.length);
    at = 0;
    for (const [from, length] of this.pieces) {
      memory.set(mem.u8.subarray(from, from + length), at);
      at += length;
    }
    const fpu = c.fpu ? this.readFpu() : undefined;
    if (exit !== 3 || stub < 0 || stub >= 512 || stub % 16) return { gpr, rip: mem.get64(base + PcpuOff.rip), rflags: 0, trap: 1000 + exit, error: 0, cr2: 0n, memory, fpu };
    const vector = stub / 16;
    const sp = Number(gpr[4]);
    const word = (n: number) => (legacy ? BigInt(mem.get32(this.pc.guest.maddr(sp) + n * 4)) : mem.get64(this.pc.guest.maddr(sp) + n * 8));
    const skip = [8, 10, 11, 12, 13, 14, 17].includes(vector) ? 1 : 0;
    const rip = word(skip);
    gpr[4] = word(skip + 3);
    const finished = c.step ? rip !== BigInt(c.rip) : vector === 13 && this.isHlt(c, rip);
    return {
      gpr,
      rip,
      rflags: Number(word(skip + 2)) & STATUS,
      trap: finished ? (c.step ? DONE : 13) : vector,
      error: finished || !skip ? 0 : Number(word(0)),
      cr2: finished || vector !== 14 ? 0n : mem.get64(base + PcpuOff.cr2),
      memory,
      fpu,
    };
  }

  private runForgetting(budget: number): number {
    const { mem, core } = this.pc;
    for (let left = budget; ; ) {
      this.unmarkPages();
      const part = Math.min(left, 1 + ((this.turns++ * 89) % this.forgetful));
      const exit = core.run(part);
      left -= part - Number(BigInt.asIntN(64, mem.get64(Region.PCPUS + PcpuOff.budget)));
      if (exit === Exit.budget && left > 0) continue;
      mem.set64(Region.PCPUS + PcpuOff.budget, BigInt.asUintN(64, BigInt(left)));
      return exit;
    }
  }

  private unmarkPages(): void {
    const { core, guest, vcpu } = this.pc;
    const exports = core.exports as unknown as Exports;
    for (const [address] of PAGES) {
      const entry = PML4 + 0x4000 + ((address >> 12) & 511) * 8;
      guest.set32(entry, guest.get32(entry) & ~0x60);
    }
    exports.switchTo(0);
    exports.switchTo(vcpu);
  }

  private jumpTo(c: Case): number {
    const { guest } = this.pc;
    const { base } = ENVS[c.env].seg[1];
    if (base) {
      // within the code segment, on another page than the case
      const wide = ENVS[c.env].bits === 32, at = c.rip >> 12 === 15 ? 0xe800 : 0xf800, by = c.rip - at - (wide ? 12 : 10);
      this.leadAt = base + at;
      guest.write(this.leadAt, Uint8Array.of(...Array<number>(7).fill(0x90), 0xe9, by & 255, (by >> 8) & 255, ...(wide ? [(by >> 16) & 255, by >> 24] : []))); // jmp
      return at;
    }
    const from = ENVS[c.env].bits === 64 ? TARGET - LEAD_IN - 13 : TARGET;
    guest.write(LEAD_IN, Uint8Array.of(...Array<number>(7).fill(0x90), 0xff, 0x25, from & 255, (from >> 8) & 255, (from >> 16) & 255, from >> 24)); // jmp [TARGET]
    guest.set64(TARGET, BigInt(c.rip));
    return LEAD_IN;
  }

  /** ST(i) is physical register TOP + i. */
  private loadFpu(image: Uint8Array): void {
    const { mem } = this.pc;
    const base = Region.PCPUS;
    const view = new DataView(image.buffer, image.byteOffset, image.length);
    const fsw = view.getUint16(2, true);
    mem.set16(base + PcpuOff.fcw, view.getUint16(0, true));
    mem.set16(base + PcpuOff.fsw, fsw);
    mem.set8(base + PcpuOff.ftag, image[4]);
    mem.set32(base + PcpuOff.mxcsr, view.getUint32(24, true));
    for (let i = 0; i < 8; i++) {
      const at = base + PcpuOff.fpr + (((fsw >> 11) + i) & 7) * 16;
      mem.u8.set(image.subarray(32 + i * 16, 42 + i * 16), at);
    }
    mem.u8.set(image.subarray(160), base + PcpuOff.xmm);
  }

  private readFpu(): Uint8Array {
    const { mem } = this.pc;
    const base = Region.PCPUS;
    const image = new Uint8Array(FPU);
    const view = new DataView(image.buffer);
    const fsw = mem.get16(base + PcpuOff.fsw);
    view.setUint16(0, mem.get16(base + PcpuOff.fcw), true);
    view.setUint16(2, fsw, true);
    image[4] = mem.get8(base + PcpuOff.ftag);
    view.setUint32(24, mem.get32(base + PcpuOff.mxcsr), true);
    for (let i = 0; i < 8; i++) {
      const at = base + PcpuOff.fpr + (((fsw >> 11) + i) & 7) * 16;
      image.set(mem.u8.subarray(at, at + 10), 32 + i * 16);
    }
    image.set(mem.u8.subarray(base + PcpuOff.xmm, base + PcpuOff.xmm + 256), 160);
    return image;
  }

  /** The decoder forgets the kinds of instructions it has seen (assembly/cpu/known). */
  forgetKinds(): void {
    const { mem } = this.pc;
    const table = mem.get32(Region.PCPUS + PcpuOff.codeBase) + KindOff.TABLE;
    mem.u8.fill(0, table, table + KindOff.SIZE);
  }

  /** Whether it knows any. */
  knowsKinds(): boolean {
    const { mem } = this.pc;
    const table = mem.get32(Region.PCPUS + PcpuOff.codeBase) + KindOff.TABLE;
    return mem.u8.subarray(table, table + KindOff.SIZE).some((byte) => byte !== 0);
  }

  /** Length of the instruction of a case as the decoder sees it, whether it has one, its record, and what became of it when it ran. */
  decode(c: Case, under: Under = "compatibility"): { length: number; refused: boolean; record: Uint8Array; result: Result } {
    if (c.env !== this.env || under !== this.under) this.enterEnv(c.env, under);
    this.placeCode(c);
    const head = this.pc.mem.get32(Region.PCPUS + PcpuOff.codeNext);
    // one instruction a block, so that even a NOP has a record
    const result = this.runPlaced(c, under, 200, Mode.step);
    const record = head + RecOff.SIZE;
    const { mem } = this.pc;
    return { length: mem.get8(record + RecOff.len), refused: mem.get16(record + RecOff.handler) === Handler.ud, record: mem.u8.slice(record, record + RecOff.SIZE), result };
  }

  private isHlt(c: Case, rip: bigint): boolean {
    const { bits, seg } = ENVS[c.env];
    const at = (bits === 64 ? 0 : seg[Seg.cs].base) + Number(rip) - CODE;
    return at >= 0 && at < CODE_SIZE && this.pc.mem.u8[this.code[at >> 12] + (at & 4095)] === 0xf4;
  }
}
