/** Whole machines for tests: the built core and worker of dist/, both kinds of host. */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { Machine, type MachineOptions } from "../../src/index";
import { SLACK } from "./transcript";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const dist = (name: string) => `${root}/dist/${name}`;

export async function testMachine(options: MachineOptions = {}): Promise<{ machine: Machine; log: string[] }> {
  const log: string[] = [];
  const machine = await Machine.create({
    memory: 96,
    pcpus: 2,
    wasm: {
      shared: () => Promise.resolve(readFileSync(dist("xenolith.shared.wasm"))),
      unshared: () => Promise.resolve(readFileSync(dist("xenolith.wasm"))),
    },
    worker: pathToFileURL(dist("worker.js")),
    log: (line) => log.push(line),
    ...options,
  });
  return { machine, log };
}

/** All of a stream as text, or as much as has come when `until` matches. */
export async function readText(readable: ReadableStream<Uint8Array>, until?: RegExp): Promise<string> {
  const decoder = new TextDecoder();
  const reader = readable.getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value, { stream: true });
      if (until?.test(text)) return text;
    }
  } finally {
    reader.releaseLock();
  }
}

/** Rejects after `ms`, so that a test that hangs says where. */
export function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms * SLACK} ms`)), ms * SLACK);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
