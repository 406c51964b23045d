/** The x87 instructions that loops of arithmetic consist of, without calls that pass or return doubles: JavaScript engines would box
 *  each in an object. Whatever is rare here (an empty or full register, a NaN as a result, a division by zero) is left to x87.ts
 *  before anything has changed. */
import type { BaselineCore } from "./core";

const scratch = new Float64Array(1);
const scratchBits = new Int32Array(scratch.buffer);
const single = new Float32Array(1);
const singleBits = new Int32Array(single.buffer);

/** The record's immediate: opcode's low bits times 8, ModRM.reg; 64 for register forms. */
const enum Key {
  arithmeticSingle = 0o0, // D8 with memory; FADD FMUL FCOM FCOMP FSUB FSUBR FDIV FDIVR
  fldSingle = 0o10,
  fstSingle = 0o12,
  fstpSingle = 0o13,
  fildLong = 0o30,
  arithmeticDouble = 0o40, // DC with memory
  fldDouble = 0o50,
  fstDouble = 0o52,
  fstpDouble = 0o53,
  arithmetic = 0o100, // D8 with registers
  fld = 0o110,
  fxch = 0o111,
  signs = 0o114, // FCHS, FABS
  constants = 0o115,
  fsqrt = 0o117,
  arithmeticTo = 0o140, // DC with registers
  fst = 0o152, // those that pop are odd
  fstp = 0o153,
  arithmeticPop = 0o160, // DE with registers
}

const enum Do {
  add = 0,
  mul = 1,
  sub = 4,
  subr = 5,
  div = 6,
  divr = 7,
}

/** True if the instruction is done. */
export function x87Hot(m: BaselineCore, ops: Int32Array, u: number): boolean {
  if (m.cr[0] & 0xc) return false;
  const { fpu, fpuUsed } = m;
  const key = ops[u + 1];
  const top = m.fpuTop;
  const i = (ops[u] >>> 14) & 7;
  const other = (top + i) & 7;
  const free = (top - 1) & 7;
  let operation = key & 7;
  let to = top;
  let a = fpu[top];
  let b = 0;
  switch (key) {
    case Key.fldSingle:
      if (fpuUsed[free]) return false;
      singleBits[0] = m.read32(m.address(u, 4, false));
      fpu[free] = single[0];
      fpuUsed[free] = 1;
      m.fpuTop = free;
      return true;
    case Key.fldDouble: {
      if (fpuUsed[free]) return false;
      const lin = m.address(u, 8, false);
      const e = m.tlbR[(lin >>> 12) | m.user];
      if (e !== 0 && (lin & 7) === 0) fpu[free] = m.ramDouble[(e ^ lin) >>> 3];
      else {
        scratchBits[0] = m.read32(lin);
        scratchBits[1] = m.read32((lin + 4) | 0);
        fpu[free] = scratch[0];
      }
      fpuUsed[free] = 1;
      m.fpuTop = free;
      return true;
    }
    case Key.fildLong:
      if (fpuUsed[free]) return false;
      fpu[free] = m.read32(m.address(u, 4, false));
      fpuUsed[free] = 1;
      m.fpuTop = free;
      return true;
    case Key.fld:
      if (fpuUsed[free] || !fpuUsed[other]) return false;
      fpu[free] = fpu[other];
      fpuUsed[free] = 1;
      m.fpuTop = free;
      return true;
    case Key.constants:
      if (fpuUsed[free] || (i !== 0 && i !== 6)) return false; // FLD1, FLDZ
      fpu[free] = i === 0 ? 1 : 0;
      fpuUsed[free] = 1;
      m.fpuTop = free;
      return true;
    case Key.fstDouble:
    case Key.fstpDouble: {
      const lin = m.address(u, 8, true);
      const e = m.tlbW[(lin >>> 12) | m.user];
      if (!fpuUsed[top]) return false;
      if (e !== 0 && (lin & 7) === 0) m.ramDouble[(e ^ lin) >>> 3] = a;
      else {
        m.checkWrite(lin, 8);
        scratch[0] = a;
        m.write32(lin, scratchBits[0]);
        m.write32((lin + 4) | 0, scratchBits[1]);
      }
      if (key & 1) {
        fpuUsed[top] = 0;
        m.fpuTop = (top + 1) & 7;
      }
      return true;
    }
    case Key.fstSingle:
    case Key.fstpSingle: {
      const lin = m.address(u, 4, true);
      if (!fpuUsed[top]) return false;
      single[0] = a;
      m.write32(lin, singleBits[0]);
      if (key & 1) {
        fpuUsed[top] = 0;
        m.fpuTop = (top + 1) & 7;
      }
      return true;
    }
    case Key.fst:
    case Key.fstp:
      if (!fpuUsed[top]) return false;
      fpu[other] = a;
      fpuUsed[other] = 1;
      if (key & 1) {
        fpuUsed[top] = 0;
        m.fpuTop = (top + 1) & 7;
      }
      return true;
    case Key.fxch:
      if (!fpuUsed[top] || !fpuUsed[other]) return false;
      fpu[top] = fpu[other];
      fpu[other] = a;
      return true;
    case Key.signs:
      if (i > 1 || !fpuUsed[top]) return false;
      fpu[top] = i === 0 ? -a : Math.abs(a);
      return true;
    case Key.fsqrt:
      if (i !== 2 || !fpuUsed[top] || !(a >= 0)) return false;
      fpu[top] = Math.sqrt(a);
      return true;
    case Key.arithmeticSingle:
    case Key.arithmeticSingle + Do.mul:
    case Key.arithmeticSingle + Do.sub:
    case Key.arithmeticSingle + Do.subr:
    case Key.arithmeticSingle + Do.div:
    case Key.arithmeticSingle + Do.divr:
      if (!fpuUsed[top]) return false;
      singleBits[0] = m.read32(m.address(u, 4, false));
      b = single[0];
      break;
    case Key.arithmeticDouble:
    case Key.arithmeticDouble + Do.mul:
    case Key.arithmeticDouble + Do.sub:
    case Key.arithmeticDouble + Do.subr:
    case Key.arithmeticDouble + Do.div:
    case Key.arithmeticDouble + Do.divr: {
      if (!fpuUsed[top]) return false;
      const lin = m.address(u, 8, false);
      const e = m.tlbR[(lin >>> 12) | m.user];
      if (e !== 0 && (lin & 7) === 0) b = m.ramDouble[(e ^ lin) >>> 3];
      else {
        scratchBits[0] = m.read32(lin);
        scratchBits[1] = m.read32((lin + 4) | 0);
        b = scratch[0];
      }
      break;
    }
    case Key.arithmetic:
    case Key.arithmetic + Do.mul:
    case Key.arithmetic + Do.sub:
    case Key.arithmetic + Do.subr:
    case Key.arithmetic + Do.div:
    case Key.arithmetic + Do.divr:
      if (!fpuUsed[top] || !fpuUsed[other]) return false;
      b = fpu[other];
      break;
    case Key.arithmeticTo:
    case Key.arithmeticTo + Do.mul:
    case Key.arithmeticTo + Do.sub:
    case Key.arithmeticTo + Do.subr:
    case Key.arithmeticTo + Do.div:
    case Key.arithmeticTo + Do.divr:
    case Key.arithmeticPop:
    case Key.arithmeticPop + Do.mul:
    case Key.arithmeticPop + Do.sub:
    case Key.arithmeticPop + Do.subr:
    case Key.arithmeticPop + Do.div:
    case Key.arithmeticPop + Do.divr:
      if (!fpuUsed[top] || !fpuUsed[other]) return false;
      if (operation > 1) operation ^= 1; // the reversed forms change places
      to = other;
      b = a;
      a = fpu[other];
      break;
    default:
      return false;
  }
  let r: number;
  switch (operation) {
    case Do.add:
      r = a + b;
      break;
    case Do.mul:
      r = a * b;
      break;
    case Do.sub:
      r = a - b;
      break;
    case Do.subr:
      r = b - a;
      break;
    case Do.div:
      if (b === 0) return false;
      r = a / b;
      break;
    default:
      if (a === 0) return false;
      r = b / a;
  }
  // biome-ignore lint/suspicious/noSelfCompare: the quickest test for NaN
  if (r !== r) return false;
  fpu[to] = r;
  if (key >= Key.arithmeticPop) {
    fpuUsed[top] = 0;
    m.fpuTop = (top + 1) & 7;
  }
  return true;
}
