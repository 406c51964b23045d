/** Integer instructions of every width and addressing form. Memory is read and checked before registers or flags change. */
import { Flag, Vector } from "../../assembly/abi/x86";
import { alu, asciiAdjust, asciiDivide, asciiMultiply, decimalAdjust, divide, divideSigned, extend, incDec, multiply, multiplyWide, shift, shiftDouble } from "./alu";
import { performBits } from "./bits";
import type { BaselineCore } from "./core";
import { Kind } from "./cpu";
import { performFlow } from "./flow";
import { Alu, Cold } from "./ops";
import { performString } from "./strings";
import { performSystem } from "./system";
import { performX87, x87 } from "./x87";

/** Does the record at `u`; true if the next one follows, false if `pc` says where to go on. */
export function perform(m: BaselineCore, u: number): boolean {
  const cold = (m.ops[u + 3] >>> 16) & 1023;
  if (cold < Cold.FLOW) performInteger(m, u, cold);
  else if (cold < Cold.STRING) return performFlow(m, u, cold);
  else if (cold < Cold.SYSTEM) return performString(m, u, cold);
  else if (cold < Cold.X87) return performSystem(m, u, cold);
  else if (cold === Cold.x87) x87(m, m.ops, u);
  else performX87(m, u, cold);
  return true;
}

/** The E operand, sign-extended. */
export function readE(m: BaselineCore, u: number, width: number): number {
  const w = m.ops[u];
  return (w >> 30) & 1 ? m.load(m.address(u, 1 << width, false), width) : m.getReg((w >>> 14) & 15, width);
}

export function writeE(m: BaselineCore, u: number, width: number, value: number): void {
  const w = m.ops[u];
  if ((w >> 30) & 1) m.store(m.address(u, 1 << width, true), width, value);
  else m.setReg((w >>> 14) & 15, width, value);
}

/** E as an operand that is read and then written: `at` is its address, NOWHERE for a register. */
const NOWHERE = -0.5;
function destination(m: BaselineCore, u: number, width: number): number {
  if (!((m.ops[u] >> 30) & 1)) return NOWHERE;
  const lin = m.address(u, 1 << width, true);
  m.checkWrite(lin, 1 << width);
  return lin;
}
const fetch = (m: BaselineCore, u: number, at: number, width: number) => (at === NOWHERE ? m.getReg((m.ops[u] >>> 14) & 15, width) : m.load(at, width));
function put(m: BaselineCore, u: number, at: number, width: number, value: number): void {
  if (at === NOWHERE) m.setReg((m.ops[u] >>> 14) & 15, width, value);
  else m.store(at, width, value);
}

function bitTest(m: BaselineCore, u: number, operation: number, width: number, immediate: boolean): void {
  const { ops } = m;
  const bits = 8 << width;
  let at = NOWHERE;
  const index = immediate ? ops[u + 1] & (bits - 1) : m.getReg((ops[u] >>> 10) & 15, width);
  if ((ops[u] >> 30) & 1) {
    // a bit string in memory: the index reaches beyond the operand
    const away = immediate ? 0 : (index >> (3 + width)) << width;
    const offset = m.offsetOf(u) + away;
    at = m.linear((ops[u] >>> 24) & 7, (ops[u] >>> 27) & 1 ? offset & 0xffff : offset | 0, 1 << width, operation !== 0);
    if (operation !== 0) m.checkWrite(at, 1 << width);
  }
  const mask = 1 << (index & (bits - 1));
  const x = fetch(m, u, at, width);
  const status = (m.status() & ~Flag.CF) | (x & mask ? Flag.CF : 0);
  if (operation !== 0) put(m, u, at, width, operation === 1 ? x | mask : operation === 2 ? x & ~mask : x ^ mask);
  m.setStatus(status);
}

function compareExchange(m: BaselineCore, u: number, width: number): void {
  const at = destination(m, u, width);
  const x = fetch(m, u, at, width);
  const accumulator = m.getReg(0, width);
  if (x === accumulator) put(m, u, at, width, m.getReg((m.ops[u] >>> 10) & 15, width));
  else {
    put(m, u, at, width, x);
    m.setReg(0, width, x);
  }
  m.setFlags(Kind.sub, extend(accumulator - x, width), accumulator, x);
}

function compareExchange8(m: BaselineCore, u: number): void {
  const { reg } = m;
  const lin = m.address(u, 8, true);
  m.checkWrite(lin, 8);
  const low = m.read32(lin);
  const high = m.read32((lin + 4) | 0);
  const same = low === reg[0] && high === reg[2];
  if (same) {
    m.write32(lin, reg[3]);
    m.write32((lin + 4) | 0, reg[1]);
  } else {
    reg[0] = low;
    reg[2] = high;
  }
  m.setStatus((m.status() & ~Flag.ZF) | (same ? Flag.ZF : 0));
}

function performInteger(m: BaselineCore, u: number, cold: Cold): void {
  const { ops } = m;
  const w0 = ops[u];
  const w3 = ops[u + 3];
  const width = (w3 >>> 26) & 3;
  const sub = w3 >>> 28;
  const imm = ops[u + 1];
  const g = (w0 >>> 10) & 15;
  switch (cold) {
    case Cold.alu:
      if (w0 < 0) {
        const b = readE(m, u, width);
        const r = alu(m, sub, width, m.getReg(g, width), b);
        if (sub !== Alu.cmp) m.setReg(g, width, r);
        return;
      }
      aluTo(m, u, sub, width, m.getReg(g, width));
      return;
    case Cold.aluImm:
      aluTo(m, u, sub, width, imm);
      return;
    case Cold.test:
      alu(m, Alu.and, width, readE(m, u, width), m.getReg(g, width));
      return;
    case Cold.testImm:
      alu(m, Alu.and, width, readE(m, u, width), imm);
      return;
    case Cold.mov:
      if (w0 < 0) m.setReg(g, width, readE(m, u, width));
      else writeE(m, u, width, m.getReg(g, width));
      return;
    case Cold.movImm:
      writeE(m, u, width, imm);
      return;
    case Cold.movoffs:
      m.setReg(0, width, readE(m, u, width));
      return;
    case Cold.movoffsStore:
      writeE(m, u, width, m.getReg(0, width));
      return;
    case Cold.xchg: {
      const at = destination(m, u, width);
      const x = fetch(m, u, at, width);
      put(m, u, at, width, m.getReg(g, width));
      m.setReg(g, width, x);
      return;
    }
    case Cold.xadd: {
      const at = destination(m, u, width);
      const x = fetch(m, u, at, width);
      const y = m.getReg(g, width);
      const r = alu(m, Alu.add, width, x, y);
      m.setReg(g, width, x);
      put(m, u, at, width, r);
      return;
    }
    case Cold.cmpxchg:
      compareExchange(m, u, width);
      return;
    case Cold.cmpxchg8b:
      compareExchange8(m, u);
      return;
    case Cold.inc:
    case Cold.dec: {
      const at = destination(m, u, width);
      put(m, u, at, width, incDec(m, width, fetch(m, u, at, width), cold === Cold.inc ? 1 : -1));
      return;
    }
    case Cold.not: {
      const at = destination(m, u, width);
      put(m, u, at, width, ~fetch(m, u, at, width));
      return;
    }
    case Cold.neg: {
      const at = destination(m, u, width);
      put(m, u, at, width, alu(m, Alu.sub, width, 0, fetch(m, u, at, width)));
      return;
    }
    case Cold.mul:
    case Cold.imul1:
      multiplyWide(m, cold === Cold.imul1, width, readE(m, u, width));
      return;
    case Cold.div:
      divide(m, width, readE(m, u, width));
      return;
    case Cold.idiv:
      divideSigned(m, width, readE(m, u, width));
      return;
    case Cold.imul: {
      const b = readE(m, u, width);
      m.setReg(g, width, multiply(m, width, m.getReg(g, width), b));
      return;
    }
    case Cold.imulImm:
      m.setReg(g, width, multiply(m, width, readE(m, u, width), imm));
      return;
    case Cold.shift:
    case Cold.shiftCl: {
      const at = destination(m, u, width);
      put(m, u, at, width, shift(m, sub, width, fetch(m, u, at, width), cold === Cold.shift ? imm : m.reg[1]));
      return;
    }
    case Cold.shld:
    case Cold.shldCl: {
      const at = destination(m, u, width);
      put(m, u, at, width, shiftDouble(m, sub === 1, width, fetch(m, u, at, width), m.getReg(g, width), cold === Cold.shld ? imm : m.reg[1]));
      return;
    }
    case Cold.movzx8:
      m.setReg(g, width, readE(m, u, 0) & 0xff);
      return;
    case Cold.movzx16:
      m.setReg(g, width, readE(m, u, 1) & 0xffff);
      return;
    case Cold.movsx8:
      m.setReg(g, width, readE(m, u, 0));
      return;
    case Cold.movsx16:
      m.setReg(g, width, readE(m, u, 1));
      return;
    case Cold.lea:
      m.setReg(g, width, m.offsetOf(u));
      return;
    case Cold.setcc:
      writeE(m, u, 0, m.is(sub) ? 1 : 0);
      return;
    case Cold.cmov: {
      const x = readE(m, u, width);
      if (m.is(sub)) m.setReg(g, width, x);
      return;
    }
    case Cold.bt:
    case Cold.btImm:
      bitTest(m, u, sub, width, cold === Cold.btImm);
      return;
    case Cold.cbw:
      m.setReg(0, width, width === 2 ? (m.reg[0] << 16) >> 16 : (m.reg[0] << 24) >> 24);
      return;
    case Cold.cwd:
      m.setReg(2, width, m.getReg(0, width) >> 31);
      return;
    case Cold.sahf:
      m.setStatus((m.status() & Flag.OF) | (m.reg8[1] & 0xd5));
      return;
    case Cold.lahf:
      m.reg8[1] = (m.status() & 0xd5) | 2;
      return;
    case Cold.cmc:
      m.setStatus(m.status() ^ Flag.CF);
      return;
    case Cold.clc:
      m.setStatus(m.status() & ~Flag.CF);
      return;
    case Cold.stc:
      m.setStatus(m.status() | Flag.CF);
      return;
    case Cold.cld:
      m.control &= ~Flag.DF;
      return;
    case Cold.std:
      m.control |= Flag.DF;
      return;
    case Cold.xlat: {
      const offset = (m.reg[3] + m.reg8[0]) | 0;
      m.reg8[0] = m.read8(m.linear((w0 >>> 24) & 7, (w0 >>> 27) & 1 ? offset & 0xffff : offset, 1, false));
      return;
    }
    case Cold.salc:
      m.reg8[0] = -m.carry();
      return;
    case Cold.daa:
    case Cold.das:
      decimalAdjust(m, cold === Cold.das);
      return;
    case Cold.aaa:
    case Cold.aas:
      asciiAdjust(m, cold === Cold.aas);
      return;
    case Cold.aam:
      asciiMultiply(m, imm & 0xff);
      return;
    case Cold.aad:
      asciiDivide(m, imm & 0xff);
      return;
    case Cold.nop:
      return;
    case Cold.gp:
      m.gp();
      return;
    case Cold.ud:
      m.log(`undefined or unknown opcode at eip 0x${(m.eip >>> 0).toString(16)}`);
      m.raise(Vector.UD);
      return;
    default:
      performBits(m, u, cold, width);
      return;
  }
}

/** ADD, OR ... CMP with E as the destination. */
function aluTo(m: BaselineCore, u: number, operation: Alu, width: number, b: number): void {
  if (operation === Alu.cmp) {
    alu(m, operation, width, readE(m, u, width), b);
    return;
  }
  const at = destination(m, u, width);
  put(m, u, at, width, alu(m, operation, width, fetch(m, u, at, width), b));
}
