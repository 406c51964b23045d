/* Runs x87 instructions natively and records what the processor did: the expected values of tests/cpu/x87.
 *
 *   gcc -O1 -o build/x87 tests/hardware/x87.c && build/x87 | gzip -9n > tests/cpu/x87/<cpu>.bin.gz
 *
 * Each case loads a complete state with FRSTOR, executes one instruction, and stores the state with FNSAVE. Output,
 * little-endian:
 *   "X87V", u16 pool entries, pool entries of 10 bytes; then per instruction
 *   u8 length, its bytes (memory operand: ModRM.rm = 6), u8 bytes of memory operand read or written, u8 written,
 *   u8 CPU flags matter, u32 cases; each case:
 *     u16 FCW, u16 FSW, u8 registers in use (physical), u16 pool index of ST(0), u16 of ST(1) and of the memory operand,
 *     u8 EFLAGS before (CF PF ZF); result: u16 FSW, u16 full tag word, u8 changed physical registers, 10 bytes for each,
 *     memory operand if written (prefilled with A5), u8 EFLAGS if they matter, u16 AX for FNSTSW AX.
 * A length of 0 ends the file. Undefined opcodes are reported on stderr and left out. */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct __attribute__((packed)) { uint64_t sig; uint16_t se; } Ext;
typedef struct __attribute__((packed)) {
  uint16_t fcw, r0, fsw, r1, ftw, r2;
  uint32_t fip, fcs, fdp, fds;
  Ext st[8];
  uint64_t rax, flags;
} Image;

static Ext pool[4096];
static int poolCount;
static uint64_t seed = 0x9e3779b97f4a7c15u;
static uint64_t rnd(void) { /* splitmix64 */
  uint64_t z = (seed += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
static unsigned below(unsigned n) { return rnd() % n; }

typedef struct { int first, count; } Range;
static void put(uint16_t se, uint64_t sig) { pool[poolCount].se = se; pool[poolCount++].sig = sig; }
static void putLong(long double x) { memcpy(&pool[poolCount++], &x, 10); }
static Range since(int first) { return (Range){ first, poolCount - first }; }

/* Significands whose low bits make rounding interesting at 24, 53 and 64 bits. */
static uint64_t mantissa(void) {
  uint64_t s = rnd() | 1ull << 63;
  switch (below(10)) {
    case 0: return s & ~0ull << 40;
    case 1: return (s & ~0ull << 40) | 1ull << 39;
    case 2: return (s & ~0ull << 40) | ((1ull << 39) - 1);
    case 3: return s & ~0ull << 11;
    case 4: return (s & ~0ull << 11) | 1ull << 10;
    case 5: return ~0ull << below(64);
    case 6: return 1ull << 63 | 1ull << below(64);
    case 7: return s & ~0ull << 32;
    default: return s;
  }
}
static uint16_t sign(void) { return rnd() & 1 ? 0x8000 : 0; }

static Range SPECIAL, NEAR, WIDE, EXTREME, INTEGERS, SMALL, ANGLES, UNIT, AROUND1, M32, M64, I16, I32, I64, BCD;
static void fillPool(void) {
  static const uint64_t top = 1ull << 63;
  int f = poolCount;
  for (int s = 0; s < 2; s++) {
    uint16_t n = s << 15;
    put(n, 0); put(n, 1); put(n, 0x7fffffffffffffff); put(n, rnd() >> 20); put(n, top); put(n, top | 1); put(n, ~0ull);
    put(n | 1, top); put(n | 1, ~0ull); put(n | 0x7ffe, ~0ull); put(n | 0x7ffe, top);
    put(n | 0x7fff, top); put(n | 0x7fff, 0xc000000000000000); put(n | 0x7fff, 0xc000000000000123);
    put(n | 0x7fff, ~0ull); put(n | 0x7fff, top | 1); put(n | 0x7fff, top | 0x3fffffffffffffff);
    put(n | 0x7fff, 0); put(n | 0x7fff, 1); put(n | 0x7fff, 0x7fffffffffffffff); put(n | 0x3fff, 0x4000000000000000);
    put(n | 1, 0); put(n | 0x3fff, 0);
    put(n | 0x3fff, top); put(n | 0x4000, top); put(n | 0x3ffe, top); put(n | 0x4000, 0xc000000000000000);
    put(n | 0x3fff, top | 1); put(n | 0x3ffe, ~0ull); put(n | 0x3ffe, ~0ull << 11); put(n | 0x3ffe, ~0ull << 40);
  }
  SPECIAL = since(f); f = poolCount;
  for (int i = 0; i < 160; i++) put(sign() | (0x3ffb + below(9)), mantissa());
  NEAR = since(f); f = poolCount;
  for (int i = 0; i < 120; i++) put(sign() | (0x3fff - 70 + below(140)), mantissa());
  WIDE = since(f); f = poolCount;
  for (int i = 0; i < 80; i++) put(sign() | (rnd() & 1 ? 1 + below(80) : 0x7ffe - below(80)), mantissa());
  for (int i = 0; i < 20; i++) put(sign(), rnd() >> (1 + below(63)));
  for (int i = 0; i < 40; i++) put(sign() | (0x1fff + below(130)), mantissa());
  for (int i = 0; i < 40; i++) put(sign() | (0x5fff - below(130)), mantissa());
  EXTREME = since(f); f = poolCount;
  for (int i = 0; i < 64; i++) { /* integers and ties at every magnitude */
    putLong((sign() ? -1.0L : 1.0L) * (long double)(1ull << i));
    putLong((sign() ? -1.0L : 1.0L) * ((long double)(1ull << i) - 0.5L));
    putLong((sign() ? -1.0L : 1.0L) * ((long double)(1ull << i) + 0.5L));
  }
  putLong(999999999999999999.0L); putLong(999999999999999999.5L); putLong(-999999999999999999.5L);
  putLong(1e18L); putLong(-1e18L); putLong(123456789012345678.0L); putLong(-32768.0L); putLong(-32768.5L);
  putLong(-32769.0L); putLong(-2147483648.0L); putLong(-2147483648.5L); putLong(-2147483649.0L);
  putLong(-9223372036854775808.0L); put(0xc03e, 0x8000000000000001); put(0x403d, ~0ull);
  for (int i = 0; i < 40; i++) putLong((long double)(int64_t)rnd() / (1ull << below(63)));
  INTEGERS = since(f); f = poolCount;
  { /* around the limits of float and double, normal and denormal */
    static const int edge[] = { 0x3fff - 127, 0x3fff - 126, 0x3fff - 149, 0x3fff - 150, 0x3fff + 127, 0x3fff + 128,
      0x3fff - 1023, 0x3fff - 1022, 0x3fff - 1074, 0x3fff - 1075, 0x3fff + 1023, 0x3fff + 1024, 0x3fff - 140, 0x3fff - 1050 };
    for (int i = 0; i < 14; i++) for (int k = 0; k < 9; k++)
      put(sign() | edge[i], k == 0 ? top : k == 1 ? ~0ull : k == 2 ? ~0ull << 40 : k == 3 ? ~0ull << 11 : k == 4 ? ~0ull << 39 : k == 5 ? ~0ull << 10 : mantissa());
  }
  SMALL = since(f); f = poolCount;
  for (int i = 0; i < 150; i++) put(sign() | (0x3fff - 20 + below(26)), mantissa());
  for (int i = 0; i < 60; i++) put(sign() | (0x3fff + 4 + below(61)), mantissa());
  for (int i = 0; i < 40; i++) put(sign() | (0x3fff - 80 + below(60)), mantissa());
  for (int i = 1; i < 60; i++) { /* close to multiples of pi/2 */
    long double k = i < 30 ? i : (long double)(rnd() >> below(60));
    putLong(k * 1.57079632679489661923132169163975144L * (sign() ? -1 : 1));
  }
  put(0x403e, top); put(0xc03e, top); put(0x403d, ~0ull); put(0x403e, ~0ull); put(0x3ffe, 0xc90fdaa22168c234);
  put(0x3ffe, 0xc90fdaa22168c235); put(0x3ffe, 0xc90fdaa22168c233); put(0x3fff, 0xc90fdaa22168c235);
  ANGLES = since(f); f = poolCount;
  for (int i = 0; i < 150; i++) put(sign() | (0x3ffe - (below(3) ? below(4) : below(75))), mantissa());
  for (int i = 0; i < 40; i++) putLong((long double)(int)(below(129) - 64) / 64);
  UNIT = since(f); f = poolCount;
  for (int i = 0; i < 100; i++) putLong(1.0L + (long double)(int64_t)rnd() / 9223372036854775808.0L / (1ull << below(62)) * 0.9L);
  for (int i = 0; i < 30; i++) put(0x3fff, top | rnd() >> (1 + below(63)));
  for (int i = 0; i < 30; i++) put(0x3ffe, ~0ull - (rnd() >> (1 + below(63))));
  AROUND1 = since(f); f = poolCount;
  static const uint32_t f32[] = { 0, 1, 0x7fffff, 0x800000, 0x3f800000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000, 0x7fffffff, 0x3f000000, 0x00400000 };
  for (int i = 0; i < 12; i++) { put(0, f32[i]); put(0, f32[i] | 0x80000000u); }
  for (int i = 0; i < 40; i++) put(0, (rnd() & 0x807fffff) | (uint64_t)(120 + below(16)) << 23);
  for (int i = 0; i < 16; i++) put(0, (uint32_t)rnd());
  M32 = since(f); f = poolCount;
  static const uint64_t f64[] = { 0, 1, 0xfffffffffffff, 0x10000000000000, 0x3ff0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001, 0x7ff8000000000000, 0x7fffffffffffffff, 0x3fe0000000000000, 0x0008000000000000 };
  for (int i = 0; i < 12; i++) { put(0, f64[i]); put(0, f64[i] | top); }
  for (int i = 0; i < 40; i++) put(0, (rnd() & 0x800fffffffffffff) | (uint64_t)(1016 + below(16)) << 52);
  for (int i = 0; i < 16; i++) put(0, rnd());
  M64 = since(f); f = poolCount;
  static const int64_t ints[] = { 0, 1, -1, 2, -2, 0x7fff, -0x8000, 0x7fffffff, -0x80000000ll, 0x7fffffffffffffff, 1ll << 63, 3, 10, 0x4000, 0x40000000, 0xffffff, 0x1000001 };
  for (int i = 0; i < 17; i++) put(0, ints[i]);
  for (int i = 0; i < 30; i++) put(0, rnd() & 1 ? rnd() : (uint64_t)((int64_t)rnd() >> below(60)));
  I16 = I32 = I64 = since(f); f = poolCount;
  for (int i = 0; i < 40; i++) {
    uint64_t d = 0;
    for (int k = 0; k < 16; k++) d |= (uint64_t)below(10) << 4 * k;
    if (i < 8) d &= (1ull << 4 * i * 2) - 1;
    put(sign() | (i < 8 ? 0 : below(10) | below(10) << 4), d);
  }
  put(0x99, 0x9999999999999999); put(0x8099, 0x9999999999999999); put(0x8000, 0);
  BCD = since(f);
}

/* Which operands an instruction finds interesting. */
enum { ANY, ARITH, CONVERT, TRIG, EXP2, LOG, LOG1P, ATAN, REMAINDER, SCALE, NONE };
static int pick(Range r) { return r.first + below(r.count); }
static int pickAny(void) {
  switch (below(8)) {
    case 0: case 1: return pick(SPECIAL);
    case 2: case 3: return pick(NEAR);
    case 4: return pick(WIDE);
    case 5: return pick(EXTREME);
    case 6: return pick(INTEGERS);
    default: return pick(SMALL);
  }
}
static int pick0(int kind) {
  if (below(6) == 0) return pick(SPECIAL);
  switch (kind) {
    case ARITH: return below(3) ? (below(3) ? pick(NEAR) : pick(WIDE)) : pick(EXTREME);
    case CONVERT: return below(2) ? pick(INTEGERS) : below(2) ? pick(SMALL) : pick(NEAR);
    case TRIG: return pick(ANGLES);
    case EXP2: return pick(UNIT);
    case LOG: return below(3) ? pick(AROUND1) : below(2) ? pick(NEAR) : pick(EXTREME);
    case LOG1P: return pick(UNIT);
    case ATAN: return below(2) ? pick(NEAR) : pick(WIDE);
    case REMAINDER: return below(3) ? pick(WIDE) : below(2) ? pick(EXTREME) : pick(INTEGERS);
    default: return pickAny();
  }
}
static int pick1(int kind) {
  if (below(6) == 0) return pick(SPECIAL);
  switch (kind) {
    case ARITH: return below(3) ? pick(NEAR) : pick(EXTREME);
    case ATAN: case LOG: case LOG1P: return below(2) ? pick(NEAR) : pick(WIDE);
    case REMAINDER: return below(3) ? pick(NEAR) : pickAny();
    case SCALE: return below(3) ? pick(INTEGERS) : pick(NEAR);
    default: return pickAny();
  }
}

static uint8_t *code;
static sigjmp_buf undefined;
static void onSigill(int s) { (void)s; siglongjmp(undefined, 1); }

static void emit(const uint8_t *insn, int length) {
  uint8_t *p = code;
  static const uint8_t head[] = { 0xdd, 0x27, 0x51, 0x9d };          /* frstor [rdi]; push rcx; popf */
  static const uint8_t tail[] = { 0x48, 0x89, 0x42, 0x6c,            /* mov [rdx+108], rax */
    0x9c, 0x58, 0x48, 0x89, 0x42, 0x74, 0xdd, 0x32, 0xdb, 0xe3, 0xc3 }; /* pushf; pop rax; mov [rdx+116], rax; fnsave [rdx]; fninit; ret */
  memcpy(p, head, sizeof head); p += sizeof head;
  memcpy(p, insn, length); p += length;
  memcpy(p, tail, sizeof tail);
}

static void out(const void *p, size_t n) { fwrite(p, 1, n, stdout); }
static void out8(uint8_t v) { out(&v, 1); }
static void out16(uint16_t v) { out(&v, 2); }

static uint16_t tagWord(uint8_t used) { /* FRSTOR only distinguishes empty (3) from the rest */
  uint16_t w = 0;
  for (int i = 0; i < 8; i++) if (!(used >> i & 1)) w |= 3 << 2 * i;
  return w;
}

static void group(const uint8_t *insn, int length, int kind, int cases, int memory, int writes, int flags, Range source) {
  uint8_t buffer[64] = { 0 };
  Image in, res;
  emit(insn, length);
  if (sigsetjmp(undefined, 1)) {
    fprintf(stderr, "undefined:");
    for (int i = 0; i < length; i++) fprintf(stderr, " %02X", insn[i]);
    fprintf(stderr, "\n");
    return;
  }
  { /* probe: may be undefined */
    memset(&in, 0, sizeof in); in.fcw = 0x37f; in.ftw = 0xffff;
    ((void (*)(void *, void *, void *, uint64_t))code)(&in, buffer, &res, 2);
  }
  out8(length); out(insn, length); out8(memory); out8(writes); out8(flags);
  uint32_t n = cases; out(&n, 4);
  for (int c = 0; c < cases; c++) {
    int a = pick0(kind), b = source.count ? pick(source) : pick1(kind);
    static const uint16_t common[] = { 0x37f, 0x27f, 0x37f, 0x07f, 0x77f, 0xb7f, 0xf7f, 0x17f };
    uint16_t fcw = below(4) ? common[below(8)] : 0x40 | (uint16_t)(rnd() & 0xf00) | (below(2) ? 0x3f : rnd() & 0x3f);
    int top = below(4) ? 0 : below(8);
    uint16_t fsw = top << 11 | (below(3) ? 0 : rnd() & 0x4700);
    uint8_t used = below(5) ? 0x7f : rnd(); /* by distance from TOP; usually one free register for a push */
    used = (uint8_t)(used << top | used >> (8 - top));
    if (below(8) == 0) { fsw |= rnd() & 0x7f & fcw; if (!(fsw & 1)) fsw &= ~0x40; }
    uint8_t before = (rnd() & 1) | (rnd() & 1) << 2 | (rnd() & 1) << 6;
    memset(&in, 0, sizeof in);
    in.fcw = fcw; in.fsw = fsw; in.ftw = tagWord(used);
    for (int i = 0; i < 8; i++) in.st[i] = pool[SPECIAL.first + 23 + i];
    in.st[0] = pool[a]; in.st[1] = pool[b];
    memset(buffer, 0xa5, sizeof buffer);
    if (!writes) memcpy(buffer, &pool[b], 10);
    memset(&res, 0, sizeof res);
    ((void (*)(void *, void *, void *, uint64_t))code)(&in, buffer, &res, before | 2 | 0x890 | 0x200);
    out16(fcw); out16(fsw); out8(used); out16(a); out16(b); out8(before);
    out16(res.fsw); out16(res.ftw);
    int top2 = res.fsw >> 11 & 7, changed = 0;
    for (int r = 0; r < 8; r++) if (memcmp(&res.st[(r - top2) & 7], &in.st[(r - top) & 7], 10)) changed |= 1 << r;
    out8(changed);
    for (int r = 0; r < 8; r++) if (changed >> r & 1) out(&res.st[(r - top2) & 7], 10);
    if (writes) out(buffer, memory);
    if (flags) { out8(res.flags & 0xd5); out8(res.flags >> 8 & 8); out16(res.rax); }
    if (res.fcw != fcw && insn[0] != 0xdb && insn[0] != 0xd9) fprintf(stderr, "FCW changed %02x\n", insn[0]);
  }
}

static const Range NOTHING = { 0, 0 };
static void reg(int b0, int b1, int kind, int cases) {
  uint8_t insn[2] = { b0, b1 };
  int flags = (b0 == 0xdb || b0 == 0xdf) && b1 >= 0xe0;
  group(insn, 2, kind, cases, 0, 0, flags, NOTHING);
}
static void mem(int b0, int field, int kind, int cases, int memory, int writes, Range source) {
  uint8_t insn[2] = { b0, field << 3 | 6 };
  group(insn, 2, kind, cases, memory, writes, 0, source);
}

int main(void) {
  struct sigaction sa = { .sa_handler = onSigill, .sa_flags = SA_NODEFER };
  sigaction(SIGILL, &sa, 0);
  code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  fillPool();
  out("X87V", 4); out16(poolCount); out(pool, 10 * poolCount);
  for (int i = 0; i < 8; i++) {
    int n = i == 2 || i == 3 ? 250 : 900;
    reg(0xd8, 0xc1 | i << 3, ARITH, n);
    reg(0xd8, 0xc2 | i << 3, ANY, 30);
    reg(0xdc, 0xc1 | i << 3, ARITH, 60);
    reg(0xdc, 0xc0 | i << 3, ANY, 20);
    if (i != 3) reg(0xde, 0xc1 | i << 3, ARITH, 60);
    mem(0xd8, i, ARITH, 120, 4, 0, M32);
    mem(0xdc, i, ARITH, 120, 8, 0, M64);
    mem(0xda, i, ARITH, 60, 4, 0, I32);
    mem(0xde, i, ARITH, 60, 2, 0, I16);
  }
  reg(0xde, 0xd9, ARITH, 60); reg(0xda, 0xe9, ANY, 60);
  mem(0xd9, 0, NONE, 150, 4, 0, M32); mem(0xdd, 0, NONE, 150, 8, 0, M64); mem(0xdb, 5, NONE, 200, 10, 0, NOTHING);
  mem(0xdf, 0, NONE, 60, 2, 0, I16); mem(0xdb, 0, NONE, 80, 4, 0, I32); mem(0xdf, 5, NONE, 80, 8, 0, I64);
  mem(0xdf, 4, NONE, 80, 10, 0, BCD);
  mem(0xd9, 2, CONVERT, 300, 4, 1, NOTHING); mem(0xd9, 3, CONVERT, 300, 4, 1, NOTHING);
  mem(0xdd, 2, CONVERT, 300, 8, 1, NOTHING); mem(0xdd, 3, CONVERT, 300, 8, 1, NOTHING);
  mem(0xdb, 7, CONVERT, 60, 10, 1, NOTHING);
  for (int i = 1; i < 4; i++) {
    mem(0xdf, i, CONVERT, 250, 2, 1, NOTHING);
    mem(0xdb, i, CONVERT, 250, 4, 1, NOTHING);
  }
  mem(0xdd, 1, CONVERT, 300, 8, 1, NOTHING); mem(0xdf, 7, CONVERT, 400, 8, 1, NOTHING);
  mem(0xdf, 6, CONVERT, 400, 10, 1, NOTHING);
  for (int i = 0; i < 8; i++) if (i != 2) reg(0xd9, 0xc1 | i << 3, ANY, i < 2 || i == 3 ? 40 : 20);
  reg(0xd9, 0xd0, ANY, 10); reg(0xd9, 0xd1, ANY, 10);
  static const int d9[] = { 0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7 };
  for (int i = 0; i < 8; i++) reg(0xd9, d9[i], ANY, d9[i] == 0xe5 ? 200 : 80);
  for (int i = 0xe8; i < 0xf0; i++) reg(0xd9, i, ANY, 40);
  reg(0xd9, 0xf6, ANY, 20); reg(0xd9, 0xf7, ANY, 20);
  reg(0xd9, 0xfa, ARITH, 1200); reg(0xd9, 0xfc, CONVERT, 400); reg(0xd9, 0xf4, ANY, 250);
  reg(0xd9, 0xf5, REMAINDER, 900); reg(0xd9, 0xf8, REMAINDER, 900); reg(0xd9, 0xfd, SCALE, 700);
  reg(0xd9, 0xf0, EXP2, 700); reg(0xd9, 0xf1, LOG, 900); reg(0xd9, 0xf9, LOG1P, 700); reg(0xd9, 0xf3, ATAN, 900);
  reg(0xd9, 0xf2, TRIG, 700); reg(0xd9, 0xfe, TRIG, 800); reg(0xd9, 0xff, TRIG, 800); reg(0xd9, 0xfb, TRIG, 700);
  for (int i = 0; i < 8; i++) { reg(0xda, 0xc1 | i << 3, ANY, i < 4 ? 40 : 10); reg(0xdb, 0xc1 | i << 3, ANY, i < 4 ? 40 : i == 5 || i == 6 ? 250 : 10); }
  for (int i = 0xe0; i < 0xe8; i++) if (i != 0xe3) reg(0xdb, i, ANY, 10);
  for (int i = 0; i < 8; i++) { reg(0xdd, 0xc1 | i << 3, ANY, i == 4 || i == 5 ? 150 : 40); reg(0xdf, 0xc1 | i << 3, ANY, i == 5 || i == 6 ? 150 : 40); }
  for (int i = 0xe0; i < 0xe3; i++) reg(0xdf, i, ANY, 10);
  out8(0);
  return 0;
}
