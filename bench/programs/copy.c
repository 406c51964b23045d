/* Copies, sums and reverses 64 KiB word by word and byte by byte: loads and stores in step, no string instructions. */
#include "bench.h"
enum { SIZE = 1 << 16 };
static u32 from[SIZE / 4], to[SIZE / 4];

static OPAQUE void copy_words(u32 *d, const u32 *s, u32 count) {
  for (u32 i = 0; i < count; i++) d[i] = s[i];
}
static OPAQUE void copy_bytes(u8 *d, const u8 *s, u32 count) {
  while (count--) *d++ = *s++;
}
static OPAQUE void reverse(u32 *p, u32 count) {
  for (u32 i = 0, j = count - 1; i < j; i++, j--) {
    u32 x = p[i];
    p[i] = p[j];
    p[j] = x;
  }
}

u32 work(u32 n) {
  u32 state = 7, sum = 0;
  for (u32 i = 0; i < SIZE / 4; i++) from[i] = next_random(&state);
  while (n--) {
    copy_words(to, from, SIZE / 4);
    reverse(to, SIZE / 4);
    copy_bytes((u8 *)from, (u8 *)to, SIZE / 2);
    for (u32 i = 0; i < SIZE / 4; i++) sum += from[i];
  }
  return sum;
}
