/** Which pages code may be entered on without a walk, each by a number that stands for page, frame and privilege together.
 *
 *  ```
 *  codePages     u32[4096] by page: number << 12 of one that is translated now, 0 none
 *  codePageTags  u64[4096] beside it: whose number it is: the page's address, 1 user
 *  codeNumbers   2048 x 2 x 16 B by hash: what a number stands for u64, the number u32
 *  what          63..28 linear page  27..8 its frame  0 user
 *  ```
 *  What the jump cache (cpu/jump_cache) and handovers (cpu/jit/handover) know holds for a number. Whatever takes translations away takes pages out of the first
 *  table, and leaves what is known about their numbers alone. Code that runs again after a CR3 write is walked to once for each page: if that
 *  leads to the frame it led to before the number is the same, and all that was known holds again. Numbers are not used twice
 *  until all records are dropped.
 *
 *  INVLPG asks the filters whether code was found through a page since the last flush, which the table may have forgotten. */
import { Check, JitOff } from "../abi/jit";
import { Mode, PcpuOff } from "../abi/layout";
import { PCPU } from "../cpu/pcpu";
import { FILTER_SIZE, setBit, testBit } from "./filter";
import { checkPhase, noteCodePage } from "./journal";

const MASK: usize = 4095;
const LOG_MAX: u32 = 8192;
const LAST_NUMBER: u32 = 0xfffff;
const LOCAL: usize = PCPU + PcpuOff.pageFilter + FILTER_SIZE;
const GLOBAL: usize = LOCAL + FILTER_SIZE;

@inline function indexOf(lin: u64): usize { return (<usize>lin >> 12) & MASK; }

/** Number << 12 of the page of `lin`, or of another one that shares its place (isCodePage), or 0. */
@inline export function codePage(lin: u64): u32 { return load<u32>(PCPU + (indexOf(lin) << 2), PcpuOff.codePages); }

@inline function whose(lin: u64): u64 { return load<u64>(PCPU + (indexOf(lin) << 3), PcpuOff.codePageTags); }
@inline function owner(lin: u64, mode: u32): u64 { return (lin & ~(<u64>0xfff)) | (mode & Mode.cpl3 ? 1 : 0); }

/** That number is of the page of `lin`, all of whose bits are compared: then it is canonical, too. */
@inline export function isCodePage(lin: u64): bool { return (whose(lin) ^ lin) < 4096; }

/** Number << 12 of the page of `lin` if it is translated now, for the privilege of `mode`; 0 if that is not known. */
export function codePageOf(lin: u64, mode: u32): u32 { return whose(lin) == owner(lin, mode) ? codePage(lin) : 0; }

@inline function tagOf(lin: u64, maddr: u32, mode: u32): u64 { return lin >> 12 << 28 | <u64>(maddr >> 12 << 8) | (mode & Mode.cpl3 ? 1 : 0); }

/** A fetch for code of `mode` on the page of `lin` has just led to `maddr`. */
export function mapCode(lin: u64, maddr: u32, mode: u32, global: bool): void {
  const number = numberOf(tagOf(lin, maddr, mode)) << 12, slot = PCPU + (indexOf(lin) << 2);
  if (load<u32>(slot, PcpuOff.codePages) == number) return;
  store<u32>(slot, number, PcpuOff.codePages);
  store<u64>(PCPU + (indexOf(lin) << 3), owner(lin, mode), PcpuOff.codePageTags);
  if (checkPhase() == Check.region) noteCodePage(slot + PcpuOff.codePages);
  setBit(global ? GLOBAL : LOCAL, lin >> 12);
  if (global) return;
  if (!(mode & Mode.cpl3)) store<u32>(PCPU + PcpuOff.JIT, 1, JitOff.localCode);
  const count = load<u32>(PCPU, PcpuOff.codePageLogged);
  if (count < LOG_MAX) store<u32>(PCPU + (<usize>count << 2), <u32>slot, PcpuOff.codePageLog);
  if (count <= LOG_MAX) store<u32>(PCPU, count + 1, PcpuOff.codePageLogged);
}

function numberOf(tag: u64): u32 {
  const one = PCPU + (<usize>((tag * 0x9e3779b97f4a7c15) >> 53) << 5), other = one + 16;
  const first = load<u32>(one, PcpuOff.codeNumbers + 8), second = load<u32>(other, PcpuOff.codeNumbers + 8);
  if (load<u64>(one, PcpuOff.codeNumbers) == tag && first) return first;
  if (load<u64>(other, PcpuOff.codeNumbers) == tag && second) return second;
  const at = first < second ? one : other; // the older one is less likely to be asked for again
  const number = load<u32>(PCPU, PcpuOff.lastNumber) + 1;
  store<u32>(PCPU, number, PcpuOff.lastNumber);
  store<u64>(at, tag, PcpuOff.codeNumbers);
  store<u32>(at, number, PcpuOff.codeNumbers + 8);
  return number;
}

/** No number is left: all records must be dropped. */
@inline export function numbersAreUsedUp(): bool { return load<u32>(PCPU, PcpuOff.lastNumber) >= LAST_NUMBER; }

/** All records were dropped, and with them whatever was known of any number. */
export function forgetNumbers(): void {
  memory.fill(PCPU + PcpuOff.codeNumbers, 0, (MASK + 1) << 4);
  store<u32>(PCPU, 0, PcpuOff.lastNumber);
  flushAllCode();
}

/** CR3 was written: pages reached through non-global mappings must be walked to again. */
export function flushCode(): void {
  const count = load<u32>(PCPU, PcpuOff.codePageLogged);
  if (!count) return;
  if (count > LOG_MAX) return flushAllCode();
  for (let at = PCPU + PcpuOff.codePageLog, end = at + (<usize>count << 2); at < end; at += 4) {
    store<u32>(<usize>load<u32>(at), 0, PcpuOff.codePages);
  }
  store<u32>(PCPU, 0, PcpuOff.codePageLogged);
  memory.fill(LOCAL, 0, FILTER_SIZE);
  const jit = PCPU + PcpuOff.JIT;
  store<u32>(jit, load<u32>(jit, JitOff.userFlushes) + 1, JitOff.userFlushes);
  if (!load<u32>(jit, JitOff.localCode) && !(load<u32>(PCPU, PcpuOff.mode) & Mode.cpl3)) return;
  store<u32>(jit, 0, JitOff.localCode);
  store<u32>(jit, load<u32>(jit, JitOff.flushes) + 1, JitOff.flushes);
  store<u32>(jit, 0, JitOff.pages);
}

/** Any page may be mapped elsewhere by now. */
export function flushAllCode(): void {
  memory.fill(PCPU + PcpuOff.codePages, 0, (MASK + 1) << 2);
  memory.fill(LOCAL, 0, 2 * FILTER_SIZE);
  store<u32>(PCPU, 0, PcpuOff.codePageLogged);
  store<u32>(PCPU + PcpuOff.JIT, 0, JitOff.localCode);
  doubtPages();
}

/** INVLPG of the page of `lin`, global or not. False if no code has been found through it. */
export function flushCodePage(lin: u64): bool {
  if (!testBit(LOCAL, lin >> 12) && !testBit(GLOBAL, lin >> 12)) return false;
  store<u32>(PCPU + (indexOf(lin) << 2), 0, PcpuOff.codePages);
  doubtPages();
  return true;
}

/** What translated code knows about its pages' mappings is to be asked anew. */
function doubtPages(): void {
  const jit = PCPU + PcpuOff.JIT;
  store<u32>(jit, load<u32>(jit, JitOff.flushes) + 1, JitOff.flushes);
  store<u32>(jit, load<u32>(jit, JitOff.userFlushes) + 1, JitOff.userFlushes);
  store<u32>(jit, 0, JitOff.pages);
}

/** Counts what may have taken mappings away from code of the mode in force. The kernel's are global in most systems: CR3 writes leave them alone. */
@inline export function flushesSoFar(): u32 {
  return load<u32>(PCPU, PcpuOff.mode) & Mode.cpl3 ? load<u32>(PCPU + PcpuOff.JIT, JitOff.userFlushes) : load<u32>(PCPU + PcpuOff.JIT, JitOff.flushes);
}
