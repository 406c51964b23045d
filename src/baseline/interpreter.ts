/** The interpreter: one dense switch over records (ops.ts). Registers and memory are typed arrays held as constants of a closure,
 *  what changes with every instruction (record, lazy flags, budget) are local variables.
 *
 *  `k - u` is what is left of the budget, in words of records: straight code pays by moving `u`, a jump from `u` to `t`
 *  adds `t - u - 4`. Each case reads before it changes anything, so a fault finds the state of its instruction's start. */
import { multiplyHigh } from "./alu";
import { carryOf, condition, Kind } from "./cpu";
import type { BaselineCore } from "./core";
import { FIRST } from "./code_cache";
import { Op } from "./ops";
import { FAULT } from "./paging";
import { sse, sseCompare } from "./sse";
import { sseHot } from "./sse_hot";
import { x87 } from "./x87";
import { x87Hot } from "./x87_hot";

export type Slice = (start: number, words: number) => number;

/** `perform` does a cold record: true if the next record follows, false if `pc` says where to go on. The function returned runs
 *  from record `start` (0 to look `pc` up) and gives the words left of its budget; a fault is left pending. */
export function makeSlice(m: BaselineCore, perform: (m: BaselineCore, u: number) => boolean): Slice {
  return function slice(start: number, words: number): number {
    const { ops, entries, tlbR, tlbW, tlbX } = m;
    const R = m.reg;
    const R8 = m.reg8;
    const ram = m.ram32;
    const ram8 = m.ram8;
    const ram16 = m.ram16;
    let u = start | 0;
    let k = (words + start) | 0;
    let pc = m.pc | 0;
    let page = pc & -4096;
    let from = 0;
    let user = m.user | 0;
    let fk: number = m.fk | 0;
    let fr = m.fr | 0;
    let fa = m.fa | 0;
    let fb = m.fb | 0;
    let fc = m.fc | 0;
    let w = 0;
    let l = 0;
    let e = 0;
    let a = 0;
    let b = 0;
    try {
      for (;;) {
        w = ops[u];
        switch (w & 1023) {
        case Op.lookup:
          if (k < 0) {
            m.pc = pc;
            m.setLazy(fk, fr, fa, fb, fc);
            return k;
          }
          a = entries[tlbX[(pc >>> 12) | user] + (pc & 4095)];
          if (a === 0) {
            m.moved = false;
            a = m.find(pc) | 0;
            if (m.moved) from = 0;
          }
          // a direct branch within its page finds its target by itself from now on
          if (from >= FIRST && ((pc ^ page) & -4096) === 0 && a >= FIRST) ops[from + 1] = a;
          from = 0;
          page = pc & -4096;
          k = (k + a) | 0;
          u = a;
          continue;
        case Op.stale:
          pc = (page + (ops[u + 3] & 4095)) | 0;
          from = 0;
          k = (k - u) | 0;
          u = 0;
          continue;
        case Op.next:
          pc = (page + ops[u + 1]) | 0;
          from = 0;
          k = (k - u) | 0;
          u = 0;
          continue;
        case Op.goto:
          a = ops[u + 1];
          k = (((k - u) | 0) + a) | 0;
          u = a;
          if (k < a) {
            m.pc = (page + (ops[u + 3] & 4095)) | 0;
            m.setLazy(fk, fr, fa, fb, fc);
            return (k - u) | 0;
          }
          continue;
        case Op.cross:
          pc = (page + (ops[u + 3] & 4095)) | 0;
          if (m.sameAcross(u, pc)) {
            k = (k + 4) | 0;
            u = (u + 4) | 0;
          } else {
            from = 0;
            k = (k - u) | 0;
            u = 0;
          }
          continue;
        case Op.cold:
          m.pc = (page + (ops[u + 3] & 4095)) | 0;
          m.next = (m.pc + ((ops[u + 3] >>> 12) & 15)) | 0;
          m.setLazy(fk, fr, fa, fb, fc);
          m.left = (k - u) | 0;
          if (perform(m, u)) {
            fk = m.fk | 0;
            fr = m.fr | 0;
            fa = m.fa | 0;
            fb = m.fb | 0;
            fc = m.fc | 0;
            u = (u + 4) | 0;
            continue;
          }
          fk = m.fk | 0;
          fr = m.fr | 0;
          fa = m.fa | 0;
          fb = m.fb | 0;
          fc = m.fc | 0;
          user = m.user | 0;
          pc = m.pc | 0;
          from = 0;
          k = (((k - u) | 0) - 4) | 0;
          u = 0;
          if (m.leave) return k;
          continue;
        case Op.stop:
          m.pc = (page + ops[u + 1]) | 0;
          m.setLazy(fk, fr, fa, fb, fc);
          return (k - u) | 0;
        case Op.add_rr: a = R[(w >>> 10) & 15]; b = R[(w >>> 14) & 15]; fr = (a + b) | 0; fk = Kind.add; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.or_rr: a = R[(w >>> 10) & 15]; b = R[(w >>> 14) & 15]; fr = a | b; fk = Kind.logic; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.adc_rr: a = R[(w >>> 10) & 15]; b = R[(w >>> 14) & 15]; fr = (((a + b) | 0) + carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.adc; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.sbb_rr: a = R[(w >>> 10) & 15]; b = R[(w >>> 14) & 15]; fr = (((a - b) | 0) - carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.sbb; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.and_rr: a = R[(w >>> 10) & 15]; b = R[(w >>> 14) & 15]; fr = a & b; fk = Kind.logic; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.sub_rr: a = R[(w >>> 10) & 15]; b = R[(w >>> 14) & 15]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.xor_rr: a = R[(w >>> 10) & 15]; b = R[(w >>> 14) & 15]; fr = a ^ b; fk = Kind.logic; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.cmp_rr: a = R[(w >>> 10) & 15]; b = R[(w >>> 14) & 15]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; u = (u + 4) | 0; continue;
        case Op.add_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fr = (a + b) | 0; fk = Kind.add; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.or_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fr = a | b; fk = Kind.logic; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.adc_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fr = (((a + b) | 0) + carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.adc; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.sbb_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fr = (((a - b) | 0) - carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.sbb; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.and_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fr = a & b; fk = Kind.logic; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.sub_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.xor_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fr = a ^ b; fk = Kind.logic; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.cmp_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; u = (u + 4) | 0; continue;
        case Op.add_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[(w >>> 10) & 15]; fr = (a + b) | 0; fk = Kind.add; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.or_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[(w >>> 10) & 15]; fr = a | b; fk = Kind.logic; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.adc_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[(w >>> 10) & 15]; fr = (((a + b) | 0) + carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.adc; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.sbb_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[(w >>> 10) & 15]; fr = (((a - b) | 0) - carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.sbb; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.and_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[(w >>> 10) & 15]; fr = a & b; fk = Kind.logic; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.sub_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[(w >>> 10) & 15]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.xor_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[(w >>> 10) & 15]; fr = a ^ b; fk = Kind.logic; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.cmp_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[(w >>> 10) & 15]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; u = (u + 4) | 0; continue;
        case Op.add_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = R[(w >>> 10) & 15]; fr = (a + b) | 0; fk = Kind.add; fa = a; fb = b; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.or_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = R[(w >>> 10) & 15]; fr = a | b; fk = Kind.logic; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.adc_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = R[(w >>> 10) & 15]; fr = (((a + b) | 0) + carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.adc; fa = a; fb = b; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.sbb_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = R[(w >>> 10) & 15]; fr = (((a - b) | 0) - carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.sbb; fa = a; fb = b; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.and_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = R[(w >>> 10) & 15]; fr = a & b; fk = Kind.logic; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.sub_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = R[(w >>> 10) & 15]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.xor_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = R[(w >>> 10) & 15]; fr = a ^ b; fk = Kind.logic; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.cmp_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); b = R[(w >>> 10) & 15]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; u = (u + 4) | 0; continue;
        case Op.add_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = ops[u + 1]; fr = (a + b) | 0; fk = Kind.add; fa = a; fb = b; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.or_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = ops[u + 1]; fr = a | b; fk = Kind.logic; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.adc_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = ops[u + 1]; fr = (((a + b) | 0) + carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.adc; fa = a; fb = b; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.sbb_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = ops[u + 1]; fr = (((a - b) | 0) - carryOf(fk, fr, fa, fb, fc)) | 0; fk = Kind.sbb; fa = a; fb = b; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.and_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = ops[u + 1]; fr = a & b; fk = Kind.logic; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.sub_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = ops[u + 1]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.xor_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); b = ops[u + 1]; fr = a ^ b; fk = Kind.logic; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.cmp_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); b = ops[u + 1]; fr = (a - b) | 0; fk = Kind.sub; fa = a; fb = b; u = (u + 4) | 0; continue;
        case Op.test_rr: fr = R[(w >>> 10) & 15] & R[(w >>> 14) & 15]; fk = Kind.logic; u = (u + 4) | 0; continue;
        case Op.test_ri: fr = R[(w >>> 10) & 15] & ops[u + 1]; fk = Kind.logic; u = (u + 4) | 0; continue;
        case Op.test_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); fr = a & R[(w >>> 10) & 15]; fk = Kind.logic; u = (u + 4) | 0; continue;
        case Op.test_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); fr = a & ops[u + 1]; fk = Kind.logic; u = (u + 4) | 0; continue;
        case Op.mov_rr: R[(w >>> 10) & 15] = R[(w >>> 14) & 15]; u = (u + 4) | 0; continue;
        case Op.mov_ri: R[(w >>> 10) & 15] = ops[u + 1]; u = (u + 4) | 0; continue;
        case Op.mov_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; R[(w >>> 10) & 15] = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); u = (u + 4) | 0; continue;
        case Op.mov_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = R[(w >>> 10) & 15]; else m.write32(l, R[(w >>> 10) & 15]); u = (u + 4) | 0; continue;
        case Op.mov_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = ops[u + 1]; else m.write32(l, ops[u + 1]); u = (u + 4) | 0; continue;
        case Op.mov8_rr: R8[(w >>> 10) & 15] = R8[(w >>> 14) & 15]; u = (u + 4) | 0; continue;
        case Op.mov8_ri: R8[(w >>> 10) & 15] = ops[u + 1]; u = (u + 4) | 0; continue;
        case Op.mov8_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; R8[(w >>> 10) & 15] = e !== 0 ? ram8[e ^ l ^ 1] : m.read8(l); u = (u + 4) | 0; continue;
        case Op.mov8_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0) ram8[e ^ l ^ 1] = R8[(w >>> 10) & 15]; else m.write8(l, R8[(w >>> 10) & 15]); u = (u + 4) | 0; continue;
        case Op.mov8_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0) ram8[e ^ l ^ 1] = ops[u + 1]; else m.write8(l, ops[u + 1]); u = (u + 4) | 0; continue;
        case Op.mov16_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0 && (l & 1) === 0) ram16[(e ^ l) >>> 1] = R[(w >>> 10) & 15]; else m.write16(l, R[(w >>> 10) & 15]); u = (u + 4) | 0; continue;
        case Op.movzx8_r: R[(w >>> 10) & 15] = R8[(w >>> 14) & 15]; u = (u + 4) | 0; continue;
        case Op.movzx8_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; R[(w >>> 10) & 15] = e !== 0 ? ram8[e ^ l ^ 1] : m.read8(l); u = (u + 4) | 0; continue;
        case Op.movzx16_r: R[(w >>> 10) & 15] = R[(w >>> 14) & 15] & 0xffff; u = (u + 4) | 0; continue;
        case Op.movzx16_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 1) === 0 ? ram16[(e ^ l) >>> 1] : m.read16(l); R[(w >>> 10) & 15] = a; u = (u + 4) | 0; continue;
        case Op.movsx8_r: R[(w >>> 10) & 15] = (R8[(w >>> 14) & 15] << 24) >> 24; u = (u + 4) | 0; continue;
        case Op.movsx8_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 ? ram8[e ^ l ^ 1] : m.read8(l); R[(w >>> 10) & 15] = (a << 24) >> 24; u = (u + 4) | 0; continue;
        case Op.movsx16_r: R[(w >>> 10) & 15] = (R[(w >>> 14) & 15] << 16) >> 16; u = (u + 4) | 0; continue;
        case Op.movsx16_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 1) === 0 ? ram16[(e ^ l) >>> 1] : m.read16(l); R[(w >>> 10) & 15] = (a << 16) >> 16; u = (u + 4) | 0; continue;
        case Op.lea: R[(w >>> 10) & 15] = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; u = (u + 4) | 0; continue;
        case Op.inc_r: fc = carryOf(fk, fr, fa, fb, fc); fa = R[(w >>> 10) & 15]; fb = 1; R[(w >>> 10) & 15] = fr = (fa + 1) | 0; fk = Kind.inc; u = (u + 4) | 0; continue;
        case Op.dec_r: fc = carryOf(fk, fr, fa, fb, fc); fa = R[(w >>> 10) & 15]; fb = 1; R[(w >>> 10) & 15] = fr = (fa - 1) | 0; fk = Kind.dec; u = (u + 4) | 0; continue;
        case Op.inc_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); fc = carryOf(fk, fr, fa, fb, fc); fa = a; fb = 1; fr = (a + 1) | 0; fk = Kind.inc; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.dec_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbW[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.readToWrite(l); fc = carryOf(fk, fr, fa, fb, fc); fa = a; fb = 1; fr = (a - 1) | 0; fk = Kind.dec; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = fr; else m.write32(l, fr); u = (u + 4) | 0; continue;
        case Op.neg_r: fa = 0; fb = R[(w >>> 10) & 15]; R[(w >>> 10) & 15] = fr = -fb | 0; fk = Kind.sub; u = (u + 4) | 0; continue;
        case Op.not_r: R[(w >>> 10) & 15] = ~R[(w >>> 10) & 15]; u = (u + 4) | 0; continue;
        case Op.xchg_rr: a = R[(w >>> 10) & 15]; R[(w >>> 10) & 15] = R[(w >>> 14) & 15]; R[(w >>> 14) & 15] = a; u = (u + 4) | 0; continue;
        case Op.imul_rr: a = R[(w >>> 10) & 15]; b = R[(w >>> 14) & 15]; fr = Math.imul(a, b); fc = a * b === fr ? 0 : 1; fa = -fc | 0; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.imul_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[(w >>> 10) & 15]; fr = Math.imul(a, b); fc = a * b === fr ? 0 : 1; fa = -fc | 0; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.imul_rri: a = R[(w >>> 14) & 15]; b = ops[u + 1]; fr = Math.imul(a, b); fc = a * b === fr ? 0 : 1; fa = -fc | 0; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.imul_rmi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); b = ops[u + 1]; fr = Math.imul(a, b); fc = a * b === fr ? 0 : 1; fa = -fc | 0; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.mul_r: a = R[0]; b = R[(w >>> 10) & 15]; fr = Math.imul(a, b); R[2] = multiplyHigh(a, b); R[0] = fr; fc = R[2] === 0 ? 0 : 1; fa = -fc | 0; fb = 0; fk = Kind.shift; u = (u + 4) | 0; continue;
        case Op.mul_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = R[0]; fr = Math.imul(a, b); R[2] = multiplyHigh(a, b); R[0] = fr; fc = R[2] === 0 ? 0 : 1; fa = -fc | 0; fb = 0; fk = Kind.shift; u = (u + 4) | 0; continue;
        case Op.shl_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fc = (a >>> (32 - b)) & 1; fr = a << b; fa = fr ^ (fc << 31); fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.shr_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fc = (a >>> (b - 1)) & 1; fr = (a >>> b) | 0; fa = a; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.sar_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fc = (a >> (b - 1)) & 1; fr = a >> b; fa = 0; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.rol_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; a = (a << b) | (a >>> (32 - b)); b = a & 1; e = a ^ (b << 31); R[(w >>> 10) & 15] = a; if (fk === Kind.explicit) fr = (fr & ~0x801) | b | (e >>> 31 << 11); else { fb = fk === Kind.logic ? 0 : fk === Kind.shift ? fb : fa ^ fb ^ fr; fa = e; fc = b; fk = Kind.shift; } u = (u + 4) | 0; continue;
        case Op.ror_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; a = (a >>> b) | (a << (32 - b)); b = a >>> 31; e = a ^ (a << 1); R[(w >>> 10) & 15] = a; if (fk === Kind.explicit) fr = (fr & ~0x801) | b | (e >>> 31 << 11); else { fb = fk === Kind.logic ? 0 : fk === Kind.shift ? fb : fa ^ fb ^ fr; fa = e; fc = b; fk = Kind.shift; } u = (u + 4) | 0; continue;
        case Op.shl_cl: b = R[1] & 31; if (b !== 0) { a = R[(w >>> 10) & 15]; fc = (a >>> (32 - b)) & 1; fr = a << b; fa = fr ^ (fc << 31); fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; } u = (u + 4) | 0; continue;
        case Op.shr_cl: b = R[1] & 31; if (b !== 0) { a = R[(w >>> 10) & 15]; fc = (a >>> (b - 1)) & 1; fr = (a >>> b) | 0; fa = a; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; } u = (u + 4) | 0; continue;
        case Op.sar_cl: b = R[1] & 31; if (b !== 0) { a = R[(w >>> 10) & 15]; fc = (a >> (b - 1)) & 1; fr = a >> b; fa = 0; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; } u = (u + 4) | 0; continue;
        case Op.shld_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fc = (a >>> (32 - b)) & 1; fr = (a << b) | (R[(w >>> 14) & 15] >>> (32 - b)); fa = fr ^ a; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.shrd_ri: a = R[(w >>> 10) & 15]; b = ops[u + 1]; fc = (a >>> (b - 1)) & 1; fr = (a >>> b) | (R[(w >>> 14) & 15] << (32 - b)); fa = fr ^ a; fb = 0; fk = Kind.shift; R[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.setcc: R8[(w >>> 10) & 15] = condition(ops[u + 3] >>> 28, fk, fr, fa, fb, fc) ? 1 : 0; u = (u + 4) | 0; continue;
        case Op.cmov_rr: if (condition(ops[u + 3] >>> 28, fk, fr, fa, fb, fc)) R[(w >>> 10) & 15] = R[(w >>> 14) & 15]; u = (u + 4) | 0; continue;
        case Op.cmov_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); if (condition(ops[u + 3] >>> 28, fk, fr, fa, fb, fc)) R[(w >>> 10) & 15] = a; u = (u + 4) | 0; continue;
        case Op.cdq: R[2] = R[0] >> 31; u = (u + 4) | 0; continue;
        case Op.bswap: a = R[(w >>> 10) & 15]; R[(w >>> 10) & 15] = ((a & 0xff) << 24) | ((a & 0xff00) << 8) | ((a >>> 8) & 0xff00) | (a >>> 24); u = (u + 4) | 0; continue;
        case Op.push_r: a = R[(w >>> 10) & 15]; l = (R[4] - 4) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = a; else m.write32(l, a); R[4] = l; u = (u + 4) | 0; continue;
        case Op.push_i: a = ops[u + 1]; l = (R[4] - 4) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = a; else m.write32(l, a); R[4] = l; u = (u + 4) | 0; continue;
        case Op.push_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); l = (R[4] - 4) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = a; else m.write32(l, a); R[4] = l; u = (u + 4) | 0; continue;
        case Op.pop_r: l = R[4]; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); R[4] = (l + 4) | 0; R[(w >>> 10) & 15] = a; u = (u + 4) | 0; continue;
        case Op.leave: l = R[5]; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); R[5] = a; R[4] = (l + 4) | 0; u = (u + 4) | 0; continue;
        case Op.nop: u = (u + 4) | 0; continue;
        case Op.cmp8_rr: a = (R8[(w >>> 10) & 15] << 24) >> 24; b = (R8[(w >>> 14) & 15] << 24) >> 24; fr = (((a - b) << 24) >> 24); fa = a; fb = b; fk = Kind.sub; u = (u + 4) | 0; continue;
        case Op.cmp8_ri: a = (R8[(w >>> 10) & 15] << 24) >> 24; b = ops[u + 1]; fr = (((a - b) << 24) >> 24); fa = a; fb = b; fk = Kind.sub; u = (u + 4) | 0; continue;
        case Op.cmp8_rm: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 ? ram8[e ^ l ^ 1] : m.read8(l); a = (R8[(w >>> 10) & 15] << 24) >> 24; b = (b << 24) >> 24; fr = (((a - b) << 24) >> 24); fa = a; fb = b; fk = Kind.sub; u = (u + 4) | 0; continue;
        case Op.cmp8_mr: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 ? ram8[e ^ l ^ 1] : m.read8(l); b = (R8[(w >>> 10) & 15] << 24) >> 24; a = (a << 24) >> 24; fr = (((a - b) << 24) >> 24); fa = a; fb = b; fk = Kind.sub; u = (u + 4) | 0; continue;
        case Op.cmp8_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 ? ram8[e ^ l ^ 1] : m.read8(l); a = (a << 24) >> 24; b = ops[u + 1]; fr = (((a - b) << 24) >> 24); fa = a; fb = b; fk = Kind.sub; u = (u + 4) | 0; continue;
        case Op.test8_rr: fr = ((R8[(w >>> 10) & 15] & R8[(w >>> 14) & 15]) << 24) >> 24; fk = Kind.logic; u = (u + 4) | 0; continue;
        case Op.test8_ri: fr = ((R8[(w >>> 10) & 15] & ops[u + 1]) << 24) >> 24; fk = Kind.logic; u = (u + 4) | 0; continue;
        case Op.test8_mi: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 ? ram8[e ^ l ^ 1] : m.read8(l); fr = ((a & ops[u + 1]) << 24) >> 24; fk = Kind.logic; u = (u + 4) | 0; continue;
        case Op.xor8_rr: fr = ((R8[(w >>> 10) & 15] ^ R8[(w >>> 14) & 15]) << 24) >> 24; fk = Kind.logic; R8[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.or8_rr: fr = ((R8[(w >>> 10) & 15] | R8[(w >>> 14) & 15]) << 24) >> 24; fk = Kind.logic; R8[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.and8_ri: fr = ((R8[(w >>> 10) & 15] & ops[u + 1]) << 24) >> 24; fk = Kind.logic; R8[(w >>> 10) & 15] = fr; u = (u + 4) | 0; continue;
        case Op.x87: if (!x87Hot(m, ops, u)) x87(m, ops, u); u = (u + 4) | 0; continue;
        case Op.sse: if (!sseHot(m, ops, u)) sse(m, ops, u); u = (u + 4) | 0; continue;
        case Op.sseCompare: fr = sseCompare(m, ops, u); fk = Kind.explicit; u = (u + 4) | 0; continue;
        case Op.call: a = (page + ((ops[u + 3] & 4095) + ((ops[u + 3] >>> 12) & 15))) | 0; l = (R[4] - 4) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = a; else m.write32(l, a); R[4] = l; break;
        case Op.call_r: b = R[(w >>> 10) & 15]; a = (page + ((ops[u + 3] & 4095) + ((ops[u + 3] >>> 12) & 15))) | 0; l = (R[4] - 4) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = a; else m.write32(l, a); R[4] = l; pc = b; from = 0; k = (((k - u) | 0) - 4) | 0; u = 0; continue;
        case Op.call_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; b = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); a = (page + ((ops[u + 3] & 4095) + ((ops[u + 3] >>> 12) & 15))) | 0; l = (R[4] - 4) | 0; e = tlbW[(l >>> 12) | user]; if (e !== 0 && (l & 3) === 0) ram[(e ^ l) >>> 2] = a; else m.write32(l, a); R[4] = l; pc = b; from = 0; k = (((k - u) | 0) - 4) | 0; u = 0; continue;
        case Op.ret: l = R[4]; e = tlbR[(l >>> 12) | user]; pc = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); R[4] = (l + 4) | 0; from = 0; k = (((k - u) | 0) - 4) | 0; u = 0; continue;
        case Op.ret_i: l = R[4]; e = tlbR[(l >>> 12) | user]; pc = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); R[4] = (l + (4 + ops[u + 1])) | 0; from = 0; k = (((k - u) | 0) - 4) | 0; u = 0; continue;
        case Op.jmp: break;
        case Op.jmp_r: pc = R[(w >>> 10) & 15]; from = 0; k = (((k - u) | 0) - 4) | 0; u = 0; continue;
        case Op.jmp_m: l = (((R[(w >>> 14) & 15] + (R[(w >>> 18) & 15] << ((w >>> 22) & 3))) | 0) + ops[u + 2]) | 0; e = tlbR[(l >>> 12) | user]; a = e !== 0 && (l & 3) === 0 ? ram[(e ^ l) >>> 2] : m.read32(l); pc = a; from = 0; k = (((k - u) | 0) - 4) | 0; u = 0; continue;
        case Op.jo: if (condition(0, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.jno: if (condition(1, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.jb: if (fk === Kind.sub ? fa >>> 0 < fb >>> 0 : condition(2, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.jae: if (fk === Kind.sub ? fa >>> 0 >= fb >>> 0 : condition(3, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.je: if (fk !== Kind.explicit ? fr === 0 : (fr & 0x40) !== 0) break; u = (u + 4) | 0; continue;
        case Op.jne: if (fk !== Kind.explicit ? fr !== 0 : (fr & 0x40) === 0) break; u = (u + 4) | 0; continue;
        case Op.jbe: if (fk === Kind.sub ? fa >>> 0 <= fb >>> 0 : condition(6, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.ja: if (fk === Kind.sub ? fa >>> 0 > fb >>> 0 : condition(7, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.js: if (fk !== Kind.explicit ? fr < 0 : (fr & 0x80) !== 0) break; u = (u + 4) | 0; continue;
        case Op.jns: if (fk !== Kind.explicit ? fr >= 0 : (fr & 0x80) === 0) break; u = (u + 4) | 0; continue;
        case Op.jp: if (condition(10, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.jnp: if (condition(11, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.jl: if (fk === Kind.sub ? fa < fb : condition(12, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.jge: if (fk === Kind.sub ? fa >= fb : condition(13, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.jle: if (fk === Kind.sub ? fa <= fb : condition(14, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.jg: if (fk === Kind.sub ? fa > fb : condition(15, fk, fr, fa, fb, fc)) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_jb: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >>> 0 < fb >>> 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_jae: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >>> 0 >= fb >>> 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_je: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fr === 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_jne: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fr !== 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_jbe: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >>> 0 <= fb >>> 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_ja: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >>> 0 > fb >>> 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_jl: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa < fb) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_jge: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >= fb) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_jle: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa <= fb) break; u = (u + 4) | 0; continue;
        case Op.cmp_rr_jg: fa = R[(w >>> 10) & 15]; fb = R[(w >>> 14) & 15]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa > fb) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_jb: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >>> 0 < fb >>> 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_jae: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >>> 0 >= fb >>> 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_je: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fr === 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_jne: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fr !== 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_jbe: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >>> 0 <= fb >>> 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_ja: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >>> 0 > fb >>> 0) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_jl: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa < fb) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_jge: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa >= fb) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_jle: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa <= fb) break; u = (u + 4) | 0; continue;
        case Op.cmp_ri_jg: fa = R[(w >>> 10) & 15]; fb = ops[u + 1]; fr = (fa - fb) | 0; fk = Kind.sub; u = (u + 4) | 0; if (fa > fb) break; u = (u + 4) | 0; continue;
        case Op.test_rr_je: fr = R[(w >>> 10) & 15] & R[(w >>> 14) & 15]; fk = Kind.logic; u = (u + 4) | 0; if (fr === 0) break; u = (u + 4) | 0; continue;
        case Op.test_rr_jne: fr = R[(w >>> 10) & 15] & R[(w >>> 14) & 15]; fk = Kind.logic; u = (u + 4) | 0; if (fr !== 0) break; u = (u + 4) | 0; continue;
        case Op.test_rr_js: fr = R[(w >>> 10) & 15] & R[(w >>> 14) & 15]; fk = Kind.logic; u = (u + 4) | 0; if (fr < 0) break; u = (u + 4) | 0; continue;
        case Op.test_rr_jns: fr = R[(w >>> 10) & 15] & R[(w >>> 14) & 15]; fk = Kind.logic; u = (u + 4) | 0; if (fr >= 0) break; u = (u + 4) | 0; continue;
        case Op.test_rr_jle: fr = R[(w >>> 10) & 15] & R[(w >>> 14) & 15]; fk = Kind.logic; u = (u + 4) | 0; if (fr <= 0) break; u = (u + 4) | 0; continue;
        case Op.test_rr_jg: fr = R[(w >>> 10) & 15] & R[(w >>> 14) & 15]; fk = Kind.logic; u = (u + 4) | 0; if (fr > 0) break; u = (u + 4) | 0; continue;
        default:
          throw new Error(`no case ${w & 1023}`);
        }
        // the direct branch at u is taken
        a = ops[u + 1];
        if (a !== 0) {
          k = (((((k - u) | 0) + a) | 0) - 4) | 0;
          u = a;
          if (k < a) {
            m.pc = (page + (ops[u + 3] & 4095)) | 0;
            m.setLazy(fk, fr, fa, fb, fc);
            return (k - u) | 0;
          }
        } else {
          pc = (page + (((ops[u + 3] & 4095) + ((ops[u + 3] >>> 12) & 15) + ops[u + 2]) | 0)) | 0;
          from = u;
          k = (((k - u) | 0) - 4) | 0;
          u = 0;
        }
      }
    } catch (error) {
      if ((w & 1023) !== Op.cold) m.setLazy(fk, fr, fa, fb, fc);
      m.pc = u === 0 ? pc : (page + (ops[u + 3] & 4095)) | 0;
      if (error !== FAULT) throw error;
      m.faulted = true;
      return (k - u) | 0;
    }
  };
}
