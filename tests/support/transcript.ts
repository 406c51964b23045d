/** Limits are what an idle machine keeps easily; they only say what hangs, so a busy one gets more. */
export const SLACK = 3;

/** What somebody at a terminal has seen so far, and waiting for more of it. */
export class Transcript {
  /** All that has been printed. */
  text = "";
  private seen = 0;
  private ended = "";
  private readonly waiting = new Set<() => void>();

  add(text: string): void {
    this.text += text;
    for (const wake of this.waiting) wake();
  }

  /** Nothing more will come. */
  end(why: string): void {
    this.ended = why;
    this.add("");
  }

  /** What has come since the last call, to the end of the first match. */
  async expect(pattern: RegExp, seconds: number): Promise<string> {
    const limit = Date.now() + seconds * 1000 * SLACK;
    for (;;) {
      const found = pattern.exec(this.text.slice(this.seen));
      if (found) {
        const from = this.seen;
        this.seen += found.index + found[0].length;
        return this.text.slice(from, this.seen);
      }
      if (this.ended) throw new Error(`no ${pattern}: ${this.ended}; the end is:\n${this.text.slice(-2000)}`);
      const left = limit - Date.now();
      if (left <= 0) throw new Error(`no ${pattern} within ${seconds * SLACK} s; the end is:\n${this.text.slice(-2000)}`);
      await this.news(left);
    }
  }

  private news(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.waiting.delete(wake);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.waiting.add(wake);
    });
  }
}
