/** MP tables as a kernel reads them (Intel MultiProcessor Specification 1.4, chapter 4): found by the search, summed, walked by entry lengths. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildMpTable } from "../../src/domains/mp_table";

const test = suite("MP tables");
const AT = 0xff200;
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const ENTRY_LENGTH = [20, 8, 8, 8, 8];

interface Tables {
  readonly pointer: Uint8Array;
  readonly config: Uint8Array;
  readonly entries: Uint8Array[];
}

/** As "Floating Pointer Structure" says: on 16-byte boundaries of the BIOS's 64 KiB. */
function find(vcpus: number): Tables {
  const bios = new Uint8Array(0x10000);
  bios.set(buildMpTable(AT, vcpus), AT - 0xf0000);
  const view = new DataView(bios.buffer);
  const places: number[] = [];
  for (let at = 0; at < bios.length; at += 16) if (text(bios.subarray(at, at + 4)) === "_MP_") places.push(at);
  assert.equal(places, [AT - 0xf0000]);
  const [at] = places;
  const pointer = bios.subarray(at, at + 16 * bios[at + 8]);
  const table = view.getUint32(at + 4, true) - 0xf0000;
  const config = bios.subarray(table, table + view.getUint16(table + 4, true));
  const entries: Uint8Array[] = [];
  let next = 44;
  for (let n = view.getUint16(table + 34, true); n > 0; n--) {
    const length = ENTRY_LENGTH[config[next]];
    entries.push(config.subarray(next, next + length));
    next += length;
  }
  assert.is(next, config.length, "the entries fill the table");
  return { pointer, config, entries };
}

test("the pointer: one paragraph, revision 1.4, no default configuration, virtual wire", () => {
  const { pointer } = find(1);
  assert.is(sum(pointer), 0);
  assert.equal([pointer.length, pointer[9], pointer[11], pointer[12]], [16, 4, 0, 0]);
});

test("the header: signature, sum, names padded with blanks, the local APICs' address", () => {
  const { config } = find(1);
  assert.is(text(config.subarray(0, 4)), "PCMP");
  assert.is(sum(config), 0);
  assert.is(config[6], 4);
  assert.match(text(config.subarray(8, 28)), /^[ -~]{20}$/);
  assert.is(new DataView(config.buffer, config.byteOffset).getUint32(36, true), 0xfee00000);
  assert.equal([...config.subarray(40, 44)], [0, 0, 0, 0], "no extended entries");
});

test("entries come by type; one processor boots", () => {
  const { entries } = find(3);
  const types = entries.map(([type]) => type);
  assert.equal(types, [...types].sort());
  const processors = entries.filter(([type]) => type === 0);
  assert.equal(processors.map((entry) => [entry[1], entry[2], entry[3]]), [[0, 0x14, 3], [2, 0x14, 1], [4, 0x14, 1]]);
});

test("an ISA bus, an I/O APIC at its address", () => {
  const { entries } = find(1);
  assert.equal(entries.filter(([type]) => type === 1).map((entry) => [entry[1], text(entry.subarray(2))]), [[0, "ISA   "]]);
  assert.equal(entries.filter(([type]) => type === 2).map((entry) => [...entry]), [[2, 1, 0x20, 1, 0x00, 0x00, 0xc0, 0xfe]]);
});

//  ISA line -> pin, as io/pc.ts wires them: line 0 at pin 2, 9 is ACPI's level
const PINS: readonly (readonly [irq: number, pin: number, flags: number])[] = [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((irq) => [irq, irq === 0 ? 2 : irq, irq === 9 ? 13 : 0]);
test("each line is one pin; the 8259s are at pin 0 and LINT0, NMI at LINT1", () => {
  const { entries } = find(1);
  const interrupts = entries.filter(([type]) => type === 3).map((entry) => ({ type: entry[1], flags: entry[2] | (entry[3] << 8), bus: entry[4], irq: entry[5], apic: entry[6], pin: entry[7] }));
  assert.ok(interrupts.every(({ bus, apic }) => bus === 0 && apic === 1));
  assert.equal(interrupts.filter(({ type }) => type === 0).map(({ irq, pin, flags }) => [irq, pin, flags]), PINS.map((row) => [...row]));
  assert.equal(interrupts.filter(({ type }) => type === 3).map(({ pin }) => pin), [0]);
  assert.equal(entries.filter(([type]) => type === 4).map((entry) => [entry[1], entry[6], entry[7]]), [[3, 0xff, 0], [1, 0xff, 1]]);
});
test.run();
