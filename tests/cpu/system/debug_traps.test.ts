/** When a debug trap is reported and with what (SDM Vol.3B "Debug Exceptions", "MOV SS/POP SS"; AMD APM Vol.2 "Single Stepping",
 *  APM Vol.3 SYSCALL, SYSRET): an instruction owes the trap it began with, whatever it does to TF, and every iteration of a
 *  repeated string instruction owes its own. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Guest } from "./guest";
import { CODE, DATA, handler, KCODE, KDATA, longMode, protectedMode, runCode, STACK, UCODE, UDATA } from "./worlds";

const guest = await Guest.create();

const RF = 0x10000n;
const DR6 = PcpuOff.dr + 32;
const DR7 = PcpuOff.dr + 40;
const enum Dr6 { B0 = 1, BD = 0x2000, BS = 0x4000 }

const pushed = (slot: number) => guest.u64(Number(guest.gpr("rsp")) + 8 * slot);
const pushedRip = () => Number(pushed(0));
const causes = () => Number(guest.field(DR6)) & 0xe00f;
/** DR7 for breakpoint 0 at `address`: 1 byte, with condition `rw` (0 execution, 1 write, 2 port, 3 access). */
function breakpoint(address: number, rw: number): void {
  guest.setField(PcpuOff.dr, BigInt(address));
  guest.setField(DR7, BigInt(0x401 | (rw << 16)));
}
/** The #DB handler returns; runs on from where the last one stopped. */
function goOn(): void {
  guest.hex(handler(1), "48 cf");
  guest.run(handler(1));
  guest.hex(handler(1), "f4");
}
/** Offsets of the first `count` traps of `code`, begun with `flags`. */
function traps(code: string, count: number, flags = 0x302n): number[] {
  const at: number[] = [];
  guest.setField(PcpuOff.rflags, flags);
  guest.hex(CODE, code);
  guest.run(CODE);
  while (guest.rip === handler(1) + 1 && at.length < count) {
    at.push(pushedRip() - CODE);
    guest.setField(DR6, 0xffff0ff0n);
    if (at.length < count) stepOn();
  }
  return at;
}
/** IRET of the #DB handler, which must leave its HLT in place for the next trap: it runs elsewhere. */
function stepOn(): void {
  guest.hex(0xf000, "48 cf");
  guest.run(0xf000);
}

const step = suite("Single-step traps");

step("the instruction that clears TF still traps, and none after it", () => {
  longMode(guest, 0);
  guest.setGpr("rax", 0x202n);
  assert.equal(traps("50 9d 90 90 f4", 9), [1, 2]);
  assert.is(guest.rip, CODE + 5, "and then it runs to its end");
});

step("STI does not hold the trap off, HLT ends at once with it", () => {
  longMode(guest, 0);
  assert.equal(traps("fb f4 90 f4", 3, 0x102n), [1, 2, 3]);
});

step("MOV SS holds the trap of its own instruction back, General Detect it does not", () => {
  longMode(guest, 0);
  guest.setGpr("rax", BigInt(KDATA));
  guest.setField(DR7, 0x2400n);
  guest.setField(PcpuOff.rflags, 0x302n);
  assert.is(runCode(guest, "8e d0 0f 21 f3 90 f4"), 1); // mov ss, eax; mov rbx, dr6
  assert.is(pushedRip(), CODE + 2);
  assert.is(causes(), Dr6.BD);
  guest.setField(DR6, 0xffff0ff0n);
  stepOn();
  assert.is(pushedRip(), CODE + 5, "the second time it runs, and traps behind");
  assert.is(causes(), Dr6.BS);
});

step("REP traps after every iteration, on the instruction itself until the last", () => {
  longMode(guest, 0);
  guest.setGpr("rcx", 3n);
  guest.setGpr("rdi", BigInt(DATA));
  guest.setGpr("rax", 0x5an);
  assert.equal(traps("f3 aa 90 f4", 4), [0, 0, 2, 3]);
  assert.is(guest.u32(DATA) & 0xffffff, 0x5a5a5a);
});

step("between two iterations RF is set in the image", () => {
  longMode(guest, 0);
  guest.setGpr("rcx", 2n);
  guest.setGpr("rdi", BigInt(DATA));
  guest.setField(PcpuOff.rflags, 0x302n);
  assert.is(runCode(guest, "f3 aa f4"), 1);
  assert.is(guest.gpr("rcx"), 1n);
  assert.is(pushed(2) & RF, RF);
});

step("SYSRET traps at its target if it sets TF, SYSCALL only if TF survives the mask", () => {
  longMode(guest, 0);
  guest.setField(PcpuOff.star, (BigInt(UCODE - 16) << 48n) | (BigInt(KCODE) << 32n));
  guest.setGpr("rcx", 0xa000n);
  guest.setGpr("r11", 0x302n);
  guest.hex(0xa000, "90 90");
  assert.is(runCode(guest, "48 0f 07"), 1);
  assert.is(pushedRip(), 0xa000);
  assert.is(causes(), Dr6.BS);

  longMode(guest, 3);
  guest.setField(PcpuOff.rflags, 0x302n);
  guest.setField(PcpuOff.star, BigInt(KCODE) << 32n);
  guest.setField(PcpuOff.lstar, 0xb000n);
  guest.hex(0xb000, "90 f4");
  assert.is(runCode(guest, "0f 05"), 1);
  assert.is(pushedRip(), 0xb000);
});
step.run();

const watch = suite("Breakpoints on data and ports");

/** Name, code, address watched, condition, length of the part that has run. RDI = RSI = DATA, ECX = 2, DX = 0x80. */
const HITS: readonly [string, string, number, number, number][] = [
  ["PUSH", "50 f4", STACK - 8, 1, 1],
  ["POP reads", "58 f4", STACK, 3, 1],
  ["CALL pushes", "e8 00 00 00 00 f4", STACK - 8, 1, 5],
  ["an ALU operation in memory", "01 07 f4", DATA, 1, 2],
  ["a read, where reads count", "8b 07 f4", DATA, 3, 2],
  ["LOCK", "f0 0f b0 0f f4", DATA, 1, 4],
  ["MOVS, its source", "a4 f4", DATA, 3, 1],
  ["STOS", "aa f4", DATA, 1, 1],
  ["REP STOS, in its first iteration", "f3 aa f4", DATA, 1, 0],
  ["REP STOS, in its last", "f3 aa f4", DATA + 1, 1, 2],
  ["an SSE store", "f3 0f 7f 07 f4", DATA + 15, 1, 4],
  ["an x87 store", "d9 ee db 3f f4", DATA + 9, 1, 4],
];
for (const [name, code, address, rw, length] of HITS)
  watch(`${name} traps behind the access`, () => {
    longMode(guest, 0);
    guest.setField(PcpuOff.cr4, 0x620n);
    for (const register of ["rdi", "rsi"] as const) guest.setGpr(register, BigInt(DATA));
    guest.setGpr("rcx", 2n);
    breakpoint(address, rw);
    assert.is(runCode(guest, code), 1);
    assert.is(pushedRip(), CODE + length);
    assert.is(causes(), Dr6.B0);
  });

watch("a read is no write", () => {
  longMode(guest, 0);
  guest.setGpr("rdi", BigInt(DATA));
  breakpoint(DATA, 1);
  assert.is(runCode(guest, "8b 07 f4"), -1);
});

for (const [name, code, length] of [["OUT", "ee f4", 1], ["IN", "ec f4", 1], ["OUTS", "6e f4", 1], ["REP INS, each time", "f3 6c f4", 0]] as const)
  watch(`${name} at the port traps behind it with CR4.DE, and not without`, () => {
    for (const de of [0x28n, 0x20n]) {
      longMode(guest, 0);
      guest.setField(PcpuOff.cr4, de);
      for (const register of ["rdi", "rsi"] as const) guest.setGpr(register, BigInt(DATA));
      guest.setGpr("rcx", 2n);
      guest.setGpr("rdx", 0x80n);
      breakpoint(0x80, 2);
      assert.is(runCode(guest, code), de === 0x28n ? 1 : -1);
      if (de === 0x28n) assert.is(pushedRip(), CODE + length);
    }
  });

watch("under MOV SS the trap waits, and INT1 brings it along", () => {
  longMode(guest, 0);
  guest.set16(DATA, KDATA);
  guest.setGpr("rdi", BigInt(DATA));
  breakpoint(DATA, 3);
  assert.is(runCode(guest, "8e 17 f1 f4"), 1); // mov ss, [rdi]; int1
  assert.is(pushedRip(), CODE + 3);
  assert.is(causes(), Dr6.B0);
  goOn();
  assert.is(guest.rip, CODE + 4, "one exception for both");
});
watch.run();

const outer = suite("Return to an outer privilege level");

outer("a segment the outer level may not use loses its selector, not the base 64-bit code addresses with", () => {
  longMode(guest, 0);
  guest.segment(Seg.gs, KDATA, 0x1000, 0xffffffff, 0xc093);
  guest.segment(Seg.fs, UDATA, 0x2000, 0xffffffff, 0xc0f3);
  for (const [i, value] of [0xa000, UCODE, 0x202, 0x3f000, UDATA].entries()) guest.set64(STACK + 8 * i, BigInt(value));
  guest.set32(0xa000, 0xcccccccc);
  guest.hex(CODE, "48 cf");
  guest.run(CODE);
  assert.is(guest.selector(Seg.gs), 0);
  assert.is(guest.field(PcpuOff.segBase + Seg.gs * 8), 0x1000n);
  assert.is(guest.selector(Seg.fs), UDATA);
});

outer("in protected mode it cannot be used any more", () => {
  protectedMode(guest, 0);
  for (const [i, value] of [0xa000, 0x1b, 0x202, 0x3f000, UDATA].entries()) guest.set32(STACK + 4 * i, value);
  guest.hex(0xa000, "65 a1 00 00 00 00"); // mov eax, gs:[0]
  assert.is(runCode(guest, "cf"), 13);
});
outer.run();
