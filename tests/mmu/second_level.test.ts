/** The second-level TLB: what the first level has lost to another page is still known, with the rights of whoever asks next, and is
 *  forgotten by whatever forgets translations. SDM Vol.3A "Caching Translation Information": INVLPG, CR3 writes and global
 *  pages, permission changes, dirty flags. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { P2m, PcpuOff } from "../../assembly/abi/layout";
import { Cr0, Cr4, Efer, Flag, Vector } from "../../assembly/abi/x86";
import { p2mSet } from "../../src/machine/p2m";
import { DOMAIN, FRAMES, PCPU, PG, Rig } from "./rig";

const known = suite("second-level TLB");
let rig: Rig;

const PML4 = 0x10000;
const LIN = 0x7f00_0040_0000n;
const KERNEL = 0xffff_8000_0000_0000n;
const U = 7n; // P RW US
const S = 3n; // P RW
const A = 0x20n;
const D = 0x40n;
const PS = 0x80n;
const G = 0x100n;
const NX = 1n << 63n;
/** What has the same place in the first level, but not in the second. */
const OTHER = 16n << 20n;
const pool = { next: 0 };

known.before(async () => {
  rig = await Rig.create();
});

known.before.each(() => {
  rig.guest.fill(0, FRAMES * 4096, 0);
  pool.next = 0x30000;
  rig.takeFault();
});

const map = (lin: bigint, gpa: number, flags: bigint, level = 1): void => rig.map(PML4, lin, BigInt(gpa), flags, pool, level);
const entryOf = (lin: bigint, level = 1): number => {
  let table = PML4;
  for (let shift = 39n; shift > 3n + 9n * BigInt(level); shift -= 9n) table = Number(rig.guest.get64(table + 8 * Number((lin >> shift) & 511n)) & 0xffff_f000n);
  return table + 8 * Number((lin >> (3n + 9n * BigInt(level))) & 511n);
};
const fault = (): string => {
  const taken = rig.takeFault();
  assert.ok(taken, "a fault is pending");
  return taken!.vector === Vector.PF ? `#PF(${taken!.error})` : `#${taken!.vector}`;
};
const read = (lin: bigint): unknown => (rig.core.readAt(lin, 8) >>> 0) || fault();
const write = (lin: bigint): unknown => (rig.core.writeAt(lin, 8) >>> 0) || fault();
const fetch = (lin: bigint): unknown => (rig.core.fetchPage(lin) >>> 0) || fault();
/** The first level loses `lin` to a page that is mapped beside it. */
const displace = (lin: bigint): void => {
  map(lin + OTHER, 0x70000, (lin >> 63n ? S : U) | A | D);
  assert.is(read(lin + OTHER), rig.host(0x70000));
};

known("a page that was displaced is not walked to again", () => {
  map(LIN, 0x50000, U | A | D);
  rig.longMode(PML4, { cpl: 3 });
  assert.is(read(LIN), rig.host(0x50000));
  displace(LIN);
  rig.guest.set64(entryOf(LIN), 0n);
  assert.is(read(LIN + 8n), rig.host(0x50008));
  displace(LIN);
  assert.is(write(LIN), rig.host(0x50000));
});

for (const [what, forget, global] of [
  ["INVLPG", () => rig.core.invlpg(LIN + 5n), 0n],
  ["INVLPG, global", () => rig.core.invlpg(LIN + 5n), G],
  ["a CR3 write", () => rig.core.flushTlb(), 0n],
  ["a full flush", () => rig.core.flushTlbAll(), 0n],
  ["a full flush, global", () => rig.core.flushTlbAll(), G],
] as const)
  known(`${what} forgets a page that was displaced`, () => {
    map(LIN, 0x50000, U | A | D | global);
    rig.longMode(PML4, { cpl: 3, cr4: Cr4.PGE });
    assert.is(write(LIN), rig.host(0x50000));
    assert.is(fetch(LIN), rig.host(0x50000));
    displace(LIN);
    rig.guest.set64(entryOf(LIN), 0x51000n | U | A | D);
    forget();
    assert.is(write(LIN), rig.host(0x51000));
    assert.is(read(LIN), rig.host(0x51000));
    assert.is(fetch(LIN), rig.host(0x51000));
  });

known("a global page stays over CR3 writes, however often, and goes with CR4.PGE", () => {
  map(KERNEL, 0x50000, S | A | D | G);
  rig.longMode(PML4, { cr4: Cr4.PGE });
  assert.is(read(KERNEL), rig.host(0x50000));
  rig.guest.set64(entryOf(KERNEL), 0n);
  for (let n = 0; n < 3; n++) {
    rig.core.flushTlb();
    displace(KERNEL);
    assert.is(read(KERNEL), rig.host(0x50000));
  }
  rig.longMode(PML4, { cr4: 0 });
  assert.is(read(KERNEL), "#PF(0)");
});

known("a page that was not global is not taken for one after a full flush", () => {
  map(LIN, 0x50000, U | A | D);
  rig.longMode(PML4, { cr4: Cr4.PGE });
  for (const forget of [() => rig.core.flushTlbAll(), () => rig.core.flushTlb()]) {
    rig.guest.set64(entryOf(LIN), 0x50000n | U | A | D);
    assert.is(read(LIN), rig.host(0x50000));
    displace(LIN);
    rig.guest.set64(entryOf(LIN), 0n);
    rig.core.flushTlb();
    assert.is(read(LIN), "#PF(0)");
    forget();
  }
});

known("each class and kind of access has its own rights in a page another one was at", () => {
  map(LIN, 0x50000, U | A | D | NX);
  map(LIN + 0x1000n, 0x51000, 5n | A | D); // read-only
  map(KERNEL, 0x52000, S | A | D);
  rig.longMode(PML4, { cr4: Cr4.SMAP | Cr4.SMEP, efer: Efer.NXE });
  assert.is(write(KERNEL), rig.host(0x52000));
  rig.privilege(0, Flag.AC);
  assert.is(write(LIN), rig.host(0x50000));
  assert.is(read(LIN + 0x1000n), rig.host(0x51000));
  assert.is(write(LIN + 0x1000n), "#PF(3)");
  assert.is(fetch(LIN + 0x1000n), "#PF(17)", "SMEP");
  rig.privilege(0);
  assert.is(read(LIN), "#PF(1)", "SMAP");
  assert.is(write(LIN), "#PF(3)");
  rig.privilege(3);
  assert.is(read(KERNEL), "#PF(5)");
  assert.is(write(KERNEL), "#PF(7)");
  assert.is(fetch(KERNEL), "#PF(21)");
  assert.is(fetch(LIN), "#PF(21)", "no execution");
  assert.is(write(LIN), rig.host(0x50000));
  assert.is(fetch(LIN + 0x1000n), rig.host(0x51000));
  assert.is(write(LIN + 0x1000n), "#PF(7)");
});

known("CR0.WP counts when the page is used, not when it was found", () => {
  map(LIN, 0x50000, 5n | A | D);
  rig.longMode(PML4, { cr0: Cr0.WP });
  assert.is(read(LIN), rig.host(0x50000));
  assert.is(write(LIN), "#PF(3)");
  rig.mem.set64(PCPU + PcpuOff.cr0, BigInt(PG + Cr0.PE));
  assert.is(write(LIN), rig.host(0x50000));
});

known("more rights than were known are found in the tables", () => {
  map(LIN, 0x50000, 5n | A | D);
  rig.longMode(PML4, { cpl: 3 });
  assert.is(read(LIN), rig.host(0x50000));
  rig.guest.set64(entryOf(LIN), 0x51000n | U | A | D);
  displace(LIN);
  assert.is(write(LIN), rig.host(0x51000));
  assert.is(read(LIN), rig.host(0x51000));
});

known("the first write sets the dirty flag, of whatever class and by whatever way the page was found", () => {
  map(LIN, 0x50000, U);
  rig.longMode(PML4);
  assert.is(read(LIN), rig.host(0x50000));
  rig.privilege(3);
  assert.is(fetch(LIN), rig.host(0x50000));
  assert.is(read(LIN), rig.host(0x50000));
  assert.is(rig.guest.get64(entryOf(LIN)), 0x50000n | U | A);
  assert.is(write(LIN), rig.host(0x50000));
  assert.is(rig.guest.get64(entryOf(LIN)), 0x50000n | U | A | D);
});

known("pieces of a large page, cached or not, set its dirty flag once and go together", () => {
  map(LIN, 0x0, U | PS, 2);
  rig.longMode(PML4, { cpl: 3 });
  assert.is(read(LIN + 0x1000n), rig.host(0x1000));
  assert.is(read(LIN + 0x2000n), rig.host(0x2000)); // from the paging-structure cache
  assert.is(rig.guest.get64(entryOf(LIN, 2)), U | PS | A);
  assert.is(write(LIN + 0x3000n), rig.host(0x3000));
  assert.is(rig.guest.get64(entryOf(LIN, 2)), U | PS | A | D);
  assert.is(write(LIN + 0x1000n), rig.host(0x1000));
  rig.guest.set64(entryOf(LIN, 2), 0n);
  assert.is(read(LIN + 0x5000n), rig.host(0x5000), "its large page is known");
  rig.core.invlpg(LIN + 0x1f_0000n);
  for (const page of [1n, 2n, 3n, 4n, 5n]) assert.is(read(LIN + page * 4096n), "#PF(4)");
});

known("a large page's rights count in each of its pieces", () => {
  map(KERNEL, 0, 1n | PS | A | D | NX, 2);
  rig.longMode(PML4, { efer: Efer.NXE });
  assert.is(read(KERNEL), rig.host(0));
  assert.is(write(KERNEL + 0x1000n), "#PF(3)");
  assert.is(read(KERNEL), rig.host(0));
  assert.is(fetch(KERNEL + 0x2000n), "#PF(17)");
  assert.is(read(KERNEL), rig.host(0));
  rig.privilege(3);
  assert.is(read(KERNEL + 0x3000n), "#PF(5)");
});

known("a large page is found by its 2 MiB, and INVLPG of any address drops that", () => {
  map(LIN, 0x0, 5n | PS | A, 2);
  map(KERNEL, 0x52000, S | A | D);
  rig.longMode(PML4);
  assert.is(read(LIN), rig.host(0));
  rig.guest.set64(entryOf(LIN, 2), 0n);
  rig.core.invlpg(KERNEL);
  assert.is(read(LIN + 0x7000n), "#PF(0)");
});

known("rights in the upper half of a 4 MiB page, and its addresses (PSE)", () => {
  rig.control({ cr0: PG, cr3: 0x8000, cr4: Cr4.PSE });
  rig.guest.set32(0x8000 + 4 * 3, 0 | 0x83); // linear 12 to 16 MiB
  assert.is(read(0xc01000n), rig.host(0x1000));
  assert.is(read(0xc00000n + 0x1f_f000n), rig.host(0x1f_f000));
  assert.is(write(0xc00000n + 0x1f_e000n), rig.host(0x1f_e000));
  assert.is(rig.guest.get32(0x8000 + 4 * 3), 0xe3);
  rig.guest.set32(0x8000 + 4 * 3, 0);
  rig.core.invlpg(0xfff000n);
  assert.is(read(0xc02000n), "#PF(0)");
  assert.is(read(0xc01000n), "#PF(0)");
});

known("a page table that a refused walk found is kept if the accessed flags above it are set, until INVLPG", () => {
  const next = LIN + 0x1000n, other = 0x60000;
  rig.longMode(PML4);
  for (const accessed of [false, true]) {
    map(LIN, 0x50000, 0n);
    map(next, 0x51000, U);
    rig.guest.set64(other + 8 * Number((next >> 12n) & 511n), 0x52000n | U);
    for (const level of [2, 3, 4]) rig.guest.set64(entryOf(LIN, level), (rig.guest.get64(entryOf(LIN, level)) & ~A) | (accessed ? A : 0n));
    const before = rig.guest.get64(entryOf(LIN, 2));
    assert.is(read(LIN), "#PF(0)");
    assert.is(rig.guest.get64(entryOf(LIN, 2)), before, "no flag was set");
    rig.guest.set64(entryOf(LIN, 2), BigInt(other) | U | (before & A));
    assert.is(read(next), rig.host(accessed ? 0x51000 : 0x52000));
    rig.core.invlpg(next);
    assert.is(read(next), rig.host(0x52000));
    rig.guest.set64(entryOf(LIN, 2), before);
    rig.core.flushTlb();
  }
});

known("where the page tables themselves are follows the p2m after a full flush", () => {
  map(LIN, 0x50000, U);
  rig.longMode(PML4);
  assert.is(read(LIN), rig.host(0x50000));
  // the frame with the last table changes places with another, which has another page
  const gfn = entryOf(LIN) >> 12, spare = 0x68;
  rig.guest.set64(spare * 4096 + (entryOf(LIN) & 4095), 0x53000n | U);
  p2mSet(rig.mem, DOMAIN, gfn, rig.mfns[spare], P2m.ram_rw);
  rig.core.flushTlbAll();
  assert.is(read(LIN), rig.host(0x53000));
  p2mSet(rig.mem, DOMAIN, gfn, rig.mfns[gfn], P2m.ram_rw);
  rig.core.flushTlbAll();
});

known("what is not writable memory is never written to, however it was found", () => {
  p2mSet(rig.mem, DOMAIN, 0x60, rig.mfns[0x60], P2m.ram_ro);
  map(LIN, 0x60000, U | A | D);
  rig.longMode(PML4);
  assert.is(read(LIN), rig.host(0x60000));
  rig.core.storeTo(LIN, 8, 0x1234n);
  displace(LIN);
  rig.core.storeTo(LIN, 8, 0x1234n);
  assert.is(rig.mem.get64(rig.host(0x60000)), 0n);
  p2mSet(rig.mem, DOMAIN, 0x60, rig.mfns[0x60], P2m.ram_rw);
});

known("a flush for a changed p2m reaches displaced pages", () => {
  map(LIN, 0x60000, U | A | D | G);
  rig.longMode(PML4, { cr4: Cr4.PGE });
  assert.is(read(LIN), rig.host(0x60000));
  displace(LIN);
  p2mSet(rig.mem, DOMAIN, 0x60, rig.mfns[0x61], P2m.ram_rw);
  rig.core.flushTlbAll();
  assert.is(read(LIN), rig.mfns[0x61] * 4096);
  p2mSet(rig.mem, DOMAIN, 0x60, rig.mfns[0x60], P2m.ram_rw);
});

known("many large pages between two CR3 writes do not make INVLPG forget less", () => {
  rig.longMode(PML4, { cr4: Cr4.PGE });
  for (let n = 0n; n < 700n; n++) {
    map(KERNEL + n * 0x200000n, 0, S | PS | A | G, 2);
    assert.is(read(KERNEL + n * 0x200000n), rig.host(0));
  }
  rig.core.flushTlb();
  for (const n of [0n, 300n, 699n]) {
    assert.is(read(KERNEL + n * 0x200000n + 0x3000n), rig.host(0x3000));
    rig.guest.set64(entryOf(KERNEL + n * 0x200000n, 2), 0n);
    rig.core.invlpg(KERNEL + n * 0x200000n);
    assert.is(read(KERNEL + n * 0x200000n + 0x3000n), "#PF(0)");
  }
});

known.run();
