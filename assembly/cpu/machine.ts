/** The primitives instructions are written in. `Interp` computes them, an emitter writes them as WebAssembly; an
 *  instruction is one generic function over both. `V` is a guest value. Widths are arguments in bytes: constant after
 *  inlining in hot handlers, dynamic elsewhere. Values are sign-extended to 64 bits where `S` stands in a name. */

/** Host address of guest memory, or what the machine needs to know before it has one. */
export type Host = usize;
/** Outcome of a comparison, consumed at once. */
export type Cond = i32;

/** Operations on whole operands, numbered as Alu has them. */
export const enum Arith { add = 0, or = 1, and = 4, sub = 5, xor = 6, mul = 7 }

/** Atomic read-modify-writes. An enum in the order of WebAssembly's, but for the last. */
export const enum Rmw { add, sub, and, or, xor, xchg, cmpxchg, neg }

@unmanaged
export abstract class Machine<V> {
  /** Register at file offset `r`; bits above `w` bytes are unspecified. */
  abstract reg(r: usize, w: i32): V;
  abstract regS(r: usize, w: i32): V;
  abstract setReg(r: usize, w: i32, x: V): void;
  abstract imm(x: i64): V;
  /** The immediate of record `u`, which says that it is `x`. */
  abstract immediate(u: usize, x: i64): V;
  abstract add(a: V, b: V): V;
  abstract sub(a: V, b: V): V;
  abstract and(a: V, b: V): V;
  abstract or(a: V, b: V): V;
  abstract xor(a: V, b: V): V;
  abstract mul(a: V, b: V): V;
  /** `op` of sign-extended operands, sign-extended from `w` bytes. */
  abstract arith(op: Arith, w: i32, a: V, b: V): V;
  abstract sext(x: V, w: i32): V;
  abstract zext(x: V, w: i32): V;
  /** Linear address of the record's memory operand; `simple` ones have a base and a displacement only. */
  abstract ea(u: usize, simple: bool): V;
  /** The same moved by `by` bytes. */
  abstract eaBy(u: usize, simple: bool, by: V): V;
  /** Access to `w` bytes at `lin` for record `u`, in three steps: `s = hostR(lin, ...)` looks the place up,
   *  `if (faulted(s, lin, ...)) return fault(u)`, after hostW faultedW, leaves where there is none, `host(s, lin)` is its address. All of an
   *  instruction's accesses come before anything it changes: `fault` may also begin the instruction again elsewhere. An
   *  emitter writes everything, the exit included, in the first step. */
  abstract hostR(lin: V, w: i32, u: usize): Host;
  abstract hostW(lin: V, w: i32, u: usize): Host;
  abstract faulted(s: Host, lin: V, w: i32, u: usize): bool;
  abstract faultedW(s: Host, lin: V, w: i32, u: usize): bool;
  abstract fault(u: usize): usize;
  abstract host(s: Host, lin: V): Host;
  abstract load(h: Host, w: i32): V;
  abstract loadS(h: Host, w: i32): V;
  abstract store(h: Host, w: i32, x: V): void;
  /** The old `w` bytes at `h`, zero-extended, which an atomic operation with `x` replaces; CMPXCHG by `x` only where they are `expected`
   *  (zero-extended). An emitter wants the operand aligned: wantAligned() comes before its access. */
  abstract exchange(op: Rmw, h: Host, w: i32, x: V, expected: V): V;
  abstract wantAligned(lin: V, w: i32, u: usize): void;
  /** Status flags from result and operands, all sign-extended. */
  abstract setFlags(kind: u32, r: V, a: V, b: V): void;
  abstract setFlagsCarry(kind: u32, r: V, a: V, b: V, carry: V): void;
  abstract carry(): V;
  abstract carryBit(): V; // carry() in bit 0, with anything above
  abstract cond(cc: i32): Cond;
  abstract compare(cc: i32, a: V, b: V, r: V): Cond;
  abstract ltu(a: V, b: V): V;
  abstract eq(a: V, b: V): V;
  /** Shifts by a count below 64 that the record fixes. */
  abstract shlBy(a: V, n: i32): V;
  abstract shrBy(a: V, n: i32): V;
  abstract sarBy(a: V, n: i32): V;
  /** The same by a value below 64. */
  abstract shl(a: V, n: V): V;
  abstract shr(a: V, n: V): V;
  abstract sar(a: V, n: V): V;
  /** Zero-extended `a` of `w` bytes, 4 or 8, rotated by less than its bits. */
  abstract rotate(right: bool, a: V, n: V, w: i32): V;
  /** Number of zeros below the lowest, above the highest bit: 64 of 0. Number of ones. */
  abstract ctz(x: V): V;
  abstract clz(x: V): V;
  abstract popcnt(x: V): V;
  /** Quotients of 64 bits; only after hard() has excluded what has none. */
  abstract divU(a: V, b: V): V;
  abstract divS(a: V, b: V): V;
  /** What follows does not do where `c` holds: an emitter leaves to the interpreter there, before the instruction. */
  abstract hard(c: Cond, u: usize): bool;
  /** DIV and IDIV by `x` for all operands. */
  abstract divideHard(u: usize, w: i32, signed: bool, x: V): usize;
  /** x < 0. */
  abstract negative(x: V): Cond;
  /** CF := x (0 or 1), the other five flags kept. */
  abstract setCarry(x: V): void;
  /** ZF := x (0 or 1), the other five flags kept. */
  abstract setZero(x: V): void;
  /** CF := c, OF := o, the other flags kept. */
  abstract setCarryOverflow(c: V, o: V): void;
  /** Encloses changes of flags that do not happen where `none` holds: true if there is nothing to do. */
  abstract flagsKept(none: Cond): bool;
  abstract flagsChanged(none: Cond): void;
  /** RFLAGS.DF. */
  abstract setDirection(down: bool): void;
  /** CF and OF after a rotate of `bits` bits with zero-extended result `r`; the other flags kept. */
  abstract rotateFlags(right: bool, r: V, bits: i32): void;
  abstract select(c: Cond, a: V, b: V): V;
  abstract fromCond(c: Cond): V;
  /** Next record: the taken or the fall-through successor of the branch record `u`. */
  abstract branch(u: usize, c: Cond): usize;
  abstract goto(u: usize): usize;
  /** What is known about the target `rip` of an indirect branch, for jumpTo and jumpFrom; if `unknown` the whole instruction is for fault(). */
  abstract lookUp(rip: V, w: i32): V;
  abstract unknown(found: V, rip: V, w: i32): bool;
  abstract jumpTo(rip: V, found: V, w: i32): usize;
  /** jumpTo for the indirect branch `u`, which may be asked later where it went. */
  abstract jumpFrom(u: usize, rip: V, found: V, w: i32): usize;
  /** True, with #GP(0) pending, if a near branch may not go to `rip`: not canonical, or beyond the CS limit. */
  abstract badTarget(rip: V, w: i32, u: usize): bool;
  /** The same for the target of the direct call `u`; flat code cannot miss. */
  abstract badDirect(w: i32, u: usize): bool;
  abstract nextRip(u: usize): V;
  /** Address register `x` behind a string instruction on `w` bytes: moved by `w`, back while RFLAGS.DF is set. */
  abstract stringStep(x: V, w: i32): V;
  /** Stack pointer moved by `delta` bytes, at the width of the stack (pushes of 4 and 8 bytes imply it when flat). */
  abstract stackAt(delta: i64, w: i32): V;
  /** `x` at the width of the stack pointer. */
  abstract stackWrap(x: V, w: i32): V;
  abstract stackHostR(sp: V, w: i32): Host;
  abstract stackHostW(sp: V, w: i32, u: usize): Host;
  abstract setStack(sp: V, w: i32): void;
}
