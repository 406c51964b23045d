/* work() of a 32-bit program, for native.c. Linux may be told, or built, not to start 32-bit programs, and then has no 32-bit
   code segment either; but processes can make one. So the program is an image within a 64-bit one (IMAGE32 is its file): it
   is put where it was linked to be, below 4 GiB, and entered by a far call. It makes no system calls. */
#include <asm/ldt.h>
#include <elf.h>
#include "bench.h"

enum { SYS_mmap = 9, SYS_exit = 60, SYS_modify_ldt = 154, PROT_RWX = 7, MAP_PRIVATE_FIXED_ANONYMOUS = 0x32, PAGE = 4096 };
enum { LDT_CS = 0 << 3 | 7 };

extern const u8 image32[];
__asm__(".section .rodata\n .balign 16\nimage32: .incbin \"" IMAGE32 "\"\n .text\n");

static u8 stack32[1 << 20] __attribute__((aligned(16)));
struct { u32 entry; u16 cs; } far32 = {0, LDT_CS};

static long syscall6(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
static void demand(u32 holds) {
  if (!holds) syscall6(SYS_exit, 1, 0, 0, 0, 0, 0);
}

/* The segments are mapped together: they may share pages. */
void load32(void) {
  const Elf32_Ehdr *header = (const Elf32_Ehdr *)image32;
  const Elf32_Phdr *segment = (const Elf32_Phdr *)(image32 + header->e_phoff);
  u32 low = ~0u, high = 0;
  for (int i = 0; i < header->e_phnum; i++) {
    if (segment[i].p_type != PT_LOAD) continue;
    if (segment[i].p_vaddr < low) low = segment[i].p_vaddr;
    if (segment[i].p_vaddr + segment[i].p_memsz > high) high = segment[i].p_vaddr + segment[i].p_memsz;
  }
  low &= -PAGE;
  demand(syscall6(SYS_mmap, low, high - low, PROT_RWX, MAP_PRIVATE_FIXED_ANONYMOUS, -1, 0) == low);
  for (int i = 0; i < header->e_phnum; i++) {
    if (segment[i].p_type != PT_LOAD) continue;
    u8 *to = (u8 *)(u64)segment[i].p_vaddr;
    for (u32 k = 0; k < segment[i].p_filesz; k++) to[k] = image32[segment[i].p_offset + k];
  }
  struct user_desc flat = {.entry_number = LDT_CS >> 3, .limit = 0xfffff, .limit_in_pages = 1, .seg_32bit = 1, .contents = MODIFY_LDT_CONTENTS_CODE, .useable = 1};
  demand(syscall6(SYS_modify_ldt, 0x11, (long)&flat, sizeof flat, 0, 0, 0) == 0);
  far32.entry = header->e_entry;
}

/* 32-bit code keeps neither the upper halves of registers nor R8 to R15: what the caller needs is on its own stack, which a
   variable finds again. The data segment (2B) is the one SS has in 64-bit code too. start32.S takes the argument in ECX and returns by a far return, to below 4 GiB: this is not -pie. */
u32 call32(u32 n, u8 *stack);
u64 stack64;
__asm__(
  "call32: push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n mov %rsp, stack64\n"
  " mov %rsi, %rsp\n mov %edi, %ecx\n mov $0x2b, %eax\n mov %eax, %ds\n mov %eax, %es\n"
  " lcall *far32\n"
  " mov stack64, %rsp\n mov %eax, %eax\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

u32 work(u32 n) { return call32(n, stack32 + sizeof stack32); }
