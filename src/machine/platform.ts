/** What differs between Node and browsers, in one place: threads, files, yielding to the event loop. Everything above
 *  receives a Platform and asks no global. */

/** The thread of a pCPU, seen from the control thread. */
export interface PcpuThread {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** The thread failed to start or died of an internal error. */
  onError(listener: (error: Error) => void): void;
  /** Whether this thread keeps the host's event loop alive. */
  keepAlive(yes: boolean): void;
  terminate(): void;
}

/** Where bytes come from: bytes, a place, or a function that brings them. */
export type Asset = Uint8Array | ArrayBuffer | URL | string | (() => Promise<Uint8Array>);

export interface Platform {
  /** Shared memory and threads can be had here. */
  readonly canShare: boolean;
  /** Why not, as advice to the page's author. */
  readonly whyNotShared: string;
  /** Makes the host's WebAssembly compiler heed branch hints if it can: they are worth a tenth to a quarter in translated code. */
  heedHints(): Promise<void>;
  startThread(url: URL | string): Promise<PcpuThread>;
  read(asset: Asset): Promise<Uint8Array>;
  /** Calls `task` after pending input and output had their turn. */
  defer(task: () => void): void;
  /** Calls `task` after about `ms`; returns a function that calls it off. While one is due the event loop stays alive. */
  later(ms: number, task: () => void): () => void;
  /** Keeps the event loop alive until the function returned is called. */
  hold(): () => void;
}

interface NodeLike {
  versions?: { node?: string; v8?: string };
}

const isNode = typeof (globalThis as { process?: NodeLike }).process?.versions?.node === "string";

export function hostPlatform(): Platform {
  return isNode ? new NodePlatform() : new WebPlatform();
}

abstract class BasePlatform implements Platform {
  abstract readonly canShare: boolean;
  abstract readonly whyNotShared: string;
  abstract startThread(url: URL | string): Promise<PcpuThread>;
  abstract defer(task: () => void): void;
  /** Newer browsers do it unasked. */
  async heedHints(): Promise<void> {}

  protected abstract readPlace(place: URL | string): Promise<Uint8Array>;

  async read(asset: Asset): Promise<Uint8Array> {
    if (asset instanceof Uint8Array) return asset;
    if (asset instanceof ArrayBuffer) return new Uint8Array(asset);
    if (typeof asset === "function") return asset();
    if (typeof asset !== "string" && !(asset instanceof URL)) throw new TypeError("bytes, a path or URL, or a function that brings bytes is expected");
    return this.readPlace(asset);
  }

  later(ms: number, task: () => void): () => void {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  }

  hold(): () => void {
    const timer = setInterval(() => {}, 0x7fffffff);
    return () => clearInterval(timer);
  }
}

/* Specifiers are variables, so that bundlers for browsers leave Node's modules alone. */
const THREADS = "node:worker_threads";
const FILES = "node:fs/promises";
const ENGINE = "node:v8";

class NodePlatform extends BasePlatform {
  readonly canShare = typeof SharedArrayBuffer !== "undefined";
  readonly whyNotShared = "this build of Node has no SharedArrayBuffer";

  override async heedHints(): Promise<void> {
    // Node 20 and 22; V8 prints a complaint about flags it does not know
    if (!/^1[12]\./.test((globalThis as { process?: NodeLike }).process?.versions?.v8 ?? "")) return;
    const { setFlagsFromString } = (await import(/* webpackIgnore: true */ /* @vite-ignore */ ENGINE)) as typeof import("node:v8");
    setFlagsFromString("--experimental-wasm-branch-hinting");
  }

  async startThread(url: URL | string): Promise<PcpuThread> {
    const { Worker } = (await import(/* webpackIgnore: true */ /* @vite-ignore */ THREADS)) as typeof import("node:worker_threads");
    const place = typeof url === "string" && /^[a-z][a-z0-9+.-]+:/i.test(url) ? new URL(url) : url;
    const worker = new Worker(place);
    return {
      post: (message) => worker.postMessage(message),
      onMessage: (listener) => void worker.on("message", listener),
      onError: (listener) => void worker.on("error", listener),
      keepAlive: (yes) => (yes ? worker.ref() : worker.unref()),
      terminate: () => void worker.terminate(),
    };
  }

  protected async readPlace(place: URL | string): Promise<Uint8Array> {
    const isUrl = typeof place === "string" ? /^(file|https?|data):/.test(place) : true;
    const url = isUrl ? new URL(place) : null;
    if (url && url.protocol !== "file:") return fetchBytes(url);
    const files = (await import(/* webpackIgnore: true */ /* @vite-ignore */ FILES)) as typeof import("node:fs/promises");
    return readThrough(files, url ?? place);
  }

  defer(task: () => void): void {
    setImmediate(task);
  }
}

class WebPlatform extends BasePlatform {
  readonly canShare = globalThis.crossOriginIsolated === true && typeof SharedArrayBuffer !== "undefined" && typeof Worker !== "undefined";
  readonly whyNotShared =
    "the page is not cross-origin isolated: serve it with the headers " +
    "'Cross-Origin-Opener-Policy: same-origin' and 'Cross-Origin-Embedder-Policy: require-corp'";
  private readonly channel = new MessageChannel();
  private readonly tasks: (() => void)[] = [];

  constructor() {
    super();
    this.channel.port1.onmessage = () => this.tasks.shift()?.();
  }

  async startThread(url: URL | string): Promise<PcpuThread> {
    const worker = new Worker(url, { type: "module" });
    return {
      post: (message) => worker.postMessage(message),
      onMessage: (listener) => worker.addEventListener("message", (event) => listener(event.data)),
      onError: (listener) =>
        worker.addEventListener("error", (event) => listener(new Error(event.message || `worker ${url} could not be loaded`))),
      keepAlive: () => {},
      terminate: () => worker.terminate(),
    };
  }

  protected readPlace(place: URL | string): Promise<Uint8Array> {
    return fetchBytes(place);
  }

  defer(task: () => void): void {
    this.tasks.push(task);
    this.channel.port2.postMessage(0); // not clamped to 4 ms as nested timers are
  }
}

/** Bytes that are read by one call. */
const AT_ONCE = 1 << 18;

/** A file, by way of a small buffer: where this process is in a virtual machine, first touches of pages by the host's kernel and then by itself
 *  take longer than that copy, for a kernel of 8 MB by 40 ms. */
async function readThrough({ open, readFile }: typeof import("node:fs/promises"), place: URL | string): Promise<Uint8Array> {
  const file = await open(place);
  try {
    const stat = await file.stat();
    if (!stat.isFile() || stat.size === 0) return await readFile(file); // pipes, and files that do not know their size
    const bytes = new Uint8Array(stat.size);
    const buffer = new Uint8Array(Math.min(AT_ONCE, stat.size));
    let length = 0;
    for (let read = 1; read > 0 && length < bytes.length; length += read) {
      read = (await file.read(buffer, 0, Math.min(buffer.length, bytes.length - length), length)).bytesRead;
      bytes.set(buffer.subarray(0, read), length);
    }
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

async function fetchBytes(place: URL | string): Promise<Uint8Array> {
  const response = await fetch(place);
  if (!response.ok) throw new Error(`${place}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
