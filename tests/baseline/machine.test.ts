/** What a kernel relies on: ports, interrupts, privilege levels, page faults with their error codes, code that changes, and exact
 *  budgets. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BaselineMachine, type BaselineOptions } from "../../src/baseline";

const test = suite("baseline machine");
const CODE = 0x10000;
const HANDLER = 0x11000;
const [GDT, IDT, TSS, DIRECTORY, TABLE] = [0x1000, 0x1800, 0x2000, 0x20000, 0x21000];
const hex = (text: string) => Uint8Array.from(text.split(/\s+/).map((b) => Number.parseInt(b, 16)));

/** GDT: 08 code, 10 data, 1b and 23 the same for level 3. Every vector's handler is a HLT at HANDLER + vector * 16. */
function pc(code: string, options: Partial<BaselineOptions> = {}): BaselineMachine {
  const m = new BaselineMachine({ memoryBytes: 1 << 20, ...options });
  const words = new Uint32Array(m.memory.buffer);
  [0, 0x00cf9b00, 0x00cf9300, 0x00cffb00, 0x00cff300, 0x00008900].forEach((high, i) => {
    words[(GDT >> 2) + i * 2] = i ? 0xffff : 0;
    words[(GDT >> 2) + i * 2 + 1] = high;
  });
  words[(GDT >> 2) + 10] = (TSS << 16) | 0x67;
  for (let v = 0; v < 256; v++) {
    words[(IDT >> 2) + v * 2] = 0x80000 | ((HANDLER + v * 16) & 0xffff);
    words[(IDT >> 2) + v * 2 + 1] = ((HANDLER >> 16) << 16) | 0xee00;
    m.memory[HANDLER + v * 16] = 0xf4;
  }
  words[(TSS >> 2) + 1] = 0x7000;
  words[(TSS >> 2) + 2] = 0x10;
  m.registers.setTable("gdt", GDT, 0x2f);
  m.registers.setTable("idt", IDT, 0x7ff);
  m.registers.setSegment("tr", { selector: 0x28, base: TSS, limit: 0x67, attributes: 0x8b });
  m.load(CODE, hex(code));
  m.registers.general[4] = 0x8000;
  m.registers.eip = CODE;
  return m;
}
const stack = (m: BaselineMachine, n: number) => new DataView(m.memory.buffer).getUint32(m.registers.general[4] + n * 4, true);
const vector = (m: BaselineMachine) => (m.registers.eip - 1 - HANDLER) / 16;

test("ports go to the handlers with their size, and stop() ends the run after the instruction", () => {
  const seen: unknown[] = [];
  // in al, 60h; mov dx, 3f8h; out dx, ax; inc eax; hlt
  const m = pc("e4 60 66 ba f8 03 66 ef 40 f4", {
    onPortRead: (port, size) => {
      seen.push(["in", port, size]);
      return 0x5a;
    },
    onPortWrite: (port, value, size) => {
      seen.push(["out", port, value, size]);
      m.stop();
    },
  });
  assert.equal(m.run(100), { reason: "stop", instructions: 3 });
  assert.equal(seen, [
    ["in", 0x60, 1],
    ["out", 0x3f8, 0x5a, 2],
  ]);
  assert.equal(m.run(100), { reason: "halt", instructions: 2 });
});

test("a budget is exact", () => {
  const m = pc("40 eb fd"); // inc eax; jmp -3
  for (const n of [1, 2, 127, 128, 129, 1000, 100_001]) {
    const before = m.registers.general[0];
    assert.equal(m.run(n), { reason: "budget", instructions: n });
    assert.ok(Math.abs(m.registers.general[0] - before - n / 2) <= 0.5);
  }
});

test("an external interrupt waits for IF and one more instruction after STI, and wakes from HLT", () => {
  const m = pc("fa f4 fb 40 40 f4"); // cli; hlt; sti; inc eax; inc eax; hlt
  assert.is(m.run(10).reason, "halt");
  m.interrupt(0x30);
  assert.is(m.run(10).reason, "halt");
  m.registers.eip = CODE + 2;
  m.run(10);
  assert.is(vector(m), 0x30);
  assert.is(m.registers.general[0], 1);
  assert.is(stack(m, 0), CODE + 4);
  assert.is(stack(m, 2) & 0x200, 0x200);
  assert.is(m.registers.eflags & 0x200, 0);
});

test("IRET to level 3, an interrupt back to level 0 on the stack of the TSS", () => {
  // push 23h; push 9000h; push 202h; push 1bh; push user; iret; user: int 80h
  const m = pc("6a 23 68 00 90 00 00 68 02 02 00 00 6a 1b 68 14 00 01 00 cf cd 80");
  assert.is(m.run(100).reason, "halt");
  assert.is(vector(m), 0x80);
  assert.is(m.registers.cpl, 0);
  assert.equal([0, 1, 3, 4].map((n) => stack(m, n)), [CODE + 22, 0x1b, 0x9000, 0x23]);
  assert.is(m.registers.general[4], 0x7000 - 20);
});

test("HLT at level 3 is #GP(0) at the instruction; the data segments of level 0 are gone", () => {
  const m = pc("6a 23 68 00 90 00 00 68 02 02 00 00 6a 1b 68 14 00 01 00 cf f4");
  m.registers.setSegment("ds", { selector: 0x10, base: 0, limit: 0xffffffff, attributes: 0xc093 });
  m.run(100);
  assert.is(vector(m), 13);
  assert.equal([0, 1].map((n) => stack(m, n)), [0, CODE + 20]);
  assert.is(m.registers.segment("ds").selector, 0);
});

/** SDM Vol.3A "Page-Fault Exceptions": P W U of the error code; supervisor writes to read-only pages need CR0.WP. */
const RIGHTS = [
  // PDE, PTE, CR0.WP, write -> error code, null without a fault
  [7, 0, 0, false, 0],
  [7, 0, 0, true, 2],
  [6, 7, 0, false, 0],
  [7, 1, 0, false, null],
  [7, 1, 0, true, null],
  [7, 1, 0x10000, true, 3],
  [5, 7, 0x10000, true, 3],
  [7, 7, 0x10000, true, null],
] as const;
for (const [pde, pte, wp, write, error] of RIGHTS)
  test(`a supervisor's ${write ? "write" : "read"} with PDE ${pde}, PTE ${pte}, WP ${wp >> 16}: ${error === null ? "no fault" : `#PF(${error})`}`, () => {
    const m = pc(write ? "89 05 10 30 40 00 f4" : "8b 05 10 30 40 00 f4"); // mov [403010h], eax
    const words = new Uint32Array(m.memory.buffer);
    words[DIRECTORY >> 2] = 0x83;
    words[(DIRECTORY >> 2) + 1] = TABLE | pde;
    words[(TABLE >> 2) + 3] = 0x30000 | pte;
    m.registers.setControl(3, DIRECTORY);
    m.registers.setControl(4, 0x10);
    m.registers.setControl(0, 0x80000011 | wp);
    assert.is(m.run(10).reason, "halt");
    if (error === null) {
      assert.is(m.registers.eip, CODE + 7);
      assert.is(words[(TABLE >> 2) + 3], 0x30000 | pte | 0x20 | (write ? 0x40 : 0));
      return;
    }
    assert.is(vector(m), 14);
    assert.equal([0, 1].map((n) => stack(m, n)), [error, CODE]);
    assert.is(m.registers.control(2), 0x403010);
  });

test("an instruction that rewrites the next one", () => {
  const m = pc("c6 05 07 00 01 00 43 40 f4"); // mov byte [next], 43h (inc ebx); inc eax; hlt
  m.run(10);
  assert.equal([m.registers.general[0], m.registers.general[3]], [0, 1]);
});

test("an instruction across a page's end follows changes of both pages", () => {
  const m = pc("f4");
  const at = CODE + 0xffe;
  for (const value of [0x11223344, 0x55667788]) {
    const code = hex("b8 00 00 00 00 f4");
    new DataView(code.buffer).setUint32(1, value, true);
    m.load(at, code);
    m.registers.eip = at;
    m.run(10);
    assert.is(m.registers.general[0], value);
  }
  m.load(at + 2, hex("99 99 99"));
  m.registers.eip = at;
  m.run(10);
  assert.is(m.registers.general[0] >>> 0, 0x99999988);
});

test("TF traps after each instruction with DR6.BS; POPF's own next one first", () => {
  const m = pc("68 02 01 00 00 9d 40 40 f4"); // push 102h; popf; inc eax; inc eax
  m.run(10);
  assert.is(vector(m), 1);
  assert.is(m.registers.general[0], 1);
  assert.is(stack(m, 0), CODE + 7);
});

test("without a usable IDT a fault shuts the processor down", () => {
  const m = pc("0f 0b");
  m.registers.setTable("idt", 0, 0);
  assert.is(m.run(10).reason, "shutdown");
});

test("REP MOVS stops at a fault with its registers up to date, and overlapping bytes propagate", () => {
  const m = pc("f3 a4 f4");
  m.memory.set([1, 2, 3, 4], 0x30000);
  m.registers.general.set([0, 64, 0, 0, 0x8000, 0, 0x30000, 0x30002]);
  assert.is(m.run(10).reason, "halt");
  assert.equal([...m.memory.subarray(0x30000, 0x30008)], [1, 2, 1, 2, 1, 2, 1, 2]);
  assert.equal([...m.registers.general.subarray(6, 8), m.registers.general[1]], [0x30040, 0x30042, 0]);
});

test("an ELF file with a PVH note starts there with EBX at its start info", () => {
  const elf = new Uint8Array(0x100);
  const view = new DataView(elf.buffer);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(18, 3, true);
  view.setUint32(24, 0x100000 - 0x40000, true);
  view.setUint32(28, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, 2, true);
  [1, 0xc0, 0, 0xc0000, 8, 16, 7, 0].forEach((x, i) => view.setUint32(52 + i * 4, x, true));
  [4, 0xd0, 0, 0, 20, 20, 0, 0].forEach((x, i) => view.setUint32(84 + i * 4, x, true));
  elf.set([0x8b, 0x03, 0xf4], 0xc0); // mov eax, [ebx]; hlt
  [4, 4, 18, 0x006e6558, 0xc0000].forEach((x, i) => view.setUint32(0xd0 + i * 4, x, true));
  const m = new BaselineMachine({ memoryBytes: 1 << 20 });
  m.loadElf(elf, "hello");
  assert.is(m.run(10).reason, "halt");
  assert.is(m.registers.general[0], 0x336ec578);
  assert.throws(() => m.loadElf(new Uint8Array(100)), /not an ELF/);
});

test.run();
