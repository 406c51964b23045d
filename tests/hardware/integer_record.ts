/** Records tests/hardware/integer.vectors.gz on this machine: node scripts/run.mjs tests/hardware/integer_record.ts */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { casesOf } from "../cpu/integer/cases";
import { ROWS } from "../cpu/integer/rows";
import { type Header, packResult } from "./integer_vectors";
import { buildNative, ENVS, runNative } from "./native";

declare const XENOLITH_ROOT: string;

const program = buildNative();
if (!program) throw new Error("tests/hardware/integer.c needs gcc on Linux on an x86-64 machine");
const info = readFileSync("/proc/cpuinfo", "utf8");
const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(info)?.[1].trim() ?? "?";
const cpu = `${field("vendor_id")} ${field("model name")} family ${field("cpu family")} model ${field("model")} stepping ${field("stepping")}`;

const rows: Header["rows"][number][] = [];
const bytes: number[] = [];
ENVS.forEach((_, env) => {
  const groups = ROWS.map((row) => ({ row, cases: casesOf(row, env) })).filter((group) => group.cases.length > 0);
  const results = runNative(program, groups.flatMap((group) => group.cases));
  let next = 0;
  for (const { row, cases } of groups) {
    const from = bytes.length;
    for (const c of cases) for (const byte of packResult(c, results[next++])) bytes.push(byte);
    rows.push([env, row.key, cases.length, bytes.length - from]);
  }
});
const header: Header = { cpu, rows };
const file = join(XENOLITH_ROOT, "tests/hardware/integer.vectors.gz");
writeFileSync(file, gzipSync(Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), Uint8Array.from(bytes)]), { level: 9 }));
console.log(`${cpu}: ${rows.reduce((n, row) => n + row[2], 0)} cases of ${ROWS.length} rows, ${readFileSync(file).length} bytes`);
