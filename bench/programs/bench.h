/* What every program of the benchmark sees. The object file of a program is linked three times: into a kernel, and into a
   program for the host that gives the checksum to compare with and the native time. */
#ifndef BENCH_H
#define BENCH_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned long word;     /* as wide as the mode */

/** Does the work `n` times over and returns a checksum: a function of `n` alone, whatever ran before. */
u32 work(u32 n);

/** Keeps the compiler from looking through. */
#define OPAQUE __attribute__((noipa))

static inline u32 next_random(u32 *state) {
  u32 x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

/** One step of a checksum over words. */
static inline u32 mix(u32 sum, u32 value) {
  return (sum ^ value) * 0x01000193u + (sum >> 15);
}

#endif
