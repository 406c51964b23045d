/** What connects a device to its domain: the buses for ports and for device memory, interrupt lines, and the event-channel
 *  port. A device sees offsets into its own range and never a processor.
 *
 *  Ports nobody claims float: they read all ones and swallow writes, as on a PC bus without a responding card. */

export type AccessSize = 1 | 2 | 4;

export interface PioDevice {
  /** `offset` counts from the base the device was attached at; only the low `size` bytes of the result are used. */
  read(offset: number, size: AccessSize): number;
  write(offset: number, size: AccessSize, value: number): void;
}

/** A device of 8-bit registers: wider accesses are made byte by byte, lowest first. */
export abstract class ByteDevice implements PioDevice {
  abstract readByte(offset: number): number;
  abstract writeByte(offset: number, value: number): void;

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let n = 0; n < size; n++) value |= (this.readByte(offset + n) & 0xff) << (8 * n);
    return value;
  }
  write(offset: number, size: AccessSize, value: number): void {
    for (let n = 0; n < size; n++) this.writeByte(offset + n, (value >>> (8 * n)) & 0xff);
  }
}

export interface PioRange {
  readonly base: number;
  readonly length: number;
}

/** An interrupt request line: what it means is the business of the controller at its other end. */
export interface IrqLine {
  /** Asserts or releases the line. Setting it to what it is does nothing. */
  set(asserted: boolean): void;
}

/** A device that does something at a time of its own choice. */
export interface TimedDevice {
  /** System time in ns at which to call tick(), Infinity for never. Changes with any access to the device. */
  readonly deadline: number;
  tick(): void;
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

  /** Attaches a device to those of its ports that nobody claims yet. */
  attachBehind({ base, length }: PioRange, device: PioDevice): void {
    for (let n = 0; n < length; ) {
      if (this.find(base + n)) {
        n++;
        continue;
      }
      const first = n;
      while (n < length && !this.find(base + n)) n++;
      this.attach({ base: base + first, length: n - first }, first === 0 ? device : new Shifted(device, first));
    }
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

/** A device from its port `by` on. */
class Shifted implements PioDevice {
  constructor(
    private readonly device: PioDevice,
    private readonly by: number,
  ) {}
  read(offset: number, size: AccessSize): number {
    return this.device.read(offset + this.by, size);
  }
  write(offset: number, size: AccessSize, value: number): void {
    this.device.write(offset + this.by, size, value);
  }
}

/** Device memory by guest-physical address. The core makes accesses of 1, 2 and 4 aligned bytes, none of which crosses a
 *  page. As with ports, what nobody claims reads all ones. */
export class MmioBus {
  private readonly attached: Attachment[] = [];

  attach(range: PioRange, device: PioDevice): void {
    const { base, length } = range;
    if (!Number.isSafeInteger(base) || !Number.isSafeInteger(base + length) || base < 0 || length < 1)
      throw new BusError(`memory range ${describe(range)} is no range of addresses`);
    const clash = this.attached.find((other) => base < other.base + other.length && other.base < base + length);
    if (clash) throw new BusError(`memory range ${describe(range)} overlaps ${describe(clash)}`);
    this.attached.push({ base, length, device });
  }

  /** Attaches a device where nobody that came before claims the access. */
  attachBehind({ base, length }: PioRange, device: PioDevice): void {
    this.attached.push({ base, length, device });
  }

  read(gpa: number, size: AccessSize): number {
    const found = this.find(gpa, size);
    return ((found ? found.device.read(gpa - found.base, size) : -1) & mask(size)) >>> 0;
  }

  write(gpa: number, size: AccessSize, value: number): void {
    const found = this.find(gpa, size);
    found?.device.write(gpa - found.base, size, (value & mask(size)) >>> 0);
  }

  private find(gpa: number, size: AccessSize): Attachment | undefined {
    return this.attached.find(({ base, length }) => gpa >= base && gpa + size <= base + length);
  }
}

function mask(size: AccessSize): number {
  return size === 4 ? -1 : (1 << (8 * size)) - 1;
}

function describe({ base, length }: PioRange): string {
  return `0x${base.toString(16)}+${length}`;
}
