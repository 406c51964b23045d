/** Rotates, shifts by CL and double shifts (SDM Vol.2B). Counts are masked to 5 bits, 6 for 64-bit operands; a count of 0
 *  changes nothing. AF after shifts is undefined and cleared; OF is defined for a count of 1 and follows that rule always. */
import { FlagsKind, PcpuOff } from "../../abi/layout";
import { carry, setCarryOverflow } from "../flags";
import { PCPU } from "../pcpu";
import { Shift } from "../semantics/shift";
import { sextN, zextN } from "../wide";

function shiftFlags(r: u64, w: i32, carry: u64, overflow: u64): void {
  store<u64>(PCPU, sextN(r, w), PcpuOff.flagsRes);
  store<u32>(PCPU, <u32>(carry | (overflow << 1)), PcpuOff.flagsCarry);
  store<u32>(PCPU, FlagsKind.shift, PcpuOff.flagsKind);
}

/** `a` shifted or rotated by `count` (already masked, not 0). Sets flags, returns the result (upper bits unspecified). */
export function shiftValue(op: i32, w: i32, a: u64, count: u32): u64 {
  const bits = <u32>w * 8;
  const x = zextN(a, w), n = <u64>count;
  let r: u64, c: u64;
  switch (op) {
    case Shift.rol: {
      const k = <u64>(count % bits);
      r = k ? zextN((x << k) | (x >> (<u64>bits - k)), w) : x;
      c = r & 1;
      setCarryOverflow(<u32>c, <u32>(c ^ (r >> (bits - 1))));
      return r;
    }
    case Shift.ror: {
      const k = <u64>(count % bits);
      r = k ? zextN((x >> k) | (x << (<u64>bits - k)), w) : x;
      c = r >> (bits - 1);
      setCarryOverflow(<u32>c, <u32>(c ^ ((r >> (bits - 2)) & 1)));
      return r;
    }
    case Shift.rcl: {
      const k = count % (bits + 1);
      r = x;
      c = <u64>carry();
      for (let i: u32 = 0; i < k; i++) {
        const out = r >> (bits - 1);
        r = zextN((r << 1) | c, w);
        c = out;
      }
      setCarryOverflow(<u32>c, <u32>(c ^ (r >> (bits - 1))));
      return r;
    }
    case Shift.rcr: {
      const k = count % (bits + 1);
      r = x;
      c = <u64>carry();
      for (let i: u32 = 0; i < k; i++) {
        const out = r & 1;
        r = (r >> 1) | (c << (bits - 1));
        c = out;
      }
      setCarryOverflow(<u32>c, <u32>((r >> (bits - 1)) ^ ((r >> (bits - 2)) & 1)));
      return r;
    }
    case Shift.shr:
      r = x >> n;
      shiftFlags(r, w, (x >> (n - 1)) & 1, x >> (bits - 1));
      return r;
    case Shift.sar: {
      const s = <i64>sextN(x, w);
      r = <u64>(s >> <i64>n);
      shiftFlags(r, w, <u64>(s >> <i64>(n - 1)) & 1, 0);
      return r;
    }
    default:
      r = x << n;
      c = ((x << (n - 1)) >> (bits - 1)) & 1;
      shiftFlags(r, w, c, c ^ (zextN(r, w) >> (bits - 1)));
      return r;
  }
}

/** SHLD: `a` shifted left, filled from the top of `b`. For 16-bit operands and counts above 16 the result is undefined;
 *  it is what a 32-bit rotation of a:b:a gives, as processors do. */
export function shldValue(w: i32, a: u64, b: u64, count: u32): u64 {
  const bits = <u64>w * 8, n = <u64>count, x = zextN(a, w), y = zextN(b, w);
  let r: u64, c: u64;
  if (w == 2) {
    const wide = (x << 32) | (y << 16) | x;
    r = ((wide << n) >> 32) & 0xffff;
    c = (wide >> (48 - n)) & 1;
  } else {
    r = zextN((x << n) | (y >> (bits - n)), w);
    c = (x >> (bits - n)) & 1;
  }
  shiftFlags(r, w, c, (r >> (bits - 1)) ^ (x >> (bits - 1)));
  return r;
}

export function shrdValue(w: i32, a: u64, b: u64, count: u32): u64 {
  const bits = <u64>w * 8, n = <u64>count, x = zextN(a, w), y = zextN(b, w);
  let r: u64, c: u64;
  if (w == 2) {
    const wide = (x << 32) | (y << 16) | x;
    r = (wide >> n) & 0xffff;
    c = (wide >> (n - 1)) & 1;
  } else {
    r = zextN((x >> n) | (y << (bits - n)), w);
    c = (x >> (n - 1)) & 1;
  }
  shiftFlags(r, w, c, (r >> (bits - 1)) ^ (x >> (bits - 1)));
  return r;
}
