/** A domain's xenstore ring (public/io/xs_wire.h, struct xenstore_domain_interface; docs/misc/xenstore-ring.txt): moves
 *  bytes between the shared page and the domain's connection.
 *
 *  The guest may write anything into the page at any time. Contradictory indices or an overlong message put an error into
 *  the page and stop the connection; a guest can have it reset through the connection field.
 *  The page belongs to the guest; after `close` it is not touched again. */
import type { EventPort } from "../io/bus";
import { ByteRing } from "../io/ring";
import type { MachineMemory } from "../machine/memory";
import type { Xenstore } from "./xenstore";
import { XenstoreConnection } from "./xs_connection";
import { ConnectionError, ConnectionState, ServerFeature, XENSTORE_RING_SIZE, XenstoreOff } from "./xs_wire";

/** How often to look for further requests before others get their turn. */
const ROUNDS = 8;

export interface XenstoreRingOptions {
  readonly store: Xenstore;
  readonly domid: number;
  readonly memory: MachineMemory;
  /** maddr of the shared page. */
  readonly page: number;
  readonly port: EventPort;
}

export class XenstoreRing {
  readonly connection: XenstoreConnection;
  private readonly requests: ByteRing;
  private readonly replies: ByteRing;
  private readonly memory: MachineMemory;
  private readonly page: number;
  private readonly port: EventPort;
  private closed = false;
  private pumping = false;
  private again = false;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor({ store, domid, memory, page, port }: XenstoreRingOptions) {
    this.memory = memory;
    this.page = page;
    this.port = port;
    this.connection = new XenstoreConnection(store, domid);
    this.requests = new ByteRing(memory, {
      buffer: page + XenstoreOff.req,
      size: XENSTORE_RING_SIZE,
      cons: page + XenstoreOff.req_cons,
      prod: page + XenstoreOff.req_prod,
    });
    this.replies = new ByteRing(memory, {
      buffer: page + XenstoreOff.rsp,
      size: XENSTORE_RING_SIZE,
      cons: page + XenstoreOff.rsp_cons,
      prod: page + XenstoreOff.rsp_prod,
    });
    memory.store(page + XenstoreOff.error, ConnectionError.NONE);
    memory.or(page + XenstoreOff.server_features, ServerFeature.RECONNECTION | ServerFeature.ERROR);
    this.connection.onOutput = () => this.flush();
    port.onEvent(() => this.pump());
    this.pump(); // what the guest asked before the store came up
  }

  /** Moves what can be moved and performs the requests that are complete. */
  pump(): void {
    if (this.pumping) {
      this.again = true;
      return;
    }
    this.pumping = true;
    try {
      let rounds = ROUNDS;
      do {
        this.again = false;
        if (!this.closed && this.step()) this.port.notify();
      } while (this.again || (this.hasWork && --rounds > 0));
    } finally {
      this.pumping = false;
    }
    if (this.hasWork) this.timer ??= setTimeout(() => this.pumpLater(), 0);
  }

  /** Sends events that others have caused. Requests are not looked at here, in the middle of somebody else's: with each of them causing events, two
   *  guests could keep the store busy for ever. */
  private flush(): void {
    const { memory, page, connection } = this;
    if (this.closed || connection.error !== ConnectionError.NONE || memory.load(page + XenstoreOff.connection) === ConnectionState.RECONNECT) return;
    if (this.send()) this.port.notify();
  }

  private pumpLater(): void {
    this.timer = null;
    this.pump();
  }

  /** Requests that can be taken now. Linux sends an event only with a request put into an empty ring, so whatever came while
   *  we worked is for us to find. */
  private get hasWork(): boolean {
    return !this.closed && this.connection.wanted > 0 && this.requests.used > 0;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
    this.connection.onOutput = () => {};
    this.connection.reset();
    this.port.close();
  }

  /** True if the guest is to be told. Handles no more than the requests that are there at its beginning. */
  private step(): boolean {
    if (this.memory.load(this.page + XenstoreOff.connection) === ConnectionState.RECONNECT) {
      this.reconnect();
      return true;
    }
    if (this.connection.error !== ConnectionError.NONE) return false;
    let moved = this.send();
    let left = this.requests.used;
    while (left > 0 && !this.closed && this.connection.error === ConnectionError.NONE) {
      const bytes = this.requests.take(Math.min(left, this.connection.wanted));
      if (bytes.length === 0) break; // congested, or the indices have just been spoilt
      left -= bytes.length;
      this.connection.receive(bytes);
      moved = true;
      if (!this.closed) this.send(); // a watcher of this change may have destroyed the domain
    }
    if (this.closed) return false;
    if (this.requests.used < 0 || this.replies.used < 0) this.connection.fail(ConnectionError.RINGIDX);
    if (this.connection.error !== ConnectionError.NONE) {
      this.memory.store(this.page + XenstoreOff.error, this.connection.error);
      return true;
    }
    return moved;
  }

  private send(): boolean {
    const { output } = this.connection;
    let moved = false;
    while (!output.empty) {
      const count = this.replies.put(output.peek(XENSTORE_RING_SIZE));
      output.taken(count);
      if (count === 0) break;
      moved = true;
    }
    return moved;
  }

  /** "The ring reconnection feature": empties both queues and starts on a message boundary. */
  private reconnect(): void {
    this.connection.reset();
    for (const index of [XenstoreOff.req_cons, XenstoreOff.req_prod, XenstoreOff.rsp_cons, XenstoreOff.rsp_prod])
      this.memory.store(this.page + index, 0);
    this.memory.store(this.page + XenstoreOff.error, ConnectionError.NONE);
    this.memory.store(this.page + XenstoreOff.connection, ConnectionState.CONNECTED);
  }
}
