/** SSE and SSE2 on XMM registers: moves, and which file does the rest. One buffer holds XMM0..7, a memory operand as register
 *  MEMORY, and a result in the making; core.ts has its views.
 *
 *  Not all of it is here (sse_ops.ts lists what is): approximate reciprocals, MASKMOVDQU, whatever uses MMX registers, and SSE3 but
 *  for MOVDDUP and its kin raise #UD. CPUID reports none, since programs would take it for a promise of the rest.
 *  DEVIATION: arithmetic rounds to nearest and knows denormals, whatever MXCSR says of RC, DAZ and FTZ; conversions to integers
 *  follow RC. No exception sets a flag in MXCSR, and #XM is never raised. With all exceptions masked and nearest rounding,
 *  results are the processor's to the last bit, NaNs included. */
import { Flag, Vector } from "../../assembly/abi/x86";
import type { BaselineCore } from "./core";
import { Cold } from "./ops";
import { convert } from "./sse_convert";
import { doubles, singles } from "./sse_float";
import { performPacked } from "./sse_integer";
import { Sse } from "./sse_ops";

export const MEMORY = 8;
export const OSFXSR = 1 << 9;
/** Bits that MXCSR has. */
export const MXCSR = 0xffff;
const EM = 4;
export const EM_TS = 0xc;

/** #UD or #NM if CR0 and CR4 forbid SSE. */
export function needSse(m: BaselineCore): void {
  if ((m.cr[4] & OSFXSR) === 0 || m.cr[0] & EM) m.raise(Vector.UD);
  if (m.cr[0] & EM_TS) m.raise(Vector.NM);
}

/** Number of the register that holds the W operand; of one in memory, `bytes` are in MEMORY. */
export function source(m: BaselineCore, ops: Int32Array, u: number, bytes: number, aligned: boolean): number {
  const w = ops[u];
  if (((w >> 30) & 1) === 0) return (w >>> 14) & 7;
  const lin = m.address(u, bytes, false);
  if (aligned && lin & 15) m.gp();
  const { xmm32 } = m;
  const e = m.tlbR[(lin >>> 12) | m.user];
  if (e !== 0 && (lin & 3) === 0 && (lin & 4095) + bytes <= 4096) {
    const at = (e ^ lin) >>> 2;
    for (let i = 0; i < bytes >> 2; i++) xmm32[MEMORY * 4 + i] = m.ram32[at + i];
  } else {
    m.checkRead(lin, bytes);
    for (let i = 0; i < bytes >> 2; i++) xmm32[MEMORY * 4 + i] = m.read32((lin + i * 4) | 0);
  }
  return MEMORY;
}

/** Words of the register file from `first` on to the memory operand. */
function store(m: BaselineCore, u: number, first: number, bytes: number, aligned: boolean): void {
  const lin = m.address(u, bytes, true);
  if (aligned && lin & 15) m.gp();
  const { xmm32 } = m;
  const e = m.tlbW[(lin >>> 12) | m.user];
  if (e !== 0 && (lin & 3) === 0 && (lin & 4095) + bytes <= 4096) {
    const at = (e ^ lin) >>> 2;
    for (let i = 0; i < bytes >> 2; i++) m.ram32[at + i] = xmm32[first + i];
  } else {
    m.checkWrite(lin, bytes);
    for (let i = 0; i < bytes >> 2; i++) m.write32((lin + i * 4) | 0, xmm32[first + i]);
  }
}

/** Two words, by their places in the register file. */
function copyHalf(m: BaselineCore, to: number, from: number): void {
  m.xmm32[to] = m.xmm32[from];
  m.xmm32[to + 1] = m.xmm32[from + 1];
}

function clear(m: BaselineCore, first: number, end: number): void {
  for (let i = first; i < end; i++) m.xmm32[i] = 0;
}

/** What does not set EFLAGS. */
export function sse(m: BaselineCore, ops: Int32Array, u: number): void {
  if ((m.cr[4] & OSFXSR) === 0 || m.cr[0] & EM_TS) needSse(m);
  const operation = ((ops[u + 3] >>> 16) & 1023) - Cold.SSE;
  if (operation >= Sse.MOVES) {
    if (operation < Sse.CONVERSIONS) move(m, ops, u, operation);
    else if (operation < Sse.INTEGER) convert(m, ops, u, operation);
    else performPacked(m, ops, u, operation);
    return;
  }
  const to = (ops[u] >>> 10) & 7;
  const predicate = ops[u + 1];
  if (operation >= Sse.addsd) doubles(m, operation & 7, to, source(m, ops, u, 8, false), 1, predicate);
  else if (operation >= Sse.addpd) doubles(m, operation & 7, to, source(m, ops, u, 16, true), 2, predicate);
  else if (operation >= Sse.addss) singles(m, operation & 7, to, source(m, ops, u, 4, false), 1, predicate);
  else singles(m, operation & 7, to, source(m, ops, u, 16, true), 4, predicate);
}

/** COMISS, COMISD, UCOMISS, UCOMISD, which differ in exceptions only: the status flags. */
export function sseCompare(m: BaselineCore, ops: Int32Array, u: number): number {
  if ((m.cr[4] & OSFXSR) === 0 || m.cr[0] & EM_TS) needSse(m);
  const to = (ops[u] >>> 10) & 7;
  const double = ((ops[u + 3] >>> 16) & 1023) >= Cold.SSE + Sse.ucomisd;
  const from = source(m, ops, u, double ? 8 : 4, false);
  const a = double ? m.xmm64[to * 2] : m.xmmSingle[to * 4];
  const b = double ? m.xmm64[from * 2] : m.xmmSingle[from * 4];
  return a > b ? 0 : a < b ? Flag.CF : a === b ? Flag.ZF : Flag.CF | Flag.PF | Flag.ZF;
}

function move(m: BaselineCore, ops: Int32Array, u: number, operation: Sse): void {
  const { xmm32 } = m;
  const w = ops[u];
  const memory = ((w >> 30) & 1) !== 0;
  const register = (w >>> 10) & 7;
  const rm = (w >>> 14) & 7;
  const to = register * 4;
  switch (operation) {
    case Sse.movups:
    case Sse.movaps: {
      const from = source(m, ops, u, 16, operation === Sse.movaps) * 4;
      copyHalf(m, to, from);
      copyHalf(m, to + 2, from + 2);
      return;
    }
    case Sse.movups_store:
    case Sse.movaps_store:
    case Sse.movntps:
      if (memory) store(m, u, to, 16, operation !== Sse.movups_store);
      else {
        copyHalf(m, rm * 4, to);
        copyHalf(m, rm * 4 + 2, to + 2);
      }
      return;
    case Sse.movss:
      xmm32[to] = xmm32[source(m, ops, u, 4, false) * 4];
      if (memory) clear(m, to + 1, to + 4);
      return;
    case Sse.movss_store:
      if (memory) store(m, u, to, 4, false);
      else xmm32[rm * 4] = xmm32[to];
      return;
    case Sse.movsd:
      copyHalf(m, to, source(m, ops, u, 8, false) * 4);
      if (memory) clear(m, to + 2, to + 4);
      return;
    case Sse.movsd_store:
    case Sse.movlps_store:
      if (memory) store(m, u, to, 8, false);
      else copyHalf(m, rm * 4, to);
      return;
    case Sse.movlps:
      copyHalf(m, to, source(m, ops, u, 8, false) * 4);
      return;
    case Sse.movhps:
    case Sse.movlhps:
      copyHalf(m, to + 2, source(m, ops, u, 8, false) * 4);
      return;
    case Sse.movhps_store:
      store(m, u, to + 2, 8, false);
      return;
    case Sse.movhlps:
      copyHalf(m, to, rm * 4 + 2);
      return;
    case Sse.movd:
      xmm32[to] = memory ? m.read32(m.address(u, 4, false)) : m.reg[rm];
      clear(m, to + 1, to + 4);
      return;
    case Sse.movd_store:
      if (memory) store(m, u, to, 4, false);
      else m.reg[rm] = xmm32[to];
      return;
    case Sse.movq:
      copyHalf(m, to, source(m, ops, u, 8, false) * 4);
      clear(m, to + 2, to + 4);
      return;
    case Sse.movq_store:
      if (memory) store(m, u, to, 8, false);
      else {
        copyHalf(m, rm * 4, to);
        clear(m, rm * 4 + 2, rm * 4 + 4);
      }
      return;
    case Sse.movddup: {
      const from = source(m, ops, u, 8, false) * 4;
      copyHalf(m, to + 2, from);
      copyHalf(m, to, from);
      return;
    }
    case Sse.movsldup:
    case Sse.movshdup: {
      const from = source(m, ops, u, 16, true) * 4 + (operation === Sse.movshdup ? 1 : 0);
      for (let i = 0; i < 4; i += 2) xmm32[to + i] = xmm32[to + i + 1] = xmm32[from + i];
      return;
    }
    default:
      m.reg[register] = signs(m, rm, operation);
  }
}

/** MOVMSKPS, MOVMSKPD, PMOVMSKB: the highest bit of each element. */
function signs(m: BaselineCore, from: number, operation: Sse): number {
  const bytes = operation === Sse.pmovmskb ? 1 : operation === Sse.movmskps ? 4 : 8;
  let mask = 0;
  for (let i = 0; i * bytes < 16; i++) mask |= (m.xmm8[from * 16 + i * bytes + bytes - 1] >> 7) << i;
  return mask;
}
