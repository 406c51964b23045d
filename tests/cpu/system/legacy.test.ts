/** Real mode, virtual-8086 mode and 32-bit protected mode: interrupts, returns, call gates, task switches, the I/O bitmap
 *  (SDM Vol.3A "8086 Emulation", "Task Management", "Protection"). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Guest, descriptor, gate } from "./guest";
import {
  CODE, GDT, HANDLERS, IDT, KCODE, KDATA, SPARE, STACK, STACK0, TR, TSS, UCODE32, UDATA, protectedMode, realMode, runCode, setGate32,
  v86Mode,
} from "./worlds";

const guest = await Guest.create();
const VM = 0x20000;

const real = suite("Real mode");

/** Handlers are far pointers HANDLERS:16n there, so RIP is an offset. */
function realVector(): number {
  assert.is(guest.selector(Seg.cs), HANDLERS >> 4);
  return (guest.rip - 1) / 16;
}

//  name               code                      vector  offset of the pushed IP
const REAL: readonly [string, string, number, number][] = [
  ["int 0x21", "cd 21", 0x21, 2],
  ["int3", "cc", 3, 1],
  ["into with OF", "b0 7f 04 01 ce", 4, 5],
  ["ud2", "0f 0b", 6, 0],
  ["div by zero", "31 c9 f7 f1", 0, 2],
  ["bound", "b8 05 00 62 06 00 90", 5, 3],
  ["word at 0xffff", "a1 ff ff", 13, 0],
  ["mov cs", "8e c8", 6, 0],
  ["lldt does not exist", "0f 00 d0", 6, 0],
];
for (const [name, code, vector, at] of REAL)
  real(`${name}: vector ${vector}, FLAGS, CS and IP pushed, no error code`, () => {
    realMode(guest);
    runCode(guest, code);
    assert.is(realVector(), vector);
    const sp = Number(guest.gpr("rsp")) & 0xffff;
    assert.is(guest.u16(sp), CODE + at, "IP");
    assert.is(guest.u16(sp + 2), 0, "CS");
    assert.is(guest.u16(sp + 4) & 0x200, 0x200, "FLAGS");
    assert.is(guest.flags & 0x300, 0, "IF and TF are clear");
  });

real("sp wraps at 64 KiB and keeps the upper half of esp", () => {
  realMode(guest);
  guest.setGpr("rsp", 0x12340000n);
  assert.is(runCode(guest, "50 f4"), -1);
  assert.is(guest.gpr("rsp"), 0x1234fffen);
});

real("a push that straddles the end of the stack segment is #SS, which has no stack either", () => {
  realMode(guest);
  assert.is(runCode(guest, "bc 01 00 50"), "triple fault");
});

real("iret pops IP, CS and FLAGS", () => {
  realMode(guest);
  guest.set16(0x7000, 0x0010);
  guest.set16(0x7002, 0x0900);
  guest.set16(0x7004, 0x0ad7);
  guest.hex(0x9010, "f4");
  runCode(guest, "cf");
  assert.is(guest.selector(Seg.cs), 0x900);
  assert.is(guest.rip, 0x11);
  assert.is(guest.flags, 0xad7);
  assert.is(guest.gpr("rsp"), 0x7006n);
});

real("far call and far return", () => {
  realMode(guest);
  guest.hex(0x9000, "cb");
  runCode(guest, "9a 00 00 00 09 f4");
  assert.is(guest.rip, CODE + 6);
  assert.is(guest.gpr("rsp"), 0x7000n);
});

real("an IDT limit that excludes the vector raises #GP, and a triple fault if that is excluded too", () => {
  realMode(guest);
  guest.setWord(PcpuOff.idtLimit, 0x3f);
  runCode(guest, "cd 21");
  assert.is(realVector(), 13);
  guest.setWord(PcpuOff.idtLimit, 3);
  realMode(guest);
  guest.setWord(PcpuOff.idtLimit, 3);
  assert.is(runCode(guest, "cd 21"), "triple fault");
});

real("to protected mode and back keeps the descriptor caches", () => {
  realMode(guest);
  guest.set64(GDT + SPARE, descriptor(0, 0xfffff, 0xc093));
  guest.set32(0x200000, 0x1234);
  // mov eax,cr0; or al,1; mov cr0,eax; mov bx,40h; mov ds,bx; and al,fe; mov cr0,eax; mov edx,[dword 200000h]
  assert.is(runCode(guest, "0f 20 c0 0c 01 0f 22 c0 bb 40 00 8e db 24 fe 0f 22 c0 67 66 8b 15 00 00 20 00 f4"), -1);
  assert.is(guest.gpr("rdx"), 0x1234n);
});
real.run();

const prot = suite("Protected mode");

//  name                     code                              CPL vector error
const PROT: readonly [string, string, number, number, number | null][] = [
  ["ud2", "0f 0b", 3, 6, null],
  ["int 0x81 with DPL 0", "cd 81", 3, 13, 0x81 * 8 + 2],
  ["into", "b8 ff ff ff 7f 05 01 00 00 00 ce", 0, 4, null],
  ["bound", "b8 05 00 00 00 62 05 00 90 00 00", 3, 5, null],
  ["mov ds, null, then use it", "31 c0 8e d8 a1 00 90 00 00", 0, 13, 0],
  ["mov ss, null", "31 c0 8e d0", 0, 13, 0],
  ["write through cs", "2e a3 00 90 00 00", 0, 13, 0],
  ["jmp far to null", "ea 00 00 00 00 00 00", 0, 13, 0],
  ["iretd to data", "6a 02 6a 10 6a 00 cf", 0, 13, 0x10],
  ["lgdt at CPL 3", "0f 01 15 00 90 00 00", 3, 13, 0],
  ["arpl is not #UD here", "b8 00 00 00 00 b9 03 00 00 00 63 c8 cd 50", 0, 0x50, null],
];
for (const [name, code, level, vector, error] of PROT)
  prot(`${name} at CPL ${level}: vector ${vector}`, () => {
    protectedMode(guest, level);
    assert.is(runCode(guest, code), vector);
    const esp = Number(guest.gpr("rsp"));
    if (error !== null) assert.is(guest.u32(esp), error);
    if (level === 3) {
      assert.is(esp, STACK0 - (error === null ? 20 : 24));
      assert.is(guest.u32(STACK0 - 4), UDATA);
      assert.is(guest.u32(STACK0 - 8), STACK);
      assert.is(guest.u32(STACK0 - 16), UCODE32);
    }
  });

prot("a 16-bit gate pushes words", () => {
  protectedMode(guest, 0);
  guest.set64(IDT + 0x50 * 8, gate(KCODE, 0x9000, 0x86));
  guest.hex(0x9000, "f4");
  assert.is(runCode(guest, "cd 50"), -1);
  assert.is(guest.gpr("rsp"), BigInt(STACK - 6));
  assert.is(guest.u16(STACK - 6), CODE + 2);
});

//  [base, limit, attr] of ES, offset, size read  ->  faults?
const LIMITS: readonly [string, number, number, string, boolean][] = [
  ["last byte", 0xfff, 0x4093, "26 a0 ff 0f 00 00", false],
  ["one past", 0xfff, 0x4093, "26 a0 00 10 00 00", true],
  ["dword across the end", 0xfff, 0x4093, "26 a1 fd 0f 00 00", true],
  ["expand-down, inside the hole", 0xfff, 0x4097, "26 a0 ff 0f 00 00", true],
  ["expand-down, above the limit", 0xfff, 0x4097, "26 a0 00 10 00 00", false],
  ["expand-down 16-bit, above 64 KiB", 0xfff, 0x0097, "26 a0 00 00 01 00", true],
  ["write to read-only", 0xfff, 0x4091, "26 a2 00 00 00 00", true],
];
for (const [name, limit, attr, code, faults] of LIMITS)
  prot(`limit check: ${name}`, () => {
    protectedMode(guest, 0);
    guest.segment(Seg.es, SPARE, 0, limit, attr);
    assert.is(runCode(guest, `${code} f4`), faults ? 13 : -1);
  });

prot("a call gate copies parameters and a far return releases them on both stacks", () => {
  protectedMode(guest, 3);
  guest.set64(GDT + SPARE, gate(KCODE, 0xb000, 0xec, 2));
  setGate32(guest, 0x80, 0xee);
  guest.hex(0xb000, "ca 08 00");
  // push 11; push 22; call 40h:0; int 80h
  assert.is(runCode(guest, "6a 0b 6a 16 9a 00 00 00 00 40 00 cd 80"), 0x80);
  assert.is(guest.u32(STACK0 - 8), STACK, "ESP after the return: parameters are gone");
  // The gate's frame was below: EIP CS parm2 parm1 ESP SS, overwritten by the interrupt's 20 bytes except the lowest.
  assert.is(guest.u32(STACK0 - 24), CODE + 11);
});

prot("conforming code is called without a change of CPL", () => {
  protectedMode(guest, 3);
  guest.set64(GDT + SPARE, descriptor(0, 0xfffff, 0xc09f));
  setGate32(guest, 0x80, 0xee);
  guest.hex(0xb000, "cd 80");
  assert.is(runCode(guest, "ea 00 b0 00 00 40 00"), 0x80);
  assert.is(guest.u32(STACK0 - 16), SPARE | 3);
});

prot("the I/O bitmap lets CPL 3 reach a port, two bytes being read whatever the port", () => {
  //          bitmap word at port 0x80>>3..., limit, code, allowed
  const cases = [
    [0x0000, 0x68 + 0x12, "e4 80", true],
    [0x0001, 0x68 + 0x12, "e4 80", false],
    [0x0002, 0x68 + 0x12, "e4 80", true],
    [0x0002, 0x68 + 0x12, "66 e5 80", false],
    [0x0010, 0x68 + 0x12, "e5 80", true],
    [0x0008, 0x68 + 0x12, "e5 80", false],
    [0x0000, 0x68 + 0x10, "e4 80", false],
  ] as const;
  for (const [bits, limit, code, allowed] of cases) {
    protectedMode(guest, 3);
    setGate32(guest, 0x80, 0xee);
    guest.setWord(PcpuOff.segLimit + Seg.tr * 4, limit);
    guest.set16(TSS + 0x68 + 0x10, bits);
    assert.is(runCode(guest, `${code} cd 80`), allowed ? 0x80 : 13, `${code} with ${bits.toString(2)}`);
  }
});

prot("lar, lsl, verr and verw answer with ZF", () => {
  protectedMode(guest, 3);
  setGate32(guest, 0x80, 0xee);
  guest.set64(GDT + SPARE, descriptor(0, 0x12345, 0xc0f1)); // read-only, DPL 3
  // mov ecx,40h|3; lar eax,ecx; setz bl; lsl edx,ecx; verr cx; setz bh; verw cx; setz cl; int 80h
  assert.is(runCode(guest, "b9 43 00 00 00 0f 02 c1 0f 94 c3 0f 03 d1 0f 00 e1 0f 94 c7 0f 00 e9 0f 94 c1 cd 80"), 0x80);
  assert.is(guest.gpr("rax"), 0xc1f100n);
  assert.is(guest.gpr("rdx"), 0x12345fffn);
  assert.is(guest.gpr("rbx") & 0xffffn, 0x0101n);
  assert.is(guest.gpr("rcx") & 0xffn, 0n);
});
prot.run();

const v86 = suite("Virtual-8086 mode");

//  name          code        IOPL vector error  (IP of the frame is the instruction unless INT)
const V86: readonly [string, string, number, number, number | null][] = [
  ["int 0x50", "cd 50", 3, 0x50, null],
  ["int 0x50 with IOPL 0", "cd 50", 0, 13, 0],
  ["int3 is not sensitive to IOPL", "cc", 0, 3, null],
  ["cli with IOPL 0", "fa", 0, 13, 0],
  ["pushf with IOPL 0", "9c", 0, 13, 0],
  ["popf with IOPL 0", "9d", 0, 13, 0],
  ["iret with IOPL 0", "cf", 0, 13, 0],
  ["hlt", "f4", 3, 13, 0],
  ["in with IOPL 3 still asks the bitmap", "e4 80", 3, 13, 0],
  ["mov eax, cr0", "0f 20 c0", 3, 13, 0],
  ["lldt", "0f 00 d0", 3, 6, null],
];
for (const [name, code, iopl, vector, error] of V86)
  v86(`${name}: vector ${vector}, nine doublewords on the stack of CPL 0`, () => {
    v86Mode(guest, iopl);
    setGate32(guest, 0x50, 0xee);
    setGate32(guest, 3, 0xee);
    guest.segment(Seg.gs, 0x1234, 0x12340, 0xffff, 0xf3);
    assert.is(runCode(guest, code), vector);
    assert.is(Number(guest.gpr("rsp")), STACK0 - 36 - (error === null ? 0 : 4));
    assert.is(guest.u32(STACK0 - 4), 0x1234, "GS");
    assert.is(guest.u32(STACK0 - 24), 0x7000, "ESP");
    assert.is(guest.u32(STACK0 - 28) & VM, VM, "VM in the image");
    assert.is(guest.flags & VM, 0);
    assert.is(guest.selector(Seg.gs), 0, "data segments are null");
    assert.is(guest.selector(Seg.ss), KDATA);
  });

v86("iretd at CPL 0 with VM set enters it", () => {
  protectedMode(guest, 0);
  setGate32(guest, 3, 0xee);
  const items = [0x10, 0x900, VM | 0x202, 0x6000, 0x100, 0x200, 0x300, 0x400, 0x500];
  items.forEach((item, i) => guest.set32(STACK + i * 4, item));
  guest.hex(0x9010, "cc");
  assert.is(runCode(guest, "cf"), 3);
  assert.is(guest.u32(STACK0 - 36), 0x11);
  assert.is(guest.u32(STACK0 - 32), 0x900);
  assert.is(guest.u32(STACK0 - 20), 0x100, "SS");
  assert.is(guest.u32(STACK0 - 16), 0x200, "ES");
  assert.is(guest.u32(STACK0 - 4), 0x500, "GS");
});

v86("a handler segment of DPL 3 is #GP(selector)", () => {
  v86Mode(guest, 3);
  setGate32(guest, 0x50, 0xee, UCODE32 & ~3);
  assert.is(runCode(guest, "cd 50"), 13);
  assert.is(guest.u32(Number(guest.gpr("rsp"))), UCODE32 & ~3);
});
v86.run();

const task = suite("Task switches");
const NEW = 0x3400;
const NEW_TSS = SPARE;

/** An available TSS at NEW whose task halts at 0xb000. */
function newTask(overrides: Record<number, number> = {}): void {
  protectedMode(guest, 0);
  guest.set64(GDT + NEW_TSS, descriptor(NEW, 0x67, 0x89));
  const words: Record<number, number> = {
    32: 0xb000, 36: 0x202, 40: 0xa0a0, 56: 0x36000, 72: KDATA, 76: KCODE, 80: KDATA, 84: KDATA, 88: 0, 92: 0, 96: 0, ...overrides,
  };
  for (const [at, value] of Object.entries(words)) guest.set32(NEW + Number(at), value);
  guest.hex(0xb000, "f4");
}
const busy = (selector: number) => (Number(guest.u64(GDT + selector) >> 41n) & 1) === 1;
const NT = 0x4000;

task("jmp to a TSS saves the old task, loads the new one, moves the busy bit, sets CR0.TS", () => {
  newTask();
  guest.setGpr("rbx", 0x77n);
  assert.is(runCode(guest, "ea 00 00 00 00 40 00"), -1);
  assert.is(guest.rip, 0xb001);
  assert.is(guest.gpr("rax"), 0xa0a0n);
  assert.is(guest.gpr("rsp"), 0x36000n);
  assert.is(guest.u32(TSS + 32), CODE + 7, "EIP of the old task");
  assert.is(guest.u32(TSS + 52), 0x77, "EBX of the old task");
  assert.is(guest.u16(TSS + 76), KCODE);
  assert.is(guest.selector(Seg.tr), NEW_TSS);
  assert.ok(busy(NEW_TSS) && !busy(TR));
  assert.is(Number(guest.field(PcpuOff.cr0)) & 8, 8);
  assert.is(guest.flags & NT, 0);
});

task("call nests: NT, the link, both busy; iret goes back", () => {
  newTask();
  guest.hex(0xb000, "cf");
  assert.is(runCode(guest, "9a 00 00 00 00 40 00 f4"), -1);
  assert.is(guest.rip, CODE + 8);
  assert.is(guest.u16(NEW), TR, "link");
  assert.ok(busy(TR) && !busy(NEW_TSS));
  assert.is(guest.u32(NEW + 32), 0xb001);
  assert.is(guest.u32(NEW + 36) & NT, 0, "NT is clear in the image IRET saves");
});

task("an exception through a task gate pushes its error code on the new stack", () => {
  newTask();
  guest.set64(IDT + 13 * 8, gate(NEW_TSS, 0, 0x85));
  guest.setGpr("rax", 0n);
  assert.is(runCode(guest, "8e d0"), -1); // mov ss, null
  assert.is(guest.rip, 0xb001);
  assert.is(guest.gpr("rsp"), 0x35ffcn);
  assert.is(guest.u32(0x35ffc), 0);
  assert.is(guest.u32(TSS + 32), CODE);
  assert.is(guest.flags & NT, NT);
});

task("a double fault is caught by a task gate", () => {
  newTask();
  setGate32(guest, 13, 0x0e);
  guest.set64(IDT + 8 * 8, gate(NEW_TSS, 0, 0x85));
  assert.is(runCode(guest, "31 c0 8e d0"), -1);
  assert.is(guest.rip, 0xb001);
});

//  what is wrong with the new task             vector error
const BROKEN: readonly [string, Record<number, number>, number, number][] = [
  ["null CS", { 76: 0 }, 10, 0],
  ["CS is data", { 76: KDATA }, 10, KDATA],
  ["SS is null", { 80: 0 }, 10, 0],
  ["SS of another RPL", { 80: UDATA }, 10, UDATA & ~3],
  ["DS is a TSS", { 84: TR }, 10, TR],
  ["LDT is a TSS", { 96: TR }, 10, TR],
];
for (const [name, words, vector, error] of BROKEN)
  task(`${name}: vector ${vector}, error code ${error.toString(16)}, in the new task`, () => {
    newTask(words);
    // deliver into a task of its own: the new one may have no usable stack
    guest.set64(GDT + NEW_TSS + 8, descriptor(0x3800, 0x67, 0x89));
    const words2: Record<number, number> = { 32: 0xc000, 36: 2, 56: 0x37000, 72: KDATA, 76: KCODE, 80: KDATA, 84: KDATA };
    for (const [at, value] of Object.entries(words2)) guest.set32(0x3800 + Number(at), value);
    guest.set64(IDT + vector * 8, gate(NEW_TSS + 8, 0, 0x85));
    guest.hex(0xc000, "f4");
    assert.is(runCode(guest, "ea 00 00 00 00 40 00"), -1);
    assert.is(guest.rip, 0xc001);
    assert.is(guest.u32(0x36ffc), error);
    assert.is(guest.u16(0x3800), NEW_TSS, "the broken task is the one interrupted");
    assert.is(guest.u32(NEW + 32), 0xb000, "at its first instruction");
  });

//  old-task faults
const BAD_TSS: readonly [string, bigint, number, number][] = [
  ["limit too small", descriptor(NEW, 0x66, 0x89), 10, NEW_TSS],
  ["not present", descriptor(NEW, 0x67, 0x09), 11, NEW_TSS],
  ["busy", descriptor(NEW, 0x67, 0x8b), 13, NEW_TSS],
];
for (const [name, d, vector, error] of BAD_TSS)
  task(`jmp to a TSS that is ${name}: vector ${vector} in the old task`, () => {
    newTask();
    guest.set64(GDT + NEW_TSS, d);
    assert.is(runCode(guest, "ea 00 00 00 00 40 00"), vector);
    assert.is(guest.u32(Number(guest.gpr("rsp"))), error);
    assert.is(guest.u32(Number(guest.gpr("rsp")) + 4), CODE);
    assert.is(guest.selector(Seg.tr), TR);
  });

task("a 16-bit TSS loads ten words and four segments", () => {
  newTask();
  guest.set64(GDT + NEW_TSS, descriptor(NEW, 43, 0x81));
  const words: Record<number, number> = { 14: 0xb000, 16: 0x202, 18: 0x5555, 26: 0x6000, 34: KDATA, 36: KCODE, 38: KDATA, 40: KDATA, 42: 0 };
  for (const [at, value] of Object.entries(words)) guest.set16(NEW + Number(at), value);
  assert.is(runCode(guest, "ea 00 00 00 00 40 00"), -1);
  assert.is(guest.rip, 0xb001);
  assert.is(guest.gpr("rax") & 0xffffn, 0x5555n);
  assert.is(guest.selector(Seg.fs), 0);
});

task("the T flag traps at the new task's first instruction", () => {
  newTask({ 100: 1 });
  assert.is(runCode(guest, "ea 00 00 00 00 40 00"), 1);
  assert.is(guest.u32(Number(guest.gpr("rsp"))), 0xb000);
  assert.is(Number(guest.field(PcpuOff.dr + 32)) & 0x8000, 0x8000);
});
task.run();
