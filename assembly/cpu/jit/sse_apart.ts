/** Which XMM registers have their low element in a local of its own. Scalar instructions leave the rest of their register alone; were it one v128, each of
 *  them would have to put its result back among that. Where the region mostly has scalar instructions of one width for a register, its low element
 *  is kept apart, and who wants the whole puts it together. */
import { JitBlock, JitOff } from "../../abi/jit";
import { RecOff } from "../../abi/record";
import { Op } from "../opcodes.gen";
import { isMem } from "../operand";
import { jget, jset } from "./buffer";
import { blockOf, headOf, ordered } from "./graph";
import { depthAt } from "./loops";
import { endOf } from "./region";
import { Sse, sseProperties } from "./sse";

const enum Use { none = 0, f64 = 1, f32 = 2, whole = 3 }

/** How the registers of operation `op` are used. */
function useOf(op: i32, p: u32): Use {
  switch (op) {
    case Op.movaps: case Op.movups: case Op.xorps: case Op.pxor: return Use.none; // copies and the idiom for zero are as good either way
    case Op.movsd: case Op.movsd_store: case Op.movq: case Op.movq_store: case Op.movlps: case Op.movlps_store:
    case Op.cvttsd2si: case Op.cvtsd2si: case Op.cvtsi2sd: return Use.f64;
    case Op.movss: case Op.movss_store: case Op.cvttss2si: case Op.cvtss2si: case Op.cvtsi2ss: return Use.f32;
    case Op.cvtsd2ss: case Op.cvtss2sd: return Use.none; // one of each
    case Op.minsd: case Op.maxsd: case Op.cmpsd: case Op.minss: case Op.maxss: case Op.cmpss: return Use.whole;
    default: break;
  }
  if (!(p & Sse.CHECKED) || p & Sse.ALIGNED) return Use.whole;
  return (p & Sse.SIZE) == 8 && op != Op.cvtps2pd ? Use.f64 : (p & Sse.SIZE) == 4 ? Use.f32 : Use.whole;
}

/** Decides for the region, whose blocks are in order. */
export function chooseApart(): void {
  let apart64: u32 = 0, apart32: u32 = 0;
  for (let n: u32 = 0; n < 16; n++) {
    if (!(jget(JitOff.xmmUsed) >> n & 1)) continue;
    const use = mostly(n);
    if (use == Use.f64) apart64 |= 1 << n;
    else if (use == Use.f32) apart32 |= 1 << n;
  }
  jset(JitOff.lows64, apart64);
  jset(JitOff.lows32, apart32);
}

/** How register `n` is used more than in all other ways together. What is within loops counts for more. */
function mostly(n: u32): Use {
  const count = jget(JitOff.order);
  let all = 0, double = 0, single = 0;
  for (let i: u32 = 0; i < count; i++) {
    const block = ordered(i);
    if (block == JitBlock.DISPATCH) continue;
    const b = blockOf(block), end = endOf(b);
    let weight = 0;
    for (let u = headOf(b) + RecOff.SIZE; u < end; u += RecOff.SIZE) {
      const p = sseProperties(u);
      if (!p) continue;
      const isReg = !(p & Sse.REG_GPR) && load<u8>(u, RecOff.reg) == <u8>n && !(p & Sse.IMM_RM);
      const isRm = !isMem(u) && !(p & Sse.RM_GPR) && load<u8>(u, RecOff.rm) == <u8>n;
      if (!isReg && !isRm) continue;
      const used = useOf(load<u16>(u, RecOff.op), p);
      if (used == Use.none) continue;
      if (!weight) weight = 1 << (min(depthAt(i), 4) << 1);
      all += weight;
      if (used == Use.f64) double += weight;
      if (used == Use.f32) single += weight;
    }
  }
  return double > all - double ? Use.f64 : single > all - single ? Use.f32 : Use.whole;
}
