/** Instructions at the edge: the last byte of a page, the 15-byte limit, LOCK where it is not allowed (SDM Vol.2A "Instruction
 *  Format", "LOCK"; Vol.3A "Interrupt 14"). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
import { LAYOUT, type Outcome, type Start, TestPc } from "../../support/test_pc";

const fetch = suite("instruction fetch");
let pc: TestPc;
fetch.before(async () => {
  pc = await TestPc.create();
});

/* 4 MiB + 0 and + 4 KiB are two frames far apart, + 8 KiB is a hole, + 12 KiB cannot be executed. */
const VIRTUAL = 0x400000;
const TABLE = 0x30000;
const FIRST = 0x220000;
const SECOND = 0x250000;
const word = (x: bigint) => new Uint8Array(new BigUint64Array([x]).buffer);
const tables: Start["memory"] = [
  [LAYOUT.pml4 + 0x2000 + 2 * 8, word(BigInt(TABLE) | 7n)],
  [TABLE, word(BigInt(FIRST) | 7n)],
  [TABLE + 8, word(BigInt(SECOND) | 7n)],
  [TABLE + 16, word(0n)],
  [TABLE + 24, word(BigInt(SECOND) | 7n | (1n << 63n))],
];

/** Runs `code` at VIRTUAL + `offset`, its bytes spread over the two frames; the last page's successor is HLT. */
function at(offset: number, code: readonly number[], regs: Start["regs"] = {}): Outcome {
  const memory: [number, Uint8Array][] = [...(tables ?? []).map(([a, b]): [number, Uint8Array] => [a, b]), [FIRST, new Uint8Array(4096).fill(0xf4)], [SECOND, new Uint8Array(4096).fill(0xf4)]];
  code.forEach((byte, i) => {
    const where = offset + i;
    if (where < 0x2000) memory.push([(where < 0x1000 ? FIRST : SECOND) + (where & 4095), Uint8Array.of(byte)]);
  });
  const jump = [0x48, 0xb8, ...word(BigInt(VIRTUAL + offset)), 0xff, 0xe0]; // mov rax, imm64; jmp rax
  return pc.run(Uint8Array.from(jump), 64, { memory, regs });
}

const MOVABS = [0x48, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8]; // mov rbx, imm64
for (let split = 1; split < MOVABS.length; split++) {
  fetch(`${split} of 10 bytes before a page boundary, the rest in a frame elsewhere`, () => {
    const out = at(0x1000 - split, MOVABS);
    assert.is(out.fault, undefined);
    assert.is(out.regs.rbx, 0x0807060504030201n);
    assert.is(out.rip, BigInt(VIRTUAL + 0x1000 - split + 11));
  });
  fetch(`${split} of 10 bytes before a hole: #PF with CR2 at the hole`, () => {
    const out = at(0x2000 - split, MOVABS);
    assert.is(out.fault?.vector, Vector.PF);
    assert.is(out.fault?.cr2, BigInt(VIRTUAL + 0x2000));
    assert.is(out.fault?.rip, BigInt(VIRTUAL + 0x2000 - split));
    assert.is(out.fault?.error, 0x10);
    assert.is(out.regs.rbx, 0n);
  });
}

fetch("an instruction that ends with its page does not touch the next", () => {
  const out = at(0x2000 - 11, [...MOVABS, 0xf4]);
  assert.is(out.fault, undefined);
  assert.is(out.regs.rbx, 0x0807060504030201n);
});

fetch("an opcode that is invalid before the end of its page is #UD, not #PF", () => {
  const out = at(0x2000 - 2, [0x0f, 0x0b]);
  assert.is(out.fault?.vector, Vector.UD);
});

fetch("falling off the page is a fault of the next instruction", () => {
  const out = at(0x2000 - 3, [0x48, 0xff, 0xc3]); // inc rbx
  assert.is(out.fault?.vector, Vector.PF);
  assert.is(out.fault?.rip, BigInt(VIRTUAL + 0x2000));
  assert.is(out.regs.rbx, 1n);
});

const origin = BigInt(LAYOUT.code);
fetch("15 bytes are an instruction", () => {
  const out = pc.run(Uint8Array.from([...Array(13).fill(0x66), 0xff, 0xc3]), 64); // inc bx
  assert.is(out.fault, undefined);
  assert.is(out.regs.rbx, 1n);
});
for (const [name, code] of [
  ["16 bytes with the opcode behind 14 prefixes", [...Array(14).fill(0x66), 0xff, 0xc3]],
  ["15 prefixes", [...Array(15).fill(0x2e), 0x90]],
  ["a displacement and an immediate that reach byte 16", [...Array(6).fill(0x3e), 0x81, 0x84, 0x24, 0, 0, 0, 0, 1, 0, 0, 0]],
] as const)
  fetch(`${name}: #GP(0)`, () => {
    const out = pc.run(Uint8Array.from(code), 64);
    assert.is(out.fault?.vector, Vector.GP);
    assert.is(out.fault?.error, 0);
    assert.is(out.fault?.rip, origin);
  });

for (const [name, code] of [
  ["an immediate", [...Array(10).fill(0x2e), 0x81, 0xc0, 1, 0, 0]],
  ["a ModRM byte", [...Array(14).fill(0x66), 0xff]],
] as const)
  fetch(`15 bytes before a hole that lack ${name}: #GP(0), not #PF`, () => {
    const out = at(0x2000 - 15, code);
    assert.is(out.fault?.vector, Vector.GP);
    assert.is(out.fault?.error, 0);
    assert.is(out.fault?.rip, BigInt(VIRTUAL + 0x2000 - 15));
  });

for (const [name, code, valid] of [
  ["lock add [rsp], eax", [0xf0, 0x01, 0x04, 0x24], true],
  ["lock add eax, eax", [0xf0, 0x01, 0xc0], false],
  ["lock add eax, [rsp]", [0xf0, 0x03, 0x04, 0x24], false],
  ["lock cmp [rsp], eax", [0xf0, 0x39, 0x04, 0x24], false],
  ["lock mov [rsp], eax", [0xf0, 0x89, 0x04, 0x24], false],
  ["lock xchg [rsp], eax", [0xf0, 0x87, 0x04, 0x24], true],
  ["lock not dword [rsp]", [0xf0, 0xf7, 0x14, 0x24], true],
  ["lock test dword [rsp], 1", [0xf0, 0xf7, 0x04, 0x24, 1, 0, 0, 0], false],
  ["lock bt [rsp], eax", [0xf0, 0x0f, 0xa3, 0x04, 0x24], false],
  ["lock bts [rsp], eax", [0xf0, 0x0f, 0xab, 0x04, 0x24], true],
  ["lock cmpxchg8b [rsp]", [0xf0, 0x0f, 0xc7, 0x0c, 0x24], true],
  ["lock nop", [0xf0, 0x90], false],
  ["lock shl dword [rsp], 1", [0xf0, 0xd1, 0x24, 0x24], false],
] as const)
  fetch(`${name} is ${valid ? "valid" : "#UD"}`, () => {
    const out = pc.run(Uint8Array.from(code), 64);
    assert.is(out.fault?.vector, valid ? undefined : Vector.UD);
  });

fetch.run();
