/** Many elements of a string instruction at once, in plain RAM at flat addresses. Each gives the number of elements it has done, 0 where there is
 *  more to it (a page that faults or is a device's, an element across a page's end): then they are to be done one by one. Upward moves and fills
 *  go on into the next pages as long as the TLB has them and they follow one another in the host's memory. */
import { PcpuOff } from "../../abi/layout";
import { hostSpanR, hostSpanW, knownR, knownW } from "../access";
import { staysZero } from "../../mmu/access";
import { PCPU } from "../pcpu";
import { aluFlags } from "./arith";

const PAGE: u64 = 4096;
/** Alu.cmp */
const CMP: i32 = 7;

@inline function tlb(): usize { return <usize>load<u32>(PCPU, PcpuOff.tlbBase); }

/** Elements of a run that fit before the end of the page of `at`. */
@inline function withinPage(at: u64, count: u64, shift: u64): u64 { return min(count, (PAGE - (at & (PAGE - 1))) >> shift); }

/** Bytes that follow `lin` in the host's memory as they do in the guest's, at least `wanted` if there are as many. Not beyond a multiple of 4 GiB, where
 *  32-bit addresses wrap: 64-bit code may have them, too, and another page there. */
function reachR(lin: u64, host: usize, wanted: u64): u64 {
  let n = PAGE - (lin & (PAGE - 1));
  while (n < wanted && <u32>(lin + n) && knownR(tlb(), lin + n, 1) == host + <usize>n) n += PAGE;
  return n;
}

function reachW(lin: u64, host: usize, wanted: u64): u64 {
  let n = PAGE - (lin & (PAGE - 1));
  while (n < wanted && <u32>(lin + n) && knownW(tlb(), lin + n, 1) == host + <usize>n) n += PAGE;
  return n;
}

/** MOVS. */
export function moveRun(from: u64, to: u64, count: u64, shift: u64): u64 {
  let n = min(withinPage(from, count, shift), withinPage(to, count, shift));
  if (n < 2) return 0;
  const source = hostSpanR(from, <u32>(n << shift));
  if (!source) return 0;
  const target = hostSpanW(to, <u32>(n << shift));
  if (!target) return 0;
  if (n < count) {
    const reach = min(reachR(from, source, count << shift), reachW(to, target, count << shift));
    n = max(n, min(count, reach >> shift));
  }
  const bytes = <usize>(n << shift);
  if (target <= source || target >= source + bytes) {
    memory.copy(target, source, bytes);
    return n;
  }
  // an overlapping upward move repeats what it has just written
  const gap = target - source;
  if (gap < <usize>1 << <usize>shift) return 0;
  for (let done: usize = 0, part = gap; done < bytes; done += part, part = gap + done) memory.copy(target + done, source, min(part, bytes - done));
  return n;
}

/** The highest element is at the addresses given. */
export function moveDown(from: u64, to: u64, count: u64, shift: u64): u64 {
  const w: u64 = <u64>1 << shift, a = from & (PAGE - 1), b = to & (PAGE - 1);
  if (max(a, b) + w > PAGE) return 0;
  const n = min(count, (min(a, b) >> shift) + 1);
  if (n < 2) return 0;
  const before = (n - 1) << shift, bytes = <usize>(n << shift), source = hostSpanR(from - before, <u32>bytes);
  if (!source) return 0;
  const target = hostSpanW(to - before, <u32>bytes);
  if (!target || (target < source && source < target + bytes)) return 0;
  memory.copy(target, source, bytes);
  return n;
}

/** STOS. */
export function fillRun(to: u64, count: u64, shift: u64, x: u64): u64 {
  let n = withinPage(to, count, shift);
  if (n < 2) return 0;
  if (n << shift == PAGE && x << (64 - (8 << shift)) == 0 && staysZero(to)) return n;
  const target = hostSpanW(to, <u32>(n << shift));
  if (!target) return 0;
  if (n < count) n = max(n, min(count, reachW(to, target, count << shift) >> shift));
  fill(target, <usize>(n << shift), shift, x);
  return n;
}

export function fillDown(to: u64, count: u64, shift: u64, x: u64): u64 {
  const a = to & (PAGE - 1);
  if (a + (<u64>1 << shift) > PAGE) return 0;
  const n = min(count, (a >> shift) + 1);
  if (n < 2) return 0;
  const target = hostSpanW(to - ((n - 1) << shift), <u32>(n << shift));
  if (!target) return 0;
  fill(target, <usize>(n << shift), shift, x);
  return n;
}

function fill(target: usize, bytes: usize, shift: u64, x: u64): void {
  let pattern = x;
  if (shift == 0) pattern = (x & 0xff) * 0x0101010101010101;
  else if (shift == 1) pattern = (x & 0xffff) * 0x0001000100010001;
  else if (shift == 2) pattern = (x & 0xffffffff) * 0x0000000100000001;
  if (pattern == (pattern & 0xff) * 0x0101010101010101) {
    memory.fill(target, <u8>pattern, bytes);
    return;
  }
  const wide = i64x2.splat(pattern);
  let done: usize = 0;
  for (; done + 64 <= bytes; done += 64) {
    const at = target + done;
    v128.store(at, wide);
    v128.store(at, wide, 16);
    v128.store(at, wide, 32);
    v128.store(at, wide, 48);
  }
  for (; done + 16 <= bytes; done += 16) v128.store(target + done, wide);
  for (; done < bytes; done += <usize>1 << <usize>shift) storeLow(target + done, shift, x);
}

function storeLow(at: usize, shift: u64, x: u64): void {
  if (shift == 1) store<u16>(at, <u16>x);
  else if (shift == 2) store<u32>(at, <u32>x);
  else store<u64>(at, x);
}

@inline function element(at: usize, shift: u64): u64 {
  return shift == 0 ? <u64>load<u8>(at) : shift == 1 ? <u64>load<u16>(at) : shift == 2 ? <u64>load<u32>(at) : load<u64>(at);
}

/** SCAS: up to and with the first element of which "equal" is not `goesOn`. */
export function scanRun(at: u64, count: u64, shift: u64, x: u64, goesOn: bool): u64 {
  const n = withinPage(at, count, shift);
  if (n < 2) return 0;
  const bytes = <usize>(n << shift), w = <usize>1 << <usize>shift, host = hostSpanR(at, <u32>bytes);
  if (!host) return 0;
  const sought = shift == 3 ? x : x & ((<u64>1 << (8 << shift)) - 1);
  let i: usize = 0;
  if (shift == 0) {
    const all = i8x16.splat(<i8>x), ending: i32 = goesOn ? 0xffff : 0;
    while (i + 16 <= bytes && i8x16.bitmask(i8x16.eq(v128.load(host + i), all)) == ending) i += 16;
  }
  while (i < bytes && (element(host + i, shift) == sought) == goesOn) i += w;
  if (i == bytes) i -= w;
  aluFlags(CMP, <i32>w, x, element(host + i, shift));
  return (<u64>i >> shift) + 1;
}

/** CMPS. */
export function compareRun(from: u64, at: u64, count: u64, shift: u64, goesOn: bool): u64 {
  const n = min(withinPage(from, count, shift), withinPage(at, count, shift));
  if (n < 2) return 0;
  const bytes = <usize>(n << shift), w = <usize>1 << <usize>shift, second = hostSpanR(at, <u32>bytes);
  if (!second) return 0;
  const first = hostSpanR(from, <u32>bytes);
  if (!first) return 0;
  let i: usize = 0;
  if (goesOn) while (i + 16 <= bytes && !v128.any_true(v128.xor(v128.load(first + i), v128.load(second + i)))) i += 16;
  while (i < bytes && (element(first + i, shift) == element(second + i, shift)) == goesOn) i += w;
  if (i == bytes) i -= w;
  aluFlags(CMP, <i32>w, element(first + i, shift), element(second + i, shift));
  return (<u64>i >> shift) + 1;
}
