/** The SSE instructions that loops on doubles consist of, in one function and without loops over elements. What is rare here (a NaN
 *  as a result, memory that is no aligned RAM in the TLB) is left to sse.ts before anything has changed. */
import type { BaselineCore } from "./core";
import { Cold } from "./ops";
import { OSFXSR, EM_TS } from "./sse";
import { Sse } from "./sse_ops";

/** True if the instruction is done. */
export function sseHot(m: BaselineCore, ops: Int32Array, u: number): boolean {
  if ((m.cr[4] & OSFXSR) === 0 || m.cr[0] & EM_TS) return false;
  const { xmm64, xmm32 } = m;
  const w = ops[u];
  const memory = ((w >> 30) & 1) !== 0;
  const register = (w >>> 10) & 7;
  const rm = (w >>> 14) & 7;
  const operation = ((ops[u + 3] >>> 16) & 1023) - Cold.SSE;
  const to = register << 2;
  switch (operation) {
    case Sse.movaps: {
      if (memory) return false;
      const from = rm << 2;
      xmm32[to] = xmm32[from];
      xmm32[to + 1] = xmm32[from + 1];
      xmm32[to + 2] = xmm32[from + 2];
      xmm32[to + 3] = xmm32[from + 3];
      return true;
    }
    case Sse.movsd: {
      if (!memory) return false;
      const lin = m.address(u, 8, false);
      const e = m.tlbR[(lin >>> 12) | m.user];
      if (e === 0 || lin & 3 || (lin & 4095) > 4088) return false;
      const at = (e ^ lin) >>> 2;
      xmm32[to] = m.ram32[at];
      xmm32[to + 1] = m.ram32[at + 1];
      xmm32[to + 2] = 0;
      xmm32[to + 3] = 0;
      return true;
    }
    case Sse.movsd_store: {
      if (!memory) return false;
      const lin = m.address(u, 8, true);
      const e = m.tlbW[(lin >>> 12) | m.user];
      if (e === 0 || lin & 3 || (lin & 4095) > 4088) return false;
      const at = (e ^ lin) >>> 2;
      m.ram32[at] = xmm32[to];
      m.ram32[at + 1] = xmm32[to + 1];
      return true;
    }
    case Sse.xorps:
      if (memory || register !== rm) return false;
      xmm64[register << 1] = 0;
      xmm64[(register << 1) + 1] = 0;
      return true;
    case Sse.cvtsi2sd:
      if (memory) return false;
      xmm64[register << 1] = m.reg[rm];
      return true;
  }
  if (operation < Sse.addsd || operation > Sse.sqrtsd) return false;
  let b: number;
  if (memory) {
    const lin = m.address(u, 8, false);
    const e = m.tlbR[(lin >>> 12) | m.user];
    if (e === 0 || lin & 7) return false;
    b = m.ramDouble[(e ^ lin) >>> 3];
  } else b = xmm64[rm << 1];
  const a = xmm64[register << 1];
  let r: number;
  switch (operation) {
    case Sse.addsd:
      r = a + b;
      break;
    case Sse.mulsd:
      r = a * b;
      break;
    case Sse.subsd:
      r = a - b;
      break;
    case Sse.divsd:
      r = a / b;
      break;
    case Sse.sqrtsd:
      r = Math.sqrt(b);
      break;
    default:
      return false;
  }
  // biome-ignore lint/suspicious/noSelfCompare: the quickest test for NaN
  if (r !== r) return false;
  xmm64[register << 1] = r;
  return true;
}
