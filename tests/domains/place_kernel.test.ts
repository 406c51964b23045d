/** A kernel that was unpacked into frames of the machine gives the domain the same memory as one that is copied, whatever its segments
 *  look like, and leaves no frame behind. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DomainType, FrameFlag, FrameOff, Region } from "../../assembly/abi/layout";
import { buildPvh } from "../../src/domains/build_pvh";
import { loadKernel, restoreKernel } from "../../src/domains/bzimage";
import { ImageError } from "../../src/domains/errors";
import { ImageFrames } from "../../src/domains/image_frames";
import type { ImagePart, KeptKernel } from "../../src/domains/kernel_store";
import { createDomainBlock } from "../../src/hypervisor/domain_table";
import { destroyDomainState } from "../../src/hypervisor/teardown";
import { allocFrames, frameEntry, freeFrame, freeFrameCount, initMachine, ownerOf } from "../../src/machine/frames";
import { GuestMemory } from "../../src/machine/guest_memory";
import { MachineMemory } from "../../src/machine/memory";
import { p2mEntries } from "../../src/machine/p2m";
import { bzImage } from "../support/bzimage";
import { makeElf, type TestSegment, xenNote } from "./elf_image";

const test = suite("kernels in frames");
const DOMID = 3;
const RAM_MIB = 8;

function machine(extraMiB = 4): MachineMemory {
  const pages = (Region.PCPUS + Region.PCPU_STRIDE + Region.CODE_SIZE) / 65536 + (RAM_MIB + extraMiB) * 16;
  const mem = new MachineMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
  initMachine(mem, { pcpus: 1, tscKhz: 1_000_000 });
  for (const mfn of allocFrames(mem, 1, 1, freeFrameCount(mem))) {
    mem.u8.fill(0xdd, mfn * 4096, mfn * 4096 + 4096); // of somebody before
    freeFrame(mem, mfn);
  }
  return mem;
}

const bytes = (size: number, seed: number) => Uint8Array.from({ length: size }, (_, n) => (n * seed + (n >> 8)) | 1);
/** Headers and fillers so long that the next segment begins at this offset in the file. */
const HEADERS = 64 + 4 * 56;
const filler = (size: number): TestSegment => ({ type: 0x6474e551, bytes: new Uint8Array(size) });
const note: TestSegment = { type: 4, bytes: xenNote(18, 0x100000n) };
const noteSize = note.bytes.length;

//  what                                                     segments after the note                            pages given away
const CASES: readonly (readonly [string, TestSegment[], number])[] = [
  ["whole pages", [filler(4096 - HEADERS - noteSize), { paddr: 0x100000, bytes: bytes(5 * 4096, 3) }, { paddr: 0x200000, bytes: bytes(4096, 5) }], 6],
  ["a page's part at both ends, and zeros behind", [filler(3000), { paddr: 0xff000 + ((HEADERS + noteSize + 3000) % 4096), bytes: bytes(20_000, 7), memSize: 50_000 }, note], 4],
  ["not even at the same place in a page", [filler(8), { paddr: 0x100000, bytes: bytes(9000, 11), memSize: 9001 }, { paddr: 0x110001, bytes: bytes(9000, 13) }], 0],
  ["two segments in the same memory", [filler(4096 - HEADERS - noteSize), { paddr: 0x100000, bytes: bytes(4 * 4096, 3), memSize: 0x9000 }, { paddr: 0x102000, bytes: bytes(4096, 5), memSize: 0x3000 }], 0],
  ["two in the same page, side by side", [filler(4096 - HEADERS - noteSize), { paddr: 0x100000, bytes: bytes(4096 + 10, 3) }, { paddr: 0x10100a, bytes: bytes(2 * 4096, 5) }], 2],
];
for (const [what, segments, given] of CASES)
  test(`segments with ${what}`, async () => {
    const elf = makeElf(64, [note, ...segments]);
    const seen: string[] = [];
    for (const mode of ["copied", "in frames"]) {
      const mem = machine();
      const free = freeFrameCount(mem);
      const domain = createDomainBlock(mem, { type: DomainType.pvh, vcpus: 1, maxPages: 0xfffff, domid: DOMID });
      const kernel = await loadKernel(bzImage(elf), "k", { claim: (size) => (mode === "copied" ? null : ImageFrames.claim(mem, size)) });
      assert.is(kernel.frames !== undefined, mode !== "copied");
      const [start, end] = kernel.frames ? [kernel.frames.start / 4096, kernel.frames.work / 4096] : [0, 0];
      // Frames of the image that are mapped where its bytes want to be; later ones may come back as RAM of zeros.
      const { pages } = buildPvh(mem, DOMID, domain, { memoryMiB: RAM_MIB, vcpus: 1, kernel });
      const entries = [...p2mEntries(mem, domain)];
      assert.is(entries.length, pages);
      assert.is(new Set(entries.map(({ mfn }) => mfn)).size, pages);
      for (const { mfn } of entries) assert.is(ownerOf(mem, mfn), DOMID);
      if (kernel.frames) {
        const inPlace = entries.filter(({ gfn, mfn }) => gfn >= 0x100 && gfn < 0x300 && mfn >= start && mfn < end && mem.u8.subarray(mfn * 4096, mfn * 4096 + 4096).every((byte) => byte !== 0));
        assert.is(inPlace.length, given);
      }
      seen.push(Buffer.from(new GuestMemory(mem, domain).read(0, RAM_MIB << 20)).toString("latin1"));
      destroyDomainState(mem, domain);
      assert.is(freeFrameCount(mem), free);
    }
    assert.ok(seen[0] === seen[1], "the memory differs");
    assert.ok(seen[0].slice(0x100000, 0x100004) !== "\0\0\0\0");
  });

test("a kernel that was kept is not unpacked again, and is the same one, zeros and all", async () => {
  const zeros = 3 * 4096;
  const segments = [filler(4096 - HEADERS - noteSize), { paddr: 0x100000, bytes: Uint8Array.of(...bytes(2 * 4096, 3), ...new Uint8Array(zeros), ...bytes(5000, 5)) }, note];
  const image = bzImage(makeElf(64, [note, ...segments]));
  let kept: { image: Uint8Array; parts: readonly ImagePart[] } | undefined;
  const keep = async (what: Uint8Array, parts: readonly ImagePart[]) => void (kept = { image: what.slice(), parts });
  const restore = async (into: Uint8Array) => {
    for (const { from, to } of kept!.parts) into.set(kept!.image.subarray(from, to), from);
    return kept!.parts;
  };
  const seen: string[] = [];
  for (const round of [0, 1]) {
    const mem = machine();
    const free = freeFrameCount(mem);
    const domain = createDomainBlock(mem, { type: DomainType.pvh, vcpus: 1, maxPages: 0xfffff, domid: DOMID });
    const claim = (size: number) => ImageFrames.claim(mem, size);
    const kernel = round === 0 ? await loadKernel(image, "k", { claim, keep }) : (await restoreKernel({ size: kept!.image.length, restore }, "k", claim))!;
    buildPvh(mem, DOMID, domain, { memoryMiB: RAM_MIB, vcpus: 1, kernel });
    const untouched = [0, 1, 2].filter((page) => mem.u8[frameEntry(kernel.frames!.start / 4096 + 3 + page) + FrameOff.flags] & FrameFlag.pristine);
    assert.is(untouched.length, 3 * round); // DecompressionStream wrote its zeros, the store has left them out
    seen.push(Buffer.from(new GuestMemory(mem, domain).read(0, RAM_MIB << 20)).toString("latin1"));
    destroyDomainState(mem, domain);
    assert.is(freeFrameCount(mem), free);
  }
  assert.ok(seen[0] === seen[1], "the memory differs");
  assert.is(kept!.parts.reduce((sum, { from, to }) => sum + to - from, 0), kept!.image.length - zeros);
});

test("what was kept and is no kernel, is damaged or has no room leaves no frame behind, and what is refused is not kept", async () => {
  const mem = machine();
  const free = freeFrameCount(mem);
  const claim = (size: number) => ImageFrames.claim(mem, size);
  const kept = (restore: KeptKernel["restore"], size = 10_000): KeptKernel => ({ size, restore });
  const fill = async (into: Uint8Array) => [{ from: 0, to: into.fill(1).length }];
  const noElf = await restoreKernel(kept(fill), "k", claim).catch((reason) => reason);
  assert.instance(noElf, ImageError);
  const failed = await restoreKernel(kept(() => Promise.reject(new RangeError("no"))), "k", claim).catch((reason) => reason);
  assert.instance(failed, RangeError);
  assert.is(await restoreKernel(kept(async () => null), "k", claim), null);
  for (const size of [1 << 30, 2 ** 40]) assert.is(await restoreKernel(kept(async () => assert.unreachable() as never, size), "k", claim), null);
  const refused = await loadKernel(bzImage(bytes(10_000, 3)), "k", { claim, keep: async () => assert.unreachable() }).catch((reason) => reason);
  assert.instance(refused, ImageError);
  assert.is(freeFrameCount(mem), free);
});

test("a kernel that is refused leaves no frame behind", async () => {
  const mem = machine();
  const free = freeFrameCount(mem);
  const elf = makeElf(64, [note, ...CASES[0][1]]);
  const whole = bzImage(elf);
  const lies = whole.slice();
  new DataView(lies.buffer).setUint32(lies.length - 4, elf.length + 1, true);
  const noElf = bzImage(bytes(10_000, 3));
  for (const image of [lies, noElf, bzImage(elf.subarray(0, 100))]) {
    let held: ImageFrames | null = null;
    const error = await loadKernel(image, "k", { claim: (size) => (held = ImageFrames.claim(mem, size)) }).catch((reason) => reason);
    assert.instance(error, ImageError);
    assert.ok(held);
    assert.is(freeFrameCount(mem), free);
  }
});

test("one that is too large for the machine, or for anything, is unpacked elsewhere or refused", async () => {
  const mem = machine();
  const free = freeFrameCount(mem);
  assert.is(ImageFrames.claim(mem, 1 << 30), null);
  assert.is(freeFrameCount(mem), free);
  const kernel = await loadKernel(bzImage(makeElf(64, [note, ...CASES[0][1]])), "k", { claim: () => null });
  assert.is(kernel.frames, undefined);
});

test.run();
