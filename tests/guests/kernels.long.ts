/** Further kernels of Debian's: real-time, and 32-bit with two-level paging, which knows no PVH. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withGuest } from "../support/guest_console";
import { linuxOrSkip } from "../support/guests";

const test = suite("more of Debian's kernels");

//  guest         as     console  what uname says
const KERNELS = [
  ["rt", "pvh", "hvc0", /^Linux \S+-rt-amd64 .* PREEMPT_RT .* x86_64/],
  ["rt", "hvm", "ttyS0", /^Linux \S+-rt-amd64 .* PREEMPT_RT .* x86_64/],
  ["nopae-i386", "hvm", "ttyS0", /^Linux \S+-686 .* i686/],
] as const;
for (const [name, type, tty, uname] of KERNELS) {
  const guest = await linuxOrSkip(name);
  (guest ? test : test.skip)(`${name} as ${type} boots to a shell and powers off`, async () => {
    await withGuest({ type, kernel: guest?.kernel, ramdisk: guest?.ramdisk, cmdline: `console=${tty}` }, async (console) => {
      await console.expect(/guest:\/root# /, 300);
      await console.batch();
      assert.match((await console.run("uname -srvm", 60)).text, uname);
      console.type("poweroff -f\n");
      assert.is(await console.stopped(60), "poweroff");
    });
  });
}

test.run();
