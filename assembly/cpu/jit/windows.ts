/** Windows: pages that accesses of a loop stay on, kept in wasm locals. An access through a window compares its page with the one its
 *  predecessor used, a register with a register, and asks the TLB only when that page is left.
 *
 *  ```
 *  tag   i64 local: address of the page, NO_PAGE for none: with an access's address less its bits within a page, but for those that
 *        say that it is aligned, compared at once
 *  host  i32 local: addend to the low half of a linear address on that page
 *  ```
 *  Accesses share a window if they are made through the same registers, at displacements of the same 4 KiB, for the same purpose
 *  (reading or writing). Only those in loops have one, first of all where the address registers move in steps. What was loaded from
 *  anywhere but the stack, or hashed, may be on any page each time, or be nodes of one short list; only using it tells (window_runtime).
 *
 *  A window is no older than the function's run and says nothing that the TLB did not say during it. So it holds as long as nothing drops
 *  translations: cold instructions may, and empty all windows. Other threads' wishes (VcpuRequest.flush) are granted between slices. */
import { JitBlock, JitOff, WindowOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecFlag, RecOff } from "../../abi/record";
import { Gpr } from "../../abi/x86";
import { Template } from "../opcodes.gen";
import { recordsOf } from "../code_cache";
import { Alu, Form } from "../semantics/alu";
import { J, WasmType, i64const, increment, jget, jset, localSet } from "./buffer";
import { blockOf, dominates, headOf, ordered, rpo } from "./graph";
import { depthAt, lastOf, loopAt } from "./loops";
import { isSegmented, isTemplate, templateOf } from "./region";
import { operandRun, stackRun } from "./runs";
import { Sse, sseProperties } from "./sse";
import { fresh } from "./slots";
import { clearCounts, countAt, countWindow, emptiedAt, isRefused, windowKey } from "./window_runtime";

const enum KeyOff { base = 0, index = 1, write = 2, refused = 3, number = 3, weight = 4, bucket = 8, tag = 12, key = 14, host = 14, SIZE = 16 }

/** Registers by which some access is made: more than a region usually has. */
const MAX_KEYS: u32 = 96;
/** What an access counts more for that moves in steps. */
const STEPS: u32 = 4;
const NO_PAGE: i64 = 0x800;
const STACK: u32 = Gpr.rsp * 8;
const FRAME: u32 = Gpr.rbp * 8;
/* Of string instructions. */
const SOURCE: u32 = Gpr.rsi * 8;
const DESTINATION: u32 = Gpr.rdi * 8;

@inline function keyAt(n: u32): usize { return J + JitOff.windows + <usize>n * KeyOff.SIZE; }
@inline function isGeneral(offset: u32): bool { return offset < <u32>PcpuOff.zero; }
@inline function bitOf(offset: u32): u32 { return isGeneral(offset) ? <u32>1 << (offset >> 3) : 0; }
@inline function onStack(u: usize): bool { const base = <u32>load<u8>(u, RecOff.base); return base == STACK || base == FRAME; }

/** Displacements of one window. Those of an address without registers are pages, of which an access never leaves its own. */
function bucketOf(base: u32, index: u32, disp: i32, ripBase: u64): i32 {
  if (base == <u32>PcpuOff.ripBase) return <i32>(ripBase >> 12) + (disp >> 12);
  return (base == <u32>PcpuOff.zero && index == <u32>PcpuOff.zero ? disp : disp + 2048) >> 12;
}

function find(base: u32, index: u32, write: bool, bucket: i32): u32 {
  const count = jget(JitOff.windowKeys);
  for (let n: u32 = 0; n < count; n++) {
    const k = keyAt(n);
    if (load<u8>(k, KeyOff.base) == <u8>base && load<u8>(k, KeyOff.index) == <u8>index && load<u8>(k, KeyOff.write) == u8(write) && load<i32>(k, KeyOff.bucket) == bucket) return n;
  }
  return count;
}

function noteAccess(base: u32, index: u32, write: bool, bucket: i32, weight: u32, unstable: u32): void {
  const n = find(base, index, write, bucket), k = keyAt(n);
  if (n == jget(JitOff.windowKeys)) {
    if (n == MAX_KEYS) return;
    jset(JitOff.windowKeys, n + 1);
    store<u32>(k, base | index << 8 | u32(write) << 16);
    store<u32>(k, 0, KeyOff.weight);
    store<i32>(k, bucket, KeyOff.bucket);
    store<u32>(k, 0, KeyOff.tag);
    store<u16>(k, <u16>windowKey(jget(JitOff.loopHead), base, index, write, bucket), KeyOff.key);
    store<u8>(k, u8(isRefused(load<u16>(k, KeyOff.key))), KeyOff.refused);
  }
  if (load<u8>(k, KeyOff.refused)) return;
  const steps = !((bitOf(base) | bitOf(index)) & unstable);
  store<u32>(k, load<u32>(k, KeyOff.weight) + (steps ? weight * STEPS : weight), KeyOff.weight);
}

function writesMemory(u: usize): bool {
  const t = templateOf(u), d = <i32>load<u16>(u, RecOff.desc), form = d & 7, op = (d >> 5) & 15;
  if (t == Template.alu) return op < Alu.cmp && (form == Form.mr || form == Form.mi || form == Form.mrb || form == Form.mib);
  if (t == Template.mov) return form == Form.mr || form == Form.mi || form == Form.mrb || form == Form.mib;
  return t == Template.unary || t == Template.setcc || t == Template.shift || t == Template.shiftCl || t == Template.xchg || t == Template.locked || t == Template.xadd || t == Template.cmpxchg;
}

/** The accesses of record `u` that have no run. */
function noteRecord(u: usize, ripBase: u64, weight: u32, unstable: u32): void {
  const base = <u32>load<u8>(u, RecOff.base), index = <u32>load<u8>(u, RecOff.index), disp = load<i32>(u, RecOff.disp);
  const sse = sseProperties(u);
  if (sse) {
    if (load<u8>(u, RecOff.flags) & RecFlag.mem && !operandRun(u, (sse & Sse.STORE) != 0)) noteAccess(base, index, (sse & Sse.STORE) != 0, bucketOf(base, index, disp, ripBase), weight, unstable);
    return;
  }
  if (!isTemplate(u) || isSegmented(u)) return;
  const t = templateOf(u), form = <i32>load<u16>(u, RecOff.desc) & 7;
  switch (t) {
    case Template.push: case Template.call: case Template.callInd: if (!stackRun(true, false, u)) noteAccess(STACK, PcpuOff.zero, true, 0, weight, unstable); break;
    case Template.pop: case Template.ret: case Template.leave: if (!stackRun(false, t == Template.leave, u)) noteAccess(t == Template.leave ? FRAME : STACK, PcpuOff.zero, false, 0, weight, unstable); return;
    case Template.movs: case Template.stos: case Template.lods:
      if (t != Template.stos && !operandRun(u, false)) noteAccess(SOURCE, PcpuOff.zero, false, 0, weight, unstable);
      if (t != Template.lods && !operandRun(u, true)) noteAccess(DESTINATION, PcpuOff.zero, true, 0, weight, unstable);
      return;
    case Template.jcc: case Template.jmp: case Template.nop: case Template.lea: return;
    default: break;
  }
  if (form != Form.rr && form != Form.ri && !operandRun(u, writesMemory(u))) noteAccess(base, index, writesMemory(u), bucketOf(base, index, disp, ripBase), weight, unstable);
}

/** Registers that may point anywhere after record `u`, given those before. */
function unstableAfter(u: usize, unstable: u32): u32 {
  if (!isTemplate(u)) return unstable;
  const t = templateOf(u), d = <i32>load<u16>(u, RecOff.desc), form = d & 7, op = (d >> 5) & 15;
  const to = bitOf(load<u8>(u, RecOff.reg)), from = bitOf(load<u8>(u, RecOff.rm));
  const memory = form == Form.rm || form == Form.rmb;
  switch (t) {
    case Template.mov:
      if (form == Form.rr) return unstable & from ? unstable | to : unstable;
      return memory && !onStack(u) ? unstable | to : unstable;
    case Template.movx: // what came from a byte moves within a small table
      if (form == Form.rr) return unstable & from && op & 3 ? unstable | to : unstable;
      return op != 0 && memory && !onStack(u) ? unstable | to : unstable;
    case Template.lea:
      return unstable & (bitOf(load<u8>(u, RecOff.base)) | bitOf(load<u8>(u, RecOff.index))) ? unstable | to : unstable;
    case Template.alu:
      if (op >= Alu.cmp || form == Form.mr || form == Form.mi || form == Form.mrb || form == Form.mib || to == 1 << Gpr.rsp) return unstable;
      if (op == Alu.and && form == Form.ri && <u32>load<i32>(u, RecOff.imm) < 4096) return unstable;
      if (op == Alu.xor && form == Form.rr && to == from) return unstable;
      if (op != Alu.add && op != Alu.sub) return unstable | to;
      if (form == Form.rr) return unstable & from ? unstable | to : unstable;
      return memory && !onStack(u) ? unstable | to : unstable;
    case Template.unary: return form == Form.rr && op >= 2 ? unstable | to : unstable;
    case Template.cmov: return memory ? unstable | to : unstable & from ? unstable | to : unstable;
    case Template.shift: case Template.shiftCl: case Template.imul: case Template.scan: case Template.doubleShift: case Template.swapBytes: case Template.setcc:
      return form == Form.rr || form == Form.ri || t != Template.shift && t != Template.shiftCl && t != Template.setcc ? unstable | to : unstable;
    case Template.mulWide: case Template.divide: return unstable | 1 << Gpr.rax | 1 << Gpr.rdx;
    case Template.widen: case Template.lods: return unstable | 1 << Gpr.rax | 1 << Gpr.rdx;
    case Template.xchg: case Template.xadd: case Template.locked: return unstable | to | from;
    case Template.cmpxchg: return unstable | 1 << Gpr.rax;
    default: return unstable;
  }
}

/** Registers that move in no steps within the loop of header `h`. */
function unstableIn(h: u32, last: i32): u32 {
  let mask: u32 = 0;
  for (let round = 0; round < 4; round++) {
    const before = mask;
    for (let i = rpo(h); <i32>i <= last; i++) {
      const n = ordered(i);
      if (n == JitBlock.DISPATCH || !dominates(h, n)) continue;
      const head = headOf(blockOf(n)), records = <u32>recordsOf(head);
      for (let k: u32 = 1; k <= records; k++) mask = unstableAfter(head + <usize>k * RecOff.SIZE, mask);
    }
    if (mask == before) break;
  }
  return mask;
}

/** Chooses the windows of the region, whose blocks are in order. */
export function chooseWindows(): void {
  jset(JitOff.windowKeys, 0);
  const count = jget(JitOff.order);
  let known = -1, unstable: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const n = ordered(i), at = n == JitBlock.DISPATCH ? -1 : loopAt(i);
    if (at < 0) continue;
    if (at != known) unstable = unstableIn(ordered(at), lastOf(ordered(at), count));
    known = at;
    jset(JitOff.loopHead, <u32>headOf(blockOf(ordered(at))));
    const b = blockOf(n), head = headOf(b), records = <u32>recordsOf(head), weight = <u32>1 << (min(depthAt(i), 4) << 1);
    for (let k: u32 = 1; k <= records; k++) noteRecord(head + <usize>k * RecOff.SIZE, load<u64>(b, JitBlock.ripBase), weight, unstable);
  }
  clearCounts();
  for (let number: u32 = 0; number < <u32>WindowOff.MAX; number++) {
    const k = heaviest();
    if (!k) break;
    store<u32>(k, 0, KeyOff.weight);
    store<u8>(k, <u8>number, KeyOff.number);
    countWindow(number, load<u16>(k, KeyOff.key));
    store<u16>(k, <u16>fresh(<u8>WasmType.i64), KeyOff.tag);
    store<u16>(k, <u16>fresh(<u8>WasmType.i32), KeyOff.host);
  }
}

function heaviest(): usize {
  const count = jget(JitOff.windowKeys);
  let best: usize = 0, most: u32 = 0;
  for (let n: u32 = 0; n < count; n++) {
    const k = keyAt(n), w = load<u32>(k, KeyOff.weight);
    if (w <= most) continue;
    most = w;
    best = k;
  }
  return best;
}

/** Window of an access through these registers, as 1 + its number; 0 if it has none. */
function windowOf(base: u32, index: u32, write: bool, bucket: i32): u32 {
  const n = find(base, index, write, bucket);
  return n < jget(JitOff.windowKeys) && load<u16>(keyAt(n), KeyOff.tag) ? n + 1 : 0;
}

/** Window of the memory operand of record `u`, or what a string instruction reads or writes. */
export function operandWindow(u: usize, write: bool): u32 {
  if (isTemplate(u) && templateOf(u) >= Template.movs && templateOf(u) <= Template.lods) return windowOf(write ? DESTINATION : SOURCE, PcpuOff.zero, write, 0);
  const base = <u32>load<u8>(u, RecOff.base), index = <u32>load<u8>(u, RecOff.index);
  return windowOf(base, index, write, bucketOf(base, index, load<i32>(u, RecOff.disp), load<u64>(J, JitOff.ripBase)));
}

/** Window of the top of the stack, or of what EBP points to. */
export function stackWindow(write: bool, frame: bool): u32 { return windowOf(frame ? FRAME : STACK, PcpuOff.zero, write, 0); }

@inline export function tagLocal(window: u32): u32 { return load<u16>(keyAt(window - 1), KeyOff.tag); }
@inline export function hostLocal(window: u32): u32 { return load<u16>(keyAt(window - 1), KeyOff.host); }
/** Where it is counted how often it moves. */
@inline export function countOf(window: u32): u32 { return countAt(load<u8>(keyAt(window - 1), KeyOff.number)); }

/** [] -> []: nothing is known of any page any more. */
export function emptyWindows(): void {
  const count = jget(JitOff.windowKeys);
  let some = false;
  for (let n: u32 = 0; n < count; n++) {
    const tag = <u32>load<u16>(keyAt(n), KeyOff.tag);
    if (!tag) continue;
    i64const(NO_PAGE);
    localSet(tag);
    some = true;
  }
  if (some) increment(emptiedAt());
}
