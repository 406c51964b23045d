/** The PV console (public/io/console.h): output never waits for a reader, input waits for the guest, and no index a guest
 *  writes makes the backend touch anything outside the page. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ConsoleBackend, ConsoleClosedError, type ConsoleOptions } from "../../src/io/console";
import { Scrollback } from "../../src/io/scrollback";
import { PAGE, TestPort, testMemory } from "../domains/xenstore_guest";

const IN_CONS = PAGE + 3072;
const IN_PROD = PAGE + 3076;
const OUT_CONS = PAGE + 3080;
const OUT_PROD = PAGE + 3084;

const bytes = (text: string) => new TextEncoder().encode(text);

class Guest {
  readonly memory = testMemory();
  readonly port = new TestPort();
  readonly console: ConsoleBackend;

  constructor(options: Partial<ConsoleOptions> = {}, prepare: (guest: Guest) => void = () => {}) {
    prepare(this);
    this.console = new ConsoleBackend({ memory: this.memory, page: PAGE, port: this.port, ...options });
  }

  /** Prints as far as the ring has room, with an event; says how many bytes. */
  print(text: string): number {
    let count = 0;
    const { memory } = this;
    while (count < text.length && ((memory.load(OUT_PROD) - memory.load(OUT_CONS)) >>> 0) < 2048) {
      memory.u8[PAGE + 1024 + (memory.load(OUT_PROD) & 2047)] = text.charCodeAt(count++);
      memory.store(OUT_PROD, (memory.load(OUT_PROD) + 1) | 0);
    }
    this.port.raise();
    return count;
  }

  /** Takes all input, with an event. */
  type(): string {
    let text = "";
    const { memory } = this;
    while (memory.load(IN_CONS) !== memory.load(IN_PROD)) {
      text += String.fromCharCode(memory.u8[PAGE + (memory.load(IN_CONS) & 1023)]);
      memory.store(IN_CONS, (memory.load(IN_CONS) + 1) | 0);
    }
    this.port.raise();
    return text;
  }

  /** All output until the console is closed. */
  async output(): Promise<string> {
    let text = "";
    for await (const chunk of this.console.readable) text += new TextDecoder().decode(chunk);
    return text;
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

const output = suite("Console output");

output("comes out as printed, and ends when the console is closed", async () => {
  const guest = new Guest();
  guest.print("one\n");
  const all = guest.output();
  guest.print("two\n");
  await turn();
  guest.print("three\n");
  guest.console.close();
  assert.is(await all, "one\ntwo\nthree\n");
});

output("a reader who waits is woken", async () => {
  const guest = new Guest();
  const reader = guest.console.readable.getReader();
  const next = reader.read();
  await turn();
  guest.print("x");
  assert.equal((await next).value, bytes("x"));
});

output("printed before the backend came up is not lost, nor are the last words", async () => {
  const guest = new Guest({}, (early) => {
    early.memory.u8.set(bytes("early"), PAGE + 1024);
    early.memory.store(OUT_PROD, 5);
  });
  guest.memory.u8.set(bytes(" late"), PAGE + 1024 + 5);
  guest.memory.store(OUT_PROD, 10); // without an event
  guest.console.close();
  assert.is(await guest.output(), "early late");
});

output("the guest is told that its ring has room again", () => {
  const guest = new Guest();
  assert.is(guest.port.notified, 0);
  guest.print("x");
  assert.is(guest.port.notified, 1);
  guest.port.raise();
  assert.is(guest.port.notified, 1, "nothing moved");
});

output("indices wrap at 2^32 and in the ring", async () => {
  const guest = new Guest({}, (early) => {
    early.memory.store(OUT_CONS, -1000);
    early.memory.store(OUT_PROD, -1000);
  });
  const text = Array.from({ length: 5000 }, (_, n) => String.fromCharCode(32 + (n % 90))).join("");
  for (let at = 0; at < text.length; ) at += guest.print(text.slice(at));
  guest.console.close();
  assert.is(await guest.output(), text);
});

output("nobody reads: the guest never waits, the newest bytes up to the limit are kept", async () => {
  const guest = new Guest({ limit: 50000 });
  let printed = "";
  for (let n = 0; n < 20000; n++) {
    const line = `line ${n}\n`;
    assert.is(guest.print(line), line.length);
    printed += line;
  }
  assert.is(guest.console.dropped, printed.length - 50000);
  guest.console.close();
  assert.is(await guest.output(), printed.slice(-50000));
});

for (const [cons, prod] of [
  [0, 2049],
  [0, -1],
  [1, 0],
  [-(2 ** 31), 5000],
] as const)
  output(`out_cons ${cons}, out_prod ${prod}: nothing is taken, until the guest mends it`, async () => {
    const guest = new Guest();
    guest.memory.store(OUT_CONS, cons);
    guest.memory.store(OUT_PROD, prod);
    guest.port.raise();
    assert.equal([guest.memory.load(OUT_CONS), guest.port.notified], [cons, 0]);
    guest.memory.store(OUT_CONS, 0);
    guest.memory.store(OUT_PROD, 0);
    guest.print("ok");
    guest.console.close();
    assert.is(await guest.output(), "ok");
  });

output.run();

const input = suite("Console input");

input("a write is done when the ring has taken it; a long one waits for the guest", async () => {
  const guest = new Guest();
  const writer = guest.console.writable.getWriter();
  const text = Array.from({ length: 3000 }, (_, n) => String.fromCharCode(33 + (n % 90))).join("");
  let done = false;
  const written = writer.write(bytes(text)).then(() => (done = true));
  await turn();
  assert.is(done, false);
  let received = guest.type();
  assert.is(received.length, 1024);
  await turn();
  assert.is(done, false);
  received += guest.type(); // 1024 more; the last 952 are in the ring then
  await written;
  received += guest.type();
  assert.is(received, text);
});

input("the guest gets an event for input", async () => {
  const guest = new Guest();
  await guest.console.writable.getWriter().write(bytes("ls\n"));
  assert.is(guest.port.notified, 1);
  assert.is(guest.type(), "ls\n");
});

input("the caller may reuse its buffer", async () => {
  const guest = new Guest();
  guest.memory.store(IN_PROD, 1024);
  const buffer = bytes("abc");
  const written = guest.console.writable.getWriter().write(buffer);
  await turn();
  buffer.fill(0);
  guest.memory.store(IN_CONS, 1024);
  guest.port.raise();
  await written;
  assert.is(guest.type(), "abc");
});

input("bad indices hold input back, and nothing is written", async () => {
  for (const [cons, prod] of [
    [0, 1025],
    [1, 0],
    [0, -1],
  ]) {
    const guest = new Guest();
    guest.memory.store(IN_CONS, cons);
    guest.memory.store(IN_PROD, prod);
    const before = guest.memory.u8.slice(0, 2 * PAGE);
    const written = guest.console.writable.getWriter().write(bytes("x"));
    await turn();
    guest.port.raise();
    assert.equal(guest.memory.u8.slice(0, 2 * PAGE), before);
    guest.memory.store(IN_CONS, 0);
    guest.memory.store(IN_PROD, 0);
    guest.port.raise();
    await written;
    assert.is(guest.type(), "x");
  }
});

input("a write under way when the console closes is refused, and later ones too", async () => {
  const guest = new Guest();
  guest.memory.store(IN_PROD, 1024);
  const writer = guest.console.writable.getWriter();
  const waiting = writer.write(bytes("x")).catch((error: unknown) => error);
  writer.closed.catch(() => {});
  await turn();
  const before = guest.memory.u8.slice(0, 2 * PAGE);
  guest.console.close();
  assert.instance(await waiting, ConsoleClosedError);
  assert.instance(await writer.write(bytes("y")).catch((error: unknown) => error), ConsoleClosedError);
  assert.equal(guest.memory.u8.slice(0, 2 * PAGE), before);
  assert.ok(guest.port.closed);
});

input("a writer can give up on a guest that takes nothing", async () => {
  const guest = new Guest();
  guest.memory.store(IN_PROD, 1024);
  const writer = guest.console.writable.getWriter();
  writer.closed.catch(() => {});
  const waiting = writer.write(bytes("x")).catch(() => "refused");
  await turn();
  await writer.abort();
  assert.is(await waiting, "refused");
  guest.memory.store(IN_CONS, 1024);
  guest.port.raise();
  assert.is(guest.type(), "");
});

input("a pipe into a full ring ends with the console", async () => {
  const guest = new Guest();
  guest.memory.store(IN_PROD, 1024);
  const source = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(bytes("key")) });
  const piped = source.pipeTo(guest.console.writable).catch((error: unknown) => error);
  await turn();
  guest.console.close();
  assert.instance(await piped, ConsoleClosedError);
});

input.run();

const scrollback = suite("Scrollback");

scrollback("keeps exactly the newest bytes for any sizes", () => {
  for (const limit of [1, 7, 16384, 40000]) {
    const kept = new Scrollback(limit);
    const all: number[] = [];
    let seed = 1;
    for (let n = 0; n < 60; n++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      const chunk = Uint8Array.from({ length: (seed >>> 8) % 3000 }, (_, i) => (n + i) & 0xff);
      kept.append(chunk);
      all.push(...chunk);
      assert.is(kept.size, Math.min(limit, all.length));
    }
    const got: number[] = [];
    for (let part = kept.take(); part.length > 0; part = kept.take()) got.push(...part);
    assert.equal(got, all.slice(-limit));
    assert.is(kept.dropped, all.length - got.length);
  }
});

scrollback.run();
