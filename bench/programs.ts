/** The guest programs: what each is, and how many times it goes round to take a good fifth of a second. */
export type Bits = 32 | 64;

export interface Program {
  readonly name: string;
  readonly title: string;
  /** File under bench/programs. */
  readonly source: string;
  /** Options for gcc besides the usual ones. */
  readonly flags?: readonly string[];
  /** More than the baseline is declared to do: its x87 computes in doubles, which is not the 64 bits of precision asked for. */
  readonly beyondBaseline?: true;
  /** Argument of work(). */
  readonly count: number;
  /** Instructions say nothing about the work, because some of them are long. */
  readonly noMips?: true;
  /** Needs ring 0: the host's build only computes the checksum, and there is no native time. */
  readonly kernel?: true;
  /** What is counted is not instructions but events, `perCount` of them in a round of `count`. */
  readonly event?: { readonly name: string; readonly perCount: number };
}

const INTEGER = ["-mgeneral-regs-only"];
const X87 = ["-mfpmath=387", "-fno-math-errno"];
const DOUBLE = [...X87, "-DX87_CONTROL=0x27f"];
const EXTENDED = [...X87, "-DX87_CONTROL=0x37f"];
const SSE2 = ["-msse2", "-mfpmath=sse", "-fno-math-errno"];

export const PROGRAMS: readonly Program[] = [
  { name: "mix", title: "integer mix", source: "mix.c", flags: INTEGER, count: 4000 },
  { name: "lists", title: "lists, matrices, states", source: "lists.c", flags: INTEGER, count: 1000 },
  { name: "sha256", title: "SHA-256", source: "sha256.c", flags: INTEGER, count: 16000 },
  { name: "sieve", title: "sieve", source: "sieve.c", flags: INTEGER, count: 18 },
  { name: "bits", title: "bit operations", source: "bits.c", flags: INTEGER, count: 4000 },
  { name: "wide", title: "64-bit arithmetic", source: "wide.c", flags: INTEGER, count: 1800 },
  { name: "copy", title: "memory loops", source: "copy.c", flags: INTEGER, count: 170 },
  { name: "strings", title: "rep movs, rep stos", source: "strings.c", flags: INTEGER, count: 2000, noMips: true },
  { name: "chase", title: "pointer chase, 16 MiB", source: "chase.c", flags: INTEGER, count: 1500 },
  { name: "quicksort", title: "quicksort", source: "quicksort.c", flags: INTEGER, count: 12 },
  { name: "quicksort-page", title: "quicksort across a page's end", source: "quicksort.c", flags: [...INTEGER, "-fno-toplevel-reorder", "-DACROSS"], count: 12 },
  { name: "bytecode", title: "bytecode VM", source: "bytecode.c", flags: INTEGER, count: 90 },
  { name: "calls", title: "function pointers", source: "calls.c", flags: INTEGER, count: 2500 },
  { name: "fib", title: "fib, recursive", source: "fib.c", flags: INTEGER, count: 250 },
  { name: "footprint", title: "60 KiB of code, calls", source: "footprint.c", flags: INTEGER, count: 8000 },
  { name: "patch", title: "patched code", source: "patch.c", flags: INTEGER, count: 1000 },
  { name: "generate", title: "generated code", source: "generate.c", flags: INTEGER, count: 20000 },
  { name: "x87", title: "n bodies, x87, 53 bits", source: "nbody.c", flags: DOUBLE, count: 100 },
  { name: "x87-64", title: "n bodies, x87, 64 bits", source: "nbody.c", flags: EXTENDED, beyondBaseline: true, count: 100 },
  { name: "mandelbrot-x87", title: "mandelbrot, x87, 53 bits", source: "mandelbrot.c", flags: DOUBLE, count: 20 },
  { name: "sse2", title: "n bodies, SSE2", source: "nbody.c", flags: SSE2, count: 250 },
  { name: "mandelbrot-sse2", title: "mandelbrot, SSE2", source: "mandelbrot.c", flags: SSE2, count: 50 },
  { name: "tlb", title: "pages touched", source: "tlb.c", flags: INTEGER, count: 1000, event: { name: "one of 8192 pages touched, in turn", perCount: 8192 } },
  { name: "walks", title: "page walks", source: "system.c", flags: [...INTEGER, "-DWALKS"], count: 1200, kernel: true, event: { name: "CR3 write, then 32 pages touched", perCount: 32 } },
  { name: "faults", title: "page faults", source: "system.c", flags: [...INTEGER, "-DFAULTS"], count: 300, kernel: true, event: { name: "page fault, handler maps the page, retry, `invlpg`", perCount: 512 } },
  { name: "interrupts", title: "interrupts", source: "syscalls.c", flags: [...INTEGER, "-DINTERRUPTS"], count: 200, kernel: true, event: { name: "system call by `int 0x80`, `iret`", perCount: 1024 } },
  { name: "syscalls", title: "system calls", source: "syscalls.c", flags: [...INTEGER, "-DFAST"], count: 300, kernel: true, event: { name: "system call by `sysenter` (32), `syscall` (64)", perCount: 1024 } },
];
