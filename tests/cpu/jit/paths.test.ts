/** Regions made of ways: what hands over from region to region every few dozen instructions is followed a block at a time, and what it comes by
 *  becomes a few regions. Results are compared with the interpreter's. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { nasmMissing, type TestPc } from "../../support/test_pc";
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

paths.run();
