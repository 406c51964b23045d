/** Bit counting and scanning, byte swaps, carry chains, and the BMI1, BMI2 and ADX extensions. */
import { Flag, Vector } from "../../assembly/abi/x86";
import { multiplyHigh } from "./alu";
import type { BaselineCore } from "./core";
import { Kind } from "./cpu";
import { readE, writeE } from "./exec";
import { Cold } from "./ops";

const swap = (x: number) => ((x & 0xff) << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);

function population(x: number): number {
  x -= (x >>> 1) & 0x55555555;
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

const trailing = (x: number) => 31 - Math.clz32(x & -x);

/** BSF BSR TZCNT LZCNT of a zero-extended source. */
function scan(m: BaselineCore, u: number, cold: Cold, width: number): void {
  const bits = 8 << width;
  const g = (m.ops[u] >>> 10) & 15;
  const source = readE(m, u, width);
  const x = width === 1 ? source & 0xffff : source;
  const zero = x === 0;
  if (cold === Cold.bsf || cold === Cold.bsr) {
    if (!zero) m.setReg(g, width, cold === Cold.bsf ? trailing(x) : 31 - Math.clz32(x));
    m.setStatus((m.status() & ~Flag.ZF) | (zero ? Flag.ZF : 0));
    return;
  }
  const n = zero ? bits : cold === Cold.tzcnt ? trailing(x) : Math.clz32(x) - (32 - bits);
  m.setReg(g, width, n);
  m.setStatus((zero ? Flag.CF : 0) | (n === 0 ? Flag.ZF : 0));
}

function deposit(source: number, mask: number): number {
  let result = 0;
  let bit = 0;
  for (let i = 0; i < 32; i++) if ((mask >>> i) & 1) result |= ((source >>> bit++) & 1) << i;
  return result;
}

function extract(source: number, mask: number): number {
  let result = 0;
  let bit = 0;
  for (let i = 0; i < 32; i++) if ((mask >>> i) & 1) result |= ((source >>> i) & 1) << bit++;
  return result;
}

export function performBits(m: BaselineCore, u: number, cold: Cold, width: number): void {
  const { ops, reg } = m;
  const g = (ops[u] >>> 10) & 15;
  const v = (ops[u + 1] >>> 8) & 7; // the register in VEX.vvvv
  switch (cold) {
    case Cold.bsf:
    case Cold.bsr:
    case Cold.tzcnt:
    case Cold.lzcnt:
      scan(m, u, cold, width);
      return;
    case Cold.popcnt: {
      const x = readE(m, u, width);
      const n = population(width === 1 ? x & 0xffff : x);
      m.setReg(g, width, n);
      m.setStatus(n === 0 ? Flag.ZF : 0);
      return;
    }
    case Cold.bswap: {
      // with 16-bit operands the result is undefined; processors give 0
      const n = (ops[u] >>> 14) & 15;
      m.setReg(n, width, width === 2 ? swap(reg[n]) : 0);
      return;
    }
    case Cold.movbe:
      if (ops[u] < 0) m.setReg(g, width, swapped(readE(m, u, width), width));
      else writeE(m, u, width, swapped(m.getReg(g, width), width));
      return;
    case Cold.adcx:
    case Cold.adox: {
      const flag = cold === Cold.adcx ? Flag.CF : Flag.OF;
      const status = m.status();
      const b = readE(m, u, 2);
      const sum = (reg[g] >>> 0) + (b >>> 0) + (status & flag ? 1 : 0);
      reg[g] = sum;
      m.setStatus((status & ~flag) | (sum > 0xffffffff ? flag : 0));
      return;
    }
    case Cold.andn:
      logical(m, g, ~reg[v] & readE(m, u, 2), false);
      return;
    case Cold.blsr: {
      const x = readE(m, u, 2);
      logical(m, v, x & (x - 1), x === 0);
      return;
    }
    case Cold.blsmsk: {
      const x = readE(m, u, 2);
      logical(m, v, x ^ (x - 1), x === 0);
      return;
    }
    case Cold.blsi: {
      const x = readE(m, u, 2);
      logical(m, v, x & -x, x !== 0);
      return;
    }
    case Cold.bzhi: {
      const n = reg[v] & 0xff;
      const x = readE(m, u, 2);
      logical(m, g, n > 31 ? x : x & ((1 << n) - 1), n > 31);
      return;
    }
    case Cold.bextr: {
      const from = reg[v] & 0xff;
      const length = (reg[v] >>> 8) & 0xff;
      const x = readE(m, u, 2);
      const shifted = from > 31 ? 0 : x >>> from;
      logical(m, g, length > 31 ? shifted | 0 : shifted & ((1 << length) - 1), false);
      return;
    }
    case Cold.pext:
      reg[g] = extract(reg[v], readE(m, u, 2));
      return;
    case Cold.pdep:
      reg[g] = deposit(reg[v], readE(m, u, 2));
      return;
    case Cold.mulx: {
      const b = readE(m, u, 2);
      const a = reg[2];
      reg[v] = Math.imul(a, b);
      reg[g] = multiplyHigh(a, b);
      return;
    }
    case Cold.shlx:
      reg[g] = readE(m, u, 2) << reg[v];
      return;
    case Cold.sarx:
      reg[g] = readE(m, u, 2) >> reg[v];
      return;
    case Cold.shrx:
      reg[g] = readE(m, u, 2) >>> reg[v];
      return;
    case Cold.rorx: {
      const n = ops[u + 1] & 31;
      const x = readE(m, u, 2);
      reg[g] = n === 0 ? x : (x >>> n) | (x << (32 - n));
      return;
    }
    default:
      m.raise(Vector.UD);
  }
}

const swapped = (x: number, width: number) => (width === 2 ? swap(x) : ((x & 0xff) << 8) | ((x >> 8) & 0xff));

/** Result and flags of BMI1: OF clear, CF as given. */
function logical(m: BaselineCore, to: number, result: number, carry: boolean): void {
  m.reg[to] = result;
  m.fc = carry ? 1 : 0;
  m.setFlags(Kind.shift, result, 0, 0);
}
