/** Cases of code for a real processor and for the core: what a case is, the memory and segments it runs in, and the streams of
 *  tests/hardware/native.c.
 *
 *  Memory is the same in both: one region of code, which holds HLT wherever no case is, and a few pages of data between holes.
 *  Only the bytes of `windows` are set before a case and looked at after it. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";

declare const XENOLITH_ROOT: string;

export const CODE = 0x500000;
export const CODE_SIZE = 0x10000;
export const DATA = 0x600000;
/** Read-only page between two holes. */
export const READ_ONLY = DATA + 0x3000;
/** A 64 KiB stretch of which only the two ends exist: operands that wrap at 64 KiB. */
export const WRAP = 0x610000;
export const PAGES: readonly (readonly [address: number, writable: boolean])[] = [
  [DATA, true],
  [DATA + 0x1000, true],
  [READ_ONLY, false],
  [WRAP, true],
  [WRAP + 0xf000, true],
];

/** A segment as the local descriptor table describes it; `limit` in units of the granularity. */
export interface Segment {
  readonly base: number;
  readonly limit: number;
  readonly big?: boolean;
  readonly code?: boolean;
  readonly readOnly?: boolean;
  readonly down?: boolean;
  readonly pages?: boolean;
}
/** Segments in the order es cs ss ds fs gs. */
export interface Env {
  readonly name: string;
  readonly bits: 16 | 32 | 64;
  readonly seg: readonly Segment[];
}

const flat: Segment = { base: 0, limit: 0xfffff, big: true, pages: true };
const none: Segment = { base: 0, limit: 0 };
/** Bases of FS and GS in 64-bit mode. */
export const FS_BASE = DATA - 0x1230;
export const GS_BASE = DATA + 0x800;
const limitedData: Segment = { base: DATA - 0x8000, limit: 0x9fe0, big: true }; // ends 31 bytes before the hole
export const ENVS: readonly Env[] = [
  { name: "64-bit", bits: 64, seg: [none, none, none, none, { base: FS_BASE, limit: 0 }, { base: GS_BASE, limit: 0 }] },
  { name: "32-bit flat", bits: 32, seg: [flat, { ...flat, code: true }, flat, flat, { ...flat, base: DATA - 0x3000 }, { base: DATA, limit: 0x1010, big: true }] },
  {
    name: "32-bit segments",
    bits: 32,
    seg: [
      { base: DATA - 0x4000, limit: 0xffff, big: true },
      { base: CODE, limit: 0xffff, big: true, code: true },
      { base: DATA - 0x2000, limit: 0x2fd0, big: true, down: true }, // offsets from 0x2fd1 up
      limitedData,
      { base: DATA - 0x1000, limit: 0xffff, big: true, readOnly: true },
      { base: DATA - 0x1000, limit: 0x1fff, down: true }, // offsets 0x2000 to 0xffff
    ],
  },
  {
    name: "16-bit",
    bits: 16,
    seg: [
      { base: DATA - 0x6000, limit: 0xffff },
      { base: CODE, limit: 0xffff, code: true },
      { base: DATA - 0x4000, limit: 0xffff },
      { ...limitedData, big: false },
      flat,
      { base: WRAP, limit: 0xffff },
    ],
  },
  {
    name: "16-bit code, 32-bit stack",
    bits: 16,
    seg: [
      { base: WRAP, limit: 0xffff },
      { base: CODE, limit: 0xffff, code: true },
      { base: DATA - 0x10000, limit: 0x1ffff, big: true },
      { base: WRAP, limit: 0xffff },
      { base: DATA - 0x1000, limit: 0xffff, readOnly: true },
      flat,
    ],
  },
  {
    name: "32-bit code, 16-bit stack",
    bits: 32,
    seg: [flat, { ...flat, code: true }, { base: WRAP, limit: 0xffff }, flat, { base: WRAP, limit: 0xffff }, { base: DATA, limit: 0x10 }],
  },
];

/** [address, length] of what a case sets and reads, in this order in Case.memory. */
export type Windows = readonly (readonly [address: number, length: number])[];
/** Around a page boundary, at the end of mapped memory, and at both ends of the 64 KiB stretch; wide enough for what an
 *  instruction that starts near their middle, or at the end, may reach. */
export const MEMORY = 1600;
export const WINDOWS: Windows = [
  [DATA + 0x1000 - 320, 640],
  [DATA + 0x2000 - 320, 320],
  [WRAP, 320],
  [WRAP + 0xffff - 319, 320],
];

export interface Case {
  readonly env: number;
  /** Offset in the code segment. */
  readonly rip: number;
  /** Run one instruction; otherwise until HLT. */
  readonly step: boolean;
  /** The instruction repeats itself. */
  readonly repeats: boolean;
  readonly code: Uint8Array;
  readonly gpr: BigUint64Array;
  readonly rflags: number;
  readonly memory: Uint8Array;
  /** The first FPU bytes of an FXSAVE image; in a batch all cases have it, or none. */
  readonly fpu?: Uint8Array;
}

/** FXSAVE image without its reserved end: FCW, FSW, tags, pointers, MXCSR at 24, ST(i) at 32, XMM registers at 160. */
export const FPU = 416;

export const DONE = 1;
export interface Result {
  readonly gpr: BigUint64Array;
  readonly rip: bigint;
  readonly rflags: number;
  /** Vector of the exception; DONE if there was none. */
  readonly trap: number;
  readonly error: number;
  readonly cr2: bigint;
  readonly memory: Uint8Array;
  readonly fpu?: Uint8Array;
}

export const STATUS = 0xcd5; // OF DF SF ZF AF PF CF

const sum = (windows: Windows) => windows.reduce((n, [, length]) => n + length, 0);
const HEAD = 28 + 16 * 8 + 8 * 76 + 8 * 8 + 4 + 16 + 8;
const CASE = 16 + 128 + 8;
const RESULT = 128 + 16 + 8 + 8;

function segmentFlags(s: Segment): number {
  return (s.big ? 1 : 0) | (s.code ? 2 : 0) | (s.readOnly ? 4 : 0) | (s.down ? 8 : 0) | (s.pages ? 16 : 0);
}

function encode(cases: readonly Case[], windows: Windows): Uint8Array {
  const memory = sum(windows);
  const fpu = cases[0]?.fpu ? FPU : 0;
  const size = HEAD + cases.reduce((n, c) => n + CASE + memory + fpu + ((c.code.length + 7) & ~7), 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const u32 = (x: number) => {
    view.setUint32(at, x >>> 0, true);
    at += 4;
  };
  const u64 = (x: bigint) => {
    view.setBigUint64(at, x, true);
    at += 8;
  };
  for (const x of [cases.length, ENVS.length, windows.length, memory, CODE, CODE_SIZE, PAGES.length]) u32(x);
  for (let i = 0; i < 16; i++) {
    u32(PAGES[i]?.[0] ?? 0);
    u32(PAGES[i]?.[1] ? 1 : 0);
  }
  for (let i = 0; i < 8; i++) {
    u32(ENVS[i]?.bits ?? 0);
    for (let s = 0; s < 6; s++) {
      const segment = ENVS[i]?.seg[s] ?? none;
      u32(segment.base);
      u32(segment.limit);
      u32(segmentFlags(segment));
    }
  }
  for (let i = 0; i < 8; i++) {
    u32(windows[i]?.[0] ?? 0);
    u32(windows[i]?.[1] ?? 0);
  }
  at = (at + 7) & ~7;
  u64(BigInt(FS_BASE));
  u64(BigInt(GS_BASE));
  u32(fpu);
  u32(0);
  for (const c of cases) {
    for (const x of [c.env, c.rip, (c.step ? 1 : 0) | (c.repeats ? 2 : 0), c.code.length]) u32(x);
    for (const x of c.gpr) u64(x);
    u64(BigInt(c.rflags));
    bytes.set(c.memory, at);
    at += memory;
    if (c.fpu) bytes.set(c.fpu, at);
    at += fpu;
    bytes.set(c.code, at);
    at += (c.code.length + 7) & ~7;
  }
  return bytes.subarray(0, at);
}

function decode(bytes: Buffer, cases: readonly Case[], windows: Windows): Result[] {
  const memory = sum(windows);
  const fpu = cases[0]?.fpu ? FPU : 0;
  const results: Result[] = [];
  for (let i = 0, at = 0; i < cases.length; i++, at += RESULT + memory + fpu) {
    const gpr = new BigUint64Array(16);
    for (let r = 0; r < 16; r++) gpr[r] = bytes.readBigUInt64LE(at + r * 8);
    results.push({
      gpr,
      rip: bytes.readBigUInt64LE(at + 128),
      rflags: bytes.readUInt32LE(at + 136) & STATUS,
      trap: bytes.readUInt32LE(at + 144),
      error: bytes.readUInt32LE(at + 148),
      cr2: bytes.readBigUInt64LE(at + 152),
      memory: bytes.subarray(at + 160, at + 160 + memory),
      fpu: fpu ? bytes.subarray(at + 160 + memory, at + 160 + memory + fpu) : undefined,
    });
  }
  return results;
}

/** The recorder, compiled; null where it cannot be (not Linux on x86-64, or no C compiler). */
export function buildNative(): string | null {
  if (process.platform !== "linux" || process.arch !== "x64") return null;
  const source = join(XENOLITH_ROOT, "tests/hardware/native.c");
  const out = join(XENOLITH_ROOT, "build/hardware/native");
  if (existsSync(out) && statSync(out).mtimeMs > statSync(source).mtimeMs) return out;
  mkdirSync(join(XENOLITH_ROOT, "build/hardware"), { recursive: true });
  const gcc = spawnSync("gcc", ["-O1", "-static-pie", "-fno-stack-protector", "-o", out, source], { encoding: "utf8" });
  return gcc.status === 0 ? out : null;
}

/** Runs the cases on this machine's processor. */
export function runNative(program: string, cases: readonly Case[], windows: Windows = WINDOWS): Result[] {
  const size = (RESULT + sum(windows) + (cases[0]?.fpu ? FPU : 0)) * cases.length;
  const run = spawnSync(program, { input: encode(cases, windows), maxBuffer: size + 4096 });
  if (run.status !== 0 || run.stdout.length !== size) throw new Error(`${program}: status ${run.status} ${run.signal ?? ""}, ${run.stdout.length} of ${size} bytes ${run.stderr}`);
  return decode(run.stdout, cases, windows);
}

const GPRS = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
const hex = (x: bigint | number) => x.toString(16);

/** What differs between a recorded and a computed result, in words; flags outside `defined` do not count. Outside 64-bit mode
 *  only the lower halves of the registers are looked at. Present and absent pages are told apart only in the memory of the
 *  cases: the rest belongs to other things in either machine. */
export function differences(c: Case, want: Result, got: Result, defined = STATUS, windows: Windows = WINDOWS): string[] {
  const found: string[] = [];
  const say = (what: string, x: bigint | number, y: bigint | number) => found.push(`${what} ${hex(x)}, not ${hex(y)}`);
  if (want.trap !== got.trap) say("trap", got.trap, want.trap);
  else {
    const ours = want.cr2 >= BigInt(CODE) && want.cr2 < BigInt(WRAP + 0x10000);
    if (((want.error ^ got.error) & (ours ? ~0 : ~1)) !== 0) say("error code", got.error, want.error);
    if (want.cr2 !== got.cr2) say("cr2", got.cr2, want.cr2);
  }
  if (want.rip !== got.rip) say("rip", got.rip, want.rip);
  const long = ENVS[c.env].bits === 64;
  for (let i = 0; i < (long ? 16 : 8); i++) {
    const mask = long ? (1n << 64n) - 1n : 0xffffffffn;
    if ((want.gpr[i] ^ got.gpr[i]) & mask) say(GPRS[i], got.gpr[i], want.gpr[i]);
  }
  if ((want.rflags ^ got.rflags) & defined) say("flags", got.rflags & defined, want.rflags & defined);
  if (want.fpu && got.fpu) found.push(...fpuDifferences(want.fpu, got.fpu, long));
  let at = 0;
  for (const [address, length] of windows)
    for (let i = 0; i < length; i++, at++) if (want.memory[at] !== got.memory[at] && found.length < 9) say(`[${hex(address + i)}]`, got.memory[at], want.memory[at]);
  return found;
}

/** What is compared: not the pointers, since processors differ in when they keep them. */
export const FPU_FIELDS: readonly (readonly [name: string, at: number, length: number])[] = [
  ["FCW", 0, 2],
  ["FSW", 2, 2],
  ["tags", 4, 1],
  ["MXCSR", 24, 4],
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((i) => [`ST(${i})`, 32 + i * 16, 10] as const),
  ...[...Array(16).keys()].map((i) => [`XMM${i}`, 160 + i * 16, 16] as const),
];

function fpuDifferences(want: Uint8Array, got: Uint8Array, long: boolean): string[] {
  const text = (bytes: Uint8Array) => [...bytes].reverse().map((b) => b.toString(16).padStart(2, "0")).join("");
  return FPU_FIELDS.slice(0, long ? 28 : 20).flatMap(([name, at, length]) => {
    const [x, y] = [text(want.subarray(at, at + length)), text(got.subarray(at, at + length))];
    return x === y ? [] : [`${name} ${y}, not ${x}`];
  });
}

/** A case as a test's message: code, place and registers. */
export function describe(c: Case): string {
  const code = [...c.code].map((b) => b.toString(16).padStart(2, "0")).join("");
  return `${ENVS[c.env].name} ${code} at ${hex(c.rip)}, ${GPRS.map((name, i) => `${name}=${hex(c.gpr[i])}`).join(" ")} flags=${hex(c.rflags)}`;
}
