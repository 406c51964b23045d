/* System calls: a loop at level 3 whose every round enters level 0, saves what C functions may change, calls one by number and comes
   back. By macro:
     INTERRUPTS   through a gate: int 0x80 and iret, with the stack from the task-state segment
     FAST         sysenter and sysexit in 32-bit mode, syscall and sysret in 64-bit mode
   The host's build counts along. */
#include "bench.h"

static u32 sum;
static void note(u32 value) { sum = mix(sum, value); }

#ifdef NATIVE
u32 work(u32 n) {
  sum = 0;
  for (u32 i = n << 10; i; i--) note(i);
  return sum;
}
#else

#include "kernel.h"
enum { LEAVE, NOTE };
static u8 kernel_stack[4096] __attribute__((aligned(16))), user_stack[4096] __attribute__((aligned(16)));
u8 *const kernel_top = kernel_stack + sizeof kernel_stack;
word saved_sp, user_sp;

void gate_entry(void), fast_entry(void), leave_user(void);
void enter_user(void (*function)(u32), u32 argument, void *stack);
void (*const calls[])(u32) = { (void (*)(u32))leave_user, note };

#ifdef __x86_64__
#define SAVE "push %rcx\n push %rdx\n push %rsi\n push %rdi\n push %r8\n push %r9\n push %r10\n push %r11\n"
#define RESTORE "pop %r11\n pop %r10\n pop %r9\n pop %r8\n pop %rdi\n pop %rsi\n pop %rdx\n pop %rcx\n"
#define CALL "mov %eax, %eax\n call *calls(, %rax, 8)\n"
__asm__(
  "gate_entry: swapgs\n cld\n" SAVE CALL RESTORE "swapgs\n iretq\n"
  "fast_entry: swapgs\n mov %rsp, user_sp\n mov kernel_top, %rsp\n" SAVE CALL RESTORE "mov user_sp, %rsp\n swapgs\n sysretq\n"
  "enter_user: push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n mov %rsp, saved_sp\n"
  " pushq $0x23\n push %rdx\n pushfq\n pushq $0x2b\n push %rdi\n mov %esi, %edi\n iretq\n"
  "leave_user: swapgs\n mov saved_sp, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");

static inline void call(u32 number, u32 value) {
#ifdef FAST
  __asm__ volatile("syscall" : "+a"(number) : "D"(value) : "rcx", "r11", "memory");
#else
  __asm__ volatile("int $0x80" : "+a"(number) : "D"(value) : "memory");
#endif
}
#else
/* DS and ES are the program's at first. The argument is in EBX. */
#define SAVE "push %es\n push %ds\n push %edx\n push %ecx\n mov $0x10, %edx\n mov %edx, %ds\n mov %edx, %es\n cld\n"
#define RESTORE "pop %ecx\n pop %edx\n pop %ds\n pop %es\n"
#define CALL "push %ebx\n call *calls(, %eax, 4)\n add $4, %esp\n"
__asm__(
  "gate_entry:" SAVE CALL RESTORE "iret\n"
  "fast_entry:" SAVE CALL RESTORE "sysexit\n"
  "enter_user: mov 4(%esp), %eax\n mov 8(%esp), %ecx\n mov 12(%esp), %edx\n push %ebp\n push %ebx\n push %esi\n push %edi\n mov %esp, saved_sp\n"
  " sub $8, %edx\n mov %ecx, 4(%edx)\n mov $0x23, %ecx\n mov %ecx, %ds\n mov %ecx, %es\n"
  " push $0x23\n push %edx\n pushf\n push $0x1b\n push %eax\n iret\n"
  "leave_user: mov saved_sp, %esp\n mov $0x10, %edx\n mov %edx, %ds\n mov %edx, %es\n pop %edi\n pop %esi\n pop %ebx\n pop %ebp\n ret\n");

static inline void call(u32 number, u32 value) {
#ifdef FAST
  __asm__ volatile("mov %%esp, %%ecx\n mov $1f, %%edx\n sysenter\n1:" : "+a"(number) : "b"(value) : "ecx", "edx", "memory");
#else
  __asm__ volatile("int $0x80" : "+a"(number) : "b"(value) : "memory");
#endif
}
#endif

static void user(u32 n) {
  for (u32 i = n << 10; i; i--) call(NOTE, i);
  call(LEAVE, 0);
}

/** The task-state segment says where the stack for level 0 is: SS0:ESP0, or RSP0, both at offset 4. */
static void prepare_stack(void) {
  static u32 task[26];
  word base = (word)task, top = (word)kernel_top;
  task[1] = (u32)top;
#ifndef __x86_64__
  task[2] = DATA;
#endif
  task[25] = sizeof task << 16;
  gdt[TASK / 8] = (sizeof task - 1) | (u64)(base & 0xffffff) << 16 | 0x89ull << 40 | (u64)(base >> 24) << 56;
  __asm__ volatile("ltr %w0" ::"r"(TASK));
}

#ifdef FAST
static void write_msr(u32 number, u32 low, u32 high) { __asm__ volatile("wrmsr" ::"c"(number), "a"(low), "d"(high)); }
static void prepare_fast(void) {
#ifdef __x86_64__
  enum { EFER = 0xc0000080, STAR = 0xc0000081, LSTAR, SFMASK = 0xc0000084 };
  write_msr(EFER, 0x501, 0);                         /* SCE LME LMA */
  write_msr(STAR, 0, USER_CODE32 << 16 | CODE);
  write_msr(LSTAR, (u32)(word)fast_entry, 0);
  write_msr(SFMASK, 0x40700, 0);                     /* AC DF IF TF */
#else
  enum { SYSENTER_CS = 0x174, SYSENTER_ESP, SYSENTER_EIP };
  write_msr(SYSENTER_CS, CODE, 0);
  write_msr(SYSENTER_ESP, (u32)kernel_top, 0);
  write_msr(SYSENTER_EIP, (u32)fast_entry, 0);
#endif
}
#endif

u32 work(u32 n) {
  sum = 0;
  set_gate(0x80, gate_entry, USER_GATE);
  load_idt();
  prepare_stack();
#ifdef FAST
  prepare_fast();
#endif
  enter_user(user, n, user_stack + sizeof user_stack - 8);
  return sum;
}
#endif
