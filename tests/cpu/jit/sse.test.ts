/** Translated SSE gives what the interpreter gives, whose results are those recorded on a processor (tests/cpu/sse): registers, flags and MXCSR for
 *  every operation that is translated, under modes of MXCSR that let the short way be used and that forbid it, and the state where a fault
 *  is raised. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { Vector } from "../../../assembly/abi/x86";
import { Random } from "../../support/random";
import { LAYOUT, assemble, nasmMissing, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const sse = suite("SSE in translated code");
const seed = Number(process.env.SEED ?? 1);

/** One of each kind of number, and the edges between them. */
const DOUBLES = [
  0x0000000000000000n, 0x8000000000000000n, 0x3ff0000000000000n, 0xbff8000000000000n, 0x0010000000000000n, 0x8010000000000000n, 0x0010000000000001n, 0x000fffffffffffffn,
  0x8000000000000001n, 0x7fefffffffffffffn, 0xffefffffffffffffn, 0x7ff0000000000000n, 0xfff0000000000000n, 0x7ff8000000001234n, 0xfff8000000000000n, 0x7ff4000000000001n,
  0x3fb999999999999an, 0x41dfffffffc00000n, 0x41e0000000000000n, 0xc1e0000000000000n, 0xc1e0000000200000n, 0x43e0000000000000n, 0xc3e0000000000000n, 0x47efffffe0000000n,
  0x47f0000000000000n, 0x3810000000000000n, 0x380fffffffffffffn, 0x36a0000000000000n, 0x4008000000000000n, 0x400c000000000000n, 0x20000000000fffffn, 0x5ff123456789abcdn,
] as const;
const SINGLES = [
  0x00000000, 0x80000000, 0x3f800000, 0xbfc00000, 0x00800000, 0x80800000, 0x00800001, 0x007fffff, 0x80000001, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc01234, 0xffc00000, 0x7fa00001,
  0x3dcccccd, 0x4effffff, 0x4f000000, 0xcf000000, 0x5f000000, 0xdf000000, 0x40400000, 0x40600000, 0x20000fff, 0x5f123456,
] as const;
const PAIRS = 96;

/** Vectors in two tables: doubles, singles, anything; zeros and ones among them. */
function tables(pc: TestPc, random: Random): void {
  const double = () => DOUBLES[random.below(DOUBLES.length)];
  const single = () => BigInt(SINGLES[random.below(SINGLES.length)]);
  const plain = () => (BigInt(random.below(0x1000) + 0x2ff0) << 48n) | BigInt(random.below(0x7fffffff));
  for (let i = 0; i < PAIRS * 2; i++) {
    const kind = (i % PAIRS) % 4;
    for (const half of [0, 8]) {
      const x = kind === 0 ? double() : kind === 1 ? single() | (single() << 32n) : kind === 2 ? plain() : random.below(4) ? BigInt(random.below(0x7fffffff)) * 0x1_0000_8001n : BigInt(random.below(80));
      pc.guest.set64(LAYOUT.data + i * 16 + half, BigInt.asUintN(64, x));
    }
  }
}

const scalars = ["add", "sub", "mul", "div", "sqrt", "min", "max"];
const FLOAT = [
  ...scalars.flatMap((op) => ["sd", "ss"].map((type) => `${op}${type} xmm0, W`)),
  ...["add", "sub", "mul", "div", "min", "max"].flatMap((op) => ["pd", "ps"].map((type) => `${op}${type} xmm0, W`)),
  ...["sd", "ss", "pd", "ps"].flatMap((type) => [0, 1, 2, 3, 4, 5, 6, 7].map((n) => `cmp${type} xmm0, W, ${n}`)),
  ...["ucomisd", "comisd", "ucomiss", "comiss", "cvtss2sd", "cvtsd2ss", "cvtps2pd", "cvttps2dq", "cvttpd2dq", "cvtps2dq", "cvtpd2dq", "cvtpd2ps", "cvtdq2ps", "cvtdq2pd", "sqrtpd", "sqrtps", "haddpd", "haddps", "hsubpd", "hsubps", "addsubpd", "addsubps"].map((op) => `${op} xmm0, W`),
  ...["sd", "ss", "pd", "ps"].flatMap((type) => [0, 1, 2, 3, 4, 9].map((n) => `round${type} xmm0, W, ${n}`)),
  ...["cvttsd2si", "cvtsd2si", "cvttss2si", "cvtss2si"].flatMap((op) => [`${op} eax, W`, `${op} rax, W`]),
  ...["cvtsi2sd", "cvtsi2ss"].flatMap((op) => [`${op} xmm0, eax`, `${op} xmm0, rax`, `${op} xmm0, dword [rsi]`, `${op} xmm0, qword [rsi]`]),
];
const imm = (op: string, ...values: number[]) => values.map((n) => `${op} xmm0, W, ${n}`);
const shifts = ["psrlw", "psraw", "psllw", "psrld", "psrad", "pslld", "psrlq", "psllq"];
const OTHER = [
  ..."movups movaps movss movsd movq movddup movsldup movshdup andps andnpd orps xorpd pand pandn por pxor unpcklps unpckhps unpcklpd unpckhpd punpcklbw punpcklwd punpckldq punpckhbw punpckhwd punpckhdq punpcklqdq punpckhqdq packsswb packuswb packssdw packusdw pcmpgtb pcmpgtw pcmpgtd pcmpgtq pcmpeqb pcmpeqw pcmpeqd pcmpeqq paddb paddw paddd paddq psubb psubw psubd psubq paddsb paddsw paddusb paddusw psubsb psubsw psubusb psubusw pmullw pmulld pmaddwd pmulhw pmulhuw pmuludq pavgb pavgw pminub pminsb pminsw pminuw pminsd pminud pmaxub pmaxsb pmaxsw pmaxuw pmaxsd pmaxud pshufb pabsb pabsw pabsd pmovzxbw pmovzxwd pmovzxdq pmovsxbw pmovsxwd pmovsxdq pmovzxbd pmovzxwq pmovsxbd pmovsxwq pmuldq phaddw phaddd phaddsw phsubw phsubd phsubsw pmaddubsw psadbw ptest"
    .split(" ").map((op) => `${op} xmm0, W`),
  ...shifts.flatMap((op) => [`${op} xmm0, W`, ...[0, 1, 7, 15, 16, 31, 32, 63, 64, 255].map((n) => `${op} xmm0, ${n}`)]),
  ...["psrldq", "pslldq"].flatMap((op) => [0, 1, 8, 15, 16, 200].map((n) => `${op} xmm0, ${n}`)),
  ...imm("pshufd", 0, 0x1b, 0x4e, 0xe4, 0x93), ...imm("pshuflw", 0, 0x1b, 0x93), ...imm("pshufhw", 0, 0x1b, 0x93), ...imm("shufps", 0, 0x1b, 0x4e, 0xe4, 0x93),
  ...imm("shufpd", 0, 1, 2, 3), ...imm("pblendw", 0, 0x5a, 0xff), ...imm("blendps", 0, 5, 10), ...imm("blendpd", 1, 2), ...imm("palignr", 0, 1, 8, 15, 16, 17, 24, 31, 32, 255),
  "movhlps xmm0, xmm1", "movlhps xmm0, xmm1", "movlps xmm0, [rsi]", "movhps xmm0, [rsi]", "movlps [rdi], xmm0", "movhps [rdi], xmm0", "movss [rdi], xmm0", "movsd [rdi], xmm0",
  "movq [rdi], xmm0", "movaps [rdi], xmm0", "movups [rdi + 3], xmm0", "movntps [rdi], xmm0", "movdqa xmm1, xmm0", "movd xmm0, eax", "movq xmm0, rax", "movd eax, xmm1", "movq rax, xmm1", "movd [rdi], xmm0",
  "movd xmm0, [rsi]", "movss xmm1, xmm0", "movmskps eax, xmm1", "movmskpd eax, xmm1", "pmovmskb eax, xmm1", "pextrw eax, xmm1, 5", "pinsrw xmm0, eax, 3", "pinsrw xmm0, [rsi], 6",
  "pinsrd xmm0, eax, 2", "pinsrq xmm0, rax, 1", "pinsrd xmm0, [rsi], 3", "pinsrq xmm0, [rsi], 0", "pinsrb xmm0, eax, 7", "pinsrb xmm0, [rsi], 9", "pextrb eax, xmm1, 11", "pextrb [rdi], xmm0, 2", "pextrd eax, xmm1, 3", "pextrq rax, xmm1, 1", "pextrd [rdi], xmm0, 1", "pextrq [rdi], xmm0, 1",
];
/** MXCSR: as after a start; PE noted; everything noted; DAZ and FTZ; each rounding. */
const MODES = [0x1f80, 0x1fa0, 0x1fbf, 0x9fe0, 0x3fa0, 0x5fa0, 0x7fa0];
/** With exceptions that are not masked: one of each. */
const UNMASKED = [0x0fa0, 0x0f80, 0x17a0, 0x1ba0, 0x1da0, 0x1ea0, 0x1f20];
const MODE = LAYOUT.data + 0x2100;

/** Performs each instruction on each pair: flags, MXCSR, registers and what is stored go into RBX and memory. */
const program = (instructions: readonly string[]) => `
  xor ebx, ebx
  ${instructions.map((instruction) => `mov r8, ${LAYOUT.data}
  mov rdi, ${LAYOUT.data + 0x2200}
  mov ecx, ${PAIRS}
  %%again: ldmxcsr [rdi - 0x100]
  movaps xmm0, [r8]
  movups xmm1, [r8 + ${PAIRS * 16}]
  lea rsi, [r8 + ${PAIRS * 16}]
  mov rax, [rsi]
  xor edx, edx
  cmp ecx, 40
  ${instruction}
  setc dl
  setz dh
  ja %%above
  add rbx, 0x123
  %%above: setp r9b
  seto r10b
  sets r11b
  movups [rdi + 0x80], xmm0
  movups [rdi + 0x90], xmm1
  stmxcsr [rdi + 0xa0]
  add rbx, rdx
  add rbx, rax
  add rbx, r9
  rol rbx, 5
  sub rbx, r10
  xor rbx, r11
  add rbx, [rdi + 0x80]
  rol rbx, 9
  xor rbx, [rdi + 0x88]
  add rbx, [rdi + 0x90]
  rol rbx, 9
  xor rbx, [rdi + 0x98]
  add rbx, [rdi]
  xor rbx, [rdi + 8]
  add ebx, [rdi + 0xa0]
  add r8, 16
  dec ecx
  jnz %%again`).map((text, i) => text.replace(/%%/g, `l${i}_`)).join("\n")}
  hlt`;

/** Both operand forms. */
const forms = (list: readonly string[]) => list.flatMap((text) => (text.includes("W") ? [text.replace("W", "xmm1"), text.replace("W", "[rsi]")] : [text]));

function groups<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, i * size + size));
}

function compare(twins: Twins, instructions: readonly string[], modes: readonly number[]): void {
  const code = assemble(program(instructions), 64);
  for (const mode of modes) {
    const before = twins.regions;
    try {
      twins.run(code, 64, {}, (pc) => {
        tables(pc, new Random(seed));
        pc.guest.set32(MODE, mode);
      });
    } catch (error) {
      throw new Error(`${instructions.join("; ")}, MXCSR ${mode.toString(16)}: ${(error as Error).message}`);
    }
    assert.is(twins.translated.mem.get32(Region.PCPUS + PcpuOff.JIT + JitOff.failures), 0, instructions.join("; "));
    if (mode === 0x1fa0) assert.ok(twins.regions - before >= instructions.length, instructions.join("; "));
  }
}

sse("moves and integers", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  for (const group of groups(forms(OTHER), 16)) compare(twins, group, [0x1fa0]);
});

sse("floating point", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  for (const group of groups(forms(FLOAT), 16)) compare(twins, group, MODES);
});

sse("exceptions that are not masked", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const list = ["addsd xmm0, W", "mulss xmm0, W", "divpd xmm0, W", "sqrtsd xmm0, W", "minps xmm0, W", "cmpsd xmm0, W, 1", "ucomiss xmm0, W", "cvtsd2ss xmm0, W", "cvttsd2si rax, W", "cvtsi2ss xmm0, eax"];
  for (const form of forms(list)) compare(twins, [form], UNMASKED);
});

/** Chains of instructions on eight registers: what is known of operands from those before. */
sse("random blocks", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const random = new Random(seed);
  const list = [...FLOAT.slice(0, 26), ...FLOAT, ...OTHER.filter((text) => !/r[ds]i/.test(text))].filter((text) => !/^u?comis|ptest/.test(text));
  for (let n = 0; n < 60; n++) {
    const body = Array.from({ length: 24 }, () => {
      const text = list[random.below(list.length)].replace(/xmm\d/g, () => `xmm${random.below(8)}`);
      return text.replace("W", random.below(4) ? `xmm${random.below(8)}` : "[rsi]");
    });
    const code = assemble(`mov r8, ${LAYOUT.data}
      mov rdi, ${LAYOUT.data + 0x2200}
      mov ecx, ${PAIRS}
      again: mov rsi, r8
      ${[0, 1, 2, 3].map((i) => `mulsd xmm${i}, [r8]\naddsd xmm${i + 4}, [r8 + 8]`).join("\n")}
      movaps xmm${random.below(8)}, [r8]
      movups xmm${random.below(8)}, [r8 + 40]
      ${body.slice(0, 12).join("\n")}
      test ecx, 3
      jnz over
      ${body.slice(12, 18).join("\n")}
      over: ${body.slice(18).join("\n")}
      ${[0, 1, 2, 3, 4, 5, 6, 7].map((i) => `movups [rdi + ${i * 16}], xmm${i}\nadd rbx, [rdi + ${i * 16}]\nrol rbx, 7\nxor rbx, [rdi + ${i * 16 + 8}]`).join("\n")}
      add r8, 16
      dec ecx
      jnz again
      stmxcsr [rdi + 0x100]
      hlt`, 64);
    try {
      twins.run(code, 64, {}, (pc) => tables(pc, new Random(n)));
    } catch (error) {
      throw new Error(`${body.join("\n")}\n${(error as Error).message}`);
    }
  }
});

/** `prepare` may change what is there; the loop counts in ECX. */
const LOOP = (body: string, rest = "") => `mov rdi, ${LAYOUT.data}
  mov ecx, 100
  again: ${body}
  movapd xmm1, [rdi]
  addsd xmm1, xmm2
  movapd [rdi], xmm1
  ${rest}
  dec ecx
  jnz again
  hlt`;

sse("CR0.TS set in the middle: #NM", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  const out = twins.run(LOOP("cmp ecx, 20\njne over\nmov rax, cr0\nor al, 8\nmov cr0, rax\nover:"), 64);
  assert.is(out.fault?.vector, Vector.NM);
  assert.is(out.regs.rcx, 20n);
  assert.ok(twins.regions > 0);
  const same = twins.run(LOOP("", "cmp ecx, 20\nmov eax, 0\nsete al\nshl eax, 3\nmov rdx, cr0\nor rax, rdx\nmov cr0, rax"), 64);
  assert.is(same.fault?.vector, Vector.NM);
  assert.is(same.regs.rcx, 19n);
});

sse("CR0.EM, CR4.OSFXSR: #UD", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  for (const change of ["mov rax, cr0\nor al, 4\nmov cr0, rax", "mov rax, cr4\nbtr eax, 9\nmov cr4, rax"]) {
    const out = twins.run(LOOP(`cmp ecx, 20\njne over\n${change}\nover:`), 64);
    assert.is(out.fault?.vector, Vector.UD);
    assert.is(out.regs.rcx, 20n);
  }
});

sse("operands that are not aligned: #GP", async () => {
  if (nasmMissing()) return;
  const twins = await Twins.create();
  for (const instruction of ["movaps xmm0, [rdi]", "movaps [rdi], xmm0", "paddd xmm0, [rdi]", "mulpd xmm0, [rdi]", "movntdq [rdi], xmm0", "pshufd xmm0, [rdi], 3"]) {
    const out = twins.run(`mov rdi, ${LAYOUT.data}
      mov ecx, 100
      again: ${instruction}
      add rdi, 16
      cmp ecx, 10
      jne over
      sub rdi, 4
      over: dec ecx
      jnz again
      hlt`, 64);
    assert.is(out.fault?.vector, Vector.GP, instruction);
    assert.is(out.regs.rcx, 9n, instruction);
  }
});

sse.run();
