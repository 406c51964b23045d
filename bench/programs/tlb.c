/* Touches 8192 pages, one word in each, over and over: more than any TLB of this kind holds. */
#include "bench.h"
enum { PAGES = 8192, WORDS = 1024 };
static u32 page[PAGES][WORDS] __attribute__((aligned(4096)));

u32 work(u32 n) {
  u32 sum = 0;
  for (u32 i = 0; i < PAGES; i++) page[i][i & (WORDS - 1)] = i;
  while (n--)
    for (u32 i = 0; i < PAGES; i++) sum += page[i][i & (WORDS - 1)]++;
  return sum;
}
