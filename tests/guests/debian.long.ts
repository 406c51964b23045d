/** Debian at length: its clock over a minute against the host's, and a whole walk over its file system. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type GuestConsole, withGuest } from "../support/guest_console";
import { linuxOrSkip } from "../support/guests";

const guest = await linuxOrSkip("debian");
const test = suite("Debian, at length");
const it = guest ? test : test.skip;
const start = { kernel: guest?.kernel ?? "", ramdisk: guest?.ramdisk, cmdline: "console=hvc0 quiet" };

/** Guest time minus host time in ms, as [least, most] that many short questions leave possible. */
async function offset(guest: GuestConsole, command: string, ms: (text: string) => number, host: () => number): Promise<[number, number]> {
  let [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let n = 0; n < 60; n++) {
    const before = host();
    const { text } = await guest.run(command);
    const after = host();
    least = Math.max(least, ms(text) - after);
    most = Math.min(most, ms(text) - before);
  }
  return [least, most];
}

it("date and uptime stay within 10 ms a minute of the host, idle and busy", async () => {
  await withGuest(start, async (guest) => {
    await guest.expect(/guest:\/root# /, 90);
    await guest.batch();
    const wall = () => {
      const field = (text: string, name: string) => Number(new RegExp(`${name}: +(\\d+)`).exec(text)?.[1]);
      return offset(guest, "adjtimex", (text) => field(text, "tv_sec") * 1000 + field(text, "tv_usec") / 1000, Date.now);
    };
    const ktime = (text: string) => Number(/now at (\d+)/.exec(text)?.[1]) / 1e6;
    const up = () => offset(guest, "grep -m 1 'now at' /proc/timer_list", ktime, () => performance.now());
    for (const load of ["true", "sha256sum /dev/zero & sleep 0.1"]) {
      const [wallBefore, upBefore, began] = [await wall(), await up(), Date.now()];
      await guest.run(load);
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      await guest.run("kill %1 2>/dev/null; wait");
      const [wallAfter, upAfter] = [await wall(), await up()];
      const minutes = (Date.now() - began) / 60_000;
      for (const [clock, before, after] of [["date", wallBefore, wallAfter], ["uptime", upBefore, upAfter]] as const) {
        // The drift that is certain, whatever the delays of question and answer.
        const drift = Math.max(0, after[0] - before[1], before[0] - after[1]) / minutes;
        const known = (before[1] - before[0] + after[1] - after[0]) / minutes;
        console.log(`${clock}, ${load === "true" ? "idle" : "busy"}: ${drift.toFixed(1)} ms a minute or more, known to ${known.toFixed(1)} ms`);
        assert.ok(drift < 10, `${clock} drifts by ${drift} ms a minute`);
      }
    }
  });
});

it("find / -xdev lists what the initramfs has", async () => {
  await withGuest(start, async (guest) => {
    await guest.expect(/guest:\/root# /, 90);
    await guest.batch();
    const { text } = await guest.run("find / -xdev | grep -v -e '^/dev/' -e '^/etc/resolv' | sort", 60);
    const found = text.trim().split("\n");
    for (const path of ["/", "/init", "/bin/busybox", "/bin/sh", "/etc/passwd", "/proc", "/sys", "/tmp"]) assert.ok(found.includes(path), path);
    assert.is(new Set(found).size, found.length);
    assert.is(Number((await guest.run("find / -xdev -type l | wc -l")).text), Number((await guest.run("busybox --list-full | grep -vc '^bin/busybox$'")).text));
    assert.is((await guest.run("find / -xdev -type f -print0 | xargs -0 sha256sum >/tmp/1; find / -xdev -type f -print0 | xargs -0 sha256sum | cmp - /tmp/1 && echo same")).text, "same\n");
  });
});

test.run();
