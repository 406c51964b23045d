/** Virtual-8086 mode and its extensions (CR4.VME), protected-mode virtual interrupts (CR4.PVI), real mode: what asks IOPL, where INT n goes, what
 *  leaves the mode and what returns to it, on random machines. The model (tests/cpu/system/model.ts) says what must come of each. */
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import type { Random } from "../../support/random";
import { Guest } from "./guest";
import { type Model, Raised, UD, VIF, VIP, VM } from "./model";
import { bytesOf, type Case, code, compare, gate, protectedWorld, put, stackAt, VECTOR } from "./random_world";
import { IDT, KCODE, realMode, setGate32, TSS, UCODE32, v86Mode } from "./worlds";

const guest = await Guest.create();
const MAP = 0x90;

/** Flags a program may have; VIF and VIP now and then. */
const flags = (random: Random) => 2 | (random.u32() & 0x244cd5) | (random.chance(0.5) ? 0x200 : 0) | (random.chance(0.4) ? VIF : 0) | (random.chance(0.3) ? VIP : 0);

/** The 8086's own vectors, and the interrupt redirection bitmap below the I/O bitmap. */
function tables(random: Random): void {
  for (const vector of [3, 4, 0x21, VECTOR]) {
    guest.set16(vector * 4, 0x10 * vector);
    guest.set16(vector * 4 + 2, 0xa00);
    setGate32(guest, vector, random.chance(0.7) ? 0xee : 0x8e);
  }
  guest.setWord(PcpuOff.segLimit + Seg.tr * 4, random.pick([0x67, 0x90, 0x200, 0x200, 0x200]));
  guest.set16(TSS + 102, random.pick([MAP, MAP, MAP, 0x68, 0x1f]));
  for (let at = 0x70; at < 0xb0; at += 4) guest.set32(TSS + at, random.chance(0.5) ? random.u32() : 0);
  guest.ram.fill(0xf4, 0xa000, 0xe000).fill(0xf4, 0x19000, 0x1e000);
  guest.setGpr("rbx", 0n);
}

type Instruction = readonly [text: string, code: readonly number[], perform: (m: Model, next: number) => void];

/** One of those that transfer control or touch IF, with what it may pop on the stack; `trap`: TF may be set there, since nobody will load it. */
function instruction(random: Random, trap: boolean): Instruction {
  const size = random.pick([2, 2, 4]);
  const prefix = size === 2 ? [] : [0x66];
  frame(random, size, trap);
  const [offset, selector] = [random.pick([0x10, 0x200, 0xffff, 0x10000]), random.pick([0xa00, 0xb00, 0xb11])];
  return random.pick<Instruction>([
    ["INT n", [0xcd, VECTOR], (m) => m.software(VECTOR, true)],
    ["INT 21h", [0xcd, 0x21], (m) => m.software(0x21, true)],
    ["INT 3 of two bytes", [0xcd, 3], (m) => m.software(3, true)],
    ["INT3", [0xcc], (m) => m.software(3, false)],
    ["INTO", [0xce], (m) => m.software(4, false)],
    ["CLI", [0xfa], (m) => m.interruptFlag(false)],
    ["STI", [0xfb], (m) => m.interruptFlag(true)],
    ["PUSHF", [...prefix, 0x9c], (m) => m.pushf(size)],
    ["POPF", [...prefix, 0x9d], (m) => m.popf(size)],
    ["IRET", [...prefix, 0xcf], (m) => m.iret(size)],
    ["UD2", [0x0f, 0x0b], () => { throw new Raised(UD); }],
    ["far JMP", [...prefix, 0xea, ...bytesOf(offset, size), ...bytesOf(selector, 2)], (m, next) => m.far(false, size, selector, size === 2 ? offset & 0xffff : offset, next)],
    ["far CALL", [...prefix, 0x9a, ...bytesOf(offset, size), ...bytesOf(selector, 2)], (m, next) => m.far(true, size, selector, size === 2 ? offset & 0xffff : offset, next)],
    ["far RET", [...prefix, 0xca, 2, 0], (m) => m.retFar(size, 2)],
  ]);
}

/** Offset, selector and flags. */
function frame(random: Random, size: number, trap: boolean): void {
  const image = random.u32() & 0x3cfeff & ~VM;
  put(guest, stackAt(guest), size, [random.pick([0xb000, 0xa010, 0x1b000]), random.pick([0, 0x10, 0x100]), trap && random.chance(0.2) ? image | 0x100 : image, 0, 0]);
}

function finish([name, bytes, perform]: Instruction, world: string): Case {
  return { text: `${name}: ${code(guest, bytes)}; ${world}`, length: bytes.length, perform };
}

compare(guest, "virtual-8086 mode", 700, (guest, random) => {
  v86Mode(guest, 0);
  tables(random);
  const [image, cr4] = [flags(random) | VM | (random.below(4) << 12), random.pick([0, 1, 1, 3])];
  guest.setField(PcpuOff.rflags, BigInt(image | 0x800));
  guest.setField(PcpuOff.cr4, BigInt(cr4));
  guest.segment(Seg.ss, 0x3000, 0x30000, 0xffff, 0xf3);
  guest.setGpr("rsp", BigInt(random.pick([0x7000, 0x12347000, 0, 4, 1, 0xffff])));
  if (random.chance(0.3)) guest.set64(IDT + VECTOR * 8, gate(random.pick([KCODE, KCODE, UCODE32, 0, 0x38]), 0xb000, random.pick([0xee, 0xef, 0xe6, 0xe7, 0x6e, 0x8e])));
  guest.segment(Seg.gs, 0x1234, 0x12340, 0xffff, 0xf3);
  return finish(instruction(random, (image & 0x3000) !== 0x3000), `flags ${image.toString(16)} CR4 ${cr4}`);
});

compare(guest, "return to virtual-8086 mode", 300, (guest, random) => {
  const world = protectedWorld(guest, random, 0);
  const selectors = Array.from({ length: 5 }, () => random.u32() >>> random.pick([0, 16, 20]));
  put(guest, stackAt(guest), 4, [random.pick([0xb000, 0xa010, 0xffff, 0x10000]), random.pick([0, 0x10, 0x70]), (random.u32() & 0x3cfeff) | VM, random.u32(), ...selectors]);
  guest.ram.fill(0xf4, 0xfff0, 0x10800);
  const wide = guest.word(PcpuOff.segAttr + Seg.cs * 4) & 0x4000;
  return finish(["IRETD", wide ? [0xcf] : [0x66, 0xcf], (m) => m.iret(4)], world);
});

compare(guest, "protected-mode virtual interrupts", 300, (guest, random) => {
  const cpl = random.pick([0, 1, 2, 3, 3, 3]);
  const world = protectedWorld(guest, random, cpl);
  const cr4 = random.pick([0, 1, 2, 2, 3]);
  guest.setField(PcpuOff.cr4, BigInt(cr4));
  guest.setField(PcpuOff.rflags, BigInt(flags(random) | (random.below(4) << 12)));
  put(guest, stackAt(guest), 4, [random.u32() & 0x3cbeff]);
  const wide = guest.word(PcpuOff.segAttr + Seg.cs * 4) & 0x4000 ? 4 : 2;
  return finish(random.pick<Instruction>([
    ["CLI", [0xfa], (m) => m.interruptFlag(false)],
    ["STI", [0xfb], (m) => m.interruptFlag(true)],
    ["PUSHF", [0x9c], (m) => m.pushf(wide)],
    ["POPF", [0x9d], (m) => m.popf(wide)],
  ]), `${world} CR4 ${cr4}`);
});

compare(guest, "real mode", 400, (guest, random) => {
  realMode(guest);
  guest.ram.fill(0xf4, 0xa000, 0xe000).fill(0xf4, 0x19000, 0x1e000);
  for (const vector of [3, 4, 0x21, VECTOR]) guest.set32(vector * 4, (0xa00 << 16) | (vector * 16));
  guest.setField(PcpuOff.rflags, BigInt((flags(random) & ~(VIF | VIP)) | 0x800 | (random.below(4) << 12)));
  guest.setWord(PcpuOff.idtLimit, random.pick([0x3ff, 0x3ff, 0x3f, 0x83]));
  guest.segment(Seg.ss, 0x3000, 0x30000, 0xffff, 0x93);
  guest.setGpr("rsp", BigInt(random.pick([0x7000, 0x12347000, 0, 4, 1, 0xffff])));
  return finish(instruction(random, false), `IDT limit ${guest.word(PcpuOff.idtLimit).toString(16)}`);
});
