/** Relocating a module to pCPU n gives, byte for byte, what the compiler makes of the same source with the block's address
 *  changed (docs/adr/0002-relocated-core.md), and touches nothing else. */
import { JitOff } from "../../assembly/abi/jit";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Region } from "../../assembly/abi/layout";
import { RelocationError, relocate } from "../../src/machine/relocate";
import { fixtureBytes, fixtureMemory, env } from "../support/asc_fixture";

const test = suite("relocation of the core");
const FIXTURE = "tests/machine/fixture/relocated.ts";

test("a relocated module equals one compiled for that pCPU", async () => {
  const zero = await fixtureBytes(FIXTURE);
  const three = await fixtureBytes(FIXTURE, { replace: { "assembly/cpu/pcpu.ts": "tests/machine/fixture/pcpu3.ts" } });
  const moved = relocate(zero, 3);
  assert.equal(Buffer.from(moved.bytes).compare(three), 0);
  assert.ok(moved.constants > 10, `${moved.constants} constants`);
});

test("pCPU 0 is the module as it was", async () => {
  const zero = await fixtureBytes(FIXTURE);
  assert.equal(Buffer.from(relocate(zero, 0).bytes).compare(zero), 0);
});

test("two instances on one memory keep to their own blocks", async () => {
  const zero = await fixtureBytes(FIXTURE);
  const memory = fixtureMemory();
  const cores = await Promise.all(
    [0, 31].map(async (n) => {
      const { instance } = await WebAssembly.instantiate(relocate(zero, n).bytes, env(memory));
      return instance.exports as Record<string, (...args: unknown[]) => unknown>;
    }),
  );
  const words = new BigUint64Array(memory.buffer);
  cores[0].store8(0x1111n);
  cores[1].store8(0x2222n);
  assert.is(words[Region.PCPUS >> 3], 0x1111n);
  assert.is(words[(Region.PCPUS + 31 * Region.PCPU_STRIDE) >> 3], 0x2222n);
  assert.is(cores[1].indexed(0), 0x2222n);
  assert.is(cores[1].address(), Region.PCPUS + 31 * Region.PCPU_STRIDE + PcpuOff.scratchW);
  assert.is(cores[1].distance(Region.PCPUS + 31 * Region.PCPU_STRIDE + 40), 40);
});

const module = (...sections: number[][]) => Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
/** The pCPU block with the translator's working memory. */
const BLOCK = PcpuOff.JIT + JitOff.SIZE;
const leb = (value: number) => [0, 7, 14, 21].map((shift) => ((value >> shift) & 0x7f) | (shift < 21 ? 0x80 : 0));
const body = (...code: number[]) => module([10, code.length + 4, 1, code.length + 2, 0, ...code, 0x0b]);

test("constants, offsets and negated constants move; neighbours outside the block do not", () => {
  //       number                                     moves by (in strides)
  const CASES = [
    [Region.PCPUS - 257, 0],
    [Region.PCPUS - 8, 1], // (n - 1) * 8 from the start of the block
    [Region.PCPUS, 1],
    [Region.PCPUS + BLOCK, 1],
    [Region.PCPUS + BLOCK + 1, 0],
    [-Region.PCPUS, -1],
    [-Region.PCPUS - BLOCK, -1],
    [-Region.PCPUS - BLOCK - 1, 0],
  ] as const;
  for (const [number, strides] of CASES) {
    const before = body(0x41, ...leb(number), 0x1a);
    const after = body(0x41, ...leb(number + strides * 5 * Region.PCPU_STRIDE), 0x1a);
    assert.equal(relocate(before, 5).bytes, after, `i32.const ${number}`);
    // i32.load align=4 offset=number, where the offset is unsigned
    if (number < 0) continue;
    const load = body(0x41, 0, 0x28, 2, ...leb(number), 0x1a);
    assert.equal(relocate(load, 5).bytes, body(0x41, 0, 0x28, 2, ...leb(number + strides * 5 * Region.PCPU_STRIDE), 0x1a), `offset ${number}`);
  }
});

test("a 64-bit constant of the same value stays", () => {
  const before = body(0x42, ...leb(Region.PCPUS), 0x1a);
  assert.equal(relocate(before, 5).bytes, before);
});

test("what it cannot follow is an error, not a guess", () => {
  const bad: [string, Uint8Array][] = [
    ["not a module", Uint8Array.of(1, 2, 3)],
    ["truncated section", module([10, 9, 1])],
    ["unknown opcode", body(0xf5)],
    ["unknown SIMD opcode", body(0xfd, 0xff, 0x7f)],
    ["a number of five bytes", body(0x41, ...leb(Region.PCPUS).map((b) => b | 0x80), 0, 0x1a)],
    ["a data segment aimed at the block", module([11, 10, 1, 0, 0x41, ...leb(Region.PCPUS), 0x0b, 1, 7])],
  ];
  for (const [name, bytes] of bad) {
    assert.throws(() => relocate(bytes, 1), (error: unknown) => error instanceof RelocationError, name);
  }
  assert.throws(() => relocate(module(), Region.MAX_PCPUS), /no pCPU 32/);
});

test.run();
