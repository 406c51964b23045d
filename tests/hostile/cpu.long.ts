/** Random hostile code for as long as XENOLITH_HUNT says (seconds; default 300), from seed XENOLITH_SEED. */
import { isMainThread } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hunt } from "./hunt";

const test = suite("hostile code, at length");

test("nothing breaks", async () => {
  const seconds = Number(process.env.XENOLITH_HUNT ?? 300);
  const from = Number(process.env.XENOLITH_SEED ?? Date.now() % 1e8);
  const { cases, findings } = await hunt(import.meta.url, from, 2 ** 31, seconds * 1000);
  console.log(`${cases} cases from seed ${from}`);
  assert.is(findings.length, 0, findings.join("\n"));
});

if (isMainThread) test.run();
