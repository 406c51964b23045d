/** What the tests of unpacking have real packers pack. */
import { spawnSync } from "node:child_process";
import * as assert from "uvu/assert";
import { Random } from "../support/random";
import { sample } from "./bzimage_fixtures";

/** Repetition at all distances, runs, and stretches of noise. */
export function mixture(size: number): Uint8Array {
  const random = new Random(7);
  const out = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const length = 1 + random.below(at < 100 ? 20 : 1 << random.below(12));
    const end = Math.min(size, at + length);
    const kind = random.below(4);
    if (kind === 0 || at === 0) for (; at < end; at++) out[at] = random.below(256);
    else if (kind === 1) {
      out.fill(random.below(256), at, end);
      at = end;
    } else {
      const distance = 1 + random.below(Math.min(at, kind === 2 ? 20 : at));
      for (; at < end; at++) out[at] = out[at - distance];
    }
  }
  return out;
}
/** Calls and jumps, to and over whose ends runs of zeros reach. */
export function islands(size: number): Uint8Array {
  const random = new Random(5);
  const out = new Uint8Array(size);
  for (let at = 0; at < size; at += [1, 7, 300, 5000, 8192, 8200, 8230, 20_000, 300_000][random.below(9)]) {
    for (let left = random.below(60); left > 0; left--) out[at++] = [0xe8, 0xe9, 0, 0xff, random.below(256), 1][random.below(6)];
    out[at++] = 0xe8 + random.below(3);
  }
  return out;
}
export const noise = (size: number): Uint8Array => {
  const random = new Random(11);
  return Uint8Array.from({ length: size }, () => random.below(256));
};

export const DATA: readonly (readonly [string, Uint8Array])[] = [
  ["nothing", new Uint8Array(0)],
  ["a byte", Uint8Array.of(0xe8)],
  ["zeros", new Uint8Array(3_000_000)],
  ["noise, which is stored", noise(200_000)],
  ["code and jumps", sample(700_000)],
  ["a mixture", mixture(700_000)],
  ["runs of zeros and what is between", islands(900_000)],
  ["long runs of zeros and what is between", islands(6_000_000)],
  ["more of it than one chunk", mixture(2_300_000)],
];

/** What the program `name` packs with `fixed` and further options; null, and a word about it, on a host that has none. */
export function packer(name: string, ...fixed: string[]): ((bytes: Uint8Array, ...options: string[]) => Uint8Array) | null {
  if (spawnSync(name, ["--version"]).status !== 0) {
    console.log(`${name}: skipped, this host has no ${name}`);
    return null;
  }
  return (bytes, ...options) => {
    const { status, stdout, stderr } = spawnSync(name, [...fixed, ...options], { input: bytes, maxBuffer: 1 << 28 });
    assert.is(status, 0, `${name} ${options.join(" ")}: ${stderr}`);
    return new Uint8Array(stdout);
  };
}
