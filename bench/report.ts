/** What a run found. */
import { cpus, loadavg } from "node:os";
import { spawnSync } from "node:child_process";
import type { Footprint } from "./process_cpu";
import type { Bits } from "./programs";

/** One engine on one program: medians of its samples. */
export interface Figure {
  readonly engine: string;
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly spread: number;
  readonly samples: number;
  /** By the core's count of instructions, whichever engine ran them. */
  mips?: number;
}

export interface ProgramResult {
  readonly name: string;
  readonly title: string;
  readonly bits: Bits;
  /** Per run; null if no core took part. */
  instructions: number | null;
  readonly nativeMs: number | null;
  readonly figures: Figure[];
  readonly event?: { readonly name: string; readonly count: number };
}

export interface XenResult {
  readonly name: string;
  readonly threads: boolean;
  readonly count: number;
  readonly ns: number;
}

export interface LinuxRow {
  readonly name: string;
  readonly title: string;
  readonly cpuS: number;
  readonly wallS: number;
  /** Of `cpuS`: threads beside the guest's and the first, which compile. */
  readonly helpersS: number;
}

export interface LinuxResult {
  readonly engine: string;
  readonly rows: LinuxRow[];
  /** At the prompt, and after all of the rows. */
  readonly memory?: Footprint;
  readonly memoryAfter?: Footprint;
}

export interface Results {
  readonly date: string;
  readonly commit: string;
  readonly cpu: string;
  readonly node: string;
  readonly load: number;
  readonly programs: ProgramResult[];
  readonly xen: XenResult[];
  readonly linux: LinuxResult[];
  readonly failures: string[];
}

export function emptyResults(): Results {
  const git = (...args: string[]) => spawnSync("git", args, { encoding: "utf8" }).stdout?.trim() ?? "";
  const dirty = git("status", "--porcelain", "--untracked-files=no", "assembly", "src") ? " and changes" : "";
  return {
    date: new Date().toISOString(),
    commit: (git("rev-parse", "--short", "HEAD") || "unknown") + dirty,
    cpu: `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} CPUs`,
    node: process.version,
    load: loadavg()[0],
    programs: [],
    xen: [],
    linux: [],
    failures: [],
  };
}
