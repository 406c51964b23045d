/** What kernels are compressed with, told by the first bytes, and one call to undo it. gzip is the platform's own
 *  (DecompressionStream), the rest is here. Linux appends the unpacked size as a u32 to every format but
 *  gzip, which ends with it anyway (scripts/Makefile.lib, "size_append"): a hint, never trusted. */
import { decodeLz4 } from "./decompress_lz4";
import { LzmaDecoder } from "./decompress_lzma";
import { CorruptStream, Output } from "./decompress_output";
import { decodeXz, isXz } from "./decompress_xz";
import { decodeZstd } from "./decompress_zstd";
import { ImageError } from "./errors";
import { OwnRoom, type Room, Unpacker } from "./unpacker";

/** No kernel or ramdisk is larger; a file that claims more is a decompression bomb. */
export const MAX_UNPACKED = 512 << 20;

export type Compression = "gzip" | "xz" | "lzma" | "lz4" | "zstd" | "bzip2" | "lzo" | "lz4 frame";

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["lzma", [0x5d, 0x00, 0x00]],
  ["lz4", [0x02, 0x21, 0x4c, 0x18]],
  ["lz4 frame", [0x04, 0x22, 0x4d, 0x18]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["lzo", [0x89, 0x4c, 0x5a, 0x4f, 0x00]],
];

export function compressionOf(bytes: Uint8Array): Compression | null {
  if (isXz(bytes)) return "xz";
  return MAGICS.find(([, magic]) => magic.every((byte, n) => bytes[n] === byte))?.[0] ?? null;
}

export interface Unpacking {
  /** Bytes it may unpack to. */
  readonly limit?: number;
  /** Where to. Otherwise a memory of its own is made. */
  readonly room?: Room | null;
}

/** Unpacks `bytes`. Bytes after the compressed data are ignored, but for gzip, where browsers take them for damage. */
export async function decompress(bytes: Uint8Array, file: string, { limit = MAX_UNPACKED, room }: Unpacking = {}): Promise<Uint8Array> {
  const kind = compressionOf(bytes);
  if (kind === null) throw new ImageError(file, "its compression is not known.");
  const tail = bytes.length >= 4 ? new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0, true) : 0;
  const expected = tail > bytes.length && tail <= bytes.length * 64 ? tail : bytes.length * 4;
  const output = new Output(room ?? new OwnRoom(expected, limit), limit);
  try {
    switch (kind) {
      case "gzip": await gunzip(bytes, output); break;
      case "xz": decodeXz(bytes, output, await Unpacker.create(output.room)); break;
      case "lzma": decodeLzmaAlone(bytes, output, await Unpacker.create(output.room)); break;
      case "lz4": decodeLz4(bytes, output); break;
      case "zstd": decodeZstd(bytes, output); break;
      default: throw new ImageError(file, `it is compressed with ${kind}, which is not supported; gzip, xz, lzma, lz4 and zstd are.`);
    }
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new ImageError(file, `its ${kind} data cannot be unpacked: ${error instanceof Error ? error.message : error}.`);
  }
  return output.result();
}

async function gunzip(bytes: Uint8Array, output: Output): Promise<void> {
  const stream = new DecompressionStream("gzip");
  const writer = stream.writable.getWriter();
  const fed = writer.write(bytes as Uint8Array<ArrayBuffer>).then(() => writer.close());
  fed.catch(() => {}); // the reader reports it
  const reader = stream.readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    try {
      output.append(value);
    } catch (error) {
      await reader.cancel().catch(() => {});
      throw error;
    }
  }
}

/** The old .lzma format: properties, u32 dictionary size, u64 unpacked size or -1 for an end marker. */
function decodeLzmaAlone(bytes: Uint8Array, output: Output, unpacker: Unpacker): void {
  if (bytes.length < 13) throw new CorruptStream("it is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = view.getBigUint64(5, true);
  const lzma = new LzmaDecoder(unpacker);
  lzma.setProperties(bytes[0]);
  lzma.resetState();
  lzma.resetDictionary(0);
  lzma.decode(bytes, 13, bytes.length, output, size === 0xffffffffffffffffn ? -1 : Number(size));
}
