// Bundles one TypeScript program for Node and runs it: node scripts/run.mjs src/spec/generate.ts [arguments].
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build, stop } from "esbuild";

const root = join(import.meta.dirname, "..");
const [entry, ...args] = process.argv.slice(2);
const outfile = join(root, "build/run", entry.replace(/\.ts$/, ".mjs"));
await build({
  absWorkingDir: root,
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  loader: { ".wasm": "binary" },
  define: { XENOLITH_VERSION: JSON.stringify(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version) },
  sourcemap: "inline",
  logLevel: "error",
  banner: { js: `globalThis.XENOLITH_ROOT ??= ${JSON.stringify(root)};` },
});
await stop(); // its service would wait beside the program, and spin under a real-time scheduler
process.exit(spawnSync(process.execPath, ["--enable-source-maps", outfile, ...args], { cwd: root, stdio: "inherit" }).status ?? 1);
