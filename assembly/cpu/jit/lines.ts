/** Code that is hot as a whole, though no block of it is: how many slices have ended in each 512 bytes of code lately.
 *
 *  A region has up to sixty blocks. Where time is spread over all of them evenly, each would have to become hot by itself before the first
 *  region is made; here what ends in one counts for all of its line. But most lines of a program have their moment sooner or later, and a
 *  kernel that boots is made of such moments: counting for ever would translate all of it. So there is one count for the stretch of
 *  time that goes on and one for the stretch before, and a line is hot if it was then and still is. */
import { PcpuOff } from "../../abi/layout";
import { PCPU } from "../pcpu";

const LINE_SHIFT: u32 = 9;
/** Slices of a stretch: up to a third of a second of interpretation, less where callers are looked for (climb). */
const STRETCH: u32 = 16384;
/** By hash of the line: u16 of this stretch, u16 of the one before. */
const COUNTS: usize = PCPU + PcpuOff.lines;
const BITS: u32 = 11;

function lineOf(maddr: u32): usize { return COUNTS + (<usize>(((maddr >> LINE_SHIFT) * 0x9e3779b1) >> (32 - BITS)) << 2); }

/** A slice ended in the block at `maddr`. Whether its line is hot, where one block would be with `threshold` slices. It takes twice as many:
 *  in Debian's boot half of them made a quarter more regions, which did not pay. */
export function countLine(maddr: u32, threshold: u32): bool {
  const line = lineOf(maddr), now = <u32>load<u16>(line) + 1, before = <u32>load<u16>(line, 2);
  store<u16>(line, <u16>now); // there are fewer slices in a stretch than numbers
  return before >= threshold >> 1 && now + before >= threshold << 1;
}

/** What was hot there is translated. */
export function clearLine(maddr: u32): void { store<u32>(lineOf(maddr), 0); }

/** So many slices have ended. */
export function ageLines(slices: u32): void {
  if (slices & (STRETCH - 1)) return;
  for (let i: usize = 0; i < 4 << BITS; i += 4) {
    const n = load<u32>(COUNTS + i);
    if (n) store<u32>(COUNTS + i, n << 16);
  }
}
