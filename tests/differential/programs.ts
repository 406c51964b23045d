/** Random programs over the integer rows, with or without x87, MMX and SSE: straight code, forward branches, bounded loops, subroutines, string runs, all within two
 *  pages of data. RBX and RBP point into the data and are kept; loops count in memory; a fault ends a program as well as HLT.
 *  After an instruction that leaves more than AF undefined all flags are set anew. */
import { CODE, type Case, DATA, ENVS } from "../hardware/native";
import { Random } from "../support/random";
import { fpuState } from "../cpu/fpu/cases";
import { FPU_ROWS } from "../cpu/fpu/rows";
import { ROWS, type Row } from "../cpu/integer/rows";

export const PROGRAM_WINDOWS = [[DATA, 0x2000]] as const;
/** All but AF, which shifts leave undefined. */
export const PROGRAM_FLAGS = 0xcc5;

/** Where RBX and RBP point, the loop counter, the stack. */
const RBX_AT = DATA + 0x800;
const RBP_AT = DATA + 0x1800;
const COUNTER = DATA + 0x1f00;
const STACK = DATA + 0x1500;

const LEFT_OUT = /^(j|aa[as]$|da[as]$|loop|call|ret|enter|leave|popa|pusha|pop$|push$|xlat|movoffs|lahf|salc|ins|outs|movs$|stos|lods|cmps|scas|aam|bt[src]?$|prefetch|hint)/;
const PLAIN = ROWS.filter((row) => !LEFT_OUT.test(row.name) && !(row.spec.op ?? "").startsWith("movoffs") && !row.string);
const HOT = PLAIN.filter((row) => /^(add|sub|cmp|test|and|or|xor|adc|sbb|mov|lea|inc|dec|neg|not|movzx|movsx|movsxd|shl|shr|sar|imul|set.*|cmov.*)$/.test(row.name));
/** What a program may contain of x87, MMX and SSE: control words stay as they are. */
const FPU = FPU_ROWS.filter((row) => !/^(fldcw|ldmxcsr)/.test(row.name));
const X87 = FPU.filter((row) => row.name.startsWith("f"));
const SSE = FPU.filter((row) => row.operands.some((o) => /^[VWU]/.test(o)));
/** What the translator performs without a branch where one jumps over it. */
const ARM = HOT.filter((row) => /^(mov|lea|movzx|movsx|add|sub|and|or|xor|shl|shr|sar|neg|not)$/.test(row.name));
const JCC = ROWS.filter((row) => row.opcode >= 0x70 && row.opcode < 0x80 && row.escape.length === 0 && row.operands[0] === "Jb");

export interface Program extends Case {
  /** [offset, length] of the pieces that may be replaced by NOPs one by one. */
  readonly units: readonly (readonly [offset: number, length: number])[];
}

const le = (x: number, n: number) => Array.from({ length: n }, (_, i) => (x >> (i * 8)) & 255);

class Writer {
  readonly code: number[] = [];
  readonly units: [number, number][] = [];
  readonly long: boolean;
  readonly free: readonly number[];

  constructor(
    readonly r: Random,
    readonly env: number,
    readonly fpu = false,
  ) {
    this.long = ENVS[env].bits === 64;
    this.free = this.long ? [0, 1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] : [0, 1, 2, 6, 7];
  }

  unit(bytes: readonly number[]): void {
    this.units.push([this.code.length, bytes.length]);
    this.code.push(...bytes);
  }

  /** One instruction of `row` with registers nobody relies on; operands that may be either are registers if `registers`. */
  plain(row: Row, registers = false): number[] {
    const { r, long } = this;
    const wide = long && r.chance(0.4);
    let rex = wide ? 8 : 0;
    let mustRex = false;
    const first = row.operands[0] ?? "";
    const bytesOnly = /^([EGZ]b|AL)/.test(first);
    const opsize = row.vex || row.prefix === 0x66 || row.noPrefix || row.name === "cmpxchg8b" || row.name === "movnti" || row.escape.length === 2 ? false : r.chance(0.12);
    const w = bytesOnly ? 1 : wide ? 8 : opsize ? 2 : 4;
    const pick = () => r.pick(this.free);
    const reg = row.digit ?? pick();
    let rm = pick();
    const vvvv = pick();
    const usesReg = row.digit === undefined;
    // without REX, 6 and 7 are DH and BH as bytes; BH belongs to a pointer
    if (row.operands.some((o) => o.endsWith("b") && /^[EGZ]/.test(o)) && !long && !row.vex) {
      if (rm === 7) rm = 2;
      if (usesReg && reg === 7) return this.plain(row, registers);
      if (rm === 6) rm = 0;
      if (usesReg && reg === 6) return this.plain(row, registers);
    } else if (row.operands.some((o) => o.endsWith("b"))) mustRex = true;
    const tail: number[] = [];
    if (row.modrm) {
      const memory = row.form !== "reg" && (row.form === "mem" || (!registers && r.chance(0.35)));
      if (memory) {
        const base = r.chance(0.6) ? 3 : 5;
        const index = r.chance(0.15);
        const near = r.below(240) - 120;
        const disp = base === 3 && r.chance(0.3) ? r.below(0xc00) - 0x600 : near;
        const mod = disp === near ? 1 : 2;
        if (row.name === "cmpxchg8b" && wide) return this.plain(row);
        if (index) {
          // the index register is bounded by an instruction before this one
          const x = pick();
          rex |= x >= 8 ? 2 : 0;
          const scale = r.below(4);
          this.unit([...(x >= 8 ? [0x41] : []), 0x83, 0xe0 | (x & 7), 0x1f]); // and x, 31
          tail.push((mod << 6) | ((reg & 7) << 3) | 4, (scale << 6) | ((x & 7) << 3) | base, ...le(disp, mod === 1 ? 1 : 4));
        } else tail.push((mod << 6) | ((reg & 7) << 3) | base, ...le(disp, mod === 1 ? 1 : 4));
      } else {
        tail.push(0xc0 | ((reg & 7) << 3) | (rm & 7));
        rex |= rm >= 8 ? 1 : 0;
      }
      if (usesReg && reg >= 8) rex |= 4;
    } else if (row.plusR) rex |= rm >= 8 ? 1 : 0;
    const imm: number[] = [];
    for (const o of row.operands) {
      if (o === "Ib" || o === "Ibs") imm.push(/^sh[lr]d$/.test(row.name) && w === 2 ? r.below(16) : r.below(256));
      else if (o === "Iw") imm.push(r.below(256), r.below(256));
      else if (o === "Iz") imm.push(...le(r.u32() | 0, w === 2 ? 2 : 4));
      else if (o === "Iv") imm.push(...le(r.u32() | 0, w === 2 ? 2 : 4), ...(w === 8 ? le(r.u32() | 0, 4) : []));
    }
    if (row.vex) {
      return [0xc4, (rex & 4 ? 0 : 0x80) | (rex & 2 ? 0 : 0x40) | (rex & 1 ? 0 : 0x20) | row.vex.map, (rex & 8 ? 0x80 : 0) | ((~(row.name === "rorx" ? 0 : vvvv) & 15) << 3) | row.vex.pp, row.opcode, ...tail, ...imm];
    }
    const prefixes = [...(opsize ? [0x66] : []), ...(row.spec.lock && tail.length && tail[0] < 0xc0 && r.chance(0.1) ? [0xf0] : []), ...(row.prefix ? [row.prefix] : [])];
    return [...prefixes, ...(long && (rex || mustRex) ? [0x40 | rex] : []), ...row.escape, row.plusR ? row.opcode + (rm & 7) : row.opcode, ...tail, ...imm];
  }

  /** One instruction of x87, MMX or SSE; 16-byte operands are mostly aligned. */
  private floating(row: Row): number[] {
    const { r, long } = this;
    const wide = long && r.chance(0.2);
    let rex = wide ? 8 : 0;
    const general = row.operands.some((o) => o[0] === "G");
    const reg = row.digit ?? (general ? r.pick(this.free) : r.below(long ? 16 : 8));
    const tail: number[] = [];
    if (row.exact !== undefined) tail.push(row.exact);
    else if (row.modrm) {
      if (row.digit === undefined && reg >= 8) rex |= 4;
      if (row.form !== "reg" && (row.form === "mem" || r.chance(0.4))) {
        const disp = (r.below(15) - 7) * 16 + (r.chance(0.02) ? r.below(16) : 0);
        tail.push(0x40 | ((reg & 7) << 3) | r.pick([3, 5]), disp & 255);
      } else {
        const rm = row.operands.some((o) => o[0] === "E") ? r.pick(this.free) : r.below(long ? 16 : 8);
        if (rm >= 8) rex |= 1;
        tail.push(0xc0 | ((reg & 7) << 3) | (rm & 7));
      }
    }
    // without REX 6 and 7 as bytes are DH and BH, and BH belongs to a pointer
    const byte = row.operands.includes("Eb") && tail[0] >= 0xc0;
    if (byte && !long && (tail[0] & 7) === 7) tail[0] &= ~7;
    const imm = row.operands.includes("Ib") ? [r.below(256)] : [];
    return [...(row.prefix ? [row.prefix] : []), ...(long && (rex || byte) ? [0x40 | rex] : []), ...row.escape, row.opcode, ...tail, ...imm];
  }

  /** A plain instruction and, if need be, a CMP that makes the flags known again. */
  some(): void {
    const { r } = this;
    if (this.fpu && r.chance(0.4)) {
      const row = r.pick(r.chance(0.3) ? X87 : r.chance(0.8) ? SSE : FPU);
      if (row.spec.mode === undefined || (row.spec.mode === "long") === this.long) this.unit(this.floating(row));
      return;
    }
    const rows = r.chance(0.6) ? HOT : PLAIN;
    for (;;) {
      const row = r.pick(rows);
      if (row.spec.mode !== undefined && (row.spec.mode === "long") !== this.long) continue;
      if (/^sh[lr]d$/.test(row.name) && row.operands[2] === "CL") continue; // words shifted too far
      const known = !/[oszpc]/.test(row.spec.undefinedFlags ?? "");
      const bytes = this.plain(row);
      const compare = known ? [] : [0x39, 0xc0 | (r.pick([0, 1, 2]) << 3) | r.pick([0, 1, 2])];
      this.unit([...bytes, ...compare]);
      return;
    }
  }

  jcc(over: number): number[] {
    const row = this.r.pick(JCC);
    return this.r.chance(0.7) && over < 128 ? [row.opcode, over] : [0x0f, row.opcode + 0x10, ...le(over, 4)];
  }

  /** CMP or TEST right before a branch: pairs that run as one. */
  compare(): number[] {
    const { r } = this;
    const names = r.chance(0.5) ? /^cmp$/ : /^test$/;
    return this.plain(r.pick(PLAIN.filter((row) => names.test(row.name) && (row.spec.mode === undefined || (row.spec.mode === "long") === this.long))));
  }

  /** A branch over instructions that compute registers, whose flags nobody sees. */
  private arm(): void {
    const { r } = this;
    const rows = ARM.filter((row) => row.spec.mode === undefined || (row.spec.mode === "long") === this.long);
    const inner = new Writer(r, this.env);
    for (let i = r.between(1, 3); i > 0; i--) inner.unit(inner.plain(r.pick(rows), true));
    const length = inner.code.length;
    this.unit([...(r.chance(0.5) ? this.compare() : []), ...this.jcc(length)]);
    for (const [at, size] of inner.units) this.unit(inner.code.slice(at, at + size));
    this.unit([0x39, 0xc0 | (r.pick([0, 1, 2]) << 3) | r.pick([0, 1, 2])]);
  }

  strings(): void {
    const { r, long } = this;
    const wide = long ? [0x48] : [];
    const lea = (reg: number) => [...wide, 0x8d, 0x83 | (reg << 3), ...le(r.below(0x900) - 0x480, 4)];
    const opcode = r.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]);
    const size = r.pick([[], [], [0x66], wide]);
    const near = r.chance(0.3) ? [...wide, 0x8d, 0x7e, r.below(20)] : lea(7); // overlapping: RDI = RSI + n
    this.unit([...lea(6), ...near, 0xb9, ...le(r.below(r.chance(0.2) ? 120 : 20), 4), r.chance(0.25) ? 0xfd : 0xfc, ...(r.chance(0.8) ? [r.pick([0xf2, 0xf3])] : []), ...size, opcode, 0xfc]);
  }

  body(depth: number): void {
    const { r } = this;
    for (let n = r.between(2, 7); n > 0; n--) {
      const kind = r.below(20);
      if (kind < 12) this.some();
      else if (kind < 13) this.arm();
      else if (kind < 15) {
        // over a few instructions
        const inner = new Writer(r, this.env, this.fpu);
        for (let i = r.between(1, 3); i > 0; i--) inner.some();
        const pair = r.chance(0.7) ? this.compare() : [];
        this.unit([...pair, ...this.jcc(inner.code.length)]);
        for (const [at, length] of inner.units) this.unit(inner.code.slice(at, at + length));
      } else if (kind < 16) this.strings();
      else if (kind < 17) {
        const x = r.pick(this.free.filter((n) => n < 8));
        const y = r.pick(this.free.filter((n) => n < 8));
        this.unit([0x50 + x]);
        this.some();
        this.unit([0x58 + y]);
      } else if (kind < 18) {
        // CALL over a subroutine's body that ends in RET, then past it
        const inner = new Writer(r, this.env, this.fpu);
        inner.some();
        inner.some();
        this.unit([0xe8, ...le(2, 4), 0xeb, inner.code.length + 1, ...inner.code, 0xc3]);
      } else if (depth > 0) {
        const from = this.code.length;
        const setup = [0xc7, 0x85, ...le(COUNTER - RBP_AT - depth * 8, 4), ...le(r.between(1, 12), 4)];
        this.unit(setup);
        const top = from + setup.length;
        this.body(depth - 1);
        this.loopEnd(top, depth);
      }
    }
  }

  /** dec dword [rbp + counter]; jnz top */
  loopEnd(top: number, depth: number): void {
    const dec = [0xff, 0x8d, ...le(COUNTER - RBP_AT - depth * 8, 4)];
    const at = this.code.length + dec.length;
    const near = top - at - 2;
    this.code.push(...dec, ...(near >= -128 ? [0x75, near & 255] : [0x0f, 0x85, ...le(top - at - 6, 4)]));
  }
}

export function makeProgram(env: number, seed: string, fpu = false): Program {
  const r = new Random(seed);
  const w = new Writer(r, env, fpu);
  const length = r.between(60, 800);
  while (w.code.length < length) w.body(2);
  w.code.push(0xf4);
  const gpr = new BigUint64Array(16);
  const long = ENVS[env].bits === 64;
  for (let i = 0; i < (long ? 16 : 8); i++) gpr[i] = long ? (r.chance(0.5) ? r.u64() : BigInt(r.below(300))) : BigInt(r.u32());
  gpr[3] = BigInt(RBX_AT);
  gpr[4] = BigInt(STACK + r.below(16));
  gpr[5] = BigInt(RBP_AT);
  const memory = new Uint8Array(0x2000);
  const words = new Uint32Array(memory.buffer);
  for (let i = 0; i < words.length; i++) words[i] = r.u32();
  return { env, rip: CODE + 0x100 + r.below(0x3000), step: false, repeats: false, code: Uint8Array.from(w.code), gpr, rflags: r.u32() & 0x8d5, memory, units: w.units, ...(fpu ? { fpu: stateFor(r, long) } : {}) };
}

/** One program in ten meets unmasked exceptions. */
function stateFor(r: Random, long: boolean): Uint8Array {
  const state = fpuState(r, r.chance(0.9));
  if (!long) state.fill(0, 288);
  return state;
}

/** The program with the given units replaced by NOPs. */
export function without(program: Program, units: readonly number[]): Program {
  const code = program.code.slice();
  for (const unit of units) {
    const [at, length] = program.units[unit];
    code.fill(0x90, at, at + length);
  }
  return { ...program, code };
}
