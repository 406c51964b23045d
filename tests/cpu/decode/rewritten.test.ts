/** An instruction that the one before it writes: by every kind of store, at every place around a page boundary, through its own
 *  linear address and another one (SDM Vol.3A "Handling Self- and Cross-Modifying Code": the new instruction runs, if it is written
 *  through the same linear address; AMD APM Vol.2 promises it for any). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LAYOUT, type Start, TestPc } from "../../support/test_pc";

const rewritten = suite("the next instruction, rewritten");
let pc: TestPc;
rewritten.before(async () => {
  pc = await TestPc.create();
});

/** 6..8 MiB of linear addresses is the first 2 MiB of memory once more. */
const ALIAS = 0x600000;
const SOURCE = 0x1a0000;
const le = (x: number, n = 4) => Array.from({ length: n }, (_, i) => (x >> (i * 8)) & 255);
/** mov ebx, 11111111h; hlt; and what replaces it. */
const OLD = [0xbb, ...le(0x11111111), 0xf4, 0xf4, 0xf4];
/** mov rbx, 1111111111111111h; hlt */
const OLD_WIDE = [0x48, 0xbb, ...Array<number>(8).fill(0x11), 0xf4];
const NEW = [0xbb, ...le(0x22222222), 0xf4, 0x90, 0x90];
const qword = (bytes: readonly number[]) => bytes.reduceRight((x, byte) => (x << 8n) | BigInt(byte), 0n);

//  what                            instructions before                store, RSI is the target     EBX after
const STORES: readonly (readonly [string, readonly number[], readonly number[], bigint])[] = [
  ["MOV of a byte", [], [0x88, 0x56, 0x01], 0x11111122n], // mov [rsi + 1], dl
  ["MOV of a word", [], [0x66, 0x89, 0x56, 0x02], 0x11222211n],
  ["MOV of eight bytes", [], [0x48, 0x89, 0x0e], 0x22222222n], // mov [rsi], rcx
  ["MOV of the last byte alone", [], [0x88, 0x56, 0x04], 0x22111111n],
  ["XCHG", [], [0x48, 0x87, 0x0e], 0x22222222n],
  ["LOCK CMPXCHG", [], [0xf0, 0x48, 0x0f, 0xb1, 0x0e], 0x22222222n],
  ["LOCK OR", [], [0xf0, 0x81, 0x4e, 0x01, ...le(0x22222222)], 0x33333333n],
  ["ADD to memory", [], [0x81, 0x46, 0x01, ...le(0x11111111)], 0x22222222n],
  ["NOT", [], [0xf7, 0x56, 0x01], 0xeeeeeeeen],
  ["BTC", [], [0x0f, 0xba, 0x7e, 0x01, 0x01], 0x11111113n],
  ["SETcc", [], [0x0f, 0x92, 0x46, 0x01], 0x11111100n], // setb after CLD: CF is clear
  ["MOVNTI", [], [0x48, 0x0f, 0xc3, 0x0e], 0x22222222n],
  ["STOSQ", [0x48, 0x89, 0xf7, 0x48, 0x89, 0xc8], [0x48, 0xab], 0x22222222n], // mov rdi, rsi; mov rax, rcx
  ["REP MOVSB", [0x48, 0x89, 0xf7, 0x4c, 0x89, 0xc6, 0xb9, ...le(8)], [0xf3, 0xa4], 0x22222222n], // mov rdi, rsi; mov rsi, r8
  ["REP MOVSD", [0x48, 0x89, 0xf7, 0x4c, 0x89, 0xc6, 0xb9, ...le(2)], [0xf3, 0xa5], 0x22222222n],
  ["MOVUPS", [0x41, 0x0f, 0x10, 0x00], [0x0f, 0x11, 0x06], 0x22222222n],
  ["MOVQ from XMM0", [0xf3, 0x41, 0x0f, 0x7e, 0x00], [0x66, 0x0f, 0xd6, 0x06], 0x22222222n],
  ["MOVD from MM0", [0x41, 0x0f, 0x6f, 0x40, 0x01], [0x0f, 0x7e, 0x46, 0x01], 0x22222222n],
  ["MASKMOVDQU", [0x48, 0x89, 0xf7, 0x41, 0x0f, 0x10, 0x00, 0x66, 0x0f, 0x76, 0xc9, 0x66, 0x0f, 0x73, 0xd9, 0x08], [0x66, 0x0f, 0xf7, 0xc1], 0x22222222n],
  ["FISTP", [0x41, 0xdf, 0x28], [0xdf, 0x3e], 0x22222222n], // fild qword [r8]
  ["FSTP of a single", [0x41, 0xd9, 0x40, 0x01], [0xd9, 0x5e, 0x01], 0x22222222n],
  ["PUSH", [0x48, 0x8d, 0x66, 0x08], [0x51], 0x22222222n], // lea rsp, [rsi + 8]; push rcx
  ["CALL", [0x48, 0x8d, 0x66, 0x0a], [0xe8, ...le(0)], -1n], // lea rsp, [rsi + 10]; the return address becomes the immediate
];

const Q = { regs: { rcx: qword(NEW), rdx: 0x2222n, rax: qword(OLD), r8: BigInt(SOURCE) } };
let cases = 0;
for (const alias of [false, true])
  for (const [name, before, store, ebx] of STORES)
    rewritten(`${name}${alias ? ", through another linear address" : ""}`, () => {
      for (let offset = 0xfe0; offset <= 0x1004; offset++) {
        // the target is at `offset` of its page, what comes before it right before it
        const target = 0x180000 + offset;
        const from = target - store.length - before.length;
        const memory: Start["memory"] = [
          [LAYOUT.pml4 + 0x2000 + 3 * 8, new Uint8Array(new BigUint64Array([0x87n]).buffer)],
          [from, Uint8Array.from([...before, ...store, ...(ebx < 0n ? OLD_WIDE : OLD), ...Array(16).fill(0xf4)])],
          [SOURCE, Uint8Array.from([...NEW, ...Array(16).fill(0xf4)])],
        ];
        const jump = [0xfc, 0x49, 0xbf, ...le(from), 0, 0, 0, 0, 0x41, 0xff, 0xe7]; // cld; mov r15, from; jmp r15
        const out = pc.run(Uint8Array.from(jump), 64, { memory, cr0: 0x80000033n, regs: { ...Q.regs, rsi: BigInt(target + (alias ? ALIAS : 0)) } });
        assert.is(out.fault, undefined, `offset ${offset.toString(16)}: ${JSON.stringify(out.fault, (_, x) => (typeof x === "bigint" ? x.toString(16) : x))}`);
        // CALL pushes the address of the target
        assert.is(out.regs.rbx, ebx < 0n ? BigInt(target) : ebx, `offset ${offset.toString(16)}`);
        cases++;
      }
    });

rewritten("so many", () => assert.is(cases, 2 * STORES.length * 37));
rewritten.run();
