/** The thread of a pCPU: receives its part of the machine, then runs vCPUs until the stop word is set. It never returns to
 *  its event loop in between: everything it is told arrives through shared memory, everything it says through messages. */
import type { ClockOrigin } from "./clock";
import { HostClock } from "./clock";
import type { JitTuning } from "./jit";
import { MachineMemory } from "./memory";
import type { ProfileReport } from "./profile";
import type { Scheduler } from "./scheduler";

/** First and only message to the thread. */
export interface WorkerStart {
  readonly memory: WebAssembly.Memory;
  /** The core, relocated to this pCPU. */
  readonly module: WebAssembly.Module;
  readonly pcpu: number;
  readonly clock: ClockOrigin;
  readonly jit: boolean | JitTuning;
  readonly profile: boolean;
  /** The control thread has no Atomics.waitAsync: doorbells for it must be messages. */
  readonly ringByMessage: number; // address of its doorbell, 0 if it listens by itself
}

export type WorkerMessage =
  | { readonly type: "ready" }
  | { readonly type: "log"; readonly domid: number; readonly line: string }
  | { readonly type: "ring" }
  | { readonly type: "profile"; readonly report: ProfileReport }
  | { readonly type: "failed"; readonly message: string };

/** What a pCPU is made from. */
export interface PcpuParts {
  readonly memory: MachineMemory;
  readonly module: WebAssembly.Module;
  readonly pcpu: number;
  readonly clock: HostClock;
  readonly jit: boolean | JitTuning;
  /** Takes reports of where time goes, if somebody wants them. */
  readonly onProfile?: (report: ProfileReport) => void;
  /** A line for the hypervisor log, from a domain. */
  log(domid: number, line: string): void;
}

/** Composes core, hypervisor and scheduler: given from above, since the machine knows nothing of hypercalls. */
export type PcpuFactory = (parts: PcpuParts) => Promise<Scheduler>;

interface Port {
  post(message: WorkerMessage): void;
  once(listener: (message: WorkerStart) => void): void;
}

interface NodeLike {
  versions?: { node?: string };
}

async function port(): Promise<Port> {
  if (typeof (globalThis as { process?: NodeLike }).process?.versions?.node === "string") {
    const threads = "node:worker_threads"; // a variable: bundlers for browsers leave it alone
    const { parentPort } = (await import(/* webpackIgnore: true */ /* @vite-ignore */ threads)) as typeof import("node:worker_threads");
    if (!parentPort) throw new Error("this module runs in a worker");
    return { post: (message) => parentPort.postMessage(message), once: (listener) => void parentPort.once("message", listener) };
  }
  const scope = globalThis as unknown as {
    postMessage(message: unknown): void;
    onmessage: ((event: MessageEvent) => void) | null;
  };
  return {
    post: (message) => scope.postMessage(message),
    once: (listener) => {
      scope.onmessage = (event) => {
        scope.onmessage = null;
        listener(event.data as WorkerStart);
      };
    },
  };
}

export async function serve(make: PcpuFactory): Promise<void> {
  const { post, once } = await port();
  once(async (start) => {
    try {
      const memory = new MachineMemory(start.memory);
      if (start.ringByMessage !== 0) {
        memory.onNotify = (at) => {
          if (at === start.ringByMessage) post({ type: "ring" });
        };
      }
      const scheduler = await make({
        memory,
        module: start.module,
        pcpu: start.pcpu,
        clock: new HostClock(start.clock),
        jit: start.jit,
        onProfile: start.profile ? (report) => post({ type: "profile", report }) : undefined,
        log: (domid, line) => post({ type: "log", domid, line }),
      });
      post({ type: "ready" });
      scheduler.runForever();
    } catch (error) {
      post({ type: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
}
