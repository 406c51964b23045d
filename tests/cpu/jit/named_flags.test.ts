/** Flags that a loop goes back with are named where only ways out show them (assembly/cpu/jit/defer.ts): a kind says which register or number each
 *  operand is. A page fault at the beginning of a round shows whether they were the right ones. What is expected is worked out from the registers
 *  that the fault leaves, by the manual (SDM Vol.1, 3.4.3.1). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Vector } from "../../../assembly/abi/x86";
import { LAYOUT, nasmMissing, type Outcome, type TestPc } from "../../support/test_pc";
import { Twins } from "../../support/twins";

const named = suite("named flags");
const TABLE = 0x20000;
/** Of linear 4..6 MiB three pages are there. */
const END = 0x403000;
const ROUNDS = 225;

function limitedPages(pc: TestPc): void {
  for (let i = 0; i < 512; i++) pc.guest.set64(TABLE + i * 8, i < 3 ? BigInt(LAYOUT.data + i * 4096) | 7n : 0n);
  pc.guest.set64(LAYOUT.pml4 + 0x2000 + 2 * 8, BigInt(TABLE) | 7n);
}

type Regs = Outcome["regs"];
const STATUS = 0x8d5n;
const flag = (on: boolean, bit: number) => (on ? 1n << BigInt(bit) : 0n);

/** CF, PF, AF, ZF, SF and OF of a - b, or of a + b, at `bits`. */
function arithmetic(a: bigint, b: bigint, bits: number, add = false): bigint {
  const unsigned = (x: bigint) => BigInt.asUintN(bits, x), signed = (x: bigint) => BigInt.asIntN(bits, x);
  const exact = add ? signed(a) + signed(b) : signed(a) - signed(b), r = unsigned(exact);
  const carry = add ? unsigned(a) + unsigned(b) >> BigInt(bits) !== 0n : unsigned(a) < unsigned(b);
  return flag(carry, 0) | ofResult(r, bits) | flag(((a ^ b ^ r) & 16n) !== 0n, 4) | flag(signed(r) !== exact, 11);
}

function ofResult(r: bigint, bits: number): bigint {
  let ones = 0;
  for (let i = 0n; i < 8n; i++) ones += Number((r >> i) & 1n);
  return flag(ones % 2 === 0, 2) | flag(BigInt.asUintN(bits, r) === 0n, 6) | flag(BigInt.asIntN(bits, r) < 0n, 7);
}

/** INC and DEC leave CF alone. */
const step = (r: bigint, by: bigint, bits: number, carry: boolean) => (arithmetic(r - by, by < 0n ? 1n : by, bits, by > 0n) & ~1n) | flag(carry, 0);

interface Case {
  /** What the round begins with: the access that faults, and what is before it. */
  readonly first?: string;
  /** What it ends with; it goes back to `again`. */
  readonly last: string;
  readonly flags: (r: Regs) => bigint;
  /** AF is undefined. */
  readonly logic?: true;
}

const ACCESS = "mov edx, [rdi]\nadd edx, 1";
const CASES: Record<string, Case> = {
  "two registers": { last: "add ebx, 77\ncmp ebx, ecx\njmp again", flags: (r) => arithmetic(r.rbx, r.rcx, 32) },
  "two registers, 64 bits": { last: "lea rbx, [rbx * 3 + 1]\ncmp rcx, rbx\njmp again", flags: (r) => arithmetic(r.rcx, r.rbx, 64) },
  "a register with itself": { last: "inc ebx\ncmp ebx, ebx\njmp again", flags: (r) => arithmetic(r.rbx, r.rbx, 32) },
  "a byte and a small number": { last: "add ebx, 7\ncmp bl, -100\njmp again", flags: (r) => arithmetic(r.rbx, -100n, 8) },
  "a second byte": { last: "add ebx, 0x703\ncmp bh, 5\njmp again", flags: (r) => arithmetic(r.rbx >> 8n, 5n, 8) },
  "a word": { last: "add ebx, 0x703\ncmp bx, cx\njmp again", flags: (r) => arithmetic(r.rbx, r.rcx, 16) },
  "the least number with a name": { last: "add ebx, 3\ncmp ebx, -256\njmp again", flags: (r) => arithmetic(r.rbx, -256n, 32) },
  "the one below": { last: "add ebx, 3\ncmp ebx, -257\njmp again", flags: (r) => arithmetic(r.rbx, -257n, 32) },
  "the greatest number with a name": { last: "add ebx, 3\ncmp ebx, 735\njmp again", flags: (r) => arithmetic(r.rbx, 735n, 32) },
  "the one above": { last: "add ebx, 3\ncmp ebx, 736\njmp again", flags: (r) => arithmetic(r.rbx, 736n, 32) },
  "a large number": { last: "add ebx, 3\ncmp ebx, 0x12345678\njmp again", flags: (r) => arithmetic(r.rbx, 0x12345678n, 32) },
  "a number less a register": { last: "mov ebx, 0\nsub ebx, ecx\nlea ecx, [ecx + 77]\njmp again", flags: (r) => arithmetic(0n, r.rcx - 77n, 32) },
  "a sum": { last: "add ebx, 0x1000003\njmp again", flags: (r) => arithmetic(r.rbx - 0x1000003n, 0x1000003n, 32, true) },
  "a sum with a small number": { last: "add ebx, 3\njmp again", flags: (r) => arithmetic(r.rbx - 3n, 3n, 32, true) },
  "a sum of bytes": { last: "add bl, 0x33\njmp again", flags: (r) => arithmetic(r.rbx - 0x33n, 0x33n, 8, true) },
  "a difference": { last: "sub rbx, 9\njmp again", flags: (r) => arithmetic(r.rbx + 9n, 9n, 64) },
  "a sum of two registers": { last: "add ebx, ecx\njmp again", flags: (r) => arithmetic(r.rbx - r.rcx, r.rcx, 32, true) },
  "a result": { last: "add ebx, 0x55\ntest ebx, ebx\njmp again", flags: (r) => ofResult(r.rbx, 32), logic: true },
  "a result in no register": { last: "add ebx, 0x55\ntest ebx, 0x1010\njmp again", flags: (r) => ofResult(r.rbx & 0x1010n, 32), logic: true },
  "a result in memory": { last: "add ebx, 0x55\nand [0x200000], ebx\nmov eax, [0x200000]\njmp again", flags: (r) => ofResult(r.rax, 32), logic: true },
  "an increment, CF set": { last: "stc\ninc ebx\njmp again", flags: (r) => step(r.rbx, 1n, 32, true) },
  "an increment, CF clear": { last: "cmp ecx, ecx\ninc bl\njmp again", flags: (r) => step(r.rbx, 1n, 8, false) },
  "a decrement, CF of a comparison": { last: "cmp ebx, 100\ndec ebx\njmp again", flags: (r) => step(r.rbx, -1n, 32, ((r.rbx + 1n) & 0xffffffffn) < 100n) },
  "a copy of what was compared": { last: "mov eax, ebx\ncmp ebx, ecx\nmov ebx, 4\nadd ecx, eax\ncmp eax, 17\nmov ebx, eax\nlea ebx, [rbx + 2]\njmp again", flags: (r) => arithmetic(r.rax, 17n, 32) },
  // the last comparison is one of equal numbers
  "a register that goes on": { last: "mov eax, ebx\ncmp ebx, 449\nlea ebx, [rbx + 2]\njmp again", flags: (r) => arithmetic(r.rax, 449n, 32) },
  "a register that goes on in another block": { last: "mov eax, ebx\ncmp ebx, 449\ncall f\njmp again\nf: lea ebx, [rbx + 2]\nret", flags: (r) => arithmetic(r.rax, 449n, 32) },
  "CF of INC, from another block": { last: "cmp ebx, 449\ninc ebx\ncall f\njmp again\nf: lea ebx, [rbx + 1]\nret", flags: (r) => step(r.rbx - 1n, 1n, 32, r.rbx - 2n < 449n) },
  "CF that is overlaid": { last: "add ebx, 7\ncmp ebx, ecx\ncmc\njmp again", flags: (r) => arithmetic(r.rbx, r.rcx, 32) ^ 1n },
  // of a source that is 0 in every second round
  "ZF of a scan": { last: "lea ebx, [rbx + 1]\nmov eax, ebx\nand eax, 1\nlea rcx, [rax * 2]\ncmp ebx, 449\njg again\nbsf eax, ecx\njmp again", flags: (r) => (arithmetic(r.rbx, 449n, 32) & ~0x40n) | flag(r.rcx === 0n, 6) },
  "a register that stays in another block": { last: "lea ebx, [rbx + 3]\ncmp ebx, 300\njae on\nmov eax, ebx\njmp again\non: mov eax, 5\njmp again", flags: (r) => arithmetic(r.rbx, 300n, 32) },
  "either of two": { last: "lea ebx, [rbx + 3]\ntest bl, 1\njz on\ncmp ebx, 300\njmp again\non: sub ecx, 2\njmp again", flags: (r) => (r.rbx & 1n ? arithmetic(r.rbx, 300n, 32) : arithmetic(r.rcx + 2n, 2n, 32)) },
  "a register changed before the access": { first: `mov eax, ebx\nmov ebx, [0x200040]\n${ACCESS}`, last: "lea ebx, [rax + 3]\ncmp ebx, 100\njmp again", flags: (r) => arithmetic(r.rax, 100n, 32) },
  "a store's register": { first: "push rbx\npop rax\nlea rbx, [rbx + 5]\nmov [rdi], eax\ncmp edx, 4", last: "cmp ebx, ecx\njmp again", flags: (r) => arithmetic(r.rax, r.rcx, 32) },
  "conditions of a call": { last: "lea ebx, [rbx + 3]\ncmp ebx, 4\ncall f\njmp again\nf: mov eax, 3\nret", flags: (r) => arithmetic(r.rbx, 4n, 32) },
};

//  as a stride, and at an address that moves in no steps
for (const [how, before] of [["in steps", ""], ["anywhere", "bswap rdi\nbswap rdi"]])
for (const [name, { first = ACCESS, last, flags, logic }] of Object.entries(CASES))
  named(`${name}, ${how}`, async () => {
    if (nasmMissing()) return;
    const twins = await Twins.create();
    const out = twins.run(
      `mov edi, ${END - ROUNDS * 4}
      mov esi, 4
      mov ebx, 1
      mov ecx, 0x1000
      again:
      ${before}
      ${first}
      add rdi, rsi
      ${last}`,
      64,
      {},
      limitedPages,
    );
    assert.is(out.fault?.vector, Vector.PF);
    assert.is(out.fault?.cr2, BigInt(END));
    assert.ok(twins.regions > 0, "it was translated");
    const mask = logic ? STATUS & ~0x10n : STATUS;
    assert.is((out.rflags & mask).toString(16), (flags(out.regs) & mask).toString(16));
  });

named.run();
