/* Runs a piece of flat code on this processor: its file is the first argument, the number of pairs the second; operands come in, results go out.
   See pairs.asm. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAIR = 32, RESULT = 240, CODE = 1 << 16 };

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  size_t n = strtoul(argv[2], 0, 10);
  char *code = mmap(0, CODE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *in = malloc(n * PAIR), *out = calloc(n, RESULT);
  FILE *file = fopen(argv[1], "rb");
  if (code == MAP_FAILED || !in || !out || !file || !fread(code, 1, CODE, file) || fread(in, PAIR, n, stdin) != n) return 1;
  ((void (*)(char *, char *, long, long))code)(out, in, 0, (long)n);
  return fwrite(out, RESULT, n, stdout) != n;
}
