/** Delivery of exceptions and interrupts (SDM Vol.3A "Interrupt and Exception Handling", "Interrupt 8—Double Fault
 *  Exception", "64-Bit Mode Exception and Interrupt Handling").
 *
 *  Delivery may itself fault, by `fail()`, which leaves run(): PcpuOff.delivering then still says what was being delivered,
 *  and deliver() finds it when it is called for the second fault. While it is set, PcpuOff.rip is where the
 *  interrupted program continues, whatever record was current. */
import { InitBit, SystemOff } from "../../abi/apic";
import { Exit } from "../../abi/exit";
import { FaultKind, PcpuOff, Seg, SegAttr, TlbClass } from "../../abi/layout";
import { Flag, Gpr, Vector } from "../../abi/x86";
import { intAck, unwind } from "../../env";
import { failError } from "../../fault";
import { commitWrite, hostS, knownW, sysLd16, sysLd64 } from "../access";
import { resume } from "../code_cache";
import { materialize } from "../flags";
import { ripOf } from "../operand";
import { PCPU } from "../pcpu";
import { setTlbClass, tableOf } from "../../mmu/tlb";
import { apicAck, apicPending } from "./apic";
import { resetVcpu, startAt } from "./boot";
import { enterDebugException } from "./debug";
import {
  Sys, dplOf, gateOffset, gateSelector, isBig, isCode, isConforming, isLong, isNull, isPresent, isSegment, limitOf, linear, markAccessed,
  readDescriptor, typeOf,
} from "./descriptor";
import { domainVector, extIntReady, pollUpcall, mustWait, spentAt } from "./events";
import { enterCode } from "./far_transfer";
import {
  canonical, cpl, longActive, mode64, nextRip, realMode, rflags, ripMask, segSel, setRflags, updateMode, v86Mode,
} from "./mode";
import { setFromDescriptor, setNull, setReal, setSegment, stackDescriptor } from "./segment";
import { maskOf, moveRsp, needRoom, newStack, poke, rsp, setRsp, stackFrame, sysStN } from "./stack";
import { Switch, commitSwitch } from "./task";
import { tssStack64, tssStackPointer, tssStackSelector } from "./tss";
import { extended, redirectInterrupt } from "./vme";

/** takeInterrupt(): nothing to deliver. */
export const NO_INTERRUPT: usize = 0xffffffff;
/** takeInterrupt(): one is waiting, but STI or MOV SS holds it off the next instruction. Run a block, then ask again. */
export const HELD: usize = 0xfffffffe;

/** deliver(): the handler is in force, but its first instruction cannot be fetched; that fault is pending. */
export const UNFETCHED: usize = 0xfffffffd;

/** Values of PcpuOff.delivering. */
const enum Delivering {
  nothing = 0,
  benign = 1,
  contributory = 2,
  pageFault = 3,
  doubleFault = 4,
}

/** What is being delivered, as flags for deliverEvent(). */
const enum Event {
  hasError = 1,
  soft = 2, // INT n, INT3, INTO: the gate's DPL counts
  external = 4, // EXT bit of error codes
  sensitive = 8, // INT n: asks IOPL in virtual-8086 mode, as INT3 and INTO do not
}

function classOf(vector: i32): u32 {
  if (vector == Vector.DE || (vector >= Vector.TS && vector <= Vector.GP)) return Delivering.contributory;
  if (vector == Vector.PF) return Delivering.pageFault;
  return vector == Vector.DF ? Delivering.doubleFault : Delivering.benign;
}

/** Does the saved RFLAGS image of this exception have RF set? Faults do, so that a code breakpoint does not repeat. */
function setsRf(vector: i32, kind: u32): bool {
  switch (vector) {
    case Vector.DB: return kind == FaultKind.fault;
    case Vector.NMI:
    case Vector.BP:
    case Vector.OF:
    case Vector.DF:
    case Vector.MC: return false;
    default: return true;
  }
}

/** PcpuOff.stats: deliveries by vector, for profiles. */
function countFault(vector: i32): void {
  const at = PCPU + PcpuOff.stats + (<usize>(vector & 31) << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** Delivers the pending fault: the record to continue with, UNFETCHED, or 0 (another fault is pending, or
 *  Exit.tripleFault). */
@inline export function deliver(): usize {
  let vector = load<i32>(PCPU, PcpuOff.faultVector);
  let error = load<u32>(PCPU, PcpuOff.faultError), hasError = load<u32>(PCPU, PcpuOff.faultHasError) != 0;
  const kind = load<u32>(PCPU, PcpuOff.faultKind), record = <usize>load<u32>(PCPU, PcpuOff.record);
  const before = load<u32>(PCPU, PcpuOff.delivering);
  store<i32>(PCPU, -1, PcpuOff.faultVector);
  if (kind == FaultKind.fault && record != 0 && before == Delivering.nothing) {
    store<u64>(PCPU, ripMask(ripOf(record)), PcpuOff.rip);
  }
  const held = spentAt(load<u64>(PCPU, PcpuOff.rip)); // MOV SS's own data breakpoint, which comes behind this
  store<u32>(PCPU, 0, PcpuOff.record);
  store<u32>(PCPU, 0, PcpuOff.shadow);
  countFault(vector);
  if (vector == Vector.PF) store<u64>(PCPU, load<u64>(PCPU, PcpuOff.faultLin), PcpuOff.cr2);
  let second = classOf(vector);
  if (before >= <u32>Delivering.contributory && (second == Delivering.contributory || second == Delivering.pageFault)) {
    if (before == Delivering.doubleFault) return tripleFault();
    // A contributory fault after a page fault is double too; a page fault after a contributory one is not.
    if (before == Delivering.pageFault || second == Delivering.contributory) {
      vector = Vector.DF;
      error = 0;
      hasError = true;
      second = Delivering.doubleFault;
    }
  }
  store<u32>(PCPU, second, PcpuOff.delivering);
  let flags = <u32>materialize();
  if (vector == Vector.DB) {
    enterDebugException();
  } else {
    if (!held) store<u32>(PCPU, 0, PcpuOff.pendingDb); // the instruction did not complete
    store<u32>(PCPU, 0, SystemOff.stepArmed);
  }
  if (setsRf(vector, kind)) flags |= Flag.RF;
  deliverEvent(vector, error, Event.external | (hasError ? Event.hasError : 0), load<u64>(PCPU, PcpuOff.rip), flags);
  store<u32>(PCPU, Delivering.nothing, PcpuOff.delivering);
  if (load<i32>(PCPU, PcpuOff.faultVector) >= 0) return 0;
  const u = resume();
  return u ? u : UNFETCHED;
}

/** The event is on the stack and its handler in force; a new task may have raised a fault of its own. */
function delivered(): usize {
  store<u32>(PCPU, Delivering.nothing, PcpuOff.delivering);
  if (load<i32>(PCPU, PcpuOff.faultVector) >= 0) return 0;
  return resume();
}

function tripleFault(): usize {
  store<u32>(PCPU, Delivering.nothing, PcpuOff.delivering);
  store<i32>(PCPU, Exit.tripleFault, PcpuOff.exit);
  return 0;
}

/** INT3 and INTO at record `u`. */
export function softwareInterrupt(u: usize, vector: u32): usize { return soft(u, vector, Event.soft); }

/** INT n. */
export function interruptN(u: usize, vector: u32): usize { return soft(u, vector, Event.soft | Event.sensitive); }

function soft(u: usize, vector: u32, event: u32): usize {
  store<u32>(PCPU, 0, SystemOff.stepArmed); // delivery clears TF
  if (event & Event.sensitive && v86Mode() && extended() && redirectInterrupt(vector, nextRip(u))) return resume();
  deliverEvent(vector, 0, event, nextRip(u), <u32>materialize());
  return load<i32>(PCPU, PcpuOff.faultVector) >= 0 ? 0 : resume();
}

/** INT1 (ICEBP): a #DB that the gate's DPL does not stop. What MOV SS has held back until now comes with it. */
export function debugInterrupt(u: usize): usize {
  if (load<u32>(PCPU, PcpuOff.pendingDb)) enterDebugException();
  store<u32>(PCPU, 0, SystemOff.stepArmed);
  deliverEvent(Vector.DB, 0, Event.external, nextRip(u), <u32>materialize());
  return load<i32>(PCPU, PcpuOff.faultVector) >= 0 ? 0 : resume();
}

/** Delivers external interrupt or NMI `vector` before the instruction at PcpuOff.rip. */
export function interrupt(vector: u32): usize {
  store<u32>(PCPU, Delivering.benign, PcpuOff.delivering);
  store<u32>(PCPU, 0, PcpuOff.record);
  store<u32>(PCPU, 0, PcpuOff.shadow);
  store<u32>(PCPU, 0, PcpuOff.halted);
  store<u32>(PCPU, 0, SystemOff.stepArmed);
  deliverEvent(vector, 0, Event.external, load<u64>(PCPU, PcpuOff.rip), <u32>materialize());
  return delivered();
}

/** Between instructions, with PcpuOff.rip valid: delivers what may interrupt now. Returns the record to continue with (0: a
 *  fault or an exit is pending), NO_INTERRUPT, or HELD. Consumes VcpuRequest.apic and VcpuRequest.upcall. Wakes from HLT. */
export function takeInterrupt(): usize {
  const start = pollUpcall();
  if (start & (InitBit.init | InitBit.sipi)) return startup(start);
  const nmi = load<u32>(PCPU, PcpuOff.nmiPending) && !load<u32>(PCPU, PcpuOff.nmiBlocked);
  if ((!nmi && !(rflags() & Flag.IF)) || load<u32>(PCPU, PcpuOff.halted) == 2) return idle();
  const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  const upcall: u32 = vcpu != 0 && (rflags() & Flag.IF) ? domainVector(vcpu) : 0;
  const vector = rflags() & Flag.IF ? apicPending() : -1;
  const external = vcpu != 0 && (rflags() & Flag.IF) != 0 && extIntReady(vcpu);
  if (!nmi && !upcall && !external && vector < 0) return idle();
  if (mustWait()) return HELD;
  if (nmi) {
    store<u32>(PCPU, 0, PcpuOff.nmiPending);
    store<u32>(PCPU, 1, PcpuOff.nmiBlocked);
    return interrupt(Vector.NMI);
  }
  if (upcall) return interrupt(upcall);
  if (external) return interrupt(intAck() & 0xff); // not subject to priorities
  apicAck(vector);
  return interrupt(vector);
}

/** Nothing to deliver: a halted processor (or one that waits for SIPI) stays halted. */
function idle(): usize {
  if (!load<u32>(PCPU, PcpuOff.halted)) return NO_INTERRUPT;
  store<i32>(PCPU, Exit.hlt, PcpuOff.exit);
  return 0;
}

/** INIT and start-up IPIs (SDM Vol.3A "Multiple-Processor (MP) Initialization"). */
function startup(bits: i32): usize {
  if (bits & InitBit.init) {
    resetVcpu();
    store<u32>(PCPU, 2, PcpuOff.halted);
  }
  if (!(bits & InitBit.sipi) || load<u32>(PCPU, PcpuOff.halted) != 2) return idle();
  startAt(bits & 0xff);
  return resume();
}

/** Puts `vector` on the stack and its handler in force. Unwinds if it cannot. */
@inline function deliverEvent(vector: u32, error: u32, event: u32, rip: u64, flags: u32): void {
  if (realMode()) return deliverReal(vector, rip, flags);
  if (longActive()) return deliverLong(vector, error, event, rip, flags);
  deliverProtected(vector, error, event, rip, flags);
}

/** Error code for gate `vector` of the IDT. */
@inline function idtError(vector: u32, event: u32): u32 { return vector * 8 + 2 + ext(event); }
@inline function ext(event: u32): u32 { return (event >> 2) & 1; }

/* Real mode: four bytes a vector, FLAGS CS IP pushed. */

function deliverReal(vector: u32, rip: u64, flags: u32): void {
  if (vector * 4 + 3 > load<u32>(PCPU, PcpuOff.idtLimit)) failError(Vector.GP, vector * 8 + 2);
  const at = load<u64>(PCPU, PcpuOff.idtBase) + vector * 4;
  const offset = <u64>sysLd16(at), selector = <u32>sysLd16(at + 2);
  poke(2, 2, flags & 0xffff);
  poke(4, 2, segSel(Seg.cs));
  poke(6, 2, rip & 0xffff);
  moveRsp(-6);
  setRflags(rflags() & ~(Flag.IF | Flag.TF | Flag.AC | Flag.RF));
  setReal(Seg.cs, selector);
  store<u64>(PCPU, offset, PcpuOff.rip);
  updateMode();
}

/* IA-32e mode: 16-byte gates, always five quadwords and the error code, IST. */

/** Checks gate `d` common to both gate formats. */
@inline function checkGate(d: u64, vector: u32, event: u32): void {
  if ((event & Event.soft) && dplOf(d) < cpl()) failError(Vector.GP, vector * 8 + 2);
  if (!isPresent(d)) failError(Vector.NP, idtError(vector, event));
}

/** The handler's code segment. */
@inline function handlerSegment(selector: u32, event: u32): u64 {
  const code = (selector & 0xfffc) | ext(event);
  if (isNull(selector)) failError(Vector.GP, ext(event));
  const d = readDescriptor(selector, Vector.GP, ext(event));
  if (!isCode(d) || dplOf(d) > cpl()) failError(Vector.GP, code);
  if (!isPresent(d)) failError(Vector.NP, code);
  return d;
}

function deliverLong(vector: u32, error: u32, event: u32, rip: u64, flags: u32): void {
  if (vector * 16 + 15 > load<u32>(PCPU, PcpuOff.idtLimit)) failError(Vector.GP, idtError(vector, event));
  const at = load<u64>(PCPU, PcpuOff.idtBase) + vector * 16;
  const gate = <u64>sysLd64(at), type = typeOf(gate);
  if (isSegment(gate) || (type != Sys.intGate && type != Sys.trapGate)) failError(Vector.GP, idtError(vector, event));
  checkGate(gate, vector, event);
  const target = gateOffset(gate) | (<u64>sysLd64(at + 8) << 32);
  const selector = gateSelector(gate), cs = handlerSegment(selector, event);
  if (!isLong(cs) || isBig(cs)) failError(Vector.GP, (selector & 0xfffc) | ext(event));
  const now = cpl(), level = isConforming(cs) ? now : dplOf(cs), ist = <u32>(gate >> 32) & 7;
  let top = rsp();
  if (level != now || ist) top = tssStack64(level, ist, ext(event));
  else if (!mode64()) top &= 0xffffffff;
  const bytes: u32 = event & Event.hasError ? 48 : 40;
  const frame = (top & ~(<u64>15)) - bytes;
  if (!canonical(frame) || !canonical(frame + bytes - 1)) failError(Vector.SS, ext(event));
  if (!canonical(target)) failError(Vector.GP, ext(event));

  markAccessed(selector, cs);
  // The frame is written with the handler's privilege.
  if (level != now) {
    store<u32>(PCPU, level, PcpuOff.cpl);
    setTlbClass();
  }
  let host = hostS(frame, bytes);
  if (!host) {
    store<u32>(PCPU, now, PcpuOff.cpl);
    setTlbClass();
    unwind(); // with the page fault that is pending
  }
  const start = host;
  if (event & Event.hasError) {
    store<u64>(host, <u64>error);
    host += 8;
  }
  store<u64>(host, rip);
  store<u64>(host, <u64>segSel(Seg.cs), 8);
  store<u64>(host, <u64>flags, 16);
  store<u64>(host, rsp(), 24);
  store<u64>(host, <u64>segSel(Seg.ss), 32);
  if (start == PCPU + PcpuOff.scratchW) commitWrite();

  store<u64>(PCPU, frame, Gpr.rsp * 8);
  if (level != now) setSegment(Seg.ss, level, 0, 0, SegAttr.NULL);
  let clear: u32 = Flag.TF | Flag.NT | Flag.RF | Flag.VM;
  if (type == Sys.intGate) clear |= Flag.IF;
  setRflags(rflags() & ~clear);
  enterCode(selector, cs, level, target);
}

/* Legacy protected mode: 8-byte gates of 16 or 32 bits, and task gates. */

function deliverProtected(vector: u32, error: u32, event: u32, rip: u64, flags: u32): void {
  if ((event & Event.sensitive) && v86Mode() && (flags & Flag.IOPL) != Flag.IOPL) failError(Vector.GP, 0);
  if (vector * 8 + 7 > load<u32>(PCPU, PcpuOff.idtLimit)) failError(Vector.GP, idtError(vector, event));
  const gate = <u64>sysLd64(linear(load<u64>(PCPU, PcpuOff.idtBase) + vector * 8)), type = typeOf(gate);
  if (isSegment(gate) || (type != Sys.taskGate && (type & ~8) != Sys.intGate16 && (type & ~8) != Sys.trapGate16)) {
    failError(Vector.GP, idtError(vector, event));
  }
  checkGate(gate, vector, event);
  if (type == Sys.taskGate) return deliverTask(gateSelector(gate), error, event, rip, flags);
  const size = type & 8 ? 4 : 2;
  const selector = gateSelector(gate), cs = handlerSegment(selector, event);
  const target = size == 4 ? gateOffset(gate) : gateOffset(gate) & 0xffff;
  const level = isConforming(cs) ? cpl() : dplOf(cs);
  if (v86Mode() && level != 0) failError(Vector.GP, (selector & 0xfffc) | ext(event));
  const fits = target <= <u64>limitOf(cs); // looked at after the stack
  markAccessed(selector, cs);
  if (level != cpl()) pushInner(level, size, error, event, rip, flags, fits);
  else {
    const items: u32 = event & Event.hasError ? 4 : 3;
    needRoom(items * size, size, ext(event));
    if (!fits) failError(Vector.GP, ext(event));
    let host = size == 4 ? stackFrame(-(<i64>items * 4), <i32>items * 4, true) : 0;
    if (host) {
      if (items == 4) {
        store<u32>(host, error);
        host += 4;
      }
      store<u32>(host, <u32>rip);
      store<u32>(host, segSel(Seg.cs), 4);
      store<u32>(host, flags, 8);
    } else {
      poke(size, size, flags);
      poke(2 * size, size, segSel(Seg.cs));
      poke(3 * size, size, rip);
      if (items == 4) poke(4 * size, size, error);
    }
    moveRsp(-(<i64>items * size));
  }
  let clear: u32 = Flag.TF | Flag.NT | Flag.RF | Flag.VM;
  if (!(type & 1)) clear |= Flag.IF;
  setRflags(rflags() & ~clear);
  enterCode(selector, cs, level, target);
}

/** Frame on the stack of the more privileged `level`. */
function pushInner(level: u32, size: i32, error: u32, event: u32, rip: u64, flags: u32, fits: bool): void {
  const v86 = v86Mode();
  const top = <u64>tssStackPointer(level, ext(event)), ss = tssStackSelector(level);
  const d = stackDescriptor(ss, level, Vector.TS, ext(event)), mask = maskOf(d);
  const items: u32 = (v86 ? 9 : 5) + (event & Event.hasError ? 1 : 0), bytes = items * size;
  let at = newStack(d, top, bytes, Vector.SS, (ss & 0xfffc) | ext(event));
  if (!fits) failError(Vector.GP, ext(event));
  let host = size == 4 && !v86 ? knownW(tableOf(TlbClass.supervisor), at, <i32>bytes) : 0;
  if (host) {
    if (event & Event.hasError) {
      store<u32>(host, error);
      host += 4;
    }
    store<u32>(host, <u32>rip);
    store<u32>(host, segSel(Seg.cs), 4);
    store<u32>(host, flags, 8);
    store<u32>(host, <u32>rsp(), 12);
    store<u32>(host, segSel(Seg.ss), 16);
  } else {
    if (event & Event.hasError) {
      sysStN(at, size, error);
      at += size;
    }
    sysStN(at, size, rip);
    sysStN(at + size, size, segSel(Seg.cs));
    sysStN(at + 2 * size, size, flags);
    sysStN(at + 3 * size, size, rsp());
    sysStN(at + 4 * size, size, segSel(Seg.ss));
  }
  markAccessed(ss, d);
  if (v86) {
    sysStN(at + 5 * size, size, segSel(Seg.es));
    sysStN(at + 6 * size, size, segSel(Seg.ds));
    sysStN(at + 7 * size, size, segSel(Seg.fs));
    sysStN(at + 8 * size, size, segSel(Seg.gs));
    setNull(Seg.es, 0);
    setNull(Seg.ds, 0);
    setNull(Seg.fs, 0);
    setNull(Seg.gs, 0);
  }
  setFromDescriptor(Seg.ss, ss, d);
  setRsp(top - bytes, mask);
}

function deliverTask(tss: u32, error: u32, event: u32, rip: u64, flags: u32): void {
  const code = (tss & 0xfffc) | ext(event);
  if (tss & 4) failError(Vector.GP, code);
  const d = readDescriptor(tss, Vector.GP, ext(event));
  if (isSegment(d) || (typeOf(d) != Sys.tss && typeOf(d) != Sys.tss16)) failError(Vector.GP, code);
  if (!isPresent(d)) failError(Vector.NP, code);
  commitSwitch(tss, Switch.interrupt, rip, flags, ext(event), event & Event.hasError ? <i64>error : -1);
}
