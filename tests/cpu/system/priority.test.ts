/** Which of several conditions wins (SDM Vol.3A "Priority Among Exceptions and Interrupts"): traps of the instruction before, NMI,
 *  interrupts, code breakpoints, faults of the fetch, of decoding, of execution; within execution in the order of the
 *  instruction's own description. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Guest } from "./guest";
import { CODE, longMode, protectedMode, runCode, setGate64, SPARE } from "./worlds";

const guest = await Guest.create();
const priority = suite("Priority among exceptions and interrupts");

const [DB, NMI, UD, NM, SS, GP, PF, MF] = [1, 2, 6, 7, 12, 13, 14, 16];
const INTERRUPT = 0x61;
const UNMAPPED = 0x500000n;
const STRANGE = 1n << 48n; // not canonical
const [EM, TS, NE] = [4n, 8n, 0x20n];
const OSFXSR = 0x200n;

const cr0 = (bits: bigint) => guest.setField(PcpuOff.cr0, guest.field(PcpuOff.cr0) | bits);
const cr4 = (bits: bigint) => guest.setField(PcpuOff.cr4, guest.field(PcpuOff.cr4) | bits);
const rax = (value: bigint) => guest.setGpr("rax", value);
/** An unmasked exception that no instruction has reported yet. */
const pendingMf = () => {
  cr0(NE);
  guest.setWord(PcpuOff.fcw, 0x37e);
  guest.setWord(PcpuOff.fsw, 0x8081);
};
const breakAt = (address: number) => {
  guest.setField(PcpuOff.dr, BigInt(address));
  guest.setField(PcpuOff.dr + 40, 0x401n);
};
const post = () => {
  guest.core.apicWrite(0xf0, 0x1ff);
  guest.core.apicPost(INTERRUPT);
};
const nmi = () => guest.setWord(PcpuOff.nmiPending, 1);
const at = (rip: bigint) => guest.setGpr("rbx", rip);

//  the winner and what it wins over                               CPL  code                    conditions                        vector
const CASES: readonly (readonly [string, 0 | 3, string, () => void, number])[] = [
  ["an NMI over an interrupt", 0, "90", () => [post(), nmi()], NMI],
  ["an NMI over a code breakpoint", 0, "90", () => [nmi(), breakAt(CODE)], NMI],
  ["an interrupt over a code breakpoint", 0, "90", () => [post(), breakAt(CODE)], INTERRUPT],
  ["an interrupt over an invalid opcode", 0, "0f 0b", post, INTERRUPT],
  ["a code breakpoint over an invalid opcode", 0, "0f 0b", () => breakAt(CODE), DB],
  ["a code breakpoint over a fetch that faults", 0, "ff e3", () => [at(UNMAPPED), breakAt(Number(UNMAPPED))], DB],
  ["a single-step trap over a code breakpoint's fault of the next instruction: both in DR6", 0, "90 90", () => [guest.setField(PcpuOff.rflags, 0x302n), breakAt(CODE + 1)], DB],
  ["a single-step trap over the next instruction's invalid opcode", 0, "90 0f 0b", () => guest.setField(PcpuOff.rflags, 0x302n), DB],
  ["a single-step trap over the next fetch that faults", 0, "ff e3", () => [guest.setField(PcpuOff.rflags, 0x302n), at(UNMAPPED)], DB],
  ["16 bytes of an opcode over its being invalid", 0, `${"66 ".repeat(14)}0f 0b`, () => {}, GP],
  ["15 bytes are an invalid opcode", 0, `${"66 ".repeat(13)}0f 0b`, () => {}, UD],
  ["an invalid LOCK over an FPU that is not available", 0, "f0 d9 c0", () => cr0(TS), UD],
  ["SSE without CR4.OSFXSR over CR0.TS", 0, "0f 58 c0", () => cr0(TS), UD],
  ["SSE with CR0.EM over CR0.TS", 0, "0f 58 c0", () => [cr4(OSFXSR), cr0(TS | EM)], UD],
  ["CR0.TS over a page fault of the operand", 0, "d9 00", () => [cr0(TS), rax(UNMAPPED)], NM],
  ["CR0.TS over an address that is not canonical", 0, "0f 10 00", () => [cr4(OSFXSR), cr0(TS), rax(STRANGE)], NM],
  ["CR0.TS over a pending x87 exception", 0, "d9 c0", () => [pendingMf(), cr0(TS)], NM],
  ["a pending x87 exception over a page fault", 0, "d9 00", () => [pendingMf(), rax(UNMAPPED)], MF],
  ["a pending x87 exception over an address that is not canonical", 0, "dd 00", () => [pendingMf(), rax(STRANGE)], MF],
  ["an x87 exception is no business of FNSTSW", 0, "dd 38", () => [pendingMf(), rax(UNMAPPED)], PF],
  ["a register that does not exist over privilege", 3, "0f 22 c8", () => {}, UD],
  ["DR4 with CR4.DE over privilege", 3, "0f 21 e0", () => cr4(8n), UD],
  ["privilege over the operand's page fault", 3, "0f 01 10", () => rax(UNMAPPED), GP],
  ["privilege over an unknown MSR", 3, "0f 32", () => guest.setGpr("rcx", 0xffffn), GP],
  ["privilege over debug registers that are guarded", 3, "0f 21 c0", () => guest.setField(PcpuOff.dr + 40, 0x2400n), GP],
  ["guarded debug registers over reading them", 0, "0f 21 c0", () => guest.setField(PcpuOff.dr + 40, 0x2400n), DB],
  ["the I/O bitmap over the page fault of INS", 3, "6c", () => guest.setGpr("rdi", UNMAPPED), GP],
  ["a misaligned operand over its page fault", 0, "0f 28 00", () => [cr4(OSFXSR), rax(UNMAPPED + 1n)], GP],
  ["an address that is not canonical over a page fault", 3, "50", () => guest.setGpr("rsp", STRANGE), SS],
  ["a page fault over division by zero", 0, "f7 30", () => rax(UNMAPPED), PF],
  ["a page fault over a comparison that would fail", 0, "0f b1 18", () => rax(UNMAPPED), PF],
];
for (const [name, level, code, set, vector] of CASES)
  priority(`${name}: vector ${vector}`, () => {
    longMode(guest, level);
    setGate64(guest, INTERRUPT, 0x8e);
    set();
    assert.is(runCode(guest, `${code} f4`), vector);
  });

//  32-bit: segments come before pages
const SEGMENTS: readonly (readonly [string, string, () => void, number, number])[] = [
  ["a segment limit over a page fault", "26 a1 00 00 50 00", () => guest.segment(Seg.es, SPARE, 0, 0xfff, 0x4093), GP, 0],
  ["a read-only segment over a page fault", "26 a3 00 00 50 00", () => guest.segment(Seg.es, SPARE, 0, 0xffffffff, 0xc091), GP, 0],
  ["a null segment over a page fault", "26 a1 00 00 50 00", () => guest.segment(Seg.es, 0, 0, 0, 0x10000), GP, 0],
  ["the stack's limit over a page fault", "50", () => guest.segment(Seg.ss, SPARE, 0, 0xfff, 0x4093), SS, 0],
];
for (const [name, code, set, vector, error] of SEGMENTS)
  priority(`${name}: vector ${vector}`, () => {
    protectedMode(guest, 3); // so that the handler has a stack of its own
    guest.set32(0x4000, 0x5000 | 7); // one 4 MiB region mapped by 4 KiB pages, nothing above
    for (let i = 0; i < 1024; i++) guest.set32(0x5000 + i * 4, (i << 12) | 7);
    guest.setField(PcpuOff.cr3, 0x4000n);
    guest.setField(PcpuOff.cr0, 0x80010033n);
    set();
    assert.is(runCode(guest, code), vector);
    assert.is(guest.u32(Number(guest.gpr("rsp"))), error);
  });
priority.run();
