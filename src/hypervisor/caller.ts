/** The hypercall being performed: who calls, with what ABI, and access to its memory. One object per pCPU, filled in anew
 *  for each call.
 *
 *  Arguments are copied to and from a scratch page of the machine memory that belongs to this pCPU, and read there once:
 *  the guest may change its own copy at any time. */
import { DomainOff, MachineOff, PcpuOff, Region, VcpuOff } from "../../assembly/abi/layout";
import { type MachineMemory, PAGE_SIZE } from "../machine/memory";
import type { CStruct, Layout } from "./c_struct";
import { HvVcpu, Inside } from "./state";

/** What the hypervisor needs of the pCPU it runs on. */
export interface HypervisorHost {
  /** Copies between guest memory and machine address `at`, as the vCPU on this pCPU sees it. Bytes NOT copied. */
  copyFromGuest(lin: bigint, at: number, length: number): number;
  copyToGuest(lin: bigint, at: number, length: number): number;
  /** Address of a page of machine memory for this pCPU's use alone. */
  readonly scratch: number;
  /** System time. */
  nowNs(): number;
  /** A line of text from a domain for the hypervisor log. */
  log(domid: number, text: string): void;
  /** The domain has shut itself down; also in DomainOff.shutdownReason, and the control doorbell has rung. */
  shutdown?(domid: number, reason: number): void;
  /** A vCPU has come online that is on no pCPU's queue yet. */
  vcpuUp?(vcpu: number): void;
}

/** Returned by a handler that has adjusted `args` and wants to be called again after a look at pending requests. */
export const CONTINUE = Symbol("continue");
export type Result = number | bigint | typeof CONTINUE;

/** What becomes of the vCPU. */
export type Outcome = "continue" | "block" | "yield" | "shutdown" | "pause";

export const SCRATCH_SIZE = PAGE_SIZE;

export class Caller {
  vcpu = 0;
  domain = 0;
  domid = 0;
  /** Address of the pCPU block with the caller's registers. */
  pcpu = 0;
  /** The caller runs 32-bit code: longs and pointers take 4 bytes. */
  compat = false;
  inMulticall = false;
  outcome: Outcome = "continue";
  /** Arguments 1 to 6; zero-extended for 32-bit callers. */
  readonly args: bigint[] = [0n, 0n, 0n, 0n, 0n, 0n];
  /** Taken out of the domain's address space, to be let go of by settle(): mfns of its memory, handles of its grant
   *  mappings. */
  readonly removed: number[] = [];
  readonly unmapped: number[] = [];

  constructor(
    readonly mem: MachineMemory,
    readonly host: HypervisorHost,
  ) {}

  enter(vcpu: number, pcpu: number, compat: boolean): void {
    this.vcpu = vcpu;
    this.pcpu = pcpu;
    this.domain = this.mem.get32(vcpu + VcpuOff.domain);
    this.domid = this.mem.get32(this.domain + DomainOff.domid);
    this.compat = compat;
    this.inMulticall = false;
    this.outcome = "continue";
  }

  /** Argument `n` (from 0) as the C type unsigned int. */
  u32(n: number): number {
    return Number(this.args[n] & 0xffff_ffffn);
  }

  layout<F>(struct: CStruct<F>): Layout<F> {
    return this.compat ? struct.ilp32 : struct.lp64;
  }

  get longSize(): number {
    return this.compat ? 4 : 8;
  }

  now(): number {
    return Math.floor(this.host.nowNs());
  }

  /** Guest to scratch; false if any of it cannot be read. */
  fetch(lin: bigint, length: number, at = 0): boolean {
    if (length === 0) return true;
    const before = this.mem.exchange(this.vcpu + HvVcpu.inside, Inside.copying);
    const left = this.host.copyFromGuest(lin, this.host.scratch + at, length);
    this.mem.store(this.vcpu + HvVcpu.inside, before);
    return left === 0;
  }

  /** Scratch to guest. */
  put(lin: bigint, length: number, at = 0): boolean {
    return this.putFrom(lin, this.host.scratch + at, length);
  }

  /** Machine memory to guest. */
  putFrom(lin: bigint, maddr: number, length: number): boolean {
    if (length === 0) return true;
    const before = this.mem.exchange(this.vcpu + HvVcpu.inside, Inside.copying);
    const left = this.host.copyToGuest(lin, maddr, length);
    this.mem.store(this.vcpu + HvVcpu.inside, before);
    return left === 0;
  }

  /** Stores `value` into the guest's field of 2, 4 or 8 bytes at `lin`, by way of scratch offset `at`. */
  putField(lin: bigint, size: 2 | 4 | 8, value: number | bigint, at = 0): boolean {
    if (size === 8) this.setU64(at, BigInt(value));
    else if (size === 4) this.setU32(at, Number(value));
    else this.setU16(at, Number(value));
    return this.put(lin, size, at);
  }

  putLong(lin: bigint, value: number | bigint, at = 0): boolean {
    return this.putField(lin, this.compat ? 4 : 8, value, at);
  }

  /* Fields in scratch, at any alignment. */
  getU8(at: number): number {
    return this.mem.u8[this.host.scratch + at];
  }
  getU16(at: number): number {
    return this.mem.view.getUint16(this.host.scratch + at, true);
  }
  getU32(at: number): number {
    return this.mem.view.getUint32(this.host.scratch + at, true);
  }
  getI32(at: number): number {
    return this.mem.view.getInt32(this.host.scratch + at, true);
  }
  getU64(at: number): bigint {
    return this.mem.view.getBigUint64(this.host.scratch + at, true);
  }
  /** A C unsigned long or pointer. */
  getLong(at: number): bigint {
    return this.compat ? BigInt(this.getU32(at)) : this.getU64(at);
  }
  setU8(at: number, value: number): void {
    this.mem.u8[this.host.scratch + at] = value;
  }
  setU16(at: number, value: number): void {
    this.mem.view.setUint16(this.host.scratch + at, value, true);
  }
  setU32(at: number, value: number): void {
    this.mem.view.setUint32(this.host.scratch + at, value, true);
  }
  setU64(at: number, value: bigint): void {
    this.mem.view.setBigUint64(this.host.scratch + at, value, true);
  }
  setLong(at: number, value: bigint): void {
    if (this.compat) this.setU32(at, Number(value & 0xffff_ffffn));
    else this.setU64(at, value);
  }
  clear(at: number, length: number): void {
    this.mem.u8.fill(0, this.host.scratch + at, this.host.scratch + at + length);
  }

  /** The guest's TSC at system time `ns`, as RDTSC computes it. */
  tscAt(ns: number): bigint {
    return tscAt(this.mem, this.pcpu, ns);
  }
}

/** The TSC a vCPU sees whose state is at `state`: a pCPU block, or the image in the vCPU block. */
export function tscAt(mem: MachineMemory, state: number, ns: number): bigint {
  const perNs = mem.get32(Region.MACHINE + MachineOff.tscKhz) * 1e-6;
  return BigInt.asUintN(64, BigInt(Math.floor(ns * perNs)) + mem.get64(state + PcpuOff.tscOffset));
}
