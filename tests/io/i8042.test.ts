/** 8042 and the other small ports of a PC: what each command answers, A20 from two sides, reset, debug exit, POST codes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { A20Gate } from "../../src/io/a20";
import { PioBus } from "../../src/io/bus";
import { DEBUG_EXIT_PORTS, DebugExit } from "../../src/io/debug_exit";
import { I8042 } from "../../src/io/i8042";
import { Port92 } from "../../src/io/port92";
import { PostCode } from "../../src/io/post_code";

class Rig {
  irq = false;
  rises = 0;
  resets = 0;
  readonly a20Changes: boolean[] = [];
  readonly a20 = new A20Gate((open) => void this.a20Changes.push(open));
  readonly port92 = new Port92(this.a20, () => void this.resets++);
  readonly chip = new I8042(
    {
      set: (asserted) => {
        if (asserted && !this.irq) this.rises++;
        this.irq = asserted;
      },
    },
    this.a20,
    () => void this.resets++,
  );
  command(value: number, ...data: number[]): this {
    this.chip.command.write(0, 1, value);
    return this.data(...data);
  }
  data(...values: number[]): this {
    for (const value of values) this.chip.data.write(0, 1, value);
    return this;
  }
  get status(): number {
    return this.chip.command.read(0, 1);
  }
  /** All that waits in the output buffer. */
  answers(): number[] {
    const bytes: number[] = [];
    while (this.status & 1) bytes.push(this.chip.data.read(0, 1));
    return bytes;
  }
}

const test = suite("8042 and system ports");

//  command, data            answers
const COMMANDS: [string, number[], number[]][] = [
  ["self-test", [0xaa], [0x55]],
  ["keyboard interface test", [0xab], [0x00]],
  ["mouse interface test: nothing there", [0xa9], [0x02]],
  ["configuration", [0x20], [0x20]],
  ["input port", [0xc0], [0x80]],
  ["output port", [0xd0], [0xc3]],
  ["output buffer written", [0xd2, 0x1c], [0x1c]],
  ["data for no mouse", [0xd4, 0xff], []],
];
for (const [name, [command, ...data], answers] of COMMANDS) {
  test(`command: ${name}`, () => assert.equal(new Rig().command(command, ...data).answers(), answers));
}

//  to the keyboard          answers
const KEYBOARD: [string, number[], number[]][] = [
  ["reset", [0xff], [0xfa, 0xaa]],
  ["identify", [0xf2], [0xfa, 0xab, 0x83]],
  ["LEDs", [0xed, 0x07], [0xfa, 0xfa]],
  ["which scan codes", [0xf0, 0x00], [0xfa, 0xfa, 0x02]],
  ["scan codes 1", [0xf0, 0x01, 0xf0, 0x00], [0xfa, 0xfa, 0xfa, 0xfa, 0x01]],
  ["echo", [0xee], [0xee]],
  ["enable, disable, defaults", [0xf4, 0xf5, 0xf6], [0xfa, 0xfa, 0xfa]],
  ["nonsense", [0x12], [0xfe]],
];
for (const [name, data, answers] of KEYBOARD) {
  test(`keyboard: ${name}`, () => assert.equal(new Rig().data(...data).answers(), answers));
}

test("status: output full, system flag after the self-test, where the last write went", () => {
  const rig = new Rig();
  assert.is(rig.status, 0x10);
  rig.command(0xaa);
  assert.is(rig.status, 0x1d);
  rig.answers();
  assert.is(rig.data(0xee).status, 0x15);
});

test("bytes interrupt if the configuration says so, one edge each", () => {
  const rig = new Rig().command(0xaa);
  assert.not(rig.irq);
  rig.answers();
  rig.command(0x60, 0x45).data(0xff);
  assert.ok(rig.irq);
  assert.equal(rig.answers(), [0xfa, 0xaa]);
  assert.equal([rig.rises, rig.irq], [2, false]);
});

test("a driver that reads nothing is not answered for ever", () => {
  const rig = new Rig();
  for (let n = 0; n < 1000; n++) rig.command(0xaa).data(0xf2);
  assert.ok(rig.answers().length <= 18);
});

test("both ways to the A20 gate, the last one counts", () => {
  const rig = new Rig();
  assert.is(rig.port92.read(0, 1) & 2, 2);
  rig.command(0xd1, 0xdd);
  assert.is(rig.port92.read(0, 1) & 2, 0);
  rig.port92.write(0, 1, 2);
  assert.is(rig.command(0xd0).answers()[0] & 2, 2);
  rig.command(0xdd).command(0xdf).command(0xdf);
  assert.equal(rig.a20Changes, [false, true, false, true]);
  assert.is(rig.resets, 0);
});

//  what                                         resets
const RESETS: [string, (rig: Rig) => unknown, number][] = [
  ["pulse 0xfe", (rig) => rig.command(0xfe), 1],
  ["pulse 0xff pulls nothing", (rig) => rig.command(0xff), 0],
  ["output port bit 0", (rig) => rig.command(0xd1, 0xde), 1],
  ["port 0x92 bit 0 rises", (rig) => rig.port92.write(0, 1, 3), 1],
  ["port 0x92 bit 0 stays", (rig) => [3, 3].forEach((value) => rig.port92.write(0, 1, value)), 1],
];
for (const [name, act, resets] of RESETS) {
  test(`reset: ${name}`, () => {
    const rig = new Rig();
    act(rig);
    assert.is(rig.resets, resets);
  });
}

test("debug exit: (code << 1) | 1, in any width", () => {
  const seen: number[] = [];
  const bus = new PioBus();
  bus.attach(DEBUG_EXIT_PORTS, new DebugExit((status) => void seen.push(status)));
  bus.write(0xf4, 1, 0);
  bus.write(0xf4, 1, 0xff);
  bus.write(0xf4, 4, 0x10);
  assert.equal(seen, [1, 0x1ff, 0x21]);
});

test("POST codes are logged when they change", () => {
  const lines: string[] = [];
  const port = new PostCode(0x80, (line) => void lines.push(line));
  for (const code of [1, 1, 0x2a, 1]) port.write(0, 1, code);
  assert.equal(lines, ["port 0x80: POST code 0x01", "port 0x80: POST code 0x2a", "port 0x80: POST code 0x01"]);
});

test("a device behind others gets the ports that are left, with its own offsets", () => {
  const log: string[] = [];
  const device = (name: string) => ({
    read: (offset: number) => {
      log.push(`${name}${offset}`);
      return 0;
    },
    write: () => {},
  });
  const bus = new PioBus();
  bus.attach({ base: 0x3fa, length: 2 }, device("own"));
  bus.attachBehind({ base: 0x3f8, length: 8 }, device("com"));
  for (const port of [0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3ff]) bus.read(port, 1);
  assert.equal(log, ["com0", "com1", "own0", "own1", "com4", "com7"]);
});

test.run();
