/** Compiles the guest programs with the host's gcc, into build/bench, when their sources have changed. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bits, Program } from "./programs";

declare const XENOLITH_ROOT: string;

const SOURCES = join(XENOLITH_ROOT, "bench/programs");
const OUTPUT = join(XENOLITH_ROOT, "build/bench");

// -O2 without vectors and without turning loops into memcpy: what is measured is the loop as written.
const COMMON = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-ffreestanding", "-fno-pic", "-fno-pie", "-mno-red-zone", "-fno-stack-protector"];
const LOOPS = ["-fno-tree-vectorize", "-fno-tree-loop-distribute-patterns", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"];
const LINK = ["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none,-z,noexecstack,--no-warn-rwx-segments"];

export interface Image {
  readonly program: Program;
  readonly bits: Bits;
  /** ELF kernel: PVH, and multiboot 1 if it is a 32-bit one. */
  readonly kernel: string;
  /** The same object code as a program for the host. */
  readonly native: string;
}

/** Why programs cannot be built here, or null. */
export function whyNoCompiler(): string | null {
  return spawnSync("gcc", ["--version"]).status === 0 ? null : "gcc is not installed; the guest programs are built from source";
}

const digest = (text: string): string => {
  const hash = createHash("sha256").update(text);
  for (const file of readdirSync(SOURCES).sort()) hash.update(file).update(readFileSync(join(SOURCES, file)));
  return hash.digest("hex");
};

function gcc(...args: string[]): void {
  const run = spawnSync("gcc", args, { cwd: SOURCES, encoding: "utf8" });
  if (run.status !== 0 || run.stderr) throw new Error(`gcc ${args.join(" ")}\n${run.error ?? run.stderr}`);
}

export function buildImage(program: Program, bits: Bits): Image {
  const base = join(OUTPUT, `${program.name}${bits}`);
  const image = { program, bits, kernel: `${base}.elf`, native: `${base}.native` };
  const mode = [`-m${bits}`, ...(bits === 32 ? ["-march=i686"] : []), ...COMMON, ...LOOPS];
  const flags = program.flags ?? [];
  build(base, `${[...mode, ...flags, ...LINK]}`, [image.kernel, image.native], () => {
    const object = `${base}.o`;
    gcc(...mode, ...flags, "-c", program.source, "-o", object);
    linkKernel(mode, [object, "main.c"], image.kernel);
    const host = `${base}.host.o`;
    if (program.kernel) gcc(...mode, ...flags, "-DNATIVE", "-c", program.source, "-o", host);
    linkNative(mode, bits, program.kernel ? host : object, image.native);
  });
  return image;
}

/** The PVH guest that times its hypervisor. */
export function buildXenGuest(): string {
  const kernel = join(OUTPUT, "xen.elf");
  const mode = ["-m64", ...COMMON, ...LOOPS];
  build(kernel, `${[...mode, ...LINK]}`, [kernel], () => linkKernel(mode, ["xen.c"], kernel));
  return kernel;
}

function linkKernel(mode: string[], parts: string[], kernel: string): void {
  gcc(...mode, "-mgeneral-regs-only", ...LINK, "-Wl,-T,kernel.ld", "start.S", ...parts, "library.c", "-o", kernel);
}

/** A 64-bit program in any case: not every host starts 32-bit ones. `native32.c` has the 32-bit one inside. */
function linkNative(mode: string[], bits: Bits, object: string, native: string): void {
  const integer = ["-mgeneral-regs-only", ...LINK];
  if (bits === 64) return gcc(...mode, ...integer, object, "native.c", "library.c", "-o", native);
  const image = `${native}.image`;
  gcc(...mode, ...integer, "-Wl,-Ttext-segment=0x10000000", "start32.S", object, "library.c", "-o", image);
  gcc("-m64", ...COMMON, ...LOOPS, ...integer, `-DIMAGE32="${image}"`, "native.c", "native32.c", "-o", native);
}

function build(base: string, options: string, outputs: string[], work: () => void): void {
  const key = digest(options);
  const stamp = `${base}.stamp`;
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === key && outputs.every(existsSync)) return;
  mkdirSync(OUTPUT, { recursive: true });
  work();
  writeFileSync(stamp, key);
}
