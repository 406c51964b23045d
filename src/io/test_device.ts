/** QEMU's pc-testdev, against which test kernels try accesses of all kinds and interrupt lines: four bytes of ports and 64 KiB of device
 *  memory that keep what is written, and a port for each pin of the I/O APIC that holds it asserted or not. A write to port 0xE4 asks for
 *  translations to be forgotten; the manual's own rules have seen to that here. */
import type { AccessSize, IrqLine, PioDevice } from "./bus";
import { IOAPIC_PINS } from "./ioapic";

export const TEST_PORTS = { base: 0xe0, length: 4 } as const;
export const TEST_FLUSH_PORTS = { base: 0xe4, length: 4 } as const;
export const TEST_LINE_PORTS = { base: 0x2000, length: IOAPIC_PINS } as const;
export const TEST_MEMORY = { base: 0xff00_0000, length: 0x1_0000 } as const;

/** Registers that are memory, at ports or at addresses. */
export class TestMemory implements PioDevice {
  private readonly view: DataView;

  constructor(bytes: number) {
    this.view = new DataView(new ArrayBuffer(bytes));
  }

  read(offset: number, size: AccessSize): number {
    if (size === 1) return this.view.getUint8(offset);
    return size === 2 ? this.view.getUint16(offset, true) : this.view.getUint32(offset, true);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size === 1) this.view.setUint8(offset, value);
    else if (size === 2) this.view.setUint16(offset, value, true);
    else this.view.setUint32(offset, value, true);
  }
}

/** Port n holds line n asserted while it is not 0. */
export class TestLines implements PioDevice {
  constructor(private readonly line: (n: number) => IrqLine) {}

  read(): number {
    return 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    this.line(offset).set(value !== 0);
  }
}

/** Takes writes and does nothing. */
export const TEST_FLUSH: PioDevice = { read: () => 0, write: () => {} };
