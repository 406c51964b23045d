/** A bounded queue of bytes that forgets the oldest when it is full: what xenconsoled does with a console nobody reads. */
const BLOCK = 16384;

interface Block {
  readonly bytes: Uint8Array<ArrayBuffer>;
  start: number;
  end: number;
}

export class Scrollback {
  private blocks: Block[] = [];
  private length = 0;
  /** Bytes forgotten since the beginning. */
  dropped = 0;

  constructor(readonly limit: number) {}

  get size(): number {
    return this.length;
  }

  append(bytes: Uint8Array): void {
    if (bytes.length > this.limit) {
      this.dropped += bytes.length - this.limit;
      bytes = bytes.subarray(bytes.length - this.limit);
    }
    this.drop(this.length + bytes.length - this.limit);
    for (let done = 0; done < bytes.length; ) {
      let last = this.blocks.at(-1);
      if (!last || last.end === BLOCK) {
        last = { bytes: new Uint8Array(BLOCK), start: 0, end: 0 };
        this.blocks.push(last);
      }
      const part = Math.min(BLOCK - last.end, bytes.length - done);
      last.bytes.set(bytes.subarray(done, done + part), last.end);
      last.end += part;
      done += part;
    }
    this.length += bytes.length;
  }

  /** The oldest bytes, as many as are in one piece. Empty if there are none. */
  take(): Uint8Array<ArrayBuffer> {
    const first = this.blocks.shift();
    if (!first) return new Uint8Array(0);
    this.length -= first.end - first.start;
    return first.bytes.subarray(first.start, first.end);
  }

  private drop(count: number): void {
    while (count > 0) {
      const first = this.blocks[0];
      const part = Math.min(count, first.end - first.start);
      first.start += part;
      if (first.start === first.end) this.blocks.shift();
      this.length -= part;
      this.dropped += part;
      count -= part;
    }
  }
}
