/** No code keeps the processor from coming back to its host, makes it fail, or lets it reach what is not its domain's: loops
 *  that are made to last, and random programs (encode.ts) from fixed seeds. More of those in cpu.long.ts. */
import { isMainThread } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exit } from "../../assembly/abi/exit";
import { type Bits, TestPc } from "../support/test_pc";
import { becomes } from "../support/quiet";
import { hunt } from "./hunt";

const BUDGET = 100_000;
const LIMIT_MS = 1500;

//   what the code does, bits, code at LAYOUT.code; each loop would last for minutes if only instructions were counted
const LOOPS: [string, Bits, string][] = [
  ["REP STOSB downwards", 64, "fdbfffff6f00b900003000f3aaebf2"],
  ["REP STOSB downwards, just below what is interruptible", 64, "fdbfffff6f00b9ffff0300f3aaebf2"],
  ["REP STOSQ over MiB", 64, "bf00003000b9ffff0700f348abebf1"],
  ["REP LODSB where nothing is", 32, "be00000010b9fffffffff3acebf2"],
  ["REP MOVSB where nothing is", 32, "be00000010bf00000020b9fffffffff3a4ebed"],
  ["REP OUTSB", 64, "be00002000b9ffffffffba80000000f36eebed"],
  ["REP INSB", 64, "bf00002000b900003000ba80000000f36cebed"],
  ["REP LODSB in real mode", 16, "b9fffff3acebf9"],
  ["page faults in fetching the page fault's handler, on a stack of its own", 64, "bf00003000b90002000031c0fcf348abc70425e000300000000800c70425e4003000018effffc70425e8003000ff7f000048c7042524300000000050000f011d0c00000048b800000000ff7f0000ffe0ff0f0000300000000000"],
  ["the handler of #UD is UD2", 64, "bf00003000b90002000031c0fcf348ab488d053b000000668904256000300066c7042562003000080066c7042564003000018e48c1e810668904256600300048c7042524300000000050000f011d020000000f0bff0f0000300000000000"],
  ["the handler of #GP causes #GP", 64, "bf00003000b90002000031c0fcf348ab488d053f00000066890425d000300066c70425d2003000080066c70425d4003000018e48c1e81066890425d600300048c7042524300000000050000f011d0600000066b8f8ff8ed8ff0f0000300000000000"],
  ["CR4.PGE back and forth", 64, "0f20e035800000000f22e0ebf6"],
  ["INVLPG of the code's page", 64, "0f013df9ffffffebf7"],
  ["stores beside thousands of blocks in one page", 64, "bf00003000b900100000b0c3fcf3aabb00003000ffd34883c3014881fbc00f300072f1bbc00f3000ffd3c60425c10f300090ebf6"],
  ["FSIN of a large number", 64, "dbe3db2d04000000d9feebf4ffffffffffffffff3d40"],
  ["ENTER with 31 levels", 64, "bc00007000bd00006000c841001febf0"],
  ["single steps into a handler that returns", 64, "bf00003000b90002000031c0fcf348ab488d0546000000668904251000300066c7042512003000080066c7042514003000018e48c1e810668904251600300048c7042524300000000050000f011d0d0000009c810c24000100009debfe48cfff0f0000300000000000"],
  ["an instruction over two views of one frame, rewritten", 64, "0f20d8bf0000400048c7070700300048c747080700300048c7042518200100070040000f22d8c60425ff0f3000b0c604250000300011c6042501003000c3bbff0f6000ffd3c604250000600022ffd33c22750ac60425ff0f6000b0ebe6f4"],
  ["a page fault's handler of which the second half cannot be fetched", 64, "fcbf00003000b807004000b90002000048ab480500100000e2f648c7042510200100070030000f20d80f22d8c70425fe0f400090b80000c70425021040000000c300c60425ff0f4000b8c704250010400044332211c6042504104000c3b8ff0f4000ffd048c704252430000000005000b8ff0f400066890425e010000066c70425e2100000080066c70425e4100000018e4889c348c1eb1066891c25e610000048c1eb10891c25e810000048c7042508003000000000000f013c2500104000b8ff0f4000ffe0"],
  ["a page fault's handler that was overwritten and cannot be fetched", 64, "fcbf00003000b807004000b90002000048ab480500100000e2f648c7042510200100070030000f20d80f22d8c60425ff0f4000c3b8ff0f4000ffd0ffd0c60425ff0f4000b848c704252430000000005000b8ff0f400066890425e010000066c70425e2100000080066c70425e4100000018e4889c348c1eb1066891c25e610000048c1eb10891c25e810000048c7042508003000000000000f013c25001040008a042500104000"],
  ["REP STOSB of 254 beside hundreds of blocks, in real mode", 16, "fcbf0080b90010b0c3f3aabb0080ffd34381fbfd8172f7bb0082ffd3bbff82ffd3b9fe00bf0182f3aaebf6"],
];

const endless = suite("endless loops use up their budget");
if (isMainThread) {
  const pc = await TestPc.create();
  for (const [name, bits, code] of LOOPS)
    endless(name, () =>
      becomes(LIMIT_MS, "ms", async () => {
        const start = performance.now();
        const { exit } = pc.run(Buffer.from(code, "hex"), bits, {}, BUDGET);
        assert.is(exit, Exit.budget);
        return performance.now() - start;
      }),
    );
}

const random = suite("random hostile code");
random("neither fails nor reaches beyond its domain", async () => {
  const { cases, findings } = await hunt(import.meta.url, 1, 10_000, 8000);
  assert.is(findings.length, 0, findings.join("\n"));
  assert.ok(cases > 10, `${cases} cases`);
});

random("faults whose delivery unwinds, one after another, use up the budget", async () => {
  const { findings } = await hunt(import.meta.url, 56_750_133, 56_750_134, 8000);
  assert.is(findings.length, 0, findings.join("\n"));
});

random("an instruction behind MOV SS that jumps to itself traps in its second round", async () => {
  const { findings } = await hunt(import.meta.url, 79_066_007, 79_066_008, 8000);
  assert.is(findings.length, 0, findings.join("\n"));
});

if (isMainThread) {
  endless.run();
  random.run();
}
