/** Translation caches of one pCPU: data TLBs and instruction pages (xtlb).
 *
 *  ```
 *  data   3 classes (TlbClass) x 65536 entries, direct-mapped by linear bits 27..12, in front of the record cache
 *  entry  +0 tag u64: page address, Mark in the low bits. Reads compare the page, writes the whole tag, so that a mark keeps them out
 *         +8 addend u32: (u32)lin + addend is the host address (device pages: the guest-physical address, below 4 GiB)
 *         +12 flags u32: bit 1 it is in the log
 *  xtlb   256 entries: tag u64 page | user << 1, +8 maddr of the page, +12 flags: bit 0 global, bit 1 in the log
 *  ```
 *  An access looks at the entry of its first byte's page and compares the page of its last one, which is the same or the next. So a
 *  page whose number is neither the entry's own nor the next one's is found by nobody: empty entries hold such a page ("nowhere"), and those of devices
 *  their own, moved like that. Zero will do in all entries but a table's first and last.
 *
 *  256 MiB of pages find their places in a table, of which only what is used takes memory (tlbTouched). Emptying all costs what was touched.
 *  Everything filled through a non-global mapping is in a log, so that a CR3 write costs what was filled since the last. An xtlb entry
 *  is there with its low bit set.
 *  INVLPG of a large page must drop all its 4 KiB pieces, and only then look for them: `large` in pageFilter is a
 *  Bloom filter of large pages seen. Pages with code are mmu/code_mappings'.
 *
 *  All of it is private to the pCPU: other threads ask for a flush by VcpuRequest.flush. */
import { PcpuOff, TlbClass, TlbOff } from "../abi/layout";
import { Check } from "../abi/jit";
import { Cr4, Flag } from "../abi/x86";
import { PCPU } from "../cpu/pcpu";
import { flushAllCode, flushCode, flushCodePage } from "./code_mappings";
import { FILTER_SIZE, setBit, testBit } from "./filter";
import { checkPhase, noteFill } from "./journal";
import { forgetLeaves } from "./p2m";
import { doubtRuns, doubtRunsAt } from "./runs";
import { forgetAllPages, forgetPage, forgetPages } from "./second_level";
import { forgetFrames, forgetTables } from "./table_cache";
import { WalkOff } from "./walk_words";

/** Marks in the low bits of a tag. */
export const enum Mark {
  invalid = 1, // of the xtlb
  code = 2, // good for writing, too, but the frame holds decoded code
  device = 4, // good for reading from the device
  deviceWritable = 8, // and for writing to it
  readOnly = 16, // not known to be good for writing
}

export const enum TlbFlag { global = 1, logged = 2 }

/** What tells a page that is found nowhere from the entry's own. */
const ELSEWHERE: u64 = 0x2000;
/** Pages of the tables, as in tlbTouched. */
const CHUNKS: usize = (TlbOff.END - TlbOff.TABLES) >> 12;
const LOG_MAX: u32 = 8192;
const XTLB: usize = PCPU + PcpuOff.xtlb;
const XTLB_SIZE: usize = 4096;
const LARGE: usize = PCPU + PcpuOff.pageFilter;
/** Large pages the filter takes: a guest with more pays for full flushes instead. */
const LARGE_MAX: u32 = 512;
/** Fill byte of a cleared xtlb: odd tags match nothing, and the flags do not say "logged". */
const CLEAR: u8 = 1;

@inline function tables(): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + TlbOff.TABLES; }
/** Table of a class, as in PcpuOff.tlbBase. */
@inline export function tableOf(which: u32): usize { return tables() + <usize>which * TlbOff.CLASS; }
/** Class of a table. */
@inline export function classOf(table: usize): u32 { return <u32>((table - tables()) / TlbOff.CLASS); }

/** Puts the class that CPL, CR4.SMAP and RFLAGS.AC select in force. */
@inline export function setTlbClass(): void {
  let which: u32 = TlbClass.supervisor;
  if (load<u32>(PCPU, PcpuOff.cpl) == 3) which = TlbClass.user;
  else if (load<u64>(PCPU, PcpuOff.cr4) & Cr4.SMAP && load<u64>(PCPU, PcpuOff.rflags) & Flag.AC) which = TlbClass.supervisorAc;
  store<u32>(PCPU, tableOf(which), PcpuOff.tlbBase);
}

/** Entry for `lin` in the table `base`. */
@inline export function entryFor(base: usize, lin: u64): usize {
  return base + ((<usize>lin >>> 8) & TlbOff.INDEX);
}

/** Number of an entry among all, and back. */
@inline export function numberOf(entry: usize): u32 { return <u32>(entry - tables()) / TlbOff.SIZE; }
@inline export function entryOf(number: u32): usize { return tables() + <usize>number * TlbOff.SIZE; }

/** Tag of a device's `page`. */
@inline export function deviceTag(page: u64, mark: u64): u64 { return page ^ ELSEWHERE | mark; }

/** Empties an entry. */
@inline function empty(entry: usize): void { store<u64>(entry, <u64>((<u32>entry & TlbOff.INDEX) << 8) ^ ELSEWHERE); }

/** Empties the entry at `entry`, which may be one of the xtlb. */
export function emptyAny(entry: usize): void {
  if (entry - XTLB < XTLB_SIZE) store<u64>(entry, Mark.invalid);
  else empty(entry);
}

/** Whether stores through the entry reach frame `mfn` in line; an empty one may say so by chance. */
@inline export function isWritableFor(entry: usize, mfn: u32): bool {
  const tag = <u32>load<u64>(entry);
  return !(tag & 0xfff) && (tag + load<u32>(entry, TlbOff.addend)) >>> 12 == mfn;
}

@inline function isTouched(chunk: usize): bool { return load<u8>(PCPU + chunk, PcpuOff.tlbTouched) != 0; }
@inline function chunkOf(entry: usize): usize { return (entry - tables()) >> 12; }

@inline export function xtlbEntry(lin: u64): usize {
  return XTLB + ((<usize>lin >>> 8) & 0xff0);
}

@inline export function fill(entry: usize, tag: u64, addend: u32, global: bool): void {
  store<u64>(entry, tag);
  store<u32>(entry, addend, TlbOff.addend);
  store<u8>(PCPU + chunkOf(entry), 1, PcpuOff.tlbTouched);
  if (checkPhase() == Check.region) noteFill(entry);
  if (!global && !(load<u32>(entry, TlbOff.flags) & TlbFlag.logged)) log(entry, entry);
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
  doubtRuns(false);
  const count = load<u32>(PCPU, PcpuOff.tlbLogCount);
  if (count > LOG_MAX) {
    clearTlb();
  } else {
    for (let at = PCPU + PcpuOff.TLB_LOG, end = at + (<usize>count << 2); at < end; at += 4) {
      const what = <usize>load<u32>(at), entry = what & ~1;
      if (what == entry) empty(entry);
      else store<u64>(entry, Mark.invalid);
      store<u32>(entry, 0, TlbOff.flags);
    }
    store<u32>(PCPU, 0, PcpuOff.tlbLogCount);
  }
  flushCode();
}

/** Paging controls changed, or everything may have: forgets all. Also brings a new pCPU block into its first state. */
export function flushTlbAll(): void {
  forgetTables();
  forgetFrames();
  forgetLeaves();
  forgetAllPages();
  doubtRuns(true);
  clearTlb();
  memory.fill(LARGE, 0, FILTER_SIZE);
  store<u32>(PCPU, 0, WalkOff.largeKinds);
  store<u32>(PCPU, 0, WalkOff.largeCount);
  flushAllCode();
}

function clearTlb(): void {
  const first = tables();
  for (let chunk: usize = 0; chunk < CHUNKS; chunk++) {
    if (chunk % 8 == 0 && !load<u64>(PCPU + chunk, PcpuOff.tlbTouched)) chunk += 7;
    else if (isTouched(chunk)) memory.fill(first + (chunk << 12), 0, 4096);
  }
  memory.fill(PCPU + PcpuOff.tlbTouched, 0, CHUNKS);
  for (let table = first; table < first + (CHUNKS << 12); table += TlbOff.CLASS) {
    empty(table);
    empty(table + TlbOff.CLASS - TlbOff.SIZE);
  }
  memory.fill(XTLB, CLEAR, XTLB_SIZE);
  store<u32>(PCPU, 0, PcpuOff.tlbLogCount);
}

/** INVLPG: forgets the page around `lin`, global or not (SDM Vol.3A "Operations that Invalidate TLBs and
 *  Paging-Structure Caches"). False if no code has been found through it. */
export function invlpg(lin: u64): bool {
  forgetTables();
  doubtRunsAt(lin);
  const kinds = load<u32>(PCPU, WalkOff.largeKinds);
  if (kinds) {
    if (kinds & (1 << 30) && testBit(LARGE, largeKey(lin, 30))) {
      flushTlbAll();
      return true;
    }
    if (kinds & (1 << 22) && testBit(LARGE, largeKey(lin, 22))) return forgetRange(lin, 22);
    if (kinds & (1 << 21) && testBit(LARGE, largeKey(lin, 21))) return forgetRange(lin, 21);
  }
  for (let which: u32 = 0; which < 3; which++) {
    const at = entryFor(tableOf(which), lin);
    if (((load<u64>(at) ^ lin) & ~(ELSEWHERE | 0xfff)) == 0) empty(at);
  }
  forgetPage(lin);
  const entry = xtlbEntry(lin);
  if ((load<u64>(entry) ^ lin) >> 12 == 0) store<u64>(entry, Mark.invalid);
  return flushCodePage(lin);
}

/** Forgets the 2^shift bytes around `lin`: their entries are neighbours in each table. */
function forgetRange(lin: u64, shift: u32): bool {
  const start = lin >> shift << shift, entries = <usize>1 << (shift - 12);
  for (let which: u32 = 0; which < 3; which++) {
    const first = entryFor(tableOf(which), start);
    for (let entry = first, end = first + entries * TlbOff.SIZE; entry < end; entry += TlbOff.SIZE) {
      if ((load<u64>(entry) ^ start) >> shift == 0) empty(entry);
    }
  }
  forgetAllPages();
  memory.fill(XTLB, CLEAR, XTLB_SIZE);
  flushAllCode();
  return true;
}

/** Stores through `entry` no longer reach frame `mfn` in line. */
@inline export function markCode(entry: usize, mfn: u32): void {
  if (isWritableFor(entry, mfn)) store<u64>(entry, load<u64>(entry) | Mark.code);
}

/** Those through any entry. */
export function markCodeEverywhere(mfn: u32): void {
  const first = tables();
  for (let chunk: usize = 0; chunk < CHUNKS; chunk++) {
    if (!isTouched(chunk)) continue;
    store<i64>(PCPU, load<i64>(PCPU, PcpuOff.budget) - 1, PcpuOff.budget); // a guest can have all of them looked at again and again
    const at = first + (chunk << 12);
    for (let entry = at; entry < at + 4096; entry += TlbOff.SIZE) markCode(entry, mfn);
  }
}

@inline function largeKey(lin: u64, shift: u32): u64 { return (lin >> shift) * 3 + shift; }
