/** Which windows are worth having is not known before they were used: code counts how often each moves, and where that is too often for what a
 *  comparison saves, the region is translated anew without. A slice that ends stands for as much of the region that ran last, whatever that was
 *  in the meantime. */
import { JitOff, WindowOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { PCPU } from "../pcpu";
import { jget } from "./buffer";
import { drop } from "./regions";

/** Slices that end in a region before its counts are looked at. */
const SLICES: u32 = 8;
/** Instructions between two moves of a window, on the average, at least: one may cost a mispredicted branch, each access that finds its page saves
 *  half of a look at the TLB. Those of windows that had been emptied are not counted. */
const INSNS: u32 = 50;

@inline function table(): usize { return <usize>load<u32>(PCPU, PcpuOff.codeBase) + WindowOff.TABLE; }
@inline function countsOf(region: u32): usize { return table() + <usize>region * WindowOff.SIZE; }
@inline function bitsAt(key: u32): usize { return table() + WindowOff.REFUSED + <usize>(key >> 3); }

/** What a window of the loop with block head `loop` is known by. */
export function windowKey(loop: usize, base: u32, index: u32, write: bool, bucket: i32): u32 {
  return ((<u32>loop >> 5) + base * 0x2f + index * 0x101 + u32(write) * 0x355 + <u32>bucket * 0x1003) * 0x9e3779b1 >> 19;
}

/** Such a window moved too often. */
export function isRefused(key: u32): bool { return (<u32>load<u8>(bitsAt(key)) >> (key & 7) & 1) != 0; }

/** The region that is being written has a window `k`, which is known by `key`. */
export function countWindow(k: u32, key: u32): void {
  const at = countsOf(jget(JitOff.writing));
  store<u16>(at + (<usize>k << 1), <u16>key, WindowOff.keys);
  store<u32>(at, k + 1, WindowOff.windows);
}

/** Address of the count of its window `k`. */
export function countAt(k: u32): u32 { return <u32>(countsOf(jget(JitOff.writing)) + WindowOff.counts + (<usize>k << 2)); }

/** Address of the count of times that all were emptied. */
export function emptiedAt(): u32 { return <u32>(countsOf(jget(JitOff.writing)) + WindowOff.emptied); }

/** The region that is being written has no windows yet. */
export function clearCounts(): void { memory.fill(countsOf(jget(JitOff.writing)), 0, WindowOff.SIZE); }

/** A slice ended in region `n`, or in what the interpreter did behind it. */
export function lookAtWindows(n: u32): void {
  const at = countsOf(n), windows = load<u32>(at, WindowOff.windows), slices = load<u32>(at, WindowOff.slices) + 1;
  if (!windows) return;
  store<u32>(at, slices, WindowOff.slices);
  if (slices < SLICES) return;
  const most = <u32>jget(JitOff.slice) * SLICES / INSNS + load<u32>(at, WindowOff.emptied);
  let refused = false;
  for (let k: u32 = 0; k < windows; k++) {
    if (load<u32>(at + (<usize>k << 2), WindowOff.counts) <= most) continue;
    const key = <u32>load<u16>(at + (<usize>k << 1), WindowOff.keys);
    store<u8>(bitsAt(key), load<u8>(bitsAt(key)) | <u8>(<u32>1 << (key & 7)));
    refused = true;
  }
  memory.fill(at + WindowOff.slices, 0, WindowOff.keys - WindowOff.slices);
  if (!refused) return;
  store<u32>(at, 0, WindowOff.windows);
  drop(n);
}

export function forgetWindows(): void { memory.fill(table(), 0, WindowOff.REFUSED + 1024); }
