/** Cases for one instruction row in one environment, the same for the same row whatever rows there are besides: legal prefixes,
 *  every way to address memory, operands at the boundaries, and now and then an address that faults. */
import { CODE, CODE_SIZE, type Case, DATA, ENVS, FS_BASE, GS_BASE, MEMORY, READ_ONLY, WINDOWS, WRAP } from "../../hardware/native";
import { Random } from "../../support/random";
import type { Row } from "./rows";

const M64 = (1n << 64n) - 1n;
const EDGES = [0n, 1n, 2n, 0x7fn, 0x80n, 0x81n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0xffffn, 0x10000n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0x7fffffffffffffffn, 0x8000000000000000n, M64, M64 - 1n, 0x5555555555555555n, 0xffffffff80000000n, 0x99n, 0x0an];
const SEGMENT_PREFIX = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const [ES, CS, SS, DS, FS, GS] = [0, 1, 2, 3, 4, 5];
const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7];

export const CASES_PER_ENV = [150, 64, 24, 64, 12, 10];

/** Whether the row exists in the environment's mode. */
export function exists(row: Row, env: number): boolean {
  const long = ENVS[env].bits === 64;
  return row.spec.mode === undefined || (row.spec.mode === "long") === long;
}

function value(r: Random): bigint {
  const kind = r.below(10);
  if (kind < 4) return r.pick(EDGES);
  if (kind < 6) return BigInt(r.below(70));
  if (kind < 7) return (r.pick(EDGES) + BigInt(r.below(5)) - 2n) & M64;
  if (kind < 8) return BigInt(r.u32());
  return r.u64();
}

/** Offset in Case.memory of a linear address, -1 if no window has it. */
function memoryAt(lin: number): number {
  let at = 0;
  for (const [address, length] of WINDOWS) {
    if (lin >= address && lin < address + length) return at + lin - address;
    at += length;
  }
  return -1;
}

export function poke(memory: Uint8Array, lin: number, x: bigint, size: number): void {
  for (let i = 0; i < size; i++) {
    const at = memoryAt(lin + i);
    if (at >= 0) memory[at] = Number((x >> BigInt(i * 8)) & 0xffn);
  }
}

function peek(memory: Uint8Array, lin: number, size: number): bigint {
  let x = 0n;
  for (let i = size - 1; i >= 0; i--) {
    const at = memoryAt(lin + i);
    x = (x << 8n) | BigInt(at < 0 ? 0 : memory[at]);
  }
  return x;
}

class Builder {
  readonly gpr = new BigUint64Array(16);
  readonly memory = new Uint8Array(MEMORY);
  readonly bits: number;
  readonly long: boolean;
  rflags: number;
  /** Linear address of the memory operand, -1 without one. */
  lin = -1;
  /** What most memory operands are aligned to. */
  align = 1;

  constructor(
    readonly row: Row,
    readonly env: number,
    readonly r: Random,
  ) {
    this.bits = ENVS[env].bits;
    this.long = this.bits === 64;
    for (let i = 0; i < 16; i++) this.gpr[i] = value(r);
    const words = new Uint32Array(this.memory.buffer);
    for (let i = 0; i < words.length; i++) words[i] = r.u32();
    this.rflags = r.u32() & 0x8d5;
    if (r.chance(row.string ? 0.5 : 0.05)) this.rflags |= 0x400;
  }

  base(seg: number): number {
    if (this.long) return seg === FS ? FS_BASE : seg === GS ? GS_BASE : 0;
    return ENVS[this.env].seg[seg].base;
  }

  /** A linear address, mostly of memory a case may use in segment `seg` with offsets of `asize` bytes. */
  linear(seg: number, asize: number, span = 16): number {
    const { r } = this;
    // code cannot be written, and what is read should be the same in every run
    if (!this.long && seg === CS) return this.base(CS) ? CODE + CODE_SIZE - 256 + r.below(240) : CODE + CODE_SIZE - r.below(8);
    for (let tries = 0; ; tries++) {
      let lin: number;
      const k = r.below(100);
      if (k < 60) lin = DATA + 0x1000 - 64 + r.below(128 - span);
      else if (k < 68) lin = DATA + 0x1000 - r.below(9);
      else if (k < 80) lin = DATA + 0x2000 - 64 + r.below(64);
      else if (k < 90) lin = WRAP + (r.chance(0.5) ? r.below(32) : 0xffe0 + r.below(32));
      else if (k < 94) lin = READ_ONLY + r.below(4096);
      else if (k < 96) lin = DATA + 0x2000 + r.below(0x900);
      else lin = DATA + 0x1000 - 64 + r.below(120);
      if (this.align > 1 && r.chance(0.85)) lin -= lin % this.align;
      const offset = lin - this.base(seg);
      if (offset >= 0 && (asize > 2 || offset <= 0xffff)) return lin;
      if (tries > 200) return this.base(seg) + r.below(0x10000);
    }
  }

  /** Offset of `lin` in `seg` as a register value, with noise above the address size; sometimes not canonical. */
  pointer(lin: number, seg: number, asize: number): bigint {
    const offset = BigInt(lin - this.base(seg));
    if (asize === 8) return this.r.chance(0.02) ? offset ^ (1n << BigInt(this.r.between(47, 62))) : offset & M64;
    const mask = asize === 4 ? 0xffffffffn : 0xffffn;
    return (offset & mask) | (this.r.chance(0.5) ? this.r.u64() & ~mask & M64 : 0n);
  }
}

interface Operand {
  readonly bytes: number[];
  readonly ripRelative: boolean;
  readonly rexX: number;
  readonly rexB: number;
}

/** ModRM, SIB and displacement of a memory operand at `lin` (or near it), registers set accordingly. */
function memoryOperand(b: Builder, reg: number, asize: number, segPrefix: number, size: number): Operand {
  const { r, gpr, long } = b;
  const regs = long ? 16 : 8;
  const pickLin = (seg: number) => b.linear(segPrefix >= 0 && (!long || segPrefix >= FS) ? segPrefix : seg, asize, size);
  const segOf = (seg: number) => (segPrefix >= 0 && (!long || segPrefix >= FS) ? segPrefix : seg);
  const s32 = (x: bigint) => [0, 8, 16, 24].map((k) => Number((x >> BigInt(k)) & 0xffn));
  if (asize === 2) {
    const rm = r.below(8);
    const mod = r.below(3);
    const direct = rm === 6 && mod === 0;
    const seg = segOf(!direct && (rm === 2 || rm === 3 || rm === 6) ? SS : DS);
    b.lin = pickLin(seg);
    const disp = mod === 1 ? r.below(256) - 128 : mod === 2 ? r.below(65536) : 0;
    const offset = (b.lin - b.base(seg)) & 0xffff;
    const rest = BigInt((offset - disp) & 0xffff);
    const set = (n: number, x: bigint) => {
      gpr[n] = (x & 0xffffn) | (r.chance(0.5) ? r.u64() & ~0xffffn : 0n);
    };
    const [first, second] = [[RBX, RSI], [RBX, RDI], [RBP, RSI], [RBP, RDI], [RSI], [RDI], [RBP], [RBX]][rm];
    if (direct) return { bytes: [reg * 8 + 6, offset & 255, offset >> 8], ripRelative: false, rexX: 0, rexB: 0 };
    if (second === undefined) set(first, rest);
    else {
      const part = BigInt(r.below(65536));
      set(second, part);
      set(first, rest - part);
    }
    const bytes = [(mod << 6) | (reg * 8) | rm];
    if (mod >= 1) bytes.push(disp & 255);
    if (mod === 2) bytes.push((disp >> 8) & 255);
    return { bytes, ripRelative: false, rexX: 0, rexB: 0 };
  }
  const kind = r.below(10);
  const modBits = r.below(3);
  const disp = modBits === 0 ? 0n : modBits === 1 ? BigInt(r.below(256) - 128) : BigInt.asIntN(32, BigInt(r.u32()));
  const dispBytes = modBits === 0 ? [] : s32(disp).slice(0, modBits === 1 ? 1 : 4);
  if (kind === 0 && (long || r.chance(0.5))) {
    // disp32 alone: RIP-relative in 64-bit mode
    const seg = segOf(DS);
    b.lin = pickLin(seg);
    return { bytes: [(reg & 7) * 8 + 5, ...s32(BigInt(b.lin - b.base(seg)))], ripRelative: long, rexX: 0, rexB: 0 };
  }
  if (kind < 5) {
    // a base register without SIB
    let base = r.below(regs);
    while ((base & 7) === RSP || (modBits === 0 && (base & 7) === RBP)) base = r.below(regs);
    const seg = segOf(base === RBP ? SS : DS);
    b.lin = pickLin(seg);
    gpr[base] = (b.pointer(b.lin, seg, asize) - disp) & M64;
    return { bytes: [(modBits << 6) | ((reg & 7) * 8) | (base & 7), ...dispBytes], ripRelative: false, rexX: 0, rexB: base >> 3 };
  }
  // SIB
  const scale = r.below(4);
  const index = r.below(regs);
  const hasIndex = index !== RSP;
  if (kind < 7) {
    // no base: index * scale + disp32
    const seg = segOf(DS);
    b.lin = pickLin(seg);
    let offset = BigInt(b.lin - b.base(seg));
    if (hasIndex) {
      gpr[index] = BigInt(r.below(4096)) | (asize === 4 && r.chance(0.3) ? r.u64() & ~0xffffffffn : 0n);
      offset -= gpr[index] << BigInt(scale);
    }
    return { bytes: [(reg & 7) * 8 + 4, (scale << 6) | ((index & 7) * 8) | 5, ...s32(offset)], ripRelative: false, rexX: index >> 3, rexB: 0 };
  }
  let base = r.below(regs);
  while (modBits === 0 && (base & 7) === RBP) base = r.below(regs);
  const seg = segOf(base === RBP || base === RSP ? SS : DS);
  b.lin = pickLin(seg);
  const offset = b.pointer(b.lin, seg, asize) - disp;
  if (hasIndex && index === base) {
    const times = 1n + (1n << BigInt(scale));
    const mask = asize === 4 ? 0xffffffffn : M64;
    gpr[base] = (offset & mask) / times;
    b.lin -= Number((offset & mask) % times);
  } else if (hasIndex) {
    if (r.chance(0.7)) gpr[index] = BigInt(r.below(4096));
    gpr[base] = (offset - (gpr[index] << BigInt(scale))) & M64;
  } else gpr[base] = offset & M64;
  return { bytes: [(modBits << 6) | ((reg & 7) * 8) | 4, (scale << 6) | ((index & 7) * 8) | (base & 7), ...dispBytes], ripRelative: false, rexX: index >> 3, rexB: base >> 3 };
}

/** Where a branch may land: HLT is there in both runners. */
function landing(r: Random, rip: number, length: number): number {
  return r.chance(0.5) ? rip + length + r.below(48) : rip - 1 - r.below(60);
}

export interface IntegerCase extends Case {
  /** Flags the manual defines after this case: the row's, or more where they depend on the count. */
  readonly defined: number;
  /** Linear address of the memory operand, -1 without one. */
  readonly lin: number;
}

const FLAG: Record<string, number> = { o: 0x800, s: 0x80, z: 0x40, a: 0x10, p: 4, c: 1 };

/** SDM Vol.2B "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", "SHLD": OF is defined for a count of 1, CF for counts below the width,
 *  and a count of 0 changes nothing. `count` is -1 for other instructions. */
function definedFlags(row: Row, w: number, count: number): number {
  const masked = count & (w === 8 ? 63 : 31);
  let undefined_ = [...(row.spec.undefinedFlags ?? "")];
  if (count >= 0) {
    if (masked === 0) undefined_ = [];
    if (masked === 1) undefined_ = undefined_.filter((flag) => flag !== "o");
    if (masked < w * 8) undefined_ = undefined_.filter((flag) => flag !== "c");
  }
  return undefined_.reduce((mask, flag) => mask & ~FLAG[flag], 0xcd5);
}

export function makeCase(row: Row, env: number, r: Random, align = 1): IntegerCase {
  const b = new Builder(row, env, r);
  b.align = align;
  const { long, bits, gpr } = b;
  const { name, operands } = row;
  const op = row.spec.op ?? name;

  // where the code is: sometimes across a page boundary
  const codeBase = long ? 0 : ENVS[env].seg[CS].base;
  const linCode = CODE + 256 * r.below(CODE_SIZE / 256 - 1);
  const straddle = r.chance(0.05) ? (linCode & ~0xfff) + 0x1000 - r.between(1, 8) : 0;
  const rip = (straddle && straddle < CODE + CODE_SIZE - 256 ? straddle : linCode + 96 + r.below(64)) - codeBase;

  const wantsMem = row.modrm && row.form !== "reg" && (row.form === "mem" || r.chance(0.5));
  const prefixes: number[] = [];
  let segPrefix = -1;
  const branch = operands[0]?.[0] === "J" || ["ret", "jmp", "call"].includes(name);
  if (r.chance(0.2)) {
    segPrefix = long ? r.pick([0, 1, 2, 3, 4, 4, 5, 5]) : r.below(6);
    prefixes.push(SEGMENT_PREFIX[segPrefix]);
  }
  let opsize = false;
  if (!row.vex && row.prefix !== 0x66 && !row.noPrefix && !(row.opcode === 0xf6 && row.escape.length === 2) && r.chance(branch && long ? 0 : 0.3)) {
    if (!(name === "cmpxchg8b") && !(row.escape[0] === 0x0f && row.escape.length === 1 && row.opcode === 0xc3)) {
      opsize = true;
      prefixes.push(0x66);
    }
  }
  let asize = bits / 8;
  if (r.chance(0.15)) {
    prefixes.push(0x67);
    asize = long ? 4 : bits === 32 ? 2 : 4;
  }
  if (row.spec.lock && wantsMem && r.chance(0.4)) prefixes.push(0xf0);
  let repeats = false;
  if (row.string && r.chance(0.6)) {
    repeats = true;
    prefixes.push(r.pick([0xf2, 0xf3]));
  }
  for (let i = prefixes.length - 1; i > 0; i--) {
    const k = r.below(i + 1);
    [prefixes[i], prefixes[k]] = [prefixes[k], prefixes[i]];
  }
  if (row.prefix !== undefined) prefixes.push(row.prefix);

  let rex = 0;
  const regs = long ? 16 : 8;
  if (long && !row.vex && r.chance(0.6)) rex = 0x40 | (r.chance(0.5) ? 8 : 0);
  const wide = (rex & 8) !== 0;
  const letter = row.string ? row.spec.operands : (operands[0] === "AL" ? "b" : operands[0] === "rAX" ? "v" : (operands[0]?.[1] ?? "v"));
  const size66 = opsize;
  let w: number;
  if (letter === "b") w = 1;
  else if (letter === "w") w = 2;
  else if (letter === "d") w = 4;
  else if (letter === "y") w = wide ? 8 : 4;
  else if (letter === "z") w = (bits === 16) !== size66 ? 2 : 4;
  else if (long) w = wide ? 8 : row.spec.default64 ? (size66 ? 2 : 8) : size66 ? 2 : 4;
  else w = (bits === 16) !== size66 ? 2 : 4;
  if (long && branch) w = 8;
  const pairs = name === "cmpxchg8b";
  const size = pairs ? (wide ? 16 : 8) : Math.max(w, align);

  // the stack is in order unless the case is about it
  const ssWide = long ? 8 : ENVS[env].seg[SS].big ? 4 : 2;
  const stackLin = b.linear(SS, ssWide === 2 ? 2 : 4, 32);
  gpr[RSP] = b.pointer(stackLin, SS, ssWide);
  if (ssWide === 4) gpr[RSP] &= 0xffffffffn;

  // registers
  let reg = row.digit ?? r.below(regs);
  let rexR = 0;
  if (row.digit === undefined && row.modrm) rexR = reg >> 3;
  let rm = r.below(regs);
  let vvvv = 0;
  if (!long) reg &= 7;
  let tail: number[] = [];
  let rexX = 0;
  let rexB = 0;
  let ripRelative = false;
  let vexWide = 0;
  if (row.vex) {
    vvvv = r.below(regs);
    vexWide = r.chance(0.5) ? 1 : 0;
  }

  // operand values with a meaning
  if (["rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar", "shld", "shrd"].includes(name) && r.chance(0.7)) gpr[RCX] = BigInt(r.below(70)) | (gpr[RCX] & ~0xffn);
  if (op === "shld_cl" || op === "shrd_cl") if (w === 2) gpr[RCX] = BigInt(r.below(17)); // beyond the width even the result is undefined
  if (["loop", "loope", "loopne", "jcxz"].includes(name)) gpr[RCX] = BigInt(r.below(3)) | (r.chance(0.5) ? gpr[RCX] & (asize === 8 ? 0n : asize === 4 ? ~0xffffffffn & M64 : ~0xffffn & M64) : 0n);
  if (/^bt/.test(name) && r.chance(0.9)) gpr[reg] = (gpr[reg] & (w === 2 ? ~0xffffn & M64 : w === 4 ? ~0xffffffffn & M64 : 0n)) | (BigInt(r.below(400) - 200) & (w === 2 ? 0xffffn : w === 4 ? 0xffffffffn : M64));
  if (row.vex && r.chance(0.6)) gpr[vvvv] = name === "bextr" ? BigInt(r.below(70) | (r.below(70) << 8)) : BigInt(r.below(70));

  if (row.modrm) {
    if (wantsMem) {
      const operand = memoryOperand(b, reg, asize, segPrefix, size);
      tail = [...operand.bytes];
      ({ rexX, rexB, ripRelative } = operand);
      poke(b.memory, b.lin, value(r), 8);
    } else {
      rexB = rm >> 3;
      tail = [row.exact ?? 0xc0 | ((reg & 7) << 3) | (rm & 7)];
    }
  } else if (row.plusR) rexB = rm >> 3;
  if (!long) rm &= 7;

  // implicit memory
  if (row.string) {
    const seg = segPrefix >= 0 && (!long || segPrefix >= FS) ? segPrefix : DS;
    gpr[RSI] = b.pointer(b.linear(seg, asize), seg, asize);
    gpr[RDI] = b.pointer(b.linear(ES, asize), ES, asize);
    if (repeats) {
      const count = BigInt(r.below(24));
      gpr[RCX] = asize === 8 ? count : (count | (r.u64() & ~(asize === 4 ? 0xffffffffn : 0xffffn))) & M64;
    }
    if (name === "cmps" && repeats) {
      // which operand faults first is not defined: only the first one may
      if (asize === 2 && b.base(ES) === 0) return makeCase(row, env, r);
      gpr[RDI] = b.pointer(b.base(ES) === WRAP ? WRAP + 16 : DATA + 0x1000 - 32 + r.below(64), ES, asize) & (asize === 8 ? 0xffffffffn : M64);
    }
    if (r.chance(0.5)) for (let i = 0; i < MEMORY; i++) b.memory[i] = r.chance(0.9) ? Number(gpr[RAX] & 0xffn) : r.below(256);
  }
  if (name === "xlat") {
    const seg = segPrefix >= 0 && (!long || segPrefix >= FS) ? segPrefix : DS;
    gpr[RBX] = (b.pointer(b.linear(seg, asize), seg, asize) - (gpr[RAX] & 0xffn)) & M64;
  }
  if (name === "leave" || name === "enter") gpr[RBP] = b.pointer(b.linear(SS, ssWide === 2 ? 2 : 4, 32), SS, ssWide) & (ssWide === 8 ? M64 : ssWide === 4 ? 0xffffffffn : M64);
  if (name === "cmpxchg" && r.chance(0.4)) gpr[RAX] = wantsMem ? peek(b.memory, b.lin, w) : gpr[rm];
  if (pairs && r.chance(0.5) && wantsMem) {
    gpr[RAX] = peek(b.memory, b.lin, size / 2);
    gpr[RDX] = peek(b.memory, b.lin + size / 2, size / 2);
  }
  if ((name === "div" || name === "idiv") && r.chance(0.75)) {
    const width = BigInt(w * 8);
    const high = name === "div" ? BigInt(r.below(40)) : r.chance(0.5) ? BigInt(r.below(8)) : M64 - BigInt(r.below(8));
    if (w === 1) gpr[RAX] = (gpr[RAX] & 0xffn) | ((high & 0xffn) << 8n);
    else if (!(wantsMem && b.gpr[RDX] === 0n)) {
      const keep = wantsMem ? [rexB * 8 + (tail[0] & 7)] : [];
      if (!keep.includes(RDX)) gpr[RDX] = high & ((1n << width) - 1n);
    }
  }

  const prefixBytes = row.vex
    ? [...prefixes, 0xc4, ((rexR ? 0 : 1) << 7) | ((rexX ? 0 : 1) << 6) | ((rexB ? 0 : 1) << 5) | row.vex.map, (vexWide << 7) | ((~vvvv & 15) << 3) | row.vex.pp, row.opcode]
    : null;
  if (long && !row.vex && (rexR || rexX || rexB)) rex |= 0x40;
  if (rex) rex |= (rexR << 2) | (rexX << 1) | rexB;
  const head = prefixBytes ?? [...prefixes, ...(rex ? [rex] : []), ...row.escape, row.plusR ? row.opcode + (rm & 7) : row.opcode];

  // immediates
  const imm: number[] = [];
  const push = (x: bigint, n: number) => {
    for (let i = 0; i < n; i++) imm.push(Number((x >> BigInt(i * 8)) & 0xffn));
  };
  const immediate = operands.filter((o) => /^[IJO]/.test(o));
  let target = -1;
  for (const token of immediate) {
    if (token === "Ib" && /^sh[lr]d$/.test(name)) push(BigInt(r.below(w === 2 ? 17 : 256)), 1);
    else if (token === "Ib" || token === "Ibs") push(name === "enter" ? (r.chance(0.8) ? BigInt(r.below(4)) : BigInt(r.below(256))) : value(r), 1);
    else if (token === "Iw") push(name === "enter" ? BigInt(r.below(48)) : BigInt(r.chance(0.7) ? r.below(32) : r.below(65536)), 2);
    else if (token === "Iz") push(value(r), w === 2 ? 2 : 4);
    else if (token === "Iv") push(value(r), w);
    else if (token[0] === "O") {
      const seg = segPrefix >= 0 && (!long || segPrefix >= FS) ? segPrefix : DS;
      push(b.pointer(b.linear(seg, asize), seg, asize), asize);
    } else target = 0;
  }
  const jumpSize = target < 0 ? 0 : operands[0] === "Jb" ? 1 : w === 2 ? 2 : 4;
  const length = head.length + tail.length + imm.length + jumpSize;
  if (jumpSize) {
    target = r.chance(0.96) || jumpSize < 4 ? landing(r, rip, length) : Number(BigInt.asIntN(jumpSize * 8, BigInt(r.u32()))) + rip + length;
    push(BigInt(target - rip - length), jumpSize);
  }
  const code = Uint8Array.from([...head, ...tail, ...imm]);
  if (ripRelative) {
    const at = head.length + 1;
    const disp = b.lin - b.base(segPrefix >= FS ? segPrefix : DS) - (rip + length);
    new DataView(code.buffer).setInt32(at, disp, true);
  }

  // indirect targets and return addresses
  if (name === "ret" || ((name === "jmp" || name === "call") && !jumpSize)) {
    const to = r.chance(0.93) ? BigInt(landing(r, rip, length)) : value(r);
    if (name === "ret") poke(b.memory, stackLin, to, w);
    else if (wantsMem) poke(b.memory, b.lin, to, w);
    else gpr[rm] = w === 2 ? (gpr[rm] & ~0xffffn & M64) | (to & 0xffffn) : to;
  }
  if (!long) for (let i = 0; i < 16; i++) gpr[i] = i < 8 ? gpr[i] & 0xffffffffn : 0n;
  // beyond the width of a word even the result of a double shift is undefined
  if (/^sh[lr]d$/.test(name) && w === 2 && operands[2] === "CL" && (gpr[RCX] & 31n) > 16n) return makeCase(row, env, r);
  const shifts = /^(ro[lr]|rc[lr]|s[ah][lr]|sh[lr]d)$/.test(name);
  const count = !shifts ? -1 : operands.at(-1) === "CL" ? Number(gpr[RCX] & 255n) : operands.at(-1) === "Ib" ? code[code.length - 1] : 1;
  return { env, rip, step: true, repeats, code, gpr, rflags: b.rflags, memory: b.memory, defined: definedFlags(row, w, count), lin: b.lin };
}

/** The recorded cases of a row: seeded by the row and environment alone. */
export function casesOf(row: Row, env: number, count = CASES_PER_ENV[env], seed = ""): IntegerCase[] {
  if (!exists(row, env)) return [];
  const r = new Random(`${row.key} ${ENVS[env].name} ${seed}`);
  return Array.from({ length: count }, () => makeCase(row, env, r));
}
