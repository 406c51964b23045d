/** The program on a real terminal: keys reach the guest as they are, the log does not break the screen, and however the
 *  program ends, the terminal is as it was. The guest is tests/support/tiny_kernel.ts. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hasPseudoTerminal, onTerminal, type PseudoTerminal } from "../support/pseudo_terminal";
import { tinyKernel } from "../support/tiny_kernel";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const folder = mkdtempSync(join(tmpdir(), "xenolith-terminal-"));
writeFileSync(join(folder, "tiny"), tinyKernel());

const test = suite("xenolith run, on a terminal");
const it = hasPseudoTerminal() ? test : test.skip;
test.after(() => rmSync(folder, { recursive: true }));

/** Types the command that runs the program; its process id comes first, its status last. */
function start(terminal: PseudoTerminal, settings: string): Promise<string> {
  const program = `exec '${process.execPath}' '${root}/dist/cli.mjs' run tiny memory=8 ${settings}`;
  terminal.type(`sh -c 'echo "pid "$$; ${program.replaceAll("'", '"')}'; echo "[status $?""]"\n`);
  return terminal.expect(/pid \d+\r\n/, 20);
}

it("keys go to the guest as they are, and Ctrl-] ends it", async () => {
  await onTerminal(folder, async (terminal) => {
    const modes = await terminal.modes();
    await start(terminal, "cmdline=e");
    await terminal.expect(/hello from the console\r\n/, 20);
    terminal.type("a\x03\x04\x1a\x1c\x11\x13\r\x7f\xe9b"); // what the host's terminal would have taken: signals, end of file, flow control
    await terminal.expect(/a\x03\x04\x1a\x1c\x11\x13\r\x7f\xe9b/, 20);
    terminal.type("c\x1dd");
    await terminal.expect(/\[status 0\]/, 20);
    assert.is(await terminal.modes(), modes);
  });
});

//  how the guest ends          cmdline  status
const ENDINGS = [
  ["power-off", "p", 0],
  ["reboot", "r", 3],
  ["crash", "c", 4],
  ["triple fault", "t", 4],
] as const;
for (const [name, letter, status] of ENDINGS) {
  it(`after ${name} the terminal is as it was`, async () => {
    await onTerminal(folder, async (terminal) => {
      await terminal.host("stty -ixon intr ^K erase ^H"); // modes of somebody's own
      const modes = await terminal.modes();
      await start(terminal, `cmdline=${letter}`);
      await terminal.expect(new RegExp(`\\n\\[status ${status}\\]`), 20);
      assert.is(await terminal.modes(), modes);
    });
  });
}

//  signal  status  what the guest does
const SIGNALS = [
  ["TERM", 143, "e"],
  ["INT", 130, "e"],
  ["HUP", 129, "e"],
  ["TERM", 143, "l"], // does not listen
  ["TERM", 143, "f"], // floods the screen
] as const;
for (const [signal, status, letter] of SIGNALS) {
  it(`SIG${signal} while the guest runs cmdline=${letter} gives the terminal back`, async () => {
    await onTerminal(folder, async (terminal) => {
      const modes = await terminal.modes();
      const pid = /pid (\d+)/.exec(await start(terminal, `cmdline=${letter}`))?.[1];
      await terminal.expect(/hello from the console\r\n/, 20);
      process.kill(Number(pid), `SIG${signal}`);
      await terminal.expect(new RegExp(`\\[status ${status}\\]`), 20);
      assert.is(await terminal.modes(), modes);
    });
  });
}

it("when the terminal goes away, so does the program", async () => {
  let pid = 0;
  await onTerminal(folder, async (terminal) => {
    pid = Number(/pid (\d+)/.exec(await start(terminal, "cmdline=e"))?.[1]);
    await terminal.expect(/hello from the console\r\n/, 20);
  });
  const isAlive = () => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  const limit = Date.now() + 20_000;
  while (isAlive() && Date.now() < limit) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.not.ok(isAlive());
});

test.run();
