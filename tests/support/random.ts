/** Seeded random numbers (xorshift128), so that a failing case can be had again from its seed. */
export class Random {
  private readonly s = new Uint32Array(4);

  constructor(seed: number | string) {
    let h = typeof seed === "number" ? seed >>> 0 : 0x811c9dc5;
    for (const c of typeof seed === "string" ? seed : "") h = Math.imul(h ^ c.charCodeAt(0), 0x01000193);
    for (let i = 0; i < 4; i++) {
      h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
      this.s[i] = h ^ (h >>> 13);
    }
    for (let i = 0; i < 8; i++) this.u32();
  }

  u32(): number {
    const { s } = this;
    const t = s[3] ^ (s[3] << 11);
    s[3] = s[2];
    s[2] = s[1];
    s[1] = s[0];
    s[0] = s[0] ^ (s[0] >>> 19) ^ t ^ (t >>> 8);
    return s[0];
  }
  /** 0 <= x < n. */
  below(n: number): number {
    return Math.floor((this.u32() / 0x100000000) * n);
  }
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }
  chance(p: number): boolean {
    return this.u32() < p * 0x100000000;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
}
