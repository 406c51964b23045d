/** What the hypervisor costs a guest: bench/programs/xen.c as a domain of a whole machine, with threads and without. The guest
 *  keeps the time, except that of its own start. */
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
    let begun = 0;
    let started = 0;
    const log = (line: string) => {
      started ||= performance.now();
      lines.push(line);
    };
    const machine = await Machine.create({ memory: 64, pcpus: 1, threads, log });
    const note = (name: string, count: number, ns: number) => {
      results.xen.push({ name, threads, count, ns });
      console.log(`  ${threads ? "threads" : "one thread"}: ${name}: ${ns.toFixed(0)} ns`);
    };
    try {
      begun = performance.now();
      const domain = await machine.createDomain({ name: "bench", type: "pvh", kernel, memory: 48, vcpus: 1 });
      const { reason } = await within(20_000, "xen", domain.stopped);
      await new Promise((resolve) => setTimeout(resolve, 20)); // its last line is on its way
      if (reason !== "poweroff") throw new Error(`the guest stopped: ${reason}`);
      for (const line of lines) {
        const said = /^\(d\d+\) (\w+) (\d+) (\d+)$/.exec(line);
        if (!said) throw new Error(line);
        const [, name, count, took] = said;
        if (name === "start") note(name, 1, (started - begun) * 1e6);
        else note(name, Number(count), Number(took) / Number(count));
      }
    } catch (error) {
      results.failures.push(`xen, ${threads ? "threads" : "one thread"}: ${error}`);
    } finally {
      await machine.destroy();
    }
  }
}
