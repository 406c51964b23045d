/** Translated code checked against the interpreter, at every entry of a region: the region runs, what it changed is noted and undone,
 *  the interpreter performs the same instructions from the same state, and both results are compared. What the interpreter did stays.
 *
 *  Memory: while checking is on, the writable TLB entries go at each entry, so that the first store to a page comes by here and the page is
 *  copied. Undone as well are translations made meanwhile (the walks for them set accessed and dirty flags).
 *
 *  What cannot be undone is not begun: before devices, system instructions and stores into code the region is made to leave, as if by a
 *  fault, and is compared there; the interpreter performs it once and for all. A helper that reaches a device in its middle gives this
 *  entry's check up. Nobody else may write to the guest's memory meanwhile: machines without threads only. */
import { Check, CheckNote, CheckOff, Difference, JitOff } from "../../abi/jit";
import { Exit } from "../../abi/exit";
import { Pte } from "../../abi/x86";
import { PcpuOff } from "../../abi/layout";
import { BlockOff, RecOff } from "../../abi/record";
import { area, cget, checkPhase, cset, note, wasWalked } from "../../mmu/journal";
import { forgetAllPages } from "../../mmu/second_level";
import { forgetTables } from "../../mmu/table_cache";
import { emptyAny, flushTlbAll } from "../../mmu/tlb";
import { checkStraddle, jumpCached, linkTaken } from "../code_cache";
import { materialize } from "../flags";
import { Handler } from "../handler";
import { Group } from "../opcodes.gen";
import { PCPU, endLook } from "../pcpu";
import { performFlat } from "../perform";
import { performChecked, performCold } from "../runtime";
import { jget, jset } from "./buffer";
import { ELSEWHERE, followLink } from "./handover";

/** Whether the helper of record `u` may be called: what leads out of the processor is not repeated. */
export function mayPerform(u: usize): bool {
  if (load<u16>(u, RecOff.handler) == Handler.cold && load<u8>(u, RecOff.desc + 1) == Group.system) {
    note(CheckNote.cut);
    return false;
  }
  note(CheckNote.cold);
  return true;
}

export function performed(): void { cset(CheckOff.notes, cget(CheckOff.notes) & ~CheckNote.cold); }

/* Before and behind. */

/** Region `n` is entered at `u`: the record to go on at, as the interpreter has it. */
export function enterChecked(u: usize, n: u32): usize {
  evictWritables();
  memory.copy(area(CheckOff.before), PCPU, CheckOff.STATE);
  cset(CheckOff.head, <u32>u);
  cset(CheckOff.region, n);
  cset(CheckOff.epoch, load<u32>(PCPU, PcpuOff.codeEpoch));
  cset(CheckOff.notes, 0);
  cset(CheckOff.pages, 0);
  cset(CheckOff.fills, 0);
  cset(CheckOff.walks, 0);
  cset(CheckOff.codePages, 0);
  jset(JitOff.check, Check.region);
  const record = <usize>call_indirect<u32>(jget(JitOff.table) + n);
  return left(record == ELSEWHERE ? jumpCached(load<u64>(PCPU, PcpuOff.rip)) : followLink(record));
}

/** run() begins anew while a check goes on: something has unwound. 0: a fault is pending. */
export function checkUnwound(): usize {
  return checkPhase() == Check.region ? left(0) : settle(0);
}

/** The region left to `record`. */
function left(record: usize): usize {
  const notes = cget(CheckOff.notes);
  if (load<u32>(PCPU, PcpuOff.codeEpoch) != cget(CheckOff.epoch)) return giveUp(record); // its records are gone: there is nothing to repeat
  if (notes & CheckNote.spoiled) {
    undo();
    const head = <usize>cget(CheckOff.head);
    store<i32>(PCPU, load<i32>(PCPU, PcpuOff.left) - <i32>load<u16>(head, BlockOff.count), PcpuOff.left);
    return giveUp(load<u16>(head, RecOff.handler) == Handler.region ? head + RecOff.SIZE : head);
  }
  if (!record && notes & CheckNote.cut) record = <usize>load<u32>(PCPU, PcpuOff.record);
  materialize();
  memory.copy(area(CheckOff.after), PCPU, CheckOff.STATE);
  cset(CheckOff.record, <u32>record);
  cset(CheckOff.left, load<u32>(PCPU, PcpuOff.left));
  undo();
  jset(JitOff.check, Check.replay);
  return replay(<usize>cget(CheckOff.head));
}

function giveUp(record: usize): usize {
  cset(CheckOff.given, cget(CheckOff.given) + 1);
  jset(JitOff.check, Check.idle);
  return record;
}

function restore(from: usize, to: usize): void { memory.copy(PCPU + from, area(CheckOff.before) + from, to - from); }

function undo(): void {
  endLook();
  const pages = cget(CheckOff.pages);
  for (let i: u32 = 0; i < pages; i++) {
    const page = <usize>load<u32>(area(CheckOff.list) + (<usize>i << 2)), at = <usize>i << 12;
    memory.copy(area(CheckOff.pagesAfter) + at, page, 4096);
    memory.copy(page, area(CheckOff.pagesBefore) + at, 4096);
  }
  cset(CheckOff.regionPages, pages);
  restore(0, PcpuOff.STATE_SIZE);
  restore(PcpuOff.record, PcpuOff.retired);
  restore(PcpuOff.budget, PcpuOff.codeBase);
  restore(PcpuOff.delivering, PcpuOff.lookHandler + 4);
  const fills = cget(CheckOff.fills), found = cget(CheckOff.codePages);
  if (fills > <u32>CheckOff.MAX_FILLS || found > <u32>CheckOff.MAX_CODE_PAGES) flushTlbAll();
  else {
    for (let i: u32 = 0; i < fills; i++) emptyAny(<usize>load<u32>(area(CheckOff.fillList) + (<usize>i << 2)));
    for (let i: u32 = 0; i < found; i++) store<u32>(<usize>load<u32>(area(CheckOff.codePageList) + (<usize>i << 2)), 0);
    evictWritables();
  }
  forgetTables();
  forgetAllPages();
}

function evictWritables(): void {
  const count = cget(CheckOff.writables);
  if (count > <u32>CheckOff.MAX_WRITABLES) flushTlbAll();
  else for (let i: u32 = 0; i < count; i++) emptyAny(<usize>load<u32>(area(CheckOff.writableList) + (<usize>i << 2)));
  cset(CheckOff.writables, 0);
}

@inline function isInside(u: usize): bool {
  const handler = <i32>load<u16>(u, RecOff.handler);
  return handler >= Handler.any && handler != Handler.dead && handler != Handler.region;
}

/** The same place. What the region wrote and then jumped to was decoded while it ran; repeated, the store drops that block. Where blocks end with
 *  the same instructions the region may be in another one of them. */
function isThere(u: usize, record: usize): bool {
  if (u == record) return true;
  if (u != 0 && record != 0 && isInside(u) && isInside(record)) return load<u16>(u, RecOff.off) == load<u16>(record, RecOff.off) && sameWord(PcpuOff.ripBase) && sameWord(PcpuOff.ripBase + 4);
  // links of the interpreter may lead to a block that was overwritten, and looks its address up then, as the region has done at once
  const dead = u != 0 && record != 0 && (load<u16>(record, RecOff.handler) == Handler.dead || load<u16>(u, RecOff.handler) == Handler.dead);
  return dead && load<u16>(u, RecOff.off) == load<u16>(record, RecOff.off);
}

/** Instructions of the slice so far. What is left of it does not tell: attention() makes it 0, also when it was less. */
function done(state: usize): i32 { return load<i32>(state, PcpuOff.sliceLength) - load<i32>(state, PcpuOff.left); }

/** The interpreter, a record at a time, to where the region left. */
function replay(u: usize): usize {
  const record = <usize>cget(CheckOff.record), last = done(area(CheckOff.after)), epoch = cget(CheckOff.epoch);
  while (u) {
    const rest = load<i32>(PCPU, PcpuOff.left);
    if (done(PCPU) > last || (done(PCPU) == last && isThere(u, record))) break;
    if (load<u32>(PCPU, PcpuOff.codeEpoch) != epoch) return giveUp(u);
    const handler = <i32>load<u16>(u, RecOff.handler);
    if (handler == Handler.head || handler == Handler.region) {
      store<i32>(PCPU, rest - <i32>load<u16>(u, BlockOff.count), PcpuOff.left);
      u += RecOff.SIZE;
    } else if (handler == Handler.straddle) {
      const next = checkStraddle(u);
      if (next == u + RecOff.SIZE) store<i32>(PCPU, rest - 1, PcpuOff.left);
      u = next;
    } else if (handler == Handler.any || handler >= Handler.hot) u = performFlat(u);
    else if (handler == Handler.cold) u = performCold(u);
    else if (handler == Handler.checked) u = performChecked(u, false);
    else if (handler == Handler.goto) {
      const n = <usize>load<u32>(u, RecOff.taken);
      u = n ? n : linkTaken(u);
    } else break;
  }
  return settle(u);
}

/** The interpreter arrived at `u`. */
function settle(u: usize): usize {
  materialize();
  cset(CheckOff.replayed, <u32>u);
  cset(CheckOff.replayedLeft, load<u32>(PCPU, PcpuOff.left));
  cset(CheckOff.checked, cget(CheckOff.checked) + 1);
  const difference = compare(u);
  cset(CheckOff.difference, difference);
  jset(JitOff.check, Check.idle);
  if (!difference) return u;
  store<i32>(PCPU, Exit.difference, PcpuOff.exit);
  return 0;
}

function compare(u: usize): u32 {
  if (load<u32>(PCPU, PcpuOff.codeEpoch) != cget(CheckOff.epoch)) return Difference.none;
  if (!isThere(u, <usize>cget(CheckOff.record)) || load<u32>(PCPU, PcpuOff.left) != cget(CheckOff.left)) return Difference.way;
  if (!u && !isThere(<usize>load<u32>(PCPU, PcpuOff.record), <usize>load<u32>(area(CheckOff.after), PcpuOff.record))) return Difference.fault;
  if (!u && !same(PcpuOff.faultVector, PcpuOff.exit)) return Difference.fault;
  // the rip word is a helper's until the next look; lazy flags were brought into RFLAGS
  if (!same(0, PcpuOff.rip) || !same(PcpuOff.rflags, PcpuOff.flagsKind) || !same(PcpuOff.tlbBase, PcpuOff.apic)) return Difference.state;
  if (cget(CheckOff.notes) & CheckNote.spoiled) return Difference.none;
  const pages = cget(CheckOff.pages), written = cget(CheckOff.regionPages);
  for (let i: u32 = 0; i < pages; i++) {
    const page = <usize>load<u32>(area(CheckOff.list) + (<usize>i << 2));
    const wanted = area(i < written ? CheckOff.pagesAfter : CheckOff.pagesBefore) + (<usize>i << 12);
    for (let at: usize = 0; at < 4096; at += 8) {
      if (load<u64>(page + at) == load<u64>(wanted + at) || isAhead(page + at, load<u64>(wanted + at))) continue;
      cset(CheckOff.where, <u32>(page + at));
      return Difference.memory;
    }
  }
  return Difference.none;
}

/** A page walk has been made for an access before which the region left: its flags are those of an instruction that is yet to come. Where the region was made
 *  to leave that may be any access; where it left by itself, for an operand that is the interpreter's, a load: the flag of a store comes with the store. */
function isAhead(host: usize, wanted: u64): bool {
  const flags: u64 = cget(CheckOff.notes) & CheckNote.cut ? Pte.A | Pte.D : Pte.A, both = flags | flags << 32, now = load<u64>(host);
  return (now | both) == (wanted | both) && (now & ~wanted) == 0 && wasWalked(host);
}

@inline function sameWord(at: usize): bool { return load<u32>(PCPU + at) == load<u32>(area(CheckOff.after) + at); }

/** Bytes [from, to) of the pCPU block are as the region left them. */
function same(from: usize, to: usize): bool {
  for (let at = from; at < to; at += 4) {
    if (sameWord(at)) continue;
    cset(CheckOff.where, <u32>at);
    return false;
  }
  return true;
}
