/** What interrupts a guest and when: IF, the shadows of STI and MOV SS, HLT, local APIC priorities, timer and IPIs
 *  (SDM Vol.3A "Advanced Programmable Interrupt Controller"), Xen's two upcall vectors (public/hvm/params.h,
 *  hvm_op.h). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { InitBit, SystemOff } from "../../../assembly/abi/apic";
import { Exit } from "../../../assembly/abi/exit";
import { DomainOff, IntrLine, PcpuOff, Seg, VcpuOff, VcpuRequest } from "../../../assembly/abi/layout";
import { EXTERNAL, Guest } from "./guest";
import { CODE, haltedIn, longMode, runCode, setGate64 } from "./worlds";

const guest = await Guest.create();
const APIC = { id: 0x20, tpr: 0x80, ppr: 0xa0, eoi: 0xb0, svr: 0xf0, isr: 0x100, irr: 0x200, esr: 0x280, icr: 0x300, icrHigh: 0x310, timer: 0x320, lint0: 0x350, initial: 0x380, current: 0x390, divide: 0x3e0 };

function world(code: string, flags = 0x202): void {
  longMode(guest, 0);
  guest.core.apicWrite(APIC.svr, 0x1ff);
  guest.setField(PcpuOff.rflags, BigInt(flags));
  guest.hex(CODE, code);
}
const pushedRip = () => Number(guest.u64(Number(guest.gpr("rsp"))));

const window = suite("Interrupt recognition");

window("an interrupt waits for IF, and is taken before the next instruction", () => {
  world("90 f4");
  guest.core.apicPost(0x40);
  assert.is(guest.run(CODE), Exit.hlt);
  assert.is(haltedIn(guest), 0x40);
  assert.is(pushedRip(), CODE);
});

window("sti opens the window one instruction later", () => {
  world("fb 90 90 f4", 2);
  guest.core.apicPost(0x40);
  guest.run(CODE);
  assert.is(haltedIn(guest), 0x40);
  assert.ok(pushedRip() >= CODE + 2, "not before the instruction after STI");
});

window("sti; nop; cli takes it, sti; cli does not", () => {
  world("fb 90 fa f4", 2);
  guest.core.apicPost(0x40);
  guest.run(CODE);
  assert.is(haltedIn(guest), 0x40);
  assert.is(pushedRip(), CODE + 2);
  world("fb fa f4", 2);
  guest.core.apicPost(0x40);
  guest.run(CODE);
  assert.is(guest.rip, CODE + 3);
});

window("sti; jmp takes it at the target, and nothing is left to be looked at behind the branch", () => {
  world("fb eb 01 90 f4 f4", 2);
  guest.core.apicPost(0x40);
  guest.run(CODE);
  assert.is(haltedIn(guest), 0x40);
  assert.is(pushedRip(), CODE + 4);
  assert.is(guest.field(PcpuOff.lookAt) & 0xffff_ffffn, 0n);
});

window("sti; hlt wakes at once with the address after hlt", () => {
  world("fb f4 f4", 2);
  guest.core.apicPost(0x40);
  guest.run(CODE);
  assert.is(haltedIn(guest), 0x40);
  assert.is(pushedRip(), CODE + 2);
});

window("mov ss casts a shadow over the next instruction, and over that one only", () => {
  world("8e d0 90 90 f4");
  guest.setGpr("rax", 0x10n);
  guest.run(CODE);
  assert.is(guest.word(PcpuOff.shadow), 2);
  assert.is(Number(guest.field(SystemOff.shadowRip)), CODE + 2);
  world("90 90 f4");
  guest.setWord(PcpuOff.shadow, 2);
  guest.setField(SystemOff.shadowRip, BigInt(CODE));
  guest.core.apicPost(0x40);
  guest.run(CODE);
  assert.is(haltedIn(guest), 0x40);
  assert.is(pushedRip(), CODE + 1);
});

window("hlt with nothing pending leaves, and an interrupt resumes behind it", () => {
  world("f4 90 f4");
  assert.is(guest.run(CODE), Exit.hlt);
  assert.is(guest.rip, CODE + 1);
  assert.is(guest.word(PcpuOff.halted), 1);
  guest.core.apicPost(0x55);
  assert.is(guest.run(), Exit.hlt);
  assert.is(haltedIn(guest), 0x55);
  assert.is(pushedRip(), CODE + 1);
});

window("a halted processor stays halted without an interrupt", () => {
  world("f4 90 f4");
  guest.run(CODE);
  assert.is(guest.run(), Exit.hlt);
  assert.is(guest.rip, CODE + 1);
});

window("an NMI ignores IF, and a second waits for IRET", () => {
  world("90 f4", 2);
  guest.setWord(PcpuOff.nmiPending, 1);
  guest.run(CODE);
  assert.is(haltedIn(guest), 2);
  guest.setWord(PcpuOff.nmiPending, 1);
  guest.hex(0x20021, "48 cf");
  guest.run(guest.rip);
  assert.is(haltedIn(guest), 2, "again, after the IRET of the first");
});

window("vectors posted by other threads arrive through the vCPU block", () => {
  world("90 f4");
  guest.setVcpuWord(VcpuOff.apicPosted + 4 * (0x91 >> 5), 1 << (0x91 & 31));
  guest.setVcpuWord(VcpuOff.request, VcpuRequest.apic);
  guest.run(CODE);
  assert.is(haltedIn(guest), 0x91);
  assert.is(guest.vcpuWord(VcpuOff.request), 0);
});

window("a fault of the delivery itself carries EXT", () => {
  world("90 f4");
  setGate64(guest, 0x40, 0x0e);
  guest.core.apicPost(0x40);
  guest.run(CODE);
  assert.is(haltedIn(guest), 11);
  assert.is(guest.u64(Number(guest.gpr("rsp"))), BigInt(0x40 * 8 + 2 + 1));
});
window.run();

const apic = suite("Local APIC");

apic("higher priority classes first; EOI opens the lower", () => {
  world("f4");
  guest.core.apicPost(0x41);
  guest.core.apicPost(0x62);
  guest.core.apicPost(0x63);
  assert.is(guest.core.apicPending(), 0x63);
  guest.core.apicAck(0x63);
  assert.is(guest.core.apicRead(APIC.ppr), 0x60);
  assert.is(guest.core.apicPending(), -1, "0x62 has the same class, 0x41 a lower one");
  guest.core.apicWrite(APIC.eoi, 0);
  assert.is(guest.core.apicPending(), 0x62);
});

apic("TPR masks its class and those below", () => {
  world("f4");
  guest.core.apicWrite(APIC.tpr, 0x45);
  guest.core.apicPost(0x4f);
  assert.is(guest.core.apicPending(), -1);
  guest.core.apicPost(0x50);
  assert.is(guest.core.apicPending(), 0x50);
  assert.is(guest.core.apicRead(APIC.ppr), 0x45);
});

apic("software disable masks all LVT entries and delivers nothing", () => {
  world("f4");
  guest.core.apicWrite(APIC.lint0, 0x700);
  guest.core.apicPost(0x50);
  guest.core.apicWrite(APIC.svr, 0xff);
  assert.is(guest.core.apicPending(), -1);
  assert.is(guest.core.apicRead(APIC.lint0) & 0x10000, 0x10000);
});

/** INTR of the 8259s on the wire to LINT0, or as the I/O APIC's ExtINT message (SDM Vol.3A "Local Vector Table", "Enabling or Disabling
 *  the Local APIC", "Spurious-Interrupt Vector Register"). The base's bit 11 enables the APIC, the SVR's bit 8 its software side. */
const [WIRE, MESSAGE] = [IntrLine.lint0, IntrLine.ioApic];
//  where INTR is          IA32_APIC_BASE  SVR    LINT0's LVT  RFLAGS  TPR   taken
const LINT0: readonly [string, number, number, number, number, number, number, boolean][] = [
  ["LINT0 as ExtINT", WIRE, 0xfee00900, 0x1ff, 0x00700, 0x202, 0x00, true],
  ["LINT0 as ExtINT, whose vector counts for nothing", WIRE, 0xfee00900, 0x1ff, 0x00799, 0x202, 0x00, true],
  ["LINT0 as ExtINT, level triggered and low active", WIRE, 0xfee00900, 0x1ff, 0x0a700, 0x202, 0x00, true],
  ["LINT0 as ExtINT at the highest priority: TPR does not hold it", WIRE, 0xfee00900, 0x1ff, 0x00700, 0x202, 0xff, true],
  ["LINT0 as ExtINT with IF = 0", WIRE, 0xfee00900, 0x1ff, 0x00700, 0x002, 0x00, false],
  ["LINT0 masked", WIRE, 0xfee00900, 0x1ff, 0x10700, 0x202, 0x00, false],
  ["LINT0 masked by software disable", WIRE, 0xfee00900, 0x0ff, 0x00700, 0x202, 0x00, false],
  ["the processor's own pin, the APIC being disabled", WIRE, 0xfee00100, 0x1ff, 0x10700, 0x202, 0x00, true],
  ["the processor's own pin with IF = 0", WIRE, 0xfee00100, 0x1ff, 0x10700, 0x002, 0x00, false],
  ["the I/O APIC's message, whatever LINT0 says", MESSAGE, 0xfee00900, 0x1ff, 0x10700, 0x202, 0x00, true],
  ["the I/O APIC's message to an APIC disabled by software", MESSAGE, 0xfee00900, 0x0ff, 0x10700, 0x202, 0x00, false],
  ["the I/O APIC's message to a disabled APIC", MESSAGE, 0xfee00100, 0x1ff, 0x00700, 0x202, 0x00, false],
  ["nowhere", 0, 0xfee00900, 0x1ff, 0x00700, 0x202, 0x00, false],
];
for (const [name, lines, base, svr, lvt, flags, tpr, taken] of LINT0)
  apic(`INTR at ${name}: ${taken ? "taken" : "not taken"}`, () => {
    world("90 f4", flags);
    guest.core.apicWrite(APIC.lint0, lvt);
    guest.core.apicWrite(APIC.tpr, tpr);
    guest.core.apicWrite(APIC.svr, svr);
    guest.setField(PcpuOff.apicBase, BigInt(base));
    guest.setVcpuWord(VcpuOff.intr, lines);
    assert.is(guest.run(CODE), Exit.hlt);
    if (taken) assert.equal([haltedIn(guest), pushedRip()], [EXTERNAL, CODE]);
    else assert.is(guest.rip, CODE + 2);
    guest.setVcpuWord(VcpuOff.intr, 0);
    guest.setField(PcpuOff.apicBase, 0xfee00900n);
  });

apic("one-shot timer: counts down at 100 MHz over the divider, fires once", () => {
  world("f4");
  guest.core.apicWrite(APIC.divide, 3); // by 16
  guest.core.apicWrite(APIC.timer, 0xec);
  guest.core.apicWrite(APIC.initial, 1000);
  assert.is(guest.core.apicNextDeadline(), 160_000);
  guest.now = 80_000;
  assert.is(guest.core.apicRead(APIC.current), 500);
  guest.core.apicTick();
  assert.is(guest.core.apicPending(), -1);
  guest.now = 160_000;
  guest.core.apicTick();
  assert.is(guest.core.apicPending(), 0xec);
  assert.is(guest.core.apicNextDeadline(), Number.POSITIVE_INFINITY);
  assert.is(guest.core.apicRead(APIC.current), 0);
});

apic("periodic timer keeps its phase over lost ticks", () => {
  world("f4");
  guest.core.apicWrite(APIC.divide, 11); // by 1
  guest.core.apicWrite(APIC.timer, 0x200ec);
  guest.core.apicWrite(APIC.initial, 100);
  guest.now = 3500;
  guest.core.apicTick();
  assert.is(guest.core.apicPending(), 0xec);
  assert.is(guest.core.apicNextDeadline(), 4000);
});

apic("divider codes", () => {
  for (const [code, by] of [[0, 2], [1, 4], [2, 8], [3, 16], [8, 32], [9, 64], [10, 128], [11, 1]]) {
    world("f4");
    guest.core.apicWrite(APIC.divide, code);
    guest.core.apicWrite(APIC.timer, 0xec);
    guest.core.apicWrite(APIC.initial, 7);
    assert.is(guest.core.apicNextDeadline(), 70 * by, `code ${code}`);
  }
});

apic("a masked timer expires silently", () => {
  world("f4");
  guest.core.apicWrite(APIC.timer, 0x100ec);
  guest.core.apicWrite(APIC.initial, 10);
  guest.now = 1e6;
  guest.core.apicTick();
  assert.is(guest.core.apicPending(), -1);
});

apic("TSC-deadline mode: armed by the MSR, which reads 0 after it fired", () => {
  longMode(guest, 0);
  guest.core.apicWrite(APIC.svr, 0x1ff);
  guest.core.apicWrite(APIC.timer, 0x400ec);
  guest.now = 1000;
  runCode(guest, "b9 e0 06 00 00 b8 00 20 00 00 31 d2 0f 30 0f 32 f4"); // deadline 0x2000 ticks at 2 GHz: 4096 ns
  assert.is(guest.gpr("rax"), 0x2000n);
  assert.is(guest.core.apicNextDeadline(), 4096);
  guest.now = 4096;
  guest.core.apicTick();
  assert.is(guest.core.apicPending(), 0xec);
  assert.is(guest.field(PcpuOff.tscDeadline), 0n);
});

apic("self IPI, and vectors below 16 are errors", () => {
  world("f4");
  guest.core.apicWrite(APIC.icr, 0x40077);
  assert.is(guest.core.apicPending(), 0x77);
  guest.core.apicWrite(APIC.icr, 0x4000f);
  guest.core.apicWrite(APIC.esr, 0);
  assert.is(guest.core.apicRead(APIC.esr), 0x20);
});

apic("an illegal vector in the error LVT adds Receive Illegal Vector, and that is all (XSA-462)", () => {
  world("f4");
  guest.core.apicWrite(APIC.esr, 0);
  guest.core.apicWrite(0x370, 0xf);
  guest.core.apicWrite(APIC.icr, 0x4000f);
  guest.core.apicWrite(APIC.esr, 0);
  assert.is(guest.core.apicRead(APIC.esr), 0x60);
});

apic("an IPI to this vCPU's own id arrives, one to nobody does not", () => {
  world("f4");
  guest.core.apicWrite(APIC.icrHigh, 0);
  guest.core.apicWrite(APIC.icr, 0x78);
  assert.is(guest.core.apicPending(), 0x78);
  guest.core.apicWrite(APIC.icrHigh, 7 << 24);
  guest.core.apicWrite(APIC.icr, 0x88);
  assert.is(guest.core.apicPending(), 0x78);
});

apic("IPIs to another vCPU are bits in its block: by id, broadcast, all but self, logical", () => {
  //          destination  ICR       reaches the other, self
  const cases = [
    [2 << 24, 0x000a1, true, false],
    [0xff << 24, 0x000a1, true, true],
    [0, 0xc00a1, true, false],
    [0, 0x800a1, true, true],
    [0, 0x400a1, false, true],
    [4 << 24, 0x000a1, false, false],
    [0x01 << 24, 0x008a1, false, true],
  ] as const;
  for (const [high, low, other, self] of cases) {
    world("f4");
    guest.core.apicWrite(0xd0, 1 << 24); // LDR
    guest.core.apicWrite(APIC.icrHigh, high);
    guest.core.apicWrite(APIC.icr, low);
    assert.is(guest.takeSecond(VcpuOff.apicPosted + 4 * 5) !== 0, other, `${low.toString(16)} to ${high.toString(16)}`);
    assert.is(guest.takeSecond(VcpuOff.request) !== 0, other);
    assert.is(guest.core.apicPending() === 0xa1, self);
  }
});

apic("INIT and start-up IPIs reach the other vCPU", () => {
  world("f4");
  guest.core.apicWrite(APIC.icrHigh, 2 << 24);
  guest.core.apicWrite(APIC.icr, 0x4500);
  assert.is(guest.takeSecond(VcpuOff.apicInit), InitBit.init);
  guest.core.apicWrite(APIC.icr, 0x8500);
  assert.is(guest.takeSecond(VcpuOff.apicInit), 0, "level de-assert");
  guest.core.apicWrite(APIC.icr, 0x4699);
  assert.is(guest.takeSecond(VcpuOff.apicInit), InitBit.sipi | 0x99);
});

apic("x2APIC: entered through APIC_BASE, registers are MSRs, no way back but by off", () => {
  longMode(guest, 0);
  // APIC_BASE |= EXTD; SVR = 1ff; ICR self 50h; read SVR
  const code = "b9 1b 00 00 00 0f 32 80 cc 04 0f 30 b9 0f 08 00 00 b8 ff 01 00 00 31 d2 0f 30 b9 3f 08 00 00 b8 50 00 00 00 0f 30 b9 0f 08 00 00 0f 32 f4";
  guest.setField(PcpuOff.rflags, 2n);
  assert.is(runCode(guest, code), -1);
  assert.is(guest.gpr("rax"), 0x1ffn);
  assert.is(guest.core.apicPending(), 0x50);
  assert.is(runCode(guest, "b9 1b 00 00 00 0f 32 80 e4 fb 0f 30 f4"), 13);
});

apic("x2APIC: the spurious-interrupt register takes focus checking off (AMD APM Vol.2), and nothing above it", () => {
  for (const [value, outcome] of [["ff 03", -1], ["ff 07", 13], ["ff 13", 13]] as const) {
    longMode(guest, 0);
    guest.setField(PcpuOff.apicBase, 0xfee00d00n);
    assert.is(runCode(guest, `b9 0f 08 00 00 b8 ${value} 00 00 31 d2 0f 30 0f 32 f4`), outcome);
    if (outcome < 0) assert.is(guest.gpr("rax"), 0x3ffn);
  }
});

apic("x2APIC registers are #GP in xAPIC mode, as are reserved bits and unreadable ones", () => {
  for (const [base, code] of [
    [0xfee00900n, "b9 02 08 00 00 0f 32"],
    [0xfee00d00n, "b9 0b 08 00 00 0f 32"], // EOI is write-only
    [0xfee00d00n, "b9 0b 08 00 00 b8 01 00 00 00 31 d2 0f 30"],
    [0xfee00d00n, "b9 0e 08 00 00 0f 32"], // DFR does not exist
  ] as const) {
    longMode(guest, 0);
    guest.setField(PcpuOff.apicBase, base);
    assert.is(runCode(guest, code), 13);
  }
});
apic.run();

const upcall = suite("Xen event upcalls");
const INFO = 0xe000;

upcall("the domain's vector is a level: delivered while the byte is set and IF = 1, without the APIC", () => {
  world("90 f4");
  guest.infoAt(INFO);
  guest.setDomainWord(DomainOff.callbackVector, 0xf3);
  guest.bytes(INFO, 1);
  guest.run(CODE);
  assert.is(haltedIn(guest), 0xf3);
  assert.is(guest.core.apicRead(APIC.isr + 0x70), 0, "nothing in service");
  guest.bytes(INFO, 0);
  guest.hex(0x20000 + 0xf3 * 16 + 1, "48 cf");
  guest.run(guest.rip);
  assert.is(guest.rip, CODE + 2, "gone once the guest has cleared the byte");
});

upcall("if the handler leaves the byte set, it comes again at the next IF = 1", () => {
  world("f4");
  guest.infoAt(INFO);
  guest.setDomainWord(DomainOff.callbackVector, 0xf3);
  guest.bytes(INFO, 1);
  guest.hex(0x20000 + 0xf3 * 16, "ff c3 80 fb 03 75 08 c6 04 25 00 e0 00 00 00 48 cf"); // inc ebx; at 3: byte = 0; iretq
  guest.setGpr("rbx", 0n);
  guest.run(CODE);
  assert.is(guest.gpr("rbx"), 3n);
});

upcall("a vCPU's own vector is an edge into the APIC and needs EOI", () => {
  world("90 f4");
  guest.infoAt(INFO);
  guest.setDomainWord(DomainOff.callbackVector, 0xf3);
  guest.setVcpuWord(VcpuOff.callbackVector, 0xf2);
  guest.bytes(INFO, 1);
  guest.setVcpuWord(VcpuOff.request, VcpuRequest.upcall);
  guest.run(CODE);
  assert.is(haltedIn(guest), 0xf2);
  assert.is(guest.core.apicRead(APIC.isr + 0x70), 1 << (0xf2 & 31));
  guest.hex(0x20000 + 0xf2 * 16 + 1, "48 cf");
  guest.run(guest.rip);
  assert.is(guest.rip, CODE + 2, "no repetition while the byte stays set");
});

upcall("a vCPU's own vector leaves no request in a disabled APIC, and comes when the APIC is enabled", () => {
  world("90 f4");
  guest.infoAt(INFO);
  guest.setVcpuWord(VcpuOff.callbackVector, 0xf2);
  guest.bytes(INFO, 1);
  guest.setVcpuWord(VcpuOff.request, VcpuRequest.upcall);
  guest.core.apicWrite(APIC.svr, 0xff);
  guest.run(CODE);
  assert.is(guest.rip, CODE + 2);
  assert.is(guest.core.apicRead(APIC.irr + 0x70), 0);
  guest.core.apicWrite(APIC.svr, 0x1ff);
  guest.run(CODE);
  assert.is(haltedIn(guest), 0xf2);
});

upcall("nothing happens without a registered vector", () => {
  world("90 f4");
  guest.infoAt(INFO);
  guest.bytes(INFO, 1);
  guest.setVcpuWord(VcpuOff.request, VcpuRequest.upcall);
  guest.run(CODE);
  assert.is(guest.rip, CODE + 2);
});
upcall.run();

const smp = suite("INIT and start-up IPIs");

smp("INIT resets and waits, SIPI starts in real mode at its page", () => {
  world("90 f4");
  guest.hex(0x9000, "f4");
  guest.setVcpuWord(VcpuOff.apicInit, InitBit.init | InitBit.sipi | 0x09);
  guest.setVcpuWord(VcpuOff.request, VcpuRequest.apic);
  assert.is(guest.run(CODE), Exit.hlt);
  assert.is(guest.selector(Seg.cs), 0x900);
  assert.is(guest.rip, 1);
  assert.is(guest.field(PcpuOff.cr0) & 1n, 0n);
});

smp("between INIT and SIPI nothing runs, not even NMIs", () => {
  world("90 f4");
  guest.setVcpuWord(VcpuOff.apicInit, InitBit.init | InitBit.nmi);
  guest.setVcpuWord(VcpuOff.request, VcpuRequest.apic);
  assert.is(guest.run(CODE), Exit.hlt);
  assert.is(guest.word(PcpuOff.halted), 2);
  assert.is(guest.run(), Exit.hlt);
  assert.is(guest.rip, 0xfff0);
});

smp("a SIPI without INIT is ignored", () => {
  world("90 f4");
  guest.setVcpuWord(VcpuOff.apicInit, InitBit.sipi | 0x09);
  guest.setVcpuWord(VcpuOff.request, VcpuRequest.apic);
  guest.run(CODE);
  assert.is(guest.rip, CODE + 2);
});
smp.run();
