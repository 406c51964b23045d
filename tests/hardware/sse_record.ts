/** Records tests/hardware/sse.vectors.gz on the processor it runs on:
 *    npx esbuild tests/hardware/sse_record.ts --bundle --platform=node --format=esm --outfile=build/sse_record.mjs
 *    node build/sse_record.mjs */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { casesOf } from "../cpu/sse/cases";
import { FORMS, type Form } from "../cpu/sse/forms";
import { bytesPerCase, foldStatus, type Header } from "./sse_vectors";

const CASE = 112;
const RESULT = 96;
const OFFSET: Record<string, number> = { xmm0: 0, xmm1: 16, xmm2: 32, mm1: 48, mm2: 56, rcx: 64, rdx: 72 };

execFileSync("gcc", ["-O1", "-mno-red-zone", "-o", "build/sse_native", "tests/hardware/sse.c"]);

function record(form: Form): { cases: number; out: Uint8Array } {
  const cases = [...casesOf(form)];
  const input = new Uint8Array(cases.length * CASE);
  const view = new DataView(input.buffer);
  cases.forEach((c, i) => {
    const at = i * CASE;
    const code = [...form.bytes, ...(form.hasImmediate ? [c.immediate] : []), 0xc3];
    input.set(code, at);
    c.xmm.forEach((x, n) => void view.setBigUint64(at + 16 + n * 8, x, true));
    [c.mm1, c.mm2, c.rax, c.rcx, c.rdx].forEach((x, n) => void view.setBigUint64(at + 64 + n * 8, x, true));
    view.setUint32(at + 104, c.mxcsr, true);
  });
  const raw = execFileSync("build/sse_native", { input, maxBuffer: 1 << 28 });
  if (raw.length !== cases.length * RESULT) throw new Error(`${form.key}: ${raw.length} bytes`);
  const results = new DataView(raw.buffer, raw.byteOffset, raw.length);
  const per = bytesPerCase(form);
  const out = new Uint8Array(cases.length * per);
  cases.forEach((_, i) => {
    const trapped = results.getUint32(i * RESULT + 88, true);
    if (trapped === 4) throw new Error(`${form.key} is not supported here`);
    let at = i * per;
    if (!trapped) out.set(raw.subarray(i * RESULT + OFFSET[form.place], i * RESULT + OFFSET[form.place] + form.size), at);
    at += form.size;
    if (form.usesMxcsr) out[at++] = (results.getUint32(i * RESULT + 84, true) & 0x3f) | (trapped ? 0x80 : 0);
    if (form.writesFlags) out[at] = trapped ? 0 : foldStatus(results.getUint32(i * RESULT + 80, true));
  });
  return { cases: cases.length, out };
}

const cpuinfo = readFileSync("/proc/cpuinfo", "utf8");
const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(cpuinfo)?.[1] ?? "?";
const recorded = FORMS.map((form) => ({ form, ...record(form) }));
const header: Header = {
  cpu: `${field("vendor_id")} ${field("model name")} family ${field("cpu family")} model ${field("model")} stepping ${field("stepping")}`,
  forms: recorded.map(({ form, cases }) => [form.key, cases]),
};
const file = gzipSync(Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), ...recorded.map(({ out }) => out)]), { level: 9 });
writeFileSync("tests/hardware/sse.vectors.gz", file);
console.log(`${header.cpu}: ${recorded.length} forms, ${recorded.reduce((n, r) => n + r.cases, 0)} cases, ${file.length} bytes`);
