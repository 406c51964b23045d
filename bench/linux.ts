/** Debian's kernel with busybox, from the start of the process to the shell, and a few things typed there: CPU time of the whole
 *  process, all threads, user and system. The same guest under QEMU, if that is installed. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { machineBytes } from "../src/machine/machine";
import { within } from "./engines/engine";
import { QEMU } from "./engines/qemu";
import { footprint, processCpuMs } from "./process_cpu";
import type { LinuxResult, LinuxRow, Results } from "./report";

declare const XENOLITH_ROOT: string;

const MEMORY_MIB = 256;
const BOOT_MS = 60_000;
const COMMAND_MS = 60_000;
const PROMPT = "guest:/root# ";

interface Job {
  readonly name: string;
  readonly title: string;
  readonly command: string;
  /** What it prints last. */
  readonly answer: string;
}

const MIB = 1 << 20;
const zeros = createHash("sha256");
for (let n = 0; n < 16; n++) zeros.update(Buffer.alloc(MIB));

const JOBS: readonly Job[] = [
  { name: "forkexec", title: "500 fork+exec", command: "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done; echo $i", answer: "500" },
  { name: "loop", title: "ash loop, 100,000 rounds", command: "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo $i", answer: "100000" },
  { name: "sha256sum", title: "sha256sum of 16 MiB", command: "head -c 16777216 /dev/zero | sha256sum", answer: `${zeros.digest("hex")}  -` },
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
      process.execPath,
      join(XENOLITH_ROOT, "dist/cli.mjs"),
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
  for (const engine of engines) {
    if (!commands[engine]) continue;
    console.log(`Running Debian on ${engine}...`);
    const session = new Session(commands[engine]());
    const rows: LinuxRow[] = [];
    const result: LinuxResult = { engine, rows };
    const note = (row: LinuxRow) => {
      rows.push(row);
      console.log(`  ${row.title}: ${row.cpuS.toFixed(2)} s CPU, ${row.wallS.toFixed(2)} s`);
    };
    try {
      note({ name: "boot", title: "boot to the shell", ...(await session.until(PROMPT, BOOT_MS, true)) });
      if (engine === "core") Object.assign(result, { memory: footprint(session.pid, machineBytes(0, 1)) });
      for (const job of jobs) {
        session.type(`${job.command}; echo END$((40+2))\n`);
        const took = await session.until(/END42\r?\n/, COMMAND_MS);
        if (!took.text.includes(`\n${job.answer}\r\n`)) throw new Error(`${job.name}: unexpected answer: ${JSON.stringify(took.text)}`);
        note({ name: job.name, title: job.title, cpuS: took.cpuS, wallS: took.wallS });
      }
    } catch (error) {
      results.failures.push(`linux on ${engine}: ${error}`);
    } finally {
      await session.close();
    }
    if (rows.length) results.linux.push(result);
  }
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

  constructor([command, ...args]: string[]) {
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
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

  type(text: string): void {
    this.child.stdin!.write(text);
  }

  /** Waits for a text; time and CPU time from now, or from the start of the process. */
  async until(what: string | RegExp, deadlineMs: number, fromStart = false): Promise<{ cpuS: number; wallS: number; text: string }> {
    const cpu = fromStart ? 0 : processCpuMs(this.pid);
    const begin = fromStart ? this.started : performance.now();
    this.text = fromStart ? this.text : "";
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
    return { cpuS: (processCpuMs(this.pid) - cpu) / 1000, wallS: (performance.now() - begin) / 1000, text: this.text };
  }
}
