/** The pure-TypeScript baseline: 32-bit programs of integers and of x87 arithmetic that doubles do justice to, in this process. */
import { readFileSync } from "node:fs";
import { BaselineMachine } from "../../src/baseline";
import type { Image } from "../build_programs";
import { COUNT_PORT, Deadline, type Engine, type Loaded, RESULT_PORT, type Sample, stopwatch } from "./engine";

const RAM_BYTES = 64 << 20;
const BUDGET = 2_000_000; // instructions between two looks at the clock
const NOTHING = 0xffffffff;

/** One machine for all programs: JavaScript engines compile best for the first. */
let machine: BaselineMachine | undefined;
let count = 0;
let checksum: number | null = null;
let watch = stopwatch();
let took = { wallMs: 0, cpuMs: 0 };

function giveCount(): number {
  const given = count;
  if (given === 0) machine!.stop();
  count = 0;
  watch = stopwatch();
  return given;
}

function takeResult(value: number): void {
  took = watch.end();
  checksum = value >>> 0;
  machine!.stop();
}

export const baselineEngine: Engine = {
  name: "baseline",
  runs: ({ beyondBaseline }, bits) => bits === 32 && !beyondBaseline,
  missing: () => null,
  async load(image: Image): Promise<Loaded> {
    machine ??= new BaselineMachine({
      memoryBytes: RAM_BYTES,
      onPortRead: (port) => (port === COUNT_PORT ? giveCount() : NOTHING),
      onPortWrite: (port, value) => {
        if (port === RESULT_PORT) takeResult(value);
      },
    });
    machine.reset();
    machine.memory.fill(0);
    machine.codeChanged();
    machine.loadElf(readFileSync(image.kernel));
    return { run, close: () => {} };
  },
};

async function run(rounds: number, deadlineMs: number): Promise<Sample> {
  count = rounds;
  checksum = null;
  const until = performance.now() + deadlineMs;
  while (checksum === null) {
    const { reason } = machine!.run(BUDGET);
    if (reason === "halt" || reason === "shutdown") throw new Error(`${reason} at eip 0x${machine!.registers.eip.toString(16)}`);
    if (performance.now() > until) throw new Deadline(`no result within ${Math.round(deadlineMs / 1000)} s`);
  }
  return { checksum, ...took };
}
