/* Bit operations: counting, scanning from both ends, reversing, rotating, and a bit map tested, set and cleared by BT, BTS
   and BTR. */
#include "bench.h"
enum { WORDS = 256 };
static u32 map[WORDS];

static inline u32 count_ones(u32 x) {
  x -= x >> 1 & 0x55555555;
  x = (x & 0x33333333) + (x >> 2 & 0x33333333);
  return ((x + (x >> 4)) & 0x0f0f0f0f) * 0x01010101 >> 24;
}
static inline u32 reverse(u32 x) {
  x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
  x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
  x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
  return __builtin_bswap32(x);
}
#define BIT(name) \
  static inline u32 name(u32 *word, u32 bit) { \
    u32 value = *word; \
    u8 was; \
    __asm__(#name "l %2, %0\n setc %1" : "+r"(value), "=q"(was) : "r"(bit) : "cc"); \
    *word = value; \
    return was; \
  }
BIT(bts)
BIT(btr)
BIT(btc)

static OPAQUE u32 pass(u32 x) {
  u32 sum = 0;
  for (u32 i = 0; i < WORDS; i++) {
    next_random(&x);
    sum += count_ones(x) + (u32)__builtin_ctz(x) * 3 + (u32)__builtin_clz(x);
    sum ^= reverse(x);
    sum = sum << 5 | sum >> 27;
    sum += bts(&map[x & (WORDS - 1)], x >> 8 & 31) + 2 * btr(&map[i], x >> 13 & 31) + 4 * btc(&map[x >> 24], i & 31);
  }
  return sum;
}

u32 work(u32 n) {
  u32 sum = 0;
  for (u32 i = 0; i < WORDS; i++) map[i] = 0;
  for (u32 i = 1; i <= n; i++) sum = mix(sum, pass(i));
  return sum;
}
