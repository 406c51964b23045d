/** A folder of the user's with kernels as they are unpacked, so that the next run need not do it again. A kernel has one file, named by the
 *  SHA-256 of the file it was unpacked from: a header, the parts that are not zeros by their places, a SHA-256 of both and of what they hold, and that.
 *  Where nothing can be kept, nothing is: whoever runs a domain does not hear of it. */
import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ImagePart, KernelStore, KeptKernel } from "../domains/kernel_store";
import type { Asset } from "../machine/platform";

/** Changes with what is in the files. */
const MAGIC = "XENOLITH KERNEL1";
/** Magic, u32 size of the image, u32 number of parts; after it for each part u32 from, u32 to; then the SHA-256. */
const HEADER = MAGIC.length + 8;
const HASH = 32;
const PAGE = 4096;
/** Bytes that are read by one call. */
const AT_ONCE = 1 << 18;
/** Kernels that are kept; others go, those first that were used longest ago. */
const KEPT = 4;

export class KernelCache implements KernelStore {
  constructor(private readonly folder = defaultFolder()) {}

  async find(source: Asset): Promise<KeptKernel | null> {
    try {
      const hash = await hashOf(source);
      if (hash === null) return null;
      const path = join(this.folder, hash);
      const header = await reading(path, readHeader);
      return header && { size: header.size, restore: (image) => restore(path, header, image) };
    } catch {
      return null;
    }
  }

  async keep(file: Uint8Array, image: Uint8Array, parts: readonly ImagePart[]): Promise<void> {
    if (!process.getuid) return; // where files have no owners none would be used
    const path = join(this.folder, createHash("sha256").update(file).digest("hex"));
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

/** SHA-256 of what is there; null of what is not at hand. */
async function hashOf(source: Asset): Promise<string | null> {
  if (typeof source === "function") return null;
  const hash = createHash("sha256");
  if (source instanceof Uint8Array || source instanceof ArrayBuffer) return hash.update(new Uint8Array(source)).digest("hex");
  const place = typeof source === "string" && source.startsWith("file:") ? new URL(source) : source;
  await reading(place, async (file) => {
    const buffer = Buffer.alloc(AT_ONCE);
    for (let position = 0, read = 1; read > 0; position += read) {
      read = (await file.read(buffer, 0, AT_ONCE, position)).bytesRead;
      hash.update(buffer.subarray(0, read));
    }
  });
  return hash.digest("hex");
}

async function reading<T>(place: string | URL, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(place);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

interface Header {
  readonly bytes: Buffer;
  readonly hash: Buffer;
  /** Of the image. */
  readonly size: number;
  readonly parts: readonly ImagePart[];
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

/** null if this is not what writeImage() had. */
async function readHeader(file: FileHandle): Promise<Header | null> {
  const { size: length, uid } = await file.stat();
  if (uid !== process.getuid?.()) return null;
  const start = Buffer.alloc(HEADER);
  if ((await file.read(start, 0, HEADER, 0)).bytesRead < HEADER || start.toString("latin1", 0, MAGIC.length) !== MAGIC) return null;
  const size = start.readUInt32LE(MAGIC.length);
  const end = HEADER + 8 * start.readUInt32LE(MAGIC.length + 4);
  if (end + HASH > length) return null;
  const bytes = Buffer.alloc(end + HASH);
  if ((await file.read(bytes, 0, bytes.length, 0)).bytesRead < bytes.length) return null;
  const parts: ImagePart[] = [];
  for (let at = HEADER; at < end; at += 8) parts.push({ from: bytes.readUInt32LE(at), to: bytes.readUInt32LE(at + 4) });
  return arePages(parts, size) ? { bytes: bytes.subarray(0, end), hash: bytes.subarray(end), size, parts } : null;
}

async function restore(path: string, header: Header, image: Uint8Array): Promise<readonly ImagePart[] | null> {
  if (image.length !== header.size) return null;
  const isWhole = await reading(path, (file) => copyParts(file, header, image)).catch(() => false);
  if (!isWhole) {
    for (const { from, to } of header.parts) image.fill(0, from, to);
    return null;
  }
  await utimes(path, new Date(), new Date()).catch(() => {});
  return header.parts;
}

/** Whether it is what was kept. It goes through a buffer: the host's kernel would touch the image's pages first, and a hypervisor below may want to
 *  hear of them again when this thread does. */
async function copyParts(file: FileHandle, { bytes: header, hash: expected, parts }: Header, image: Uint8Array): Promise<boolean> {
  const hash = createHash("sha256").update(header);
  const buffer = Buffer.alloc(AT_ONCE);
  let position = header.length + HASH;
  for (const { from, to } of parts) {
    for (let at = from; at < to; at += AT_ONCE) {
      const wanted = Math.min(AT_ONCE, to - at);
      if ((await file.read(buffer, 0, wanted, position)).bytesRead < wanted) return false;
      const bytes = buffer.subarray(0, wanted);
      hash.update(bytes);
      image.set(bytes, at);
      position += wanted;
    }
  }
  return hash.digest().equals(expected);
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
