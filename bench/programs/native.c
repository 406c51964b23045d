/* The same object files as a program for the host, without a C library so that -m32 needs none either:
     program COUNT REPEATS
   prints a line "checksum nanoseconds" for each repetition, CPU time of the process. */
#include "bench.h"

enum { STDOUT = 1, CLOCK_PROCESS_CPUTIME_ID = 2 };
#ifdef __x86_64__
enum { SYS_write = 1, SYS_exit = 60, SYS_clock_gettime = 228 };
static long syscall3(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call enter\n");
#else
enum { SYS_write = 4, SYS_exit = 1, SYS_clock_gettime = 265 };
static long syscall3(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}
__asm__(".globl _start\n_start: mov %esp, %eax\n and $-16, %esp\n sub $12, %esp\n push %eax\n call enter\n");
#endif

static u32 decimal(const char *text) {
  u32 n = 0;
  while (*text) n = n * 10 + (u32)(*text++ - '0');
  return n;
}

/* Seconds and the rest apart: no 64-bit division, which would take libgcc. */
static void put_time(char *to, long seconds, u32 nanoseconds) {
  for (int i = 8; i >= 0; i--, nanoseconds /= 10) to[10 + i] = (char)('0' + nanoseconds % 10);
  for (int i = 9; i >= 0; i--, seconds /= 10) to[i] = (char)('0' + seconds % 10);
}

static void elapsed(long *seconds, long *nanoseconds) {
  long now[2];
  syscall3(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, (long)now, 0);
  *seconds = now[0];
  *nanoseconds = now[1];
}

void enter(long *stack) {
  char **argv = (char **)(stack + 1);
  u32 n = decimal(argv[1]), repeats = decimal(argv[2]);
  while (repeats--) {
    long s0, ns0, s1, ns1;
    elapsed(&s0, &ns0);
    u32 sum = work(n);
    elapsed(&s1, &ns1);
    s1 -= s0, ns1 -= ns0;
    if (ns1 < 0) s1--, ns1 += 1000000000;
    char line[29];
    for (int i = 0; i < 8; i++) line[i] = "0123456789abcdef"[sum >> (28 - 4 * i) & 15];
    line[8] = ' ';
    put_time(line + 9, s1, (u32)ns1);
    line[28] = '\n';
    syscall3(SYS_write, STDOUT, (long)line, sizeof line);
  }
  syscall3(SYS_exit, 0, 0, 0);
  __builtin_unreachable();
}
