/** Builds an HVM domain's memory as a bare PC has it, for direct boot of a kernel (hvm_layout.ts, linux_boot.ts) or for
 *  firmware that starts at the reset vector.
 *
 *  ```
 *  0                RAM, 640 KiB; the last KiB is reserved as firmware's own
 *  0xa0000          nothing: no display, no option ROMs
 *  0xc0000          with firmware RAM that ends with its last 256 KiB or what there is; for a kernel nothing but a page of stubs
 *                   at 0xff000 (pc_firmware.ts), with what it searches for: ACPI's root pointer, MP tables
 *  0x100000         RAM: kernel where it wants to be; above it sections, modules, boot information
 *  0xfc000000       ACPI tables for a kernel
 *  0xfec00000       I/O APIC      0xfee00000 local APIC      0xfeff8000 special pages
 *  4 GiB - size     firmware, read-only
 *  4 GiB            RAM that does not fit below
 *  ```
 *  Firmware expects to keep variables in its copy below 1 MiB and to find room for option ROMs there. A chipset makes that RAM
 *  writable on request (PAM registers of the host bridge); here, as on a PC without one, it always is.
 *
 *  All numbers in the image are checked against the domain's RAM before a byte is copied. */
import { P2m, VcpuStart } from "../../assembly/abi/layout";
import { IOAPIC_RANGE } from "../io/ioapic";
import { GuestMemory } from "../machine/guest_memory";
import { type MachineMemory, PAGE_SIZE } from "../machine/memory";
import { buildPcAcpi } from "./acpi_pc";
import { addRam } from "./guest_ram";
import { type HvmRam, layOut, type Layout, MIB, type MultibootBoot, pageUp, type PvhBoot } from "./hvm_layout";
import { type LinuxBoot, layOutLinux } from "./linux_boot";
import { ACPI_START, HIGH_RAM_START, LAPIC_START, LOW_RAM_END, type MemoryRegion, MemoryType, SPECIAL_PAGES, SPECIAL_START, XENSTORE_GFN } from "./memory_map";
import { buildMpTable } from "./mp_table";
import { lowMemory, MP_GPA, RSDP_GPA, STUB_GPA, stubPage } from "./pc_firmware";
import { createPcPage } from "./pc_page";

export type HvmBoot = MultibootBoot | PvhBoot | LinuxBoot | { readonly kind: "firmware"; readonly rom: Uint8Array };

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

/** The bare PC has one processor. */
const VCPUS = 1;
const BASE_RAM = 0xa_0000;
const EBDA = 0x9_fc00;
/** From here to 1 MiB firmware has RAM. */
export const SHADOW = 0xc_0000;
const TOP = 0x1_0000_0000;

/** The map a PC's firmware would give (ACPI specification, "Address Range Types"), ascending and without overlap. */
export function hvmMemoryMap(memoryBytes: number, romBytes: number, acpiBytes = 0): MemoryRegion[] {
  const low = Math.min(memoryBytes, LOW_RAM_END);
  const map: MemoryRegion[] = [
    { start: 0, size: EBDA, type: MemoryType.ram },
    { start: EBDA, size: BASE_RAM - EBDA, type: MemoryType.reserved },
    { start: MIB - 0x1_0000, size: 0x1_0000, type: MemoryType.reserved },
  ];
  if (low > MIB) map.push({ start: MIB, size: low - MIB, type: MemoryType.ram });
  if (acpiBytes > 0) map.push({ start: ACPI_START, size: pageUp(acpiBytes), type: MemoryType.acpi });
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
  return (pageUp(romBytes) + MIB - SHADOW) / PAGE_SIZE;
}

/** `domid` and `domain` (the address of its block) are of a domain that owns no RAM yet. */
export function buildHvm(mem: MachineMemory, domid: number, domain: number, config: HvmConfig): HvmDomain {
  const { memoryMiB, boot } = config;
  const romBytes = boot.kind === "firmware" ? boot.rom.length : 0;
  const acpi = boot.kind === "firmware" ? undefined : buildPcAcpi(ACPI_START, VCPUS); // firmware makes its own
  const memoryMap = hvmMemoryMap(memoryMiB * MIB, romBytes, acpi?.tables.length);
  const lowRam = Math.min(memoryMiB * MIB, LOW_RAM_END);
  const highRam = memoryMiB * MIB - lowRam;
  const ram: HvmRam = { memoryMap, low: lowRam, high: highRam, ebda: EBDA, rsdp: acpi && { gpa: RSDP_GPA, bytes: acpi.rsdp } };
  // Nothing is written before all is known to fit.
  const image: Layout | undefined = boot.kind === "firmware" ? undefined : boot.kind === "linux" ? layOutLinux(boot, ram) : layOut(boot, ram);

  const guest = new GuestMemory(mem, domain);
  const add = (start: number, size: number, type?: P2m) => addRam(mem, domid, domain, start / PAGE_SIZE, size / PAGE_SIZE, type);
  add(0, Math.min(lowRam, BASE_RAM));
  if (lowRam > MIB) add(MIB, lowRam - MIB);
  add(SPECIAL_START, SPECIAL_PAGES * PAGE_SIZE);
  if (highRam > 0) add(HIGH_RAM_START, highRam);
  if (boot.kind === "firmware") {
    const { rom } = boot;
    add(TOP - pageUp(romBytes), pageUp(romBytes), P2m.ram_ro);
    add(SHADOW, MIB - SHADOW);
    guest.fill(TOP - pageUp(romBytes), pageUp(romBytes) - romBytes, 0xff);
    guest.write(TOP - romBytes, rom);
    const shadowed = rom.subarray(-(MIB - SHADOW));
    guest.write(MIB - shadowed.length, shadowed);
  }
  if (image && acpi) {
    add(STUB_GPA, PAGE_SIZE, P2m.ram_ro);
    guest.write(STUB_GPA, stubPage());
    guest.write(RSDP_GPA, acpi.rsdp);
    guest.write(MP_GPA, buildMpTable(MP_GPA, VCPUS));
    add(ACPI_START, pageUp(acpi.tables.length));
    guest.write(ACPI_START, acpi.tables);
    guest.write(0, lowMemory(EBDA));
    for (const { gpa, bytes } of image.pieces) guest.write(gpa, bytes);
  }
  const pcPage = createPcPage(mem, domain, { debugExit: config.debugExit, afterFirmware: image !== undefined, lowRam, highRam });
  const common = { xenstorePfn: XENSTORE_GFN, memoryMap, pcPage };
  if (!image) return { ...common, start: VcpuStart.reset, entry: 0, startInfoGpa: 0 };
  return { ...common, start: image.start, entry: image.entry, startInfoGpa: image.infoGpa };
}
