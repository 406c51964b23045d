/** Bytes to records. One basic block at a time: up to the first instruction that may change the flow, the end of the page, or
 *  MAX_INSNS. The tables come from the instruction rows (opcodes.gen.ts); what is done here is prefixes, ModRM, SIB,
 *  displacement, immediate (SDM Vol.2A "Instruction Format") and the choice between hot templates and cold records. */
import { Mode, PcpuOff, Seg } from "../abi/layout";
import { RecFlag, RecOff } from "../abi/record";
import { Vector } from "../abi/x86";
import { raiseError } from "../fault";
import { fetchPage } from "../mmu/fetch";
import { BlockOff, MAX_INSNS, addBlock } from "./code_cache";
import { Handler } from "./handler";
import { HOT_CASES } from "./hot.gen";
import { From, Trait, decodeKnown, hasModrm, mayBeKnown, rememberKind } from "./known";
import { Group, ImmCode, Op, OPCODE_INDEX, OPCODE_ROWS, RowFlag, RowPrefix, RowRule, Shape, SizeCode, Template } from "./opcodes.gen";
import { PCPU } from "./pcpu";
import { Form } from "./semantics/alu";
import { Locked } from "./semantics/locked";

/** Rows of the table (generate.ts). */
const enum Row { op = 0, prefix = 2, rule = 3, digit = 4, flags = 5, group = 6, size = 7, imm = 8, shape = 9, template = 10, sub = 11 }

/** decodeOne: length in the low byte, and what the block must know. */
const enum Decoded { LEN = 0xff, ENDS = 0x100 }

const BUFFER: usize = PCPU + PcpuOff.decode;
const MAX_LEN: u32 = 15;

@inline function byteReg(n: i32, rex: i32): u8 { return <u8>(n >= 4 && n < 8 && !rex ? (n - 4) * 8 + 1 : n * 8); }
@inline function regOffset(n: i32, w: i32, rex: i32): u8 { return w == 1 ? byteReg(n, rex) : <u8>(n * 8); }

/** A record of zeros. For so few bytes memory.fill is slow: hosts call a function of theirs. */
@inline function clear(u: usize): void {
  store<u64>(u, 0);
  store<u64>(u, 0, 8);
  store<u64>(u, 0, 16);
  store<u64>(u, 0, 24);
}

/** Decodes the instruction at `p`, `off` bytes into its page, into record `u`. Reads at most 15 + 8 bytes. */
function decodeOne(p: usize, u: usize, off: i32, mode: u32): u32 {
  const bits = mode & Mode.BITS, long = bits == Mode.bits64;
  const start = p;
  let opsize = false, adsize = false, lock = false, rep: i32 = 0, segPrefix: i32 = -1, rex: i32 = 0;
  clear(u);
  store<u16>(u, <u16>off, RecOff.off);

  let b: i32 = 0;
  for (;;) {
    if (p - start > 14) {
      store<u16>(u, Handler.gp, RecOff.handler);
      store<u8>(u, 15, RecOff.len);
      return 15 | Decoded.ENDS;
    }
    b = load<u8>(p++);
    if (long && (b & 0xf0) == 0x40) { rex = b; continue; }
    if (b == 0x66) opsize = true;
    else if (b == 0x67) adsize = true;
    else if (b == 0xf0) lock = true;
    else if (b == 0xf2 || b == 0xf3) rep = b;
    else if (b == 0x2e) { if (!long) segPrefix = Seg.cs; }
    else if (b == 0x36) { if (!long) segPrefix = Seg.ss; }
    else if (b == 0x3e) { if (!long) segPrefix = Seg.ds; }
    else if (b == 0x26) { if (!long) segPrefix = Seg.es; }
    else if (b == 0x64) segPrefix = Seg.fs;
    else if (b == 0x65) segPrefix = Seg.gs;
    else break;
    rex = 0; // REX counts only right before the opcode
  }

  let map = 0, vvvv = 0, vex = false;
  if (b == 0x0f) {
    b = load<u8>(p++);
    map = 1;
    if (b == 0x38 || b == 0x3a) {
      map = b == 0x38 ? 2 : 3;
      b = load<u8>(p++);
    }
  } else if ((b == 0xc4 || b == 0xc5) && (long || ((load<u8>(p) & 0xc0) == 0xc0 && !(mode & (Mode.real | Mode.v86))))) {
    vex = true;
    let pp = 0, bad = opsize || lock || rep != 0 || rex != 0;
    if (b == 0xc4) {
      const b1 = <i32>load<u8>(p), b2 = <i32>load<u8>(p + 1);
      p += 2;
      rex = 0x40 | (b1 & 0x80 ? 0 : 4) | (b1 & 0x40 ? 0 : 2) | (b1 & 0x20 ? 0 : 1) | (b2 & 0x80 ? 8 : 0);
      map = (b1 & 31) == 2 ? 4 : (b1 & 31) == 3 ? 5 : -1;
      vvvv = ~(b2 >> 3) & 15;
      bad = bad || (b2 & 4) != 0; // VEX.L
      pp = b2 & 3;
    } else {
      p += 1;
      map = -1; // VEX.0F: no instruction there without AVX
    }
    if (!long) rex = 0;
    opsize = pp == 1;
    rep = pp == 2 ? 0xf3 : pp == 3 ? 0xf2 : 0;
    b = load<u8>(p++);
    if (bad) map = -1;
  }

  // candidate rows
  const index = map < 0 ? 0 : load<u32>(OPCODE_INDEX + (<usize>(map * 256 + b) << 2));
  let row: usize = OPCODE_ROWS + (<usize>(index & 0xffff) << 4), left = <i32>(index >> 16);
  const modrm = <i32>load<u8>(p);
  let rule = 0, flags = 0;
  for (; left > 0; left--, row += 16) {
    const want = load<u8>(row, Row.prefix);
    if (want) {
      if (want == RowPrefix.NP) { if (opsize || rep) continue; }
      else if (want == RowPrefix.P66) { if (!opsize || rep) continue; }
      else if (rep != (want == RowPrefix.F3 ? 0xf3 : 0xf2)) continue;
    } else if (rep && (map == 2 || map == 3 || (map == 1 && b == 0xc7 && modrm >= 0xc0))) continue; // RDRAND, RDSEED
    rule = load<u8>(row, Row.rule);
    if (rule & (RowRule.EXACT | RowRule.DIGIT | RowRule.MEM | RowRule.REG)) {
      const digit = <i32>load<u8>(row, Row.digit);
      if (rule & RowRule.EXACT) { if (modrm != digit) continue; }
      else if (rule & RowRule.DIGIT && ((modrm >> 3) & 7) != digit) continue;
      if (rule & RowRule.MEM && modrm >= 0xc0) continue;
      if (rule & RowRule.REG && modrm < 0xc0) continue;
    }
    flags = load<u8>(row, Row.flags);
    if (flags & (RowFlag.LONG | RowFlag.LEGACY | RowFlag.W0 | RowFlag.W1)) {
      if (flags & RowFlag.LONG && !long) continue;
      if (flags & RowFlag.LEGACY && long) continue;
      if (flags & RowFlag.W0 && rex & 8) continue;
      if (flags & RowFlag.W1 && !(rex & 8)) continue;
    }
    break;
  }
  if (left == 0) {
    // opcodes that end beyond the limit are too long before they are invalid; those of two escapes have a ModRM byte
    if (p - start + (map == 2 || map == 3 ? 1 : 0) > 15) {
      store<u16>(u, Handler.gp, RecOff.handler);
      store<u8>(u, 15, RecOff.len);
      return 15 | Decoded.ENDS;
    }
    store<u16>(u, Handler.ud, RecOff.handler);
    // where ModRM might have chosen a row, it was looked at
    const seen = min<usize>(p - start + (index >> 16 ? 1 : 0), 15);
    store<u8>(u, <u8>seen, RecOff.len);
    return <u32>seen | Decoded.ENDS;
  }

  // operand and address size
  const selected66 = load<u8>(row, Row.prefix) == RowPrefix.P66;
  const size66 = opsize && !selected66;
  let w: i32;
  switch (<i32>load<u8>(row, Row.size)) {
    case SizeCode.b: w = 1; break;
    case SizeCode.w: w = 2; break;
    case SizeCode.d: w = 4; break;
    case SizeCode.q: w = 8; break;
    case SizeCode.y: w = rex & 8 ? 8 : 4; break;
    case SizeCode.z: w = bits == Mode.bits16 ? (size66 ? 4 : 2) : (size66 ? 2 : 4); break;
    default:
      if (long) w = rex & 8 ? 8 : flags & RowFlag.DEFAULT64 ? (size66 ? 2 : 8) : size66 ? 2 : 4;
      else w = bits == Mode.bits16 ? (size66 ? 4 : 2) : (size66 ? 2 : 4);
  }
  const group = <i32>load<u8>(row, Row.group);
  // near branches ignore the operand-size prefix in 64-bit mode (as Intel processors do)
  let template = <i32>load<u8>(row, Row.template);
  if (long && flags & RowFlag.ENDS && flags & RowFlag.DEFAULT64 && group == Group.integer) w = 8;
  const asize: i32 = long ? (adsize ? 4 : 8) : (bits == Mode.bits32) != adsize ? 4 : 2;

  // ModRM
  let recFlags: i32 = (lock ? RecFlag.lock : 0) | (rep == 0xf3 ? RecFlag.rep : 0) | (rep == 0xf2 ? RecFlag.repne : 0)
    | (rex ? RecFlag.rex : 0) | (flags & RowFlag.TORM ? RecFlag.toRm : 0) | (opsize ? RecFlag.opsize : 0);
  let reg = 0, rm = 0, mem = false, simple = false, ripRelative = false, plain = true;
  let base: i32 = PcpuOff.zero, indexReg: i32 = PcpuOff.zero, scale = 0, disp: i32 = 0, seg: i32 = Seg.ds;
  let mask: u64 = asize == 8 ? ~(<u64>0) : asize == 4 ? 0xffffffff : 0xffff;
  if (rule & RowRule.PLUSR) reg = rm = (b & 7) | ((rex & 1) << 3);
  else if (rule & RowRule.MODRM) {
    p++;
    reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
    rm = (modrm & 7) | ((rex & 1) << 3);
    if (modrm < 0xc0 && !(rule & RowRule.MODREG)) {
      mem = true;
      const mod = modrm >> 6;
      if (asize == 2) {
        switch (modrm & 7) {
          case 0: base = 3 * 8; indexReg = 6 * 8; break;
          case 1: base = 3 * 8; indexReg = 7 * 8; break;
          case 2: base = 5 * 8; indexReg = 6 * 8; seg = Seg.ss; break;
          case 3: base = 5 * 8; indexReg = 7 * 8; seg = Seg.ss; break;
          case 4: base = 6 * 8; break;
          case 5: base = 7 * 8; break;
          case 6: if (mod) { base = 5 * 8; seg = Seg.ss; } break;
          default: base = 3 * 8;
        }
        if (mod == 1) disp = <i32>load<i8>(p++);
        else if (mod == 2 || (mod == 0 && (modrm & 7) == 6)) { disp = <i32>load<i16>(p); p += 2; }
      } else {
        let low = modrm & 7;
        if (low == 4) {
          const sib = <i32>load<u8>(p++), x = ((sib >> 3) & 7) | ((rex & 2) << 2);
          low = sib & 7;
          if (x != 4) { indexReg = x * 8; scale = sib >> 6; }
          if (low == 5 && mod == 0) { disp = load<i32>(p); p += 4; }
          else base = (low | ((rex & 1) << 3)) * 8;
        } else if (low == 5 && mod == 0) {
          disp = load<i32>(p);
          p += 4;
          if (long) { base = PcpuOff.ripBase; ripRelative = true; }
        } else base = rm * 8;
        if (mod == 1) disp = <i32>load<i8>(p++);
        else if (mod == 2) { disp = load<i32>(p); p += 4; }
        if (base == 4 * 8 || base == 5 * 8) seg = Seg.ss;
      }
    }
  }

  // immediate
  const immCode = <i32>load<u8>(row, Row.imm), immAt = p;
  let imm: i64 = 0;
  switch (immCode) {
    case ImmCode.Ib: imm = <i64>load<u8>(p++); break;
    case ImmCode.Jb:
    case ImmCode.Ibs: imm = <i64>load<i8>(p++); break;
    case ImmCode.Iw: imm = <i64>load<u16>(p); p += 2; break;
    case ImmCode.Jz:
      if (w == 2) { imm = <i64>load<i16>(p); p += 2; }
      else { imm = <i64>load<i32>(p); p += 4; }
      break;
    case ImmCode.Iz:
      if (w == 2) { imm = <i64>load<i16>(p); p += 2; }
      else { imm = <i64>load<i32>(p); p += 4; }
      break;
    case ImmCode.Iv:
      if (w == 8) { imm = load<i64>(p); p += 8; }
      else if (w == 4) { imm = <i64>load<i32>(p); p += 4; }
      else { imm = <i64>load<i16>(p); p += 2; }
      break;
    case ImmCode.O:
      if (asize == 8) { imm = load<i64>(p); p += 8; }
      else if (asize == 4) { imm = <i64>load<u32>(p); p += 4; }
      else { imm = <i64>load<u16>(p); p += 2; }
      break;
    case ImmCode.Ap:
      if (w == 2) { imm = <i64>load<u16>(p) | (<i64>load<u16>(p + 2) << 32); p += 4; }
      else { imm = <i64>load<u32>(p) | (<i64>load<u16>(p + 4) << 32); p += 6; }
      break;
    case ImmCode.IwIb: imm = <i64>load<u16>(p) | (<i64>load<u8>(p + 2) << 16); p += 3; break;
    case ImmCode.one: imm = 1; break;
    default: break;
  }
  const len = <i32>(p - start);
  store<u8>(u, <u8>min(len, 15), RecOff.len);
  if (len > <i32>MAX_LEN) {
    store<u16>(u, Handler.gp, RecOff.handler);
    return 15 | Decoded.ENDS; // byte 16 is not looked at, nor is its page
  }
  const unusedVvvv = vex && vvvv != 0 && load<u16>(row, Row.op) == Op.rorx;
  if ((lock && (!(flags & RowFlag.LOCK) || !mem)) || unusedVvvv) {
    store<u16>(u, Handler.ud, RecOff.handler);
    return <u32>len | Decoded.ENDS;
  }
  if (ripRelative) disp += off + len;

  // an absolute address is a memory operand without base, if it fits a displacement
  if (immCode == ImmCode.O && (asize != 8 || imm == <i64>(<i32>imm))) {
    mem = true;
    disp = <i32>imm;
  }

  // segment of the memory operand: most need none, a base alone can ride in the base or index slot
  if (segPrefix >= 0) seg = segPrefix;
  if (!(mode & Mode.flat) || mode & Mode.align || segPrefix == Seg.cs) plain = false; // CS is not writable
  else if (seg >= Seg.fs && (mem || immCode != ImmCode.O)) {
    const slot = PcpuOff.segBase + seg * 8;
    const reach = long || mode & (seg == Seg.fs ? Mode.flatFs : Mode.flatGs);
    if (!reach || asize != (long ? 8 : 4)) plain = false;
    else if (load<u8>(row, Row.template) == Template.lea && group == Group.integer) plain = true;
    else if (base == PcpuOff.zero) base = slot;
    else if (indexReg == PcpuOff.zero) indexReg = slot;
    else plain = false;
  }
  if (mem && !plain) recFlags |= RecFlag.seg;
  if (mem) recFlags |= RecFlag.mem;
  simple = indexReg == PcpuOff.zero;
  store<u8>(u, <u8>recFlags, RecOff.flags);
  store<u8>(u, <u8>base, RecOff.base);
  store<u8>(u, <u8>indexReg, RecOff.index);
  store<i32>(u, disp, RecOff.disp);
  store<u8>(u, <u8>scale, RecOff.scale);
  store<u8>(u, <u8>seg, RecOff.seg);
  if (mem) {
    store<i32>(u, <i32>imm, RecOff.imm);
    store<u64>(u, mask, RecOff.mask);
  } else store<i64>(u, imm, RecOff.imm);
  const ends = flags & RowFlag.ENDS ? Decoded.ENDS : 0;

  // hot template?
  const shape = <i32>load<u8>(row, Row.shape);
  let form: i32 = -1, handler: i32 = Handler.any, op: i32 = <i32>load<u8>(row, Row.sub);
  let a: i32 = From.reg, c: i32 = From.rm, needsStack = false;
  if (group == Group.integer && template != Template.none) {
    switch (template) {
      case Template.alu:
      case Template.mov:
      case Template.bitTest:
        if (shape == Shape.EG) { form = mem ? Form.mr : Form.rr; if (!mem) { a = From.rm; c = From.reg; } }
        else if (shape == Shape.GE) form = mem ? Form.rm : Form.rr;
        else if (shape == Shape.EI) { form = mem ? Form.mi : Form.ri; a = From.rm; }
        else if (shape == Shape.ZI) { form = Form.ri; a = From.rm; }
        else if (shape == Shape.accI) { form = Form.ri; a = From.none; }
        else if (immCode == ImmCode.O && mem) { form = load<u16>(row, Row.op) == Op.movoffs ? Form.rm : Form.mr; a = From.none; }
        // operands are compared sign-extended
        if (w == 1 && immCode == ImmCode.Ib) store<i32>(u, <i32>(<i8>imm), RecOff.imm);
        break;
      case Template.shift:
        imm &= w == 8 ? 63 : 31;
        if (imm == 0 || ((op == 2 || op == 3) && imm != 1)) break;
        store<i32>(u, <i32>imm, RecOff.imm);
        form = mem ? Form.mi : Form.ri;
        a = From.rm;
        break;
      case Template.movx:
        form = mem ? Form.rm : Form.rr;
        break;
      case Template.lea: form = Form.rm; plain = true; break;
      case Template.unary:
      case Template.shiftCl:
      case Template.mulWide:
      case Template.divide:
        form = mem ? Form.mr : Form.rr;
        a = From.rm;
        break;
      case Template.doubleShift:
        if (!(op & 2) && !(imm & (w == 8 ? 63 : 31))) break;
        form = mem ? Form.mr : Form.rr;
        if (!mem) { a = From.rm; c = From.reg; }
        break;
      case Template.swapBytes:
        form = !mem ? Form.rr : flags & RowFlag.TORM ? Form.mr : Form.rm;
        break;
      case Template.flag: form = Form.rr; break;
      case Template.setcc:
        form = mem ? Form.mr : Form.rr;
        a = From.rm;
        break;
      case Template.cmov:
      case Template.scan: form = mem ? Form.rm : Form.rr; break;
      case Template.imul:
        if (shape == Shape.GEI) form = mem ? Form.mi : Form.ri;
        else form = mem ? Form.rm : Form.rr;
        break;
      case Template.xchg:
        form = mem ? Form.mr : Form.rr;
        break;
      case Template.cmpxchg:
      case Template.xadd:
        form = mem ? Form.mr : Form.rr;
        if (!mem) { a = From.rm; c = From.reg; }
        break;
      case Template.push:
        needsStack = true;
        if (shape == Shape.I) form = Form.ri;
        else { form = mem ? Form.rm : Form.rr; a = From.rm; }
        break;
      case Template.pop:
        needsStack = true;
        if (!mem) { form = Form.rr; a = From.rm; }
        break;
      case Template.jcc:
      case Template.jmp: form = Form.ri; break;
      case Template.call: form = Form.ri; needsStack = true; break;
      case Template.jmpInd: form = mem ? Form.rm : Form.rr; a = From.rm; break;
      case Template.callInd: form = mem ? Form.rm : Form.rr; a = From.rm; needsStack = true; break;
      case Template.ret:
      case Template.leave: form = Form.ri; needsStack = true; break;
      case Template.widen: form = Form.rr; break;
      case Template.nop: form = Form.rr; mem = false; break;
      default: break;
    }
  }
  if (form >= 0 && mem && (lock || template == Template.xchg)) {
    if (template == Template.unary) op += Locked.inc;
    else if (template == Template.xchg) op = Locked.xchg;
    else if (template == Template.xadd) op = Locked.xadd;
    else if (template == Template.cmpxchg) op = Locked.cmpxchg;
    template = template == Template.bitTest ? Template.lockedBit : Template.locked;
  }
  if (group == Group.string && template != Template.none && !rep && plain && asize == (long ? 8 : 4) && seg < Seg.fs) {
    form = Form.rr;
    store<u64>(u, mask, RecOff.mask);
  }
  if (form >= 0) {
    if (template == Template.xchg && shape != Shape.EG) {
      // 90+r: with rAX; XCHG rAX,rAX is NOP and must not clear the upper half
      if (rm == 0) {
        const nop = (Template.nop << 9) | (2 << 3);
        store<u16>(u, <u16>nop, RecOff.desc);
        store<u16>(u, HOT_CASES_at(nop), RecOff.handler);
        return <u32>len | ends;
      }
      a = From.rm;
      c = From.none;
    }
    const fromWidth = template == Template.movx ? 1 << (op & 3) : w;
    const numbers = reg | rm << 4;
    store<u8>(u, regOffset(numbers >> a & 15, w, rex), RecOff.reg);
    store<u8>(u, regOffset(numbers >> c & 15, fromWidth, rex), RecOff.rm);
    if (template == Template.setcc) {
      w = 1;
      store<u8>(u, byteReg(numbers >> a & 15, rex), RecOff.reg);
    }
    if (immCode != ImmCode.O && (template == Template.alu || template == Template.mov || template == Template.imul || template == Template.push)) {
      store<u8>(u, <u8>(p - immAt), RecOff.immediate);
    }
    const usesMemory = mem && form != Form.rr && form != Form.ri;
    if (usesMemory && simple) form += 3;
    const wlog = w == 8 ? 3 : w == 4 ? 2 : w == 2 ? 1 : 0;
    const desc = (template << 9) | (op << 5) | (wlog << 3) | form;
    store<u16>(u, <u16>desc, RecOff.desc);
    let checked = usesMemory && !plain && template != Template.lea;
    if (needsStack && (!(mode & Mode.flat) || mode & Mode.align || w != (long ? 8 : 4) || !(long || mode & Mode.ss32))) checked = true;
    const direct = template == Template.jcc || template == Template.jmp || template == Template.call;
    if ((ends && !(mode & Mode.flat)) || (ends && w != (long ? 8 : 4))) checked = true;
    if (direct) {
      store<i32>(u, <i32>imm + off + len, RecOff.imm);
      store<i32>(u, 0, RecOff.taken);
      store<i32>(u, 0, RecOff.fall);
    }
    handler = HOT_CASES_at(desc);
    if (checked) handler = Handler.checked;
    else if (handler == 0) handler = Handler.any;
    store<u16>(u, <u16>handler, RecOff.handler);
    if (!checked && !lock && !rep && !adsize && segPrefix < 0 && map < 2 && mayBeKnown(mode) && isRegular(row, index, map << 8 | b)) {
      const narrow = w == 1 && (template == Template.alu || template == Template.mov || template == Template.bitTest);
      let traits: u32 = (direct ? Trait.target : 0) | (ends ? Trait.ends : 0);
      if (immCode == ImmCode.Ib) traits |= template == Template.shift ? (w == 8 ? Trait.count | Trait.count64 : Trait.count) : narrow ? Trait.narrow : Trait.unsigned;
      else if (immCode == ImmCode.Iw) traits |= Trait.unsigned;
      else if (immCode == ImmCode.one) traits |= Trait.one;
      rememberKind(map << 8 | b, modrm, !simple, opsize, rex, long, u, <u32>(p - immAt), traits,
        fieldOf(a, rule) | (!rex && (w == 1 || template == Template.setcc) ? From.legacyByte : 0), fieldOf(c, rule) | (!rex && fromWidth == 1 ? From.legacyByte : 0));
    }
    return <u32>len | ends;
  }

  // cold record
  const isLocked = group == Group.integer && lock;
  store<u16>(u, Handler.cold, RecOff.handler);
  store<u16>(u, <u16>(w | (asize << 4) | ((isLocked ? Group.locked : group) << 8)), RecOff.desc);
  store<u16>(u, load<u16>(row, Row.op), RecOff.op);
  store<u8>(u, <u8>reg, RecOff.reg);
  store<u8>(u, <u8>rm, RecOff.rm);
  if (group == Group.x87) store<i32>(u, (b & 7) << 8 | modrm, RecOff.imm); // no immediates there: what FOP becomes
  if (vex) {
    if (!long) vvvv &= 7;
    if (mem) store<u8>(u, <u8>vvvv, RecOff.rm);
    else store<u8>(u, <u8>vvvv, RecOff.disp);
  }
  if (immCode == ImmCode.Jb && group == Group.integer) {
    store<i32>(u, <i32>imm + off + len, RecOff.imm);
    // linking a cold branch would need its width in desc: LOOP and JCXZ look their targets up
  }
  return <u32>len | ends;
}

/** Whether what a template row says of `opcode` depends on nothing but the key of what is known (cpu/known): not on all of ModRM, on the register that
 *  the opcode names, or on the immediate but for counts of 0. */
function isRegular(row: usize, index: u32, opcode: i32): bool {
  if (load<u8>(row, Row.group) != Group.integer || hasModrm(opcode) != ((load<u8>(row, Row.rule) & RowRule.MODRM) != 0)) return false;
  const op = <i32>load<u8>(row, Row.sub), imm = <i32>load<u8>(row, Row.imm);
  switch (<i32>load<u8>(row, Row.template)) {
    case Template.xchg:
      if (load<u8>(row, Row.shape) != Shape.EG) return false;
      break;
    case Template.shift:
      if ((op == 2 || op == 3) && imm != ImmCode.one) return false;
      break;
    case Template.doubleShift: return false;
    default: if (imm == ImmCode.O) return false;
  }
  for (let n: u32 = 0; n < index >> 16; n++) if (load<u8>(OPCODE_ROWS + (<usize>((index & 0xffff) + n) << 4), Row.rule) & RowRule.EXACT) return false;
  return true;
}

/** A field of a row with that rule, where the ones that are not there are 0 and the opcode's register is in ModRM.rm. */
@inline function fieldOf(field: i32, rule: i32): u32 {
  return rule & RowRule.MODRM ? field : rule & RowRule.PLUSR && field != From.none ? From.rm : From.none;
}

/** The table has the first 32 templates. */
@inline function HOT_CASES_at(desc: i32): u16 { return desc < 16384 ? load<u16>(HOT_CASES + (<usize>desc << 1)) : 0; }

/** After a CMP or TEST with a handler of its own, a following Jcc is folded into it if the pair has one. */
function fuse(previous: usize, branch: usize): void {
  const d = <i32>load<u16>(previous, RecOff.desc), handler = <i32>load<u16>(previous, RecOff.handler);
  if (d >> 9 != Template.alu || (handler != Handler.any && handler < Handler.hot)) return;
  const op = (d >> 5) & 15;
  if (op != 7 && op != 8) return;
  const cc = (<i32>load<u16>(branch, RecOff.desc) >> 5) & 15;
  const pair = HOT_CASES_at(((op == 7 ? Template.cmpj : Template.testj) << 9) | (cc << 5) | (d & 31));
  if (pair) store<u16>(previous, pair, RecOff.handler);
}

/** Decodes the block at linear address `lin`, machine address `maddr`; returns its head, or 0 with a fault pending if even
 *  the first instruction could not be fetched whole. `old`: as for addBlock(). */
export function decodeBlock(lin: u64, maddr: u32, mode: u32, old: usize): usize {
  const head = <usize>load<u32>(PCPU, PcpuOff.codeNext);
  let u = head + RecOff.SIZE, off = <i32>(maddr & 0xfff), count = 0, previous: usize = 0, second: u32 = 0;
  const page: usize = <usize>(maddr & ~0xfff), single = (mode & Mode.step) != 0;
  const limit = single ? 1 : MAX_INSNS;
  // page offset of the last byte within the CS limit: a block ends there, its first instruction faults there
  let last: i64 = 0x7fffffff;
  if (!(mode & Mode.flat)) last = <i64>off + <i64>load<u32>(PCPU, PcpuOff.segLimit + Seg.cs * 4) - load<i64>(PCPU, PcpuOff.rip);
  const known = mayBeKnown(mode), long = i32((mode & Mode.BITS) == Mode.bits64);
  let ended = false, kind: i32 = single ? Handler.step : Handler.head;
  clear(head);
  while (count < limit && off < 4096) {
    const avail = 4096 - off;
    let p = page + <usize>off;
    if (avail < 24) {
      memory.copy(BUFFER, p, <usize>avail);
      memory.fill(BUFFER + <usize>avail, 0, 32);
      p = BUFFER;
    }
    let result = known ? decodeKnown(p, u, off, long) : 0;
    if (!result) result = decodeOne(p, u, off, mode);
    let handler = <i32>load<u16>(u, RecOff.handler);
    if (<i64>(off + min(<i32>(result & Decoded.LEN), avail + 1)) > last + 1) {
      if (count) break;
      return raiseError(Vector.GP, 0);
    }
    if (<i32>(result & Decoded.LEN) > avail || (avail < 15 && handler == Handler.gp)) {
      // it needs the next page: a block of its own
      if (count) break;
      const next = mode & Mode.BITS ? (lin | 0xfff) + 1 : ((lin | 0xfff) + 1) & 0xffffffff;
      second = fetchPage((mode & Mode.BITS) == Mode.bits64 ? next : next & 0xffffffff);
      if (!second) return 0;
      memory.copy(BUFFER + <usize>avail, <usize>second, 24);
      result = decodeOne(BUFFER, u, off, mode);
      if (<i64>(off + <i32>(result & Decoded.LEN)) > last + 1) return raiseError(Vector.GP, 0);
      if (<i32>(result & Decoded.LEN) <= avail) second = 0; // invalid without its second half
      if (second && !single) kind = Handler.straddle;
      if (<i32>(result & Decoded.LEN) > 15) result = 15 | Decoded.ENDS;
      off += <i32>(result & Decoded.LEN);
      u += RecOff.SIZE;
      count++;
      ended = (result & Decoded.ENDS) != 0;
      break;
    }
    off += <i32>(result & Decoded.LEN);
    const template = <i32>load<u16>(u, RecOff.desc) >> 9;
    handler = <i32>load<u16>(u, RecOff.handler);
    if (template == Template.nop && handler >= Handler.hot && !single && !isSti(previous)) {
      count++;
      continue; // a NOP is counted and leaves no record
    }
    if (previous && template == Template.jcc && handler != Handler.cold && handler != Handler.checked && handler > Handler.resync) fuse(previous, u);
    previous = u;
    u += RecOff.SIZE;
    count++;
    if (result & Decoded.ENDS) {
      ended = true;
      // a conditional branch needs no GOTO: it has both successors
      break;
    }
  }
  const records = (u - head) / RecOff.SIZE - 1;
  if (!ended || !endsForGood(previous ? previous : u - RecOff.SIZE)) {
    clear(u);
    store<u16>(u, Handler.goto, RecOff.handler);
    store<u16>(u, <u16>((Template.jmp << 9) | (2 << 3)), RecOff.desc); // IP does not wrap: beyond the limit it faults
    store<u16>(u, <u16>off, RecOff.off);
    store<i32>(u, off, RecOff.imm);
    u += RecOff.SIZE;
  }
  store<u16>(head, <u16>kind, BlockOff.handler);
  store<u16>(head, <u16>mode, BlockOff.mode);
  store<u16>(head, <u16>count, BlockOff.count);
  store<u8>(head, <u8>records, BlockOff.records);
  store<u16>(head, <u16>(maddr & 0xfff), BlockOff.off);
  store<u16>(head, <u16>off, BlockOff.end);
  store<u32>(head, maddr, BlockOff.maddr);
  store<u32>(head, second, BlockOff.second);
  return addBlock(head, u, old);
}

/** A NOP behind STI has a record of its own: it is under the shadow, and the interrupt comes right behind it. */
function isSti(record: usize): bool {
  return record != 0 && load<u16>(record, RecOff.handler) == Handler.cold && load<u16>(record, RecOff.op) == Op.sti;
}

/** Cold instructions that end a block may still fall through (record + SIZE): they get a GOTO behind them. */
function endsForGood(last: usize): bool {
  const handler = load<u16>(last, RecOff.handler);
  return handler != Handler.cold;
}
