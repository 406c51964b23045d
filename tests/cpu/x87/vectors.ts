/** Reads what tests/hardware/x87.c recorded; the format is described there. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

export interface Case {
  readonly fcw: number;
  readonly fsw: number;
  /** Physical registers in use, before. */
  readonly used: number;
  /** Contents of ST(0), and of ST(1) and the memory operand, before. */
  readonly a: Uint8Array;
  readonly b: Uint8Array;
  readonly eflags: number;
  readonly after: {
    readonly fsw: number;
    readonly tags: number;
    /** Physical registers whose contents changed. */
    readonly registers: ReadonlyMap<number, Uint8Array>;
    readonly memory?: Uint8Array;
    readonly eflags?: number;
    readonly ax?: number;
  };
}

export interface Group {
  readonly bytes: readonly number[];
  readonly memorySize: number;
  readonly writes: boolean;
  readonly cases: readonly Case[];
}

export interface Vectors {
  readonly groups: readonly Group[];
  /** Contents of ST(2)..ST(7) in every case. */
  readonly rest: readonly Uint8Array[];
}

export function readVectors(path: string): Vectors {
  const file = gunzipSync(readFileSync(path));
  let at = 4;
  const u8 = () => file[at++];
  const u16 = () => u8() | (u8() << 8);
  const take = (n: number) => file.subarray(at, (at += n));
  const pool = Array.from({ length: u16() }, () => take(10));
  const groups: Group[] = [];
  for (let length = u8(); length; length = u8()) {
    const bytes = [...take(length)], memorySize = u8(), writes = u8() === 1, flags = u8() === 1, count = u16() | (u16() << 16);
    const cases = Array.from({ length: count }, (): Case => {
      const fcw = u16(), fsw = u16(), used = u8(), a = pool[u16()], b = pool[u16()], eflags = u8();
      const fswAfter = u16(), tags = u16(), changed = u8();
      const registers = new Map<number, Uint8Array>();
      for (let n = 0; n < 8; n++) if ((changed >> n) & 1) registers.set(n, take(10));
      const memory = writes ? take(memorySize) : undefined;
      const after = { fsw: fswAfter, tags, registers, memory };
      return { fcw, fsw, used, a, b, eflags, after: flags ? { ...after, eflags: u8() | (u8() << 8), ax: u16() } : after };
    });
    groups.push({ bytes, memorySize, writes, cases });
  }
  return { groups, rest: pool.slice(23 + 2, 23 + 8) };
}
