/** Segment descriptors (SDM Vol.3A "Segment Descriptors", "System Descriptor Types").
 *
 *  ```
 *  63      56 55 54 53 52 51   48 47 46 45 44 43  40 39      32 31          16 15           0
 *  base 31:24  G DB  L AVL lim19:16 P  DPL  S  type  base 23:16   base 15:0      limit 15:0
 *  ```
 *  A gate has offset 15:0 in bits 0..15, the selector in 16..31, offset 31:16 in 48..63. */
import { PcpuOff, Seg, SegAttr } from "../../abi/layout";
import { failError } from "../../fault";
import { sysLd64, sysLd8, sysSt8 } from "../access";
import { PCPU } from "../pcpu";
import { longActive, segAttr, segLimit } from "./mode";

export const NO_DESCRIPTOR: u64 = 0xffffffffffffffff;

/** System segment and gate types. */
export const enum Sys {
  tss16 = 1,
  ldt = 2,
  tss16Busy = 3,
  callGate16 = 4,
  taskGate = 5,
  intGate16 = 6,
  trapGate16 = 7,
  tss = 9,
  tssBusy = 11,
  callGate = 12,
  intGate = 14,
  trapGate = 15,
}

/** Linear addresses of implicit accesses wrap at 4 GiB outside long mode. */
@inline export function linear(address: u64): u64 { return longActive() ? address : address & 0xffffffff; }

/** Linear address of the `bytes`-byte descriptor `selector`, NO_DESCRIPTOR if its table ends before. */
@inline export function descriptorAt(selector: u32, bytes: u32): u64 {
  const offset = selector & 0xfff8;
  if (selector & 4) return inLdt(offset, bytes);
  if (offset + bytes - 1 > load<u32>(PCPU, PcpuOff.gdtLimit)) return NO_DESCRIPTOR;
  return linear(load<u64>(PCPU, PcpuOff.gdtBase) + offset);
}

function inLdt(offset: u32, bytes: u32): u64 {
  if ((segAttr(Seg.ldtr) & SegAttr.NULL) || offset + bytes - 1 > segLimit(Seg.ldtr)) return NO_DESCRIPTOR;
  return linear(load<u64>(PCPU, PcpuOff.ldtBase) + offset);
}

/** The descriptor, or `vector`(selector) if its table ends before. `ext` is bit 0 of the error code. */
@inline export function readDescriptor(selector: u32, vector: i32, ext: u32): u64 {
  const at = descriptorAt(selector, 8);
  if (at == NO_DESCRIPTOR) failError(vector, (selector & 0xfffc) | ext);
  return <u64>sysLd64(at);
}

@inline export function isNull(selector: u32): bool { return (selector & 0xfffc) == 0; }
@inline export function typeOf(d: u64): u32 { return <u32>(d >> 40) & 15; }
@inline export function dplOf(d: u64): u32 { return <u32>(d >> 45) & 3; }
@inline export function isPresent(d: u64): bool { return ((d >> 47) & 1) != 0; }
/** Not a system descriptor. */
@inline export function isSegment(d: u64): bool { return ((d >> 44) & 1) != 0; }
@inline export function isCode(d: u64): bool { return ((d >> 43) & 3) == 3; }
@inline export function isData(d: u64): bool { return ((d >> 43) & 3) == 2; }
@inline export function isConforming(d: u64): bool { return ((d >> 42) & 1) != 0; }
/** Writable for data, readable for code. */
@inline export function isWritable(d: u64): bool { return ((d >> 41) & 1) != 0; }
@inline export function isLong(d: u64): bool { return ((d >> 53) & 1) != 0; }
@inline export function isBig(d: u64): bool { return ((d >> 54) & 1) != 0; }

@inline export function baseOf(d: u64): u64 { return ((d >> 16) & 0xffffff) | ((d >> 32) & 0xff000000); }
@inline export function limitOf(d: u64): u32 {
  const limit = <u32>(d & 0xffff) | <u32>((d >> 32) & 0xf0000);
  return (d >> 55) & 1 ? (limit << 12) | 0xfff : limit;
}
@inline export function attrOf(d: u64): u32 { return <u32>(d >> 40) & 0xf0ff; }

@inline export function gateOffset(d: u64): u64 { return (d & 0xffff) | ((d >> 32) & 0xffff0000); }
@inline export function gateSelector(d: u64): u32 { return <u32>(d >> 16) & 0xffff; }

/** Sets the accessed bit, the processor's only write to a segment descriptor. */
@inline export function markAccessed(selector: u32, d: u64): void {
  if (!((d >> 40) & 1)) setAccessed(selector, d);
}

function setAccessed(selector: u32, d: u64): void {
  const at = descriptorAt(selector, 8);
  if (at != NO_DESCRIPTOR) sysSt8(at + 5, <u32>(d >> 40) & 0xff | 1);
}

/** Sets or clears the busy bit of a TSS descriptor. */
export function markBusy(selector: u32, busy: bool): void {
  const at = descriptorAt(selector, 8);
  if (at == NO_DESCRIPTOR) return;
  const type = <u32>sysLd8(at + 5);
  sysSt8(at + 5, busy ? type | 2 : type & ~2);
}
