/** The inputs every form is tried with: boundary values against each other, then random ones. Generated, not stored, so
 *  that the recorder and the test agree on them by construction. */
import type { Form } from "./forms";

export interface Case {
  readonly immediate: number;
  /** xmm0, xmm1, xmm2 as six u64. */
  readonly xmm: BigUint64Array;
  readonly mm1: bigint;
  readonly mm2: bigint;
  readonly rax: bigint;
  readonly rcx: bigint;
  readonly rdx: bigint;
  readonly mxcsr: number;
}

/** Mulberry32. */
export class Random {
  constructor(private state: number) {}
  u32(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
  below(n: number): number {
    return this.u32() % n;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
}

const F64_POSITIVE = [
  0n, 1n, 2n, 0x000f_ffff_ffff_ffffn, 0x0008_0000_0000_0000n, 0x0010_0000_0000_0000n, 0x0010_0000_0000_0001n, 0x001f_ffff_ffff_ffffn, // around the smallest normal
  0x3ca0_0000_0000_0000n, 0x3fe0_0000_0000_0000n, 0x3fef_ffff_ffff_ffffn, 0x3ff0_0000_0000_0000n, 0x3ff0_0000_0000_0001n, 0x3ff8_0000_0000_0000n,
  0x4004_0000_0000_0000n, 0x4008_0000_0000_0000n, 0x4330_0000_0000_0001n, 0x4340_0000_0000_0000n, // 2.5, 3, 2^52 + 1, 2^53
  0x36a0_0000_0000_0000n, 0x3690_0000_0000_0000n, 0x380f_ffff_ffff_ffffn, 0x3810_0000_0000_0000n, 0x47ef_ffff_e000_0000n, 0x47ef_ffff_f000_0000n, // limits of f32
  0x41df_ffff_ffc0_0000n, 0x41df_ffff_ffe0_0000n, 0x41e0_0000_0000_0000n, 0x41e0_0000_0010_0000n, 0x43df_ffff_ffff_ffffn, 0x43e0_0000_0000_0000n, // limits of integers
  0x1ff0_0000_0000_0000n, 0x5fe0_0000_0000_0000n, 0x7fe0_0000_0000_0000n, 0x7fef_ffff_ffff_ffffn, 0x7ff0_0000_0000_0000n, // huge and infinite
  0x7ff0_0000_0000_0001n, 0x7ff4_5555_5555_5555n, 0x7ff8_0000_0000_0000n, 0x7ffa_aaaa_aaaa_aaaan, // signaling and quiet NaNs
];
const F32_POSITIVE = [
  0, 1, 2, 0x007f_ffff, 0x0040_0000, 0x0080_0000, 0x0080_0001, 0x00ff_ffff, 0x3380_0000, 0x3f00_0000, 0x3f7f_ffff, 0x3f80_0000, 0x3f80_0001,
  0x3fc0_0000, 0x4020_0000, 0x4040_0000, 0x4b00_0001, 0x4b80_0000, 0x4eff_ffff, 0x4f00_0000, 0x5eff_ffff, 0x5f00_0000, 0x2000_0000, 0x5f80_0000,
  0x7f00_0000, 0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001, 0x7faa_aaaa, 0x7fc0_0000, 0x7fd5_5555,
];
export const F64 = F64_POSITIVE.flatMap((x) => [x, x | 0x8000_0000_0000_0000n]);
export const F32 = F32_POSITIVE.flatMap((x) => [BigInt(x), BigInt(x) | 0x8000_0000n]);
const BYTES = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
const WORDS = [0, 1, 0xff, 0x100, 0x7fff, 0x8000, 0x8001, 0xffff];
const DWORDS = [0n, 1n, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0x8000_0001n, 0xffff_ffffn, 0x0100_0001n];
const QWORDS = [0n, 1n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x20_0000_0000_0001n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn];
const CHARACTERS = [0x61, 0x62, 0x63, 0x61, 0x62, 0x7a, 0x80, 0xff, 0x00];

const join = (elements: readonly (number | bigint)[], bits: number): bigint =>
  elements.reduce<bigint>((all, x, i) => all | (BigInt(x) << BigInt(i * bits)), 0n);

function integer64(r: Random): bigint {
  switch (r.below(6)) {
    case 0: return join(Array.from({ length: 8 }, () => r.pick(BYTES)), 8);
    case 1: return join(Array.from({ length: 4 }, () => r.pick(WORDS)), 16);
    case 2: return join([r.pick(DWORDS), r.pick(DWORDS)], 32);
    case 3: return r.pick(QWORDS);
    case 4: return BigInt(r.below(72)); // a shift count
    default: return r.u64();
  }
}

/** Anything, but mostly numbers near each other so that sums cancel and products stay in range. */
function f64(r: Random): bigint {
  switch (r.below(8)) {
    case 0: case 1: return r.pick(F64);
    case 2: return r.u64();
    case 3: return BigInt.asUintN(64, (r.u64() & 0x800f_ffff_ffff_ffffn) | (BigInt(1 + r.below(60)) << 52n)); // tiny
    case 4: return (r.u64() & 0x800f_ffff_ffff_ffffn) | (BigInt(1023 - 130 + r.below(20)) << 52n); // tiny as f32
    case 5: return (r.u64() & 0x800f_ffff_ffff_ffffn) | (BigInt(1023 + r.below(70)) << 52n);
    case 6: return (r.u64() & 0x8000_ffff_0000_0000n) | (BigInt(1023 + r.below(4)) << 52n); // few bits
    default: return (r.u64() & 0x800f_ffff_ffff_ffffn) | (BigInt(1000 + r.below(46)) << 52n);
  }
}
function f32(r: Random): bigint {
  switch (r.below(7)) {
    case 0: case 1: return r.pick(F32);
    case 2: return BigInt(r.u32());
    case 3: return BigInt(((r.u32() & 0x807f_ffff) | ((1 + r.below(30)) << 23)) >>> 0);
    case 4: return BigInt(((r.u32() & 0x807f_ffff) | ((127 + r.below(70)) << 23)) >>> 0);
    case 5: return BigInt(((r.u32() & 0x807f_0000) | ((127 + r.below(4)) << 23)) >>> 0);
    default: return BigInt(((r.u32() & 0x807f_ffff) | ((110 + r.below(34)) << 23)) >>> 0);
  }
}
function character64(r: Random, alphabet: readonly number[]): bigint {
  return join(Array.from({ length: 8 }, () => r.pick(alphabet)), 8);
}

function source64(form: Form, r: Random): bigint {
  if (form.kind === "f64") return f64(r);
  if (form.kind === "f32") return join([f32(r), f32(r)], 32);
  if (form.kind === "int") return integer64(r);
  switch (r.below(4)) {
    case 0: return character64(r, CHARACTERS);
    case 1: return character64(r, [0x61, 0x62]);
    case 2: return join(Array.from({ length: 4 }, () => r.pick(CHARACTERS)), 16);
    default: return character64(r, [0x61, 0x62, 0x63, 0x70, 0x80, 0xf0]);
  }
}

/** All exceptions masked most of the time; every rounding mode, DAZ and FTZ; sticky flags that are often set already. */
function mxcsr(r: Random): number {
  const masks = r.pick([0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0, r.below(64)]);
  const sticky = r.pick([0, 0x20, 0x20, r.below(64)]);
  return sticky | (r.below(2) && r.below(2) ? 0x40 : 0) | (masks << 7) | (r.below(2) * r.below(4) << 13) | (r.below(4) === 0 ? 0x8000 : 0);
}

function immediates(form: Form, r: Random): number[] {
  const { mnemonic } = form.row;
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  if (!form.hasImmediate) return [0];
  if (form.kind === "string") return range(128);
  if (/^(psll|psrl|psra|palignr)/.test(mnemonic)) return [...range(36), 62, 63, 64, 65, 127, 128, 255];
  if (/^cmp/.test(mnemonic)) return range(8);
  if (/^(round|pextr|pinsr)/.test(mnemonic)) return range(16);
  if (mnemonic === "pclmulqdq") return [0, 1, 16, 17, 0xee];
  if (mnemonic === "mpsadbw" || mnemonic === "dppd") return [...range(8), 0x31, 0x13, 0x23, 0x32, 0xff];
  if (mnemonic === "dpps") return [0xff, 0xf1, 0x7f, 0x31, 0xc4, 0x5a, ...Array.from({ length: 6 }, () => r.below(256))];
  return range(256).filter((i) => i < 8 || r.below(3) === 0);
}

function repeats(form: Form): number {
  const { mnemonic } = form.row;
  if (form.kind === "string") return 4;
  if (!form.usesMxcsr) return form.hasImmediate ? 2 : 40;
  if (/^(cmp|round)/.test(mnemonic)) return form.size === 16 ? 40 : 60;
  if (/^dp/.test(mnemonic)) return 50;
  return form.size === 16 ? 300 : 600;
}

const BINARY = /^(add|sub|mul|div|min|max|u?comi)s[sd]$|^u?comis/;

function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

export function* casesOf(form: Form): Generator<Case> {
  const r = new Random(hash(form.key));
  if (BINARY.test(form.row.mnemonic)) {
    const pool = form.kind === "f64" ? F64 : F32;
    for (const a of pool)
      for (const b of pool) {
        if (r.below(2)) continue;
        const xmm = new BigUint64Array([0n, 0n, a | (form.kind === "f32" ? 0x1234_5678_0000_0000n : 0n), 0x1111_2222_3333_4444n, b, 0n]);
        yield { immediate: 0, xmm, mm1: 0n, mm2: 0n, rax: 0n, rcx: 0n, rdx: 0n, mxcsr: r.below(4) ? 0x1f80 : 0 };
      }
  }
  const count = repeats(form);
  for (const immediate of immediates(form, r))
    for (let i = 0; i < count; i++) {
      const xmm = new BigUint64Array(6).map(() => source64(form, r));
      const general = () => (form.kind === "string" ? BigInt.asUintN(64, BigInt(r.pick([0, 1, 3, 7, 8, 9, 15, 16, 17, 200, -1, -5, -16, -2147483648])) + (r.below(4) ? 0n : 1n << 32n)) : integer64(r));
      yield { immediate, xmm, mm1: source64(form, r), mm2: source64(form, r), rax: general(), rcx: general(), rdx: general(), mxcsr: form.usesMxcsr ? mxcsr(r) : 0x1f80 };
    }
}
