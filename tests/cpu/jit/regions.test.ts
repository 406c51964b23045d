/** What belongs to a region, and how it comes from one block to the next: pages that are mapped elsewhere, returns, loops entered from above. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { assemble, LAYOUT, nasmMissing, TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const regions = suite("ways within translated code");

/** Page table of 4 KiB pages for linear 4..6 MiB: identity. */
const TABLE = 0x20000;
function smallPages(pc: TestPc): void {
  for (let i = 0; i < 512; i++) pc.guest.set64(TABLE + i * 8, BigInt(0x400000 + i * 4096) | 7n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
}

/** SDM Vol.3A "Invalidation of TLBs and Paging-Structure Caches": after these the new mapping is used. */
const FLUSHES = [
  ["INVLPG", "invlpg [abs 0x401000]"],
  ["a write of CR3", "mov rax, cr3\nmov cr3, rax"],
  ["a change of CR4.PGE", "mov rax, cr4\nxor rax, 0x80\nmov cr4, rax"],
] as const;
for (const [name, flush] of FLUSHES)
  regions(`a page of the region that is another one after ${name}`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    const out = twins.run(
      `mov rsi, one
      mov rdi, 0x401000
      mov ecx, 16
      rep movsb
      mov rsi, two
      mov rdi, 0x402000
      mov ecx, 16
      rep movsb
      mov ebp, 4000
      mov ebx, 0x401000
      again:
        call rbx
        test ebp, 511
        jnz on
        xor dword [abs ${TABLE} + 8], 0x3000 ; 0x401000 or 0x402000
        ${flush}
        on: dec ebp
        jnz again
      hlt
      one: add r8, 1
      ret
      align 16
      two: add r9, 1
      ret
      align 16`,
      64,
      {},
      smallPages,
    );
    assert.ok(twins.regions > 0);
    // 4000..3584, and every other 512 from there
    assert.is(out.regs.r8, 417n + 3n * 512n);
    assert.is(out.regs.r9, 3n * 512n + 511n);
  });

regions("a loop with branches whose first round comes from above", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const out = twins.run(
    `mov ecx, 3000
    xor eax, eax
    lea rbx, [rax + 1]
    again:
      lea rdx, [rcx + rbx]
      test dl, 3
      jz fourth
      add rax, rdx
      jmp on
    fourth:
      sub rax, rcx
    on:
      add rbx, 2
      dec ecx
      jnz again
    hlt`,
    64,
  );
  assert.ok(twins.regions > 0);
  let sum = 0n;
  for (let c = 3000n, b = 1n; c > 0n; c--, b += 2n) sum += ((c + b) & 3n) === 0n ? -c : c + b;
  assert.is(out.regs.rax, BigInt.asUintN(64, sum));
});

regions("a loop entered in its middle is never left in its first round", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create({}, { slice: 100 });
  const out = twins.run(
    `mov ebp, 24000
    outer:
      mov ecx, 9
      jmp middle
    again:
      add rax, rcx
    middle:
      add rbx, 3
      dec ecx
      jnz again
      add r8, rbx
      dec ebp
      jnz outer
    hlt`,
    64,
  );
  // the way out was only seen behind the block that begins at `again`, which is the one at `middle` from there on: else it is a third region's
  assert.ok(twins.regions <= 2, String(twins.regions));
  assert.is(out.regs.rax, 24000n * 36n);
  assert.is(out.regs.r8, (27n * 24000n * 24001n) / 2n);
});

regions("functions that call each other return to where they were called", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  // r8: calls of `leaf` from either place, r9: of `outer`; both places follow each other in a loop
  const out = twins.run(
    `mov ebp, 2000
    mov rsp, ${LAYOUT.stack}
    again:
      mov ebx, 1
      call leaf
      add r10, rax
      call outer
      mov ebx, 2
      call leaf
      add r11, rax
      dec ebp
      jnz again
    hlt
    outer:
      add r9, 1
      mov ebx, 4
      call leaf
      add r12, rax
      test r9b, 7
      jnz out1
      call again2
    out1: ret
    again2:
      mov ebx, 8
      call leaf
      add r13, rax
      ret
    leaf:
      lea rax, [rbx + rbx]
      add r8, 1
      test r8b, 1
      jz out2
      lea rax, [rbx * 2]
    out2: ret`,
    64,
  );
  assert.ok(twins.regions > 0);
  const { r8, r9, r10, r11, r12, r13 } = out.regs;
  assert.equal([r8, r9, r10, r11, r12, r13], [6250n, 2000n, 4000n, 8000n, 16000n, 4000n]);
});

/** More short functions than fit a region, one after the other: each is translated with its callers, whole or not at all. */
for (const bits of [32, 64] as const)
  regions(`short functions belong to their callers, ${bits}-bit`, async () => {
    if (nasmMissing()) return;
    const COUNT = 60;
    const ROUNDS = 9000;
    const factor = (k: number): number => 0x1001 + 6 * k;
    const mask = (k: number): number => 0x5a5a0 + k;
    const calls = Array.from({ length: COUNT }, (_, k) => `${k % 5 === 2 ? `test al, 4\njnz past${k}` : ""}\ncall f${k}\npast${k}:`);
    const bodies = Array.from({ length: COUNT }, (_, k) => `f${k}: imul eax, eax, ${factor(k)}\ntest al, 8\njz ok${k}\nxor eax, ${mask(k)}\nok${k}: add eax, ebp\nret`);
    const pc = await TestPc.create({ jit: { threshold: 12, slice: 400, crossed: 1e9 } });
    const source = `mov esp, ${LAYOUT.stack}\nmov ebp, ${ROUNDS}\nmov eax, 1\nagain:\n${calls.join("\n")}\ndec ebp\njnz near again\nhlt\n${bodies.join("\n")}`;
    const out = pc.run(assemble(source, bits), bits, {}, 10_000_000);
    let x = 1;
    for (let round = ROUNDS; round > 0; round--) {
      for (let k = 0; k < COUNT; k++) {
        if (k % 5 === 2 && x & 4) continue;
        x = Math.imul(x, factor(k));
        if (x & 8) x ^= mask(k);
        x = (x + round) | 0;
      }
    }
    assert.is(out.regs.rax, BigInt(x >>> 0));
    const count = pc.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.translated);
    assert.ok(count > 0 && count < COUNT / 3, `${count} regions`);
  });

/** Code in which no block is hot by itself, since 1001 blocks have an equal share of the time: it is translated if it stays, not if it has
 *  had its moment. */
for (const stays of [true, false])
  regions(`blocks that share their time ${stays ? "are hot together" : "for a moment are not"}`, async () => {
    if (nasmMissing()) return;
    const BLOCKS = 1001;
    const INSNS = 3; // of each
    const SLICE = 50; // ends at every 17th block, and so at all of them in turn
    const THRESHOLD = 100;
    const STRETCH = 16384; // slices, assembly/cpu/jit/lines
    const rounds = (slices: number) => Math.round((slices * 17) / BLOCKS);
    const [spread, tight] = stays ? [rounds(3 * STRETCH), 1] : [rounds(STRETCH / 2), 4 * STRETCH * 17];
    const pc = await TestPc.create({ jit: { threshold: THRESHOLD, slice: SLICE } });
    const block = (k: number) => `add ebx, 1\ntest al, 1\njnz past${k}\npast${k}:`;
    const source = `mov ebp, ${spread}\nspread:\n${Array.from({ length: BLOCKS - 1 }, (_, k) => block(k)).join("\n")}\nsub ebp, 1\ncmp ebp, 0\njnz near spread
      mov ecx, ${tight}\ntight: add edx, 1\nsub ecx, 1\njnz tight\nhlt`;
    const out = pc.run(assemble(source, 64), 64, {}, 10_000_000);
    assert.is(out.regs.rbx, BigInt(spread * (BLOCKS - 1)));
    assert.ok((spread * INSNS) / SLICE < THRESHOLD, "no block has as many samples");
    const count = pc.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.translated);
    if (stays) assert.ok(count > 1, `${count} regions`);
    else assert.is(count, 1, "the tight loop");
  });

/** SDM Vol.2A "INVLPG": what is fetched next is looked up anew, in code that is translated to WebAssembly or not. */
for (const [what, flags] of [["4 GiB", 0xcfn], ["256 MiB", 0xc0n]] as const)
  regions(`INVLPG of the page it is on, in a code segment of ${what}`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    const out = twins.run("mov eax, 0x400007\nmov edx, 0x401007\nmov ebp, 200\njmp 0x50:0x400000", 32, { cr0: 0x80000031n, cr3: 0x28000n, cr4: 0x620n }, (pc) => {
      smallPages(pc);
      pc.guest.set64(0x28000, BigInt(LAYOUT.pml4 + 0x2000) | 1n);
      pc.guest.set64(LAYOUT.gdt + 0x50, (flags << 48n) | 0x00009b000000ffffn);
      const round = (n: number) => `mov [${TABLE}], eax\ninvlpg [0x400000]\nadd ebx, ${n}\nxchg eax, edx\ndec ebp\njnz 0x400000\nhlt`;
      for (const frame of [0, 1]) pc.guest.write(0x400000 + frame * 0x1000, assemble(round(frame + 1), 32, 0x400000));
    });
    assert.is(out.regs.rbx, 300n);
  });

/** Translated code leaves where the function returns to code that is seldom run, so that this has to be found hot by slices that end there. */
regions("code beside a loop all of whose rounds are as long as an eighth of a slice", async () => {
  if (nasmMissing()) return;
  const pc = await TestPc.create({ jit: { threshold: 8 } });
  const code = `mov ebp, 40000
    again:
      call work       ; 1000 instructions from here to here
      dec ebp
      jnz again
    hlt
    align 64
    work:
      mov ecx, 497
      nop
    next:
      dec ecx
      jnz next
    ret`;
  const out = pc.run(assemble(code, 64), 64, {}, 100_000_000);
  assert.is(out.regs.rbp, 0n);
  assert.ok(pc.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.translated) > 1);
});

/** The loop in its middle is hot first, and so is a region with all of the function; the caller's could share a dozen of its blocks, and would be left and
 *  entered again in each round. */
regions("a function of many blocks and its caller become one region", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create({}, { slice: 400 });
  const part = (k: number) => `test edx, ${1 << (k % 5)}\njz past${k}\nadd rax, rdx\npast${k}: lea rdx, [rdx + rax + ${k}]`;
  const out = twins.run(
    `mov ebp, 12000
    again:
      call work
      dec ebp
      jnz again
    hlt
    align 64
    work:
      mov ecx, 40
    next:
      add rax, rcx
      dec ecx
      jnz next
      ${Array.from({ length: 12 }, (_, k) => part(k)).join("\n")}
      ret`,
    64,
    {},
    undefined,
    3_000_000,
  );
  assert.is(out.regs.rbp, 0n);
  const entered = twins.translated.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.entered);
  assert.ok(entered < 2 * 12000, `${entered} transitions in 12000 rounds`);
});

regions.run();
