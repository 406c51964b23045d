/* Writes a function of random instructions, runs it some times, and writes the next one: in turn at 16 places, which are
   overwritten again and again. */
#include "bench.h"
enum { PLACES = 16, SIZE = 256, INSTRUCTIONS = 24, RUNS = 32 };
__asm__(".section .wx, \"awx\", @progbits\n .balign 64\ncode: .skip 4096\n .text\n");
extern u8 code[PLACES][SIZE];

static u8 *put32(u8 *at, u32 value) {
  for (int i = 0; i < 4; i++, value >>= 8) *at++ = (u8)value;
  return at;
}

/** A function of EAX alone, in instructions that both modes encode alike. */
static OPAQUE void generate(u8 *at, u32 *state) {
  for (int i = 0; i < INSTRUCTIONS; i++) {
    u32 random = next_random(state);
    switch (random & 7) {
      case 0: case 1: *at++ = 0x05, at = put32(at, random); break;                /* add $imm32, %eax */
      case 2: case 3: *at++ = 0x35, at = put32(at, random); break;                /* xor $imm32, %eax */
      case 4: *at++ = 0x69, *at++ = 0xc0, at = put32(at, random | 1); break;      /* imul $imm32, %eax, %eax */
      case 5: *at++ = 0xc1, *at++ = 0xc0, *at++ = random >> 8 & 31; break;        /* rol $imm8, %eax */
      case 6: *at++ = 0xf7, *at++ = 0xd8; break;                                  /* neg %eax */
      default: *at++ = 0x0f, *at++ = 0xc8;                                        /* bswap %eax */
    }
  }
  *at = 0xc3;
}

static OPAQUE u32 run(const u8 *at, u32 x, int times) {
  while (times--) __asm__ volatile("call *%1" : "+a"(x) : "r"(at) : "cc", "memory");
  return x;
}

u32 work(u32 n) {
  u32 state = 77, x = 1;
  for (u32 i = 0; i < n; i++) {
    u8 *at = code[i % PLACES];
    generate(at, &state);
    x = run(at, x, RUNS);
  }
  return x;
}
