/** PVH GRUB without disks stops at its command line. What it prints is what it prints under Xen 4.17. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type GuestConsole, withGuest } from "../support/guest_console";
import { guestOrSkip } from "../support/guests";

const guest = await guestOrSkip("grub");
const test = suite("PVH GRUB");
const it = guest ? test : test.skip;
const start = { kernel: guest?.kernel ?? "", memory: 64 };

/** Recorded under Xen; the transfer rate of its built-in grub.cfg is left out. */
const BANNER = `\x1b[30m\x1b[47mWelcome to GRUB!
\r
\r\x1b[37m\x1b[40m\x1b[37m\x1b[40m\x1b[37m\x1b[40m\x1b[3;39H      [ grub.cfg  232B  100%  RATE ]\x1b[3;1Herror: no such device: /boot/grub/grub.cfg.
\rerror: no such device: /grub/grub.cfg.
\r\x1b[H\x1b[J\x1b[1;1H\x1b[2;24HGNU GRUB  version VERSION
\r
\r\x1b[?25h   Minimal BASH-like line editing is supported. For the first word, TAB${"   "}
\r   lists possible command completions. Anywhere else TAB lists possible${"   "}
\r   device or file completions.${" ".repeat(44)}
\r
\r
\rgrub> `;

const prompt = (guest: GuestConsole) => guest.expect(/\n\rgrub> /, 60);

/** What a command prints: after its echo, of which GRUB draws every character with its position. */
async function answer(guest: GuestConsole, command: string): Promise<string> {
  guest.type(`${command}\r`);
  const text = await prompt(guest);
  return text.slice(text.indexOf("\n\r") + 2, text.lastIndexOf("grub> ")).replaceAll("\n\r", "\n");
}

it("prints what it prints under Xen and answers commands", async () => {
  await withGuest(start, async (guest) => {
    const banner = await prompt(guest);
    assert.is(banner.replace(/[\d.]+[KM]?i?B\/s/, "RATE").replace(/version \S+/, "version VERSION"), BANNER);
    assert.is(await answer(guest, "echo hi"), "hi\n");
    assert.is(await answer(guest, "ls"), "(memdisk) (proc) \n");
    assert.is(await answer(guest, "cat (memdisk)/nothing"), "error: file `/nothing' not found.\n");
    assert.is(await answer(guest, "set answer=42"), "");
    assert.is(await answer(guest, 'if [ "$answer" = 42 ]; then echo yes; fi'), "yes\n");
    guest.type("halt\r");
    assert.is(await guest.stopped(20), "poweroff");
  });
});

it("reboot is a reboot", async () => {
  await withGuest(start, async (guest) => {
    await prompt(guest);
    guest.type("reboot\r");
    assert.is(await guest.stopped(20), "reboot");
  });
});

test.run();
