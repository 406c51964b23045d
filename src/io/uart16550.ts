/** 16550A UART (National Semiconductor PC16550D datasheet, "Registers"): a serial port whose other end takes bytes at once
 *  and never breaks the line. On a PC its interrupt passes through a gate that MCR's OUT2 opens.
 *
 *  DEVIATION: there is no bit clock, so divisor and format are kept but have no effect, and the receiver's timeout comes at
 *  once when bytes below the trigger level wait and no more follow. */
import { ByteDevice, type IrqLine } from "./bus";

export const COM1_PORTS = { base: 0x3f8, length: 8 } as const;
export const COM1_IRQ = 4;

/** The other end of the line. */
export interface SerialLine {
  /** Takes a byte; false if it has no room now. */
  send(byte: number): boolean;
  /** The next byte that has come in, -1 if there is none. */
  receive(): number;
}

const enum Reg {
  RBR = 0, // THR when written; DLL while LCR.DLAB
  IER = 1, // DLM while LCR.DLAB
  IIR = 2, // FCR when written
  LCR = 3,
  MCR = 4,
  LSR = 5,
  MSR = 6,
  SCR = 7,
}
const enum Ier {
  RDA = 0x01,
  THRE = 0x02,
  LINE = 0x04,
  MODEM = 0x08,
}
const enum Iir {
  MODEM = 0x00,
  NONE = 0x01,
  THRE = 0x02,
  RDA = 0x04,
  LINE = 0x06,
  TIMEOUT = 0x0c,
  FIFOS = 0xc0,
}
const enum Fcr {
  ENABLE = 0x01,
  CLEAR_RX = 0x02,
  CLEAR_TX = 0x04,
}
const DLAB = 0x80; // LCR
const enum Mcr {
  DTR = 0x01,
  RTS = 0x02,
  OUT1 = 0x04,
  OUT2 = 0x08,
  LOOP = 0x10,
}
const enum Lsr {
  DR = 0x01,
  OE = 0x02,
  THRE = 0x20,
  TEMT = 0x40,
}
const enum Msr {
  DELTA = 0x0f,
  TERI = 0x04,
  CTS = 0x10,
  DSR = 0x20,
  RI = 0x40,
  DCD = 0x80,
}

const FIFO = 16;
const TRIGGER = [1, 4, 8, 14];

export class Uart16550 extends ByteDevice {
  private ier = 0;
  private fcr = 0;
  private lcr = 0;
  private mcr = 0;
  private scr = 0;
  private divisor = 12; // 9600 baud
  private overrun = false;
  private thrEmptied = false; // the THRE interrupt waits
  private msr = Msr.CTS | Msr.DSR | Msr.DCD; // somebody is there
  private readonly rx: number[] = [];
  private readonly tx: number[] = [];

  constructor(
    private readonly irq: IrqLine,
    private readonly line: SerialLine,
  ) {
    super();
  }

  /** The other end has bytes, or room for them. */
  poll(): void {
    this.transmit();
    this.receive();
    this.update();
  }

  /** Whether bytes wait for the other end to have room. */
  get sending(): boolean {
    return this.tx.length > 0;
  }
  /** Whether poll() would take a byte. */
  get receptive(): boolean {
    return this.rx.length < this.depth && !(this.mcr & Mcr.LOOP);
  }

  readByte(offset: number): number {
    this.transmit();
    this.receive();
    const value = this.readRegister(offset);
    this.update();
    return value;
  }

  private readRegister(offset: number): number {
    switch (offset) {
      case Reg.RBR: {
        if (this.lcr & DLAB) return this.divisor & 0xff;
        const byte = this.rx.shift() ?? 0;
        this.receive();
        return byte;
      }
      case Reg.IER:
        return this.lcr & DLAB ? this.divisor >> 8 : this.ier;
      case Reg.IIR: {
        const source = this.source();
        if (source === Iir.THRE) this.thrEmptied = false;
        return source | (this.fcr & Fcr.ENABLE ? Iir.FIFOS : 0);
      }
      case Reg.LCR:
        return this.lcr;
      case Reg.MCR:
        return this.mcr;
      case Reg.LSR: {
        const empty = this.tx.length === 0 ? Lsr.THRE | Lsr.TEMT : 0;
        const value = empty | (this.rx.length > 0 ? Lsr.DR : 0) | (this.overrun ? Lsr.OE : 0);
        this.overrun = false;
        return value;
      }
      case Reg.MSR: {
        const value = this.msr;
        this.msr &= ~Msr.DELTA;
        return value;
      }
      default:
        return this.scr;
    }
  }

  writeByte(offset: number, value: number): void {
    switch (offset) {
      case Reg.RBR:
        if (this.lcr & DLAB) this.divisor = (this.divisor & 0xff00) | value;
        else this.send(value);
        break;
      case Reg.IER:
        if (this.lcr & DLAB) this.divisor = (this.divisor & 0xff) | (value << 8);
        else {
          // Enabling the interrupt while the holding register is empty raises it.
          if (value & Ier.THRE && !(this.ier & Ier.THRE) && this.tx.length === 0) this.thrEmptied = true;
          this.ier = value & 0x0f;
        }
        break;
      case Reg.IIR:
        this.controlFifos(value);
        break;
      case Reg.LCR:
        this.lcr = value;
        break;
      case Reg.MCR:
        this.mcr = value & 0x1f;
        this.updateModem();
        break;
      case Reg.SCR:
        this.scr = value;
        break;
    }
    this.update();
  }

  private get depth(): number {
    return this.fcr & Fcr.ENABLE ? FIFO : 1;
  }

  private send(byte: number): void {
    this.thrEmptied = false;
    this.update(); // the line drops before it rises again: edge-triggered controllers want to see that
    if (this.mcr & Mcr.LOOP) {
      if (this.rx.length >= this.depth) {
        this.overrun = true;
        if (this.depth === 1) this.rx[0] = byte;
      } else this.rx.push(byte);
      this.thrEmptied = true;
      return;
    }
    if (this.tx.length >= this.depth) this.tx.pop(); // overwritten: the driver did not look at THRE
    this.tx.push(byte);
    this.transmit();
  }

  private transmit(): void {
    if (this.tx.length === 0) return;
    while (this.tx.length > 0 && this.line.send(this.tx[0])) this.tx.shift();
    if (this.tx.length === 0) this.thrEmptied = true;
  }

  private receive(): void {
    while (this.receptive) {
      const byte = this.line.receive();
      if (byte < 0) return;
      this.rx.push(byte);
    }
  }

  private controlFifos(value: number): void {
    const changes = (value ^ this.fcr) & Fcr.ENABLE; // either way both FIFOs are cleared
    this.fcr = value & Fcr.ENABLE ? value & 0xc9 : 0;
    if (changes || value & Fcr.CLEAR_RX) this.rx.length = 0;
    if (changes || value & Fcr.CLEAR_TX) {
      if (this.tx.length > 0) this.thrEmptied = true;
      this.tx.length = 0;
    }
  }

  /** In loopback the modem control outputs are the status inputs; otherwise the other end is always ready. */
  private updateModem(): void {
    const { mcr } = this;
    let inputs: number = Msr.CTS | Msr.DSR | Msr.DCD;
    if (mcr & Mcr.LOOP) {
      inputs = (mcr & Mcr.RTS ? Msr.CTS : 0) | (mcr & Mcr.DTR ? Msr.DSR : 0) | (mcr & Mcr.OUT1 ? Msr.RI : 0) | (mcr & Mcr.OUT2 ? Msr.DCD : 0);
    }
    const changed = (this.msr ^ inputs) & 0xf0;
    let delta = (changed >> 4) & ~Msr.TERI;
    if (changed & Msr.RI && !(inputs & Msr.RI)) delta |= Msr.TERI; // only its trailing edge counts
    this.msr = inputs | (this.msr & Msr.DELTA) | delta;
  }

  /** The interrupt with the highest priority. */
  private source(): Iir {
    const { ier } = this;
    if (ier & Ier.LINE && this.overrun) return Iir.LINE;
    if (ier & Ier.RDA && this.rx.length > 0) {
      return !(this.fcr & Fcr.ENABLE) || this.rx.length >= TRIGGER[this.fcr >> 6] ? Iir.RDA : Iir.TIMEOUT;
    }
    if (ier & Ier.THRE && this.thrEmptied) return Iir.THRE;
    if (ier & Ier.MODEM && this.msr & Msr.DELTA) return Iir.MODEM;
    return Iir.NONE;
  }

  private update(): void {
    const open = (this.mcr & (Mcr.OUT2 | Mcr.LOOP)) === Mcr.OUT2; // in loopback the pin is inactive
    this.irq.set(open && this.source() !== Iir.NONE);
  }
}
