/** Every request of the wire protocol: its payload's syntax and what it asks of the session
 *  (docs/misc/xenstore.txt, from "Database read, write and permissions operations" on). */
import type { Xenstore } from "./xenstore";
import { XenstoreError } from "./xenstore_error";
import { NO_TRANSACTION, type XenstoreSession } from "./xenstore_session";
import { domainPath } from "./xs_path";
import { formatPerm, isPrivileged, parsePerm } from "./xs_perms";
import type { WatchCallback } from "./xs_watches";
import { fromBytes, toBytes, XENSTORE_PAYLOAD_MAX, XsType } from "./xs_wire";

export interface XsRequest {
  readonly store: Xenstore;
  readonly session: XenstoreSession;
  readonly txId: number;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** Where events of this connection's watches go. */
  readonly onEvent: WatchCallback;
}

interface RequestRow {
  /** The transaction id in the header counts; else it is ignored. */
  readonly transactional?: boolean;
  /** Domain 0 only. */
  readonly privileged?: boolean;
  /** Carries the request out; the reply is OK. */
  act?(request: XsRequest): void;
  /** Carries the request out and returns the reply's payload. */
  answer?(request: XsRequest): Uint8Array;
}

const OK = strings("OK");

const REQUESTS: Partial<Record<number, RequestRow>> = {
  [XsType.XS_DIRECTORY]: {
    transactional: true,
    answer: (r) => list(r.session.directory(only(r), r.txId)),
  },
  [XsType.XS_DIRECTORY_PART]: { transactional: true, answer: directoryPart },
  [XsType.XS_READ]: { transactional: true, answer: (r) => r.session.read(only(r), r.txId) },
  [XsType.XS_WRITE]: {
    transactional: true,
    act: (r) => {
      const [path] = leading(r, 1);
      r.session.write(path, r.payload.subarray(path.length + 1), r.txId);
    },
  },
  [XsType.XS_MKDIR]: { transactional: true, act: (r) => r.session.mkdir(only(r), r.txId) },
  [XsType.XS_RM]: { transactional: true, act: (r) => r.session.rm(only(r), r.txId) },
  [XsType.XS_GET_PERMS]: {
    transactional: true,
    answer: (r) => list(r.session.getPerms(only(r), r.txId).map(formatPerm)),
  },
  [XsType.XS_SET_PERMS]: {
    transactional: true,
    act: (r) => {
      const [path, ...perms] = all(r);
      if (perms.length === 0) throw malformed("SET_PERMS needs a path and permissions");
      r.session.setPerms(path, perms.map(parsePerm), r.txId);
    },
  },
  [XsType.XS_WATCH]: {
    act: (r) => {
      const [path, token] = leading(r, 2);
      r.session.watch(path, token, r.onEvent);
    },
  },
  [XsType.XS_UNWATCH]: {
    act: (r) => {
      const [path, token] = leading(r, 2);
      r.session.unwatch(path, token);
    },
  },
  [XsType.XS_RESET_WATCHES]: { act: (r) => r.session.reset() },
  [XsType.XS_TRANSACTION_START]: {
    transactional: true,
    answer: (r) => {
      if (r.txId !== NO_TRANSACTION) throw new XenstoreError("EBUSY", `transaction ${r.txId}`, "transactions do not nest");
      return strings(String(r.session.startTransaction()));
    },
  },
  [XsType.XS_TRANSACTION_END]: {
    transactional: true,
    act: (r) => {
      const commit = only(r);
      if (commit !== "T" && commit !== "F") throw malformed("TRANSACTION_END takes T or F");
      r.session.endTransaction(r.txId, commit === "T");
    },
  },
  [XsType.XS_GET_DOMAIN_PATH]: { answer: (r) => strings(domainPath(domid(only(r)))) },
  [XsType.XS_IS_DOMAIN_INTRODUCED]: {
    answer: (r) => strings(r.store.isIntroduced(domid(only(r))) ? "T" : "F"),
  },
  [XsType.XS_INTRODUCE]: {
    privileged: true,
    act: (r) => {
      const [domain, mfn, port] = leading(r, 3);
      const [frame, channel] = [integer(mfn), integer(port)];
      if (domid(domain) === 0 || channel <= 0) throw malformed("INTRODUCE takes a guest and a port");
      hostOf(r).introduce(domid(domain), frame, channel);
    },
  },
  [XsType.XS_RELEASE]: {
    privileged: true,
    act: (r) => hostOf(r).release(introduced(r, only(r))),
  },
  [XsType.XS_RESUME]: { privileged: true, act: (r) => r.store.resume(introduced(r, only(r))) },
  [XsType.XS_SET_TARGET]: {
    privileged: true,
    act: (r) => {
      const [domain, target] = leading(r, 2);
      const session = r.store.session(introduced(r, domain));
      session.target = introduced(r, target);
    },
  },
  [XsType.XS_CONTROL]: { privileged: true, answer: control },
};

/** The reply to one request. Throws XenstoreError; any other exception is a bug of ours. */
export function performRequest(type: number, request: XsRequest): Uint8Array {
  const row = REQUESTS[type];
  if (!row) throw new XenstoreError("ENOSYS", `message type ${type}`, "no such request");
  if (row.privileged && !isPrivileged(request.session))
    throw new XenstoreError("EACCES", `message type ${type}`, "domain 0 only");
  if (row.transactional) request.session.checkTransaction(request.txId);
  const effective = row.transactional ? request : { ...request, txId: NO_TRANSACTION };
  row.act?.(effective);
  const reply = row.answer?.(effective) ?? OK;
  if (reply.length > XENSTORE_PAYLOAD_MAX) throw new XenstoreError("E2BIG", `message type ${type}`, "reply too long");
  return reply;
}

/** The node's generation, then as many names from the offset on as fit; an empty name marks the end of the list. */
function directoryPart(request: XsRequest): Uint8Array {
  const [path, offset] = leading(request, 2);
  const { children, generation } = request.session.node(path, request.txId);
  const names = list(children);
  const head = strings(String(generation));
  const start = Math.max(0, integer(offset));
  const room = XENSTORE_PAYLOAD_MAX - head.length - 1;
  let end = Math.min(start + room, names.length);
  while (end > start && end < names.length && names[end - 1] !== 0) end--;
  const part = names.subarray(Math.min(start, names.length), end);
  const last = end >= names.length ? 1 : 0;
  const reply = new Uint8Array(head.length + part.length + last);
  reply.set(head);
  reply.set(part, head.length);
  return reply;
}

function control(request: XsRequest): Uint8Array {
  const [command, ...parameters] = all(request);
  switch (command) {
    case "help":
      return strings("check", "help", "print");
    case "check":
      return OK;
    case "print":
      request.store.log(parameters.join(" "));
      return OK;
    default:
      throw malformed("unknown CONTROL command");
  }
}

function hostOf(request: XsRequest) {
  if (!request.store.host) throw new XenstoreError("ENOSYS", "INTRODUCE, RELEASE", "the toolstack manages the domains");
  return request.store.host;
}

function introduced(request: XsRequest, text: string): number {
  const id = domid(text);
  if (id === 0) throw malformed("not a guest");
  if (!request.store.isIntroduced(id)) throw new XenstoreError("ENOENT", `domain ${id}`, "not introduced");
  return id;
}

/* Payload syntax. `|` in the specification is a NUL. */

function malformed(reason: string): XenstoreError {
  return new XenstoreError("EINVAL", "payload", reason);
}

/** Strings, each with the NUL that ends it. */
function strings(...texts: string[]): Uint8Array<ArrayBuffer> {
  return list(texts);
}

function list(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  return toBytes(texts.map((text) => `${text}\0`).join(""));
}

/** All the strings; bytes behind the last NUL are ignored. */
function all({ payload }: XsRequest): string[] {
  return fromBytes(payload).split("\0").slice(0, -1);
}

/** The first `count` strings; what follows is reserved. */
function leading(request: XsRequest, count: number): string[] {
  const found = all(request);
  if (found.length < count) throw malformed(`needs ${count} strings`);
  return found.slice(0, count);
}

/** The payload as exactly one string. */
function only(request: XsRequest): string {
  const text = fromBytes(request.payload);
  if (text.indexOf("\0") !== text.length - 1 || text === "") throw malformed("needs one string");
  return text.slice(0, -1);
}

function integer(text: string): number {
  if (!/^-?\d{1,10}$/.test(text)) throw malformed("not a number");
  return Number(text);
}

function domid(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 0xffff) throw malformed("not a domid");
  return Number(text);
}
