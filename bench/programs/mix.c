/* Integer instructions of all kinds on a few variables: multiplications, divisions, shifts, comparisons, selections, narrow
   operands. Little memory, branches that are easy to predict. */
#include "bench.h"

static OPAQUE u32 round_of(u32 a, u32 b) {
  u32 c = 0x12345678;
  for (int i = 0; i < 256; i++) {
    a = a * 1664525 + 1013904223;
    b += (a >> 7) ^ (a << 9);
    c -= (u32)((int)b >> 3);
    u16 narrow = (u16)(a + c);
    u8 byte = (u8)(b >> 11);
    c ^= (u32)narrow * byte;
    if (!(i & 15)) a += b / (byte | 1u), b ^= (u32)((int)c % ((int)narrow + 3));
    a = a > c ? a - c : a + 17;
    b = (int)b < (int)a ? b | 0x100 : b & ~0x40u;
    c += (u32)((u64)a * b >> 32);
  }
  return a ^ b ^ c;
}

u32 work(u32 n) {
  u32 sum = 1;
  while (n--) sum = mix(sum, round_of(sum, n));
  return sum;
}
