/** Branches over a few instructions that translated code performs without a branch: registers and the number of instructions are those of the way
 *  that was meant, whichever flags and widths the instructions have, and when they are overwritten. What comes out is computed here. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { type Bits, nasmMissing } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const arms = suite("branches over a few instructions");

const COUNT = 2100;
/** A block that the first slice happens to end at is where the region begins, and no arm then. */
const SLICES = [40, 501, 504, 8000];
const BIT = 0x10000;
/** What a round has: EAX random, EDX a copy of it, ECX the rounds to go. EDX after the arm. */
type Arm = readonly [code: string, edx: (eax: number, edx: number, ecx: number) => number];
const signed8 = (x: number) => (x << 24) >> 24;
const ARMS: readonly Arm[] = [
  ["mov edx, ecx", (_, __, c) => c],
  ["mov edx, 0x12345678", () => 0x12345678],
  ["lea edx, [edx + eax * 4 + 7]", (a, d) => d + a * 4 + 7],
  ["shl edx, 3\nneg edx\nxor edx, eax", (a, d) => -(d << 3) ^ a],
  ["mov dl, cl", (_, d, c) => (d & ~0xff) | (c & 0xff)],
  ["mov dh, cl\nadd dl, dh", (_, d, c) => (d & ~0xffff) | ((c & 0xff) << 8) | ((d + c) & 0xff)],
  ["sub dx, ax\nnot dx", (a, d) => (d & ~0xffff) | (~(d - a) & 0xffff)],
  ["movsx edx, dl", (_, d) => signed8(d)],
  ["sar edx, 5\nor edx, ecx", (_, d, c) => (d >> 5) | c],
  // four: a branch after all
  ["shr edx, 1\nadd edx, ecx\nand edx, 0xffffff\nxor edx, 0x55", (_, d, c) => (((d >>> 1) + c) & 0xffffff) ^ 0x55],
  ["imul edx, ecx, 77", (_, __, c) => Math.imul(c, 77)],
  ["add edx, ecx\nadc edx, 1", (_, d, c) => (d >>> 0) + c + 1 + ((d >>> 0) + c > 0xffffffff ? 1 : 0)],
];
/** What follows, which looks at no flags, and EBX after it. */
const RESTS: readonly (readonly [code: string, ebx: (ebx: number, edx: number) => number])[] = [
  ["add ebx, edx", (b, d) => b + d],
  ["mov esi, edx\nlea esi, [esi + esi * 2]\nxor ebx, esi", (b, d) => b ^ (d * 3)],
];

const program = (arm: string, rest: string, after = "") => `
  mov ecx, ${COUNT}
  mov eax, 0x2468ace
  xor ebx, ebx
  again:
  imul eax, eax, 1664525
  add eax, 1013904223
  mov edx, eax
  test eax, ${BIT}
  jnz on
  ${arm}
  on: ${rest}
  ${after}
  dec ecx
  jnz again
  hlt`;

const chosen = (twins: Twins) => twins.translated.mem.get64(Region.PCPUS + PcpuOff.JIT + JitOff.arms) !== 0n;

for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const [arm, edx] of ARMS)
    arms(`${arm.replaceAll("\n", "; ")}, ${bits} bits`, async () => {
      if (nasmMissing()) return;
      let performed = false;
      for (const slice of SLICES)
        for (const [rest, ebx] of RESTS) {
          const twins = await Twins.create({}, slice);
          const outcome = twins.run(program(arm, rest), bits);
          let a = 0x2468ace, b = 0;
          for (let c = COUNT; c > 0; c--) {
            a = (Math.imul(a, 1664525) + 1013904223) | 0;
            b = ebx(b, (a & BIT ? a : edx(a, a, c)) | 0) | 0;
          }
          assert.is(Number(BigInt.asIntN(32, outcome.regs.rbx)), b, rest);
          assert.ok(twins.regions > 0);
          performed ||= chosen(twins);
        }
      assert.is(performed, arm.split("\n").length <= 3 && !/imul|adc/.test(arm), "performed without a branch");
    });

arms("flags of the branch or the arm are seen", async () => {
  if (nasmMissing()) return;
  for (const rest of ["adc ebx, edx", "setz bl\nadd ebx, edx", "mov esi, 0\ncmovs esi, ecx\nadd ebx, esi", "pushfq\npop rsi\nadd ebx, esi", "inc esi\nadc ebx, esi"]) {
    for (const slice of SLICES) {
      const twins = await Twins.create({}, slice);
      twins.run(program("add edx, ecx", rest), 64);
      assert.not.ok(chosen(twins), rest);
    }
  }
});

// ADD and SUB EDX, imm8 differ in the second byte: the instruction is another one each 1024 rounds
arms("the arm is overwritten", async () => {
  if (nasmMissing()) return;
  for (const slice of SLICES) {
    const twins = await Twins.create({}, slice);
    const outcome = twins.run(program("arm: add edx, 5\nxor edx, ecx", "add ebx, edx", "test ecx, 1023\njnz keep\nxor byte [rel arm + 1], 0x28\nkeep: nop"), 64);
    let a = 0x2468ace, b = 0, sign = 1;
    for (let c = COUNT; c > 0; c--) {
      a = (Math.imul(a, 1664525) + 1013904223) | 0;
      b = (b + (a & BIT ? a : (a + 5 * sign) ^ c)) | 0;
      if (!(c & 1023)) sign = -sign;
    }
    assert.is(Number(BigInt.asIntN(32, outcome.regs.rbx)), b);
    assert.ok(twins.regions > 0);
  }
});

arms.run();
