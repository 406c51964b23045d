/** Debian's kernels on the bare PC by Linux's boot protocol, with the console on ttyS0; and as dom0 of a Xen that is itself a guest
 *  here: its PV kernel runs in ring 3 on page tables that Xen validates. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withGuest } from "../support/guest_console";
import { guestOrSkip, linuxOrSkip } from "../support/guests";

const [amd64, i386, xen] = [await linuxOrSkip("debian"), await linuxOrSkip("debian-i386"), await guestOrSkip("xen")];
const test = suite("Linux and Xen on the bare PC");

//  guest, its name, further words of the command line: as under Xen, and as on a PC
for (const [guest, name] of [[amd64, "amd64"], [i386, "686-pae"]] as const)
  for (const words of ["", " nopv"])
    (guest ? test : test.skip)(`Debian's ${name} kernel${words} boots to a shell and powers off`, async () => {
      await withGuest({ type: "hvm", kernel: guest?.kernel, ramdisk: guest?.ramdisk, cmdline: `console=ttyS0${words}` }, async (console) => {
        await console.expect(/guest:\/root# /, 300);
        await console.batch();
        assert.match((await console.run("uname -r", 60)).text, new RegExp(`-${name}\\n$`));
        const interrupts = (await console.run("cat /proc/interrupts", 60)).text;
        assert.match(interrupts, /4: +\d+ .*IO-APIC.* ttyS0/);
        assert.match(interrupts, /9: +\d+ .*IO-APIC.* acpi/);
        if (words) assert.is((await console.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource", 60)).text, "tsc\n");
        console.type("poweroff -f\n");
        assert.is(await console.stopped(60), "poweroff");
        assert.equal(console.log.filter((line) => !/POST code/.test(line)), []);
      });
    });

(i386 ? test : test.skip)("without ACPI Debian's 686-pae kernel finds its interrupts in the MP tables", async () => {
  await withGuest({ type: "hvm", kernel: i386?.kernel, ramdisk: i386?.ramdisk, cmdline: "console=ttyS0 acpi=off nopv" }, async (console) => {
    await console.expect(/Intel MultiProcessor Specification v1\.4.*MPTABLE: OEM ID: XENOLITH.*guest:\/root# /s, 300);
    await console.batch();
    assert.match((await console.run("cat /proc/interrupts", 60)).text, /4: +\d+ .*IO-APIC.* ttyS0/);
    console.type("reboot -f\n");
    assert.is(await console.stopped(60), "reboot");
  });
});

(amd64 && xen ? test : test.skip)("Xen builds a PV dom0, which boots to a shell", async () => {
  const modules = [
    { file: amd64?.kernel ?? "", cmdline: "vmlinuz console=hvc0" },
    { file: amd64?.ramdisk ?? "", cmdline: "initrd" },
  ];
  const cmdline = "xen console=com1 com1=115200,8n1 dom0_mem=256M";
  await withGuest({ type: "hvm", kernel: xen?.kernel, modules, cmdline, memory: 512 }, async (guest) => {
    await guest.expect(/Xen version 4\.17.*Using 1 I\/O APICs.*Dom0 kernel: 64-bit, PAE/s, 120);
    await guest.expect(/guest:\/root# /, 600);
    await guest.batch();
    assert.is((await guest.run("cat /sys/hypervisor/type", 60)).text, "xen\n");
    await guest.run("mount -t xenfs xenfs /proc/xen", 60);
    assert.is((await guest.run("cat /proc/xen/capabilities", 60)).text, "control_d\n");
    guest.type("poweroff -f\n");
    assert.is(await guest.stopped(120), "poweroff");
  });
});

test.run();
