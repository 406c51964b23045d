/** The bare PC of an HVM domain: which devices there are, at which ports, and how their interrupt lines run.
 *
 *  ```
 *  PIT 0, keyboard 1, COM1 4,         |
 *  RTC 8, ACPI 9                    --+--> 8259 pair --INTR--+--> LINT0 of the first local APIC
 *                                     |                      +--> I/O APIC pin 0
 *                                     +--> I/O APIC pins (line 0 at pin 2) --messages--> local APICs
 *  ```
 *  There is no PCI bus, no display and no disk: their ports read all ones like any that nobody claims. All devices run on
 *  the thread of the domain's processor. */
import type { Clock } from "../machine/clock";
import { A20Gate } from "./a20";
import { ACPI_PM_PORTS, AcpiPm, SCI_IRQ } from "./acpi_pm";
import { type IrqLine, MmioBus, PioBus, type PioDevice, type PioRange } from "./bus";
import { Cmos, CMOS_IRQ, CMOS_PORTS, type CmosConfig } from "./cmos";
import { DEBUG_EXIT_PORTS, DebugExit } from "./debug_exit";
import { DEBUG_PORT, DebugPort } from "./debug_port";
import { FW_CFG_PORTS, FwCfg } from "./fw_cfg";
import { I8042, I8042_COMMAND, I8042_DATA, KEYBOARD_IRQ } from "./i8042";
import { type ApicMessage, IoApic, IOAPIC_RANGE } from "./ioapic";
import { ELCR_PORTS, Pic8259, PIC_LINES, PIC_PORTS } from "./pic8259";
import { Pit8254, PIT_IRQ, PIT_PORTS } from "./pit8254";
import { PORT61, Port61 } from "./port61";
import { PORT92, Port92 } from "./port92";
import { POST_PORTS, PostCode } from "./post_code";
import { TEST_FLUSH, TEST_FLUSH_PORTS, TEST_LINE_PORTS, TEST_MEMORY, TEST_PORTS, TestLines, TestMemory } from "./test_device";
import { COM1_IRQ, COM1_PORTS, type SerialLine, Uart16550 } from "./uart16550";

/** What the devices act on. */
export interface PcHost {
  readonly clock: Clock;
  /** COM1's other end. */
  readonly console: SerialLine & { readonly waiting: boolean; readonly room: boolean };
  /** INTR of the 8259s, as it reaches the processor by either way. */
  intr(lint0: boolean, ioApic: boolean): void;
  /** A message of the I/O APIC to the local APICs. */
  deliver(message: ApicMessage): void;
  /** The A20 gate has been opened or closed. */
  a20(open: boolean): void;
  reset(): void;
  powerOff(): void;
  debugExit(status: number): void;
  log(line: string): void;
}

/** Devices an embedding program adds. They come before the PC's own. */
export interface ExtraDevices {
  readonly ports: readonly { readonly range: PioRange; readonly device: PioDevice }[];
  readonly mmio: readonly { readonly range: PioRange; readonly device: PioDevice }[];
  /** What went wrong in one of them, for whoever asks why the domain has ended. */
  failure?: Error;
}

export interface PcConfig extends CmosConfig {
  /** Whether port 0xF4 is there, and what else test kernels written for QEMU expect: fw_cfg, pc-testdev. */
  readonly debugExit: boolean;
  readonly extra?: ExtraDevices;
}

export class Pc {
  readonly ports = new PioBus();
  readonly mmio = new MmioBus();
  readonly debug: DebugPort;
  private readonly pic: Pic8259;
  private readonly pit: Pit8254;
  private readonly cmos: Cmos;
  private readonly pm: AcpiPm;
  private readonly uart: Uart16550;
  private readonly picToIoApic: IrqLine;
  private intr = false;
  private extInt = false;

  constructor(
    private readonly host: PcHost,
    config: PcConfig,
  ) {
    const { clock } = host;
    this.pic = new Pic8259({ set: (asserted) => this.setIntr(asserted) });
    const ioApic = new IoApic({
      deliver: (message) => host.deliver(message),
      extInt: (asserted) => this.setExtInt(asserted),
    });
    this.picToIoApic = ioApic.pin(0);
    const irq = (n: number, ...others: IrqLine[]): IrqLine => {
      const ends = [...(n < PIC_LINES ? [this.pic.line(n)] : []), ioApic.pin(n === 0 ? 2 : n), ...others];
      return { set: (asserted) => ends.forEach((end) => end.set(asserted)) };
    };
    const a20 = new A20Gate((open) => host.a20(open));
    const reset = () => host.reset();
    this.pit = new Pit8254(clock, irq(PIT_IRQ));
    this.pm = new AcpiPm(clock, irq(SCI_IRQ), () => host.powerOff());
    this.cmos = new Cmos(clock, irq(CMOS_IRQ, this.pm.clockLine), config);
    this.uart = new Uart16550(irq(COM1_IRQ), host.console);
    this.debug = new DebugPort((line) => host.log(line));
    const keyboard = new I8042(irq(KEYBOARD_IRQ), a20, reset);

    for (const { range, device } of config.extra?.ports ?? []) this.ports.attach(range, device);
    for (const { range, device } of config.extra?.mmio ?? []) this.mmio.attach(range, device);
    const own: [PioRange, PioDevice][] = [
      [PIC_PORTS[0], this.pic.first],
      [PIC_PORTS[1], this.pic.second],
      [ELCR_PORTS, this.pic.elcr],
      [PIT_PORTS, this.pit],
      [PORT61, new Port61(this.pit, clock)],
      [I8042_DATA, keyboard.data],
      [I8042_COMMAND, keyboard.command],
      [PORT92, new Port92(a20, reset)],
      [CMOS_PORTS, this.cmos],
      [COM1_PORTS, this.uart],
      [ACPI_PM_PORTS, this.pm],
      [DEBUG_PORT, this.debug],
    ];
    for (const range of POST_PORTS) own.push([range, new PostCode(range.base, (line) => host.log(line))]);
    if (config.debugExit) {
      own.push(
        [DEBUG_EXIT_PORTS, new DebugExit((status) => host.debugExit(status))],
        [FW_CFG_PORTS, new FwCfg(config.lowRam + config.highRam, 1)],
        [TEST_PORTS, new TestMemory(TEST_PORTS.length)],
        [TEST_FLUSH_PORTS, TEST_FLUSH],
        [TEST_LINE_PORTS, new TestLines((n) => irq(n))],
      );
      this.mmio.attachBehind(TEST_MEMORY, new TestMemory(TEST_MEMORY.length));
    }
    for (const [range, device] of own) this.ports.attachBehind(range, device);
    this.mmio.attach(IOAPIC_RANGE, ioApic);
  }

  /** Programs the 8259s and the timer as firmware does: these vectors, the timer's and the keyboard's line open, 18.2 ticks a second. */
  leaveFirmware([first, second]: readonly [number, number]): void {
    for (const [chip, ...words] of [
      [this.pic.first, first, 1 << 2, 1, 0xf8],
      [this.pic.second, second, 2, 1, 0xff],
    ] as const) {
      chip.write(0, 1, 0x11);
      for (const word of words) chip.write(1, 1, word);
    }
    this.pit.write(3, 1, 0x36);
    for (let n = 0; n < 2; n++) this.pit.write(0, 1, 0);
  }

  /** The processor's interrupt acknowledge cycle. */
  acknowledge(): number {
    return this.pic.acknowledge();
  }

  /** System time at which tick() has something to do. */
  get deadline(): number {
    const { console } = this.host;
    if ((console.waiting && this.uart.receptive) || (this.uart.sending && console.room)) return 0;
    return Math.min(this.pit.deadline, this.cmos.deadline, this.pm.deadline);
  }

  tick(): void {
    this.uart.poll();
    this.pit.tick();
    this.cmos.tick();
    this.pm.tick();
  }

  private setIntr(asserted: boolean): void {
    if (asserted === this.intr) return;
    this.intr = asserted;
    this.picToIoApic.set(asserted);
    this.host.intr(this.intr, this.extInt);
  }

  private setExtInt(asserted: boolean): void {
    if (asserted === this.extInt) return;
    this.extInt = asserted;
    this.host.intr(this.intr, this.extInt);
  }
}
