// Brings a checkout to the point where it runs: dependencies, the WebAssembly core, the JavaScript bundles. Uses only
// what Node ships until the dependencies are there. Each step is skipped while a digest of its inputs is unchanged.
//   node scripts/ensure.mjs                  what `npm start`, `npm test` and `npm run page` need
//   node scripts/ensure.mjs --all            everything that is published (with type declarations)
//   node scripts/ensure.mjs --install-only   dependencies only
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";

const root = join(import.meta.dirname, "..");
const options = new Set(process.argv.slice(2));

const major = Number(process.versions.node.split(".")[0]);
if (major < 20) {
  console.error(`xenolith needs Node 20 or newer; this is ${process.version}.`);
  process.exit(1);
}

/** Digest of files and folders (recursively), by relative name and content. */
function digest(...paths) {
  const hash = createHash("sha256");
  const add = (path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) {
      for (const name of readdirSync(full).sort()) add(`${path}/${name}`);
    } else {
      hash.update(`${path.split(sep).join("/")}\0`).update(readFileSync(full)).update("\0");
    }
  };
  for (const path of paths) add(path);
  return hash.digest("hex");
}

/** Runs `work` unless the stamp already carries `key` and every output exists. */
async function step(title, stampFile, key, outputs, work) {
  const stamp = join(root, stampFile);
  const fresh = existsSync(stamp) && readFileSync(stamp, "utf8") === key && outputs.every((file) => existsSync(join(root, file)));
  if (fresh) return;
  const start = Date.now();
  console.error(`xenolith: ${title} ...`);
  await work();
  mkdirSync(join(stamp, ".."), { recursive: true });
  writeFileSync(stamp, key);
  console.error(`xenolith: ${title}: done in ${((Date.now() - start) / 1000).toFixed(1)} s`);
}

function npm(...args) {
  // npm's own output goes to stderr: stdout belongs to the command that follows.
  return spawnSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  }).status;
}

await step("installing dependencies", "node_modules/.xenolith-lock", digest("package-lock.json"), ["node_modules/esbuild"], () => {
  // `npm ci` would remove node_modules first: right for a fresh clone only.
  if ((!existsSync(join(root, "node_modules")) && npm("ci") === 0) || npm("install") === 0) return;
  console.error("xenolith: npm could not install the dependencies (its messages are above)");
  process.exit(1);
});
if (options.has("--install-only")) process.exit(0);

const build = await import("./build.mjs");
const tools = digest("scripts/build.mjs", "package-lock.json");
const core = ["abi", "cpu", "mmu", "env.ts", "fault.ts", "index.ts"].map((name) => `assembly/${name}`);
await step("building the core (AssemblyScript)", "build/.wasm-stamp", tools + digest(...core, "asconfig.json"), build.wasmOutputs, build.wasm);
await step("building the unpacker", "build/.unpack-stamp", tools + digest("assembly/abi", "assembly/unpack", "asconfig.unpack.json"), build.unpackOutputs, build.unpack);
await step("bundling", "build/.js-stamp", tools + digest("src", "assembly/abi", "build/.wasm-stamp", "build/.unpack-stamp", "package.json"), [...build.jsOutputs, ...build.pageOutputs], build.js);
if (options.has("--all")) {
  await step("writing type declarations", "build/.types-stamp", tools + digest("src", "assembly/abi", "tsconfig.build.json"), build.typesOutputs, build.types);
}
