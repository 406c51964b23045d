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
 *  ``` */
import { JitBlock, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { BlockOff } from "../code_cache";
import { Handler } from "../handler";
import { Template } from "../opcodes.gen";
import { performAny } from "../perform";
import { Alu, Form } from "../semantics/alu";
import { J, Wasm, byte, i32const, jset, jget, localGet, localSet } from "./buffer";
import { Emit, carryLevel, setCarryLevel } from "./emit";
import { entryAt } from "./entries";
import { NONE, blockOf, headOf, ordered, succ } from "./graph";
import { local32 } from "./node";
import { flagsLive, isShort, isStraddle, isTemplate, registersIn, templateOf } from "./region";
import { CURRENT_SLOTS, Local, Slot, cur, setCur } from "./slots";

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
  if (load<u32>(b, JitBlock.allPreds) != 1 || load<u8>(b, JitBlock.extra) || load<u8>(b, JitBlock.succCount) != 1 || succ(b, 0) != to || isEntry(arm)) return false;
  return isSimple(b) && !flagsLive(to);
}

function isEntry(n: u32): bool {
  for (let k: u32 = 0; k < jget(JitOff.entryCount); k++) if (entryAt(k) == n) return true;
  return false;
}

@inline function firstOf(b: usize): usize { return headOf(b) + RecOff.SIZE; }
/** Behind the last instruction of an arm that does anything: there is what leads on. */
@inline function endOfArm(b: usize): usize { return <usize>load<u32>(b, JitBlock.term); }

/** All instructions of `b` compute registers from registers, and from no flags; the last one leads on. */
function isSimple(b: usize): bool {
  const end = endOfArm(b);
  if (!end || end - firstOf(b) > MAX_INSNS * RecOff.SIZE) return false;
  if (!isShort(b) && load<u16>(end, RecOff.handler) != Handler.goto && templateOf(end) != Template.jmp) return false;
  for (let u = firstOf(b); u < end; u += RecOff.SIZE) if (!computes(u)) return false;
  return true;
}

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
  for (let u = firstOf(b); u < end; u += RecOff.SIZE) {
    jset(JitOff.insnStart, <u32>u);
    performAny<Emit, i32>(emit, u);
  }
  for (let slot: u32 = 0; slot < CURRENT_SLOTS; slot++) {
    const old = load<i32>(J + (<usize>slot << 2), JitOff.planned);
    if (cur(slot) == old) continue;
    setCur(slot, slot < <u32>Slot.flagsRes ? emit.select(condition, old, cur(slot)) : old);
  }
  setCarryLevel(level);
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
