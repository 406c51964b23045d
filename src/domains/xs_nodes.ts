/** The tree itself: immutable nodes by absolute path. A path exists only if all its parents do. Each change of a node,
 *  including of its list of children, gives it a new generation, which is what transactions compare. */
import { childPath } from "./xs_path";
import type { Perms } from "./xs_perms";

export interface XsNode {
  readonly value: Uint8Array<ArrayBuffer>;
  readonly perms: Perms;
  /** Leaf names in the order of their creation. */
  readonly children: readonly string[];
  readonly generation: number;
}

/** What reads and writes the tree: the store itself or a transaction's view of it. */
export interface NodeView {
  get(path: string): XsNode | undefined;
  /** Creates or replaces; the view assigns the generation. */
  put(path: string, node: Omit<XsNode, "generation">): void;
  delete(path: string): void;
  /** Nodes that `domid` owns. */
  owned(domid: number): number;
}

export const NO_VALUE = new Uint8Array(0);

export class NodeTree implements NodeView {
  private readonly nodes = new Map<string, XsNode>();
  private readonly counts = new Map<number, number>();
  private generation = 0;

  get(path: string): XsNode | undefined {
    return this.nodes.get(path);
  }

  put(path: string, { value, perms, children }: Omit<XsNode, "generation">): void {
    const before = this.nodes.get(path);
    if (before) this.count(before.perms[0].domid, -1);
    this.count(perms[0].domid, 1);
    this.nodes.set(path, { value, perms, children, generation: this.nextGeneration() });
  }

  delete(path: string): void {
    const node = this.nodes.get(path);
    if (!node) return;
    this.count(node.perms[0].domid, -1);
    this.nodes.delete(path);
  }

  owned(domid: number): number {
    return this.counts.get(domid) ?? 0;
  }

  nextGeneration(): number {
    return ++this.generation;
  }

  get size(): number {
    return this.nodes.size;
  }

  entries(): IterableIterator<[string, XsNode]> {
    return this.nodes.entries();
  }

  private count(domid: number, change: number): void {
    const count = this.owned(domid) + change;
    if (count === 0) this.counts.delete(domid);
    else this.counts.set(domid, count);
  }
}

/** Paths of the subtree at `path`, each after all its children. */
export function postOrder(view: NodeView, path: string): string[] {
  const paths: string[] = [];
  const waiting = [path];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    paths.push(next);
    for (const name of view.get(next)?.children ?? []) waiting.push(childPath(next, name));
  }
  return paths.reverse();
}
