/** HYPERVISOR_sched_op and HYPERVISOR_set_timer_op (public/sched.h). */
import { Errno } from "../../assembly/abi/errno";
import { VcpuOff } from "../../assembly/abi/layout";
import { VcpuInfoOff, Xen } from "../../assembly/abi/xen";
import { cStruct } from "./c_struct";
import type { Caller, Result } from "./caller";
import { domainByDomid } from "./domain_table";
import { isPending, portState } from "./event_port";
import { shutdownDomain } from "./shutdown";
import { HvDomain, HvVcpu, PORT_RESERVED } from "./state";
import { setTimer, setWatchdog } from "./timer";

export const SHUTDOWN = cStruct({ reason: "u32" });
export const POLL = cStruct({ ports: "long", nr_ports: "u32", timeout: "u64" });
export const REMOTE_SHUTDOWN = cStruct({ domain_id: "u16", reason: "u32" });
export const WATCHDOG = cStruct({ id: "u32", timeout: "u32" });

const MOST_POLL_PORTS = 128;

/** (cmd, arg) */
export function schedOp(call: Caller): Result {
  switch (call.u32(0)) {
    case Xen.SCHEDOP_yield:
      call.outcome = "yield";
      return 0;
    case Xen.SCHEDOP_block:
      return block(call);
    case Xen.SCHEDOP_shutdown:
      return shutdown(call);
    case Xen.SCHEDOP_shutdown_code:
      if (!call.fetch(call.args[1], SHUTDOWN.lp64.sizeof)) return -Errno.EFAULT;
      call.mem.compareExchange(call.domain + HvDomain.shutdownCode, -1, call.getU32(0) & 0xff);
      return 0;
    case Xen.SCHEDOP_poll:
      return poll(call);
    case Xen.SCHEDOP_remote_shutdown: {
      if (!call.fetch(call.args[1], REMOTE_SHUTDOWN.lp64.sizeof)) return -Errno.EFAULT;
      return domainByDomid(call.mem, call.getU16(0)) ? -Errno.EPERM : -Errno.ESRCH;
    }
    case Xen.SCHEDOP_watchdog: {
      const o = call.layout(WATCHDOG);
      if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
      return setWatchdog(call.mem, call.domain, call.getU32(o.id), call.getU32(o.timeout), call.now());
    }
    case Xen.SCHEDOP_pin_override:
      return -Errno.EPERM; // the hardware domain's
    default:
      return -Errno.ENOSYS;
  }
}

/** Upcalls are enabled first, so that no wake-up is lost. */
function block(call: Caller): Result {
  const { mem, vcpu } = call;
  const info = mem.get32(vcpu + VcpuOff.infoMaddr);
  if (info) {
    mem.and(info, ~(0xff << (8 * VcpuInfoOff.evtchn_upcall_mask)));
    if (mem.load(info) & 0xff) return 0;
  }
  call.outcome = "block";
  return 0;
}

function shutdown(call: Caller): Result {
  if (!call.fetch(call.args[1], SHUTDOWN.lp64.sizeof)) return -Errno.EFAULT;
  const reason = shutdownDomain(call.mem, call.domain, call.getU32(0) & 0xff);
  call.host.shutdown?.(call.domid, reason);
  call.outcome = "shutdown";
  return 0;
}

/** The wait is announced before the ports are looked at: whoever sends meanwhile ends it. */
function poll(call: Caller): Result {
  const { mem, vcpu, domain } = call;
  const o = call.layout(POLL);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const count = call.getU32(o.nr_ports);
  const list = call.getLong(o.ports);
  const timeout = Number(BigInt.asIntN(64, call.getU64(o.timeout)));
  if (count > MOST_POLL_PORTS) return -Errno.EINVAL;
  if (!call.fetch(list, 4 * count)) return -Errno.EFAULT;
  mem.store(vcpu + HvVcpu.pollPort, count === 1 ? call.getU32(0) : 0);
  mem.setF64(vcpu + HvVcpu.pollDeadline, timeout < 0 ? 1 : timeout); // 0: no limit
  mem.store(vcpu + VcpuOff.polled, count === 0 ? -1 : count);
  let result = mem.locked(domain + HvDomain.evtLock, () => {
    for (let n = 0; n < count; n++) {
      const port = call.getU32(4 * n);
      const state = portState(mem, domain, port);
      if (state === Xen.EVTCHNSTAT_closed || state === PORT_RESERVED) return -Errno.EINVAL;
      if (isPending(mem, domain, port)) return 0;
    }
    return 1;
  });
  if (result === 1) {
    result = 0;
    call.outcome = "block";
  } else mem.store(vcpu + VcpuOff.polled, 0);
  return result;
}

/** (timeout), or in 32-bit guests (low, high). */
export function setTimerOp(call: Caller): Result {
  const timeout = call.compat ? call.args[0] | (call.args[1] << 32n) : call.args[0];
  setTimer(call.mem, call.vcpu, timeout, call.now());
  return 0;
}
