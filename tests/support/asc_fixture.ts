/** Compiles a small AssemblyScript entry for unit tests of core modules, cached under build/fixtures until a file it
 *  read changes. Options come from asconfig.json. A fixture imports `env.memory` and whatever of assembly/env.ts it
 *  uses; `env()` supplies both. */
import asc from "assemblyscript/asc";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";

const root: string = (globalThis as { XENOLITH_ROOT?: string }).XENOLITH_ROOT ?? process.cwd();

export interface FixtureOptions {
  /** Replaces modules: path from the project's root -> path of the stand-in. For units not under test. */
  readonly replace?: Readonly<Record<string, string>>;
  /** Memory kind, default shared. */
  readonly shared?: boolean;
}

/** The compiled module of `entry` (a path from the project's root, such as "tests/mmu/fixture/paging.ts"). */
export async function buildFixture(entry: string, options: FixtureOptions = {}): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await fixtureBytes(entry, options));
}

/** Its bytes. */
export async function fixtureBytes(entry: string, options: FixtureOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  const shared = options.shared ?? true;
  const replace = new Map(Object.entries(options.replace ?? {}));
  const key = createHash("sha256").update(JSON.stringify([entry, shared, [...replace]])).digest("hex").slice(0, 12);
  const folder = join(root, "build", "fixtures");
  const out = join(folder, `${basename(entry, ".ts")}-${key}.wasm`);
  if (!isFresh(out)) await compile(entry, out, shared, replace);
  return new Uint8Array(readFileSync(out));
}

/** What the compiler read last time, with the modification time each file had (0: looked for and absent). */
type Inputs = Record<string, number>;

const mtime = (path: string): number => (existsSync(path) ? statSync(path).mtimeMs : 0);

function isFresh(out: string): boolean {
  if (!existsSync(out) || !existsSync(`${out}.json`)) return false;
  const inputs = JSON.parse(readFileSync(`${out}.json`, "utf8")) as Inputs;
  return Object.entries(inputs).every(([path, time]) => mtime(join(root, path)) === time);
}

async function compile(entry: string, out: string, shared: boolean, replace: Map<string, string>): Promise<void> {
  const config = JSON.parse(readFileSync(join(root, "asconfig.json"), "utf8")) as { options: Record<string, unknown> };
  const { options } = config;
  const inputs: Inputs = { "asconfig.json": mtime(join(root, "asconfig.json")) };
  let wasm: Uint8Array | undefined;
  const args = [entry, "--outFile", "fixture.wasm"];
  for (const [name, value] of Object.entries(options)) {
    if (value === false) continue;
    if (value === true) args.push(`--${name}`);
    else for (const one of Array.isArray(value) ? value : [value]) args.push(`--${name}`, String(one));
  }
  if (shared) args.push("--sharedMemory");
  const { error, stderr } = await asc.main(args, {
    readFile(name: string, baseDir: string): string | null {
      const path = relative(root, resolve(root, baseDir, name)).replaceAll("\\", "/");
      if (path === "asconfig.json") return null; // options are on the command line: no "entries" of the core
      inputs[path] = mtime(join(root, path));
      const standIn = replace.get(path);
      if (standIn) return `export * from "${relative(dirname(path), standIn).replace(/\.ts$/, "")}";`;
      return inputs[path] ? readFileSync(join(root, path), "utf8") : null;
    },
    writeFile(name: string, contents: Uint8Array | string): void {
      if (name.endsWith(".wasm")) wasm = contents as Uint8Array;
    },
    listFiles: () => [],
  });
  if (error || !wasm) throw new Error(`asc ${entry}: ${error?.message ?? "no output"}\n${stderr.toString()}`);
  mkdirSync(join(root, "build", "fixtures"), { recursive: true });
  const part = `${out}.${process.pid}`;
  writeFileSync(part, wasm);
  renameSync(part, out); // test files may run at once
  writeFileSync(`${out}.json`, JSON.stringify(inputs));
}

/** Thrown by the default `unwind`. */
export class Unwound extends Error {}

const UNWOUND = new Unwound("unwind");

/** Import object: a memory of `pages` (64 KiB each, at least the core's initial 2048) and inert hosts, overridable. */
export function env(memory: WebAssembly.Memory, overrides: Record<string, CallableFunction> = {}): WebAssembly.Imports {
  const inert: Record<string, CallableFunction> = {
    unwind: () => {
      throw UNWOUND;
    },
    pioRead: () => -1,
    pioWrite: () => {},
    mmioRead: () => -1,
    mmioWrite: () => {},
    intAck: () => 0,
    jitInstall: () => 0,
    jitDrop: () => {},
    nowNs: () => 0,
    notice: () => {},
  };
  return { env: { memory, ...inert, ...overrides } as WebAssembly.ModuleImports };
}

/** A machine memory as the core imports it: `megabytes` mapped now, 4 GiB at most. */
export function fixtureMemory(megabytes = 256, shared = true): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: megabytes * 16, maximum: megabytes * 16, shared });
}
