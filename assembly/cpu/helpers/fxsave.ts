/** FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC, XRSTOR, LDMXCSR, STMXCSR (SDM Vol.2A FXSAVE, Vol.1 "Managing State Using the
 *  XSAVE Feature Set"). Components of XCR0: x87 (bit 0) and SSE (bit 1).
 *
 *  ```
 *    0  FCW u16, FSW u16, abridged tag u8, -, FOP u16, FIP u64 (or u32, FCS u16, -)
 *   16  FDP u64 (or u32, FDS u16, -), MXCSR u32, MXCSR_MASK u32
 *   32  ST(0)..ST(7), 16 bytes each
 *  160  XMM0..XMM15 (XMM7 outside 64-bit mode)
 *  512  XSAVE header: XSTATE_BV u64, XCOMP_BV u64, 48 reserved bytes
 *  ```
 *  As on AMD processors with "restore error pointers", FIP, FDP and FOP are saved and restored whether or not an exception
 *  is pending. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Cr0, Cr4, Gpr, Vector } from "../../abi/x86";
import { raise, raiseError } from "../../fault";
import { ld32, ld64, ldBytes, probeW, st32, st64, stBytes } from "../access";
import { Op } from "../opcodes.gen";
import { ea, opSize } from "../operand";
import { PCPU } from "../pcpu";
import { mode64 } from "./mode";
import { setControlWord } from "./x87_env";
import { Fcw, fninit, physical, refreshSummary, registerAt, Work } from "./x87_state";

const MXCSR_INIT: u32 = 0x1f80;
export const MXCSR_MASK: u32 = 0xffff;
/** What our XCR0 may hold. */
export const XCR0_SUPPORTED: u32 = 3;
const X87: u32 = 1;
const SSE: u32 = 2;
const AVX: u32 = 4;

const IMAGE: usize = PCPU + Work.area;
const HEADER: usize = IMAGE + 512;
const COMPACT: u64 = (<u64>1) << 63;

export function performFxsave(u: usize, op: i32): usize {
  const cr0 = load<u32>(PCPU, PcpuOff.cr0), cr4 = load<u32>(PCPU, PcpuOff.cr4);
  switch (op) {
    case Op.fxsave:
    case Op.fxrstor: {
      if (cr0 & (Cr0.EM | Cr0.TS)) return raise(Vector.NM);
      const lin = ea(u, 512, op == Op.fxsave);
      if (lin & 15) return raiseError(Vector.GP, 0);
      return op == Op.fxsave ? fxsave(u, lin) : fxrstor(u, lin);
    }
    case Op.ldmxcsr:
    case Op.stmxcsr: {
      if (cr0 & Cr0.EM || !(cr4 & Cr4.OSFXSR)) return raise(Vector.UD);
      if (cr0 & Cr0.TS) return raise(Vector.NM);
      const lin = ea(u, 4, op == Op.stmxcsr);
      if (op == Op.stmxcsr) st32(lin, load<u32>(PCPU, PcpuOff.mxcsr));
      else {
        const value = <u32>ld32(lin);
        if (value & ~MXCSR_MASK) return raiseError(Vector.GP, 0);
        store<u32>(PCPU, value, PcpuOff.mxcsr);
      }
      return u + RecOff.SIZE;
    }
    default: {
      if (!(cr4 & Cr4.OSXSAVE)) return raise(Vector.UD);
      if (cr0 & Cr0.TS) return raise(Vector.NM);
      const lin = ea(u, 576, op != Op.xrstor);
      if (lin & 63) return raiseError(Vector.GP, 0);
      const wanted = load<u32>(PCPU, PcpuOff.gpr + Gpr.rax * 8) & load<u32>(PCPU, PcpuOff.xcr0);
      return op == Op.xrstor ? xrstor(u, lin, wanted) : xsave(u, lin, wanted, op);
    }
  }
}

@inline function xmmCount(): u32 { return mode64() ? 16 : 8; }

/** Bytes 0..23 and 32..159: the x87 component. */
function buildX87(u: usize): void {
  store<u16>(IMAGE, load<u16>(PCPU, PcpuOff.fcw));
  store<u16>(IMAGE, load<u16>(PCPU, PcpuOff.fsw), 2);
  store<u16>(IMAGE, <u16>load<u8>(PCPU, PcpuOff.ftag), 4);
  store<u16>(IMAGE, load<u16>(PCPU, PcpuOff.fop), 6);
  const ip = load<u64>(PCPU, PcpuOff.fip), dp = load<u64>(PCPU, PcpuOff.fdp);
  if (opSize(u) == 8) {
    store<u64>(IMAGE, ip, 8);
    store<u64>(IMAGE, dp, 16);
  } else {
    store<u64>(IMAGE, (ip & 0xffffffff) | (<u64>load<u16>(PCPU, PcpuOff.fcs) << 32), 8);
    store<u64>(IMAGE, (dp & 0xffffffff) | (<u64>load<u16>(PCPU, PcpuOff.fds) << 32), 16);
  }
  for (let i: u32 = 0; i < 8; i++) {
    const from = registerAt(physical(i)), to = IMAGE + (<usize>i << 4);
    store<u64>(to, load<u64>(from, PcpuOff.fpr), 32);
    store<u64>(to, <u64>load<u16>(from, PcpuOff.fpr + 8), 40);
  }
}

function adoptX87(u: usize): void {
  setControlWord(<u32>load<u16>(IMAGE));
  store<u16>(PCPU, load<u16>(IMAGE, 2), PcpuOff.fsw);
  store<u8>(PCPU, load<u8>(IMAGE, 4), PcpuOff.ftag);
  store<u16>(PCPU, load<u16>(IMAGE, 6) & 0x7ff, PcpuOff.fop);
  const ip = load<u64>(IMAGE, 8), dp = load<u64>(IMAGE, 16), wide = opSize(u) == 8;
  store<u64>(PCPU, wide ? ip : ip & 0xffffffff, PcpuOff.fip);
  store<u64>(PCPU, wide ? dp : dp & 0xffffffff, PcpuOff.fdp);
  store<u16>(PCPU, wide ? 0 : <u16>(ip >> 32), PcpuOff.fcs);
  store<u16>(PCPU, wide ? 0 : <u16>(dp >> 32), PcpuOff.fds);
  for (let i: u32 = 0; i < 8; i++) {
    const to = registerAt(physical(i)), from = IMAGE + (<usize>i << 4);
    store<u64>(to, load<u64>(from, 32), PcpuOff.fpr);
    store<u16>(to, load<u16>(from, 40), PcpuOff.fpr + 8);
  }
  refreshSummary();
}

function buildMxcsr(): void {
  store<u32>(IMAGE, load<u32>(PCPU, PcpuOff.mxcsr), 24);
  store<u32>(IMAGE, MXCSR_MASK, 28);
}

function fxsave(u: usize, lin: u64): usize {
  const size = 160 + xmmCount() * 16;
  buildX87(u);
  buildMxcsr();
  memory.copy(IMAGE + 160, PCPU + PcpuOff.xmm, xmmCount() * 16);
  stBytes(lin, IMAGE, size);
  return u + RecOff.SIZE;
}

function fxrstor(u: usize, lin: u64): usize {
  const size = 160 + xmmCount() * 16;
  ldBytes(lin, IMAGE, size);
  if (load<u32>(IMAGE, 24) & ~MXCSR_MASK) return raiseError(Vector.GP, 0);
  adoptX87(u);
  store<u32>(PCPU, load<u32>(IMAGE, 24), PcpuOff.mxcsr);
  memory.copy(PCPU + PcpuOff.xmm, IMAGE + 160, xmmCount() * 16);
  return u + RecOff.SIZE;
}

/** Components that are not in their initial configuration (XINUSE). */
function inUseComponents(): u32 {
  let bits: u32 = 0;
  const rest = load<u64>(PCPU, PcpuOff.fip) | load<u64>(PCPU, PcpuOff.fdp)
    | <u64>(load<u16>(PCPU, PcpuOff.fop) | load<u16>(PCPU, PcpuOff.fcs) | load<u16>(PCPU, PcpuOff.fds)
    | load<u16>(PCPU, PcpuOff.fsw) | <u16>load<u8>(PCPU, PcpuOff.ftag));
  if (rest != 0 || load<u16>(PCPU, PcpuOff.fcw) != Fcw.INIT || anySet(PCPU + PcpuOff.fpr, 8)) bits |= X87;
  if (anySet(PCPU + PcpuOff.xmm, 16)) bits |= SSE;
  return bits;
}

function anySet(at: usize, vectors: u32): bool {
  let all = v128.load(at);
  for (let i: u32 = 1; i < vectors; i++) all = v128.or(all, v128.load(at + (<usize>i << 4)));
  return v128.any_true(all);
}

/** XSAVE stores every requested component; XSAVEOPT and XSAVEC leave out those in their initial configuration. */
function xsave(u: usize, lin: u64, wanted: u32, op: i32): usize {
  const inUse = inUseComponents(), compact = op == Op.xsavec;
  let present = inUse & wanted;
  if (compact && wanted & SSE && load<u32>(PCPU, PcpuOff.mxcsr) != MXCSR_INIT) present |= SSE;
  const stored = op == Op.xsave ? wanted : present;
  probeW(lin, 576); // nothing is stored unless all can be
  if (stored & X87) {
    buildX87(u);
    stBytes(lin, IMAGE, 24);
    stBytes(lin + 32, IMAGE + 32, 128);
  }
  if (compact ? stored & SSE : wanted & (SSE | AVX)) {
    buildMxcsr();
    stBytes(lin + 24, IMAGE + 24, 8);
  }
  if (stored & SSE) stBytes(lin + 160, PCPU + PcpuOff.xmm, xmmCount() * 16);
  if (compact) {
    st64(lin + 520, <u64>wanted | COMPACT);
    st64(lin + 512, <u64>present);
  } else st64(lin + 512, (ld64(lin + 512) & ~(<u64>wanted)) | <u64>present);
  return u + RecOff.SIZE;
}

/** #GP rules of the header: SDM Vol.1 "Standard Form of XRSTOR", "Compacted Form of XRSTOR". */
function headerValid(): bool {
  const present = load<u64>(HEADER), layout = load<u64>(HEADER, 8), allowed = load<u64>(PCPU, PcpuOff.xcr0);
  if (load<u64>(HEADER, 16)) return false;
  if (!(layout & COMPACT)) return layout == 0 && (present & ~allowed) == 0;
  for (let i: usize = 24; i < 64; i += 8) if (load<u64>(HEADER + i)) return false;
  return (layout & ~COMPACT & ~allowed) == 0 && (present & ~layout) == 0 && (present & COMPACT) == 0;
}

function xrstor(u: usize, lin: u64, wanted: u32): usize {
  ldBytes(lin, IMAGE, 576);
  if (!headerValid()) return raiseError(Vector.GP, 0);
  const present = load<u32>(HEADER), compact = (load<u64>(HEADER, 8) & COMPACT) != 0;
  let mxcsr = load<u32>(PCPU, PcpuOff.mxcsr);
  if (compact ? (wanted & SSE) != 0 : (wanted & (SSE | AVX)) != 0) {
    mxcsr = compact && !(present & SSE) ? MXCSR_INIT : load<u32>(IMAGE, 24);
    if (mxcsr & ~MXCSR_MASK) return raiseError(Vector.GP, 0);
  }
  if (wanted & X87) {
    if (present & X87) adoptX87(u);
    else {
      fninit();
      memory.fill(PCPU + PcpuOff.fpr, 0, 128);
    }
  }
  store<u32>(PCPU, mxcsr, PcpuOff.mxcsr);
  if (wanted & SSE) {
    if (present & SSE) memory.copy(PCPU + PcpuOff.xmm, IMAGE + 160, xmmCount() * 16);
    else memory.fill(PCPU + PcpuOff.xmm, 0, xmmCount() * 16);
  }
  return u + RecOff.SIZE;
}
