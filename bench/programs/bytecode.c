/* A stack machine with a dense switch, running a program that finds prime numbers by division: indirect jumps, and
   branches that depend on data. */
#include "bench.h"
enum { PUSH, LOAD, STORE, ADD, SUB, REM, MUL, LESS, JZ, JMP, HALT };

/* for (c = 3; c < limit; c += 2) { for (d = 3; d * d <= c; d += 2) if (c % d == 0) goto next; sum += c; next:; } */
enum { C, D, SUM, LIMIT };
enum { WHILE = 4, TRY = 15, DIVIDE = 27, PRIME = 43, NEXT = 50, END = 59 };
static const u8 program[] = {
  /* 0 */ PUSH, 3, STORE, C,
  /* WHILE */ LOAD, C, LOAD, LIMIT, LESS, JZ, END, PUSH, 3, STORE, D,
  /* TRY */ LOAD, C, LOAD, D, LOAD, D, MUL, LESS, JZ, DIVIDE, JMP, PRIME,
  /* DIVIDE */ LOAD, C, LOAD, D, REM, JZ, NEXT, LOAD, D, PUSH, 2, ADD, STORE, D, JMP, TRY,
  /* PRIME */ LOAD, SUM, LOAD, C, ADD, STORE, SUM,
  /* NEXT */ LOAD, C, PUSH, 2, ADD, STORE, C, JMP, WHILE,
  /* END */ HALT,
};

static OPAQUE u32 interpret(const u8 *code, u32 limit) {
  u32 stack[16], *top = stack, variable[4] = { 0, 0, 0, limit };
  for (const u8 *pc = code;;) {
    switch (*pc++) {
      case PUSH: *++top = *pc++; break;
      case LOAD: *++top = variable[*pc++]; break;
      case STORE: variable[*pc++] = *top--; break;
      case ADD: top--, *top += top[1]; break;
      case SUB: top--, *top -= top[1]; break;
      case REM: top--, *top %= top[1]; break;
      case MUL: top--, *top *= top[1]; break;
      case LESS: top--, *top = *top < top[1]; break;
      case JZ: pc = *top-- ? pc + 1 : code + *pc; break;
      case JMP: pc = code + *pc; break;
      case HALT: return variable[SUM];
      default: __builtin_unreachable();
    }
  }
}

u32 work(u32 n) {
  u32 sum = 0;
  while (n--) sum = mix(sum, interpret(program, 2000 + (n & 3)));
  return sum;
}
