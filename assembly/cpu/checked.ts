/** Memory operands where segmentation is not flat: real mode, 16-bit code, odd segments, alignment checks. Every access goes
 *  through the limit and type checks of helpers/segment; stacks may be 16 bits wide (SDM Vol.1 "Stack Alignment", "Address-Size
 *  Attributes for Stack Accesses"). */
import { Mode, PcpuOff, Seg } from "../abi/layout";
import { RecFlag, RecOff } from "../abi/record";
import { Gpr, Vector } from "../abi/x86";
import { NON_CANONICAL, raiseError } from "../fault";
import { hostAt, hostR, hostS } from "./access";
import { Handler } from "./handler";
import { checkedEa } from "./helpers/segment";
import { Op, Template } from "./opcodes.gen";
import { eaOffset } from "./operand";
import { PCPU } from "./pcpu";

/** Host address of the record's memory operand; `at` is an offset if the record wants segment checks, else linear. Segment
 *  faults unwind, so the record is noted first. */
export function checkedHost(u: usize, at: u64, w: i32, write: bool): usize {
  store<u32>(PCPU, <u32>u, PcpuOff.record);
  const lin = load<u8>(u, RecOff.flags) & RecFlag.seg ? checkedEa(load<u8>(u, RecOff.seg), at, w, write) : at;
  return write ? hostAt(lin, w, u) : hostR(lin, w);
}

export function checkedStackHost(sp: u64, w: i32, write: bool): usize {
  const lin = checkedEa(Seg.ss, sp, w, write);
  return write ? hostS(lin, w) : hostR(lin, w);
}

/** In 64-bit mode the flat path does not know what its address is for: a pending #GP(0) for one that is not canonical becomes
 *  #SS(0) where the stack was accessed, implicitly or through RSP or RBP (SDM Vol.1 "Canonical Addressing"). */
export function stackFault(): void {
  const u = <usize>load<u32>(PCPU, PcpuOff.record);
  if (!u || load<u32>(PCPU, PcpuOff.faultHasError) != NON_CANONICAL) return;
  let stack: bool;
  if (load<u16>(u, RecOff.handler) == Handler.cold) stack = load<u16>(u, RecOff.op) == Op.pop;
  else {
    const template = load<u16>(u, RecOff.desc) >> 9;
    stack = template == Template.push || template == Template.pop || template == Template.call || template == Template.callInd
      || template == Template.ret || template == Template.leave;
  }
  const operand = load<u8>(u, RecOff.flags) & RecFlag.mem && (!stack || load<u64>(PCPU, PcpuOff.faultLin) - eaOffset(u) < 64);
  if (operand) stack = load<u8>(u, RecOff.seg) == Seg.ss;
  if (stack) store<i32>(PCPU, Vector.SS, PcpuOff.faultVector);
}

/** Near branch targets must lie within the CS limit, or be canonical in 64-bit mode; else #GP(0). */
export function badTargetChecked(rip: u64, u: usize): bool {
  const ok = (load<u32>(PCPU, PcpuOff.mode) & Mode.BITS) == Mode.bits64
    ? <u64>(<i64>(rip << 16) >> 16) == rip
    : rip <= <u64>load<u32>(PCPU, PcpuOff.segLimit + Seg.cs * 4);
  if (ok) return false;
  store<u32>(PCPU, <u32>u, PcpuOff.record);
  raiseError(Vector.GP, 0);
  return true;
}
