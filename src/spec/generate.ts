/** Writes assembly/cpu/opcodes.gen.ts from the rows: `enum Op`, and the decoder's tables as constant data; the handlers of
 *  src/spec/hot.ts; and docs/isa.md.
 *
 *  Index: u32 per (map, opcode): first row in bits 0..15, number of candidate rows above. Row, 16 bytes:
 *  ```
 *  +0 u16 op   +2 u8 prefix  +3 u8 modrm rule  +4 u8 digit or exact ModRM  +5 u8 flags  +6 u8 group  +7 u8 size code
 *  +8 u8 imm code  +9 u8 operand shape  +10 u16 template  +12 u8 source size (movzx family)  +13 u8 more flags
 *  ```
 *  The enums RowRule, RowFlag, SizeCode, ImmCode, Shape, Template below are written out too, so that both sides agree. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BRANCHES, HOT, SHARED_WIDTH } from "./hot";
import { INTEGER, STRING } from "./integer";
import { isaText } from "./isa/isa";
import { MMX } from "./mmx";
import type { InsnSpec } from "./row";
import { SSE } from "./sse";
import { SYSTEM } from "./system";
import { X87 } from "./x87";

const GROUPS = [
  ["integer", INTEGER],
  ["system", SYSTEM],
  ["string", STRING],
  ["x87", X87],
  ["mmx", MMX],
  ["sse", SSE],
] as const;

const enums = {
  Group: { integer: 0, system: 1, string: 2, x87: 3, mmx: 4, sse: 5, locked: 6 },
  RowRule: { NONE: 0, MODRM: 1, DIGIT: 2, EXACT: 4, MEM: 8, REG: 16, PLUSR: 32, MODREG: 64 },
  RowFlag: { LONG: 1, LEGACY: 2, LOCK: 4, ENDS: 8, DEFAULT64: 16, W0: 32, W1: 64, TORM: 128 },
  RowPrefix: { ANY: 0, NP: 1, P66: 2, F3: 3, F2: 4 },
  SizeCode: { v: 0, b: 1, w: 2, d: 3, q: 4, y: 5, z: 6 },
  ImmCode: { none: 0, Ib: 1, Ibs: 2, Iw: 3, Iz: 4, Iv: 5, Jb: 6, Jz: 7, Ap: 8, O: 9, IwIb: 10, one: 11, CL: 12 },
  /** Where the operands of an integer row are: E,G G,E E acc,imm Z ... */
  Shape: { other: 0, EG: 1, GE: 2, E: 3, Z: 4, accI: 5, none: 6, GM: 7, EI: 8, ZI: 9, I: 10, GEI: 11 },
  Template: {
    none: 0,
    alu: 1,
    mov: 2,
    movx: 3,
    lea: 4,
    unary: 5,
    shift: 6,
    push: 7,
    pop: 8,
    jcc: 9,
    jmp: 10,
    jmpInd: 11,
    call: 12,
    callInd: 13,
    ret: 14,
    cmpj: 15,
    testj: 16,
    setcc: 17,
    cmov: 18,
    imul: 19,
    xchg: 20,
    nop: 21,
    leave: 22,
    bitTest: 23,
    widen: 24,
    swapBytes: 25,
    movs: 26,
    stos: 27,
    lods: 28,
    shiftCl: 29,
    doubleShift: 30,
    mulWide: 31,
    divide: 32,
    scan: 33,
    flag: 35,
    locked: 36,
    lockedBit: 37,
    cmpxchg: 38,
    xadd: 39,
  },
} as const;

const CC = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];
const ALU = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp", "test"];
const SHIFT = ["rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar"];
const UNARY = ["inc", "dec", "not", "neg"];
const BIT_TEST = ["bt", "bts", "btr", "btc"];
const SCAN = ["bsf", "bsr", "tzcnt", "lzcnt", "popcnt"];
const FLAG = ["clc", "stc", "cmc", "cld", "std"];

/** Template number and its operation (0..15) for a mnemonic of the integer group. */
function templateOf(row: InsnSpec): readonly [number, number] {
  const T = enums.Template;
  const m = row.op ?? row.mnemonic;
  if (ALU.includes(m)) return [T.alu, ALU.indexOf(m)];
  if (SHIFT.includes(m)) return [T.shift, SHIFT.indexOf(m)];
  if (UNARY.includes(m)) return [T.unary, UNARY.indexOf(m)];
  if (/^(ro|sh|sa)[lr]_cl$/.test(m)) return [T.shiftCl, SHIFT.indexOf(m.slice(0, 3))];
  if (/^sh[lr]d/.test(m)) return [T.doubleShift, (m[2] === "r" ? 1 : 0) | (m.endsWith("_cl") ? 2 : 0)];
  if (BIT_TEST.includes(m.replace("_imm", ""))) return [T.bitTest, BIT_TEST.indexOf(m.replace("_imm", ""))];
  if (SCAN.includes(m)) return [T.scan, SCAN.indexOf(m)];
  if (FLAG.includes(m)) return [T.flag, FLAG.indexOf(m)];
  if (m === "mul" || m === "imul1") return [T.mulWide, m === "mul" ? 0 : 1];
  if (m === "div" || m === "idiv") return [T.divide, m === "div" ? 0 : 1];
  if (m === "cmpxchg" || m === "xadd") return [T[m], 0];
  if (m === "bswap" || m === "movbe") return [T.swapBytes, 0];
  if (m === "movoffs" || m === "movoffs_store") return [T.mov, 0];
  const direct = row.operands.startsWith("J");
  if (m === "jmp") return [direct ? T.jmp : T.jmpInd, 0];
  if (m === "call") return [direct ? T.call : T.callInd, 0];
  if (m === "jcxz") return [T.none, 0];
  if (m.startsWith("j") && CC.includes(m.slice(1))) return [T.jcc, CC.indexOf(m.slice(1))];
  if (m.startsWith("set") && CC.includes(m.slice(3))) return [T.setcc, CC.indexOf(m.slice(3))];
  if (m.startsWith("cmov")) return [T.cmov, CC.indexOf(m.slice(4))];
  if (m === "movzx") return [T.movx, row.operands.endsWith("b") ? 0 : 1];
  if (m === "movsx") return [T.movx, row.operands.endsWith("b") ? 4 : 5];
  if (m === "movsxd") return [T.movx, 6];
  if (m === "cbw" || m === "cwd") return [T.widen, m === "cbw" ? 0 : 1];
  if (m === "xchg" || m === "xchg_rax") return [T.xchg, 0];
  for (const name of ["mov", "lea", "push", "pop", "ret", "imul", "nop", "leave", "movs", "stos", "lods"] as const) if (m === name) return [T[name], 0];
  if (m === "pause") return [T.nop, 0];
  return [T.none, 0];
}

interface Encoded {
  map: number;
  opcode: number;
  bytes: number[];
  specificity: number;
}

const SIZE_LETTERS: Record<string, number> = { b: 1, w: 2, d: 3, q: 4, y: 5, z: 6 };
const ops = new Map<string, number>();

/** C++ keywords and AssemblyScript's own words cannot be enum members here. */
const opName = (row: InsnSpec) => (row.op ?? row.mnemonic).replace(/[^A-Za-z0-9_]/g, "_").replace(/^(int|and|or|not|in|out|loop|enter|leave|xor)$/, "$1");

function encode(row: InsnSpec, group: number): Encoded[] {
  const F = enums.RowFlag;
  const R = enums.RowRule;
  const tokens = row.opcode.trim().split(/\s+/);
  let prefix: number = enums.RowPrefix.ANY;
  let map = 0;
  let vex = false;
  const head = tokens[0];
  if (head.startsWith("VEX.")) {
    vex = true;
    const parts = tokens.shift()!.split(".").slice(1);
    prefix = enums.RowPrefix.NP;
    if (parts[0] === "66" || parts[0] === "F3" || parts[0] === "F2") prefix = { "66": 2, F3: 3, F2: 4 }[parts.shift() as "66"];
    map = parts[0] === "0F38" ? 4 : 5;
  } else {
    const prefixes: Record<string, number> = { NP: 1, "66": 2, F3: 3, F2: 4 };
    if (head in prefixes && tokens.length > 1) {
      prefix = prefixes[head];
      tokens.shift();
    }
    if (tokens[0] === "0F") {
      tokens.shift();
      map = 1;
      const escape: string = tokens[0] ?? "";
      if (/^3[8A]$/.test(escape) && /^[0-9A-F]{2}/.test(tokens[1] ?? "")) {
        map = escape === "38" ? 2 : 3;
        tokens.shift();
      }
    }
  }
  const main = tokens.shift()!;
  const match = /^([0-9A-Fa-f]{2})(\+r)?$/.exec(main);
  if (!match) throw new Error(`opcode ${row.opcode}`);
  const opcode = Number.parseInt(match[1], 16);
  let rule: number = match[2] ? R.PLUSR : R.NONE;
  let digit = 0;
  for (const token of tokens) {
    if (token === "/r") rule |= R.MODRM;
    else if (/^\/[0-7]$/.test(token)) {
      rule |= R.MODRM | R.DIGIT;
      digit = Number(token[1]);
    } else if (token === "mem") rule |= R.MODRM | R.MEM;
    else if (token === "reg") rule |= R.MODRM | R.REG;
    else if (/^[0-9A-Fa-f]{2}\+r$/.test(token)) {
      rule |= R.MODRM | R.DIGIT | R.REG;
      digit = (Number.parseInt(token, 16) >> 3) & 7;
    } else if (/^[0-9A-Fa-f]{2}$/.test(token)) {
      rule |= R.MODRM | R.EXACT;
      digit = Number.parseInt(token, 16);
    } else throw new Error(`token ${token} in ${row.opcode}`);
  }
  const operands = row.operands === "" ? [] : row.operands.split(",").map((o) => o.trim());
  if (!vex && operands.some((o) => /^[EGMRSCDQWPVNU]/.test(o) && !/^(ES|CS|SS|DS|FS|GS|DX|CL|CR|DR)$/.test(o)) && !(rule & R.PLUSR)) rule |= R.MODRM;
  if (vex) rule |= R.MODRM;
  if (/^M/.test(operands.find((o) => /^M/.test(o)) ?? "") && row.mnemonic !== "xlat" && !(rule & R.REG)) rule |= R.MEM;
  if (row.mnemonic === "xlat") rule = R.NONE;
  // moves to and from control and debug registers take every ModRM.mod for a register
  if (operands.some((o) => /^[CD]$/.test(o))) rule |= R.MODREG;

  const immTokens = operands.filter((o) => /^(I|J|A[pz]|O)/.test(o));
  let imm: number = enums.ImmCode.none;
  if (immTokens.length === 2) imm = enums.ImmCode.IwIb;
  else if (immTokens.length === 1) {
    const t = immTokens[0];
    if (t.startsWith("O")) imm = enums.ImmCode.O;
    else if (t.startsWith("A")) imm = enums.ImmCode.Ap;
    else imm = enums.ImmCode[t as "Ib"];
    if (imm === undefined) throw new Error(`immediate ${t} in ${row.opcode}`);
  } else if (operands.at(-1) === "1") imm = enums.ImmCode.one;
  else if (operands.at(-1) === "CL") imm = enums.ImmCode.CL;

  const first = operands[0] ?? "";
  let size = 0;
  if (group === enums.Group.string) size = SIZE_LETTERS[first] ?? 0;
  else if (first === "AL" || /^[EGMZO]b/.test(first)) size = 1;
  else if (/^[EGMZORBS]([bwdqyz])/.test(first)) size = SIZE_LETTERS[first[1]];
  if (first === "Ew" && group === enums.Group.integer) size = 2;

  const S = enums.Shape;
  const kind = operands.map((o) => (o === "AL" || o === "rAX" ? "a" : o[0])).join("");
  const shapes: Record<string, number> = {
    EG: S.EG, GE: S.GE, E: S.E, Z: S.Z, aI: S.accI, "": S.none, GM: S.GM, EI: S.EI, ZI: S.ZI, I: S.I, GEI: S.GEI, E1: S.E, EC: S.E, J: S.none, MG: S.EG,
  };
  const shape = shapes[kind] ?? S.other;

  let flags = 0;
  if (row.mode === "long") flags |= F.LONG;
  if (row.mode === "legacy") flags |= F.LEGACY;
  if (row.lock) flags |= F.LOCK;
  if (row.endsBlock) flags |= F.ENDS;
  if (row.default64) flags |= F.DEFAULT64;
  if (row.w === 0) flags |= F.W0;
  if (row.w === 1) flags |= F.W1;
  if (/^[EWMQU]/.test(first)) flags |= F.TORM;

  const [template, sub] = group === enums.Group.integer || group === enums.Group.string ? templateOf(row) : [0, 0];
  const name = opName(row);
  if (!ops.has(name)) ops.set(name, ops.size);
  const op = ops.get(name)!;
  const tmpl = template | (sub << 8);
  const bytes = [op & 255, op >> 8, prefix, rule, digit, flags, group, size, imm, shape, tmpl & 255, tmpl >> 8, 0, 0, 0, 0];
  const specificity = (rule & R.EXACT ? 100 : 0) + (prefix >= 2 ? 50 : prefix === 1 ? 20 : 0) + (rule & (R.MEM | R.REG) ? 10 : 0) + (rule & R.DIGIT ? 5 : 0) + (row.w !== undefined ? 3 : 0) + (row.mode ? 2 : 0);
  const opcodes = rule & R.PLUSR ? [...Array(8).keys()].map((r) => opcode + r) : [opcode];
  if (row.mnemonic === "xchg" && row.op === "xchg_rax") opcodes.length = 8;
  return opcodes.map((byte) => ({ map, opcode: byte, bytes, specificity }));
}

const groupRanges: string[] = [];
const encoded: Encoded[] = [];
GROUPS.forEach(([name, rows], group) => {
  const before = ops.size;
  for (const row of rows) encoded.push(...encode(row, group));
  groupRanges.push(`// ${name}: ${before}..${ops.size - 1}, ${rows.length} rows`);
});

const rowBytes: number[] = [];
const index = new Array<number>(6 * 256).fill(0);
for (let map = 0; map < 6; map++)
  for (let opcode = 0; opcode < 256; opcode++) {
    const candidates = encoded.filter((e) => e.map === map && e.opcode === opcode).sort((a, b) => b.specificity - a.specificity);
    if (candidates.length === 0) continue;
    index[map * 256 + opcode] = (rowBytes.length / 16) | (candidates.length << 16);
    for (const candidate of candidates) rowBytes.push(...candidate.bytes);
  }

/** Whether a ModRM byte follows the opcode, whichever row it is: maps 0 and 1. */
const modrm = index.slice(0, 512).map((entry) => {
  const rows = Array.from({ length: entry >>> 16 }, (_, n) => rowBytes[((entry & 0xffff) + n) * 16 + 3]);
  return rows.length > 0 && rows.every((rule) => rule & enums.RowRule.MODRM) ? 1 : 0;
});

const wrap = (values: readonly (number | string)[], per: number) => {
  const lines: string[] = [];
  for (let i = 0; i < values.length; i += per) lines.push(`  ${values.slice(i, i + per).join(", ")},`);
  return lines.join("\n");
};
const words: number[] = [];
for (let i = 0; i < rowBytes.length; i += 4) words.push((rowBytes[i] | (rowBytes[i + 1] << 8) | (rowBytes[i + 2] << 16) | (rowBytes[i + 3] << 24)) | 0);

const text = `// GENERATED by src/spec/generate.ts from the instruction rows: npm run gen. Do not edit.
${groupRanges.join("\n")}

export const enum Op {
${[...ops].map(([name, value]) => `  ${name} = ${value},`).join("\n")}
}

${Object.entries(enums)
  .map(([name, values]) => `export const enum ${name} {\n${Object.entries(values).map(([k, v]) => `  ${k} = ${v},`).join("\n")}\n}`)
  .join("\n\n")}

/** Candidate rows by (map * 256 + opcode). */
export const OPCODE_INDEX: usize = memory.data<u32>([
${wrap(index, 16)}
]);

export const OPCODE_ROWS: usize = memory.data<i32>([
${wrap(words, 8)}
]);

/** 1 where a ModRM byte follows, by (map * 256 + opcode) of maps 0 and 1. */
export const OPCODE_MODRM: usize = memory.data<u8>([
${wrap(modrm, 32)}
]);
`;
/* The interpreter's hot handlers: a case number per template record, and the dispatch function. */

const FORMS = ["rr", "ri", "rm", "mr", "mi", "rmb", "mrb", "mib"];
const OPERATIONS: Record<string, readonly string[]> = {
  alu: ALU, shift: SHIFT, unary: UNARY, jcc: CC, cmpj: CC, testj: CC, setcc: CC, cmov: CC, bitTest: BIT_TEST, movx: ["zb", "zw", "zd", "", "sb", "sw", "sd"],
};
/** Arguments of the semantic function after (m, u). */
const CALLS: Record<string, (op: number | string, w: number, f: number) => string> = {
  alu: (op, w, f) => `${op}, ${w}, ${f}`, mov: (_, w, f) => `${w}, ${f}`, movx: (op, w, f) => `${op}, ${w}, ${f}`, lea: (_, w, f) => `${w}, ${f}`,
  unary: (op, w, f) => `${op}, ${w}, ${f}`, shift: (op, w, f) => `${op}, ${w}, ${f}`, push: (_, w, f) => `${w}, ${f}`, pop: (_, w) => `${w}`,
  setcc: (op, _, f) => `${op}, ${f}`, cmov: (op, w, f) => `${op}, ${w}, ${f}`, jcc: (op) => `${op}`, jmp: () => "", call: (_, w) => `${w}`, ret: (_, w) => `${w}`, callInd: (_, w, f) => `${w}, ${f}`, jmpInd: (_, w, f) => `${w}, ${f}`,
  leave: (_, w) => `${w}`, swapBytes: (_, w, f) => `${w}, ${f}`, imul: (_, w, f) => `${w}, ${f}`, nop: () => "", bitTest: (op, w, f) => `${op}, ${w}, ${f}`, movs: (_, w) => `${w}`, stos: (_, w) => `${w}`, cmpj: (op, w, f) => `${op}, ${w}, ${f}`, testj: (op, w, f) => `${op}, ${w}, ${f}`,
};
/** What a handler has to ask before (assembly/cpu/flags.ts). */
function guardOf(template: string, op: number): string | null {
  if (template === "unary") return op < 2 ? "lateCarry" : null;
  if (template === "alu") return ALU[op] === "adc" || ALU[op] === "sbb" ? "lateCarry" : null;
  if (template === "bitTest") return "lateOrder";
  if (template !== "jcc" && template !== "setcc" && template !== "cmov") return null;
  const guard = [null, "lateCarry", "lateResult", "lateOrder", "lateResult", null, "lateOrder", "lateOrder"][op >> 1];
  if (!guard) throw new Error(`hot ${template} ${CC[op]}`);
  return guard;
}
const FIRST_HOT = 14; // Handler.hot
const cases = new Array<number>(16384).fill(0);
const functions: string[] = [];
const branches: string[] = [];
const templates = enums.Template as Record<string, number>;
for (const [template, operations, widths, forms] of HOT)
  for (const operation of operations)
    for (const form of forms) {
      const f = FORMS.indexOf(form);
      const all = operation === "*";
      const op = all || operation === "" ? 0 : OPERATIONS[template].indexOf(operation);
      if (op < 0 || f < 0) throw new Error(`hot ${template} ${operation} ${form}`);
      let number = 0;
      for (const width of widths) {
        const shared = SHARED_WIDTH.includes(template) && number !== 0;
        if (!shared) number = FIRST_HOT + functions.length;
        for (let each = op; each < (all ? 16 : op + 1); each++) cases[(templates[template] << 9) | (each << 5) | (Math.log2(width) << 3) | f] = number;
        if (shared) continue;
        // the condition of a fused pair stands in its second record
        const field = template === "cmpj" || template === "testj" ? "RecOff.SIZE + RecOff.desc" : "RecOff.desc";
        const args = CALLS[template](all ? `(<i32>load<u16>(u, ${field}) >> 5) & 15` : op, width, f);
        const plain = template === "nop" ? "u + RecOff.SIZE" : `${template}<Interp<u8>, u64>(changetype<Interp<u8>>(PCPU), u${args ? `, ${args}` : ""})`;
        const guard = guardOf(template, op);
        const body = guard ? `${guard}() ? performFlat(u) : ${plain}` : plain;
        functions.push(`function h${number}(u: usize): usize { return ${body}; } // ${template} ${operation} ${width} ${form}`);
        branches.push(`      case ${number}: u = h${number}(u); ${BRANCHES.includes(template) ? "break" : "continue"};`);
      }
    }

const hotText = `// GENERATED by src/spec/generate.ts from src/spec/hot.ts: npm run gen. Do not edit.

/** Case number of run() by record descriptor, u16; 0: none of its own. */
export const HOT_CASES: usize = memory.data<u16>([
${wrap(cases, 64)}
]);
`;

const runText = `// GENERATED by src/spec/generate.ts from src/spec/hot.ts: npm run gen. Do not edit.
/** The block interpreter: one dense switch over the handler of the current record. Each handler returns the next record, or 0
 *  when something abnormal is pending: then record 0, at address 0, dispatches to case 0. One small function per handler
 *  halves the compiler's time; the optimizer inlines them all. */
import { BlockOff, linkTaken } from "./code_cache";
import { PcpuOff } from "../abi/layout";
import { RecOff } from "../abi/record";
import { lateCarry, lateOrder, lateResult } from "./flags";
import { Handler } from "./handler";
import { Interp } from "./interp";
import { enterRegion } from "./jit/regions";
import { PCPU } from "./pcpu";
import { performFlat } from "./perform";
import { abnormal, endSlice, performCold, performRare, start, takeExit } from "./runtime";
import { alu, cmov, lea, mov, movx, setcc, unary } from "./semantics/alu";
import { bitTest, swapBytes } from "./semantics/bits";
import { call, callInd, cmpj, jcc, jmp, jmpInd, ret, testj } from "./semantics/flow";
import { imul } from "./semantics/multiply";
import { shift } from "./semantics/shift";
import { leave, pop, push } from "./semantics/stack";
import { movs, stos } from "./semantics/string";

${functions.join("\n")}

/** Counts the instructions of the block at \`u\`: its first record, or what comes when the slice is used up. */
@inline function block(u: usize): usize {
  const left = load<i32>(PCPU, PcpuOff.left) - <i32>load<u16>(u, BlockOff.count);
  store<i32>(PCPU, left, PcpuOff.left);
  return left >= 0 ? u + RecOff.SIZE : endSlice(u);
}

/** Runs the vCPU on this pCPU until something ends it: Exit. */
export function run(): i32 {
  let u = start();
  for (;;) {
    switch (<i32>load<u16>(u)) {
      case 0:
        u = abnormal();
        if (!u) return takeExit();
        continue;
      case 1: u = performRare(u); continue;
      case 2: u = block(u); continue;
      case 3: u = performRare(u); continue;
      case 4: u = performRare(u); continue;
      case 5: u = performFlat(u); continue;
      case 6: u = performRare(u); continue;
      case 7: u = performCold(u); continue;
      case 8: {
        const n = <usize>load<u32>(u, RecOff.taken);
        u = n ? n : linkTaken(u);
        break;
      }
      case 9: u = performRare(u); continue;
      case 10: u = performRare(u); continue;
      case 11: u = performRare(u); continue;
      case 12: u = performRare(u); continue;
      case 13: u = enterRegion(u); break;
${branches.join("\n")}
      default: unreachable();
    }
    // a branch was taken or not: most often the head of the next block comes, which is counted without a dispatch
    if (load<u16>(u) == Handler.head) u = block(u);
  }
  return 0;
}
`;

const root = process.env.XENOLITH_ROOT_DIR ?? process.cwd(); // npm runs scripts in the project's folder
let stale = false;
const files = [
  ["assembly/cpu/opcodes.gen.ts", text],
  ["assembly/cpu/hot.gen.ts", hotText],
  ["assembly/cpu/run.gen.ts", runText],
  ["docs/isa.md", isaText()],
] as const;
for (const [file, content] of files) {
  const out = join(root, file);
  if (!process.argv.includes("--check")) writeFileSync(out, content);
  else if (!existsSync(out) || readFileSync(out, "utf8") !== content) {
    console.error(`${file} is stale: npm run gen`);
    stale = true;
  }
}
if (stale) process.exit(1);
