/** Conditions in translated code, after each kind of instruction that leaves flags, at each width. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LAYOUT, nasmMissing } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const flags = suite("flags of translated code");
const CC = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"] as const;
const REGS = { 1: ["al", "dl"], 2: ["ax", "dx"], 4: ["eax", "edx"], 8: ["rax", "rdx"] } as const;

flags("the sign of a difference is that of the operation's width", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  // 100 - -100 does not fit in a byte, but in what is compared
  const out = twins.run(
    `mov ebp, 300
    again:
      mov eax, 100
      cmp eax, -100
      sets bl
      movsx rcx, byte [rel plus]
      movsx rdx, byte [rel minus]
      cmp rcx, rdx
      sets bh
      js wrong
      dec ebp
      jnz again
      hlt
    wrong: mov bl, 7
      hlt
    plus: db 100
    minus: db -100`,
    64,
  );
  assert.ok(twins.regions > 0);
  assert.is(Number(out.regs.rbx & 0xffffn), 0);
});

flags("INC and DEC of known values", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const out = twins.run(
    `mov ebp, 300
    again:
      xor ebx, ebx
      mov eax, 128
      dec eax
      setl bl
      mov ecx, -129
      inc ecx
      seto bh
      mov edx, 32768
      dec edx
      setl cl
      seto ch
      dec ebp
      jnz again
      hlt`,
    64,
  );
  assert.is(Number(out.regs.rbx & 0xffffn), 0);
  assert.is(Number(out.regs.rcx & 0xffffn), 0);
});

/** A count that is 0 in some rounds. */
const COUNT = "lea ecx, [r12 + r13 * 8]";

/** Instructions on A (and D) of width w. */
const KINDS: readonly ((a: string, d: string, w: number) => string)[] = [
  (a, d) => `add ${a}, ${d}`,
  (a, d) => `sub ${a}, ${d}`,
  (a, d) => `cmp ${a}, ${d}`,
  (a, d) => `adc ${a}, ${d}`,
  (a, d) => `sbb ${a}, ${d}`,
  (a, d) => `and ${a}, ${d}`,
  (a, d) => `test ${a}, ${d}`,
  (a) => `inc ${a}`,
  (a) => `dec ${a}`,
  (a) => `neg ${a}`,
  (a, d) => `cmp ${a}, ${d}\nnot ${a}`,
  (a) => `shl ${a}, 1`,
  (a) => `shr ${a}, 1`,
  (a) => `sar ${a}, 1`,
  (a) => `rol ${a}, 1`,
  (a) => `ror ${a}, 1`,
  (a, d, w) => (w === 1 ? `imul ${d}` : `imul ${a}, ${d}\nadd ${a}, 0`),
  (a, d, w) => (w === 1 ? `mul ${d}` : `cmp ${a}, ${d}\nbt ${a}, 3`),
  (a, d, w) => (w === 1 ? `cmp ${a}, ${d}` : `inc ${a}\nbt ${a}, 1`),
  (a, d, w) => (w < 4 ? `xadd ${a}, ${d}` : `sub ${a}, ${d}\nrol ${a}, 1`),
  (a, _, w) => (w < 4 ? `add ${a}, 100` : `add ${a}, 100\nror ${a}, 1\nbt ${a}, 2`),
  (a) => `cmp ${a}, 100`,
  (a) => `add ${a}, -1\ninc ${a}`,
  (a) => `shl ${a}, 1\ninc ${a}`,
  (a) => `${COUNT}\nadd ${a}, 77\nshl ${a}, cl`,
  (a, d) => `${COUNT}\ncmp ${a}, ${d}\nsar ${a}, cl`,
  (a) => `${COUNT}\ninc ${a}\nror ${a}, cl`,
  (a) => `${COUNT}\nadc ${a}, 3\nrcr ${a}, 1`,
  (a) => `rcl ${a}, 1\nrcl ${a}, 1`,
  (_, d) => `mul ${d}`,
  (_, d) => `imul ${d}`,
  (a, d, w) => (w === 1 ? `cmp ${a}, ${d}\ncmc` : `sub ${a}, ${d}\nbsf ${a}, ${d}`),
  (a, d, w) => (w === 1 ? `cmp ${a}, ${d}\nstc` : `add ${a}, ${d}\ntzcnt ${a}, ${d}`),
  (a, d, w) => (w === 1 ? `sbb ${a}, ${d}\nclc` : `add ${a}, ${d}\nlzcnt ${a}, ${d}\nrol ${a}, 3`),
  (a, d, w) => (w === 1 ? `cmp ${a}, ${d}\nrol ${a}, 9` : `dec ${a}\nbsr ${a}, ${d}\ncmc`),
  (a, d, w) => (w === 1 ? `ror ${a}, 8` : `popcnt ${a}, ${d}`),
  (a, d, w) => (w === 1 ? `neg ${a}\nrcl ${a}, 1` : `popcnt ${a}, ${d}\nror ${a}, 1\nbsf ${a}, ${d}`),
  (a, d, w) => (w === 1 ? `add ${a}, ${d}\nrcr ${a}, 1` : `${COUNT}\nadd ${a}, 1\nshld ${a}, ${d}, cl`),
  (a, d, w) => (w === 1 ? `sub ${a}, ${d}\nshr ${a}, 9` : `shrd ${a}, ${d}, 7`),
  (a, d, w) => (w === 1 ? `inc ${a}\nror ${a}, 7` : `sub ${a}, ${d}\nbtc ${a}, ${d}`),
];

for (const w of [1, 2, 4, 8] as const)
  for (const split of [false, true])
    flags(`all conditions after all kinds, ${w * 8} bits${split ? ", across blocks" : ""}`, async () => {
      if (nasmMissing()) return;
      const twins = await Twins.create();
      const [a, d] = REGS[w];
      const edge = [0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x8000000000000000n];
      const table = Uint8Array.from(edge.flatMap((x) => Array.from({ length: 8 }, (_, i) => Number((x >> BigInt(i * 8)) & 255n))));
      for (const kind of KINDS) {
        const body = kind(a, d, w);
        const consumers = CC.map((cc, i) => {
          const jump = `j${cc} .t${i}\nadd r9, ${3 * i + 1}\n.t${i}: lea r9, [r9 * 2 + ${i}]`;
          return `
            mov rax, [rsi + r12 * 8]
            mov rdx, [rsi + r13 * 8]
            ${i & 1 ? "stc" : "clc"}
            ${i & 2 ? "cmp r8d, r9d" : ""}
            ${body}
            ${split ? `jmp .s${i}\n.s${i}:` : ""}
            set${cc} r10b
            cmov${cc} r11, rax
            ${split ? jump : ""}
            lea r8, [r8 * 8 + r8]
            lea r8, [r8 + r10]
            add r8, rax
            add r8, r11`;
        }).join("\n");
        twins.run(
          `xor r8d, r8d
          xor r9d, r9d
          xor r10d, r10d
          xor r11d, r11d
          xor r12d, r12d
          outer:
          xor r13d, r13d
          inner:
          ${consumers}
          inc r13d
          cmp r13d, 13
          jb inner
          inc r12d
          cmp r12d, 13
          jb outer
          hlt`,
          64,
          { regs: { rsi: BigInt(LAYOUT.data) }, memory: [[LAYOUT.data, table]] },
        );
      }
      assert.ok(twins.regions > 0);
    });

flags.run();
