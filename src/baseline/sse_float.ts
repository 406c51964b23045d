/** SSE arithmetic, element by element, without calls that pass doubles: JavaScript engines would box them. JavaScript's numbers are
 *  doubles rounded to nearest; a single is the double result rounded once more, which is exact for these operations. NaNs are made
 *  of bits, because JavaScript has but one. */
import type { BaselineCore } from "./core";
import { Float } from "./sse_ops";

const QUIET_DOUBLE = 1 << 19;
const DEFAULT_DOUBLE = 0xfff80000 | 0;
const EXPONENT_DOUBLE = 0x7ff00000;
const QUIET_SINGLE = 1 << 22;
const DEFAULT_SINGLE = 0xffc00000 | 0;
const EXPONENT_SINGLE = 0x7f800000;

/** EQ LT LE UNORD and their opposites. */
function holds(a: number, b: number, predicate: number): boolean {
  let is: boolean;
  switch (predicate & 3) {
    case 0:
      is = a === b;
      break;
    case 1:
      is = a < b;
      break;
    case 2:
      is = a <= b;
      break;
    default:
      // biome-ignore lint/suspicious/noSelfCompare: the quickest test for NaN
      is = a !== a || b !== b;
  }
  return is !== ((predicate & 4) !== 0);
}

/** The first `lanes` doubles of registers `to` and `from`; the predicate is that of comparisons. */
export function doubles(m: BaselineCore, operation: Float, to: number, from: number, lanes: number, predicate: number): void {
  const { xmm64 } = m;
  for (let i = 0; i < lanes; i++) {
    const a = xmm64[to * 2 + i];
    const b = xmm64[from * 2 + i];
    let r: number;
    switch (operation) {
      case Float.add:
        r = a + b;
        break;
      case Float.mul:
        r = a * b;
        break;
      case Float.sub:
        r = a - b;
        break;
      case Float.min:
        r = a < b ? a : b;
        break;
      case Float.div:
        r = a / b;
        break;
      case Float.max:
        r = a > b ? a : b;
        break;
      case Float.sqrt:
        r = Math.sqrt(b);
        break;
      default: {
        const mask = holds(a, b, predicate) ? -1 : 0;
        m.xmm32[to * 4 + i * 2] = mask;
        m.xmm32[to * 4 + i * 2 + 1] = mask;
        continue;
      }
    }
    // biome-ignore lint/suspicious/noSelfCompare: the quickest test for NaN
    if (r !== r) nanDouble(m, operation, to * 4 + i * 2, from * 4 + i * 2);
    else xmm64[to * 2 + i] = r;
  }
}

/** SDM Vol.1 "Rules for handling NaNs": the first operand that is one, quiet; else the default. MIN and MAX give the second operand
 *  as it is. Places are those of the low words. */
function nanDouble(m: BaselineCore, operation: Float, to: number, from: number): void {
  const { xmm32 } = m;
  const isNaN = (at: number) => (xmm32[at + 1] & 0x7fffffff) > EXPONENT_DOUBLE || ((xmm32[at + 1] & 0x7fffffff) === EXPONENT_DOUBLE && xmm32[at] !== 0);
  if (operation === Float.min || operation === Float.max) {
    xmm32[to] = xmm32[from];
    xmm32[to + 1] = xmm32[from + 1];
  } else if (operation !== Float.sqrt && isNaN(to)) xmm32[to + 1] |= QUIET_DOUBLE;
  else if (isNaN(from)) {
    xmm32[to] = xmm32[from];
    xmm32[to + 1] = xmm32[from + 1] | QUIET_DOUBLE;
  } else {
    xmm32[to] = 0;
    xmm32[to + 1] = DEFAULT_DOUBLE;
  }
}

export function singles(m: BaselineCore, operation: Float, to: number, from: number, lanes: number, predicate: number): void {
  const { xmmSingle } = m;
  for (let i = 0; i < lanes; i++) {
    const a = xmmSingle[to * 4 + i];
    const b = xmmSingle[from * 4 + i];
    let r: number;
    switch (operation) {
      case Float.add:
        r = Math.fround(a + b);
        break;
      case Float.mul:
        r = Math.fround(a * b);
        break;
      case Float.sub:
        r = Math.fround(a - b);
        break;
      case Float.min:
        r = a < b ? a : b;
        break;
      case Float.div:
        r = Math.fround(a / b);
        break;
      case Float.max:
        r = a > b ? a : b;
        break;
      case Float.sqrt:
        r = Math.fround(Math.sqrt(b));
        break;
      default:
        m.xmm32[to * 4 + i] = holds(a, b, predicate) ? -1 : 0;
        continue;
    }
    // biome-ignore lint/suspicious/noSelfCompare: the quickest test for NaN
    if (r !== r) nanSingle(m, operation, to * 4 + i, from * 4 + i);
    else xmmSingle[to * 4 + i] = r;
  }
}

function nanSingle(m: BaselineCore, operation: Float, to: number, from: number): void {
  const { xmm32 } = m;
  const isNaN = (at: number) => (xmm32[at] & 0x7fffffff) > EXPONENT_SINGLE;
  if (operation === Float.min || operation === Float.max) xmm32[to] = xmm32[from];
  else if (operation !== Float.sqrt && isNaN(to)) xmm32[to] |= QUIET_SINGLE;
  else xmm32[to] = isNaN(from) ? xmm32[from] | QUIET_SINGLE : DEFAULT_SINGLE;
}
