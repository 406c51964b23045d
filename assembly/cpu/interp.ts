/** The computing machine: guest values are u64. `K` chooses at compile time between
 *  - u8, the handlers of run(): flat addressing, memory through the inline TLB lookup. What that does not find (a miss, two pages,
 *    devices, pages with code) is begun again by the next kind, so handlers call nothing they come
 *    back from, and the compiler keeps the record in a register; a flag that is not at hand (flags.ts, late*) is such a case too;
 *  - u32, flat addressing, any memory;
 *  - u16, segment-checked addressing with 16-bit stacks and instruction pointers.
 *  All are the same source, so the slow ones are slower, never different. */
import { FlagsKind, PcpuOff, TlbOff } from "../abi/layout";
import { RecOff } from "../abi/record";
import { Flag, Gpr, Vector } from "../abi/x86";
import { raiseError } from "../fault";
import { commitWrite, hostAt, hostR, readHits, writeHits } from "./access";
import { exchange } from "./atomic";
import { enter, jumpCached, linkFall, linkTaken, mayFollowLink } from "./code_cache";
import { carry, condition, overflowOrdered, rotateFlags, setCarry, setCarryOverflow, setZero } from "./flags";
import { badTargetChecked, checkedHost, checkedStackHost } from "./checked";
import { noteTarget } from "./jit/region";
import { firstFor, headIn, isFor } from "./jump_cache";
import { Arith, Cond, Host, Machine, Rmw } from "./machine";
import { PCPU } from "./pcpu";
import { divide } from "./helpers/divide";
import { setRsp, stackMask } from "./helpers/stack";
import { performFlat } from "./perform";

/** Where the TLB in force has, or would have, the page of `lin`. */
@inline function tlbEntry(lin: u64): usize {
  return <usize>load<u32>(PCPU, PcpuOff.tlbBase) + ((<u32>lin >>> 8) & TlbOff.INDEX);
}

@inline function operated<T>(op: Arith, a: T, b: T): T {
  return op == Arith.add ? a + b : op == Arith.sub ? a - b : op == Arith.or ? a | b : op == Arith.and ? a & b : op == Arith.xor ? a ^ b : a * b;
}

@unmanaged
export class Interp<K> extends Machine<u64> {
  @inline reg(r: usize, w: i32): u64 {
    return w == 8 ? load<u64>(r, PCPU) : w == 4 ? <u64>load<u32>(r, PCPU) : w == 2 ? <u64>load<u16>(r, PCPU) : <u64>load<u8>(r, PCPU);
  }
  @inline regS(r: usize, w: i32): u64 {
    return w == 8 ? load<u64>(r, PCPU) : w == 4 ? <u64>(<i64>load<i32>(r, PCPU)) : w == 2 ? <u64>(<i64>load<i16>(r, PCPU)) : <u64>(<i64>load<i8>(r, PCPU));
  }
  @inline setReg(r: usize, w: i32, x: u64): void {
    if (w == 8) store<u64>(r, x, PCPU);
    else if (w == 4) store<u64>(r, x & 0xffffffff, PCPU);
    else if (w == 2) store<u16>(r, <u16>x, PCPU);
    else store<u8>(r, <u8>x, PCPU);
  }
  @inline imm(x: i64): u64 { return <u64>x; }
  @inline immediate(u: usize, x: i64): u64 { return <u64>x; }
  @inline add(a: u64, b: u64): u64 { return a + b; }
  @inline sub(a: u64, b: u64): u64 { return a - b; }
  @inline and(a: u64, b: u64): u64 { return a & b; }
  @inline or(a: u64, b: u64): u64 { return a | b; }
  @inline xor(a: u64, b: u64): u64 { return a ^ b; }
  @inline mul(a: u64, b: u64): u64 { return a * b; }
  /** At 32 bits by 32-bit operations: what a register gets of the result does not wait for signs to be extended, and the next instruction waits for that. */
  @inline arith(op: Arith, w: i32, a: u64, b: u64): u64 {
    if (w == 4) return <u64>(<i64>operated<i32>(op, <i32>a, <i32>b));
    const r = operated<u64>(op, a, b);
    return op == Arith.or || op == Arith.and || op == Arith.xor ? r : this.sext(r, w);
  }
  @inline sext(x: u64, w: i32): u64 {
    return w == 8 ? x : w == 4 ? <u64>(<i64>(<i32>x)) : w == 2 ? <u64>(<i64>(<i16>x)) : <u64>(<i64>(<i8>x));
  }
  @inline zext(x: u64, w: i32): u64 {
    return w == 8 ? x : w == 4 ? x & 0xffffffff : w == 2 ? x & 0xffff : x & 0xff;
  }
  @inline ea(u: usize, simple: bool): u64 {
    let sum = load<u64>(<usize>load<u8>(u, RecOff.base), PCPU) + <u64>(<i64>load<i32>(u, RecOff.disp));
    if (!simple) sum += load<u64>(<usize>load<u8>(u, RecOff.index), PCPU) << load<u8>(u, RecOff.scale);
    return sum & load<u64>(u, RecOff.mask);
  }
  @inline eaBy(u: usize, simple: bool, by: u64): u64 { return (this.ea(u, simple) + by) & load<u64>(u, RecOff.mask); }
  @inline hostR(lin: u64, w: i32, u: usize): Host {
    if (sizeof<K>() == 1) return tlbEntry(lin);
    if (sizeof<K>() == 2) return checkedHost(u, lin, w, false);
    return hostR(lin, w);
  }
  @inline hostW(lin: u64, w: i32, u: usize): Host {
    if (sizeof<K>() == 1) return tlbEntry(lin);
    if (sizeof<K>() == 2) return checkedHost(u, lin, w, true);
    return hostAt(lin, w, u);
  }
  @inline faulted(s: Host, lin: u64, w: i32, u: usize): bool {
    if (sizeof<K>() == 1) return !readHits(s, lin, w);
    return s == 0;
  }
  @inline faultedW(s: Host, lin: u64, w: i32, u: usize): bool {
    if (sizeof<K>() == 1) return !writeHits(s, lin, w);
    return s == 0;
  }
  @inline fault(u: usize): usize {
    if (sizeof<K>() == 1) return performFlat(u);
    store<u32>(PCPU, <u32>u, PcpuOff.record);
    return 0;
  }
  @inline host(s: Host, lin: u64): Host {
    return sizeof<K>() == 1 ? <usize>lin + <usize>load<u32>(s, TlbOff.addend) : s;
  }
  @inline load(h: Host, w: i32): u64 {
    return w == 8 ? load<u64>(h) : w == 4 ? <u64>load<u32>(h) : w == 2 ? <u64>load<u16>(h) : <u64>load<u8>(h);
  }
  @inline loadS(h: Host, w: i32): u64 {
    return w == 8 ? load<u64>(h) : w == 4 ? <u64>(<i64>load<i32>(h)) : w == 2 ? <u64>(<i64>load<i16>(h)) : <u64>(<i64>load<i8>(h));
  }
  @inline store(h: Host, w: i32, x: u64): void {
    if (w == 8) store<u64>(h, x);
    else if (w == 4) store<u32>(h, <u32>x);
    else if (w == 2) store<u16>(h, <u16>x);
    else store<u8>(h, <u8>x);
    if (sizeof<K>() != 1 && h == PCPU + PcpuOff.scratchW) commitWrite();
  }
  @inline exchange(op: Rmw, h: Host, w: i32, x: u64, expected: u64): u64 { return exchange(op, h, w, x, expected); }
  @inline wantAligned(lin: u64, w: i32, u: usize): void {}
  @inline setFlags(kind: u32, r: u64, a: u64, b: u64): void {
    store<u64>(PCPU, r, PcpuOff.flagsRes);
    if (kind != FlagsKind.logic) {
      store<u64>(PCPU, a, PcpuOff.flagsA);
      store<u64>(PCPU, b, PcpuOff.flagsB);
    }
    store<u32>(PCPU, kind, PcpuOff.flagsKind);
  }
  @inline setFlagsCarry(kind: u32, r: u64, a: u64, b: u64, carry: u64): void {
    this.setFlags(kind, r, a, b);
    store<u32>(PCPU, <u32>carry, PcpuOff.flagsCarry);
  }
  @inline carryBit(): u64 { return this.carry(); }
  @inline carry(): u64 {
    if (sizeof<K>() != 1) return <u64>carry();
    const kind = load<u32>(PCPU, PcpuOff.flagsKind);
    if (kind == FlagsKind.sub) return u64(load<u64>(PCPU, PcpuOff.flagsA) < load<u64>(PCPU, PcpuOff.flagsB));
    if (kind == FlagsKind.add) return u64(load<u64>(PCPU, PcpuOff.flagsRes) < load<u64>(PCPU, PcpuOff.flagsA));
    if (kind == FlagsKind.logic) return 0;
    return <u64>(load<u32>(PCPU, PcpuOff.flagsCarry) & 1);
  }
  @inline cond(cc: i32): Cond {
    if (sizeof<K>() != 1) return condition(cc);
    if (cc >> 1 == 1) return <i32>this.carry() ^ (cc & 1);
    const r = load<u64>(PCPU, PcpuOff.flagsRes);
    if (cc >> 1 == 2 || cc >> 1 == 4) return this.compare(cc, r, 0, r);
    if (load<u32>(PCPU, PcpuOff.flagsKind) == FlagsKind.sub) return this.compare(cc, load<u64>(PCPU, PcpuOff.flagsA), load<u64>(PCPU, PcpuOff.flagsB), r);
    return this.compare(cc, r, 0, r);
  }
  /** Condition `cc` after CMP: a - b = r. */
  @inline compare(cc: i32, a: u64, b: u64, r: u64): Cond {
    switch (cc >> 1) {
      case 0: return i32(<i64>((a ^ b) & (a ^ r)) < 0) ^ (cc & 1);
      case 1: return i32(a < b) ^ (cc & 1);
      case 2: return i32(a == b) ^ (cc & 1);
      case 3: return i32(a <= b) ^ (cc & 1);
      case 4: return i32(<i64>r < 0) ^ (cc & 1);
      case 5: return (~(<i32>popcnt<u64>(r & 0xff)) & 1) ^ (cc & 1);
      case 6: return i32(<i64>a < <i64>b) ^ (cc & 1);
      default: return i32(<i64>a <= <i64>b) ^ (cc & 1);
    }
  }
  @inline ltu(a: u64, b: u64): u64 { return u64(a < b); }
  @inline eq(a: u64, b: u64): u64 { return u64(a == b); }
  @inline shlBy(a: u64, n: i32): u64 { return a << n; }
  @inline shrBy(a: u64, n: i32): u64 { return a >> n; }
  @inline sarBy(a: u64, n: i32): u64 { return <u64>(<i64>a >> n); }
  @inline shl(a: u64, n: u64): u64 { return a << n; }
  @inline shr(a: u64, n: u64): u64 { return a >> n; }
  @inline sar(a: u64, n: u64): u64 { return <u64>(<i64>a >> <i64>n); }
  @inline rotate(right: bool, a: u64, n: u64, w: i32): u64 {
    if (w == 8) return right ? rotr<u64>(a, n) : rotl<u64>(a, n);
    return <u64>(right ? rotr<u32>(<u32>a, <u32>n) : rotl<u32>(<u32>a, <u32>n));
  }
  @inline ctz(x: u64): u64 { return ctz<u64>(x); }
  @inline clz(x: u64): u64 { return clz<u64>(x); }
  @inline popcnt(x: u64): u64 { return popcnt<u64>(x); }
  @inline divU(a: u64, b: u64): u64 { return a / b; }
  @inline divS(a: u64, b: u64): u64 { return <u64>(<i64>a / <i64>b); }
  @inline hard(c: Cond, u: usize): bool { return c != 0; }
  divideHard(u: usize, w: i32, signed: bool, x: u64): usize {
    store<u32>(PCPU, <u32>u, PcpuOff.record);
    divide(w, this.zext(x, w), signed);
    return u + RecOff.SIZE;
  }
  @inline negative(x: u64): Cond { return i32(<i64>x < 0); }
  @inline setCarry(x: u64): void {
    if (sizeof<K>() == 1) setCarryOverflow(<u32>x, overflowOrdered());
    else setCarry(<u32>x);
  }
  @inline setZero(x: u64): void { setZero(<u32>x); }
  @inline setCarryOverflow(c: u64, o: u64): void { setCarryOverflow(<u32>c, <u32>o); }
  @inline flagsKept(none: Cond): bool { return none != 0; }
  @inline flagsChanged(none: Cond): void {}
  @inline setDirection(down: bool): void {
    const others = load<u64>(PCPU, PcpuOff.rflags) & ~(<u64>Flag.DF);
    store<u64>(PCPU, down ? others | Flag.DF : others, PcpuOff.rflags);
  }
  @inline rotateFlags(right: bool, r: u64, bits: i32): void { rotateFlags(right, r, bits); }
  @inline select(c: Cond, a: u64, b: u64): u64 { return select<u64>(a, b, c != 0); }
  @inline fromCond(c: Cond): u64 { return <u64>c; }
  @inline branch(u: usize, c: Cond): usize {
    if (c) return this.goto(u);
    const n = <usize>load<u32>(u, RecOff.fall);
    return n && (sizeof<K>() != 2 || mayFollowLink(n, u, RecOff.fall)) ? n : linkFall(u);
  }
  @inline goto(u: usize): usize {
    const n = <usize>load<u32>(u, RecOff.taken);
    return n && (sizeof<K>() != 2 || mayFollowLink(n, u, RecOff.taken)) ? n : linkTaken(u);
  }
  /** What the jump cache has for `rip`, for the hot handlers; what it does not find is begun again. Found targets are canonical. */
  @inline lookUp(rip: u64, w: i32): u64 {
    return sizeof<K>() == 1 ? firstFor(w == 4 ? rip & 0xffffffff : rip) : 0;
  }
  @inline unknown(found: u64, rip: u64, w: i32): bool {
    return sizeof<K>() == 1 && !isFor(found, w == 4 ? rip & 0xffffffff : rip, load<u32>(PCPU, PcpuOff.mode));
  }
  @inline jumpFrom(u: usize, rip: u64, found: u64, w: i32): usize {
    if (sizeof<K>() != 2) noteTarget(u, w == 4 ? rip & 0xffffffff : rip);
    return this.jumpTo(rip, found, w);
  }
  @inline jumpTo(rip: u64, found: u64, w: i32): usize {
    if (sizeof<K>() == 1) {
      store<u64>(PCPU, (w == 4 ? rip & 0xffffffff : rip) & ~(<u64>0xfff), PcpuOff.ripBase);
      return headIn(found);
    }
    if (sizeof<K>() != 2) return jumpCached(w == 4 ? rip & 0xffffffff : rip);
    return enter(this.zext(rip, w));
  }
  @inline badTarget(rip: u64, w: i32, u: usize): bool {
    if (sizeof<K>() == 1) return false;
    if (sizeof<K>() == 2) return badTargetChecked(this.zext(rip, w), u);
    if (w == 4 || <u64>(<i64>(rip << 16) >> 16) == rip) return false;
    store<u32>(PCPU, <u32>u, PcpuOff.record);
    raiseError(Vector.GP, 0);
    return true;
  }
  @inline badDirect(w: i32, u: usize): bool {
    if (sizeof<K>() != 2) return false;
    return badTargetChecked(this.zext(load<u64>(PCPU, PcpuOff.ripBase) + <u64>(<i64>load<i32>(u, RecOff.imm)), w), u);
  }
  @inline nextRip(u: usize): u64 {
    return load<u64>(PCPU, PcpuOff.ripBase) + <u64>load<u16>(u, RecOff.off) + <u64>load<u8>(u, RecOff.len);
  }
  @inline stringStep(x: u64, w: i32): u64 { return x + w - ((load<u64>(PCPU, PcpuOff.rflags) & Flag.DF) >> 9) * w; }
  @inline stackAt(delta: i64, w: i32): u64 {
    return this.stackWrap(load<u64>(PCPU, Gpr.rsp * 8) + <u64>delta, w);
  }
  @inline stackWrap(x: u64, w: i32): u64 {
    if (sizeof<K>() == 2) return x & stackMask();
    return w == 4 ? x & 0xffffffff : x;
  }
  @inline stackHostR(sp: u64, w: i32): Host {
    if (sizeof<K>() == 1) return tlbEntry(sp);
    if (sizeof<K>() == 2) return checkedStackHost(sp, w, false);
    return hostR(sp, w);
  }
  @inline stackHostW(sp: u64, w: i32, u: usize): Host {
    if (sizeof<K>() == 1) return tlbEntry(sp);
    if (sizeof<K>() == 2) return checkedStackHost(sp, w, true);
    return hostAt(sp, w, u);
  }
  @inline setStack(sp: u64, w: i32): void {
    if (sizeof<K>() == 2) setRsp(sp, stackMask());
    else store<u64>(PCPU, sp, Gpr.rsp * 8);
  }
}
