/** Returns and calls between privilege levels and code sizes in IA-32e mode: IRET, SYSCALL and SYSRET, SYSENTER and SYSEXIT,
 *  far transfers and 64-bit call gates (SDM Vol.2; AMD APM Vol.3 SYSCALL). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Mode, PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Guest, descriptor, gate } from "./guest";
import { CODE, DATA, GDT, KCODE, KDATA, SPARE, STACK, STACK0, UCODE, UCODE32, UDATA, longMode, runCode, setGate64 } from "./worlds";

const guest = await Guest.create();

/** Puts an IRET frame of `size`-byte items at STACK. */
function frame(size: number, ...items: number[]): void {
  items.forEach((item, i) => (size === 8 ? guest.set64(STACK + i * 8, BigInt(item)) : size === 4 ? guest.set32(STACK + i * 4, item) : guest.set16(STACK + i * 2, item)));
}

const iret = suite("IRET in IA-32e mode");
const USER = 0xa000; // int 0x80 there, DPL 3 gate

function toUser(): void {
  setGate64(guest, 0x80, 0xee);
  guest.hex(USER, "cd 80");
}

iret("iretq to CPL 3, and the way back sees what it popped", () => {
  longMode(guest, 0);
  toUser();
  frame(8, USER, UCODE, 0x246, 0x12340, UDATA);
  assert.is(runCode(guest, "48 cf"), 0x80);
  assert.is(guest.u64(STACK0 - 40), BigInt(USER + 2));
  assert.is(guest.u64(STACK0 - 32), BigInt(UCODE));
  assert.is(guest.u64(STACK0 - 24), 0x246n);
  assert.is(guest.u64(STACK0 - 16), 0x12340n);
  assert.is(guest.u64(STACK0 - 8), BigInt(UDATA));
});

iret("to 32-bit compatibility mode at CPL 3", () => {
  longMode(guest, 0);
  toUser();
  guest.hex(USER, "40 cd 80"); // inc eax: a REX prefix in 64-bit code
  guest.setGpr("rax", 0xffffffffn);
  frame(8, USER, UCODE32, 0x202, 0x12340, UDATA);
  assert.is(runCode(guest, "48 cf"), 0x80);
  assert.is(guest.gpr("rax"), 0n);
  assert.is(guest.u64(STACK0 - 32), BigInt(UCODE32));
});

iret("at the same privilege pops SS:RSP too, and null SS is allowed at CPL 0", () => {
  longMode(guest, 0);
  guest.hex(USER, "f4");
  frame(8, USER, KCODE, 0x202, 0x12340, 0);
  assert.is(runCode(guest, "48 cf"), -1);
  assert.is(guest.rip, USER + 1);
  assert.is(guest.gpr("rsp"), 0x12340n);
  assert.is(guest.selector(Seg.ss), 0);
});

iret("iretd in 64-bit mode pops five doublewords", () => {
  longMode(guest, 0);
  guest.hex(USER, "f4");
  frame(4, USER, KCODE, 0x202, 0x12340, KDATA);
  assert.is(runCode(guest, "cf"), -1);
  assert.is(guest.gpr("rsp"), 0x12340n);
});

iret("unblocks NMIs", () => {
  longMode(guest, 0);
  guest.hex(USER, "f4");
  guest.setWord(PcpuOff.nmiBlocked, 1);
  frame(8, USER, KCODE, 0x202, 0x12340, 0);
  runCode(guest, "48 cf");
  assert.is(guest.word(PcpuOff.nmiBlocked), 0);
});

iret("data segments CPL 3 may not use become null", () => {
  longMode(guest, 0);
  toUser();
  guest.segment(Seg.ds, KDATA, 0, 0xffffffff, 0xc093);
  guest.segment(Seg.es, UDATA, 0, 0xffffffff, 0xc0f3);
  frame(8, USER, UCODE, 0x202, 0x12340, UDATA);
  runCode(guest, "48 cf");
  assert.is(guest.selector(Seg.ds), 0);
  assert.is(guest.selector(Seg.es), UDATA);
});

//  frame                                      vector error
const BAD: readonly [string, number[], number, number][] = [
  ["null CS", [USER, 0, 0x202, 0x1000, UDATA], 13, 0],
  ["CS beyond the GDT", [USER, 0x200 + 3, 0x202, 0x1000, UDATA], 13, 0x200],
  ["data in CS", [USER, UDATA, 0x202, 0x1000, UDATA], 13, UDATA & ~3],
  ["CS of DPL 0 with RPL 3", [USER, KCODE | 3, 0x202, 0x1000, UDATA], 13, KCODE],
  ["null SS at CPL 3", [USER, UCODE, 0x202, 0x1000, 0], 13, 0],
  ["SS of DPL 0 at CPL 3", [USER, UCODE, 0x202, 0x1000, KDATA], 13, KDATA],
  ["SS with another RPL", [USER, UCODE, 0x202, 0x1000, UDATA & ~3], 13, UDATA & ~3],
  ["CS with L and D", [USER, SPARE | 3, 0x202, 0x1000, UDATA], 13, SPARE],
  ["CS not present", [USER, (SPARE + 8) | 3, 0x202, 0x1000, UDATA], 11, SPARE + 8],
  ["SS not present", [USER, UCODE, 0x202, 0x1000, (SPARE + 16) | 3], 12, SPARE + 16],
  ["RIP beyond a compatibility segment", [USER, (SPARE + 24) | 3, 0x202, 0x1000, UDATA], 13, 0],
];
for (const [name, items, vector, error] of BAD)
  iret(`${name}: vector ${vector}, error code ${error.toString(16)}, nothing popped`, () => {
    longMode(guest, 0);
    guest.set64(GDT + SPARE, descriptor(0, 0xfffff, 0xe0fb));
    guest.set64(GDT + SPARE + 8, descriptor(0, 0xfffff, 0xa07b));
    guest.set64(GDT + SPARE + 16, descriptor(0, 0xfffff, 0xc073));
    guest.set64(GDT + SPARE + 24, descriptor(0, 0xff, 0x40fb));
    guest.setGpr("rsp", BigInt(STACK - 0x40));
    items.forEach((item, i) => guest.set64(STACK - 0x40 + i * 8, BigInt(item)));
    assert.is(runCode(guest, "48 cf"), vector);
    const at = Number(guest.gpr("rsp"));
    assert.is(guest.u64(at), BigInt(error));
    assert.is(guest.u64(at + 8), BigInt(CODE));
    assert.is(guest.u64(at + 32), BigInt(STACK - 0x40));
    assert.is(guest.selector(Seg.cs), KCODE);
  });

iret("IF and IOPL change only as CPL and IOPL allow", () => {
  //        CPL  before   image    after
  const cases = [
    [0, 0x002, 0x3202, 0x3202],
    [3, 0x202, 0x3002, 0x0202],
    [3, 0x3202, 0x0002, 0x3002],
  ] as const;
  for (const [level, before, image, after] of cases) {
    longMode(guest, level);
    toUser();
    guest.setField(PcpuOff.rflags, BigInt(before));
    if (level === 0) guest.hex(USER, "f4");
    frame(8, USER, level ? UCODE : KCODE, image, 0x12340, level ? UDATA : KDATA);
    runCode(guest, "48 cf");
    const seen = level ? Number(guest.u64(STACK0 - 24)) : guest.flags;
    assert.is(seen & 0x3202, after);
  }
});
iret.run();

const fast = suite("SYSCALL, SYSRET, SYSENTER, SYSEXIT");
const ENTRY = 0xb000;

function msrs(): void {
  guest.setField(PcpuOff.star, (BigInt(KCODE) << 32n) | (BigInt(0x18 | 3) << 48n));
  guest.setField(PcpuOff.lstar, BigInt(ENTRY));
  guest.setField(PcpuOff.sfmask, 0x200n);
  guest.hex(ENTRY, "f4");
}

fast("syscall saves RIP and RFLAGS, masks RFLAGS, loads fixed segments", () => {
  longMode(guest, 3);
  msrs();
  assert.is(runCode(guest, "0f 05"), -1);
  assert.is(guest.rip, ENTRY + 1);
  assert.is(guest.gpr("rcx"), BigInt(CODE + 2));
  assert.is(guest.gpr("r11"), 0x202n);
  assert.is(guest.flags & 0x200, 0);
  assert.is(guest.cpl, 0);
  assert.is(guest.selector(Seg.cs), KCODE);
  assert.is(guest.selector(Seg.ss), KDATA);
  assert.is(guest.gpr("rsp"), BigInt(STACK), "RSP is software's business");
});

fast("sysretq goes back to 64-bit code, sysretl to 32-bit code", () => {
  for (const [code, cs] of [["48 0f 07", 0x18 + 16 + 3], ["0f 07", 0x18 + 3]] as const) {
    longMode(guest, 0);
    msrs();
    setGate64(guest, 0x80, 0xee);
    guest.hex(DATA, "cd 80");
    guest.setGpr("rcx", BigInt(DATA));
    guest.setGpr("r11", 0x10247n);
    assert.is(runCode(guest, code), 0x80);
    assert.is(guest.u64(STACK0 - 32), BigInt(cs));
    assert.is(guest.u64(STACK0 - 40), BigInt(DATA + 2));
    assert.is(guest.u64(STACK0 - 8), BigInt(0x18 + 8 + 3));
    assert.is(guest.u64(STACK0 - 24), 0x247n, "RF is not restored");
  }
});

fast("selectors that follow from STAR wrap at 16 bits", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.star, (0xfff0n << 48n) | (0xfff8n << 32n));
  guest.setField(PcpuOff.lstar, BigInt(CODE + 2));
  assert.is(runCode(guest, "0f 05 f4"), -1);
  assert.equal([guest.selector(Seg.cs), guest.selector(Seg.ss)], [0xfff8, 0]);

  toUser();
  guest.setGpr("rcx", BigInt(USER));
  guest.setGpr("rsp", BigInt(STACK));
  assert.is(runCode(guest, "48 0f 07"), 0x80);
  assert.equal([guest.u64(STACK0 - 32), guest.u64(STACK0 - 8)], [3n, 0xfffbn]);
});

fast("syscall without EFER.SCE is #UD", () => {
  longMode(guest, 3);
  guest.setField(PcpuOff.efer, 0xd00n);
  assert.is(runCode(guest, "0f 05"), 6);
});

fast("syscall from compatibility mode enters at CSTAR", () => {
  longMode(guest, 3);
  msrs();
  guest.setField(PcpuOff.cstar, 0xc000n);
  guest.hex(0xc000, "f4");
  guest.segment(Seg.cs, UCODE32, 0, 0xffffffff, 0xc0fb);
  assert.is(runCode(guest, "0f 05"), -1);
  assert.is(guest.rip, 0xc001);
});

fast("sysenter and sysexit", () => {
  longMode(guest, 3);
  guest.setField(PcpuOff.sysenterCs, BigInt(KCODE));
  guest.setField(PcpuOff.sysenterEip, BigInt(ENTRY));
  guest.setField(PcpuOff.sysenterEsp, 0x31000n);
  guest.hex(ENTRY, "48 0f 35"); // back at once, 64-bit
  setGate64(guest, 0x80, 0xee);
  guest.hex(DATA, "cd 80");
  guest.setGpr("rdx", BigInt(DATA));
  guest.setGpr("rcx", 0x12340n);
  assert.is(runCode(guest, "0f 34"), 0x80);
  assert.is(guest.u64(STACK0 - 40), BigInt(DATA + 2));
  assert.is(guest.u64(STACK0 - 32), BigInt(KCODE + 32 + 3));
  assert.is(guest.u64(STACK0 - 16), 0x12340n);
  assert.is(guest.u64(STACK0 - 24) & 0x200n, 0n, "sysexit does not restore IF");
});

fast("sysenter with a null CS MSR is #GP(0)", () => {
  longMode(guest, 3);
  assert.is(runCode(guest, "0f 34"), 13);
});
fast.run();

const far = suite("Far transfers in IA-32e mode");

/** A far pointer m16:32 at DATA. */
function pointer(offset: number, selector: number): void {
  guest.set32(DATA, offset);
  guest.set16(DATA + 4, selector);
}
const JMP = "ff 2c 25 00 90 00 00";
const CALL = "ff 1c 25 00 90 00 00";

far("jmp to a compatibility segment and on", () => {
  longMode(guest, 0);
  guest.set64(GDT + SPARE, descriptor(0, 0xfffff, 0xc09b));
  pointer(ENTRY, SPARE);
  guest.hex(ENTRY, "40 f4");
  guest.setGpr("rax", 5n);
  assert.is(runCode(guest, JMP), -1);
  assert.is(guest.gpr("rax"), 6n);
  assert.is(guest.word(PcpuOff.mode) & Mode.BITS, Mode.bits32);
});

far("call and far return at the same privilege", () => {
  longMode(guest, 0);
  pointer(ENTRY, KCODE);
  guest.hex(ENTRY, "cb");
  assert.is(runCode(guest, `${CALL} f4`), -1);
  assert.is(guest.rip, CODE + 8);
  assert.is(guest.u32(STACK - 4), KCODE);
  assert.is(guest.u32(STACK - 8), CODE + 7);
  assert.is(guest.gpr("rsp"), BigInt(STACK));
});

far("call through a 64-bit gate to CPL 0 and far return to CPL 3", () => {
  longMode(guest, 3);
  guest.set64(GDT + SPARE, gate(KCODE, ENTRY, 0xec));
  guest.set64(GDT + SPARE + 8, 0n);
  pointer(0xdeadbeef, SPARE | 3);
  setGate64(guest, 0x80, 0xee);
  guest.hex(ENTRY, "48 cb");
  assert.is(runCode(guest, `${CALL} cd 80`), 0x80);
  assert.is(guest.u64(STACK0 - 8), BigInt(UDATA));
  assert.is(guest.u64(STACK0 - 16), BigInt(STACK));
  assert.is(guest.u64(STACK0 - 32), BigInt(UCODE));
  assert.is(guest.u64(STACK0 - 40), BigInt(CODE + 9), "of the int 0x80 that followed");
});

//  name                          descriptor                         selector  CPL vector error
const REFUSED: readonly [string, bigint, number, number, number, number][] = [
  ["null selector", 0n, 0, 0, 13, 0],
  ["data segment", descriptor(0, 0xfffff, 0xc093), SPARE, 0, 13, SPARE],
  ["code of DPL 0 from CPL 3", descriptor(0, 0xfffff, 0xa09b), SPARE, 3, 13, SPARE],
  ["code of DPL 3 from CPL 0", descriptor(0, 0xfffff, 0xa0fb), SPARE, 0, 13, SPARE],
  ["code not present", descriptor(0, 0xfffff, 0xa01b), SPARE, 0, 11, SPARE],
  ["code with L and D", descriptor(0, 0xfffff, 0xe09b), SPARE, 0, 13, SPARE],
  ["available TSS", descriptor(0, 0x67, 0x89), SPARE, 0, 13, SPARE],
  ["gate of DPL 0 from CPL 3", gate(KCODE, ENTRY, 0x8c), SPARE, 3, 13, SPARE],
  ["gate not present", gate(KCODE, ENTRY, 0x6c), SPARE, 3, 11, SPARE],
  ["16-bit call gate", gate(KCODE, ENTRY, 0xe4), SPARE, 3, 13, SPARE],
  ["gate to compatibility code", gate(UCODE32 & ~3, ENTRY, 0xec), SPARE, 3, 13, UCODE32 & ~3],
];
for (const [name, d, selector, level, vector, error] of REFUSED)
  far(`${name}: vector ${vector}, error code ${error.toString(16)}`, () => {
    longMode(guest, level);
    guest.set64(GDT + SPARE, d);
    pointer(ENTRY, selector);
    assert.is(runCode(guest, CALL), vector);
    assert.is(guest.u64(Number(guest.gpr("rsp"))), BigInt(error));
  });
far.run();
