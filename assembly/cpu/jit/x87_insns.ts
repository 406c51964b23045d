/** The x87 instructions of regions that work on doubles. Each is exact or leaves to the interpreter before it changes anything; those whose operands
 *  are not in use, which is known here, and all that are missing are performed by their helper. */
import { JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecFlag, RecOff } from "../../abi/record";
import { Fsw } from "../helpers/x87_state";
import { PCPU } from "../pcpu";
import { Arith } from "../semantics/ieee";
import { J, Wasm, access, byte, i32const, jget, jset, localGet, localSet, loadWord } from "./buffer";
import { emitCond } from "./values";
import { emitEffects } from "./codegen";
import { Emit, setOrder } from "./emit";
import { local, local32, use } from "./node";
import { fresh, temp32, temp64 } from "./slots";
import { Ask, askedBounds, highOf, integerBounds, plainBounds, resultBounds, rootBounds, toAsk, union } from "./sse_range";
import { callX87 } from "./x87_calls";
import { ARGUMENT_BITS, Act, CHOP, actOf, argumentOf, formOf, popsOf } from "./x87_forms";
import { F, Format, Kind, L, X, abnormal, abnormalSingle, copy, done, f64const, interpret, interpretIf, isX87, localOf, nearOr, opOf, openIf, operandBounds, peek, pointer, pops, readOperand, ready, readyToPush, rm, rounded, setRegister, setState, st, state, turned, used, widthOf, writeOperand, zeroOr } from "./x87_pieces";
import { translateExtended } from "./x87_extended";
import { copyBounds, exchangeBounds, isCopy, markAskedRegister, overwrite, registerBounds } from "./x87_range";
import { Held, Rounded, State } from "./x87_runtime";

/** True if the record was translated; else it is a cold one like any other. */
export function translateX87(u: usize): bool {
  if (!isX87(u) || jget(X.control)) return false;
  if (!jget(X.on)) return callX87(u);
  if (jget(X.on) == Held.extended) return translateExtended(u);
  const flags = <i32>load<u8>(u, RecOff.flags);
  if (flags & RecFlag.seg || (flags & RecFlag.mem && load<u64>(u, RecOff.mask) == 0xffff)) return false;
  const form = formOf(opOf(u)), argument = argumentOf(form), n = popsOf(form), kind = argument & (1 << ARGUMENT_BITS) - 1, format = argument & ~CHOP;
  switch (actOf(form)) {
    case Act.wait: return (state() & State.active) != 0;
    case Act.memory: return withMemory(u, kind, argument >> ARGUMENT_BITS, n);
    case Act.from: return arithmetic(u, kind, 0, rm(u), 0);
    case Act.into: return arithmetic(u, kind, rm(u), 0, n);
    case Act.root: return unary(u, F.f64sqrt, Rounded.root);
    case Act.integer: return unary(u, F.f64nearest, Rounded.integer);
    case Act.negate: return unary(u, F.f64neg, Rounded.not);
    case Act.absolute: return unary(u, F.f64abs, Rounded.not);
    case Act.load: return loadMemory(u, format);
    case Act.loadConstant: return loadConstant(u, argument ? 0x3ff0000000000000 : 0);
    case Act.loadRegister: return loadRegister(u);
    case Act.store:
      if (format == Format.double) return storeDouble(u, n);
      if (format == Format.single) return storeSingle(u, n);
      return storeInteger(u, format, (argument & CHOP) != 0, n);
    case Act.storeRegister: return storeRegister(u, n);
    case Act.exchange: return exchange(u);
    case Act.compareZero: return compareZero(u);
    case Act.compare: return compare(u, rm(u), n);
    case Act.compareToFlags: return compareToFlags(u, n);
    case Act.moveIf: return moveIf(u, argument);
    case Act.statusToAx: return statusToAx();
    default: return false;
  }
}

function withMemory(u: usize, kind: i32, format: i32, n: i32): bool {
  if (!ready(u, 0, true)) return false;
  const lin = readOperand(u, format);
  if (kind == Kind.com || kind == Kind.comp) conditions(u, st(0), L.t, n);
  else operate(u, kind, st(0), L.t, 0, operandBounds(format));
  pointer(lin);
  return true;
}

function arithmetic(u: usize, kind: i32, to: u32, from: u32, n: i32): bool {
  if (!ready(u, to | from, true)) return false;
  operate(u, kind, st(to), st(from), n, registerBounds(st(from)));
  return true;
}

/** What sse_range calls the operation. */
@inline function arithOf(kind: i32): i32 { return kind == Kind.add ? Arith.add : kind == Kind.mul ? Arith.mul : kind >= Kind.div ? Arith.div : Arith.sub; }

/** [] -> []: the interpreter performs `u` unless the number in local `k`, a register or the memory operand, is near. */
function askOperand(k: u32, u: usize): void {
  nearOr(k, u);
  if (k < 8) markAskedRegister(k);
}

/** [] -> []: the interpreter performs `u` unless operands `left` and `right`, within `x` and `y`, are such that the result is in range, as the bounds
 *  returned say. */
function boundsOfResult(u: usize, op: i32, left: u32, right: u32, x: i64, y: i64): i64 {
  const near = askedBounds(true);
  const one = left == right || (left < 8 && right < 8 && isCopy(left, right)), ask = toAsk(op, x, y, true, one);
  if (ask & Ask.left) {
    askOperand(left, u);
    x = near;
    if (one) y = x;
  }
  if (ask & Ask.right) {
    askOperand(right, u);
    y = near;
  }
  if (op == Arith.div) {
    localGet(localOf(right));
    f64const(0);
    byte(F.f64eq);
    interpretIf(u);
  }
  return resultBounds(op, x, y, true);
}

/** Register `to` := `to` op local `from`, which is within `y`, or the reverse. */
function operate(u: usize, kind: i32, to: u32, from: u32, n: i32, y: i64): void {
  const reversed = kind == Kind.subr || kind == Kind.divr, left = reversed ? from : to, right = reversed ? to : from;
  const op = kind == Kind.add ? F.f64add : kind == Kind.mul ? F.f64mul : kind >= Kind.div ? F.f64div : F.f64sub;
  localGet(localOf(left));
  localGet(localOf(right));
  byte(op);
  localSet(localOf(L.s));
  let z = plainBounds(true);
  if (jget(JitOff.x87Bounded)) z = boundsOfResult(u, arithOf(kind), left, right, reversed ? y : registerBounds(to), reversed ? registerBounds(to) : y);
  else rangeOfResult(u, kind, left, right);
  copy(left, L.a);
  localGet(localOf(right));
  if (op == F.f64sub) byte(F.f64neg);
  localSet(localOf(L.b));
  localGet(localOf(L.s));
  setRegister(to);
  overwrite(to, z);
  rounded(kind == Kind.mul ? Rounded.product : kind >= Kind.div ? Rounded.quotient : Rounded.sum);
  pops(n);
  done(u);
}

/** [] -> []: the interpreter performs `u` unless the result in L.s is in range. */
function rangeOfResult(u: usize, kind: i32, left: u32, right: u32): void {
  localGet(localOf(L.s));
  byte(F.i64reinterpret);
  abnormal(2); // the least normal double may be one too small rounded up
  openIf();
  zeroOr(L.s, u, 1);
  if (kind == Kind.mul) {
    localGet(localOf(left));
    f64const(0);
    byte(F.f64ne);
    localGet(localOf(right));
    f64const(0);
    byte(F.f64ne);
    byte(Wasm.i32and);
    openIf();
    interpret(u, 2);
    byte(Wasm.end);
  } else if (kind >= Kind.div) zeroOr(left, u, 1);
  byte(Wasm.end);
}

function unary(u: usize, op: i32, how: u32): bool {
  const rounds = how != <u32>Rounded.not;
  if (!ready(u, 0, rounds)) return false;
  const k = st(0);
  localGet(localOf(k));
  byte(op);
  if (rounds) {
    localSet(localOf(L.s));
    if (op == F.f64sqrt) {
      localGet(localOf(L.s));
      localGet(localOf(L.s));
      byte(F.f64ne);
      interpretIf(u);
    }
    copy(k, L.a);
    localGet(localOf(L.s));
  }
  setRegister(k);
  const x = registerBounds(k);
  overwrite(k, how == <u32>Rounded.root ? rootBounds(x, true) : how == <u32>Rounded.integer ? integerBounds(max(highOf(x), 0)) : x);
  rounded(how);
  done(u);
  return true;
}

function push(): void { setState(turned(state(), -1)); }

function loadMemory(u: usize, format: i32): bool {
  if (!readyToPush(u, true)) return false;
  pointer(readOperand(u, format));
  push();
  localGet(localOf(L.t));
  setRegister(st(0));
  overwrite(st(0), operandBounds(format));
  rounded(Rounded.not);
  done(u);
  return true;
}

function loadConstant(u: usize, bits: i64): bool {
  if (!readyToPush(u, false)) return false;
  push();
  f64const(bits);
  setRegister(st(0));
  overwrite(st(0), integerBounds(1));
  rounded(Rounded.not);
  done(u);
  return true;
}

function loadRegister(u: usize): bool {
  const known = state();
  peek();
  const there = used(rm(u));
  jset(X.state, known);
  if (!there || !readyToPush(u, false)) return false;
  const from = st(rm(u));
  push();
  localGet(localOf(from));
  setRegister(st(0));
  copyBounds(st(0), from);
  rounded(Rounded.not);
  done(u);
  return true;
}

function storeDouble(u: usize, n: i32): bool {
  if (!ready(u, 0, true)) return false;
  writeOperand(u, 8, localOf(st(0)), F.f64store, n, Rounded.not);
  return true;
}

function storeSingle(u: usize, n: i32): bool {
  if (!ready(u, 0, true)) return false;
  const v = temp32();
  localGet(localOf(st(0)));
  byte(F.f32demote);
  byte(F.i32reinterpret);
  localSet(v);
  localGet(v);
  abnormalSingle(2);
  openIf();
  zeroOr(st(0), u, 1);
  byte(Wasm.end);
  writeOperand(u, 4, v, Wasm.i32store, n, Rounded.single);
  return true;
}

function storeInteger(u: usize, format: i32, chop: bool, n: i32): bool {
  if (!ready(u, 0, true)) return false;
  const w = widthOf(format), v = format == Format.int64 ? temp64() : temp32();
  localGet(localOf(st(0)));
  byte(chop ? F.f64trunc : F.f64nearest);
  localSet(localOf(L.s));
  // -2^(8w - 1) <= s < 2^(8w - 1), both doubles
  localGet(localOf(L.s));
  f64const(<i64>(0xbff + w * 8 - 1) << 52);
  byte(F.f64ge);
  localGet(localOf(L.s));
  f64const(<i64>(0x3ff + w * 8 - 1) << 52);
  byte(F.f64lt);
  byte(Wasm.i32and);
  byte(Wasm.i32eqz);
  interpretIf(u);
  localGet(localOf(L.s));
  byte(F.saturating);
  byte(format == Format.int64 ? F.saturate64 : F.saturate32);
  localSet(v);
  writeOperand(u, w, v, w == 8 ? Wasm.i64store : w == 4 ? Wasm.i32store : Wasm.i32store16, n, chop ? Rounded.not : Rounded.integer);
  return true;
}

function storeRegister(u: usize, n: i32): bool {
  if (!ready(u, 0, false)) return false;
  const to = st(rm(u));
  if (to != st(0)) {
    localGet(localOf(st(0)));
    setRegister(to);
    copyBounds(to, st(0));
  }
  const now = state() | (1 << to), after = n ? turned(now, n) : now;
  if (after != state()) setState(after);
  rounded(Rounded.not);
  done(u);
  return true;
}

function exchange(u: usize): bool {
  if (!ready(u, rm(u), false)) return false;
  const a = st(0), b = st(rm(u));
  if (a != b) {
    copy(a, L.t);
    localGet(localOf(b));
    setRegister(a);
    localGet(localOf(L.t));
    setRegister(b);
    exchangeBounds(a, b);
  }
  rounded(Rounded.not);
  done(u);
  return true;
}

/** C3, C2, C0 go to the status word itself. */
function conditions(u: usize, a: u32, b: u32, n: i32): void {
  i32const(0);
  i32const(0);
  access(Wasm.i32load16u, <u32>PCPU + PcpuOff.fsw);
  i32const(0xffff & ~Fsw.CONDITION);
  byte(Wasm.i32and);
  localGet(localOf(a));
  localGet(localOf(b));
  byte(F.f64lt);
  i32const(8);
  byte(Wasm.i32shl);
  byte(Wasm.i32or);
  localGet(localOf(a));
  localGet(localOf(b));
  byte(F.f64eq);
  i32const(14);
  byte(Wasm.i32shl);
  byte(Wasm.i32or);
  access(F.i32store16, <u32>PCPU + PcpuOff.fsw);
  rounded(Rounded.not);
  pops(n);
  done(u);
}

function compare(u: usize, i: u32, n: i32): bool {
  if (!ready(u, i, false)) return false;
  conditions(u, st(0), st(i), n);
  return true;
}

function compareZero(u: usize): bool {
  if (!ready(u, 0, false)) return false;
  f64const(0);
  localSet(localOf(L.t));
  conditions(u, st(0), L.t, 0);
  return true;
}

/** The result is in RFLAGS. */
function compareToFlags(u: usize, n: i32): bool {
  if (!ready(u, rm(u), false)) return false;
  const a = fresh(<u8>F.TYPE), b = fresh(<u8>F.TYPE);
  localGet(localOf(st(0)));
  localSet(a);
  localGet(localOf(st(rm(u))));
  localSet(b);
  setOrder(a, b, true);
  pops(n);
  done(u);
  return true;
}

function moveIf(u: usize, cc: i32): bool {
  if (!ready(u, rm(u), false)) return false;
  const to = st(0), from = st(rm(u)), c = changetype<Emit>(J).cond(cc);
  use(c);
  emitEffects();
  localGet(localOf(from));
  localGet(localOf(to));
  emitCond(c);
  byte(Wasm.select);
  setRegister(to);
  overwrite(to, union(registerBounds(to), registerBounds(from)));
  done(u);
  return true;
}

/** FNSTSW AX after a comparison. */
function statusToAx(): bool {
  if (!(state() & State.active) || jget(X.rounded) != <u32>Rounded.not) return false;
  emitEffects();
  const t = temp32();
  loadWord(PcpuOff.fsw);
  i32const(0xffff & ~(Fsw.TOP | Fsw.C1));
  byte(Wasm.i32and);
  i32const(<i32>(state() >> State.TOP_SHIFT & 7) << 11);
  byte(Wasm.i32or);
  localSet(t);
  changetype<Emit>(J).setReg(0, 2, local32(t));
  return true;
}
