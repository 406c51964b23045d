/** Loops that rewrite immediates of their own instructions, at every turn and now and then, in all widths, interpreted and translated: the
 *  value that was stored last is the one that counts (SDM Vol.3A "Handling Self- and Cross-Modifying Code"). What comes out is
 *  computed here. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LAYOUT, TestPc } from "../../support/test_pc";

const u64 = (x: bigint) => BigInt.asUintN(64, x);
const u32 = (x: bigint) => BigInt.asUintN(32, x);
const signed = (x: bigint, bytes: number) => BigInt.asIntN(bytes * 8, x);
const rol = (x: bigint, n: bigint) => u64((x << n) | (x >> (64n - n)));
const le = (x: number, n = 4) => Array.from({ length: n }, (_, i) => (x >> (i * 8)) & 255);
/** mov [rip + distance], al, ax, eax or rax: the distance counts from behind the instruction. */
const store = (bytes: number, distance: number) => [...(bytes === 2 ? [0x66] : bytes === 8 ? [0x48] : []), bytes === 1 ? 0x88 : 0x89, 0x05, ...le(distance)];

const COUNT = 500;
const SCRATCH = 0x1a0000;

interface Patched {
  readonly name: string;
  /** Instructions before it, the instruction without its immediate, size of the immediate, instructions after it that leave a result in RBX. */
  readonly before?: readonly number[];
  readonly code: readonly number[];
  readonly size: number;
  readonly after?: readonly number[];
  /** RBX then, of EAX and the immediate, sign-extended. */
  readonly result: (eax: bigint, immediate: bigint) => bigint;
}

const COPY = [0x89, 0xc3]; // mov ebx, eax
const CASES: readonly Patched[] = [
  { name: "MOV r64, imm64", code: [0x48, 0xbb], size: 8, result: (_, i) => i },
  { name: "MOV r64, imm32", code: [0x48, 0xc7, 0xc3], size: 4, result: (_, i) => i },
  { name: "MOV r32, imm32", code: [0xbb], size: 4, result: (_, i) => u32(i) },
  { name: "MOV r16, imm16", before: COPY, code: [0x66, 0xbb], size: 2, result: (a, i) => (a & ~0xffffn) | (i & 0xffffn) },
  { name: "MOV r8, imm8", before: COPY, code: [0xb7], size: 1, result: (a, i) => (a & ~0xff00n) | ((i & 0xffn) << 8n) },
  { name: "ADD r32, imm32", before: COPY, code: [0x81, 0xc3], size: 4, result: (a, i) => u32(a + i) },
  { name: "SUB r64, imm32", before: COPY, code: [0x48, 0x81, 0xeb], size: 4, result: (a, i) => a - i },
  { name: "XOR r64, imm8", before: COPY, code: [0x48, 0x83, 0xf3], size: 1, result: (a, i) => a ^ i },
  { name: "AND r16, imm16", before: COPY, code: [0x66, 0x81, 0xe3], size: 2, result: (a, i) => a & (i | ~0xffffn) },
  { name: "OR r8, imm8", before: COPY, code: [0x80, 0xcb], size: 1, result: (a, i) => a | (i & 0xffn) },
  { name: "SBB r32, imm32 after STC", before: [...COPY, 0xf9], code: [0x81, 0xdb], size: 4, result: (a, i) => u32(a - i - 1n) },
  { name: "IMUL r32, r32, imm32", code: [0x69, 0xd8], size: 4, result: (a, i) => u32(signed(a, 4) * i) },
  { name: "IMUL r64, r64, imm8", code: [0x48, 0x6b, 0xd8], size: 1, result: (a, i) => a * i },
  { name: "PUSH imm32", code: [0x68], size: 4, after: [0x5b], result: (_, i) => i },
  { name: "PUSH imm8", code: [0x6a], size: 1, after: [0x5b], result: (_, i) => i },
  // mov [rsi], eax; add dword [rsi], imm32; mov ebx, [rsi]
  { name: "ADD m32, imm32", before: [0x89, 0x06], code: [0x81, 0x06], size: 4, after: [0x8b, 0x1e], result: (a, i) => u32(a + i) },
  { name: "MOV m64, imm32", code: [0x48, 0xc7, 0x06], size: 4, after: [0x48, 0x8b, 0x1e], result: (_, i) => i },
  { name: "MOV m8, imm8 in a segment", before: [0x89, 0x06], code: [0x65, 0x67, 0xc6, 0x06], size: 1, after: [0x8b, 0x1e], result: (a, i) => (a & ~0xffn) | (i & 0xffn) },
  // xor ebx, ebx; mov edx, eax; rol edx, 9; cmp edx, imm32; jl +2; inc ebx (fused with the branch until it is rewritten)
  {
    name: "CMP r32, imm32 before Jcc",
    before: [0x31, 0xdb, 0x89, 0xc2, 0xc1, 0xc2, 0x09],
    code: [0x81, 0xfa],
    size: 4,
    after: [0x7c, 0x02, 0xff, 0xc3],
    result: (a, i) => (signed(u32((a << 9n) | (a >> 23n)), 4) < i ? 0n : 1n),
  },
  // xor ebx, ebx; test eax, imm32; setz bl
  { name: "TEST EAX, imm32", before: [0x31, 0xdb], code: [0xa9], size: 4, after: [0x0f, 0x94, 0xc3], result: (a, i) => ((a & u32(i)) === 0n ? 1n : 0n) },
];

/** The loop's turn with the store `bytes` wide at byte `at` of the immediate, made when ECX has no bit of `mask`. */
function turn({ before = [], code, size, after = [] }: Patched, bytes: number, at: number, mask: number): number[] {
  const distance = before.length + code.length + at;
  const write = store(bytes, distance);
  return [
    ...[0xf6, 0xc1, mask, 0x75, write.length], // test cl, mask; jnz over the store
    ...write,
    ...before,
    ...code,
    ...le(0x11, size).fill(0x11),
    ...after,
    ...[0x49, 0xc1, 0xc0, 0x05, 0x49, 0x31, 0xd8], // rol r8, 5; xor r8, rbx
    ...[0x69, 0xc0, ...le(1664525), 0x05, ...le(1013904223)], // next random EAX
  ];
}

function model({ size, result }: Patched, bytes: number, at: number, mask: number): bigint {
  let eax = 12345n, r8 = 0n, immediate = BigInt(`0x${"11".repeat(size)}`);
  for (let ecx = COUNT; ecx > 0; ecx--) {
    if (!(ecx & mask)) {
      const lane = ((1n << BigInt(bytes * 8)) - 1n) << BigInt(at * 8);
      immediate = (immediate & ~lane) | ((eax << BigInt(at * 8)) & lane);
    }
    r8 = rol(r8, 5n) ^ u64(result(eax, signed(immediate, size)));
    eax = u32(eax * 1664525n + 1013904223n);
  }
  return r8;
}

const loop = (body: readonly number[]) => [...body, 0xff, 0xc9, 0x0f, 0x85, ...le(-(body.length + 8))]; // dec ecx; jnz
const REGS = { rax: 12345n, rcx: BigInt(COUNT), r8: 0n, rsi: BigInt(SCRATCH) };

for (const [how, jit] of [
  ["interpreted", false],
  ["translated", { threshold: 1, slice: 40 }],
  ["checked", { threshold: 1, slice: 200, check: true }],
] as const) {
  const patched = suite(`rewritten immediates, ${how}`);
  let pc: TestPc;
  patched.before.each(async () => {
    pc = await TestPc.create({ jit });
  });

  for (const each of CASES)
    patched(each.name, () => {
      for (const mask of [0, 63])
        for (const bytes of [1, 2, 4, 8])
          for (let at = 0; at + bytes <= each.size; at++) {
            const code = Uint8Array.from(loop(turn(each, bytes, at, mask)));
            const out = pc.run(code, 64, { regs: REGS });
            assert.is(out.fault, undefined);
            assert.is(out.regs.r8, model(each, bytes, at, mask), `${bytes} bytes at ${at}, mask ${mask}`);
          }
    });

  patched("what the store wrote besides the immediate counts too", () => {
    // at turn 250 the store is eight bytes and replaces what follows: add ebx, imm32 becomes sub ebx, imm32; nop; nop
    const add = [0x81, 0xc3, 0, 0, 0, 0, 0xff, 0xc3]; // add ebx, imm32; inc ebx
    const replace = [0x81, 0xeb, 7, 0, 0, 0, 0x90, 0x90];
    const wide = [0x48, 0xba, ...replace, 0x48, 0x89, 0x15, ...le(14)]; // mov rdx, imm64; mov [rip + 14], rdx
    const skip = [0x81, 0xf9, ...le(250), 0x75, wide.length]; // cmp ecx, 250; jne
    const always = [0x81, 0xf9, ...le(250), 0x76, 6, ...store(4, 2)]; // cmp ecx, 250; jbe: stores end there
    const out = pc.run(Uint8Array.from(loop([...skip, ...wide, ...always, ...add])), 64, { regs: { ...REGS, rax: 5n, rbx: 0n } });
    assert.is(out.fault, undefined);
    assert.is(out.regs.rbx, u32(250n * 6n - 250n * 7n));
  });

  patched("more instructions than are kept as such", () => {
    const body = Array.from({ length: 50 }, () => [...store(4, 2), 0x81, 0xc3, 0, 0, 0, 0, 0xff, 0xc0]).flat(); // ...; inc eax
    const out = pc.run(Uint8Array.from(loop(body)), 64, { regs: { ...REGS, rax: 0n, rbx: 0n } }, 1_000_000);
    assert.is(out.fault, undefined);
    assert.is(out.regs.rbx, u32((25_000n * 24_999n) / 2n));
  });

  patched("a block that was decoded later, and begins at the instruction, sees what is stored as well", () => {
    const first = store(4, 2), add = [0x81, 0xc3, 0, 0, 0, 0, 0xff, 0xc0]; // mov [immediate], eax; add ebx, imm32; inc eax
    const second = [...store(4, first.length + 4), 0xeb, first.length]; // the same, then jmp to the ADD
    const body = [0x81, 0xf9, ...le(250), 0x77, second.length, ...second, ...first, ...add]; // cmp ecx, 250; ja first
    const out = pc.run(Uint8Array.from(loop(body)), 64, { regs: { ...REGS, rax: 0n, rbx: 0n } });
    assert.is(out.fault, undefined);
    assert.is(out.regs.rbx, (500n * 499n) / 2n);
  });

  patched("the instruction that stores rewrites its own immediate for the next time", () => {
    // mov dword [rip - 4], imm32 stores its immediate over itself; add [rip - 14], eax changes it
    const body = [0xc7, 0x05, ...le(SCRATCH - LAYOUT.code - 10), ...le(0), 0x01, 0x05, ...le(-10)];
    const out = pc.run(Uint8Array.from(loop(body)), 64, { regs: { ...REGS, rax: 3n } });
    assert.is(out.fault, undefined);
    assert.is(pc.guest.get32(SCRATCH), 3 * (COUNT - 1));
  });

  patched.run();
}
