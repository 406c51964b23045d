/** Integer instructions that are not templates: rotates through carry, BCD, BMI, exchanges without LOCK, odd stack forms, LOOP
 *  and JCXZ. One function over Op; operands as operand.ts defines them. */
import { FlagsKind, Mode, PcpuOff, Seg } from "../../abi/layout";
import { RecFlag, RecOff } from "../../abi/record";
import { Flag, Gpr, Vector } from "../../abi/x86";
import { fail, failError } from "../../fault";
import { ld8, probeW } from "../access";
import { carry, setCarry, setStatus, status } from "../flags";
import { enter } from "../code_cache";
import { Op } from "../opcodes.gen";
import { addressSize, byteRegister, ea, eaOffset, getReg, imm, isMem, opSize, regField, rmField, ripOf, setReg } from "../operand";
import { PCPU } from "../pcpu";
import { aluFlags } from "./arith";
import { badTargetChecked } from "../checked";
import { checkedEa } from "./segment";
import { ldN, setRsp, stN, stackMask } from "./stack";
import { mulHigh, sextN, zextN } from "../wide";
import { rotateCarry } from "./shift";

/** Register operand `n`, zero-extended from `w` bytes. */
export function gpr(u: usize, n: i32, w: i32): u64 { return w == 1 ? <u64>load<u8>(byteRegister(u, n)) : getReg(n, w); }
export function setGpr(u: usize, n: i32, w: i32, x: u64): void {
  if (w == 1) store<u8>(byteRegister(u, n), <u8>x);
  else setReg(n, w, x);
}

/** The E operand, read. */
function readE(u: usize, w: i32): u64 { return isMem(u) ? ldN(ea(u, w, false), w) : gpr(u, rmField(u), w); }
function writeE(u: usize, w: i32, x: u64): void {
  if (isMem(u)) stN(ea(u, w, true), w, x);
  else setGpr(u, rmField(u), w, x);
}

/** RCL and RCR of the E operand by `count`, which is masked here; a masked count of 0, of any shift, still accesses memory. */
function rotateE(u: usize, right: bool, count: i32): void {
  const w = opSize(u), n = <u32>count & (w == 8 ? 63 : 31);
  if (isMem(u)) {
    const at = ea(u, w, true);
    probeW(at, w);
    const x = ldN(at, w);
    if (n) stN(at, w, rotateCarry(right, w, x, n));
    return;
  }
  const x = gpr(u, rmField(u), w);
  setGpr(u, rmField(u), w, n ? rotateCarry(right, w, x, n) : x);
}

function logicFlags(r: u64, w: i32): void {
  store<u64>(PCPU, sextN(r, w), PcpuOff.flagsRes);
  store<u32>(PCPU, FlagsKind.logic, PcpuOff.flagsKind);
}

/** DAA and DAS (SDM Vol.2A): the carry out of the first adjustment is kept only if the second one sets it too, or it was
 *  there before. */
function decimalAdjust(subtract: bool): void {
  const al = <u32>load<u8>(PCPU, 0), old = status(), cf = (old & Flag.CF) != 0;
  const low = (al & 15) > 9 || (old & Flag.AF) != 0, high = al > 0x99 || cf;
  let r = al, c = high;
  if (low) {
    r = subtract ? r - 6 : r + 6;
    c = c || (subtract ? al < 6 : al > 0xf9);
  }
  if (high) r = subtract ? r - 0x60 : r + 0x60;
  store<u8>(PCPU, <u8>r, 0);
  resultFlags(<u8>r, (c ? Flag.CF : 0) | (low ? Flag.AF : 0));
}

/** SF ZF PF from a byte result, plus `more`; OF clear. */
function resultFlags(r: u8, more: u32): void {
  setStatus(more | (r & 0x80 ? Flag.SF : 0) | (r == 0 ? Flag.ZF : 0) | (popcnt<u32>(r) & 1 ? 0 : Flag.PF));
}

function asciiAdjust(subtract: bool): void {
  const ax = load<u16>(PCPU, 0), adjust = (ax & 15) > 9 || (status() & Flag.AF) != 0;
  let r: u32 = ax;
  if (adjust) r = subtract ? r - 0x106 : r + 0x106;
  store<u16>(PCPU, <u16>(r & 0xff0f), 0);
  resultFlags(<u8>(r & 15), adjust ? Flag.CF | Flag.AF : 0);
}

/** A fault in the middle of PUSHA or POPA leaves SP as it was, and memory or registers half done, as processors do. */
function pushAll(w: i32): void {
  const mask = stackMask(), sp = load<u64>(PCPU, Gpr.rsp * 8);
  for (let i = 0; i < 8; i++) stN(checkedEa(Seg.ss, (sp - <u64>((i + 1) * w)) & mask, w, true), w, i == Gpr.rsp ? sp : getReg(i, w));
  setRsp((sp - <u64>(8 * w)) & mask, mask);
}

function popAll(w: i32): void {
  const mask = stackMask(), sp = load<u64>(PCPU, Gpr.rsp * 8);
  for (let i = 0; i < 8; i++) {
    const x = ldN(checkedEa(Seg.ss, (sp + <u64>(i * w)) & mask, w, false), w);
    if (7 - i != Gpr.rsp) setReg(7 - i, w, x);
  }
  setRsp((sp + <u64>(8 * w)) & mask, mask);
}

/** ENTER with nesting level 0..31 (SDM Vol.2A): pushes the frame pointer, copies outer frame pointers, reserves space. */
function enterFrame(u: usize): void {
  const w = opSize(u), mask = stackMask(), frame = imm(u) & 0xffff, level = (imm(u) >> 16) & 31;
  const rsp = load<u64>(PCPU, Gpr.rsp * 8), rbp = load<u64>(PCPU, Gpr.rbp * 8);
  let sp = (rsp - <u64>w) & mask;
  const frameTemp = sp;
  stN(checkedEa(Seg.ss, sp, w, true), w, rbp);
  if (level > 0) {
    for (let i = 1; i < level; i++) {
      const x = ldN(checkedEa(Seg.ss, (rbp - <u64>(i * w)) & mask, w, false), w);
      sp = (sp - <u64>w) & mask;
      stN(checkedEa(Seg.ss, sp, w, true), w, x);
    }
    sp = (sp - <u64>w) & mask;
    stN(checkedEa(Seg.ss, sp, w, true), w, mask == 0xffff ? (rsp & ~(<u64>0xffff)) | frameTemp : frameTemp);
  }
  sp = (sp - <u64>frame) & mask;
  probeW(checkedEa(Seg.ss, sp, w, true), w);
  setRsp(sp, mask);
  setReg(Gpr.rbp, w, mask == 0xffff ? (rsp & ~(<u64>0xffff)) | frameTemp : frameTemp);
}

/** LOOPcc and JCXZ count at address size and branch near. */
function loopBranch(u: usize, op: i32): usize {
  const a = addressSize(u), count = getReg(Gpr.rcx, a) - (op == Op.jcxz ? 0 : 1), left = zextN(count, a);
  let take = op == Op.jcxz ? left == 0 : left != 0;
  const zf = (status() & Flag.ZF) != 0;
  if (op == Op.loope) take = take && zf;
  else if (op == Op.loopne) take = take && !zf;
  if (!take) {
    if (op != Op.jcxz) setReg(Gpr.rcx, a, count);
    return u + RecOff.SIZE;
  }
  const bits = load<u32>(PCPU, PcpuOff.mode) & Mode.BITS;
  let rip = load<u64>(PCPU, PcpuOff.ripBase) + <u64>(<i64>imm(u));
  if (bits != Mode.bits64) rip &= opSize(u) == 2 ? 0xffff : 0xffffffff;
  if (badTargetChecked(rip, u)) return 0;
  if (op != Op.jcxz) setReg(Gpr.rcx, a, count);
  return enter(rip);
}

/** VEX.vvvv: a register number in the field the form does not need, the rm register or the displacement. */
@inline function vvvv(u: usize): i32 { return isMem(u) ? <i32>load<u8>(u, RecOff.rm) : <i32>load<u8>(u, RecOff.disp); }

function carryAdd(u: usize, w: i32, flag: u32): void {
  const bit = flag == Flag.CF ? 0 : 11;
  const x = readE(u, w), a = getReg(regField(u), w), c = <u64>((status() >> bit) & 1);
  const sum = zextN(a + x + c, w), out = sum < a || (c != 0 && sum == a);
  setReg(regField(u), w, sum);
  setStatus((status() & ~flag) | (out ? flag : 0));
}

function extractBits(x: u64, mask: u64): u64 {
  let r: u64 = 0;
  for (let to: u64 = 1; mask; to <<= 1) {
    const low = mask & (0 - mask);
    if (x & low) r |= to;
    mask ^= low;
  }
  return r;
}

function depositBits(x: u64, mask: u64): u64 {
  let r: u64 = 0;
  for (let from: u64 = 1; mask; from <<= 1) {
    const low = mask & (0 - mask);
    if (x & from) r |= low;
    mask ^= low;
  }
  return r;
}

export function performInteger(u: usize): usize {
  const op = <i32>load<u16>(u, RecOff.op), w = opSize(u);
  switch (op) {
    case Op.rcl: rotateE(u, false, imm(u)); break;
    case Op.rcr: rotateE(u, true, imm(u)); break;
    case Op.rcl_cl: rotateE(u, false, load<u8>(PCPU, Gpr.rcx * 8)); break;
    case Op.rcr_cl: rotateE(u, true, load<u8>(PCPU, Gpr.rcx * 8)); break;
    case Op.rol:
    case Op.ror:
    case Op.sal:
    case Op.shl:
    case Op.shr:
    case Op.sar:
    case Op.shld:
    case Op.shrd: rotateE(u, false, 0); break;
    case Op.movnti: stN(ea(u, w, true), w, getReg(regField(u), w)); break;
    case Op.adcx: carryAdd(u, w, Flag.CF); break;
    case Op.adox: carryAdd(u, w, Flag.OF); break;
    case Op.movoffs: setGpr(u, Gpr.rax, w, ldN(moffs(u, w, false), w)); break;
    case Op.movoffs_store: stN(moffs(u, w, true), w, gpr(u, Gpr.rax, w)); break;
    case Op.cmpxchg8b: compareExchangePair(u); break;
    case Op.pop: {
      // POP to memory: an address based on RSP uses the incremented one
      const mask = stackMask(), sp = load<u64>(PCPU, Gpr.rsp * 8);
      const x = ldN(checkedEa(Seg.ss, sp & mask, w, false), w);
      setRsp(sp + <u64>w, mask);
      const next = load<u64>(PCPU, Gpr.rsp * 8), offset = eaOffset(u);
      store<u64>(PCPU, sp, Gpr.rsp * 8);
      stN(load<u8>(u, RecOff.flags) & RecFlag.seg ? checkedEa(load<u8>(u, RecOff.seg), offset, w, true) : offset, w, x);
      store<u64>(PCPU, next, Gpr.rsp * 8);
      break;
    }
    case Op.pusha: pushAll(w); break;
    case Op.popa: popAll(w); break;
    case Op.enter: enterFrame(u); break;
    case Op.loop:
    case Op.loope:
    case Op.loopne:
    case Op.jcxz: return loopBranch(u, op);
    case Op.sahf: {
      const ah = <u32>load<u8>(PCPU, 1);
      setStatus((status() & Flag.OF) | (ah & 0xd5));
      break;
    }
    case Op.lahf: store<u8>(PCPU, <u8>((status() & 0xd5) | 2), 1); break;
    case Op.xlat: {
      const a = addressSize(u), offset = zextN(load<u64>(PCPU, Gpr.rbx * 8) + <u64>load<u8>(PCPU, 0), a);
      store<u8>(PCPU, <u8>ld8(checkedEa(load<u8>(u, RecOff.seg), offset, 1, false)), 0);
      break;
    }
    case Op.salc: store<u8>(PCPU, carry() ? 0xff : 0, 0); break;
    case Op.daa: decimalAdjust(false); break;
    case Op.das: decimalAdjust(true); break;
    case Op.aaa: asciiAdjust(false); break;
    case Op.aas: asciiAdjust(true); break;
    case Op.aam: {
      const by = <u32>imm(u) & 0xff;
      if (by == 0) fail(Vector.DE);
      const al = <u32>load<u8>(PCPU, 0);
      store<u16>(PCPU, <u16>(((al / by) << 8) | (al % by)), 0);
      resultFlags(<u8>(al % by), 0);
      break;
    }
    case Op.aad: {
      const al = (<u32>load<u8>(PCPU, 0) + <u32>load<u8>(PCPU, 1) * (<u32>imm(u) & 0xff)) & 0xff;
      store<u16>(PCPU, <u16>al, 0);
      resultFlags(<u8>al, 0);
      break;
    }
    case Op.andn: {
      const r = ~getReg(vvvv(u), w) & readVex(u, w);
      setReg(regField(u), w, r);
      logicFlags(r, w);
      break;
    }
    case Op.blsr:
    case Op.blsmsk:
    case Op.blsi: {
      const x = readVex(u, w);
      const r = zextN(op == Op.blsr ? x & (x - 1) : op == Op.blsmsk ? x ^ (x - 1) : x & (0 - x), w);
      setReg(vvvv(u), w, r);
      logicFlags(r, w);
      setCarry(u32(op == Op.blsi ? x != 0 : x == 0));
      break;
    }
    case Op.bzhi: {
      const x = readVex(u, w), n = getReg(vvvv(u), w) & 0xff, bits = <u64>w * 8;
      const r = n < bits ? x & ((<u64>1 << n) - 1) : x;
      setReg(regField(u), w, r);
      logicFlags(r, w);
      setCarry(u32(n >= bits));
      break;
    }
    case Op.bextr: {
      const x = readVex(u, w), control = getReg(vvvv(u), w), start = control & 0xff, n = (control >> 8) & 0xff;
      let r = start > 63 ? 0 : x >> start;
      if (n < 64) r &= (<u64>1 << n) - 1;
      setReg(regField(u), w, r);
      logicFlags(r, w);
      break;
    }
    case Op.pext: setReg(regField(u), w, extractBits(getReg(vvvv(u), w), readVex(u, w))); break;
    case Op.pdep: setReg(regField(u), w, depositBits(getReg(vvvv(u), w), readVex(u, w))); break;
    case Op.mulx: {
      const x = readVex(u, w), d = getReg(Gpr.rdx, w);
      const high = w == 8 ? mulHigh(d, x) : (d * x) >> 32;
      setReg(vvvv(u), w, d * x);
      setReg(regField(u), w, high);
      break;
    }
    case Op.shlx: setReg(regField(u), w, readVex(u, w) << (getReg(vvvv(u), w) & (w == 8 ? 63 : 31))); break;
    case Op.shrx: setReg(regField(u), w, readVex(u, w) >> (getReg(vvvv(u), w) & (w == 8 ? 63 : 31))); break;
    case Op.sarx: setReg(regField(u), w, <u64>(<i64>sextN(readVex(u, w), w) >> <i64>(getReg(vvvv(u), w) & (w == 8 ? 63 : 31)))); break;
    case Op.rorx: {
      const x = readVex(u, w), n = <u64>imm(u) & (w == 8 ? 63 : 31);
      setReg(regField(u), w, n == 0 ? x : w == 8 ? rotr<u64>(x, n) : <u64>rotr<u32>(<u32>x, <u32>n));
      break;
    }
    default: fail(Vector.UD);
  }
  return u + RecOff.SIZE;
}

function readVex(u: usize, w: i32): u64 { return isMem(u) ? ldN(ea(u, w, false), w) : getReg(rmField(u), w); }
function moffs(u: usize, w: i32, write: bool): u64 { return checkedEa(load<u8>(u, RecOff.seg), load<u64>(u, RecOff.imm), w, write); }

/** CMPXCHG8B and CMPXCHG16B without LOCK. */
function compareExchangePair(u: usize): void {
  const half = opSize(u) == 8 ? 8 : 4;
  const at = ea(u, half * 2, true);
  if (half == 8 && at & 15) failError(Vector.GP, 0);
  probeW(at, half * 2);
  const low = ldN(at, half), high = ldN(at + half, half);
  if (low == getReg(Gpr.rax, half) && high == getReg(Gpr.rdx, half)) {
    stN(at, half, getReg(Gpr.rbx, half));
    stN(at + half, half, getReg(Gpr.rcx, half));
    setStatus(status() | Flag.ZF);
  } else {
    setReg(Gpr.rax, half, low);
    setReg(Gpr.rdx, half, high);
    setStatus(status() & ~Flag.ZF);
  }
}
