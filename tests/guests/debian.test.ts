/** Debian's amd64 kernel as it is packaged, as a PVH domain of 256 MiB, to a shell. What it says is compared with what the same
 *  kernel says under Xen 4.17. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withGuest } from "../support/guest_console";
import { linuxOrSkip } from "../support/guests";
import { becomes, cpuDuring } from "../support/quiet";

const BOOT = 90; // seconds; five on a quiet machine
const guest = await linuxOrSkip("debian");
const test = suite("Debian, amd64");
const it = guest ? test : test.skip;
const start = { kernel: guest?.kernel ?? "", ramdisk: guest?.ramdisk, cmdline: "console=hvc0" };

/** Warnings and errors that the kernel has for every PVH guest: no IO-APIC, no PIC, no PCI. */
const USUAL = [
  "ACPI: No IOAPIC entries present",
  "ACPI: setting ELCR to",
  "Grant table initialized",
  "PCI: Fatal: No config space access function found",
  "PCI: System does not support PCI",
];

/** In the order in which they come. */
const MILESTONES = [
  "Hypervisor detected: Xen HVM",
  "Xen version 4.17.",
  "tsc: Detected 1000.000 MHz processor",
  "Booting kernel on Xen PVH",
  "xen:events: Using FIFO-based ABI",
  "xen:events: Xen HVM callback vector for event delivery is enabled",
  "printk: console [hvc0] enabled",
  "clocksource: xen: mask: 0xffffffffffffffff",
  "installing Xen timer for CPU 0",
  "xen:grant_table: Grant tables using version 1 layout",
  "Grant table initialized",
  "ACPI: Interpreter enabled",
  "xen:balloon: Initialising balloon driver",
  "clocksource: Switched to clocksource xen",
  "Run /init as init process",
];

it("boots to a shell that knows where it runs, keeps time, idles and powers off", async () => {
  await withGuest(start, async (guest) => {
    const boot = await guest.expect(/guest:\/root# /, BOOT);
    let at = -1;
    for (const milestone of MILESTONES) {
      const found = boot.indexOf(milestone, at + 1);
      assert.ok(found > at, `"${milestone}" is missing or out of order`);
      at = found;
    }
    assert.equal(guest.log, [], "the hypervisor has nothing to remark");

    await becomes(5000, "ms from Ctrl-C to the prompt", async () => {
      guest.type("sleep 100\n");
      await guest.expect(/sleep 100\r\n/, 10);
      await pause(500);
      const interrupted = Date.now();
      guest.type("\x03");
      await guest.expect(/\^C.*# /s, 10);
      return Date.now() - interrupted;
    });

    await guest.batch();
    const warnings = (await guest.run("dmesg -r | grep '^<[0-4]>'")).text.trim().split("\n");
    const unusual = warnings.filter((line) => !USUAL.some((usual) => line.includes(usual)));
    assert.equal(unusual, []);

    assert.match((await guest.run("uname -rm")).text, /^6\.\d+\.\d+-\d+-amd64 x86_64\n$/);
    assert.is((await guest.run("cat /sys/hypervisor/type /sys/hypervisor/guest_type")).text, "xen\nPVH\n");
    assert.is((await guest.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource")).text, "xen\n");
    assert.is((await guest.run("echo result=$((6 * 7))")).text, "result=42\n");
    assert.match((await guest.run("cat /proc/interrupts")).text, /xen-percpu +-virq +timer0/);
    assert.is((await guest.run("modprobe xenfs && mount -t xenfs xenfs /proc/xen && cat /proc/xen/capabilities; ls /proc/xen | grep -c xenbus")).text, "1\n");
    for (const module of ["xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-netfront", "xen-blkfront", "9pnet_xen"])
      assert.is((await guest.run(`modprobe ${module}`)).status, 0, module);
    assert.match((await guest.run("free -m | awk '/Mem:/ { print $2 }'")).text, /^2[01]\d\n$/);

    const seconds = Number((await guest.run("date +%s")).text);
    assert.ok(Math.abs(seconds - Date.now() / 1000) < 3, `date says ${seconds}, the host ${Date.now() / 1000}`);
    await becomes(4000, "ms of sleep 2", async () => {
      const before = Date.now();
      await guest.run("sleep 2");
      const slept = Date.now() - before;
      assert.ok(slept > 1950, `sleep 2 took ${slept} ms`);
      return slept;
    });

    await becomes(3, "% of a core while idle", () => cpuDuring(2000));

    guest.type("poweroff -f\n");
    assert.is(await guest.stopped(30), "poweroff");
  });
});

//                          what init runs                          how the domain stops
const ENDINGS = [
  ["a reboot", "reboot -f", "reboot"],
  ["a panic", "echo c >/proc/sysrq-trigger", "crash"],
] as const;
for (const [name, command, reason] of ENDINGS) {
  it(`${name} ends the domain as what it is`, async () => {
    await withGuest({ ...start, cmdline: `console=hvc0 quiet rc="${command}"` }, async (guest) => {
      assert.is(await guest.stopped(BOOT), reason);
    });
  });
}

it("the toolstack's request to power off or to reboot is obeyed", async () => {
  for (const request of ["poweroff", "reboot"] as const) {
    await withGuest({ ...start, cmdline: "console=hvc0 quiet" }, async (guest) => {
      await guest.expect(/guest:\/root# /, BOOT);
      void guest.domain.shutdown(request);
      assert.is(await guest.stopped(30), request);
    });
  }
});

test.run();

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
