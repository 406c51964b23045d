/** RAM that nobody has written to since it was zeroed need not be cleared again: REP STOS of zeros over whole pages of it leaves the host's memory
 *  alone. What the tests put behind the flag's back shows whether it did. The guest sees what it always sees. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FrameFlag, FrameOff } from "../../../assembly/abi/layout";
import { frameEntry } from "../../../src/machine/frames";
import { p2mGet, p2mMfn } from "../../../src/machine/p2m";
import { type Bits, EAGER, LAYOUT, type Start, TestPc } from "../../support/test_pc";

const pristine = suite("pristine RAM");
/** What is checked has no such marks: pages of which stores are undone are written to. */
const pc = await TestPc.create(EAGER.check ? { jit: false } : {});
const PAGE = LAYOUT.data + 0x10000;
const le = (x: number) => Array.from({ length: 4 }, (_, i) => (x >> (i * 8)) & 255);
const mfnOf = (gpa: number) => p2mMfn(p2mGet(pc.mem, pc.guest.domain, gpa >>> 12));

/** Marks `count` pages from PAGE on, of which the last byte is 1 all the same. */
function mark(count: number): readonly number[] {
  const mfns = Array.from({ length: count }, (_, n) => mfnOf(PAGE + n * 4096));
  for (const mfn of mfns) {
    pc.mem.u8.fill(0, mfn * 4096, mfn * 4096 + 4096);
    pc.mem.u8[mfn * 4096 + 4095] = 1;
    pc.mem.u8[frameEntry(mfn) + FrameOff.flags] |= FrameFlag.pristine;
  }
  return mfns;
}
const isPristine = (mfn: number) => (pc.mem.u8[frameEntry(mfn) + FrameOff.flags] & FrameFlag.pristine) !== 0;
const last = (mfn: number) => pc.mem.u8[mfn * 4096 + 4095];

/** mov edi, to; mov ecx, count; mov eax, value; rep stosd; hlt */
function stosd(to: number, count: number, value: number, bits: Bits = 64, before: readonly number[] = [], start: Start = {}) {
  const code = [...before, 0xbf, ...le(to), 0xb9, ...le(count), 0xb8, ...le(value), 0xf3, 0xab, 0xf4];
  return pc.run(Uint8Array.from(code), bits, start);
}

for (const bits of [64, 32] as const) {
  pristine(`zeros over three pages, ${bits} bits`, () => {
    const mfns = mark(3);
    const out = stosd(PAGE, 3072, 0, bits);
    assert.is(out.fault, undefined);
    assert.equal([out.regs.rdi, out.regs.rcx], [BigInt(PAGE + 3 * 4096), 0n]);
    assert.equal(mfns.map(last), [1, 1, 1]);
    assert.ok(mfns.every(isPristine));
  });
  pristine(`part of a page before and behind, ${bits} bits`, () => {
    const mfns = mark(3);
    stosd(PAGE + 8, 1022 + 1024 + 500, 0, bits);
    assert.equal(mfns.map(last), [0, 1, 1]); // of the last one not all
    assert.equal(mfns.map(isPristine), [false, true, false]);
  });
  pristine(`other values are stored, ${bits} bits`, () => {
    const mfns = mark(1);
    stosd(PAGE, 1024, 0x100, bits);
    assert.is(last(mfns[0]), 0);
    assert.not.ok(isPristine(mfns[0]));
  });
  pristine(`what the guest has written to is cleared, ${bits} bits`, () => {
    const mfns = mark(2);
    stosd(PAGE, 2048, 0, bits, [0xbf, ...le(PAGE + 100), 0xc6, 0x07, 0x55]); // mov edi, PAGE + 100; mov byte [edi], 55h
    assert.equal(mfns.map(last), [0, 1]);
    assert.is(pc.mem.u8[mfns[0] * 4096 + 100], 0);
    assert.equal(mfns.map(isPristine), [false, true]);
  });
}

pristine("the dirty flag is set as by any store", () => {
  mark(1);
  const entry = LAYOUT.pml4 + 0x2000 + (PAGE >>> 21) * 8;
  pc.guest.set64(entry, pc.guest.get64(entry) & ~0x60n);
  stosd(PAGE, 1024, 0);
  assert.is(pc.guest.get64(entry) & 0x60n, 0x60n);
});

pristine("a page that may not be written faults", () => {
  const mfns = mark(1);
  const entry = LAYOUT.pml4 + 0x2000 + (PAGE >>> 21) * 8;
  const before = pc.guest.get64(entry);
  pc.guest.set64(entry, before & ~2n);
  const out = stosd(PAGE, 1024, 0, 64, [], { cr0: 0x80010031n });
  pc.guest.set64(entry, before);
  assert.equal([out.fault?.vector, out.fault?.error, out.fault?.cr2], [14, 3, BigInt(PAGE)]);
  assert.is(last(mfns[0]), 1);
});

pristine("whoever looks the frame up through the p2m may write to it", () => {
  const mfns = mark(2);
  pc.guest.set8(PAGE + 4096, 7);
  assert.equal(mfns.map(isPristine), [true, false]);
  stosd(PAGE, 2048, 0);
  assert.equal(mfns.map(last), [1, 0]);
  assert.is(pc.mem.u8[mfns[1] * 4096], 0);
});

pristine.run();
