/* Code that patches itself: a loop in which one instruction stores the immediate of the next but one. */
#include "bench.h"

u32 patching(u32 x, u32 count);
__asm__(
  "        .section .wx, \"awx\", @progbits\n"
  "patching:\n"
#ifdef __x86_64__
  "        mov %edi, %eax\n"
  "        mov %esi, %ecx\n"
  "1:      mov %eax, 2f+1(%rip)\n"
#else
  "        mov 4(%esp), %eax\n"
  "        mov 8(%esp), %ecx\n"
  "1:      mov %eax, 2f+1\n"
#endif
  "        rol $7, %eax\n"
  "2:      .byte 0x05\n"       /* add $imm32, %eax */
  "        .long 0\n"
  "        xor %ecx, %eax\n"
  "        dec %ecx\n"
  "        jnz 1b\n"
  "        ret\n"
  "        .text\n");

u32 work(u32 n) { return patching(1, n << 6); }
