/* Runs cases of code natively, one after the other, from inside a signal handler: each signal ends a case (the trap
 * after a single-stepped instruction, a fault, or the HLT that ends a program), is recorded, and returns into the next case.
 * So the instruction under test owns every register, including RSP, and may be 64-bit, 32-bit or 16-bit code: segments of
 * the other two come from the local descriptor table.
 *
 *   stdin   struct Head, then `cases` times struct Case + memory bytes + FPU bytes + code bytes
 *   stdout  `cases` times struct Result + memory bytes + FPU bytes
 *
 * The FPU bytes (none, or 416) are the start of an FXSAVE image: x87, MXCSR and XMM registers travel in the signal frame.
 *
 * tests/hardware/native.ts writes and reads these. Build: gcc -O1 -static-pie -fno-stack-protector -o native native.c
 * Needs root where vm.mmap_min_addr matters; nothing in the handler may use thread-local storage (FS is the case's). */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { ENVS = 8, WINDOWS = 8, STEP = 1, REPEATS = 2, TIMEOUT = 255 };

struct Segment { uint32_t base, limit, flags; }; /* bit 0 32-bit, 1 code, 2 read-only, 3 expand-down, 4 pages, 31 ignore */
struct Env { uint32_t bits; struct Segment seg[6]; }; /* es cs ss ds fs gs */
struct Window { uint32_t address, length; };
struct Head {
  uint32_t cases, envs, windows, memory;
  uint32_t code, codeSize, pages; /* pages: number of entries of page[] */
  struct { uint32_t address, writable; } page[16];
  struct Env env[ENVS];
  struct Window window[WINDOWS];
  uint64_t fsBase, gsBase;
  uint32_t fpu, pad; /* bytes of FPU state per case */
};
struct Case { uint32_t env, rip, flags, codeLength; uint64_t gpr[16], rflags; };
struct Result { uint64_t gpr[16], rip, rflags; uint32_t trap, error; uint64_t cr2; };

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
static struct Head head;
static uint8_t *input, *output, *out, *codeAlias;
static const struct Case *current;
static uint32_t done, lastTick = -1;
static uint64_t tlsBase;
static size_t outputSize;

static void copy(void *to, const void *from, size_t n) { __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); }

static uint16_t selector(uint32_t env, int seg) { return head.env[env].bits == 64 ? 0 : (env * 6 + seg) << 3 | 7; }

/* By the kernel: without CR4.FSGSBASE of its own it forgets what WRFSBASE wrote as soon as another process has its turn. */
static void setBase(long which, uint64_t base) {
  long result = SYS_arch_prctl;
  __asm__ volatile("syscall" : "+a"(result) : "D"(which), "S"(base) : "rcx", "r11", "memory");
}

static void finish(void) {
  setBase(ARCH_SET_FS, tlsBase);
  for (size_t n = 0; n < outputSize;) {
    ssize_t k = write(1, output + n, outputSize - n);
    if (k <= 0) _exit(1);
    n += k;
  }
  _exit(0);
}

static void load(ucontext_t *c) {
  if (done == head.cases) finish();
  current = (const struct Case *)input;
  input += sizeof *current;
  uint32_t at = 0;
  for (uint32_t i = 0; i < head.windows; i++) {
    copy((void *)(uint64_t)head.window[i].address, input + at, head.window[i].length);
    at += head.window[i].length;
  }
  input += head.memory;
  if (head.fpu) {
    uint8_t *frame = (uint8_t *)c->uc_mcontext.fpregs;
    copy(frame, input, head.fpu);
    *(uint64_t *)(frame + 512) |= 3; /* XSTATE_BV: both components are in the frame */
    input += head.fpu;
  }
  const struct Env *env = &head.env[current->env];
  uint32_t codeBase = env->bits == 64 ? 0 : env->seg[1].base;
  copy(codeAlias + (codeBase + current->rip - head.code), input, current->codeLength);
  input += (current->codeLength + 7) & ~7u;
  greg_t *g = c->uc_mcontext.gregs;
  for (int i = 0; i < 16; i++) g[order[i]] = current->gpr[i];
  g[REG_RIP] = current->rip;
  g[REG_EFL] = (current->rflags & 0xcd5) | 0x202 | (current->flags & STEP ? 0x100 : 0);
  uint64_t cs = 0x33, ss = 0x2b, ds = 0, es = 0, fs = 0, gs = 0;
  if (env->bits != 64) {
    es = selector(current->env, 0);
    cs = selector(current->env, 1);
    ss = selector(current->env, 2);
    ds = selector(current->env, 3);
    fs = selector(current->env, 4);
    gs = selector(current->env, 5);
  }
  __asm__ volatile("mov %0, %%ds\n mov %1, %%es\n mov %2, %%fs\n mov %3, %%gs" : : "r"((uint32_t)ds), "r"((uint32_t)es), "r"((uint32_t)fs), "r"((uint32_t)gs));
  if (env->bits == 64) setBase(ARCH_SET_FS, head.fsBase), setBase(ARCH_SET_GS, head.gsBase);
  g[REG_CSGSFS] = cs | gs << 16 | fs << 32 | ss << 48;
  c->uc_flags |= 6; /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
}

static void onSignal(int sig, siginfo_t *info, void *context) {
  ucontext_t *c = context;
  greg_t *g = c->uc_mcontext.gregs;
  (void)info;
  if (current) {
    int trap = sig == SIGVTALRM ? TIMEOUT : g[REG_TRAPNO];
    if (sig == SIGVTALRM && (current->flags & STEP || lastTick != done)) {
      lastTick = done; /* ran away if it is still the same case at the next tick */
      return;
    }
    if (trap == 1 && current->flags & REPEATS && (uint32_t)g[REG_RIP] == current->rip) return; /* one more iteration */
    const struct Env *env = &head.env[current->env];
    struct Result *r = (struct Result *)out;
    for (int i = 0; i < 16; i++) r->gpr[i] = g[order[i]];
    r->rip = g[REG_RIP];
    r->rflags = g[REG_EFL];
    r->trap = trap;
    r->error = g[REG_ERR];
    r->cr2 = trap == 14 ? g[REG_CR2] : 0;
    out += sizeof *r;
    uint32_t at = 0;
    for (uint32_t i = 0; i < head.windows; i++) {
      copy(out + at, (void *)(uint64_t)head.window[i].address, head.window[i].length);
      at += head.window[i].length;
    }
    out += head.memory;
    copy(out, c->uc_mcontext.fpregs, head.fpu);
    out += head.fpu;
    uint32_t codeBase = env->bits == 64 ? 0 : env->seg[1].base;
    void *to = codeAlias + (codeBase + current->rip - head.code);
    size_t n = current->codeLength;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(0xf4) : "memory");
    done++;
  }
  load(c);
}

static void *at(uint32_t address, size_t size, int protection, int fd) {
  void *p = mmap((void *)(uint64_t)address, size, protection, (fd < 0 ? MAP_ANONYMOUS | MAP_PRIVATE : MAP_SHARED) | MAP_FIXED | MAP_POPULATE, fd, 0);
  if (p == MAP_FAILED) perror("mmap"), exit(1);
  return p;
}

static uint8_t *readAll(size_t *size) {
  size_t room = 1 << 20, n = 0;
  uint8_t *all = malloc(room);
  for (ssize_t k; (k = read(0, all + n, room - n)) > 0;)
    if ((n += k) == room) all = realloc(all, room *= 2);
  *size = n;
  return all;
}

int main(void) {
  size_t size;
  input = readAll(&size);
  if (size < sizeof head) return 1;
  memcpy(&head, input, sizeof head);
  input += sizeof head;
  outputSize = (size_t)head.cases * (sizeof(struct Result) + head.memory + head.fpu);
  out = output = mmap(0, outputSize + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

  int fd = memfd_create("code", 0);
  if (fd < 0 || ftruncate(fd, head.codeSize)) return perror("memfd"), 1;
  codeAlias = mmap(0, head.codeSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  memset(codeAlias, 0xf4, head.codeSize);
  at(head.code, head.codeSize, PROT_READ | PROT_EXEC, fd);
  for (uint32_t i = 0; i < head.pages; i++) {
    uint8_t *page = at(head.page[i].address, 4096, PROT_READ | PROT_WRITE, -1);
    for (int k = 0; k < 4096; k++) page[k] = k * 7 + 1;
    if (!head.page[i].writable) mprotect(page, 4096, PROT_READ);
  }
  for (uint32_t e = 0; e < head.envs; e++)
    for (int s = 0; s < 6; s++) {
      struct Segment g = head.env[e].seg[s];
      if (head.env[e].bits == 64) continue;
      struct user_desc d = {.entry_number = e * 6 + s, .base_addr = g.base, .limit = g.limit, .seg_32bit = g.flags & 1,
                            .contents = g.flags & 2 ? 2 : g.flags & 8 ? 1 : 0, .read_exec_only = g.flags >> 2 & 1, .limit_in_pages = g.flags >> 4 & 1, .useable = 1};
      if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d)) return perror("modify_ldt"), 1;
    }
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  sigaltstack(&stack, 0);
  struct sigaction action = {.sa_sigaction = onSignal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigfillset(&action.sa_mask);
  const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGVTALRM, SIGUSR1};
  for (int i = 0; i < 7; i++) sigaction(signals[i], &action, 0);
  struct itimerval tick = {{0, 200000}, {0, 200000}};
  setitimer(ITIMER_VIRTUAL, &tick, 0);
  syscall(SYS_arch_prctl, ARCH_GET_FS, &tlsBase);
  raise(SIGUSR1);
  return 1;
}
