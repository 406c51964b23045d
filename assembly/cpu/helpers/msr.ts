/** Model-specific registers (SDM Vol.4, AMD APM Vol.2 appendix "MSR Cross-Reference"): those architecture or CPUID promise,
 *  the few AMD ones kernels touch unasked, and Xen's. Anything else is #GP(0) and a notice. */
import { SystemOff } from "../../abi/apic";
import { PcpuOff, Seg } from "../../abi/layout";
import { Cr0, Efer, Vector } from "../../abi/x86";
import { notice } from "../../env";
import { raiseError } from "../../fault";
import { flushTlbAll } from "../../mmu/tlb";
import { PCPU } from "../pcpu";
import {
  apicReadRegister, apicSetBase, apicSetDeadline, apicTick, apicTscMoved, apicWriteRegister, x2apicMode, x2apicReadable, x2apicWritable,
} from "./apic";

import { recheckInterrupts } from "./events";
import { fillHypercallPage } from "./hypercall_page";
import { canonical, cpl, cr0, resumeAfter, segBase, updateMode } from "./mode";
import { readTsc } from "./tsc";

/** Notice codes of this file (assembly/env.ts). */
export const NOTICE_MSR_READ: u32 = 1;
export const NOTICE_MSR_WRITE: u32 = 2;

const enum Msr {
  TSC = 0x10,
  PLATFORM_ID = 0x17,
  APIC_BASE = 0x1b,
  FEATURE_CONTROL = 0x3a,
  TSC_ADJUST = 0x3b,
  BIOS_UPDATE = 0x79,
  BIOS_SIGN = 0x8b,
  MTRR_CAP = 0xfe,
  SYSENTER_CS = 0x174,
  SYSENTER_ESP = 0x175,
  SYSENTER_EIP = 0x176,
  MCG_CAP = 0x179,
  MCG_STATUS = 0x17a,
  MISC_ENABLE = 0x1a0,
  DEBUG_CTL = 0x1d9,
  LAST_BRANCH_FROM = 0x1db,
  LAST_INT_TO = 0x1de,
  MTRR_VARIABLE = 0x200, // base, mask of eight ranges
  MTRR_FIX64K = 0x250,
  MTRR_FIX16K = 0x258, // and 0x259
  MTRR_FIX4K = 0x268, // to 0x26f
  PAT = 0x277,
  MTRR_DEF_TYPE = 0x2ff,
  TSC_DEADLINE = 0x6e0,
  X2APIC = 0x800,
  XEN_HYPERCALL = 0x40000000,
}

/** C000_xxxx and C001_xxxx; AssemblyScript constants because bit 31 is set. */
const EFER: u32 = 0xc0000080;
const STAR: u32 = 0xc0000081;
const LSTAR: u32 = 0xc0000082;
const CSTAR: u32 = 0xc0000083;
const SFMASK: u32 = 0xc0000084;
const FS_BASE: u32 = 0xc0000100;
const GS_BASE: u32 = 0xc0000101;
const KERNEL_GS_BASE: u32 = 0xc0000102;
const TSC_AUX: u32 = 0xc0000103;
const EVENT_SELECT: u32 = 0xc0010000; // performance counters, four each: Xen hides them by reading 0
const SYSCFG: u32 = 0xc0010010;
const HWCR: u32 = 0xc0010015;
const IORR_FIRST: u32 = 0xc0010016; // IORRs, TOP_MEM (C001001A), TOP_MEM2 (C001001D)
const NB_CFG: u32 = 0xc001001f;
const MC_CTL_MASK: u32 = 0xc0010044; // to C001004A
const INT_PENDING: u32 = 0xc0010055;
const PSTATE_LIMIT: u32 = 0xc0010061; // to C001006B
const SMM_BASE: u32 = 0xc0010111;
const SMM_MASK: u32 = 0xc0010113;
const VM_CR: u32 = 0xc0010114;
const PATCH_LOADER: u32 = 0xc0010020;
const LS_CFG: u32 = 0xc0011020;
const IC_CFG: u32 = 0xc0011021;
const DC_CFG: u32 = 0xc0011022;
const BU_CFG: u32 = 0xc0011023;
const DE_CFG: u32 = 0xc0011029;
const BU_CFG2: u32 = 0xc001102a;

const EFER_WRITABLE: u64 = Efer.SCE | Efer.LME | Efer.NXE | Efer.AUTOIBRS;
/** WC, fixed ranges, eight variable ones. */
const MTRR_CAP_VALUE: u64 = 0x508;
const PATCH_LEVEL: u64 = 0x0a101148;

function unknown(msr: u32, write: bool): usize {
  notice(write ? NOTICE_MSR_WRITE : NOTICE_MSR_READ, msr, load<u32>(PCPU, PcpuOff.domid));
  return raiseError(Vector.GP, 0);
}

/** Is `msr` one of the `count` from `first`? */
@inline function among(msr: u32, first: u32, count: u32): bool { return msr - first < count; }

/** Offset in the pCPU block of an MSR that is just 64 stored bits, 0 if it is not one. */
function slotOf(msr: u32): u32 {
  if (among(msr, Msr.MTRR_VARIABLE, 16)) return PcpuOff.mtrr + (msr - Msr.MTRR_VARIABLE) * 8;
  if (msr == Msr.MTRR_FIX64K) return PcpuOff.mtrr + 128;
  if (among(msr, Msr.MTRR_FIX16K, 2)) return PcpuOff.mtrr + 136 + (msr - Msr.MTRR_FIX16K) * 8;
  if (among(msr, Msr.MTRR_FIX4K, 8)) return PcpuOff.mtrr + 152 + (msr - Msr.MTRR_FIX4K) * 8;
  switch (msr) {
    case Msr.MTRR_DEF_TYPE: return PcpuOff.mtrrDefType;
    case Msr.PAT: return PcpuOff.pat;
    case Msr.SYSENTER_CS: return PcpuOff.sysenterCs;
    case Msr.SYSENTER_ESP: return PcpuOff.sysenterEsp;
    case Msr.SYSENTER_EIP: return PcpuOff.sysenterEip;
    case Msr.MISC_ENABLE: return PcpuOff.miscEnable;
    case Msr.MCG_STATUS: return SystemOff.mcgStatus;
    case Msr.DEBUG_CTL: return SystemOff.debugCtl;
    case Msr.TSC_DEADLINE: return PcpuOff.tscDeadline;
    case Msr.APIC_BASE: return PcpuOff.apicBase;
    case Msr.TSC_ADJUST: return SystemOff.tscAdjust;
    case EFER: return PcpuOff.efer;
    case STAR: return PcpuOff.star;
    case LSTAR: return PcpuOff.lstar;
    case CSTAR: return PcpuOff.cstar;
    case SFMASK: return PcpuOff.sfmask;
    case KERNEL_GS_BASE: return PcpuOff.kernelGsBase;
    case FS_BASE: return PcpuOff.segBase + Seg.fs * 8;
    case GS_BASE: return PcpuOff.segBase + Seg.gs * 8;
    case TSC_AUX: return PcpuOff.tscAux;
    case HWCR: return SystemOff.hwcr;
    case DE_CFG: return SystemOff.deCfg;
    case LS_CFG: return SystemOff.lsCfg;
    default: return 0;
  }
}

/** MSRs of AMD processors that read as 0 and ignore writes. */
function isInert(msr: u32): bool {
  if (among(msr, EVENT_SELECT, 8)) return true;
  if (among(msr, IORR_FIRST, 8)) return true;
  if (among(msr, MC_CTL_MASK, 7)) return true;
  if (among(msr, PSTATE_LIMIT, 11)) return true;
  if (among(msr, Msr.LAST_BRANCH_FROM, 4)) return true;
  switch (msr) {
    case SYSCFG:
    case NB_CFG:
    case INT_PENDING:
    case SMM_BASE:
    case SMM_MASK:
    case IC_CFG:
    case DC_CFG:
    case BU_CFG:
    case BU_CFG2: return true;
    default: return false;
  }
}

/** RDMSR; 0 with #GP pending, else the next record. */
export function rdmsr(u: usize): usize {
  if (cpl() != 0) return raiseError(Vector.GP, 0);
  const msr = load<u32>(PCPU, 8);
  let value: u64 = 0;
  if (msr == Msr.TSC_DEADLINE) apicTick(); // which disarms a deadline that has passed
  const slot = slotOf(msr);
  if (slot) value = load<u64>(PCPU + slot);
  else if (among(msr, Msr.X2APIC, 0x40)) {
    const reg = msr - Msr.X2APIC;
    if (!x2apicMode() || !x2apicReadable(reg)) return raiseError(Vector.GP, 0);
    value = <u64>apicReadRegister(reg);
    if (reg == 0x30) value |= <u64>apicReadRegister(0x31) << 32;
  } else {
    switch (msr) {
      case Msr.TSC: value = readTsc(); break;
      case Msr.MTRR_CAP: value = MTRR_CAP_VALUE; break;
      case Msr.BIOS_SIGN: value = PATCH_LEVEL; break;
      case Msr.MCG_CAP: // no banks
      case Msr.PLATFORM_ID: break;
      case VM_CR: value = 0x10; break; // SVM disabled
      case Msr.XEN_HYPERCALL: value = load<u64>(PCPU, SystemOff.hypercallGpa); break;
      default: if (!isInert(msr)) return unknown(msr, false);
    }
  }
  store<u64>(PCPU, value & 0xffffffff, 0);
  store<u64>(PCPU, value >> 32, 2 * 8);
  return u + 32;
}

/** Memory types: UC, WC, WT, WP, WB; UC- in PAT only. */
@inline function isMemoryType(type: u32): bool { return type < 7 && ((0x73 >> type) & 1) != 0; }

function typesAreValid(value: u64, uncachedMinus: bool): bool {
  for (let i: u32 = 0; i < 8; i++) {
    const type = <u32>(value >> (8 * i)) & 0xff;
    if (!isMemoryType(type) && !(uncachedMinus && type == 7)) return false;
  }
  return true;
}

/** May `value` go into the slot of `msr`? */
function isAcceptable(msr: u32, value: u64): bool {
  if (among(msr, Msr.MTRR_VARIABLE, 16)) {
    if (value >> 40) return false;
    return msr & 1 ? !(value & 0x7ff) : !(value & 0xf00) && isMemoryType(<u32>value & 0xff);
  }
  if (among(msr, Msr.MTRR_FIX64K, 32)) return typesAreValid(value, false);
  switch (msr) {
    case Msr.MTRR_DEF_TYPE: return !(value & ~<u64>0xcff) && isMemoryType(<u32>value & 0xff);
    case Msr.PAT: return typesAreValid(value, true);
    case Msr.SYSENTER_ESP:
    case Msr.SYSENTER_EIP:
    case LSTAR:
    case CSTAR:
    case FS_BASE:
    case GS_BASE:
    case KERNEL_GS_BASE: return canonical(value);
    case SFMASK:
    case TSC_AUX: return !(value >> 32);
    case Msr.DEBUG_CTL: return !(value & ~<u64>0x7f);
    default: return true;
  }
}

/** WRMSR ends its block. */
export function wrmsr(u: usize): usize {
  if (cpl() != 0) return raiseError(Vector.GP, 0);
  const msr = load<u32>(PCPU, 8), value = load<u64>(PCPU, 2 * 8) << 32 | <u64>load<u32>(PCPU, 0);
  switch (msr) {
    case EFER: return writeEfer(u, value);
    case Msr.TSC: moveTsc(value - readTsc()); return after(u);
    case Msr.TSC_ADJUST: moveTsc(value - load<u64>(PCPU, SystemOff.tscAdjust)); return after(u);
    case Msr.APIC_BASE: return apicSetBase(value) ? after(u) : raiseError(Vector.GP, 0);
    case Msr.TSC_DEADLINE: apicSetDeadline(value); return after(u);
    case Msr.XEN_HYPERCALL: return writeHypercallPage(u, value);
    default: break;
  }
  if (among(msr, Msr.X2APIC, 0x40)) {
    const reg = msr - Msr.X2APIC;
    if (!x2apicMode() || !x2apicWritable(reg, value)) return raiseError(Vector.GP, 0);
    if (reg == 0x30) apicWriteRegister(0x31, <u32>(value >> 32));
    apicWriteRegister(reg, <u32>value);
    return after(u);
  }
  const slot = slotOf(msr);
  if (slot) {
    if (!isAcceptable(msr, value)) return raiseError(Vector.GP, 0);
    store<u64>(PCPU + slot, value);
    return resumeAfter(u);
  }
  if (msr == Msr.BIOS_UPDATE || msr == Msr.BIOS_SIGN || msr == PATCH_LOADER || isInert(msr)) return resumeAfter(u);
  return unknown(msr, true);
}

/** The write may have unmasked an interrupt. */
function after(u: usize): usize {
  const next = resumeAfter(u);
  recheckInterrupts();
  return next;
}

/** TSC and TSC_ADJUST move together. A deadline that was armed stays the value it is, and may be past now. */
function moveTsc(by: u64): void {
  apicTick(); // by what the counter showed until now
  store<u64>(PCPU, load<u64>(PCPU, PcpuOff.tscOffset) + by, PcpuOff.tscOffset);
  store<u64>(PCPU, load<u64>(PCPU, SystemOff.tscAdjust) + by, SystemOff.tscAdjust);
  apicTscMoved();
}

function writeEfer(u: usize, value: u64): usize {
  const old = load<u64>(PCPU, PcpuOff.efer), next = (value & EFER_WRITABLE) | (old & Efer.LMA);
  if (value & ~(EFER_WRITABLE | Efer.LMA)) return raiseError(Vector.GP, 0);
  if (((old ^ next) & Efer.LME) && cr0() >>> Cr0.PG_BIT) return raiseError(Vector.GP, 0);
  store<u64>(PCPU, next, PcpuOff.efer);
  if ((old ^ next) & Efer.NXE) flushTlbAll();
  updateMode();
  return resumeAfter(u);
}

/** Xen's MSR: bits 63..12 gfn, bits 11..0 the page's number, of which there is one. */
function writeHypercallPage(u: usize, value: u64): usize {
  if (value & 0xfff || !fillHypercallPage(value)) return raiseError(Vector.GP, 0);
  store<u64>(PCPU, value, SystemOff.hypercallGpa);
  return resumeAfter(u);
}
