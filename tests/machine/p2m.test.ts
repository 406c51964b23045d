/** The p2m maps a domain's frames, the frame table keeps the way back, and guest memory reads through it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno } from "../../assembly/abi/errno";
import { DomainOff, FrameOff, FrameType, P2m, Region, VcpuOff, VcpuRequest } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { allocFrame, frameEntry, framesOf, freeFrame, freeFrameCount, initMachine, NO_GFN } from "../../src/machine/frames";
import { GuestMemory } from "../../src/machine/guest_memory";
import { MachineMemory } from "../../src/machine/memory";
import { p2mChanged, p2mCreate, p2mEntries, p2mFreeAll, p2mGet, p2mMfn, p2mSet, p2mType } from "../../src/machine/p2m";

const p2m = suite("p2m");
const DOMAIN = Region.DOMAINS + 4096;
const DOMID = 3;

function machine(): MachineMemory {
  const mem = new MachineMemory(new WebAssembly.Memory({ initial: 160 * 16, maximum: 160 * 16, shared: true }));
  initMachine(mem, { pcpus: 1, tscKhz: 1_000_000 });
  mem.set32(DOMAIN + DomainOff.domid, DOMID);
  mem.set32(DOMAIN + DomainOff.vcpus, 2);
  mem.set32(DOMAIN + DomainOff.firstVcpu, Region.VCPUS);
  for (const n of [0, 1]) mem.store(Region.VCPUS + n * VcpuOff.SIZE + VcpuOff.home, -1);
  assert.is(p2mCreate(mem, DOMAIN), 0);
  return mem;
}

/** A frame of the domain at each gfn. */
function populate(mem: MachineMemory, gfns: number[]): Map<number, number> {
  const mfns = new Map<number, number>();
  for (const gfn of gfns) {
    const mfn = allocFrame(mem, DOMID, FrameType.ram);
    assert.is(p2mSet(mem, DOMAIN, gfn, mfn, P2m.ram_rw), 0);
    mfns.set(gfn, mfn);
  }
  return mfns;
}

/** First and last of tables at each level. */
const GFNS = [0, 1, 1023, 1024, 0xfffff, 0x100000, 0xfeffb, 2 ** 30 - 1];

p2m("maps any gfn below 2^30 and finds the way back", () => {
  const mem = machine();
  const mfns = populate(mem, GFNS);
  for (const [gfn, mfn] of mfns) {
    assert.equal([p2mMfn(p2mGet(mem, DOMAIN, gfn)), p2mType(p2mGet(mem, DOMAIN, gfn))], [mfn, P2m.ram_rw]);
    assert.is(mem.get32(frameEntry(mfn) + FrameOff.gfn), gfn);
  }
  for (const gfn of [2, 1022, 2 ** 30 - 2, 2 ** 30, 2 ** 32, -1]) assert.is(p2mGet(mem, DOMAIN, gfn), 0);
  assert.is(mem.get32(DOMAIN + DomainOff.maxGfn), 2 ** 30 - 1);
  assert.equal(
    [...p2mEntries(mem, DOMAIN)].map((entry) => entry.gfn),
    [...GFNS].sort((a, b) => a - b),
  );
});

p2m("refuses what it cannot hold", () => {
  const mem = machine();
  for (const gfn of [2 ** 30, 2 ** 40, -1, 0.5]) assert.is(p2mSet(mem, DOMAIN, gfn, 1, P2m.ram_rw), -Errno.EINVAL);
  assert.is(p2mSet(mem, DOMAIN, 12345, 0, P2m.none), 0, "unmapping nothing");
});

p2m("out of memory for tables is -ENOMEM, and nothing leaks", () => {
  const mem = machine();
  const held: number[] = [];
  for (let mfn = allocFrame(mem, 9, FrameType.ram); mfn; mfn = allocFrame(mem, 9, FrameType.ram)) held.push(mfn);
  assert.is(p2mSet(mem, DOMAIN, 0, held[0], P2m.foreign), -Errno.ENOMEM);
  freeFrame(mem, held.pop() as number);
  assert.is(p2mSet(mem, DOMAIN, 0, held[0], P2m.foreign), -Errno.ENOMEM, "one table of two");
  freeFrame(mem, held.pop() as number);
  assert.is(p2mSet(mem, DOMAIN, 0, held[0], P2m.foreign), 0);
});

p2m("replacing and unmapping keep the way back true", () => {
  const mem = machine();
  const [a, b] = [allocFrame(mem, DOMID, FrameType.ram), allocFrame(mem, DOMID, FrameType.ram)];
  const gfnOf = (mfn: number): number => mem.get32(frameEntry(mfn) + FrameOff.gfn);
  p2mSet(mem, DOMAIN, 10, a, P2m.ram_rw);
  p2mSet(mem, DOMAIN, 10, b, P2m.ram_rw);
  assert.equal([gfnOf(a), gfnOf(b)], [NO_GFN, 10]);
  p2mSet(mem, DOMAIN, 11, b, P2m.ram_rw); // moved
  p2mSet(mem, DOMAIN, 10, 0, P2m.none);
  assert.equal([gfnOf(b), p2mGet(mem, DOMAIN, 10)], [11, 0]);
  const theirs = allocFrame(mem, 9, FrameType.ram);
  mem.set32(frameEntry(theirs) + FrameOff.gfn, 77);
  p2mSet(mem, DOMAIN, 12, theirs, P2m.grant_rw);
  p2mSet(mem, DOMAIN, 12, 0, P2m.none);
  assert.is(gfnOf(theirs), 77, "another domain's frame keeps its own");
});

p2m("tables are Xen's, and all come back", () => {
  const mem = machine();
  p2mFreeAll(mem, DOMAIN);
  const before = freeFrameCount(mem);
  p2mCreate(mem, DOMAIN);
  const mfns = populate(mem, GFNS);
  assert.equal(new Set(framesOf(mem, DOMID)), new Set(mfns.values()));
  assert.ok([...framesOf(mem, Xen.DOMID_XEN)].every((mfn) => mem.get32(frameEntry(mfn) + FrameOff.link) === DOMID));
  for (const { mfn } of p2mEntries(mem, DOMAIN)) freeFrame(mem, mfn);
  p2mFreeAll(mem, DOMAIN);
  assert.is(freeFrameCount(mem), before);
  assert.is(p2mGet(mem, DOMAIN, 0), 0);
});

p2m("a change asks every vCPU to forget its translations", () => {
  const mem = machine();
  p2mChanged(mem, DOMAIN);
  for (const n of [0, 1]) assert.is(mem.load(Region.VCPUS + n * VcpuOff.SIZE + VcpuOff.request), VcpuRequest.flush);
});

const memory = suite("guest memory");

memory("reads and writes across pages that are apart in the machine", () => {
  const mem = machine();
  populate(mem, [5, 9, 6]); // gfn 5 and 6 are not neighbours
  const guest = new GuestMemory(mem, DOMAIN);
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i + 1);
  guest.write(0x5fce, bytes);
  assert.equal(guest.read(0x5fce, 100), bytes);
  assert.is(guest.get8(0x5fff), 50);
  assert.is(guest.get32(0x5ffe), 0x34333231);
  for (const at of [0x5ff0, 0x5ff1, 0x5ffd, 0x5fff, 0x6001]) {
    guest.set64(at, 0x8877665544332211n);
    assert.equal([guest.get64(at), guest.get32(at), guest.get16(at + 2), guest.get8(at + 7)], [0x8877665544332211n, 0x44332211, 0x4433, 0x88]);
    guest.set32(at, 0xfedcba98);
    guest.set16(at + 4, 0xffff);
    guest.set8(at + 6, 1);
    assert.is(guest.get64(at), 0x8801fffffedcba98n);
  }
  guest.fill(0x5ff0, 32, 0xaa);
  assert.equal(guest.read(0x5fef, 34).filter((byte) => byte === 0xaa).length, 32);
});

memory("holes are a RangeError, and nothing is written before one", () => {
  const mem = machine();
  populate(mem, [5]);
  p2mSet(mem, DOMAIN, 7, 0, P2m.mmio);
  const guest = new GuestMemory(mem, DOMAIN);
  assert.throws(() => guest.write(0x5ff8, new Uint8Array(16).fill(1)), (e: Error) => e instanceof RangeError && /0x6000/.test(e.message));
  assert.is(guest.get8(0x5ff8), 0);
  for (const bad of [() => guest.get8(0x6000), () => guest.set64(0x5ffc, 1n), () => guest.read(0x7000, 1), () => guest.read(-1, 1), () => guest.get32(2 ** 50)])
    assert.throws(bad, (e: Error) => e instanceof RangeError);
  assert.equal([guest.has(0x5000, 4096), guest.has(0x5000, 4097), guest.has(0x7000), guest.has(-4096)], [true, false, false, false]);
});

p2m.run();
memory.run();
