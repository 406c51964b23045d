/** Nodes to WebAssembly. A value is written where it is needed, at the width it is needed; one that is needed again stays in a temporary.
 *  Code off the main path (`cold`) computes what it needs anew. */
import { JitOff } from "../../abi/jit";
import { Wasm, byte, giveUp, i32const, i64const, jget, loadWord, localGet, localTee } from "./buffer";
import { EffectOff } from "./effect";
import { Node, argA, argB, imm, isConst, op, setT32, setT64, t32, t64, raw, uses, width } from "./node";
import { bring } from "./residents";
import { seeSlot } from "./rounds";
import { Float } from "./simd";
import { temp32, temp64 } from "./slots";

@inline function caches(n: i32): bool { return uses(n) > 1 && !jget(JitOff.cold); }

function keep64(n: i32): void {
  if (!caches(n)) return;
  const t = temp64();
  localTee(t);
  setT64(n, t);
}

function keep32(n: i32): void {
  if (!caches(n)) return;
  const t = temp32();
  localTee(t);
  setT32(n, t);
}

/** [] -> [i32 or i64] */
function getLocal(n: i32): void {
  seeSlot(argA(n));
  bring(argA(n));
}

/** [] -> [i64]: node `n`. */
export function emit64(n: i32): void {
  if (t64(n)) { localGet(t64(n)); return; }
  if (jget(JitOff.bad)) return;
  const kind = op(n);
  switch (kind) {
    case Node.const_: i64const(imm(n)); return;
    case Node.local: getLocal(n); return;
    case Node.local32: getLocal(n); byte(Wasm.i64extend_u); return;
    case Node.sext:
      if (width(n) == 4) { emit32(argA(n)); byte(Wasm.i64extend_s); }
      else { emit32(n); byte(Wasm.i64extend_s); return; }
      break;
    case Node.zext: emit32(n); byte(Wasm.i64extend_u); return;
    case Node.word: emit32(n); byte(Wasm.i64extend_u); return;
    case Node.float:
      localGet(argA(n));
      if (width(n) == 4) byte(Float.f64promote);
      byte(Float.i64reinterpret);
      break;
    case Node.ltu:
    case Node.eq: emitTruth(n); byte(Wasm.i64extend_u); break;
    case Node.fromCond: emitCond(argA(n)); byte(Wasm.i64extend_u); break;
    case Node.select:
      emit64(argA(n));
      emit64(argB(n));
      emitCond(<i32>imm(n));
      byte(Wasm.select);
      break;
    case Node.ctz: emit64(argA(n)); byte(Wasm.i64ctz); break;
    case Node.clz: emit64(argA(n)); byte(Wasm.i64clz); break;
    case Node.popcnt: emit64(argA(n)); byte(Wasm.i64popcnt); break;
    default:
      emit64(argA(n));
      emit64(argB(n));
      byte(Wasm.i64add + wide(kind));
  }
  keep64(n);
}

/** Distance of an operation's 64-bit opcode from i64.add; from i32.add the 32-bit one is as far. */
function wide(kind: i32): i32 {
  switch (kind) {
    case Node.add: return 0;
    case Node.sub: return 1;
    case Node.mul: return 2;
    case Node.and: return 7;
    case Node.or: return 8;
    case Node.xor: return 9;
    case Node.shl: return 10;
    case Node.shr: return 12;
    case Node.sar: return 11;
    case Node.divS: return 3;
    case Node.divU: return 4;
    default: giveUp(); return 0;
  }
}

/** [] -> [i32]: the low 32 bits of node `n`. */
export function emit32(n: i32): void {
  if (t32(n)) { localGet(t32(n)); return; }
  if (t64(n)) { localGet(t64(n)); byte(Wasm.i32wrap); return; }
  if (jget(JitOff.bad)) return;
  const kind = op(n);
  switch (kind) {
    case Node.const_: i32const(<i32>imm(n)); return;
    case Node.local: getLocal(n); byte(Wasm.i32wrap); return;
    case Node.local32: getLocal(n); return;
    case Node.sext:
      emit32(argA(n));
      if (width(n) == 1) byte(Wasm.i32extend8);
      else if (width(n) == 2) byte(Wasm.i32extend16);
      break;
    case Node.zext:
      emit32(argA(n));
      if (width(n) < 4) { i32const(width(n) == 1 ? 0xff : 0xffff); byte(Wasm.i32and); }
      break;
    case Node.add: case Node.sub: case Node.mul: case Node.and: case Node.or: case Node.xor:
      emit32(argA(n));
      emit32(argB(n));
      byte(Wasm.i32add + wide(kind));
      break;
    case Node.word: loadWord(<u32>imm(n)); break;
    case Node.shl:
      if (isConst(argB(n)) && imm(argB(n)) > 31) { i32const(0); return; }
      if (!isShort(argB(n))) { emit64(n); byte(Wasm.i32wrap); return; }
      emit32(argA(n));
      emit32(argB(n));
      byte(Wasm.i32shl);
      break;
    case Node.shr:
    case Node.sar: {
      // the bits from above matter unless the operand is an extension of at most 32 bits
      const a = argA(n), kindA = op(a);
      const narrow = (kindA == (kind == Node.shr ? Node.zext : Node.sext) || (kind == Node.shr && kindA == Node.local32)) && width(a) <= 4;
      const far = isConst(argB(n)) && imm(argB(n)) > 31;
      if (!narrow || (!far && !isShort(argB(n)))) { emit64(n); byte(Wasm.i32wrap); return; }
      if (far && kind == Node.shr) { i32const(0); return; }
      emit32(a);
      if (far) i32const(31);
      else emit32(argB(n));
      byte(kind == Node.shr ? Wasm.i32shr_u : Wasm.i32shr_s);
      break;
    }
    case Node.ltu:
    case Node.eq: emitTruth(n); break;
    case Node.fromCond: emitCond(argA(n)); break;
    case Node.select:
      emit32(argA(n));
      emit32(argB(n));
      emitCond(<i32>imm(n));
      byte(Wasm.select);
      break;
    default: emit64(n); byte(Wasm.i32wrap); return;
  }
  keep32(n);
}

/** [i64] -> [i64]: the canonical address with the same 48 bits. */
export function canonical(): void {
  i64const(16);
  byte(Wasm.i64shl);
  i64const(16);
  byte(Wasm.i64shr_s);
}

/** A count below 32. */
function isShort(n: i32): bool {
  return isConst(n) ? <u64>imm(n) < 32 : op(n) == Node.and && isConst(argB(n)) && <u64>imm(argB(n)) < 32;
}

/** Both operands are extensions of the same kind from at most 32 bits. */
function narrowPair(a: i32, b: i32): bool {
  const x = op(a), y = op(b);
  if (isConst(b)) return x == Node.sext && width(a) <= 4 && imm(b) == <i64>(<i32>imm(b));
  return x == y && (x == Node.sext || x == Node.zext) && width(a) <= 4 && width(b) <= 4;
}

/** [] -> [i32]: LTU or EQ. */
function emitTruth(n: i32): void {
  const a = argA(n), b = argB(n), less = op(n) == Node.ltu;
  if (narrowPair(a, b)) {
    emit32(a);
    emit32(b);
    byte(less ? Wasm.i32lt_u : Wasm.i32eq);
  } else {
    emit64(a);
    emit64(b);
    byte(less ? Wasm.i64lt_u : Wasm.i64eq);
  }
}

/** [] -> [i32]: condition `n`, 0 or 1. */
export function emitCond(n: i32): void {
  if (t32(n)) { localGet(t32(n)); return; }
  switch (op(n)) {
    case Node.compare: emitCompare(n); break;
    case Node.ordered: emitOrdered(n); break;
    case Node.bit:
      emit32(argA(n));
      i32const(1);
      byte(Wasm.i32and);
      if (imm(n)) byte(Wasm.i32eqz);
      break;
    default: localGet(argA(n)); if (imm(n)) byte(Wasm.i32eqz); return;
  }
  keep32(n);
}

/** [] -> [f64 or f32]: operand `x` of Node.ordered `n`. */
function orderOperand(n: i32, x: i32): void {
  if (width(n)) localGet(x);
  else {
    emit64(x);
    byte(Float.f64reinterpret);
  }
}

/** [] -> [i32]: a relation of the operands of node `n`. `code`: of f64. */
function relation(n: i32, code: i32): void {
  orderOperand(n, argA(n));
  orderOperand(n, argB(n));
  byte(width(n) == 4 ? code - (Float.f64eq - Float.f32eq) : code);
}

/** [] -> [i32]: Node.ordered. */
function emitOrdered(n: i32): void {
  const cc = <i32>imm(n), group = cc >> 1;
  // the odd conditions are those that a NaN makes false
  relation(n, group == 1 ? Float.f64ge : group == 3 ? Float.f64gt : Float.f64lt);
  if (group == 2 || group == 5) {
    relation(n, group == 2 ? Float.f64gt : Float.f64ge);
    byte(Wasm.i32or);
  }
  if (!(cc & 1)) byte(Wasm.i32eqz);
}

function emitCompare(n: i32): void {
  const w = width(n), a = argA(n), b = argB(n), cc = <i32>imm(n), is64 = w == 8;
  if (cc >> 1 == 4) { // sign of a
    if (is64) {
      emit64(a);
      i64const(0);
      byte(cc & 1 ? Wasm.i64ge_s : Wasm.i64lt_s);
    } else {
      emit32(a);
      if (w == 1) byte(Wasm.i32extend8);
      else if (w == 2) byte(Wasm.i32extend16);
      i32const(0);
      byte(cc & 1 ? Wasm.i32ge_s : Wasm.i32lt_s);
    }
    return;
  }
  const zero = isConst(b) && imm(b) == 0 && cc >> 1 == 2;
  if (zero && w < 4) someBits(a, w);
  else operand(a, w);
  if (zero) {
    if (cc == 4) byte(is64 ? Wasm.i64eqz : Wasm.i32eqz);
    else if (is64) { i64const(0); byte(Wasm.i64ne); }
    else { i32const(0); byte(Wasm.i32ne); }
    return;
  }
  operand(b, w);
  let code: i32;
  switch (cc) {
    case 2: code = Wasm.i32lt_u; break;
    case 3: code = Wasm.i32ge_u; break;
    case 4: code = Wasm.i32eq; break;
    case 5: code = Wasm.i32ne; break;
    case 6: code = Wasm.i32le_u; break;
    case 7: code = Wasm.i32gt_u; break;
    case 12: code = Wasm.i32lt_s; break;
    case 13: code = Wasm.i32ge_s; break;
    case 14: code = Wasm.i32le_s; break;
    default: code = Wasm.i32gt_s;
  }
  byte(is64 ? code + (Wasm.i64eq - Wasm.i32eq) : code);
}

/** [] -> [i32]: not 0 if one of the low `w` bytes of `n` is not: bits that need no sign, and a mask that may be one of the guest's, too. */
function someBits(n: i32, w: i32): void {
  let mask: i64 = w == 1 ? 0xff : 0xffff;
  if (op(n) == Node.and && isConst(argB(n))) {
    mask &= imm(argB(n));
    n = argA(n);
  }
  emit32(raw(n, w));
  i32const(<i32>mask);
  byte(Wasm.i32and);
}

/** [] -> [i32 or i64]: `n` sign-extended from w bytes, in the smallest type that does. */
function operand(n: i32, w: i32): void {
  if (w == 8) { emit64(n); return; }
  emit32(n);
  if (isConst(n) || w == 4) return;
  byte(w == 1 ? Wasm.i32extend8 : Wasm.i32extend16);
}

/** [] -> [i32 or i64]: `n` as an operand of `w` bytes. */
export function value(n: i32, w: i32): void {
  if (w == 8) emit64(n);
  else emit32(n);
}

/** [] -> [i32, i64 x 4]: flag operands of an effect. */
export function flagOperands(e: usize): void {
  emit32(load<u16>(e, EffectOff.snap + 8));
  for (let i: usize = 0; i < 4; i++) emit64(load<u16>(e + (i << 1), EffectOff.snap));
}
