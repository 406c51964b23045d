/** Builds a PVH domain's memory: RAM, kernel, ramdisk, hvm_start_info (public/arch-x86/hvm/start_info.h), ACPI tables, and the pages
 *  shared with xenstore and the console. The vCPU's registers are the processor's business: it starts at `entry` with
 *  the address of hvm_start_info in EBX (docs/misc/pvh.pandoc of Xen).
 *
 *  ```
 *  0                  RAM
 *    p_paddr          ELF segments where the kernel wants them
 *    above them       ramdisk, then hvm_start_info with what it points to: each from a page boundary, in libxc's order
 *  0xfc000000         ACPI tables
 *  0xfeff8000         special pages
 *  4 GiB              RAM that does not fit below
 *  ```
 *  All numbers in the image are checked against the domain's RAM before a byte is copied. */
import { GuestMemory } from "../machine/guest_memory";
import { type MachineMemory, PAGE_SIZE } from "../machine/memory";
import { buildAcpi, MAX_PVH_VCPUS } from "./acpi";
import { type KernelImage, pvhEntry } from "./bzimage";
import { loadSegments } from "./elf";
import { ConfigError, ImageError } from "./errors";
import { addRam } from "./guest_ram";
import {
  ACPI_START,
  BIOS_RSDP,
  CONSOLE_GFN,
  encodeMemoryMap,
  type MemoryRegion,
  MemoryType,
  pvhMemoryMap,
  SPECIAL_PAGES,
  SPECIAL_START,
  XENSTORE_GFN,
} from "./memory_map";
import { givePages } from "./place_kernel";

export interface PvhConfig {
  memoryMiB: number;
  vcpus: number;
  /** vCPUs that can be brought online later included; default vcpus. */
  maxVcpus?: number;
  kernel: KernelImage;
  ramdisk?: Uint8Array;
  cmdline?: string;
  /** See AcpiConfig.sleepPort. */
  sleepPort?: number;
}

export interface PvhDomain {
  /** Where vCPU 0 starts, in 32-bit protected mode without paging, and what its EBX holds. */
  entry: number;
  startInfoGpa: number;
  consolePfn: number;
  xenstorePfn: number;
  rsdpGpa: number;
  memoryMap: MemoryRegion[];
  /** Frames the domain was given. */
  pages: number;
}

const HVM_START_MAGIC = 0x336ec578;
const START_INFO_SIZE = 56;
const MODULE_SIZE = 32;
/** XENFEAT_linux_rsdp_unrestricted (public/features.h): this Linux uses hvm_start_info.rsdp_paddr. */
const RSDP_UNRESTRICTED = 1 << 15;
const MIB = 1 << 20;

const pageUp = (gpa: number): number => Math.ceil(gpa / PAGE_SIZE) * PAGE_SIZE;

/** `domid` and `domain` (the address of its block) are of a domain that owns no RAM yet. */
export function buildPvh(mem: MachineMemory, domid: number, domain: number, config: PvhConfig): PvhDomain {
  const { kernel, vcpus, maxVcpus = vcpus, ramdisk } = config;
  if (!(vcpus >= 1 && vcpus <= maxVcpus && maxVcpus <= MAX_PVH_VCPUS))
    throw new ConfigError("vcpus", `a PVH domain has 1 to ${MAX_PVH_VCPUS} vCPUs, and not more than maxvcpus.`);
  const acpi = buildAcpi({ base: ACPI_START, vcpus, maxVcpus, sleepPort: config.sleepPort });
  const rsdpInAcpi = acpi.tables.length;
  const memoryMap = pvhMemoryMap(config.memoryMiB * MIB, rsdpInAcpi + acpi.rsdp.length);

  // Where everything goes, before anything is written.
  const segments = loadSegments(kernel.elf, kernel.file);
  const entry = pvhEntry(kernel);
  if (!segments.some(({ paddr, memSize }) => entry >= paddr && entry < paddr + memSize))
    throw new ImageError(kernel.file, `its PVH entry point 0x${entry.toString(16)} is in none of its segments.`);
  // The start info comes before the ramdisk: 32-bit kernels read it when they have mapped little more than themselves.
  const startInfoGpa = pageUp(Math.max(...segments.map(({ paddr, memSize }) => paddr + memSize)));
  const rsdpGpa = wantsBiosRsdp(kernel) ? BIOS_RSDP : ACPI_START + rsdpInAcpi;
  const startInfoWith = (module?: { gpa: number; size: number }): Uint8Array => encodeStartInfo(startInfoGpa, rsdpGpa, memoryMap, config.cmdline ?? "", module);
  const ramdiskGpa = pageUp(startInfoGpa + startInfoWith({ gpa: 0, size: 0 }).length);
  const startInfo = startInfoWith(ramdisk && { gpa: ramdiskGpa, size: ramdisk.length });
  const needed = ramdisk ? ramdiskGpa + ramdisk.length : startInfoGpa + startInfo.length;
  if (needed > memoryMap[0].size)
    throw new ConfigError(
      "memory",
      `${config.memoryMiB} MiB cannot hold ${kernel.file}${ramdisk ? " and its ramdisk" : ""}, which take ${Math.ceil(needed / MIB)} MiB.`,
    );

  const pieces = givePages(mem, domid, domain, kernel, segments);
  const pages = populate(mem, domid, domain, memoryMap);
  const guest = new GuestMemory(mem, domain);
  for (const { gpa, bytes, zeros } of pieces) {
    guest.write(gpa, bytes);
    if (zeros > 0) guest.fill(gpa + bytes.length, zeros, 0);
  }
  if (ramdisk) guest.write(ramdiskGpa, ramdisk);
  guest.write(startInfoGpa, startInfo);
  guest.write(ACPI_START, acpi.tables);
  guest.write(rsdpGpa, acpi.rsdp);
  return { entry, startInfoGpa, consolePfn: CONSOLE_GFN, xenstorePfn: XENSTORE_GFN, rsdpGpa, memoryMap, pages };
}

const wantsBiosRsdp = ({ notes }: KernelImage): boolean =>
  notes.guestOs?.toLowerCase() === "linux" && ((notes.supportedFeatures ?? 0) & RSDP_UNRESTRICTED) === 0;

/** Gives the domain frames for RAM, the ACPI tables and the special pages. */
function populate(mem: MachineMemory, domid: number, domain: number, map: readonly MemoryRegion[]): number {
  let pages = 0;
  for (const { start, size, type } of map) {
    if (type === MemoryType.reserved && start !== SPECIAL_START) continue;
    const count = type === MemoryType.reserved ? SPECIAL_PAGES : size / PAGE_SIZE;
    addRam(mem, domid, domain, start / PAGE_SIZE, count);
    pages += count;
  }
  return pages;
}

/** hvm_start_info version 1, the module list, the memory map and the strings, all in one piece from `base` on. */
export function encodeStartInfo(
  base: number,
  rsdpGpa: number,
  memoryMap: readonly MemoryRegion[],
  cmdline: string,
  ramdisk: { gpa: number; size: number } | undefined,
): Uint8Array {
  const modules = ramdisk ? 1 : 0;
  const memmap = encodeMemoryMap(memoryMap);
  const modulesAt = START_INFO_SIZE;
  const memmapAt = modulesAt + modules * MODULE_SIZE;
  const cmdlineAt = memmapAt + memmap.length;
  const text = new TextEncoder().encode(cmdline);
  const bytes = new Uint8Array(cmdlineAt + text.length + 1);
  const view = new DataView(bytes.buffer);
  const address = (at: number, gpa: number): void => view.setBigUint64(at, BigInt(gpa), true);
  view.setUint32(0, HVM_START_MAGIC, true);
  view.setUint32(4, 1, true); // version
  view.setUint32(12, modules, true);
  if (ramdisk) {
    address(16, base + modulesAt);
    address(modulesAt, ramdisk.gpa);
    address(modulesAt + 8, ramdisk.size);
  }
  address(24, base + cmdlineAt);
  address(32, rsdpGpa);
  address(40, base + memmapAt);
  view.setUint32(48, memoryMap.length, true);
  bytes.set(memmap, memmapAt);
  bytes.set(text, cmdlineAt);
  return bytes;
}
