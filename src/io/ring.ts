/** Rings in memory shared with a guest: request/response rings (public/io/ring.h, DEFINE_RING_TYPES) and byte rings
 *  (public/io/console.h, public/io/xs_wire.h).
 *
 *  Indices are free-running u32 words that both sides may write at any moment, including words that belong to us: each
 *  is loaded once, atomically, and checked before it is used. Slots are copied out before anybody looks at them.
 *  Atomics operations are sequentially consistent, so they are the barriers that ring.h asks for. */
import type { MachineMemory } from "../machine/memory";

/** Offsets in struct *_sring. */
const enum Sring {
  req_prod = 0, // u32
  req_event = 4, // u32
  rsp_prod = 8, // u32
  rsp_event = 12, // u32
  pvt = 16, // 48 bytes of padding
  ring = 64, // the entries
}

const PAGE = 4096;

/** Entries of `entrySize` bytes that fit into `bytes`, rounded down to a power of two (ring.h, __CONST_RING_SIZE). */
export function ringSize(bytes: number, entrySize: number): number {
  const fit = Math.floor((bytes - Sring.ring) / entrySize);
  return fit < 1 ? 0 : 1 << (31 - Math.clz32(fit));
}

/** The shared half: entries and indices in one or more pages, which need not be neighbours. */
class SharedRing {
  readonly size: number;

  constructor(
    readonly memory: MachineMemory,
    private readonly pages: readonly number[],
    readonly entrySize: number,
  ) {
    this.size = ringSize(pages.length * PAGE, entrySize);
    if (this.size === 0) throw new RangeError("a ring entry must fit into the ring's pages");
  }

  index(field: Sring): number {
    return this.memory.load(this.pages[0] + field) >>> 0;
  }

  setIndex(field: Sring, value: number): void {
    this.memory.store(this.pages[0] + field, value | 0);
  }

  copyOut(index: number, into: Uint8Array): void {
    this.eachPiece(index, Math.min(into.length, this.entrySize), (maddr, from, length) =>
      into.set(this.memory.u8.subarray(maddr, maddr + length), from),
    );
  }

  copyIn(index: number, entry: Uint8Array): void {
    this.eachPiece(index, Math.min(entry.length, this.entrySize), (maddr, from, length) =>
      this.memory.u8.set(entry.subarray(from, from + length), maddr),
    );
  }

  /** SHARED_RING_INIT. */
  init(): void {
    this.memory.u8.fill(0, this.pages[0] + Sring.pvt, this.pages[0] + Sring.ring);
    this.setIndex(Sring.req_prod, 0);
    this.setIndex(Sring.rsp_prod, 0);
    this.setIndex(Sring.req_event, 1);
    this.setIndex(Sring.rsp_event, 1);
  }

  /** An entry of a ring of several pages may lie across a page boundary. */
  private eachPiece(index: number, bytes: number, piece: (maddr: number, from: number, length: number) => void): void {
    const start = Sring.ring + (index & (this.size - 1)) * this.entrySize;
    for (let done = 0; done < bytes; ) {
      const at = start + done;
      const length = Math.min(bytes - done, PAGE - (at % PAGE));
      piece(this.pages[Math.floor(at / PAGE)] + (at % PAGE), done, length);
      done += length;
    }
  }
}

/** Our end of a ring on which the guest sends requests. `pages` are maddrs. */
export class BackRing {
  private readonly shared: SharedRing;
  /** Private indices: the guest can overwrite the shared copies, these it cannot. */
  private rspProd = 0;
  private reqCons = 0;

  constructor(memory: MachineMemory, pages: readonly number[], entrySize: number) {
    this.shared = new SharedRing(memory, pages, entrySize);
  }

  get size(): number {
    return this.shared.size;
  }

  /** BACK_RING_ATTACH at the shared rsp_prod: takes over a ring whose requests up to there have been answered. */
  attach(): void {
    this.rspProd = this.shared.index(Sring.rsp_prod);
    this.reqCons = this.rspProd;
  }

  /** RING_REQUEST_PROD_OVERFLOW: more requests than a ring can hold; the frontend is broken or hostile. */
  get overflown(): boolean {
    return (this.shared.index(Sring.req_prod) - this.rspProd) >>> 0 > this.size;
  }

  /** XEN_RING_NR_UNCONSUMED_REQUESTS: never more than the slots not awaiting a response, whatever req_prod says. */
  get unconsumedRequests(): number {
    const requests = (this.shared.index(Sring.req_prod) - this.reqCons) >>> 0;
    const slots = this.size - ((this.reqCons - this.rspProd) >>> 0);
    return Math.min(requests, slots);
  }

  /** Requests taken and not yet answered. */
  get inFlight(): number {
    return (this.reqCons - this.rspProd) >>> 0;
  }

  /** RING_COPY_REQUEST of the next request; false if there is none. */
  takeRequest(into: Uint8Array): boolean {
    if (this.unconsumedRequests === 0) return false;
    this.shared.copyOut(this.reqCons, into);
    this.reqCons = (this.reqCons + 1) >>> 0;
    return true;
  }

  /** Queues a response; the guest sees it after `pushResponses`. Each answers a request taken before. */
  putResponse(response: Uint8Array): void {
    if (this.inFlight === 0) throw new Error("a response needs a request that awaits one");
    this.shared.copyIn(this.rspProd, response);
    this.rspProd = (this.rspProd + 1) >>> 0;
  }

  /** RING_PUSH_RESPONSES_AND_CHECK_NOTIFY: true if the guest asked for an event. */
  pushResponses(): boolean {
    const before = this.shared.index(Sring.rsp_prod);
    this.shared.setIndex(Sring.rsp_prod, this.rspProd);
    const wanted = this.shared.index(Sring.rsp_event);
    return (this.rspProd - wanted) >>> 0 < (this.rspProd - before) >>> 0;
  }

  /** RING_FINAL_CHECK_FOR_REQUESTS: true if there is work; else the next request will raise an event. */
  finalCheckForRequests(): boolean {
    if (this.unconsumedRequests > 0) return true;
    this.shared.setIndex(Sring.req_event, this.reqCons + 1);
    return this.unconsumedRequests > 0;
  }
}

/** The requesting end: for frontends of our own and as the guest in tests. */
export class FrontRing {
  private readonly shared: SharedRing;
  private reqProd = 0;
  private rspCons = 0;

  /** XEN_FRONT_RING_INIT: the front initializes the shared words. */
  constructor(memory: MachineMemory, pages: readonly number[], entrySize: number) {
    this.shared = new SharedRing(memory, pages, entrySize);
    this.shared.init();
  }

  get size(): number {
    return this.shared.size;
  }

  get freeRequests(): number {
    return this.size - ((this.reqProd - this.rspCons) >>> 0);
  }

  putRequest(request: Uint8Array): boolean {
    if (this.freeRequests === 0) return false;
    this.shared.copyIn(this.reqProd, request);
    this.reqProd = (this.reqProd + 1) >>> 0;
    return true;
  }

  /** RING_PUSH_REQUESTS_AND_CHECK_NOTIFY. */
  pushRequests(): boolean {
    const before = this.shared.index(Sring.req_prod);
    this.shared.setIndex(Sring.req_prod, this.reqProd);
    const wanted = this.shared.index(Sring.req_event);
    return (this.reqProd - wanted) >>> 0 < (this.reqProd - before) >>> 0;
  }

  /** Responses ready, at most as many as requests are outstanding. */
  get unconsumedResponses(): number {
    const ready = (this.shared.index(Sring.rsp_prod) - this.rspCons) >>> 0;
    return Math.min(ready, (this.reqProd - this.rspCons) >>> 0);
  }

  takeResponse(into: Uint8Array): boolean {
    if (this.unconsumedResponses === 0) return false;
    this.shared.copyOut(this.rspCons, into);
    this.rspCons = (this.rspCons + 1) >>> 0;
    return true;
  }

  /** RING_FINAL_CHECK_FOR_RESPONSES. */
  finalCheckForResponses(): boolean {
    if (this.unconsumedResponses > 0) return true;
    this.shared.setIndex(Sring.rsp_event, this.rspCons + 1);
    return this.unconsumedResponses > 0;
  }
}

/** Where a byte ring lies: `size` is a power of two, `cons` and `prod` the maddrs of its u32 indices. */
export interface ByteRingPlace {
  readonly buffer: number;
  readonly size: number;
  readonly cons: number;
  readonly prod: number;
}

/** One direction of a byte ring. Both indices are read from the shared page each time: guests may reset a ring to zero
 *  while it is empty (hvmloader hands its rings over like that), and a value out of range is always recognizable. */
export class ByteRing {
  constructor(
    private readonly memory: MachineMemory,
    private readonly place: ByteRingPlace,
  ) {}

  /** Bytes waiting to be consumed, or -1 if the indices contradict each other. */
  get used(): number {
    const cons = this.memory.load(this.place.cons);
    const prod = this.memory.load(this.place.prod);
    const used = (prod - cons) >>> 0;
    return used > this.place.size ? -1 : used;
  }

  /** Takes up to `most` bytes, in a copy of its own. Empty if there are none or the indices are bad. */
  take(most: number): Uint8Array<ArrayBuffer> {
    const cons = this.memory.load(this.place.cons);
    const used = (this.memory.load(this.place.prod) - cons) >>> 0;
    const length = used > this.place.size ? 0 : Math.min(used, most);
    const bytes = new Uint8Array(length);
    if (length === 0) return bytes;
    const at = cons & (this.place.size - 1);
    const first = Math.min(length, this.place.size - at);
    const { u8 } = this.memory;
    bytes.set(u8.subarray(this.place.buffer + at, this.place.buffer + at + first));
    bytes.set(u8.subarray(this.place.buffer, this.place.buffer + length - first), first);
    this.memory.store(this.place.cons, (cons + length) | 0);
    return bytes;
  }

  /** Puts in as many of `bytes` as there is room for and says how many: 0 if the ring is full or its indices are bad. */
  put(bytes: Uint8Array): number {
    const prod = this.memory.load(this.place.prod);
    const used = (prod - this.memory.load(this.place.cons)) >>> 0;
    const length = used > this.place.size ? 0 : Math.min(bytes.length, this.place.size - used);
    if (length === 0) return 0;
    const at = prod & (this.place.size - 1);
    const first = Math.min(length, this.place.size - at);
    this.memory.u8.set(bytes.subarray(0, first), this.place.buffer + at);
    this.memory.u8.set(bytes.subarray(first, length), this.place.buffer);
    this.memory.store(this.place.prod, (prod + length) | 0);
    return length;
  }

  /** Throws away what is in the ring. Belongs to the consumer. */
  discard(): void {
    this.memory.store(this.place.cons, this.memory.load(this.place.prod));
  }
}
