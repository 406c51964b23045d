/** HYPERVISOR_event_channel_op (public/event_channel.h). */
import { Errno } from "../../assembly/abi/errno";
import { Xen } from "../../assembly/abi/xen";
import { cStruct } from "./c_struct";
import { type Caller, CONTINUE, type Result } from "./caller";
import { domainByAnyId, vcpuAddr } from "./domain_table";
import {
  allocUnbound,
  bindInterdomain,
  bindIpi,
  bindVcpu,
  bindVirq,
  closePort,
  portStatus,
  resetPorts,
  sendEvent,
} from "./event_channel";
import { addArrayPage, mapControlBlock } from "./event_fifo";
import { isPending, portAddr, portState, setPending, unmask } from "./event_port";
import { EvtchnAbi, HvDomain, PORT_RESERVED, PortOff } from "./state";

export const ALLOC_UNBOUND = cStruct({ dom: "u16", remote_dom: "u16", port: "u32" });
export const BIND_INTERDOMAIN = cStruct({ remote_dom: "u16", remote_port: "u32", local_port: "u32" });
export const BIND_VIRQ = cStruct({ virq: "u32", vcpu: "u32", port: "u32" });
export const BIND_PIRQ = cStruct({ pirq: "u32", flags: "u32", port: "u32" });
export const BIND_IPI = cStruct({ vcpu: "u32", port: "u32" });
export const CLOSE = cStruct({ port: "u32" });
export const STATUS = cStruct({ dom: "u16", port: "u32", status: "u32", vcpu: "u32", u_dom: "u16", u_port: "u32" });
export const BIND_VCPU = cStruct({ port: "u32", vcpu: "u32" });
export const RESET = cStruct({ dom: "u16" });
export const INIT_CONTROL = cStruct({ control_gfn: "u64", offset: "u32", vcpu: "u32", link_bits: "u8", _pad: "u8[7]" });
export const EXPAND_ARRAY = cStruct({ array_gfn: "u64" });
export const SET_PRIORITY = cStruct({ port: "u32", priority: "u32" });

/** EVTCHNOP_reset_cont: what is left of a reset, as HvDomain.evtReset has it. */
const RESET_CONT = 14;
const PORTS_AT_ONCE = 1024;

/** (cmd, arg) */
export function eventChannelOp(call: Caller): Result {
  switch (call.u32(0)) {
    case Xen.EVTCHNOP_send:
      return withPort(call, (port) => sendEvent(call.mem, call.domain, port));
    case Xen.EVTCHNOP_unmask:
      return withPort(call, (port) => unmaskOp(call, port));
    case Xen.EVTCHNOP_close:
      return withPort(call, (port) => closePort(call.mem, call.domain, port));
    case Xen.EVTCHNOP_alloc_unbound:
      return allocUnboundOp(call);
    case Xen.EVTCHNOP_bind_interdomain:
      return bindInterdomainOp(call);
    case Xen.EVTCHNOP_bind_virq:
      return bindVirqOp(call);
    case Xen.EVTCHNOP_bind_ipi:
      return bindIpiOp(call);
    case Xen.EVTCHNOP_bind_vcpu:
      return bindVcpuOp(call);
    case Xen.EVTCHNOP_bind_pirq:
      return call.fetch(call.args[1], BIND_PIRQ.lp64.sizeof) ? -Errno.EINVAL : -Errno.EFAULT; // no guest has any
    case Xen.EVTCHNOP_status:
      return statusOp(call);
    case Xen.EVTCHNOP_reset:
    case RESET_CONT:
      return resetOp(call);
    case Xen.EVTCHNOP_init_control:
      return initControlOp(call);
    case Xen.EVTCHNOP_expand_array:
      return expandArrayOp(call);
    case Xen.EVTCHNOP_set_priority:
      return setPriorityOp(call);
    default:
      return -Errno.ENOSYS;
  }
}

function withPort(call: Caller, act: (port: number) => number): Result {
  return call.fetch(call.args[1], CLOSE.lp64.sizeof) ? act(call.getU32(0)) : -Errno.EFAULT;
}

/** Stores a new port into the OUT field at `offset`, or passes the error on. */
function givePort(call: Caller, offset: number, port: number): Result {
  if (port < 0) return port;
  if (call.putField(call.args[1] + BigInt(offset), 4, port)) return 0;
  closePort(call.mem, call.domain, port);
  return -Errno.EFAULT;
}

function allocUnboundOp(call: Caller): Result {
  const o = call.layout(ALLOC_UNBOUND);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const domain = domainByAnyId(call.mem, call.domain, call.getU16(o.dom));
  if (!domain) return -Errno.ESRCH;
  if (domain !== call.domain) return -Errno.EPERM;
  const remote = call.getU16(o.remote_dom);
  return givePort(call, o.port, allocUnbound(call.mem, domain, remote === Xen.DOMID_SELF ? call.domid : remote));
}

function bindInterdomainOp(call: Caller): Result {
  const o = call.layout(BIND_INTERDOMAIN);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const remote = domainByAnyId(call.mem, call.domain, call.getU16(o.remote_dom));
  if (!remote) return -Errno.ESRCH;
  return givePort(call, o.local_port, bindInterdomain(call.mem, call.domain, remote, call.getU32(o.remote_port)));
}

function bindVirqOp(call: Caller): Result {
  const o = call.layout(BIND_VIRQ);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  return givePort(call, o.port, bindVirq(call.mem, call.domain, call.getU32(o.virq), call.getU32(o.vcpu)));
}

function bindIpiOp(call: Caller): Result {
  const o = call.layout(BIND_IPI);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  return givePort(call, o.port, bindIpi(call.mem, call.domain, call.getU32(o.vcpu)));
}

function bindVcpuOp(call: Caller): Result {
  const o = call.layout(BIND_VCPU);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  return bindVcpu(call.mem, call.domain, call.getU32(o.port), call.getU32(o.vcpu));
}

function statusOp(call: Caller): Result {
  const o = call.layout(STATUS);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const domain = domainByAnyId(call.mem, call.domain, call.getU16(o.dom));
  if (!domain) return -Errno.ESRCH;
  if (domain !== call.domain) return -Errno.EPERM;
  const status = portStatus(call.mem, domain, call.getU32(o.port));
  if (!status) return -Errno.EINVAL;
  call.setU32(o.status, status.state);
  call.setU32(o.vcpu, status.vcpu);
  if (status.state === Xen.EVTCHNSTAT_virq) call.setU32(o.u_dom, status.remotePort);
  else call.setU16(o.u_dom, status.remoteDomid);
  if (status.state === Xen.EVTCHNSTAT_interdomain) call.setU32(o.u_port, status.remotePort);
  return call.put(call.args[1], o.sizeof) ? 0 : -Errno.EFAULT;
}

function resetOp(call: Caller): Result {
  if (!call.fetch(call.args[1], RESET.lp64.sizeof)) return -Errno.EFAULT;
  const domain = domainByAnyId(call.mem, call.domain, call.getU16(0));
  if (!domain) return -Errno.ESRCH;
  if (domain !== call.domain) return -Errno.EPERM;
  const from = call.u32(0) === RESET_CONT ? call.mem.get32(domain + HvDomain.evtReset) : 0;
  const next = resetPorts(call.mem, domain, from || 1, PORTS_AT_ONCE);
  call.mem.set32(domain + HvDomain.evtReset, next);
  if (next === 0) return 0;
  call.args[0] = BigInt(RESET_CONT);
  return CONTINUE;
}

function isUsed(call: Caller, port: number): boolean {
  const state = portState(call.mem, call.domain, port);
  return state !== Xen.EVTCHNSTAT_closed && state !== PORT_RESERVED;
}

function locked(call: Caller, body: () => number): number {
  return call.mem.locked(call.domain + HvDomain.evtLock, body);
}

function unmaskOp(call: Caller, port: number): number {
  return locked(call, () => {
    if (!isUsed(call, port)) return -Errno.EINVAL;
    unmask(call.mem, call.domain, port);
    return 0;
  });
}

/** The first control block switches the whole domain to the FIFO format; what is pending then is raised anew when the
 *  guest supplies the event array. */
function initControlOp(call: Caller): Result {
  const { mem, domain } = call;
  const o = call.layout(INIT_CONTROL);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const vcpu = vcpuAddr(mem, domain, call.getU32(o.vcpu));
  if (!vcpu) return -Errno.ENOENT;
  const gfn = Number(call.getU64(o.control_gfn));
  const offset = call.getU32(o.offset);
  const result = locked(call, () => {
    const mapped = mapControlBlock(mem, domain, vcpu, gfn, offset);
    if (mapped === 0 && mem.get32(domain + HvDomain.evtAbi) === EvtchnAbi.twoLevel) {
      const ports = mem.get32(domain + HvDomain.evtPorts);
      for (let port = 1; port < ports; port++) {
        if (isUsed(call, port) && isPending(mem, domain, port)) {
          mem.set8(portAddr(mem, domain, port) + PortOff.early, 1);
        }
      }
      mem.set32(domain + HvDomain.evtAbi, EvtchnAbi.fifo);
    }
    return mapped;
  });
  if (result !== 0) return result;
  call.setU8(o.link_bits, Xen.EVTCHN_FIFO_LINK_BITS);
  return call.put(call.args[1], o.sizeof) ? 0 : -Errno.EFAULT;
}

function expandArrayOp(call: Caller): Result {
  const { mem, domain } = call;
  if (!call.fetch(call.args[1], EXPAND_ARRAY.lp64.sizeof)) return -Errno.EFAULT;
  const gfn = Number(call.getU64(0));
  return locked(call, () => {
    if (mem.get32(domain + HvDomain.evtAbi) !== EvtchnAbi.fifo) return -Errno.EOPNOTSUPP;
    const page = addArrayPage(mem, domain, gfn);
    if (page < 0) return page;
    for (let port = page * 1024; port < (page + 1) * 1024; port++) {
      const at = isUsed(call, port) ? portAddr(mem, domain, port) : 0;
      if (!at || mem.get8(at + PortOff.early) === 0) continue;
      mem.set8(at + PortOff.early, 0);
      setPending(mem, domain, port);
    }
    return 0;
  });
}

function setPriorityOp(call: Caller): Result {
  const { mem, domain } = call;
  const o = call.layout(SET_PRIORITY);
  if (!call.fetch(call.args[1], o.sizeof)) return -Errno.EFAULT;
  const port = call.getU32(o.port);
  const priority = call.getU32(o.priority);
  return locked(call, () => {
    if (mem.get32(domain + HvDomain.evtAbi) !== EvtchnAbi.fifo) return -Errno.ENOSYS;
    if (priority > Xen.EVTCHN_FIFO_PRIORITY_MIN || !isUsed(call, port)) return -Errno.EINVAL;
    mem.set8(portAddr(mem, domain, port) + PortOff.priority, priority);
    return 0;
  });
}
