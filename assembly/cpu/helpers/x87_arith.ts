/** The operations on a register and a value, in the register's place. Whether the registers are in use has been looked at. One function for each,
 *  so that it is straight-line code; interpreter and translated code call the same. False: an unmasked exception forbids the result. */
import { fromDouble } from "./x87_convert";
import { Arith, operate, product, quotient, root, sum } from "./x87_quick";
import { resultSe, Work } from "./x87_state";
import { PCPU } from "../pcpu";

@inline function withValue(kind: i32, sig: u64, at: usize, se: u32): bool {
  switch (kind) {
    case Arith.add: return sum(kind, sig, at, se, 0, 0);
    case Arith.mul: return product(sig, at, se);
    case Arith.sub: return sum(kind, sig, at, se, 0, 0x8000);
    case Arith.subr: return sum(kind, sig, at, se, 0x8000, 0);
    default: return quotient(kind, sig, at, se);
  }
}

@inline function withDouble(kind: i32, bits: u64, at: usize): bool {
  const exp = <u32>(bits >> 52) & 0x7ff;
  if (exp - 1 < 0x7fe) return withValue(kind, (1 << 63) | (bits << 12 >> 1), at, (<u32>(bits >> 48) & 0x8000) | (exp + (0x3fff - 1023)));
  store<u32>(PCPU, 0, Work.exc);
  const sig = fromDouble(bits);
  return operate(kind, sig, at, resultSe());
}

export function addValue(sig: u64, at: usize, se: u32): bool { return withValue(Arith.add, sig, at, se); }
export function mulValue(sig: u64, at: usize, se: u32): bool { return withValue(Arith.mul, sig, at, se); }
export function subValue(sig: u64, at: usize, se: u32): bool { return withValue(Arith.sub, sig, at, se); }
export function subrValue(sig: u64, at: usize, se: u32): bool { return withValue(Arith.subr, sig, at, se); }
export function divValue(sig: u64, at: usize, se: u32): bool { return withValue(Arith.div, sig, at, se); }
export function divrValue(sig: u64, at: usize, se: u32): bool { return withValue(Arith.divr, sig, at, se); }

export function addDouble(bits: u64, at: usize): bool { return withDouble(Arith.add, bits, at); }
export function mulDouble(bits: u64, at: usize): bool { return withDouble(Arith.mul, bits, at); }
export function subDouble(bits: u64, at: usize): bool { return withDouble(Arith.sub, bits, at); }
export function subrDouble(bits: u64, at: usize): bool { return withDouble(Arith.subr, bits, at); }
export function divDouble(bits: u64, at: usize): bool { return withDouble(Arith.div, bits, at); }
export function divrDouble(bits: u64, at: usize): bool { return withDouble(Arith.divr, bits, at); }

export function sqrtRegister(at: usize): bool { return root(at); }
