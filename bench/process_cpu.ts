/** CPU time and memory of another process, from Linux's /proc. */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";

/** User and system time of all its threads, those that have ended included as far as ticks can tell. */
export function processCpuMs(pid: number): number {
  // schedstat counts nanoseconds, but only of threads that live; stat counts all threads in ticks of 10 ms.
  const running = [...threadsCpuMs(pid).values()].reduce((sum, ms) => sum + ms, 0);
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = (Number(fields[11]) + Number(fields[12])) * 10;
  return Math.max(running, ticks - 10);
}

/** User and system time of each thread that lives, by its id; the first one has the process's. */
export function threadsCpuMs(pid: number): Map<number, number> {
  return new Map(readdirSync(`/proc/${pid}/task`).map((tid) => [Number(tid), Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, "utf8").split(" ")[0]) / 1e6]));
}

/** What threads other than the first and the busiest one took since `before`: of a machine with one vCPU those are V8's compilers, and a little of
 *  reading files. */
export function helpersCpuMs(pid: number, before: ReadonlyMap<number, number>): number {
  const now = threadsCpuMs(pid);
  const others = [...now].filter(([tid]) => tid !== pid).sort(([, a], [, b]) => b - a);
  return others.slice(1).reduce((sum, [tid, ms]) => sum + ms - (before.get(tid) ?? 0), 0);
}

export interface Footprint {
  /** Resident memory of the process in MiB. */
  readonly rssMiB: number;
  /** How much of it is the largest mapping from `skipBytes` on: the guest's RAM in the machine's memory. */
  readonly guestMiB: number;
}

/** The machine's memory is the largest mapping that can be written; `skipBytes` of it are the hypervisor's. */
export function footprint(pid: number, skipBytes: number): Footprint {
  const rssMiB = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
  let largest = { begin: 0, end: 0 };
  for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
    if (!range) continue;
    const [begin, end] = [Number.parseInt(range[1], 16), Number.parseInt(range[2], 16)];
    if (end - begin > largest.end - largest.begin) largest = { begin, end };
  }
  const pages = Math.max(0, largest.end - largest.begin - skipBytes) / 4096;
  const entries = new BigUint64Array(pages);
  const file = openSync(`/proc/${pid}/pagemap`, "r");
  readSync(file, entries, 0, pages * 8, ((largest.begin + skipBytes) / 4096) * 8);
  closeSync(file);
  let resident = 0;
  for (const entry of entries) if (entry >> 63n) resident++;
  return { rssMiB, guestMiB: resident / 256 };
}
