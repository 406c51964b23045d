/** A guest believes ACPI tables only if every one sums to zero, and complains of whatever contradicts the specification. So: checksums and
 *  pointers by hand, the bytes of AML by the grammar, and the whole by iasl, an independent reader, where it is installed. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type AcpiTables, buildAcpi } from "../../src/domains/acpi";
import * as aml from "../../src/domains/aml";

const test = suite("ACPI tables of a PVH domain (ACPI 5.0)");
const BASE = 0xfc000000;
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => total + byte, 0) & 0xff;
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const ascii = (bytes: Uint8Array, at: number, size: number): string => String.fromCharCode(...bytes.subarray(at, at + size));

function tableAt({ tables }: AcpiTables, address: number): Uint8Array {
  const at = address - BASE;
  return tables.subarray(at, at + view(tables).getUint32(at + 4, true));
}

for (const [vcpus, maxVcpus, sleepPort] of [[1, 1], [2, 4], [128, 128], [3, 3, 0x600]] as const)
  test(`${vcpus} of ${maxVcpus} vCPUs${sleepPort ? " and a sleep port" : ""}: tables sum to 0 and are reached from the RSDP`, () => {
    const acpi = buildAcpi({ base: BASE, vcpus, maxVcpus, sleepPort });
    const { rsdp } = acpi;
    assert.is(ascii(rsdp, 0, 8), "RSD PTR ");
    assert.is(sum(rsdp.subarray(0, 20)), 0);
    assert.is(sum(rsdp), 0);
    assert.is(rsdp[15], 2);
    const xsdt = tableAt(acpi, Number(view(rsdp).getBigUint64(24, true)));
    assert.is(ascii(xsdt, 0, 4), "XSDT");
    assert.is(sum(xsdt), 0);
    const entries = Array.from({ length: (xsdt.length - 36) / 8 }, (_, n) => Number(view(xsdt).getBigUint64(36 + 8 * n, true)));
    const [fadt, madt] = entries.map((address) => tableAt(acpi, address));
    assert.equal([fadt, madt].map((table) => ascii(table, 0, 4)), ["FACP", "APIC"]);
    for (const table of [fadt, madt]) assert.is(sum(table), 0);

    assert.is(fadt.length, 268);
    const dsdt = tableAt(acpi, Number(view(fadt).getBigUint64(140, true)));
    assert.is(view(fadt).getUint32(40, true), Number(view(fadt).getBigUint64(140, true)));
    assert.is(ascii(dsdt, 0, 4), "DSDT");
    assert.is(sum(dsdt), 0);
    assert.is(view(fadt).getUint32(112, true) & (1 << 20), 1 << 20); // HW_REDUCED_ACPI
    assert.is(view(fadt).getUint16(109, true), 0b100100); // no VGA, no CMOS RTC: how Linux tells PVH from HVM after GRUB
    assert.is(view(fadt).getBigUint64(248, true), BigInt(sleepPort ?? 0));

    assert.is(view(madt).getUint32(36, true), 0xfee00000);
    assert.is(madt.length, 44 + 8 * maxVcpus);
    for (let n = 0; n < maxVcpus; n++)
      assert.equal([...madt.subarray(44 + 8 * n, 52 + 8 * n)], [0, 8, n, 2 * n, n < vcpus ? 1 : 0, 0, 0, 0]);
  });

//  term                                   bytes (ACPI 6.3, 20.2)
const TERMS = [
  ["Zero", aml.integer(0), [0x00]],
  ["One", aml.integer(1), [0x01]],
  ["a byte", aml.integer(0xff), [0x0a, 0xff]],
  ["a word", aml.integer(0x100), [0x0b, 0x00, 0x01]],
  ["a dword", aml.integer(0xfedcba98), [0x0c, 0x98, 0xba, 0xdc, 0xfe]],
  ["a string", aml.string("AB"), [0x0d, 0x41, 0x42, 0]],
  ["a name, padded", aml.name("_S5", aml.integer(1)), [0x08, 0x5f, 0x53, 0x35, 0x5f, 1]],
  ["a package", aml.pkg(aml.integer(5), aml.integer(0)), [0x12, 0x05, 2, 0x0a, 5, 0]],
  ["a scope at the root", aml.scope("\\_SB"), [0x10, 0x06, 0x5c, 0x5f, 0x53, 0x42, 0x5f]],
  ["a device", aml.device("C000"), [0x5b, 0x82, 0x05, 0x43, 0x30, 0x30, 0x30]],
] as const;
for (const [what, made, expected] of TERMS) test(`AML of ${what}`, () => assert.equal([...made], [...expected]));

//  content size -> PkgLength bytes: it counts itself
const LENGTHS = [
  [57, [0x3e]], // 4 of the name and 57 make 61, with itself 62
  [58, [0x3f]],
  [59, [0x41, 0x04]], // 63 and two bytes: 65 = 0x41
  [4000, [0x46 | 0, 0xfa]], // 4004 + 2 = 0xfa6
  [4096, [0x87, 0x00, 0x01]], // 4100 + 3 = 0x1007
] as const;
for (const [size, expected] of LENGTHS)
  test(`a scope around ${size} bytes has a length of ${expected.length} bytes`, () => {
    const made = aml.scope("ABCD", Array.from({ length: size }, () => 0));
    assert.equal([...made].slice(1, 1 + expected.length), [...expected]);
    assert.is(made.length, 1 + expected.length + 4 + size);
  });

const iasl = spawnSync("iasl", ["-v"]).status === 0;
if (!iasl) console.log("skipped: iasl is not installed (Debian: acpica-tools)");
(iasl ? test : test.skip)("iasl disassembles every table without error or warning, and compiles the DSDT to the same bytes", () => {
  const folder = mkdtempSync(join(tmpdir(), "acpi-"));
  try {
    const acpi = buildAcpi({ base: BASE, vcpus: 2, maxVcpus: 3, sleepPort: 0x600 });
    for (const [signature, address] of Object.entries(acpi.at)) {
      const file = join(folder, `${signature}.aml`);
      writeFileSync(file, tableAt(acpi, address));
      const { stdout, stderr, status } = spawnSync("iasl", ["-d", file], { encoding: "utf8" });
      assert.is(status, 0, `${signature}: ${stderr}`);
      const listing = readFileSync(join(folder, `${signature}.dsl`), "utf8");
      assert.not.match(stdout + stderr + listing, /\b(error|warning|invalid|incorrect)\b/i);
      if (signature !== "DSDT") continue;
      assert.match(listing, /Device \(C001\)/);
      assert.match(listing, /Name \(\\_S5, Package/);
      spawnSync("iasl", ["-oa", "-p", join(folder, "again"), join(folder, "DSDT.dsl")]);
      const again = readFileSync(join(folder, "again.aml"));
      assert.equal([...again.subarray(36)], [...tableAt(acpi, address).subarray(36)]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
