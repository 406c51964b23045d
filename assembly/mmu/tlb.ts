/** Translation caches of one pCPU: data TLBs, instruction pages (xtlb) and the jump cache.
 *
 *  ```
 *  data   3 classes (TlbClass) x {R, W} x 4096 entries, direct-mapped by linear bits 23..12
 *  entry  +0 tag u64: page address | marks; the fast path compares whole tags, so a marked entry always misses
 *         +8 addend u32: (u32)lin + addend is the host address (device pages: the guest-physical address, below 4 GiB)
 *         +12 flags u32, of an R entry: bit 1 it or its W entry is in the log
 *  xtlb   256 entries: tag u64 page | user << 1, +8 maddr of the page, +12 flags: bit 0 global, bit 1 in the log
 *  ```
 *  Everything filled through a non-global mapping is in a log, so that a CR3 write costs what was filled since the last. A data
 *  entry is there once for R and W, an xtlb entry with its low bit set.
 *  INVLPG of a large page must drop all its 4 KiB pieces, and only then look for them: `large` in pageFilter is a
 *  Bloom filter of large pages seen. The `code` filters do the same for pages with jump-cache entries.
 *
 *  All of it is private to the pCPU: other threads ask for a flush by VcpuRequest.flush. */
import { FrameFlag, FrameOff, MachineOff, PcpuOff, Region, TlbClass, TlbOff } from "../abi/layout";
import { Check, JitOff } from "../abi/jit";
import { Cr4, Flag } from "../abi/x86";
import { PCPU } from "../cpu/pcpu";
import { checkPhase, noteFill } from "./journal";
import { forgetAllPages, forgetPage, forgetPages } from "./second_level";
import { forgetFrames, forgetTables } from "./table_cache";
import { WalkOff } from "./walk_words";

/** Marks in the low bits of a tag. */
export const enum Mark {
  invalid = 1,
  code = 2, // W: translation is good, but the frame holds decoded code
  device = 4,
}

export const enum TlbFlag { global = 1, logged = 2 }

const TLB: usize = PCPU + PcpuOff.TLB;
const TABLES: i32 = 6;
const TABLE_SIZE: usize = PcpuOff.TLB_W;
const TLB_END: usize = TLB + 3 * PcpuOff.TLB_CLASS;
const LOG_MAX: u32 = 8192;
const XTLB: usize = PCPU + PcpuOff.xtlb;
const XTLB_SIZE: usize = 4096;
const JC: usize = PCPU + PcpuOff.JC;
const JC_SIZE: usize = 0x40000;
const FILTER_SIZE: usize = 512;
const LARGE: usize = PCPU + PcpuOff.pageFilter;
const CODE: usize = LARGE + FILTER_SIZE;
const CODE_GLOBAL: usize = CODE + FILTER_SIZE;
/** Large pages the filter takes: a guest with more pays for full flushes instead. */
const LARGE_MAX: u32 = 512;
/** Fill byte of a cleared table: odd tags match nothing, and the flags do not say "logged". */
const CLEAR: u8 = 1;

/** R tables of the classes, as in PcpuOff.tlbBase. */
export const SUPERVISOR: usize = TLB + TlbClass.supervisor * PcpuOff.TLB_CLASS;
export const SUPERVISOR_AC: usize = TLB + TlbClass.supervisorAc * PcpuOff.TLB_CLASS;
export const USER: usize = TLB + TlbClass.user * PcpuOff.TLB_CLASS;

/** Puts the class that CPL, CR4.SMAP and RFLAGS.AC select in force. */
export function setTlbClass(): void {
  let base = SUPERVISOR;
  if (load<u32>(PCPU, PcpuOff.cpl) == 3) base = USER;
  else if (load<u64>(PCPU, PcpuOff.cr4) & Cr4.SMAP && load<u64>(PCPU, PcpuOff.rflags) & Flag.AC) base = SUPERVISOR_AC;
  store<u32>(PCPU, base, PcpuOff.tlbBase);
}

/** Entry for `lin` in the R table `base`; the W entry is TLB_W further. */
@inline export function entryFor(base: usize, lin: u64): usize {
  return base + ((<usize>lin >>> 8) & 0xfff0);
}

@inline export function xtlbEntry(lin: u64): usize {
  return XTLB + ((<usize>lin >>> 8) & 0xff0);
}

/** Fills the R entry at `at` (table 0) or its W entry (table TLB_W). */
@inline export function fill(at: usize, table: usize, tag: u64, addend: u32, global: bool): void {
  store<u64>(at + table, tag);
  store<u32>(at + table, addend, TlbOff.addend);
  if (checkPhase() == Check.region) noteFill(at + table);
  if (!global && !(load<u32>(at, TlbOff.flags) & TlbFlag.logged)) log(at, at);
}

export function fillCode(entry: usize, tag: u64, maddr: u32, global: bool): void {
  store<u64>(entry, tag);
  store<u32>(entry, maddr, TlbOff.addend);
  if (checkPhase() == Check.region) noteFill(entry);
  const logged = load<u32>(entry, TlbOff.flags) & TlbFlag.logged;
  store<u32>(entry, logged | <u32>global, TlbOff.flags);
  if (!global && !logged) log(entry, entry | 1);
}

function log(entry: usize, what: usize): void {
  const count = load<u32>(PCPU, PcpuOff.tlbLogCount);
  if (count <= LOG_MAX) store<u32>(PCPU, count + 1, PcpuOff.tlbLogCount);
  if (count >= LOG_MAX) return;
  store<u32>(entry, TlbFlag.logged, TlbOff.flags);
  store<u32>(PCPU + (<usize>count << 2), what, PcpuOff.TLB_LOG);
}

/** The decoder filled the jump-cache entry at `entry` for code on the page of `lin`. */
export function jumpCacheFilled(entry: usize, lin: u64, global: bool): void {
  setBit(global ? CODE_GLOBAL : CODE, lin >> 12);
  if (global) return;
  const count = load<u32>(PCPU, PcpuOff.jcLogCount);
  if (count < LOG_MAX) store<u32>(PCPU + (<usize>count << 2), entry, PcpuOff.JC_LOG);
  if (count <= LOG_MAX) store<u32>(PCPU, count + 1, PcpuOff.jcLogCount);
}

/** A page of 2^shift bytes (21, 22 or 30) around `lin` is being filled in pieces. */
export function noteLarge(lin: u64, shift: u32): void {
  store<u32>(PCPU, load<u32>(PCPU, WalkOff.largeKinds) | (<u32>1 << shift), WalkOff.largeKinds);
  const key = largeKey(lin, shift);
  if (testBit(LARGE, key)) return;
  setBit(LARGE, key);
  store<u32>(PCPU, load<u32>(PCPU, WalkOff.largeCount) + 1, WalkOff.largeCount);
}

/** CR3 was written: forgets every non-global translation. */
export function flushTlb(): void {
  if (load<u32>(PCPU, WalkOff.largeCount) > LARGE_MAX) return flushTlbAll(); // the filter would soon say yes to everything
  forgetTables();
  forgetPages();
  const count = load<u32>(PCPU, PcpuOff.tlbLogCount);
  if (count > LOG_MAX) {
    clearTlb();
  } else {
    for (let at = PCPU + PcpuOff.TLB_LOG, end = at + (<usize>count << 2); at < end; at += 4) {
      const what = <usize>load<u32>(at), entry = what & ~1;
      store<u64>(entry, Mark.invalid);
      store<u32>(entry, 0, TlbOff.flags);
      if (what == entry) store<u64>(entry, Mark.invalid, PcpuOff.TLB_W);
    }
    store<u32>(PCPU, 0, PcpuOff.tlbLogCount);
  }
  flushJumpCache();
}

/** Paging controls changed, or everything may have: forgets all. Also brings a new pCPU block into its first state. */
export function flushTlbAll(): void {
  forgetTables();
  forgetFrames();
  forgetAllPages();
  clearTlb();
  memory.fill(LARGE, 0, FILTER_SIZE);
  store<u32>(PCPU, 0, WalkOff.largeKinds);
  store<u32>(PCPU, 0, WalkOff.largeCount);
  flushJumpCacheAll();
}

function clearTlb(): void {
  memory.fill(TLB, CLEAR, TLB_END - TLB);
  memory.fill(XTLB, CLEAR, XTLB_SIZE);
  store<u32>(PCPU, 0, PcpuOff.tlbLogCount);
}

/** Drops jump-cache entries for code reached through non-global mappings. */
export function flushJumpCache(): void {
  const count = load<u32>(PCPU, PcpuOff.jcLogCount);
  if (!count) return;
  if (count > LOG_MAX) return flushJumpCacheAll();
  doubtPages();
  for (let at = PCPU + PcpuOff.JC_LOG, end = at + (<usize>count << 2); at < end; at += 4) {
    store<u32>(<usize>load<u32>(at), 0, 8); // mode 0, real mode, never uses the cache
  }
  store<u32>(PCPU, 0, PcpuOff.jcLogCount);
  memory.fill(CODE, 0, FILTER_SIZE);
}

/** What translated code knows about its pages' mappings came from the jump cache, and goes with it. */
function doubtPages(): void {
  store<u32>(PCPU + PcpuOff.JIT, load<u32>(PCPU + PcpuOff.JIT, JitOff.flushes) + 1, JitOff.flushes);
  store<u32>(PCPU + PcpuOff.JIT, 0, JitOff.pages);
}

/** Drops the whole jump cache. */
export function flushJumpCacheAll(): void {
  doubtPages();
  memory.fill(JC, 0, JC_SIZE);
  memory.fill(CODE, 0, 2 * FILTER_SIZE);
  store<u32>(PCPU, 0, PcpuOff.jcLogCount);
}

/** INVLPG: forgets the page around `lin`, global or not (SDM Vol.3A "Operations that Invalidate TLBs and
 *  Paging-Structure Caches"). False if no code has been found through it. */
export function invlpg(lin: u64): bool {
  forgetTables();
  const kinds = load<u32>(PCPU, WalkOff.largeKinds);
  if (kinds) {
    if (kinds & (1 << 30) && testBit(LARGE, largeKey(lin, 30))) {
      flushTlbAll();
      return true;
    }
    if (kinds & (1 << 22) && testBit(LARGE, largeKey(lin, 22))) return forgetRange(lin, 22);
    if (kinds & (1 << 21) && testBit(LARGE, largeKey(lin, 21))) return forgetRange(lin, 21);
  }
  for (let table = TLB; table < TLB_END; table += TABLE_SIZE) {
    const entry = entryFor(table, lin);
    if ((load<u64>(entry) ^ lin) >> 12 == 0) store<u64>(entry, Mark.invalid);
  }
  forgetPage(lin);
  const entry = xtlbEntry(lin);
  if ((load<u64>(entry) ^ lin) >> 12 == 0) store<u64>(entry, Mark.invalid);
  if (!testBit(CODE, lin >> 12) && !testBit(CODE_GLOBAL, lin >> 12)) return false;
  flushJumpCacheAll();
  return true;
}

/** Forgets the 2^shift bytes around `lin`: their entries are neighbours in each table. */
function forgetRange(lin: u64, shift: u32): bool {
  const start = lin >> shift << shift, entries = <usize>1 << (shift - 12);
  for (let table = TLB; table < TLB_END; table += TABLE_SIZE) {
    const first = entryFor(table, start);
    for (let entry = first, end = first + entries * TlbOff.SIZE; entry < end; entry += TlbOff.SIZE) {
      if ((load<u64>(entry) ^ start) >> shift == 0) store<u64>(entry, Mark.invalid);
    }
  }
  forgetAllPages();
  memory.fill(XTLB, CLEAR, XTLB_SIZE);
  flushJumpCacheAll();
  return true;
}

/** The frame gets its first decoded code: no store may reach it without a look at its code mask any more. */
export function evictWritable(mfn: u32): void {
  const frame = <usize>Region.FRAME_TABLE + <usize>mfn * <usize>FrameOff.SIZE;
  if (!(load<u8>(frame, FrameOff.flags) & FrameFlag.written)) return;
  for (let table = TLB + PcpuOff.TLB_W; table < TLB_END; table += PcpuOff.TLB_CLASS) {
    for (let entry = table, end = table + TABLE_SIZE; entry < end; entry += TlbOff.SIZE) {
      const tag = load<u64>(entry);
      if (<u32>tag & 0xfff) continue;
      if ((<u32>tag + load<u32>(entry, TlbOff.addend)) >>> 12 == mfn) store<u64>(entry, tag | Mark.code);
    }
  }
  // With several pCPUs the flag stays for the others to see; they get VcpuRequest.flush from whoever decodes.
  if (load<u32>(Region.MACHINE, MachineOff.pcpus) <= 1) atomic.and<u8>(frame, ~FrameFlag.written, FrameOff.flags);
}

/* Bloom filters of one hash over 4096 bits. */

@inline function largeKey(lin: u64, shift: u32): u64 { return (lin >> shift) * 3 + shift; }

@inline function bitOf(key: u64): u32 { return <u32>((key * 0x9e3779b97f4a7c15) >> 52); }

@inline function setBit(filter: usize, key: u64): void {
  const bit = bitOf(key), at = filter + (bit >>> 3);
  store<u8>(at, load<u8>(at) | <u8>(<u32>1 << (bit & 7)));
}

@inline function testBit(filter: usize, key: u64): bool {
  const bit = bitOf(key);
  return ((load<u8>(filter + (bit >>> 3)) >> (bit & 7)) & 1) != 0;
}
