/** I/O APIC (Intel 82093AA datasheet, "Register Description"; version 0x20 adds the EOI register): 24 pins, each with a
 *  redirection entry that says which vector goes to which local APIC.
 *
 *  ```
 *  63   56        17  16   15   14     13       12      11     10 8   7   0
 *  dest    ...   mask trig rIRR polarity status dest mode  delivery  vector
 *  ```
 *  DEVIATION: polarity is kept but has no effect: lines here are asserted or not, whatever voltage that may be. */
import type { AccessSize, IrqLine, PioDevice } from "./bus";

export const IOAPIC_RANGE = { base: 0xfec0_0000, length: 0x1000 } as const;
export const IOAPIC_PINS = 24;

/** Delivery modes of messages between APICs. */
export const enum DeliveryMode {
  fixed = 0,
  lowest = 1,
  smi = 2,
  nmi = 4,
  init = 5,
  extInt = 7,
}

export interface ApicMessage {
  readonly mode: DeliveryMode;
  readonly vector: number;
  /** Level-triggered: the receiver broadcasts its EOI. */
  readonly level: boolean;
  readonly logical: boolean;
  readonly destination: number;
}

/** The local APICs, as the I/O APIC sees them. */
export interface ApicBus {
  deliver(message: ApicMessage): void;
  /** An ExtINT pin is asserted: the processor may run interrupt acknowledge cycles. */
  extInt(asserted: boolean): void;
}

const enum Mmio {
  IOREGSEL = 0x00,
  IOWIN = 0x10,
  EOI = 0x40,
}
const enum Reg {
  ID = 0,
  VER = 1,
  ARB = 2,
  REDTBL = 0x10,
}
/** In the low half of a redirection entry. */
const enum Entry {
  VECTOR = 0xff,
  MODE_SHIFT = 8,
  LOGICAL = 1 << 11,
  REMOTE_IRR = 1 << 14,
  LEVEL = 1 << 15,
  MASK = 1 << 16,
  WRITABLE = 0x1afff,
}
const VERSION = 0x20 | ((IOAPIC_PINS - 1) << 16);

export class IoApic implements PioDevice {
  private id = 0;
  private select = 0;
  private lines = 0;
  private readonly low = new Uint32Array(IOAPIC_PINS).fill(Entry.MASK);
  private readonly high = new Uint32Array(IOAPIC_PINS);

  constructor(private readonly bus: ApicBus) {}

  pin(n: number): IrqLine {
    return { set: (asserted) => this.set(n, asserted) };
  }

  read(offset: number, size: AccessSize): number {
    const register = offset & ~3;
    const value = register === Mmio.IOREGSEL ? this.select : register === Mmio.IOWIN ? this.readRegister() : 0;
    return size === 4 ? value : value >>> (8 * (offset & 3));
  }

  /** Registers take whole words; a byte is enough to select one. */
  write(offset: number, size: AccessSize, value: number): void {
    if (offset === Mmio.IOREGSEL) this.select = value & 0xff;
    else if (size !== 4) return;
    else if (offset === Mmio.IOWIN) this.writeRegister(value);
    else if (offset === Mmio.EOI) this.endOfInterrupt(value & 0xff);
  }

  private readRegister(): number {
    const { select } = this;
    switch (select) {
      case Reg.ID:
      case Reg.ARB:
        return this.id << 24;
      case Reg.VER:
        return VERSION;
    }
    const pin = (select - Reg.REDTBL) >> 1;
    if (pin < 0 || pin >= IOAPIC_PINS) return 0;
    return select & 1 ? this.high[pin] : this.low[pin];
  }

  private writeRegister(value: number): void {
    const { select } = this;
    if (select === Reg.ID) this.id = (value >>> 24) & 15;
    const pin = (select - Reg.REDTBL) >> 1;
    if (pin < 0 || pin >= IOAPIC_PINS) return;
    if (select & 1) {
      this.high[pin] = value & 0xff000000;
      return;
    }
    const level = (value & Entry.LEVEL) !== 0;
    this.low[pin] = (value & Entry.WRITABLE) | (level ? this.low[pin] & Entry.REMOTE_IRR : 0);
    this.updateExtInt();
    if (level) this.serveLevel(pin);
  }

  /** Masked edges are neither delivered nor kept ("Interrupt Mask"). */
  private set(pin: number, asserted: boolean): void {
    const bit = 1 << pin;
    if (asserted === ((this.lines & bit) !== 0)) return;
    this.lines ^= bit;
    const entry = this.low[pin];
    if (modeOf(entry) === DeliveryMode.extInt) this.updateExtInt();
    else if (entry & Entry.LEVEL) this.serveLevel(pin);
    else if (asserted && !(entry & Entry.MASK)) this.deliver(pin);
  }

  /** A level-triggered pin sends again only after its last message has seen an EOI. */
  private serveLevel(pin: number): void {
    const entry = this.low[pin];
    if (!(this.lines & (1 << pin)) || entry & (Entry.MASK | Entry.REMOTE_IRR) || modeOf(entry) === DeliveryMode.extInt) return;
    this.low[pin] |= Entry.REMOTE_IRR;
    this.deliver(pin);
  }

  private deliver(pin: number): void {
    const entry = this.low[pin];
    this.bus.deliver({
      mode: modeOf(entry),
      vector: entry & Entry.VECTOR,
      level: (entry & Entry.LEVEL) !== 0,
      logical: (entry & Entry.LOGICAL) !== 0,
      destination: this.high[pin] >>> 24,
    });
  }

  private endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const entry = this.low[pin];
      if ((entry & Entry.VECTOR) !== vector || !(entry & Entry.LEVEL)) continue;
      this.low[pin] &= ~Entry.REMOTE_IRR;
      this.serveLevel(pin);
    }
  }

  private updateExtInt(): void {
    let asserted = false;
    this.low.forEach((entry, pin) => {
      if (modeOf(entry) === DeliveryMode.extInt && !(entry & Entry.MASK) && this.lines & (1 << pin)) asserted = true;
    });
    this.bus.extInt(asserted);
  }
}

function modeOf(entry: number): DeliveryMode {
  return (entry >> Entry.MODE_SHIFT) & 7;
}
