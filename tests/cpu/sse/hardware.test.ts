/** Every register form of the MMX and SSE rows gives the bits a real processor gives: destination, MXCSR flags, status
 *  flags, and whether an unmasked exception is raised. The recordings come from tests/hardware/sse_record.ts; inputs are
 *  boundary and random values under all rounding modes, DAZ, FTZ and exception masks. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff } from "../../../assembly/abi/layout";
import { bytesPerCase, foldStatus, readVectors } from "../../hardware/sse_vectors";
import { type Case, casesOf } from "./cases";
import { FORMS, type Form } from "./forms";
import { SseMachine } from "./machine";

const root: string = (globalThis as { XENOLITH_ROOT?: string }).XENOLITH_ROOT ?? process.cwd();
const { header, results } = readVectors(join(root, "tests/hardware/sse.vectors.gz"));
const sse = suite(`SSE as recorded on ${header.cpu}`);

let machine: SseMachine;
sse.before(async () => {
  machine = await SseMachine.create();
});

const hex = (x: bigint, digits = 16) => x.toString(16).padStart(digits, "0");

function load(m: SseMachine, c: Case): void {
  for (let i = 0; i < 6; i++) m.setU64(PcpuOff.xmm + i * 8, c.xmm[i]);
  m.setU64(PcpuOff.fpr + 16, c.mm1);
  m.setU64(PcpuOff.fpr + 32, c.mm2);
  m.setU64(PcpuOff.gpr, c.rax);
  m.setU64(PcpuOff.gpr + 8, c.rcx);
  m.setU64(PcpuOff.gpr + 16, c.rdx);
  m.setU32(PcpuOff.mxcsr, c.mxcsr);
  m.setU64(PcpuOff.rflags, 0x8d7n);
}

/** Our result of one case, in the format of the recording. */
function perform(m: SseMachine, form: Form, c: Case, out: Uint8Array): void {
  load(m, c);
  m.encode(form, c.immediate);
  const went = m.perform(form.mmx);
  const vector = m.takeFault();
  if (went !== (vector === -1) || (!went && vector !== 19)) throw new Error(`${form.key}: vector ${vector}`);
  out.fill(0);
  const place = m.place(form.place);
  if (went) for (let i = 0; i < form.size; i++) out[i] = m.view.getUint8(0x5400000 + place + i);
  let at = form.size as number;
  if (form.usesMxcsr) out[at++] = (m.u32(PcpuOff.mxcsr) & 0x3f) | (went ? 0 : 0x80);
  if (form.writesFlags) out[at] = went ? foldStatus(m.u32(PcpuOff.rflags)) : 0;
}

function describe(form: Form, c: Case, expected: Uint8Array, actual: Uint8Array): string {
  const bytes = (b: Uint8Array) => `${hex(Buffer.from(b.subarray(0, form.size)).reverse().reduce((n, x) => (n << 8n) | BigInt(x), 0n), form.size * 2)} ${[...b.subarray(form.size)].map((x) => x.toString(16)).join(" ")}`;
  return [
    `${form.row.mnemonic} ${form.row.operands}${form.wide ? " W" : ""} imm=${c.immediate} mxcsr=${c.mxcsr.toString(16)}`,
    `  xmm0 ${hex(c.xmm[1])}_${hex(c.xmm[0])}  mm1 ${hex(c.mm1)} rax ${hex(c.rax)}`,
    `  xmm1 ${hex(c.xmm[3])}_${hex(c.xmm[2])}  mm2 ${hex(c.mm2)} rcx ${hex(c.rcx)}`,
    `  xmm2 ${hex(c.xmm[5])}_${hex(c.xmm[4])}  rdx ${hex(c.rdx)}`,
    `  hardware ${bytes(expected)}`,
    `  ours     ${bytes(actual)}`,
  ].join("\n");
}

sse("the recording has every form", () => {
  assert.equal(header.forms.map(([key]) => key), FORMS.map((form) => form.key));
});

let offset = 0;
let compared = 0;
let mismatches = 0;
FORMS.forEach((form, n) => {
  const start = offset;
  const count = header.forms[n]?.[1] ?? 0;
  offset += count * bytesPerCase(form);
  sse(`${form.op} ${form.row.operands} (${form.key})`, () => {
    const per = bytesPerCase(form);
    const actual = new Uint8Array(per);
    let i = 0;
    let wrong = 0;
    let first = "";
    for (const c of casesOf(form)) {
      const expected = results.subarray(start + i * per, start + ++i * per);
      perform(machine, form, c, actual);
      if (expected.every((byte, k) => byte === actual[k])) continue;
      if (wrong++ < Number(process.env.SSE_SHOW ?? 1)) first += `${describe(form, c, expected, actual)}\n`;
    }
    compared += i;
    mismatches += wrong;
    assert.is(i, count);
    assert.is(wrong, 0, `${wrong} of ${count} differ, such as\n${first}`);
  });
});

sse("enough was compared", () => {
  console.log(`MMX and SSE results: ${FORMS.length} instruction forms, ${compared} cases, ${mismatches} mismatches`);
  assert.is(mismatches, 0);
});

sse.run();
