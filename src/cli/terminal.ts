/** The domain's console on the program's own standard input and output. */
import { spawnSync } from "node:child_process";
import type { ReadStream, WriteStream } from "node:tty";

/** Ctrl-], as xl console has it. */
const DETACH = 0x1d;

export interface ConsoleStreams {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

export interface TerminalOptions {
  readonly stdin: ReadStream | NodeJS.ReadStream;
  readonly stdout: WriteStream | NodeJS.WriteStream;
  readonly stderr: NodeJS.WritableStream;
}

export class Terminal {
  /** Why the program should end before its domain does. */
  onDetach: () => void = () => {};
  onBrokenPipe: () => void = () => {};
  private raw = false;
  private ended = false;
  private atLineStart = true;

  constructor(private readonly streams: TerminalOptions) {
    streams.stdout.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
      if (this.ended) return;
      this.ended = true;
      this.onBrokenPipe();
    });
    streams.stderr.on("error", () => {}); // nobody is left to tell
  }

  /** Connects the console. The promise ends when all output has been written. */
  async attach(console: ConsoleStreams): Promise<void> {
    void this.input(console.writable);
    await this.output(console.readable);
  }

  /** Gives the terminal back as it was. */
  restore(): void {
    this.ended = true;
    const { stdin, stdout } = this.streams;
    if (this.raw) {
      (stdin as ReadStream).setRawMode(false);
      this.raw = false;
      if (!this.atLineStart) stdout.write("\n");
    }
    stdin.pause();
    stdin.unref?.();
  }

  /** A line on standard error, which may be the terminal that the console has in the middle of a line. */
  line(text: string): void {
    const { stderr } = this.streams;
    if (!this.raw || !(stderr as WriteStream).isTTY) {
      stderr.write(`${text}\n`);
      return;
    }
    stderr.write(`${this.atLineStart ? "" : "\r\n"}${text}\r\n`);
    this.atLineStart = true;
  }

  private async output(readable: ReadableStream<Uint8Array>): Promise<void> {
    const reader = readable.getReader();
    const { stdout } = this.streams;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (this.ended) continue; // drained, so that the guest is never held up by a closed pipe
      this.atLineStart = value[value.length - 1] === 0x0a || value[value.length - 1] === 0x0d;
      await new Promise<void>((resolve) => stdout.write(value, () => resolve()));
    }
  }

  private async input(writable: WritableStream<Uint8Array>): Promise<void> {
    const { stdin } = this.streams;
    const writer = writable.getWriter();
    if ((stdin as ReadStream).isTTY) {
      (stdin as ReadStream).setRawMode(true);
      // Node leaves the host's output processing on, but the guest's terminal has done that: its bare line feeds move straight
      // down. setRawMode(false) brings back everything as it was.
      spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
      this.raw = true;
    }
    try {
      // A chunk is asked for when the guest has taken the one before: input waits in the pipe, not here.
      // The end of this loop must not close standard input: restore() still has to give the terminal its mode back.
      for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
        if (this.ended) return;
        const bytes: Uint8Array = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
        const detach = this.raw ? bytes.indexOf(DETACH) : -1;
        if (detach >= 0) return this.onDetach();
        const taken = writer.write(bytes);
        // At a terminal we must go on looking for Ctrl-], whether or not the guest reads.
        if (this.raw) taken.catch(() => {});
        else await taken;
      }
    } catch {
      // The domain has gone, or standard input has: either way there is no more input.
    }
  }
}
