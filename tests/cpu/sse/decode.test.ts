/** Every MMX and SSE row is what the decoder makes of its encoding, as a register and as a memory form, with the immediate,
 *  REX.W and extended registers (SDM Vol.2A "Instruction Format"). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Mode, PcpuOff, Region } from "../../../assembly/abi/layout";
import { RecFlag, RecOff } from "../../../assembly/abi/record";
import { MMX } from "../../../src/spec/mmx";
import { SSE } from "../../../src/spec/sse";
import { buildFixture, env, fixtureMemory } from "../../support/asc_fixture";
import { FORMS } from "./forms";
import { OP } from "./machine";

const decoding = suite("decoding MMX and SSE");
const CODE = 0x7000000;
const RECORDS = 0x6f00000;

let decode: (bytes: readonly number[], mode?: number) => DataView;
decoding.before(async () => {
  const module = await buildFixture("tests/cpu/sse/fixture/decode.ts", {
    replace: {
      "assembly/cpu/code_cache.ts": "tests/cpu/sse/fixture/code_cache.ts",
      "assembly/mmu/fetch.ts": "tests/cpu/sse/fixture/fetch.ts",
    },
  });
  const memory = fixtureMemory();
  const { decodeBlock } = (await WebAssembly.instantiate(module, env(memory))).exports as {
    decodeBlock(lin: bigint, maddr: number, mode: number, old: number): number;
  };
  const bytes = new Uint8Array(memory.buffer);
  decode = (code, mode = Mode.bits64 | Mode.flat) => {
    bytes.fill(0xf4, CODE, CODE + 32);
    bytes.set(code, CODE);
    new DataView(memory.buffer).setUint32(Region.PCPUS + PcpuOff.codeNext, RECORDS, true);
    const head = decodeBlock(BigInt(CODE), CODE, mode, 0);
    return new DataView(memory.buffer, head + RecOff.SIZE, RecOff.SIZE);
  };
});

const GROUP_MMX = 4;
const GROUP_SSE = 5;

interface Expected {
  op: string;
  mmx: boolean;
  reg?: number;
  rm?: number;
  wide?: boolean;
  immediate?: number;
}
function check(record: DataView, code: readonly number[], e: Expected, memory: boolean): void {
  const name = code.map((x) => x.toString(16).padStart(2, "0")).join(" ");
  assert.is(record.getUint16(RecOff.op, true), OP.get(e.op), `${name} is ${e.op}`);
  assert.is(record.getUint16(RecOff.desc, true) >> 8, e.mmx ? GROUP_MMX : GROUP_SSE, name);
  assert.is(record.getUint8(RecOff.len), code.length, name);
  assert.is((record.getUint8(RecOff.flags) & RecFlag.mem) !== 0, memory, name);
  if (e.reg !== undefined) assert.is(record.getUint8(RecOff.reg), e.reg, name);
  if (e.rm !== undefined) assert.is(record.getUint8(RecOff.rm), e.rm, name);
  if (e.wide !== undefined) assert.is((record.getUint16(RecOff.desc, true) & 15) === 8, e.wide, name);
  if (e.immediate !== undefined) assert.is(record.getInt32(RecOff.imm, true) & 0xff, e.immediate, name);
}

decoding("register forms", () => {
  for (const f of FORMS) {
    const digit = / \/[0-7]/.test(f.row.opcode);
    const immediate = f.hasImmediate ? 0xa5 : undefined;
    const code = [...f.bytes, ...(f.hasImmediate ? [0xa5] : [])];
    check(decode(code), code, { op: f.op, mmx: f.mmx, reg: digit ? undefined : 1, rm: 2, wide: f.wide, immediate }, false);
    if (!f.wide) check(decode(code, Mode.bits32 | Mode.flat), code, { op: f.op, mmx: f.mmx, rm: 2, immediate }, false);
  }
});

/** Encoding of a row's memory form at [rax], or undefined if it has none. */
function memoryForm(opcode: string, operands: string): number[] | undefined {
  if (/ reg$/.test(opcode) || !/\/r/.test(opcode) || !/[WQEM]/.test(operands)) return undefined;
  const bytes = opcode.split(" ").filter((t) => /^[0-9A-F]{2}$/.test(t)).map((t) => Number.parseInt(t, 16));
  return [...bytes, 0x08, ...(operands.endsWith(",Ib") ? [0x5a] : [])];
}

decoding("memory forms", () => {
  for (const [rows, mmx] of [[MMX, true], [SSE, false]] as const)
    for (const row of rows) {
      const code = memoryForm(row.opcode, row.operands);
      if (code) check(decode(code), code, { op: row.op ?? row.mnemonic, mmx, reg: 1, immediate: row.operands.endsWith(",Ib") ? 0x5a : undefined }, true);
    }
});

decoding("register and memory forms of one opcode that are different instructions", () => {
  const cases = [
    [[0x0f, 0x12, 0xca], "movhlps", false],
    [[0x0f, 0x12, 0x08], "movlps", true],
    [[0x0f, 0x16, 0xca], "movlhps", false],
    [[0x0f, 0x16, 0x08], "movhps", true],
  ] as const;
  for (const [code, op, memory] of cases) check(decode(code), code, { op, mmx: false, reg: 1 }, memory);
});

decoding("REX reaches XMM8 to XMM15 between prefix and opcode", () => {
  const code = [0x66, 0x45, 0x0f, 0xfe, 0xca]; // paddd xmm9, xmm10
  check(decode(code), code, { op: "paddd", mmx: false, reg: 9, rm: 10, wide: false }, false);
});

decoding("F2 and F3 outrank 66", () => {
  const code = [0x66, 0xf2, 0x0f, 0x58, 0xca];
  check(decode(code), code, { op: "addsd", mmx: false, reg: 1, rm: 2 }, false);
});

decoding.run();
