/** Bloom filters of one hash over 4096 bits. */

export const FILTER_SIZE: usize = 512;

@inline function bitOf(key: u64): u32 { return <u32>((key * 0x9e3779b97f4a7c15) >> 52); }

@inline export function setBit(filter: usize, key: u64): void {
  const bit = bitOf(key), at = filter + (bit >>> 3);
  store<u8>(at, load<u8>(at) | <u8>(<u32>1 << (bit & 7)));
}

@inline export function testBit(filter: usize, key: u64): bool {
  const bit = bitOf(key);
  return ((load<u8>(filter + (bit >>> 3)) >> (bit & 7)) & 1) != 0;
}
