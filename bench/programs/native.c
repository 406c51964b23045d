/* The same object files as a program for the host, without a C library:
     program COUNT REPEATS
   prints a line "checksum nanoseconds" for each repetition, CPU time of the process. Always a 64-bit program; work() of a
   32-bit one is in native32.c. */
#include "bench.h"

enum { STDOUT = 1, CLOCK_PROCESS_CPUTIME_ID = 2 };
enum { SYS_write = 1, SYS_exit = 60, SYS_clock_gettime = 228 };
static long syscall3(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call enter\n");

#ifdef IMAGE32
void load32(void);
#else
static void load32(void) {}
#endif

static u32 decimal(const char *text) {
  u32 n = 0;
  while (*text) n = n * 10 + (u32)(*text++ - '0');
  return n;
}

static u64 cpu_time(void) {
  u64 now[2];
  syscall3(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, (long)now, 0);
  return now[0] * 1000000000 + now[1];
}

void enter(long *stack) {
  char **argv = (char **)(stack + 1);
  u32 n = decimal(argv[1]), repeats = decimal(argv[2]);
  load32();
  while (repeats--) {
    u64 before = cpu_time();
    u32 sum = work(n);
    u64 elapsed = cpu_time() - before;
    char line[29];
    for (int i = 7; i >= 0; i--, sum >>= 4) line[i] = "0123456789abcdef"[sum & 15];
    line[8] = ' ';
    for (int i = 27; i >= 9; i--, elapsed /= 10) line[i] = (char)('0' + elapsed % 10);
    line[28] = '\n';
    syscall3(SYS_write, STDOUT, (long)line, sizeof line);
  }
  syscall3(SYS_exit, 0, 0, 0);
  __builtin_unreachable();
}
