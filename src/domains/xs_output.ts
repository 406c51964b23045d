/** Messages on their way to one client. Replies are bounded because the connection reads no further request while too
 *  many wait; watch events are bounded here, since others cause them.
 *
 *  DEVIATION: where xenstored cuts off a client that reads too slowly, we merge its waiting events: all of one watch
 *  become a single event at the watched path, which is what "watches may be triggered spuriously" makes clients ready
 *  for. Nobody loses the news that something changed, and nobody can flood a neighbour's connection to death. */
import { encodeMessage, toBytes, XENSTORE_PAYLOAD_MAX, XsType } from "./xs_wire";

/** Bytes of replies that stop further requests: room for two of the longest. */
const REPLY_LIMIT = 8192;
/** Bytes of events to hold as they are, before merging. */
const EVENT_LIMIT = 65536;

interface Message {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Watch it belongs to; null for replies. */
  readonly watch: string | null;
  /** Identical events wait only once. */
  readonly key: string;
}

export class XsOutput {
  private waiting: Message[] = [];
  private sent = 0; // bytes of waiting[0] already taken
  private replyBytes = 0;
  private eventBytes = 0;
  private readonly keys = new Set<string>();

  get empty(): boolean {
    return this.waiting.length === 0;
  }

  get congested(): boolean {
    return this.replyBytes >= REPLY_LIMIT;
  }

  reply(bytes: Uint8Array<ArrayBuffer>): void {
    this.replyBytes += bytes.length;
    this.waiting.push({ bytes, watch: null, key: "" });
  }

  /** `name` and `token` identify the watch, `path` is what changed. */
  event(name: string, token: string, path: string): void {
    const watch = `${name}\0${token}`;
    const key = `${path}\0${watch}`;
    if (this.keys.has(key)) return;
    const bytes = toBytes(`${path}\0${token}\0`);
    if (bytes.length > XENSTORE_PAYLOAD_MAX) return; // there is no way to say it
    if (this.eventBytes + bytes.length > EVENT_LIMIT && path !== name) {
      this.forget(watch);
      this.event(name, token, name);
      return;
    }
    this.eventBytes += bytes.length;
    this.keys.add(key);
    this.waiting.push({ bytes: encodeMessage(XsType.XS_WATCH_EVENT, 0, 0, bytes), watch, key });
  }

  /** The next bytes to send, at most `most`. They stay queued until `taken`. */
  peek(most: number): Uint8Array<ArrayBuffer> {
    const first = this.waiting[0];
    return first ? first.bytes.subarray(this.sent, this.sent + most) : new Uint8Array(0);
  }

  /** `count` bytes of what `peek` gave have been sent. */
  taken(count: number): void {
    if (count === 0) return;
    this.sent += count;
    const first = this.waiting[0];
    // Once the client has seen part of it, a later event of the same kind is news again.
    this.keys.delete(first.key);
    if (this.sent < first.bytes.length) return;
    this.waiting.shift();
    this.sent = 0;
    this.uncount(first);
  }

  clear(): void {
    this.waiting = [];
    this.keys.clear();
    this.sent = this.replyBytes = this.eventBytes = 0;
  }

  private forget(watch: string): void {
    this.waiting = this.waiting.filter((message, n) => {
      if (message.watch !== watch || (n === 0 && this.sent > 0)) return true;
      this.keys.delete(message.key);
      this.uncount(message);
      return false;
    });
  }

  private uncount({ watch, bytes }: Message): void {
    if (watch === null) this.replyBytes -= bytes.length;
    else this.eventBytes -= bytes.length - 16;
  }
}
