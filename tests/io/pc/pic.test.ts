/** 8259A pair at its ports: initialization sequences, polling, edge and level, spurious interrupts (Intel 8259A datasheet). Requests come from
 *  the devices that a program can make ask: the keyboard controller (1), COM1 (4), the clock (8). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcRig } from "../../support/pc_rig";

const test = suite("8259A pair at its ports");

//  what                              ICW1  first, second  ICW3      raised  vector
const SEQUENCES = [
  ["as on a PC", 0x11, 0x08, 0x70, [4, 2], 8, 0x70],
  ["the low bits of ICW2 are the chip's", 0x11, 0x27, 0x2d, [4, 2], 4, 0x24],
  ["without ICW4", 0x10, 0x50, 0x58, [4, 2], 1, 0x51],
  ["no second controller announced", 0x11, 0x20, 0x28, [0, 2], 8, 0x22],
  ["another number for the second: nobody answers", 0x11, 0x20, 0x28, [4, 3], 8, 0xff],
  ["level-triggered as a whole", 0x19, 0x20, 0x28, [4, 2], 8, 0x28],
] as const;
for (const [name, icw1, first, second, wiring, irq, vector] of SEQUENCES)
  test(`initialization ${name}: line ${irq} gives ${vector.toString(16)}`, () => {
    const rig = new PcRig().pics({ icw1, first, second, wiring }).raise(irq);
    assert.ok(rig.intr);
    assert.is(rig.acknowledge(), vector);
  });

test("ICW1 with SNGL takes no ICW3, and no vector is left to a second controller", () => {
  const rig = new PcRig().pics();
  rig.out(0x20, 0x13).out(0x21, 0x60, 0x01).out(0x21, 0x00); // ICW2, ICW4, mask
  assert.is(rig.in(0x21), 0);
  assert.is(rig.raise(8).acknowledge(), 0x62);
});

test("each word of a sequence goes where it belongs; only afterwards the port is the mask", () => {
  const rig = new PcRig().pics();
  for (const port of [0x21, 0xa1] as const) {
    rig.out(port - 1, 0x11);
    assert.is(rig.in(port), 0, "ICW1 clears the mask");
    for (const word of [0xff, 0xff, 0x01]) assert.is(rig.out(port, word).in(port), 0);
    assert.is(rig.out(port, 0x5a).in(port), 0x5a);
  }
});

test("ICW1 begins anew, in the middle of a sequence too", () => {
  const rig = new PcRig().out(0x20, 0x11).out(0x21, 0x90).out(0x20, 0x11).out(0x21, 0x30, 4, 1, 0);
  assert.is(rig.raise(4).acknowledge(), 0x34);
});

test("ICW1 selects the request register for reading", () => {
  const rig = new PcRig().pics().raise(4);
  rig.acknowledge();
  assert.is(rig.isr(), 0x10);
  rig.pics();
  assert.is(rig.in(0x20), 0);
});

/** What is read after OCW3 words, with line 4 in service and line 8 asking: the poll word comes once, from either port, and leaves the
 *  selection as it was. */
const READS: readonly [string, number[], [port: number, value: number][]][] = [
  ["request register", [0x0a], [[0x20, 0x04], [0x20, 0x04], [0x21, 0x00]]],
  ["in-service register", [0x0b], [[0x20, 0x10], [0x20, 0x10]]],
  ["no read command", [0x0b, 0x08], [[0x20, 0x10]]],
  ["RIS without RR", [0x0a, 0x09], [[0x20, 0x04]]],
  ["poll", [0x0b, 0x0c], [[0x20, 0x82], [0x20, 0x14]]],
  ["poll, by the other port", [0x0b, 0x0c], [[0x21, 0x82], [0x21, 0x00], [0x20, 0x14]]],
  ["poll wins over a read command", [0x0b, 0x0e], [[0x20, 0x82], [0x20, 0x14]]],
];
for (const [name, words, reads] of READS)
  test(`reading: ${name}`, () => {
    const rig = new PcRig().pics().raise(4);
    assert.is(rig.acknowledge(), 0x24);
    rig.lower(4).raise(8).out(0x20, ...words);
    assert.equal(reads.map(([port]) => [port, rig.in(port)]), reads);
  });

test("both controllers polled, interrupts off: the first names IR2, the second its line; two EOIs", () => {
  const rig = new PcRig().pics().raise(8);
  assert.is(rig.out(0x20, 0x0c).in(0x20), 0x82);
  assert.is(rig.out(0xa0, 0x0c).in(0xa0), 0x80);
  assert.equal([rig.isr(0x20), rig.isr(0xa0)], [0x04, 0x01]);
  assert.is(rig.out(0xa0, 0x0c).in(0xa0) & 0x80, 0, "nothing more");
  rig.lower(8).out(0xa0, 0x20).out(0x20, 0x20);
  assert.equal([rig.isr(0x20), rig.isr(0xa0)], [0, 0]);
  rig.raise(8);
  assert.is(rig.acknowledge(), 0x28);
});

test("a poll under automatic EOI leaves nothing in service", () => {
  const rig = new PcRig().pics({ icw4: [3, 3] }).raise(4);
  assert.is(rig.out(0x20, 0x0c).in(0x20), 0x84);
  assert.is(rig.isr(), 0);
});

/** A request that goes away before the acknowledge cycle. */
//  raised and gone   level-triggered lines   vector          in service: first, second
const SPURIOUS = [
  [4, [0x10, 0x00], 0x27, 0, 0],
  [8, [0x00, 0x00], 0x27, 0, 0], // IR2 masked at the first one
] as const;
for (const [irq, elcr, vector, first, second] of SPURIOUS)
  test(`line ${irq} is gone when it is acknowledged: vector ${vector.toString(16)}, no EOI due`, () => {
    const rig = new PcRig().pics().out(0x4d0, elcr[0]).out(0x4d1, elcr[1]).raise(irq);
    assert.ok(rig.intr);
    if (irq === 4) rig.lower(4);
    else rig.out(0x21, 0x04);
    assert.not(rig.intr);
    assert.is(rig.acknowledge(), vector);
    assert.equal([rig.isr(0x20), rig.isr(0xa0)], [first, second]);
  });

test("IRQ 15 is spurious when the second controller has nothing left: the first has IR2 in service", () => {
  const rig = new PcRig().pics().raise(8);
  rig.out(0xa1, 0x01); // masked behind the first one's back
  assert.is(rig.acknowledge(), 0x2f);
  assert.equal([rig.isr(0x20), rig.isr(0xa0)], [0x04, 0]);
  rig.out(0x20, 0x20).out(0xa1, 0x00);
  assert.is(rig.acknowledge(), 0x28, "and it is still there");
});

//  ELCR written   read back: 0 to 2, 8 and 13 have edges
const ELCR = [
  [0x4d0, 0xff, 0xf8],
  [0x4d1, 0xff, 0xde],
  [0x4d0, 0x10, 0x10],
  [0x4d1, 0x00, 0x00],
] as const;
for (const [port, written, back] of ELCR) test(`port ${port.toString(16)} keeps ${back.toString(16)} of ${written.toString(16)}`, () => assert.is(new PcRig().out(port, written).in(port), back));

for (const [kind, elcr] of [["an edge", 0x00], ["a level", 0x10]] as const)
  test(`${kind} that lasts over the EOI asks ${elcr ? "again" : "no more"}`, () => {
    const rig = new PcRig().pics().out(0x4d0, elcr).raise(4);
    assert.is(rig.acknowledge(), 0x24);
    rig.out(0x20, 0x20);
    assert.is(rig.intr, elcr !== 0);
    assert.is(rig.irr(), elcr);
    rig.lower(4).out(0x20, 0x20);
    assert.not(rig.intr);
    assert.is(rig.irr(), 0);
  });

test("a line that is asserted when it becomes level-triggered asks, and does not when it becomes edge-triggered again", () => {
  const rig = new PcRig().pics().raise(4);
  rig.acknowledge();
  rig.out(0x20, 0x20).out(0x4d0, 0x10);
  assert.ok(rig.intr);
  assert.is(rig.acknowledge(), 0x24);
});
test.run();
