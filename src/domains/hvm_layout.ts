/** Where the parts of a directly booted kernel go in an HVM domain's RAM, and how its processor starts, for Multiboot kernels and
 *  kernels with a PVH note. All numbers in the image are checked against the domain's RAM here. */
import { VcpuStart } from "../../assembly/abi/layout";
import { PAGE_SIZE } from "../machine/memory";
import { encodeStartInfo } from "./build_pvh";
import { type KernelImage, pvhEntry } from "./bzimage";
import { type Elf, loadSegments } from "./elf";
import { ConfigError, ImageError } from "./errors";
import { LOW_RAM_END, type MemoryRegion, MemoryType } from "./memory_map";
import type { MultibootImage, MultibootSegment } from "./multiboot";
import { type BootInformation, multiboot1Info, multiboot2Info, placeSections } from "./multiboot_info";

export interface HvmModule {
  readonly bytes: Uint8Array;
  readonly cmdline: string;
}

export interface MultibootBoot {
  readonly kind: "multiboot";
  readonly kernel: MultibootImage;
  readonly modules: readonly HvmModule[];
  readonly cmdline: string;
}

export interface PvhBoot {
  readonly kind: "pvh";
  readonly kernel: KernelImage;
  readonly ramdisk?: Uint8Array;
  readonly cmdline: string;
}

/** The domain's RAM, as layouts see it. */
export interface HvmRam {
  readonly memoryMap: readonly MemoryRegion[];
  /** Bytes below 4 GiB, the hole under 1 MiB included. */
  readonly low: number;
  readonly high: number;
  /** End of conventional memory: firmware's own begins here. */
  readonly ebda: number;
  /** ACPI's root pointer, for kernels that are told. */
  readonly rsdp?: { readonly gpa: number; readonly bytes: Uint8Array };
}

export interface Layout {
  readonly pieces: readonly { readonly gpa: number; readonly bytes: Uint8Array }[];
  readonly start: VcpuStart;
  readonly entry: number;
  readonly infoGpa: number;
}

export const MIB = 0x10_0000;
export const KIB = 1024;

export const pageUp = (gpa: number): number => Math.ceil(gpa / PAGE_SIZE) * PAGE_SIZE;

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

function programOf(boot: MultibootBoot | PvhBoot): Program {
  const { cmdline } = boot;
  if (boot.kind === "multiboot") {
    const { kernel, modules } = boot;
    const [start, describe] = kernel.version === 1 ? ([VcpuStart.multiboot, multiboot1Info] as const) : ([VcpuStart.multiboot2, multiboot2Info] as const);
    return { ...kernel, start, describe, modules, cmdline };
  }
  const { kernel, ramdisk } = boot;
  const { bytes } = kernel.elf;
  const segments = loadSegments(kernel.elf, kernel.file).map(({ paddr, offset, fileSize, memSize }) => ({ paddr, memSize, bytes: bytes.subarray(offset, offset + fileSize) }));
  const describe = ({ base, memoryMap, modules: [module], rsdp }: BootInformation) =>
    encodeStartInfo(base, rsdp?.gpa ?? 0, memoryMap, cmdline, module && { gpa: module.start, size: module.end - module.start });
  const modules = ramdisk ? [{ bytes: ramdisk, cmdline: "" }] : [];
  return { file: kernel.file, start: VcpuStart.pvh, entry: pvhEntry(kernel), segments, modules, describe, cmdline };
}

/** Where kernel, sections, modules and boot information go. */
export function layOut(boot: MultibootBoot | PvhBoot, { memoryMap, low, ebda, rsdp }: HvmRam): Layout {
  const { file, segments, entry, elf, modules, cmdline, start, describe } = programOf(boot);
  const isRam = ramOf(memoryMap);
  for (const { paddr, memSize } of segments) {
    if (isRam(paddr, memSize)) continue;
    if (paddr >= MIB && paddr + memSize <= LOW_RAM_END) throw new ConfigError("memory", `${low / MIB} MiB cannot hold ${file}, which takes ${Math.ceil((paddr + memSize) / MIB)} MiB.`);
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
  const tooSmall = (needed: string) =>
    new ConfigError("memory", `${low / MIB} MiB cannot hold ${file}${modules.length > 0 ? " and its modules" : ""}, which take ${needed}.`);
  const placed = elf && placeSections(elf, pageUp(end), low - pageUp(end));
  if (placed === null) throw tooSmall("more than that with their sections");
  if (placed) place(placed.contents);
  const loaded = modules.map(({ bytes, cmdline: text }) => {
    const at = place(bytes);
    return { start: at, end: at + bytes.length, cmdline: text };
  });
  const infoGpa = pageUp(end);
  place(
    describe({
      base: infoGpa,
      cmdline,
      modules: loaded,
      memoryMap,
      lowerKiB: Math.floor(Math.min(low, ebda) / KIB),
      upperKiB: Math.max(low - MIB, 0) / KIB,
      sections: placed?.sections,
      rsdp,
    }),
  );
  if (end > low) throw tooSmall(`${Math.ceil(end / MIB)} MiB`);
  return { pieces, entry, infoGpa, start };
}

/** Whether a range below 4 GiB is RAM from end to end. */
export function ramOf(memoryMap: readonly MemoryRegion[]): (gpa: number, size: number) => boolean {
  const ram = memoryMap.filter(({ start, type }) => type === MemoryType.ram && start < LOW_RAM_END);
  return (gpa, size) => ram.some((region) => gpa >= region.start && gpa + size <= region.start + region.size);
}
