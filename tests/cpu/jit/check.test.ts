/** The checker of translated code (assembly/cpu/jit/check): it finds what is wrong, lets pass what is right, and repeats nothing that
 *  can be seen from outside. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../../assembly/abi/exit";
import { jitStatistics } from "../../../src/machine/jit";
import { describeDifference } from "../../../src/machine/jit_check";
import { EAGER, LAYOUT, TestPc, assemble, nasmMissing } from "../../support/test_pc";

const check = suite("checking translated code");
const CHECKED = { ...EAGER, check: true };

/** Modules the host compiles while `body` runs have `from` replaced by `to` in their code. */
async function tampered(from: readonly number[], to: readonly number[], body: () => Promise<void>): Promise<void> {
  const real = WebAssembly.Module;
  (WebAssembly as { Module: unknown }).Module = function Module(bytes: Uint8Array) {
    for (let at = 0; at < bytes.length; at++) if (from.every((byte, k) => bytes[at + k] === byte)) bytes.set(to, at);
    return new real(bytes as BufferSource);
  };
  try {
    await body();
  } finally {
    (WebAssembly as { Module: unknown }).Module = real;
  }
}

const LOOP = `mov ecx, 500
  mov rdi, ${LAYOUT.data}
  again: add rax, rcx
  mov [rdi + rcx * 8], rax
  dec ecx
  jnz again
  hlt`;

check("a loop that is right", async () => {
  if (nasmMissing()) return;
  const pc = await TestPc.create({ jit: CHECKED });
  const out = pc.run(assemble(LOOP, 64), 64);
  assert.is(out.exit, Exit.hlt);
  assert.is(out.regs.rax, BigInt((500 * 501) / 2));
  const { checked, unchecked } = jitStatistics(pc.mem, 1);
  assert.ok(checked > 10);
  assert.is(unchecked, 0);
});

check("a wrong register", async () => {
  if (nasmMissing()) return;
  await tampered([0x20, 0, 0x20, 1, 0x7c], [0x20, 0, 0x20, 1, 0x7d], async () => { // RAX + RCX becomes RAX - RCX
    const pc = await TestPc.create({ jit: CHECKED });
    assert.is(pc.run(assemble(LOOP, 64), 64).exit, Exit.difference);
    const lines = describeDifference(pc.mem, 0);
    assert.match(lines[0], /rip 0x10000a differs from the interpreter: registers/);
    assert.ok(lines.some((line) => /rax .*<--/.test(line)));
    assert.ok(lines.some((line) => / 48 01 c8$/.test(line)), "the instruction's bytes");
  });
});

check("a wrong store", async () => {
  if (nasmMissing()) return;
  await tampered([0x37, 0, 0], [0x3e, 0, 0], async () => { // i64.store becomes i64.store32
    const pc = await TestPc.create({ jit: CHECKED });
    const out = pc.run(assemble(LOOP.replace("add rax, rcx", "lea rax, [rcx + 0x12345678]\nshl rax, 12"), 64), 64);
    assert.is(out.exit, Exit.difference);
    assert.match(describeDifference(pc.mem, 0)[0], /: memory/);
  });
});

check("a port is written to once, memory before it too", async () => {
  if (nasmMissing()) return;
  const written: number[] = [];
  const pc = await TestPc.create({ jit: CHECKED, ports: (_, __, value) => (value === undefined ? written.length : written.push(value)) });
  const out = pc.run(assemble(`mov ecx, 300
    mov rdi, ${LAYOUT.data}
    again: inc qword [rdi]
    mov eax, [rdi]
    out 0x80, al
    in al, 0x80
    add rbx, rax
    dec ecx
    jnz again
    hlt`, 64), 64);
  assert.is(out.exit, Exit.hlt);
  assert.equal(written, Array.from({ length: 300 }, (_, i) => (i + 1) & 255));
  assert.is(pc.guest.get64(LAYOUT.data), 300n);
});

check("accessed and dirty flags are set again after they were undone", async () => {
  if (nasmMissing()) return;
  const pc = await TestPc.create({ jit: CHECKED });
  const [directory, table] = [LAYOUT.pml4 + 0x2000, 0x20000];
  for (let i = 0; i < 512; i++) pc.guest.set64(table + i * 8, BigInt(0x400000 + i * 4096) | 7n);
  pc.guest.set64(directory + 2 * 8, BigInt(table) | 7n);
  const out = pc.run(assemble(`mov rdi, 0x400000
    mov ecx, 200
    again: mov rax, [rdi]
    mov [rdi + 4096], rcx
    add rdi, 8192
    dec ecx
    jnz again
    hlt`, 64), 64);
  assert.is(out.exit, Exit.hlt);
  for (let i = 0; i < 400; i++) assert.is(pc.guest.get64(table + i * 8) & 0xffn, i & 1 ? 0x67n : 0x27n, `page ${i}`);
});

/** The page's dirty flag is set by the walk, ahead of the store that is left to the interpreter (SDM Vol.3A "Accessed and Dirty Flags"). */
check("a store to code by way of a page that was not dirty", async () => {
  if (nasmMissing()) return;
  const TABLE = 0x20000;
  const pc = await TestPc.create({ jit: CHECKED });
  // 4 MiB: data; behind it the page with the code
  [LAYOUT.data, LAYOUT.code].forEach((frame, k) => pc.guest.set64(TABLE + k * 8, BigInt(frame) | 7n));
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
  const source = `mov esi, 0x400e00
    mov edi, 8
    mov ecx, 100
    again: add [rsi], ebx
    add rsi, rdi
    add eax, [rsi]
    dec ecx
    jnz again
    hlt`;
  const out = pc.run(assemble(source, 64), 64);
  assert.is(out.exit, Exit.hlt, describeDifference(pc.mem, 0)[0]);
  assert.is(out.regs.rsi, 0x401120n);
});

check.run();
