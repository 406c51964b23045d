/* Fibonacci by plain recursion: calls, returns, stack. */
#include "bench.h"

static __attribute__((noipa, optimize("O1"))) u32 fib(u32 k) { return k < 2 ? k : fib(k - 1) + fib(k - 2); }

u32 work(u32 n) {
  u32 sum = 0;
  while (n--) sum = mix(sum, fib(20 + (n & 1)));
  return sum;
}
