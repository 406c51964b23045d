/** Entry to all instructions on XMM registers. One function per kind of operation, each with a dense `switch` whose default
 *  is the next kind, the most frequent first: small functions are what V8 compiles well. */
import { PcpuOff } from "../../abi/layout";
import { Cr0, Cr4, Vector } from "../../abi/x86";
import { raise } from "../../fault";
import { PCPU } from "../pcpu";
import { performSseMove } from "./sse_move";

export { performMmx } from "./mmx";

/** Performs record `u`; returns the next one, or 0 with a fault pending (SDM Vol.3A "Providing Support for the SSE
 *  Extensions"). */
export function performSse(u: usize): usize {
  const cr0 = <u32>load<u64>(PCPU, PcpuOff.cr0);
  if (cr0 & Cr0.EM || !(<u32>load<u64>(PCPU, PcpuOff.cr4) & Cr4.OSFXSR)) return raise(Vector.UD);
  if (cr0 & Cr0.TS) return raise(Vector.NM);
  return performSseMove(u);
}
