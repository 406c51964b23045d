/** The processor's registers as its owner sees and sets them between runs. */
import type { BaselineCore } from "./core";
import { Attr, Seg } from "./cpu";
import { MXCSR } from "./sse";

const SEGMENTS = { es: Seg.es, cs: Seg.cs, ss: Seg.ss, ds: Seg.ds, fs: Seg.fs, gs: Seg.gs, ldtr: Seg.ldtr, tr: Seg.tr } as const;
export type SegmentName = keyof typeof SEGMENTS;

export interface SegmentValue {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  /** Bits 8..23 of the descriptor: type, S, DPL, P, then AVL, D/B, G from bit 12 on. */
  readonly attributes: number;
}

export class Registers {
  constructor(private readonly core: BaselineCore) {}

  /** EAX ECX EDX EBX ESP EBP ESI EDI. */
  get general(): Int32Array {
    return this.core.reg.subarray(0, 8);
  }
  get eip(): number {
    return this.core.eip >>> 0;
  }
  set eip(value: number) {
    this.core.pc = (this.core.base[Seg.cs] + value) | 0;
    this.core.halted = false;
  }
  get eflags(): number {
    return this.core.eflags >>> 0;
  }
  set eflags(value: number) {
    this.core.eflags = value | 0;
  }
  get cpl(): number {
    return this.core.cpl;
  }
  /** CR0, CR2, CR3, CR4 by number. */
  control(n: number): number {
    return this.core.cr[n] >>> 0;
  }
  setControl(n: number, value: number): void {
    this.core.cr[n] = value;
    this.core.flush();
  }
  /** ST(i) of the x87, NaN if empty. */
  st(i: number): number {
    const n = (this.core.fpuTop + i) & 7;
    return this.core.fpuUsed[n] ? this.core.fpu[n] : NaN;
  }
  /** Four words each of XMM0..7. */
  get xmm(): Int32Array {
    return this.core.xmm32.subarray(0, 32);
  }
  get mxcsr(): number {
    return this.core.mxcsr;
  }
  set mxcsr(value: number) {
    this.core.mxcsr = value & MXCSR;
  }
  segment(name: SegmentName): SegmentValue {
    const seg = SEGMENTS[name];
    const { selector, base, limit, attr } = this.core;
    return { selector: selector[seg], base: base[seg] >>> 0, limit: limit[seg], attributes: attr[seg] };
  }
  /** Loads the hidden part too, without looking at any table; the level of SS becomes the current one. */
  setSegment(name: SegmentName, value: SegmentValue): void {
    const seg = SEGMENTS[name];
    this.core.setSegment(seg, value.selector, value.base | 0, value.limit, value.attributes);
    if (seg === Seg.ss) this.core.setCpl((value.attributes >> Attr.DPL_SHIFT) & 3);
  }
  /** GDT and IDT. */
  setTable(name: "gdt" | "idt", base: number, limit: number): void {
    const at = name === "gdt" ? 0 : 2;
    this.core.table[at] = base;
    this.core.table[at + 1] = limit;
  }
}
