/** Conversions between doubles and the other formats of the x87. */
import type { BaselineCore } from "./core";

const IE = 1;

/** To an integer by rounding control: nearest or even, down, up, toward zero. */
export function roundTo(x: number, mode: number): number {
  if (mode === 1) return Math.floor(x);
  if (mode === 2) return Math.ceil(x);
  if (mode === 3) return Math.trunc(x);
  if (!(Math.abs(x) < 2 ** 52)) return x;
  const magic = x < 0 || Object.is(x, -0) ? -(2 ** 52) : 2 ** 52;
  const r = x + magic - magic;
  return r === 0 && magic < 0 ? -0 : r;
}

/** FIST and relatives; what does not fit becomes the integer indefinite. Width is the log2 of the bytes, up to 3. */
export function storeInteger(m: BaselineCore, lin: number, width: number, x: number, truncate: boolean): void {
  const r = roundTo(x, truncate ? 3 : (m.fpuControl >> 10) & 3);
  const limit = 2 ** ((8 << width) - 1);
  const fits = r >= -limit && r < limit;
  if (!fits) m.fpuStatus |= IE;
  const value = fits ? r : -limit;
  if (width < 3) {
    m.store(lin, width, value | 0);
    return;
  }
  m.checkWrite(lin, 8);
  const high = Math.floor(value / 0x100000000);
  m.write32(lin, (value - high * 0x100000000) | 0);
  m.write32((lin + 4) | 0, high | 0);
}

/** FPREM (quotient toward zero) and FPREM1 (to nearest), with the low bits of the quotient. */
export function remainder(x: number, y: number, nearest: boolean): [remainder: number, quotient: number] {
  let r = x % y;
  const low = x % (8 * y);
  let quotient = Number.isFinite(low) && y !== 0 ? Math.trunc(Math.abs(low / y)) : 0;
  if (nearest && Number.isFinite(r)) {
    const half = Math.abs(y) / 2;
    if (Math.abs(r) > half || (Math.abs(r) === half && quotient & 1)) {
      r -= Math.sign(r) * Math.abs(y);
      quotient++;
    }
  }
  return [r, quotient & 7];
}

/** Eighteen packed decimal digits and a sign. */
export function loadPacked(m: BaselineCore, lin: number): number {
  let x = 0;
  for (let i = 8; i >= 0; i--) {
    const byte = m.read8((lin + i) | 0);
    x = x * 100 + (byte >> 4) * 10 + (byte & 15);
  }
  return m.read8((lin + 9) | 0) & 0x80 ? -x : x;
}

export function storePacked(m: BaselineCore, lin: number, x: number): void {
  let r = Math.abs(roundTo(x, (m.fpuControl >> 10) & 3));
  const fits = r < 1e18;
  if (!fits) m.fpuStatus |= IE;
  m.checkWrite(lin, 10);
  for (let i = 0; i < 9; i++) {
    const pair = r % 100;
    r = Math.floor(r / 100);
    m.write8((lin + i) | 0, fits ? (Math.floor(pair / 10) << 4) | pair % 10 : i < 7 ? 0 : i === 7 ? 0xc0 : 0xff);
  }
  m.write8((lin + 9) | 0, !fits ? 0xff : x < 0 || Object.is(x, -0) ? 0x80 : 0);
}
