/* Quicksort of 16 Ki random words: unpredictable branches, recursion. With ACROSS the next page begins
   inside the function's innermost loop (64-bit) or between the two such loops (32-bit), by the code gcc makes. */
#include "bench.h"
enum { COUNT = 1 << 14 };
static int item[COUNT];

#if defined ACROSS && defined __x86_64__
__asm__(".text\n .balign 4096\n .skip 4096 - 48\n");
#elif defined ACROSS
__asm__(".text\n .balign 4096\n .skip 4096 - 80\n");
#endif
static OPAQUE void sort(int *low, int *high) {
  while (low < high) {
    int pivot = low[(high - low) >> 1], *i = low - 1, *j = high + 1;
    for (;;) {
      while (*++i < pivot);
      while (*--j > pivot);
      if (i >= j) break;
      int x = *i;
      *i = *j;
      *j = x;
    }
    sort(low, j);
    low = j + 1;
  }
}

u32 work(u32 n) {
  u32 state = 12345, sum = 0;
  while (n--) {
    for (u32 i = 0; i < COUNT; i++) item[i] = (int)next_random(&state);
    sort(item, item + COUNT - 1);
    for (u32 i = 1; i < COUNT; i++)
      if (item[i - 1] > item[i]) return 0xbad;
    sum = mix(sum, (u32)item[COUNT / 2]);
  }
  return sum;
}
