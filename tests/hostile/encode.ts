/** Random machine code: encodings of the rows in src/spec, idioms that reach the privileged parts of the processor, and noise.
 *  Programs are lists of byte strings, one an instruction or idiom, so that a failing one can be shrunk. */
import { INTEGER, STRING } from "../../src/spec/integer";
import { MMX } from "../../src/spec/mmx";
import type { InsnSpec } from "../../src/spec/row";
import { SSE } from "../../src/spec/sse";
import { SYSTEM } from "../../src/spec/system";
import { X87 } from "../../src/spec/x87";
import type { Random } from "../support/random";

export type Bits = 16 | 32 | 64;

interface Encoding {
  readonly prefix: readonly number[];
  readonly opcode: readonly number[];
  readonly plusR: boolean;
  readonly modrm: "none" | "any" | "mem" | "reg" | number; // a number: the whole byte
  readonly digit: number; // -1: any
  readonly operands: string;
}

function parse(row: InsnSpec): Encoding | null {
  const tokens = row.opcode.trim().split(/\s+/);
  if (tokens[0].startsWith("VEX")) return null;
  const prefix: number[] = [];
  if (tokens.length > 1 && ["NP", "66", "F3", "F2"].includes(tokens[0])) {
    const name = tokens.shift()!;
    if (name !== "NP") prefix.push(Number.parseInt(name, 16));
  }
  const opcode: number[] = [];
  let plusR = false;
  let modrm: Encoding["modrm"] = "none";
  let digit = -1;
  let exact = -1;
  for (const token of tokens) {
    if (/^[0-9A-F]{2}\+r$/i.test(token)) {
      if (opcode.length > 0 && opcode[0] >= 0xd8 && opcode[0] <= 0xdf) exact = Number.parseInt(token, 16);
      else opcode.push(Number.parseInt(token, 16));
      plusR = true;
    } else if (/^[0-9A-F]{2}$/i.test(token)) opcode.push(Number.parseInt(token, 16));
    else if (token === "/r") modrm = "any";
    else if (/^\/[0-7]$/.test(token)) {
      modrm = "any";
      digit = Number(token[1]);
    } else if (token === "mem" || token === "reg") modrm = token;
  }
  if (exact >= 0) modrm = exact;
  if (modrm === "none" && /(^|,)[EGMRSCDQWPVNU]/.test(row.operands.replace(/\b(ES|CS|SS|DS|FS|GS|DX|CL)\b/g, "")) && !plusR) modrm = "any";
  return { prefix, opcode, plusR, modrm, digit, operands: row.operands };
}

const parsed = (rows: readonly InsnSpec[]) => rows.map(parse).filter((row) => row !== null);
const GROUPS = [INTEGER, STRING, MMX, SSE, SYSTEM, X87].map(parsed);
/** How often each of GROUPS is taken. */
const WEIGHTS = [40, 12, 6, 12, 20, 10];

const SIZES = [0n, 1n, 7n, 8n, 0x7fn, 0x80n, 0xffn, 0xfffn, 0x1000n, 0x7fffn, 0x8000n, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn];

/** Where a program finds what it may spoil, as guest addresses. */
export interface Places {
  readonly code: number;
  readonly data: number;
  readonly tables: number;
  readonly gdt: number;
  readonly idt: number;
  readonly tss: number;
  readonly stack: number;
  readonly size: number;
}

/** A number a program might pass as address, count, table entry or register. */
export function value(random: Random, places: Places): bigint {
  const near = () => BigInt(random.between(-40, 40));
  switch (random.below(16)) {
    case 0:
    case 1:
    case 2:
      return BigInt(places.data + random.below(0x3000));
    case 3:
      return BigInt(places.data + 0x1000 * random.below(8)) + near();
    case 4:
      return BigInt(places.code + random.below(0x1000));
    case 5:
      return BigInt(places.tables + 8 * random.below(0x1000));
    case 6:
      return BigInt(random.pick([places.gdt, places.idt, places.tss, places.stack]) + random.below(256));
    case 7:
      return BigInt.asUintN(64, random.pick(SIZES) + near());
    case 8:
      return BigInt.asUintN(64, -random.pick(SIZES));
    case 9:
      return 0xfee00000n + BigInt(16 * random.below(0x40));
    case 10:
      return BigInt(places.size) + near();
    case 11:
      return random.pick([0x7fffffffffffn, 0x800000000000n, 0xffff800000000000n, 0xffffffff80000000n, 0xffffffffffffffffn, 0xfffffffffffff000n, 0xfffff000n]) + near();
    case 12:
      return BigInt(random.below(0x100));
    case 13:
      return BigInt(random.u32());
    case 14:
      return 1n << BigInt(random.below(64));
    default:
      return random.u64();
  }
}

const bytesOf = (number: bigint, size: number) => Array.from({ length: size }, (_, i) => Number((BigInt.asUintN(64, number) >> BigInt(8 * i)) & 255n));

export class Programmer {
  constructor(
    private readonly random: Random,
    private readonly places: Places,
  ) {}

  /** `count` instructions or idioms for code of this width. */
  program(bits: Bits, count: number): number[][] {
    return Array.from({ length: count }, () => this.piece(bits));
  }

  private piece(bits: Bits): number[] {
    const { random } = this;
    const kind = random.below(100);
    if (kind < 52) return this.instruction(bits);
    if (kind < 94) return this.idiom(bits);
    return Array.from({ length: random.between(1, 8) }, () => random.below(256));
  }

  private immediate(size: number): number[] {
    return bytesOf(value(this.random, this.places), size);
  }

  private instruction(bits: Bits): number[] {
    const { random } = this;
    let group = 0;
    for (let n = random.below(100); n >= WEIGHTS[group]; group++) n -= WEIGHTS[group];
    const row = random.pick(GROUPS[group]);
    const out: number[] = [];
    let opsize = bits === 16 ? 2 : 4;
    let addrsize = bits / 8;
    if (random.chance(0.1)) {
      out.push(0x66);
      opsize = 6 - opsize;
    }
    if (random.chance(0.06)) {
      out.push(0x67);
      addrsize = bits === 64 ? 4 : 6 - addrsize;
    }
    if (random.chance(group === 1 ? 0.5 : 0.04)) out.push(random.pick([0xf2, 0xf3]));
    if (random.chance(0.05)) out.push(0xf0);
    if (random.chance(0.08)) out.push(random.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]));
    out.push(...row.prefix);
    if (bits === 64 && random.chance(0.5)) {
      const rex = 0x40 | random.below(16);
      if (rex & 8) opsize = 8;
      out.push(rex);
    }
    const opcode = [...row.opcode];
    if (row.plusR && typeof row.modrm !== "number") opcode[opcode.length - 1] |= random.below(8);
    out.push(...opcode);
    if (typeof row.modrm === "number") out.push(row.modrm | random.below(8));
    else if (row.modrm !== "none") out.push(...this.modrm(row, addrsize));
    for (const operand of row.operands.split(",")) {
      if (/^(Ib|Ibs|Jb)$/.test(operand)) out.push(operand === "Jb" ? random.below(24) : random.below(256));
      else if (operand === "Iw") out.push(...this.immediate(2));
      else if (/^(Iz|Jz)$/.test(operand)) out.push(...(operand === "Jz" ? bytesOf(BigInt(random.below(32)), Math.min(opsize, 4)) : this.immediate(Math.min(opsize, 4))));
      else if (operand === "Iv") out.push(...this.immediate(opsize));
      else if (operand === "Ap") out.push(...this.immediate(Math.min(opsize, 4)), ...bytesOf(BigInt(this.selector()), 2));
      else if (operand.startsWith("O")) out.push(...this.immediate(addrsize));
    }
    return out;
  }

  private modrm({ modrm, digit }: Encoding, addrsize: number): number[] {
    const { random } = this;
    const memory = modrm === "mem" || (modrm !== "reg" && random.chance(0.65));
    const reg = digit >= 0 ? digit : random.below(8);
    if (!memory) return [0xc0 | (reg << 3) | random.below(8)];
    const mod = random.pick([0, 0, 1, 1, 2]);
    const rm = random.below(8);
    const out = [(mod << 6) | (reg << 3) | rm];
    if (addrsize === 2) {
      if (mod === 2 || (mod === 0 && rm === 6)) out.push(...this.immediate(2));
    } else {
      let base = rm;
      if (rm === 4) {
        out.push(random.below(256));
        base = out[1] & 7;
      }
      if (mod === 2) out.push(...bytesOf(random.chance(0.8) ? BigInt(random.between(-64, 64)) : BigInt(random.u32()), 4));
      if (mod === 0 && base === 5) out.push(...this.immediate(4));
    }
    if (mod === 1) out.push(random.below(256));
    return out;
  }

  private selector(): number {
    const { random } = this;
    return random.chance(0.8) ? random.below(24) * 8 + random.pick([0, 0, 3, 3, 1, 4]) : random.below(0x10000);
  }

  /** MOV of a 32- or, in 64-bit code, sometimes 64-bit immediate into general register `n` (below 8). */
  private set(bits: Bits, n: number, to: bigint): number[] {
    const narrow = to < 0x100000000n;
    if (bits === 64 && !narrow) return [0x48, 0xb8 | n, ...bytesOf(to, 8)];
    return [...(bits === 16 ? [0x66] : []), 0xb8 | n, ...bytesOf(to, 4)];
  }

  /** Store of EAX to an absolute address. */
  private storeEax(bits: Bits, at: number, size = 4): number[] {
    const width = bits === 16 ? (size === 4 ? [0x66] : []) : size === 2 ? [0x66] : size === 8 && bits === 64 ? [0x48] : [];
    if (bits === 64) return [...width, 0x89, 0x04, 0x25, ...bytesOf(BigInt(at), 4)];
    if (bits === 32) return [...width, 0x89, 0x05, ...bytesOf(BigInt(at), 4)];
    return [0x67, ...width, 0x89, 0x05, ...bytesOf(BigInt(at), 4)];
  }

  private idiom(bits: Bits): number[] {
    const { random, places } = this;
    const v = () => value(random, places);
    const reg = () => random.below(8);
    const o32 = bits === 16 ? [0x66] : [];
    switch (random.below(26)) {
      case 0:
      case 1:
      case 2:
        return this.set(bits, reg(), v());
      case 3: // MOV to CR0, CR3, CR4, CR8
        return [...this.set(bits, 0, this.controlValue()), 0x0f, 0x22, 0xc0 | (random.pick([0, 0, 2, 3, 3, 4, 4, 1]) << 3)];
      case 4: // one bit of CR0 or CR4
        return [0x0f, 0x20, random.chance(0.5) ? 0xc0 : 0xe0, ...o32, 0x0f, 0xba, 0xf8, random.below(32), 0x0f, 0x22, random.chance(0.5) ? 0xc0 : 0xe0];
      case 5:
      case 6: // WRMSR
        return [...this.set(bits, 1, BigInt(this.msr())), ...this.set(bits, 0, v() & 0xffffffffn), ...this.set(bits, 2, random.chance(0.6) ? 0n : v() & 0xffffffffn), 0x0f, 0x30];
      case 7:
        return [...this.set(bits, 1, BigInt(this.msr())), 0x0f, 0x32];
      case 8: // a page-table entry
      case 9:
        return [...this.set(bits, 0, this.pageEntry()), ...this.storeEax(bits, places.tables + 8 * random.below(0xc00), random.pick([4, 8]))];
      case 10: // a descriptor
        return [...this.set(bits, 0, v() & 0xffffffffn), ...this.storeEax(bits, random.pick([places.gdt, places.idt, places.tss]) + 4 * random.below(64))];
      case 11: // code ahead
        return [...this.set(bits, 0, v() & 0xffffffffn), ...this.storeEax(bits, places.code + random.below(0x400), random.pick([2, 4, 8]))];
      case 12: // segment register
        return [...this.set(bits, 0, BigInt(this.selector())), 0x8e, 0xc0 | (random.pick([0, 2, 2, 3, 4, 5]) << 3)];
      case 13: // LLDT, LTR, VERR, VERW
        return [...this.set(bits, 0, BigInt(this.selector())), 0x0f, 0x00, 0xc0 | (random.between(2, 5) << 3)];
      case 14: // LGDT, LIDT with what is in memory
        return [0x0f, 0x01, ...(bits === 16 ? [0x06 | (random.between(2, 3) << 3), ...bytesOf(BigInt(random.below(0x10000)), 2)] : [0x04 | (random.between(2, 3) << 3), 0x25, ...bytesOf(BigInt(places.data + random.below(0x2000)), 4)])];
      case 15: // IRET, RETF, SYSRET, SYSEXIT with a frame of sorts
        return [...Array.from({ length: random.between(3, 6) }, () => this.pushed(bits)).flat(), ...random.pick([[0xcf], [0x48, 0xcf], [0xcb], [0x48, 0xcb], [0x0f, 0x07], [0x48, 0x0f, 0x07], [0x0f, 0x35]])];
      case 16:
        return random.chance(0.7) ? [0xcd, random.below(random.chance(0.7) ? 34 : 256)] : random.pick([[0xcc], [0xf1], [0x0f, 0x05], [0x0f, 0x34]]);
      case 17: // POPF with TF, NT, AC, IOPL, IF, VM
        return [...this.set(bits, 0, BigInt(random.u32() & 0x3f7fd5)), ...(bits === 64 ? [0x50, 0x9d] : [0x66, 0x50, 0x66, 0x9d])];
      case 18: // debug registers
        return [...this.set(bits, 0, random.chance(0.5) ? v() & 0xffffffffn : BigInt(random.u32() & 0xffff2fff)), 0x0f, 0x23, 0xc0 | (random.pick([0, 1, 2, 3, 6, 7, 7]) << 3)];
      case 19: // REP with large counts
        return [...this.set(bits, 1, random.pick([5n, 300n, 5000n, 0xffffn, 0x40000n, 0xffffffffn, 0xffffffffffffffffn])), ...this.set(bits, 6, v()), ...this.set(bits, 7, v()), random.pick([0xfc, 0xfd]), ...(bits === 16 ? [0x67] : []), random.pick([0xf2, 0xf3]), ...(bits === 64 && random.chance(0.4) ? [0x48] : []), random.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x6c, 0x6d, 0x6e, 0x6f])];
      case 20: // local APIC
        return [...this.set(bits, 0, v() & 0xffffffffn), ...this.storeEax(bits, 0xfee00000 + 16 * random.below(0x40), random.pick([4, 4, 4, 2, 8]))];
      case 21: // XSAVE family, XSETBV
        return random.pick([
          [...this.set(bits, 1, 0n), ...this.set(bits, 0, BigInt(random.below(16))), ...this.set(bits, 2, 0n), 0x0f, 0x01, 0xd1],
          [...this.set(bits, 0, 3n), ...this.set(bits, 2, 0n), ...this.set(bits, 7, BigInt(places.data + 64 * random.below(64))), ...(bits === 16 ? [0x67] : []), 0x0f, 0xae, 0x07 | (random.pick([0, 1, 4, 5, 6]) << 3)],
        ]);
      case 22: // far jump
        return bits === 64 ? [...this.set(bits, 7, BigInt(places.data + random.below(64))), 0x48, 0xff, 0x2f] : [0xea, ...bytesOf(BigInt(places.code + random.below(0x800)), bits === 16 ? 2 : 4), ...bytesOf(BigInt(this.selector()), 2)];
      case 23: // hypercall
      case 24:
        return [
          ...[7, 6, 2, 3, 1].flatMap((n) => (random.chance(0.7) ? this.set(bits, n, random.chance(0.5) ? BigInt(random.below(40)) : v()) : [])),
          ...this.set(bits, 0, BigInt(random.chance(0.9) ? random.pick([12, 13, 15, 17, 18, 20, 21, 24, 29, 32, 34]) : random.below(64))),
          ...(random.chance(0.8) ? [0x0f, 0x01, random.pick([0xc1, 0xd9])] : []),
          0x0f, 0x01, 0xc1,
        ];
      default: // a short loop, a jump into the middle of something
        return random.chance(0.5) ? [...this.set(bits, 1, BigInt(random.below(500))), 0xe2, 0xfe] : [0xeb, random.pick([0, 1, 2, 5, 0xf0, 0xe0])];
    }
  }

  private pushed(bits: Bits): number[] {
    const { random, places } = this;
    const what = random.below(4);
    const n = what === 0 ? BigInt(this.selector()) : what === 1 ? BigInt(places.code + random.below(0x800)) : what === 2 ? BigInt(random.u32() & 0x3f7fd7) : value(random, places);
    return [...this.set(bits, 0, bits === 64 ? n : n & 0xffffffffn), ...(bits === 16 && random.chance(0.5) ? [0x66] : []), 0x50];
  }

  private controlValue(): bigint {
    const { random, places } = this;
    switch (random.below(6)) {
      case 0:
        return random.pick([0x80000031n, 0x31n, 0x30n, 0x80010033n, 0x8005003bn, 0x39n]);
      case 1:
        return BigInt(random.u32() & 0x3707ff);
      case 2:
      case 3:
        return BigInt(places.tables + 0x1000 * random.below(12)) | BigInt(random.pick([0, 0, 8, 24]));
      case 4:
        return random.pick([0x20n, 0x620n, 0x6b0n, 0x3006b0n, 0x40620n, 0x620n | 0x20000n]);
      default:
        return value(random, places);
    }
  }

  private pageEntry(): bigint {
    const { random, places } = this;
    const flags = BigInt(random.pick([0x7, 0x7, 0x27, 0x67, 0x87, 0x83, 0x5, 0x3, 0x103, 0x187, 0x1]) | (random.chance(0.1) ? random.below(4096) : 0));
    switch (random.below(6)) {
      case 0:
      case 1:
        return BigInt(places.tables + 0x1000 * random.below(14)) | flags;
      case 2:
      case 3:
        return BigInt(0x1000 * random.below(places.size / 0x1000)) | flags;
      case 4:
        return (BigInt(random.u32()) & 0xfffff000n) | flags;
      default:
        return BigInt(random.u32());
    }
  }

  private msr(): number {
    const { random } = this;
    switch (random.below(6)) {
      case 0:
      case 1:
        return 0xc0000080 + random.below(5);
      case 2:
        return 0xc0000100 + random.below(4);
      case 3:
        return 0x800 + random.below(0x40);
      case 4:
        return random.pick([0x10, 0x1b, 0x3b, 0x48, 0x174, 0x175, 0x176, 0x17a, 0x1a0, 0x1d9, 0x200, 0x201, 0x250, 0x268, 0x277, 0x2ff, 0x6e0, 0x40000000, 0xc0010015, 0xc0011029]);
      default:
        return random.chance(0.5) ? random.below(0x2000) : random.u32();
    }
  }
}
