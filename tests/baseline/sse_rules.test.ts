/** Who may use SSE and with which operands: SDM Vol.3A "SSE/SSE2/SSE3/SSSE3/SSE4 Exceptions", Vol.2A "Exceptions Type 2" and on; and
 *  what FXSAVE keeps. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BaselineMachine } from "../../src/baseline";

const rules = suite("baseline: rules of SSE");
const CODE = 0x10000;
const HANDLERS = 0x11000;
const IDT = 0x1800;
const GDT = 0x1000;
const [DIRECTORY, TABLE] = [0x20000, 0x21000];
const DATA = 0x403000; // a page, in front of one that is absent
const [OSFXSR, EM, TS, PG] = [0x200, 4, 8, 0x80000000];
const NONE = -1;
const machine = new BaselineMachine({ memoryBytes: 1 << 20 });
const words = new Uint32Array(machine.memory.buffer);

/** Runs `bytes` and a HLT with EAX at `eax`. Gives vector, error code and CR2. */
function run(bytes: string, eax: number, cr0 = 0, cr4 = OSFXSR): [vector: number, error: number, cr2: number] {
  machine.reset();
  const { registers } = machine;
  words[(GDT >> 2) + 2] = words[(GDT >> 2) + 4] = 0xffff;
  words[(GDT >> 2) + 3] = 0x00cf9b00;
  words[(GDT >> 2) + 5] = 0x00cf9300;
  for (let v = 0; v < 32; v++) {
    words[(IDT >> 2) + v * 2] = 0x80000 | ((HANDLERS + v * 16) & 0xffff);
    words[(IDT >> 2) + v * 2 + 1] = (HANDLERS & 0xffff0000) | 0x8e00;
    machine.memory[HANDLERS + v * 16] = 0xf4;
  }
  words[DIRECTORY >> 2] = 0x83;
  words[(DIRECTORY >> 2) + 1] = TABLE | 3;
  words[(TABLE >> 2) + 3] = 0x30003;
  registers.setTable("gdt", GDT, 0x17);
  registers.setTable("idt", IDT, 0xff);
  registers.setControl(3, DIRECTORY);
  registers.setControl(4, cr4 | 0x10);
  registers.setControl(0, PG | 0x11 | cr0);
  machine.load(CODE, Uint8Array.from([...bytes.split(" ").map((b) => Number.parseInt(b, 16)), 0xf4]));
  registers.general[0] = eax;
  registers.general[4] = 0x8000;
  registers.eip = CODE;
  registers.xmm.set([1, 2, 3, 4]);
  assert.is(machine.run(10).reason, "halt");
  if (registers.eip < HANDLERS) return [NONE, 0, 0];
  const vector = (registers.eip - 1 - HANDLERS) / 16;
  const stack = registers.general[4] >> 2;
  const withError = vector >= 13;
  assert.is(words[stack + (withError ? 1 : 0)], CODE, "EIP is that of the instruction");
  return [vector, withError ? words[stack] : 0, vector === 14 ? registers.control(2) : 0];
}

const [UD, NM, GP, PF] = [6, 7, 13, 14];
//  what                                     bytes               eax           CR0      CR4  ->   vector, error, cr2
const CASES = [
  ["addsd without CR4.OSFXSR", "f2 0f 58 c1", 0, 0, 0, [UD, 0, 0]],
  ["comisd without CR4.OSFXSR", "66 0f 2f c1", 0, 0, 0, [UD, 0, 0]],
  ["ldmxcsr without CR4.OSFXSR", "0f ae 10", DATA, 0, 0, [UD, 0, 0]],
  ["movapd with CR0.EM, before #NM", "66 0f 28 c1", 0, EM | TS, OSFXSR, [UD, 0, 0]],
  ["pxor with CR0.TS, before the operand", "66 0f ef 00", DATA + 4097, TS, OSFXSR, [NM, 0, 0]],
  ["movapd, aligned", "66 0f 28 00", DATA + 16, 0, OSFXSR, [NONE, 0, 0]],
  ["movapd, misaligned", "66 0f 28 00", DATA + 8, 0, OSFXSR, [GP, 0, 0]],
  ["movapd, misaligned before absent", "66 0f 28 00", DATA + 4104, 0, OSFXSR, [GP, 0, 0]],
  ["addpd, misaligned", "66 0f 58 00", DATA + 8, 0, OSFXSR, [GP, 0, 0]],
  ["paddd, misaligned", "66 0f fe 00", DATA + 4, 0, OSFXSR, [GP, 0, 0]],
  ["movaps to memory, misaligned", "0f 29 00", DATA + 4, 0, OSFXSR, [GP, 0, 0]],
  ["movups, misaligned", "0f 10 00", DATA + 5, 0, OSFXSR, [NONE, 0, 0]],
  ["movupd to memory, misaligned", "66 0f 11 00", DATA + 5, 0, OSFXSR, [NONE, 0, 0]],
  ["addsd, misaligned", "f2 0f 58 00", DATA + 5, 0, OSFXSR, [NONE, 0, 0]],
  ["movddup, misaligned", "f2 0f 12 00", DATA + 5, 0, OSFXSR, [NONE, 0, 0]],
  ["movups into an absent page", "0f 10 00", DATA + 4090, 0, OSFXSR, [PF, 0, DATA + 4096]],
  ["movups to an absent page", "0f 11 00", DATA + 4090, 0, OSFXSR, [PF, 2, DATA + 4096]],
  ["mulsd of an absent page", "f2 0f 59 00", DATA + 4096 + 8, 0, OSFXSR, [PF, 0, DATA + 4096 + 8]],
  ["movsd to an absent page", "f2 0f 11 00", DATA + 4096 + 8, 0, OSFXSR, [PF, 2, DATA + 4096 + 8]],
  ["paddq on MMX registers, which there are none of", "0f d4 c1", 0, 0, OSFXSR, [UD, 0, 0]],
] as const;

for (const [what, bytes, eax, cr0, cr4, expected] of CASES)
  rules(`${what}: ${expected[0] === NONE ? "no fault" : `vector ${expected[0]}`}`, () => {
    assert.equal(run(bytes, eax, cr0, cr4), expected);
  });

rules("a store that faults in its second page writes nothing", () => {
  machine.memory.fill(0xaa, 0x30ff0, 0x31000);
  run("0f 11 00", DATA + 4090);
  assert.ok(machine.memory.subarray(0x30ff0, 0x31000).every((byte) => byte === 0xaa));
});

rules("LDMXCSR takes the sixteen bits there are, STMXCSR gives them back", () => {
  words[0x30000 >> 2] = 0xffbf;
  assert.equal(run("0f ae 10 0f ae 58 04", DATA), [NONE, 0, 0]);
  assert.is(words[0x30004 >> 2], 0xffbf);
  words[0x30000 >> 2] = 0x11f80;
  assert.equal(run("0f ae 10", DATA), [GP, 0, 0]);
  assert.is(machine.registers.mxcsr, 0x1f80);
});

rules("FXSAVE and FXRSTOR keep XMM registers and MXCSR", () => {
  // fxsave [eax]; xorps xmm0, xmm0; fxrstor [eax]
  assert.equal(run("0f ae 00 0f 57 c0 0f ae 08", DATA), [NONE, 0, 0]);
  assert.equal([...machine.registers.xmm.subarray(0, 4)], [1, 2, 3, 4]);
  assert.equal([...words.subarray((0x30000 + 160) >> 2, (0x30000 + 176) >> 2)], [1, 2, 3, 4]);
  assert.is(words[(0x30000 + 24) >> 2], 0x1f80);
});

/** Both ways through the interpreter: doubles in place, and what sse_hot.ts leaves to sse.ts. */
rules("memory operands of every alignment give the same double", () => {
  const at = new DataView(machine.memory.buffer);
  for (let offset = 0; offset < 16; offset++) {
    // movsd xmm0, [eax]; addsd xmm0, [eax]; movsd [eax + 32], xmm0
    at.setFloat64(0x30000 + offset, 1.5 + offset, true);
    assert.equal(run("f2 0f 10 00 f2 0f 58 00 f2 0f 11 40 20", DATA + offset), [NONE, 0, 0]);
    assert.is(at.getFloat64(0x30020 + offset, true), 3 + offset * 2);
  }
});

rules.run();
