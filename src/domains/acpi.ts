/** ACPI tables of a PVH domain (ACPI specification 5.0, chapter 5 "ACPI Software Programming Model"):
 *  RSDP -> XSDT -> FADT (-> DSDT), MADT. The machine has no PM registers, no SCI, no PIC, PIT, RTC, 8042 or VGA, so the FADT
 *  says "hardware-reduced": a guest then looks for none of them. There is no I/O APIC: interrupts are event channels,
 *  and the local APICs serve timers and IPIs. */
import * as aml from "./aml";
import { LAPIC_START } from "./memory_map";

export interface AcpiConfig {
  /** Guest-physical address of the tables. */
  base: number;
  /** vCPUs online at start, and in all; the others can be brought online later. */
  vcpus: number;
  maxVcpus: number;
  /** I/O port of an ACPI sleep control register, the status register after it. With it the DSDT has \_S5; without, a guest
   *  that knows no SCHEDOP_shutdown can only halt all vCPUs with interrupts off, which Xen takes for a power-off. */
  sleepPort?: number;
}

export interface AcpiTables {
  /** Bytes from `base` on. */
  tables: Uint8Array;
  rsdp: Uint8Array;
  /** Address of each table by signature. */
  at: Record<string, number>;
}

/** As many as the MADT's 8-bit APIC ids of 2 * vcpu allow (HVM_MAX_VCPUS, public/hvm/hvm_info_table.h). */
export const MAX_PVH_VCPUS = 128;

/** SLP_TYP of S5, free to choose: the same number in \_S5 and in what the guest writes. */
export const SLEEP_TYPE_S5 = 5;

export const HEADER = 36;
const ALIGNMENT = 64;

export function buildAcpi(config: AcpiConfig): AcpiTables {
  const tables = new TableSet(config.base);
  const dsdt = tables.place(buildDsdt(config));
  const fadt = tables.place(buildFadt(dsdt, config.sleepPort));
  const madt = tables.place(buildMadt(config));
  return tables.finish([fadt, madt]);
}

/** Tables one after the other from an address on. */
export class TableSet {
  private readonly at: Record<string, number> = {};
  private readonly parts: Uint8Array[] = [];
  private end = 0;

  constructor(private readonly base: number) {}

  /** Its address. */
  place(table: Uint8Array): number {
    const address = this.base + this.end;
    const padded = Math.ceil(table.length / ALIGNMENT) * ALIGNMENT;
    this.parts.push(table, new Uint8Array(padded - table.length));
    this.end += padded;
    this.at[String.fromCharCode(...table.subarray(0, 4))] = address;
    return address;
  }

  /** Everything, with an XSDT of those at `addresses`. */
  finish(addresses: readonly number[]): AcpiTables {
    const xsdt = this.place(buildXsdt(addresses));
    const tables = new Uint8Array(this.end);
    let offset = 0;
    for (const part of this.parts) {
      tables.set(part, offset);
      offset += part.length;
    }
    return { tables, rsdp: buildRsdp(xsdt), at: this.at };
  }
}

/** RSDP, revision 2: only the XSDT, no 32-bit RSDT. */
function buildRsdp(xsdt: number): Uint8Array {
  const bytes = new Uint8Array(36);
  const view = new DataView(bytes.buffer);
  write(bytes, 0, "RSD PTR ");
  write(bytes, 9, OEM_ID);
  bytes[15] = 2;
  view.setUint32(20, bytes.length, true);
  view.setBigUint64(24, BigInt(xsdt), true);
  bytes[8] = checksum(bytes.subarray(0, 20)); // the fields of revision 0
  bytes[32] = checksum(bytes);
  return bytes;
}

function buildXsdt(tables: readonly number[]): Uint8Array {
  return table("XSDT", 1, tables.length * 8, (view) => {
    for (const [n, address] of tables.entries()) view.setBigUint64(HEADER + n * 8, BigInt(address), true);
  });
}

/** FADT flags and the IA-PC boot architecture flags. */
const enum Fadt {
  WBINVD = 1 << 0,
  PROC_C1 = 1 << 2,
  PWR_BUTTON = 1 << 4, // no fixed-hardware power button
  SLP_BUTTON = 1 << 5, // no fixed-hardware sleep button
  FIX_RTC = 1 << 6, // no RTC wake status in fixed registers
  HW_REDUCED_ACPI = 1 << 20,
  NO_VGA = 1 << 2,
  NO_CMOS_RTC = 1 << 5,
}

function buildFadt(dsdt: number, sleepPort: number | undefined): Uint8Array {
  return table("FACP", 5, 268 - HEADER, (view) => {
    view.setUint32(40, dsdt, true);
    view.setUint16(96, 0xffff, true); // P_LVL2_LAT: above 100, no C2
    view.setUint16(98, 0xffff, true); // P_LVL3_LAT: above 1000, no C3
    view.setUint16(109, Fadt.NO_VGA | Fadt.NO_CMOS_RTC, true);
    view.setUint32(
      112,
      Fadt.WBINVD | Fadt.PROC_C1 | Fadt.PWR_BUTTON | Fadt.SLP_BUTTON | Fadt.FIX_RTC | Fadt.HW_REDUCED_ACPI,
      true,
    );
    view.setBigUint64(140, BigInt(dsdt), true);
    if (sleepPort !== undefined) {
      genericAddress(view, 244, sleepPort);
      genericAddress(view, 256, sleepPort + 1);
    }
  });
}

/** Generic Address Structure of a register in I/O space. */
export function genericAddress(view: DataView, at: number, port: number, bits = 8): void {
  view.setUint8(at, 1); // system I/O
  view.setUint8(at + 1, bits);
  view.setUint8(at + 3, bits === 8 ? 1 : bits === 16 ? 2 : 3); // accessed by bytes, words, double words
  view.setBigUint64(at + 4, BigInt(port), true);
}

/** One "Processor Local APIC" entry per vCPU. Xen's APIC ids are twice the vCPU numbers; the ACPI processor id is the vCPU
 *  number, which is what Linux takes for VCPUOP calls. */
function buildMadt({ vcpus, maxVcpus }: AcpiConfig): Uint8Array {
  return table("APIC", 3, 8 + maxVcpus * 8, (view) => {
    view.setUint32(HEADER, LAPIC_START, true);
    for (let vcpu = 0; vcpu < maxVcpus; vcpu++) {
      const at = HEADER + 8 + vcpu * 8;
      view.setUint8(at + 1, 8);
      view.setUint8(at + 2, vcpu);
      view.setUint8(at + 3, apicId(vcpu));
      view.setUint32(at + 4, vcpu < vcpus ? 1 : 0, true);
    }
  });
}

export const apicId = (vcpu: number): number => vcpu * 2;

function buildDsdt({ vcpus, maxVcpus, sleepPort }: AcpiConfig): Uint8Array {
  const processors = Array.from({ length: maxVcpus }, (_, vcpu) =>
    aml.device(
      `C${vcpu.toString(16).toUpperCase().padStart(3, "0")}`,
      aml.name("_HID", aml.string("ACPI0007")), // processor device
      aml.name("_UID", aml.integer(vcpu)),
      aml.name("_STA", aml.integer(vcpu < vcpus ? 0xf : 0)),
    ),
  );
  const body: number[] = [...aml.scope("\\_SB", ...processors)];
  if (sleepPort !== undefined) {
    const type = aml.integer(SLEEP_TYPE_S5);
    body.push(...aml.name("\\_S5", aml.pkg(type, type, aml.integer(0), aml.integer(0))));
  }
  return table("DSDT", 2, body.length, (view) => new Uint8Array(view.buffer).set(body, HEADER));
}

const OEM_ID = "Xen";

/** A table with its header (ACPI 5.0, "System Description Table Header"). */
export function table(signature: string, revision: number, bodySize: number, fill: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(HEADER + bodySize);
  const view = new DataView(bytes.buffer);
  write(bytes, 0, signature);
  view.setUint32(4, bytes.length, true);
  bytes[8] = revision;
  write(bytes, 10, OEM_ID);
  write(bytes, 16, "HVM");
  write(bytes, 28, "XENL");
  view.setUint32(32, 1, true);
  fill(view);
  bytes[9] = checksum(bytes);
  return bytes;
}

export function write(bytes: Uint8Array, at: number, text: string): void {
  for (let n = 0; n < text.length; n++) bytes[at + n] = text.charCodeAt(n);
}

/** The byte that makes all sum to 0, given that its place holds 0. */
const checksum = (bytes: Uint8Array): number => -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
