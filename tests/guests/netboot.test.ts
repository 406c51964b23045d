/** Debian's installer with its own initrd, to its first question on the Xen console. With less memory it asks another one first,
 *  whether it may go into low memory mode. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withGuest } from "../support/guest_console";
import { guestOrSkip } from "../support/guests";

const guest = await guestOrSkip("netboot");
const test = suite("Debian's installer");

(guest ? test : test.skip)("shows its language dialog", async () => {
  const start = { kernel: guest?.kernel ?? "", ramdisk: guest?.ramdisk, cmdline: "console=hvc0 quiet", memory: 1024 };
  await withGuest(start, async (guest) => {
    await guest.expect(/\[!!\] Select a language.*Language:.*English.*<Go Back>.*<Tab> moves/s, 240);
    // Escape means <Go Back>, which leads to the installer's menu.
    guest.type("\t\r");
    await guest.expect(/Debian installer main menu/, 60);
    assert.ok(!/Oops|BUG:|Call Trace|segfault/.test(guest.printed));
  });
});

test.run();
