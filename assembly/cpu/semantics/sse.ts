/** Entry to all instructions on XMM registers. One function per kind of operation, each with a dense `switch` whose default
 *  is the next kind: move, integer, float, convert, string, AES and CRC32. Small functions are what V8 compiles well. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Cr0, Cr4, Vector } from "../../abi/x86";
import { raise } from "../../fault";
import { Op } from "../opcodes.gen";
import { PCPU } from "../pcpu";
import { isCrc32, performCrc32 } from "./crc32";
import { performSseConvert } from "./sse_convert";
import { performSseFloat } from "./sse_float";
import { performPacked } from "./sse_int";
import { performSseMove } from "./sse_move";

export { performMmx } from "./mmx";

/** Performs record `u`; returns the next one, or 0 with a fault pending (SDM Vol.3A "Providing Support for the SSE
 *  Extensions"). */
export function performSse(u: usize): usize {
  const op = <i32>load<u16>(u, RecOff.op), cr0 = <u32>load<u64>(PCPU, PcpuOff.cr0);
  if (cr0 & (Cr0.EM | Cr0.TS) || !(<u32>load<u64>(PCPU, PcpuOff.cr4) & Cr4.OSFXSR)) {
    if (isCrc32(op)) return performCrc32(u);
    return raise(cr0 & Cr0.EM || !(<u32>load<u64>(PCPU, PcpuOff.cr4) & Cr4.OSFXSR) ? Vector.UD : Vector.NM);
  }
  // Ops are numbered in the order of the rows, so whole kinds can be recognized. These are short cuts only: an op they
  // miss is found along the chain.
  if (op >= Op.punpcklbw && op <= Op.pabsd) return performPacked(u, op);
  if (op >= Op.addpd && op <= Op.cvtdq2pd) return op <= Op.comisd ? performSseFloat(u) : performSseConvert(u);
  if (op >= Op.addps && op <= Op.cvtss2si) return op <= Op.comiss ? performSseFloat(u) : performSseConvert(u);
  return performSseMove(u);
}
