/** What surrounds the block interpreter: starting and ending slices, delivering what is pending, cold dispatch.
 *
 *  A slice is a run of at most JitOff.slice instructions without a look at anything outside; between slices the requests of other
 *  threads and the interrupts are seen to. `left` counts the slice down; whoever wants the loop to look earlier sets it to 0. */
import { Exit } from "../abi/exit";
import { Check, JitOff } from "../abi/jit";
import { Mode, PcpuOff, VcpuOff, VcpuRequest } from "../abi/layout";
import { RecOff } from "../abi/record";
import { Vector } from "../abi/x86";
import { raise, raiseError } from "../fault";
import { drainDropped } from "../mmu/code_pages";
import { hasEvictions, hasNews, tellDecodersAgain } from "../mmu/code_news";
import { checkPhase } from "../mmu/journal";
import { flushTlbAll } from "../mmu/tlb";
import { obeyEvictions } from "../mmu/written";
import { BlockOff, checkStraddle, dropAllCode, enterDead, resume, resync } from "./code_cache";
import { stackFault } from "./checked";
import { Handler } from "./handler";
import { Interp } from "./interp";
import { checkUnwound } from "./jit/check";
import { sample } from "./jit/sampling";
import { ripMask } from "./helpers/mode";
import { debugTrap, stepHook } from "./helpers/debug";
import { interruptReady } from "./helpers/events";
import { performInteger } from "./helpers/integer";
import { HELD, deliver, takeInterrupt, NO_INTERRUPT, UNFETCHED } from "./helpers/interrupt";
import { performLocked } from "./helpers/locked";
import { performString } from "./helpers/string";
import { performSystem } from "./helpers/system";
import { performX87 } from "./helpers/x87_ops";
import { Group } from "./opcodes.gen";
import { PCPU, attention, endLook, lookAfter } from "./pcpu";
import { isPatched, readImmediate } from "./patched";
import { performAny } from "./perform";
import { performMmx } from "./semantics/mmx";
import { performSse } from "./semantics/sse";

export function performCold(u: usize): usize {
  store<u32>(PCPU, <u32>u, PcpuOff.record);
  return performGroup(u);
}

/** The same for a record that is noted already. */
@inline export function performGroup(u: usize): usize {
  const group = <i32>load<u8>(u, RecOff.desc + 1);
  if (group == Group.system) { // most of what translated code leaves to helpers
    const next = performSystem(u);
    if (hasNews()) attention(); // those that serialize are all here
    return next;
  }
  switch (group) {
    case Group.integer: return performInteger(u);
    case Group.string: return performString(u);
    case Group.x87: return performX87(u);
    case Group.mmx: return performMmx(u);
    case Group.sse: return performSse(u);
    case Group.locked: return performLocked(u);
    default: return raise(Vector.UD);
  }
}

/** `last`: nothing else refers to what the record is now. */
export function performChecked(u: usize, last: bool): usize {
  store<u32>(PCPU, <u32>u, PcpuOff.record);
  if (isPatched(u)) readImmediate(u, last);
  return performAny<Interp<u16>, u64>(changetype<Interp<u16>>(PCPU), u);
}

/** Lengths of slices differ by up to so many instructions. */
const UNEVEN_BITS: u32 = 9;
const UNEVEN: i32 = 1 << UNEVEN_BITS;

/** Instructions of the next slice. Where slices end is where time is seen to be spent (jit/sampling): always of one length, they would end
 *  at the same few places of a loop whose rounds are all as long, and what is run beside those would never be seen. */
@inline function sliceOf(most: i32): i32 {
  if (most < UNEVEN << 2) return most;
  return most - <i32>((load<u32>(PCPU, PcpuOff.retired) * 0x9e3779b1) >> (32 - UNEVEN_BITS));
}

/** Instructions of the slice that begins with the block at `u`, which runs whole in any case: where a way is followed, that block only. An instruction that
 *  crosses a page is counted once its second half is known to be there, and would wait for ever in a slice of none. */
function sliceAt(u: usize): i32 {
  if (load<u32>(PCPU, PcpuOff.pathSteps)) return load<u16>(u) == Handler.straddle ? 1 : 0;
  return load<u32>(PCPU + PcpuOff.JIT, JitOff.climbFrom) ? 1 : sliceOf(load<i32>(PCPU + PcpuOff.JIT, JitOff.slice));
}

/** Opens a slice and gives the record to run: past the head of the block at `u`, whose instructions are counted. */
function open(u: usize): usize {
  if (!u) return 0;
  const budget = load<i64>(PCPU, PcpuOff.budget);
  const slice = sliceAt(u), length = budget < slice ? <i32>budget : slice;
  store<u32>(PCPU, length, PcpuOff.sliceLength);
  store<i32>(PCPU, length, PcpuOff.left);
  const count = <i32>load<u16>(u, BlockOff.count);
  if (load<u16>(u) != Handler.head && (load<u16>(u) != Handler.region || count <= length)) return u;
  // a block longer than what is left still runs whole: progress before precision
  store<i32>(PCPU, length - count, PcpuOff.left);
  return u + RecOff.SIZE;
}

/** Books the instructions of the slice that ends. */
function close(): void {
  const done = <i64>load<i32>(PCPU, PcpuOff.sliceLength) - <i64>load<i32>(PCPU, PcpuOff.left);
  store<u64>(PCPU, load<u64>(PCPU, PcpuOff.retired) + <u64>done, PcpuOff.retired);
  store<i64>(PCPU, load<i64>(PCPU, PcpuOff.budget) - done, PcpuOff.budget);
  store<i32>(PCPU, 0, PcpuOff.left);
  store<u32>(PCPU, 0, PcpuOff.sliceLength);
  if (load<u32>(PCPU, PcpuOff.owedCount)) tellDecodersAgain();
  if (hasEvictions()) obeyEvictions(); // even if nothing runs here for a while, for others wait
}

function leave(exit: i32): usize {
  store<i32>(PCPU, exit, PcpuOff.exit);
  return 0;
}

/** Between instructions, rip valid: requests, interrupts, budget; then the next record. */
function look(): usize {
  // what a record was to look at before it is looked at here; after STI and a branch nobody comes by that record
  if (load<u32>(PCPU, PcpuOff.lookAt)) endLook();
  if (load<i32>(PCPU, PcpuOff.exit)) return 0;
  const vcpu = <usize>load<u32>(PCPU, PcpuOff.vcpu);
  if (vcpu) {
    const request = atomic.load<i32>(vcpu, VcpuOff.request);
    if (request & (VcpuRequest.flush | VcpuRequest.code | VcpuRequest.pause)) {
      // taken before it is obeyed: what another thread asks for from now on it asks for again
      atomic.and<i32>(vcpu, ~(request & (VcpuRequest.flush | VcpuRequest.code)), VcpuOff.request);
      if (request & VcpuRequest.flush) flushTlbAll();
      if (request & VcpuRequest.code) dropAllCode();
      if (request & VcpuRequest.pause) return leave(Exit.request);
    }
  }
  if (drainDropped()) dropAllCode();
  if (load<i64>(PCPU, PcpuOff.budget) <= 0) return leave(Exit.budget);
  if (debugTrap()) return ahead();
  const interrupt = takeInterrupt();
  if (interrupt == HELD) {
    // the instruction under the shadow runs alone, past its head, with a slice already used up
    const mode = load<u32>(PCPU, PcpuOff.mode);
    store<u32>(PCPU, mode | Mode.step, PcpuOff.mode);
    let n = resume();
    const one = n != 0 && load<u16>(n) == Handler.step;
    if (one) n = onlyOf(n);
    store<u32>(PCPU, mode, PcpuOff.mode);
    store<u32>(PCPU, 1, PcpuOff.sliceLength);
    return !one || !(mode & Mode.step) || stepHook(n) ? n : 0;
  }
  return open(interrupt == NO_INTERRUPT ? resume() : interrupt);
}

/** A debug trap comes ahead of interrupts, which are looked at again right behind it. */
function ahead(): usize {
  const u = open(resume());
  if (u && interruptReady()) attention();
  return u;
}

/** A delivery that unwound, with no instruction since the last one: they can follow each other for ever, too (abnormal). */
function countDelivery(): void {
  const budget = load<i64>(PCPU, PcpuOff.budget) - 1;
  store<i64>(PCPU, budget, PcpuOff.budget);
  if (budget < 0) leave(Exit.budget); // the fault stays pending
}

/** run() begins, also after an unwound fault. */
export function start(): usize {
  if (checkPhase() > Check.idle) {
    const u = checkUnwound();
    if (u) return u;
  }
  const idle = load<u32>(PCPU, PcpuOff.sliceLength) == load<u32>(PCPU, PcpuOff.left);
  close();
  if (load<i32>(PCPU, PcpuOff.faultVector) >= 0) {
    if (idle) countDelivery();
    return 0;
  }
  if (load<i32>(PCPU, PcpuOff.exit)) return 0;
  return look();
}

/** A block head found the slice used up. */
export function endSlice(u: usize): usize {
  store<u32>(PCPU + PcpuOff.JIT, <u32>u, JitOff.endedAt);
  sample(u);
  if (load<u16>(u) == Handler.head || load<u16>(u) == Handler.region) store<i32>(PCPU, load<i32>(PCPU, PcpuOff.left) + load<u16>(u, BlockOff.count), PcpuOff.left);
  else store<i32>(PCPU, load<i32>(PCPU, PcpuOff.left) + 1, PcpuOff.left);
  close();
  store<u64>(PCPU, ripMask(load<u64>(PCPU, PcpuOff.ripBase) + load<u16>(u, BlockOff.off)), PcpuOff.rip);
  store<u32>(PCPU, 0, PcpuOff.record);
  return look();
}

/** Handler.look: the instruction of the record before `u` has, or may have, made an interrupt due or ended something. */
function lookBetween(u: usize): usize {
  const handler = endLook(), previous = u - RecOff.SIZE;
  const own = ripMask(load<u64>(PCPU, PcpuOff.ripBase) + load<u16>(u, RecOff.off));
  const next = ripMask(load<u64>(PCPU, PcpuOff.ripBase) + load<u16>(previous, RecOff.off) + load<u8>(previous, RecOff.len));
  const block = handler <= <u32>Handler.straddle || handler == Handler.goto || handler == Handler.dead || handler == Handler.region;
  if (load<i32>(PCPU, PcpuOff.exit)) {
    store<u64>(PCPU, block ? own : next, PcpuOff.rip);
    store<u32>(PCPU, 0, PcpuOff.record);
    return 0;
  }
  if (block) { // no instruction: the next head ends the slice, and looks
    attention();
    return u;
  }
  store<u64>(PCPU, next, PcpuOff.rip);
  store<u32>(PCPU, 0, PcpuOff.record);
  let to = takeInterrupt();
  if (to == HELD) {
    if (own == next) {
      lookAfter(u); // runs under the shadow
      attention();
      return u;
    }
    store<u64>(PCPU, own, PcpuOff.rip); // a NOP, which has no record, was under the shadow
    to = takeInterrupt();
  }
  return to == NO_INTERRUPT ? u : to;
}

/** Head of a one-instruction block. A debug trap of the instruction before comes ahead of interrupts, and of faults of this one's fetch. */
function step(u: usize): usize {
  store<u64>(PCPU, ripMask(load<u64>(PCPU, PcpuOff.ripBase) + load<u16>(u, BlockOff.off)), PcpuOff.rip);
  store<u32>(PCPU, 0, PcpuOff.record);
  const trap = debugTrap(), left = load<i32>(PCPU, PcpuOff.left) - 1;
  store<i32>(PCPU, left, PcpuOff.left);
  if (left < 0 && !trap) return endSlice(u);
  const next = onlyOf(u);
  return stepHook(next) ? next : 0;
}

/** The instruction of a one-instruction block. If it crosses into a page that is another one now, that of the block decoded anew, in Mode.step like this. */
function onlyOf(u: usize): usize {
  if (!load<u32>(u, BlockOff.second)) return u + RecOff.SIZE;
  const next = checkStraddle(u);
  return next && load<u16>(next) == Handler.step ? next + RecOff.SIZE : next;
}

/** Head of an instruction that crosses a page. */
function straddle(u: usize): usize {
  const left = load<i32>(PCPU, PcpuOff.left) - 1;
  if (left < 0) {
    store<i32>(PCPU, left, PcpuOff.left);
    return endSlice(u);
  }
  const next = checkStraddle(u);
  if (next == u + RecOff.SIZE) store<i32>(PCPU, left, PcpuOff.left); // it is there
  return next;
}

/** Records that are neither templates nor cold, nor begin or end a block. */
export function performRare(u: usize): usize {
  switch (<i32>load<u16>(u)) {
    case Handler.resync: return resync(u);
    case Handler.step: return step(u);
    case Handler.straddle: return straddle(u);
    case Handler.checked: return performChecked(u, true);
    case Handler.dead: return enterDead(u);
    case Handler.look: return lookBetween(u);
    default: {
      store<u32>(PCPU, <u32>u, PcpuOff.record);
      return load<u16>(u) == Handler.ud ? raise(Vector.UD) : raiseError(Vector.GP, 0);
    }
  }
}

/** Record 0: a fault is delivered, an exit leaves (0). */
export function abnormal(): usize {
  for (;;) {
    if (load<i32>(PCPU, PcpuOff.exit)) {
      close();
      return 0;
    }
    if (load<i32>(PCPU, PcpuOff.faultVector) < 0) return resume();
    stackFault();
    const u = deliver();
    const left = load<i32>(PCPU, PcpuOff.left) - 1;
    store<i32>(PCPU, left, PcpuOff.left);
    // Each counts as an instruction: they can follow each other for ever with none between, by handlers that cannot be fetched, whole or
    // at all, tasks that cannot be loaded, or interrupts that come before them.
    if (u && u != UNFETCHED && left >= 0) return u;
    if (left >= 0 || load<i32>(PCPU, PcpuOff.exit)) continue;
    close();
    if (u) {
      store<i32>(PCPU, -1, PcpuOff.faultVector); // what could not be fetched will fault again
      const next = look();
      if (next) return next;
    } else if (load<i64>(PCPU, PcpuOff.budget) <= 0) leave(Exit.budget); // the fault stays pending
  }
  return 0;
}

/** What run() returns; the pending exit is taken. */
export function takeExit(): i32 {
  const exit = load<i32>(PCPU, PcpuOff.exit);
  store<i32>(PCPU, Exit.none, PcpuOff.exit);
  return exit;
}
