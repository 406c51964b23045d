/** CMPXCHG8B and CMPXCHG16B with LOCK. There is no 128-bit atomic in WebAssembly: DEVIATION, the 16-byte form is two plain halves. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Gpr, Vector } from "../../abi/x86";
import { unwind } from "../../env";
import { failError } from "../../fault";
import { commitWrite, hostW } from "../access";
import { read, replace } from "../atomic";
import { setZero } from "../flags";
import { ea, getReg, opSize, setReg } from "../operand";
import { PCPU } from "../pcpu";

export function performLocked(u: usize): usize {
  const half = opSize(u) == 8 ? 8 : 4, at = ea(u, half * 2, true);
  if (half == 8 && at & 15) failError(Vector.GP, 0);
  const h = hostW(at, half * 2);
  if (!h) unwind();
  let equal: bool;
  if (half == 4) {
    const want = getReg(Gpr.rax, 4) | (getReg(Gpr.rdx, 4) << 32), x = getReg(Gpr.rbx, 4) | (getReg(Gpr.rcx, 4) << 32);
    for (;;) {
      const old = read(h, 8);
      equal = old == want;
      if (!replace(h, 8, old, equal ? x : old)) continue;
      if (!equal) {
        setReg(Gpr.rax, 4, old);
        setReg(Gpr.rdx, 4, old >> 32);
      }
      break;
    }
  } else {
    const low = load<u64>(h), high = load<u64>(h, 8);
    equal = low == getReg(Gpr.rax, 8) && high == getReg(Gpr.rdx, 8);
    if (equal) {
      store<u64>(h, getReg(Gpr.rbx, 8));
      store<u64>(h, getReg(Gpr.rcx, 8), 8);
      if (h == PCPU + PcpuOff.scratchW) commitWrite();
    } else {
      setReg(Gpr.rax, 8, low);
      setReg(Gpr.rdx, 8, high);
    }
  }
  setZero(u32(equal));
  return u + RecOff.SIZE;
}
