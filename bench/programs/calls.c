/* Calls through a table of function pointers picked at random. */
#include "bench.h"
typedef u32 (*Step)(u32);
static OPAQUE u32 step0(u32 x) { return x + 0x9e3779b9; }
static OPAQUE u32 step1(u32 x) { return x ^ x >> 7; }
static OPAQUE u32 step2(u32 x) { return x * 5 + 1; }
static OPAQUE u32 step3(u32 x) { return x << 3 | x >> 29; }
static OPAQUE u32 step4(u32 x) { return x - (x >> 3); }
static OPAQUE u32 step5(u32 x) { return ~x; }
static OPAQUE u32 step6(u32 x) { return x & 0x10 ? x + 3 : x - 5; }
static OPAQUE u32 step7(u32 x) { return x ^ 0x5bd1e995; }
static const Step steps[8] = { step0, step1, step2, step3, step4, step5, step6, step7 };

u32 work(u32 n) {
  u32 state = 3, x = 1;
  for (u32 i = n << 10; i; i--) x = steps[next_random(&state) & 7](x);
  return x;
}
