/** Node permissions (docs/misc/xenstore.txt, GET_PERMS): the first entry names the owner and what everybody else may do;
 *  later entries are exceptions for single domains. Owner and domain 0 may do everything. */
import { XenstoreError } from "./xenstore_error";

export type Access = "n" | "r" | "w" | "b";

export interface Perm {
  readonly domid: number;
  readonly access: Access;
}

/** Never empty. Immutable, shared between nodes. */
export type Perms = readonly Perm[];

/** Who asks: a domain, and the one it acts for (SET_TARGET), e.g. a device model for its guest. */
export interface Caller {
  readonly domid: number;
  readonly target: number | null;
}

export const PRIVILEGED_DOMID = 0;

export function isPrivileged(caller: Caller): boolean {
  return caller.domid === PRIVILEGED_DOMID;
}

function speaksFor(caller: Caller, domid: number): boolean {
  return caller.domid === domid || caller.target === domid;
}

export function owns(caller: Caller, perms: Perms): boolean {
  return isPrivileged(caller) || speaksFor(caller, perms[0].domid);
}

/** The access that `perms` gives `caller`. */
export function accessFor(caller: Caller, perms: Perms): Access {
  if (owns(caller, perms)) return "b";
  return (perms.find((perm, n) => n > 0 && speaksFor(caller, perm.domid)) ?? perms[0]).access;
}

export function mayRead(caller: Caller, perms: Perms): boolean {
  const access = accessFor(caller, perms);
  return access === "r" || access === "b";
}

export function mayWrite(caller: Caller, perms: Perms): boolean {
  const access = accessFor(caller, perms);
  return access === "w" || access === "b";
}

export function parsePerm(text: string): Perm {
  const match = /^([nrwb])(\d{1,5})$/.exec(text);
  if (!match || Number(match[2]) > 0xffff) throw new XenstoreError("EINVAL", text.slice(0, 80), "not a permission");
  return { domid: Number(match[2]), access: match[1] as Access };
}

export function formatPerm({ domid, access }: Perm): string {
  return `${access}${domid}`;
}

/** "n0 r5" and the like, for code that builds trees. */
export function perms(text: string): Perms {
  return text.split(" ").map(parsePerm);
}
