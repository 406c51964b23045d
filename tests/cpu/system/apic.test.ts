/** Local APIC by the manual's tables: which registers there are in either mode, mode changes through IA32_APIC_BASE, reserved bits (SDM Vol.3A
 *  "Local APIC Register Address Map", "x2APIC Register Address Space", "x2APIC State Transitions", "Local Vector Table"). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, VcpuOff } from "../../../assembly/abi/layout";
import { Guest } from "./guest";
import { longMode, runCode } from "./worlds";

const guest = await Guest.create();
const GP = 13;
const BASE = 0xfee00100n; // the processor that boots
const [EXTD, EN] = [1n << 10n, 1n << 11n];
const RDMSR = "0f 32 f4";
const WRMSR = "0f 30 f4";

/** Runs RDMSR or WRMSR; the vector it raises, -1 none. */
function msr(code: string, index: number, value = 0n, base = BASE | EN): number | string {
  longMode(guest, 0);
  guest.setField(PcpuOff.apicBase, base);
  guest.setField(PcpuOff.rflags, 2n);
  guest.setGpr("rcx", BigInt(index));
  guest.setGpr("rax", value & 0xffff_ffffn);
  guest.setGpr("rdx", value >> 32n);
  return runCode(guest, code);
}

const test = suite("local APIC");

//  from          to: disabled, invalid, xAPIC, x2APIC
const TRANSITIONS = [
  ["disabled", 0n, [-1, GP, -1, GP]],
  ["xAPIC", EN, [-1, GP, -1, -1]],
  ["x2APIC", EN | EXTD, [-1, GP, GP, -1]],
] as const;
for (const [name, from, outcomes] of TRANSITIONS)
  test(`IA32_APIC_BASE, from ${name}`, () => {
    const seen = [0n, EXTD, EN, EN | EXTD].map((to) => msr(WRMSR, 0x1b, BASE | to, BASE | from));
    assert.equal(seen, [...outcomes]);
  });

test("IA32_APIC_BASE, each bit: reserved ones are #GP, the others are kept", () => {
  for (let bit = 0n; bit < 64n; bit++) {
    if (bit === 10n || bit === 11n) continue;
    const reserved = bit < 8n || bit === 9n || bit >= 40n;
    assert.is(msr(WRMSR, 0x1b, (BASE | EN) ^ (1n << bit)), reserved ? GP : -1, `bit ${bit}`);
  }
});

const between = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n);
const X2APIC_READ = [0x02, 0x03, 0x08, 0x0a, 0x0d, 0x0f, ...between(0x10, 0x28), 0x2f, 0x30, ...between(0x32, 0x39), 0x3e];
const X2APIC_WRITE = [0x08, 0x0b, 0x0f, 0x28, 0x2f, 0x30, ...between(0x32, 0x38), 0x3e, 0x3f];
test("x2APIC registers: what can be read, and what written with 0", () => {
  const works = (code: string) => between(0, 0x43).filter((n) => msr(code, 0x800 + n, 0n, BASE | EN | EXTD) === -1);
  assert.equal(works(RDMSR), X2APIC_READ);
  assert.equal(works(WRMSR), X2APIC_WRITE);
});
test("none of them exists in xAPIC mode or with the APIC off", () => {
  for (const mode of [0n, EN])
    for (const n of [0x02, 0x08, 0x0b, 0x30, 0x3f]) assert.equal([msr(RDMSR, 0x800 + n, 0n, BASE | mode), msr(WRMSR, 0x800 + n, 0n, BASE | mode)], [GP, GP]);
});

const TIMER = 0x7_10ff;
const LINT = 0x1_f7ff;
//  x2APIC register, bits that exist
const WRITABLE: readonly (readonly [string, number, number])[] = [
  ["TPR", 0x08, 0xff],
  ["EOI", 0x0b, 0],
  ["ESR", 0x28, 0],
  ["CMCI", 0x2f, 0x1_17ff],
  ["timer", 0x32, TIMER],
  ["thermal", 0x33, 0x1_17ff],
  ["performance", 0x34, 0x1_17ff],
  ["LINT0", 0x35, LINT],
  ["LINT1", 0x36, LINT],
  ["error", 0x37, 0x1_10ff],
  ["initial count", 0x38, 0xffff_ffff],
  ["divide configuration", 0x3e, 0xb],
  ["self IPI", 0x3f, 0xff],
];
for (const [name, register, exist] of WRITABLE)
  test(`x2APIC ${name}: reserved bits are #GP`, () => {
    for (let bit = 0; bit < 64; bit++) {
      const exists = bit < 32 && ((exist >>> bit) & 1) === 1;
      // bits 12 and 14 of the LVT are status: the manual calls them read-only, not reserved
      if (register >= 0x2f && register <= 0x37 && (bit === 12 || bit === 14)) continue;
      assert.is(msr(WRMSR, 0x800 + register, 1n << BigInt(bit), BASE | EN | EXTD), exists ? -1 : GP, `bit ${bit}`);
    }
  });

/** Accesses of the page at 0xfee00000; the error status afterwards. */
function errors(access: () => void): number {
  longMode(guest, 0);
  guest.setField(PcpuOff.apicBase, BASE | EN);
  guest.core.apicWrite(0xf0, 0x1ff);
  guest.core.apicWrite(0x280, 0);
  guest.core.apicWrite(0x280, 0);
  access();
  guest.core.apicWrite(0x280, 0);
  return guest.core.apicRead(0x280);
}
const ILLEGAL_REGISTER = 1 << 7;
const XAPIC_READ = [0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, ...between(0x10, 0x28), 0x2f, ...between(0x30, 0x39), 0x3e];
test("xAPIC registers that do not exist set the error status", () => {
  const known = between(0, 0x43).filter((n) => errors(() => guest.core.apicRead(n * 16)) === 0);
  assert.equal(known, XAPIC_READ);
  for (const n of [0x00, 0x01, 0x04, 0x29, 0x3a, 0x3f, 0x40]) assert.is(errors(() => guest.core.apicWrite(n * 16, 0x55)), ILLEGAL_REGISTER, n.toString(16));
  assert.is(guest.core.apicPending(), -1, "the self-IPI register is x2APIC's");
});

test("the error status shows what there was at its last write, once", () => {
  errors(() => guest.core.apicRead(0));
  assert.is(guest.core.apicRead(0x280), ILLEGAL_REGISTER);
  guest.core.apicWrite(0x280, 0);
  assert.is(guest.core.apicRead(0x280), 0);
});

/** The timer at 100 MHz undivided: 10 ns a count. */
function timer(initial: number, lvt: number): void {
  longMode(guest, 0);
  guest.now = 1000;
  guest.setField(PcpuOff.apicBase, BASE | EN);
  guest.core.apicWrite(0xf0, 0x1ff);
  guest.core.apicWrite(0x3e0, 0xb);
  guest.core.apicWrite(0x320, lvt);
  guest.core.apicWrite(0x380, initial);
}
const MASKED = 1 << 16;
const PERIODIC = 1 << 17;
const DEADLINE = 1 << 18;
const count = () => guest.core.apicRead(0x390);
test("a one-shot count that has run out stays at 0 when the mode becomes periodic; one that has not goes on", () => {
  for (const mask of [MASKED, 0]) {
    timer(100, mask | 0x40);
    guest.now += 2000;
    assert.is(count(), 0);
    guest.core.apicWrite(0x320, mask | PERIODIC | 0x40);
    guest.now += 10;
    assert.is(count(), 0, "after the change");
    assert.is(guest.core.apicPending(), mask ? -1 : 0x40, "the one shot");
    assert.is(guest.core.apicRead(0x380), 100, "the initial count is kept");

    timer(100, mask | 0x40);
    guest.now += 600;
    guest.core.apicWrite(0x320, mask | PERIODIC | 0x40);
    assert.is(count(), 40);
    guest.now += 600;
    assert.is(count(), 80, "the next period");
  }
});
test("a periodic count goes on when the mode becomes one-shot, to 0", () => {
  timer(100, PERIODIC | MASKED);
  guest.now += 1300;
  guest.core.apicWrite(0x320, MASKED);
  assert.is(count(), 70);
  guest.now += 700;
  assert.is(count(), 0);
});
test("IA32_TSC_DEADLINE reads 0 once the deadline has passed, masked or not", () => {
  for (const mask of [MASKED, 0]) {
    timer(0, mask | DEADLINE | 0x40);
    guest.setField(PcpuOff.rflags, 2n);
    guest.setGpr("rcx", 0x6e0n);
    guest.setGpr("rdx", 0n);
    guest.setGpr("rax", 0x8000n); // the TSC counts nanoseconds
    assert.is(runCode(guest, WRMSR), -1);
    assert.is(runCode(guest, RDMSR), -1);
    assert.is(guest.gpr("rax"), 0x8000n, "armed");
    guest.now += 0x1_0000;
    guest.setGpr("rcx", 0x6e0n);
    assert.is(runCode(guest, RDMSR), -1);
    assert.is(guest.gpr("rax") | guest.gpr("rdx"), 0n, "disarmed");
  }
});

test("an armed deadline follows the counter where that is written to", () => {
  for (const index of [0x10n, 0x3bn]) {
    const move = (by: bigint) => {
      guest.setGpr("rcx", index);
      guest.setGpr("rdx", (by >> 32n) & 0xffff_ffffn);
      guest.setGpr("rax", by & 0xffff_ffffn);
      assert.is(runCode(guest, WRMSR), -1);
    };
    timer(0, DEADLINE | 0x40);
    guest.setField(PcpuOff.rflags, 2n);
    guest.setGpr("rcx", 0x6e0n);
    guest.setGpr("rdx", 0n);
    guest.setGpr("rax", 0x10_0000n);
    assert.is(runCode(guest, WRMSR), -1);
    const armed = guest.core.apicNextDeadline();
    move(0x8_0000n);
    assert.ok(guest.core.apicNextDeadline() < armed, "sooner");
    assert.is(guest.core.apicPending(), -1);
    move(0n);
    guest.core.apicTick();
    assert.is(guest.core.apicPending(), -1, "later again");
    move(0x20_0000n);
    assert.is(guest.core.apicPending(), 0x40, "past");
  }
});
test("a deadline of which the highest bit is set is centuries away", () => {
  for (const offset of [0n, -1n << 40n]) {
    timer(0, DEADLINE | 0x40);
    guest.setField(PcpuOff.tscOffset, offset);
    guest.setField(PcpuOff.rflags, 2n);
    guest.setGpr("rcx", 0x6e0n);
    guest.setGpr("rdx", 0xffff_ffffn);
    guest.setGpr("rax", 0xffff_fff0n);
    if (offset) guest.now = 2 ** 40;
    assert.is(runCode(guest, WRMSR), -1);
    assert.is(guest.core.apicPending(), -1);
    assert.ok(guest.core.apicNextDeadline() > 2 ** 60);
  }
});

test("x2APIC destination FFFFFFFF is everybody, logical or physical", () => {
  for (const logical of [0n, 0x800n]) {
    longMode(guest, 0);
    guest.setField(PcpuOff.apicBase, BASE | EN | EXTD);
    guest.setField(PcpuOff.rflags, 2n);
    guest.core.apicWrite(0xf0, 0x1ff);
    guest.setGpr("rcx", 0x830n);
    guest.setGpr("rdx", 0xffff_ffffn);
    guest.setGpr("rax", 0x40n | logical);
    assert.is(runCode(guest, WRMSR), -1);
    assert.is(guest.core.apicPending(), 0x40);
    assert.is(guest.takeSecond(VcpuOff.apicPosted + 8), 1);
  }
});

test.run();
