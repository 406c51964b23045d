/** The program with Debian's kernel on a real terminal, used as people use one. Only what is on the screen is asserted. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { linuxOrSkip } from "../support/guests";
import { hasPseudoTerminal, onTerminal, type PseudoTerminal } from "../support/pseudo_terminal";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const guest = hasPseudoTerminal() ? await linuxOrSkip("debian") : null;
const test = suite("Debian on a terminal");
const it = guest ? test : test.skip;
const run = `'${process.execPath}' '${root}/dist/cli.mjs' run '${guest?.kernel}' ramdisk='${guest?.ramdisk}' cmdline='console=hvc0 quiet'`;
const BOOT = 90; // seconds; five on a quiet machine
/** The shell asks where the cursor is after each prompt: before it has the answer, what is typed is drawn twice. */
const PROMPT = /guest:\/root# \x1b\[6n/;

/** A command of the guest's shell: what it prints, after its echo and up to the next prompt. */
async function inGuest(terminal: PseudoTerminal, command: string): Promise<string> {
  terminal.type(`${command}\r`);
  const [echo, ...output] = (await terminal.expect(PROMPT, 30)).split("\r\n");
  assert.is(echo, command, "typed characters come back once");
  return output.slice(0, -1).join("\r\n");
}

it("echo, Ctrl-C, vi, top, and Ctrl-] at the end", async () => {
  await onTerminal(root, async (terminal) => {
    await terminal.host("stty rows 24 cols 80 -ixon intr ^K"); // modes of somebody's own
    const modes = await terminal.modes();
    terminal.type(`${run}; echo "[status $?"]\n`);
    await terminal.expect(PROMPT, BOOT);

    assert.is(await inGuest(terminal, "echo hel''lo | tr a-z A-Z"), "HELLO");
    terminal.type("echo wrong\x7f\x7f\x7f\x7f\x7fright\r");
    assert.match(await terminal.expect(PROMPT, 20), /\r\nright\r\n/, "Backspace");

    // When it speaks, the process is in the foreground and the shell's line editor has given the terminal's modes back.
    terminal.type("sh -c 'echo asleep; exec sleep 100'\r");
    await terminal.expect(/\r\nasleep\r\n/, 20);
    terminal.type("\x03");
    assert.match(await terminal.expect(PROMPT, 20), /^\^C\r\n/, "Ctrl-C reaches the guest, and only the guest");
    assert.is(await inGuest(terminal, "echo $?"), "130");
    terminal.type("echo reading; cat\r");
    await terminal.expect(/\r\nreading\r\n/, 20);
    terminal.type("twice\r\x04"); // Ctrl-D
    await terminal.expect(/^twice\r\ntwice\r\n/, 20);
    await terminal.expect(PROMPT, 20);

    terminal.type("vi /tmp/poem\r");
    await terminal.expect(/- \/tmp\/poem.*1\/1/, 20);
    terminal.type("iroses\rviolets\x1b");
    await terminal.expect(/- \/tmp\/poem \[Modified\] 2\/2/, 20); // an Escape that something follows at once would be a key like Alt
    terminal.type("kx:wq\r"); // up, delete the letter, save
    await terminal.expect(/'\/tmp\/poem' .*2L/, 20);
    await terminal.expect(PROMPT, 20);
    assert.is(await inGuest(terminal, "cat /tmp/poem"), "rose\r\nviolets");

    terminal.type("top\r");
    await terminal.expect(/Mem: \d+K used, \d+K free.*CPU: .*PID +PPID USER .* busybox init/s, 20);
    terminal.type("N"); // by number, the last one first
    await terminal.expect(/COMMAND\x1b\[m\r\n +[1-9]\d+ /, 20);
    terminal.type("r"); // the other way round
    await terminal.expect(/COMMAND\x1b\[m\r\n +1 /, 20);
    terminal.type("q");
    await terminal.expect(PROMPT, 20);
    assert.is(await inGuest(terminal, "echo back"), "back");

    terminal.type("\x1d");
    await terminal.expect(/\[status 0\]/, 20);
    assert.is(await terminal.modes(), modes, "the terminal is as it was");
  });
});

it("power-off gives the terminal back", async () => {
  await onTerminal(root, async (terminal) => {
    const modes = await terminal.modes();
    terminal.type(`${run}; echo "[status $?"]\n`);
    await terminal.expect(PROMPT, BOOT);
    terminal.type("poweroff -f\r");
    await terminal.expect(/\r\n\[status 0\]/, 30);
    assert.is(await terminal.modes(), modes);
  });
});

test.run();
