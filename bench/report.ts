/** What a run found, and how it is shown. */
import { cpus, loadavg } from "node:os";
import { spawnSync } from "node:child_process";
import type { Bits } from "./programs";
import { geometricMean } from "./statistics";

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
}

export interface LinuxResult {
  readonly engine: string;
  readonly rows: LinuxRow[];
  readonly memory?: { readonly rssMiB: number; readonly guestMiB: number };
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

/** CPU seconds measured elsewhere, earlier, on a machine of this kind: Debian 6.1 with busybox on QEMU 7.2 (amd64), and its i386 kernel on
 *  v86, without and with its compiler threads. Only rows whose commands are the same. */
export const REFERENCE: Readonly<Record<string, { v86: string; qemu: string }>> = {
  boot: { v86: "19-21 (39)", qemu: "8.6" },
  forkexec: { v86: "10-14 (14-27)", qemu: "3-5.4" },
};

const number = (value: number | null | undefined): string =>
  value === null || value === undefined || !Number.isFinite(value) ? "" : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const used = head.map((_, column) => column === 0 || rows.some((row) => row[column] !== ""));
  const line = (cells: readonly string[]) => `| ${cells.filter((_, n) => used[n]).join(" | ")} |`;
  return [line(head), line(head.map((_, n) => (n ? "--:" : "---"))), ...rows.map(line)].join("\n");
}

const ENGINES = ["core", "shared", "v86", "qemu"] as const;

export function markdown(results: Results): string {
  const parts = [
    `Measured ${results.date.slice(0, 10)} at ${results.commit} on ${results.cpu}, Node ${results.node}` +
      `${results.load > 0.7 ? ` (machine busy: load ${results.load.toFixed(1)}; trust ratios only)` : ""}. [How to read this](docs/benchmarks.md).`,
  ];
  const plain = results.programs.filter((program) => !program.event);
  if (plain.length) parts.push(programTable(plain));
  const events = results.programs.filter((program) => program.event);
  if (events.length || results.xen.length) parts.push(eventTable(events, results.xen));
  if (results.linux.length) parts.push(...linuxTables(results.linux));
  return parts.join("\n\n");
}

/** Millions of guest instructions per CPU second, and how many times the core's speed is another's. */
function programTable(programs: readonly ProgramResult[]): string {
  const ratios: Record<string, number[]> = { native: [], v86: [], qemu: [] };
  const rows = programs.map((program) => {
    const by = new Map(program.figures.map((figure) => [figure.engine, figure]));
    const core = by.get("core") ?? by.get("shared");
    const ratio = (other: number | null | undefined, key: string) => {
      if (!core || !other) return "";
      ratios[key].push(other / core.cpuMs);
      return number(other / core.cpuMs);
    };
    return [
      program.title,
      String(program.bits),
      ...ENGINES.map((engine) => number(by.get(engine)?.mips)),
      ratio(by.get("v86")?.cpuMs, "v86"),
      ratio(by.get("qemu")?.cpuMs, "qemu"),
      number(core && program.nativeMs ? core.cpuMs / program.nativeMs : null),
    ];
  });
  const mean = (values: number[]) => (values.length > 1 ? number(geometricMean(values)) : "");
  if (programs.length > 1) rows.push(["geometric mean", "", "", "", "", "", mean(ratios.v86), mean(ratios.qemu), ""]);
  return table(["MIPS", "bits", "core", "core, shared memory", "v86", "QEMU TCG", "core / v86", "core / QEMU", "core, times native"], rows);
}

function eventTable(programs: readonly ProgramResult[], xen: readonly XenResult[]): string {
  const rows = programs.map((program) => {
    const by = new Map(program.figures.map((figure) => [figure.engine, figure.cpuMs]));
    return [program.event!.name, String(program.bits), ...ENGINES.map((engine) => number(((by.get(engine) ?? Number.NaN) * 1e6) / program.event!.count))];
  });
  for (const name of new Set(xen.map((row) => row.name))) {
    const ns = (threads: boolean) => number(xen.find((row) => row.name === name && row.threads === threads)?.ns);
    rows.push([XEN_TITLES[name] ?? name, "64", ns(false), ns(true), "", ""]);
  }
  return table(["ns per event", "bits", "core", "core, shared memory", "v86", "QEMU TCG"], rows);
}

const XEN_TITLES: Readonly<Record<string, string>> = { hypercall: "hypercall (`xen_version`)", event: "`EVTCHNOP_send` to oneself" };

function linuxTables(all: readonly LinuxResult[]): string[] {
  const names = [...new Set(all.flatMap(({ rows }) => rows.map(({ name }) => name)))];
  const rows = names.map((name) => {
    const row = (engine: string) => all.find((result) => result.engine === engine)?.rows.find((each) => each.name === name);
    const title = all.flatMap((result) => result.rows).find((each) => each.name === name)!.title;
    const { v86 = "", qemu = "" } = REFERENCE[name] ?? {};
    return [title, number(row("core")?.cpuS), number(row("core")?.wallS), number(row("qemu")?.cpuS), qemu, v86];
  });
  const head = ["CPU seconds, Debian 6.1 amd64", "xenolith", "wall", "QEMU TCG", "QEMU, earlier", "v86 (i386), earlier"];
  const memory = all.find(({ memory }) => memory)?.memory;
  const tables = [table(head, rows)];
  if (memory) {
    tables.push(
      `Memory at the shell prompt, 256 MiB guest: ${memory.rssMiB.toFixed(0)} MiB resident, ${memory.guestMiB.toFixed(0)} of them the ` +
        `guest's RAM and ${(memory.rssMiB - memory.guestMiB).toFixed(0)} everything else (Node, decoded code, tables, images).`,
    );
  }
  return tables;
}
