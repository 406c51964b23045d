/** Arms: a few instructions that a branch jumps over. The host's processor foretells such a branch badly where it depends on data, and a wrong guess costs
 *  more than the instructions do. So if all of them compute registers from registers, and nobody sees the flags they leave, the block that branches
 *  performs them as well, and chooses each register they change:
 *
 *  ```
 *        test edx, 0x100            eax' := edx * 32 - edx
 *        jnz  on                    eax  := edx & 0x100 ? eax : eax'
 *        mov  eax, edx              left := left - (edx & 0x100 ? 0 : 3)
 *        shl  eax, 5
 *        sub  eax, edx
 *  on:   add  ecx, 0x1a0
 *  ```
 *
 *  An arm may end with a store to where the block that branches has just stored, as compilers with few registers choose between two values of a
 *  variable. Where a span has that place, nothing happens between the two, and one store has the value that is meant. */
import { JitBlock, JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { BlockOff } from "../code_cache";
import { Handler } from "../handler";
import { Template } from "../opcodes.gen";
import { isReadAnew } from "../patched";
import { performAny } from "../perform";
import { Alu, Form, fa, imm32 } from "../semantics/alu";
import { J, Wasm, byte, i32const, jset, jget, localGet, localSet } from "./buffer";
import { Effect, EffectOff, Host, effectAt, inSpan } from "./effect";
import { Emit, carryLevel, setCarryLevel } from "./emit";
import { entryAt } from "./entries";
import { NONE, blockOf, headOf, ordered, succ } from "./graph";
import { constant, local32, use } from "./node";
import { flagsLive, isSameAddress, isSegmented, isShort, isStraddle, isTemplate, registersIn, templateOf } from "./region";
import { CURRENT_SLOTS, Local, Slot, cur, setCur } from "./slots";
import { giveUpStores } from "./spans";
import { storeValue } from "./stores";

/** More would take longer than half of the guesses that go wrong. */
const MAX_INSNS: u32 = 3;

/** Block `n` performs its arm. */
@inline export function hasArm(n: u32): bool { return n != JitBlock.DISPATCH && (load<u64>(J, JitOff.arms) >> n & 1) != 0; }
/** The block that is the arm of block `n`. */
@inline export function armOf(n: u32): u32 { return succ(blockOf(n), 1); }

/** Chooses the arms of the region, whose blocks are in order; true if there are any, and the order has to be made anew. */
export function chooseArms(): bool {
  const count = jget(JitOff.order);
  let arms: u64 = 0;
  store<u64>(J, 0, JitOff.trusted);
  for (let i: u32 = 0; i < count; i++) {
    const n = ordered(i);
    if (n == JitBlock.DISPATCH || !branchesOver(blockOf(n))) continue;
    arms |= <u64>1 << n;
  }
  store<u64>(J, arms, JitOff.arms);
  for (let left = arms; left; left &= left - 1) store<u8>(blockOf(<u32>ctz(left)), 1, JitBlock.succCount);
  return arms != 0;
}

function branchesOver(a: usize): bool {
  const u = <usize>load<u32>(a, JitBlock.term);
  if (load<u8>(a, JitBlock.succCount) != 2 || load<u8>(a, JitBlock.extra) || !u || isShort(a) || !isTemplate(u) || templateOf(u) != Template.jcc) return false;
  const to = succ(a, 0), arm = succ(a, 1);
  if (to == NONE || arm == NONE || to == arm) return false;
  const b = blockOf(arm), j = blockOf(to), ripBase = load<u64>(a, JitBlock.ripBase);
  if (b == a || j == a || isStraddle(headOf(b)) || isStraddle(headOf(j)) || load<u64>(b, JitBlock.ripBase) != ripBase || load<u64>(j, JitBlock.ripBase) != ripBase) return false;
  if (load<u16>(b, JitBlock.allPreds) != 1 || load<u8>(b, JitBlock.extra) || load<u8>(b, JitBlock.succCount) != 1 || succ(b, 0) != to || isEntry(arm)) return false;
  return isSimple(a, b) && (!flagsLive(to) || trusts(b, to));
}

function isEntry(n: u32): bool {
  for (let k: u32 = 0; k < jget(JitOff.entryCount); k++) if (entryAt(k) == n) return true;
  return false;
}

/** What sees the flags of block `to` are only accesses to where arm `b` stores. If they are in spans, they do not leave, and nobody does. */
function trusts(b: usize, to: u32): bool {
  const last = endOfArm(b) - RecOff.SIZE;
  if (!isStore(last) || flagsLive(to, last)) return false;
  store<u64>(J, load<u64>(J, JitOff.trusted) | <u64>1 << to, JitOff.trusted);
  return true;
}

@inline function firstOf(b: usize): usize { return headOf(b) + RecOff.SIZE; }
/** Behind the last instruction of an arm that does anything: there is what leads on. */
@inline function endOfArm(b: usize): usize { return <usize>load<u32>(b, JitBlock.term); }

/** All instructions of `b`, the arm of `a`, compute registers from registers, and from no flags, but for a store at the end; the last one leads on. */
function isSimple(a: usize, b: usize): bool {
  const end = endOfArm(b);
  if (!end || end - firstOf(b) > MAX_INSNS * RecOff.SIZE) return false;
  if (!isShort(b) && load<u16>(end, RecOff.handler) != Handler.goto && templateOf(end) != Template.jmp) return false;
  for (let u = firstOf(b); u < end; u += RecOff.SIZE) if (!computes(u) && (u + RecOff.SIZE != end || !storesAgain(a, b, u))) return false;
  return true;
}

@inline function formOf(u: usize): i32 { return <i32>load<u16>(u, RecOff.desc) & 7; }

function isStore(u: usize): bool {
  const form = formOf(u);
  return isTemplate(u) && templateOf(u) == Template.mov && (form == Form.mr || form == Form.mi || form == Form.mrb || form == Form.mib) && !isReadAnew(u) && !isSegmented(u);
}

/** Store `u` of arm `b` goes where a store of block `a` went, behind which there are only registers. */
function storesAgain(a: usize, b: usize, u: usize): bool {
  if (!jget(JitOff.storeArms) || !isStore(u)) return false;
  const head = headOf(a), address = addressOf(u);
  if (<u32>(registersIn(firstOf(b), u, headOf(b)) >> 32) & address) return false;
  for (let v = <usize>load<u32>(a, JitBlock.term) - RecOff.SIZE; v > head; v -= RecOff.SIZE) {
    if (isStore(v)) return widthOf(u) == widthOf(v) && isSameAddress(u, v);
    if ((!computes(v) && !compares(v)) || <u32>(registersIn(v, v + RecOff.SIZE, head) >> 32) & address) return false;
  }
  return false;
}

/** General registers in the address of `u`, as bits. */
function addressOf(u: usize): u32 { return bitOf(load<u8>(u, RecOff.base)) | bitOf(load<u8>(u, RecOff.index)); }
@inline function bitOf(r: u32): u32 { return r < <u32>PcpuOff.zero ? <u32>1 << (r >> 3) : 0; }

function compares(u: usize): bool {
  const form = formOf(u);
  return isTemplate(u) && templateOf(u) == Template.alu && (form == Form.rr || form == Form.ri);
}

@inline function widthOf(u: usize): i32 { return 1 << (<i32>load<u16>(u, RecOff.desc) >> 3 & 3); }

function computes(u: usize): bool {
  if (!isTemplate(u)) return false;
  const d = <i32>load<u16>(u, RecOff.desc), form = d & 7, op = (d >> 5) & 15, t = d >> 9;
  if (t == Template.lea || t == Template.nop) return true;
  if (form != Form.rr && form != Form.ri) return false;
  switch (t) {
    case Template.mov: case Template.movx: return true;
    case Template.alu: return op < Alu.cmp && op != Alu.adc && op != Alu.sbb;
    case Template.shift: return op > 3; // no rotation
    case Template.unary: return op >= 2; // NOT, NEG: the others keep CF
    default: return false;
  }
}

/** What the arm of block `n` does to the slots, if local `c` is 0. */
export function performArm(n: u32, c: u32): void {
  const b = blockOf(armOf(n)), end = endOfArm(b), level = carryLevel(), condition = local32(c), emit = changetype<Emit>(J);
  memory.copy(J + JitOff.planned, J + JitOff.cur, CURRENT_SLOTS * 4);
  jset(JitOff.armWidth, 0);
  for (let u = firstOf(b); u < end; u += RecOff.SIZE) {
    jset(JitOff.insnStart, <u32>u);
    if (isStore(u)) mergeStores(u, condition);
    else performAny<Emit, i32>(emit, u);
  }
  for (let slot: u32 = 0; slot < CURRENT_SLOTS; slot++) {
    const old = load<i32>(J + (<usize>slot << 2), JitOff.planned);
    if (cur(slot) == old) continue;
    setCur(slot, slot < <u32>Slot.flagsRes ? emit.select(condition, old, cur(slot)) : old);
  }
  setCarryLevel(level);
}

/** Makes store `u` of an arm, which is performed if `condition` is 0, and the one of the block before it a single one. Whether a span has it is not known
 *  when arms are chosen: if none has, the region is written again without such arms. */
function mergeStores(u: usize, condition: i32): void {
  const form = formOf(u), w = widthOf(u), emit = changetype<Emit>(J);
  for (let i = jget(JitOff.effectCount); i > 0; i--) {
    const e = effectAt(i - 1), op = load<u8>(e, EffectOff.op);
    if (op == Effect.cond || op == Effect.carry) continue;
    if (op != Effect.store || !inSpan(e)) break;
    const x = emit.select(condition, load<i32>(e, EffectOff.a), form == Form.mi || form == Form.mib ? constant(imm32(u)) : emit.reg(fa(u), w));
    use(x);
    store<u8>(e, Effect.nothing);
    jset(JitOff.armHost, load<u32>(e, EffectOff.h));
    jset(JitOff.armValue, <u32>x);
    jset(JitOff.armWidth, <u32>w);
    return;
  }
  giveUpStores();
}

/** [] -> []: the store of block and arm, if they have one. */
export function storeOfArm(): void {
  const w = <i32>jget(JitOff.armWidth), host = jget(JitOff.armHost);
  if (!w) return;
  localGet(host & Host.local);
  storeValue(<i32>jget(JitOff.armValue), 0, w, host >> Host.DISPLACEMENT);
}

/** [] -> []: counts the instructions of that arm if local `c` is 0. */
export function countArm(n: u32, c: u32): void {
  const b = blockOf(armOf(n));
  let count = <i32>load<u16>(headOf(b), BlockOff.count);
  if (isShort(b)) count -= <i32>load<u16>(headOf(blockOf(succ(b, 0))), BlockOff.count);
  localGet(Local.left);
  i32const(0);
  i32const(count);
  localGet(c);
  byte(Wasm.select);
  byte(Wasm.i32sub);
  localSet(Local.left);
}

/** Registers that the arm of block `n` names, and those that it changes in the upper half; 0 if it has none. */
export function registersOfArm(n: u32): u64 {
  if (!hasArm(n)) return 0;
  const b = blockOf(armOf(n));
  return registersIn(firstOf(b), endOfArm(b), headOf(b));
}
