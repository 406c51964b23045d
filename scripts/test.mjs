// Bundles every tests/**/*.test.ts (or those whose path contains an argument) and runs them under uvu, one process a
// file, printing the runner's own totals last.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const wanted = process.argv.slice(2).filter((word) => word !== "--long");
const long = process.env.XENOLITH_LONG === "1" || process.argv.includes("--long"); // with tests/**/*.long.ts
const files = readdirSync(join(root, "tests"), { recursive: true })
  .map((name) => `tests/${name}`)
  .filter((name) => name.endsWith(".test.ts") || (long && name.endsWith(".long.ts")))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();

const out = join(root, "build", wanted.length ? `tests-${process.pid}` : "tests");
rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: files.map((file) => join(root, file)),
  outdir: out,
  outbase: join(root, "tests"),
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  loader: { ".wasm": "binary" },
  define: { XENOLITH_VERSION: JSON.stringify(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version) },
  sourcemap: "inline",
  outExtension: { ".js": ".mjs" },
  logLevel: "error",
  banner: { js: "globalThis.XENOLITH_ROOT ??= " + JSON.stringify(root) + ";" },
});

let passed = 0;
let failed = 0;
let skipped = 0;
for (const file of files) {
  const built = join(out, relative("tests", file)).replace(/\.ts$/, ".mjs");
  statSync(built);
  const run = spawnSync(process.execPath, ["--enable-source-maps", built], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  process.stdout.write(`\n# ${file}\n${run.stdout}`);
  // uvu prints one summary per suite.run() batch: "Total: 5", "Passed: 5", "Skipped: 0".
  const sum = (label) => [...run.stdout.matchAll(new RegExp(`${label}:\\s+(\\d+)`, "g"))].reduce((n, m) => n + Number(m[1]), 0);
  const total = sum("Total");
  passed += sum("Passed");
  skipped += sum("Skipped");
  failed += total - sum("Passed"); // uvu's total is without what is skipped
  if (run.status !== 0 && total === sum("Passed")) failed += 1; // died outside a test
}
if (wanted.length) rmSync(out, { recursive: true, force: true });
console.log(`\n${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
process.exit(failed || passed === 0 ? 1 : 0);
