/** QEMU's emulator (TCG) as another process, spoken to over COM1. */
import { spawn, spawnSync } from "node:child_process";
import type { Image } from "../build_programs";
import { processCpuMs } from "../process_cpu";
import { type Engine, type Loaded, type Sample, within } from "./engine";

export const QEMU = "qemu-system-x86_64";

export const qemuEngine: Engine = {
  name: "qemu",
  runs: () => true,
  missing: () => (spawnSync(QEMU, ["--version"]).status === 0 ? null : `${QEMU} is not installed`),
  load: async (image) => new Qemu(image),
};

class Qemu implements Loaded {
  private readonly child;
  private text = "";
  private answer: (line: string) => void = () => {};
  private failed: (error: Error) => void = () => {};
  private readonly kill = () => void this.child.kill("SIGKILL");

  constructor(image: Image) {
    const display = ["-display", "none", "-monitor", "none", "-vga", "none", "-net", "none", "-no-reboot"];
    this.child = spawn(QEMU, ["-accel", "tcg", "-cpu", "max", "-m", "64", ...display, "-serial", "stdio", "-kernel", image.kernel], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    process.once("exit", this.kill);
    this.child.stdout.setEncoding("latin1").on("data", (text: string) => {
      this.text += text;
      // The firmware has its say first; answers are lines of eight digits.
      const line = /^([0-9a-f]{8})\n/m.exec(this.text);
      if (!line) return;
      this.text = "";
      this.answer(line[1]);
    });
    this.child.once("exit", (code) => this.failed(new Error(`${QEMU} ended with ${code}`)));
    this.child.once("error", (error) => this.failed(error));
    this.child.stdin.on("error", () => {});
  }

  async run(count: number, deadlineMs: number): Promise<Sample> {
    const pid = this.child.pid!;
    this.child.kill("SIGCONT");
    const cpu = processCpuMs(pid);
    const begin = performance.now();
    const line = await within(
      deadlineMs,
      "qemu",
      new Promise<string>((resolve, reject) => {
        this.answer = resolve;
        this.failed = reject;
        this.child.stdin.write(`${count}\n`);
      }),
    );
    const sample = { checksum: Number.parseInt(line, 16), wallMs: performance.now() - begin, cpuMs: processCpuMs(pid) - cpu };
    this.child.kill("SIGSTOP"); // else it would poll for its next line
    return sample;
  }

  async close(): Promise<void> {
    this.failed = () => {};
    process.removeListener("exit", this.kill);
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await gone;
  }
}
