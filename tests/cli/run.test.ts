/** The program, end to end: what it prints where, what it takes, and the status it ends with. The guest is
 *  tests/support/tiny_kernel.ts. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bzImage } from "../support/bzimage";
import { tinyKernel } from "../support/tiny_kernel";

const root = (globalThis as unknown as { XENOLITH_ROOT: string }).XENOLITH_ROOT;
const program = join(root, "dist/cli.mjs");
const folder = mkdtempSync(join(tmpdir(), "xenolith-"));
const file = (name: string, contents: string | Uint8Array) => {
  writeFileSync(join(folder, name), contents);
  return join(folder, name);
};
const kernel = file("tiny", tinyKernel());

const test = suite("xenolith run");
test.after(() => rmSync(folder, { recursive: true }));

interface Result {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the program; `drive` may act while it does. */
function xenolith(args: string[], input: string | null = "", drive: (child: ChildProcess, soFar: Result) => void = () => {}): Promise<Result> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], { cwd: folder, env: { ...process.env, XDG_CACHE_HOME: join(folder, "cache") } });
    const result: Result = { status: null, stdout: "", stderr: "" };
    child.stdout.on("data", (bytes) => {
      result.stdout += bytes;
      drive(child, result);
    });
    child.stderr.on("data", (bytes) => (result.stderr += bytes));
    child.stdin.on("error", () => {});
    if (input !== null) child.stdin.end(input);
    const limit = setTimeout(() => child.kill("SIGKILL"), 15_000);
    child.on("close", (status) => {
      clearTimeout(limit);
      resolve({ ...result, status });
    });
  });
}

//  letter  status  last line on standard error
const ENDINGS = [
  ["p", 0, ""],
  ["r", 3, "xenolith: domain tiny: reboot"],
  ["c", 4, "xenolith: domain tiny: crash"],
  ["t", 4, "xenolith: domain tiny: crash"],
  ["s", 5, "xenolith: domain tiny: suspend"],
] as const;
for (const [letter, status, line] of ENDINGS) {
  test(`a guest that ends by "${letter}" gives status ${status}`, async () => {
    const result = await xenolith(["run", kernel, "memory=8", `cmdline=${letter}`]);
    assert.is(result.stdout, "hello from the console\r\n");
    assert.match(result.stderr, /^\(d1\) hello from port e9$/m);
    assert.is(result.stderr.trimEnd().split("\n").at(-1)?.replace(/^\(d1\).*/, ""), line);
    assert.is(result.status, status, result.stderr);
  });
}

test("a kernel that had to be unpacked is kept, unless that is not wanted", async () => {
  const compressed = file("vmlinuz", bzImage(tinyKernel()));
  const kept = () => readdirSync(join(folder, "cache/xenolith/kernels"));
  for (const options of [["--no-cache"], [], []]) {
    const result = await xenolith(["run", ...options, compressed, "memory=8", "cmdline=p"]);
    assert.is(result.stdout, "hello from the console\r\n", result.stderr);
    if (options.length > 0) assert.throws(kept, /ENOENT/);
    else assert.is(kept().length, 1);
  }
});

test("piped input reaches the guest whole, and its end does not end the guest", async () => {
  const text = "0123456789".repeat(700);
  const result = await xenolith(["run", kernel, "memory=8", "cmdline=e"], `${text}q`);
  assert.is(result.stdout, `hello from the console\r\n${text}`);
  assert.is(result.status, 0);
});

test("an xl.cfg file works, and settings on the command line win", async () => {
  const config = file("guest.cfg", `name = "cfg"\ntype = 'pvh'\nkernel = "${kernel}"\nmemory = 8\nextra = "p"\n`);
  assert.is((await xenolith(["run", config])).status, 0);
  const result = await xenolith(["run", config, "extra=r", "name=other", "ramdisk="]);
  assert.is(result.status, 3);
  assert.match(result.stderr, /domain other: reboot/);
});

test("bad input is one line that names what is wrong, and status 1", async () => {
  //   arguments                                                    the line names
  const BAD: [string[], string[]][] = [
    [[], ["run FILE"]],
    [["walk"], ["walk"]],
    [["run", "missing"], ["missing", "no such file"]],
    [["run", folder], [folder, "directory"]],
    [["run", kernel, "memory=lots"], ["memory", "lots"]],
    [["run", kernel, "memory"], ["memory", "key=value"]],
    [["run", kernel, "vcpus=0"], ["vcpus"]],
    [["run", kernel, "memory=1"], ["memory", "tiny"]],
    [["run", kernel, "memory=9999"], ["memory"]],
    [["run", kernel, "type=pv"], ["type"]],
    [["run", kernel, "ramdisk=nowhere"], ["nowhere"]],
    [["run", file("text", "this is not\na configuration\n")], ["text", "line 1"]],
    [["run", file("noise", Uint8Array.from({ length: 600 }, (_, n) => (n * 7) & 0xff))], ["noise"]],
    [["run", file("half", tinyKernel().subarray(0, 300))], ["half"]],
    [["run", file("nokernel.cfg", 'name = "x"\ntype = "pvh"\n')], ["kernel"]],
    [["run", file("gone.cfg", 'name = "x"\ntype = "pvh"\nkernel = "gone"\n')], ["gone"]],
    [["run", file("pv.cfg", `name = "x"\nkernel = "${kernel}"\n`)], ["type"]],
  ];
  await Promise.all(
    BAD.map(async ([args, names]) => {
      const { status, stdout, stderr } = await xenolith(args);
      const what = `xenolith ${args.join(" ")}: ${stderr}`;
      assert.is(status, 1, what);
      assert.is(stdout, "", what);
      assert.match(stderr, /^xenolith: [^\n]+\n$/, what);
      for (const name of names) assert.ok(stderr.includes(name), what);
    }),
  );
});

test("a reader that goes away ends the program quietly", async () => {
  const { stdout, stderr, status } = spawnSync(
    "/bin/sh",
    ["-c", `{ "${process.execPath}" "${program}" run "${kernel}" memory=8 cmdline=f; echo "status $?" >&2; } | head -n 2`],
    { encoding: "utf8", timeout: 60_000, input: "" },
  );
  assert.is(status, 0);
  assert.is(stdout, "hello from the console\r\n".repeat(2));
  assert.match(stderr, /status 141\n$/);
  assert.not.match(stderr, /EPIPE|Error/);
});

for (const [signal, status] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
  test(`${signal} ends domain and program with status ${status}`, async () => {
    const result = await xenolith(["run", kernel, "memory=8", "cmdline=e"], null, (child) => child.kill(signal));
    assert.is(result.status, status, result.stderr);
  });
}

test("--help and --version", async () => {
  const help = await xenolith(["--help"]);
  assert.is(help.status, 0);
  for (const key of ["kernel", "ramdisk", "cmdline", "memory", "vcpus", "name", "type", "Ctrl-]"]) assert.ok(help.stdout.includes(key), key);
  assert.match((await xenolith(["--version"])).stdout, /^xenolith \d+\.\d+\.\d+\n$/);
});

test("--profile writes a file, whatever the guest did", async () => {
  const out = join(folder, "profile.json");
  const result = await xenolith(["run", "--profile", out, kernel, "memory=8", "cmdline=p"]);
  assert.is(result.status, 0);
  const { profiles, xenolith: rest } = JSON.parse(readFileSync(out, "utf8"));
  assert.is(profiles[0].samples.length, profiles[0].weights.length);
  assert.ok(profiles[0].samples.length > 0);
  assert.ok(rest.exits.hypercall > 0);
});

const envSplits = spawnSync("env", ["-S", "true"]).status === 0;
if (!envSplits) console.log("first line: skipped, this host's env does not know -S");
(envSplits ? test : test.skip)("the file starts by its first line, which says what Node is to be told", () => {
  const { status, stdout, stderr } = spawnSync(program, ["--version"], { encoding: "utf8" });
  assert.is(status, 0, stderr);
  assert.match(stdout, /^xenolith \d/);
  assert.match(readFileSync(program, "utf8"), /^#!\/usr\/bin\/env -S (\w+=\S+ )*node --/);
});

test.run();
