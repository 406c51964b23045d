/** The hypercall table: every number of public/xen.h, who may call it, and what performs it or why nothing does. And the
 *  way in and out: registers by ABI (public/arch-x86/xen-x86_64.h, xen-x86_32.h), privilege, continuation.
 *
 *  A call that has more to do than fits between two looks at pending requests puts what is left into its argument
 *  registers, which guests must take for clobbered, and goes back to the VMCALL. */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, DomainType, Mode, PcpuOff, VcpuOff } from "../../assembly/abi/layout";
import { Hypercall, Xen } from "../../assembly/abi/xen";
import { pcpuBase } from "../machine/kick";
import type { MachineMemory } from "../machine/memory";
import { type Caller as Call, CONTINUE, Caller, type HypervisorHost, type Outcome, type Result } from "./caller";
import { consoleIo } from "./console_io";
import { eventChannelOp } from "./event_op";
import { grantTableOp } from "./grant_op";
import { hvmOp } from "./hvm_op";
import { memoryOp } from "./memory_op";
import { multicall } from "./multicall";
import { enterRunstate, publishRunstate, RUNSTATES } from "./runstate";
import { schedOp, setTimerOp } from "./sched_op";
import { settle } from "./settle";
import { shutdownDomain } from "./shutdown";
import { HvDomain, HvVcpu, Inside } from "./state";
import { latchInfoSize, publishTime, publishWallclock } from "./time";
import { fireTimers, nextDeadline } from "./timer";
import { publishTimeCopy, vcpuOp } from "./vcpu_op";
import { xenVersion } from "./version";

export type { HypervisorHost, Outcome };

type GuestType = "pv" | "pvh" | "hvm";

export interface HypercallRow {
  readonly number: number;
  readonly name: string;
  /** Who has it in Xen 4.17. */
  readonly who: readonly GuestType[];
  /** Performs the call, or what it answers and why. */
  readonly does: ((call: Call) => Result) | { readonly answers: number; readonly because: string };
}

const ALL: readonly GuestType[] = ["pv", "pvh", "hvm"];
const PV: readonly GuestType[] = ["pv"];
const NONE: readonly GuestType[] = [];

function row(number: number, name: string, who: readonly GuestType[], does: HypercallRow["does"]): HypercallRow {
  return { number, name, who, does };
}
function refuse(answers: number, because: string): HypercallRow["does"] {
  return { answers, because };
}

const PV_ONLY = refuse(-Errno.ENOSYS, "for paravirtualized guests, whose page tables and traps Xen keeps");
const TOOLSTACK = refuse(-Errno.EPERM, "the toolstack's, and no guest is privileged");
const UNASSIGNED = refuse(-Errno.ENOSYS, "not assigned");

/** In order of number. */
export const HYPERCALLS: readonly HypercallRow[] = [
  row(Hypercall.set_trap_table, "set_trap_table", PV, PV_ONLY),
  row(Hypercall.mmu_update, "mmu_update", PV, PV_ONLY),
  row(Hypercall.set_gdt, "set_gdt", PV, PV_ONLY),
  row(Hypercall.stack_switch, "stack_switch", PV, PV_ONLY),
  row(Hypercall.set_callbacks, "set_callbacks", PV, PV_ONLY),
  row(Hypercall.fpu_taskswitch, "fpu_taskswitch", PV, PV_ONLY),
  row(Hypercall.sched_op_compat, "sched_op_compat", PV, refuse(-Errno.ENOSYS, "older than translated guests")),
  row(Hypercall.platform_op, "platform_op", ALL, TOOLSTACK),
  row(Hypercall.set_debugreg, "set_debugreg", PV, PV_ONLY),
  row(Hypercall.get_debugreg, "get_debugreg", PV, PV_ONLY),
  row(Hypercall.update_descriptor, "update_descriptor", PV, PV_ONLY),
  row(11, "(11)", NONE, UNASSIGNED),
  row(Hypercall.memory_op, "memory_op", ALL, memoryOp),
  row(Hypercall.multicall, "multicall", ALL, (call) => multicall(call, (op) => dispatch(call, op))),
  row(Hypercall.update_va_mapping, "update_va_mapping", PV, PV_ONLY),
  row(Hypercall.set_timer_op, "set_timer_op", ALL, setTimerOp),
  row(Hypercall.event_channel_op_compat, "event_channel_op_compat", PV, refuse(-Errno.ENOSYS, "older than translated guests")),
  row(Hypercall.xen_version, "xen_version", ALL, xenVersion),
  row(Hypercall.console_io, "console_io", ALL, consoleIo),
  row(Hypercall.physdev_op_compat, "physdev_op_compat", PV, refuse(-Errno.ENOSYS, "older than translated guests")),
  row(Hypercall.grant_table_op, "grant_table_op", ALL, grantTableOp),
  row(Hypercall.vm_assist, "vm_assist", ALL, vmAssist),
  row(Hypercall.update_va_mapping_otherdomain, "update_va_mapping_otherdomain", PV, PV_ONLY),
  row(Hypercall.iret, "iret", PV, PV_ONLY),
  row(Hypercall.vcpu_op, "vcpu_op", ALL, vcpuOp),
  row(Hypercall.set_segment_base, "set_segment_base", PV, PV_ONLY),
  row(Hypercall.mmuext_op, "mmuext_op", ALL, refuse(-Errno.EINVAL, "acts on the page tables of a paravirtualized guest, which no caller's own domain is")),
  row(Hypercall.xsm_op, "xsm_op", ALL, refuse(-Errno.ENOSYS, "no security module is loaded")),
  row(Hypercall.nmi_op, "nmi_op", PV, PV_ONLY),
  row(Hypercall.sched_op, "sched_op", ALL, schedOp),
  row(Hypercall.callback_op, "callback_op", PV, PV_ONLY),
  row(Hypercall.xenoprof_op, "xenoprof_op", PV, PV_ONLY),
  row(Hypercall.event_channel_op, "event_channel_op", ALL, eventChannelOp),
  row(Hypercall.physdev_op, "physdev_op", ALL, refuse(-Errno.ENOSYS, "no pirqs and no PCI: nothing of it is a PVH guest's")),
  row(Hypercall.hvm_op, "hvm_op", ALL, hvmOp),
  row(Hypercall.sysctl, "sysctl", ALL, TOOLSTACK),
  row(Hypercall.domctl, "domctl", ALL, TOOLSTACK),
  row(Hypercall.kexec_op, "kexec_op", ALL, TOOLSTACK),
  row(Hypercall.tmem_op, "tmem_op", NONE, refuse(-Errno.ENOSYS, "removed from Xen")),
  row(Hypercall.argo_op, "argo_op", ALL, refuse(-Errno.EOPNOTSUPP, "argo is off, as in Xen without argo=1")),
  row(Hypercall.xenpmu_op, "xenpmu_op", ALL, refuse(-Errno.EOPNOTSUPP, "vpmu is off, as in Xen without vpmu=1")),
  row(Hypercall.dm_op, "dm_op", ALL, TOOLSTACK),
  row(Hypercall.hypfs_op, "hypfs_op", ALL, TOOLSTACK),
  ...[43, 44, 45, 46, 47].map((number) => row(number, `(${number})`, NONE, UNASSIGNED)),
  row(Hypercall.arch_0, "mca", PV, TOOLSTACK),
  row(Hypercall.arch_1, "paging_domctl_cont", ALL, TOOLSTACK),
  ...[50, 51, 52, 53, 54, 55].map((number) => row(number, `arch_${number - 48}`, NONE, UNASSIGNED)),
];

/** VM_ASSIST (cmd, type): translated guests have one assist. */
function vmAssist(call: Call): Result {
  const type = call.args[1];
  if (type !== BigInt(Xen.VMASST_TYPE_runstate_update_flag)) return -Errno.EINVAL;
  const bit = 1 << Xen.VMASST_TYPE_runstate_update_flag;
  switch (call.u32(0)) {
    case Xen.VMASST_CMD_enable:
      call.mem.or(call.domain + HvDomain.vmAssist, bit);
      return 0;
    case Xen.VMASST_CMD_disable:
      call.mem.and(call.domain + HvDomain.vmAssist, ~bit);
      return 0;
    default:
      return -Errno.ENOSYS;
  }
}

function dispatch(call: Call, number: bigint): Result {
  if (number >= BigInt(HYPERCALLS.length)) return -Errno.ENOSYS;
  const { does } = HYPERCALLS[Number(number)];
  return typeof does === "function" ? does(call) : does.answers;
}

const REGISTERS_64 = [7, 6, 2, 10, 8, 9]; // rdi rsi rdx r10 r8 r9
const REGISTERS_32 = [3, 1, 2, 6, 7, 5]; // ebx ecx edx esi edi ebp
const RAX = 0;
const VMCALL_LENGTH = 3n;
const TIME_STALE = 1e9;

/** The hypervisor on one pCPU. All state is in the machine memory: every pCPU and the control thread has an object of
 *  its own. Implements what src/machine/scheduler.ts asks of its hypervisor. */
export class Hypervisor {
  private readonly call: Caller;

  constructor(
    readonly mem: MachineMemory,
    readonly host: HypervisorHost,
  ) {
    this.call = new Caller(mem, host);
  }

  /** Performs the hypercall in the registers of `vcpu`, which is on its pCPU and past its VMCALL. */
  hypercall(vcpu: number): Outcome {
    const { mem, call } = this;
    const pcpu = pcpuBase(mem.load(vcpu + VcpuOff.pcpu));
    const mode = mem.get32(pcpu + PcpuOff.mode);
    const compat = (mode & Mode.BITS) !== Mode.bits64;
    call.enter(vcpu, pcpu, compat);
    const registers = compat ? REGISTERS_32 : REGISTERS_64;
    if (mem.get32(pcpu + PcpuOff.cpl) !== 0 || mode & (Mode.real | Mode.v86)) {
      this.giveResult(-Errno.EPERM);
      return "continue";
    }
    if (mem.get32(call.domain + DomainOff.type) === DomainType.control) throw new Error("the control domain has no vCPUs");
    latchInfoSize(mem, call.domain, compat);
    for (let n = 0; n < 6; n++) call.args[n] = this.register(registers[n]);
    mem.store(vcpu + HvVcpu.inside, Inside.hypervisor);
    const result = dispatch(call, this.register(RAX));
    if (call.removed.length + call.unmapped.length > 0) settle(call);
    mem.store(vcpu + HvVcpu.inside, Inside.guest);
    if (result === CONTINUE) {
      for (let n = 0; n < 6; n++) this.setRegister(registers[n], call.args[n]);
      const rip = mem.get64(pcpu + PcpuOff.rip) - VMCALL_LENGTH;
      mem.set64(pcpu + PcpuOff.rip, compat ? BigInt.asUintN(32, rip) : BigInt.asUintN(64, rip));
    } else this.giveResult(result);
    return call.outcome;
  }

  private register(n: number): bigint {
    const value = this.mem.get64(this.call.pcpu + PcpuOff.gpr + 8 * n);
    return this.call.compat ? value & 0xffff_ffffn : value;
  }

  private setRegister(n: number, value: bigint): void {
    this.mem.set64(this.call.pcpu + PcpuOff.gpr + 8 * n, BigInt.asUintN(this.call.compat ? 32 : 64, value));
  }

  private giveResult(result: number | bigint): void {
    this.setRegister(RAX, BigInt(result));
  }

  /** System time at which a timer of `vcpu` is due, Infinity if none is armed. */
  nextDeadline(vcpu: number): number {
    return nextDeadline(this.mem, vcpu);
  }

  /** Lets timers expire that are due at `now`. */
  fireTimers(vcpu: number, now: number): void {
    fireTimers(this.mem, vcpu, now);
  }

  /** The vCPU changes its state at `now`. One that comes to run is loaded on this pCPU: its time words and its runstate
   *  area are brought up to date. */
  runstate(vcpu: number, state: keyof typeof RUNSTATES, now: number): void {
    const { mem, call } = this;
    enterRunstate(mem, vcpu, RUNSTATES[state], now);
    if (state !== "running") return;
    const last = mem.getF64(vcpu + HvVcpu.timePublished);
    if (last === 0 || now - last > TIME_STALE || now < last) this.updateTime(vcpu, now);
    call.enter(vcpu, pcpuBase(mem.load(vcpu + VcpuOff.pcpu)), false);
    publishRunstate(call, vcpu);
  }

  /** Publishes the time words of a vCPU on this pCPU: to be called too when its TSC offset has changed. */
  updateTime(vcpu: number, now = this.host.nowNs()): void {
    const { mem, call } = this;
    const domain = mem.get32(vcpu + VcpuOff.domain);
    if (mem.getF64(vcpu + HvVcpu.timePublished) === 0) publishWallclock(mem, domain);
    mem.setF64(vcpu + HvVcpu.timePublished, Math.max(now, 1));
    const pcpu = pcpuBase(mem.load(vcpu + VcpuOff.pcpu));
    publishTime(mem, vcpu, pcpu, now);
    call.enter(vcpu, pcpu, false);
    publishTimeCopy(call, vcpu);
  }

  /** The guest has crashed, or the core on it: SHUTDOWN_crash. */
  crash(vcpu: number, why: string): void {
    const { mem, host } = this;
    const domain = mem.get32(vcpu + VcpuOff.domain);
    const domid = mem.get32(domain + DomainOff.domid);
    host.log(domid, `vCPU ${mem.get32(vcpu + VcpuOff.id)}: ${why}`);
    const reason = shutdownDomain(mem, domain, Xen.SHUTDOWN_crash); // whether or not somebody listens
    host.shutdown?.(domid, reason);
  }
}
