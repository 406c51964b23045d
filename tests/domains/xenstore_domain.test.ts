/** The nodes of a domain are those that xl of Xen 4.17 made for a PVH GRUB (recorded with xenstore-ls), with the
 *  permissions libxl gives them, and all of them go with the domain. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Xenstore } from "../../src/domains/xenstore";
import { type DomainNodes, introduceDomain, releaseDomain } from "../../src/domains/xs_domain";
import { XenstoreGuest } from "./xenstore_guest";

const RECORDED = `vm = "/vm/d22c27cf-8a5c-400d-86d1-6780bf58b5dc"
name = "grub-pvh"
cpu = ""
 0 = ""
  availability = "online"
memory = ""
 static-max = "262144"
 target = "262144"
 videoram = "0"
device = ""
 suspend = ""
  event-channel = ""
control = ""
 shutdown = ""
 feature-poweroff = ""
 feature-reboot = ""
 feature-suspend = ""
 sysrq = ""
 platform-feature-multiprocessor-suspend = "1"
 platform-feature-xs_reset_watches = "1"
data = ""
drivers = ""
feature = ""
attr = ""
error = ""
domid = "4"
store = ""
 port = "1"
 ring-ref = "1044476"
console = ""
 backend = "/local/domain/0/backend/console/4/0"
 backend-id = "0"
 limit = "1048576"
 type = "xenconsoled"
 output = "pty"
 tty = "/dev/pts/0"
 port = "2"
 ring-ref = "1044479"
`;

const GRUB: DomainNodes = {
  domid: 4,
  name: "grub-pvh",
  uuid: "d22c27cf-8a5c-400d-86d1-6780bf58b5dc",
  vcpus: 1,
  memory: 262144,
  store: { port: 1, ringRef: 1044476 },
  console: { port: 2, ringRef: 1044479, tty: "/dev/pts/0" },
};

/** As xenstore-ls prints it. */
function list(store: Xenstore, path: string, indent = ""): string {
  return store
    .ls(path)
    .map((name) => `${indent}${name} = "${store.read(`${path}/${name}`)}"\n${list(store, `${path}/${name}`, `${indent} `)}`)
    .join("");
}

const domain = suite("Xenstore nodes of a domain");

domain("the home is what xl makes", () => {
  const store = new Xenstore();
  introduceDomain(store, GRUB);
  assert.is(list(store, "/local/domain/4"), RECORDED);
  assert.ok(store.isIntroduced(4));
});

//  path                    read           write      as the guest
const GUEST_VIEW = [
  ["", "", "EACCES"],
  ["/name", "grub-pvh", "EACCES"],
  ["/control", "", "EACCES"],
  ["/control/shutdown", "", "OK"],
  ["/control/feature-poweroff", "", "OK"],
  ["/control/sysrq", "", "OK"],
  ["/control/platform-feature-xs_reset_watches", "1", "EACCES"],
  ["/device", "", "EACCES"],
  ["/device/suspend/event-channel", "", "OK"],
  ["/data", "", "OK"],
  ["/data/made-by-guest", "!ENOENT", "OK"],
  ["/error", "", "OK"],
  ["/store/ring-ref", "1044476", "EACCES"],
  ["/console/ring-ref", "1044479", "EACCES"],
  ["/console/made-by-guest", "!ENOENT", "EACCES"],
] as const;
for (const [path, value, write] of GUEST_VIEW)
  domain(`the guest reads ${path || "its home"} and writing it gives ${write}`, () => {
    const store = new Xenstore();
    introduceDomain(store, GRUB);
    const guest = new XenstoreGuest(store, 4);
    assert.is(guest.ask(2, `/local/domain/4${path}\0`).replace(/^!(.*)\0/, "!$1"), value);
    assert.is(guest.ask(11, `/local/domain/4${path}\0v`).replace(/^!?(.*)\0/, "$1"), write);
  });

domain("the guest sees its console's backend and nobody else's home", () => {
  const store = new Xenstore();
  introduceDomain(store, GRUB);
  introduceDomain(store, { ...GRUB, domid: 6, uuid: "0-6" });
  const guest = new XenstoreGuest(store, 4);
  assert.is(guest.ask(2, "/local/domain/0/backend/console/4/0/state\0"), "1");
  assert.is(guest.ask(2, "/vm/d22c27cf-8a5c-400d-86d1-6780bf58b5dc/name\0"), "grub-pvh");
  for (const path of ["/local/domain/6/name", "/local/domain/0/backend/console/6/0/state", "/vm/0-6/name", "/libxl/4"])
    assert.is(guest.ask(2, `${path}\0`), "!EACCES\0", path);
});

domain("a watcher of @introduceDomain finds the complete tree", () => {
  const store = new Xenstore();
  const found: (string | undefined)[] = [];
  store.watch("@introduceDomain", "t", () => found.push(store.get("/local/domain/4/console/ring-ref")));
  introduceDomain(store, GRUB);
  assert.equal(found, [undefined, "1044479"]);
});

domain("a hundred domains come and go and leave the store as it was", () => {
  const store = new Xenstore();
  introduceDomain(store, { ...GRUB, domid: 1, uuid: "first" });
  releaseDomain(store, 1);
  const size = store.tree.size;
  const watches = store.watches.size;
  for (let domid = 2; domid < 102; domid++) {
    introduceDomain(store, { ...GRUB, domid, uuid: `u${domid}`, vcpus: 4 });
    const guest = new XenstoreGuest(store, domid);
    guest.ask(4, "data\0t\0");
    guest.ask(11, "data/x\0v");
    guest.ask(6, "\0");
    store.write(`/local/domain/0/backend/vbd/${domid}/51712/state`, 1);
    guest.ring.close();
    releaseDomain(store, domid);
    assert.is(store.isIntroduced(domid), false);
  }
  store.rm("/local/domain/0/backend/vbd");
  assert.is(store.tree.size, size);
  assert.is(store.watches.size, watches);
});

domain("an earlier domain's leftovers under the same number are cleared", () => {
  const store = new Xenstore();
  store.write("/local/domain/4/stale", "x");
  introduceDomain(store, GRUB);
  assert.not(store.exists("/local/domain/4/stale"));
});

domain.run();
