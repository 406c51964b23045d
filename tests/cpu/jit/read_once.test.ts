/** Floating-point and SSE operands in memory are read once: another processor that stores to them meanwhile, here a thread, is seen or not, but no
 *  instruction has some of what was there before and some of what came after, and none acts on other bits than those it looked at. */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LAYOUT, TestPc, assemble, nasmMissing } from "../../support/test_pc";

declare const XENOLITH_ROOT: string;

const once = suite("operands that are read once");
const X = LAYOUT.data;
const Y = LAYOUT.data + 0x100;
const CONTROL = LAYOUT.data + 0x1000; // 53 bits, to nearest, all masked; a divisor
const V = LAYOUT.data + 0x1020;
const ROUNDS = Number(process.env.XENOLITH_ROUNDS ?? 10_000_000);

/** Stores one and the other to where `at` is in a memory, until told to stop. */
const WRITER = `const { memory, at, one, other, stop } = require("node:worker_threads").workerData;
  const words = new BigInt64Array(memory), stopped = new Int32Array(stop);
  while (!Atomics.load(stopped, 0)) for (let i = 0; i < 1000; i++) {
    Atomics.store(words, at, one);
    for (let k = 0; k < (i & 7) * 4; k++);
    Atomics.store(words, at, other);
  }`;

interface Case {
  readonly name: string;
  /** What the quadword at X is in turns. */
  readonly one: bigint;
  readonly other: bigint;
  /** Low quadword of XMM1. */
  readonly v?: bigint;
  /** Before the loop. */
  readonly first?: string;
  /** The instruction; RAX becomes what it made of the operand. */
  readonly code: string;
  /** What it makes of either. */
  readonly results: readonly bigint[];
}

const packed = (name: string, v: bigint, results: readonly bigint[], to: string): Case => ({ name, one: 0n, other: -1n, v, code: `movdqa xmm0, xmm1\n${name} xmm0, [${X}]\n${to}`, results });
/** Numbers far from 1 make code look at what is loaded. */
const FAR = `mov ecx, 60000\nwarm: fld qword [${CONTROL + 16}]\nfstp st0\ndec ecx\njnz warm`;
const CASES: readonly Case[] = [
  { name: "FLD of a double", one: 0x3ff0000000000000n, other: 0x7ff4000000000000n, first: FAR, code: `fld qword [${CONTROL + 16}]\nfstp st0\nfld qword [${X}]\nfstp qword [${Y}]\nmov rax, [${Y}]`, results: [0x3ff0000000000000n, 0x7ffc000000000000n] },
  { name: "FLD of a single", one: 0x3f800000n, other: 0x7fa00000n, code: `fld1\nfadd st0, st0\nfstp st0\nfld dword [${X}]\nfstp dword [${Y}]\nmov eax, [${Y}]`, results: [0x3f800000n, 0x7fe00000n] },
  { name: "PTEST", one: 1n, other: 2n, v: 1n, code: `xor eax, eax\nxor edx, edx\nptest xmm1, [${X}]\nsetz al\nsetc dl\nlea eax, [rax + rdx * 2]`, results: [2n, 1n] },
  packed("psadbw", -0x7f7f7f7f7f7f7f80n, [0x400n, 0x3f8n], "movq rax, xmm0"),
  packed("phaddd", 0n, [0n, 0xfffffffen], "pextrd eax, xmm0, 2"),
  packed("pmaddubsw", 0x0101010101010101n, [0n, 0xfffen], "pextrw eax, xmm0, 0"),
];

for (const { name, one, other, v, first, code, results } of CASES)
  once(name, async () => {
    if (nasmMissing()) return;
    const pc = await TestPc.create({ wasm: join(XENOLITH_ROOT, "build/xenolith.shared.wasm"), jit: { threshold: 1, slice: 4000 } });
    pc.guest.set64(X, one);
    pc.guest.set32(CONTROL, 0x27f);
    pc.guest.set32(CONTROL + 4, 3);
    pc.guest.set64(CONTROL + 16, BigInt(0x3ff - 600) << 52n);
    pc.guest.set64(V, BigInt.asUintN(64, v ?? 0n));
    const source = assemble(`fninit
      fldcw [${CONTROL}]
      fld1
      fidiv dword [${CONTROL + 4}]
      movups xmm1, [${V}]
      ${first ?? ""}
      mov rsi, ${results[0]}
      mov rdi, ${results[1]}
      mov ecx, ${ROUNDS}
      again:
      ${code}
      cmp rax, rsi
      je right
      cmp rax, rdi
      je right
      inc ebx
      mov r8, rax
      right: dec ecx
      jnz again
      hlt`, 64);
    const stop = new SharedArrayBuffer(4);
    const writer = new Worker(WRITER, { eval: true, workerData: { memory: pc.mem.memory.buffer, at: pc.guest.maddr(X) >> 3, one, other, stop } });
    await new Promise((resolve) => writer.once("online", resolve));
    const out = pc.run(source, 64, {}, ROUNDS * 40);
    Atomics.store(new Int32Array(stop), 0, 1);
    await writer.terminate();
    assert.is(out.regs.rcx, 0n);
    assert.is(out.regs.rbx, 0n, `${out.regs.rbx} of ${ROUNDS} times, 0x${out.regs.r8.toString(16)} at last`);
  });

once.run();
