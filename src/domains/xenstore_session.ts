/** One domain's dealings with the store: its permissions, quotas, watches and open transactions. The toolstack holds the
 *  session of domain 0; each guest's connection holds its own. */
import type { Xenstore } from "./xenstore";
import { XenstoreError } from "./xenstore_error";
import type { XsNode } from "./xs_nodes";
import { getPerms, makeDirectory, type OpContext, readNode, removeTree, setPerms, writeNode } from "./xs_ops";
import { canonicalPath, isRelative, parentPath, quotaLength } from "./xs_path";
import { type Caller, isPrivileged, type Perms } from "./xs_perms";
import { XsTransaction } from "./xs_transaction";
import type { WatchCallback, XsWatch } from "./xs_watches";

/** Transaction id that means: none. */
export const NO_TRANSACTION = 0;

export class XenstoreSession implements Caller {
  /** Domain whose rights this one has too (SET_TARGET). */
  target: number | null = null;
  private readonly watches = new Map<string, XsWatch>();
  private readonly transactions = new Map<number, XsTransaction>();
  private lastId = 0;

  constructor(
    private readonly store: Xenstore,
    readonly domid: number,
  ) {}

  read(path: string, txId = NO_TRANSACTION): Uint8Array<ArrayBuffer> {
    return this.node(path, txId).value;
  }

  /** Value, children and generation at once. */
  node(path: string, txId = NO_TRANSACTION): XsNode {
    return this.perform(path, "plain", txId, readNode);
  }

  directory(path: string, txId = NO_TRANSACTION): readonly string[] {
    return this.node(path, txId).children;
  }

  write(path: string, value: Uint8Array, txId = NO_TRANSACTION): void {
    const copy = new Uint8Array(value);
    this.perform(path, "plain", txId, (context, at) => writeNode(context, at, copy));
  }

  mkdir(path: string, txId = NO_TRANSACTION): void {
    this.perform(path, "plain", txId, makeDirectory);
  }

  rm(path: string, txId = NO_TRANSACTION): void {
    this.perform(path, "plain", txId, removeTree);
  }

  getPerms(path: string, txId = NO_TRANSACTION): Perms {
    return this.perform(path, "special", txId, getPerms);
  }

  setPerms(path: string, perms: Perms, txId = NO_TRANSACTION): void {
    this.perform(path, "special", txId, (context, at) => setPerms(context, at, perms));
  }

  /** Calls back for each change at or below `path`, and once right away. */
  watch(path: string, token: string, callback: WatchCallback): void {
    const absolute = this.canonical(path, "special");
    const key = watchKey(absolute, token);
    if (this.watches.has(key)) throw new XenstoreError("EEXIST", path, "already watched with this token");
    if (!isPrivileged(this) && this.watches.size >= this.store.quotas.watches)
      throw new XenstoreError("E2BIG", path, "the domain has too many watches");
    const name = isRelative(path) ? path : absolute;
    const watch: XsWatch = { caller: this, name, path: absolute, token, callback, active: true };
    this.watches.set(key, watch);
    this.store.watches.add(watch);
    this.store.watches.deliver();
  }

  unwatch(path: string, token: string): void {
    const key = watchKey(this.canonical(path, "special"), token);
    const watch = this.watches.get(key);
    if (!watch) throw new XenstoreError("ENOENT", path, "not watched with this token");
    this.watches.delete(key);
    this.store.watches.remove(watch);
  }

  /** RESET_WATCHES: drops the watches and, as the specification says, the transactions. */
  reset(): void {
    for (const watch of this.watches.values()) this.store.watches.remove(watch);
    this.watches.clear();
    this.transactions.clear();
  }

  startTransaction(): number {
    const { transactions, transactionNodes } = this.store.quotas;
    if (!isPrivileged(this) && this.transactions.size >= transactions)
      throw new XenstoreError("ENOSPC", `domain ${this.domid}`, "too many open transactions");
    do this.lastId = (this.lastId + 1) >>> 0;
    while (this.lastId === NO_TRANSACTION || this.transactions.has(this.lastId));
    this.transactions.set(this.lastId, new XsTransaction(this.store.tree, isPrivileged(this) ? Infinity : transactionNodes));
    return this.lastId;
  }

  /** Ends the transaction whatever comes of it. EAGAIN if what it looked at has changed since. */
  endTransaction(txId: number, commit: boolean): void {
    const transaction = this.transaction(txId);
    this.transactions.delete(txId);
    if (!commit) return;
    if (transaction.failed) throw new XenstoreError("ENOSPC", `transaction ${txId}`, "an operation in it failed half way");
    if (transaction.conflicts) throw new XenstoreError("EAGAIN", `transaction ${txId}`, "the tree has changed");
    if (!isPrivileged(this) && transaction.owned(this.domid) > this.store.quotas.nodes)
      throw new XenstoreError("ENOSPC", `transaction ${txId}`, "the domain owns too many nodes");
    transaction.apply();
    for (const { path, exact } of transaction.events) {
      const around = [path, parentPath(path)].flatMap((at) => [this.store.tree.get(at), transaction.seen(at)]);
      const readable = around.flatMap((node) => (node ? [node.perms] : []));
      this.store.watches.fire(path, exact, readable);
    }
    this.store.watches.deliver();
  }

  /** Throws ENOENT unless `txId` is open or NO_TRANSACTION. */
  checkTransaction(txId: number): void {
    if (txId !== NO_TRANSACTION) this.transaction(txId);
  }

  get openTransactions(): number {
    return this.transactions.size;
  }

  get watchCount(): number {
    return this.watches.size;
  }

  private transaction(txId: number): XsTransaction {
    const transaction = this.transactions.get(txId);
    if (!transaction) throw new XenstoreError("ENOENT", `transaction ${txId}`, "not open");
    return transaction;
  }

  private canonical(path: string, special: "special" | "plain"): string {
    const absolute = canonicalPath(path, this.domid, special);
    if (!isPrivileged(this) && quotaLength(absolute) > this.store.quotas.pathLength)
      throw new XenstoreError("EINVAL", absolute.slice(0, 80), "path too long");
    return absolute;
  }

  private perform<T>(
    path: string,
    special: "special" | "plain",
    txId: number,
    operation: (context: OpContext, path: string) => T,
  ): T {
    const transaction = txId === NO_TRANSACTION ? null : this.transaction(txId);
    const context: OpContext = {
      caller: this,
      quotas: this.store.quotas,
      view: transaction ?? this.store.tree,
      fire: (at, exact, readable) => {
        if (transaction) transaction.fire(at, exact);
        else this.store.watches.fire(at, exact, readable);
      },
      parentPerms: (at) => {
        const parent = transaction ? undefined : this.store.tree.get(parentPath(at));
        return parent ? [parent.perms] : [];
      },
    };
    const result = operation(context, this.canonical(path, special));
    if (!transaction) this.store.watches.deliver();
    return result;
  }
}

/** Paths hold no NUL, so the pair is unambiguous. */
function watchKey(path: string, token: string): string {
  return `${path}\0${token}`;
}
