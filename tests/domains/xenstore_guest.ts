/** The guest's side of a xenstore ring, written from public/io/xs_wire.h alone. */
import type { EventPort } from "../../src/io/bus";
import { MachineMemory } from "../../src/machine/memory";
import type { Xenstore } from "../../src/domains/xenstore";
import { XenstoreRing } from "../../src/domains/xs_ring";

export const PAGE = 4096;

/** Both ends of an event channel in one object: `raise` is the guest's notify. */
export class TestPort implements EventPort {
  notified = 0;
  closed = false;
  private callback: () => void = () => {};

  notify(): void {
    this.notified++;
  }
  onEvent(callback: () => void): void {
    this.callback = callback;
  }
  close(): void {
    this.closed = true;
  }
  raise(): void {
    if (!this.closed) this.callback();
  }
}

export function testMemory(): MachineMemory {
  return new MachineMemory(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));
}

export interface Reply {
  type: number;
  reqId: number;
  txId: number;
  body: string;
}

export class XenstoreGuest {
  readonly memory: MachineMemory;
  readonly port = new TestPort();
  readonly ring: XenstoreRing;
  private partial = new Uint8Array(0);
  private nextId = 100;

  constructor(store: Xenstore, domid: number, memory = testMemory()) {
    this.memory = memory;
    this.ring = new XenstoreRing({ store, domid, memory, page: PAGE, port: this.port });
  }

  index(name: "req_cons" | "req_prod" | "rsp_cons" | "rsp_prod" | "features" | "connection" | "error"): number {
    return PAGE + 2048 + 4 * ["req_cons", "req_prod", "rsp_cons", "rsp_prod", "features", "connection", "error"].indexOf(name);
  }
  get(name: Parameters<XenstoreGuest["index"]>[0]): number {
    return this.memory.load(this.index(name)) >>> 0;
  }
  set(name: Parameters<XenstoreGuest["index"]>[0], value: number): void {
    this.memory.store(this.index(name), value | 0);
  }

  /** Puts bytes into the request ring as far as there is room; says how many. */
  put(bytes: Uint8Array): number {
    let count = 0;
    while (count < bytes.length && (this.get("req_prod") - this.get("req_cons")) >>> 0 < 1024) {
      const prod = this.get("req_prod");
      this.memory.u8[PAGE + (prod & 1023)] = bytes[count++];
      this.set("req_prod", prod + 1);
    }
    return count;
  }

  send(type: number, body: string, { txId = 0, reqId = this.nextId++ } = {}): void {
    const bytes = message(type, reqId, txId, body);
    for (let at = 0; at < bytes.length; ) {
      const count = this.put(bytes.subarray(at));
      if (count === 0) throw new Error("request ring stays full");
      at += count;
      this.port.raise();
    }
  }

  /** All messages that have arrived. */
  receive(): Reply[] {
    for (;;) {
      const cons = this.get("rsp_cons");
      const used = (this.get("rsp_prod") - cons) >>> 0;
      if (used === 0) break;
      const bytes = new Uint8Array(this.partial.length + used);
      bytes.set(this.partial);
      for (let n = 0; n < used; n++) bytes[this.partial.length + n] = this.memory.u8[PAGE + 1024 + ((cons + n) & 1023)];
      this.partial = bytes;
      this.set("rsp_cons", cons + used);
      this.port.raise();
    }
    const replies: Reply[] = [];
    while (this.partial.length >= 16) {
      const view = new DataView(this.partial.buffer, this.partial.byteOffset);
      const length = view.getUint32(12, true);
      if (this.partial.length < 16 + length) break;
      const body = String.fromCharCode(...this.partial.subarray(16, 16 + length));
      replies.push({ type: view.getUint32(0, true), reqId: view.getUint32(4, true), txId: view.getUint32(8, true), body });
      this.partial = this.partial.slice(16 + length);
    }
    return replies;
  }

  /** Sends one request; the first reply's body, prefixed with `!` if it is an ERROR. Events are kept in `events`. */
  ask(type: number, body: string, txId = 0): string {
    const reqId = this.nextId++;
    this.send(type, body, { txId, reqId });
    let answer = "(no reply)";
    for (const reply of this.receive()) {
      if (reply.type === 15) this.events.push(reply.body);
      else if (reply.reqId === reqId && reply.txId === txId)
        answer = reply.type === 16 ? `!${reply.body}` : reply.type === type ? reply.body : "(wrong type)";
    }
    return answer;
  }

  readonly events: string[] = [];

  /** Events so far, in the form `path token`. */
  takeEvents(): string[] {
    for (const reply of this.receive()) if (reply.type === 15) this.events.push(reply.body);
    return this.events.splice(0).map((body) => body.split("\0").slice(0, 2).join(" "));
  }
}

export function message(type: number, reqId: number, txId: number, body: string, length = body.length): Uint8Array {
  const bytes = new Uint8Array(16 + body.length);
  const view = new DataView(bytes.buffer);
  for (const [n, word] of [type, reqId, txId, length].entries()) view.setUint32(4 * n, word, true);
  for (let n = 0; n < body.length; n++) bytes[16 + n] = body.charCodeAt(n);
  return bytes;
}
