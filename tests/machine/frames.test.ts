/** The frame table: a frame has one owner, a type and a count; it is free when the count is zero, and what a domain left
 *  in it is never seen again. Whatever is allocated and released, the books balance. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Worker } from "node:worker_threads";
import { FrameOff, FrameType, MachineOff, PcpuOff, Region } from "../../assembly/abi/layout";
import { Xen } from "../../assembly/abi/xen";
import { allocFrame, allocFrames, allocRun, frameEntry, framesOf, freeFrame, freeFrameCount, getPage, giveFrame, initMachine, isGuestFrame, ownerOf, putPage } from "../../src/machine/frames";
import { pcpuBase } from "../../src/machine/kick";
import { MachineMemory } from "../../src/machine/memory";

const frames = suite("frames");

function machine(pcpus = 1, megabytes = 160): MachineMemory {
  const mem = new MachineMemory(new WebAssembly.Memory({ initial: megabytes * 16, maximum: megabytes * 16, shared: true }));
  initMachine(mem, { pcpus, tscKhz: 2_000_000 });
  return mem;
}

const firstRam = (mem: MachineMemory): number => mem.get32(Region.MACHINE + MachineOff.firstRam);

frames("a fresh machine: everything below RAM is Xen's, all of RAM is free", () => {
  const mem = machine(2, 192);
  assert.is(mem.frames, 192 * 256);
  assert.is(freeFrameCount(mem), mem.frames - firstRam(mem));
  for (let mfn = 0; mfn < mem.frames; mfn++) {
    const own = mfn < firstRam(mem);
    if (ownerOf(mem, mfn) !== (own ? Xen.DOMID_XEN : Xen.DOMID_INVALID)) assert.unreachable(`owner of ${mfn}`);
  }
  const caches = [0, 1].map((n) => [mem.get32(pcpuBase(n) + PcpuOff.codeBase), mem.get32(pcpuBase(n) + PcpuOff.codeEnd)]);
  assert.is(caches[0][1] - caches[0][0], Region.CODE_SIZE);
  assert.is(caches[1][0], caches[0][1]);
  assert.ok(caches[0][0] >= pcpuBase(2));
  assert.ok(firstRam(mem) * 4096 >= caches[1][1]);
  assert.is(mem.get32(Region.MACHINE + MachineOff.tscKhz), 2_000_000);
});

frames("frames come lowest first, zeroed, with one reference", () => {
  const mem = machine();
  const first = allocFrame(mem, 5, FrameType.ram);
  assert.is(first, firstRam(mem));
  assert.equal(allocFrames(mem, 5, FrameType.ram, 3), [first + 1, first + 2, first + 3]);
  assert.is(ownerOf(mem, first), 5);
  assert.is(mem.load(frameEntry(first) + FrameOff.count), 1);
  assert.equal([...framesOf(mem, 5)], [first, first + 1, first + 2, first + 3]);
});

frames("a run of frames is found wherever there is one, is Xen's, and can be given away one by one", () => {
  const mem = machine();
  const all = freeFrameCount(mem);
  const first = firstRam(mem);
  assert.is(allocRun(mem, 100), first);
  assert.is(ownerOf(mem, first), Xen.DOMID_XEN);
  const held = allocFrames(mem, 5, FrameType.ram, 50); // behind it
  for (let n = 0; n < 100; n += 2) freeFrame(mem, first + n); // no two neighbours
  assert.is(allocRun(mem, 2), first + 150);
  for (const mfn of held) freeFrame(mem, mfn);
  assert.is(allocRun(mem, 2), first + 100);
  assert.is(allocRun(mem, all), 0);
  const count = freeFrameCount(mem);
  const rest = allocFrames(mem, 6, FrameType.ram, count);
  assert.is(new Set(rest).size, count);
  assert.not.ok(rest.includes(first + 1) || rest.includes(first + 100));
  giveFrame(mem, first + 1, 7, FrameType.ram);
  assert.ok(getPage(mem, first + 1, 7));
  assert.not.ok(getPage(mem, first + 3, 7));
  assert.equal([...framesOf(mem, 7)], [first + 1]);
});

frames("what one domain wrote, the next does not read", () => {
  const mem = machine();
  const mfn = allocFrame(mem, 5, FrameType.ram);
  mem.u8.fill(0xee, mfn * 4096, (mfn + 1) * 4096);
  freeFrame(mem, mfn);
  assert.is(allocFrame(mem, 6, FrameType.ram), mfn);
  assert.is(mem.u8.subarray(mfn * 4096, (mfn + 1) * 4096).findIndex((byte) => byte !== 0), -1);
});

frames("records decoded from a frame's old contents are dropped before it has a new owner", () => {
  const mem = machine();
  const mfn = allocFrame(mem, 5, FrameType.ram);
  mem.set32(frameEntry(mfn) + FrameOff.code, 0x10);
  freeFrame(mem, mfn);
  allocFrame(mem, 6, FrameType.ram);
  assert.equal([mem.load(pcpuBase(0) + PcpuOff.dropCount), mem.get32(pcpuBase(0) + PcpuOff.dropQueue)], [1, mfn]);
});

frames("a frame others hold outlives its allocation", () => {
  const mem = machine();
  const before = freeFrameCount(mem);
  const mfn = allocFrame(mem, 5, FrameType.ram);
  assert.not(getPage(mem, mfn, 6), "not theirs");
  assert.ok(getPage(mem, mfn, 5));
  assert.throws(() => freeFrame(mem, mfn), /refer to it/);
  assert.is(freeFrameCount(mem), before - 1);
  assert.throws(() => freeFrame(mem, 5 * mfn), /not guest memory/);
  assert.is(ownerOf(mem, mfn), 5);
  assert.ok(putPage(mem, mfn));
  assert.is(freeFrameCount(mem), before);
  assert.not(getPage(mem, mfn, 5), "free");
  assert.throws(() => putPage(mem, mfn), /once too often/);
});

frames("numbers a guest may supply are not trusted", () => {
  const mem = machine();
  for (const mfn of [0, 1, firstRam(mem) - 1, mem.frames, 0xfffff, 0xffffffff, -1, 1.5, Number.NaN]) {
    assert.not(isGuestFrame(mem, mfn));
    assert.not(getPage(mem, mfn, Xen.DOMID_XEN));
  }
});

frames("no memory: 0, or nothing at all", () => {
  const mem = machine(1, 124);
  const left = freeFrameCount(mem);
  assert.equal(allocFrames(mem, 5, FrameType.ram, left + 1), []);
  assert.is(allocFrames(mem, 5, FrameType.ram, left).length, left);
  assert.is(allocFrame(mem, 5, FrameType.ram), 0);
  for (const mfn of [...framesOf(mem, 5)]) freeFrame(mem, mfn);
  assert.is(freeFrameCount(mem), left);
});

frames("threads that allocate and free at once never share a frame, and the count balances", async () => {
  const mem = machine(1, 124);
  const left = freeFrameCount(mem);
  const worker = new Worker(new URL(import.meta.url), { workerData: { memory: mem.memory }, stdout: true });
  const started = new Promise<void>((resolve) => worker.once("message", () => resolve()));
  const done = new Promise<unknown>((resolve, reject) => worker.once("exit", resolve).once("error", reject));
  await started;
  const error = churn(mem, 5);
  assert.is(await done, 0);
  assert.is(error, "");
  assert.is(freeFrameCount(mem), left);
});

/** Allocates, marks, checks and frees. Returns what went wrong. */
function churn(mem: MachineMemory, domid: number): string {
  for (let round = 0; round < 300; round++) {
    const mine = allocFrames(mem, domid, FrameType.ram, 20);
    for (let n = 0; n < 20; n++) mine.push(allocFrame(mem, domid, FrameType.ram));
    for (const mfn of mine) {
      if (mem.get32(mfn * 4096) !== 0) return `frame ${mfn} was not clean`;
      mem.set32(mfn * 4096, domid);
      if (!getPage(mem, mfn, domid)) return `frame ${mfn} is not ours`;
    }
    for (const mfn of mine) {
      if (mem.get32(mfn * 4096) !== domid) return `frame ${mfn} was given out twice`;
      if (putPage(mem, mfn) || !putPage(mem, mfn)) return `frame ${mfn} has a wrong count`;
    }
  }
  return "";
}

const { isMainThread, workerData, parentPort } = await import("node:worker_threads");
if (isMainThread) frames.run();
else {
  parentPort!.postMessage("ready");
  const error = churn(new MachineMemory((workerData as { memory: WebAssembly.Memory }).memory), 6);
  if (error) throw new Error(error);
}
