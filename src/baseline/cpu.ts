/** The processor's state: registers, lazy flags, segments. */
import { Flag, Vector } from "../../assembly/abi/x86";
import { Paging } from "./paging";

/** What the last operation on flags was; `fr` is its result and `fa`, `fb` its operands, sign-extended from its width, so that
 *  one formula serves all widths. */
export const enum Kind {
  logic = 0,
  add = 1,
  sub = 2,
  adc = 3,
  sbb = 4,
  inc = 5, // an addition that left CF alone: `fc`
  dec = 6,
  shift = 7, // CF is `fc`, OF the sign of `fa`, AF bit 4 of `fb`
  explicit = 8, // `fr` is OF SF ZF AF PF CF as in EFLAGS
}

export const enum Seg {
  es = 0,
  cs = 1,
  ss = 2,
  ds = 3,
  fs = 4,
  gs = 5,
  ldtr = 6,
  tr = 7,
}

/** Bits of a segment's attributes, as in bits 8..23 of its descriptor. */
export const enum Attr {
  ACCESSED = 1,
  WRITABLE = 2, // code: readable
  DOWN = 4, // code: conforming
  CODE = 8,
  S = 16,
  DPL_SHIFT = 5,
  P = 128,
  DB = 1 << 14,
  G = 1 << 15,
}

/** EFLAGS beside the status flags. */
const CONTROL = Flag.TF | Flag.IF | Flag.DF | Flag.IOPL | Flag.NT | Flag.RF | Flag.VM | Flag.AC | Flag.VIF | Flag.VIP | Flag.ID;

const PARITY = Uint8Array.from({ length: 256 }, (_, x) => {
  let bits = x;
  bits ^= bits >> 4;
  bits ^= bits >> 2;
  return (bits ^ (bits >> 1)) & 1 ? 0 : Flag.PF;
});

export function carryOf(kind: number, r: number, a: number, b: number, c: number): number {
  switch (kind) {
    case Kind.logic:
      return 0;
    case Kind.add:
      return r >>> 0 < a >>> 0 ? 1 : 0;
    case Kind.sub:
      return a >>> 0 < b >>> 0 ? 1 : 0;
    case Kind.adc:
      return ((a & b) | ((a | b) & ~r)) >>> 31;
    case Kind.sbb:
      return ((~a & b) | ((~a | b) & r)) >>> 31;
    case Kind.explicit:
      return r & 1;
    default:
      return c;
  }
}

/** OF as a sign. */
function overflowOf(kind: number, r: number, a: number, b: number): number {
  switch (kind) {
    case Kind.logic:
      return 0;
    case Kind.add:
    case Kind.adc:
    case Kind.inc:
      return (a ^ r) & (b ^ r);
    case Kind.sub:
    case Kind.sbb:
    case Kind.dec:
      return (a ^ b) & (a ^ r);
    case Kind.shift:
      return a;
    default:
      return r << 20;
  }
}

export function statusOf(kind: number, r: number, a: number, b: number, c: number): number {
  if (kind === Kind.explicit) return r;
  return (
    carryOf(kind, r, a, b, c) |
    PARITY[r & 255] |
    (kind === Kind.logic ? 0 : kind === Kind.shift ? b & Flag.AF : (a ^ b ^ r) & Flag.AF) |
    (r === 0 ? Flag.ZF : 0) |
    (r < 0 ? Flag.SF : 0) |
    (overflowOf(kind, r, a, b) < 0 ? Flag.OF : 0)
  );
}

/** Condition codes of Jcc, SETcc, CMOVcc (SDM Vol.1 "EFLAGS Condition Codes"). */
export function condition(cc: number, kind: number, r: number, a: number, b: number, c: number): boolean {
  let is: boolean;
  switch (cc >> 1) {
    case 0:
      is = overflowOf(kind, r, a, b) < 0;
      break;
    case 1:
      is = carryOf(kind, r, a, b, c) !== 0;
      break;
    case 2:
      is = kind === Kind.explicit ? (r & Flag.ZF) !== 0 : r === 0;
      break;
    case 3:
      is = carryOf(kind, r, a, b, c) !== 0 || (kind === Kind.explicit ? (r & Flag.ZF) !== 0 : r === 0);
      break;
    case 4:
      is = kind === Kind.explicit ? (r & Flag.SF) !== 0 : r < 0;
      break;
    case 5:
      is = kind === Kind.explicit ? (r & Flag.PF) !== 0 : PARITY[r & 255] !== 0;
      break;
    case 6:
      is = ((kind === Kind.explicit ? r << 24 : r) ^ overflowOf(kind, r, a, b)) < 0;
      break;
    default:
      is = (kind === Kind.explicit ? (r & Flag.ZF) !== 0 : r === 0) || ((kind === Kind.explicit ? r << 24 : r) ^ overflowOf(kind, r, a, b)) < 0;
  }
  return is !== ((cc & 1) !== 0);
}

export abstract class Cpu extends Paging {
  /** EAX..EDI, then zeros: index 8 stands for "no register". */
  readonly reg = new Int32Array(16);
  readonly reg16 = new Uint16Array(this.reg.buffer);
  readonly reg8 = new Uint8Array(this.reg.buffer);
  fk: number = Kind.explicit;
  fr = 0;
  fa = 0;
  fb = 0;
  fc = 0;
  /** EFLAGS without its status flags and bit 1. */
  control = 0;

  /** Linear address of the instruction that runs, or that comes next between instructions. */
  pc = 0;
  next = 0;
  cpl = 0;
  readonly selector = new Int32Array(8);
  readonly base = new Int32Array(8);
  readonly limit = new Uint32Array(8);
  readonly attr = new Int32Array(8);
  /** Bit per data segment that is flat, readable and writable. */
  flat = 0;
  /** What decoding depends on besides the bytes: CS.D, flat CS, flat 32-bit SS, flat DS. */
  stamp = 0;
  readonly table = new Int32Array(4); // GDT base, limit, IDT base, limit
  readonly dr = new Int32Array(8);
  readonly msr = new Map<number, [low: number, high: number]>();

  halted = false;
  /** Leave the interpreter: an interrupt may be due, or somebody asked. */
  leave = false;
  stopAsked = false;
  shutdown = false;
  /** Instructions completed before the current slice. */
  instructions = 0;
  interruptShadow = false;

  get eflags(): number {
    return statusOf(this.fk, this.fr, this.fa, this.fb, this.fc) | 2 | this.control;
  }
  set eflags(value: number) {
    this.setStatus(value);
    this.control = value & CONTROL;
  }
  setStatus(bits: number): void {
    this.fk = Kind.explicit;
    this.fr = bits & Flag.STATUS;
  }
  status(): number {
    return statusOf(this.fk, this.fr, this.fa, this.fb, this.fc);
  }
  carry(): number {
    return carryOf(this.fk, this.fr, this.fa, this.fb, this.fc);
  }
  is(cc: number): boolean {
    return condition(cc, this.fk, this.fr, this.fa, this.fb, this.fc);
  }
  setFlags(kind: Kind, result: number, a: number, b: number): void {
    this.fk = kind;
    this.fr = result;
    this.fa = a;
    this.fb = b;
  }

  get eip(): number {
    return (this.pc - this.base[Seg.cs]) | 0;
  }
  get iopl(): number {
    return (this.control >> 12) & 3;
  }
  get code32(): boolean {
    return (this.attr[Seg.cs] & Attr.DB) !== 0;
  }

  gp(error = 0): never {
    this.raise(Vector.GP, error);
  }

  setCpl(cpl: number): void {
    this.cpl = cpl;
    this.user = cpl === 3 ? 1 << 20 : 0;
  }

  setSegment(seg: Seg, selector: number, base: number, limit: number, attr: number): void {
    const moved = seg === Seg.cs && (base !== this.base[seg] || limit >>> 0 !== this.limit[seg]);
    this.selector[seg] = selector;
    this.base[seg] = base;
    this.limit[seg] = limit;
    this.attr[seg] = attr;
    if (seg >= Seg.ldtr) return;
    const whole = base === 0 && this.limit[seg] === 0xffffffff;
    const flat = whole && (attr & (Attr.P | Attr.S | Attr.CODE | Attr.DOWN | Attr.WRITABLE)) === (Attr.P | Attr.S | Attr.WRITABLE);
    this.flat = flat ? this.flat | (1 << seg) : this.flat & ~(1 << seg);
    if (seg === Seg.cs) {
      // bytes outside the limit were decoded as faults
      if (moved) this.forgetAll();
      this.stamp = (this.stamp & ~3) | (attr & Attr.DB ? 1 : 0) | (whole ? 2 : 0);
    } else if (seg === Seg.ss) this.stamp = (this.stamp & ~4) | (flat && attr & Attr.DB ? 4 : 0);
    else if (seg === Seg.ds) this.stamp = (this.stamp & ~8) | (flat ? 8 : 0);
  }

  abstract forgetAll(): void;

  /** Linear address of `size` bytes at an offset, after the segment's checks (SDM Vol.3A "Limit Checking", "Type Checking"). */
  linear(seg: number, offset: number, size: number, write: boolean): number {
    if ((this.flat >> seg) & 1) return offset;
    return this.linearChecked(seg, offset, size, write);
  }

  private linearChecked(seg: number, offset: number, size: number, write: boolean): number {
    const attr = this.attr[seg];
    const vector = seg === Seg.ss ? Vector.SS : Vector.GP;
    if (!(attr & Attr.P)) this.raise(vector, 0);
    const code = (attr & Attr.CODE) !== 0;
    if (write ? code || !(attr & Attr.WRITABLE) : code && !(attr & Attr.WRITABLE)) this.gp();
    const first = offset >>> 0;
    const last = first + size - 1;
    const limit = this.limit[seg];
    if (!code && attr & Attr.DOWN) {
      if (first <= limit || last > (attr & Attr.DB ? 0xffffffff : 0xffff)) this.raise(vector, 0);
    } else if (last > limit && limit !== 0xffffffff) this.raise(vector, 0);
    return (this.base[seg] + offset) | 0;
  }
}
