/** String instructions (SDM Vol.2 "REP/REPE/REPZ/REPNE/REPNZ"): registers are brought up to date before each iteration that
 *  may fault, so the instruction resumes where it stopped. MOVS and STOS of whole words inside pages move in one go. */
import { Flag } from "../../assembly/abi/x86";
import { alu } from "./alu";
import type { BaselineCore } from "./core";
import { Seg } from "./cpu";
import { Alu, Cold } from "./ops";
import { portAllowed, readPort, writePort } from "./ports";

const CX = 1;
const SI = 6;
const DI = 7;

export function performString(m: BaselineCore, u: number, cold: Cold): boolean {
  const w0 = m.ops[u];
  const width = (m.ops[u + 3] >>> 26) & 3;
  const address16 = ((w0 >>> 27) & 1) !== 0;
  const source = (w0 >>> 24) & 7;
  const rep = (w0 >>> 28) & 3;
  const size = 1 << width;
  const step = m.control & Flag.DF ? -size : size;
  if (rep === 0 && !address16 && cold <= Cold.lods && cold !== Cold.cmps) {
    once(m, cold, source, width, step);
    return true;
  }
  const { reg } = m;
  const mask = address16 ? 0xffff : -1;
  const ends = cold === Cold.ins || cold === Cold.outs;
  const advance = (r: number, by: number) => {
    if (address16) m.reg16[r << 1] += by;
    else reg[r] += by;
  };
  if (ends) portAllowed(m, reg[2] & 0xffff, size); // even for no element
  while (rep === 0 || (reg[CX] & mask) !== 0) {
    if (rep !== 0 && !address16 && step > 0) {
      const done = cold === Cold.movs ? moveRun(m, source, width) : cold === Cold.stos ? fillRun(m, width) : 0;
      if (done > 0) {
        if (cold === Cold.movs) reg[SI] += done << width;
        reg[DI] += done << width;
        reg[CX] -= done;
        continue;
      }
    }
    let again = true;
    switch (cold) {
      case Cold.movs: {
        const x = m.load(m.linear(source, reg[SI] & mask, size, false), width);
        m.store(m.linear(Seg.es, reg[DI] & mask, size, true), width, x);
        advance(SI, step);
        advance(DI, step);
        break;
      }
      case Cold.stos:
        m.store(m.linear(Seg.es, reg[DI] & mask, size, true), width, reg[0]);
        advance(DI, step);
        break;
      case Cold.lods:
        m.setReg(0, width, m.load(m.linear(source, reg[SI] & mask, size, false), width));
        advance(SI, step);
        break;
      case Cold.cmps: {
        // processors read ES:EDI first
        const b = m.load(m.linear(Seg.es, reg[DI] & mask, size, false), width);
        const a = m.load(m.linear(source, reg[SI] & mask, size, false), width);
        again = (alu(m, Alu.cmp, width, a, b) === 0) === (rep === 2);
        advance(SI, step);
        advance(DI, step);
        break;
      }
      case Cold.scas: {
        const b = m.load(m.linear(Seg.es, reg[DI] & mask, size, false), width);
        again = (alu(m, Alu.cmp, width, m.getReg(0, width), b) === 0) === (rep === 2);
        advance(DI, step);
        break;
      }
      case Cold.ins: {
        const lin = m.linear(Seg.es, reg[DI] & mask, size, true);
        m.checkWrite(lin, size);
        m.store(lin, width, readPort(m, reg[2] & 0xffff, size));
        advance(DI, step);
        break;
      }
      default:
        writePort(m, reg[2] & 0xffff, m.load(m.linear(source, reg[SI] & mask, size, false), width), size);
        advance(SI, step);
    }
    if (rep === 0) break;
    advance(CX, -1);
    if (!again) break;
  }
  if (!ends) return true;
  m.pc = m.next;
  return false;
}

/** MOVS, STOS or LODS without REP, with 32-bit addresses. */
function once(m: BaselineCore, cold: Cold, source: number, width: number, step: number): void {
  const { reg } = m;
  const size = 1 << width;
  const from = reg[SI];
  const to = reg[DI];
  const x = cold === Cold.stos ? reg[0] : m.load(m.linear(source, from, size, false), width);
  if (cold === Cold.lods) m.setReg(0, width, x);
  else {
    m.store(m.linear(Seg.es, to, size, true), width, x);
    reg[DI] = to + step;
  }
  if (cold !== Cold.stos) reg[SI] = from + step;
}

/** Elements from `lin` to the end of its page, at most `count`. */
const inPage = (lin: number, width: number, count: number) => Math.min((4096 - (lin & 4095)) >>> width, count);

/** Copies what lies in one page on both sides; the number of elements, 0 if one by one is called for. */
function moveRun(m: BaselineCore, source: number, width: number): number {
  const { reg } = m;
  const flat = (1 << Seg.es) | (1 << source);
  if ((m.flat & flat) !== flat) return 0;
  const from = reg[SI];
  const to = reg[DI];
  const count = inPage(from, width, inPage(to, width, reg[CX] >>> 0));
  if (count < 4) return 0;
  const r = m.tlbR[(from >>> 12) | m.user];
  const w = m.tlbW[(to >>> 12) | m.user];
  if (r === 0 || w === 0) return 0;
  const at = r ^ from ^ 1;
  const into = w ^ to ^ 1;
  const bytes = count << width;
  // a destination just above its source repeats what was stored
  if (into > at && into < at + bytes) return 0;
  m.ram8.copyWithin(into, at, at + bytes);
  return count;
}

function fillRun(m: BaselineCore, width: number): number {
  const { reg } = m;
  if (!((m.flat >> Seg.es) & 1)) return 0;
  const to = reg[DI];
  const count = inPage(to, width, reg[CX] >>> 0);
  const w = m.tlbW[(to >>> 12) | m.user];
  if (count < 4 || w === 0) return 0;
  const into = w ^ to ^ 1;
  if (into & ((1 << width) - 1)) return 0;
  const at = into >>> width;
  if (width === 2) m.ram32.fill(reg[0], at, at + count);
  else if (width === 1) m.ram16.fill(reg[0], at, at + count);
  else m.ram8.fill(reg[0], at, at + count);
  return count;
}
