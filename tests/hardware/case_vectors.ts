/** The files of recorded results of tests/cpu/integer and tests/cpu/fpu: gzip over a line of JSON (Header), a newline, and the
 *  results, each as what changed: trap, flags and rip, the changed registers and bytes of memory, error code and CR2 of
 *  faults, the changed fields of the FPU image. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type Case, FPU_FIELDS, type Result } from "./native";

export interface Header {
  readonly cpu: string;
  /** Per environment and row: key, number of cases, bytes. */
  readonly rows: readonly (readonly [env: number, key: string, cases: number, bytes: number])[];
}

export function packResult(c: Case, r: Result): number[] {
  const bytes: number[] = [];
  const put = (x: bigint, n: number) => {
    for (let i = 0; i < n; i++) bytes.push(Number((x >> BigInt(i * 8)) & 0xffn));
  };
  let mask = 0;
  for (let i = 0; i < 16; i++) if (c.gpr[i] !== r.gpr[i]) mask |= 1 << i;
  const runs: [number, number][] = [];
  for (let i = 0; i < r.memory.length; i++) {
    if (r.memory[i] === c.memory[i]) continue;
    const last = runs.at(-1);
    if (last && last[0] + last[1] === i && last[1] < 255) last[1]++;
    else runs.push([i, 1]);
  }
  const delta = r.rip - BigInt(c.rip);
  const near = delta >= -128n && delta < 128n;
  const fields = c.fpu && r.fpu ? FPU_FIELDS.filter((field) => !same(c.fpu!, r.fpu!, field)) : [];
  bytes.push(r.trap, (near ? 1 : 0) | (mask ? 2 : 0) | (runs.length ? 4 : 0) | (fields.length ? 8 : 0));
  put(BigInt(r.rflags), 2);
  put(delta & ((1n << 64n) - 1n), near ? 1 : 8);
  if (mask) {
    put(BigInt(mask), 2);
    for (let i = 0; i < 16; i++) if ((mask >> i) & 1) put(r.gpr[i], 8);
  }
  if (runs.length) {
    bytes.push(runs.length);
    for (const [at, length] of runs) {
      put(BigInt(at), 2);
      bytes.push(length, ...r.memory.subarray(at, at + length));
    }
  }
  if (r.trap >= 8) put(BigInt(r.error), 4);
  if (r.trap === 14) put(r.cr2, 8);
  if (fields.length) {
    put(BigInt(fields.reduce((bits, field) => bits | (1 << FPU_FIELDS.indexOf(field)), 0) >>> 0), 4);
    for (const [, at, length] of fields) bytes.push(...r.fpu!.subarray(at, at + length));
  }
  return bytes;
}

function same(a: Uint8Array, b: Uint8Array, [, at, length]: (typeof FPU_FIELDS)[number]): boolean {
  for (let i = at; i < at + length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Reads one result at `at`; gives where the next one is. */
export function unpackResult(c: Case, bytes: Uint8Array, at: number): [Result, number] {
  const take = (n: number) => {
    let x = 0n;
    for (let i = n - 1; i >= 0; i--) x = (x << 8n) | BigInt(bytes[at + i]);
    at += n;
    return x;
  };
  const trap = Number(take(1));
  const parts = Number(take(1));
  const rflags = Number(take(2));
  const rip = BigInt.asUintN(64, BigInt(c.rip) + (parts & 1 ? BigInt.asIntN(8, take(1)) : take(8)));
  const gpr = c.gpr.slice();
  if (parts & 2) {
    const mask = Number(take(2));
    for (let i = 0; i < 16; i++) if ((mask >> i) & 1) gpr[i] = take(8);
  }
  const memory = c.memory.slice();
  if (parts & 4)
    for (let runs = Number(take(1)); runs > 0; runs--) {
      const where = Number(take(2));
      const length = Number(take(1));
      memory.set(bytes.subarray(at, at + length), where);
      at += length;
    }
  const error = trap >= 8 ? Number(take(4)) : 0;
  const cr2 = trap === 14 ? take(8) : 0n;
  const fpu = c.fpu?.slice();
  if (fpu && parts & 8) {
    const changed = Number(take(4));
    FPU_FIELDS.forEach(([, to, length], i) => {
      if (((changed >>> i) & 1) === 0) return;
      fpu.set(bytes.subarray(at, at + length), to);
      at += length;
    });
  }
  return [{ trap, rflags, rip, gpr, memory, error, cr2, fpu }, at];
}

export function readVectors(path: string): { header: Header; results: Uint8Array } {
  const all = gunzipSync(readFileSync(path));
  const line = all.indexOf(10);
  return { header: JSON.parse(all.subarray(0, line).toString()) as Header, results: all.subarray(line + 1) };
}
