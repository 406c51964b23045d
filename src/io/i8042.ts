/** 8042 keyboard controller (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller") with a
 *  keyboard nobody types on and no mouse: enough for drivers to find both out, for the A20 gate and for the reset pulse. */
import type { A20Gate } from "./a20";
import { ByteDevice, type IrqLine } from "./bus";

export const I8042_DATA = { base: 0x60, length: 1 } as const;
export const I8042_COMMAND = { base: 0x64, length: 1 } as const;
export const KEYBOARD_IRQ = 1;

const QUEUE = 16;

const enum Status {
  OUTPUT_FULL = 0x01,
  SYSTEM = 0x04,
  COMMAND = 0x08, // the last write went to port 0x64
  UNLOCKED = 0x10,
}
const enum Command {
  readMemory = 0x20, // to 0x3f: byte n of the controller's memory; 0 is the configuration
  writeMemory = 0x60,
  disableMouse = 0xa7,
  enableMouse = 0xa8,
  testMouse = 0xa9,
  selfTest = 0xaa,
  testKeyboard = 0xab,
  disableKeyboard = 0xad,
  enableKeyboard = 0xae,
  readInput = 0xc0,
  readOutput = 0xd0,
  writeOutput = 0xd1,
  writeKeyboardBuffer = 0xd2,
  writeMouseBuffer = 0xd3,
  writeMouse = 0xd4,
  closeA20 = 0xdd,
  openA20 = 0xdf,
  pulse = 0xf0, // bits 3..0: output lines that stay high
}
const enum Config {
  KEYBOARD_IRQ = 0x01,
  SYSTEM = 0x04,
  KEYBOARD_OFF = 0x10,
  MOUSE_OFF = 0x20,
}
const enum Output {
  RUN = 0x01, // 0 resets the processor
  A20 = 0x02,
}
const enum Keyboard {
  setLeds = 0xed,
  echo = 0xee,
  scanCodeSet = 0xf0,
  identify = 0xf2,
  setRate = 0xf3,
  enable = 0xf4,
  disable = 0xf5,
  defaults = 0xf6,
  resend = 0xfe,
  reset = 0xff,
  ACK = 0xfa,
  PASSED = 0xaa,
}

export class I8042 {
  readonly data: ByteDevice;
  readonly command: ByteDevice;
  private readonly memory = new Uint8Array(32);
  private readonly queue: number[] = [];
  private system = false;
  private lastWasCommand = false;
  /** Command whose data byte is to come, 0 none. */
  private pending = 0;
  /** Keyboard command whose argument is to come. */
  private keyboardPending = 0;
  private scanCodes = 2;
  private lastSent = 0;

  constructor(
    private readonly irq: IrqLine,
    private readonly a20: A20Gate,
    private readonly reset: () => void,
  ) {
    this.memory[0] = Config.MOUSE_OFF;
    const part = (read: () => number, write: (value: number) => void): ByteDevice =>
      new (class extends ByteDevice {
        readByte = read;
        writeByte = (_offset: number, value: number) => write(value);
      })();
    this.data = part(
      () => this.readData(),
      (value) => this.writeData(value),
    );
    this.command = part(
      () => this.status(),
      (value) => this.writeCommand(value),
    );
  }

  private status(): number {
    return (
      Status.UNLOCKED |
      (this.queue.length > 0 ? Status.OUTPUT_FULL : 0) |
      (this.system ? Status.SYSTEM : 0) |
      (this.lastWasCommand ? Status.COMMAND : 0)
    );
  }

  private readData(): number {
    const byte = this.queue.shift();
    if (byte !== undefined) this.lastSent = byte;
    this.irq.set(false);
    this.update();
    return this.lastSent;
  }

  private writeCommand(value: number): void {
    this.lastWasCommand = true;
    this.pending = 0;
    if (value >= Command.readMemory && value < Command.readMemory + 32) return this.answer(this.memory[value & 31]);
    if (value >= Command.writeMemory && value < Command.writeMemory + 32) {
      this.pending = value;
      return;
    }
    if (value >= Command.pulse) {
      if (!(value & Output.RUN)) this.reset();
      return;
    }
    switch (value) {
      case Command.disableMouse:
        this.configure(this.memory[0] | Config.MOUSE_OFF);
        break;
      case Command.enableMouse:
        this.configure(this.memory[0] & ~Config.MOUSE_OFF);
        break;
      case Command.testMouse:
        this.answer(0x02); // clock line stuck high: nothing is plugged in
        break;
      case Command.selfTest:
        this.queue.length = 0;
        this.configure(this.memory[0] | Config.SYSTEM);
        this.answer(0x55);
        break;
      case Command.testKeyboard:
        this.answer(0x00);
        break;
      case Command.disableKeyboard:
        this.configure(this.memory[0] | Config.KEYBOARD_OFF);
        break;
      case Command.enableKeyboard:
        this.configure(this.memory[0] & ~Config.KEYBOARD_OFF);
        break;
      case Command.readInput:
        this.answer(0x80); // not locked
        break;
      case Command.readOutput:
        this.answer(Output.RUN | (this.a20.isOpen ? Output.A20 : 0) | (this.queue.length > 0 ? 0x10 : 0) | 0xc0);
        break;
      case Command.writeOutput:
      case Command.writeKeyboardBuffer:
      case Command.writeMouseBuffer:
      case Command.writeMouse:
        this.pending = value;
        break;
      case Command.closeA20:
        this.a20.set(false);
        break;
      case Command.openA20:
        this.a20.set(true);
        break;
    }
  }

  private writeData(value: number): void {
    this.lastWasCommand = false;
    const { pending } = this;
    this.pending = 0;
    if (pending === 0) return this.toKeyboard(value);
    if (pending === Command.writeMemory) return this.configure(value);
    if (pending > Command.writeMemory && pending < Command.writeMemory + 32) {
      this.memory[pending & 31] = value;
      return;
    }
    if (pending === Command.writeOutput) {
      this.a20.set((value & Output.A20) !== 0);
      if (!(value & Output.RUN)) this.reset();
    } else if (pending === Command.writeKeyboardBuffer || pending === Command.writeMouseBuffer) this.answer(value);
  }

  private configure(value: number): void {
    this.memory[0] = value;
    this.system = (value & Config.SYSTEM) !== 0;
    this.update();
  }

  private toKeyboard(value: number): void {
    const argumentOf = this.keyboardPending;
    this.keyboardPending = 0;
    this.configure(this.memory[0] & ~Config.KEYBOARD_OFF); // writing to it turns its clock on
    if (argumentOf !== 0 && value < Keyboard.setLeds) {
      this.answer(Keyboard.ACK);
      if (argumentOf !== Keyboard.scanCodeSet) return;
      if (value === 0) this.answer(this.scanCodes);
      else this.scanCodes = value;
      return;
    }
    switch (value) {
      case Keyboard.echo:
        return this.answer(Keyboard.echo);
      case Keyboard.identify:
        return this.answer(Keyboard.ACK, 0xab, 0x83);
      case Keyboard.setLeds:
      case Keyboard.scanCodeSet:
      case Keyboard.setRate:
        this.keyboardPending = value;
        return this.answer(Keyboard.ACK);
      case Keyboard.enable:
      case Keyboard.disable:
      case Keyboard.defaults:
        return this.answer(Keyboard.ACK);
      case Keyboard.reset:
        this.scanCodes = 2;
        return this.answer(Keyboard.ACK, Keyboard.PASSED);
      case Keyboard.resend:
        return this.answer(this.lastSent);
      default:
        return this.answer(Keyboard.resend);
    }
  }

  private answer(...bytes: number[]): void {
    if (this.queue.length < QUEUE) this.queue.push(...bytes); // a driver that reads nothing gets no more
    this.update();
  }

  private update(): void {
    this.irq.set(this.queue.length > 0 && (this.memory[0] & Config.KEYBOARD_IRQ) !== 0);
  }
}
