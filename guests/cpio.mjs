// Writes archives in the "newc" cpio format, which Linux unpacks as its initial root filesystem
// (Documentation/driver-api/early-userspace/buffer-format.rst). Deterministic: owner root, time 0, in the order given.

const TYPE = { file: 0o100000, directory: 0o040000, symlink: 0o120000, character: 0o020000, block: 0o060000 };
const encoder = new TextEncoder();

/** @typedef {{path: string, directory?: true, data?: Uint8Array | string, symlink?: string, device?: [number, number], mode?: number}} Entry
 *  one of a directory, a file's `data`, the target of a symbolic link, a character device [major, minor]. */

/** @param {Iterable<Entry>} entries parents of every path are added where they are missing
 *  @returns {Uint8Array} */
export function cpio(entries) {
  const parts = [];
  const seen = new Set();
  let inode = 1;
  let size = 0;
  const push = (bytes) => {
    parts.push(bytes);
    size += bytes.length;
    const padding = -size & 3;
    if (padding) {
      parts.push(new Uint8Array(padding));
      size += padding;
    }
  };
  const add = (path, mode, data, [major, minor] = [0, 0]) => {
    const name = encoder.encode(`${path}\0`);
    const fields = [inode++, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
    const header = encoder.encode(`070701${fields.map((value) => value.toString(16).padStart(8, "0").toUpperCase()).join("")}`);
    const head = new Uint8Array(header.length + name.length);
    head.set(header);
    head.set(name, header.length);
    push(head);
    push(data);
  };
  const empty = new Uint8Array(0);
  const addParents = (path) => {
    const names = path.split("/");
    for (let n = 1; n < names.length; n++) {
      const parent = names.slice(0, n).join("/");
      if (seen.has(parent)) continue;
      seen.add(parent);
      add(parent, TYPE.directory | 0o755, empty);
    }
  };
  for (const entry of entries) {
    const path = entry.path.replace(/^\/+|\/+$/g, "");
    if (!path || path.split("/").some((name) => name === "" || name === "." || name === "..") || path.includes("\0"))
      throw new Error(`"${entry.path}" cannot be a path in an archive.`);
    if (seen.has(path)) throw new Error(`"${path}" is in the archive twice.`);
    addParents(path);
    seen.add(path);
    if (entry.directory) add(path, TYPE.directory | (entry.mode ?? 0o755), empty);
    else if (entry.symlink !== undefined) add(path, TYPE.symlink | 0o777, encoder.encode(entry.symlink));
    else if (entry.device) add(path, TYPE.character | (entry.mode ?? 0o600), empty, entry.device);
    else if (entry.data !== undefined)
      add(path, TYPE.file | (entry.mode ?? 0o644), typeof entry.data === "string" ? encoder.encode(entry.data) : entry.data);
    else throw new Error(`"${path}" has no contents.`);
  }
  add("TRAILER!!!", 0, empty);

  const archive = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}
