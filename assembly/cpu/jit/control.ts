/** The wasm blocks that are open, and what a branch to each of them continues with. */
import { JitOff } from "../../abi/jit";
import { J, Wasm, byte, giveUp, jget, jset } from "./buffer";

/** Entries of the control stack: what a branch there continues with. */
export const enum Control { if_ = 0, block = 0x100, loop = 0x200, spill = 0x300, again = 0x400 }

export function enterControl(entry: u32): void {
  const depth = jget(JitOff.depth);
  if (depth >= 127) { giveUp(); return; }
  store<u32>(J + (<usize>depth << 2), entry, JitOff.control);
  jset(JitOff.depth, depth + 1);
}

export function leaveControl(): void {
  byte(Wasm.end);
  jset(JitOff.depth, jget(JitOff.depth) - 1);
}

export function brTo(entry: u32): void {
  const depth = jget(JitOff.depth);
  for (let i = depth; i > 0; i--) {
    if (load<u32>(J + (<usize>(i - 1) << 2), JitOff.control) != entry) continue;
    byte(Wasm.br);
    byte(depth - i);
    return;
  }
  giveUp();
}
