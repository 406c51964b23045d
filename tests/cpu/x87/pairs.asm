; Every kind of x87 arithmetic on pairs of 80-bit operands: ECX pairs of 32 bytes at RSI (two operands, control word at 28) to results of 240 bytes at
; RDI. Runs on the host as it is (pairs.c) and in the guest.
again:
%macro bin 2
  fninit
  fldcw [rsi+28]
  fld tword [rsi+10]
  fld tword [rsi]
  %1
  fnstsw [rdi+%2+10]
  fstp tword [rdi+%2]
%endmacro
  bin {fadd st0, st1}, 0
  bin {fsub st0, st1}, 16
  bin {fsubr st0, st1}, 32
  bin {fmul st0, st1}, 48
  bin {fdiv st0, st1}, 64
  bin {fdivr st0, st1}, 80
  bin {fsqrt}, 96
  bin {fcom st1}, 112
  fninit
  fldcw [rsi+28]
  fld tword [rsi]
  fst qword [rdi+128]
  fnstsw [rdi+136]
  fstp dword [rdi+140]
  fnstsw [rdi+144]
  fld tword [rsi]
  fadd qword [rsi+10]
  fnstsw [rdi+170]
  fstp tword [rdi+160]
  fld tword [rsi]
  fmul qword [rsi+10]
  fnstsw [rdi+186]
  fstp tword [rdi+176]
  fld tword [rsi]
  fsubr dword [rsi+10]
  fnstsw [rdi+202]
  fstp tword [rdi+192]
  fld qword [rsi+2]
  fidiv dword [rsi+10]
  fnstsw [rdi+218]
  fistp qword [rdi+208]
  fld tword [rsi]
  fld tword [rsi+10]
  xor eax, eax
  fucomip st0, st1
  pushfq
  pop rax
  and eax, 0x45
  mov [rdi+220], ax
  frndint
  fnstsw [rdi+234]
  fstp tword [rdi+224]
  add rsi, 32
  add rdi, 240
  dec ecx
  jnz again
