/** Linux kernels by their own boot protocol (Documentation/arch/x86/boot.rst, "32-bit Boot Protocol"): the protected-mode part of
 *  a bzImage runs as it is, and finds what firmware and loader know in the zero page, struct boot_params.
 *
 *  ```
 *  0x90000     zero page; behind it the descriptor table with selectors 0x10 and 0x18; then the command line
 *  pref_address (or code32_start, where a kernel cannot be moved)
 *              kernel, with the init_size bytes it asks for
 *  as high as may be
 *              ramdisk
 *  ```
 *  Other programs use the format too. Those that start in real mode only need BIOS services, which are not here. */
import { VcpuStart } from "../../assembly/abi/layout";
import { PAGE_SIZE } from "../machine/memory";
import { ConfigError, ImageError } from "./errors";
import { type HvmRam, KIB, type Layout, MIB, pageUp, ramOf } from "./hvm_layout";
import type { MemoryRegion } from "./memory_map";

export interface LinuxImage {
  readonly file: string;
  /** The setup header, and the protected-mode part. */
  readonly header: Uint8Array;
  readonly code: Uint8Array;
  /** Where that part is loaded and entered, and how much memory it uses from there on. */
  readonly address: number;
  readonly size: number;
  /** Last address a ramdisk may take. */
  readonly ramdiskMost: number;
  readonly cmdlineMost: number;
}

export interface LinuxBoot {
  readonly kind: "linux";
  readonly kernel: LinuxImage;
  readonly ramdisk?: Uint8Array;
  readonly cmdline: string;
}

/** struct setup_header, by its place in file and zero page. */
const enum Setup {
  setup_sects = 0x1f1, // u8; the header begins here
  vid_mode = 0x1fa, // u16
  jump = 0x200, // its displacement says where the header ends
  version = 0x206, // u16
  type_of_loader = 0x210, // u8
  loadflags = 0x211, // u8
  code32_start = 0x214, // u32
  ramdisk_image = 0x218, // u32
  ramdisk_size = 0x21c, // u32
  cmd_line_ptr = 0x228, // u32
  initrd_addr_max = 0x22c, // u32, 2.03
  relocatable_kernel = 0x234, // u8, 2.05
  cmdline_size = 0x238, // u32, 2.06
  pref_address = 0x258, // u64, 2.10
  init_size = 0x260, // u32, 2.10
  END = 0x290, // of the space struct boot_params has for it
}
/** struct boot_params outside the header. */
const enum Params {
  ext_mem_k = 0x002, // u16
  acpi_rsdp_addr = 0x070, // u64
  alt_mem_k = 0x1e0, // u32
  e820_entries = 0x1e8, // u8
  e820_table = 0x2d0, // of 20 bytes
  SIZE = 4096,
}
const E820_ENTRY = 20;
const LOADED_HIGH = 0x01;
const OTHER_LOADER = 0xff;
const NORMAL_MODE = 0xffff;
const OLDEST = 0x202; // the first with cmd_line_ptr

const ZERO_PAGE = 0x9_0000;
const CMDLINE = ZERO_PAGE + Params.SIZE + 0x100;

/** Reads the header of a file that isBzImage(). */
export function parseLinux(bytes: Uint8Array, file: string): LinuxImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint16(Setup.version, true);
  const since = <T>(introduced: number, value: () => T, before: T): T => (version >= introduced ? value() : before);
  if (version < OLDEST) throw new ImageError(file, `its boot protocol ${version >> 8}.${version & 0xff} is older than 2.2.`);
  if (!(bytes[Setup.loadflags] & LOADED_HIGH)) throw new ImageError(file, "it is a zImage, which only a real-mode loader can start.");
  const codeAt = ((bytes[Setup.setup_sects] || 4) + 1) * 512;
  const headerEnd = Math.min(Setup.jump + 2 + bytes[Setup.jump + 1], Setup.END);
  if (headerEnd < Setup.initrd_addr_max || codeAt >= bytes.length || codeAt < headerEnd) throw new ImageError(file, "its setup header is damaged.");
  const word = (at: number) => view.getUint32(at, true);
  const code = bytes.subarray(codeAt);
  const isMovable = since(0x20a, () => bytes[Setup.relocatable_kernel] !== 0, false);
  const address = isMovable ? Number(view.getBigUint64(Setup.pref_address, true)) : word(Setup.code32_start);
  if (address < MIB) throw new ImageError(file, "it has no 32-bit entry point: it starts in real mode and needs a BIOS.");
  return {
    file,
    header: bytes.subarray(Setup.setup_sects, headerEnd),
    code,
    address,
    size: Math.max(since(0x20a, () => word(Setup.init_size), 0), code.length),
    ramdiskMost: since(0x203, () => word(Setup.initrd_addr_max), 0x37ff_ffff),
    cmdlineMost: since(0x206, () => word(Setup.cmdline_size), 255),
  };
}

export function layOutLinux({ kernel, ramdisk, cmdline }: LinuxBoot, { memoryMap, low, ebda, rsdp }: HvmRam): Layout {
  const { file, address, size, code } = kernel;
  const text = new TextEncoder().encode(cmdline);
  const most = Math.min(kernel.cmdlineMost, ebda - CMDLINE - 1);
  if (text.length > most) throw new ConfigError("cmdline", `${file} takes command lines of up to ${most} bytes, not ${text.length}.`);
  const end = pageUp(address + size);
  const ramdiskGpa = ramdisk ? Math.floor((Math.min(low, kernel.ramdiskMost + 1) - ramdisk.length) / PAGE_SIZE) * PAGE_SIZE : 0;
  if (!ramOf(memoryMap)(address, size) || (ramdisk && ramdiskGpa < end))
    throw new ConfigError(
      "memory",
      `${low / MIB} MiB cannot hold ${file}${ramdisk ? " and its ramdisk" : ""}, which take ${Math.ceil((end + (ramdisk?.length ?? 0)) / MIB)} MiB.`,
    );
  const zeroPage = bootParams(kernel, { memoryMap, low, rsdpGpa: rsdp?.gpa ?? 0, ramdisk: ramdisk && { gpa: ramdiskGpa, size: ramdisk.length } });
  const pieces = [
    { gpa: address, bytes: code },
    { gpa: ZERO_PAGE, bytes: zeroPage },
    { gpa: ZERO_PAGE + Params.SIZE, bytes: descriptorTable() },
    { gpa: CMDLINE, bytes: text }, // memory is zero: it ends there
  ];
  if (ramdisk) pieces.push({ gpa: ramdiskGpa, bytes: ramdisk });
  return { pieces, start: VcpuStart.linux, entry: address, infoGpa: ZERO_PAGE };
}

interface Told {
  readonly memoryMap: readonly MemoryRegion[];
  readonly low: number;
  readonly rsdpGpa: number;
  readonly ramdisk?: { readonly gpa: number; readonly size: number };
}

function bootParams({ header, address }: LinuxImage, { memoryMap, low, rsdpGpa, ramdisk }: Told): Uint8Array {
  const page = new Uint8Array(Params.SIZE);
  const view = new DataView(page.buffer);
  page.set(header, Setup.setup_sects);
  view.setUint16(Setup.vid_mode, NORMAL_MODE, true);
  page[Setup.type_of_loader] = OTHER_LOADER;
  view.setUint32(Setup.code32_start, address, true);
  view.setUint32(Setup.ramdisk_image, ramdisk?.gpa ?? 0, true);
  view.setUint32(Setup.ramdisk_size, ramdisk?.size ?? 0, true);
  view.setUint32(Setup.cmd_line_ptr, CMDLINE, true);
  const extended = Math.max(low - MIB, 0) / KIB;
  view.setUint16(Params.ext_mem_k, Math.min(extended, 0xffff), true);
  view.setUint32(Params.alt_mem_k, extended, true);
  view.setBigUint64(Params.acpi_rsdp_addr, BigInt(rsdpGpa), true);
  page[Params.e820_entries] = memoryMap.length;
  memoryMap.forEach(({ start, size, type }, n) => {
    const at = Params.e820_table + n * E820_ENTRY;
    view.setBigUint64(at, BigInt(start), true);
    view.setBigUint64(at + 8, BigInt(size), true);
    view.setUint32(at + 16, type, true);
  });
  return page;
}

/** __BOOT_CS 0x10 and __BOOT_DS 0x18: flat, 4 GiB. */
function descriptorTable(): Uint8Array {
  const table = new BigUint64Array([0n, 0n, 0x00cf9b000000ffffn, 0x00cf93000000ffffn]);
  return new Uint8Array(table.buffer);
}
