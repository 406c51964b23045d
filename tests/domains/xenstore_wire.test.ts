/** The wire protocol as a guest sees it (docs/misc/xenstore.txt, "Xenstore protocol details"; numbers of
 *  public/io/xs_wire.h). `|` in the tables is a NUL; a reply that begins with `!` is an ERROR. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Xenstore, XenstoreError } from "../../src/domains/xenstore";
import { XSD_ERRORS } from "../../src/domains/xs_wire";
import { XenstoreGuest } from "./xenstore_guest";

const CONTROL = 0;
const DIRECTORY = 1;
const READ = 2;
const GET_PERMS = 3;
const WATCH = 4;
const UNWATCH = 5;
const TRANSACTION_START = 6;
const TRANSACTION_END = 7;
const INTRODUCE = 8;
const RELEASE = 9;
const GET_DOMAIN_PATH = 10;
const WRITE = 11;
const MKDIR = 12;
const RM = 13;
const SET_PERMS = 14;
const IS_DOMAIN_INTRODUCED = 17;
const RESUME = 18;
const SET_TARGET = 19;
const RESTRICT = 20;
const RESET_WATCHES = 21;
const DIRECTORY_PART = 22;

const nul = (text: string) => text.replaceAll("|", "\0");

function world(): { store: Xenstore; guest: XenstoreGuest } {
  const store = new Xenstore();
  store.mkdir("/local/domain/5");
  store.setPerms("/local/domain/5", "n0 r5");
  store.write("/local/domain/5/name", "g");
  store.write("/local/domain/5/data", "");
  store.setPerms("/local/domain/5/data", "n5");
  store.write("/secret/n", "x");
  store.introduce(5);
  return { store, guest: new XenstoreGuest(store, 5) };
}

const wire = suite("Xenstore wire protocol");

const TABLE: readonly (readonly [type: number, request: string, reply: string])[] = [
  [DIRECTORY, "/local/domain/5|", "name|data|"],
  [DIRECTORY, "data|", ""],
  [DIRECTORY, "", "!EINVAL|"],
  [DIRECTORY, "/local/domain/5", "!EINVAL|"],
  [DIRECTORY, "/local/domain/5|x|", "!EINVAL|"],
  [DIRECTORY, "|", "!EINVAL|"],
  [DIRECTORY, "/|", "!EACCES|"],
  [DIRECTORY, "none|", "!ENOENT|"],
  [READ, "name|", "g"],
  [READ, "/local/domain/5/name|", "g"],
  [READ, "data|", ""],
  [READ, "none|", "!ENOENT|"],
  [READ, "/secret/n|", "!EACCES|"],
  [READ, "/secret/none|", "!EACCES|"],
  [READ, "bad//path|", "!EINVAL|"],
  [READ, "@releaseDomain|", "!EINVAL|"],
  [READ, "name", "!EINVAL|"],
  [READ, `${"a".repeat(2049)}|`, "!EINVAL|"],
  [GET_PERMS, "name|", "n0|r5|"],
  [GET_PERMS, "data|", "n5|"],
  [GET_PERMS, "/secret|", "!EACCES|"],
  [WRITE, "data/x|value", "OK|"],
  [WRITE, "data/x|", "OK|"],
  [WRITE, "data/x|with|nuls|", "OK|"],
  [WRITE, "data/x", "!EINVAL|"],
  [WRITE, "name|v", "!EACCES|"],
  [WRITE, "/local/domain/6/x|v", "!EACCES|"],
  [WRITE, `data/x|${"v".repeat(4000)}`, "!ENOSPC|"],
  [MKDIR, "data/d/e|", "OK|"],
  [MKDIR, "data|", "OK|"],
  [MKDIR, "name|", "!EACCES|"],
  [MKDIR, "", "!EINVAL|"],
  [RM, "data|", "OK|"],
  [RM, "data/none|", "OK|"],
  [RM, "data/no/where|", "!ENOENT|"],
  [RM, "name|", "!EACCES|"],
  [RM, "/|", "!EINVAL|"],
  [SET_PERMS, "data|b5|r6|", "OK|"],
  [SET_PERMS, "data|r6|", "!EPERM|"],
  [SET_PERMS, "data|", "!EINVAL|"],
  [SET_PERMS, "data|x5|", "!EINVAL|"],
  [SET_PERMS, "data|r|", "!EINVAL|"],
  [SET_PERMS, "data|r65536|", "!EINVAL|"],
  [SET_PERMS, "data|n5|r1|r2|r3|r4|r6|", "!ENOSPC|"],
  [SET_PERMS, "name|r5|", "!EACCES|"],
  [SET_PERMS, "@releaseDomain|n5|", "!EACCES|"],
  [WATCH, "data|token|", "OK|"],
  [WATCH, "data|token|reserved|", "OK|"],
  [WATCH, "/secret/n||", "OK|"],
  [WATCH, "@releaseDomain|t|", "OK|"],
  [WATCH, "data|token", "!EINVAL|"],
  [WATCH, "data|", "!EINVAL|"],
  [WATCH, "data/|t|", "!EINVAL|"],
  [UNWATCH, "data|token|", "!ENOENT|"],
  [TRANSACTION_START, "|", "1|"],
  [TRANSACTION_START, "", "1|"],
  [TRANSACTION_END, "T|", "!ENOENT|"],
  [TRANSACTION_END, "X|", "!EINVAL|"],
  [TRANSACTION_END, "", "!EINVAL|"],
  [GET_DOMAIN_PATH, "5|", "/local/domain/5|"],
  [GET_DOMAIN_PATH, "0007|", "/local/domain/7|"],
  [GET_DOMAIN_PATH, "5", "!EINVAL|"],
  [GET_DOMAIN_PATH, "self|", "!EINVAL|"],
  [GET_DOMAIN_PATH, "65536|", "!EINVAL|"],
  [IS_DOMAIN_INTRODUCED, "5|", "T|"],
  [IS_DOMAIN_INTRODUCED, "6|", "F|"],
  [IS_DOMAIN_INTRODUCED, "-1|", "!EINVAL|"],
  [RESET_WATCHES, "|", "OK|"],
  [RESET_WATCHES, "", "OK|"],
  [DIRECTORY_PART, "data|0|", nul("")], // the generation varies: checked below
  [DIRECTORY_PART, "data|", "!EINVAL|"],
  [DIRECTORY_PART, "data|x|", "!EINVAL|"],
  [DIRECTORY_PART, "none|0|", "!ENOENT|"],
  [INTRODUCE, "6|1|1|", "!EACCES|"],
  [RELEASE, "5|", "!EACCES|"],
  [RESUME, "5|", "!EACCES|"],
  [SET_TARGET, "5|0|", "!EACCES|"],
  [CONTROL, "help|", "!EACCES|"],
  [RESTRICT, "5|", "!ENOSYS|"],
  [15, "data|t|", "!ENOSYS|"], // WATCH_EVENT and ERROR only travel to the client
  [16, "EINVAL|", "!ENOSYS|"],
  [23, "", "!ENOSYS|"],
  [0xffff, "", "!ENOSYS|"],
  [0xffffffff, "|", "!ENOSYS|"],
];
for (const [type, request, reply] of TABLE)
  if (type !== DIRECTORY_PART || reply !== "")
    wire(`type ${type} ${JSON.stringify(request.slice(0, 30))} gives ${reply || "nothing"}`, () => {
      assert.is(world().guest.ask(type, nul(request)), nul(reply));
    });

wire("domain 0 may use the privileged requests", () => {
  const store = new Xenstore({
    host: {
      introduce: (domid, mfn, port) => {
        if (mfn === -2) throw new XenstoreError("EINVAL", "mfn", "not the domain's");
        assert.equal([mfn, port], [4660, 7]);
        store.introduce(domid);
      },
      release: (domid) => store.release(domid),
    },
  });
  const dom0 = new XenstoreGuest(store, 0);
  const cases: readonly (readonly [number, string, string])[] = [
    [INTRODUCE, "5|4660|7|", "OK|"],
    [IS_DOMAIN_INTRODUCED, "5|", "T|"],
    [INTRODUCE, "6|-2|7|", "!EINVAL|"],
    [INTRODUCE, "6|4660|", "!EINVAL|"],
    [INTRODUCE, "0|4660|7|", "!EINVAL|"],
    [INTRODUCE, "6|4660|0|", "!EINVAL|"],
    [RESUME, "5|", "OK|"],
    [RESUME, "6|", "!ENOENT|"],
    [INTRODUCE, "6|4660|7|", "OK|"],
    [SET_TARGET, "6|5|", "OK|"],
    [SET_TARGET, "6|9|", "!ENOENT|"],
    [RELEASE, "5|", "OK|"],
    [RELEASE, "5|", "!ENOENT|"],
    [IS_DOMAIN_INTRODUCED, "5|", "F|"],
    [CONTROL, "check|", "OK|"],
    [CONTROL, "help|", "check|help|print|"],
    [CONTROL, "nonsense|", "!EINVAL|"],
    [WRITE, "/anywhere|v", "OK|"],
  ];
  for (const [type, request, reply] of cases) assert.is(dom0.ask(type, nul(request)), nul(reply), `${type} ${request}`);
});

wire("a value comes back byte for byte", () => {
  const { guest } = world();
  const value = "\0\x01\xff\n|";
  guest.ask(WRITE, `data/x\0${value}`);
  assert.is(guest.ask(READ, "data/x\0"), value);
});

wire("request and transaction ids are echoed, in errors too", () => {
  const { guest } = world();
  guest.send(READ, "name\0", { reqId: 0xfedcba98 });
  guest.send(READ, "none\0", { reqId: 7, txId: 0 });
  guest.send(READ, "name\0", { reqId: 8, txId: 0xdeadbeef });
  assert.equal(guest.receive(), [
    { type: READ, reqId: 0xfedcba98, txId: 0, body: "g" },
    { type: 16, reqId: 7, txId: 0, body: "ENOENT\0" },
    { type: 16, reqId: 8, txId: 0xdeadbeef, body: "ENOENT\0" },
  ]);
});

wire("a transaction over the wire", () => {
  const { store, guest } = world();
  const tx = Number(guest.ask(TRANSACTION_START, "\0").slice(0, -1));
  assert.is(guest.ask(TRANSACTION_START, "\0", tx), "!EBUSY\0");
  assert.is(guest.ask(WRITE, "data/x\0one", tx), "OK\0");
  assert.is(guest.ask(READ, "data/x\0", tx), "one");
  assert.is(guest.ask(READ, "data/x\0"), "!ENOENT\0");
  assert.is(guest.ask(TRANSACTION_END, "T\0", tx), "OK\0");
  assert.is(store.read("/local/domain/5/data/x"), "one");
  const late = Number(guest.ask(TRANSACTION_START, "\0").slice(0, -1));
  guest.ask(WRITE, "data/x\0two", late);
  store.write("/local/domain/5/data/x", "three");
  assert.is(guest.ask(TRANSACTION_END, "T\0", late), "!EAGAIN\0");
  assert.is(guest.ask(TRANSACTION_END, "T\0", late), "!ENOENT\0");
});

wire("one domain's transaction id is nothing to another", () => {
  const { store, guest } = world();
  const tx = Number(guest.ask(TRANSACTION_START, "\0").slice(0, -1));
  const other = new XenstoreGuest(store, 6);
  assert.is(other.ask(GET_PERMS, "/secret\0", tx), "!ENOENT\0");
});

wire("WATCH is acknowledged before its first event; a write before the event it causes", () => {
  const { guest } = world();
  guest.send(WATCH, "data\0tok\0", { reqId: 1 });
  guest.send(WRITE, "data/x\0v", { reqId: 2 });
  assert.equal(guest.receive(), [
    { type: WATCH, reqId: 1, txId: 0, body: "OK\0" },
    { type: 15, reqId: 0, txId: 0, body: "data\0tok\0" },
    { type: WRITE, reqId: 2, txId: 0, body: "OK\0" },
    { type: 15, reqId: 0, txId: 0, body: "data/x\0tok\0" },
  ]);
});

wire("changes by the toolstack reach the guest unasked, with an event", () => {
  const { store, guest } = world();
  guest.ask(WATCH, "/local/domain/5/name\0t\0");
  guest.takeEvents();
  const before = guest.port.notified;
  store.write("/local/domain/5/name", "new");
  assert.is(guest.port.notified, before + 1);
  assert.equal(guest.takeEvents(), ["/local/domain/5/name t"]);
});

wire("RESET_WATCHES drops watches and transactions", () => {
  const { store, guest } = world();
  guest.ask(WATCH, "data\0t\0");
  const tx = Number(guest.ask(TRANSACTION_START, "\0").slice(0, -1));
  guest.takeEvents();
  assert.is(guest.ask(RESET_WATCHES, "\0"), "OK\0");
  store.write("/local/domain/5/data", "v");
  assert.equal(guest.takeEvents(), []);
  assert.is(guest.ask(TRANSACTION_END, "F\0", tx), "!ENOENT\0");
  assert.is(guest.ask(WATCH, "data\0t\0"), "OK\0");
});

wire("an event that no message can hold is not sent", () => {
  const { store, guest } = world();
  const token = "t".repeat(4000);
  assert.is(guest.ask(WATCH, `data\0${token}\0`), "OK\0");
  guest.takeEvents();
  store.write(`/local/domain/5/data/${"n".repeat(500)}`, "v");
  assert.equal(guest.takeEvents(), []);
  assert.is(guest.ask(READ, "name\0"), "g");
});

wire("a reply too long is E2BIG, and DIRECTORY_PART reads the list in pieces", () => {
  const { store, guest } = world();
  const names = Array.from({ length: 1000 }, (_, n) => `child-number-${n}`);
  for (const name of names) store.mkdir(`/local/domain/5/many/${name}`);
  store.write("/local/domain/5/long", "v".repeat(4097));
  assert.is(guest.ask(DIRECTORY, "many\0"), "!E2BIG\0");
  assert.is(guest.ask(READ, "long\0"), "!E2BIG\0");
  const generations = new Set<string>();
  let list = "";
  let pieces = 0;
  for (;;) {
    const reply = guest.ask(DIRECTORY_PART, `many\0${list.length}\0`);
    assert.ok(reply.length <= 4096);
    const end = reply.indexOf("\0");
    generations.add(reply.slice(0, end));
    const part = reply.slice(end + 1);
    pieces++;
    assert.is(part.at(-1), "\0");
    if (part === "\0" || part.endsWith("\0\0")) {
      list += part.slice(0, -1);
      break;
    }
    list += part;
  }
  assert.equal(list.split("\0").slice(0, -1), names);
  assert.is(pieces, 5); // 17 890 bytes
  assert.is(generations.size, 1);
  store.mkdir("/local/domain/5/many/more");
  assert.not(generations.has(guest.ask(DIRECTORY_PART, "many\0" + "0\0").split("\0")[0]));
});

wire("DIRECTORY_PART at and past the end gives the empty name only", () => {
  const { guest } = world();
  for (const offset of ["0", "1", "99999"]) assert.match(guest.ask(DIRECTORY_PART, `data\0${offset}\0`), /^\d+\0\0$/);
});

wire("the error names are those of xs_wire.h, in its order", () => {
  assert.is(
    XSD_ERRORS.join(" "),
    "EINVAL EACCES EEXIST EISDIR ENOENT ENOMEM ENOSPC EIO ENOTEMPTY ENOSYS EROFS EBUSY EAGAIN EISCONN E2BIG EPERM",
  );
});

wire.run();
