/** RCL and RCR by any count (SDM Vol.2B). */
import { carry, setCarryOverflow } from "../flags";
import { zextN } from "../wide";

/** `a` rotated with CF by `count` (already masked, not 0). Sets flags, returns the result. */
export function rotateCarry(right: bool, w: i32, a: u64, count: u32): u64 {
  const bits = <u64>w * 8, k = count % (<u32>bits + 1);
  let r = zextN(a, w), c = <u64>carry();
  for (let i: u32 = 0; i < k; i++) {
    const out = right ? r & 1 : r >> (bits - 1);
    r = right ? (r >> 1) | (c << (bits - 1)) : zextN((r << 1) | c, w);
    c = out;
  }
  setCarryOverflow(<u32>c, <u32>((right ? (r >> (bits - 2)) & 1 : c) ^ (r >> (bits - 1))));
  return r;
}
