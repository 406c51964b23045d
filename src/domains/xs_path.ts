/** Xenstore paths (docs/misc/xenstore.txt, "Xenstore protocol specification"): ASCII alphanumerics and `-/_@`, no double
 *  slash, none at the end, relative ones taken from the caller's home. */
import { XenstoreError } from "./xenstore_error";
import { XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX } from "./xs_wire";

export const INTRODUCE_DOMAIN = "@introduceDomain";
export const RELEASE_DOMAIN = "@releaseDomain";

export function domainPath(domid: number): string {
  return `/local/domain/${domid}`;
}

export function isSpecial(path: string): boolean {
  return path.startsWith("@");
}

export function isRelative(path: string): boolean {
  return !path.startsWith("/") && !isSpecial(path);
}

/** The absolute path that domain `domid` means by `path`. Throws EINVAL. */
export function canonicalPath(path: string, domid: number, special: "special" | "plain"): string {
  const bad = (reason: string) => new XenstoreError("EINVAL", path.slice(0, 80), reason);
  if (path === "") throw bad("the empty path is forbidden");
  if (isSpecial(path)) {
    if (special === "plain") throw bad("only a watch may name a special path");
    if (path.length > XENSTORE_REL_PATH_MAX) throw bad("path too long");
    if (!/^@[A-Za-z0-9\-_@/]+$/.test(path)) throw bad("forbidden character");
    return path;
  }
  const relative = isRelative(path);
  if (path.length > (relative ? XENSTORE_REL_PATH_MAX : XENSTORE_ABS_PATH_MAX)) throw bad("path too long");
  const absolute = relative ? `${domainPath(domid)}/${path}` : path;
  if (!/^[A-Za-z0-9\-_@/]+$/.test(absolute)) throw bad("forbidden character");
  if (absolute.includes("//")) throw bad("doubled slash");
  if (absolute !== "/" && absolute.endsWith("/")) throw bad("slash at the end");
  return absolute;
}

/** Part of a path that counts against a domain's quota: what follows a home directory, or all of it. */
export function quotaLength(path: string): number {
  const home = /^\/local\/domain\/\d{1,5}\//.exec(path);
  return path.length - (home ? home[0].length : 0);
}

export function parentPath(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

export function leafName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function childPath(parent: string, name: string): string {
  return parent === "/" ? `/${name}` : `${parent}/${name}`;
}

/** The specification's sense of child, which includes the path itself. */
export function isChild(path: string, parent: string): boolean {
  return path === parent || parent === "/" || (path.startsWith(parent) && path[parent.length] === "/");
}
