/** While translated code is checked against the interpreter (cpu/jit/check): what the region changes, so that it can be undone, and what
 *  must not happen twice. Everything that leaves the inline path comes by here: pages that are about to change, translations that are
 *  filled, accesses to devices. */
import { Check, CheckNote, CheckOff, JitOff } from "../abi/jit";
import { FrameOff, PcpuOff } from "../abi/layout";
import { Pte } from "../abi/x86";
import { PCPU } from "../cpu/pcpu";
import { unwind } from "../env";
import { frameOf } from "./p2m";

@inline export function area(off: usize): usize { return <usize>load<u32>(PCPU + PcpuOff.JIT, JitOff.checkAt) + off; }
@inline export function cget(off: usize): u32 { return load<u32>(area(off)); }
@inline export function cset(off: usize, value: u32): void { store<u32>(area(off), value); }
@inline export function note(bits: u32): void { cset(CheckOff.notes, cget(CheckOff.notes) | bits); }

/** A Check. */
@inline export function checkPhase(): i32 { return load<i32>(PCPU + PcpuOff.JIT, JitOff.check); }

/** Something follows that cannot be undone. From a helper this does not return. */
export function cut(): void {
  if (cget(CheckOff.notes) & CheckNote.cold) {
    note(CheckNote.spoiled);
    unwind();
  }
  note(CheckNote.cut);
}

/** Where the page of `host` is kept as it was; 0 if it is not. */
function savedPage(host: usize): usize {
  const page = host & ~4095, count = cget(CheckOff.pages);
  for (let i: u32 = 0; i < count; i++) if (<usize>load<u32>(area(CheckOff.list) + (<usize>i << 2)) == page) return area(CheckOff.pagesBefore) + (<usize>i << 12);
  return 0;
}

/** The page of `host` is about to change; false if there is no room to keep it. */
function savePage(host: usize): bool {
  const page = host & ~4095, count = cget(CheckOff.pages);
  if (savedPage(host)) return true;
  if (count == CheckOff.MAX_PAGES) return false;
  store<u32>(area(CheckOff.list) + (<usize>count << 2), <u32>page);
  memory.copy(area(CheckOff.pagesBefore) + (<usize>count << 12), page, 4096);
  cset(CheckOff.pages, count + 1);
  return true;
}

@inline function hitsCode(host: usize, len: u32): bool {
  const first = (<u32>host & 0xfff) >>> 7, count = (((<u32>host & 0xfff) + len - 1) >>> 7) - first;
  return (load<u32>(frameOf(host), FrameOff.code) & (((<u32>2 << count) - 1) << first)) != 0;
}

/** Whether `len` bytes at `host` may be written now: if not the access ends, as by a fault. */
export function mayWrite(host: usize, len: u32): bool {
  if (checkPhase() == Check.replay) {
    if (!savePage(host)) note(CheckNote.spoiled);
    return true;
  }
  if (!hitsCode(host, len) && savePage(host)) return true;
  cut();
  return false;
}

/** A page walk sets flags at `host`. A `fetch` is made once, by whoever comes by first: the block it is for stays decoded, and so does the flag. */
export function tableWritten(host: usize, fetch: bool): void {
  if (hitsCode(host, 8)) note(CheckNote.spoiled);
  if (checkPhase() == Check.region) noteWalk(host);
  if (!fetch) {
    if (!savePage(host)) note(CheckNote.spoiled);
    return;
  }
  const saved = savedPage(host);
  if (saved) store<u8>(saved + (host & 4095), load<u8>(saved + (host & 4095)) | <u8>Pte.A);
}

function noteWalk(host: usize): void {
  const n = cget(CheckOff.walks);
  store<u32>(area(CheckOff.walkList) + (<usize>(n % CheckOff.MAX_WALKS) << 2), <u32>host);
  cset(CheckOff.walks, n + 1);
}

/** Whether one of the last page walks of the region has set a flag in the 8 bytes at `host`. */
export function wasWalked(host: usize): bool {
  const n = min(cget(CheckOff.walks), <u32>CheckOff.MAX_WALKS);
  for (let i: u32 = 0; i < n; i++) if ((load<u32>(area(CheckOff.walkList) + (<usize>i << 2)) ^ <u32>host) < 8) return true;
  return false;
}

/** A TLB entry was filled while a region runs. */
export function noteFill(entry: usize): void { append(CheckOff.fills, CheckOff.fillList, CheckOff.MAX_FILLS, entry); }
/** A page with code was found to be mapped while a region runs. */
export function noteCodePage(slot: usize): void { append(CheckOff.codePages, CheckOff.codePageList, CheckOff.MAX_CODE_PAGES, slot); }
/** A writable TLB entry was filled, at whatever time. */
export function noteWritable(entry: usize): void { append(CheckOff.writables, CheckOff.writableList, CheckOff.MAX_WRITABLES, entry); }

function append(count: usize, list: usize, most: u32, entry: usize): void {
  const n = cget(count);
  if (n < most) store<u32>(area(list) + (<usize>n << 2), <u32>entry);
  if (n <= most) cset(count, n + 1);
}
