/** What --profile writes: speedscope's "sampled" profile, whose weights add up, and what else there is to know. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nameOf, speedscope } from "../../src/cli/profile";
import { Profile } from "../../src/machine/profile";

const test = suite("profiles");
const SYMBOLS = [
  { address: 0xffffffff81000000n, name: "startup" },
  { address: 0xffffffff81000100n, name: "memcpy" },
];

interface File {
  profiles: { type: string; unit: string; endValue: number; samples: number[][]; weights: number[] }[];
  shared: { frames: { name: string }[] };
  xenolith: { interpreterShare: number; hottestRegions: { name: string }[]; exits: Record<string, number>; translations: { count: number } };
}

test("the function an address is in", () => {
  assert.is(nameOf(SYMBOLS, 0xffffffff81000000n), "startup");
  assert.is(nameOf(SYMBOLS, 0xffffffff810000ffn), "startup");
  assert.is(nameOf(SYMBOLS, 0xffffffff81000100n), "memcpy");
  assert.is(nameOf(SYMBOLS, 0xffffffff80ffffffn), null);
  assert.is(nameOf(SYMBOLS, 0xffffffffff000000n), null);
  assert.is(nameOf([], 0n), null);
});

test("reports add up to a file a viewer opens", () => {
  const profile = new Profile();
  const place = (rip: bigint, user: boolean, translated: boolean, ns: number) => ({ domid: 1, rip, user, translated, ns });
  const rest = { instructions: 10, translations: { count: 1, bytes: 100, ns: 5 } };
  profile.add({ places: [place(0xffffffff81000104n, false, true, 300), place(0x401234n, true, false, 100)], exits: [["HLT", 1]], ...rest });
  profile.add({ places: [place(0xffffffff81000104n, false, true, 500)], exits: [["HLT", 2]], ...rest });
  const file = speedscope(profile, SYMBOLS, "guest") as File;
  const [{ type, unit, samples, weights, endValue }] = file.profiles;
  assert.equal([type, unit, weights, endValue], ["sampled", "nanoseconds", [800, 100], 900]);
  const stacks = samples.map((stack) => stack.map((n) => file.shared.frames[n].name));
  assert.equal(stacks, [
    ["domain 1", "kernel", "memcpy", "translated"],
    ["domain 1", "user", "0x401000 (page)", "interpreted"],
  ]);
  assert.is(file.xenolith.interpreterShare, 100 / 900);
  assert.equal(file.xenolith.hottestRegions.map(({ name }) => name), ["memcpy"]);
  assert.equal(file.xenolith.exits, { HLT: 3 });
  assert.is(file.xenolith.translations.count, 2);
});

test.run();
