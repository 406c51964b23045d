/** Real mode (SDM Vol.3B "Real-Address Mode"): addresses are selector * 16 + offset, offsets end at 64 KiB, and what goes beyond is
 *  #GP, or #SS on the stack. Other 16-bit and segmented code is compared with hardware in tests/cpu/integer. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../../assembly/abi/exit";
import { Vector } from "../../../assembly/abi/x86";
import { type Start, TestPc } from "../../support/test_pc";

const real = suite("real mode");
let pc: TestPc;
real.before(async () => {
  pc = await TestPc.create();
});
const ORIGIN = 0x7000n;
const run = (code: readonly number[], start: Start = {}) => pc.run(Uint8Array.from(code), 16, start);

real("a segment register holds the address divided by 16", () => {
  // mov ax, 0x2345; mov ds, ax; mov [bx], cx; mov es, ax; mov dx, es:[bx]
  const out = run([0xb8, 0x45, 0x23, 0x8e, 0xd8, 0x89, 0x0f, 0x8e, 0xc0, 0x26, 0x8b, 0x17], { regs: { rbx: 0x10n, rcx: 0xbeefn } });
  assert.is(out.fault, undefined);
  assert.is(pc.guest.get16(0x23460), 0xbeef);
  assert.is(out.regs.rdx, 0xbeefn);
});

real("FFFF:0010 is the first byte above 1 MiB", () => {
  const out = run([0xb8, 0xff, 0xff, 0x8e, 0xd8, 0xc6, 0x06, 0x10, 0x00, 0x42]); // mov byte [0x10], 0x42
  assert.is(out.fault, undefined);
  assert.is(pc.guest.get8(0x100000), 0x42);
});

for (const [name, code, regs, vector] of [
  ["a word at offset FFFF", [0x8b, 0x07], { rbx: 0xffffn }, Vector.GP],
  ["a doubleword at offset FFFD", [0x66, 0x8b, 0x07], { rbx: 0xfffdn }, Vector.GP],
  ["an address through BP at offset FFFF", [0x8b, 0x46, 0x00], { rbp: 0xffffn }, Vector.SS],
  ["a doubleword push with SP 2", [0x66, 0x50], { rsp: 2n }, Vector.SS],
  ["a 32-bit address above FFFF", [0x67, 0x8b, 0x03], { rbx: 0x10000n }, Vector.GP],
  ["a 32-bit jump above FFFF", [0x66, 0xe9, 0x00, 0x00, 0x01, 0x00], {}, Vector.GP],
] as const)
  real(`${name}: ${vector === Vector.SS ? "#SS" : "#GP"}`, () => {
    assert.is(run(code, { regs }).fault?.vector, vector);
  });

real("a push with SP 1 ends in a shutdown: the exception has no stack either (SDM Vol.2B PUSH)", () => {
  assert.is(run([0x50], { regs: { rsp: 1n } }).exit, Exit.tripleFault);
});

real("a 16-bit address wraps: BX + SI + displacement", () => {
  const out = run([0x8a, 0x40, 0x7f], { regs: { rbx: 0xfff0n, rsi: 0x20n }, memory: [[0x8f, Uint8Array.of(0x77)]] });
  assert.is(out.regs.rax & 0xffn, 0x77n);
});

real("SP wraps below zero, and the upper half of ESP stays", () => {
  const out = run([0x50, 0x5b], { regs: { rsp: 0xabcd0000n, rax: 0x1234n } });
  assert.is(out.fault, undefined);
  assert.is(pc.guest.get16(0xfffe), 0x1234);
  assert.is(out.regs.rbx, 0x1234n);
  assert.is(out.regs.rsp, 0xabcd0000n);
});

real("a jump wraps at 64 KiB", () => {
  // jmp +0x9010 from 0x7003: 0x0013
  const out = run([0xe9, 0x10, 0x90], { memory: [[0x13, Uint8Array.of(0xf4)]] });
  assert.is(out.fault, undefined);
  assert.is(out.rip, 0x14n);
});

real("LOOP counts CX, or ECX with an address-size prefix", () => {
  assert.is(run([0xe2, 0x01, 0xf4, 0x40], { regs: { rcx: 0x10001n } }).regs.rax, 0n);
  assert.is(run([0x67, 0xe2, 0x01, 0xf4, 0x40], { regs: { rcx: 0x10001n } }).regs.rax, 1n);
});

real("a fault points at its instruction, prefixes included", () => {
  assert.is(run([0x90, 0x3e, 0x66, 0x8b, 0x07], { regs: { rbx: 0xffffn } }).fault?.rip, ORIGIN + 1n);
});

real.run();
