/** Rows of src/spec taken apart for encoders, and those of integer.ts. Written from the notation (src/spec/row.ts), not from the
 *  generator, so that the two check each other. */
import { INTEGER, STRING } from "../../../src/spec/integer";
import type { InsnSpec } from "../../../src/spec/row";

export interface Row {
  readonly spec: InsnSpec;
  /** Identity in the file of vectors. */
  readonly key: string;
  readonly name: string;
  /** Bytes before the opcode byte: none, 0F, 0F 38, 0F 3A. */
  readonly escape: readonly number[];
  readonly opcode: number;
  readonly vex?: { readonly pp: number; readonly map: number };
  readonly prefix?: number;
  readonly noPrefix: boolean;
  readonly plusR: boolean;
  readonly modrm: boolean;
  readonly digit?: number;
  readonly form?: "mem" | "reg";
  /** The whole ModRM byte. */
  readonly exact?: number;
  readonly operands: readonly string[];
  readonly string: boolean;
}

export function take(spec: InsnSpec, string = false): Row {
  const tokens: string[] = spec.opcode.split(" ");
  let vex: Row["vex"];
  let prefix: number | undefined;
  let noPrefix = false;
  const escape: number[] = [];
  if (tokens[0].startsWith("VEX.")) {
    const parts = tokens.shift()!.split(".").slice(1);
    const pp = ["66", "F3", "F2"].indexOf(parts[0]) + 1;
    vex = { pp, map: parts.at(-1) === "0F38" ? 2 : 3 };
  } else {
    if (tokens.length > 1 && ["66", "F3", "F2"].includes(tokens[0])) prefix = Number.parseInt(tokens.shift()!, 16);
    else if (tokens[0] === "NP") {
      noPrefix = true;
      tokens.shift();
    }
    if (tokens[0] === "0F" && tokens.length > 1) {
      escape.push(Number.parseInt(tokens.shift()!, 16));
      if (/^3[8A]$/.test(tokens[0]) && tokens.length > 1 && /^[0-9A-F]{2}(\+r)?$/.test(tokens[1])) escape.push(Number.parseInt(tokens.shift()!, 16));
    }
  }
  const main = tokens.shift()!;
  const digit = tokens.find((t) => /^\/[0-7]$/.test(t));
  const exact = tokens.find((t) => /^[0-9A-F]{2}$/.test(t));
  const operands = string || spec.operands === "" ? [] : spec.operands.split(",");
  const memory = operands.some((o) => o[0] === "M") && spec.mnemonic !== "xlat";
  return {
    spec,
    key: `${spec.opcode} ${spec.mnemonic} ${spec.operands}`,
    name: spec.mnemonic,
    escape,
    opcode: Number.parseInt(main, 16),
    vex,
    prefix,
    noPrefix,
    plusR: main.endsWith("+r"),
    modrm: vex !== undefined || (spec.mnemonic !== "xlat" && (tokens.length > 0 || operands.some((o) => /^[EGM]/.test(o)))),
    digit: digit ? Number(digit[1]) : undefined,
    form: tokens.includes("mem") || memory ? "mem" : tokens.includes("reg") || exact ? "reg" : undefined,
    exact: exact ? Number.parseInt(exact, 16) : undefined,
    operands,
    string,
  };
}

export const ROWS: readonly Row[] = [...INTEGER.map((s) => take(s, false)), ...STRING.map((s) => take(s, true))];
