/** A shell on a real pseudo terminal, with somebody to type and to read. The terminal is that of script(1), of util-linux and
 *  so of every Debian. What a terminal answers by itself is answered: the question where its cursor is. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { Transcript } from "./transcript";

const ROWS = 24;
const COLUMNS = 80;

/** Whether tests can have one; if not, says why. */
export function hasPseudoTerminal(): boolean {
  const { stdout } = spawnSync("script", ["--version"], { encoding: "utf8" });
  if (/util-linux/.test(stdout ?? "")) return true;
  console.log("skipped: this host has no script(1) of util-linux");
  return false;
}

export class PseudoTerminal {
  readonly screen = new Transcript();
  private readonly process: ChildProcess;
  private readonly closed: Promise<void>;

  constructor(folder: string) {
    this.process = spawn("script", ["-qfc", "exec sh", "/dev/null"], {
      cwd: folder,
      env: { ...process.env, PS1: "host$ ", ENV: "", TERM: "vt100", SHELL: "/bin/sh" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.closed = new Promise((resolve) => this.process.on("close", () => resolve()));
    this.process.stdin?.on("error", () => {}); // it went before our last words
    this.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.screen.add(text);
      this.answer(text);
    });
  }

  type(text: string): void {
    this.process.stdin?.write(text);
  }

  expect(pattern: RegExp, seconds: number): Promise<string> {
    return this.screen.expect(pattern, seconds);
  }

  /** Runs a command of the host's shell to its end and gives what it printed. */
  async host(command: string, seconds = 20): Promise<string> {
    this.type(`echo "[""["; ${command}; echo "]""]"\n`);
    await this.expect(/\[\[\r\n/, seconds);
    return this.expect(/\]\]/, seconds);
  }

  /** The modes of the terminal, all that stty knows. */
  modes(): Promise<string> {
    return this.host("stty -a");
  }

  /** Takes the terminal away, as when its window is closed. */
  async close(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.closed;
  }

  /** "Report Cursor Position" (ECMA-48, DSR 6): the last row, in the column where the text since its start ends. */
  private answer(text: string): void {
    for (let at = text.indexOf("\x1b[6n"); at >= 0; at = text.indexOf("\x1b[6n", at + 1)) {
      const before = text.slice(0, at);
      const line = before.slice(Math.max(before.lastIndexOf("\n"), before.lastIndexOf("\r")) + 1);
      const column = before.endsWith("\x1b[999;999H") ? COLUMNS : line.replace(/\x1b\[[\d;]*[A-Za-z]/g, "").length + 1;
      this.type(`\x1b[${ROWS};${Math.min(column, COLUMNS)}R`);
    }
  }
}

/** Runs `body` with a terminal that does not outlive it. */
export async function onTerminal(folder: string, body: (terminal: PseudoTerminal) => Promise<void>): Promise<void> {
  const terminal = new PseudoTerminal(folder);
  try {
    await body(terminal);
  } finally {
    await terminal.close();
  }
}
