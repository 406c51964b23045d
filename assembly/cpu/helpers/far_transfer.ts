/** Far JMP, CALL and RET, direct, through call gates and to tasks (SDM Vol.2A CALL, JMP, Vol.2B RET; Vol.3A "Privilege
 *  Checking When Transferring Program Control Between Code Segments"). Every check precedes every change of state. */
import { PcpuOff, Seg, SegAttr } from "../../abi/layout";
import { Vector } from "../../abi/x86";
import { failError } from "../../fault";
import { resume } from "../code_cache";
import { PCPU } from "../pcpu";
import {
  Sys, attrOf, baseOf, descriptorAt, dplOf, gateOffset, gateSelector, isBig, isCode, isConforming, isLong, isNull, isPresent, isSegment, limitOf,
  markAccessed, NO_DESCRIPTOR, readDescriptor, typeOf,
} from "./descriptor";
import { sysLd64 } from "../access";
import { canonical, cpl, longActive, nextRip, realMode, segAttr, segBase, segLimit, segSel, updateMode, updateModeFlags, v86Mode } from "./mode";
import { dropInnerSegments, setFromDescriptor, setNull, setReal, setSegment, setV86, stackDescriptor } from "./segment";
import { maskOf, moveRsp, needRoom, newStack, outerRsp, peek, poke, rsp, setRsp, sysStN } from "./stack";
import { Switch, switchTask } from "./task";
import { tssStack64, tssStackPointer, tssStackSelector } from "./tss";

/** Selector error code. */
@inline function code(selector: u32): u32 { return selector & 0xfffc; }

/** Does `d` describe 64-bit code now? */
@inline export function to64(d: u64): bool { return longActive() && isLong(d); }

/** #GP(0) unless `offset` is a possible target in code segment `d`. */
@inline export function checkTarget(d: u64, offset: u64): void {
  if (to64(d) ? !canonical(offset) : offset > <u64>limitOf(d)) failError(Vector.GP, 0);
}

/** Puts code segment `d` in force at privilege `level` and goes on at `offset`. */
@inline export function enterCode(selector: u32, d: u64, level: u32, offset: u64): void {
  markAccessed(selector, d);
  store<u64>(PCPU, offset, PcpuOff.rip);
  if (cpl() == level && segAttr(Seg.cs) == (attrOf(d) | 1) && segLimit(Seg.cs) == limitOf(d) && segBase(Seg.cs) == baseOf(d)) {
    store<u32>(PCPU, (selector & 0xfffc) | level, PcpuOff.segSel + Seg.cs * 4);
    updateModeFlags(level);
  } else changeCode((selector & 0xfffc) | level, d, level);
}

function changeCode(selector: u32, d: u64, level: u32): void {
  setFromDescriptor(Seg.cs, selector, d);
  store<u32>(PCPU, level, PcpuOff.cpl);
  updateMode();
}

/** Real and virtual-8086 mode. */
function enterReal(selector: u32, offset: u64): usize {
  if (v86Mode()) setV86(Seg.cs, selector);
  else setReal(Seg.cs, selector);
  store<u64>(PCPU, offset, PcpuOff.rip);
  updateMode();
  return resume();
}

/** Checks code segment `d` as the direct target of a far jump or call. */
function checkDirect(selector: u32, d: u64): void {
  const level = cpl();
  if (!isCode(d)) failError(Vector.GP, code(selector));
  if (isConforming(d) ? dplOf(d) > level : (selector & 3) > level || dplOf(d) != level) failError(Vector.GP, code(selector));
  if (longActive() && isLong(d) && isBig(d)) failError(Vector.GP, code(selector));
  if (!isPresent(d)) failError(Vector.NP, code(selector));
}

/** Call gate `d`: DPL and presence. */
function checkGate(selector: u32, d: u64): void {
  if (dplOf(d) < cpl() || dplOf(d) < (selector & 3)) failError(Vector.GP, code(selector));
  if (!isPresent(d)) failError(Vector.NP, code(selector));
}

/** Offset bits 63..32 of a 64-bit call gate; the type field of its upper half must be 0. */
function gateHigh(selector: u32): u64 {
  const at = descriptorAt(selector, 16);
  if (at == NO_DESCRIPTOR) failError(Vector.GP, code(selector));
  const high = <u64>sysLd64(at + 8);
  if ((high >> 40) & 0x1f) failError(Vector.GP, code(selector));
  return high << 32;
}

/** Code segment a call gate names; `jump`: no change of privilege allowed. */
function gateTarget(selector: u32, jump: bool): u64 {
  if (isNull(selector)) failError(Vector.GP, 0);
  const d = readDescriptor(selector, Vector.GP, 0), level = cpl();
  if (!isCode(d) || dplOf(d) > level) failError(Vector.GP, code(selector));
  if (jump && !isConforming(d) && dplOf(d) != level) failError(Vector.GP, code(selector));
  if (longActive() && (!isLong(d) || isBig(d))) failError(Vector.GP, code(selector));
  if (!isPresent(d)) failError(Vector.NP, code(selector));
  return d;
}

/** System descriptor types a far transfer may name in the mode in force. */
function isCallGate(type: u32): bool { return type == Sys.callGate || (type == Sys.callGate16 && !longActive()); }

function toTask(u: usize, selector: u32, d: u64, how: Switch): usize {
  let tss = selector, descriptor = d;
  if (typeOf(d) == Sys.taskGate) {
    checkGate(selector, d);
    tss = gateSelector(d);
    if (tss & 4) failError(Vector.GP, code(tss));
    descriptor = readDescriptor(tss, Vector.GP, 0);
    if (isSegment(descriptor) || (typeOf(descriptor) != Sys.tss && typeOf(descriptor) != Sys.tss16)) failError(Vector.GP, code(tss));
  } else checkGate(selector, d);
  if (tss & 4) failError(Vector.GP, code(tss));
  if (!isPresent(descriptor)) failError(Vector.NP, code(tss));
  return switchTask(tss, how, nextRip(u), 0);
}

export function jumpFar(u: usize, selector: u32, offset: u64, size: i32): usize {
  if (realMode() || v86Mode()) {
    if (offset > <u64>segLimit(Seg.cs)) failError(Vector.GP, 0);
    return enterReal(selector, offset);
  }
  if (isNull(selector)) failError(Vector.GP, 0);
  const d = readDescriptor(selector, Vector.GP, 0);
  if (isSegment(d)) {
    checkDirect(selector, d);
    checkTarget(d, offset);
    enterCode(selector, d, cpl(), offset);
    return resume();
  }
  const type = typeOf(d);
  if (isCallGate(type)) {
    checkGate(selector, d);
    let target = gateOffset(d);
    if (longActive()) target |= gateHigh(selector);
    else if (type == Sys.callGate16) target &= 0xffff;
    const cs = gateTarget(gateSelector(d), true);
    checkTarget(cs, target);
    enterCode(gateSelector(d), cs, cpl(), target);
    return resume();
  }
  if (longActive() || (type != Sys.taskGate && type != Sys.tss && type != Sys.tss16)) failError(Vector.GP, code(selector));
  return toTask(u, selector, d, Switch.jump);
}

/** Pushes the return address at `size` bytes an item without moving RSP. There is room: it was looked for before the target was. */
function pokeReturn(u: usize, size: i32): void {
  poke(size, size, segSel(Seg.cs));
  poke(size * 2, size, nextRip(u));
}

export function callFar(u: usize, selector: u32, offset: u64, size: i32): usize {
  if (realMode() || v86Mode()) {
    needRoom(2 * size, size, 0);
    if (offset > <u64>segLimit(Seg.cs)) failError(Vector.GP, 0);
    pokeReturn(u, size);
    moveRsp(-2 * size);
    return enterReal(selector, offset);
  }
  if (isNull(selector)) failError(Vector.GP, 0);
  const d = readDescriptor(selector, Vector.GP, 0);
  if (isSegment(d)) {
    checkDirect(selector, d);
    needRoom(2 * size, size, 0);
    checkTarget(d, offset);
    pokeReturn(u, size);
    moveRsp(-2 * size);
    enterCode(selector, d, cpl(), offset);
    return resume();
  }
  const type = typeOf(d);
  if (isCallGate(type)) return callGate(u, selector, d);
  if (longActive() || (type != Sys.taskGate && type != Sys.tss && type != Sys.tss16)) failError(Vector.GP, code(selector));
  return toTask(u, selector, d, Switch.call);
}

function callGate(u: usize, selector: u32, gate: u64): usize {
  checkGate(selector, gate);
  const size = longActive() ? 8 : typeOf(gate) == Sys.callGate16 ? 2 : 4;
  let target = gateOffset(gate);
  if (size == 8) target |= gateHigh(selector);
  else if (size == 2) target &= 0xffff;
  const cs = gateTarget(gateSelector(gate), false);
  if (isConforming(cs) || dplOf(cs) == cpl()) {
    needRoom(2 * size, size, 0);
    checkTarget(cs, target);
    pokeReturn(u, size);
    moveRsp(-2 * size);
    enterCode(gateSelector(gate), cs, cpl(), target);
    return resume();
  }
  if (size == 8) return callInner64(u, gateSelector(gate), cs, target);
  return callInner(u, gateSelector(gate), cs, target, size, <u32>(gate >> 32) & 31);
}

/** More privileged procedure: new stack out of the TSS, parameters copied. */
function callInner(u: usize, selector: u32, cs: u64, target: u64, size: i32, count: u32): usize {
  const level = dplOf(cs);
  const top = <u64>tssStackPointer(level, 0);
  const ss = tssStackSelector(level);
  const d = stackDescriptor(ss, level, Vector.TS, 0);
  const bytes = (4 + count) * size;
  const mask = maskOf(d);
  const lin = newStack(d, top, bytes, Vector.SS, code(ss));
  checkTarget(cs, target);
  for (let i: u32 = 0; i < count; i++) peek(i * size, size);
  markAccessed(selector, cs);
  markAccessed(ss, d);
  sysStN(lin, size, nextRip(u));
  sysStN(lin + size, size, segSel(Seg.cs));
  for (let i: u32 = 0; i < count; i++) sysStN(lin + (2 + i) * size, size, peek(i * size, size));
  sysStN(lin + (2 + count) * size, size, rsp());
  sysStN(lin + (3 + count) * size, size, segSel(Seg.ss));
  setFromDescriptor(Seg.ss, ss, d);
  setRsp(mask == 0xffff ? (top - bytes) & mask : top - bytes, mask == 0xffff ? 0xffff : 0xffffffff);
  enterCode(selector, cs, level, target);
  return resume();
}

function callInner64(u: usize, selector: u32, cs: u64, target: u64): usize {
  const level = dplOf(cs);
  const top = tssStack64(level, 0, 0);
  const lin = newStack(0, top, 32, Vector.SS, 0);
  checkTarget(cs, target);
  markAccessed(selector, cs);
  sysStN(lin, 8, nextRip(u));
  sysStN(lin + 8, 8, segSel(Seg.cs));
  sysStN(lin + 16, 8, rsp());
  sysStN(lin + 24, 8, segSel(Seg.ss));
  setNull(Seg.ss, level);
  setRsp(lin, 0xffffffffffffffff);
  enterCode(selector, cs, level, target);
  return resume();
}

/** Code segment a far return or IRET goes to. */
@inline export function returnTarget(selector: u32): u64 {
  if (isNull(selector)) failError(Vector.GP, 0);
  const d = readDescriptor(selector, Vector.GP, 0), level = selector & 3;
  if (!isCode(d) || level < cpl()) failError(Vector.GP, code(selector));
  if (isConforming(d) ? dplOf(d) > level : dplOf(d) != level) failError(Vector.GP, code(selector));
  if (longActive() && isLong(d) && isBig(d)) failError(Vector.GP, code(selector));
  if (!isPresent(d)) failError(Vector.NP, code(selector));
  return d;
}

/** Stack segment of a return to code segment `cs` at privilege `level`; 0 for the null selector 64-bit code below CPL 3 may have. */
export function returnStack(ss: u32, cs: u64, level: u32): u64 {
  if (isNull(ss)) {
    if (!to64(cs) || level == 3 || (ss & 3) != level) failError(Vector.GP, 0);
    return 0;
  }
  return stackDescriptor(ss, level, Vector.GP, 0);
}

/** Loads SS as returnStack() checked it. */
export function loadReturnStack(ss: u32, d: u64): void {
  if (isNull(ss)) {
    setSegment(Seg.ss, ss, 0, 0, SegAttr.NULL);
    return;
  }
  markAccessed(ss, d);
  setFromDescriptor(Seg.ss, ss, d);
}

/** RET far; `extra` bytes of parameters are released on both stacks. */
export function returnFar(size: i32, extra: u32): usize {
  const offset = peek(0, size);
  const selector = <u32>peek(size, size) & 0xffff;
  if (realMode() || v86Mode()) {
    if (offset > <u64>segLimit(Seg.cs)) failError(Vector.GP, 0);
    moveRsp(2 * size + extra);
    return enterReal(selector, offset);
  }
  const d = returnTarget(selector), level = selector & 3;
  if (level == cpl()) {
    checkTarget(d, offset);
    moveRsp(2 * size + extra);
    enterCode(selector, d, level, offset);
    return resume();
  }
  const top = peek(2 * size + extra, size);
  const ss = <u32>peek(3 * size + extra, size) & 0xffff;
  const stack = returnStack(ss, d, level);
  checkTarget(d, offset);
  const long = to64(d);
  markAccessed(selector, d);
  const pointer = outerRsp(size == 8 ? top : size == 4 ? top & 0xffffffff : top & 0xffff, stack, long);
  loadReturnStack(ss, stack);
  if (long || isBig(stack)) store<u64>(PCPU, long ? pointer + extra : (pointer + extra) & 0xffffffff, 4 * 8);
  else store<u64>(PCPU, (pointer & 0xffff0000) | ((pointer + extra) & 0xffff), 4 * 8);
  dropInnerSegments(level);
  enterCode(selector, d, level, offset);
  return resume();
}
