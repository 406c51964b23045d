/** Debian's kernel with busybox, from the start of the process to the shell, and a few things typed there: CPU time of the whole
 *  process, all threads, user and system. The same guest under QEMU, if that is installed. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { machineBytes } from "../src/machine/machine";
import { within } from "./engines/engine";
import { QEMU } from "./engines/qemu";
import { footprint, helpersCpuMs, processCpuMs, threadsCpuMs } from "./process_cpu";
import type { LinuxResult, LinuxRow, Results } from "./report";
import { allIsWell } from "./watchdog";

declare const XENOLITH_ROOT: string;

const MEMORY_MIB = 256;
const BOOT_MS = 120_000;
const COMMAND_MS = 120_000;
/** The engines in turn, that often. */
const TURNS = 3;
const PROMPT = "guest:/root# ";

export interface Job {
  readonly name: string;
  readonly title: string;
  /** Before it, not timed. */
  readonly prepare?: string;
  readonly command: string;
  /** After it, not timed, where the command itself prints nothing to check. */
  readonly verify?: string;
  /** What is printed last. */
  readonly answer: string;
}

const sha256 = (bytes: Uint8Array) => `${createHash("sha256").update(bytes).digest("hex")}  -`;
/** What `seq 1 N` prints, cut off at `size`. */
const numbers = (size: number) => {
  let text = "";
  for (let n = 1; text.length < size; n++) text += `${n}\n`;
  return Buffer.from(text.slice(0, size), "latin1");
};
const ROUNDS = 100_000;
const AWK_ROUNDS = 1_000_000;
const HASHED = 64_000_000;
const TEXT = 4_800_000;
const PIPED = 19_531; // pages of 4 KiB
let awkSum = 0;
for (let i = 0; i < AWK_ROUNDS; i++) awkSum = (awkSum * 3 + (i % 7)) % 10007;

export const JOBS: readonly Job[] = [
  { name: "forkexec", title: "500 fork+exec", command: "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done; echo $i", answer: "500" },
  { name: "loop", title: "ash loop, 100,000 rounds", command: `i=0; while [ $i -lt ${ROUNDS} ]; do i=$((i+1)); done; echo $i`, answer: String(ROUNDS) },
  { name: "sha256sum", title: "sha256sum of 64 MB", command: `head -c ${HASHED} /dev/zero | sha256sum`, answer: sha256(Buffer.alloc(HASHED)) },
  {
    name: "gzip",
    title: "gzip of 4.8 MB",
    prepare: `seq 1 1000000 | head -c ${TEXT} >/tmp/text`,
    command: "gzip -c /tmp/text >/tmp/text.gz",
    verify: "gunzip -c /tmp/text.gz | sha256sum",
    answer: sha256(numbers(TEXT)),
  },
  { name: "awk", title: "awk, a million rounds", command: `awk 'BEGIN { for (i = 0; i < ${AWK_ROUNDS}; i++) s = (s * 3 + i % 7) % 10007; print s }'`, answer: String(awkSum) },
  { name: "pipe", title: "80 MB through a pipe", command: `dd if=/dev/zero bs=4k count=${PIPED} 2>/dev/null | wc -c`, answer: String(PIPED * 4096) },
];

interface Linux {
  readonly kernel: string;
  readonly ramdisk: string;
}

export async function benchLinux(engines: readonly string[], wanted: (name: string) => boolean, results: Results): Promise<void> {
  const jobs = JOBS.filter(({ name }) => wanted(name) || wanted("linux"));
  let guest: Linux;
  try {
    const module = (await import(pathToFileURL(join(XENOLITH_ROOT, "guests/initramfs.mjs")).href)) as { obtainLinux(name: string): Promise<Linux> };
    guest = await module.obtainLinux("debian");
  } catch (error) {
    results.failures.push(`linux: ${error}`);
    return;
  }
  const commands: Record<string, () => string[]> = {
    core: () => [
      join(XENOLITH_ROOT, "dist/cli.mjs"), // its first line names Node and its options
      "run",
      guest.kernel,
      "name=bench",
      `memory=${MEMORY_MIB}`,
      "cmdline=console=hvc0",
      `ramdisk=${guest.ramdisk}`,
    ],
    qemu: () => [
      QEMU,
      ...["-accel", "tcg", "-cpu", "max", "-m", String(MEMORY_MIB), "-display", "none", "-monitor", "none", "-vga", "none", "-net", "none"],
      ...["-no-reboot", "-serial", "stdio", "-kernel", guest.kernel, "-initrd", guest.ramdisk, "-append", "console=ttyS0"],
    ],
  };
  const taken = new Map<string, LinuxResult[]>(engines.filter((engine) => commands[engine]).map((engine) => [engine, []]));
  for (let turn = 1; turn <= TURNS; turn++) {
    for (const [engine, turns] of [...taken]) {
      console.log(`Running Debian on ${engine}, ${turn} of ${TURNS}...`);
      try {
        turns.push(await oneTurn(engine, commands[engine], jobs));
      } catch (error) {
        results.failures.push(`linux on ${engine}: ${error}`);
        taken.delete(engine);
      }
    }
  }
  for (const turns of taken.values()) results.linux.push(middle(turns));
}

/** The guest booted twice, the second time for the commands too. */
async function oneTurn(engine: string, command: () => string[], jobs: readonly Job[]): Promise<LinuxResult> {
  const rows: LinuxRow[] = [];
  const note = (row: LinuxRow) => {
    rows.push(row);
    console.log(`  ${row.title}: ${row.cpuS.toFixed(2)} s CPU (${row.helpersS.toFixed(2)} of them helpers), ${row.wallS.toFixed(2)} s`);
  };
  const weigh = (session: Session) => (engine === "core" ? footprint(session.pid, machineBytes(0, 1)) : undefined);
  const cache = mkdtempSync(join(tmpdir(), "xenolith-bench-"));
  let session = new Session(command(), cache);
  try {
    note({ name: "firstboot", title: "first boot of this kernel", ...(await session.until(PROMPT, BOOT_MS, true)) });
    await session.close();
    session = new Session(command(), cache);
    note({ name: "boot", title: "boot to the shell", ...(await session.until(PROMPT, BOOT_MS, true)) });
    const memory = weigh(session);
    for (const job of jobs) {
      if (job.prepare) await session.command(job.prepare);
      const took = await session.command(job.command);
      const said = job.verify ? await session.command(job.verify) : took;
      if (!said.text.includes(`\n${job.answer}\r\n`)) throw new Error(`${job.name}: unexpected answer: ${JSON.stringify(said.text)}`);
      note({ name: job.name, title: job.title, cpuS: took.cpuS, wallS: took.wallS, helpersS: took.helpersS });
    }
    return { engine, rows, memory, memoryAfter: jobs.length === JOBS.length ? weigh(session) : undefined };
  } finally {
    await session.close();
    rmSync(cache, { recursive: true });
  }
}

/** Of each row the turn with the median CPU time, of the memory that which took the most. */
function middle(turns: readonly LinuxResult[]): LinuxResult {
  const rows = turns[0].rows.map((_, i) => turns.map((turn) => turn.rows[i]).sort((a, b) => a.cpuS - b.cpuS)[turns.length >> 1]);
  const most = (key: "memory" | "memoryAfter") => turns.map((turn) => turn[key]).reduce((a, b) => (a && b && a.rssMiB > b.rssMiB ? a : b));
  return { engine: turns[0].engine, rows, memory: most("memory"), memoryAfter: most("memoryAfter") };
}

interface Took {
  readonly cpuS: number;
  readonly wallS: number;
  readonly helpersS: number;
  /** What was printed meanwhile. */
  readonly text: string;
}

/** A process whose standard streams are a console. */
class Session {
  private readonly child: ChildProcess;
  private readonly started = performance.now();
  private text = "";
  private heard: () => void = () => {};
  private failed: (error: Error) => void = () => {};
  readonly kill = () => {
    this.failed = () => {};
    process.removeListener("exit", this.kill);
    this.child.kill("SIGKILL");
  };

  /** `cache`: where what outlives it is kept. */
  constructor([command, ...args]: string[], cache: string) {
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"], env: { ...process.env, XDG_CACHE_HOME: cache } });
    process.once("exit", this.kill);
    this.child.stdout!.setEncoding("latin1").on("data", (text: string) => {
      this.text += text;
      this.heard();
    });
    this.child.once("exit", (code) => this.failed(new Error(`${command} ended with ${code}: ${this.text.slice(-300)}`)));
    this.child.once("error", (error) => this.failed(error));
    this.child.stdin!.on("error", () => {});
  }

  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    const running = this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
    this.kill();
    if (running) await gone;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Types a line and waits until the shell has done it. */
  command(line: string): Promise<Took> {
    this.child.stdin!.write(`${line}; echo END$((40+2))\n`);
    return this.until(/END42\r?\n/, COMMAND_MS);
  }

  /** Waits for a text; time and CPU time from now, or from the start of the process. */
  async until(what: string | RegExp, deadlineMs: number, fromStart = false): Promise<Took> {
    const cpu = fromStart ? 0 : processCpuMs(this.pid);
    const threads = fromStart ? new Map<number, number>() : threadsCpuMs(this.pid);
    const begin = fromStart ? this.started : performance.now();
    this.text = fromStart ? this.text : "";
    allIsWell();
    await within(
      deadlineMs,
      String(what),
      new Promise<void>((resolve, reject) => {
        this.failed = reject;
        this.heard = () => {
          if (typeof what === "string" ? this.text.includes(what) : what.test(this.text)) resolve();
        };
        this.heard();
      }),
    );
    return { cpuS: (processCpuMs(this.pid) - cpu) / 1000, helpersS: helpersCpuMs(this.pid, threads) / 1000, wallS: (performance.now() - begin) / 1000, text: this.text };
  }
}
