/** Accesses through the TLB: what hits and what is forgotten, accesses across pages, devices, read-only memory, and
 *  stores to decoded code. SDM Vol.3A "Caching Translation Information"; public/xen.h for the kinds of memory. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DomainOff, FrameOff, FrameType, Mode, P2m, PcpuOff, TlbClass, TlbOff } from "../../assembly/abi/layout";
import { Cr4, Efer, Flag, Vector } from "../../assembly/abi/x86";
import { allocFrame, frameEntry } from "../../src/machine/frames";
import { p2mSet } from "../../src/machine/p2m";
import { APIC, APIC_WRITES, DOMAIN, DOMID, FRAMES, INVALIDATED, PCPU, Rig } from "./rig";

const access = suite("guest memory access");
let rig: Rig;

const PML4 = 0x10000;
const OTHER = 0x20000; // a second address space
const LIN = 0x7f00_0040_0000n;
const KERNEL = 0xffff_8000_0000_0000n;
const U = 7n; // P RW US
const S = 3n; // P RW
const NX = 1n << 63n;
const G = 0x100n;
const AD = 0x60n;
const PS = 0x80n;
const SCRATCH_R = PCPU + PcpuOff.scratchR;
const SCRATCH_W = PCPU + PcpuOff.scratchW;
const pool = { next: 0 };

access.before(async () => {
  rig = await Rig.create();
});

access.before.each(() => {
  rig.guest.fill(0, FRAMES * 4096, 0);
  pool.next = 0x30000;
  rig.devices.length = 0;
  rig.mem.u8.fill(0, INVALIDATED, INVALIDATED + 0x2000);
  rig.mem.set64(PCPU + PcpuOff.apicBase, 0n);
  rig.takeFault();
});

const map = (lin: bigint, gpa: number, flags: bigint, cr3 = PML4, level = 1): void => rig.map(cr3, lin, BigInt(gpa), flags, pool, level);
const pteOf = (lin: bigint, cr3 = PML4): number => {
  let table = cr3;
  for (const shift of [39n, 30n, 21n]) table = Number(rig.guest.get64(table + 8 * Number((lin >> shift) & 511n)) & 0xffff_f000n);
  return table + 8 * Number((lin >> 12n) & 511n);
};

/** Host address, or the fault. */
const read = (lin: bigint, size = 8): unknown => (rig.core.readAt(lin, size) >>> 0) || fault();
const write = (lin: bigint, size = 8): unknown => (rig.core.writeAt(lin, size) >>> 0) || fault();
const fault = (): unknown => {
  const taken = rig.takeFault();
  assert.ok(taken, "a fault is pending");
  return taken!.vector === Vector.PF ? `#PF(${taken!.error}) at ${taken!.lin.toString(16)}` : `${nameOf(taken!.vector)}(${taken!.error})`;
};
const nameOf = (vector: number): string => (vector === Vector.GP ? "#GP" : vector === Vector.UD ? "#UD" : `#${vector}`);
const unwinds = (body: () => unknown): unknown => {
  try {
    body();
  } catch {
    return fault();
  }
  return "no fault";
};

access("a hit needs no page tables; INVLPG and CR3 writes make it walk again", () => {
  map(LIN, 0x50000, U);
  rig.longMode(PML4);
  assert.is(read(LIN + 8n), rig.host(0x50008));
  rig.guest.set64(pteOf(LIN), 0n);
  assert.is(read(LIN + 16n), rig.host(0x50010), "still cached");
  rig.core.invlpg(LIN + 123n);
  assert.is(read(LIN), `#PF(0) at ${LIN.toString(16)}`);
  rig.guest.set64(pteOf(LIN), 0x51000n | U);
  assert.is(read(LIN), rig.host(0x51000));
  rig.guest.set64(pteOf(LIN), 0n);
  rig.core.flushTlb();
  assert.is(read(LIN), `#PF(0) at ${LIN.toString(16)}`);
});

access("INVLPG of any address also drops what is known about page tables (paging-structure caches)", () => {
  map(LIN, 0x50000, U);
  map(LIN + 0x1000n, 0x51000, U);
  rig.longMode(PML4);
  assert.is(read(LIN), rig.host(0x50000)); // the page table is known now
  const pde = 0x60000; // a new page table for the region
  rig.guest.set64(pde + 8 * Number(((LIN + 0x1000n) >> 12n) & 511n), 0x52000n | U);
  let table = PML4;
  for (const shift of [39n, 30n]) table = Number(rig.guest.get64(table + 8 * Number((LIN >> shift) & 511n)) & 0xffff_f000n);
  rig.guest.set64(table + 8 * Number((LIN >> 21n) & 511n), BigInt(pde) | U);
  rig.core.invlpg(KERNEL);
  assert.is(read(LIN + 0x1000n), rig.host(0x52000));
  assert.is(read(LIN), rig.host(0x50000), "its own translation is another matter");
});

access("a refusal is never due to an old copy of an upper level alone", () => {
  map(LIN, 0x50000, U);
  map(LIN + 0x1000n, 0x51000, U);
  const pml4e = PML4 + 8 * Number((LIN >> 39n) & 511n);
  rig.guest.set64(pml4e, rig.guest.get64(pml4e) & ~2n); // read-only, as a whole
  rig.longMode(PML4);
  assert.is(read(LIN), rig.host(0x50000));
  assert.is(write(LIN + 0x1000n), `#PF(3) at ${(LIN + 0x1000n).toString(16)}`);
  rig.guest.set64(pml4e, rig.guest.get64(pml4e) | 2n);
  assert.is(write(LIN + 0x1000n), rig.host(0x51000));
});

access("global pages survive CR3 writes only under CR4.PGE, and never INVLPG or a full flush", () => {
  map(KERNEL, 0x50000, S | G);
  for (const pge of [0, Cr4.PGE]) {
    for (const forget of ["cr3", "invlpg", "all"]) {
      rig.longMode(PML4, { cr4: pge });
      rig.guest.set64(pteOf(KERNEL), 0x50000n | S | G | AD);
      assert.is(write(KERNEL), rig.host(0x50000));
      assert.is(rig.core.fetchPage(KERNEL) >>> 0, rig.host(0x50000));
      assert.is(rig.core.fetchGlobal(), pge ? 1 : 0);
      rig.guest.set64(pteOf(KERNEL), 0n);
      if (forget === "cr3") rig.core.flushTlb();
      else if (forget === "invlpg") rig.core.invlpg(KERNEL);
      else rig.core.flushTlbAll();
      const stays = forget === "cr3" && pge !== 0;
      assert.is(write(KERNEL), stays ? rig.host(0x50000) : `#PF(2) at ${KERNEL.toString(16)}`, forget);
      assert.is((rig.core.fetchPage(KERNEL) >>> 0) || fault(), stays ? rig.host(0x50000) : `#PF(0) at ${KERNEL.toString(16)}`, forget);
    }
  }
});

access("reading sets A alone; the first write walks again to set D", () => {
  map(LIN, 0x50000, U);
  rig.longMode(PML4);
  read(LIN);
  assert.is(rig.guest.get64(pteOf(LIN)), 0x50000n | U | 0x20n);
  write(LIN);
  assert.is(rig.guest.get64(pteOf(LIN)), 0x50000n | U | 0x60n);
});

access("more fills than the log holds are forgotten too", () => {
  rig.longMode(PML4);
  const pages = 4096;
  // 4096 pages share frames; two classes and a code page: 8193 entries
  for (let n = 0; n < pages; n++) map(LIN + BigInt(n) * 4096n, 0x100000 + (n % 16) * 4096, U | AD);
  for (const [cpl, flags] of [[0, 0], [3, 0]] as const) {
    rig.privilege(cpl, flags);
    for (let n = 0; n < pages; n++) assert.is(write(LIN + BigInt(n) * 4096n), rig.host(0x100000 + (n % 16) * 4096));
  }
  rig.core.fetchPage(LIN);
  assert.ok(rig.mem.get32(PCPU + PcpuOff.tlbLogCount) > 8192);
  for (let n = 0; n < pages; n++) rig.guest.set64(pteOf(LIN + BigInt(n) * 4096n), 0n);
  rig.core.flushTlb();
  for (const cpl of [0, 3]) {
    rig.privilege(cpl);
    for (let n = 0; n < pages; n++) assert.type(write(LIN + BigInt(n) * 4096n), "string");
  }
});

access("INVLPG of one address forgets all pieces of a large page", () => {
  const sizes = [
    [2, 0x200000n, 1n],
    [3, 0x4000_0000n, 2n],
  ] as const;
  for (const [level, size, apart] of sizes) {
    const lin = KERNEL + apart * 0x80_0000_0000n;
    rig.longMode(PML4, { cr4: Cr4.PGE });
    map(lin, 0, S | PS | G, PML4, level);
    for (const page of [0n, 5n, 200n, 511n]) assert.is(read(lin + page * 4096n), rig.host(Number(page) * 4096));
    for (const page of [0n, 5n, 200n]) assert.is(write(lin + page * 4096n), rig.host(Number(page) * 4096));
    let table = PML4;
    for (let shift = 39n; shift > 12n + 9n * BigInt(level - 1); shift -= 9n) table = Number(rig.guest.get64(table + 8 * Number((lin >> shift) & 511n)) & 0xffff_f000n);
    rig.guest.set64(table + 8 * Number((lin / size) & 511n), 0n);
    assert.is(read(lin), rig.host(0));
    rig.core.invlpg(lin + size - 1n);
    for (const page of [0n, 5n, 200n, 511n]) assert.type(read(lin + page * 4096n), "string");
    assert.type(write(lin), "string");
  }
});

access("classes: user, supervisor, and supervisor with AC see different rights (SMAP)", () => {
  map(LIN, 0x50000, U | AD);
  map(KERNEL, 0x51000, S | AD);
  rig.longMode(PML4, { cr4: Cr4.SMAP | Cr4.SMEP });
  assert.is(read(KERNEL), rig.host(0x51000));
  assert.is(read(LIN), `#PF(1) at ${LIN.toString(16)}`);
  rig.privilege(0, Flag.AC);
  assert.is(write(LIN), rig.host(0x50000));
  assert.is(unwinds(() => rig.core.sysLd64(LIN)), `#PF(1) at ${LIN.toString(16)}`, "implicit accesses ignore AC");
  rig.privilege(3, Flag.AC);
  assert.is(write(LIN), rig.host(0x50000));
  assert.is(write(KERNEL), `#PF(7) at ${KERNEL.toString(16)}`);
  rig.mem.set64(rig.host(0x51010), 0x1122n);
  assert.is(rig.core.sysLd64(KERNEL + 16n), 0x1122n, "implicit accesses are privileged at any CPL");
  rig.core.sysSt64(KERNEL + 24n, 0x3344n);
  assert.is(rig.guest.get64(0x51018), 0x3344n);
  rig.privilege(0);
  assert.is(write(LIN), `#PF(3) at ${LIN.toString(16)}`);
  assert.is((rig.core.fetchPage(LIN) >>> 0) || fault(), `#PF(17) at ${LIN.toString(16)}`, "SMEP");
});

access("supervisor writes to read-only pages need CR0.WP clear; a later user write still faults", () => {
  map(LIN, 0x50000, 5n | AD);
  rig.longMode(PML4, { cr0: 0 });
  assert.is(write(LIN), rig.host(0x50000));
  rig.privilege(3);
  assert.is(read(LIN), rig.host(0x50000));
  assert.is(write(LIN), `#PF(7) at ${LIN.toString(16)}`);
});

access("non-canonical addresses are #GP(0), also behind the last canonical page", () => {
  const top = 0x7fff_ffff_f000n;
  map(top, 0x50000, U);
  rig.longMode(PML4);
  assert.is(read(0x8000_0000_0000n), "#GP(0)");
  assert.is(write(0xffff_7fff_ffff_fff8n), "#GP(0)");
  assert.is((rig.core.fetchPage(0x8000_0000_0000n) >>> 0) || fault(), "#GP(0)");
  assert.is(read(top + 0xffen, 2), rig.host(0x50ffe));
  assert.is(read(top + 0xffen, 4), "#GP(0)");
});

access("reads across pages gather; the fault address is the start of the page that faults", () => {
  map(LIN, 0x50000, U);
  rig.longMode(PML4);
  assert.is(read(LIN + 0xffcn, 8), `#PF(0) at ${(LIN + 0x1000n).toString(16)}`);
  map(LIN + 0x1000n, 0x60000, U);
  rig.guest.set32(0x50ffc, 0x44332211);
  rig.guest.set32(0x60000, 0x88776655);
  assert.is(read(LIN + 0xffcn, 8), SCRATCH_R);
  assert.is(rig.mem.get64(SCRATCH_R), 0x8877665544332211n);
  assert.is(rig.core.ld64(LIN + 0xffdn), 0x0088776655443322n);
});

access("writes across pages check both first, show what was there, and go to both", () => {
  map(LIN, 0x50000, U);
  map(LIN + 0x1000n, 0x60000, 5n);
  rig.longMode(PML4);
  assert.is(rig.core.storeTo(LIN + 0xffdn, 8, -1n), 0);
  assert.is(fault(), `#PF(3) at ${(LIN + 0x1000n).toString(16)}`);
  assert.equal([rig.guest.get8(0x50ffd), rig.guest.get8(0x60000)], [0, 0]);
  rig.guest.set64(pteOf(LIN + 0x1000n), 0x60000n | U);
  rig.core.invlpg(LIN + 0x1000n);
  rig.guest.set32(0x60000, 0x0a0b0c0d);
  assert.is(write(LIN + 0xffcn, 8), SCRATCH_W);
  assert.is(rig.mem.get64(SCRATCH_W), 0x0a0b0c0d_00000000n);
  assert.is(rig.core.storeTo(LIN + 0xffdn, 8, 0x8877665544332211n) >>> 0, SCRATCH_W);
  assert.equal([...rig.guest.read(0x50ffc, 4)], [0, 0x11, 0x22, 0x33]);
  assert.equal([...rig.guest.read(0x60000, 6)], [0x44, 0x55, 0x66, 0x77, 0x88, 0]);
  assert.is(rig.core.storeTo(LIN + 0xfffn, 2, 0xbbaan) >>> 0, SCRATCH_W);
  assert.equal([rig.guest.get8(0x50fff), rig.guest.get8(0x60000)], [0xaa, 0xbb]);
  assert.is(rig.core.storeTo(LIN, 4, 5n) >>> 0, rig.host(0x50000));
});

access("outside 64-bit mode an access at the top wraps to address 0", () => {
  rig.control({});
  const top = allocFrame(rig.mem, DOMID, FrameType.ram);
  p2mSet(rig.mem, DOMAIN, 0xfffff, top, P2m.ram_rw);
  rig.guest.set32(0xffff_fffc, 0x44332211);
  rig.guest.set32(0, 0x88776655);
  assert.is(BigInt.asUintN(64, rig.core.ld64(0xffff_fffcn)), 0x8877665544332211n);
  p2mSet(rig.mem, DOMAIN, 0xfffff, 0, P2m.none);
});

access("16-byte operands: aligned forms are #GP(0) off alignment, the others may cross pages", () => {
  map(LIN, 0x50000, U);
  map(LIN + 0x1000n, 0x60000, U);
  rig.longMode(PML4);
  rig.guest.write(0x50ff8, Uint8Array.from({ length: 8 }, (_, i) => i + 1));
  rig.guest.write(0x60000, Uint8Array.from({ length: 8 }, (_, i) => i + 9));
  rig.core.move16(LIN + 3n, LIN + 0xff8n);
  assert.equal([...rig.guest.read(0x50003, 16)], Array.from({ length: 16 }, (_, i) => i + 1));
  assert.is(unwinds(() => rig.core.move16Aligned(LIN, LIN + 0xff8n)), "#GP(0)");
  assert.is(unwinds(() => rig.core.move16Aligned(LIN + 8n, LIN)), "#GP(0)");
});

access("blocks of more than 64 bytes fault before anything is written", () => {
  map(LIN, 0x50000, U);
  map(LIN + 0x1000n, 0x60000, U);
  rig.longMode(PML4);
  const at = 0x82000;
  for (let i = 0; i < 512; i++) rig.mem.u8[at + i] = (i * 7) & 255;
  rig.core.stBytes(LIN + 0xf01n, at, 512);
  assert.equal(rig.guest.read(0x50f01, 255), rig.mem.u8.slice(at, at + 255));
  assert.equal(rig.guest.read(0x60000, 257), rig.mem.u8.slice(at + 255, at + 512));
  rig.core.ldBytes(LIN + 0xf01n, at + 512, 512);
  assert.equal(rig.mem.u8.slice(at + 512, at + 1024), rig.mem.u8.slice(at, at + 512));
  assert.is(unwinds(() => rig.core.stBytes(LIN + 0x1f01n, at, 512)), `#PF(2) at ${(LIN + 0x2000n).toString(16)}`);
  assert.is(rig.guest.get8(0x60f01), 0);
  assert.is(unwinds(() => rig.core.probeW(LIN + 0x1ffen, 4)), `#PF(2) at ${(LIN + 0x2000n).toString(16)}`);
  assert.is(unwinds(() => rig.core.probeW(LIN, 8192)), "no fault");
});

access("devices are reached in aligned pieces of at most 4 bytes, lowest first", () => {
  rig.control({});
  assert.is(rig.core.ld64(0xe000_0001n), 0x11_44332211_2211_11n); // each piece starts with the device's 11
  assert.equal(rig.devices, [
    { gpa: 0xe000_0001, size: 1 },
    { gpa: 0xe000_0002, size: 2 },
    { gpa: 0xe000_0004, size: 4 },
    { gpa: 0xe000_0008, size: 1 },
  ]);
  rig.devices.length = 0;
  rig.core.storeTo(0xe000_0004n, 8, 0x8877665544332211n);
  assert.equal(rig.devices.filter((d) => d.value !== undefined), [
    { gpa: 0xe000_0004, size: 4, value: 0x44332211 },
    { gpa: 0xe000_0008, size: 4, value: 0x88776655 },
  ]);
  assert.is(rig.core.hostSpanR(0xe000_0000n, 64), 0);
  assert.is(rig.takeFault(), undefined);
  assert.is((rig.core.fetchPage(0xe000_0000n) >>> 0) || fault(), "#UD(0)", "a fetch of ones is FF FF");
});

access("guest-physical addresses above 4 GiB keep their upper half", () => {
  map(LIN, 0, U);
  rig.longMode(PML4);
  rig.guest.set64(pteOf(LIN), 0x12_3456_7000n | U);
  rig.core.storeTo(LIN + 0x10n, 2, 0xabcdn);
  rig.core.storeTo(LIN + 0x10n, 2, 0xabcdn);
  assert.equal(rig.devices.filter((d) => d.value !== undefined), [
    { gpa: 0x12_3456_7010, size: 2, value: 0xabcd },
    { gpa: 0x12_3456_7010, size: 2, value: 0xabcd },
  ]);
});

access("the enabled local APIC hides memory at its page and takes whole doublewords", () => {
  map(LIN, 0x50000, U);
  for (const base of [0x50800n, 0x50c00n]) {
    rig.mem.set64(PCPU + PcpuOff.apicBase, base);
    rig.longMode(PML4);
    rig.mem.set32(APIC + 0x80, 0x12345678);
    rig.guest.set32(0x50080, 0);
    const x2 = (base & 0x400n) !== 0n;
    for (let again = 0; again < 2; again++) assert.is(rig.core.ld64(LIN + 0x80n) & 0xffff_ffffn, x2 ? 0n : 0x12345678n);
    rig.mem.set32(APIC_WRITES, 0);
    rig.core.storeTo(LIN + 0xb0n, 4, 7n);
    rig.core.storeTo(LIN + 0xb0n, 4, 9n);
    rig.core.storeTo(LIN + 0xb1n, 1, 9n);
    assert.is(rig.mem.get32(APIC_WRITES), x2 ? 0 : 2);
  }
});

access("stores to read-only memory and read-only grants vanish; foreign frames and writable grants are memory", () => {
  const theirs = allocFrame(rig.mem, 9, FrameType.ram);
  const ours = rig.mfns[0x50];
  rig.control({});
  const cases = [
    [P2m.ram_rw, ours, true],
    [P2m.ram_ro, ours, false],
    [P2m.grant_rw, theirs, true],
    [P2m.grant_ro, theirs, false],
    [P2m.foreign, theirs, true],
  ] as const;
  for (const [type, mfn, stays] of cases) {
    p2mSet(rig.mem, DOMAIN, 0x50, mfn, type);
    rig.core.flushTlbAll();
    rig.mem.set32(mfn * 4096 + 8, 0x5555);
    assert.is(rig.core.ld64(0x50008n) & 0xffff_ffffn, 0x5555n);
    rig.core.storeTo(0x50008n, 4, 0x7777n);
    assert.is(rig.mem.get32(mfn * 4096 + 8), stays ? 0x7777 : 0x5555, `type ${type}`);
    assert.is(rig.core.hostSpanW(0x50008n, 8) !== 0, stays);
    assert.is(rig.takeFault(), undefined);
  }
  p2mSet(rig.mem, DOMAIN, 0x50, ours, P2m.ram_rw);
});

access("what is called the domain's RAM but is not its frame is no memory", () => {
  const theirs = allocFrame(rig.mem, 9, FrameType.ram);
  rig.control({});
  for (const type of [P2m.ram_rw, P2m.ram_ro]) {
    p2mSet(rig.mem, DOMAIN, 0x300, theirs, type);
    rig.core.flushTlbAll();
    assert.is(rig.core.hostSpanR(0x300000n, 1), 0);
  }
  rig.mem.set8(frameEntry(theirs) + FrameOff.type, FrameType.none); // freed under a grant mapping
  p2mSet(rig.mem, DOMAIN, 0x300, theirs, P2m.grant_rw);
  rig.core.flushTlbAll();
  assert.is(rig.core.hostSpanW(0x300000n, 1), 0);
  p2mSet(rig.mem, DOMAIN, 0x300, 0, P2m.none);
});

const invalidations = (): number[][] =>
  Array.from({ length: rig.mem.get32(INVALIDATED) }, (_, n) => [rig.mem.get32(INVALIDATED + 8 + 8 * n), rig.mem.get32(INVALIDATED + 12 + 8 * n)]);

access("stores to decoded code drop it first, blocks of 128 bytes apart do not", () => {
  map(LIN, 0x50000, U | AD);
  rig.longMode(PML4);
  const frame = rig.frame(0x50);
  assert.is(write(LIN), rig.host(0x50000)); // a W entry exists
  rig.core.evictWritable(rig.mfns[0x50]);
  rig.mem.set32(frame + FrameOff.code, 0b110); // bytes 128..383
  const stores = [
    [0x00n, 8, false], [0x78n, 8, false], [0x180n, 8, false], [0xff8n, 8, false],
    [0x79n, 8, true], [0x80n, 1, true], [0x17fn, 1, true], [0x17fn, 4, true],
  ] as const;
  for (const [offset, size, drops] of stores) {
    rig.mem.set32(INVALIDATED, 0);
    rig.mem.set32(frame + FrameOff.code, 0b110);
    assert.is(rig.core.storeTo(LIN + offset, size, 0n) >>> 0, rig.host(0x50000 + Number(offset)));
    assert.equal(invalidations(), drops ? [[rig.host(0x50000 + Number(offset)), size]] : [], `offset ${offset}`);
  }
  // Without code left the fast path is open again, until the next decoding.
  rig.mem.set32(frame + FrameOff.code, 0);
  assert.is(write(LIN), rig.host(0x50000));
  const entry = rig.mem.get32(PCPU + PcpuOff.codeBase) + TlbOff.TABLES + TlbClass.supervisor * TlbOff.CLASS + (Number(LIN >> 8n) & TlbOff.INDEX);
  assert.is(rig.mem.get64(entry), LIN);
  rig.core.evictWritable(rig.mfns[0x50]);
  rig.mem.set32(frame + FrameOff.code, 1);
  rig.mem.set32(INVALIDATED, 0);
  rig.core.storeTo(LIN, 1, 0n);
  assert.is(invalidations().length, 1);
});

/** Pages of the two classes' tables that get at a frame, and then the frame's first code: every store has to ask. */
access("however many addresses and privileges a frame is written through, stores to its code are noticed", () => {
  const ways = [LIN, LIN + 0x1000n, LIN + 0x7000n, LIN + 0x1000_0000n]; // the last shares its TLB entry with the first
  const orders = [[0], [0, 1], [1, 0, 1], [0, 1, 2], [0, 3], [0, 3, 1], [3, 0, 3], [2, 0, 2, 1]];
  rig.longMode(PML4);
  for (const lin of ways) map(lin, 0x50000, U | AD);
  const frame = rig.frame(0x50);
  for (const order of orders) {
    for (const cpls of [[0], [3], [0, 3], [3, 0]]) {
      for (const lin of ways) {
        for (const cpl of [0, 3]) {
          rig.core.flushTlbAll();
          rig.mem.set32(frame + FrameOff.code, 0);
          for (const by of cpls) {
            rig.privilege(by);
            for (const n of order) assert.is(write(ways[n]), rig.host(0x50000));
            if (order.length > 2) rig.core.flushTlb(); // what the frame table says is out of date now
          }
          for (const n of order) assert.is(write(ways[n]), rig.host(0x50000));
          rig.core.evictWritable(rig.mfns[0x50]);
          rig.mem.set32(frame + FrameOff.code, 1);
          rig.mem.set32(INVALIDATED, 0);
          rig.privilege(cpl);
          rig.core.storeTo(lin, 1, 0n);
          assert.is(invalidations().length, 1, `${order} at CPL ${cpls}, ${lin.toString(16)} at ${cpl}`);
        }
      }
    }
  }
});

/** What an empty TLB holds must not be taken for a page, wherever it is looked for. */
access("an empty TLB knows no page", () => {
  rig.longMode(PML4);
  map(0n, 0x50000, U);
  const empty = (): void => {
    for (const cpl of [0, 3]) {
      rig.privilege(cpl);
      for (const lin of [0x1000n, 0x2000n, 0x3000n, 0xfff_e000n, 0xfff_f000n, 0x1000_0000n, 0x1000_2000n, 0xffff_ffff_ffff_d000n, 0xffff_ffff_ffff_f000n]) {
        const user = cpl === 3 ? 4 : 0;
        assert.is(read(lin), `#PF(${user}) at ${lin.toString(16)}`);
        assert.is(write(lin), `#PF(${user | 2}) at ${lin.toString(16)}`);
        assert.is(read(lin + 0xfffn, 2), `#PF(${user}) at ${(lin + 0xfffn).toString(16)}`);
      }
      for (const lin of [0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_e000n, 0x8000_0000_2000n, 0xffff_0000_0fff_f000n]) assert.is(read(lin), "#GP(0)");
    }
    rig.privilege(0);
  };
  empty();
  for (let lin = 0x4000n; lin < 0x40000n; lin += 0x1000n) map(lin, 0x50000, U | AD);
  for (let lin = 0x4000n; lin < 0x40000n; lin += 0x1000n) write(lin);
  read(0n);
  rig.core.invlpg(0n);
  empty();
  rig.core.flushTlb();
  empty();
  rig.core.flushTlbAll();
  empty();
});

access("a fill for a frame that already has code gives no direct stores; spans and splits drop just what they touch", () => {
  map(LIN, 0x50000, U | AD);
  map(LIN + 0x1000n, 0x60000, U | AD);
  rig.longMode(PML4);
  for (const gfn of [0x50, 0x60]) rig.mem.set32(rig.frame(gfn) + FrameOff.code, 0xffff_ffff);
  assert.is(read(LIN), rig.host(0x50000)); // a read of a dirty page may fill W
  assert.is(rig.core.hostSpanW(LIN + 0xf00n, 4096) >>> 0, rig.host(0x50f00));
  assert.is(rig.core.hostSpanW(LIN + 0x10n, 0x20) >>> 0, rig.host(0x50010));
  assert.equal(invalidations(), [[rig.host(0x50f00), 0x100], [rig.host(0x50010), 0x20]]);
  rig.mem.set32(INVALIDATED, 0);
  for (const gfn of [0x50, 0x60]) rig.mem.set32(rig.frame(gfn) + FrameOff.code, 0xffff_ffff);
  rig.core.storeTo(LIN + 0xffen, 4, 0x01020304n);
  assert.equal(invalidations(), [[rig.host(0x50ffe), 2], [rig.host(0x60000), 2]]);
  rig.mem.set32(INVALIDATED, 0);
  rig.core.hostWroteFrame(rig.mfns[0x60], 0x200, 0x10);
  assert.equal(invalidations(), [[rig.host(0x60200), 0x10]]);
  for (const gfn of [0x50, 0x60]) rig.mem.set32(rig.frame(gfn) + FrameOff.code, 0);
});

access("what the host writes to decoded code is dropped before the guest runs again", () => {
  const frame = rig.frame(0x50);
  rig.mem.set32(frame + FrameOff.code, 0b100);
  rig.guest.set32(0x50000, 1);
  rig.guest.set32(0x50180, 1);
  rig.core.drainDropped();
  assert.equal(invalidations(), []);
  rig.guest.set32(0x5017c, 1);
  rig.guest.fill(0x50100, 16, 1);
  assert.is(rig.core.drainDropped(), 0);
  assert.equal(invalidations(), [[rig.mfns[0x50] * 4096, 4096]]);
  for (let gfn = 0; gfn < 300; gfn++) rig.mem.set32(rig.frame(gfn) + FrameOff.code, 1);
  for (let gfn = 0; gfn < 300; gfn++) rig.guest.set8(gfn * 4096, 0);
  assert.is(rig.core.drainDropped(), 1, "too many to name");
  assert.is(rig.core.drainDropped(), 0);
  for (let gfn = 0; gfn < 300; gfn++) rig.mem.set32(rig.frame(gfn) + FrameOff.code, 0);
});

access("pages with code have a number while their translations are cached, the same for the same frame", () => {
  const SYSTEM = Mode.bits64, USER = Mode.bits64 | Mode.cpl3;
  const at = (lin: bigint, gfn: number, mode: number, global: boolean): number => {
    rig.core.mapCode(lin, rig.host(gfn << 12), mode, global ? 1 : 0);
    return rig.core.codePageOf(lin, mode);
  };
  rig.core.flushTlbAll();
  const user = at(LIN + 0x123n, 0x50, USER, false), kernel = at(KERNEL + 0x1000n, 0x50, SYSTEM, true);
  assert.is.not(user, 0);
  assert.is.not(kernel, user);
  assert.is(rig.core.codePageOf(LIN, SYSTEM), 0, "another privilege");
  assert.is(rig.core.codePageOf(LIN + 0x1000n, USER), 0, "another page");
  rig.core.invlpg(LIN + 0x1000n);
  assert.is(rig.core.codePageOf(LIN, USER), user);
  rig.core.flushTlb();
  assert.equal([rig.core.codePage(LIN), rig.core.codePage(KERNEL + 0x1000n)], [0, kernel]);
  assert.is.not(at(LIN, 0x51, USER, false), user);
  assert.is.not(at(LIN, 0x50, SYSTEM, false), user);
  assert.is(at(LIN, 0x50, USER, false), user);
  rig.core.invlpg(KERNEL + 0x1005n);
  assert.is(rig.core.codePage(KERNEL + 0x1000n), 0);
  assert.is(at(KERNEL + 0x1000n, 0x50, SYSTEM, true), kernel);
  rig.core.flushTlbAll();
  assert.equal([rig.core.codePage(LIN), rig.core.codePage(KERNEL + 0x1000n)], [0, 0]);
  // pages 16 MiB apart have the same place, and more are mapped than are noted
  for (let n = 0; n < 9000; n++) at(BigInt(n) << 12n, 0x50, USER, false);
  assert.is(rig.core.codePageOf(0n, USER), 0);
  assert.is.not(rig.core.codePageOf(8999n << 12n, USER), 0);
  rig.core.flushTlb();
  for (let n = 0; n < 4096; n++) assert.is(rig.core.codePage(BigInt(n) << 12n), 0);
  rig.mem.set32(PCPU + PcpuOff.lastNumber, 0xffffe);
  assert.is(rig.core.numbersAreUsedUp(), 0);
  assert.is(at(0x7654_3000n, 0x52, USER, false) >>> 0, 0xfffff000);
  assert.is(rig.core.numbersAreUsedUp(), 1);
  rig.mem.set32(PCPU + PcpuOff.lastNumber, 0);
});

access("hypercall copies stop at the first unreachable byte and leave no fault", () => {
  map(KERNEL, 0x50000, S);
  map(KERNEL + 0x1000n, 0x60000, U);
  rig.longMode(PML4, { cr4: Cr4.SMAP });
  const lo = Number(KERNEL & 0xffff_ffffn);
  const hi = Number(KERNEL >> 32n) | 0;
  rig.mem.u8.fill(0xab, 0x82000, 0x84000);
  assert.is(rig.core.copyToGuest(lo + 0xff0, hi, 0x82000, 0x20), 0, "SMAP does not hold");
  assert.is(rig.guest.get8(0x6000f), 0xab);
  assert.is(rig.core.copyFromGuest(0x82000, lo + 0x1ff0, hi, 0x30), 0x20);
  assert.is(rig.takeFault(), undefined);
  assert.is(rig.mem.get8(0x8200f), 0);
  assert.is(rig.mem.get8(0x82010), 0xab);
  assert.is(rig.core.copyToGuest(0, 0x80000, 0x82000, 8), 8, "not canonical");
  assert.is(rig.takeFault(), undefined);
  assert.is(rig.core.translate(lo + 4, hi, 0) >>> 0, rig.host(0x50004));
  assert.is(rig.core.translate(lo + 4, hi, 4), 0);
});

/** Two address spaces, all operations that touch translations at random. Software that always invalidates what it changes
 *  must never see a stale result, so each access has to agree with a fresh look at the tables. */
access("random accesses, table edits and switches agree with the tables, if edits are followed by INVLPG", () => {
  let seed = 99;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  const lins = [0n, 0x1000n, 0x100_0000n, 0x100_1000n, 0x7f00_0000_0000n, 0xffff_ffff_8000_0000n];
  const data = [0x50000, 0x51000, 0x52000, 0x53000];
  for (const cr3 of [PML4, OTHER]) for (const lin of lins) map(lin, data[0], U, cr3);
  let cr3 = PML4;
  let cpl = 0;
  let ac = false;
  rig.longMode(cr3, { cr4: Cr4.PGE | Cr4.SMAP, efer: Efer.NXE });
  for (let step = 0; step < 60_000; step++) {
    const lin = lins[random(lins.length)];
    switch (random(12)) {
      case 0: {
        // A global page is the same in both spaces, as an operating system keeps it.
        const global = lin >> 63n ? G : 0n;
        const flags = (random(8) ? 1n : 0n) | (random(4) ? 2n : 0n) | (random(3) ? 4n : 0n) | (random(4) ? 0n : NX) | global;
        const target = BigInt(data[random(data.length)]);
        for (const space of global ? [PML4, OTHER] : [cr3]) rig.guest.set64(pteOf(lin, space), target | flags);
        rig.core.invlpg(lin);
        break;
      }
      case 1:
        cr3 = cr3 === PML4 ? OTHER : PML4;
        rig.mem.set64(PCPU + PcpuOff.cr3, BigInt(cr3));
        rig.core.flushTlb();
        break;
      case 2:
        cpl = random(2) * 3;
        ac = random(2) === 1;
        rig.privilege(cpl, ac ? Flag.AC : 0);
        break;
      case 3: {
        const gfn = data[random(data.length)] >> 12;
        const frame = rig.frame(gfn);
        if (rig.mem.get32(frame + FrameOff.code)) rig.mem.set32(frame + FrameOff.code, 0);
        else {
          rig.core.evictWritable(rig.mfns[gfn]);
          rig.mem.set32(frame + FrameOff.code, 0xf0);
        }
        break;
      }
      default: {
        const kind = random(3);
        const offset = random(4095);
        const pte = rig.guest.get64(pteOf(lin, cr3));
        const user = (pte & 4n) !== 0n;
        const rw = (pte & 2n) !== 0n;
        const bad =
          (pte & 1n) === 0n ? 0
          : cpl === 3 ? (!user || (kind === 1 && !rw) || (kind === 2 && pte & NX) ? 1 : -1)
          : kind === 2 ? (pte & NX ? 1 : -1)
          : (user && !ac) || (kind === 1 && !rw) ? 1 : -1;
        const at = lin + BigInt(offset);
        const error = bad + (kind === 1 ? 2 : 0) + (cpl === 3 ? 4 : 0) + (kind === 2 ? 16 : 0);
        const expected = bad >= 0 ? `#PF(${error}) at ${at.toString(16)}` : rig.host(Number(pte & 0xff000n) + offset);
        const frame = rig.frame(Number(pte & 0xff000n) >> 12);
        const coded = kind === 1 && bad < 0 && ((rig.mem.get32(frame + FrameOff.code) >>> (offset >> 7)) & 1) === 1;
        rig.mem.set32(INVALIDATED, 0);
        const got = kind === 0 ? read(at, 2) : kind === 1 ? write(at, 2) : (rig.core.fetchPage(at) >>> 0) || fault();
        if (got !== expected) assert.is(got, expected, `step ${step}: kind ${kind}, pte ${pte.toString(16)}, cpl ${cpl}, ac ${ac}`);
        if (coded) assert.is(rig.mem.get32(INVALIDATED) > 0, true, `step ${step}: code was kept`);
        const after = rig.guest.get64(pteOf(lin, cr3));
        const wanted = bad >= 0 ? pte : pte | 0x20n | (kind === 1 ? 0x40n : 0n);
        // A global page's other copy may be the one that was walked.
        if (!(lin >> 63n) && after !== wanted) assert.is(after, wanted, `step ${step}: flags`);
      }
    }
  }
  for (const page of data) rig.mem.set32(rig.frame(page >> 12) + FrameOff.code, 0);
});

access("the domain block is the one in force", () => {
  assert.is(rig.mem.get32(PCPU + PcpuOff.p2mRoot), rig.mem.get32(DOMAIN + DomainOff.p2mRoot) * 4096);
  assert.is(rig.core.p2mLookup(5) >>> 0, rig.mfns[5] | (P2m.ram_rw << 20));
  assert.is(rig.core.p2mLookup(0x3fff_ffff), 0);
  assert.is(rig.core.p2mLookup(0x4000_0005), 0);
});

access.run();
