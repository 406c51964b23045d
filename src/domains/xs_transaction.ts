/** A transaction: a private view of the tree that remembers the generation of every node it has looked at. It commits
 *  only if none of them has changed meanwhile; else the caller gets EAGAIN and starts again. */
import type { NodeTree, NodeView, XsNode } from "./xs_nodes";
import { XenstoreError } from "./xenstore_error";

interface Entry {
  node: XsNode | undefined;
  /** In the tree when first looked at; undefined: it did not exist. */
  readonly seen: XsNode | undefined;
  written: boolean;
}

/** A change that fires watches when the transaction commits. */
export interface PendingEvent {
  readonly path: string;
  exact: boolean;
}

export class XsTransaction implements NodeView {
  private readonly entries = new Map<string, Entry>();
  private readonly changes = new Map<number, number>();
  private readonly pending = new Map<string, PendingEvent>();

  /** It ran into its limit, perhaps in the middle of an operation: it cannot be committed. */
  failed = false;

  /** `limit` bounds the nodes a transaction may touch. */
  constructor(
    private readonly tree: NodeTree,
    private readonly limit: number,
  ) {}

  get(path: string): XsNode | undefined {
    return this.entry(path).node;
  }

  put(path: string, node: Omit<XsNode, "generation">): void {
    const entry = this.entry(path);
    if (entry.node) this.change(entry.node.perms[0].domid, -1);
    this.change(node.perms[0].domid, 1);
    entry.node = { ...node, generation: this.tree.nextGeneration() };
    entry.written = true;
  }

  delete(path: string): void {
    const entry = this.entry(path);
    if (!entry.node) return;
    this.change(entry.node.perms[0].domid, -1);
    entry.node = undefined;
    entry.written = true;
  }

  owned(domid: number): number {
    return this.tree.owned(domid) + (this.changes.get(domid) ?? 0);
  }

  /** One event a path, as the last change asks for it. */
  fire(path: string, exact: boolean): void {
    this.pending.set(path, { path, exact });
  }

  get events(): Iterable<PendingEvent> {
    return this.pending.values();
  }

  /** As the tree was when the transaction first looked. */
  seen(path: string): XsNode | undefined {
    return this.entries.get(path)?.seen;
  }

  get conflicts(): boolean {
    for (const [path, { seen }] of this.entries) if (this.tree.get(path)?.generation !== seen?.generation) return true;
    return false;
  }

  /** Carries the changes over into the tree. The caller has checked `conflicts`. */
  apply(): void {
    for (const [path, { node, written }] of this.entries) {
      if (!written) continue;
      if (node) this.tree.put(path, node);
      else this.tree.delete(path);
    }
  }

  private entry(path: string): Entry {
    let entry = this.entries.get(path);
    if (!entry) {
      if (this.entries.size >= this.limit) {
        this.failed = true;
        throw new XenstoreError("ENOSPC", path, "transaction touches too many nodes");
      }
      const seen = this.tree.get(path);
      entry = { node: seen, seen, written: false };
      this.entries.set(path, entry);
    }
    return entry;
  }

  private change(domid: number, by: number): void {
    this.changes.set(domid, (this.changes.get(domid) ?? 0) + by);
  }
}
