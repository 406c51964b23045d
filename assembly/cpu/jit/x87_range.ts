/** How large x87 registers that are held as doubles can be: the bounds of sse_range, of physical registers while a block is written. Of a register about
 *  which nothing is known it holds that it is zero or normal. Stack machines copy much: registers that hold the same number are known, too, so that
 *  it is asked once. */
import { JitBlock, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { J, jget, jset } from "./buffer";
import { blockOf, headOf, ordered } from "./graph";
import { endOf } from "./region";
import { isDoubtful } from "./span_runtime";
import { Doubt } from "./sse_mode";
import { askedBounds, highOf, lowOf, makeBounds, productBounds, unitOf, within } from "./sse_range";
import { X, isX87 } from "./x87_pieces";

/** i16 distance of the exponents from 0, i16 unit. */
@inline function at(k: u32): usize { return J + X.bounds + (<usize>k << 2); }

export function registerBounds(k: u32): i64 {
  const far = <i32>load<i16>(at(k));
  return makeBounds(-far, load<i16>(at(k), 2), far);
}
export function setRegisterBounds(k: u32, x: i64): void {
  store<i16>(at(k), <i16>max(-lowOf(x), highOf(x)));
  store<i16>(at(k), <i16>unitOf(x), 2);
}

/** A block begins, or something else may have put anything there. */
export function forgetBounds(): void {
  jset(JitOff.x87Copies, 0x76543210);
  for (let k: u32 = 0; k < 8; k++) setRegisterBounds(k, makeBounds(-1022, -1074, 1024));
}

/* Of registers that hold the same number each names the same one of them. */

@inline function nameOf(k: u32): u32 { return jget(JitOff.x87Copies) >> (k << 2) & 15; }
@inline function setName(k: u32, name: u32): void { jset(JitOff.x87Copies, (jget(JitOff.x87Copies) & ~(15 << (k << 2))) | name << (k << 2)); }
export function isCopy(a: u32, b: u32): bool { return nameOf(a) == nameOf(b); }

/** Register `k` gets a new number, within `x`. */
export function overwrite(k: u32, x: i64): void {
  let heir: u32 = 8;
  for (let i: u32 = 0; i < 8; i++) {
    if (i == k || nameOf(i) != k) continue;
    if (heir == 8) heir = i;
    setName(i, heir);
  }
  setName(k, k);
  setRegisterBounds(k, x);
}
/** Register `to` gets that of `from`. */
export function copyBounds(to: u32, from: u32): void {
  if (to == from) return;
  overwrite(to, registerBounds(from));
  setName(to, nameOf(from));
}
export function exchangeBounds(a: u32, b: u32): void {
  const x = registerBounds(a), names = jget(JitOff.x87Copies);
  setRegisterBounds(a, registerBounds(b));
  setRegisterBounds(b, x);
  for (let i: u32 = 0; i < 8; i++) setName(exchanged(i, a, b), exchanged(names >> (i << 2) & 15, a, b));
}
@inline function exchanged(i: u32, a: u32, b: u32): u32 { return i == a ? b : i == b ? a : i; }
/** Register `k` was asked, and so all that hold the same. */
export function markAskedRegister(k: u32): void { for (let i: u32 = 0; i < 8; i++) if (isCopy(i, k)) setRegisterBounds(i, askedBounds(true)); }

/* What is known where block `n` ends, for a block that only it leads to: bits of the registers within askedBounds, in the upper half within productBounds. */

@inline function endOfBlock(n: u32): usize { return J + JitOff.x87AtEnd + <usize>n * 512; }
export function rememberBounds(n: u32): void {
  let known: u32 = 0;
  for (let k: u32 = 0; k < 8; k++) {
    if (within(registerBounds(k), askedBounds(true))) known |= 1 << k;
    if (within(registerBounds(k), productBounds(true))) known |= 0x100 << k;
  }
  store<u16>(endOfBlock(n), <u16>known);
}
export function recallBounds(n: u32): void {
  const known = <u32>load<u16>(endOfBlock(n));
  for (let k: u32 = 0; k < 8; k++) {
    if (known >> k & 1) setRegisterBounds(k, askedBounds(true));
    else if (known >> (k + 8) & 1) setRegisterBounds(k, productBounds(true));
  }
}

/** Decides for the region whether operands that are far from 1 leave, so that results need no look. */
export function chooseX87Bounds(): void {
  let bounded: u32 = 1;
  const count = jget(JitOff.order);
  for (let i: u32 = 0; i < count; i++) {
    const n = ordered(i);
    if (n == JitBlock.DISPATCH) continue;
    const b = blockOf(n), end = endOf(b);
    for (let u = headOf(b) + RecOff.SIZE; u < end; u += RecOff.SIZE) if (isX87(u) && isDoubtful(u + Doubt.range)) bounded = 0;
  }
  jset(JitOff.x87Bounded, bounded);
}
