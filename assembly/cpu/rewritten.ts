/** Code that the guest rewrites: how often each 128 bytes of it were overwritten lately after they had been executed. Whoever translates it
 *  would do so again and again, and each time for less than it costs; the interpreter's records are made anew in a microsecond.
 *
 *  What is counted is the turns of executing and overwriting, not stores: the first one drops what was decoded, and the next find nothing. */
import { PcpuOff } from "../abi/layout";
import { PCPU } from "./pcpu";

const COUNTS: usize = PCPU + PcpuOff.rewritten;
const BITS: u32 = 10;
/** Turns that keep code from being translated; more are not counted, so that it is forgotten soon after the last one. */
const RESTLESS: u8 = 2;
const MOST: u8 = 3;
/** Half of the turns are forgotten when as much time has passed as so many translations take. One that lives that long has paid. */
const TRANSLATIONS: u32 = 16;

@inline function at(maddr: u32): usize { return COUNTS + <usize>(((maddr >> 7) * 0x9e3779b1) >> (32 - BITS)); }

/** A store to `maddr` dropped what was decoded there. */
export function noteRewritten(maddr: u32): void {
  const times = load<u8>(at(maddr));
  if (times < MOST) store<u8>(at(maddr), times + 1);
}

/** Whether the code at `maddr` will not stay for long, as far as one can see. */
export function isRewritten(maddr: u32): bool { return load<u8>(at(maddr)) >= RESTLESS; }

/** So many slices of the interpreter have ended, of which `translation` are as long as a translation. */
export function ageRewritten(slices: u32, translation: u32): void {
  if (slices - load<u32>(PCPU, PcpuOff.rewrittenAged) < translation * TRANSLATIONS) return;
  store<u32>(PCPU, slices, PcpuOff.rewrittenAged);
  for (let i: usize = 0; i < 1 << BITS; i += 8) {
    const counts = load<u64>(COUNTS + i);
    if (counts) store<u64>(COUNTS + i, counts >> 1 & 0x0101010101010101);
  }
}
