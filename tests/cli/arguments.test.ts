/** The command line says what it does not understand, in one line that names it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseArguments, type RunCommand, UsageError } from "../../src/cli/arguments";

const test = suite("command line");

test("run takes a file and xl.cfg settings, values verbatim", () => {
  assert.equal(parseArguments(["run", "vm.cfg", "memory=256", "cmdline=console=hvc0 a=b", "name="]), {
    kind: "run",
    file: "vm.cfg",
    settings: ["memory=256", "cmdline=console=hvc0 a=b", "name="],
    jit: true,
    cache: true,
  });
});

test("what becomes of hot code", () => {
  const jitOf = (...args: string[]) => (parseArguments(["run", ...args, "vm.cfg"]) as RunCommand).jit;
  assert.is(jitOf("--no-jit"), false);
  assert.is(jitOf("--check-jit"), "check");
});

test("options of run, in any order", () => {
  const { cache, jit, profile } = parseArguments(["run", "--profile", "out", "--no-cache", "--no-jit", "vm.cfg"]) as RunCommand;
  assert.equal([cache, jit, profile], [false, false, "out"]);
});

test("help and version in their usual spellings", () => {
  for (const word of ["--help", "-h", "help"]) assert.equal(parseArguments([word]), { kind: "help" });
  assert.equal(parseArguments(["run", "--help"]), { kind: "help" });
  for (const word of ["--version", "-V"]) assert.equal(parseArguments([word]), { kind: "version" });
});

//   arguments                        the message names
const BAD = [
  [[], "run FILE"],
  [["start"], "start"],
  [["run"], "file is missing"],
  [["run", "vm.cfg", "memory"], "memory"],
  [["run", "vm.cfg", "=256"], "=256"],
  [["run", "vm.cfg", "--verbose"], "--verbose"],
] as const;
for (const [args, names] of BAD) {
  test(`xenolith ${args.join(" ")}: refused`, () => {
    try {
      parseArguments(args);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, UsageError);
      assert.ok((error as Error).message.includes(names), (error as Error).message);
      assert.not.ok((error as Error).message.includes("\n"));
    }
  });
}

test.run();
