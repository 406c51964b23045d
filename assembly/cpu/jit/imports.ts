/** Functions of the core that emitted modules call, by their place in the table they import (src/machine/jit.ts puts the core's exports
 *  there). */
export const enum Import {
  missR = 0, // [i64 lin, i32 size, i32 record] -> [i32 host]
  missW = 1, // [i64 lin, i32 size, i32 record] -> [i32 host]
  stored = 2, // [i32 host] -> [i32 leave]
  cold = 3, // [i32 record] -> [i32 next]
  badTarget = 4, // [i32 record] -> [i32 0]
  cond = 5, // [i32 cc, i32 kind, i64 r, a, b, c] -> [i32]
  carry = 6, // [i32 kind, i64 r, a, b, c] -> [i64]
  keep = 7, // [i32 kind, i64 r, a, b, c] -> []
  x87Enter = 8, // [i32 state, i32 now, i32 head] -> [i32]
  x87Leave = 9, // [i32 state, i32 changed, i32 rounded and opcode] -> []
  x87 = 10, // [i32 record] -> [i32 next]
  x87Memory = 11, // [i64 lin, i32 host, i32 record] -> [i32 next]
  page = 12, // [i64 rip, i32 head, i32 page] -> [i32 next]
  /* x87 registers by address, as all exceptions are masked. */
  x87Arith = 13, // add, mul, sub, subr, div, divr: [i64 sig, i32 at, i32 se] -> [i32]
  x87ArithDouble = 19, // [i64 bits, i32 at] -> [i32]
  x87Odd = 25, // [i64 value, i32 at, i32 what] -> [i32]
  x87Compare = 26, // [i64 sig, i32 at, i32 se and how] -> [i32 flags]
  x87CompareDouble = 27, // [i64 bits, i32 at] -> [i32 flags]
  x87Sqrt = 28, // [i32 at] -> [i32]
  x87Integer = 29, // [i32 at] -> [i32]
  x87Double = 30, // [i32 at] -> [i64]
  x87Give = 31, // [i32 at and what] -> [i64]
  x87Control = 32, // [i32 value] -> [i32]
  spanR = 33, // [i64 lin, i32 len, i32 record] -> [i32 host]
  spanW = 34,
  doubt = 35, // [i32 record and what] -> [i32 record]
  straddle = 36, // [i32 head] -> [i32 next]
  COUNT = 37,
}

/** Which of the module's types each has. */
export function typeOf(n: i32): i32 {
  if (n >= Import.x87Arith && n < Import.x87ArithDouble) return 6;
  if (n >= Import.x87ArithDouble && n < Import.x87Odd) return 1;
  switch (n) {
    case Import.missR:
    case Import.page:
    case Import.x87Memory:
    case Import.spanR:
    case Import.spanW:
    case Import.x87Odd:
    case Import.x87Compare:
    case Import.missW: return 6;
    case Import.x87CompareDouble: return 1;
    case Import.cond: return 3;
    case Import.carry: return 4;
    case Import.keep: return 5;
    case Import.x87Enter: return 7;
    case Import.x87Leave: return 8;
    case Import.x87Double:
    case Import.x87Give: return 9;
    default: return 2;
  }
}
