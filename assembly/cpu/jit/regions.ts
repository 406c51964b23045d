/** The translated regions of this pCPU: making one, entering, and forgetting what was overwritten. */
import { Check, EntryOff, JitBlock, JitMemory, JitOff, HandoverOff, RegionOff } from "../../abi/jit";
import { Mode, PcpuOff, Seg } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { jitDrop, jitInstall } from "../../env";
import { BlockOff, checkStraddle, jumpCached, recordsOf } from "../code_cache";
import { raiseError } from "../../fault";
import { Vector } from "../../abi/x86";
import { flushesSoFar } from "../../mmu/code_mappings";
import { besideCode, inForce, toWriteIn } from "../../mmu/access";
import { checkPhase } from "../../mmu/journal";
import { forgetRuns, settleRuns } from "../../mmu/runs";
import { commitWrite, missR, modifies } from "../access";
import { Handler } from "../handler";
import { Template } from "../opcodes.gen";
import { PCPU, attention } from "../pcpu";
import { endSlice, performChecked, performGroup } from "../runtime";
import { J, jget, jset } from "./buffer";
import { enterChecked, mayPerform, performed } from "./check";
import { assemble } from "./module";
import { stay } from "./climb";
import { entryAt } from "./entries";
import { ELSEWHERE, followLink, forgetHandover, forgetHandovers, handover, learn, pagesOf, remember } from "./handover";
import { armOf, hasArm } from "./arms";
import { blockOf, headOf, ordered } from "./graph";
import { beginPath, forgetPath, isAwaited } from "./path";
import { discover } from "./region";
import { countDeath, forgetRestless } from "./restless";
import { runsOf, setRunsOf } from "./runs";
import { forgetSpans, recordOf } from "./span_runtime";
import { emitRegion } from "./structure";
import { forgetWindows } from "./window_runtime";

/** Slots that are looked at for one that was not in use lately. */
const LOOKS: u32 = 64;

/** Table of regions, in front of the record cache: heads() begins behind it (code_cache). */
@inline export function regionAt(n: u32): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + <usize>n * RegionOff.SIZE; }
/** Table of their entries: MAX for each. */
@inline export function entryOff(e: u32): usize {
  return <usize>load<u32>(PCPU, PcpuOff.codeBase) + RegionOff.MAX * RegionOff.SIZE + <usize>e * EntryOff.SIZE;
}

/** Entry `e` is what the block at `head` leads to, and no later one is. */
@inline export function isEnteredBy(head: usize, e: u32): bool { return load<u16>(head, RecOff.handler) == Handler.region && load<u32>(head, BlockOff.samples) == e; }

/** Writes the region's function; false if that cannot be. */
function writeBody(): bool {
  jset(JitOff.bad, 0);
  jset(JitOff.at, <u32>(J + JitOff.body));
  emitRegion();
  return !jget(JitOff.bad) && jget(JitOff.at) <= <u32>(J + JitOff.bodyEnd);
}

/** Makes a region that begins with the block at `head`, on the page at `ripBase`. If it can be, the block has Handler.region then. */
export function translate(head: usize, ripBase: u64): void {
  jset(JitOff.storeArms, 1);
  jset(JitOff.regionRuns, 0);
  if (!discover(head, ripBase)) return;
  const n = freeRegion();
  jset(JitOff.writing, n);
  if (!writeBody() && (jget(JitOff.storeArms) || !discover(head, ripBase) || !writeBody())) return;
  const length = assemble(jget(JitOff.at));
  if (!length) return;
  if (!jitInstall(<u32>(J + JitOff.module), length, jget(JitOff.table) + n)) {
    jset(JitOff.failures, jget(JitOff.failures) + 1);
    if (jget(JitOff.failures) > 3) jset(JitOff.memory, JitMemory.off);
    return;
  }
  const r = regionAt(n), count = jget(JitOff.order), entries = jget(JitOff.entryCount), first: u32 = jget(JitOff.root) ? 1 : 0;
  store<u32>(r, entries, RegionOff.entries);
  setRunsOf(n, jget(JitOff.regionRuns));
  store<u32>(r, 0, RegionOff.blocks);
  store<u32>(r, 0, RegionOff.pages);
  for (let i = first; i < count; i++) {
    const n = ordered(i);
    addBlock(r, n);
    if (hasArm(n)) addBlock(r, armOf(n));
  }
  markBlocks(r);
  for (let k: u32 = 0; k < entries; k++) {
    const b = blockOf(entryAt(k)), h = headOf(b), e = n * EntryOff.MAX + k;
    store<u64>(entryOff(e), load<u64>(b, JitBlock.ripBase));
    store<u32>(entryOff(e), <u32>h, EntryOff.head);
    store<u32>(entryOff(e), 1 << load<u8>(b, JitBlock.page), EntryOff.page);
    store<u16>(h, Handler.region, RecOff.handler);
    store<u32>(h, e, BlockOff.samples);
  }
  jset(JitOff.translated, jget(JitOff.translated) + 1);
  jset(JitOff.bytes, jget(JitOff.bytes) + length);
}

/** Block `n` of the region that was written belongs to `r`. */
function addBlock(r: usize, n: u32): void {
  const count = load<u32>(r, RegionOff.blocks);
  store<u32>(r + (<usize>count << 2), <u32>headOf(blockOf(n)), RegionOff.list);
  store<u32>(r, count + 1, RegionOff.blocks);
}

/** A slot for a new region; when all are taken the oldest go, those that were in use lately only at a second look. */
function freeRegion(): u32 {
  let n = jget(JitOff.nextRegion);
  for (let looks: u32 = 0; looks < LOOKS && load<u8>(regionAt(n), RegionOff.used); looks++) {
    store<u8>(regionAt(n), 0, RegionOff.used);
    n = n + 1 == RegionOff.MAX ? 0 : n + 1;
  }
  jset(JitOff.nextRegion, n + 1 == RegionOff.MAX ? 0 : n + 1);
  forget(n);
  if (n >= jget(JitOff.regions)) jset(JitOff.regions, n + 1);
  return n;
}

function forget(n: u32): void {
  const r = regionAt(n), entries = load<u32>(r, RegionOff.entries);
  if (!entries) return;
  store<u32>(r, 0, RegionOff.entries);
  store<u32>(r, 0, RegionOff.used); // and what follows
  setRunsOf(n, 0);
  jitDrop(jget(JitOff.table) + n, 1);
  for (let k: u32 = 0; k < entries; k++) {
    const e = n * EntryOff.MAX + k, head = <usize>load<u32>(entryOff(e), EntryOff.head);
    forgetHandover(load<u64>(entryOff(e)) + load<u16>(head, BlockOff.off));
    store<u64>(entryOff(e), 1);
    if (!isEnteredBy(head, e)) continue;
    store<u16>(head, Handler.head, RecOff.handler);
    store<u32>(head, 0, BlockOff.samples);
  }
}

/** Blocks of region `n`, which is no more, are no longer shared. */
function unmark(n: u32): void {
  const r = regionAt(n);
  for (let i: u32 = 0; i < load<u32>(r, RegionOff.blocks); i++) store<u8>(blockIn(r, i), <u8>recordsOf(blockIn(r, i)), BlockOff.records);
}

/** But those that others have, too. */
function markAll(): void {
  for (let k: u32 = 0; k < jget(JitOff.regions); k++) if (load<u32>(regionAt(k), RegionOff.entries)) markBlocks(regionAt(k));
}

@inline function blockIn(r: usize, i: u32): usize { return <usize>load<u32>(r + (<usize>i << 2), RegionOff.list); }

/** Some region contains the blocks of `r`. */
function markBlocks(r: usize): void {
  for (let i: u32 = 0; i < load<u32>(r, RegionOff.blocks); i++) {
    const h = blockIn(r, i);
    store<u8>(h, load<u8>(h, BlockOff.records) | BlockOff.IN_REGION, BlockOff.records);
  }
}

/** The region that is entered at `head` is to be made anew, now that more is known. */
export function retranslate(head: usize): void {
  if (load<u16>(head, RecOff.handler) == Handler.region) drop(load<u32>(head, BlockOff.samples) / EntryOff.MAX);
}

/** The region that runs is to be made anew. */
export function retire(): void { drop(jget(JitOff.running)); }

/** There is no region `n` any more. What is hot of it may become one anew. */
export function drop(n: u32): void {
  forget(n);
  unmark(n);
  markAll();
}

/** Some runs are in doubt. Regions that rely on one that is no more go with it. */
function settle(): void {
  const parked = jget(JitOff.runsParked), ended = settleRuns();
  if (jget(JitOff.runsParked) != parked) forgetHandovers(); // they do not ask whose run it is
  if (!ended) return;
  for (let n: u32 = 0; n < jget(JitOff.regions); n++) {
    if (!(runsOf(n) & ended)) continue;
    forget(n);
    unmark(n);
  }
  markAll();
}

/** A block that belongs to regions is overwritten. */
export function dropRegionsOf(head: usize): void {
  countDeath(load<u32>(head, BlockOff.maddr));
  const regions = jget(JitOff.regions);
  for (let n: u32 = 0; n < regions; n++) {
    const r = regionAt(n);
    if (!load<u32>(r, RegionOff.entries)) continue;
    const count = load<u32>(r, RegionOff.blocks);
    for (let i: u32 = 0; i < count; i++) {
      if (blockIn(r, i) != head) continue;
      forget(n);
      break;
    }
  }
  jset(JitOff.leave, 1);
}

/** All records are dropped. */
export function dropRegions(): void {
  const regions = jget(JitOff.regions);
  if (regions) jitDrop(jget(JitOff.table), regions);
  memory.fill(regionAt(0), 0, RegionOff.TABLES);
  forgetHandovers();
  memory.fill(J + JitOff.targets, 0, JitOff.hints - JitOff.targets);
  forgetRestless();
  memory.fill(J + JitOff.x87Fruitless, 0, 128);
  forgetSpans();
  forgetWindows();
  forgetRuns();
  for (let n: u32 = 0; n < regions; n++) setRunsOf(n, 0);
  stay();
  forgetPath();
  jset(JitOff.regions, 0);
  jset(JitOff.nextRegion, 0);
  jset(JitOff.leave, 1);
}

/** Pages of region `r` that need no look. */
@inline function knownPages(r: usize): u32 { return load<u32>(r, RegionOff.flushes) == flushesSoFar() ? load<u32>(r, RegionOff.pages) : 0; }

/** Handler.region: runs the translation of the block at `u`, and those it hands over to; the next record. Exported so that it stays a function
 *  of its own: within run() each call would have that function's many values to keep. */
export function enterRegion(u: usize): usize {
  for (;;) {
    if (jget(JitOff.runsDoubt)) settle();
    let rip = load<u64>(PCPU, PcpuOff.rip);
    if (u != ELSEWHERE) {
      u = followLink(u);
      if (load<u16>(u, RecOff.handler) != Handler.region) return u;
      rip = load<u64>(PCPU, PcpuOff.ripBase) + load<u16>(u, BlockOff.off);
    }
    let to = handover(rip);
    if (!to) {
      if (u == ELSEWHERE) {
        u = jumpCached(rip);
        if (load<u16>(u, RecOff.handler) != Handler.region) return u;
      }
      const left = load<i32>(PCPU, PcpuOff.left), rest = left - <i32>load<u16>(u, BlockOff.count);
      if (rest < 0) {
        store<i32>(PCPU, rest, PcpuOff.left);
        return endSlice(u);
      }
      const e = load<u32>(u, BlockOff.samples), at = entryOff(e), n = e / EntryOff.MAX, page = load<u32>(at, EntryOff.page), pages = page | knownPages(regionAt(n));
      if (load<u64>(at) != load<u64>(PCPU, PcpuOff.ripBase) || <usize>load<u32>(at, EntryOff.head) != u || runsOf(n) & jget(JitOff.runsParked) || !isWithinSegment(load<u64>(PCPU, PcpuOff.ripBase))) {
        // the same bytes mapped elsewhere, a region that is no more, or one that knows another domain's memory, or a page that is not all within its segment
        store<i32>(PCPU, rest, PcpuOff.left);
        return u + RecOff.SIZE;
      }
      if (isAwaited(u)) {
        beginPath(u);
        store<i32>(PCPU, rest, PcpuOff.left);
        return endSlice(u);
      }
      if (checkPhase()) {
        begin(n, e % EntryOff.MAX, pages, 0);
        jset(JitOff.entered, jget(JitOff.entered) + 1);
        return enterChecked(u, n);
      }
      if (!(load<u32>(PCPU, PcpuOff.mode) & Mode.flat)) {
        begin(n, e % EntryOff.MAX, pages, 0);
        u = <usize>call_indirect<u32>(jget(JitOff.table) + n);
        if (load<u32>(PCPU, PcpuOff.lookAt)) attention();
        continue;
      }
      to = remember(u, e, page, pages);
    }
    begin(load<u16>(to, HandoverOff.region), load<u16>(to, HandoverOff.entry), pagesOf(to), to);
    jset(JitOff.entered, jget(JitOff.entered) + 1);
    u = <usize>call_indirect<u32>(load<u32>(to, HandoverOff.slot));
    if (load<u32>(PCPU, PcpuOff.lookAt)) attention(); // the region has kept count, and may have left behind a call
  }
  return 0;
}

/** Branches within the page in force need no look at the code segment's limit, nor do instruction pointers of 16 bits wrap there. */
export function isWithinSegment(ripBase: u64): bool {
  const mode = load<u32>(PCPU, PcpuOff.mode), last = ripBase + 4095;
  return (mode & Mode.flat) != 0 || (last <= <u64>load<u32>(PCPU, PcpuOff.segLimit + Seg.cs * 4) && (last <= 0xffff || (mode & Mode.BITS) != Mode.bits16));
}

/** Entry `e` is what the page in force is entered by. */
@inline export function isEntered(e: u32): bool { return load<u64>(entryOff(e)) == load<u64>(PCPU, PcpuOff.ripBase); }

/** What region `n` looks at where it is entered. */
@inline function begin(n: u32, entry: u32, pages: u32, by: usize): void {
  jset(JitOff.leave, 0);
  jset(JitOff.entry, entry);
  jset(JitOff.running, n);
  jset(JitOff.pages, pages);
  jset(JitOff.handover, <u32>by);
}

/* Called by emitted code. */

/** Host address of an access that missed the TLB, or 0 with the fault of record `u` pending. */
export function jitMissR(lin: u64, size: i32, u: usize): usize {
  u = recordOf(u);
  const host = missR(lin, size);
  if (!host) store<u32>(PCPU, <u32>u, PcpuOff.record);
  return host;
}

export function jitMissW(lin: u64, size: i32, u: usize): usize {
  const beside = besideCode(lin, size);
  jset(JitOff.doubt, beside ? 0 : 1);
  if (beside) return beside;
  u = recordOf(u);
  const t = <i32>load<u16>(u, RecOff.desc) >> 9, sse = load<u16>(u, RecOff.handler) == Handler.cold; // which replace all of their bytes, too
  // a call has no record after it, where the run loop might look at what a device did
  store<u32>(PCPU, !sse && (t == Template.call || t == Template.callInd) ? 0 : <u32>u, PcpuOff.record);
  const host = toWriteIn(lin, size, inForce(), !sse && modifies(t));
  if (!host) store<u32>(PCPU, <u32>u, PcpuOff.record);
  return host;
}

/** Something was stored to `host` that was not found in the TLB. A write may have been prepared before by an instruction that faulted
 *  after all: only what went to the bounce buffer is carried out. */
export function jitStored(host: usize): u32 {
  if (host == PCPU + PcpuOff.scratchW) commitWrite();
  return jget(JitOff.leave) | load<u32>(PCPU, PcpuOff.lookAt);
}

export function jitCold(u: usize): usize {
  const checked = checkPhase() == Check.region;
  if (checked && !mayPerform(u)) return u;
  store<u32>(PCPU, <u32>u, PcpuOff.record);
  const next = load<u16>(u, RecOff.handler) == Handler.cold ? performGroup(u) : performChecked(u, false);
  if (checked) performed();
  if (load<u32>(PCPU, PcpuOff.lookAt)) jset(JitOff.leave, 1);
  return next;
}

/** The region that runs goes on at `rip`, on a page that it has not looked for since the last flush: `head` if that is still there. */
export function jitPage(rip: u64, head: usize, page: u32): usize {
  const n = jumpCached(rip);
  if (n != head) return n;
  if (jget(JitOff.leave)) { // the search dropped all records, and the block there now has got the place of the one meant
    store<u64>(PCPU, rip, PcpuOff.rip);
    return ELSEWHERE;
  }
  const r = regionAt(jget(JitOff.running));
  store<u32>(r, knownPages(r) | page, RegionOff.pages);
  store<u32>(r, flushesSoFar(), RegionOff.flushes);
  jset(JitOff.pages, jget(JitOff.pages) | page);
  learn(page);
  return head;
}

/** Before the instruction that crosses a page, with the head `u`: its record, if the next page is the one it was decoded from. */
export function jitStraddle(u: usize): usize {
  const n = checkStraddle(u);
  return n == u + RecOff.SIZE && jget(JitOff.leave) ? ELSEWHERE : n; // a block that was decoded meanwhile may have got that place
}

export function jitBadTarget(u: usize): usize {
  store<u32>(PCPU, <u32>u, PcpuOff.record);
  return raiseError(Vector.GP, 0);
}
