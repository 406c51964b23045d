/** What may interrupt the guest: NMI, Xen event upcalls, the local APIC, the 8259s; and the interrupt shadow.
 *
 *  Xen signals a PVH vCPU that `vcpu_info.evtchn_upcall_pending` is set in one of two ways (public/hvm/params.h,
 *  HVM_PARAM_CALLBACK_TYPE_VECTOR; public/hvm/hvm_op.h, HVMOP_set_evtchn_upcall_vector):
 *  - per-domain vector: level-like and outside the local APIC. While the byte is set and IF = 1 the vector is delivered; the
 *    guest's handler clears the byte before it scans for events.
 *  - per-vCPU vector: an edge into the local APIC each time the byte goes from 0 to 1 (whoever sets it then sets
 *    VcpuRequest.upcall), with priority and EOI like any other. While the APIC is disabled by software the edge is not kept;
 *    enabling it makes one if the byte is set, so that kernels do not find a stale request when they set up the APIC.
 *  `evtchn_upcall_mask` is a PV field; HVM guests mask with IF. */
import { ApicOff, InitBit, SystemOff } from "../../abi/apic";
import { DomainOff, IntrLine, Mode, PcpuOff, VcpuOff, VcpuRequest } from "../../abi/layout";
import { Flag } from "../../abi/x86";
import { PCPU, attention, lookAfter } from "../pcpu";
import { apicEnabled, apicPending, apicPost, apicTakePosted, lint0IsExtInt, softwareEnabled } from "./apic";
import { rflags } from "./mode";

/** Values of PcpuOff.shadow: what holds interrupts off the instruction at SystemOff.shadowRip. */
export const SHADOW_STI: u32 = 1;
export const SHADOW_SS: u32 = 2;
/** Added once an interrupt or a debug trap has waited: an instruction that jumps to itself is under the shadow only the first time. */
const SPENT: u32 = 4;
/** Added to SHADOW_SS under Mode.step until the next instruction begins, for debug traps come to its address much later, too. */
const FRESH: u32 = 8;

/** The instruction at `rip` will not be interrupted. */
export function setShadow(kind: u32, rip: u64): void {
  const fresh = kind == SHADOW_SS && (load<u32>(PCPU, PcpuOff.mode) & Mode.step) != 0;
  store<u32>(PCPU, fresh ? kind | FRESH : kind, PcpuOff.shadow);
  store<u64>(PCPU, rip, SystemOff.shadowRip);
}

/** As an instruction begins in Mode.step: does MOV SS before it hold debug exceptions off? Those that wait must ask mustWait(), too. */
export function holdsDebug(): bool {
  const kind = load<u32>(PCPU, PcpuOff.shadow);
  store<u32>(PCPU, kind & ~FRESH, PcpuOff.shadow);
  return (kind & FRESH) != 0 && shadowed() == SHADOW_SS;
}

/** Has anything waited for the instruction at `rip` because of MOV SS before it? */
export function spentAt(rip: u64): bool { return shadowAt(rip) == SHADOW_SS && (load<u32>(PCPU, PcpuOff.shadow) & SPENT) != 0; }

/** The shadow over the instruction at PcpuOff.rip, 0 if none. */
export function shadowed(): u32 { return shadowAt(load<u64>(PCPU, PcpuOff.rip)); }

export function shadowAt(rip: u64): u32 {
  const kind = load<u32>(PCPU, PcpuOff.shadow);
  return kind && load<u64>(PCPU, SystemOff.shadowRip) == rip ? kind & (SHADOW_STI | SHADOW_SS) : 0;
}

/** Must an interrupt or a debug trap at PcpuOff.rip wait for one instruction? The caller has it executed. */
export function mustWait(): bool {
  const kind = load<u32>(PCPU, PcpuOff.shadow);
  if (!shadowed() || kind & SPENT) return false;
  store<u32>(PCPU, kind | SPENT, PcpuOff.shadow);
  return true;
}

/** Something new since the run loop last looked, or still waiting: worth a call of takeInterrupt() once IF is set. */
export function interruptWaiting(): bool {
  if (load<u32>(PCPU + PcpuOff.apic, ApicOff.irrSummary)) return true;
  const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  if (!vcpu) return false;
  if (atomic.load<i32>(vcpu, VcpuOff.request) & (VcpuRequest.upcall | VcpuRequest.apic)) return true;
  return domainVector(vcpu) != 0 || extIntReady(vcpu);
}

/** IF has become 1, NMIs are open again, or the priority dropped: makes the run loop end its slice after this block and look. */
@inline export function recheckInterrupts(): void {
  if (nmiReady() || ((rflags() & Flag.IF) && interruptWaiting())) attention();
}

/** The same from inside a block: before the instruction after record `u`, or, if that is a call, before the one it leads to. A device may
 *  also have ended something. */
export function recheckAfter(u: usize): void {
  if (!load<i32>(PCPU, PcpuOff.exit) && !nmiReady() && (!(rflags() & Flag.IF) || !interruptWaiting())) return;
  lookAfter(u);
  attention();
}

/** The domain's callback vector if its level is asserted for `vcpu`, else 0. */
export function domainVector(vcpu: usize): u32 {
  const vector = load<u32>(<usize>load<u32>(PCPU, PcpuOff.domain), DomainOff.callbackVector);
  if (!vector || load<u32>(vcpu, VcpuOff.callbackVector)) return 0;
  const info = <usize>load<u32>(vcpu, VcpuOff.infoMaddr);
  return info && atomic.load<u8>(info) ? vector : 0;
}

/** Do the 8259s ask for an acknowledge cycle, and does the request get through to `vcpu`? A disabled local APIC leaves INTR
 *  to the processor's pin; an enabled one takes it at LINT0 if that is programmed so (SDM Vol.3A "Local Vector Table"),
 *  or as the I/O APIC's message. */
export function extIntReady(vcpu: usize): bool {
  const lines = atomic.load<i32>(vcpu, VcpuOff.intr);
  if (!lines) return false;
  if (lines & IntrLine.lint0 && (!apicEnabled() || lint0IsExtInt())) return true;
  return (lines & IntrLine.ioApic) != 0 && apicEnabled() && softwareEnabled();
}

/** Takes what other threads posted: per-vCPU upcall edges, APIC vectors. Returns InitBit bits. */
export function pollUpcall(): i32 {
  const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  if (!vcpu) return 0;
  const mine = VcpuRequest.upcall | VcpuRequest.apic;
  if (!(atomic.load<i32>(vcpu, VcpuOff.request) & mine)) return 0;
  const request = atomic.and<i32>(vcpu, ~mine, VcpuOff.request);
  if (request & VcpuRequest.upcall) {
    const vector = load<u32>(vcpu, VcpuOff.callbackVector), info = <usize>load<u32>(vcpu, VcpuOff.infoMaddr);
    if (vector && info && softwareEnabled() && atomic.load<u8>(info)) apicPost(vector);
  }
  if (!(request & VcpuRequest.apic)) return 0;
  const bits = apicTakePosted(vcpu);
  if (bits & InitBit.nmi) store<u32>(PCPU, 1, PcpuOff.nmiPending);
  return bits & ~InitBit.nmi;
}

@inline function nmiReady(): bool { return load<u32>(PCPU, PcpuOff.nmiPending) != 0 && !load<u32>(PCPU, PcpuOff.nmiBlocked); }

/** Would an interrupt be taken if IF were as it is and there were no shadow? HLT asks. */
export function interruptReady(): bool {
  if (nmiReady()) return true;
  if (!(rflags() & Flag.IF)) return false;
  const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  return apicPending() >= 0 || (vcpu != 0 && (domainVector(vcpu) != 0 || extIntReady(vcpu)));
}
