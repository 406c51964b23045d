/** A device whose code is the embedding program's: whatever it throws or returns, neither processor nor host is harmed.
 *  Numbers count modulo the access's width, nothing is all ones; anything else and any exception is a failure, and the
 *  access reads all ones. */
import type { AccessSize, PioDevice } from "../io/bus";

export class GuardedDevice implements PioDevice {
  /** `what` names the device in messages. */
  constructor(
    private readonly device: PioDevice,
    private readonly what: string,
    private readonly failed: (error: Error) => void,
  ) {}

  read(offset: number, size: AccessSize): number {
    try {
      const value: unknown = this.device.read(offset, size);
      if (typeof value === "number") return value;
      if (value === undefined) return -1;
      this.watch(value);
      throw new TypeError(`it returned a value of type ${value === null ? "null" : typeof value}, not a number`);
    } catch (error) {
      this.fail("read", error);
      return -1;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    try {
      this.watch(this.device.write(offset, size, value) as unknown);
    } catch (error) {
      this.fail("write", error);
    }
  }

  /** Functions that turn out to be asynchronous fail later, and nobody else waits for them. */
  private watch(result: unknown): void {
    if (result instanceof Promise) result.catch((error) => this.fail("write", error));
  }

  private fail(access: "read" | "write", cause: unknown): void {
    this.failed(new Error(`the ${access} handler of ${this.what} failed: ${textOf(cause)}`, { cause }));
  }
}

/** What is thrown need not be an Error, nor even have a text. */
function textOf(cause: unknown): string {
  try {
    return cause instanceof Error ? cause.message : String(cause);
  } catch {
    return "with something that has no text";
  }
}
