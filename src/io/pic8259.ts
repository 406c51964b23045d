/** Two 8259A interrupt controllers as a PC has them: the second one's INT at IR2 of the first (Intel 8259A datasheet,
 *  "Initialization Command Words", "Operation Command Words"), and the edge/level control registers of EISA and later.
 *
 *  DEVIATION: a request in edge-triggered mode stays until it is acknowledged, though its line be released before; the chip
 *  would answer with IR7. Drivers never see the difference, because devices keep their lines until they are served. */
import { ByteDevice, type IrqLine } from "./bus";

export const PIC_PORTS = [
  { base: 0x20, length: 2 },
  { base: 0xa0, length: 2 },
] as const;
export const PIC_LINES = 16;
export const ELCR_PORTS = { base: 0x4d0, length: 2 } as const;

const CASCADE = 2; // IR of the first controller
const SPURIOUS = 7;
const NOBODY = 0xff; // what the data bus reads as when no second controller answers

const enum Icw1 {
  IC4 = 0x01,
  SNGL = 0x02,
  LTIM = 0x08,
  SELECT = 0x10,
}
const enum Icw4 {
  AEOI = 0x02,
  SFNM = 0x10,
}
const enum Ocw3 {
  RIS = 0x01,
  RR = 0x02,
  POLL = 0x04,
  SELECT = 0x08,
  SMM = 0x20,
  ESMM = 0x40,
}
/** OCW2 bits 7..5. */
const enum Ocw2 {
  rotateAeoiOff = 0,
  eoi = 1,
  nothing = 2,
  specificEoi = 3,
  rotateAeoiOn = 4,
  rotateEoi = 5,
  setPriority = 6,
  rotateSpecificEoi = 7,
}

/** One 8259A. `int` is its INT pin. */
class Chip extends ByteDevice {
  private irr = 0;
  private isr = 0;
  private imr = 0;
  private lines = 0;
  /** Lines that are level-triggered, besides what ICW1 says. */
  private elcr = 0;
  private levelMode = false;
  private base = 0;
  private icw4 = 0;
  /** Initialization words still to come: 2, 3, 4; 0 when there are none. */
  private expects = 0;
  private icw1 = 0;
  /** ICW3: the IRs with a second controller, or the number of this one. */
  private wiring = 0;
  private lowest = 7;
  private rotateOnAeoi = false;
  private specialMask = false;
  private readIsr = false;
  private poll = false;

  constructor(
    private readonly int: (asserted: boolean) => void,
    private readonly elcrMask: number,
  ) {
    super();
  }

  set(ir: number, asserted: boolean): void {
    const bit = 1 << ir;
    const rises = asserted && !(this.lines & bit);
    this.lines = asserted ? this.lines | bit : this.lines & ~bit;
    if (this.isLevel(bit)) this.irr = asserted ? this.irr | bit : this.irr & ~bit;
    else if (rises) this.irr |= bit;
    this.update();
  }

  /** The IR an interrupt acknowledge cycle takes into service: 7 if the request has gone. */
  acknowledge(): { ir: number; spurious: boolean } {
    const ir = this.highest();
    if (ir < 0) return { ir: SPURIOUS, spurious: true };
    const bit = 1 << ir;
    if (!this.isLevel(bit)) this.irr &= ~bit;
    if (!(this.icw4 & Icw4.AEOI)) this.isr |= bit;
    else if (this.rotateOnAeoi) this.lowest = ir;
    this.int(false); // another request is a new edge to whoever detects edges
    this.update();
    return { ir, spurious: false };
  }

  /** Whether a second controller gives the vector of `ir`. */
  hasSecond(ir: number): boolean {
    return !(this.icw1 & Icw1.SNGL) && (this.wiring & (1 << ir)) !== 0;
  }

  /** Whether this is the controller that the first one calls by number `ir`. */
  isSecond(ir: number): boolean {
    return (this.wiring & 7) === ir;
  }

  vectorOf(ir: number): number {
    return this.base | ir;
  }

  readByte(offset: number): number {
    if (this.poll) {
      this.poll = false;
      const { ir, spurious } = this.acknowledge();
      return spurious ? 0 : 0x80 | ir;
    }
    if (offset === 1) return this.imr;
    return this.readIsr ? this.isr : this.irr;
  }

  writeByte(offset: number, value: number): void {
    if (offset === 0) {
      if (value & Icw1.SELECT) this.initialize(value);
      else if (value & Ocw3.SELECT) this.control(value);
      else this.endOfInterrupt(value >> 5, value & 7);
    } else this.setUp(value);
    this.update();
  }

  readElcr(): number {
    return this.elcr;
  }
  writeElcr(value: number): void {
    this.elcr = value & this.elcrMask;
    this.irr = (this.irr & ~this.elcr) | (this.lines & this.elcr);
    this.update();
  }

  private isLevel(bit: number): boolean {
    return this.levelMode || (this.elcr & bit) !== 0;
  }

  private initialize(icw1: number): void {
    this.icw1 = icw1;
    this.levelMode = (icw1 & Icw1.LTIM) !== 0;
    this.irr = this.levelMode ? this.lines : this.lines & this.elcr;
    this.isr = 0;
    this.imr = 0;
    this.lowest = 7;
    this.specialMask = false;
    this.readIsr = false;
    this.poll = false;
    this.rotateOnAeoi = false;
    if (!(icw1 & Icw1.IC4)) this.icw4 = 0;
    this.expects = 2;
  }

  /** The second port: ICW2 to ICW4 after ICW1, else OCW1. */
  private setUp(value: number): void {
    const { expects, icw1 } = this;
    if (expects === 0) {
      this.imr = value;
      return;
    }
    if (expects === 2) this.base = value & 0xf8;
    if (expects === 3) this.wiring = value;
    if (expects === 4) this.icw4 = value;
    const wants4 = (icw1 & Icw1.IC4) !== 0;
    this.expects = expects === 2 && !(icw1 & Icw1.SNGL) ? 3 : expects < 4 && wants4 ? 4 : 0;
  }

  private control(ocw3: number): void {
    if (ocw3 & Ocw3.ESMM) this.specialMask = (ocw3 & Ocw3.SMM) !== 0;
    if (ocw3 & Ocw3.POLL) this.poll = true;
    else if (ocw3 & Ocw3.RR) this.readIsr = (ocw3 & Ocw3.RIS) !== 0;
  }

  private endOfInterrupt(command: Ocw2, ir: number): void {
    switch (command) {
      case Ocw2.rotateAeoiOff:
        this.rotateOnAeoi = false;
        break;
      case Ocw2.rotateAeoiOn:
        this.rotateOnAeoi = true;
        break;
      case Ocw2.eoi:
      case Ocw2.rotateEoi: {
        // In special mask mode a masked interrupt's bit is left alone by the non-specific command.
        const served = this.first(this.specialMask ? this.isr & ~this.imr : this.isr);
        if (served < 0) break;
        this.isr &= ~(1 << served);
        if (command === Ocw2.rotateEoi) this.lowest = served;
        break;
      }
      case Ocw2.specificEoi:
        this.isr &= ~(1 << ir);
        break;
      case Ocw2.rotateSpecificEoi:
        this.isr &= ~(1 << ir);
        this.lowest = ir;
        break;
      case Ocw2.setPriority:
        this.lowest = ir;
        break;
    }
  }

  /** Of the set bits the one with the highest priority, -1 if none is set. */
  private first(bits: number): number {
    if (bits === 0) return -1;
    for (let n = 1; n <= 8; n++) {
      const ir = (this.lowest + n) & 7;
      if (bits & (1 << ir)) return ir;
    }
    return -1;
  }

  private priority(ir: number): number {
    return (ir - this.lowest - 1) & 7;
  }

  /** The request that may be served now, -1 if there is none. */
  private highest(): number {
    const ir = this.first(this.irr & ~this.imr);
    if (ir < 0) return -1;
    const served = this.first(this.specialMask ? this.isr & ~this.imr : this.isr);
    if (served < 0 || this.priority(ir) < this.priority(served)) return ir;
    // Special fully nested mode: what is in service at a second controller does not hold back that controller's better requests.
    return ir === served && this.icw4 & Icw4.SFNM && this.hasSecond(ir) ? ir : -1;
  }

  private update(): void {
    this.int(this.highest() >= 0);
  }
}

/** Edge/level control registers: one bit for each line, except those that are wired as edge-triggered. */
class Elcr extends ByteDevice {
  constructor(private readonly chips: readonly Chip[]) {
    super();
  }
  readByte(offset: number): number {
    return this.chips[offset].readElcr();
  }
  writeByte(offset: number, value: number): void {
    this.chips[offset].writeElcr(value);
  }
}

export class Pic8259 {
  /** At PIC_PORTS. */
  readonly first: ByteDevice;
  readonly second: ByteDevice;
  readonly elcr: ByteDevice;
  private readonly chips: readonly [Chip, Chip];

  /** `intr` is what the processor sees. */
  constructor(intr: IrqLine) {
    const first = new Chip((asserted) => intr.set(asserted), 0xf8);
    const second = new Chip((asserted) => first.set(CASCADE, asserted), 0xde);
    this.chips = [first, second];
    this.first = first;
    this.second = second;
    this.elcr = new Elcr(this.chips);
  }

  /** Interrupt request lines 0 to 15; 2 does not exist. */
  line(irq: number): IrqLine {
    const chip = this.chips[irq >> 3];
    return { set: (asserted) => chip.set(irq & 7, asserted) };
  }

  /** The interrupt acknowledge cycle: gives the vector. */
  acknowledge(): number {
    const [first, second] = this.chips;
    const { ir, spurious } = first.acknowledge();
    if (spurious || !first.hasSecond(ir)) return first.vectorOf(ir);
    return ir === CASCADE && second.isSecond(ir) ? second.vectorOf(second.acknowledge().ir) : NOBODY;
  }
}
