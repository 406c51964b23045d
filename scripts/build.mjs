// The build steps: assembly/ -> build/*.wasm, src/ -> dist/. Called by ensure.mjs, which knows when each is due.
import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const at = (...parts) => join(root, ...parts);
const version = () => JSON.parse(readFileSync(at("package.json"), "utf8")).version;

export const wasmOutputs = ["build/xenolith.wasm", "build/xenolith.shared.wasm"];
export const unpackOutputs = ["build/unpack.wasm", "build/unpack.shared.wasm"];
export const jsOutputs = ["dist/index.js", "dist/baseline.js", "dist/worker.js", "dist/cli.mjs", "dist/xenolith.wasm", "dist/xenolith.shared.wasm"];
export const typesOutputs = ["dist/types/src/index.d.ts"];
/** Of Node, for the program. Each of V8's threads that has compiled keeps the memory this took, and its pages cost CPU time; one domain with one
 *  processor makes no more work than one thread does. */
export const nodeOptions = ["--v8-pool-size=1"];
/** glibc's malloc: one arena for all threads, of which free memory above 2 MiB goes back to the host, in huge pages where the host lets who asks have them. */
export const nodeEnvironment = { MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "2097152", GLIBC_TUNABLES: "glibc.malloc.hugetlb=1" };
export const pageOutputs = ["dist/page/index.html", "dist/page/page.js"];

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${args[0]} ended with status ${code}`))));
  });
}

/** Both targets at once: asc uses one thread. */
function asc(config) {
  mkdirSync(at("build"), { recursive: true });
  const program = at("node_modules/assemblyscript/bin/asc.js");
  const target = (name) => run(process.execPath, ["--max-old-space-size=4096", program, "--config", config, "--target", name, "--disableWarning", "112"]);
  return Promise.all([target("shared"), target("unshared")]);
}

export const wasm = () => asc("asconfig.json");
export const unpack = () => asc("asconfig.unpack.json");

const common = () => ({
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  target: ["es2022"],
  sourcemap: true,
  sourcesContent: false,
  logLevel: "warning",
  external: ["node:*"],
  loader: { ".wasm": "binary" },
  define: { XENOLITH_VERSION: JSON.stringify(version()) },
});

export async function js() {
  const { build } = await import("esbuild");
  mkdirSync(at("dist"), { recursive: true });
  await Promise.all([
    build({ ...common(), platform: "neutral", entryPoints: { index: "src/index.ts", baseline: "src/baseline/index.ts", worker: "src/worker.ts" }, outdir: "dist" }),
    build({
      ...common(),
      platform: "node",
      target: "node20",
      entryPoints: { cli: "src/cli/cli.ts" },
      outdir: "dist",
      outExtension: { ".js": ".mjs" },
      banner: { js: `#!/usr/bin/env -S ${Object.entries(nodeEnvironment).map((pair) => pair.join("=")).join(" ")} node ${nodeOptions.join(" ")}` },
    }),
  ]);
  chmodSync(at("dist/cli.mjs"), 0o755);
  for (const file of wasmOutputs) copyFileSync(at(file), at(file.replace("build/", "dist/")));
  await page();
}

/** Declarations follow the source tree; relative imports get the extension that Node's resolution asks for. */
export async function types() {
  rmSync(at("dist/types"), { recursive: true, force: true });
  await run(process.execPath, [at("node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"]);
  const fix = (folder) => {
    for (const name of readdirSync(folder)) {
      const file = join(folder, name);
      if (statSync(file).isDirectory()) fix(file);
      else writeFileSync(file, readFileSync(file, "utf8").replace(/((?:from|import\()\s*")(\.{1,2}\/[^"]+?)(")/g, "$1$2.js$3"));
    }
  };
  fix(at("dist/types"));
}

/** The demonstration page, complete in its folder: any web server can serve it. */
async function page() {
  const { build } = await import("esbuild");
  mkdirSync(at("dist/page"), { recursive: true });
  await build({ ...common(), platform: "browser", entryPoints: { page: "src/page/page.ts" }, outdir: "dist/page" });
  copyFileSync(at("src/page/index.html"), at("dist/page/index.html"));
  for (const file of ["worker.js", "xenolith.wasm", "xenolith.shared.wasm"]) copyFileSync(at("dist", file), at("dist/page", file));
}
