/** Guest-physical addresses of a PVH domain, as libxl lays them out: no device of a PC is there, so RAM starts at 0 and the
 *  hole below 4 GiB holds only what Xen puts there. */
import { PAGE_SIZE } from "../machine/memory";

/** RAM ends here at most below 4 GiB (HVM_BELOW_4G_RAM_END, public/hvm/e820.h); the rest continues at 4 GiB. */
export const LOW_RAM_END = 0xf000_0000;

/** ACPI tables: in the hole, so that they need no hole in RAM. */
export const ACPI_START = 0xfc00_0000;

/** Where an RSDP is found by searching (ACPI 6.3, "Finding the RSDP on IA-PC Systems"): the last 64 bytes of the first MiB. Used for
 *  Linux before 4.17, which ignores hvm_start_info.rsdp_paddr; Linux reserves this range by itself. */
export const BIOS_RSDP = 0x10_0000 - 64;

/** The local APIC's registers, where every x86 guest expects them after reset (IA32_APIC_BASE). */
export const LAPIC_START = 0xfee0_0000;

/** Pages shared with Xen's services: the last eight frames below 0xff000, found by the guest through HVMOP_get_param. */
export const SPECIAL_START = 0xfeff_8000;
export const SPECIAL_PAGES = 8;

/** Frame of xenstore's ring, the fifth special page (HVM_PARAM_STORE_PFN). */
export const XENSTORE_GFN = SPECIAL_START / PAGE_SIZE + 4;

/** Frame of the console's ring, the last special page (HVM_PARAM_CONSOLE_PFN). */
export const CONSOLE_GFN = SPECIAL_START / PAGE_SIZE + 7;

/** RAM that does not fit below LOW_RAM_END continues here. */
export const HIGH_RAM_START = 0x1_0000_0000;

/** XEN_HVM_MEMMAP_TYPE_* (public/arch-x86/hvm/start_info.h), the same numbers as E820's. */
export const enum MemoryType {
  ram = 1,
  reserved = 2,
  acpi = 3,
  nvs = 4,
  unusable = 5,
}

export interface MemoryRegion {
  start: number;
  size: number;
  type: MemoryType;
}

/** The map the guest gets in hvm_start_info and from XENMEM_memory_map, ascending and without overlap. */
export function pvhMemoryMap(memoryBytes: number, acpiBytes: number): MemoryRegion[] {
  const low = Math.min(memoryBytes, LOW_RAM_END);
  const map: MemoryRegion[] = [
    { start: 0, size: low, type: MemoryType.ram },
    { start: ACPI_START, size: Math.ceil(acpiBytes / PAGE_SIZE) * PAGE_SIZE, type: MemoryType.acpi },
    { start: SPECIAL_START, size: SPECIAL_PAGES * PAGE_SIZE, type: MemoryType.reserved },
  ];
  if (memoryBytes > low) map.push({ start: HIGH_RAM_START, size: memoryBytes - low, type: MemoryType.ram });
  return map;
}

/** A page of entries `u64 addr, u64 size, u32 type, u32 reserved` (struct hvm_memmap_table_entry). */
export const MEMMAP_ENTRY = 24;

export function encodeMemoryMap(map: readonly MemoryRegion[]): Uint8Array {
  const bytes = new Uint8Array(map.length * MEMMAP_ENTRY);
  const view = new DataView(bytes.buffer);
  map.forEach(({ start, size, type }, n) => {
    view.setBigUint64(n * MEMMAP_ENTRY, BigInt(start), true);
    view.setBigUint64(n * MEMMAP_ENTRY + 8, BigInt(size), true);
    view.setUint32(n * MEMMAP_ENTRY + 16, type, true);
  });
  return bytes;
}
