/** Code over which regions die again and again, by lines of 128 bytes. */
import { JitOff } from "../../abi/jit";
import { J } from "./buffer";

/** Regions that may die over the same bytes before they are left to the interpreter, and before they no longer are in regions that begin elsewhere. */
export const RESTLESS: u8 = 4;
export const RESTLESS_THERE: u8 = 2;

function restlessAt(maddr: u32): usize { return J + <usize>(((maddr >> 7) * 0x9e3779b1) >> 22); }
export function isRestless(maddr: u32, times: u8): bool { return load<u8>(restlessAt(maddr), JitOff.restless) >= times; }

/** Regions with the code at `maddr` die. */
export function countDeath(maddr: u32): void {
  const line = restlessAt(maddr), times = load<u8>(line, JitOff.restless);
  if (times < 255) store<u8>(line, times + 1, JitOff.restless);
}

export function forgetRestless(): void { memory.fill(J + JitOff.restless, 0, 1024); }

/** Code that was rewritten often may stay as it is now: about once a second all counts are halved. */
export function forgive(): void {
  for (let i: usize = 0; i < 1024; i++) store<u8>(J + i, load<u8>(J + i, JitOff.restless) >> 1, JitOff.restless);
}
