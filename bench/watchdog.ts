/** An engine on this thread that never comes back would keep every timer here from running. A thread of its own ends the process if
 *  nobody said for too long that all is well. */
import { Worker } from "node:worker_threads";

const beats = new Int32Array(new SharedArrayBuffer(4));

const THREAD = `
  const { workerData: { beats, ms } } = require("node:worker_threads");
  for (let last = Atomics.load(beats, 0); ; last = Atomics.load(beats, 0)) {
    if (Atomics.wait(beats, 0, last, ms) !== "timed-out") continue;
    require("node:fs").writeSync(2, "bench: nothing happened for " + ms / 1000 + " s\\n");
    process.kill(process.pid, "SIGKILL");
  }`;

export function startWatchdog(ms: number): void {
  new Worker(THREAD, { eval: true, workerData: { beats, ms } }).unref();
}

export function allIsWell(): void {
  Atomics.add(beats, 0, 1);
  Atomics.notify(beats, 0);
}
