/* What programs that need ring 0 share: selectors of start.S and gates. */
#ifndef KERNEL_H
#define KERNEL_H

enum { CODE = 0x08, DATA = 0x10, USER_CODE32 = 0x18 | 3, USER_DATA = 0x20 | 3, USER_CODE64 = 0x28 | 3, TASK = 0x30 };
extern word table4[];
extern u64 gdt[];

struct gate {
  u16 low, selector, flags, middle;
#ifdef __x86_64__
  u32 high, zero;
#endif
};
enum { INTERRUPT_GATE = 0x8e00, USER_GATE = 0xee00 };
static struct gate idt[256];

static inline void set_gate(int vector, void (*entry)(void), u16 flags) {
  word at = (word)entry;
  idt[vector].low = (u16)at, idt[vector].middle = (u16)(at >> 16);
  idt[vector].selector = CODE, idt[vector].flags = flags;
}

static inline void load_idt(void) {
  struct { u16 limit; word base; } __attribute__((packed)) pointer = { sizeof idt - 1, (word)idt };
  __asm__ volatile("lidt %0" ::"m"(pointer));
}

static inline void write_cr3(void) { __asm__ volatile("mov %0, %%cr3" ::"r"(table4) : "memory"); }

#endif
