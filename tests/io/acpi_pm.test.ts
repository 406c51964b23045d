/** ACPI's fixed hardware (ACPI 5.0, "ACPI Register Model"): the timer's rate and carry, events and their interrupt, soft off. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { AcpiPm, SLEEP_S5 } from "../../src/io/acpi_pm";

const STATUS = 0;
const ENABLE = 2;
const CONTROL = 4;
const TIMER = 8;
const HZ = 3_579_545;

function pm() {
  const at = { now: 0, sci: false, off: 0 };
  const device = new AcpiPm({ nowNs: () => at.now }, { set: (asserted) => (at.sci = asserted) }, () => at.off++);
  return { at, device };
}
const test = suite("ACPI fixed hardware");

test("the timer counts 3.579545 MHz in 32 bits, by whole accesses or bytes", () => {
  const { at, device } = pm();
  //  ns            timer
  const CASES = [
    [0, 0],
    [1e9, HZ],
    [60e9, 60 * HZ],
    [1200e9, (1200 * HZ) % 2 ** 32],
  ] as const;
  for (const [ns, count] of CASES) {
    at.now = ns;
    assert.is(device.read(TIMER, 4), count);
    const bytes = [0, 1, 2, 3].map((n) => device.read(TIMER + n, 1));
    assert.is(bytes.reduceRight((value, byte) => value * 256 + byte, 0), count);
    device.write(TIMER, 4, 0xffff_ffff);
    assert.is(device.read(TIMER, 4), count, "read-only");
  }
});

test("bit 31 of the timer changing sets the carry status, which interrupts where enabled", () => {
  const { at, device } = pm();
  const half = (2 ** 31 * 1e9) / HZ;
  assert.is(device.deadline, Number.POSITIVE_INFINITY);
  device.write(ENABLE, 2, 1);
  assert.ok(Math.abs(device.deadline - half) < 1);
  at.now = device.deadline - 1000;
  device.tick();
  assert.is(at.sci, false);
  at.now = device.deadline;
  device.tick();
  assert.is(at.sci, true);
  assert.is(device.read(STATUS, 2), 1);
  assert.is(device.deadline, Number.POSITIVE_INFINITY, "until it is cleared");
  device.write(STATUS, 2, 0);
  assert.is(at.sci, true, "0 clears nothing");
  device.write(STATUS, 2, 1);
  assert.is(at.sci, false);
  assert.ok(Math.abs(device.deadline - 2 * half) < 1);
});

test("the clock's interrupt is an event", () => {
  const { at, device } = pm();
  const line = device.clockLine;
  line.set(true);
  assert.is(device.read(STATUS, 2), 0x400);
  assert.is(at.sci, false);
  device.write(ENABLE, 2, 0x400);
  assert.is(at.sci, true);
  device.write(STATUS + 1, 1, 4);
  assert.is(at.sci, false);
  line.set(true);
  assert.is(device.read(STATUS, 2), 0, "an edge");
  line.set(false);
  line.set(true);
  assert.is(device.read(STATUS, 2), 0x400);
});

test("only the events there are can be enabled", () => {
  const { device } = pm();
  device.write(ENABLE, 2, 0xffff);
  assert.is(device.read(ENABLE, 2), 0x0421);
});

test("control: always in ACPI mode; SLP_EN reads 0 and sleeps only as far as there are states", () => {
  const { at, device } = pm();
  assert.is(device.read(CONTROL, 2), 1);
  device.write(CONTROL, 2, 0x2000 | (1 << 10));
  assert.is(device.read(CONTROL, 2), 0x0401);
  device.write(CONTROL, 2, SLEEP_S5 << 10);
  assert.is(at.off, 0, "not without SLP_EN");
  device.write(CONTROL, 2, 0x2000 | (SLEEP_S5 << 10));
  assert.is(at.off, 1);
});
test.run();
