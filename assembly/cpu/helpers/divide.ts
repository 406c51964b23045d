/** DIV and IDIV of any operands. */
import { Gpr, Vector } from "../../abi/x86";
import { fail } from "../../fault";
import { getReg, setReg } from "../operand";
import { divWide, sextN, zextN } from "../wide";

/** DIV and IDIV: #DE on a zero divisor or a quotient that does not fit; flags are undefined and kept. */
export function divide(w: i32, x: u64, signed: bool): void {
  if (x == 0) fail(Vector.DE);
  if (w == 8) {
    let low = getReg(Gpr.rax, 8), high = getReg(Gpr.rdx, 8);
    if (!signed) {
      if (high >= x) fail(Vector.DE);
      const q = divWide(high, low, x);
      setReg(Gpr.rax, 8, q);
      setReg(Gpr.rdx, 8, low - q * x);
      return;
    }
    const negative = <i64>high < 0, d = <i64>x < 0 ? 0 - x : x;
    if (negative) {
      low = 0 - low;
      high = ~high + u64(low == 0);
    }
    if (high >= d) fail(Vector.DE);
    const q = divWide(high, low, d), r = low - q * d, minus = negative != (<i64>x < 0);
    if (minus ? q > (<u64>1 << 63) : q >> 63 != 0) fail(Vector.DE);
    setReg(Gpr.rax, 8, minus ? 0 - q : q);
    setReg(Gpr.rdx, 8, negative ? 0 - r : r);
    return;
  }
  const bits = <u64>w * 8;
  const n = w == 1 ? getReg(Gpr.rax, 2) : (getReg(Gpr.rdx, w) << bits) | getReg(Gpr.rax, w);
  let q: u64, r: u64;
  if (signed) {
    const wide = <i64>sextN(n, w * 2), d = <i64>sextN(x, w);
    if (w == 4 && wide == i64.MIN_VALUE && d == -1) fail(Vector.DE);
    const sq = wide / d;
    if (<u64>sq != sextN(<u64>sq, w)) fail(Vector.DE);
    q = <u64>sq;
    r = <u64>(wide - sq * d);
  } else {
    q = n / x;
    if (q != zextN(q, w)) fail(Vector.DE);
    r = n - q * x;
  }
  if (w == 1) setReg(Gpr.rax, 2, (q & 0xff) | ((r & 0xff) << 8));
  else {
    setReg(Gpr.rax, w, q);
    setReg(Gpr.rdx, w, r);
  }
}
