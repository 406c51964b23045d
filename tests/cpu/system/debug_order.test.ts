/** Debug exceptions where something else wants to come at the same place: interrupts, MOV SS, faults, pages that have changed
 *  (SDM Vol.3A "Priority Among Simultaneous Exceptions and Interrupts", "Masking Exceptions and Interrupts When Switching Stacks";
 *  Vol.3B "Debug Exceptions"). A trap of the instruction before is ahead of interrupts, these of the next one's breakpoint and fetch. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SystemOff } from "../../../assembly/abi/apic";
import { Exit } from "../../../assembly/abi/exit";
import { PcpuOff } from "../../../assembly/abi/layout";
import { Guest } from "./guest";
import { CODE, DATA, handler, haltedIn, KDATA, longMode, setGate64, STACK } from "./worlds";

const guest = await Guest.create();
const DR6 = PcpuOff.dr + 32;
const DR7 = PcpuOff.dr + 40;
const VECTOR = 0x61;
const TF = 0x100;

/** DR7 for breakpoint 0 at `address`: 1 byte, with condition `rw` (0 execution, 3 access). */
function breakpoint(address: number, rw: number): void {
  guest.setField(PcpuOff.dr, BigInt(address));
  guest.setField(DR7, BigInt(0x401 | (rw << 16)));
}

/** What comes of `code`, up to `count` events: vectors with the offsets they return to, for #DB with its causes from DR6. Others than #DB end it. */
function events(code: string, count: number): string[] {
  const out: string[] = [];
  guest.hex(CODE, code);
  guest.hex(0xf000, "48 cf"); // IRETQ, since the handlers keep their HLT
  for (let start = CODE; out.length < count; start = 0xf000) {
    if (guest.run(start, 100_000) !== Exit.hlt) throw new Error("it runs on");
    const vector = haltedIn(guest);
    if (vector < 0) return [...out, `end ${guest.rip - CODE}`];
    const back = Number(guest.u64(Number(guest.gpr("rsp")) + (vector === 14 ? 8 : 0))) - CODE;
    const causes = Number(guest.field(DR6)) & 0xe00f;
    out.push(vector === 1 ? `1 at ${back} ${causes.toString(16)}` : `${vector} at ${back}`);
    if (vector !== 1) return out;
    guest.setField(DR6, 0xffff0ff0n);
  }
  return out;
}

function world(flags = 2): void {
  longMode(guest, 0);
  guest.core.apicWrite(0xf0, 0x1ff);
  guest.setGpr("rax", BigInt(KDATA));
  guest.setField(PcpuOff.rflags, BigInt(flags | 2));
}

const order = suite("Debug exceptions and interrupts");

for (const code of ["fb 90 90 f4", "fb ff c1 90 f4"])
  order(`${code}: a breakpoint behind STI, where an interrupt waits`, () => {
    world();
    breakpoint(CODE + 1, 0);
    guest.core.apicPost(VECTOR);
    assert.equal(events(code, 2), ["1 at 1 1", `${VECTOR} at 1`]);
  });

order("VMCALL's trap comes ahead of an interrupt that arrives in the hypervisor", () => {
  world(0x200 | TF);
  guest.hex(CODE, "0f 01 c1 90 90 f4");
  assert.is(guest.run(CODE), Exit.hypercall);
  guest.core.apicPost(VECTOR);
  assert.is(guest.run(), Exit.hlt);
  assert.is(haltedIn(guest), 1);
  assert.is(Number(guest.u64(Number(guest.gpr("rsp")))), CODE + 3);
});

order("and that interrupt right behind it, if #DB's handler has IF set", () => {
  world(0x200 | TF);
  guest.hex(CODE, "0f 01 c1 90 90 f4");
  setGate64(guest, 1, 0x8f); // a trap gate
  assert.is(guest.run(CODE), Exit.hypercall);
  guest.core.apicPost(VECTOR);
  assert.is(guest.run(), Exit.hlt);
  assert.is(haltedIn(guest), VECTOR);
  assert.is(Number(guest.u64(Number(guest.gpr("rsp")))), handler(1));
});

order("a trap behind IRET, STI's shadow over the same place, and an interrupt", () => {
  world();
  [CODE + 1, 8, 0x302, STACK, KDATA].forEach((x, i) => guest.set64(STACK + 8 * i, BigInt(x)));
  guest.setGpr("rcx", 5n);
  guest.onWrite = () => guest.core.apicPost(VECTOR);
  assert.equal(events("fb ff c9 fa e6 80 48 cf", 3), ["1 at 3 4000", `${VECTOR} at 3`]);
  guest.onWrite = undefined;
});
order.run();

const held = suite("Debug exceptions that MOV SS holds back");

held("only off the instruction behind it, not off its address for good", () => {
  world();
  guest.setGpr("rcx", 2n);
  //                  mov ss, eax; dec ecx; jz; push 0x102; popf; jmp to the dec
  assert.equal(events("8e d0 ff c9 74 08 68 02 01 00 00 9d eb f4 f4", 3), ["1 at 2 4000", "1 at 4 4000", "1 at 14 4000"]);
});

//  MOV SS from where a breakpoint is, then this; where the breakpoint is reported, with what
const BEHIND: readonly (readonly [string, string, string])[] = [
  ["a NOP: behind it", "90 f4", "1 at 3 1"],
  ["UD2: in the handler of #UD", "0f 0b f4", `1 at ${handler(6) - CODE} 1`],
  ["a page fault: in its handler", "8b 04 25 00 00 00 70 f4", `1 at ${handler(14) - CODE} 1`],
  ["INT n: in its handler", "cd 52", `1 at ${handler(0x52) - CODE} 1`],
];
for (const [name, code, expected] of BEHIND)
  held(`a data breakpoint, and ${name}`, () => {
    world();
    guest.set16(DATA, KDATA);
    guest.setGpr("rdi", BigInt(DATA));
    breakpoint(DATA, 3);
    assert.equal(events(`8e 17 ${code}`, 1), [expected]);
  });

held("a data breakpoint, and General Detect: both at once", () => {
  world();
  guest.set16(DATA, KDATA);
  guest.setGpr("rdi", BigInt(DATA));
  breakpoint(DATA, 3);
  guest.setField(DR7, guest.field(DR7) | 0x2000n);
  assert.equal(events("8e 17 0f 21 f3 f4", 1), ["1 at 2 2001"]);
});

held("a data breakpoint of an instruction that then faults is not reported", () => {
  world();
  breakpoint(DATA, 3);
  guest.setGpr("rsi", BigInt(DATA));
  guest.setGpr("rdi", 0x7000_0000n);
  assert.equal(events("a4 f4", 1), ["14 at 0"]);
  assert.is(guest.word(PcpuOff.pendingDb), 0);
});

//  as AMD's processors have it; Intel's hold it back
held("but not a breakpoint on the instruction behind it", () => {
  world();
  breakpoint(CODE + 2, 0);
  assert.equal(events("8e d0 90 f4", 1), ["1 at 2 1"]);
});
held.run();

const branches = suite("Single-stepping on branches");

//  what runs, how often ECX lets it; where the first trap comes, and, since #DB clears BTF, the one behind the next instruction
const BRANCHES: readonly (readonly [string, string, number, readonly string[]])[] = [
  ["JMP", "90 90 eb 01 f4 90 f4", 0, ["1 at 5 4000", "1 at 6 4000"]],
  ["JMP to what is next", "90 eb 00 90 90 f4", 0, ["1 at 3 4000", "1 at 4 4000"]],
  ["JMP through a register", "48 8d 05 01 00 00 00 50 58 ff e0 f4", 0, ["1 at 8 4000"]],
  ["Jcc that is taken", "39 c0 74 01 f4 90 f4", 0, ["1 at 5 4000"]],
  ["Jcc that is not", "39 c0 75 01 90 90 f4", 0, ["end 7"]],
  ["CALL", "90 e8 01 00 00 00 f4 90 f4", 0, ["1 at 7 4000"]],
  ["RET", "48 8d 0d 02 00 00 00 51 c3 90 f4", 0, ["1 at 9 4000"]],
  ["LOOP that is taken", "90 e2 01 f4 90 f4", 2, ["1 at 4 4000"]],
  ["LOOP that is not", "90 e2 01 90 90 f4", 1, ["end 6"]],
  ["REP STOSB is no branch", "f3 aa 90 eb 00 90 f4", 5, ["1 at 5 4000"]],
  ["HLT is none", "90 f4", 0, ["end 2"]],
];
for (const [name, code, count, expected] of BRANCHES)
  branches(name, () => {
    world(TF);
    guest.setField(SystemOff.debugCtl, 2n);
    guest.setGpr("rcx", BigInt(count));
    guest.setGpr("rdi", BigInt(DATA));
    assert.equal(events(code, expected.length), expected);
  });

branches("an interrupt is taken between two of them", () => {
  world(0x200 | TF);
  guest.setField(SystemOff.debugCtl, 2n);
  guest.core.apicPost(VECTOR);
  assert.equal(events("90 90 90 eb 00 90 f4", 1), [`${VECTOR} at 0`]);
});

branches("the budget ends between two of them", () => {
  world(TF);
  guest.setField(SystemOff.debugCtl, 2n);
  guest.hex(CODE, "90 ".repeat(200));
  assert.is(guest.run(CODE, 50), Exit.budget);
  assert.is(guest.rip, CODE + 50);
});

branches("WRMSR sets it, RDMSR reads it", () => {
  world();
  // mov ecx, 0x1d9; mov eax, 2; xor edx, edx; wrmsr; rdmsr; push 0x102; popf; nop; jmp
  assert.equal(events("b9 d9 01 00 00 b8 02 00 00 00 31 d2 0f 30 0f 32 68 02 01 00 00 9d 90 eb 00 90 f4", 1), ["1 at 25 4000"]);
  assert.is(guest.gpr("rax"), 2n);
});
branches.run();

const remapped = suite("An instruction of which the second half changes");
const LOG = 0xa000; // where the next address goes, then addresses
/** push rax; push rdi; mov rdi, [LOG]; mov rax, [rsp + 16]; stosq; mov [LOG], rdi; pop rdi; pop rax; iretq */
const HANDLER = "50 57 48 8b 3c 25 00 a0 00 00 48 8b 44 24 10 48 ab 48 89 3c 25 00 a0 00 00 5f 58 48 cf";

/** A function that ends in ADD EBX, imm32 across the end of page 0x40, called twice: with 1, then, `gone` or with page 0x50 in place of 0x41, with 2.
 *  Gives the halting vector, EBX and the offsets in the function that #DB returned to. */
function twice(before: string, flags: number, gone: boolean, prepare: (function_: number) => void): [number, number, number[]] {
  longMode(guest, 0);
  guest.set64(0x6000, 0x7007n); // 0 to 2 MiB by pages
  for (let i = 0; i < 512; i++) guest.set64(0x7000 + 8 * i, BigInt((i * 4096) | 7));
  guest.hex(0xc000, HANDLER);
  guest.hex(handler(1), "e9 00 00 00 00");
  guest.set32(handler(1) + 1, 0xc000 - handler(1) - 5);
  guest.set32(LOG, LOG + 16);
  const start = 0x41000 - 2 - before.split(" ").length;
  prepare(start);
  guest.hex(start, `${before} 81 c3`);
  guest.hex(0x41000, "01 00 00 00 c3");
  guest.hex(0x50000, "02 00 00 00 c3");
  // push flags; popf; call; mov rcx, new entry; mov [its entry], rcx; invlpg [0x41000]; call; int 0x50
  guest.hex(CODE, "68 00 00 00 00 9d e8 00 00 00 00 48 c7 c1 00 00 05 00 48 89 0c 25 08 72 00 00 0f 01 3c 25 00 10 04 00 e8 00 00 00 00 cd 50");
  guest.set32(CODE + 1, flags | 2);
  guest.bytes(CODE + 14, gone ? 6 : 7);
  guest.set32(CODE + 7, start - (CODE + 11));
  guest.set32(CODE + 35, start - (CODE + 39));
  guest.setGpr("rax", BigInt(KDATA));
  guest.setField(PcpuOff.rflags, 2n);
  guest.run(CODE);
  const at = Array.from({ length: (guest.u32(LOG) - LOG - 16) / 8 }, (_, i) => guest.u32(LOG + 16 + 8 * i) - start);
  return [haltedIn(guest), Number(guest.gpr("rbx")), at.filter((x) => x >= 0 && x < 16)];
}
const nothing = () => {};

remapped("traps once each time", () => assert.equal(twice("90", TF, false, nothing), [0x50, 3, [0, 1, 7, 0, 1, 7]]));
remapped("is held back by MOV SS each time", () => assert.equal(twice("8e d0", TF, false, nothing), [0x50, 3, [0, 8, 0, 8]]));
remapped("hits its breakpoint once each time", () => assert.equal(twice("90", 0, false, (start) => breakpoint(start + 1, 0)), [0x50, 3, [1, 1]]));
remapped("has the trap before it ahead of its page fault", () => assert.equal(twice("90", TF, true, nothing), [14, 1, [0, 1, 7, 0, 1]]));
remapped.run();
