/** Which blocks are hot, by sampling: where a slice of the interpreter ends, the block it ends at is counted. So looking costs
 *  nothing between, and a count of n stands for n slices of time, whatever the block's length. */
import { EntryOff, JitMemory, JitOff, RegionOff } from "../../abi/jit";
import { Mode, PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { BlockOff } from "../code_cache";
import { Handler } from "../handler";
import { PCPU } from "../pcpu";
import { ageRewritten, isRewritten } from "../rewritten";
import { J, jget, jset } from "./buffer";
import { climb, stay } from "./climb";
import { ageLines, clearLine, countLine } from "./lines";
import { isFollowing } from "./path";
import { isEntered, isWithinSegment, regionAt, translate } from "./regions";
import { RESTLESS, forgive, isRestless } from "./restless";
import { followOn, lookAtCrossings } from "./ways";
import { lookAtWindows } from "./window_runtime";

/** Samples of a block that cannot be translated. */
const REFUSED: u32 = 0x10000;

/** A slice of the interpreter ended at the block `head`. */
export function sample(head: usize): void {
  if (isFollowing()) return followOn(head);
  const slices = jget(JitOff.slices) + 1;
  jset(JitOff.slices, slices);
  ageLines(slices);
  ageRewritten(slices, jget(JitOff.threshold));
  if (!(slices & 0xffff)) {
    forgive();
    memory.fill(J + JitOff.x87Fruitless, 0, 128);
  }
  if (jget(JitOff.memory) == JitMemory.off) return stay();
  const handler = load<u16>(head, RecOff.handler);
  if (handler == Handler.region && isEntered(load<u32>(head, BlockOff.samples))) store<u8>(regionAt(load<u32>(head, BlockOff.samples) / EntryOff.MAX), 1, RegionOff.used);
  const from = <usize>jget(JitOff.climbFrom);
  if (!from) {
    lookAtWindows(jget(JitOff.running));
    lookAtCrossings(jget(JitOff.running));
  }
  const base = load<u64>(PCPU, PcpuOff.ripBase);
  jset(JitOff.mode, load<u16>(head, BlockOff.mode)); // which records can be translated depends on that
  head = climb(head, from);
  if (!head || load<u16>(head, RecOff.handler) != Handler.head) return;
  const mode = load<u16>(head, BlockOff.mode);
  if (mode & (Mode.step | Mode.align)) return;
  jset(JitOff.samples, jget(JitOff.samples) + 1);
  const n = load<u32>(head, BlockOff.samples) + 1;
  if (n > REFUSED) return;
  store<u32>(head, n, BlockOff.samples);
  // a block that others' regions contain begins one of its own only if it stays hot: they would share most of their code
  const threshold = jget(JitOff.threshold), maddr = load<u32>(head, BlockOff.maddr);
  if (load<u8>(head, BlockOff.records) & BlockOff.IN_REGION) {
    if (n < threshold << 1) return;
  } else if (n < threshold && !countLine(maddr, threshold)) return;
  clearLine(maddr);
  const ripBase = head == from ? load<u64>(J, JitOff.climbBase) : base;
  if (!isWithinSegment(ripBase)) return;
  translate(head, ripBase);
  // what is rewritten too often now, or shares its count with such code, may be had later
  if (load<u16>(head, RecOff.handler) == Handler.head) store<u32>(head, isRestless(maddr, RESTLESS) || isRewritten(maddr) ? 0 : REFUSED, BlockOff.samples);
}
