/** Ports: a device sees offsets in its own range; nothing answers with all ones; overlap is refused. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type AccessSize, BusError, PioBus, type PioDevice } from "../../src/io/bus";
import { DEBUG_PORT, DebugPort } from "../../src/io/debug_port";

class Recorder implements PioDevice {
  readonly log: string[] = [];
  constructor(private readonly value = 0x12345678) {}
  read(offset: number, size: AccessSize): number {
    this.log.push(`r${offset}.${size}`);
    return this.value >>> (8 * offset);
  }
  write(offset: number, size: AccessSize, value: number): void {
    this.log.push(`w${offset}.${size}=${value.toString(16)}`);
  }
}

const bus = suite("Port bus");

bus("unclaimed ports read all ones of the access size and swallow writes", () => {
  const pio = new PioBus();
  assert.equal([pio.read(0x80, 1), pio.read(0x80, 2), pio.read(0x80, 4)], [0xff, 0xffff, 0xffffffff]);
  assert.equal([pio.read(0xffff, 4), pio.read(0xfffe, 2)], [0xffffffff, 0xffff]);
  pio.write(0xffff, 4, 1);
});

bus("a device sees offsets and sizes; results are cut to the size and unsigned", () => {
  const pio = new PioBus();
  const device = new Recorder(-1);
  pio.attach({ base: 0x3f8, length: 8 }, device);
  assert.equal([pio.read(0x3f8, 1), pio.read(0x3fa, 2), pio.read(0x3fc, 4)], [0xff, 0xffff, 0xffffffff]);
  pio.write(0x3ff, 1, 0x1ff);
  pio.write(0x3f8, 4, -1);
  assert.equal(device.log, ["r0.1", "r2.2", "r4.4", "w7.1=ff", "w0.4=ffffffff"]);
});

bus("an access that no one device covers is split into bytes", () => {
  const pio = new PioBus();
  const [low, high] = [new Recorder(0x11), new Recorder(0x22)];
  pio.attach({ base: 0x100, length: 1 }, low);
  pio.attach({ base: 0x102, length: 1 }, high);
  assert.is(pio.read(0x100, 4), 0xff22ff11);
  pio.write(0x100, 4, 0x44332211);
  assert.equal(low.log, ["r0.1", "w0.1=11"]);
  assert.equal(high.log, ["r0.1", "w0.1=33"]);
});

const RANGES = [
  [0x0f8, 8, "ok"],
  [0x108, 1, "ok"],
  [0x0f9, 8, "overlap"],
  [0x107, 4, "overlap"],
  [0x102, 1, "overlap"],
  [0x0f0, 64, "overlap"],
  [-1, 2, "bad"],
  [0xffff, 2, "bad"],
  [0x200, 0, "bad"],
  [0xffff, 1, "ok"],
] as const;
for (const [base, length, outcome] of RANGES)
  bus(`range ${base}+${length} beside 0x100+8: ${outcome}`, () => {
    const pio = new PioBus();
    pio.attach({ base: 0x100, length: 8 }, new Recorder());
    const attach = () => pio.attach({ base, length }, new Recorder());
    if (outcome === "ok") assert.not.throws(attach);
    else assert.throws(attach, (error: unknown) => error instanceof BusError);
  });

bus("a detached device no longer answers", () => {
  const pio = new PioBus();
  const device = new Recorder();
  pio.attach({ base: 1, length: 1 }, device);
  pio.detach(device);
  assert.is(pio.read(1, 1), 0xff);
  pio.attach({ base: 1, length: 1 }, new Recorder());
});

bus("port 0xE9 collects printable lines", () => {
  const lines: string[] = [];
  const pio = new PioBus();
  const port = new DebugPort((line) => lines.push(line));
  pio.attach(DEBUG_PORT, port);
  for (const char of "hello\tyou\n\x1b[2J\r\x07\n\nrest") pio.write(0xe9, 1, char.charCodeAt(0));
  port.log.end();
  port.log.end();
  assert.equal(lines, ["hello\tyou", "[2J", "", "rest"]);
  for (let n = 0; n < 1000; n++) pio.write(0xe9, 1, 0x41);
  assert.is(lines.length, 9);
  assert.is(pio.read(0xe9, 1), 0xff);
});

bus.run();
