/** Integer instructions that are not templates: wide multiply and divide, bit tests and scans, BCD, BMI, exchanges without
 *  LOCK, odd stack forms, LOOP and JCXZ. One function over Op; operands as operand.ts defines them. */
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
import { divWide, mulHigh, mulHighSigned, sextN, zextN } from "../wide";
import { Shift } from "../semantics/shift";
import { shiftValue, shldValue, shrdValue } from "./shift";

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

/** Shift or rotate of the E operand by `count`, which is masked here; a masked count of 0 still accesses memory. */
function shiftE(u: usize, op: i32, count: i32): void {
  const w = opSize(u), n = <u32>count & (w == 8 ? 63 : 31);
  if (isMem(u)) {
    const at = ea(u, w, true);
    probeW(at, w);
    const x = ldN(at, w);
    if (n) stN(at, w, shiftValue(op, w, x, n));
    return;
  }
  const x = gpr(u, rmField(u), w);
  setGpr(u, rmField(u), w, n ? shiftValue(op, w, x, n) : x);
}

function logicFlags(r: u64, w: i32): void {
  store<u64>(PCPU, sextN(r, w), PcpuOff.flagsRes);
  store<u32>(PCPU, FlagsKind.logic, PcpuOff.flagsKind);
}

/** CF = OF = `overflow`; SF ZF PF from the low half, AF clear. */
function multiplyFlags(low: u64, w: i32, overflow: bool): void {
  store<u64>(PCPU, sextN(low, w), PcpuOff.flagsRes);
  store<u32>(PCPU, overflow ? 3 : 0, PcpuOff.flagsCarry);
  store<u32>(PCPU, FlagsKind.shift, PcpuOff.flagsKind);
}

function multiply(w: i32, x: u64, signed: bool): void {
  const a = getReg(Gpr.rax, w == 1 ? 2 : w) & (w == 1 ? 0xff : ~(<u64>0));
  if (w == 8) {
    const low = a * x, high = signed ? mulHighSigned(a, x) : mulHigh(a, x);
    setReg(Gpr.rax, 8, low);
    setReg(Gpr.rdx, 8, high);
    multiplyFlags(low, 8, signed ? high != <u64>(<i64>low >> 63) : high != 0);
    return;
  }
  const product = signed ? sextN(a, w) * sextN(x, w) : a * x;
  if (w == 1) setReg(Gpr.rax, 2, product);
  else {
    setReg(Gpr.rax, w, product);
    setReg(Gpr.rdx, w, product >> (<u64>w * 8));
  }
  multiplyFlags(product, w, signed ? sextN(product, w) != product : zextN(product, w) != product);
}

/** DIV and IDIV: #DE on a zero divisor or a quotient that does not fit; flags are undefined and kept. */
function divide(w: i32, x: u64, signed: bool): void {
  if (x == 0) fail(Vector.DE);
  if (w == 8) {
    let low = getReg(Gpr.rax, 8), high = getReg(Gpr.rdx, 8);
    if (!signed) {
      if (high >= x) fail(Vector.DE);
      const q = divWide(high, low, x);
      setReg(Gpr.rax, 8, q);
      setReg(Gpr.rdx, 8, low - q * x);
      return;
    }
    const negative = <i64>high < 0, d = <i64>x < 0 ? 0 - x : x;
    if (negative) {
      low = 0 - low;
      high = ~high + u64(low == 0);
    }
    if (high >= d) fail(Vector.DE);
    const q = divWide(high, low, d), r = low - q * d, minus = negative != (<i64>x < 0);
    if (minus ? q > (<u64>1 << 63) : q >> 63 != 0) fail(Vector.DE);
    setReg(Gpr.rax, 8, minus ? 0 - q : q);
    setReg(Gpr.rdx, 8, negative ? 0 - r : r);
    return;
  }
  const bits = <u64>w * 8;
  const n = w == 1 ? getReg(Gpr.rax, 2) : (getReg(Gpr.rdx, w) << bits) | getReg(Gpr.rax, w);
  let q: u64, r: u64;
  if (signed) {
    const wide = <i64>sextN(n, w * 2), d = <i64>sextN(x, w);
    if (w == 4 && wide == i64.MIN_VALUE && d == -1) fail(Vector.DE);
    const sq = wide / d;
    if (<u64>sq != sextN(<u64>sq, w)) fail(Vector.DE);
    q = <u64>sq;
    r = <u64>(wide - sq * d);
  } else {
    q = n / x;
    if (q != zextN(q, w)) fail(Vector.DE);
    r = n - q * x;
  }
  if (w == 1) setReg(Gpr.rax, 2, (q & 0xff) | ((r & 0xff) << 8));
  else {
    setReg(Gpr.rax, w, q);
    setReg(Gpr.rdx, w, r);
  }
}

/** BT BTS BTR BTC. A register bit offset addresses memory beyond the operand, in units of the operand size. */
function bitOp(u: usize, op: i32, immediate: bool): void {
  const w = opSize(u), bits = <i64>w * 8;
  let at: u64 = 0, x: u64, n: i64;
  if (immediate) n = <i64>imm(u) & (bits - 1);
  else n = <i64>sextN(getReg(regField(u), w), w);
  if (isMem(u)) {
    const write = op != 0;
    if (immediate) at = ea(u, w, write);
    else {
      const delta = (n >> (w == 8 ? 6 : w == 4 ? 5 : 4)) * w;
      at = bitAddress(u, delta, w, write);
      n &= bits - 1;
    }
    if (write) probeW(at, w);
    x = ldN(at, w);
  } else {
    n &= bits - 1;
    x = getReg(rmField(u), w);
  }
  const bit = <u64>1 << <u64>n, was = u32((x & bit) != 0);
  const r = op == 1 ? x | bit : op == 2 ? x & ~bit : x ^ bit;
  if (op != 0) {
    if (isMem(u)) stN(at, w, r);
    else setReg(rmField(u), w, r);
  }
  setCarry(was);
}

/** Address of the operand moved by `delta` bytes, wrapped at the address size. */
export function bitAddress(u: usize, delta: i64, w: i32, write: bool): u64 {
  if (load<u8>(u, RecOff.flags) & RecFlag.seg) return checkedEa(load<u8>(u, RecOff.seg), (eaOffset(u) + <u64>delta) & load<u64>(u, RecOff.mask), w, write);
  return (eaOffset(u) + <u64>delta) & load<u64>(u, RecOff.mask);
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
    case Op.mul: multiply(w, readE(u, w), false); break;
    case Op.imul1: multiply(w, readE(u, w), true); break;
    case Op.div: divide(w, readE(u, w), false); break;
    case Op.idiv: divide(w, readE(u, w), true); break;
    case Op.bt: bitOp(u, 0, false); break;
    case Op.bts: bitOp(u, 1, false); break;
    case Op.btr: bitOp(u, 2, false); break;
    case Op.btc: bitOp(u, 3, false); break;
    case Op.bt_imm: bitOp(u, 0, true); break;
    case Op.bts_imm: bitOp(u, 1, true); break;
    case Op.btr_imm: bitOp(u, 2, true); break;
    case Op.btc_imm: bitOp(u, 3, true); break;
    case Op.rol: shiftE(u, Shift.rol, imm(u)); break;
    case Op.ror: shiftE(u, Shift.ror, imm(u)); break;
    case Op.rcl: shiftE(u, Shift.rcl, imm(u)); break;
    case Op.rcr: shiftE(u, Shift.rcr, imm(u)); break;
    case Op.sal:
    case Op.shl: shiftE(u, Shift.shl, imm(u)); break;
    case Op.shr: shiftE(u, Shift.shr, imm(u)); break;
    case Op.sar: shiftE(u, Shift.sar, imm(u)); break;
    case Op.rol_cl: shiftE(u, Shift.rol, load<u8>(PCPU, Gpr.rcx * 8)); break;
    case Op.ror_cl: shiftE(u, Shift.ror, load<u8>(PCPU, Gpr.rcx * 8)); break;
    case Op.rcl_cl: shiftE(u, Shift.rcl, load<u8>(PCPU, Gpr.rcx * 8)); break;
    case Op.rcr_cl: shiftE(u, Shift.rcr, load<u8>(PCPU, Gpr.rcx * 8)); break;
    case Op.sal_cl:
    case Op.shl_cl: shiftE(u, Shift.shl, load<u8>(PCPU, Gpr.rcx * 8)); break;
    case Op.shr_cl: shiftE(u, Shift.shr, load<u8>(PCPU, Gpr.rcx * 8)); break;
    case Op.sar_cl: shiftE(u, Shift.sar, load<u8>(PCPU, Gpr.rcx * 8)); break;
    case Op.shld:
    case Op.shrd:
    case Op.shld_cl:
    case Op.shrd_cl: {
      const left = op == Op.shld || op == Op.shld_cl, cl = op == Op.shld_cl || op == Op.shrd_cl;
      const n = <u32>(cl ? <i32>load<u8>(PCPU, Gpr.rcx * 8) : imm(u)) & (w == 8 ? 63 : 31);
      const at = isMem(u) ? ea(u, w, true) : 0;
      if (isMem(u)) probeW(at, w);
      const x = isMem(u) ? ldN(at, w) : getReg(rmField(u), w), y = getReg(regField(u), w);
      const r = n == 0 ? x : left ? shldValue(w, x, y, n) : shrdValue(w, x, y, n);
      if (isMem(u)) { if (n) stN(at, w, r); }
      else setReg(rmField(u), w, r);
      break;
    }
    case Op.bsf:
    case Op.bsr: {
      const x = readE(u, w);
      // a zero source leaves the destination as it was (AMD APM; SDM calls it undefined)
      if (x) setReg(regField(u), w, op == Op.bsf ? ctz<u64>(x) : 63 - clz<u64>(x));
      setStatus((status() & ~Flag.ZF) | (x ? 0 : Flag.ZF));
      break;
    }
    case Op.tzcnt:
    case Op.lzcnt: {
      const x = readE(u, w), bits = <u64>w * 8;
      const r = x == 0 ? bits : op == Op.tzcnt ? ctz<u64>(x) : clz<u64>(x) - (64 - bits);
      setReg(regField(u), w, r);
      setStatus((status() & ~(Flag.ZF | Flag.CF)) | (r == 0 ? Flag.ZF : 0) | (x == 0 ? Flag.CF : 0));
      break;
    }
    case Op.popcnt: {
      const x = readE(u, w);
      setReg(regField(u), w, popcnt<u64>(x));
      setStatus(x ? 0 : Flag.ZF);
      break;
    }
    case Op.bswap: {
      const n = rmField(u);
      if (w == 8) setReg(n, 8, bswap<u64>(getReg(n, 8)));
      else if (w == 4) setReg(n, 4, <u64>bswap<u32>(<u32>getReg(n, 4)));
      else setReg(n, 2, 0); // undefined; processors give zero
      break;
    }
    case Op.movnti: stN(ea(u, w, true), w, getReg(regField(u), w)); break;
    case Op.movbe: {
      if (load<u8>(u, RecOff.flags) & RecFlag.toRm) stN(ea(u, w, true), w, swapBytes(getReg(regField(u), w), w));
      else setReg(regField(u), w, swapBytes(ldN(ea(u, w, false), w), w));
      break;
    }
    case Op.adcx: carryAdd(u, w, Flag.CF); break;
    case Op.adox: carryAdd(u, w, Flag.OF); break;
    case Op.movoffs: setGpr(u, Gpr.rax, w, ldN(moffs(u, w, false), w)); break;
    case Op.movoffs_store: stN(moffs(u, w, true), w, gpr(u, Gpr.rax, w)); break;
    case Op.xadd: {
      const x = isMem(u) ? 0 : gpr(u, rmField(u), w);
      if (isMem(u)) {
        const at = ea(u, w, true);
        probeW(at, w);
        const old = ldN(at, w), add = gpr(u, regField(u), w);
        stN(at, w, aluFlags(0, w, old, add));
        setGpr(u, regField(u), w, old);
      } else {
        const add = gpr(u, regField(u), w), sum = aluFlags(0, w, x, add);
        setGpr(u, regField(u), w, x);
        setGpr(u, rmField(u), w, sum);
      }
      break;
    }
    case Op.cmpxchg: {
      const at = isMem(u) ? ea(u, w, true) : 0;
      if (isMem(u)) probeW(at, w);
      const old = isMem(u) ? ldN(at, w) : gpr(u, rmField(u), w), a = gpr(u, Gpr.rax, w);
      aluFlags(5, w, a, old);
      if (a == old) {
        if (isMem(u)) stN(at, w, gpr(u, regField(u), w));
        else setGpr(u, rmField(u), w, gpr(u, regField(u), w));
      } else setGpr(u, Gpr.rax, w, old);
      break;
    }
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
    case Op.cmc: setCarry(carry() ^ 1); break;
    case Op.clc: setCarry(0); break;
    case Op.stc: setCarry(1); break;
    case Op.cld: store<u64>(PCPU, load<u64>(PCPU, PcpuOff.rflags) & ~(<u64>Flag.DF), PcpuOff.rflags); break;
    case Op.std: store<u64>(PCPU, load<u64>(PCPU, PcpuOff.rflags) | Flag.DF, PcpuOff.rflags); break;
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
function swapBytes(x: u64, w: i32): u64 { return w == 8 ? bswap<u64>(x) : w == 4 ? <u64>bswap<u32>(<u32>x) : <u64>bswap<u16>(<u16>x); }

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
