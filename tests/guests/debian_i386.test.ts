/** Debian's 32-bit kernel: PAE paging and the 32-bit form of every interface. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withGuest } from "../support/guest_console";
import { linuxOrSkip } from "../support/guests";

const guest = await linuxOrSkip("debian-i386");
const test = suite("Debian, 686-pae");

(guest ? test : test.skip)("boots to a shell and powers off", async () => {
  const start = { kernel: guest?.kernel ?? "", ramdisk: guest?.ramdisk, cmdline: "console=hvc0" };
  await withGuest(start, async (guest) => {
    await guest.expect(/Booting kernel on Xen PVH.*Switched to clocksource xen.*guest:\/root# /s, 90);
    await guest.batch();
    assert.match((await guest.run("uname -rm")).text, /^6\.\d+\.\d+-\d+-686-pae i686\n$/);
    assert.is((await guest.run("cat /sys/hypervisor/type")).text, "xen\n");
    assert.is((await guest.run("echo $(( 3 ** 39 )); echo '2^200; scale=30; 4*a(1)' | bc -l")).status, 0);
    const seconds = Number((await guest.run("date +%s")).text);
    assert.ok(Math.abs(seconds - Date.now() / 1000) < 3);
    guest.type("poweroff -f\n");
    assert.is(await guest.stopped(30), "poweroff");
  });
});

test.run();
