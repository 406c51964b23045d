/** Unpacked kernels that somebody keeps from one run to the next: a database, a folder, the browser's storage. Unpacking Debian's takes some
 *  tenth of what booting it does. Half of such an image are zeros, which nobody reads or writes. */
import type { Asset } from "../machine/platform";

/** Bytes of an image from `from` on, before `to`: whole pages but for the last one of the image. */
export interface ImagePart {
  readonly from: number;
  readonly to: number;
}

export interface KeptKernel {
  /** Bytes of the image. */
  readonly size: number;
  /** Writes what was kept into `image`, which is all zeros, and returns the parts that were written, in order and apart; null, and zeros, if it is
   *  damaged. */
  restore(image: Uint8Array): Promise<readonly ImagePart[] | null>;
}

export interface KernelStore {
  /** What was kept of the kernel that is in this file now, or null. That it cannot be read is said later by whoever needs it. */
  find(file: Asset): Promise<KeptKernel | null>;
  /** Keeps the `image` that was unpacked from `file`. It has nothing but zeros beside these parts, and will be written to afterwards. Whether it
   *  could is the store's affair. */
  keep(file: Uint8Array, image: Uint8Array, parts: readonly ImagePart[]): Promise<void>;
}
