/** Which blocks become one function: those that can be reached from the hot one over links the interpreter has made, so only
 *  what was executed before. A return goes to the places behind those of the region's calls that lead to it, an indirect branch to
 *  where the interpreter saw it go. */
import { JitBlock, JitBlockFlag, JitOff, JitTarget, PathOff } from "../../abi/jit";
import { Mode, PcpuOff, Seg } from "../../abi/layout";
import { RecFlag, RecOff } from "../../abi/record";
import { BlockOff, decodedAt, recordsOf } from "../code_cache";
import { Handler } from "../handler";
import { jumpHead } from "../jump_cache";
import { Op, Template } from "../opcodes.gen";
import { isPatched, isReadAnew } from "../patched";
import { PCPU } from "../pcpu";
import { isRewritten } from "../rewritten";
import { Alu, Form } from "../semantics/alu";
import { BitTest } from "../semantics/bits";
import { Locked } from "../semantics/locked";
import { J, jget, jset } from "./buffer";
import { chooseArms } from "./arms";
import { chooseEntries } from "./entries";
import { NONE, blockOf, headOf, order, ripOf, setSucc, succ } from "./graph";
import { RESTLESS, RESTLESS_THERE, isRestless } from "./restless";
import { isOnPath, stepFrom } from "./path";
import { noteSse, sseProperties } from "./sse";
import { noX87, takesX87 } from "./x87";

const MAX_BLOCKS: u32 = 59;
/** Blocks it may share with others, if it is not of a way: enough for a loop and what it calls, not for a second copy of a large program. */
const MAX_SHARED: u32 = 12;
/** Pages they may be on: bits of JitOff.pages. */
const MAX_PAGES: u32 = 32;
/** Places behind calls that leave the region: more could not become entries. */
const MAX_LEFT: u32 = 7;
/** Places one RET compares its target with. */
const MAX_PLACES: u32 = 12;
/** Blocks of a function that every region may have for itself: a transition there and back costs more than it does. */
const MAX_LEAF: u32 = 8;
/** Blocks of a function that every call may have for itself: then its RET goes to one place, and two calls in turn make no loop. */
const MAX_COPY: u32 = 4;
/** Instructions that only the rest of a short function may have. */
const LEAF_INSNS: u32 = 100;
const TOO_LARGE: u32 = 1000;
/** Of one indirect branch. */
const MAX_TARGETS: u8 = 12;

/** Places for where indirect branches went; the interpreter overwrites them as it goes. */
const TARGETS: usize = 1024;

/** The interpreter's indirect branch `u` goes to `rip`. */
@inline export function noteTarget(u: usize, rip: u64): void {
  const p = J + (((u >> 5) * 5 ^ <usize>rip ^ (<usize>rip >> 7)) & (TARGETS - 1)) * JitTarget.SIZE;
  store<u32>(p, <u32>u, JitOff.targets);
  store<u64>(p, rip, JitOff.targets + JitTarget.rip);
}

@inline export function templateOf(u: usize): i32 { return <i32>load<u16>(u, RecOff.desc) >> 9; }

/** Records that the emitting machine performs. */
export function isTemplate(u: usize): bool {
  const handler = <i32>load<u16>(u, RecOff.handler);
  return handler == Handler.any || handler >= Handler.hot || (handler == Handler.checked && (isReadAnew(u) || isSegmented(u)));
}

/* Where segments are not flat a region is on one page. */

/** Real mode, virtual-8086 mode and segmented code of 16 and 32 bits: segments are looked at where memory is accessed (Emit). */
@inline export function inSegments(): bool { return !(jget(JitOff.mode) & (Mode.flat | Mode.bits64)); }

/** Record `u` goes by segments, stack or the limit of the code segment, and the emitting machine performs it nevertheless. */
export function isSegmented(u: usize): bool {
  if (load<u16>(u, RecOff.handler) != Handler.checked || !inSegments() || isPatched(u)) return false;
  const d = <i32>load<u16>(u, RecOff.desc), w = 1 << (d >> 3 & 3), form = d & 7;
  switch (d >> 9) {
    case Template.alu: case Template.mov: case Template.movx: case Template.unary: case Template.shift: case Template.shiftCl: case Template.setcc: case Template.cmov:
    case Template.imul: case Template.mulWide: case Template.divide: case Template.pop: case Template.leave: return true;
    case Template.push: return form == Form.rr || form == Form.ri; // what is read once the stack turns out to be the interpreter's would be read twice
    case Template.ret: return isOwnWidth(w);
    case Template.call: case Template.jmp: case Template.jcc: return isOwnWidth(w) && <u32>load<i32>(u, RecOff.imm) <= 4095;
    default: return false;
  }
}

/** Record `u` ends its block, and what follows is the interpreter's: a branch by way of segments that is not segmented as above. */
export function endsInSegments(u: usize): bool {
  if (load<u16>(u, RecOff.handler) != Handler.checked) return false;
  const t = templateOf(u);
  return t == Template.jcc || t == Template.jmp || t == Template.jmpInd || t == Template.call || t == Template.callInd || t == Template.ret;
}

/** Branches truncate what they go to to `w` bytes: those that the region's pages are addressed with anyhow. */
@inline function isOwnWidth(w: i32): bool { return w == ((jget(JitOff.mode) & Mode.BITS) == Mode.bits32 ? 4 : 2); }

@inline export function isHead(n: usize): bool {
  const handler = load<u16>(n, RecOff.handler);
  return handler == Handler.head || handler == Handler.region;
}

/** A block of one instruction, which crosses a page. */
@inline export function isStraddle(head: usize): bool { return load<u16>(head, RecOff.handler) == Handler.straddle; }
/** One that a region may have, but not begin with. */
@inline function mayFollow(n: usize): bool { return isHead(n) || (isStraddle(n) && !inSegments()); }

/** Last record of a block: a branch, a GOTO, or 0 if it ends otherwise. */
function terminator(head: usize): usize {
  const end = head + (<usize>recordsOf(head) + 1) * RecOff.SIZE, last = end - RecOff.SIZE;
  if (last != head && isTemplate(last)) {
    const t = templateOf(last);
    if (t == Template.jcc || t == Template.jmp || t == Template.jmpInd || t == Template.call || t == Template.callInd || t == Template.ret) return last;
  }
  return load<u16>(end, RecOff.handler) == Handler.goto ? end : 0;
}

/** The block of the region at `head`, entered now if it was not yet; NONE if it may not belong to one. */
function add(head: usize, ripBase: u64): u8 {
  const count = jget(JitOff.blockCount), calling = jget(JitOff.calling), size = calling ? leafSize(head, 0) : TOO_LARGE;
  const copy = calling ? (size <= MAX_COPY ? calling : 0) : jget(JitOff.copy);
  let page = jget(JitOff.pageCount);
  for (let i: u32 = 0; i < count; i++) {
    const b = blockOf(i);
    if (load<u64>(b, JitBlock.ripBase) != ripBase) continue;
    if (headOf(b) == head && load<u8>(b, JitBlock.copy) == <u8>copy) return <u8>i;
    // what is checked of a page is that it is the one its first block is in
    if ((load<u32>(headOf(b), BlockOff.maddr) ^ load<u32>(head, BlockOff.maddr)) >> 12) return NONE;
    page = load<u8>(b, JitBlock.page);
  }
  if (page == MAX_PAGES || !isOnPath(head)) return NONE;
  if (inSegments() && count && page == jget(JitOff.pageCount)) return NONE; // only the page where it is entered is seen to be within its segment
  const insns = jget(JitOff.insns) + recordsOf(head), leaf = jget(JitOff.inLeaf) != 0 || size <= MAX_LEAF;
  if (!hasRoom(insns, size <= MAX_LEAF ? size : 1, leaf && !calling) || !mayFollow(head) || isRestless(load<u32>(head, BlockOff.maddr), count ? RESTLESS_THERE : RESTLESS) || isRewritten(load<u32>(head, BlockOff.maddr)) || <u32>load<u16>(head, BlockOff.mode) != jget(JitOff.mode)) return NONE;
  if (count != 0 && !leaf && load<u8>(head, BlockOff.records) & BlockOff.IN_REGION && !load<u32>(PCPU, PcpuOff.pathOnly)) {
    const shared = jget(JitOff.shared);
    if (shared == MAX_SHARED) return NONE;
    jset(JitOff.shared, shared + 1);
  }
  jset(JitOff.insns, insns);
  jset(JitOff.blockCount, count + 1);
  if (page == jget(JitOff.pageCount)) jset(JitOff.pageCount, page + 1);
  const b = blockOf(count);
  memory.fill(b, 0, JitBlock.SIZE);
  store<u32>(b, <u32>head, JitBlock.head);
  store<u64>(b, ripBase, JitBlock.ripBase);
  store<u8>(b, NONE, JitBlock.rpo);
  store<u8>(b, NONE, JitBlock.behind);
  store<u8>(b, <u8>copy, JitBlock.copy);
  store<u8>(b, <u8>page, JitBlock.page);
  if (leaf) setFlag(b, JitBlockFlag.leaf);
  if (copy) setFlag(b, JitBlockFlag.copied);
  return <u8>count;
}

/** Whether `blocks` more may make it `insns` instructions. A short function that was begun is finished. */
function hasRoom(insns: u32, blocks: u32, begun: bool): bool {
  return jget(JitOff.blockCount) + blocks <= MAX_BLOCKS && insns <= jget(JitOff.mostInsns) + (begun ? LEAF_INSNS : 0);
}

/** Blocks of the function at `head` if it is short, calls nobody, has no loop and stays on its page; more than MAX_LEAF if not. */
function leafSize(head: usize, depth: u32): u32 {
  if (depth > MAX_LEAF || !isHead(head)) return TOO_LARGE;
  const u = terminator(head);
  if (!u) return TOO_LARGE;
  if (load<u16>(u, RecOff.handler) == Handler.goto) return 1 + leafNext(head, u, RecOff.taken, targetOf(u), depth);
  switch (templateOf(u)) {
    case Template.ret: return 1;
    case Template.jmp: return 1 + leafNext(head, u, RecOff.taken, targetOf(u), depth);
    case Template.jcc: return 1 + leafNext(head, u, RecOff.taken, targetOf(u), depth) + leafNext(head, u, RecOff.fall, behind(u), depth);
    default: return TOO_LARGE;
  }
}

/** Whether what is left of the function at `head` is that short. */
export function isLeaf(head: usize): bool { return leafSize(head, 0) <= MAX_LEAF; }

function leafNext(head: usize, u: usize, field: usize, to: i64, depth: u32): u32 {
  const next = <usize>load<u32>(u + field);
  if (!next) return <u64>to > 4095 ? TOO_LARGE : 0; // links stay within a page; there are none to where it never went
  if (load<u32>(next, BlockOff.maddr) <= load<u32>(head, BlockOff.maddr)) return TOO_LARGE;
  return leafSize(next, depth + 1);
}

/** Block at `to` (relative to the page of `b`) if the interpreter has been there from here. */
function direct(b: usize, u: usize, field: usize, to: i64): u8 {
  // within the page, but not below the segment: there instruction pointers wrap, or are beyond the limit
  if (inSegments() && (<u64>to > 4095 || <i64>(load<u64>(b, JitBlock.ripBase) + <u64>to) < 0)) return NONE;
  const n = known(b, u, field, to);
  if (!n) return NONE;
  const ripBase = load<u64>(b, JitBlock.ripBase);
  return add(n, <u64>to <= 4095 ? ripBase : ripOfTarget(ripBase, to) & ~(<u64>0xfff));
}

@inline function ripOfTarget(ripBase: u64, to: i64): u64 {
  const rip = ripBase + <u64>to;
  return (jget(JitOff.mode) & Mode.BITS) == Mode.bits64 ? rip : rip & 0xffffffff;
}

/** That block, or 0. Links are within a page. */
function known(b: usize, u: usize, field: usize, to: i64): usize {
  let n = <usize>load<u32>(u + field);
  if (!n && <u64>to > 4095) {
    n = jumpHead(ripOfTarget(load<u64>(b, JitBlock.ripBase), to), jget(JitOff.mode));
  }
  return n && mayFollow(n) ? n : 0;
}

@inline function targetOf(u: usize): i64 { return <i64>load<i32>(u, RecOff.imm); }
@inline function behind(u: usize): i64 { return <i64>load<u16>(u, RecOff.off) + <i64>load<u8>(u, RecOff.len); }

/** Notes the block behind the call that ends block `b`, which leaves the region if `left`. */
function returnsTo(b: usize, u: usize, left: bool): void {
  const to = behind(u), count = jget(JitOff.leftCount);
  if (to > 4095 || (left && count == MAX_LEFT)) return;
  const head = decodedAt((load<u32>(headOf(b), BlockOff.maddr) & ~0xfff) | <u32>to, jget(JitOff.mode));
  if (!head) return;
  const n = add(head, load<u64>(b, JitBlock.ripBase));
  if (n == NONE) return;
  store<u8>(b, n, JitBlock.behind);
  if (!left) return;
  setFlag(blockOf(n), JitBlockFlag.returned);
  jset(JitOff.leftCount, count + 1);
}

@inline function addPlaces(n: u8, places: u64): bool {
  if (n == NONE) return false;
  const b = blockOf(n), old = load<u64>(b, JitBlock.places);
  store<u64>(b, old | places, JitBlock.places);
  return (old | places) != old;
}

/** Finds out which calls lead to which RET: what comes behind a call belongs to the function it is in, what it goes to returns there. */
function placeReturns(): void {
  const blocks = jget(JitOff.blockCount);
  for (let changed = true; changed; ) {
    changed = false;
    for (let i: u32 = 0; i < blocks; i++) {
      const b = blockOf(i), u = <usize>load<u32>(b, JitBlock.term);
      if (!u) continue;
      let places = load<u64>(b, JitBlock.places);
      const t = isShort(b) || load<u16>(u, RecOff.handler) == Handler.goto ? Template.jmp : templateOf(u), behind = load<u8>(b, JitBlock.behind);
      if (t == Template.call || t == Template.callInd) {
        if (addPlaces(behind, places)) changed = true;
        places = behind == NONE ? 0 : <u64>1 << behind;
      }
      const successors = <u32>load<u8>(b, JitBlock.succCount);
      for (let k: u32 = 0; k < successors; k++) if (addPlaces(succ(b, k), places)) changed = true;
    }
  }
  for (let i: u32 = 0; i < blocks; i++) {
    const b = blockOf(i), u = <usize>load<u32>(b, JitBlock.term);
    if (!u || isShort(b) || load<u16>(u, RecOff.handler) == Handler.goto || templateOf(u) != Template.ret) continue;
    let count: u32 = 0;
    for (let places = load<u64>(b, JitBlock.places); places && count < MAX_PLACES; places &= places - 1) setSucc(b, count++, <u8>ctz(places));
    store<u8>(b, <u8>count, JitBlock.succCount);
  }
}

/** The record of the block at `head` with which the one at `tail` begins, if that is its end, else 0. Blocks begin where something jumped
 *  to: one that was entered from above goes on through the beginning of a loop, as if the loop had two. */
function tailOf(head: usize, tail: usize): usize {
  const off = load<u16>(tail, BlockOff.off), records = recordsOf(head), common = recordsOf(tail);
  if (off <= load<u16>(head, BlockOff.off) || load<u16>(tail, BlockOff.end) != load<u16>(head, BlockOff.end) || common == 0 || common >= records) return 0;
  const u = head + <usize>(records - common + 1) * RecOff.SIZE, before = u - RecOff.SIZE;
  if (load<u16>(u, RecOff.off) != load<u16>(tail + RecOff.SIZE, RecOff.off)) return 0;
  return load<u16>(before, RecOff.off) + load<u8>(before, RecOff.len) <= off ? u : 0;
}

/** The same of two of the region's blocks. */
function isTailOf(t: usize, b: usize): bool {
  if (load<u64>(t, JitBlock.ripBase) != load<u64>(b, JitBlock.ripBase) || load<u8>(t, JitBlock.copy) != load<u8>(b, JitBlock.copy)) return false;
  return tailOf(headOf(b), headOf(t)) != 0;
}

/** Block `tail` ends with the same branch as `b`, and takes over where the interpreter saw that go from there only: a loop that was entered in its
 *  middle has seldom been left in its first round. */
function inheritWays(tail: usize, b: usize): void {
  const u = <usize>load<u32>(b, JitBlock.term), count = <u32>load<u8>(b, JitBlock.succCount);
  if (!u || load<u16>(u, RecOff.handler) == Handler.goto || templateOf(u) != Template.jcc || <u32>load<u8>(tail, JitBlock.succCount) != count) return;
  for (let k: u32 = 0; k < count; k++) if (succ(tail, k) == NONE) setSucc(tail, k, succ(b, k));
}

/** Blocks that end with others of the region go on with those instead. */
function shorten(): void {
  const blocks = jget(JitOff.blockCount);
  for (let i: u32 = 0; i < blocks; i++) {
    const b = blockOf(i);
    for (let k: u32 = 0; k < blocks; k++) if (k != i && isTailOf(blockOf(k), b)) inheritWays(blockOf(k), b);
  }
  for (let i: u32 = 0; i < blocks; i++) {
    const b = blockOf(i);
    let tail: u32 = NONE, longest: u32 = 0;
    for (let k: u32 = 0; k < blocks; k++) {
      const t = blockOf(k), count = recordsOf(headOf(t));
      if (k == i || count <= longest || !isTailOf(t, b)) continue;
      tail = k;
      longest = count;
    }
    if (tail == NONE) continue;
    setFlag(b, JitBlockFlag.short);
    store<u32>(b, <u32>tailOf(headOf(b), headOf(blockOf(tail))), JitBlock.term);
    setSucc(b, 0, <u8>tail);
    store<u8>(b, 1, JitBlock.succCount);
    store<u8>(b, NONE, JitBlock.behind);
  }
}

@inline export function isShort(b: usize): bool { return (load<u8>(b, JitBlock.flags) & JitBlockFlag.short) != 0; }

/** Registers a record names, used and written: more than it needs is fine. */
function noteRegisters(u: usize): void {
  let used: u32 = 0, written: u32 = 0;
  const t = templateOf(u), form = <i32>load<u16>(u, RecOff.desc) & 7, op = (<i32>load<u16>(u, RecOff.desc) >> 5) & 15;
  const reg = <u32>load<u8>(u, RecOff.reg), rm = <u32>load<u8>(u, RecOff.rm);
  if (t != Template.jcc && t != Template.jmp && t != Template.nop && t != Template.flag) {
    used |= bit(reg) | bit(rm);
    if (isSegmented(u)) used |= segmentsOf(u);
    if (form != Form.rr && form != Form.ri) used |= bit(load<u8>(u, RecOff.base)) | bit(load<u8>(u, RecOff.index));
    const toMemory = form == Form.mr || form == Form.mi || form == Form.mrb || form == Form.mib;
    const reads = (t == Template.alu && op >= Alu.cmp) || (t == Template.bitTest && op == BitTest.bt) || t == Template.mulWide || t == Template.divide;
    if (!reads && !(toMemory && t != Template.imul)) written |= bit(reg);
    if (t == Template.shiftCl || t == Template.doubleShift) used |= 1 << 1;
    if (t == Template.mulWide || t == Template.divide) written |= 1 | 1 << 2;
    if (t == Template.locked && (op == Locked.xchg || op == Locked.xadd)) written |= bit(reg);
    if (t == Template.cmpxchg || (t == Template.locked && op == Locked.cmpxchg)) written |= 1;
    if (t == Template.xadd) written |= bit(form == Form.rr ? rm : reg);
    if (t == Template.xchg) written |= bit(rm);
    if (t == Template.push || t == Template.pop || t == Template.call || t == Template.callInd || t == Template.ret || t == Template.leave) written |= 1 << 4;
    if (t == Template.leave) { written |= 1 << 5; }
    if (t == Template.widen) written |= 5;
    if (t == Template.movs || t == Template.stos || t == Template.lods) written |= 1 | 1 << 6 | 1 << 7;
  }
  jset(JitOff.used, jget(JitOff.used) | used | written);
  jset(JitOff.written, jget(JitOff.written) | (written & 0xffff));
}

/** Bits of the segments that record `u`, which is segmented, may access memory by. */
function segmentsOf(u: usize): u32 { return bit(PcpuOff.segBase + Seg.ss * 8) | bit(PcpuOff.segBase + <u32>load<u8>(u, RecOff.seg) * 8); }

/** The address of an x87 operand, and AX. */
function noteX87(u: usize): void {
  let used: u32 = 0, written: u32 = 0;
  if (load<u8>(u, RecOff.flags) & RecFlag.mem) used = bit(load<u8>(u, RecOff.base)) | bit(load<u8>(u, RecOff.index));
  else if (load<u16>(u, RecOff.op) == Op.fnstsw_ax) written = 1;
  jset(JitOff.used, jget(JitOff.used) | used | written);
  jset(JitOff.written, jget(JitOff.written) | written);
}

/** Bit of the slot of a register-file offset. */
function bit(offset: u32): u32 {
  if (offset < <u32>PcpuOff.zero) return 1 << (offset >> 3);
  return offset >= <u32>PcpuOff.segBase ? 1 << (16 + ((offset - PcpuOff.segBase) >> 3)) : 0;
}

/** Registers of record `u`, of the region entered at `head`; false if its helper performs it. */
function noteRecord(u: usize, head: usize): bool {
  const sse = sseProperties(u), template = !sse && isTemplate(u), x87 = takesX87(u, head);
  if (sse) noteSse(u, sse);
  else if (template) noteRegisters(u);
  if (x87) noteX87(u);
  return sse != 0 || template || x87;
}

/** Bits of the slots that record `u`, of the region entered at `head`, names; in the upper half those that it may change. */
function registersOf(u: usize, head: usize): u64 {
  const used = jget(JitOff.used), written = jget(JitOff.written);
  jset(JitOff.used, 0);
  jset(JitOff.written, 0);
  noteRecord(u, head);
  const slots = <u64>jget(JitOff.used) | <u64>jget(JitOff.written) << 32;
  jset(JitOff.used, used);
  jset(JitOff.written, written);
  return slots;
}

/** The same of all records from `u` to `end`. */
export function registersIn(u: usize, end: usize, head: usize): u64 {
  let slots: u64 = 0;
  for (; u < end; u += RecOff.SIZE) slots |= registersOf(u, head);
  return slots;
}

/** Looks at block `i` of the region entered at `head`, unless that was done, and adds the blocks it leads to. */
function follow(i: u32, head: usize): void {
  const b = blockOf(i), h = headOf(b), records = <u32>recordsOf(h);
  if (load<u8>(b, JitBlock.flags) & JitBlockFlag.followed) return;
  setFlag(b, JitBlockFlag.followed);
  let others: u32 = 0;
  for (let k: u32 = 1; k <= records; k++) {
    if (!noteRecord(h + <usize>k * RecOff.SIZE, head)) others++;
  }
  jset(JitOff.others, jget(JitOff.others) + others);
  const leaf = load<u8>(b, JitBlock.flags) & JitBlockFlag.leaf;
  jset(JitOff.inLeaf, leaf);
  jset(JitOff.copy, load<u8>(b, JitBlock.copy));
  const u = terminator(h);
  store<u32>(b, <u32>u, JitBlock.term);
  if (!u) return;
  const t = load<u16>(u, RecOff.handler) == Handler.goto ? Template.jmp : templateOf(u);
  // the way straight on first: it becomes the nearer one in the queue
  if (t == Template.jcc) {
    setSucc(b, 1, direct(b, u, RecOff.fall, behind(u)));
    setSucc(b, 0, direct(b, u, RecOff.taken, targetOf(u)));
    store<u8>(b, 2, JitBlock.succCount);
  } else if (t == Template.jmp || t == Template.call) {
    jset(JitOff.calling, t == Template.call ? i + 1 : 0);
    setSucc(b, 0, direct(b, u, RecOff.taken, targetOf(u)));
    jset(JitOff.calling, 0);
    store<u8>(b, 1, JitBlock.succCount);
    if (t == Template.call && i && succ(b, 0) == NONE && isCrowdedOut(b, u)) {
      setFlag(b, JitBlockFlag.dropped);
      return;
    }
  } else if (t == Template.jmpInd || t == Template.callInd) addTargets(b, u);
  else if (t == Template.ret) {
    const n = addNext(h);
    if (n != NONE) store<u64>(b, <u64>1 << n, JitBlock.places);
  }
  if (t == Template.call) {
    if (succ(b, 0) == NONE) returnsTo(b, u, true);
    else {
      setFlag(blockOf(succ(b, 0)), JitBlockFlag.called);
      returnsTo(b, u, false);
    }
  } else if (t == Template.callInd) returnsTo(b, u, !load<u8>(b, JitBlock.succCount));
  // a short function is had as a whole, before others take the room
  const successors = <u32>load<u8>(b, JitBlock.succCount);
  if (leaf || t == Template.call || t == Template.callInd) for (let k: u32 = 0; k < successors; k++) {
    const n = succ(b, k);
    if (n != NONE && load<u8>(blockOf(n), JitBlock.flags) & JitBlockFlag.leaf) follow(n, head);
  }
}

/** Looks at all blocks, and those they lead to. */
function followAll(head: usize): void {
  jset(JitOff.others, 0);
  jset(JitOff.leftCount, 0);
  for (let i: u32 = 0; i < jget(JitOff.blockCount); i++) {
    const b = blockOf(i);
    store<u8>(b, load<u8>(b, JitBlock.flags) & ~(JitBlockFlag.followed | JitBlockFlag.dropped), JitBlock.flags);
    store<u8>(b, 0, JitBlock.succCount);
  }
  for (let i: u32 = 0; i < jget(JitOff.blockCount); i++) follow(i, head);
}

/** Finds the region around the block at `head`. False if it is not worth a function. */
export function discover(head: usize, ripBase: u64): bool {
  jset(JitOff.blockCount, 0);
  jset(JitOff.pageCount, 0);
  jset(JitOff.copy, 0);
  jset(JitOff.insns, 0);
  noX87();
  jset(JitOff.shared, 0);
  jset(JitOff.used, 0);
  jset(JitOff.written, 0);
  jset(JitOff.usesSse, 0);
  jset(JitOff.xmmUsed, 0);
  jset(JitOff.xmmWritten, 0);
  jset(JitOff.inLeaf, 0);
  jset(JitOff.calling, 0);
  jset(JitOff.mode, load<u16>(head, BlockOff.mode));
  if (add(head, ripBase) == NONE) return false;
  followAll(head);
  if (load<u32>(PCPU, PcpuOff.pathOnly)) { // what else was executed beside the way has what room there is left
    store<u32>(PCPU, 0, PcpuOff.pathOnly);
    followAll(head);
    store<u32>(PCPU, 1, PcpuOff.pathOnly);
  }
  cutDropped();
  shorten();
  placeReturns();
  if (jget(JitOff.others) > jget(JitOff.insns) >> 1) return false;
  jset(JitOff.root, 0);
  jset(JitOff.entryCount, 0);
  order();
  if (chooseEntries()) order();
  if (chooseArms()) order();
  return true;
}

/** Whether the call `u` goes to a short function for which there is no room. Then the next region had better begin with the call and have both. */
function isCrowdedOut(b: usize, u: usize): bool {
  const n = known(b, u, RecOff.taken, targetOf(u)), size = n ? leafSize(n, 0) : TOO_LARGE;
  return size <= MAX_LEAF && !hasRoom(jget(JitOff.insns) + recordsOf(n), size, false);
}

/** Blocks that the region had better leave before. */
function cutDropped(): void {
  const count = jget(JitOff.blockCount);
  for (let i: u32 = 0; i < count; i++) {
    const b = blockOf(i), successors = <u32>load<u8>(b, JitBlock.succCount), behind = load<u8>(b, JitBlock.behind);
    for (let k: u32 = 0; k < successors; k++) if (isDropped(succ(b, k))) setSucc(b, k, NONE);
    if (isDropped(behind)) store<u8>(b, NONE, JitBlock.behind);
  }
}

@inline function isDropped(n: u8): bool { return n != NONE && (load<u8>(blockOf(n), JitBlock.flags) & JitBlockFlag.dropped) != 0; }

@inline function setFlag(b: usize, flag: JitBlockFlag): void { store<u8>(b, load<u8>(b, JitBlock.flags) | <u8>flag, JitBlock.flags); }

/** Blocks the indirect branch `u` went to under the interpreter, in the order of their addresses. */
function addTargets(b: usize, u: usize): void {
  for (let i: usize = 0; i < TARGETS && load<u8>(b, JitBlock.succCount) < MAX_TARGETS; i++) {
    const p = J + i * JitTarget.SIZE;
    if (<usize>load<u32>(p, JitOff.targets) != u) continue;
    const rip = load<u64>(p, JitOff.targets + JitTarget.rip), head = jumpHead(rip, jget(JitOff.mode));
    if (!head || !mayFollow(head)) continue;
    const n = add(head, rip & ~(<u64>0xfff));
    if (n != NONE) insertTarget(b, n, rip);
  }
  const n = load<u8>(b, JitBlock.succCount) < MAX_TARGETS ? addNext(headOf(b)) : NONE;
  if (n != NONE) insertTarget(b, n, ripOf(blockOf(n)));
}

/** The block that came after the one at `head` on the way that is followed. What calls of the region return to is known from these. */
function addNext(head: usize): u8 {
  const p = jget(JitOff.copy) ? 0 : stepFrom(head), leaf = jget(JitOff.inLeaf);
  if (!p) return NONE;
  jset(JitOff.inLeaf, 0); // what a short function returns to is not of it
  const n = add(<usize>load<u32>(p, PathOff.next), load<u64>(p, PathOff.nextBase));
  jset(JitOff.inLeaf, leaf);
  return n;
}

function insertTarget(b: usize, n: u8, rip: u64): void {
  const count = <u32>load<u8>(b, JitBlock.succCount);
  let at = count;
  for (let k: u32 = 0; k < count; k++) {
    const other = ripOf(blockOf(succ(b, k)));
    if (other == rip) return;
    if (other < rip) continue;
    at = k;
    break;
  }
  for (let k = count; k > at; k--) setSucc(b, k, succ(b, k - 1));
  setSucc(b, at, n);
  store<u8>(b, <u8>(count + 1), JitBlock.succCount);
}

/** The template that performs record `u` goes to memory. */
export function hasAccess(u: usize): bool {
  const form = <i32>load<u16>(u, RecOff.desc) & 7, t = templateOf(u);
  if (t == Template.lea || t == Template.jcc || t == Template.jmp || t == Template.nop) return false;
  return (form != Form.rr && form != Form.ri) || t == Template.push || t == Template.pop || t == Template.call || t == Template.callInd || t == Template.ret || t == Template.leave;
}

/** Behind the last record that block `b` has for itself. */
export function endOf(b: usize): usize {
  const h = headOf(b);
  return isShort(b) ? <usize>load<u32>(b, JitBlock.term) : h + (<usize>recordsOf(h) + 1) * RecOff.SIZE;
}

/** Both reach memory by the same registers, and the same distance from them. */
export function isSameAddress(u: usize, v: usize): bool {
  const simple = isSimpleForm(u);
  if (!(load<u8>(u, RecOff.flags) & load<u8>(v, RecOff.flags) & RecFlag.mem) || simple != isSimpleForm(v) || load<u8>(u, RecOff.base) != load<u8>(v, RecOff.base)) return false;
  if (load<i32>(u, RecOff.disp) != load<i32>(v, RecOff.disp) || load<u64>(u, RecOff.mask) != load<u64>(v, RecOff.mask)) return false;
  return simple || (load<u8>(u, RecOff.index) == load<u8>(v, RecOff.index) && load<u8>(u, RecOff.scale) == load<u8>(v, RecOff.scale));
}
@inline function isSimpleForm(u: usize): bool { return (load<u16>(u, RecOff.desc) & 7) >= Form.rmb; }

/** The flags a block begins with can be seen: by an instruction, by a fault, or by what follows. `but`: not by accesses where this record has one. */
export function flagsLive(n: u32, but: usize = 0): bool {
  // an interrupt may be taken where a loop begins again
  if (load<u8>(blockOf(n), JitBlock.flags) & JitBlockFlag.loop) return true;
  const b = blockOf(n), h = headOf(b), end = endOf(b);
  for (let u = h + RecOff.SIZE; u < end; u += RecOff.SIZE) {
    if (!isTemplate(u)) return true;
    const d = <i32>load<u16>(u, RecOff.desc), form = d & 7, op = (d >> 5) & 15;
    if (d >> 9 == Template.lea) continue;
    if (form != Form.rr && form != Form.ri && !(but && isSameAddress(u, but))) return true;
    switch (d >> 9) {
      case Template.alu:
        return op == Alu.adc || op == Alu.sbb;
      case Template.imul:
      case Template.mulWide: return false;
      case Template.doubleShift: return (op & 2) != 0;
      case Template.shift:
        if (op > 3) return false;
        return true;
      case Template.unary:
        if (op == 3) return false; // NEG
        if (op == 2 || but) break; // NOT; INC and DEC, which keep CF
        return true;
      case Template.mov:
      case Template.movx:
      case Template.xchg:
      case Template.widen:
      case Template.swapBytes:
      case Template.nop: break;
      default: return true;
    }
  }
  return !isShort(b) || succ(b, 0) == NONE || but || flagsLive(succ(b, 0));
}
