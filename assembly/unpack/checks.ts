/** The checks of .xz files: CRC32 (reflected polynomial 0xedb88320) and CRC64 (reflected ECMA-182), several bytes a step: table n of either
 *  says what a byte does that n more bytes follow. */
import { UnpackOff } from "../abi/unpack";

const CRC32_POLYNOMIAL: u32 = 0xedb88320;
const X8: u32 = 0x800000;
const CRC64_POLYNOMIAL: u64 = 0xc96c5795d7870f42;

/** Makes the tables. */
export function prepareChecks(work: usize): void {
  for (let n: u32 = 0; n < 256; n++) {
    let low: u32 = n;
    let wide: u64 = n;
    for (let bit = 0; bit < 8; bit++) {
      low = (low >>> 1) ^ (CRC32_POLYNOMIAL & (0 - (low & 1)));
      wide = (wide >>> 1) ^ (CRC64_POLYNOMIAL & (0 - (wide & 1)));
    }
    store<u32>(work + (n << 2), low, UnpackOff.crc32);
    store<u64>(work + (n << 3), wide, UnpackOff.crc64);
  }
  for (let n: u32 = 256; n < 8 * 256; n++) {
    const before = load<u32>(work + ((n - 256) << 2), UnpackOff.crc32);
    store<u32>(work + (n << 2), (before >>> 8) ^ load<u32>(work + ((before & 0xff) << 2), UnpackOff.crc32), UnpackOff.crc32);
  }
  for (let n: u32 = 256; n < 4 * 256; n++) {
    const before = load<u64>(work + ((n - 256) << 3), UnpackOff.crc64);
    store<u64>(work + (n << 3), (before >>> 8) ^ load<u64>(work + (<u32>(before & 0xff) << 3), UnpackOff.crc64), UnpackOff.crc64);
  }
}

/** `crc`, which is 0 at the start, continued over `length` bytes. */
export function crc32(work: usize, at: usize, length: u32, crc: u32): u32 {
  const tables = work + UnpackOff.crc32;
  crc = ~crc;
  for (; length >= 8; length -= 8, at += 8) {
    const low = load<u32>(at) ^ crc;
    const high = load<u32>(at, 4);
    crc =
      load<u32>(tables + ((low & 0xff) << 2), 7 * 1024) ^
      load<u32>(tables + (((low >>> 8) & 0xff) << 2), 6 * 1024) ^
      load<u32>(tables + (((low >>> 16) & 0xff) << 2), 5 * 1024) ^
      load<u32>(tables + ((low >>> 24) << 2), 4 * 1024) ^
      load<u32>(tables + ((high & 0xff) << 2), 3 * 1024) ^
      load<u32>(tables + (((high >>> 8) & 0xff) << 2), 2 * 1024) ^
      load<u32>(tables + (((high >>> 16) & 0xff) << 2), 1024) ^
      load<u32>(tables + ((high >>> 24) << 2));
  }
  for (; length > 0; length--, at++) crc = (crc >>> 8) ^ load<u32>(tables + (((crc ^ load<u8>(at)) & 0xff) << 2));
  return ~crc;
}

/** crc32() over `length` bytes of zeros. The register is a polynomial over GF(2), which each of their bits multiplies by x: together by
 *  x^(8 * length), found by squaring. */
export function crc32Zeros(length: u32, crc: u32): u32 {
  let register = ~crc;
  for (let power: u32 = X8; length > 0; length >>>= 1, power = product(power, power)) if (length & 1) register = product(register, power);
  return ~register;
}

/** Of two polynomials modulo CRC32's. The coefficient of x^0 is the highest bit. */
function product(a: u32, b: u32): u32 {
  let sum: u32 = 0;
  for (; a != 0; a <<= 1) {
    sum ^= b & (0 - (a >>> 31));
    b = (b >>> 1) ^ (CRC32_POLYNOMIAL & (0 - (b & 1)));
  }
  return sum;
}

export function crc64(work: usize, at: usize, length: u32, crc: u64): u64 {
  const tables = work + UnpackOff.crc64;
  crc = ~crc;
  for (; length >= 4; length -= 4, at += 4) {
    const low = <u32>crc ^ load<u32>(at);
    crc =
      (crc >>> 32) ^
      load<u64>(tables + ((low & 0xff) << 3), 3 * 2048) ^
      load<u64>(tables + (((low >>> 8) & 0xff) << 3), 2 * 2048) ^
      load<u64>(tables + (((low >>> 16) & 0xff) << 3), 2048) ^
      load<u64>(tables + ((low >>> 24) << 3));
  }
  for (; length > 0; length--, at++) crc = (crc >>> 8) ^ load<u64>(tables + (((<u32>crc ^ load<u8>(at)) & 0xff) << 3));
  return ~crc;
}
