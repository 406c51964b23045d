/** System time: nanoseconds since the machine started, the same on every thread. */
export interface Clock {
  /** Monotonic. Fractions are allowed; resolution is the host's. */
  nowNs(): number;
}

/** What a thread needs to read the machine's clock: the host's shared time scale at system time 0, in milliseconds. */
export interface ClockOrigin {
  readonly hostMs: number;
}

interface HostProcess {
  hrtime?: () => [number, number];
}

/** Distance in milliseconds from this thread's `performance.now()` to a scale all threads of the host share.
 *  Node: process.hrtime, which performance.now() follows with another zero. Browsers: performance.timeOrigin, whose
 *  differences between threads are exact (W3C High Resolution Time, "Time Origin"). */
function hostScale(): number {
  const hrtime = (globalThis as { process?: HostProcess }).process?.hrtime;
  if (typeof hrtime !== "function") return performance.timeOrigin;
  let best = Number.POSITIVE_INFINITY;
  let scale = 0;
  for (let n = 0; n < 16; n++) {
    const before = performance.now();
    const [s, ns] = hrtime();
    const after = performance.now();
    if (after - before >= best) continue;
    best = after - before;
    scale = s * 1e3 + ns / 1e6 - (before + after) / 2;
  }
  return scale;
}

/** The origin of a machine that starts now. */
export function startClock(): ClockOrigin {
  return { hostMs: hostScale() + performance.now() };
}

/** This thread's view of the machine's clock. */
export class HostClock implements Clock {
  private readonly zero: number;
  private last = 0;

  constructor(origin: ClockOrigin) {
    this.zero = origin.hostMs - hostScale();
  }

  nowNs(): number {
    const now = (performance.now() - this.zero) * 1e6;
    if (now > this.last) this.last = now;
    return this.last; // calibration differs by fractions of a microsecond: never run backwards
  }
}
