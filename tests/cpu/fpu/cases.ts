/** Cases for a row of x87, MMX or SSE: those of tests/cpu/integer/cases.ts for its registers and memory operand, with an FPU in
 *  any state: every rounding, precision and exception mask, numbers at the boundaries, denormals, NaNs, unsupported formats. */
import { type Case, ENVS, FPU, WRAP } from "../../hardware/native";
import { Random } from "../../support/random";
import { makeCase, poke } from "../integer/cases";
import type { Row } from "../integer/rows";
import { F32, F64 } from "../sse/cases";

export const FPU_CASES_PER_ENV = [48, 32, 16, 48, 0, 0];

const TOP_BIT = 1n << 63n;
/** Significands and exponents whose combinations are interesting: zero, denormal, pseudo-denormal, one, unnormal, largest, infinite,
 *  NaN; what rounds at 24, 53 and 64 bits. */
const SIGNIFICANDS = [0n, 1n, TOP_BIT, TOP_BIT | 1n, (1n << 64n) - 1n, TOP_BIT - 1n, 3n << 62n, (3n << 62n) | 0x123n, 1n << 62n, 0xffffff8000000000n, 0xffffff0000000000n, 0xfffffffffffffc00n, 0xfffffffffffff800n, TOP_BIT | (1n << 39n)];
const EXPONENTS = [0, 0, 1, 0x3ffe, 0x3fff, 0x3fff, 0x4000, 0x401e, 0x403d, 0x403e, 0x7ffe, 0x7fff, 0x7fff, 0x3fff - 127, 0x3fff - 150, 0x3fff + 127, 0x3fff - 1023, 0x3fff - 1075, 0x3fff + 1023];

function extended(r: Random): [significand: bigint, exponent: number] {
  const sign = r.chance(0.5) ? 0x8000 : 0;
  const k = r.below(10);
  if (k < 3) return [r.pick(SIGNIFICANDS), sign | r.pick(EXPONENTS)];
  if (k < 6) return [r.u64() | TOP_BIT, sign | (0x3fff - 4 + r.below(9))];
  if (k < 8) return [(r.u64() | TOP_BIT) & ((~0n << BigInt(r.below(60))) & ((1n << 64n) - 1n)), sign | (0x3fff + r.below(66))]; // integers, ties
  if (k < 9) return [r.u64() | TOP_BIT, sign | r.below(0x7fff)];
  return [r.u64(), r.u32() & 0xffff];
}

export function lane(r: Random): bigint {
  switch (r.below(8)) {
    case 0: return r.pick(F64);
    case 1: return (r.pick(F32) << 32n) | r.pick(F32);
    case 2: return (r.u64() & 0x800fffffffffffffn) | (BigInt(1023 - 3 + r.below(70)) << 52n);
    case 3: case 4: return (r.u64() & 0x807fffff807fffffn) | (BigInt(127 - 3 + r.below(40)) << 55n) | (BigInt(127 - 3 + r.below(40)) << 23n);
    case 5: return BigInt(r.below(200));
    case 6: return (r.u64() & 0x8080ffff00ff7f80n) ^ 0x00ff0100n;
    default: return r.u64();
  }
}

/** `calm`: exceptions are masked, registers are in use or free as a program finds them. */
export function fpuState(r: Random, calm = false): Uint8Array {
  const image = new Uint8Array(FPU);
  const view = new DataView(image.buffer);
  const masks = calm || r.chance(0.75) ? 0x3f : r.below(64);
  view.setUint16(0, 0x40 | masks | (r.chance(0.5) ? 0x300 : r.below(16) << 8), true);
  const sticky = r.chance(0.7) ? 0 : r.below(64) & masks;
  view.setUint16(2, (r.below(8) << 11) | (r.u32() & 0x4700) | sticky | (sticky & 1 && r.chance(0.5) ? 0x40 : 0), true);
  image[4] = r.chance(0.6) ? 0xff & ~(1 << r.below(8)) : r.chance(0.5) ? 0xff : r.below(256);
  const sse = calm || r.chance(0.75) ? 0x3f : r.below(64);
  view.setUint32(24, (sse << 7) | (r.below(64) & (r.chance(0.5) ? 0 : 63)) | (r.chance(0.2) ? 0x40 : 0) | (r.chance(0.5) ? 0 : r.below(4) << 13) | (r.chance(0.2) ? 0x8000 : 0), true);
  for (let i = 0; i < 8; i++) {
    const [significand, exponent] = extended(r);
    view.setBigUint64(32 + i * 16, significand, true);
    view.setUint16(40 + i * 16, exponent, true);
  }
  for (let i = 0; i < 32; i++) view.setBigUint64(160 + i * 8, lane(r), true);
  return image;
}

export interface FpuCase extends Case {
  readonly defined: number;
}

export function fpuCasesOf(row: Row, env: number, count = FPU_CASES_PER_ENV[env], seed = ""): FpuCase[] {
  const long = ENVS[env].bits === 64;
  if (row.spec.mode !== undefined && (row.spec.mode === "long") !== long) return [];
  const r = new Random(`${row.key} ${ENVS[env].name} fpu ${seed}`);
  const tenBytes = /t$/.test(row.operands[0] ?? "");
  return Array.from({ length: count }, () => {
    let c = makeCase(row, env, r, 16);
    // ten bytes across the end of 64 KiB: the manual leaves it to the processor whether they wrap
    while (tenBytes && !long && c.lin > WRAP + 0xffff - 9) c = makeCase(row, env, r, 16);
    const fpu = fpuState(r);
    if (!long) fpu.fill(0, 288); // XMM8 to XMM15 are not touched
    if (c.lin >= 0) {
      const [significand, exponent] = extended(r);
      poke(c.memory, c.lin, tenBytes ? significand : lane(r), 8);
      poke(c.memory, c.lin + 8, tenBytes ? BigInt(exponent) : lane(r), tenBytes ? 2 : 8);
    }
    return { ...c, fpu };
  });
}
