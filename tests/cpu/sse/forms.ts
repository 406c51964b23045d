/** Register forms of the MMX and SSE rows: how each is encoded with reg = 1 and rm = 2, and where its result is. */
import { MMX } from "../../../src/spec/mmx";
import type { InsnSpec } from "../../../src/spec/row";
import { SSE } from "../../../src/spec/sse";

/** Element type of the sources. */
export type Kind = "int" | "f32" | "f64" | "string";
export type Place = "xmm0" | "xmm1" | "xmm2" | "mm1" | "mm2" | "rcx" | "rdx" | "none";

export interface Form {
  readonly key: string;
  readonly row: InsnSpec;
  readonly op: string;
  readonly mmx: boolean;
  /** Bytes before the immediate. */
  readonly bytes: readonly number[];
  readonly wide: boolean;
  readonly hasImmediate: boolean;
  readonly kind: Kind;
  readonly place: Place;
  /** Bytes of the result that are compared. */
  readonly size: 0 | 8 | 16;
  readonly writesFlags: boolean;
  readonly usesMxcsr: boolean;
}

const PREFIXES = ["NP", "66", "F3", "F2"];

function encode(row: InsnSpec, wide: boolean): number[] {
  const tokens = row.opcode.split(" ");
  const bytes: number[] = [];
  if (PREFIXES.includes(tokens[0])) {
    const prefix = tokens.shift() as string;
    if (prefix !== "NP") bytes.push(Number.parseInt(prefix, 16));
  }
  if (wide) bytes.push(0x48);
  let reg = 1;
  for (const token of tokens) {
    if (/^[0-9A-F]{2}$/.test(token)) bytes.push(Number.parseInt(token, 16));
    else if (/^\/[0-7]$/.test(token)) reg = Number(token[1]);
  }
  bytes.push(0xc0 | (reg << 3) | 2);
  return bytes;
}

const PLACES: Record<string, Place> = { V: "xmm1", W: "xmm2", U: "xmm2", P: "mm1", Q: "mm2", N: "mm2", G: "rcx", E: "rdx" };

function kindOf(row: InsnSpec): Kind {
  const { mnemonic, operands } = row;
  if (mnemonic.startsWith("pcmpestr") || mnemonic.startsWith("pcmpistr")) return "string";
  const from = /^cvtt?(\w\w)2/.exec(mnemonic)?.[1] ?? /[VWU](ps|ss|pd|sd)/.exec(operands)?.[1] ?? "";
  return from.endsWith("s") && from !== "" ? "f32" : from === "pd" || from === "sd" ? "f64" : "int";
}

const ARITHMETIC = /^(add|sub|mul|div|sqrt|min|max|cmp|hadd|hsub|addsub|dp|round|u?comi|cvt)[a-z0-9]*$/;

/** Approximations differ between processors; the rest needs memory or has no result. */
const EXCLUDED = /^(rcp|rsqrt|maskmov|emms)/;

function formsOf(row: InsnSpec, mmx: boolean): Form[] {
  if (/ mem$/.test(row.opcode) || EXCLUDED.test(row.mnemonic)) return [];
  const widths = /[EG][yv]/.test(row.operands) ? [false, true] : [false];
  if (row.mnemonic.startsWith("pcmpestr")) widths.push(true);
  return widths.map((wide) => {
    const kind = kindOf(row);
    const usesMxcsr = kind !== "string" && ARITHMETIC.test(row.mnemonic);
    const flagsOnly = /^(u?comis|ptest)/.test(row.mnemonic);
    let place = PLACES[row.operands[0]];
    if (kind === "string") place = row.mnemonic.endsWith("m") ? "xmm0" : "rcx";
    if (flagsOnly) place = "none";
    const size = flagsOnly ? 0 : place.startsWith("xmm") && !/^[VW]s[sd]/.test(row.operands) ? 16 : 8;
    return {
      key: `${row.opcode}${wide ? " W" : ""}`,
      row,
      op: row.op ?? row.mnemonic,
      mmx,
      bytes: encode(row, wide),
      wide,
      hasImmediate: row.operands.endsWith(",Ib"),
      kind,
      place,
      size,
      writesFlags: flagsOnly || kind === "string",
      usesMxcsr,
    };
  });
}

export const FORMS: readonly Form[] = [...MMX.flatMap((row) => formsOf(row, true)), ...SSE.flatMap((row) => formsOf(row, false))];
