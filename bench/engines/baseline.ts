/** The pure-TypeScript baseline: 32-bit programs of integers, SSE2 and x87 arithmetic that doubles do justice to. It has a thread, and so a JavaScript
 *  heap, of its own: once anything in a heap has detached an ArrayBuffer, as growing a WebAssembly memory or giving a buffer to another thread
 *  does, V8 asks before each access to a typed array whether its buffer is still there. Beside v86 the baseline took twice as long. */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { build, stop } from "esbuild";
import type { Image } from "../build_programs";
import { type Engine, type Loaded, type Sample, within } from "./engine";

declare const XENOLITH_ROOT: string;

const LOADING_MS = 30_000; // V8 compiles it meanwhile

interface Answer {
  readonly sample?: Sample;
  readonly error?: string;
}

let thread: Promise<Worker> | undefined;

async function start(): Promise<Worker> {
  const { outputFiles } = await build({
    entryPoints: [join(XENOLITH_ROOT, "bench/engines/baseline_thread.ts")],
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node20",
    write: false,
  });
  await stop();
  return new Worker(outputFiles[0].text, { eval: true });
}

async function ask(request: object, ms: number): Promise<Answer> {
  const worker = await (thread ??= start());
  worker.ref();
  try {
    const answered = new Promise<Answer>((resolve, reject) => worker.once("message", resolve).once("error", reject));
    worker.postMessage(request);
    const answer = await within(ms, "baseline", answered);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  } finally {
    worker.removeAllListeners("message").removeAllListeners("error").unref();
  }
}

export const baselineEngine: Engine = {
  name: "baseline",
  runs: ({ beyondBaseline }, bits) => bits === 32 && !beyondBaseline,
  missing: () => null,
  async load(image: Image): Promise<Loaded> {
    await ask({ kernel: image.kernel }, LOADING_MS);
    return { run: async (rounds, deadlineMs) => (await ask({ rounds, deadlineMs }, 2 * deadlineMs)).sample!, close: () => {} };
  },
};
