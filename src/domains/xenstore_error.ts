import type { XsdError } from "./xs_wire";

/** A refused xenstore operation: `code` is the name the wire protocol sends, `subject` the path or value at fault. */
export class XenstoreError extends Error {
  override name = "XenstoreError";

  constructor(
    readonly code: XsdError,
    readonly subject: string,
    reason: string,
  ) {
    super(`${code}: ${subject}: ${reason}`);
  }
}
