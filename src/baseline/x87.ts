/** x87 arithmetic.
 *  DEVIATION: registers are JavaScript numbers. Results have the precision and range of doubles whatever precision control says,
 *  arithmetic rounds to nearest, transcendental functions are the host's, and exceptions set status bits but do not trap. */
import { Flag, Vector } from "../../assembly/abi/x86";
import type { BaselineCore } from "./core";
import { performState, readExtended, writeExtended } from "./x87_state";
import { remainder, roundTo, storeInteger, storePacked, loadPacked } from "./x87_number";
import { Cold } from "./ops";
import { needSse } from "./sse";

const IE = 1;
const ZE = 4;
const SF = 0x40;
const C0 = 0x100;
const C1 = 0x200;
const C2 = 0x400;
const C3 = 0x4000;

export const scratch64 = new Float64Array(1);
export const scratch32 = new Float32Array(1);
const bits64 = new Int32Array(scratch64.buffer);
const bits32 = new Int32Array(scratch32.buffer);

export function readDouble(m: BaselineCore, lin: number): number {
  bits64[0] = m.read32(lin);
  bits64[1] = m.read32((lin + 4) | 0);
  return scratch64[0];
}

function writeDouble(m: BaselineCore, lin: number, value: number): void {
  m.checkWrite(lin, 8);
  scratch64[0] = value;
  m.write32(lin, bits64[0]);
  m.write32((lin + 4) | 0, bits64[1]);
}

function readSingle(m: BaselineCore, lin: number): number {
  bits32[0] = m.read32(lin);
  return scratch32[0];
}

function writeSingle(m: BaselineCore, lin: number, value: number): void {
  scratch32[0] = value;
  m.write32(lin, bits32[0]);
}

/** ST(i); an empty register gives a NaN and a stack fault. */
function st(m: BaselineCore, i: number): number {
  const n = (m.fpuTop + i) & 7;
  if (m.fpuUsed[n]) return m.fpu[n];
  m.fpuStatus = (m.fpuStatus & ~C1) | IE | SF;
  return NaN;
}

function setSt(m: BaselineCore, i: number, value: number): void {
  const n = (m.fpuTop + i) & 7;
  m.fpu[n] = value;
  m.fpuUsed[n] = 1;
}

export function pushSt(m: BaselineCore, value: number): void {
  m.fpuTop = (m.fpuTop - 1) & 7;
  if (m.fpuUsed[m.fpuTop]) {
    m.fpuStatus |= IE | SF | C1;
    value = NaN;
  }
  m.fpu[m.fpuTop] = value;
  m.fpuUsed[m.fpuTop] = 1;
}

export function popSt(m: BaselineCore): void {
  m.fpuUsed[m.fpuTop] = 0;
  m.fpuTop = (m.fpuTop + 1) & 7;
}

function arithmetic(m: BaselineCore, operation: number, a: number, b: number): number {
  let r: number;
  switch (operation) {
    case 0:
      r = a + b;
      break;
    case 1:
      r = a * b;
      break;
    case 4:
      r = a - b;
      break;
    case 5:
      r = b - a;
      break;
    case 6:
      r = a / b;
      if (b === 0 && Number.isFinite(a) && a !== 0) m.fpuStatus |= ZE;
      break;
    default:
      r = b / a;
      if (a === 0 && Number.isFinite(b) && b !== 0) m.fpuStatus |= ZE;
  }
  // biome-ignore lint/suspicious/noSelfCompare: the quickest test for NaN
  if (r !== r && a === a && b === b) m.fpuStatus |= IE;
  return r;
}

/** C3 C2 C0 as FCOM sets them. */
function compare(m: BaselineCore, a: number, b: number): void {
  const codes = a > b ? 0 : a < b ? C0 : a === b ? C3 : C0 | C2 | C3;
  m.fpuStatus = (m.fpuStatus & ~(C0 | C1 | C2 | C3)) | codes;
  if (codes === (C0 | C2 | C3)) m.fpuStatus |= IE;
}

function compareToFlags(m: BaselineCore, a: number, b: number): void {
  m.setStatus(a > b ? 0 : a < b ? Flag.CF : a === b ? Flag.ZF : Flag.CF | Flag.PF | Flag.ZF);
}

/** Operation of D8, DA, DC, DE on a memory operand or register. */
function operate(m: BaselineCore, operation: number, to: number, b: number): void {
  if (operation === 2 || operation === 3) {
    compare(m, st(m, 0), b);
    if (operation === 3) popSt(m);
  } else setSt(m, to, arithmetic(m, operation, st(m, to), b));
}

/** D8 /r: memory operands are 32- and 64-bit numbers, 32- and 16-bit integers for D8 DC DA DE. */
function memoryOperand(m: BaselineCore, u: number, opcode: number): number {
  switch (opcode) {
    case 0:
      return readSingle(m, m.address(u, 4, false));
    case 4:
      return readDouble(m, m.address(u, 8, false));
    case 2:
      return m.read32(m.address(u, 4, false));
    default:
      return (m.read16(m.address(u, 2, false)) << 16) >> 16;
  }
}

export function performX87(m: BaselineCore, u: number, cold: Cold): void {
  if (cold === Cold.fwait) {
    if ((m.cr[0] & 0xa) === 0xa) m.raise(Vector.NM);
    return;
  }
  if (cold >= Cold.ldmxcsr) needSse(m);
  else if (m.cr[0] & 0xc) m.raise(Vector.NM);
  performState(m, u, cold);
}

/** The record's immediate: 64 for register forms, opcode's low bits times 8, ModRM.reg. */
export function x87(m: BaselineCore, ops: Int32Array, u: number): void {
  if (m.cr[0] & 0xc) m.raise(Vector.NM);
  const key = ops[u + 1];
  const operation = key & 7;
  const opcode = (key >> 3) & 7;
  if (key < 64) {
    if ((opcode & 1) === 0) operate(m, operation, 0, memoryOperand(m, u, opcode));
    else loadStore(m, u, opcode, operation);
    return;
  }
  const i = (ops[u] >>> 14) & 7;
  switch (opcode) {
    case 0:
      operate(m, operation, 0, st(m, i));
      return;
    case 1:
      registers(m, operation, i);
      return;
    case 2:
    case 3:
      moves(m, opcode, operation, i);
      return;
    case 4:
      // the reversed forms change places where the result is not ST(0)
      if (operation < 2) setSt(m, i, arithmetic(m, operation, st(m, i), st(m, 0)));
      else if (operation < 4) operate(m, operation, 0, st(m, i));
      else setSt(m, i, arithmetic(m, operation ^ 1, st(m, i), st(m, 0)));
      return;
    case 6:
      if (operation === 2) operate(m, 3, 0, st(m, i));
      else if (operation === 3) {
        compare(m, st(m, 0), st(m, 1));
        popSt(m);
        popSt(m);
      } else {
        setSt(m, i, arithmetic(m, operation < 2 ? operation : operation ^ 1, st(m, i), st(m, 0)));
        popSt(m);
      }
      return;
    case 5:
      others(m, operation, i);
      return;
    default:
      last(m, operation, i);
      return;
  }
}

/** D9, DB, DD, DF with memory. */
function loadStore(m: BaselineCore, u: number, opcode: number, operation: number): void {
  switch ((opcode << 3) | operation) {
    case 0o10:
      pushSt(m, readSingle(m, m.address(u, 4, false)));
      return;
    case 0o12:
    case 0o13:
      writeSingle(m, m.address(u, 4, true), st(m, 0));
      break;
    case 0o50:
      pushSt(m, readDouble(m, m.address(u, 8, false)));
      return;
    case 0o52:
    case 0o53:
      writeDouble(m, m.address(u, 8, true), st(m, 0));
      break;
    case 0o30:
      pushSt(m, m.read32(m.address(u, 4, false)));
      return;
    case 0o70:
      pushSt(m, (m.read16(m.address(u, 2, false)) << 16) >> 16);
      return;
    case 0o75: {
      const lin = m.address(u, 8, false);
      const low = m.read32(lin) >>> 0;
      pushSt(m, m.read32((lin + 4) | 0) * 0x100000000 + low);
      return;
    }
    case 0o31:
    case 0o32:
    case 0o33:
      storeInteger(m, m.address(u, 4, true), 2, st(m, 0), operation === 1);
      break;
    case 0o71:
    case 0o72:
    case 0o73:
      storeInteger(m, m.address(u, 2, true), 1, st(m, 0), operation === 1);
      break;
    case 0o51:
    case 0o77:
      storeInteger(m, m.address(u, 8, true), 3, st(m, 0), opcode === 5);
      popSt(m);
      return;
    case 0o35:
      pushSt(m, readExtended(m, m.address(u, 10, false)));
      return;
    case 0o37:
      writeExtended(m, m.address(u, 10, true), st(m, 0));
      popSt(m);
      return;
    case 0o74:
      pushSt(m, loadPacked(m, m.address(u, 10, false)));
      return;
    case 0o76:
      storePacked(m, m.address(u, 10, true), st(m, 0));
      popSt(m);
      return;
    default:
      performState(m, u, (opcode << 3) | operation);
      return;
  }
  // FIST and FST keep ST(0), FISTTP, FISTP and FSTP pop
  if (operation !== 2) popSt(m);
}

const CONSTANTS = [1, Math.log2(10), Math.LOG2E, Math.PI, Math.log10(2), Math.LN2, 0];

/** D9 with registers. */
function registers(m: BaselineCore, operation: number, i: number): void {
  switch (operation) {
    case 0:
      pushSt(m, st(m, i));
      return;
    case 1: {
      const x = st(m, 0);
      const y = st(m, i);
      setSt(m, 0, y);
      setSt(m, i, x);
      return;
    }
    case 3:
      setSt(m, i, st(m, 0));
      popSt(m);
      return;
    case 4:
      if (i === 0) setSt(m, 0, -st(m, 0));
      else if (i === 1) setSt(m, 0, Math.abs(st(m, 0)));
      else if (i === 4) compare(m, st(m, 0), 0);
      else examine(m);
      return;
    case 5:
      pushSt(m, CONSTANTS[i]);
      return;
    case 6:
    case 7:
      functions(m, ((operation & 1) << 3) | i);
      return;
  }
}

function examine(m: BaselineCore): void {
  const x = m.fpu[m.fpuTop];
  let codes = C2; // normal
  if (!m.fpuUsed[m.fpuTop]) codes = C3 | C0;
  else if (Number.isNaN(x)) codes = C0;
  else if (!Number.isFinite(x)) codes = C2 | C0;
  else if (x === 0) codes = C3;
  if (x < 0 || Object.is(x, -0)) codes |= C1;
  m.fpuStatus = (m.fpuStatus & ~(C0 | C1 | C2 | C3)) | codes;
}

/** D9 F0..FF. */
function functions(m: BaselineCore, n: number): void {
  const x = st(m, 0);
  const withY = (value: number) => {
    setSt(m, 1, value);
    popSt(m);
  };
  switch (n) {
    case 0:
      setSt(m, 0, Math.expm1(x * Math.LN2));
      return;
    case 1:
      withY(st(m, 1) * Math.log2(x));
      return;
    case 3:
      withY(Math.atan2(st(m, 1), x));
      return;
    case 4: {
      const exponent = x === 0 ? -Infinity : Math.floor(Math.log2(Math.abs(x)));
      setSt(m, 0, exponent);
      pushSt(m, x === 0 || !Number.isFinite(x) ? x : x / 2 ** exponent);
      return;
    }
    case 5:
    case 8: {
      const [r, quotient] = remainder(x, st(m, 1), n === 5);
      setSt(m, 0, r);
      m.fpuStatus = (m.fpuStatus & ~(C0 | C1 | C2 | C3)) | (quotient & 4 ? C0 : 0) | (quotient & 2 ? C3 : 0) | (quotient & 1 ? C1 : 0);
      return;
    }
    case 6:
      m.fpuTop = (m.fpuTop - 1) & 7;
      return;
    case 7:
      m.fpuTop = (m.fpuTop + 1) & 7;
      return;
    case 9:
      withY(st(m, 1) * (Math.log1p(x) / Math.LN2));
      return;
    case 10:
      if (x < 0) m.fpuStatus |= IE;
      setSt(m, 0, Math.sqrt(x));
      return;
    case 12:
      setSt(m, 0, roundTo(x, (m.fpuControl >> 10) & 3));
      return;
    case 13:
      setSt(m, 0, scale(x, Math.trunc(st(m, 1))));
      return;
  }
  // sines and tangents of numbers within range
  m.fpuStatus &= ~C2;
  if (Math.abs(x) >= 2 ** 63) {
    m.fpuStatus |= C2;
    return;
  }
  setSt(m, 0, n === 2 ? Math.tan(x) : n === 15 ? Math.cos(x) : Math.sin(x));
  if (n === 2) pushSt(m, 1);
  else if (n === 11) pushSt(m, Math.cos(x));
}

/** In two steps, for exponents out of the range of one. */
function scale(x: number, by: number): number {
  const n = Math.max(-4000, Math.min(4000, by));
  const half = Math.trunc(n / 2);
  return Number.isNaN(by) ? NaN : x * 2 ** half * 2 ** (n - half);
}

/** DA and DB with registers: FCMOVcc, FUCOMPP, FCOMI, FUCOMI, FNCLEX, FNINIT. */
function moves(m: BaselineCore, opcode: number, operation: number, i: number): void {
  if (operation < 4) {
    const holds = [m.is(2), m.is(4), m.is(6), m.is(10)][operation];
    if (holds === (opcode === 2)) setSt(m, 0, st(m, i));
  } else if (opcode === 2) {
    compare(m, st(m, 0), st(m, 1));
    popSt(m);
    popSt(m);
  } else if (operation >= 5) compareToFlags(m, st(m, 0), st(m, i));
  else if (i === 2) m.fpuStatus &= ~0x80ff;
  else if (i === 3) initialize(m);
}

export function initialize(m: BaselineCore): void {
  m.fpuControl = 0x37f;
  m.fpuStatus = 0;
  m.fpuTop = 0;
  m.fpuUsed.fill(0);
}

/** DD with registers: FFREE, FXCH, FST, FSTP, FUCOM, FUCOMP. */
function others(m: BaselineCore, operation: number, i: number): void {
  switch (operation) {
    case 0:
      m.fpuUsed[(m.fpuTop + i) & 7] = 0;
      return;
    case 1:
      registers(m, 1, i);
      return;
    case 2:
    case 3:
      setSt(m, i, st(m, 0));
      if (operation === 3) popSt(m);
      return;
    default:
      compare(m, st(m, 0), st(m, i));
      if (operation === 5) popSt(m);
  }
}

/** DF with registers: FFREEP, FXCH, FSTP, FNSTSW AX, FUCOMIP, FCOMIP. */
function last(m: BaselineCore, operation: number, i: number): void {
  switch (operation) {
    case 0:
      m.fpuUsed[(m.fpuTop + i) & 7] = 0;
      m.fpuTop = (m.fpuTop + 1) & 7;
      return;
    case 1:
      registers(m, 1, i);
      return;
    case 2:
    case 3:
      setSt(m, i, st(m, 0));
      popSt(m);
      return;
    case 4:
      m.setReg(0, 1, m.fpuStatus | (m.fpuTop << 11));
      return;
    default:
      compareToFlags(m, st(m, 0), st(m, i));
      popSt(m);
  }
}
