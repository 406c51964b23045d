/** Whose the samples of short functions are. */
import { JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { BlockOff } from "../code_cache";
import { Handler } from "../handler";
import { PCPU } from "../pcpu";
import { J, jget, jset } from "./buffer";
import { isLeaf } from "./region";

/** Blocks that are run to get from a short function to its caller. */
const MAX_CLIMB: u32 = 12;

/** Whose the sample is that a slice ended at `head` gives. The time of a short function is its callers': translated with them it costs nothing to
 *  get there and back, alone it costs more than it takes. So the next slices end at once (cpu/runtime), until one does so in the caller. 0: not yet.
 *  A caller that is translated already has had no use for the function, which then has the sample for itself. */
export function climb(head: usize, from: usize): usize {
  const climbed = jget(JitOff.climbed);
  const mine = load<u16>(head, RecOff.handler) == Handler.head && !(load<u8>(head, BlockOff.records) & BlockOff.IN_REGION);
  if (mine && climbed < MAX_CLIMB && isLeaf(head)) {
    if (!from) {
      jset(JitOff.climbFrom, <u32>head);
      store<u64>(J, load<u64>(PCPU, PcpuOff.ripBase), JitOff.climbBase);
    }
    jset(JitOff.climbed, climbed + 1);
    return 0;
  }
  stay();
  return from && !mine ? from : head;
}

/** No caller is looked for. */
export function stay(): void {
  jset(JitOff.climbFrom, 0);
  jset(JitOff.climbed, 0);
}
