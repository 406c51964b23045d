/** System instructions by Op: operand access and privilege checks; the work is in the files beside this one. */
import { Exit } from "../../abi/exit";
import { Mode, PcpuOff, Seg } from "../../abi/layout";
import { RecFlag, RecOff } from "../../abi/record";
import { Cr0, Cr4, Flag, Gpr, Vector } from "../../abi/x86";
import { random } from "../../env";
import { fail, failError, raise, raiseError } from "../../fault";
import { flushTlb, flushTlbAll, invlpg, setTlbClass } from "../../mmu/tlb";
import { ld16, ld64, probeR, st16 } from "../access";
import { materialize, overflow, setStatus } from "../flags";
import { Op } from "../opcodes.gen";
import { ea, eaOffset, getReg, imm, isMem, opSize, regField, ripOf, rmField, setReg } from "../operand";
import { PCPU } from "../pcpu";
import { debugRegister, lmsw, nativeSize, readCr, readDr, writeCr, writeDr, xgetbv, xsetbv } from "./control";
import { cpuid } from "./cpuid";
import { debugDue } from "./debug";
import { SHADOW_SS, SHADOW_STI, interruptWaiting, recheckAfter, recheckInterrupts, setShadow, shadowAt, spentAt } from "./events";
import { callFar, jumpFar, returnFar } from "./far_transfer";
import { HELD, NO_INTERRUPT, debugInterrupt, interruptN, softwareInterrupt, takeInterrupt } from "./interrupt";
import { flagsWritable, interruptReturn, mergeFlags } from "./iret";
import { portIn, portOut } from "./io";
import {
  canonical, cpl, cr4, iopl, mode64, nextRip, realMode, resumeAfter, rflags, segBase, segSel, setRflags, updateMode, v86Mode,
} from "./mode";
import { rdmsr, wrmsr } from "./msr";
import { loadSegment } from "./segment";
import { ldN, moveRsp, peek, poke, rsp, setRsp, stackMask } from "./stack";
import { syscall, sysenter, sysexit, sysret } from "./syscall";
import { arpl, lar, lldt, loadTable, lsl, ltr, storeTable, verify } from "./tables";
import { readTsc } from "./tsc";
import { adoptVirtualImage, checkVirtualImage, extended, setVirtualInterruptFlag, virtualImage } from "./vme";

/** Next record of the block. */
@inline function next(u: usize): usize { return u + RecOff.SIZE; }

/** #GP(0) above CPL 0; virtual-8086 mode is CPL 3. */
@inline function needLevel0(): void {
  if (cpl() != 0) failError(Vector.GP, 0);
}

/** The 16-bit operand Ew. */
@inline function operand16(u: usize): u32 { return isMem(u) ? memory16(u) : <u32>getReg(rmField(u), 2); }

function memory16(u: usize): u32 { return <u32>ld16(ea(u, 2, false)); }

/** Result of SLDT, STR, SMSW, MOV from a segment: 16 bits to memory, operand size to a register. */
function storeSelector(u: usize, value: u64): usize {
  if (isMem(u)) st16(ea(u, 2, true), value);
  else setReg(rmField(u), opSize(u), value);
  return next(u);
}

/** UMIP (SDM Vol.3A "User-Mode Instruction Prevention"). */
function needUmip(): void {
  if ((cr4() & Cr4.UMIP) && cpl() == 3) failError(Vector.GP, 0);
}

function pushSegment(u: usize, seg: i32): usize {
  const size = opSize(u);
  poke(size, size, segSel(seg));
  moveRsp(-size);
  return next(u);
}

function popSegment(u: usize, seg: i32): usize {
  const size = opSize(u), mask = stackMask();
  const changed = loadSegment(seg, <u32>peek(0, size) & 0xffff);
  setRsp(rsp() + size, mask);
  return loaded(u, seg, changed);
}

/** Goes on behind the record that has loaded a segment register. */
@inline function loaded(u: usize, seg: i32, changed: bool): usize {
  if (seg == Seg.ss) {
    if (!spentAt(ripOf(u))) setShadow(SHADOW_SS, nextRip(u)); // of several in a row the first one holds back (SDM Vol.2B "MOV")
  } else if (!changed) return u + RecOff.SIZE;
  return resumeAfter(u);
}

function moveToSegment(u: usize): usize {
  const seg = regField(u) & 7;
  if (seg == Seg.cs || seg > Seg.gs) return raise(Vector.UD);
  return loaded(u, seg, loadSegment(seg, operand16(u)));
}

function moveFromSegment(u: usize): usize {
  const seg = regField(u) & 7;
  if (seg > Seg.gs) return raise(Vector.UD);
  return storeSelector(u, segSel(seg));
}

/** LDS, LES, LFS, LGS, LSS. */
function loadPointer(u: usize, seg: i32): usize {
  const size = opSize(u), lin = ea(u, size + 2, false);
  const offset = ldN(lin, size), selector = <u32>ld16(lin + size);
  loadSegment(seg, selector);
  setReg(regField(u), size, offset);
  return resumeAfter(u);
}

function farDirect(u: usize, call: bool): usize {
  const pointer = load<u64>(u, RecOff.imm), size = opSize(u);
  const offset = pointer & (size == 2 ? 0xffff : 0xffffffff), selector = <u32>(pointer >> 32) & 0xffff;
  return call ? callFar(u, selector, offset, size) : jumpFar(u, selector, offset, size);
}

function farIndirect(u: usize, call: bool): usize {
  const size = opSize(u), lin = ea(u, size + 2, false);
  const offset = ldN(lin, size), selector = <u32>ld16(lin + size);
  return call ? callFar(u, selector, offset, size) : jumpFar(u, selector, offset, size);
}

function bound(u: usize): usize {
  const size = opSize(u), lin = ea(u, size * 2, false), shift = 64 - size * 8;
  const low = <i64>(ldN(lin, size) << shift) >> shift, high = <i64>(ldN(lin + size, size) << shift) >> shift;
  const index = <i64>(getReg(regField(u), size) << shift) >> shift;
  return index < low || index > high ? raise(Vector.BR) : next(u);
}

/** In virtual-8086 mode PUSHF and POPF ask IOPL, and may have VIF to work on if it forbids IF. */
function virtualFlags(size: i32): bool {
  if (!v86Mode() || iopl() == 3) return false;
  if (size != 2 || !extended()) failError(Vector.GP, 0);
  return true;
}

function pushFlags(u: usize): usize {
  const size = opSize(u);
  poke(size, size, virtualFlags(size) ? <u64>virtualImage() : materialize() & ~<u64>(Flag.VM | Flag.RF));
  moveRsp(-size);
  return next(u);
}

function popFlags(u: usize): usize {
  const size = opSize(u), virtual = virtualFlags(size), image = <u32>peek(0, size);
  if (virtual) {
    checkVirtualImage(image);
    adoptVirtualImage(image);
  } else mergeFlags(image, flagsWritable(cpl(), size));
  moveRsp(size);
  updateMode();
  const to = resumeAfter(u);
  recheckInterrupts();
  return to;
}

/** An interrupt that became due earlier in this block is taken before IF is cleared: code that opens a window with STI
 *  relies on it. */
function clearInterruptFlag(u: usize): usize {
  if (!realMode() && cpl() > iopl()) {
    setVirtualInterruptFlag(false);
    return next(u);
  }
  const flags = rflags();
  if ((flags & Flag.IF) && interruptWaiting() && !shadowAt(ripOf(u))) {
    store<u64>(PCPU, ripOf(u), PcpuOff.rip);
    const to = takeInterrupt();
    if (to != NO_INTERRUPT && to != HELD) return to;
  }
  setRflags(flags & ~Flag.IF);
  return next(u);
}

function setInterruptFlag(u: usize): usize {
  if (!realMode() && cpl() > iopl()) {
    setVirtualInterruptFlag(true);
    return next(u);
  }
  const flags = rflags();
  if (flags & Flag.IF) return next(u);
  setRflags(flags | Flag.IF);
  setShadow(SHADOW_STI, nextRip(u));
  recheckAfter(u);
  return next(u);
}

function halt(u: usize): usize {
  needLevel0();
  if (debugDue()) return resumeAfter(u); // a debug trap ends HLT at once
  store<u64>(PCPU, nextRip(u), PcpuOff.rip);
  const to = takeInterrupt();
  if (to != NO_INTERRUPT && to != HELD) return to;
  store<u32>(PCPU, 1, PcpuOff.halted);
  store<i32>(PCPU, Exit.hlt, PcpuOff.exit);
  return 0;
}

function hypercall(u: usize): usize {
  store<u64>(PCPU, nextRip(u), PcpuOff.rip);
  store<i32>(PCPU, Exit.hypercall, PcpuOff.exit);
  return 0;
}

/** Debug and control registers move at full width whatever the operand size. */
function moveFromCr(u: usize): usize {
  const n = controlRegister(u);
  needLevel0();
  setReg(rmField(u), nativeSize(), readCr(n));
  return next(u);
}

function moveToCr(u: usize): usize {
  const n = controlRegister(u);
  needLevel0();
  return writeCr(u, n, getReg(rmField(u), nativeSize()));
}

/** CR0, CR2, CR3, CR4 and CR8; #UD for others. */
@inline function controlRegister(u: usize): i32 {
  const n = regField(u);
  if (n == 1 || (n > 4 && n != 8)) fail(Vector.UD);
  return n;
}

function moveFromDr(u: usize): usize {
  const slot = debugRegister(regField(u));
  if (slot < 0) return 0;
  setReg(rmField(u), nativeSize(), readDr(slot));
  return next(u);
}

function moveToDr(u: usize): usize {
  const slot = debugRegister(regField(u));
  if (slot < 0) return 0;
  return writeDr(u, slot, getReg(rmField(u), nativeSize()));
}

function invalidatePage(u: usize): usize {
  needLevel0();
  const offset = eaOffset(u);
  const lin = load<u8>(u, RecOff.flags) & RecFlag.seg ? segmentLinear(load<u8>(u, RecOff.seg), offset) : offset;
  if (!canonical(lin)) return u + RecOff.SIZE;
  // pages with code that is not flat have no numbers by which it were known to be one
  return invlpg(lin) || !(load<u32>(PCPU, PcpuOff.mode) & Mode.flat) ? resumeAfter(u) : u + RecOff.SIZE;
}

/** INVPCID (SDM Vol.2A). Only translations of the current PCID and global ones exist (writeCr3). Those of one PCID go with all that are not
 *  global. */
function invalidatePcid(u: usize): usize {
  needLevel0();
  const lin = ea(u, 16, false), kind = getReg(regField(u), nativeSize()), pcid = ld64(lin), address = ld64(lin + 8);
  if (kind > 3 || (kind < 2 && pcid != 0 && !(cr4() & Cr4.PCIDE)) || pcid >> 12 || (kind == 0 && !canonical(address))) return raiseError(Vector.GP, 0);
  if (kind == 0) invlpg(address);
  else if (kind == 2) flushTlbAll();
  else flushTlb();
  return resumeAfter(u);
}

/** INVLPG checks no limit. */
function segmentLinear(seg: i32, offset: u64): u64 {
  if (mode64()) return seg >= Seg.fs ? segBase(seg) + offset : offset;
  return (segBase(seg) + offset) & 0xffffffff;
}

/** CLAC and STAC: privileged, and not in virtual-8086 mode. At CPL 0 AC decides the TLB class alone. */
function setAc(u: usize, on: bool): usize {
  if (cpl() != 0) return raise(Vector.UD);
  setRflags(on ? rflags() | Flag.AC : rflags() & ~Flag.AC);
  setTlbClass();
  return next(u);
}

function readTime(u: usize, aux: bool): usize {
  if (cpl() != 0 && (cr4() & Cr4.TSD)) failError(Vector.GP, 0);
  const tsc = readTsc();
  store<u64>(PCPU, tsc & 0xffffffff, Gpr.rax * 8);
  store<u64>(PCPU, tsc >> 32, Gpr.rdx * 8);
  if (aux) store<u64>(PCPU, <u64>load<u32>(PCPU, PcpuOff.tscAux), Gpr.rcx * 8);
  return next(u);
}

/** RDPMC: the four counters every AMD processor has (APM Vol.2 "Performance Counters"), which never count here. */
function readCounter(u: usize): usize {
  if ((cpl() != 0 && !(cr4() & Cr4.PCE)) || load<u32>(PCPU, Gpr.rcx * 8) > 3) return raiseError(Vector.GP, 0);
  store<u64>(PCPU, 0, Gpr.rax * 8);
  store<u64>(PCPU, 0, Gpr.rdx * 8);
  return next(u);
}

/** RDRAND and RDSEED always succeed: CF = 1, the other status flags 0. */
function randomNumber(u: usize): usize {
  setReg(rmField(u), opSize(u), <u64>random() << 32 | <u64>random());
  setStatus(Flag.CF);
  return next(u);
}

/** RDFSBASE and its relatives: CR4.FSGSBASE or #UD. */
function needFsGsBase(): void {
  if (!(cr4() & Cr4.FSGSBASE)) fail(Vector.UD);
}

function readBase(u: usize, seg: i32): usize {
  needFsGsBase();
  setReg(rmField(u), opSize(u), segBase(seg));
  return next(u);
}

function writeBase(u: usize, seg: i32): usize {
  needFsGsBase();
  const base = getReg(rmField(u), opSize(u));
  if (!canonical(base)) return raiseError(Vector.GP, 0);
  store<u64>(PCPU + (<usize>seg << 3), base, PcpuOff.segBase);
  return next(u);
}

function swapGs(u: usize): usize {
  needLevel0();
  const base = segBase(Seg.gs);
  store<u64>(PCPU, load<u64>(PCPU, PcpuOff.kernelGsBase), PcpuOff.segBase + Seg.gs * 8);
  store<u64>(PCPU, base, PcpuOff.kernelGsBase);
  return next(u);
}

/** Operand size of IN and OUT: REX.W does not widen it. */
@inline function portSize(u: usize): i32 { return opSize(u) == 2 ? 2 : 4; }
@inline function portDx(): u32 { return load<u32>(PCPU, Gpr.rdx * 8) & 0xffff; }

export function performSystem(u: usize): usize {
  switch (<i32>load<u16>(u, RecOff.op)) {
    case Op.push_es: return pushSegment(u, Seg.es);
    case Op.push_cs: return pushSegment(u, Seg.cs);
    case Op.push_ss: return pushSegment(u, Seg.ss);
    case Op.push_ds: return pushSegment(u, Seg.ds);
    case Op.push_fs: return pushSegment(u, Seg.fs);
    case Op.push_gs: return pushSegment(u, Seg.gs);
    case Op.pop_es: return popSegment(u, Seg.es);
    case Op.pop_ss: return popSegment(u, Seg.ss);
    case Op.pop_ds: return popSegment(u, Seg.ds);
    case Op.pop_fs: return popSegment(u, Seg.fs);
    case Op.pop_gs: return popSegment(u, Seg.gs);
    case Op.mov_from_seg: return moveFromSegment(u);
    case Op.mov_to_seg: return moveToSegment(u);
    case Op.les: return loadPointer(u, Seg.es);
    case Op.lds: return loadPointer(u, Seg.ds);
    case Op.lss: return loadPointer(u, Seg.ss);
    case Op.lfs: return loadPointer(u, Seg.fs);
    case Op.lgs: return loadPointer(u, Seg.gs);

    case Op.sldt:
      needProtected();
      needUmip();
      return storeSelector(u, segSel(Seg.ldtr));
    case Op.str:
      needProtected();
      needUmip();
      return storeSelector(u, segSel(Seg.tr));
    case Op.lldt:
      needProtected();
      needLevel0();
      lldt(operand16(u));
      return next(u);
    case Op.ltr:
      needProtected();
      needLevel0();
      ltr(operand16(u));
      return next(u);
    case Op.verr:
      needProtected();
      return verify(u, operand16(u), false);
    case Op.verw:
      needProtected();
      return verify(u, operand16(u), true);
    case Op.lar:
      needProtected();
      return lar(u, operand16(u));
    case Op.lsl:
      needProtected();
      return lsl(u, operand16(u));
    case Op.arpl:
      needProtected();
      return arpl(u);
    case Op.sgdt:
      needUmip();
      return storeTable(u, PcpuOff.gdtBase, PcpuOff.gdtLimit);
    case Op.sidt:
      needUmip();
      return storeTable(u, PcpuOff.idtBase, PcpuOff.idtLimit);
    case Op.lgdt:
      needLevel0();
      return loadTable(u, PcpuOff.gdtBase, PcpuOff.gdtLimit);
    case Op.lidt:
      needLevel0();
      return loadTable(u, PcpuOff.idtBase, PcpuOff.idtLimit);
    case Op.rdfsbase: return readBase(u, Seg.fs);
    case Op.rdgsbase: return readBase(u, Seg.gs);
    case Op.wrfsbase: return writeBase(u, Seg.fs);
    case Op.wrgsbase: return writeBase(u, Seg.gs);
    case Op.swapgs: return swapGs(u);

    case Op.call_far_direct: return farDirect(u, true);
    case Op.jmp_far_direct: return farDirect(u, false);
    case Op.call_far: return farIndirect(u, true);
    case Op.jmp_far: return farIndirect(u, false);
    case Op.ret_far: return returnFar(opSize(u), 0);
    case Op.ret_far_imm: return returnFar(opSize(u), <u32>imm(u) & 0xffff);
    case Op.int3: return softwareInterrupt(u, Vector.BP);
    case Op.int_n: return interruptN(u, <u32>imm(u) & 0xff);
    case Op.into: return overflow() ? softwareInterrupt(u, Vector.OF) : resumeAfter(u);
    case Op.int1: return debugInterrupt(u);
    case Op.iret: return interruptReturn(u, opSize(u));
    case Op.bound: return bound(u);
    case Op.syscall: return syscall(u);
    case Op.sysret: return sysret(opSize(u));
    case Op.sysenter: return sysenter();
    case Op.sysexit: return sysexit(opSize(u));
    case Op.vmcall:
    case Op.vmmcall: return hypercall(u);

    case Op.pushf: return pushFlags(u);
    case Op.popf: return popFlags(u);
    case Op.cli: return clearInterruptFlag(u);
    case Op.sti: return setInterruptFlag(u);
    case Op.hlt: return halt(u);
    case Op.mov_from_cr: return moveFromCr(u);
    case Op.mov_to_cr: return moveToCr(u);
    case Op.mov_from_dr: return moveFromDr(u);
    case Op.mov_to_dr: return moveToDr(u);
    case Op.smsw:
      needUmip();
      return storeSelector(u, load<u64>(PCPU, PcpuOff.cr0));
    case Op.lmsw:
      needLevel0();
      return lmsw(u, operand16(u));
    case Op.clts:
      needLevel0();
      store<u64>(PCPU, load<u64>(PCPU, PcpuOff.cr0) & ~<u64>Cr0.TS, PcpuOff.cr0);
      return next(u);
    case Op.invlpg: return invalidatePage(u);
    case Op.invpcid: return invalidatePcid(u);
    case Op.invd:
    case Op.wbinvd:
      needLevel0();
      return next(u);
    case Op.clac: return setAc(u, false);
    case Op.stac: return setAc(u, true);
    case Op.xgetbv: return xgetbv(u);
    case Op.xsetbv: return xsetbv(u);
    case Op.wrmsr: return wrmsr(u);
    case Op.rdmsr: return rdmsr(u);
    case Op.rdtsc: return readTime(u, false);
    case Op.rdtscp: return readTime(u, true);
    case Op.rdpmc: return readCounter(u);
    case Op.cpuid:
      cpuid();
      return next(u);
    case Op.rdrand:
    case Op.rdseed: return randomNumber(u);
    case Op.rdpid:
      setReg(rmField(u), 8, load<u64>(PCPU, PcpuOff.tscAux));
      return next(u);
    case Op.lfence:
    case Op.mfence:
    case Op.sfence: return next(u);
    case Op.clflush:
      probeR(ea(u, 1, false)); // checked as a load of a byte, which it is not
      return next(u);

    case Op.in_byte_imm: return portIn(u, <u32>imm(u) & 0xff, 1);
    case Op.in_imm: return portIn(u, <u32>imm(u) & 0xff, portSize(u));
    case Op.in_byte_dx: return portIn(u, portDx(), 1);
    case Op.in_dx: return portIn(u, portDx(), portSize(u));
    case Op.out_byte_imm: return portOut(u, <u32>imm(u) & 0xff, 1);
    case Op.out_imm: return portOut(u, <u32>imm(u) & 0xff, portSize(u));
    case Op.out_byte_dx: return portOut(u, portDx(), 1);
    case Op.out_dx: return portOut(u, portDx(), portSize(u));
    default: return raise(Vector.UD);
  }
}

/** Instructions real and virtual-8086 mode do not recognize. */
function needProtected(): void {
  if (realMode() || v86Mode()) fail(Vector.UD);
}
