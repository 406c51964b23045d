/** 8254 interval timer (Intel 8254 datasheet, "Mode Definitions", "Read Operations"): three 16-bit counters at 1.193182 MHz.
 *  Nothing is counted: the clock pulse that loaded a count is remembered, and everything else follows from the time. A
 *  count written at one pulse is loaded by the next. */
import type { Clock } from "../machine/clock";
import { ByteDevice, type IrqLine, type TimedDevice } from "./bus";

export const PIT_PORTS = { base: 0x40, length: 4 } as const;
export const PIT_HZ = 1_193_182;
export const PIT_IRQ = 0;

const enum Mode {
  terminalCount = 0,
  oneShot = 1,
  rate = 2,
  square = 3,
  softwareStrobe = 4,
  hardwareStrobe = 5,
}
/** Control word bits 5..4. */
const enum Access {
  latch = 0,
  low = 1,
  high = 2,
  both = 3,
}
const enum Control {
  BCD = 0x01,
  READ_BACK = 3, // bits 7..6
  NO_STATUS = 0x10, // of a read-back command, active low
  NO_COUNT = 0x20,
}

const NEVER = Number.POSITIVE_INFINITY;
const OUT_HIGH = 0x80; // status byte
const NULL_COUNT = 0x40;

const nsOf = (pulse: number): number => (pulse * 1e9) / PIT_HZ;

class Counter {
  private mode: Mode = Mode.terminalCount;
  private access = Access.both;
  private bcd = false;
  private lowByte = -1; // written, its high byte still to come
  private readHigh = false;
  private latched = -1;
  private latchedHigh = false;
  private status = -1;

  /** The count in force, and the pulse that loaded it (or would have, had it not been stopped); NEVER: none yet. In mode 3 where the high half of
   *  the period begins, or would have. */
  private length = 0x10000;
  private loaded = NEVER;
  /** A count that waits for the end of mode 2's period or mode 3's half, at this pulse, or in modes 1 and 5 for the trigger. */
  private next = 0;
  private nextAt = NEVER;
  private waiting = false;
  /** Before the pulse that loads: what is in the counter, and the level of OUT. */
  private resting = 0;
  private restingOut = false;
  /** Pulse at which the gate stopped the counting; NEVER while it counts. */
  private stopped = NEVER;
  gate: boolean;

  constructor(gate: boolean) {
    this.gate = gate;
  }

  control(word: number, now: number): void {
    const access = (word >> 4) & 3;
    if (access === Access.latch) return this.latchCount(now);
    this.resting = this.current(now);
    const mode = (word >> 1) & 7;
    this.mode = mode > 5 ? mode & 3 : mode;
    this.restingOut = this.mode !== Mode.terminalCount;
    this.access = access;
    this.bcd = (word & Control.BCD) !== 0;
    this.lowByte = -1;
    this.readHigh = false;
    this.latched = -1;
    this.loaded = NEVER;
    this.nextAt = NEVER;
    this.waiting = false;
    this.stopped = NEVER;
  }

  /** A byte of the count. */
  write(value: number, now: number): void {
    if (this.access === Access.both && this.lowByte < 0) {
      this.lowByte = value;
      if (this.mode === Mode.terminalCount) {
        this.resting = this.current(now); // the first byte stops the counting and lowers OUT
        this.restingOut = false;
        this.loaded = NEVER;
      }
      return;
    }
    const count = this.access === Access.low ? value : this.access === Access.high ? value << 8 : this.lowByte | (value << 8);
    this.lowByte = -1;
    const length = this.decode(count);
    switch (this.mode) {
      case Mode.oneShot:
      case Mode.hardwareStrobe:
        this.settle(now);
        this.next = length;
        this.waiting = true;
        break;
      case Mode.rate:
      case Mode.square:
        if (this.loaded === NEVER || now < this.loaded) this.start(length, now);
        else {
          this.settle(now);
          this.next = length;
          this.nextAt = this.endOfCycle(now);
        }
        break;
      default:
        if (this.mode === Mode.terminalCount) this.restingOut = false;
        this.start(length, now);
    }
  }

  /** The first pulse after `now` at which mode 2 or 3 begins its count anew. */
  private endOfCycle(now: number): number {
    const { loaded, length } = this;
    const t = Math.max(now - loaded, 0);
    const period = t - (t % length);
    const high = this.mode === Mode.square ? Math.ceil(length / 2) : length;
    return loaded + period + (t % length < high ? high : length);
  }

  /** The next pulse loads a count. */
  private start(length: number, now: number): void {
    if (this.loaded !== NEVER && now >= this.loaded) {
      this.resting = this.current(now);
      this.restingOut = this.mode !== Mode.terminalCount && this.out(now);
    }
    this.waiting = false;
    this.length = length;
    this.loaded = now + 1;
    this.nextAt = NEVER;
    this.stopped = this.gate ? NEVER : this.loaded;
  }

  setGate(gate: boolean, now: number): void {
    const rises = gate && !this.gate;
    const falls = !gate && this.gate;
    this.gate = gate;
    switch (this.mode) {
      case Mode.terminalCount:
      case Mode.softwareStrobe:
        if (this.loaded === NEVER) break;
        if (falls) this.stopped = Math.max(now, this.loaded);
        else if (rises && this.stopped !== NEVER) {
          this.loaded += Math.max(now - this.stopped, 0);
          this.stopped = NEVER;
        }
        break;
      case Mode.oneShot:
      case Mode.hardwareStrobe:
        if (rises && (this.waiting || this.loaded !== NEVER)) this.start(this.waiting ? this.next : this.length, now);
        break;
      default:
        if (falls && this.loaded !== NEVER) this.stopped = now;
        else if (rises && this.loaded !== NEVER) {
          this.start(this.nextAt === NEVER ? this.length : this.next, now);
          this.restingOut = true; // the closed gate held it so
        }
    }
  }

  /** Takes over a count whose period has come. */
  private settle(now: number): void {
    if (now < this.nextAt || this.stopped !== NEVER) return;
    // at the end of the high half the low one begins with the new count
    const low = this.mode === Mode.square && (this.nextAt - this.loaded) % this.length !== 0;
    this.loaded = this.nextAt - (low ? Math.ceil(this.next / 2) : 0);
    this.length = this.next;
    this.nextAt = NEVER;
  }

  /** Pulses since the count was loaded. */
  private elapsed(now: number): number {
    this.settle(now);
    return Math.max(Math.min(now, this.stopped) - this.loaded, 0);
  }

  /** The OUT pin. */
  out(now: number): boolean {
    if (this.loaded === NEVER || now < this.loaded) return this.restingOut;
    const t = this.elapsed(now);
    const { length } = this;
    switch (this.mode) {
      case Mode.terminalCount:
        return t >= length;
      case Mode.oneShot:
        return t >= length;
      case Mode.rate:
        return !this.gate || t % length !== length - 1;
      case Mode.square:
        return !this.gate || t % length < Math.ceil(length / 2);
      default:
        return t !== length; // low for one pulse
    }
  }

  /** The first pulse after `now` at which OUT rises, NEVER if it does not by itself. */
  nextRise(now: number): number {
    if (this.loaded === NEVER || this.stopped !== NEVER) return NEVER;
    if (now >= this.loaded) this.settle(now);
    const { loaded, length } = this;
    switch (this.mode) {
      case Mode.terminalCount:
      case Mode.oneShot:
        return loaded + length > now ? loaded + length : NEVER;
      case Mode.rate:
      case Mode.square: {
        const rise = loaded + (Math.max(Math.floor((now - loaded) / length), 0) + 1) * length;
        if (rise <= this.nextAt) return rise;
        // the count that waits begins with the low half, unless it begins with a period
        const low = this.mode === Mode.square && (this.nextAt - loaded) % length !== 0;
        return this.nextAt + (low ? Math.floor(this.next / 2) : 0);
      }
      default:
        return loaded + length + 1 > now ? loaded + length + 1 : NEVER;
    }
  }

  private current(now: number): number {
    if (this.loaded === NEVER || now < this.loaded) return this.resting;
    const t = this.elapsed(now);
    const { length } = this;
    switch (this.mode) {
      case Mode.rate:
        return this.encode(length - (t % length));
      case Mode.square: {
        // Counts by twos, from the count or, if that is odd, from one less.
        const high = Math.ceil(length / 2);
        const within = t % length;
        return this.encode((length & ~1) - 2 * (within < high ? within : within - high));
      }
      default: {
        const modulus = this.bcd ? 10_000 : 0x10000;
        return this.encode((((length - t) % modulus) + modulus) % modulus);
      }
    }
  }

  latchCount(now: number): void {
    if (this.latched >= 0) return; // the first latch holds until it is read
    this.latched = this.current(now);
    this.latchedHigh = this.readHigh;
  }

  latchStatus(now: number): void {
    if (this.status >= 0) return;
    this.settle(now);
    const isNull = this.loaded === NEVER || now < this.loaded || this.nextAt !== NEVER || this.waiting;
    this.status = (this.out(now) ? OUT_HIGH : 0) | (isNull ? NULL_COUNT : 0) | (this.access << 4) | (this.mode << 1) | (this.bcd ? 1 : 0);
  }

  read(now: number): number {
    if (this.status >= 0) {
      const { status } = this;
      this.status = -1;
      return status;
    }
    const isLatched = this.latched >= 0;
    const value = isLatched ? this.latched : this.current(now);
    if (this.access === Access.both) {
      const high = isLatched ? this.latchedHigh : this.readHigh;
      if (isLatched) {
        if (high) this.latched = -1;
        else this.latchedHigh = true;
      }
      this.readHigh = !high;
      return high ? value >> 8 : value & 0xff;
    }
    this.latched = -1;
    return this.access === Access.high ? value >> 8 : value & 0xff;
  }

  private decode(count: number): number {
    if (!this.bcd) return count || 0x10000;
    const digit = (shift: number) => (count >> shift) & 15;
    return digit(0) + 10 * digit(4) + 100 * digit(8) + 1000 * digit(12) || 10_000;
  }

  private encode(count: number): number {
    if (!this.bcd) return count & 0xffff;
    const digit = (power: number) => Math.floor(count / power) % 10;
    return digit(1) | (digit(10) << 4) | (digit(100) << 8) | (digit(1000) << 12);
  }
}

export class Pit8254 extends ByteDevice implements TimedDevice {
  private readonly counters = [new Counter(true), new Counter(true), new Counter(false)] as const;
  /** Pulse up to which the interrupt line has been driven. */
  private seen = 0;

  /** `irq` follows OUT of counter 0. */
  constructor(
    private readonly clock: Clock,
    private readonly irq: IrqLine,
  ) {
    super();
  }

  /** The gate of counter 2, the only one a PC can reach (port 0x61). */
  setGate2(gate: boolean): void {
    this.counters[2].setGate(gate, this.now());
  }
  get gate2(): boolean {
    return this.counters[2].gate;
  }
  get out2(): boolean {
    return this.counters[2].out(this.now());
  }

  get deadline(): number {
    const pulse = this.counters[0].nextRise(this.seen);
    return pulse === NEVER ? NEVER : nsOf(pulse);
  }

  /** Brings the interrupt line up to date: however many edges have passed, they are one to whoever latches it. */
  tick(): void {
    const now = this.now();
    if (this.counters[0].nextRise(this.seen) <= now) {
      this.irq.set(false);
      this.irq.set(true);
    }
    this.seen = now;
    this.irq.set(this.counters[0].out(now));
  }

  readByte(offset: number): number {
    return offset === 3 ? 0xff : this.counters[offset].read(this.now());
  }

  writeByte(offset: number, value: number): void {
    this.tick(); // what has happened under the old programming
    const now = this.now();
    if (offset < 3) this.counters[offset].write(value, now);
    else if (value >> 6 === Control.READ_BACK) {
      this.counters.forEach((counter, n) => {
        if (!(value & (2 << n))) return;
        if (!(value & Control.NO_COUNT)) counter.latchCount(now);
        if (!(value & Control.NO_STATUS)) counter.latchStatus(now);
      });
    } else this.counters[value >> 6].control(value, now);
    this.seen = now;
    this.irq.set(this.counters[0].out(now));
  }

  /** Clock pulses so far. The addend undoes the rounding of nsOf(). */
  private now(): number {
    return Math.floor((this.clock.nowNs() * PIT_HZ) / 1e9 + 1e-6);
  }
}
