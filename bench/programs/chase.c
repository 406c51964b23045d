/* Follows one cycle through 16 MiB in random order: every load depends on the one before, few of them hit a cache, and pages
   change all the time. The cycle is made on first use (Sattolo's shuffle). */
#include "bench.h"
enum { COUNT = 1 << 22 };
static u32 next[COUNT];
static int ready;

u32 work(u32 n) {
  if (!ready) {
    u32 state = 99;
    for (u32 i = 0; i < COUNT; i++) next[i] = i;
    for (u32 i = COUNT - 1; i > 0; i--) {
      u32 j = (u32)(((u64)next_random(&state) * i) >> 32);
      u32 x = next[i];
      next[i] = next[j];
      next[j] = x;
    }
    ready = 1;
  }
  u32 at = 0, sum = 0;
  for (u32 steps = n << 10; steps; steps--) {
    at = next[at];
    sum += at;
  }
  return sum;
}
