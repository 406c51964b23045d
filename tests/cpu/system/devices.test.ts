/** Stores to devices and the interrupts they cause. An interrupt is taken at the next instruction boundary (SDM Vol.3A "Interrupt and Exception
 *  Overview"), be it the store to the local APIC's page, to device memory or to a port that makes it due, unless STI or MOV SS cast a shadow. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../../assembly/abi/exit";
import { PcpuOff } from "../../../assembly/abi/layout";
import { Guest } from "./guest";
import { CODE, DATA, handler, haltedIn, longMode, runCode, setGate64 } from "./worlds";

const guest = await Guest.create();
const APIC = 0xfee0_0000;
const DEVICE = 0xfed0_0000;
const VECTOR = 0x60;

/** 64-bit mode with the APIC enabled and the devices mapped; RDI addresses the APIC, RSI the device, EBX is 4060h: an ICR for
 *  the processor itself. */
function world(flags: number): void {
  longMode(guest, 0);
  guest.set64(0x5000 + 3 * 8, 0x7007n);
  for (const at of [APIC, DEVICE]) guest.set64(0x7000 + ((at >>> 21) & 511) * 8, BigInt(at - (at % 0x20_0000)) | 0x87n);
  guest.core.apicWrite(0xf0, 0x1ff);
  guest.setField(PcpuOff.rflags, BigInt(flags));
  guest.setField(PcpuOff.cr4, 0x620n);
  guest.setGpr("rdi", BigInt(APIC));
  guest.setGpr("rsi", BigInt(DEVICE));
  guest.setGpr("rbx", 0x40000n | BigInt(VECTOR));
  guest.setGpr("rax", 0n);
  guest.setGpr("rcx", 1n);
  guest.setGpr("rdx", 0x80n);
}
const pushedRip = () => Number(guest.u64(Number(guest.gpr("rsp"))));

const boundary = suite("Interrupts by stores");

const SELF = "89 9f 00 03 00 00"; // mov [rdi + 300h], ebx
/** Name, code, RFLAGS, offset of the instruction that is not executed any more. */
const CASES: readonly [string, string, number, number][] = [
  ["a self-IPI with IF = 1", `${SELF} ff c1 ff c1 f4`, 0x202, 6],
  ["before NOPs", `${SELF} 90 90 ff c1 f4`, 0x202, 6],
  ["before a branch", `${SELF} eb 00 f4`, 0x202, 6],
  ["by a read-modify-write", "09 9f 00 03 00 00 ff c1 f4", 0x202, 6],
  ["by an SSE store", "66 0f 6e c3 66 0f 7e 87 00 03 00 00 ff c1 f4", 0x202, 12],
  ["by a string instruction", "48 8d bf 00 03 00 00 89 d8 ab ff c1 f4", 0x202, 10],
  ["with IF = 0 and then STI", `${SELF} fb ff c1 ff c1 f4`, 0x2, 9],
  ["STI and a branch", `${SELF} fb eb 00 ff c1 f4`, 0x2, 9],
  ["STI and a NOP", `${SELF} fb 90 ff c1 f4`, 0x2, 8],
  ["under STI", `fb ${SELF} ff c1 f4`, 0x2, 7],
  ["POPF that sets IF", `${SELF} 68 02 02 00 00 9d ff c1 f4`, 0x2, 12],
];
for (const [name, code, flags, length] of CASES)
  boundary(`${name}: the next instruction waits`, () => {
    world(flags);
    assert.is(runCode(guest, code), VECTOR);
    assert.is(pushedRip(), CODE + length);
  });

boundary("an event's frame is written to a device that is not read", () => {
  world(2);
  guest.setGpr("rsp", BigInt(DEVICE + 0x100));
  assert.is(runCode(guest, "cd 40"), 0x40);
  assert.is(guest.device.length, 10);
  assert.is(guest.device[0], `w4 fed000d8 ${(CODE + 2).toString(16)}`);
  assert.is(guest.device.filter((access) => access.startsWith("r")).length, 0);
});

boundary("CLFLUSH, CLFLUSHOPT and CLWB do not read a device", () => {
  for (const code of ["0f ae 3e", "66 0f ae 3e", "66 0f ae 36"]) {
    world(2);
    assert.is(runCode(guest, `${code} f4`), -1);
    assert.equal(guest.device, []);
  }
});

boundary("TPR and EOI let the next vector in", () => {
  world(0x202);
  guest.core.apicWrite(0x80, 0x60);
  guest.core.apicPost(VECTOR);
  assert.is(runCode(guest, "ff c1 89 87 80 00 00 00 ff c1 f4"), VECTOR);
  assert.is(pushedRip(), CODE + 8);
  guest.core.apicPost(0x50);
  guest.hex(handler(VECTOR) + 1, "fb 89 87 b0 00 00 00 ff c1 f4"); // sti; EOI
  guest.run(handler(VECTOR) + 1);
  assert.is(haltedIn(guest), 0x50);
  assert.is(pushedRip(), handler(VECTOR) + 8);
});

for (const [name, code, length] of [["device memory", "89 06 ff c1 f4", 2], ["a port", "ee ff c1 f4", 1], ["a port, by OUTS", "48 89 e6 6e ff c1 f4", 4]] as const)
  boundary(`a device that is written to by ${name} interrupts at once`, () => {
    world(0x202);
    guest.onWrite = () => guest.core.apicPost(VECTOR);
    assert.is(runCode(guest, code), VECTOR);
    assert.is(pushedRip(), CODE + length);
  });

const STACKED: readonly (readonly [string, string, number])[] = [
  ["PUSH of a register", "50 ff c1 f4", 1],
  ["PUSH of an immediate", "6a 05 ff c1 f4", 2],
  ["PUSH of memory", "ff 34 25 00 90 00 00 ff c1 f4", 7],
  ["PUSH FS", "0f a0 ff c1 f4", 2],
  ["PUSHF", "9c ff c1 f4", 1],
  ["a call", "e8 02 00 00 00 ff c1 ff c2 f4", 7],
  ["a call through a register", "41 ff d3 ff c1 ff c2 f4", 5],
  ["ENTER", "c8 10 00 00 ff c1 f4", 4],
];
for (const [name, code, length] of STACKED)
  boundary(`${name} on a stack in device memory interrupts at once, and does not read`, () => {
    world(0x202);
    // the handler gets a stack in memory
    setGate64(guest, VECTOR, 0x8e, 1);
    guest.setGpr("rsp", BigInt(DEVICE + 0x100));
    guest.setGpr("r11", BigInt(CODE + 5));
    guest.onWrite = () => guest.core.apicPost(VECTOR);
    assert.is(runCode(guest, code), VECTOR);
    assert.is(pushedRip(), CODE + length);
    assert.ok(guest.device.every((access) => access.startsWith("w4 fed000f")), guest.device.join());
  });

boundary("and is asked again each time", () => {
  world(0x202);
  let n = 0;
  guest.onWrite = () => guest.core.apicPost(VECTOR + (n++ % 4));
  for (let i = 0; i < 4; i++) guest.hex(handler(VECTOR + i), "44 89 87 b0 00 00 00 48 cf"); // EOI; iretq
  guest.setGpr("r8", 0n);
  guest.setGpr("rcx", 1000n);
  assert.is(runCode(guest, "89 06 ff c8 ff c9 75 f8 f4"), -1); // mov [rsi], eax; dec eax; loop
  assert.is(n, 1000);
  assert.is(guest.gpr("rax"), 0xffff_fc18n, "every instruction of the loop ran once each time");
});

boundary("what ends the run ends it behind the store", () => {
  for (const [code, length] of [["89 06 ff c1 f4", 2], ["89 06 eb 00 f4", 2], ["ee ff c1 f4", 1], ["48 89 e6 f3 6e ff c1 f4", 3]] as const) {
    world(0x202);
    guest.setGpr("rcx", 2n);
    guest.onWrite = () => guest.setWord(PcpuOff.exit, Exit.request);
    guest.hex(CODE, code);
    assert.is(guest.run(CODE), Exit.request);
    assert.is(guest.rip, CODE + length);
    guest.onWrite = undefined;
    assert.is(guest.run(), Exit.hlt, "and it goes on from there");
  }
});
boundary.run();

const access = suite("Accesses to devices");

const STORES: readonly [string, string, string[]][] = [
  ["MOV", "89 06 f4", ["w4 fed00000 55667788"]],
  ["MOV of 8 bytes", "48 89 06 f4", ["w4 fed00000 55667788", "w4 fed00004 11223344"]],
  ["MOV of an immediate byte", "c6 46 01 12 f4", ["w1 fed00001 12"]],
  ["STOS", "48 89 f7 aa f4", ["w1 fed00000 88"]],
  ["MOVNTI", "0f c3 06 f4", ["w4 fed00000 55667788"]],
  ["MOVQ", "66 48 0f 6e c0 66 0f d6 06 f4", ["w4 fed00000 55667788", "w4 fed00004 11223344"]],
  ["SETZ", "39 c0 0f 94 06 f4", ["w1 fed00000 1"]],
];
for (const [name, code, log] of STORES)
  access(`${name} only writes`, () => {
    world(2);
    guest.setGpr("rax", 0x1122_3344_5566_7788n);
    assert.is(runCode(guest, code), -1);
    assert.equal(guest.device, log);
  });

access("a read-modify-write reads once and writes once", () => {
  world(2);
  guest.setGpr("rax", 0x10n);
  assert.is(runCode(guest, "01 06 f4"), -1);
  assert.equal(guest.device, ["r4 fed00000", "w4 fed00000 1020314"]);
});

access("MOVS between memory and a device", () => {
  world(2);
  guest.set32(DATA, 0xcafe);
  guest.setGpr("rdi", BigInt(DATA));
  assert.is(runCode(guest, "48 87 f7 a5 f4"), -1); // xchg rdi, rsi
  assert.equal(guest.device, ["w4 fed00000 cafe"]);
});
access.run();
