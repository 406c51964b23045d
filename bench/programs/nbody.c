/* Five bodies attracting each other, in doubles. Built with x87 and with SSE2 arithmetic. */
#include "bench.h"
#include "x87.h"
enum { BODIES = 5 };
static double position[BODIES][3], velocity[BODIES][3], mass[BODIES];

static OPAQUE void advance(double dt) {
  for (int i = 0; i < BODIES; i++)
    for (int j = i + 1; j < BODIES; j++) {
      double d[3], square = 0.01;
      for (int k = 0; k < 3; k++) d[k] = position[i][k] - position[j][k], square += d[k] * d[k];
      double force = dt / (square * __builtin_sqrt(square));
      for (int k = 0; k < 3; k++) velocity[i][k] -= d[k] * mass[j] * force, velocity[j][k] += d[k] * mass[i] * force;
    }
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < 3; k++) position[i][k] += dt * velocity[i][k];
}

u32 work(u32 n) {
  u32 state = 42;
  for (int i = 0; i < BODIES; i++) {
    mass[i] = 1 + i * 0.25;
    for (int k = 0; k < 3; k++) {
      position[i][k] = (int)(next_random(&state) >> 8) * (1.0 / (1 << 20)) - 8;
      velocity[i][k] = 0;
    }
  }
  u16 before = set_precision();
  for (u32 i = n << 6; i; i--) advance(0.001);
  restore_precision(before);
  u32 sum = 0;
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < 3; k++) {
      union { double value; u32 half[2]; } bits = { position[i][k] };
      sum = mix(mix(sum, bits.half[0]), bits.half[1]);
    }
  return sum;
}
