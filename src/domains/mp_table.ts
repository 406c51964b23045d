/** MP tables (Intel MultiProcessor Specification 1.4, chapter 4) of a kernel that boots directly on the bare PC, for those that know no ACPI:
 *  a floating pointer, which is searched for between 0xf0000 and 1 MiB, and behind it the configuration table. They say what the MADT
 *  (acpi_pc.ts) says. There is no PCI bus, so there is one bus, ISA, whose lines are pins of the I/O APIC. */
import { SCI_IRQ } from "../io/acpi_pm";
import { IOAPIC_RANGE } from "../io/ioapic";
import { PIT_IRQ } from "../io/pit8254";
import { apicId, write } from "./acpi";
import { IOAPIC_ID, TIMER_PIN } from "./acpi_pc";
import { LAPIC_START } from "./memory_map";

const POINTER = 16;
const HEADER = 44;
const ISA_LINES = 16;
const CASCADE = 2;
const ISA = 0; // bus number
const ALL = 0xff; // local APICs

/** Version registers of the APICs, in their low byte. */
const LOCAL_APIC_VERSION = 0x14;
const IO_APIC_VERSION = 0x20;
/** What CPUID says: family, model and stepping, as old kernels want them; an APIC and an FPU. */
const SIGNATURE = 0xf_00;
const FEATURES = (1 << 0) | (1 << 9);

const enum Entry {
  processor = 0,
  bus = 1,
  ioApic = 2,
  ioInterrupt = 3,
  localInterrupt = 4,
}
const enum Interrupt {
  vectored = 0,
  nmi = 1,
  extInt = 3,
}
/** PO in bits 1..0, EL in bits 3..2. */
const AS_THE_BUS = 0;
const LEVEL_HIGH = 0b1101;

const word = (value: number) => [value & 0xff, (value >>> 8) & 0xff];
const long = (value: number) => [...word(value), ...word(value >>> 16)];
const text = (name: string) => Array.from(name, (letter) => letter.charCodeAt(0));

/** Pointer and table for address `gpa`, which is a multiple of 16. */
export function buildMpTable(gpa: number, vcpus: number): Uint8Array {
  const entries = entriesFor(vcpus);
  const length = HEADER + entries.reduce((sum, entry) => sum + entry.length, 0);
  const bytes = new Uint8Array(POINTER + length);
  const view = new DataView(bytes.buffer);

  write(bytes, 0, "_MP_");
  view.setUint32(4, gpa + POINTER, true);
  view.setUint8(8, POINTER / 16);
  view.setUint8(9, 4); // revision 1.4
  // feature bytes 0: no default configuration, virtual wire mode
  close(bytes.subarray(0, POINTER), 10);

  const config = bytes.subarray(POINTER);
  write(config, 0, "PCMP");
  view.setUint16(POINTER + 4, length, true);
  view.setUint8(POINTER + 6, 4);
  write(config, 8, "XENOLITH");
  write(config, 16, "BARE PC     ");
  view.setUint16(POINTER + 34, entries.length, true);
  view.setUint32(POINTER + 36, LAPIC_START, true);
  config.set(entries.flat(), HEADER);
  close(config, 7);
  return bytes;
}

/** Makes the bytes sum to 0. */
function close(bytes: Uint8Array, checksum: number): void {
  bytes[checksum] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

function entriesFor(vcpus: number): number[][] {
  const processors = Array.from({ length: vcpus }, (_, vcpu) => {
    const usable = 1 | (vcpu === 0 ? 2 : 0); // bit 1: the one that boots
    return [Entry.processor, apicId(vcpu), LOCAL_APIC_VERSION, usable, ...long(SIGNATURE), ...long(FEATURES), ...long(0), ...long(0)];
  });
  const line = (type: Interrupt, flags: number, irq: number, pin: number) => [Entry.ioInterrupt, type, ...word(flags), ISA, irq, IOAPIC_ID, pin];
  const lines = Array.from({ length: ISA_LINES }, (_, irq) => irq)
    .filter((irq) => irq !== CASCADE)
    .map((irq) => line(Interrupt.vectored, irq === SCI_IRQ ? LEVEL_HIGH : AS_THE_BUS, irq, irq === PIT_IRQ ? TIMER_PIN : irq));
  return [
    ...processors,
    [Entry.bus, ISA, ...text("ISA   ")],
    [Entry.ioApic, IOAPIC_ID, IO_APIC_VERSION, 1, ...long(IOAPIC_RANGE.base)],
    line(Interrupt.extInt, AS_THE_BUS, 0, 0), // the 8259s
    ...lines,
    [Entry.localInterrupt, Interrupt.extInt, ...word(AS_THE_BUS), ISA, 0, ALL, 0],
    [Entry.localInterrupt, Interrupt.nmi, ...word(AS_THE_BUS), ISA, 0, ALL, 1],
  ];
}
