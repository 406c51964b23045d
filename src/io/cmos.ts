/** The PC's CMOS memory with the clock in it: MC146818A (Motorola datasheet, "Address Map", "Interrupts"), and the bytes in
 *  which a PC's firmware leaves the memory size (Ralf Brown's CMOS list).
 *
 *  The date is computed from the wallclock and an offset that changes when the guest sets it. While SET is 1, or the divider is held in
 *  reset, the ten bytes are memory. A second ends where its update does: the bytes change and the flags rise in the same moment. */
import type { Clock } from "../machine/clock";
import { ByteDevice, type IrqLine, type TimedDevice } from "./bus";

export const CMOS_PORTS = { base: 0x70, length: 2 } as const;
export const CMOS_IRQ = 8;

export interface CmosConfig {
  /** Milliseconds since 1970 at system time 0. */
  readonly epochMs: number;
  /** Bytes of RAM below and above 4 GiB. */
  readonly lowRam: number;
  readonly highRam: number;
}

const enum Reg {
  seconds = 0,
  secondsAlarm = 1,
  minutes = 2,
  minutesAlarm = 3,
  hours = 4,
  hoursAlarm = 5,
  weekday = 6, // 1 is Sunday
  day = 7,
  month = 8,
  year = 9,
  A = 10,
  B = 11,
  C = 12,
  D = 13,
  century = 0x32,
}
const enum A {
  RATE = 0x0f,
  DIVIDER = 0x70,
  RUNNING = 0x20, // 32.768 kHz time base; 0x60 and 0x70 hold the divider in reset
  UIP = 0x80,
}
const enum B {
  HOURS24 = 0x02,
  BINARY = 0x04,
  UIE = 0x10,
  AIE = 0x20,
  PIE = 0x40,
  SET = 0x80,
}
/** Register C; the enable bits of B are in the same places. */
const enum C {
  UF = 0x10,
  AF = 0x20,
  PF = 0x40,
  IRQF = 0x80,
}
const VALID = 0x80; // D: the battery is good
const PM = 0x80;
const DONT_CARE = 0xc0;
/** UIP rises 244 us before an update begins, which at 32.768 kHz takes 1984 us ("Update Cycle"). */
const UIP_MS = 0.244 + 1.984;
const FIRST_UPDATE_MS = 500; // after the divider has been let go
const NEVER = Number.POSITIVE_INFINITY;
const DAY = 86_400;

const TIME_BYTES: readonly number[] = [Reg.seconds, Reg.minutes, Reg.hours, Reg.weekday, Reg.day, Reg.month, Reg.year, Reg.century];

export class Cmos extends ByteDevice implements TimedDevice {
  private readonly memory = new Uint8Array(128);
  private index = 0;
  /** Milliseconds to add to system time. */
  private offset: number;
  /** What the guest's count of weekdays is ahead of the calendar. */
  private weekdayShift = 0;
  private a = A.RUNNING | 6; // 1.024 kHz
  private b: number = B.HOURS24;
  private c = 0;
  /** System time in ms up to which flags have been raised. */
  private seen: number;

  constructor(
    private readonly clock: Clock,
    private readonly irq: IrqLine,
    config: CmosConfig,
  ) {
    super();
    this.offset = config.epochMs;
    this.seen = this.nowMs();
    this.describeMemory(config);
  }

  /** 0x15: KiB of base memory; 0x17, 0x30: KiB above 1 MiB, to 64 MiB; 0x34: 64 KiB units above 16 MiB; 0x5b: above 4 GiB. */
  private describeMemory({ lowRam, highRam }: CmosConfig): void {
    const word = (at: number, value: number) => {
      this.memory[at] = value & 0xff;
      this.memory[at + 1] = (value >> 8) & 0xff;
    };
    const extended = Math.min(Math.max(lowRam - 0x100000, 0) / 1024, 0xffff);
    word(0x15, 640);
    word(0x17, extended);
    word(0x30, extended);
    word(0x34, Math.min(Math.max(lowRam - 0x1000000, 0) / 65536, 0xffff));
    const high = Math.floor(highRam / 65536);
    word(0x5b, high & 0xffff);
    this.memory[0x5d] = high >> 16;
    this.memory[0x14] = 0x02; // equipment: a coprocessor, no display
  }

  readByte(offset: number): number {
    if (offset === 0) return 0xff; // the index cannot be read
    const { index } = this;
    switch (index) {
      case Reg.A:
        return this.a | (this.updating ? A.UIP : 0);
      case Reg.B:
        return this.b;
      case Reg.C: {
        this.raise();
        const value = this.c;
        this.c = 0;
        this.update();
        return value;
      }
      case Reg.D:
        return VALID;
    }
    if (TIME_BYTES.includes(index) && this.counting) return this.timeByte(index, this.date());
    return this.memory[index];
  }

  writeByte(offset: number, value: number): void {
    if (offset === 0) {
      // bit 7 keeps the processor's NMI pin quiet, which nothing on this PC drives: NMIs of the APICs are messages, behind that gate
      this.index = value & 0x7f;
      return;
    }
    this.raise();
    const { index } = this;
    if (index === Reg.A) this.writeA(value & (A.DIVIDER | A.RATE));
    else if (index === Reg.B) this.writeB(value);
    else if (index === Reg.C || index === Reg.D) return;
    else if (TIME_BYTES.includes(index)) {
      const { counting } = this;
      if (counting) this.freeze();
      this.memory[index] = value;
      if (counting) this.thaw();
    } else this.memory[index] = value;
    this.update();
  }

  private writeA(value: number): void {
    const was = this.counting;
    const ran = this.running;
    if (was && (value & A.DIVIDER) !== A.RUNNING) this.freeze();
    this.a = value;
    if (!ran && this.running) this.phase = FIRST_UPDATE_MS;
    if (!was && this.counting) this.thaw();
  }

  private writeB(value: number): void {
    const was = this.counting;
    if (value & B.SET) value &= ~B.UIE;
    if (was && value & B.SET) this.freeze();
    this.b = value;
    if (!was && this.counting) this.thaw();
  }

  /** The bytes are a clock. */
  private get counting(): boolean {
    return !(this.b & B.SET) && this.running;
  }

  /** Milliseconds since the last update, which goes on while SET holds the bytes: SET does not stop the divider. */
  private get phase(): number {
    return (((this.nowMs() + this.offset) % 1000) + 1000) % 1000;
  }
  private set phase(ms: number) {
    this.offset += ms - this.phase;
  }

  get deadline(): number {
    if (this.c & C.IRQF) return NEVER; // nothing changes for the guest until it reads C
    let at = NEVER;
    if (this.b & B.PIE && this.periodMs > 0) at = (Math.floor(this.seen / this.periodMs) + 1) * this.periodMs;
    if (this.counting) {
      if (this.b & B.UIE) at = Math.min(at, this.nextSecond());
      if (this.b & B.AIE) at = Math.min(at, this.nextAlarm());
    }
    return at * 1e6;
  }

  tick(): void {
    this.raise();
    this.update();
  }

  private nowMs(): number {
    return this.clock.nowNs() / 1e6;
  }

  private get running(): boolean {
    return (this.a & A.DIVIDER) === A.RUNNING;
  }

  private get updating(): boolean {
    return this.counting && this.phase > 1000 - UIP_MS;
  }

  /** Period of the rate in A, 0 for none: 2^(rate - 1) cycles of 32.768 kHz; 1 and 2 are as 8 and 9. */
  private get periodMs(): number {
    const rate = this.a & A.RATE;
    if (rate === 0 || !this.running) return 0;
    return (2 ** ((rate < 3 ? rate + 7 : rate) - 1) * 1000) / 32768;
  }

  /** Raises the flags whose time has come since the last look. */
  private raise(): void {
    const now = this.nowMs();
    const { periodMs } = this;
    if (periodMs > 0 && Math.floor(now / periodMs) > Math.floor(this.seen / periodMs)) this.c |= C.PF;
    if (this.counting) {
      if (this.nextSecond() <= now) this.c |= C.UF;
      if (!(this.c & C.AF) && this.nextSecond() <= now && this.nextAlarm() <= now) this.c |= C.AF;
    }
    this.seen = now;
  }

  private update(): void {
    if (this.c & this.b & (C.UF | C.AF | C.PF)) this.c |= C.IRQF;
    else this.c &= ~C.IRQF;
    this.irq.set((this.c & C.IRQF) !== 0);
  }

  /** System time of the first change of the second after `seen`. */
  private nextSecond(): number {
    return (Math.floor((this.seen + this.offset) / 1000) + 1) * 1000 - this.offset;
  }

  /** System time of the first second after `seen` that matches the alarm bytes. */
  private nextAlarm(): number {
    const wanted = [Reg.hoursAlarm, Reg.minutesAlarm, Reg.secondsAlarm].map((at) => this.memory[at]);
    const matches = (n: number, at: Reg, value: number) => (wanted[n] & DONT_CARE) === DONT_CARE || wanted[n] === this.encodeTime(at, value);
    const isTime = (n: number, at: Reg, count: number) => {
      let value = 0;
      while (value < count && !matches(n, at, value)) value++;
      return value < count;
    };
    if (!isTime(0, Reg.hours, 24) || !isTime(1, Reg.minutes, 60) || !isTime(2, Reg.seconds, 60)) return NEVER; // nor looked for all day
    const first = Math.floor((this.nextSecond() + this.offset) / 1000);
    for (let second = first; second < first + DAY + 60; ) {
      const inDay = ((second % DAY) + DAY) % DAY;
      if (!matches(0, Reg.hours, Math.floor(inDay / 3600))) second += 3600 - (inDay % 3600);
      else if (!matches(1, Reg.minutes, Math.floor(inDay / 60) % 60)) second += 60 - (inDay % 60);
      else if (!matches(2, Reg.seconds, inDay % 60)) second++;
      else return second * 1000 - this.offset;
    }
    return NEVER;
  }

  /* The date and its bytes. */

  private date(): Date {
    return new Date(Math.floor(this.nowMs() + this.offset));
  }

  private timeByte(index: Reg, date: Date): number {
    switch (index) {
      case Reg.seconds:
        return this.encodeTime(index, date.getUTCSeconds());
      case Reg.minutes:
        return this.encodeTime(index, date.getUTCMinutes());
      case Reg.hours:
        return this.encodeTime(index, date.getUTCHours());
      case Reg.weekday:
        return ((date.getUTCDay() + this.weekdayShift) % 7) + 1;
      case Reg.day:
        return this.encode(date.getUTCDate());
      case Reg.month:
        return this.encode(date.getUTCMonth() + 1);
      case Reg.year:
        return this.encode(date.getUTCFullYear() % 100);
      default:
        return toBcd(Math.floor(date.getUTCFullYear() / 100)); // the firmware's byte, BCD always
    }
  }

  /** Hours know 12-hour format: 12, 1 to 11, bit 7 after noon. */
  private encodeTime(index: Reg, value: number): number {
    if (index !== Reg.hours || this.b & B.HOURS24) return this.encode(value);
    return this.encode(value % 12 || 12) | (value >= 12 ? PM : 0);
  }

  private encode(value: number): number {
    return this.b & B.BINARY ? value : toBcd(value);
  }

  private decode(byte: number): number {
    return this.b & B.BINARY ? byte : fromBcd(byte);
  }

  /** Puts the date into the bytes. */
  private freeze(): void {
    const date = this.date();
    for (const index of TIME_BYTES) this.memory[index] = this.timeByte(index, date);
  }

  /** Goes on from the date in the bytes. What is no date is counted through: 31 April is 1 May. */
  private thaw(): void {
    const { memory } = this;
    const hours = memory[Reg.hours];
    const hour = this.b & B.HOURS24 ? this.decode(hours) : (this.decode(hours & ~PM) % 12) + (hours & PM ? 12 : 0);
    const year = fromBcd(memory[Reg.century]) * 100 + this.decode(memory[Reg.year]);
    const set = new Date(0);
    set.setUTCFullYear(year, this.decode(memory[Reg.month]) - 1, this.decode(memory[Reg.day]));
    set.setUTCHours(hour, this.decode(memory[Reg.minutes]), this.decode(memory[Reg.seconds]));
    this.weekdayShift = (((memory[Reg.weekday] - 1 - set.getUTCDay()) % 7) + 7) % 7;
    const now = this.nowMs();
    this.offset = set.getTime() + this.phase - now;
    this.seen = now;
  }
}

const toBcd = (value: number): number => (Math.floor(value / 10) << 4) | (value % 10);
const fromBcd = (byte: number): number => (byte >> 4) * 10 + (byte & 15);
