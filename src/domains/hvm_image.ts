/** From an HVM domain's configuration to what it boots, and the handlers a program adds to its devices. */
import { type AccessSize, BusError, MmioBus, PioBus, type PioDevice } from "../io/bus";
import { IOAPIC_RANGE } from "../io/ioapic";
import type { ExtraDevices } from "../io/pc";
import { PAGE_SIZE } from "../machine/memory";
import { FIRMWARE_LEAST, FIRMWARE_MOST, type HvmBoot, hvmMemoryMap, SHADOW } from "./build_hvm";
import { isBzImage, loadKernel } from "./bzimage";
import { compressionOf, decompress } from "./decompress";
import { isElf } from "./elf";
import { ConfigError, ImageError } from "./errors";
import { type HvmModule, MIB } from "./hvm_layout";
import { parseLinux } from "./linux_boot";
import { LAPIC_START, MemoryType } from "./memory_map";
import { parseMultiboot } from "./multiboot";
import { STUB_GPA } from "./pc_firmware";

/** Ports of a program's own. Called on the thread of the domain's processor, between two instructions; so only machines
 *  without threads can have them. What is not given reads all ones and swallows writes. */
export interface PortHandler {
  readonly base: number;
  /** Default 1. */
  readonly length?: number;
  /** Accesses may be wider than `length` only if they begin in it: those are made byte by byte. Of the number returned the low
   *  bytes count. A handler that throws, or returns something else, ends the domain: reason "crash", with the error. */
  read?(port: number, size: 1 | 2 | 4): number;
  write?(port: number, size: 1 | 2 | 4, value: number): void;
}

/** Device memory of a program's own: guest-physical addresses where no RAM is. */
export interface MmioHandler {
  readonly base: number;
  readonly length: number;
  read?(address: number, size: 1 | 2 | 4): number;
  write?(address: number, size: 1 | 2 | 4, value: number): void;
}

/** A kernel for direct boot: a bzImage by Linux's boot protocol, others by their Multiboot header, else by their PVH note. */
export async function loadHvmKernel(bytes: Uint8Array, file: string, modules: readonly HvmModule[], cmdline: string): Promise<HvmBoot> {
  if (isBzImage(bytes)) {
    if (modules.length > 1) throw new ConfigError("modules", "a Linux kernel has one module, the ramdisk.");
    return { kind: "linux", kernel: parseLinux(bytes, file), ramdisk: modules[0]?.bytes, cmdline };
  }
  const image = compressionOf(bytes) === null ? bytes : await decompress(bytes, file);
  const multiboot = parseMultiboot(image, file);
  if (multiboot) return { kind: "multiboot", kernel: multiboot, modules, cmdline };
  if (!isElf(image)) throw new ImageError(file, "this is no kernel: neither a bzImage nor ELF, and without a Multiboot header.");
  const kernel = await loadKernel(image, file);
  if (kernel.entry === undefined) throw new ImageError(file, "the kernel has neither a Multiboot header nor a PVH note (XEN_ELFNOTE_PHYS32_ENTRY).");
  if (modules.length > 1) throw new ConfigError("modules", "a kernel that starts by its PVH note has one module, the ramdisk.");
  return { kind: "pvh", kernel, ramdisk: modules[0]?.bytes, cmdline };
}

export function loadFirmware(rom: Uint8Array, file: string): HvmBoot {
  if (rom.length < FIRMWARE_LEAST || rom.length > FIRMWARE_MOST)
    throw new ImageError(file, `firmware has 64 KiB to 16 MiB, not ${rom.length} bytes.`);
  return { kind: "firmware", rom };
}

/** The handlers as devices, once they are known to have places of their own. */
export function extraDevices(ports: readonly PortHandler[], mmio: readonly MmioHandler[], memoryMiB: number, romBytes: number): ExtraDevices {
  const devices: ExtraDevices = {
    ports: ports.map((handler) => ({ range: { base: handler.base, length: handler.length ?? 1 }, device: deviceOf(handler) })),
    mmio: mmio.map((handler) => ({ range: handler, device: deviceOf(handler) })),
  };
  claim("ports", () => {
    const bus = new PioBus();
    for (const { range, device } of devices.ports) bus.attach(range, device);
  });
  claim("mmio", () => {
    const bus = new MmioBus();
    for (const { range, device } of devices.mmio) bus.attach(range, device);
    bus.attach(IOAPIC_RANGE, deviceOf(IOAPIC_RANGE));
  });
  const taken = hvmMemoryMap(memoryMiB * MIB, romBytes).filter(({ type, start }) => type === MemoryType.ram || start === LAPIC_START || start > LAPIC_START);
  taken.push(romBytes > 0 ? { start: SHADOW, size: MIB - SHADOW, type: MemoryType.ram } : { start: STUB_GPA, size: PAGE_SIZE, type: MemoryType.ram });
  for (const { base, length } of mmio)
    if (taken.some(({ start, size }) => base < start + size && start < base + length))
      throw new ConfigError("mmio", `at 0x${base.toString(16)} the domain has memory of its own.`);
  return devices;
}

function claim(key: string, attach: () => void): void {
  try {
    attach();
  } catch (error) {
    if (error instanceof BusError) throw new ConfigError(key, `${error.message}.`);
    throw error;
  }
}

type Handler = Pick<MmioHandler, "base" | "read" | "write">;

function deviceOf(handler: Handler): PioDevice {
  const { base } = handler;
  return {
    read: (offset: number, size: AccessSize) => handler.read?.(base + offset, size) ?? -1,
    write: (offset: number, size: AccessSize, value: number) => handler.write?.(base + offset, size, value),
  };
}
