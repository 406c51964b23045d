/** SSE conversions between single, double and 32-bit integers. What does not fit an integer becomes the integer indefinite; NaNs keep
 *  sign and the payload that fits, and become quiet. */
import type { BaselineCore } from "./core";
import { source } from "./sse";
import { Sse } from "./sse_ops";
import { roundTo } from "./x87_number";

const INDEFINITE = 0x80000000 | 0;
const TRUNCATE = 3;

export function convert(m: BaselineCore, ops: Int32Array, u: number, operation: Sse): void {
  const { xmm32, xmm64, xmmSingle, reg } = m;
  const w = ops[u];
  const to = (w >>> 10) & 7;
  const mode = (m.mxcsr >> 13) & 3;
  switch (operation) {
    case Sse.cvtsi2ss:
      xmmSingle[to * 4] = general(m, u);
      return;
    case Sse.cvtsi2sd:
      xmm64[to * 2] = general(m, u);
      return;
    case Sse.cvtss2si:
    case Sse.cvttss2si:
      reg[to] = toInteger(xmmSingle[source(m, ops, u, 4, false) * 4], operation === Sse.cvttss2si ? TRUNCATE : mode);
      return;
    case Sse.cvtsd2si:
    case Sse.cvttsd2si:
      reg[to] = toInteger(xmm64[source(m, ops, u, 8, false) * 2], operation === Sse.cvttsd2si ? TRUNCATE : mode);
      return;
    case Sse.cvtss2sd:
      widen(m, to * 2, source(m, ops, u, 4, false) * 4);
      return;
    case Sse.cvtsd2ss:
      narrow(m, to * 4, source(m, ops, u, 8, false) * 2);
      return;
    case Sse.cvtps2pd: {
      // from the top: the registers may be one
      const from = source(m, ops, u, 8, false) * 4;
      for (let i = 1; i >= 0; i--) widen(m, to * 2 + i, from + i);
      return;
    }
    case Sse.cvtdq2pd: {
      const from = source(m, ops, u, 8, false) * 4;
      for (let i = 1; i >= 0; i--) xmm64[to * 2 + i] = xmm32[from + i];
      return;
    }
    case Sse.cvtdq2ps: {
      const from = source(m, ops, u, 16, true) * 4;
      for (let i = 0; i < 4; i++) xmmSingle[to * 4 + i] = xmm32[from + i];
      return;
    }
    case Sse.cvtps2dq:
    case Sse.cvttps2dq: {
      const from = source(m, ops, u, 16, true) * 4;
      for (let i = 0; i < 4; i++) xmm32[to * 4 + i] = toInteger(xmmSingle[from + i], operation === Sse.cvttps2dq ? TRUNCATE : mode);
      return;
    }
    default: {
      const from = source(m, ops, u, 16, true) * 2;
      for (let i = 0; i < 2; i++) {
        if (operation === Sse.cvtpd2ps) narrow(m, to * 4 + i, from + i);
        else xmm32[to * 4 + i] = toInteger(xmm64[from + i], operation === Sse.cvttpd2dq ? TRUNCATE : mode);
      }
      xmm32[to * 4 + 2] = xmm32[to * 4 + 3] = 0;
    }
  }
}

/** E of 32 bits. */
function general(m: BaselineCore, u: number): number {
  const w = m.ops[u];
  return (w >> 30) & 1 ? m.read32(m.address(u, 4, false)) : m.reg[(w >>> 14) & 7];
}

function toInteger(x: number, mode: number): number {
  const r = roundTo(x, mode);
  return r >= -0x80000000 && r <= 0x7fffffff ? r | 0 : INDEFINITE;
}

/** Places are those of the elements in the views of doubles and singles. */
function widen(m: BaselineCore, to: number, from: number): void {
  const x = m.xmmSingle[from];
  if (!Number.isNaN(x)) {
    m.xmm64[to] = x;
    return;
  }
  const bits = m.xmm32[from];
  m.xmm32[to * 2] = bits << 29;
  m.xmm32[to * 2 + 1] = (bits & 0x80000000) | 0x7ff80000 | ((bits & 0x7fffff) >>> 3);
}

function narrow(m: BaselineCore, to: number, from: number): void {
  const x = m.xmm64[from];
  if (!Number.isNaN(x)) {
    m.xmmSingle[to] = x;
    return;
  }
  const high = m.xmm32[from * 2 + 1];
  m.xmm32[to] = (high & 0x80000000) | 0x7fc00000 | ((high & 0xfffff) << 3) | (m.xmm32[from * 2] >>> 29);
}
