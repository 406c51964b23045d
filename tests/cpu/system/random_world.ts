/** What random cases of privileged code have in common: the guest to start from, a pool of descriptors any of which may be wrong, and how to
 *  name selectors, mostly of what makes sense, now and then not.
 *
 *  ```
 *  0x0400 LDT   0x1000 GDT   0x2000 IDT   0x3000 TSS   0x8000 code   0x9000 data
 *  0xa000 to 0xdfff, 0x1a000 to 0x1dfff  HLT, wherever a transfer may lead
 *  0x30000, 0x31000, 0x32000  stacks of the TSS   0x36000 the stack in use
 *  ``` */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../../assembly/abi/exit";
import { PcpuOff, Seg } from "../../../assembly/abi/layout";
import { Random } from "../../support/random";
import { descriptor, gate, type Guest } from "./guest";
import { Model } from "./model";
import { CODE, GDT, KCODE, KDATA, TSS, protectedMode, setGate32 } from "./worlds";

/** One case: the guest is ready for it. */
export interface Case {
  readonly text: string;
  /** Bytes of the instruction at CODE, and what it does. */
  readonly length: number;
  readonly perform: (m: Model, next: number) => void;
}

/** Random cases of one kind, on the core and on the model; a case is had again from its name and number. Wherever they lead there is HLT. */
export function compare(guest: Guest, name: string, count: number, setup: (guest: Guest, random: Random) => Case): void {
  const tests = suite(name);
  tests(`${count} random cases`, () => {
    for (let i = 0; i < count; i++) {
      const { text, length, perform } = setup(guest, new Random(`${name} ${i}`));
      guest.setField(PcpuOff.rip, BigInt(CODE));
      const model = new Model(guest);
      model.perform(length, perform);
      for (let hlt = 0; hlt < 8 && !model.shutdown; hlt++) {
        const level = model.cpl;
        model.perform(1, (m) => m.halt());
        if (level === 0) break;
      }
      const exit = guest.run(CODE, 1000);
      if (model.shutdown) assert.is(exit, Exit.tripleFault, `case ${i}: ${text}`);
      else assert.equal([exit, model.differences(guest)], [Exit.hlt, []], `case ${i}: ${text}`);
    }
  });
  tests.run();
}

export const LDT = 0x400;
export const TARGET = 0xb000;
export const STACK_TOP = 0x36000;
export const LEVELS = [0, 1, 2, 3] as const;
/** Selectors of good code and data segments, by level; the 16-bit ones alike. */
export const codeOf = (level: number) => (level ? (0x50 + level * 16) | level : KCODE);
export const dataOf = (level: number) => (level ? (0x58 + level * 16) | level : KDATA);
export const code16Of = (level: number) => (0x90 + level * 16) | level;
export const data16Of = (level: number) => (0x98 + level * 16) | level;
export const stackOf = (level: number) => 0x30000 + 0x1000 * level;
/** Selectors without RPL of eight descriptors of the case's own, and where four more are in the LDT. */
export const POOL = 0xd0;
export const POOL_SIZE = 8;
const TABLE_END = 0x10f;
/** Handlers beyond those of the exceptions. */
export const VECTOR = 0x60;

const hexOf = (x: bigint | number) => x.toString(16);

export function level(random: Random): number {
  return random.pick([0, 0, 1, 2, 3, 3, 3]);
}

/** S, type, DPL, P, L, D and G with weights: mostly segments that can be used. */
export function anyDescriptor(random: Random): bigint {
  const dpl = random.below(4) << 5;
  const present = random.chance(0.93) ? 0x80 : 0;
  // LDT, busy TSS, reserved; available TSSs and task gates have tests of their own
  if (random.chance(0.1)) return descriptor(0x5000, 0x67, present | dpl | random.pick([2, 11, 3, 0, 8, 10, 13]));
  const type = random.pick([0x1b, 0x1b, 0x1b, 0x1f, 0x1d, 0x19, 0x13, 0x13, 0x13, 0x11, 0x17, 0x15]);
  const wide = random.pick([0x4000, 0x4000, 0]) | (random.chance(0.05) ? 0x2000 : 0) | (random.chance(0.1) ? 0x1000 : 0);
  const base = random.chance(0.15) ? 0x100 : 0;
  if (random.chance(0.15)) return descriptor(base, random.pick([0xb000, 0xafff, 0xffff, 0x36fff, 0xfff, 0x5fef]), present | dpl | type | wide);
  return descriptor(base, random.pick([0xfffff, 0xfffff, 0xf, 0xb, 0xa]), present | dpl | type | wide | 0x8000);
}
/** A selector for code that is going to run at `to`, or at random. */
export function codeSelector(random: Random, to: number): number {
  const kind = random.below(20);
  if (kind < 9) return codeOf(to);
  if (kind < 11) return code16Of(to);
  return anySelector(random, to);
}
export function dataSelector(random: Random, to: number): number {
  const kind = random.below(20);
  if (kind < 9) return dataOf(to);
  if (kind < 12) return data16Of(to);
  return anySelector(random, to);
}
export function anySelector(random: Random, to: number): number {
  const rpl = random.chance(0.7) ? to : random.below(4);
  const kind = random.below(16);
  if (kind < 8) return (POOL + random.below(POOL_SIZE) * 8) | rpl;
  if (kind < 10) return (random.below(4) * 8) | 4 | rpl;
  if (kind === 10) return random.below(4);
  if (kind === 11) return random.pick([0x110, 0x200, 0xfff8, 0x24, 0xfffc]) | rpl;
  if (kind === 12) return dataOf(random.below(4));
  if (kind === 13) return codeOf(random.below(4));
  if (kind === 14) return 0x30 | rpl; // the TSS in use
  return code16Of(random.below(4));
}

/** Descriptor tables, TSS and IDT of a 32-bit operating system that uses all four levels; the processor at `cpl`. */
export function protectedWorld(guest: Guest, random: Random, cpl: number): string {
  protectedMode(guest, 0);
  guest.setWord(PcpuOff.gdtLimit, TABLE_END);
  for (const level of LEVELS) {
    guest.set64(GDT + (codeOf(level) & ~3), descriptor(0, 0xfffff, 0xc09b | (level << 5)));
    guest.set64(GDT + (dataOf(level) & ~3), descriptor(0, 0xfffff, 0xc093 | (level << 5)));
    guest.set64(GDT + (code16Of(level) & ~3), descriptor(0, 0xffff, 0x009b | (level << 5)));
    guest.set64(GDT + (data16Of(level) & ~3), descriptor(0x30000, 0xffff, 0x0093 | (level << 5)));
    if (level === 3) continue;
    guest.set32(TSS + 4 + level * 8, stackOf(level));
    guest.set32(TSS + 8 + level * 8, dataOf(level));
  }
  const words = pool(guest, random);
  for (const vector of [3, 4, VECTOR]) setGate32(guest, vector, 0xee);
  guest.ram.fill(0xf4, 0xa000, 0xe000).fill(0xf4, 0x1a000, 0x1e000);
  const narrow = random.chance(0.2);
  const dpl = cpl << 5;
  if (narrow) guest.segment(Seg.cs, code16Of(cpl), 0, 0xffff, 0x009b | dpl);
  else guest.segment(Seg.cs, codeOf(cpl), 0, 0xffffffff, 0xc09b | dpl);
  const low = random.chance(0.2);
  if (low) {
    guest.segment(Seg.ss, data16Of(cpl), 0x30000, 0xffff, 0x0093 | dpl);
    guest.setGpr("rsp", BigInt(random.chance(0.5) ? 0x6000 : 0x12346000));
  } else {
    guest.segment(Seg.ss, dataOf(cpl), 0, 0xffffffff, 0xc093 | dpl);
    guest.setGpr("rsp", BigInt(STACK_TOP));
  }
  for (const seg of [Seg.ds, Seg.es, Seg.fs, Seg.gs]) loaded(guest, seg, random.between(cpl, 3), random.below(8));
  guest.setWord(PcpuOff.cpl, cpl);
  const flags = 2 | (random.below(4) << 12) | (random.u32() & 0x240cd5) | (random.chance(0.3) ? 0x200 : 0);
  guest.setField(PcpuOff.rflags, BigInt(flags));
  for (const name of ["rax", "rcx", "rdx", "rbx", "rsi", "rdi"] as const) guest.setGpr(name, BigInt(random.u32()));
  guest.setField(PcpuOff.rip, BigInt(CODE));
  return `CPL ${cpl} flags ${hexOf(flags)} ${narrow ? "16-bit code" : ""} ${low ? "16-bit stack" : ""} pool ${words.map(hexOf).join(" ")}`;
}

/** Puts random descriptors into the pool and the LDT. */
export function pool(guest: Guest, random: Random): bigint[] {
  const words: bigint[] = [];
  for (let i = 0; i < POOL_SIZE + 4; i++) words.push(anyDescriptor(random));
  words.slice(0, POOL_SIZE).forEach((d, i) => void guest.set64(GDT + POOL + i * 8, d));
  words.slice(POOL_SIZE).forEach((d, i) => void guest.set64(LDT + i * 8, d));
  if (random.chance(0.8)) guest.segment(Seg.ldtr, 0x40, LDT, 0x1f, 0x82);
  return words;
}

/** A data segment register as software of `level` may have left it. */
export function loaded(guest: Guest, seg: Seg, level: number, kind: number): void {
  const dpl = level << 5;
  if (kind === 0) guest.segment(seg, 0, 0, 0, 0x10000);
  else if (kind === 1) guest.segment(seg, code16Of(level), 0, 0xffff, 0x009b | dpl);
  else if (kind === 2) guest.segment(seg, POOL | level, 0, 0xffffffff, 0xc09f); // conforming, DPL 0
  else guest.segment(seg, dataOf(level), 0, 0xffffffff, 0xc093 | dpl);
}

/** Linear address of the top of the stack. */
export function stackAt(guest: Guest): number {
  const base = Number(guest.field(PcpuOff.segBase + Seg.ss * 8));
  const esp = Number(guest.gpr("rsp") & 0xffffffffn);
  return base + (guest.word(PcpuOff.segAttr + Seg.ss * 4) & 0x4000 ? esp : esp & 0xffff);
}

/** Items of `size` bytes at the top of the stack. */
export function put(guest: Guest, at: number, size: number, items: readonly (number | bigint)[]): void {
  items.forEach((item, i) => {
    const to = at + i * size;
    const value = BigInt.asUintN(size * 8, BigInt(item));
    if (size === 8) guest.set64(to, value);
    else if (size === 4) guest.set32(to, Number(value));
    else guest.set16(to, Number(value));
  });
}

/** Writes code where the guest begins; HLT behind. */
export function code(guest: Guest, bytes: readonly number[]): string {
  guest.bytes(CODE, ...bytes, 0xf4, 0xf4, 0xf4, 0xf4);
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

export const bytesOf = (x: number, n: number) => Array.from({ length: n }, (_, i) => Math.floor(x / 2 ** (8 * i)) & 255);

/** Prefix that gives `size` where the code segment's default is `other`. */
export const sized = (guest: Guest, size: number) => ((guest.word(PcpuOff.segAttr + Seg.cs * 4) & 0x4000 ? 4 : 2) === size ? [] : [0x66]);

export { gate };
