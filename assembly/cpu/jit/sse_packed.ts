/** Code of packed operations: V op W, both whole. */
import { Op } from "../opcodes.gen";
import { Wasm, byte, giveUp, i32const, i64const, localGet, localSet, localTee } from "./buffer";
import { Simd, lane, shuffle, simd, vector } from "./simd";
import { getV, getW, keepW } from "./sse_emit";
import { Scratch, scratch } from "./xmm";

/** WebAssembly's instruction for it, -1 if there is none. */
function instruction(op: i32): i32 {
  switch (op) {
    case Op.andps: case Op.pand: return Simd.and;
    case Op.orps: case Op.por: return Simd.or;
    case Op.xorps: case Op.pxor: return Simd.xor;
    case Op.packsswb: return Simd.i8x16narrow_s;
    case Op.packuswb: return Simd.i8x16narrow_u;
    case Op.packssdw: return Simd.i16x8narrow_s;
    case Op.packusdw: return Simd.i16x8narrow_u;
    case Op.pcmpgtb: return Simd.i8x16gt_s;
    case Op.pcmpgtw: return Simd.i16x8gt_s;
    case Op.pcmpgtd: return Simd.i32x4gt_s;
    case Op.pcmpgtq: return Simd.i64x2gt_s;
    case Op.pcmpeqb: return Simd.i8x16eq;
    case Op.pcmpeqw: return Simd.i16x8eq;
    case Op.pcmpeqd: return Simd.i32x4eq;
    case Op.pcmpeqq: return Simd.i64x2eq;
    case Op.paddb: return Simd.i8x16add;
    case Op.paddw: return Simd.i16x8add;
    case Op.paddd: return Simd.i32x4add;
    case Op.paddq: return Simd.i64x2add;
    case Op.psubb: return Simd.i8x16sub;
    case Op.psubw: return Simd.i16x8sub;
    case Op.psubd: return Simd.i32x4sub;
    case Op.psubq: return Simd.i64x2sub;
    case Op.paddsb: return Simd.i8x16add_sat_s;
    case Op.paddsw: return Simd.i16x8add_sat_s;
    case Op.paddusb: return Simd.i8x16add_sat_u;
    case Op.paddusw: return Simd.i16x8add_sat_u;
    case Op.psubsb: return Simd.i8x16sub_sat_s;
    case Op.psubsw: return Simd.i16x8sub_sat_s;
    case Op.psubusb: return Simd.i8x16sub_sat_u;
    case Op.psubusw: return Simd.i16x8sub_sat_u;
    case Op.pmullw: return Simd.i16x8mul;
    case Op.pmulld: return Simd.i32x4mul;
    case Op.pmaddwd: return Simd.i32x4dot;
    case Op.pavgb: return Simd.i8x16avgr_u;
    case Op.pavgw: return Simd.i16x8avgr_u;
    case Op.pminub: return Simd.i8x16min_u;
    case Op.pminsb: return Simd.i8x16min_s;
    case Op.pminsw: return Simd.i16x8min_s;
    case Op.pminuw: return Simd.i16x8min_u;
    case Op.pminsd: return Simd.i32x4min_s;
    case Op.pminud: return Simd.i32x4min_u;
    case Op.pmaxub: return Simd.i8x16max_u;
    case Op.pmaxsb: return Simd.i8x16max_s;
    case Op.pmaxsw: return Simd.i16x8max_s;
    case Op.pmaxuw: return Simd.i16x8max_u;
    case Op.pmaxsd: return Simd.i32x4max_s;
    case Op.pmaxud: return Simd.i32x4max_u;
    default: return -1;
  }
}

/** [] -> [v128] */
export function packedOperation(u: usize, op: i32, h: u32): void {
  const code = instruction(op);
  if (code >= 0) {
    getV(u);
    getW(u, h, 16);
    simd(code);
    return;
  }
  switch (op) {
    case Op.andnps: case Op.pandn:
      getW(u, h, 16);
      getV(u);
      simd(Simd.andnot);
      break;
    case Op.pshufb:
      getV(u);
      getW(u, h, 16);
      vector(0x8f8f8f8f8f8f8f8f, 0x8f8f8f8f8f8f8f8f);
      simd(Simd.and);
      simd(Simd.swizzle);
      break;
    case Op.pabsb: getW(u, h, 16); simd(Simd.i8x16abs); break;
    case Op.pabsw: getW(u, h, 16); simd(Simd.i16x8abs); break;
    case Op.pabsd: getW(u, h, 16); simd(Simd.i32x4abs); break;
    case Op.pmuludq: evenProduct(u, h, Simd.i64x2extmul_low_u); break;
    case Op.pmuldq: evenProduct(u, h, Simd.i64x2extmul_low_s); break;
    case Op.phaddw: neighbours(u, h, Simd.i16x8add, 2); break;
    case Op.phaddd: neighbours(u, h, Simd.i32x4add, 4); break;
    case Op.phaddsw: neighbours(u, h, Simd.i16x8add_sat_s, 2); break;
    case Op.phsubw: neighbours(u, h, Simd.i16x8sub, 2); break;
    case Op.phsubd: neighbours(u, h, Simd.i32x4sub, 4); break;
    case Op.phsubsw: neighbours(u, h, Simd.i16x8sub_sat_s, 2); break;
    case Op.psadbw: differences(u, h); break;
    case Op.pmaddubsw: mixedProducts(u, h); break;
    case Op.pmulhw: highProduct(u, h, Simd.i32x4extmul_low_s); break;
    case Op.pmulhuw: highProduct(u, h, Simd.i32x4extmul_low_u); break;
    case Op.psrlw: shift(u, h, Simd.i16x8shr_u, 15, true); break;
    case Op.psrld: shift(u, h, Simd.i32x4shr_u, 31, true); break;
    case Op.psrlq: shift(u, h, Simd.i64x2shr_u, 63, true); break;
    case Op.psllw: shift(u, h, Simd.i16x8shl, 15, true); break;
    case Op.pslld: shift(u, h, Simd.i32x4shl, 31, true); break;
    case Op.psllq: shift(u, h, Simd.i64x2shl, 63, true); break;
    case Op.psraw: shift(u, h, Simd.i16x8shr_s, 15, false); break;
    case Op.psrad: shift(u, h, Simd.i32x4shr_s, 31, false); break;
    default: giveUp();
  }
}

/** [] -> [v128]: products of the even dwords. */
function evenProduct(u: usize, h: u32, code: i32): void {
  for (let i = 0; i < 2; i++) {
    const x = scratch(Scratch.m);
    if (i) getW(u, h, 16);
    else getV(u);
    localTee(x);
    localGet(x);
    shuffle(0x0b0a090803020100, 0x0b0a090803020100);
  }
  simd(code);
}

/** [] -> [v128]: even elements of V and W, and the odd ones beside them. */
function neighbours(u: usize, h: u32, code: i32, size: i32): void {
  const w = keepW(u, h);
  getV(u);
  localGet(w);
  if (size == 2) shuffle(0x0d0c090805040100, 0x1d1c191815141110);
  else shuffle(0x0b0a090803020100, 0x1b1a191813121110);
  getV(u);
  localGet(w);
  if (size == 2) shuffle(0x0f0e0b0a07060302, 0x1f1e1b1a17161312);
  else shuffle(0x0f0e0d0c07060504, 0x1f1e1d1c17161514);
  simd(code);
}

/** [] -> [v128]: PSADBW. */
function differences(u: usize, h: u32): void {
  const w = keepW(u, h), quads = scratch(Scratch.m);
  getV(u);
  localGet(w);
  simd(Simd.i8x16max_u);
  getV(u);
  localGet(w);
  simd(Simd.i8x16min_u);
  simd(Simd.i8x16sub);
  simd(Simd.i16x8extadd_u);
  simd(Simd.i32x4extadd_u);
  localTee(quads);
  vector(0xffffffff, 0xffffffff);
  simd(Simd.and);
  localGet(quads);
  i32const(32);
  simd(Simd.i64x2shr_u);
  simd(Simd.i64x2add);
}

/** [] -> [v128]: PMADDUBSW. */
function mixedProducts(u: usize, h: u32): void {
  const w = keepW(u, h);
  getV(u);
  vector(0x00ff00ff00ff00ff, 0x00ff00ff00ff00ff);
  simd(Simd.and);
  localGet(w);
  i32const(8);
  simd(Simd.i16x8shl);
  i32const(8);
  simd(Simd.i16x8shr_s);
  simd(Simd.i16x8mul);
  getV(u);
  i32const(8);
  simd(Simd.i16x8shr_u);
  localGet(w);
  i32const(8);
  simd(Simd.i16x8shr_s);
  simd(Simd.i16x8mul);
  simd(Simd.i16x8add_sat_s);
}

/** [] -> [v128]: upper halves of the products of words. The instruction for the high elements is next to `low`. */
function highProduct(u: usize, h: u32, low: i32): void {
  const w = keepW(u, h);
  getV(u);
  localGet(w);
  simd(low);
  getV(u);
  localGet(w);
  simd(low + 1);
  shuffle(0x0f0e0b0a07060302, 0x1f1e1b1a17161312);
}

/** [] -> [v128]: elements of V shifted by the low quadword of W. Beyond `most` the result is 0, or as for `most`. */
function shift(u: usize, h: u32, code: i32, most: i32, logical: bool): void {
  const count = scratch(Scratch.long);
  getW(u, h, 16);
  lane(Simd.i64x2extract, 0);
  localSet(count);
  if (!logical) {
    localGet(count);
    i64const(most);
    localGet(count);
    i64const(most);
    byte(Wasm.i64lt_u);
    byte(Wasm.select);
    localSet(count);
  }
  getV(u);
  localGet(count);
  byte(Wasm.i32wrap);
  simd(code);
  if (!logical) return;
  vector(0, 0);
  localGet(count);
  i64const(most);
  byte(Wasm.i64le_u);
  byte(Wasm.select);
}
