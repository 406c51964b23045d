/** What one unprivileged domain may use of the store. The defaults are xenstored's. Domain 0 has no limits. */
import type { XsNode } from "./xs_nodes";

export interface XsQuotas {
  /** Nodes it owns. */
  readonly nodes: number;
  readonly watches: number;
  /** Open at once. */
  readonly transactions: number;
  /** Nodes one transaction may touch. */
  readonly transactionNodes: number;
  /** Bytes of one node: value, names of the children, permissions and a header. */
  readonly nodeSize: number;
  /** Entries in a node's permissions. */
  readonly permissions: number;
  /** Bytes of a path beyond a home directory. */
  readonly pathLength: number;
}

export const DEFAULT_QUOTAS: XsQuotas = {
  nodes: 1000,
  watches: 128,
  transactions: 10,
  transactionNodes: 1024,
  nodeSize: 2048,
  permissions: 5,
  pathLength: 2048,
};

const NODE_HEADER = 24;
const PERM_SIZE = 8;

export function nodeSize({ value, perms, children }: Omit<XsNode, "generation">): number {
  const names = children.reduce((sum, name) => sum + name.length + 1, 0);
  return NODE_HEADER + PERM_SIZE * perms.length + value.length + names;
}
