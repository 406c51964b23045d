/** Page-table walks: every combination of the bits that decide, in two neighbouring levels at a time, for each kind of
 *  access and each control bit, against a walker written from the manual (after the idea of kvm-unit-tests' access.c).
 *  SDM Vol.3A "Paging": access rights, reserved bits, error codes, accessed and dirty flags. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcpuOff } from "../../assembly/abi/layout";
import { Cr0, Cr4, Efer } from "../../assembly/abi/x86";
import { type Access, type Control, type Entry, referenceWalk, type Walk } from "./reference_walk";
import { FRAMES, PCPU, PG, Rig } from "./rig";

const walks = suite("page walks (SDM Vol.3A Paging)");
let rig: Rig;
walks.before(async () => {
  rig = await Rig.create();
});

/** Walk words as assembly/mmu/guest_walk.ts lays them out. */
const GPA = PCPU + PcpuOff.walk;
const ERROR = GPA + 8;
const SMAP_OFF = 0x100;

const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const G = 0x100;

/** Tables at fixed guest frames; data far from them. */
const TABLE = [0x10000, 0x11000, 0x12000, 0x13000];
const DATA = 0x40000;

const ACCESSES: Access[] = [];
for (const user of [false, true]) for (const kind of ["read", "write", "fetch"] as const) ACCESSES.push({ user, kind });
for (const kind of ["read", "write"] as const) ACCESSES.push({ user: false, kind, implicit: true });

const bits = (n: number, names: readonly string[]): Record<string, boolean> =>
  Object.fromEntries(names.map((name, i) => [name, ((n >> i) & 1) === 1]));

function* controls(base: Omit<Control, "wp" | "nxe" | "smep" | "smap" | "ac">): Generator<Control> {
  for (let n = 0; n < 32; n++) {
    const c = { ...base, ...bits(n, ["wp", "nxe", "smep", "smap", "ac"]) } as Control;
    if (!base.pae && c.nxe) continue; // no effect
    yield c;
  }
}

function load(control: Control): void {
  const { mem } = rig;
  mem.set64(PCPU + PcpuOff.cr0, BigInt((control.pg ? PG : 0) + Cr0.PE + (control.wp ? Cr0.WP : 0)));
  mem.set64(PCPU + PcpuOff.cr3, BigInt(control.cr3));
  const cr4 = (control.pae ? Cr4.PAE : 0) | (control.pse ? Cr4.PSE : 0) | (control.smep ? Cr4.SMEP : 0) | (control.smap ? Cr4.SMAP : 0);
  mem.set64(PCPU + PcpuOff.cr4, BigInt(cr4));
  mem.set64(PCPU + PcpuOff.efer, BigInt((control.lma ? Efer.LMA | Efer.LME : 0) | (control.nxe ? Efer.NXE : 0)));
}

/** One entry's variants. Not-present ones have all other bits set or none: they must not matter. */
function variants(address: number, names: { reserved: bigint; nx: boolean; large?: bigint }): bigint[] {
  const result: bigint[] = [0n, 0xfff0_0000_0000_0ffen | BigInt(address)];
  const nx = names.nx ? [0n, 1n << 63n] : [0n];
  const targets: { base: bigint; reserved: bigint }[] = [{ base: BigInt(address), reserved: names.reserved }];
  if (names.large !== undefined) targets.push({ base: BigInt(PS), reserved: names.large }, { base: BigInt(PS), reserved: names.reserved });
  for (const { base, reserved } of targets)
    for (const rights of [0, RW, US, RW | US])
      for (const x of nx) for (const r of [0n, reserved]) result.push(base | BigInt(P | rights) | x | r);
  return [...new Set(result)];
}

const isRam = (gpa: number): boolean => gpa < FRAMES * 4096;
const physical = (gpa: number): number => (isRam(gpa) ? rig.guest.get32(gpa) : -1);

let compared = 0, large = 0;

/** Walks, then compares outcome, address or error code, and the flags left in the entries used. Then once more, when
 *  the walker knows the last table already. */
function compare(control: Control, access: Access, lin: bigint): void {
  rig.core.forgetTables();
  const used = compareOnce(control, access, lin, true);
  compareOnce(control, access, lin, false);
  for (const entry of used) restore(entry, control.pae);
}

function compareOnce(control: Control, access: Access, lin: bigint, cold: boolean): Entry[] {
  const expected = referenceWalk(control, access, lin, physical);
  const core =
    (access.kind === "write" ? 2 : 0) | (access.user ? 4 : 0) | (access.kind === "fetch" ? 16 : 0) | (control.ac && !access.implicit ? SMAP_OFF : 0);
  if (access.kind !== "fetch") compareLarge(control, access, lin, core, expected);
  const ok = rig.core.tryWalk(lin, core) !== 0;
  compared++;
  let wrong = ok !== expected.ok;
  if (!wrong && expected.ok) wrong = rig.mem.get64(GPA) !== expected.gpa || !flagsAreSet(expected.used, access, control.pae);
  if (!wrong && !expected.ok) wrong = rig.mem.get32(ERROR) !== expected.error;
  if (wrong) {
    const got = ok ? { gpa: rig.mem.get64(GPA) } : { error: rig.mem.get32(ERROR) };
    assert.equal({ ok, ...got }, expected, JSON.stringify({ control, access, lin: lin.toString(16), cold }));
    assert.unreachable(`flags of ${JSON.stringify({ expected: expected.ok ? String(expected.gpa) : "", control, access })}`);
  }
  return expected.ok ? expected.used : [];
}

/** largePage() knows what a walk that is allowed leads to, if it ends early and finds all flags set that it would set; and changes nothing. */
function compareLarge(control: Control, access: Access, lin: bigint, core: number, expected: Walk): void {
  const used = expected.ok ? expected.used : [], last = used.at(-1), full = control.lma ? 4 : 2;
  const ended = !control.pg || (last !== undefined && used.length < full && (last.low & PS) !== 0);
  const wanted = (entry: Entry) => A | (access.kind === "write" && entry === last ? D : 0);
  let page = 0n;
  if (expected.ok && ended && used.every((entry) => (entry.low & wanted(entry)) === wanted(entry))) {
    const shift = !control.pg ? 32 : !control.pae ? 22 : [39, 30, 21].slice(control.lma ? 0 : 2)[used.length - 1];
    page = (expected.gpa & ~0xfffn) | BigInt(shift) | (control.pg ? 0n : 64n);
  }
  const found = BigInt.asUintN(64, rig.core.largePage(lin, core));
  if (found !== page) assert.is(found.toString(16), page.toString(16), JSON.stringify({ control, access, lin: lin.toString(16) }));
  if (found) large++;
}

function flagsAreSet(used: Entry[], access: Access, wide: boolean): boolean {
  return used.every((entry, n) => {
    if (!isRam(entry.at)) return true;
    const dirty = access.kind === "write" && n === used.length - 1 ? D : 0;
    return physical(entry.at) === ((entry.low | A | dirty) | 0) >>> 0 && (!wide || physical(entry.at + 4) === entry.high);
  });
}

function restore(entry: Entry, wide: boolean): void {
  if (!isRam(entry.at)) return;
  rig.guest.set32(entry.at, entry.low);
  if (wide) rig.guest.set32(entry.at + 4, entry.high);
}

const LIN = 0x0000_1234_5678_9abcn & 0x7fff_ffff_ffffn;
const slot = (lin: bigint, shift: number): number => Number((lin >> BigInt(shift)) & 511n) * 8;
const FULL = BigInt(P | RW | US);

for (const [upper, name] of [
  [0, "PML4E and PDPTE"],
  [1, "PDPTE and PDE"],
  [2, "PDE and PTE"],
] as const)
  walks(`4-level paging, all ${name} against all accesses and controls`, () => {
    const shifts = [39, 30, 21, 12];
    const at = shifts.map((shift, n) => TABLE[n] + slot(LIN, shift));
    const next = (n: number): number => (n < 3 ? TABLE[n + 1] : DATA);
    const entries = (n: number): bigint[] =>
      variants(next(n), { reserved: 1n << 51n, nx: true, large: n === 0 ? 0n : n === 1 ? 1n << 29n : n === 2 ? 1n << 13n : undefined });
    at.forEach((slotAt, n) => rig.guest.set64(slotAt, BigInt(next(n)) | FULL));
    const all = [...controls({ pg: true, pae: true, lma: true, pse: false, cr3: TABLE[0] })];
    for (const first of entries(upper)) {
      rig.guest.set64(at[upper], first);
      for (const second of entries(upper + 1)) {
        rig.guest.set64(at[upper + 1], second);
        for (const control of all) {
          load(control);
          for (const access of ACCESSES) compare(control, access, LIN);
        }
      }
    }
  });

walks("PAE paging, all PDE and PTE against all accesses and controls", () => {
  const lin = LIN & 0xffff_ffffn;
  const cr3 = TABLE[0] + 0x60;
  rig.guest.set64(cr3 + 8 * Number(lin >> 30n), BigInt(TABLE[1] | P));
  const pde = TABLE[1] + slot(lin, 21);
  const pte = TABLE[2] + slot(lin, 12);
  const all = [...controls({ pg: true, pae: true, lma: false, pse: false, cr3 })];
  for (const first of variants(TABLE[2], { reserved: 1n << 52n, nx: true, large: 1n << 20n })) {
    rig.guest.set64(pde, first);
    for (const second of variants(DATA, { reserved: 1n << 62n, nx: true })) {
      rig.guest.set64(pte, second);
      for (const control of all) {
        load(control);
        for (const access of ACCESSES) compare(control, access, lin);
      }
    }
  }
});

walks("PAE paging, each bit of a PDPTE", () => {
  const lin = LIN & 0xffff_ffffn;
  const at = TABLE[0] + 8 * Number(lin >> 30n);
  rig.guest.set64(TABLE[1] + slot(lin, 21), BigInt(TABLE[2]) | FULL);
  rig.guest.set64(TABLE[2] + slot(lin, 12), BigInt(DATA) | FULL);
  for (const control of controls({ pg: true, pae: true, lma: false, pse: false, cr3: TABLE[0] })) {
    load(control);
    for (let bit = 0n; bit < 64n; bit++) {
      if (bit >= 12n && bit < 40n) continue; // address
      rig.guest.set64(at, (BigInt(TABLE[1]) | 1n) ^ (1n << bit));
      for (const access of ACCESSES) compare(control, access, lin);
      const ignored = bit === 3n || bit === 4n || (bit >= 9n && bit < 12n);
      assert.is(rig.core.pdptesAreValid(BigInt(TABLE[0])), bit === 0n || ignored ? 1 : 0, `PDPTE bit ${bit}`);
    }
  }
});

walks("32-bit paging, all PDE and PTE against all accesses and controls, with and without PSE", () => {
  const lin = LIN & 0xffff_ffffn;
  const pde = TABLE[0] + 4 * Number(lin >> 22n);
  const pte = TABLE[1] + 4 * Number((lin >> 12n) & 1023n);
  const low = (v: bigint): number => Number(v & 0xffff_ffffn);
  const all = [true, false].flatMap((pse) => [...controls({ pg: true, pae: false, lma: false, pse, cr3: TABLE[0] })]);
  // With PSE-36 bits 20..13 of a large PDE are address bits 39..32, bit 21 is reserved; 0x600 are ignored bits.
  for (const first of [...variants(TABLE[1], { reserved: 0x600n, nx: false, large: 1n << 21n }), BigInt(P | RW | US | PS) | 0x1fe000n]) {
    rig.guest.set32(pde, low(first));
    for (const second of variants(DATA, { reserved: BigInt(PS | G), nx: false })) {
      rig.guest.set32(pte, low(second));
      for (const control of all) {
        load(control);
        for (const access of ACCESSES) compare(control, access, lin);
      }
    }
  }
});

walks("all bits of every level at random, accessed and dirty flags included", () => {
  let seed = 0x1234567n;
  const random = (): bigint => {
    seed = (seed * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    return seed >> 16n;
  };
  const shifts = [39, 30, 21, 12];
  const cs = [...controls({ pg: true, pae: true, lma: true, pse: true, cr3: TABLE[0] })];
  for (let n = 0; n < 20_000; n++) {
    shifts.forEach((shift, level) => {
      const target = BigInt(level < 3 ? TABLE[level + 1] : DATA);
      const soft = (random() & 0xf67n) | (random() & 7n ? 7n : 0n); // P RW US A D and ignored bits, mostly permissive
      const high = random() & 3n ? 0n : (random() & 0x7ffn) << 52n;
      rig.guest.set64(TABLE[level] + slot(LIN, shift), target | soft | high | (random() & 15n ? 0n : 1n << (40n + (random() % 12n))));
    });
    const control = cs[Number(random() % BigInt(cs.length))];
    load(control);
    compare(control, ACCESSES[Number(random() % BigInt(ACCESSES.length))], LIN);
    // What one access leaves in the walker's cache must not change the outcome of others.
    rig.core.forgetTables();
    for (let others = 0; others < 4; others++) compareOnce(control, ACCESSES[Number(random() % BigInt(ACCESSES.length))], LIN, false);
  }
});

walks("no paging: linear is physical, and everything is allowed", () => {
  for (const control of controls({ pg: false, pae: true, lma: false, pse: false, cr3: 0 })) {
    load(control);
    for (const access of ACCESSES) compare(control, access, 0x9abcn);
  }
});

walks("page tables where there is no memory read as ones: a reserved bit, except in 32-bit tables", () => {
  rig.core.forgetTables();
  load({ pg: true, pae: true, lma: true, pse: false, wp: false, nxe: true, smep: false, smap: false, ac: false, cr3: 0x7000_0000 });
  assert.is(rig.core.tryWalk(LIN, 0), 0);
  assert.is(rig.mem.get32(ERROR), 1 + 8);
  load({ pg: true, pae: false, lma: false, pse: true, wp: false, nxe: false, smep: false, smap: false, ac: false, cr3: 0x7000_0000 });
  assert.is(rig.core.tryWalk(LIN & 0xffff_ffffn, 2), 0);
  assert.is(rig.mem.get32(ERROR), 1 + 2 + 8);
  load({ pg: true, pae: false, lma: false, pse: false, wp: false, nxe: false, smep: false, smap: false, ac: false, cr3: 0x7000_0000 });
  assert.is(rig.core.tryWalk(LIN & 0xffff_ffffn, 0), 1);
  assert.is(rig.mem.get64(GPA), 0xffff_f000n + (LIN & 0xfffn));
});

walks("a walk that sets flags in a frame with decoded code drops that code first", () => {
  rig.longMode(TABLE[0]);
  const shifts = [39, 30, 21, 12];
  shifts.forEach((shift, n) => rig.guest.set64(TABLE[n] + slot(LIN, shift), BigInt(n < 3 ? TABLE[n + 1] : DATA) | FULL));
  const pte = TABLE[3] + slot(LIN, 12);
  const frame = rig.frame(TABLE[3] >> 12);
  rig.mem.set32(frame + 16, 0xffff_ffff);
  rig.mem.set32(0x80000, 0);
  assert.is(rig.core.tryWalk(LIN, 2), 1);
  assert.is(rig.mem.get32(0x80000), 1);
  assert.equal([rig.mem.get32(0x80008), rig.mem.get32(0x8000c)], [rig.host(pte), 8]);
  rig.mem.set32(frame + 16, 0);
});

walks("so many combinations were compared", () => {
  assert.ok(compared > 1_000_000, `only ${compared}`);
  assert.ok(large > 50_000, `only ${large} large pages`);
});

walks.run();
