/* What only a kernel can do with memory, one of two by macro:
     WALKS        CR3 written, then 32 pages touched: 32 misses of the TLB
     FAULTS       a page fault whose handler maps the page, then INVLPG
   The host's build counts along, since it may not do any of it. */
#include "bench.h"
enum { WINDOW = 32 << 20, PAGES = 512 };   /* one 2 or 4 MiB large page that is mapped by small ones instead */

#ifdef NATIVE
u32 work(u32 n) {
#ifdef WALKS
  u32 sum = 0;
  for (u32 i = n << 5; i; i--)
    for (u32 page = 0; page < 32; page++) sum += page * 3 + 1;
  return sum;
#else
  return n * PAGES * 5;
#endif
}
#else

#include "kernel.h"
static word tables[1024] __attribute__((aligned(4096)));
static u32 faults;

#ifdef __x86_64__
enum { PER_TABLE = 512 };
#define POP_ERROR "add $8, %rsp\n iretq\n"
#define SAVE "push %rax\n push %rcx\n push %rdx\n push %rsi\n push %rdi\n push %r8\n push %r9\n push %r10\n push %r11\n cld\n"
#define RESTORE "pop %r11\n pop %r10\n pop %r9\n pop %r8\n pop %rdi\n pop %rsi\n pop %rdx\n pop %rcx\n pop %rax\n"
#else
enum { PER_TABLE = 1024 };
#define POP_ERROR "add $4, %esp\n iret\n"
#define SAVE "push %eax\n push %ecx\n push %edx\n cld\n"
#define RESTORE "pop %edx\n pop %ecx\n pop %eax\n"
#endif

void fault_entry(void);
__asm__("fault_entry:\n" SAVE "call fault\n" RESTORE POP_ERROR);

void fault(void) {
  word at;
  __asm__ volatile("mov %%cr2, %0" : "=r"(at));
  tables[(at - WINDOW) >> 12] = (at & ~0xfffu) | 3;
  faults++;
}

static void prepare(void) {
  set_gate(14, fault_entry, INTERRUPT_GATE);
  load_idt();
#ifdef __x86_64__
  word *table3 = (word *)(table4[0] & ~0xfffu), *directory = (word *)(table3[0] & ~0xfffu);
  directory[WINDOW >> 21] = (word)tables | 3;
#else
  table4[WINDOW >> 22] = (word)tables | 3;
#endif
  for (u32 i = 0; i < PER_TABLE; i++) tables[i] = (WINDOW + (i << 12)) | 3;
  write_cr3();
}

u32 work(u32 n) {
  prepare();
  u32 sum = 0;
#ifdef WALKS
  for (u32 page = 0; page < 32; page++) *(volatile u32 *)(WINDOW + (word)page * 4096) = page * 3 + 1;
  for (u32 i = n << 5; i; i--) {
    write_cr3();
    for (u32 page = 0; page < 32; page++) sum += *(volatile u32 *)(WINDOW + (word)page * 4096);
  }
  return sum;
#else
  faults = 0;
  while (n--)
    for (u32 page = 0; page < PAGES; page++) {
      word at = WINDOW + (word)page * 4096;
      tables[page] = 0;
      __asm__ volatile("invlpg (%0)" ::"r"(at) : "memory");
      *(volatile u32 *)at = 4;
      sum += *(volatile u32 *)at;
    }
  return sum + faults;
#endif
}
#endif
