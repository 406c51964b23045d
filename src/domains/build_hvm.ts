/** Builds an HVM domain's memory as a bare PC has it, for direct boot of a kernel (by its Multiboot header, or by its PVH
 *  note) or for firmware that starts at the reset vector.
 *
 *  ```
 *  0                RAM, 640 KiB; the last KiB is reserved as firmware's own
 *  0xa0000          nothing: no display, no option ROMs
 *  0xe0000          the last 128 KiB of the firmware; for a kernel a page of stubs at 0xff000 (pc_firmware.ts)
 *  0x100000         RAM: kernel where it wants to be; above it sections, modules, boot information
 *  0xfec00000       I/O APIC      0xfee00000 local APIC      0xfeff8000 special pages
 *  4 GiB - size     firmware
 *  4 GiB            RAM that does not fit below
 *  ```
 *  All numbers in the image are checked against the domain's RAM before a byte is copied. */
import { DomainOff, FrameType, P2m, VcpuStart } from "../../assembly/abi/layout";
import { IOAPIC_RANGE } from "../io/ioapic";
import { allocFrame } from "../machine/frames";
import { GuestMemory } from "../machine/guest_memory";
import { type MachineMemory, PAGE_SIZE } from "../machine/memory";
import { p2mSet } from "../machine/p2m";
import { encodeStartInfo, loadable } from "./build_pvh";
import { type KernelImage, pvhEntry } from "./bzimage";
import { ConfigError, DomainError, ImageError } from "./errors";
import { HIGH_RAM_START, LAPIC_START, LOW_RAM_END, type MemoryRegion, MemoryType, SPECIAL_PAGES, SPECIAL_START, XENSTORE_GFN } from "./memory_map";
import type { Elf } from "./elf";
import type { MultibootImage, MultibootSegment } from "./multiboot";
import { type BootInformation, multiboot1Info, multiboot2Info, placeSections } from "./multiboot_info";
import { lowMemory, STUB_GPA, stubPage } from "./pc_firmware";
import { createPcPage } from "./pc_page";

export interface HvmModule {
  readonly bytes: Uint8Array;
  readonly cmdline: string;
}

export type HvmBoot =
  | { readonly kind: "multiboot"; readonly kernel: MultibootImage; readonly modules: readonly HvmModule[]; readonly cmdline: string }
  | { readonly kind: "pvh"; readonly kernel: KernelImage; readonly ramdisk?: Uint8Array; readonly cmdline: string }
  | { readonly kind: "firmware"; readonly rom: Uint8Array };

export interface HvmConfig {
  readonly memoryMiB: number;
  readonly boot: HvmBoot;
  readonly debugExit: boolean;
}

export interface HvmDomain {
  readonly start: VcpuStart;
  readonly entry: number;
  readonly startInfoGpa: number;
  readonly xenstorePfn: number;
  readonly memoryMap: MemoryRegion[];
  /** Address of the page shared with the devices. */
  readonly pcPage: number;
}

export const FIRMWARE_LEAST = 0x1_0000;
export const FIRMWARE_MOST = 0x100_0000;

const MIB = 0x10_0000;
const KIB = 1024;
const BASE_RAM = 0xa_0000;
const EBDA = 0x9_fc00;
const LOW_FIRMWARE = 0x2_0000;
const TOP = 0x1_0000_0000;

const pageUp = (gpa: number): number => Math.ceil(gpa / PAGE_SIZE) * PAGE_SIZE;

/** The map a PC's firmware would give (ACPI specification, "Address Range Types"), ascending and without overlap. */
export function hvmMemoryMap(memoryBytes: number, romBytes: number): MemoryRegion[] {
  const low = Math.min(memoryBytes, LOW_RAM_END);
  const map: MemoryRegion[] = [
    { start: 0, size: EBDA, type: MemoryType.ram },
    { start: EBDA, size: BASE_RAM - EBDA, type: MemoryType.reserved },
    { start: MIB - 0x1_0000, size: 0x1_0000, type: MemoryType.reserved },
  ];
  if (low > MIB) map.push({ start: MIB, size: low - MIB, type: MemoryType.ram });
  map.push(
    { start: IOAPIC_RANGE.base, size: PAGE_SIZE, type: MemoryType.reserved },
    { start: LAPIC_START, size: PAGE_SIZE, type: MemoryType.reserved },
    { start: SPECIAL_START, size: SPECIAL_PAGES * PAGE_SIZE, type: MemoryType.reserved },
  );
  if (romBytes > 0) map.push({ start: TOP - pageUp(romBytes), size: pageUp(romBytes), type: MemoryType.reserved });
  if (memoryBytes > low) map.push({ start: HIGH_RAM_START, size: memoryBytes - low, type: MemoryType.ram });
  return map;
}

/** Pages beyond its RAM that a domain with this firmware needs. */
export function firmwarePages(romBytes: number): number {
  return (pageUp(romBytes) + Math.min(pageUp(romBytes), LOW_FIRMWARE)) / PAGE_SIZE;
}

/** `domid` and `domain` (the address of its block) are of a domain that owns no RAM yet. */
export function buildHvm(mem: MachineMemory, domid: number, domain: number, config: HvmConfig): HvmDomain {
  const { memoryMiB, boot } = config;
  const romBytes = boot.kind === "firmware" ? boot.rom.length : 0;
  const memoryMap = hvmMemoryMap(memoryMiB * MIB, romBytes);
  const lowRam = Math.min(memoryMiB * MIB, LOW_RAM_END);
  const highRam = memoryMiB * MIB - lowRam;
  const image = boot.kind === "firmware" ? undefined : layOut(programOf(boot), memoryMap, lowRam); // nothing is written before all is known to fit

  const guest = new GuestMemory(mem, domain);
  const pages = new Pages(mem, domid, domain);
  pages.add(0, Math.min(lowRam, BASE_RAM));
  if (lowRam > MIB) pages.add(MIB, lowRam - MIB);
  pages.add(SPECIAL_START, SPECIAL_PAGES * PAGE_SIZE);
  if (highRam > 0) pages.add(HIGH_RAM_START, highRam);
  if (boot.kind === "firmware") {
    const { rom } = boot;
    for (const [end, size] of [[TOP, romBytes], [MIB, Math.min(romBytes, LOW_FIRMWARE)]]) {
      pages.add(end - pageUp(size), pageUp(size), P2m.ram_ro);
      guest.fill(end - pageUp(size), pageUp(size) - size, 0xff);
      guest.write(end - size, rom.subarray(rom.length - size));
    }
  }
  if (image) {
    pages.add(STUB_GPA, PAGE_SIZE, P2m.ram_ro);
    guest.write(STUB_GPA, stubPage());
    guest.write(0, lowMemory(EBDA));
    for (const { gpa, bytes } of image.pieces) guest.write(gpa, bytes);
  }
  const pcPage = createPcPage(mem, domain, { debugExit: config.debugExit, afterFirmware: image !== undefined, lowRam, highRam });
  const common = { xenstorePfn: XENSTORE_GFN, memoryMap, pcPage };
  if (!image) return { ...common, start: VcpuStart.reset, entry: 0, startInfoGpa: 0 };
  return { ...common, start: image.start, entry: image.entry, startInfoGpa: image.infoGpa };
}

interface Layout {
  readonly pieces: readonly { readonly gpa: number; readonly bytes: Uint8Array }[];
  readonly start: VcpuStart;
  readonly entry: number;
  readonly infoGpa: number;
}

/** What there is to place, by either way of booting. */
interface Program {
  readonly file: string;
  readonly start: VcpuStart;
  readonly entry: number;
  readonly segments: readonly MultibootSegment[];
  readonly elf?: Elf;
  readonly modules: readonly HvmModule[];
  readonly describe: (info: BootInformation) => Uint8Array;
  readonly cmdline: string;
}

function programOf(boot: Exclude<HvmBoot, { kind: "firmware" }>): Program {
  const { cmdline } = boot;
  if (boot.kind === "multiboot") {
    const { kernel, modules } = boot;
    const [start, describe] = kernel.version === 1 ? ([VcpuStart.multiboot, multiboot1Info] as const) : ([VcpuStart.multiboot2, multiboot2Info] as const);
    return { ...kernel, start, describe, modules, cmdline };
  }
  const { kernel, ramdisk } = boot;
  const { bytes } = kernel.elf;
  const segments = loadable(kernel).map(({ paddr, offset, fileSize, memSize }) => ({ paddr, memSize, bytes: bytes.subarray(offset, offset + fileSize) }));
  const describe = ({ base, memoryMap, modules: [module] }: BootInformation) =>
    encodeStartInfo(base, 0, memoryMap, cmdline, module && { gpa: module.start, size: module.end - module.start });
  const modules = ramdisk ? [{ bytes: ramdisk, cmdline: "" }] : [];
  return { file: kernel.file, start: VcpuStart.pvh, entry: pvhEntry(kernel), segments, modules, describe, cmdline };
}

/** Where kernel, sections, modules and boot information go. */
function layOut(program: Program, memoryMap: readonly MemoryRegion[], lowRam: number): Layout {
  const { file, segments, entry, elf, modules, cmdline, start } = program;
  const ram = memoryMap.filter(({ start, type }) => type === MemoryType.ram && start < LOW_RAM_END);
  const isRam = (gpa: number, size: number) => ram.some((region) => gpa >= region.start && gpa + size <= region.start + region.size);
  for (const { paddr, memSize } of segments) {
    if (isRam(paddr, memSize)) continue;
    if (paddr >= MIB && paddr + memSize <= LOW_RAM_END) throw new ConfigError("memory", `${lowRam / MIB} MiB cannot hold ${file}, which takes ${Math.ceil((paddr + memSize) / MIB)} MiB.`);
    throw new ImageError(file, `it wants to be loaded at 0x${paddr.toString(16)}, where no RAM is.`);
  }
  if (!segments.some(({ paddr, memSize }) => entry >= paddr && entry < paddr + memSize))
    throw new ImageError(file, `its entry point 0x${entry.toString(16)} is in none of its segments.`);

  const pieces: { gpa: number; bytes: Uint8Array }[] = segments.map(({ paddr, bytes }) => ({ gpa: paddr, bytes }));
  let end = Math.max(MIB, ...segments.map(({ paddr, memSize }) => paddr + memSize));
  const place = (bytes: Uint8Array): number => {
    const gpa = pageUp(end);
    pieces.push({ gpa, bytes });
    end = gpa + bytes.length;
    return gpa;
  };
  const placed = elf && placeSections(elf, pageUp(end));
  if (placed) place(placed.contents);
  const loaded = modules.map(({ bytes, cmdline: text }) => {
    const at = place(bytes);
    return { start: at, end: at + bytes.length, cmdline: text };
  });
  const infoGpa = pageUp(end);
  place(
    program.describe({
      base: infoGpa,
      cmdline,
      modules: loaded,
      memoryMap,
      lowerKiB: Math.floor(Math.min(lowRam, EBDA) / KIB),
      upperKiB: Math.max(lowRam - MIB, 0) / KIB,
      sections: placed?.sections,
    }),
  );
  if (end > lowRam)
    throw new ConfigError("memory", `${lowRam / MIB} MiB cannot hold ${file}${modules.length > 0 ? " and its modules" : ""}, which take ${Math.ceil(end / MIB)} MiB.`);
  return { pieces, entry, infoGpa, start };
}

/** Frames for guest-physical ranges of whole pages. */
class Pages {
  private count = 0;

  constructor(
    private readonly mem: MachineMemory,
    private readonly domid: number,
    private readonly domain: number,
  ) {}

  add(start: number, size: number, type = P2m.ram_rw): void {
    const { mem, domid, domain } = this;
    for (let gpa = start; gpa < start + size; gpa += PAGE_SIZE) {
      const mfn = allocFrame(mem, domid, FrameType.ram);
      if (mfn === 0) throw new DomainError(String(domid), `the machine's memory is used up after ${this.count} of its pages.`);
      const error = p2mSet(mem, domain, gpa / PAGE_SIZE, mfn, type);
      if (error !== 0) throw new DomainError(String(domid), `its page ${gpa / PAGE_SIZE} cannot be mapped (error ${error}).`);
      this.count++;
    }
    mem.add(domain + DomainOff.totPages, size / PAGE_SIZE);
  }
}
