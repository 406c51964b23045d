/** The shared page (docs/misc/xenstore-ring.txt): whatever a guest writes into it, the store neither throws nor moves a
 *  byte it should not; slow readers are waited for, within bounds. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Xenstore } from "../../src/domains/xenstore";
import { message, PAGE, testMemory, XenstoreGuest } from "./xenstore_guest";

const READ = 2;
const WATCH = 4;
const TRANSACTION_START = 6;
const WRITE = 11;

function world(): { store: Xenstore; guest: XenstoreGuest } {
  const store = new Xenstore();
  store.mkdir("/local/domain/5");
  store.setPerms("/local/domain/5", "n0 r5");
  store.write("/local/domain/5/name", "g");
  store.write("/local/domain/5/data", "");
  store.setPerms("/local/domain/5/data", "n5");
  store.introduce(5);
  return { store, guest: new XenstoreGuest(store, 5) };
}

const ring = suite("Xenstore ring");

ring("the server offers reconnection and the error field", () => {
  assert.is(world().guest.get("features"), 3);
});

ring("indices run freely and wrap at 2^32", () => {
  const store = world().store;
  const memory = testMemory();
  for (const at of [2048, 2052, 2056, 2060]) memory.store(PAGE + at, -5);
  const guest = new XenstoreGuest(store, 5, memory);
  for (let n = 0; n < 100; n++) assert.is(guest.ask(READ, "name\0"), "g");
  assert.ok(guest.get("req_prod") < 0x80000000);
});

ring("a request that was there before the store is answered", () => {
  const { store } = world();
  const memory = testMemory();
  const bytes = message(READ, 1, 0, "name\0");
  memory.u8.set(bytes, PAGE);
  memory.store(PAGE + 2052, bytes.length);
  assert.equal(new XenstoreGuest(store, 5, memory).receive(), [{ type: READ, reqId: 1, txId: 0, body: "g" }]);
});

ring("a message may come in pieces of any size", () => {
  const bytes = message(READ, 1, 0, "name\0");
  for (let size = 1; size <= bytes.length; size++) {
    const { guest } = world();
    for (let at = 0; at < bytes.length; at += size) {
      guest.put(bytes.subarray(at, at + size));
      guest.port.raise();
    }
    assert.equal(guest.receive(), [{ type: READ, reqId: 1, txId: 0, body: "g" }], `pieces of ${size}`);
  }
});

ring("a request that comes while another is answered needs no event of its own", async () => {
  const { guest } = world();
  const total = 30; // more than are looked for before others get their turn
  let sent = 1;
  guest.port.notify = () => {
    if (sent < total) guest.put(message(READ, ++sent, 0, "name\0"));
  };
  guest.put(message(READ, 1, 0, "name\0"));
  guest.port.raise();
  assert.ok(sent > 1 && sent < total, "a guest cannot hold up everybody else");
  const replies = guest.receive();
  const limit = Date.now() + 5000;
  while (replies.length < total && Date.now() < limit) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    replies.push(...guest.receive());
  }
  assert.equal(replies.map(({ reqId }) => reqId), Array.from({ length: total }, (_, n) => n + 1));
  guest.ring.close();
});

ring("many requests at once are answered in order", () => {
  const { guest } = world();
  const bytes = message(READ, 1, 0, "name\0");
  for (let n = 0; n < 40; n++) guest.put(bytes);
  guest.port.raise();
  assert.is(guest.receive().length, 40);
});

ring("the longest message passes the ring of 1024 bytes both ways", () => {
  const { store, guest } = world();
  store.write("/local/domain/5/long", "v".repeat(4096));
  assert.is(guest.ask(READ, "long\0"), "v".repeat(4096));
  assert.is(guest.ask(WRITE, `data\0${"w".repeat(4091)}`), "!ENOSPC\0");
});

/* Hostile pages. */

const SPOILT: readonly (readonly ["req_cons" | "req_prod" | "rsp_cons" | "rsp_prod", number])[] = [
  ["req_prod", 1025],
  ["req_prod", 0x80000000],
  ["req_prod", 0xffffffff],
  ["req_cons", 1],
  ["req_cons", 0x7fffffff],
  ["rsp_cons", 1],
  ["rsp_cons", 0xfffff000],
  ["rsp_prod", 1025],
  ["rsp_prod", 0xffffffff],
];
for (const [name, value] of SPOILT)
  ring(`${name} = 0x${value.toString(16)} stops the connection with error RINGIDX`, () => {
    const { store, guest } = world();
    guest.set(name, value);
    const page = guest.memory.u8.slice(PAGE, PAGE + 2048);
    guest.port.raise();
    assert.is(guest.get("error"), 2);
    assert.equal(guest.memory.u8.slice(PAGE, PAGE + 2048), page, "nothing is written");
    guest.port.raise();
    store.write("/local/domain/5/name", "new");
    assert.is(guest.get(name), value >>> 0, "indices are left alone");
  });

for (const length of [4097, 0x7fffffff, 0x80000000, 0xffffffff])
  ring(`a payload of 0x${length.toString(16)} bytes stops the connection with error PROTO`, () => {
    const { store, guest } = world();
    guest.ask(WATCH, "data\0t\0");
    guest.ask(TRANSACTION_START, "\0");
    guest.takeEvents();
    guest.put(message(READ, 1, 0, "name\0", length));
    guest.put(message(READ, 2, 0, "name\0"));
    guest.port.raise();
    assert.is(guest.get("error"), 3);
    store.write("/local/domain/5/data", "v");
    guest.port.raise();
    assert.equal(guest.receive(), []);
    assert.equal([store.session(5).watchCount, store.session(5).openTransactions], [0, 0]);
  });

ring("a stopped connection comes back through reconnection, on a message boundary", () => {
  const { store, guest } = world();
  guest.ask(WATCH, "data\0t\0");
  guest.takeEvents();
  guest.put(message(READ, 1, 0, "name\0", 5000));
  guest.port.raise();
  guest.set("connection", 1);
  guest.port.raise();
  assert.equal(["connection", "error", "req_prod", "rsp_prod"].map((name) => guest.get(name as "error")), [0, 0, 0, 0]);
  assert.is(guest.ask(READ, "name\0"), "g");
  store.write("/local/domain/5/data", "v");
  assert.equal(guest.takeEvents(), [], "watches are gone");
});

ring("reconnection drops half a request and unread replies", () => {
  const { guest } = world();
  guest.send(READ, "name\0");
  guest.put(message(READ, 1, 0, "name\0").subarray(0, 10));
  guest.port.raise();
  guest.set("connection", 1);
  guest.port.raise();
  assert.is(guest.ask(READ, "name\0"), "g");
});

ring("random garbage in the page never throws and never leaves the page", () => {
  let seed = 12345;
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 8;
  for (let round = 0; round < 300; round++) {
    const { guest } = world();
    for (let n = 0; n < 2048; n++) guest.memory.u8[PAGE + n] = random();
    for (let step = 0; step < 10; step++) {
      // Plausible types and lengths, so that some of it is understood.
      for (let n = 0; n < 8; n++) {
        const at = (random() % 60) * 17;
        guest.memory.u8.set(message(random() % 24, n, random() % 3, "", random() % 40), PAGE + Math.min(at, 1000));
      }
      guest.set("req_prod", guest.get("req_prod") + (random() % 1100));
      if (random() % 3 === 0) guest.set("rsp_cons", guest.get("rsp_prod") - (random() % 1025));
      if (random() % 7 === 0) guest.set("connection", random() % 3);
      guest.port.raise();
    }
    assert.ok(guest.memory.u8.subarray(0, PAGE).every((byte) => byte === 0));
    assert.ok(guest.memory.u8.subarray(PAGE + 2076).every((byte) => byte === 0));
  }
});

/* Slow readers. */

ring("a guest that reads no replies is not asked for more requests, and loses none", () => {
  const { store, guest } = world();
  store.write("/local/domain/5/long", "v".repeat(2000));
  const bytes = message(READ, 1, 0, "long\0");
  let put = 0;
  for (let n = 0; n < 1000; n++) {
    const count = guest.put(bytes.subarray(put % bytes.length));
    put += count;
    guest.port.raise();
    if (count === 0) break;
  }
  assert.ok(put < 2 * 8192, "back-pressure");
  const complete = Math.floor(put / bytes.length);
  const replies = guest.receive();
  assert.is(replies.length, complete);
  assert.ok(replies.every(({ body }) => body.length === 2000));
});

ring("identical events wait only once", () => {
  const { store, guest } = world();
  guest.ask(WATCH, "data\0t\0");
  guest.takeEvents();
  guest.set("rsp_cons", guest.get("rsp_cons") - 1024); // the ring looks full
  for (let n = 0; n < 1000; n++) store.write("/local/domain/5/data", String(n));
  guest.set("rsp_cons", guest.get("rsp_prod"));
  guest.port.raise();
  assert.equal(guest.takeEvents(), ["data t"]);
});

ring("a flood of different events is merged, and no watch is forgotten", () => {
  const { store, guest } = world();
  guest.ask(WATCH, "data\0one\0");
  guest.ask(WATCH, "name\0two\0");
  guest.takeEvents();
  guest.set("rsp_cons", guest.get("rsp_cons") - 1024);
  const before = guest.get("rsp_cons");
  store.write("/local/domain/5/name", "new");
  for (let n = 0; n < 20000; n++) {
    store.mkdir(`/local/domain/5/data/n${n}`);
    store.rm(`/local/domain/5/data/n${n}`);
  }
  assert.is(guest.get("rsp_cons"), before);
  guest.set("rsp_cons", guest.get("rsp_prod"));
  guest.port.raise();
  const events = guest.takeEvents();
  assert.ok(events.length < 5000, `${events.length} events`);
  assert.ok(events.includes("name two"));
  assert.ok(events.includes("data one"), "the merged event is at the watched path");
  assert.is(guest.ask(READ, "name\0"), "new");
});

ring("after close the page is left alone and nothing is kept", () => {
  const { store, guest } = world();
  guest.ask(WATCH, "data\0t\0");
  guest.takeEvents();
  const watches = store.watches.size;
  guest.ring.close();
  assert.ok(guest.port.closed);
  const page = guest.memory.u8.slice(PAGE, 2 * PAGE);
  store.write("/local/domain/5/data", "v");
  guest.ring.pump();
  assert.equal(guest.memory.u8.slice(PAGE, 2 * PAGE), page);
  assert.is(store.watches.size, watches - 1);
});

ring("a watcher may destroy the domain whose request it hears of", () => {
  const { store, guest } = world();
  store.watch("/local/domain/5/data", "t", (path) => {
    if (!path.endsWith("/die")) return;
    guest.ring.close();
    store.release(5);
  });
  guest.send(WRITE, "data/die\0now");
  assert.equal(guest.receive(), []);
});

ring("guests that write what the other watches cannot keep the store to themselves", () => {
  const { store, guest } = world();
  store.write("/local/domain/6/data", "");
  store.setPerms("/local/domain/6/data", "n6 r5");
  store.introduce(6);
  const other = new XenstoreGuest(store, 6);
  assert.is(guest.ask(WATCH, "/local/domain/6/data\0t\0"), "OK\0");
  assert.is(guest.ask(WATCH, "data\0t\0"), "OK\0");
  guest.receive();
  let looks = 0;
  // a processor of its own: each time the store has been at the rings there is another request, and room for its reply
  guest.port.notify = () => {
    if (++looks === 1000) return;
    guest.set("rsp_cons", guest.get("rsp_prod"));
    guest.put(message(WRITE, looks, 0, `data\0${looks}`));
  };
  assert.is(other.ask(WRITE, "data\0x"), "OK\0");
  assert.ok(looks > 0 && looks < 100, `${looks} rounds in one request of another guest`);
});

ring.run();
