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
          const twins = await Twins.create({}, { slice });
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
      const twins = await Twins.create({}, { slice });
      twins.run(program("add edx, ecx", rest), 64);
      assert.not.ok(chosen(twins), rest);
    }
  }
});

// a page of other code: the region that has the branch names EDX nowhere but in the arm, which may not be performed
for (const bits of [64, 32] as const satisfies readonly Bits[])
  arms(`the register that the arm overwrites is not known before, ${bits} bits`, async () => {
    if (nasmMissing()) return;
    let performed = false;
    for (const slice of SLICES) {
      const twins = await Twins.create({}, { slice });
      const outcome = twins.run(program("mov edx, ecx", "add ebx, edx").replace("test eax", "times 420 lea esi, [esi + 1]\njmp there\nthere: test eax"), bits);
      let a = 0x2468ace, b = 0;
      for (let c = COUNT; c > 0; c--) {
        a = (Math.imul(a, 1664525) + 1013904223) | 0;
        b = (b + (a & BIT ? a : c)) | 0;
      }
      assert.is(Number(BigInt.asIntN(32, outcome.regs.rbx)), b);
      assert.ok(twins.regions > 0);
      performed ||= chosen(twins);
    }
    assert.ok(performed, "performed without a branch");
  });

// ADD and SUB EDX, imm8 differ in the second byte: the instruction is another one each 1024 rounds
arms("the arm is overwritten", async () => {
  if (nasmMissing()) return;
  for (const slice of SLICES) {
    const twins = await Twins.create({}, { slice });
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

/** A variable the block has stored EDX to, with a neighbour, and what an arm stores there: EBX sums up what is read. */
const VARIABLE = "[rsp - 24]";
type Stored = readonly [arm: string, value: (eax: number, edx: number, ecx: number) => number, width?: "dword" | "word" | "byte"];
const STORES: readonly Stored[] = [
  [`mov ${VARIABLE}, ecx`, (_, __, c) => c],
  [`mov dword ${VARIABLE}, 0x76543210`, () => 0x76543210],
  [`or edx, 0x100\nmov ${VARIABLE}, edx`, (_, d) => d | 0x100],
  [`lea esi, [edx + eax * 2]\nnot esi\nmov ${VARIABLE}, esi`, (a, d) => ~(d + a * 2)],
  [`mov ${VARIABLE}, cx`, (_, __, c) => c, "word"],
  [`mov ${VARIABLE}, cl`, (_, __, c) => c, "byte"],
  [`mov byte ${VARIABLE}, 0x81`, () => 0x81, "byte"],
];
const PART = { dword: "edx", word: "dx", byte: "dl" } as const;
const storing = (arm: string, width: keyof typeof PART, { before = "", between = "", on = "add ebx, [rsp - 24]", condition = "nz" } = {}) => `
  mov ecx, ${COUNT}
  mov eax, 0x2468ace
  xor ebx, ebx
  mov esi, eax
  mov dword [rsp - 24], 0
  again:
  imul eax, eax, 1664525
  add eax, 1013904223
  mov edx, eax
  ${before}
  mov [rsp - 32], eax
  test eax, ${BIT}
  mov ${width} ${VARIABLE}, ${PART[width]}
  ${between}
  j${condition} on
  ${arm}
  on: ${on}
  dec ecx
  jnz again
  hlt`;

for (const bits of [64, 32] as const satisfies readonly Bits[])
  for (const [arm, value, width = "dword"] of STORES)
    for (const [on, shows] of [["add ebx, [rsp - 24]", false], ["mov esi, [rsp - 24]\ninc esi\nlea esi, [esi - 1]\nadd ebx, esi", false], ["mov edi, [rsp - 24]\nadc ebx, edi", true]] as const)
      arms(`${arm.replaceAll("\n", "; ")}, where ${PART[width]} was stored, then ${on.replaceAll("\n", "; ")}, ${bits} bits`, async () => {
        if (nasmMissing()) return;
        let performed = false;
        for (const slice of SLICES) {
          const twins = await Twins.create({}, { slice });
          const code = storing(arm, width, { on });
          const outcome = twins.run(bits === 64 ? code : code.replaceAll("rsp", "esp"), bits);
          let a = 0x2468ace, b = 0, variable = 0;
          const mask = { dword: -1, word: 0xffff, byte: 0xff }[width];
          for (let c = COUNT; c > 0; c--) {
            a = (Math.imul(a, 1664525) + 1013904223) | 0;
            variable = (variable & ~mask) | ((a & BIT ? a : value(a, a, c)) & mask);
            b = (b + variable) | 0; // TEST, OR and NOT leave CF clear
          }
          assert.is(Number(BigInt.asIntN(32, outcome.regs.rbx)), b);
          assert.ok(twins.regions > 0);
          performed ||= chosen(twins);
        }
        assert.is(performed, !shows, "performed without a branch");
      });

//   what keeps the two stores apart, or shows flags
const APART: readonly (readonly [why: string, arm: string, options: Parameters<typeof storing>[2]])[] = [
  ["another place", "mov [rsp - 28], ecx", {}],
  ["another width", "mov [rsp - 24], cx", {}],
  ["a load between", "mov [rsp - 24], ecx", { between: "mov esi, [rsp - 32]\ntest eax, 0x10000" }],
  ["another store between", "mov [rsp - 24], ecx", { between: "mov [rsp - 28], eax" }],
  ["the address changes between", "mov [rsp - 24], ecx\n", { between: "lea rsp, [rsp + 8]", on: "lea rsp, [rsp - 8]\nadd ebx, [rsp - 24]" }],
  ["it changes in the arm, for good", "lea rsp, [rsp - 8]\nmov [rsp - 24], ecx\nlea rsp, [rsp + 8]", {}],
  ["the next access is elsewhere", "mov [rsp - 24], ecx", { on: "mov edi, [rsp - 4096]\nadd ebx, [rsp - 24]" }],
  ["CF of the branch is asked for", "mov [rsp - 24], ecx", { condition: "c", on: "adc ebx, [rsp - 24]" }],
];
for (const [why, arm, options] of APART)
  arms(`stores are two: ${why}`, async () => {
    if (nasmMissing()) return;
    for (const slice of [40, 504]) {
      const twins = await Twins.create({}, { slice });
      twins.run(storing(arm, "dword", options), 64);
      assert.not.ok(chosen(twins));
      assert.ok(twins.regions > 0);
    }
  });

arms("no span has the place: the region does without, and is made all the same", async () => {
  if (nasmMissing()) return;
  for (const slice of [40, 504]) {
    const twins = await Twins.create({}, { slice });
    // one access alone makes no span, nor do two pages
    for (const code of [storing("mov [rsp - 24], ecx", "dword", { on: "add ebx, edx" }).replace("mov [rsp - 32], eax", ""), storing("mov [rsp - 24], ecx", "dword").replaceAll("rsp - 24", "rsp - 4098").replace("rsp - 32", "rsp - 8000")]) {
      twins.run(code, 64);
      assert.ok(twins.regions > 0);
    }
  }
});

arms.run();
