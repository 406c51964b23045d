/* What gcc calls without being asked. */
#include "bench.h"
void *memcpy(void *to, const void *from, word length) {
  u8 *d = to;
  const u8 *s = from;
  while (length--) *d++ = *s++;
  return to;
}
void *memset(void *to, int value, word length) {
  u8 *d = to;
  while (length--) *d++ = (u8)value;
  return to;
}
