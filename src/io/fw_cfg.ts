/** QEMU's firmware configuration device (its specification, "QEMU Firmware Configuration (fw_cfg) Device"), from which test kernels read how
 *  much memory and how many processors there are. A selector at port 0x510, then bytes of the item at 0x511, zeros past its end. Items are read
 *  only, and there is no DMA interface. */
import type { AccessSize, PioDevice } from "./bus";

export const FW_CFG_PORTS = { base: 0x510, length: 2 } as const;

const enum Item {
  SIGNATURE = 0x00,
  ID = 0x01,
  RAM_SIZE = 0x03,
  NB_CPUS = 0x05,
  MAX_CPUS = 0x0f,
  FILE_DIR = 0x19,
}
/** Feature bits of ID: the traditional interface. */
const TRADITIONAL = 1;

export class FwCfg implements PioDevice {
  private readonly items: ReadonlyMap<number, Uint8Array>;
  private item: Uint8Array | undefined;
  private at = 0;

  constructor(ramBytes: number, cpus: number) {
    this.items = new Map([
      [Item.SIGNATURE, Uint8Array.from("QEMU", (c) => c.charCodeAt(0))],
      [Item.ID, little(TRADITIONAL, 4)],
      [Item.RAM_SIZE, little(ramBytes, 8)],
      [Item.NB_CPUS, little(cpus, 2)],
      [Item.MAX_CPUS, little(cpus, 2)],
      [Item.FILE_DIR, new Uint8Array(4)], // a count of files, 0
    ]);
    this.select(Item.SIGNATURE);
  }

  /** The data register is one byte wide; the selector cannot be read. */
  read(offset: number, size: AccessSize): number {
    return offset === 1 && size === 1 ? (this.item?.[this.at++] ?? 0) : 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset === 0 && size === 2) this.select(value);
  }

  private select(key: number): void {
    this.item = this.items.get(key);
    this.at = 0;
  }
}

function little(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, n) => Math.floor(value / 2 ** (8 * n)) % 256);
}
