/** `npm run bench`: measures, prints a table, writes bench/results/latest.json.
 *
 *    --only NAME[,NAME]       programs (sieve, sha256, ...), `programs` for all of them, `xen`, `linux` or its parts (boot, ...)
 *    --engines NAME[,NAME]    of jit, core, shared, baseline, v86, qemu; all but shared by default
 *    --write-readme           the table replaces what is between the marks in README.md
 *    --render                 measures nothing: the table of the last run */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { whyNoCompiler } from "./build_programs";
import { baselineEngine } from "./engines/baseline";
import { coreEngine } from "./engines/core";
import type { Engine } from "./engines/engine";
import { qemuEngine } from "./engines/qemu";
import { v86Engine } from "./engines/v86";
import { benchXen } from "./hypercall";
import { benchPrograms } from "./interp";
import { benchLinux, JOBS } from "./linux";
import { PROGRAMS } from "./programs";
import { emptyResults, type Results } from "./report";
import { markdown } from "./tables";
import { startWatchdog } from "./watchdog";

declare const XENOLITH_ROOT: string;

const LATEST = join(XENOLITH_ROOT, "bench/results/latest.json");
const ENGINES: readonly Engine[] = [
  coreEngine("jit", { shared: false, jit: true }),
  coreEngine("core", { shared: false, jit: false }),
  coreEngine("shared", { shared: true, jit: false }),
  baselineEngine,
  v86Engine,
  qemuEngine,
];
/** Only if asked for, to keep a whole run within some minutes. */
const ON_REQUEST = ["shared"];
const LINUX = ["boot", ...JOBS.map(({ name }) => name)];
const GROUPS = ["programs", "xen", "linux"];

function usage(problem: string): never {
  console.error(`bench: ${problem}`);
  console.error(`  --only ${[...PROGRAMS.map(({ name }) => name), ...GROUPS, ...LINUX].join(",")}`);
  console.error(`  --engines ${ENGINES.map(({ name }) => name).join(",")}\n  --write-readme  --render`);
  process.exit(1);
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string", multiple: true },
        engines: { type: "string", multiple: true },
        "write-readme": { type: "boolean" },
        render: { type: "boolean" },
      },
    });
    const list = (given?: string[]) => given?.flatMap((text) => text.split(",")).filter(Boolean) ?? null;
    return { only: list(values.only), engines: list(values.engines), writeReadme: values["write-readme"], render: values.render };
  } catch (error) {
    return usage((error as Error).message);
  }
}

async function measure(only: readonly string[] | null, engineNames: readonly string[] | null): Promise<Results> {
  const names = [...PROGRAMS.map(({ name }) => name), ...GROUPS, ...LINUX];
  for (const name of only ?? []) if (!names.includes(name)) usage(`there is no "${name}"`);
  for (const name of engineNames ?? []) if (!ENGINES.some((engine) => engine.name === name)) usage(`there is no engine "${name}"`);
  const results = emptyResults();
  const engines = ENGINES.filter((engine) => {
    if (engineNames ? !engineNames.includes(engine.name) : ON_REQUEST.includes(engine.name)) return false;
    const why = engine.missing();
    if (why) console.log(`without ${engine.name}: ${why}`);
    return why === null;
  });
  const chosen = (...groups: string[]) => only === null || groups.some((name) => only.includes(name));
  const ours = engines.some(({ name }) => ["jit", "core", "shared"].includes(name));
  const compiler = whyNoCompiler();
  if (compiler) console.log(`without guest programs: ${compiler}`);
  else {
    await benchPrograms(engines, (name) => chosen(name, "programs"), results);
    if (ours && chosen("xen")) {
      console.log("Running the hypervisor's own...");
      await benchXen(results);
    }
  }
  if (chosen("linux", ...LINUX)) {
    const all = only === null || only.includes("linux");
    await benchLinux(engines.map(({ name }) => name), (name) => all || chosen(name), results);
  }
  return results;
}

/** Children are killed as this process exits, so it does that in any case. */
for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) process.on(signal, () => process.exit(status));
setTimeout(() => {
  console.error("bench: given up after half an hour");
  process.exit(1);
}, 1_800_000).unref();
startWatchdog(180_000);

const { only, engines, writeReadme, render } = options();
const results = render ? (JSON.parse(readFileSync(LATEST, "utf8")) as Results) : await measure(only, engines);
if (!render) {
  mkdirSync(join(LATEST, ".."), { recursive: true });
  writeFileSync(LATEST, `${JSON.stringify(results, null, 1)}\n`);
}
const shown = markdown(results);
console.log(`\n${shown}\n`);
if (writeReadme) {
  const file = join(XENOLITH_ROOT, "README.md");
  const text = readFileSync(file, "utf8");
  const marked = /(<!-- bench -->)[\s\S]*?(<!-- \/bench -->)/;
  if (!marked.test(text)) usage("README.md has no <!-- bench --> ... <!-- /bench -->");
  writeFileSync(file, text.replace(marked, (_, begin, end) => `${begin}\n${shown}\n${end}`));
}
for (const failure of results.failures) console.error(`FAILED ${failure}`);
process.exit(results.failures.length ? 1 : 0);
