/** x87 registers as translated code holds them, and how they get there and back (x87.ts). Between `jitX87Enter` and `jitX87Leave` every
 *  register in use is a double, normal or zero, in a local; TOP and the tags are known; all exceptions are masked, PE is set already,
 *  results round to the nearest of 53 bits. So no instruction that stays within doubles changes anything of the status word but the
 *  condition codes, and whether C1 is 1 can be told later from the last instruction's operands. */
import { JitOff } from "../../abi/jit";
import { PcpuOff } from "../../abi/layout";
import { Cr0 } from "../../abi/x86";
import { fromDouble, roundToInteger, toSingle } from "../helpers/x87_convert";
import { performX87 } from "../helpers/x87_ops";
import { add80, div80, mul80, sqrt80 } from "../helpers/x87_soft80";
import { controlWord, flagged, Fsw, put, registerAt, resultSe, seAt, sigAt, statusWord, Work } from "../helpers/x87_state";
import { PCPU } from "../pcpu";
import { J } from "./buffer";
import { retranslate } from "./regions";

/** Where values are handed over, offsets from PCPU: f64[8], then the operands C1 follows from. */
export const enum Hand { values = PcpuOff.x87 + 64, a = PcpuOff.x87 + 128, b = PcpuOff.x87 + 136 }

/** State word of the locals: TOP and the tags, 0 while the registers are where the interpreter keeps them. */
export const enum State { active = 0x8000, TOP_SHIFT = 8, TAGS = 0xff }

/** How registers are held: in memory as the interpreter has them, of which translated code only keeps TOP and the tags (x87_extended.ts), or as doubles. */
export const enum Held { not = 0, doubles = 1, extended = 2, EXTENDED = 0x10000 }

/** What C1 follows from. */
export const enum Rounded { not = 0, sum = 1, product = 2, quotient = 3, root = 4, single = 5, integer = 6, same = 7 }

/** What the local of an empty register is until something is put there: no number that a register can be held as. */
export const UNTOUCHED: i64 = 0x7ff8000000000000;

/** Control word: all masked, round to nearest, 53 bits. */
const FIELDS: u32 = 0xf3f;
const DOUBLES: u32 = 0x23f;

/** Regions whose registers could not be had as doubles so often do without from then on. */
const FRUITLESS: u8 = 32;
const FRUITLESS_TOO: u8 = 64;

@inline function fruitlessAt(head: usize): usize { return J + JitOff.x87Fruitless + <usize>((<u32>head >> 5) & 127); }

function inDoubles(head: usize): bool {
  return (controlWord() & FIELDS) == DOUBLES && load<u8>(fruitlessAt(head)) < FRUITLESS;
}

/** How the registers are to be held in a region that begins at `head`, as things are now. */
export function heldAs(head: usize): u32 {
  if (inDoubles(head)) return Held.doubles;
  return isMasked() && load<u8>(fruitlessAt(head)) < FRUITLESS_TOO ? Held.extended : Held.not;
}

@inline function isMasked(): bool { return (controlWord() & Fsw.EXCEPTIONS) == Fsw.EXCEPTIONS; }

/** State word of the registers as they are. */
export function stateNow(): u32 { return State.active | (((statusWord() >> 11) & 7) << State.TOP_SHIFT) | load<u8>(PCPU, PcpuOff.ftag); }

@inline function isDouble(se: u32, sig: u64): bool {
  const exp = se & 0x7fff;
  return exp - (0x3fff - 1021) < 2045 ? <i64>sig < 0 && (sig & 0x7ff) == 0 : (exp | sig) == 0;
}

/** 1 if the registers are in the state `want` and all else is as it has to be; gives them as doubles unless EXTENDED. `now`: the state they are held in. */
export function jitX87Enter(want: u32, now: u32, head: usize): u32 {
  const extended = (want & Held.EXTENDED) != 0, limit = extended ? FRUITLESS_TOO : FRUITLESS;
  if (load<u32>(PCPU, PcpuOff.cr0) & (Cr0.EM | Cr0.TS)) return 0; // a fault, and then it is different
  if (now == 0 && isReady(want & 0xffff) && (extended ? isMasked() : enter(want))) return 1;
  const at = fruitlessAt(head), times = load<u8>(at);
  if (times < limit) store<u8>(at, times + 1);
  else retranslate(head);
  return 0;
}

@inline function isReady(want: u32): bool { return !(statusWord() & Fsw.ES) && stateNow() == want; }

function enter(want: u32): bool {
  if ((controlWord() & FIELDS) != DOUBLES || !(statusWord() & Fsw.PE)) return false;
  for (let k: u32 = 0; k < 8; k++) {
    if (!(want >> k & 1)) continue;
    const at = registerAt(k), se = seAt(at), sig = sigAt(at);
    if (!isDouble(se, sig)) return false;
    const bits = sig ? (<u64>((se & 0x7fff) - (0x3fff - 1023)) << 52) | (sig << 1 >> 12) : 0;
    store<u64>(PCPU + (<usize>k << 3), bits | (<u64>(se & 0x8000) << 48), Hand.values);
  }
  return true;
}

/** Back to where the interpreter keeps them: of registers `written` those that are not UNTOUCHED (what is there already is put there again, which is
 *  cheaper than to know about it), status as `state` and Rounded say. */
export function jitX87Leave(state: u32, written: u32, roundedAndOpcode: u32): void {
  const rounded = roundedAndOpcode & 0xff;
  for (; written; written &= written - 1) {
    const k = <u32>ctz(written), bits = load<u64>(PCPU + (<usize>k << 3), Hand.values), sign = <u32>(bits >> 48) & 0x8000, exp = <u32>(bits >> 52) & 0x7ff;
    if (exp == 0x7ff) continue;
    if (exp) put(registerAt(k), sign | (exp + (0x3fff - 1023)), (<u64>1 << 63) | (bits << 12) >> 1);
    else put(registerAt(k), sign, 0);
  }
  const c1 = rounded == Rounded.not ? 0 : rounded == Rounded.same ? statusWord() & Fsw.C1 : roundedUp(rounded);
  store<u16>(PCPU, <u16>((statusWord() & ~(Fsw.TOP | Fsw.C1)) | ((state >> State.TOP_SHIFT & 7) << 11) | c1), PcpuOff.fsw);
  store<u8>(PCPU, <u8>state, PcpuOff.ftag);
  store<u16>(PCPU, <u16>(roundedAndOpcode >> 8), PcpuOff.fop);
}

function roundedUp(rounded: u32): u32 {
  const a = fromDouble(load<u64>(PCPU, Hand.a)), aSe = resultSe();
  const b = fromDouble(load<u64>(PCPU, Hand.b)), bSe = resultSe();
  store<u32>(PCPU, 0, Work.exc);
  switch (<i32>rounded) {
    case Rounded.sum: add80(aSe, a, bSe, b, 0); break;
    case Rounded.product: mul80(aSe, a, bSe, b); break;
    case Rounded.quotient: div80(aSe, a, bSe, b); break;
    case Rounded.root: sqrt80(aSe, a); break;
    case Rounded.single: toSingle(aSe, a); break;
    default: roundToInteger(aSe, a);
  }
  return flagged() & Fsw.C1;
}

/* Regions that do not work on doubles call the helper: without saving anything where it touches neither general registers nor flags, and
 * with the memory operand found. */

export function jitX87(u: usize): usize {
  store<u32>(PCPU, <u32>u, PcpuOff.record);
  return performX87(u);
}

export function jitX87Memory(lin: u64, host: usize, u: usize): usize {
  store<u64>(PCPU, lin, Work.pointer);
  store<u32>(PCPU, <u32>host, Work.host);
  const next = jitX87(u);
  store<u32>(PCPU, 0, Work.host);
  return next;
}
