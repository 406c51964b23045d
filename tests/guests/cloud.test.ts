/** Debian's cloud kernel: an lz4 payload, fewer drivers. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withGuest } from "../support/guest_console";
import { linuxOrSkip } from "../support/guests";

const guest = await linuxOrSkip("cloud");
const test = suite("Debian's cloud kernel");

(guest ? test : test.skip)("boots to a shell and powers off", async () => {
  const start = { kernel: guest?.kernel ?? "", ramdisk: guest?.ramdisk, cmdline: "console=hvc0" };
  await withGuest(start, async (guest) => {
    await guest.expect(/Booting kernel on Xen PVH.*Switched to clocksource xen.*guest:\/root# /s, 90);
    await guest.batch();
    assert.match((await guest.run("uname -rm")).text, /^6\.\d+\.\d+-\d+-cloud-amd64 x86_64\n$/);
    assert.is((await guest.run("cat /sys/hypervisor/type")).text, "xen\n");
    guest.type("poweroff -f\n");
    assert.is(await guest.stopped(30), "poweroff");
  });
});

test.run();
