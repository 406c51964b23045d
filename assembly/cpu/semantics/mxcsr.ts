/** MXCSR (SDM Vol.1 "MXCSR Control and Status Register"):
 *  ```
 *   15  14 13  12..7   6   5  4  3  2  1  0
 *  FTZ    RC   masks  DAZ  PE UE OE ZE DE IE      masks in the order of the flags
 *  ```
 *  An instruction notes its exceptions in PcpuOff.sseFlags while it computes and calls `settle()` before it writes its
 *  destination: flags become sticky even when one of them is unmasked and the instruction faults. */
import { PcpuOff } from "../../abi/layout";
import { Cr4, Vector } from "../../abi/x86";
import { raise } from "../../fault";
import { PCPU } from "../pcpu";

export const enum Csr {
  IE = 1 << 0,
  DE = 1 << 1,
  ZE = 1 << 2,
  OE = 1 << 3,
  UE = 1 << 4,
  PE = 1 << 5,
  FLAGS = 0x3f,
  DAZ = 1 << 6,
  MASK_SHIFT = 7,
  OM = 1 << 10,
  UM = 1 << 11,
  PM = 1 << 12,
  RC_SHIFT = 13,
  RC = 3 << 13,
  FTZ = 1 << 15,
}

/** Rounding control, as in MXCSR and in the immediate of ROUNDxx. */
export const enum Rounding {
  nearest = 0,
  down = 1,
  up = 2,
  zero = 3,
}

@inline export function mxcsr(): u32 { return load<u32>(PCPU, PcpuOff.mxcsr); }
@inline export function rounding(): u32 { return (load<u32>(PCPU, PcpuOff.mxcsr) >> Csr.RC_SHIFT) & 3; }
@inline export function denormalsAreZero(): bool { return (load<u32>(PCPU, PcpuOff.mxcsr) & Csr.DAZ) != 0; }

/** True if an inexact result rounded to nearest needs no further thought: PE is masked and already set. */
@inline export function inexactIsSettled(): bool {
  return (load<u32>(PCPU, PcpuOff.mxcsr) & (Csr.RC | Csr.PE | Csr.PM)) == (Csr.PE | Csr.PM);
}

@inline export function note(flags: u32): void { store<u32>(PCPU, load<u32>(PCPU, PcpuOff.sseFlags) | flags, PcpuOff.sseFlags); }

/** Folds the noted exceptions into MXCSR. False if one is unmasked: #XM is pending (#UD if CR4 does not announce a
 *  handler), and the destination must not change. */
@inline export function settle(): bool { return !load<u32>(PCPU, PcpuOff.sseFlags) || settleNoted(); }

function settleNoted(): bool {
  let noted = load<u32>(PCPU, PcpuOff.sseFlags);
  store<u32>(PCPU, 0, PcpuOff.sseFlags);
  const csr = mxcsr(), enabled = ~(csr >> Csr.MASK_SHIFT);
  // Exceptions found in the operands are reported before anything is computed (SDM Vol.1 "Exception Conditions").
  if (noted & (Csr.IE | Csr.DE | Csr.ZE) & enabled) noted &= Csr.IE | Csr.DE | Csr.ZE;
  store<u32>(PCPU, csr | noted, PcpuOff.mxcsr);
  if (!(noted & enabled & Csr.FLAGS)) return true;
  raise(load<u64>(PCPU, PcpuOff.cr4) & Cr4.OSXMMEXCPT ? Vector.XM : Vector.UD);
  return false;
}
