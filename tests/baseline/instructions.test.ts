/** Results and flags from the descriptions in SDM Vol.2, one line a case. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BaselineMachine } from "../../src/baseline";

const manual = suite("baseline: instructions of the manual");
const machine = new BaselineMachine({ memoryBytes: 1 << 20 });
const CODE = 0x10000;
const FLAGS = ["C", "", "P", "", "A", "", "Z", "S", "", "", "", "O"];
const letters = (eflags: number) => [11, 7, 6, 4, 2, 0].map((bit) => ((eflags >> bit) & 1 ? FLAGS[bit] : "-")).join("");

function run(bytes: string, eax: number, ecx: number): [eax: number, flags: string] {
  const code = bytes.split(" ").map((b) => Number.parseInt(b, 16));
  machine.reset();
  machine.load(CODE, Uint8Array.from([...code, 0xf4]));
  machine.registers.general[0] = eax;
  machine.registers.general[1] = ecx;
  machine.registers.general[4] = 0x8000;
  machine.registers.eip = CODE;
  assert.is(machine.run(100).reason, "halt");
  return [machine.registers.general[0] >>> 0, letters(machine.registers.eflags)];
}

//   source          bytes       eax          ecx  ->  eax          OSZAPC
const CASES = [
  ["add eax, ecx", "01 c8", 0x7fffffff, 1, 0x80000000, "OS-AP-"],
  ["add eax, ecx", "01 c8", 0xffffffff, 1, 0, "--ZAPC"],
  ["add al, cl", "00 c8", 0x1280, 0x80, 0x1200, "O-Z-PC"],
  ["add ax, cx", "66 01 c8", 0x1ffff, 2, 0x10001, "---A-C"],
  ["sub eax, ecx", "29 c8", 0, 1, 0xffffffff, "-S-APC"],
  ["sub eax, ecx", "29 c8", 0x80000000, 1, 0x7fffffff, "O--AP-"],
  ["stc; adc eax, ecx", "f9 11 c8", 0xffffffff, 0xffffffff, 0xffffffff, "-S-APC"],
  ["stc; sbb eax, ecx", "f9 19 c8", 5, 5, 0xffffffff, "-S-APC"],
  ["stc; inc eax keeps CF", "f9 40", 0x7fffffff, 0, 0x80000000, "OS-APC"],
  ["neg eax", "f7 d8", 0x80000000, 0, 0x80000000, "OS--PC"],
  ["shl eax, 1", "d1 e0", 0x40000001, 0, 0x80000002, "OS----"],
  ["stc; rcl eax, 1", "f9 d1 d0", 0x80000000, 0, 1, "O----C"],
  ["sar eax, cl", "d3 f8", 0x80000001, 33, 0xc0000000, "-S--PC"],
  ["cmp eax, ecx; setl al", "39 c8 0f 9c c0", 0x80000000, 1, 0x80000001, "O--AP-"],
  ["cmp eax, ecx; jb +1; inc eax", "39 c8 72 01 40", 1, 2, 1, "-S-APC"],
  ["daa", "27", 0x79, 0, 0x79, "------"],
  ["add al, cl; daa", "00 c8 27", 0x79, 0x35, 0x14, "--" + "-APC"],
  ["aam", "d4 0a", 63, 0, 0x603, "----P-"],
  ["aad", "d5 0a", 0x603, 0, 63, "----P-"],
  ["bswap eax", "0f c8", 0x12345678, 0, 0x78563412, "------"],
  ["cdq; xchg eax, edx", "99 92", 0x80000000, 0, 0xffffffff, "------"],
  ["push ecx; pop eax", "51 58", 1, 0x1234, 0x1234, "------"],
  ["push es; inc eax; pop ecx", "06 40 59", 1, 0, 2, "------"],
  ["push gs; inc eax; pop ecx", "0f a8 40 59", 1, 0, 2, "------"],
  ["movsx eax, cl", "0f be c1", 0, 0x80, 0xffffff80, "------"],
  ["lea eax, [eax+ecx*4+5]", "8d 44 88 05", 0xfffffff0, 4, 5, "------"],
  ["push eax; fild dword [esp]; fadd st0; fistp dword [esp]; pop eax", "50 db 04 24 d8 c0 db 1c 24 58", 21, 0, 42, "------"],
] as const;

for (const [source, bytes, eax, ecx, result, flags] of CASES)
  manual(`${source} with eax=${eax.toString(16)} ecx=${ecx.toString(16)} gives ${result.toString(16)} ${flags}`, () => {
    const [got, gotFlags] = run(bytes, eax, ecx);
    assert.is(got.toString(16), result.toString(16));
    assert.is(gotFlags, flags);
  });

manual.run();
