/** The thread that the baseline runs on (baseline.ts). */
import { readFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { BaselineMachine } from "../../src/baseline";
import { COUNT_PORT, Deadline, RESULT_PORT, type Sample, stopwatch } from "./engine";

const RAM_BYTES = 64 << 20;
const BUDGET = 2_000_000; // instructions between two looks at the clock
const NOTHING = 0xffffffff;
const COMPILING_MS = 3000;

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

/** V8 takes a second or two to compile the interpreter, on another thread, after a first look at all of it: until then it would be
 *  measured several times slower than it is. */
function make(): BaselineMachine {
  const made = new BaselineMachine({
    memoryBytes: RAM_BYTES,
    onPortRead: (port) => (port === COUNT_PORT ? giveCount() : NOTHING),
    onPortWrite: (port, value) => {
      if (port === RESULT_PORT) takeResult(value);
    },
  });
  made.load(0x1000, Uint8Array.of(0x40, 0xeb, 0xfd)); // INC EAX, JMP to it
  made.registers.eip = 0x1000;
  for (const until = performance.now() + COMPILING_MS; performance.now() < until; ) made.run(BUDGET);
  return made;
}

type Request = { readonly kernel: string } | { readonly rounds: number; readonly deadlineMs: number };

parentPort!.on("message", (request: Request) => {
  try {
    if ("kernel" in request) {
      load(request.kernel);
      parentPort!.postMessage({});
    } else parentPort!.postMessage({ sample: run(request.rounds, request.deadlineMs) });
  } catch (error) {
    parentPort!.postMessage({ error: String(error) });
  }
});

function load(kernel: string): void {
  machine ??= make();
  machine.reset();
  machine.memory.fill(0);
  machine.codeChanged();
  machine.loadElf(readFileSync(kernel));
}

function run(rounds: number, deadlineMs: number): Sample {
  count = rounds;
  checksum = null;
  const until = performance.now() + deadlineMs;
  let instructions = 0;
  while (checksum === null) {
    const { reason, instructions: done } = machine!.run(BUDGET);
    instructions += done;
    if (reason === "halt" || reason === "shutdown") throw new Error(`${reason} at eip 0x${machine!.registers.eip.toString(16)}`);
    if (performance.now() > until) throw new Deadline(`no result within ${Math.round(deadlineMs / 1000)} s`);
  }
  return { checksum, ...took, instructions };
}
