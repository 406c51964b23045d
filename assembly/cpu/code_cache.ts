/** The record cache of this pCPU: basic blocks keyed by machine address and mode, found through a hash table, chained per
 *  frame for invalidation, filled by the decoder from a bump pointer and dropped as a whole when full.
 *
 *  ```
 *  codeBase   tables of regions and of the TLB
 *  + BEFORE   u32 per mfn: first block of the frame
 *  + heads    u32 x HASH_SIZE buckets
 *  + hash     records: each block is a head (BlockOff), its instructions, sometimes a GOTO
 *  ```
 *  A block that is overwritten does not disappear: the handler of each of its records becomes RESYNC, which looks the
 *  rip up again. So whoever holds a pointer to one of them (a link, a jump-cache entry, the instruction that is storing into
 *  its own block) needs no notice. Blocks never cross a page; an instruction that does is a block of its own
 *  (Handler.straddle), valid while the next page's mapping is the one it was decoded from. */
import { Check, CheckOff, RegionOff } from "../abi/jit";
import { FrameOff, MachineOff, Mode, PcpuOff, Region, Seg, TlbOff } from "../abi/layout";
import { BlockOff, RecOff } from "../abi/record";
import { Vector } from "../abi/x86";
import { raiseError } from "../fault";
import { codePageOf, forgetNumbers, mapCode, numbersAreUsedUp } from "../mmu/code_mappings";
import { fetchGlobal, fetchPage } from "../mmu/fetch";
import { checkPhase } from "../mmu/journal";
import { dropElsewhere, hasEvictions, isShared } from "../mmu/code_news";
import { evictOwn, evictWritable } from "../mmu/written";
import { decodeBlock } from "./decode";
import { Handler } from "./handler";
import { forgetKinds } from "./known";
import { stepHook } from "./helpers/debug";
import { dropRegions, dropRegionsOf } from "./jit/regions";
import { firstFor, forgetJumps, headIn, isFor, jumpHead, rememberJump } from "./jump_cache";
import { forgetPatched, immediateAt, isPatched, notePatched } from "./patched";
import { PCPU } from "./pcpu";

export { BlockOff };

const HASH_BITS: u32 = 17;
const HASH_SIZE: usize = 1 << HASH_BITS;
/** Blocks a frame may have where a store hits one of its code lines, and a hash bucket when it is searched. A guest can
 *  have more by choosing its addresses; walking them again and again would be its way to stop the machine. */
const FRAME_MAX: i32 = 512;
const BUCKET_MAX: i32 = 48;
/** Longest block: head, instructions, GOTO. */
export const MAX_INSNS: i32 = 64;

@inline export function recordsOf(head: usize): u32 { return load<u8>(head, BlockOff.records) & 0x7f; }

/** The tables of regions and both levels of the TLB come before the heads. */
const BEFORE: usize = TlbOff.END;

@inline function headsSize(): usize { return (<usize>load<u32>(Region.MACHINE, MachineOff.frames) * 4 + 4095) & ~4095; }
@inline function heads(): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + BEFORE; }
@inline function buckets(): usize { return heads() + headsSize(); }
@inline function bucket(maddr: u32, mode: u32): usize {
  return buckets() + (<usize>(((maddr ^ (mode << 20)) * 0x9e3779b1) >> (32 - HASH_BITS)) << 2);
}

@inline function frameAt(mfn: usize): usize { return <usize>Region.FRAME_TABLE + mfn * <usize>FrameOff.SIZE; }

/** Empties the cache. */
export function dropAllCode(): void {
  const frames = <usize>load<u32>(Region.MACHINE, MachineOff.frames);
  for (let mfn: usize = 0; mfn < frames; mfn++) {
    if (!load<u32>(heads() + (mfn << 2))) continue;
    store<u32>(heads() + (mfn << 2), 0);
    shrinkMask(mfn, 0);
  }
  memory.fill(buckets(), 0, HASH_SIZE * 4);
  store<u32>(PCPU, buckets() + HASH_SIZE * 4, PcpuOff.codeNext);
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.codeBase) + Region.CODE_SIZE - (checkPhase() ? CheckOff.SIZE : 0), PcpuOff.codeEnd);
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.codeEpoch) + 1, PcpuOff.codeEpoch);
  forgetJumps();
  forgetNumbers();
  dropRegions();
  forgetPatched();
}

/** A block of a shared frame is decoded again while it has bytes that were not marked before, but not for ever. */
const MOST_LOOKS: u32 = 4;

/** This pCPU's bit in FrameOff.decoders. */
@inline function myBit(): u32 { return <u32>1 << load<u32>(PCPU, PcpuOff.index); }

/** This pCPU's records of a frame now cover `mask` only. The frame's mask follows if nobody else decodes from it; with several decoders it grows
 *  until all but one have dropped theirs. Whoever joins sets its decoder bit before its code bits, so one that came too late for the first
 *  look is seen by the second. */
function shrinkMask(mfn: usize, mask: u32): void {
  const frame = frameAt(mfn), others = ~myBit();
  if (mask == 0) atomic.and<u32>(frame, others, FrameOff.decoders);
  if (atomic.load<u32>(frame, FrameOff.decoders) & others) return;
  const old = atomic.load<u32>(frame, FrameOff.code);
  if (atomic.cmpxchg<u32>(frame, old, mask, FrameOff.code) != old) return;
  // who looked in between may store there in line by now
  if (!(atomic.load<u32>(frame, FrameOff.decoders) & others)) return;
  if (atomic.or<u32>(frame, old, FrameOff.code) == 0) evictWritable(<u32>mfn);
  dropElsewhere(<u32>mfn);
}

@inline function maskOf(from: u32, to: u32): u32 {
  const first = from >> 7, last = (to - 1) >> 7;
  return ((<u32>2 << (last - first)) - 1) << first;
}

/** Marks bytes [from, to) of a frame as decoded; writable translations of the frame go the first time. */
function markCode(mfn: usize, from: u32, to: u32): void {
  const frame = frameAt(mfn), joins = !(atomic.load<u32>(frame, FrameOff.decoders) & myBit()), blocks = maskOf(from, to);
  if (joins) atomic.or<u32>(frame, myBit(), FrameOff.decoders);
  const old = atomic.or<u32>(frame, blocks, FrameOff.code);
  if (old == 0) evictWritable(<u32>mfn);
  if (joins && (hasEvictions() || (old != 0 && isShared(frame)))) evictOwn(<u32>mfn);
  if ((joins || blocks & ~old) && isShared(frame)) store<u32>(PCPU, 1, PcpuOff.inDoubt);
}

/** The decoder finished the block at `head`, which ends at `end`: enters it into hash and frame chains. `old`: one of the same address and mode
 *  that was overwritten, or 0. Where the block is now. */
export function addBlock(head: usize, end: usize, old: usize): usize {
  const to = old ? takePlace(head, end, old) : head;
  if (to == head) {
    store<u32>(PCPU, <u32>end, PcpuOff.codeNext);
    const at = bucket(load<u32>(head, BlockOff.maddr), <u32>load<u16>(head, BlockOff.mode));
    store<u32>(head, load<u32>(at), BlockOff.hashNext);
    store<u32>(at, <u32>head);
  }
  chain(to);
  return to;
}

/** Moves the block at `head` to where `old` was, if it fits: its new place. Between records and the next head there are only what belongs to
 *  nobody any more and looks like the rest of an overwritten block. */
function takePlace(head: usize, end: usize, old: usize): usize {
  const size = end - head, limit = <usize>load<u32>(PCPU, PcpuOff.codeNext);
  let free = old + RecOff.SIZE;
  for (const wanted = old + size; free < wanted; free += RecOff.SIZE) if (free == limit || load<u16>(free, RecOff.handler) != Handler.resync) break;
  if (free < old + size || checkPhase() > Check.idle) {
    unhash(old);
    return head;
  }
  store<u32>(head, load<u32>(old, BlockOff.hashNext), BlockOff.hashNext);
  for (let i: usize = 0; i < size; i += RecOff.SIZE) {
    v128.store(old + i, v128.load(head + i));
    v128.store(old + i, v128.load(head + i, 16), 16);
  }
  // whoever holds a record of it meanwhile must not link it, and its bytes are news
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.codeEpoch) + 1, PcpuOff.codeEpoch);
  store<u32>(PCPU, 0, PcpuOff.patchedAt);
  return old;
}

function chain(head: usize): void {
  const maddr = load<u32>(head, BlockOff.maddr);
  const mfn = <usize>maddr >> 12, first = heads() + (mfn << 2);
  store<u32>(head, load<u32>(first), BlockOff.frameNext);
  store<u32>(first, <u32>head);
  const end = <u32>load<u16>(head, BlockOff.end);
  markCode(mfn, maddr & 0xfff, min<u32>(end, 4096));
  const second = load<u32>(head, BlockOff.second);
  if (!second) return;
  if (second >> 12 != <u32>mfn) {
    const other = heads() + (<usize>second >> 12 << 2);
    store<u32>(head, load<u32>(other), BlockOff.secondNext);
    store<u32>(other, <u32>head);
  }
  markCode(<usize>second >> 12, 0, end - 4096);
}

/** Link field through which `head` is chained in frame `mfn`. */
@inline function nextField(head: usize, mfn: u32): usize {
  return head + (load<u32>(head, BlockOff.maddr) >> 12 == mfn ? BlockOff.frameNext : BlockOff.secondNext);
}

function unchain(head: usize, mfn: u32): void {
  let at = heads() + (<usize>mfn << 2);
  while (<usize>load<u32>(at) != head) at = nextField(<usize>load<u32>(at), mfn);
  store<u32>(at, load<u32>(nextField(head, mfn)));
}

function unhash(head: usize): void {
  let at = bucket(load<u32>(head, BlockOff.maddr), <u32>load<u16>(head, BlockOff.mode));
  while (<usize>load<u32>(at) != head) at = <usize>load<u32>(at) + BlockOff.hashNext;
  store<u32>(at, load<u32>(head, BlockOff.hashNext));
}

function killBlock(head: usize): void {
  const maddr = load<u32>(head, BlockOff.maddr), second = load<u32>(head, BlockOff.second);
  unchain(head, maddr >> 12);
  if (second && (second ^ maddr) >> 12) unchain(head, second >> 12);
  bury(head);
}

/** Nobody finds the block at `head` in its frames any more: whoever still points to it is to look the rip up again. */
function bury(head: usize): void {
  if (load<u8>(head, BlockOff.records) & BlockOff.IN_REGION) dropRegionsOf(head);
  const records = <usize>recordsOf(head) + 1;
  for (let i: usize = 0; i <= records; i++) {
    const record = head + i * RecOff.SIZE;
    // the slot behind the last instruction is its GOTO, or belongs to the next block: a head or free memory
    if (i == records && load<u16>(record, RecOff.handler) != Handler.goto) break;
    store<u16>(record, i ? Handler.resync : Handler.dead, RecOff.handler);
  }
}

/** Whether these bytes, which were found to be in immediates that are read anew, are in nothing else now. */
@inline export function isPatchedAgain(maddr: u32, len: u32): bool {
  return maddr == load<u32>(PCPU, PcpuOff.patchedAt) && len == load<u32>(PCPU, PcpuOff.patchedLen)
    && load<u32>(PCPU, PcpuOff.codeNext) == load<u32>(PCPU, PcpuOff.patchedNext)
    && !(load<u32>(frameAt(maddr >> 12), FrameOff.decoders) & ~myBit());
}

/** Bytes [maddr, maddr + len) of one page are about to change: no record decoded from them may run again. True if there were any. */
export function invalidateCode(maddr: u32, len: u32): bool {
  if (isPatchedAgain(maddr, len)) return false;
  const mfn = maddr >> 12, from = maddr & 0xfff, to = from + len;
  const chain = heads() + (<usize>mfn << 2);
  let mask: u32 = 0, left = FRAME_MAX, killed = false, at = chain;
  let head = <usize>load<u32>(chain);
  while (head) {
    if (--left < 0) {
      mask = 0;
      killed = true;
      for (head = <usize>load<u32>(chain); head; head = <usize>load<u32>(chain)) killBlock(head);
      break;
    }
    const next = <usize>load<u32>(nextField(head, mfn));
    const first = load<u32>(head, BlockOff.maddr) >> 12 == mfn;
    const start = first ? <u32>load<u16>(head, BlockOff.off) : 0;
    const end = first ? min<u32>(load<u16>(head, BlockOff.end), 4096) : <u32>load<u16>(head, BlockOff.end) - 4096;
    // both pages of a straddling instruction may be the same frame
    const second = load<u32>(head, BlockOff.second), wrapped = first && second >> 12 == mfn ? <u32>load<u16>(head, BlockOff.end) - 4096 : 0;
    if (((start < to && from < end) || from < wrapped) && !patchBlock(head, from, to)) {
      store<u32>(at, <u32>next);
      const other = first ? second : load<u32>(head, BlockOff.maddr);
      if (second && other >> 12 != mfn) unchain(head, other >> 12);
      bury(head);
      killed = true;
    } else {
      mask |= maskOf(start, end) | (wrapped ? maskOf(0, wrapped) : 0);
      at = nextField(head, mfn);
    }
    head = next;
  }
  if (killed) {
    shrinkMask(<usize>mfn, mask);
    return true;
  }
  // the same bytes again, with no block decoded since, are no news
  store<u32>(PCPU, maddr, PcpuOff.patchedAt);
  store<u32>(PCPU, len, PcpuOff.patchedLen);
  store<u32>(PCPU, load<u32>(PCPU, PcpuOff.codeNext), PcpuOff.patchedNext);
  return false;
}

/** True if the block at `head` stays: what changes is an immediate, which is read anew from now on. */
function patchBlock(head: usize, from: u32, to: u32): bool {
  const u = immediateAt(head, recordsOf(head), from, to);
  if (!u) return false;
  if (isPatched(u)) return true;
  if (!notePatched(u, load<u32>(head, BlockOff.maddr) & ~0xfff)) return false;
  if (load<u8>(head, BlockOff.records) & BlockOff.IN_REGION) dropRegionsOf(head);
  return true;
}

/** Block of that address and mode, which may be dead, or 0. */
function find(maddr: u32, mode: u32): usize {
  let head = <usize>load<u32>(bucket(maddr, mode)), left = BUCKET_MAX;
  while (head && (load<u32>(head, BlockOff.maddr) != maddr || <u32>load<u16>(head, BlockOff.mode) != mode)) {
    if (--left < 0) {
      dropAllCode();
      return 0;
    }
    head = <usize>load<u32>(head, BlockOff.hashNext);
  }
  return head;
}

/** Block decoded from `maddr` for `mode`, or 0. */
export function decodedAt(maddr: u32, mode: u32): usize {
  let head = <usize>load<u32>(bucket(maddr, mode));
  for (let left = BUCKET_MAX; head && left > 0; left--) {
    if (load<u32>(head, BlockOff.maddr) == maddr && <u32>load<u16>(head, BlockOff.mode) == mode) return load<u16>(head, BlockOff.handler) == Handler.dead ? 0 : head;
    head = <usize>load<u32>(head, BlockOff.hashNext);
  }
  return 0;
}

/** Block at rip; 0 with a fault pending at that rip. Traps of the instruction before and code breakpoints come ahead of what goes
 *  wrong in the fetch (SDM Vol.3A "Priority Among Exceptions and Interrupts"). */
function lookup(rip: u64): usize {
  const head = blockAt(rip);
  if (!head && load<u32>(PCPU, PcpuOff.mode) & Mode.step) stepHook(0);
  return head;
}

/** Block at rip, decoded if need be; 0 with the fault of its fetch pending. */
function blockAt(rip: u64): usize {
  store<u64>(PCPU, rip, PcpuOff.rip);
  store<u32>(PCPU, 0, PcpuOff.record);
  const mode = load<u32>(PCPU, PcpuOff.mode);
  let lin = rip;
  if ((mode & Mode.BITS) == Mode.bits64) {
    if (<u64>(<i64>(rip << 16) >> 16) != rip) return raiseError(Vector.GP, 0);
  } else {
    if (rip > <u64>load<u32>(PCPU, PcpuOff.segLimit + Seg.cs * 4)) return raiseError(Vector.GP, 0);
    lin = (rip + load<u64>(PCPU, PcpuOff.segBase + Seg.cs * 8)) & 0xffffffff;
  }
  const maddr = fetchPage(lin);
  if (!maddr) return 0;
  const flat = (mode & Mode.flat) != 0, global = fetchGlobal();
  store<u64>(PCPU, rip - (lin & 0xfff), PcpuOff.ripBase);
  if (flat) {
    if (numbersAreUsedUp()) dropAllCode();
    mapCode(lin, maddr, mode, global);
    const known = jumpHead(rip, mode); // from before the last flush
    if (known && load<u16>(known, BlockOff.handler) != Handler.dead) return known;
  }
  let head = find(maddr, mode), old: usize = 0;
  if (head && load<u16>(head, BlockOff.handler) == Handler.dead) {
    old = head;
    head = 0;
  } else if (head && !flat && rip + load<u16>(head, BlockOff.end) - (lin & 0xfff) - 1 > <u64>load<u32>(PCPU, PcpuOff.segLimit + Seg.cs * 4)) {
    // decoded under a wider CS limit
    killBlock(head);
    old = head;
    head = 0;
  }
  if (!head) {
    if (load<u32>(PCPU, PcpuOff.codeNext) + (MOST_LOOKS + 1) * (MAX_INSNS + 4) * RecOff.SIZE > load<u32>(PCPU, PcpuOff.codeEnd)) {
      dropAllCode();
      old = 0;
    }
    store<u32>(PCPU, 0, PcpuOff.inDoubt);
    head = decodeBlock(lin, maddr, mode, old);
    for (let looks: u32 = 0; head && load<u32>(PCPU, PcpuOff.inDoubt) && looks < MOST_LOOKS; looks++) { // others may have stored to it between the reading and the mark
      store<u32>(PCPU, 0, PcpuOff.inDoubt);
      killBlock(head);
      head = decodeBlock(lin, maddr, mode, head);
    }
    if (!head) return 0;
  }
  if (flat) {
    if (!codePageOf(lin, mode)) mapCode(lin, maddr, mode, global); // records were dropped
    rememberJump(rip, mode, head);
  }
  return head;
}

/** Continues at `rip`: the record to run, or 0 with a fault pending. */
export function enter(rip: u64): usize {
  return lookup(rip);
}

/** Continues at `rip`, through the jump cache. */
export function jumpCached(rip: u64): usize {
  const mode = load<u32>(PCPU, PcpuOff.mode), first = firstFor(rip);
  const head = first && isFor(first, rip, mode) ? headIn(first) : jumpHead(rip, mode);
  if (!head) return lookup(rip);
  store<u64>(PCPU, rip & ~(<u64>0xfff), PcpuOff.ripBase);
  return head;
}

/** Continues at PcpuOff.rip under whatever mode, segments and mappings are in force now. */
export function resume(): usize { return jumpCached(load<u64>(PCPU, PcpuOff.rip)); }

/** What the target of the branch record `u` is truncated to. */
@inline function targetMask(u: usize): u64 {
  const bits = load<u32>(PCPU, PcpuOff.mode) & Mode.BITS;
  if (bits == Mode.bits64) return ~(<u64>0);
  return (load<u16>(u, RecOff.desc) >> 3 & 3) == 1 ? 0xffff : 0xffffffff;
}

/** Successor of a direct branch at page offset `to` relative to the page of `u`; links within the page. */
function link(u: usize, to: i64, field: usize, mask: u64): usize {
  const whole = load<u64>(PCPU, PcpuOff.ripBase) + <u64>to, rip = whole & mask;
  const mode = load<u32>(PCPU, PcpuOff.mode), elsewhere = <u64>to > 4095 || (mode & Mode.step) != 0 || whole != rip;
  if (!(mode & Mode.flat)) {
    const limit = (mode & Mode.BITS) == Mode.bits64 ? ~(<u64>0) : <u64>load<u32>(PCPU, PcpuOff.segLimit + Seg.cs * 4);
    if (rip > limit && field == RecOff.taken) {
      store<u32>(PCPU, <u32>u, PcpuOff.record);
      return raiseError(Vector.GP, 0);
    }
    if (elsewhere || load<u16>(u) == Handler.goto) return enter(rip);
  } else if (elsewhere) {
    // another page: the mapping may change under us, so it goes through the jump cache each time
    return jumpCached(rip);
  }
  const epoch = load<u32>(PCPU, PcpuOff.codeEpoch);
  const head = enter(rip);
  if (head && epoch == load<u32>(PCPU, PcpuOff.codeEpoch)) store<u32>(u + field, <u32>head);
  return head;
}

/** Whether the segment in force lets the branch `u` go on at the block `head`, which it is linked to: the same code may be seen through others, with other
 *  bases and limits. Where that is flat nothing is asked. */
export function mayFollowLink(head: usize, u: usize, field: usize): bool {
  const mode = load<u32>(PCPU, PcpuOff.mode), ripBase = load<u64>(PCPU, PcpuOff.ripBase);
  if (mode & Mode.flat) return true;
  if (field == RecOff.taken && ripBase + load<u16>(head, BlockOff.off) > targetMask(u)) return false;
  return ripBase + load<u16>(head, BlockOff.end) - 1 <= <u64>load<u32>(PCPU, PcpuOff.segLimit + Seg.cs * 4);
}

/** Branches to other pages come here each time; link() knows the rest. */
export function linkTaken(u: usize): usize {
  const to = <i64>load<i32>(u, RecOff.imm), mask = targetMask(u);
  if (<u64>to > 4095) {
    const rip = (load<u64>(PCPU, PcpuOff.ripBase) + <u64>to) & mask, first = firstFor(rip);
    if (first && isFor(first, rip, load<u32>(PCPU, PcpuOff.mode))) {
      store<u64>(PCPU, rip & ~(<u64>0xfff), PcpuOff.ripBase);
      return headIn(first);
    }
  }
  return link(u, to, RecOff.taken, mask);
}

/** A branch that is not taken does not truncate rip to its operand size. */
export function linkFall(u: usize): usize {
  const mask = (load<u32>(PCPU, PcpuOff.mode) & Mode.BITS) == Mode.bits64 ? ~(<u64>0) : 0xffffffff;
  return link(u, <i64>load<u16>(u, RecOff.off) + <i64>load<u8>(u, RecOff.len), RecOff.fall, mask);
}

/** Looks the instruction at page offset `off` up again. Links within a page to a block that was overwritten stay, so it may be done each time round. */
function lookAgain(off: u32): usize {
  const rip = load<u64>(PCPU, PcpuOff.ripBase) + off;
  const bits = load<u32>(PCPU, PcpuOff.mode) & Mode.BITS, masked = bits == Mode.bits64 ? rip : rip & 0xffffffff;
  const head = jumpCached(masked);
  return head && load<u16>(head) == Handler.dead ? enter(masked) : head;
}

/** Handler.resync: the block was overwritten by the record before this one. Continues where that ends: between the two there
 *  may have been NOPs, which have no records. */
export function resync(u: usize): usize {
  const previous = u - RecOff.SIZE;
  return lookAgain(<u32>load<u16>(previous, RecOff.off) + load<u8>(previous, RecOff.len));
}

/** Handler.dead: somebody still pointed to an overwritten block. */
export function enterDead(u: usize): usize {
  return lookAgain(load<u16>(u, BlockOff.off));
}

/** Head of a straddling instruction: is the next page still the one it was decoded from? 0 faults at this rip. */
export function checkStraddle(u: usize): usize {
  const rip = load<u64>(PCPU, PcpuOff.ripBase) + <u64>load<u16>(u, RecOff.off);
  const mode = load<u32>(PCPU, PcpuOff.mode);
  let page = (rip | 0xfff) + 1;
  store<u64>(PCPU, rip, PcpuOff.rip);
  store<u32>(PCPU, 0, PcpuOff.record);
  if ((mode & Mode.BITS) != Mode.bits64) page = ((((rip + load<u64>(PCPU, PcpuOff.segBase + Seg.cs * 8)) & 0xffffffff) | 0xfff) + 1) & 0xffffffff;
  const second = fetchPage(page);
  if (!second) return 0;
  if (second == load<u32>(u, BlockOff.second)) return u + RecOff.SIZE;
  killBlock(u);
  return blockAt(rip);
}

export function initCode(): void {
  memory.fill(heads(), 0, headsSize());
  forgetKinds();
  dropAllCode();
}
