/** What translated SSE knows of operands from the instructions before them: results are not looked at where the bounds of their operands say that they are
 *  in range (cpu/jit/sse_range). So operands lie at these bounds, most of them within; a few are zeros, tiny, NaNs, infinite, at any place of
 *  a chain; between its instructions are stores, loads, branches, and the whole register is looked at. The interpreter's results are those of a processor
 *  (tests/cpu/sse). */
import { suite } from "uvu";
import { Random } from "../../support/random";
import { LAYOUT, assemble, nasmMissing, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const chains = suite("chains of SSE instructions in translated code");
const seed = Number(process.env.SEED ?? 1);
const ROWS = 160;
const MODE = LAYOUT.data + 0x2100;

/** IEEE 754 numbers of `digits` fraction bits: 2^e, with some fraction. */
const encode = (random: Random, e: number, digits: number, bias: number) => {
  const fraction = random.below(3) ? BigInt(random.below(0x7fffffff)) % (1n << BigInt(digits)) << (digits === 52 ? 21n : 0n) : 0n;
  return (BigInt(random.below(2)) << BigInt(digits === 52 ? 63 : 31)) | (BigInt(e + bias) << BigInt(digits)) | (fraction & ((1n << BigInt(digits)) - 1n));
};
const double = (random: Random, e: number) => encode(random, e, 52, 1023);
const single = (random: Random, e: number) => encode(random, e, 23, 127);
const ODD_DOUBLES = [0n, 1n << 63n, 1n, 0x000fffffffffffffn, 0x0010000000000000n, 0x8010000000000001n, 0x7ff0000000000000n, 0xfff0000000000000n, 0x7ff8000000000123n, 0x7ff0000000000001n, 0x7fefffffffffffffn];
const ODD_SINGLES = [0n, 1n << 31n, 1n, 0x007fffffn, 0x00800000n, 0x80800001n, 0x7f800000n, 0xff800000n, 0x7fc00123n, 0x7f800001n, 0x7f7fffffn];

/** One in `rare` is odd; of the others one in eight lies at the bounds, or about halfway to them. */
function fill(pc: TestPc, random: Random, rare: number, wide: boolean): void {
  const edges = wide ? [299, 300, 301, 150, 100, 511] : [39, 40, 41, 20, 13, 63];
  const edge = () => edges[random.below(edges.length)] * (random.below(2) ? 1 : -1) + random.below(3) - 1;
  const exponent = () => (random.below(8) ? random.below(13) - 6 : edge());
  const odd = wide ? ODD_DOUBLES : ODD_SINGLES;
  const element = () => (random.below(rare) ? (wide ? double : single)(random, exponent()) : odd[random.below(odd.length)]);
  for (let i = 0; i < ROWS * 2; i++) pc.guest.set64(LAYOUT.data + i * 8, wide ? element() : element() | (element() << 32n));
}

const scalar = (type: string) => [
  ...["add", "sub", "mul", "add", "sub", "mul", "div"].flatMap((op) => [`${op}${type} X, Y`, `${op}${type} X, [r8 + N]`, `${op}${type} X, Y`]), `sqrt${type} X, Y`,
  `mov${type} X, [r8 + N]`, `mov${type} X, [r8 + N]`, `mov${type} X, Y`, "movapd X, Y", "movapd X, Y", `mov${type} [rdi + N], X`, `mov${type} [rdi + N], X\nmov${type} Y, [rdi + N]`, `ucomi${type} X, Y\nseta al\nadd ebx, eax`,
  `comi${type} X, Y\nsetbe al\nadd ebx, eax`, `cvtsi2${type} X, ecx`, `cvtsi2${type} X, rcx`, `cvtt${type}2si eax, X\nadd ebx, eax`, "xorps X, X", "movups [rdi + N], X", `min${type} X, Y`, `max${type} X, [r8 + N]`, "unpcklpd X, Y", "andps X, Y",
  "movq X, Y", "pshufd X, Y, 0x4e", "movhlps X, Y", "movups X, [r8]", "paddd X, Y", "psrldq X, 8", "movq rax, X\nadd rbx, rax", "movq X, rbx\npsrlq X, 12",
];
const packed = (type: string) => [
  ...["add", "sub", "mul", "add", "mul", "div"].flatMap((op) => [`${op}${type} X, Y`, `${op}${type} X, [r8 + N16]`]), `sqrt${type} X, Y`, "movapd X, [r8 + N16]", "movapd X, Y", "movaps [rdi + N16], X", "xorps X, X", "cvtdq2pd X, Y",
  "cvtdq2ps X, Y", `hadd${type} X, Y`, `addsub${type} X, Y`, `addsd X, Y`, "mulss X, Y", "cvtss2sd X, Y", "cvtsd2ss X, Y", "unpcklps X, Y", "shufps X, Y, 0x1b",
];

function body(random: Random, list: readonly string[], count: number): string[] {
  return Array.from({ length: count }, () =>
    list[random.below(list.length)].replace(/N16/g, () => String(random.below(6) * 16)).replace(/X/g, `xmm${random.below(6)}`).replace(/Y/g, () => `xmm${random.below(6)}`).replace(/N/g, String(random.below(12) * 8)));
}

/** A loop with an inner one, whose registers come from before it; a branch; registers loaded anew in each round. */
const program = (random: Random, list: readonly string[]) => `
  mov rdi, ${LAYOUT.data + 0x2200}
  ldmxcsr [rdi - 0x100]
  mov r8, ${LAYOUT.data}
  mov ecx, 60
  xor ebx, ebx
  again:
  ${[0, 1, 2, 3, 4, 5].map((i) => (random.below(3) ? `movups xmm${i}, [r8 + ${i * 16}]` : random.below(2) ? `movsd xmm${i}, [r8 + ${i * 16}]` : "")).join("\n")}
  ${body(random, list, 4).join("\n")}
  mov edx, 3
  inner:
  ${body(random, list, 6).join("\n")}
  test dl, ${random.below(2) + 1}
  jnz over
  ${body(random, list, 3).join("\n")}
  over: ${body(random, list, 4).join("\n")}
  dec edx
  jnz inner
  ${body(random, list, 4).join("\n")}
  ${[0, 1, 2, 3, 4, 5].map((i) => `movups [rdi + ${0x100 + i * 16}], xmm${i}\nadd rbx, [rdi + ${0x100 + i * 16}]\nrol rbx, 7\nxor rbx, [rdi + ${0x108 + i * 16}]`).join("\n")}
  stmxcsr [rdi + 0x180]
  add ebx, [rdi + 0x180]
  add r8, 16
  dec ecx
  jnz again
  hlt`;

/** PE not noted; noted; denormals are zero and flushed to; rounding down; all noted, overflow and underflow not masked. */
const MODES = [0x1f80, 0x1fa0, 0x9fe0, 0x3fa0, 0x07bf];

for (const [title, list, wide] of [
  ["doubles", scalar("sd"), true], ["singles", scalar("ss"), false], ["pairs", packed("pd"), true], ["fours", packed("ps"), false], ["both widths", [...scalar("sd"), ...scalar("ss"), ...packed("pd")], true],
] as const)
  chains(title, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    for (let n = 0; n < 24; n++) {
      const random = new Random(seed * 1000 + n), source = program(random, list), code = assemble(source, 64);
      for (const [rare, mode] of [[1000, 0x1fa0], [60, 0x1fa0], [7, 0x1fa0], [200, MODES[n % MODES.length]]] as const) {
        try {
          twins.run(code, 64, {}, (pc) => {
            fill(pc, new Random(n), rare, wide);
            pc.guest.set32(MODE, mode);
          });
        } catch (error) {
          throw new Error(`seed ${seed}, n ${n}, rare ${rare}, MXCSR ${mode.toString(16)}: ${source}\n${(error as Error).message}`);
        }
      }
    }
  });

chains.run();
