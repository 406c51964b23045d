/** What can run the guest programs. */
import type { Image } from "../build_programs";
import type { Bits, Program } from "../programs";

export interface Sample {
  readonly checksum: number;
  readonly wallMs: number;
  /** CPU time of every thread that worked for it. */
  readonly cpuMs: number;
  /** Instructions, where the engine counts them. */
  readonly instructions?: number;
}

/** A program loaded into an engine; it can be run any number of times, and costs no CPU time in between. */
export interface Loaded {
  /** Rejects after `deadlineMs`. */
  run(count: number, deadlineMs: number): Promise<Sample>;
  close(): Promise<void> | void;
}

export interface Engine {
  readonly name: string;
  /** Whether it can run this program in this mode at all. */
  runs(program: Program, bits: Bits): boolean;
  /** Why it cannot be used here, or null. */
  missing(): string | null;
  load(image: Image): Promise<Loaded>;
}

export class Deadline extends Error {
  override name = "Deadline";
}

export function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Deadline(`${what}: nothing within ${Math.round(ms / 1000)} s`)), ms);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** Ports of bench/programs/main.c. */
export const COUNT_PORT = 0x8f0;
export const RESULT_PORT = 0x8f4;

/** Time and CPU time of this process from here to `end()`. */
export function stopwatch(): { end(): { wallMs: number; cpuMs: number } } {
  const wall = performance.now();
  const cpu = process.cpuUsage();
  return {
    end() {
      const { user, system } = process.cpuUsage(cpu);
      return { wallMs: performance.now() - wall, cpuMs: (user + system) / 1000 };
    },
  };
}
