/** Request rings behave as the macros of public/io/ring.h say, also against a frontend that writes nonsense. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BackRing, FrontRing, ringSize } from "../../src/io/ring";
import { MachineMemory } from "../../src/machine/memory";

const PAGE = 4096;
const memory = () => new MachineMemory(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));

/** Offsets of struct *_sring. */
const REQ_PROD = 0;
const REQ_EVENT = 4;
const RSP_PROD = 8;
const RSP_EVENT = 12;

function entry(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, n) => (seed * 31 + n) & 0xff);
}

function pair(entrySize = 16, pages: readonly number[] = [PAGE]) {
  const shared = memory();
  return { shared, front: new FrontRing(shared, pages, entrySize), back: new BackRing(shared, pages, entrySize) };
}

const ring = suite("Shared ring (public/io/ring.h)");

//  entries: blkif_request 112 B on a 64-bit guest, netif tx 12 and rx 8, 9pfs has none
const SIZES = [
  [4096, 112, 32],
  [4096, 12, 256],
  [4096, 8, 256],
  [8192, 112, 64],
  [16384, 112, 128],
  [4096, 4032, 1],
  [4096, 4033, 0],
] as const;
for (const [bytes, size, entries] of SIZES)
  ring(`${bytes} bytes hold ${entries} entries of ${size}`, () => assert.is(ringSize(bytes, size), entries));

ring("SHARED_RING_INIT: producers 0, events 1", () => {
  const { shared } = pair();
  assert.equal([REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT].map((at) => shared.load(PAGE + at)), [0, 1, 0, 1]);
});

ring("requests and responses pass unchanged, many times around, over pages that are no neighbours", () => {
  const pages = [5 * PAGE, 2 * PAGE, 9 * PAGE, PAGE];
  const { front, back } = pair(112, pages);
  const buffer = new Uint8Array(112);
  assert.is(front.size, 128);
  for (let n = 0; n < 1000; ) {
    const batch = 1 + (n % 128);
    for (let i = 0; i < batch; i++) assert.ok(front.putRequest(entry(112, n + i)));
    front.pushRequests();
    for (let i = 0; i < batch; i++) {
      assert.ok(back.takeRequest(buffer));
      assert.equal(buffer, entry(112, n + i));
      back.putResponse(entry(16, n + i));
    }
    assert.not(back.takeRequest(buffer));
    back.pushResponses();
    for (let i = 0; i < batch; i++) {
      assert.ok(front.takeResponse(buffer));
      assert.equal(buffer.subarray(0, 16), entry(16, n + i));
    }
    n += batch;
  }
});

ring("nothing else in memory is touched", () => {
  const { shared, front, back } = pair(112, [PAGE]);
  const buffer = new Uint8Array(112);
  for (let n = 0; n < 100; n++) {
    front.putRequest(entry(112, n));
    front.pushRequests();
    back.takeRequest(buffer);
    back.putResponse(entry(112, n));
    back.pushResponses();
    front.takeResponse(buffer);
  }
  assert.ok(shared.u8.subarray(0, PAGE).every((byte) => byte === 0));
  assert.ok(shared.u8.subarray(2 * PAGE).every((byte) => byte === 0));
});

ring("a full ring takes no request; a slot is free when its response has been taken", () => {
  const { front, back } = pair(1008); // 4 entries
  const buffer = new Uint8Array(1008);
  for (let n = 0; n < 4; n++) assert.ok(front.putRequest(entry(8, n)));
  assert.not(front.putRequest(entry(8, 4)));
  front.pushRequests();
  for (let n = 0; n < 4; n++) back.takeRequest(buffer);
  back.putResponse(entry(8, 0));
  back.pushResponses();
  assert.is(front.freeRequests, 0);
  front.takeResponse(buffer);
  assert.is(front.freeRequests, 1);
});

ring("an event is wanted exactly when the final check said so", () => {
  const { front, back } = pair();
  const buffer = new Uint8Array(16);
  front.putRequest(entry(16, 0));
  assert.ok(front.pushRequests(), "the first");
  front.putRequest(entry(16, 1));
  assert.not(front.pushRequests(), "the backend is still at it");
  assert.ok(back.finalCheckForRequests(), "there is work");
  back.takeRequest(buffer);
  back.takeRequest(buffer);
  assert.not(back.finalCheckForRequests());
  front.putRequest(entry(16, 2));
  assert.ok(front.pushRequests(), "armed again");

  back.putResponse(entry(16, 0));
  assert.ok(back.pushResponses());
  back.putResponse(entry(16, 1));
  assert.not(back.pushResponses());
  assert.ok(front.finalCheckForResponses());
  front.takeResponse(buffer);
  front.takeResponse(buffer);
  assert.not(front.finalCheckForResponses());
  back.takeRequest(buffer);
  back.putResponse(entry(16, 2));
  assert.ok(back.pushResponses());
});

ring("indices wrap at 2^32", () => {
  const { shared, back } = pair();
  shared.store(PAGE + RSP_PROD, -3);
  shared.store(PAGE + REQ_PROD, -3);
  back.attach();
  const buffer = new Uint8Array(16);
  assert.not(back.takeRequest(buffer));
  shared.store(PAGE + REQ_PROD, 2);
  assert.is(back.unconsumedRequests, 5);
  for (let n = 0; n < 5; n++) {
    assert.ok(back.takeRequest(buffer));
    back.putResponse(buffer);
  }
  back.pushResponses();
  assert.is(shared.load(PAGE + RSP_PROD), 2);
});

ring("a producer too far ahead is noticed and yields at most a ring of requests", () => {
  for (const producer of [257, 0x7fffffff, -1, -(2 ** 31)]) {
    const { shared, back } = pair(8);
    shared.store(PAGE + REQ_PROD, producer);
    assert.ok(back.overflown);
    const buffer = new Uint8Array(8);
    let taken = 0;
    while (back.takeRequest(buffer)) taken++;
    assert.is(taken, back.size, `req_prod ${producer}`);
    assert.is(back.inFlight, 256);
  }
});

ring("a producer that goes back is an overflow too; a guest cannot move our private indices", () => {
  const { shared, front, back } = pair();
  const buffer = new Uint8Array(16);
  for (let n = 0; n < 3; n++) front.putRequest(entry(16, n));
  front.pushRequests();
  back.takeRequest(buffer);
  back.putResponse(buffer);
  shared.store(PAGE + REQ_PROD, 0);
  assert.ok(back.overflown);
  shared.store(PAGE + REQ_PROD, 3);
  shared.store(PAGE + RSP_PROD, 12345);
  assert.not(back.overflown);
  back.pushResponses();
  assert.is(shared.load(PAGE + RSP_PROD), 1);
});

ring("a request is a copy: what the guest writes later does not reach it", () => {
  const { shared, front, back } = pair();
  front.putRequest(entry(16, 7));
  front.pushRequests();
  const buffer = new Uint8Array(16);
  back.takeRequest(buffer);
  shared.u8.fill(0xee, PAGE + 64, PAGE + 80);
  assert.equal(buffer, entry(16, 7));
});

ring("a response without a request is a bug of ours", () => {
  assert.throws(() => pair().back.putResponse(new Uint8Array(16)), "a response needs a request");
});

ring.run();
