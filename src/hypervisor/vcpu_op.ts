/** HYPERVISOR_vcpu_op (public/vcpu.h). */
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, FrameType, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { VcpuInfoOff, VcpuTimeInfoOff, Xen } from "../../assembly/abi/xen";
import { getPage } from "../machine/frames";
import { kick } from "../machine/kick";
import { PAGE_SIZE } from "../machine/memory";
import { cStruct } from "./c_struct";
import type { Caller, Result } from "./caller";
import { vcpuAddr } from "./domain_table";
import { frameOfGfn } from "./guest_frame";
import { putRunstate } from "./runstate";
import { shutdownDomain } from "./shutdown";
import { HvDomain, HvVcpu, VcpuArea } from "./state";
import { publishTime } from "./time";
import { arm, setPeriodicTimer } from "./timer";
import { wakeVcpu } from "./upcall";
import { setContext, VCPU_HVM_CONTEXT } from "./vcpu_context";

export const SET_PERIODIC_TIMER = cStruct({ period_ns: "u64" });
export const SET_SINGLESHOT_TIMER = cStruct({ timeout_abs_ns: "u64", flags: "u32" });
export const REGISTER_VCPU_INFO = cStruct({ mfn: "u64", offset: "u32", rsvd: "u32" });
export const REGISTER_AREA = cStruct({ addr: "u64" }); // a union of pointers and a u64
export const GET_PHYSID = cStruct({ phys_id: "u64" });

/** (cmd, vcpuid, extra_args) */
export function vcpuOp(call: Caller): Result {
  const { mem } = call;
  const vcpu = vcpuAddr(mem, call.domain, call.u32(1));
  const arg = call.args[2];
  if (!vcpu) return -Errno.ENOENT;
  switch (call.u32(0)) {
    case Xen.VCPUOP_initialise:
      return initialise(call, vcpu);
    case Xen.VCPUOP_up:
      if (!mem.get32(vcpu + HvVcpu.initialised)) return -Errno.EINVAL;
      if (mem.exchange(vcpu + VcpuOff.online, 1) === 0) {
        wakeVcpu(mem, vcpu);
        call.host.vcpuUp?.(vcpu);
      }
      return 0;
    case Xen.VCPUOP_down:
      return down(call, vcpu);
    case Xen.VCPUOP_is_up:
      return mem.load(vcpu + VcpuOff.online) ? 1 : 0;
    case Xen.VCPUOP_get_runstate_info:
      return putRunstate(call, arg, vcpu, call.compat, call.now()) ? 0 : -Errno.EFAULT;
    case Xen.VCPUOP_register_runstate_memory_area:
      return registerRunstate(call, vcpu);
    case Xen.VCPUOP_set_periodic_timer: {
      if (!call.fetch(arg, SET_PERIODIC_TIMER.lp64.sizeof)) return -Errno.EFAULT;
      const period = Number(call.getU64(0));
      return period === 0 ? -Errno.EINVAL : setPeriodicTimer(mem, vcpu, period, call.now());
    }
    case Xen.VCPUOP_stop_periodic_timer:
      return setPeriodicTimer(mem, vcpu, 0, 0);
    case Xen.VCPUOP_set_singleshot_timer:
      return setSingleshot(call, vcpu);
    case Xen.VCPUOP_stop_singleshot_timer:
      if (vcpu !== call.vcpu) return -Errno.EINVAL;
      arm(mem, vcpu, 0);
      return 0;
    case Xen.VCPUOP_register_vcpu_info:
      return registerInfo(call, vcpu);
    case Xen.VCPUOP_register_vcpu_time_memory_area:
      return registerTime(call, vcpu);
    case Xen.VCPUOP_send_nmi:
      mem.or(vcpu + VcpuOff.apicInit, 1 << 10);
      mem.store(vcpu + VcpuOff.runnable, 1);
      kick(mem, vcpu, VcpuRequest.apic);
      return 0;
    case Xen.VCPUOP_get_physid:
      return -Errno.EINVAL; // for vCPUs pinned to a processor only
    default:
      return -Errno.ENOSYS;
  }
}

function initialise(call: Caller, vcpu: number): Result {
  const { mem } = call;
  if (mem.get32(vcpu + HvVcpu.initialised)) return -Errno.EEXIST;
  if (!call.fetch(call.args[2], call.layout(VCPU_HVM_CONTEXT).sizeof)) return -Errno.EFAULT;
  const result = setContext(call, vcpu);
  if (result === 0) mem.set32(vcpu + HvVcpu.initialised, 1);
  return result;
}

function down(call: Caller, vcpu: number): Result {
  const { mem, domain } = call;
  let others = false;
  const vcpus = mem.get32(domain + DomainOff.vcpus);
  for (let id = 0; id < vcpus; id++) {
    const other = vcpuAddr(mem, domain, id);
    if (other !== vcpu && mem.load(other + VcpuOff.online)) others = true;
  }
  if (!others) {
    const reason = shutdownDomain(mem, domain, Xen.SHUTDOWN_poweroff); // whether or not somebody listens
    call.host.shutdown?.(call.domid, reason);
    call.outcome = "shutdown";
    return 0;
  }
  mem.store(vcpu + VcpuOff.online, 0);
  kick(mem, vcpu, VcpuRequest.pause);
  if (vcpu === call.vcpu) call.outcome = "pause";
  return 0;
}

function setSingleshot(call: Caller, vcpu: number): Result {
  const o = call.layout(SET_SINGLESHOT_TIMER);
  if (vcpu !== call.vcpu) return -Errno.EINVAL;
  if (!call.fetch(call.args[2], o.sizeof)) return -Errno.EFAULT;
  const at = Number(BigInt.asIntN(64, call.getU64(o.timeout_abs_ns)));
  if (call.getU32(o.flags) & Xen.VCPU_SSHOTTMR_future && at < call.now()) return -Errno.ETIME;
  arm(call.mem, vcpu, at > 0 ? at : 1); // past: fires at once
  return 0;
}

function registerRunstate(call: Caller, vcpu: number): Result {
  const { mem } = call;
  if (!call.fetch(call.args[2], call.layout(REGISTER_AREA).sizeof)) return -Errno.EFAULT;
  const lin = call.getLong(0);
  const now = call.now();
  const areas = mem.get32(vcpu + HvVcpu.areas) & ~(VcpuArea.runstate | VcpuArea.runstate32);
  mem.set64(vcpu + HvVcpu.runstateLin, lin);
  mem.set32(vcpu + HvVcpu.areas, lin ? areas | VcpuArea.runstate | (call.compat ? VcpuArea.runstate32 : 0) : areas);
  if (lin) putRunstate(call, lin, vcpu, call.compat, now);
  return 0;
}

/** Moves vcpu_info to a page of the guest's, once. Everything is marked pending afterwards, so that no event sent
 *  meanwhile is lost; guests cope with a spurious one. */
function registerInfo(call: Caller, vcpu: number): Result {
  const { mem, domain } = call;
  const o = call.layout(REGISTER_VCPU_INFO);
  if (!call.fetch(call.args[2], o.sizeof)) return -Errno.EFAULT;
  const offset = call.getU32(o.offset);
  // DEVIATION: Xen takes any offset; ours must suit 32-bit atomic operations, as every real guest's does.
  if (offset > PAGE_SIZE - VcpuInfoOff.SIZE || offset & 3) return -Errno.EINVAL;
  if (mem.get32(vcpu + HvVcpu.infoMfn)) return -Errno.EINVAL;
  if (vcpu !== call.vcpu && mem.load(vcpu + VcpuOff.online)) return -Errno.EINVAL;
  const mfn = frameOfGfn(mem, domain, Number(call.getU64(o.mfn)), FrameType.ram);
  if (!mfn || !getPage(mem, mfn, call.domid)) return -Errno.EINVAL;
  const info = mfn * PAGE_SIZE + offset;
  mem.locked(domain + HvDomain.evtLock, () => {
    const old = mem.get32(vcpu + VcpuOff.infoMaddr);
    if (old) mem.u8.copyWithin(info, old, old + VcpuInfoOff.SIZE);
    else mem.u8.fill(0, info, info + VcpuInfoOff.SIZE);
    mem.set32(vcpu + HvVcpu.infoMfn, mfn);
    mem.set32(vcpu + VcpuOff.infoMaddr, info);
    const sel = info + (call.compat ? 4 : VcpuInfoOff.evtchn_pending_sel);
    mem.store(sel, -1);
    if (!call.compat) mem.store(sel + 4, -1);
    mem.or(info, 1);
  });
  publishTime(mem, vcpu, vcpu === call.vcpu ? call.pcpu : vcpu + VcpuOff.image, call.now());
  wakeVcpu(mem, vcpu);
  return 0;
}

function registerTime(call: Caller, vcpu: number): Result {
  const { mem } = call;
  if (!call.fetch(call.args[2], call.layout(REGISTER_AREA).sizeof)) return -Errno.EFAULT;
  const lin = call.getLong(0);
  mem.set64(vcpu + HvVcpu.timeLin, lin);
  const areas = mem.get32(vcpu + HvVcpu.areas);
  mem.set32(vcpu + HvVcpu.areas, lin ? areas | VcpuArea.time : areas & ~VcpuArea.time);
  if (lin) publishTimeCopy(call, vcpu);
  return 0;
}

/** The registered secondary copy of the time words. Its reader is not running meanwhile: the vCPU is here. */
export function publishTimeCopy(call: Caller, vcpu: number): void {
  const { mem } = call;
  const info = mem.get32(vcpu + VcpuOff.infoMaddr);
  if (!info || (mem.get32(vcpu + HvVcpu.areas) & VcpuArea.time) === 0) return;
  call.putFrom(mem.get64(vcpu + HvVcpu.timeLin), info + VcpuInfoOff.time, VcpuTimeInfoOff.SIZE);
}
