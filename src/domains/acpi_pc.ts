/** ACPI tables of a kernel that boots directly on the bare PC (ACPI specification 5.0, chapter 5): RSDP -> XSDT -> FADT (-> FACS,
 *  DSDT), MADT. Fixed hardware is that of src/io/acpi_pm.ts, always in ACPI mode; the devices of the PC are in the DSDT by
 *  their Plug and Play names. Firmware makes tables of its own. */
import { ACPI_PM_PORTS, SCI_IRQ, SLEEP_S5 } from "../io/acpi_pm";
import { CMOS_IRQ, CMOS_PORTS } from "../io/cmos";
import { I8042_COMMAND, I8042_DATA, KEYBOARD_IRQ } from "../io/i8042";
import { IOAPIC_RANGE } from "../io/ioapic";
import { PIC_PORTS } from "../io/pic8259";
import { PIT_IRQ, PIT_PORTS } from "../io/pit8254";
import { COM1_IRQ, COM1_PORTS } from "../io/uart16550";
import { type AcpiTables, apicId, genericAddress, HEADER, table, TableSet, write } from "./acpi";
import * as aml from "./aml";
import { LAPIC_START } from "./memory_map";

export const IOAPIC_ID = 1;
/** Line 0 is at this pin, the first one belongs to the 8259s. */
export const TIMER_PIN = 2;
const CENTURY = 0x32; // in the CMOS memory
const RESET_VALUE = 0xfe; // to the keyboard controller: pulse the reset line

/** FADT flags, then the IA-PC boot architecture flags. */
const enum Fadt {
  WBINVD = 1 << 0,
  PROC_C1 = 1 << 2,
  PWR_BUTTON = 1 << 4, // no fixed-hardware power button
  SLP_BUTTON = 1 << 5,
  TMR_VAL_EXT = 1 << 8,
  RESET_REG_SUP = 1 << 10,
}
const enum BootArch {
  LEGACY_DEVICES = 1 << 0,
  HAS_8042 = 1 << 1,
  NO_VGA = 1 << 2,
}

/** `base` is the address of the tables, for `vcpus` processors. */
export function buildPcAcpi(base: number, vcpus: number): AcpiTables {
  const tables = new TableSet(base);
  const facs = tables.place(buildFacs());
  const dsdt = tables.place(buildDsdt(vcpus));
  const fadt = tables.place(buildFadt(facs, dsdt));
  const madt = tables.place(buildMadt(vcpus));
  return tables.finish([fadt, madt]);
}

function buildFacs(): Uint8Array {
  const bytes = new Uint8Array(64);
  write(bytes, 0, "FACS");
  bytes[4] = bytes.length;
  bytes[32] = 2; // version
  return bytes;
}

function buildFadt(facs: number, dsdt: number): Uint8Array {
  const { base } = ACPI_PM_PORTS;
  return table("FACP", 5, 268 - HEADER, (view) => {
    view.setUint32(36, facs, true);
    view.setUint32(40, dsdt, true);
    view.setUint16(46, SCI_IRQ, true);
    view.setUint32(56, base, true); // PM1a event block, of 4 bytes
    view.setUint8(88, 4);
    view.setUint32(64, base + 4, true); // PM1a control block
    view.setUint8(89, 2);
    view.setUint32(76, base + 8, true); // PM timer
    view.setUint8(91, 4);
    view.setUint16(96, 0xffff, true); // P_LVL2_LAT: above 100, no C2
    view.setUint16(98, 0xffff, true); // P_LVL3_LAT: above 1000, no C3
    view.setUint8(108, CENTURY);
    view.setUint16(109, BootArch.LEGACY_DEVICES | BootArch.HAS_8042 | BootArch.NO_VGA, true);
    view.setUint32(112, Fadt.WBINVD | Fadt.PROC_C1 | Fadt.PWR_BUTTON | Fadt.SLP_BUTTON | Fadt.TMR_VAL_EXT | Fadt.RESET_REG_SUP, true);
    genericAddress(view, 116, I8042_COMMAND.base);
    view.setUint8(128, RESET_VALUE);
    view.setBigUint64(140, BigInt(dsdt), true);
    genericAddress(view, 148, base, 32);
    genericAddress(view, 172, base + 4, 16);
    genericAddress(view, 208, base + 8, 32);
  });
}

const PCAT_COMPAT = 1; // there are 8259s, too
const LEVEL_HIGH = 0b1101; // MPS INTI flags
const enum Madt {
  localApic = 0,
  ioApic = 1,
  sourceOverride = 2,
  localNmi = 4,
}

function buildMadt(vcpus: number): Uint8Array {
  const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  const entries = [
    ...Array.from({ length: vcpus }, (_, vcpu) => [Madt.localApic, 8, vcpu, apicId(vcpu), ...u32(1)]),
    [Madt.ioApic, 12, IOAPIC_ID, 0, ...u32(IOAPIC_RANGE.base), ...u32(0)],
    [Madt.sourceOverride, 10, 0, PIT_IRQ, ...u32(TIMER_PIN), 0, 0],
    [Madt.sourceOverride, 10, 0, SCI_IRQ, ...u32(SCI_IRQ), LEVEL_HIGH, 0],
    [Madt.localNmi, 6, 0xff, 0, 0, 1], // LINT1 of all
  ].flat();
  return table("APIC", 3, 8 + entries.length, (view) => {
    view.setUint32(HEADER, LAPIC_START, true);
    view.setUint32(HEADER + 4, PCAT_COMPAT, true);
    new Uint8Array(view.buffer).set(entries, HEADER + 8);
  });
}

//  name    Plug and Play name       ports                          interrupt lines
const DEVICES = [
  ["PIC", "PNP0000", [...PIC_PORTS], [2]],
  ["TMR", "PNP0100", [PIT_PORTS], [PIT_IRQ]],
  ["RTC", "PNP0B00", [CMOS_PORTS], [CMOS_IRQ]],
  ["PS2K", "PNP0303", [I8042_DATA, I8042_COMMAND], [KEYBOARD_IRQ]],
  ["COM1", "PNP0501", [COM1_PORTS], [COM1_IRQ]],
] as const;

function buildDsdt(vcpus: number): Uint8Array {
  const processors = Array.from({ length: vcpus }, (_, vcpu) =>
    aml.device(
      `C${vcpu.toString(16).toUpperCase().padStart(3, "0")}`,
      aml.name("_HID", aml.string("ACPI0007")), // processor device
      aml.name("_UID", aml.integer(vcpu)),
    ),
  );
  const devices = DEVICES.map(([name, pnp, ports, irqs]) =>
    aml.device(name, aml.name("_HID", aml.string(pnp)), aml.name("_UID", aml.integer(0)), aml.name("_CRS", aml.resources(ports, irqs))),
  );
  const type = aml.integer(SLEEP_S5);
  const body = [...aml.scope("\\_SB", ...processors, ...devices), ...aml.name("\\_S5", aml.pkg(type, type, aml.integer(0), aml.integer(0)))];
  return table("DSDT", 2, body.length, (view) => new Uint8Array(view.buffer).set(body, HEADER));
}
