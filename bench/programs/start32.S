/* Entry of a 32-bit program within a 64-bit one, far-called by native32.c with the count in ECX. */
  .globl _start
_start:
  sub $4, %esp          /* with the far return address and the argument: 16 bytes */
  push %ecx
  call work
  add $8, %esp
  lret
