/** Runs cases in a worker while this thread watches that the processor comes back. A hang ends the worker, anything else is
 *  caught there and shrunk: pieces of the program are left out while it still fails. */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { AttackMachine, Breach } from "./attacker";
import { type Case, describe, makeCase, runCase, Skip } from "./cases";

export interface Hunt {
  readonly cases: number;
  readonly findings: readonly string[];
}

interface Task {
  readonly hunting: true;
  readonly words: SharedArrayBuffer;
  readonly from: number;
  readonly to: number;
}

const enum Word {
  seed,
  step,
  entered, // time, 0 outside of the processor
  cases,
  slowest, // ms
  slowestSeed,
}

const LIMIT_MS = 1000;
/** Cases are short: next to nothing of them would ever be hot. So eight seeds run as guests do, and the next eight with all translated that runs twice. */
const JIT = [true, { threshold: 1, slice: 40, insns: 60, crossed: 2 }] as const;
const wayOf = (seed: number) => (seed >> 3) & 1;
const clock = () => Math.round(performance.timeOrigin + performance.now()) & 0x3fffffff;

/** In the main thread: cases `from` up to `to`, for at most `ms`. `self` is the URL of a module that imports this one. */
export async function hunt(self: string, from: number, to: number, ms: number): Promise<Hunt> {
  const findings: string[] = [];
  const started = performance.now();
  const words = new Int32Array(new SharedArrayBuffer(64));
  while (from < to && findings.length < 5 && performance.now() - started < ms) {
    Atomics.store(words, Word.seed, from);
    const worker = new Worker(new URL(self), { workerData: { hunting: true, words: words.buffer, from, to } as Task });
    worker.on("message", (line: string) => findings.push(line));
    let done = false;
    worker.on("error", (error) => findings.push(String(error)));
    const ended = new Promise<void>((resolve) => {
      worker.on("exit", () => {
        done = true;
        resolve();
      });
    });
    while (!done && performance.now() - started < ms) {
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 100))]);
      const entered = Atomics.load(words, Word.entered);
      if (entered === 0 || clock() - entered < LIMIT_MS * slowness()) continue;
      const seed = Atomics.load(words, Word.seed);
      const step = makeCase(seed).steps[Atomics.load(words, Word.step)];
      findings.push(`seed ${seed}: run() does not come back, step ${describe(step)}`);
      break;
    }
    await worker.terminate();
    Atomics.store(words, Word.entered, 0);
    from = Atomics.load(words, Word.seed) + 1;
  }
  return { cases: Atomics.load(words, Word.cases), findings };
}

/** Others use this machine too: waiting is measured in what a second is worth now. */
function slowness(): number {
  const start = performance.now();
  let x = 1;
  for (let n = 0; n < 1e6; n++) x = Math.imul(x, 3) + n;
  return Math.max(2, (performance.now() - start) / (x === 0 ? 1 : 1.5));
}

async function work({ words: buffer, from, to }: Task): Promise<void> {
  const words = new Int32Array(buffer);
  const watch = {
    enter: (step: number) => {
      Atomics.store(words, Word.step, step);
      Atomics.store(words, Word.entered, clock() || 1);
    },
    leave: () => {
      Atomics.store(words, Word.entered, 0);
    },
  };
  const machines = await Promise.all(JIT.map((jit) => AttackMachine.create(jit)));
  for (let seed = from; seed < to; seed++) {
    Atomics.store(words, Word.seed, seed);
    const one = makeCase(seed);
    const way = wayOf(seed);
    const failure = attempt(machines[way], one, watch);
    watch.leave();
    Atomics.add(words, Word.cases, 1);
    if (failure === "") continue;
    machines[way] = await AttackMachine.create(JIT[way]);
    if (failure === "skip") continue;
    parentPort!.postMessage(await shrink(one, failure, watch));
  }
}

function attempt(machine: AttackMachine, one: Case, watch: Parameters<typeof runCase>[2]): string {
  try {
    runCase(machine, one, watch);
    return "";
  } catch (error) {
    if (error instanceof Skip) return "skip";
    const { name, message, stack } = error as Error;
    return `${name}: ${message}${error instanceof Breach ? "" : `\n${stack?.split("\n").slice(1, 9).join("\n")}`}`;
  }
}

async function shrink(one: Case, failure: string, watch: Parameters<typeof runCase>[2]): Promise<string> {
  const fails = async (candidate: Case) => {
    const found = attempt(await AttackMachine.create(JIT[wayOf(one.seed)]), candidate, watch);
    return found !== "" && found !== "skip";
  };
  let best = one;
  if (await fails(one)) {
    for (let tries = 0, step = one.steps.length - 1; step >= 0; step--) {
      for (let size = best.steps[step].pieces.length; size >= 1; size >>= 1) {
        for (let at = 0; at < best.steps[step].pieces.length && tries < 150; tries++) {
          const steps = best.steps.map((each, n) => (n === step ? { ...each, pieces: each.pieces.toSpliced(at, size) } : each));
          const candidate = { ...best, steps };
          if (await fails(candidate)) best = candidate;
          else at += size;
        }
      }
    }
  } else failure += " (only after other cases)";
  const steps = best.steps.filter(({ pieces }) => pieces.length > 0).map(describe);
  return `seed ${one.seed}${one.hypercalls ? ", hypercalls" : ""}: ${failure}\n  ${steps.join("\n  ")}`;
}

if (!isMainThread && (workerData as Task | null)?.hunting) void work(workerData as Task);
