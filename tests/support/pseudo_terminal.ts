/** A shell on a real pseudo terminal, with somebody to type and to read. The line is that of script(1), of util-linux and so of
 *  every Debian; the terminal at its end is xterm.js, which answers what terminals answer by themselves: where the cursor is. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import xterm from "@xterm/headless";
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
  private readonly terminal = new xterm.Terminal({ rows: ROWS, cols: COLUMNS });
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
    this.terminal.onData((answer) => this.type(answer));
    this.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.terminal.write(text, () => this.screen.add(text)); // seen after it was answered: what is typed then comes behind the answer
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
    this.terminal.dispose();
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
