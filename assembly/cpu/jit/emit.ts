/** The translating machine: instructions performed by it leave nodes and effects. Guest values are node numbers, conditions
 *  too, host addresses are wasm locals. */
import { FlagsKind, Mode, PcpuOff, Seg } from "../../abi/layout";
import { JitCarry, JitMemory, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { Flag, Gpr } from "../../abi/x86";
import { Arith, Cond, Host, Machine, Rmw } from "../machine";
import { isReadAnew, placeOfImmediate, sizeOfImmediate } from "../patched";
import { PCPU } from "../pcpu";
import { J, giveUp, jget, jset } from "./buffer";
import { Effect, EffectOff, effect } from "./effect";
import { CARRY_IN_MEMORY, RawKind, WLOG_SHIFT, base, known } from "./flags";
import { Node, binary, constant, extend, imm, isConst, local, local32, make, argA, argB, low, op, raw, use, width } from "./node";
import { floatNode, orderCondition } from "./sse_order";
import { Template } from "../opcodes.gen";
import { inSegments, isSegmented, templateOf } from "./region";
import { nextLoad, noteAccess, noteWayOut, spanHost } from "./spans";
import { operandRun, stackRun } from "./runs";
import { operandWindow, stackWindow } from "./windows";
import { want } from "./residents";
import { Slot, cur, setCur, temp32, knownKind, temp64, unsettled } from "./slots";

/** How a block ends. */
export const enum Term { none = 0, cond = 1, goto = 2, indirect = 3 }

function slotOf(r: usize): u32 {
  if (r < <usize>PcpuOff.zero) return <u32>r >> 3;
  return Slot.segBase + ((<u32>r - PcpuOff.segBase) >> 3);
}

function get(r: usize): i32 {
  if (r == PcpuOff.zero) return constant(0);
  if (r == PcpuOff.ripBase) return constant(load<i64>(J, JitOff.ripBase));
  const slot = slotOf(r);
  if (!(jget(JitOff.used) >> slot & 1)) giveUp();
  want(slot);
  const n = cur(slot);
  return r < <usize>PcpuOff.zero && r & 1 ? binary(Node.shr, n, constant(8)) : n;
}

/** The register that is `old` after `x` goes to its lowest `w` bytes, or to its second one if `high`, where it is made of what is there and a
 *  constant by AND, OR or XOR: those leave the other bits alone. 0 if it is not. */
function wholeOf(x: i32, old: i32, w: i32, high: bool): i32 {
  const kind = op(x), bits: i64 = w == 1 ? 0xff : 0xffff, shift: i64 = high ? 8 : 0;
  if ((kind != Node.and && kind != Node.or && kind != Node.xor) || !isConst(argB(x))) return 0;
  let a = raw(argA(x), w);
  if (high) {
    if (op(a) != Node.shr || !isConst(argB(a)) || imm(argB(a)) != 8) return 0;
    a = argA(a);
  }
  if (a != old && a != raw(old, high ? 2 : w)) return 0;
  const c = (imm(argB(x)) & bits) << shift;
  return binary(kind, old, constant(kind == Node.and ? c | ~(bits << shift) : c));
}

function put(r: usize, w: i32, x: i32): void {
  const slot = slotOf(r);
  if (!(jget(JitOff.written) >> slot & 1)) giveUp();
  if (w == 8) setCur(slot, x);
  else if (w == 4) setCur(slot, extend(Node.zext, x, 4));
  else {
    want(slot);
    const high = r & 1, whole = wholeOf(x, cur(slot), w, high != 0);
    if (whole) {
      setCur(slot, whole);
      return;
    }
    const low = extend(Node.zext, x, w);
    const keep: i64 = w == 2 ? ~0xffff : high ? ~0xff00 : ~0xff;
    setCur(slot, binary(Node.or, binary(Node.and, cur(slot), constant(keep)), high ? binary(Node.shl, low, constant(8)) : low));
  }
}

function unary(kind: i32, x: i32): i32 {
  use(x);
  return make(kind, 8, x, 0, 0);
}

/** Not folded: what a divisor may be is known after hard(). */
function quotient(kind: i32, a: i32, b: i32): i32 {
  use(a);
  use(b);
  return make(kind, 8, a, b, 0);
}

/** Bytes of which `n` is the sign extension. */
function signWidth(n: i32): i32 {
  switch (op(n)) {
    case Node.const_: {
      const x = imm(n);
      return x == <i64>(<i8>x) ? 1 : x == <i64>(<i16>x) ? 2 : x == <i64>(<i32>x) ? 4 : 8;
    }
    case Node.sext: return width(n);
    case Node.and:
    case Node.or:
    case Node.xor: return max(signWidth(argA(n)), signWidth(argB(n)));
    default: return 8;
  }
}

@inline function wlog(w: i32): i32 { return w == 8 ? 3 : w == 4 ? 2 : w == 2 ? 1 : 0; }

/** Condition `cc` of the order of `a` and `b`; of their sign (cc 8, 9) `b` is 0. */
export function compareNode(cc: i32, a: i32, b: i32): i32 {
  const w = max(signWidth(a), signWidth(b)), x = raw(a, w), y = raw(b, w);
  use(x);
  use(y);
  return make(Node.compare, w, x, y, cc);
}

/** Bits of RFLAGS of which a group of conditions asks whether one is set, 0 if it asks otherwise; `carried`: CF is elsewhere. */
function statusBits(group: i32, carried: bool): i64 {
  if (group == 2) return Flag.ZF;
  if (group == 5) return Flag.PF;
  return carried ? 0 : group == 1 ? Flag.CF : group == 3 ? Flag.CF | Flag.ZF : 0;
}

/** The value of a flags slot does not matter any more. */
function dead(slot: u32): void { setCur(slot, local(slot)); }

/** What the flags' carry local has now. */
@inline export function carryLevel(): u32 { return jget(JitOff.carryLevel); }
@inline export function setCarryLevel(level: u32): void { jset(JitOff.carryLevel, level); }

/** The flags are node `flags`, as in RFLAGS: ZF, PF and CF, the others clear. */
export function setStatusBits(flags: i32): void {
  setCarryLevel(JitCarry.none);
  dead(Slot.flagsA);
  dead(Slot.flagsB);
  setCur(Slot.flagsRes, flags);
  setCur(Slot.flagsKind, constant(<i64>RawKind.bits | RawKind.raw | (3 << WLOG_SHIFT)));
}

/** The flags are those of a comparison of two numbers, in float locals that nobody changes any more. */
export function setOrder(a: u32, b: u32, wide: bool): void {
  setCarryLevel(JitCarry.none);
  dead(Slot.flagsRes);
  setCur(Slot.flagsA, floatNode(a, wide));
  setCur(Slot.flagsB, floatNode(b, wide));
  setCur(Slot.flagsKind, constant(<i64>RawKind.order | RawKind.raw | (3 << WLOG_SHIFT)));
}

/** Brings CF to the flags' carry local as a loop wants it. */
export function wantCarry(level: u32): void {
  if (carryLevel() < level) changetype<Emit>(J).setCarry(changetype<Emit>(J).carry());
}

/** The flags as they are, for a helper that computes node `n`, in local `t`, from them; it is not asked if nobody needs that. */
function flagsCall(kind: i32, cc: i32, t: u32, n: i32): void {
  const e = effect(kind, 0, n, 0, t, 0);
  store<u8>(e, <u8>cc, EffectOff.cc);
  for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsKind; slot++) {
    use(cur(slot));
    store<u16>(e + (<usize>(slot - Slot.flagsRes) << 1), <u16>cur(slot), EffectOff.snap);
  }
}

function kindNode(): i32 {
  const kind = knownKind();
  return kind ? constant(kind) : cur(Slot.flagsKind);
}

/** Bytes of the stack pointer where segments are not flat. */
@inline function stackWidth(): i32 { return jget(JitOff.mode) & Mode.ss32 ? 4 : 2; }

/** An instruction that may leave with a fault finds all state in the locals: it begins a piece. */
function mayLeave(): void { if (unsettled() && !jget(JitOff.planning)) jset(JitOff.again, 1); }

function hostOf(kind: i32, lin: i32, w: i32, u: usize, window: u32, run: u32): Host {
  if (jget(JitOff.planning)) {
    noteAccess(lin, w, kind == Effect.hostW);
    return temp32();
  }
  const spanned = spanHost(lin, w, kind == Effect.hostW, u);
  if (spanned) return spanned;
  noteWayOut();
  mayLeave();
  const h = temp32();
  use(lin);
  const e = effect(kind, w, lin, h, 0, u);
  store<u8>(e, <u8>window, EffectOff.cc);
  store<u8>(e, <u8>run, EffectOff.run);
  return h;
}

@unmanaged
export class Emit extends Machine<i32> {
  reg(r: usize, w: i32): i32 { return get(r); }
  regS(r: usize, w: i32): i32 { return extend(Node.sext, get(r), w); }
  setReg(r: usize, w: i32, x: i32): void { put(r, w, x); }
  imm(x: i64): i32 { return constant(x); }
  immediate(u: usize, x: i64): i32 {
    if (!isReadAnew(u)) return constant(x);
    const w = sizeOfImmediate(u), t = w == 8 ? temp64() : temp32();
    effect(Effect.immediate, w, 0, 0, t, placeOfImmediate(u));
    return extend(Node.sext, w == 8 ? local(t) : local32(t), w);
  }
  add(a: i32, b: i32): i32 { return binary(Node.add, a, b); }
  sub(a: i32, b: i32): i32 { return binary(Node.sub, a, b); }
  and(a: i32, b: i32): i32 { return binary(Node.and, a, b); }
  or(a: i32, b: i32): i32 { return binary(Node.or, a, b); }
  xor(a: i32, b: i32): i32 { return binary(Node.xor, a, b); }
  mul(a: i32, b: i32): i32 { return binary(Node.mul, a, b); }
  arith(op: Arith, w: i32, a: i32, b: i32): i32 {
    switch (op) {
      case Arith.add: return this.sext(this.add(a, b), w);
      case Arith.sub: return this.sext(this.sub(a, b), w);
      case Arith.mul: return this.sext(this.mul(a, b), w);
      case Arith.or: return this.or(a, b);
      case Arith.xor: return this.xor(a, b);
      default: return this.and(a, b);
    }
  }
  sext(x: i32, w: i32): i32 { return extend(Node.sext, x, w); }
  zext(x: i32, w: i32): i32 { return extend(Node.zext, x, w); }
  ea(u: usize, simple: bool): i32 {
    let sum = binary(Node.add, get(load<u8>(u, RecOff.base)), constant(load<i32>(u, RecOff.disp)));
    if (!simple) sum = binary(Node.add, sum, binary(Node.shl, get(load<u8>(u, RecOff.index)), constant(load<u8>(u, RecOff.scale))));
    const mask = load<i64>(u, RecOff.mask);
    if (mask == -1) return sum;
    if (mask == 0xffffffff) return extend(Node.zext, sum, 4);
    if (mask != 0xffff) giveUp();
    return extend(Node.zext, sum, 2);
  }
  eaBy(u: usize, simple: bool, by: i32): i32 {
    if (load<i64>(u, RecOff.mask) == 0xffff) giveUp();
    const sum = binary(Node.add, this.ea(u, simple), by);
    return load<i64>(u, RecOff.mask) == -1 ? sum : extend(Node.zext, sum, 4);
  }
  hostR(lin: i32, w: i32, u: usize): Host {
    if (isSegmented(u)) return hostOf(Effect.hostR, this.within(load<u8>(u, RecOff.seg), lin, w, u), w, u, 0, operandRun(u, false));
    return hostOf(Effect.hostR, lin, w, u, operandWindow(u, false), operandRun(u, false));
  }
  hostW(lin: i32, w: i32, u: usize): Host {
    if (isSegmented(u)) return hostOf(Effect.hostW, this.within(load<u8>(u, RecOff.seg), lin, w, u), w, u, 0, operandRun(u, true));
    return hostOf(Effect.hostW, lin, w, u, operandWindow(u, true), operandRun(u, true));
  }
  /** Linear address of `w` bytes at `offset` of segment `seg`. What may not be accessed there, and segments that want a closer look, are the interpreter's. */
  private within(seg: u32, offset: i32, w: i32, u: usize): i32 {
    const end = make(Node.word, 8, 0, 0, PcpuOff.segEnd + (seg << 2));
    this.hard(compareNode(7, binary(Node.add, offset, constant(w)), end), u);
    return extend(Node.zext, binary(Node.add, get(PcpuOff.segBase + (<usize>seg << 3)), offset), 4);
  }
  faulted(s: Host, lin: i32, w: i32, u: usize): bool { return false; }
  faultedW(s: Host, lin: i32, w: i32, u: usize): bool { return false; }
  fault(u: usize): usize { return 0; }
  host(s: Host, lin: i32): Host { return s; }
  load(h: Host, w: i32): i32 {
    const t = w == 8 ? temp64() : temp32();
    effect(Effect.load, w, 0, <u32>h, t, 0);
    return make(w == 8 ? Node.local : Node.local32, w == 8 ? 8 : 4, t, 0, nextLoad());
  }
  loadS(h: Host, w: i32): i32 { return extend(Node.sext, this.load(h, w), w); }
  store(h: Host, w: i32, x: i32): void {
    use(x);
    effect(Effect.store, w, x, <u32>h, 0, 0);
  }
  exchange(op: Rmw, h: Host, w: i32, x: i32, expected: i32): i32 {
    if (jget(JitOff.memory) == JitMemory.shared) {
      if (op == Rmw.neg) giveUp(); // nobody does that
      const t = w == 8 ? temp64() : temp32();
      use(x);
      use(expected);
      const e = effect(Effect.atomic, w, x, <u32>h, t, 0);
      store<u8>(e, <u8>op, EffectOff.cc);
      store<u32>(e, <u32>expected, EffectOff.flags);
      return w == 8 ? local(t) : local32(t);
    }
    const old = this.load(h, w);
    let now = x;
    if (op <= Rmw.xor) now = binary(op == Rmw.add ? Node.add : op == Rmw.sub ? Node.sub : op == Rmw.and ? Node.and : op == Rmw.or ? Node.or : Node.xor, old, x);
    else if (op == Rmw.neg) now = binary(Node.sub, constant(0), old);
    else if (op == Rmw.cmpxchg) now = this.select(compareNode(4, old, expected), x, old);
    this.store(h, w, now);
    return old;
  }
  wantAligned(lin: i32, w: i32, u: usize): void {
    if (w > 1 && jget(JitOff.memory) == JitMemory.shared) this.hard(compareNode(5, binary(Node.and, lin, constant(w - 1)), constant(0)), u);
  }
  setFlags(kind: u32, r: i32, a: i32, b: i32): void {
    // of INC and DEC the operand is derived from the result later
    let w = kind == FlagsKind.inc || kind == FlagsKind.dec ? max(signWidth(r), signWidth(a)) : signWidth(r);
    const operands = kind != FlagsKind.logic && kind != FlagsKind.shift && kind != FlagsKind.inc && kind != FlagsKind.dec;
    if (operands) {
      w = max(w, max(signWidth(a), signWidth(b)));
      setCur(Slot.flagsA, low(a, w));
      setCur(Slot.flagsB, low(b, w));
    } else {
      dead(Slot.flagsA);
      dead(Slot.flagsB);
    }
    if (kind != FlagsKind.add && kind != FlagsKind.sub) setCur(Slot.flagsRes, low(r, w));
    else dead(Slot.flagsRes);
    dead(Slot.flagsCarry);
    setCarryLevel(JitCarry.none);
    setCur(Slot.flagsKind, constant(<i64>kind | RawKind.raw | (wlog(w) << WLOG_SHIFT)));
  }
  setFlagsCarry(kind: u32, r: i32, a: i32, b: i32, carry: i32): void {
    const level = carryLevel();
    this.setFlags(kind, r, a, b);
    setCur(Slot.flagsCarry, carry);
    setCarryLevel(level && (kind == FlagsKind.inc || kind == FlagsKind.dec) ? level : JitCarry.here);
  }
  carryBit(): i32 { return carryLevel() ? cur(Slot.flagsCarry) : this.carry(); }
  carry(): i32 {
    const k = known();
    if (carryLevel() == JitCarry.here) return binary(Node.and, cur(Slot.flagsCarry), constant(1));
    if (k >= 0 && !carryLevel()) {
      const w = 1 << ((k >> WLOG_SHIFT) & 3);
      const a = extend(Node.sext, cur(Slot.flagsA), w), b = extend(Node.sext, cur(Slot.flagsB), w);
      switch (base(k)) {
        case FlagsKind.add: return binary(Node.ltu, extend(Node.sext, binary(Node.add, a, b), w), a);
        case FlagsKind.sub: return binary(Node.ltu, a, b);
        case FlagsKind.logic: return constant(0);
        case RawKind.bits: return binary(Node.and, cur(Slot.flagsRes), constant(1));
        case RawKind.order: return this.fromCond(orderCondition(cur(Slot.flagsA), cur(Slot.flagsB), 2));
        case FlagsKind.imul:
          if (w == 8) break;
          return binary(Node.xor, binary(Node.eq, binary(Node.mul, a, b), extend(Node.sext, cur(Slot.flagsRes), w)), constant(1));
        default: break;
      }
    }
    const t = temp64(), n = local(t);
    flagsCall(Effect.carry, 0, t, n);
    return n;
  }
  cond(cc: i32): Cond {
    const k = known();
    const zero = (k & RawKind.zero) != 0;
    if (k >= 0 && zero && cc >> 1 == 2) {
      const z = binary(Node.shr, cur(Slot.flagsCarry), constant(2));
      use(z);
      return make(Node.bit, 8, z, 0, (cc & 1) << 8);
    }
    if (k >= 0 && !(zero && (cc >> 1 == 3 || cc >> 1 == 7))) {
      const kind = base(k), w = 1 << ((k >> WLOG_SHIFT) & 3), group = cc >> 1;
      const carried = (k & (FlagsKind.overlay | RawKind.carry)) != 0, overlaid = (k & FlagsKind.overlay) != 0;
      const zs = group == 2 || group == 4;
      if (kind == RawKind.order && (!carried || group == 2 || group == 5)) {
        const direct = orderCondition(cur(Slot.flagsA), cur(Slot.flagsB), cc);
        if (direct) return direct;
      }
      if (kind == RawKind.bits) {
        const bits = statusBits(group, carried);
        if (bits) return compareNode(cc & 1 ? 4 : 5, binary(Node.and, cur(Slot.flagsRes), constant(bits)), constant(0));
      }
      if (group == 1 && carryLevel() == JitCarry.here) {
        use(cur(Slot.flagsCarry));
        return make(Node.bit, 8, cur(Slot.flagsCarry), 0, (cc & 1) << 8);
      }
      if (kind == FlagsKind.sub && group == 4) {
        return compareNode(cc, extend(Node.sext, binary(Node.sub, cur(Slot.flagsA), cur(Slot.flagsB)), w), constant(0));
      }
      if (kind == FlagsKind.sub && (group == 2 || (!carried && group != 0 && group != 5) || (!overlaid && group >= 6))) {
        return compareNode(cc, extend(Node.sext, cur(Slot.flagsA), w), extend(Node.sext, cur(Slot.flagsB), w));
      }
      if (kind == FlagsKind.add) {
        const a = extend(Node.sext, cur(Slot.flagsA), w), r = extend(Node.sext, binary(Node.add, a, extend(Node.sext, cur(Slot.flagsB), w)), w);
        if (zs) return compareNode(cc, r, constant(0));
        if (group == 1) return compareNode(cc, r, a);
      } else if (kind != FlagsKind.sub && kind < RawKind.bits) {
        const r = extend(Node.sext, cur(Slot.flagsRes), w);
        if (zs || (kind == FlagsKind.logic && !carried && group != 0 && group != 5)) return compareNode(cc, r, constant(0));
        if (kind == FlagsKind.dec && !overlaid && group >= 6) return compareNode(cc, extend(Node.sext, binary(Node.add, r, constant(1)), w), constant(1));
      }
    }
    const t = temp32(), n = make(Node.flag, 4, <i32>t, 0, 0);
    flagsCall(Effect.cond, cc, t, n);
    return n;
  }
  // the sign is the result's at the width of the operation; an order is the same at any width that has both operands
  compare(cc: i32, a: i32, b: i32, r: i32): Cond { return cc >> 1 == 4 ? compareNode(cc, r, constant(0)) : compareNode(cc, a, b); }
  ltu(a: i32, b: i32): i32 { return binary(Node.ltu, a, b); }
  eq(a: i32, b: i32): i32 { return binary(Node.eq, a, b); }
  shlBy(a: i32, n: i32): i32 { return binary(Node.shl, a, constant(n)); }
  shrBy(a: i32, n: i32): i32 { return binary(Node.shr, a, constant(n)); }
  sarBy(a: i32, n: i32): i32 { return binary(Node.sar, a, constant(n)); }
  shl(a: i32, n: i32): i32 { return binary(Node.shl, a, n); }
  shr(a: i32, n: i32): i32 { return binary(Node.shr, a, n); }
  /** The host's compiler knows these for rotates. */
  rotate(right: bool, a: i32, n: i32, w: i32): i32 {
    const other = binary(Node.sub, constant(w * 8), n);
    return binary(Node.or, binary(right ? Node.shr : Node.shl, a, n), binary(right ? Node.shl : Node.shr, a, other));
  }
  sar(a: i32, n: i32): i32 { return binary(Node.sar, a, n); }
  ctz(x: i32): i32 { return unary(Node.ctz, x); }
  clz(x: i32): i32 { return unary(Node.clz, x); }
  popcnt(x: i32): i32 { return unary(Node.popcnt, x); }
  divU(a: i32, b: i32): i32 { return quotient(Node.divU, a, b); }
  divS(a: i32, b: i32): i32 { return quotient(Node.divS, a, b); }
  hard(c: Cond, u: usize): bool {
    mayLeave();
    use(c);
    effect(Effect.hard, 0, c, 0, 0, u);
    return false;
  }
  divideHard(u: usize, w: i32, signed: bool, x: i32): usize { return 0; }
  negative(x: i32): Cond { return compareNode(8, x, constant(0)); }
  setCarry(x: i32): void {
    const k = knownKind(), bit = binary(Node.and, x, constant(1));
    // of what else flagsCarry may hold nothing is in use if the kind says so
    const alone = k && !(k & (RawKind.zero | FlagsKind.overlay)) && (k & RawKind.memory || base(k) != FlagsKind.shift);
    setCur(Slot.flagsCarry, alone ? bit : binary(Node.or, binary(Node.and, cur(Slot.flagsCarry), constant(~1 & ~CARRY_IN_MEMORY)), bit));
    setCur(Slot.flagsKind, binary(Node.or, kindNode(), constant(RawKind.carry)));
    setCarryLevel(JitCarry.here);
  }
  setZero(x: i32): void {
    const old = binary(Node.and, cur(Slot.flagsCarry), constant(~4));
    setCur(Slot.flagsCarry, binary(Node.or, old, binary(Node.shl, binary(Node.and, x, constant(1)), constant(2))));
    setCur(Slot.flagsKind, binary(Node.or, kindNode(), constant(RawKind.zero)));
  }
  setCarryOverflow(c: i32, o: i32): void {
    const old = binary(Node.and, cur(Slot.flagsCarry), constant(~3 & ~CARRY_IN_MEMORY));
    const two = binary(Node.or, c, binary(Node.shl, o, constant(1)));
    const k = knownKind();
    setCur(Slot.flagsCarry, k && !(k & RawKind.zero) ? two : binary(Node.or, old, two));
    setCur(Slot.flagsKind, binary(Node.or, kindNode(), constant(FlagsKind.overlay)));
    setCarryLevel(JitCarry.here);
  }
  flagsKept(none: Cond): bool {
    jset(JitOff.keptLevel, carryLevel());
    for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsKind; slot++) store<u32>(J + (<usize>(slot - Slot.flagsRes) << 2), cur(slot), JitOff.kept);
    return false;
  }
  flagsChanged(none: Cond): void {
    const level = min(jget(JitOff.keptLevel), carryLevel());
    for (let slot: u32 = Slot.flagsRes; slot <= <u32>Slot.flagsKind; slot++) {
      const old = load<i32>(J + (<usize>(slot - Slot.flagsRes) << 2), JitOff.kept);
      if (cur(slot) != old) setCur(slot, this.select(none, old, cur(slot)));
    }
    setCarryLevel(level);
  }
  setDirection(down: bool): void {
    mayLeave(); // nothing before it that looks at the flag is still to be computed
    effect(Effect.direction, <i32>down, 0, 0, 0, 0);
  }
  rotateFlags(right: bool, r: i32, bits: i32): void {
    const one = constant(1), top = binary(Node.and, binary(Node.shr, r, constant(bits - 1)), one);
    const c = right ? top : binary(Node.and, r, one);
    const o = binary(Node.xor, right ? binary(Node.and, binary(Node.shr, r, constant(bits - 2)), one) : c, top);
    this.setCarryOverflow(c, o);
  }
  select(c: Cond, a: i32, b: i32): i32 {
    use(a);
    use(b);
    use(c);
    return make(Node.select, 8, a, b, c);
  }
  fromCond(c: Cond): i32 {
    use(c);
    return make(Node.fromCond, 8, c, 0, 0);
  }
  private end(term: Term, node: i32, u: usize): usize {
    jset(JitOff.term, term);
    jset(JitOff.termNode, node);
    return 0;
  }
  branch(u: usize, c: Cond): usize {
    use(c);
    return this.end(Term.cond, c, u);
  }
  goto(u: usize): usize { return this.end(Term.goto, 0, u); }
  lookUp(rip: i32, w: i32): i32 { return rip; }
  unknown(found: i32, rip: i32, w: i32): bool { return false; }
  jumpTo(rip: i32, found: i32, w: i32): usize {
    const to = extend(Node.zext, rip, w);
    use(to);
    use(to); // compared with each known target
    return this.end(Term.indirect, to, 0);
  }
  jumpFrom(u: usize, rip: i32, found: i32, w: i32): usize { return this.jumpTo(rip, found, w); }
  badTarget(rip: i32, w: i32, u: usize): bool {
    if (isSegmented(u)) return this.hard(compareNode(7, extend(Node.zext, rip, w), make(Node.word, 8, 0, 0, PcpuOff.segLimit + Seg.cs * 4)), u);
    if (w == 4 || templateOf(u) != Template.callInd) return false; // others look once no known target was the one (emitElsewhere)
    use(rip);
    use(rip);
    mayLeave();
    effect(Effect.canonical, 8, rip, 0, 0, u);
    return false;
  }
  badDirect(w: i32, u: usize): bool {
    const to = load<i64>(J, JitOff.ripBase) + load<i32>(u, RecOff.imm);
    if (!inSegments() || to >= 0) return false;
    return this.hard(compareNode(7, extend(Node.zext, constant(to), w), make(Node.word, 8, 0, 0, PcpuOff.segLimit + Seg.cs * 4)), u);
  }
  nextRip(u: usize): i32 { return constant(load<i64>(J, JitOff.ripBase) + load<u16>(u, RecOff.off) + load<u8>(u, RecOff.len)); }
  stringStep(x: i32, w: i32): i32 {
    // spans are planned as if DF were what it is now; loops that rely on that ask before they begin (strides.ts)
    if (jget(JitOff.planning) || load<u64>(J, JitOff.steady) >> jget(JitOff.current) & 1) return binary(Node.add, x, constant(load<u32>(PCPU, PcpuOff.rflags) & Flag.DF ? -w : w));
    const down = binary(Node.and, binary(Node.shr, make(Node.word, 8, 0, 0, PcpuOff.rflags), constant(10)), constant(1)); // DF
    return binary(Node.add, x, binary(Node.sub, constant(w), binary(Node.mul, down, constant(w * 2))));
  }
  stackAt(delta: i64, w: i32): i32 { return this.stackWrap(binary(Node.add, get(Gpr.rsp * 8), constant(delta)), w); }
  stackWrap(x: i32, w: i32): i32 { return extend(Node.zext, x, inSegments() ? stackWidth() : w); }
  stackHostR(sp: i32, w: i32): Host {
    const u = <usize>jget(JitOff.insnStart), frame = templateOf(u) == Template.leave;
    if (inSegments()) return hostOf(Effect.hostR, this.within(Seg.ss, sp, w, u), w, u, 0, stackRun(false, frame, u));
    return hostOf(Effect.hostR, sp, w, u, stackWindow(false, frame), stackRun(false, frame, u));
  }
  stackHostW(sp: i32, w: i32, u: usize): Host {
    const begun = jget(JitOff.insnStart), run = stackRun(true, false, begun);
    if (inSegments()) return hostOf(Effect.hostW, this.within(Seg.ss, sp, w, begun), w, begun, 0, run);
    return hostOf(Effect.hostW, sp, w, begun, stackWindow(true, false), run);
  }
  setStack(sp: i32, w: i32): void { put(Gpr.rsp * 8, inSegments() ? stackWidth() : 8, sp); }
}
