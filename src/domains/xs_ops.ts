/** Reading and changing the tree as one caller, under permissions and quotas, on the tree itself or in a transaction.
 *  Every operation checks everything before it changes anything. */
import { type Caller, isPrivileged, mayRead, mayWrite, owns, type Perms, perms } from "./xs_perms";
import { isSpecial, leafName, parentPath } from "./xs_path";
import { type NodeView, NO_VALUE, postOrder, type XsNode } from "./xs_nodes";
import { nodeSize, type XsQuotas } from "./xs_quota";
import { XenstoreError } from "./xenstore_error";

export interface OpContext {
  readonly caller: Caller;
  readonly view: NodeView;
  readonly quotas: XsQuotas;
  /** A change at `path`. Watches above it see it too, unless `exact`. `readable`: a session that may read a node with
   *  one of these permissions learns of it. */
  fire(path: string, exact: boolean, readable: readonly Perms[]): void;
  /** The parent's permissions, for `fire`. Empty in a transaction, which finds out when it commits: asking earlier would
   *  make it depend on a node the caller never mentioned. */
  parentPerms(path: string): readonly Perms[];
}

type Need = "read" | "write" | "own";

function grants(caller: Caller, node: XsNode, need: Need): boolean {
  if (need === "read") return mayRead(caller, node.perms);
  return need === "write" ? mayWrite(caller, node.perms) : owns(caller, node.perms);
}

function nearestAncestor(view: NodeView, path: string): { path: string; node: XsNode } {
  for (let at = parentPath(path); ; at = parentPath(at)) {
    const node = view.get(at);
    if (node) return { path: at, node };
    if (at === "/") throw new XenstoreError("EIO", path, "the tree has no root");
  }
}

function missing({ caller, view }: OpContext, path: string, need: Need): XenstoreError {
  // Whether a node exists is no business of a caller who could not use it.
  const permitted = grants(caller, nearestAncestor(view, path).node, need);
  return permitted ? new XenstoreError("ENOENT", path, "no such node") : new XenstoreError("EACCES", path, "not permitted");
}

function find(context: OpContext, path: string, need: Need): XsNode {
  const node = context.view.get(path);
  if (!node) throw missing(context, path, need);
  if (!grants(context.caller, node, need)) throw new XenstoreError("EACCES", path, "not permitted");
  return node;
}

export function readNode(context: OpContext, path: string): XsNode {
  return find(context, path, "read");
}

type Content = Omit<XsNode, "generation">;

function checkSize({ caller, quotas }: OpContext, path: string, node: Content): void {
  if (!isPrivileged(caller) && nodeSize(node) >= quotas.nodeSize) throw new XenstoreError("ENOSPC", path, "node too large");
}

/** Creates the node and all parents it lacks. They inherit the permissions of the nearest ancestor, except that an
 *  unprivileged caller owns what it creates. */
function create(context: OpContext, path: string, value: Uint8Array<ArrayBuffer>): void {
  const { caller, view, quotas } = context;
  const ancestor = nearestAncestor(view, path);
  if (!mayWrite(caller, ancestor.node.perms)) throw new XenstoreError("EACCES", path, "not permitted");
  const inherited: Perms = isPrivileged(caller)
    ? ancestor.node.perms
    : [{ domid: caller.domid, access: ancestor.node.perms[0].access }, ...ancestor.node.perms.slice(1)];

  const paths: string[] = []; // from the leaf up
  for (let at = path; at !== ancestor.path; at = parentPath(at)) paths.push(at);
  const nodes = paths.map((_, n) => ({
    value: n === 0 ? value : NO_VALUE,
    perms: inherited,
    children: n === 0 ? [] : [leafName(paths[n - 1])],
  }));
  const parent = { ...ancestor.node, children: [...ancestor.node.children, leafName(paths.at(-1) as string)] };
  if (!isPrivileged(caller) && view.owned(caller.domid) + paths.length > quotas.nodes)
    throw new XenstoreError("ENOSPC", path, "the domain owns too many nodes");
  for (const [n, node] of nodes.entries()) checkSize(context, paths[n], node);
  checkSize(context, ancestor.path, parent);

  view.put(ancestor.path, parent);
  for (let n = paths.length - 1; n >= 0; n--) view.put(paths[n], nodes[n]);
  context.fire(path, false, [inherited, ...context.parentPerms(path)]);
}

export function writeNode(context: OpContext, path: string, value: Uint8Array<ArrayBuffer>): void {
  const node = context.view.get(path);
  if (!node) {
    create(context, path, value);
    return;
  }
  if (!mayWrite(context.caller, node.perms)) throw new XenstoreError("EACCES", path, "not permitted");
  const next = { ...node, value };
  checkSize(context, path, next);
  context.view.put(path, next);
  context.fire(path, false, [node.perms, ...context.parentPerms(path)]);
}

/** Leaves an existing node as it is. */
export function makeDirectory(context: OpContext, path: string): void {
  const node = context.view.get(path);
  if (!node) create(context, path, NO_VALUE);
  else if (!mayWrite(context.caller, node.perms)) throw new XenstoreError("EACCES", path, "not permitted");
}

/** Removes the node with all below it. Watches on a node below hear of that node, watches above of the whole. */
export function removeTree(context: OpContext, path: string): void {
  const { view } = context;
  if (path === "/") throw new XenstoreError("EINVAL", path, "the root cannot be removed");
  if (!view.get(path)) {
    const error = missing(context, path, "write");
    if (error.code === "ENOENT" && view.get(parentPath(path))) return; // it does not exist: that is what was asked for
    throw error;
  }
  find(context, path, "write");
  const parent = view.get(parentPath(path)) as XsNode;
  const leaf = leafName(path);
  const paths = postOrder(view, path);
  const readable = paths.map((at) => [(view.get(at) as XsNode).perms, ...context.parentPerms(at)]);
  for (const at of paths) view.delete(at);
  view.put(parentPath(path), { ...parent, children: parent.children.filter((name) => name !== leaf) });
  for (const [n, at] of paths.entries()) context.fire(at, at !== path, readable[n]);
}

export function getPerms(context: OpContext, path: string): Perms {
  return special(context, path, "read").perms;
}

export function setPerms(context: OpContext, path: string, next: Perms): void {
  const { caller, quotas, view } = context;
  if (next.length === 0) throw new XenstoreError("EINVAL", path, "permissions name at least the owner");
  if (!isPrivileged(caller) && next.length > quotas.permissions) throw new XenstoreError("ENOSPC", path, "too many permissions");
  const node = special(context, path, "own");
  if (!isPrivileged(caller) && next[0].domid !== node.perms[0].domid)
    throw new XenstoreError("EPERM", path, "only domain 0 gives nodes away");
  const changed = { ...node, perms: next };
  checkSize(context, path, changed);
  view.put(path, changed);
  // One who loses the right to read hears of it once more.
  if (!isSpecial(path)) context.fire(path, false, [next, node.perms, ...context.parentPerms(path)]);
}

/** Node or special path; the latter exists always and is domain 0's until it says otherwise. */
function special(context: OpContext, path: string, need: Need): XsNode {
  if (!isSpecial(path)) return find(context, path, need);
  const node = context.view.get(path);
  if (!node) throw new XenstoreError("ENOENT", path, "no such special path");
  if (!grants(context.caller, node, need)) throw new XenstoreError("EACCES", path, "not permitted");
  return node;
}

export const TOOLS_ONLY: Perms = perms("n0");
