/** The backend of a PV console (public/io/console.h): what xenconsoled is under Xen.
 *
 *  ```
 *  struct xencons_interface   in[1024]  out[2048]  in_cons in_prod  out_cons out_prod
 *  ```
 *  Output is always taken from the ring at once, so a console that nobody reads never blocks its guest: the newest
 *  `limit` bytes are kept. Input waits until the guest has room for it. Contradictory indices are the guest's fault:
 *  nothing moves in that direction until it mends them.
 *  The page belongs to the guest; after `close` it is not touched again. */
import type { MachineMemory } from "../machine/memory";
import type { EventPort } from "./bus";
import { ByteRing } from "./ring";
import { Scrollback } from "./scrollback";

/** Offsets in struct xencons_interface. */
export const enum XenconsOff {
  in = 0, // char[1024], to the guest
  out = 1024, // char[2048], from the guest
  in_cons = 3072, // u32
  in_prod = 3076, // u32
  out_cons = 3080, // u32
  out_prod = 3084, // u32
  SIZE = 3088,
}

/** What xl writes as console/limit. */
export const CONSOLE_LIMIT = 1048576;

export class ConsoleClosedError extends Error {
  override name = "ConsoleClosedError";
}

export interface ConsoleOptions {
  readonly memory: MachineMemory;
  /** maddr of the shared page. */
  readonly page: number;
  readonly port: EventPort;
  /** Bytes of unread output to keep. */
  readonly limit?: number;
}

interface Settle {
  resolve(): void;
  reject(reason: unknown): void;
}

export class ConsoleBackend {
  /** What the guest prints, from the oldest byte still kept. Ends when the console is closed and all has been read. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Keystrokes for the guest. A write is done when the guest's ring has taken its bytes. */
  readonly writable: WritableStream<Uint8Array>;

  private readonly out: ByteRing;
  private readonly in: ByteRing;
  private readonly port: EventPort;
  private readonly unread: Scrollback;
  private closed = false;
  /** The reader that waits for output. */
  private reader: (() => void) | null = null;
  private input: Uint8Array = new Uint8Array(0);
  private writer: Settle | null = null;
  private sink: WritableStreamDefaultController | null = null;

  constructor({ memory, page, port, limit = CONSOLE_LIMIT }: ConsoleOptions) {
    this.port = port;
    this.unread = new Scrollback(limit);
    this.in = new ByteRing(memory, {
      buffer: page + XenconsOff.in,
      size: 1024,
      cons: page + XenconsOff.in_cons,
      prod: page + XenconsOff.in_prod,
    });
    this.out = new ByteRing(memory, {
      buffer: page + XenconsOff.out,
      size: 2048,
      cons: page + XenconsOff.out_cons,
      prod: page + XenconsOff.out_prod,
    });
    this.readable = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.pull(controller),
        cancel: () => this.wakeReader(),
      },
      { highWaterMark: 0 }, // the scrollback is the buffer: a second one here would escape its limit
    );
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.sink = controller;
        // An abort waits for the write in flight, which waits for the guest: only the signal comes at once.
        controller.signal.addEventListener("abort", () => this.dropInput());
      },
      write: (bytes) => this.write(bytes),
    });
    port.onEvent(() => this.pump());
    this.pump(); // a guest may have printed before the backend came up
  }

  /** Bytes the limit has cost so far. */
  get dropped(): number {
    return this.unread.dropped;
  }

  /** Moves what can be moved. One pass: a guest that goes on printing sends a new event. */
  pump(): void {
    if (this.closed) return;
    const printed = this.takeOutput();
    const typed = this.giveInput();
    if (printed || typed) this.port.notify();
  }

  /** Takes the guest's last words and ends both streams. Call before the page is freed. */
  close(): void {
    if (this.closed) return;
    this.takeOutput();
    this.closed = true;
    this.port.close();
    this.wakeReader();
    this.sink?.error(new ConsoleClosedError("the console's domain is gone"));
    this.dropInput();
  }

  private takeOutput(): boolean {
    const bytes = this.out.take(2048);
    if (bytes.length === 0) return false;
    this.unread.append(bytes);
    this.wakeReader();
    return true;
  }

  private giveInput(): boolean {
    const count = this.in.put(this.input);
    this.input = this.input.subarray(count);
    if (this.input.length === 0 && this.writer) {
      this.writer.resolve();
      this.writer = null;
    }
    return count > 0;
  }

  private async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.unread.size === 0 && !this.closed) await new Promise<void>((resolve) => (this.reader = resolve));
    const bytes = this.unread.take();
    if (bytes.length > 0) controller.enqueue(bytes);
    else if (this.closed) controller.close();
  }

  private wakeReader(): void {
    const reader = this.reader;
    this.reader = null;
    reader?.();
  }

  private write(bytes: Uint8Array): Promise<void> | void {
    if (bytes.length === 0) return;
    this.input = bytes.slice(); // the caller may reuse its buffer
    return new Promise<void>((resolve, reject) => {
      this.writer = { resolve, reject };
      this.pump();
    });
  }

  private dropInput(): void {
    this.input = new Uint8Array(0);
    this.writer?.reject(new ConsoleClosedError("the console's domain is gone"));
    this.writer = null;
  }
}
