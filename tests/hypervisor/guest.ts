/** A PVH guest without a processor: a domain in a small machine whose hypercalls are made by setting the registers of a
 *  pCPU block. Linear addresses are guest-physical ones; memory is reached through the domain's p2m, as by the core. */
import { DomainOff, DomainState, DomainType, FrameType, MachineOff, Mode, P2m, PcpuOff, Region, VcpuOff } from "../../assembly/abi/layout";
import { Hypercall } from "../../assembly/abi/xen";
import { ControlPort } from "../../src/hypervisor/control";
import { createDomainBlock, vcpuAddr } from "../../src/hypervisor/domain_table";
import { Hypervisor, type HypervisorHost } from "../../src/hypervisor/hypercalls";
import { destroyDomainState } from "../../src/hypervisor/teardown";
import { allocFrame, freeFrameCount, initMachine } from "../../src/machine/frames";
import { pcpuBase } from "../../src/machine/kick";
import { MachineMemory } from "../../src/machine/memory";
import { p2mGet, p2mMfn, p2mSet, p2mType } from "../../src/machine/p2m";

export const TSC_KHZ = 2_000_000;
const MIB = 256; // pages

export class TestMachine {
  readonly mem: MachineMemory;
  readonly control: ControlPort;
  readonly free: number;
  now = 1e9;
  readonly log: string[] = [];
  readonly shutdowns: number[][] = [];

  constructor(ramMib = 24, pcpus = 1) {
    const pages = (Region.PCPUS + pcpus * (Region.PCPU_STRIDE + Region.CODE_SIZE)) / 65536 + ramMib * 16;
    this.mem = new MachineMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
    initMachine(this.mem, { pcpus, tscKhz: TSC_KHZ });
    this.mem.set64(Region.MACHINE + MachineOff.wallSec, 0x1_2345_6789n);
    this.mem.set32(Region.MACHINE + MachineOff.wallNsec, 987654321);
    this.control = new ControlPort(this.mem);
    this.control.close(this.control.allocUnbound(0)); // its first port table stays
    this.free = freeFrameCount(this.mem);
  }

  get freeFrames(): number {
    return freeFrameCount(this.mem);
  }
}

export interface GuestShape {
  pages?: number;
  maxPages?: number;
  vcpus?: number;
  /** Another vCPU of a domain that exists: its block address and the vCPU's number. */
  attach?: { domain: number; vcpu: number };
  /** Nobody listens for its shutdown. */
  deaf?: boolean;
}

/** First page of the guest that tests may use for arguments; and where its RAM ends. */
export const ARGS = 0x1000;

export class Guest {
  readonly mem: MachineMemory;
  readonly domain: number;
  readonly domid: number;
  readonly pages: number;
  readonly vcpu: number;
  readonly pcpu: number;
  readonly hypervisor: Hypervisor;
  private readonly host: HypervisorHost;
  outcome = "";

  constructor(
    readonly machine: Pick<TestMachine, "mem" | "now" | "log" | "shutdowns">,
    shape: GuestShape = {},
    pcpu = 0,
  ) {
    const { mem } = machine;
    this.mem = mem;
    this.pages = shape.pages ?? 2 * MIB;
    this.domain = shape.attach?.domain ?? this.create(shape);
    this.domid = mem.get32(this.domain + DomainOff.domid);
    this.vcpu = vcpuAddr(mem, this.domain, shape.attach?.vcpu ?? 0);
    this.pcpu = pcpuBase(pcpu);
    mem.store(this.vcpu + VcpuOff.pcpu, pcpu);
    mem.store(this.vcpu + VcpuOff.online, 1);
    this.host = {
      scratch: pcpuBase(pcpu) + 0xd0000,
      copyFromGuest: (lin, at, length) => this.copy(lin, at, length, false),
      copyToGuest: (lin, at, length) => this.copy(lin, at, length, true),
      nowNs: () => machine.now,
      log: (domid, text) => machine.log.push(`(d${domid}) ${text}`),
      shutdown: shape.deaf ? undefined : (domid, reason) => machine.shutdowns.push([domid, reason]),
    };
    this.hypervisor = new Hypervisor(mem, this.host);
  }

  private create(shape: GuestShape): number {
    const { mem } = this;
    const maxPages = shape.maxPages ?? this.pages + 64;
    const domain = createDomainBlock(mem, { type: DomainType.pvh, vcpus: shape.vcpus ?? 1, maxPages });
    const domid = mem.get32(domain + DomainOff.domid);
    for (let gfn = 0; gfn < this.pages; gfn++) {
      p2mSet(mem, domain, gfn, allocFrame(mem, domid, FrameType.ram), P2m.ram_rw);
    }
    mem.store(domain + DomainOff.totPages, this.pages);
    mem.store(domain + DomainOff.state, DomainState.running);
    return domain;
  }

  private copy(lin: bigint, at: number, length: number, toGuest: boolean): number {
    let done = 0;
    while (done < length) {
      const host = lin < 2n ** 40n ? this.maddr(Number(lin) + done) : 0;
      if (!host) break;
      const part = Math.min(length - done, 4096 - ((Number(lin) + done) & 0xfff));
      if (toGuest) this.mem.u8.copyWithin(host, at + done, at + done + part);
      else this.mem.u8.copyWithin(at + done, host, host + part);
      done += part;
    }
    return length - done;
  }

  maddr(gpa: number): number {
    const entry = p2mGet(this.mem, this.domain, Math.floor(gpa / 4096));
    return p2mType(entry) === P2m.none ? 0 : p2mMfn(entry) * 4096 + (gpa % 4096);
  }

  private prepare(mode: Mode): void {
    this.mem.set32(this.pcpu + PcpuOff.mode, mode);
    this.mem.set32(this.pcpu + PcpuOff.cpl, 0);
    this.mem.set64(this.pcpu + PcpuOff.rip, 0x1003n);
  }

  /** A hypercall from 64-bit kernel code, continued until it is done. */
  call(number: number | bigint, ...args: (number | bigint)[]): number {
    this.prepare(Mode.bits64 | Mode.flat);
    const set = (n: number, value: bigint) => this.mem.set64(this.pcpu + PcpuOff.gpr + 8 * n, BigInt.asUintN(64, value));
    set(0, BigInt(number));
    [7, 6, 2, 10, 8, 9].forEach((register, n) => set(register, BigInt(args[n] ?? 0)));
    return Number(BigInt.asIntN(64, this.finish()));
  }

  /** The same from 32-bit code. */
  call32(number: number, ...args: number[]): number {
    this.prepare(Mode.bits32 | Mode.ss32 | Mode.flat);
    const junk = 0xdead_beef_0000_0000n; // upper halves mean nothing to a 32-bit caller
    const set = (n: number, value: number) => this.mem.set64(this.pcpu + PcpuOff.gpr + 8 * n, BigInt(value >>> 0) | junk);
    set(0, number);
    [3, 1, 2, 6, 7, 5].forEach((register, n) => set(register, args[n] ?? 0));
    return Number(BigInt.asIntN(32, this.finish()));
  }

  private finish(): bigint {
    for (let n = 0; n < 100_000; n++) {
      this.mem.set64(this.pcpu + PcpuOff.rip, 0x1003n);
      this.outcome = this.hypervisor.hypercall(this.vcpu);
      const rip = this.mem.get64(this.pcpu + PcpuOff.rip);
      if (rip === 0x1003n) return this.mem.get64(this.pcpu + PcpuOff.gpr);
      if (rip !== 0x1000n) throw new Error(`rip is ${rip.toString(16)} after a hypercall`);
    }
    throw new Error("the hypercall does not end");
  }

  /** One pass of a hypercall in whatever state the registers are. */
  once(): string {
    return this.hypervisor.hypercall(this.vcpu);
  }

  /** Bytes by C types, naturally aligned as in 64-bit structures, at `gpa`. */
  write(gpa: number, ...fields: [type: "u8" | "u16" | "u32" | "u64", value: number | bigint][]): void {
    let at = gpa;
    for (const [type, value] of fields) {
      const size = Number(type.slice(1)) / 8;
      at = Math.ceil(at / size) * size;
      const host = this.maddr(at);
      if (size === 8) this.mem.view.setBigUint64(host, BigInt.asUintN(64, BigInt(value)), true);
      else if (size === 4) this.mem.view.setUint32(host, Number(value), true);
      else if (size === 2) this.mem.view.setUint16(host, Number(value), true);
      else this.mem.view.setUint8(host, Number(value));
      at += size;
    }
  }
  u8(gpa: number): number {
    return this.mem.view.getUint8(this.maddr(gpa));
  }
  u16(gpa: number): number {
    return this.mem.view.getUint16(this.maddr(gpa), true);
  }
  i16(gpa: number): number {
    return this.mem.view.getInt16(this.maddr(gpa), true);
  }
  u32(gpa: number): number {
    return this.mem.view.getUint32(this.maddr(gpa), true);
  }
  u64(gpa: number): bigint {
    return this.mem.view.getBigUint64(this.maddr(gpa), true);
  }

  /** EVTCHNOP_* with u32 fields; the result. */
  evtchn(op: number, ...fields: number[]): number {
    this.write(ARGS, ...fields.map((value) => ["u32", value] as ["u32", number]));
    return this.call(Hypercall.event_channel_op, op, ARGS);
  }

  destroy(): void {
    this.mem.store(this.vcpu + VcpuOff.pcpu, -1);
    destroyDomainState(this.mem, this.domain);
  }
}
