/* Runs single MMX and SSE instructions natively: reads struct Case records from stdin, writes struct Result records to
 * stdout. tests/hardware/sse_record.ts makes the cases and condenses the results. Build: gcc -O1 -o sse sse.c */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct Case {
  uint8_t code[16]; /* ends in RET */
  uint8_t xmm[3][16];
  uint64_t mm1, mm2, rax, rcx, rdx;
  uint32_t mxcsr, pad;
};
struct Result {
  uint8_t xmm[3][16];
  uint64_t mm1, mm2, rcx, rdx;
  uint32_t flags, mxcsr, trapped, pad;
};

static sigjmp_buf back;
static volatile uint32_t trapMxcsr;

static void onTrap(int sig, siginfo_t *info, void *context) {
  (void)info;
  trapMxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(back, sig);
}

static void execute(const struct Case *in, struct Result *out, void *code) {
  uint64_t frame[4] = {(uint64_t)in, (uint64_t)out, (uint64_t)code, 0};
  __asm__ volatile(
      "mov %0, %%rbx\n"
      "mov (%%rbx), %%rsi\n"
      "movups 16(%%rsi), %%xmm0\n movups 32(%%rsi), %%xmm1\n movups 48(%%rsi), %%xmm2\n"
      "movq 64(%%rsi), %%mm1\n movq 72(%%rsi), %%mm2\n"
      "mov 80(%%rsi), %%rax\n mov 88(%%rsi), %%rcx\n mov 96(%%rsi), %%rdx\n"
      "ldmxcsr 104(%%rsi)\n"
      "pushq $0x8d7\n popfq\n" /* all status flags set */
      "call *16(%%rbx)\n"
      "mov 8(%%rbx), %%rdi\n"
      "movups %%xmm0, (%%rdi)\n movups %%xmm1, 16(%%rdi)\n movups %%xmm2, 32(%%rdi)\n"
      "movq %%mm1, 48(%%rdi)\n movq %%mm2, 56(%%rdi)\n"
      "mov %%rcx, 64(%%rdi)\n mov %%rdx, 72(%%rdi)\n"
      "pushfq\n pop %%rcx\n mov %%ecx, 80(%%rdi)\n"
      "stmxcsr 84(%%rdi)\n"
      "emms\n cld\n"
      : : "r"(frame) : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "xmm0", "xmm1", "xmm2", "memory", "cc");
}

int main(void) {
  uint8_t *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct sigaction action = {.sa_sigaction = onTrap, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGFPE, &action, 0);
  sigaction(SIGILL, &action, 0);
  struct Case in;
  struct Result out;
  uint32_t normal = 0x1f80;
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    memset(&out, 0, sizeof out);
    if (memcmp(code, in.code, sizeof in.code)) memcpy(code, in.code, sizeof in.code);
    int sig = sigsetjmp(back, 0);
    if (!sig) execute(&in, &out, code);
    else {
      out.trapped = sig;
      out.mxcsr = trapMxcsr;
      __asm__ volatile("emms\n cld");
    }
    __asm__ volatile("ldmxcsr %0" : : "m"(normal));
    fwrite(&out, sizeof out, 1, stdout);
  }
  return 0;
}
