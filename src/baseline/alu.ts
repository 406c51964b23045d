/** Integer operations on sign-extended values of any width, and their flags, from the definitions in SDM Vol.2. Width is the
 *  log2 of the bytes. */
import { Flag, Vector } from "../../assembly/abi/x86";
import type { BaselineCore } from "./core";
import { Kind } from "./cpu";
import { Alu } from "./ops";

export const extend = (x: number, width: number) => (width === 2 ? x | 0 : width === 1 ? (x << 16) >> 16 : (x << 24) >> 24);
const zero = (x: number, width: number) => (width === 2 ? x >>> 0 : width === 1 ? x & 0xffff : x & 0xff);

/** Bits 32..63 of the product of two unsigned numbers. */
export function multiplyHigh(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const low = al * bl;
  const middle = ah * bl + (low >>> 16);
  const cross = al * bh + (middle % 0x10000);
  return (ah * bh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) | 0;
}

export function alu(m: BaselineCore, operation: Alu, width: number, a: number, b: number): number {
  let r: number;
  switch (operation) {
    case Alu.add:
      m.setFlags(Kind.add, (r = extend(a + b, width)), a, b);
      return r;
    case Alu.adc:
      m.setFlags(Kind.adc, (r = extend(a + b + m.carry(), width)), a, b);
      return r;
    case Alu.sbb:
      m.setFlags(Kind.sbb, (r = extend(a - b - m.carry(), width)), a, b);
      return r;
    case Alu.sub:
    case Alu.cmp:
      m.setFlags(Kind.sub, (r = extend(a - b, width)), a, b);
      return r;
    case Alu.or:
      r = a | b;
      break;
    case Alu.and:
      r = a & b;
      break;
    default:
      r = a ^ b;
  }
  m.setFlags(Kind.logic, r, 0, 0);
  return r;
}

export function incDec(m: BaselineCore, width: number, a: number, by: 1 | -1): number {
  const r = extend(a + by, width);
  m.fc = m.carry();
  m.setFlags(by > 0 ? Kind.inc : Kind.dec, r, a, 1);
  return r;
}

/** CF and OF of a rotation; the others stay. */
function setCarryOverflow(m: BaselineCore, carry: number, overflow: boolean): void {
  m.setStatus((m.status() & ~(Flag.CF | Flag.OF)) | carry | (overflow ? Flag.OF : 0));
}

function afterShift(m: BaselineCore, result: number, carry: number, overflow: number): void {
  m.fc = carry;
  m.setFlags(Kind.shift, result, overflow, 0);
}

/** ROL ROR RCL RCR SHL SHR SHL SAR, in the order of their encoding. A count of 0 (mod 32) leaves the flags alone. */
export function shift(m: BaselineCore, operation: number, width: number, value: number, count: number): number {
  const bits = 8 << width;
  const n = count & 31;
  if (n === 0) return value;
  const x = zero(value, width);
  let r: number;
  let carry: number;
  if (operation < 2) {
    const c = n & (bits - 1);
    const left = operation === 0 ? c : (bits - c) & (bits - 1);
    r = left === 0 ? value : extend((x << left) | (x >>> (bits - left)), width);
    carry = operation === 0 ? r & 1 : r < 0 ? 1 : 0;
    setCarryOverflow(m, carry, operation === 0 ? r < 0 !== (carry !== 0) : r < 0 !== (extend(r << 1, width) < 0));
    return r;
  }
  if (operation < 4) {
    // bit by bit: the carry is the bit above the operand
    let c = m.carry();
    let y = x;
    for (let i = width === 2 ? n : n % (bits + 1); i > 0; i--) {
      if (operation === 2) {
        const out = (y >>> (bits - 1)) & 1;
        y = zero((y << 1) | c, width);
        c = out;
      } else {
        const out = y & 1;
        y = zero((y >>> 1) | (c << (bits - 1)), width);
        c = out;
      }
    }
    r = extend(y, width);
    setCarryOverflow(m, c, operation === 2 ? r < 0 !== (c !== 0) : r < 0 !== (extend(r << 1, width) < 0));
    return r;
  }
  if (operation === 5) {
    r = extend(x >>> n, width);
    afterShift(m, r, (x >>> (n - 1)) & 1, extend(x, width));
  } else if (operation === 7) {
    r = value >> n;
    afterShift(m, r, (value >> (n - 1)) & 1, 0);
  } else {
    r = extend(x << n, width);
    carry = n > bits ? 0 : (x >>> (bits - n)) & 1;
    afterShift(m, r, carry, r ^ (carry << 31));
  }
  return r;
}

/** SHLD, SHRD of at most the width; beyond it everything is undefined. */
export function shiftDouble(m: BaselineCore, right: boolean, width: number, value: number, fill: number, count: number): number {
  const n = count & 31;
  if (n === 0) return value;
  const bits = 8 << width;
  const x = zero(value, width);
  const y = zero(fill, width);
  let r: number;
  let carry: number;
  if (width === 2) {
    r = right ? (x >>> n) | (y << (32 - n)) : (x << n) | (y >>> (32 - n));
    carry = (right ? x >>> (n - 1) : x >>> (32 - n)) & 1;
  } else if (n <= bits) {
    r = extend(right ? (x | (y << 16)) >>> n : ((x << n) | ((y << n) >>> 16)), width);
    carry = (right ? x >>> (n - 1) : x >>> (16 - n)) & 1;
  } else {
    r = extend(right ? (y | (x << 16)) >>> (n - 16) : (y << (n - 16)) | (x >>> (32 - n)), width);
    carry = (right ? y >>> (n - 17) : y >>> (32 - n)) & 1;
  }
  afterShift(m, r | 0, carry, r ^ value);
  return r;
}

function afterMultiply(m: BaselineCore, low: number, overflow: boolean): void {
  m.fc = overflow ? 1 : 0;
  m.setFlags(Kind.shift, low, overflow ? -1 : 0, 0);
}

/** IMUL with a result of one width. */
export function multiply(m: BaselineCore, width: number, a: number, b: number): number {
  const r = width === 2 ? Math.imul(a, b) : extend(a * b, width);
  afterMultiply(m, r, a * b !== r);
  return r;
}

/** MUL and IMUL of AL, AX or EAX into AX, DX:AX or EDX:EAX. */
export function multiplyWide(m: BaselineCore, signed: boolean, width: number, b: number): void {
  const a = m.getReg(0, width);
  if (width === 2) {
    const low = Math.imul(a, b);
    let high = multiplyHigh(a, b);
    if (signed) high = (high - (a < 0 ? b : 0) - (b < 0 ? a : 0)) | 0;
    m.reg[0] = low;
    m.reg[2] = high;
    afterMultiply(m, low, signed ? high !== low >> 31 : high !== 0);
    return;
  }
  const product = signed ? a * b : zero(a, width) * zero(b, width);
  const low = extend(product, width);
  const overflow = signed ? low !== product : zero(low, width) !== product;
  if (width === 1) {
    m.setReg(0, 1, product);
    m.setReg(2, 1, product >> 16);
  } else m.setReg(0, 1, product);
  afterMultiply(m, low, overflow);
}

/** Quotient and remainder of a 64-bit number that fits 32 bits: schoolbook with 16-bit digits. */
function divide64(high: number, low: number, by: number): [number, number] {
  let remainder = high;
  let quotient = 0;
  // two digits of 16 bits: remainder * 65536 + digit stays below 2^48
  for (const digit of [low >>> 16, low & 0xffff]) {
    const x = remainder * 0x10000 + digit;
    const q = Math.floor(x / by);
    quotient = quotient * 0x10000 + q;
    remainder = x - q * by;
  }
  return [quotient, remainder];
}

export function divide(m: BaselineCore, width: number, divisor: number): void {
  const by = zero(divisor, width);
  if (by === 0) m.raise(Vector.DE);
  if (width === 2) {
    const high = m.reg[2] >>> 0;
    if (high >= by) m.raise(Vector.DE);
    const [q, r] = divide64(high, m.reg[0], by);
    m.reg[0] = q;
    m.reg[2] = r;
    return;
  }
  const x = width === 1 ? ((m.reg[2] << 16) | (m.reg[0] & 0xffff)) >>> 0 : m.reg[0] & 0xffff;
  const q = Math.floor(x / by);
  if (q > (width === 1 ? 0xffff : 0xff)) m.raise(Vector.DE);
  setQuotient(m, width, q, x - q * by);
}

function setQuotient(m: BaselineCore, width: number, quotient: number, remainder: number): void {
  if (width === 0) m.setReg(0, 1, (quotient & 0xff) | ((remainder & 0xff) << 8));
  else {
    m.setReg(0, width, quotient);
    m.setReg(2, width, remainder);
  }
}

export function divideSigned(m: BaselineCore, width: number, by: number): void {
  if (by === 0) m.raise(Vector.DE);
  if (width === 2) {
    const negative = m.reg[2] < 0;
    let low = m.reg[0];
    let high = m.reg[2];
    if (negative) {
      low = -low | 0;
      high = (~high + (low === 0 ? 1 : 0)) | 0;
    }
    const size = Math.abs(by);
    if (high >>> 0 >= size) m.raise(Vector.DE);
    const [q, r] = divide64(high >>> 0, low, size);
    const quotient = negative !== by < 0 ? -q : q;
    if (quotient !== (quotient | 0)) m.raise(Vector.DE);
    m.reg[0] = quotient;
    m.reg[2] = negative ? -r : r;
    return;
  }
  const x = width === 1 ? (m.reg[2] << 16) | (m.reg[0] & 0xffff) : (m.reg[0] << 16) >> 16;
  const q = Math.trunc(x / by);
  if (q !== extend(q, width)) m.raise(Vector.DE);
  setQuotient(m, width, q, x - q * by);
}

/** DAA, DAS, AAA, AAS, AAM, AAD: SDM Vol.2A. */
export function decimalAdjust(m: BaselineCore, subtract: boolean): void {
  const flags = m.status();
  const al = m.reg8[0];
  let x = al;
  let carry = 0;
  let adjust = 0;
  if ((al & 15) > 9 || flags & Flag.AF) {
    x += subtract ? -6 : 6;
    adjust = Flag.AF;
    if (x < 0) carry = 1;
  }
  if (al > 0x99 || flags & Flag.CF) {
    x += subtract ? -0x60 : 0x60;
    carry = 1;
  }
  carry |= flags & Flag.CF;
  m.reg8[0] = x;
  resultFlags(m, x, carry | adjust);
}

/** SF, ZF and PF of AL, the given others. */
function resultFlags(m: BaselineCore, al: number, others: number): void {
  m.setFlags(Kind.logic, extend(al, 0), 0, 0);
  m.setStatus(m.status() | others);
}

export function asciiAdjust(m: BaselineCore, subtract: boolean): void {
  const adjust = (m.reg8[0] & 15) > 9 || (m.status() & Flag.AF) !== 0;
  if (adjust) m.setReg(0, 1, (m.reg[0] & 0xffff) + (subtract ? -0x106 : 0x106));
  m.reg8[0] &= 15;
  resultFlags(m, m.reg8[0], adjust ? Flag.AF | Flag.CF : 0);
}

export function asciiMultiply(m: BaselineCore, base: number): void {
  if (base === 0) m.raise(Vector.DE);
  const al = m.reg8[0];
  m.reg8[1] = Math.floor(al / base);
  m.reg8[0] = al % base;
  resultFlags(m, m.reg8[0], 0);
}

export function asciiDivide(m: BaselineCore, base: number): void {
  const al = m.reg8[0] + m.reg8[1] * base;
  m.setReg(0, 1, al & 0xff);
  resultFlags(m, al & 0xff, 0);
}
