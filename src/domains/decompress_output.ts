/** What is unpacked, and how much of it there may be. */
import type { Room } from "./unpacker";

/** A damaged stream; callers turn it into an ImageError naming the file. */
export class CorruptStream extends Error {
  override readonly name = "CorruptStream";
}

/** Output that grows on demand up to a bound, so that a small file cannot claim the host's memory. */
export class Output {
  bytes: Uint8Array;
  length = 0;
  readonly limit: number;
  constructor(
    readonly room: Room,
    limit: number,
  ) {
    this.limit = room.grow ? limit : Math.min(limit, room.size);
    this.bytes = this.view();
  }
  /** Makes room for `more` bytes after `length`. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    if (needed > this.limit) throw this.tooMuch();
    this.room.grow?.(Math.min(this.limit, Math.max(needed, this.bytes.length * 1.5)));
    this.bytes = this.view();
  }
  append(more: Uint8Array): void {
    this.reserve(more.length);
    this.bytes.set(more, this.length);
    this.length += more.length;
  }
  tooMuch(): CorruptStream {
    return new CorruptStream(`it unpacks to more than ${this.room.grow ? `${this.limit >> 20} MiB` : "it says"}`);
  }
  result(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
  private view(): Uint8Array {
    return new Uint8Array(this.room.memory.buffer, this.room.start, Math.min(this.limit, this.room.size));
  }
}
