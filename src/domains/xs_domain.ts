/** The xenstore nodes of a domain, as xl creates them for a PV or PVH guest (docs/misc/xenstore-paths.pandoc). The guest
 *  may read its home; it owns only the nodes through which it answers. */
import type { Xenstore } from "./xenstore";
import { domainPath } from "./xs_path";
import type { Perms } from "./xs_perms";

export interface DomainNodes {
  readonly domid: number;
  readonly name: string;
  readonly uuid: string;
  readonly vcpus: number;
  /** KiB. */
  readonly memory: number;
  /** KiB; what ballooning may grow to. */
  readonly maxMemory?: number;
  /** The guest's event-channel port for the store, and its ring: a gfn, or an mfn for PV guests. */
  readonly store: { readonly port: number; readonly ringRef: number };
  /** Its PV console, if it has one. */
  readonly console?: {
    readonly port: number;
    readonly ringRef: number;
    /** Bytes of unread output that are kept. */
    readonly limit?: number;
    readonly tty?: string;
  };
  /** Seconds since 1970. */
  readonly startTime?: number;
}

/** Nodes the guest writes: it owns them. */
const GUEST_NODES = [
  "device/suspend/event-channel",
  "control/shutdown",
  "control/feature-poweroff",
  "control/feature-reboot",
  "control/feature-suspend",
  "control/sysrq",
  "data",
  "drivers",
  "feature",
  "attr",
  "error",
] as const;

export function vmPath(uuid: string): string {
  return `/vm/${uuid}`;
}

function consoleBackendPath(domid: number): string {
  return `${domainPath(0)}/backend/console/${domid}/0`;
}

/** Creates the domain's nodes, all at once for whoever watches, and announces the domain. */
export function introduceDomain(store: Xenstore, domain: DomainNodes): void {
  store.transaction((txId) => new DomainTree(store, domain, txId).create());
  store.introduce(domain.domid);
}

/** Removes the domain's nodes and forgets the domain. `uuid` as it was introduced with. */
export function releaseDomain(store: Xenstore, domid: number): void {
  store.transaction((txId) => {
    const vm = store.get(`${domainPath(domid)}/vm`, txId);
    if (vm?.startsWith("/vm/") && store.exists(vm, txId)) store.rm(vm, txId);
    for (const path of [domainPath(domid), `/libxl/${domid}`, `${domainPath(0)}/backend/console/${domid}`])
      if (store.exists(path, txId)) store.rm(path, txId);
    const kinds = `${domainPath(0)}/backend`;
    if (store.exists(kinds, txId))
      for (const kind of store.ls(kinds, txId)) {
        const path = `${kinds}/${kind}/${domid}`;
        if (store.exists(path, txId)) store.rm(path, txId);
      }
  });
  store.release(domid);
}

class DomainTree {
  private readonly home: string;
  private readonly vm: string;
  private readonly readOnly: Perms;
  private readonly guestOwned: Perms;

  constructor(
    private readonly store: Xenstore,
    private readonly domain: DomainNodes,
    private readonly txId: number,
  ) {
    this.home = domainPath(domain.domid);
    this.vm = vmPath(domain.uuid);
    this.readOnly = [
      { domid: 0, access: "n" },
      { domid: domain.domid, access: "r" },
    ];
    this.guestOwned = [{ domid: domain.domid, access: "n" }];
  }

  create(): void {
    const { domain, store, txId } = this;
    const { home, vm } = this;
    for (const path of [home, vm, `/libxl/${domain.domid}`]) if (store.exists(path, txId)) store.rm(path, txId);
    this.node(home, this.readOnly);
    this.node(vm, this.readOnly);
    store.mkdir(`/libxl/${domain.domid}`, txId);

    this.write(`${home}/vm`, vm);
    this.write(`${home}/name`, domain.name);
    for (const name of ["cpu", "memory", "device", "control"]) store.mkdir(`${home}/${name}`, txId);
    for (let n = 0; n < domain.vcpus; n++) this.write(`${home}/cpu/${n}/availability`, "online");
    this.write(`${home}/memory/static-max`, domain.maxMemory ?? domain.memory);
    this.write(`${home}/memory/target`, domain.memory);
    this.write(`${home}/memory/videoram`, 0);
    for (const name of GUEST_NODES) this.node(`${home}/${name}`, this.guestOwned);
    this.write(`${home}/control/platform-feature-multiprocessor-suspend`, 1);
    this.write(`${home}/control/platform-feature-xs_reset_watches`, 1);
    this.write(`${home}/domid`, domain.domid);
    this.write(`${home}/store/port`, domain.store.port);
    this.write(`${home}/store/ring-ref`, domain.store.ringRef);
    if (domain.console) this.console(domain.console);

    this.write(`${vm}/uuid`, domain.uuid);
    this.write(`${vm}/name`, domain.name);
    if (domain.startTime !== undefined) this.write(`${vm}/start_time`, domain.startTime);
  }

  /** The first console is set up by the toolstack on both sides; the guest only reads. */
  private console(console: NonNullable<DomainNodes["console"]>): void {
    const { domid } = this.domain;
    const backend = consoleBackendPath(domid);
    const front = `${this.home}/console`;
    this.write(`${front}/backend`, backend);
    this.write(`${front}/backend-id`, 0);
    this.write(`${front}/limit`, console.limit ?? 1048576);
    this.write(`${front}/type`, "xenconsoled");
    this.write(`${front}/output`, "pty");
    this.write(`${front}/tty`, console.tty ?? "");
    this.write(`${front}/port`, console.port);
    this.write(`${front}/ring-ref`, console.ringRef);
    this.node(backend, this.readOnly);
    this.write(`${backend}/frontend`, front);
    this.write(`${backend}/frontend-id`, domid);
    this.write(`${backend}/online`, 1);
    this.write(`${backend}/state`, 1);
    this.write(`${backend}/protocol`, "vt100");
  }

  private node(path: string, perms: Perms): void {
    this.store.mkdir(path, this.txId);
    this.store.setPerms(path, perms, this.txId);
  }

  private write(path: string, value: string | number): void {
    this.store.write(path, value, this.txId);
  }
}
