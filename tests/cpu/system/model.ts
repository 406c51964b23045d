/** A second processor, for comparison: what the manual's pseudo code says about transfers of control, stacks and flags outside long mode
 *  (SDM Vol.2 CALL, JMP, RET, IRET, INT n, POPF, PUSHF, CLI, STI; Vol.3A "Protection", "Interrupt and Exception Handling", "8086
 *  Emulation"), written down as directly as possible. It knows no instructions' bytes, no paging and no task switches. Shares nothing with
 *  the core. */
import { PcpuOff, Seg, SegAttr } from "../../../assembly/abi/layout";
import { GPR, type Guest } from "./guest";

export interface Segment {
  selector: number;
  base: number;
  limit: number;
  /** Bits 40..47 of the descriptor, and above 12 bits 52..55. */
  attr: number;
}

/** Thrown by whatever raises an exception. */
export class Raised {
  constructor(
    readonly vector: number,
    readonly error?: number,
  ) {}
}

export const [DE, UD, DF, TS, NP, SS, GP] = [0, 6, 8, 10, 11, 12, 13];
export const [TF, IF, IOPL, NT, RF, VM, AC, VIF, VIP, ID] = [0x100, 0x200, 0x3000, 0x4000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000];
const STATUS = 0x8d5;
const DF_FLAG = 0x400;
export const ESP = 4;
/** Memory the model looks at: everything a case may touch is below. */
const MEMORY = 0x40000;
const VME = 1;
const PVI = 2;

export class Descriptor {
  constructor(
    readonly low: number,
    readonly high: number,
  ) {}
  get type() { return (this.high >> 8) & 15; }
  get dpl() { return (this.high >> 13) & 3; }
  get present() { return (this.high & 0x8000) !== 0; }
  get system() { return (this.high & 0x1000) === 0; }
  get code() { return (this.high & 0x1800) === 0x1800; }
  get conforming() { return this.code && (this.high & 0x400) !== 0; }
  get readable() { return !this.code || (this.high & 0x200) !== 0; }
  get writable() { return !this.system && !this.code && (this.high & 0x200) !== 0; }
  get base() { return ((this.low >>> 16) | ((this.high & 255) << 16) | (this.high & 0xff000000)) >>> 0; }
  get limit() {
    const limit = (this.low & 0xffff) | (this.high & 0xf0000);
    return this.high & 0x800000 ? ((limit << 12) | 0xfff) >>> 0 : limit;
  }
  get big() { return (this.high & 0x400000) !== 0; }
  segment(selector: number): Segment {
    return { selector, base: this.base, limit: this.limit, attr: ((this.high >> 8) & 0xf0ff) | 1 };
  }
  /* Gates. */
  get selector() { return this.low >>> 16; }
  get offset() { return ((this.low & 0xffff) | (this.high & 0xffff0000)) >>> 0; }
  get count() { return this.high & 31; }
}

const isNull = (selector: number) => (selector & 0xfffc) === 0;
const NOTHING: Segment = { selector: 0, base: 0, limit: 0, attr: SegAttr.NULL };

export class Model {
  r: number[];
  eip: number;
  flags: number;
  cpl: number;
  seg: Segment[];
  shutdown = false;
  readonly cr0: number;
  readonly cr4: number;
  readonly ram: DataView;
  private readonly gdt: readonly [base: number, limit: number];
  private readonly idt: readonly [base: number, limit: number];

  constructor(guest: Guest) {
    this.ram = new DataView(guest.ram.slice(0, MEMORY).buffer);
    this.r = GPR.slice(0, 8).map((name) => Number(guest.gpr(name) & 0xffffffffn));
    this.eip = Number(guest.field(PcpuOff.rip));
    this.flags = guest.flags;
    this.cpl = guest.cpl;
    this.seg = Array.from({ length: 8 }, (_, n) => ({
      selector: guest.word(PcpuOff.segSel + n * 4),
      base: Number(guest.field(n < Seg.ldtr ? PcpuOff.segBase + n * 8 : PcpuOff.ldtBase + (n - Seg.ldtr) * 8)),
      limit: guest.word(PcpuOff.segLimit + n * 4),
      attr: guest.word(PcpuOff.segAttr + n * 4),
    }));
    this.cr0 = Number(guest.field(PcpuOff.cr0) & 0xffffffffn);
    this.cr4 = Number(guest.field(PcpuOff.cr4));
    this.gdt = [Number(guest.field(PcpuOff.gdtBase)), guest.word(PcpuOff.gdtLimit)];
    this.idt = [Number(guest.field(PcpuOff.idtBase)), guest.word(PcpuOff.idtLimit)];
  }

  get real() { return !(this.cr0 & 1); }
  get v86() { return (this.flags & VM) !== 0; }
  get iopl() { return (this.flags >> 12) & 3; }

  /** Performs `instruction`, `length` bytes long, and what comes of it: exceptions up to shutdown. */
  perform(length: number, instruction: (m: Model, next: number) => void): void {
    const start = this.eip;
    let before = this.save();
    let raised: Raised | undefined;
    try {
      this.eip = (start + length) >>> 0;
      instruction(this, this.eip);
      return;
    } catch (error) {
      raised = this.undo(error, before);
      this.eip = start;
    }
    // SDM Vol.3A "Interrupt 8—Double Fault Exception": classes of exceptions that arise in delivering another
    let first = -1;
    while (raised) {
      let { vector, error } = raised;
      const contributory = (v: number) => v === DE || (v >= TS && v <= GP);
      if (first >= 0 && contributory(vector)) {
        if (first === DF) {
          this.shutdown = true;
          return;
        }
        if (contributory(first)) [vector, error] = [DF, 0];
      }
      first = vector;
      before = this.save();
      try {
        this.deliver(vector, { error, ext: 1, saved: vector === DF ? this.flags : this.flags | RF });
        return;
      } catch (error2) {
        raised = this.undo(error2, before);
      }
    }
  }

  private save() {
    return { r: [...this.r], eip: this.eip, flags: this.flags, cpl: this.cpl, seg: this.seg.map((s) => ({ ...s })), ram: new Uint8Array(this.ram.buffer).slice() };
  }
  private undo(error: unknown, before: ReturnType<Model["save"]>): Raised {
    if (!(error instanceof Raised)) throw error;
    const { ram, ...rest } = before;
    Object.assign(this, rest);
    new Uint8Array(this.ram.buffer).set(ram);
    return error;
  }

  /* Memory. */
  load(at: number, size: number): number {
    const to = at >>> 0;
    return size === 4 ? this.ram.getUint32(to, true) : size === 2 ? this.ram.getUint16(to, true) : this.ram.getUint8(to);
  }
  store(at: number, size: number, value: number): void {
    const to = at >>> 0;
    if (size === 4) this.ram.setUint32(to, value >>> 0, true);
    else if (size === 2) this.ram.setUint16(to, value & 0xffff, true);
    else this.ram.setUint8(to, value & 255);
  }
  /** SDM Vol.3A "Limit Checking". */
  static within(s: Segment, offset: number, size: number): boolean {
    const last = offset + size - 1;
    if ((s.attr & 0xc) === 4) return offset > s.limit && last <= (s.attr & SegAttr.DB ? 0xffffffff : 0xffff);
    return last <= s.limit;
  }
  private stackMask(s = this.seg[Seg.ss]) { return s.attr & SegAttr.DB ? 0xffffffff : 0xffff; }
  private stackAt(offset: number, size: number): number {
    const s = this.seg[Seg.ss];
    const at = (offset & this.stackMask()) >>> 0;
    if (s.attr & SegAttr.NULL || !Model.within(s, at, size)) throw new Raised(SS, 0);
    return (s.base + at) >>> 0;
  }
  setEsp(value: number): void {
    const mask = this.stackMask();
    this.r[ESP] = ((this.r[ESP] & ~mask) | (value & mask)) >>> 0;
  }
  peek(depth: number, size: number): number { return this.load(this.stackAt(this.r[ESP] + depth, size), size); }
  /** All items or none: #SS(`code`) otherwise. */
  push(size: number, items: readonly number[], code = 0): void {
    this.room(size, items.length, code);
    items.forEach((item, i) => void this.store(this.stackAt(this.r[ESP] - (i + 1) * size, size), size, item));
    this.setEsp(this.r[ESP] - items.length * size);
  }
  room(size: number, items: number, code: number): void {
    for (let i = 1; i <= items; i++) {
      const s = this.seg[Seg.ss];
      if (!Model.within(s, ((this.r[ESP] - i * size) & this.stackMask()) >>> 0, size)) throw new Raised(SS, code);
    }
  }

  /* Descriptors. */
  find(selector: number): Descriptor | undefined {
    const ldt = this.seg[Seg.ldtr];
    const [base, limit] = selector & 4 ? [ldt.base, ldt.attr & SegAttr.NULL ? -1 : ldt.limit] : this.gdt;
    const offset = selector & 0xfff8;
    if (offset + 7 > limit) return undefined;
    return new Descriptor(this.load(base + offset, 4), this.load(base + offset + 4, 4));
  }
  descriptor(selector: number, vector: number, ext = 0): Descriptor {
    const d = this.find(selector);
    if (!d) throw new Raised(vector, (selector & 0xfffc) | ext);
    return d;
  }

  /* What transfers have in common. */
  enter(selector: number, d: Descriptor, level: number, offset: number): void {
    this.seg[Seg.cs] = d.segment((selector & 0xfffc) | level);
    this.cpl = level;
    this.eip = offset >>> 0;
  }
  enterReal(selector: number, offset: number): void {
    const s = this.seg[Seg.cs];
    this.seg[Seg.cs] = this.v86 ? { selector, base: selector << 4, limit: 0xffff, attr: 0xf3 } : { ...s, selector, base: selector << 4, attr: (s.attr & 0xc000) | 0x93 };
    this.eip = offset;
  }
  setFlags(mask: number, image: number): void { this.flags = (this.flags & ~mask) | (image & mask) | 2; }

  /** The code segment a return names. */
  private returnTarget(selector: number): Descriptor {
    if (isNull(selector)) throw new Raised(GP, 0);
    const d = this.descriptor(selector, GP);
    const code = selector & 0xfffc;
    const level = selector & 3;
    if (!d.code || level < this.cpl) throw new Raised(GP, code);
    if (d.conforming ? d.dpl > level : d.dpl !== level) throw new Raised(GP, code);
    if (!d.present) throw new Raised(NP, code);
    return d;
  }
  private stackSegment(selector: number, level: number, vector: number, ext = 0): Descriptor {
    if (isNull(selector)) throw new Raised(vector, ext);
    const d = this.descriptor(selector, vector, ext);
    const code = (selector & 0xfffc) | ext;
    if ((selector & 3) !== level || !d.writable || d.dpl !== level) throw new Raised(vector, code);
    if (!d.present) throw new Raised(SS, code);
    return d;
  }
  private toOuter(selector: number, d: Descriptor, offset: number, esp: number, ss: number, extra: number): void {
    const level = selector & 3;
    const stack = this.stackSegment(ss, level, GP);
    if (offset > d.limit) throw new Raised(GP, 0);
    this.seg[Seg.ss] = stack.segment(ss);
    this.setEsp(esp + extra);
    for (const n of [Seg.es, Seg.ds, Seg.fs, Seg.gs]) {
      const s = this.seg[n];
      const conforming = (s.attr & 0x1c) === 0x1c;
      if (!(s.attr & SegAttr.NULL) && !conforming && ((s.attr >> 5) & 3) < level) this.seg[n] = { ...NOTHING };
    }
    this.enter(selector, d, level, offset);
  }

  /* Instructions. */
  retFar(size: number, extra: number): void {
    const offset = this.peek(0, size);
    const selector = this.peek(size, size) & 0xffff;
    if (this.real || this.v86) {
      if (offset > this.seg[Seg.cs].limit) throw new Raised(GP, 0);
      this.setEsp(this.r[ESP] + 2 * size + extra);
      return this.enterReal(selector, offset);
    }
    const d = this.returnTarget(selector);
    if ((selector & 3) !== this.cpl) return this.toOuter(selector, d, offset, this.peek(2 * size + extra, size), this.peek(3 * size + extra, size) & 0xffff, extra);
    if (offset > d.limit) throw new Raised(GP, 0);
    this.setEsp(this.r[ESP] + 2 * size + extra);
    this.enter(selector, d, this.cpl, offset);
  }

  iret(size: number): void {
    if (this.v86 && this.iopl < 3) {
      if (size !== 2 || !(this.cr4 & VME)) throw new Raised(GP, 0);
      const image = this.peek(4, 2);
      if ((image & IF && this.flags & VIP) || image & TF) throw new Raised(GP, 0);
      const [offset, selector] = [this.peek(0, 2), this.peek(2, 2)];
      this.setFlags(VIF, image & IF ? VIF : 0);
      this.setFlags((STATUS | DF_FLAG | NT | TF) & 0xffff, image);
      this.setEsp(this.r[ESP] + 6);
      return this.enterReal(selector, offset);
    }
    const offset = this.peek(0, size);
    const selector = this.peek(size, size) & 0xffff;
    const image = this.peek(2 * size, size);
    const wide = size === 4 ? AC | ID : 0;
    if (this.real || this.v86) {
      if (offset > this.seg[Seg.cs].limit) throw new Raised(GP, 0);
      this.setEsp(this.r[ESP] + 3 * size);
      this.enterReal(selector, offset);
      return this.setFlags(STATUS | TF | IF | DF_FLAG | NT | wide | (this.real ? IOPL : 0), image);
    }
    if (size === 4 && image & VM && this.cpl === 0) return this.toV86(offset, selector, image);
    const d = this.returnTarget(selector);
    let mask = STATUS | TF | DF_FLAG | NT | wide;
    if (this.cpl <= this.iopl) mask |= IF;
    if (this.cpl === 0) mask |= IOPL | (size === 4 ? VIF | VIP : 0);
    if ((selector & 3) !== this.cpl) this.toOuter(selector, d, offset, this.peek(3 * size, size), this.peek(4 * size, size) & 0xffff, 0);
    else {
      if (offset > d.limit) throw new Raised(GP, 0);
      this.setEsp(this.r[ESP] + 3 * size);
      this.enter(selector, d, this.cpl, offset);
    }
    this.setFlags(mask, image);
  }

  private toV86(offset: number, cs: number, image: number): void {
    const [esp, ...rest] = [3, 4, 5, 6, 7, 8].map((n) => this.peek(n * 4, 4));
    if (offset > 0xffff) throw new Raised(GP, 0);
    const selectors = [rest[1], cs, rest[0], rest[2], rest[3], rest[4]];
    selectors.forEach((s, n) => {
      const selector = s & 0xffff;
      this.seg[n] = { selector, base: selector << 4, limit: 0xffff, attr: 0xf3 };
    });
    this.r[ESP] = esp;
    this.eip = offset;
    this.cpl = 3;
    this.setFlags(STATUS | TF | IF | DF_FLAG | NT | IOPL | VM | AC | VIF | VIP | ID, image);
  }

  /** Far CALL or JMP to `selector`:`offset`; the call pushes `next` in items of `size`. */
  far(call: boolean, size: number, selector: number, offset: number, next: number): void {
    const { cpl } = this;
    if (this.real || this.v86) {
      if (call) this.room(size, 2, 0);
      if (offset > this.seg[Seg.cs].limit) throw new Raised(GP, 0);
      if (call) this.push(size, [this.seg[Seg.cs].selector, next]);
      return this.enterReal(selector, offset);
    }
    if (isNull(selector)) throw new Raised(GP, 0);
    const d = this.descriptor(selector, GP);
    const code = selector & 0xfffc;
    if (!d.system) {
      if (!d.code) throw new Raised(GP, code);
      if (d.conforming ? d.dpl > cpl : (selector & 3) > cpl || d.dpl !== cpl) throw new Raised(GP, code);
      if (!d.present) throw new Raised(NP, code);
      if (call) this.room(size, 2, 0);
      if (offset > d.limit) throw new Raised(GP, 0);
      if (call) this.push(size, [this.seg[Seg.cs].selector, next]);
      return this.enter(selector, d, cpl, offset);
    }
    if (d.type !== 4 && d.type !== 12) throw new Raised(GP, code);
    if (d.dpl < cpl || d.dpl < (selector & 3)) throw new Raised(GP, code);
    if (!d.present) throw new Raised(NP, code);
    const wide = d.type === 12 ? 4 : 2;
    const to = wide === 4 ? d.offset : d.offset & 0xffff;
    if (isNull(d.selector)) throw new Raised(GP, 0);
    const cs = this.descriptor(d.selector, GP);
    const csCode = d.selector & 0xfffc;
    if (!cs.code || cs.dpl > cpl || (!call && !cs.conforming && cs.dpl !== cpl)) throw new Raised(GP, csCode);
    if (!cs.present) throw new Raised(NP, csCode);
    if (!call || cs.conforming || cs.dpl === cpl) {
      if (call) this.room(wide, 2, 0);
      if (to > cs.limit) throw new Raised(GP, 0);
      if (call) this.push(wide, [this.seg[Seg.cs].selector, next]);
      return this.enter(d.selector, cs, cpl, to);
    }
    const parameters = Array.from({ length: d.count }, (_, i) => () => this.peek(i * wide, wide));
    const frame = [this.seg[Seg.ss].selector, this.r[ESP]];
    this.toInner(cs.dpl, wide, d.count + 4, 0, cs.limit, to, (push) => {
      const values = parameters.map((read) => read()).reverse();
      push([...frame, ...values, this.seg[Seg.cs].selector, next]);
    });
    this.enter(d.selector, cs, cs.dpl, to);
  }

  /** The stack of `level` out of the TSS, `items` of `size` bytes written there; then it is in force. */
  private toInner(level: number, size: number, items: number, ext: number, limit: number, to: number, fill: (push: (items: readonly number[]) => void) => void): void {
    const tr = this.seg[Seg.tr];
    const at = level * 8 + 4;
    if (at + 5 > tr.limit) throw new Raised(TS, (tr.selector & 0xfffc) | ext);
    const esp = this.load(tr.base + at, 4);
    const ss = this.load(tr.base + at + 4, 2);
    const d = this.stackSegment(ss, level, TS, ext);
    const segment = d.segment(ss);
    const mask = this.stackMask(segment);
    const top = ((esp - items * size) & mask) >>> 0;
    if (!Model.within(segment, top, items * size)) throw new Raised(SS, (ss & 0xfffc) | ext);
    if (to > limit) throw new Raised(GP, ext);
    fill((values) => values.forEach((value, i) => void this.store(segment.base + top + (items - 1 - i) * size, size, value)));
    this.seg[Seg.ss] = segment;
    this.setEsp(top);
  }

  /** INT n (`sensitive` to IOPL in virtual-8086 mode), INT3, INTO. */
  software(vector: number, sensitive: boolean): void {
    if (this.v86 && sensitive) {
      if (this.cr4 & VME && !this.redirected(vector)) return this.deliver8086(vector);
      if (this.iopl < 3) throw new Raised(GP, 0);
    }
    this.deliver(vector, { ext: 0, soft: true, saved: this.flags });
  }

  /** Is INT `vector` in virtual-8086 mode to go to the protected-mode handler? SDM Vol.3B "Software Interrupt Handling Methods". */
  private redirected(vector: number): boolean {
    const tr = this.seg[Seg.tr];
    const map = this.load(tr.base + 0x66, 2) - 32 + (vector >> 3);
    if (map < 0 || map > tr.limit) throw new Raised(GP, 0);
    return ((this.load(tr.base + map, 1) >> (vector & 7)) & 1) !== 0;
  }

  /** Through the 8086 program's own vector table. */
  private deliver8086(vector: number): void {
    let image = this.flags & 0xffff;
    if (this.iopl < 3) image = (image & ~IF) | IOPL | (this.flags & VIF ? IF : 0);
    const [offset, selector] = [this.load(vector * 4, 2), this.load(vector * 4 + 2, 2)];
    this.push(2, [image, this.seg[Seg.cs].selector, this.eip]);
    this.setFlags(TF | (this.iopl < 3 ? VIF : IF), 0);
    this.enterReal(selector, offset);
  }

  deliver(vector: number, how: { error?: number; ext: number; soft?: boolean; saved: number }): void {
    const { error, ext, soft, saved } = how;
    const [base, limit] = this.idt;
    if (this.real) {
      if (vector * 4 + 3 > limit) throw new Raised(GP, vector * 8 + 2 + ext);
      this.push(2, [saved, this.seg[Seg.cs].selector, this.eip]);
      this.setFlags(IF | TF | AC | RF, 0);
      return this.enterReal(this.load(base + vector * 4 + 2, 2), this.load(base + vector * 4, 2));
    }
    const entry = vector * 8 + 2 + ext;
    if (vector * 8 + 7 > limit) throw new Raised(GP, entry);
    const gate = new Descriptor(this.load(base + vector * 8, 4), this.load(base + vector * 8 + 4, 4));
    if (!gate.system || ![6, 7, 14, 15].includes(gate.type)) throw new Raised(GP, entry);
    if (soft && gate.dpl < this.cpl) throw new Raised(GP, vector * 8 + 2);
    if (!gate.present) throw new Raised(NP, entry);
    const size = gate.type & 8 ? 4 : 2;
    const to = size === 4 ? gate.offset : gate.offset & 0xffff;
    if (isNull(gate.selector)) throw new Raised(GP, ext);
    const cs = this.descriptor(gate.selector, GP, ext);
    const code = (gate.selector & 0xfffc) | ext;
    if (!cs.code || cs.dpl > this.cpl) throw new Raised(GP, code);
    if (!cs.present) throw new Raised(NP, code);
    const level = cs.conforming ? this.cpl : cs.dpl;
    if (this.v86 && level !== 0) throw new Raised(GP, code);
    const errors = error === undefined ? [] : [error];
    const frame = [saved, this.seg[Seg.cs].selector, this.eip, ...errors];
    if (level !== this.cpl) {
      const data = this.v86 ? [Seg.gs, Seg.fs, Seg.ds, Seg.es].map((n) => this.seg[n].selector) : [];
      const all = [...data, this.seg[Seg.ss].selector, this.r[ESP], ...frame];
      this.toInner(level, size, all.length, ext, cs.limit, to, (push) => push(all));
      if (this.v86) for (const n of [Seg.gs, Seg.fs, Seg.ds, Seg.es]) this.seg[n] = { ...NOTHING };
    } else {
      this.room(size, frame.length, ext);
      if (to > cs.limit) throw new Raised(GP, ext);
      this.push(size, frame);
    }
    this.setFlags(TF | NT | RF | VM | (gate.type & 1 ? 0 : IF), 0);
    this.enter(gate.selector, cs, level, to);
  }

  /** PUSHF at `size` bytes. */
  pushf(size: number): void {
    let image = this.flags & ~(RF | VM);
    if (this.v86 && this.iopl < 3) {
      if (size !== 2 || !(this.cr4 & VME)) throw new Raised(GP, 0);
      image = (image & ~IF) | IOPL | (this.flags & VIF ? IF : 0);
    }
    this.push(size, [image]);
  }

  popf(size: number): void {
    if (this.v86 && this.iopl < 3) {
      if (size !== 2 || !(this.cr4 & VME)) throw new Raised(GP, 0);
      const image = this.peek(0, 2);
      if ((image & IF && this.flags & VIP) || image & TF) throw new Raised(GP, 0);
      this.setFlags(VIF, image & IF ? VIF : 0);
      this.setFlags(STATUS | DF_FLAG | NT | TF, image);
      return this.setEsp(this.r[ESP] + 2);
    }
    let mask = STATUS | TF | DF_FLAG | NT | (size === 4 ? AC | ID : 0);
    if (this.real || this.cpl <= this.iopl) mask |= IF;
    if (this.cpl === 0) mask |= IOPL;
    this.setFlags(mask, this.peek(0, size));
    this.setEsp(this.r[ESP] + size);
  }

  /** CLI and STI. */
  interruptFlag(on: boolean): void {
    if (this.real || this.cpl <= this.iopl) return this.setFlags(IF, on ? IF : 0);
    if (!(this.v86 ? this.cr4 & VME : this.cr4 & PVI && this.cpl === 3) || (on && this.flags & VIP)) throw new Raised(GP, 0);
    this.setFlags(VIF, on ? VIF : 0);
  }

  /** HLT: nothing at CPL 0. */
  halt(): void {
    if (this.cpl !== 0) throw new Raised(GP, 0);
  }

  /** All that differs from the guest, in words; empty if nothing does. */
  differences(guest: Guest): string[] {
    const found: string[] = [];
    const hex = (x: number) => (x >>> 0).toString(16);
    const same = (name: string, want: number, got: number) => {
      if (want >>> 0 !== got >>> 0) found.push(`${name} is ${hex(got)}, not ${hex(want)}`);
    };
    this.r.forEach((want, n) => same(GPR[n], want, Number(guest.gpr(GPR[n]) & 0xffffffffn)));
    same("eip", this.eip, guest.rip);
    same("flags", this.flags, guest.flags);
    same("cpl", this.cpl, guest.cpl);
    this.seg.forEach((want, n) => {
      const field = (at: number) => guest.word(at + n * 4);
      same(`selector ${n}`, want.selector, field(PcpuOff.segSel));
      same(`null ${n}`, want.attr & SegAttr.NULL, field(PcpuOff.segAttr) & SegAttr.NULL);
      if (want.attr & SegAttr.NULL || n >= Seg.ldtr) return;
      same(`base ${n}`, want.base, Number(guest.field(PcpuOff.segBase + n * 8)));
      same(`limit ${n}`, want.limit, field(PcpuOff.segLimit));
      same(`rights ${n}`, want.attr, field(PcpuOff.segAttr));
    });
    const { ram } = guest;
    const [now, want] = [new Uint32Array(ram.buffer, ram.byteOffset, MEMORY / 4), new Uint32Array(this.ram.buffer)];
    for (let i = 0; i < want.length && found.length < 12; i++) if (now[i] !== want[i]) same(`[${hex(i * 4)}]`, want[i], now[i]);
    return found;
  }
}
