/** How a kernel's segments get into a domain's memory. If it was unpacked into frames of the machine, whole pages of it become the
 *  domain's pages. The rest is copied: the beginning and the end of a segment, and everything where pages in the file and in memory do
 *  not coincide or segments overlap. */
import { P2m } from "../../assembly/abi/layout";
import { type MachineMemory, PAGE_SIZE } from "../machine/memory";
import type { KernelImage } from "./bzimage";
import type { ElfSegment } from "./elf";
import { mapFrames } from "./guest_ram";

/** Bytes to be written, in this order, and zeros behind them. RAM is zero: those matter where segments overlap. */
export interface Piece {
  readonly gpa: number;
  readonly bytes: Uint8Array;
  readonly zeros: number;
}

/** Maps what pages the image can give and returns the rest. The image's frames are not held any longer, its bytes gone. The domain has no
 *  RAM yet, and has not run. */
export function givePages(mem: MachineMemory, domid: number, domain: number, kernel: KernelImage, segments: readonly ElfSegment[]): Piece[] {
  const { frames, elf } = kernel;
  const apart = areApart(segments);
  const held = frames && !apart ? elf.bytes.slice() : elf.bytes; // once: overlapping segments may be of any size
  const pieces: Piece[] = [];
  for (const { paddr, offset, fileSize, memSize } of segments) {
    const copy = (from: number, to: number) => {
      const bytes = held.subarray(from, to);
      const zeros = apart || to < offset + fileSize ? 0 : memSize - fileSize;
      if (bytes.length + zeros > 0) pieces.push({ gpa: paddr + from - offset, bytes: frames && apart ? bytes.slice() : bytes, zeros });
    };
    const first = Math.ceil(offset / PAGE_SIZE);
    const end = Math.floor((offset + fileSize) / PAGE_SIZE);
    if (!frames || !apart || (paddr - offset) % PAGE_SIZE !== 0 || end <= first) {
      copy(offset, offset + fileSize);
      continue;
    }
    copy(offset, first * PAGE_SIZE);
    let page = first;
    const give = (count: number) => frames.give((page += count) - count, count, domid);
    mapFrames(mem, domid, domain, first + (paddr - offset) / PAGE_SIZE, end - first, P2m.ram_rw, give);
    copy(end * PAGE_SIZE, offset + fileSize);
  }
  frames?.release();
  return pieces;
}

/** No byte of the file is in two segments, and no byte of memory. */
function areApart(segments: readonly ElfSegment[]): boolean {
  const disjoint = (ranges: { readonly start: number; readonly size: number }[]): boolean => {
    ranges.sort((a, b) => a.start - b.start);
    return ranges.every(({ start }, n) => n === 0 || ranges[n - 1].start + ranges[n - 1].size <= start);
  };
  return (
    disjoint(segments.map(({ paddr, memSize }) => ({ start: paddr, size: memSize }))) &&
    disjoint(segments.filter(({ fileSize }) => fileSize > 0).map(({ offset, fileSize }) => ({ start: offset, size: fileSize })))
  );
}
