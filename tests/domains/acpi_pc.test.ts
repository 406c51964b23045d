/** ACPI tables of the bare PC: the registers they name are those the devices have, and iasl, where it is installed, reads the AML
 *  back. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildPcAcpi } from "../../src/domains/acpi_pc";
import * as aml from "../../src/domains/aml";

const BASE = 0xfc00_0000;
const { tables, rsdp, at } = buildPcAcpi(BASE, 1);
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const tableAt = (address: number): Uint8Array => {
  const from = address - BASE;
  return tables.subarray(from, from + view(tables).getUint32(from + 4, true));
};
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => total + byte, 0) & 0xff;
const test = suite("ACPI tables of the bare PC (ACPI 5.0)");

test("RSDP, XSDT and what it lists sum to 0", () => {
  assert.is(sum(rsdp), 0);
  const xsdt = tableAt(Number(view(rsdp).getBigUint64(24, true)));
  assert.is(sum(xsdt), 0);
  const listed = [0, 1].map((n) => Number(view(xsdt).getBigUint64(36 + 8 * n, true)));
  assert.equal(listed, [at.FACP, at.APIC]);
  for (const address of [...listed, at.DSDT]) assert.is(sum(tableAt(address)), 0);
});

//  offset, bytes, value: "Fixed ACPI Description Table (FADT)"
const FADT: readonly (readonly [string, number, number, number])[] = [
  ["SCI_INT", 46, 2, 9],
  ["SMI_CMD: no way out of ACPI mode", 48, 4, 0],
  ["PM1a_EVT_BLK", 56, 4, 0xb000],
  ["PM1a_CNT_BLK", 64, 4, 0xb004],
  ["PM_TMR_BLK", 76, 4, 0xb008],
  ["PM1_EVT_LEN", 88, 1, 4],
  ["PM1_CNT_LEN", 89, 1, 2],
  ["PM_TMR_LEN", 91, 1, 4],
  ["CENTURY", 108, 1, 0x32],
  ["IAPC_BOOT_ARCH: legacy devices, 8042, no VGA", 109, 2, 7],
  ["flags: WBINVD, PROC_C1, no fixed buttons, 32-bit timer, reset register", 112, 4, 0x535],
  ["RESET_REG: 8 bits in I/O space", 116, 4, 0x01000801],
  ["RESET_REG: port", 120, 4, 0x64],
  ["RESET_VALUE", 128, 1, 0xfe],
  ["X_PM_TMR_BLK: 32 bits in I/O space", 208, 4, 0x03002001],
];
test("FADT", () => {
  const fadt = tableAt(at.FACP);
  assert.is(fadt.length, 268);
  assert.is(view(fadt).getUint32(36, true), at.FACS);
  assert.is(view(fadt).getUint32(40, true), at.DSDT);
  assert.is(at.FACS % 64, 0);
  for (const [name, offset, size, value] of FADT) {
    const read = fadt.subarray(offset, offset + size).reduceRight((total, byte) => total * 256 + byte, 0);
    assert.is(read, value, name);
  }
});

test("MADT: processor, I/O APIC, timer at pin 2, SCI by level, NMI at LINT1", () => {
  const madt = tableAt(at.APIC);
  assert.is(view(madt).getUint32(36, true), 0xfee0_0000);
  assert.is(view(madt).getUint32(40, true), 1, "8259s");
  assert.equal(
    [...madt.subarray(44)],
    [
      [0, 8, 0, 0, 1, 0, 0, 0],
      [1, 12, 1, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
      [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
      [2, 10, 0, 9, 9, 0, 0, 0, 13, 0],
      [4, 6, 0xff, 0, 0, 1],
    ].flat(),
  );
});

test("a resource template, by the grammar", () => {
  assert.equal(
    [...aml.resources([{ base: 0x3f8, length: 8 }], [4])],
    [0x11, 0x10, 0x0a, 0x0d, 0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x22, 0x10, 0, 0x79, 0],
  );
});

(spawnSync("iasl", ["-v"]).status === 0 ? test : test.skip)("iasl finds devices and the soft-off state in the DSDT", () => {
  const folder = mkdtempSync(join(tmpdir(), "xenolith-"));
  try {
    writeFileSync(join(folder, "dsdt.aml"), tableAt(at.DSDT));
    const run = spawnSync("iasl", ["-d", "dsdt.aml"], { cwd: folder, encoding: "utf8" });
    assert.is(run.status, 0, run.stderr);
    const source = readFileSync(join(folder, "dsdt.dsl"), "utf8");
    for (const text of ["PNP0501", "PNP0303", "PNP0B00", "_S5, Package", "IRQNoFlags ()", "0x03F8"]) assert.ok(source.includes(text), text);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
test.run();
