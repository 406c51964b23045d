/** xl.cfg(5): the syntax of configuration files, the meaning of their keys, and errors that say where to look. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { applyOverrides, bootFile, configFromObject, parseConfig, readConfig } from "../../src/domains/config";
import { ConfigError } from "../../src/domains/errors";

const test = suite("domain configuration");
const values = (text: string): object => Object.fromEntries([...parseConfig(text)].map(([key, { value }]) => [key, value]));
const refuses = (attempt: () => unknown, message: string): void => {
  try {
    attempt();
  } catch (error) {
    assert.instance(error, ConfigError);
    assert.is((error as Error).message, message);
    return;
  }
  assert.unreachable(message);
};

//  text                                     settings
const SYNTAX = [
  ["", {}],
  ["a = 1", { a: 1 }],
  ["a=0x1F\nb = -2", { a: 31, b: -2 }],
  ["a = 'one' ; b = \"two\";", { a: "one", b: "two" }],
  ["# comment\n\n  a = 'x' # more\n", { a: "x" }],
  ["a = '# no comment'", { a: "# no comment" }],
  [`a = "it's" \nb = 'say "hi"'`, { a: "it's", b: 'say "hi"' }],
  [String.raw`a = "\x41\102\n\\\"\'"`, { a: "AB\n\\\"'" }],
  ["a = [ 'x', \"y\", 3 ]", { a: ["x", "y", 3] }],
  ["a = [\n  'x', # first\n  'y',\n]\nb = 1", { a: ["x", "y"], b: 1 }],
  ["a = []", { a: [] }],
  ["a = [ [ 'x' ], 'y' ]", { a: [["x"], "y"] }],
  ["a = 1\r\nb = 2\r\n", { a: 1, b: 2 }],
  ["a = 1\na = 2", { a: 2 }],
  ["a = 'x'\na += 'y'", { a: "xy" }],
  ["a = ['x']\na += ['y']", { a: ["x", "y"] }],
  ["a = \\\n 5", { a: 5 }],
] as const;
for (const [text, expected] of SYNTAX) test(`${JSON.stringify(text)} is read`, () => assert.equal(values(text), expected));

const SYNTAX_ERRORS = [
  ["a", 'line 1: a: "=" after the key is expected, not the end of the text.'],
  ["\na 5", 'line 2: a: "=" after the key is expected, not "5".'],
  ["= 5", 'line 1: a key is expected, not "=".'],
  ["a = x", 'line 1: a: a number, a quoted string or a list is expected, not "x".'],
  ["a = ", "line 1: a: a number, a quoted string or a list is expected, not the end of the text."],
  ["a = 'x\nb = 1", "line 1: a: the string lacks its closing quote."],
  ["\n\na = [ 'x'\nb = 1", 'line 4: a: "," or "]" is expected, not "b".'],
  ["a = [ 'x',", 'line 1: a: the list lacks its "]".'],
  ["a = 1 b = 2", 'line 1: a: the end of the line after the value is expected, not "b".'],
  ["a = 12cats", 'line 1: a: a number, a quoted string or a list is expected, not "1".'],
  ["a = 99999999999999999999", "line 1: a: 99999999999999999999 is too large."],
  ["a = 1\na += 'x'", 'line 2: a: "+=" joins two strings or two lists.'],
  [`a = ${"[".repeat(9)}`, "line 1: a: lists are nested too deeply."],
] as const;
for (const [text, message] of SYNTAX_ERRORS) test(`${JSON.stringify(text)} is an error`, () => refuses(() => parseConfig(text), message));

const PVH = 'name = "guest"\ntype = "pvh"\nkernel = "/boot/vmlinuz"\n';

test("defaults are libxl's", () => {
  assert.equal(readConfig('name = "guest"'), {
    name: "guest",
    uuid: undefined,
    type: "pv",
    kernel: undefined,
    ramdisk: undefined,
    modules: [],
    firmware: undefined,
    debug_exit: false,
    cmdline: "",
    memory: 32,
    maxmem: 32,
    vcpus: 1,
    maxvcpus: 1,
    on_poweroff: "destroy",
    on_reboot: "restart",
    on_crash: "destroy",
    on_watchdog: "destroy",
    on_soft_reset: "soft-reset",
    disk: [],
    vif: [],
    p9: [],
    serial: [],
  });
});

test("a usual PVH configuration is understood", () => {
  const warnings: string[] = [];
  const config = readConfig(
    `${PVH}ramdisk='initrd'\nmemory = 256\nmaxmem = "512"\nvcpus=2\nmaxvcpus=4\non_crash = 'preserve'
     uuid = "06C2BD9E-4D0C-4B4F-8A3C-3E9A0D5E2A11"\ndisk = [ 'format=raw, vdev=xvda, target=d.img' ]\nvif = [ '' ]\ngamma = 1`,
    [],
    (line) => warnings.push(line),
  );
  assert.is(config.memory, 256);
  assert.is(config.maxmem, 512);
  assert.is(config.maxvcpus, 4);
  assert.is(config.on_crash, "preserve");
  assert.is(config.uuid, "06c2bd9e-4d0c-4b4f-8a3c-3e9a0d5e2a11");
  assert.equal(config.disk, ["format=raw, vdev=xvda, target=d.img"]);
  assert.equal(bootFile(config), { kernel: "/boot/vmlinuz" });
  assert.equal(warnings, ["gamma: this key is not known here and has no effect."]);
});

//  settings                                    command line
const COMMAND_LINES = [
  ["root = '/dev/xvda1'\nextra = 'quiet 3'", "root=/dev/xvda1 quiet 3", 0],
  ["extra = 'quiet'", "quiet", 0],
  ["root = 'x'", "root=x", 0],
  ["cmdline = 'console=hvc0'\nextra = 'quiet'", "console=hvc0", 1],
  ["cmdline = ''\nextra = 'quiet'", "", 1],
] as const;
for (const [settings, expected, warned] of COMMAND_LINES)
  test(`${JSON.stringify(settings)} gives the command line "${expected}"`, () => {
    const warnings: string[] = [];
    assert.is(readConfig(PVH + settings, [], (line) => warnings.push(line)).cmdline, expected);
    assert.is(warnings.length, warned);
  });

const VALUE_ERRORS = [
  ["", "name: every domain needs a name."],
  ["name = 5", "line 1: name: a string is expected, not the number 5."],
  ["name = '17'", 'line 1: name: "17" is no domain name: those have up to 64 characters without "/" and are not numbers.'],
  ["name = 'g'\nmemory = 'much'", 'line 2: memory: a whole number is expected, not "much".'],
  ["name = 'g'\nmemory = 0", "line 2: memory: 0 is less than 1."],
  ["name = 'g'\nmemory = [1]", "line 2: memory: a whole number is expected, not a list."],
  ["name = 'g'\nmemory = 64\nmaxmem = 32", "line 3: maxmem: 32 is less than memory, 64."],
  ["name = 'g'\nvcpus = 1000", "line 2: vcpus: 1000 is more than 128."],
  ["name = 'g'\nvcpus = 4\nmaxvcpus = 2", "line 3: maxvcpus: 2 is less than vcpus, 4."],
  ["name = 'g'\ntype = 'pvhh'", 'line 2: type: "pvhh" is none of pv, pvh, hvm.'],
  ["name = 'g'\non_reboot = 'explode'", 'line 2: on_reboot: "explode" is none of destroy, restart, rename-restart, preserve, coredump-destroy, coredump-restart, soft-reset.'],
  ["name = 'g'\nuuid = 'x'", 'line 2: uuid: "x" is not of the form 00112233-4455-6677-8899-aabbccddeeff.'],
  ["name = 'g'\ndisk = 'd.img'", 'line 2: disk: a list of strings is expected, not "d.img".'],
  ["name = 'g'\nbuilder = 'hvm'\ntype = 'pvh'", 'line 2: builder: "hvm" contradicts type = "pvh".'],
] as const;
for (const [text, message] of VALUE_ERRORS) test(`${JSON.stringify(text)} is refused`, () => refuses(() => readConfig(text), message));

test("types that cannot be built yet say so, not silently something else", () => {
  refuses(() => bootFile(readConfig("name='g'\nkernel='k'")), 'type: PV domains are not supported yet; write type = "pvh".');
  refuses(() => bootFile(readConfig("name='g'\nbuilder='hvm'")), "kernel: an HVM domain needs a kernel or firmware.");
  refuses(() => bootFile(readConfig("name='g'\ntype='hvm'\nkernel='k'\nfirmware='r'")), "firmware: firmware starts instead of a kernel: give one of them.");
  assert.equal(bootFile(readConfig("name='g'\ntype='hvm'\nfirmware='rom.bin'")), { firmware: "rom.bin" });
  refuses(() => bootFile(readConfig("name='g'\ntype='pvh'")), "kernel: a PVH domain needs a kernel.");
});

test("the command line overrides the file, quoted or not", () => {
  const config = readConfig(PVH, ["memory=512", "name=other", "cmdline=console=hvc0 'x'", "vif=['bridge=b']", 'ramdisk="r"', "vcpus = 2; maxvcpus=3"]);
  assert.is(config.memory, 512);
  assert.is(config.name, "other");
  assert.is(config.cmdline, "console=hvc0 'x'");
  assert.equal(config.vif, ["bridge=b"]);
  assert.is(config.ramdisk, "r");
  refuses(() => applyOverrides(new Map(), ["nonsense"]), '"nonsense" is not of the form key=value.');
  refuses(() => readConfig(PVH, ["memory=lots"]), 'memory: a whole number is expected, not "lots".');
});

test("programs give the same keys in an object", () => {
  const config = configFromObject({ name: "g", type: "pvh", kernel: "k", memory: 128, ramdisk: undefined });
  assert.is(config.memory, 128);
  refuses(() => configFromObject({ name: "g", memory: 1.5 }), "memory: a whole number is expected, not the number 1.5.");
});

test.run();
