/** The guest programs: what each is, and how many times it goes round to take a good fifth of a second. */
export type Bits = 32 | 64;

export interface Program {
  readonly name: string;
  readonly title: string;
  /** File under bench/programs. */
  readonly source: string;
  /** Options for gcc besides the usual ones. */
  readonly flags?: readonly string[];
  /** Argument of work(). */
  readonly count: number;
  /** Instructions say nothing about the work, because some of them are long. */
  readonly noMips?: true;
  /** Needs ring 0, so it has no native time; what it does in a round of `count`, to give time per event. */
  readonly kernel?: { readonly event: string; readonly perCount: number };
}

const INTEGER = ["-mgeneral-regs-only"];
const X87 = ["-mfpmath=387", "-fno-math-errno"];
const SSE2 = ["-msse2", "-mfpmath=sse", "-fno-math-errno"];

export const PROGRAMS: readonly Program[] = [
  { name: "sieve", title: "sieve", source: "sieve.c", flags: INTEGER, count: 18 },
  { name: "sha256", title: "SHA-256", source: "sha256.c", flags: INTEGER, count: 16000 },
  { name: "fib", title: "fib, recursive", source: "fib.c", flags: INTEGER, count: 250 },
  { name: "copy", title: "memory loops", source: "copy.c", flags: INTEGER, count: 170 },
  { name: "bytecode", title: "bytecode VM", source: "bytecode.c", flags: INTEGER, count: 90 },
  { name: "chase", title: "pointer chase, 16 MiB", source: "chase.c", flags: INTEGER, count: 1500 },
  { name: "quicksort", title: "quicksort", source: "quicksort.c", flags: INTEGER, count: 12 },
  { name: "calls", title: "function pointers", source: "calls.c", flags: INTEGER, count: 2500 },
  { name: "wide", title: "64-bit arithmetic", source: "wide.c", flags: INTEGER, count: 1800 },
  { name: "strings", title: "rep movs, rep stos", source: "strings.c", flags: INTEGER, count: 2000, noMips: true },
  { name: "x87", title: "n bodies, x87", source: "nbody.c", flags: X87, count: 100 },
  { name: "sse2", title: "n bodies, SSE2", source: "nbody.c", flags: SSE2, count: 250 },
  { name: "interrupts", title: "interrupts", source: "system.c", flags: [...INTEGER, "-DINTERRUPTS"], count: 500, kernel: { event: "`int 0x80` and `iret`", perCount: 1024 } },
  { name: "walks", title: "page walks", source: "system.c", flags: [...INTEGER, "-DWALKS"], count: 1200, kernel: { event: "CR3 write, then 32 pages touched", perCount: 32 } },
  { name: "faults", title: "page faults", source: "system.c", flags: [...INTEGER, "-DFAULTS"], count: 300, kernel: { event: "page fault, handler maps the page, retry, `invlpg`", perCount: 512 } },
];
