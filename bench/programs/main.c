/* Runs work() as often as it is asked to. It asks at one of two places:
     - port 0x8F0, where a harness in the emulator's process answers the count, or 0 for "not yet"; the checksum goes to
       port 0x8F4;
     - COM1, if that port is not there (reads all ones): a line with the count in decimal; the answer is a line with the
       checksum in hexadecimal. */
#include "bench.h"

enum { COUNT = 0x8f0, RESULT = 0x8f4, COM1 = 0x3f8, LSR = COM1 + 5, DATA_READY = 1, TRANSMITTER_EMPTY = 0x20 };

static inline u32 inl(u16 port) {
  u32 value;
  __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline void outl(u16 port, u32 value) { __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port)); }
static inline u8 inb(u16 port) {
  u8 value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }

static void put(u8 c) {
  while (!(inb(LSR) & TRANSMITTER_EMPTY));
  outb(COM1, c);
}

static void serve_com1(void) {
  for (;;) {
    u32 n = 0;
    for (;;) {
      while (!(inb(LSR) & DATA_READY)) __asm__ volatile("pause");
      u8 c = inb(COM1);
      if (c == '\n') break;
      n = n * 10 + (c - '0');
    }
    u32 sum = work(n);
    for (int shift = 28; shift >= 0; shift -= 4) put("0123456789abcdef"[sum >> shift & 15]);
    put('\n');
  }
}

void main(void) {
  for (;;) {
    u32 n = inl(COUNT);
    if (n == 0xffffffff) serve_com1();
    if (n) outl(RESULT, work(n));
    else __asm__ volatile("pause");
  }
}
