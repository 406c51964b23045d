/** The wire protocol for one client: bytes in, bytes out, no idea what carries them.
 *
 *  A refused request gets an ERROR reply with the error's name. A client that breaks the framing (a payload longer than
 *  XENSTORE_PAYLOAD_MAX) is ignored from then on and loses its watches and transactions; only a reset revives it. */
import type { Xenstore } from "./xenstore";
import { XenstoreError } from "./xenstore_error";
import type { XenstoreSession } from "./xenstore_session";
import { XsOutput } from "./xs_output";
import { performRequest } from "./xs_requests";
import {
  ConnectionError,
  decodeHeader,
  encodeMessage,
  toBytes,
  XENSTORE_PAYLOAD_MAX,
  XS_HEADER_SIZE,
  type XsHeader,
  XsType,
} from "./xs_wire";

export class XenstoreConnection {
  readonly session: XenstoreSession;
  readonly output = new XsOutput();
  /** Why the client is ignored. */
  error: ConnectionError = ConnectionError.NONE;
  /** Called when output has come up outside of `receive`. */
  onOutput: () => void = () => {};

  private header: XsHeader | null = null;
  private readonly buffer = new Uint8Array(XS_HEADER_SIZE + XENSTORE_PAYLOAD_MAX);
  private filled = 0;
  private handling = false;
  /** Events that a request causes at its own sender follow its reply. */
  private afterReply: (() => void)[] = [];

  constructor(
    private readonly store: Xenstore,
    domid: number,
  ) {
    this.session = store.session(domid);
  }

  /** Bytes `receive` can take now: what the current header or payload lacks; 0 while replies pile up unread. */
  get wanted(): number {
    if (this.error !== ConnectionError.NONE) return 0;
    if (this.header === null && this.filled === 0 && this.output.congested) return 0;
    return (this.header ? XS_HEADER_SIZE + this.header.length : XS_HEADER_SIZE) - this.filled;
  }

  /** Takes at most `wanted` bytes and performs the request they complete. Never throws on what a client may send. */
  receive(bytes: Uint8Array): void {
    this.buffer.set(bytes.subarray(0, this.wanted), this.filled);
    this.filled += Math.min(bytes.length, this.wanted);
    if (this.header === null) {
      if (this.filled < XS_HEADER_SIZE) return;
      const header = decodeHeader(this.buffer);
      if (header.length > XENSTORE_PAYLOAD_MAX) {
        this.fail(ConnectionError.PROTO);
        return;
      }
      this.header = header;
    }
    if (this.filled < XS_HEADER_SIZE + this.header.length) return;
    const { header } = this;
    const payload = this.buffer.slice(XS_HEADER_SIZE, this.filled);
    this.header = null;
    this.filled = 0;
    this.perform(header, payload);
  }

  /** Ignores the client from now on. */
  fail(error: ConnectionError): void {
    this.reset();
    this.error = error;
  }

  /** As after connecting: no partial messages, watches or transactions. */
  reset(): void {
    this.session.reset();
    this.output.clear();
    this.header = null;
    this.filled = 0;
    this.error = ConnectionError.NONE;
  }

  private perform(header: XsHeader, payload: Uint8Array<ArrayBuffer>): void {
    this.handling = true;
    let reply: Uint8Array<ArrayBuffer>;
    try {
      const { store, session } = this;
      const { txId } = header;
      const { onEvent } = this;
      const answer = performRequest(header.type, { store, session, txId, payload, onEvent });
      reply = encodeMessage(header.type, header.reqId, txId, answer);
    } catch (error) {
      if (!(error instanceof XenstoreError)) throw error;
      reply = encodeMessage(XsType.XS_ERROR, header.reqId, header.txId, toBytes(`${error.code}\0`));
    } finally {
      this.handling = false;
    }
    this.output.reply(reply);
    const events = this.afterReply;
    this.afterReply = [];
    for (const send of events) send();
  }

  private readonly onEvent = (path: string, token: string, name: string): void => {
    if (this.handling) {
      this.afterReply.push(() => this.output.event(name, token, path));
      return;
    }
    this.output.event(name, token, path);
    this.onOutput();
  };
}
