/** Guest memory for hypercalls: exported to TypeScript. Addresses are linear, at the current CR3, with supervisor
 *  privilege and without SMAP. Nothing faults: what cannot be reached is not copied. */
import { PcpuOff, TlbClass, VcpuOff, VcpuRequest } from "../abi/layout";
import { Pfec } from "../abi/x86";
import { PCPU } from "../cpu/pcpu";
import { DEVICE, DISCARD, readPage, writePage } from "./access";
import { tellDecodersAgain } from "./code_news";
import { isCanonical, SMAP_OFF, walk } from "./guest_walk";
import { physical } from "./p2m";
import { deviceRead, deviceWrite } from "./ram";
import { flushTlbAll, tableOf } from "./tlb";
import { WalkOff } from "./walk_words";

@inline function linear(lo: u32, hi: u32): u64 { return <u64>lo | (<u64>hi << 32); }

/** The hypervisor may have changed the p2m since the guest ran, here or on another processor: a flush it has asked for
 *  counts for its own accesses too. */
function obeyFlush(): void {
  const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  if (!vcpu || !(atomic.load<i32>(vcpu, VcpuOff.request) & VcpuRequest.flush)) return;
  atomic.and<i32>(vcpu, ~VcpuRequest.flush, VcpuOff.request);
  flushTlbAll();
}

/** Copies guest bytes to host memory at `to`; returns how many could NOT be copied. */
export function copyFromGuest(to: u32, linLo: u32, linHi: u32, len: u32): u32 {
  obeyFlush();
  let lin = linear(linLo, linHi);
  while (len) {
    const part = min(len, 4096 - (<u32>lin & 0xfff));
    const host = readPage(lin, tableOf(TlbClass.supervisorAc));
    if (!host) break;
    if (host == DEVICE) deviceRead(load<u64>(PCPU, WalkOff.gpa), to, part);
    else memory.copy(to, host, part);
    lin += part; to += part; len -= part;
  }
  return settle(len);
}

/** Copies host memory at `from` to the guest; returns how many bytes could NOT be copied. */
export function copyToGuest(linLo: u32, linHi: u32, from: u32, len: u32): u32 {
  obeyFlush();
  let lin = linear(linLo, linHi);
  while (len) {
    const part = min(len, 4096 - (<u32>lin & 0xfff));
    const host = writePage(lin, tableOf(TlbClass.supervisorAc), part);
    if (!host) break;
    if (host == DEVICE) deviceWrite(load<u64>(PCPU, WalkOff.gpa), from, part);
    else if (host != DISCARD) memory.copy(host, from, part);
    lin += part; from += part; len -= part;
  }
  if (load<u32>(PCPU, PcpuOff.owedCount)) tellDecodersAgain(); // it may be long before there is a slice
  return settle(len);
}

/** The caller reports -EFAULT; the guest sees no exception. */
function settle(left: u32): u32 {
  if (left) store<i32>(PCPU, -1, PcpuOff.faultVector);
  return left;
}

/** For debuggers: machine address behind a linear one, 0 if there is none. `access`: Pfec bits. Sets accessed flags. */
export function translate(linLo: u32, linHi: u32, access: u32): u32 {
  const lin = linear(linLo, linHi);
  if (!isCanonical(lin) || !walk(lin, access & (Pfec.W | Pfec.U | Pfec.I) | SMAP_OFF)) return 0;
  return <u32>physical(load<u64>(PCPU, WalkOff.gpa));
}
