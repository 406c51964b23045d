/** What emitted code asks where a span misses the TLB, and which code is better off without spans. The same is learned of other things that are
 *  quick unless code leaves for them often: what it is about is in the low bits of a record's address, which are 0 for spans. */
import { JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { spanOf } from "../../mmu/access";
import { J, jget } from "./buffer";
import { retire } from "./regions";
import { Doubt } from "./sse_mode";

/** Times code may leave at one place within PERIOD slices: leaving costs about as much as a hundred accesses. */
const FAILURES: u32 = 64;
const PERIOD: u32 = 32;
/** Accesses at one place that may miss their run meanwhile: a miss costs about as much as ten accesses. */
const MISSES: u32 = 512;

@inline function failureAt(u: usize): usize { return J + JitOff.spanFailures + (<usize>(<u32>u >> 5 & 15) << 4); }
@inline function bitsAt(u: usize): usize { return J + JitOff.spanless + <usize>((<u32>u * 0x9e3779b1) >> 24); }
@inline function bitOf(u: usize): u32 { return <u32>1 << (<u32>u >> 5 & 7); }

/** Code with record `u` may have spans. */
export function mayHaveSpans(u: usize): bool { return !isDoubtful(u); }
export function isDoubtful(u: usize): bool { return (<u32>load<u8>(bitsAt(u)) & bitOf(u)) != 0; }

/** Host address of `len` bytes at `lin` on one page of memory, or 0: leave at record `u`. */
export function jitSpanR(lin: u64, len: i32, u: usize): usize { return found(spanOf(lin, len, false), recordOf(u)); }
export function jitSpanW(lin: u64, len: i32, u: usize): usize { return found(spanOf(lin, len, true), recordOf(u)); }

/** The record at `u`, which says in its low bits whether an access was not in the run it was expected in: then that is noted. */
@inline export function recordOf(u: usize): usize { return u & Doubt.run ? missed(u) : u; }

function missed(u: usize): usize {
  failed(u, MISSES);
  return u & ~(<usize>RecOff.SIZE - 1);
}

/** The region leaves at a record for the reason in its address's low bits: the record. */
export function jitDoubt(u: usize): usize {
  failed(u, FAILURES);
  return u & ~(<usize>RecOff.SIZE - 1);
}

function found(host: usize, u: usize): usize {
  if (!host) failed(u, FAILURES);
  return host;
}

function failed(u: usize, most: u32): void {
  const at = failureAt(u), now = jget(JitOff.slices);
  if (load<u32>(at) != <u32>u || now - load<u32>(at, 4) > PERIOD) {
    store<u32>(at, <u32>u);
    store<u32>(at, now, 4);
    store<u32>(at, 0, 8);
  }
  const times = load<u32>(at, 8) + 1;
  store<u32>(at, times, 8);
  if (times < most) return;
  store<u32>(at, 0);
  store<u8>(bitsAt(u), load<u8>(bitsAt(u)) | <u8>bitOf(u));
  retire();
}

/** All records are dropped, and with them what was known of them. */
export function forgetSpans(): void {
  memory.fill(J + JitOff.spanFailures, 0, 512); // both tables
}
