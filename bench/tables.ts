/** The tables of a run, in Markdown. */
import type { Footprint } from "./process_cpu";
import type { LinuxResult, ProgramResult, Results, XenResult } from "./report";
import { geometricMean } from "./statistics";

/** Columns, in order; `shared` is summed up in a sentence. */
const ENGINES = [
  ["baseline", "baseline"],
  ["core", "core"],
  ["jit", "core, compiling"],
  ["v86", "v86"],
  ["qemu", "QEMU TCG"],
] as const;
/** Which of the core's is compared with the others: the first that took part. */
const OURS = ["jit", "core", "shared"] as const;
const OTHERS = [
  ["baseline", "core / baseline"],
  ["v86", "core / v86"],
  ["qemu", "core / QEMU"],
] as const;

const number = (value: number | null | undefined): string =>
  value === null || value === undefined || !Number.isFinite(value) ? "" : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

function duration(ns: number | null | undefined): string {
  if (ns === null || ns === undefined || !Number.isFinite(ns)) return "";
  return ns >= 1e6 ? `${number(ns / 1e6)} ms` : ns >= 1000 ? `${number(ns / 1000)} us` : `${number(ns)} ns`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const used = head.map((_, column) => column === 0 || rows.some((row) => row[column] !== "" && row[column] !== "-"));
  const line = (cells: readonly string[]) => `| ${cells.filter((_, n) => used[n]).join(" | ")} |`;
  return [line(head), line(head.map((_, n) => (n ? "--:" : "---"))), ...rows.map(line)].join("\n");
}

export function markdown(results: Results): string {
  const parts = [
    `Measured ${results.date.slice(0, 10)} at ${results.commit} on ${results.cpu}, Node ${results.node}` +
      `${results.load > 0.7 ? ` (machine busy: load ${results.load.toFixed(1)}; trust ratios only)` : ""}. [How to read this](docs/benchmarks.md).`,
  ];
  const plain = results.programs.filter((program) => !program.event);
  for (const bits of [32, 64] as const) {
    const programs = plain.filter((program) => program.bits === bits);
    if (programs.length) parts.push(programTable(programs, plain));
  }
  const shared = sharedSpeed(plain);
  if (shared) parts.push(shared);
  const events = results.programs.filter((program) => program.event);
  if (events.length || results.xen.length) parts.push(eventTable(events, results.xen));
  if (results.linux.length) parts.push(...linuxTables(results.linux));
  return parts.join("\n\n");
}

const cpuOf = (program: ProgramResult | undefined, engine: string) => program?.figures.find((figure) => figure.engine === engine)?.cpuMs;
const ours = (program: ProgramResult | undefined) => OURS.map((engine) => cpuOf(program, engine)).find((cpu) => cpu !== undefined);
/** How many times the core's speed is another's. */
const ratio = (program: ProgramResult, engine: string) => (cpuOf(program, engine) ?? Number.NaN) / (ours(program) ?? Number.NaN);

function mean(values: readonly number[]): string {
  const known = values.filter(Number.isFinite);
  return known.length > 1 ? number(geometricMean(known)) : "";
}

/** Millions of guest instructions per CPU second of programs in one mode. */
function programTable(programs: readonly ProgramResult[], all: readonly ProgramResult[]): string {
  const bits = programs[0].bits;
  const native = (program: ProgramResult) => (program.nativeMs ? (ours(program) ?? Number.NaN) / program.nativeMs : Number.NaN);
  const against32 = (program: ProgramResult) => {
    const other = bits === 64 ? ours(all.find(({ name, bits }) => name === program.name && bits === 32)) : undefined;
    return (other ?? Number.NaN) / (ours(program) ?? Number.NaN);
  };
  const speed = (program: ProgramResult, engine: string) => {
    const figure = program.figures.find((figure) => figure.engine === engine);
    return figure ? number(figure.mips) : "-";
  };
  const rows = programs.map((program) => [
    program.title,
    ...ENGINES.map(([engine]) => speed(program, engine)),
    ...OTHERS.map(([engine]) => number(ratio(program, engine))),
    number(native(program)),
    number(against32(program)),
  ]);
  if (programs.length > 1) {
    const means = OTHERS.map(([engine]) => mean(programs.map((program) => ratio(program, engine))));
    rows.push(["geometric mean", ...ENGINES.map(() => ""), ...means, mean(programs.map(native)), mean(programs.map(against32))]);
  }
  const head = [`MIPS, ${bits}-bit`, ...ENGINES.map(([, title]) => title), ...OTHERS.map(([, title]) => title), "core, times native", "64-bit / 32-bit"];
  return table(head, rows);
}

function sharedSpeed(programs: readonly ProgramResult[]): string | null {
  const speeds = programs.map((program) => (cpuOf(program, "core") ?? Number.NaN) / (cpuOf(program, "shared") ?? Number.NaN));
  const average = mean(speeds);
  return average && `Over shared memory the core has ${average} times the speed of \`core\` (geometric mean).`;
}

const XEN_TITLES: Readonly<Record<string, string>> = {
  start: "domain of 48 MiB, from `createDomain` to its first line",
  hypercall: "hypercall (`xen_version`)",
  event: "`EVTCHNOP_send` to oneself",
  copy: "`GNTTABOP_copy` of a page",
};

function eventTable(programs: readonly ProgramResult[], xen: readonly XenResult[]): string {
  const rows = programs.map((program) => {
    const each = (cpuMs: number | null | undefined) => duration(((cpuMs ?? Number.NaN) * 1e6) / program.event!.count);
    const ratios = OTHERS.map(([engine]) => number(ratio(program, engine)));
    return [program.event!.name, String(program.bits), ...ENGINES.map(([engine]) => each(cpuOf(program, engine))), "", ...ratios, each(program.nativeMs)];
  });
  const nothing = OTHERS.map(() => "");
  for (const name of new Set(xen.map((row) => row.name))) {
    const time = (threads: boolean) => duration(xen.find((row) => row.name === name && row.threads === threads)?.ns);
    rows.push([XEN_TITLES[name] ?? name, "64", ...ENGINES.map(([engine]) => (engine === "core" ? time(false) : "")), time(true), ...nothing, ""]);
  }
  return table(["time per event", "bits", ...ENGINES.map(([, title]) => title), "core, on a thread", ...OTHERS.map(([, title]) => title), "native"], rows);
}

/** CPU seconds measured earlier on a machine of this kind: Debian 6.1 with busybox on QEMU 7.2 (amd64), and its i386 kernel on v86,
 *  without and with its compiler threads. */
const EARLIER: Readonly<Record<string, { qemu: readonly number[]; v86: readonly number[]; v86All?: readonly number[] }>> = {
  firstboot: { qemu: [8.6], v86: [19, 21], v86All: [39] },
  boot: { qemu: [8.6], v86: [19, 21], v86All: [39] },
  forkexec: { qemu: [3, 5.4], v86: [10, 14], v86All: [14, 27] },
  loop: { qemu: [8.6], v86: [28, 31] },
  sha256sum: { qemu: [5], v86: [17], v86All: [25] },
  gzip: { qemu: [5.1], v86: [10.6] },
  awk: { qemu: [27], v86: [108] },
  pipe: { qemu: [9.4], v86: [23] },
};

function linuxTables(all: readonly LinuxResult[]): string[] {
  const names = [...new Set(all.flatMap(({ rows }) => rows.map(({ name }) => name)))];
  const rows = names.map((name) => {
    const row = (engine: string) => all.find((result) => result.engine === engine)?.rows.find((each) => each.name === name);
    const title = all.flatMap((result) => result.rows).find((each) => each.name === name)!.title;
    const earlier = EARLIER[name];
    const range = (values: readonly number[] = []) => values.join("-");
    const v86 = earlier ? range(earlier.v86) + (earlier.v86All ? ` (${range(earlier.v86All)})` : "") : "";
    const against = (row("qemu")?.cpuS ?? Number.NaN) / (row("core")?.cpuS ?? Number.NaN);
    return [title, number(row("core")?.cpuS), number(row("core")?.helpersS), number(row("core")?.wallS), number(row("qemu")?.cpuS), number(against), earlier ? range(earlier.qemu) : "", v86];
  });
  const head = ["CPU seconds, Debian 6.1 amd64", "xenolith", "of it compilers", "wall", "QEMU TCG", "core / QEMU", "QEMU, earlier", "v86 (i386), earlier"];
  const tables = [table(head, rows)];
  const measured = all.find(({ memory }) => memory);
  if (measured) {
    const said = ({ rssMiB, guestMiB }: Footprint) => `${rssMiB.toFixed(0)} MiB resident, ${guestMiB.toFixed(0)} of them the guest's RAM and ${(rssMiB - guestMiB).toFixed(0)} everything else`;
    const after = measured.memoryAfter ? `; after all of these commands: ${said(measured.memoryAfter)}` : "";
    tables.push(`Memory at the shell prompt, 256 MiB guest: ${said(measured.memory!)} (Node, decoded code, tables, images)${after}.`);
  }
  return tables;
}
