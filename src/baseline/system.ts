/** Control registers, descriptor tables, ports and what else the operating system uses. */
import { Flag, Vector } from "../../assembly/abi/x86";
import type { BaselineCore } from "./core";
import { Attr, Seg } from "./cpu";
import { readE, writeE } from "./exec";
import { Cold } from "./ops";
import { portAllowed, readPort, writePort } from "./ports";
import { findDescriptor, loadSegment, needDescriptor } from "./segments";
import { peek, push, setStackPointer, stackMask } from "./stack";

const PG = 1 << 31;
const PE = 1;
const PAGING_BITS = 0x80010001 | 0; // PG WP PE
const PSE = 1 << 4;
/** VME PVI TSD DE PSE MCE PGE PCE OSFXSR OSXMMEXCPT; no PAE. */
const CR4_BITS = 0x7df;
const TSD = 1 << 2;
/** FPU PSE TSC MSR CX8 SEP CMOV FXSR. */
const FEATURES = (1 << 0) | (1 << 3) | (1 << 4) | (1 << 5) | (1 << 8) | (1 << 11) | (1 << 15) | (1 << 24);
const SYSENTER_CS = 0x174;
const APIC_BASE = 0x1b;
const TSC = 0x10;

const privileged = (m: BaselineCore) => {
  if (m.cpl !== 0) m.gp();
};

function writeControl(m: BaselineCore, n: number, value: number): void {
  switch (n) {
    case 0:
      if ((value & PG && !(value & PE)) || (value & (1 << 29) && !(value & (1 << 30)))) m.gp();
      if (!(value & PE)) {
        m.log("real mode is not implemented");
        m.gp();
      }
      if ((value ^ m.cr[0]) & PAGING_BITS) m.flush();
      m.cr[0] = value | 0x10;
      return;
    case 3:
      m.cr[3] = value;
      m.flush();
      return;
    case 4:
      if (value & ~CR4_BITS) {
        m.log(`CR4 0x${(value >>> 0).toString(16)} is not implemented`);
        m.gp();
      }
      if ((value ^ m.cr[4]) & PSE) m.flush();
      m.cr[4] = value;
      return;
    default:
      m.cr[n] = value;
  }
}

/** Instructions since the start, as cycles. */
function timestamp(m: BaselineCore): [low: number, high: number] {
  const now = m.instructions + ((m.sliceWords - m.left) >> 2);
  return [now | 0, Math.floor(now / 0x100000000) | 0];
}

function readMsr(m: BaselineCore): void {
  const n = m.reg[1] >>> 0;
  const value = n === TSC ? timestamp(m) : (m.msr.get(n) ?? (n === APIC_BASE ? [0xfee00900 | 0, 0] : n >= SYSENTER_CS && n <= SYSENTER_CS + 2 ? [0, 0] : null));
  if (!value) {
    m.log(`MSR 0x${n.toString(16)} is not implemented`);
    m.gp();
  }
  m.reg[0] = value[0];
  m.reg[2] = value[1];
}

function writeMsr(m: BaselineCore): void {
  const n = m.reg[1] >>> 0;
  if (n !== APIC_BASE && n !== TSC && (n < SYSENTER_CS || n > SYSENTER_CS + 2)) {
    m.log(`MSR 0x${n.toString(16)} is not implemented`);
    m.gp();
  }
  m.msr.set(n, [m.reg[0], m.reg[2]]);
}

function cpuid(m: BaselineCore): void {
  const { reg } = m;
  const leaf = reg[0] >>> 0;
  const text = (s: string) => s.charCodeAt(0) | (s.charCodeAt(1) << 8) | (s.charCodeAt(2) << 16) | (s.charCodeAt(3) << 24);
  const set = (a: number, b: number, c: number, d: number) => {
    reg[0] = a;
    reg[3] = b;
    reg[1] = c;
    reg[2] = d;
  };
  // POPCNT and MOVBE in leaf 1, BMI1 BMI2 ADX in leaf 7, LZCNT in 0x80000001
  if (leaf === 0) set(7, text("xeno"), text("line"), text("lith"));
  else if (leaf === 1) set(0x611, 0, (1 << 22) | (1 << 23), FEATURES);
  else if (leaf === 7 && reg[1] === 0) set(0, (1 << 3) | (1 << 8) | (1 << 19), 0, 0);
  else if (leaf === 0x80000000) set(0x80000001 | 0, 0, 0, 0);
  else if (leaf === 0x80000001) set(0, 0, 1 << 5, 0);
  else set(0, 0, 0, 0);
}

const flatSegment = (m: BaselineCore, seg: Seg, selector: number, type: number) => m.setSegment(seg, selector, 0, 0xffffffff, type | Attr.P | Attr.S | Attr.DB | Attr.G | ((selector & 3) << Attr.DPL_SHIFT));

export function sysenter(m: BaselineCore): false {
  const cs = (m.msr.get(SYSENTER_CS)?.[0] ?? 0) & 0xfffc;
  if (cs === 0) m.gp();
  m.control &= ~(Flag.IF | Flag.VM | Flag.RF);
  m.setCpl(0);
  flatSegment(m, Seg.cs, cs, 11);
  flatSegment(m, Seg.ss, cs + 8, 3);
  m.reg[4] = m.msr.get(SYSENTER_CS + 1)?.[0] ?? 0;
  m.pc = m.msr.get(SYSENTER_CS + 2)?.[0] ?? 0;
  return false;
}

export function sysexit(m: BaselineCore): false {
  const cs = (m.msr.get(SYSENTER_CS)?.[0] ?? 0) & 0xfffc;
  if (cs === 0 || m.cpl !== 0) m.gp();
  m.setCpl(3);
  flatSegment(m, Seg.cs, (cs + 16) | 3, 11);
  flatSegment(m, Seg.ss, (cs + 24) | 3, 3);
  m.reg[4] = m.reg[1];
  m.pc = m.reg[2];
  return false;
}

/** LLDT and LTR. */
function loadSystemSegment(m: BaselineCore, seg: Seg.ldtr | Seg.tr, selector: number): void {
  const error = selector & 0xfffc;
  if (error === 0) {
    if (seg === Seg.tr) m.gp();
    m.setSegment(seg, selector, 0, 0, 0);
    return;
  }
  if (selector & 4) m.gp(error);
  const d = needDescriptor(m, selector);
  const type = d.attr & 31;
  if (seg === Seg.ldtr ? type !== 2 : type !== 1 && type !== 9) m.gp(error);
  if (!(d.attr & Attr.P)) m.raise(Vector.NP, error);
  if (seg === Seg.tr) m.writeFor32((d.at + 4) | 0, m.readFor32((d.at + 4) | 0, 0) | 0x200, 0); // busy
  m.setSegment(seg, selector, d.base, d.limit, d.attr | (seg === Seg.tr ? 2 : 0));
}

/** LAR LSL VERR VERW: what the selector leads to, null if the current level may not see it. */
function visible(m: BaselineCore, selector: number, cold: Cold): ReturnType<typeof findDescriptor> {
  if ((selector & 0xfffc) === 0) return null;
  const d = findDescriptor(m, selector);
  if (!d) return null;
  const dpl = (d.attr >> Attr.DPL_SHIFT) & 3;
  const conforming = (d.attr & (Attr.S | Attr.CODE | Attr.DOWN)) === (Attr.S | Attr.CODE | Attr.DOWN);
  if (!conforming && (m.cpl > dpl || (selector & 3) > dpl)) return null;
  if (!(d.attr & Attr.S)) {
    const system = cold === Cold.lar ? 0x1a3e : cold === Cold.lsl ? 0x0a0e : 0; // types 1-5 9 11 12 and 1-3 9 11
    return (system >> (d.attr & 15)) & 1 ? d : null;
  }
  if (cold === Cold.verr && d.attr & Attr.CODE && !(d.attr & Attr.WRITABLE)) return null;
  if (cold === Cold.verw && (d.attr & Attr.CODE || !(d.attr & Attr.WRITABLE))) return null;
  return d;
}

const setZero = (m: BaselineCore, on: boolean) => m.setStatus((m.status() & ~Flag.ZF) | (on ? Flag.ZF : 0));

/** Pseudo-descriptors of LGDT, LIDT, SGDT, SIDT. */
function tableRegister(m: BaselineCore, u: number, cold: Cold, width: number): void {
  const at = cold === Cold.sgdt || cold === Cold.lgdt ? 0 : 2;
  const store = cold === Cold.sgdt || cold === Cold.sidt;
  if (!store) privileged(m);
  const lin = m.address(u, 6, store);
  if (store) {
    m.checkWrite(lin, 6);
    m.write16(lin, m.table[at + 1]);
    m.write32((lin + 2) | 0, m.table[at]);
    return;
  }
  const limit = m.read16(lin);
  const base = m.read32((lin + 2) | 0);
  m.table[at + 1] = limit;
  m.table[at] = width === 1 ? base & 0xffffff : base;
}

function taskSwitched(m: BaselineCore, value: number): void {
  m.cr[0] = (m.cr[0] & ~0xe) | (value & 0xe) | (value & PE);
}

export function performSystem(m: BaselineCore, u: number, cold: Cold): boolean {
  const { ops } = m;
  const w0 = ops[u];
  const width = (ops[u + 3] >>> 26) & 3;
  const sub = ops[u + 3] >>> 28;
  const imm = ops[u + 1];
  const g = (w0 >>> 10) & 15;
  const rm = (w0 >>> 14) & 15;
  // stores of a selector to memory have 16 bits, to a register the operand size
  const selectorWidth = (w0 >> 30) & 1 ? 1 : width;
  switch (cold) {
    case Cold.pushSeg:
      pushSelector(m, width, m.selector[sub]);
      return true;
    case Cold.popSeg:
      loadSegment(m, sub, peek(m, width) & 0xffff);
      setStackPointer(m, (m.reg[4] + (1 << width)) & stackMask(m));
      break;
    case Cold.movFromSeg:
      if (g > 5) m.raise(Vector.UD);
      writeE(m, u, selectorWidth, m.selector[g]);
      return true;
    case Cold.movToSeg:
      if (g > 5 || g === Seg.cs) m.raise(Vector.UD);
      loadSegment(m, g, readE(m, u, 1) & 0xffff);
      break;
    case Cold.loadFar: {
      const lin = m.address(u, (1 << width) + 2, false);
      const offset = m.load(lin, width);
      loadSegment(m, sub, m.read16((lin + (1 << width)) | 0));
      m.setReg(g, width, offset);
      break;
    }
    case Cold.sldt:
    case Cold.str:
      writeE(m, u, selectorWidth, m.selector[cold === Cold.sldt ? Seg.ldtr : Seg.tr]);
      return true;
    case Cold.lldt:
    case Cold.ltr:
      privileged(m);
      loadSystemSegment(m, cold === Cold.lldt ? Seg.ldtr : Seg.tr, readE(m, u, 1) & 0xffff);
      return true;
    case Cold.verr:
    case Cold.verw:
      setZero(m, visible(m, readE(m, u, 1) & 0xffff, cold) !== null);
      return true;
    case Cold.lar:
    case Cold.lsl: {
      const d = visible(m, readE(m, u, 1) & 0xffff, cold);
      if (d) m.setReg(g, width, cold === Cold.lsl ? d.limit : m.readFor32((d.at + 4) | 0, 0) & 0xffff00);
      setZero(m, d !== null);
      return true;
    }
    case Cold.arpl: {
      const selector = readE(m, u, 1) & 0xffff;
      const rpl = m.getReg(g, 1) & 3;
      const lower = (selector & 3) < rpl;
      if (lower) writeE(m, u, 1, (selector & ~3) | rpl);
      setZero(m, lower);
      return true;
    }
    case Cold.sgdt:
    case Cold.sidt:
    case Cold.lgdt:
    case Cold.lidt:
      tableRegister(m, u, cold, width);
      return true;
    case Cold.movFromCr:
    case Cold.movToCr:
      privileged(m);
      if (g === 1 || g > 4) m.raise(Vector.UD);
      if (cold === Cold.movFromCr) {
        m.reg[rm] = m.cr[g];
        return true;
      }
      writeControl(m, g, m.reg[rm]);
      break;
    case Cold.movFromDr:
    case Cold.movToDr:
      privileged(m);
      if (cold === Cold.movFromDr) m.reg[rm] = m.dr[g];
      else m.dr[g] = m.reg[rm];
      return true;
    case Cold.smsw:
      writeE(m, u, selectorWidth, m.cr[0]);
      return true;
    case Cold.lmsw:
      privileged(m);
      taskSwitched(m, readE(m, u, 1) | (m.cr[0] & PE));
      break;
    case Cold.clts:
      privileged(m);
      m.cr[0] &= ~8;
      return true;
    case Cold.invlpg:
      privileged(m);
      m.flushPage((m.base[(w0 >>> 24) & 7] + m.offsetOf(u)) | 0);
      break;
    case Cold.invd:
      privileged(m);
      return true;
    case Cold.wrmsr:
      privileged(m);
      writeMsr(m);
      break;
    case Cold.rdmsr:
      privileged(m);
      readMsr(m);
      return true;
    case Cold.rdtsc:
      if (m.cpl !== 0 && m.cr[4] & TSD) m.gp();
      [m.reg[0], m.reg[2]] = timestamp(m);
      return true;
    case Cold.cpuid:
      cpuid(m);
      return true;
    case Cold.fence:
      return true;
    default: {
      // IN, OUT
      const port = cold === Cold.inImm || cold === Cold.outImm ? imm & 0xff : m.reg[2] & 0xffff;
      portAllowed(m, port, 1 << width);
      if (cold === Cold.inImm || cold === Cold.inDx) m.setReg(0, width, readPort(m, port, 1 << width));
      else writePort(m, port, m.reg[0], 1 << width);
    }
  }
  m.pc = m.next;
  return false;
}

/** A 32-bit push of a selector leaves the upper half of its place alone. */
function pushSelector(m: BaselineCore, width: number, selector: number): void {
  if (width === 1) {
    push(m, 1, selector);
    return;
  }
  const pointer = (m.reg[4] - 4) & stackMask(m);
  m.write16(m.linear(Seg.ss, pointer, 4, true), selector);
  setStackPointer(m, pointer);
}
