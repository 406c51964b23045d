/** Memory that holds decoded instructions. Each frame has a mask with one bit per 128 bytes (FrameOff.code); a store that
 *  touches a marked block must drop the records first. The decoder owns setting and clearing the bits. */
import { FrameOff, PcpuOff } from "../abi/layout";
import { invalidateCode } from "../cpu/code_cache";
import { PCPU } from "../cpu/pcpu";
import { isForOthers, takeDropped, tellDecoders } from "./code_news";
import { frameOf } from "./p2m";

/** Bits of the 128-byte blocks that bytes [offset, offset + len) of a page touch; the range stays in the page. */
@inline function blockMask(offset: u32, len: u32): u32 {
  const first = offset >>> 7, count = ((offset + len - 1) >>> 7) - first;
  return ((<u32>2 << count) - 1) << first;
}

/** To be called before `len` bytes at `maddr`, within one page, change. True if code was decoded from them. */
export function beforeStore(maddr: usize, len: u32): bool {
  const frame = frameOf(maddr), mask = load<u32>(frame, FrameOff.code), blocks = blockMask(<u32>maddr & 0xfff, len);
  if (isForOthers(<u32>maddr >> 12)) tellDecoders(<u32>maddr >> 12, blocks);
  return (mask & blocks) != 0 && invalidateCode(<u32>maddr, len);
}

/** Whether the frame of `maddr` holds decoded code at all. */
@inline export function hasCode(maddr: usize): bool { return load<u32>(frameOf(maddr), FrameOff.code) != 0; }

/** Whether that frame holds code, but none in the blocks that `len` bytes at `maddr` touch. Where there is none at all others want to know. */
@inline export function isBesideCode(maddr: usize, len: u32): bool {
  const mask = load<u32>(frameOf(maddr), FrameOff.code);
  return mask != 0 && !(mask & blockMask(<u32>maddr & 0xfff, len));
}

/** Host-side writers (backends, hypercalls) say which bytes of a frame they changed. */
export function hostWroteFrame(mfn: u32, offset: u32, len: u32): void {
  if (len) beforeStore((<usize>mfn << 12) | offset, len);
}

/** Drops records of the frames other threads have written to (src/machine/code_pages.ts). To be called before the pCPU
 *  runs guest code after an interrupt, a hypercall or a change of vCPU. True: too many, all records must be dropped. */
export function drainDropped(): bool {
  if (!atomic.load<i32>(PCPU, PcpuOff.dropCount)) return false;
  const count = takeDropped();
  if (count > <u32>PcpuOff.DROP_MAX) return true;
  for (let n: u32 = 0; n < count; n++) invalidateCode(load<u32>(PCPU + (<usize>n << 2), PcpuOff.dropped) << 12, 4096);
  return false;
}
