/** Kernel images: plain or compressed ELF, and Linux bzImages, whose setup header says where the compressed ELF lies
 *  (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"). */
import { compressionOf, decompress, MAX_UNPACKED } from "./decompress";
import { type Elf, isElf, parseElf } from "./elf";
import { ImageError } from "./errors";
import type { ImageFrames } from "./image_frames";
import type { ImagePart, KeptKernel } from "./kernel_store";
import { type XenNotes, xenNotes } from "./xen_notes";

export interface KernelImage {
  /** Name for messages. */
  file: string;
  elf: Elf;
  notes: XenNotes;
  /** Physical address where a PVH guest starts (XEN_ELFNOTE_PHYS32_ENTRY); undefined if the kernel is not for PVH. */
  entry: number | undefined;
  /** The frames of the machine that hold it; otherwise it is in memory of its own. */
  frames?: ImageFrames;
}

/** Places in the setup header. */
const enum Setup {
  setup_sects = 0x1f1, // u8, 512-byte sectors of real-mode code after the first; 0 means 4
  boot_flag = 0x1fe, // u16, 0xaa55
  header = 0x202, // "HdrS"
  version = 0x206, // u16
  payload_offset = 0x248, // u32, from the start of the protected-mode code; since 2.08
  payload_length = 0x24c, // u32
  END = 0x250,
}
const HDRS = 0x53726448;
const PAYLOAD_VERSION = 0x208;

export function isBzImage(bytes: Uint8Array): boolean {
  if (bytes.length < Setup.END) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint16(Setup.boot_flag, true) === 0xaa55 && view.getUint32(Setup.header, true) === HDRS;
}

/** The payload of a bzImage as it is in the file. */
export function bzImagePayload(bytes: Uint8Array, file: string): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint16(Setup.version, true);
  if (version < PAYLOAD_VERSION)
    throw new ImageError(file, `its boot protocol ${version >> 8}.${version & 0xff} is older than 2.8, which first says where the kernel is.`);
  const start = ((bytes[Setup.setup_sects] || 4) + 1) * 512 + view.getUint32(Setup.payload_offset, true);
  const length = view.getUint32(Setup.payload_length, true);
  if (length === 0 || start + length > bytes.length) throw new ImageError(file, "its kernel payload lies outside the file.");
  return bytes.subarray(start, start + length);
}

/** Finds frames for an image of so many bytes. */
export type Claim = (size: number) => ImageFrames | null;

export interface Loading {
  /** What says how large it is unpacked is put there. */
  readonly claim?: Claim;
  /** Takes what has been unpacked there. */
  readonly keep?: (image: Uint8Array, parts: readonly ImagePart[]) => Promise<void>;
}

/** A kernel that was unpacked before; null if that has to be done again. */
export async function restoreKernel(kept: KeptKernel, file: string, claim: Claim): Promise<KernelImage | null> {
  const frames = kept.size <= MAX_UNPACKED ? claim(kept.size) : null;
  if (!frames) return null;
  try {
    const image = frames.bytes(kept.size);
    const parts = await kept.restore(image);
    if (parts) {
      frames.leaveZeros(parts);
      return { ...kernelOf(image, file), frames };
    }
  } catch (error) {
    frames.release();
    throw error;
  }
  frames.release();
  return null;
}

/** Reads a kernel of any supported form. */
export async function loadKernel(bytes: Uint8Array, file: string, { claim = () => null, keep }: Loading = {}): Promise<KernelImage> {
  const image = isBzImage(bytes) ? bzImagePayload(bytes, file) : bytes;
  if (isElf(image)) return kernelOf(image, file);
  if (compressionOf(image) === null) throw new ImageError(file, "this is neither an ELF file nor a bzImage.");
  if (image === bytes) return kernelOf(await decompress(image, file), file);
  // The last word of a bzImage's payload is the unpacked size (arch/x86/boot/compressed/mkpiggy.c): the only check lz4 has.
  const says = new DataView(image.buffer, image.byteOffset + image.length - 4, 4).getUint32(0, true);
  const frames = says <= MAX_UNPACKED ? claim(says) : null;
  try {
    const unpacked = await decompress(image, file, { room: frames });
    if (unpacked.length !== says) throw new ImageError(file, "its kernel payload is damaged: it unpacks to another size than it says.");
    const kernel = kernelOf(unpacked, file);
    if (frames && keep) await keep(unpacked, frames.parts(says));
    return frames ? { ...kernel, frames } : kernel;
  } catch (error) {
    frames?.release();
    throw error;
  }
}

function kernelOf(image: Uint8Array, file: string): KernelImage {
  if (!isElf(image)) throw new ImageError(file, "what it holds compressed is not an ELF file.");
  const elf = parseElf(image, file);
  const notes = xenNotes(elf);
  return { file, elf, notes, entry: notes.physEntry };
}

/** Where a PVH guest starts, or an error if the kernel cannot be one. */
export function pvhEntry({ file, entry }: KernelImage): number {
  if (entry === undefined)
    throw new ImageError(file, "the kernel cannot start as a PVH guest: it lacks the XEN_ELFNOTE_PHYS32_ENTRY note (CONFIG_PVH in Linux).");
  return entry;
}
