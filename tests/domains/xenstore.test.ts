/** The store itself against docs/misc/xenstore.txt: paths, permissions, quotas. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Xenstore } from "../../src/domains/xenstore";
import { perms } from "../../src/domains/xs_perms";
import { bytes, listen, refusal, text, withGuest } from "./xenstore_sessions";

const tree = suite("Xenstore tree");

tree("a write creates the missing parents with empty values", () => {
  const store = new Xenstore();
  store.write("/a/b/c", "x");
  assert.equal([store.read("/a"), store.read("/a/b"), store.read("/a/b/c")], ["", "", "x"]);
  assert.equal(store.ls("/a"), ["b"]);
});

tree("mkdir leaves an existing value alone", () => {
  const store = new Xenstore();
  store.write("/a", "x");
  store.mkdir("/a");
  assert.is(store.read("/a"), "x");
});

tree("values are octet strings, and copies", () => {
  const store = new Xenstore();
  const value = Uint8Array.of(0, 255, 10);
  store.write("/a", value);
  value[0] = 1;
  assert.equal([...store.session(0).read("/a")], [0, 255, 10]);
});

tree("children are listed in the order of their creation", () => {
  const store = new Xenstore();
  for (const name of ["z", "a", "m"]) store.mkdir(`/list/${name}`);
  store.rm("/list/a");
  store.mkdir("/list/a");
  assert.equal(store.ls("/list"), ["z", "m", "a"]);
});

tree("rm takes everything below; a missing node is fine, a missing parent is not", () => {
  const store = new Xenstore();
  store.write("/a/b/c/d", "x");
  const before = store.tree.size;
  store.rm("/a/b");
  assert.is(store.tree.size, before - 3);
  assert.equal(store.ls("/a"), []);
  assert.is(refusal(() => store.rm("/a/b")), "ok");
  assert.is(refusal(() => store.rm("/no/where")), "ENOENT");
  assert.is(refusal(() => store.rm("/")), "EINVAL");
});

tree("a tree as deep as a path allows is removed without recursion", () => {
  const store = new Xenstore();
  const before = store.tree.size;
  store.mkdir("/d".repeat(1536));
  assert.is(store.tree.size, before + 1536);
  store.rm("/d");
  assert.is(store.tree.size, before);
});

const PATHS: readonly (readonly [string, string])[] = [
  ["", "EINVAL"],
  ["//", "EINVAL"],
  ["/a//b", "EINVAL"],
  ["/a/", "EINVAL"],
  ["a/", "EINVAL"],
  ["/a b", "EINVAL"],
  ["/a.b", "EINVAL"],
  ["/a\u00e4", "EINVAL"],
  ["/a\n", "EINVAL"],
  ["@releaseDomain", "EINVAL"],
  ["/Az09-_@", "ok"],
  ["relative/path", "ok"],
  [`/${"a".repeat(3071)}`, "ok"],
  [`/${"a".repeat(3072)}`, "EINVAL"],
  ["a".repeat(2048), "ok"],
  ["a".repeat(2049), "EINVAL"],
];
for (const [path, expected] of PATHS)
  tree(`path ${JSON.stringify(path.slice(0, 20))} of ${path.length} bytes: ${expected}`, () =>
    assert.is(refusal(() => new Xenstore().write(path, "")), expected),
  );

tree("a relative path starts at the caller's home", () => {
  const { store, guest } = withGuest();
  guest.write("data/x", bytes("1"));
  assert.is(store.read("/local/domain/5/data/x"), "1");
  store.write("mine", "2");
  assert.is(store.read("/local/domain/0/mine"), "2");
});

tree.run();

const permissions = suite("Xenstore permissions");

//  permissions of the node   read      write     setPerms      as domain 5
const ACCESS = [
  ["n0", "EACCES", "EACCES", "EACCES"],
  ["r0", "ok", "EACCES", "EACCES"],
  ["w0", "EACCES", "ok", "EACCES"],
  ["b0", "ok", "ok", "EACCES"],
  ["n5", "ok", "ok", "ok"],
  ["n0 r5", "ok", "EACCES", "EACCES"],
  ["n0 w5", "EACCES", "ok", "EACCES"],
  ["n0 b5", "ok", "ok", "EACCES"],
  ["b0 n5", "EACCES", "EACCES", "EACCES"],
  ["n0 r6", "EACCES", "EACCES", "EACCES"],
  ["n6 r0 b5", "ok", "ok", "EACCES"],
] as const;
for (const [notation, read, write, own] of ACCESS)
  permissions(`${notation}: read ${read}, write ${write}, set permissions ${own}`, () => {
    const { store, guest } = withGuest();
    store.write("/n", "v");
    store.setPerms("/n", notation);
    const owner = store.getPerms("/n")[0].domid;
    assert.is(refusal(() => guest.read("/n")), read);
    assert.is(refusal(() => guest.write("/n", bytes("w"))), write);
    assert.is(refusal(() => guest.setPerms("/n", perms(`n${owner}`))), own);
  });

permissions("whether a node exists is told only to those who could use it", () => {
  const { store, guest } = withGuest();
  store.mkdir("/secret");
  assert.is(refusal(() => guest.read("/secret/none")), "EACCES");
  assert.is(refusal(() => guest.read("none")), "ENOENT");
  assert.is(refusal(() => guest.write("none", bytes(""))), "EACCES");
  assert.is(refusal(() => guest.rm("none")), "EACCES");
  assert.is(refusal(() => guest.rm("data/none")), "ok");
});

permissions("new nodes inherit, but an unprivileged creator owns them", () => {
  const { store, guest } = withGuest();
  store.mkdir("/shared");
  store.setPerms("/shared", "n0 b5 r6");
  guest.write("/shared/a/b", bytes("x"));
  assert.equal(store.getPerms("/shared/a"), perms("n5 b5 r6"));
  assert.equal(store.getPerms("/shared/a/b"), perms("n5 b5 r6"));
  store.write("/shared/c", "x");
  assert.equal(store.getPerms("/shared/c"), perms("n0 b5 r6"));
});

permissions("only domain 0 gives a node away", () => {
  const { store, guest } = withGuest();
  assert.is(refusal(() => guest.setPerms("data", perms("n6"))), "EPERM");
  guest.setPerms("data", perms("b5 r7"));
  assert.equal(guest.getPerms("data"), perms("b5 r7"));
  store.setPerms("/local/domain/5/data", "n6");
  assert.is(refusal(() => guest.getPerms("data")), "EACCES");
});

permissions("a domain with a target has its rights (SET_TARGET)", () => {
  const { store, guest } = withGuest();
  guest.write("data/x", bytes("1"));
  const deviceModel = store.session(9);
  assert.is(refusal(() => deviceModel.read("/local/domain/5/data/x")), "EACCES");
  deviceModel.target = 5;
  assert.is(text(deviceModel.read("/local/domain/5/data/x")), "1");
});

permissions("a later domain with the same number inherits nothing", () => {
  const { store, guest } = withGuest();
  store.write("/left", "secret");
  store.setPerms("/left", "n0 r5");
  guest.write("data/x", bytes("1"));
  store.release(5);
  assert.equal(store.getPerms("/left"), perms("n0"));
  assert.not(store.exists("/local/domain/5/data"));
  assert.is(store.tree.owned(5), 0);
  assert.is(refusal(() => store.session(5).read("/left")), "EACCES");
});

permissions("a domain that is started again and again leaves no nodes in another one's tree", () => {
  const { store, guest } = withGuest();
  guest.setPerms("data", perms("w5"));
  const size = store.tree.size;
  for (let domid = 6; domid < 10; domid++) {
    store.introduce(domid);
    for (let n = 0; n < 10; n++) store.session(domid).write(`/local/domain/5/data/${domid}/${n}`, bytes("x"));
    store.release(domid);
    assert.is(store.tree.size, size);
    assert.equal(guest.directory("data"), []);
  }
});

permissions.run();

const quotas = suite("Xenstore quotas");

quotas("nodes: a refused creation leaves nothing behind", () => {
  const { store, guest } = withGuest({ nodes: 4 });
  guest.mkdir("data/a"); // owns 2 with data
  const size = store.tree.size;
  assert.is(refusal(() => guest.mkdir("data/b/c/d")), "ENOSPC");
  assert.is(store.tree.size, size);
  assert.is(refusal(() => guest.mkdir("data/b/c")), "ok");
  assert.is(refusal(() => guest.mkdir("data/x")), "ENOSPC");
  guest.rm("data/b");
  assert.is(refusal(() => guest.mkdir("data/x")), "ok");
  assert.is(refusal(() => store.mkdir("/local/domain/5/data/y")), "ok", "domain 0 has no quota");
});

quotas("nodes: counted within transactions, and given back when one is dropped", () => {
  const { guest } = withGuest({ nodes: 3 });
  const first = guest.startTransaction();
  guest.mkdir("data/a", first);
  guest.mkdir("data/b", first);
  assert.is(refusal(() => guest.mkdir("data/c", first)), "ENOSPC");
  guest.endTransaction(first, false);
  guest.mkdir("data/c");
  guest.mkdir("data/d");
});

quotas("two transactions cannot exceed it together", () => {
  const { store, guest } = withGuest({ nodes: 4 });
  store.mkdir("/one");
  store.mkdir("/two");
  store.setPerms("/one", "b0");
  store.setPerms("/two", "b0");
  const [a, b] = [guest.startTransaction(), guest.startTransaction()];
  guest.mkdir("/one/x/y", a);
  guest.mkdir("/two/x/y", b);
  guest.endTransaction(a, true);
  assert.is(refusal(() => guest.endTransaction(b, true)), "ENOSPC");
  assert.equal(store.ls("/two"), []);
});

quotas("size of a node: value and names of children", () => {
  const { store, guest } = withGuest();
  assert.is(refusal(() => guest.write("data", new Uint8Array(2048))), "ENOSPC");
  assert.is(refusal(() => guest.write("data", new Uint8Array(1900))), "ok");
  assert.is(refusal(() => guest.mkdir(`data/${"n".repeat(200)}`)), "ENOSPC");
  assert.is(refusal(() => store.write("/big", new Uint8Array(100000))), "ok");
});

quotas("watches, transactions, permissions, path length", () => {
  const { guest } = withGuest({ watches: 2, transactions: 1, permissions: 2, pathLength: 30 });
  listen(guest, "data", "1");
  listen(guest, "data", "2");
  assert.is(refusal(() => listen(guest, "data", "3")), "E2BIG");
  guest.unwatch("data", "1");
  assert.is(refusal(() => listen(guest, "data", "3")), "ok");
  guest.startTransaction();
  assert.is(refusal(() => guest.startTransaction()), "ENOSPC");
  assert.is(refusal(() => guest.setPerms("data", perms("n5 r1 r2"))), "ENOSPC");
  assert.is(refusal(() => guest.mkdir(`data/${"n".repeat(25)}`)), "ok", "the home directory is free");
  assert.is(refusal(() => guest.mkdir(`data/${"n".repeat(26)}`)), "EINVAL");
});

quotas("a transaction that ran into its node limit cannot be committed", () => {
  const { store, guest } = withGuest({ transactionNodes: 5 });
  for (const name of ["a", "b", "c", "d", "e"]) guest.mkdir(`data/${name}`);
  const tx = guest.startTransaction();
  assert.is(refusal(() => guest.rm("data", tx)), "ENOSPC");
  assert.is(refusal(() => guest.endTransaction(tx, true)), "ENOSPC");
  assert.is(store.ls("/local/domain/5/data").length, 5);
});

quotas.run();
