/** The host's own processor: the reference for checksums, and the time to compare with. Not an engine of the suite. */
import { spawnSync } from "node:child_process";
import type { Image } from "../build_programs";
import { median } from "../statistics";

export interface Native {
  readonly checksum: number;
  /** Median; null for programs that need ring 0. */
  readonly cpuMs: number | null;
}

export function runNative(image: Image, repeats = 3): Native {
  const run = spawnSync(image.native, [String(image.program.count), String(repeats)], { encoding: "utf8", timeout: 30_000 });
  if (run.status !== 0) throw new Error(`${image.native}: ${run.error ?? run.signal ?? run.status}`);
  const lines = run.stdout.trim().split("\n").map((line) => line.split(" "));
  const checksums = new Set(lines.map(([sum]) => sum));
  if (checksums.size !== 1) throw new Error(`${image.native}: checksums differ between rounds`);
  return {
    checksum: Number.parseInt(lines[0][0], 16),
    cpuMs: image.program.kernel ? null : median(lines.map(([, ns]) => Number(ns) / 1e6)),
  };
}
