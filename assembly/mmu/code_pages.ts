/** Memory that holds decoded instructions. Each frame has a mask with one bit per 128 bytes (FrameOff.code); a store that
 *  touches a marked block must drop the records first. The decoder owns setting and clearing the bits. */
import { FrameOff } from "../abi/layout";
import { invalidateCode } from "../cpu/code_cache";
import { frameOf } from "./p2m";

/** Bits of the 128-byte blocks that bytes [offset, offset + len) of a page touch; the range stays in the page. */
@inline function blockMask(offset: u32, len: u32): u32 {
  const first = offset >>> 7, count = ((offset + len - 1) >>> 7) - first;
  return ((<u32>2 << count) - 1) << first;
}

/** To be called before `len` bytes at `maddr`, within one page, change. */
export function beforeStore(maddr: usize, len: u32): void {
  const mask = load<u32>(frameOf(maddr), FrameOff.code);
  if (mask && mask & blockMask(<u32>maddr & 0xfff, len)) invalidateCode(<u32>maddr, len);
}

/** Whether the frame of `maddr` holds decoded code at all. */
@inline export function hasCode(maddr: usize): bool { return load<u32>(frameOf(maddr), FrameOff.code) != 0; }

/** Host-side writers (backends, hypercalls) say which bytes of a frame they changed. */
export function hostWroteFrame(mfn: u32, offset: u32, len: u32): void {
  if (len) beforeStore((<usize>mfn << 12) | offset, len);
}
