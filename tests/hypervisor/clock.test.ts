/** A guest's clocks are the host's: TSC, system time by pvclock, wallclock. A quick answer now and one some seconds later prove
 *  the pace. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Drift } from "../support/drift";
import { testMachine } from "../support/machine";
import { type ClockSample, readClockSample, tinyKernel } from "../support/tiny_kernel";
import { Transcript } from "../support/transcript";

const LIMIT = 5; // ms a minute; half of what a whole Linux may be off
const MOST_SECONDS = 60;
const test = suite("clocks of a guest");

for (const threads of [true, false]) {
  test(`TSC and system time keep the host's pace, and the wallclock is right, ${threads ? "with" : "without"} threads`, async () => {
    const { machine } = await testMachine({ threads, pcpus: 1 });
    const domain = await machine.createDomain({ kernel: tinyKernel(), cmdline: "k", memory: 8 });
    const screen = new Transcript();
    void domain.console.readable.pipeTo(new WritableStream({ write: (bytes) => screen.add(Buffer.from(bytes).toString("latin1")) })).catch(() => {});
    const keyboard = domain.console.writable.getWriter();
    const ask = async (): Promise<ClockSample> => {
      await keyboard.write(Uint8Array.of(0x3f));
      return readClockSample((await screen.expect(/[A-P]{112}\n/, 20)).slice(-113));
    };
    try {
      await screen.expect(/hello from the console\r\n/, 20);
      const khz = 1e6; // ticks of the TSC in a millisecond, as CPUID's Xen leaf 3 has them
      const [tsc, system] = [new Drift(), new Drift()];
      let wall = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
      const began = performance.now();
      let last = -1;
      for (let n = 0; ; n++) {
        const [date, before] = [Date.now(), performance.now()];
        const sample = await ask();
        const [after, dateAfter] = [performance.now(), Date.now()];
        tsc.add(before, Number(sample.tsc) / khz, after);
        system.add(before, sample.system / 1e6, after);
        assert.ok(sample.system > last, "system time only goes forward");
        last = sample.system;
        const ms = Number(sample.boot) / 1e6 + sample.system / 1e6;
        wall = [Math.max(wall[0], ms - dateAfter - 1), Math.min(wall[1], ms - date)];
        if (n % 20 !== 19) continue;
        const verdicts = [tsc, system].map((drift) => drift.isWithin(LIMIT));
        assert.not.ok(verdicts.includes(false), `TSC ${tsc}, system time ${system}`);
        if (!verdicts.includes(null)) break;
        assert.ok(after - began < MOST_SECONDS * 1000, `not known within a minute: TSC ${tsc}, system time ${system}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      assert.ok(wall[0] < 2 && wall[1] > -2, `the wallclock is ${wall} ms off`);
    } finally {
      await machine.destroy();
    }
  });
}

test.run();
