/* What embedded programs do, in turn: a linked list searched, reversed and sorted by merging; products of small matrices; and a
   state machine that reads numbers from text. */
#include "bench.h"

struct node {
  struct node *next;
  short key, value;
};
enum { NODES = 128, SIDE = 12, TEXT = 512 };
static struct node nodes[NODES];

static OPAQUE struct node *reverse(struct node *list) {
  struct node *done = 0;
  while (list) {
    struct node *next = list->next;
    list->next = done;
    done = list;
    list = next;
  }
  return done;
}
static OPAQUE struct node *find(struct node *list, short value) {
  while (list && list->value != value) list = list->next;
  return list;
}
static struct node *merge(struct node *a, struct node *b) {
  struct node head, *tail = &head;
  while (a && b) {
    struct node **less = a->key <= b->key ? &a : &b;
    tail = tail->next = *less;
    *less = (*less)->next;
  }
  tail->next = a ? a : b;
  return head.next;
}
static OPAQUE struct node *sort(struct node *list) {
  if (!list || !list->next) return list;
  struct node *middle = list;
  for (struct node *end = list->next; end && end->next; end = end->next->next) middle = middle->next;
  struct node *rest = middle->next;
  middle->next = 0;
  return merge(sort(list), sort(rest));
}
static u32 lists(u32 seed) {
  for (int i = 0; i < NODES; i++) {
    nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : 0;
    nodes[i].key = (short)next_random(&seed);
    nodes[i].value = (short)i;
  }
  struct node *list = nodes;
  u32 sum = 0;
  for (int i = 0; i < 8; i++) {
    struct node *found = find(list, (short)(seed >> i & (2 * NODES - 1)));
    sum = mix(sum, found ? (u32)found->key : 1);
    list = reverse(list);
  }
  for (list = sort(list); list; list = list->next) sum = mix(sum, (u32)list->key ^ (u32)list->value);
  return sum;
}

static short left[SIDE][SIDE], right[SIDE][SIDE];
static int product[SIDE][SIDE];
static OPAQUE void multiply(void) {
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) {
      int sum = 0;
      for (int k = 0; k < SIDE; k++) sum += left[i][k] * right[k][j];
      product[i][j] = sum;
    }
}
static u32 matrices(u32 seed) {
  u32 sum = 0;
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) left[i][j] = (short)next_random(&seed), right[i][j] = (short)(left[i][j] >> 3);
  multiply();
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) sum = mix(sum, (u32)(product[i][j] >> 2 & 0xfffff));
  return sum;
}

enum state { START, SIGN, WHOLE, FRACTION, POWER, BAD, STATES };
static char text[TEXT];
static enum state step(enum state state, char c) {
  int digit = c >= '0' && c <= '9';
  switch (state) {
    case START: return digit ? WHOLE : c == '-' || c == '+' ? SIGN : c == '.' ? FRACTION : BAD;
    case SIGN: return digit ? WHOLE : c == '.' ? FRACTION : BAD;
    case WHOLE: return digit ? WHOLE : c == '.' ? FRACTION : c == 'e' ? POWER : BAD;
    case FRACTION: return digit ? FRACTION : c == 'e' ? POWER : BAD;
    case POWER: return digit || c == '-' ? POWER : BAD;
    default: return BAD;
  }
}
static OPAQUE u32 scan(void) {
  u32 ended[STATES] = { 0 }, sum = 0;
  enum state state = START;
  for (int i = 0; i < TEXT; i++)
    if (text[i] == ',') ended[state]++, state = START;
    else state = step(state, text[i]);
  for (int i = 0; i < STATES; i++) sum = mix(sum, ended[i]);
  return sum;
}
static u32 numbers(u32 seed) {
  for (int i = 0; i < TEXT; i++) text[i] = "0123456789012345678901234567.-e,"[next_random(&seed) & 31];
  return scan();
}

u32 work(u32 n) {
  u32 sum = 0;
  for (u32 i = 1; i <= n; i++) sum = mix(mix(mix(sum, lists(i)), matrices(i)), numbers(i));
  return sum;
}
