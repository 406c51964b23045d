/** x87 arithmetic against the processor the tests run on: pairs of operands chosen where rounding, alignment, cancellation, overflow and underflow
 *  are decided, under all kinds of control words, interpreted and translated. Results and status words agree to the last bit. Skipped where
 *  there is no x87, gcc or nasm. XENOLITH_SEED repeats a run, XENOLITH_PAIRS makes it longer. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Random } from "../../support/random";
import { EAGER, LAYOUT, TestPc, assemble, nasmMissing } from "../../support/test_pc";

declare const XENOLITH_ROOT: string;

const PAIR = 32;
const RESULT = 240;
const BATCH = 4000;
const RESULTS = LAYOUT.data + BATCH * PAIR;
const pairs = suite("x87 against this processor");
const seed = process.env.XENOLITH_SEED ?? String(Date.now());
const COUNT = Number(process.env.XENOLITH_PAIRS ?? 100_000);
const CONTROLS = [0x37f, 0x37f, 0x37f, 0x37f, 0x37f, 0x27f, 0x77f, 0xb7f, 0xf7f, 0x07f];
const MASK = (1n << 64n) - 1n;

function significand(random: Random): bigint {
  const any = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
  const one = (list: readonly bigint[]) => list[random.below(list.length)];
  const kinds = [
    () => 1n << 63n,
    () => MASK,
    () => (1n << 63n) | BigInt(random.below(4)),
    () => MASK ^ BigInt(random.below(8)),
    () => any & ~0x7ffn, // a double
    () => (any & ~0x7ffn) | one([0x400n, 0x3ffn, 0x401n, 0x7ffn]), // beside the middle between two
    () => (any & ~0xffffffffffn) | one([1n << 39n, 0n, 1n, (1n << 39n) - 1n]), // of singles
    () => { // a square
      const root = BigInt(random.u32()) | 0x80000000n;
      const square = root * root;
      return square >> 63n ? square : square << 1n;
    },
    () => any, () => any, () => any, () => any,
  ];
  const sig = kinds[random.below(kinds.length)]();
  return random.below(40) ? sig | (1n << 63n) : sig; // else mostly denormal or unsupported
}

function operands(random: Random): Buffer {
  const bytes = Buffer.alloc(BATCH * PAIR);
  for (let at = 0; at < bytes.length; at += PAIR) {
    const exponents = [0x3fff, 0x3fff, 0x3fff + random.below(70) - 35, random.below(0x8000), 0x3fff + random.below(300) - 150, 1 + random.below(3), 0x7ffe - random.below(3),
      random.below(2) * 0x7fff, 0x3c00 + random.below(4), 0x43fe - random.below(4), 0x3f80 + random.below(4), 0x403e - random.below(70)];
    const distances = [0, 0, 1, -1, 2, random.below(130) - 65, random.below(8) - 4, 63, 64, -63, -64, 65];
    const exponent = exponents[random.below(exponents.length)];
    const other = Math.min(0x7fff, Math.max(0, exponent + distances[random.below(distances.length)]));
    const first = significand(random);
    const second = random.below(8) ? significand(random) : first + BigInt(random.below(3) - 1); // nearly the same
    bytes.writeBigUInt64LE(first & MASK, at);
    bytes.writeUInt16LE(exponent | (random.below(2) << 15), at + 8);
    bytes.writeBigUInt64LE(second & MASK, at + 10);
    bytes.writeUInt16LE(other | (random.below(2) << 15), at + 18);
    bytes.writeUInt16LE(CONTROLS[random.below(CONTROLS.length)], at + 28);
  }
  return bytes;
}

const source = readFileSync(join(XENOLITH_ROOT, "tests/cpu/x87/pairs.asm"), "utf8");
const folder = join(XENOLITH_ROOT, "build/hardware");

/** What the host makes of operands, or null. */
function buildHost(): ((operands: Buffer) => Buffer) | null {
  if (process.platform !== "linux" || process.arch !== "x64" || nasmMissing()) return null;
  mkdirSync(folder, { recursive: true });
  const program = join(folder, "pairs");
  const code = join(folder, "pairs.bin");
  if (spawnSync("gcc", ["-O1", "-o", program, join(XENOLITH_ROOT, "tests/cpu/x87/pairs.c")]).status !== 0) return null;
  writeFileSync(code, assemble(`${source}\nfninit\nret`, 64));
  return (input) => {
    const run = spawnSync(program, [code, String(BATCH)], { input, maxBuffer: BATCH * RESULT + 4096 });
    if (run.status !== 0) throw new Error(`${program}: status ${run.status} ${run.signal ?? ""}`);
    return run.stdout;
  };
}

const host = buildHost();
for (const [name, jit] of [["interpreted", false], ["translated", { ...EAGER, slice: 2000 }]] as const)
  (host ? pairs : pairs.skip)(`${COUNT} pairs of operands, ${name} (seed ${seed})`, async () => {
    const code = assemble(`mov rsi, ${LAYOUT.data}\nmov rdi, ${RESULTS}\nmov ecx, ${BATCH}\n${source}\nhlt`, 64);
    const pc = await TestPc.create({ jit });
    const random = new Random(`${seed} pairs`);
    for (let done = 0; done < COUNT; done += BATCH) {
      const input = operands(random);
      const wanted = host?.(input) ?? input;
      const out = pc.run(code, 64, { memory: [[LAYOUT.data, input], [RESULTS, new Uint8Array(BATCH * RESULT)]] });
      assert.is(out.fault, undefined);
      const got = Buffer.from(pc.guest.read(RESULTS, BATCH * RESULT));
      if (Buffer.compare(got, wanted) === 0) continue;
      const at = got.findIndex((byte, i) => byte !== wanted[i]);
      const pair = Math.floor(at / RESULT);
      assert.unreachable(`operands ${input.subarray(pair * PAIR, (pair + 1) * PAIR).toString("hex")}: byte ${at % RESULT} of ${got.subarray(pair * RESULT, (pair + 1) * RESULT).toString("hex")}, not ${wanted.subarray(pair * RESULT, (pair + 1) * RESULT).toString("hex")}`);
    }
  });

pairs.run();
