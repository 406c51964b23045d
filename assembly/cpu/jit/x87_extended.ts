/** x87 instructions in translated code where they have all 64 bits of precision, or whatever a control word says that masks all exceptions. Registers
 *  stay where the interpreter keeps them, and the status word but for TOP; TOP and the tags are known while translating, so every register is at a
 *  constant address. Loads, moves and the stack are in line; arithmetic is a call that saves nothing, touches neither general registers nor
 *  flags, and never leaves. What is not here, or has operands that are not in use, is performed by its helper. */
import { PcpuOff } from "../../abi/layout";
import { RecFlag, RecOff } from "../../abi/record";
import { Fsw, INTEGER_BIT } from "../helpers/x87_state";
import { PCPU } from "../pcpu";
import { J, Wasm, WasmType, access, byte, call, hint, i32const, i64const, jget, jset, localGet, localSet, localTee } from "./buffer";
import { emitCond } from "./values";
import { emitEffects } from "./codegen";
import { hitHost, missHost, missed, probe } from "./addresses";
import { operandRun } from "./runs";
import { Emit, setStatusBits } from "./emit";
import { Import } from "./imports";
import { local, local32, use } from "./node";
import { temp32, temp64 } from "./slots";
import { Compare, Give, Odd } from "./x87_extended_runtime";
import { ARGUMENT_BITS, Act, CHOP, QUIET, actOf, argumentOf, formOf, popsOf } from "./x87_forms";
import { F, Format, Kind, UNKNOWN_ROUNDING, X, abnormal, abnormalSingle, activate, address, begin, done, hostOperand, interpret, linear, opOf, openIf, peek, pointer, pops, ready, readyToPush, rm, setState, spanAddress, spanOperand, st, state, turned, used, widthOf } from "./x87_pieces";
import { Rounded } from "./x87_runtime";

/** True if the record was translated. */
export function translateExtended(u: usize): bool {
  const flags = <i32>load<u8>(u, RecOff.flags);
  if (flags & RecFlag.seg || (flags & RecFlag.mem && load<u64>(u, RecOff.mask) == 0xffff)) return false;
  const form = formOf(opOf(u)), argument = argumentOf(form), n = popsOf(form), kind = argument & (1 << ARGUMENT_BITS) - 1;
  switch (actOf(form)) {
    case Act.wait: activate(u); return true;
    case Act.memory: return withMemory(u, kind, argument >> ARGUMENT_BITS, n);
    case Act.from: return arithmetic(u, kind, 0, rm(u), 0);
    case Act.into: return arithmetic(u, kind, rm(u), 0, n);
    case Act.root: return unary(u, Import.x87Sqrt);
    case Act.integer: return unary(u, Import.x87Integer);
    case Act.negate: return sign(u, Wasm.i32xor, 0x8000);
    case Act.absolute: return sign(u, Wasm.i32and, 0x7fff);
    case Act.load: return loadMemory(u, argument);
    case Act.loadExtended: return loadExtended(u);
    case Act.loadConstant: return argument ? loadConstant(u, 0x3fff, INTEGER_BIT) : loadConstant(u, 0, 0);
    case Act.loadRegister: return loadRegister(u);
    case Act.store: return storeNumber(u, argument & ~CHOP, argument & CHOP ? Give.chop : 0, n);
    case Act.storeExtended: return storeExtended(u);
    case Act.storeRegister: return storeRegister(u, n);
    case Act.exchange: return exchange(u);
    case Act.compareZero: return compareZero(u);
    case Act.compare: return compare(u, rm(u), argument & QUIET ? Compare.quiet : 0, n);
    case Act.compareToFlags: return compareToFlags(u, Compare.toFlags | (argument & QUIET ? Compare.quiet : 0), n);
    case Act.moveIf: return moveIf(u, argument);
    case Act.statusToAx: return statusToAx(u);
    case Act.storeStatus: return storeWord(u, PcpuOff.fsw);
    case Act.storeControl: return storeWord(u, PcpuOff.fcw);
    case Act.loadControl: return loadControl(u);
    default: return false;
  }
}

/* Physical registers, by number. */

@inline function addressOf(k: u32): i32 { return <i32>(PCPU + (<usize>k << 4)); }

/** [] -> [i64] */
function sigOf(k: u32): void { i32const(0); access(Wasm.i64load, <u32>addressOf(k) + PcpuOff.fpr); }
/** [] -> [i32] */
function seOf(k: u32): void { i32const(0); access(Wasm.i32load16u, <u32>addressOf(k) + PcpuOff.fpr + 8); }
/** [i32 0, i64] -> [] */
function setSig(k: u32): void { access(Wasm.i64store, <u32>addressOf(k) + PcpuOff.fpr); }
/** [i32 0, i32] -> [] */
function setSe(k: u32): void { access(F.i32store16, <u32>addressOf(k) + PcpuOff.fpr + 8); }

/** [] -> [] */
function move(from: u32, to: u32): void {
  i32const(0);
  sigOf(from);
  setSig(to);
  i32const(0);
  seOf(from);
  setSe(to);
}

/** [] -> []: nothing was rounded. What is known of C1 saves doing it again. */
function clearC1(): void {
  if (jget(X.rounded) == <u32>Rounded.not) return;
  i32const(0);
  i32const(0);
  access(Wasm.i32load16u, <u32>PCPU + PcpuOff.fsw);
  i32const(0xffff & ~Fsw.C1);
  byte(Wasm.i32and);
  access(Wasm.i32store16, <u32>PCPU + PcpuOff.fsw);
  jset(X.rounded, Rounded.not);
}

/** [i32] -> [] */
function rounded(): void {
  byte(Wasm.drop);
  jset(X.rounded, UNKNOWN_ROUNDING);
}

/** The function of an operation among six. */
@inline function nth(kind: i32): i32 { return kind < Kind.com ? kind : kind - 2; }

/* Arithmetic. */

function arithmetic(u: usize, kind: i32, to: u32, from: u32, n: i32): bool {
  if (!ready(u, to | from, false)) return false;
  sigOf(st(from));
  i32const(addressOf(st(to)));
  seOf(st(from));
  call(Import.x87Arith + nth(kind));
  rounded();
  pops(n);
  done(u);
  return true;
}

function unary(u: usize, by: i32): bool {
  if (!ready(u, 0, false)) return false;
  i32const(addressOf(st(0)));
  call(by);
  rounded();
  done(u);
  return true;
}

function sign(u: usize, op: i32, mask: i32): bool {
  if (!ready(u, 0, false)) return false;
  i32const(0);
  seOf(st(0));
  i32const(mask);
  byte(op);
  setSe(st(0));
  clearC1();
  done(u);
  return true;
}

/** [] -> [i64]: the operand at local `h` as a double; of the formats that always are one. */
function doubleAt(h: u32, format: i32): void {
  localGet(h);
  if (format == Format.double) access(Wasm.i64load, 0);
  else {
    access(format == Format.int16 ? F.i32load16s : Wasm.i32load, 0);
    byte(F.f64convert32);
    byte(F.i64reinterpret);
  }
}

/** [] -> []: reads a single, and opens two arms: it is a number that is a normal double as well, in local `v`; the other passes it on. */
function singleAt(h: u32, v: u32, at: i32, what: i32): void {
  const bits = temp32();
  localGet(h);
  access(Wasm.i32load, 0);
  localSet(bits);
  localGet(bits);
  abnormalSingle(1);
  openIf();
  localGet(bits);
  byte(Wasm.i64extend_u);
  i32const(at);
  i32const(what);
  call(Import.x87Odd);
  byte(Wasm.drop);
  byte(Wasm.else_);
  localGet(bits);
  byte(F.f32reinterpret);
  byte(F.f64promote);
  byte(F.i64reinterpret);
  localSet(v);
}

function withMemory(u: usize, kind: i32, format: i32, n: i32): bool {
  if (!ready(u, 0, true)) return false;
  const h = temp32(), at = addressOf(st(0)), compares = kind == Kind.com || kind == Kind.comp;
  pointer(hostOperand(u, widthOf(format), h));
  if (format == Format.single) {
    const v = temp64();
    singleAt(h, v, at, compares ? Odd.compareSingle : nth(kind));
    localGet(v);
  } else doubleAt(h, format);
  i32const(at);
  call(compares ? Import.x87CompareDouble : Import.x87ArithDouble + nth(kind));
  rounded();
  if (format == Format.single) byte(Wasm.end);
  if (compares) {
    jset(X.rounded, Rounded.not);
    pops(n);
  }
  done(u);
  return true;
}

/* Loads. */

function push(): u32 {
  setState(turned(state(), -1));
  return st(0);
}

/** [] -> [i64]: significand of the normal double in local `v`. */
function sigOfDouble(v: u32): void {
  localGet(v);
  i64const(11);
  byte(Wasm.i64shl);
  i64const(<i64>INTEGER_BIT);
  byte(Wasm.i64or);
}

/** [] -> [i32]: its sign and exponent. */
function seOfDouble(v: u32): void {
  const high = temp32();
  localGet(v);
  i64const(32);
  byte(Wasm.i64shr_u);
  byte(Wasm.i32wrap);
  localTee(high);
  i32const(20);
  byte(Wasm.i32shr_u);
  i32const(0x7ff);
  byte(Wasm.i32and);
  i32const(0x3fff - 1023);
  byte(Wasm.i32add);
  localGet(high);
  i32const(16);
  byte(Wasm.i32shr_u);
  i32const(0x8000);
  byte(Wasm.i32and);
  byte(Wasm.i32or);
}

/** [] -> []: the double in local `v` to register `k`. */
function spread(v: u32, k: u32): void {
  i32const(0);
  sigOfDouble(v);
  setSig(k);
  i32const(0);
  seOfDouble(v);
  setSe(k);
}

function loadMemory(u: usize, format: i32): bool {
  if (!readyToPush(u, true)) return false;
  const h = temp32();
  pointer(hostOperand(u, widthOf(format), h));
  const k = push(), at = addressOf(k);
  if (format == Format.int64) {
    localGet(h);
    access(Wasm.i64load, 0);
    i32const(at);
    i32const(Odd.loadInteger);
    call(Import.x87Odd);
    byte(Wasm.drop);
    jset(X.rounded, Rounded.not);
    done(u);
    return true;
  }
  const v = temp64();
  if (format == Format.single) singleAt(h, v, at, Odd.loadSingle);
  else {
    doubleAt(h, format);
    localSet(v);
    localGet(v);
    abnormal(1);
    openIf();
    localGet(v);
    i32const(at);
    i32const(Odd.loadDouble);
    call(Import.x87Odd);
    byte(Wasm.drop);
    byte(Wasm.else_);
  }
  spread(v, k);
  clearC1();
  byte(Wasm.end);
  done(u);
  return true;
}

function loadExtended(u: usize): bool {
  if (!readyToPush(u, true)) return false;
  const h = temp32();
  pointer(hostOperand(u, 10, h));
  const k = push();
  i32const(0);
  localGet(h);
  access(Wasm.i64load, 0);
  setSig(k);
  i32const(0);
  localGet(h);
  access(Wasm.i32load16u, 8);
  setSe(k);
  clearC1();
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
  move(from, push());
  clearC1();
  done(u);
  return true;
}

function loadConstant(u: usize, se: i32, sig: i64): bool {
  if (!readyToPush(u, false)) return false;
  const k = push();
  i32const(0);
  i64const(sig);
  setSig(k);
  i32const(0);
  i32const(se);
  setSe(k);
  clearC1();
  done(u);
  return true;
}

/* Stores. The value is asked for when nothing can keep it from being stored: that notes its exceptions. */

/** [i32 host] -> []: stores what `from` (an import) gives for `argument`. */
function put(w: i32, from: i32, argument: i32): void {
  i32const(argument);
  call(from);
  access(w == 8 ? Wasm.i64store : w == 4 ? Wasm.i64store32 : F.i64store16, 0);
}

/** [] -> []: both halves of register `k` to what local `h` points to. */
function putExtended(h: u32, k: u32): void {
  localGet(h);
  sigOf(k);
  access(Wasm.i64store, 0);
  localGet(h);
  seOf(k);
  access(F.i32store16, 8);
}

function complete(u: usize, lin: u32, after: u32): void {
  setState(after);
  pointer(lin);
  done(u);
}

/** What `jitX87Give` makes of a format. */
function giving(format: i32): i32 { return format == Format.single ? Give.single : format == Format.int16 ? Give.int16 : format == Format.int32 ? Give.int32 : Give.int64; }

function storeNumber(u: usize, format: i32, chop: i32, n: i32): bool {
  if (!ready(u, 0, true)) return false;
  const w = widthOf(format), from: i32 = format == Format.double ? Import.x87Double : Import.x87Give;
  const argument = addressOf(st(0)) | (format == Format.double ? 0 : giving(format) | chop), before = state(), after = n ? turned(before, n) : before, h = temp32();
  const a = address(u), host = spanOperand(u, a, w, true);
  if (host) {
    spanAddress(host);
    put(w, from, argument);
    complete(u, linear(a), after);
    jset(X.rounded, UNKNOWN_ROUNDING);
    return true;
  }
  const run = operandRun(u, true), lin = probe(a, w, true, run);
  hint(true);
  byte(Wasm.if_);
  byte(WasmType.void_);
  hitHost(run);
  put(w, from, argument);
  byte(Wasm.else_);
  missHost(lin, w, true, missed(<u32>u, run), h);
  localGet(h);
  put(w, from, argument);
  behindMiss(u, h, lin, after);
  byte(Wasm.end);
  complete(u, lin, after);
  jset(X.rounded, UNKNOWN_ROUNDING);
  return true;
}

function storeExtended(u: usize): bool {
  if (!ready(u, 0, true)) return false;
  const k = st(0), after = turned(state(), 1), h = temp32();
  const run = operandRun(u, true), lin = probe(address(u), 10, true, run);
  hint(true);
  byte(Wasm.if_);
  byte(WasmType.void_);
  hitHost(run);
  localSet(h);
  putExtended(h, k);
  byte(Wasm.else_);
  missHost(lin, 10, true, missed(<u32>u, run), h);
  putExtended(h, k);
  const known = jget(X.rounded);
  clearC1();
  jset(X.rounded, known);
  behindMiss(u, h, lin, after);
  byte(Wasm.end);
  complete(u, lin, after);
  clearC1();
  return true;
}

/** [] -> []: out, with the instruction complete, if the store did more than that. */
function behindMiss(u: usize, h: u32, lin: u32, after: u32): void {
  localGet(h);
  call(Import.stored);
  openIf();
  complete(u, lin, after);
  interpret(u + RecOff.SIZE, 2);
  byte(Wasm.end);
}

/* Moves. */

function storeRegister(u: usize, n: i32): bool {
  if (!ready(u, 0, false)) return false;
  const to = st(rm(u));
  if (to != st(0)) move(st(0), to);
  const now = state() | (1 << to), after = n ? turned(now, n) : now;
  if (after != state()) setState(after);
  clearC1();
  done(u);
  return true;
}

function exchange(u: usize): bool {
  if (!ready(u, rm(u), false)) return false;
  const a = st(0), b = st(rm(u));
  if (a != b) {
    const sig = temp64(), se = temp32();
    sigOf(a);
    localSet(sig);
    seOf(a);
    localSet(se);
    move(b, a);
    i32const(0);
    localGet(sig);
    setSig(b);
    i32const(0);
    localGet(se);
    setSe(b);
  }
  clearC1();
  done(u);
  return true;
}

function moveIf(u: usize, cc: i32): bool {
  if (!ready(u, rm(u), false)) return false;
  const to = st(0), from = st(rm(u)), c = changetype<Emit>(J).cond(cc);
  use(c);
  emitEffects();
  emitCond(c);
  byte(Wasm.if_);
  byte(WasmType.void_);
  move(from, to);
  byte(Wasm.end);
  done(u);
  return true;
}

/* Comparisons. */

/** [] -> [i32]: flags of ST(0) and ST(i). */
function flagsOf(i: u32, how: i32): void {
  sigOf(st(i));
  i32const(addressOf(st(0)));
  seOf(st(i));
  if (how) {
    i32const(how);
    byte(Wasm.i32or);
  }
  call(Import.x87Compare);
}

function compare(u: usize, i: u32, how: i32, n: i32): bool {
  if (!ready(u, i, false)) return false;
  flagsOf(i, how);
  rounded();
  jset(X.rounded, Rounded.not);
  pops(n);
  done(u);
  return true;
}

function compareZero(u: usize): bool {
  if (!ready(u, 0, false)) return false;
  i64const(0);
  i32const(addressOf(st(0)));
  i32const(0);
  call(Import.x87Compare);
  rounded();
  jset(X.rounded, Rounded.not);
  done(u);
  return true;
}

function compareToFlags(u: usize, how: i32, n: i32): bool {
  if (!ready(u, rm(u), false)) return false;
  const t = temp64();
  flagsOf(rm(u), how);
  byte(Wasm.i64extend_u);
  localSet(t);
  setStatusBits(local(t));
  pops(n);
  done(u);
  return true;
}

/* Control and status. They leave the last instruction's address alone. */

/** [] -> [i32] */
function statusWord(): void {
  i32const(0);
  access(Wasm.i32load16u, <u32>PCPU + PcpuOff.fsw);
  i32const(0xffff & ~Fsw.TOP);
  byte(Wasm.i32and);
  i32const(<i32>(st(0) << 11));
  byte(Wasm.i32or);
}

function statusToAx(u: usize): bool {
  activate(u);
  emitEffects();
  const t = temp32();
  statusWord();
  localSet(t);
  changetype<Emit>(J).setReg(0, 2, local32(t));
  return true;
}

function storeWord(u: usize, field: u32): bool {
  activate(u);
  begin();
  const h = temp32(), value = temp32();
  if (field == PcpuOff.fsw) statusWord();
  else {
    i32const(0);
    access(Wasm.i32load16u, <u32>PCPU + field);
  }
  localSet(value);
  const run = operandRun(u, true), lin = probe(address(u), 2, true, run);
  hint(true);
  byte(Wasm.if_);
  byte(WasmType.void_);
  hitHost(run);
  localGet(value);
  access(F.i32store16, 0);
  byte(Wasm.else_);
  missHost(lin, 2, true, missed(<u32>u, run), h);
  localGet(h);
  localGet(value);
  access(F.i32store16, 0);
  localGet(h);
  call(Import.stored);
  openIf();
  interpret(u + RecOff.SIZE, 2);
  byte(Wasm.end);
  byte(Wasm.end);
  return true;
}

function loadControl(u: usize): bool {
  activate(u);
  begin();
  const h = temp32();
  hostOperand(u, 2, h);
  localGet(h);
  access(Wasm.i32load16u, 0);
  call(Import.x87Control);
  byte(Wasm.i32eqz);
  openIf();
  interpret(u + RecOff.SIZE, 1);
  byte(Wasm.end);
  return true;
}
