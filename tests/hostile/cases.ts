/** One case: a hostile domain is made, programs chosen by the seed run on it in several processor modes, and the machine is
 *  inspected. Everything follows from the seed, so a case that breaks something can be had again. */
import { Exit } from "../../assembly/abi/exit";
import { PcpuOff, Seg, SegAttr, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { Random } from "../support/random";
import { type AttackMachine, type Attacker, Breach, GUEST_PAGES, SPECIAL } from "./attacker";
import { type Bits, type Places, Programmer, value } from "./encode";

export const PLACES: Places = { idt: 0x1000, gdt: 0x2000, tss: 0x3000, data: 0x20000, code: 0x8000, stack: 0x18000, tables: 0x40000, size: GUEST_PAGES * 4096 };
const HANDLERS = { 16: 0x6000, 32: 0x6100, 64: 0x6200 } as const;
const STACKS = 0x1a000; // of inner levels and ISTs

export const MODES = ["real", "protected16", "protected32", "paged32", "pae", "v86", "compat16", "compat32", "long"] as const;
export type Mode = (typeof MODES)[number];

export interface Step {
  readonly mode: Mode;
  readonly cpl: 0 | 3;
  /** Page offset of the first instruction: programs that begin near the end of a page run into the next. */
  readonly offset: number;
  readonly pieces: number[][];
}

export interface Case {
  readonly seed: number;
  readonly hypercalls: boolean;
  readonly steps: Step[];
}

/** What a run of a case reports while it goes on, for whoever watches. */
export interface Watch {
  /** run() is about to be entered for step `step`. */
  enter(step: number): void;
  leave(): void;
}

const bitsOf = (mode: Mode): Bits => (mode === "long" ? 64 : mode === "real" || mode === "v86" || mode.endsWith("16") ? 16 : 32);

export function makeCase(seed: number): Case {
  const random = new Random(seed);
  const programmer = new Programmer(random, PLACES);
  const hypercalls = random.chance(0.4);
  const steps = Array.from({ length: 4 }, (): Step => {
    const mode = random.chance(0.4) ? "long" : random.pick(MODES);
    const offset = random.chance(0.6) ? 0 : random.pick([0x800, 0xf00, 0xfc0, 0xff3, 0xffd]);
    return { mode, offset, cpl: mode === "v86" || (mode !== "real" && random.chance(0.3)) ? 3 : 0, pieces: programmer.program(bitsOf(mode), random.between(5, 50)) };
  });
  return { seed, hypercalls, steps };
}

/** Handlers that skip a byte of whatever faulted and go on: code, for each width, without and with an error code. */
const SKIP = {
  16: { plain: [0x55, 0x89, 0xe5, 0xff, 0x46, 0x02, 0x5d, 0xcf], error: [0x55, 0x89, 0xe5, 0xff, 0x46, 0x02, 0x5d, 0xcf] },
  32: { plain: [0x83, 0x04, 0x24, 0x01, 0xcf], error: [0x83, 0xc4, 0x04, 0x83, 0x04, 0x24, 0x01, 0xcf] },
  64: { plain: [0x48, 0x83, 0x04, 0x24, 0x01, 0x48, 0xcf], error: [0x48, 0x83, 0xc4, 0x08, 0x48, 0x83, 0x04, 0x24, 0x01, 0x48, 0xcf] },
} as const;
const WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);

function prepareTables({ guest }: Attacker, random: Random): void {
  const g = guest;
  const { gdt, tss, tables, stack } = PLACES;
  //             null  64-bit code 0, 32-bit code 0, data 0, 64-bit code 3, 32-bit code 3, data 3, 16-bit code, 16-bit data,
  const gdtWords = [0n, 0x00af9b000000ffffn, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00affb000000ffffn, 0x00cffb000000ffffn, 0x00cff3000000ffffn, 0x00009b000000ffffn, 0x000093000000ffffn];
  gdtWords.forEach((d, i) => g.set64(gdt + i * 8, d));
  const system = (type: number, base: number, limit: number, dpl = 0) =>
    BigInt(limit & 0xffff) | (BigInt(base & 0xffffff) << 16n) | (BigInt(0x80 | (dpl << 5) | type) << 40n) | (BigInt((limit >>> 16) & 15) << 48n) | (BigInt(base >>> 24) << 56n);
  g.set64(gdt + 0x48, system(9, tss, 0x67)); // 0x48: TSS
  g.set64(gdt + 0x50, 0n);
  g.set64(gdt + 0x58, system(2, gdt, 0xff)); // 0x58: LDT, the same table
  g.set64(gdt + 0x60, 0n);
  g.set64(gdt + 0x68, system(12, HANDLERS[32], 0x10, 3) | (BigInt(HANDLERS[32]) & 0xffffn)); // 0x68: a gate of sorts
  g.set64(gdt + 0x70, system(9, tss + 0x200, 0x67)); // 0x70: another TSS
  g.set64(gdt + 0x78, 0n);
  g.set64(gdt + 0x80, system(1, tss + 0x400, 0x2b)); // 0x80: a 16-bit TSS
  for (let n = 0x88; n < 0x100; n += 8) g.set64(gdt + n, random.chance(0.5) ? random.u64() : BigInt.asUintN(64, (random.u64() & 0xff0fffffffffffffn) | 0x00c0900000000000n));
  for (const at of [tss, tss + 0x200, tss + 0x400]) {
    for (let n = 0; n < 0x68; n += 4) g.set32(at + n, random.chance(0.3) ? Number(value(random, PLACES) & 0xffffffffn) : 0);
    g.set32(at + 4, STACKS);
    g.set32(at + 8, random.chance(0.9) ? 0x18 : 0);
    for (let ist = 0; ist < 7; ist++) g.set64(at + 0x24 + 8 * ist, BigInt(STACKS + 0x800 * (ist + 1)));
    g.set32(at + 0x64, 0x680000);
  }
  g.set32(tss + 8, 0); // upper half of RSP0 in 64-bit mode: legacy steps set it
  for (const bits of [16, 32, 64] as const) {
    g.write(HANDLERS[bits], Uint8Array.from(SKIP[bits].plain));
    g.write(HANDLERS[bits] + 0x20, Uint8Array.from(SKIP[bits].error));
  }
  // page tables: 4-level at +0, PAE at +0x4000, 32-bit at +0x5000; the tables of last level are shared
  const [pml4, pdpt, pd, pt] = [tables, tables + 0x1000, tables + 0x2000, tables + 0x3000];
  g.set64(pml4, BigInt(pdpt) | 7n);
  g.set64(pml4 + 8 * 511, BigInt(random.pick([pml4, pdpt, pd])) | 7n);
  g.set64(pdpt, BigInt(pd) | 7n);
  g.set64(pdpt + 8 * 3, BigInt(tables + 0x6000) | 7n);
  g.set64(tables + 0x6000 + 8 * (0xfee00000 / 0x200000 - 0x600), 0xfee00087n);
  g.set64(pd, BigInt(pt) | 7n);
  for (let n = 1; n < 8; n++) g.set64(pd + 8 * n, random.chance(0.5) ? 0x87n : random.chance(0.5) ? BigInt(random.u32()) : random.u64());
  for (let n = 0; n < 512; n++) {
    const frame = n < GUEST_PAGES + 0x10 || random.chance(0.3) ? n : random.below(0x200);
    g.set64(pt + 8 * n, (BigInt(frame) << 12n) | (random.chance(0.9) ? 7n : BigInt(random.below(4096))));
  }
  if (random.chance(0.3)) g.set64(pt + 8 * ((PLACES.code >> 12) + 1), BigInt(PLACES.code) | 7n); // its own next page
  if (random.chance(0.3)) g.set64(pt + 8 * (PLACES.data >> 12), BigInt(PLACES.code) | 7n); // a second view of the code
  g.set64(pt + 8 * 0x150, BigInt(SPECIAL.grantRw << 12) | 0x107n);
  for (let n = 0; n < 4; n++) g.set64(tables + 0x4000 + 8 * n, n === 0 ? BigInt(pd) | 1n : n === 3 ? BigInt(tables + 0x6000) | 1n : random.chance(0.5) ? 0n : BigInt(tables + 0x1000 * random.below(8)) | 1n);
  for (let n = 0; n < 1024; n++) g.set32(tables + 0x5000 + 4 * n, n === 0 ? (tables + 0x7000) | 7 : n === 0x3fb ? 0xfec00087 : random.chance(0.3) ? random.u32() : (n << 22) | 0x87);
  for (let n = 0; n < 1024; n++) g.set32(tables + 0x7000 + 4 * n, ((n < 0x180 ? n : random.below(0x200)) << 12) | 7);
  g.fill(stack - 0x2000, 0x2000, random.below(256));
  for (let at = PLACES.data; at < PLACES.data + 0x3000; at += 8) g.set64(at, value(random, PLACES));
}

function prepareIdt({ guest }: Attacker, bits: 16 | 32 | 64, random: Random): void {
  for (let v = 0; v < 256; v++) {
    const odd = random.chance(0.03);
    const handler = odd ? Number(value(random, PLACES) & 0xfffffn) : HANDLERS[bits] + (WITH_ERROR.has(v) ? 0x20 : 0);
    const type = odd ? 0x80 | random.below(128) : random.pick([0x8e, 0xee, 0xef]);
    if (bits === 16) guest.set32(v * 4, (handler & 0xffff) | (odd ? random.u32() << 16 : 0));
    else {
      const selector = odd ? random.below(24) * 8 : bits === 64 ? 0x08 : 0x10;
      guest.set64(PLACES.idt + v * (bits / 4), BigInt(handler & 0xffff) | (BigInt(selector) << 16n) | (BigInt(bits === 64 && random.chance(0.1) ? random.below(8) : 0) << 32n) | (BigInt(type) << 40n) | (BigInt(handler >>> 16) << 48n));
      if (bits === 64) guest.set64(PLACES.idt + v * 16 + 8, 0n);
    }
  }
}

function prepareState(attacker: Attacker, { mode, cpl, offset }: Step, random: Random): void {
  const { mem } = attacker.machine;
  const image = attacker.vcpu + VcpuOff.image;
  const bits = bitsOf(mode);
  const long = mode === "long" || mode.startsWith("compat");
  const paging = long || mode === "paged32" || mode === "pae" || mode === "v86";
  mem.u8.fill(0, image, image + PcpuOff.STATE_SIZE);
  const set64 = (at: number, x: bigint) => mem.set64(image + at, BigInt.asUintN(64, x));
  const set32 = (at: number, x: number) => mem.set32(image + at, x >>> 0);
  for (let n = 0; n < 16; n++) set64(PcpuOff.gpr + 8 * n, n < 8 && bits !== 64 && random.chance(0.7) ? value(random, PLACES) & 0xffffffffn : value(random, PLACES));
  set64(PcpuOff.gpr + 32, BigInt(PLACES.stack - 8 * random.below(64) - (random.chance(0.1) ? random.below(8) : 0)) & (bits === 16 ? 0xffffn : ~0n));
  set64(PcpuOff.rip, BigInt(PLACES.code + offset));
  const tf = random.chance(0.1) ? 0x100 : 0;
  set64(PcpuOff.rflags, BigInt((random.u32() & 0x40cd5) | 2 | 0x200 | tf | (mode === "v86" ? 0x20000 | (random.chance(0.5) ? 0x3000 : 0) : random.below(4) << 12)));
  set64(PcpuOff.cr0, (paging ? 0x80000000n : 0n) | (mode === "real" ? 0x30n : 0x31n) | (random.chance(0.5) ? 0x10000n : 0n) | (random.chance(0.1) ? 0x8n : 0n) | (random.chance(0.2) ? 0x40000n : 0n));
  set64(PcpuOff.cr3, BigInt(PLACES.tables + (long ? 0 : mode === "pae" ? 0x4000 : 0x5000)));
  set64(PcpuOff.cr4, 0x600n | (long || mode === "pae" ? 0x20n : 0n) | (random.chance(0.5) ? 0x80n : 0n) | (random.chance(0.8) ? 0x10n : 0n) | (random.chance(0.1) ? 0x300000n : 0n) | (random.chance(0.3) ? 0x50000n : 0n) | (random.chance(0.2) ? 3n : 0n));
  set64(PcpuOff.efer, (long ? 0x500n : 0n) | (random.chance(0.8) ? 0x800n : 0n) | 1n);
  set64(PcpuOff.star, 0x0023001000000000n | 0x1000n);
  set64(PcpuOff.lstar, BigInt(HANDLERS[64]));
  set64(PcpuOff.cstar, BigInt(HANDLERS[64]));
  set64(PcpuOff.sysenterCs, 8n);
  set64(PcpuOff.sysenterEip, BigInt(HANDLERS[64]));
  set64(PcpuOff.sysenterEsp, BigInt(STACKS));
  set64(PcpuOff.idtBase, mode === "real" ? 0n : BigInt(PLACES.idt));
  set32(PcpuOff.idtLimit, random.chance(0.95) ? 0xfff : random.below(0x1000));
  set64(PcpuOff.gdtBase, BigInt(PLACES.gdt));
  set32(PcpuOff.gdtLimit, 0xff);
  set64(PcpuOff.trBase, BigInt(PLACES.tss));
  set32(PcpuOff.cpl, cpl);
  set64(PcpuOff.dr + 32, 0xffff0ff0n);
  set64(PcpuOff.dr + 40, random.chance(0.1) ? BigInt((random.u32() & 0xffff03ff) >>> 0) | 0x400n : 0x400n);
  for (let n = 0; n < 4; n++) set64(PcpuOff.dr + 8 * n, value(random, PLACES));
  set64(PcpuOff.xcr0, random.chance(0.5) ? 3n : 1n);
  set64(PcpuOff.pat, 0x0007040600070406n);
  set64(PcpuOff.apicBase, 0xfee00900n);
  set64(PcpuOff.miscEnable, 1n);
  mem.set16(image + PcpuOff.fcw, random.chance(0.5) ? 0x37f : random.u32() & 0x1f7f);
  mem.set16(image + PcpuOff.fsw, random.chance(0.5) ? 0 : random.u32() & 0x7f7f);
  set32(PcpuOff.mxcsr, random.chance(0.5) ? 0x1f80 : random.u32() & 0xffff);
  mem.set8(image + PcpuOff.ftag, random.below(256));
  for (let at = PcpuOff.xmm; at < PcpuOff.fpr + 128; at += 8) set64(at, random.chance(0.3) ? 0n : random.chance(0.3) ? value(random, PLACES) : random.u64());
  const put = (seg: Seg, selector: number, base: bigint, limit: number, attr: number) => {
    set32(PcpuOff.segSel + seg * 4, selector);
    set32(PcpuOff.segLimit + seg * 4, limit);
    set32(PcpuOff.segAttr + seg * 4, attr);
    if (seg < 6) set64(PcpuOff.segBase + seg * 8, base);
  };
  const dpl = cpl << 5;
  const data = [Seg.es, Seg.ss, Seg.ds, Seg.fs, Seg.gs];
  if (mode === "real" || mode === "v86") {
    for (const seg of [Seg.cs, ...data]) {
      const selector = seg === Seg.ss ? 0x1000 : seg === Seg.cs || random.chance(0.5) ? 0 : random.below(0x10000);
      put(seg, selector, BigInt(selector << 4), 0xffff, mode === "v86" ? 0xf3 : seg === Seg.cs ? 0x9b : 0x93);
    }
  } else {
    const wide = SegAttr.G | SegAttr.DB;
    put(Seg.cs, bits === 64 ? (cpl ? 0x23 : 8) : bits === 32 ? (cpl ? 0x2b : 0x10) : 0x38 | cpl, 0n, bits === 16 ? 0xffff : 0xffffffff, 0x9b | dpl | (bits === 64 ? SegAttr.G | SegAttr.L : bits === 32 ? wide : 0));
    for (const seg of data) {
      const small = seg !== Seg.ss && bits !== 64 && random.chance(0.15);
      const base = small ? BigInt(random.u32()) : (seg === Seg.fs || seg === Seg.gs) && bits === 64 && random.chance(0.5) ? value(random, PLACES) : 0n;
      put(seg, cpl ? 0x33 : 0x18, BigInt.asIntN(48, base), small ? random.u32() : 0xffffffff, 0x93 | dpl | (small ? (random.chance(0.5) ? SegAttr.DB : 0) | (random.chance(0.3) ? 4 : 0) : wide));
    }
    if (bits === 16) put(Seg.ss, 0x40 | cpl, 0x10000n, 0xffff, 0x93 | dpl);
  }
  put(Seg.ldtr, 0, 0n, 0, SegAttr.NULL);
  put(Seg.tr, 0x48, 0n, 0x67, 0x8b);
  attacker.guest.set32(PLACES.tss + 8, long ? 0 : 0x18);
}

/** Runs a case to its end. Throws what it finds: traps as they are, broken invariants as Breach. */
export function runCase(machine: AttackMachine, { seed, hypercalls, steps }: Case, watch: Watch): void {
  const random = new Random(seed ^ 0x5eed);
  const attacker = machine.attacker();
  if (!hypercalls) attacker.mapGrants(true);
  prepareTables(attacker, random);
  const { mem, core } = machine;
  steps.forEach((step, n) => {
    const own = new Random((seed * 8 + n) | 0);
    const bits = bitsOf(step.mode);
    attacker.leave();
    restorePages(attacker, own);
    prepareIdt(attacker, step.mode === "real" ? 16 : step.mode === "long" || step.mode.startsWith("compat") ? 64 : 32, own);
    write(attacker, PLACES.code + step.offset, [...step.pieces.flat(), 0xeb, 0x00, bits === 16 ? 0xe9 : 0x90, 0xf4, 0xf4]);
    prepareState(attacker, step, own);
    mem.store(attacker.vcpu + VcpuOff.request, 0);
    attacker.enter();
    for (let entry = 0; entry < 12; entry++) {
      const budget = own.pick([50, 500, 5000, 20_000]);
      watch.enter(n);
      const exit = core.run(budget);
      watch.leave();
      if (exit === Exit.none) throw new Breach(`run() says nothing in step ${n}`);
      if (exit === Exit.bug) throw new Breach(`exit "bug" ${core.exitArg(0)} in step ${n}`);
      if (exit === Exit.tripleFault) break;
      if (exit === Exit.hlt) {
        if (!core.interruptible) break;
        machine.now += 1e6;
        core.exports.apicTick(machine.now);
      }
      if (exit === Exit.hypercall && hypercalls) {
        watch.enter(n);
        const outcome = machine.hypervisor.hypercall(attacker.vcpu);
        watch.leave();
        if (outcome === "shutdown") mem.store(attacker.domain + 44, -1);
      }
      if (exit === Exit.request) mem.and(attacker.vcpu + VcpuOff.request, ~VcpuRequest.pause);
      if (own.chance(0.3)) attacker.disturb(own.u32());
    }
    attacker.checkTranslations(`in step ${n} (${step.mode})`);
    machine.check(`in step ${n} (${step.mode})`);
  });
  attacker.destroy();
  machine.checkBalance("at the end");
}

/** Code and stack pages back to something that runs, wherever the domain still has memory there. */
function restorePages(attacker: Attacker, random: Random): void {
  for (const page of [0x1000, 0x2000, 0x3000, 0x6000]) if (!attacker.guest.has(page, 4096)) throw new Skip();
  if (random.chance(0.6)) prepareTables(attacker, random);
}

/** The case has given away memory it would need to go on. */
export class Skip extends Error {}

function write({ guest }: Attacker, at: number, bytes: number[]): void {
  if (!guest.has(at, bytes.length)) throw new Skip();
  guest.write(at, Uint8Array.from(bytes));
}

/** Bytes of a step, for a report. */
export function describe({ mode, cpl, offset, pieces }: Step): string {
  return `${mode} cpl ${cpl} at ${offset.toString(16)}: ${pieces.map((piece) => Buffer.from(piece).toString("hex")).join(" ")}`;
}
