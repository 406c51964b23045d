/** ACPI's fixed hardware (ACPI specification 5.0, "ACPI Register Model"): the PM1 event and control registers and the power
 *  management timer. The machine is always in ACPI mode (there is no SMI to leave it by), and has no buttons.
 *
 *  ```
 *  +0 status, write 1 to clear   +2 enable   +4 control      +8 timer, 32 bits at 3.579545 MHz
 *     0 timer carry, 10 clock       the same    bit 0 SCI_EN, 12..10 SLP_TYP, 13 SLP_EN
 *  ``` */
import type { Clock } from "../machine/clock";
import { ByteDevice, type IrqLine, type TimedDevice } from "./bus";

export const ACPI_PM_PORTS = { base: 0xb000, length: 12 } as const;
export const SCI_IRQ = 9;
/** SLP_TYP of the soft-off state. */
export const SLEEP_S5 = 5;

const TIMER_HZ = 3_579_545;
const HALF = 2 ** 31; // the carry status is set whenever bit 31 changes

const enum Event {
  TMR = 0x0001,
  GBL = 0x0020,
  RTC = 0x0400,
}
const EVENTS = Event.TMR | Event.GBL | Event.RTC;
const enum Control {
  SCI_EN = 0x0001,
  BM_RLD = 0x0002,
  SLP_TYP = 0x1c00,
  SLP_TYP_SHIFT = 10,
  SLP_EN = 0x2000,
}

export class AcpiPm extends ByteDevice implements TimedDevice {
  private status = 0;
  private enable = 0;
  private control = Control.SCI_EN;
  /** Times bit 31 has changed that the status knows of. */
  private carries = 0;
  private clockAsserted = false;

  constructor(
    private readonly clock: Clock,
    private readonly sci: IrqLine,
    private readonly softOff: () => void,
  ) {
    super();
  }

  readByte(offset: number): number {
    this.tick();
    if (offset >= 8) return (this.ticks() / 2 ** (8 * (offset - 8))) & 0xff;
    const register = [this.status, this.enable, this.control, 0][offset >> 1];
    return (register >> (8 * (offset & 1))) & 0xff;
  }

  /** The timer is read in one piece. */
  override read(offset: number, size: 1 | 2 | 4): number {
    return offset === 8 && size === 4 ? this.ticks() : super.read(offset, size);
  }

  writeByte(offset: number, value: number): void {
    this.tick();
    const shift = 8 * (offset & 1);
    const bits = value << shift;
    const put = (register: number) => (register & ~(0xff << shift)) | bits;
    switch (offset >> 1) {
      case 0:
        this.status &= ~bits;
        break;
      case 1:
        this.enable = put(this.enable) & EVENTS;
        break;
      case 2:
        this.control = (put(this.control) & (Control.BM_RLD | Control.SLP_TYP)) | Control.SCI_EN;
        if (bits & Control.SLP_EN && (this.control & Control.SLP_TYP) >> Control.SLP_TYP_SHIFT === SLEEP_S5) this.softOff();
        break;
    }
    this.update();
  }

  /** The interrupt line of the clock (MC146818), whose edge is an event here too. */
  get clockLine(): IrqLine {
    return {
      set: (asserted) => {
        if (asserted && !this.clockAsserted) this.status |= Event.RTC;
        this.clockAsserted = asserted;
        this.update();
      },
    };
  }

  get deadline(): number {
    if (!(this.enable & Event.TMR) || this.status & Event.TMR) return Number.POSITIVE_INFINITY;
    return ((this.carries + 1) * HALF * 1e9) / TIMER_HZ;
  }

  tick(): void {
    const carries = Math.floor(this.pulses() / HALF);
    if (carries > this.carries) this.status |= Event.TMR;
    this.carries = carries;
    this.update();
  }

  /** Timer pulses so far. The addend undoes the rounding of `deadline`. */
  private pulses(): number {
    return Math.floor((this.clock.nowNs() * TIMER_HZ) / 1e9 + 1e-6);
  }

  private ticks(): number {
    return this.pulses() % 2 ** 32;
  }

  private update(): void {
    this.sci.set((this.status & this.enable) !== 0);
  }
}
