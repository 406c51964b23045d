/** 64 x 64 -> 128 bit products and 128 / 64 bit quotients, for IMUL, DIV, IDIV, MULX. */

/** Upper 64 bits of a * b, unsigned. */
export function mulHigh(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff, a1 = a >> 32, b0 = b & 0xffffffff, b1 = b >> 32;
  const mid = a1 * b0 + ((a0 * b0) >> 32);
  const low = (mid & 0xffffffff) + a0 * b1;
  return a1 * b1 + (mid >> 32) + (low >> 32);
}

/** Upper 64 bits of a * b, signed. */
export function mulHighSigned(a: u64, b: u64): u64 {
  return mulHigh(a, b) - (<i64>a < 0 ? b : 0) - (<i64>b < 0 ? a : 0);
}

/** Quotient of (high:low) / d for high < d (Knuth, TAOCP vol. 2, 4.3.1, with two 32-bit digits). Remainder is low - q * d. */
export function divWide(high: u64, low: u64, d: u64): u64 {
  if (high == 0) return low / d;
  const s = clz<u64>(d);
  const v = d << s, v1 = v >> 32, v0 = v & 0xffffffff;
  const n = s == 0 ? high : (high << s) | (low >> (64 - s));
  const m = low << s, m1 = m >> 32, m0 = m & 0xffffffff;
  let q1 = n / v1, r = n - q1 * v1;
  while (q1 >> 32 || q1 * v0 > ((r << 32) | m1)) {
    q1--;
    r += v1;
    if (r >> 32) break;
  }
  const rest = ((n << 32) | m1) - q1 * v;
  let q0 = rest / v1;
  r = rest - q0 * v1;
  while (q0 >> 32 || q0 * v0 > ((r << 32) | m0)) {
    q0--;
    r += v1;
    if (r >> 32) break;
  }
  return (q1 << 32) + q0;
}

/** The low `w` bytes of `x`. */
@inline export function sextN(x: u64, w: i32): u64 { const s = <u64>(64 - w * 8); return <u64>(<i64>(x << s) >> <i64>s); }
@inline export function zextN(x: u64, w: i32): u64 { const s = <u64>(64 - w * 8); return (x << s) >> s; }
