/** A small machine with a hostile domain and what it must not touch: a second domain's memory, the hypervisor's tables,
 *  constants, record 0. The processor is the real core, hypercalls go to the real hypervisor. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DomainOff, DomainState, DomainType, FrameOff, FrameType, MachineOff, P2m, PcpuOff, Region, SchedOff, TlbOff, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { controlDomain, createDomainBlock, vcpuAddr } from "../../src/hypervisor/domain_table";
import { ControlPort } from "../../src/hypervisor/control";
import { Hypervisor } from "../../src/hypervisor/hypercalls";
import { destroyDomainState } from "../../src/hypervisor/teardown";
import { Core, type CoreOptions } from "../../src/machine/core";
import { allocFrame, frameEntry, framesOf, freeFrameCount, initMachine, ownerOf } from "../../src/machine/frames";
import { GuestMemory } from "../../src/machine/guest_memory";
import { MachineMemory } from "../../src/machine/memory";
import { p2mEntries, p2mSet } from "../../src/machine/p2m";

declare const XENOLITH_ROOT: string;

export const GUEST_PAGES = 256;
/** Guest frames with something special behind them, above the RAM. */
export const SPECIAL = { readOnly: 0x140, grantRw: 0x141, grantRo: 0x142, sharedInfo: 0x143, device: 0x144 } as const;

const READ_ONLY = 16; // Mark.readOnly of assembly/mmu/tlb
const VICTIM_PAGES = 64;
const RAM_MIB = 12;
const PCPU = Region.PCPUS;

/** Broken invariant: what the tests look for. */
export class Breach extends Error {
  override name = "Breach";
}

export class AttackMachine {
  readonly mem: MachineMemory;
  core!: Core;
  hypervisor!: Hypervisor;
  now = 1e9;
  lines = 0;
  private constants = new Uint8Array(0);
  private readonly victim: number;
  private readonly victimFrames: number[] = [];
  private readonly shared: { rw: number; ro: number };
  private readonly free: number;
  private readonly controlFrames: number;
  private pageOfVictim = new Uint8Array(4096);

  private constructor() {
    const bytes = Region.PCPUS + Region.PCPU_STRIDE + Region.CODE_SIZE + RAM_MIB * 2 ** 20;
    this.mem = new MachineMemory(new WebAssembly.Memory({ initial: bytes / 65536, maximum: bytes / 65536 }));
    const { mem } = this;
    initMachine(mem, { pcpus: 1, tscKhz: 1_000_000 });
    controlDomain(mem);
    const control = new ControlPort(mem);
    control.close(control.allocUnbound(0));
    this.victim = createDomainBlock(mem, { type: DomainType.pvh, vcpus: 1, maxPages: VICTIM_PAGES });
    const domid = mem.get32(this.victim + DomainOff.domid);
    for (let i = 0; i < 4096; i++) this.pageOfVictim[i] = (i * 31 + 7) & 255;
    for (let gfn = 0; gfn < VICTIM_PAGES; gfn++) {
      const mfn = allocFrame(mem, domid, FrameType.ram);
      p2mSet(mem, this.victim, gfn, mfn, P2m.ram_rw);
      mem.u8.set(this.pageOfVictim, mfn * 4096);
      this.victimFrames.push(mfn);
    }
    mem.store(this.victim + DomainOff.totPages, VICTIM_PAGES);
    mem.store(this.victim + DomainOff.state, DomainState.running);
    this.shared = { rw: this.victimFrames.pop()!, ro: this.victimFrames[0] };
    this.free = freeFrameCount(mem);
    this.controlFrames = [...framesOf(mem, 0)].length;
  }

  static async create(jit: CoreOptions["jit"] = true): Promise<AttackMachine> {
    const machine = new AttackMachine();
    const file = process.env.XENOLITH_WASM ?? join(XENOLITH_ROOT, "build/xenolith.wasm");
    machine.core = await Core.create(new WebAssembly.Module(readFileSync(file)), machine.mem, 0, {
      clock: { nowNs: () => (machine.now += 150), wallNs: () => 0 } as never,
      pioRead: () => 0xffffffff,
      pioWrite: () => {},
      mmioRead: () => 0xffffffff,
      mmioWrite: () => {},
      notice: () => {},
      random: () => 0x12345678,
    }, { jit });
    const { copyFromGuest, copyToGuest } = machine.core.exports;
    machine.hypervisor = new Hypervisor(machine.mem, {
      copyFromGuest: (lin, at, length) => copyFromGuest(at, Number(lin & 0xffffffffn), Number(lin >> 32n), length) >>> 0,
      copyToGuest: (lin, at, length) => copyToGuest(Number(lin & 0xffffffffn), Number(lin >> 32n), at, length) >>> 0,
      scratch: PCPU + SchedOff.scratch,
      nowNs: () => machine.now,
      log: () => void machine.lines++,
    });
    machine.constants = machine.mem.u8.slice(0, Region.STATIC_END);
    return machine;
  }

  attacker(): Attacker {
    return new Attacker(this);
  }

  /** Everything that belongs to neither guest is as it was, and nobody but the victim has written its memory. */
  check(where: string): void {
    const { mem } = this;
    const fail = (what: string) => {
      throw new Breach(`${what} ${where}`);
    };
    if (Buffer.compare(mem.u8.subarray(0, Region.STATIC_END), this.constants) !== 0) fail("constants changed");
    const domid = mem.get32(this.victim + DomainOff.domid);
    for (const mfn of this.victimFrames) {
      if (Buffer.compare(mem.u8.subarray(mfn * 4096, mfn * 4096 + 4096), this.pageOfVictim) !== 0) fail(`the victim's frame ${mfn.toString(16)} changed`);
      if (ownerOf(mem, mfn) !== domid) fail(`the victim's frame ${mfn.toString(16)} changed hands`);
    }
    const base = PCPU;
    if (mem.get64(base + PcpuOff.zero) !== 0n) fail("the zero register changed");
    if (mem.get32(base + PcpuOff.index) !== 0) fail("the pCPU's index changed");
    const code = mem.get32(base + PcpuOff.codeBase);
    const next = mem.get32(base + PcpuOff.codeNext);
    if (code !== PCPU + Region.PCPU_STRIDE || mem.get32(base + PcpuOff.codeEnd) !== code + Region.CODE_SIZE || next < code || next > code + Region.CODE_SIZE)
      fail("the record cache's bounds changed");
    if (mem.get32(Region.MACHINE + MachineOff.frames) !== mem.buffer.byteLength / 4096) fail("the machine header changed");
  }

  /** After the attacker has gone. */
  checkBalance(where: string): void {
    const { mem } = this;
    const grown = [...framesOf(mem, 0)].length - this.controlFrames;
    const lost = this.free - grown - freeFrameCount(mem);
    if (lost) throw new Breach(`${lost} frames are lost ${where}`);
  }

  /** Frames granted to the attacker. */
  get granted(): { rw: number; ro: number } {
    return this.shared;
  }
  isGranted(mfn: number): boolean {
    return mfn === this.shared.rw || mfn === this.shared.ro;
  }
}

export class Attacker {
  readonly domain: number;
  readonly domid: number;
  readonly vcpu: number;
  readonly guest: GuestMemory;
  private readonly owned: Set<number>;

  constructor(readonly machine: AttackMachine) {
    const { mem } = machine;
    this.domain = createDomainBlock(mem, { type: DomainType.pvh, vcpus: 1, maxPages: GUEST_PAGES + 64 });
    if (this.domain < 0) throw new Breach(`no domain: ${this.domain}`);
    this.domid = mem.get32(this.domain + DomainOff.domid);
    this.vcpu = vcpuAddr(mem, this.domain, 0);
    for (let gfn = 0; gfn < GUEST_PAGES; gfn++) p2mSet(mem, this.domain, gfn, allocFrame(mem, this.domid, FrameType.ram), P2m.ram_rw);
    p2mSet(mem, this.domain, SPECIAL.readOnly, allocFrame(mem, this.domid, FrameType.ram), P2m.ram_ro);
    p2mSet(mem, this.domain, SPECIAL.device, 0, P2m.mmio);
    mem.store(this.domain + DomainOff.totPages, GUEST_PAGES + 1);
    mem.store(this.domain + DomainOff.state, DomainState.running);
    mem.store(this.vcpu + VcpuOff.online, 1);
    mem.store(this.vcpu + VcpuOff.runnable, 1);
    this.guest = new GuestMemory(mem, this.domain);
    this.owned = new Set([...framesOf(mem, this.domid)].filter((mfn) => mem.get8(frameEntry(mfn) + FrameOff.type) !== FrameType.hv));
  }

  /** Puts frames of others where only a processor without hypercalls sees them: a grant mapping without its bookkeeping. */
  mapGrants(yes: boolean): void {
    const { mem } = this.machine;
    const { rw, ro } = this.machine.granted;
    p2mSet(mem, this.domain, SPECIAL.grantRw, yes ? rw : 0, yes ? P2m.grant_rw : P2m.none);
    p2mSet(mem, this.domain, SPECIAL.grantRo, yes ? ro : 0, yes ? P2m.grant_ro : P2m.none);
  }

  enter(): void {
    this.machine.core.exports.switchTo(this.vcpu);
  }
  leave(): void {
    this.machine.core.exports.switchTo(0);
  }

  /** Every cached translation leads to memory the domain may see. */
  checkTranslations(where: string): void {
    const { machine } = this;
    const { mem } = machine;
    const mine = new Set(this.owned);
    for (const { mfn, type } of p2mEntries(mem, this.domain)) if (type !== P2m.mmio) mine.add(mfn);
    const writable = new Set(mine);
    writable.delete(machine.granted.ro);
    const tables = mem.get32(PCPU + PcpuOff.codeBase);
    for (let at = tables + TlbOff.TABLES; at < tables + TlbOff.END; at += TlbOff.SIZE) {
      const tag = mem.u32[at >>> 2];
      if (((tag >>> 8) ^ at) & TlbOff.INDEX) continue; // a page that is never looked for here: empty, or a device's
      const host = ((tag & ~0xfff) + mem.u32[(at + TlbOff.addend) >>> 2]) >>> 0;
      const allowed = tag & READ_ONLY ? mine : writable;
      if (host & 0xfff || !allowed.has(host >>> 12)) throw new Breach(`TLB entry ${(at - tables).toString(16)} leads to frame ${(host >>> 12).toString(16)} ${where}`);
    }
    for (let at = PCPU + PcpuOff.xtlb, end = at + 4096; at < end; at += 16) {
      const tag = mem.u32[at >>> 2];
      if (tag & 0xffd) continue;
      if (!mine.has(mem.u32[(at + 8) >>> 2] >>> 12)) throw new Breach(`the instruction TLB leads to ${mem.u32[(at + 8) >>> 2].toString(16)} ${where}`);
    }
  }

  destroy(): void {
    const { machine } = this;
    this.mapGrants(false);
    this.leave();
    machine.mem.store(this.vcpu + VcpuOff.pcpu, -1);
    destroyDomainState(machine.mem, this.domain);
  }

  /** Another thread's doings between two entries. */
  disturb(what: number): void {
    const { mem } = this.machine;
    switch (what & 15) {
      case 0:
        return void mem.or(this.vcpu + VcpuOff.request, VcpuRequest.upcall);
      case 1:
        return void mem.or(this.vcpu + VcpuOff.request, VcpuRequest.flush);
      case 2:
        return void mem.or(this.vcpu + VcpuOff.request, VcpuRequest.code);
      case 3:
        mem.or(this.vcpu + VcpuOff.apicPosted + 4 * ((what >>> 9) & 7), 1 << ((what >>> 4) & 31));
        return void mem.or(this.vcpu + VcpuOff.request, VcpuRequest.apic);
      case 4:
        mem.or(this.vcpu + VcpuOff.apicInit, what & 0x10 ? 1 << 10 : what & 0x20 ? 0x300 | ((what >>> 8) & 0xff) : 0);
        return void mem.or(this.vcpu + VcpuOff.request, VcpuRequest.apic);
      case 5:
        this.machine.core.exports.apicTick((this.machine.now += 1e6));
        return;
      case 6:
        return void mem.or(this.vcpu + VcpuOff.request, VcpuRequest.pause);
      case 7:
        this.machine.hypervisor.fireTimers(this.vcpu, (this.machine.now += 1e6));
        return;
    }
  }
}
