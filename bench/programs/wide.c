/* 64-bit arithmetic: multiplications, additions with carry, shifts by variable counts. In 32-bit mode pairs of registers. */
#include "bench.h"

u32 work(u32 n) {
  u64 a = 0x9e3779b97f4a7c15, b = 1, c = 0;
  for (u32 i = n << 10; i; i--) {
    a ^= a << 7;
    a ^= a >> 9;
    b = b * 0x5851f42d4c957f2d + a;
    c += b >> (a & 31);
    c = c << 13 | c >> 51;
  }
  return (u32)(c ^ c >> 32);
}
