/** Who learns of a change, and when: transactions and watches (docs/misc/xenstore.txt). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Xenstore } from "../../src/domains/xenstore";
import { bytes, listen, refusal, withGuest } from "./xenstore_sessions";

const transactions = suite("Xenstore transactions");

transactions("changes are the transaction's own until it ends", () => {
  const store = new Xenstore();
  store.write("/a/old", "1");
  const tx = store.startTransaction();
  store.write("/a/new", "2", tx);
  store.rm("/a/old", tx);
  assert.equal(store.ls("/a"), ["old"]);
  assert.equal(store.ls("/a", tx), ["new"]);
  assert.is(store.get("/a/old", tx), undefined);
  store.endTransaction(tx);
  assert.equal(store.ls("/a"), ["new"]);
  assert.is(refusal(() => store.read("/a", tx)), "ENOENT");
});

transactions("aborting leaves no trace", () => {
  const store = new Xenstore();
  const size = store.tree.size;
  const tx = store.startTransaction();
  store.write("/a/b", "1", tx);
  store.endTransaction(tx, false);
  assert.is(store.tree.size, size);
});

const within: Record<string, (store: Xenstore, tx: number) => unknown> = {
  "read /a/b": (store, tx) => store.read("/a/b", tx),
  "write /a/b": (store, tx) => store.write("/a/b", "t", tx),
  "ls /a": (store, tx) => store.ls("/a", tx),
  "look for /a/c": (store, tx) => store.exists("/a/c", tx),
  "create /x/y": (store, tx) => store.write("/x/y", "t", tx),
  "rm /a": (store, tx) => store.rm("/a", tx),
};
const meanwhile: Record<string, (store: Xenstore) => unknown> = {
  "write /a/b": (store) => store.write("/a/b", "m"),
  "create /a/c": (store) => store.write("/a/c", "m"),
  "rm /a/b": (store) => store.rm("/a/b"),
  "setPerms /a/b": (store) => store.setPerms("/a/b", "r0"),
  "write /other": (store) => store.write("/other", "m"),
  nothing: () => {},
};
//                   write /a/b  create /a/c  rm /a/b   setPerms  write /other  nothing
const CONFLICTS: Record<string, readonly string[]> = {
  "read /a/b": ["EAGAIN", "ok", "EAGAIN", "EAGAIN", "ok", "ok"],
  "write /a/b": ["EAGAIN", "ok", "EAGAIN", "EAGAIN", "ok", "ok"],
  "ls /a": ["ok", "EAGAIN", "EAGAIN", "ok", "ok", "ok"],
  "look for /a/c": ["ok", "EAGAIN", "EAGAIN", "ok", "ok", "ok"],
  "create /x/y": ["ok", "ok", "ok", "ok", "ok", "ok"],
  "rm /a": ["EAGAIN", "EAGAIN", "EAGAIN", "EAGAIN", "ok", "ok"],
};
for (const [inside, outcomes] of Object.entries(CONFLICTS))
  for (const [n, [outside, change]] of Object.entries(meanwhile).entries())
    transactions(`${inside} while another does ${outside}: ${outcomes[n]}`, () => {
      const store = new Xenstore();
      store.write("/a/b", "0");
      store.write("/other", "0");
      const tx = store.startTransaction();
      within[inside](store, tx);
      change(store);
      assert.is(refusal(() => store.endTransaction(tx)), outcomes[n]);
    });

transactions("what was read stays as it was read", () => {
  const store = new Xenstore();
  store.write("/a", "1");
  const tx = store.startTransaction();
  assert.is(store.read("/a", tx), "1");
  store.write("/a", "2");
  assert.is(store.read("/a", tx), "1");
});

transactions("of two that change the same node the later to end loses, and may retry", () => {
  const { guest, store } = withGuest();
  const [a, b] = [guest.startTransaction(), guest.startTransaction()];
  assert.is.not(a, b);
  guest.write("data/n", bytes("a"), a);
  guest.write("data/n", bytes("b"), b);
  guest.endTransaction(b, true);
  assert.is(refusal(() => guest.endTransaction(a, true)), "EAGAIN");
  assert.is(refusal(() => guest.endTransaction(a, true)), "ENOENT", "it is over all the same");
  assert.is(store.read("/local/domain/5/data/n"), "b");
});

transactions("watches fire at the commit, once a path, and not at all for a conflict or an abort", () => {
  const { store, guest } = withGuest();
  const events = listen(store, "/local/domain/5");
  events.length = 0;
  const tx = guest.startTransaction();
  guest.write("data/a", bytes("1"), tx);
  guest.write("data/a", bytes("2"), tx);
  guest.write("data/b", bytes("1"), tx);
  assert.equal(events, []);
  guest.endTransaction(tx, true);
  assert.equal(events, ["/local/domain/5/data/a t", "/local/domain/5/data/b t"]);
  const dropped = guest.startTransaction();
  guest.write("data/a", bytes("3"), dropped);
  guest.endTransaction(dropped, false);
  assert.is(events.length, 2);
});

transactions("transaction() commits what its body did, or nothing if it throws", () => {
  const store = new Xenstore();
  assert.throws(() =>
    store.transaction((tx) => {
      store.write("/a", "1", tx);
      throw new Error("no");
    }),
  );
  assert.not(store.exists("/a"));
  store.transaction((tx) => store.write("/a", "1", tx));
  assert.is(store.read("/a"), "1");
});

transactions.run();

const watches = suite("Xenstore watches");

watches("fire once when set, with the watched path, existing or not", () => {
  const store = new Xenstore();
  assert.equal(listen(store, "/nothing/here", "tok"), ["/nothing/here tok"]);
});

watches("hear the path itself and everything below, not its neighbours or parents", () => {
  const store = new Xenstore();
  const events = listen(store, "/a/b");
  events.length = 0;
  for (const path of ["/a/b", "/a/b/c", "/a/bb", "/a", "/ab", "/x"]) store.write(path, "v");
  assert.equal(events, ["/a/b t", "/a/b/c t"]);
});

watches("hear of writes without change, permissions and removal; not of a mkdir that does nothing", () => {
  const store = new Xenstore();
  store.write("/a", "v");
  const events = listen(store, "/a");
  events.length = 0;
  store.write("/a", "v");
  store.mkdir("/a");
  store.setPerms("/a", "r0");
  store.rm("/a");
  assert.equal(events, ["/a t", "/a t", "/a t"]);
});

watches("hear of the removal of a parent as a change of the watched path", () => {
  const store = new Xenstore();
  store.write("/a/b/c", "v");
  const below = listen(store, "/a/b/c");
  const above = listen(store, "/a");
  below.length = above.length = 0;
  store.rm("/a/b");
  assert.equal(below, ["/a/b/c t"]);
  assert.equal(above, ["/a/b t"], "one event for the whole subtree");
});

watches("set with a relative path hear relative paths", () => {
  const { store, guest } = withGuest();
  const events = listen(guest, "data");
  store.write("/local/domain/5/data/x", "1");
  assert.equal(events, ["data t", "data/x t"]);
});

watches("are told apart by path and token", () => {
  const store = new Xenstore();
  const one = listen(store, "/a", "1");
  const two = listen(store, "/a", "2");
  assert.is(refusal(() => listen(store, "/a", "1")), "EEXIST");
  store.unwatch("/a", "1");
  assert.is(refusal(() => store.unwatch("/a", "1")), "ENOENT");
  store.write("/a", "v");
  assert.equal([one.length, two.length], [1, 2]);
});

watches("do not tell a domain of nodes it may not read, except of their disappearance from its view", () => {
  const { store, guest } = withGuest();
  store.mkdir("/dir");
  store.setPerms("/dir", "n0");
  store.write("/dir/n", "v");
  const events = listen(guest, "/dir/n");
  events.length = 0;
  store.write("/dir/n", "secret");
  assert.equal(events, []);
  store.setPerms("/dir/n", "n0 r5");
  assert.equal(events, ["/dir/n t"]);
  store.setPerms("/dir/n", "n0");
  assert.equal(events, ["/dir/n t", "/dir/n t"]);
  store.setPerms("/dir/n", "n0 r5");
  events.length = 0;
  store.rm("/dir/n");
  assert.equal(events, ["/dir/n t"], "a node it could read, deleted from a parent it cannot");
});

watches("@introduceDomain and @releaseDomain are for domain 0 and those it names", () => {
  const store = new Xenstore();
  const guest = store.session(7);
  const tools = listen(store, "@releaseDomain");
  const root = listen(store, "/");
  const denied = listen(guest, "@releaseDomain");
  tools.length = root.length = denied.length = 0;
  const born = listen(store, "@introduceDomain");
  store.introduce(5);
  store.introduce(5);
  assert.equal(born, ["@introduceDomain t", "@introduceDomain t"], "once when set, once for the domain");
  store.domainShutdown(5);
  store.domainShutdown(5);
  assert.is(tools.length, 1, "a shutdown is announced once");
  store.resume(5);
  store.domainShutdown(5);
  store.release(5);
  assert.is(tools.length, 3);
  assert.equal([denied, root], [[], []]);
  store.setPerms("@releaseDomain", "n0 r7");
  store.introduce(6);
  store.release(6);
  assert.equal(denied, ["@releaseDomain t"]);
});

watches("what a callback changes is delivered after it, in order", () => {
  const store = new Xenstore();
  const order: string[] = [];
  store.watch("/a", "a", () => {
    order.push("a begins");
    if (order.length === 1) store.write("/b", "1");
    order.push("a ends");
  });
  store.watch("/b", "b", () => order.push("b"));
  order.length = 0;
  store.write("/a", "1");
  assert.equal(order, ["a begins", "a ends", "b"]);
});

watches("a removed watch hears nothing more, even of events on their way", () => {
  const store = new Xenstore();
  const events: string[] = [];
  store.watch("/a", "first", () => {
    if (events.length > 0) store.unwatch("/a", "second");
  });
  store.watch("/a", "second", (path) => events.push(path));
  store.write("/a", "1");
  assert.equal(events, ["/a"]);
});

watches("a control domain that resets its watches leaves the toolstack's alone", () => {
  const store = new Xenstore();
  const tools = listen(store, "/a");
  const kernel = listen(store.session(0), "/a");
  store.session(0).reset();
  store.write("/a", "1");
  assert.equal([tools.length, kernel.length], [2, 1]);
});

watches("a domain's watches end with it", () => {
  const { store, guest } = withGuest();
  const before = store.watches.size;
  listen(guest, "data");
  store.release(5);
  assert.is(store.watches.size, before);
});

watches("however much one request changes, a guest's watches hear of it in moderation, and each of the last change", () => {
  const { store, guest } = withGuest();
  let path = "data";
  const paths = Array.from({ length: 900 }, () => (path += "/a"));
  guest.mkdir(path);
  let heard = 0;
  const values = new Map<string, number>();
  const last = () => guest.read(path)[0];
  for (let n = 0; n < 100; n++)
    guest.watch("data", `t${n}`, (changed, token) => {
      heard += changed.length;
      values.set(token, last());
    });
  heard = 0;
  const tx = guest.startTransaction();
  for (const each of paths) guest.write(each, Uint8Array.of(7), tx);
  guest.endTransaction(tx, true);
  assert.ok(heard <= 2 * 65536, `${heard} bytes of paths`);
  assert.equal([...values.values()], new Array(100).fill(7));
  const again = listen(guest, "data", "another");
  again.length = 0;
  guest.write(paths[0], Uint8Array.of(8));
  assert.equal(again, [`${paths[0]} another`], "what has been heard counts no longer");
  assert.is(store.watches.size, 101);
});

watches.run();
