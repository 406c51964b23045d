/** The opcode space: what can select an instruction (mode, mandatory prefix, map, opcode, ModRM, REX.W, VEX.L), which row it
 *  selects, and its bytes. Written from the notation of src/spec/row.ts and not from the generator's tables, so that the
 *  decoder and this check each other. */
import { INTEGER, STRING } from "../integer";
import { MMX } from "../mmx";
import type { InsnSpec } from "../row";
import { SSE } from "../sse";
import { SYSTEM } from "../system";
import { X87 } from "../x87";

export type Bits = 16 | 32 | 64;
/** Legacy maps one-byte, 0F, 0F 38, 0F 3A; VEX maps 0F, 0F38, 0F3A; the prefixes of other vector encodings. */
export type OpcodeMap = "" | "0F" | "0F 38" | "0F 3A" | "VEX.0F" | "VEX.0F38" | "VEX.0F3A" | "EVEX" | "XOP";

export interface Encoding {
  readonly bits: Bits;
  /** 0x66, 0xF3, 0xF2 or 0. */
  readonly prefix: number;
  readonly map: OpcodeMap;
  readonly opcode: number;
  readonly modrm: number;
  readonly w: 0 | 1;
  readonly l: number;
  /** Number of the map of EVEX and XOP encodings. */
  readonly number?: number;
}

interface Parsed {
  readonly spec: InsnSpec;
  readonly map: OpcodeMap;
  readonly opcode: number;
  readonly plusR: boolean;
  /** Undefined: any. */
  readonly prefix?: number;
  readonly digit?: number;
  readonly exact?: number;
  readonly form?: "mem" | "reg";
}

const HEX = /^[0-9A-F]{2}$/;

function parse(spec: InsnSpec): Parsed {
  const tokens = spec.opcode.split(" ");
  let map: OpcodeMap = "";
  let prefix: number | undefined;
  if (tokens[0].startsWith("VEX.")) {
    const parts = tokens.shift()!.split(".");
    map = `VEX.${parts.at(-1)}` as OpcodeMap;
    prefix = parts.length > 2 ? Number.parseInt(parts[1], 16) : 0;
  } else {
    if (tokens[0] === "NP") prefix = 0;
    else if (tokens.length > 1 && /^(66|F3|F2)$/.test(tokens[0])) prefix = Number.parseInt(tokens[0], 16);
    if (prefix !== undefined) tokens.shift();
    if (tokens[0] === "0F" && tokens.length > 1) {
      tokens.shift();
      map = "0F";
      if (/^3[8A]$/.test(tokens[0]) && HEX.test((tokens[1] ?? "").slice(0, 2))) map = `0F ${tokens.shift()}` as OpcodeMap;
    }
  }
  const main = tokens.shift()!;
  const digit = tokens.find((t) => /^\/[0-7]$/.test(t));
  const exact = tokens.find((t) => HEX.test(t));
  // a memory operand restricts ModRM.mod, except XLAT's, which is implicit
  const memory = spec.mnemonic !== "xlat" && tokens.length > 0 && !exact && /(^|,)M/.test(spec.operands);
  return {
    spec,
    map,
    opcode: Number.parseInt(main, 16),
    plusR: main.endsWith("+r"),
    prefix,
    digit: digit ? Number(digit[1]) : undefined,
    exact: exact ? Number.parseInt(exact, 16) : undefined,
    form: tokens.includes("mem") || (memory && !tokens.includes("reg")) ? "mem" : tokens.includes("reg") ? "reg" : undefined,
  };
}

const GROUPS = [INTEGER, STRING, SYSTEM, X87, MMX, SSE];
export const ALL_ROWS: readonly InsnSpec[] = GROUPS.flat();

/** Rows by map and opcode, the most special first. */
const byOpcode: Record<string, Parsed[][]> = {};
for (const spec of ALL_ROWS) {
  const row = parse(spec);
  byOpcode[row.map] ??= Array.from({ length: 256 }, () => []);
  for (let r = 0; r < (row.plusR ? 8 : 1); r++) byOpcode[row.map][row.opcode + r].push(row);
}
const special = (row: Parsed) =>
  (row.exact !== undefined ? 100 : 0) + (row.prefix ? 50 : row.prefix === 0 ? 20 : 0) + (row.form ? 10 : 0) + (row.digit !== undefined ? 5 : 0);
for (const opcodes of Object.values(byOpcode)) for (const rows of opcodes) rows.sort((a, b) => special(b) - special(a));

function selects(row: Parsed, e: Encoding): boolean {
  const { spec } = row;
  if (row.prefix !== undefined && row.prefix !== e.prefix) return false;
  // maps in which F3 and F2 always select; so they do for RDRAND and its neighbours
  const strict = e.map === "0F 38" || e.map === "0F 3A" || (e.map === "0F" && e.opcode === 0xc7 && e.modrm >= 0xc0);
  if (row.prefix === undefined && strict && e.prefix >= 0xf2) return false;
  if (row.exact !== undefined && row.exact !== e.modrm) return false;
  if (row.digit !== undefined && row.digit !== ((e.modrm >> 3) & 7)) return false;
  if (row.form && (row.form === "mem") !== e.modrm < 0xc0) return false;
  if (spec.mode && (spec.mode === "long") !== (e.bits === 64)) return false;
  if (spec.w !== undefined && spec.w !== e.w) return false;
  return e.l === 0;
}

/** Registers ModRM.reg may name: six segment registers, of which CS cannot be loaded; CR0, 2, 3, 4 and 8. */
function operandExists(spec: InsnSpec, e: Encoding): boolean {
  const n = (e.modrm >> 3) & 7;
  if (spec.op === "mov_from_seg") return n < 6;
  if (spec.op === "mov_to_seg") return n < 6 && n !== 1;
  if (spec.op === "mov_from_cr" || spec.op === "mov_to_cr") return n === 0 || (n >= 2 && n <= 4);
  return true;
}

/** The row an encoding selects; undefined: #UD. */
export function rowOf(e: Encoding): InsnSpec | undefined {
  return byOpcode[e.map]?.[e.opcode].find((row) => selects(row, e) && operandExists(row.spec, e))?.spec;
}

const LEGACY: readonly OpcodeMap[] = ["", "0F", "0F 38", "0F 3A"];
const PREFIXES = [0, 0x66, 0xf3, 0xf2];
const range = (n: number) => [...Array(n).keys()];
/** Every ModRM that can select something: all register forms, and memory once per /digit. */
const MODRMS = [...range(8).map((digit) => digit << 3), ...range(64).map((rest) => 0xc0 | rest)];
/** Where nothing depends on ModRM.rm. */
const FEW_MODRMS = [...range(8).map((digit) => digit << 3), ...range(8).map((digit) => 0xc1 | (digit << 3))];
const NOT_OPCODES = new Set([0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** The legacy maps: every combination. */
export function* legacyEncodings(): Generator<Encoding> {
  for (const bits of [16, 32, 64] as const)
    for (const map of LEGACY)
      for (const opcode of range(256)) {
        if (map === "" && (NOT_OPCODES.has(opcode) || (bits === 64 && (opcode >> 4 === 4 || opcode === 0xc4 || opcode === 0xc5 || opcode === 0x62)))) continue;
        if (map === "0F" && (opcode === 0x38 || opcode === 0x3a)) continue;
        // outside 64-bit mode C4, C5 and 62 with a register are VEX and EVEX
        const vector = map === "" && (opcode === 0xc4 || opcode === 0xc5 || opcode === 0x62);
        const modrms = vector ? MODRMS.slice(0, 8) : /^(0F)?$/.test(map) && (map === "0F" || (opcode & 0xf8) === 0xd8 || opcode >= 0xc6) ? MODRMS : FEW_MODRMS;
        for (const prefix of PREFIXES) for (const modrm of modrms) for (const w of bits === 64 ? ([0, 1] as const) : ([0] as const)) yield { bits, prefix, map, opcode, modrm, w, l: 0 };
      }
}

/** VEX, EVEX (maps 1 to 3, 5 and 6) and XOP (maps 8 to 10). */
export function* vectorEncodings(): Generator<Encoding> {
  const vex = ["VEX.0F", "VEX.0F38", "VEX.0F3A"] as const;
  const spaces: readonly (readonly [OpcodeMap, number])[] = [...vex.map((map) => [map, 0] as const), ...[1, 2, 3, 5, 6].map((n) => ["EVEX", n] as const), ...[8, 9, 10].map((n) => ["XOP", n] as const)];
  for (const bits of [32, 64] as const)
    for (const [map, number] of spaces)
      for (const opcode of range(256))
        for (const prefix of map === "XOP" ? [0] : PREFIXES)
          for (const l of map === "EVEX" ? [0, 1, 2] : [0, 1]) for (const w of [0, 1] as const) for (const modrm of FEW_MODRMS) yield { bits, prefix, map, opcode, modrm, w, l, number };
}

const PP = [0, 0x66, 0xf3, 0xf2];
/** SIB byte or the like, displacement and immediates of any instruction. */
const TAIL = [0x20, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00];

export function bytesOf(e: Encoding): number[] {
  const { bits, prefix, map, opcode, modrm, w, l, number = 0 } = e;
  if (map.startsWith("VEX")) return [0xc4, 0xe0 | (["VEX.0F", "VEX.0F38", "VEX.0F3A"].indexOf(map) + 1), (w << 7) | (15 << 3) | (l << 2) | PP.indexOf(prefix), opcode, modrm, ...TAIL];
  if (map === "XOP") return [0x8f, 0xe0 | number, (w << 7) | (15 << 3) | (l << 2), opcode, modrm, ...TAIL];
  if (map === "EVEX") return [0x62, 0xf0 | number, (w << 7) | (15 << 3) | 4 | PP.indexOf(prefix), (l << 5) | 8, opcode, modrm, ...TAIL];
  const escape = map === "" ? [] : map.split(" ").map((byte) => Number.parseInt(byte, 16));
  return [...(prefix ? [prefix] : []), ...(bits === 64 && w ? [0x48] : []), ...escape, opcode, modrm, ...TAIL];
}
