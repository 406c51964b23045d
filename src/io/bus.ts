/** What connects a device to its domain: the port-I/O bus and the event-channel port. A device sees offsets into its own
 *  range and never a processor.
 *
 *  Ports nobody claims float: they read all ones and swallow writes, as on a PC bus without a responding card. */

export type AccessSize = 1 | 2 | 4;

export interface PioDevice {
  /** `offset` counts from the base the device was attached at; only the low `size` bytes of the result are used. */
  read(offset: number, size: AccessSize): number;
  write(offset: number, size: AccessSize, value: number): void;
}

export interface PioRange {
  readonly base: number;
  readonly length: number;
}

/** The backend's end of an event channel (public/event_channel.h, EVTCHNOP_bind_interdomain). Events that arrive while
 *  the callback runs must cause a further call: the pending bit is cleared before the callback, never after. */
export interface EventPort {
  /** Raises the event at the other end. Never blocks. */
  notify(): void;
  /** Sets the one callback for events from the other end. */
  onEvent(callback: () => void): void;
  close(): void;
}

const PORTS = 0x10000;

interface Attachment extends PioRange {
  readonly device: PioDevice;
}

export class BusError extends Error {
  override name = "BusError";
}

export class PioBus {
  /** Sorted by base; ranges never overlap. */
  private readonly attached: Attachment[] = [];

  attach(range: PioRange, device: PioDevice): void {
    const { base, length } = range;
    if (!Number.isInteger(base) || !Number.isInteger(length) || base < 0 || length < 1 || base + length > PORTS)
      throw new BusError(`port range ${describe(range)} is not within 0..0xffff`);
    const clash = this.attached.find((other) => base < other.base + other.length && other.base < base + length);
    if (clash) throw new BusError(`port range ${describe(range)} overlaps ${describe(clash)}`);
    this.attached.push({ base, length, device });
    this.attached.sort((a, b) => a.base - b.base);
  }

  detach(device: PioDevice): void {
    for (let n = this.attached.length - 1; n >= 0; n--) if (this.attached[n].device === device) this.attached.splice(n, 1);
  }

  /** Value in the low `size` bytes, unsigned. */
  read(port: number, size: AccessSize): number {
    const found = this.find(port);
    if (found && port + size <= found.base + found.length)
      return (found.device.read(port - found.base, size) & mask(size)) >>> 0;
    if (size === 1) return 0xff;
    // An access that no single device covers is carried out byte by byte, as the ISA bus does.
    let value = 0;
    for (let n = 0; n < size; n++) value |= (port + n < PORTS ? this.read(port + n, 1) : 0xff) << (8 * n);
    return (value & mask(size)) >>> 0;
  }

  write(port: number, size: AccessSize, value: number): void {
    const found = this.find(port);
    if (found && port + size <= found.base + found.length) {
      found.device.write(port - found.base, size, (value & mask(size)) >>> 0);
      return;
    }
    if (size === 1) return;
    for (let n = 0; n < size && port + n < PORTS; n++) this.write(port + n, 1, (value >>> (8 * n)) & 0xff);
  }

  private find(port: number): Attachment | undefined {
    let low = 0;
    let high = this.attached.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { base, length } = this.attached[middle];
      if (port < base) high = middle;
      else if (port >= base + length) low = middle + 1;
      else return this.attached[middle];
    }
    return undefined;
  }
}

function mask(size: AccessSize): number {
  return size === 4 ? -1 : (1 << (8 * size)) - 1;
}

function describe({ base, length }: PioRange): string {
  return `0x${base.toString(16)}+${length}`;
}
