/** How fast a guest's clock runs, from questions and answers. An answer was true at some moment between its question and its
 *  arrival, so each gives an interval for guest time minus host time, and each two of them, at their times, an interval for the
 *  rate. One quick answer early and one late are enough, so a busy machine costs time, not truth. */
export class Drift {
  private readonly samples: { at: number; least: number; most: number }[] = [];

  /** In ms: host time before and after, guest time between. */
  add(before: number, guest: number, after: number): void {
    this.samples.push({ at: (before + after) / 2, least: guest - after, most: guest - before });
  }

  /** What the rate may be in ms a minute. The wrong way round if the clock has jumped. */
  bounds(): [least: number, most: number] {
    let [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const [n, one] of this.samples.entries()) {
      for (const other of this.samples.slice(n + 1)) {
        const minutes = (other.at - one.at) / 60_000;
        least = Math.max(least, (other.least - one.most) / minutes);
        most = Math.min(most, (other.most - one.least) / minutes);
      }
    }
    return [least, most];
  }

  /** Whether the rate is shown to be less than `limit`, or not to be: null while neither is. */
  isWithin(limit: number): boolean | null {
    const [least, most] = this.bounds();
    if (least > most || least >= limit || most <= -limit) return false;
    return least > -limit && most < limit ? true : null;
  }

  toString(): string {
    const [least, most] = this.bounds().map((rate) => rate.toFixed(2));
    return `between ${least} and ${most} ms a minute`;
  }
}
