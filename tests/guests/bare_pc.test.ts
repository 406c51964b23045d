/** Software of others on the bare PC, unchanged, as Debian packages it: none of it knows xenolith. */
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withGuest } from "../support/guest_console";
import { guestOrSkip } from "../support/guests";
import { testMachine, within } from "../support/machine";

const [seabios, memtest, xen] = [await guestOrSkip("seabios"), await guestOrSkip("memtest"), await guestOrSkip("xen")];
const test = suite("the bare PC and other people's software");
const has = (guest: unknown) => (guest ? test : test.skip);

has(memtest)("memtest86+ of both widths tests the memory and draws its screen on ttyS0", async () => {
  for (const kernel of [memtest?.kernel, memtest?.kernel32]) {
    await withGuest({ type: "hvm", kernel, cmdline: "console=ttyS0,115200", memory: 32 }, async (guest) => {
      await guest.expect(/Memtest86\+ v6\.\d+.*xenolith Processor.*L1 Cache: +\d+KB.*Errors: 0 /s, 60);
      await guest.expect(/#[2-9] +\[.*Errors: 0 /s, 120); // its first tests have passed
      assert.equal(guest.log.filter((line) => /fault|unknown/.test(line)), []);
    });
  }
});

has(seabios)("SeaBIOS of 256 KiB runs in the RAM that holds its copy", async () => {
  // As under Xen it prints to port 0xE9: it sees Xen's CPUID leaves, but not hvmloader's tables.
  await withGuest({ type: "hvm", firmware: seabios?.large, memory: 32 }, async (guest) => {
    const said = (text: RegExp) => guest.log.some((line) => text.test(line));
    for (const end = Date.now() + 60_000; !said(/bridge not found/) && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(said(/SeaBIOS \(version/) && said(/bridge not found/), guest.log.join("\n"));
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.not.ok(said(/triple fault/));
  });
});

has(seabios)("SeaBIOS looks for something to boot in vain, as its debug port tells", async () => {
  const { machine } = await testMachine({ threads: false, memory: 40 });
  try {
    let said = "";
    const found = new Promise<void>((resolve) => {
      const write = (_port: number, _size: number, value: number): void => {
        said += String.fromCharCode(value);
        if (said.endsWith("No bootable device.")) resolve();
      };
      void machine.createDomain({ type: "hvm", firmware: readFileSync(seabios?.firmware ?? ""), memory: 32, ports: [{ base: 0x402, read: () => 0xe9, write }] });
    });
    await within(60_000, "No bootable device", found).catch((error) => assert.unreachable(`${error.message}:\n${said}`));
    for (const text of [/RamSize: 0x02000000/, /Detected non-PCI system/, /Found 1 serial ports/, /PS2 keyboard initialized/, /All threads complete/]) assert.match(said, text);
  } finally {
    await machine.destroy();
  }
});

has(xen)("Xen initializes, and panics for want of a dom0 kernel", async () => {
  const cmdline = "xen console=com1 com1=115200,8n1 loglvl=all noreboot";
  await withGuest({ type: "hvm", kernel: xen?.kernel, cmdline, memory: 128 }, async (guest) => {
    await guest.expect(/\(XEN\) Xen version 4\.17.*Bootloader: xenolith.*Panic on CPU 0:.*dom0 kernel not specified/s, 60);
    assert.is(await guest.stopped(20), "poweroff");
    assert.equal(guest.log, []);
  });
});

test.run();
