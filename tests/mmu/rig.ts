/** A machine with one domain and the memory-management part of the core, without a processor. Guest frames are plain RAM
 *  from gfn 0; tests build page tables in them and set control registers by hand. */
import { DomainOff, FrameType, P2m, PcpuOff, Region } from "../../assembly/abi/layout";
import { Cr0, Cr4, Efer } from "../../assembly/abi/x86";
import { allocFrames, frameEntry, initMachine } from "../../src/machine/frames";
import { GuestMemory } from "../../src/machine/guest_memory";
import { MachineMemory } from "../../src/machine/memory";
import { p2mCreate, p2mSet } from "../../src/machine/p2m";
import { buildFixture, env, fixtureMemory } from "../support/asc_fixture";

export interface Exports {
  readAt(lin: bigint, size: number): number;
  writeAt(lin: bigint, size: number): number;
  storeTo(lin: bigint, size: number, value: bigint): number;
  tryWalk(lin: bigint, access: number): number;
  move16(to: bigint, from: bigint): void;
  move16Aligned(to: bigint, from: bigint): void;
  hostSpanR(lin: bigint, wanted: number): number;
  hostSpanW(lin: bigint, wanted: number): number;
  fetchPage(lin: bigint): number;
  fetchGlobal(): number;
  setTlbClass(): void;
  flushTlb(): void;
  flushTlbAll(): void;
  invlpg(lin: bigint): void;
  forgetTables(): void;
  largePage(lin: bigint, access: number): bigint;
  evictWritable(mfn: number): void;
  mapCode(lin: bigint, maddr: number, mode: number, global: number): void;
  codePage(lin: bigint): number;
  codePageOf(lin: bigint, mode: number): number;
  numbersAreUsedUp(): number;
  copyFromGuest(to: number, linLo: number, linHi: number, length: number): number;
  copyToGuest(linLo: number, linHi: number, from: number, length: number): number;
  translate(linLo: number, linHi: number, access: number): number;
  hostWroteFrame(mfn: number, offset: number, length: number): void;
  drainDropped(): number;
  pdptesAreValid(cr3: bigint): number;
  p2mLookup(gfn: number): number;
  ld8(lin: bigint): bigint;
  ld64(lin: bigint): bigint;
  st64(lin: bigint, value: bigint): void;
  ldBytes(lin: bigint, host: number, n: number): void;
  stBytes(lin: bigint, host: number, n: number): void;
  probeW(lin: bigint, n: number): void;
  sysLd8(lin: bigint): bigint;
  sysLd64(lin: bigint): bigint;
  sysSt64(lin: bigint, value: bigint): void;
}

export const PCPU = Region.PCPUS;
export const PG = 2 ** Cr0.PG_BIT;
export const DOMAIN = Region.DOMAINS;
export const DOMID = 7;
export const FRAMES = 512;

/** Stand-ins' words, see fixture/. */
export const INVALIDATED = 0x80000;
export const APIC = 0x81000;
export const APIC_WRITES = 0x80800;

export type DeviceAccess = { gpa: number; size: number; value?: number };

export class Rig {
  readonly guest: GuestMemory;
  /** mfn of each gfn below FRAMES. */
  readonly mfns: number[];

  private constructor(
    readonly mem: MachineMemory,
    readonly core: Exports,
    readonly devices: DeviceAccess[],
  ) {
    mem.set32(DOMAIN + DomainOff.domid, DOMID);
    if (p2mCreate(mem, DOMAIN) !== 0) throw new Error("no p2m");
    this.mfns = allocFrames(mem, DOMID, FrameType.ram, FRAMES);
    this.mfns.forEach((mfn, gfn) => p2mSet(mem, DOMAIN, gfn, mfn, P2m.ram_rw));
    this.guest = new GuestMemory(mem, DOMAIN);
    mem.set32(PCPU + PcpuOff.domain, DOMAIN);
    mem.set32(PCPU + PcpuOff.domid, DOMID);
    mem.set32(PCPU + PcpuOff.p2mRoot, mem.get32(DOMAIN + DomainOff.p2mRoot) * 4096);
    mem.store(PCPU + PcpuOff.faultVector, -1);
    core.flushTlbAll();
    this.control({});
  }

  static async create(): Promise<Rig> {
    const module = await buildFixture("tests/mmu/fixture/paging.ts", {
      replace: {
        "assembly/cpu/code_cache.ts": "tests/mmu/fixture/code_cache.ts",
        "assembly/cpu/helpers/apic.ts": "tests/mmu/fixture/apic.ts",
        "assembly/cpu/helpers/events.ts": "tests/mmu/fixture/events.ts",
      },
    });
    const memory = fixtureMemory(192);
    const mem = new MachineMemory(memory);
    initMachine(mem, { pcpus: 1, tscKhz: 1_000_000 });
    const devices: DeviceAccess[] = [];
    const gpaOf = (lo: number, hi: number): number => (hi >>> 0) * 2 ** 32 + (lo >>> 0);
    const imports = env(memory, {
      mmioRead: (lo: number, hi: number, size: number) => {
        devices.push({ gpa: gpaOf(lo, hi), size });
        return 0x44332211;
      },
      mmioWrite: (lo: number, hi: number, size: number, value: number) => {
        devices.push({ gpa: gpaOf(lo, hi), size, value: value >>> 0 });
      },
    });
    const instance = await WebAssembly.instantiate(module, imports);
    return new Rig(mem, instance.exports as unknown as Exports, devices);
  }

  /** Control state; what is left out is off. Forgets all translations. */
  control(state: { cr0?: number; cr3?: number; cr4?: number; efer?: number; cpl?: number; rflags?: number; mode?: number }): void {
    const { mem } = this;
    mem.set64(PCPU + PcpuOff.cr0, BigInt(Cr0.PE) | BigInt(state.cr0 ?? 0));
    mem.set64(PCPU + PcpuOff.cr3, BigInt(state.cr3 ?? 0));
    mem.set64(PCPU + PcpuOff.cr4, BigInt(state.cr4 ?? 0));
    mem.set64(PCPU + PcpuOff.efer, BigInt(state.efer ?? 0));
    mem.set32(PCPU + PcpuOff.mode, state.mode ?? 0);
    this.privilege(state.cpl ?? 0, state.rflags ?? 0);
    this.core.flushTlbAll();
  }

  privilege(cpl: number, rflags = 0): void {
    this.mem.set32(PCPU + PcpuOff.cpl, cpl);
    this.mem.set64(PCPU + PcpuOff.rflags, BigInt(rflags));
    this.core.setTlbClass();
  }

  /** 4-level paging with PML4 at gpa `cr3`. */
  longMode(cr3: number, extra: { cr0?: number; cr4?: number; efer?: number; cpl?: number; rflags?: number } = {}): void {
    this.control({
      cr0: PG + (extra.cr0 ?? Cr0.WP),
      cr3,
      cr4: Cr4.PAE | (extra.cr4 ?? 0),
      efer: Efer.LME | Efer.LMA | (extra.efer ?? 0),
      cpl: extra.cpl,
      rflags: extra.rflags,
      mode: 2,
    });
  }

  /** The pending fault, taken: undefined if there is none. */
  takeFault(): { vector: number; error: number; lin: bigint } | undefined {
    const vector = this.mem.load(PCPU + PcpuOff.faultVector);
    if (vector === -1) return undefined;
    this.mem.store(PCPU + PcpuOff.faultVector, -1);
    return { vector, error: this.mem.get32(PCPU + PcpuOff.faultError), lin: this.mem.get64(PCPU + PcpuOff.faultLin) };
  }

  /** Machine address of a guest-physical one in RAM. */
  host(gpa: number): number {
    return this.guest.maddr(gpa);
  }

  frame(gfn: number): number {
    return frameEntry(this.mfns[gfn]);
  }

  /** Maps `lin` to `gpa` in the 4-level tables at `cr3` with `flags` in the leaf; tables are taken from `pool`. */
  map(cr3: number, lin: bigint, gpa: bigint, flags: bigint, pool: { next: number }, level = 1): void {
    let table = cr3;
    for (let shift = 39; ; shift -= 9) {
      const slot = table + 8 * Number((lin >> BigInt(shift)) & 511n);
      if (shift === 12 + 9 * (level - 1)) {
        this.guest.set64(slot, gpa | flags);
        return;
      }
      if (!this.guest.get64(slot)) {
        this.guest.set64(slot, BigInt(pool.next) | 7n);
        pool.next += 4096;
      }
      table = Number(this.guest.get64(slot) & 0xfffff000n);
    }
  }
}
