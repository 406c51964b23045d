/** Debian at length: its clock over a minute against the host's, and a whole walk over its file system. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Drift } from "../support/drift";
import { withGuest } from "../support/guest_console";
import { linuxOrSkip } from "../support/guests";

const guest = await linuxOrSkip("debian");
const test = suite("Debian, at length");
const it = guest ? test : test.skip;
const start = { kernel: guest?.kernel ?? "", ramdisk: guest?.ramdisk, cmdline: "console=hvc0 quiet" };

const LIMIT = 10; // ms a minute

it("date and uptime stay within 10 ms a minute of the host, idle and busy", async () => {
  await withGuest(start, async (guest) => {
    await guest.expect(/guest:\/root# /, 90);
    await guest.batch();
    //  clock, and how the shell tells it by itself: another process would take longer to start than the answer may
    const CLOCKS = [
      ["date", "echo $EPOCHREALTIME", 1e3],
      ["uptime", 'while read -r a b c d && [ "$a" != now ]; do :; done </proc/timer_list; echo $c', 1e-6],
    ] as const;
    for (const load of ["true", "sha256sum /dev/zero & sleep 0.1"]) {
      const drifts = CLOCKS.map(() => new Drift());
      const sample = async () => {
        for (const [n, [, command, ms]] of CLOCKS.entries()) {
          for (let many = 0; many < 50; many++) {
            const before = performance.now();
            const { text } = await guest.run(command);
            drifts[n].add(before, Number(text) * ms, performance.now());
          }
        }
      };
      await guest.run(load);
      await sample();
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      await sample();
      for (let more = 0; more < 10 && drifts.some((drift) => drift.isWithin(LIMIT) === null); more++) await sample();
      await guest.run("kill %1 2>/dev/null; wait");
      for (const [n, [clock]] of CLOCKS.entries()) {
        console.log(`${clock}, ${load === "true" ? "idle" : "busy"}: ${drifts[n]}`);
        assert.is(drifts[n].isWithin(LIMIT), true, `${clock} drifts ${drifts[n]}`);
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
