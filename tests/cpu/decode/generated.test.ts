/** Functions that are written, run and overwritten, over and over, at the same places: what runs is what was written last, and what has been
 *  decoded before takes no room. Nothing of them is translated while they change that often. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { JitOff } from "../../../assembly/abi/jit";
import { PcpuOff, Region } from "../../../assembly/abi/layout";
import { Twins } from "../../support/twins";

const generated = suite("generated code");
const le = (x: number, n = 4) => Array.from({ length: n }, (_, i) => (x >> (i * 8)) & 255);

/** Functions of 16 bytes that return a number in EAX, of one to six instructions. */
const SOURCE = 0x1a0000;
const FUNCTIONS: readonly (readonly [bytes: readonly number[], result: number])[] = [
  [[0xb8, ...le(3), 0xc3], 3], // mov eax, 3; ret
  [[0x31, 0xc0, 0x83, 0xc0, 5, 0xc3], 5], // xor eax, eax; add eax, 5; ret
  [[0xb8, ...le(6), 0xff, 0xc0, 0xff, 0xc0, 0xf7, 0xd8, 0xf7, 0xd8, 0xc3], 8], // mov eax, 6; inc eax; inc eax; neg eax; neg eax; ret
  [[0xb8, ...le(9), 0xa8, 1, 0x75, 2, 0xff, 0xc8, 0x90, 0xc3], 9], // mov eax, 9; test al, 1; jnz .a; dec eax; .a: nop; ret
];

const table = Uint8Array.from(FUNCTIONS.flatMap(([bytes]) => [...bytes, ...Array<number>(16 - bytes.length).fill(0xcc)]));

/** Copies function EBP mod 4 to R12, calls it twice, adds what it returns to EBX; `rounds` times. */
const program = (rounds: number) => [
  ...[0xbd, ...le(rounds)], // mov ebp, rounds
  ...[0x89, 0xee, 0x83, 0xe6, 3, 0xc1, 0xe6, 4], // again: mov esi, ebp; and esi, 3; shl esi, 4
  ...[0x4c, 0x01, 0xee, 0x4c, 0x89, 0xe7, 0xb9, ...le(16), 0xf3, 0xa4], // add rsi, r13; mov rdi, r12; mov ecx, 16; rep movsb
  ...[0x41, 0xff, 0xd4, 0x01, 0xc3, 0x41, 0xff, 0xd4, 0x01, 0xc3], // call r12; add ebx, eax; call r12; add ebx, eax
  ...[0xff, 0xcd, 0x75, 0x100 - 35, 0xf4], // dec ebp; jnz again; hlt
];

const sum = (rounds: number) => {
  let all = 0;
  for (let n = rounds; n > 0; n--) all += 2 * FUNCTIONS[n & 3]![1];
  return BigInt(all);
};

// in the middle of a page, where instructions lie across its end, and on both sides of it
for (const at of [0x180000, 0x180ff2, 0x180ff6, 0x180fff, 0x181ffd])
  generated(`at ${at.toString(16)}`, async () => {
    const twins = await Twins.create({}, { slice: 400 });
    const word = (offset: number) => twins.translated.mem.get32(Region.PCPUS + offset);
    const used = [100, 6000].map((rounds) => {
      const { regs } = twins.run(Uint8Array.from(program(rounds)), 64, { memory: [[SOURCE, table]], regs: { r12: BigInt(at), r13: BigInt(SOURCE) } });
      assert.is(regs.rbx, sum(rounds));
      return word(PcpuOff.codeNext);
    });
    assert.ok(used[1]! - used[0]! < 1024, `${used[1]! - used[0]!} bytes of records in 5900 rounds`);
    assert.ok(word(PcpuOff.JIT + JitOff.translated) < 20, `${word(PcpuOff.JIT + JitOff.translated)} translations`);
  });

generated.run();
