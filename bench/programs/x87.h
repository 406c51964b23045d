/* Precision of x87 arithmetic while a program works: X87_CONTROL is the control word. 0x27F rounds to the 53 bits of a double,
   as BSD and Windows run their programs; 0x37F to 64 bits, as Linux does. */
#ifndef X87_H
#define X87_H

#ifdef X87_CONTROL
static inline u16 set_precision(void) {
  u16 before, now = X87_CONTROL;
  __asm__ volatile("fnstcw %0\n fldcw %1" : "=m"(before) : "m"(now));
  return before;
}
static inline void restore_precision(u16 before) { __asm__ volatile("fldcw %0" ::"m"(before)); }
#else
static inline u16 set_precision(void) { return 0; }
static inline void restore_precision(u16 before) { (void)before; }
#endif

#endif
