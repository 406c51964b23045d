/** HYPERVISOR_hvm_op (public/hvm/hvm_op.h, params.h). */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, P2m, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { kick } from "../machine/kick";
import { p2mType } from "../machine/p2m";
import { cStruct } from "./c_struct";
import type { Caller, Result } from "./caller";
import { domainByAnyId, vcpuAddr } from "./domain_table";
import { p2mEntry } from "./guest_frame";
import { HvDomain } from "./state";
import { wakeVcpu } from "./upcall";

export const HVM_PARAM = cStruct({ domid: "u16", pad: "u16", index: "u32", value: "u64" });
export const GET_TIME = cStruct({ now: "u64" });
export const XENTRACE = cStruct({ event: "u16", extra_bytes: "u16", extra: "u8[28]" });
export const GET_MEM_TYPE = cStruct({ domid: "u16", mem_type: "u16", pad: "u8[4]", pfn: "u64" });
export const UPCALL_VECTOR = cStruct({ vcpu: "u32", vector: "u8" });

const HVMMEM_ram_rw = 0;
const HVMMEM_ram_ro = 1;
const HVMMEM_mmio_dm = 2;
const LOWEST_VECTOR = 0x10;

type Access = "guest" | "reads" | "toolstack" | "once";

/** Who may do what with a parameter. Guest: reads and writes. Reads: the guest may only read. Toolstack and once (set one
 *  time only): the guest may do neither. A number that is not here is a hole or was given up. */
const PARAMS: Readonly<Record<number, Access>> = {
  [Xen.HVM_PARAM_CALLBACK_IRQ]: "guest",
  [Xen.HVM_PARAM_STORE_PFN]: "reads",
  [Xen.HVM_PARAM_STORE_EVTCHN]: "guest",
  [Xen.HVM_PARAM_IOREQ_PFN]: "toolstack",
  [Xen.HVM_PARAM_BUFIOREQ_PFN]: "toolstack",
  [Xen.HVM_PARAM_VIRIDIAN]: "once",
  [Xen.HVM_PARAM_TIMER_MODE]: "toolstack",
  [Xen.HVM_PARAM_HPET_ENABLED]: "toolstack",
  [Xen.HVM_PARAM_IDENT_PT]: "toolstack",
  [Xen.HVM_PARAM_ACPI_S_STATE]: "toolstack",
  [Xen.HVM_PARAM_VM86_TSS]: "toolstack",
  [Xen.HVM_PARAM_VPT_ALIGN]: "toolstack",
  [Xen.HVM_PARAM_CONSOLE_PFN]: "reads",
  [Xen.HVM_PARAM_CONSOLE_EVTCHN]: "guest",
  [Xen.HVM_PARAM_ACPI_IOPORTS_LOCATION]: "toolstack",
  [Xen.HVM_PARAM_PAGING_RING_PFN]: "toolstack",
  [Xen.HVM_PARAM_MONITOR_RING_PFN]: "toolstack",
  [Xen.HVM_PARAM_SHARING_RING_PFN]: "toolstack",
  [Xen.HVM_PARAM_TRIPLE_FAULT_REASON]: "toolstack",
  [Xen.HVM_PARAM_IOREQ_SERVER_PFN]: "once",
  [Xen.HVM_PARAM_NR_IOREQ_SERVER_PAGES]: "once",
  [Xen.HVM_PARAM_VM_GENERATION_ID_ADDR]: "reads",
  [Xen.HVM_PARAM_ALTP2M]: "once",
  [Xen.HVM_PARAM_X87_FIP_WIDTH]: "guest",
  [Xen.HVM_PARAM_VM86_TSS_SIZED]: "toolstack",
  [Xen.HVM_PARAM_MCA_CAP]: "once",
};

/** (op, arg) */
export function hvmOp(call: Caller): Result {
  const arg = call.args[1];
  switch (call.u32(0)) {
    case Xen.HVMOP_set_param:
    case Xen.HVMOP_get_param:
      return param(call);
    case Xen.HVMOP_set_evtchn_upcall_vector:
      return setUpcallVector(call);
    case Xen.HVMOP_get_time:
      return call.putField(arg, 8, call.now()) ? 0 : -Errno.EFAULT;
    case Xen.HVMOP_get_mem_type:
      return memType(call);
    case Xen.HVMOP_flush_tlbs:
      if (arg !== 0n) return -Errno.EINVAL;
      everyVcpu(call, (vcpu) => kick(call.mem, vcpu, VcpuRequest.flush));
      return 0;
    case Xen.HVMOP_xentrace: {
      const o = call.layout(XENTRACE);
      if (!call.fetch(arg, o.sizeof)) return -Errno.EFAULT;
      return call.getU16(o.extra_bytes) > o.sizeof - o.extra ? -Errno.EINVAL : 0;
    }
    case Xen.HVMOP_guest_request_vm_event:
      return arg === 0n ? 0 : -Errno.EINVAL;
    case Xen.HVMOP_altp2m:
      return -Errno.EOPNOTSUPP;
    default:
      // pagetable_dying too: it serves shadow paging, and guests go without it when it is refused
      return -Errno.ENOSYS;
  }
}

function everyVcpu(call: Caller, act: (vcpu: number) => void): void {
  const vcpus = call.mem.get32(call.domain + DomainOff.vcpus);
  for (let id = 0; id < vcpus; id++) act(vcpuAddr(call.mem, call.domain, id));
}

function param(call: Caller): Result {
  const { mem } = call;
  const o = call.layout(HVM_PARAM);
  const isSet = call.u32(0) === Xen.HVMOP_set_param;
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const index = call.getU32(o.index);
  const value = call.getU64(o.value);
  if (index >= Xen.HVM_NR_PARAMS) return -Errno.EINVAL;
  const domain = domainByAnyId(mem, call.domain, call.getU16(o.domid));
  if (!domain) return -Errno.ESRCH;
  if (domain !== call.domain) return -Errno.EPERM;
  const access = PARAMS[index];
  if (!access) return -Errno.EINVAL;
  const at = domain + HvDomain.hvmParams + 8 * index;
  if (!isSet) {
    if (access !== "guest" && access !== "reads") return -Errno.EPERM;
    return call.putField(call.args[1] + BigInt(o.value), 8, mem.get64(at)) ? 0 : -Errno.EFAULT;
  }
  if (access !== "guest") return -Errno.EPERM;
  if (index === Xen.HVM_PARAM_X87_FIP_WIDTH && value !== 0n && value !== 4n && value !== 8n) return -Errno.EINVAL;
  mem.set64(at, value);
  if (index === Xen.HVM_PARAM_CALLBACK_IRQ) setCallback(call, value);
  return 0;
}

/** Bits 63..56 say how. A PVH guest has neither GSIs nor PCI interrupts: only vectors reach it. */
function setCallback(call: Caller, value: bigint): void {
  const { mem, domain } = call;
  const isVector = value >> 56n === BigInt(Xen.HVM_PARAM_CALLBACK_TYPE_VECTOR);
  mem.set32(domain + DomainOff.callbackVector, isVector ? Number(value & 0xffn) : 0);
  everyVcpu(call, (vcpu) => raiseAgain(call, vcpu));
}

function setUpcallVector(call: Caller): Result {
  const o = call.layout(UPCALL_VECTOR);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const vector = call.getU8(o.vector);
  if (vector < LOWEST_VECTOR) return -Errno.EINVAL;
  const vcpu = vcpuAddr(call.mem, call.domain, call.getU32(o.vcpu));
  if (!vcpu) return -Errno.ENOENT;
  call.mem.set32(vcpu + VcpuOff.callbackVector, vector);
  raiseAgain(call, vcpu);
  return 0;
}

/** An upcall that was pending while there was no way to deliver it. */
function raiseAgain(call: Caller, vcpu: number): void {
  const info = call.mem.get32(vcpu + VcpuOff.infoMaddr);
  if (info && call.mem.load(info) & 0xff) wakeVcpu(call.mem, vcpu);
}

function memType(call: Caller): Result {
  const o = call.layout(GET_MEM_TYPE);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const domain = domainByAnyId(call.mem, call.domain, call.getU16(o.domid));
  if (!domain) return -Errno.ESRCH;
  if (domain !== call.domain) return -Errno.EPERM;
  const type = p2mType(p2mEntry(call.mem, domain, Number(call.getU64(o.pfn))));
  const isRw = type === P2m.ram_rw || type === P2m.grant_rw || type === P2m.alias_rw;
  const isRo = type === P2m.ram_ro || type === P2m.grant_ro || type === P2m.alias_ro;
  const answer = isRw ? HVMMEM_ram_rw : isRo ? HVMMEM_ram_ro : HVMMEM_mmio_dm;
  return call.putField(call.args[1] + BigInt(o.mem_type), 2, answer) ? 0 : -Errno.EFAULT;
}
