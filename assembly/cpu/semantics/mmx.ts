/** Instructions on MMX registers. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Cr0, Vector } from "../../abi/x86";
import { raise } from "../../fault";
import { ld32, st32, st64, st8 } from "../access";
import { checkedEa } from "../helpers/segment";
import { mmxTransition } from "../helpers/x87_state";
import { Op } from "../opcodes.gen";
import { addressSize, ea, imm, isMem, opSize, regField, rmField } from "../operand";
import { PCPU } from "../pcpu";
import { packed, shiftArithmetic16, shiftArithmetic32, shiftLeft16, shiftLeft32, shiftLeft64, shiftRight16, shiftRight32, shiftRight64 } from "./packed";
import { e16, e32, e64, mm, next, q64, setGpr, setMm } from "./xmm";

const FIRST_PACKED = Op.mmx_punpcklbw, LAST_PACKED = Op.mmx_pabsd;
/** Distance of a packed op from the one on XMM registers. */
const TO_XMM = Op.punpcklbw - Op.mmx_punpcklbw;
if (Op.pabsd - Op.mmx_pabsd != TO_XMM || Op.psadbw - Op.mmx_psadbw != TO_XMM) ERROR("PACKED is one list in one order");

@inline function low(x: u64): v128 { return i64x2.replace_lane(i64x2.splat(0), 0, x); }
@inline function low64(x: v128): u64 { return i64x2.extract_lane(x, 0); }

/** Number of the exception that keeps an instruction from touching MMX registers, -1 for none (SDM Vol.3A "Exceptions That
 *  Can Occur When Executing MMX Instructions"). */
export function mmxRefused(): i32 {
  const cr0 = <u32>load<u64>(PCPU, PcpuOff.cr0);
  if (cr0 & (Cr0.EM | Cr0.TS)) return cr0 & Cr0.EM ? Vector.UD : Vector.NM;
  return load<u16>(PCPU, PcpuOff.fsw) & 0x80 ? Vector.MF : -1;
}

/** The packed operation `op` (numbered as on XMM) of 64-bit operands. */
function packed64(op: i32, a: u64, b: u64): u64 {
  switch (op) {
    case Op.packsswb: case Op.packuswb: case Op.packssdw:
    case Op.phaddw: case Op.phaddd: case Op.phaddsw:
    case Op.phsubw: case Op.phsubd: case Op.phsubsw: {
      const both = i64x2.replace_lane(i64x2.splat(a), 1, b); // the sources are 128 bits in a row
      return low64(packed(op, both, both));
    }
    case Op.punpckhbw: return low64(packed(Op.punpcklbw, low(a >> 32), low(b >> 32)));
    case Op.punpckhwd: return low64(packed(Op.punpcklwd, low(a >> 32), low(b >> 32)));
    case Op.punpckhdq: return low64(packed(Op.punpckldq, low(a >> 32), low(b >> 32)));
    case Op.pshufb: return low64(packed(op, low(a), low(b & 0x8787878787878787)));
    default: return low64(packed(op, low(a), low(b)));
  }
}

/** PALIGNR on 64 bits: bytes of `high:low` from byte n. */
function align64(high: u64, low: u64, n: i32): u64 {
  if (n >= 16) return 0;
  const bits = <u64>n << 3;
  if (n >= 8) return high >> (bits - 64);
  return n ? (low >> bits) | (high << (64 - bits)) : low;
}

function shiftByImmediate(op: i32, a: v128, n: i32): v128 {
  switch (op) {
    case Op.mmx_psrlw_imm: return shiftRight16(a, n);
    case Op.mmx_psraw_imm: return shiftArithmetic16(a, n);
    case Op.mmx_psllw_imm: return shiftLeft16(a, n);
    case Op.mmx_psrld_imm: return shiftRight32(a, n);
    case Op.mmx_psrad_imm: return shiftArithmetic32(a, n);
    case Op.mmx_pslld_imm: return shiftLeft32(a, n);
    case Op.mmx_psrlq_imm: return shiftRight64(a, n);
    default: return shiftLeft64(a, n);
  }
}

/** MASKMOVQ and MASKMOVDQU: the bytes of `value` whose mask byte has bit 7 set go to [rDI + at]. */
export function storeSelected(u: usize, value: u64, mask: u64, at: u64): void {
  const size = addressSize(u), seg = load<u8>(u, RecOff.seg);
  const base = load<u64>(PCPU, PcpuOff.gpr + 7 * 8) + at;
  for (let i: u64 = 0; i < 64; i += 8) {
    if (!((mask >> i) & 0x80)) continue;
    const offset = base + (i >> 3);
    st8(checkedEa(seg, size == 8 ? offset : size == 4 ? offset & 0xffffffff : offset & 0xffff, 1, true), (value >> i) & 0xff);
  }
}

export function performMmx(u: usize): usize {
  const refused = mmxRefused();
  if (refused >= 0) return raise(refused);
  const op = <i32>load<u16>(u, RecOff.op), reg = regField(u), rm = rmField(u);
  if (op >= FIRST_PACKED && op <= LAST_PACKED) {
    // The low unpacks read 32 bits of memory.
    const b = op <= Op.mmx_punpckldq && isMem(u) ? <u64>ld32(ea(u, 4, false)) : q64(u);
    const r = packed64(op + TO_XMM, mm(reg), b);
    mmxTransition();
    setMm(reg, r);
    return next(u);
  }
  switch (op) {
    case Op.mmx_movd: {
      const x = opSize(u) == 8 ? e64(u) : <u64>e32(u);
      mmxTransition();
      setMm(reg, x);
      break;
    }
    case Op.mmx_movd_store: {
      const x = mm(reg), wide = opSize(u) == 8;
      if (!isMem(u)) setGpr(rm, wide ? x : x & 0xffffffff);
      else if (wide) st64(ea(u, 8, true), x);
      else st32(ea(u, 4, true), x & 0xffffffff);
      mmxTransition();
      break;
    }
    case Op.mmx_movq: {
      const x = q64(u);
      mmxTransition();
      setMm(reg, x);
      break;
    }
    case Op.mmx_movq_store:
    case Op.mmx_movntq:
      if (isMem(u)) st64(ea(u, 8, true), mm(reg));
      else setMm(rm, mm(reg));
      mmxTransition();
      break;
    case Op.mmx_maskmovq:
      storeSelected(u, mm(reg), mm(rm), 0);
      mmxTransition();
      break;
    case Op.mmx_emms:
      store<u16>(PCPU, load<u16>(PCPU, PcpuOff.fsw) & ~0x3800, PcpuOff.fsw);
      store<u8>(PCPU, 0, PcpuOff.ftag);
      break;
    case Op.mmx_psrlw_imm: case Op.mmx_psraw_imm: case Op.mmx_psllw_imm:
    case Op.mmx_psrld_imm: case Op.mmx_psrad_imm: case Op.mmx_pslld_imm:
    case Op.mmx_psrlq_imm: case Op.mmx_psllq_imm:
      mmxTransition();
      setMm(rm, low64(shiftByImmediate(op, low(mm(rm)), imm(u) & 0xff)));
      break;
    case Op.mmx_pshufw: {
      const x = q64(u), n = <u64>imm(u);
      mmxTransition();
      setMm(reg, ((x >> ((n & 3) << 4)) & 0xffff) | (((x >> ((n >> 2 & 3) << 4)) & 0xffff) << 16)
        | (((x >> ((n >> 4 & 3) << 4)) & 0xffff) << 32) | (((x >> ((n >> 6 & 3) << 4)) & 0xffff) << 48));
      break;
    }
    case Op.mmx_palignr: {
      const x = q64(u);
      mmxTransition();
      setMm(reg, align64(mm(reg), x, imm(u) & 0xff));
      break;
    }
    case Op.mmx_pinsrw: {
      const x = <u64>e16(u), shift = <u64>(imm(u) & 3) << 4;
      mmxTransition();
      setMm(reg, (mm(reg) & ~((<u64>0xffff) << shift)) | (x << shift));
      break;
    }
    case Op.mmx_pextrw:
      mmxTransition();
      setGpr(reg, (mm(rm) >> (<u64>(imm(u) & 3) << 4)) & 0xffff);
      break;
    case Op.mmx_pmovmskb:
      mmxTransition();
      setGpr(reg, <u64>i8x16.bitmask(low(mm(rm))));
      break;
    default: return raise(Vector.UD);
  }
  return next(u);
}
