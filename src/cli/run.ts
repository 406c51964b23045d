/** `xenolith run`: one domain in the foreground. */
import { type FileHandle, open, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { isBzImage } from "../domains/bzimage";
import { FIRMWARE_LEAST, FIRMWARE_MOST } from "../domains/build_hvm";
import { applyOverrides, bootFile, type DomainConfig, domainConfig, parseConfig, type RawConfig } from "../domains/config";
import { compressionOf } from "../domains/decompress";
import { isElf, parseElf } from "../domains/elf";
import { ConfigError, ImageError } from "../domains/errors";
import type { Domain, StopReason } from "../domains/domain";
import { hasMultibootHeader } from "../domains/multiboot";
import { Machine } from "../domains/toolstack";
import { xenNotes } from "../domains/xen_notes";
import type { RunCommand } from "./arguments";
import { KernelCache } from "./kernel_cache";
import { kernelSymbols, speedscope } from "./profile";
import { Terminal } from "./terminal";

/** Of the program, by how the domain stopped. */
const EXIT_STATUS: Readonly<Record<StopReason, number>> = {
  poweroff: 0,
  destroyed: 0,
  reboot: 3,
  soft_reset: 3,
  crash: 4,
  watchdog: 4,
  suspend: 5,
};

const BROKEN_PIPE = 141; // as the shell reports death by SIGPIPE
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** MiB for a kernel that is run without a configuration. */
const DEFAULT_MEMORY = 256;

/** Of a file, what tells which kind it is: Multiboot headers are searched for that far. */
const BEGINNING = 32768;

/** The configuration FILE and settings amount to. */
export async function readTarget(file: string, settings: readonly string[], warn: (message: string) => void): Promise<DomainConfig> {
  const fail = (error: NodeJS.ErrnoException): never => {
    throw new ImageError(file, describe(error));
  };
  const handle = await open(file).catch(fail);
  try {
    const beginning = await readBeginning(handle).catch(fail);
    const rest = async () => Buffer.concat([beginning, await handle.readFile().catch(fail)]);
    const raw = await rawTarget(file, beginning, rest, settings);
    return inFile(file, () => domainConfig(applyOverrides(raw, settings), warn));
  } finally {
    await handle.close();
  }
}

async function readBeginning(handle: FileHandle): Promise<Buffer> {
  const bytes = Buffer.alloc(BEGINNING);
  for (let at = 0; ; ) {
    const { bytesRead } = await handle.read(bytes, at, BEGINNING - at);
    at += bytesRead;
    if (bytesRead === 0 || at === BEGINNING) return bytes.subarray(0, at);
  }
}

/** `whole` reads the rest of the file, which for most kernels is left to whoever builds the domain. */
async function rawTarget(file: string, beginning: Buffer, whole: () => Promise<Buffer>, settings: readonly string[]): Promise<RawConfig> {
  const bare = (keys: Record<string, string>): RawConfig => {
    const name = basename(file).replace(/[^A-Za-z0-9._-]/g, "-").replace(/^(\d+)$/, "domain-$1").slice(0, 64);
    return new Map(Object.entries({ name, memory: DEFAULT_MEMORY, ...keys }).map(([key, value]) => [key, { value, line: undefined }]));
  };
  const hasMultiboot = !isBzImage(beginning) && hasMultibootHeader(beginning);
  if (isBzImage(beginning) || isElf(beginning) || compressionOf(beginning) !== null || hasMultiboot)
    return bare({ kernel: file, type: hasMultiboot && isForMultiboot(await whole(), file) ? "hvm" : "pvh" });
  const bytes = await whole();
  if (!bytes.includes(0)) return inFile(file, () => parseConfig(bytes.toString("utf8")));
  const isHvm = settings.some((setting) => /^type=["']?hvm/.test(setting));
  if (!isHvm || bytes.length < FIRMWARE_LEAST || bytes.length > FIRMWARE_MOST)
    throw new ImageError(file, "this is neither a kernel (bzImage, ELF or Multiboot) nor an xl configuration.");
  return bare({ firmware: file, type: "hvm" });
}

/** Whether a kernel with a Multiboot header can start by that alone. */
function isForMultiboot(bytes: Uint8Array, file: string): boolean {
  try {
    return !isElf(bytes) || xenNotes(parseElf(bytes, file)).physEntry === undefined;
  } catch {
    return false; // whoever builds the domain will say what is wrong
  }
}

/** A module as in a boot loader's menu: a file, and after a space its command line. */
function moduleOf(text: string): { image: string; cmdline: string } {
  const [image, ...words] = text.split(" ");
  return { image, cmdline: words.join(" ") };
}

/** Errors of a configuration say which file it is. */
function inFile<T>(file: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof ConfigError) error.message = `${file}: ${error.message}`;
    throw error;
  }
}

export async function run({ file, settings, jit, cache, profile }: RunCommand): Promise<number> {
  const terminal = new Terminal({ stdin: process.stdin, stdout: process.stdout, stderr: process.stderr });
  const log = (line: string) => terminal.line(line);
  const config = await readTarget(file, settings, (message) => log(`xenolith: ${file}: ${message}`));
  const boot = inFile(file, () => bootFile(config));
  const room = boot.firmware ? FIRMWARE_MOST / 2 ** 20 + 1 : 0;
  const machine = await Machine.create({
    memory: config.memory + room,
    pcpus: config.vcpus,
    jit: jit === "check" ? { check: true } : jit,
    kernels: cache ? new KernelCache() : undefined,
    profile: profile !== undefined,
    log,
  });
  let status: number | null = null;
  let domain: Domain | null = null;
  const end = (code: number) => {
    if (status !== null) {
      terminal.restore(); // asked twice: whatever the first one waits for, do not
      process.exit(code);
    }
    status = code;
    void domain?.destroy();
  };
  terminal.onDetach = () => end(0);
  terminal.onBrokenPipe = () => end(BROKEN_PIPE);
  for (const [signal, code] of Object.entries(SIGNALS)) process.on(signal, () => end(code));
  try {
    domain = await machine.createDomain({
      name: config.name,
      uuid: config.uuid,
      type: config.type === "hvm" ? "hvm" : "pvh",
      ...boot,
      ramdisk: config.ramdisk,
      modules: config.modules.map(moduleOf),
      debugExit: config.debug_exit,
      cmdline: config.cmdline,
      memory: config.memory,
      vcpus: config.vcpus,
      paused: true,
    });
    const output = terminal.attach(domain.console);
    if (status === null) domain.unpause();
    else void domain.destroy();
    const { reason, status: guestStatus } = await domain.stopped;
    await output;
    status ??= guestStatus === undefined ? EXIT_STATUS[reason] : guestStatus & 0xff;
    if (status !== 0 && guestStatus === undefined && reason !== "destroyed") log(`xenolith: domain ${config.name}: ${reason}`);
    if (profile !== undefined && machine.profile) {
      const symbols = typeof boot.kernel === "string" ? await kernelSymbols(boot.kernel) : [];
      await writeFile(profile, JSON.stringify(speedscope(machine.profile, symbols, config.name)));
    }
    if (jit === "check") log(`xenolith: ${machine.jit.checked} entries of translated code checked, ${machine.jit.unchecked} not`);
    return status;
  } finally {
    terminal.restore();
    await machine.destroy();
  }
}

export function describe(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return "no such file";
  if (error.code === "EISDIR") return "this is a directory";
  if (error.code === "EACCES") return "permission denied";
  return error.message;
}
