/** LOCK-prefixed read-modify-writes and XCHG with memory. Aligned operands in RAM are updated with wasm atomics, because event
 *  channel and grant words are shared with other threads; a compare-exchange loop serves all operations.
 *  DEVIATION: an operand that is split over pages or not aligned, and device memory, is updated without atomicity. */
import { PcpuOff } from "../../abi/layout";
import { RecOff } from "../../abi/record";
import { Flag, Gpr, Vector } from "../../abi/x86";
import { unwind } from "../../env";
import { failError } from "../../fault";
import { commitWrite, hostW } from "../access";
import { carry, setCarry, setStatus, status } from "../flags";
import { Op } from "../opcodes.gen";
import { ea, getReg, imm, opSize, regField, rmField, setReg } from "../operand";
import { PCPU } from "../pcpu";
import { Interp } from "../interp";
import { unaryOp } from "../semantics/alu";
import { aluFlags } from "./arith";
import { sextN } from "../wide";
import { bitAddress, gpr, setGpr } from "./integer";

/** Writable host address of `w` bytes at `lin`; unwinds on a fault. */
function writable(lin: u64, w: i32): usize {
  const h = hostW(lin, w);
  if (!h) unwind();
  return h;
}

@inline function isPlain(h: usize, w: i32): bool { return h == PCPU + PcpuOff.scratchW || (h & (w - 1)) != 0; }

function read(h: usize, w: i32): u64 {
  if (isPlain(h, w)) return w == 8 ? load<u64>(h) : w == 4 ? <u64>load<u32>(h) : w == 2 ? <u64>load<u16>(h) : <u64>load<u8>(h);
  return w == 8 ? atomic.load<u64>(h) : w == 4 ? <u64>atomic.load<u32>(h) : w == 2 ? <u64>atomic.load<u16>(h) : <u64>atomic.load<u8>(h);
}

/** Replaces `old` by `x` if it is still there. */
function replace(h: usize, w: i32, old: u64, x: u64): bool {
  if (isPlain(h, w)) {
    if (w == 8) store<u64>(h, x);
    else if (w == 4) store<u32>(h, <u32>x);
    else if (w == 2) store<u16>(h, <u16>x);
    else store<u8>(h, <u8>x);
    if (h == PCPU + PcpuOff.scratchW) commitWrite();
    return true;
  }
  if (w == 8) return atomic.cmpxchg<u64>(h, old, x) == old;
  if (w == 4) return atomic.cmpxchg<u32>(h, <u32>old, <u32>x) == <u32>old;
  if (w == 2) return atomic.cmpxchg<u16>(h, <u16>old, <u16>x) == <u16>old;
  return atomic.cmpxchg<u8>(h, <u8>old, <u8>x) == <u8>old;
}

/** New value of the destination; sets the flags. Deterministic in `old`, so a lost race just computes again. */
function compute(op: i32, w: i32, old: u64, operand: u64): u64 {
  if (op <= Op.xor) return aluFlags(op - Op.add, w, old, operand);
  const m = changetype<Interp<u32>>(PCPU);
  switch (op) {
    case Op.inc: return unaryOp<Interp<u32>, u64>(m, 0, w, sextN(old, w));
    case Op.dec: return unaryOp<Interp<u32>, u64>(m, 1, w, sextN(old, w));
    case Op.not: return ~old;
    case Op.neg: return unaryOp<Interp<u32>, u64>(m, 3, w, sextN(old, w));
    case Op.xadd: return aluFlags(0, w, old, operand);
    default: return operand; // XCHG
  }
}

function lockedBit(u: usize, op: i32, immediate: bool, w: i32): void {
  const bits = <i64>w * 8;
  let n = immediate ? <i64>imm(u) & (bits - 1) : <i64>sextN(getReg(regField(u), w), w);
  const at = immediate ? ea(u, w, true) : bitAddress(u, (n >> (w == 8 ? 6 : w == 4 ? 5 : 4)) * w, w, true);
  n &= bits - 1;
  const h = writable(at, w), bit = <u64>1 << <u64>n;
  for (;;) {
    const old = read(h, w);
    const x = op == 1 ? old | bit : op == 2 ? old & ~bit : old ^ bit;
    if (!replace(h, w, old, x)) continue;
    setCarry(u32((old & bit) != 0));
    return;
  }
}

/** CMPXCHG8B, CMPXCHG16B. There is no 128-bit atomic in WebAssembly: DEVIATION, the 16-byte form is two plain halves. */
function lockedPair(u: usize): void {
  const half = opSize(u) == 8 ? 8 : 4, at = ea(u, half * 2, true);
  if (half == 8 && at & 15) failError(Vector.GP, 0);
  const h = writable(at, half * 2);
  let equal: bool;
  if (half == 4) {
    const want = getReg(Gpr.rax, 4) | (getReg(Gpr.rdx, 4) << 32), x = getReg(Gpr.rbx, 4) | (getReg(Gpr.rcx, 4) << 32);
    for (;;) {
      const old = read(h, 8);
      equal = old == want;
      if (!replace(h, 8, old, equal ? x : old)) continue;
      if (!equal) {
        setReg(Gpr.rax, 4, old);
        setReg(Gpr.rdx, 4, old >> 32);
      }
      break;
    }
  } else {
    const low = load<u64>(h), high = load<u64>(h, 8);
    equal = low == getReg(Gpr.rax, 8) && high == getReg(Gpr.rdx, 8);
    if (equal) {
      store<u64>(h, getReg(Gpr.rbx, 8));
      store<u64>(h, getReg(Gpr.rcx, 8), 8);
      if (h == PCPU + PcpuOff.scratchW) commitWrite();
    } else {
      setReg(Gpr.rax, 8, low);
      setReg(Gpr.rdx, 8, high);
    }
  }
  setStatus((status() & ~Flag.ZF) | (equal ? Flag.ZF : 0));
}

export function performLocked(u: usize): usize {
  const op = <i32>load<u16>(u, RecOff.op), w = opSize(u);
  switch (op) {
    case Op.bts: lockedBit(u, 1, false, w); return u + RecOff.SIZE;
    case Op.btr: lockedBit(u, 2, false, w); return u + RecOff.SIZE;
    case Op.btc: lockedBit(u, 3, false, w); return u + RecOff.SIZE;
    case Op.bts_imm: lockedBit(u, 1, true, w); return u + RecOff.SIZE;
    case Op.btr_imm: lockedBit(u, 2, true, w); return u + RecOff.SIZE;
    case Op.btc_imm: lockedBit(u, 3, true, w); return u + RecOff.SIZE;
    case Op.cmpxchg8b: lockedPair(u); return u + RecOff.SIZE;
    default: break;
  }
  const h = writable(ea(u, w, true), w);
  if (op == Op.cmpxchg) {
    const want = gpr(u, Gpr.rax, w), x = gpr(u, regField(u), w);
    for (;;) {
      const old = read(h, w), equal = old == want;
      if (!replace(h, w, old, equal ? x : old)) continue;
      if (!equal) setGpr(u, Gpr.rax, w, old);
      aluFlags(5, w, want, old);
      return u + RecOff.SIZE;
    }
  }
  // the decoder leaves 1 in the unused rm field of forms with an immediate
  const unary = op == Op.inc || op == Op.dec || op == Op.not || op == Op.neg;
  const operand = unary ? 0 : rmField(u) != 0 ? <u64>(<i64>imm(u)) : gpr(u, regField(u), w);
  const carryIn = carry();
  if (op == Op.adc || op == Op.sbb) setCarry(carryIn);
  for (;;) {
    const old = read(h, w);
    if (op == Op.adc || op == Op.sbb) setCarry(carryIn);
    if (!replace(h, w, old, compute(op, w, old, operand))) {
      if (op == Op.inc || op == Op.dec) setCarry(carryIn);
      continue;
    }
    if (op == Op.xadd || op == Op.xchg) setGpr(u, regField(u), w, old);
    return u + RecOff.SIZE;
  }
}
