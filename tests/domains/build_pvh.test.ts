/** What a PVH kernel finds when it starts (docs/misc/pvh.pandoc of Xen, public/arch-x86/hvm/start_info.h), read back through the p2m as the
 *  guest would, and what is refused before any of it is written. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DomainType, Region } from "../../assembly/abi/layout";
import { buildPvh, type PvhConfig, type PvhDomain } from "../../src/domains/build_pvh";
import { loadKernel, type KernelImage } from "../../src/domains/bzimage";
import { ConfigError, DomainError, ImageError } from "../../src/domains/errors";
import { pvhMemoryMap } from "../../src/domains/memory_map";
import { createDomainBlock } from "../../src/hypervisor/domain_table";
import { freeFrameCount, initMachine } from "../../src/machine/frames";
import { GuestMemory } from "../../src/machine/guest_memory";
import { MachineMemory } from "../../src/machine/memory";
import { p2mEntries } from "../../src/machine/p2m";
import { makeElf, makePvhKernel, xenNote } from "./elf_image";

const test = suite("PVH builder");
const MIB = 1 << 20;
const DOMID = 1;

function machine(ramMiB: number): { mem: MachineMemory; domain: number } {
  const base = (Region.PCPUS + Region.PCPU_STRIDE + Region.CODE_SIZE) / 65536;
  const pages = base + ramMiB * 16;
  const mem = new MachineMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
  initMachine(mem, { pcpus: 1, tscKhz: 1_000_000 });
  const domain = createDomainBlock(mem, { type: DomainType.pvh, vcpus: 1, maxPages: 0xfffff, domid: DOMID });
  assert.ok(domain > 0);
  return { mem, domain };
}

async function build(config: Partial<PvhConfig>, ramMiB = 24): Promise<PvhDomain & { guest: GuestMemory; mem: MachineMemory; domain: number }> {
  const { mem, domain } = machine(ramMiB);
  const kernel = config.kernel ?? (await loadKernel(makePvhKernel(Uint8Array.of(0xf4, 0x90, 0xeb)), "k"));
  const built = buildPvh(mem, DOMID, domain, { memoryMiB: 16, vcpus: 1, ...config, kernel });
  return { ...built, guest: new GuestMemory(mem, domain), mem, domain };
}
const kernelOf = (elf: Uint8Array): Promise<KernelImage> => loadKernel(elf, "k");

test("the start info has magic, version, module, command line, RSDP and memory map", async () => {
  const ramdisk = Uint8Array.from({ length: 5000 }, (_, n) => n * 7);
  const { guest, startInfoGpa, entry, rsdpGpa } = await build({ ramdisk, cmdline: "console=hvc0 näh" });
  assert.is(entry, 0x100000);
  const word = (offset: number): number => guest.get32(startInfoGpa + offset);
  const long = (at: number): number => Number(guest.get64(at));
  assert.equal([word(0), word(4), word(8), word(12)], [0x336ec578, 1, 0, 1]);
  const module = long(startInfoGpa + 16);
  assert.is(long(module + 8), ramdisk.length);
  assert.is(long(module) % 4096, 0);
  for (const at of [startInfoGpa, module, long(startInfoGpa + 24), long(startInfoGpa + 40)])
    assert.ok(at < long(module), "a 32-bit kernel reads it all before it has mapped more than a little behind itself");
  assert.equal(guest.read(long(module), ramdisk.length), ramdisk);
  const cmdline = new TextEncoder().encode("console=hvc0 näh\0");
  assert.equal(guest.read(long(startInfoGpa + 24), cmdline.length), cmdline);
  assert.is(long(startInfoGpa + 32), rsdpGpa);
  assert.is(new TextDecoder().decode(guest.read(rsdpGpa, 8)), "RSD PTR ");
  const memmap = long(startInfoGpa + 40);
  const entries = Array.from({ length: word(48) }, (_, n) => [long(memmap + 24 * n), long(memmap + 24 * n + 8), guest.get32(memmap + 24 * n + 16)]);
  assert.equal(entries, [
    [0, 16 * MIB, 1],
    [0xfc000000, 0x1000, 3],
    [0xfeff8000, 0x8000, 2],
  ]);
  assert.is(word(52), 0);
});

test("segments lie at their physical addresses with zeros behind them, even in frames that were used before", async () => {
  const { guest, mem } = await build({});
  assert.equal([...guest.read(0x100000, 8)], [0xf4, 0x90, 0xeb, 0, 0, 0, 0, 0]);
  assert.ok(guest.read(0x100003, 8192).every((byte) => byte === 0));
  assert.ok(mem.frames > 0);
});

test("without ramdisk there is no module", async () => {
  const { guest, startInfoGpa } = await build({});
  assert.is(guest.get32(startInfoGpa + 12), 0);
  assert.is(guest.get64(startInfoGpa + 16), 0n);
});

test("the special pages are where libxl puts them and every frame is mapped once", async () => {
  const { consolePfn, xenstorePfn, pages, mem, domain } = await build({});
  assert.equal([xenstorePfn, consolePfn], [0xfeffc, 0xfeff_f]); // 1044476 and 1044479 under Xen
  const entries = [...p2mEntries(mem, domain)];
  assert.is(entries.length, pages);
  assert.is(pages, 16 * 256 + 1 + 8);
  assert.is(new Set(entries.map(({ mfn }) => mfn)).size, pages);
  for (const gfn of [0, 4095, 0xfc000, 0xfeff8, consolePfn, xenstorePfn]) assert.ok(entries.some((each) => each.gfn === gfn));
});

test("only an old Linux gets its RSDP in BIOS memory", async () => {
  const linux = (supported: bigint) => [xenNote(18, 0x100000n), xenNote(6, "linux"), xenNote(17, supported)];
  for (const [notes, expected] of [
    [linux(0x0801n), 0xfffc0],
    [linux(0x8801n), 0xfc000000],
    [[xenNote(18, 0x100000n), xenNote(6, "FreeBSD")], 0xfc000000],
  ] as const) {
    const bytes = new Uint8Array(notes.flatMap((note) => [...note]));
    const { rsdpGpa } = await build({ kernel: await kernelOf(makePvhKernel(undefined, bytes)) });
    assert.is(rsdpGpa < 0x100000 ? rsdpGpa : Math.floor(rsdpGpa / 4096) * 4096, expected);
  }
});

test("RAM above 3.75 GiB continues at 4 GiB", () => {
  assert.equal(
    pvhMemoryMap(0xf0000000 + 5 * MIB, 0x300).filter(({ type }) => type === 1),
    [
      { start: 0, size: 0xf0000000, type: 1 },
      { start: 0x100000000, size: 5 * MIB, type: 1 },
    ],
  );
});

const segment = (paddr: number, memSize: number): Uint8Array =>
  makeElf(64, [{ paddr: 0x100000, bytes: Uint8Array.of(1) }, { paddr, bytes: Uint8Array.of(1), memSize }, { type: 4, bytes: xenNote(18, 0x100000n) }]);
const REFUSED = [
  ["a segment beyond RAM", { kernel: segment(16 * MIB, 1) }, ConfigError, /^memory: 16 MiB cannot hold k/],
  ["a segment with a huge size", { kernel: segment(0x200000, 2 ** 40) }, ConfigError, /^memory: /],
  ["a segment whose end wraps", { kernel: makeElf(64, [{ paddr: 2 ** 63, bytes: Uint8Array.of(1) }, { type: 4, bytes: xenNote(18, 1n) }]) }, ImageError, /where no memory is/],
  ["no segment", { kernel: makeElf(64, [{ type: 4, bytes: xenNote(18, 1n) }]) }, ImageError, /no segment to load/],
  ["an entry outside all segments", { kernel: makePvhKernel(undefined, xenNote(18, 0x900000n)) }, ImageError, /in none of its segments/],
  ["no PVH entry", { kernel: makeElf(64, [{ paddr: 0x100000, bytes: Uint8Array.of(1) }]) }, ImageError, /PHYS32_ENTRY/],
  ["a ramdisk that does not fit", { ramdisk: new Uint8Array(15 * MIB) }, ConfigError, /and its ramdisk, which take 17 MiB/],
  ["too many vCPUs", { vcpus: 129 }, ConfigError, /^vcpus: /],
  ["no vCPU", { vcpus: 0 }, ConfigError, /^vcpus: /],
] as const;
for (const [what, { kernel, ...config }, type, message] of REFUSED as readonly (readonly [string, { kernel?: Uint8Array } & Partial<PvhConfig>, new (...args: never[]) => Error, RegExp])[])
  test(`${what} is refused, and no frame is taken`, async () => {
    const { mem, domain } = machine(20);
    const before = freeFrameCount(mem);
    const image = await kernelOf((kernel as Uint8Array | undefined) ?? makePvhKernel());
    try {
      buildPvh(mem, DOMID, domain, { memoryMiB: 16, vcpus: 1, ...config, kernel: image });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, type, String(error));
      assert.match((error as Error).message, message);
    }
    assert.is(freeFrameCount(mem), before);
  });

test("a machine without enough memory is a DomainError", async () => {
  try {
    await build({ memoryMiB: 64 }, 24);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, DomainError);
    assert.match((error as Error).message, /memory is used up/);
  }
});

test.run();
