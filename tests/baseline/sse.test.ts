/** The baseline's SSE gives the bits a processor gave: the recorded cases of tests/cpu/sse that 32-bit code can have, as far as
 *  sse.ts declares them, which leaves out other rounding modes, DAZ, FTZ, unmasked exceptions and the flags of MXCSR. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BaselineMachine } from "../../src/baseline";
import { Sse } from "../../src/baseline/sse_ops";
import { type Case, casesOf } from "../cpu/sse/cases";
import { FORMS, type Form } from "../cpu/sse/forms";
import { bytesPerCase, foldStatus, readVectors } from "../hardware/sse_vectors";

declare const XENOLITH_ROOT: string;

const { header, results } = readVectors(join(XENOLITH_ROOT, "tests/hardware/sse.vectors.gz"));
const sse = suite("baseline's SSE against recorded hardware");

const CODE = 0x10000;
const OSFXSR = 0x200;
const STATUS = 0x8d5;
const GENERAL = { rcx: 1, rdx: 2 } as const;
const machine = new BaselineMachine({ memoryBytes: 1 << 20 });
const { xmm } = machine.registers;

const known = (form: Form) => !form.wide && !form.mmx && (Sse as unknown as Record<string, number>)[form.op] !== undefined && form.place !== "mm1" && form.place !== "mm2" && !/[PQN]q/.test(form.row.operands);
const toInteger = (form: Form) => /^cvtt?[sp][sd]2(si|dq)$/.test(form.row.mnemonic);

/** All exceptions masked, no DAZ nor FTZ; to nearest, but conversions to integers know the other modes. */
const modelled = (form: Form, c: Case) => (c.mxcsr & 0x9fc0) === 0x1f80 && ((c.mxcsr & 0x6000) === 0 || toInteger(form));

function perform(form: Form, c: Case, out: Uint8Array): void {
  const { registers } = machine;
  c.xmm.forEach((x, i) => {
    xmm[i * 2] = Number(BigInt.asIntN(32, x));
    xmm[i * 2 + 1] = Number(BigInt.asIntN(32, x >> 32n));
  });
  [c.rax, c.rcx, c.rdx].forEach((x, i) => (registers.general[i] = Number(BigInt.asIntN(32, x))));
  registers.mxcsr = c.mxcsr;
  registers.eflags = STATUS | 2;
  registers.eip = CODE;
  assert.is(machine.run(2).reason, "budget");
  const view = new DataView(out.buffer);
  out.fill(0);
  if (form.place.startsWith("xmm")) for (let i = 0; i < form.size / 4; i++) view.setInt32(i * 4, xmm[Number(form.place[3]) * 4 + i], true);
  else if (form.place !== "none") view.setInt32(0, registers.general[GENERAL[form.place as keyof typeof GENERAL]], true);
  if (form.writesFlags) out[out.length - 1] = foldStatus(registers.eflags & STATUS);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

let compared = 0;
let offset = 0;
FORMS.forEach((form, n) => {
  const start = offset;
  const per = bytesPerCase(form);
  offset += (header.forms[n]?.[1] ?? 0) * per;
  if (!known(form)) return;
  sse(`${form.row.mnemonic} ${form.row.operands}`, () => {
    machine.reset();
    machine.registers.setControl(4, OSFXSR);
    const actual = new Uint8Array(per);
    const wrong: string[] = [];
    let immediate = -1;
    let at = start;
    for (const c of casesOf(form)) {
      const expected = results.slice(at, at + per);
      at += per;
      if (!modelled(form, c)) continue;
      if (c.immediate !== immediate) {
        immediate = c.immediate;
        machine.load(CODE, Uint8Array.from([...form.bytes, ...(form.hasImmediate ? [immediate] : []), 0x90, 0x90]));
      }
      if (form.usesMxcsr) expected[form.size] = 0; // flags
      perform(form, c, actual);
      compared++;
      if (hex(expected) !== hex(actual)) wrong.push(`imm ${c.immediate} mxcsr ${c.mxcsr.toString(16)} xmm ${[...c.xmm].map((x) => x.toString(16))} rdx ${c.rdx.toString(16)}: hardware ${hex(expected)}, baseline ${hex(actual)}`);
    }
    assert.is(wrong.length, 0, `${wrong.length} wrong, such as ${wrong[0]}`);
  });
});

sse("what was compared is most of SSE2", () => {
  const names = new Set(FORMS.filter(known).map((form) => form.row.mnemonic));
  console.log(`baseline: ${names.size} SSE instructions, ${compared} recorded cases`);
  assert.ok(names.size > 140 && compared > 40_000);
});

sse.run();
