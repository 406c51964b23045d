/** x87 instructions in translated code: as arithmetic on doubles in wasm locals, one for each physical register, with TOP and the tags
 *  known while translating. That is exact where x87_runtime's conditions hold; each instruction leaves to the interpreter, with nothing
 *  changed yet, where its operands or its result are not normal doubles or zeros. A block expects the state the first edge to it
 *  had and compares the state word, a local, where the edges differ.
 *
 *  What hardware keeps for a handler (FIP, FDP) and C1 are locals too, which nobody computes unless the region is left. */
import { JitBlock } from "../../abi/jit";
import { RecFlag, RecOff } from "../../abi/record";
import { Handler } from "../handler";
import { PcpuOff } from "../../abi/layout";
import { Group, Op } from "../opcodes.gen";
import { PCPU } from "../pcpu";
import { J, Wasm, WasmType, access, byte, call, i32const, jget, jset, localGet, localSet, saveLong } from "./buffer";
import { Import } from "./imports";
import { blockOf, succ } from "./graph";
import { fresh } from "./slots";
import { F, L, UNKNOWN, UNKNOWN_ROUNDING, X, isX87, localOf, opOf, stackEffect, state, turned, widthOf } from "./x87_pieces";
import { ARGUMENT_BITS, Act, CHOP, actOf, argumentOf, formOf } from "./x87_forms";
import { chooseX87Bounds, forgetBounds, recallBounds, rememberBounds } from "./x87_range";
import { Hand, Held, Rounded, State, heldAs, stateNow } from "./x87_runtime";

export function noX87(): void {
  jset(X.on, Held.not);
  jset(X.asked, 0);
}

/** Whether record `u` of the region that begins at `head` is an x87 instruction; the first one decides how registers are held. */
export function takesX87(u: usize, head: usize): bool {
  if (!isX87(u) || opOf(u) > Op.fcomip) return false;
  if (!jget(X.asked)) {
    jset(X.asked, 1); // once: what is found for other blocks may differ
    jset(X.on, heldAs(head));
  }
  return true;
}

/** Bytes of the memory operand of x87 record `u`, + STORED if it is written, if code of this region looks for them as for any; else 0. */
export function x87Operand(u: usize): i32 {
  const flags = <i32>load<u8>(u, RecOff.flags), form = formOf(opOf(u)), argument = argumentOf(form);
  if (!jget(X.on) || !(flags & RecFlag.mem) || flags & RecFlag.seg || load<u64>(u, RecOff.mask) == 0xffff) return 0;
  switch (actOf(form)) {
    case Act.memory: return widthOf(argument >> ARGUMENT_BITS);
    case Act.load: return widthOf(argument);
    case Act.store: return widthOf(argument & ~CHOP) | STORED;
    default: return 0;
  }
}
export const STORED: i32 = 16;

export function beginX87(): void {
  jset(X.control, 0);
  jset(X.written, 0);
  if (!jget(X.on)) return;
  memory.fill(J + X.wanted, 0, 128);
  for (let n: usize = 0; n < 64; n++) store<u16>(J + (n << 1), <u16>UNKNOWN, X.out);
  chooseX87Bounds();
  if (jget(X.on) == Held.doubles) for (let i: u32 = 0; i <= <u32>L.s; i++) fresh(<u8>F.TYPE);
  jset(X.base, fresh(<u8>F.TYPE_I64) - L.ip);
  fresh(<u8>F.TYPE_I64);
  for (let i: u32 = L.state; i <= <u32>L.op; i++) fresh(<u8>F.TYPE_I32);
}

/** `from`: the only block that leads to block `n`, -1 if there may be several. */
export function beginBlockX87(n: u32, from: i32): void {
  if (!jget(X.on)) return;
  const wanted = load<u16>(J + (<usize>n << 1), X.wanted);
  jset(X.expect, wanted ? wanted : stateNow());
  jset(X.state, from < 0 ? UNKNOWN : load<u16>(J + (<usize>from << 1), X.out));
  jset(X.rounded, UNKNOWN_ROUNDING);
  jset(X.control, 0);
  forgetBounds();
  if (from >= 0 && state() & State.active) recallBounds(from);
}

export function endBlockX87(n: u32): void {
  if (!jget(X.on)) return;
  const b = blockOf(n), s = state(), next = s & State.active ? s : jget(X.expect);
  store<u16>(J + (<usize>n << 1), <u16>s, X.out);
  rememberBounds(n);
  for (let k: u32 = 0; k < <u32>load<u8>(b, JitBlock.succCount); k++) {
    const to = succ(b, k);
    if (to != 0xff && !load<u16>(J + (<usize>to << 1), X.wanted)) store<u16>(J + (<usize>to << 1), <u16>next, X.wanted);
  }
}

/** [] -> []: the registers are where the interpreter keeps them. */
export function loadX87(): void {
  if (!jget(X.on)) return;
  i32const(0);
  localSet(localOf(L.state));
}

/** [] -> []: brings them there; at the `end` of the function, when all of its code has been written, or in the middle. */
export function saveX87(end: bool): void {
  if (!jget(X.on)) return;
  localGet(localOf(L.state));
  byte(Wasm.if_);
  byte(WasmType.void_);
  const doubles = jget(X.on) == Held.doubles;
  if (doubles) for (let i: u32 = 0; i <= <u32>L.b; i++) {
    i32const(0);
    localGet(localOf(i));
    access(F.f64store, <u32>PCPU + Hand.values + (i << 3));
  }
  for (let i: u32 = 0; i < 2; i++) saveLong(PcpuOff.fip + (i << 3), localOf(L.ip + i));
  localGet(localOf(L.state));
  if (doubles) {
    i32const(end ? jget(X.written) : 0xff);
    localGet(localOf(L.rounded));
  } else {
    i32const(0);
    i32const(Rounded.same);
  }
  localGet(localOf(L.op));
  i32const(8);
  byte(Wasm.i32shl);
  byte(Wasm.i32or);
  call(Import.x87Leave);
  byte(Wasm.end);
}

/** [] -> []: after the helper of record `u`, for which everything was saved. Those of integer instructions leave the registers alone. */
export function afterColdX87(u: usize): void {
  if (!jget(X.on)) return;
  const group = <i32>load<u8>(u, RecOff.desc + 1), op = opOf(u);
  const cold = load<u16>(u, RecOff.handler) == Handler.cold;
  const keeps = !cold || group == Group.integer || group == Group.string || group == Group.locked
    || (group == Group.x87 && (op == Op.fnstcw || op == Op.fnstsw_ax || op == Op.fnstsw_m16 || op == Op.fwait));
  if (keeps) return;
  loadX87();
  if (group == Group.x87) {
    const before = state() & State.active ? state() : jget(X.expect);
    jset(X.expect, op == Op.fninit || op == Op.fnsave ? State.active : turned(before, stackEffect(op)));
    if (op == Op.fldcw && jget(X.on) == Held.doubles) jset(X.control, jget(X.control) ^ 1);
  }
  jset(X.state, 0);
  forgetBounds();
}
