/** VCPUOP_initialise for HVM-style guests (public/hvm/hvm_vcpu.h): the register image a vCPU starts from. */
import { Errno } from "../../assembly/abi/errno";
import { PcpuOff, Seg, SegAttr, VcpuOff, VcpuStart } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { cStruct } from "./c_struct";
import type { Caller } from "./caller";

export const VCPU_HVM_CONTEXT = cStruct({ mode: "u32", pad: "u32", cpu_regs: "u64", rest: "u8[112]" });

export const X86_32 = cStruct({
  eax: "u32",
  ecx: "u32",
  edx: "u32",
  ebx: "u32",
  esp: "u32",
  ebp: "u32",
  esi: "u32",
  edi: "u32",
  eip: "u32",
  eflags: "u32",
  cr0: "u32",
  cr3: "u32",
  cr4: "u32",
  pad1: "u32",
  efer: "u64",
  cs_base: "u32",
  ds_base: "u32",
  ss_base: "u32",
  es_base: "u32",
  tr_base: "u32",
  cs_limit: "u32",
  ds_limit: "u32",
  ss_limit: "u32",
  es_limit: "u32",
  tr_limit: "u32",
  cs_ar: "u16",
  ds_ar: "u16",
  ss_ar: "u16",
  es_ar: "u16",
  tr_ar: "u16",
  pad2: "u8[6]",
});

export const X86_64 = cStruct({
  rax: "u64",
  rcx: "u64",
  rdx: "u64",
  rbx: "u64",
  rsp: "u64",
  rbp: "u64",
  rsi: "u64",
  rdi: "u64",
  rip: "u64",
  rflags: "u64",
  cr0: "u64",
  cr3: "u64",
  cr4: "u64",
  efer: "u64",
});

const REGS = 8; // offset of cpu_regs
const CR0_PE = 1;
const CR0_PG = 1n << 31n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;
const RFLAGS_FIXED = 2n;
const FLAT = 0xffffffff;
const CODE64 = 0xa09b; // SDM Vol.3A, segment descriptors: present, code, accessed, L, G
const DATA = 0xc093;
const TSS = 0x008b;

/** Sets the image from the structure in scratch: 0 or a negative error number. */
export function setContext(call: Caller, vcpu: number): number {
  switch (call.getU32(0)) {
    case Xen.VCPU_HVM_MODE_32B:
      return set32(call, vcpu);
    case Xen.VCPU_HVM_MODE_64B:
      return set64(call, vcpu);
    default:
      return -Errno.EINVAL;
  }
}

function set32(call: Caller, vcpu: number): number {
  const o = call.layout(X86_32);
  const u32 = (at: number) => call.getU32(REGS + at);
  const u16 = (at: number) => call.getU16(REGS + at);
  if ((u32(o.cr0) & CR0_PE) === 0 || u32(o.pad1) !== 0) return -Errno.EINVAL;
  const cs = segment(u16(o.cs_ar));
  const [ds, es, ss] = [u16(o.ds_ar), u16(o.es_ar), u16(o.ss_ar)].map(segment);
  const isCode = (cs & (SegAttr.P | SegAttr.S | 8)) === (SegAttr.P | SegAttr.S | 8);
  if (!isCode || (ss & SegAttr.NULL) !== 0) return -Errno.EINVAL;
  const image = vcpu + VcpuOff.image;
  const gprs = [o.eax, o.ecx, o.edx, o.ebx, o.esp, o.ebp, o.esi, o.edi];
  for (let n = 0; n < 8; n++) call.mem.set64(image + PcpuOff.gpr + 8 * n, BigInt(u32(gprs[n])));
  setControl(call, image, {
    rip: BigInt(u32(o.eip)),
    rflags: BigInt(u32(o.eflags)),
    cr0: BigInt(u32(o.cr0)),
    cr3: BigInt(u32(o.cr3)),
    cr4: BigInt(u32(o.cr4)),
    efer: call.getU64(REGS + o.efer),
  });
  setSegment(call, image, Seg.cs, u32(o.cs_base), u32(o.cs_limit), cs);
  setSegment(call, image, Seg.ds, u32(o.ds_base), u32(o.ds_limit), ds);
  setSegment(call, image, Seg.es, u32(o.es_base), u32(o.es_limit), es);
  setSegment(call, image, Seg.ss, u32(o.ss_base), u32(o.ss_limit), ss);
  const tr = u16(o.tr_ar) ? segment(u16(o.tr_ar)) : TSS;
  setSegment(call, image, Seg.tr, u32(o.tr_base), u32(o.tr_limit) || 0x67, tr);
  return 0;
}

function set64(call: Caller, vcpu: number): number {
  const o = call.layout(X86_64);
  const u64 = (at: number) => call.getU64(REGS + at);
  const needed = (CR0_PG | BigInt(CR0_PE)) & ~u64(o.cr0);
  if (needed !== 0n || (u64(o.efer) & EFER_LME) === 0n || (u64(o.efer) & EFER_LMA) === 0n) return -Errno.EINVAL;
  const image = vcpu + VcpuOff.image;
  const gprs = [o.rax, o.rcx, o.rdx, o.rbx, o.rsp, o.rbp, o.rsi, o.rdi];
  for (let n = 0; n < 8; n++) call.mem.set64(image + PcpuOff.gpr + 8 * n, u64(gprs[n]));
  setControl(call, image, {
    rip: u64(o.rip),
    rflags: u64(o.rflags),
    cr0: u64(o.cr0),
    cr3: u64(o.cr3),
    cr4: u64(o.cr4),
    efer: u64(o.efer),
  });
  setSegment(call, image, Seg.cs, 0, FLAT, CODE64);
  for (const seg of [Seg.ds, Seg.es, Seg.ss]) setSegment(call, image, seg, 0, FLAT, DATA);
  setSegment(call, image, Seg.tr, 0, 0x67, TSS);
  return 0;
}

/** Access rights as the header packs them: bits 0..7 and, from the descriptor's bits 20..23, 8..11. */
function segment(ar: number): number {
  const attr = (ar & 0xff) | ((ar & 0xf00) << 4);
  return ar & SegAttr.P ? attr : attr | SegAttr.NULL;
}

interface Control {
  rip: bigint;
  rflags: bigint;
  cr0: bigint;
  cr3: bigint;
  cr4: bigint;
  efer: bigint;
}

function setControl(call: Caller, image: number, control: Control): void {
  const { mem } = call;
  mem.set64(image + PcpuOff.rip, control.rip);
  mem.set64(image + PcpuOff.rflags, control.rflags | RFLAGS_FIXED);
  mem.set64(image + PcpuOff.cr0, control.cr0);
  mem.set64(image + PcpuOff.cr3, control.cr3);
  mem.set64(image + PcpuOff.cr4, control.cr4);
  mem.set64(image + PcpuOff.efer, control.efer);
  for (const seg of [Seg.fs, Seg.gs, Seg.ldtr]) setSegment(call, image, seg, 0, 0, SegAttr.NULL);
  mem.store(image - VcpuOff.image + VcpuOff.start, VcpuStart.image);
}

function setSegment(call: Caller, image: number, seg: Seg, base: number, limit: number, attr: number): void {
  const { mem } = call;
  if (seg <= Seg.gs) mem.set64(image + PcpuOff.segBase + 8 * seg, BigInt(base));
  else mem.set64(image + (seg === Seg.tr ? PcpuOff.trBase : PcpuOff.ldtBase), BigInt(base));
  mem.set32(image + PcpuOff.segSel + 4 * seg, 0);
  mem.set32(image + PcpuOff.segLimit + 4 * seg, limit);
  mem.set32(image + PcpuOff.segAttr + 4 * seg, attr);
}
