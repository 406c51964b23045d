/** Exceptions in 64-bit mode: what is pushed, which error code, which RIP, RF, CR2; privilege change, IST, double and triple
 *  faults (SDM Vol.3A "Interrupt and Exception Handling"; "64-Bit Mode Stack Frame"). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Guest, descriptor } from "./guest";
import { CODE, GDT, IST1, KCODE, KDATA, SPARE, STACK, STACK0, UCODE, UDATA, handler, longMode, runCode, setGate64 } from "./worlds";

const guest = await Guest.create();
const RF = 0x10000n;

const frames = suite("Exceptions in 64-bit mode");

//  instruction               code                              CPL vector error  rip past the instruction?
const CASES: readonly [string, string, number, number, number | null, boolean][] = [
  ["ud2", "0f 0b", 3, 6, null, false],
  ["ud2", "0f 0b", 0, 6, null, false],
  ["int3", "cc", 0, 3, null, true],
  ["int1", "f1", 3, 1, null, true],
  ["int 0x81 with a gate of DPL 0", "cd 81", 3, 13, 0x81 * 8 + 2, false],
  ["int 0x81", "cd 81", 0, 0x81, null, true],
  ["div by zero", "31 c9 f7 f1", 3, 0, null, false],
  ["cli with IOPL 0", "fa", 3, 13, 0, false],
  ["sti with IOPL 0", "fb", 3, 13, 0, false],
  ["hlt", "f4", 3, 13, 0, false],
  ["mov rax, cr0", "0f 20 c0", 3, 13, 0, false],
  ["mov cr1, rax", "0f 22 c8", 0, 6, null, false],
  ["mov cr8, 0x10", "b8 10 00 00 00 44 0f 22 c0", 0, 13, 0, false],
  ["in al, 0x80 without a bitmap", "e4 80", 3, 13, 0, false],
  ["rdmsr", "0f 32", 3, 13, 0, false],
  ["rdmsr of an unknown register", "b9 ff ff 00 00 0f 32", 0, 13, 0, false],
  ["wrmsr of a non-canonical LSTAR", "b9 82 00 00 c0 31 c0 ba 00 00 01 00 0f 30", 0, 13, 0, false],
  ["mov [non-canonical]", "48 b8 00 00 00 00 00 00 01 00 8b 00", 3, 13, 0, false],
  ["push fs at a non-canonical rsp", "48 bc 00 00 00 00 00 00 01 00 0f a0", 3, 12, 0, false],
  ["jmp to a non-canonical address", "48 b8 00 00 00 00 00 00 01 00 ff e0", 3, 13, 0, false],
  ["mov ds, beyond the GDT", "b8 f8 01 00 00 8e d8", 3, 13, 0x1f8, false],
  ["mov ds, a TSS", "b8 30 00 00 00 8e d8", 0, 13, 0x30, false],
  ["mov ss, null at CPL 3", "31 c0 8e d0", 3, 13, 0, false],
  ["mov cs", "8e c8", 0, 6, null, false],
  ["mov seg 6", "8e f0", 0, 6, null, false],
  ["lldt of code", "b8 08 00 00 00 0f 00 d0", 0, 13, 8, false],
  ["ltr of a busy TSS", "b8 30 00 00 00 0f 00 d8", 0, 13, 0x30, false],
  ["ltr of null", "31 c0 0f 00 d8", 0, 13, 0, false],
  ["swapgs", "0f 01 f8", 3, 13, 0, false],
  ["invlpg", "0f 01 38", 3, 13, 0, false],
  ["rdfsbase without CR4.FSGSBASE", "f3 48 0f ae c0", 3, 6, null, false],
  ["xgetbv without CR4.OSXSAVE", "0f 01 d0", 3, 6, null, false],
  ["monitor", "0f 01 c8", 0, 6, null, false],
  ["rsm", "0f aa", 0, 6, null, false],
  ["sysret at CPL 3", "48 0f 07", 3, 13, 0, false],
  ["mov dr4 with CR4.DE clear is DR6, but privileged", "0f 21 e0", 3, 13, 0, false],
  ["clac at CPL 3", "0f 01 ca", 3, 6, null, false],
  ["push es does not exist", "06", 3, 6, null, false],
  ["iret with NT", "9c 81 0c 24 00 40 00 00 9d 48 cf", 0, 13, 0, false],
];

for (const [name, code, level, vector, error, past] of CASES)
  frames(`${name} at CPL ${level}: vector ${vector}${error === null ? "" : `, error code ${error.toString(16)}`}`, () => {
    longMode(guest, level);
    assert.is(runCode(guest, code), vector);
    const length = code.split(" ").length;
    let at = Number(guest.gpr("rsp"));
    if (error !== null) {
      assert.is(guest.u64(at), BigInt(error), "error code");
      at += 8;
    }
    const rip = Number(guest.u64(at));
    if (past) assert.is(rip, CODE + length, "rip");
    else assert.ok(rip >= CODE && rip < CODE + length, `rip ${rip.toString(16)} is in the code`);
    assert.is(guest.u64(at + 8), BigInt(level ? UCODE : KCODE), "cs");
    assert.is(guest.u64(at + 16) & RF, past ? 0n : RF, "RF");
    assert.is(at % 16, 8, "the frame is aligned below SS, RSP, RFLAGS, CS, RIP");
    assert.is(guest.cpl, 0);
    if (level) {
      assert.is(guest.selector(Seg.ss), 0, "SS is null");
      assert.is(at, STACK0 - 40, "stack of the TSS");
      assert.is(guest.u64(at + 32), BigInt(UDATA));
    } else assert.is(guest.u64(at + 32), BigInt(guest.selector(Seg.ss)), "SS is kept");
    assert.is(guest.flags & 0x200, 0, "interrupt gate clears IF");
  });

frames("a trap gate keeps IF, both clear TF and NT", () => {
  longMode(guest, 0);
  setGate64(guest, 0x50, 0x8f);
  assert.is(runCode(guest, "cd 50"), 0x50);
  assert.is(guest.flags & 0x200, 0x200);
});

frames("int n through a gate of DPL 3 from CPL 3", () => {
  longMode(guest, 3);
  setGate64(guest, 0x80, 0xee);
  assert.is(runCode(guest, "cd 80"), 0x80);
  assert.is(guest.u64(STACK0 - 40), BigInt(CODE + 2));
  assert.is(guest.u64(STACK0 - 16), BigInt(STACK));
});

frames("a page fault pushes its error code and sets CR2", () => {
  longMode(guest, 3);
  assert.is(runCode(guest, "89 04 25 00 00 50 00"), 14); // mov [0x500000], eax
  assert.is(guest.u64(STACK0 - 48), 6n, "write, user, not present");
  assert.is(guest.field(PcpuOff.cr2), 0x500000n);
  assert.is(guest.u64(STACK0 - 40), BigInt(CODE));
});

frames("a fetch from an unmapped page faults at the target", () => {
  longMode(guest, 3);
  assert.is(runCode(guest, "b8 00 00 50 00 ff e0"), 14);
  assert.is(guest.u64(STACK0 - 40), 0x500000n, "rip is the target");
  assert.is(guest.field(PcpuOff.cr2), 0x500000n);
});

frames("IST switches stacks without a change of privilege", () => {
  longMode(guest, 0);
  setGate64(guest, 6, 0x8e, 1);
  assert.is(runCode(guest, "0f 0b"), 6);
  assert.is(Number(guest.gpr("rsp")), IST1 - 40);
  assert.is(guest.selector(Seg.ss), KDATA, "SS stays: CPL did not change");
});

frames("the frame is aligned to 16 bytes whatever RSP was", () => {
  longMode(guest, 0);
  guest.setGpr("rsp", BigInt(STACK - 3));
  assert.is(runCode(guest, "0f 0b"), 6);
  assert.is(Number(guest.gpr("rsp")), STACK - 16 - 40);
  assert.is(guest.u64(STACK - 16 - 16), BigInt(STACK - 3), "RSP as it was");
});

frames("a frame across two pages is written whole", () => {
  longMode(guest, 0);
  guest.setGpr("rsp", BigInt(STACK + 16));
  assert.is(runCode(guest, "0f 0b"), 6);
  assert.is(guest.u64(STACK + 16 - 40), BigInt(CODE));
  assert.is(guest.u64(STACK + 16 - 16), BigInt(STACK + 16));
});
frames.run();

const nested = suite("Exceptions during delivery");
const notPresent = 0x0e;

nested("a benign exception whose gate is not present gives #NP with EXT", () => {
  longMode(guest, 0);
  setGate64(guest, 6, notPresent);
  assert.is(runCode(guest, "0f 0b"), 11);
  assert.is(guest.u64(Number(guest.gpr("rsp"))), BigInt(6 * 8 + 2 + 1));
  assert.is(guest.u64(Number(guest.gpr("rsp")) + 8), BigInt(CODE), "rip of the first instruction");
});

nested("INT n whose gate is not present gives #NP without EXT", () => {
  longMode(guest, 0);
  setGate64(guest, 0x77, notPresent);
  assert.is(runCode(guest, "cd 77"), 11);
  assert.is(guest.u64(Number(guest.gpr("rsp"))), BigInt(0x77 * 8 + 2));
  assert.is(guest.u64(Number(guest.gpr("rsp")) + 8), BigInt(CODE), "rip of the INT");
});

nested("contributory after contributory is a double fault with error code 0", () => {
  longMode(guest, 0);
  setGate64(guest, 13, notPresent);
  assert.is(runCode(guest, "b9 ff ff 00 00 0f 32"), 8);
  assert.is(guest.u64(Number(guest.gpr("rsp"))), 0n);
});

nested("contributory after a page fault is a double fault", () => {
  longMode(guest, 0);
  setGate64(guest, 14, notPresent);
  assert.is(runCode(guest, "8b 04 25 00 00 50 00"), 8);
  assert.is(guest.field(PcpuOff.cr2), 0x500000n);
});

nested("a page fault after a page fault is a double fault, and CR2 is the second's", () => {
  longMode(guest, 0);
  setGate64(guest, 8, 0x8e, 1);
  assert.is(runCode(guest, "bc 00 00 60 00 50"), 8); // the frame goes where the push could not
  assert.is(guest.field(PcpuOff.cr2), 0x600000n - 48n);
});

nested("a page fault after a contributory exception is delivered by itself", () => {
  longMode(guest, 0);
  setGate64(guest, 14, 0x8e, 1);
  assert.is(runCode(guest, "bc 00 00 60 00 b9 ff ff 00 00 0f 32"), 14);
});

nested("a fault while delivering a double fault shuts down", () => {
  longMode(guest, 0);
  setGate64(guest, 13, notPresent);
  setGate64(guest, 8, notPresent);
  assert.is(runCode(guest, "b9 ff ff 00 00 0f 32"), "triple fault");
});

nested("an IDT too short for #GP shuts down", () => {
  longMode(guest, 0);
  guest.setWord(PcpuOff.idtLimit, 0);
  assert.is(runCode(guest, "0f 0b"), "triple fault");
});

nested("after a nested fault was handled, the next is not taken for a third", () => {
  longMode(guest, 0);
  setGate64(guest, 6, notPresent);
  guest.hex(handler(11), "0f 0b"); // #NP's handler raises #UD, whose delivery raises #NP again: 6 and 11 again, no #DF
  guest.hex(handler(8), "f4");
  guest.hex(CODE, "0f 0b");
  assert.is(guest.run(CODE, 200), 1 /* budget: it goes on */);
});
nested.run();

const selectors = suite("Segment loads in 64-bit mode");

//  name                 descriptor                          selector  CPL  vector error
const LOADS: readonly [string, bigint, string, number, number, number][] = [
  ["data not present", descriptor(0, 0xfffff, 0xc013), "8e d8", 0, 11, SPARE],
  ["stack not present", descriptor(0, 0xfffff, 0xc013), "8e d0", 0, 12, SPARE],
  ["read-only stack", descriptor(0, 0xfffff, 0xc091), "8e d0", 0, 13, SPARE],
  ["stack of DPL 3 at CPL 0", descriptor(0, 0xfffff, 0xc0f3), "8e d0", 0, 13, SPARE],
  ["execute-only code in DS", descriptor(0, 0xfffff, 0xc099), "8e d8", 0, 13, SPARE],
  ["data of DPL 0 at CPL 3", descriptor(0, 0xfffff, 0xc093), "8e d8", 3, 13, SPARE],
  ["system descriptor", descriptor(0, 0xfffff, 0x8082), "8e d8", 0, 13, SPARE],
];
for (const [name, d, code, level, vector, error] of LOADS)
  selectors(`${name}: vector ${vector}`, () => {
    longMode(guest, level);
    guest.set64(GDT + SPARE, d);
    guest.setGpr("rax", BigInt(SPARE));
    assert.is(runCode(guest, code), vector);
    assert.is(guest.u64(Number(guest.gpr("rsp"))), BigInt(error));
  });

selectors("a load sets the accessed bit and takes base, limit and rights", () => {
  longMode(guest, 0);
  guest.set64(GDT + SPARE, descriptor(0x12345678, 0x00fff, 0x40f2));
  guest.setGpr("rax", BigInt(SPARE | 3));
  assert.is(runCode(guest, "8e e0 f4"), -1);
  assert.is(guest.selector(Seg.fs), SPARE | 3);
  assert.is(guest.field(PcpuOff.segBase + Seg.fs * 8), 0x12345678n);
  assert.is(guest.word(PcpuOff.segLimit + Seg.fs * 4), 0xfff);
  assert.is(guest.word(PcpuOff.segAttr + Seg.fs * 4), 0x40f3);
  assert.is(guest.u64(GDT + SPARE), descriptor(0x12345678, 0x00fff, 0x40f3));
});

selectors("null in SS is allowed below CPL 3 when RPL equals CPL", () => {
  longMode(guest, 0);
  assert.is(runCode(guest, "31 c0 8e d0 f4"), -1);
  assert.is(guest.selector(Seg.ss), 0);
});

selectors("conforming readable code may be in DS at any CPL", () => {
  longMode(guest, 3);
  setGate64(guest, 0x80, 0xee);
  guest.set64(GDT + SPARE, descriptor(0, 0xfffff, 0xc09f));
  guest.setGpr("rax", BigInt(SPARE | 3));
  assert.is(runCode(guest, "8e d8 cd 80"), 0x80);
});
selectors.run();
