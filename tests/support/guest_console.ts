/** A real guest on its console, driven as by somebody at a terminal. Everything has a time limit, and `close` always ends
 *  the guest, so that a test that fails does not stay. */
import { readFileSync } from "node:fs";
import type { Domain, Machine } from "../../src/index";
import { testMachine } from "./machine";
import { SLACK, Transcript } from "./transcript";

export interface GuestStart {
  /** Or `firmware`. */
  readonly kernel?: string;
  readonly ramdisk?: string;
  readonly firmware?: string;
  readonly type?: "pvh" | "hvm";
  /** Files and their command lines. */
  readonly modules?: readonly { readonly file: string; readonly cmdline?: string }[];
  readonly cmdline?: string;
  /** MiB. */
  readonly memory?: number;
}

export interface Answer {
  readonly text: string;
  readonly status: number;
}

export class GuestConsole {
  /** Lines of the hypervisor log. */
  readonly log: string[];
  private readonly screen = new Transcript();
  private readonly keyboard: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(
    readonly machine: Machine,
    readonly domain: Domain,
    log: string[],
  ) {
    this.log = log;
    this.keyboard = domain.console.writable.getWriter();
    this.keyboard.closed.catch(() => {}); // it ends with the domain
    void this.listen();
  }

  static async start({ kernel, ramdisk, firmware, type, modules = [], cmdline = "", memory = 256 }: GuestStart): Promise<GuestConsole> {
    const { machine, log } = await testMachine({ memory: memory + (firmware ? 2 : 0), pcpus: 1 });
    const bytes = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file));
    try {
      const domain = await machine.createDomain({
        name: "guest",
        type,
        kernel: bytes(kernel),
        ramdisk: bytes(ramdisk),
        firmware: bytes(firmware),
        modules: modules.map(({ file, cmdline: text }) => ({ image: readFileSync(file), cmdline: text })),
        cmdline,
        memory,
      });
      return new GuestConsole(machine, domain, log);
    } catch (error) {
      await machine.destroy();
      throw error;
    }
  }

  /** All the guest has printed. */
  get printed(): string {
    return this.screen.text;
  }

  /** What has come since the last call, to the end of the first match. */
  expect(pattern: RegExp, seconds: number): Promise<string> {
    return this.screen.expect(pattern, seconds);
  }

  type(text: string): void {
    this.keyboard.write(new TextEncoder().encode(text)).catch(() => {});
  }

  /** From the shell's prompt on: no echo, no line editing, no kernel messages, commands by `run`. */
  async batch(): Promise<void> {
    // what is waited for is never what is typed, whose echo a terminal of 80 columns may break
    this.type('dmesg -n 1; stty -echo; echo si""lent\n');
    await this.expect(/silent\r*\n/, 20);
    this.type('echo rea""dy; while read -r line; do eval "$line"; echo "@@$?"; done\n');
    await this.expect(/ready\r*\n/, 20);
  }

  async run(command: string, seconds = 30): Promise<Answer> {
    this.type(`${command}\n`);
    const text = await this.expect(/@@(\d+)\r+\n/, seconds);
    const [, output, status] = /^(.*)@@(\d+)\r+\n$/s.exec(text) ?? [];
    return { text: output.replace(/\r+\n/g, "\n"), status: Number(status) }; // Xen's console adds a CR of its own to that of its dom0
  }

  /** How the guest stopped. */
  async stopped(seconds: number): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`still running after ${seconds * SLACK} s:\n${this.printed.slice(-2000)}`)), seconds * 1000 * SLACK);
    });
    return Promise.race([this.domain.stopped.then(({ reason }) => reason), limit]).finally(() => clearTimeout(timer));
  }

  async close(): Promise<void> {
    await this.domain.destroy();
    await this.machine.destroy();
  }

  private async listen(): Promise<void> {
    const decoder = new TextDecoder();
    const reader = this.domain.console.readable.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      this.screen.add(decoder.decode(value, { stream: true }));
    }
    const { reason } = await this.domain.stopped;
    this.screen.end(`the guest has stopped (${reason})${this.log.length ? `, the log is:\n${this.log.slice(-5).join("\n")}` : ""}`);
  }
}

/** Runs `body` with a guest that does not outlive it. */
export async function withGuest(start: GuestStart, body: (guest: GuestConsole) => Promise<void>): Promise<void> {
  const guest = await GuestConsole.start(start);
  try {
    await body(guest);
  } finally {
    await guest.close();
  }
}
