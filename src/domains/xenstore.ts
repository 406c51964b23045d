/** The xenstore: a small tree of values that toolstack and guests use to find each other (docs/misc/xenstore.txt).
 *  This is the store itself, free of rings and bytes: `XenstoreConnection` puts the wire protocol on top of a session.
 *  The methods here act as domain 0. Everything is synchronous and in order; watch callbacks run after the operation that
 *  caused them, before it returns to an outermost caller. */
import { XenstoreError } from "./xenstore_error";
import { NO_TRANSACTION, XenstoreSession } from "./xenstore_session";
import { NodeTree, NO_VALUE } from "./xs_nodes";
import { TOOLS_ONLY } from "./xs_ops";
import { INTRODUCE_DOMAIN, RELEASE_DOMAIN } from "./xs_path";
import { type Perms, PRIVILEGED_DOMID, perms } from "./xs_perms";
import { DEFAULT_QUOTAS, type XsQuotas } from "./xs_quota";
import { type WatchCallback, WatchTable } from "./xs_watches";

export { XenstoreError } from "./xenstore_error";
export { XenstoreSession } from "./xenstore_session";

/** What a control domain's messages ask of the toolstack. Methods throw XenstoreError to refuse. */
export interface XenstoreHost {
  /** INTRODUCE: connect to the domain's ring page `mfn` and event channel `port`. Calls `Xenstore.introduce`. */
  introduce(domid: number, mfn: number, port: number): void;
  /** RELEASE: disconnect. Calls `Xenstore.release`. */
  release(domid: number): void;
}

export interface XenstoreOptions {
  readonly quotas?: Partial<XsQuotas>;
  readonly host?: XenstoreHost;
  /** Takes the text of CONTROL print. */
  readonly log?: (line: string) => void;
}

const UTF8 = new TextDecoder();

export class Xenstore {
  readonly tree = new NodeTree();
  readonly watches = new WatchTable();
  readonly quotas: XsQuotas;
  readonly host: XenstoreHost | null;
  readonly log: (line: string) => void;
  private readonly sessions = new Map<number, XenstoreSession>();
  private readonly introduced = new Set([PRIVILEGED_DOMID]);
  /** Domains whose shutdown has been announced. */
  private readonly down = new Set<number>();
  /** The toolstack's own, apart from that of a control domain's kernel, which may reset its watches at any time. */
  private readonly tools = new XenstoreSession(this, PRIVILEGED_DOMID);

  constructor({ quotas, host, log }: XenstoreOptions = {}) {
    this.quotas = { ...DEFAULT_QUOTAS, ...quotas };
    this.host = host ?? null;
    this.log = log ?? (() => {});
    for (const path of ["/", INTRODUCE_DOMAIN, RELEASE_DOMAIN])
      this.tree.put(path, { value: NO_VALUE, perms: TOOLS_ONLY, children: [] });
    this.mkdir("/tool/xenstored");
    this.mkdir("/local/domain/0");
  }

  /** The one session of a domain's kernel. */
  session(domid: number): XenstoreSession {
    let session = this.sessions.get(domid);
    if (!session) {
      session = new XenstoreSession(this, domid);
      this.sessions.set(domid, session);
    }
    return session;
  }

  /** The value as text. Throws ENOENT. */
  read(path: string, txId = NO_TRANSACTION): string {
    return UTF8.decode(this.tools.read(path, txId));
  }

  /** The value as text, or undefined if there is no such node. */
  get(path: string, txId = NO_TRANSACTION): string | undefined {
    return this.exists(path, txId) ? this.read(path, txId) : undefined;
  }

  exists(path: string, txId = NO_TRANSACTION): boolean {
    this.tools.checkTransaction(txId); // which is an ENOENT of another kind
    try {
      this.tools.node(path, txId);
      return true;
    } catch (error) {
      if (error instanceof XenstoreError && error.code === "ENOENT") return false;
      throw error;
    }
  }

  write(path: string, value: string | number | Uint8Array, txId = NO_TRANSACTION): void {
    this.tools.write(path, value instanceof Uint8Array ? value : new TextEncoder().encode(String(value)), txId);
  }

  mkdir(path: string, txId = NO_TRANSACTION): void {
    this.tools.mkdir(path, txId);
  }

  rm(path: string, txId = NO_TRANSACTION): void {
    this.tools.rm(path, txId);
  }

  /** Names of the children, oldest first. */
  ls(path: string, txId = NO_TRANSACTION): readonly string[] {
    return this.tools.directory(path, txId);
  }

  getPerms(path: string, txId = NO_TRANSACTION): Perms {
    return this.tools.getPerms(path, txId);
  }

  /** `to` in the protocol's notation, owner first: "n0 r5". */
  setPerms(path: string, to: string | Perms, txId = NO_TRANSACTION): void {
    this.tools.setPerms(path, typeof to === "string" ? perms(to) : to, txId);
  }

  watch(path: string, token: string, callback: WatchCallback): void {
    this.tools.watch(path, token, callback);
  }

  unwatch(path: string, token: string): void {
    this.tools.unwatch(path, token);
  }

  startTransaction(): number {
    return this.tools.startTransaction();
  }

  endTransaction(txId: number, commit = true): void {
    this.tools.endTransaction(txId, commit);
  }

  /** Runs `body` in a transaction: all of its changes are seen at once, or none if it throws. */
  transaction<T>(body: (txId: number) => T): T {
    const txId = this.startTransaction();
    let result: T;
    try {
      result = body(txId);
    } catch (error) {
      this.endTransaction(txId, false);
      throw error;
    }
    this.endTransaction(txId);
    return result;
  }

  /** The domain's ring is connected. */
  introduce(domid: number): void {
    if (this.introduced.has(domid)) return;
    this.introduced.add(domid);
    this.announce(INTRODUCE_DOMAIN);
  }

  isIntroduced(domid: number): boolean {
    return this.introduced.has(domid);
  }

  /** The domain has shut down or crashed but still exists. Announced once, until `resume`. */
  domainShutdown(domid: number): void {
    if (!this.introduced.has(domid) || this.down.has(domid)) return;
    this.down.add(domid);
    this.announce(RELEASE_DOMAIN);
  }

  resume(domid: number): void {
    this.down.delete(domid);
  }

  /** The domain is gone: its watches, transactions and nodes go with it, and nothing is left for a later domain with the same
   *  number to inherit. Nodes that it made in another domain's tree would belong to nobody's quota: two guests, one of which is
   *  started again and again, could fill the store with them. */
  release(domid: number): void {
    if (domid === PRIVILEGED_DOMID) throw new XenstoreError("EINVAL", "domain 0", "cannot be released");
    this.sessions.get(domid)?.reset();
    this.sessions.delete(domid);
    for (const session of this.sessions.values()) if (session.target === domid) session.target = null;
    this.down.delete(domid);
    for (const [path, { perms }] of [...this.tree.entries()]) if (perms[0].domid === domid && this.tree.get(path)) this.tools.rm(path);
    for (const [path, node] of [...this.tree.entries()]) {
      const perms = node.perms.filter((perm) => perm.domid !== domid);
      if (perms.length < node.perms.length) this.tree.put(path, { ...node, perms });
    }
    if (this.introduced.delete(domid)) this.announce(RELEASE_DOMAIN);
  }

  private announce(special: string): void {
    this.watches.fire(special, true, [this.tree.get(special)?.perms ?? TOOLS_ONLY]);
    this.watches.deliver();
  }
}
