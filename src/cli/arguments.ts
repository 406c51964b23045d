/** The command line: `xenolith run FILE [key=value ...]`. */

export class UsageError extends Error {
  override name = "UsageError";
}

export type Command =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | RunCommand;

export interface RunCommand {
  readonly kind: "run";
  readonly file: string;
  readonly settings: readonly string[];
  /** Hot code is translated; "check": and compared with the interpreter. */
  readonly jit: boolean | "check";
  /** Unpacked kernels are kept for the next run. */
  readonly cache: boolean;
  /** File for a profile. */
  readonly profile?: string;
}

export const HELP = `usage: xenolith run [--no-jit | --check-jit] [--no-cache] [--profile OUT] FILE [key=value ...]

Runs one Xen domain in the foreground with its console on this terminal.

FILE is an xl.cfg file, or a kernel: a bzImage or an ELF image with a PVH note, or with a Multiboot header
for a bare PC (type=hvm). With type=hvm it may also be a ROM image that starts at the reset vector.
key=value sets a key of xl.cfg, over what the file says:
  kernel=FILE   ramdisk=FILE   cmdline=TEXT   root=DEVICE   extra=TEXT
  memory=MIB    vcpus=1        name=TEXT      type=pvh|hvm
  firmware=FILE modules="FILE TEXT"           debug_exit=1

On a terminal, Ctrl-] ends the domain. Piped input goes to the console as the guest takes it, and the
domain runs until it stops by itself. Lines of the hypervisor log, (dN) text, go to standard error.

--no-jit interprets all code instead of translating what is hot.
--check-jit compares whatever is translated with the interpreter as it runs, on one thread and slowly.
A difference ends the domain like a crash, and the log says what it was.
--no-cache neither uses nor keeps unpacked kernels. Otherwise the last four are in ~/.cache/xenolith.
--profile OUT writes where the guest's time went, for the viewer at speedscope.app, with the kernel's symbols
where it has any.

Exit status: 0 power-off, 3 reboot, 4 crash, 5 suspend, 1 bad input; with debug_exit=1, for a guest that
writes N to port 0xF4, 2N+1. QEMU's fw_cfg and pc-testdev are there too then, for its test kernels.

  xenolith --help      this text
  xenolith --version   the version
`;

const RUN_OPTIONS = new Set(["--no-jit", "--check-jit", "--no-cache", "--profile"]);

export function parseArguments(args: readonly string[]): Command {
  const [verb, ...words] = args;
  let jit: RunCommand["jit"] = true;
  let cache = true;
  let profile: string | undefined;
  for (; RUN_OPTIONS.has(words[0]); words.shift()) {
    if (words[0] === "--no-cache") cache = false;
    else if (words[0] !== "--profile") jit = words[0] === "--check-jit" ? "check" : false;
    else if ((profile = words.splice(1, 1)[0]) === undefined) throw new UsageError("run: --profile needs the name of a file to write");
  }
  const [file, ...rest] = words;
  if (verb === "--help" || verb === "-h" || verb === "help") return { kind: "help" };
  if (verb === "--version" || verb === "-V" || verb === "version") return { kind: "version" };
  if (verb === undefined) throw new UsageError("a command is missing: xenolith run FILE [key=value ...]");
  if (verb !== "run") throw new UsageError(`${verb}: no such command; xenolith --help lists them`);
  if (file === "--help" || file === "-h") return { kind: "help" };
  if (file === undefined) throw new UsageError("run: a file is missing: xenolith run FILE [key=value ...]");
  return { kind: "run", file, settings: rest.map(checkSetting), jit, cache, ...(profile !== undefined && { profile }) };
}

function checkSetting(text: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*=/.test(text)) throw new UsageError(`${text}: settings have the form key=value`);
  return text;
}
