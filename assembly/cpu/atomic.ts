/** Atomic read-modify-writes at a width known at run time, by WebAssembly's compare-exchange. Operands that are not aligned, and those in the
 *  write bounce buffer, are updated plainly. */
import { PcpuOff } from "../abi/layout";
import { commitWrite } from "./access";
import { Rmw } from "./machine";
import { PCPU } from "./pcpu";

@inline function isPlain(h: usize, w: i32): bool { return h == PCPU + PcpuOff.scratchW || (h & (w - 1)) != 0; }

/** `w` bytes at `h`, zero-extended. */
export function read(h: usize, w: i32): u64 {
  if (isPlain(h, w)) return w == 8 ? load<u64>(h) : w == 4 ? <u64>load<u32>(h) : w == 2 ? <u64>load<u16>(h) : <u64>load<u8>(h);
  return w == 8 ? atomic.load<u64>(h) : w == 4 ? <u64>atomic.load<u32>(h) : w == 2 ? <u64>atomic.load<u16>(h) : <u64>atomic.load<u8>(h);
}

/** Replaces `old` by `x` if it is still there. */
export function replace(h: usize, w: i32, old: u64, x: u64): bool {
  if (isPlain(h, w)) {
    if (w == 8) store<u64>(h, x);
    else if (w == 4) store<u32>(h, <u32>x);
    else if (w == 2) store<u16>(h, <u16>x);
    else store<u8>(h, <u8>x);
    if (h == PCPU + PcpuOff.scratchW) commitWrite();
    return true;
  }
  if (w == 8) return atomic.cmpxchg<u64>(h, old, x) == old;
  if (w == 4) return atomic.cmpxchg<u32>(h, <u32>old, <u32>x) == <u32>old;
  if (w == 2) return atomic.cmpxchg<u16>(h, <u16>old, <u16>x) == <u16>old;
  return atomic.cmpxchg<u8>(h, <u8>old, <u8>x) == <u8>old;
}

/** Machine.exchange. */
export function exchange(op: Rmw, h: usize, w: i32, x: u64, expected: u64): u64 {
  let old = read(h, w);
  for (;;) {
    let now = x;
    switch (op) {
      case Rmw.add: now = old + x; break;
      case Rmw.sub: now = old - x; break;
      case Rmw.and: now = old & x; break;
      case Rmw.or: now = old | x; break;
      case Rmw.xor: now = old ^ x; break;
      case Rmw.neg: now = 0 - old; break;
      case Rmw.cmpxchg: if (old != expected) now = old; break;
      default: break;
    }
    if (replace(h, w, old, now)) break;
    old = read(h, w);
  }
  return old;
}
