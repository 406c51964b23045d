/** Values of a straight piece of guest code as a graph: the emitting machine makes nodes, the code generator writes those that
 *  somebody needs. A node is pure, so it can be written where it is used, or not at all. Nodes live until the end of the
 *  piece; register nodes stand for the values at its beginning.
 *
 *  24 bytes: op u8, width u8, uses u16, t64 u16, t32 u16 (locals that hold it, 0 none), a u32, b u32, imm i64. */
import { JitOff } from "../../abi/jit";
import { J, giveUp, jget, jset } from "./buffer";

export const enum Node {
  none = 0,
  const_ = 1, // imm
  local = 2, // a: i64 local, unchanged until the end of the piece
  local32 = 3, // a: i32 local, zero-extended
  add = 4, sub = 5, and = 6, or = 7, xor = 8, mul = 9, shl = 10, shr = 11, sar = 12, // a, b; counts are below 64
  sext = 13, zext = 14, // a, width
  ltu = 15, eq = 16, // a, b: 0 or 1
  select = 17, // a, b, imm: condition
  fromCond = 18, // a: condition
  word = 19, // imm: offset of a word of the pCPU block that does not change during the piece
  divU = 20, divS = 21, // a, b: only behind the effect that leaves where there is no quotient
  ctz = 22, clz = 23, popcnt = 27, // a
  float = 28, // a: float local, width: the bits of that number as a double
  /* Conditions, i32. */
  compare = 24, // a, b, width, imm: condition code as after CMP a, b
  bit = 25, // a: its bit imm
  flag = 26, // a: i32 local, xor imm
  ordered = 29, // imm: condition code as after UCOMIS a, b: float locals of `width`, if that is 0 nodes with the bits of doubles
}

const enum NodeOff { op = 0, width = 1, uses = 2, t64 = 4, t32 = 6, a = 8, b = 12, imm = 16, SIZE = 24 }
const MAX_NODES: u32 = 2048;

@inline export function at(n: i32): usize { return J + JitOff.nodes + <usize>n * NodeOff.SIZE; }
@inline export function op(n: i32): i32 { return <i32>load<u8>(at(n), NodeOff.op); }
@inline export function width(n: i32): i32 { return <i32>load<u8>(at(n), NodeOff.width); }
@inline export function uses(n: i32): i32 { return <i32>load<u16>(at(n), NodeOff.uses); }
@inline export function argA(n: i32): i32 { return load<i32>(at(n), NodeOff.a); }
@inline export function argB(n: i32): i32 { return load<i32>(at(n), NodeOff.b); }
@inline export function imm(n: i32): i64 { return load<i64>(at(n), NodeOff.imm); }
@inline export function t64(n: i32): u32 { return load<u16>(at(n), NodeOff.t64); }
@inline export function t32(n: i32): u32 { return load<u16>(at(n), NodeOff.t32); }
@inline export function setT64(n: i32, local: u32): void { store<u16>(at(n), <u16>local, NodeOff.t64); }
@inline export function setT32(n: i32, local: u32): void { store<u16>(at(n), <u16>local, NodeOff.t32); }
@inline export function isConst(n: i32): bool { return op(n) == Node.const_; }

export function use(n: i32): void { store<u16>(at(n), load<u16>(at(n), NodeOff.uses) + 1, NodeOff.uses); }

export function make(kind: i32, w: i32, a: i32, b: i32, value: i64): i32 {
  let n = <i32>jget(JitOff.nodeCount);
  if (<u32>n >= MAX_NODES) {
    giveUp();
    n = MAX_NODES - 1;
  } else jset(JitOff.nodeCount, n + 1);
  const p = at(n);
  store<u32>(p, <u32>kind | (<u32>w << 8));
  store<u32>(p, 0, NodeOff.t64);
  store<i32>(p, a, NodeOff.a);
  store<i32>(p, b, NodeOff.b);
  store<i64>(p, value, NodeOff.imm);
  return n;
}

export function constant(value: i64): i32 { return make(Node.const_, 8, 0, 0, value); }
export function local(n: u32): i32 { return make(Node.local, 8, <i32>n, 0, 0); }
export function local32(n: u32): i32 { return make(Node.local32, 4, <i32>n, 0, 0); }

/** Two operands, folded where both are known or one does nothing. */
export function binary(kind: i32, a: i32, b: i32): i32 {
  if (isConst(b)) {
    const y = imm(b);
    if (isConst(a)) return constant(fold(kind, imm(a), y));
    if (y == 0 && (kind == Node.add || kind == Node.sub || kind == Node.or || kind == Node.xor || kind == Node.shl || kind == Node.shr || kind == Node.sar)) return a;
    if (kind == Node.and) {
      if (y == -1) return a;
      if (y == 0xff || y == 0xffff || y == 0xffffffff) return extend(Node.zext, a, y == 0xff ? 1 : y == 0xffff ? 2 : 4);
    }
  } else if (isConst(a) && imm(a) == 0 && (kind == Node.add || kind == Node.or || kind == Node.xor)) return b;
  if (same(a, b)) {
    if (kind == Node.and || kind == Node.or) return a;
    if (kind == Node.xor || kind == Node.sub) return constant(0);
  }
  use(a);
  use(b);
  return make(kind, 8, a, b, 0);
}

/** Certainly the same value. */
function same(a: i32, b: i32): bool {
  if (a == b) return true;
  return op(a) == op(b) && (op(a) == Node.sext || op(a) == Node.zext) && width(a) == width(b) && argA(a) == argA(b);
}

function fold(kind: i32, x: i64, y: i64): i64 {
  switch (kind) {
    case Node.add: return x + y;
    case Node.sub: return x - y;
    case Node.and: return x & y;
    case Node.or: return x | y;
    case Node.xor: return x ^ y;
    case Node.mul: return x * y;
    case Node.shl: return x << y;
    case Node.shr: return <i64>(<u64>x >> <u64>y);
    case Node.sar: return x >> y;
    case Node.ltu: return i64(<u64>x < <u64>y);
    default: return i64(x == y);
  }
}

export function extend(kind: i32, a: i32, w: i32): i32 {
  if (w == 8) return a;
  if (isConst(a)) {
    const x = imm(a), shift = 64 - w * 8;
    return constant(kind == Node.sext ? (x << shift) >> shift : <i64>((<u64>x << shift) >> shift));
  }
  // an extension from the same or a smaller width within is the only one that matters
  const inner = op(a);
  if (inner == kind && width(a) <= w) return a;
  if ((inner == Node.sext || inner == Node.zext) && width(a) >= w) a = argA(a);
  if (kind == Node.zext && op(a) == Node.local32 && w == 4) return a;
  use(a);
  return make(kind, w, a, 0, 0);
}

/** As `raw`, in a form that 32-bit operations compute. */
export function low(n: i32, w: i32): i32 {
  const x = raw(n, w), kind = op(x);
  return w == 8 || kind == Node.local || kind == Node.local32 ? x : extend(Node.zext, x, 4);
}

/** The same value but for bits above `w` bytes, without an extension that only changes those. */
export function raw(n: i32, w: i32): i32 {
  const kind = op(n);
  return (kind == Node.sext || kind == Node.zext) && width(n) >= w ? argA(n) : n;
}
