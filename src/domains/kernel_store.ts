/** Unpacked kernels that somebody keeps from one run to the next: a database, a folder, the browser's storage. Unpacking Debian's takes some
 *  tenth of what booting it does. Most of what half of such an image consists of are zeros, which nobody reads or writes. */
import type { ImageFrames } from "./image_frames";

/** Bytes of an image from `from` on, before `to`: whole pages but for the last one of the image. */
export interface ImagePart {
  readonly from: number;
  readonly to: number;
}

export interface KernelStore {
  /** Writes into `image`, which is all zeros, what was kept of this packed payload, and returns the parts that were written, in order and
   *  apart. null if nothing of that size was kept, or what was is damaged: all is zeros then. */
  restore(packed: Uint8Array, image: Uint8Array): Promise<readonly ImagePart[] | null>;
  /** Keeps `image`, which has nothing but zeros beside these parts. It will be written to afterwards. Whether it could is the store's affair. */
  keep(packed: Uint8Array, image: Uint8Array, parts: readonly ImagePart[]): Promise<void>;
}

/** What `packed` was unpacked to before, in those frames; null if it is to be done again. */
export async function restoreKernel(store: KernelStore, packed: Uint8Array, frames: ImageFrames, size: number): Promise<Uint8Array | null> {
  const image = frames.bytes(size);
  const parts = await store.restore(packed, image);
  if (parts === null) return null;
  frames.leaveZeros(parts);
  return image;
}
