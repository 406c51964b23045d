/** What test kernels written for QEMU expect of a PC, by QEMU's specifications: fw_cfg's items, pc-testdev's memory and lines. Only with the
 *  debug exit. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PcRig } from "../support/pc_rig";

const test = suite("fw_cfg and pc-testdev");
const rig = (debugExit = true) => new PcRig({ debugExit, lowRam: 0xc000_0000, highRam: 0x1_4000_0000 });

const item = ({ pc }: PcRig, key: number, bytes: number) => {
  pc.ports.write(0x510, 2, key);
  return Array.from({ length: bytes }, () => pc.ports.read(0x511, 1));
};

//  key               bytes, zeros after the end
const ITEMS = [
  ["signature", 0x00, [..."QEMU"].map((c) => c.charCodeAt(0)).concat(0, 0)],
  ["interface: no DMA", 0x01, [1, 0, 0, 0, 0]],
  ["bytes of RAM", 0x03, [0, 0, 0, 0, 2, 0, 0, 0, 0]],
  ["processors", 0x05, [1, 0, 0]],
  ["processors at most", 0x0f, [1, 0, 0]],
  ["files: none", 0x19, [0, 0, 0, 0, 0]],
  ["what does not exist", 0x11, [0, 0, 0, 0, 0, 0, 0, 0]],
] as const;
for (const [name, key, bytes] of ITEMS) test(`fw_cfg item ${key}, ${name}`, () => assert.equal(item(rig(), key, bytes.length), [...bytes]));

test("fw_cfg: selecting again begins again; writes to the data register change nothing", () => {
  const machine = rig();
  item(machine, 0, 2);
  machine.pc.ports.write(0x511, 1, 0x55);
  assert.equal(item(machine, 0, 1), [0x51]);
  assert.is(machine.pc.ports.read(0x511, 1), 0x45);
});

test("ports 0xE0 to 0xE3 and the memory at 0xFF000000 keep what is written, in any size", () => {
  const { ports, mmio } = rig().pc;
  for (const [bus, base] of [[ports, 0xe0], [mmio, 0xff00_0000], [mmio, 0xff00_fffc]] as const) {
    bus.write(base, 4, 0x8899_aabb);
    bus.write(base + 1, 1, 0x77);
    bus.write(base + 2, 2, 0x5566);
    assert.equal([bus.read(base, 4), bus.read(base + 2, 2), bus.read(base + 3, 1)], [0x5566_77bb, 0x5566, 0x55]);
  }
  assert.is(mmio.read(0xff01_0000, 4), 0xffff_ffff, "nothing behind it");
});

test("ports 0x2000 to 0x2017 hold lines of the I/O APIC, the first sixteen of the 8259s too", () => {
  const machine = rig();
  for (let pin = 1; pin < 24; pin++) machine.writeIoApic(0x10 + 2 * pin, 0x40 + pin);
  for (let line = 0; line < 24; line++) {
    machine.pc.ports.write(0x2000 + line, 4, 1);
    machine.pc.ports.write(0x2000 + line, 4, 1);
    assert.equal(machine.vectors(), [0x40 + (line || 2)], `line ${line}`); // line 0 is at pin 2, at pin 0 are the 8259s
    machine.pc.ports.write(0x2000 + line, 4, 0);
  }
  machine.pics().vectors();
  machine.pc.ports.write(0x2005, 1, 1);
  assert.is(machine.acknowledge(), 0x25);
});

test("without the debug exit there is none of it", () => {
  const { ports, mmio } = rig(false).pc;
  ports.write(0x510, 2, 0);
  ports.write(0xe0, 4, 0);
  assert.equal([ports.read(0x511, 1), ports.read(0xe0, 4), mmio.read(0xff00_0000, 4)], [0xff, 0xffff_ffff, 0xffff_ffff]);
});

test.run();
