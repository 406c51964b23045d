/** SSE2 on packed integers, and what moves elements about. */
import { multiplyHigh } from "./alu";
import type { BaselineCore } from "./core";
import { source } from "./sse";
import { Sse } from "./sse_ops";

/** The register in which shuffles put their result together. */
const RESULT = 9;

const signed8 = (x: number) => (x << 24) >> 24;
const signed16 = (x: number) => (x << 16) >> 16;
const clamp = (x: number, low: number, high: number) => (x < low ? low : x > high ? high : x);

export function performPacked(m: BaselineCore, ops: Int32Array, u: number, operation: Sse): void {
  const to = (ops[u] >>> 10) & 7;
  const imm = ops[u + 1] & 255;
  const rm = (ops[u] >>> 14) & 7;
  if (operation >= Sse.psrlw_imm) {
    if (operation >= Sse.psrldq_imm) shiftBytes(m, rm, operation === Sse.psrldq_imm, imm);
    else shift(m, operation - Sse.psrlw_imm + Sse.psrlw, rm, imm);
    return;
  }
  if (operation === Sse.pinsrw) {
    const memory = ((ops[u] >> 30) & 1) !== 0;
    m.xmm16[to * 8 + (imm & 7)] = memory ? m.read16(m.address(u, 2, false)) : m.reg[rm];
    return;
  }
  if (operation === Sse.pextrw) {
    m.reg[to] = m.xmm16[rm * 8 + (imm & 7)];
    return;
  }
  const from = source(m, ops, u, 16, true);
  if (operation < Sse.BYTES) dwords(m, operation, to, from);
  else if (operation < Sse.WORDS) bytes(m, operation, to, from);
  else if (operation < Sse.SHUFFLES) words(m, operation, to, from);
  else if (operation < Sse.SHIFTS) shuffle(m, operation, to, from, imm);
  else shift(m, operation, to, m.xmm32[from * 4 + 1] !== 0 || m.xmm32[from * 4] >>> 0 > 255 ? 255 : m.xmm32[from * 4]);
}

function dwords(m: BaselineCore, operation: Sse, to: number, from: number): void {
  const { xmm32 } = m;
  if (operation >= Sse.paddq) {
    for (let i = 0; i < 4; i += 2) qword(m, operation, to, from, i);
    return;
  }
  for (let i = 0; i < 4; i++) {
    const a = xmm32[to * 4 + i];
    const b = xmm32[from * 4 + i];
    let r: number;
    switch (operation) {
      case Sse.andps:
        r = a & b;
        break;
      case Sse.andnps:
        r = ~a & b;
        break;
      case Sse.orps:
        r = a | b;
        break;
      case Sse.xorps:
        r = a ^ b;
        break;
      case Sse.paddd:
        r = a + b;
        break;
      case Sse.psubd:
        r = a - b;
        break;
      case Sse.pcmpeqd:
        r = a === b ? -1 : 0;
        break;
      default:
        r = a > b ? -1 : 0;
    }
    xmm32[to * 4 + i] = r;
  }
}

/** The half from word `i` on. */
function qword(m: BaselineCore, operation: Sse, to: number, from: number, i: number): void {
  const { xmm32, xmm16, xmm8 } = m;
  const at = to * 4 + i;
  const a = xmm32[at];
  const b = xmm32[from * 4 + i];
  const high = xmm32[from * 4 + i + 1];
  switch (operation) {
    case Sse.paddq:
      xmm32[at + 1] += high + ((a >>> 0) + (b >>> 0) > 0xffffffff ? 1 : 0);
      xmm32[at] = a + b;
      return;
    case Sse.psubq:
      xmm32[at + 1] -= high + (a >>> 0 < b >>> 0 ? 1 : 0);
      xmm32[at] = a - b;
      return;
    case Sse.pmuludq:
      xmm32[at] = Math.imul(a, b);
      xmm32[at + 1] = multiplyHigh(a, b);
      return;
    case Sse.pmaddwd:
      for (let j = 0; j < 2; j++) {
        const x = (at + j) * 2;
        const y = (from * 4 + i + j) * 2;
        xmm32[at + j] = signed16(xmm16[x]) * signed16(xmm16[y]) + signed16(xmm16[x + 1]) * signed16(xmm16[y + 1]);
      }
      return;
    default: {
      let sum = 0;
      for (let j = 0; j < 8; j++) sum += Math.abs(xmm8[at * 4 + j] - xmm8[(from * 4 + i) * 4 + j]);
      xmm32[at] = sum;
      xmm32[at + 1] = 0;
    }
  }
}

function bytes(m: BaselineCore, operation: Sse, to: number, from: number): void {
  const { xmm8 } = m;
  for (let i = 0; i < 16; i++) {
    const a = xmm8[to * 16 + i];
    const b = xmm8[from * 16 + i];
    const sa = signed8(a);
    const sb = signed8(b);
    let r: number;
    switch (operation) {
      case Sse.paddb:
        r = a + b;
        break;
      case Sse.psubb:
        r = a - b;
        break;
      case Sse.paddsb:
        r = clamp(sa + sb, -128, 127);
        break;
      case Sse.psubsb:
        r = clamp(sa - sb, -128, 127);
        break;
      case Sse.paddusb:
        r = clamp(a + b, 0, 255);
        break;
      case Sse.psubusb:
        r = clamp(a - b, 0, 255);
        break;
      case Sse.pcmpeqb:
        r = a === b ? -1 : 0;
        break;
      case Sse.pcmpgtb:
        r = sa > sb ? -1 : 0;
        break;
      case Sse.pminub:
        r = a < b ? a : b;
        break;
      case Sse.pmaxub:
        r = a > b ? a : b;
        break;
      default:
        r = (a + b + 1) >> 1;
    }
    xmm8[to * 16 + i] = r;
  }
}

function words(m: BaselineCore, operation: Sse, to: number, from: number): void {
  const { xmm16 } = m;
  for (let i = 0; i < 8; i++) {
    const a = xmm16[to * 8 + i];
    const b = xmm16[from * 8 + i];
    const sa = signed16(a);
    const sb = signed16(b);
    let r: number;
    switch (operation) {
      case Sse.paddw:
        r = a + b;
        break;
      case Sse.psubw:
        r = a - b;
        break;
      case Sse.paddsw:
        r = clamp(sa + sb, -32768, 32767);
        break;
      case Sse.psubsw:
        r = clamp(sa - sb, -32768, 32767);
        break;
      case Sse.paddusw:
        r = clamp(a + b, 0, 65535);
        break;
      case Sse.psubusw:
        r = clamp(a - b, 0, 65535);
        break;
      case Sse.pcmpeqw:
        r = a === b ? -1 : 0;
        break;
      case Sse.pcmpgtw:
        r = sa > sb ? -1 : 0;
        break;
      case Sse.pminsw:
        r = sa < sb ? sa : sb;
        break;
      case Sse.pmaxsw:
        r = sa > sb ? sa : sb;
        break;
      case Sse.pavgw:
        r = (a + b + 1) >> 1;
        break;
      case Sse.pmullw:
        r = Math.imul(a, b);
        break;
      case Sse.pmulhw:
        r = (sa * sb) >> 16;
        break;
      default:
        r = Math.imul(a, b) >>> 16;
    }
    xmm16[to * 8 + i] = r;
  }
}

function shuffle(m: BaselineCore, operation: Sse, to: number, from: number, imm: number): void {
  const { xmm8, xmm16, xmm32 } = m;
  if (operation <= Sse.punpckhqdq) {
    // element size doubles from pair to pair; those of the high half are odd
    const size = 1 << ((operation - Sse.punpcklbw) >> 1);
    const half = (operation - Sse.punpcklbw) & 1 ? 8 : 0;
    for (let i = 0; i < 16; i++) {
      const element = Math.floor(i / size);
      const register = element & 1 ? from : to;
      xmm8[RESULT * 16 + i] = xmm8[register * 16 + half + (element >> 1) * size + (i & (size - 1))];
    }
  } else if (operation === Sse.packssdw) {
    for (let i = 0; i < 8; i++) xmm16[RESULT * 8 + i] = clamp(xmm32[(i < 4 ? to : from) * 4 + (i & 3)], -32768, 32767);
  } else if (operation <= Sse.packuswb) {
    const signed = operation === Sse.packsswb;
    for (let i = 0; i < 16; i++) xmm8[RESULT * 16 + i] = clamp(signed16(xmm16[(i < 8 ? to : from) * 8 + (i & 7)]), signed ? -128 : 0, signed ? 127 : 255);
  } else if (operation === Sse.pshuflw || operation === Sse.pshufhw) {
    const half = operation === Sse.pshufhw ? 4 : 0;
    for (let i = 0; i < 4; i++) {
      xmm16[RESULT * 8 + half + i] = xmm16[from * 8 + half + ((imm >> (i * 2)) & 3)];
      xmm16[RESULT * 8 + 4 - half + i] = xmm16[from * 8 + 4 - half + i];
    }
  } else if (operation === Sse.shufpd) {
    for (let i = 0; i < 4; i++) xmm32[RESULT * 4 + i] = xmm32[(i < 2 ? to : from) * 4 + ((imm >> (i >> 1)) & 1) * 2 + (i & 1)];
  } else {
    for (let i = 0; i < 4; i++) xmm32[RESULT * 4 + i] = xmm32[(operation === Sse.shufps && i < 2 ? to : from) * 4 + ((imm >> (i * 2)) & 3)];
  }
  for (let i = 0; i < 4; i++) xmm32[to * 4 + i] = xmm32[RESULT * 4 + i];
}

/** Register `r` by a count of 0..255. */
function shift(m: BaselineCore, operation: Sse, r: number, count: number): void {
  const { xmm16, xmm32 } = m;
  if (operation >= Sse.psrlq) {
    for (let i = 0; i < 4; i += 2) shiftQword(m, r * 4 + i, operation === Sse.psrlq, count);
  } else if (operation >= Sse.psrld) {
    for (let i = r * 4; i < r * 4 + 4; i++) {
      const x = xmm32[i];
      if (operation === Sse.psrad) xmm32[i] = x >> (count > 31 ? 31 : count);
      else xmm32[i] = count > 31 ? 0 : operation === Sse.psrld ? x >>> count : x << count;
    }
  } else {
    for (let i = r * 8; i < r * 8 + 8; i++) {
      const x = xmm16[i];
      if (operation === Sse.psraw) xmm16[i] = signed16(x) >> (count > 15 ? 15 : count);
      else xmm16[i] = count > 15 ? 0 : operation === Sse.psrlw ? x >>> count : x << count;
    }
  }
}

function shiftQword(m: BaselineCore, at: number, right: boolean, count: number): void {
  const { xmm32 } = m;
  const low = xmm32[at];
  const high = xmm32[at + 1];
  if (count === 0) return;
  if (count > 31) {
    const n = count - 32;
    const moved = n > 31 ? 0 : right ? high >>> n : low << n;
    xmm32[at] = right ? moved : 0;
    xmm32[at + 1] = right ? 0 : moved;
  } else if (right) {
    xmm32[at] = (low >>> count) | (high << (32 - count));
    xmm32[at + 1] = high >>> count;
  } else {
    xmm32[at] = low << count;
    xmm32[at + 1] = (high << count) | (low >>> (32 - count));
  }
}

function shiftBytes(m: BaselineCore, r: number, right: boolean, count: number): void {
  const at = r * 16;
  const n = count > 16 ? 16 : count;
  if (right) m.xmm8.copyWithin(at, at + n, at + 16).fill(0, at + 16 - n, at + 16);
  else m.xmm8.copyWithin(at + n, at, at + 16 - n).fill(0, at, at + n);
}
