/** Which records have a case of their own in the interpreter: 32-bit and some byte forms, memory operands in flat segments. */
import { Alu, Cold, Fused, Op, STRIDE } from "./ops";
import { Sse } from "./sse_ops";

/** Thrown when an instruction does not end where bytes do. */
export const ABSENT = { name: "absent" };

const enum Stamp {
  code32 = 1,
  flatCode = 2,
  flatStack = 4,
  flatData = 8,
}

const SS = 2;
const DS = 3;
/** Index into the bytes of the register file of AL CL DL BL AH CH DH BH. */
const byteRegister = (n: number) => ((n & 3) << 2) | (n >> 2);

/** log2 width 0: forms of 8-bit operations that have cases. */
function hot8(cold: Cold, sub: number, memory: boolean, toRegister: boolean): number {
  switch (cold) {
    case Cold.mov:
      return memory ? (toRegister ? Op.mov8_rm : Op.mov8_mr) : Op.mov8_rr;
    case Cold.movImm:
      return memory ? Op.mov8_mi : Op.mov8_ri;
    case Cold.alu:
      if (sub === Alu.cmp) return memory ? (toRegister ? Op.cmp8_rm : Op.cmp8_mr) : Op.cmp8_rr;
      if (memory) return 0;
      return sub === Alu.xor ? Op.xor8_rr : sub === Alu.or ? Op.or8_rr : 0;
    case Cold.aluImm:
      if (sub === Alu.cmp) return memory ? Op.cmp8_mi : Op.cmp8_ri;
      return sub === Alu.and && !memory ? Op.and8_ri : 0;
    case Cold.test:
      return memory ? 0 : Op.test8_rr;
    case Cold.testImm:
      return memory ? Op.test8_mi : Op.test8_ri;
    case Cold.setcc:
      return memory ? 0 : Op.setcc;
  }
  return 0;
}

function hot32(ops: Int32Array, u: number, cold: Cold, sub: number, memory: boolean, toRegister: boolean, stack: boolean): number {
  const count = ops[u + 1] & 31;
  switch (cold) {
    case Cold.alu:
      return (memory ? (toRegister ? Op.add_rm : Op.add_mr) : Op.add_rr) + sub;
    case Cold.aluImm:
      return (memory ? Op.add_mi : Op.add_ri) + sub;
    case Cold.test:
      return memory ? Op.test_mr : Op.test_rr;
    case Cold.testImm:
      return memory ? Op.test_mi : Op.test_ri;
    case Cold.mov:
      return memory ? (toRegister ? Op.mov_rm : Op.mov_mr) : Op.mov_rr;
    case Cold.movImm:
      return memory ? Op.mov_mi : Op.mov_ri;
    case Cold.movoffs:
      return Op.mov_rm;
    case Cold.movoffsStore:
      return Op.mov_mr;
    case Cold.movzx8:
      return memory ? Op.movzx8_m : Op.movzx8_r;
    case Cold.movzx16:
      return memory ? Op.movzx16_m : Op.movzx16_r;
    case Cold.movsx8:
      return memory ? Op.movsx8_m : Op.movsx8_r;
    case Cold.movsx16:
      return memory ? Op.movsx16_m : Op.movsx16_r;
    case Cold.inc:
      return memory ? Op.inc_m : Op.inc_r;
    case Cold.dec:
      return memory ? Op.dec_m : Op.dec_r;
    case Cold.neg:
      return memory ? 0 : Op.neg_r;
    case Cold.not:
      return memory ? 0 : Op.not_r;
    case Cold.xchg:
      return memory ? 0 : Op.xchg_rr;
    case Cold.imul:
      return memory ? Op.imul_rm : Op.imul_rr;
    case Cold.imulImm:
      return memory ? Op.imul_rmi : Op.imul_rri;
    case Cold.mul:
      return memory ? Op.mul_m : Op.mul_r;
    case Cold.shift:
      if (memory || count === 0) return 0;
      return [Op.rol_ri, Op.ror_ri, 0, 0, Op.shl_ri, Op.shr_ri, Op.shl_ri, Op.sar_ri][sub];
    case Cold.shiftCl:
      return memory ? 0 : [0, 0, 0, 0, Op.shl_cl, Op.shr_cl, Op.shl_cl, Op.sar_cl][sub];
    case Cold.shld:
      return memory || count === 0 ? 0 : sub ? Op.shrd_ri : Op.shld_ri;
    case Cold.cmov:
      return memory ? Op.cmov_rm : Op.cmov_rr;
    case Cold.cwd:
      return Op.cdq;
    case Cold.bswap:
      return Op.bswap;
    case Cold.push:
      return stack ? (memory ? Op.push_m : Op.push_r) : 0;
    case Cold.pushImm:
      return stack ? Op.push_i : 0;
    case Cold.pop:
      return stack && !memory ? Op.pop_r : 0;
    case Cold.leave:
      return stack ? Op.leave : 0;
    case Cold.ret:
      return stack ? Op.ret : 0;
    case Cold.retImm:
      return stack ? Op.ret_i : 0;
    case Cold.call:
      return stack ? Op.call : 0;
    case Cold.callE:
      return stack ? (memory ? Op.call_m : Op.call_r) : 0;
    case Cold.jmp:
      return Op.jmp;
    case Cold.jmpE:
      return memory ? Op.jmp_m : Op.jmp_r;
    case Cold.jcc:
      return Op.jo + sub;
  }
  return 0;
}

/** Replaces the cold operation of the record at `u` if there is a case for it. */
export function specialize(ops: Int32Array, u: number, stamp: number): void {
  const w0 = ops[u];
  const w3 = ops[u + 3];
  const cold = (w3 >>> 16) & 1023;
  const width = (w3 >>> 26) & 3;
  const sub = w3 >>> 28;
  const memory = (w0 & (1 << 30)) !== 0;
  const toRegister = w0 < 0;
  const segment = (w0 >>> 24) & 7;
  if (cold === Cold.nop) {
    ops[u] = (w0 & ~1023) | Op.nop;
    return;
  }
  if (cold === Cold.x87) {
    // FCMOVcc and FCOMI work on EFLAGS: cold
    const key = ops[u + 1];
    const flags = key >= 64 && ((key & 0x38) === 0x10 || (key & 0x38) === 0x18 || (key & 0x38) === 0x38);
    if (!flags) ops[u] = (w0 & ~1023) | Op.x87;
    return;
  }
  if (cold >= Cold.SSE) {
    const operation = cold - Cold.SSE;
    const compare = operation >= Sse.ucomiss && operation <= Sse.comisd;
    ops[u] = (w0 & ~1023) | (compare ? Op.sseCompare : Op.sse);
    return;
  }
  if ((w0 >>> 27) & 1) {
    if (memory || cold === Cold.lea) return;
  } else if (cold === Cold.lea && width === 2) {
    ops[u] = (w0 & ~1023) | Op.lea;
    return;
  }
  if (memory && !(segment === DS ? stamp & Stamp.flatData : segment === SS && stamp & Stamp.flatStack)) return;
  const flow = cold >= Cold.jcc && cold <= Cold.retImm;
  if (flow && !(stamp & Stamp.flatCode)) return;
  let op = 0;
  let fields = w0;
  if (width === 2) {
    op = hot32(ops, u, cold, sub, memory, toRegister, (stamp & Stamp.flatStack) !== 0);
    if (op === 0) return;
    const source = byteRegister((w0 >>> 14) & 7);
    if (op === Op.movzx8_r || op === Op.movsx8_r) fields = (w0 & ~(15 << 14)) | (source << 14);
    // register forms have the destination in the register field, the source in the other
    const two = op <= Op.cmp_rr || op === Op.mov_rr || op === Op.test_rr;
    const one = (op >= Op.add_ri && op <= Op.cmp_ri) || op === Op.test_ri || op === Op.mov_ri || op === Op.xchg_rr;
    const unary = (op >= Op.inc_r && op <= Op.not_r) || (op >= Op.shl_ri && op <= Op.sar_cl) || op === Op.push_r || op === Op.pop_r || op === Op.call_r || op === Op.jmp_r || op === Op.bswap || op === Op.mul_r;
    const rm = (w0 >>> 14) & 15;
    if ((two && !toRegister) || op === Op.shld_ri || op === Op.shrd_ri || op === Op.xchg_rr) fields = swap(w0);
    else if (one || unary) fields = (w0 & ~(15 << 10)) | (rm << 10);
    if ((op >= Op.shl_ri && op <= Op.ror_ri) || op === Op.shld_ri || op === Op.shrd_ri) ops[u + 1] &= 31;
  } else if (width === 0) {
    op = hot8(cold, sub, memory, toRegister);
    if (op === 0) return;
    const r = byteRegister((w0 >>> 10) & 7);
    const rm = (w0 >>> 14) & 15;
    if (memory) fields = (w0 & ~(15 << 10)) | (r << 10);
    else {
      const b = byteRegister(rm);
      const [to, from] = toRegister ? [r, b] : [b, r];
      fields = (w0 & ~(255 << 10)) | (to << 10) | (from << 14);
    }
  } else if (cold === Cold.mov && memory && !toRegister) op = Op.mov16_mr;
  if (op !== 0) ops[u] = (fields & ~1023) | op;
}

const swap = (w0: number) => (w0 & ~(255 << 10)) | (((w0 >>> 10) & 15) << 14) | (((w0 >>> 14) & 15) << 10);

/** Makes one of a comparison at `u - STRIDE` and the branch at `u`, which stays as it is for those who jump to it. */
export function fuse(ops: Int32Array, u: number): void {
  const cc = (ops[u] & 1023) - Op.jo;
  if (cc < 0 || cc > 15) return;
  const first = u - STRIDE;
  const op = ops[first] & 1023;
  const ordered = (cc >= 2 && cc <= 7) || cc >= 12;
  let fused = 0;
  if (op === Op.cmp_rr && ordered) fused = Fused.cmp_rr + cc;
  else if (op === Op.cmp_ri && ordered) fused = Fused.cmp_ri + cc;
  else if (op === Op.test_rr && (cc === 4 || cc === 5 || cc === 8 || cc === 9 || cc >= 14)) fused = Fused.test_rr + cc;
  if (fused) ops[first] = (ops[first] & ~1023) | fused;
}
