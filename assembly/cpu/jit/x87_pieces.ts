/** What translated x87 instructions (x87_insns.ts) are made of: their locals, what is known of them at the place being translated, ways out,
 *  memory operands. */
import { JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Handler } from "../handler";
import { Group, Op } from "../opcodes.gen";
import { PCPU } from "../pcpu";
import { J, Wasm, WasmType, access, byte, call, hint, i32const, i64const, jget, jset, localGet, localSet, loadWord } from "./buffer";
import { emitEffects } from "./codegen";
import { hitHost, hitPart, missHost, missPart, missed, probe, wholeOf } from "./addresses";
import { operandRun } from "./runs";
import { leave } from "./leaving";
import { Host } from "./effect";
import { Emit } from "./emit";
import { Import } from "./imports";
import { emit64 } from "./values";
import { blockOf, headOf } from "./graph";
import { Local, temp32, temp64, unsettled } from "./slots";
import { nextPiece } from "./pieces";
import { spanHost } from "./spans";
import { leaveUnlessNear } from "./sse_plain";
import { askedBounds, convertedBounds, integerBounds, plainBounds } from "./sse_range";
import { forgetBounds } from "./x87_range";
import { Hand, Held, Rounded, State, UNTOUCHED } from "./x87_runtime";

/** Words at JitOff.x87. */
export const enum X {
  on = JitOff.x87, // Held: the region has x87 instructions, and holds registers so
  base = JitOff.x87 + 4, // first of its locals
  state = JitOff.x87 + 8, // state word as far as known: UNKNOWN, 0, or State.active and more
  written = JitOff.x87 + 12, // registers that the code written so far may change
  rounded = JitOff.x87 + 16, // Rounded, UNKNOWN
  control = JitOff.x87 + 20, // 1 between two FLDCW: the program wants something else for a moment
  expect = JitOff.x87 + 24, // the state to ask for
  asked = JitOff.x87 + 28, // 1: `on` is what it will be
  wanted = JitOff.x87 + 32, // u16[64], state each block expects
  out = JitOff.x87 + 160, // u16[64], state at the end of each block
  bounds = JitOff.x87 + 288, // 8 x 4 B, how large registers can be (cpu/jit/x87_range)
}
export const UNKNOWN: u32 = 1;
export const UNKNOWN_ROUNDING: u32 = 0xff;

/** Locals from X.base on; up to `s` of doubles only. */
export const enum L { a = 8, b = 9, t = 10, s = 11, ip = 12, dp = 13, state = 14, rounded = 15, op = 16 }

export const enum F {
  i32load16s = 0x2e, f32load = 0x2a, f64load = 0x2b, f64store = 0x39, i32store16 = 0x3b, i64store16 = 0x3d, f64const = 0x44, f64eq = 0x61, f64ne = 0x62, f64lt = 0x63,
  f64le = 0x65, f64ge = 0x66, f64abs = 0x99, f64neg = 0x9a, f64trunc = 0x9d, f64nearest = 0x9e, f64sqrt = 0x9f, f64add = 0xa0, f64sub = 0xa1,
  f64mul = 0xa2, f64div = 0xa3, f32demote = 0xb6, f64convert32 = 0xb7, f64convert64 = 0xb9, f64promote = 0xbb, i32reinterpret = 0xbc, f32reinterpret = 0xbe,
  i64reinterpret = 0xbd, saturating = 0xfc, saturate32 = 2, saturate64 = 6, TYPE = 0x7c, TYPE_I64 = 0x7e, TYPE_I32 = 0x7f,
}

/** Memory operands. */
export const enum Format { single = 0, double = 1, int32 = 2, int16 = 3, int64 = 4 }

@inline export function isX87(u: usize): bool { return load<u16>(u, RecOff.handler) == Handler.cold && load<u8>(u, RecOff.desc + 1) == Group.x87; }
@inline export function opOf(u: usize): i32 { return load<u16>(u, RecOff.op); }
@inline export function rm(u: usize): u32 { return load<u8>(u, RecOff.rm) & 7; }
@inline export function localOf(n: u32): u32 { return jget(X.base) + n; }
@inline export function state(): u32 { return jget(X.state); }
/** Physical register of ST(i). */
@inline export function st(i: u32): u32 { return ((state() >> State.TOP_SHIFT) + i) & 7; }
@inline export function used(i: u32): bool { return (state() >> st(i) & 1) != 0; }

/** Rows of src/spec/x87.ts: eight operations, each with single, double, 32-bit, 16-bit and register operand. */
export const enum Kind { add = 0, mul = 1, com = 2, comp = 3, sub = 4, subr = 5, div = 6, divr = 7 }

/** State `s` after `by` pops, or -`by` pushes. */
export function turned(s: u32, by: i32): u32 {
  let top = s >> State.TOP_SHIFT & 7;
  for (; by > 0; by--) {
    s &= ~(1 << top);
    top = (top + 1) & 7;
  }
  for (; by < 0; by++) {
    top = (top - 1) & 7;
    s |= 1 << top;
  }
  return State.active | (top << State.TOP_SHIFT) | (s & State.TAGS);
}

/** Pops of an instruction; a push is -1. */
export function stackEffect(op: i32): i32 {
  if (op >= Op.fadd_m32 && op <= Op.fdivr_st) return i32((op - Op.fadd_m32) / 5 == Kind.comp);
  switch (op) {
    case Op.faddp_sti: case Op.fmulp_sti: case Op.fsubp_sti: case Op.fsubrp_sti: case Op.fdivp_sti: case Op.fdivrp_sti:
    case Op.fstp_m32: case Op.fstp_m64: case Op.fstp_m80: case Op.fstp_sti: case Op.fstp1_sti: case Op.ffreep: case Op.fbstp:
    case Op.fistp_i16: case Op.fistp_i32: case Op.fistp_i64: case Op.fisttp_i16: case Op.fisttp_i32: case Op.fisttp_i64:
    case Op.fucomp: case Op.fcomip: case Op.fucomip: case Op.fyl2x: case Op.fyl2xp1: case Op.fpatan: return 1;
    case Op.fcompp: case Op.fucompp: return 2;
    case Op.fld_m32: case Op.fld_m64: case Op.fld_m80: case Op.fld_sti: case Op.fild_i16: case Op.fild_i32: case Op.fild_i64: case Op.fbld:
    case Op.fld1: case Op.fldl2t: case Op.fldl2e: case Op.fldpi: case Op.fldlg2: case Op.fldln2: case Op.fldz:
    case Op.fxtract: case Op.fptan: case Op.fsincos: return -1;
    default: return 0;
  }
}

/* Pieces of instructions. */

/** [i32] -> []: what is seldom so. */
export function openIf(): void {
  hint(false);
  byte(Wasm.if_);
  byte(WasmType.void_);
}

/** Out to the interpreter at record `u`, `extra` wasm blocks deep. */
export function interpret(u: usize, extra: u32): void {
  i32const(<i32>u);
  localSet(Local.result);
  leave(extra);
}

/** [i32] -> []: the interpreter performs record `u` if it is not 0. */
export function interpretIf(u: usize): void {
  openIf();
  interpret(u, 1);
  byte(Wasm.end);
}

/** What may leave at its own record finds all state in the locals. */
export function begin(): void { if (unsettled() || jget(JitOff.effectCount)) nextPiece(); }

export function setLocal(n: u32, value: u32): void {
  i32const(<i32>value);
  localSet(localOf(n));
}

/** [] -> []: from here on the registers are in the locals. */
export function activate(u: usize): void {
  const known = state();
  if (known & State.active) return;
  begin();
  const want = jget(X.expect);
  if (known == UNKNOWN) {
    localGet(localOf(L.state));
    i32const(<i32>want);
    byte(Wasm.i32ne);
    openIf();
  }
  const doubles = jget(X.on) == Held.doubles;
  i32const(<i32>(doubles ? want : want | Held.EXTENDED));
  localGet(localOf(L.state));
  i32const(<i32>headOf(blockOf(0)));
  call(Import.x87Enter);
  byte(Wasm.i32eqz);
  openIf();
  interpret(u, known == UNKNOWN ? 2 : 1);
  byte(Wasm.end);
  for (let k: u32 = 0; k < 8; k++) {
    if (!doubles) break;
    if (want >> k & 1) {
      i32const(0);
      access(F.f64load, <u32>PCPU + Hand.values + (k << 3));
    } else f64const(UNTOUCHED);
    localSet(localOf(k));
  }
  for (let i: u32 = 0; i < 2; i++) {
    i32const(0);
    access(Wasm.i64load, <u32>PCPU + PcpuOff.fip + (i << 3));
    localSet(localOf(L.ip + i));
  }
  loadWord(PcpuOff.fop);
  localSet(localOf(L.op));
  setLocal(L.state, want);
  setLocal(L.rounded, Rounded.same);
  if (known == UNKNOWN) byte(Wasm.end);
  forgetBounds();
  jset(X.state, want);
  jset(X.rounded, UNKNOWN_ROUNDING);
}

/** The state the instruction finds, whether its registers are in use being known before any code is written. */
export function peek(): void { if (!(state() & State.active)) jset(X.state, jget(X.expect)); }

/** Runs `activate` unless ST(0), ST(i) are not both in use: then the helper has a stack fault to make of it. */
export function ready(u: usize, i: u32, mayLeave: bool): bool {
  const known = state();
  peek();
  const there = used(0) && used(i);
  jset(X.state, known);
  if (!there) return false;
  activate(u);
  if (mayLeave) begin();
  else emitEffects();
  return true;
}

/** The same for a push: ST(7) is free. */
export function readyToPush(u: usize, mayLeave: bool): bool {
  const known = state();
  peek();
  const full = used(7);
  jset(X.state, known);
  if (full) return false;
  activate(u);
  if (mayLeave) begin();
  else emitEffects();
  return true;
}

export function setState(s: u32): void {
  jset(X.state, s);
  setLocal(L.state, s);
}

/** [f64] -> []: the new value of physical register `k`. */
export function setRegister(k: u32): void {
  localSet(localOf(k));
  jset(X.written, jget(X.written) | 1 << k);
}

export function rounded(how: u32): void {
  if (jget(X.rounded) == how && how <= <u32>Rounded.not) return;
  jset(X.rounded, how);
  setLocal(L.rounded, how);
}

/** FIP, FOP. */
export function done(u: usize): void {
  i64const(load<i64>(J, JitOff.ripBase) + load<u16>(u, RecOff.off));
  localSet(localOf(L.ip));
  setLocal(L.op, load<u16>(u, RecOff.imm));
}

export function copy(from: u32, to: u32): void {
  localGet(localOf(from));
  localSet(localOf(to));
}

export function pops(n: i32): void { if (n) setState(turned(state(), n)); }

/** [] -> [f64] */
export function f64const(bits: i64): void {
  byte(F.f64const);
  for (let i = 0; i < 64; i += 8) byte(<i32>(bits >> i) & 0xff);
}

const NEXT_EXPONENT: i64 = 1 << 53; // in a double shifted left by one

/** [i64] -> [i32]: whether a double's exponent is not from `least` to the largest finite one. */
export function abnormal(least: i64): void {
  i64const(1);
  byte(Wasm.i64shl);
  i64const(least * NEXT_EXPONENT);
  byte(Wasm.i64sub);
  i64const((0x7ff - least) * NEXT_EXPONENT);
  byte(Wasm.i64ge_u);
}

/** [] -> []: the interpreter performs record `u`, for a reason that counts, unless local `n` is zero or within askedBounds. */
export function nearOr(n: u32, u: usize): void { leaveUnlessNear(u, localOf(n), true); }

export function abnormalSingle(least: i32): void {
  i32const(1);
  byte(Wasm.i32shl);
  i32const(least << 24);
  byte(Wasm.i32sub);
  i32const((0xff - least) << 24);
  byte(Wasm.i32ge_u);
}

/** [] -> []: local `n` must be zero, else the interpreter performs `u`. */
export function zeroOr(n: u32, u: usize, extra: u32): void {
  localGet(localOf(n));
  f64const(0);
  byte(F.f64ne);
  openIf();
  interpret(u, extra + 1);
  byte(Wasm.end);
}

export function address(u: usize): i32 {
  const a = changetype<Emit>(J).ea(u, false);
  jset(JitOff.missing, 0); // not all that is written here is always passed, so no local is loaded
  return a;
}

/** [] -> []: FDP. */
export function pointer(lin: u32): void {
  if (lin) localGet(lin);
  else {
    localGet(Local.lin);
    byte(Wasm.i64extend_u);
  }
  localSet(localOf(L.dp));
}

export function widthOf(format: i32): i32 { return format == Format.int16 ? 2 : format == Format.double || format == Format.int64 ? 8 : 4; }

/** [] -> []: the operand at node `a` is in a span: its host address as effects name it; 0 if it is in none. `begin` was called. */
export function spanOperand(u: usize, a: i32, w: i32, write: bool): u32 {
  const host = spanHost(a, w, write, u);
  if (host) emitEffects(); // it may be looked up here
  return host;
}
/** [] -> [i32]: that address, without its displacement. */
function spanBase(host: u32): void { localGet(host & Host.local); }
/** [] -> [i32]: that address. */
export function spanAddress(host: u32): void {
  spanBase(host);
  i32const(host >> Host.DISPLACEMENT);
  byte(Wasm.i32add);
}
/** [] -> []: linear address `a` to a local, for `pointer`. */
export function linear(a: i32): u32 {
  const lin = temp64();
  emit64(a);
  localSet(lin);
  return lin;
}

/** [] -> []: where `w` bytes to read are, to local `h`. Returns what `pointer` takes. */
export function hostOperand(u: usize, w: i32, h: u32): u32 {
  const a = address(u), host = spanOperand(u, a, w, false);
  if (host) {
    spanAddress(host);
    localSet(h);
    return linear(a);
  }
  const run = operandRun(u, false), lin = probe(a, w, false, run);
  hint(true);
  byte(Wasm.if_);
  byte(WasmType.i32);
  hitPart(run);
  byte(Wasm.else_);
  missHost(lin, w, false, missed(<u32>u, run), h);
  missPart(h, run);
  byte(Wasm.end);
  wholeOf(run);
  localSet(h);
  return lin;
}

/** Bounds of a memory operand that was read. */
export function operandBounds(format: i32): i64 {
  switch (format) {
    case Format.double: return jget(JitOff.x87Bounded) ? askedBounds(true) : plainBounds(true);
    case Format.single: return convertedBounds(plainBounds(false), true);
    case Format.int16: return integerBounds(15);
    case Format.int32: return integerBounds(31);
    default: return integerBounds(53);
  }
}

/** [] -> []: the memory operand to local L.t. Returns what `pointer` takes, once nothing can leave any more. Memory is read once: what is asked has to be
 *  what was loaded, whatever other processors store meanwhile. */
export function readOperand(u: usize, format: i32): u32 {
  const h = temp32(), lin = hostOperand(u, widthOf(format), h);
  localGet(h);
  switch (format) {
    case Format.double:
      access(F.f64load, 0);
      localSet(localOf(L.t));
      if (jget(JitOff.x87Bounded)) {
        nearOr(L.t, u);
        break;
      }
      localGet(localOf(L.t));
      byte(F.i64reinterpret);
      abnormal(1);
      openIf();
      zeroOr(L.t, u, 1);
      byte(Wasm.end);
      break;
    case Format.single: {
      const bits = temp32();
      access(Wasm.i32load, 0);
      localSet(bits);
      localGet(bits);
      byte(F.f32reinterpret);
      byte(F.f64promote);
      localSet(localOf(L.t));
      localGet(bits);
      abnormalSingle(1);
      openIf();
      zeroOr(L.t, u, 1);
      byte(Wasm.end);
      break;
    }
    case Format.int64: {
      const x = temp64();
      access(Wasm.i64load, 0);
      localSet(x);
      localGet(x);
      i64const(<i64>1 << 53);
      byte(Wasm.i64add);
      i64const(<i64>1 << 54);
      byte(Wasm.i64gt_u);
      interpretIf(u);
      localGet(x);
      byte(F.f64convert64);
      localSet(localOf(L.t));
      break;
    }
    default:
      access(format == Format.int16 ? F.i32load16s : Wasm.i32load, 0);
      byte(F.f64convert32);
      localSet(localOf(L.t));
  }
  return lin;
}

/** [] -> []: wasm local `value` to the memory operand; then `n` pops, C1 as `how`. */
export function writeOperand(u: usize, w: i32, value: u32, op: i32, n: i32, how: u32): void {
  const h = temp32(), after = n ? turned(state(), n) : state();
  const a = address(u), host = spanOperand(u, a, w, true);
  if (host) {
    spanBase(host);
    localGet(value);
    access(op, host >> Host.DISPLACEMENT);
    stored(u, linear(a), after, how);
    jset(X.state, after);
    jset(X.rounded, how);
    return;
  }
  const run = operandRun(u, true), lin = probe(a, w, true, run);
  hint(true);
  byte(Wasm.if_);
  byte(WasmType.void_);
  hitHost(run);
  localGet(value);
  access(op, 0);
  byte(Wasm.else_);
  missHost(lin, w, true, missed(<u32>u, run), h);
  localGet(h);
  localGet(value);
  access(op, 0);
  localGet(h);
  call(Import.stored);
  openIf();
  stored(u, lin, after, how);
  interpret(u + RecOff.SIZE, 2);
  byte(Wasm.end);
  byte(Wasm.end);
  stored(u, lin, after, how);
  jset(X.state, after);
  jset(X.rounded, how);
}

function stored(u: usize, lin: u32, after: u32, how: u32): void {
  if (how > <u32>Rounded.not) copy(st(0), L.a);
  setLocal(L.rounded, how);
  setLocal(L.state, after);
  pointer(lin);
  done(u);
}
