/** REP string instructions over whole pages: what is done at once must look as if it had been done element by element, and stop
 *  where an element faults with the registers at that element (SDM Vol.2B "REP/REPE/REPZ/REPNE/REPNZ"). Single elements
 *  and short runs are compared with hardware (tests/cpu/integer, tests/differential). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
import { LAYOUT, type Outcome, type Start, TestPc } from "../../support/test_pc";

const strings = suite("REP strings");
let pc: TestPc;
strings.before(async () => {
  pc = await TestPc.create();
});

const le = (x: number, n = 4) => Array.from({ length: n }, (_, i) => (x >> (i * 8)) & 255);
const FROM = 0x280000;
const TO = 0x380000;
const END = LAYOUT.size; // nothing is mapped from here on
const pattern = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * 31 + (i >> 8) * 7) & 255);
const run = (code: readonly number[], regs: Start["regs"], memory: Start["memory"] = [], rflags = 0n): Outcome => pc.run(Uint8Array.from(code), 64, { regs, memory, rflags });
const read = (at: number, n: number) => Buffer.from(pc.guest.read(at, n));

for (const [name, code, size] of [
  ["movsb", [0xf3, 0xa4], 1],
  ["movsw", [0xf3, 0x66, 0xa5], 2],
  ["movsd", [0xf3, 0xa5], 4],
  ["movsq", [0xf3, 0x48, 0xa5], 8],
] as const) {
  for (const [from, to] of [
    [0, 0],
    [3, 0],
    [0, 5],
    [4095, 1],
  ])
    strings(`rep ${name} of 20,000 bytes from offset ${from} to ${to} of a page`, () => {
      const bytes = pattern(20000);
      const count = 20000 / size;
      const out = run(code, { rsi: BigInt(FROM + from), rdi: BigInt(TO + to), rcx: BigInt(count) }, [[FROM + from, bytes], [TO, new Uint8Array(30000)]]);
      assert.is(out.fault, undefined);
      assert.is(out.regs.rcx, 0n);
      assert.is(out.regs.rsi, BigInt(FROM + from + 20000));
      assert.is(out.regs.rdi, BigInt(TO + to + 20000));
      assert.is(Buffer.compare(read(TO + to, 20000), Buffer.from(bytes)), 0);
      assert.is(read(TO + to + 20000, 1)[0], 0);
    });
  for (const gap of [1, 2, 3, 7, 8, 9, 64, 4095])
    strings(`rep ${name} onto itself ${gap} bytes up repeats the first ${gap} bytes`, () => {
      const n = 12000;
      const expected = pattern(n + gap);
      for (let i = 0; i < n; i += size) expected.copyWithin(i + gap, i, i + size);
      const out = run(code, { rsi: BigInt(FROM), rdi: BigInt(FROM + gap), rcx: BigInt(n / size) }, [[FROM, pattern(n + gap)]]);
      assert.is(out.fault, undefined);
      assert.is(Buffer.compare(read(FROM, n + gap), Buffer.from(expected)), 0);
    });
  strings(`rep ${name} downwards, overlapping`, () => {
    const n = 9000 - (9000 % 8);
    const expected = pattern(n + 100);
    expected.copyWithin(24, 0, n);
    const out = run(code, { rsi: BigInt(FROM + n - size), rdi: BigInt(FROM + 24 + n - size), rcx: BigInt(n / size) }, [[FROM, pattern(n + 100)]], 0x400n);
    assert.is(out.fault, undefined);
    assert.is(Buffer.compare(read(FROM, n + 100), Buffer.from(expected)), 0);
    assert.is(out.regs.rsi, BigInt(FROM - size));
  });
}

strings("rep stosq, stosd, stosw, stosb fill across pages and stop in time", () => {
  for (const [code, size] of [[[0xf3, 0xaa], 1], [[0xf3, 0x66, 0xab], 2], [[0xf3, 0xab], 4], [[0xf3, 0x48, 0xab], 8]] as const) {
    const rax = 0x1122334455667788n;
    const count = 10001;
    run(code, { rdi: BigInt(TO + 3), rcx: BigInt(count), rax }, [[TO, new Uint8Array(90000).fill(0xee)]]);
    const got = read(TO, 90000);
    const value = le(Number(rax & 0xffffffffn) | 0).concat(le(0x11223344)).slice(0, size);
    for (let i = 0; i < 3 + count * size + 9; i++) {
      const want = i < 3 || i >= 3 + count * size ? 0xee : value[(i - 3) % size];
      if (got[i] !== want) assert.is(got[i], want, `byte ${i} of size ${size}`);
    }
  }
});

strings("a run longer than what is done without a look at interrupts", () => {
  const n = 0x58000; // more than 2^18 bytes
  const out = run([0xf3, 0xa4], { rsi: BigInt(FROM), rdi: BigInt(0x300000), rcx: BigInt(n) }, [[FROM, pattern(n)]]);
  assert.is(out.regs.rcx, 0n);
  assert.is(out.rip, BigInt(LAYOUT.code + 3));
});

for (const size of [1, 4, 8])
  for (const before of [1, 3, 8, 100]) {
    const code = size === 1 ? [0xf3, 0xa4] : size === 4 ? [0xf3, 0xa5] : [0xf3, 0x48, 0xa5];
    strings(`rep movs of ${size}-byte elements faults at the element that reaches the end of memory, ${before} bytes on`, () => {
      const whole = Math.floor(before / size);
      const to = END - before;
      const out = run(code, { rsi: BigInt(FROM), rdi: BigInt(to), rcx: 1000n }, [[FROM, pattern(8000)]]);
      assert.is(out.fault?.vector, Vector.PF);
      assert.is(out.fault?.cr2, BigInt(END));
      assert.is(out.fault?.rip, BigInt(LAYOUT.code));
      assert.is(out.regs.rcx, BigInt(1000 - whole));
      assert.is(out.regs.rsi, BigInt(FROM + whole * size));
      assert.is(out.regs.rdi, BigInt(to + whole * size));
      assert.is(Buffer.compare(read(to, whole * size), Buffer.from(pattern(8000).subarray(0, whole * size))), 0);
    });
  }

strings("repne scasb finds a byte two pages away; repe cmpsb the first difference", () => {
  const text = new Uint8Array(9000).fill(1);
  text[8500] = 7;
  const scan = run([0xf2, 0xae], { rdi: BigInt(FROM), rcx: 9000n, rax: 7n }, [[FROM, text]]);
  assert.is(scan.regs.rdi, BigInt(FROM + 8501));
  assert.is(scan.regs.rcx, 499n);
  assert.is(scan.rflags & 0x40n, 0x40n);
  const compare = run([0xf3, 0xa6], { rsi: BigInt(FROM), rdi: BigInt(TO), rcx: 9000n }, [[FROM, text], [TO, new Uint8Array(9000).fill(1)]]);
  assert.is(compare.regs.rsi, BigInt(FROM + 8501));
  assert.is(compare.rflags & 0x40n, 0n);
});

const SIZES = [
  [1, [], [0xa6, 0xae, 0xaa, 0xa4]],
  [2, [0x66], [0xa7, 0xaf, 0xab, 0xa5]],
  [4, [], [0xa7, 0xaf, 0xab, 0xa5]],
  [8, [0x48], [0xa7, 0xaf, 0xab, 0xa5]],
] as const;
const number = (bytes: Uint8Array, at: number, size: number) => bytes.subarray(at, at + size).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

for (const [size, prefix, [cmps, scas, stos, movs]] of SIZES) {
  for (const [name, rep, goesOn] of [["repe", 0xf3, true], ["repne", 0xf2, false]] as const) {
    for (const at of [0, 1, 15, 16, 17, 100, 4090, 4097, 5000])
      strings(`${name} cmps and scas of ${size}-byte elements stop at element ${at}, or never`, () => {
        const count = 5000;
        const fill = goesOn ? 0x5a : 0x33;
        const first = new Uint8Array(count * size + 8).fill(fill);
        const second = new Uint8Array(count * size + 8).fill(0x5a);
        if (at < count) first.fill(goesOn ? 0x33 : 0x5a, at * size, at * size + (goesOn ? 1 : size)); // what stops it
        const found = at < count;
        const done = found ? at + 1 : count;
        for (const [offset, other] of [[0, 0], [3, 1]] as const) {
          const memory: Start["memory"] = [[FROM + offset, first], [TO + other, second]];
          const regs = { rsi: BigInt(FROM + offset), rdi: BigInt(TO + other), rcx: BigInt(count) };
          const compared = run([rep, ...prefix, cmps], regs, memory);
          assert.is(compared.regs.rcx, BigInt(count - done));
          assert.is(compared.regs.rsi, BigInt(FROM + offset + done * size));
          assert.is(compared.regs.rdi, BigInt(TO + other + done * size));
          const scanned = run([rep, ...prefix, scas], { rdi: BigInt(FROM + offset), rcx: BigInt(count), rax: 0x5a5a5a5a5a5a5a5an }, memory);
          assert.is(scanned.regs.rcx, BigInt(count - done));
          assert.is(scanned.regs.rdi, BigInt(FROM + offset + done * size));
          // flags of the last comparison: ZF, and CF as below
          const a = number(first, (done - 1) * size, size), b = 0x5a5a5a5a5a5a5a5an & ((1n << BigInt(size * 8)) - 1n);
          assert.is(compared.rflags & 0x41n, a === b ? 0x40n : a < b ? 1n : 0n);
          assert.is(scanned.rflags & 0x41n, a === b ? 0x40n : b < a ? 1n : 0n);
        }
      });
  }
  strings(`downwards, stos and movs of ${size}-byte elements cross pages`, () => {
    const count = 3000, bytes = count * size, rax = 0x1122334455667788n;
    for (const at of [TO, TO + 3]) {
      const filled = run([0xf3, ...prefix, stos], { rdi: BigInt(at + bytes - size), rcx: BigInt(count), rax }, [[at - 16, new Uint8Array(bytes + 32).fill(0xee)]], 0x400n);
      assert.is(filled.regs.rdi, BigInt(at - size));
      const got = read(at - 16, bytes + 32);
      for (let i = 0; i < bytes + 32; i++) {
        const want = i < 16 || i >= bytes + 16 ? 0xee : Number((rax >> BigInt(((i - 16) % size) * 8)) & 0xffn);
        if (got[i] !== want) assert.is(got[i], want, `byte ${i}`);
      }
      // target below source: each element is read when others have been written
      for (const gap of [-24, 5000 * size, 8]) {
        const n = bytes + Math.abs(gap) + 64;
        const expected = pattern(n);
        const from = gap < 0 ? -gap : 0, to = from + gap;
        for (let i = bytes - size; i >= 0; i -= size) expected.copyWithin(to + i, from + i, from + i + size);
        run([0xf3, ...prefix, movs], { rsi: BigInt(at + from + bytes - size), rdi: BigInt(at + to + bytes - size), rcx: BigInt(count) }, [[at, pattern(n)]], 0x400n);
        assert.is(Buffer.compare(read(at, n), Buffer.from(expected)), 0, `gap ${gap}`);
      }
    }
  });
}

strings("a count of zero touches neither memory nor flags, and clears the upper half of nothing", () => {
  const out = run([0xf3, 0xa6], { rsi: BigInt(END), rdi: BigInt(END), rcx: 0n }, [], 0x8d5n);
  assert.is(out.fault, undefined);
  assert.is(out.rflags & 0x8d5n, 0x8d5n);
});

strings("32-bit addresses wrap at 4 GiB and 16-bit ones at 64 KiB", () => {
  // 67 stosb twice from 0xffffffff would touch the last byte of the space, which is not mapped
  const high = run([0xf3, 0x67, 0xaa], { rdi: 0xffffffffn, rcx: 2n });
  assert.is(high.fault?.cr2, 0xffffffffn);
  const real = pc.run(Uint8Array.from([0xf3, 0xaa]), 16, { regs: { rdi: 0xfffen, rcx: 4n, rax: 0x5an }, memory: [[0xfffe, Uint8Array.of(0, 0)], [0, Uint8Array.of(1, 1, 1)]] });
  assert.is(real.fault, undefined);
  assert.is(real.regs.rdi, 2n);
  assert.equal([...pc.guest.read(0xfffe, 2), ...pc.guest.read(0, 3)], [0x5a, 0x5a, 0x5a, 0x5a, 1]);
});

strings("in 64-bit mode addresses of 32 bits wrap at 4 GiB, whatever is mapped behind it", () => {
  const [BELOW, BEHIND] = [0x700000, 0x701000]; // one piece, on both sides of 4 GiB
  const [DIRECTORY, TABLES, TABLE_BELOW, TABLE_BEHIND] = [0x710000, 0x711000, 0x712000, 0x713000];
  const word = (x: number) => Uint8Array.from(le(x, 8).map((byte, i) => (i < 4 ? byte : 0)));
  const tables: Start["memory"] = [
    [LAYOUT.pml4 + 0x1000 + 3 * 8, word(DIRECTORY | 7)],
    [LAYOUT.pml4 + 0x1000 + 4 * 8, word(TABLES | 7)],
    [DIRECTORY + 511 * 8, word(TABLE_BELOW | 7)],
    [TABLES, word(TABLE_BEHIND | 7)],
    [TABLE_BELOW + 511 * 8, word(BELOW | 7)],
    [TABLE_BEHIND, word(BEHIND | 7)],
  ];
  const touch = [0xc6, 0x03, 0xee, 0xc6, 0x02, 0xee]; // mov byte [rbx], 0xee; mov byte [rdx], 0xee
  const regs = { rbx: 0x1_0000_0000n, rdx: 0xffff_f000n, rcx: 0x1010n };
  const fill = run([...touch, 0x67, 0xf3, 0xaa], { ...regs, rdi: 0xffff_f000n, rax: 0x77n }, [...tables, [0, new Uint8Array(32)], [BELOW, new Uint8Array(0x2000)]]);
  assert.is(fill.fault, undefined);
  assert.is(fill.regs.rdi, 0x10n);
  assert.equal([...read(0, 17)], [...Array(16).fill(0x77), 0]);
  assert.is(read(BEHIND, 2)[1], 0);

  const low = [...pattern(16)];
  const move = run([...touch, 0x67, 0xf3, 0xa4], { ...regs, rsi: 0xffff_f000n, rdi: BigInt(TO) }, [...tables, [0, Uint8Array.from(low)], [BELOW, new Uint8Array(0x2000)]]);
  assert.is(move.fault, undefined);
  assert.is(move.regs.rsi, 0x10n);
  assert.equal([...read(TO + 0x1000, 16)], low);
});

strings.run();
