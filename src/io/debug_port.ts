/** Port 0xE9, the debug console that Xen offers HVM and PVH guests: each written byte is a character, and whole lines go
 *  to the hypervisor log. Reading gives all ones, as Xen does not answer reads. */
import type { AccessSize, PioDevice } from "./bus";

export const DEBUG_PORT = { base: 0xe9, length: 1 } as const;

/** A guest that never sends a newline still cannot make the log hold more than this. */
const LONGEST_LINE = 200;

/** Collects characters into lines. Control characters other than tab are dropped, so that a guest cannot drive the
 *  terminal which shows the log. */
export class LineLog {
  private line = "";

  constructor(private readonly sink: (line: string) => void) {}

  put(byte: number): void {
    if (byte === 0x09 || (byte >= 0x20 && byte < 0x7f)) this.line += String.fromCharCode(byte);
    if (byte === 0x0a || this.line.length >= LONGEST_LINE) this.flush();
  }

  /** Gives out what has come in so far as a line. */
  flush(): void {
    const line = this.line;
    this.line = "";
    this.sink(line);
  }

  /** At the domain's end: an unfinished line still counts, an empty one does not. */
  end(): void {
    if (this.line !== "") this.flush();
  }
}

export class DebugPort implements PioDevice {
  readonly log: LineLog;

  constructor(sink: (line: string) => void) {
    this.log = new LineLog(sink);
  }

  read(): number {
    return -1;
  }

  write(_offset: number, size: AccessSize, value: number): void {
    if (size === 1) this.log.put(value);
  }
}
