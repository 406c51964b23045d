/** Which blocks become one function: those that can be reached from the hot one over links the interpreter has made, so only
 *  what was executed before. A return goes to the places behind the region's own calls. Then the order to write them
 *  in: reverse postorder, dominators (Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm"); an edge into the middle
 *  of a loop is cut, which makes it a way out. */
import { JitBlock, JitBlockFlag, JitOff } from "../../abi/jit";
import { Mode, PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { BlockOff, decodedAt, jumpEntry, recordsOf } from "../code_cache";
import { Handler } from "../handler";
import { Template } from "../opcodes.gen";
import { PCPU } from "../pcpu";
import { Alu, Form } from "../semantics/alu";
import { J, jget, jset } from "./buffer";
import { isRestless } from "./regions";
import { noteSse, sseProperties } from "./sse";

const MAX_BLOCKS: u32 = 60;
const MAX_INSNS: u32 = 600;
const MAX_RETURNS: u32 = 8;
/** Blocks it may share with others: enough for a loop and what it calls, not for a second copy of a large program. */
const MAX_SHARED: u32 = 12;
const NONE: u8 = 0xff;

@inline export function blockOf(n: u32): usize { return J + JitOff.blocks + <usize>n * JitBlock.SIZE; }
@inline export function headOf(b: usize): usize { return <usize>load<u32>(b, JitBlock.head); }
@inline export function succ(b: usize, i: u32): u8 { return load<u8>(b + i, JitBlock.succ); }
@inline function setSucc(b: usize, i: u32, to: u8): void { store<u8>(b + i, to, JitBlock.succ); }
@inline export function templateOf(u: usize): i32 { return <i32>load<u16>(u, RecOff.desc) >> 9; }

/** Records that the emitting machine performs. */
export function isTemplate(u: usize): bool {
  const handler = <i32>load<u16>(u, RecOff.handler);
  return handler == Handler.any || handler >= Handler.hot;
}

@inline export function isHead(n: usize): bool {
  const handler = load<u16>(n, RecOff.handler);
  return handler == Handler.head || handler == Handler.region;
}

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
  const count = jget(JitOff.blockCount);
  for (let i: u32 = 0; i < count; i++) {
    const b = blockOf(i);
    if (headOf(b) == head && load<u64>(b, JitBlock.ripBase) == ripBase) return <u8>i;
  }
  const insns = jget(JitOff.insns) + recordsOf(head);
  if (count == MAX_BLOCKS || insns > MAX_INSNS || !isHead(head) || isRestless(load<u32>(head, BlockOff.maddr)) || <u32>load<u16>(head, BlockOff.mode) != jget(JitOff.mode)) return NONE;
  if (count != 0 && load<u8>(head, BlockOff.records) & BlockOff.IN_REGION) {
    const shared = jget(JitOff.shared);
    if (shared == MAX_SHARED) return NONE;
    jset(JitOff.shared, shared + 1);
  }
  jset(JitOff.insns, insns);
  jset(JitOff.blockCount, count + 1);
  const b = blockOf(count);
  memory.fill(b, 0, JitBlock.SIZE);
  store<u32>(b, <u32>head, JitBlock.head);
  store<u64>(b, ripBase, JitBlock.ripBase);
  store<u8>(b, NONE, JitBlock.rpo);
  return <u8>count;
}

/** Block at `to` (relative to the page of `b`) if the interpreter has been there from here. */
function direct(b: usize, u: usize, field: usize, to: i64): u8 {
  const ripBase = load<u64>(b, JitBlock.ripBase);
  const n = <usize>load<u32>(u + field);
  if (n) return isHead(n) ? add(n, ripBase) : NONE;
  if (<u64>to <= 4095) return NONE;
  let rip = ripBase + <u64>to;
  if ((jget(JitOff.mode) & Mode.BITS) != Mode.bits64) rip &= 0xffffffff;
  const entry = PCPU + jumpEntry(rip);
  if (load<u64>(entry, PcpuOff.JC) != rip || load<u32>(entry, PcpuOff.JC + 8) != jget(JitOff.mode)) return NONE;
  const head = <usize>load<u32>(entry, PcpuOff.JC + 12);
  return head && isHead(head) ? add(head, rip & ~(<u64>0xfff)) : NONE;
}

@inline function targetOf(u: usize): i64 { return <i64>load<i32>(u, RecOff.imm); }
@inline function behind(u: usize): i64 { return <i64>load<u16>(u, RecOff.off) + <i64>load<u8>(u, RecOff.len); }

/** Notes the block behind a call as a place to return to. */
function returnsTo(b: usize, u: usize): void {
  const to = behind(u), count = jget(JitOff.retCount);
  if (to > 4095 || count == MAX_RETURNS) return;
  const head = decodedAt((load<u32>(headOf(b), BlockOff.maddr) & ~0xfff) | <u32>to, jget(JitOff.mode));
  if (!head) return;
  const n = add(head, load<u64>(b, JitBlock.ripBase));
  if (n == NONE) return;
  for (let i: u32 = 0; i < count; i++) if (load<u32>(J + (<usize>i << 2), JitOff.rets) == <u32>n) return;
  store<u32>(J + (<usize>count << 2), n, JitOff.rets);
  jset(JitOff.retCount, count + 1);
}

/** Registers a record names, used and written: more than it needs is fine. */
function noteRegisters(u: usize): void {
  let used: u32 = 0, written: u32 = 0;
  const t = templateOf(u), form = <i32>load<u16>(u, RecOff.desc) & 7, op = (<i32>load<u16>(u, RecOff.desc) >> 5) & 15;
  const reg = <u32>load<u8>(u, RecOff.reg), rm = <u32>load<u8>(u, RecOff.rm);
  if (t != Template.jcc && t != Template.jmp && t != Template.nop) {
    used |= bit(reg) | bit(rm);
    if (form != Form.rr && form != Form.ri) used |= bit(load<u8>(u, RecOff.base)) | bit(load<u8>(u, RecOff.index));
    const toMemory = form == Form.mr || form == Form.mi || form == Form.mrb || form == Form.mib;
    if (!(t == Template.alu && op >= Alu.cmp) && !(toMemory && t != Template.imul)) written |= bit(reg);
    if (t == Template.xchg) written |= bit(rm);
    if (t == Template.push || t == Template.pop || t == Template.call || t == Template.callInd || t == Template.ret || t == Template.leave) written |= 1 << 4;
    if (t == Template.leave) { written |= 1 << 5; }
    if (t == Template.widen) written |= 5;
    if (t == Template.movs || t == Template.stos || t == Template.lods) written |= 1 | 1 << 6 | 1 << 7;
  }
  jset(JitOff.used, jget(JitOff.used) | used | written);
  jset(JitOff.written, jget(JitOff.written) | (written & 0xffff));
}

/** Bit of the slot of a register-file offset. */
function bit(offset: u32): u32 {
  if (offset < <u32>PcpuOff.zero) return 1 << (offset >> 3);
  return offset >= <u32>PcpuOff.segBase ? 1 << (16 + ((offset - PcpuOff.segBase) >> 3)) : 0;
}

/** Finds the region around the block at `head`. False if it is not worth a function. */
export function discover(head: usize, ripBase: u64): bool {
  jset(JitOff.blockCount, 0);
  jset(JitOff.retCount, 0);
  jset(JitOff.insns, 0);
  jset(JitOff.shared, 0);
  jset(JitOff.used, 0);
  jset(JitOff.written, 0);
  jset(JitOff.usesSse, 0);
  jset(JitOff.xmmUsed, 0);
  jset(JitOff.xmmWritten, 0);
  jset(JitOff.mode, load<u16>(head, BlockOff.mode));
  if (add(head, ripBase) == NONE) return false;
  let templates: u32 = 0, others: u32 = 0;
  for (let i: u32 = 0; i < jget(JitOff.blockCount); i++) {
    const b = blockOf(i), h = headOf(b), records = <u32>recordsOf(h);
    for (let k: u32 = 1; k <= records; k++) {
      const u = h + <usize>k * RecOff.SIZE;
      const sse = sseProperties(u);
      if (sse) noteSse(u, sse);
      else if (isTemplate(u)) noteRegisters(u);
      if (sse || isTemplate(u)) templates++;
      else others++;
    }
    const u = terminator(h);
    store<u32>(b, <u32>u, JitBlock.term);
    if (!u) continue;
    const t = templateOf(u);
    // the way straight on first: it becomes the nearer one in the queue
    if (t == Template.jcc) {
      setSucc(b, 1, direct(b, u, RecOff.fall, behind(u)));
      setSucc(b, 0, direct(b, u, RecOff.taken, targetOf(u)));
      store<u8>(b, 2, JitBlock.succCount);
    } else if (t == Template.jmp || t == Template.call) {
      setSucc(b, 0, direct(b, u, RecOff.taken, targetOf(u)));
      store<u8>(b, 1, JitBlock.succCount);
    }
    if (t == Template.call || t == Template.callInd) returnsTo(b, u);
  }
  const blocks = jget(JitOff.blockCount), rets = jget(JitOff.retCount);
  for (let i: u32 = 0; i < blocks; i++) {
    const b = blockOf(i), u = <usize>load<u32>(b, JitBlock.term);
    if (!u || templateOf(u) != Template.ret) continue;
    for (let k: u32 = 0; k < rets; k++) setSucc(b, k, <u8>load<u32>(J + (<usize>k << 2), JitOff.rets));
    store<u8>(b, <u8>rets, JitBlock.succCount);
  }
  if (others > templates) return false;
  order();
  return true;
}

/** Reverse postorder and dominators, repeated until every edge that goes back goes to a dominator. */
function order(): void {
  const blocks = jget(JitOff.blockCount);
  for (;;) {
    for (let i: u32 = 0; i < blocks; i++) store<u8>(blockOf(i), NONE, JitBlock.rpo);
    jset(JitOff.order, blocks);
    visit(0);
    // postorder was written from the back: close the gap of the blocks that cannot be reached
    const gap = jget(JitOff.order), count = blocks - gap;
    memory.copy(J + JitOff.orderList, J + JitOff.orderList + <usize>gap, <usize>count);
    jset(JitOff.order, count);
    for (let i: u32 = 0; i < count; i++) store<u8>(blockOf(load<u8>(J + <usize>i, JitOff.orderList)), <u8>i, JitBlock.rpo);
    dominators(count);
    if (!cutIrreducible(count)) break;
  }
  count();
}

const VISITING: u8 = 0xfe;

function visit(n: u32): void {
  const b = blockOf(n);
  store<u8>(b, VISITING, JitBlock.rpo);
  for (let i: i32 = <i32>load<u8>(b, JitBlock.succCount) - 1; i >= 0; i--) {
    const s = succ(b, i);
    if (s != NONE && load<u8>(blockOf(s), JitBlock.rpo) == NONE) visit(s);
  }
  const at = jget(JitOff.order) - 1;
  store<u8>(J + <usize>at, <u8>n, JitOff.orderList);
  jset(JitOff.order, at);
}

@inline function rpo(n: u32): u32 { return load<u8>(blockOf(n), JitBlock.rpo); }
@inline function idom(n: u32): u32 { return load<u8>(blockOf(n), JitBlock.idom); }

function dominators(count: u32): void {
  for (let i: u32 = 0; i < count; i++) store<u8>(blockOf(load<u8>(J + <usize>i, JitOff.orderList)), NONE, JitBlock.idom);
  store<u8>(blockOf(0), 0, JitBlock.idom);
  for (let changed = true; changed; ) {
    changed = false;
    for (let i: u32 = 0; i < count; i++) {
      const from = <u32>load<u8>(J + <usize>i, JitOff.orderList), b = blockOf(from);
      if (idom(from) == NONE) continue;
      for (let k: u32 = 0; k < load<u8>(b, JitBlock.succCount); k++) {
        const to = <u32>succ(b, k);
        if (to == NONE || to == 0) continue;
        const old = idom(to), now = old == NONE ? from : intersect(from, old);
        if (now == old) continue;
        store<u8>(blockOf(to), <u8>now, JitBlock.idom);
        changed = true;
      }
    }
  }
}

function intersect(x: u32, y: u32): u32 {
  while (x != y) {
    while (rpo(x) > rpo(y)) x = idom(x);
    while (rpo(y) > rpo(x)) y = idom(y);
  }
  return x;
}

function dominates(a: u32, b: u32): bool {
  while (rpo(b) > rpo(a)) b = idom(b);
  return a == b;
}

function cutIrreducible(count: u32): bool {
  let cut = false;
  for (let i: u32 = 0; i < count; i++) {
    const from = <u32>load<u8>(J + <usize>i, JitOff.orderList), b = blockOf(from);
    for (let k: u32 = 0; k < load<u8>(b, JitBlock.succCount); k++) {
      const to = <u32>succ(b, k);
      if (to == NONE || rpo(to) > i || dominates(to, from)) continue;
      setSucc(b, k, NONE);
      cut = true;
    }
  }
  return cut;
}

/** Loop headers and forward edges. */
function count(): void {
  const n = jget(JitOff.order);
  for (let i: u32 = 0; i < n; i++) {
    const b = blockOf(load<u8>(J + <usize>i, JitOff.orderList));
    store<u32>(b, 0, JitBlock.outKind);
    for (let k: u32 = 0; k < load<u8>(b, JitBlock.succCount); k++) {
      const to = succ(b, k);
      if (to == NONE) continue;
      const s = blockOf(to);
      store<u32>(s, load<u32>(s, JitBlock.allPreds) + 1, JitBlock.allPreds);
      store<u32>(s, load<u8>(J + <usize>i, JitOff.orderList), JitBlock.pred);
      if (load<u8>(s, JitBlock.rpo) <= <u8>i) store<u8>(s, load<u8>(s, JitBlock.flags) | JitBlockFlag.loop, JitBlock.flags);
      else store<u32>(s, load<u32>(s, JitBlock.predCount) + 1, JitBlock.predCount);
    }
  }
}

/** The flags a block begins with can be seen: by an instruction, by a fault, or by what follows. */
export function flagsLive(n: u32): bool {
  // an interrupt may be taken where a loop begins again
  if (load<u8>(blockOf(n), JitBlock.flags) & JitBlockFlag.loop) return true;
  const h = headOf(blockOf(n)), records = <u32>recordsOf(h);
  for (let k: u32 = 1; k <= records; k++) {
    const u = h + <usize>k * RecOff.SIZE;
    if (!isTemplate(u)) return true;
    const d = <i32>load<u16>(u, RecOff.desc), form = d & 7, op = (d >> 5) & 15;
    if (d >> 9 == Template.lea) continue;
    if (form != Form.rr && form != Form.ri) return true;
    switch (d >> 9) {
      case Template.alu:
        return op == Alu.adc || op == Alu.sbb;
      case Template.imul: return false;
      case Template.shift:
        if (op > 3) return false;
        return true;
      case Template.unary:
        if (op == 3) return false; // NEG
        if (op == 2) break; // NOT
        return true;
      case Template.mov:
      case Template.movx:
      case Template.xchg:
      case Template.widen:
      case Template.nop: break;
      default: return true;
    }
  }
  return true;
}
