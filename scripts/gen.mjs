// Regenerates the decoder's tables and the interpreter's dispatch function from the instruction rows.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const outfile = join(root, "build/generate.mjs");
await build({ entryPoints: [join(root, "src/spec/generate.ts")], outfile, bundle: true, format: "esm", platform: "node", logLevel: "error" });
process.exit(spawnSync(process.execPath, [outfile, ...process.argv.slice(2)], { stdio: "inherit", env: { ...process.env, XENOLITH_ROOT_DIR: root } }).status ?? 1);
