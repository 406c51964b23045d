/** A processor executes what memory holds: stores into code take effect at the next instruction, through whatever address they
 *  are made (SDM Vol.3A "Self-Modifying Code"). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LAYOUT, type Start, TestPc } from "../../support/test_pc";

const smc = suite("self-modifying code");
let pc: TestPc;
smc.before(async () => {
  pc = await TestPc.create();
});

const le = (x: number, n = 4) => Array.from({ length: n }, (_, i) => (x >> (i * 8)) & 255);
const nops = (n: number) => Array<number>(n).fill(0x90);
const run = (code: readonly number[], start: Start = {}) => {
  const out = pc.run(Uint8Array.from(code), 64, start);
  assert.is(out.fault, undefined);
  return out;
};
/** 6..8 MiB of linear addresses is the first 2 MiB of memory once more. */
const ALIAS = 0x600000;
const aliased: Start["memory"] = [[LAYOUT.pml4 + 0x2000 + 3 * 8, new Uint8Array(new BigUint64Array([0x87n]).buffer)]];

for (let pad = 0; pad < 20; pad++)
  for (const gap of [0, 1, 5, 40]) {
    smc(`a byte of an instruction ${gap} bytes ahead, ${pad} bytes into the block`, () => {
      // mov byte [rip + gap + 4], 0x55; nops; mov ebx, 0x11111111
      const out = run([...nops(pad), 0xc6, 0x05, ...le(gap + 4), 0x55, ...nops(gap), 0xbb, ...le(0x11111111), 0xf4]);
      assert.is(out.regs.rbx, 0x55111111n);
    });
  }

for (const gap of [0, 1, 2])
  smc(`NOPs ${gap} bytes behind the store become an instruction`, () => {
    // mov word [rip + gap], 0xc3ff: inc ebx in place of two NOPs
    const out = run([0x66, 0xc7, 0x05, ...le(gap), 0xff, 0xc3, ...nops(gap), 0x90, 0x90, 0xf4]);
    assert.is(out.regs.rbx, 1n);
  });

for (let pad = 0; pad < 4; pad++)
  smc(`an instruction behind the store in its loop, ${pad} bytes into the page`, () => {
    // mov ecx, 3; again: mov ebx, 5; add eax, ebx; add dword [rip -> immediate], 2; dec ecx; jnz again
    const out = run([...nops(pad), 0xb9, ...le(3), 0xbb, ...le(5), 0x01, 0xd8, 0x83, 0x05, ...le(-13), 2, 0xff, 0xc9, 0x75, 0x100 - 18, 0xf4]);
    assert.is(out.regs.rax, 5n + 7n + 9n);
  });

smc("the instruction that stores, for the next time round", () => {
  // again: add byte [rip -> its own immediate], 1 ; dec ecx ; jnz
  const out = run([0xb9, ...le(3), 0x80, 0x05, ...le(-1), 1, 0xff, 0xc9, 0x75, 0x100 - 11, 0x0f, 0xb6, 0x05, ...le(-12), 0xf4]);
  // immediate: 1, 2, 4, 8
  assert.is(out.regs.rax, 8n);
});

/** A function at `at` that returns its immediate: called, changed by `store`, called again; the results are added in EAX. */
function function_(at: number, store: readonly number[], regs: Start["regs"] = {}): bigint {
  const memory: Start["memory"] = [...aliased!, [at, Uint8Array.from([0xb8, ...le(1), 0xc3])]];
  // call r12; mov ebx, eax; <store>; call r12; add eax, ebx
  return run([0x41, 0xff, 0xd4, 0x89, 0xc3, ...store, 0x41, 0xff, 0xd4, 0x01, 0xd8, 0xf4], { memory, regs: { ...regs, r12: BigInt(at) } }).regs.rax;
}

for (let offset = 0xff8; offset <= 0x1004; offset++) {
  const at = 0x180000 + offset;
  smc(`a function at page offset ${(offset & 0xfff).toString(16)}: changed directly`, () => {
    assert.is(function_(at, [0x41, 0xc7, 0x44, 0x24, 1, ...le(0x100)]), 0x101n); // mov dword [r12 + 1], 0x100
  });
  smc(`the same through another mapping of its frame`, () => {
    assert.is(function_(at, [0xc7, 0x46, 1, ...le(0x100)], { rsi: BigInt(ALIAS + at) }), 0x101n); // mov dword [rsi + 1]
  });
  smc(`the same with a locked instruction`, () => {
    assert.is(function_(at, [0xf0, 0xff, 0x46, 1], { rsi: BigInt(ALIAS + at) }), 3n); // lock inc dword [rsi + 1]
  });
  smc(`the same by a store that only touches its last byte`, () => {
    assert.is(function_(at, [0xc7, 0x46, 4, ...le(0xc301)], { rsi: BigInt(ALIAS + at) }), 0x1000002n); // 01 C3: immediate's top byte, RET
  });
  smc(`the same by a string instruction`, () => {
    // lea rdi, [rsi + 1]; mov al, 2; mov ecx, 3; rep stosb
    assert.is(function_(at, [0x48, 0x8d, 0x7e, 1, 0xb0, 2, 0xb9, ...le(3), 0xf3, 0xaa], { rsi: BigInt(ALIAS + at) }), 0x020203n);
  });
  smc(`the same by a PUSH onto it`, () => {
    // xchg rsp, rsi; push imm; xchg rsp, rsi: B8 00 01 00 00 C3 90 90 as eight bytes
    const push = [0x49, 0xbd, 0xb8, 0, 1, 0, 0, 0xc3, 0x90, 0x90, 0x48, 0x87, 0xf4, 0x41, 0x55, 0x48, 0x87, 0xf4];
    assert.is(function_(at, push, { rsi: BigInt(ALIAS + at + 8) }), 0x101n);
  });
}

smc("REP STOSB over the instructions that follow it", () => {
  // lea rdi, [rip + 2]; mov al, 0x90; mov ecx, 5; rep stosb; mov ebx, 1 (overwritten); hlt
  const out = run([0x48, 0x8d, 0x3d, ...le(9), 0xb0, 0x90, 0xb9, ...le(5), 0xf3, 0xaa, 0xbb, ...le(1), 0xf4]);
  assert.is(out.regs.rbx, 0n);
});

smc("code that is jumped to, changed and jumped to a thousand times", () => {
  // mov ecx, 1000; again: inc dword [r12 + 1]; call r12; add ebx, eax; dec ecx; jnz again
  const at = 0x181000;
  const out = run([0xb9, ...le(1000), 0x41, 0xff, 0x44, 0x24, 1, 0x41, 0xff, 0xd4, 0x01, 0xc3, 0xff, 0xc9, 0x75, 0x100 - 14, 0xf4], {
    memory: [[at, Uint8Array.from([0xb8, ...le(0), 0xc3])]],
    regs: { r12: BigInt(at) },
  });
  assert.is(out.regs.rbx, 500500n);
});

smc.run();
