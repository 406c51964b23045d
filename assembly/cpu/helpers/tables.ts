/** Descriptor-table registers and the instructions that look at descriptors without loading them (SDM Vol.2A LAR, LLDT,
 *  LSL, Vol.2B LTR, VERR). */
import { Seg } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Flag, Vector } from "../../abi/x86";
import { failError, raiseError } from "../../fault";
import { ld16, st16, sysLd64 } from "../access";
import { status, setStatus } from "../flags";
import { ea, getReg, isMem, opSize, regField, rmField, setReg } from "../operand";
import { PCPU } from "../pcpu";
import {
  NO_DESCRIPTOR, Sys, attrOf, baseOf, descriptorAt, dplOf, isCode, isConforming, isNull, isPresent, isSegment, isWritable, limitOf,
  markBusy, readDescriptor, typeOf,
} from "./descriptor";
import { canonical, cpl, longActive, mode64 } from "./mode";
import { setNull, setSegment } from "./segment";
import { ldN, stN } from "./stack";

/** LGDT, LIDT: 24 bits of base with a 16-bit operand size. */
export function loadTable(u: usize, baseField: usize, limitField: usize): usize {
  const wide = mode64(), lin = ea(u, wide ? 10 : 6, false);
  const limit = <u32>ld16(lin);
  let base = ldN(lin + 2, wide ? 8 : 4);
  if (wide) {
    if (!canonical(base)) return raiseError(Vector.GP, 0);
  } else if (opSize(u) == 2) base &= 0xffffff;
  store<u64>(PCPU + baseField, base);
  store<u32>(PCPU + limitField, limit);
  return u + RecOff.SIZE;
}

/** SGDT, SIDT. */
export function storeTable(u: usize, baseField: usize, limitField: usize): usize {
  const wide = mode64(), lin = ea(u, wide ? 10 : 6, true);
  st16(lin, load<u32>(PCPU + limitField));
  stN(lin + 2, wide ? 8 : 4, load<u64>(PCPU + baseField));
  return u + RecOff.SIZE;
}

/** Base of the system segment `d`, whose upper half is in the next eight bytes in long mode. */
function systemBase(selector: u32, d: u64): u64 {
  if (!longActive()) return baseOf(d);
  const at = descriptorAt(selector, 16);
  if (at == NO_DESCRIPTOR) failError(Vector.GP, selector & 0xfffc);
  const base = baseOf(d) | (<u64>sysLd64(at + 8) << 32);
  if (!canonical(base)) failError(Vector.GP, selector & 0xfffc);
  return base;
}

export function lldt(selector: u32): void {
  if (isNull(selector)) {
    setNull(Seg.ldtr, selector);
    return;
  }
  if (selector & 4) failError(Vector.GP, selector & 0xfffc);
  const d = readDescriptor(selector, Vector.GP, 0);
  if (isSegment(d) || typeOf(d) != Sys.ldt) failError(Vector.GP, selector & 0xfffc);
  if (!isPresent(d)) failError(Vector.NP, selector & 0xfffc);
  setSegment(Seg.ldtr, selector, systemBase(selector, d), limitOf(d), attrOf(d));
}

export function ltr(selector: u32): void {
  const code = selector & 0xfffc;
  if (isNull(selector)) failError(Vector.GP, 0);
  if (selector & 4) failError(Vector.GP, code);
  const d = readDescriptor(selector, Vector.GP, 0);
  if (isSegment(d) || (typeOf(d) != Sys.tss && (longActive() || typeOf(d) != Sys.tss16))) failError(Vector.GP, code);
  if (!isPresent(d)) failError(Vector.NP, code);
  const base = systemBase(selector, d);
  markBusy(selector, true);
  setSegment(Seg.tr, selector, base, limitOf(d), attrOf(d) | 2);
}

function setZero(u: usize, on: bool): usize {
  setStatus((status() & ~Flag.ZF) | (on ? Flag.ZF : 0));
  return u + RecOff.SIZE;
}

/** Descriptor that CPL and RPL may see, 0 if none: present or not does not matter. */
function visible(selector: u32): u64 {
  if (isNull(selector)) return 0;
  const at = descriptorAt(selector, 8);
  if (at == NO_DESCRIPTOR) return 0;
  const d = <u64>sysLd64(at);
  if (isCode(d) && isConforming(d)) return d;
  return dplOf(d) >= cpl() && dplOf(d) >= (selector & 3) ? d : 0;
}

/** VERR, VERW: ZF. */
export function verify(u: usize, selector: u32, write: bool): usize {
  const d = visible(selector);
  if (!d || !isSegment(d)) return setZero(u, false);
  return setZero(u, isCode(d) ? !write && isWritable(d) : !write || isWritable(d));
}

/** System types LAR and LSL accept, as a bit mask. */
@inline function larTypes(): u32 { return longActive() ? 0x1a04 : 0x1a3e; }
@inline function lslTypes(): u32 { return longActive() ? 0x0a04 : 0x0a0e; }

export function lar(u: usize, selector: u32): usize {
  const d = visible(selector);
  if (!d || (!isSegment(d) && !((larTypes() >> typeOf(d)) & 1))) return setZero(u, false);
  setReg(regField(u), opSize(u), (d >> 32) & 0xffff00);
  return setZero(u, true);
}

export function lsl(u: usize, selector: u32): usize {
  const d = visible(selector);
  if (!d || (!isSegment(d) && !((lslTypes() >> typeOf(d)) & 1))) return setZero(u, false);
  setReg(regField(u), opSize(u), limitOf(d));
  return setZero(u, true);
}

/** ARPL: raises the destination's RPL to the source's. */
export function arpl(u: usize): usize {
  const source = <u32>getReg(regField(u), 2) & 3;
  if (isMem(u)) {
    // read-only memory will do as long as nothing changes (checked on a processor)
    const now = <u32>ld16(ea(u, 2, false)), raised = (now & 3) < source;
    if (raised) st16(ea(u, 2, true), (now & ~3) | source);
    return setZero(u, raised);
  }
  const now = <u32>getReg(rmField(u), 2), raised = (now & 3) < source;
  if (raised) setReg(rmField(u), 2, (now & ~3) | source);
  return setZero(u, raised);
}
