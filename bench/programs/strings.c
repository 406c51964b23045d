/* rep movs and rep stos of 64 KiB in all widths, at different alignments. */
#include "bench.h"
enum { SIZE = 1 << 16 };
static u32 buffer[2][SIZE / 4 + 16];

#define MOVS(suffix, d, s, count) \
  do { \
    void *d_ = (d), *s_ = (s); \
    word c_ = (count); \
    __asm__ volatile("rep movs" suffix : "+D"(d_), "+S"(s_), "+c"(c_)::"memory"); \
  } while (0)
#define STOS(suffix, d, value, count) \
  do { \
    void *d_ = (d); \
    word c_ = (count); \
    __asm__ volatile("rep stos" suffix : "+D"(d_), "+c"(c_) : "a"(value) : "memory"); \
  } while (0)

u32 work(u32 n) {
  u32 sum = 0;
  while (n--) {
    u32 offset = n & 3;
    STOS("l", buffer[0], n * 0x01010101u, SIZE / 4);
    STOS("b", buffer[0], n >> 2, 100 + offset);
    MOVS("l", buffer[1], buffer[0], SIZE / 4);
    MOVS("b", (u8 *)buffer[1] + offset, buffer[0], SIZE);
    MOVS("w", buffer[0], (u8 *)buffer[1] + offset, SIZE / 2);
    sum = mix(sum, buffer[0][n & 0x3fff] + buffer[1][24 + offset]);
  }
  return sum;
}
