/** The package as others get it: packed, installed elsewhere, compiled against with the settings people have, bundled for a
 *  browser, run. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tinyKernel } from "./support/tiny_kernel";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const folder = mkdtempSync(join(tmpdir(), "xenolith-package-"));
const installed = join(folder, "node_modules/xenolith");
const test = suite("the package");
test.after(() => rmSync(folder, { recursive: true }));

function run(command: string, args: string[], cwd = folder): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  assert.is(status, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

const PROGRAM = `
import { readFileSync } from "node:fs";
import { ConfigError, DomainError, type DomainStop, ImageError, Machine, MachineError } from "xenolith";
import { BaselineMachine } from "xenolith/baseline";
const machine: Machine = await Machine.create({ memory: 64 });
const kernel = readFileSync("tiny");
const domain = await machine.createDomain({ name: "x", type: "pvh", kernel, cmdline: "r", memory: 8, vcpus: 1 });
const { reason }: DomainStop = await domain.stopped;
await machine.destroy();
const classes = [ConfigError, DomainError, ImageError, MachineError, BaselineMachine].map((each) => each.name);
process.stdout.write(JSON.stringify([reason, ...classes]));
`;

test.before(() => {
  const [{ filename }] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", folder], root)) as [{ filename: string }];
  mkdirSync(installed, { recursive: true });
  run("tar", ["xzf", filename, "-C", installed, "--strip-components=1"]);
  mkdirSync(join(folder, "node_modules/@types"));
  for (const name of ["@types/node", "undici-types"]) symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "tiny"), tinyKernel());
  writeFileSync(join(folder, "program.ts"), PROGRAM);
});

test("holds what it needs and no sources", () => {
  const files = readdirSync(installed, { recursive: true }) as string[];
  for (const file of ["README.md", "LICENSE", "CHANGELOG.md", "dist/index.js", "dist/worker.js", "dist/cli.mjs", "dist/xenolith.wasm", "dist/xenolith.shared.wasm"])
    assert.ok(files.includes(file), file);
  assert.equal(files.filter((file) => /(^|[^d])\.ts$/.test(file) && !file.endsWith(".d.ts")), []);
  const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  assert.is(dependencies, undefined);
});

//  module      resolution   libraries
const SETTINGS = [
  ["nodenext", "nodenext", ["es2023"]],
  ["nodenext", "nodenext", ["es2022", "dom"]],
  ["esnext", "bundler", ["es2022", "dom"]],
] as const;
for (const [module, moduleResolution, lib] of SETTINGS) {
  test(`compiles with module ${module}, resolution ${moduleResolution}, libraries ${lib}`, () => {
    const compilerOptions = { strict: true, target: "es2022", module, moduleResolution, lib, types: ["node"], preserveSymlinks: true, isolatedModules: true, outDir: "out" };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
    run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "."]);
    assert.equal(JSON.parse(run(process.execPath, ["out/program.js"])), ["reboot", "ConfigError", "DomainError", "ImageError", "MachineError", "BaselineMachine"]);
  });
}

test("bundles for browsers, where nothing of Node is missed", async () => {
  writeFileSync(join(folder, "page.js"), 'import { Machine } from "xenolith"; await Machine.create({ memory: 64 });');
  const { warnings } = await build({ entryPoints: [join(folder, "page.js")], bundle: true, format: "esm", platform: "browser", write: false, logLevel: "silent" });
  assert.equal(warnings, []);
});

test("brings the program", () => {
  assert.match(run(process.execPath, [join(installed, "dist/cli.mjs"), "--version"]), /^xenolith \d/);
});

test.run();
