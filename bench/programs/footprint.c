/* More code than fits a first-level cache of anything: 576 functions, some 60 KiB, called one after another in 24 groups, with
   jumps over some of them that depend on data. No function is called twice before all others had their turn. */
#include "bench.h"

#define LEAF(k) \
  static OPAQUE u32 leaf##k(u32 x, u32 y) { \
    x += (0x9e3779b9u ^ 0x##k) * y; \
    x ^= x >> (3 + (0x##k & 7)); \
    if (x & 0x100) x += 0x51ed27 + 0x##k; \
    else x = (x << 5) - x; \
    y = (y + 0x##k) ^ (x << 11 | x >> 21); \
    x -= y & (0x0f0f0f0f ^ 0x##k << 4); \
    return x * 0x2545f491u + y; \
  }
#define LEAVES(h) \
  LEAF(h##0) LEAF(h##1) LEAF(h##2) LEAF(h##3) LEAF(h##4) LEAF(h##5) LEAF(h##6) LEAF(h##7) LEAF(h##8) LEAF(h##9) LEAF(h##a) LEAF(h##b) \
  LEAF(h##c) LEAF(h##d) LEAF(h##e) LEAF(h##f) LEAF(h##10) LEAF(h##11) LEAF(h##12) LEAF(h##13) LEAF(h##14) LEAF(h##15) LEAF(h##16) LEAF(h##17)
#define CALL(k) x = leaf##k(x, i);
#define MAYBE(k) if (x & 4) x = leaf##k(x, i);
#define GROUP(h) \
  LEAVES(h) \
  static OPAQUE u32 group##h(u32 x, u32 i) { \
    CALL(h##0) CALL(h##1) MAYBE(h##2) CALL(h##3) CALL(h##4) CALL(h##5) MAYBE(h##6) CALL(h##7) CALL(h##8) CALL(h##9) CALL(h##a) MAYBE(h##b) \
    CALL(h##c) CALL(h##d) CALL(h##e) MAYBE(h##f) CALL(h##10) CALL(h##11) CALL(h##12) MAYBE(h##13) CALL(h##14) CALL(h##15) CALL(h##16) CALL(h##17) \
    return x; \
  }
#define ALL(_) \
  _(1a) _(1b) _(1c) _(1d) _(1e) _(1f) _(2a) _(2b) _(2c) _(2d) _(2e) _(2f) _(3a) _(3b) _(3c) _(3d) _(3e) _(3f) _(4a) _(4b) _(4c) _(4d) _(4e) _(4f)
ALL(GROUP)

u32 work(u32 n) {
  u32 x = 1;
  for (u32 i = 1; i <= n; i++) {
#define RUN(h) x = group##h(x, i);
    ALL(RUN)
  }
  return x;
}
