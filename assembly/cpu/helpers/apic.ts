/** Local APIC (SDM Vol.3A "Advanced Programmable Interrupt Controller"): xAPIC page and x2APIC MSRs over one state at
 *  PcpuOff.apic. Only the vCPU's own thread touches the state; others post vectors as atomic bits in the vCPU block
 *  (VcpuOff.apicPosted, apicLevel, apicInit) and set VcpuRequest.apic. The timer counts at 100 MHz, Xen's APIC bus
 *  frequency. EOIs of level-triggered vectors are broadcast to the I/O APIC, as writes of its EOI register. */
import { ApicOff, InitBit, Lvt } from "../../abi/apic";
import { DomainOff, DomainType, PcpuOff, Region, SchedOff, VcpuOff, VcpuRequest } from "../../abi/layout";
import { mmioWrite, nowNs } from "../../env";
import { PCPU } from "../pcpu";
import { flushTlbAll } from "../../mmu/tlb";
import { nsOfTsc } from "./tsc";

const APIC: usize = PCPU + PcpuOff.apic;
/** Integrated APIC, 7 LVT entries. */
const VERSION: u32 = 0x00060014;
const BUS_NS: f64 = 10;
const MASKED: u32 = 1 << 16;
const MODE: u32 = 7 << 8;
const EXTINT: u32 = 7 << 8;
const IOAPIC_EOI: u32 = 0xfec00040;
const REMOTE_LEVEL: u32 = 1 << 15;
const BASE_EXTD: u32 = 1 << 10;
const BASE_ENABLE: u32 = 1 << 11;

export const enum Esr {
  sendAccept = 1 << 2,
  sendIllegal = 1 << 5,
  receiveIllegal = 1 << 6,
  illegalRegister = 1 << 7,
}

/** Register numbers (xAPIC offset >> 4, x2APIC MSR - 0x800). */
const enum Reg {
  id = 0x02,
  version = 0x03,
  tpr = 0x08,
  apr = 0x09,
  ppr = 0x0a,
  eoi = 0x0b,
  rrd = 0x0c,
  ldr = 0x0d,
  dfr = 0x0e,
  svr = 0x0f,
  isr = 0x10,
  tmr = 0x18,
  irr = 0x20,
  esr = 0x28,
  cmci = 0x2f,
  icrLow = 0x30,
  icrHigh = 0x31,
  lvtTimer = 0x32,
  lvtError = 0x37,
  timerInitial = 0x38,
  timerCurrent = 0x39,
  timerDivide = 0x3e,
  selfIpi = 0x3f,
}

/** Spurious vector, enable, and AMD's focus processor checking (APM Vol.2 "Spurious Interrupt Register"), which has no effect. */
const SVR: u32 = 0x3ff;

@inline function lvt(index: i32): u32 { return load<u32>(APIC + (<usize>index << 2), ApicOff.lvt); }
@inline export function apicEnabled(): bool { return (load<u32>(PCPU, PcpuOff.apicBase) & BASE_ENABLE) != 0; }
@inline export function x2apicMode(): bool {
  return (load<u32>(PCPU, PcpuOff.apicBase) & (BASE_ENABLE | BASE_EXTD)) == (BASE_ENABLE | BASE_EXTD);
}
@inline export function softwareEnabled(): bool { return (load<u32>(APIC, ApicOff.svr) & 0x100) != 0; }

/** Whether LINT0 passes the 8259s' INTR on (virtual wire mode). */
@inline export function lint0IsExtInt(): bool { return (lvt(Lvt.lint0) & (MASKED | MODE)) == EXTINT; }

/** State after power-up or INIT; the id is 2 * vCPU number, as libxl lays out a domain's APIC ids.
 *  DEVIATION: on the first processor of an HVM domain LINT0 begins as ExtINT, not masked, as with other hypervisors:
 *  firmware that knows only the 8259s never programs a local APIC. */
export function apicReset(): void {
  memory.fill(APIC, 0, ApicOff.SIZE);
  for (let i = 0; i < 7; i++) store<u32>(APIC + (i << 2), MASKED, ApicOff.lvt);
  store<u32>(APIC, 0xff, ApicOff.svr);
  store<u32>(APIC, 0xffffffff, ApicOff.dfr);
  const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  store<u32>(APIC, vcpu ? load<u32>(vcpu, VcpuOff.id) * 2 : 0, ApicOff.id);
  if (vcpu && !load<u32>(vcpu, VcpuOff.id) && load<u32>(<usize>load<u32>(vcpu, VcpuOff.domain), DomainOff.type) == DomainType.hvm) {
    store<u32>(APIC, EXTINT, ApicOff.lvt + Lvt.lint0 * 4);
  }
  store<u64>(PCPU, 0, PcpuOff.cr8);
  store<u64>(PCPU, 0, PcpuOff.tscDeadline);
}

/* Interrupt requests and priorities. */

function setBit(base: usize, vector: u32): void {
  const at = APIC + base + (<usize>(vector >> 5) << 2);
  store<u32>(at, load<u32>(at) | (1 << (vector & 31)));
}

function clearBit(base: usize, vector: u32): u32 {
  const at = APIC + base + (<usize>(vector >> 5) << 2);
  const left = load<u32>(at) & ~(1 << (vector & 31));
  store<u32>(at, left);
  return left;
}

/** Highest vector set in the 256 bits at `base`, -1 if none. */
function highest(base: usize): i32 {
  for (let i = 7; i >= 0; i--) {
    const word = load<u32>(APIC + base + (<usize>i << 2));
    if (word) return (i << 5) + 31 - <i32>clz<u32>(word);
  }
  return -1;
}

/** Requests edge-triggered `vector` on the vCPU this pCPU runs. */
export function apicPost(vector: u32): void {
  if (!apicEnabled()) return;
  if (vector < 16) {
    apicError(Esr.receiveIllegal);
    return;
  }
  setBit(ApicOff.irr, vector);
  clearBit(ApicOff.tmr, vector);
  store<u32>(APIC, load<u32>(APIC, ApicOff.irrSummary) | (1 << (vector >> 5)), ApicOff.irrSummary);
}

/** Requests `vector` on another vCPU, from any thread. */
export function apicPostTo(vcpu: usize, vector: u32): void {
  if (vcpu == <usize>load<u32>(PCPU, PcpuOff.vcpu)) return apicPost(vector);
  atomic.or<u32>(vcpu + (<usize>(vector >> 5) << 2), 1 << (vector & 31), VcpuOff.apicPosted);
  kick(vcpu);
}

/** Publishes VcpuRequest.apic and rings the pCPU of `vcpu`. */
function kick(vcpu: usize): void {
  atomic.or<i32>(vcpu, VcpuRequest.apic, VcpuOff.request);
  const home = atomic.load<i32>(vcpu, VcpuOff.home);
  if (home < 0) return;
  const first = PCPU - <usize>load<u32>(PCPU, PcpuOff.index) * Region.PCPU_STRIDE; // not a constant: those are relocated
  const doorbell = first + <usize>home * Region.PCPU_STRIDE + SchedOff.doorbell;
  atomic.add<i32>(doorbell, 1);
  atomic.notify(doorbell, -1);
}

/** Moves vectors posted by other threads into IRR; returns and clears the INIT, SIPI and NMI bits. */
export function apicTakePosted(vcpu: usize): i32 {
  for (let i: usize = 0; i < 8; i++) {
    if (!atomic.load<u32>(vcpu + (i << 2), VcpuOff.apicPosted)) continue;
    const bits = atomic.xchg<u32>(vcpu + (i << 2), 0, VcpuOff.apicPosted);
    const level = atomic.load<u32>(vcpu + (i << 2), VcpuOff.apicLevel);
    for (let bit: u32 = 0; bit < 32; bit++) {
      if (!((bits >> bit) & 1)) continue;
      const vector = <u32>(i << 5) + bit;
      apicPost(vector);
      if ((level >> bit) & 1) setBit(ApicOff.tmr, vector);
    }
  }
  return atomic.xchg<i32>(vcpu, 0, VcpuOff.apicInit);
}

function processorPriority(): u32 {
  const tpr = load<u32>(APIC, ApicOff.tpr), served = highest(ApicOff.isr);
  const level: u32 = served < 0 ? 0 : <u32>served & 0xf0;
  return level > (tpr & 0xf0) ? level : tpr;
}

/** Highest vector that may interrupt now, -1 if none. */
export function apicPending(): i32 {
  if (!load<u32>(APIC, ApicOff.irrSummary)) return -1;
  const vector = highest(ApicOff.irr);
  if (vector < 0 || !softwareEnabled() || !apicEnabled()) return -1;
  return (<u32>vector & 0xf0) > (processorPriority() & 0xf0) ? vector : -1;
}

/** Takes `vector`, which apicPending() returned, into service. */
export function apicAck(vector: i32): void {
  if (!clearBit(ApicOff.irr, vector)) {
    store<u32>(APIC, load<u32>(APIC, ApicOff.irrSummary) & ~(1 << (vector >> 5)), ApicOff.irrSummary);
  }
  setBit(ApicOff.isr, vector);
}

function endOfInterrupt(): void {
  const vector = highest(ApicOff.isr);
  if (vector < 0) return;
  clearBit(ApicOff.isr, vector);
  if ((load<u32>(APIC + (<usize>(vector >> 5) << 2), ApicOff.tmr) >> (vector & 31)) & 1) mmioWrite(IOAPIC_EOI, 0, 4, vector);
}

function apicError(bit: u32): void {
  store<u32>(APIC, load<u32>(APIC, ApicOff.esrPending) | bit, ApicOff.esrPending);
  const entry = lvt(Lvt.error);
  if (entry & MASKED) return;
  // an error interrupt with an illegal vector is an error of its own, which must not report itself for ever
  if ((entry & 0xff) < 16) store<u32>(APIC, load<u32>(APIC, ApicOff.esrPending) | Esr.receiveIllegal, ApicOff.esrPending);
  else apicPost(entry & 0xff);
}

@inline export function apicTpr(): u32 { return load<u32>(APIC, ApicOff.tpr); }
export function apicSetTpr(value: u32): void {
  store<u32>(APIC, value & 0xff, ApicOff.tpr);
  store<u64>(PCPU, <u64>(value & 0xff) >> 4, PcpuOff.cr8);
}

/* Timer. */

const enum TimerMode { oneShot = 0, periodic = 1, deadline = 2 }

@inline function timerMode(): u32 { return (lvt(Lvt.timer) >> 17) & 3; }

/** Nanoseconds a count: the divide configuration has its bits in 0, 1 and 3. */
function countNs(): f64 {
  const divide = load<u32>(APIC, ApicOff.timerDivide);
  const shift = ((divide & 3) | ((divide >> 1) & 4)) + 1 & 7;
  return BUS_NS * <f64>(<u32>1 << shift);
}

function startCount(): void {
  const initial = load<u32>(APIC, ApicOff.timerInitial), now = nowNs();
  store<f64>(APIC, now, ApicOff.timerStart);
  store<f64>(APIC, initial && timerMode() != TimerMode.deadline ? now + <f64>initial * countNs() : 0, ApicOff.timerNext);
}

function currentCount(): u32 {
  const next = load<f64>(APIC, ApicOff.timerNext), now = nowNs();
  if (next == 0 || timerMode() == TimerMode.deadline) return 0;
  if (now < next) return <u32>((next - now) / countNs());
  if (timerMode() != TimerMode.periodic) return 0;
  const period = <f64>load<u32>(APIC, ApicOff.timerInitial) * countNs();
  const late = now - next;
  return <u32>((period - (late - Math.floor(late / period) * period)) / countNs());
}

/** IA32_TSC_DEADLINE: 0 disarms; only in deadline mode does a write do anything. */
export function apicSetDeadline(tsc: u64): void {
  if (timerMode() != TimerMode.deadline) return;
  store<u64>(PCPU, tsc, PcpuOff.tscDeadline);
  if (!tsc) store<f64>(APIC, 0, ApicOff.timerNext);
  else {
    const at = nsOfTsc(tsc);
    store<f64>(APIC, at > 1 ? at : 1, ApicOff.timerNext);
    apicTick();
  }
}

/** The counter a deadline waits for shows something else now. */
export function apicTscMoved(): void {
  const deadline = load<u64>(PCPU, PcpuOff.tscDeadline);
  if (deadline) apicSetDeadline(deadline);
}

/** Machine time of the next timer interrupt, Infinity if there will be none. */
export function apicNextDeadline(): f64 {
  const next = load<f64>(APIC, ApicOff.timerNext);
  return next == 0 || lvt(Lvt.timer) & MASKED ? Infinity : next;
}

/** Posts the timer interrupt if it is due. */
export function apicTick(): void {
  const next = load<f64>(APIC, ApicOff.timerNext), now = nowNs();
  if (next == 0 || now < next) return;
  let again: f64 = 0;
  if (timerMode() == TimerMode.periodic) {
    const period = <f64>load<u32>(APIC, ApicOff.timerInitial) * countNs();
    if (period > 0) again = next + (Math.floor((now - next) / period) + 1) * period;
  } else if (timerMode() == TimerMode.deadline) store<u64>(PCPU, 0, PcpuOff.tscDeadline);
  store<f64>(APIC, again, ApicOff.timerNext);
  const entry = lvt(Lvt.timer);
  if (!(entry & MASKED)) apicPost(entry & 0xff);
}

function setTimerLvt(value: u32): void {
  apicTick(); // a count that has run out did so in the old mode
  const before = timerMode();
  store<u32>(APIC, value, ApicOff.lvt);
  if ((before == TimerMode.deadline) == (timerMode() == TimerMode.deadline)) return;
  store<f64>(APIC, 0, ApicOff.timerNext); // a switch to or from deadline mode disarms
  store<u64>(PCPU, 0, PcpuOff.tscDeadline);
}

/* Interprocessor interrupts. */

const enum Delivery { fixed = 0, lowest = 1, smi = 2, nmi = 4, init = 5, startup = 6 }

/** Does logical destination `dest` name the APIC with id `id` and logical id `ldr`? */
function logicalMatch(dest: u32, id: u32, ldr: u32): bool {
  if (x2apicMode()) return dest >> 16 == id >> 4 && ((dest >> (id & 15)) & 1) != 0;
  const mine = ldr >> 24;
  if (load<u32>(APIC, ApicOff.dfr) >> 28 == 15) return (dest & mine) != 0;
  return dest >> 4 == mine >> 4 && (dest & mine & 15) != 0;
}

function send(low: u32, dest: u32): void {
  const vector = low & 0xff, mode = (low >> 8) & 7, shorthand = (low >> 18) & 3;
  const logical = ((low >> 11) & 1) != 0;
  if (mode <= <u32>Delivery.lowest && vector < 16) return apicError(Esr.sendIllegal);
  if (mode == Delivery.init && !(low & (1 << 14)) && low & REMOTE_LEVEL) return; // INIT level de-assert: nothing
  const self = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  const domain = <usize>load<u32>(PCPU, PcpuOff.domain);
  if (!self || !domain) {
    if (shorthand == 1 || (shorthand == 0 && dest == load<u32>(APIC, ApicOff.id))) deliverTo(0, mode, vector);
    return;
  }
  const count = load<u32>(domain, DomainOff.vcpus);
  const broadcast = x2apicMode() ? dest == 0xffffffff : dest == 0xff;
  let target = <usize>load<u32>(domain, DomainOff.firstVcpu);
  for (let i: u32 = 0; i < count; i++, target += VcpuOff.SIZE) {
    const id = load<u32>(target, VcpuOff.id) * 2;
    let hit = false;
    if (shorthand == 0) {
      hit = broadcast || (logical ? logicalMatch(dest, id, logicalId(target, self)) : dest == id);
    } else if (shorthand == 1) hit = target == self;
    else hit = shorthand == 2 || target != self;
    if (!hit) continue;
    deliverTo(target == self ? 0 : target, mode, vector);
    if (mode == Delivery.lowest) return;
  }
}

/** Logical id of another vCPU's APIC, as its state image last showed it. */
function logicalId(target: usize, self: usize): u32 {
  if (target == self) return load<u32>(APIC, ApicOff.ldr);
  const pcpu = atomic.load<i32>(target, VcpuOff.pcpu);
  const first = PCPU - <usize>load<u32>(PCPU, PcpuOff.index) * Region.PCPU_STRIDE;
  const state = pcpu >= 0 ? first + <usize>pcpu * Region.PCPU_STRIDE : target + VcpuOff.image;
  return load<u32>(state + PcpuOff.apic, ApicOff.ldr);
}

/** `target` 0 is the vCPU itself. */
function deliverTo(target: usize, mode: u32, vector: u32): void {
  switch (<i32>mode) {
    case Delivery.fixed:
    case Delivery.lowest:
      if (target) apicPostTo(target, vector);
      else apicPost(vector);
      break;
    case Delivery.nmi:
      if (target) post(target, InitBit.nmi);
      else store<u32>(PCPU, 1, PcpuOff.nmiPending);
      break;
    case Delivery.init:
      if (target) post(target, InitBit.init);
      break;
    case Delivery.startup:
      if (target) {
        // Xen ignores a SIPI outside wait-for-SIPI; the target decides. A later SIPI replaces the vector.
        atomic.and<i32>(target, ~0xff, VcpuOff.apicInit);
        post(target, InitBit.sipi | vector);
      }
      break;
  }
}

function post(target: usize, bits: i32): void {
  atomic.or<i32>(target, bits, VcpuOff.apicInit);
  kick(target);
}

/* Registers. */

/** Reads register `reg`; false in `apicKnown` terms means it does not exist. */
export function apicReadRegister(reg: u32): u32 {
  if (reg >= <u32>Reg.isr && reg < <u32>Reg.esr) return load<u32>(APIC + (<usize>(reg & 7) << 2) + bankOf(reg));
  if (reg >= <u32>Reg.lvtTimer && reg <= <u32>Reg.lvtError) return lvt(reg - Reg.lvtTimer);
  switch (<i32>reg) {
    case Reg.id: return x2apicMode() ? load<u32>(APIC, ApicOff.id) : load<u32>(APIC, ApicOff.id) << 24;
    case Reg.version: return VERSION;
    case Reg.tpr: return load<u32>(APIC, ApicOff.tpr);
    case Reg.ppr: return processorPriority();
    case Reg.ldr: return x2apicMode() ? x2apicLogicalId() : load<u32>(APIC, ApicOff.ldr);
    case Reg.dfr: return load<u32>(APIC, ApicOff.dfr);
    case Reg.svr: return load<u32>(APIC, ApicOff.svr);
    case Reg.esr: return load<u32>(APIC, ApicOff.esr);
    case Reg.cmci: return lvt(Lvt.cmci);
    case Reg.icrLow: return load<u32>(APIC, ApicOff.icrLow);
    case Reg.icrHigh: return load<u32>(APIC, ApicOff.icrHigh);
    case Reg.timerInitial: return timerMode() == TimerMode.deadline ? 0 : load<u32>(APIC, ApicOff.timerInitial);
    case Reg.timerCurrent: return currentCount();
    case Reg.timerDivide: return load<u32>(APIC, ApicOff.timerDivide);
    case Reg.apr:
    case Reg.rrd:
    case Reg.eoi: return 0;
    default:
      apicError(Esr.illegalRegister);
      return 0;
  }
}

function bankOf(reg: u32): usize {
  return reg >= <u32>Reg.irr ? ApicOff.irr : reg >= <u32>Reg.tmr ? ApicOff.tmr : ApicOff.isr;
}

function x2apicLogicalId(): u32 {
  const id = load<u32>(APIC, ApicOff.id);
  return ((id >> 4) << 16) | (1 << (id & 15));
}

/** Writes register `reg`; ICR high has been written before ICR low. */
export function apicWriteRegister(reg: u32, value: u32): void {
  if (reg >= <u32>Reg.lvtTimer && reg <= <u32>Reg.lvtError) return writeLvt(reg - Reg.lvtTimer, value);
  switch (<i32>reg) {
    case Reg.id:
    case Reg.version: break; // read-only here: ids follow from vCPU numbers
    case Reg.tpr: apicSetTpr(value); break;
    case Reg.eoi: endOfInterrupt(); break;
    case Reg.ldr: store<u32>(APIC, value & 0xff000000, ApicOff.ldr); break;
    case Reg.dfr: store<u32>(APIC, value | 0x0fffffff, ApicOff.dfr); break;
    case Reg.svr: writeSvr(value & SVR); break;
    case Reg.esr:
      store<u32>(APIC, load<u32>(APIC, ApicOff.esrPending), ApicOff.esr);
      store<u32>(APIC, 0, ApicOff.esrPending);
      break;
    case Reg.cmci: writeLvt(Lvt.cmci, value); break;
    case Reg.icrLow:
      store<u32>(APIC, value & ~(1 << 12), ApicOff.icrLow); // delivery status: idle
      send(value, x2apicMode() ? load<u32>(APIC, ApicOff.icrHigh) : load<u32>(APIC, ApicOff.icrHigh) >> 24);
      break;
    case Reg.icrHigh: store<u32>(APIC, value, ApicOff.icrHigh); break;
    case Reg.timerInitial:
      if (timerMode() == TimerMode.deadline) break;
      store<u32>(APIC, value, ApicOff.timerInitial);
      startCount();
      break;
    case Reg.timerDivide: writeDivide(value & 11); break;
    case Reg.selfIpi: // there is no such register but in x2APIC mode
      if (x2apicMode()) apicPost(value & 0xff);
      else apicError(Esr.illegalRegister);
      break;
    default: apicError(Esr.illegalRegister);
  }
}

/** The count in progress goes on from where it is, at the new rate. */
function writeDivide(value: u32): void {
  const left = currentCount(), next = load<f64>(APIC, ApicOff.timerNext);
  store<u32>(APIC, value, ApicOff.timerDivide);
  if (next != 0 && timerMode() != TimerMode.deadline) store<f64>(APIC, nowNs() + <f64>left * countNs(), ApicOff.timerNext);
}

function writeSvr(value: u32): void {
  store<u32>(APIC, value, ApicOff.svr);
  if (value & 0x100) {
    // An upcall that was pending meanwhile has left no request behind (events.ts): look again.
    const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
    if (vcpu) atomic.or<i32>(vcpu, VcpuRequest.upcall, VcpuOff.request);
    return;
  }
  for (let i = 0; i < 7; i++) store<u32>(APIC + (i << 2), lvt(i) | MASKED, ApicOff.lvt); // disabling masks every entry
}

/** Delivery status and remote IRR, which writes leave alone. */
const LVT_STATUS: u32 = 1 << 12 | 1 << 14;

/** Writable bits of an LVT entry: vector, delivery mode, polarity, trigger, mask, timer mode. */
function lvtBits(index: i32): u32 {
  switch (index) {
    case Lvt.timer: return 0x700ff;
    case Lvt.lint0:
    case Lvt.lint1: return 0x1a7ff;
    case Lvt.error: return 0x100ff;
    default: return 0x107ff;
  }
}

function writeLvt(index: i32, value: u32): void {
  let entry = value & lvtBits(index);
  if (!softwareEnabled()) entry |= MASKED;
  if (index == Lvt.timer) setTimerLvt(entry);
  else store<u32>(APIC + (<usize>index << 2), entry, ApicOff.lvt);
}

/* The xAPIC page and the x2APIC MSRs. */

/** 32-bit read at `offset` of the APIC page. */
export function apicRead(offset: u32): u32 {
  if (offset & 15) return 0; // only the first four bytes of each 16 are defined
  return apicReadRegister(offset >> 4);
}

export function apicWrite(offset: u32, value: u32): void {
  if (!(offset & 15)) apicWriteRegister(offset >> 4, value);
}

/** May x2APIC register `reg` (MSR - 0x800) be read? */
export function x2apicReadable(reg: u32): bool {
  switch (<i32>reg) {
    case Reg.id:
    case Reg.version:
    case Reg.tpr:
    case Reg.ppr:
    case Reg.ldr:
    case Reg.svr:
    case Reg.esr:
    case Reg.cmci:
    case Reg.icrLow:
    case Reg.timerInitial:
    case Reg.timerCurrent:
    case Reg.timerDivide: return true;
    default: return (reg >= <u32>Reg.isr && reg < <u32>Reg.esr) || (reg >= <u32>Reg.lvtTimer && reg <= <u32>Reg.lvtError);
  }
}

/** May `value` be written to x2APIC register `reg`? Reserved bits must be 0. */
export function x2apicWritable(reg: u32, value: u64): bool {
  const low = <u32>value;
  if (reg != Reg.icrLow && value >> 32) return false;
  switch (<i32>reg) {
    case Reg.tpr:
    case Reg.selfIpi: return low < 256;
    case Reg.eoi:
    case Reg.esr: return low == 0;
    case Reg.svr: return !(low & ~SVR);
    case Reg.icrLow: return !(low & 0xfff32000);
    case Reg.timerInitial: return true;
    case Reg.timerDivide: return !(low & ~11);
    case Reg.cmci: return !(low & ~(lvtBits(Lvt.cmci) | LVT_STATUS));
    default: return reg >= <u32>Reg.lvtTimer && reg <= <u32>Reg.lvtError && !(low & ~(lvtBits(reg - Reg.lvtTimer) | LVT_STATUS));
  }
}

/** Accepts a write of IA32_APIC_BASE: which mode changes are legal is in SDM Vol.3A "x2APIC State Transitions". */
export function apicSetBase(value: u64): bool {
  const now = load<u32>(PCPU, PcpuOff.apicBase) & (BASE_ENABLE | BASE_EXTD), next = <u32>value & (BASE_ENABLE | BASE_EXTD);
  if (value >> 40 || <u32>value & 0x2ff) return false;
  if (next == BASE_EXTD) return false; // x2APIC without enable
  if (now != next) {
    if (now == (BASE_ENABLE | BASE_EXTD) && next == BASE_ENABLE) return false;
    if (now == 0 && next == (BASE_ENABLE | BASE_EXTD)) return false;
  }
  const old = load<u64>(PCPU, PcpuOff.apicBase), base = (value & ~<u64>0x100) | (old & 0x100);
  store<u64>(PCPU, base, PcpuOff.apicBase);
  if (base != old) flushTlbAll(); // what memory it hides
  if (!next && now) apicReset();
  return true;
}
