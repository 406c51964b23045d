/* Points of the Mandelbrot set, in doubles. Built with x87 and with SSE2 arithmetic. */
#include "bench.h"
#include "x87.h"
enum { WIDTH = 48, HEIGHT = 32, MOST = 64 };

static OPAQUE u32 escape(double cr, double ci) {
  double r = 0, i = 0;
  u32 steps = 0;
  for (; steps < MOST; steps++) {
    double rr = r * r, ii = i * i;
    if (rr + ii > 4) break;
    i = 2 * r * i + ci;
    r = rr - ii + cr;
  }
  return steps;
}

u32 work(u32 n) {
  u32 sum = 0;
  u16 before = set_precision();
  for (u32 round = 0; round < n; round++)
    for (int y = 0; y < HEIGHT; y++)
      for (int x = 0; x < WIDTH; x++) sum = mix(sum, escape((x - 34) * (1.0 / 16) + (round & 7) * (1.0 / 1024), (y - 16) * (1.0 / 14)));
  restore_precision(before);
  return sum;
}
