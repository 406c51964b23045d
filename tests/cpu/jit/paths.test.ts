/** Regions made of ways: what hands over from region to region every few dozen instructions is followed a block at a time, and what it comes by
 *  becomes a few regions. Results are compared with the interpreter's. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff, PathOff, RegionOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { Handler } from "../../../assembly/cpu/handler";
import { assemble, LAYOUT, nasmMissing, TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";
import { waysOf } from "../../support/ways";

const paths = suite("ways of code");

const word = (pc: TestPc, off: number) => pc.mem.get32(Region.PCPUS + off) >>> 0;
const entered = (twins: Twins) => word(twins.translated, PcpuOff.JIT + JitOff.entered);

/** A bytecode interpreter of 24 handlers that jump to one another by a table. Each has a side that is taken once in a while only, which together are more than
 *  what is always executed, and calls one of four functions. EDX: rounds. */
const HANDLERS = 24;
const interpreter = (side: (k: number) => string): string => {
  const next = "movzx eax, byte [rsi]\ninc rsi\njmp [table + rax * 8]";
  const bodies = Array.from({ length: HANDLERS }, (_, k) => `h${k}:
    add ebx, ${k + 1}
    test edx, 1023
    jz side${k}
    on${k}:
    call f${k % 4}
    xor ecx, ebx
    ${k === HANDLERS - 1 ? "dec edx\njz near end\nmov rsi, program" : ""}
    ${next}
    side${k}: ${side(k)}
    jmp on${k}`);
  const functions = Array.from({ length: 4 }, (_, k) => `f${k}: rol ebx, ${k + 1}
    ${Array.from({ length: 3 }, (_, n) => `add ebp, ebx\ntest edx, ${511 << n}\njz seldom${k}_${n}\nback${k}_${n}:`).join("\n")}
    inc ebx
    ret
    ${Array.from({ length: 3 }, (_, n) => `seldom${k}_${n}: ${SIDE(n + k)}\nsub ebx, ecx\njmp back${k}_${n}`).join("\n").replaceAll("past", `p${k}_`)}`);
  return `mov rsi, program
    ${next}
    end: hlt
    ${bodies.join("\n")}
    ${functions.join("\n")}
    align 8
    table: ${Array.from({ length: HANDLERS }, (_, k) => `dq h${k}`).join("\n")}
    program: ${Array.from({ length: HANDLERS }, (_, k) => `db ${k}`).join("\n")}`;
};
const SIDE = (k: number) => Array.from({ length: 6 }, (_, n) => `imul ecx, ecx, ${k * 6 + n + 3}\ntest ecx, ${1 << n}\njz past${k}_${n}\ninc ecx\npast${k}_${n}:`).join("\n");

paths("an interpreter of bytecode is spread over fewer regions in the end", async () => {
  if (nasmMissing()) return;
  const [LONG, SHORT] = [200_000n, 5000n];
  const run = async (crossed: number): Promise<number> => {
    const twins = await Twins.create({}, { threshold: 16, slice: 4000, crossed });
    twins.run(interpreter(SIDE), 64, { regs: { rdx: LONG } }, () => {}, 1_000_000_000);
    const before = entered(twins);
    const out = twins.run(interpreter(SIDE), 64, { regs: { rdx: SHORT } }, () => {}, 1_000_000_000);
    assert.is(out.regs.rdx, 0n);
    return (entered(twins) - before) / Number(SHORT);
  };
  const [before, after] = [await run(1e9), await run(50)];
  assert.ok(after < 0.75 * before, `${before} transitions a round, ${after} with ways`);
});

paths("handlers that store to their own code, fault and call the system on the way", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create({}, { slice: 400, crossed: 3 });
  const sides = (k: number) => [`mov byte [on${(k + 5) % HANDLERS}], 0xe8`, "int3", "ud2", SIDE(k), `mov eax, [abs 0x7fffff000 + ${k}]`, "pushfq\npopfq"][k % 6];
  twins.run(interpreter(sides), 64, { regs: { rdx: 9000n } }, () => {}, 20_000_000);
});

paths("a way that begins in the middle of a function goes on where that returns to, whoever calls it next", async () => {
  if (nasmMissing()) return;
  for (const rounds of [500, 3000, 20_000]) {
    const twins = await Twins.create({}, { slice: 100, crossed: 2 });
    const part = (k: number) => `test ecx, ${1 << (k % 9)}\njz past${k}\nadd ebx, ecx\npast${k}: rol ebx, 1`;
    const out = twins.run(
      `again:
      ${Array.from({ length: 9 }, (_, k) => `call work\nxor ebx, ${k + 1}\ncmp ebx, ebp\ncmovb esi, ebx`).join("\n")}
      dec edx
      jnz again
      hlt
      work:
      mov ecx, edx
      ${Array.from({ length: 14 }, (_, k) => part(k)).join("\n")}
      inc ebp
      ret`,
      64,
      { regs: { rdx: BigInt(rounds) } },
      () => {},
      100_000_000,
    );
    assert.is(out.regs.rbp, BigInt(9 * rounds));
  }
});

paths("check mode follows ways, too", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create({}, { slice: 400, crossed: 4, check: true });
  twins.run(interpreter(SIDE), 64, { regs: { rdx: 3000n } }, () => {}, 20_000_000);
  assert.ok(waysOf(twins.translated.mem) > 0);
});

paths("the TLB is flushed while a way is followed", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create({}, { slice: 400, crossed: 2 });
  // a change of CR4.PGE flushes it (SDM Vol.3A "Invalidation of TLBs and Paging-Structure Caches")
  const sides = (k: number) => (k % 4 === 1 ? "mov rax, cr4\nxor eax, 0x80\nmov cr4, rax" : SIDE(k));
  const out = twins.run(interpreter(sides).replaceAll("test edx, 1023", "test edx, 15"), 64, { regs: { rdx: 4000n } }, () => {}, 20_000_000);
  assert.is(out.regs.rdx, 0n);
});

/** Flat code calls `far` 3000 times, which is in the segment 0x80 and goes on by a RET on the page behind it; then once by the segment 0x88. */
const BASE = 0x80000;
const descriptor = (base: number, limit: number) =>
  BigInt(limit & 0xffff) | (BigInt(base & 0xffffff) << 16n) | (0x9bn << 40n) | (BigInt(limit >>> 16) << 48n) | (4n << 52n) | (BigInt(base >>> 24) << 56n);
const inSegments = `
  again:
  inc esi
  test esi, 1
  jnz one
  add edi, 3
  one: mov ecx, 4
  lb: add edi, ecx
  imul edi, edi, 7
  dec ecx
  jnz lb
  call 0x80:dword (far_ - ${BASE})
  dec edx
  jnz again
  xor esi, esi
  xor eax, eax
  call 0x88:dword (far_ - ${BASE})
  hlt
  times 0x1000 - ($ - $$) nop
  far_: mov ecx, 8
  la: add ebx, ecx
  dec ecx
  jnz la
  push dword behind - ${BASE}
  ret
  times 0x2000 - ($ - $$) nop
  behind: inc ebp
  test esi, 15
  jz near seldom
  back: retf
  times 0x2100 - ($ - $$) nop
  seldom: inc eax
  add eax, ebp
  jmp near back
  times 0x4000 - ($ - $$) nop
  mov eax, 0xbeef
  retf`;

for (const check of [false, true])
  paths(`a RET to the next page goes beyond a segment that is shorter than the one it was translated in${check ? ", checked" : ""}`, async () => {
    if (nasmMissing()) return;
    for (const slice of [60, 100, 400]) {
      const twins = await Twins.create({}, { slice, crossed: 2, check });
      const out = twins.run(inSegments, 32, { regs: { rdx: 3000n } }, ({ guest }) => {
        guest.set64(LAYOUT.gdt + 0x80, descriptor(BASE, 0xfffff));
        guest.set64(LAYOUT.gdt + 0x88, descriptor(BASE, LAYOUT.code + 0x2040 - BASE)); // not as far as `seldom`
      }, 100_000_000);
      assert.is(out.fault?.vector, 13);
    }
  });

paths("a RET to the next page goes to the frame that is there in the segment in force", async () => {
  if (nasmMissing()) return;
  for (const slice of [60, 100, 400]) {
    const twins = await Twins.create({}, { slice, crossed: 2 });
    const out = twins.run(inSegments, 32, { regs: { rdx: 3000n }, cr0: 0x80000031n, cr3: 0x20000n, cr4: 0x610n }, ({ guest }) => {
      guest.set64(LAYOUT.gdt + 0x80, descriptor(BASE, 0xfffff));
      guest.set64(LAYOUT.gdt + 0x88, descriptor(0x780000, 0xfffff)); // the same page of `far_` there, another one behind it
      for (const n of [0, 1]) guest.set32(0x20000 + n * 4, (n << 22) | 0x83);
      guest.set32(0x20000 + 2 * 4, 0x21000 | 3);
      guest.set32(0x21000 + 4, (LAYOUT.code + 0x1000) | 3);
      guest.set32(0x21000 + 8, (LAYOUT.code + 0x4000) | 3);
    }, 100_000_000);
    assert.is(out.regs.rax, 0xbeefn);
  }
});

/** Straight on with branches and calls, in 64-bit code. */
const stretch = (from: number, count: number, functions: number) =>
  Array.from({ length: count }, (_, n) => from + n)
    .map((k) => `add ebx, ${k}\nimul ebx, ebx, 0x1234567\ntest ebx, ${1 << ((k % 5) + 20)}\njz on${k}\nxor ecx, ebx\non${k}: call f${k % functions}`)
    .join("\n");
const shortFunctions = (count: number, parts: number) =>
  Array.from({ length: count }, (_, k) => `f${k}: ${Array.from({ length: parts }, (_, n) => `add ebx, ${k + n}\ntest ebx, ${1 << (n + 20)}\njz f${k}_${n}\nadd edi, ebx\nf${k}_${n}:`).join("\n")}\nret`).join("\n");

/** Runs `source` in pieces and looks at the processor between them. */
async function inPieces(source: string, jit: object, pieces: number, budget: number, look: (pc: TestPc) => void): Promise<TestPc> {
  const pc = await TestPc.create({ jit });
  pc.run(assemble(source, 64), 64, { regs: { rdx: 0xffff_ffffn } }, 1);
  pc.core.exports.switchTo(pc.vcpu);
  for (let n = 0; n < pieces; n++) {
    pc.core.run(budget);
    look(pc);
  }
  return pc;
}

paths("a way goes on behind an instruction that crosses a page", async () => {
  if (nasmMissing()) return;
  const source = `again: ${stretch(0, 12, 3)}
    jmp near across
    align 64
    ${shortFunctions(3, 1)}
    times 0xff0 - ($ - $$) nop
    across: times 0xffe - ($ - $$) nop
    add ebx, 0x1234567
    ${stretch(12, 12, 3)}
    dec edx
    jnz near again
    hlt`;
  let crossings = 0;
  const pc = await inPieces(source, { threshold: 1, slice: 400, crossed: 4 }, 20_000, 8, (pc) => {
    for (let k = 0; k < word(pc, PcpuOff.pathCount); k++) {
      const [head, next] = [word(pc, PcpuOff.path + k * PathOff.SIZE), word(pc, PcpuOff.path + k * PathOff.SIZE + PathOff.next)];
      if (pc.mem.get16(head) !== Handler.straddle || next === 0) continue;
      crossings++;
      assert.is.not(next, head);
    }
  });
  assert.ok(crossings > 0 && waysOf(pc.mem) > 0);
});

paths("regions that nothing leads to any more make place", async () => {
  if (nasmMissing()) return;
  const pc = await inPieces(`again: ${stretch(0, 120, 30)}\ndec edx\njnz near again\nhlt\n${shortFunctions(30, 6)}`, { threshold: 4, slice: 400, crossed: 20 }, 1, 40_000_000, () => {});
  const table = word(pc, PcpuOff.codeBase), made = word(pc, PcpuOff.JIT + JitOff.translated);
  let live = 0;
  for (let r = table; r < table + RegionOff.MAX * RegionOff.SIZE; r += RegionOff.SIZE) if (pc.mem.get32(r)) live++;
  assert.ok(made > 200 && live < 0.85 * made, `${live} of ${made} regions`);
});

paths.run();
