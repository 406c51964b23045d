/** A folder of the user's with kernels as they are unpacked, so that the next run need not do it again. A kernel has one file, named by the
 *  SHA-256 of what it was packed as: a header, the parts that are not zeros by their places, a SHA-256 of both and of what they hold, and that.
 *  Where nothing can be kept, nothing is: whoever runs a domain does not hear of it. */
import { createHash, type Hash, randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ImagePart, KernelStore } from "../domains/kernel_store";

/** Changes with what is in the files. */
const MAGIC = "XENOLITH KERNEL1";
/** Magic, u32 size of the image, u32 number of parts; after it for each part u32 from, u32 to; then the SHA-256. */
const HEADER = MAGIC.length + 8;
const HASH = 32;
const PAGE = 4096;
/** Bytes that are read by one call. */
const AT_ONCE = 1 << 19;
/** Kernels that are kept; others go, those first that were used longest ago. */
const KEPT = 4;

export class KernelCache implements KernelStore {
  constructor(private readonly folder = defaultFolder()) {}

  async restore(packed: Uint8Array, image: Uint8Array): Promise<ImagePart[] | null> {
    const path = this.path(packed);
    const file = await open(path, "r").catch(() => null);
    if (!file) return null;
    try {
      const parts = await readImage(file, image);
      if (parts) await utimes(path, new Date(), new Date());
      return parts;
    } catch {
      return null;
    } finally {
      await file.close();
    }
  }

  async keep(packed: Uint8Array, image: Uint8Array, parts: readonly ImagePart[]): Promise<void> {
    const path = this.path(packed);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await writeImage(temporary, image, parts);
      await rename(temporary, path);
      await this.shrink();
    } catch {
      await rm(temporary, { force: true }).catch(() => {});
    }
  }

  private path(packed: Uint8Array): string {
    return join(this.folder, createHash("sha256").update(packed).digest("hex"));
  }

  /** What a run that was killed has left of a file counts like a kernel, and goes like one. */
  private async shrink(): Promise<void> {
    const files = (await readdir(this.folder)).map((name) => join(this.folder, name));
    const used = await Promise.all(files.map(async (file) => ({ file, at: (await stat(file)).mtimeMs })));
    used.sort((a, b) => b.at - a.at);
    await Promise.all(used.slice(KEPT).map(({ file }) => rm(file)));
  }
}

/** By the XDG Base Directory Specification, which has relative paths ignored. */
function defaultFolder(): string {
  const { XDG_CACHE_HOME: cache } = process.env;
  return join(cache?.startsWith("/") ? cache : join(homedir(), ".cache"), "xenolith", "kernels");
}

async function writeImage(path: string, image: Uint8Array, parts: readonly ImagePart[]): Promise<void> {
  const header = Buffer.alloc(HEADER + 8 * parts.length);
  header.write(MAGIC, "latin1");
  header.writeUInt32LE(image.length, MAGIC.length);
  header.writeUInt32LE(parts.length, MAGIC.length + 4);
  parts.forEach(({ from, to }, n) => {
    header.writeUInt32LE(from, HEADER + 8 * n);
    header.writeUInt32LE(to, HEADER + 8 * n + 4);
  });
  const contents = parts.map(({ from, to }) => image.subarray(from, to));
  const hash = createHash("sha256").update(header);
  for (const bytes of contents) hash.update(bytes);
  const file = await open(path, "wx", 0o600);
  try {
    await file.writev([header, hash.digest(), ...contents]);
  } finally {
    await file.close();
  }
}

/** Fills `image` and returns what it wrote; null, and zeros, if that is not what writeImage() had. */
async function readImage(file: FileHandle, image: Uint8Array): Promise<ImagePart[] | null> {
  const { size, uid } = await file.stat();
  if (uid !== process.getuid?.()) return null;
  const start = Buffer.alloc(HEADER);
  if ((await file.read(start, 0, HEADER, 0)).bytesRead < HEADER || start.toString("latin1", 0, MAGIC.length) !== MAGIC) return null;
  const count = start.readUInt32LE(MAGIC.length + 4);
  const header = Buffer.alloc(Math.min(size, HEADER + 8 * count + HASH));
  if (start.readUInt32LE(MAGIC.length) !== image.length || (await file.read(header, 0, header.length, 0)).bytesRead < HEADER + 8 * count + HASH) return null;
  const parts = Array.from({ length: count }, (_, n) => ({ from: header.readUInt32LE(HEADER + 8 * n), to: header.readUInt32LE(HEADER + 8 * n + 4) }));
  if (!arePages(parts, image.length)) return null;
  const hash = createHash("sha256").update(header.subarray(0, HEADER + 8 * count));
  let isWhole = false;
  try {
    isWhole = (await copyParts(file, header.length, image, parts, hash)) && hash.digest().equals(header.subarray(HEADER + 8 * count));
  } finally {
    if (!isWhole) for (const { from, to } of parts) image.fill(0, from, to);
  }
  return isWhole ? parts : null;
}

/** Whether there was enough in the file. It goes through a buffer: the host's kernel would touch the image's pages first, and a hypervisor
 *  below may want to hear of them again when this thread does. */
async function copyParts(file: FileHandle, start: number, image: Uint8Array, parts: readonly ImagePart[], hash: Hash): Promise<boolean> {
  const buffer = Buffer.alloc(AT_ONCE);
  let position = start;
  for (const { from, to } of parts) {
    for (let at = from; at < to; at += AT_ONCE) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(AT_ONCE, to - at), position);
      if (bytesRead < Math.min(AT_ONCE, to - at)) return false;
      const bytes = buffer.subarray(0, bytesRead);
      hash.update(bytes);
      image.set(bytes, at);
      position += bytesRead;
    }
  }
  return true;
}

/** In order, apart, and whole pages. */
function arePages(parts: readonly ImagePart[], size: number): boolean {
  let end = 0;
  return parts.every(({ from, to }) => {
    const good = from >= end && from < to && from % PAGE === 0 && (to % PAGE === 0 || to === size) && to <= size;
    end = to;
    return good;
  });
}
