/** x87 control and status words, environment and state images (SDM Vol.1 "x87 State", Vol.2A FXSAVE), the 80-bit format. */
import { Vector } from "../../assembly/abi/x86";
import type { BaselineCore } from "./core";
import { Cold } from "./ops";
import { MXCSR } from "./sse";
import { initialize } from "./x87";

const scratch = new Float64Array(1);
const bits = new Int32Array(scratch.buffer);

/** Sign and exponent above 64 bits with an explicit leading one. */
export function writeExtended(m: BaselineCore, lin: number, x: number): void {
  m.checkWrite(lin, 10);
  scratch[0] = x;
  const sign = (bits[1] >>> 16) & 0x8000;
  let exponent = (bits[1] >>> 20) & 0x7ff;
  let high = bits[1] & 0xfffff;
  let low = bits[0];
  if (exponent === 0x7ff) exponent = 0x7fff;
  else if (exponent !== 0) exponent += 16383 - 1023;
  else if (high | low) {
    // denormal as a double, normal here
    const zeros = high ? Math.clz32(high) - 11 : 21 + Math.clz32(low);
    exponent = 16383 - 1022 - zeros;
    if (zeros >= 32) {
      high = low << (zeros - 32);
      low = 0;
    } else {
      high = (high << zeros) | (zeros ? low >>> (32 - zeros) : 0);
      low <<= zeros;
    }
    high &= 0xfffff;
  }
  const one = exponent !== 0 ? 0x80000000 : 0;
  m.write32(lin, low << 11);
  m.write32((lin + 4) | 0, one | (high << 11) | (low >>> 21));
  m.write16((lin + 8) | 0, sign | exponent);
}

export function readExtended(m: BaselineCore, lin: number): number {
  const low = m.read32(lin);
  const high = m.read32((lin + 4) | 0);
  const top = m.read16((lin + 8) | 0);
  const exponent = top & 0x7fff;
  const sign = top & 0x8000 ? -1 : 1;
  if (exponent === 0x7fff) return (high << 1) | low ? NaN : sign * Infinity;
  const mantissa = (high >>> 0) * 0x100000000 + (low >>> 0);
  if (mantissa === 0) return sign * 0;
  const power = exponent - 16383 - 63;
  const half = Math.trunc(power / 2);
  return sign * mantissa * 2 ** half * 2 ** (power - half);
}

const statusWord = (m: BaselineCore) => (m.fpuStatus & ~0x3800) | (m.fpuTop << 11);

function setStatusWord(m: BaselineCore, value: number): void {
  m.fpuStatus = value & ~0x3800;
  m.fpuTop = (value >> 11) & 7;
}

/** Two bits a register: valid, zero, special, empty. */
function tagWord(m: BaselineCore): number {
  let tags = 0;
  for (let i = 0; i < 8; i++) tags |= (!m.fpuUsed[i] ? 3 : m.fpu[i] === 0 ? 1 : Number.isFinite(m.fpu[i]) ? 0 : 2) << (i * 2);
  return tags;
}

function setTagWord(m: BaselineCore, tags: number): void {
  for (let i = 0; i < 8; i++) m.fpuUsed[i] = ((tags >> (i * 2)) & 3) === 3 ? 0 : 1;
}

/** Environment of 28 bytes, or 14 with 16-bit operands; instruction and operand pointers are zero. */
function storeEnvironment(m: BaselineCore, lin: number, width: number): number {
  const words = [m.fpuControl, statusWord(m), tagWord(m), 0, 0, 0, 0];
  m.checkWrite(lin, 7 << width);
  words.forEach((word, i) => m.store((lin + (i << width)) | 0, width, width === 2 && (i < 3 || i === 6) ? word | 0xffff0000 : word));
  return (lin + (7 << width)) | 0;
}

function loadEnvironment(m: BaselineCore, lin: number, width: number): number {
  const [control, status, tags] = [0, 1, 2].map((i) => m.read16((lin + (i << width)) | 0));
  m.fpuControl = control | 0x40;
  setStatusWord(m, status);
  setTagWord(m, tags);
  return (lin + (7 << width)) | 0;
}

function fxsave(m: BaselineCore, lin: number): void {
  if (lin & 15) m.gp();
  m.checkWrite(lin, 512);
  let tags = 0;
  for (let i = 0; i < 8; i++) tags |= m.fpuUsed[i] << i;
  m.write32(lin, (m.fpuControl & 0xffff) | (statusWord(m) << 16));
  m.write32((lin + 4) | 0, tags);
  for (let at = 8; at < 24; at += 4) m.write32((lin + at) | 0, 0);
  m.write32((lin + 24) | 0, m.mxcsr);
  m.write32((lin + 28) | 0, 0xffff);
  for (let i = 0; i < 8; i++) {
    const at = (lin + 32 + i * 16) | 0;
    writeExtended(m, at, m.fpu[(m.fpuTop + i) & 7]);
    m.write16((at + 10) | 0, 0);
    m.write32((at + 12) | 0, 0);
  }
  for (let i = 0; i < 32; i++) m.write32((lin + 160 + i * 4) | 0, m.xmm32[i]);
}

/** A bit that does not exist is #GP. */
function setMxcsr(m: BaselineCore, value: number): void {
  if (value & ~MXCSR) m.gp();
  m.mxcsr = value;
}

function fxrstor(m: BaselineCore, lin: number): void {
  if (lin & 15) m.gp();
  m.checkRead(lin, 512);
  const words = m.read32(lin);
  const tags = m.read32((lin + 4) | 0);
  setMxcsr(m, m.read32((lin + 24) | 0));
  m.fpuControl = (words & 0xffff) | 0x40;
  setStatusWord(m, words >>> 16);
  for (let i = 0; i < 8; i++) m.fpuUsed[i] = (tags >> i) & 1;
  for (let i = 0; i < 8; i++) m.fpu[(m.fpuTop + i) & 7] = readExtended(m, (lin + 32 + i * 16) | 0);
  for (let i = 0; i < 32; i++) m.xmm32[i] = m.read32((lin + 160 + i * 4) | 0);
}

/** `what` is a Cold number, or opcode * 8 + digit of D9, DD. */
export function performState(m: BaselineCore, u: number, what: number): void {
  const width = (m.ops[u + 3] >>> 26) & 3;
  switch (what) {
    case Cold.fxsave:
      fxsave(m, m.address(u, 512, true));
      return;
    case Cold.fxrstor:
      fxrstor(m, m.address(u, 512, false));
      return;
    case Cold.ldmxcsr:
      setMxcsr(m, m.read32(m.address(u, 4, false)));
      return;
    case Cold.stmxcsr:
      m.write32(m.address(u, 4, true), m.mxcsr);
      return;
    case 0o14:
      loadEnvironment(m, m.address(u, 7 << width, false), width);
      return;
    case 0o15:
      m.fpuControl = m.read16(m.address(u, 2, false)) | 0x40;
      return;
    case 0o16:
      storeEnvironment(m, m.address(u, 7 << width, true), width);
      m.fpuControl |= 0x3f;
      return;
    case 0o17:
      m.write16(m.address(u, 2, true), m.fpuControl);
      return;
    case 0o54: {
      const at = loadEnvironment(m, m.address(u, (7 << width) + 80, false), width);
      for (let i = 0; i < 8; i++) m.fpu[(m.fpuTop + i) & 7] = readExtended(m, (at + i * 10) | 0);
      return;
    }
    case 0o56: {
      const at = storeEnvironment(m, m.address(u, (7 << width) + 80, true), width);
      for (let i = 0; i < 8; i++) writeExtended(m, (at + i * 10) | 0, m.fpu[(m.fpuTop + i) & 7]);
      initialize(m);
      return;
    }
    case 0o57:
      m.write16(m.address(u, 2, true), statusWord(m));
      return;
    default:
      m.raise(Vector.UD);
  }
}
