/* A PVH guest that times its hypervisor and writes "name count nanoseconds" lines to port 0xE9, the first of them as soon as it
   runs. The TSC counts nanoseconds (XEN_CPUID_TSC would say so too). Numbers from
   public/{xen,event_channel,grant_table,sched,memory,version}.h. */
#include "bench.h"
enum { MEMORY = 12, VERSION = 17, GRANT_TABLE = 20, SCHED = 29, EVENT_CHANNEL = 32 };
enum { BIND_INTERDOMAIN = 0, SEND = 4, STATUS = 5, ALLOC_UNBOUND = 6, COPY = 5, ADD_TO_PHYSMAP = 7, SHUTDOWN = 2, DOMID_SELF = 0x7ff0 };
enum { SHARED = 0x1f00000, PENDING = 2048 /* shared_info.evtchn_pending */, GRANTS = 0x1f01000, FROM = 0x1f02000, TO = 0x1f03000 };
enum { SPACE_SHARED_INFO = 0, SPACE_GRANT_TABLE = 1, PERMIT_ACCESS = 1, SOURCE_BY_REF = 1, REF = 8 };

static long hypercall3(long number, long a, void *b, long c) {
  long result;
  __asm__ volatile("vmcall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "memory");
  return result;
}
static long hypercall(long number, long a, void *b) { return hypercall3(number, a, b, 0); }
static long map_special(u32 space, word at) {
  struct { u16 domid, size; u32 space; word index, frame; } map = { DOMID_SELF, 0, space, 0, at >> 12 };
  return hypercall(MEMORY, ADD_TO_PHYSMAP, &map);
}
static u64 now(void) {
  u32 low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (u64)high << 32 | low;
}
static void put(char c) { __asm__ volatile("outb %0, $0xe9" ::"a"(c)); }
static void say(const char *text) {
  while (*text) put(*text++);
}
static void say_number(u32 value) {
  char digits[10];
  int count = 0;
  do digits[count++] = (char)('0' + value % 10);
  while (value /= 10);
  while (count) put(digits[--count]);
}
static void report(const char *name, u32 count, u64 took) {
  say(name), put(' '), say_number(count), put(' '), say_number((u32)took), put('\n');
}

#define TIMED(name, count, body) \
  do { \
    for (u32 i = 0; i < (count) / 4; i++) body; \
    u64 begin = now(); \
    for (u32 i = 0; i < (count); i++) body; \
    report(name, count, now() - begin); \
  } while (0)

/** A channel with both ends here, whose pending bit is cleared after each event. Returns this domain's number. */
static u16 events(void) {
  struct { u16 domid, remote; u32 port; } unbound = { DOMID_SELF, DOMID_SELF, 0 };
  struct { u16 domid; u32 remote_port, local_port; } bound = { DOMID_SELF, 0, 0 };
  if (map_special(SPACE_SHARED_INFO, SHARED) || hypercall(EVENT_CHANNEL, ALLOC_UNBOUND, &unbound)) say("failed: no channel\n");
  bound.remote_port = unbound.port;
  if (hypercall(EVENT_CHANNEL, BIND_INTERDOMAIN, &bound)) say("failed: not bound\n");
  word bits = 8 * sizeof(word), mask = (word)1 << unbound.port % bits;
  volatile word *pending = (word *)(SHARED + PENDING) + unbound.port / bits;
  TIMED("event", 100000, (hypercall(EVENT_CHANNEL, SEND, &bound.local_port), *pending &= ~mask));
  if (hypercall(EVENT_CHANNEL, SEND, &bound.local_port) || !(*pending & mask)) say("failed: no event\n");
  struct { u16 domid; u32 port, status, vcpu; u16 remote; u32 remote_port; } status = { DOMID_SELF, bound.local_port, 0, 0, 0, 0 };
  if (hypercall(EVENT_CHANNEL, STATUS, &status)) say("failed: no status\n");
  return status.remote;
}

/** A whole page copied from a grant to a frame. */
static void grants(u16 domid) {
  if (map_special(SPACE_GRANT_TABLE, GRANTS)) say("failed: no grant table\n");
  volatile struct { u16 flags, domid; u32 frame; } *entry = (void *)(word)GRANTS;
  entry[REF].domid = domid, entry[REF].frame = FROM >> 12, entry[REF].flags = PERMIT_ACCESS;
  struct { word where; u16 domid, offset; u32 pad; } source = { REF, DOMID_SELF, 0, 0 }, dest = { TO >> 12, DOMID_SELF, 0, 0 };
  struct { __typeof__(source) source, dest; u16 length, flags; short status; } copy = { source, dest, 4096, SOURCE_BY_REF, -1 };
  volatile u32 *from = (u32 *)FROM, *to = (u32 *)TO;
  for (u32 i = 0; i < 1024; i++) from[i] = i * 3;
  TIMED("copy", 50000, hypercall3(GRANT_TABLE, COPY, &copy, 1));
  for (u32 i = 0; i < 1024; i++)
    if (to[i] != i * 3 || copy.status) {
      say("failed: not copied\n");
      break;
    }
}

void main(void) {
  report("start", 1, 0);
  TIMED("hypercall", 100000, hypercall(VERSION, 0, 0));
  grants(events());
  struct { u32 reason; } off = { 0 };
  hypercall(SCHED, SHUTDOWN, &off);
  for (;;) __asm__ volatile("hlt");
}
