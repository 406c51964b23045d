/** CPUID: an AMD family 19h processor that has what this core has, and Xen's leaves (public/arch-x86/cpuid.h). Feature bits
 *  promise what the helpers do: keep them together. Mitigation bits say that nothing here speculates. */
import { DomainOff, PcpuOff, VcpuOff } from "../../abi/layout";
import { Cr4, Gpr } from "../../abi/x86";
import { PCPU } from "../pcpu";
import { CPU_SIGNATURE } from "./boot";
import { cr4 } from "./mode";
import { tscKhz } from "./tsc";

/** Leaf 1 EDX. */
const enum Edx1 {
  FPU = 1 << 0,
  VME = 1 << 1,
  DE = 1 << 2,
  PSE = 1 << 3,
  TSC = 1 << 4,
  MSR = 1 << 5,
  PAE = 1 << 6,
  MCE = 1 << 7,
  CX8 = 1 << 8,
  APIC = 1 << 9,
  SEP = 1 << 11,
  MTRR = 1 << 12,
  PGE = 1 << 13,
  MCA = 1 << 14,
  CMOV = 1 << 15,
  PAT = 1 << 16,
  PSE36 = 1 << 17,
  CLFSH = 1 << 19,
  MMX = 1 << 23,
  FXSR = 1 << 24,
  SSE = 1 << 25,
  SSE2 = 1 << 26,
  HTT = 1 << 28,
}

/** Leaf 1 ECX. */
const enum Ecx1 {
  SSE3 = 1 << 0,
  PCLMULQDQ = 1 << 1,
  SSSE3 = 1 << 9,
  CX16 = 1 << 13,
  PCID = 1 << 17,
  SSE4_1 = 1 << 19,
  SSE4_2 = 1 << 20,
  X2APIC = 1 << 21,
  MOVBE = 1 << 22,
  POPCNT = 1 << 23,
  TSC_DEADLINE = 1 << 24,
  AES = 1 << 25,
  XSAVE = 1 << 26,
  OSXSAVE = 1 << 27,
  RDRAND = 1 << 30,
}

const HYPERVISOR: u32 = 0x80000000;

const EDX1: u32 = Edx1.FPU | Edx1.VME | Edx1.DE | Edx1.PSE | Edx1.TSC | Edx1.MSR | Edx1.PAE | Edx1.MCE | Edx1.CX8 | Edx1.APIC | Edx1.SEP | Edx1.MTRR
  | Edx1.PGE | Edx1.MCA | Edx1.CMOV | Edx1.PAT | Edx1.PSE36 | Edx1.CLFSH | Edx1.MMX | Edx1.FXSR | Edx1.SSE | Edx1.SSE2;
const ECX1: u32 = Ecx1.SSE3 | Ecx1.PCLMULQDQ | Ecx1.SSSE3 | Ecx1.CX16 | Ecx1.PCID | Ecx1.SSE4_1 | Ecx1.SSE4_2 | Ecx1.X2APIC | Ecx1.MOVBE | Ecx1.POPCNT | Ecx1.TSC_DEADLINE
  | Ecx1.AES | Ecx1.XSAVE | Ecx1.RDRAND;
/** FSGSBASE TSC_ADJUST BMI1 SMEP BMI2 ERMS INVPCID, no FPU CS and DS, RDSEED ADX SMAP CLFLUSHOPT CLWB */
const EBX7: u32 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 13 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 23 | 1 << 24;
/** UMIP RDPID */
const ECX7: u32 = 1 << 2 | 1 << 22;
/** FSRM */
const EDX7: u32 = 1 << 4;
/** LAHF64, AltMovCr8 absent, LZCNT (ABM), 3DNow! prefetch */
const EXT_ECX: u32 = 1 << 0 | 1 << 5 | 1 << 8;
/** SYSCALL NX MMXEXT FXSR 1G-pages RDTSCP LM, and the bits shared with leaf 1 */
const EXT_EDX: u32 = (EDX1 & 0x0183f3ff) | 1 << 11 | 1 << 20 | 1 << 22 | 1 << 24 | 1 << 26 | 1 << 27 | 1 << 29;

const MAX_BASIC: u32 = 0x0d;
const XEN_BASE: u32 = 0x40000000;
const MAX_XEN: u32 = XEN_BASE + 5;
const MAX_EXTENDED: u32 = 0x80000021;

function answer(a: u32, b: u32, c: u32, d: u32): void {
  store<u64>(PCPU, <u64>a, Gpr.rax * 8);
  store<u64>(PCPU, <u64>b, Gpr.rbx * 8);
  store<u64>(PCPU, <u64>c, Gpr.rcx * 8);
  store<u64>(PCPU, <u64>d, Gpr.rdx * 8);
}

function vcpuId(): u32 {
  const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  return vcpu ? load<u32>(vcpu, VcpuOff.id) : 0;
}

/** vCPUs of the domain, at least 1. */
function vcpuCount(): u32 {
  const domain = <usize>load<u32>(PCPU, PcpuOff.domain);
  const count = domain ? load<u32>(domain, DomainOff.vcpus) : 1;
  return count ? count : 1;
}

/** Ids the package spans: APIC ids are even, so twice the vCPUs, as a power of two. */
function idBits(): u32 {
  const ids = vcpuCount() * 2;
  return 32 - clz<u32>(ids - 1);
}

export function cpuid(): void {
  const leaf = load<u32>(PCPU, Gpr.rax * 8), sub = load<u32>(PCPU, Gpr.rcx * 8);
  if (leaf >>> 28 == 4 && leaf <= MAX_XEN) return xenLeaf(leaf - XEN_BASE, sub);
  if (leaf >>> 28 == 8) return extended(leaf);
  basic(leaf, sub);
}

function basic(leaf: u32, sub: u32): void {
  switch (<i32>leaf) {
    case 0: return answer(MAX_BASIC, 0x68747541, 0x444d4163, 0x69746e65); // "AuthenticAMD"
    case 1: {
      const threads = vcpuCount();
      const osxsave: u32 = cr4() & Cr4.OSXSAVE ? Ecx1.OSXSAVE : 0;
      const apic: u32 = load<u32>(PCPU, PcpuOff.apicBase) & 0x800 ? 0 : Edx1.APIC;
      return answer(CPU_SIGNATURE, (vcpuId() * 2) << 24 | (<u32>1 << idBits() & 0xff) << 16 | 8 << 8, ECX1 | osxsave | HYPERVISOR,
        (EDX1 & ~apic) | (threads > 1 ? Edx1.HTT : 0));
    }
    case 7: return sub == 0 ? answer(0, EBX7, ECX7, EDX7) : answer(0, 0, 0, 0);
    case 0xb: return topology(sub);
    case 0xd: return xsaveArea(sub);
    default: return answer(0, 0, 0, 0);
  }
}

/** One thread a core: level 0 (SMT) shifts by the bit APIC ids skip, level 1 (core) by all ids. */
function topology(level: u32): void {
  const id = vcpuId() * 2;
  if (level == 0) return answer(1, 1, level | 1 << 8, id);
  if (level == 1) return answer(idBits(), vcpuCount(), level | 2 << 8, id);
  answer(0, 0, level, id);
}

/** XSAVE area: legacy region and header; XSAVEOPT and XSAVEC, no supervisor state. */
function xsaveArea(sub: u32): void {
  if (sub == 0) return answer(3, 576, 576, 0);
  if (sub == 1) return answer(3, 576, 0, 0);
  answer(0, 0, 0, 0);
}

function extended(leaf: u32): void {
  switch (<i32>(leaf & 0xfffffff)) {
    case 0: return answer(MAX_EXTENDED, 0x68747541, 0x444d4163, 0x69746e65);
    case 1: return answer(CPU_SIGNATURE, 0, EXT_ECX | (vcpuCount() > 1 ? 2 : 0), EXT_EDX);
    case 2: return answer(0x6f6e6578, 0x6874696c, 0x6f725020, 0x73736563); // "xenolith Process"
    case 3: return answer(0x0000726f, 0, 0, 0); // "or"
    case 4: return answer(0, 0, 0, 0);
    case 5: return answer(0xff40ff40, 0xff40ff40, 0x20080140, 0x20080140); // L1: 64 TLB entries, 32 KiB 8-way, 64 B lines
    case 6: return answer(0x48002200, 0x68004200, 0x02006140, 0); // L2: 512 KiB 8-way, no L3
    case 7: return answer(0, 0, 0, 1 << 8); // invariant TSC
    case 8: {
      // RstrFpErrPtrs, SSB_NO; 40 physical and 48 linear bits
      return answer(40 | 48 << 8, 1 << 2 | 1 << 26, (vcpuCount() - 1) | idBits() << 12, 0);
    }
    case 0x21: // no nested data breakpoints, LFENCE serializes, null selectors clear the base, automatic IBRS, SRSO_NO; TSA_SQ_NO, TSA_L1_NO
      return answer(1 << 0 | 1 << 2 | 1 << 6 | 1 << 8 | 1 << 29, 0, 1 << 1 | 1 << 2, 0);
    default: return answer(0, 0, 0, 0);
  }
}

/** public/arch-x86/cpuid.h, leaves 1 to 6 there. */
function xenLeaf(leaf: u32, sub: u32): void {
  switch (<i32>leaf) {
    case 0: return answer(MAX_XEN, 0x566e6558, 0x65584d4d, 0x4d4d566e);
    case 1: return answer(4 << 16 | 17, 0, 0, 0);
    case 2: return answer(1, XEN_BASE, 0, 0);
    case 3: return time(sub);
    case 4: // virtualized APIC registers and x2APIC, vCPU id, domid, upcall vector
      if (sub) return answer(0, 0, 0, 0);
      return answer(1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6, vcpuId(), load<u32>(PCPU, PcpuOff.domid), 0);
    default: return answer(0, sub == 0 ? 40 : 0, 0, 0);
  }
}

function time(sub: u32): void {
  const khz = tscKhz();
  if (sub == 0) return answer(1 << 0 | 1 << 1 | 1 << 2, 1, khz, 0); // emulated, reliable, RDTSCP
  if (sub == 2) return answer(khz, 0, 0, 0);
  if (sub != 1) return answer(0, 0, 0, 0);
  const offset = load<u64>(PCPU, PcpuOff.tscOffset);
  // ns = ((tsc << shift) * mul) >> 32 with mul in [2^31, 2^32)
  let rate = 1e6 / <f64>khz, shift: i32 = 0;
  while (rate >= 1) { rate *= 0.5; shift++; }
  while (rate < 0.5 && rate > 0) { rate *= 2; shift--; }
  answer(<u32>offset, <u32>(offset >> 32), <u32>(rate * 4294967296.0), <u32>shift);
}
