/** HYPERVISOR_multicall (public/xen.h, struct multicall_entry): several calls in one. Some entries are done at a time,
 *  then the call is continued with the rest; so is an entry that asks for it, with its arguments as they then are. How many depends on what
 *  they take: each may be as long as a call of its own. */
import { Errno } from "../../assembly/abi/errno";
import { cStruct } from "./c_struct";
import { type Caller, CONTINUE, type Result } from "./caller";

export const MULTICALL_ENTRY = cStruct({
  op: "long",
  result: "long",
  arg0: "long",
  arg1: "long",
  arg2: "long",
  arg3: "long",
  arg4: "long",
  arg5: "long",
});

const ENTRIES = 32;
const LONG_NS = 1e6;

/** (call_list, nr_calls); `dispatch` performs hypercall `op` with `call.args`. */
export function multicall(call: Caller, dispatch: (op: bigint) => Result): Result {
  if (call.inMulticall) return -Errno.EINVAL;
  const o = call.layout(MULTICALL_ENTRY);
  let lin = call.args[0];
  let left = call.u32(1);
  const began = call.host.nowNs();
  call.inMulticall = true;
  try {
    for (let n = 0; n < ENTRIES && left > 0; n++) {
      if (!call.fetch(lin, o.sizeof)) return -Errno.EFAULT;
      for (let k = 0; k < 6; k++) call.args[k] = call.getLong(o.arg0 + k * call.longSize);
      const result = dispatch(call.getLong(o.op));
      if (result === CONTINUE) {
        for (let k = 0; k < 6; k++) call.setLong(k * call.longSize, call.args[k]);
        if (!call.put(lin + BigInt(o.arg0), 6 * call.longSize)) return -Errno.EFAULT;
        break;
      }
      const value = BigInt.asUintN(64, BigInt(result as number | bigint));
      if (!call.putLong(lin + BigInt(o.result), call.compat ? value & 0xffff_ffffn : value)) return -Errno.EFAULT;
      lin += BigInt(o.sizeof);
      left--;
      if (call.outcome !== "continue" || call.host.nowNs() - began > LONG_NS) break;
    }
  } finally {
    call.inMulticall = false;
  }
  if (left === 0) return 0;
  call.args[0] = lin;
  call.args[1] = BigInt(left);
  return CONTINUE;
}
