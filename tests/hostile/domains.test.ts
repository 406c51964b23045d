/** Hostile kernels on whole machines, beside a domain that behaves: the host's event loop stays responsive, the other domain
 *  works, the hostile one can be paused and destroyed at any time, and nothing of it is left. */
import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readText, testMachine, within } from "../support/machine";
import { becomes, worstDelay } from "../support/quiet";
import { tinyKernel } from "../support/tiny_kernel";
import { hostileKernel, hostileNames, SAYS } from "./kernels";

const PATIENCE = 10_000;
const friendly = tinyKernel();
const RUN_MS = 250;
const LOG_LINES = 20_000;

/** Threads of this process, where the system tells. */
function osThreads(): number {
  if (!existsSync("/proc/self/task")) return 0;
  return readdirSync("/proc/self/task").length;
}

for (const threads of [true, false]) {
  const test = suite(threads ? "hostile domains, threads" : "hostile domains, one thread");

  test("every kernel is contained", async () => {
    const { machine, log } = await testMachine({ threads, pcpus: 2, memory: 64 });
    try {
      const echo = await machine.createDomain({ name: "friend", kernel: friendly, cmdline: "e", memory: 4 });
      await within(PATIENCE, "greeting", readText(echo.console.readable, /console\r\n/));
      const keyboard = echo.console.writable.getWriter();
      const before = machine.freeMemory;
      for (const name of hostileNames) {
        log.length = 0;
        const guest = await machine.createDomain({ name: "foe", kernel: hostileKernel(name), memory: 6 });
        const text = guest.console.writable.getWriter();
        void text.write(new Uint8Array(5000)).catch(() => {});
        await becomes(500, `ms of delay beside ${name}`, () => worstDelay(RUN_MS));
        await within(PATIENCE, `${name}: the other domain`, Promise.all([keyboard.write(Buffer.from("hello.")), readText(echo.console.readable, /\./)]));
        await within(PATIENCE, `${name}: pause`, guest.pause());
        guest.unpause();
        await sleep(5);
        await within(PATIENCE, `${name}: destroy`, guest.destroy());
        const { reason } = await guest.stopped;
        assert.ok(reason === "destroyed" || reason === "crash" || reason === "poweroff", `${name}: ${reason}`);
        assert.is(log.filter((line) => /core failed|internal error|lost/.test(line)).length, 0, `${name}: ${log.filter((line) => /core failed|internal error|lost/.test(line))[0]}`);
        assert.ok(log.length < LOG_LINES, `${name}: ${log.length} lines of log`);
        if (SAYS[name]) assert.equal(log.slice(0, SAYS[name].length), SAYS[name].map((line) => `(d${guest.id}) ${line}`), name);
        assert.is(machine.freeMemory, before, `${name}: memory`);
        if (process.env.XENOLITH_SHOW) console.log(name, reason, log.length, log.slice(0, 2));
      }
      assert.equal(machine.xenstore.ls("/local/domain").length, 2);
      await keyboard.write(Buffer.from("q"));
      assert.equal(await within(PATIENCE, "friend", echo.stopped), { reason: "poweroff" });
    } finally {
      await within(PATIENCE, "machine.destroy", machine.destroy());
    }
  });

  test("hostile domains come and go without growth", async () => {
    const { machine } = await testMachine({ threads, pcpus: 2, memory: 64 });
    try {
      const before = machine.freeMemory;
      const round = async (n: number) => {
        const guest = await machine.createDomain({ kernel: hostileKernel(hostileNames[n % hostileNames.length]), memory: 6 });
        if (n % 3) await sleep(n % 5);
        await within(PATIENCE, `destroy ${n}`, guest.destroy());
        assert.is(machine.freeMemory, before);
      };
      for (let n = 0; n < 40; n++) await round(n);
      const size = process.memoryUsage().rss;
      for (let n = 0; n < 100; n++) await round(n);
      const grown = (process.memoryUsage().rss - size) / 2 ** 20;
      assert.ok(grown < 40, `${grown.toFixed(0)} MiB more`);
    } finally {
      await machine.destroy();
    }
  });

  test("machines come and go without growth", async () => {
    const round = async () => {
      const { machine } = await testMachine({ threads, pcpus: 2, memory: 16 });
      await machine.createDomain({ kernel: hostileKernel("hypercalls"), memory: 4 });
      await sleep(2);
      await within(PATIENCE, "destroy", machine.destroy());
    };
    for (let n = 0; n < 3; n++) await round();
    const [handles, running] = [process.getActiveResourcesInfo().length, osThreads()];
    for (let n = 0; n < 8; n++) await round();
    await sleep(50);
    assert.ok(process.getActiveResourcesInfo().length <= handles + 1, `${process.getActiveResourcesInfo()}`);
    assert.ok(osThreads() <= running, `${osThreads()} threads, ${running} before`);
  });

  test.run();
}
