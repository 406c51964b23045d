/* Sieve of Eratosthenes over 256 Ki bytes: byte stores with a stride, a counting loop. */
#include "bench.h"
enum { SIZE = 1 << 18 };
static u8 composite[SIZE];

u32 work(u32 n) {
  u32 sum = 0;
  while (n--) {
    for (u32 i = 0; i < SIZE; i++) composite[i] = 0;
    for (u32 i = 2; i * i < SIZE; i++)
      if (!composite[i])
        for (u32 j = i * i; j < SIZE; j += i) composite[j] = 1;
    for (u32 i = 2; i < SIZE; i++)
      if (!composite[i]) sum = mix(sum, i);
  }
  return sum;
}
