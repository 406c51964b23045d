/** What the hypervisor costs a guest: bench/programs/xen.c as a domain of a whole machine, with threads and without. The guest
 *  keeps the time. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Machine as MachineClass } from "../src/index";
import { buildXenGuest } from "./build_programs";
import { within } from "./engines/engine";
import type { Results } from "./report";

declare const XENOLITH_ROOT: string;

export async function benchXen(results: Results): Promise<void> {
  const kernel = readFileSync(buildXenGuest());
  const { Machine } = (await import(pathToFileURL(join(XENOLITH_ROOT, "dist/index.js")).href)) as { Machine: typeof MachineClass };
  for (const threads of [false, true]) {
    const lines: string[] = [];
    const machine = await Machine.create({ memory: 64, pcpus: 1, threads, log: (line) => lines.push(line) });
    try {
      const domain = await machine.createDomain({ name: "bench", type: "pvh", kernel, memory: 48, vcpus: 1 });
      const { reason } = await within(20_000, "xen", domain.stopped);
      await new Promise((resolve) => setTimeout(resolve, 20)); // its last line is on its way
      if (reason !== "poweroff") throw new Error(`the guest stopped: ${reason}`);
      for (const line of lines) {
        const said = /^\(d\d+\) (\w+) (\d+) (\d+)$/.exec(line);
        if (!said) throw new Error(line);
        const [, name, count, took] = said;
        results.xen.push({ name, threads, count: Number(count), ns: Number(took) / Number(count) });
        console.log(`  ${threads ? "threads" : "one thread"}: ${name}: ${(Number(took) / Number(count)).toFixed(0)} ns`);
      }
    } catch (error) {
      results.failures.push(`xen, ${threads ? "threads" : "one thread"}: ${error}`);
    } finally {
      await machine.destroy();
    }
  }
}
