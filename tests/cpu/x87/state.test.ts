/** Images of the x87 and SSE state, and what keeps an instruction from running: SDM Vol.1 "x87 FPU State Image Formats",
 *  "Managing State Using the XSAVE Feature Set", Vol.2A FXSAVE, Vol.3A "Device Not Available Exception". */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff } from "../../../assembly/abi/layout";
import { Cr0, Cr4, Vector } from "../../../assembly/abi/x86";
import { X87Machine } from "./machine";

const FLDENV = [0xd9, 0x26], FNSTENV = [0xd9, 0x36], FRSTOR = [0xdd, 0x26], FNSAVE = [0xdd, 0x36];
const FLD1 = [0xd9, 0xe8], FLDZ = [0xd9, 0xee], FNINIT = [0xdb, 0xe3], FNCLEX = [0xdb, 0xe2], FWAIT = [0x9b], FLDCW = [0xd9, 0x2e], FNSTCW = [0xd9, 0x3e];
const FXSAVE = [0x0f, 0xae, 0x06], FXRSTOR = [0x0f, 0xae, 0x0e], LDMXCSR = [0x0f, 0xae, 0x16], STMXCSR = [0x0f, 0xae, 0x1e];
const XSAVE = [0x0f, 0xae, 0x26], XRSTOR = [0x0f, 0xae, 0x2e], XSAVEOPT = [0x0f, 0xae, 0x36], XSAVEC = [0x0f, 0xc7, 0x26];
const NONE = -1;
const PROTECTED = 0x80000000 | Cr0.PE | Cr0.MP | Cr0.NE;

const machine = await X87Machine.create();
const { OPERAND } = X87Machine;
const u16 = (at: number) => machine.view.getUint16(OPERAND + at, true);
const u32 = (at: number) => machine.view.getUint32(OPERAND + at, true);
const u64 = (at: number) => machine.view.getBigUint64(OPERAND + at, true);

function reset(): void {
  machine.exports.initFpu();
  machine.set32(PcpuOff.cr0, PROTECTED);
  machine.set32(PcpuOff.cr4, Cr4.OSFXSR | Cr4.OSXSAVE);
  machine.set32(PcpuOff.xcr0, 3);
  machine.set32(PcpuOff.mode, 2);
  machine.set64(PcpuOff.gpr, 3n);
  machine.set64(PcpuOff.ripBase, 0x401000n);
  machine.set64(PcpuOff.rflags, 2n);
  machine.operand(1024).fill(0xcc);
}

/** ST(0) = 1, ST(1) = +0, the first of them in physical register 6. */
function loadTwo(): void {
  machine.run(FLDZ);
  machine.run(FLD1);
}

const x87 = suite("x87 and SSE state");
x87.before.each(reset);

x87("FNINIT gives 037F, all empty, no pointers", () => {
  loadTwo();
  machine.run(FNINIT);
  machine.run(FNSTENV);
  assert.equal([u16(0), u16(4), u16(8), u32(12), u32(20)], [0x37f, 0, 0xffff, 0, 0]);
});

const FLD80 = [0xdb, 0x2e], FSTP80 = [0xdb, 0x3e];
const SMALLEST_NORMAL = [0, 0, 0, 0, 0, 0, 0, 0x80, 1, 0];
const PSEUDO_DENORMAL = [0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0]; // the same value
const SMALLEST = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const INFINITE = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f];

/** ST(1) and ST(0) by FLD, the instruction, and then ST(0) and the status word's exceptions. */
function twoOperands(control: number, st1: readonly number[], st0: readonly number[], opcode: readonly number[]): [number[], number] {
  machine.run(FNINIT);
  machine.view.setUint16(OPERAND, control, true);
  machine.run(FLDCW);
  for (const value of [st1, st0]) {
    machine.operand(16).set(value);
    machine.run(FLD80);
  }
  machine.run(opcode);
  machine.run(FNSTENV);
  const exceptions = u16(4) & 0x3f;
  machine.run(FNCLEX);
  machine.run(FSTP80);
  return [[...machine.operand(10)], exceptions];
}

x87("the remainder by infinity is the dividend, as no processor writes pseudo-denormals (SDM Vol.1 \"Unsupported Double Extended-Precision\")", () => {
  for (const remainder of [[0xd9, 0xf8], [0xd9, 0xf5]]) {
    assert.equal(twoOperands(0x37f, INFINITE, PSEUDO_DENORMAL, remainder), [SMALLEST_NORMAL, 2]);
    assert.equal(twoOperands(0x37f, INFINITE, SMALLEST, remainder), [SMALLEST, 2]);
    // underflow not masked: the result is multiplied by 2^24576
    assert.equal(twoOperands(0x36f, INFINITE, SMALLEST, remainder), [[0, 0, 0, 0, 0, 0, 0, 0x80, 0xc2, 0x5f], 0x12]);
  }
});

x87("a tiny logarithm underflows even where it is exact, being reported as inexact", () => {
  const TWO = [0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0x40], FYL2X = [0xd9, 0xf1];
  assert.equal(twoOperands(0x37f, SMALLEST, TWO, FYL2X), [SMALLEST, 0x32]);
});

x87("a denormal in memory divided by zero is a division by zero only", () => {
  for (const [opcode, smallest] of [[0xd8, [1, 0, 0, 0]], [0xdc, [1, 0, 0, 0, 0, 0, 0, 0]]] as const) {
    machine.run(FNINIT);
    machine.run(FLDZ);
    machine.operand(8).set(smallest);
    machine.run([opcode, 0x3e]); // FDIVR
    machine.run(FNSTENV);
    assert.is(u16(4) & 0x3f, 4, opcode.toString(16));
  }
});

//                    operand size, real mode: offsets and values of control, status, tag word, IP, CS/opcode
const FORMATS = [
  ["32-bit protected", 4, false, { 0: 0x37f, 4: 0x3000, 8: 0x4fff, 12: 0x1123, 14: 0x40, 16: 0 }, 28],
  ["16-bit protected", 2, false, { 0: 0x37f, 2: 0x3000, 4: 0x4fff, 6: 0x1123, 8: 0 }, 14],
  ["32-bit real", 4, true, { 0: 0x37f, 4: 0x3000, 8: 0x4fff, 12: 0x1123, 16: 0, 18: 0x4 }, 28],
  ["16-bit real", 2, true, { 0: 0x37f, 2: 0x3000, 4: 0x4fff, 6: 0x1123, 8: 0x0000 }, 14],
] as const;
for (const [name, size, real, words, length] of FORMATS) {
  x87(`FNSTENV stores the ${name} format and FLDENV takes it back`, () => {
    if (real) machine.set32(PcpuOff.cr0, Cr0.NE);
    loadTwo();
    const fip = machine.get64(PcpuOff.fip);
    assert.is(fip, 0x401123n, "rip of the FLD1");
    machine.run(FNSTENV, size);
    for (const [at, word] of Object.entries(words)) {
      assert.is(u16(Number(at)), word, `word at ${at}`);
    }
    assert.is(machine.operand(length + 2)[length], 0xcc, "nothing beyond the image");
    machine.run(FNINIT);
    machine.run(FLDENV, size);
    assert.equal([machine.get16(PcpuOff.fcw), machine.get16(PcpuOff.fsw), machine.get16(PcpuOff.ftag) & 0xff], [0x37f, 0x3000, 0xc0]);
    if (size === 4) assert.is(machine.get64(PcpuOff.fip), fip);
  });
}

x87("FNSTENV masks all exceptions after storing, FLDCW unmasks them", () => {
  machine.view.setUint16(OPERAND, 0xff40, true);
  machine.run(FLDCW);
  assert.is(machine.get16(PcpuOff.fcw), 0x1f40, "reserved bits read as on hardware");
  machine.run(FNSTENV);
  assert.is(u16(0), 0x1f40);
  machine.run(FNSTCW);
  assert.is(u16(0), 0x1f7f);
});

x87("FNSAVE stores registers in stack order and initializes; FRSTOR brings them back", () => {
  loadTwo();
  machine.run(FNSAVE);
  assert.equal([u64(28), u16(36)], [1n << 63n, 0x3fff], "ST(0)");
  assert.equal([u64(38), u16(46)], [0n, 0], "ST(1)");
  assert.is(machine.get16(PcpuOff.ftag) & 0xff, 0);
  machine.run(FRSTOR);
  assert.is(machine.get16(PcpuOff.ftag) & 0xff, 0xc0);
  assert.is(machine.register(6)[9], 0x3f);
});

x87("FXSAVE: abridged tags, stack order, 64-bit pointers with REX.W, bytes from 416 on untouched", () => {
  loadTwo();
  machine.set64(PcpuOff.fip, 0xffff_8000_0040_1123n);
  machine.set64(PcpuOff.xmm + 15 * 16, 0x1122334455667788n);
  machine.set32(PcpuOff.mxcsr, 0x1fa0);
  assert.is(machine.run(FXSAVE, 8), NONE);
  assert.equal([u16(0), u16(2), u16(4), u64(8)], [0x37f, 0x3000, 0xc0, 0xffff_8000_0040_1123n]);
  assert.equal([u32(24), u32(28)], [0x1fa0, 0xffff]);
  assert.equal([u64(32), u64(40), u64(48)], [1n << 63n, 0x3fffn, 0n]);
  assert.is(u64(160 + 15 * 16), 0x1122334455667788n);
  assert.is(machine.operand(512)[416], 0xcc);
  machine.run(FXSAVE, 4);
  assert.is(u64(8), 0x401123n, "32-bit IP and no CS without REX.W");
});

x87("FXRSTOR undoes FXSAVE; outside 64-bit mode XMM8..15 stay", () => {
  loadTwo();
  machine.set64(PcpuOff.xmm, 7n);
  machine.set64(PcpuOff.xmm + 8 * 16, 8n);
  machine.run(FXSAVE, 8);
  machine.exports.initFpu();
  machine.set32(PcpuOff.mode, 1);
  assert.is(machine.run(FXRSTOR, 4), NONE);
  assert.equal([machine.get64(PcpuOff.xmm), machine.get64(PcpuOff.xmm + 8 * 16)], [7n, 0n]);
  assert.equal([machine.get16(PcpuOff.fsw), machine.get16(PcpuOff.ftag) & 0xff, machine.register(6)[9]], [0x3000, 0xc0, 0x3f]);
});

x87("FXRSTOR recomputes the error summary from the loaded words", () => {
  machine.run(FXSAVE, 8);
  machine.view.setUint16(OPERAND, 0x37e, true);
  machine.view.setUint16(OPERAND + 2, 1, true);
  machine.run(FXRSTOR, 8);
  assert.is(machine.get16(PcpuOff.fsw), 0x8081);
  assert.is(machine.run(FLD1), Vector.MF);
});

//  instruction   CR0                      CR4                            operand     fault
const GUARDS = [
  ["FLD1", FLD1, PROTECTED | Cr0.TS, Cr4.OSFXSR, 0, Vector.NM],
  ["FLD1", FLD1, PROTECTED | Cr0.EM, Cr4.OSFXSR, 0, Vector.NM],
  ["FNINIT", FNINIT, PROTECTED | Cr0.TS, Cr4.OSFXSR, 0, Vector.NM],
  ["FWAIT", FWAIT, PROTECTED | Cr0.TS, Cr4.OSFXSR, 0, Vector.NM],
  ["FWAIT", FWAIT, (PROTECTED & ~Cr0.MP) | Cr0.TS, Cr4.OSFXSR, 0, NONE],
  ["FWAIT", FWAIT, PROTECTED | Cr0.EM, Cr4.OSFXSR, 0, NONE],
  ["FXSAVE", FXSAVE, PROTECTED | Cr0.TS, Cr4.OSFXSR, 0, Vector.NM],
  ["FXSAVE", FXSAVE, PROTECTED, Cr4.OSFXSR, 8, Vector.GP],
  ["FXSAVE", FXSAVE, PROTECTED, 0, 16, NONE],
  ["LDMXCSR", LDMXCSR, PROTECTED | Cr0.EM, Cr4.OSFXSR, 0, Vector.UD],
  ["STMXCSR", STMXCSR, PROTECTED, 0, 0, Vector.UD],
  ["STMXCSR", STMXCSR, PROTECTED | Cr0.TS, Cr4.OSFXSR, 0, Vector.NM],
  ["XSAVE", XSAVE, PROTECTED, Cr4.OSFXSR, 0, Vector.UD],
  ["XSAVE", XSAVE, PROTECTED | Cr0.TS, Cr4.OSXSAVE, 0, Vector.NM],
  ["XSAVE", XSAVE, PROTECTED | Cr0.EM, Cr4.OSXSAVE, 0, NONE],
  ["XSAVE", XSAVE, PROTECTED, Cr4.OSXSAVE, 32, Vector.GP],
  ["XSAVEC", XSAVEC, PROTECTED, Cr4.OSXSAVE, 16, Vector.GP],
] as const;
for (const [name, bytes, cr0, cr4, offset, fault] of GUARDS) {
  x87(`${name} with CR0 ${(cr0 & 0x3f).toString(16)} CR4 ${cr4.toString(16)} at +${offset}: ${fault === NONE ? "runs" : `vector ${fault}`}`, () => {
    machine.set32(PcpuOff.cr0, cr0);
    machine.set32(PcpuOff.cr4, cr4);
    assert.is(machine.run(bytes, 4, OPERAND + offset), fault);
  });
}

x87("an unmasked exception is reported by the next waiting instruction, if CR0.NE", () => {
  machine.set16(PcpuOff.fcw, 0x37e);
  assert.is(machine.run([0xd9, 0xe0]), NONE, "FCHS of an empty stack itself does not fault");
  assert.is(machine.get16(PcpuOff.fsw), 0x80c1);
  for (const bytes of [FWAIT, FLD1, FLDENV, FLDCW]) assert.is(machine.run(bytes), Vector.MF);
  for (const bytes of [FNSTCW, [0xdd, 0x3e], [0xdf, 0xe0]]) assert.is(machine.run(bytes), NONE);
  machine.set32(PcpuOff.cr0, PROTECTED & ~Cr0.NE);
  assert.is(machine.run(FLD1), NONE);
  machine.set32(PcpuOff.cr0, PROTECTED);
  assert.is(machine.run([0xdb, 0xe2]), NONE, "FNCLEX");
  assert.is(machine.run(FWAIT), NONE);
});

x87("LDMXCSR refuses reserved bits", () => {
  machine.view.setUint32(OPERAND, 0x1_0000, true);
  assert.is(machine.run(LDMXCSR), Vector.GP);
  machine.view.setUint32(OPERAND, 0xffff, true);
  assert.is(machine.run(LDMXCSR), NONE);
  assert.is(machine.get32(PcpuOff.mxcsr), 0xffff);
});

x87("XSAVE keeps the bits of components not asked for and reports those in use", () => {
  machine.operand(1024).fill(0);
  machine.view.setBigUint64(OPERAND + 512, 6n, true);
  loadTwo();
  machine.set64(PcpuOff.gpr, 1n);
  machine.run(XSAVE, 8);
  assert.is(u64(512), 7n);
  machine.set64(PcpuOff.gpr, 3n);
  machine.run(XSAVE, 8);
  assert.is(u64(512), 5n, "XMM registers are all zero: not in use");
  assert.is(u32(24), 0x1f80);
});

x87("XSAVEOPT leaves initial components out, XSAVEC also compacts and counts MXCSR", () => {
  machine.operand(1024).fill(0xcc);
  machine.view.setBigUint64(OPERAND + 512, 0n, true);
  machine.set64(PcpuOff.xmm, 1n);
  machine.run(XSAVEOPT, 8);
  assert.equal([u64(512), u16(0), u64(160)], [2n, 0xcccc, 1n]);
  reset();
  machine.run(XSAVEC, 8);
  assert.equal([u64(512), u64(520), u16(0)], [0n, (1n << 63n) | 3n, 0xcccc]);
  machine.set32(PcpuOff.mxcsr, 0x1fbf);
  machine.run(XSAVEC, 8);
  assert.equal([u64(512), u32(24), u64(160)], [2n, 0x1fbf, 0n]);
});

//  XSTATE_BV, XCOMP_BV, a byte set in the reserved part, MXCSR -> fault
const COMPACT = 1n << 63n;
const HEADERS = [
  [3n, 0n, 0, 0x1f80, NONE],
  [0n, 0n, 0, 0x1f80, NONE],
  [4n, 0n, 0, 0x1f80, Vector.GP],
  [3n, 1n, 0, 0x1f80, Vector.GP],
  [3n, 0n, 528, 0x1f80, Vector.GP],
  [3n, 0n, 536, 0x1f80, NONE], // bytes 63..24 are not checked in the standard form
  [0n, 0n, 0, 0x11f80, Vector.GP],
  [3n, COMPACT | 3n, 0, 0x1f80, NONE],
  [1n, COMPACT | 1n, 0, 0x11f80, NONE], // MXCSR comes with the SSE component only
  [2n, COMPACT | 1n, 0, 0x1f80, Vector.GP],
  [1n, COMPACT | 5n, 0, 0x1f80, Vector.GP],
  [3n, COMPACT | 3n, 536, 0x1f80, Vector.GP],
] as const;
for (const [present, layout, dirty, mxcsr, fault] of HEADERS) {
  x87(`XRSTOR with XSTATE_BV ${present.toString(16)} XCOMP_BV ${layout.toString(16)} reserved byte ${dirty} MXCSR ${mxcsr.toString(16)}: ${fault}`, () => {
    machine.operand(1024).fill(0);
    machine.run(FXSAVE, 8);
    machine.operand(28).set([mxcsr & 0xff, (mxcsr >> 8) & 0xff, mxcsr >> 16, 0], 24);
    machine.operand(640).fill(0, 512);
    machine.view.setBigUint64(OPERAND + 512, present, true);
    machine.view.setBigUint64(OPERAND + 520, layout, true);
    if (dirty) machine.operand(640)[dirty] = 1;
    assert.is(machine.run(XRSTOR, 8), fault);
  });
}

x87("XRSTOR initializes what XSTATE_BV leaves out", () => {
  machine.operand(1024).fill(0);
  loadTwo();
  machine.set64(PcpuOff.xmm, 5n);
  machine.set32(PcpuOff.mxcsr, 0x1fbf);
  machine.view.setUint32(OPERAND + 24, 0x1f81, true);
  assert.is(machine.run(XRSTOR, 8), NONE);
  assert.equal([machine.get16(PcpuOff.fcw), machine.get16(PcpuOff.ftag) & 0xff, machine.get64(PcpuOff.xmm)], [0x37f, 0, 0n]);
  assert.is(machine.get32(PcpuOff.mxcsr), 0x1f81, "the standard form loads MXCSR from memory all the same");
});

x87("MMX instructions put all registers in use with TOP 0", () => {
  loadTwo();
  machine.exports.mmxTransition();
  assert.equal([machine.get16(PcpuOff.fsw), machine.get16(PcpuOff.ftag) & 0xff], [0, 0xff]);
});
x87.run();
