/** Records tests/hardware/integer.vectors.gz and fpu.vectors.gz on this machine: node scripts/run.mjs tests/hardware/case_record.ts */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { fpuCasesOf } from "../cpu/fpu/cases";
import { FPU_ROWS } from "../cpu/fpu/rows";
import { casesOf } from "../cpu/integer/cases";
import { ROWS, type Row } from "../cpu/integer/rows";
import { type Header, packResult } from "./case_vectors";
import { buildNative, type Case, ENVS, runNative } from "./native";

declare const XENOLITH_ROOT: string;

const program = buildNative();
if (!program) throw new Error("tests/hardware/native.c needs gcc on Linux on an x86-64 machine");
const info = readFileSync("/proc/cpuinfo", "utf8");
const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(info)?.[1].trim() ?? "?";
const cpu = `${field("vendor_id")} ${field("model name")} family ${field("cpu family")} model ${field("model")} stepping ${field("stepping")}`;

function record(name: string, source: readonly Row[], casesOf: (row: Row, env: number) => readonly Case[]): void {
  const rows: Header["rows"][number][] = [];
  const bytes: number[] = [];
  ENVS.forEach((_, env) => {
    const groups = source.map((row) => ({ row, cases: casesOf(row, env) })).filter((group) => group.cases.length > 0);
    const results = runNative(program!, groups.flatMap((group) => group.cases));
    let next = 0;
    for (const { row, cases } of groups) {
      const from = bytes.length;
      for (const c of cases) for (const byte of packResult(c, results[next++])) bytes.push(byte);
      rows.push([env, row.key, cases.length, bytes.length - from]);
    }
  });
  const header: Header = { cpu, rows };
  const file = join(XENOLITH_ROOT, `tests/hardware/${name}.vectors.gz`);
  writeFileSync(file, gzipSync(Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), Uint8Array.from(bytes)]), { level: 9 }));
  console.log(`${name} on ${cpu}: ${rows.reduce((n, row) => n + row[2], 0)} cases of ${source.length} rows, ${readFileSync(file).length} bytes`);
}

const wanted = process.argv[2];
if (wanted !== "fpu") record("integer", ROWS, casesOf);
if (wanted !== "integer") record("fpu", FPU_ROWS, fpuCasesOf);
